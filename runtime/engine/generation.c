#include "engine/generation.h"

#include "core/options.h"
#include "format/json.h"
#include "format/path.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------- generation_config.json */

/* Known, and without effect on what we produce: token ids that only padding or other tasks use, bookkeeping, speed. */
static const char *const ignored_keys[] = {
    "_from_model_config", "transformers_version", "bos_token_id", "pad_token_id", "decoder_start_token_id", "use_cache", "cache_implementation",
    "cache_config", "return_legacy_cache", "output_attentions", "output_hidden_states", "output_scores", "output_logits",
    "return_dict_in_generate", "num_return_sequences", "early_stopping", "length_penalty", "max_time", "renormalize_logits",
    "low_memory", "trust_remote_code", "is_assistant", "num_assistant_tokens", "num_assistant_tokens_schedule",
    "assistant_confidence_threshold", "prompt_lookup_num_tokens", "max_matching_ngram_size", "assistant_early_exit",
    "assistant_lookbehind", "target_lookbehind", "disable_compile", "compile_config", "generation_kwargs", "chat_format", "max_window_size",
    "user", "do_sample", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "max_new_tokens", "max_length", "eos_token_id",
    "suppress_tokens", "begin_suppress_tokens", "prefill_chunk_size", "remove_invalid_values", NULL,
};

/* Settings whose neutral value is this number; anything else would change the output. */
static const struct { const char *key; double neutral; } neutral_numbers[] = {
    { "num_beams", 1 }, { "num_beam_groups", 1 }, { "diversity_penalty", 0 }, { "typical_p", 1 }, { "epsilon_cutoff", 0 }, { "eta_cutoff", 0 },
    { "encoder_repetition_penalty", 1 }, { "no_repeat_ngram_size", 0 }, { "encoder_no_repeat_ngram_size", 0 }, { "min_length", 0 },
    { "min_new_tokens", 0 }, { "penalty_alpha", 0 }, { "guidance_scale", 1 }, { "top_h", 1 },
};

static bool says_nothing(const json_t *v)
{
    return json_is_null(v) || json_is_false(v) || (json_is_array(v) && json_array_size(v) == 0) || (json_is_object(v) && json_object_size(v) == 0);
}

static cuddle_status check_keys(const json_view *root, const logger *log, cuddle_error *err)
{
    static const char *const refused[] = { "bad_words_ids", "force_words_ids", "forced_bos_token_id", "forced_eos_token_id", "forced_decoder_ids",
        "exponential_decay_length_penalty", "sequence_bias", "token_healing", "watermarking_config", "constraints", "dola_layers",
        "custom_generate", "stop_strings", NULL };
    const char *key;
    json_t *value;
    json_object_foreach(root->value, key, value) {
        bool known = false;
        for (int i = 0; ignored_keys[i] && !known; i++) known = strcmp(key, ignored_keys[i]) == 0;
        for (size_t i = 0; i < sizeof neutral_numbers / sizeof *neutral_numbers && !known; i++) {
            known = strcmp(key, neutral_numbers[i].key) == 0;
            if (known && !says_nothing(value) && !(json_is_number(value) && fabs(json_number_value(value) - neutral_numbers[i].neutral) <= 0))
                return cud_json_wrong(root, key, err, CUDDLE_E_UNSUPPORTED, "%g: nothing else is supported", neutral_numbers[i].neutral);
        }
        for (int i = 0; refused[i] && !known; i++) {
            known = strcmp(key, refused[i]) == 0;
            if (known && !says_nothing(value)) return cud_json_wrong(root, key, err, CUDDLE_E_UNSUPPORTED, "null: it is not supported");
        }
        if (!known && !says_nothing(value)) cud_log(log, CUDDLE_LOG_WARN, "%s: \"%s\" is not a known setting and has no effect", root->file, key);
    }
    return CUDDLE_OK;
}

static cuddle_status read_ids(int32_t **out, size_t *count, const json_view *root, const char *key, cuddle_error *err)
{
    json_view list = { 0 };
    *count = 0;
    cuddle_status status = cud_json_array(&list, count, root, key, CUD_JSON_NULLABLE, err);
    if (status || *count == 0) return status;
    if (*count > CUD_MAX_SUPPRESS)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: \"%s\" has %zu ids, expected at most %d", root->file, key, *count, CUD_MAX_SUPPRESS);
    *out = calloc(*count, sizeof **out);
    if (!*out) return cud_nomem(err, *count * sizeof **out, key);
    for (size_t i = 0; i < *count && !status; i++) {
        const json_view element = cud_json_element(&list, i);
        int64_t id = 0;
        status = cud_json_int(&id, &element, NULL, CUD_JSON_REQUIRED, -1, INT32_MAX, err);
        (*out)[i] = (int32_t)id;
    }
    return status;
}

static cuddle_status read_eos(generation_config *g, const json_view *root, cuddle_error *err)
{
    if (!cud_json_has(root, "eos_token_id")) return CUDDLE_OK;
    int64_t id = 0;
    if (!json_is_array(json_object_get(root->value, "eos_token_id"))) {
        const cuddle_status status = cud_json_int(&id, root, "eos_token_id", CUD_JSON_REQUIRED, 0, INT32_MAX, err);
        g->eos[0] = (int32_t)id;
        g->eos_count = 1;
        return status;
    }
    json_view list = { 0 };
    size_t count = 0;
    cuddle_status status = cud_json_array(&list, &count, root, "eos_token_id", CUD_JSON_REQUIRED, err);
    if (!status && count > CUD_MAX_EOS)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: \"eos_token_id\" has %zu ids, expected at most %d", root->file, count, CUD_MAX_EOS);
    g->eos_count = 0;
    for (size_t i = 0; i < count && !status; i++) {
        const json_view element = cud_json_element(&list, i);
        status = cud_json_int(&id, &element, NULL, CUD_JSON_REQUIRED, 0, INT32_MAX, err);
        g->eos[g->eos_count++] = (int32_t)id;
    }
    return status;
}

static cuddle_status read_float(float *out, const json_view *root, const char *key, double min, double max, cuddle_error *err)
{
    double value = (double)*out;
    const cuddle_status status = cud_json_number(&value, root, key, CUD_JSON_NULLABLE, min, max, err);
    *out = (float)value;
    return status;
}

static cuddle_status read_int(int *out, const json_view *root, const char *key, int64_t min, cuddle_error *err)
{
    int64_t value = *out;
    const cuddle_status status = cud_json_int(&value, root, key, CUD_JSON_NULLABLE, min, INT32_MAX, err);
    *out = (int)value;
    return status;
}

static void set_defaults(generation_config *g, const spec *s)
{
    *g = (generation_config){ .temperature = 1, .top_p = 1, .repetition_penalty = 1, .top_k = 50, .eos_count = s->eos_count };
    memcpy(g->eos, s->eos, sizeof g->eos);
}

cuddle_status cud_generation_config_read(generation_config *g, const json_view *root, const spec *s, const logger *log, cuddle_error *err)
{
    set_defaults(g, s);
    cuddle_status status = check_keys(root, log, err);
    if (!status) status = cud_json_bool(&g->do_sample, root, "do_sample", CUD_JSON_NULLABLE, err);
    if (!status) status = read_float(&g->temperature, root, "temperature", 0, 1e4, err);
    if (!status) status = read_float(&g->top_p, root, "top_p", 0, 1, err);
    if (!status) status = read_float(&g->min_p, root, "min_p", 0, 1, err);
    if (!status) status = read_float(&g->repetition_penalty, root, "repetition_penalty", 1e-4, 1e4, err);
    if (!status) status = read_int(&g->top_k, root, "top_k", 0, err);
    if (!status) status = read_int(&g->max_new_tokens, root, "max_new_tokens", 1, err);
    if (!status) status = read_int(&g->max_length, root, "max_length", 1, err);
    if (!status) status = read_eos(g, root, err);
    if (!status) status = read_ids(&g->suppress, &g->suppress_count, root, "suppress_tokens", err);
    if (!status) status = read_ids(&g->begin_suppress, &g->begin_suppress_count, root, "begin_suppress_tokens", err);
    if (status) cud_generation_config_free(g);
    return status;
}

cuddle_status cud_generation_config_load(generation_config *g, const char *dir, const spec *s, const logger *log, cuddle_error *err)
{
    set_defaults(g, s);
    char *path = NULL;
    cuddle_status status = cud_path_join(&path, dir, "generation_config.json", err);
    bool found = false;
    if (!status) status = cud_path_find(&found, path, err);
    if (found) {
        json_t *root = NULL;
        status = cud_json_load(&root, path, CUD_JSON_MAX, err);
        if (!status) {
            const json_view view = cud_json_view(root, path);
            status = cud_generation_config_read(g, &view, s, log, err);
            json_decref(root);
        }
    }
    free(path);
    if (status) cud_generation_config_free(g);
    return status;
}

void cud_generation_config_free(generation_config *g)
{
    free(g->suppress);
    free(g->begin_suppress);
    *g = (generation_config){ 0 };
}

/* -------------------------------------------------------------------------------------------------------- options */

void cuddle_generation_options_init(cuddle_generation_options *options, size_t size)
{
    const cuddle_generation_options defaults = {
        .max_tokens = CUDDLE_UNSET_INT, .temperature = CUDDLE_UNSET_FLOAT, .top_k = CUDDLE_UNSET_INT,
        .top_p = CUDDLE_UNSET_FLOAT, .min_p = CUDDLE_UNSET_FLOAT, .repetition_penalty = CUDDLE_UNSET_FLOAT, .logprobs = -1,
    };
    cud_options_init(options, size, &defaults, sizeof defaults);
}

static cuddle_status check_range(cuddle_error *err, const char *name, double value, double min, double max)
{
    if (value >= min && value <= max) return CUDDLE_OK; /* false for a NaN */
    return cud_fail(err, CUDDLE_E_ARG, "%s is %g, expected a number from %g to %g", name, value, min, max);
}

static cuddle_status check_count(cuddle_error *err, const char *name, int value, int min, int max)
{
    if (value >= min && value <= max) return CUDDLE_OK;
    return cud_fail(err, CUDDLE_E_ARG, "%s is %d, expected %d to %d", name, value, min, max);
}

static cuddle_status copy_stops(generation *g, const cuddle_generation_options *o, cuddle_error *err)
{
    if (o->stop_count == 0) return CUDDLE_OK;
    if (!o->stop) return cud_fail(err, CUDDLE_E_ARG, "stop is NULL, but stop_count is %zu", o->stop_count);
    if (o->stop_count > CUD_MAX_STOPS) return cud_fail(err, CUDDLE_E_LIMIT, "%zu stop strings are given, at most %d are taken", o->stop_count, CUD_MAX_STOPS);
    g->stop = calloc(o->stop_count, sizeof *g->stop);
    g->stop_length = calloc(o->stop_count, sizeof *g->stop_length);
    if (!g->stop || !g->stop_length) return cud_nomem(err, o->stop_count * sizeof *g->stop, "stop strings");
    for (size_t i = 0; i < o->stop_count; i++) {
        const size_t length = o->stop[i] ? strnlen(o->stop[i], CUD_MAX_STOP_BYTES + 1) : 0;
        if (length == 0) return cud_fail(err, CUDDLE_E_ARG, "stop string %zu is empty", i);
        if (length > CUD_MAX_STOP_BYTES) return cud_fail(err, CUDDLE_E_LIMIT, "stop string %zu is longer than %d bytes", i, CUD_MAX_STOP_BYTES);
        g->stop[i] = malloc(length + 1);
        if (!g->stop[i]) return cud_nomem(err, length + 1, "a stop string");
        memcpy(g->stop[i], o->stop[i], length + 1);
        g->stop_length[g->stop_count++] = length;
        if (length > g->longest_stop) g->longest_stop = length;
    }
    return CUDDLE_OK;
}

static cuddle_status copy_ids(int32_t **out, size_t *count, const int32_t *a, size_t a_count, const int32_t *b, size_t b_count, const char *what,
                              cuddle_error *err)
{
    *count = 0;
    if (b_count && !b) return cud_fail(err, CUDDLE_E_ARG, "the %s are NULL, but their count is %zu", what, b_count);
    if (b_count > CUD_MAX_SUPPRESS) return cud_fail(err, CUDDLE_E_LIMIT, "%zu %s are given, at most %d are taken", b_count, what, CUD_MAX_SUPPRESS);
    if (a_count + b_count == 0) return CUDDLE_OK;
    *out = malloc((a_count + b_count) * sizeof **out);
    if (!*out) return cud_nomem(err, (a_count + b_count) * sizeof **out, what);
    if (a_count) memcpy(*out, a, a_count * sizeof *a);
    if (b_count) memcpy(*out + a_count, b, b_count * sizeof *b);
    *count = a_count + b_count;
    return CUDDLE_OK;
}

static bool is_set(float v) { return !(v <= CUDDLE_UNSET_FLOAT && v >= CUDDLE_UNSET_FLOAT); }

cuddle_status cud_generation_resolve(generation *g, const cuddle_generation_options *options, const generation_config *config, cuddle_error *err)
{
    *g = (generation){ 0 };
    cuddle_generation_options o;
    cuddle_generation_options_init(&o, sizeof o);
    cuddle_status status = options ? cud_options_copy(&o, sizeof o, options, "cuddle_generation_options", err) : CUDDLE_OK;
    if (status) return status;

    sampling *how = &g->how;
    *how = (sampling){ .greedy = !config->do_sample, .temperature = config->temperature, .top_k = config->top_k, .top_p = config->top_p,
                       .min_p = config->min_p, .repetition_penalty = config->repetition_penalty, .seed = o.seed,
                       .begin_suppress = config->begin_suppress, .begin_suppress_count = config->begin_suppress_count };
    if (is_set(o.temperature)) {
        status = check_range(err, "temperature", (double)o.temperature, 0, 1e4);
        how->temperature = o.temperature;
        how->greedy = !(o.temperature > 0);
    }
    if (!(how->temperature > 0)) how->greedy = true;
    if (!status && is_set(o.top_p)) status = check_range(err, "top_p", (double)(how->top_p = o.top_p), 0, 1);
    if (!status && is_set(o.min_p)) status = check_range(err, "min_p", (double)(how->min_p = o.min_p), 0, 1);
    if (!status && is_set(o.repetition_penalty))
        status = check_range(err, "repetition_penalty", (double)(how->repetition_penalty = o.repetition_penalty), 1e-4, 1e4);
    if (!status && o.top_k != CUDDLE_UNSET_INT) status = check_count(err, "top_k", how->top_k = o.top_k, 0, INT32_MAX);
    if (!status) status = check_count(err, "logprobs", g->logprobs = o.logprobs, -1, CUD_MAX_TOP_LOGPROBS);
    if (!status && o.max_tokens != CUDDLE_UNSET_INT) {
        status = check_count(err, "max_tokens", o.max_tokens, 1, INT32_MAX);
        g->max_tokens = o.max_tokens;
        g->max_tokens_asked = true;
    }
    g->ignore_eos = o.ignore_eos != 0;
    g->grammar = o.grammar;
    if (g->grammar) cud_grammar_keep(g->grammar);
    g->prompt_logprobs = o.prompt_logprobs != 0;
    if (!status) status = copy_stops(g, &o, err);
    if (!status) status = copy_ids(&g->suppress, &how->suppress_count, config->suppress, config->suppress_count, o.suppress, o.suppress_count,
                                   "suppressed tokens", err);
    how->suppress = g->suppress;
    if (!status) status = copy_ids(&g->stop_tokens, &g->stop_token_count, config->eos, g->ignore_eos ? 0 : (size_t)config->eos_count, o.stop_tokens,
                                   o.stop_token_count, "stop tokens", err);
    return status;
}

void cud_generation_free(generation *g)
{
    for (size_t i = 0; i < g->stop_count; i++) free(g->stop[i]);
    free(g->stop);
    free(g->stop_length);
    free(g->suppress);
    free(g->stop_tokens);
    cud_grammar_release(g->grammar);
    *g = (generation){ 0 };
}
