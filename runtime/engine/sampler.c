#include "engine/sampler.h"

#include "core/draw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

cuddle_status cud_sampler_init(sampler *s, int vocabulary, cuddle_error *err)
{
    *s = (sampler){ .vocabulary = vocabulary };
    s->candidates = malloc((size_t)vocabulary * sizeof *s->candidates);
    s->seen = calloc((size_t)vocabulary, 1);
    if (s->candidates && s->seen) return CUDDLE_OK;
    cud_sampler_free(s);
    return cud_nomem(err, (size_t)vocabulary * (sizeof *s->candidates + 1), "the sampler");
}

void cud_sampler_free(sampler *s)
{
    free(s->candidates);
    free(s->seen);
    *s = (sampler){ 0 };
}

float cud_uniform(uint64_t seed, uint64_t counter) { return (float)draw_bits(seed, counter) * 0x1p-24f; }

double cud_log_sum_exp(const float *logits, int n)
{
    float max = -INFINITY;
    for (int i = 0; i < n; i++)
        if (logits[i] > max) max = logits[i];
    double sum = 0;
    for (int i = 0; i < n; i++) sum += exp((double)(logits[i] - max));
    return (double)max + log(sum);
}

void cud_top_logits(int32_t *ids, float *values, int n, const float *logits, int vocabulary)
{
    int have = 0;
    for (int32_t i = 0; i < vocabulary; i++) {
        if (have == n && !(logits[i] > values[n - 1])) continue;
        int at = have < n ? have++ : n - 1;
        for (; at > 0 && logits[i] > values[at - 1]; at--) {
            values[at] = values[at - 1];
            ids[at] = ids[at - 1];
        }
        values[at] = logits[i];
        ids[at] = i;
    }
}

/* Each token that occurred is penalised once, however often it did. */
static void penalise(sampler *s, float *logits, float penalty, const history *past)
{
    for (int i = 0; i < past->count; i++) {
        const int32_t id = past->ids[i];
        if (s->seen[id]) continue;
        s->seen[id] = 1;
        logits[id] = draw_penalised(logits[id], penalty);
    }
    for (int i = 0; i < past->count; i++) s->seen[past->ids[i]] = 0;
}

static void suppress(float *logits, int vocabulary, const int32_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] >= 0 && ids[i] < vocabulary) logits[ids[i]] = -INFINITY;
}

static void suppress_others(float *logits, int vocabulary, const uint32_t *allowed)
{
    for (int32_t i = 0; i < vocabulary; i++)
        if (!(allowed[i / 32] >> i % 32 & 1)) logits[i] = -INFINITY;
}

static int by_likelihood_descending(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int by_id(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* The k-th largest logit, by quickselect on a copy of the values. */
static float kth_largest(candidate *c, int n, int k)
{
    int low = 0, high = n - 1;
    while (low < high) {
        const float pivot = c[low + (high - low) / 2].logit;
        int i = low, j = high;
        while (i <= j) {
            while (c[i].logit > pivot) i++;
            while (c[j].logit < pivot) j--;
            if (i <= j) {
                const candidate t = c[i];
                c[i++] = c[j];
                c[j--] = t;
            }
        }
        if (k - 1 <= j) high = j;
        else if (k - 1 >= i) low = i;
        else break;
    }
    return c[k - 1].logit;
}

static int keep_from(candidate *c, int n, float threshold)
{
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (c[i].logit >= threshold) c[kept++] = c[i];
    return kept;
}

static uint64_t add_weights(const candidate *c, int n)
{
    uint64_t total = 0;
    for (int i = 0; i < n; i++) total += draw_weight(c[i].distance);
    return total;
}

/* TopPLogitsWarper, see draw_drop(). */
static int keep_top_p(candidate *c, int n, float top_p)
{
    const uint64_t drop = draw_drop(top_p, add_weights(c, n));
    /* Tokens below drop / n add up to no more than drop and come first in that order: they need no sorting. */
    const uint64_t small = drop / (uint64_t)n;
    uint64_t dropped = 0;
    int kept = 0;
    for (int i = 0; i < n; i++) {
        const uint64_t w = draw_weight(c[i].distance);
        if (w < small || w == 0) dropped += w;
        else c[kept++] = c[i];
    }
    qsort(c, (size_t)kept, sizeof *c, by_likelihood_descending);
    while (kept > 1) {
        const uint64_t w = draw_weight(c[kept - 1].distance);
        if (dropped + w > drop) break;
        dropped += w;
        kept--;
    }
    return kept;
}

static int keep_min_p(candidate *c, int n, float min_p)
{
    const uint64_t least = draw_least(min_p);
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (draw_weight(c[i].distance) >= least) c[kept++] = c[i];
    return kept;
}

cuddle_status cud_sample_candidates(int *count, sampler *s, const sampling *how, const history *past, float *logits, cuddle_error *err)
{
    if (how->repetition_penalty != 1.0f) penalise(s, logits, how->repetition_penalty, past);
    suppress(logits, s->vocabulary, how->suppress, how->suppress_count);
    if (past->produced == 0) suppress(logits, s->vocabulary, how->begin_suppress, how->begin_suppress_count);

    if (s->allowed) suppress_others(logits, s->vocabulary, s->allowed);

    candidate *c = s->candidates;
    int n = 0;
    for (int32_t i = 0; i < s->vocabulary; i++) {
        if (isnan(logits[i])) return cud_fail(err, CUDDLE_E_FORMAT, "the model gave a logit that is not a number for token %d", (int)i);
        if (logits[i] > -INFINITY) c[n++] = (candidate){ i, logits[i], 0, 0 };
    }
    if (n == 0) return cud_fail(err, CUDDLE_E_FORMAT, "no token is left to choose from: all %d logits are minus infinity", s->vocabulary);
    if (how->greedy) {
        int best = 0;
        for (int i = 1; i < n; i++)
            if (c[i].logit > c[best].logit) best = i;
        c[0] = (candidate){ c[best].id, c[best].logit, 1, 0 };
        *count = 1;
        return CUDDLE_OK;
    }
    float largest = -INFINITY;
    for (int i = 0; i < n; i++) {
        c[i].logit = draw_scaled(c[i].logit, how->temperature);
        if (c[i].logit > largest) largest = c[i].logit;
    }
    for (int i = 0; i < n; i++) c[i].distance = draw_distance(c[i].logit, largest);
    if (how->top_k > 0 && how->top_k < n) n = keep_from(c, n, kth_largest(c, n, how->top_k));
    if (how->top_p < 1.0f) n = keep_top_p(c, n, how->top_p);
    if (how->min_p > 0.0f) n = keep_min_p(c, n, how->min_p);
    const double total = (double)add_weights(c, n);
    for (int i = 0; i < n; i++) c[i].probability = (float)((double)draw_weight(c[i].distance) / total);
    qsort(c, (size_t)n, sizeof *c, by_id);
    *count = n;
    return CUDDLE_OK;
}

cuddle_status cud_sample(int32_t *token, sampler *s, const sampling *how, const history *past, float *logits, cuddle_error *err)
{
    int n = 0;
    const cuddle_status status = cud_sample_candidates(&n, s, how, past, logits, err);
    if (status) return status;
    const candidate *c = s->candidates;
    const uint64_t target = draw_target(draw_bits(how->seed, (uint64_t)past->produced), add_weights(c, n));
    uint64_t sum = 0;
    int i = -1;
    do sum += draw_weight(c[++i].distance);
    while (sum <= target); /* which is less than all of them */
    *token = c[i].id;
    return CUDDLE_OK;
}
