/* What ops do along one row of floats, in one version per instruction set. */
#ifndef CUD_CPU_ROW_KERNELS_H
#define CUD_CPU_ROW_KERNELS_H

#include "core/ops.h"

/* Sums and maxima go through a fixed number of lanes, so their order depends on n alone. Outputs may be inputs. */
typedef struct row_kernels {
    void (*to_float)(float *out, const void *in, dtype type, int64_t n);
    void (*from_float)(void *out, dtype type, const float *in, int64_t n);
    float (*sum)(const float *x, int64_t n);
    float (*sum_squares)(const float *x, float mean, int64_t n); /* of x - mean */
    /* (x - mean) * scale * (w + offset) + b; w and b may be NULL */
    void (*normalise)(float *out, const float *x, float mean, float scale, const float *w, float offset, const float *b, int64_t n);
    void (*activate)(float *x, activation act, int64_t n);
    void (*gate)(float *out, const float *gate, const float *up, activation act, int64_t n);
    void (*soft_cap)(float *x, float cap, int64_t n); /* cap tanh(x / cap) */
    void (*scale)(float *x, float factor, int64_t n);
    void (*add)(float *x, const float *y, int64_t n);
    /* These take n as a multiple of 16. */
    float (*max)(const float *x, int64_t n); /* NaNs are passed over or not */
    float (*exp_sum)(float *x, float max, int64_t n); /* x becomes exp(x - max); returns the sum. exp is within 2 ulp, exp(-inf) is 0 */
} row_kernels;

extern const row_kernels cud_cpu_rows_portable, cud_cpu_rows_avx2, cud_cpu_rows_avx512;

#endif
