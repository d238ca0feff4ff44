/* Products of many rows by oneDNN, where it is built in. A plan is one of its primitives for one shape, run by one of our threads at a
 * time each, with OpenMP held to that thread. */
#ifndef CUD_CPU_ONEDNN_H
#define CUD_CPU_ONEDNN_H

#include "linear_kernels.h"
#include "machine.h"

typedef struct onednn onednn;
typedef struct onednn_plan onednn_plan;

#if CUD_HAVE_ONEDNN
/* *out is NULL with CUDDLE_OK if it is of no use on this instruction set. */
cuddle_status cud_onednn_new(onednn **out, int threads, cpu_isa isa, cuddle_error *err);
void cud_onednn_free(onednn *o); /* NULL is fine */
/* A plan for float out [rows, n] = x [rows, k] w [n, k]^T with x and w of `type` (F32 or BF16) and all rows next to each other; NULL if
 * oneDNN has none. Kept for later calls; the last few asked for stay valid. Not while plans run. */
onednn_plan *cud_onednn_plan(onednn *o, dtype type, int64_t rows, int64_t n, int64_t k);
/* False if it failed: out is then undefined. */
bool cud_onednn_run(onednn *o, onednn_plan *plan, int thread, const void *x, const void *w, float *out);
/* How often a plan could not be made or run, and our own kernels did the work. */
long cud_onednn_failures(const onednn *o);
#else
static inline cuddle_status cud_onednn_new(onednn **out, int threads, cpu_isa isa, cuddle_error *err)
{
    (void)threads, (void)isa, (void)err;
    *out = NULL;
    return CUDDLE_OK;
}
static inline void cud_onednn_free(onednn *o) { (void)o; }
static inline onednn_plan *cud_onednn_plan(onednn *o, dtype type, int64_t rows, int64_t n, int64_t k)
{
    (void)o, (void)type, (void)rows, (void)n, (void)k;
    return NULL;
}
static inline bool cud_onednn_run(onednn *o, onednn_plan *plan, int thread, const void *x, const void *w, float *out)
{
    (void)o, (void)plan, (void)thread, (void)x, (void)w, (void)out;
    return false;
}
#endif

#endif
