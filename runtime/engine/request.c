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

static cuddle_status build_prompt(id_list *list, const cuddle_model *h, const cuddle_segment *segments, size_t count, bool no_special,
                                  cuddle_error *err)
{
    bool first_text = true;
    for (size_t i = 0; i < count; i++) {
        const cuddle_segment *s = &segments[i];
        cuddle_status status;
        if (s->kind == CUDDLE_SEGMENT_TOKENS) {
            if (s->count && !s->tokens) return cud_fail(err, CUDDLE_E_ARG, "segment %zu: tokens is NULL", i);
            status = append_ids(list, s->tokens, s->count, h, err);
        } else if (s->kind == CUDDLE_SEGMENT_TEXT) {
            if (s->count && !s->text) return cud_fail(err, CUDDLE_E_ARG, "segment %zu: text is NULL", i);
            if (!h->tokenizer) return cud_fail(err, CUDDLE_E_ARG, "segment %zu is text, but the checkpoint has no tokenizer that can be read", i);
            cuddle_encoding *encoding = NULL;
            const unsigned flags = no_special || !first_text ? CUDDLE_TOKENIZE_NO_SPECIAL : 0;
            first_text = false;
            status = cud_tokenizer_encode(&encoding, h->tokenizer, s->text ? s->text : "", s->count, flags, err);
            if (!status) status = append_ids(list, encoding->ids, encoding->count, h, err);
            cud_encoding_free(encoding);
        } else {
            return cud_fail(err, CUDDLE_E_ARG, "segment %zu: kind is %d, expected TEXT or TOKENS", i, (int)s->kind);
        }
        if (status) return status;
    }
    return list->count ? CUDDLE_OK : cud_fail(err, CUDDLE_E_ARG, "the prompt has no tokens");
}

/* How many tokens may follow, and the pages for all of it. */
static cuddle_status fit(cuddle_request *r, const cuddle_model *h, cuddle_error *err)
{
    const int64_t positions = h->pages * CUD_PAGE < h->max_context ? h->pages * CUD_PAGE : h->max_context;
    const int64_t room = positions - r->prompt_count;
    if (room < 1)
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
    r->page_count = (r->prompt_count + g->max_tokens + CUD_PAGE - 1) / CUD_PAGE;
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

static cuddle_status allocate(cuddle_request *r, const cuddle_model *h, id_list *prompt, cuddle_error *err)
{
    const size_t tokens = (size_t)r->g.max_tokens, total = (size_t)r->prompt_count + tokens;
    int32_t *ids = realloc(prompt->ids, total * sizeof *ids);
    if (!ids) return cud_nomem(err, total * sizeof *ids, "a request's tokens");
    r->ids = ids;
    *prompt = (id_list){ 0 };
    r->pages = calloc((size_t)r->page_count, sizeof *r->pages);
    bool ok = r->pages != NULL;
    if (r->g.logprobs >= 0) {
        r->logprobs = calloc(tokens, sizeof *r->logprobs);
        r->top_logprobs = calloc(tokens * (size_t)r->g.logprobs + 1, sizeof *r->top_logprobs);
        ok = ok && r->logprobs && r->top_logprobs;
    }
    if (r->g.prompt_logprobs) {
        r->prompt_logprobs = calloc((size_t)r->prompt_count, sizeof *r->prompt_logprobs);
        ok = ok && r->prompt_logprobs;
    }
    if (!ok) return cud_nomem(err, total * sizeof(float), "a request's results");
    return h->tokenizer ? start_text(r, h, err) : cud_constrain_begin(r, h, true, err);
}

/* ---------------------------------------------------------------------------------------------------------- submit */

static void destroy(cuddle_request *r)
{
    cud_generation_free(&r->g);
    cud_detokenizer_free(r->detokenizer);
    cud_matcher_free(r->matcher);
    free(r->ids);
    free(r->pages);
    free(r->made.data);
    free(r->logprobs);
    free(r->prompt_logprobs);
    free(r->top_logprobs);
    free(r->text.data);
    free(r->piece);
    pthread_cond_destroy(&r->changed);
    free(r);
}

static cuddle_status enqueue(cuddle_request *r, cuddle_model *h, cuddle_error *err)
{
    cuddle_engine *e = h->engine;
    cuddle_status status = CUDDLE_OK;
    pthread_mutex_lock(&e->lock);
    if (h->closing || e->stopping) status = cud_fail(err, CUDDLE_E_CANCELLED, "the engine is being freed");
    else if (e->lost.status) status = cud_fail(err, e->lost.status, "%s", e->lost.text);
    else if (h->state == CUDDLE_MODEL_FAILED) status = cud_fail(err, h->failure.status, "%s", h->failure.text);
    else {
        r->model = h;
        r->handles = 2;
        h->handles++;
        if (h->queue_tail) h->queue_tail->queue_next = r;
        else h->queue_head = r;
        h->queue_tail = r;
        h->queue_count++;
        pthread_cond_signal(&e->work);
    }
    pthread_mutex_unlock(&e->lock);
    return status;
}

cuddle_status cud_request_submit(cuddle_request **out, cuddle_model *h, const cuddle_segment *segments, size_t count,
                                 const cuddle_generation_options *options, cuddle_event_fn on_event, void *user, cuddle_error *err)
{
    *out = NULL;
    cuddle_request *r = calloc(1, sizeof *r);
    if (!r) return cud_nomem(err, sizeof *r, "a request");
    cud_condition_init(&r->changed);
    r->on_event = on_event;
    r->user = user;
    r->submitted = cud_now();
    id_list prompt = { 0 };
    cuddle_status status = cud_generation_resolve(&r->g, options, &h->config, err);
    if (!status && r->g.logprobs > h->sampler.vocabulary)
        status = cud_fail(err, CUDDLE_E_ARG, "logprobs is %d, but the vocabulary has %d tokens", r->g.logprobs, h->sampler.vocabulary);
    if (!status) status = build_prompt(&prompt, h, segments, count, options && options->no_special, err);
    if (!status) {
        r->prompt_count = r->count = (int)prompt.count;
        status = fit(r, h, err);
    }
    if (!status) status = allocate(r, h, &prompt, err);
    free(prompt.ids);
    /* The event of the last step may run before this function returns; *out is set for callbacks that read it. */
    if (!status) *out = r;
    if (!status) status = enqueue(r, h, err);
    if (status) {
        *out = NULL;
        destroy(r);
    }
    return status;
}

/* ------------------------------------------------------------------------------------------------------------- end */

void cud_request_end(cuddle_request *r, cuddle_finish finish, const cuddle_error *why)
{
    if (r->finish) return;
    r->finish = finish;
    if (finish == CUDDLE_FINISH_FAILED && why) r->failure = *why;
    r->ended = cud_now();
    pthread_cond_broadcast(&r->changed);
}

void cud_request_mark_cancelled(cuddle_request *r)
{
    cuddle_model *h = r->model;
    r->cancelled = true;
    /* A step that waits for weights is begun anew, without it. */
    if (h->stepping && h->m && h->state == CUDDLE_MODEL_LOADING) atomic_store(&h->m->interrupt, true);
}

void cud_request_remove(cuddle_request *r)
{
    cuddle_model *h = r->model;
    if (r->running) {
        int at = 0;
        while (h->running[at] != r) at++;
        memmove(&h->running[at], &h->running[at + 1], (size_t)(h->running_count - at - 1) * sizeof *h->running);
        h->running_count--;
        h->seats[r->seat] = false;
        for (int i = 0; i < r->page_count; i++) h->free_pages[h->free_count++] = r->pages[i];
        r->running = false;
        return;
    }
    cuddle_request *before = NULL;
    for (cuddle_request *q = h->queue_head; q; before = q, q = q->queue_next) {
        if (q != r) continue;
        if (before) before->queue_next = r->queue_next;
        else h->queue_head = r->queue_next;
        if (h->queue_tail == r) h->queue_tail = before;
        h->queue_count--;
        r->queue_next = NULL;
        return;
    }
}

void cud_request_release(cuddle_request *r)
{
    if (--r->handles > 0) return;
    cuddle_model *h = r->model;
    destroy(r);
    h->handles--; /* never the last: the caller holds the lock through a handle of its own */
}

void cud_request_free(cuddle_request *r)
{
    if (!r) return;
    cuddle_model *h = r->model;
    cuddle_engine *e = h->engine;
    pthread_mutex_lock(&e->lock);
    cud_request_mark_cancelled(r);
    while (r->in_step) pthread_cond_wait(&h->changed, &e->lock); /* the next step would leave it out: it ends */
    if (!r->finish) { /* it can go without the engine's thread */
        cud_request_remove(r);
        cud_request_end(r, CUDDLE_FINISH_CANCELLED, NULL);
        r->handles--;
    }
    h->handles++; /* so that the release below cannot be the last */
    cud_request_release(r);
    pthread_mutex_unlock(&e->lock);
    cud_engine_release_model(h);
}
