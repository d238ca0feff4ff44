/* A checkpoint of tests/encoders: the encoder, one of its heads, and what transformers computes with them (scripts/make_encoder_fixtures.py). */
#ifndef CUD_TESTS_ENCODER_CASE_H
#define CUD_TESTS_ENCODER_CASE_H

#include "engine_support.h"

enum { ENCODER_INPUTS = 3 };
#define ENCODER_TOLERANCE 1e-4 /* of the largest value of an output */

typedef struct encoder_case {
    cuddle_safetensors *expected;
    int32_t *ids[ENCODER_INPUTS], *types[ENCODER_INPUTS]; /* types: NULL if the family has none */
    size_t count[ENCODER_INPUTS];
} encoder_case;

typedef struct encoder_output { /* a tensor of expected.safetensors */
    float *values;
    size_t rows, columns;
} encoder_output;

/* Writes a checkpoint into `dir`: the encoder of tests/encoders/`name`, its tensors called `prefix` and what they are called there, with the head of
 * class `architecture`; NULL: without one. `old`: norms are called gamma and beta; of Nomic BERT, all is called as it
 * once was. */
void encoder_write(const char *dir, const char *name, const char *architecture, const char *prefix, bool old);
void encoder_case_read(encoder_case *c, const char *name);
void encoder_case_free(encoder_case *c);
/* What `kind` ("hidden", "pooler", a class) is for input i; false if there is none. Free values. */
bool encoder_expected(encoder_output *out, const encoder_case *c, const char *kind, int i);
/* The largest absolute value of a kind, over all inputs. */
double encoder_largest(const encoder_case *c, const char *kind);

#endif
