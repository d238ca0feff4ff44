/* Llama: transformers/models/llama/{configuration,modeling}_llama.py. */
#include "models/family.h"

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

#define SLOT_OF(field) offsetof(layer_weights, field)
#define TOP_OF(field) offsetof(stack_weights, field)

static const tensor_row tensors[] = {
    { "[model.]embed_tokens.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(embed), { DIM_VOCABULARY, DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[model.]layers.{L}.input_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.weight), { DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[model.]layers.{L}.self_attn.q_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_Q, DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[model.]layers.{L}.self_attn.k_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_K, DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[model.]layers.{L}.self_attn.v_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_V, DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[model.]layers.{L}.self_attn.q_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_Q }, FROM_WHOLE, WHEN_LAYER(qkv_bias), 0, 0 },
    { "[model.]layers.{L}.self_attn.k_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_K }, FROM_WHOLE, WHEN_LAYER(qkv_bias), 0, 0 },
    { "[model.]layers.{L}.self_attn.v_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_V }, FROM_WHOLE, WHEN_LAYER(qkv_bias), 0, 0 },
    { "[model.]layers.{L}.self_attn.o_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(o.w), { DIM_HIDDEN, DIM_O }, FROM_WHOLE, 0, 0, 0 },
    { "[model.]layers.{L}.self_attn.o_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(o.bias), { DIM_HIDDEN }, FROM_WHOLE, WHEN_LAYER(o_bias), 0, 0 },
    { "[model.]layers.{L}.post_attention_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.weight), { DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[model.]layers.{L}.mlp.gate_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[model.]layers.{L}.mlp.up_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[model.]layers.{L}.mlp.gate_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(up.bias), { DIM_FFN }, FROM_WHOLE, WHEN_LAYER(ffn_bias), 0, 0 },
    { "[model.]layers.{L}.mlp.up_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(up.bias), { DIM_FFN }, FROM_WHOLE, WHEN_LAYER(ffn_bias), 0, 0 },
    { "[model.]layers.{L}.mlp.down_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(down.w), { DIM_HIDDEN, DIM_FFN }, FROM_WHOLE, 0, 0, 0 },
    { "[model.]layers.{L}.mlp.down_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(down.bias), { DIM_HIDDEN }, FROM_WHOLE, WHEN_LAYER(ffn_bias), 0, 0 },
    { "[model.]norm.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.weight), { DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "lm_head.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(head.w), { DIM_VOCABULARY, DIM_HIDDEN }, FROM_WHOLE, 0, 0, WHEN_STACK(tied) },
    { "[model.]layers.{L}.self_attn.rotary_emb.inv_freq", SLOT_IGNORED, SCOPE_LAYER, 0, 0, { DIM_NONE }, FROM_WHOLE, 0, 0, 0 },
    { "[model.]rotary_emb.inv_freq", SLOT_IGNORED, SCOPE_STACK, 0, 0, { DIM_NONE }, FROM_WHOLE, 0, 0, 0 },
    { 0 },
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
