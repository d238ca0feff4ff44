/* log_softmax: x[r][c] -= log(sum of exp(x[r]))
 * One block per row, which is read three times; the second and third read come from cache. Memory bound. */
#include "backend.h"
#include "device.h"

#include "core/op_checks.h"

namespace {

/* Few threads for short rows; the order of the sum depends on the number of columns alone. */
enum { SHORT_COLS = 512, SHORT_THREADS = 32, THREADS = 512 };

template <int COUNT> __global__ void __launch_bounds__(COUNT) log_softmax_kernel(float *x, int64_t stride, int cols)
{
    float *row = x + blockIdx.x * stride;
    float largest = -INFINITY;
    for (int c = int(threadIdx.x); c < cols; c += COUNT) largest = fmaxf(largest, row[c]);
    largest = dev_block_max<COUNT>(largest);
    float sum = 0.0f;
    for (int c = int(threadIdx.x); c < cols; c += COUNT) sum += dev_exp(row[c] - largest);
    const float rest = dev_log(dev_block_sum<COUNT>(sum));
    for (int c = int(threadIdx.x); c < cols; c += COUNT) row[c] = row[c] - largest - rest;
}

template <int COUNT> cudaError_t launch(exec *ex, tensor x)
{
    return dev_launch(log_softmax_kernel<COUNT>, dim3(unsigned(x.size[0])), dim3(COUNT), 0, cud_cuda_of(ex)->stream, static_cast<float *>(x.data),
                      x.stride[0], int(x.size[1]));
}

} // namespace

extern "C" cuddle_status cud_cuda_log_softmax(exec *ex, tensor x, cuddle_error *err)
{
    cuddle_status status = cud_check_log_softmax(ex, x, err);
    if (status == CUDDLE_OK && (x.size[0] > 0x7fffffff || x.size[1] > 0x3fffffff))
        status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "log_softmax on cuda: more than 2^31 rows or 2^30 columns");
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD || x.size[0] == 0 || x.size[1] == 0) return status;
    return cud_cuda_check(x.size[1] <= SHORT_COLS ? launch<SHORT_THREADS>(ex, x) : launch<THREADS>(ex, x), "log_softmax", err);
}
