/* linear: out = cap(act(x W^T + bias) * scale) + residual
 *
 * The output is cut into blocks of rows and of weight rows; a part of the pool's job is one block, made in a tile of floats on the
 * thread's stack and finished there (bias to store) while it is in the cache. One element is summed by one thread in an order that
 * depends on k alone, so neither the cut nor the number of threads changes a bit. Few rows are bound by reading W once; many by
 * the multipliers. */
#include "backend.h"

enum {
    BLOCK_ROWS = 96,                   /* rows of x in one part */
    BLOCK_COLS = 64,                   /* rows of W in one part, at most */
    WIDE_COLS = 512,                   /* columns of a transposed W in one part when there is one row */
    TILE_SIZE = BLOCK_ROWS * BLOCK_COLS, /* floats: 24 KiB */
    PACKED_ROWS = 512                  /* rows of x that are converted to float at once */
};

typedef struct job {
    const cpu_backend *b;
    tensor out, x;
    const weight *w;
    const epilogue *ep;
    linear_fn panel;
    int64_t block_cols, blocks; /* of columns, over all segments */
} job;

/* Finishes a tile: row r of it holds out's elements [row + r, col ...]. */
static void finish_tile(const job *j, float *tile, int64_t row, int64_t rows, int64_t col, int64_t cols)
{
    const row_kernels *k = j->b->rows;
    const epilogue *ep = j->ep;
    float buffer[WIDE_COLS], bias_buffer[WIDE_COLS];
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

static void linear_part(void *arg, int part, int thread)
{
    const job *j = arg;
    const weight *w = j->w;
    (void)thread;
    const int64_t row = part / j->blocks * BLOCK_ROWS, rows = cud_min64(BLOCK_ROWS, j->x.size[0] - row);
    int64_t block = part % j->blocks, first = 0; /* first: column of out where segment s begins */
    int s = 0;
    for (; block >= (w->segment[s].n + j->block_cols - 1) / j->block_cols; s++) {
        block -= (w->segment[s].n + j->block_cols - 1) / j->block_cols;
        first += w->segment[s].n;
    }
    const int64_t col = block * j->block_cols, cols = cud_min64(j->block_cols, w->segment[s].n - col);
    const dtype type = cud_wformat_dtype(w->format);
    const int64_t stride = w->transposed ? w->n : w->k;
    _Alignas(64) float tile[TILE_SIZE];
    const linear_panel p = {
        .x = cud_at(j->x, row * j->x.stride[0]),
        .w = (const char *)w->segment[s].data + (size_t)(w->transposed ? col : col * stride) * cud_dtype_size(type),
        .out = tile,
        .x_stride = j->x.stride[0],
        .w_stride = stride,
        .out_stride = j->block_cols,
        .rows = rows,
        .cols = cols,
        .k = w->k,
    };
    j->panel(&p);
    finish_tile(j, tile, row, rows, first + col, cols);
}

/* Columns in one part: fewer if threads would have nothing to do. */
static void cut_columns(job *j)
{
    const int64_t row_blocks = (j->x.size[0] + BLOCK_ROWS - 1) / BLOCK_ROWS;
    for (j->block_cols = j->w->transposed && j->x.size[0] == 1 ? WIDE_COLS : BLOCK_COLS;; j->block_cols /= 2) {
        j->blocks = 0;
        for (int s = 0; s < j->w->segments; s++) j->blocks += (j->w->segment[s].n + j->block_cols - 1) / j->block_cols;
        if (j->block_cols <= 16 || j->blocks * row_blocks >= 4 * (int64_t)j->b->base.threads) return;
    }
}

static void run_own(exec *ex, tensor out, tensor x, const weight *w, const epilogue *ep, linear_fn panel)
{
    enum { LITTLE = 32 * 1024 }; /* products: a few microseconds */
    job j = { .b = cud_cpu(ex), .out = out, .x = x, .w = w, .ep = ep, .panel = panel };
    cut_columns(&j);
    const int parts = (int)(j.blocks * ((x.size[0] + BLOCK_ROWS - 1) / BLOCK_ROWS));
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

static cuddle_status check(tensor out, tensor x, const weight *w, const epilogue *ep, cuddle_error *err)
{
    cuddle_status status = cud_cpu_check_weight("linear", w, err);
    if (status == CUDDLE_OK) status = cud_cpu_check("linear", "x", x, 2, -1, w->k, -1, err);
    if (status == CUDDLE_OK) status = cud_cpu_check("linear", "out", out, 2, x.size[0], w->n, -1, err);
    if (status == CUDDLE_OK) status = cud_cpu_check_vector("linear", "bias", ep->bias, w->n, err);
    if (status == CUDDLE_OK && cud_present(ep->residual))
        status = cud_cpu_check("linear", "residual", ep->residual, 2, x.size[0], w->n, -1, err);
    if (status == CUDDLE_OK && ((unsigned)ep->act >= ACT_COUNT || ep->act == ACT_CLAMPED_SWIGLU))
        status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "linear on cpu: activation %s", cud_activation_name(ep->act));
    if (status == CUDDLE_OK && ep->adapters) status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "linear on cpu: low-rank adapters");
    return status;
}

cuddle_status cud_cpu_linear(exec *ex, tensor out, tensor x, const weight *w, const epilogue *ep, cuddle_error *err)
{
    static const epilogue nothing = { .act = ACT_NONE };
    const cpu_backend *b = cud_cpu(ex);
    if (!ep) ep = &nothing;
    cuddle_status status = check(out, x, w, ep, err);
    if (status != CUDDLE_OK) return status;

    const bool pairs = b->panel_bf16 && w->format == WF_BF16 && x.type == CUDDLE_BF16 && !w->transposed;
    const linear_fn panel = pairs ? b->panel_bf16 : w->transposed ? b->linear->transposed[w->format] : b->linear->panel[w->format];
    if (pairs || x.type == CUDDLE_F32) {
        if (ex->mode != EXEC_RECORD) run_own(ex, out, x, w, ep, panel);
        return CUDDLE_OK;
    }
    const size_t mark = cud_ws_mark(ex);
    tensor packed;
    status = cud_ws_matrix(ex, &packed, CUDDLE_F32, cud_min64(x.size[0], PACKED_ROWS), w->k, err);
    for (int64_t row = 0; status == CUDDLE_OK && ex->mode != EXEC_RECORD && row < x.size[0]; row += PACKED_ROWS) {
        const int64_t rows = cud_min64(PACKED_ROWS, x.size[0] - row);
        widening wide = { b, cud_rows(packed, 0, rows), cud_rows(x, row, rows) };
        epilogue part = *ep;
        if (cud_present(part.residual)) part.residual = cud_rows(part.residual, row, rows);
        cud_cpu_for_rows(ex, rows, w->k, widen_rows, &wide);
        run_own(ex, cud_rows(out, row, rows), wide.to, w, &part, panel);
    }
    cud_ws_release(ex, mark);
    return status;
}
