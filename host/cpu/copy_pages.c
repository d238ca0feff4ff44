/* copy_pages: the first positions of one page of the KV cache become those of another, in every layer. */
#include "backend.h"

#include "core/op_checks.h"

/* Of one layer's keys or values. Positions of a head follow one another, heads of a page too. */
static void copy_heads(void *base, const page_copy *c, int heads, size_t position_bytes)
{
    const size_t head_bytes = CUD_PAGE * position_bytes, page_bytes = (size_t)heads * head_bytes, bytes = (size_t)c->positions * position_bytes;
    const char *from = (const char *)base + (size_t)c->from * page_bytes;
    char *to = (char *)base + (size_t)c->to * page_bytes;
    for (int h = 0; h < heads; h++) memcpy(to + (size_t)h * head_bytes, from + (size_t)h * head_bytes, bytes);
}

/* A row is one copy in one layer. */
static void copy_rows(void *arg, int64_t first, int64_t last)
{
    const copy_pages_args *a = arg;
    const size_t width = cud_dtype_size(a->kv.type);
    for (int64_t i = first; i < last; i++) {
        const size_t layer = (size_t)(i / a->count) * a->layer_bytes;
        const page_copy *c = &a->copies[i % a->count];
        copy_heads((char *)a->kv.k + layer, c, a->kv.heads, (size_t)a->kv.k_dim * width);
        copy_heads((char *)a->kv.v + layer, c, a->kv.heads, (size_t)a->kv.v_dim * width);
    }
}

cuddle_status cud_cpu_copy_pages(exec *ex, const copy_pages_args *args, cuddle_error *err)
{
    const cuddle_status status = cud_check_copy_pages(ex, args, err);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD || args->count == 0) return status;
    copy_pages_args a = *args;
    const int64_t page = (int64_t)CUD_PAGE * a.kv.heads * (a.kv.k_dim + a.kv.v_dim);
    cud_cpu_for_rows(ex, (int64_t)a.layers * a.count, page, copy_rows, &a);
    return CUDDLE_OK;
}
