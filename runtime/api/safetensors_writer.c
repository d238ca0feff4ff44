/* cuddle_safetensors_writer_*: see cuddle.h. */
#include "format/safetensors_writer.h"

static cuddle_status is_null(const char *function, const char *what, cuddle_error *err)
{
    return cud_fail(err, CUDDLE_E_ARG, "cuddle_safetensors_writer_%s: %s is NULL", function, what);
}

cuddle_status cuddle_safetensors_writer_new(cuddle_safetensors_writer **out, const char *path, cuddle_error *err)
{
    cud_error_clear(err);
    if (out) *out = NULL;
    if (!out || !path) return is_null("new", out ? "path" : "out", err);
    return cud_st_writer_new(out, path, err);
}

cuddle_status cuddle_safetensors_writer_metadata(cuddle_safetensors_writer *w, const char *key, const char *value, cuddle_error *err)
{
    cud_error_clear(err);
    if (!w || !key || !value) return is_null("metadata", !w ? "writer" : !key ? "key" : "value", err);
    return cud_st_writer_metadata(w, key, value, err);
}

cuddle_status cuddle_safetensors_writer_declare(cuddle_safetensors_writer *w, const char *name, cuddle_dtype type, const int64_t *shape,
                                                int rank, cuddle_error *err)
{
    cud_error_clear(err);
    if (!w || !name || (!shape && rank > 0)) return is_null("declare", !w ? "writer" : !name ? "name" : "shape", err);
    return cud_st_writer_declare(w, name, type, shape, rank, err);
}

cuddle_status cuddle_safetensors_writer_write(cuddle_safetensors_writer *w, const char *name, const void *data, size_t bytes,
                                              cuddle_error *err)
{
    cud_error_clear(err);
    if (!w || !name || (!data && bytes)) return is_null("write", !w ? "writer" : !name ? "name" : "data", err);
    return cud_st_writer_write(w, name, data, bytes, err);
}

cuddle_status cuddle_safetensors_writer_finish(cuddle_safetensors_writer *w, cuddle_error *err)
{
    cud_error_clear(err);
    if (!w) return is_null("finish", "writer", err);
    return cud_st_writer_finish(w, err);
}

void cuddle_safetensors_writer_free(cuddle_safetensors_writer *w) { cud_st_writer_free(w); }
