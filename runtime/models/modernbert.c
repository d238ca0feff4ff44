/* ModernBERT: transformers/models/modernbert/{configuration,modeling}_modernbert.py. Norms stand before the branches, every so many layers one sees
 * all tokens and the others a window, and the two kinds turn by ropes of their own. */
#include "models/encoder_rows.h"

static const char *const architectures[] = {
    "ModernBertModel", "ModernBertForMaskedLM", "ModernBertForSequenceClassification", "ModernBertForTokenClassification",
    "ModernBertForQuestionAnswering", "ModernBertForMultipleChoice", NULL,
};

static const architecture_row variants[] = {
    { .name = "ModernBertForMaskedLM", .stacks = 1, .heads = HEAD_MASKED_LM },
    { .name = "ModernBertForSequenceClassification", .stacks = 1, .heads = HEAD_SEQUENCE },
    { .name = "ModernBertForTokenClassification", .stacks = 1, .heads = HEAD_TOKENS },
    { .name = "ModernBertForQuestionAnswering", .stacks = 1, .heads = HEAD_SPANS },
    { .name = "ModernBertForMultipleChoice", .stacks = 1, .heads = HEAD_CHOICE },
    { 0 },
};

static const config_row config[] = {
    ENCODER_COMMON_CONFIG(50368, 768, 22, 12, 1152),
    { "hidden_activation", CONFIG_ACTIVATION, LAYER(0, act), CONFIG_FALLBACK, ACT_GELU, 0, 0, 0 },
    { "max_position_embeddings", CONFIG_INT, STACK(0, positions), CONFIG_FALLBACK, 8192, 0, 1, 1 << 24 },
    { "norm_eps", CONFIG_NUMBER, STACK(0, eps), CONFIG_FALLBACK, 1e-5, 0, 0, 1 },
    { "norm_bias", CONFIG_BOOL, STACK(0, norm_bias), CONFIG_FALLBACK, false, 0, 0, 0 },
    { "norm_bias", CONFIG_BOOL, LAYER(0, norm_bias), CONFIG_FALLBACK, false, 0, 0, 0 },
    { "attention_bias", CONFIG_BOOL, LAYER(0, qkv_bias), CONFIG_FALLBACK, false, 0, 0, 0 },
    { "mlp_bias", CONFIG_BOOL, LAYER(0, ffn_bias), CONFIG_FALLBACK, false, 0, 0, 0 },
    { "decoder_bias", CONFIG_NOT, STACK(0, bare_decoder), CONFIG_FALLBACK, true, 0, 0, 0 },
    { "classifier_bias", CONFIG_BOOL, STACK(0, head_in_bias), CONFIG_FALLBACK, false, 0, 0, 0 },
    { "classifier_activation", CONFIG_ACTIVATION, STACK(0, head_act), CONFIG_FALLBACK, ACT_GELU, 0, 0, 0 },
    { "classifier_pooling=mean|cls", CONFIG_WORD, STACK(0, head_mean), CONFIG_FALLBACK, false, 0, 0, 0 },
    { "local_attention", CONFIG_INT, LAYER(0, window), CONFIG_FALLBACK, 128, 0, 2, 1 << 24 },
    { "global_attn_every_n_layers", CONFIG_INT, STACK(0, every), CONFIG_FALLBACK, 3, 0, 1, CUD_MAX_LAYERS },
    { "layer_types", CONFIG_LAYER_TYPES, STACK(0, layer), CONFIG_EVERY, 0, STACK(0, every), 0, 0 },
    { "rope_parameters.full_attention|global_rope_theta", CONFIG_ROPE, STACK(0, rope[0]), CONFIG_FALLBACK, 160000, 0, 0, 0 },
    { "rope_parameters.sliding_attention|local_rope_theta", CONFIG_ROPE, STACK(0, rope[1]), CONFIG_FALLBACK, 10000, 0, 0, 0 },
    { "rope_scaling", CONFIG_ONLY, 0, CONFIG_FALLBACK, 0, 0, 0, 0 },
    { "layer_norm_eps", CONFIG_IGNORED, 0, 0, 0, 0, 0, 0 }, /* the first files say that twice; norm_eps counts */
    { .key = "initializer_cutoff_factor", .kind = CONFIG_IGNORED },
    { .key = "deterministic_flash_attn", .kind = CONFIG_IGNORED },
    { .key = "reference_compile", .kind = CONFIG_IGNORED },
    { .key = "repad_logits_with_grad", .kind = CONFIG_IGNORED },
    { .key = "sparse_prediction", .kind = CONFIG_IGNORED }, /* of the loss */
    { .key = "sparse_pred_ignore_index", .kind = CONFIG_IGNORED },
    { .key = "position_embedding_type", .kind = CONFIG_IGNORED }, /* "absolute" in the first files, which never was so */
    { .key = "embedding_dropout", .kind = CONFIG_IGNORED },
    { 0 },
};

#define P "[model.]"
#define VECTOR(name, slot, dim, when_, unless_) { P "layers.{L}." name, SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(slot), { dim }, .when = when_, .unless = unless_ }

static const tensor_row tensors[] = {
    { P "embeddings.tok_embeddings.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(embed), { DIM_VOCABULARY, DIM_HIDDEN }, .from = FROM_WHOLE },
    TOP_VECTOR(P "embeddings.norm.weight", embed_norm.weight, DIM_HIDDEN, 0),
    TOP_VECTOR(P "embeddings.norm.bias", embed_norm.bias, DIM_HIDDEN, WHEN_STACK(norm_bias)),
    VECTOR("attn_norm.weight", attn_norm.weight, DIM_HIDDEN, 0, WHEN_LAYER(bare)),
    VECTOR("attn_norm.bias", attn_norm.bias, DIM_HIDDEN, WHEN_LAYER(norm_bias), WHEN_LAYER(bare)),
    LAYER_WEIGHT(P "layers.{L}.attn.Wqkv.weight", qkv.w, DIM_QKV, DIM_HIDDEN),
    VECTOR("attn.Wqkv.bias", qkv.bias, DIM_QKV, WHEN_LAYER(qkv_bias), 0),
    LAYER_WEIGHT(P "layers.{L}.attn.Wo.weight", o.w, DIM_HIDDEN, DIM_O),
    VECTOR("attn.Wo.bias", o.bias, DIM_HIDDEN, WHEN_LAYER(qkv_bias), 0),
    VECTOR("mlp_norm.weight", ffn_norm.weight, DIM_HIDDEN, 0, 0),
    VECTOR("mlp_norm.bias", ffn_norm.bias, DIM_HIDDEN, WHEN_LAYER(norm_bias), 0),
    LAYER_WEIGHT(P "layers.{L}.mlp.Wi.weight", up.w, DIM_FFN_PAIR, DIM_HIDDEN),
    VECTOR("mlp.Wi.bias", up.bias, DIM_FFN_PAIR, WHEN_LAYER(ffn_bias), 0),
    LAYER_WEIGHT(P "layers.{L}.mlp.Wo.weight", down.w, DIM_HIDDEN, DIM_FFN),
    VECTOR("mlp.Wo.bias", down.bias, DIM_HIDDEN, WHEN_LAYER(ffn_bias), 0),
    TOP_VECTOR(P "final_norm.weight", final_norm.weight, DIM_HIDDEN, 0),
    TOP_VECTOR(P "final_norm.bias", final_norm.bias, DIM_HIDDEN, WHEN_STACK(norm_bias)),
    { "head.dense.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(head_in.w), { DIM_HIDDEN, DIM_HIDDEN }, .unless = WHEN_STACK(bare_head) },
    { "head.dense.bias", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(head_in.bias), { DIM_HIDDEN }, .when = WHEN_STACK(head_in_bias), .unless = WHEN_STACK(bare_head) },
    { "head.norm.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(head_norm.weight), { DIM_HIDDEN }, .unless = WHEN_STACK(bare_head) },
    { "head.norm.bias", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(head_norm.bias), { DIM_HIDDEN }, .when = WHEN_STACK(norm_bias), .unless = WHEN_STACK(bare_head) },
    TOP_DECODER("decoder.weight"),
    TOP_WEIGHT("classifier.weight", head.w, DIM_LABELS, DIM_HIDDEN, WHEN_STACK(sequence)),
    TOP_WEIGHT("classifier.weight", head.w, DIM_LABELS, DIM_HIDDEN, WHEN_STACK(tokens)),
    TOP_WEIGHT("classifier.weight", head.w, DIM_LABELS, DIM_HIDDEN, WHEN_STACK(choice)),
    TOP_WEIGHT("classifier.weight", head.w, DIM_LABELS, DIM_HIDDEN, WHEN_STACK(spans)),
    { "decoder.bias", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(head.bias), { DIM_VOCABULARY }, .when = WHEN_STACK(masked_lm), .unless = WHEN_STACK(bare_decoder) },
    TOP_VECTOR("classifier.bias", head.bias, DIM_LABELS, WHEN_STACK(sequence)),
    TOP_VECTOR("classifier.bias", head.bias, DIM_LABELS, WHEN_STACK(tokens)),
    TOP_VECTOR("classifier.bias", head.bias, DIM_LABELS, WHEN_STACK(choice)),
    TOP_VECTOR("classifier.bias", head.bias, DIM_LABELS, WHEN_STACK(spans)),
    { 0 },
};

const family cud_family_modernbert = {
    .model_type = "modernbert",
    .architectures = architectures,
    .variants = variants,
    .config = config,
    .tensors = tensors,
    .base = {
        .stacks = 1,
        .stack[0] = {
            .kind = STACK_ENCODER, .norm = NORM_LAYER, .embed_norm = true, .final_norm = true, .position = POSITION_ROPE, .scale_scores = true,
            .bare_first = true, .local_rope = true, .window_halves = true,
            .proto = { .attention = ATTN_SLIDING, .mask = MASK_FULL, .ffn = FFN_GATED, .norm_before = true },
        },
    },
};
