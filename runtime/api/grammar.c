/* The grammar part of cuddle.h: checks of arguments, the rest is host/grammar. */
#include "core/options.h"
#include "engine/engine.h"

static const cuddle_grammar_options defaults = {
    .kind = CUDDLE_GRAMMAR_JSON, .max_source = 1 << 20, .max_memory = 64 << 20, .max_steps = 20000000, .max_depth = 512,
};

void cuddle_grammar_options_init(cuddle_grammar_options *options, size_t size) { cud_options_init(options, size, &defaults, sizeof defaults); }

/* The caller's options with their defaults. */
static cuddle_status complete(cuddle_grammar_options *o, const cuddle_grammar_options *options, cuddle_error *err)
{
    *o = defaults;
    o->struct_size = sizeof *o;
    const cuddle_status status = options ? cud_options_copy(o, sizeof *o, options, "cuddle_grammar_options", err) : CUDDLE_OK;
    if (status) return status;
    if (!o->max_source) o->max_source = defaults.max_source;
    if (!o->max_memory) o->max_memory = defaults.max_memory;
    if (!o->max_steps) o->max_steps = defaults.max_steps;
    if (!o->max_depth) o->max_depth = defaults.max_depth;
    return CUDDLE_OK;
}

cuddle_status cuddle_grammar_compile(cuddle_grammar **out, const cuddle_tokenizer *tokenizer, const cuddle_grammar_options *options, cuddle_error *err)
{
    cud_error_clear(err);
    if (!out) return cud_fail(err, CUDDLE_E_ARG, "cuddle_grammar_compile: out is NULL");
    *out = NULL;
    if (!tokenizer) return cud_fail(err, CUDDLE_E_ARG, "cuddle_grammar_compile: tokenizer is NULL");
    cuddle_grammar_options o;
    const cuddle_status status = complete(&o, options, err);
    return status ? status : cud_grammar_compile(out, tokenizer, &o, err);
}

cuddle_status cuddle_model_grammar(cuddle_grammar **out, cuddle_model *h, const cuddle_grammar_options *options, cuddle_error *err)
{
    cud_error_clear(err);
    if (!out) return cud_fail(err, CUDDLE_E_ARG, "cuddle_model_grammar: out is NULL");
    *out = NULL;
    if (!h) return cud_fail(err, CUDDLE_E_ARG, "cuddle_model_grammar: model is NULL");
    if (!h->tokenizer) return cud_fail(err, CUDDLE_E_ARG, "a grammar needs a tokenizer, but the checkpoint has none that can be read");
    cuddle_grammar_options o;
    cuddle_status status = complete(&o, options, err);
    if (status) return status;
    double seconds;
    status = cud_grammar_cache_get(out, &seconds, &h->grammars, h->tokenizer, &o, err);
    cuddle_engine_stats *stats = &h->engine->stats;
    pthread_mutex_lock(&h->engine->lock);
    stats->grammar_asked++;
    if (seconds >= 0) cud_histogram_add(&stats->grammar_seconds, seconds);
    else if (!status) stats->grammar_hits++;
    pthread_mutex_unlock(&h->engine->lock);
    return status;
}

void cuddle_grammar_free(cuddle_grammar *grammar) { cud_grammar_release(grammar); }

cuddle_status cuddle_grammar_match(int *begins, int *whole, cuddle_grammar *grammar, const char *text, size_t length, cuddle_error *err)
{
    cud_error_clear(err);
    if (begins) *begins = 0;
    if (whole) *whole = 0;
    if (!grammar) return cud_fail(err, CUDDLE_E_ARG, "cuddle_grammar_match: grammar is NULL");
    if (!text && length) return cud_fail(err, CUDDLE_E_ARG, "cuddle_grammar_match: text is NULL");
    cud_matcher *m = NULL;
    size_t taken = 0;
    cuddle_status status = cud_matcher_new(&m, grammar, true, err);
    if (!status) status = cud_matcher_bytes(&taken, m, text ? text : "", length, err);
    if (!status && begins) *begins = taken == length;
    if (!status && whole) *whole = taken == length && cud_matcher_accepts(m);
    cud_matcher_free(m);
    return status;
}

cuddle_status cuddle_grammar_get_info(cuddle_grammar *grammar, cuddle_grammar_info *out, cuddle_error *err)
{
    cud_error_clear(err);
    if (!grammar || !out) return cud_fail(err, CUDDLE_E_ARG, "cuddle_grammar_get_info: %s is NULL", grammar ? "out" : "grammar");
    cuddle_grammar_info info;
    cud_grammar_info(&info, grammar);
    return cud_result_copy(out, &info, sizeof info, "cuddle_grammar_info", err);
}
