/* What the ops of every backend refuse. An op that cannot be done is CUDDLE_E_UNSUPPORTED, a wrong shape a defect of the caller:
 * CUDDLE_E_INTERNAL. The sentences name the op and the backend (ex->ops->name). No pointer is touched. */
#ifndef CUD_CORE_OP_CHECKS_H
#define CUD_CORE_OP_CHECKS_H

#include "core/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Activations: rank, a compute type, sizes (-1 is any), a last dimension of stride 1. */
cuddle_status cud_check_tensor(const exec *ex, const char *op, const char *what, tensor t, int rank, int64_t size0, int64_t size1,
                               int64_t size2, cuddle_error *err);
/* A vector that may be left out. */
cuddle_status cud_check_vector(const exec *ex, const char *op, const char *what, tensor t, int64_t n, cuddle_error *err);
/* F32, F16 or BF16, no experts, whole segments, one if transposed. */
cuddle_status cud_check_weight(const exec *ex, const char *op, const weight *w, cuddle_error *err);

/* Everything one op checks; ep is not NULL. */
cuddle_status cud_check_linear(const exec *ex, tensor out, tensor x, const weight *w, const epilogue *ep, cuddle_error *err);
cuddle_status cud_check_embed(const exec *ex, const embed_args *args, cuddle_error *err);
cuddle_status cud_check_gate(const exec *ex, tensor out, tensor gate, tensor up, activation act, cuddle_error *err);
cuddle_status cud_check_gather(const exec *ex, tensor out, tensor x, cuddle_error *err);
cuddle_status cud_check_log_softmax(const exec *ex, tensor x, cuddle_error *err);
cuddle_status cud_check_pooling(const exec *ex, const pooling_args *args, cuddle_error *err);
cuddle_status cud_check_sample(const exec *ex, const sample_args *args, cuddle_error *err);
cuddle_status cud_check_advance(const exec *ex, const step *s, cuddle_error *err);
cuddle_status cud_check_rope(const exec *ex, const rope_args *args, cuddle_error *err);
cuddle_status cud_check_attend(const exec *ex, const attend_args *args, cuddle_error *err);
cuddle_status cud_check_copy_pages(const exec *ex, const copy_pages_args *args, cuddle_error *err);
/* rmsnorm or layernorm. */
cuddle_status cud_check_norm(const exec *ex, const char *op, const norm_args *args, cuddle_error *err);

enum { CUD_MAX_HEAD = 1024 }; /* elements of a head */

#ifdef __cplusplus
}
#endif
#endif
