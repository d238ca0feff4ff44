/* What an encoding request asks for, and what came out. */
#ifndef CUD_ENGINE_ENCODE_H
#define CUD_ENGINE_ENCODE_H

#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct encode_job {
    cuddle_encode_output output;
    cuddle_pooling pooling;
    bool normalize;
    int32_t *types;     /* [tokens]; NULL: the model knows none */
    int32_t *positions; /* [tokens]; NULL: they are counted from 0 */
    int32_t *wanted;    /* [rows]: of LOGITS and HIDDEN, the tokens that rows are of; NULL: one row is of all tokens */
    float *values;      /* [rows, columns] */
    size_t rows, columns;
    size_t truncated;
    int first_output; /* [step] of the step's output rows */
} encode_job;

void cud_encode_job_free(encode_job *e); /* NULL is fine */

#endif
