/* Qwen2-VL: transformers/models/qwen2_vl/{configuration,modeling}_qwen2_vl.py. A vision tower whose merged patches take the place of image
 * tokens in a Qwen2 decoder with three position axes. The Hub's config.json keeps the text keys at the root (v4); v5 writes text_config. */
#include "models/family.h"

static const char *const architectures[] = { "Qwen2VLForConditionalGeneration", NULL };

static const config_row config[] = {
    { "vision_config.embed_dim", CONFIG_INT, STACK(0, hidden), CONFIG_FALLBACK, 1280, .min = 1, .max = 1 << 20 },
    { "vision_config.hidden_size", CONFIG_INT, STACK(0, projection_dim), CONFIG_FALLBACK, 3584, .min = 1, .max = 1 << 20 }, /* the text's width */
    { "vision_config.depth", CONFIG_INT, STACK(0, layers), CONFIG_FALLBACK, 32, .min = 1, .max = CUD_MAX_LAYERS },
    { "vision_config.num_heads", CONFIG_INT, LAYER(0, heads), CONFIG_FALLBACK, 16, .min = 1, .max = 4096 },
    { "vision_config.mlp_ratio", CONFIG_NUMBER, LAYER(0, ffn_ratio), CONFIG_FALLBACK, 4, .min = 0.01, .max = 1024 },
    { "vision_config.hidden_act", CONFIG_ACTIVATION, LAYER(0, act), CONFIG_FALLBACK, .fallback = ACT_QUICK_GELU },
    { "vision_config.in_channels|vision_config.in_chans", CONFIG_INT, STACK(0, channels), CONFIG_FALLBACK, 3, .min = 1, .max = 64 },
    { "vision_config.patch_size", CONFIG_INT, STACK(0, kernel), CONFIG_FALLBACK, 14, .min = 1, .max = 1024 },
    { "vision_config.patch_size", CONFIG_INT, STACK(0, conv_stride), CONFIG_FALLBACK, 14, .min = 1, .max = 1024 },
    { "vision_config.temporal_patch_size", CONFIG_INT, STACK(0, frames), CONFIG_FALLBACK, 2, .min = 1, .max = 64 },
    { "vision_config.spatial_merge_size", CONFIG_INT, STACK(0, merge), CONFIG_FALLBACK, 2, .min = 1, .max = 64 },
    { "vision_config.rope_parameters.rope_theta", CONFIG_NUMBER, STACK(0, rope[0].theta), CONFIG_FALLBACK, 10000, .min = 1, .max = 1e12 },
    { "vision_config.rope_parameters.rope_type=axial", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = 0 },
    { .key = "vision_config.spatial_patch_size", .kind = CONFIG_IGNORED }, /* repeats patch_size */
    { .key = "vision_config.model_type", .kind = CONFIG_IGNORED },
    { .key = "vision_config.initializer_range", .kind = CONFIG_IGNORED },

    { "text_config.vocab_size|vocab_size", CONFIG_INT, STACK(1, vocabulary), CONFIG_FALLBACK, 152064, .min = 1, .max = 1 << 24 },
    { "text_config.hidden_size|hidden_size", CONFIG_INT, STACK(1, hidden), CONFIG_FALLBACK, 8192, .min = 1, .max = 1 << 20 },
    { "text_config.intermediate_size|intermediate_size", CONFIG_INT, LAYER(1, ffn_dim), CONFIG_FALLBACK, 29568, .min = 1, .max = 1 << 22 },
    { "text_config.num_hidden_layers|num_hidden_layers", CONFIG_INT, STACK(1, layers), CONFIG_FALLBACK, 80, .min = 1, .max = CUD_MAX_LAYERS },
    { "text_config.num_attention_heads|num_attention_heads", CONFIG_INT, LAYER(1, heads), CONFIG_FALLBACK, 64, .min = 1, .max = 4096 },
    { "text_config.num_key_value_heads|num_key_value_heads", CONFIG_INT, LAYER(1, kv_heads), CONFIG_FALLBACK, 8, .min = 1, .max = 4096 },
    { "text_config.hidden_act|hidden_act", CONFIG_ACTIVATION, LAYER(1, act), CONFIG_FALLBACK, .fallback = ACT_SILU },
    { "text_config.max_position_embeddings|max_position_embeddings", CONFIG_INT, STACK(1, positions), CONFIG_FALLBACK, 32768, .min = 1, .max = 1 << 30 },
    { "text_config.rms_norm_eps|rms_norm_eps", CONFIG_NUMBER, STACK(1, eps), CONFIG_FALLBACK, 1e-5, .max = 1 },
    { "text_config.rope_parameters|text_config.rope_scaling|rope_parameters|rope_scaling", CONFIG_ROPE, STACK(1, rope[0]), CONFIG_FALLBACK, .fallback = 1e6 },
    { "tie_word_embeddings|text_config.tie_word_embeddings", CONFIG_BOOL, STACK(1, tied), CONFIG_FALLBACK, .fallback = false },
    { "text_config.layer_types|layer_types", CONFIG_LAYER_TYPES, STACK(1, layer), CONFIG_FALLBACK, .fallback = 0 },
    { "text_config.use_sliding_window|use_sliding_window", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = false },
    { .key = "text_config.sliding_window|sliding_window", .kind = CONFIG_IGNORED }, /* both only with use_sliding_window */
    { .key = "text_config.max_window_layers|max_window_layers", .kind = CONFIG_IGNORED },
    { .key = "text_config.attention_dropout|attention_dropout", .kind = CONFIG_IGNORED },
    { .key = "text_config.model_type", .kind = CONFIG_IGNORED },
    { .key = "text_config.initializer_range", .kind = CONFIG_IGNORED },
    { .key = "text_config.use_cache", .kind = CONFIG_IGNORED },
    { .key = "text_config.dtype|text_config.torch_dtype", .kind = CONFIG_IGNORED },
    { .key = "text_config.bos_token_id", .kind = CONFIG_IGNORED }, /* generation_config.json rules */
    { .key = "text_config.eos_token_id", .kind = CONFIG_IGNORED },
    { .key = "text_config.pad_token_id", .kind = CONFIG_IGNORED },

    { "image_token_id", CONFIG_INT, SPEC(image_token), CONFIG_FALLBACK, 151655, .min = 0, .max = 1 << 24 },
    { "video_token_id", CONFIG_INT, SPEC(video_token), CONFIG_FALLBACK, 151656, .min = 0, .max = 1 << 24 },
    { .key = "vision_start_token_id", .kind = CONFIG_IGNORED }, /* of the processor; positions come from where the images are */
    { .key = "vision_end_token_id", .kind = CONFIG_IGNORED },
    { .key = "vision_token_id", .kind = CONFIG_IGNORED },
    { 0 },
};


static const tensor_row tensors[] = {
    { "[model.]visual.patch_embed.proj.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(patches.w), { DIM_HIDDEN, DIM_CHANNELS, DIM_FRAMES, DIM_KERNEL, DIM_KERNEL }, .from = FROM_WHOLE },
    { "[model.]visual.blocks.{L}.norm1.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]visual.blocks.{L}.norm1.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]visual.blocks.{L}.attn.qkv.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_QKV, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]visual.blocks.{L}.attn.qkv.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_QKV }, .from = FROM_WHOLE },
    { "[model.]visual.blocks.{L}.attn.proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(o.w), { DIM_HIDDEN, DIM_O }, .from = FROM_WHOLE },
    { "[model.]visual.blocks.{L}.attn.proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(o.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]visual.blocks.{L}.norm2.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]visual.blocks.{L}.norm2.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]visual.blocks.{L}.mlp.fc1.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]visual.blocks.{L}.mlp.fc1.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(up.bias), { DIM_FFN }, .from = FROM_WHOLE },
    { "[model.]visual.blocks.{L}.mlp.fc2.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(down.w), { DIM_HIDDEN, DIM_FFN }, .from = FROM_WHOLE },
    { "[model.]visual.blocks.{L}.mlp.fc2.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(down.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]visual.merger.ln_q.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]visual.merger.ln_q.bias", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]visual.merger.mlp.0.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(merge.w), { DIM_MERGED, DIM_MERGED }, .from = FROM_WHOLE },
    { "[model.]visual.merger.mlp.0.bias", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(merge.bias), { DIM_MERGED }, .from = FROM_WHOLE },
    { "[model.]visual.merger.mlp.2.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(projection_out.w), { DIM_PROJECTION, DIM_MERGED }, .from = FROM_WHOLE },
    { "[model.]visual.merger.mlp.2.bias", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(projection_out.bias), { DIM_PROJECTION }, .from = FROM_WHOLE },

    { "model.[language_model.]embed_tokens.weight", SLOT_WEIGHT, SCOPE_STACK, 1, TOP_OF(embed), { DIM_VOCABULARY, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "model.[language_model.]layers.{L}.input_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(attn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "model.[language_model.]layers.{L}.self_attn.q_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(qkv.w), { DIM_Q, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "model.[language_model.]layers.{L}.self_attn.k_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(qkv.w), { DIM_K, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "model.[language_model.]layers.{L}.self_attn.v_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(qkv.w), { DIM_V, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "model.[language_model.]layers.{L}.self_attn.q_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(qkv.bias), { DIM_Q }, .from = FROM_WHOLE },
    { "model.[language_model.]layers.{L}.self_attn.k_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(qkv.bias), { DIM_K }, .from = FROM_WHOLE },
    { "model.[language_model.]layers.{L}.self_attn.v_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(qkv.bias), { DIM_V }, .from = FROM_WHOLE },
    { "model.[language_model.]layers.{L}.self_attn.o_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(o.w), { DIM_HIDDEN, DIM_O }, .from = FROM_WHOLE },
    { "model.[language_model.]layers.{L}.post_attention_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 1, SLOT_OF(ffn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "model.[language_model.]layers.{L}.mlp.gate_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "model.[language_model.]layers.{L}.mlp.up_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "model.[language_model.]layers.{L}.mlp.down_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 1, SLOT_OF(down.w), { DIM_HIDDEN, DIM_FFN }, .from = FROM_WHOLE },
    { "model.[language_model.]norm.weight", SLOT_VECTOR, SCOPE_STACK, 1, TOP_OF(final_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "lm_head.weight", SLOT_WEIGHT, SCOPE_STACK, 1, TOP_OF(head.w), { DIM_VOCABULARY, DIM_HIDDEN }, .maybe = WHEN_STACK(tied) },
    { 0 },
};

const family cud_paper_qwen2_vl = {
    .model_type = "qwen2_vl",
    .architectures = architectures,
    .config = config,
    .tensors = tensors,
    .base = {
        .stacks = 2,
        .stack[0] = {
            .kind = STACK_ENCODER, .input = INPUT_PATCHES, .norm = NORM_LAYER, .eps = 1e-6, .final_norm = true, .position = POSITION_ROPE,
            .rope[0] = { .factor = 1, .partial = 1, .axial = true }, .merge_act = ACT_GELU, .heads = HEAD_PROJECTION, .projection = true,
            .scale_scores = true, /* a frame of an image or video is a sequence */
            .proto = { .mask = MASK_FULL, .rope = 0, .qkv_bias = true, .o_bias = true, .ffn = FFN_PLAIN, .ffn_bias = true, .norm_before = true },
        },
        .stack[1] = {
            .kind = STACK_DECODER, .norm = NORM_RMS, .final_norm = true, .position = POSITION_ROPE, .heads = HEAD_LM, .scale_scores = true,
            .proto = { .mask = MASK_CAUSAL, .rope = 0, .qkv_bias = true, .ffn = FFN_GATED, .norm_before = true },
        },
    },
};
