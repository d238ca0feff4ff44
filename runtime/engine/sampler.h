/* From a row of logits to a token. Definitions and order: transformers/generation/logits_process.py and utils.py
 * (_get_logits_processor). First what changes logits (adjust.c):
 *
 *     sequence bias, repetition penalty, frequency and presence penalty, no repeated n-grams, bad words, no end before min_length and
 *     min_tokens, allowed tokens, forced tokens, invalid values, length decay, suppressed tokens, suppressed first tokens
 *
 * then for sampling what chooses among tokens (sampler.c): temperature, top-h, top-k, top-p, min-p, typical-p, epsilon and eta cut-off.
 * Frequency and presence penalty are not transformers': they are those of OpenAI's API as vLLM defines them, on produced tokens alone.
 *
 * The arithmetic of drawing is that of core/draw.h, so that every backend that picks tokens itself picks the same. Draws come from a
 * counter, so that a seed gives the same tokens alone and in any batch. */
#ifndef CUD_ENGINE_SAMPLER_H
#define CUD_ENGINE_SAMPLER_H

#include "core/status.h"
#include "engine/sequences.h"

#include <stdbool.h>
#include <stdint.h>

enum { CUD_MAX_NGRAM = 1024 };

typedef struct sampling { /* zero is off wherever it has no other meaning */
    bool greedy;
    float temperature;        /* > 0 */
    int top_k;                /* 0: off */
    float top_p;              /* 1: off */
    float min_p;              /* 0: off */
    float repetition_penalty; /* 1: off */
    uint64_t seed;
    const int32_t *suppress, *begin_suppress; /* ids outside the vocabulary are ignored, as there is nothing to suppress */
    size_t suppress_count, begin_suppress_count;

    float typical_p;                     /* 0 or 1: off */
    float epsilon_cutoff, eta_cutoff;    /* 0 or 1: off */
    float top_h;                         /* 0: off */
    float frequency_penalty, presence_penalty;
    int no_repeat_ngram;                 /* at most CUD_MAX_NGRAM */
    sequence_set bias, bad_words;        /* sealed */
    const int32_t *ends;                 /* tokens that end the output ... */
    size_t end_count;
    int min_length, min_tokens;          /* ... but not before so many, with the prompt or without */
    const uint32_t *allowed;             /* the only tokens that may come, bit id % 32 of word id / 32; NULL: all */
    const int32_t *forced_bos, *forced_eos; /* after a single token; as the last one */
    size_t forced_bos_count, forced_eos_count;
    bool remove_invalid;                 /* logits that are no finite numbers become some */
    int decay_start;                     /* length decay: beyond so many tokens ... */
    float decay_factor;                  /* ... an end becomes likelier by this, again and again; 0 or 1: off */
} sampling;

typedef struct candidate {
    int32_t id;
    float logit, probability;
    uint32_t distance; /* draw.h */
    uint64_t weight;   /* likewise */
} candidate;

/* Where the row comes from: the tokens so far, prompt included, and how many of them were produced. */
typedef struct history {
    const int32_t *ids;
    int count, produced;
    bool last; /* no further token will come after the one to pick */
} history;

typedef struct sampler { /* scratch for one row at a time */
    int vocabulary;
    candidate *candidates; /* [vocabulary] */
    float *tally;          /* [vocabulary], all zero between calls */
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

/* The `n` largest logits and their tokens, descending, ties by lower id; of a smaller vocabulary all. */
void cud_top_logits(int32_t *ids, float *values, int n, const float *logits, int vocabulary);

/* Is the token what a greedy choice would be: the first of the largest? */
bool cud_is_likeliest(const float *logits, int vocabulary, int32_t token);

/* ---- adjust.c ---- */

/* Everything of `how` that comes before temperature. */
void cud_adjust_logits(sampler *s, const sampling *how, const history *past, float *logits);

/* Tokens that may not be picked after `past` whatever their logits are, as far as the device can be told them in advance. */
enum { CUD_BAN_BEGIN = 1 /* begin_suppress */, CUD_BAN_ENDS = 2 /* ends */ };
unsigned cud_bans(const sampling *how, const history *past);
/* What picking a token needs beyond what a device does: greed, temperature, top-k, top-p, min-p, repetition penalty and banned tokens. */
typedef enum host_part {
    HOST_NOTHING,
    HOST_ADJUSTS, /* the logits, after which a device can pick */
    HOST_PICKS
} host_part;
host_part cud_sampling_needs_host(const sampling *how, const history *past);

#endif
