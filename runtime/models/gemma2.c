/* Gemma 2: transformers/models/gemma2/{configuration,modeling}_gemma2.py. Norms on both sides of each branch, soft caps, and every other
 * layer slides. */
#include "models/llama_rows.h"

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

static const tensor_row tensors[] = {
    LLAMA_EMBED,
    LLAMA_VECTOR("input_layernorm.weight", attn_norm.weight, DIM_HIDDEN, 0),
    LLAMA_QKV,
    LLAMA_QKV_BIAS(WHEN_LAYER(qkv_bias)),
    LLAMA_O,
    LLAMA_O_BIAS(WHEN_LAYER(o_bias)),
    LLAMA_VECTOR("post_attention_layernorm.weight", attn_post_norm.weight, DIM_HIDDEN, 0),
    LLAMA_VECTOR("pre_feedforward_layernorm.weight", ffn_norm.weight, DIM_HIDDEN, 0),
    LLAMA_GATE_UP,
    LLAMA_DOWN,
    LLAMA_VECTOR("post_feedforward_layernorm.weight", ffn_post_norm.weight, DIM_HIDDEN, 0),
    LLAMA_LAST,
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
