/* Options of verbs that render chats: which template, and what it is told. */
#ifndef CLI_TEMPLATE_H
#define CLI_TEMPLATE_H

#include "cli/options.h"
#include "cuddle.h"

typedef struct template_options {
    const char *template;
    option_strings set;
    int64_t now;
} template_options;

extern const option_row template_rows[];

/* Is the template a file of its own? Then it is told the special tokens of the model, which a checkpoint's own template knows anyway. */
int template_is_file(const template_options *own);
/* Loads the template, and tells `options` which one and what time it is. `model` is a directory, or a .jinja file. Returns an exit code, 0 to go
 * on; *out is for cuddle_chat_template_free(). */
int template_load(cuddle_chat_template **out, cuddle_chat_options *options, const template_options *own, const char *model);
/* What --set brings, as {"NAME": VALUE, ...}: a VALUE is JSON, or else text. If there is a tokenizer, the special tokens that it names come before. *out
 * is to be freed. Returns an exit code, 0 to go on. */
int template_variables(char **out, const command *c, const template_options *own, const cuddle_tokenizer *tokenizer);

#endif
