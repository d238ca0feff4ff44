/* Picking a token from one row of logits, in one version per instruction set. */
#ifndef CUD_CPU_SAMPLE_KERNELS_H
#define CUD_CPU_SAMPLE_KERNELS_H

#include "core/ops.h"

enum { SAMPLE_BLOCK = 128 }; /* tokens that are looked at together; a whole number of any vectors */

/* For one row at a time. Blocks in which there is something to draw follow one another in distance and weight. */
typedef struct sample_scratch {
    float *most;      /* [blocks]: the largest logit of each */
    int32_t *drawn;   /* [blocks]: the blocks in which there is something to draw, ascending */
    uint64_t *weight; /* [blocks, SAMPLE_BLOCK]: draw.h */
    uint32_t *distance; /* the same */
} sample_scratch;

/* The token, or as the op `sample` says why there is none. The row's marks have been seen to. */
typedef int32_t (*sample_fn)(const sample_scratch *s, const float *logits, int64_t vocabulary, const sample_row *row);

int32_t cud_cpu_sample_portable(const sample_scratch *s, const float *logits, int64_t vocabulary, const sample_row *row);
int32_t cud_cpu_sample_avx2(const sample_scratch *s, const float *logits, int64_t vocabulary, const sample_row *row);
int32_t cud_cpu_sample_avx512(const sample_scratch *s, const float *logits, int64_t vocabulary, const sample_row *row);

#endif
