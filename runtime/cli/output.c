#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/options.h"

static int failure; /* errno of the first write to stdout that failed */

void out_begin(void)
{
    /* A closed stdin reads as empty and a closed stderr swallows; writing to a closed stdout must fail, hence the wrong mode. */
    static const int modes[] = { O_RDONLY, O_RDONLY, O_WRONLY };
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0) {
            const int opened = open("/dev/null", modes[fd]); /* the lowest free descriptor: this one */
            (void)opened;
        }
    signal(SIGPIPE, SIG_IGN);
}

static void failed(void)
{
    if (!failure) failure = errno ? errno : EIO;
}

int out_flush(void)
{
    if (!failure && fflush(stdout) != 0) failed();
    return !failure;
}

int out_end(int code)
{
    if (out_flush()) return code;
    say("cannot write to standard output: %s", strerror(failure));
    return EXIT_FAILED;
}

int out_is_terminal(void) { return isatty(STDOUT_FILENO); }

void out_write(const char *data, size_t length)
{
    if (!failure && length && fwrite(data, 1, length, stdout) != length) failed();
}

void out_printf(const char *format, ...)
{
    if (failure) return;
    va_list args;
    va_start(args, format);
    if (vprintf(format, args) < 0) failed();
    va_end(args);
}

/* ------------------------------------------------------------------------------------------------------------ cleaning */

/* Length of the well-formed UTF-8 character at s, of which `room` bytes are there, or 0; its code point in *c. */
static size_t character(const unsigned char *s, size_t room, uint32_t *c)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t length;
    if (s[0] < 0x80) length = 1, *c = s[0];
    else if ((s[0] & 0xe0) == 0xc0) length = 2, *c = s[0] & 0x1fu;
    else if ((s[0] & 0xf0) == 0xe0) length = 3, *c = s[0] & 0x0fu;
    else if ((s[0] & 0xf8) == 0xf0) length = 4, *c = s[0] & 0x07u;
    else return 0;
    if (length > room) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        *c = *c << 6 | (s[i] & 0x3fu);
    }
    return *c < least[length] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff) ? 0 : length;
}

/* C0, DEL, C1, line separators and what reverses the direction of text. */
static int is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

char *clean_line(char *out, size_t size, const char *text)
{
    size_t used = 0, room = strlen(text);
    for (const unsigned char *s = (const unsigned char *)text; room;) {
        uint32_t c = 0;
        const size_t length = character(s, room, &c), step = length ? length : 1;
        const int bad = !length || is_control(c);
        if (used + (bad ? 1 : length) + 1 > size) break;
        if (bad) out[used++] = '?';
        else memcpy(out + used, s, length), used += length;
        s += step;
        room -= step;
    }
    out[used] = 0;
    return out;
}

void out_text(const char *text, size_t length)
{
    if (!out_is_terminal()) {
        out_write(text, length);
        return;
    }
    for (size_t i = 0; i < length;) {
        uint32_t c = 0;
        const size_t n = character((const unsigned char *)text + i, length - i, &c);
        if (!n || (is_control(c) && c != '\n' && c != '\t')) out_write("?", 1);
        else out_write(text + i, n);
        i += n ? n : 1;
    }
}

void say(const char *format, ...)
{
    char raw[1024], line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    fprintf(stderr, "cuddle: %s\n", clean_line(line, sizeof line, raw));
}

int say_error(const cuddle_error *err)
{
    say("%s", err->text[0] ? err->text : cuddle_status_name(err->status));
    return EXIT_FAILED;
}

/* ------------------------------------------------------------------------------------------------------------- numbers */

char *human_bytes(char *out, size_t size, uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof *units) value /= 1024, unit++;
    snprintf(out, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---------------------------------------------------------------------------------------------------------------- JSON */

static _Noreturn void out_of_memory(void)
{
    say("out of memory for the JSON output");
    _exit(EXIT_FAILED); /* the engine's threads may be running: no exit handlers */
}

static json_t *made(json_t *value)
{
    if (!value) out_of_memory();
    return value;
}

void js_put(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, made(value)) != 0) out_of_memory();
}

void js_add(json_t *array, json_t *value)
{
    if (json_array_append_new(array, made(value)) != 0) out_of_memory();
}

json_t *js_text(const char *text, size_t length)
{
    if (!text) return json_null();
    json_t *plain = json_stringn(text, length);
    if (plain) return plain;
    if (length > SIZE_MAX / 3 - 1) out_of_memory();
    char *clean = malloc(3 * length + 1); /* U+FFFD is three bytes */
    if (!clean) out_of_memory();
    size_t used = 0;
    for (size_t i = 0; i < length;) {
        uint32_t c;
        const size_t n = character((const unsigned char *)text + i, length - i, &c);
        memcpy(clean + used, n ? text + i : "\xef\xbf\xbd", n ? n : 3);
        used += n ? n : 3;
        i += n ? n : 1;
    }
    plain = made(json_stringn(clean, used));
    free(clean);
    return plain;
}

json_t *js_name(const char *text) { return js_text(text, text ? strlen(text) : 0); }
json_t *js_number(double value) { return isfinite(value) ? json_real(value) : json_null(); }
json_t *js_bytes(uint64_t value) { return json_integer((json_int_t)value); }

json_t *js_ids(const int32_t *ids, size_t count)
{
    json_t *array = made(json_array());
    for (size_t i = 0; i < count; i++) js_add(array, json_integer(ids[i]));
    return array;
}

static int write_json(const char *data, size_t length, void *user)
{
    (void)user;
    out_write(data, length);
    return failure ? -1 : 0;
}

void out_json(json_t *value)
{
    if (json_dump_callback(made(value), write_json, NULL, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0 && !failure) out_of_memory();
    out_write("\n", 1);
    json_decref(value);
}
