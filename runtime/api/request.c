/* cuddle.h: requests. */
#include "core/options.h"
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

const char *cuddle_finish_name(cuddle_finish finish)
{
    switch (finish) {
    case CUDDLE_FINISH_NONE: return "none";
    case CUDDLE_FINISH_EOS: return "eos";
    case CUDDLE_FINISH_STOP: return "stop";
    case CUDDLE_FINISH_LENGTH: return "length";
    case CUDDLE_FINISH_CANCELLED: return "cancelled";
    case CUDDLE_FINISH_FAILED: return "failed";
    case CUDDLE_FINISH_DEADLINE: return "deadline";
    case CUDDLE_FINISH_DONE: return "done";
    }
    return "?";
}

cuddle_status cuddle_request_submit(cuddle_request **out, cuddle_model *h, const cuddle_segment *segments, size_t count,
                                    const cuddle_generation_options *options, cuddle_event_fn on_event, void *user, cuddle_error *err)
{
    cud_error_clear(err);
    if (!out) return cud_fail(err, CUDDLE_E_ARG, "cuddle_request_submit: out is NULL");
    *out = NULL;
    if (!h) return cud_fail(err, CUDDLE_E_ARG, "cuddle_request_submit: model is NULL");
    if (count && !segments) return cud_fail(err, CUDDLE_E_ARG, "cuddle_request_submit: segments is NULL");
    return cud_request_submit(out, h, segments, count, options, on_event, user, err);
}

void cuddle_request_cancel(cuddle_request *request)
{
    if (!request) return;
    cuddle_engine *e = request->model->engine;
    pthread_mutex_lock(&e->lock);
    cud_request_mark_cancelled(request);
    pthread_cond_signal(&e->work);
    pthread_mutex_unlock(&e->lock);
}

void cuddle_request_free(cuddle_request *request) { cud_request_free(request); }

/* How one of its choices ended, as a status. */
static cuddle_status outcome_of(const cuddle_request *r, cuddle_error *err)
{
    if (r->finish == CUDDLE_FINISH_FAILED) return cud_fail(err, r->failure.status, "%s", r->failure.text);
    if (r->finish == CUDDLE_FINISH_CANCELLED) return cud_fail(err, CUDDLE_E_CANCELLED, "the request was cancelled");
    if (r->finish == CUDDLE_FINISH_DEADLINE)
        return cud_fail(err, CUDDLE_E_LIMIT, "the request's timeout of %d ms passed after %d tokens", r->g.timeout_ms, r->task.count - r->prompt_count);
    return CUDDLE_OK;
}

/* How the request ended, as a status; the lock is held. */
static cuddle_status outcome(const cuddle_request *r, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    for (int i = 0; i < r->g.best_of && !status; i++) status = outcome_of(r->choice[i], err);
    return status;
}

/* Has any choice text that was not fetched? The lock is held. */
static bool has_text(const cuddle_request *r)
{
    for (int i = 0; i < r->g.best_of; i++)
        if (r->choice[i]->text.length > r->choice[i]->fetched) return true;
    return false;
}

static cuddle_status wait_for(cuddle_request *r, int timeout_ms, bool or_text, cuddle_error *err)
{
    cud_error_clear(err);
    if (!r) return cud_fail(err, CUDDLE_E_ARG, "request is NULL");
    cuddle_engine *e = r->model->engine;
    const double until = timeout_ms < 0 ? 0 : cud_now() + 1e-3 * timeout_ms;
    cuddle_status status = CUDDLE_OK;
    pthread_mutex_lock(&e->lock);
    or_text = or_text && r->g.best_of == r->g.n; /* else nobody knows yet whose text it is */
    bool in_time = true;
    while (r->open > 0 && !(or_text && has_text(r)) && in_time) in_time = cud_condition_wait(&r->changed, &e->lock, until);
    if (or_text && has_text(r)) status = CUDDLE_OK;
    else if (r->open == 0) status = outcome(r, err);
    else status = cud_fail(err, CUDDLE_E_BUSY, "the request is still running after %d ms", timeout_ms);
    pthread_mutex_unlock(&e->lock);
    return status;
}

cuddle_status cuddle_request_wait(cuddle_request *request, int timeout_ms, cuddle_error *err) { return wait_for(request, timeout_ms, false, err); }
cuddle_status cuddle_request_wait_text(cuddle_request *request, int timeout_ms, cuddle_error *err)
{
    return wait_for(request, timeout_ms, true, err);
}

cuddle_finish cuddle_request_finish(cuddle_request *request)
{
    cuddle_engine *e = request->model->engine;
    pthread_mutex_lock(&e->lock);
    const cuddle_finish finish = request->open > 0 ? CUDDLE_FINISH_NONE : request->choice[0]->finish;
    pthread_mutex_unlock(&e->lock);
    return finish;
}

int cuddle_request_choices(const cuddle_request *request) { return request->g.n; }

const char *cuddle_request_next_text_of(cuddle_request *request, int choice, size_t *length)
{
    if (length) *length = 0;
    if (choice < 0 || choice >= request->g.n) return "";
    cuddle_engine *e = request->model->engine;
    pthread_mutex_lock(&e->lock);
    cuddle_request *c = request->choice[choice];
    const size_t fresh = request->open > 0 && request->g.best_of > request->g.n ? 0 : c->text.length - c->fetched;
    char *piece = realloc(c->piece, fresh + 1);
    if (piece) {
        c->piece = piece;
        if (fresh) memcpy(piece, c->text.data + c->fetched, fresh);
        piece[fresh] = 0;
        c->fetched += fresh;
    }
    pthread_mutex_unlock(&e->lock);
    if (length && piece) *length = fresh;
    return piece ? piece : ""; /* out of memory: nothing is lost, the next call gives it */
}

const char *cuddle_request_next_text(cuddle_request *request, size_t *length) { return cuddle_request_next_text_of(request, 0, length); }

cuddle_status cuddle_request_result_of(cuddle_request *request, int choice, cuddle_result *out, cuddle_error *err)
{
    cud_error_clear(err);
    if (!request || !out) return cud_fail(err, CUDDLE_E_ARG, "cuddle_request_result: %s is NULL", request ? "out" : "request");
    if (choice < 0 || choice >= request->g.n)
        return cud_fail(err, CUDDLE_E_ARG, "choice is %d, the request has %d", choice, request->g.n);
    cuddle_engine *e = request->model->engine;
    pthread_mutex_lock(&e->lock);
    const bool ended = request->open == 0;
    pthread_mutex_unlock(&e->lock);
    if (!ended) return cud_fail(err, CUDDLE_E_BUSY, "the request has not ended yet");
    const cuddle_request *r = request->choice[choice]; /* from here on nobody changes it */
    const bool text = r->model->tokenizer != NULL;
    const int count = r->task.count - r->prompt_count;
    const cuddle_result result = {
        .finish = r->finish,
        .prompt_ids = r->ids, .prompt_count = (size_t)r->prompt_count,
        .ids = r->ids + r->prompt_count, .count = (size_t)count,
        .text = !text ? NULL : r->text.data ? r->text.data : "", .text_length = r->text.length,
        .logprobs = r->g.logprobs_asked ? r->logprobs : NULL, .top_logprobs = r->g.logprobs_asked ? r->top_logprobs : NULL,
        .top_count = r->g.logprobs > 0 ? r->g.logprobs : 0,
        .prompt_logprobs = request->prompt_logprobs, .prompt_is_greedy = request->prompt_is_greedy,
        .prompt_top_logprobs = request->g.prompt_top > 0 ? request->prompt_top_logprobs : NULL,
        .prompt_top_count = request->prompt_logprobs ? request->g.prompt_top : 0,
        .queue_seconds = (r->started > 0 ? r->started : r->ended) - r->submitted,
        .prefill_seconds = r->first_token > 0 ? r->first_token - r->started : r->g.max_tokens == 0 && r->started > 0 ? r->ended - r->started : 0,
        .decode_seconds = r->first_token > 0 ? r->ended - r->first_token : 0,
        .cached_tokens = r->cached, .preemptions = r->task.preemptions, .mean_logprob = count ? r->logprob_sum / count : 0,
        .beam_score = r->beam_score,
    };
    return cud_result_copy(out, &result, sizeof result, "cuddle_result", err);
}

cuddle_status cuddle_request_result(cuddle_request *request, cuddle_result *out, cuddle_error *err)
{
    return cuddle_request_result_of(request, 0, out, err);
}
