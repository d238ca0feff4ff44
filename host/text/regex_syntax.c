/* Oniguruma (Ruby syntax, UTF-8, no options) to PCRE2 (UTF, UCP, MULTILINE). What differs:
 *   \s  PCRE2 adds U+180E                      -> \p{White_Space}
 *   \w  PCRE2: L, N, _; Oniguruma: Alphabetic, M, Nd, Pc   -> a class;  \b likewise, as look-arounds
 *   \h  PCRE2: horizontal space; Oniguruma: hex digit      -> a class
 *   \v  PCRE2: vertical space; Oniguruma: U+000B           -> \x0b
 *   \p{Han}  PCRE2: script extensions; Oniguruma: script   -> \p{sc:Han}
 *   [a[bc]]  a set in a set is a union          -> [abc]
 *   {n,m}+  possessive in PCRE2, repeats the repeat in Ruby -> (?:x{n,m})+
 *   {,n}    a literal in PCRE2                  -> {0,n}
 *   (?i:ss)  matches U+00DF in Oniguruma        -> refused, like the other pairs that one character folds to
 *   (?m)    dot matches newline in Ruby         -> refused, like every other construct that is not known to mean the same. */
#include "text/regex.h"

#include "text/unicode.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_GROUPS = 200, MAX_SETS = 16, GROWTH = 64 };

#define WORD_IN_SET "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
/* Outside of sets Oniguruma asks its Latin-1 table for U+0080 to U+00FF, which counts superscripts and fractions in. */
#define WORD WORD_IN_SET "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"
#define BOUNDARY_BEHIND "(?<=[" WORD "])"
#define BOUNDARY_AHEAD "(?=[" WORD "])"
#define NO_BOUNDARY_BEHIND "(?<![" WORD "])"
#define NO_BOUNDARY_AHEAD "(?![" WORD "])"

typedef struct translation {
    const char *s, *end, *pattern, *where;
    char *out;
    size_t used, room;
    size_t atom; /* where in out the thing a quantifier would repeat begins, or SIZE_MAX */
    size_t group[MAX_GROUPS];
    int groups;
    bool caseless; /* a (?i was seen */
    char letter;   /* the literal before this one, in lower case, or 0 */
    cuddle_error *err;
    cuddle_status status;
} translation;

static void refuse(translation *t, const char *what, size_t length)
{
    if (t->status) return;
    if (length > (size_t)(t->end - what)) length = (size_t)(t->end - what);
    t->status = cud_fail(t->err, CUDDLE_E_UNSUPPORTED, "tokenizer.json: %s: \"%.*s\" in regex \"%.80s\" is not supported", t->where,
                         (int)length, what, t->pattern);
}

static void put(translation *t, const char *s, size_t size)
{
    if (t->status) return;
    if (size > t->room - t->used) {
        const size_t room = t->room * 2 + size;
        char *out = realloc(t->out, room);
        if (!out) {
            t->status = cud_nomem(t->err, room, "a regular expression");
            return;
        }
        t->out = out;
        t->room = room;
    }
    memcpy(t->out + t->used, s, size);
    t->used += size;
}

static void put_string(translation *t, const char *s) { put(t, s, strlen(s)); }

/* At most `digits` hex digits at s; -1 if there are none. */
static int32_t hex(const char **s, const char *end, int digits)
{
    int32_t value = -1;
    for (; digits > 0 && *s < end; digits--, ++*s) {
        const char c = **s;
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) break;
        value = (value < 0 ? 0 : value) * 16 + digit;
    }
    return value;
}

static const char *const categories[] = { "C",  "Cc", "Cf", "Cn", "Co", "Cs", "L",  "Ll", "Lm", "Lo", "Lt", "Lu", "M",
                                          "Mc", "Me", "Mn", "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd", "Pe", "Pf", "Pi",
                                          "Po", "Ps", "S",  "Sc", "Sk", "Sm", "So", "Z",  "Zl", "Zp", "Zs" };
static const struct {
    const char *name, *property;
} properties[] = { { "Any", "Any" },
                   { "Letter", "L" },
                   { "Mark", "M" },
                   { "Number", "N" },
                   { "Punctuation", "P" },
                   { "Symbol", "S" },
                   { "Separator", "Z" },
                   { "Other", "C" },
                   { "Alphabetic", "Alphabetic" },
                   { "Alpha", "Alphabetic" },
                   { "Digit", "Nd" },
                   { "White_Space", "White_Space" },
                   { "Space", "White_Space" },
                   { "Uppercase", "Uppercase" },
                   { "Upper", "Uppercase" },
                   { "Lowercase", "Lowercase" },
                   { "Lower", "Lowercase" },
                   { "Emoji", "Emoji" } };
static const char *const not_scripts[] = { "Alnum",  "Punct", "Word",  "Print",    "Graph", "Cntrl",
                                           "XDigit", "Blank", "ASCII", "Assigned", "LC" };

static bool same_name(const char *a, const char *b, size_t length)
{
    if (strlen(b) != length) return false;
    for (size_t i = 0; i < length; i++) {
        const char x = a[i] >= 'A' && a[i] <= 'Z' ? (char)(a[i] + 32) : a[i];
        const char y = b[i] >= 'A' && b[i] <= 'Z' ? (char)(b[i] + 32) : b[i];
        if (x != y) return false;
    }
    return true;
}

/* \p{Name}, \p{^Name}, \P{Name}; s is behind the p. */
static void property(translation *t, bool negated)
{
    const char *begin = t->s - 2;
    const char *close = t->s < t->end && *t->s == '{' ? memchr(t->s, '}', (size_t)(t->end - t->s)) : NULL;
    if (!close) {
        refuse(t, begin, 3);
        return;
    }
    const char *name = t->s + 1;
    t->s = close + 1;
    if (name < close && *name == '^') negated = !negated, name++;
    const size_t length = (size_t)(close - name);
    for (size_t i = 0; i < length; i++)
        if (!((name[i] | 32) >= 'a' && (name[i] | 32) <= 'z') && name[i] != '_') {
            refuse(t, begin, (size_t)(t->s - begin));
            return;
        }
    const char *found = NULL;
    for (size_t i = 0; i < sizeof categories / sizeof *categories; i++)
        if (same_name(name, categories[i], length)) found = categories[i];
    for (size_t i = 0; !found && i < sizeof properties / sizeof *properties; i++)
        if (same_name(name, properties[i].name, length)) found = properties[i].property;
    for (size_t i = 0; !found && i < sizeof not_scripts / sizeof *not_scripts; i++)
        if (same_name(name, not_scripts[i], length)) refuse(t, begin, (size_t)(t->s - begin));
    put_string(t, negated ? "\\P{" : "\\p{");
    if (found) {
        put_string(t, found);
    } else {
        put_string(t, "sc:");
        put(t, name, length);
    }
    put(t, "}", 1);
}

static void code_point(translation *t, const char *begin, int32_t c)
{
    char text[24];
    if (c < 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        refuse(t, begin, (size_t)(t->s - begin));
        return;
    }
    snprintf(text, sizeof text, "\\x{%x}", (unsigned)c);
    put_string(t, text);
}

/* Behind a backslash. in_class: inside [...]. Returns true if it stands for a set of characters, not for one. */
static bool escape(translation *t, bool in_class)
{
    const char *begin = t->s - 1;
    if (t->s == t->end) {
        refuse(t, begin, 1);
        return false;
    }
    const char c = *t->s++;
    switch (c) {
    case 's': put_string(t, "\\p{White_Space}"); return true;
    case 'S': put_string(t, "\\P{White_Space}"); return true;
    case 'd': put_string(t, "\\p{Nd}"); return true;
    case 'D': put_string(t, "\\P{Nd}"); return true;
    case 'w': put_string(t, in_class ? WORD_IN_SET : "[" WORD "]"); return true;
    case 'h': put_string(t, in_class ? "0-9A-Fa-f" : "[0-9A-Fa-f]"); return true;
    case 'W':
        if (in_class) refuse(t, begin, 2);
        put_string(t, "[^" WORD "]");
        return true;
    case 'H':
        if (in_class) refuse(t, begin, 2);
        put_string(t, "[^0-9A-Fa-f]");
        return true;
    case 'p': property(t, false); return true;
    case 'P': property(t, true); return true;
    case 'n': put_string(t, "\\x0a"); return false;
    case 'r': put_string(t, "\\x0d"); return false;
    case 't': put_string(t, "\\x09"); return false;
    case 'f': put_string(t, "\\x0c"); return false;
    case 'v': put_string(t, "\\x0b"); return false;
    case 'a': put_string(t, "\\x07"); return false;
    case 'e': put_string(t, "\\x1b"); return false;
    case 'x':
        if (t->s < t->end && *t->s == '{') {
            t->s++;
            const int32_t value = hex(&t->s, t->end, 6);
            const bool closed = t->s < t->end && *t->s == '}';
            t->s += closed;
            code_point(t, begin, closed ? value : -1);
        } else {
            const int32_t value = hex(&t->s, t->end, 2);
            code_point(t, begin, value < 0x80 ? value : -1); /* above, Oniguruma means a byte */
        }
        return false;
    case 'u': {
        const char *digits = t->s;
        const int32_t value = hex(&t->s, t->end, 4);
        code_point(t, begin, t->s - digits == 4 ? value : -1);
        return false;
    }
    case 'A':
    case 'z':
    case 'Z':
        if (in_class) refuse(t, begin, 2);
        put(t, begin, 2);
        return true;
    case 'b':
        if (in_class)
            put_string(t, "\\x08");
        else
            put_string(t, "(?:" BOUNDARY_BEHIND NO_BOUNDARY_AHEAD "|" NO_BOUNDARY_BEHIND BOUNDARY_AHEAD ")");
        return false;
    case 'B':
        if (in_class) refuse(t, begin, 2);
        put_string(t, "(?:" BOUNDARY_BEHIND BOUNDARY_AHEAD "|" NO_BOUNDARY_BEHIND NO_BOUNDARY_AHEAD ")");
        return false;
    default: break;
    }
    if (c >= '1' && c <= '9' && !in_class && !(t->s < t->end && *t->s >= '0' && *t->s <= '9')) {
        put(t, begin, 2); /* a back reference */
    } else if ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c & 0x80)) {
        refuse(t, begin, 2);
    } else {
        put(t, begin, 2); /* punctuation and space stand for themselves */
    }
    return false;
}

/* What follows '[' (and '^'), up to and with its ']'. Sets in sets are written into the outer one. */
static void set(translation *t, int depth)
{
    const char *begin = t->s - 1;
    if (depth > MAX_SETS) {
        refuse(t, begin, 8);
        return;
    }
    bool first = true, after_set = false; /* after_set: a '-' here cannot begin a range */
    while (!t->status) {
        if (t->s == t->end) {
            t->status = cud_fail(t->err, CUDDLE_E_FORMAT, "tokenizer.json: %s: regex \"%.80s\" has a set that is not closed",
                                 t->where, t->pattern);
            return;
        }
        const char *at = t->s;
        const char c = *t->s++;
        const char next = t->s < t->end ? *t->s : 0;
        if (c == ']' && !first) return;
        if (c == '[') {
            if (next == ':' || next == '^') {
                refuse(t, at, 2);
                return;
            }
            set(t, depth + 1);
            after_set = true;
        } else if (c == '&' && next == '&') {
            refuse(t, at, 2);
        } else if (c == '\\') {
            after_set = escape(t, true);
        } else if (c == '-') {
            if (next == '[') refuse(t, at, 2);
            const bool literal = first || after_set || next == ']';
            put_string(t, literal ? "\\-" : "-");
            after_set = literal;
        } else if (c == ']') {
            put_string(t, "\\]");
            after_set = false;
        } else {
            put(t, &c, 1);
            after_set = false;
        }
        first = false;
    }
}

/* {n}, {n,}, {,n}, {n,m} behind an atom, or a literal brace. */
static void braces(translation *t)
{
    const char *begin = t->s - 1, *s = t->s;
    int low = 0, high = -1, low_digits = 0, high_digits = 0;
    for (; s < t->end && *s >= '0' && *s <= '9' && low_digits < 5; low_digits++) low = low * 10 + (*s++ - '0');
    const bool comma = s < t->end && *s == ',';
    if (comma) {
        s++;
        for (; s < t->end && *s >= '0' && *s <= '9' && high_digits < 5; high_digits++)
            high = (high < 0 ? 0 : high) * 10 + (*s++ - '0');
    }
    if (t->atom == SIZE_MAX || s == t->end || *s != '}' || (!low_digits && !high_digits)) {
        t->atom = t->used;
        put_string(t, "\\{");
        return;
    }
    t->s = s + 1;
    char text[32];
    if (!comma)
        snprintf(text, sizeof text, "{%d}", low);
    else if (high < 0)
        snprintf(text, sizeof text, "{%d,}", low);
    else
        snprintf(text, sizeof text, "{%d,%d}", low, high);
    const char next = t->s < t->end ? *t->s : 0;
    if (next == '?' && !comma) {
        refuse(t, begin, (size_t)(t->s + 1 - begin)); /* Ruby: optional, not lazy */
    } else if (next == '+') {
        put(t, "(?:", 3); /* grows the buffer; moved to its place below */
        if (t->status) return;
        memmove(t->out + t->atom + 3, t->out + t->atom, t->used - 3 - t->atom);
        memcpy(t->out + t->atom, "(?:", 3);
        put_string(t, text);
        put(t, ")", 1);
    } else {
        put_string(t, text);
        if (next == '?') put(t, t->s++, 1);
    }
}

static void open_group(translation *t)
{
    static const char *const known[] = { "?:", "?=", "?!", "?<=", "?<!", "?>", "?i:", "?-i:" };
    const char *begin = t->s - 1;
    const size_t left = (size_t)(t->end - t->s);
    if (t->groups == MAX_GROUPS) {
        t->status = cud_fail(t->err, CUDDLE_E_LIMIT, "tokenizer.json: %s: a regex with groups nested more than %d deep", t->where,
                             MAX_GROUPS);
        return;
    }
    t->group[t->groups++] = t->used;
    t->atom = SIZE_MAX;
    put(t, "(", 1);
    if (left && *t->s == '*') refuse(t, begin, 2);
    if (!left || *t->s != '?') return;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const size_t length = strlen(known[i]);
        if (left >= length && memcmp(t->s, known[i], length) == 0) {
            t->caseless |= strcmp(known[i], "?i:") == 0;
            put(t, known[i], length);
            t->s += length;
            return;
        }
    }
    if (begin == t->pattern && left >= 3 && memcmp(t->s, "?i)", 3) == 0) { /* elsewhere the two disagree about what it covers */
        t->caseless = true;
        put(t, "?i)", 3);
        t->s += 3;
        t->groups--;
        return;
    }
    refuse(t, begin, 4);
}

/* Pairs of letters that Oniguruma, ignoring case, also finds in one character. */
static void check_fold(translation *t, char c)
{
    static const char *const pairs[] = { "ss", "st", "ff", "fi", "fl" };
    const char lower = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    for (size_t i = 0; t->caseless && i < sizeof pairs / sizeof *pairs; i++)
        if (t->letter == pairs[i][0] && lower == pairs[i][1]) refuse(t, t->s - 2, 2);
    t->letter = lower >= 'a' && lower <= 'z' ? lower : 0;
}

static void translate(translation *t)
{
    while (t->s < t->end && !t->status) {
        const char *begin = t->s;
        const char c = *t->s++;
        check_fold(t, c);
        switch (c) {
        case '\\':
            t->atom = t->used;
            escape(t, false);
            break;
        case '[':
            t->atom = t->used;
            put(t, "[", 1);
            if (t->s < t->end && *t->s == '^') put(t, t->s++, 1);
            set(t, 0);
            put(t, "]", 1);
            break;
        case '(': open_group(t); break;
        case ')':
            if (t->groups > 0)
                t->atom = t->group[--t->groups];
            else if (!t->status)
                t->status = cud_fail(t->err, CUDDLE_E_FORMAT, "tokenizer.json: %s: regex \"%.80s\" closes a group that is not open",
                                     t->where, t->pattern);
            put(t, ")", 1);
            break;
        case '{': braces(t); break;
        case '*':
        case '+':
        case '?':
            put(t, &c, 1);
            if (t->s < t->end && (*t->s == '+' || *t->s == '?')) put(t, t->s++, 1);
            break;
        case '|':
            t->atom = SIZE_MAX;
            put(t, "|", 1);
            break;
        default: {
            size_t size = cud_utf8_length((unsigned char)c);
            if (size > (size_t)(t->end - begin)) size = 1;
            t->atom = t->used;
            put(t, begin, size);
            t->s = begin + size;
        }
        }
    }
}

cuddle_status cud_regex_translate(char **out, size_t *out_length, const char *pattern, size_t length, const char *where,
                                  cuddle_error *err)
{
    *out = NULL;
    if (length > CUD_REGEX_MAX)
        return cud_fail(err, CUDDLE_E_LIMIT, "tokenizer.json: %s: a regex of %zu bytes, expected at most %d", where, length,
                        CUD_REGEX_MAX);
    translation t = { .s = pattern, .end = pattern + length, .pattern = pattern, .where = where, .atom = SIZE_MAX, .err = err };
    t.room = length * 2 + GROWTH;
    t.out = malloc(t.room);
    if (!t.out) return cud_nomem(err, t.room, "a regular expression");
    translate(&t);
    if (t.groups > 0 && !t.status)
        t.status =
            cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: %s: regex \"%.80s\" has a group that is not closed", where, pattern);
    put(&t, "", 1);
    if (t.status) {
        free(t.out);
        return t.status;
    }
    *out = t.out;
    *out_length = t.used - 1;
    return CUDDLE_OK;
}
