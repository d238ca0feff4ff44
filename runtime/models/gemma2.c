/* Gemma 2: transformers/models/gemma2/{configuration,modeling}_gemma2.py. Norms on both sides of each branch, soft caps, and every other
 * layer slides. */
#include "models/family.h"

static const char *const architectures[] = { "Gemma2ForCausalLM", NULL };

static const config_row config[] = {
    { "vocab_size", CONFIG_INT, STACK(0, vocabulary), CONFIG_FALLBACK, 256000, .min = 1, .max = 1 << 24 },
    { "hidden_size", CONFIG_INT, STACK(0, hidden), CONFIG_FALLBACK, 2304, .min = 1, .max = 1 << 20 },
    { "intermediate_size", CONFIG_INT, LAYER(0, ffn_dim), CONFIG_FALLBACK, 9216, .min = 1, .max = 1 << 22 },
    { "num_hidden_layers", CONFIG_INT, STACK(0, layers), CONFIG_FALLBACK, 26, .min = 1, .max = CUD_MAX_LAYERS },
    { "num_attention_heads", CONFIG_INT, LAYER(0, heads), CONFIG_FALLBACK, 8, .min = 1, .max = 4096 },
    { "num_key_value_heads", CONFIG_INT, LAYER(0, kv_heads), CONFIG_FALLBACK, 4, .min = 1, .max = 4096 },
    { "head_dim", CONFIG_INT, LAYER(0, head_dim), CONFIG_FALLBACK, 256, .min = 1, .max = 4096 },
    { "hidden_activation", CONFIG_ACTIVATION, LAYER(0, act), CONFIG_FALLBACK, .fallback = ACT_GELU_TANH },
    { "max_position_embeddings", CONFIG_INT, STACK(0, positions), CONFIG_FALLBACK, 8192, .min = 1, .max = 1 << 30 },
    { "rms_norm_eps", CONFIG_NUMBER, STACK(0, eps), CONFIG_FALLBACK, 1e-6, .max = 1 },
    { "tie_word_embeddings", CONFIG_BOOL, STACK(0, tied), CONFIG_FALLBACK, .fallback = true },
    { "attention_bias", CONFIG_BOOL, LAYER(0, qkv_bias), CONFIG_FALLBACK, .fallback = false },
    { "attention_bias", CONFIG_BOOL, LAYER(0, o_bias), CONFIG_FALLBACK, .fallback = false },
    { "query_pre_attn_scalar", CONFIG_NUMBER, STACK(0, query_scalar), CONFIG_FALLBACK, 256, .min = 1e-3, .max = 1e6 },
    { "attn_logit_softcapping", CONFIG_NUMBER, LAYER(0, score_cap), CONFIG_OR_NONE, 50, .min = 1e-3, .max = 1e6 },
    { "final_logit_softcapping", CONFIG_NUMBER, STACK(0, logit_cap), CONFIG_OR_NONE, 30, .min = 1e-3, .max = 1e6 },
    { "sliding_window", CONFIG_INT, LAYER(0, window), CONFIG_OR_NONE, 4096, .min = 1, .max = 1 << 30 },
    { "layer_types", CONFIG_LAYER_TYPES, STACK(0, layer), CONFIG_FALLBACK, .fallback = 2 },
    { "rope_parameters", CONFIG_ROPE, STACK(0, rope[0]), CONFIG_FALLBACK, .fallback = 10000 },
    { "use_bidirectional_attention", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = false },
    { .key = "hidden_act", .kind = CONFIG_IGNORED }, /* repeats hidden_activation, which counts */
    { .key = "sliding_window_size", .kind = CONFIG_IGNORED }, /* repeats sliding_window */
    { .key = "cache_implementation", .kind = CONFIG_IGNORED },
    { .key = "attention_dropout", .kind = CONFIG_IGNORED },
    { 0 },
};

#define SLOT_OF(field) offsetof(layer_weights, field)
#define TOP_OF(field) offsetof(stack_weights, field)

static const tensor_row tensors[] = {
    { "[model.]embed_tokens.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(embed), { DIM_VOCABULARY, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.input_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.q_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_Q, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.k_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_K, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.v_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_V, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.q_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_Q }, .when = WHEN_LAYER(qkv_bias) },
    { "[model.]layers.{L}.self_attn.k_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_K }, .when = WHEN_LAYER(qkv_bias) },
    { "[model.]layers.{L}.self_attn.v_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_V }, .when = WHEN_LAYER(qkv_bias) },
    { "[model.]layers.{L}.self_attn.o_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(o.w), { DIM_HIDDEN, DIM_O }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.o_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(o.bias), { DIM_HIDDEN }, .when = WHEN_LAYER(o_bias) },
    { "[model.]layers.{L}.post_attention_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_post_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.pre_feedforward_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.mlp.gate_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.mlp.up_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.mlp.down_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(down.w), { DIM_HIDDEN, DIM_FFN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.post_feedforward_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_post_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]norm.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "lm_head.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(head.w), { DIM_VOCABULARY, DIM_HIDDEN }, .maybe = WHEN_STACK(tied) },
    { "[model.]layers.{L}.self_attn.rotary_emb.inv_freq", SLOT_IGNORED, SCOPE_LAYER, .stack = 0 },
    { "[model.]rotary_emb.inv_freq", SLOT_IGNORED, SCOPE_STACK, .stack = 0 },
    { 0 },
};

const family cud_family_gemma2 = {
    .model_type = "gemma2",
    .architectures = architectures,
    .config = config,
    .tensors = tensors,
    .base = {
        .stacks = 1, .eos = { 1 }, .eos_count = 1,
        .stack[0] = {
            .kind = STACK_DECODER, .norm = NORM_RMS, .final_norm = true, .position = POSITION_ROPE, .heads = HEAD_LM, .scale_scores = true,
            .unit_offset = true, .scale_embed = true,
            .proto = { .attention = ATTN_SLIDING, .mask = MASK_CAUSAL, .rope = 0, .ffn = FFN_GATED, .norm_before = true, .norm_after = true },
        },
    },
};
