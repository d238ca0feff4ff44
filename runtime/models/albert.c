/* ALBERT: transformers/models/albert/{configuration,modeling}_albert.py. Layers of a group share their weights. */
#include "models/encoder_rows.h"

static const char *const architectures[] = {
    "AlbertModel", "AlbertForMaskedLM", "AlbertForPreTraining", "AlbertForSequenceClassification", "AlbertForTokenClassification",
    "AlbertForQuestionAnswering", "AlbertForMultipleChoice", NULL,
};

static const architecture_row variants[] = {
    { .name = "AlbertForMaskedLM", .stacks = 1, .heads = HEAD_MASKED_LM },
    { .name = "AlbertForPreTraining", .stacks = 1, .heads = HEAD_MASKED_LM }, /* the order of sentences is not offered */
    { .name = "AlbertForSequenceClassification", .stacks = 1, .heads = HEAD_SEQUENCE, .pooled = true },
    { .name = "AlbertForTokenClassification", .stacks = 1, .heads = HEAD_TOKENS },
    { .name = "AlbertForQuestionAnswering", .stacks = 1, .heads = HEAD_SPANS },
    { .name = "AlbertForMultipleChoice", .stacks = 1, .heads = HEAD_CHOICE, .pooled = true },
    { 0 },
};

static const config_row config[] = {
    ENCODER_CONFIG(30000, 4096, 12, 64, 16384, ACT_GELU_TANH),
    { "embedding_size", CONFIG_INT, STACK(0, embed_dim), CONFIG_FALLBACK, 128, 0, 1, 1 << 20 },
    { "num_hidden_groups", CONFIG_INT, STACK(0, groups), CONFIG_FALLBACK, 1, 0, 1, CUD_MAX_LAYERS },
    { "inner_group_num", CONFIG_ONLY, 0, CONFIG_FALLBACK, 1, 0, 0, 0 },
    ENCODER_TYPES_CONFIG,
    ENCODER_ABSOLUTE_CONFIG,
    { .key = "classifier_dropout_prob", .kind = CONFIG_IGNORED },
    { .key = "down_scale_factor", .kind = CONFIG_IGNORED }, /* of the first files; no code reads these */
    { .key = "gap_size", .kind = CONFIG_IGNORED },
    { .key = "net_structure_type", .kind = CONFIG_IGNORED },
    { .key = "num_memory_blocks", .kind = CONFIG_IGNORED },
    { 0 },
};

#define P "[albert.]"
#define SHARED P "encoder.albert_layer_groups.{G}.albert_layers.0."

static const tensor_row tensors[] = {
    BERT_EMBEDDINGS(P),
    BERT_TYPES(P),
    TOP_LINEAR(P "encoder.embedding_hidden_mapping_in", embed_in, DIM_HIDDEN, DIM_EMBED, 0),
    LAYER_QKV(SHARED "attention.query", SHARED "attention.key", SHARED "attention.value"),
    LAYER_LINEAR(SHARED "attention.dense", o, DIM_HIDDEN, DIM_O),
    LAYER_NORM(SHARED "attention.LayerNorm", attn_post_norm),
    LAYER_LINEAR(SHARED "ffn", up, DIM_FFN, DIM_HIDDEN),
    LAYER_LINEAR(SHARED "ffn_output", down, DIM_HIDDEN, DIM_FFN),
    LAYER_NORM(SHARED "full_layer_layer_norm", ffn_post_norm),
    TOP_POOLER(P "pooler"),
    TOP_LINEAR("predictions.dense", head_in, DIM_EMBED, DIM_HIDDEN, WHEN_STACK(masked_lm)),
    TOP_NORM("predictions.LayerNorm", head_norm, DIM_EMBED, WHEN_STACK(masked_lm)),
    TOP_DECODER("predictions.decoder.weight"),
    LABEL_WEIGHTS("classifier"),
    TOP_VECTOR("predictions.bias|predictions.decoder.bias", head.bias, DIM_VOCABULARY, WHEN_STACK(masked_lm)),
    LABEL_BIASES("classifier"),
    TOP_IGNORED("predictions.decoder.bias"),
    TOP_IGNORED("sop_classifier.classifier.weight"),
    TOP_IGNORED("sop_classifier.classifier.bias"),
    { 0 },
};


const family cud_family_albert = {
    .model_type = "albert",
    .architectures = architectures,
    .variants = variants,
    .config = config,
    .tensors = tensors,
    .base = { .stacks = 1, .stack[0] = { BERT_STACK, .embed_project = true, .proto = { BERT_LAYER } } },
};
