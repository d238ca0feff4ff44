/* Parameters of transformers' generate() as the files of tests/generation have them. */
#ifndef CUD_TESTS_GENERATION_CASE_H
#define CUD_TESTS_GENERATION_CASE_H

#include "format/json.h"
#include "support.h"

#include <stdlib.h>

/* The number `key` of an object, or what it is without it. */
static inline double case_number(const json_t *object, const char *key, double otherwise)
{
    const json_t *v = json_object_get(object, key);
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

/* A list of ids, or one id as a list; to be freed. */
static inline int32_t *case_ids(const json_t *value, size_t *count)
{
    *count = json_is_integer(value) ? 1 : json_array_size(value);
    int32_t *out = calloc(*count + 1, sizeof *out);
    ck_assert_ptr_nonnull(out);
    for (size_t i = 0; i < *count; i++) out[i] = (int32_t)json_integer_value(json_is_integer(value) ? value : json_array_get(value, i));
    return out;
}

#endif
