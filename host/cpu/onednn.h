/* Products of many rows by oneDNN, where it is built in. */
#ifndef CUD_CPU_ONEDNN_H
#define CUD_CPU_ONEDNN_H

#include "linear_kernels.h"
#include "machine.h"

typedef struct onednn onednn;

#if CUD_HAVE_ONEDNN
/* *out is NULL with CUDDLE_OK if it is of no use on this instruction set. */
cuddle_status cud_onednn_new(onednn **out, int threads, cpu_isa isa, cuddle_error *err);
void cud_onednn_free(onednn *o);
#else
static inline cuddle_status cud_onednn_new(onednn **out, int threads, cpu_isa isa, cuddle_error *err)
{
    (void)threads, (void)isa, (void)err;
    *out = NULL;
    return CUDDLE_OK;
}
static inline void cud_onednn_free(onednn *o) { (void)o; }
#endif

#endif
