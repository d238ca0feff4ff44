/* Runs steps of a model without an engine: tests say which rows of which sequences a step has. */
#ifndef CUD_TESTS_MODEL_RUNNER_H
#define CUD_TESTS_MODEL_RUNNER_H

#include "cpu/cpu.h"
#include "models/model.h"
#include "support.h"

enum { RUNNER_SEQUENCES = 64, RUNNER_BATCH = 64 };

typedef struct model_runner {
    backend *b;
    model *m;
    step host, device;
    void *block;
    size_t peak; /* workspace of the last step */
} model_runner;

/* A sequence: its ids, how many positions are in the cache, and its pages. */
typedef struct runner_sequence {
    const int32_t *ids;
    int computed;
    int32_t pages[8];
} runner_sequence;

typedef struct runner_part { /* `rows` rows of `sequence`, all of them output rows */
    runner_sequence *sequence;
    int rows;
} runner_part;

/* Opens and loads the checkpoint in `dir` (a folder of tests/). compute: CUDDLE_DTYPE_COUNT for the checkpoint's. */
void runner_open(model_runner *r, const char *dir, dtype compute, bool map, int threads, bool deterministic);
/* With a cache of another type, on two threads. */
void runner_open_cache(model_runner *r, const char *dir, dtype compute, dtype kv);
/* The same on any backend, which the runner takes over. */
void runner_open_on(model_runner *r, backend *b, const char *dir, dtype compute, bool map, bool deterministic);
void runner_close(model_runner *r);
/* Runs one step; logits [all rows, vocabulary] is the caller's. Advances `computed`. */
void runner_step(model_runner *r, runner_part *parts, int count, float *logits);

#endif
