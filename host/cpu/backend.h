/* The CPU backend's insides: its state, the ops and what they share. */
#ifndef CUD_CPU_BACKEND_H
#define CUD_CPU_BACKEND_H

#include "attend_kernels.h"
#include "cpu.h"
#include "linear_kernels.h"
#include "pool.h"
#include "row_kernels.h"
#include "sample_kernels.h"

struct onednn;

typedef struct cpu_backend {
    backend base;
    pool *pool;
    const row_kernels *rows;
    const linear_kernels *linear;
    linear_fn panel_bf16; /* both sides bfloat16, multiplied as such; NULL: x is widened to float */
    attend_fn attend;
    sample_fn sample;
    struct onednn *onednn; /* NULL: not built in, not wanted or not usable */
} cpu_backend;

static inline cpu_backend *cud_cpu(exec *ex) { return (cpu_backend *)ex->backend; }

/* One per slot of the op table. */
cuddle_status cud_cpu_load(backend *b, void *arena, const load_plan *plan, load_progress_fn progress, void *user, cuddle_error *err);
cuddle_status cud_cpu_embed(exec *ex, const embed_args *args, cuddle_error *err);
cuddle_status cud_cpu_rmsnorm(exec *ex, const norm_args *args, cuddle_error *err);
cuddle_status cud_cpu_layernorm(exec *ex, const norm_args *args, cuddle_error *err);
cuddle_status cud_cpu_linear(exec *ex, tensor out, tensor x, const weight *w, const epilogue *ep, cuddle_error *err);
cuddle_status cud_cpu_rope(exec *ex, const rope_args *args, cuddle_error *err);
cuddle_status cud_cpu_attend(exec *ex, const attend_args *args, cuddle_error *err);
cuddle_status cud_cpu_copy_pages(exec *ex, const copy_pages_args *args, cuddle_error *err);
cuddle_status cud_cpu_gate(exec *ex, tensor out, tensor gate, tensor up, activation act, cuddle_error *err);
cuddle_status cud_cpu_log_softmax(exec *ex, tensor x, cuddle_error *err);
cuddle_status cud_cpu_pooling(exec *ex, const pooling_args *args, cuddle_error *err);
cuddle_status cud_cpu_sample(exec *ex, const sample_args *args, cuddle_error *err);
cuddle_status cud_cpu_gather(exec *ex, tensor out, tensor x, const int32_t *rows, cuddle_error *err);

/* Runs fn over [0, rows) in ranges: on the calling thread if rows * cost, in elements, is little, else on the pool. */
typedef void (*rows_fn)(void *arg, int64_t first, int64_t last);
void cud_cpu_for_rows(exec *ex, int64_t rows, int64_t cost, rows_fn fn, void *arg);

/* Ops that walk along a row do it in pieces of this many elements, converted to float on the stack. */
enum { CUD_CPU_CHUNK = 512 };

/* n elements of t from element `at` on, as floats: in place if they are floats, else converted into `buffer`. */
static inline const float *cud_cpu_floats(const cpu_backend *b, tensor t, int64_t at, int64_t n, float *buffer)
{
    const void *p = (const char *)t.data + at * (int64_t)cud_dtype_size(t.type);
    if (t.type == CUDDLE_F32) return p;
    b->rows->to_float(buffer, p, t.type, n);
    return buffer;
}

static inline int64_t cud_min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t cud_max64(int64_t a, int64_t b) { return a > b ? a : b; }

#endif
