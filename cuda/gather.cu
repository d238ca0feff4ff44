/* gather: out[i] = x[rows[i]]
 * One thread per 8 columns of a row. Memory bound. */
#include "backend.h"
#include "typed.cuh"

#include "core/op_checks.h"

namespace {

enum { THREADS = 256, BLOCKS = 4 }; /* of a multiprocessor */

struct gather_args {
    void *out;
    const void *x;
    const int32_t *rows;
    int64_t out_stride, x_stride;
    int out_type, x_type;
    int64_t count;
    int cols;
    bool wide;
};

__global__ void __launch_bounds__(THREADS, BLOCKS) gather_kernel(gather_args a)
{
    const int eights = (a.cols + 7) / 8;
    const int64_t i = int64_t(blockIdx.x) * THREADS + threadIdx.x, row = i / eights;
    if (row >= a.count) return;
    const int col = int(i % eights) * 8;
    typed_copy8(a.out, a.out_type, row * a.out_stride + col, a.x, a.x_type, a.rows[row] * a.x_stride + col, a.cols - col, a.wide);
}

} // namespace

extern "C" cuddle_status cud_cuda_gather(exec *ex, tensor out, tensor x, const int32_t *rows, cuddle_error *err)
{
    const cuddle_status status = cud_check_gather(ex, out, x, err);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD || out.size[0] == 0 || out.size[1] == 0) return status;
    const gather_args a = { out.data, x.data, rows, out.stride[0], x.stride[0], out.type, x.type, out.size[0], int(out.size[1]),
                            typed_wide(out) && typed_wide(x) };
    const int64_t threads = out.size[0] * ((out.size[1] + 7) / 8);
    return cud_cuda_check(dev_launch(gather_kernel, dim3(unsigned((threads + THREADS - 1) / THREADS)), dim3(THREADS), 0, cud_cuda_of(ex)->stream, a),
                          "gather", err);
}
