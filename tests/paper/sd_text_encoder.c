/* The text encoders of Stable Diffusion: CLIP's, transformers/models/clip/{configuration,modeling}_clip.py. Causal though an encoder. SD 1.5
 * reads the last hidden states, SDXL those before the last layer of two of them and the second one's projection. */
#include "models/family.h"

static const char *const architectures[] = { "CLIPTextModel", "CLIPTextModelWithProjection", NULL };

static const architecture_row variants[] = {
    { .name = "CLIPTextModelWithProjection", .stacks = 1, .heads = HEAD_PROJECTION }, /* of the row at the first end of text */
    { 0 },
};

static const config_row config[] = {
    { "vocab_size", CONFIG_INT, STACK(0, vocabulary), CONFIG_FALLBACK, 49408, .min = 1, .max = 1 << 24 },
    { "hidden_size", CONFIG_INT, STACK(0, hidden), CONFIG_FALLBACK, 512, .min = 1, .max = 1 << 20 },
    { "intermediate_size", CONFIG_INT, LAYER(0, ffn_dim), CONFIG_FALLBACK, 2048, .min = 1, .max = 1 << 22 },
    { "projection_dim", CONFIG_INT, STACK(0, projection_dim), CONFIG_FALLBACK, 512, .min = 1, .max = 1 << 20 },
    { "num_hidden_layers", CONFIG_INT, STACK(0, layers), CONFIG_FALLBACK, 12, .min = 1, .max = CUD_MAX_LAYERS },
    { "num_attention_heads", CONFIG_INT, LAYER(0, heads), CONFIG_FALLBACK, 8, .min = 1, .max = 4096 },
    { "max_position_embeddings", CONFIG_INT, STACK(0, positions), CONFIG_FALLBACK, 77, .min = 1, .max = 1 << 24 },
    { "hidden_act", CONFIG_ACTIVATION, LAYER(0, act), CONFIG_FALLBACK, .fallback = ACT_QUICK_GELU },
    { "layer_norm_eps", CONFIG_NUMBER, STACK(0, eps), CONFIG_FALLBACK, 1e-5, .max = 1 },
    { .key = "attention_dropout", .kind = CONFIG_IGNORED },
    { .key = "dropout", .kind = CONFIG_IGNORED },
    { .key = "initializer_factor", .kind = CONFIG_IGNORED },
    { 0 },
};


static const tensor_row tensors[] = { /* v5 leaves the prefix away when it writes a CLIPTextModel */
    { "[text_model.]embeddings.token_embedding.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(embed), { DIM_VOCABULARY, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[text_model.]embeddings.position_embedding.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(positions), { DIM_POSITIONS, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[text_model.]encoder.layers.{L}.layer_norm1.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[text_model.]encoder.layers.{L}.layer_norm1.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[text_model.]encoder.layers.{L}.self_attn.q_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_Q, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[text_model.]encoder.layers.{L}.self_attn.k_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_K, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[text_model.]encoder.layers.{L}.self_attn.v_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { DIM_V, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[text_model.]encoder.layers.{L}.self_attn.q_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_Q }, .from = FROM_WHOLE },
    { "[text_model.]encoder.layers.{L}.self_attn.k_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_K }, .from = FROM_WHOLE },
    { "[text_model.]encoder.layers.{L}.self_attn.v_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(qkv.bias), { DIM_V }, .from = FROM_WHOLE },
    { "[text_model.]encoder.layers.{L}.self_attn.out_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(o.w), { DIM_HIDDEN, DIM_O }, .from = FROM_WHOLE },
    { "[text_model.]encoder.layers.{L}.self_attn.out_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(o.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[text_model.]encoder.layers.{L}.layer_norm2.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[text_model.]encoder.layers.{L}.layer_norm2.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[text_model.]encoder.layers.{L}.mlp.fc1.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[text_model.]encoder.layers.{L}.mlp.fc1.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(up.bias), { DIM_FFN }, .from = FROM_WHOLE },
    { "[text_model.]encoder.layers.{L}.mlp.fc2.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(down.w), { DIM_HIDDEN, DIM_FFN }, .from = FROM_WHOLE },
    { "[text_model.]encoder.layers.{L}.mlp.fc2.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(down.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[text_model.]final_layer_norm.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[text_model.]final_layer_norm.bias", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.bias), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "text_projection.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(projection_out.w), { DIM_PROJECTION, DIM_HIDDEN }, .when = WHEN_STACK(projection) },
    { "[text_model.]embeddings.position_ids", SLOT_IGNORED, .scope = SCOPE_STACK, .stack = 0 }, /* a buffer */
    { 0 },
};

const family cud_paper_sd_text_encoder = {
    .model_type = "clip_text_model",
    .architectures = architectures,
    .config = config,
    .tensors = tensors,
    .variants = variants,
    .base = {
        .stacks = 1,
        .stack[0] = {
            .kind = STACK_ENCODER, .norm = NORM_LAYER, .final_norm = true, .position = POSITION_LEARNED, .scale_scores = true,
            .proto = { .mask = MASK_CAUSAL, .rope = -1, .qkv_bias = true, .o_bias = true, .ffn = FFN_PLAIN, .ffn_bias = true, .norm_before = true },
        },
    },
};
