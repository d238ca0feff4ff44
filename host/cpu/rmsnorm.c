/* rmsnorm: out[r][c] = x[r][c] / sqrt(mean(x[r]^2) + eps) * w[c] + b[c]
 * The row is read twice; the second time it comes from cache. */
#include "norm.h"

#include <math.h>

static void rmsnorm_rows(void *arg, int64_t first, int64_t last)
{
    const norm_job *job = arg;
    float buffer[CUD_CPU_CHUNK];
    for (int64_t r = first; r < last; r++) {
        const int64_t x = cud_cpu_norm_row(job, job->a->x, r);
        float sum = 0.0f; /* of pieces of a fixed size: the order depends on the number of columns alone */
        for (int64_t c = 0; c < job->cols; c += CUD_CPU_CHUNK) {
            const int64_t n = cud_min64(CUD_CPU_CHUNK, job->cols - c);
            sum += job->b->rows->sum_squares(cud_cpu_floats(job->b, job->a->x, x + c, n, buffer), 0.0f, n);
        }
        cud_cpu_norm_write(job, r, 0.0f, 1.0f / sqrtf(sum / (float)job->cols + job->a->eps));
    }
}

cuddle_status cud_cpu_rmsnorm(exec *ex, const norm_args *args, cuddle_error *err)
{
    norm_job job;
    const cuddle_status status = cud_cpu_norm_prepare(ex, "rmsnorm", args, &job, err);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD) return status;
    cud_cpu_for_rows(ex, args->x.size[0] * job.heads, job.cols, rmsnorm_rows, &job);
    return CUDDLE_OK;
}
