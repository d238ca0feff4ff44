/* A token from a row of logits; included once per instruction set with SAMPLE_ROW naming the function. What is to be picked is what
 * runtime/engine/sampler.c picks; core/draw.h has the arithmetic. Plain loops over a block are written so that the compiler makes vectors
 * of them.
 *
 * One pass over the row finds the largest logit of each block. After that only blocks are looked at in which something can be drawn: with
 * top-k that is a few. Each of their tokens is weighed once; what top-k and top-p keep is found by radix select. */
#include "sample_kernels.h"
#include "vec.h"

#include "core/draw.h"

#include <string.h>

enum { BINS = 2048, FIRST_SHIFT = 21, GROUP = 64 /* codes that are passed over together */ };

static int64_t block_length(int64_t block, int64_t n) { return n - block * SAMPLE_BLOCK < SAMPLE_BLOCK ? n - block * SAMPLE_BLOCK : SAMPLE_BLOCK; }

/* Whole numbers that are ordered as logits are, and what is no number outside of them; the largest of them is found in any order. */
static int32_t rank_of(float v)
{
    int32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits ^ (bits >> 31 & INT32_MAX);
}

static float of_rank(int32_t rank)
{
    const int32_t bits = rank ^ (rank >> 31 & INT32_MAX);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The largest of each block and of all; *numbers: no logit is a NaN. */
static float survey(float *most, const float *x, int64_t n, bool *numbers)
{
    int32_t largest = INT32_MIN, smallest = INT32_MAX;
    for (int64_t b = 0; b * SAMPLE_BLOCK < n; b++) {
        const float *v = x + b * SAMPLE_BLOCK;
        const int64_t length = block_length(b, n);
        int32_t high = INT32_MIN;
        for (int64_t i = 0; i < length; i++) {
            const int32_t rank = rank_of(v[i]);
            high = rank > high ? rank : high;
            smallest = rank < smallest ? rank : smallest;
        }
        most[b] = of_rank(high);
        if (high > largest) largest = high;
    }
    *numbers = smallest >= rank_of(-INFINITY) && largest <= rank_of(INFINITY);
    return of_rank(largest);
}

/* Items have a code and a value, 1 if `value` is NULL. The largest code at which the values of all items from the largest code down to it
 * add up to more than the target, which is less than what all of them add up to; *above: what larger codes add up to. Found digit by digit;
 * `first`: the sums by the first of them, or NULL. */
static uint32_t select_code(const uint32_t *code, const uint64_t *value, int64_t n, const uint64_t *first, uint64_t target, uint64_t *above)
{
    uint32_t found = 0, known = 0; /* digits */
    *above = 0;
    for (int shift = FIRST_SHIFT; shift >= 0; shift = shift == FIRST_SHIFT ? 10 : shift - 10) {
        /* bits 31..21, 20..10, 10..0: bit 10 is known by then */
        uint64_t bin[BINS] = { 0 };
        if (first && !known) memcpy(bin, first, sizeof bin);
        for (int64_t at = 0; at < n && (known || !first); at += GROUP) {
            const int64_t end = at + GROUP < n ? at + GROUP : n;
            uint32_t any = known == 0;
            for (int64_t i = at; i < end && known; i++) any |= (code[i] & known) == found;
            if (!any) continue;
            for (int64_t i = at; i < end; i++)
                if ((code[i] & known) == found) bin[code[i] >> shift & (BINS - 1)] += value ? value[i] : 1;
        }
        uint32_t digit = BINS - 1;
        while (*above + bin[digit] <= target) *above += bin[digit--];
        found |= digit << shift;
        known = UINT32_MAX << shift;
    }
    return found;
}

static uint32_t code_of(float v) { return (uint32_t)rank_of(v) ^ 0x80000000u; }
static float of_code(uint32_t code) { return of_rank((int32_t)(code ^ 0x80000000u)); }

/* The k-th largest logit. The k-th largest of the blocks' largest ones cannot be above it, so that few blocks can have it. */
static float kth_largest(const sample_scratch *s, const float *x, int64_t n, int64_t k)
{
    const int64_t blocks = (n + SAMPLE_BLOCK - 1) / SAMPLE_BLOCK;
    uint32_t *code = s->distance;
    uint64_t above;
    float bound = -INFINITY;
    if (k <= blocks) {
        for (int64_t b = 0; b < blocks; b++) code[b] = code_of(s->most[b]);
        bound = of_code(select_code(code, NULL, blocks, NULL, (uint64_t)k - 1, &above));
    }
    int64_t count = 0;
    for (int64_t b = 0; b < blocks; b++) {
        if (!(s->most[b] >= bound)) continue;
        const float *v = x + b * SAMPLE_BLOCK;
        const int64_t length = block_length(b, n);
        for (int64_t i = 0; i < length; i++) code[count + i] = code_of(v[i]);
        count += length;
    }
    return of_code(select_code(code, NULL, count, NULL, (uint64_t)k - 1, &above));
}

/* draw_distance() of a block's scaled logits; those below the threshold are as far as those that cannot be drawn. */
static void measure(uint32_t *distance, const float *x, float temperature, float threshold, float largest)
{
    const vf most = v_set1(DRAW_MOST), least = v_set1(-DRAW_MOST), never = v_set1(-INFINITY);
    for (int i = 0; i < SAMPLE_BLOCK; i += VL) {
        const vf logit = v_load(x + i), finite = v_min(most, v_max(least, v_div(logit, v_set1(temperature))));
        const vf scaled = v_select(v_lt(never, logit), finite, logit);
        const vf units = v_mul(v_sub(v_set1(largest), scaled), v_set1(0x1p27f)); /* 32 are 2^32, which is DRAW_FAR */
        v_store_whole(distance + i, v_select(v_lt(scaled, v_set1(threshold)), v_set1(INFINITY), units));
    }
}

/* draw_weight() of each of a block; returns the sum. */
static uint64_t weigh(uint64_t *out, const uint32_t *distance)
{
    vw total = w_set1(0);
    for (int i = 0; i < SAMPLE_BLOCK; i += WL) {
        const vw exponent = w_times(w_load_u32(distance + i), w_set1(DRAW_LOG2_E)), f = w_right(exponent, 26); /* its lower half */
        vw p = w_set1(DRAW_TERM_10);
#define STEP(c) p = w_sub(w_set1(c), w_right(w_times(f, p), 32));
        DRAW_TERMS(STEP)
#undef STEP
        const vw power = w_sub(w_set1((uint64_t)1 << 32), w_right(w_times(f, p), 32));
        const vw w = w_right_each(w_left(power, 8), w_right(exponent, 58)); /* 0 of DRAW_FAR: 2^40 / 2^46 */
        w_store(out + i, w);
        total = w_add(total, w);
    }
    uint64_t lane[WL], sum = 0;
    w_store(lane, total);
    for (int k = 0; k < WL; k++) sum += lane[k];
    return sum;
}

/* Weighs what can be drawn. Returns the number of blocks; *total is the sum, `first` becomes the sums by the distance's first digit, unless it
 * is NULL: while a block is at hand that costs least. */
static int64_t weigh_blocks(const sample_scratch *s, const float *x, int64_t n, float temperature, float threshold, float largest, uint64_t *total,
                            uint64_t *first)
{
    int64_t count = 0;
    *total = 0;
    for (int64_t b = 0; b * SAMPLE_BLOCK < n; b++) {
        const float nearest = draw_scaled(s->most[b], temperature);
        if (!(nearest >= threshold) || draw_weight(draw_distance(nearest, largest)) == 0) continue;
        const float *v = x + b * SAMPLE_BLOCK;
        float padded[SAMPLE_BLOCK];
        const int64_t length = block_length(b, n);
        if (length < SAMPLE_BLOCK) {
            for (int64_t i = 0; i < SAMPLE_BLOCK; i++) padded[i] = i < length ? v[i] : -INFINITY;
            v = padded;
        }
        uint32_t *distance = s->distance + count * SAMPLE_BLOCK;
        uint64_t *weights = s->weight + count * SAMPLE_BLOCK;
        measure(distance, v, temperature, threshold, largest);
        *total += weigh(weights, distance);
        for (int i = 0; i < SAMPLE_BLOCK && first; i++) first[distance[i] >> FIRST_SHIFT] += weights[i];
        s->drawn[count++] = (int32_t)b;
    }
    return count;
}

/* top-p. Returns a distance: only tokens that are nearer stay, and *total becomes their sum. Of the equally likely ones at the border those
 * that go are put out of reach. */
static uint32_t nearer_than(const sample_scratch *s, int64_t n, const uint64_t *first, float top_p, uint64_t *total)
{
    const uint64_t drop = draw_drop(top_p, *total);
    uint64_t dropped;
    const uint32_t border = select_code(s->distance, s->weight, n, first, drop, &dropped);
    uint64_t gone = (drop - dropped) / draw_weight(border);
    *total -= dropped + gone * draw_weight(border);
    for (int64_t i = n - 1; gone > 0; i--) {
        if (s->distance[i] != border) continue;
        s->distance[i] = DRAW_FAR;
        gone--;
    }
    return border + 1; /* one that is DRAW_FAR has no weight and cannot be a border */
}

/* min-p: the smallest distance whose weight is less than `least`. */
static uint32_t too_light(uint64_t least)
{
    uint32_t heavy = 0, light = DRAW_FAR;
    while (light - heavy > 1) {
        const uint32_t middle = heavy + (light - heavy) / 2;
        if (draw_weight(middle) >= least) heavy = middle;
        else light = middle;
    }
    return light;
}

static uint64_t sum_nearer(const sample_scratch *s, int64_t block, uint32_t limit)
{
    const uint32_t *distance = s->distance + block * SAMPLE_BLOCK;
    const uint64_t *weights = s->weight + block * SAMPLE_BLOCK;
    uint64_t sum = 0;
    for (int i = 0; i < SAMPLE_BLOCK; i++) sum += distance[i] < limit ? weights[i] : 0;
    return sum;
}

static int32_t draw_token(const sample_scratch *s, const float *x, int64_t n, float most, const sample_row *row)
{
    const float largest = draw_scaled(most, row->temperature);
    float threshold = -DRAW_MOST;
    if (row->top_k > 0 && row->top_k < n) threshold = draw_scaled(kth_largest(s, x, n, row->top_k), row->temperature);
    uint64_t total, first[BINS] = { 0 };
    const int64_t blocks = weigh_blocks(s, x, n, row->temperature, threshold, largest, &total, row->top_p < 1.0f ? first : NULL);
    uint32_t limit = DRAW_FAR;
    if (row->top_p < 1.0f) limit = nearer_than(s, blocks * SAMPLE_BLOCK, first, row->top_p, &total);
    if (row->min_p > 0.0f) {
        const uint32_t light = too_light(draw_least(row->min_p));
        if (light < limit) limit = light;
        total = 0;
        for (int64_t b = 0; b < blocks; b++) total += sum_nearer(s, b, limit);
    }
    const uint64_t target = draw_target(draw_bits((uint64_t)row->seed[1] << 32 | row->seed[0], row->counter), total);
    uint64_t sum = 0, more;
    int64_t b = 0;
    for (; sum + (more = sum_nearer(s, b, limit)) <= target; b++) sum += more; /* the target is less than all of them */
    const uint32_t *distance = s->distance + b * SAMPLE_BLOCK;
    const uint64_t *weights = s->weight + b * SAMPLE_BLOCK;
    int i = -1;
    do {
        i++;
        sum += distance[i] < limit ? weights[i] : 0;
    } while (sum <= target);
    return s->drawn[b] * SAMPLE_BLOCK + i;
}

int32_t SAMPLE_ROW(const sample_scratch *s, const float *logits, int64_t vocabulary, const sample_row *row)
{
    bool numbers;
    const float largest = survey(s->most, logits, vocabulary, &numbers);
    int32_t i = 0;
    if (!numbers) {
        while (!isnan(logits[i])) i++;
        return ~i;
    }
    if (!(largest > -INFINITY)) return SAMPLE_NONE;
    if (!row->greedy) return draw_token(s, logits, vocabulary, largest, row);
    int32_t b = 0;
    while (s->most[b] < largest) b++;
    for (i = b * SAMPLE_BLOCK; logits[i] < largest;) i++;
    return i;
}
