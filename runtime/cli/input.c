#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/session.h"

enum { INPUT_MOST = 256 << 20 };

/* All that can be read from a descriptor; `from` names it in sentences. */
static int read_all(input *in, int descriptor, const char *what, const char *from)
{
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
        const ssize_t got = interrupt_read(descriptor, in->owned + in->length, room - in->length - 1);
        if (interrupt_code()) return interrupt_code();
        if (got < 0) {
            say("cannot read %s from %s: %s", what, from, strerror(errno));
            return EXIT_FAILED;
        }
        if (got == 0) break;
        in->length += (size_t)got;
        if (in->length > INPUT_MOST) {
            say("%s on %s is longer than %d bytes", what, from, (int)INPUT_MOST);
            return EXIT_FAILED;
        }
    }
    in->owned[in->length] = 0;
    return 0;
}

int input_read(input *in, const command *c, const char *argument, const char *what)
{
    *in = (input){ 0 };
    if (argument && strcmp(argument, "-") != 0) {
        in->text = argument;
        in->length = strlen(argument);
        return 0;
    }
    if (!argument && isatty(STDIN_FILENO)) return usage_error(c, "%s is missing: give it as an argument or on standard input", what);
    return read_all(in, STDIN_FILENO, what, "standard input");
}

int input_file(input *in, const char *path, const char *what)
{
    *in = (input){ 0 };
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        say("cannot open %s: %s", path, strerror(errno));
        return EXIT_FAILED;
    }
    const int code = read_all(in, descriptor, what, path);
    close(descriptor);
    return code;
}

int input_read_file(input *in, const command *c, const char *path, const char *what)
{
    return !path || strcmp(path, "-") == 0 ? input_read(in, c, path, what) : input_file(in, path, what);
}

int input_ids(int32_t **out, size_t *count, const input *in)
{
    static const char between[] = " \t\r\n,";
    size_t room = 0;
    *out = NULL;
    *count = 0;
    for (const char *p = in->text;;) {
        p += strspn(p, between);
        if (!*p) break;
        char *end = NULL;
        errno = 0;
        const long long id = *p >= '0' && *p <= '9' ? strtoll(p, &end, 10) : -1;
        if (!end || errno || id > INT32_MAX || (*end && !strchr(between, *end))) {
            const size_t length = strcspn(p, between);
            say("'%.*s' is not a token id: whole numbers from 0 to %d are expected", length < 64 ? (int)length : 64, p, INT32_MAX);
            return EXIT_FAILED;
        }
        if (*count == room) {
            room = room ? 2 * room : 1024;
            int32_t *grown = realloc(*out, room * sizeof **out);
            if (!grown) {
                say("out of memory: %zu bytes for token ids", room * sizeof **out);
                return EXIT_FAILED;
            }
            *out = grown;
        }
        (*out)[(*count)++] = (int32_t)id;
        p = end;
    }
    if (strlen(in->text) == in->length) return 0;
    say("a NUL byte is among the token ids");
    return EXIT_FAILED;
}

void input_free(input *in) { free(in->owned); }
