/* What a request asks for, once generation_config.json and the defaults have been filled in. */
#ifndef CUD_ENGINE_GENERATION_H
#define CUD_ENGINE_GENERATION_H

#include "core/log.h"
#include "engine/sampler.h"
#include "format/json.h"
#include "grammar/grammar.h"
#include "models/spec.h"

enum { CUD_MAX_SUPPRESS = 4096, CUD_MAX_TOP_LOGPROBS = 20, CUD_MAX_STOPS = 64, CUD_MAX_STOP_BYTES = 4096 };

/* Bounds of options and of settings in the file. */
#define CUD_LEAST_SHARE 1e-6 /* of probability or entropy, where 0 has no meaning */
#define CUD_LEAST_FACTOR 1e-4
#define CUD_MOST_FACTOR 1e4
#define CUD_MAX_BIAS 1e9
#define CUD_MAX_PENALTY 100.0

/* generation_config.json: transformers/generation/configuration_utils.py. */
typedef struct generation_config {
    bool do_sample, remove_invalid;
    float temperature, top_p, min_p, repetition_penalty;
    float typical_p, epsilon_cutoff, eta_cutoff, top_h;
    int top_k, no_repeat_ngram;
    int max_new_tokens, max_length; /* 0: not given */
    int min_new_tokens, min_length;
    int32_t eos[CUD_MAX_EOS];
    int eos_count;
    int32_t forced_bos, forced_eos[CUD_MAX_EOS];
    int forced_bos_count, forced_eos_count;
    int decay_start;
    float decay_factor; /* 1: off */
    int32_t *suppress, *begin_suppress; /* owned */
    size_t suppress_count, begin_suppress_count;
    sequence_set bias, bad_words; /* owned, not sealed */
} generation_config;

/* ---- generation_config.c ---- */

/* Reads dir/generation_config.json; without that file the defaults and the end-of-sequence tokens of config.json hold. A setting that
 * would change the output and is not supported is refused by name. Release with cud_generation_config_free(). */
cuddle_status cud_generation_config_load(generation_config *out, const char *dir, const spec *s, const logger *log, cuddle_error *err);
/* The same from an open document. */
cuddle_status cud_generation_config_read(generation_config *out, const json_view *root, const spec *s, const logger *log, cuddle_error *err);
void cud_generation_config_free(generation_config *g);

/* ---- generation.c ---- */

/* A copy of everything a request needs from the caller's options. */
enum { CUD_MAX_CHOICES = 128, CUD_MAX_BEAMS = 64 };

typedef struct generation {
    sampling how; /* its sets are its own; its lists are those below and the config's */
    int max_tokens; /* 0: nothing is produced */
    bool max_tokens_asked; /* by the caller: then it is a promise, else it is cut to what fits */
    bool ignore_eos;
    int logprobs;        /* -1: none */
    bool logprobs_asked; /* by the caller */
    bool prompt_logprobs;
    int prompt_top;  /* the likeliest of each place of the prompt */
    int prompt_from; /* the first token of the prompt that log-probabilities are wanted of; 1 at least, as the first has none */
    int32_t *suppress, *begin_suppress;
    uint32_t *allowed;
    int32_t forced_bos, forced_eos;
    int32_t *stop_tokens;
    size_t stop_token_count;
    char **stop;
    size_t *stop_length, stop_count, longest_stop;
    int n, best_of; /* choices to give, choices to make: the beams, if there are several */
    int beams;      /* 1: none */
    float length_penalty;
    cuddle_early_stopping early_stopping;
    int priority, timeout_ms;
    uint64_t cache_salt;
    cuddle_grammar *grammar; /* kept; NULL: none */
} generation;

/* options may be NULL. CUDDLE_E_ARG names the option that is out of range. `out` must stay where it is. Release with cud_generation_free(), also
 * after a failure. */
cuddle_status cud_generation_resolve(generation *out, const cuddle_generation_options *options, const generation_config *config, int vocabulary,
                                     cuddle_error *err);
void cud_generation_free(generation *g);

#endif
