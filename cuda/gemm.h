/* Matrix products by cuBLASLt, for linear. Includes nothing of CUDA's libraries, so that .cu files can. */
#ifndef CUD_CUDA_GEMM_H
#define CUD_CUDA_GEMM_H

#include "core/tensor.h"
#include "core/status.h"

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cublaslt_api; /* gemm_api.h */
struct cuda_gemm;    /* a handle of cuBLASLt and the algorithms chosen so far; one thread at a time */

/* Opens libcublasLt, which takes a tenth of a second or so, on the current device. CUDDLE_E_DEVICE with a sentence where it is not there. */
cuddle_status cud_cuda_gemm_open(struct cuda_gemm **out, cuddle_error *err);
/* The same through functions that are there already; `api` must outlive the result. */
cuddle_status cud_cuda_gemm_new(struct cuda_gemm **out, const struct cublaslt_api *api, cuddle_error *err);
void cud_cuda_gemm_free(struct cuda_gemm *g); /* NULL is fine */

/* out = act(alpha x W^T + bias) or alpha x W^T + bias + residual, sums in float (never TF32), rounded once. Strides are in elements, between
 * rows. Bias and residual are of out's type and may be NULL; residual may be out. */
typedef struct gemm_args {
    dtype type, out_type; /* of x and w; F32 or the same */
    int64_t rows, n, k;   /* all at least 1 */
    const void *x, *w;
    int64_t x_stride, w_stride;
    bool w_transposed; /* w is [k, n] */
    void *out;
    int64_t out_stride;
    const void *bias, *residual;
    int64_t residual_stride;
    bool gelu_tanh; /* without residual */
    float alpha;
    void *workspace; /* nothing else uses it before this is done */
    size_t workspace_bytes;
} gemm_args;

/* *done is false with CUDDLE_OK where cuBLASLt has no algorithm for this: nothing was launched, linear's own kernels do it. */
cuddle_status cud_cuda_gemm_run(struct cuda_gemm *g, cudaStream_t stream, const gemm_args *args, bool *done, cuddle_error *err);

#ifdef __cplusplus
}
#endif
#endif
