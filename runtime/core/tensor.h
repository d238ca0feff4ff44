/* A tensor is a view: pointer, type, sizes and strides in elements. It owns nothing. */
#ifndef CUD_CORE_TENSOR_H
#define CUD_CORE_TENSOR_H

#include "core/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CUD_MAX_DIMS = 5 };

/* rank 0 means "no tensor": an optional argument left out. data is NULL while recording, so it says nothing about presence. */
typedef struct tensor {
    void *data;
    dtype type;
    int8_t rank;
    int64_t size[CUD_MAX_DIMS], stride[CUD_MAX_DIMS]; /* elements; the last dimension of what ops take has stride 1 */
} tensor;

static inline bool cud_present(tensor t) { return t.rank > 0; }

static inline tensor cud_vector(void *data, dtype type, int64_t n)
{
    const tensor t = { data, type, 1, { n, 0, 0, 0, 0 }, { 1, 0, 0, 0, 0 } };
    return t;
}

static inline tensor cud_matrix(void *data, dtype type, int64_t rows, int64_t cols)
{
    const tensor t = { data, type, 2, { rows, cols, 0, 0, 0 }, { cols, 1, 0, 0, 0 } };
    return t;
}

/* Byte `elements` past the start; NULL stays NULL, so that views can be formed while recording. */
static inline void *cud_at(tensor t, int64_t elements)
{
    return t.data ? (char *)t.data + elements * (int64_t)cud_dtype_size(t.type) : NULL;
}

/* Columns [first, first + count) of a matrix. */
static inline tensor cud_columns(tensor t, int64_t first, int64_t count)
{
    t.data = cud_at(t, first);
    t.size[1] = count;
    return t;
}

/* Rows [first, first + count) of a matrix. */
static inline tensor cud_rows(tensor t, int64_t first, int64_t count)
{
    t.data = cud_at(t, first * t.stride[0]);
    t.size[0] = count;
    return t;
}

/* [rows, heads * dim] seen as [rows, heads, dim]. */
static inline tensor cud_split_heads(tensor t, int64_t heads, int64_t dim)
{
    const tensor out = { t.data, t.type, 3, { t.size[0], heads, dim, 0, 0 }, { t.stride[0], dim, 1, 0, 0 } };
    return out;
}

#ifdef __cplusplus
}
#endif
#endif
