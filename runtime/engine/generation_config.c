#include "engine/generation.h"

#include "format/json.h"
#include "format/path.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Known: what is read below, and what is without effect on what we produce: token ids that only padding or other tasks use, bookkeeping,
 * speed. */
static const char *const known_keys[] = {
    "_from_model_config", "transformers_version", "bos_token_id", "pad_token_id", "decoder_start_token_id", "use_cache", "cache_implementation",
    "cache_config", "return_legacy_cache", "output_attentions", "output_hidden_states", "output_scores", "output_logits",
    "return_dict_in_generate", "num_return_sequences", "early_stopping", "length_penalty", "max_time", "renormalize_logits",
    "low_memory", "trust_remote_code", "is_assistant", "num_assistant_tokens", "num_assistant_tokens_schedule",
    "assistant_confidence_threshold", "prompt_lookup_num_tokens", "max_matching_ngram_size", "assistant_early_exit",
    "assistant_lookbehind", "target_lookbehind", "disable_compile", "compile_config", "generation_kwargs", "chat_format", "max_window_size",
    "user", "do_sample", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "max_new_tokens", "max_length", "eos_token_id",
    "suppress_tokens", "begin_suppress_tokens", "prefill_chunk_size", "remove_invalid_values", "typical_p", "epsilon_cutoff", "eta_cutoff",
    "top_h", "no_repeat_ngram_size", "min_length", "min_new_tokens", "forced_bos_token_id", "forced_eos_token_id", "bad_words_ids", "sequence_bias",
    "exponential_decay_length_penalty", NULL,
};

/* Settings whose neutral value is this number; anything else would change the output. */
static const struct { const char *key; double neutral; } neutral_numbers[] = {
    { "num_beams", 1 }, { "num_beam_groups", 1 }, { "diversity_penalty", 0 }, { "encoder_repetition_penalty", 1 },
    { "encoder_no_repeat_ngram_size", 0 }, { "penalty_alpha", 0 }, { "guidance_scale", 1 },
};

static bool says_nothing(const json_t *v)
{
    return json_is_null(v) || json_is_false(v) || (json_is_array(v) && json_array_size(v) == 0) || (json_is_object(v) && json_object_size(v) == 0);
}

static cuddle_status check_keys(const json_view *root, const logger *log, cuddle_error *err)
{
    static const char *const refused[] = { "force_words_ids", "forced_decoder_ids", "token_healing", "watermarking_config", "constraints",
        "dola_layers", "custom_generate", "stop_strings", NULL };
    const char *key;
    json_t *value;
    json_object_foreach(root->value, key, value) {
        bool known = false;
        for (int i = 0; known_keys[i] && !known; i++) known = strcmp(key, known_keys[i]) == 0;
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

/* One id or a list of at most CUD_MAX_EOS, each below `limit`; *count stays as it is where nothing is said. */
static cuddle_status read_few_ids(int32_t *out, int *count, const json_view *root, const char *key, int64_t limit, cuddle_error *err)
{
    if (!cud_json_has(root, key)) return CUDDLE_OK;
    int64_t id = 0;
    if (!json_is_array(json_object_get(root->value, key))) {
        const cuddle_status status = cud_json_int(&id, root, key, CUD_JSON_REQUIRED, 0, limit - 1, err);
        out[0] = (int32_t)id;
        *count = 1;
        return status;
    }
    json_view list = { 0 };
    size_t length = 0;
    cuddle_status status = cud_json_array(&list, &length, root, key, CUD_JSON_REQUIRED, err);
    if (!status && length > CUD_MAX_EOS)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: \"%s\" has %zu ids, expected at most %d", root->file, key, length, CUD_MAX_EOS);
    *count = 0;
    for (size_t i = 0; i < length && !status; i++) {
        const json_view element = cud_json_element(&list, i);
        status = cud_json_int(&id, &element, NULL, CUD_JSON_REQUIRED, 0, limit - 1, err);
        out[(*count)++] = (int32_t)id;
    }
    return status;
}

/* Adds a list of ids to a set. */
static cuddle_status read_sequence(sequence_set *set, const json_view *list, size_t count, float bias, int64_t vocabulary, const char *key,
                                   cuddle_error *err)
{
    if (count == 0) return cud_json_wrong(list, NULL, err, CUDDLE_E_FORMAT, "at least one token id");
    if (count > CUD_MAX_SEQUENCE_TOKENS - set->id_count)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: \"%s\" has more than %d token ids in all", list->file, key, CUD_MAX_SEQUENCE_TOKENS);
    int32_t *ids = calloc(count, sizeof *ids);
    if (!ids) return cud_nomem(err, count * sizeof *ids, key);
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i < count && !status; i++) {
        const json_view element = cud_json_element(list, i);
        int64_t id = 0;
        status = cud_json_int(&id, &element, NULL, CUD_JSON_REQUIRED, 0, vocabulary - 1, err);
        ids[i] = (int32_t)id;
    }
    if (!status) status = cud_sequences_add(set, ids, count, bias, (int)vocabulary, key, err);
    free(ids);
    return status;
}

/* [[id, ...], ...] */
static cuddle_status read_bad_words(sequence_set *set, const json_view *root, int64_t vocabulary, cuddle_error *err)
{
    static const char key[] = "bad_words_ids";
    json_view list = { 0 };
    size_t count = 0;
    cuddle_status status = cud_json_array(&list, &count, root, key, CUD_JSON_NULLABLE, err);
    for (size_t i = 0; i < count && !status; i++) {
        const json_view element = cud_json_element(&list, i);
        json_view ids = { 0 };
        size_t length = 0;
        status = cud_json_array(&ids, &length, &element, NULL, CUD_JSON_REQUIRED, err);
        if (!status) status = read_sequence(set, &ids, length, 0, vocabulary, key, err);
    }
    return status;
}

/* [[[id, ...], bias], ...] */
static cuddle_status read_sequence_bias(sequence_set *set, const json_view *root, int64_t vocabulary, cuddle_error *err)
{
    static const char key[] = "sequence_bias";
    json_view list = { 0 };
    size_t count = 0;
    cuddle_status status = cud_json_array(&list, &count, root, key, CUD_JSON_NULLABLE, err);
    for (size_t i = 0; i < count && !status; i++) {
        const json_view element = cud_json_element(&list, i);
        json_view pair = { 0 }, ids = { 0 };
        size_t parts = 0, length = 0;
        double bias = 0;
        status = cud_json_array(&pair, &parts, &element, NULL, CUD_JSON_REQUIRED, err);
        if (!status && parts != 2) return cud_json_wrong(&element, NULL, err, CUDDLE_E_FORMAT, "a list of token ids and a number");
        if (status) return status;
        const json_view first = cud_json_element(&pair, 0), second = cud_json_element(&pair, 1);
        status = cud_json_array(&ids, &length, &first, NULL, CUD_JSON_REQUIRED, err);
        if (!status) status = cud_json_number(&bias, &second, NULL, CUD_JSON_REQUIRED, -CUD_MAX_BIAS, CUD_MAX_BIAS, err);
        if (!status) status = read_sequence(set, &ids, length, (float)bias, vocabulary, key, err);
    }
    return status;
}

/* [start, factor] */
static cuddle_status read_decay(generation_config *g, const json_view *root, cuddle_error *err)
{
    json_view pair = { 0 };
    size_t parts = 0;
    cuddle_status status = cud_json_array(&pair, &parts, root, "exponential_decay_length_penalty", CUD_JSON_NULLABLE, err);
    if (status || !pair.value) return status;
    if (parts != 2)
        return cud_json_wrong(root, "exponential_decay_length_penalty", err, CUDDLE_E_FORMAT, "a number of tokens and a factor");
    const json_view first = cud_json_element(&pair, 0), second = cud_json_element(&pair, 1);
    int64_t start = 0;
    double factor = 1;
    status = cud_json_int(&start, &first, NULL, CUD_JSON_REQUIRED, 0, INT32_MAX, err);
    if (!status) status = cud_json_number(&factor, &second, NULL, CUD_JSON_REQUIRED, CUD_LEAST_FACTOR, CUD_MOST_FACTOR, err);
    g->decay_start = (int)start;
    g->decay_factor = (float)factor;
    return status;
}

static cuddle_status read_float(float *out, const json_view *root, const char *key, double min, double max, cuddle_error *err)
{
    double value = (double)*out;
    const cuddle_status status = cud_json_number(&value, root, key, CUD_JSON_NULLABLE, min, max, err);
    *out = (float)value;
    return status;
}

static cuddle_status read_int(int *out, const json_view *root, const char *key, int64_t min, int64_t max, cuddle_error *err)
{
    int64_t value = *out;
    const cuddle_status status = cud_json_int(&value, root, key, CUD_JSON_NULLABLE, min, max, err);
    *out = (int)value;
    return status;
}

static void set_defaults(generation_config *g, const spec *s)
{
    *g = (generation_config){ .temperature = 1, .top_p = 1, .repetition_penalty = 1, .top_k = 50, .typical_p = 1, .decay_factor = 1,
                              .eos_count = s->eos_count };
    memcpy(g->eos, s->eos, sizeof g->eos);
}

cuddle_status cud_generation_config_read(generation_config *g, const json_view *root, const spec *s, const logger *log, cuddle_error *err)
{
    set_defaults(g, s);
    const int64_t vocabulary = s->stack[0].vocabulary;
    const int64_t any = (int64_t)INT32_MAX + 1; /* an id that no token has ends nothing */
    cuddle_status status = check_keys(root, log, err);
    if (!status) status = cud_json_bool(&g->do_sample, root, "do_sample", CUD_JSON_NULLABLE, err);
    if (!status) status = cud_json_bool(&g->remove_invalid, root, "remove_invalid_values", CUD_JSON_NULLABLE, err);
    if (!status) status = read_float(&g->temperature, root, "temperature", 0, 1e4, err);
    if (!status) status = read_float(&g->top_p, root, "top_p", 0, 1, err);
    if (!status) status = read_float(&g->min_p, root, "min_p", 0, 1, err);
    if (!status) status = read_float(&g->typical_p, root, "typical_p", CUD_LEAST_SHARE, 1, err);
    if (!status) status = read_float(&g->epsilon_cutoff, root, "epsilon_cutoff", 0, 1, err);
    if (!status) status = read_float(&g->eta_cutoff, root, "eta_cutoff", 0, 1, err);
    if (!status) status = read_float(&g->top_h, root, "top_h", CUD_LEAST_SHARE, 1, err);
    if (!status) status = read_float(&g->repetition_penalty, root, "repetition_penalty", CUD_LEAST_FACTOR, CUD_MOST_FACTOR, err);
    if (!status) status = read_int(&g->top_k, root, "top_k", 0, INT32_MAX, err);
    if (!status) status = read_int(&g->no_repeat_ngram, root, "no_repeat_ngram_size", 0, CUD_MAX_NGRAM, err);
    if (!status) status = read_int(&g->max_new_tokens, root, "max_new_tokens", 1, INT32_MAX, err);
    if (!status) status = read_int(&g->max_length, root, "max_length", 1, INT32_MAX, err);
    if (!status) status = read_int(&g->min_new_tokens, root, "min_new_tokens", 0, INT32_MAX, err);
    if (!status) status = read_int(&g->min_length, root, "min_length", 0, INT32_MAX, err);
    if (!status) status = read_few_ids(g->eos, &g->eos_count, root, "eos_token_id", any, err);
    if (!status) status = read_few_ids(g->forced_eos, &g->forced_eos_count, root, "forced_eos_token_id", vocabulary, err);
    int64_t forced_bos = -1;
    if (!status) status = cud_json_int(&forced_bos, root, "forced_bos_token_id", CUD_JSON_NULLABLE, 0, vocabulary - 1, err);
    g->forced_bos = (int32_t)forced_bos;
    g->forced_bos_count = forced_bos >= 0;
    if (!status) status = read_decay(g, root, err);
    if (!status) status = read_ids(&g->suppress, &g->suppress_count, root, "suppress_tokens", err);
    if (!status) status = read_ids(&g->begin_suppress, &g->begin_suppress_count, root, "begin_suppress_tokens", err);
    if (!status) status = read_sequence_bias(&g->bias, root, vocabulary, err);
    if (!status) status = read_bad_words(&g->bad_words, root, vocabulary, err);
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
    cud_sequences_free(&g->bias);
    cud_sequences_free(&g->bad_words);
    *g = (generation_config){ 0 };
}
