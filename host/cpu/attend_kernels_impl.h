/* The weighted sum of values; included once per instruction set with ATTEND_SUM naming the function. Lanes are elements of out; each adds
 * its terms in order of j, so neither the rows handled at once nor the cut into pages matters. */
#include "attend_kernels.h"
#include "vec.h"

VEC_INLINE void sum_tile(const attend_sum *a, int r, int64_t d, int rows, int vectors, int64_t last)
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
        const float *v = a->v + j * a->v_stride + d;
        vf value[4];
#pragma GCC unroll 4
        for (int c = 0; c < vectors; c++) value[c] = last == VL ? v_load(v + c * VL) : v_loadn(v + c * VL, last);
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

VEC_INLINE void sum_rows(const attend_sum *a, int r, int rows)
{
    int64_t d = 0;
    for (; d + 4 * VL <= a->dim; d += 4 * VL) sum_tile(a, r, d, rows, 4, VL);
    for (; d + VL <= a->dim; d += VL) sum_tile(a, r, d, rows, 1, VL);
    if (d < a->dim) sum_tile(a, r, d, rows, 1, a->dim - d);
}

void ATTEND_SUM(const attend_sum *a)
{
    enum { ROWS = VL == 16 ? 4 : 2 };
    int r = 0;
    while (r < a->rows) {
        bool same = r + ROWS <= a->rows;
        for (int i = 1; same && i < ROWS; i++) same = a->first[r + i] == a->first[r] && a->last[r + i] == a->last[r];
        if (same) sum_rows(a, r, ROWS);
        else sum_rows(a, r, 1);
        r += same ? ROWS : 1;
    }
}
