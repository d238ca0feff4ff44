/* gpt-oss: transformers/models/gpt_oss/{configuration,modeling}_gpt_oss.py. Attention sinks, every other layer slides, experts with biases
 * whose gate and up alternate, stored as MXFP4 (OpenAI's own files) or as bfloat16 (converted ones). */
#include "models/family.h"

static const char *const architectures[] = { "GptOssForCausalLM", NULL };

static const quant_row quant[] = {
    { .method = "mxfp4", .format = WF_MXFP4, .plain = "", .data = "_blocks", .scale = "_scales" },
    { 0 },
};

static const config_row config[] = {
    { "vocab_size", CONFIG_INT, STACK(0, vocabulary), CONFIG_FALLBACK, 201088, .min = 1, .max = 1 << 24 },
    { "hidden_size", CONFIG_INT, STACK(0, hidden), CONFIG_FALLBACK, 2880, .min = 1, .max = 1 << 20 },
    { "intermediate_size", CONFIG_INT, LAYER(0, expert_dim), CONFIG_FALLBACK, 2880, .min = 1, .max = 1 << 22 },
    { "num_hidden_layers", CONFIG_INT, STACK(0, layers), CONFIG_FALLBACK, 36, .min = 1, .max = CUD_MAX_LAYERS },
    { "num_attention_heads", CONFIG_INT, LAYER(0, heads), CONFIG_FALLBACK, 64, .min = 1, .max = 4096 },
    { "num_key_value_heads", CONFIG_INT, LAYER(0, kv_heads), CONFIG_FALLBACK, 8, .min = 1, .max = 4096 },
    { "head_dim", CONFIG_INT, LAYER(0, head_dim), CONFIG_FALLBACK, 64, .min = 1, .max = 4096 },
    { "attention_bias", CONFIG_BOOL, LAYER(0, qkv_bias), CONFIG_FALLBACK, .fallback = true },
    { "attention_bias", CONFIG_BOOL, LAYER(0, o_bias), CONFIG_FALLBACK, .fallback = true },
    { "layer_types", CONFIG_LAYER_TYPES, STACK(0, layer), CONFIG_FALLBACK, .fallback = 2 },
    { "sliding_window", CONFIG_INT, LAYER(0, window), CONFIG_FALLBACK, 128, .min = 1, .max = 1 << 30 },
    { "max_position_embeddings", CONFIG_INT, STACK(0, positions), CONFIG_FALLBACK, 131072, .min = 1, .max = 1 << 30 },
    { "rms_norm_eps", CONFIG_NUMBER, STACK(0, eps), CONFIG_FALLBACK, 1e-5, .max = 1 },
    { "tie_word_embeddings", CONFIG_BOOL, STACK(0, tied), CONFIG_FALLBACK, .fallback = false },
    { "rope_parameters", CONFIG_ROPE, STACK(0, rope[0]), CONFIG_FALLBACK, .fallback = 150000 },
    { "num_local_experts|num_experts", CONFIG_INT, LAYER(0, experts), CONFIG_FALLBACK, 128, .min = 1, .max = 4096 },
    { "num_experts_per_tok|experts_per_token", CONFIG_INT, LAYER(0, experts_used), CONFIG_FALLBACK, 4, .min = 1, .max = 4096 },
    { "swiglu_alpha", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = 1.702 },
    { "swiglu_limit", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = 7 },
    { "quantization_config", CONFIG_QUANT, SPEC(quant), CONFIG_FALLBACK, .fallback = 0 },
    { .key = "hidden_act", .kind = CONFIG_IGNORED }, /* says silu; the experts' activation is fixed */
    { .key = "initial_context_length", .kind = CONFIG_IGNORED }, /* repeats the rope's original length */
    { .key = "attention_dropout", .kind = CONFIG_IGNORED },
    { .key = "output_router_logits", .kind = CONFIG_IGNORED },
    { .key = "router_aux_loss_coef", .kind = CONFIG_IGNORED }, /* training */
    { 0 },
};


static const tensor_row tensors[] = {
    { "[model.]embed_tokens.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(embed), { DIM_VOCABULARY, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.input_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.q_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_Q, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.k_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_K, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.v_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_V, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.q_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_Q }, .when = WHEN_LAYER(qkv_bias) },
    { "[model.]layers.{L}.self_attn.k_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_K }, .when = WHEN_LAYER(qkv_bias) },
    { "[model.]layers.{L}.self_attn.v_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_V }, .when = WHEN_LAYER(qkv_bias) },
    { "[model.]layers.{L}.self_attn.sinks", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(sinks), { DIM_HEADS }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.o_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(o.w), { DIM_HIDDEN, DIM_O }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.o_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(o.bias), { DIM_HIDDEN }, .when = WHEN_LAYER(o_bias) },
    { "[model.]layers.{L}.post_attention_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.mlp.router.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(router.w), { DIM_EXPERTS, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.mlp.router.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(router.bias), { DIM_EXPERTS }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.mlp.experts.gate_up_proj", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(experts_up.w), { DIM_EXPERTS, DIM_HIDDEN, DIM_EXPERT_PAIR }, .from = FROM_PAIRS },
    { "[model.]layers.{L}.mlp.experts.gate_up_proj_bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(experts_up.bias), { DIM_EXPERTS, DIM_EXPERT_PAIR }, .from = FROM_PAIRS },
    { "[model.]layers.{L}.mlp.experts.down_proj", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(experts_down.w), { DIM_EXPERTS, DIM_EXPERT, DIM_HIDDEN }, .from = FROM_TRANSPOSED },
    { "[model.]layers.{L}.mlp.experts.down_proj_bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(experts_down.bias), { DIM_EXPERTS, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]norm.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "lm_head.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(head.w), { DIM_VOCABULARY, DIM_HIDDEN }, .maybe = WHEN_STACK(tied) },
    { 0 },
};

const family cud_paper_gpt_oss = {
    .model_type = "gpt_oss",
    .architectures = architectures,
    .config = config,
    .tensors = tensors,
    .quant = quant,
    .base = {
        .stacks = 1,
        .stack[0] = {
            .kind = STACK_DECODER, .norm = NORM_RMS, .final_norm = true, .position = POSITION_ROPE, .heads = HEAD_LM, .scale_scores = true,
            .rope[0] = { .kind = ROPE_YARN, .factor = 32, .partial = 1, .beta_fast = 32, .beta_slow = 1, .original_max = 4096, .truncate = false },
            .proto = { .attention = ATTN_SLIDING, .mask = MASK_CAUSAL, .rope = 0, .sinks = true, .ffn = FFN_EXPERTS, .act = ACT_CLAMPED_SWIGLU,
                       .ffn_bias = true, .router = ROUTER_TOP_SOFTMAX, .router_bias = true, .norm_before = true },
        },
    },
};
