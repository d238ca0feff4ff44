/* The weighted sum of values; included once per instruction set with ATTEND_SUM naming the function. Lanes are elements of out; each adds
 * its terms in order of j, so neither the rows handled at once nor the cut into pages matters. */
#include "attend_kernels.h"
#include "vec.h"

VEC_INLINE void sum_tile(const attend_sum *a, int r, int64_t d, int rows, int vectors, int64_t last, wformat format)
{
    vf sum[4][4];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int c = 0; c < vectors; c++) {
            const float *out = a->out + (r + i) * a->out_stride + d + c * VL;
            sum[i][c] = last == VL ? v_load(out) : v_loadn(out, last);
        }
    for (int j = a->first[r]; j < a->last[r]; j++) {
        const int64_t v = j * a->v_stride + d;
        vf value[4];
#pragma GCC unroll 4
        for (int c = 0; c < vectors; c++)
            value[c] = last == VL ? v_load_as(format, a->v, v + c * VL) : v_loadn_as(format, a->v, v + c * VL, last);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            const vf p = v_set1(a->p[(r + i) * a->p_stride + j]);
#pragma GCC unroll 4
            for (int c = 0; c < vectors; c++) sum[i][c] = v_fma(p, value[c], sum[i][c]);
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int c = 0; c < vectors; c++) {
            float *out = a->out + (r + i) * a->out_stride + d + c * VL;
            if (last == VL) v_store(out, sum[i][c]);
            else v_storen(out, sum[i][c], last);
        }
}

VEC_INLINE void sum_rows(const attend_sum *a, int r, int rows, wformat format)
{
    int64_t d = 0;
    for (; d + 4 * VL <= a->dim; d += 4 * VL) sum_tile(a, r, d, rows, 4, VL, format);
    for (; d + VL <= a->dim; d += VL) sum_tile(a, r, d, rows, 1, VL, format);
    if (d < a->dim) sum_tile(a, r, d, rows, 1, a->dim - d, format);
}

/* Rows that see the same keys go together, as many as the registers hold. */
VEC_INLINE void sum_all(const attend_sum *a, wformat format)
{
    enum { MOST = VL == 16 ? 4 : 2 };
    for (int r = 0, same; r < a->rows; r += same) {
        for (same = 1; same < MOST && r + same < a->rows; same++)
            if (a->first[r + same] != a->first[r] || a->last[r + same] != a->last[r]) break;
        switch (same) {
        case 1: sum_rows(a, r, 1, format); break;
        case 2: sum_rows(a, r, 2, format); break;
        case 3: sum_rows(a, r, MOST > 2 ? 3 : 2, format); break;
        default: sum_rows(a, r, MOST, format); break;
        }
    }
}

void ATTEND_SUM(const attend_sum *a)
{
    switch (a->format) {
    case WF_BF16: sum_all(a, WF_BF16); break;
    case WF_F16: sum_all(a, WF_F16); break;
    default: sum_all(a, WF_F32); break;
    }
}
