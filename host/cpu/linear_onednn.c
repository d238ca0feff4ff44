/* linear for many rows with oneDNN: our threads share out the columns of out, and each runs oneDNN's single-threaded product on its
 * block. Rows come in multiples of ROW_STEP (the last are padded), so that few plans serve all row counts. */
#include "linear.h"
#include "onednn.h"

enum { ROW_STEP = 16, MOST_ROWS = 512, STRIP = 256 };

typedef struct strip_job {
    linear_job base; /* x: the padded rows, next to each other */
    onednn *o;
    onednn_plan *full, *rest[CUD_MAX_SEGMENTS]; /* for whole strips, and for the last one of each segment */
    int64_t rows;                               /* that are wanted */
    float *sums;                                /* per thread [padded rows, STRIP] */
} strip_job;

static onednn_plan *plan_for(const strip_job *j, const linear_block *b)
{
    if (b->cols == STRIP) return j->full;
    int64_t end = 0;
    for (int s = 0; s < j->base.w->segments; s++) {
        end += j->base.w->segment[s].n;
        if (b->col + b->cols == end) return j->rest[s];
    }
    return NULL;
}

static void strip_part(void *arg, int part, int thread)
{
    strip_job *j = arg;
    const linear_block b = cud_cpu_linear_block(&j->base, part);
    linear_job finish = j->base;
    finish.block_cols = b.cols; /* oneDNN writes rows next to each other */
    float *sums = j->sums + (int64_t)thread * j->base.x.size[0] * STRIP;
    onednn_plan *plan = plan_for(j, &b);
    if (!plan || !cud_onednn_run(j->o, plan, thread, j->base.x.data, b.w, sums)) { /* it is counted; our own kernel does the same sum */
        const linear_panel p = { .x = j->base.x.data, .w = b.w, .out = sums, .x_stride = j->base.x.stride[0], .w_stride = j->base.w->k,
                                 .out_stride = b.cols, .rows = j->rows, .cols = b.cols, .k = j->base.w->k };
        j->base.panel(&p);
    }
    cud_cpu_linear_finish(&finish, sums, 0, j->rows, b.col, b.cols);
}

static int64_t padded(int64_t rows) { return (rows + ROW_STEP - 1) / ROW_STEP * ROW_STEP; }

/* Rows of x next to each other, with zeros up to `all` of them; x itself if it is like that. */
static tensor pack(tensor x, tensor packed, int64_t all)
{
    const size_t row_bytes = (size_t)x.size[1] * cud_dtype_size(x.type);
    if (x.size[0] == all && x.stride[0] == x.size[1]) return x;
    for (int64_t r = 0; r < all; r++) {
        if (r < x.size[0]) memcpy(cud_at(packed, r * x.size[1]), cud_at(x, r * x.stride[0]), row_bytes);
        else memset(cud_at(packed, r * x.size[1]), 0, row_bytes);
    }
    return cud_rows(packed, 0, all);
}

static void run_rows(exec *ex, tensor out, tensor x, const weight *w, const epilogue *ep, linear_fn panel, tensor packed, float *sums)
{
    const int64_t rows = x.size[0], all = padded(rows);
    cpu_backend *b = cud_cpu(ex);
    strip_job j = { .base = { .b = b, .out = out, .x = pack(x, packed, all), .w = w, .ep = ep, .panel = panel, .block_cols = STRIP },
                    .o = b->onednn, .rows = rows, .sums = sums };
    j.base.blocks = cud_cpu_linear_blocks(w, STRIP);
    for (int s = 0; s < w->segments; s++) {
        if (w->segment[s].n >= STRIP) j.full = cud_onednn_plan(j.o, x.type, all, STRIP, w->k);
        if (w->segment[s].n % STRIP) j.rest[s] = cud_onednn_plan(j.o, x.type, all, w->segment[s].n % STRIP, w->k);
    }
    cud_pool_run(b->pool, strip_part, &j, (int)j.base.blocks);
}

cuddle_status cud_cpu_linear_onednn(exec *ex, tensor out, tensor x, const weight *w, const epilogue *ep, linear_fn panel, cuddle_error *err)
{
    const size_t mark = cud_ws_mark(ex);
    const int64_t most = cud_min64(padded(x.size[0]), MOST_ROWS);
    tensor packed, sums;
    cuddle_status status = cud_ws_matrix(ex, &packed, x.type, most, w->k, err);
    if (status == CUDDLE_OK) status = cud_ws_matrix(ex, &sums, CUDDLE_F32, cud_cpu(ex)->base.threads * most, STRIP, err);
    for (int64_t row = 0; status == CUDDLE_OK && ex->mode != EXEC_RECORD && row < x.size[0]; row += MOST_ROWS) {
        const int64_t rows = cud_min64(MOST_ROWS, x.size[0] - row);
        epilogue part = *ep;
        if (cud_present(part.residual)) part.residual = cud_rows(part.residual, row, rows);
        run_rows(ex, cud_rows(out, row, rows), cud_rows(x, row, rows), w, &part, panel, packed, sums.data);
    }
    cud_ws_release(ex, mark);
    return status;
}
