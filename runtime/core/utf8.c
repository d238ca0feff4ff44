#include "core/utf8.h"

#include <string.h>

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
    if (byte == 0xe0) s->low = 0xa0; /* no overlong forms, */
    if (byte == 0xf0) s->low = 0x90;
    if (byte == 0xed) s->high = 0x9f; /* no surrogates, */
    if (byte == 0xf4) s->high = 0x8f; /* nothing above U+10FFFF */
    return true;
}

size_t cud_utf8_size(const char *text, size_t rest)
{
    cud_utf8_state state = { 0 };
    for (size_t i = 0; i < rest; i++) {
        if (!cud_utf8_step(&state, (unsigned char)text[i])) return 0;
        if (!state.left) return i + 1;
    }
    return 0;
}

size_t cud_utf8_valid(const char *text, size_t size)
{
    size_t at = 0, length = 1;
    while (at < size && length) {
        uint64_t eight;
        if (size - at >= sizeof eight && (memcpy(&eight, text + at, sizeof eight), !(eight & 0x8080808080808080u))) {
            at += sizeof eight; /* ASCII */
            continue;
        }
        length = (unsigned char)text[at] < 0x80 ? 1 : cud_utf8_size(text + at, size - at);
        at += length;
    }
    return at;
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
