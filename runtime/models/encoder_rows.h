/* What families shaped like BERT share: config keys, tensors, architectures. Each macro is some rows of a family's table. Names of norms from
 * TensorFlow's days (gamma, beta) are read too. */
#ifndef CUD_MODELS_ENCODER_ROWS_H
#define CUD_MODELS_ENCODER_ROWS_H

#include "models/family.h"

/* ---- rows of one tensor; `condition` is WHEN_STACK(...), WHEN_LAYER(...), or 0 for always ---- */

#define TOP_WEIGHT(name, slot, n, k, condition) { name, SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(slot), { n, k }, .when = (condition) }
#define TOP_VECTOR(name, slot, dim, condition) { name, SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(slot), { dim }, .when = (condition) }
#define TOP_TABLE(name, slot, rows, cols) { name, SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(slot), { rows, cols }, .from = FROM_WHOLE }
#define TOP_IGNORED(name) { name, SLOT_IGNORED, SCOPE_STACK, .stack = 0 }
#define LAYER_WEIGHT(name, slot, n, k) { name, SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(slot), { n, k }, .from = FROM_WHOLE }
#define LAYER_VECTOR(name, slot, dim) { name, SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(slot), { dim }, .from = FROM_WHOLE }

/* A linear layer: weight and bias. */
#define TOP_LINEAR(name, slot, n, k, condition) TOP_WEIGHT(name ".weight", slot.w, n, k, condition), TOP_VECTOR(name ".bias", slot.bias, n, condition)
#define LAYER_LINEAR(name, slot, n, k) LAYER_WEIGHT(name ".weight", slot.w, n, k), LAYER_VECTOR(name ".bias", slot.bias, n)
/* Three of them that become one. */
#define LAYER_QKV(q, k, v)                                                                                                                          \
    LAYER_WEIGHT(q ".weight", qkv.w, DIM_Q, DIM_HIDDEN), LAYER_WEIGHT(k ".weight", qkv.w, DIM_K, DIM_HIDDEN),                                         \
        LAYER_WEIGHT(v ".weight", qkv.w, DIM_V, DIM_HIDDEN), LAYER_VECTOR(q ".bias", qkv.bias, DIM_Q), LAYER_VECTOR(k ".bias", qkv.bias, DIM_K),     \
        LAYER_VECTOR(v ".bias", qkv.bias, DIM_V)
/* A norm, under its new and its old name. */
#define TOP_NORM(name, slot, dim, condition)                                    \
    TOP_VECTOR(name ".weight|" name ".gamma", slot.weight, dim, condition),     \
        TOP_VECTOR(name ".bias|" name ".beta", slot.bias, dim, condition)
#define LAYER_NORM(name, slot) LAYER_VECTOR(name ".weight|" name ".gamma", slot.weight, DIM_HIDDEN), LAYER_VECTOR(name ".bias|" name ".beta", slot.bias, DIM_HIDDEN)

/* A pooler that may be missing unless the head reads it. */
#define TOP_POOLER(name)                                                                                                                             \
    { name ".weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(pooler.w), { DIM_HIDDEN, DIM_HIDDEN }, .maybe = WHEN_STACK(pooler_spare) },                 \
        { name ".bias", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(pooler.bias), { DIM_HIDDEN }, .maybe = WHEN_STACK(pooler_spare) }

/* The last layer of a masked language model, which is the embedding table where none is stored. */
#define TOP_DECODER(name)                                                                                                                            \
    { name, SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(head.w), { DIM_VOCABULARY, DIM_EMBED }, .when = WHEN_STACK(masked_lm), .maybe = WHEN_STACK(tied) }

/* ---- what several families have ---- */

/* Keys that mean the same in all of them. */
#define ENCODER_COMMON_CONFIG(vocabulary_, hidden_, layers_, heads_, ffn_)                                                                            \
    { "vocab_size", CONFIG_INT, STACK(0, vocabulary), CONFIG_FALLBACK, vocabulary_, 0, 1, 1 << 24 },                                                  \
        { "hidden_size", CONFIG_INT, STACK(0, hidden), CONFIG_FALLBACK, hidden_, 0, 1, 1 << 20 },                                                     \
        { "num_hidden_layers", CONFIG_INT, STACK(0, layers), CONFIG_FALLBACK, layers_, 0, 1, CUD_MAX_LAYERS },                                        \
        { "num_attention_heads", CONFIG_INT, LAYER(0, heads), CONFIG_FALLBACK, heads_, 0, 1, 4096 },                                                  \
        { "intermediate_size", CONFIG_INT, LAYER(0, ffn_dim), CONFIG_FALLBACK, ffn_, 0, 1, 1 << 22 },                                                 \
        { "tie_word_embeddings", CONFIG_BOOL, STACK(0, tied), CONFIG_FALLBACK, true, 0, 0, 0 },                                                       \
        { "is_decoder", CONFIG_ONLY, 0, CONFIG_FALLBACK, false, 0, 0, 0 }

#define ENCODER_CONFIG(vocabulary_, hidden_, layers_, heads_, ffn_, act_)                                                                             \
    ENCODER_COMMON_CONFIG(vocabulary_, hidden_, layers_, heads_, ffn_),                                                                               \
        { "hidden_act", CONFIG_ACTIVATION, LAYER(0, act), CONFIG_FALLBACK, act_, 0, 0, 0 },                                                           \
        { "layer_norm_eps", CONFIG_NUMBER, STACK(0, eps), CONFIG_FALLBACK, 1e-12, 0, 0, 1 },                                                          \
        { "max_position_embeddings", CONFIG_INT, STACK(0, positions), CONFIG_FALLBACK, 512, 0, 1, 1 << 24 }

#define ENCODER_TYPES_CONFIG { "type_vocab_size", CONFIG_INT, STACK(0, types), CONFIG_FALLBACK, 2, 0, 1, 1 << 16 }
/* Older files of BERT's relatives say it; other values need tensors that nothing here knows. */
#define ENCODER_ABSOLUTE_CONFIG { "position_embedding_type=absolute", CONFIG_ONLY, 0, CONFIG_FALLBACK, 0, 0, 0, 0 }

/* Settings of the summaries that older files have for all of their relatives. */
#define ENCODER_SUMMARY_IGNORED                                                                                                                      \
    { .key = "summary_activation", .kind = CONFIG_IGNORED }, { .key = "summary_last_dropout", .kind = CONFIG_IGNORED },                               \
        { .key = "summary_type", .kind = CONFIG_IGNORED }, { .key = "summary_use_proj", .kind = CONFIG_IGNORED }

/* BERT's embeddings and layers below `p`, "[bert.]". */
#define BERT_EMBEDDINGS(p)                                                                                                                            \
    { p "embeddings.word_embeddings.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(embed), { DIM_VOCABULARY, DIM_EMBED }, .from = FROM_WHOLE },         \
        TOP_TABLE(p "embeddings.position_embeddings.weight", positions, DIM_POSITIONS, DIM_EMBED),                                                    \
        TOP_NORM(p "embeddings.LayerNorm", embed_norm, DIM_EMBED, 0), TOP_IGNORED(p "embeddings.position_ids"),                                       \
        TOP_IGNORED(p "embeddings.token_type_ids")
#define BERT_TYPES(p) TOP_TABLE(p "embeddings.token_type_embeddings.weight", types, DIM_TYPES, DIM_EMBED)
#define BERT_LAYERS(p)                                                                                                                                \
    LAYER_QKV(p "encoder.layer.{L}.attention.self.query", p "encoder.layer.{L}.attention.self.key", p "encoder.layer.{L}.attention.self.value"),       \
        LAYER_LINEAR(p "encoder.layer.{L}.attention.output.dense", o, DIM_HIDDEN, DIM_O),                                                             \
        LAYER_NORM(p "encoder.layer.{L}.attention.output.LayerNorm", attn_post_norm), BERT_FFN(p)
#define BERT_FFN(p)                                                                                                                                   \
    LAYER_LINEAR(p "encoder.layer.{L}.intermediate.dense", up, DIM_FFN, DIM_HIDDEN),                                                                  \
        LAYER_LINEAR(p "encoder.layer.{L}.output.dense", down, DIM_HIDDEN, DIM_FFN), LAYER_NORM(p "encoder.layer.{L}.output.LayerNorm", ffn_post_norm)


/* The last layer of heads that give labels, `s` being that of a sequence's; all of one slot, and so between the rows of that slot. */
#define LABEL_WEIGHTS(s)                                                                                                                             \
    TOP_WEIGHT(s ".weight", head.w, DIM_LABELS, DIM_HIDDEN, WHEN_STACK(sequence)),                                                                    \
        TOP_WEIGHT("classifier.weight", head.w, DIM_LABELS, DIM_HIDDEN, WHEN_STACK(tokens)),                                                          \
        TOP_WEIGHT("classifier.weight", head.w, DIM_LABELS, DIM_HIDDEN, WHEN_STACK(choice)),                                                          \
        TOP_WEIGHT("qa_outputs.weight", head.w, DIM_LABELS, DIM_HIDDEN, WHEN_STACK(spans))
#define LABEL_BIASES(s)                                                                                                                              \
    TOP_VECTOR(s ".bias", head.bias, DIM_LABELS, WHEN_STACK(sequence)), TOP_VECTOR("classifier.bias", head.bias, DIM_LABELS, WHEN_STACK(tokens)),     \
        TOP_VECTOR("classifier.bias", head.bias, DIM_LABELS, WHEN_STACK(choice)), TOP_VECTOR("qa_outputs.bias", head.bias, DIM_LABELS, WHEN_STACK(spans))

/* What BERT's layers are, apart from config.json. */
#define BERT_STACK                                                                                                                                    \
    .kind = STACK_ENCODER, .norm = NORM_LAYER, .embed_norm = true, .position = POSITION_LEARNED, .scale_scores = true, .pooler_act = ACT_TANH
#define BERT_LAYER                                                                                                                                    \
    .mask = MASK_FULL, .rope = -1, .qkv_bias = true, .o_bias = true, .ffn = FFN_PLAIN, .ffn_bias = true, .norm_sum = true

#endif
