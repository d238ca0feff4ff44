#include "cli/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/session.h"

enum { INPUT_MOST = 256 << 20 };

int input_read(input *in, const command *c, const char *argument, const char *what)
{
    *in = (input){ 0 };
    if (argument && strcmp(argument, "-") != 0) {
        in->text = argument;
        in->length = strlen(argument);
        return 0;
    }
    if (!argument && isatty(STDIN_FILENO)) return usage_error(c, "%s is missing: give it as an argument or on standard input", what);
    size_t room = 0;
    for (;;) {
        if (in->length + 1 >= room) {
            room = room ? 2 * room : 1 << 16;
            char *grown = realloc(in->owned, room);
            if (!grown) {
                say("out of memory: %zu bytes for %s", room, what);
                return EXIT_FAILED;
            }
            in->text = in->owned = grown;
        }
        const ssize_t got = read(STDIN_FILENO, in->owned + in->length, room - in->length - 1);
        if (interrupt_code()) return interrupt_code();
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            say("cannot read %s from standard input: %s", what, strerror(errno));
            return EXIT_FAILED;
        }
        if (got == 0) break;
        in->length += (size_t)got;
        if (in->length > INPUT_MOST) {
            say("%s on standard input is longer than %d bytes", what, (int)INPUT_MOST);
            return EXIT_FAILED;
        }
    }
    in->owned[in->length] = 0;
    return 0;
}

void input_free(input *in) { free(in->owned); }
