/* What a request asks for, once generation_config.json and the defaults have been filled in. */
#ifndef CUD_ENGINE_GENERATION_H
#define CUD_ENGINE_GENERATION_H

#include "core/log.h"
#include "engine/sampler.h"
#include "format/json.h"
#include "grammar/grammar.h"
#include "models/spec.h"

enum { CUD_MAX_SUPPRESS = 4096, CUD_MAX_TOP_LOGPROBS = 20, CUD_MAX_STOPS = 64, CUD_MAX_STOP_BYTES = 4096 };

/* generation_config.json: transformers/generation/configuration_utils.py. */
typedef struct generation_config {
    bool do_sample;
    float temperature, top_p, min_p, repetition_penalty;
    int top_k;
    int max_new_tokens, max_length; /* 0: not given */
    int32_t eos[CUD_MAX_EOS];
    int eos_count;
    int32_t *suppress, *begin_suppress; /* owned */
    size_t suppress_count, begin_suppress_count;
} generation_config;

/* Reads dir/generation_config.json; without that file the defaults and the end-of-sequence tokens of config.json hold. A setting that
 * would change the output and is not supported is refused by name. Release with cud_generation_config_free(). */
cuddle_status cud_generation_config_load(generation_config *out, const char *dir, const spec *s, const logger *log, cuddle_error *err);
/* The same from an open document. */
cuddle_status cud_generation_config_read(generation_config *out, const json_view *root, const spec *s, const logger *log, cuddle_error *err);
void cud_generation_config_free(generation_config *g);

/* A copy of everything a request needs from the caller's options. */
typedef struct generation {
    sampling how; /* its lists are `suppress` below and the config's */
    int max_tokens;
    bool max_tokens_asked; /* by the caller: then it is a promise, else it is cut to what fits */
    bool ignore_eos;
    int logprobs; /* -1: none */
    bool prompt_logprobs;
    int32_t *suppress;
    int32_t *stop_tokens;
    size_t stop_token_count;
    char **stop;
    size_t *stop_length, stop_count, longest_stop;
    cuddle_grammar *grammar; /* kept; NULL: none */
} generation;

/* options may be NULL. CUDDLE_E_ARG names the option that is out of range. Release with cud_generation_free(), also after a failure. */
cuddle_status cud_generation_resolve(generation *out, const cuddle_generation_options *options, const generation_config *config,
                                     cuddle_error *err);
void cud_generation_free(generation *g);

#endif
