/* A model's life: planned and admitted in the caller's thread, loaded in its own, detached when it or its engine is freed. */
#include "engine/engine.h"

#include "core/options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cuddle_model_options_init(cuddle_model_options *options, size_t size)
{
    const cuddle_model_options defaults = { .dtype = "auto", .kv_dtype = "auto" };
    cud_options_init(options, size, &defaults, sizeof defaults);
}

static cuddle_status parse_dtype(dtype *out, const char *option, const char *name, cuddle_error *err)
{
    if (!name || strcmp(name, "auto") == 0) *out = CUDDLE_DTYPE_COUNT;
    else if (strcmp(name, "float32") == 0) *out = CUDDLE_F32;
    else if (strcmp(name, "bfloat16") == 0) *out = CUDDLE_BF16;
    else if (strcmp(name, "float16") == 0) *out = CUDDLE_F16;
    else return cud_fail(err, CUDDLE_E_ARG, "%s is \"%s\", expected auto, float32, bfloat16 or float16", option, name);
    return CUDDLE_OK;
}

static cuddle_status check_count(cuddle_error *err, const char *name, int64_t value, int64_t max)
{
    if (value >= 0 && value <= max) return CUDDLE_OK;
    return cud_fail(err, CUDDLE_E_ARG, "%s is %lld, expected 0 (default) to %lld", name, (long long)value, (long long)max);
}

/* The caller's options with their defaults, checked. */
static cuddle_status resolve(model_options *out, cuddle_model_options *o, const cuddle_engine *e, const cuddle_model_options *options,
                             cuddle_error *err)
{
    cuddle_model_options_init(o, sizeof *o);
    cuddle_status status = options ? cud_options_copy(o, sizeof *o, options, "cuddle_model_options", err) : CUDDLE_OK;
    *out = (model_options){ .deterministic = e->deterministic };
    if (!status) status = parse_dtype(&out->compute, "dtype", o->dtype, err);
    if (!status) status = parse_dtype(&out->kv, "kv_dtype", o->kv_dtype, err);
    if (!status) status = cud_load_check_mode((int)o->load, e->backend->load_modes, e->backend->ops->name, err);
    if (!status) status = check_count(err, "max_context", o->max_context, 1 << 30);
    if (!status) status = check_count(err, "max_sequences", o->max_sequences, 1 << 16);
    if (!status) status = check_count(err, "max_batch", o->max_batch, 1 << 20);
    if (!status) status = check_count(err, "kv_tokens", o->kv_tokens, INT32_MAX);
    if (!status) status = check_count(err, "max_queue", o->max_queue, INT32_MAX);
    if (!status) status = check_count(err, "max_grammars", o->max_grammars, INT32_MAX);
    if (!status && (o->prefix_cache < CUDDLE_AUTO || o->prefix_cache > CUDDLE_ON))
        status = cud_fail(err, CUDDLE_E_ARG, "prefix_cache is %d, expected AUTO, OFF or ON", (int)o->prefix_cache);
    out->load = o->load;
    out->max_context = o->max_context;
    const bool gpu = e->device == CUDDLE_DEVICE_CUDA; /* which needs more at once to be busy */
    out->max_sequences = o->max_sequences ? o->max_sequences : gpu ? 32 : 8;
    out->max_texts = o->max_sequences ? o->max_sequences : gpu ? 512 : 128;
    out->max_batch = o->max_batch ? o->max_batch : gpu ? 2048 : 512;
    out->kv_tokens = o->kv_tokens;
    return status;
}

/* What was allocated, measured where it was used: the arena's last byte that a tensor fills, the workspace's highest mark. */
void cud_engine_used(cuddle_plan *used, const cuddle_model *h)
{
    *used = h->plan;
    uint64_t end = 0;
    for (size_t i = 0; i < h->m->load.pieces; i++) {
        const load_piece *p = &h->m->load.piece[i];
        const uint64_t last = p->dst + (p->rows - 1) * p->dst_pitch + p->row_bytes;
        if (last > end) end = last;
    }
    used->weights = (end + CUD_ALIGN - 1) / CUD_ALIGN * CUD_ALIGN;
    used->workspace = h->workspace_peak;
    used->total = used->weights + used->kv + used->workspace + used->step;
}

static void describe(cuddle_plan *plan, const model *m)
{
    *plan = (cuddle_plan){
        .struct_size = sizeof *plan, .weights = m->load.arena_bytes, .weights_in_place = m->load.in_place_bytes, .kv = m->kv_bytes,
        .workspace = m->workspace_bytes, .step = m->step_bytes + m->mark_bytes,
        .total = m->load.arena_bytes + m->kv_bytes + m->workspace_bytes + m->step_bytes + m->mark_bytes,
        .parameters = m->parameters, .kv_tokens = m->pages * CUD_PAGE, .max_context = m->max_context,
        .max_sequences = m->caps.sequences, .max_batch = m->caps.tokens, .compute = m->compute,
        .kv_dtype = m->group[0].type,
    };
    for (int64_t i = 0; i < cud_checkpoint_count(m->files); i++) plan->file_bytes += cud_checkpoint_get(m->files, i)->bytes;
}

cuddle_status cud_engine_plan(cuddle_plan *out, cuddle_engine *e, const char *path, const cuddle_model_options *options, cuddle_error *err)
{
    model_options o;
    cuddle_model_options given;
    model *m = NULL;
    cuddle_status status = resolve(&o, &given, e, options, err);
    if (!status) status = cud_model_open(&m, e->backend, path, &o, &e->log, err);
    if (status) return status;
    describe(out, m);
    cud_model_free(m);
    return CUDDLE_OK;
}

/* -------------------------------------------------------------------------------------------------------- loading */

static bool on_progress(uint64_t done, uint64_t total, void *user)
{
    cuddle_model *h = user;
    if (atomic_load(&h->cancel_load)) return false;
    const cuddle_progress progress = { done, total };
    if (h->progress) h->progress(&progress, h->progress_user);
    return true;
}

static cuddle_status bring_in(cuddle_model *h, cuddle_error *err)
{
    model *m = h->m;
    if (atomic_load(&h->cancel_load)) return cud_fail(err, CUDDLE_E_CANCELLED, "the load was cancelled");
    const cuddle_status status = cud_model_allocate(m, err);
    if (status) return status;
    m->load.report = &h->load_report;
    cud_step_bind(&h->device, &m->caps, m->step_block);
    cud_step_bind(&h->host, &m->caps, h->host_block);
    if (m->load.fence) {
        pthread_mutex_lock(&h->engine->lock);
        h->open_early = true;
        pthread_cond_broadcast(&h->engine->work);
        pthread_mutex_unlock(&h->engine->lock);
    }
    return cud_model_load(m, on_progress, h, err);
}

/* "register=1 direct=2"; cut to size. */
static void list_fallbacks(char *out, size_t size, const load_report *r)
{
    size_t used = 0;
    out[0] = 0;
    for (int i = 0; i < LOAD_FALLBACK_COUNT; i++) {
        if (!r->fallback[i]) continue;
        const int n = snprintf(out + used, size - used, "%s%s=%u", used ? " " : "", cud_load_fallback_name((load_fallback)i), r->fallback[i]);
        if (n < 0 || (size_t)n >= size - used) {
            out[used] = 0;
            return;
        }
        used += (size_t)n;
    }
}

void cud_engine_load_report(cuddle_load_report *out, const cuddle_model *h)
{
    const load_report *r = &h->load_report;
    *out = (cuddle_load_report){
        .mode = r->mode, .readers = r->readers, .bytes = r->bytes, .bytes_in_place = h->plan.weights_in_place, .seconds = r->seconds,
        .gb_per_s = r->gb_per_s, .pin_seconds = r->pin_seconds, .ceiling_gb_per_s = r->ceiling_gb_per_s, .ceiling_share = r->ceiling_share,
        .page_cache_bytes = r->resident_bytes, .direct_bytes = r->direct_bytes, .plain_bytes = r->plain_bytes,
        .registered_bytes = r->registered_bytes, .pinned_bytes = r->pinned_bytes,
    };
    list_fallbacks(out->fallbacks, sizeof out->fallbacks, r);
}

static void log_load(const cuddle_model *h)
{
    cuddle_load_report r;
    cud_engine_load_report(&r, h);
    cud_log(&h->engine->log, CUDDLE_LOG_INFO, "loaded by %s: %llu bytes in %.3f s (%.2f GB/s), %llu in place, %d readers; fallbacks: %s",
            cud_load_mode_name((int)r.mode), (unsigned long long)r.bytes, r.seconds, r.gb_per_s, (unsigned long long)r.bytes_in_place, r.readers,
            r.fallbacks[0] ? r.fallbacks : "none");
    if (h->load_report.notice[0]) cud_log(&h->engine->log, CUDDLE_LOG_WARN, "%s", h->load_report.notice);
}

static void *load_thread(void *argument)
{
    cuddle_model *h = argument;
    cuddle_error failure = { CUDDLE_OK, "" };
    const cuddle_status status = bring_in(h, &failure);
    cuddle_engine *e = h->engine;
    if (!status) log_load(h);
    pthread_mutex_lock(&e->lock);
    h->failure = failure;
    h->state = status ? CUDDLE_MODEL_FAILED : CUDDLE_MODEL_READY;
    pthread_cond_broadcast(&h->changed);
    pthread_cond_broadcast(&e->work);
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

/* Everything the scheduler and the steps need on the host. */
static cuddle_status prepare_host(cuddle_model *h, const cuddle_model_options *o, cuddle_error *err)
{
    const model *m = h->m;
    const size_t vocabulary = (size_t)m->spec.stack[0].vocabulary, outputs = (size_t)m->caps.outputs;
    h->max_context = m->max_context;
    const op_table *ops = m->backend->ops;
    cuddle_status status = ops->alloc_host(m->backend, &h->host_block, m->step_bytes, "the step on the host", err);
    void *logits = NULL;
    const bool encoder = cud_model_is_encoder(m);
    const size_t bytes = encoder ? m->result_bytes : (outputs + 1) * vocabulary * sizeof *h->logits;
    if (!status) status = ops->alloc_host(m->backend, &logits, bytes, "logits on the host", err);
    h->logits = logits;
    if (status) return status;
    memset(h->host_block, 0, m->step_bytes);
    void *picked = NULL, *marks = NULL;
    status = ops->alloc_host(m->backend, &picked, outputs * sizeof *h->picked, "tokens on the host", err);
    h->picked = picked;
    if (!status && m->mark_bytes) status = ops->alloc_host(m->backend, &marks, m->mark_bytes, "marks on the host", err);
    h->marks = marks;
    if (status) return status;
    h->ahead = calloc((size_t)m->caps.sequences, sizeof *h->ahead);
    h->produced = calloc((size_t)m->caps.sequences, sizeof *h->produced);
    const size_t allowed = (size_t)m->caps.sequences * ((vocabulary + 31) / 32);
    h->allowed = calloc(allowed, sizeof *h->allowed);
    if (!h->allowed) return cud_nomem(err, allowed * sizeof *h->allowed, "masks of tokens");
    if (!h->produced || !h->ahead) return cud_nomem(err, (size_t)m->caps.sequences * sizeof *h->produced, "the results of a step");
    const scheduler_caps caps = {
        .tokens = m->caps.tokens, .sequences = m->caps.sequences, .outputs = m->caps.outputs, .queue = o->max_queue ? o->max_queue : 65536,
        .pages = m->pages,
    };
    h->prefix_cache = o->prefix_cache != CUDDLE_OFF;
    status = cud_scheduler_init(&h->scheduler, &caps, err);
    return status ? status : cud_sampler_init(&h->sampler, (int)vocabulary, err);
}

/* Counts the plan against the engine's budget. */
static cuddle_status admit(cuddle_model *h, cuddle_error *err)
{
    cuddle_engine *e = h->engine;
    cuddle_status status = CUDDLE_OK;
    pthread_mutex_lock(&e->lock);
    if (e->lost.status) status = cud_fail(err, e->lost.status, "%s", e->lost.text);
    else if (e->memory_budget && h->plan.total > e->memory_budget - e->memory_planned)
        status = cud_fail(err, CUDDLE_E_NOMEM, "the model needs %llu bytes, %llu of the engine's budget of %llu are left",
                          (unsigned long long)h->plan.total, (unsigned long long)(e->memory_budget - e->memory_planned),
                          (unsigned long long)e->memory_budget);
    else {
        e->memory_planned += h->plan.total;
        h->admitted = true;
        h->list_next = e->models;
        e->models = h;
    }
    pthread_mutex_unlock(&e->lock);
    return status;
}

cuddle_status cud_engine_load(cuddle_model **out, cuddle_engine *e, const char *path, const cuddle_model_options *options, cuddle_error *err)
{
    *out = NULL;
    cuddle_model *h = calloc(1, sizeof *h);
    if (!h) return cud_nomem(err, sizeof *h, "a model");
    h->engine = e;
    h->handles = 1;
    h->due_at = INFINITY;
    cud_condition_init(&h->changed);
    pthread_mutex_lock(&e->lock);
    e->handles++;
    pthread_mutex_unlock(&e->lock);

    model_options o;
    cuddle_model_options given;
    cuddle_status status = resolve(&o, &given, e, options, err);
    h->progress = given.progress;
    h->progress_user = given.progress_user;
    h->load_report.measure_ceiling = given.measure_ceiling != 0;
    cud_grammar_cache_init(&h->grammars, given.max_grammars > 0 ? (size_t)given.max_grammars : 64,
                           given.max_grammar_bytes ? given.max_grammar_bytes : (size_t)256 << 20);
    if (!status) status = cud_model_open(&h->m, e->backend, path, &o, &e->log, err);
    if (!status) describe(&h->plan, h->m);
    if (!status && !cud_model_is_encoder(h->m)) status = cud_generation_config_load(&h->config, path, &h->m->spec, &e->log, err);
    if (!status) status = prepare_host(h, &given, err);
    if (!status) status = admit(h, err);
    if (!status) {
        if (pthread_create(&h->loader, NULL, load_thread, h) == 0) h->has_loader = true;
        else status = cud_fail(err, CUDDLE_E_NOMEM, "the loading thread could not be started");
    }
    /* Beside the weights. */
    bool has_tokenizer = false;
    if (!status) status = cud_tokenizer_find(&has_tokenizer, path, err);
    if (has_tokenizer) status = cud_tokenizer_load(&h->tokenizer, path, err);
    if (status) {
        cud_engine_detach(h);
        cud_engine_release_model(h);
        return status;
    }
    *out = h;
    return CUDDLE_OK;
}

/* ------------------------------------------------------------------------------------------------------- lifetime */

static void unlink_model(cuddle_engine *e, cuddle_model *h)
{
    for (cuddle_model **link = &e->models; *link; link = &(*link)->list_next) {
        if (*link != h) continue;
        *link = h->list_next;
        break;
    }
    if (e->next == h) e->next = h->list_next;
    h->list_next = NULL;
}

void cud_engine_detach(cuddle_model *h)
{
    cuddle_engine *e = h->engine;
    pthread_mutex_lock(&e->lock);
    if (h->closing) { /* the engine and the model are freed at once: the first does the work */
        while (!h->detached) pthread_cond_wait(&h->changed, &e->lock);
        pthread_mutex_unlock(&e->lock);
        return;
    }
    h->closing = true;
    atomic_store(&h->cancel_load, true); /* a step may be waiting for it */
    while (h->stepping) pthread_cond_wait(&h->changed, &e->lock);
    pthread_mutex_unlock(&e->lock);
    if (h->has_loader) pthread_join(h->loader, NULL);

    pthread_mutex_lock(&e->lock);
    scheduler *s = &h->scheduler;
    for (task *t; (t = s->first_waiting ? s->first_waiting : s->running_count ? s->running[0] : NULL);) {
        cuddle_request *r = cud_request_of(t);
        cud_scheduler_remove(s, t);
        cud_request_end(r, CUDDLE_FINISH_CANCELLED, NULL);
        cud_request_release(r);
    }
    cud_stats_add_scheduler(&e->stats, s);
    h->counted = true;
    pthread_mutex_unlock(&e->lock);
    model *m = h->m;
    if (m) {
        cud_replay_free(h, m->backend);
        if (h->host_block) m->backend->ops->release_host(m->backend, h->host_block);
        if (h->logits) m->backend->ops->release_host(m->backend, h->logits);
        if (h->picked) m->backend->ops->release_host(m->backend, h->picked);
        if (h->marks) m->backend->ops->release_host(m->backend, h->marks);
        cud_model_release(m); /* whoever holds the handle may still ask what it was */
    }
    pthread_mutex_lock(&e->lock);
    if (h->admitted) { /* not before: whoever frees the engine waits for the models in its list, then the backend goes */
        unlink_model(e, h);
        e->memory_planned -= h->plan.total;
    }
    h->detached = true;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&e->lock);
}

void cud_engine_release_model(cuddle_model *h)
{
    cuddle_engine *e = h->engine;
    pthread_mutex_lock(&e->lock);
    const int left = --h->handles;
    pthread_mutex_unlock(&e->lock);
    if (left > 0) return;
    cud_model_free(h->m);
    cud_grammar_cache_free(&h->grammars);
    cud_tokenizer_free(h->tokenizer);
    cud_generation_config_free(&h->config);
    cud_sampler_free(&h->sampler);
    free(h->allowed);
    cud_scheduler_free(&h->scheduler);
    free(h->produced);
    free(h->ahead);
    pthread_cond_destroy(&h->changed);
    free(h);
    cud_engine_release(e);
}
