/* Text that is an argument, or comes on stdin or from a file. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "cli/options.h"

typedef struct input {
    const char *text; /* NUL-terminated */
    size_t length;
    char *owned;
} input;

/* The argument, or all of stdin if the argument is "-" or, when stdin is not a terminal, NULL. Returns an exit code, 0 to go on.
 * `what` names the argument in sentences. Release with input_free(). */
int input_read(input *in, const command *c, const char *argument, const char *what);
/* All of a file. */
int input_file(input *in, const char *path, const char *what);
/* input_read() with the name of a file as the argument. */
int input_read_file(input *in, const command *c, const char *path, const char *what);
/* Reads the token ids in the text, separated by white space or commas; *out is the caller's to free, after a failure too. Returns an exit
 * code, 0 to go on. */
int input_ids(int32_t **out, size_t *count, const input *in);
void input_free(input *in);

#endif
