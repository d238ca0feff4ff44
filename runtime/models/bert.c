/* BERT: transformers/models/bert/{configuration,modeling}_bert.py. */
#include "models/encoder_rows.h"

static const char *const architectures[] = {
    "BertModel", "BertForMaskedLM", "BertForPreTraining", "BertForSequenceClassification", "BertForTokenClassification", "BertForQuestionAnswering",
    "BertForMultipleChoice", NULL,
};

static const architecture_row variants[] = {
    { .name = "BertForMaskedLM", .stacks = 1, .heads = HEAD_MASKED_LM },
    { .name = "BertForPreTraining", .stacks = 1, .heads = HEAD_MASKED_LM }, /* whether one sentence follows another is not offered */
    { .name = "BertForSequenceClassification", .stacks = 1, .heads = HEAD_SEQUENCE, .pooled = true },
    { .name = "BertForTokenClassification", .stacks = 1, .heads = HEAD_TOKENS },
    { .name = "BertForQuestionAnswering", .stacks = 1, .heads = HEAD_SPANS },
    { .name = "BertForMultipleChoice", .stacks = 1, .heads = HEAD_CHOICE, .pooled = true },
    { 0 },
};

static const config_row config[] = {
    ENCODER_CONFIG(30522, 768, 12, 12, 3072, ACT_GELU),
    ENCODER_TYPES_CONFIG,
    ENCODER_ABSOLUTE_CONFIG,
    { .key = "classifier_dropout", .kind = CONFIG_IGNORED },
    { .key = "directionality", .kind = CONFIG_IGNORED }, /* of the pooler of Google's multilingual files; no code reads them */
    { .key = "pooler_fc_size", .kind = CONFIG_IGNORED },
    { .key = "pooler_num_attention_heads", .kind = CONFIG_IGNORED },
    { .key = "pooler_num_fc_layers", .kind = CONFIG_IGNORED },
    { .key = "pooler_size_per_head", .kind = CONFIG_IGNORED },
    { .key = "pooler_type", .kind = CONFIG_IGNORED },
    { 0 },
};

static const tensor_row tensors[] = {
    BERT_EMBEDDINGS("[bert.]"),
    BERT_TYPES("[bert.]"),
    BERT_LAYERS("[bert.]"),
    TOP_POOLER("[bert.]pooler.dense"),
    TOP_LINEAR("cls.predictions.transform.dense", head_in, DIM_EMBED, DIM_HIDDEN, WHEN_STACK(masked_lm)),
    TOP_NORM("cls.predictions.transform.LayerNorm", head_norm, DIM_EMBED, WHEN_STACK(masked_lm)),
    TOP_DECODER("cls.predictions.decoder.weight"),
    LABEL_WEIGHTS("classifier"),
    TOP_VECTOR("cls.predictions.bias|cls.predictions.decoder.bias", head.bias, DIM_VOCABULARY, WHEN_STACK(masked_lm)),
    LABEL_BIASES("classifier"),
    TOP_IGNORED("cls.predictions.decoder.bias"), /* the same as cls.predictions.bias */
    TOP_IGNORED("cls.seq_relationship.weight"),
    TOP_IGNORED("cls.seq_relationship.bias"),
    { 0 },
};

const family cud_family_bert = {
    .model_type = "bert",
    .architectures = architectures,
    .variants = variants,
    .config = config,
    .tensors = tensors,
    .base = { .stacks = 1, .stack[0] = { BERT_STACK, .proto = { BERT_LAYER } } },
};
