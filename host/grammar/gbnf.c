/* GBNF, llama.cpp's notation: NAME ::= ALTERNATIVES, of "text", [sets], ., names, ( groups ), | and * + ? {m,n}. A rule ends with its line, but
 * lines go on within parentheses and behind ::= and |. # begins a comment. */
#include "grammar/source.h"

#include <stdlib.h>
#include <string.h>

typedef struct gbnf {
    gsource in;
    uint32_t *slot; /* hash of names: rule + 1, or 0 */
    size_t slots;
    bool in_group;
} gbnf;

static bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }

static void skip_space(gsource *s, bool lines)
{
    while (s->at < s->end) {
        if (*s->at == '#') {
            while (s->at < s->end && *s->at != '\n' && *s->at != '\r') s->at++;
        } else if (*s->at == ' ' || *s->at == '\t' || (lines && (*s->at == '\n' || *s->at == '\r'))) {
            s->at++;
        } else {
            return;
        }
    }
}

static size_t name_hash(const char *name, size_t length)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < length; i++) h = (h ^ (unsigned char)name[i]) * 1099511628211u;
    return (size_t)(h ^ h >> 31);
}

static void grow_names(gbnf *b)
{
    gsyntax *g = b->in.g;
    const size_t slots = b->slots ? b->slots * 2 : 64;
    uint32_t *slot = calloc(slots, sizeof *slot);
    if (!slot) {
        cud_gfail(g, CUDDLE_E_NOMEM, "out of memory: %zu bytes for %s", slots * sizeof *slot, g->what);
        return;
    }
    for (size_t i = 0; i < g->rule_count; i++) {
        size_t at = name_hash(g->rule[i].name, strlen(g->rule[i].name)) & (slots - 1);
        while (slot[at]) at = (at + 1) & (slots - 1);
        slot[at] = (uint32_t)i + 1;
    }
    free(b->slot);
    b->slot = slot;
    b->slots = slots;
}

/* The rule of this name, new if need be. */
static uint32_t rule_named(gbnf *b, const char *name, size_t length)
{
    enum { LONGEST = 128 };
    gsyntax *g = b->in.g;
    if (length > LONGEST) cud_gsource_fail(&b->in, CUDDLE_E_LIMIT, name, "a name of %zu bytes, expected at most %d", length, (int)LONGEST);
    if (2 * (g->rule_count + 1) > b->slots) grow_names(b);
    if (!cud_gstep(g, 1)) return 0;
    size_t at = name_hash(name, length) & (b->slots - 1);
    for (; b->slot[at]; at = (at + 1) & (b->slots - 1)) {
        const char *known = g->rule[b->slot[at] - 1].name;
        if (strncmp(known, name, length) == 0 && !known[length]) return b->slot[at] - 1;
    }
    const uint32_t rule = cud_grule_new(g, name, length);
    if (!g->status) b->slot[at] = rule + 1;
    return rule;
}

/* One character of a text or a set, escapes resolved. */
static uint32_t read_char(gsource *s)
{
    const char *begin = s->at;
    if (s->at == s->end) return cud_gsource_fail(s, CUDDLE_E_FORMAT, begin, "the grammar ends within a text or a set"), 0;
    if (!cud_gsource_take(s, '\\')) return cud_gsource_char(s);
    if (s->at == s->end) return cud_gsource_fail(s, CUDDLE_E_FORMAT, begin, "a backslash at the end"), 0;
    switch (*s->at++) {
    case 'x': return cud_gsource_hex(s, 2);
    case 'u': return cud_gsource_hex(s, 4);
    case 'U': return cud_gsource_hex(s, 8);
    case 't': return '\t';
    case 'r': return '\r';
    case 'n': return '\n';
    case '\\': case '"': case '[': case ']': case '-': case '^': return (uint32_t)s->at[-1];
    default: return cud_gsource_fail(s, CUDDLE_E_UNSUPPORTED, begin, "the escape \\%.1s is not supported", s->at - 1), 0;
    }
}

static gexpr read_text(gsource *s)
{
    const char *begin = s->at++;
    glist list = { 0 };
    char bytes[64];
    size_t used = 0;
    while (!s->g->status && !cud_gsource_is(s, '"')) {
        if (s->at == s->end) cud_gsource_fail(s, CUDDLE_E_FORMAT, begin, "a text is not closed");
        const uint32_t c = s->g->status ? 0 : read_char(s);
        if (s->g->status) break;
        if (used + 4 > sizeof bytes) {
            cud_glist_add(s->g, &list, cud_gtext(s->g, bytes, used));
            used = 0;
        }
        used += cud_utf8_encode(bytes + used, (int32_t)c);
    }
    s->at += s->at < s->end;
    cud_glist_add(s->g, &list, cud_gtext(s->g, bytes, used));
    return cud_glist_sequence(s->g, &list);
}

static gexpr read_set(gsource *s)
{
    const char *begin = s->at++;
    const bool inverted = cud_gsource_take(s, '^');
    gset set = { 0 };
    while (!s->g->status && !cud_gsource_is(s, ']')) {
        if (s->at == s->end) cud_gsource_fail(s, CUDDLE_E_FORMAT, begin, "a set is not closed");
        const uint32_t first = s->g->status ? 0 : read_char(s);
        uint32_t last = first;
        if (!s->g->status && cud_gsource_is(s, '-') && s->end - s->at > 1 && s->at[1] != ']') {
            s->at++;
            last = read_char(s);
        }
        if (!s->g->status && last < first) cud_gsource_fail(s, CUDDLE_E_FORMAT, begin, "a range that ends before it begins");
        cud_gset_add(s->g, &set, first, last);
    }
    s->at += s->at < s->end;
    cud_gset_invert(s->g, &set);
    if (!inverted) cud_gset_invert(s->g, &set);
    const gexpr e = s->g->status ? CUD_G_EMPTY : cud_gset(s->g, &set);
    cud_gset_free(&set);
    return e;
}

static gexpr read_alternatives(gbnf *b);

static gexpr read_item(gbnf *b)
{
    gsource *s = &b->in;
    gsyntax *g = s->g;
    const char *begin = s->at;
    if (*s->at == '"') return read_text(s);
    if (*s->at == '[') return read_set(s);
    if (cud_gsource_take(s, '.')) {
        gset all = { 0 };
        cud_gset_invert(g, &all);
        const gexpr e = g->status ? CUD_G_EMPTY : cud_gset(g, &all);
        cud_gset_free(&all);
        return e;
    }
    if (cud_gsource_take(s, '(')) {
        const bool outer = b->in_group;
        b->in_group = true;
        if (++s->groups > CUD_G_GROUPS) cud_gsource_fail(s, CUDDLE_E_LIMIT, begin, "groups are nested more than %d deep", (int)CUD_G_GROUPS);
        const gexpr e = g->status ? CUD_G_EMPTY : read_alternatives(b);
        if (!g->status && !cud_gsource_take(s, ')')) cud_gsource_fail(s, CUDDLE_E_FORMAT, begin, "a group is not closed");
        s->groups--;
        b->in_group = outer;
        return e;
    }
    if (*s->at == '<' || *s->at == '!') return cud_gsource_fail(s, CUDDLE_E_UNSUPPORTED, begin, "tokens by name are not supported"), CUD_G_EMPTY;
    while (s->at < s->end && is_word(*s->at)) s->at++;
    if (s->at == begin) return cud_gsource_fail(s, CUDDLE_E_FORMAT, begin, "'%.1s' is not expected here", begin), CUD_G_EMPTY;
    const uint32_t rule = rule_named(b, begin, (size_t)(s->at - begin));
    return g->status ? CUD_G_EMPTY : cud_grule_expr(g, rule);
}

static gexpr read_repeated(gbnf *b)
{
    gsource *s = &b->in;
    gexpr e = read_item(b);
    for (int times = 0; !s->g->status; times++) {
        uint32_t min = 0, max = CUD_G_UNBOUNDED;
        skip_space(s, b->in_group);
        const char *begin = s->at;
        if (cud_gsource_take(s, '+')) min = 1;
        else if (cud_gsource_take(s, '?')) max = 1;
        else if (cud_gsource_take(s, '{')) {
            if (!cud_gsource_times(s, &min, &max)) cud_gsource_fail(s, CUDDLE_E_FORMAT, begin, "expected {m}, {m,} or {m,n}");
        } else if (!cud_gsource_take(s, '*')) {
            return e;
        }
        if (!s->g->status) e = cud_grepeat(s->g, e, min, max);
    }
    return CUD_G_EMPTY;
}

static gexpr read_alternatives(gbnf *b)
{
    gsource *s = &b->in;
    glist choice = { 0 };
    do {
        glist list = { 0 };
        skip_space(s, true);
        while (!s->g->status && s->at < s->end && !strchr("|)\r\n", *s->at)) cud_glist_add(s->g, &list, read_repeated(b));
        cud_glist_add(s->g, &choice, cud_glist_sequence(s->g, &list));
    } while (!s->g->status && cud_gsource_take(s, '|'));
    return cud_glist_choice(s->g, &choice);
}

static void read_rule(gbnf *b)
{
    gsource *s = &b->in;
    const char *name = s->at;
    while (s->at < s->end && is_word(*s->at)) s->at++;
    const size_t length = (size_t)(s->at - name);
    if (!length) {
        cud_gsource_fail(s, CUDDLE_E_FORMAT, name, "expected the name of a rule");
        return;
    }
    const uint32_t rule = rule_named(b, name, length);
    skip_space(s, false);
    if (s->g->status) return;
    if (s->end - s->at < 3 || memcmp(s->at, "::=", 3) != 0) {
        cud_gsource_fail(s, CUDDLE_E_FORMAT, s->at, "expected ::=");
        return;
    }
    s->at += 3;
    if (s->g->rule[rule].defined) {
        cud_gsource_fail(s, CUDDLE_E_FORMAT, name, "rule \"%.*s\" is defined twice", (int)length, name);
        return;
    }
    cud_grule_define(s->g, rule, read_alternatives(b));
    if (!s->g->status && s->at < s->end && *s->at != '\n' && *s->at != '\r') cud_gsource_fail(s, CUDDLE_E_FORMAT, s->at, "'%.1s' is not expected here", s->at);
}

void cud_ggbnf(gsyntax *g, const char *text, size_t length)
{
    gbnf b = { .in = { .g = g, .begin = text, .at = text, .end = text + length, .name = g->what } };
    for (skip_space(&b.in, true); !g->status && b.in.at < b.in.end; skip_space(&b.in, true)) read_rule(&b);
    if (!g->status && !g->rule[0].defined) cud_gfail(g, CUDDLE_E_FORMAT, "%s has no rule \"root\"", g->what);
    free(b.slot);
}
