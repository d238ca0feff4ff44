#include "core/exec.h"

cuddle_status cud_ws_take(exec *ex, void **out, size_t bytes, cuddle_error *err)
{
    workspace *ws = &ex->ws;
    *out = NULL;
    if (bytes > SIZE_MAX - (CUD_ALIGN - 1)) return cud_fail(err, CUDDLE_E_LIMIT, "workspace: %zu bytes do not fit the address space", bytes);
    const size_t rounded = (bytes + CUD_ALIGN - 1) / CUD_ALIGN * CUD_ALIGN;
    if (ws->used > SIZE_MAX - rounded) return cud_fail(err, CUDDLE_E_LIMIT, "workspace: the sum of its parts does not fit the address space");
    const size_t end = ws->used + rounded;
    if (ex->mode != EXEC_RECORD) {
        if (end > ws->size)
            return cud_fail(err, CUDDLE_E_INTERNAL, "workspace: %zu bytes wanted, %zu were planned", end, ws->size);
        *out = ws->base + ws->used;
    }
    ws->used = end;
    if (end > ws->peak) ws->peak = end;
    return CUDDLE_OK;
}

cuddle_status cud_ws_matrix(exec *ex, tensor *out, dtype type, int64_t rows, int64_t cols, cuddle_error *err)
{
    const size_t width = cud_dtype_size(type);
    size_t elements, bytes;
    *out = cud_matrix(NULL, type, rows, cols);
    if (rows < 0 || cols < 0 || __builtin_mul_overflow((size_t)rows, (size_t)cols, &elements) || __builtin_mul_overflow(elements, width, &bytes))
        return cud_fail(err, CUDDLE_E_LIMIT, "workspace: a matrix of %lld x %lld does not fit the address space", (long long)rows,
                        (long long)cols);
    return cud_ws_take(ex, &out->data, bytes, err);
}
