/* Standard input, line by line, as it is typed or comes through a pipe. */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <stddef.h>

typedef struct lines { /* begins as zeros; release with lines_free() */
    char *data;
    size_t begin, end, room; /* what was read and not yet taken */
    int over;
} lines;

/* The next line without its newline, NUL-terminated and borrowed until the next call; *line is NULL at the end of the input. Returns an
 * exit code, 0 to go on: a signal's, or a failure that was said. */
int lines_next(lines *in, char **line, size_t *length);
void lines_free(lines *in);

#endif
