/* The small JSON files of a checkpoint (config.json, tokenizer_config.json, generation_config.json, ...): read by the scanner into
 * jansson's values, and typed getters whose failures are one sentence. The two large inputs do not come through here: see scanner.h.
 *
 *     json_t *root;
 *     cuddle_status status = cud_json_load(&root, path, CUD_JSON_MAX, err);
 *     if (status) return status;
 *     json_view config = cud_json_view(root, path), rope;
 *     int64_t layers, window = 0;                  (optional: the variable's value is the default)
 *     status = cud_json_int(&layers, &config, "num_hidden_layers", CUD_JSON_REQUIRED, 1, 1024, err);
 *     if (!status) status = cud_json_int(&window, &config, "sliding_window", CUD_JSON_NULLABLE, 0, INT32_MAX, err);
 *     if (!status) status = cud_json_object(&rope, &config, "rope_scaling", CUD_JSON_NULLABLE, err);
 *     if (!status && rope.value) ...
 *     json_decref(root);                           (views and strings borrow from root) */
#ifndef CUD_FORMAT_JSON_H
#define CUD_FORMAT_JSON_H

#include "core/source.h"
#include "core/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CUD_JSON_MAX \
    ((size_t)4 << 20) /* a sensible max_bytes for the small files; jansson takes about 20 times that in the worst case */

/* Reads a whole file, whose root must be an object. Stricter than Python's json: duplicate keys, NaN and Infinity, and U+0000 in
 * strings are refused. An integer outside int64 (model_max_length is often 10^30) becomes a real.
 * Over max_bytes: CUDDLE_E_LIMIT. Malformed: CUDDLE_E_FORMAT, "config.json: byte 17: ...". Release with json_decref(). */
cuddle_status cud_json_load(json_t **out, const char *path, size_t max_bytes, cuddle_error *err);
cuddle_status cud_json_load_source(json_t **out, source *s, size_t max_bytes, cuddle_error *err);
/* The same from memory; `file` is for messages. */
cuddle_status cud_json_parse(json_t **out, const void *data, size_t size, const char *file, cuddle_error *err);
/* Files whose root is a list (modules.json). */
cuddle_status cud_json_load_list(json_t **out, const char *path, size_t max_bytes, cuddle_error *err);
cuddle_status cud_json_parse_list(json_t **out, const void *data, size_t size, const char *file, cuddle_error *err);

/* A value and where it stands, for messages. Plain data; borrows value and file. */
typedef struct json_view {
    json_t *value;
    const char *file; /* file name without its folder */
    char where[96];   /* "rope_scaling", "layer_types[3]"; "" for the root; cut when too long */
} json_view;

/* View of a root. `path` may be a path or a file name; only its last component is kept (borrowed). */
json_view cud_json_view(json_t *root, const char *path);

enum { /* how a getter takes an absent member */
    CUD_JSON_REQUIRED = 0, /* absent, or null: CUDDLE_E_FORMAT, `config.json: "vocab_size" is missing, expected ...` */
    CUD_JSON_OPTIONAL = 1, /* absent: *out keeps the value it has (the default); null is an error like any wrong type */
    CUD_JSON_NULLABLE = 3  /* absent or null: *out keeps the value it has */
};

/* Member `key` of the object in->value, or in->value itself where key is NULL (for elements of arrays).
 * A wrong type or value is CUDDLE_E_FORMAT: `config.json: "num_layers" is "12", expected an integer from 1 to 1024`, and then *out is
 * unchanged. Strings are borrowed from the document, UTF-8 without U+0000. */
cuddle_status cud_json_int(int64_t *out, const json_view *in, const char *key, unsigned flags, int64_t min, int64_t max,
                           cuddle_error *err);
/* Integers are numbers too. Bounds may be -INFINITY and INFINITY. */
cuddle_status cud_json_number(double *out, const json_view *in, const char *key, unsigned flags, double min, double max,
                              cuddle_error *err);
cuddle_status cud_json_bool(bool *out, const json_view *in, const char *key, unsigned flags, cuddle_error *err);
cuddle_status cud_json_string(const char **out, const json_view *in, const char *key, unsigned flags, cuddle_error *err);
/* Containers: there is no default, an absent one gives a view whose value is NULL (and count is 0). */
cuddle_status cud_json_object(json_view *out, const json_view *in, const char *key, unsigned flags, cuddle_error *err);
cuddle_status cud_json_array(json_view *out, size_t *count, const json_view *in, const char *key, unsigned flags, cuddle_error *err);
/* Element `index` of an array view, below its count; its getters are the ones above with key NULL. */
json_view cud_json_element(const json_view *array, size_t index);

/* True if the object has this member and it is not null. */
bool cud_json_has(const json_view *in, const char *key);

/* For checks that the getters do not make: `config.json: "hidden_act" is "foo", expected <format...>`, with `status`. */
cuddle_status cud_json_wrong(const json_view *in, const char *key, cuddle_error *err, cuddle_status status, const char *format, ...)
    CUD_PRINTF(5, 6);

#endif
