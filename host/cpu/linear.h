/* What the two ways of running linear share. */
#ifndef CUD_CPU_LINEAR_H
#define CUD_CPU_LINEAR_H

#include "backend.h"

enum {
    LINEAR_MAX_COLS = 512, /* columns of the widest block */
    LINEAR_MANY_ROWS = 128 /* from here on oneDNN may be used: below, our own kernels are as fast or faster (bench_ops) */
};

typedef struct linear_job {
    const cpu_backend *b;
    tensor out, x;
    const weight *w;
    const epilogue *ep;
    linear_fn panel;            /* our own kernel for these types */
    int64_t block_rows;         /* rows of x in a part; oneDNN takes all at once */
    int64_t block_cols, blocks; /* columns of a block; blocks over all segments: none crosses a border between two */
} linear_job;

typedef struct linear_block {
    const void *w; /* its first weight */
    int64_t col, cols; /* in out */
} linear_block;

int64_t cud_cpu_linear_blocks(const weight *w, int64_t block_cols);
linear_block cud_cpu_linear_block(const linear_job *j, int64_t block);

/* Applies the epilogue to sums and stores them: row r of the tile, j->block_cols apart, is out's row + r from column col on. */
void cud_cpu_linear_finish(const linear_job *j, float *tile, int64_t row, int64_t rows, int64_t col, int64_t cols);

/* x and w are both F32 or both BF16 and [n, k]. */
cuddle_status cud_cpu_linear_onednn(exec *ex, tensor out, tensor x, const weight *w, const epilogue *ep, linear_fn panel, cuddle_error *err);

#endif
