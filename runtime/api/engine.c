/* cuddle.h: engine and model. Thin: argument checks, then the engine. */
#include "api/backends.h"
#include "core/options.h"
#include "engine/engine.h"

#include <string.h>

enum { MAX_CPU_THREADS = 1024 }; /* what the CPU backend takes */

#define REQUIRE(condition, function, what) \
    if (!(condition)) return cud_fail(err, CUDDLE_E_ARG, function ": " what " is NULL")

void cuddle_engine_options_init(cuddle_engine_options *options, size_t size)
{
    const cuddle_engine_options defaults = { .device = "auto", .threads = 1, .log_level = CUDDLE_LOG_WARN };
    cud_options_init(options, size, &defaults, sizeof defaults);
}

cuddle_status cuddle_engine_new(cuddle_engine **out, const cuddle_engine_options *options, cuddle_error *err)
{
    cud_error_clear(err);
    REQUIRE(out, "cuddle_engine_new", "out");
    *out = NULL;
    cuddle_engine_options o;
    cuddle_engine_options_init(&o, sizeof o);
    if (options) {
        const cuddle_status status = cud_options_copy(&o, sizeof o, options, "cuddle_engine_options", err);
        if (status) return status;
    }
    if (o.threads < 0 || o.threads > 1) return cud_fail(err, CUDDLE_E_ARG, "threads is %d, expected 0 or 1", o.threads);
    if (o.cpu_threads < 0 || o.cpu_threads > MAX_CPU_THREADS)
        return cud_fail(err, CUDDLE_E_ARG, "cpu_threads is %d, expected 0 to %d", o.cpu_threads, MAX_CPU_THREADS);
    if (o.deterministic < CUDDLE_AUTO || o.deterministic > CUDDLE_ON)
        return cud_fail(err, CUDDLE_E_ARG, "deterministic is %d, expected AUTO, OFF or ON", (int)o.deterministic);
    backend *b = NULL;
    cuddle_device_kind kind;
    cuddle_error why = { CUDDLE_OK, "" };
    cuddle_status status = cud_backend_open(&b, &kind, o.device, o.cpu_threads, o.backend_dir, &why, err);
    if (status) return status;
    if (o.deterministic == CUDDLE_AUTO) o.deterministic = kind == CUDDLE_DEVICE_CPU ? CUDDLE_ON : CUDDLE_OFF; /* where it costs little */
    status = cud_engine_new(out, b, kind, &o, err);
    if (status) {
        b->ops->destroy(b);
        return status;
    }
    cud_log(&(*out)->log, CUDDLE_LOG_INFO, "device %s: %s, %d threads", kind == CUDDLE_DEVICE_CPU ? "cpu" : "cuda", b->device_name, b->threads);
    if (why.status) cud_log(&(*out)->log, CUDDLE_LOG_INFO, "no GPU is used: %s", why.text);
    return CUDDLE_OK;
}

void cuddle_engine_free(cuddle_engine *engine) { cud_engine_free(engine); }

cuddle_status cuddle_engine_step(cuddle_engine *engine, int *worked, cuddle_error *err)
{
    cud_error_clear(err);
    REQUIRE(engine, "cuddle_engine_step", "engine");
    bool did = false;
    const cuddle_status status = cud_engine_step(engine, &did, err);
    if (worked) *worked = did;
    return status;
}

cuddle_device_kind cuddle_engine_device(const cuddle_engine *engine) { return engine->device; }
const char *cuddle_engine_device_name(const cuddle_engine *engine) { return engine->device_name; }
int cuddle_engine_deterministic(const cuddle_engine *engine) { return engine->deterministic; }
int cuddle_engine_cpu_threads(const cuddle_engine *engine) { return engine->cpu_threads; }

cuddle_status cuddle_engine_get_stats(cuddle_engine *engine, cuddle_engine_stats *out, cuddle_error *err)
{
    cud_error_clear(err);
    REQUIRE(engine, "cuddle_engine_get_stats", "engine");
    REQUIRE(out, "cuddle_engine_get_stats", "out");
    pthread_mutex_lock(&engine->lock);
    cuddle_engine_stats s = engine->stats;
    for (cuddle_model *h = engine->models; h; h = h->list_next) {
        size_t grammars, grammar_bytes;
        const scheduler *of = &h->scheduler;
        const page_pool *pool = &of->pool;
        if (h->detached) continue;
        s.queued += of->waiting_count;
        s.running += of->running_count;
        s.kv_pages_total += (uint64_t)pool->count;
        s.kv_pages_used += (uint64_t)(pool->count - cud_pages_available(pool));
        s.kv_pages_cached += (uint64_t)pool->idle_count;
        if (!h->counted) cud_stats_add_scheduler(&s, of);
        cud_grammar_cache_size(&grammars, &grammar_bytes, &h->grammars);
        s.grammars_kept += (int)grammars;
        s.grammar_bytes += grammar_bytes;
    }
    pthread_mutex_unlock(&engine->lock);
    return cud_result_copy(out, &s, sizeof s, "cuddle_engine_stats", err);
}

double cuddle_histogram_bound(int bucket) { return cud_histogram_bound(bucket); }

cuddle_status cuddle_engine_drain(cuddle_engine *engine, int timeout_ms, cuddle_error *err)
{
    cud_error_clear(err);
    REQUIRE(engine, "cuddle_engine_drain", "engine");
    return cud_engine_drain(engine, timeout_ms, err);
}

/* ------------------------------------------------------------------------------------------------------------- model */

cuddle_status cuddle_model_load(cuddle_model **out, cuddle_engine *engine, const char *path, const cuddle_model_options *options, cuddle_error *err)
{
    cud_error_clear(err);
    REQUIRE(out, "cuddle_model_load", "out");
    *out = NULL;
    REQUIRE(engine, "cuddle_model_load", "engine");
    REQUIRE(path, "cuddle_model_load", "path");
    return cud_engine_load(out, engine, path, options, err);
}

void cuddle_model_free(cuddle_model *h)
{
    if (!h) return;
    cud_engine_detach(h);
    cud_engine_release_model(h);
}

cuddle_model_state cuddle_model_get_state(const cuddle_model *h)
{
    cuddle_engine *e = h->engine;
    pthread_mutex_lock(&e->lock);
    const cuddle_model_state state = h->state;
    pthread_mutex_unlock(&e->lock);
    return state;
}

cuddle_status cuddle_model_wait(cuddle_model *h, int timeout_ms, cuddle_error *err)
{
    cud_error_clear(err);
    REQUIRE(h, "cuddle_model_wait", "model");
    cuddle_engine *e = h->engine;
    const double until = timeout_ms < 0 ? 0 : cud_now() + 1e-3 * timeout_ms;
    cuddle_status status = CUDDLE_OK;
    pthread_mutex_lock(&e->lock);
    while (h->state == CUDDLE_MODEL_LOADING && !status)
        if (!cud_condition_wait(&h->changed, &e->lock, until) && h->state == CUDDLE_MODEL_LOADING)
            status = cud_fail(err, CUDDLE_E_BUSY, "the model is still loading after %d ms", timeout_ms);
    if (h->state == CUDDLE_MODEL_FAILED) status = cud_fail(err, h->failure.status, "%s", h->failure.text);
    pthread_mutex_unlock(&e->lock);
    return status;
}

void cuddle_model_cancel(cuddle_model *h)
{
    if (h) atomic_store(&h->cancel_load, true);
}

cuddle_status cuddle_model_plan(cuddle_plan *out, cuddle_engine *engine, const char *path, const cuddle_model_options *options, cuddle_error *err)
{
    cud_error_clear(err);
    REQUIRE(out, "cuddle_model_plan", "out");
    REQUIRE(engine, "cuddle_model_plan", "engine");
    REQUIRE(path, "cuddle_model_plan", "path");
    cuddle_plan plan;
    const cuddle_status status = cud_engine_plan(&plan, engine, path, options, err);
    return status ? status : cud_result_copy(out, &plan, sizeof plan, "cuddle_plan", err);
}

cuddle_status cuddle_model_memory(const cuddle_model *h, cuddle_plan *planned, cuddle_plan *used, cuddle_error *err)
{
    cud_error_clear(err);
    REQUIRE(h, "cuddle_model_memory", "model");
    cuddle_engine *e = h->engine;
    cuddle_plan now = { 0 };
    cuddle_status status = CUDDLE_OK;
    pthread_mutex_lock(&e->lock);
    if (used) {
        if (h->state == CUDDLE_MODEL_READY && !h->closing) cud_engine_used(&now, h);
        else status = cud_fail(err, CUDDLE_E_BUSY, "the model is not ready, so nothing is used yet");
    }
    pthread_mutex_unlock(&e->lock);
    if (!status && planned) status = cud_result_copy(planned, &h->plan, sizeof h->plan, "cuddle_plan", err);
    if (!status && used) status = cud_result_copy(used, &now, sizeof now, "cuddle_plan", err);
    return status;
}

const char *cuddle_load_mode_name(cuddle_load_mode mode) { return cud_load_mode_name((int)mode); }

cuddle_status cuddle_model_load_report(const cuddle_model *h, cuddle_load_report *out, cuddle_error *err)
{
    cud_error_clear(err);
    REQUIRE(h, "cuddle_model_load_report", "model");
    REQUIRE(out, "cuddle_model_load_report", "out");
    cuddle_engine *e = h->engine;
    cuddle_load_report report = { 0 };
    pthread_mutex_lock(&e->lock);
    const bool loading = h->state == CUDDLE_MODEL_LOADING;
    if (!loading) cud_engine_load_report(&report, h);
    pthread_mutex_unlock(&e->lock);
    if (loading) return cud_fail(err, CUDDLE_E_BUSY, "the model is still loading");
    return cud_result_copy(out, &report, sizeof report, "cuddle_load_report", err);
}

const char *cuddle_model_family(const cuddle_model *h) { return h->m->spec.family->model_type; }
const char *cuddle_model_architecture(const cuddle_model *h) { return h->m->spec.architecture; }
int cuddle_model_vocabulary(const cuddle_model *h) { return h->sampler.vocabulary; }
int cuddle_model_layers(const cuddle_model *h) { return (int)h->m->spec.stack[0].layers; }
uint64_t cuddle_model_weight_bytes(const cuddle_model *h) { return h->m->decode_bytes; }
const cuddle_tokenizer *cuddle_model_tokenizer(const cuddle_model *h) { return h->tokenizer; }
