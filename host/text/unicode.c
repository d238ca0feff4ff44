#include "text/unicode.h"

#include "text/unicode_tables.h"

#include <utf8proc.h>

bool cud_utf8_step(cud_utf8_state *s, unsigned char byte)
{
    if (s->left) {
        const bool fits = byte >= s->low && byte <= s->high;
        s->left = fits ? (uint8_t)(s->left - 1) : 0;
        s->low = 0x80, s->high = 0xbf;
        return fits;
    }
    s->low = 0x80, s->high = 0xbf;
    if (byte < 0x80) return true;
    if (byte < 0xc2 || byte > 0xf4) return false;
    s->left = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    if (byte == 0xe0) s->low = 0xa0;
    if (byte == 0xed) s->high = 0x9f;
    if (byte == 0xf0) s->low = 0x90;
    if (byte == 0xf4) s->high = 0x8f;
    return true;
}

size_t cud_utf8_valid(const char *text, size_t size)
{
    cud_utf8_state state = { 0 };
    size_t character = 0; /* where the current one starts */
    for (size_t i = 0; i < size; i++) {
        if (!state.left) character = i;
        if (!cud_utf8_step(&state, (unsigned char)text[i])) return character;
    }
    return state.left ? character : size;
}

int32_t cud_utf8_decode(const char *text, size_t *length)
{
    const unsigned char *s = (const unsigned char *)text;
    *length = cud_utf8_length(s[0]);
    switch (*length) {
    case 2: return (s[0] & 0x1f) << 6 | (s[1] & 0x3f);
    case 3: return (s[0] & 0x0f) << 12 | (s[1] & 0x3f) << 6 | (s[2] & 0x3f);
    case 4: return (s[0] & 0x07) << 18 | (s[1] & 0x3f) << 12 | (s[2] & 0x3f) << 6 | (s[3] & 0x3f);
    default: return s[0];
    }
}

int32_t cud_utf8_decode_before(const char *text, const char *end, size_t *length)
{
    const char *s = end - 1;
    while (s > text && ((unsigned char)*s & 0xc0) == 0x80) s--;
    return cud_utf8_decode(s, length);
}

size_t cud_utf8_encode(char out[4], int32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

bool cud_is_white(int32_t c)
{
    if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

static bool in(const cud_range *range, size_t count, int32_t c)
{
    size_t from = 0, to = count;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        if (range[middle].end < c)
            from = middle + 1;
        else
            to = middle;
    }
    return from < count && range[from].begin <= c;
}

int cud_class(const cud_class_range *range, size_t count, int32_t c)
{
    size_t from = 0, to = count;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        if (range[middle].end < c)
            from = middle + 1;
        else
            to = middle;
    }
    return from < count && range[from].begin <= c ? range[from].class : 0;
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
