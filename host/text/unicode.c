#include "text/unicode.h"

#include "text/unicode_tables.h"

#include <string.h>
#include <utf8proc.h>

bool cud_is_white(int32_t c)
{
    if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

/* Index of the first range that does not end before c. Ranges of both kinds, `stride` bytes each, begin with their two ends. */
static size_t find(const void *ranges, size_t stride, size_t count, int32_t c)
{
    size_t from = 0, to = count;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        cud_range range;
        memcpy(&range, (const char *)ranges + middle * stride, sizeof range);
        if (range.end < c)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool in(const cud_range *range, size_t count, int32_t c)
{
    const size_t at = find(range, sizeof *range, count, c);
    return at < count && range[at].begin <= c;
}

int cud_class(const cud_class_range *range, size_t count, int32_t c)
{
    const size_t at = find(range, sizeof *range, count, c);
    return at < count && range[at].begin <= c ? range[at].class : 0;
}

bool cud_is_word(int32_t c)
{
    if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
    return in(cud_word_ranges, cud_word_ranges_count, c);
}

bool cud_is_numeric(int32_t c) { return c < 0x80 ? c >= '0' && c <= '9' : in(cud_numeric_ranges, cud_numeric_ranges_count, c); }

bool cud_is_punct(int32_t c)
{
    if (c < 0x80) return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
    return in(cud_punct_ranges, cud_punct_ranges_count, c);
}

bool cud_is_mark(int32_t c) { return c >= 0x300 && in(cud_mark_ranges, cud_mark_ranges_count, c); }
bool cud_is_nonspacing(int32_t c) { return c >= 0x300 && in(cud_nonspacing_ranges, cud_nonspacing_ranges_count, c); }

bool cud_is_control(int32_t c) { return c >= ' ' && c < 0x7f ? false : in(cud_control_ranges, cud_control_ranges_count, c); }

/* True if normalization leaves c alone because the reference's tables are older than c. */
static bool is_unnormalized(int32_t c) { return c >= 0x300 && in(cud_unnormalized_ranges, cud_unnormalized_ranges_count, c); }

int cud_combining_class(int32_t c)
{
    const int class = utf8proc_get_property(c)->combining_class;
    return class && is_unnormalized(c) ? 0 : class;
}

size_t cud_lower(int32_t out[2], int32_t c)
{
    if (c == 0x130) {
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = c < 0x80 ? (c >= 'A' && c <= 'Z' ? c + 32 : c) : utf8proc_tolower(c);
    if (out[0] == c && c >= 0x80) out[0] += cud_class(cud_capital_ranges, cud_capital_ranges_count, c);
    return 1;
}

size_t cud_decompose(int32_t out[CUD_DECOMPOSE_MAX], int32_t c, bool compatibility)
{
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatibility ? UTF8PROC_COMPAT : 0);
    int boundary = 0;
    const utf8proc_ssize_t count = utf8proc_decompose_char(c, out, CUD_DECOMPOSE_MAX, options, &boundary);
    if (count >= 1 && count <= CUD_DECOMPOSE_MAX && !(out[0] != c && is_unnormalized(c))) return (size_t)count;
    out[0] = c; /* not assigned, or longer than any decomposition that exists */
    return 1;
}

int32_t cud_compose(int32_t first, int32_t second)
{
    if (first < 0x3c || (second < 0x300)) return 0; /* U+226E = '<' + U+0338 is the lowest pair */
    utf8proc_int32_t pair[2] = { first, second };
    const bool composed = utf8proc_normalize_utf32(pair, 2, UTF8PROC_STABLE | UTF8PROC_COMPOSE) == 1;
    return composed && !is_unnormalized(pair[0]) ? pair[0] : 0;
}
