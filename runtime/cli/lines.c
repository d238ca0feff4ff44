#include "cli/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/output.h"
#include "cli/session.h"

enum { LINE_MOST = 16 << 20, READ_LEAST = 4096 };

/* Room for READ_LEAST bytes and a NUL behind what is there. */
static int make_room(lines *in)
{
    if (in->begin) {
        memmove(in->data, in->data + in->begin, in->end - in->begin);
        in->end -= in->begin;
        in->begin = 0;
    }
    if (in->room - in->end > READ_LEAST) return 0;
    if (in->end > LINE_MOST) {
        say("a line on standard input is longer than %d bytes", (int)LINE_MOST);
        return EXIT_FAILED;
    }
    const size_t room = 2 * in->room + 2 * READ_LEAST;
    char *grown = realloc(in->data, room);
    if (!grown) {
        say("out of memory: %zu bytes for a line", room);
        return EXIT_FAILED;
    }
    in->data = grown;
    in->room = room;
    return 0;
}

static int take(lines *in, size_t length, size_t skip, char **line, size_t *out_length)
{
    *line = in->data + in->begin;
    (*line)[length] = 0;
    *out_length = length;
    in->begin += length + skip;
    return 0;
}

int lines_next(lines *in, char **line, size_t *length)
{
    *line = NULL;
    *length = 0;
    size_t seen = 0;
    for (;;) {
        const size_t there = in->end - in->begin;
        const char *newline = there > seen ? memchr(in->data + in->begin + seen, '\n', there - seen) : NULL;
        if (newline) return take(in, (size_t)(newline - (in->data + in->begin)), 1, line, length);
        seen = there;
        if (in->over) return there ? take(in, there, 0, line, length) : 0; /* the last line may lack a newline */
        const int code = make_room(in);
        if (code) return code;
        const ssize_t got = interrupt_read(STDIN_FILENO, in->data + in->end, in->room - in->end - 1);
        if (interrupt_code()) return interrupt_code();
        if (got < 0) {
            say("cannot read from standard input: %s", strerror(errno));
            return EXIT_FAILED;
        }
        if (got == 0) in->over = 1;
        if (got > 0) in->end += (size_t)got;
    }
}

void lines_free(lines *in) { free(in->data); }
