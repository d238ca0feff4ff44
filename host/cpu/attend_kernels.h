/* The inner loop of `attend` that is its own, in one version per instruction set. The scores q k^T are a linear_panel. */
#ifndef CUD_CPU_ATTEND_KERNELS_H
#define CUD_CPU_ATTEND_KERNELS_H

#include "core/weight.h"

/* out[r] += sum of p[r][j] * v[j] for j in [first[r], last[r]), one after another; out, v: dim elements. Values outside the range are
 * not touched. */
typedef struct attend_sum {
    float *out;
    const float *p;
    const void *v;
    wformat format; /* of v: WF_F32, WF_F16 or WF_BF16 */
    int64_t out_stride, p_stride, v_stride, dim;
    const int *first, *last;
    int rows;
} attend_sum;

typedef void (*attend_fn)(const attend_sum *a);

void cud_cpu_attend_portable(const attend_sum *a);
void cud_cpu_attend_avx2(const attend_sum *a);
void cud_cpu_attend_avx512(const attend_sum *a);

#endif
