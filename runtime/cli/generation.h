/* Options of verbs that generate: how tokens are chosen. */
#ifndef CLI_GENERATION_H
#define CLI_GENERATION_H

#include "cli/options.h"
#include "cuddle.h"

typedef struct generation_settings {
    int max_tokens, min_tokens, top_k, ignore_eos, no_repeat_ngram, forced_bos, forced_eos;
    float temperature, top_p, min_p, repetition_penalty, frequency_penalty, presence_penalty, typical_p, epsilon_cutoff, eta_cutoff, top_h;
    option_seed seed;
    option_strings stop, logit_bias, bad_words, suppress, begin_suppress, allowed;
    const char *length_decay;
} generation_settings;

#define GENERATION_DEFAULT                                                                                                              \
    { .max_tokens = CUDDLE_UNSET_INT, .min_tokens = CUDDLE_UNSET_INT, .top_k = CUDDLE_UNSET_INT, .no_repeat_ngram = CUDDLE_UNSET_INT,   \
      .forced_bos = CUDDLE_UNSET_INT, .forced_eos = CUDDLE_UNSET_INT, .temperature = CUDDLE_UNSET_FLOAT, .top_p = CUDDLE_UNSET_FLOAT,   \
      .min_p = CUDDLE_UNSET_FLOAT, .repetition_penalty = CUDDLE_UNSET_FLOAT, .typical_p = CUDDLE_UNSET_FLOAT,                           \
      .epsilon_cutoff = CUDDLE_UNSET_FLOAT, .eta_cutoff = CUDDLE_UNSET_FLOAT, .top_h = CUDDLE_UNSET_FLOAT }

extern const option_row generation_rows[];

typedef struct token_lists { /* what the lists of ids among the settings say */
    int32_t *ids;
    cuddle_sequence_bias *biases, *bad_words;
} token_lists;

/* Fills the options. Returns 0, or an exit code after a sentence. The settings, and `lists` until generation_lists_free(), stay in use. */
int generation_options_fill(cuddle_generation_options *out, token_lists *lists, const command *c, const generation_settings *own);
void generation_lists_free(token_lists *lists);
/* Gives the settings a random seed if they have none. */
int generation_seed(option_seed *seed);
/* Waits until the request ended and prints its text meanwhile if asked to. It is cancelled after a signal, or when nobody reads stdout. */
void generation_stream(cuddle_request *request, int print);

#endif
