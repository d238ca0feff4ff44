/* Whisper: transformers/models/whisper/{configuration,modeling}_whisper.py. Two convolutions over mel frames, an encoder, a decoder; k has no bias. */
#include "models/family.h"

static const char *const architectures[] = { "WhisperForConditionalGeneration", NULL };

static const config_row config[] = {
    { "vocab_size", CONFIG_INT, STACK(1, vocabulary), CONFIG_FALLBACK, 51865, .min = 1, .max = 1 << 24 },
    { "d_model|hidden_size", CONFIG_INT, STACK(0, hidden), CONFIG_FALLBACK, 384, .min = 1, .max = 1 << 20 },
    { "d_model|hidden_size", CONFIG_INT, STACK(1, hidden), CONFIG_FALLBACK, 384, .min = 1, .max = 1 << 20 },
    { "num_mel_bins", CONFIG_INT, STACK(0, channels), CONFIG_FALLBACK, 80, .min = 1, .max = 4096 },
    { "encoder_layers", CONFIG_INT, STACK(0, layers), CONFIG_FALLBACK, 4, .min = 1, .max = CUD_MAX_LAYERS },
    { "decoder_layers", CONFIG_INT, STACK(1, layers), CONFIG_FALLBACK, 4, .min = 1, .max = CUD_MAX_LAYERS },
    { "encoder_attention_heads", CONFIG_INT, LAYER(0, heads), CONFIG_FALLBACK, 6, .min = 1, .max = 4096 },
    { "decoder_attention_heads", CONFIG_INT, LAYER(1, heads), CONFIG_FALLBACK, 6, .min = 1, .max = 4096 },
    { "encoder_ffn_dim", CONFIG_INT, LAYER(0, ffn_dim), CONFIG_FALLBACK, 1536, .min = 1, .max = 1 << 22 },
    { "decoder_ffn_dim", CONFIG_INT, LAYER(1, ffn_dim), CONFIG_FALLBACK, 1536, .min = 1, .max = 1 << 22 },
    { "activation_function", CONFIG_ACTIVATION, LAYER(0, act), CONFIG_FALLBACK, .fallback = ACT_GELU },
    { "activation_function", CONFIG_ACTIVATION, LAYER(1, act), CONFIG_FALLBACK, .fallback = ACT_GELU },
    { "max_source_positions", CONFIG_INT, STACK(0, positions), CONFIG_FALLBACK, 1500, .min = 1, .max = 1 << 24 }, /* after the second convolution */
    { "max_target_positions", CONFIG_INT, STACK(1, positions), CONFIG_FALLBACK, 448, .min = 1, .max = 1 << 24 },
    { "tie_word_embeddings", CONFIG_BOOL, STACK(1, tied), CONFIG_FALLBACK, .fallback = true },
    { "is_encoder_decoder", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = true },
    { .key = "scale_embedding", .kind = CONFIG_IGNORED }, /* read by transformers and never used */
    { .key = "num_hidden_layers", .kind = CONFIG_IGNORED }, /* repeats encoder_layers */
    { .key = "dropout", .kind = CONFIG_IGNORED },
    { .key = "attention_dropout", .kind = CONFIG_IGNORED },
    { .key = "activation_dropout", .kind = CONFIG_IGNORED },
    { .key = "encoder_layerdrop", .kind = CONFIG_IGNORED },
    { .key = "decoder_layerdrop", .kind = CONFIG_IGNORED },
    { .key = "init_std", .kind = CONFIG_IGNORED },
    { .key = "suppress_tokens", .kind = CONFIG_IGNORED }, /* of generation; generation_config.json rules */
    { .key = "begin_suppress_tokens", .kind = CONFIG_IGNORED },
    { .key = "forced_decoder_ids", .kind = CONFIG_IGNORED },
    { .key = "max_length", .kind = CONFIG_IGNORED },
    { .key = "median_filter_width", .kind = CONFIG_IGNORED }, /* word time stamps */
    { .key = "use_weighted_layer_sum", .kind = CONFIG_IGNORED }, /* WhisperForAudioClassification */
    { .key = "classifier_proj_size", .kind = CONFIG_IGNORED },
    { .key = "apply_spec_augment", .kind = CONFIG_IGNORED }, /* training */
    { .key = "mask_time_prob", .kind = CONFIG_IGNORED },
    { .key = "mask_time_length", .kind = CONFIG_IGNORED },
    { .key = "mask_time_min_masks", .kind = CONFIG_IGNORED },
    { .key = "mask_feature_prob", .kind = CONFIG_IGNORED },
    { .key = "mask_feature_length", .kind = CONFIG_IGNORED },
    { .key = "mask_feature_min_masks", .kind = CONFIG_IGNORED },
    { 0 },
};


static const tensor_row tensors[] = {
    { "[model.]encoder.conv1.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(patches.w), { DIM_HIDDEN, DIM_CHANNELS, DIM_KERNEL }, .from = FROM_WHOLE },
    { "[model.]encoder.conv1.bias", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(patches.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]encoder.conv2.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(patches2.w), { DIM_HIDDEN, DIM_HIDDEN, DIM_KERNEL }, .from = FROM_WHOLE },
    { "[model.]encoder.conv2.bias", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(patches2.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]encoder.embed_positions.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(positions), { DIM_POSITIONS, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]encoder.layers.{L}.self_attn_layer_norm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]encoder.layers.{L}.self_attn_layer_norm.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]encoder.layers.{L}.self_attn.q_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_Q, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]encoder.layers.{L}.self_attn.k_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_K, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]encoder.layers.{L}.self_attn.v_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_V, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]encoder.layers.{L}.self_attn.q_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_Q }, .from = FROM_WHOLE },
    { "", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_K }, .from = FROM_NOTHING },
    { "[model.]encoder.layers.{L}.self_attn.v_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_V }, .from = FROM_WHOLE },
    { "[model.]encoder.layers.{L}.self_attn.out_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(o.w), { DIM_HIDDEN, DIM_O }, .from = FROM_WHOLE },
    { "[model.]encoder.layers.{L}.self_attn.out_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(o.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]encoder.layers.{L}.final_layer_norm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]encoder.layers.{L}.final_layer_norm.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]encoder.layers.{L}.fc1.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]encoder.layers.{L}.fc1.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(up.bias), { DIM_FFN }, .from = FROM_WHOLE },
    { "[model.]encoder.layers.{L}.fc2.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(down.w), { DIM_HIDDEN, DIM_FFN }, .from = FROM_WHOLE },
    { "[model.]encoder.layers.{L}.fc2.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(down.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]encoder.layer_norm.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]encoder.layer_norm.bias", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },

    { "[model.]decoder.embed_tokens.weight", SLOT_WEIGHT, SCOPE_STACK, 1, TOP_OF(embed), { DIM_VOCABULARY, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.embed_positions.weight", SLOT_VECTOR, SCOPE_STACK, 1, TOP_OF(positions), { DIM_POSITIONS, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.self_attn_layer_norm.weight", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(attn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.self_attn_layer_norm.bias", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(attn_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.self_attn.q_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(qkv.w), { DIM_Q, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.self_attn.k_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(qkv.w), { DIM_K, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.self_attn.v_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(qkv.w), { DIM_V, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.self_attn.q_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(qkv.bias), { DIM_Q }, .from = FROM_WHOLE },
    { "", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(qkv.bias), { DIM_K }, .from = FROM_NOTHING },
    { "[model.]decoder.layers.{L}.self_attn.v_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(qkv.bias), { DIM_V }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.self_attn.out_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(o.w), { DIM_HIDDEN, DIM_O }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.self_attn.out_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(o.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.encoder_attn_layer_norm.weight", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(cross_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.encoder_attn_layer_norm.bias", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(cross_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.encoder_attn.q_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(cross_q.w), { DIM_Q, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.encoder_attn.q_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(cross_q.bias), { DIM_Q }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.encoder_attn.k_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(cross_kv.w), { DIM_K, DIM_CONTEXT }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.encoder_attn.v_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(cross_kv.w), { DIM_V, DIM_CONTEXT }, .from = FROM_WHOLE },
    { "", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(cross_kv.bias), { DIM_K }, .from = FROM_NOTHING },
    { "[model.]decoder.layers.{L}.encoder_attn.v_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(cross_kv.bias), { DIM_V }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.encoder_attn.out_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(cross_o.w), { DIM_HIDDEN, DIM_O }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.encoder_attn.out_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(cross_o.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.final_layer_norm.weight", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(ffn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.final_layer_norm.bias", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(ffn_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.fc1.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.fc1.bias", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(up.bias), { DIM_FFN }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.fc2.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(down.w), { DIM_HIDDEN, DIM_FFN }, .from = FROM_WHOLE },
    { "[model.]decoder.layers.{L}.fc2.bias", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(down.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.layer_norm.weight", SLOT_VECTOR, SCOPE_STACK, 1, TOP_OF(final_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]decoder.layer_norm.bias", SLOT_VECTOR, SCOPE_STACK, 1, TOP_OF(final_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "proj_out.weight", SLOT_WEIGHT, SCOPE_STACK, 1, TOP_OF(head.w), { DIM_VOCABULARY, DIM_HIDDEN }, .maybe = WHEN_STACK(tied) },
    { 0 },
};

const family cud_paper_whisper = {
    .model_type = "whisper",
    .architectures = architectures,
    .config = config,
    .tensors = tensors,
    .base = {
        .stacks = 2,
        .stack[0] = {
            .kind = STACK_ENCODER, .input = INPUT_FRAMES, .kernel = 3, .conv_stride = 2, .norm = NORM_LAYER, .eps = 1e-5, .final_norm = true,
            .position = POSITION_LEARNED, .scale_scores = true, /* sinusoids, but stored */
            .proto = { .mask = MASK_FULL, .rope = -1, .qkv_bias = true, .o_bias = true, .ffn = FFN_PLAIN, .ffn_bias = true, .norm_before = true },
        },
        .stack[1] = {
            .kind = STACK_DECODER, .norm = NORM_LAYER, .eps = 1e-5, .final_norm = true, .position = POSITION_LEARNED, .heads = HEAD_LM,
            .scale_scores = true,
            .proto = { .mask = MASK_CAUSAL, .rope = -1, .qkv_bias = true, .o_bias = true, .cross = true, .ffn = FFN_PLAIN, .ffn_bias = true,
                       .norm_before = true },
        },
    },
};
