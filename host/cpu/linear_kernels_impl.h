/* Products of float activations with weights of any float format; included once per instruction set with LINEAR_TABLE naming the
 * table.
 *
 * [n, k] weights: the lanes of one vector hold every VL-th term of an element's sum, in order of k, and are added up at the end in a
 * fixed tree. Weights are widened in registers; activations are never rounded. [k, n] weights: the lanes are elements of out, and
 * each adds its terms one after another. */
#include "linear_tiles.h"

VEC_INLINE vf load_weight(wformat format, const void *w, int64_t at)
{
    switch (format) {
    case WF_BF16: return v_load_bf16((const uint16_t *)w + at);
    case WF_F16: return v_load_f16((const uint16_t *)w + at);
    default: return v_load((const float *)w + at);
    }
}

VEC_INLINE vf load_weight_some(wformat format, const void *w, int64_t at, int64_t n)
{
    switch (format) {
    case WF_BF16: return v_loadn_bf16((const uint16_t *)w + at, n);
    case WF_F16: return v_loadn_f16((const uint16_t *)w + at, n);
    default: return v_loadn((const float *)w + at, n);
    }
}

VEC_INLINE void tile(const linear_panel *p, int64_t m, int64_t n, int rows, int cols, wformat format)
{
    const float *x = (const float *)p->x + m * p->x_stride;
    const int64_t first = n * p->w_stride, xs = p->x_stride, ws = p->w_stride, k = p->k;
    vf sum[TILE_ROWS][TILE_COLS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int c = 0; c < cols; c++) sum[r][c] = v_zero();
    int64_t i = 0;
    for (; i + VL <= k; i += VL) {
        vf w[TILE_COLS];
#pragma GCC unroll 8
        for (int c = 0; c < cols; c++) w[c] = load_weight(format, p->w, first + c * ws + i);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            const vf a = v_load(x + r * xs + i);
#pragma GCC unroll 8
            for (int c = 0; c < cols; c++) sum[r][c] = v_fma(a, w[c], sum[r][c]);
        }
    }
    if (i < k) {
        vf w[TILE_COLS];
#pragma GCC unroll 8
        for (int c = 0; c < cols; c++) w[c] = load_weight_some(format, p->w, first + c * ws + i, k - i);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            const vf a = v_loadn(x + r * xs + i, k - i);
#pragma GCC unroll 8
            for (int c = 0; c < cols; c++) sum[r][c] = v_fma(a, w[c], sum[r][c]);
        }
    }
    store_sums(p, m, n, rows, cols, sum);
}

PANEL(panel_f32, tile, WF_F32)
PANEL(panel_f16, tile, WF_F16)
PANEL(panel_bf16, tile, WF_BF16)

/* `vectors` vectors of out's columns; the last one has `last` elements. */
VEC_INLINE void tile_transposed(const linear_panel *p, int64_t m, int64_t n, int rows, int vectors, int64_t last, wformat format)
{
    const float *x = (const float *)p->x + m * p->x_stride;
    vf sum[4][8];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int c = 0; c < vectors; c++) sum[r][c] = v_zero();
    for (int64_t i = 0; i < p->k; i++) {
        const int64_t at = i * p->w_stride + n;
        vf w[8];
#pragma GCC unroll 8
        for (int c = 0; c < vectors; c++)
            w[c] = last == VL ? load_weight(format, p->w, at + c * VL) : load_weight_some(format, p->w, at + c * VL, last);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            const vf a = v_set1(x[r * p->x_stride + i]);
#pragma GCC unroll 8
            for (int c = 0; c < vectors; c++) sum[r][c] = v_fma(a, w[c], sum[r][c]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        float *out = p->out + (m + r) * p->out_stride + n;
#pragma GCC unroll 8
        for (int c = 0; c < vectors; c++) {
            if (last == VL) v_store(out + c * VL, sum[r][c]);
            else v_storen(out + c * VL, sum[r][c], last);
        }
    }
}

VEC_INLINE void walk_transposed(const linear_panel *p, int64_t m, int rows, int vectors, wformat format)
{
    int64_t n = 0;
    for (; n + vectors * VL <= p->cols; n += vectors * VL) tile_transposed(p, m, n, rows, vectors, VL, format);
    for (; n + VL <= p->cols; n += VL) tile_transposed(p, m, n, rows, 1, VL, format);
    if (n < p->cols) tile_transposed(p, m, n, rows, 1, p->cols - n, format);
}

VEC_INLINE void panel_transposed(const linear_panel *p, wformat format)
{
    enum { ROWS = TILE_ROWS > 2 ? 4 : 2 };
    int64_t m = 0;
    for (; m + ROWS <= p->rows; m += ROWS) walk_transposed(p, m, ROWS, 4, format);
    for (; m < p->rows; m++) walk_transposed(p, m, 1, 8, format);
}

static void transposed_f32(const linear_panel *p) { panel_transposed(p, WF_F32); }
static void transposed_f16(const linear_panel *p) { panel_transposed(p, WF_F16); }
static void transposed_bf16(const linear_panel *p) { panel_transposed(p, WF_BF16); }

const linear_kernels LINEAR_TABLE = {
    .panel = { [WF_F32] = panel_f32, [WF_F16] = panel_f16, [WF_BF16] = panel_bf16 },
    .transposed = { [WF_F32] = transposed_f32, [WF_F16] = transposed_f16, [WF_BF16] = transposed_bf16 },
};
