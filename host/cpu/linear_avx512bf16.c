/* bfloat16 on both sides with VDPBF16PS: lane j of a sum adds terms 2j and 2j + 1 of every 32, in order of k. The instruction takes
 * subnormal inputs and results as zero. */
#include "linear_tiles.h"

VEC_INLINE __m512bh load_pairs(const uint16_t *p) { return (__m512bh)_mm512_loadu_si512(p); }
VEC_INLINE __m512bh load_pairs_some(const uint16_t *p, int64_t n)
{
    return (__m512bh)_mm512_maskz_loadu_epi16((__mmask32)((1u << n) - 1u), p); /* n < 32 */
}

VEC_INLINE void tile(const linear_panel *p, int64_t m, int64_t n, int rows, int cols, int unused, ahead next)
{
    enum { STEP = 2 * VL };
    const uint16_t *x = (const uint16_t *)p->x + m * p->x_stride, *w = (const uint16_t *)p->w + n * p->w_stride;
    const int64_t xs = p->x_stride, ws = p->w_stride, k = p->k;
    (void)unused;
    vf sum[TILE_ROWS][TILE_COLS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int c = 0; c < cols; c++) sum[r][c] = v_zero();
    int64_t i = 0;
    for (; i + STEP <= k; i += STEP) {
        __m512bh b[TILE_COLS];
        if (rows == 1) {
#pragma GCC unroll 8
            for (int c = 0; c < cols; c++) ask_for(w, 2 * ((cols + c) * ws + i));
        } else {
            for (int c = next.from; c < next.to; c++) ask_for(w, 2 * ((cols + c) * ws + i));
        }
#pragma GCC unroll 8
        for (int c = 0; c < cols; c++) b[c] = load_pairs(w + c * ws + i);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            const __m512bh a = load_pairs(x + r * xs + i);
#pragma GCC unroll 8
            for (int c = 0; c < cols; c++) sum[r][c] = _mm512_dpbf16_ps(sum[r][c], a, b[c]);
        }
    }
    if (i < k) {
        __m512bh b[TILE_COLS];
#pragma GCC unroll 8
        for (int c = 0; c < cols; c++) b[c] = load_pairs_some(w + c * ws + i, k - i);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            const __m512bh a = load_pairs_some(x + r * xs + i, k - i);
#pragma GCC unroll 8
            for (int c = 0; c < cols; c++) sum[r][c] = _mm512_dpbf16_ps(sum[r][c], a, b[c]);
        }
    }
    store_sums(p, m, n, rows, cols, sum);
}

PANEL(panel, tile, 0)

void cud_cpu_linear_avx512bf16(const linear_panel *p) { panel(p); }
