/* What rmsnorm and layernorm have in common: rows that are those of a matrix or the heads of [rows, heads, dim]. */
#ifndef CUD_CPU_NORM_H
#define CUD_CPU_NORM_H

#include "backend.h"

#include "core/op_checks.h"

typedef struct norm_job {
    const cpu_backend *b;
    const norm_args *a;
    int64_t heads, cols;
} norm_job;

static inline cuddle_status cud_cpu_norm_prepare(exec *ex, const char *op, const norm_args *a, norm_job *job, cuddle_error *err)
{
    const tensor x = a->x;
    const int rank = x.rank == 3 ? 3 : 2;
    *job = (norm_job){ cud_cpu(ex), a, rank == 3 ? x.size[1] : 1, x.size[rank - 1] };
    return cud_check_norm(ex, op, a, err);
}

/* Element offset of norm row `row` in t. */
static inline int64_t cud_cpu_norm_row(const norm_job *job, tensor t, int64_t row)
{
    return row / job->heads * t.stride[0] + row % job->heads * t.stride[1] * (t.rank == 3);
}

/* out = (x - mean) * scale * (weight + offset) + bias + residual for the row at element `x` of job->a->x. */
static inline void cud_cpu_norm_write(const norm_job *job, int64_t row, float mean, float scale)
{
    const norm_args *a = job->a;
    const row_kernels *k = job->b->rows;
    const int64_t x = cud_cpu_norm_row(job, a->x, row), out = cud_cpu_norm_row(job, a->out, row);
    const float offset = a->unit_offset && cud_present(a->weight) ? 1.0f : 0.0f;
    const int64_t residual = cud_present(a->residual) ? cud_cpu_norm_row(job, a->residual, row) : 0;
    float values[CUD_CPU_CHUNK], weights[CUD_CPU_CHUNK], biases[CUD_CPU_CHUNK], result[CUD_CPU_CHUNK];
    for (int64_t c = 0; c < job->cols; c += CUD_CPU_CHUNK) {
        const int64_t n = cud_min64(CUD_CPU_CHUNK, job->cols - c);
        const float *w = cud_present(a->weight) ? cud_cpu_floats(job->b, a->weight, c, n, weights) : NULL;
        const float *bias = cud_present(a->bias) ? cud_cpu_floats(job->b, a->bias, c, n, biases) : NULL;
        k->normalise(result, cud_cpu_floats(job->b, a->x, x + c, n, values), mean, scale, w, offset, bias, n);
        if (cud_present(a->residual)) k->add(result, cud_cpu_floats(job->b, a->residual, residual + c, n, values), n);
        k->from_float(cud_at(a->out, out + c), a->out.type, result, n);
    }
}

#endif
