/* The transformer blocks of Stable Diffusion's UNet: diffusers/models/{unets/unet_2d_condition,transformers/transformer_2d,attention}.py.
 * Only they: the convolutions, residual blocks and time embeddings around them are code of another shape and no rows of this table.
 * A layer is one transformer block, numbered from the first on the way down, through the middle, to the last on the way up. */
#include "models/family.h"

static const char *const architectures[] = { "UNet2DConditionModel", NULL };

static const char *const places[] = {
    [PLACE_DOWN] = "down_blocks.{I}.attentions.{J}",
    [PLACE_MID] = "mid_block.attentions.{J}",
    [PLACE_UP] = "up_blocks.{I}.attentions.{J}",
};

static const config_row config[] = {
    { "block_out_channels.0", CONFIG_INT, STACK(0, hidden), CONFIG_FALLBACK, 320, .min = 1, .max = 1 << 20 },
    { "block_out_channels", CONFIG_STAGES, STACK(0, stage_width), CONFIG_REQUIRED, 0, .min = 1, .max = 1 << 20 },
    { "layers_per_block", CONFIG_STAGES, STACK(0, stage_layers), CONFIG_FALLBACK, 2, .min = 1, .max = 64 }, /* one more on the way up */
    { "transformer_layers_per_block", CONFIG_STAGES, STACK(0, stage_depth), CONFIG_FALLBACK, 1, .min = 1, .max = 64 },
    { "num_attention_heads|attention_head_dim", CONFIG_STAGES, STACK(0, stage_heads), CONFIG_FALLBACK, 8, .min = 1, .max = 4096 }, /* misnamed: heads */
    { "down_block_types=CrossAttnDownBlock2D|DownBlock2D", CONFIG_WORD, STACK(0, stage_attention[0]), .absent = CONFIG_REQUIRED },
    { "up_block_types=CrossAttnUpBlock2D|UpBlock2D", CONFIG_WORD, STACK(0, stage_attention[1]), .absent = CONFIG_REQUIRED },
    { "mid_block_type=UNetMidBlock2DCrossAttn", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = 0 },
    { "cross_attention_dim", CONFIG_INT, STACK(0, context_dim), CONFIG_FALLBACK, 1280, .min = 1, .max = 1 << 20 },
    { "norm_num_groups", CONFIG_INT, STACK(0, norm_groups), CONFIG_FALLBACK, 32, .min = 1, .max = 4096 },
    { "in_channels", CONFIG_INT, STACK(0, channels), CONFIG_FALLBACK, 4, .min = 1, .max = 4096 },
    { "sample_size", CONFIG_INT, STACK(0, image_size), CONFIG_FALLBACK, 64, .min = 1, .max = 1 << 16 },
    { "only_cross_attention", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = false },
    { "mid_block_only_cross_attention", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = false },
    { "dual_cross_attention", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = false },
    { "cross_attention_norm", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = 0 },
    { "reverse_transformer_layers_per_block", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = 0 },
    { "attention_type=default", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = 0 },
    { "encoder_hid_dim", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = 0 },
    { "encoder_hid_dim_type", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = 0 },
    { .key = "use_linear_projection", .kind = CONFIG_IGNORED }, /* the same numbers in two or four dimensions: the file's shape says */
    { .key = "upcast_attention", .kind = CONFIG_IGNORED },      /* float16 range only: our scores are always float */
    /* what is not the transformer blocks' */
    { .key = "_class_name", .kind = CONFIG_IGNORED },
    { .key = "_diffusers_version", .kind = CONFIG_IGNORED },
    { .key = "_name_or_path", .kind = CONFIG_IGNORED },
    { .key = "act_fn", .kind = CONFIG_IGNORED },
    { .key = "addition_embed_type", .kind = CONFIG_IGNORED },
    { .key = "addition_embed_type_num_heads", .kind = CONFIG_IGNORED },
    { .key = "addition_time_embed_dim", .kind = CONFIG_IGNORED },
    { .key = "center_input_sample", .kind = CONFIG_IGNORED },
    { .key = "class_embed_type", .kind = CONFIG_IGNORED },
    { .key = "class_embeddings_concat", .kind = CONFIG_IGNORED },
    { .key = "conv_in_kernel", .kind = CONFIG_IGNORED },
    { .key = "conv_out_kernel", .kind = CONFIG_IGNORED },
    { .key = "downsample_padding", .kind = CONFIG_IGNORED },
    { .key = "dropout", .kind = CONFIG_IGNORED },
    { .key = "flip_sin_to_cos", .kind = CONFIG_IGNORED },
    { .key = "freq_shift", .kind = CONFIG_IGNORED },
    { .key = "mid_block_scale_factor", .kind = CONFIG_IGNORED },
    { .key = "norm_eps", .kind = CONFIG_IGNORED },
    { .key = "num_class_embeds", .kind = CONFIG_IGNORED },
    { .key = "out_channels", .kind = CONFIG_IGNORED },
    { .key = "projection_class_embeddings_input_dim", .kind = CONFIG_IGNORED },
    { .key = "resnet_out_scale_factor", .kind = CONFIG_IGNORED },
    { .key = "resnet_skip_time_act", .kind = CONFIG_IGNORED },
    { .key = "resnet_time_scale_shift", .kind = CONFIG_IGNORED },
    { .key = "time_cond_proj_dim", .kind = CONFIG_IGNORED },
    { .key = "time_embedding_act_fn", .kind = CONFIG_IGNORED },
    { .key = "time_embedding_dim", .kind = CONFIG_IGNORED },
    { .key = "time_embedding_type", .kind = CONFIG_IGNORED },
    { .key = "timestep_post_act", .kind = CONFIG_IGNORED },
    { 0 },
};


static const tensor_row tensors[] = {
    { "{P}.norm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(block_norm.weight), { DIM_HIDDEN }, .when = WHEN_LAYER(block_first) },
    { "{P}.norm.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(block_norm.bias), { DIM_HIDDEN }, .when = WHEN_LAYER(block_first) },
    { "{P}.proj_in.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(block_in.w), { DIM_HIDDEN, DIM_HIDDEN, DIM_ONE, DIM_ONE }, .when = WHEN_LAYER(block_first) },
    { "{P}.proj_in.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(block_in.bias), { DIM_HIDDEN }, .when = WHEN_LAYER(block_first) },
    { "{P}.transformer_blocks.{K}.norm1.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.norm1.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.attn1.to_q.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_Q, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.attn1.to_k.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_K, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.attn1.to_v.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_V, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.attn1.to_out.0.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(o.w), { DIM_HIDDEN, DIM_O }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.attn1.to_out.0.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(o.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.norm2.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(cross_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.norm2.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(cross_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.attn2.to_q.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(cross_q.w), { DIM_Q, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.attn2.to_k.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(cross_kv.w), { DIM_K, DIM_CONTEXT }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.attn2.to_v.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(cross_kv.w), { DIM_V, DIM_CONTEXT }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.attn2.to_out.0.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(cross_o.w), { DIM_HIDDEN, DIM_O }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.attn2.to_out.0.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(cross_o.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.norm3.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.norm3.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.ff.net.0.proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(up.w), { DIM_FFN_PAIR, DIM_HIDDEN }, .from = FROM_UP_GATE },
    { "{P}.transformer_blocks.{K}.ff.net.0.proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(up.bias), { DIM_FFN_PAIR }, .from = FROM_UP_GATE },
    { "{P}.transformer_blocks.{K}.ff.net.2.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(down.w), { DIM_HIDDEN, DIM_FFN }, .from = FROM_WHOLE },
    { "{P}.transformer_blocks.{K}.ff.net.2.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(down.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "{P}.proj_out.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(block_out.w), { DIM_HIDDEN, DIM_HIDDEN, DIM_ONE, DIM_ONE }, .when = WHEN_LAYER(block_last) },
    { "{P}.proj_out.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(block_out.bias), { DIM_HIDDEN }, .when = WHEN_LAYER(block_last) },
    { 0 },
};

const family cud_paper_sd_unet_attention = {
    .model_type = "UNet2DConditionModel", /* diffusers has no model_type: _class_name */
    .architectures = architectures,
    .config = config,
    .tensors = tensors,
    .places = places,
    .base = {
        .stacks = 1,
        .stack[0] = {
            .kind = STACK_DENOISER, .input = INPUT_LATENTS, .norm = NORM_LAYER, .eps = 1e-5, .group_eps = 1e-6, .position = POSITION_NONE,
            .scale_scores = true,
            .proto = { .mask = MASK_FULL, .rope = -1, .o_bias = true, .cross = true, .ffn = FFN_GATED, .act = ACT_GELU, .ffn_ratio = 4,
                       .ffn_bias = true, .norm_before = true },
        },
    },
};
