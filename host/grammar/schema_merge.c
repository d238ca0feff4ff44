/* Schemas that hold together, as one; which types a schema is about; and whether two can be told apart. */
#include "grammar/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MERGE_DEPTH = 32 };

json_t *cud_schema_keep(gschema *s, json_t *owned)
{
    if (!owned || json_array_append_new(s->made, owned)) {
        cud_gfail(s->g, CUDDLE_E_NOMEM, "out of memory: %zu bytes for %s", sizeof(json_t), s->g->what);
        return NULL;
    }
    return cud_gstep(s->g, 200 + 20 * json_object_size(owned)) ? owned : NULL;
}

bool cud_schema_says_nothing(const char *key)
{
    static const char *const list[] = { "title", "description", "default", "examples", "example", "$comment", "$schema", "$id", "$defs", "definitions",
                                        "deprecated", "readOnly", "writeOnly", NULL };
    for (const char *const *k = list; *k; k++)
        if (strcmp(*k, key) == 0) return true;
    return false;
}

/* ---- $ref ---- */

static int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; }

/* The next part of a JSON pointer in a URL fragment, decoded; *at moves behind it. */
static bool pointer_part(char *out, size_t size, const char **at)
{
    size_t used = 0;
    for (++*at; **at && **at != '/'; ++*at) {
        char c = **at;
        if (c == '%') {
            if (hex((*at)[1]) < 0 || hex((*at)[2]) < 0) return false;
            c = (char)(hex((*at)[1]) * 16 + hex((*at)[2]));
            *at += 2;
        }
        if (c == '~') {
            ++*at;
            if (**at != '0' && **at != '1') return false;
            c = **at == '0' ? '~' : '/';
        }
        if (!c || used + 1 == size) return false;
        out[used++] = c;
    }
    out[used] = 0;
    return true;
}

const json_t *cud_schema_target(gschema *s, const json_t *schema, const char *where)
{
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    if (!cud_gstep(s->g, 10)) return NULL;
    if (!ref || ref[0] != '#' || (ref[1] && ref[1] != '/')) {
        cud_schema_fail(s, CUDDLE_E_UNSUPPORTED, where, "$ref", "\"%.80s\": only references within the document, #/..., are supported", ref ? ref : "?");
        return NULL;
    }
    const json_t *at = s->root;
    for (const char *p = ref + 1; *p && at;) {
        char part[256];
        if (!pointer_part(part, sizeof part, &p)) at = NULL;
        else if (json_is_array(at)) {
            char *end;
            const unsigned long index = strtoul(part, &end, 10);
            at = *part && !*end ? json_array_get(at, index) : NULL;
        } else {
            at = json_object_get(at, part);
        }
    }
    if (!at) cud_schema_fail(s, CUDDLE_E_FORMAT, where, "$ref", "there is no \"%.80s\"", ref);
    return at;
}

/* ---- merging ---- */

static bool is_bound(const char *key, bool *largest)
{
    static const char *const keys[] = { "minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0) return *largest = i < 5, true;
    return false;
}

static json_t *all_of(json_t *a, json_t *b)
{
    if (json_is_true(a)) return json_incref(b);
    if (json_is_true(b) || a == b) return json_incref(a);
    if (json_is_false(a) || json_is_false(b)) return json_false();
    return json_pack("{s:[O,O]}", "allOf", a, b);
}

/* Work on each of one with each of another. */
static bool pairs(gschema *s, const json_t *a, const json_t *b) { return cud_gstep(s->g, 1 + (uint64_t)json_array_size(a) * (uint64_t)json_array_size(b)); }

/* The types that both lists have; "number" has the integers. */
static json_t *common_types(const json_t *a, const json_t *b)
{
    json_t *out = json_array();
    const size_t na = json_is_array(a) ? json_array_size(a) : 1, nb = json_is_array(b) ? json_array_size(b) : 1;
    for (size_t i = 0; i < na && out; i++) {
        for (size_t k = 0; k < nb; k++) {
            const json_t *x = json_is_array(a) ? json_array_get(a, i) : a, *y = json_is_array(b) ? json_array_get(b, k) : b;
            const char *tx = json_string_value(x), *ty = json_string_value(y);
            if (!tx || !ty) continue;
            const bool narrower = strcmp(tx, "integer") == 0 && strcmp(ty, "number") == 0, wider = strcmp(tx, "number") == 0 && strcmp(ty, "integer") == 0;
            if (strcmp(tx, ty) == 0 || narrower) json_array_append_new(out, json_string(tx));
            else if (wider) json_array_append_new(out, json_string(ty));
        }
    }
    return out;
}

static json_t *common_values(const json_t *a, const json_t *b)
{
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(a) && out; i++)
        for (size_t k = 0; k < json_array_size(b); k++)
            if (json_equal(json_array_get(a, i), json_array_get(b, k))) {
                json_array_append(out, json_array_get(a, i));
                break;
            }
    return out;
}

/* What `more` (additionalProperties of one side) says of properties that only the other has. */
static bool restrict_others(json_t *properties, const json_t *own, json_t *more)
{
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(properties, next, key, value)
        if (!json_object_get(own, key) && json_object_set_new(properties, key, all_of(more, value))) return false;
    return true;
}

static bool merge_objects(gschema *s, json_t *out, const json_t *a, const json_t *b)
{
    json_t *pa = json_object_get(a, "properties"), *pb = json_object_get(b, "properties"), *ma = json_object_get(a, "additionalProperties"),
           *mb = json_object_get(b, "additionalProperties");
    if ((!pa && !pb && !ma && !mb) || !cud_gstep(s->g, 200 * (json_object_size(pa) + json_object_size(pb)))) return true;
    if ((pa && !json_is_object(pa)) || (pb && !json_is_object(pb))) return true; /* said when it is read */
    json_t *properties = pa ? json_copy(pa) : json_object();
    const char *key;
    json_t *value;
    bool ok = properties != NULL;
    if (ok && pb) json_object_foreach(pb, key, value)
        ok = ok && (json_object_get(properties, key) ? json_object_set_new(properties, key, all_of(json_object_get(properties, key), value)) : json_object_set(properties, key, value)) == 0;
    if (ok && ma) ok = restrict_others(properties, pa, ma);
    if (ok && mb) ok = restrict_others(properties, pb, mb);
    if (ok && (pa || pb)) ok = json_object_set(out, "properties", properties) == 0;
    if (ok && (ma || mb)) ok = json_object_set_new(out, "additionalProperties", ma && mb ? all_of(ma, mb) : json_incref(ma ? ma : mb)) == 0;
    json_decref(properties);
    return ok;
}

/* Two values of one keyword. False: refused or out of memory. */
static bool merge_keyword(gschema *s, json_t *out, const char *key, json_t *a, json_t *b, const char *where)
{
    bool largest;
    json_t *both = NULL;
    if (!pairs(s, a, b)) return false;
    if (json_equal(a, b) || cud_schema_says_nothing(key)) return true;
    if (strcmp(key, "properties") == 0 || strcmp(key, "additionalProperties") == 0) return true; /* merge_objects() */
    if (strcmp(key, "type") == 0) both = common_types(a, b);
    else if (strcmp(key, "enum") == 0) both = common_values(a, b);
    else if (strcmp(key, "const") == 0) both = json_array(); /* two that differ: an enum of nothing */
    else if (strcmp(key, "items") == 0 || strcmp(key, "propertyNames") == 0) both = all_of(a, b);
    else if (strcmp(key, "nullable") == 0) both = json_boolean(json_is_true(a) && json_is_true(b));
    else if (strcmp(key, "uniqueItems") == 0) both = json_true();
    else if (strcmp(key, "required") == 0) {
        both = json_copy(a);
        if (both && json_array_extend(both, b)) json_decref(both), both = NULL;
    } else if (is_bound(key, &largest)) {
        both = json_incref((json_number_value(a) > json_number_value(b)) == largest ? a : b);
    } else {
        return cud_schema_fail(s, CUDDLE_E_UNSUPPORTED, where, key, "two schemas that hold together both have it: that is not supported");
    }
    if (both && strcmp(key, "const") == 0) {
        json_object_del(out, "const");
        key = "enum";
    }
    if (!both || json_object_set_new(out, key, both)) return cud_gfail(s->g, CUDDLE_E_NOMEM, "out of memory: %zu bytes for %s", sizeof(json_t), s->g->what);
    return true;
}

static const json_t *merge(gschema *s, const json_t *a, const json_t *b, const char *where)
{
    if (!a || !b) return NULL;
    if (json_is_true(a) || json_is_false(b)) return b;
    if (json_is_true(b) || json_is_false(a)) return a;
    if (!json_is_object(a) || !json_is_object(b)) return cud_schema_fail(s, CUDDLE_E_FORMAT, where, NULL, "expected an object, true or false"), NULL;
    json_t *out = cud_schema_keep(s, json_copy((json_t *)(uintptr_t)a));
    const char *key;
    json_t *value;
    if (!out) return NULL;
    json_object_foreach((json_t *)(uintptr_t)b, key, value)
    {
        json_t *own = json_object_get(out, key);
        if (!own && json_object_set(out, key, value)) cud_gfail(s->g, CUDDLE_E_NOMEM, "out of memory: %zu bytes for %s", sizeof(json_t), s->g->what);
        if (own && !merge_keyword(s, out, key, own, value, where)) return NULL;
    }
    /* "const" and "enum" from two sides. */
    const json_t *one = json_object_get(out, "const"), *list = json_object_get(out, "enum");
    if (one && json_is_array(list)) {
        bool there = false;
        for (size_t i = 0; i < json_array_size(list); i++) there = there || json_equal(one, json_array_get(list, i));
        if (!there) json_object_del(out, "const"), json_object_set_new(out, "enum", json_array());
    }
    if (!merge_objects(s, out, a, b)) cud_gfail(s->g, CUDDLE_E_NOMEM, "out of memory: %zu bytes for %s", sizeof(json_t), s->g->what);
    return s->g->status ? NULL : out;
}

const json_t *cud_schema_flatten(gschema *s, const json_t *schema, const char *where, int depth)
{
    if (depth > MERGE_DEPTH) return cud_schema_fail(s, CUDDLE_E_LIMIT, where, NULL, "references and allOf lead to each other more than %d deep", (int)MERGE_DEPTH), NULL;
    if (!cud_gstep(s->g, 10)) return NULL;
    if (!json_is_object(schema)) return schema;
    const json_t *list = json_object_get(schema, "allOf");
    const bool ref = json_object_get(schema, "$ref") != NULL;
    if (!list && !ref) return schema;
    json_t *own = cud_schema_keep(s, json_copy((json_t *)(uintptr_t)schema));
    if (!own) return NULL;
    json_object_del(own, "allOf");
    json_object_del(own, "$ref");
    const json_t *out = json_object_size(own) ? own : json_true();
    if (list && (!json_is_array(list) || json_array_size(list) == 0)) return cud_schema_fail(s, CUDDLE_E_FORMAT, where, "allOf", "expected a list that is not empty"), NULL;
    if (ref) {
        const json_t *target = cud_schema_target(s, schema, where);
        out = target ? merge(s, out, cud_schema_flatten(s, target, where, depth + 1), where) : NULL;
    }
    for (size_t i = 0; i < json_array_size(list) && out; i++) out = merge(s, out, cud_schema_flatten(s, json_array_get(list, i), where, depth + 1), where);
    return out;
}

/* ---- types ---- */

unsigned cud_schema_type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL: return T_NULL;
    case JSON_TRUE:
    case JSON_FALSE: return T_BOOLEAN;
    case JSON_INTEGER: return T_INTEGER;
    case JSON_REAL: return json_real_value(value) >= -9e15 && json_real_value(value) <= 9e15 && (double)(int64_t)json_real_value(value) - json_real_value(value) == 0 ? T_INTEGER : T_NUMBER;
    case JSON_STRING: return T_STRING;
    case JSON_OBJECT: return T_OBJECT;
    case JSON_ARRAY: return T_ARRAY;
    }
    return 0;
}

static unsigned type_named(gschema *s, const json_t *value, const char *where)
{
    static const struct { const char *name; unsigned type; } names[] = {
        { "null", T_NULL }, { "boolean", T_BOOLEAN }, { "integer", T_INTEGER }, { "number", T_NUMBER | T_INTEGER },
        { "string", T_STRING }, { "object", T_OBJECT }, { "array", T_ARRAY },
    };
    const char *name = json_string_value(value);
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i].name) == 0) return names[i].type;
    cud_schema_fail(s, CUDDLE_E_FORMAT, where, "type", "\"%.60s\" is no type", name ? name : "?");
    return 0;
}

unsigned cud_schema_types(gschema *s, const json_t *flat, const char *where)
{
    const json_t *type = json_object_get(flat, "type");
    unsigned types = 0;
    if (!type) return T_ALL;
    if (json_is_array(type))
        for (size_t i = 0; i < json_array_size(type); i++) types |= type_named(s, json_array_get(type, i), where);
    else
        types = type_named(s, type, where);
    if (json_is_true(json_object_get(flat, "nullable"))) types |= T_NULL;
    return types;
}

/* ---- telling schemas apart ---- */

static bool no_common_value(gschema *s, const json_t *a, const json_t *b)
{
    const json_t *ca = json_object_get(a, "const"), *cb = json_object_get(b, "const"), *ea = json_object_get(a, "enum"), *eb = json_object_get(b, "enum");
    if ((!ca && !json_is_array(ea)) || (!cb && !json_is_array(eb)) || !pairs(s, ea, eb)) return false;
    for (size_t i = 0; i < (ca ? 1 : json_array_size(ea)); i++)
        for (size_t k = 0; k < (cb ? 1 : json_array_size(eb)); k++) {
            const json_t *x = ca ? ca : json_array_get(ea, i), *y = cb ? cb : json_array_get(eb, k);
            /* 1 and 1.0 are equal to a validator, and containers may hold such. */
            if (json_equal(x, y) || (json_is_number(x) && json_is_number(y) && !(json_number_value(x) > json_number_value(y)) && !(json_number_value(x) < json_number_value(y))))
                return false;
            if (cud_schema_type_of(x) == cud_schema_type_of(y) && (json_is_array(x) || json_is_object(x))) return false;
        }
    return true;
}

static unsigned possible_types(gschema *s, const json_t *flat, const char *where)
{
    unsigned types = cud_schema_types(s, flat, where), given = 0;
    const json_t *one = json_object_get(flat, "const"), *list = json_object_get(flat, "enum");
    if (one) given = cud_schema_type_of(one);
    for (size_t i = 0; !one && i < json_array_size(list); i++) given |= cud_schema_type_of(json_array_get(list, i));
    return one || list ? types & given : types;
}

bool cud_schema_disjoint(gschema *s, const json_t *a, const json_t *b, const char *where, int depth)
{
    a = cud_schema_flatten(s, a, where, 0);
    b = a ? cud_schema_flatten(s, b, where, 0) : NULL;
    if (!a || !b || depth > 4 || !cud_gstep(s->g, 10)) return false;
    if (json_is_false(a) || json_is_false(b)) return true;
    if (json_is_true(a) || json_is_true(b)) return false;
    const unsigned common = possible_types(s, a, where) & possible_types(s, b, where);
    if (common == 0 || no_common_value(s, a, b)) return true;
    if (common != T_OBJECT) return false;
    const json_t *need_a = json_object_get(a, "required"), *need_b = json_object_get(b, "required");
    if (!pairs(s, need_a, need_b)) return false;
    for (size_t i = 0; i < json_array_size(need_a); i++)
        for (size_t k = 0; k < json_array_size(need_b); k++) {
            const char *key = json_string_value(json_array_get(need_a, i));
            if (!key || !json_equal(json_array_get(need_a, i), json_array_get(need_b, k))) continue;
            const json_t *x = json_object_get(json_object_get(a, "properties"), key), *y = json_object_get(json_object_get(b, "properties"), key);
            if (x && y && cud_schema_disjoint(s, x, y, where, depth + 1)) return true;
        }
    return false;
}
