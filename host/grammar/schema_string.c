/* Strings of a schema: lengths, patterns, formats, and keys that are none of a list. */
#include "grammar/schema.h"

#include "core/utf8.h"

#include <stdlib.h>
#include <string.h>

int64_t cud_schema_count(gschema *s, const json_t *flat, const char *where, const char *key, int64_t missing)
{
    const json_t *v = json_object_get(flat, key);
    if (!v) return missing;
    const int64_t value = json_is_integer(v) ? json_integer_value(v) : json_is_real(v) && json_real_value(v) >= 0 && json_real_value(v) < 1e9 ? (int64_t)json_real_value(v) : -1;
    if (value < 0) cud_schema_fail(s, CUDDLE_E_FORMAT, where, key, "expected a whole number that is not negative");
    else if (value > 1000000000) cud_schema_fail(s, CUDDLE_E_LIMIT, where, key, "expected at most 10^9");
    return s->g->status ? 0 : value;
}

/* Some valid values of each, not all: years from 1000 on, no February 29, addresses without quotes. */
#define DATE "[1-9][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
#define TIME "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
static const struct { const char *name, *regex; } formats[] = {
    { "date", DATE },
    { "time", TIME },
    { "date-time", DATE "T" TIME },
    { "uuid", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}" },
    { "email", "[A-Za-z0-9_%+-]{1,24}(\\.[A-Za-z0-9_%+-]{1,16}){0,2}@([a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?\\.){1,3}[a-z]{2,12}" },
    { "ipv4", BYTE "\\." BYTE "\\." BYTE "\\." BYTE },
};

static gexpr formatted(gschema *s, const json_t *value, const char *where)
{
    const char *name = json_string_value(value);
    for (size_t i = 0; name && i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].name, name) == 0)
            return cud_gjson_quoted(s->g, cud_gregex(s->g, formats[i].regex, strlen(formats[i].regex), G_WHOLE, cud_gset, CUD_G_EMPTY, name));
    cud_schema_fail(s, CUDDLE_E_UNSUPPORTED, where, "format", "\"%.60s\" is not supported", name ? name : "?");
    return CUD_G_EMPTY;
}

gexpr cud_schema_string(gschema *s, const json_t *flat, const char *where)
{
    gsyntax *g = s->g;
    const json_t *pattern = json_object_get(flat, "pattern"), *format = json_object_get(flat, "format");
    const bool bounded = json_object_get(flat, "minLength") || json_object_get(flat, "maxLength");
    if ((pattern != NULL) + (format != NULL) + bounded > 1)
        return cud_schema_fail(s, CUDDLE_E_UNSUPPORTED, where, pattern ? "pattern" : "format", "not supported beside a length or another of its kind"), CUD_G_EMPTY;
    if (format) return formatted(s, format, where);
    if (pattern) {
        char name[CUD_SCHEMA_WHERE];
        if (!json_is_string(pattern)) return cud_schema_fail(s, CUDDLE_E_FORMAT, where, "pattern", "expected a string"), CUD_G_EMPTY;
        snprintf(name, sizeof name, "schema %.120s/pattern", where);
        return cud_gjson_quoted(g, cud_gregex(g, json_string_value(pattern), json_string_length(pattern), G_ANYWHERE, cud_gjson_chars, cud_gjson_char(g), name));
    }
    if (!bounded) return cud_gjson_string(&s->json);
    const int64_t min = cud_schema_count(s, flat, where, "minLength", 0), max = cud_schema_count(s, flat, where, "maxLength", -1);
    if (max >= 0 && min > max) return CUD_G_NEVER;
    return cud_gjson_quoted(g, cud_grepeat(g, cud_gjson_char(g), (uint32_t)min, max < 0 ? CUD_G_UNBOUNDED : (uint32_t)max));
}

/* ---- keys that are none of a list: along the beginnings of those ---- */

static int by_text(const void *a, const void *b)
{
    const gword *x = a, *y = b;
    const int order = memcmp(x->text, y->text, x->length < y->length ? x->length : y->length);
    return order ? order : x->length < y->length ? -1 : x->length > y->length;
}

/* What may follow the first `from` bytes, which the words have in common, so that the whole is none of them. */
static gexpr other(gschema *s, const gword *word, size_t count, size_t from)
{
    gsyntax *g = s->g;
    enum { LONGEST = 128 };
    if (from > LONGEST) cud_gfail(g, CUDDLE_E_LIMIT, "schema: property names that are alike for more than %d bytes, beside additionalProperties", (int)LONGEST);
    if (!cud_gstep(g, 1)) return CUD_G_EMPTY;
    if (count == 1 && from > 0 && word->length > LONGEST) cud_gfail(g, CUDDLE_E_LIMIT, "schema: a property name of %zu bytes beside additionalProperties, expected at most %d", word->length, (int)LONGEST);
    glist choice = { 0 };
    gset next = { 0 };
    size_t i = 0;
    while (i < count && word[i].length == from) i++;
    if (i == 0) cud_glist_add(g, &choice, CUD_G_EMPTY);
    while (i < count && !g->status) {
        size_t size, end = i + 1;
        const uint32_t c = (uint32_t)cud_utf8_decode(word[i].text + from, &size);
        while (end < count && word[end].length >= from + size && memcmp(word[end].text + from, word[i].text + from, size) == 0) end++;
        gset one = { 0 };
        cud_gset_add(g, &one, c, c);
        cud_gset_add(g, &next, c, c);
        if (!g->status) cud_glist_add(g, &choice, cud_gpair(g, cud_gjson_chars(g, &one), other(s, word + i, end - i, from + size)));
        cud_gset_free(&one);
        i = end;
    }
    cud_gset_invert(g, &next);
    if (!g->status) {
        const gexpr any = cud_grepeat(g, cud_gjson_char(g), 0, CUD_G_UNBOUNDED);
        cud_glist_add(g, &choice, cud_gpair(g, cud_gjson_chars(g, &next), any));
    }
    cud_gset_free(&next);
    return cud_glist_choice(g, &choice);
}

gexpr cud_schema_other_key(gschema *s, const json_t *keys)
{
    gsyntax *g = s->g;
    const size_t count = json_object_size(keys);
    gword *word = NULL;
    size_t room = 0, words = 0;
    if (!cud_groom(g, &word, &room, 0, count + 1, sizeof *word)) return CUD_G_EMPTY;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)keys, key, value) word[words++] = (gword){ key, strlen(key) };
    qsort(word, words, sizeof *word, by_text);
    const gexpr e = cud_gjson_quoted(g, other(s, word, words, 0));
    g->memory -= room * sizeof *word;
    free(word);
    return e;
}
