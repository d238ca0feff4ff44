/* Variables for chat templates, as --set brings them. */
#ifndef CLI_VARIABLES_H
#define CLI_VARIABLES_H

#include "cli/options.h"
#include "cuddle.h"

/* {"NAME": VALUE, ...} from "NAME=VALUE" strings, where VALUE is JSON or else text; before them, if there is a tokenizer, the special tokens
 * it names. *out is to be freed. Returns an exit code, 0 to go on. */
int variables_json(char **out, const command *c, const option_strings *set, const cuddle_tokenizer *tokenizer);

#endif
