/* From a row of logits to a token. Definitions and order: transformers/generation/logits_process.py and utils.py
 * (_get_logits_processor): repetition penalty, suppressed tokens, suppressed first tokens, then for sampling temperature, top-k,
 * top-p, min-p. The arithmetic is that of core/draw.h, so that every backend that picks tokens itself picks the same. Draws come from a
 * counter, so that a seed gives the same tokens alone and in any batch. */
#ifndef CUD_ENGINE_SAMPLER_H
#define CUD_ENGINE_SAMPLER_H

#include "core/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct sampling {
    bool greedy;
    float temperature;        /* > 0 */
    int top_k;                /* 0: off */
    float top_p;              /* 1: off */
    float min_p;              /* 0: off */
    float repetition_penalty; /* 1: off */
    uint64_t seed;
    const int32_t *suppress, *begin_suppress; /* ids outside the vocabulary are ignored, as there is nothing to suppress */
    size_t suppress_count, begin_suppress_count;
} sampling;

typedef struct candidate {
    int32_t id;
    float logit, probability;
    uint32_t distance; /* draw.h */
} candidate;

/* Where the row comes from: the tokens so far, prompt included, and how many of them were produced. */
typedef struct history {
    const int32_t *ids;
    int count, produced;
} history;

typedef struct sampler { /* scratch for one row at a time */
    int vocabulary;
    candidate *candidates; /* [vocabulary] */
    uint8_t *seen;         /* [vocabulary], all zero between calls */
    const uint32_t *allowed; /* borrowed: bits of the tokens that a grammar allows; NULL: all */
} sampler;

cuddle_status cud_sampler_init(sampler *s, int vocabulary, cuddle_error *err);
void cud_sampler_free(sampler *s);

/* Picks the next token; `logits` [vocabulary] is changed. Fails if no logit is finite. */
cuddle_status cud_sample(int32_t *token, sampler *s, const sampling *how, const history *past, float *logits, cuddle_error *err);

/* What cud_sample() draws from: *count candidates in s->candidates, in id order, with probabilities that add up to 1; a greedy choice has
 * one. */
cuddle_status cud_sample_candidates(int *count, sampler *s, const sampling *how, const history *past, float *logits, cuddle_error *err);

/* Uniform in [0, 1): draw_bits() / 2^24; the counter is the position of the token in its output. */
float cud_uniform(uint64_t seed, uint64_t counter);

/* log(sum(exp(logits))). */
double cud_log_sum_exp(const float *logits, int n);

/* The `n` largest logits and their tokens, descending, ties by lower id. n <= 64. */
void cud_top_logits(int32_t *ids, float *values, int n, const float *logits, int vocabulary);

#endif
