/* What filters, methods and operators do to strings. */
#include "jinja/interp.h"
#include "jinja/operators.h"
#include "text/unicode.h"

size_t cud_j_find(const char *s, size_t n, const char *what, size_t length)
{
    if (!length) return 0;
    const char *found = n ? memmem(s, n, what, length) : NULL;
    return found ? (size_t)(found - s) : (size_t)-1;
}

bool cud_j_escape(jrun *j, jvalue *out, jvalue text)
{
    if (text.kind == J_STRING && text.safe) {
        *out = text;
        return true;
    }
    jvalue plain, result = { .kind = J_STRING, .s = "" };
    if (!cud_j_str(j, &plain, text)) return false;
    size_t from = 0, at = 0;
    for (; at < plain.n; at++) {
        const char c = plain.s[at];
        const char *escaped = c == '&'    ? "&amp;"
                              : c == '<'  ? "&lt;"
                              : c == '>'  ? "&gt;"
                              : c == '\'' ? "&#39;"
                              : c == '"'  ? "&#34;"
                                          : NULL;
        if (!escaped) continue;
        if (!cud_j_append(j, &result, plain.s + from, at - from) || !cud_j_append_text(j, &result, escaped)) return false;
        from = at + 1;
    }
    if (from == 0)
        result = plain;
    else if (!cud_j_append(j, &result, plain.s + from, plain.n - from))
        return false;
    result.safe = 1;
    *out = result;
    return true;
}

bool cud_j_replace(jrun *j, jvalue *out, jvalue text, jvalue old, jvalue new, int64_t most)
{
    jvalue result = { .kind = J_STRING, .safe = text.safe, .s = "" };
    size_t from = 0, at = 0;
    if (!cud_j_bytes(j, text.n)) return false;
    while (most != 0 && at <= text.n) {
        const size_t found = cud_j_find(text.s + at, text.n - at, old.s, old.n);
        if (found == (size_t)-1) break;
        at += found;
        if (!cud_j_step(j, 1) || !cud_j_append(j, &result, text.s + from, at - from) || !cud_j_append(j, &result, new.s, new.n))
            return false;
        from = at + old.n;
        /* Nothing is found between all characters, and at both ends. */
        at = old.n ? from : at < text.n ? at + cud_utf8_length((unsigned char)text.s[at]) : at + 1;
        most -= most > 0;
    }
    if (from == 0 && result.n == 0)
        result = text;
    else if (from < text.n && !cud_j_append(j, &result, text.s + from, text.n - from))
        return false;
    *out = result;
    return true;
}

static bool is_stripped(int32_t c, const jvalue *chars)
{
    if (!chars) return cud_j_is_space(c);
    size_t length;
    for (size_t i = 0; i < chars->n; i += length)
        if (cud_utf8_decode(chars->s + i, &length) == c) return true;
    return false;
}

jvalue cud_j_strip(jvalue text, const jvalue *chars, bool left, bool right)
{
    size_t length;
    while (left && text.n && is_stripped(cud_utf8_decode(text.s, &length), chars)) text.s += length, text.n -= length;
    while (right && text.n && is_stripped(cud_utf8_decode_before(text.s, text.s + text.n, &length), chars)) text.n -= length;
    return text;
}
