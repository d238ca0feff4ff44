/* Qwen2: transformers/models/qwen2/{configuration,modeling}_qwen2.py. Llama with biases for q, k and v; in some checkpoints the later
 * layers slide. */
#include "models/llama_rows.h"

static const char *const architectures[] = { "Qwen2ForCausalLM", NULL };

static const config_row config[] = {
    { "vocab_size", CONFIG_INT, STACK(0, vocabulary), CONFIG_FALLBACK, 151936, .min = 1, .max = 1 << 24 },
    { "hidden_size", CONFIG_INT, STACK(0, hidden), CONFIG_FALLBACK, 4096, .min = 1, .max = 1 << 20 },
    { "intermediate_size", CONFIG_INT, LAYER(0, ffn_dim), CONFIG_FALLBACK, 22016, .min = 1, .max = 1 << 22 },
    { "num_hidden_layers", CONFIG_INT, STACK(0, layers), CONFIG_FALLBACK, 32, .min = 1, .max = CUD_MAX_LAYERS },
    { "num_attention_heads", CONFIG_INT, LAYER(0, heads), CONFIG_FALLBACK, 32, .min = 1, .max = 4096 },
    { "num_key_value_heads", CONFIG_INT, LAYER(0, kv_heads), CONFIG_OR_NONE, 32, .min = 1, .max = 4096 }, /* null: as many as heads */
    { "head_dim", CONFIG_INT, LAYER(0, head_dim), CONFIG_FALLBACK, 0, .min = 1, .max = 4096 },
    { "hidden_act", CONFIG_ACTIVATION, LAYER(0, act), CONFIG_FALLBACK, .fallback = ACT_SILU },
    { "max_position_embeddings", CONFIG_INT, STACK(0, positions), CONFIG_FALLBACK, 32768, .min = 1, .max = 1 << 30 },
    { "rms_norm_eps", CONFIG_NUMBER, STACK(0, eps), CONFIG_FALLBACK, 1e-6, .max = 1 },
    { "tie_word_embeddings", CONFIG_BOOL, STACK(0, tied), CONFIG_FALLBACK, .fallback = false },
    { "use_sliding_window", CONFIG_NOT, STACK(0, no_window), CONFIG_FALLBACK, .fallback = false },
    { "sliding_window", CONFIG_INT, LAYER(0, window), CONFIG_OR_NONE, 4096, .min = 1, .max = 1 << 30 },
    { "max_window_layers", CONFIG_INT, STACK(0, full_layers), CONFIG_FALLBACK, 28, .min = 0, .max = 1 << 30 },
    { "layer_types", CONFIG_LAYER_TYPES, STACK(0, layer), CONFIG_LIKE, .like = STACK(0, full_layers) },
    { "rope_parameters", CONFIG_ROPE, STACK(0, rope[0]), CONFIG_FALLBACK, .fallback = 10000 },
    { .key = "attention_dropout", .kind = CONFIG_IGNORED },
    { 0 },
};

static const tensor_row tensors[] = {
    LLAMA_EMBED,
    LLAMA_VECTOR("input_layernorm.weight", attn_norm.weight, DIM_HIDDEN, 0),
    LLAMA_QKV,
    LLAMA_QKV_BIAS(0),
    LLAMA_O,
    LLAMA_VECTOR("post_attention_layernorm.weight", ffn_norm.weight, DIM_HIDDEN, 0),
    LLAMA_GATE_UP,
    LLAMA_DOWN,
    LLAMA_LAST,
};

const family cud_family_qwen2 = {
    .model_type = "qwen2",
    .architectures = architectures,
    .config = config,
    .tensors = tensors,
    .base = {
        .stacks = 1,
        .stack[0] = {
            .kind = STACK_DECODER, .norm = NORM_RMS, .final_norm = true, .position = POSITION_ROPE, .heads = HEAD_LM, .scale_scores = true,
            .proto = { .attention = ATTN_SLIDING, .mask = MASK_CAUSAL, .rope = 0, .qkv_bias = true, .ffn = FFN_GATED, .norm_before = true },
        },
    },
};
