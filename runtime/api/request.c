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

/* How the request ended, as a status; the lock is held. */
static cuddle_status outcome(const cuddle_request *r, cuddle_error *err)
{
    if (r->finish == CUDDLE_FINISH_FAILED) return cud_fail(err, r->failure.status, "%s", r->failure.text);
    if (r->finish == CUDDLE_FINISH_CANCELLED) return cud_fail(err, CUDDLE_E_CANCELLED, "the request was cancelled");
    return CUDDLE_OK;
}

static cuddle_status wait_for(cuddle_request *r, int timeout_ms, bool or_text, cuddle_error *err)
{
    cud_error_clear(err);
    if (!r) return cud_fail(err, CUDDLE_E_ARG, "request is NULL");
    cuddle_engine *e = r->model->engine;
    const double until = timeout_ms < 0 ? 0 : cud_now() + 1e-3 * timeout_ms;
    cuddle_status status = CUDDLE_OK;
    pthread_mutex_lock(&e->lock);
    bool in_time = true;
    while (!r->finish && !(or_text && r->text.length > r->fetched) && in_time) in_time = cud_condition_wait(&r->changed, &e->lock, until);
    if (or_text && r->text.length > r->fetched) status = CUDDLE_OK;
    else if (r->finish) status = outcome(r, err);
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
    const cuddle_finish finish = request->finish;
    pthread_mutex_unlock(&e->lock);
    return finish;
}

const char *cuddle_request_next_text(cuddle_request *request, size_t *length)
{
    cuddle_engine *e = request->model->engine;
    pthread_mutex_lock(&e->lock);
    const size_t fresh = request->text.length - request->fetched;
    char *piece = realloc(request->piece, fresh + 1);
    if (piece) {
        request->piece = piece;
        if (fresh) memcpy(piece, request->text.data + request->fetched, fresh);
        piece[fresh] = 0;
        request->fetched += fresh;
    }
    pthread_mutex_unlock(&e->lock);
    if (length) *length = piece ? fresh : 0;
    return piece ? piece : ""; /* out of memory: nothing is lost, the next call gives it */
}

cuddle_status cuddle_request_result(cuddle_request *request, cuddle_result *out, cuddle_error *err)
{
    cud_error_clear(err);
    if (!request || !out) return cud_fail(err, CUDDLE_E_ARG, "cuddle_request_result: %s is NULL", request ? "out" : "request");
    cuddle_engine *e = request->model->engine;
    pthread_mutex_lock(&e->lock);
    const bool ended = request->finish != CUDDLE_FINISH_NONE;
    pthread_mutex_unlock(&e->lock);
    if (!ended) return cud_fail(err, CUDDLE_E_BUSY, "the request has not ended yet");
    const cuddle_request *r = request; /* from here on nobody changes it */
    const bool text = r->model->tokenizer != NULL;
    const cuddle_result result = {
        .finish = r->finish,
        .prompt_ids = r->ids, .prompt_count = (size_t)r->prompt_count,
        .ids = r->ids + r->prompt_count, .count = (size_t)(r->count - r->prompt_count),
        .text = !text ? NULL : r->text.data ? r->text.data : "", .text_length = r->text.length,
        .logprobs = r->logprobs, .top_logprobs = r->top_logprobs, .top_count = r->g.logprobs > 0 ? r->g.logprobs : 0,
        .prompt_logprobs = r->prompt_logprobs, .prompt_is_greedy = r->prompt_is_greedy,
        .prompt_top_logprobs = r->g.prompt_top > 0 ? r->prompt_top_logprobs : NULL, .prompt_top_count = r->prompt_logprobs ? r->g.prompt_top : 0,
        .queue_seconds = (r->started > 0 ? r->started : r->ended) - r->submitted,
        .prefill_seconds = r->first_token > 0 ? r->first_token - r->started : r->g.max_tokens == 0 && r->started > 0 ? r->ended - r->started : 0,
        .decode_seconds = r->first_token > 0 ? r->ended - r->first_token : 0,
    };
    return cud_result_copy(out, &result, sizeof result, "cuddle_result", err);
}
