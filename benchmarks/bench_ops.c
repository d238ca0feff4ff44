/* Times every op of the CPU backend: medians, GB/s or GFLOP/s, and the share of the read bandwidth measured in the same run. Results
 * are checked before they are timed.
 *
 *   bench_ops [threads]       0 or nothing: all this process may use */
#include "cpu/cpu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_RUNS = 101, WEIGHTS = 4 }; /* copies of a weight, used in turn: together larger than the caches */

static struct {
    backend *b;
    exec ex;
    double bandwidth; /* GB/s */
} bench;

static void die(const char *what, const cuddle_error *err)
{
    fprintf(stderr, "bench_ops: %s: %s\n", what, err->text);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *take(size_t bytes)
{
    cuddle_error err = { 0 };
    void *p;
    if (bench.b->ops->alloc(bench.b, &p, bytes, "the benchmark", &err) != CUDDLE_OK) die("memory", &err);
    return p;
}

static void drop(void *p) { bench.b->ops->release(bench.b, p); }

static float draw(void)
{
    static uint32_t seed = 1;
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / (float)(1 << 23) - 1.0f;
}

static tensor matrix(dtype type, int64_t rows, int64_t cols)
{
    tensor t = cud_matrix(take((size_t)(rows * cols) * cud_dtype_size(type)), type, rows, cols);
    float line[4096];
    for (int64_t i = 0; i < rows * cols; i += 4096) {
        const int64_t n = rows * cols - i < 4096 ? rows * cols - i : 4096;
        for (int64_t j = 0; j < n; j++) line[j] = draw();
        cud_from_float(cud_at(t, i), type, line, n);
    }
    return t;
}

static float element(tensor t, int64_t i)
{
    float v;
    cud_to_float(&v, cud_at(t, i), t.type, 1);
    return v;
}

/* ---- running ---- */

typedef cuddle_status (*run_fn)(exec *ex, void *arg, cuddle_error *err);

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median seconds of one run: as many runs as fit half a second, at least 5. */
static double median_seconds(const char *what, run_fn fn, void *arg)
{
    cuddle_error err = { 0 };
    bench.ex.mode = EXEC_RECORD;
    bench.ex.ws = (workspace){ 0 };
    if (fn(&bench.ex, arg, &err) != CUDDLE_OK) die(what, &err);
    const size_t size = bench.ex.ws.peak;
    void *memory = take(size);
    bench.ex.mode = EXEC_RUN;
    bench.ex.ws = (workspace){ .base = memory, .size = size };
    double times[MAX_RUNS];
    int runs = 0;
    for (double begin = now(); runs < MAX_RUNS && (runs < 6 || now() - begin < 0.5); runs++) {
        const double start = now();
        if (fn(&bench.ex, arg, &err) != CUDDLE_OK) die(what, &err);
        times[runs] = now() - start;
    }
    drop(memory);
    qsort(times + 1, (size_t)runs - 1, sizeof *times, ascending); /* the first one warmed up */
    return times[1 + (runs - 1) / 2];
}

static void row(const char *what, double seconds, double bytes, double flops)
{
    printf("%-44s %10.1f us %8.2f GB/s %5.0f %% %9.1f GFLOP/s\n", what, seconds * 1e6, bytes / seconds / 1e9,
           bytes / seconds / 1e7 / bench.bandwidth, flops / seconds / 1e9);
}

/* ---- linear ---- */

typedef struct linear_case { tensor out, x; weight w[WEIGHTS]; int next; } linear_case;

static cuddle_status run_linear(exec *ex, void *arg, cuddle_error *err)
{
    linear_case *c = arg;
    return ex->ops->linear(ex, c->out, c->x, &c->w[c->next++ % WEIGHTS], NULL, err);
}

static void check_linear(const linear_case *c, const char *what)
{
    cuddle_error err = { .text = "a result is wrong" };
    const weight *w = &c->w[(c->next - 1) % WEIGHTS];
    const tensor wt = cud_matrix(w->segment[0].data, cud_wformat_dtype(w->format), 0, 0);
    for (int64_t i = 0; i < c->out.size[0] * c->out.size[1]; i += 1 + c->out.size[0] * c->out.size[1] / 61) {
        const int64_t r = i / w->n, n = i % w->n;
        double sum = 0;
        for (int64_t k = 0; k < w->k; k++)
            sum += (double)element(c->x, r * w->k + k) * (double)element(wt, w->transposed ? k * w->n + n : n * w->k + k);
        const double tolerance = c->out.type == CUDDLE_F32 ? 1e-3 : 0.05 + fabs(sum) * 0.01;
        if (!(fabs(sum - (double)element(c->out, i)) <= tolerance)) die(what, &err);
    }
}

static double time_linear(const char *name, linear_case *c, dtype x_type, int64_t rows, bool deterministic, bool print)
{
    char what[96];
    const int64_t n = c->w[0].n, k = c->w[0].k;
    c->x = matrix(x_type, rows, k);
    c->out = cud_matrix(take((size_t)(rows * n) * cud_dtype_size(x_type)), x_type, rows, n);
    bench.ex.deterministic = deterministic;
    snprintf(what, sizeof what, "linear %s, %lld rows", name, (long long)rows);
    const double seconds = median_seconds(what, run_linear, c);
    check_linear(c, what);
    const double size = (double)cud_dtype_size(cud_wformat_dtype(c->w[0].format));
    if (print) row(what, seconds, (double)n * (double)k * size, 2.0 * (double)rows * (double)n * (double)k);
    drop(c->x.data);
    drop(c->out.data);
    return seconds;
}

static linear_case weights(dtype type, int64_t n, int64_t k, bool transposed)
{
    linear_case c = { .next = 0 };
    for (int i = 0; i < WEIGHTS; i++) {
        const tensor t = matrix(type, n, k);
        c.w[i] = (weight){ .format = cud_wformat_of(type), .n = n, .k = k, .segments = 1, .transposed = transposed };
        c.w[i].segment[0] = (weight_segment){ .data = t.data, .n = n };
    }
    return c;
}

static void drop_weights(linear_case *c)
{
    for (int i = 0; i < WEIGHTS; i++) drop(c->w[i].segment[0].data);
}

static void bench_linear(void)
{
    static const int64_t rows[] = { 1, 2, 4, 8, 16, 32, 64, 128, 512 };
    const char *version = cud_cpu_onednn_version();
    for (int t = 0; t < 2; t++) {
        const dtype type = t ? CUDDLE_BF16 : CUDDLE_F32;
        const int64_t n = 8192, k = 2048;
        linear_case c = weights(type, n, k, false);
        printf("\nlinear %s, n = %lld, k = %lld: own kernels (deterministic), and oneDNN %s where it is used\n", cud_dtype_name(type),
               (long long)n, (long long)k, version ? version : "(not built in)");
        printf("%6s %12s %10s %7s %12s | %12s %12s | %s\n", "rows", "own us", "GB/s", "of peak", "GFLOP/s", "other us", "GFLOP/s", "speed, own : other");
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            const double own = time_linear(cud_dtype_name(type), &c, type, rows[i], true, false);
            const double other = time_linear(cud_dtype_name(type), &c, type, rows[i], false, false);
            const double flops = 2.0 * (double)rows[i] * (double)n * (double)k, bytes = (double)(n * k) * (double)cud_dtype_size(type);
            printf("%6lld %12.1f %10.2f %5.0f %% %12.1f | %12.1f %12.1f | %8.2f\n", (long long)rows[i], own * 1e6, bytes / own / 1e9,
                   bytes / own / 1e7 / bench.bandwidth, flops / own / 1e9, other * 1e6, flops / other / 1e9, other / own);
        }
        drop_weights(&c);
    }
    printf("\n");
    linear_case mixed = weights(CUDDLE_BF16, 8192, 2048, false);
    time_linear("F32 by BF16", &mixed, CUDDLE_F32, 1, true, true);
    time_linear("F32 by BF16", &mixed, CUDDLE_F32, 128, true, true);
    drop_weights(&mixed);
    linear_case half = weights(CUDDLE_F16, 8192, 2048, false);
    time_linear("F16", &half, CUDDLE_F16, 1, true, true);
    time_linear("F16", &half, CUDDLE_F16, 128, true, true);
    drop_weights(&half);
    linear_case conv = weights(CUDDLE_F32, 3072, 768, true);
    time_linear("F32 [k, n] 768 x 3072", &conv, CUDDLE_F32, 1, true, true);
    time_linear("F32 [k, n] 768 x 3072", &conv, CUDDLE_F32, 128, true, true);
    drop_weights(&conv);
    linear_case small = weights(CUDDLE_BF16, 896, 896, false);
    time_linear("BF16 896 x 896 (cached)", &small, CUDDLE_BF16, 1, true, true);
    drop_weights(&small);
}

/* ---- attend ---- */

static cuddle_status run_attend(exec *ex, void *arg, cuddle_error *err) { return ex->ops->attend(ex, arg, err); }

static void time_attend(const char *what, dtype type, int sequences, int fresh, int length, int heads, int kv_heads, int dim)
{
    const int pages = (length + CUD_PAGE - 1) / CUD_PAGE;
    int32_t *table = take(sizeof(int32_t) * (size_t)(pages * sequences)), *starts = take(sizeof(int32_t) * (size_t)(sequences + 1)),
            *lengths = take(sizeof(int32_t) * (size_t)sequences);
    for (int i = 0; i < pages * sequences; i++) table[i] = (int32_t)((int64_t)i * 7919 % (pages * sequences));
    for (int i = 0; i <= sequences; i++) starts[i] = i * fresh;
    for (int i = 0; i < sequences; i++) lengths[i] = length;
    const tensor k = matrix(type, (int64_t)pages * sequences * CUD_PAGE * kv_heads, dim), v = matrix(type, k.size[0], dim);
    attend_args a = { .sequences = sequences, .max_query = fresh, .max_kv = length, .mask = MASK_CAUSAL,
                      .scale = 1.0f / sqrtf((float)dim), .starts = starts, .kv_lengths = lengths };
    a.q = cud_split_heads(matrix(type, (int64_t)sequences * fresh, (int64_t)heads * dim), heads, dim);
    a.out = cud_split_heads(matrix(type, (int64_t)sequences * fresh, (int64_t)heads * dim), heads, dim);
    a.kv = (kv_view){ .k = k.data, .v = v.data, .type = type, .heads = kv_heads, .k_dim = dim, .v_dim = dim,
                      .pages = (int64_t)pages * sequences, .block_table = table, .table_width = pages };
    const double seconds = median_seconds(what, run_attend, &a);
    for (int64_t i = 0; i < a.out.size[0] * a.out.stride[0]; i += 97) { /* a mean of values in [-1, 1] */
        const float value = element(a.out, i);
        if (!(value >= -1 && value <= 1)) die(what, &(cuddle_error){ .text = "a result is wrong" });
    }
    const double keys = (double)fresh * (double)length - (double)fresh * (double)(fresh - 1) / 2; /* seen by all queries */
    row(what, seconds, (double)(k.size[0] * dim * 2) * (double)cud_dtype_size(type), 4.0 * (double)sequences * keys * heads * dim);
    drop(table), drop(starts), drop(lengths), drop(k.data), drop(v.data), drop(a.q.data), drop(a.out.data);
}

/* ---- copy_pages: what beams cost beside their rows ---- */

static cuddle_status run_copy_pages(exec *ex, void *arg, cuddle_error *err) { return ex->ops->copy_pages(ex, arg, err); }

/* Half a page for each of some beams, in all layers of a cache of many pages. */
static void time_copy_pages(const char *what, dtype type, int layers, int kv_heads, int dim, int count)
{
    enum { PAGES = 512, POSITIONS = CUD_PAGE / 2 };
    const tensor cache = matrix(type, (int64_t)layers * 2 * PAGES * CUD_PAGE * kv_heads, dim);
    const size_t head = CUD_PAGE * (size_t)dim * cud_dtype_size(type), page = (size_t)kv_heads * head, half = PAGES * page;
    page_copy *copies = take(sizeof *copies * (size_t)count);
    for (int i = 0; i < count; i++) copies[i] = (page_copy){ i * 37 % (PAGES / 2), PAGES / 2 + i, POSITIONS };
    copy_pages_args a = { .kv = { .k = cache.data, .v = (char *)cache.data + half, .type = type, .heads = kv_heads, .k_dim = dim, .v_dim = dim,
                                  .pages = PAGES },
                          .layers = layers, .layer_bytes = 2 * half, .copies = copies, .count = count };
    const double seconds = median_seconds(what, run_copy_pages, &a);
    const char *data = cache.data;
    for (int i = 0; i < count; i++)
        if (memcmp(data + (size_t)copies[i].from * page, data + (size_t)copies[i].to * page, head / 2))
            die(what, &(cuddle_error){ .text = "a result is wrong" });
    row(what, seconds, 2.0 * count * layers * (double)page, 0); /* half of the page, keys and values, read and written */
    drop(cache.data), drop(copies);
}

/* ---- the rest: bound by memory ---- */

typedef struct simple_case { int op; tensor out, x, y, w; weight table; rope_table rope; rope_args rope_args; int32_t *ids, *starts; int sequences; } simple_case;

static cuddle_status run_simple(exec *ex, void *arg, cuddle_error *err)
{
    simple_case *c = arg;
    const norm_args norm = { .out = c->out, .x = c->x, .weight = c->w, .eps = 1e-6f };
    const embed_args embed = { .out = c->out, .ids = c->ids, .table = &c->table, .scale = 1 };
    switch (c->op) {
    case 0: return ex->ops->rmsnorm(ex, &norm, err);
    case 1: return ex->ops->layernorm(ex, &norm, err);
    case 2: return ex->ops->gate(ex, c->out, c->x, c->y, ACT_SILU, err);
    case 3: return ex->ops->gate(ex, c->out, c->x, c->y, ACT_GELU, err);
    case 4: return ex->ops->gather(ex, c->out, c->x, c->ids, err);
    case 5: return ex->ops->embed(ex, &embed, err);
    case 6: return ex->ops->pooling(ex, &(pooling_args){ .out = cud_rows(c->out, 0, c->sequences), .x = c->x, .starts = c->starts, .kind = POOLING_MEAN }, err);
    case 7: return ex->ops->pooling(ex, &(pooling_args){ .out = cud_rows(c->out, 0, c->sequences), .x = c->x, .starts = c->starts, .kind = POOLING_MAX }, err);
    case 8: return ex->ops->log_softmax(ex, c->out, err); /* in place: F32 only */
    default: return ex->ops->rope(ex, &c->rope_args, err);
    }
}

static void bench_simple(dtype type)
{
    static const char *const names[] = { "rmsnorm", "layernorm", "gate silu", "gate gelu", "gather", "embed", "pooling mean", "pooling max",
                                        "log_softmax", "rope" };
    enum { ROWS = 4096, COLS = 4096, HEADS = 32, DIM = 128, SEQUENCES = 16 };
    simple_case c = { .out = matrix(type, ROWS, COLS), .x = matrix(type, ROWS, COLS), .y = matrix(type, ROWS, COLS) };
    c.w = cud_vector(matrix(type, 1, COLS).data, type, COLS);
    c.ids = take(ROWS * sizeof(int32_t));
    for (int i = 0; i < ROWS; i++) c.ids[i] = i * 37 % ROWS;
    c.table = (weight){ .format = cud_wformat_of(type), .n = ROWS, .k = COLS, .segments = 1 };
    c.table.segment[0] = (weight_segment){ .data = c.y.data, .n = ROWS };
    c.rope = (rope_table){ .cos_sin = matrix(CUDDLE_F32, ROWS, DIM), .rotary_dim = DIM };
    c.rope_args = (rope_args){ .q = cud_split_heads(c.x, HEADS, DIM), .k = cud_split_heads(c.y, HEADS, DIM), .table = &c.rope, .positions = c.ids,
                               .position_stride = ROWS };
    c.sequences = SEQUENCES;
    c.starts = take((SEQUENCES + 1) * sizeof(int32_t));
    for (int i = 0; i <= SEQUENCES; i++) c.starts[i] = i * (ROWS / SEQUENCES);
    for (c.op = 0; c.op < (int)(sizeof names / sizeof *names); c.op++) {
        char what[64];
        static const int moved[] = { 2, 2, 3, 3, 2, 2, 1, 1, 2, 4 }; /* matrices read or written */
        if (c.op == 8 && type != CUDDLE_F32) continue;
        snprintf(what, sizeof what, "%s %s, %d x %d", names[c.op], cud_dtype_name(type), ROWS, COLS);
        row(what, median_seconds(what, run_simple, &c), (double)moved[c.op] * ROWS * COLS * (double)cud_dtype_size(type), 0);
    }
    drop(c.out.data), drop(c.x.data), drop(c.y.data), drop(c.w.data), drop(c.ids), drop(c.starts), drop(c.rope.cos_sin.data);
}

/* ---- sample: a token of each of 16 rows of a large vocabulary ---- */

static cuddle_status run_sample(exec *ex, void *arg, cuddle_error *err)
{
    return ex->ops->sample(ex, arg, err); /* nothing is banned or penalised, so that the logits stay */
}

static void bench_sample(void)
{
    enum { ROWS = 16, VOCABULARY = 128256 };
    static const struct { const char *what; sample_row row; } cases[] = {
        { "sample greedy, 16 x 128256", { .greedy = 1, .temperature = 1, .top_p = 1 } },
        { "sample, 16 x 128256", { .temperature = 0.8f, .top_p = 1 } },
        { "sample top-k 50, top-p 0.95, 16 x 128256", { .temperature = 0.8f, .top_p = 0.95f, .top_k = 50 } },
        { "sample top-p 0.95, 16 x 128256", { .temperature = 0.8f, .top_p = 0.95f } },
    };
    sample_row *rows = take(ROWS * sizeof *rows);
    const tensor logits = matrix(CUDDLE_F32, ROWS, VOCABULARY);
    for (int64_t i = 0; i < (int64_t)ROWS * VOCABULARY; i++) ((float *)logits.data)[i] *= 8; /* the likeliest is e^16 times as likely as the least likely */
    sample_args a = { .logits = logits, .rows = rows, .picked = take(ROWS * sizeof(int32_t)) };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int r = 0; r < ROWS; r++) {
            rows[r] = cases[i].row;
            rows[r].repetition_penalty = 1;
            rows[r].counter = (uint32_t)r;
            rows[r].seat = -1;
        }
        row(cases[i].what, median_seconds(cases[i].what, run_sample, &a), (double)ROWS * VOCABULARY * sizeof(float), 0);
    }
    drop(logits.data), drop(rows), drop(a.picked);
}

int main(int argc, char **argv)
{
    cuddle_error err = { 0 };
    const cud_cpu_options options = { .threads = argc > 1 ? atoi(argv[1]) : 0, .onednn = true };
    if (cud_cpu_backend_new(&bench.b, &options, &err) != CUDDLE_OK) die("backend", &err);
    bench.ex = (exec){ .ops = bench.b->ops, .backend = bench.b, .ranks = 1, .deterministic = true };
    if (cud_cpu_probe_bandwidth(&bench.bandwidth, (size_t)512 << 20, 8, bench.b->threads, &err) != CUDDLE_OK) die("probe", &err);
    printf("%s, %s, %d threads, reads %.1f GB/s\n", bench.b->device_name, bench.b->isa, bench.b->threads, bench.bandwidth);
    bench_linear();
    printf("\n");
    time_attend("attend BF16 decode, 32/8 heads, 8192 keys", CUDDLE_BF16, 1, 1, 8192, 32, 8, 128);
    time_attend("attend F32 decode, 32/8 heads, 8192 keys", CUDDLE_F32, 1, 1, 8192, 32, 8, 128);
    time_attend("attend BF16 decode, 16/16 heads, 8192 keys", CUDDLE_BF16, 1, 1, 8192, 16, 16, 128);
    time_attend("attend BF16 decode, 14/2 heads, 16 x 2048", CUDDLE_BF16, 16, 1, 2048, 14, 2, 64);
    time_attend("attend BF16 prefill 512, 32/8 heads", CUDDLE_BF16, 1, 512, 512, 32, 8, 128);
    time_attend("attend F32 prefill 512, 12/12 heads of 64", CUDDLE_F32, 1, 512, 512, 12, 12, 64);
    time_attend("attend BF16 prefill 2048, 32/8 heads", CUDDLE_BF16, 1, 2048, 2048, 32, 8, 128);
    time_copy_pages("copy_pages BF16, 16 layers, 8 heads of 64, 4 beams", CUDDLE_BF16, 16, 8, 64, 4);
    time_copy_pages("copy_pages BF16, 32 layers, 8 heads of 128, 8 beams", CUDDLE_BF16, 32, 8, 128, 8);
    printf("\n");
    bench_simple(CUDDLE_F32);
    bench_simple(CUDDLE_BF16);
    printf("\n");
    bench_sample();
    bench.b->ops->destroy(bench.b);
    return 0;
}
