#include "engine/beam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

cuddle_status cud_beam_new(beam_search **out, const generation *g, cuddle_error *err)
{
    const size_t beams = (size_t)g->beams, ends = g->stop_token_count, keep = (ends > 1 ? 1 + ends : 2) * beams, tokens = (size_t)g->max_tokens;
    const size_t bytes = beams * (keep * (sizeof(continuation) + 8) + 2 * tokens * sizeof(int32_t));
    beam_search *b = *out = calloc(1, sizeof *b);
    if (!b) return cud_nomem(err, bytes, "a beam search");
    b->beams = (int)beams;
    b->keep = (int)keep;
    b->open = b->missing = 1;
    b->improvable = true;
    b->score = calloc(beams, sizeof *b->score);
    b->slot = calloc(beams, sizeof *b->slot);
    b->there = calloc(beams, sizeof *b->there);
    b->token = calloc(beams * keep, sizeof *b->token);
    b->logprob = calloc(beams * keep, sizeof *b->logprob);
    b->best = calloc(beams * keep, sizeof *b->best);
    b->ids = calloc(beams * tokens, sizeof *b->ids);
    b->finished = calloc(beams + 1, sizeof *b->finished);
    bool ok = b->score && b->slot && b->there && b->token && b->logprob && b->best && b->ids && b->finished;
    for (size_t i = 0; i <= beams && ok; i++) ok = (b->finished[i].ids = malloc(tokens * sizeof(int32_t))) != NULL;
    return ok ? CUDDLE_OK : cud_nomem(err, bytes, "a beam search");
}

void cud_beam_free(beam_search *b)
{
    if (!b) return;
    for (int i = 0; b->finished && i <= b->beams; i++) free(b->finished[i].ids);
    free(b->score);
    free(b->slot);
    free(b->there);
    free(b->token);
    free(b->logprob);
    free(b->best);
    free(b->ids);
    free(b->finished);
    free(b);
}

cuddle_status cud_beam_take(beam_search *b, int slot, sampler *s, const sampling *how, const history *past, float *logits, cuddle_error *err)
{
    const int vocabulary = s->vocabulary;
    const size_t at = (size_t)slot * (size_t)b->keep;
    const double total = cud_log_sum_exp(logits, vocabulary);
    if (isnan(total)) return cud_fail(err, CUDDLE_E_FORMAT, "the model gave a logit that is not a number");
    for (int i = 0; i < vocabulary; i++) logits[i] = (float)((double)logits[i] - total);
    cud_adjust_logits(s, how, past, logits); /* the reference's processors work on log-probabilities here */
    for (int i = 0; i < b->keep; i++) b->logprob[at + (size_t)i] = -INFINITY; /* a vocabulary may be smaller */
    cud_top_logits(b->token + at, b->logprob + at, b->keep, logits, vocabulary);
    if (!b->there[slot]) b->missing--;
    b->there[slot] = true;
    return CUDDLE_OK;
}

static int by_score(const void *a, const void *b)
{
    const continuation *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->rank != y->rank ? x->rank - y->rank : (x->token > y->token) - (x->token < y->token);
}

static bool is_end(const generation *g, int32_t token)
{
    for (size_t i = 0; i < g->stop_token_count; i++)
        if (g->stop_tokens[i] == token) return true;
    return false;
}

static float penalised(float score, int length, float penalty) { return score / (float)pow(length, (double)penalty); }

/* Among the finished, if it is better than one of them or there is room. */
static void finish(beam_search *b, const int32_t *ids, int length, int32_t token, float score)
{
    int at = b->finished_count < b->beams ? b->finished_count++ : b->beams;
    hypothesis fresh = b->finished[at];
    memcpy(fresh.ids, ids, (size_t)length * sizeof *ids);
    fresh.ids[length] = token;
    fresh.count = length + 1;
    fresh.score = score;
    for (; at > 0 && score > b->finished[at - 1].score; at--) b->finished[at] = b->finished[at - 1];
    b->finished[at] = fresh;
}

bool cud_beam_choose(beam_search *b, const generation *g, int32_t *const *produced, int length, int *parent, int32_t *token)
{
    int n = 0;
    for (int rank = 0; rank < b->open; rank++)
        for (int i = 0; i < b->keep; i++) {
            const size_t at = (size_t)b->slot[rank] * (size_t)b->keep + (size_t)i;
            b->best[n++] = (continuation){ b->logprob[at] + b->score[rank], rank, b->token[at] };
        }
    qsort(b->best, (size_t)n, sizeof *b->best, by_score);
    if (n > b->keep) n = b->keep; /* of all beams together */

    const bool last = length + 1 == g->max_tokens, full = b->finished_count == b->beams && g->early_stopping == CUDDLE_BEAMS_STOP_EARLY;
    int old_slot[CUD_MAX_BEAMS], next = 0;
    memcpy(old_slot, b->slot, (size_t)b->beams * sizeof *old_slot);
    continuation chosen[CUD_MAX_BEAMS];
    for (int i = 0; i < n; i++) {
        const continuation *c = &b->best[i];
        if (!last && !is_end(g, c->token)) {
            if (next < b->beams) chosen[next++] = *c;
        } else if (i < b->beams && !full && b->improvable && c->score > -INFINITY) {
            finish(b, produced[old_slot[c->rank]], length, c->token, penalised(c->score, length + 1, g->length_penalty));
        }
    }
    const bool complete = b->finished_count == b->beams;
    if (next < b->beams) return false; /* at max_tokens nothing can go on */
    const int reach = g->early_stopping == CUDDLE_BEAMS_NEVER_STOP && g->length_penalty > 0 ? g->max_tokens : length + 1;
    if (complete && !(penalised(chosen[0].score, reach, g->length_penalty) > b->finished[b->beams - 1].score)) b->improvable = false;
    if (!b->improvable || (complete && g->early_stopping == CUDDLE_BEAMS_STOP_EARLY)) return false;

    /* The first to continue a beam stays in its slot. */
    bool taken[CUD_MAX_BEAMS] = { false };
    for (int i = 0; i < b->beams; i++) b->slot[i] = -1;
    for (int i = 0; i < b->beams; i++) {
        const int from = old_slot[chosen[i].rank];
        if (!taken[from]) taken[b->slot[i] = from] = true;
    }
    for (int i = 0, free_slot = 0; i < b->beams; i++) {
        if (b->slot[i] < 0) {
            while (taken[free_slot]) free_slot++;
            taken[b->slot[i] = free_slot] = true;
        }
        parent[b->slot[i]] = old_slot[chosen[i].rank];
        token[b->slot[i]] = chosen[i].token;
        b->score[i] = chosen[i].score;
        b->there[i] = false;
    }
    b->open = b->missing = b->beams;
    return true;
}
