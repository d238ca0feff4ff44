#include "engine/generation.h"

#include "core/options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void cuddle_generation_options_init(cuddle_generation_options *options, size_t size)
{
    const cuddle_generation_options defaults = {
        .max_tokens = CUDDLE_UNSET_INT, .temperature = CUDDLE_UNSET_FLOAT, .top_k = CUDDLE_UNSET_INT,
        .top_p = CUDDLE_UNSET_FLOAT, .min_p = CUDDLE_UNSET_FLOAT, .repetition_penalty = CUDDLE_UNSET_FLOAT, .logprobs = -1,
        .min_tokens = CUDDLE_UNSET_INT, .typical_p = CUDDLE_UNSET_FLOAT, .epsilon_cutoff = CUDDLE_UNSET_FLOAT, .eta_cutoff = CUDDLE_UNSET_FLOAT,
        .top_h = CUDDLE_UNSET_FLOAT, .no_repeat_ngram_size = CUDDLE_UNSET_INT, .forced_bos = CUDDLE_UNSET_INT, .forced_eos = CUDDLE_UNSET_INT,
        .length_decay_factor = CUDDLE_UNSET_FLOAT, .length_penalty = 1,
    };
    cud_options_init(options, size, &defaults, sizeof defaults);
}

static cuddle_status check_range(cuddle_error *err, const char *name, double value, double min, double max)
{
    if (value >= (double)(float)min && value <= max) return CUDDLE_OK; /* a float that was written as `min` may be below it; false for a NaN */
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

static cuddle_status take_float(float *out, float value, const char *name, double min, double max, cuddle_error *err)
{
    if (!is_set(value)) return CUDDLE_OK;
    *out = value;
    return check_range(err, name, (double)value, min, max);
}

static cuddle_status take_int(int *out, int value, const char *name, int min, int max, cuddle_error *err)
{
    if (value == CUDDLE_UNSET_INT) return CUDDLE_OK;
    *out = value;
    return check_count(err, name, value, min, max);
}

/* A token to force: the caller's, else the config's. */
static cuddle_status take_forced(const int32_t **list, size_t *count, int32_t *own, int32_t value, const char *name, int vocabulary,
                                 cuddle_error *err)
{
    if (value == CUDDLE_UNSET_INT) return CUDDLE_OK;
    *own = value;
    *list = own;
    *count = 1;
    return check_count(err, name, value, 0, vocabulary - 1);
}

static cuddle_status check_bias(cuddle_error *err, const char *what, size_t i, double bias)
{
    if (bias <= CUD_MAX_BIAS && (bias >= -CUD_MAX_BIAS || isinf(bias))) return CUDDLE_OK;
    return cud_fail(err, CUDDLE_E_ARG, "%s: the bias of sequence %zu is %g, expected %g to %g or minus infinity", what, i, bias, -CUD_MAX_BIAS,
                    CUD_MAX_BIAS);
}

/* The config's sequences, then the caller's. */
static cuddle_status copy_sequences(sequence_set *out, const sequence_set *config, const cuddle_sequence_bias *list, size_t count, bool biased,
                                    int vocabulary, const char *what, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    if (count && !list) return cud_fail(err, CUDDLE_E_ARG, "%s is NULL, but its count is %zu", what, count);
    for (size_t i = 0; i < config->count && !status; i++) {
        const token_sequence *s = &config->item[i];
        status = cud_sequences_add(out, config->ids + s->at, (size_t)s->length, s->bias, vocabulary, what, err);
    }
    for (size_t i = 0; i < count && !status; i++) {
        if (list[i].count && !list[i].tokens) return cud_fail(err, CUDDLE_E_ARG, "%s: the tokens of sequence %zu are NULL", what, i);
        if (biased) status = check_bias(err, what, i, (double)list[i].bias);
        if (!status) status = cud_sequences_add(out, list[i].tokens, list[i].count, biased ? list[i].bias : 0, vocabulary, what, err);
    }
    return status;
}

static bool is_eos(const generation_config *config, const token_sequence *s, const int32_t *ids)
{
    for (int i = 0; i < config->eos_count; i++)
        if (s->length == 1 && ids[s->at] == config->eos[i]) return true;
    return false;
}

/* As transformers has it, an end-of-sequence token by itself is no bad word. */
static cuddle_status take_sequences(sampling *how, const cuddle_generation_options *o, const generation_config *config, int vocabulary,
                                    cuddle_error *err)
{
    cuddle_status status = copy_sequences(&how->bias, &config->bias, o->sequence_bias, o->sequence_bias_count, true, vocabulary, "sequence_bias",
                                          err);
    if (!status) status = copy_sequences(&how->bad_words, &config->bad_words, o->bad_words, o->bad_word_count, false, vocabulary, "bad_words", err);
    if (status) return status;
    sequence_set *bad = &how->bad_words;
    size_t kept = 0;
    for (size_t i = 0; i < bad->count; i++)
        if (!is_eos(config, &bad->item[i], bad->ids)) bad->item[kept++] = bad->item[i];
    bad->count = kept;
    cud_sequences_seal(&how->bias);
    cud_sequences_seal(bad);
    return CUDDLE_OK;
}

static cuddle_status take_allowed(generation *g, const cuddle_generation_options *o, int vocabulary, cuddle_error *err)
{
    if (o->allowed_count == 0) return CUDDLE_OK;
    if (!o->allowed) return cud_fail(err, CUDDLE_E_ARG, "allowed is NULL, but allowed_count is %zu", o->allowed_count);
    const size_t words = ((size_t)vocabulary + 31) / 32;
    g->allowed = calloc(words, sizeof *g->allowed);
    if (!g->allowed) return cud_nomem(err, words * sizeof *g->allowed, "the allowed tokens");
    for (size_t i = 0; i < o->allowed_count; i++) {
        const int32_t id = o->allowed[i];
        if (id < 0 || id >= vocabulary)
            return cud_fail(err, CUDDLE_E_ARG, "allowed: token %zu is %d, the model's vocabulary ends at %d", i, (int)id, vocabulary - 1);
        g->allowed[id / 32] |= (uint32_t)1 << id % 32;
    }
    g->how.allowed = g->allowed;
    return CUDDLE_OK;
}

/* Numbers alone: nothing is allocated. */
static cuddle_status take_numbers(generation *g, const cuddle_generation_options *o, int vocabulary, cuddle_error *err)
{
    sampling *how = &g->how;
    cuddle_status status = CUDDLE_OK;
    if (is_set(o->temperature)) {
        status = take_float(&how->temperature, o->temperature, "temperature", 0, 1e4, err);
        how->greedy = !(o->temperature > 0);
    }
    if (!(how->temperature > 0)) how->greedy = true;
    if (!status) status = take_float(&how->top_p, o->top_p, "top_p", 0, 1, err);
    if (!status) status = take_float(&how->min_p, o->min_p, "min_p", 0, 1, err);
    if (!status) status = take_float(&how->typical_p, o->typical_p, "typical_p", CUD_LEAST_SHARE, 1, err);
    if (!status) status = take_float(&how->epsilon_cutoff, o->epsilon_cutoff, "epsilon_cutoff", 0, 1, err);
    if (!status) status = take_float(&how->eta_cutoff, o->eta_cutoff, "eta_cutoff", 0, 1, err);
    if (!status) status = take_float(&how->top_h, o->top_h, "top_h", 0, 1, err);
    if (!status) status = take_float(&how->repetition_penalty, o->repetition_penalty, "repetition_penalty", CUD_LEAST_FACTOR, CUD_MOST_FACTOR, err);
    how->frequency_penalty = o->frequency_penalty;
    how->presence_penalty = o->presence_penalty;
    if (!status) status = check_range(err, "frequency_penalty", (double)o->frequency_penalty, -CUD_MAX_PENALTY, CUD_MAX_PENALTY);
    if (!status) status = check_range(err, "presence_penalty", (double)o->presence_penalty, -CUD_MAX_PENALTY, CUD_MAX_PENALTY);
    if (!status) status = take_int(&how->top_k, o->top_k, "top_k", 0, INT32_MAX, err);
    if (!status) status = take_int(&how->no_repeat_ngram, o->no_repeat_ngram_size, "no_repeat_ngram_size", 0, CUD_MAX_NGRAM, err);
    if (!status) status = take_int(&how->min_tokens, o->min_tokens, "min_tokens", 0, INT32_MAX, err);
    if (!status && is_set(o->length_decay_factor)) {
        status = take_float(&how->decay_factor, o->length_decay_factor, "length_decay_factor", CUD_LEAST_FACTOR, CUD_MOST_FACTOR, err);
        how->decay_start = o->length_decay_start;
        if (!status) status = check_count(err, "length_decay_start", o->length_decay_start, 0, INT32_MAX);
    }
    if (!status) status = take_forced(&how->forced_bos, &how->forced_bos_count, &g->forced_bos, o->forced_bos, "forced_bos", vocabulary, err);
    if (!status) status = take_forced(&how->forced_eos, &how->forced_eos_count, &g->forced_eos, o->forced_eos, "forced_eos", vocabulary, err);
    if (!status) status = check_count(err, "logprobs", g->logprobs = o->logprobs, -1, CUD_MAX_TOP_LOGPROBS);
    if (!status && o->max_tokens != CUDDLE_UNSET_INT) {
        status = take_int(&g->max_tokens, o->max_tokens, "max_tokens", 0, INT32_MAX, err);
        g->max_tokens_asked = true;
        if (!status && o->min_tokens > o->max_tokens)
            return cud_fail(err, CUDDLE_E_ARG, "min_tokens is %d, but max_tokens is %d", o->min_tokens, o->max_tokens);
    }
    g->logprobs_asked = g->logprobs >= 0;
    g->ignore_eos = o->ignore_eos != 0;
    g->prompt_logprobs = o->prompt_logprobs != 0;
    g->prompt_top = o->prompt_top_logprobs;
    g->prompt_from = o->prompt_logprobs_from > 1 ? o->prompt_logprobs_from : 1;
    if (!status) status = check_count(err, "prompt_top_logprobs", o->prompt_top_logprobs, 0, CUD_MAX_TOP_LOGPROBS);
    if (!status) status = check_count(err, "prompt_logprobs_from", o->prompt_logprobs_from, 0, INT32_MAX);
    const int most = g->logprobs > g->prompt_top ? g->logprobs : g->prompt_top;
    if (!status && most > vocabulary)
        return cud_fail(err, CUDDLE_E_ARG, "%s is %d, but the vocabulary has %d tokens", most == g->logprobs ? "logprobs" : "prompt_top_logprobs",
                        most, vocabulary);
    return status;
}

/* How many are to be made of it, and when. */
static cuddle_status take_schedule(generation *g, const cuddle_generation_options *o, cuddle_error *err)
{
    g->n = o->n ? o->n : 1;
    g->best_of = o->best_of ? o->best_of : g->n;
    g->priority = o->priority;
    g->timeout_ms = o->timeout_ms;
    g->cache_salt = o->cache_salt;
    cuddle_status status = check_count(err, "n", o->n, 0, CUD_MAX_CHOICES);
    if (!status) status = check_count(err, "best_of", o->best_of, 0, CUD_MAX_CHOICES);
    if (!status) status = check_count(err, "timeout_ms", o->timeout_ms, 0, INT32_MAX);
    if (!status && g->best_of < g->n)
        status = cud_fail(err, CUDDLE_E_ARG, "best_of is %d, expected n, which is %d, or more", g->best_of, g->n);
    if (g->best_of > g->n && g->logprobs < 0) g->logprobs = 0; /* they are compared by it */
    return status;
}

static cuddle_status take_beams(generation *g, const cuddle_generation_options *o, cuddle_error *err)
{
    g->beams = o->num_beams > 1 ? o->num_beams : 1;
    g->length_penalty = o->length_penalty;
    g->early_stopping = o->early_stopping;
    cuddle_status status = check_count(err, "num_beams", o->num_beams, 0, CUD_MAX_BEAMS);
    if (!status) status = check_count(err, "early_stopping", (int)o->early_stopping, CUDDLE_BEAMS_STOP_HEURISTIC, CUDDLE_BEAMS_NEVER_STOP);
    if (!status) status = check_range(err, "length_penalty", (double)o->length_penalty, -100, 100);
    if (status || g->beams == 1) return status;
    if (!g->how.greedy) return cud_fail(err, CUDDLE_E_UNSUPPORTED, "num_beams is %d, and beams draw nothing: temperature has to be 0", g->beams);
    const char *other = o->best_of ? "best_of" : o->logprobs >= 0 ? "logprobs" : o->stop_count ? "stop" : o->grammar ? "grammar" : NULL;
    if (other) return cud_fail(err, CUDDLE_E_UNSUPPORTED, "num_beams is %d, which does not go with %s", g->beams, other);
    if (g->n > g->beams) return cud_fail(err, CUDDLE_E_ARG, "n is %d, expected at most num_beams, which is %d", g->n, g->beams);
    if (g->max_tokens_asked && g->max_tokens == 0) return cud_fail(err, CUDDLE_E_ARG, "num_beams is %d, but max_tokens is 0", g->beams);
    g->best_of = g->beams;
    return CUDDLE_OK;
}

cuddle_status cud_generation_resolve(generation *g, const cuddle_generation_options *options, const generation_config *config, int vocabulary,
                                     cuddle_error *err)
{
    *g = (generation){ 0 };
    cuddle_generation_options o;
    cuddle_generation_options_init(&o, sizeof o);
    cuddle_status status = options ? cud_options_copy(&o, sizeof o, options, "cuddle_generation_options", err) : CUDDLE_OK;
    if (status) return status;

    sampling *how = &g->how;
    *how = (sampling){ .greedy = !config->do_sample, .temperature = config->temperature, .top_k = config->top_k, .top_p = config->top_p,
                       .min_p = config->min_p, .repetition_penalty = config->repetition_penalty, .seed = o.seed, .typical_p = config->typical_p,
                       .epsilon_cutoff = config->epsilon_cutoff, .eta_cutoff = config->eta_cutoff, .top_h = config->top_h,
                       .no_repeat_ngram = config->no_repeat_ngram, .min_length = config->min_length, .min_tokens = config->min_new_tokens,
                       .forced_bos = &config->forced_bos, .forced_bos_count = (size_t)config->forced_bos_count, .forced_eos = config->forced_eos,
                       .forced_eos_count = (size_t)config->forced_eos_count, .remove_invalid = config->remove_invalid,
                       .decay_start = config->decay_start, .decay_factor = config->decay_factor };
    g->grammar = o.grammar;
    if (g->grammar) cud_grammar_keep(g->grammar);
    status = take_numbers(g, &o, vocabulary, err);
    if (!status) status = take_schedule(g, &o, err);
    if (!status) status = take_beams(g, &o, err);
    if (!status) status = copy_stops(g, &o, err);
    if (!status) status = copy_ids(&g->suppress, &how->suppress_count, config->suppress, config->suppress_count, o.suppress, o.suppress_count,
                                   "suppressed tokens", err);
    how->suppress = g->suppress;
    if (!status) status = copy_ids(&g->begin_suppress, &how->begin_suppress_count, config->begin_suppress, config->begin_suppress_count,
                                   o.begin_suppress, o.begin_suppress_count, "tokens suppressed at the beginning", err);
    how->begin_suppress = g->begin_suppress;
    if (!status) status = copy_ids(&g->stop_tokens, &g->stop_token_count, config->eos, g->ignore_eos ? 0 : (size_t)config->eos_count, o.stop_tokens,
                                   o.stop_token_count, "stop tokens", err);
    how->ends = g->stop_tokens;
    how->end_count = g->stop_token_count;
    if (!status) status = take_sequences(how, &o, config, vocabulary, err);
    if (!status) status = take_allowed(g, &o, vocabulary, err);
    return status;
}

void cud_generation_free(generation *g)
{
    for (size_t i = 0; i < g->stop_count; i++) free(g->stop[i]);
    free(g->stop);
    free(g->stop_length);
    free(g->suppress);
    free(g->begin_suppress);
    free(g->allowed);
    cud_sequences_free(&g->how.bias);
    cud_sequences_free(&g->how.bad_words);
    free(g->stop_tokens);
    cud_grammar_release(g->grammar);
    *g = (generation){ 0 };
}
