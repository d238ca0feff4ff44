/* rmsnorm: out[r][c] = x[r][c] / sqrt(mean(x[r]^2) + eps) * (weight[c] + offset) + bias[c] + residual[r][c]
 * One block per row, 8 columns per thread and step. The row is read twice; the second read comes from cache. Memory bound. */
#include "norm.cuh"

namespace {

template <int THREADS> __global__ void __launch_bounds__(THREADS) rmsnorm_kernel(norm_job job)
{
    const int64_t from = norm_row(job, job.x_stride);
    float squares = 0.0f;
    for (int col = int(threadIdx.x) * NORM_STEP; col < job.cols; col += THREADS * NORM_STEP) {
        float v[NORM_STEP]; /* zero past the end */
        typed_load_some(v, job.x, job.x_type, from + col, job.cols - col, job.wide);
#pragma unroll
        for (int j = 0; j < NORM_STEP; j++) squares += v[j] * v[j];
    }
    const float mean_square = dev_block_sum<THREADS>(squares) / float(job.cols);
    norm_write<THREADS>(job, 0.0f, 1.0f / sqrtf(mean_square + job.eps));
}

template <int THREADS> cudaError_t launch(exec *ex, const norm_job &job)
{
    return dev_launch(rmsnorm_kernel<THREADS>, dim3(unsigned(job.rows)), dim3(THREADS), 0, cud_cuda_of(ex)->stream, job);
}

} // namespace

extern "C" cuddle_status cud_cuda_rmsnorm(exec *ex, const norm_args *args, cuddle_error *err)
{
    const cuddle_status status = norm_check(ex, "rmsnorm", args, err);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD) return status;
    const norm_job job = norm_job_of(args);
    if (job.rows == 0 || job.cols == 0) return CUDDLE_OK;
    const cudaError_t launched = job.cols <= NORM_SHORT_COLS ? launch<NORM_SHORT_THREADS>(ex, job) : launch<NORM_THREADS>(ex, job);
    return cud_cuda_check(launched, "rmsnorm", err);
}
