/* T5, v1.1, Flan: transformers/models/t5/{configuration,modeling}_t5.py. Two stacks, one embedding table, no biases, relative positions. */
#include "models/family.h"

static const char *const architectures[] = { "T5ForConditionalGeneration", "T5EncoderModel", NULL };

static const architecture_row variants[] = {
    { .name = "T5EncoderModel", .stacks = 1 },
    { 0 },
};

static const config_row config[] = {
    { "vocab_size", CONFIG_INT, STACK(0, vocabulary), CONFIG_FALLBACK, 32128, .min = 1, .max = 1 << 24 },
    { "vocab_size", CONFIG_INT, STACK(1, vocabulary), CONFIG_FALLBACK, 32128, .min = 1, .max = 1 << 24 },
    { "d_model|hidden_size", CONFIG_INT, STACK(0, hidden), CONFIG_FALLBACK, 512, .min = 1, .max = 1 << 20 },
    { "d_model|hidden_size", CONFIG_INT, STACK(1, hidden), CONFIG_FALLBACK, 512, .min = 1, .max = 1 << 20 },
    { "d_kv|head_dim", CONFIG_INT, LAYER(0, head_dim), CONFIG_FALLBACK, 64, .min = 1, .max = 4096 },
    { "d_kv|head_dim", CONFIG_INT, LAYER(1, head_dim), CONFIG_FALLBACK, 64, .min = 1, .max = 4096 },
    { "d_ff", CONFIG_INT, LAYER(0, ffn_dim), CONFIG_FALLBACK, 2048, .min = 1, .max = 1 << 22 },
    { "d_ff", CONFIG_INT, LAYER(1, ffn_dim), CONFIG_FALLBACK, 2048, .min = 1, .max = 1 << 22 },
    { "num_layers|num_hidden_layers", CONFIG_INT, STACK(0, layers), CONFIG_FALLBACK, 6, .min = 1, .max = CUD_MAX_LAYERS },
    { "num_decoder_layers", CONFIG_INT, STACK(1, layers), CONFIG_LIKE, 1, STACK(0, layers), .min = 1, .max = CUD_MAX_LAYERS },
    { "num_heads|num_attention_heads", CONFIG_INT, LAYER(0, heads), CONFIG_FALLBACK, 8, .min = 1, .max = 4096 },
    { "num_heads|num_attention_heads", CONFIG_INT, LAYER(1, heads), CONFIG_FALLBACK, 8, .min = 1, .max = 4096 },
    { "relative_attention_num_buckets", CONFIG_INT, STACK(0, buckets), CONFIG_FALLBACK, 32, .min = 4, .max = 4096 },
    { "relative_attention_num_buckets", CONFIG_INT, STACK(1, buckets), CONFIG_FALLBACK, 32, .min = 4, .max = 4096 },
    { "relative_attention_max_distance", CONFIG_INT, STACK(0, bucket_distance), CONFIG_FALLBACK, 128, .min = 1, .max = 1 << 24 },
    { "relative_attention_max_distance", CONFIG_INT, STACK(1, bucket_distance), CONFIG_FALLBACK, 128, .min = 1, .max = 1 << 24 },
    { "n_positions", CONFIG_INT, STACK(0, positions), CONFIG_FALLBACK, 512, .min = 1, .max = 1 << 24 }, /* a habit: no tensor has this length */
    { "n_positions", CONFIG_INT, STACK(1, positions), CONFIG_FALLBACK, 512, .min = 1, .max = 1 << 24 },
    { "layer_norm_epsilon", CONFIG_NUMBER, STACK(0, eps), CONFIG_FALLBACK, 1e-6, .max = 1 },
    { "layer_norm_epsilon", CONFIG_NUMBER, STACK(1, eps), CONFIG_FALLBACK, 1e-6, .max = 1 },
    { "feed_forward_proj", CONFIG_FFN, STACK(0, proto), CONFIG_FALLBACK, .fallback = ACT_RELU }, /* fallback: FFN_PLAIN with it */
    { "feed_forward_proj", CONFIG_FFN, STACK(1, proto), CONFIG_FALLBACK, .fallback = ACT_RELU },
    { "tie_word_embeddings", CONFIG_BOOL, STACK(1, tied), CONFIG_FALLBACK, .fallback = true },
    /* v4 scales if it ties; v5 says that it ties whatever it does, and scales if it says so */
    { "scale_decoder_outputs|tie_word_embeddings", CONFIG_BOOL, STACK(1, scale_logits), CONFIG_FALLBACK, .fallback = true },
    { .key = "is_gated_act", .kind = CONFIG_IGNORED }, /* both follow from feed_forward_proj */
    { .key = "dense_act_fn", .kind = CONFIG_IGNORED },
    { .key = "is_encoder_decoder", .kind = CONFIG_IGNORED }, /* the architecture says */
    { .key = "is_decoder", .kind = CONFIG_IGNORED },
    { .key = "initializer_factor", .kind = CONFIG_IGNORED },
    { .key = "dropout_rate", .kind = CONFIG_IGNORED },
    { .key = "classifier_dropout", .kind = CONFIG_IGNORED },
    { .key = "output_past", .kind = CONFIG_IGNORED },
    { 0 },
};


static const tensor_row tensors[] = {
    { "shared.weight|encoder.embed_tokens.weight|decoder.embed_tokens.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(embed), { DIM_VOCABULARY, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "encoder.embed_tokens.weight", SLOT_IGNORED, .scope = SCOPE_STACK, .stack = 0 }, /* copies in old files */
    { "decoder.embed_tokens.weight", SLOT_IGNORED, .scope = SCOPE_STACK, .stack = 0 },

    { "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(buckets), { DIM_BUCKETS, DIM_HEADS }, .from = FROM_WHOLE },
    { "encoder.block.{L}.layer.0.layer_norm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "encoder.block.{L}.layer.0.SelfAttention.q.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_Q, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "encoder.block.{L}.layer.0.SelfAttention.k.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_K, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "encoder.block.{L}.layer.0.SelfAttention.v.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_V, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "encoder.block.{L}.layer.0.SelfAttention.o.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(o.w), { DIM_HIDDEN, DIM_O }, .from = FROM_WHOLE },
    { "encoder.block.{L}.layer.1.layer_norm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "encoder.block.{L}.layer.1.DenseReluDense.wi.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .unless = WHEN_LAYER(gated) },
    { "encoder.block.{L}.layer.1.DenseReluDense.wi_0.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .when = WHEN_LAYER(gated) },
    { "encoder.block.{L}.layer.1.DenseReluDense.wi_1.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .when = WHEN_LAYER(gated) },
    { "encoder.block.{L}.layer.1.DenseReluDense.wo.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(down.w), { DIM_HIDDEN, DIM_FFN }, .from = FROM_WHOLE },
    { "encoder.final_layer_norm.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },

    { "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", SLOT_VECTOR, SCOPE_STACK, 1, TOP_OF(buckets), { DIM_BUCKETS, DIM_HEADS }, .from = FROM_WHOLE },
    { "decoder.block.{L}.layer.0.layer_norm.weight", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(attn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "decoder.block.{L}.layer.0.SelfAttention.q.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(qkv.w), { DIM_Q, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "decoder.block.{L}.layer.0.SelfAttention.k.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(qkv.w), { DIM_K, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "decoder.block.{L}.layer.0.SelfAttention.v.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(qkv.w), { DIM_V, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "decoder.block.{L}.layer.0.SelfAttention.o.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(o.w), { DIM_HIDDEN, DIM_O }, .from = FROM_WHOLE },
    { "decoder.block.{L}.layer.1.layer_norm.weight", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(cross_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "decoder.block.{L}.layer.1.EncDecAttention.q.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(cross_q.w), { DIM_Q, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "decoder.block.{L}.layer.1.EncDecAttention.k.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(cross_kv.w), { DIM_K, DIM_CONTEXT }, .from = FROM_WHOLE },
    { "decoder.block.{L}.layer.1.EncDecAttention.v.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(cross_kv.w), { DIM_V, DIM_CONTEXT }, .from = FROM_WHOLE },
    { "decoder.block.{L}.layer.1.EncDecAttention.o.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(cross_o.w), { DIM_HIDDEN, DIM_O }, .from = FROM_WHOLE },
    { "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight", SLOT_IGNORED, .scope = SCOPE_STACK, .stack = 1 }, /* never used */
    { "decoder.block.{L}.layer.2.layer_norm.weight", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(ffn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "decoder.block.{L}.layer.2.DenseReluDense.wi.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .unless = WHEN_LAYER(gated) },
    { "decoder.block.{L}.layer.2.DenseReluDense.wi_0.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .when = WHEN_LAYER(gated) },
    { "decoder.block.{L}.layer.2.DenseReluDense.wi_1.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .when = WHEN_LAYER(gated) },
    { "decoder.block.{L}.layer.2.DenseReluDense.wo.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(down.w), { DIM_HIDDEN, DIM_FFN }, .from = FROM_WHOLE },
    { "decoder.final_layer_norm.weight", SLOT_VECTOR, SCOPE_STACK, 1, TOP_OF(final_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "lm_head.weight", SLOT_WEIGHT, SCOPE_STACK, 1, TOP_OF(head.w), { DIM_VOCABULARY, DIM_HIDDEN }, .maybe = WHEN_STACK(tied) },
    { 0 },
};

const family cud_paper_t5 = {
    .model_type = "t5",
    .architectures = architectures,
    .config = config,
    .tensors = tensors,
    .variants = variants,
    .base = {
        .stacks = 2,
        .stack[0] = {
            .kind = STACK_ENCODER, .norm = NORM_RMS, .final_norm = true, .position = POSITION_BUCKETS, /* no scale_scores: q k^T as it is */
            .proto = { .mask = MASK_FULL, .rope = -1, .norm_before = true },
        },
        .stack[1] = {
            .kind = STACK_DECODER, .norm = NORM_RMS, .final_norm = true, .position = POSITION_BUCKETS, .heads = HEAD_LM, .shared_embed = true,
            .proto = { .mask = MASK_CAUSAL, .rope = -1, .norm_before = true, .cross = true },
        },
    },
};
