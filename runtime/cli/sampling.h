/* How text is made and streamed: what the verbs that generate share. */
#ifndef CLI_SAMPLING_H
#define CLI_SAMPLING_H

#include "cli/options.h"
#include "cuddle.h"

typedef struct sampling { /* targets of sampling_rows */
    int max_tokens, top_k, ignore_eos;
    float temperature, top_p, min_p, repetition_penalty;
    option_seed seed;
    option_strings stop;
} sampling;
extern const option_row sampling_rows[];
#define SAMPLING_DEFAULT                                                                                                             \
    { .max_tokens = CUDDLE_UNSET_INT, .top_k = CUDDLE_UNSET_INT, .temperature = CUDDLE_UNSET_FLOAT, .top_p = CUDDLE_UNSET_FLOAT,     \
      .min_p = CUDDLE_UNSET_FLOAT, .repetition_penalty = CUDDLE_UNSET_FLOAT }

/* What is not among the rows keeps its default. */
void sampling_to_options(const sampling *own, cuddle_generation_options *options);
/* Draws a seed if none was given. Returns an exit code, 0 to go on. */
int sampling_seed(option_seed *seed);
/* Waits until the request ended and prints its text meanwhile if asked to. It is cancelled after a signal, or when nobody reads stdout. */
void sampling_stream(cuddle_request *request, int print);

#endif
