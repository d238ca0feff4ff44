/* log_softmax: x[r][c] -= log(sum of exp(x[r]))
 * The sum is of differences from the largest, in double and in column order. */
#include "backend.h"

#include "core/op_checks.h"

#include <math.h>

static void log_softmax_rows(void *arg, int64_t first, int64_t last)
{
    const tensor *x = arg;
    const int64_t cols = x->size[1];
    for (int64_t r = first; r < last; r++) {
        float *v = cud_at(*x, r * x->stride[0]);
        float largest = -INFINITY;
        for (int64_t c = 0; c < cols; c++) largest = v[c] > largest ? v[c] : largest;
        double sum = 0;
        for (int64_t c = 0; c < cols; c++) sum += (double)expf(v[c] - largest);
        const float rest = (float)log(sum);
        for (int64_t c = 0; c < cols; c++) v[c] = v[c] - largest - rest;
    }
}

cuddle_status cud_cpu_log_softmax(exec *ex, tensor x, cuddle_error *err)
{
    const cuddle_status status = cud_check_log_softmax(ex, x, err);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD || x.size[0] == 0) return status;
    cud_cpu_for_rows(ex, x.size[0], x.size[1] * 8, log_softmax_rows, &x);
    return CUDDLE_OK;
}
