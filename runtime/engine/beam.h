/* Beam search, as transformers/generation/utils.py (_beam_search) has it, without drawing. The beams of a request are its choices: tasks that run with
 * everyone else's. A beam whose row has come in waits, and when the last one has, the best continuations of all become the next beams. A beam
 * that continues another's shares the whole pages of that one and copies the rest. */
#ifndef CUD_ENGINE_BEAM_H
#define CUD_ENGINE_BEAM_H

#include "engine/generation.h"

typedef struct continuation { /* of a beam by a token */
    float score; /* sum of the log-probabilities */
    int rank;    /* the beam's */
    int32_t token;
} continuation;

typedef struct hypothesis { /* that has ended */
    int32_t *ids; /* [max_tokens], those produced */
    int count;
    float score;
} hypothesis;

typedef struct beam_search {
    int beams, keep;  /* continuations of each beam that are looked at */
    int open;         /* beams there are: 1 before the first step */
    int missing;      /* rows that have not come in */
    int in_step;      /* beams whose part of the step is not over */
    bool improvable;  /* a running beam may beat what is finished, by transformers' heuristic; never again once it is not so */
    float *score;     /* [beams], by rank, descending */
    int *slot;        /* [beams], by rank: which choice of the request it is */
    bool *there;      /* [beams], by slot: its row has come in */
    int32_t *token;   /* [beams, keep], by slot: its likeliest continuations */
    float *logprob;   /* [beams, keep], theirs */
    continuation *best; /* [beams * keep] scratch */
    int32_t *ids;     /* [beams, max_tokens] scratch of whoever moves the beams */
    hypothesis *finished; /* [beams + 1], the best first */
    int finished_count;
} beam_search;

/* *out is for cud_beam_free(), also after a failure. */
cuddle_status cud_beam_new(beam_search **out, const generation *g, cuddle_error *err);
void cud_beam_free(beam_search *b);

/* Takes a row in: `logits` [vocabulary] is changed. */
cuddle_status cud_beam_take(beam_search *b, int slot, sampler *s, const sampling *how, const history *past, float *logits, cuddle_error *err);

/* When no row is missing: chooses. produced[slot] are the beams' tokens so far, `length` of them. True: the search goes on, and the beam in
 * slot i continues what the one in parent[i] was by token[i]; b->open slots are in use. */
bool cud_beam_choose(beam_search *b, const generation *g, int32_t *const *produced, int length, int *parent, int32_t *token);

#endif
