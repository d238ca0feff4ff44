/* Llama: transformers/models/llama/{configuration,modeling}_llama.py. */
#include "models/llama_rows.h"

static const char *const architectures[] = { "LlamaForCausalLM", NULL };

static const config_row config[] = {
    { "vocab_size", CONFIG_INT, STACK(0, vocabulary), CONFIG_FALLBACK, 32000, 0, 1, 1 << 24 },
    { "hidden_size", CONFIG_INT, STACK(0, hidden), CONFIG_FALLBACK, 4096, 0, 1, 1 << 20 },
    { "intermediate_size", CONFIG_INT, LAYER(0, ffn_dim), CONFIG_FALLBACK, 11008, 0, 1, 1 << 22 },
    { "num_hidden_layers", CONFIG_INT, STACK(0, layers), CONFIG_FALLBACK, 32, 0, 1, CUD_MAX_LAYERS },
    { "num_attention_heads", CONFIG_INT, LAYER(0, heads), CONFIG_FALLBACK, 32, 0, 1, 4096 },
    { "num_key_value_heads", CONFIG_INT, LAYER(0, kv_heads), CONFIG_LIKE, 1, LAYER(0, heads), 1, 4096 },
    { "head_dim", CONFIG_INT, LAYER(0, head_dim), CONFIG_FALLBACK, 0, 0, 1, 4096 },
    { "hidden_act", CONFIG_ACTIVATION, LAYER(0, act), CONFIG_FALLBACK, ACT_SILU, 0, 0, 0 },
    { "max_position_embeddings", CONFIG_INT, STACK(0, positions), CONFIG_FALLBACK, 2048, 0, 1, 1 << 30 },
    { "rms_norm_eps", CONFIG_NUMBER, STACK(0, eps), CONFIG_FALLBACK, 1e-6, 0, 0, 1 },
    { "tie_word_embeddings", CONFIG_BOOL, STACK(0, tied), CONFIG_FALLBACK, false, 0, 0, 0 },
    { "attention_bias", CONFIG_BOOL, LAYER(0, qkv_bias), CONFIG_FALLBACK, false, 0, 0, 0 },
    { "attention_bias", CONFIG_BOOL, LAYER(0, o_bias), CONFIG_FALLBACK, false, 0, 0, 0 },
    { "mlp_bias", CONFIG_BOOL, LAYER(0, ffn_bias), CONFIG_FALLBACK, false, 0, 0, 0 },
    { "rope_parameters", CONFIG_ROPE, STACK(0, rope[0]), CONFIG_FALLBACK, 10000, 0, 0, 0 },
    { "pretraining_tp", CONFIG_IGNORED, 0, 0, 0, 0, 0, 0 }, /* splits the same sums over devices */
    { "attention_dropout", CONFIG_IGNORED, 0, 0, 0, 0, 0, 0 },
    { 0 },
};

static const tensor_row tensors[] = {
    LLAMA_EMBED,
    LLAMA_VECTOR("input_layernorm.weight", attn_norm.weight, DIM_HIDDEN, 0),
    LLAMA_QKV,
    LLAMA_QKV_BIAS(WHEN_LAYER(qkv_bias)),
    LLAMA_O,
    LLAMA_O_BIAS(WHEN_LAYER(o_bias)),
    LLAMA_VECTOR("post_attention_layernorm.weight", ffn_norm.weight, DIM_HIDDEN, 0),
    LLAMA_GATE_UP,
    LLAMA_VECTOR("mlp.gate_proj.bias", up.bias, DIM_FFN, WHEN_LAYER(ffn_bias)),
    LLAMA_VECTOR("mlp.up_proj.bias", up.bias, DIM_FFN, WHEN_LAYER(ffn_bias)),
    LLAMA_DOWN,
    LLAMA_VECTOR("mlp.down_proj.bias", down.bias, DIM_HIDDEN, WHEN_LAYER(ffn_bias)),
    LLAMA_LAST,
};

const family cud_family_llama = {
    .model_type = "llama",
    .architectures = architectures,
    .config = config,
    .tensors = tensors,
    .base = {
        .stacks = 1, .eos = { 2 }, .eos_count = 1,
        .stack[0] = {
            .kind = STACK_DECODER, .norm = NORM_RMS, .final_norm = true, .position = POSITION_ROPE, .heads = HEAD_LM, .scale_scores = true,
            .proto = { .mask = MASK_CAUSAL, .rope = 0, .ffn = FFN_GATED, .norm_before = true },
        },
    },
};
