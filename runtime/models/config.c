#include "models/config.h"

#include "format/path.h"
#include "models/rope.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 64 };

/* Keys that every config.json may have and that do not change what a forward computes: transformers/configuration_utils.py and the
 * sampling settings that older versions kept there (generation_config.json rules those). */
static const char *const common_keys[] = {
    "architectures", "model_type", "torch_dtype", "dtype", "transformers_version", "use_cache", "initializer_range", "return_dict",
    "output_hidden_states", "output_attentions", "torchscript", "use_bfloat16", "tf_legacy_loss", "chunk_size_feed_forward",
    "finetuning_task", "id2label", "label2id", "num_labels", "problem_type", "task_specific_params", "tokenizer_class", "prefix",
    "bos_token_id", "pad_token_id", "eos_token_id", "sep_token_id", "cls_token_id", "mask_token_id", "unk_token_id", "decoder_start_token_id",
    "do_sample", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size", "num_beams",
    "num_beam_groups", "diversity_penalty", "early_stopping", "min_length", "max_length", "bad_words_ids", "num_return_sequences",
    "output_scores", "return_dict_in_generate", "forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values",
    "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "encoder_no_repeat_ngram_size", "auto_map",
    "attn_implementation", "gradient_checkpointing", "is_encoder_decoder", "is_decoder", "tie_encoder_decoder",
    "cross_attention_hidden_size", "pruned_heads", "add_cross_attention", NULL,
};

/* Of those, the ones that would change the maths if they said something. */
static const char *const common_only_false[] = {
    "is_encoder_decoder", "tie_encoder_decoder", "cross_attention_hidden_size", "pruned_heads", "add_cross_attention", NULL,
};

/* Keys that change the maths of some model, whether one of our families knows them or not. Everything else that a row does not name
 * is ignored, as transformers does, but for a line in the log. */
static const char *const maths_keys[] = {
    "quantization_config", "compression_config", "rope_scaling", "rope_parameters", "rope_theta", "rope_local_base_freq",
    "partial_rotary_factor", "rotary_pct", "rotary_dim", "rotary_emb_base", "sliding_window", "use_sliding_window",
    "sliding_window_pattern", "_sliding_window_pattern", "layer_types", "attention_chunk_size", "no_rope_layers", "attn_logit_softcapping",
    "final_logit_softcapping", "query_pre_attn_scalar", "embedding_multiplier", "attention_multiplier", "residual_multiplier",
    "logits_scaling", "logit_scale", "num_experts", "num_local_experts", "n_routed_experts", "num_experts_per_tok", "qk_layernorm",
    "use_qk_norm", "qk_norm", "parallel_attn", "use_parallel_residual", "alibi", "position_embedding_type", "clip_qkv", "kv_lora_rank",
    "q_lora_rank", "attention_bias", "mlp_bias", "qkv_bias", "use_bias", "use_qkv_bias", "bias", "norm_type", "hidden_act",
    "hidden_activation", "activation_function", "activation", "scale_embedding", "scale_attn_weights", "scale_attn_by_inverse_layer_idx",
    "apply_residual_connection_post_layernorm", "do_layer_norm_before", "word_embed_proj_dim", "embedding_size", "head_dim",
    "num_key_value_heads", "n_inner", "layer_norm_epsilon", "layer_norm_eps", "rms_norm_eps", "norm_epsilon", "vision_config",
    "audio_config", "text_config", "mup_scale", "swiglu_limit", "attention_sinks", "cla_share_factor", "use_mrope", NULL,
};

static bool listed(const char *key, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(key, *list) == 0) return true;
    return false;
}

/* True if `key` is one of the alternatives of `keys` ("a|b=word"), up to the first point of a path. */
static bool names(const char *keys, const char *key)
{
    const size_t length = strlen(key);
    for (const char *at = keys; at;) {
        if (strncmp(at, key, length) == 0 && (at[length] == 0 || at[length] == '|' || at[length] == '.' || at[length] == '=')) return true;
        at = strchr(at, '|');
        if (at) at++;
    }
    return false;
}

/* A value that asks for nothing: null, false, 0, "", {} or []. */
static bool says_nothing(const json_t *v)
{
    return json_is_null(v) || json_is_false(v) || (json_is_integer(v) && json_integer_value(v) == 0) ||
           (json_is_real(v) && fpclassify(json_real_value(v)) == FP_ZERO) || (json_is_string(v) && json_string_length(v) == 0) ||
           (json_is_object(v) && json_object_size(v) == 0) || (json_is_array(v) && json_array_size(v) == 0);
}

static bool known_to(const family *f, const char *key)
{
    for (const config_row *row = f->config; row->kind != CONFIG_END; row++) {
        if (names(row->key, key)) return true;
        if (row->kind == CONFIG_ROPE && names("rope_parameters|rope_scaling|rope_theta|partial_rotary_factor|original_max_position_embeddings", key))
            return true;
    }
    return false;
}

static bool changes_maths(const char *key)
{
    if (listed(key, maths_keys)) return true;
    for (int i = 0; cud_families[i]; i++)
        for (const config_row *row = cud_families[i]->config; row->kind != CONFIG_END; row++)
            if (row->kind != CONFIG_IGNORED && names(row->key, key)) return true;
    return false;
}

/* For a key that says something and must not. */
static cuddle_status not_supported(const json_view *in, const char *key, const char *owner, const char *name, cuddle_error *err)
{
    const char *neutral = json_is_true(json_object_get(in->value, key)) ? "false" : "null";
    return cud_json_wrong(in, key, err, CUDDLE_E_UNSUPPORTED, "%s: it is not supported for %s \"%s\"", neutral, owner, name);
}

static cuddle_status check_unknown_keys(const family *f, const json_view *root, const logger *log, cuddle_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(root->value, key, value) {
        if (says_nothing(value)) continue;
        if (listed(key, common_only_false)) return not_supported(root, key, "model_type", f->model_type, err);
        if (known_to(f, key) || listed(key, common_keys)) continue;
        if (changes_maths(key)) return not_supported(root, key, "model_type", f->model_type, err);
        if (key[0] == '_' || strstr(key, "dropout") || strstr(key, "pdrop")) continue;
        cud_log(log, CUDDLE_LOG_WARN, "%s: \"%s\" is not a setting of model_type \"%s\" and has no effect", root->file, key, f->model_type);
    }
    return CUDDLE_OK;
}

/* ---------------------------------------------------------------------------------------------------------- rows */

/* Finds the first alternative of `keys` that is there and not null: its object in *in, its last name in `name`. */
static bool find_key(const char *keys, const json_view *root, json_view *in, char name[KEY_MAX])
{
    for (const char *at = keys; at;) {
        const size_t length = strcspn(at, "|=");
        json_view here = *root;
        const char *part = at, *end = at + length;
        bool found = true;
        while (found) {
            const size_t n = strcspn(part, ".|=");
            if (n >= KEY_MAX) return false;
            memcpy(name, part, n);
            name[n] = 0;
            if (part + n >= end) break;
            found = cud_json_has(&here, name) && cud_json_object(&here, &here, name, CUD_JSON_NULLABLE, NULL) == CUDDLE_OK && here.value;
            part += n + 1;
        }
        if (found && cud_json_has(&here, name)) {
            *in = here;
            return true;
        }
        at = at[length] == '|' ? at + length + 1 : NULL;
    }
    /* Nothing there: messages name the first alternative. */
    const size_t n = strcspn(keys, "|=");
    memcpy(name, keys, n < KEY_MAX ? n : KEY_MAX - 1);
    name[n < KEY_MAX ? n : KEY_MAX - 1] = 0;
    *in = *root;
    return false;
}

static const struct { const char *name; activation act; } activations[] = {
    { "gelu", ACT_GELU }, { "gelu_python", ACT_GELU }, { "gelu_new", ACT_GELU_TANH }, { "gelu_fast", ACT_GELU_TANH },
    { "gelu_pytorch_tanh", ACT_GELU_TANH }, { "gelu_python_tanh", ACT_GELU_TANH }, { "gelu_accurate", ACT_GELU_TANH }, { "quick_gelu", ACT_QUICK_GELU },
    { "silu", ACT_SILU }, { "swish", ACT_SILU }, { "relu", ACT_RELU }, { "relu2", ACT_RELU2 }, { "tanh", ACT_TANH },
    { "linear", ACT_NONE },
};
enum { ACTIVATIONS = sizeof activations / sizeof *activations };

bool cud_activation_parse(const char *name, activation *out)
{
    for (int i = 0; i < ACTIVATIONS; i++) {
        if (strcmp(activations[i].name, name) == 0) {
            *out = activations[i].act;
            return true;
        }
    }
    return false;
}

/* "a, b or c", cut when it does not fit. */
static void add_name(char out[200], const char *name, bool last)
{
    const size_t used = strlen(out);
    snprintf(out + used, 200 - used, "%s%s", used == 0 ? "" : last ? " or " : ", ", name);
}

static cuddle_status wrong_activation(const json_view *in, const char *key, cuddle_error *err)
{
    char names[200] = "";
    for (int i = 0; i < ACTIVATIONS; i++) add_name(names, activations[i].name, i + 1 == ACTIVATIONS);
    return cud_json_wrong(in, key, err, CUDDLE_E_UNSUPPORTED, "%s", names);
}

static cuddle_status check_only(const config_row *row, const json_view *in, const char *name, cuddle_error *err)
{
    const json_t *v = json_object_get(in->value, name);
    const char *word = strchr(row->key, '=');
    if (word) {
        if (json_is_string(v) && strcmp(json_string_value(v), word + 1) == 0) return CUDDLE_OK;
        return cud_json_wrong(in, name, err, CUDDLE_E_UNSUPPORTED, "\"%s\": nothing else is supported", word + 1);
    }
    const double value = json_is_boolean(v) ? json_boolean_value(v) : json_is_number(v) ? json_number_value(v) : NAN;
    if (fabs(value - row->fallback) <= 0) return CUDDLE_OK;
    if (says_nothing(v) && fpclassify(row->fallback) == FP_ZERO) return CUDDLE_OK;
    return cud_json_wrong(in, name, err, CUDDLE_E_UNSUPPORTED, "%g: nothing else is supported", row->fallback);
}

/* Puts the kind of attention into each layer; expand_stack() adds the rest. */
static cuddle_status read_layer_types(spec *s, const config_row *row, const json_view *in, const char *name, bool found, cuddle_error *err)
{
    stack *t = &s->stack[(row->to - offsetof(spec, stack)) / sizeof *t];
    json_view list = { 0 };
    size_t count = 0;
    cuddle_status status = found ? cud_json_array(&list, &count, in, name, CUD_JSON_REQUIRED, err) : CUDDLE_OK;
    if (status) return status;
    if (found && count != (size_t)t->layers)
        return cud_fail(err, CUDDLE_E_FORMAT, "%s: \"%s\" has %zu elements, expected one for each of %lld layers", in->file, name, count,
                        (long long)t->layers);
    t->layer = calloc((size_t)t->layers, sizeof *t->layer);
    if (!t->layer) return cud_nomem(err, (size_t)t->layers * sizeof *t->layer, "layer specs");
    bool slides = false;
    for (int64_t i = 0; i < t->layers; i++) {
        bool full = row->fallback > 0 && (i + 1) % (int64_t)row->fallback == 0;
        if (row->absent == CONFIG_LIKE || row->absent == CONFIG_EVERY) {
            int64_t some;
            memcpy(&some, (char *)s + row->like, sizeof some);
            full = row->absent == CONFIG_LIKE ? i < some : i % some == 0;
        }
        if (found) {
            const char *kind = NULL;
            const json_view element = cud_json_element(&list, (size_t)i);
            status = cud_json_string(&kind, &element, NULL, CUD_JSON_REQUIRED, err);
            if (status) return status;
            full = strcmp(kind, "full_attention") == 0;
            if (!full && strcmp(kind, "sliding_attention") != 0)
                return cud_json_wrong(&element, NULL, err, CUDDLE_E_UNSUPPORTED, "full_attention or sliding_attention");
        }
        t->layer[i].attention = full ? ATTN_FULL : found ? ATTN_SLIDING : t->proto.attention;
        slides |= t->layer[i].attention == ATTN_SLIDING;
    }
    if (slides && (found || row->absent != CONFIG_LIKE) && (t->no_window || t->proto.window == 0))
        return cud_fail(err, CUDDLE_E_FORMAT, "%s: layers have sliding attention, but there is no sliding window", in->file);
    return CUDDLE_OK;
}

/* What a number is where its key is not there. */
static double absent_number(const config_row *row, const json_view *in, const char *name)
{
    return row->absent == CONFIG_OR_NONE && json_is_null(json_object_get(in->value, name)) ? 0 : row->fallback;
}

static cuddle_status read_row(spec *s, const config_row *row, const json_view *root, cuddle_error *err)
{
    char name[KEY_MAX];
    json_view in;
    char *to = (char *)s + row->to;
    const bool found = find_key(row->key, root, &in, name);
    if (row->kind == CONFIG_ROPE && strchr(row->key, '.'))
        return cud_config_named_rope((rope_spec *)(void *)to, &in, found ? name : NULL, row->fallback, s->stack[0].positions, err);
    if (row->kind == CONFIG_ROPE) return cud_config_rope((rope_spec *)(void *)to, root, row->fallback, s->stack[0].positions, row->max > 0, err);
    if (row->kind == CONFIG_IGNORED) return CUDDLE_OK;
    if (row->kind == CONFIG_ONLY) return found ? check_only(row, &in, name, err) : CUDDLE_OK;
    if (row->kind == CONFIG_LAYER_TYPES) return read_layer_types(s, row, &in, name, found, err);
    const unsigned flags = row->absent == CONFIG_REQUIRED ? CUD_JSON_REQUIRED : CUD_JSON_NULLABLE;
    switch (row->kind) {
    case CONFIG_INT: {
        int64_t value = (int64_t)absent_number(row, &in, name);
        if (row->absent == CONFIG_LIKE) {
            memcpy(&value, (char *)s + row->like, sizeof value);
            value *= (int64_t)row->fallback;
        }
        const cuddle_status status = cud_json_int(&value, &in, name, flags, (int64_t)row->min, (int64_t)row->max, err);
        memcpy(to, &value, sizeof value);
        return status;
    }
    case CONFIG_NUMBER: {
        double value = absent_number(row, &in, name);
        const cuddle_status status = cud_json_number(&value, &in, name, flags, row->min, row->max, err);
        memcpy(to, &value, sizeof value);
        return status;
    }
    case CONFIG_BOOL: case CONFIG_NOT: {
        bool value = fpclassify(row->fallback) != FP_ZERO;
        const cuddle_status status = cud_json_bool(&value, &in, name, flags, err);
        if (row->kind == CONFIG_NOT) value = !value;
        memcpy(to, &value, sizeof value);
        return status;
    }
    case CONFIG_ACTIVATION: {
        const char *value = NULL;
        activation act = (activation)(int)row->fallback;
        const cuddle_status status = cud_json_string(&value, &in, name, flags, err);
        if (status) return status;
        if (value && !cud_activation_parse(value, &act)) return wrong_activation(&in, name, err);
        memcpy(to, &act, sizeof act);
        return CUDDLE_OK;
    }
    case CONFIG_WORD: {
        const char *value = NULL;
        bool first = fpclassify(row->fallback) != FP_ZERO;
        const char *words = strchr(row->key, '=') + 1, *second = strchr(words, '|') + 1;
        const cuddle_status status = cud_json_string(&value, &in, name, flags, err);
        if (status) return status;
        if (value) {
            first = strlen(value) == (size_t)(second - words) - 1 && strncmp(words, value, strlen(value)) == 0;
            if (!first && strcmp(second, value) != 0)
                return cud_json_wrong(&in, name, err, CUDDLE_E_UNSUPPORTED, "%.*s or %s", (int)(second - words) - 1, words, second);
        }
        memcpy(to, &first, sizeof first);
        return CUDDLE_OK;
    }
    default: return cud_fail(err, CUDDLE_E_INTERNAL, "config row \"%s\" has a kind that is not read", row->key);
    }
}

/* ---------------------------------------------------------------------------------------------------------- rope */

static const struct { const char *name; rope_kind kind; } rope_kinds[] = {
    { "default", ROPE_DEFAULT }, { "linear", ROPE_LINEAR }, { "llama3", ROPE_LLAMA3 }, { "yarn", ROPE_YARN },
};
enum { ROPE_KINDS = sizeof rope_kinds / sizeof *rope_kinds };

static cuddle_status rope_kind_of(rope_kind *out, const json_view *in, const char *key, const char *name, cuddle_error *err)
{
    char names[200] = "";
    for (int i = 0; i < ROPE_KINDS; i++) {
        if (strcmp(rope_kinds[i].name, name) == 0) {
            *out = rope_kinds[i].kind;
            return CUDDLE_OK;
        }
        add_name(names, rope_kinds[i].name, i + 1 == ROPE_KINDS);
    }
    return cud_json_wrong(in, key, err, CUDDLE_E_UNSUPPORTED, "%s", names);
}

static cuddle_status rope_keys(const json_view *in, rope_kind kind, const char *type, cuddle_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(in->value, key, value) {
        const bool known = names("rope_type|type|rope_theta|partial_rotary_factor", key) || (kind != ROPE_DEFAULT && names("factor", key)) ||
            ((kind == ROPE_LLAMA3 || kind == ROPE_YARN) && names("original_max_position_embeddings", key)) ||
            (kind == ROPE_LLAMA3 && names("low_freq_factor|high_freq_factor", key)) ||
            (kind == ROPE_YARN && names("beta_fast|beta_slow|attention_factor|mscale|mscale_all_dim|truncate", key));
        if (!known && !says_nothing(value)) return not_supported(in, key, "rope type", type, err);
    }
    return CUDDLE_OK;
}

cuddle_status cud_config_rope(rope_spec *r, const json_view *root, double default_theta, int64_t positions, bool partial,
                              cuddle_error *err)
{
    *r = (rope_spec){ .theta = default_theta, .factor = 1, .partial = 1, .low_freq_factor = 1, .high_freq_factor = 4,
                      .original_max = positions, .beta_fast = 32, .beta_slow = 1, .truncate = true };
    cuddle_status status = cud_json_number(&r->theta, root, "rope_theta", CUD_JSON_NULLABLE, 1, 1e12, err);
    if (!status) status = cud_json_number(&r->partial, root, "partial_rotary_factor", CUD_JSON_NULLABLE, 0.01, 1, err);
    json_view in = { 0 };
    if (!status) status = cud_json_object(&in, root, "rope_scaling", CUD_JSON_NULLABLE, err);
    if (!status && (!in.value || json_object_size(in.value) == 0)) status = cud_json_object(&in, root, "rope_parameters", CUD_JSON_NULLABLE, err);
    if (!status && !in.value && !partial && r->partial < 1)
        return cud_json_wrong(root, "partial_rotary_factor", err, CUDDLE_E_UNSUPPORTED, "1: this family turns whole heads");
    if (status || !in.value) return status;

    const char *type = "default";
    status = cud_json_string(&type, &in, "type", CUD_JSON_NULLABLE, err);
    if (!status) status = cud_json_string(&type, &in, "rope_type", CUD_JSON_NULLABLE, err);
    if (!status) status = rope_kind_of(&r->kind, &in, cud_json_has(&in, "rope_type") ? "rope_type" : "type", type, err);
    if (!status) status = rope_keys(&in, r->kind, type, err);
    if (!status) status = cud_json_number(&r->theta, &in, "rope_theta", CUD_JSON_NULLABLE, 1, 1e12, err);
    if (!status) status = cud_json_number(&r->partial, &in, "partial_rotary_factor", CUD_JSON_NULLABLE, 0.01, 1, err);
    if (!status && !partial && r->partial < 1)
        return cud_json_wrong(cud_json_has(&in, "partial_rotary_factor") ? &in : root, "partial_rotary_factor", err, CUDDLE_E_UNSUPPORTED,
                              "1: this family turns whole heads");
    if (status || r->kind == ROPE_DEFAULT) return status;

    if (!status) status = cud_json_number(&r->factor, &in, "factor", CUD_JSON_REQUIRED, 0.001, 1e6, err);
    if (!status) status = cud_json_int(&r->original_max, &in, "original_max_position_embeddings", CUD_JSON_NULLABLE, 1, 1 << 30, err);
    if (!status) status = cud_json_int(&r->original_max, root, "original_max_position_embeddings", CUD_JSON_NULLABLE, 1, 1 << 30, err);
    if (!status && r->kind == ROPE_LLAMA3) {
        status = cud_json_number(&r->low_freq_factor, &in, "low_freq_factor", CUD_JSON_REQUIRED, 0.001, 1e6, err);
        if (!status) status = cud_json_number(&r->high_freq_factor, &in, "high_freq_factor", CUD_JSON_REQUIRED, 0.001, 1e6, err);
        if (!status && !(r->high_freq_factor > r->low_freq_factor))
            status = cud_json_wrong(&in, "high_freq_factor", err, CUDDLE_E_FORMAT, "more than low_freq_factor (%g)", r->low_freq_factor);
    }
    if (!status && r->kind == ROPE_YARN) {
        status = cud_json_number(&r->beta_fast, &in, "beta_fast", CUD_JSON_NULLABLE, 0.001, 1e6, err);
        if (!status) status = cud_json_number(&r->beta_slow, &in, "beta_slow", CUD_JSON_NULLABLE, 0.001, 1e6, err);
        if (!status) status = cud_json_number(&r->attention_factor, &in, "attention_factor", CUD_JSON_NULLABLE, 0.001, 1e6, err);
        if (!status) status = cud_json_number(&r->mscale, &in, "mscale", CUD_JSON_NULLABLE, 0, 1e6, err);
        if (!status) status = cud_json_number(&r->mscale_all_dim, &in, "mscale_all_dim", CUD_JSON_NULLABLE, 0, 1e6, err);
        if (!status) status = cud_json_bool(&r->truncate, &in, "truncate", CUD_JSON_NULLABLE, err);
        if (!status && !(r->theta > 1)) /* its logarithm divides */
            status = cud_json_wrong(cud_json_has(&in, "rope_theta") ? &in : root, "rope_theta", err, CUDDLE_E_FORMAT, "more than 1 for rope type \"yarn\"");
    }
    return status;
}

cuddle_status cud_config_named_rope(rope_spec *r, const json_view *in, const char *key, double default_theta, int64_t positions, cuddle_error *err)
{
    *r = (rope_spec){ .theta = default_theta, .factor = 1, .partial = 1, .original_max = positions };
    if (!key) return CUDDLE_OK;
    if (!json_is_object(json_object_get(in->value, key))) return cud_json_number(&r->theta, in, key, CUD_JSON_REQUIRED, 1, 1e12, err);
    json_view own;
    const char *type = "default";
    cuddle_status status = cud_json_object(&own, in, key, CUD_JSON_REQUIRED, err);
    if (!status) status = cud_json_string(&type, &own, "rope_type", CUD_JSON_NULLABLE, err);
    if (!status && strcmp(type, "default") != 0)
        return cud_json_wrong(&own, "rope_type", err, CUDDLE_E_UNSUPPORTED, "default: nothing else is supported where kinds of layers have ropes of their own");
    if (!status) status = rope_keys(&own, r->kind, type, err);
    if (!status) status = cud_json_number(&r->theta, &own, "rope_theta", CUD_JSON_NULLABLE, 1, 1e12, err);
    if (!status) status = cud_json_number(&r->partial, &own, "partial_rotary_factor", CUD_JSON_NULLABLE, 0.01, 1, err);
    if (!status && r->partial < 1)
        return cud_json_wrong(&own, "partial_rotary_factor", err, CUDDLE_E_UNSUPPORTED, "1: this family turns whole heads");
    return status;
}

/* -------------------------------------------------------------------------------------------------- spec and tokens */

/* What the architecture has that base has not; and which tensors that asks for. */
static void choose_heads(spec *s, const char *architecture)
{
    stack *t = &s->stack[s->stacks - 1];
    for (const architecture_row *v = s->family->variants; v && v->name; v++) {
        if (strcmp(v->name, architecture) != 0) continue;
        t->heads = v->heads;
        t->head_act = v->act;
        t->pooled = v->pooled;
    }
    t->masked_lm = t->heads & HEAD_MASKED_LM;
    t->sequence = t->heads & HEAD_SEQUENCE;
    t->tokens = t->heads & HEAD_TOKENS;
    t->spans = t->heads & HEAD_SPANS;
    t->choice = t->heads & HEAD_CHOICE;
    t->pooler_spare = !t->pooled;
    t->bare_head = !t->heads;
}

static cuddle_status choose_family(const family **out, spec *s, const json_view *root, cuddle_error *err)
{
    const char *type = NULL, *architecture = NULL;
    cuddle_status status = cud_json_string(&type, root, "model_type", CUD_JSON_REQUIRED, err);
    json_view list = { 0 };
    size_t count = 0;
    if (!status) status = cud_json_array(&list, &count, root, "architectures", CUD_JSON_NULLABLE, err);
    if (!status && count > 0) {
        const json_view first = cud_json_element(&list, 0);
        status = cud_json_string(&architecture, &first, NULL, CUD_JSON_REQUIRED, err);
    }
    if (status) return status;
    for (int i = 0; cud_families[i]; i++) {
        const family *f = cud_families[i];
        if (strcmp(f->model_type, type) != 0) continue;
        if (!architecture) architecture = f->architectures[0];
        for (int a = 0; f->architectures[a]; a++) {
            if (strcmp(f->architectures[a], architecture) == 0) {
                *s = f->base;
                s->family = *out = f;
                strncpy(s->architecture, architecture, sizeof s->architecture - 1);
                choose_heads(s, architecture);
                return CUDDLE_OK;
            }
        }
        if (f->architectures[1]) { /* to choose from */
            char known[200] = "";
            for (int a = 0; f->architectures[a]; a++) add_name(known, f->architectures[a], !f->architectures[a + 1]);
            return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s: architecture \"%.60s\" is not supported for \"%s\", expected %s", root->file, architecture, type, known);
        }
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s: architecture \"%s\" is not supported for model_type \"%s\", expected \"%s\"", root->file,
                        architecture, type, f->architectures[0]);
    }
    char names[200] = "";
    for (int i = 0; cud_families[i]; i++) add_name(names, cud_families[i]->model_type, !cud_families[i + 1]);
    return cud_json_wrong(root, "model_type", err, CUDDLE_E_UNSUPPORTED, "%s", names);
}

static cuddle_status read_dtype(spec *s, const json_view *root, cuddle_error *err)
{
    const char *name = NULL;
    cuddle_status status = cud_json_string(&name, root, "torch_dtype", CUD_JSON_NULLABLE, err);
    if (!status) status = cud_json_string(&name, root, "dtype", CUD_JSON_NULLABLE, err);
    s->type = CUDDLE_DTYPE_COUNT; /* not said: the weights tell */
    if (status || !name || strcmp(name, "auto") == 0) return status;
    if (strcmp(name, "float32") == 0) s->type = CUDDLE_F32;
    else if (strcmp(name, "bfloat16") == 0) s->type = CUDDLE_BF16;
    else if (strcmp(name, "float16") == 0) s->type = CUDDLE_F16;
    else return cud_json_wrong(root, cud_json_has(root, "dtype") ? "dtype" : "torch_dtype", err, CUDDLE_E_UNSUPPORTED, "float32, bfloat16 or float16");
    return CUDDLE_OK;
}

static cuddle_status read_token(int32_t *out, const json_view *in, const char *key, cuddle_error *err)
{
    int64_t id = -1;
    const cuddle_status status = cud_json_int(&id, in, key, CUD_JSON_NULLABLE, -1, INT32_MAX, err);
    *out = (int32_t)id;
    return status;
}

static cuddle_status read_tokens(spec *s, const json_view *root, cuddle_error *err)
{
    cuddle_status status = read_token(&s->bos, root, "bos_token_id", err);
    if (!status) status = read_token(&s->pad, root, "pad_token_id", err);
    if (!status) status = read_token(&s->decoder_start, root, "decoder_start_token_id", err);
    if (status || !json_object_get(root->value, "eos_token_id")) return status; /* absent: the family's default */
    s->eos_count = 0;
    if (!cud_json_has(root, "eos_token_id")) return CUDDLE_OK;
    if (!json_is_array(json_object_get(root->value, "eos_token_id"))) {
        status = read_token(&s->eos[0], root, "eos_token_id", err);
        s->eos_count = s->eos[0] >= 0;
        return status;
    }
    json_view list;
    size_t count = 0;
    status = cud_json_array(&list, &count, root, "eos_token_id", CUD_JSON_REQUIRED, err);
    if (!status && count > CUD_MAX_EOS)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: \"eos_token_id\" has %zu ids, expected at most %d", root->file, count, CUD_MAX_EOS);
    for (size_t i = 0; i < count && !status; i++) {
        int64_t id = 0;
        const json_view element = cud_json_element(&list, i);
        status = cud_json_int(&id, &element, NULL, CUD_JSON_REQUIRED, 0, INT32_MAX, err);
        s->eos[s->eos_count++] = (int32_t)id;
    }
    return status;
}

/* What depends on the kind of model: sizes of the embeddings and of the head. */
static cuddle_status expand_ends(stack *t, const spec *s, const char *file, cuddle_error *err)
{
    if (!t->embed_dim) t->embed_dim = t->hidden;
    t->embed_project = t->embed_project || t->embed_dim != t->hidden;
    if (t->after_pad) {
        t->position_offset++;
        t->positions -= t->position_offset;
        if (t->positions < 1)
            return cud_fail(err, CUDDLE_E_FORMAT, "%s: \"max_position_embeddings\" is %lld, expected more than %lld, as positions begin behind \"pad_token_id\"",
                            file, (long long)(t->positions + t->position_offset), (long long)t->position_offset);
    }
    t->labels = t->spans ? 2 : t->choice ? 1 : s->labels;
    if (t->head_act == ACT_NONE) t->head_act = t->proto.act;
    if (t->window_halves) t->proto.window /= 2;
    return CUDDLE_OK;
}

/* Layers that share weights (ALBERT): group i * groups / layers, as Python computes it. */
static void share_weights(stack *t)
{
    for (int64_t i = 0; i < t->layers; i++) {
        t->layer[i].group = (int)((double)i / ((double)t->layers / (double)t->groups));
        for (int64_t k = 0; k < i && !t->layer[i].twin; k++)
            if (t->layer[k].group == t->layer[i].group) t->layer[i].twin = (int)k + 1;
    }
}

/* Derived sizes, and the prototype copied to every layer. */
static cuddle_status expand_stack(stack *t, const spec *s, const char *file, cuddle_error *err)
{
    layer_spec *p = &t->proto;
    const cuddle_status status = expand_ends(t, s, file, err);
    if (status) return status;
    if (!p->kv_heads) p->kv_heads = p->heads;
    if (!p->head_dim) {
        if (t->hidden % p->heads)
            return cud_fail(err, CUDDLE_E_FORMAT, "%s: hidden size %lld is not a multiple of %lld attention heads", file, (long long)t->hidden,
                            (long long)p->heads);
        p->head_dim = t->hidden / p->heads;
    }
    if (!p->v_dim) p->v_dim = p->head_dim;
    if (p->heads % p->kv_heads)
        return cud_fail(err, CUDDLE_E_FORMAT, "%s: %lld attention heads are not a multiple of %lld key-value heads", file, (long long)p->heads,
                        (long long)p->kv_heads);
    if (p->heads * p->head_dim > 1 << 22)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: %lld attention heads of head_dim %lld are %lld in all, expected at most %d", file,
                        (long long)p->heads, (long long)p->head_dim, (long long)(p->heads * p->head_dim), 1 << 22);
    if (t->position == POSITION_ROPE && cud_rope_dim(&t->rope[0], p->head_dim) != (int)((double)p->head_dim * t->rope[0].partial))
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s: %d dimensions of head_dim %lld are rotary, expected an even number", file,
                        (int)((double)p->head_dim * t->rope[0].partial), (long long)p->head_dim);
    if (t->scale_embed) t->embed_scale = sqrt((double)t->hidden);
    if (t->no_window) p->window = 0;
    const bool kinds = t->layer != NULL; /* read_layer_types() has been here */
    if (!kinds) t->layer = calloc((size_t)t->layers, sizeof *t->layer);
    if (!t->layer) return cud_nomem(err, (size_t)t->layers * sizeof *t->layer, "layer specs");
    for (int64_t i = 0; i < t->layers; i++) {
        const attention_kind kind = kinds ? t->layer[i].attention : p->attention;
        t->layer[i] = *p;
        t->layer[i].attention = kind == ATTN_SLIDING && p->window == 0 ? ATTN_FULL : kind;
        const double width = t->query_scalar > 0 ? t->query_scalar : (double)p->head_dim;
        double scale = t->scale_scores ? 1.0 / sqrt(width) : 1.0;
        if (t->scale_by_layer) scale /= (double)(i + 1);
        if (fpclassify(p->score_scale) == FP_ZERO) t->layer[i].score_scale = scale;
        if (t->local_rope && t->layer[i].attention == ATTN_SLIDING) t->layer[i].rope = 1;
        t->layer[i].bare = t->bare_first && i == 0;
    }
    if (t->groups) share_weights(t);
    return CUDDLE_OK;
}

cuddle_status cud_config_read(spec *out, const json_view *root, const logger *log, cuddle_error *err)
{
    *out = (spec){ 0 };
    const family *f = NULL;
    cuddle_status status = choose_family(&f, out, root, err);
    if (!status) status = check_unknown_keys(f, root, log, err);
    for (const config_row *row = f ? f->config : NULL; !status && row->kind != CONFIG_END; row++) status = read_row(out, row, root, err);
    if (!status) status = read_dtype(out, root, err);
    if (!status) status = read_tokens(out, root, err);
    if (!status) status = cud_labels_read(out, root, err);
    for (int i = 0; !status && i < out->stacks; i++) status = expand_stack(&out->stack[i], out, root->file, err);
    if (status) cud_spec_free(out);
    return status;
}

cuddle_status cud_config_load(spec *out, const char *dir, const logger *log, cuddle_error *err)
{
    *out = (spec){ 0 };
    char *path = NULL;
    cuddle_status status = cud_path_join(&path, dir, "config.json", err);
    if (status) return status;
    json_t *root = NULL;
    status = cud_json_load(&root, path, CUD_JSON_MAX, err);
    if (!status) {
        const json_view view = cud_json_view(root, path);
        status = cud_config_read(out, &view, log, err);
        json_decref(root);
    }
    free(path);
    return status;
}

void cud_spec_free(spec *s)
{
    for (int i = 0; i < s->stacks; i++) free(s->stack[i].layer);
    for (int64_t i = 0; s->label && i < s->labels; i++) free(s->label[i]);
    free(s->label);
    *s = (spec){ 0 };
}
