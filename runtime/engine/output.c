/* From logits to what a request has produced: the token, its log-probabilities, its text, and whether that was the end. */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

cuddle_status cud_text_append(text_buffer *b, const char *text, size_t length, cuddle_error *err)
{
    if (length > SIZE_MAX / 2 - b->length - 1) return cud_nomem(err, length, "text");
    const size_t needed = b->length + length + 1;
    if (needed > b->capacity) {
        const size_t capacity = needed < 256 ? 256 : needed * 2;
        char *bigger = realloc(b->data, capacity);
        if (!bigger) return cud_nomem(err, capacity, "text");
        b->data = bigger;
        b->capacity = capacity;
    }
    if (length) memcpy(b->data + b->length, text, length);
    b->length += length;
    b->data[b->length] = 0;
    return CUDDLE_OK;
}

/* First byte at or after `from` where a stop string begins, or SIZE_MAX. */
static size_t find_stop(const cuddle_request *r, size_t from)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < r->g.stop_count; i++) {
        if (r->made.length < from) continue;
        const char *hit = memmem(r->made.data + from, r->made.length - from, r->g.stop[i], r->g.stop_length[i]);
        if (hit && (size_t)(hit - r->made.data) < best) best = (size_t)(hit - r->made.data);
    }
    return best;
}

/* Length of the longest end of the text that a stop string could begin with. */
static size_t held_back(const cuddle_request *r)
{
    const size_t most = r->g.longest_stop ? r->g.longest_stop - 1 : 0;
    const size_t open = r->made.length - r->released;
    for (size_t n = most < open ? most : open; n > 0; n--)
        for (size_t i = 0; i < r->g.stop_count; i++)
            if (r->g.stop_length[i] > n && memcmp(r->made.data + r->made.length - n, r->g.stop[i], n) == 0) return n;
    return 0;
}

/* Adds a piece to the text; true if that completed a stop string. */
static cuddle_status add_text(cuddle_request *r, const char *piece, size_t length, bool *stopped, cuddle_error *err)
{
    if (length == 0) return CUDDLE_OK;
    const cuddle_status status = cud_text_append(&r->made, piece, length, err);
    if (status) return status;
    const size_t stop = find_stop(r, r->released); /* what is released cannot be part of a stop string */
    if (stop != SIZE_MAX) {
        r->made.length = stop;
        r->made.data[stop] = 0;
        r->released = stop;
        *stopped = true;
    } else {
        r->released = r->made.length - held_back(r);
    }
    return CUDDLE_OK;
}

history cud_request_past(const cuddle_request *r)
{
    const int fresh = r->task.count - r->prompt_count;
    return (history){ r->ids, r->task.count, fresh, fresh + 1 == r->g.max_tokens };
}

bool cud_output_ends(const cuddle_request *r, int32_t token)
{
    for (size_t i = 0; i < r->g.stop_token_count; i++)
        if (r->g.stop_tokens[i] == token) return true;
    return false;
}

/* The log-probability of a token, and the `top` likeliest. */
static float take_row(cuddle_logprob *out, int top, const float *logits, int vocabulary, int32_t token)
{
    const double total = cud_log_sum_exp(logits, vocabulary);
    int32_t ids[CUD_MAX_TOP_LOGPROBS];
    float values[CUD_MAX_TOP_LOGPROBS];
    if (top > 0) cud_top_logits(ids, values, top, logits, vocabulary);
    for (int i = 0; i < top; i++) out[i] = (cuddle_logprob){ ids[i], (float)((double)values[i] - total) };
    return (float)((double)logits[token] - total);
}

static void take_logprobs(cuddle_request *r, const float *logits, int vocabulary, int32_t token)
{
    const size_t at = (size_t)(r->task.count - r->prompt_count), top = (size_t)r->g.logprobs;
    r->logprobs[at] = take_row(r->top_logprobs + at * top, (int)top, logits, vocabulary, token);
    r->logprob_sum += (double)r->logprobs[at];
}

/* The step's output rows of a prompt: each predicts the token behind its own, the last one a new token. */
static void take_prompt_logprobs(cuddle_request *r, const float *logits, int vocabulary)
{
    const size_t top = (size_t)r->g.prompt_top;
    for (int i = 0; i < r->task.step_outputs; i++) {
        const int position = r->task.computed + r->task.step_rows - r->task.step_outputs + i + 1;
        if (position < r->g.prompt_from || position >= r->prompt_count) continue;
        const float *row = logits + (size_t)i * (size_t)vocabulary;
        const int32_t token = r->ids[position];
        r->prompt_logprobs[position] = take_row(r->prompt_top_logprobs + (size_t)position * top, (int)top, row, vocabulary, token);
        r->prompt_is_greedy[position] = cud_is_likeliest(row, vocabulary, token);
    }
}

/* Picks a token from the last row's logits. */
static cuddle_status pick(int32_t *token, produced *p, cuddle_model *h, float *logits)
{
    cuddle_request *r = p->request;
    const int vocabulary = h->sampler.vocabulary;
    const history past = cud_request_past(r);
    float *raw = h->logits + (size_t)h->m->caps.outputs * (size_t)vocabulary; /* a spare row: log-probabilities are of the untouched logits */
    if (r->g.logprobs >= 0) memcpy(raw, logits, (size_t)vocabulary * sizeof *raw);
    h->sampler.allowed = p->allowed;
    const cuddle_status status = cud_sample(token, &h->sampler, &r->g.how, &past, logits, &p->failure);
    if (!status && r->g.logprobs >= 0) take_logprobs(r, raw, vocabulary, *token);
    return status;
}

/* Takes in a request's next token. */
static cuddle_status take_token(produced *p, int32_t token, cuddle_error *err)
{
    cuddle_request *r = p->request;
    cuddle_status status = CUDDLE_OK;
    r->ids[r->task.count++] = token;
    bool stopped = false;
    bool eos = cud_output_ends(r, token);
    const bool full = r->task.count - r->prompt_count == r->g.max_tokens;
    const char *piece = NULL;
    size_t length = 0;
    bool over = false;
    if (r->matcher && !eos) status = cud_constrain_take(&over, r, token, err);
    if (r->detokenizer && !eos && !status) {
        status = cud_detokenizer_push(r->detokenizer, token, &piece, &length, err);
        if (!status) status = add_text(r, piece, length, &stopped, err);
    }
    eos = eos || over;
    if (r->detokenizer && !status && !stopped && (eos || full)) {
        status = cud_detokenizer_finish(r->detokenizer, &piece, &length, err);
        if (!status) status = add_text(r, piece, length, &stopped, err);
    }
    if (status) return status;
    p->finish = stopped ? CUDDLE_FINISH_STOP : eos ? CUDDLE_FINISH_EOS : full ? CUDDLE_FINISH_LENGTH : CUDDLE_FINISH_NONE;
    if (p->finish) r->released = r->made.length; /* nothing can complete a stop string any more */
    return CUDDLE_OK;
}

cuddle_status cud_output_whole_text(cuddle_request *r, cuddle_error *err)
{
    if (!r->detokenizer) return CUDDLE_OK;
    const char *piece = NULL;
    size_t length = 0;
    cuddle_status status = CUDDLE_OK;
    for (int i = r->prompt_count; i < r->task.count && !status; i++) {
        if (cud_output_ends(r, r->ids[i])) break;
        status = cud_detokenizer_push(r->detokenizer, r->ids[i], &piece, &length, err);
        if (!status) status = cud_text_append(&r->text, piece, length, err);
    }
    if (!status) status = cud_detokenizer_finish(r->detokenizer, &piece, &length, err);
    return status ? status : cud_text_append(&r->text, piece, length, err);
}

void cud_output_take(produced *p, cuddle_model *h)
{
    cuddle_request *r = p->request;
    const int vocabulary = h->sampler.vocabulary;
    float *logits = h->logits + (size_t)r->task.step_first_output * (size_t)vocabulary;
    if (r->g.prompt_logprobs && r->task.computed < r->prompt_count && p->logits) take_prompt_logprobs(r, logits, vocabulary);
    if (r->whole->beam) r->whole->beam->in_step++;
    if (!cud_request_samples(r) || r->task.step_outputs == 0) return;
    float *last = logits + (size_t)(r->task.step_outputs - 1) * (size_t)vocabulary;
    if (r->whole->beam) {
        const history past = cud_request_past(r);
        if (cud_beam_take(r->whole->beam, r->index, &h->sampler, &r->g.how, &past, last, &p->failure)) p->finish = CUDDLE_FINISH_FAILED;
        return;
    }
    if (r->g.max_tokens == 0) { /* the prompt was all */
        p->finish = CUDDLE_FINISH_LENGTH;
        return;
    }
    if (p->unmasked) {
        p->finish = CUDDLE_FINISH_FAILED;
        return;
    }
    int32_t token = 0;
    cuddle_status status = p->picked ? cud_pick_take(&token, h, r, &p->failure) : pick(&token, p, h, last);
    if (!status && p->picked && r->g.logprobs >= 0) take_logprobs(r, last, vocabulary, token);
    if (!status) status = take_token(p, token, &p->failure);
    if (status) p->finish = CUDDLE_FINISH_FAILED;
}
