/* Nomic BERT: transformers/models/nomic_bert/{configuration,modeling}_nomic_bert.py, and its files from before transformers had it, which call
 * things as GPT-2 and flash-attn did. A BERT with a rope, a gated feed-forward and without biases in its linear layers. */
#include "models/encoder_rows.h"

static const char *const architectures[] = {
    "NomicBertModel", "NomicBertForMaskedLM", "NomicBertForSequenceClassification", "NomicBertForTokenClassification", NULL,
};

static const architecture_row variants[] = {
    { .name = "NomicBertForMaskedLM", .stacks = 1, .heads = HEAD_MASKED_LM },
    { .name = "NomicBertForSequenceClassification", .stacks = 1, .heads = HEAD_SEQUENCE, .pooled = true },
    { .name = "NomicBertForTokenClassification", .stacks = 1, .heads = HEAD_TOKENS },
    { 0 },
};

static const config_row config[] = {
    { "vocab_size", CONFIG_INT, STACK(0, vocabulary), CONFIG_FALLBACK, 30528, 0, 1, 1 << 24 },
    { "hidden_size|n_embd", CONFIG_INT, STACK(0, hidden), CONFIG_FALLBACK, 768, 0, 1, 1 << 20 },
    { "num_hidden_layers|n_layer", CONFIG_INT, STACK(0, layers), CONFIG_FALLBACK, 12, 0, 1, CUD_MAX_LAYERS },
    { "num_attention_heads|n_head", CONFIG_INT, LAYER(0, heads), CONFIG_FALLBACK, 12, 0, 1, 4096 },
    { "head_dim", CONFIG_INT, LAYER(0, head_dim), CONFIG_FALLBACK, 0, 0, 1, 1 << 16 },
    { "intermediate_size|n_inner", CONFIG_INT, LAYER(0, ffn_dim), CONFIG_FALLBACK, 3072, 0, 1, 1 << 22 },
    { "hidden_act", CONFIG_ACTIVATION, LAYER(0, act), CONFIG_FALLBACK, ACT_SILU, 0, 0, 0 },
    { "layer_norm_eps|layer_norm_epsilon", CONFIG_NUMBER, STACK(0, eps), CONFIG_FALLBACK, 1e-12, 0, 0, 1 },
    { "max_position_embeddings|n_positions", CONFIG_INT, STACK(0, positions), CONFIG_FALLBACK, 2048, 0, 1, 1 << 24 },
    ENCODER_TYPES_CONFIG,
    { "tie_word_embeddings", CONFIG_BOOL, STACK(0, tied), CONFIG_FALLBACK, true, 0, 0, 0 },
    { "rope_parameters", CONFIG_ROPE, STACK(0, rope[0]), CONFIG_FALLBACK, 1000, 0, 0, 0 },
    { "rotary_emb_base", CONFIG_ONLY, 0, CONFIG_FALLBACK, 1000, 0, 0, 0 },
    { "activation_function=swiglu", CONFIG_ONLY, 0, CONFIG_FALLBACK, 0, 0, 0, 0 },
    { "causal", CONFIG_ONLY, 0, CONFIG_FALLBACK, false, 0, 0, 0 },
    { "is_decoder", CONFIG_ONLY, 0, CONFIG_FALLBACK, false, 0, 0, 0 },
    { "prenorm", CONFIG_ONLY, 0, CONFIG_FALLBACK, false, 0, 0, 0 },
    { "parallel_block", CONFIG_ONLY, 0, CONFIG_FALLBACK, false, 0, 0, 0 },
    { "use_rms_norm", CONFIG_ONLY, 0, CONFIG_FALLBACK, false, 0, 0, 0 },
    { "qkv_proj_bias", CONFIG_ONLY, 0, CONFIG_FALLBACK, false, 0, 0, 0 },
    { "mlp_fc1_bias", CONFIG_ONLY, 0, CONFIG_FALLBACK, false, 0, 0, 0 },
    { "mlp_fc2_bias", CONFIG_ONLY, 0, CONFIG_FALLBACK, false, 0, 0, 0 },
    { "rotary_emb_fraction", CONFIG_ONLY, 0, CONFIG_FALLBACK, 1, 0, 0, 0 },
    { "rotary_emb_interleaved", CONFIG_ONLY, 0, CONFIG_FALLBACK, false, 0, 0, 0 },
    { "rotary_emb_scale_base", CONFIG_ONLY, 0, CONFIG_FALLBACK, 0, 0, 0, 0 },
    { "rotary_scaling_factor", CONFIG_ONLY, 0, CONFIG_FALLBACK, 0, 0, 0, 0 },
    { "scale_attn_weights", CONFIG_ONLY, 0, CONFIG_FALLBACK, true, 0, 0, 0 },
    { "scale_attn_by_inverse_layer_idx", CONFIG_ONLY, 0, CONFIG_FALLBACK, false, 0, 0, 0 },
    { "num_experts", CONFIG_ONLY, 0, CONFIG_FALLBACK, 0, 0, 0, 0 },
    { .key = "parallel_block_tied_norm", .kind = CONFIG_IGNORED }, /* of parallel_block */
    { .key = "max_trained_positions", .kind = CONFIG_IGNORED },    /* of rotary_scaling_factor */
    { .key = "dense_seq_output", .kind = CONFIG_IGNORED },
    { .key = "fused_bias_fc", .kind = CONFIG_IGNORED },
    { .key = "fused_dropout_add_ln", .kind = CONFIG_IGNORED },
    { .key = "pad_vocab_size_multiple", .kind = CONFIG_IGNORED }, /* vocab_size is what the table has */
    { .key = "reorder_and_upcast_attn", .kind = CONFIG_IGNORED },
    { .key = "summary_activation", .kind = CONFIG_IGNORED },
    { .key = "summary_first_dropout", .kind = CONFIG_IGNORED },
    { .key = "summary_proj_to_labels", .kind = CONFIG_IGNORED },
    { .key = "summary_type", .kind = CONFIG_IGNORED },
    { .key = "summary_use_proj", .kind = CONFIG_IGNORED },
    { .key = "use_flash_attn", .kind = CONFIG_IGNORED },
    { .key = "use_xentropy", .kind = CONFIG_IGNORED },
    { .key = "classifier_dropout", .kind = CONFIG_IGNORED },
    { 0 },
};

#define NAME(now, once) "[nomic_bert.]" now "|[bert.]" once
#define OF_LAYER(now, once) NAME("layers.{L}." now, "encoder.layers.{L}." once)
#define MAYBE_WEIGHT(name, n) { name, SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(qkv.w), { n, DIM_HIDDEN }, .maybe = WHEN_LAYER(qkv_forms) }

static const tensor_row tensors[] = {
    { NAME("embeddings.word_embeddings.weight", "embeddings.word_embeddings.weight"), SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(embed), { DIM_VOCABULARY, DIM_HIDDEN },
      .from = FROM_WHOLE },
    TOP_TABLE(NAME("embeddings.token_type_embeddings.weight", "embeddings.token_type_embeddings.weight"), types, DIM_TYPES, DIM_HIDDEN),
    TOP_VECTOR(NAME("embeddings.LayerNorm.weight", "emb_ln.weight"), embed_norm.weight, DIM_HIDDEN, 0),
    TOP_VECTOR(NAME("embeddings.LayerNorm.bias", "emb_ln.bias"), embed_norm.bias, DIM_HIDDEN, 0),
    MAYBE_WEIGHT("[bert.]encoder.layers.{L}.attn.Wqkv.weight", DIM_QKV),
    MAYBE_WEIGHT("[nomic_bert.]layers.{L}.self_attn.q_proj.weight", DIM_Q),
    MAYBE_WEIGHT("[nomic_bert.]layers.{L}.self_attn.k_proj.weight", DIM_K),
    MAYBE_WEIGHT("[nomic_bert.]layers.{L}.self_attn.v_proj.weight", DIM_V),
    LAYER_WEIGHT(OF_LAYER("self_attn.o_proj.weight", "attn.out_proj.weight"), o.w, DIM_HIDDEN, DIM_O),
    LAYER_VECTOR(OF_LAYER("post_attention_layernorm.weight", "norm1.weight"), attn_post_norm.weight, DIM_HIDDEN),
    LAYER_VECTOR(OF_LAYER("post_attention_layernorm.bias", "norm1.bias"), attn_post_norm.bias, DIM_HIDDEN),
    LAYER_WEIGHT(OF_LAYER("mlp.gate_proj.weight", "mlp.fc12.weight"), up.w, DIM_FFN, DIM_HIDDEN),
    LAYER_WEIGHT(OF_LAYER("mlp.up_proj.weight", "mlp.fc11.weight"), up.w, DIM_FFN, DIM_HIDDEN),
    LAYER_WEIGHT(OF_LAYER("mlp.down_proj.weight", "mlp.fc2.weight"), down.w, DIM_HIDDEN, DIM_FFN),
    LAYER_VECTOR(OF_LAYER("post_mlp_layernorm.weight", "norm2.weight"), ffn_post_norm.weight, DIM_HIDDEN),
    LAYER_VECTOR(OF_LAYER("post_mlp_layernorm.bias", "norm2.bias"), ffn_post_norm.bias, DIM_HIDDEN),
    { NAME("pooler.dense.weight", "pooler.dense.weight"), SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(pooler.w), { DIM_HIDDEN, DIM_HIDDEN },
      .maybe = WHEN_STACK(pooler_spare) },
    { NAME("pooler.dense.bias", "pooler.dense.bias"), SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(pooler.bias), { DIM_HIDDEN }, .maybe = WHEN_STACK(pooler_spare) },
    TOP_LINEAR("cls.predictions.transform.dense", head_in, DIM_HIDDEN, DIM_HIDDEN, WHEN_STACK(masked_lm)),
    TOP_VECTOR("cls.predictions.transform.layer_norm.weight|cls.predictions.transform.LayerNorm.weight", head_norm.weight, DIM_HIDDEN, WHEN_STACK(masked_lm)),
    TOP_VECTOR("cls.predictions.transform.layer_norm.bias|cls.predictions.transform.LayerNorm.bias", head_norm.bias, DIM_HIDDEN, WHEN_STACK(masked_lm)),
    TOP_DECODER("cls.predictions.decoder.weight"),
    LABEL_WEIGHTS("classifier"),
    TOP_VECTOR("cls.predictions.bias|cls.predictions.decoder.bias", head.bias, DIM_VOCABULARY, WHEN_STACK(masked_lm)),
    LABEL_BIASES("classifier"),
    TOP_IGNORED("cls.predictions.decoder.bias"),
    { "[nomic_bert.]rotary_emb.inv_freq", SLOT_IGNORED, SCOPE_STACK, .stack = 0 },
    { "[bert.]encoder.layers.{L}.attn.rotary_emb.inv_freq", SLOT_IGNORED, SCOPE_LAYER, .stack = 0 },
    { 0 },
};

const family cud_family_nomic_bert = {
    .model_type = "nomic_bert",
    .architectures = architectures,
    .variants = variants,
    .config = config,
    .tensors = tensors,
    .base = {
        .stacks = 1,
        .stack[0] = {
            .kind = STACK_ENCODER, .norm = NORM_LAYER, .embed_norm = true, .position = POSITION_ROPE, .scale_scores = true, .pooler_act = ACT_TANH,
            .proto = { .mask = MASK_FULL, .ffn = FFN_GATED, .norm_sum = true, .qkv_forms = true },
        },
    },
};
