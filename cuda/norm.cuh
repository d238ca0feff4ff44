/* What rmsnorm and layernorm have in common: the checks, where a row lies, and the pass that writes it. */
#ifndef CUD_CUDA_NORM_CUH
#define CUD_CUDA_NORM_CUH

#include "backend.h"
#include "typed.cuh"

#include "core/op_checks.h"

namespace {

struct norm_vector {
    const void *data; /* NULL: left out */
    int type;
};

struct norm_job {
    void *out;
    const void *x;
    norm_vector weight, bias, residual;
    int64_t out_stride[2], x_stride[2], residual_stride[2]; /* of rows and heads */
    int out_type, x_type;
    int64_t rows; /* heads count as rows of their own */
    int heads, cols;
    float eps, offset; /* offset is added to the weight */
    bool wide;         /* every row begins at a multiple of 16 bytes */
};

/* A block of few threads for short rows. The order of a sum depends on this, and so on the number of columns alone. */
enum { NORM_SHORT_COLS = 512, NORM_SHORT_THREADS = 32, NORM_THREADS = 256, NORM_STEP = 8 };

DEV_FN int64_t norm_row(const norm_job &job, const int64_t (&stride)[2])
{
    return blockIdx.x / unsigned(job.heads) * stride[0] + blockIdx.x % unsigned(job.heads) * stride[1]; /* 64 bit: rows * cols can pass 2^31 */
}

DEV_FN void norm_load_vector(float (&v)[NORM_STEP], const norm_vector &vector, int col, int left, bool wide, float missing)
{
    if (vector.data) {
        typed_load_some(v, vector.data, vector.type, col, left, wide);
    } else {
#pragma unroll
        for (int j = 0; j < NORM_STEP; j++) v[j] = missing;
    }
}

/* out = (x - mean) * scale * (weight + offset) + bias + residual */
template <int THREADS> DEV_FN void norm_write(const norm_job &job, float mean, float scale)
{
    const int64_t from = norm_row(job, job.x_stride), to = norm_row(job, job.out_stride), added = norm_row(job, job.residual_stride);
    for (int col = int(threadIdx.x) * NORM_STEP; col < job.cols; col += THREADS * NORM_STEP) {
        const int left = job.cols - col;
        float v[NORM_STEP], weight[NORM_STEP], bias[NORM_STEP];
        typed_load_some(v, job.x, job.x_type, from + col, left, job.wide);
        norm_load_vector(weight, job.weight, col, left, job.wide, 1.0f);
        norm_load_vector(bias, job.bias, col, left, job.wide, 0.0f);
#pragma unroll
        for (int j = 0; j < NORM_STEP; j++) v[j] = (v[j] - mean) * scale * (weight[j] + job.offset) + bias[j];
        if (job.residual.data) {
            float more[NORM_STEP];
            typed_load_some(more, job.residual.data, job.residual.type, added + col, left, job.wide);
#pragma unroll
            for (int j = 0; j < NORM_STEP; j++) v[j] += more[j];
        }
        typed_store_some(job.out, job.out_type, to + col, v, left, job.wide);
    }
}

inline cuddle_status norm_check(const exec *ex, const char *op, const norm_args *a, cuddle_error *err)
{
    const int rank = a->x.rank;
    const int64_t *size = a->x.size;
    const cuddle_status status = cud_check_norm(ex, op, a, err);
    if (status == CUDDLE_OK && (size[rank - 1] > 0x3fffffff || size[0] * (rank == 3 ? size[1] : 1) > 0x7fffffff))
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s on cuda: more than 2^30 columns or 2^31 rows", op);
    return status;
}

inline norm_job norm_job_of(const norm_args *a)
{
    const bool split = a->x.rank == 3;
    norm_job job = {};
    job.out = a->out.data;
    job.x = a->x.data;
    job.weight = { cud_present(a->weight) ? a->weight.data : nullptr, a->weight.type };
    job.bias = { cud_present(a->bias) ? a->bias.data : nullptr, a->bias.type };
    const bool adds = cud_present(a->residual);
    job.residual = { adds ? a->residual.data : nullptr, a->residual.type };
    job.residual_stride[0] = adds ? a->residual.stride[0] : 0;
    job.residual_stride[1] = adds && split ? a->residual.stride[1] : 0;
    job.out_stride[0] = a->out.stride[0];
    job.out_stride[1] = split ? a->out.stride[1] : 0;
    job.x_stride[0] = a->x.stride[0];
    job.x_stride[1] = split ? a->x.stride[1] : 0;
    job.out_type = a->out.type;
    job.x_type = a->x.type;
    job.heads = split ? int(a->x.size[1]) : 1;
    job.cols = int(a->x.size[split ? 2 : 1]);
    job.rows = a->x.size[0] * job.heads;
    job.eps = a->eps;
    job.offset = a->unit_offset && cud_present(a->weight) ? 1.0f : 0.0f;
    job.wide = typed_wide(a->out) && typed_wide(a->x) && (!adds || typed_wide(a->residual)) && typed_wide(job.weight.data, CUDDLE_F32, 0) && typed_wide(job.bias.data, CUDDLE_F32, 0);
    return job;
}

} // namespace

#endif
