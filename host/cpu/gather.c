/* gather: out[i] = x[rows[i]] */
#include "backend.h"

#include "core/op_checks.h"

typedef struct job {
    const cpu_backend *b;
    tensor out, x;
    const int32_t *rows;
} job;

static void gather_rows(void *arg, int64_t first, int64_t last)
{
    const job *j = arg;
    float buffer[CUD_CPU_CHUNK];
    const int64_t cols = j->out.size[1];
    for (int64_t r = first; r < last; r++) {
        const int64_t from = j->rows[r] * j->x.stride[0], to = r * j->out.stride[0];
        if (j->out.type == j->x.type) {
            memcpy(cud_at(j->out, to), cud_at(j->x, from), (size_t)cols * cud_dtype_size(j->x.type));
            continue;
        }
        for (int64_t c = 0; c < cols; c += CUD_CPU_CHUNK) {
            const int64_t n = cud_min64(CUD_CPU_CHUNK, cols - c);
            j->b->rows->from_float(cud_at(j->out, to + c), j->out.type, cud_cpu_floats(j->b, j->x, from + c, n, buffer), n);
        }
    }
}

cuddle_status cud_cpu_gather(exec *ex, tensor out, tensor x, const int32_t *rows, cuddle_error *err)
{
    const cuddle_status status = cud_check_gather(ex, out, x, err);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD || out.size[0] == 0) return status;
    job j = { cud_cpu(ex), out, x, rows };
    cud_cpu_for_rows(ex, out.size[0], out.size[1], gather_rows, &j);
    return CUDDLE_OK;
}
