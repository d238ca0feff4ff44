#include "grammar/source.h"

#include <stdio.h>

bool cud_gsource_fail(gsource *s, cuddle_status status, const char *at, const char *format, ...)
{
    char text[160];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return cud_gfail(s->g, status, "%s: byte %zu: %s", s->name, (size_t)(at - s->begin), text);
}

uint32_t cud_gsource_char(gsource *s)
{
    size_t length;
    const uint32_t c = (uint32_t)cud_utf8_decode(s->at, &length);
    s->at += length;
    return c;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

uint32_t cud_gsource_hex(gsource *s, int digits)
{
    const char *begin = s->at;
    uint32_t c = 0;
    for (int i = 0; i < digits; i++, s->at++) {
        const int digit = s->at < s->end ? hex(*s->at) : -1;
        if (digit < 0) {
            cud_gsource_fail(s, CUDDLE_E_FORMAT, begin, "expected %d hexadecimal digits", digits);
            return 0;
        }
        c = c * 16 + (uint32_t)digit;
        if (c > 0x10ffff) break;
    }
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) cud_gsource_fail(s, CUDDLE_E_FORMAT, begin, "U+%X is not a character", c);
    return c;
}

static bool number(const char **at, const char *end, uint32_t *out)
{
    const char *begin = *at;
    for (*out = 0; *at < end && **at >= '0' && **at <= '9'; ++*at)
        if (*out <= CUD_G_TIMES) *out = *out * 10 + (uint32_t)(**at - '0');
    return *at > begin;
}

bool cud_gsource_times(gsource *s, uint32_t *min, uint32_t *max)
{
    const char *at = s->at;
    if (!number(&at, s->end, min)) return false;
    *max = *min;
    if (at < s->end && *at == ',') {
        at++;
        if (!number(&at, s->end, max)) *max = CUD_G_UNBOUNDED;
    }
    if (at == s->end || *at != '}') return false;
    if (*min > CUD_G_TIMES || (*max > CUD_G_TIMES && *max != CUD_G_UNBOUNDED))
        cud_gsource_fail(s, CUDDLE_E_LIMIT, s->at, "more than %d repetitions", (int)CUD_G_TIMES);
    else if (*max < *min) cud_gsource_fail(s, CUDDLE_E_FORMAT, s->at, "{%u,%u} is no range", *min, *max);
    s->at = at + 1;
    return true;
}
