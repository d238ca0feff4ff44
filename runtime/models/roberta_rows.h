/* RoBERTa's tables, which XLM-RoBERTa and CamemBERT have under names of their own: transformers/models/roberta/{configuration,modeling}_roberta.py.
 * Positions are those of the tokens that are not padding, counted from behind the padding token's id. */
#ifndef CUD_MODELS_ROBERTA_ROWS_H
#define CUD_MODELS_ROBERTA_ROWS_H

#include "models/encoder_rows.h"

#define ROBERTA_ARCHITECTURES(n)                                                                                                                     \
    n "Model", n "ForMaskedLM", n "ForSequenceClassification", n "ForTokenClassification", n "ForQuestionAnswering", n "ForMultipleChoice", NULL
#define ROBERTA_VARIANTS(n)                                                                                                                          \
    { .name = n "ForMaskedLM", .stacks = 1, .heads = HEAD_MASKED_LM, .act = ACT_GELU },                                                               \
        { .name = n "ForSequenceClassification", .stacks = 1, .heads = HEAD_SEQUENCE, .act = ACT_TANH },                                              \
        { .name = n "ForTokenClassification", .stacks = 1, .heads = HEAD_TOKENS },                                                                    \
        { .name = n "ForQuestionAnswering", .stacks = 1, .heads = HEAD_SPANS },                                                                       \
        { .name = n "ForMultipleChoice", .stacks = 1, .heads = HEAD_CHOICE, .pooled = true }, { 0 }

/* In transformers 5 the defaults of all three; the files on the Hub say what is theirs. */
#define ROBERTA_CONFIG(vocabulary)                                                                                                                   \
    ENCODER_CONFIG(vocabulary, 768, 12, 12, 3072, ACT_GELU), ENCODER_TYPES_CONFIG, ENCODER_ABSOLUTE_CONFIG,                                           \
        { "pad_token_id", CONFIG_INT, STACK(0, position_offset), CONFIG_FALLBACK, 1, 0, 0, 1 << 20 },                                                 \
        { .key = "classifier_dropout", .kind = CONFIG_IGNORED }, { .key = "output_past", .kind = CONFIG_IGNORED }, { 0 }

#define ROBERTA_TENSORS                                                                                                                              \
    BERT_EMBEDDINGS("[roberta.]"), BERT_TYPES("[roberta.]"), BERT_LAYERS("[roberta.]"), TOP_POOLER("[roberta.]pooler.dense"),                         \
        TOP_WEIGHT("lm_head.dense.weight", head_in.w, DIM_HIDDEN, DIM_HIDDEN, WHEN_STACK(masked_lm)),                                                 \
        TOP_WEIGHT("classifier.dense.weight", head_in.w, DIM_HIDDEN, DIM_HIDDEN, WHEN_STACK(sequence)),                                               \
        TOP_VECTOR("lm_head.dense.bias", head_in.bias, DIM_HIDDEN, WHEN_STACK(masked_lm)),                                                            \
        TOP_VECTOR("classifier.dense.bias", head_in.bias, DIM_HIDDEN, WHEN_STACK(sequence)),                                                          \
        TOP_NORM("lm_head.layer_norm", head_norm, DIM_HIDDEN, WHEN_STACK(masked_lm)), TOP_DECODER("lm_head.decoder.weight"),                          \
        LABEL_WEIGHTS("classifier.out_proj"),                                                                                                        \
        TOP_VECTOR("lm_head.bias|lm_head.decoder.bias", head.bias, DIM_VOCABULARY, WHEN_STACK(masked_lm)),                                            \
        LABEL_BIASES("classifier.out_proj"), TOP_IGNORED("lm_head.decoder.bias"), { 0 }

#define ROBERTA_BASE { .stacks = 1, .stack[0] = { BERT_STACK, .after_pad = true, .position_offset = 1, .proto = { BERT_LAYER } } }

#endif
