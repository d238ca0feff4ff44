#include "grammar/json.h"

#include "core/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- strings ---- */

static size_t spell_char(char out[8], uint32_t c)
{
    const char *at = c ? strchr("\"\\\b\f\n\r\t", (int)(c < 0x80 ? c : 0x80)) : NULL;
    if (at && *at) return (size_t)snprintf(out, 8, "\\%c", "\"\\bfnrt"[at - "\"\\\b\f\n\r\t"]);
    if (c < 0x20) return (size_t)snprintf(out, 8, "\\u%04x", c);
    return cud_utf8_encode(out, (int32_t)c);
}

char *cud_gjson_spell(gsyntax *g, const char *text, size_t length, size_t *spelled)
{
    char *out = malloc(6 * length + 3);
    if (!out) {
        cud_gfail(g, CUDDLE_E_NOMEM, "out of memory: %zu bytes for %s", 6 * length + 3, g->what);
        return NULL;
    }
    size_t used = 0, size;
    out[used++] = '"';
    for (size_t at = 0; at < length; at += size) {
        char one[8];
        const size_t bytes = spell_char(one, (uint32_t)cud_utf8_decode(text + at, &size));
        memcpy(out + used, one, bytes);
        used += bytes;
    }
    out[used++] = '"';
    out[used] = 0;
    *spelled = used;
    return out;
}

gexpr cud_gjson_chars(gsyntax *g, const gset *s)
{
    char text[0x20 + 2][8];
    gword word[0x20 + 2];
    size_t words = 0;
    for (uint32_t c = 1; c <= '\\'; c++) {
        if ((c >= 0x20 && c != '"' && c != '\\') || !cud_gset_has(s, c)) continue;
        word[words] = (gword){ text[words], spell_char(text[words], c) };
        words++;
    }
    gset plain = { 0 };
    cud_gset_add_set(g, &plain, s);
    if (g->status) {
        cud_gset_free(&plain);
        return CUD_G_EMPTY;
    }
    cud_gset_invert(g, &plain); /* without those: added to what is not in it */
    cud_gset_add(g, &plain, 0, 0x1f);
    cud_gset_add(g, &plain, '"', '"');
    cud_gset_add(g, &plain, '\\', '\\');
    cud_gset_invert(g, &plain);
    const gexpr e = g->status ? CUD_G_EMPTY : cud_gset(g, &plain);
    cud_gset_free(&plain);
    return words ? cud_geither(g, e, cud_gwords(g, word, words)) : e;
}

gexpr cud_gjson_char(gsyntax *g)
{
    gset all = { 0 };
    cud_gset_invert(g, &all);
    const gexpr e = g->status ? CUD_G_EMPTY : cud_gjson_chars(g, &all);
    cud_gset_free(&all);
    return e;
}

gexpr cud_gjson_quoted(gsyntax *g, gexpr chars)
{
    const gexpr quote = cud_gstring(g, "\"");
    return cud_gsequence(g, (const gexpr[]){ quote, chars, quote }, 3);
}

/* ---- signs ---- */

static gexpr sign(gsyntax *g, const char *text) { return cud_gpair(g, cud_gstring(g, text), cud_goptional(g, cud_gstring(g, " "))); }
gexpr cud_gjson_comma(gsyntax *g) { return sign(g, ","); }
gexpr cud_gjson_colon(gsyntax *g) { return sign(g, ":"); }

gexpr cud_gjson_member(gsyntax *g, gexpr key, gexpr value) { return cud_gsequence(g, (const gexpr[]){ key, cud_gjson_colon(g), value }, 3); }

gexpr cud_gjson_list(gsyntax *g, const char *open, gexpr item, uint32_t min, uint32_t max, const char *close)
{
    gexpr inner = CUD_G_EMPTY;
    if (max > 0) {
        const gexpr more = cud_grepeat(g, cud_gpair(g, cud_gjson_comma(g), item), min ? min - 1 : 0, max == CUD_G_UNBOUNDED ? max : max - 1);
        inner = cud_gpair(g, item, more);
        if (min == 0) inner = cud_goptional(g, inner);
    }
    return cud_gsequence(g, (const gexpr[]){ cud_gstring(g, open), inner, cud_gstring(g, close) }, 3);
}

/* ---- values ---- */

gexpr cud_gjson_digits(gsyntax *g, uint32_t min, uint32_t max)
{
    gset digits = { 0 };
    cud_gset_add(g, &digits, '0', '9');
    const gexpr e = g->status ? CUD_G_EMPTY : cud_grepeat(g, cud_gset(g, &digits), min, max);
    cud_gset_free(&digits);
    return e;
}

static gexpr regex(gsyntax *g, const char *text) { return cud_gregex(g, text, strlen(text), G_WHOLE, cud_gset, CUD_G_EMPTY, g->what); }

/* The rule of a kind, and whether it is still to be defined. */
static bool rule(gjson *j, uint32_t *index, const char *name)
{
    if (*index || j->g->status) return false;
    *index = cud_grule_new(j->g, name, strlen(name));
    return !j->g->status;
}

gexpr cud_gjson_string(gjson *j)
{
    if (rule(j, &j->string, "any string"))
        cud_grule_define(j->g, j->string, cud_gjson_quoted(j->g, cud_grepeat(j->g, cud_gjson_char(j->g), 0, CUD_G_UNBOUNDED)));
    return cud_grule_expr(j->g, j->string);
}

gexpr cud_gjson_integer(gjson *j)
{
    if (rule(j, &j->integer, "any integer")) cud_grule_define(j->g, j->integer, regex(j->g, "-?(0|[1-9][0-9]{0,17})"));
    return cud_grule_expr(j->g, j->integer);
}

gexpr cud_gjson_number(gjson *j)
{
    if (rule(j, &j->number, "any number"))
        cud_grule_define(j->g, j->number, regex(j->g, "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,16})?([eE][+-]?[0-9]{1,2})?"));
    return cud_grule_expr(j->g, j->number);
}

gexpr cud_gjson_array(gjson *j)
{
    if (rule(j, &j->array, "any array")) cud_grule_define(j->g, j->array, cud_gjson_list(j->g, "[", cud_gjson_value(j), 0, CUD_G_UNBOUNDED, "]"));
    return cud_grule_expr(j->g, j->array);
}

gexpr cud_gjson_object(gjson *j)
{
    if (rule(j, &j->object, "any object")) {
        const gexpr member = cud_gjson_member(j->g, cud_gjson_string(j), cud_gjson_value(j));
        cud_grule_define(j->g, j->object, cud_gjson_list(j->g, "{", member, 0, CUD_G_UNBOUNDED, "}"));
    }
    return cud_grule_expr(j->g, j->object);
}

gexpr cud_gjson_value(gjson *j)
{
    gsyntax *g = j->g;
    if (rule(j, &j->value, "any value")) {
        const gexpr kinds[] = { cud_gjson_object(j), cud_gjson_array(j), cud_gjson_string(j), cud_gjson_number(j), cud_gstring(g, "true"),
                                cud_gstring(g, "false"), cud_gstring(g, "null") };
        cud_grule_define(g, j->value, cud_gchoice(g, kinds, sizeof kinds / sizeof *kinds));
    }
    return cud_grule_expr(g, j->value);
}

void cud_gjson(gsyntax *g)
{
    gjson j = { .g = g };
    cud_grule_define(g, 0, cud_gjson_object(&j));
}
