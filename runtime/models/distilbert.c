/* DistilBERT: transformers/models/distilbert/{configuration,modeling}_distilbert.py. */
#include "models/encoder_rows.h"

static const char *const architectures[] = {
    "DistilBertModel", "DistilBertForMaskedLM", "DistilBertForSequenceClassification", "DistilBertForTokenClassification", "DistilBertForQuestionAnswering",
    "DistilBertForMultipleChoice", NULL,
};

static const architecture_row variants[] = {
    { .name = "DistilBertForMaskedLM", .stacks = 1, .heads = HEAD_MASKED_LM },
    { .name = "DistilBertForSequenceClassification", .stacks = 1, .heads = HEAD_SEQUENCE, .act = ACT_RELU },
    { .name = "DistilBertForTokenClassification", .stacks = 1, .heads = HEAD_TOKENS },
    { .name = "DistilBertForQuestionAnswering", .stacks = 1, .heads = HEAD_SPANS },
    { .name = "DistilBertForMultipleChoice", .stacks = 1, .heads = HEAD_CHOICE, .act = ACT_RELU },
    { 0 },
};

static const config_row config[] = {
    { "vocab_size", CONFIG_INT, STACK(0, vocabulary), CONFIG_FALLBACK, 30522, 0, 1, 1 << 24 },
    { "dim|hidden_size", CONFIG_INT, STACK(0, hidden), CONFIG_FALLBACK, 768, 0, 1, 1 << 20 },
    { "n_layers|num_hidden_layers", CONFIG_INT, STACK(0, layers), CONFIG_FALLBACK, 6, 0, 1, CUD_MAX_LAYERS },
    { "n_heads|num_attention_heads", CONFIG_INT, LAYER(0, heads), CONFIG_FALLBACK, 12, 0, 1, 4096 },
    { "hidden_dim", CONFIG_INT, LAYER(0, ffn_dim), CONFIG_FALLBACK, 3072, 0, 1, 1 << 22 },
    { "activation", CONFIG_ACTIVATION, LAYER(0, act), CONFIG_FALLBACK, ACT_GELU, 0, 0, 0 },
    { "max_position_embeddings", CONFIG_INT, STACK(0, positions), CONFIG_FALLBACK, 512, 0, 1, 1 << 24 },
    { "tie_word_embeddings", CONFIG_BOOL, STACK(0, tied), CONFIG_FALLBACK, true, 0, 0, 0 },
    { .key = "sinusoidal_pos_embds", .kind = CONFIG_IGNORED }, /* how the table was made, which is stored all the same */
    { .key = "tie_weights_", .kind = CONFIG_IGNORED },
    { .key = "dropout", .kind = CONFIG_IGNORED },
    { .key = "qa_dropout", .kind = CONFIG_IGNORED },
    { .key = "seq_classif_dropout", .kind = CONFIG_IGNORED },
    { 0 },
};

#define P "[distilbert.]"

static const tensor_row tensors[] = {
    BERT_EMBEDDINGS(P),
    LAYER_QKV(P "transformer.layer.{L}.attention.q_lin", P "transformer.layer.{L}.attention.k_lin", P "transformer.layer.{L}.attention.v_lin"),
    LAYER_LINEAR(P "transformer.layer.{L}.attention.out_lin", o, DIM_HIDDEN, DIM_O),
    LAYER_NORM(P "transformer.layer.{L}.sa_layer_norm", attn_post_norm),
    LAYER_LINEAR(P "transformer.layer.{L}.ffn.lin1", up, DIM_FFN, DIM_HIDDEN),
    LAYER_LINEAR(P "transformer.layer.{L}.ffn.lin2", down, DIM_HIDDEN, DIM_FFN),
    LAYER_NORM(P "transformer.layer.{L}.output_layer_norm", ffn_post_norm),
    TOP_WEIGHT("vocab_transform.weight", head_in.w, DIM_HIDDEN, DIM_HIDDEN, WHEN_STACK(masked_lm)),
    TOP_WEIGHT("pre_classifier.weight", head_in.w, DIM_HIDDEN, DIM_HIDDEN, WHEN_STACK(sequence)),
    TOP_WEIGHT("pre_classifier.weight", head_in.w, DIM_HIDDEN, DIM_HIDDEN, WHEN_STACK(choice)),
    TOP_VECTOR("vocab_transform.bias", head_in.bias, DIM_HIDDEN, WHEN_STACK(masked_lm)),
    TOP_VECTOR("pre_classifier.bias", head_in.bias, DIM_HIDDEN, WHEN_STACK(sequence)),
    TOP_VECTOR("pre_classifier.bias", head_in.bias, DIM_HIDDEN, WHEN_STACK(choice)),
    TOP_NORM("vocab_layer_norm", head_norm, DIM_HIDDEN, WHEN_STACK(masked_lm)),
    TOP_DECODER("vocab_projector.weight"),
    LABEL_WEIGHTS("classifier"),
    TOP_VECTOR("vocab_projector.bias", head.bias, DIM_VOCABULARY, WHEN_STACK(masked_lm)),
    LABEL_BIASES("classifier"),
    { 0 },
};

const family cud_family_distilbert = {
    .model_type = "distilbert",
    .architectures = architectures,
    .variants = variants,
    .config = config,
    .tensors = tensors,
    .base = { .stacks = 1, .stack[0] = { BERT_STACK, .eps = 1e-12, .proto = { BERT_LAYER } } },
};
