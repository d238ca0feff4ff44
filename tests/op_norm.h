/* The tests of rmsnorm and layernorm, which differ in one line: NORM names the op, NORM_MEAN says whether the mean is taken off. */
#include "op_support.h"

#ifdef OP_ON_CUDA
enum { NORM_SOME_ROWS = 5, NORM_MANY_ROWS = 9 }; /* a block each, and an emulated block takes its time */
#else
enum { NORM_SOME_ROWS = 70, NORM_MANY_ROWS = 300 }; /* several threads' share */
#endif

typedef struct norm_shape { int64_t rows, heads, cols, pad; } norm_shape; /* heads 0: a matrix */
static const norm_shape norm_shapes[] = { { 0, 0, 7, 0 },  { 1, 0, 1, 0 },    { 1, 0, 5, 3 },   { 3, 0, 16, 0 }, { 2, 0, 511, 1 },
                                          { 2, 0, 512, 0 }, { 2, 0, 513, 7 }, { NORM_SOME_ROWS, 0, 1000, 0 },
                                          { 5, 3, 64, 10 }, { NORM_MANY_ROWS, 2, 33, 1 }, { 2, 0, 2056, 8 }, { 1, 0, 4099, 0 } };
enum { NORM_SHAPES = sizeof norm_shapes / sizeof *norm_shapes };

/* Sums of float squares err relatively by a few units in the last place, and so does what is divided by their root. */
static void norm_check(op_env *e, const norm_args *a, const float *x, const float *residual, const char *what)
{
    const int64_t heads = a->x.rank == 3 ? a->x.size[1] : 1, cols = a->x.size[a->x.rank - 1];
    const float *out = op_download(e, a->out), *w = cud_present(a->weight) ? op_download(e, a->weight) : NULL,
                *b = cud_present(a->bias) ? op_download(e, a->bias) : NULL;
    for (int64_t r = 0; r < a->x.size[0] * heads; r++) {
        const float *row = x + r / heads * a->x.stride[0] + r % heads * cols;
        const float *got = out + r / heads * a->out.stride[0] + r % heads * cols;
        double mean = 0, squares = 0;
        for (int64_t c = 0; c < cols && NORM_MEAN; c++) mean += (double)row[c] / (double)cols;
        for (int64_t c = 0; c < cols; c++) squares += ((double)row[c] - mean) * ((double)row[c] - mean);
        const double scale = 1 / sqrt(squares / (double)cols + (double)a->eps);
        for (int64_t c = 0; c < cols; c++) {
            double v = ((double)row[c] - mean) * scale;
            const double error = 2e-6 * (fabs(v) + 0.1 * scale) * 2;
            if (w) v *= (double)w[c] + (a->unit_offset ? 1 : 0);
            if (b) v += (double)b[c];
            if (residual) v += (double)residual[r / heads * a->residual.stride[0] + r % heads * cols + c];
            op_near(a->out.type, (double)got[c], v, error + 1e-7 * fabs(v), what, r, c);
        }
    }
}

START_TEST(matches_double_for_every_shape_and_type)
{
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    for (int s = 0; s < NORM_SHAPES; s++) {
        for (int t = 0; t < OP_TYPES * OP_TYPES; t++) {
            for (int kind = 0; kind < 4; kind++) { /* bit 0: in place, bit 1: nothing but x; residuals now and then, one in two of them out itself */
                const norm_shape *n = &norm_shapes[s];
                const int rank = n->heads ? 3 : 2;
                const int64_t s1 = n->heads ? n->heads : n->cols;
                char what[96];
                snprintf(what, sizeof what, "%lld x %lld x %lld %s", (long long)n->rows, (long long)n->heads, (long long)n->cols,
                         cud_dtype_name(op_types[t / 3]));
                norm_args a = { .x = op_random(&e, op_types[t / 3], rank, n->rows, s1, n->cols, n->pad), .eps = 1e-5f };
                a.out = kind & 1 ? a.x : op_empty(&e, op_types[(t + s) % 3], rank, n->rows, s1, n->cols, 2);
                if (!(kind & 2)) {
                    a.weight = op_random(&e, op_types[t % 3], 1, n->cols, 0, 0, 0);
                    a.bias = op_random(&e, op_types[(t + 1) % 3], 1, n->cols, 0, 0, 0);
                    a.unit_offset = t % 2;
                }
                const int turn = (s + t + kind) % 3;
                if (turn == 1) a.residual = op_random(&e, op_types[(t + kind) % 3], rank, n->rows, s1, n->cols, 5);
                if (turn == 2 && !(kind & 1)) a.out = a.residual = op_random(&e, a.out.type, rank, n->rows, s1, n->cols, 2);
                const float *x = op_download(&e, a.x), *residual = cud_present(a.residual) ? op_download(&e, a.residual) : NULL;
                cuddle_error err = { 0 };
                op_record(&e);
                ck_ok(e.b->ops->NORM(&e.ex, &a, &err));
                op_start(&e);
                ck_ok(e.b->ops->NORM(&e.ex, &a, &err));
                norm_check(&e, &a, x, residual, what);
                op_padding_intact(&e, a.out);
                op_reset(&e);
            }
        }
    }
    op_close(&e);
}
END_TEST

START_TEST(is_deterministic) /* at any position among any number of rows, with any number of threads */
{
    float *first = NULL;
    enum { ROWS = 140, COLS = 771 };
    for (int threads = 1; threads <= OP_THREADS; threads++) {
        op_env e;
        if (!op_open(&e, _i, threads)) return;
        tensor x = op_random(&e, CUDDLE_BF16, 2, ROWS, COLS, 0, 0), out = op_empty(&e, CUDDLE_F32, 2, ROWS, COLS, 0, 0);
        OP_RUN(&e, e.b->ops->NORM(&e.ex, &(norm_args){ .x = x, .out = out, .eps = 1e-6f }, &err));
        const float *all = op_raw(&e, out);
        if (!first) first = memcpy(malloc(sizeof(float) * ROWS * COLS), all, sizeof(float) * ROWS * COLS);
        ck_assert_mem_eq(first, all, sizeof(float) * ROWS * COLS);
        static const int counts[] = { 1, 2, 5, 33, 129 };
        for (int i = 0; i < 5; i++) {
            for (int from = 0; from < 11; from += 5) {
                tensor part = op_empty(&e, CUDDLE_F32, 2, counts[i], COLS, 0, 0);
                OP_RUN(&e, e.b->ops->NORM(&e.ex, &(norm_args){ .x = cud_rows(x, from, counts[i]), .out = part, .eps = 1e-6f }, &err));
                ck_assert_mem_eq(op_raw(&e, part), all + from * COLS, sizeof(float) * (size_t)counts[i] * COLS);
            }
        }
        op_close(&e);
    }
    free(first);
}
END_TEST

START_TEST(refuses_by_name)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    const norm_args good = { .x = cud_matrix(NULL, CUDDLE_F32, 2, 8), .out = cud_matrix(NULL, CUDDLE_F32, 2, 8) };
    norm_args a = good;
    a.x.type = CUDDLE_I8;
    OP_REFUSED(&e, e.b->ops->NORM(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "norm on " OP_NAME, "I8");
    a = good, a.out.size[1] = 7;
    OP_REFUSED(&e, e.b->ops->NORM(&e.ex, &a, &err), CUDDLE_E_INTERNAL, "norm on " OP_NAME, "out");
    a = good, a.weight = cud_vector(NULL, CUDDLE_F32, 9);
    OP_REFUSED(&e, e.b->ops->NORM(&e.ex, &a, &err), CUDDLE_E_INTERNAL, "norm on " OP_NAME, "weight");
    a = good, a.residual = cud_matrix(NULL, CUDDLE_F32, 3, 8);
    OP_REFUSED(&e, e.b->ops->NORM(&e.ex, &a, &err), CUDDLE_E_INTERNAL, "norm on " OP_NAME, "residual");
    a = good, a.x.stride[1] = 3;
    OP_REFUSED(&e, e.b->ops->NORM(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "norm on " OP_NAME, "stride");
    OP_RECORDED(&e, e.b->ops->NORM(&e.ex, &good, &err));
    op_close(&e);
}
END_TEST

static int norm_main(const char *name, const TTest *hand_value, const TTest *own)
{
    TCase *tc;
    Suite *s = op_suite(name, &tc);
    tcase_add_loop_test(tc, hand_value, 0, OP_LEVELS);
    if (own) tcase_add_loop_test(tc, own, 0, OP_LEVELS);
    tcase_add_loop_test(tc, matches_double_for_every_shape_and_type, 0, OP_LEVELS);
    tcase_add_loop_test(tc, is_deterministic, 0, OP_LEVELS);
    tcase_add_loop_test(tc, refuses_by_name, 0, OP_LEVELS);
    return test_run(s);
}
