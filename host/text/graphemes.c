#include "text/graphemes.h"

#include "text/unicode.h"
#include "text/unicode_tables.h"

#include <stdbool.h>

enum { /* after those of unicode_tables.h */
       CR = 100,
       LF,
       ZWJ,
       REGIONAL,
       HANGUL_L,
       HANGUL_V,
       HANGUL_T,
       HANGUL_LV,
       HANGUL_LVT
};

static int class_of(int32_t c)
{
    if (c == '\r') return CR;
    if (c == '\n') return LF;
    if (c >= ' ' && c < 0x7f) return CUD_GRAPHEME_OTHER;
    if (c == 0x200d) return ZWJ;
    if ((c >= 0x1100 && c <= 0x115f) || (c >= 0xa960 && c <= 0xa97c)) return HANGUL_L;
    if ((c >= 0x1160 && c <= 0x11a7) || (c >= 0xd7b0 && c <= 0xd7c6)) return HANGUL_V;
    if ((c >= 0x11a8 && c <= 0x11ff) || (c >= 0xd7cb && c <= 0xd7fb)) return HANGUL_T;
    if (c >= 0xac00 && c <= 0xd7a3) return (c - 0xac00) % 28 ? HANGUL_LVT : HANGUL_LV;
    if (c >= 0x1f1e6 && c <= 0x1f1ff) return REGIONAL;
    return cud_class(cud_grapheme_ranges, cud_grapheme_ranges_count, c);
}

static bool is_control(int class) { return class == CUD_GRAPHEME_CONTROL || class == CR || class == LF; }

static bool extends(int class)
{
    return class == CUD_GRAPHEME_EXTEND || class == CUD_GRAPHEME_CONJUNCT_LINKER || class == CUD_GRAPHEME_CONJUNCT_EXTEND;
}

static bool hangul_joins(int before, int class)
{
    switch (before) {
    case HANGUL_L: return class == HANGUL_L || class == HANGUL_V || class == HANGUL_LV || class == HANGUL_LVT;
    case HANGUL_LV:
    case HANGUL_V: return class == HANGUL_V || class == HANGUL_T;
    case HANGUL_LVT:
    case HANGUL_T: return class == HANGUL_T;
    default: return false;
    }
}

typedef struct cluster {
    int before;      /* class of the last character */
    int regional;    /* regional indicators up to it */
    bool pictograph; /* a pictograph, then characters that extend it */
    int conjunct;    /* 1: a consonant, then what extends it; 2: a linker among those */
} cluster;

static void add(cluster *c, int class)
{
    c->regional = class == REGIONAL ? c->regional + 1 : 0;
    c->pictograph = class == CUD_GRAPHEME_PICTOGRAPH || (c->pictograph && (extends(class) || class == ZWJ) && c->before != ZWJ);
    if (class == CUD_GRAPHEME_CONJUNCT_CONSONANT)
        c->conjunct = 1;
    else if (c->conjunct && class == CUD_GRAPHEME_CONJUNCT_LINKER)
        c->conjunct = 2;
    else if (class != CUD_GRAPHEME_CONJUNCT_EXTEND && class != ZWJ)
        c->conjunct = 0;
    c->before = class;
}

static bool joins(const cluster *c, int class)
{
    if (c->before == CR) return class == LF;
    if (is_control(c->before) || is_control(class)) return false;
    if (extends(class) || class == ZWJ || class == CUD_GRAPHEME_SPACING || c->before == CUD_GRAPHEME_PREPEND) return true;
    if (class == CUD_GRAPHEME_PICTOGRAPH) return c->pictograph && c->before == ZWJ;
    if (class == CUD_GRAPHEME_CONJUNCT_CONSONANT) return c->conjunct == 2;
    if (class == REGIONAL) return c->regional % 2 == 1;
    return hangul_joins(c->before, class);
}

size_t cud_grapheme_length(const char *text, size_t length)
{
    size_t at, size;
    cluster c = { .before = CUD_GRAPHEME_OTHER };
    add(&c, class_of(cud_utf8_decode(text, &at)));
    for (; at < length; at += size) {
        const int class = class_of(cud_utf8_decode(text + at, &size));
        if (!joins(&c, class)) break;
        add(&c, class);
    }
    return at;
}
