/* cuddle_safetensors_* but for the writer: see cuddle.h. */
#include "core/status.h"
#include "cuddle.h"
#include "format/checkpoint.h"

#include <inttypes.h>
#include <stdlib.h>

struct cuddle_safetensors {
    checkpoint *checkpoint;
};

cuddle_status cuddle_safetensors_open(cuddle_safetensors **out, const char *path, cuddle_error *err)
{
    cud_error_clear(err);
    if (out) *out = NULL;
    if (!out || !path) return cud_fail(err, CUDDLE_E_ARG, "cuddle_safetensors_open: %s is NULL", out ? "path" : "out");
    cuddle_safetensors *st = calloc(1, sizeof *st);
    if (!st) return cud_nomem(err, sizeof *st, "an open checkpoint");
    const cuddle_status status = cud_checkpoint_open(&st->checkpoint, path, err);
    if (status) {
        free(st);
        return status;
    }
    *out = st;
    return CUDDLE_OK;
}

void cuddle_safetensors_free(cuddle_safetensors *st)
{
    if (!st) return;
    cud_checkpoint_free(st->checkpoint);
    free(st);
}

int64_t cuddle_safetensors_count(const cuddle_safetensors *st) { return st ? cud_checkpoint_count(st->checkpoint) : 0; }

cuddle_status cuddle_safetensors_get(const cuddle_safetensors *st, int64_t index, cuddle_tensor_info *out, cuddle_error *err)
{
    cud_error_clear(err);
    if (!st || !out) return cud_fail(err, CUDDLE_E_ARG, "cuddle_safetensors_get: %s is NULL", st ? "out" : "st");
    const cuddle_tensor_info *info = cud_checkpoint_get(st->checkpoint, index);
    if (!info)
        return cud_fail(err, CUDDLE_E_ARG, "cuddle_safetensors_get: index %" PRId64 ", there are %" PRId64 " tensors", index,
                        cud_checkpoint_count(st->checkpoint));
    *out = *info;
    return CUDDLE_OK;
}

int64_t cuddle_safetensors_find(const cuddle_safetensors *st, const char *name)
{
    return st && name ? cud_checkpoint_find(st->checkpoint, name) : -1;
}

cuddle_status cuddle_safetensors_read(cuddle_safetensors *st, int64_t index, void *out, uint64_t offset, size_t bytes,
                                      cuddle_error *err)
{
    cud_error_clear(err);
    if (!st || (!out && bytes)) return cud_fail(err, CUDDLE_E_ARG, "cuddle_safetensors_read: %s is NULL", st ? "out" : "st");
    return cud_checkpoint_read(st->checkpoint, index, out, offset, bytes, err);
}

cuddle_status cuddle_safetensors_read_rows(cuddle_safetensors *st, int64_t index, void *out, size_t bytes, int64_t first, int64_t count,
                                           cuddle_error *err)
{
    cud_error_clear(err);
    if (!st || (!out && bytes)) return cud_fail(err, CUDDLE_E_ARG, "cuddle_safetensors_read_rows: %s is NULL", st ? "out" : "st");
    return cud_checkpoint_read_rows(st->checkpoint, index, out, bytes, first, count, err);
}

int cuddle_safetensors_shards(const cuddle_safetensors *st) { return st ? cud_checkpoint_shards(st->checkpoint) : 0; }

const char *cuddle_safetensors_shard(const cuddle_safetensors *st, int shard)
{
    return st ? cud_checkpoint_shard(st->checkpoint, shard) : NULL;
}

int cuddle_safetensors_metadata_count(const cuddle_safetensors *st) { return st ? cud_checkpoint_metadata_count(st->checkpoint) : 0; }

cuddle_status cuddle_safetensors_metadata(const cuddle_safetensors *st, int index, const char **key, const char **value,
                                          cuddle_error *err)
{
    cud_error_clear(err);
    if (!st || !key || !value)
        return cud_fail(err, CUDDLE_E_ARG, "cuddle_safetensors_metadata: %s is NULL", !st ? "st" : !key ? "key" : "value");
    return cud_checkpoint_metadata(st->checkpoint, index, key, value, err);
}
