/* Mixtral: transformers/models/mixtral/{configuration,modeling}_mixtral.py. Mistral with eight experts in every layer. */
#include "models/family.h"

static const char *const architectures[] = { "MixtralForCausalLM", NULL };

static const config_row config[] = {
    { "vocab_size", CONFIG_INT, STACK(0, vocabulary), CONFIG_FALLBACK, 32000, .min = 1, .max = 1 << 24 },
    { "hidden_size", CONFIG_INT, STACK(0, hidden), CONFIG_FALLBACK, 4096, .min = 1, .max = 1 << 20 },
    { "intermediate_size", CONFIG_INT, LAYER(0, expert_dim), CONFIG_FALLBACK, 14336, .min = 1, .max = 1 << 22 },
    { "num_hidden_layers", CONFIG_INT, STACK(0, layers), CONFIG_FALLBACK, 32, .min = 1, .max = CUD_MAX_LAYERS },
    { "num_attention_heads", CONFIG_INT, LAYER(0, heads), CONFIG_FALLBACK, 32, .min = 1, .max = 4096 },
    { "num_key_value_heads", CONFIG_INT, LAYER(0, kv_heads), CONFIG_FALLBACK, 8, .min = 1, .max = 4096 },
    { "head_dim", CONFIG_INT, LAYER(0, head_dim), CONFIG_FALLBACK, 0, .min = 1, .max = 4096 },
    { "hidden_act", CONFIG_ACTIVATION, LAYER(0, act), CONFIG_FALLBACK, .fallback = ACT_SILU },
    { "max_position_embeddings", CONFIG_INT, STACK(0, positions), CONFIG_FALLBACK, 4096 * 32, .min = 1, .max = 1 << 30 },
    { "rms_norm_eps", CONFIG_NUMBER, STACK(0, eps), CONFIG_FALLBACK, 1e-5, .max = 1 },
    { "tie_word_embeddings", CONFIG_BOOL, STACK(0, tied), CONFIG_FALLBACK, .fallback = false },
    { "sliding_window", CONFIG_INT, LAYER(0, window), CONFIG_FALLBACK, 0, .min = 1, .max = 1 << 30 },
    { "rope_parameters", CONFIG_ROPE, STACK(0, rope[0]), CONFIG_FALLBACK, .fallback = 1e6 },
    { "num_local_experts|num_experts", CONFIG_INT, LAYER(0, experts), CONFIG_FALLBACK, 8, .min = 1, .max = 4096 },
    { "num_experts_per_tok", CONFIG_INT, LAYER(0, experts_used), CONFIG_FALLBACK, 2, .min = 1, .max = 4096 },
    { .key = "attention_dropout", .kind = CONFIG_IGNORED },
    { .key = "output_router_logits", .kind = CONFIG_IGNORED },
    { .key = "router_aux_loss_coef", .kind = CONFIG_IGNORED }, /* training */
    { .key = "router_jitter_noise", .kind = CONFIG_IGNORED },  /* training */
    { 0 },
};


static const tensor_row tensors[] = {
    { "[model.]embed_tokens.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(embed), { DIM_VOCABULARY, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.input_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.q_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_Q, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.k_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_K, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.v_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_V, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.o_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(o.w), { DIM_HIDDEN, DIM_O }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.post_attention_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.block_sparse_moe.gate.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(router.w), { DIM_EXPERTS, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.block_sparse_moe.experts.{E}.w1.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(experts_up.w), { DIM_EXPERT, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.block_sparse_moe.experts.{E}.w3.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(experts_up.w), { DIM_EXPERT, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.block_sparse_moe.experts.{E}.w2.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(experts_down.w), { DIM_HIDDEN, DIM_EXPERT }, .from = FROM_WHOLE },
    { "[model.]norm.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "lm_head.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(head.w), { DIM_VOCABULARY, DIM_HIDDEN }, .maybe = WHEN_STACK(tied) },
    { "[model.]layers.{L}.self_attn.rotary_emb.inv_freq", SLOT_IGNORED, .scope = SCOPE_LAYER, .stack = 0 },
    { 0 },
};

const family cud_paper_mixtral = {
    .model_type = "mixtral",
    .architectures = architectures,
    .config = config,
    .tensors = tensors,
    .base = {
        .stacks = 1,
        .stack[0] = {
            .kind = STACK_DECODER, .norm = NORM_RMS, .final_norm = true, .position = POSITION_ROPE, .heads = HEAD_LM, .scale_scores = true,
            .proto = { .attention = ATTN_SLIDING, .mask = MASK_CAUSAL, .rope = 0, .ffn = FFN_EXPERTS, .router = ROUTER_TOP_SOFTMAX,
                       .norm_before = true },
        },
    },
};
