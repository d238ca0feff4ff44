/* linear: out = cap(act(x W^T + bias) * scale) + residual
 *
 * The output is cut into blocks of rows and of weight rows; a part of the pool's job is one block, made in a tile of floats and finished
 * there (bias to store) while it is in the cache. One element is summed by one thread in an order that depends on k alone, so neither
 * the cut nor the number of threads changes a bit. Few rows are bound by reading W once; many by the multipliers.
 *
 * Without `deterministic`, many rows go to oneDNN where it is faster (linear_onednn.c). */
#include "linear.h"

#include "core/op_checks.h"

enum {
    BLOCK_ROWS = 96,                     /* rows of x in one part, at most */
    BLOCK_COLS = 64,                     /* rows of W in one part with that many rows of x */
    FEW_COLS = 256,                      /* with few, at most: the beginning of a part is read before anything asked for it */
    TILE_SIZE = BLOCK_ROWS * BLOCK_COLS, /* floats, on the stack: 24 KiB */
    PACKED_ROWS = 512,                   /* rows of x that are converted to float at once */
    CACHE_BYTES = 384 << 10              /* of x in a block, which every few rows of W walk over */
};

void cud_cpu_linear_finish(const linear_job *j, float *tile, int64_t row, int64_t rows, int64_t col, int64_t cols)
{
    const row_kernels *k = j->b->rows;
    const epilogue *ep = j->ep;
    float buffer[LINEAR_MAX_COLS], bias_buffer[LINEAR_MAX_COLS];
    const float *bias = cud_present(ep->bias) ? cud_cpu_floats(j->b, ep->bias, col, cols, bias_buffer) : NULL;
    for (int64_t r = 0; r < rows; r++) {
        float *v = tile + r * j->block_cols;
        if (bias) k->add(v, bias, cols);
        if (ep->act != ACT_NONE) k->activate(v, ep->act, cols);
        if (ep->scale != 0.0f && ep->scale != 1.0f) k->scale(v, ep->scale, cols);
        if (ep->soft_cap > 0.0f) k->soft_cap(v, ep->soft_cap, cols);
        if (cud_present(ep->residual)) {
            const int64_t at = (row + r) * ep->residual.stride[0] + col;
            k->add(v, cud_cpu_floats(j->b, ep->residual, at, cols, buffer), cols);
        }
        k->from_float(cud_at(j->out, (row + r) * j->out.stride[0] + col), j->out.type, v, cols);
    }
}

int64_t cud_cpu_linear_blocks(const weight *w, int64_t block_cols)
{
    int64_t blocks = 0;
    for (int s = 0; s < w->segments; s++) blocks += (w->segment[s].n + block_cols - 1) / block_cols;
    return blocks;
}

linear_block cud_cpu_linear_block(const linear_job *j, int64_t block)
{
    const weight *w = j->w;
    int64_t first = 0; /* column of out where segment s begins */
    int s = 0;
    for (; block >= (w->segment[s].n + j->block_cols - 1) / j->block_cols; s++) {
        block -= (w->segment[s].n + j->block_cols - 1) / j->block_cols;
        first += w->segment[s].n;
    }
    const int64_t col = block * j->block_cols, skipped = w->transposed ? col : col * w->k;
    return (linear_block){
        .w = (const char *)w->segment[s].data + (size_t)skipped * cud_dtype_size(cud_wformat_dtype(w->format)),
        .col = first + col,
        .cols = cud_min64(j->block_cols, w->segment[s].n - col),
    };
}

static void linear_part(void *arg, int part, int thread)
{
    const linear_job *j = arg;
    (void)thread;
    const int64_t row_blocks = (j->x.size[0] + j->block_rows - 1) / j->block_rows; /* of one block of W follow one another */
    const int64_t row = part % row_blocks * j->block_rows, rows = cud_min64(j->block_rows, j->x.size[0] - row);
    const linear_block b = cud_cpu_linear_block(j, part / row_blocks);
    _Alignas(64) float tile[TILE_SIZE];
    const linear_panel p = {
        .x = cud_at(j->x, row * j->x.stride[0]),
        .w = b.w,
        .out = tile,
        .x_stride = j->x.stride[0],
        .w_stride = j->w->transposed ? j->w->n : j->w->k,
        .out_stride = j->block_cols,
        .rows = rows,
        .cols = b.cols,
        .k = j->w->k,
    };
    j->panel(&p);
    cud_cpu_linear_finish(j, tile, row, rows, b.col, b.cols);
}

static void run_own(exec *ex, tensor out, tensor x, const weight *w, const epilogue *ep, linear_fn panel)
{
    enum { LITTLE = 32 * 1024 }; /* products: a few microseconds */
    linear_job j = { .b = cud_cpu(ex), .out = out, .x = x, .w = w, .ep = ep, .panel = panel };
    const int64_t row_bytes = w->k * (int64_t)cud_dtype_size(x.type);
    j.block_rows = BLOCK_ROWS;
    while (!w->transposed && j.block_rows > 24 && j.block_rows * row_bytes > CACHE_BYTES) j.block_rows /= 2;
    const int64_t row_blocks = (x.size[0] + j.block_rows - 1) / j.block_rows;
    j.block_cols = BLOCK_COLS;
    if (w->transposed && x.size[0] == 1) j.block_cols = LINEAR_MAX_COLS; /* rows of a transposed W are far apart */
    else while (!w->transposed && j.block_cols < FEW_COLS && 2 * j.block_cols * cud_min64(x.size[0], j.block_rows) <= TILE_SIZE) j.block_cols *= 2;
    while (j.block_cols > 16 && cud_cpu_linear_blocks(w, j.block_cols) * row_blocks < 4 * (int64_t)j.b->base.threads) j.block_cols /= 2;
    j.blocks = cud_cpu_linear_blocks(w, j.block_cols);
    const int parts = (int)(j.blocks * row_blocks);
    if (x.size[0] * w->n * w->k > LITTLE) cud_pool_run(j.b->pool, linear_part, &j, parts);
    else
        for (int i = 0; i < parts; i++) linear_part(&j, i, 0);
}

typedef struct widening {
    const cpu_backend *b;
    tensor to, from;
} widening;

static void widen_rows(void *arg, int64_t first, int64_t last)
{
    const widening *w = arg;
    for (int64_t r = first; r < last; r++)
        w->b->rows->to_float(cud_at(w->to, r * w->to.stride[0]), cud_at(w->from, r * w->from.stride[0]), w->from.type, w->to.size[1]);
}

/* x is not of the type the panel wants: some rows at a time are converted to float. */
static cuddle_status run_widened(exec *ex, tensor out, tensor x, const weight *w, const epilogue *ep, linear_fn panel, cuddle_error *err)
{
    const size_t mark = cud_ws_mark(ex);
    tensor packed;
    const cuddle_status status = cud_ws_matrix(ex, &packed, CUDDLE_F32, cud_min64(x.size[0], PACKED_ROWS), w->k, err);
    for (int64_t row = 0; status == CUDDLE_OK && ex->mode != EXEC_RECORD && row < x.size[0]; row += PACKED_ROWS) {
        const int64_t rows = cud_min64(PACKED_ROWS, x.size[0] - row);
        widening wide = { cud_cpu(ex), cud_rows(packed, 0, rows), cud_rows(x, row, rows) };
        epilogue part = *ep;
        if (cud_present(part.residual)) part.residual = cud_rows(part.residual, row, rows);
        cud_cpu_for_rows(ex, rows, w->k, widen_rows, &wide);
        run_own(ex, cud_rows(out, row, rows), wide.to, w, &part, panel);
    }
    cud_ws_release(ex, mark);
    return status;
}

cuddle_status cud_cpu_linear(exec *ex, tensor out, tensor x, const weight *w, const epilogue *ep, cuddle_error *err)
{
    static const epilogue nothing = { .act = ACT_NONE };
    const cpu_backend *b = cud_cpu(ex);
    if (!ep) ep = &nothing;
    const cuddle_status status = cud_check_linear(ex, out, x, w, ep, err);
    if (status != CUDDLE_OK) return status;

    const bool pairs = b->panel_bf16 && w->format == WF_BF16 && x.type == CUDDLE_BF16 && !w->transposed;
    const linear_fn panel = pairs ? b->panel_bf16 : w->transposed ? b->linear->transposed[w->format] : b->linear->panel[w->format];
    if (!pairs && x.type != CUDDLE_F32) return run_widened(ex, out, x, w, ep, panel, err);
    const bool same_type = pairs || (w->format == WF_F32 && !w->transposed);
    if (b->onednn && !ex->deterministic && same_type && x.size[0] >= LINEAR_MANY_ROWS)
        return cud_cpu_linear_onednn(ex, out, x, w, ep, panel, err);
    if (ex->mode != EXEC_RECORD) run_own(ex, out, x, w, ep, panel);
    return CUDDLE_OK;
}
