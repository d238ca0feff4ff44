#include "jinja/chars.h"

#include "jinja/case_table.h"
#include "text/unicode.h"

#include <utf8proc.h>

bool cud_j_is_space(int32_t c) { return cud_is_white(c) || (c >= 0x1c && c <= 0x1f); }

bool cud_j_is_printable(int32_t c)
{
    if (c < 0x80) return c >= 0x20 && c < 0x7f;
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: return false;
    default: return true;
    }
}

/* Other_Uppercase and Other_Lowercase: enclosed letters, Roman numerals, modifier letters. */
bool cud_j_is_upper(int32_t c)
{
    if (c < 0x80) return c >= 'A' && c <= 'Z';
    return utf8proc_category(c) == UTF8PROC_CATEGORY_LU || (c >= 0x2160 && c <= 0x216f) || (c >= 0x24b6 && c <= 0x24cf) ||
           (c >= 0x1f130 && c <= 0x1f149) || (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
}

bool cud_j_is_lower(int32_t c)
{
    if (c < 0x80) return c >= 'a' && c <= 'z';
    return utf8proc_category(c) == UTF8PROC_CATEGORY_LL || c == 0xaa || c == 0xba || (c >= 0x2b0 && c <= 0x2b8) || c == 0x2c0 ||
           c == 0x2c1 || (c >= 0x2e0 && c <= 0x2e4) || c == 0x345 || c == 0x37a || (c >= 0x1d2c && c <= 0x1d6a) || c == 0x1d78 ||
           (c >= 0x1d9b && c <= 0x1dbf) || c == 0x2071 || c == 0x207f || (c >= 0x2090 && c <= 0x209c) ||
           (c >= 0x2170 && c <= 0x217f) || (c >= 0x24d0 && c <= 0x24e9) || c == 0x2c7c || c == 0x2c7d || c == 0xa69c ||
           c == 0xa69d || c == 0xa770 || c == 0xa7f8 || c == 0xa7f9 || (c >= 0xab5c && c <= 0xab5f);
}

bool cud_j_is_title(int32_t c) { return c >= 0x80 && utf8proc_category(c) == UTF8PROC_CATEGORY_LT; }

bool cud_j_is_alpha(int32_t c)
{
    if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const utf8proc_category_t category = utf8proc_category(c);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool cud_j_is_decimal(int32_t c)
{
    if (c < 0x80) return c >= '0' && c <= '9';
    return utf8proc_category(c) == UTF8PROC_CATEGORY_ND;
}

bool cud_j_is_digit(int32_t c) /* superscripts, subscripts and circled digits too */
{
    return cud_j_is_decimal(c) || c == 0xb2 || c == 0xb3 || c == 0xb9 || c == 0x2070 || (c >= 0x2074 && c <= 0x2079) ||
           (c >= 0x2080 && c <= 0x2089) || (c >= 0x2460 && c <= 0x2468) || (c >= 0x2474 && c <= 0x247c) ||
           (c >= 0x2488 && c <= 0x2490) || c == 0x24ea || (c >= 0x24f5 && c <= 0x24fd) || c == 0x24ff ||
           (c >= 0x2776 && c <= 0x277e) || (c >= 0x2780 && c <= 0x2788) || (c >= 0x278a && c <= 0x2792);
}

bool cud_j_is_numeric(int32_t c) { return cud_is_numeric(c); }

size_t cud_j_count(const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

size_t cud_j_offset(const char *s, size_t n, size_t i)
{
    size_t at = 0;
    for (; at < n && i > 0; i--) at += cud_utf8_length((unsigned char)s[at]);
    return at;
}

/* ------------------------------------------------------------------------------------------------------------- cases */

static const case_row *find(const case_row *row, size_t count, int32_t c)
{
    size_t low = 0, high = count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (row[middle].from < c)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && row[low].from == c ? row + low : NULL;
}

static bool is_cased(int32_t c) { return cud_j_is_upper(c) || cud_j_is_lower(c) || cud_j_is_title(c); }

/* Case_Ignorable */
static bool is_ignorable(int32_t c)
{
    if (c == '\'' || c == '.' || c == ':' || c == '^' || c == '`' || c == 0xa8 || c == 0xad || c == 0xaf || c == 0xb4 ||
        c == 0xb7 || c == 0xb8)
        return true;
    if (c < 0x80) return false;
    if (c == 0x387 || c == 0x55f || c == 0x5f4 || c == 0x2018 || c == 0x2019 || c == 0x2024 || c == 0x2027 || c == 0xfe13 ||
        c == 0xfe52 || c == 0xfe55 || c == 0xff07 || c == 0xff0e || c == 0xff1a)
        return true;
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK: return true;
    default: return false;
    }
}

/* A capital sigma at `at` ends a word: a cased letter precedes it and none follows. */
static bool sigma_is_final(const char *s, size_t n, size_t at)
{
    size_t length, before = at;
    int32_t c = 0;
    while (before > 0) {
        c = cud_utf8_decode_before(s, s + before, &length);
        before -= length;
        if (!is_ignorable(c)) break;
        c = 0;
    }
    if (!c || !is_cased(c)) return false;
    for (size_t after = at + 2; after < n; after += length) {
        c = cud_utf8_decode(s + after, &length);
        if (!is_ignorable(c)) return !is_cased(c);
    }
    return true;
}

static size_t map_upper(int32_t out[3], int32_t c, bool title)
{
    const case_row *row = title ? find(title_rows, sizeof title_rows / sizeof *title_rows, c)
                                : find(upper_rows, sizeof upper_rows / sizeof *upper_rows, c);
    if (!row) {
        out[0] = c < 0x80 ? (c >= 'a' && c <= 'z' ? c - 32 : c) : title ? utf8proc_totitle(c) : utf8proc_toupper(c);
        return 1;
    }
    memcpy(out, row->to, sizeof row->to);
    return row->to[2] ? 3 : 2;
}

static size_t map_lower(int32_t out[3], const char *s, size_t n, size_t at, int32_t c)
{
    if (c == 0x3a3) {
        out[0] = sigma_is_final(s, n, at) ? 0x3c2 : 0x3c3;
        return 1;
    }
    return cud_lower(out, c);
}

bool cud_j_change_case(jrun *j, jvalue *out, jvalue text, jcase how)
{
    if (!cud_j_bytes(j, 4 * text.n)) return false;
    jvalue result = { .kind = J_STRING, .safe = text.safe, .s = "" };
    bool cased_before = false;
    char piece[256];
    size_t used = 0, length;
    for (size_t at = 0; at < text.n; at += length) {
        const int32_t c = cud_utf8_decode(text.s + at, &length);
        int32_t mapped[3];
        bool up = how == J_UPPER, title = false;
        if (how == J_TITLE) up = title = !cased_before;
        if (how == J_CAPITALIZE) up = title = at == 0;
        if (how == J_SWAP) up = cud_j_is_lower(c);
        const bool keep = how == J_SWAP && !up && !cud_j_is_upper(c);
        cased_before = is_cased(c);
        mapped[0] = c;
        const size_t count = keep ? 1 : up ? map_upper(mapped, c, title) : map_lower(mapped, text.s, text.n, at, c);
        for (size_t i = 0; i < count; i++) used += cud_utf8_encode(piece + used, mapped[i]);
        if (used > sizeof piece - 12) {
            if (!cud_j_append(j, &result, piece, used)) return false;
            used = 0;
        }
    }
    if (!cud_j_append(j, &result, piece, used)) return false;
    *out = result;
    return true;
}

/* ----------------------------------------------------------------------------------------------------------- escapes */

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool cud_j_unescape(jrun *j, jvalue *text)
{
    char *out = cud_j_room(j, text->n); /* no escape is shorter than what it stands for */
    if (!out) return false;
    const char *s = text->s, *end = s + text->n;
    size_t n = 0;
    while (s < end) {
        if (*s != '\\' || s + 1 == end) {
            out[n++] = *s++;
            continue;
        }
        static const char plain[] = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v";
        const char c = s[1];
        const char *found = NULL;
        for (const char *p = plain; *p; p += 2)
            if (*p == c) found = p + 1;
        s += 2;
        if (found) {
            out[n++] = *found;
        } else if (c == '\n') { /* a line that goes on */
        } else if (c >= '0' && c <= '7') {
            int32_t value = c - '0';
            for (int i = 0; i < 2 && s < end && *s >= '0' && *s <= '7'; i++) value = value * 8 + (*s++ - '0');
            n += cud_utf8_encode(out + n, value); /* at most U+01FF */
        } else if (c == 'x' || c == 'u' || c == 'U') {
            const int count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
            int64_t value = 0;
            for (int i = 0; i < count; i++, s++) {
                if (s == end || hex(*s) < 0) return cud_j_fail(j, "a string has \\%c without %d hexadecimal digits", c, count);
                value = value * 16 + hex(*s);
            }
            if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
                return cud_j_fail(j, "a string has \\%c%0*llx, which is no character", c, count, (long long)value);
            n += cud_utf8_encode(out + n, (int32_t)value);
        } else if (c == 'N') {
            return cud_j_fail_with(j, CUDDLE_E_UNSUPPORTED, "a string has \\N{...}: names of characters are not supported");
        } else {
            out[n++] = '\\';
            out[n++] = c;
        }
    }
    *text = j_string(out, n);
    return true;
}
