/* Objects, whose members come in the order of "properties", and arrays. */
#include "grammar/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct member { gexpr expr; bool required; } member;

/* Members that may be left out, with commas between those that are there. rest[i] is what may follow once something is written, of members
 * from i on; each is a rule, so that what comes first can be any of them without the rest being written again for each. */
static gexpr ordered(gsyntax *g, const member *m, size_t count, gexpr end)
{
    size_t first_required = 0;
    while (first_required < count && !m[first_required].required) first_required++;
    gexpr *rest = calloc(count + 2, sizeof *rest);
    if (!rest) return cud_gfail(g, CUDDLE_E_NOMEM, "out of memory: %zu bytes for %s", count * sizeof *rest, g->what), CUD_G_EMPTY;
    /* `end` has its comma within. */
    rest[count] = end;
    for (size_t i = count; i-- > 0 && !g->status;) {
        const gexpr one = cud_gpair(g, cud_gjson_comma(g), m[i].expr);
        const uint32_t rule = cud_grule_new(g, "members", 7);
        cud_grule_define(g, rule, cud_gpair(g, m[i].required ? one : cud_goptional(g, one), rest[i + 1]));
        rest[i] = cud_grule_expr(g, rule);
    }
    glist choice = { 0 };
    for (size_t i = 0; i < count && i <= first_required && !g->status; i++) cud_glist_add(g, &choice, cud_gpair(g, m[i].expr, rest[i + 1]));
    free(rest);
    return cud_glist_choice(g, &choice);
}

static bool is_required(const json_t *list, const char *key)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_is_string(json_array_get(list, i)) && strcmp(json_string_value(json_array_get(list, i)), key) == 0) return true;
    return false;
}

static gexpr quoted_key(gschema *s, const char *key)
{
    size_t length;
    char *text = cud_gjson_spell(s->g, key, strlen(key), &length);
    const gexpr e = text ? cud_gtext(s->g, text, length) : CUD_G_EMPTY;
    free(text);
    return e;
}

typedef struct members { member *item; size_t count, room; } members;

static void add_member(gschema *s, members *m, const char *key, gexpr value, bool required)
{
    if (cud_groom(s->g, &m->item, &m->room, m->count, 1, sizeof *m->item))
        m->item[m->count++] = (member){ cud_gjson_member(s->g, quoted_key(s, key), value), required };
}

static void read_members(gschema *s, members *m, json_t *names, const json_t *flat, const char *where)
{
    const json_t *properties = json_object_get(flat, "properties"), *required = json_object_get(flat, "required"), *more = json_object_get(flat, "additionalProperties");
    if (properties && !json_is_object(properties)) cud_schema_fail(s, CUDDLE_E_FORMAT, where, "properties", "expected an object");
    if (required && !json_is_array(required)) cud_schema_fail(s, CUDDLE_E_FORMAT, where, "required", "expected a list");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)properties, key, value)
    {
        char at[CUD_SCHEMA_WHERE];
        snprintf(at, sizeof at, "properties/%.100s", key);
        if (!cud_gstep(s->g, 1 + json_array_size(required))) return;
        add_member(s, m, key, cud_schema_expr(s, value, where, at), is_required(required, key));
        if (json_object_set(names, key, value)) cud_gfail(s->g, CUDDLE_E_NOMEM, "out of memory: a name for %s", s->g->what);
    }
    for (size_t i = 0; i < json_array_size(required) && !s->g->status; i++) { /* required, but not among the properties */
        const char *name = json_string_value(json_array_get(required, i));
        if (!name) {
            cud_schema_fail(s, CUDDLE_E_FORMAT, where, "required", "expected strings");
            return;
        }
        if (json_object_get(names, name)) continue;
        add_member(s, m, name, more ? cud_schema_expr(s, more, where, "additionalProperties") : cud_gjson_value(&s->json), true);
        if (json_object_set_new(names, name, json_true())) cud_gfail(s->g, CUDDLE_E_NOMEM, "out of memory: a name for %s", s->g->what);
    }
}

/* Strings by the schema of "propertyNames". */
static gexpr key_by(gschema *s, json_t *names, const char *where)
{
    const json_t *schema = cud_schema_keep(s, json_pack("{s:[{s:s},O]}", "allOf", "type", "string", names));
    return schema ? cud_schema_expr(s, schema, where, "propertyNames") : CUD_G_EMPTY;
}

gexpr cud_schema_object(gschema *s, const json_t *flat, const char *where)
{
    gsyntax *g = s->g;
    const json_t *more = json_object_get(flat, "additionalProperties");
    json_t *named = json_object_get(flat, "propertyNames");
    const bool limited = json_object_get(flat, "maxProperties") != NULL;
    members m = { 0 };
    json_t *names = json_object();
    if (!names) return cud_gfail(g, CUDDLE_E_NOMEM, "out of memory: names for %s", g->what), CUD_G_EMPTY;
    read_members(s, &m, names, flat, where);
    const bool declared = json_object_get(flat, "properties") != NULL || m.count > 0;
    const bool open = more ? !json_is_false(more) : !declared;
    gexpr e = CUD_G_EMPTY;
    if (!g->status && (limited || named) && (m.count || !open)) {
        cud_schema_fail(s, CUDDLE_E_UNSUPPORTED, where, limited ? "maxProperties" : "propertyNames", "not supported beside \"properties\"");
    } else if (!g->status && open) {
        const gexpr value = more ? cud_schema_expr(s, more, where, "additionalProperties") : cud_gjson_value(&s->json);
        const gexpr key = named ? key_by(s, named, where) : m.count ? cud_schema_other_key(s, names) : cud_gjson_string(&s->json);
        const gexpr other = cud_gjson_member(g, key, value);
        const int64_t most = cud_schema_count(s, flat, where, "maxProperties", -1);
        if (m.count == 0) {
            e = cud_gjson_list(g, "{", other, 0, most < 0 ? CUD_G_UNBOUNDED : (uint32_t)most, "}");
        } else {
            const gexpr others = cud_grepeat(g, cud_gpair(g, cud_gjson_comma(g), other), 0, CUD_G_UNBOUNDED);
            gexpr inner = ordered(g, m.item, m.count, others);
            bool none_required = true;
            for (size_t i = 0; i < m.count; i++) none_required = none_required && !m.item[i].required;
            if (none_required) inner = cud_goptional(g, cud_geither(g, inner, cud_gpair(g, other, others)));
            e = cud_gsequence(g, (const gexpr[]){ cud_gstring(g, "{"), inner, cud_gstring(g, "}") }, 3);
        }
    } else if (!g->status) {
        gexpr inner = ordered(g, m.item, m.count, CUD_G_EMPTY);
        bool none_required = true;
        for (size_t i = 0; i < m.count; i++) none_required = none_required && !m.item[i].required;
        if (none_required) inner = cud_goptional(g, inner);
        e = cud_gsequence(g, (const gexpr[]){ cud_gstring(g, "{"), inner, cud_gstring(g, "}") }, 3);
    }
    g->memory -= m.room * sizeof *m.item;
    free(m.item);
    json_decref(names);
    return e;
}

gexpr cud_schema_array(gschema *s, const json_t *flat, const char *where)
{
    gsyntax *g = s->g;
    const json_t *items = json_object_get(flat, "items"), *prefix = json_object_get(flat, "prefixItems");
    const int64_t min = cud_schema_count(s, flat, where, "minItems", 0), max = cud_schema_count(s, flat, where, "maxItems", -1);
    if (json_is_array(items)) return cud_schema_fail(s, CUDDLE_E_UNSUPPORTED, where, "items", "a list is not supported: write it as prefixItems"), CUD_G_EMPTY;
    if (prefix && !json_is_array(prefix)) return cud_schema_fail(s, CUDDLE_E_FORMAT, where, "prefixItems", "expected a list"), CUD_G_EMPTY;
    if (max >= 0 && min > max) return CUD_G_NEVER;
    const int64_t first = (int64_t)json_array_size(prefix), ahead = max >= 0 && max < first ? max : first;
    const bool open = items ? !json_is_false(items) : ahead == 0 || min > ahead;
    const gexpr item = !open ? CUD_G_NEVER : items ? cud_schema_expr(s, items, where, "items") : cud_gjson_value(&s->json);
    const gexpr comma = cud_gjson_comma(g);
    if (ahead == 0) return cud_gjson_list(g, "[", item, (uint32_t)min, max < 0 ? CUD_G_UNBOUNDED : (uint32_t)max, "]");
    /* What follows element i - 1, from the last one on. */
    const uint32_t least = min > ahead ? (uint32_t)(min - ahead) : 0, most = max < 0 ? CUD_G_UNBOUNDED : (uint32_t)(max - ahead);
    gexpr rest = open || least ? cud_grepeat(g, cud_gpair(g, comma, item), least, most) : CUD_G_EMPTY;
    for (int64_t i = ahead; i-- > 0 && !g->status;) {
        char at[CUD_SCHEMA_WHERE];
        snprintf(at, sizeof at, "prefixItems/%lld", (long long)i);
        const gexpr one = cud_schema_expr(s, json_array_get(prefix, (size_t)i), where, at);
        const gexpr with = cud_gsequence(g, (const gexpr[]){ i ? comma : CUD_G_EMPTY, one, rest }, 3);
        const uint32_t rule = cud_grule_new(g, "items", 5);
        cud_grule_define(g, rule, i < min ? with : cud_goptional(g, with));
        rest = cud_grule_expr(g, rule);
    }
    return cud_gsequence(g, (const gexpr[]){ cud_gstring(g, "["), rest, cud_gstring(g, "]") }, 3);
}
