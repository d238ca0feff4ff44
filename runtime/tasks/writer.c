#include "tasks/writer.h"

#include "core/utf8.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(cud_writer *w, const char *bytes, size_t count)
{
    if (w->failed) return;
    if (count > SIZE_MAX / 2 - w->length) {
        w->failed = cud_nomem(w->err, SIZE_MAX, "a result as JSON");
        return;
    }
    if (w->length + count > w->room) {
        size_t room = w->room ? w->room : 256;
        while (room < w->length + count) room *= 2;
        char *text = realloc(w->text, room);
        if (!text) {
            w->failed = cud_nomem(w->err, room, "a result as JSON");
            return;
        }
        w->text = text;
        w->room = room;
    }
    memcpy(w->text + w->length, bytes, count);
    w->length += count;
}

/* A comma, unless this is the first thing of a list or object, or the value of a key, which ends in a space. */
static void separate(cud_writer *w)
{
    const char last = w->length ? w->text[w->length - 1] : ' ';
    if (last != '[' && last != '{' && last != ' ') put(w, ", ", 2);
}

void cud_write_open(cud_writer *w, char bracket)
{
    separate(w);
    put(w, &bracket, 1);
}

void cud_write_close(cud_writer *w, char bracket) { put(w, &bracket, 1); }

void cud_write_key(cud_writer *w, const char *name)
{
    cud_write_text(w, name, strlen(name));
    put(w, ": ", 2);
}

static void put_unit(cud_writer *w, unsigned unit) /* of UTF-16 */
{
    char text[8];
    put(w, text, (size_t)snprintf(text, sizeof text, "\\u%04x", unit));
}

static void put_character(cud_writer *w, uint32_t c)
{
    static const char plain[] = "\"\\\b\f\n\r\t", written[] = "\"\\bfnrt";
    const char *escape = c && c < 128 ? strchr(plain, (int)c) : NULL;
    if (escape) put(w, (const char[]){ '\\', written[escape - plain] }, 2);
    else if (c >= 32 && c < 127) put(w, (const char[]){ (char)c }, 1);
    else if (c < 0x10000) put_unit(w, c);
    else put_unit(w, 0xd800 + ((c - 0x10000) >> 10)), put_unit(w, 0xdc00 + ((c - 0x10000) & 0x3ff));
}

void cud_write_text(cud_writer *w, const char *text, size_t length)
{
    separate(w);
    put(w, "\"", 1);
    for (size_t at = 0; at < length && !w->failed;) {
        size_t size = cud_utf8_size(text + at, length - at);
        if (!size) {
            w->failed = cud_fail(w->err, CUDDLE_E_ARG, "a text is not UTF-8 from byte %zu on", at);
            return;
        }
        put_character(w, (uint32_t)cud_utf8_decode(text + at, &size));
        at += size;
    }
    put(w, "\"", 1);
}

void cud_write_count(cud_writer *w, size_t value)
{
    char text[32];
    separate(w);
    put(w, text, (size_t)snprintf(text, sizeof text, "%zu", value));
}

void cud_write_float(cud_writer *w, float value)
{
    char text[64];
    separate(w);
    if (!isfinite(value)) {
        if (!w->failed) w->failed = cud_fail(w->err, CUDDLE_E_ARG, "a number of the result is not finite, and JSON has no word for it");
        return;
    }
    int precision = 6;
    do snprintf(text, sizeof text, "%.*g", precision, (double)value);
    while (strtof(text, NULL) != value && ++precision <= 9);
    /* printf's decimal point is the locale's, and may be several bytes: it is what stands there beside digits, signs and exponent. */
    const size_t digits = strspn(text, "+-0123456789e"), point = strcspn(text + digits, "+-0123456789e");
    put(w, text, digits);
    if (point) put(w, ".", 1);
    put(w, text + digits + point, strlen(text + digits + point));
    if (!point && !strchr(text, 'e')) put(w, ".0", 2); /* a float, as Python shows it */
}

void cud_write_floats(cud_writer *w, const float *value, size_t count)
{
    cud_write_open(w, '[');
    for (size_t i = 0; i < count && !w->failed; i++) cud_write_float(w, value[i]);
    cud_write_close(w, ']');
}

cuddle_status cud_write_end(char **text, size_t *length, cud_writer *w)
{
    put(w, "", 1);
    *text = NULL;
    if (w->failed) {
        free(w->text);
        w->text = NULL;
        return w->failed;
    }
    *text = w->text;
    if (length) *length = w->length - 1;
    return CUDDLE_OK;
}
