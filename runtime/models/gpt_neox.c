/* GPT-NeoX and Pythia: transformers/models/gpt_neox/{configuration,modeling}_gpt_neox.py. q, k and v lie head by head in one tensor, a
 * part of each head turns, and both branches read the layer's input. */
#include "models/family.h"

static const char *const architectures[] = { "GPTNeoXForCausalLM", NULL };

static const config_row config[] = {
    { "vocab_size", CONFIG_INT, STACK(0, vocabulary), CONFIG_FALLBACK, 50432, .min = 1, .max = 1 << 24 },
    { "hidden_size", CONFIG_INT, STACK(0, hidden), CONFIG_FALLBACK, 6144, .min = 1, .max = 1 << 20 },
    { "intermediate_size", CONFIG_INT, LAYER(0, ffn_dim), CONFIG_FALLBACK, 24576, .min = 1, .max = 1 << 22 },
    { "num_hidden_layers", CONFIG_INT, STACK(0, layers), CONFIG_FALLBACK, 44, .min = 1, .max = CUD_MAX_LAYERS },
    { "num_attention_heads", CONFIG_INT, LAYER(0, heads), CONFIG_FALLBACK, 64, .min = 1, .max = 4096 },
    { "hidden_act", CONFIG_ACTIVATION, LAYER(0, act), CONFIG_FALLBACK, .fallback = ACT_GELU },
    { "max_position_embeddings", CONFIG_INT, STACK(0, positions), CONFIG_FALLBACK, 2048, .min = 1, .max = 1 << 30 },
    { "layer_norm_eps", CONFIG_NUMBER, STACK(0, eps), CONFIG_FALLBACK, 1e-5, .max = 1 },
    { "tie_word_embeddings", CONFIG_BOOL, STACK(0, tied), CONFIG_FALLBACK, .fallback = false },
    { "attention_bias", CONFIG_BOOL, LAYER(0, qkv_bias), CONFIG_FALLBACK, .fallback = true },
    { "attention_bias", CONFIG_BOOL, LAYER(0, o_bias), CONFIG_FALLBACK, .fallback = true },
    { "use_parallel_residual", CONFIG_BOOL, LAYER(0, parallel), CONFIG_FALLBACK, .fallback = true },
    { "rope_parameters", CONFIG_ROPE, STACK(0, rope[0]), CONFIG_FALLBACK, 10000, .max = 1 },
    /* These two have names of their own, and a quarter of a head turns where nothing is said. */
    { "rope_scaling.rope_theta|rope_parameters.rope_theta|rotary_emb_base|rope_theta", CONFIG_NUMBER, STACK(0, rope[0].theta), CONFIG_FALLBACK, 10000,
      .min = 1, .max = 1e12 },
    { "rope_scaling.partial_rotary_factor|rope_parameters.partial_rotary_factor|rotary_pct|partial_rotary_factor", CONFIG_NUMBER,
      STACK(0, rope[0].partial), CONFIG_FALLBACK, 0.25, .min = 0.01, .max = 1 },
    { .key = "hidden_dropout", .kind = CONFIG_IGNORED },
    { .key = "classifier_dropout", .kind = CONFIG_IGNORED },
    { .key = "attention_dropout", .kind = CONFIG_IGNORED },
    { 0 },
};

static const tensor_row tensors[] = {
    { "[gpt_neox.]embed_in.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(embed), { DIM_VOCABULARY, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[gpt_neox.]layers.{L}.input_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[gpt_neox.]layers.{L}.input_layernorm.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[gpt_neox.]layers.{L}.attention.query_key_value.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_QKV, DIM_HIDDEN }, .from = FROM_HEADS_QKV },
    { "[gpt_neox.]layers.{L}.attention.query_key_value.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_QKV },
      .from = FROM_HEADS_QKV, .when = WHEN_LAYER(qkv_bias) },
    { "[gpt_neox.]layers.{L}.attention.dense.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(o.w), { DIM_HIDDEN, DIM_O }, .from = FROM_WHOLE },
    { "[gpt_neox.]layers.{L}.attention.dense.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(o.bias), { DIM_HIDDEN }, .when = WHEN_LAYER(o_bias) },
    { "[gpt_neox.]layers.{L}.post_attention_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[gpt_neox.]layers.{L}.post_attention_layernorm.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[gpt_neox.]layers.{L}.mlp.dense_h_to_4h.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[gpt_neox.]layers.{L}.mlp.dense_h_to_4h.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(up.bias), { DIM_FFN }, .from = FROM_WHOLE },
    { "[gpt_neox.]layers.{L}.mlp.dense_4h_to_h.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(down.w), { DIM_HIDDEN, DIM_FFN }, .from = FROM_WHOLE },
    { "[gpt_neox.]layers.{L}.mlp.dense_4h_to_h.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(down.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[gpt_neox.]final_layer_norm.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[gpt_neox.]final_layer_norm.bias", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "embed_out.weight|lm_head.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(head.w), { DIM_VOCABULARY, DIM_HIDDEN }, .maybe = WHEN_STACK(tied) },
    { "[gpt_neox.]layers.{L}.attention.bias", SLOT_IGNORED, SCOPE_LAYER, .stack = 0 }, /* the causal mask, a buffer */
    { "[gpt_neox.]layers.{L}.attention.masked_bias", SLOT_IGNORED, SCOPE_LAYER, .stack = 0 },
    { "[gpt_neox.]layers.{L}.attention.rotary_emb.inv_freq", SLOT_IGNORED, SCOPE_LAYER, .stack = 0 },
    { 0 },
};

const family cud_family_gpt_neox = {
    .model_type = "gpt_neox",
    .architectures = architectures,
    .config = config,
    .tensors = tensors,
    .base = {
        .stacks = 1, .eos = { 2 }, .eos_count = 1,
        .stack[0] = {
            .kind = STACK_DECODER, .norm = NORM_LAYER, .final_norm = true, .position = POSITION_ROPE, .heads = HEAD_LM, .scale_scores = true,
            .proto = { .mask = MASK_CAUSAL, .rope = 0, .ffn = FFN_PLAIN, .ffn_bias = true, .norm_before = true },
        },
    },
};
