/* ELECTRA: transformers/models/electra/{configuration,modeling}_electra.py. The generator is a masked language model, the discriminator has a
 * head that finds replaced tokens, which is not offered. */
#include "models/encoder_rows.h"

static const char *const architectures[] = {
    "ElectraModel", "ElectraForPreTraining", "ElectraForMaskedLM", "ElectraForSequenceClassification", "ElectraForTokenClassification",
    "ElectraForQuestionAnswering", "ElectraForMultipleChoice", NULL,
};

static const architecture_row variants[] = {
    { .name = "ElectraForPreTraining", .stacks = 1, .heads = 0 },
    { .name = "ElectraForMaskedLM", .stacks = 1, .heads = HEAD_MASKED_LM, .act = ACT_GELU },
    { .name = "ElectraForSequenceClassification", .stacks = 1, .heads = HEAD_SEQUENCE, .act = ACT_GELU },
    { .name = "ElectraForTokenClassification", .stacks = 1, .heads = HEAD_TOKENS },
    { .name = "ElectraForQuestionAnswering", .stacks = 1, .heads = HEAD_SPANS },
    { .name = "ElectraForMultipleChoice", .stacks = 1, .heads = HEAD_CHOICE, .act = ACT_GELU },
    { 0 },
};

static const config_row config[] = {
    ENCODER_CONFIG(30522, 256, 12, 4, 1024, ACT_GELU),
    { "embedding_size", CONFIG_INT, STACK(0, embed_dim), CONFIG_FALLBACK, 128, 0, 1, 1 << 20 },
    ENCODER_TYPES_CONFIG,
    ENCODER_ABSOLUTE_CONFIG,
    /* The summary of multiple choice, in the only shape that its files have. */
    { "summary_type=first", CONFIG_ONLY, 0, CONFIG_FALLBACK, 0, 0, 0, 0 },
    { "summary_use_proj", CONFIG_ONLY, 0, CONFIG_FALLBACK, true, 0, 0, 0 },
    { "summary_activation=gelu", CONFIG_ONLY, 0, CONFIG_FALLBACK, 0, 0, 0, 0 },
    { .key = "summary_last_dropout", .kind = CONFIG_IGNORED },
    { .key = "classifier_dropout", .kind = CONFIG_IGNORED },
    { 0 },
};

#define P "[electra.]"

static const tensor_row tensors[] = {
    BERT_EMBEDDINGS(P),
    BERT_TYPES(P),
    TOP_LINEAR(P "embeddings_project", embed_in, DIM_HIDDEN, DIM_EMBED, WHEN_STACK(embed_project)),
    BERT_LAYERS(P),
    TOP_WEIGHT("generator_predictions.dense.weight", head_in.w, DIM_EMBED, DIM_HIDDEN, WHEN_STACK(masked_lm)),
    TOP_WEIGHT("classifier.dense.weight", head_in.w, DIM_HIDDEN, DIM_HIDDEN, WHEN_STACK(sequence)),
    TOP_WEIGHT("sequence_summary.summary.weight", head_in.w, DIM_HIDDEN, DIM_HIDDEN, WHEN_STACK(choice)),
    TOP_VECTOR("generator_predictions.dense.bias", head_in.bias, DIM_EMBED, WHEN_STACK(masked_lm)),
    TOP_VECTOR("classifier.dense.bias", head_in.bias, DIM_HIDDEN, WHEN_STACK(sequence)),
    TOP_VECTOR("sequence_summary.summary.bias", head_in.bias, DIM_HIDDEN, WHEN_STACK(choice)),
    TOP_NORM("generator_predictions.LayerNorm", head_norm, DIM_EMBED, WHEN_STACK(masked_lm)),
    TOP_DECODER("generator_lm_head.weight"),
    LABEL_WEIGHTS("classifier.out_proj"),
    TOP_VECTOR("generator_lm_head.bias", head.bias, DIM_VOCABULARY, WHEN_STACK(masked_lm)),
    LABEL_BIASES("classifier.out_proj"),
    TOP_IGNORED("discriminator_predictions.dense.weight"),
    TOP_IGNORED("discriminator_predictions.dense.bias"),
    TOP_IGNORED("discriminator_predictions.dense_prediction.weight"),
    TOP_IGNORED("discriminator_predictions.dense_prediction.bias"),
    { 0 },
};

const family cud_family_electra = {
    .model_type = "electra",
    .architectures = architectures,
    .variants = variants,
    .config = config,
    .tensors = tensors,
    .base = { .stacks = 1, .stack[0] = { BERT_STACK, .proto = { BERT_LAYER } } },
};
