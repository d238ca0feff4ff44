#include "engine/sampler.h"

#include "core/draw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

cuddle_status cud_sampler_init(sampler *s, int vocabulary, cuddle_error *err)
{
    *s = (sampler){ .vocabulary = vocabulary };
    s->candidates = malloc((size_t)vocabulary * sizeof *s->candidates);
    s->tally = calloc((size_t)vocabulary, sizeof *s->tally);
    if (s->candidates && s->tally) return CUDDLE_OK;
    cud_sampler_free(s);
    return cud_nomem(err, (size_t)vocabulary * (sizeof *s->candidates + sizeof *s->tally), "the sampler");
}

void cud_sampler_free(sampler *s)
{
    free(s->candidates);
    free(s->tally);
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

static void suppress_others(float *logits, int vocabulary, const uint32_t *allowed)
{
    for (int32_t i = 0; i < vocabulary; i++)
        if (!(allowed[i / 32] >> i % 32 & 1)) logits[i] = -INFINITY;
}

bool cud_is_likeliest(const float *logits, int vocabulary, int32_t token)
{
    for (int i = 0; i < vocabulary; i++)
        if (logits[i] > logits[token] || (i < token && logits[i] >= logits[token])) return false;
    return true;
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

/* Most of what keeps some candidates leaves them in order. */
static void sort_by_id(candidate *c, int n)
{
    for (int i = 1; i < n; i++) {
        if (c[i - 1].id < c[i].id) continue;
        qsort(c, (size_t)n, sizeof *c, by_id);
        return;
    }
}

/* The k-th largest logit, by quickselect, which mixes them. */
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

/* Not before it is known how many there are: a weight is the dearest part of a choice. */
static void weigh(candidate *c, int n)
{
    for (int i = 0; i < n; i++) c[i].weight = draw_weight(c[i].distance);
}

static uint64_t add_weights(const candidate *c, int n)
{
    uint64_t total = 0;
    for (int i = 0; i < n; i++) total += c[i].weight;
    return total;
}

/* TopPLogitsWarper, see draw_drop(). The distance at which tokens begin to go is found digit by digit, from the farthest on; of those that are that
 * far the last ones go: they come in id order. */
static int keep_top_p(candidate *c, int n, float top_p)
{
    const uint64_t drop = draw_drop(top_p, add_weights(c, n));
    uint32_t border = 0;
    uint64_t dropped = 0; /* what is farther than all that begin with the border's digits */
    for (int shift = 24; shift >= 0; shift -= 8) {
        uint64_t digit[256] = { 0 };
        for (int i = 0; i < n; i++)
            if (shift == 24 || c[i].distance >> (shift + 8) == border) digit[c[i].distance >> shift & 255] += c[i].weight;
        int d = 255;
        while (d > 0 && dropped + digit[d] <= drop) dropped += digit[d--];
        border = border << 8 | (uint32_t)d;
    }
    uint64_t stay = 0;
    for (int i = 0; i < n; i++) stay += c[i].distance == border;
    stay -= (drop - dropped) / draw_weight(border); /* fewer than all: they weigh more than what may still go */
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (c[i].distance > border || (c[i].distance == border && stay == 0)) continue;
        stay -= c[i].distance == border;
        c[kept++] = c[i];
    }
    return kept;
}

static int keep_min_p(candidate *c, int n, float min_p)
{
    const uint64_t least = draw_least(min_p);
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (c[i].weight >= least) c[kept++] = c[i];
    return kept;
}

/* TopHLogitsWarper: of the TOP_H likeliest, from the likeliest on as many as hold that share of their entropy, one at least. An entropy is
 * the sum of p (distance + log of all weights). */
static int keep_top_h(candidate *c, int n, float top_h)
{
    enum { TOP_H = 100 };
    if (n > TOP_H) n = keep_from(c, n, kth_largest(c, n, TOP_H));
    qsort(c, (size_t)n, sizeof *c, by_likelihood_descending);
    if (n > TOP_H) n = TOP_H;
    weigh(c, n);
    const double log_total = log((double)add_weights(c, n) * 0x1p-40);
    double entropy = 0, sum = 0;
    for (int i = 0; i < n; i++) entropy += (double)c[i].weight * ((double)c[i].distance * 0x1p-27 + log_total);
    int kept = 0;
    for (; kept < n && c[kept].weight > 0; kept++) {
        sum += (double)c[kept].weight * ((double)c[kept].distance * 0x1p-27 + log_total);
        if (kept > 0 && sum > (double)top_h * entropy) break;
    }
    return kept;
}

__extension__ typedef unsigned __int128 wide;

/* The mean of the distances, which is the entropy less the log of all weights; exact up to the last unit, in any order of adding. */
static uint32_t mean_distance(const candidate *c, int n)
{
    wide sum = 0;
    for (int i = 0; i < n; i++) sum += (wide)c[i].weight * c[i].distance;
    return (uint32_t)(sum / add_weights(c, n));
}

static uint32_t from_mean(const candidate *c, uint32_t mean) { return c->distance > mean ? c->distance - mean : mean - c->distance; }

/* TypicalLogitsWarper: those nearest to the mean, as many as add up to `mass`, and all as near as the last of them. The border is found
 * digit by digit. */
static int keep_typical(candidate *c, int n, float mass)
{
    const uint32_t mean = mean_distance(c, n);
    const double target = (double)mass * (double)add_weights(c, n);
    uint32_t border = 0;
    uint64_t before = 0; /* what is nearer than all that begin with the border's digits */
    for (int shift = 24; shift >= 0; shift -= 8) {
        uint64_t digit[256] = { 0 };
        for (int i = 0; i < n; i++) {
            const uint32_t key = from_mean(&c[i], mean);
            if (shift == 24 || key >> (shift + 8) == border) digit[key >> shift & 255] += c[i].weight;
        }
        int d = 0;
        while (d < 255 && (double)(before + digit[d]) < target) before += digit[d++];
        border = border << 8 | (uint32_t)d;
    }
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (from_mean(&c[i], mean) <= border) c[kept++] = c[i];
    return kept;
}

/* Those of at least this weight, and the likeliest. */
static int keep_likely(candidate *c, int n, double least)
{
    uint32_t nearest = DRAW_FAR;
    for (int i = 0; i < n; i++)
        if (c[i].distance < nearest) nearest = c[i].distance;
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (c[i].distance == nearest || (double)c[i].weight >= least) c[kept++] = c[i];
    return kept;
}

/* EpsilonLogitsWarper: a probability is a weight's share of all. */
static double epsilon_weight(const candidate *c, int n, float epsilon) { return (double)epsilon * (double)add_weights(c, n); }

/* EtaLogitsWarper: at least min(eta, sqrt(eta) exp(-entropy)), where exp(-entropy) is the weight at the mean distance, as a share of all. */
static double eta_weight(const candidate *c, int n, float eta)
{
    const double most = (double)eta * (double)add_weights(c, n), flat = sqrt((double)eta) * (double)draw_weight(mean_distance(c, n));
    return most < flat ? most : flat;
}

static bool is_share(float v) { return v > 0.0f && v < 1.0f; }

/* What transformers calls warpers, behind temperature. */
static int keep_some(candidate *c, int n, const sampling *how)
{
    if (how->top_h > 0.0f) n = keep_top_h(c, n, how->top_h);
    if (how->top_k > 0 && how->top_k < n) n = keep_from(c, n, kth_largest(c, n, how->top_k));
    sort_by_id(c, n); /* looking for the k-th has mixed them */
    weigh(c, n);
    if (how->top_p < 1.0f) n = keep_top_p(c, n, how->top_p);
    if (how->min_p > 0.0f) n = keep_min_p(c, n, how->min_p);
    if (is_share(how->typical_p)) n = keep_typical(c, n, how->typical_p);
    if (is_share(how->epsilon_cutoff)) n = keep_likely(c, n, epsilon_weight(c, n, how->epsilon_cutoff));
    if (is_share(how->eta_cutoff)) n = keep_likely(c, n, eta_weight(c, n, how->eta_cutoff));
    return n;
}

static cuddle_status no_number(int32_t token, cuddle_error *err)
{
    return cud_fail(err, CUDDLE_E_FORMAT, "the model gave a logit that is not a number for token %d", (int)token);
}

static cuddle_status none_left(int vocabulary, cuddle_error *err)
{
    return cud_fail(err, CUDDLE_E_FORMAT, "no token is left to choose from: all %d logits are minus infinity", vocabulary);
}

/* The first of the largest logits. Lanes, so that several are compared at once. */
static cuddle_status choose_greedily(candidate *out, const float *logits, int vocabulary, cuddle_error *err)
{
    enum { LANES = 16 };
    float most[LANES];
    uint32_t numbers[LANES]; /* all ones while each was one */
    for (int k = 0; k < LANES; k++) most[k] = -INFINITY, numbers[k] = UINT32_MAX;
    const int whole = vocabulary / LANES * LANES;
    for (int i = 0; i < whole; i += LANES)
        for (int k = 0; k < LANES; k++) {
            const float l = logits[i + k];
            most[k] = l > most[k] ? l : most[k];
            numbers[k] &= l <= INFINITY ? UINT32_MAX : 0;
        }
    float largest = -INFINITY;
    bool all = true;
    for (int i = whole; i < vocabulary; i++) {
        if (logits[i] > largest) largest = logits[i];
        all = all && !isnan(logits[i]);
    }
    for (int k = 0; k < LANES; k++) {
        if (most[k] > largest) largest = most[k];
        all = all && numbers[k];
    }
    int32_t i = 0;
    if (!all) {
        while (!isnan(logits[i])) i++;
        return no_number(i, err);
    }
    if (!(largest > -INFINITY)) return none_left(vocabulary, err);
    while (logits[i] < largest) i++;
    *out = (candidate){ .id = i, .logit = largest, .weight = DRAW_ONE };
    return CUDDLE_OK;
}

/* What may be drawn, with weights, in id order. */
static cuddle_status candidates(int *count, sampler *s, const sampling *how, const history *past, float *logits, cuddle_error *err)
{
    cud_adjust_logits(s, how, past, logits);
    if (s->allowed) suppress_others(logits, s->vocabulary, s->allowed);
    candidate *c = s->candidates;
    *count = 1;
    if (how->greedy) return choose_greedily(c, logits, s->vocabulary, err);
    int n = 0;
    float largest = -INFINITY;
    for (int32_t i = 0; i < s->vocabulary; i++) {
        if (isnan(logits[i])) return no_number(i, err);
        if (!(logits[i] > -INFINITY)) continue;
        c[n] = (candidate){ .id = i, .logit = draw_scaled(logits[i], how->temperature) };
        if (c[n].logit > largest) largest = c[n].logit;
        n++;
    }
    if (n == 0) return none_left(s->vocabulary, err);
    for (int i = 0; i < n; i++) c[i].distance = draw_distance(c[i].logit, largest);
    n = keep_some(c, n, how);
    sort_by_id(c, n);
    *count = n;
    return CUDDLE_OK;
}

cuddle_status cud_sample_candidates(int *count, sampler *s, const sampling *how, const history *past, float *logits, cuddle_error *err)
{
    const cuddle_status status = candidates(count, s, how, past, logits, err);
    if (status) return status;
    candidate *c = s->candidates;
    const double total = (double)add_weights(c, *count);
    for (int i = 0; i < *count; i++) c[i].probability = (float)((double)c[i].weight / total);
    return CUDDLE_OK;
}

cuddle_status cud_sample(int32_t *token, sampler *s, const sampling *how, const history *past, float *logits, cuddle_error *err)
{
    int n = 0;
    const cuddle_status status = candidates(&n, s, how, past, logits, err);
    if (status) return status;
    const candidate *c = s->candidates;
    const uint64_t target = draw_target(draw_bits(how->seed, (uint64_t)past->produced), add_weights(c, n));
    uint64_t sum = 0;
    int i = -1;
    do sum += c[++i].weight;
    while (sum <= target); /* which is less than all of them */
    *token = c[i].id;
    return CUDDLE_OK;
}
