/* layernorm: out[r][c] = (x[r][c] - mean) / sqrt(mean((x[r] - mean)^2) + eps) * (weight[c] + offset) + bias[c] + residual[r][c]
 * One block per row, 8 columns per thread and step. The row is read three times, twice from cache: the variance of the differences
 * does not cancel. Memory bound. */
#include "norm.cuh"

namespace {

template <int THREADS> __global__ void __launch_bounds__(THREADS) layernorm_kernel(norm_job job)
{
    const int64_t from = norm_row(job, job.x_stride);
    float sum = 0.0f, squares = 0.0f;
    for (int col = int(threadIdx.x) * NORM_STEP; col < job.cols; col += THREADS * NORM_STEP) {
        float v[NORM_STEP]; /* zero past the end */
        typed_load_some(v, job.x, job.x_type, from + col, job.cols - col, job.wide);
#pragma unroll
        for (int j = 0; j < NORM_STEP; j++) sum += v[j];
    }
    const float mean = dev_block_sum<THREADS>(sum) / float(job.cols);
    for (int col = int(threadIdx.x) * NORM_STEP; col < job.cols; col += THREADS * NORM_STEP) {
        const int left = job.cols - col;
        float v[NORM_STEP];
        typed_load_some(v, job.x, job.x_type, from + col, left, job.wide);
#pragma unroll
        for (int j = 0; j < NORM_STEP; j++) squares += j < left ? (v[j] - mean) * (v[j] - mean) : 0.0f;
    }
    const float variance = dev_block_sum<THREADS>(squares) / float(job.cols);
    norm_write<THREADS>(job, mean, 1.0f / sqrtf(variance + job.eps));
}

template <int THREADS> cudaError_t launch(exec *ex, const norm_job &job)
{
    return dev_launch(layernorm_kernel<THREADS>, dim3(unsigned(job.rows)), dim3(THREADS), 0, cud_cuda_of(ex)->stream, job);
}

} // namespace

extern "C" cuddle_status cud_cuda_layernorm(exec *ex, const norm_args *args, cuddle_error *err)
{
    const cuddle_status status = norm_check(ex, "layernorm", args, err);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD) return status;
    const norm_job job = norm_job_of(args);
    if (job.rows == 0 || job.cols == 0) return CUDDLE_OK;
    const cudaError_t launched = job.cols <= NORM_SHORT_COLS ? launch<NORM_SHORT_THREADS>(ex, job) : launch<NORM_THREADS>(ex, job);
    return cud_cuda_check(launched, "layernorm", err);
}
