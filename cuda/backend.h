/* The CUDA backend: one device, one stream, and what its ops share. */
#ifndef CUD_CUDA_BACKEND_H
#define CUD_CUDA_BACKEND_H

#include "core/ops.h"

#include <cuda_runtime_api.h>
#include <pthread.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cuda_gemm; /* cuBLASLt: gemm.c */

typedef struct cuda_backend {
    backend base; /* first, so that a backend * is a cuda_backend * */
    int device;
    int multiprocessors;
    int capability; /* 90 for compute capability 9.0 */
    cudaStream_t stream; /* every op of an exec goes here, in call order; never the default stream */
    struct cuda_gemm *gemm; /* cud_cuda_gemm_of() */
    pthread_mutex_t lock;   /* guards gemm_tried */
    bool gemm_tried;        /* the first load opens cuBLASLt, beside the weights */
} cuda_backend;

static inline cuda_backend *cud_cuda_of(const exec *ex) { return (cuda_backend *)ex->backend; }
/* NULL until it is there: linear then uses kernels of ours. */
struct cuda_gemm *cud_cuda_gemm_of(const exec *ex);

/* CUDDLE_OK, or CUDDLE_E_DEVICE with "<what> on CUDA: <the runtime's sentence>". Takes the runtime's last error back, so that a later
 * launch is not blamed for it. */
cuddle_status cud_cuda_check(cudaError_t status, const char *what, cuddle_error *err);

/* The ops: one file each, signatures and contracts as in core/ops.h. A thread's current device is set by alloc, upload and load, one of
 * which begins everything a thread does with a backend. */
cuddle_status cud_cuda_embed(exec *ex, const embed_args *args, cuddle_error *err);
cuddle_status cud_cuda_rmsnorm(exec *ex, const norm_args *args, cuddle_error *err);
cuddle_status cud_cuda_layernorm(exec *ex, const norm_args *args, cuddle_error *err);
cuddle_status cud_cuda_linear(exec *ex, tensor out, tensor x, const weight *w, const epilogue *ep, cuddle_error *err);
cuddle_status cud_cuda_rope(exec *ex, const rope_args *args, cuddle_error *err);
cuddle_status cud_cuda_attend(exec *ex, const attend_args *args, cuddle_error *err);
cuddle_status cud_cuda_copy_pages(exec *ex, const copy_pages_args *args, cuddle_error *err);
cuddle_status cud_cuda_gate(exec *ex, tensor out, tensor gate, tensor up, activation act, cuddle_error *err);
cuddle_status cud_cuda_gather(exec *ex, tensor out, tensor x, const int32_t *rows, cuddle_error *err);
cuddle_status cud_cuda_log_softmax(exec *ex, tensor x, cuddle_error *err);
cuddle_status cud_cuda_pooling(exec *ex, const pooling_args *args, cuddle_error *err);
cuddle_status cud_cuda_sample(exec *ex, const sample_args *args, cuddle_error *err);
cuddle_status cud_cuda_advance(exec *ex, const step *s, cuddle_error *err);
cuddle_status cud_cuda_capture_begin(exec *ex, cuddle_error *err);
cuddle_status cud_cuda_capture_end(exec *ex, struct graph **out, bool failed, cuddle_error *err);
cuddle_status cud_cuda_replay(exec *ex, struct graph *g, cuddle_error *err);
void cud_cuda_graph_free(backend *b, struct graph *g);
cuddle_status cud_cuda_load(backend *b, void *arena, const load_plan *plan, load_progress_fn progress, void *user, cuddle_error *err);

#ifdef __cplusplus
}
#endif
#endif
