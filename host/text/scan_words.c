/* Each scanner tries its pattern's alternatives in order, as a backtracking matcher would, with the backtracking worked out: what `\s+(?!\S)`
 * gives back, which newline `\s*[\r\n]+` ends at, where capitals end and small letters begin. */
#include "text/scan_words.h"

#include "text/unicode.h"

#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

enum {
    LETTER = 1,  /* \p{L} */
    NUMBER = 2,  /* \p{N} */
    WHITE = 4,   /* \s */
    NEWLINE = 8, /* \r and \n; WHITE too */
    UPPER = 16,  /* Lu, Lt, Lm, Lo, M */
    LOWER = 32,  /* Ll, Lm, Lo, M */
    SOLID = LETTER | NUMBER | WHITE /* none of these: [^\s\p{L}\p{N}] */
};

typedef struct glyph { /* the character at some place */
    size_t end;
    unsigned kind;
} glyph;

static unsigned kind_beyond_ascii(int32_t c)
{
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT: return LETTER | UPPER;
    case UTF8PROC_CATEGORY_LL: return LETTER | LOWER;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return LETTER | UPPER | LOWER;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME: return UPPER | LOWER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return NUMBER;
    default: return cud_is_white(c) ? WHITE : 0;
    }
}

static const uint8_t ascii[128] = {
#define UP LETTER | UPPER
#define LO LETTER | LOWER
    ['\t'] = WHITE, ['\n'] = WHITE | NEWLINE, ['\v'] = WHITE, ['\f'] = WHITE, ['\r'] = WHITE | NEWLINE, [' '] = WHITE,
    ['0'] = NUMBER, ['1'] = NUMBER, ['2'] = NUMBER, ['3'] = NUMBER, ['4'] = NUMBER,
    ['5'] = NUMBER, ['6'] = NUMBER, ['7'] = NUMBER, ['8'] = NUMBER, ['9'] = NUMBER,
    ['A'] = UP, ['B'] = UP, ['C'] = UP, ['D'] = UP, ['E'] = UP, ['F'] = UP, ['G'] = UP, ['H'] = UP, ['I'] = UP, ['J'] = UP, ['K'] = UP, ['L'] = UP,
    ['M'] = UP, ['N'] = UP, ['O'] = UP, ['P'] = UP, ['Q'] = UP, ['R'] = UP, ['S'] = UP, ['T'] = UP, ['U'] = UP, ['V'] = UP, ['W'] = UP, ['X'] = UP,
    ['Y'] = UP, ['Z'] = UP,
    ['a'] = LO, ['b'] = LO, ['c'] = LO, ['d'] = LO, ['e'] = LO, ['f'] = LO, ['g'] = LO, ['h'] = LO, ['i'] = LO, ['j'] = LO, ['k'] = LO, ['l'] = LO,
    ['m'] = LO, ['n'] = LO, ['o'] = LO, ['p'] = LO, ['q'] = LO, ['r'] = LO, ['s'] = LO, ['t'] = LO, ['u'] = LO, ['v'] = LO, ['w'] = LO, ['x'] = LO,
    ['y'] = LO, ['z'] = LO,
#undef UP
#undef LO
};

static inline glyph look(const char *text, size_t at)
{
    const unsigned char first = (unsigned char)text[at];
    if (first < 0x80) return (glyph){ at + 1, ascii[first] };
    size_t size;
    const int32_t c = cud_utf8_decode(text + at, &size);
    return (glyph){ at + size, kind_beyond_ascii(c) };
}

/* End of the characters from `at` on that have one of the kinds in `some` (or, if that is 0, none of those in `none`). */
static inline size_t run(const char *text, size_t length, size_t at, unsigned some, unsigned none)
{
    while (at < length) {
        const glyph g = look(text, at);
        if (some ? !(g.kind & some) : (g.kind & none) != 0) break;
        at = g.end;
    }
    return at;
}

/* How many of the eight bytes at `text` are ASCII letters before the first that is none. Each byte is looked at by itself: bit 7 of the sums says
 * whether its low seven bits, as a small letter, are at least 'a' and beyond 'z'. */
static inline size_t ascii_letters(const char *text)
{
    const uint64_t each = 0x0101010101010101u, high = 0x80 * each;
    uint64_t bytes;
    memcpy(&bytes, text, sizeof bytes);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    const uint64_t small = (bytes | 0x20 * each) & ~high;
    const uint64_t others = ~((small + (0x80 - 'a') * each) & ~(small + (0x7f - 'z') * each) & ~bytes) & high;
    return others ? (size_t)__builtin_ctzll(others) / 8 : 8;
}

/* End of the letters from `at` on: `\p{L}*`. */
static inline size_t letters(const char *text, size_t length, size_t at)
{
    for (size_t some = 8; some == 8 && length - at >= 8; at += some) some = ascii_letters(text + at);
    return run(text, length, at, LETTER, 0);
}

/* `'s|'t|'re|'ve|'m|'ll|'d` at an apostrophe; 0 if none of them is there. */
static size_t contraction(const char *text, size_t length, size_t at, bool any_case)
{
    if (at + 1 >= length) return 0;
    const unsigned char a = (unsigned char)text[at + 1], b = at + 2 < length ? (unsigned char)text[at + 2] : 0;
    if (any_case && a == 0xc5 && b == 0xbf) return at + 3; /* U+017F, a long s */
    const int fold = any_case ? 0x20 : 0;
    switch (a | fold) {
    case 's': case 't': case 'm': case 'd': return at + 2;
    case 'r': case 'v': return (b | fold) == 'e' ? at + 3 : 0;
    case 'l': return (b | fold) == 'l' ? at + 3 : 0;
    default: return 0;
    }
}

/* `\s+(?!\S)|\s+`, white space at `at` that ends at `end`: the last character stays with what follows, if it is not the only one. */
static size_t leave_last(const char *text, size_t length, size_t at, size_t end)
{
    if (end == length) return end;
    size_t size;
    cud_utf8_decode_before(text, text + end, &size);
    return end - size > at ? end - size : end;
}

/* `\s*[\r\n]+|\s+(?!\S)|\s+` */
static size_t white_lines(const char *text, size_t length, size_t at)
{
    const size_t end = run(text, length, at, WHITE, 0);
    for (size_t i = end; i > at; i--)
        if (text[i - 1] == '\n' || text[i - 1] == '\r') return i;
    return leave_last(text, length, at, end);
}

/* '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static inline size_t next_gpt2(const char *text, size_t length, size_t at)
{
    glyph g = look(text, at);
    if (text[at] == '\'') {
        const size_t end = contraction(text, length, at, false);
        if (end) return end;
    }
    if (text[at] == ' ' && g.end < length) {
        const glyph next = look(text, g.end);
        if (!(next.kind & WHITE)) g = next;
    }
    if (g.kind & LETTER) return letters(text, length, g.end);
    if (g.kind & NUMBER) return run(text, length, g.end, NUMBER, 0);
    if (!(g.kind & SOLID)) return run(text, length, g.end, 0, SOLID);
    return leave_last(text, length, at, run(text, length, g.end, WHITE, 0));
}

static size_t digits(const char *text, size_t length, size_t end, int most)
{
    for (int i = 1; i < most && end < length; i++) {
        const glyph g = look(text, end);
        if (!(g.kind & NUMBER)) break;
        end = g.end;
    }
    return end;
}

/* ` ?[^\s\p{L}\p{N}]+[\r\n]*`, with slashes behind it too if `slash`; 0 if it is not there. */
static size_t symbols(const char *text, size_t length, size_t at, glyph g, bool slash)
{
    if (text[at] == ' ' && g.end < length) g = look(text, g.end);
    if (g.kind & SOLID) return 0;
    size_t end = run(text, length, g.end, 0, SOLID);
    while (end < length && (text[end] == '\r' || text[end] == '\n' || (slash && text[end] == '/'))) end++;
    return end;
}

/* (?i:'s|...)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,most}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static inline size_t next_cl100k(const char *text, size_t length, size_t at, int most)
{
    const glyph g = look(text, at);
    if (text[at] == '\'') {
        const size_t end = contraction(text, length, at, true);
        if (end) return end;
    }
    if (g.kind & LETTER) return letters(text, length, g.end);
    if (g.kind & NUMBER) return digits(text, length, g.end, most);
    if (!(g.kind & NEWLINE) && g.end < length) {
        const glyph next = look(text, g.end);
        if (next.kind & LETTER) return letters(text, length, next.end);
    }
    const size_t end = symbols(text, length, at, g, false);
    return end ? end : white_lines(text, length, at);
}

static inline size_t next_llama3(const char *text, size_t length, size_t at) { return next_cl100k(text, length, at, 3); }
static inline size_t next_qwen2(const char *text, size_t length, size_t at) { return next_cl100k(text, length, at, 1); }

/* `[upper]*[lower]+` from `at` on, or `[upper]+[lower]*`; 0 if it is not there. A character may be both, so capitals give back as few as the
 * small letters need. */
static size_t cased(const char *text, size_t length, size_t at, bool lower_needed)
{
    size_t capitals = at, last_both = 0;
    while (capitals < length) {
        const glyph g = look(text, capitals);
        if (!(g.kind & UPPER)) break;
        if (g.kind & LOWER) last_both = g.end;
        capitals = g.end;
    }
    const size_t end = run(text, length, capitals, LOWER, 0);
    if (end > capitals) return lower_needed || capitals > at ? end : 0;
    if (lower_needed) return last_both;
    return capitals > at ? capitals : 0;
}

static inline size_t next_o200k(const char *text, size_t length, size_t at)
{
    const glyph g = look(text, at);
    const bool lead = !(g.kind & (LETTER | NUMBER | NEWLINE)) && g.end < length; /* [^\r\n\p{L}\p{N}]? */
    for (int lower_needed = 1; lower_needed >= 0; lower_needed--) {
        size_t end = lead ? cased(text, length, g.end, lower_needed) : 0;
        if (!end) end = cased(text, length, at, lower_needed);
        if (!end) continue;
        const size_t more = end < length && text[end] == '\'' ? contraction(text, length, end, true) : 0;
        return more ? more : end;
    }
    if (g.kind & NUMBER) return digits(text, length, g.end, 3);
    const size_t end = symbols(text, length, at, g, true);
    return end ? end : white_lines(text, length, at);
}

/* ---- one match after another ---- */

typedef size_t (*next_fn)(const char *text, size_t length, size_t at);

static inline size_t scan(uint32_t *end, size_t room, const char *text, size_t length, size_t at, next_fn next)
{
    size_t count = 0;
    while (count < room && at < length) end[count++] = (uint32_t)(at = next(text, length, at));
    return count;
}

#define SCAN(name)                                                                                         \
    static size_t scan_##name(uint32_t *end, size_t room, const char *text, size_t length, size_t at)      \
    {                                                                                                      \
        return scan(end, room, text, length, at, next_##name);                                             \
    }
SCAN(gpt2)
SCAN(llama3)
SCAN(qwen2)
SCAN(o200k)

/* ---- which pattern is which ---- */

#define SUFFIXES "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LINES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPERS "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWERS "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"

static const struct { const char *pattern; cud_scan_fn scan; } known[] = {
    { "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", scan_gpt2 },
    { "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", scan_gpt2 },
    { SUFFIXES "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" LINES, scan_llama3 },
    { SUFFIXES "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" LINES, scan_qwen2 },
    { "[^\\r\\n\\p{L}\\p{N}]?" UPPERS "*" LOWERS "+" SUFFIXES "?|[^\\r\\n\\p{L}\\p{N}]?" UPPERS "+" LOWERS "*" SUFFIXES
      "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" LINES, scan_o200k },
};

cud_scan_fn cud_scan_of_pattern(const char *pattern, size_t length)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].pattern) == length && memcmp(known[i].pattern, pattern, length) == 0) return known[i].scan;
    return NULL;
}
