/* The engine's thread: picks a model with work, runs one step of it, hands out the results. */
#include "engine/engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------------- one step */

/* Why a request has to end before the next step; NONE: it need not. The lock is held. */
static cuddle_finish due(const cuddle_model *h, const cuddle_request *r, double now)
{
    if (r->whole->cancelled) return CUDDLE_FINISH_CANCELLED;
    if (h->engine->lost.status || h->state == CUDDLE_MODEL_FAILED) return CUDDLE_FINISH_FAILED;
    return r->whole->deadline > 0 && r->whole->deadline <= now ? CUDDLE_FINISH_DEADLINE : CUDDLE_FINISH_NONE;
}

/* May any request have to? Looking at each of them in every step would cost more than choosing the step. */
static bool any_due(const cuddle_model *h)
{
    return h->due_at <= cud_now() || h->state == CUDDLE_MODEL_FAILED || h->engine->lost.status != CUDDLE_OK;
}

/* Ends a task's request if it is due; true if so. */
static bool end_due(cuddle_model *h, task *t, double now)
{
    cuddle_request *r = cud_request_of(t);
    const cuddle_finish finish = due(h, r, now);
    if (!finish) {
        if (r->whole->deadline > 0 && r->whole->deadline < h->due_at) h->due_at = r->whole->deadline;
        return false;
    }
    cud_scheduler_remove(&h->scheduler, t);
    cud_request_end(r, finish, h->engine->lost.status ? &h->engine->lost : &h->failure);
    r->in_step = true;
    return true;
}

/* Ends those that are due. The lock is held. Returns how many ended; they stay referenced in `ended`, which takes over the scheduler's handles. */
static int sweep(cuddle_model *h, cuddle_request **ended, int room)
{
    if (!any_due(h)) return 0;
    const scheduler *s = &h->scheduler;
    const double now = cud_now();
    int count = 0;
    h->due_at = INFINITY;
    for (task *t = s->first_waiting, *next; t && count < room; t = next) {
        next = t->next;
        if (end_due(h, t, now)) ended[count++] = cud_request_of(t);
    }
    for (int i = 0; i < s->running_count && count < room;) {
        task *t = s->running[i];
        if (end_due(h, t, now)) ended[count++] = cud_request_of(t);
        else i++;
    }
    if (count == room) h->due_at = 0; /* there may be more */
    return count;
}

/* Brings logits to the host: all of the step's, or those of the requests that need them. */
static cuddle_status fetch_logits(cuddle_model *h, exec *ex, const produced *p, int count, pick_plan plan, const float *logits, cuddle_error *err)
{
    const size_t vocabulary = (size_t)h->sampler.vocabulary;
    if (plan == PICK_NONE) return ex->ops->download(ex, h->logits, logits, (size_t)h->host.outputs * vocabulary * sizeof *logits, err);
    cuddle_status status = CUDDLE_OK;
    for (int i = 0; i < count && !status; i++) {
        const task *t = &p[i].request->task;
        const size_t at = (size_t)t->step_first_output * vocabulary;
        if (p[i].logits) status = ex->ops->download(ex, h->logits + at, logits + at, (size_t)t->step_outputs * vocabulary * sizeof *logits, err);
    }
    return status;
}

/* Runs h->host op by op: to the logits, and to the tokens that are picked. */
static cuddle_status run_plainly(cuddle_model *h, exec *ex, produced *p, int count, pick_plan plan, cuddle_error *err)
{
    model *m = h->m;
    tensor logits;
    step *s = &h->device;
    s->tokens = h->host.tokens;
    s->sequences = h->host.sequences;
    s->outputs = h->host.outputs;
    s->copies = h->host.copies;
    s->max_query = h->host.max_query;
    s->max_kv = h->host.max_kv;
    h->ahead_count = 0;
    h->block_uploads++;
    cuddle_status status = ex->ops->upload(ex, m->step_block, h->host_block, m->step_bytes, err);
    if (!status) status = cud_model_copy_pages(ex, m, s, err);
    if (!status) status = cud_model_forward(ex, m, s, &logits, err);
    if (status) return status;
    double began = cud_now();
    cud_constrain_masks(h, p, count); /* on a device the forward has only begun */
    h->pick_seconds = cud_now() - began;
    if (s->outputs > 0 && plan != PICK_ALL) status = fetch_logits(h, ex, p, count, plan, logits.data, err);
    if (status || plan == PICK_NONE) return status;
    began = cud_now();
    status = cud_pick_masks(h, ex, p, count, err);
    if (!status) status = cud_pick_adjust(h, ex, p, count, logits.data, err);
    if (!status) status = cud_model_sample(ex, m, s, logits, err); /* which changes the logits */
    h->pick_seconds += cud_now() - began;
    return status;
}

/* Runs a step of generations: to the logits, or to the picked tokens. */
static cuddle_status generate(cuddle_model *h, exec *ex, produced *p, int count, pick_plan plan, cuddle_error *err)
{
    return plan == PICK_ALL && cud_replay_fits(h, ex) ? cud_replay_run(h, ex, p, count, err) : run_plainly(h, ex, p, count, plan, err);
}

/* Runs the step and takes what came out of it in. [step], no lock. */
static cuddle_status compute(cuddle_model *h, produced *p, int count, cuddle_error *err)
{
    exec ex;
    cud_model_exec(&ex, h->m, EXEC_RUN);
    const bool encodes = cud_model_is_encoder(h->m);
    const pick_plan plan = encodes ? PICK_NONE : cud_pick_plan(h, p, count);
    cuddle_status status = plan == PICK_NONE ? CUDDLE_OK : cud_pick_prepare(h, &ex, p, count, err);
    const double began = cud_now();
    h->pick_seconds = 0;
    if (!status) status = encodes ? cud_encode_step(h, &ex, p, count, err) : generate(h, &ex, p, count, plan, err);
    if (!status && plan != PICK_NONE) status = ex.ops->download(&ex, h->picked, h->device.picked, (size_t)h->device.outputs * sizeof *h->picked, err);
    if (!status && h->host.outputs == 0) status = ex.ops->finish(&ex, err); /* a download has waited already */
    h->step_workspace = ex.ws.peak;
    h->model_seconds = cud_now() - began - h->pick_seconds;
    if (status) {
        h->ahead_count = 0;
        (void)ex.ops->finish(&ex, NULL); /* what was begun may still be reading the host's block */
        return status;
    }
    for (int i = 0; i < count && !encodes; i++) cud_output_take(&p[i], h);
    return CUDDLE_OK;
}

/* Does the device still answer? Some failures stay with it until the process ends. */
static bool usable(const cuddle_model *h)
{
    exec ex;
    cud_model_exec(&ex, h->m, EXEC_RUN);
    return ex.ops->finish(&ex, NULL) == CUDDLE_OK;
}

/* A choice ends: those that have yet to begin can fork from another of them. */
static void hand_on(const cuddle_request *r)
{
    cuddle_request *const *choice = r->whole->choice;
    const task *other = NULL;
    for (int i = 0; i < r->g.best_of && !other; i++)
        if (choice[i] != r && choice[i]->task.running) other = &choice[i]->task;
    for (int i = 0; i < r->g.best_of; i++)
        if (choice[i]->task.fork_of == &r->task && choice[i]->task.waiting) choice[i]->task.fork_of = other;
}

/* Publishes what a request produced; the lock is held. */
static void publish(produced *p)
{
    cuddle_request *r = p->request;
    if (r->whole->beam) {
        cud_beams_publish(r, p->finish, &p->failure);
        p->finish = CUDDLE_FINISH_NONE; /* that was taken care of */
        return;
    }
    cuddle_engine *e = r->model->engine;
    cuddle_engine_stats *stats = &e->stats;
    const double now = cud_now();
    const int fresh = r->task.count - p->tokens_from;
    if (fresh > 0 && r->first_token <= 0) {
        r->first_token = now;
        if (r->index == 0) {
            stats->prompt_tokens += (uint64_t)r->prompt_count;
            cud_histogram_add(&stats->first_token_seconds, now - r->submitted);
        }
    } else if (fresh > 0) {
        cud_histogram_add(&stats->interval_seconds, now - r->last_token);
    }
    if (fresh > 0) r->last_token = now;
    stats->generated_tokens += (uint64_t)fresh;
    if (p->finish == CUDDLE_FINISH_DONE) stats->encoded_tokens += (uint64_t)r->prompt_count;
    if (p->finish != CUDDLE_FINISH_FAILED) cud_scheduler_done(&r->model->scheduler, &r->task); /* else nobody may take its pages over */
    if (p->finish != CUDDLE_FINISH_FAILED) {
        if (cud_text_append(&r->text, r->made.data ? r->made.data + r->text.length : "", r->released - r->text.length, &p->failure))
            p->finish = CUDDLE_FINISH_FAILED;
    }
    if (p->finish) {
        cud_scheduler_remove(&r->model->scheduler, &r->task);
        hand_on(r);
        cud_request_end(r, p->finish, &p->failure);
    } else {
        pthread_cond_broadcast(&r->whole->changed);
    }
}

/* The callback, with no lock held. */
static void tell(const produced *p)
{
    cuddle_request *r = p->request;
    cuddle_request *whole = r->whole;
    if (!whole->on_event) return;
    const cuddle_event event = {
        .text = r->made.data ? r->made.data + p->text_from : "", .length = r->text.length - p->text_from,
        .tokens = r->ids + p->tokens_from, .token_count = (size_t)(r->task.count - p->tokens_from), .finish = p->finish,
        .choice = r->index,
    };
    if (event.length || event.token_count || event.finish) whole->on_event(whole, &event, whole->user);
}

static void tell_end(cuddle_request *r)
{
    cuddle_request *whole = r->whole;
    const cuddle_event event = { .text = "", .tokens = r->ids + r->task.count, .finish = r->finish, .choice = r->index };
    if (whole->on_event) whole->on_event(whole, &event, whole->user);
}

/* While it loads, a step blocks who runs it until the weights are there: fit for a thread of the engine's own that no other model needs. */
bool cud_engine_open(const cuddle_model *h)
{
    if (h->state == CUDDLE_MODEL_READY) return true;
    const cuddle_engine *e = h->engine;
    return h->state == CUDDLE_MODEL_LOADING && h->open_early && e->has_thread && e->models == h && !h->list_next;
}

/* The next model that has something to do, in turn. */
static cuddle_model *choose(cuddle_engine *e)
{
    cuddle_model *start = e->next ? e->next : e->models;
    for (cuddle_model *h = start; h;) {
        if (!h->stepping && !h->closing && cud_scheduler_has_work(&h->scheduler) && (cud_engine_open(h) || any_due(h))) {
            e->next = h->list_next;
            return h;
        }
        h = h->list_next ? h->list_next : e->models;
        if (h == start) break;
    }
    return NULL;
}

/* When a model that no step looks at, as it is still loading, has something due; 0: never. */
static double next_due(const cuddle_engine *e)
{
    double at = INFINITY;
    for (const cuddle_model *h = e->models; h; h = h->list_next)
        if (h->due_at < at && cud_scheduler_has_work(&h->scheduler)) at = h->due_at;
    return isinf(at) ? 0 : at;
}

/* Notes who has rows in the step that was planned. */
static int begin_step(cuddle_model *h, bool *mixed)
{
    const scheduler *s = &h->scheduler;
    const double now = cud_now();
    bool decodes = false, prefills = false;
    for (int i = 0; i < s->planned_count; i++) {
        cuddle_request *r = cud_request_of(s->planned[i]);
        if (r->started <= 0) {
            r->started = now;
            if (r->index == 0) cud_histogram_add(&h->engine->stats.queue_seconds, now - r->submitted);
            r->cached = r->task.computed;
            r->marked = -1;
        }
        if (r->marked_after != r->task.preemptions) r->marked = -1; /* the marks of this seat are another's */
        r->marked_after = r->task.preemptions;
        r->in_step = true;
        h->produced[i] = (produced){ .request = r, .text_from = r->text.length, .tokens_from = r->task.count };
        if (r->task.computed >= r->prompt_count) decodes = true;
        else prefills = true;
    }
    *mixed = decodes && prefills;
    return s->planned_count;
}

/* One step of one model. The lock is held on entry and exit, and not in between. False: there was nothing to do. */
static bool run_step(cuddle_engine *e)
{
    cuddle_model *h = choose(e);
    if (!h) return false;
    enum { ENDED = 64 };
    cuddle_request *ended[ENDED];
    produced *p = h->produced;
    h->stepping = true; /* lifetimes wait for this */
    atomic_store(&h->m->interrupt, false);
    const int ended_count = sweep(h, ended, ENDED);
    int count = 0, rows = 0;
    bool mixed = false;
    const double began = cud_now();
    if (cud_engine_open(h) && !e->lost.status && (rows = cud_scheduler_plan(&h->scheduler)) > 0) {
        cud_fill(h);
        count = begin_step(h, &mixed);
    }
    pthread_mutex_unlock(&e->lock);

    cuddle_error failure = { CUDDLE_OK, "" };
    const cuddle_status status = rows > 0 ? compute(h, p, count, &failure) : CUDDLE_OK;
    const bool lost = status == CUDDLE_E_DEVICE && !usable(h);

    pthread_mutex_lock(&e->lock);
    if (lost) {
        cud_fail(&e->lost, CUDDLE_E_DEVICE, "%s; the device cannot be used by this process any more", failure.text);
        cud_log(&e->log, CUDDLE_LOG_ERROR, "%s", e->lost.text);
        failure = e->lost;
    }
    if (rows > 0 && h->step_workspace > h->workspace_peak) h->workspace_peak = h->step_workspace; /* cuddle_model_memory() may be called meanwhile */
    const bool given_up = status == CUDDLE_E_BUSY; /* for a cancel, while it waited for weights: the requests stay as they are */
    if (rows > 0 && !given_up) {
        e->stats.steps++;
        e->stats.rows += (uint64_t)rows;
        e->stats.mixed_steps += mixed;
        e->stats.model_seconds += h->model_seconds;
        cud_histogram_add(&e->stats.step_seconds, cud_now() - began);
    }
    for (int i = 0; i < count && !given_up; i++) {
        if (status) {
            p[i].finish = CUDDLE_FINISH_FAILED;
            p[i].failure = failure;
        }
        publish(&p[i]);
    }
    pthread_mutex_unlock(&e->lock);
    for (int i = 0; i < count && !given_up; i++) tell(&p[i]);
    for (int i = 0; i < ended_count; i++) tell_end(ended[i]);
    pthread_mutex_lock(&e->lock);
    for (int i = 0; i < count; i++) {
        p[i].request->in_step = false;
        if (p[i].finish) cud_request_release(p[i].request);
    }
    for (int i = 0; i < ended_count; i++) {
        ended[i]->in_step = false;
        cud_request_release(ended[i]);
    }
    h->stepping = false;
    pthread_cond_broadcast(&h->changed);
    return true;
}

static void *engine_thread(void *argument)
{
    cuddle_engine *e = argument;
    pthread_mutex_lock(&e->lock);
    while (!e->stopping)
        if (!run_step(e)) cud_condition_wait(&e->work, &e->lock, next_due(e));
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

cuddle_status cud_engine_step(cuddle_engine *e, bool *worked, cuddle_error *err)
{
    if (e->has_thread) return cud_fail(err, CUDDLE_E_ARG, "cuddle_engine_step: this engine has a thread of its own");
    pthread_mutex_lock(&e->lock);
    *worked = run_step(e);
    pthread_mutex_unlock(&e->lock);
    return CUDDLE_OK;
}

cuddle_status cud_engine_drain(cuddle_engine *e, int timeout_ms, cuddle_error *err)
{
    const double until = timeout_ms < 0 ? 0 : cud_now() + 1e-3 * timeout_ms;
    cuddle_status status = CUDDLE_OK;
    pthread_mutex_lock(&e->lock);
    e->draining = true;
    bool in_time = true;
    while (e->unfinished > 0 && in_time) in_time = cud_condition_wait(&e->quiet, &e->lock, until);
    if (e->unfinished > 0) status = cud_fail(err, CUDDLE_E_BUSY, "%d requests are still running after %d ms", e->unfinished, timeout_ms);
    pthread_mutex_unlock(&e->lock);
    return status;
}

/* ------------------------------------------------------------------------------------------------------- lifetime */

cuddle_status cud_engine_new(cuddle_engine **out, backend *b, cuddle_device_kind kind, const cuddle_engine_options *o, cuddle_error *err)
{
    *out = NULL;
    cuddle_engine *e = calloc(1, sizeof *e);
    if (!e) return cud_nomem(err, sizeof *e, "an engine");
    e->backend = b;
    e->handles = 1;
    e->cpu_threads = b->threads;
    e->device = kind;
    e->deterministic = o->deterministic == CUDDLE_ON;
    e->memory_budget = o->memory_budget;
    e->log = (logger){ o->log, o->log_user, o->log_level };
    memcpy(e->device_name, b->device_name, sizeof e->device_name);
    pthread_mutex_init(&e->lock, NULL);
    cud_condition_init(&e->work);
    cud_condition_init(&e->quiet);
    if (o->threads > 0) {
        if (pthread_create(&e->thread, NULL, engine_thread, e) != 0) {
            e->backend = NULL; /* still the caller's */
            cud_engine_release(e);
            return cud_fail(err, CUDDLE_E_NOMEM, "the engine's thread could not be started");
        }
        e->has_thread = true;
    }
    *out = e;
    return CUDDLE_OK;
}

void cud_engine_release(cuddle_engine *e)
{
    pthread_mutex_lock(&e->lock);
    const int left = --e->handles;
    pthread_mutex_unlock(&e->lock);
    if (left > 0) return;
    pthread_cond_destroy(&e->work);
    pthread_cond_destroy(&e->quiet);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

void cud_engine_free(cuddle_engine *e)
{
    if (!e) return;
    pthread_mutex_lock(&e->lock);
    e->stopping = true;
    for (cuddle_model *h = e->models; h; h = h->list_next) atomic_store(&h->cancel_load, true); /* all at once, then one after another */
    pthread_cond_broadcast(&e->work);
    pthread_mutex_unlock(&e->lock);
    if (e->has_thread) pthread_join(e->thread, NULL);
    for (;;) {
        pthread_mutex_lock(&e->lock);
        cuddle_model *h = e->models;
        if (h) h->handles++;
        pthread_mutex_unlock(&e->lock);
        if (!h) break;
        cud_engine_detach(h);
        cud_engine_release_model(h);
    }
    e->backend->ops->destroy(e->backend);
    e->backend = NULL;
    cud_engine_release(e);
}
