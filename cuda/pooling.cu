/* pooling: one vector from the rows of a sequence
 * One block per sequence and 32 columns: each warp takes every 8th row, a lane is a column, and the warps' results are put together in
 * order. What it gives depends on the sequence's own rows alone. Memory bound. */
#include "backend.h"
#include "typed.cuh"

#include "core/op_checks.h"

namespace {

enum { WARPS = 8, THREADS = WARPS * DEV_WARP };

struct pooling_job {
    void *out;
    const void *x;
    const int32_t *starts;
    int64_t out_stride, x_stride;
    int out_type, x_type, kind, cols, groups; /* groups of 32 columns */
};

DEV_FN float together(int kind, float a, float b)
{
    if (kind == POOLING_MAX) return b > a || b != b ? b : a;
    return a + b;
}

__global__ void __launch_bounds__(THREADS) pooling_kernel(pooling_job job)
{
    DEV_SHARED(float, partial, [WARPS][DEV_WARP]);
    const int64_t s = blockIdx.x / unsigned(job.groups);
    const int col = int(blockIdx.x % unsigned(job.groups)) * DEV_WARP + dev_lane(), warp = dev_warp();
    int begin = job.starts[s], end = job.starts[s + 1];
    if (job.kind == POOLING_FIRST) end = min(end, begin + 1);
    if (job.kind == POOLING_LAST) begin = max(begin, end - 1);
    const int rows = end - begin;
    float v = job.kind == POOLING_MAX ? -INFINITY : 0.0f;
    if (col < job.cols) {
#pragma unroll 4
        for (int r = warp; r < rows; r += WARPS) {
            const float x = typed_load(job.x, job.x_type, (begin + r) * job.x_stride + col);
            v = together(job.kind, v, job.kind == POOLING_WEIGHTED_MEAN ? float(r + 1) * x : x);
        }
    }
    partial[warp][dev_lane()] = v;
    __syncthreads();
    if (warp != 0 || col >= job.cols) return;
#pragma unroll
    for (int w = 1; w < WARPS; w++) v = together(job.kind, v, partial[w][dev_lane()]);
    const float n = float(rows);
    if (job.kind == POOLING_MEAN) v /= n;
    if (job.kind == POOLING_WEIGHTED_MEAN) v /= n * (n + 1) / 2;
    typed_store(job.out, job.out_type, s * job.out_stride + col, rows > 0 ? v : 0.0f);
}

} // namespace

extern "C" cuddle_status cud_cuda_pooling(exec *ex, const pooling_args *args, cuddle_error *err)
{
    cuddle_status status = cud_check_pooling(ex, args, err);
    const tensor out = args->out, x = args->x;
    const int64_t groups = (out.size[1] + DEV_WARP - 1) / DEV_WARP;
    if (status == CUDDLE_OK && (x.size[1] > 0x3fffffff || out.size[0] > 0x7fffffff / (groups + 1)))
        status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "pooling on cuda: %lld sequences of %lld columns", (long long)out.size[0], (long long)x.size[1]);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD || out.size[0] == 0 || out.size[1] == 0) return status;
    const pooling_job job = { out.data, x.data, args->starts, out.stride[0], x.stride[0], out.type, x.type, args->kind, int(out.size[1]), int(groups) };
    return cud_cuda_check(dev_launch(pooling_kernel, dim3(unsigned(out.size[0] * groups)), dim3(THREADS), 0, cud_cuda_of(ex)->stream, job), "pooling",
                          err);
}
