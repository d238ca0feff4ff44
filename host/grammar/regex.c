/* Regular expressions, the part that means the same in every dialect. Quantifiers that are lazy match the same texts as greedy ones; what
 * does not (possessive ones, look-around, back references, boundaries, flags) is refused by name. */
#include "grammar/source.h"

#include <string.h>

typedef struct reader {
    gsource in;
    gmatch match;
    gset_fn write;
    gexpr any;
} reader;

static gexpr read_choice(reader *r, bool top);

/* ---- sets ---- */

static void add_class(gsyntax *g, gset *s, char name)
{
    gset own = { 0 };
    switch (name | 0x20) {
    case 'd': cud_gset_add(g, &own, '0', '9'); break;
    case 'w':
        cud_gset_add(g, &own, '0', '9');
        cud_gset_add(g, &own, 'A', 'Z');
        cud_gset_add(g, &own, '_', '_');
        cud_gset_add(g, &own, 'a', 'z');
        break;
    default:
        cud_gset_add(g, &own, '\t', '\r');
        cud_gset_add(g, &own, ' ', ' ');
    }
    if (name < 'a') cud_gset_invert(g, &own);
    cud_gset_add_set(g, s, &own);
    cud_gset_free(&own);
}

/* What follows a backslash, into `s`. True if it is one character, which is *c. */
static bool read_escape(reader *r, gset *s, uint32_t *c)
{
    gsource *in = &r->in;
    const char *begin = in->at - 1;
    if (in->at == in->end) return cud_gsource_fail(in, CUDDLE_E_FORMAT, begin, "a backslash at the end");
    const char name = *in->at;
    *c = cud_gsource_char(in);
    switch (name) {
    case 'd': case 'D': case 'w': case 'W': case 's': case 'S': return add_class(in->g, s, name), false;
    case 'n': *c = '\n'; break;
    case 't': *c = '\t'; break;
    case 'r': *c = '\r'; break;
    case 'f': *c = '\f'; break;
    case 'v': *c = '\v'; break;
    case 'u': *c = cud_gsource_hex(in, 4); break;
    case 'x':
        if (cud_gsource_take(in, '{')) {
            const char *close = memchr(in->at, '}', (size_t)(in->end - in->at));
            if (!close || close == in->at || close - in->at > 8) return cud_gsource_fail(in, CUDDLE_E_FORMAT, begin, "\\x{ without hexadecimal digits and }");
            *c = cud_gsource_hex(in, (int)(close - in->at));
            in->at = close + 1;
        } else {
            *c = cud_gsource_hex(in, 2);
        }
        break;
    default:
        if ((name >= '0' && name <= '9') || (name >= 'A' && name <= 'Z') || (name >= 'a' && name <= 'z') || (unsigned char)name >= 0x80)
            return cud_gsource_fail(in, CUDDLE_E_UNSUPPORTED, begin, "\\%.*s is not supported", (int)(in->at - begin - 1), begin + 1);
    }
    cud_gset_add(in->g, s, *c, *c);
    return true;
}

/* What follows '['. */
static gexpr read_class(reader *r)
{
    gsource *in = &r->in;
    gsyntax *g = in->g;
    const char *begin = in->at - 1;
    gset s = { 0 };
    const bool inverted = cud_gsource_take(in, '^');
    if (cud_gsource_is(in, ']')) cud_gsource_fail(in, CUDDLE_E_UNSUPPORTED, in->at, "']' first in a class: write it \\]");
    while (!g->status && !cud_gsource_is(in, ']')) {
        if (in->at == in->end) {
            cud_gsource_fail(in, CUDDLE_E_FORMAT, begin, "a class is not closed");
            break;
        }
        const char *item = in->at;
        uint32_t first = 0, last = 0;
        bool one = true;
        if (cud_gsource_take(in, '\\')) {
            one = read_escape(r, &s, &first);
        } else {
            if (in->end - in->at > 1 && in->at[0] == '[' && strchr(":.=", in->at[1]))
                cud_gsource_fail(in, CUDDLE_E_UNSUPPORTED, item, "a named class [%c is not supported", in->at[1]);
            first = cud_gsource_char(in);
            cud_gset_add(g, &s, first, first);
        }
        if (g->status || !cud_gsource_is(in, '-') || in->end - in->at < 2 || in->at[1] == ']') continue;
        in->at++;
        if (!one) {
            cud_gsource_fail(in, CUDDLE_E_UNSUPPORTED, item, "a range that begins with a class");
        } else if (cud_gsource_take(in, '\\')) {
            if (!read_escape(r, &s, &last)) cud_gsource_fail(in, CUDDLE_E_UNSUPPORTED, item, "a range that ends with a class");
        } else {
            last = cud_gsource_char(in);
        }
        if (!g->status && last < first) cud_gsource_fail(in, CUDDLE_E_FORMAT, item, "a range that ends before it begins");
        cud_gset_add(g, &s, first, last);
    }
    in->at += in->at < in->end;
    cud_gset_invert(g, &s);
    if (!inverted) cud_gset_invert(g, &s); /* back, without the surrogates that a range may go over */
    const gexpr e = g->status ? CUD_G_EMPTY : r->write(g, &s);
    cud_gset_free(&s);
    return e;
}

static gexpr write_one(reader *r, uint32_t first, uint32_t last)
{
    gset s = { 0 };
    cud_gset_add(r->in.g, &s, first, last);
    const gexpr e = r->in.g->status ? CUD_G_EMPTY : r->write(r->in.g, &s);
    cud_gset_free(&s);
    return e;
}

static gexpr write_dot(reader *r)
{
    gset s = { 0 };
    cud_gset_add(r->in.g, &s, '\n', '\n');
    cud_gset_add(r->in.g, &s, '\r', '\r');
    cud_gset_add(r->in.g, &s, 0x2028, 0x2029);
    cud_gset_invert(r->in.g, &s);
    const gexpr e = r->in.g->status ? CUD_G_EMPTY : r->write(r->in.g, &s);
    cud_gset_free(&s);
    return e;
}

/* ---- sequences ---- */

static gexpr read_group(reader *r)
{
    gsource *in = &r->in;
    const char *begin = in->at - 1;
    if (cud_gsource_take(in, '?') && !cud_gsource_take(in, ':')) {
        cud_gsource_fail(in, CUDDLE_E_UNSUPPORTED, begin, "a group (?%.1s is not supported", in->at < in->end ? in->at : "");
        return CUD_G_EMPTY;
    }
    if (cud_gsource_is(in, '*')) {
        cud_gsource_fail(in, CUDDLE_E_UNSUPPORTED, begin, "(* is not supported");
        return CUD_G_EMPTY;
    }
    if (++in->groups > CUD_G_GROUPS) cud_gsource_fail(in, CUDDLE_E_LIMIT, begin, "groups are nested more than %d deep", (int)CUD_G_GROUPS);
    const gexpr e = in->g->status ? CUD_G_EMPTY : read_choice(r, false);
    if (!in->g->status && !cud_gsource_take(in, ')')) cud_gsource_fail(in, CUDDLE_E_FORMAT, begin, "a group is not closed");
    in->groups--;
    return e;
}

static gexpr read_atom(reader *r)
{
    gsource *in = &r->in;
    const char *begin = in->at;
    const uint32_t c = cud_gsource_char(in);
    switch (c) {
    case '(': return read_group(r);
    case '[': return read_class(r);
    case '.': return write_dot(r);
    case '\\': {
        gset s = { 0 };
        uint32_t one;
        read_escape(r, &s, &one);
        cud_gset_tidy(&s);
        const gexpr e = in->g->status ? CUD_G_EMPTY : r->write(in->g, &s);
        cud_gset_free(&s);
        return e;
    }
    case '*': case '+': case '?':
        cud_gsource_fail(in, CUDDLE_E_FORMAT, begin, "nothing is there for %c to repeat", (char)c);
        return CUD_G_EMPTY;
    case '{':
        cud_gsource_fail(in, CUDDLE_E_UNSUPPORTED, begin, "'{' that is no quantifier: write it \\{");
        return CUD_G_EMPTY;
    case '^': case '$':
        cud_gsource_fail(in, CUDDLE_E_UNSUPPORTED, begin, "%c is supported only at the ends", (char)c);
        return CUD_G_EMPTY;
    default: return write_one(r, c, c);
    }
}

static gexpr read_quantified(reader *r)
{
    gsource *in = &r->in;
    const gexpr e = read_atom(r);
    uint32_t min = 1, max = 1;
    const char *begin = in->at;
    if (cud_gsource_take(in, '*')) min = 0, max = CUD_G_UNBOUNDED;
    else if (cud_gsource_take(in, '+')) max = CUD_G_UNBOUNDED;
    else if (cud_gsource_take(in, '?')) min = 0;
    else if (!cud_gsource_take(in, '{')) return e;
    else if (!cud_gsource_times(in, &min, &max)) cud_gsource_fail(in, CUDDLE_E_UNSUPPORTED, begin, "'{' that is no quantifier: write it \\{");
    if (cud_gsource_is(in, '+')) cud_gsource_fail(in, CUDDLE_E_UNSUPPORTED, begin, "a possessive quantifier is not supported");
    cud_gsource_take(in, '?');
    if (in->at < in->end && strchr("*+?{", *in->at)) cud_gsource_fail(in, CUDDLE_E_UNSUPPORTED, in->at, "a quantifier behind a quantifier");
    return in->g->status ? CUD_G_EMPTY : cud_grepeat(in->g, e, min, max);
}

/* One branch. At the top it may begin with ^ and end with $, and does so or not says where it may stand in a text. */
static gexpr read_sequence(reader *r, bool top)
{
    gsource *in = &r->in;
    gsyntax *g = in->g;
    glist list = { 0 };
    const bool begins = top && cud_gsource_take(in, '^');
    bool ends = false;
    const gexpr around = r->match == G_ANYWHERE && top ? cud_grepeat(g, r->any, 0, CUD_G_UNBOUNDED) : CUD_G_EMPTY;
    if (!begins) cud_glist_add(g, &list, around);
    while (!g->status && in->at < in->end && *in->at != '|' && *in->at != ')') {
        if (top && *in->at == '$' && (in->at + 1 == in->end || in->at[1] == '|')) {
            in->at++;
            ends = true;
            break;
        }
        cud_glist_add(g, &list, read_quantified(r));
    }
    if (!ends) cud_glist_add(g, &list, around);
    return cud_glist_sequence(g, &list);
}

static gexpr read_choice(reader *r, bool top)
{
    gsyntax *g = r->in.g;
    glist list = { 0 };
    do cud_glist_add(g, &list, read_sequence(r, top));
    while (!g->status && cud_gsource_take(&r->in, '|'));
    return cud_glist_choice(g, &list);
}

gexpr cud_gregex(gsyntax *g, const char *text, size_t length, gmatch match, gset_fn write, gexpr any, const char *name)
{
    reader r = { .in = { .g = g, .begin = text, .at = text, .end = text + length, .name = name }, .match = match, .write = write, .any = any };
    const gexpr e = read_choice(&r, true);
    if (!g->status && r.in.at < r.in.end) cud_gsource_fail(&r.in, CUDDLE_E_FORMAT, r.in.at, "')' without a group");
    return g->status ? CUD_G_EMPTY : e;
}
