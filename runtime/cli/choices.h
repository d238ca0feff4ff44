/* The options of several choices: more than one text for a prompt, or the best of those that were made. */
#ifndef CLI_CHOICES_H
#define CLI_CHOICES_H

#include <math.h>

#include "cli/generation.h"
#include "cli/options.h"
#include "cuddle.h"

typedef struct choice_options {
    int n, best_of, beams; /* 0: not given */
    int early_stopping;    /* a cuddle_early_stopping; -1: not given */
    float length_penalty;  /* NAN: not given */
} choice_options;

#define CHOICES_DEFAULT { .early_stopping = -1, .length_penalty = NAN }

extern const option_row choice_rows[];

/* `other`: the name of an option that was given and does not go with beams, or NULL. Returns an exit code, 0 to go on. */
int choices_check(const command *c, const choice_options *own, const generation_settings *how, const char *other);
/* Beams draw nothing: with them `how` becomes greedy. */
void choices_fill(cuddle_generation_options *out, generation_settings *how, const choice_options *own);
int choices_made(const choice_options *own); /* how many sequences may run at once */

#endif
