/* GPT-2: transformers/models/gpt2/{configuration,modeling}_gpt2.py. Linear layers are Conv1D, whose weights lie [in, out]. */
#include "models/family.h"

static const char *const architectures[] = { "GPT2LMHeadModel", NULL };

static const config_row config[] = {
    { "vocab_size", CONFIG_INT, STACK(0, vocabulary), CONFIG_FALLBACK, 50257, 0, 1, 1 << 24 },
    { "n_positions|n_ctx|max_position_embeddings", CONFIG_INT, STACK(0, positions), CONFIG_FALLBACK, 1024, 0, 1, 1 << 24 },
    { "n_embd|hidden_size", CONFIG_INT, STACK(0, hidden), CONFIG_FALLBACK, 768, 0, 1, 1 << 20 },
    { "n_layer|num_hidden_layers", CONFIG_INT, STACK(0, layers), CONFIG_FALLBACK, 12, 0, 1, CUD_MAX_LAYERS },
    { "n_head|num_attention_heads", CONFIG_INT, LAYER(0, heads), CONFIG_FALLBACK, 12, 0, 1, 4096 },
    { "n_inner", CONFIG_INT, LAYER(0, ffn_dim), CONFIG_LIKE, 4, STACK(0, hidden), 1, 1 << 22 },
    { "activation_function", CONFIG_ACTIVATION, LAYER(0, act), CONFIG_FALLBACK, ACT_GELU_TANH, 0, 0, 0 },
    { "layer_norm_epsilon", CONFIG_NUMBER, STACK(0, eps), CONFIG_FALLBACK, 1e-5, 0, 0, 1 },
    { "tie_word_embeddings", CONFIG_BOOL, STACK(0, tied), CONFIG_FALLBACK, true, 0, 0, 0 },
    { "scale_attn_weights", CONFIG_BOOL, STACK(0, scale_scores), CONFIG_FALLBACK, true, 0, 0, 0 },
    { "scale_attn_by_inverse_layer_idx", CONFIG_BOOL, STACK(0, scale_by_layer), CONFIG_FALLBACK, false, 0, 0, 0 },
    { "add_cross_attention", CONFIG_ONLY, 0, CONFIG_FALLBACK, false, 0, 0, 0 },
    { "reorder_and_upcast_attn", CONFIG_IGNORED, 0, 0, 0, 0, 0, 0 }, /* float16 range only: our scores are always float */
    { "attn_pdrop", CONFIG_IGNORED, 0, 0, 0, 0, 0, 0 },
    { "embd_pdrop", CONFIG_IGNORED, 0, 0, 0, 0, 0, 0 },
    { "resid_pdrop", CONFIG_IGNORED, 0, 0, 0, 0, 0, 0 },
    { "summary_activation", CONFIG_IGNORED, 0, 0, 0, 0, 0, 0 }, /* of the double-heads and sequence heads */
    { "summary_first_dropout", CONFIG_IGNORED, 0, 0, 0, 0, 0, 0 },
    { "summary_proj_to_labels", CONFIG_IGNORED, 0, 0, 0, 0, 0, 0 },
    { "summary_type", CONFIG_IGNORED, 0, 0, 0, 0, 0, 0 },
    { "summary_use_proj", CONFIG_IGNORED, 0, 0, 0, 0, 0, 0 },
    { 0 },
};

static const tensor_row tensors[] = {
    { "[transformer.]wte.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(embed), { DIM_VOCABULARY, DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[transformer.]wpe.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(positions), { DIM_POSITIONS, DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[transformer.]h.{L}.ln_1.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.weight), { DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[transformer.]h.{L}.ln_1.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.bias), { DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[transformer.]h.{L}.attn.c_attn.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_HIDDEN, DIM_QKV }, FROM_TRANSPOSED, 0, 0, 0 },
    { "[transformer.]h.{L}.attn.c_attn.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_QKV }, FROM_WHOLE, 0, 0, 0 },
    { "[transformer.]h.{L}.attn.c_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(o.w), { DIM_O, DIM_HIDDEN }, FROM_TRANSPOSED, 0, 0, 0 },
    { "[transformer.]h.{L}.attn.c_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(o.bias), { DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[transformer.]h.{L}.ln_2.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.weight), { DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[transformer.]h.{L}.ln_2.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.bias), { DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[transformer.]h.{L}.mlp.c_fc.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(up.w), { DIM_HIDDEN, DIM_FFN }, FROM_TRANSPOSED, 0, 0, 0 },
    { "[transformer.]h.{L}.mlp.c_fc.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(up.bias), { DIM_FFN }, FROM_WHOLE, 0, 0, 0 },
    { "[transformer.]h.{L}.mlp.c_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(down.w), { DIM_FFN, DIM_HIDDEN }, FROM_TRANSPOSED, 0, 0, 0 },
    { "[transformer.]h.{L}.mlp.c_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(down.bias), { DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[transformer.]ln_f.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.weight), { DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "[transformer.]ln_f.bias", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.bias), { DIM_HIDDEN }, FROM_WHOLE, 0, 0, 0 },
    { "lm_head.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(head.w), { DIM_VOCABULARY, DIM_HIDDEN }, FROM_WHOLE, 0, 0, WHEN_STACK(tied) },
    { "[transformer.]h.{L}.attn.bias", SLOT_IGNORED, SCOPE_LAYER, 0, 0, { DIM_NONE }, FROM_WHOLE, 0, 0, 0 }, /* the causal mask, a buffer */
    { "[transformer.]h.{L}.attn.masked_bias", SLOT_IGNORED, SCOPE_LAYER, 0, 0, { DIM_NONE }, FROM_WHOLE, 0, 0, 0 },
    { 0 },
};

const family cud_family_gpt2 = {
    .model_type = "gpt2",
    .architectures = architectures,
    .config = config,
    .tensors = tensors,
    .base = {
        .stacks = 1, .eos = { 50256 }, .eos_count = 1,
        .stack[0] = {
            .kind = STACK_DECODER, .norm = NORM_LAYER, .final_norm = true, .position = POSITION_LEARNED, .heads = HEAD_LM,
            .proto = { .mask = MASK_CAUSAL, .rope = -1, .qkv_bias = true, .o_bias = true, .ffn = FFN_PLAIN, .ffn_bias = true,
                       .norm_before = true },
        },
    },
};
