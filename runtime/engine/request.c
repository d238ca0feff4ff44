/* A request's life: checked and tokenized in the caller's thread, queued, run, read. */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------------ the prompt */

typedef struct id_list { int32_t *ids; size_t count, capacity; } id_list;

static cuddle_status append_ids(id_list *list, const int32_t *ids, size_t count, const cuddle_model *h, cuddle_error *err)
{
    const int32_t vocabulary = h->sampler.vocabulary;
    if (count > (size_t)h->max_context || list->count + count > (size_t)h->max_context)
        return cud_fail(err, CUDDLE_E_LIMIT, "the prompt has %zu tokens or more, the context is %d", list->count + count, h->max_context);
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= vocabulary)
            return cud_fail(err, CUDDLE_E_ARG, "token %zu of the prompt is %d, the model's vocabulary ends at %d", list->count + i, (int)ids[i],
                            (int)vocabulary - 1);
    if (list->count + count > list->capacity) {
        const size_t capacity = (list->count + count) * 2;
        int32_t *bigger = realloc(list->ids, capacity * sizeof *bigger);
        if (!bigger) return cud_nomem(err, capacity * sizeof *bigger, "the prompt");
        list->ids = bigger;
        list->capacity = capacity;
    }
    if (count) memcpy(list->ids + list->count, ids, count * sizeof *ids);
    list->count += count;
    return CUDDLE_OK;
}

/* Where the prompt's text begins and ends: segments without content do not count, unless no other is there. */
typedef struct extent { size_t first, last; } extent;

static extent find_extent(const cuddle_segment *segments, size_t count)
{
    extent e = { 0, count ? count - 1 : 0 };
    while (e.first < count && !segments[e.first].count) e.first++;
    while (e.last > 0 && !segments[e.last].count) e.last--;
    if (e.first == count) /* an empty prompt: the special tokens alone, around its first text */
        for (e.first = 0; e.first + 1 < count && segments[e.first].kind != CUDDLE_SEGMENT_TEXT;) e.first++;
    if (e.last < e.first) e.last = e.first;
    return e;
}

static cuddle_status add_text(id_list *list, const cuddle_model *h, const cuddle_segment *s, bool no_special, bool begins, bool ends,
                              cuddle_error *err)
{
    cuddle_encoding *encoding = NULL;
    const char *text = s->text ? s->text : "";
    cuddle_status status = no_special ? cud_tokenizer_encode(&encoding, h->tokenizer, text, s->count, CUDDLE_TOKENIZE_NO_SPECIAL, err)
                                      : cud_tokenizer_encode_part(&encoding, h->tokenizer, text, s->count, begins, ends, (size_t)h->max_context, err);
    if (!status) status = append_ids(list, encoding->ids, encoding->count, h, err);
    cud_encoding_free(encoding);
    return status;
}

static cuddle_status build_prompt(id_list *list, const cuddle_model *h, const cuddle_segment *segments, size_t count, bool no_special,
                                  cuddle_error *err)
{
    const extent whole = find_extent(segments, count);
    for (size_t i = 0; i < count; i++) {
        const cuddle_segment *s = &segments[i];
        cuddle_status status;
        if (s->kind == CUDDLE_SEGMENT_TOKENS) {
            if (s->count && !s->tokens) return cud_fail(err, CUDDLE_E_ARG, "segment %zu: tokens is NULL", i);
            status = append_ids(list, s->tokens, s->count, h, err);
        } else if (s->kind == CUDDLE_SEGMENT_TEXT) {
            if (s->count && !s->text) return cud_fail(err, CUDDLE_E_ARG, "segment %zu: text is NULL", i);
            if (!h->tokenizer) return cud_fail(err, CUDDLE_E_ARG, "segment %zu is text, but the checkpoint has no tokenizer that can be read", i);
            status = add_text(list, h, s, no_special, i == whole.first, i == whole.last, err);
        } else {
            return cud_fail(err, CUDDLE_E_ARG, "segment %zu: kind is %d, expected TEXT or TOKENS", i, (int)s->kind);
        }
        if (status) return status;
    }
    return list->count ? CUDDLE_OK : cud_fail(err, CUDDLE_E_ARG, "the prompt has no tokens");
}

/* How many tokens may follow. */
static cuddle_status fit(cuddle_request *r, const cuddle_model *h, cuddle_error *err)
{
    const int64_t pages = h->scheduler.caps.pages;
    const int64_t positions = pages * CUD_PAGE < h->max_context ? pages * CUD_PAGE : h->max_context;
    const int64_t room = positions - r->prompt_count;
    if (room < 1 && !(room == 0 && r->g.max_tokens_asked && r->g.max_tokens == 0))
        return cud_fail(err, CUDDLE_E_LIMIT, "the prompt has %d tokens, and at most %lld fit with room for an answer", r->prompt_count,
                        (long long)positions - 1);
    generation *g = &r->g;
    if (g->max_tokens_asked && g->max_tokens > room)
        return cud_fail(err, CUDDLE_E_LIMIT, "a prompt of %d tokens and max_tokens %d need %lld positions, the model has %lld", r->prompt_count,
                        g->max_tokens, (long long)r->prompt_count + g->max_tokens, (long long)positions);
    if (!g->max_tokens_asked) {
        const generation_config *c = &h->config;
        g->max_tokens = c->max_new_tokens ? c->max_new_tokens : c->max_length > r->prompt_count ? c->max_length - r->prompt_count : (int)room;
        if (g->max_tokens > room) g->max_tokens = (int)room;
    }
    /* Beams wait for each other, so they have to run together. */
    const int64_t needed = g->beams * (((int64_t)r->prompt_count + g->max_tokens + CUD_PAGE - 1) / CUD_PAGE);
    if (g->beams > 1 && (needed > pages || g->beams > h->scheduler.caps.sequences))
        return cud_fail(err, CUDDLE_E_LIMIT, "%d beams need %lld pages of the cache and %d places, the model has %lld and %d", g->beams, (long long)needed,
                        g->beams, (long long)pages, h->scheduler.caps.sequences);
    return CUDDLE_OK;
}

/* The text continues the prompt's: some decoders treat the first token apart (Llama's drops its leading space), so the detokenizer
 * has to have seen the prompt. */
static cuddle_status start_text(cuddle_request *r, const cuddle_model *h, cuddle_error *err)
{
    const char *piece;
    size_t length;
    cuddle_status status = cud_detokenizer_new(&r->detokenizer, h->tokenizer, CUDDLE_DETOKENIZE_SKIP_SPECIAL, err);
    bool after_text = false;
    for (int i = 0; i < r->prompt_count && !status; i++) {
        status = cud_detokenizer_push(r->detokenizer, r->ids[i], &piece, &length, err);
        after_text = after_text || !cud_tokenizer_is_special(h->tokenizer, r->ids[i]);
    }
    return status ? status : cud_constrain_begin(r, h, after_text, err);
}

static cuddle_status allocate_prompt_results(cuddle_request *r, cuddle_error *err)
{
    const size_t places = (size_t)r->prompt_count, top = places * (size_t)r->g.prompt_top;
    r->prompt_logprobs = calloc(places, sizeof *r->prompt_logprobs);
    r->prompt_is_greedy = calloc(places, sizeof *r->prompt_is_greedy);
    r->prompt_top_logprobs = calloc(top + 1, sizeof *r->prompt_top_logprobs);
    if (!r->prompt_logprobs || !r->prompt_is_greedy || !r->prompt_top_logprobs)
        return cud_nomem(err, places * sizeof(float) + top * sizeof *r->prompt_top_logprobs, "a request's results");
    for (size_t i = 0; i < top; i++) r->prompt_top_logprobs[i].token = -1;
    return CUDDLE_OK;
}

/* The first position whose row has to have logits. */
static int outputs_from(const cuddle_request *r)
{
    const int last = r->prompt_count - 1, wanted = r->g.prompt_from - 1; /* a row is of the token that follows */
    return r->g.prompt_logprobs && wanted < last ? wanted : last;
}

/* A choice's own memory. */
static cuddle_status allocate(cuddle_request *r, const cuddle_model *h, const id_list *prompt, cuddle_error *err)
{
    const size_t tokens = (size_t)r->g.max_tokens, total = (size_t)r->prompt_count + tokens;
    r->ids = malloc(total * sizeof *r->ids);
    if (!r->ids) return cud_nomem(err, total * sizeof *r->ids, "a request's tokens");
    memcpy(r->ids, prompt->ids, (size_t)r->prompt_count * sizeof *r->ids);
    r->task = (task){
        .kind = &cud_generation_kind, .ids = r->ids, .count = r->prompt_count, .outputs_from = outputs_from(r),
        .priority = r->g.priority, .scope = { .salt = r->g.cache_salt },
        .shares = h->prefix_cache || r->g.best_of > 1, .after = r == r->whole ? NULL : &r->whole->task,
        .fork_of = r == r->whole ? NULL : &r->whole->task,
    };
    const cuddle_status status = cud_task_init(&r->task, &h->scheduler.caps, (int)total, err);
    if (status) return status;
    if (r->g.logprobs >= 0) {
        r->logprobs = calloc(tokens + 1, sizeof *r->logprobs);
        r->top_logprobs = calloc(tokens * (size_t)r->g.logprobs + 1, sizeof *r->top_logprobs);
        if (!r->logprobs || !r->top_logprobs) return cud_nomem(err, total * sizeof(float), "a request's results");
    }
    return h->tokenizer ? start_text(r, h, err) : cud_constrain_begin(r, h, true, err);
}

/* ---------------------------------------------------------------------------------------------------------- submit */

static void destroy_choice(cuddle_request *r)
{
    cud_detokenizer_free(r->detokenizer);
    cud_matcher_free(r->matcher);
    free(r->ids);
    cud_encode_job_free(r->encoding);
    cud_task_free(&r->task);
    free(r->made.data);
    free(r->logprobs);
    free(r->top_logprobs);
    free(r->text.data);
    free(r->piece);
    free(r);
}

/* The whole. */
static void destroy(cuddle_request *r)
{
    cuddle_request **choice = r->choice;
    for (int i = 0; i < r->g.best_of; i++)
        if (choice && choice[i] && choice[i] != r) destroy_choice(choice[i]);
    cud_generation_free(&r->g);
    free(r->prompt_logprobs);
    free(r->prompt_is_greedy);
    free(r->prompt_top_logprobs);
    cud_beam_free(r->beam);
    pthread_cond_destroy(&r->changed);
    destroy_choice(r);
    free(choice);
}

/* The choices after the first: they begin when it has computed the prompt, which they take over from it. */
static cuddle_status add_choices(cuddle_request *r, const cuddle_model *h, const id_list *prompt, cuddle_error *err)
{
    r->choice = calloc((size_t)r->g.best_of, sizeof *r->choice);
    if (!r->choice) return cud_nomem(err, (size_t)r->g.best_of * sizeof *r->choice, "a request");
    r->choice[0] = r;
    cuddle_status status = CUDDLE_OK;
    for (int i = 1; i < r->g.best_of && !status; i++) {
        cuddle_request *c = r->choice[i] = calloc(1, sizeof *c);
        if (!c) return cud_nomem(err, sizeof *c, "a request");
        c->whole = r;
        c->index = i;
        c->g = r->g; /* its lists stay the whole's */
        c->g.how.seed += (uint64_t)i;
        c->g.prompt_logprobs = false;
        c->prompt_count = r->prompt_count;
        c->submitted = r->submitted;
        status = allocate(c, h, prompt, err);
    }
    return status;
}

static cuddle_status enqueue(cuddle_request *r, cuddle_model *h, cuddle_error *err)
{
    cuddle_engine *e = h->engine;
    cuddle_status status = CUDDLE_OK;
    pthread_mutex_lock(&e->lock);
    if (h->closing || e->stopping) status = cud_fail(err, CUDDLE_E_CANCELLED, "the engine is being freed");
    else if (e->lost.status) status = cud_fail(err, e->lost.status, "%s", e->lost.text);
    else if (h->state == CUDDLE_MODEL_FAILED) status = cud_fail(err, h->failure.status, "%s", h->failure.text);
    else if (e->draining) status = cud_fail(err, CUDDLE_E_CANCELLED, "the engine takes no further requests");
    else {
        task *tasks[CUD_MAX_CHOICES];
        for (int i = 0; i < r->g.best_of; i++) tasks[i] = &r->choice[i]->task;
        status = cud_scheduler_submit(&h->scheduler, tasks, r->g.best_of, err);
        *(status ? &e->stats.refused : &e->stats.submitted) += 1;
    }
    if (!status) {
        for (int i = 0; i < r->g.best_of; i++) {
            cuddle_request *c = r->choice[i];
            c->model = h;
            if (!h->prefix_cache) c->task.scope.owner = c->task.arrival; /* which is that of its other choices */
        }
        if (r->deadline > 0 && r->deadline < h->due_at) h->due_at = r->deadline;
        r->open = r->g.best_of;
        r->handles = 1 + r->g.best_of;
        h->handles++;
        e->unfinished++;
        pthread_cond_signal(&e->work);
    }
    pthread_mutex_unlock(&e->lock);
    return status;
}

static cuddle_request *create(cuddle_event_fn on_event, void *user)
{
    cuddle_request *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    cud_condition_init(&r->changed);
    r->on_event = on_event;
    r->user = user;
    r->submitted = cud_now();
    r->whole = r;
    return r;
}

cuddle_status cud_request_new(cuddle_request **out, cuddle_event_fn on_event, void *user, int timeout_ms, cuddle_error *err)
{
    cuddle_request *r = *out = create(on_event, user);
    if (!r) return cud_nomem(err, sizeof *r, "a request");
    r->g.n = r->g.best_of = r->g.beams = 1;
    r->g.timeout_ms = timeout_ms;
    if (timeout_ms > 0) r->deadline = r->submitted + 1e-3 * timeout_ms;
    r->choice = calloc(1, sizeof *r->choice);
    if (!r->choice) return cud_nomem(err, sizeof *r->choice, "a request");
    r->choice[0] = r;
    return CUDDLE_OK;
}

cuddle_status cud_request_start(cuddle_request **out, cuddle_request *r, cuddle_model *h, cuddle_status status, cuddle_error *err)
{
    /* The event of the last step may run before this function returns; *out is set for callbacks that read it. */
    if (!status) *out = r;
    if (!status) status = enqueue(r, h, err);
    if (status) {
        *out = NULL;
        if (r) destroy(r);
    }
    return status;
}

cuddle_status cud_request_submit(cuddle_request **out, cuddle_model *h, const cuddle_segment *segments, size_t count,
                                 const cuddle_generation_options *options, cuddle_event_fn on_event, void *user, cuddle_error *err)
{
    *out = NULL;
    if (cud_model_is_encoder(h->m))
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "a %s is an encoder: it generates no text", h->m->spec.architecture);
    cuddle_request *r = create(on_event, user);
    if (!r) return cud_nomem(err, sizeof *r, "a request");
    id_list prompt = { 0 };
    cuddle_status status = cud_generation_resolve(&r->g, options, &h->config, h->sampler.vocabulary, err);
    if (r->g.timeout_ms > 0) r->deadline = r->submitted + 1e-3 * r->g.timeout_ms;
    if (!status && r->g.beams > 1 && on_event)
        status = cud_fail(err, CUDDLE_E_ARG, "num_beams is %d: what is given is known in the end, on_event must be NULL", r->g.beams);
    if (!status && r->g.best_of > r->g.n && on_event)
        status = cud_fail(err, CUDDLE_E_ARG, "best_of is %d and n %d: which choices are given is known in the end, on_event must be NULL", r->g.best_of, r->g.n);
    if (!status) status = build_prompt(&prompt, h, segments, count, options && options->no_special, err);
    if (!status) {
        r->prompt_count = (int)prompt.count;
        status = fit(r, h, err);
    }
    if (!status && r->g.prompt_logprobs) status = allocate_prompt_results(r, err);
    if (!status) status = allocate(r, h, &prompt, err);
    if (!status) status = add_choices(r, h, &prompt, err);
    if (!status && r->g.beams > 1) status = cud_beam_new(&r->beam, &r->g, err);
    free(prompt.ids);
    return cud_request_start(out, r, h, status, err);
}

/* ------------------------------------------------------------------------------------------------------------- end */

static double mean_logprob(const cuddle_request *r)
{
    const int count = r->task.count - r->prompt_count;
    return count ? r->logprob_sum / count : 0;
}

/* By the mean log-probability; of equals the one that was first. */
static int better_first(const void *a, const void *b)
{
    const cuddle_request *x = *(cuddle_request *const *)a, *y = *(cuddle_request *const *)b;
    const double p = mean_logprob(x), q = mean_logprob(y);
    return p > q ? -1 : p < q ? 1 : x->index - y->index;
}

/* The last choice has ended. */
static void end_whole(cuddle_request *r)
{
    cuddle_engine *e = r->model->engine;
    cuddle_finish finish = r->choice[0]->finish;
    for (int i = 1; i < r->g.best_of; i++) /* a failure of one is the request's */
        if (r->choice[i]->finish == CUDDLE_FINISH_FAILED || r->choice[i]->finish == CUDDLE_FINISH_CANCELLED) finish = r->choice[i]->finish;
    if (r->g.best_of > r->g.n && !r->beam) qsort(r->choice, (size_t)r->g.best_of, sizeof(cuddle_request *), better_first);
    cud_stats_ended(&e->stats, finish, cud_now() - r->submitted);
    if (--e->unfinished == 0) pthread_cond_broadcast(&e->quiet);
}

void cud_request_end(cuddle_request *r, cuddle_finish finish, const cuddle_error *why)
{
    if (r->finish) return;
    r->finish = finish;
    if (finish == CUDDLE_FINISH_FAILED && why) r->failure = *why;
    r->ended = cud_now();
    if (--r->whole->open == 0) end_whole(r->whole);
    pthread_cond_broadcast(&r->whole->changed);
}

void cud_request_mark_cancelled(cuddle_request *r)
{
    cuddle_model *h = r->model;
    if (r->open == 0) return; /* it has ended */
    r->cancelled = true;
    h->due_at = 0;
    /* A step that waits for weights is begun anew, without it. */
    if (h->stepping && h->state == CUDDLE_MODEL_LOADING) atomic_store(&h->m->interrupt, true);
}

void cud_request_release(cuddle_request *r)
{
    r = r->whole;
    if (--r->handles > 0) return;
    cuddle_model *h = r->model;
    destroy(r);
    h->handles--; /* never the last: the caller holds the lock through a handle of its own */
}

static bool in_step(const cuddle_request *r)
{
    for (int i = 0; i < r->g.best_of; i++)
        if (r->choice[i]->in_step) return true;
    return false;
}

void cud_request_free(cuddle_request *r)
{
    if (!r) return;
    cuddle_model *h = r->model;
    cuddle_engine *e = h->engine;
    pthread_mutex_lock(&e->lock);
    cud_request_mark_cancelled(r);
    while (in_step(r)) pthread_cond_wait(&h->changed, &e->lock); /* the next step would leave it out: it ends */
    for (int i = 0; i < r->g.best_of; i++) { /* what is left can go without the engine's thread */
        cuddle_request *c = r->choice[i];
        if (c->finish) continue;
        cud_scheduler_remove(&h->scheduler, &c->task);
        cud_request_end(c, CUDDLE_FINISH_CANCELLED, NULL);
        r->handles--;
    }
    h->handles++; /* so that the release below cannot be the last */
    cud_request_release(r);
    pthread_mutex_unlock(&e->lock);
    cud_engine_release_model(h);
}
