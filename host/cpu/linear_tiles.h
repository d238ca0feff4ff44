/* Walking a panel in register tiles. PANEL(name, tile) defines a linear_fn from `tile(p, m, n, rows, cols, extra)`, an inlined function
 * that is handed constant rows <= TILE_ROWS and cols in { TILE_COLS, 1 }, so that its sums stay in registers.
 *
 * Every tile of a family adds up an element in the same way, so how a panel is cut does not change a bit of it. */
#ifndef CUD_CPU_LINEAR_TILES_H
#define CUD_CPU_LINEAR_TILES_H

#include "linear_kernels.h"
#include "vec.h"

enum { TILE_COLS = 4 };
#if defined(__AVX512F__)
enum { TILE_ROWS = 6 }; /* 24 sums, 4 weights, 1 activation: 29 of 32 registers */
#else
enum { TILE_ROWS = 2 }; /* 8 + 4 + 1 of 16 */
#endif

/* Rows of the weights after a tile's own that it asks for while it multiplies: [from, to), counted from where its own end. */
typedef struct ahead { int from, to; } ahead;

#define PANEL_ROWS(tile, extra, p, m, n, rows, cols, next)                  \
    switch (rows) {                                                         \
    case 1: tile(p, m, n, 1, cols, extra, next); break;                     \
    case 2: tile(p, m, n, 2, cols, extra, next); break;                     \
    case 3: tile(p, m, n, TILE_ROWS > 2 ? 3 : 2, cols, extra, next); break; \
    case 4: tile(p, m, n, TILE_ROWS > 2 ? 4 : 2, cols, extra, next); break; \
    case 5: tile(p, m, n, TILE_ROWS > 2 ? 5 : 2, cols, extra, next); break; \
    default: tile(p, m, n, TILE_ROWS, cols, extra, next); break;            \
    }

/* A few weight rows meet all rows of x before the next ones come, so that weights are read from memory once, while there is something to multiply;
 * tiles are as even as they can be. */
#define PANEL(name, tile, extra)                                                                              \
    static void name(const linear_panel *p)                                                                   \
    {                                                                                                         \
        const int64_t tiles = (p->rows + TILE_ROWS - 1) / TILE_ROWS;                                          \
        int64_t n = 0;                                                                                        \
        for (; n + TILE_COLS <= p->cols; n += TILE_COLS)                                                      \
            for (int64_t t = 0; t < tiles; t++) {                                                             \
                const int64_t m = p->rows * t / tiles, end = p->rows * (t + 1) / tiles;                       \
                const ahead next = { (int)(TILE_COLS * t / tiles), (int)(TILE_COLS * (t + 1) / tiles) };      \
                PANEL_ROWS(tile, extra, p, m, n, (int)(end - m), TILE_COLS, next)                             \
            }                                                                                                 \
        for (; n < p->cols; n++)                                                                              \
            for (int64_t t = 0; t < tiles; t++) {                                                             \
                const int64_t m = p->rows * t / tiles, end = p->rows * (t + 1) / tiles;                       \
                PANEL_ROWS(tile, extra, p, m, n, (int)(end - m), 1, ((ahead){ 0, 0 }))                        \
            }                                                                                                 \
    }

/* Asks for the 64 bytes at p, which may lie past the end of anything. Each row of weights is a stream of its own that ends where the machine's
 * prefetcher has just caught up with it, and few rows of x are bound by reading them: so the tiles of some weight rows ask for the next ones, each
 * for its share. Into the second cache: the first one would lose x to it. */
VEC_INLINE void ask_for(const void *p, int64_t bytes)
{
#if defined(__GNUC__)
    __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)bytes), 0, 2);
#else
    (void)p, (void)bytes;
#endif
}

/* Adds up the lanes of a tile's sums and stores them. */
VEC_INLINE void store_sums(const linear_panel *p, int64_t m, int64_t n, int rows, int cols, vf sum[TILE_ROWS][TILE_COLS])
{
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        float *out = p->out + (m + r) * p->out_stride + n;
        if (cols == TILE_COLS) v_store_sum4(out, sum[r][0], sum[r][1], sum[r][2], sum[r][3]);
        else out[0] = v_sum(sum[r][0]);
    }
}

#endif
