#include "grammar/schema.h"

#include "format/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cud_schema_fail(gschema *s, cuddle_status status, const char *where, const char *key, const char *format, ...)
{
    char text[160];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return cud_gfail(s->g, status, "schema %s%s%s: %s", where, key ? "/" : "", key ? key : "", text);
}

/* ---- keywords ---- */

static bool is_one_of(const char *key, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(key, *list) == 0) return true;
    return false;
}

static bool check_keywords(gschema *s, const json_t *flat, const char *where)
{
    static const char *const known[] = { "type", "enum", "const", "properties", "required", "additionalProperties", "maxProperties", "minProperties", "propertyNames",
                                         "items", "prefixItems", "minItems", "maxItems", "uniqueItems", "minLength", "maxLength", "pattern", "format",
                                         "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "anyOf", "oneOf", "nullable", NULL };
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)flat, key, value)
        if (!is_one_of(key, known) && !cud_schema_says_nothing(key))
            return cud_schema_fail(s, CUDDLE_E_UNSUPPORTED, where, key, "this keyword is not supported");
    if (json_is_true(json_object_get(flat, "uniqueItems")))
        return cud_schema_fail(s, CUDDLE_E_UNSUPPORTED, where, "uniqueItems", "this keyword is not supported");
    if (cud_schema_count(s, flat, where, "minProperties", 0) > 0)
        return cud_schema_fail(s, CUDDLE_E_UNSUPPORTED, where, "minProperties", "this keyword is not supported");
    const json_t *multiple = json_object_get(flat, "multipleOf");
    if (multiple && !(json_is_integer(multiple) && json_integer_value(multiple) == 1 && cud_schema_types(s, flat, where) == T_INTEGER))
        return cud_schema_fail(s, CUDDLE_E_UNSUPPORTED, where, "multipleOf", "only 1, of integers, is supported");
    return !s->g->status;
}

/* Keywords that say something about values of one type only. */
static unsigned types_meant(const json_t *flat)
{
    static const struct { unsigned types; const char *keys[8]; } meant[] = {
        { T_OBJECT, { "properties", "required", "additionalProperties", "maxProperties", "propertyNames", NULL } },
        { T_ARRAY, { "items", "prefixItems", "minItems", "maxItems", NULL } },
        { T_STRING, { "minLength", "maxLength", "pattern", "format", NULL } },
        { T_INTEGER | T_NUMBER, { "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", NULL } },
    };
    unsigned types = 0;
    for (size_t i = 0; i < sizeof meant / sizeof *meant; i++)
        for (const char *const *key = meant[i].keys; *key; key++)
            if (json_object_get(flat, *key)) types |= meant[i].types;
    return types ? types : T_ALL;
}

/* ---- numbers ---- */

static bool read_bound(gbound *out, gschema *s, const json_t *flat, const char *where, const char *key, bool open, bool whole, int round)
{
    const json_t *v = json_object_get(flat, key);
    if (!v) return true;
    double value = json_number_value(v);
    if (!json_is_number(v)) return cud_schema_fail(s, CUDDLE_E_FORMAT, where, key, "expected a number");
    if (!json_is_integer(v) && floor(value) < value) {
        if (!whole) return cud_schema_fail(s, CUDDLE_E_UNSUPPORTED, where, key, "%g: of numbers only whole bounds are supported", value);
        value = round > 0 ? ceil(value) : floor(value);
        open = false; /* the rounded one is allowed */
    }
    gbound b = { true, open, 0 };
    if (json_is_integer(v)) b.value = json_integer_value(v);
    else b.value = value > 1e18 ? INT64_MAX : value < -1e18 ? INT64_MIN : (int64_t)value;
    if (b.value > CUD_G_LARGEST + 1) b.value = CUD_G_LARGEST + 1;
    if (b.value < -CUD_G_LARGEST - 1) b.value = -CUD_G_LARGEST - 1;
    if (out->given) { /* the tighter one of two */
        const bool tighter = round > 0 ? b.value > out->value : b.value < out->value;
        if (!tighter && !(b.value == out->value && b.open)) return true;
    }
    *out = b;
    return true;
}

static gexpr numbers(gschema *s, const json_t *flat, const char *where, unsigned types)
{
    gsyntax *g = s->g;
    gbound low = { 0 }, high = { 0 };
    const bool whole = !(types & T_NUMBER);
    if (!read_bound(&low, s, flat, where, "minimum", false, whole, 1) || !read_bound(&low, s, flat, where, "exclusiveMinimum", true, whole, 1) ||
        !read_bound(&high, s, flat, where, "maximum", false, whole, -1) || !read_bound(&high, s, flat, where, "exclusiveMaximum", true, whole, -1))
        return CUD_G_EMPTY;
    if (!low.given && !high.given) return whole ? cud_gjson_integer(&s->json) : cud_gjson_number(&s->json);
    if (!whole) return cud_gjson_between(g, low, high);
    return cud_gjson_range(g, low.given ? low.value + low.open : -CUD_G_LARGEST, high.given ? high.value - high.open : CUD_G_LARGEST);
}

/* ---- values that are given ---- */

static gexpr literal(gschema *s, const json_t *value)
{
    gsyntax *g = s->g;
    char number[40];
    switch (json_typeof(value)) {
    case JSON_NULL: return cud_gstring(g, "null");
    case JSON_TRUE: return cud_gstring(g, "true");
    case JSON_FALSE: return cud_gstring(g, "false");
    case JSON_INTEGER: snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value)); return cud_gstring(g, number);
    case JSON_REAL: snprintf(number, sizeof number, "%.17g", json_real_value(value)); return cud_gstring(g, number);
    case JSON_STRING: {
        size_t length;
        char *text = cud_gjson_spell(g, json_string_value(value), json_string_length(value), &length);
        const gexpr e = text ? cud_gtext(g, text, length) : CUD_G_EMPTY;
        free(text);
        return e;
    }
    case JSON_ARRAY:
    case JSON_OBJECT: break;
    }
    const bool array = json_is_array(value);
    glist list = { 0 };
    cud_glist_add(g, &list, cud_gstring(g, array ? "[" : "{"));
    const char *key;
    json_t *member;
    size_t count = 0;
    for (size_t i = 0; array && i < json_array_size(value); i++) {
        if (count++) cud_glist_add(g, &list, cud_gjson_comma(g));
        cud_glist_add(g, &list, literal(s, json_array_get(value, i)));
    }
    json_object_foreach(array ? NULL : (json_t *)(uintptr_t)value, key, member)
    {
        size_t length;
        char *text = cud_gjson_spell(g, key, strlen(key), &length);
        if (count++) cud_glist_add(g, &list, cud_gjson_comma(g));
        if (text) cud_glist_add(g, &list, cud_gjson_member(g, cud_gtext(g, text, length), literal(s, member)));
        free(text);
    }
    cud_glist_add(g, &list, cud_gstring(g, array ? "]" : "}"));
    return cud_glist_sequence(g, &list);
}

/* Does a given value match what else the schema says? */
static bool value_fits(gschema *s, const json_t *flat, const json_t *value, unsigned types, const char *where)
{
    static const char *const beside[] = { "pattern", "format", "properties", "required", "additionalProperties", "maxProperties", "items", "prefixItems",
                                          "minItems", "maxItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", NULL };
    for (const char *const *key = beside; *key; key++)
        if (json_object_get(flat, *key)) return cud_schema_fail(s, CUDDLE_E_UNSUPPORTED, where, *key, "not supported beside \"enum\" or \"const\"");
    return (cud_schema_type_of(value) & types) != 0;
}

static gexpr given_values(gschema *s, const json_t *flat, unsigned types, const char *where)
{
    gsyntax *g = s->g;
    const json_t *one = json_object_get(flat, "const"), *list = json_object_get(flat, "enum");
    const size_t count = one ? 1 : json_array_size(list);
    gword *word = NULL;
    size_t room = 0, words = 0;
    glist others = { 0 };
    if (!one && !json_is_array(list)) cud_schema_fail(s, CUDDLE_E_FORMAT, where, "enum", "expected a list");
    cud_groom(g, &word, &room, 0, count + 1, sizeof *word);
    for (size_t i = 0; i < count && !g->status; i++) {
        const json_t *value = one ? one : json_array_get(list, i);
        if (!value_fits(s, flat, value, types, where)) continue;
        if (json_is_string(value)) {
            word[words].text = cud_gjson_spell(g, json_string_value(value), json_string_length(value), &word[words].length);
            words += word[words].text != NULL;
        } else {
            cud_glist_add(g, &others, literal(s, value));
        }
    }
    if (words && !g->status) cud_glist_add(g, &others, cud_gwords(g, word, words));
    for (size_t i = 0; i < words; i++) free((char *)(uintptr_t)word[i].text);
    g->memory -= room * sizeof *word;
    free(word);
    return cud_glist_choice(g, &others);
}

/* ---- a schema ---- */

static gexpr branches(gschema *s, const json_t *flat, const char *where, const char *key)
{
    gsyntax *g = s->g;
    const json_t *list = json_object_get(flat, key);
    const size_t count = json_array_size(list);
    glist choice = { 0 };
    if (!count) cud_schema_fail(s, CUDDLE_E_FORMAT, where, key, "expected a list that is not empty");
    if (json_object_get(flat, "anyOf") && json_object_get(flat, "oneOf")) cud_schema_fail(s, CUDDLE_E_UNSUPPORTED, where, key, "anyOf and oneOf together are not supported");
    json_t *rest = cud_schema_keep(s, json_copy((json_t *)(uintptr_t)flat));
    bool alone = true;
    if (rest) json_object_del(rest, key);
    const char *name;
    json_t *value;
    if (rest) json_object_foreach(rest, name, value) alone = alone && cud_schema_says_nothing(name);
    for (size_t i = 0; i < count && !g->status; i++) {
        char at[CUD_SCHEMA_WHERE];
        snprintf(at, sizeof at, "%s/%zu", key, i);
        const json_t *branch = json_array_get(list, i);
        for (size_t k = 0; k < i && strcmp(key, "oneOf") == 0 && !g->status; k++)
            if (cud_gstep(g, 10) && !cud_schema_disjoint(s, json_array_get(list, k), branch, where, 0))
                cud_schema_fail(s, CUDDLE_E_UNSUPPORTED, where, key, "a value could match both %zu and %zu as far as can be told: only branches that exclude each other are supported, or anyOf", k, i);
        if (!alone) branch = cud_schema_keep(s, json_pack("{s:[O,O]}", "allOf", rest, (json_t *)(uintptr_t)branch));
        if (branch) cud_glist_add(g, &choice, cud_schema_expr(s, branch, where, at));
    }
    return cud_glist_choice(g, &choice);
}

static gexpr of_types(gschema *s, const json_t *flat, unsigned types, const char *where)
{
    gsyntax *g = s->g;
    glist choice = { 0 };
    if (types == T_ALL && types_meant(flat) == T_ALL) return cud_gjson_value(&s->json);
    if (types & T_NULL) cud_glist_add(g, &choice, cud_gstring(g, "null"));
    if (types & T_BOOLEAN) cud_glist_add(g, &choice, cud_geither(g, cud_gstring(g, "true"), cud_gstring(g, "false")));
    if (types & (T_INTEGER | T_NUMBER)) cud_glist_add(g, &choice, numbers(s, flat, where, types));
    if (types & T_STRING) cud_glist_add(g, &choice, cud_schema_string(s, flat, where));
    if (types & T_OBJECT) cud_glist_add(g, &choice, cud_schema_object(s, flat, where));
    if (types & T_ARRAY) cud_glist_add(g, &choice, cud_schema_array(s, flat, where));
    return cud_glist_choice(g, &choice);
}

static gexpr body(gschema *s, const json_t *schema, const char *where)
{
    if (json_is_true(schema)) return cud_gjson_value(&s->json);
    if (json_is_false(schema)) return CUD_G_NEVER;
    if (!json_is_object(schema)) return cud_schema_fail(s, CUDDLE_E_FORMAT, where, NULL, "expected an object, true or false"), CUD_G_EMPTY;
    if (json_object_get(schema, "$ref")) { /* alone, as it mostly is, it stays a reference: then it may be recursive */
        bool alone = true;
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)schema, key, value) alone = alone && (strcmp(key, "$ref") == 0 || cud_schema_says_nothing(key));
        const json_t *target = alone ? cud_schema_target(s, schema, where) : NULL;
        if (target) return cud_schema_expr(s, target, json_string_value(json_object_get(schema, "$ref")), NULL);
    }
    const json_t *flat = s->g->status ? NULL : cud_schema_flatten(s, schema, where, 0);
    if (!flat) return CUD_G_EMPTY;
    if (!json_is_object(flat)) return json_is_true(flat) ? cud_gjson_value(&s->json) : CUD_G_NEVER;
    if (!check_keywords(s, flat, where)) return CUD_G_EMPTY;
    if (json_object_get(flat, "anyOf")) return branches(s, flat, where, "anyOf");
    if (json_object_get(flat, "oneOf")) return branches(s, flat, where, "oneOf");
    const bool given = json_object_get(flat, "const") || json_object_get(flat, "enum");
    unsigned types = cud_schema_types(s, flat, where);
    if (given) return given_values(s, flat, types, where);
    if (types == T_ALL) types = types_meant(flat);
    return of_types(s, flat, types, where);
}

/* ---- rules ---- */

static size_t slot_of(const gschema *s, const json_t *schema)
{
    size_t at = (size_t)(((uint64_t)(uintptr_t)schema * 0x9e3779b97f4a7c15u) >> 20) & (s->slots - 1);
    while (s->slot[at] && s->job[s->slot[at] - 1].schema != schema) at = (at + 1) & (s->slots - 1);
    return at;
}

static bool grow_slots(gschema *s)
{
    if (2 * (s->jobs + 1) <= s->slots) return true;
    uint32_t *fresh = calloc(s->slots ? s->slots * 2 : 64, sizeof *fresh);
    if (!fresh) return cud_gfail(s->g, CUDDLE_E_NOMEM, "out of memory: %zu bytes for %s", s->slots * 2 * sizeof *fresh, s->g->what);
    free(s->slot);
    s->slot = fresh;
    s->slots = s->slots ? s->slots * 2 : 64;
    for (size_t i = 0; i < s->jobs; i++) s->slot[slot_of(s, s->job[i].schema)] = (uint32_t)i + 1;
    return true;
}

gexpr cud_schema_expr(gschema *s, const json_t *schema, const char *where, const char *key)
{
    gsyntax *g = s->g;
    char name[CUD_SCHEMA_WHERE];
    if (!cud_gstep(g, 20) || !grow_slots(s)) return CUD_G_EMPTY;
    if (json_is_boolean(schema)) return body(s, schema, where); /* jansson has one of each */
    const size_t at = slot_of(s, schema);
    if (s->slot[at]) return cud_grule_expr(g, s->job[s->slot[at] - 1].rule);
    snprintf(name, sizeof name, "%s%s%s", where, key ? "/" : "", key ? key : "");
    const uint32_t rule = s->jobs ? cud_grule_new(g, name, strlen(name)) : 0;
    if (!cud_groom(g, &s->job, &s->job_room, s->jobs, 1, sizeof *s->job)) return CUD_G_EMPTY;
    s->job[s->jobs++] = (gschema_job){ schema, rule };
    s->slot[at] = (uint32_t)s->jobs;
    return cud_grule_expr(g, rule);
}

void cud_gschema(gsyntax *g, const char *text, size_t length)
{
    gschema s = { .g = g, .json = { .g = g }, .made = json_array() };
    cuddle_error *err = g->err;
    if (!g->status) memcpy(g->rule[0].name, "#", 2);
    const cuddle_status status = s.made ? cud_json_parse(&s.root, text, length, "schema", err) : cud_nomem(err, sizeof(json_t), g->what);
    if (status) g->status = status;
    else cud_schema_expr(&s, s.root, "#", NULL);
    for (; s.done < s.jobs && !g->status; s.done++) {
        const gschema_job job = s.job[s.done];
        char where[CUD_SCHEMA_WHERE];
        snprintf(where, sizeof where, "%s", job.rule ? g->rule[job.rule].name : "#");
        cud_grule_define(g, job.rule, body(&s, job.schema, where));
    }
    free(s.job);
    free(s.slot);
    json_decref(s.made);
    json_decref(s.root);
}
