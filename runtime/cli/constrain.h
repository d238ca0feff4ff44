/* The options of what output is held to. */
#ifndef CLI_CONSTRAIN_H
#define CLI_CONSTRAIN_H

#include "cli/options.h"
#include "cuddle.h"

typedef struct constrain_options {
    int json_object;
    const char *json_schema, *regex, *grammar; /* json_schema, grammar: files */
    option_strings choice;
} constrain_options;

extern const option_row constrain_rows[];

/* The name of the option that was given, or NULL. */
const char *constrain_given(const constrain_options *own);
/* At most one of them may be given. Returns an exit code, 0 to go on. */
int constrain_check(const command *c, const constrain_options *own);
/* *out is NULL if none was given; it is for cuddle_grammar_free(). */
int constrain_compile(cuddle_grammar **out, const constrain_options *own, cuddle_model *model);

#endif
