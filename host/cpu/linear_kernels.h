/* The inner loops of `linear`, in one version per instruction set. */
#ifndef CUD_CPU_LINEAR_KERNELS_H
#define CUD_CPU_LINEAR_KERNELS_H

#include "core/weight.h"

/* out[m][n] = sum over k of x[m][k] * w[n][k] (or w[k][n] if transposed), for rows x cols elements.
 * An element's sum runs in an order that depends on k alone. */
typedef struct linear_panel {
    const void *x, *w;
    float *out;
    int64_t x_stride, w_stride, out_stride; /* elements from row to row */
    int64_t rows, cols, k;
} linear_panel;

typedef void (*linear_fn)(const linear_panel *p);

typedef struct linear_kernels {
    /* x is float, w is indexed by format (WF_F32, WF_F16, WF_BF16) */
    linear_fn panel[WF_BF16 + 1], transposed[WF_BF16 + 1];
} linear_kernels;

extern const linear_kernels cud_cpu_linear_portable, cud_cpu_linear_avx2, cud_cpu_linear_avx512;
void cud_cpu_linear_avx512bf16(const linear_panel *p); /* [n, k] with both sides bfloat16, multiplied as such */

#endif
