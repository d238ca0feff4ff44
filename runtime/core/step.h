/* A step is one forward over a mixed batch: some sequences prefill a chunk, others decode one token. Rows are packed, never padded.
 *
 * Everything a kernel reads lies in one block of int32 at a fixed device address, laid out for the largest step, so that a step is
 * sent with one copy and a captured graph can be replayed. What the host needs to launch is kept beside it. */
#ifndef CUD_CORE_STEP_H
#define CUD_CORE_STEP_H

#include "core/kv.h"
#include "core/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CUD_MAX_AXES = 4 };

/* How a token is picked from one row of logits (transformers/generation/logits_process.py); 32-bit words, as the block's are. */
typedef struct sample_row {
    int32_t greedy;           /* 1: the largest logit; what follows up to counter does not matter, but for the penalty */
    float temperature;        /* > 0 */
    float top_p;              /* 1: off */
    float min_p;              /* 0: off */
    float repetition_penalty; /* 1: off */
    int32_t top_k;            /* 0: off */
    uint32_t seed[2];         /* low, high */
    uint32_t counter;         /* tokens picked before: which of the seed's draws this one is */
    int32_t seat;             /* row of the marks (ops.h); -1: nothing is marked */
} sample_row;

/* The largest step: what the block is laid out for. */
typedef struct step_caps {
    int tokens, sequences, outputs;
    int axes;                           /* of positions: 1, or 3 for multimodal rotary positions */
    bool types;                         /* tokens have types */
    int groups;                         /* KV groups */
    int table_width[CUD_MAX_KV_GROUPS]; /* pages of the longest sequence */
} step_caps;

typedef struct step {
    /* on the host, for this step */
    int tokens, sequences, outputs;
    int copies; /* of pages; at most one per sequence */
    int axes, groups;
    int max_query, max_kv; /* longest query and longest KV length of a sequence in this step */
    int table_width[CUD_MAX_KV_GROUPS];
    tensor embeds;         /* [tokens, hidden] instead of ids; rank 0: ids are used */

    /* in the block */
    int32_t *ids;         /* [tokens] */
    int32_t *positions;   /* [axes, caps.tokens]: row stride is position_stride */
    int32_t *starts;      /* [sequences + 1]: first row of each sequence, last entry = tokens */
    int32_t *kv_lengths;  /* [sequences]: positions that exist once this step has written its own; 0: padding, its rows see nothing */
    int32_t *adapters;    /* [sequences]: 0 = none */
    int32_t *output_rows; /* [outputs]: rows whose logits are wanted, ascending */
    int32_t *types;       /* [tokens]; NULL unless caps.types */
    int32_t *slots[CUD_MAX_KV_GROUPS];        /* [tokens]; -1: a row of padding, which leaves nothing in the cache */
    int32_t *block_table[CUD_MAX_KV_GROUPS];  /* [sequences, table_width] */
    sample_row *sampling; /* [outputs], for backends that pick tokens themselves */
    int32_t *picked;      /* [outputs]: written by the op `sample` */
    page_copy *page_copies; /* [copies]: in every group, before the rows are computed */
    int position_stride;
} step;

/* Bytes of the block; 0 if they do not fit size_t. */
size_t cud_step_bytes(const step_caps *caps);
/* Points the step's arrays into `block`, which has cud_step_bytes(caps) bytes. Called once for the host's copy and once for the
 * device's: the layouts are the same. A NULL block leaves every pointer NULL (recording). */
void cud_step_bind(step *s, const step_caps *caps, void *block);

#ifdef __cplusplus
}
#endif
#endif
