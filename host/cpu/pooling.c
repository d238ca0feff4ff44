/* pooling: one vector from the rows of a sequence, in row order */
#include "backend.h"

#include "core/op_checks.h"

typedef struct job {
    const cpu_backend *b;
    const pooling_args *a;
} job;

/* All of a column but the first row, which sum begins with. */
static void add_row(float *sum, const float *v, pooling_kind kind, int64_t place, int64_t n)
{
    switch (kind) {
    case POOLING_MEAN:
        for (int64_t c = 0; c < n; c++) sum[c] += v[c];
        return;
    case POOLING_MAX:
        for (int64_t c = 0; c < n; c++) sum[c] = v[c] > sum[c] || v[c] != v[c] ? v[c] : sum[c];
        return;
    case POOLING_WEIGHTED_MEAN:
        for (int64_t c = 0; c < n; c++) sum[c] += (float)place * v[c];
        return;
    case POOLING_FIRST:
    case POOLING_LAST: return;
    }
}

static void pool_sequences(void *arg, int64_t first, int64_t last)
{
    const job *j = arg;
    const pooling_args *a = j->a;
    const int64_t cols = a->out.size[1];
    float sum[CUD_CPU_CHUNK], buffer[CUD_CPU_CHUNK];
    for (int64_t s = first; s < last; s++) {
        int64_t begin = a->starts[s], end = a->starts[s + 1];
        if (a->kind == POOLING_FIRST && end > begin) end = begin + 1;
        if (a->kind == POOLING_LAST && end > begin) begin = end - 1;
        const float rows = (float)(end - begin);
        const float divisor = a->kind == POOLING_MEAN ? rows : a->kind == POOLING_WEIGHTED_MEAN ? rows * (rows + 1) / 2 : 1;
        for (int64_t c = 0; c < cols; c += CUD_CPU_CHUNK) {
            const int64_t n = cud_min64(CUD_CPU_CHUNK, cols - c);
            memset(sum, 0, (size_t)n * sizeof *sum);
            for (int64_t r = begin; r < end; r++) {
                const float *v = cud_cpu_floats(j->b, a->x, r * a->x.stride[0] + c, n, buffer);
                if (r == begin) memcpy(sum, v, (size_t)n * sizeof *sum);
                else add_row(sum, v, a->kind, r - begin + 1, n);
            }
            if (end > begin)
                for (int64_t i = 0; i < n; i++) sum[i] /= divisor;
            j->b->rows->from_float(cud_at(a->out, s * a->out.stride[0] + c), a->out.type, sum, n);
        }
    }
}

cuddle_status cud_cpu_pooling(exec *ex, const pooling_args *args, cuddle_error *err)
{
    const cuddle_status status = cud_check_pooling(ex, args, err);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD || args->out.size[0] == 0) return status;
    job j = { cud_cpu(ex), args };
    const int64_t rows = args->x.size[0] / args->out.size[0] + 1; /* of a sequence, on the average */
    cud_cpu_for_rows(ex, args->out.size[0], args->out.size[1] * rows, pool_sequences, &j);
    return CUDDLE_OK;
}
