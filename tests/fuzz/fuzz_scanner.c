/* The scanner against jansson, on any text. What both accept must be the same values. What one of them refuses alone must be one of these:
 *   the scanner is stricter about
 *     - containers nested more than CUD_SCAN_DEPTH deep (jansson: 2048),
 *     - numbers of 10^308 and more (jansson: what a double cannot hold),
 *     - NUL bytes outside of strings (jansson overlooks one that follows a number);
 *   jansson is stricter about
 *     - integers that int64 cannot hold,
 *     - U+0000 in keys.
 * Keys that are there twice pass both; whoever reads the tokens decides. */
#include "format/scanner.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

/* The current NUMBER as jansson would have it. */
static json_t *number(const scanner *in, bool as_real)
{
    char *text = malloc(in->length + 1), *end;
    require(text != NULL);
    memcpy(text, in->text, in->length);
    text[in->length] = 0;
    const bool whole = !as_real && !strpbrk(text, ".eE");
    json_t *value = whole ? json_integer(strtoll(text, &end, 10)) : json_real(strtod(text, &end));
    require(value && *end == 0);
    uint64_t exact;
    if (cud_scan_u64(in, &exact)) require(text[0] != '-' && exact == strtoull(text, NULL, 10));
    else require(text[0] == '-' || strpbrk(text, ".eE") || strlen(text) > 19);
    free(text);
    return value;
}

/* The value of the current token, which opens a container or is a whole value. */
static json_t *value_of(const scanner *in, bool as_real)
{
    switch (in->token) {
    case SCAN_OBJECT: return json_object();
    case SCAN_ARRAY: return json_array();
    case SCAN_STRING: require(in->text[in->length] == 0); return json_stringn(in->text, in->length);
    case SCAN_NUMBER: return number(in, as_real);
    case SCAN_TRUE: return json_true();
    case SCAN_FALSE: return json_false();
    case SCAN_NULL: return json_null();
    default: abort(); /* a document is well-formed */
    }
}

/* The document built from its tokens; NULL if the scanner refuses it. Of a key that is there twice the last one counts, as with jansson.
 * *nul: a key holds U+0000, and the document is not whole. */
static json_t *build(scanner *in, bool as_real, bool *nul)
{
    json_t *open[CUD_SCAN_DEPTH + 1], *root = NULL;
    const char *key = NULL;
    int depth = 0;
    *nul = false;
    while (cud_scan_next(in) != SCAN_END) {
        if (in->token == SCAN_ERROR) break;
        require(in->depth <= CUD_SCAN_DEPTH);
        if (in->token == SCAN_KEY) {
            require(!key && depth > 0 && json_is_object(open[depth - 1]) && in->text[in->length] == 0);
            *nul |= strlen(in->text) != in->length;
            key = in->text;
        } else if (in->token == SCAN_OBJECT_END || in->token == SCAN_ARRAY_END) {
            require(!key && depth > 0 && json_is_object(open[depth - 1]) == (in->token == SCAN_OBJECT_END));
            depth--;
        } else {
            json_t *value = value_of(in, as_real);
            require(value != NULL);
            const bool opens = in->token == SCAN_OBJECT || in->token == SCAN_ARRAY;
            if (depth == 0) {
                require(!root);
                root = value;
            } else if (key) require(json_object_set_new_nocheck(open[depth - 1], key, value) == 0);
            else require(json_array_append_new(open[depth - 1], value) == 0);
            key = NULL;
            if (opens) open[depth++] = value;
        }
        require(in->depth == depth);
    }
    if (in->token == SCAN_END) {
        require(root && depth == 0 && !key);
        return root;
    }
    json_decref(root);
    return NULL;
}

/* Is there a NUL outside of the text of strings? Inside, both refuse it. */
static bool has_nul(const uint8_t *data, size_t size) { return size && memchr(data, 0, size); }

static bool holds_large(const json_t *value)
{
    size_t index;
    const char *key;
    json_t *member;
    if (json_is_number(value)) return fabs(json_number_value(value)) >= 9.99e307;
    if (json_is_array(value)) json_array_foreach(value, index, member) if (holds_large(member)) return true;
    if (json_is_object(value)) json_object_foreach((json_t *)(uintptr_t)value, key, member) if (holds_large(member)) return true;
    return false;
}

/* Is there a key twice? Of the first one's value jansson keeps nothing. */
static bool has_twin(const uint8_t *data, size_t size)
{
    json_t *root = json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    json_decref(root);
    return !root;
}

static char *copy_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1); /* no byte more, so that a read past the end is seen */
    require(text != NULL);
    if (size) memcpy(text, data, size);
    return text;
}

/* Skipping the root must end where reading it does. */
static void check_skip(const uint8_t *data, size_t size, bool accepted)
{
    char *text = copy_of(data, size);
    scanner in;
    cuddle_error err = { CUDDLE_OK, "" };
    cud_scan_init(&in, text, size, "fuzz", 0, &err);
    const bool skipped = cud_scan_next(&in) != SCAN_ERROR && cud_scan_skip(&in) && cud_scan_next(&in) == SCAN_END;
    require(skipped == accepted);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_error_t error = { 0 };
    json_t *theirs = json_loadb((const char *)data, size, flags, &error);
    const bool large = !theirs && json_error_code(&error) == json_error_numeric_overflow; /* an integer, or a real */
    if (large) theirs = json_loadb((const char *)data, size, flags | JSON_DECODE_INT_AS_REAL, &error);

    char *text = copy_of(data, size);
    cuddle_error err = { CUDDLE_OK, "" };
    scanner in;
    bool nul;
    cud_scan_init(&in, text, size, "fuzz", 0, &err);
    json_t *ours = build(&in, large, &nul);
    check_skip(data, size, ours != NULL);
    if (ours && theirs) require(!nul && json_equal(ours, theirs));
    else if (ours) require(nul && json_error_code(&error) == json_error_null_byte_in_key);
    else {
        require(err.status == CUDDLE_E_FORMAT && strncmp(err.text, "fuzz: byte ", 11) == 0);
        for (int i = 0; i < 2; i++) require(cud_scan_next(&in) == SCAN_ERROR);
        if (theirs) require(strstr(err.text, "nested more than") || has_nul(data, size) || (strstr(err.text, "10^308") && (holds_large(theirs) || has_twin(data, size))));
    }
    json_decref(ours);
    json_decref(theirs);
    free(text);
    return 0;
}
