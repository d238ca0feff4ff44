/* DeepSeek-V3 and R1: transformers/models/deepseek_v3/{configuration,modeling}_deepseek_v3.py. Latent attention, a few dense layers, then
 * grouped experts with a shared one, fp8 weights with a scale for every 128 x 128 block. */
#include "models/family.h"

static const char *const architectures[] = { "DeepseekV3ForCausalLM", NULL };

static const quant_row quant[] = {
    { .method = "fp8", .format = WF_FP8_E4M3, .plain = ".weight", .data = ".weight", .scale = ".weight_scale_inv" },
    { 0 },
};

static const config_row config[] = {
    { "vocab_size", CONFIG_INT, STACK(0, vocabulary), CONFIG_FALLBACK, 129280, .min = 1, .max = 1 << 24 },
    { "hidden_size", CONFIG_INT, STACK(0, hidden), CONFIG_FALLBACK, 7168, .min = 1, .max = 1 << 20 },
    { "intermediate_size", CONFIG_INT, LAYER(0, ffn_dim), CONFIG_FALLBACK, 18432, .min = 1, .max = 1 << 22 },
    { "num_hidden_layers", CONFIG_INT, STACK(0, layers), CONFIG_FALLBACK, 61, .min = 1, .max = CUD_MAX_LAYERS },
    { "num_attention_heads", CONFIG_INT, LAYER(0, heads), CONFIG_FALLBACK, 128, .min = 1, .max = 4096 },
    { "num_key_value_heads", CONFIG_INT, LAYER(0, kv_heads), CONFIG_LIKE, 1, LAYER(0, heads), .min = 1, .max = 4096 },
    { "q_lora_rank", CONFIG_INT, LAYER(0, q_latent), CONFIG_FALLBACK, 0, .min = 1, .max = 1 << 20 }, /* null, as in Moonlight: no latent */
    { "kv_lora_rank", CONFIG_INT, LAYER(0, kv_latent), CONFIG_FALLBACK, 512, .min = 1, .max = 1 << 20 },
    { "qk_rope_head_dim", CONFIG_INT, LAYER(0, rope_dim), CONFIG_FALLBACK, 64, .min = 2, .max = 4096 },
    { "qk_nope_head_dim", CONFIG_PLUS, LAYER(0, head_dim), CONFIG_FALLBACK, 128, LAYER(0, rope_dim), .min = 1, .max = 4096 },
    { "v_head_dim", CONFIG_INT, LAYER(0, v_dim), CONFIG_FALLBACK, 128, .min = 1, .max = 4096 },
    { "attention_bias", CONFIG_BOOL, LAYER(0, qkv_bias), CONFIG_FALLBACK, .fallback = false }, /* of the projections down */
    { "attention_bias", CONFIG_BOOL, LAYER(0, o_bias), CONFIG_FALLBACK, .fallback = false },
    { "hidden_act", CONFIG_ACTIVATION, LAYER(0, act), CONFIG_FALLBACK, .fallback = ACT_SILU },
    { "max_position_embeddings", CONFIG_INT, STACK(0, positions), CONFIG_FALLBACK, 4096, .min = 1, .max = 1 << 30 },
    { "rms_norm_eps", CONFIG_NUMBER, STACK(0, eps), CONFIG_FALLBACK, 1e-6, .max = 1 }, /* the norms of the latents have 1e-6 always */
    { "tie_word_embeddings", CONFIG_BOOL, STACK(0, tied), CONFIG_FALLBACK, .fallback = false },
    { "rope_parameters", CONFIG_ROPE, STACK(0, rope[0]), CONFIG_FALLBACK, .fallback = 10000 },
    { "rope_interleave", CONFIG_BOOL, STACK(0, rope[0].interleaved), CONFIG_FALLBACK, .fallback = true },
    { "n_routed_experts|num_local_experts", CONFIG_INT, LAYER(0, experts), CONFIG_FALLBACK, 256, .min = 1, .max = 4096 },
    { "num_experts_per_tok", CONFIG_INT, LAYER(0, experts_used), CONFIG_FALLBACK, 8, .min = 1, .max = 4096 },
    { "moe_intermediate_size", CONFIG_INT, LAYER(0, expert_dim), CONFIG_FALLBACK, 2048, .min = 1, .max = 1 << 22 },
    { "n_shared_experts", CONFIG_TIMES, LAYER(0, shared_dim), CONFIG_FALLBACK, 1, LAYER(0, expert_dim), .min = 1, .max = 64 },
    { "n_group", CONFIG_INT, LAYER(0, router_groups), CONFIG_FALLBACK, 8, .min = 1, .max = 4096 },
    { "topk_group", CONFIG_INT, LAYER(0, router_groups_used), CONFIG_FALLBACK, 4, .min = 1, .max = 4096 },
    { "routed_scaling_factor", CONFIG_NUMBER, LAYER(0, router_scale), CONFIG_FALLBACK, 2.5, .max = 1e6 },
    { "norm_topk_prob", CONFIG_BOOL, LAYER(0, router_norm), CONFIG_FALLBACK, .fallback = true },
    { "first_k_dense_replace", CONFIG_INT, STACK(0, dense_layers), CONFIG_FALLBACK, 3, .max = CUD_MAX_LAYERS },
    { "moe_layer_freq", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = 1 },
    { "scoring_func=sigmoid", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = 0 },
    { "topk_method=noaux_tc", CONFIG_ONLY, 0, CONFIG_FALLBACK, .fallback = 0 },
    { "quantization_config", CONFIG_QUANT, SPEC(quant), CONFIG_FALLBACK, .fallback = 0 },
    { .key = "qk_head_dim", .kind = CONFIG_IGNORED }, /* v5 writes both; the head_dim it writes is qk_rope_head_dim */
    { .key = "head_dim", .kind = CONFIG_IGNORED },
    { .key = "num_nextn_predict_layers", .kind = CONFIG_IGNORED }, /* multi-token prediction: layer 61, not loaded */
    { .key = "num_mtp_layers", .kind = CONFIG_IGNORED },
    { .key = "pretraining_tp", .kind = CONFIG_IGNORED },
    { .key = "ep_size", .kind = CONFIG_IGNORED },
    { .key = "auto_map", .kind = CONFIG_IGNORED },
    { .key = "attention_dropout", .kind = CONFIG_IGNORED },
    { .key = "output_router_logits", .kind = CONFIG_IGNORED },
    { .key = "aux_loss_alpha", .kind = CONFIG_IGNORED }, /* training */
    { .key = "seq_aux", .kind = CONFIG_IGNORED },        /* training */
    { 0 },
};


static const tensor_row tensors[] = {
    { "[model.]embed_tokens.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(embed), { DIM_VOCABULARY, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.input_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(attn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.q_a_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(q_down.w), { DIM_Q_LATENT, DIM_HIDDEN }, .unless = WHEN_LAYER(q_direct) },
    { "[model.]layers.{L}.self_attn.q_a_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(q_down.bias), { DIM_Q_LATENT }, .when = WHEN_LAYER(qkv_bias), .unless = WHEN_LAYER(q_direct) },
    { "[model.]layers.{L}.self_attn.q_a_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(q_latent_norm.weight), { DIM_Q_LATENT }, .unless = WHEN_LAYER(q_direct) },
    { "[model.]layers.{L}.self_attn.q_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(q_up.w), { DIM_Q, DIM_HIDDEN }, .when = WHEN_LAYER(q_direct) },
    { "[model.]layers.{L}.self_attn.q_b_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(q_up.w), { DIM_Q, DIM_Q_LATENT }, .unless = WHEN_LAYER(q_direct) },
    { "[model.]layers.{L}.self_attn.kv_a_proj_with_mqa.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(kv_down.w), { DIM_KV_LATENT_ROPE, DIM_HIDDEN }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.kv_a_proj_with_mqa.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(kv_down.bias), { DIM_KV_LATENT_ROPE }, .when = WHEN_LAYER(qkv_bias) },
    { "[model.]layers.{L}.self_attn.kv_a_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(kv_latent_norm.weight), { DIM_KV_LATENT }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.kv_b_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(kv_up.w), { DIM_KV_EXPANDED, DIM_KV_LATENT }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.o_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(o.w), { DIM_HIDDEN, DIM_O }, .from = FROM_WHOLE },
    { "[model.]layers.{L}.self_attn.o_proj.bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(o.bias), { DIM_HIDDEN }, .when = WHEN_LAYER(o_bias) },
    { "[model.]layers.{L}.post_attention_layernorm.weight", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(ffn_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    /* dense layers */
    { "[model.]layers.{L}.mlp.gate_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .unless = WHEN_LAYER(routed) },
    { "[model.]layers.{L}.mlp.up_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(up.w), { DIM_FFN, DIM_HIDDEN }, .unless = WHEN_LAYER(routed) },
    { "[model.]layers.{L}.mlp.down_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(down.w), { DIM_HIDDEN, DIM_FFN }, .unless = WHEN_LAYER(routed) },
    /* the others */
    { "[model.]layers.{L}.mlp.gate.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(router.w), { DIM_EXPERTS, DIM_HIDDEN }, .when = WHEN_LAYER(routed) },
    { "[model.]layers.{L}.mlp.gate.e_score_correction_bias", SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(router_choice_bias), { DIM_EXPERTS }, .when = WHEN_LAYER(routed) },
    { "[model.]layers.{L}.mlp.experts.{E}.gate_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(experts_up.w), { DIM_EXPERT, DIM_HIDDEN }, .when = WHEN_LAYER(routed) },
    { "[model.]layers.{L}.mlp.experts.{E}.up_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(experts_up.w), { DIM_EXPERT, DIM_HIDDEN }, .when = WHEN_LAYER(routed) },
    { "[model.]layers.{L}.mlp.experts.{E}.down_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(experts_down.w), { DIM_HIDDEN, DIM_EXPERT }, .when = WHEN_LAYER(routed) },
    { "[model.]layers.{L}.mlp.shared_experts.gate_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(shared_up.w), { DIM_SHARED, DIM_HIDDEN }, .when = WHEN_LAYER(routed) },
    { "[model.]layers.{L}.mlp.shared_experts.up_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(shared_up.w), { DIM_SHARED, DIM_HIDDEN }, .when = WHEN_LAYER(routed) },
    { "[model.]layers.{L}.mlp.shared_experts.down_proj.weight", SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(shared_down.w), { DIM_HIDDEN, DIM_SHARED }, .when = WHEN_LAYER(routed) },
    { "[model.]norm.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },
    { "lm_head.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(head.w), { DIM_VOCABULARY, DIM_HIDDEN }, .maybe = WHEN_STACK(tied) },
    { "model.layers.61.*", SLOT_IGNORED, .scope = SCOPE_STACK, .stack = 0 }, /* multi-token prediction; a real layer 61 would have been taken above */
    { "[model.]layers.{L}.self_attn.rotary_emb.inv_freq", SLOT_IGNORED, .scope = SCOPE_LAYER, .stack = 0 },
    { 0 },
};

const family cud_paper_deepseek_v3 = {
    .model_type = "deepseek_v3",
    .architectures = architectures,
    .config = config,
    .tensors = tensors,
    .quant = quant,
    .base = {
        .stacks = 1,
        .stack[0] = {
            .kind = STACK_DECODER, .norm = NORM_RMS, .final_norm = true, .position = POSITION_ROPE, .heads = HEAD_LM, .scale_scores = true,
            .scale_by_rope = true, .rope[0] = { .interleaved = true },
            .proto = { .attention = ATTN_LATENT, .mask = MASK_CAUSAL, .rope = 0, .ffn = FFN_EXPERTS, .router = ROUTER_SIGMOID_GROUPS,
                       .norm_before = true },
        },
    },
};
