/* MPNet: transformers/models/mpnet/{configuration,modeling}_mpnet.py. Every layer adds the same bias by relative position. */
#include "models/encoder_rows.h"

static const char *const architectures[] = {
    "MPNetModel", "MPNetForMaskedLM", "MPNetForSequenceClassification", "MPNetForTokenClassification", "MPNetForQuestionAnswering", "MPNetForMultipleChoice",
    NULL,
};

static const architecture_row variants[] = {
    { .name = "MPNetForMaskedLM", .stacks = 1, .heads = HEAD_MASKED_LM, .act = ACT_GELU },
    { .name = "MPNetForSequenceClassification", .stacks = 1, .heads = HEAD_SEQUENCE, .act = ACT_TANH },
    { .name = "MPNetForTokenClassification", .stacks = 1, .heads = HEAD_TOKENS },
    { .name = "MPNetForQuestionAnswering", .stacks = 1, .heads = HEAD_SPANS },
    { .name = "MPNetForMultipleChoice", .stacks = 1, .heads = HEAD_CHOICE, .pooled = true },
    { 0 },
};

static const config_row config[] = {
    ENCODER_CONFIG(30527, 768, 12, 12, 3072, ACT_GELU),
    { "relative_attention_num_buckets", CONFIG_ONLY, 0, CONFIG_FALLBACK, 32, 0, 0, 0 }, /* the code counts on 32 whatever it says */
    { 0 },
};

#define P "[mpnet.]"

static const tensor_row tensors[] = {
    BERT_EMBEDDINGS(P),
    { P "encoder.relative_attention_bias.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(buckets), { DIM_BUCKETS, DIM_HEADS }, .from = FROM_COLUMNS },
    LAYER_QKV(P "encoder.layer.{L}.attention.attn.q", P "encoder.layer.{L}.attention.attn.k", P "encoder.layer.{L}.attention.attn.v"),
    LAYER_LINEAR(P "encoder.layer.{L}.attention.attn.o", o, DIM_HIDDEN, DIM_O),
    LAYER_NORM(P "encoder.layer.{L}.attention.LayerNorm", attn_post_norm),
    BERT_FFN(P),
    TOP_POOLER(P "pooler.dense"),
    TOP_WEIGHT("lm_head.dense.weight", head_in.w, DIM_HIDDEN, DIM_HIDDEN, WHEN_STACK(masked_lm)),
    TOP_WEIGHT("classifier.dense.weight", head_in.w, DIM_HIDDEN, DIM_HIDDEN, WHEN_STACK(sequence)),
    TOP_VECTOR("lm_head.dense.bias", head_in.bias, DIM_HIDDEN, WHEN_STACK(masked_lm)),
    TOP_VECTOR("classifier.dense.bias", head_in.bias, DIM_HIDDEN, WHEN_STACK(sequence)),
    TOP_NORM("lm_head.layer_norm", head_norm, DIM_HIDDEN, WHEN_STACK(masked_lm)),
    TOP_DECODER("lm_head.decoder.weight"),
    LABEL_WEIGHTS("classifier.out_proj"),
    TOP_VECTOR("lm_head.bias|lm_head.decoder.bias", head.bias, DIM_VOCABULARY, WHEN_STACK(masked_lm)),
    LABEL_BIASES("classifier.out_proj"),
    TOP_IGNORED("lm_head.decoder.bias"),
    { 0 },
};

const family cud_family_mpnet = {
    .model_type = "mpnet",
    .architectures = architectures,
    .variants = variants,
    .config = config,
    .tensors = tensors,
    .base = { .stacks = 1,
              .stack[0] = { BERT_STACK, .after_pad = true, .position_offset = 1, .buckets = 32, .bucket_distance = 128, .proto = { BERT_LAYER } } },
};
