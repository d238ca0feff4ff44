/* Products of float activations with weights of any float format; included once per instruction set with LINEAR_TABLE naming the
 * table.
 *
 * [n, k] weights: the lanes of one vector hold every VL-th term of an element's sum, in order of k, and are added up at the end in a
 * fixed tree. Weights are widened in registers; activations are never rounded. [k, n] weights: the lanes are elements of out, and
 * each adds its terms one after another. */
#include "linear_tiles.h"

VEC_INLINE void tile(const linear_panel *p, int64_t m, int64_t n, int rows, int cols, wformat format, ahead next)
{
    const float *x = (const float *)p->x + m * p->x_stride;
    const int64_t first = n * p->w_stride, xs = p->x_stride, ws = p->w_stride, k = p->k;
    vf sum[TILE_ROWS][TILE_COLS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int c = 0; c < cols; c++) sum[r][c] = v_zero();
    int64_t i = 0;
    const int64_t size = format == WF_F32 ? 4 : 2; /* of a weight */
    for (; i + VL <= k; i += VL) {
        vf w[TILE_COLS];
        if (rows == 1) {
#pragma GCC unroll 8
            for (int c = 0; c < cols; c++) ask_for(p->w, size * (first + (cols + c) * ws + i));
        } else {
            for (int c = next.from; c < next.to; c++) ask_for(p->w, size * (first + (cols + c) * ws + i));
        }
#pragma GCC unroll 8
        for (int c = 0; c < cols; c++) w[c] = v_load_as(format, p->w, first + c * ws + i);
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
        for (int c = 0; c < cols; c++) w[c] = v_loadn_as(format, p->w, first + c * ws + i, k - i);
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

/* Rows [m, m + rows) by `vectors` vectors of columns from n on, the last of them with `last` elements, over `count` terms whose weights
 * begin at element `at` of w. Goes on from what is in out unless this is the beginning. */
VEC_INLINE void tile_transposed(const linear_panel *p, int64_t m, int64_t n, int rows, int vectors, int64_t last, wformat format,
                                const void *w, int64_t at, int64_t stride, int64_t begin, int64_t count)
{
    const float *x = (const float *)p->x + m * p->x_stride + begin;
    vf sum[TILE_ROWS][16];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int c = 0; c < vectors; c++) {
            const float *out = p->out + (m + r) * p->out_stride + n + c * VL;
            sum[r][c] = begin == 0 ? v_zero() : last == VL ? v_load(out) : v_loadn(out, last);
        }
    for (int64_t i = 0; i < count; i++, at += stride) {
        if (rows == 1) {
            const vf a = v_set1(x[i]);
#pragma GCC unroll 16
            for (int c = 0; c < vectors; c++)
                sum[0][c] = v_fma(a, last == VL ? v_load_as(format, w, at + c * VL) : v_loadn_as(format, w, at + c * VL, last), sum[0][c]);
            continue;
        }
        vf value[TILE_COLS];
#pragma GCC unroll 16
        for (int c = 0; c < vectors; c++)
            value[c] = last == VL ? v_load_as(format, w, at + c * VL) : v_loadn_as(format, w, at + c * VL, last);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            const vf a = v_set1(x[r * p->x_stride + i]);
#pragma GCC unroll 16
            for (int c = 0; c < vectors; c++) sum[r][c] = v_fma(a, value[c], sum[r][c]);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int c = 0; c < vectors; c++) {
            float *out = p->out + (m + r) * p->out_stride + n + c * VL;
            if (last == VL) v_store(out, sum[r][c]);
            else v_storen(out, sum[r][c], last);
        }
}

/* One row: straight from where W lies, as wide as the registers allow, because rows of W are far apart. */
VEC_INLINE void row_transposed(const linear_panel *p, wformat format)
{
    enum { WIDE = TILE_ROWS > 2 ? 16 : 8 };
    int64_t n = 0;
    for (; n + WIDE * VL <= p->cols; n += WIDE * VL) tile_transposed(p, 0, n, 1, WIDE, VL, format, p->w, n, p->w_stride, 0, p->k);
    for (; n + 4 * VL <= p->cols; n += 4 * VL) tile_transposed(p, 0, n, 1, 4, VL, format, p->w, n, p->w_stride, 0, p->k);
    for (; n + VL <= p->cols; n += VL) tile_transposed(p, 0, n, 1, 1, VL, format, p->w, n, p->w_stride, 0, p->k);
    if (n < p->cols) tile_transposed(p, 0, n, 1, 1, p->cols - n, format, p->w, n, p->w_stride, 0, p->k);
}

/* Several rows: DEPTH terms of a strip of columns are copied to floats side by side first; in place their rows would fall into the same
 * few sets of the cache. */
VEC_INLINE void strip_transposed(const linear_panel *p, int64_t n, int64_t width, wformat format)
{
    enum { DEPTH = 128, STRIP = TILE_COLS * VL };
    _Alignas(64) float strip[DEPTH * STRIP];
    for (int64_t begin = 0; begin < p->k || begin == 0; begin += DEPTH) {
        const int64_t count = p->k - begin < DEPTH ? p->k - begin : DEPTH;
        for (int64_t i = 0; i < count; i++) {
            const int64_t at = (begin + i) * p->w_stride + n;
            for (int64_t c = 0; c < width; c += VL) {
                const int64_t left = width - c;
                v_store(strip + i * STRIP + c, left < VL ? v_loadn_as(format, p->w, at + c, left) : v_load_as(format, p->w, at + c));
            }
        }
        for (int64_t m = 0; m < p->rows;) {
            const bool block = m + TILE_ROWS <= p->rows;
            int64_t c = 0;
            if (block && width == STRIP) tile_transposed(p, m, n, TILE_ROWS, TILE_COLS, VL, WF_F32, strip, 0, STRIP, begin, count);
            else if (width == STRIP) tile_transposed(p, m, n, 1, TILE_COLS, VL, WF_F32, strip, 0, STRIP, begin, count);
            else
                for (; c < width; c += VL) {
                    const int64_t last = width - c < VL ? width - c : VL;
                    if (block) tile_transposed(p, m, n + c, TILE_ROWS, 1, last, WF_F32, strip, c, STRIP, begin, count);
                    else tile_transposed(p, m, n + c, 1, 1, last, WF_F32, strip, c, STRIP, begin, count);
                }
            m += block ? TILE_ROWS : 1;
        }
    }
}

VEC_INLINE void panel_transposed(const linear_panel *p, wformat format)
{
    enum { STRIP = TILE_COLS * VL };
    if (p->rows == 1) row_transposed(p, format);
    else
        for (int64_t n = 0; n < p->cols; n += STRIP) strip_transposed(p, n, p->cols - n < STRIP ? p->cols - n : STRIP, format);
}

static void transposed_f32(const linear_panel *p) { panel_transposed(p, WF_F32); }
static void transposed_f16(const linear_panel *p) { panel_transposed(p, WF_F16); }
static void transposed_bf16(const linear_panel *p) { panel_transposed(p, WF_BF16); }

const linear_kernels LINEAR_TABLE = {
    .panel = { [WF_F32] = panel_f32, [WF_F16] = panel_f16, [WF_BF16] = panel_bf16 },
    .transposed = { [WF_F32] = transposed_f32, [WF_F16] = transposed_f16, [WF_BF16] = transposed_bf16 },
};
