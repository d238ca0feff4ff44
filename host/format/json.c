#include "format/json.h"

#include "format/path.h"
#include "format/scanner.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------------------------- loading */

static const char *kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER:
    case JSON_REAL: return "a number";
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    case JSON_NULL: return "null";
    }
    return "?";
}

/* The number that is the current token, as an integer if int64 holds it, else as a real. `text` has a byte behind every token. NULL: out of
 * memory. The scanner lets no number pass that a double does not hold. strtod() alone would read what the program's locale takes for a decimal point. */
static json_t *make_number(const scanner *in)
{
    char *const text = in->text, *const end = text + in->length;
    const char behind = *end;
    bool whole = true;
    for (const char *c = text; c < end && whole; c++) whole = *c == '-' || (*c >= '0' && *c <= '9');
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!plain) return NULL;
    *end = 0;
    errno = 0;
    const long long integer = whole ? strtoll(text, NULL, 10) : 0;
    whole = whole && errno != ERANGE;
    const double real = whole ? 0 : strtod_l(text, NULL, plain);
    *end = behind;
    freelocale(plain);
    return whole ? json_integer(integer) : json_real(real);
}

/* A value for the current token; containers are empty yet. */
static json_t *make(const scanner *in)
{
    switch (in->token) {
    case SCAN_OBJECT: return json_object();
    case SCAN_ARRAY: return json_array();
    case SCAN_STRING: return json_stringn_nocheck(in->text, in->length);
    case SCAN_NUMBER: return make_number(in);
    case SCAN_TRUE: return json_true();
    case SCAN_FALSE: return json_false();
    default: return json_null();
    }
}

/* Takes the current token into the values that are open. jansson keeps them, but does not parse: its lexer passes over allocations that
 * fail while a string grows, and goes on with a byte less. */
static cuddle_status take(json_t **open, const char **key, const scanner *in, cuddle_error *err)
{
    const bool container = in->token == SCAN_OBJECT || in->token == SCAN_ARRAY, text = in->token == SCAN_STRING || in->token == SCAN_KEY;
    json_t *const parent = in->depth > container ? open[in->depth - 1 - container] : NULL;
    if (in->token == SCAN_OBJECT_END || in->token == SCAN_ARRAY_END) return CUDDLE_OK;
    if (text && memchr(in->text, 0, in->length)) return cud_scan_fail(in, "a string holds a U+0000");
    if (in->token == SCAN_KEY) {
        char found[64];
        *key = in->text;
        if (!json_object_get(parent, in->text)) return CUDDLE_OK;
        return cud_scan_fail(in, "the key %s is there twice", cud_scan_show(in, found));
    }
    json_t *value = make(in);
    if (!value || (parent && (json_is_object(parent) ? json_object_set_new_nocheck(parent, *key, value) : json_array_append_new(parent, value))))
        return cud_nomem(err, in->length, in->file); /* the value is gone: where it cannot be kept jansson frees it */
    if (container) open[in->depth - 1] = value;
    return CUDDLE_OK;
}

/* The root is what begins with `root`. Changes text, which has a byte more than `size`. */
static cuddle_status parse(json_t **out, char *text, size_t size, scan_token root, const char *file, cuddle_error *err)
{
    const char *const expected = root == SCAN_OBJECT ? "an object" : "a list";
    json_t *open[CUD_SCAN_DEPTH] = { NULL };
    const char *key = NULL;
    char found[64];
    scanner in;
    if (size == 0) return cud_fail(err, CUDDLE_E_FORMAT, "%s: the file is empty, expected %s", file, expected);
    cud_scan_init(&in, text, size, file, 0, err);
    if (cud_scan_next(&in) == SCAN_ERROR) return CUDDLE_E_FORMAT;
    if (in.token != root) return cud_fail(err, CUDDLE_E_FORMAT, "%s: is %s, expected %s", file, cud_scan_show(&in, found), expected);
    cuddle_status status = CUDDLE_OK;
    while (!status && in.token != SCAN_END) {
        status = take(open, &key, &in, err);
        if (!status && cud_scan_next(&in) == SCAN_ERROR) status = CUDDLE_E_FORMAT;
    }
    if (status) json_decref(open[0]);
    else *out = open[0];
    return status;
}

static cuddle_status parse_copy(json_t **out, const void *data, size_t size, scan_token root, const char *file, cuddle_error *err)
{
    *out = NULL;
    char *copy = malloc(size + 1);
    if (!copy) return cud_nomem(err, size, cud_path_name(file));
    if (size) memcpy(copy, data, size);
    const cuddle_status status = parse(out, copy, size, root, cud_path_name(file), err);
    free(copy);
    return status;
}

cuddle_status cud_json_parse(json_t **out, const void *data, size_t size, const char *file, cuddle_error *err)
{
    return parse_copy(out, data, size, SCAN_OBJECT, file, err);
}

cuddle_status cud_json_parse_list(json_t **out, const void *data, size_t size, const char *file, cuddle_error *err)
{
    return parse_copy(out, data, size, SCAN_ARRAY, file, err);
}

static cuddle_status load_source(json_t **out, source *s, size_t max_bytes, scan_token root, cuddle_error *err)
{
    *out = NULL;
    const char *file = cud_path_name(s->name);
    if (s->size > max_bytes)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: has %" PRIu64 " bytes, at most %zu are read", file, s->size, max_bytes);
    const size_t size = (size_t)s->size;
    char *text = malloc(size + 1);
    if (!text) return cud_nomem(err, size, file);
    cuddle_status status = cud_source_read(s, text, 0, size, err);
    if (!status) status = parse(out, text, size, root, file, err);
    free(text);
    return status;
}

cuddle_status cud_json_load_source(json_t **out, source *s, size_t max_bytes, cuddle_error *err)
{
    return load_source(out, s, max_bytes, SCAN_OBJECT, err);
}

static cuddle_status load(json_t **out, const char *path, size_t max_bytes, scan_token root, cuddle_error *err)
{
    *out = NULL;
    source *s;
    cuddle_status status = cud_source_open_file(&s, path, err);
    if (status) return status;
    status = load_source(out, s, max_bytes, root, err);
    cud_source_close(s);
    return status;
}

cuddle_status cud_json_load(json_t **out, const char *path, size_t max_bytes, cuddle_error *err)
{
    return load(out, path, max_bytes, SCAN_OBJECT, err);
}

cuddle_status cud_json_load_list(json_t **out, const char *path, size_t max_bytes, cuddle_error *err)
{
    return load(out, path, max_bytes, SCAN_ARRAY, err);
}

/* ---------------------------------------------------------------------------------------------------------- getters */

json_view cud_json_view(json_t *root, const char *path) { return (json_view){ .value = root, .file = cud_path_name(path) }; }

/* Where member `key` of `in` stands. */
static void place(char out[96], const json_view *in, const char *key)
{
    if (!key) memmove(out, in->where, sizeof in->where);
    else snprintf(out, 96, "%.46s%s%.46s", in->where, in->where[0] ? "." : "", key);
}

/* A scalar as it stands in the file, as far as it fits. jansson prints reals, because printf's decimal point is the locale's. */
static void show(char out[64], const json_t *value)
{
    if (json_is_string(value)) {
        const size_t length = json_string_length(value);
        size_t n = length < 48 ? length : 48;
        while (n < length && n > 0 && ((unsigned char)json_string_value(value)[n] & 0xc0) == 0x80) n--; /* a character's border */
        snprintf(out, 64, "\"%.*s%s\"", (int)n, json_string_value(value), n < length ? "..." : "");
    } else if (json_is_number(value)) {
        const size_t n = json_dumpb(value, out, 63, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
        out[n <= 63 ? n : 0] = 0;
    } else {
        snprintf(out, 64, "%s", kind_of(value));
    }
}

static void show_number(char out[64], double number)
{
    json_t *value = json_real(number);
    if (value) show(out, value);
    else snprintf(out, 64, "?");
    json_decref(value);
}

static json_t *member(const json_view *in, const char *key) { return key ? json_object_get(in->value, key) : in->value; }

static cuddle_status wrong(const json_view *in, const char *key, cuddle_error *err, cuddle_status status, const char *expected)
{
    char where[96], found[64];
    place(where, in, key);
    const json_t *value = member(in, key);
    if (!value) return cud_fail(err, status, "%s: \"%s\" is missing, expected %s", in->file, where, expected);
    show(found, value);
    return cud_fail(err, status, "%s: \"%s\" is %s, expected %s", in->file, where, found, expected);
}

cuddle_status cud_json_wrong(const json_view *in, const char *key, cuddle_error *err, cuddle_status status, const char *format, ...)
{
    char expected[200];
    va_list args;
    va_start(args, format);
    vsnprintf(expected, sizeof expected, format, args);
    va_end(args);
    return wrong(in, key, err, status, expected);
}

static bool absent(const json_t *value, unsigned flags)
{
    return value ? json_is_null(value) && flags == CUD_JSON_NULLABLE : flags != CUD_JSON_REQUIRED;
}

/* The member, or NULL where the flags allow it to be absent. */
static cuddle_status find(json_t **out, const json_view *in, const char *key, unsigned flags, const char *expected, cuddle_error *err)
{
    json_t *value = member(in, key);
    const bool nothing = !value || json_is_null(value);
    *out = nothing ? NULL : value;
    return nothing && !absent(value, flags) ? wrong(in, key, err, CUDDLE_E_FORMAT, expected) : CUDDLE_OK;
}

cuddle_status cud_json_int(int64_t *out, const json_view *in, const char *key, unsigned flags, int64_t min, int64_t max,
                           cuddle_error *err)
{
    char expected[80];
    if (min == INT64_MIN && max == INT64_MAX) snprintf(expected, sizeof expected, "an integer");
    else if (max == INT64_MAX) snprintf(expected, sizeof expected, "an integer of at least %" PRId64, min);
    else if (min == INT64_MIN) snprintf(expected, sizeof expected, "an integer of at most %" PRId64, max);
    else snprintf(expected, sizeof expected, "an integer from %" PRId64 " to %" PRId64, min, max);
    json_t *value;
    const cuddle_status status = find(&value, in, key, flags, expected, err);
    if (status || !value) return status;
    if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max)
        return wrong(in, key, err, CUDDLE_E_FORMAT, expected);
    *out = json_integer_value(value);
    return CUDDLE_OK;
}

cuddle_status cud_json_number(double *out, const json_view *in, const char *key, unsigned flags, double min, double max,
                              cuddle_error *err)
{
    char expected[160], least[64], most[64];
    const json_t *found = member(in, key);
    if (absent(found, flags)) return CUDDLE_OK; /* nothing to be said, which takes memory */
    if (json_is_number(found) && json_number_value(found) >= min && json_number_value(found) <= max) {
        *out = json_number_value(found);
        return CUDDLE_OK;
    }
    if (min > -INFINITY) show_number(least, min);
    if (max < INFINITY) show_number(most, max);
    if (min > -INFINITY && max < INFINITY) snprintf(expected, sizeof expected, "a number from %s to %s", least, most);
    else if (min > -INFINITY) snprintf(expected, sizeof expected, "a number of at least %s", least);
    else if (max < INFINITY) snprintf(expected, sizeof expected, "a number of at most %s", most);
    else snprintf(expected, sizeof expected, "a number");
    json_t *value;
    const cuddle_status status = find(&value, in, key, flags, expected, err);
    return status || !value ? status : wrong(in, key, err, CUDDLE_E_FORMAT, expected);
}

cuddle_status cud_json_bool(bool *out, const json_view *in, const char *key, unsigned flags, cuddle_error *err)
{
    json_t *value;
    const cuddle_status status = find(&value, in, key, flags, "true or false", err);
    if (status || !value) return status;
    if (!json_is_boolean(value)) return wrong(in, key, err, CUDDLE_E_FORMAT, "true or false");
    *out = json_is_true(value);
    return CUDDLE_OK;
}

cuddle_status cud_json_string(const char **out, const json_view *in, const char *key, unsigned flags, cuddle_error *err)
{
    json_t *value;
    const cuddle_status status = find(&value, in, key, flags, "a string", err);
    if (status || !value) return status;
    if (!json_is_string(value)) return wrong(in, key, err, CUDDLE_E_FORMAT, "a string");
    *out = json_string_value(value);
    return CUDDLE_OK;
}

static cuddle_status container(json_view *out, const json_view *in, const char *key, unsigned flags, json_type type,
                               const char *expected, cuddle_error *err)
{
    json_t *value;
    const cuddle_status status = find(&value, in, key, flags, expected, err);
    if (status) return status;
    if (value && json_typeof(value) != type) return wrong(in, key, err, CUDDLE_E_FORMAT, expected);
    json_view found = { .value = value, .file = in->file }; /* out may be in */
    place(found.where, in, key);
    *out = found;
    return CUDDLE_OK;
}

cuddle_status cud_json_object(json_view *out, const json_view *in, const char *key, unsigned flags, cuddle_error *err)
{
    return container(out, in, key, flags, JSON_OBJECT, "an object", err);
}

cuddle_status cud_json_array(json_view *out, size_t *count, const json_view *in, const char *key, unsigned flags, cuddle_error *err)
{
    const cuddle_status status = container(out, in, key, flags, JSON_ARRAY, "an array", err);
    if (!status) *count = json_array_size(out->value);
    return status;
}

json_view cud_json_element(const json_view *array, size_t index)
{
    json_view element = { .value = json_array_get(array->value, index), .file = array->file };
    snprintf(element.where, sizeof element.where, "%.70s[%zu]", array->where, index);
    return element;
}

bool cud_json_has(const json_view *in, const char *key)
{
    const json_t *value = json_object_get(in->value, key);
    return value && !json_is_null(value);
}
