#include "op_support.h"
#ifndef OP_ON_CUDA
#include "cpu/backend.h"
#endif

static const struct { int64_t m, n, k; } shapes[] = { { 0, 3, 5 },    { 1, 1, 1 },    { 1, 5, 3 },    { 2, 4, 16 },    { 3, 7, 33 },
                                                      { 1, 70, 512 }, { 5, 65, 100 }, { 7, 64, 257 }, { 33, 130, 64 }, { 97, 70, 40 },
                                                      { 129, 17, 96 }, { 4, 3, 0 },      { 192, 50, 20 },
                                                      { 2, 3, 4200 }, { 26, 3, 4200 },  { 3, 2100, 8 } }; /* blocks of few rows, and of many columns */
enum { SHAPES = sizeof shapes / sizeof *shapes };

static double activate(double x, activation act)
{
    switch (act) {
    case ACT_GELU: return 0.5 * x * (1 + erf(x / sqrt(2)));
    case ACT_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    case ACT_QUICK_GELU: return x / (1 + exp(-1.702 * x));
    case ACT_SILU: return x / (1 + exp(-x));
    case ACT_RELU: return x > 0 ? x : 0;
    case ACT_RELU2: return x > 0 ? x * x : 0;
    case ACT_TANH: return tanh(x);
    default: return x;
    }
}

/* out = cap(act(x W^T + bias) scale) + residual in double. The float sum of k terms of size t errs by about k / VL roundings of sums
 * of at most sum |t|; the slopes of the activations are below 2 here (RELU2: 2 |x|). */
static void check_linear(op_env *e, tensor out, tensor x, tensor wt, bool transposed, const epilogue *ep, const float *residual_before,
                         const char *what)
{
    const float *xs = op_download(e, x), *ws = op_download(e, wt), *got = op_download(e, out);
    const float *bias = cud_present(ep->bias) ? op_download(e, ep->bias) : NULL;
    const int64_t k = x.size[1];
    for (int64_t r = 0; r < out.size[0]; r++) {
        for (int64_t c = 0; c < out.size[1]; c++) {
            double sum = bias ? (double)bias[c] : 0, size = fabs(sum);
            for (int64_t i = 0; i < k; i++) {
                const double t = (double)xs[r * x.stride[0] + i] * (double)ws[transposed ? i * wt.stride[0] + c : c * wt.stride[0] + i];
                sum += t;
                size += fabs(t);
            }
            double v = activate(sum, ep->act) * (ep->scale != 0 ? (double)ep->scale : 1);
            if (ep->soft_cap > 0) v = (double)ep->soft_cap * tanh(v / (double)ep->soft_cap);
            const double slope = (ep->act == ACT_RELU2 ? 1 + 2 * fabs(sum) : 2) * (ep->scale != 0 ? fabs((double)ep->scale) : 1);
            const double error = slope * (size * 0x1p-24 * (4 + (double)k / 4) + 4e-7 * (fabs(v) + (ep->act ? 0.1 : 0)));
            if (cud_present(ep->residual)) v += (double)residual_before[r * out.size[1] + c];
            op_near(out.type, (double)got[r * out.stride[0] + c], v, error, what, r, c);
        }
    }
}

START_TEST(matches_hand_value) /* [1 2] by rows [3 4], [5 6], bias [10 20], relu, scale 2, residual [1 1] */
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    tensor x = op_from(&e, CUDDLE_F32, (float[]){ 1, 2 }, 2, 1, 2, 0, 0);
    tensor wt = op_from(&e, CUDDLE_F32, (float[]){ 3, 4, -5, -36 }, 2, 2, 2, 0, 0), out = op_empty(&e, CUDDLE_F32, 2, 1, 2, 0, 0);
    const weight w = op_weight(wt, false);
    const epilogue ep = { .bias = op_from(&e, CUDDLE_F32, (float[]){ 10, 20 }, 1, 2, 0, 0, 0), .act = ACT_RELU, .scale = 2,
                          .residual = op_from(&e, CUDDLE_F32, (float[]){ 1, 1 }, 2, 1, 2, 0, 0) };
    OP_RUN(&e, e.b->ops->linear(&e.ex, out, x, &w, &ep, &err));
    const float *got = op_download(&e, out);
    ck_assert_float_eq(got[0], (3 + 8 + 10) * 2 + 1);
    ck_assert_float_eq(got[1], 1);
    OP_RUN(&e, e.b->ops->linear(&e.ex, out, x, &w, NULL, &err));
    got = op_download(&e, out);
    ck_assert_float_eq(got[0], 11);
    ck_assert_float_eq(got[1], -77);
    op_close(&e);
}
END_TEST

START_TEST(matches_double_for_every_shape_and_type)
{
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    for (int s = 0; s < SHAPES; s++) {
        for (int types = 0; types < OP_TYPES * OP_TYPES; types++) {
            for (int transposed = 0; transposed < 2; transposed++) {
                const int64_t m = shapes[s].m, n = shapes[s].n, k = shapes[s].k;
                char what[128];
                snprintf(what, sizeof what, "%lld x %lld x %lld, %s by %s%s", (long long)m, (long long)n, (long long)k,
                         cud_dtype_name(op_types[types / 3]), cud_dtype_name(op_types[types % 3]), transposed ? ", transposed" : "");
                tensor x = op_random(&e, op_types[types / 3], 2, m, k, 0, s % 3), wt = op_random(&e, op_types[types % 3], 2,
                                                                                             transposed ? k : n, transposed ? n : k, 0, 0);
                tensor out = op_empty(&e, op_types[(types + s) % 3], 2, m, n, 0, 2);
                const weight w = op_weight(wt, transposed);
                OP_RUN(&e, e.b->ops->linear(&e.ex, out, x, &w, NULL, &err));
                check_linear(&e, out, x, wt, transposed, &(epilogue){ .act = ACT_NONE }, NULL, what);
                op_padding_intact(&e, out);
                op_reset(&e);
            }
        }
    }
    op_close(&e);
}
END_TEST

START_TEST(applies_every_epilogue)
{
    static const struct { int m, n, pad; } sizes[] = { { 1, 80, 0 }, { 9, 77, 3 }, { 37, 30, 2 }, { 66, 136, 0 } };
    enum { K = 40 };
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    for (int c = 0; c < 4 * ACT_CLAMPED_SWIGLU * OP_TYPES; c++) {
        const int size = c / OP_TYPES / ACT_CLAMPED_SWIGLU, act = c / OP_TYPES % ACT_CLAMPED_SWIGLU, t = c % OP_TYPES;
        const int m = sizes[size].m, n = sizes[size].n, pad = sizes[size].pad;
        if (size > 0 && act > 3) continue; /* 0 to 3 come with every combination of the rest */
        char what[64];
        snprintf(what, sizeof what, "%s %s, %d rows", cud_activation_name((activation)act), cud_dtype_name(op_types[t]), m);
        tensor x = op_random(&e, op_types[t], 2, m, K, 0, 0), wt = op_random(&e, op_types[t], 2, n, K, 0, 0);
        tensor out = op_random(&e, op_types[t], 2, m, n, 0, pad);
        const weight w = op_weight(wt, false);
        epilogue ep = { .bias = op_random(&e, op_types[(t + act) % 3], 1, n, 0, 0, 0), .act = (activation)act,
                        .scale = act % 2 ? 0.5f : 0, .soft_cap = act % 3 == 0 ? 2.0f : 0 };
        float *before = op_host(&e, (size_t)(m * n) * sizeof(float));
        if (act % 2) { /* the residual is out itself */
            ep.residual = out;
            const float *v = op_download(&e, out);
            for (int i = 0; i < m * n; i++) before[i] = v[i / n * (n + pad) + i % n];
        } else {
            ep.residual = op_random(&e, op_types[(t + 1) % 3], 2, m, n, 0, 0);
            memcpy(before, op_download(&e, ep.residual), (size_t)(m * n) * sizeof(float));
        }
        cuddle_error err = { 0 };
        op_record(&e);
        ck_ok(e.b->ops->linear(&e.ex, out, x, &w, &ep, &err));
        op_start(&e);
        ck_ok(e.b->ops->linear(&e.ex, out, x, &w, &ep, &err));
        ck_ok(e.b->ops->finish(&e.ex, &err));
        check_linear(&e, out, x, wt, false, &ep, before, what);
        op_reset(&e);
    }
    op_close(&e);
}
END_TEST

START_TEST(joins_segments)
{
    op_env e;
    if (!op_open(&e, _i, 3)) return;
    enum { M = 7, K = 50 };
    static const int64_t n[] = { 65, 1, 130, 9 };
    tensor whole = op_random(&e, CUDDLE_BF16, 2, 205, K, 0, 0), x = op_random(&e, CUDDLE_BF16, 2, M, K, 0, 0);
    for (int segments = 1; segments <= 4; segments++) {
        weight w = { .format = WF_BF16, .k = K, .segments = segments };
        const float *values = op_download(&e, whole);
        for (int s = 0; s < segments; s++) {
            tensor part = op_from(&e, CUDDLE_BF16, values + w.n * K, 2, n[s], K, 0, 0);
            w.segment[s] = (weight_segment){ .data = part.data, .n = n[s] };
            w.n += n[s];
        }
        tensor out = op_empty(&e, CUDDLE_F32, 2, M, w.n, 0, 1);
        OP_RUN(&e, e.b->ops->linear(&e.ex, out, x, &w, NULL, &err));
        check_linear(&e, out, x, whole, false, &(epilogue){ .act = ACT_NONE }, NULL, "segments");
    }
    op_close(&e);
}
END_TEST

#ifndef OP_ON_CUDA /* which has its own in emulation/test_linear_cuda.c, with fewer elements: this would take minutes there */
/* A row's bits do not depend on how many rows there are, where it stands, or on the number of threads. */
START_TEST(is_deterministic)
{
    static const struct { int64_t n, k; } size[] = { { 70, 200 }, { 131, 515 } };
    static const int counts[] = { 1, 2, 5, 33, 129 }, firsts[] = { 0, 1, 30 };
    enum { ROWS = 159 };
    for (int s = 0; s < 2; s++) {
        for (int c = 0; c < OP_TYPES * OP_TYPES * 2; c++) {
            const dtype xt = op_types[c / 2 / 3], wtype = op_types[c / 2 % 3];
            const bool transposed = c % 2;
            const int64_t n = size[s].n, k = size[s].k;
            float *first_bits = NULL;
            for (int threads = 1; threads <= 3; threads++) {
                op_env e;
                if (!op_open(&e, _i, threads)) return;
                tensor x = op_random(&e, xt, 2, ROWS, k, 0, 0), wt = op_random(&e, wtype, 2, transposed ? k : n, transposed ? n : k, 0, 0);
                const weight w = op_weight(wt, transposed);
                const epilogue ep = { .bias = op_random(&e, CUDDLE_F32, 1, n, 0, 0, 0), .act = ACT_GELU };
                tensor all = op_empty(&e, CUDDLE_F32, 2, ROWS, n, 0, 0);
                OP_RUN(&e, e.b->ops->linear(&e.ex, all, x, &w, &ep, &err));
                const float *want = op_raw(&e, all);
                if (!first_bits) first_bits = memcpy(malloc((size_t)(ROWS * n) * sizeof(float)), want, (size_t)(ROWS * n) * sizeof(float));
                ck_assert_mem_eq(first_bits, want, (size_t)(ROWS * n) * sizeof(float));
                for (int i = 0; i < 5; i++) {
                    for (int j = 0; j < 3 && threads != 3; j++) {
                        tensor out = op_empty(&e, CUDDLE_F32, 2, counts[i], n, 0, 0);
                        OP_RUN(&e, e.b->ops->linear(&e.ex, out, cud_rows(x, firsts[j], counts[i]), &w, &ep, &err));
                        ck_assert_mem_eq(op_raw(&e, out), want + firsts[j] * n, (size_t)(counts[i] * n) * sizeof(float));
                    }
                }
                op_close(&e);
            }
            free(first_bits);
        }
    }
}
END_TEST
#endif

START_TEST(without_determinism_results_stay_exact_enough)
{
    static const int64_t rows[] = { 1, 2, 3, 4, 5, 16, 33, 65, 127, 128, 129, 511, 513 };
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    e.ex.deterministic = false;
    for (int t = 0; t < OP_TYPES; t++) {
        for (int i = 0; i < (int)(sizeof rows / sizeof *rows); i++) {
            const int64_t k = rows[i] < 5 ? 2104 : 96;
            tensor x = op_random(&e, op_types[t], 2, rows[i], k, 0, i % 4 == 3 ? 5 : 8), wt = op_random(&e, op_types[t], 2, 300, k, 0, 0);
            tensor out = op_empty(&e, op_types[t], 2, rows[i], 300, 0, 2);
            const weight w = op_weight(wt, false);
            const epilogue ep = { .bias = op_random(&e, CUDDLE_F32, 1, 300, 0, 0, 0), .act = ACT_SILU,
                                  .residual = op_random(&e, op_types[t], 2, rows[i], 300, 0, 0) };
            OP_RUN(&e, e.b->ops->linear(&e.ex, out, x, &w, &ep, &err));
            check_linear(&e, out, x, wt, false, &ep, op_download(&e, ep.residual), "not deterministic");
            op_padding_intact(&e, out);
            op_reset(&e);
        }
    }
    op_close(&e);
}
END_TEST

/* A NaN or an infinity in one row stays in that row. */
START_TEST(keeps_special_values_in_their_row)
{
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    enum { M = 20, N = 70, K = 65 };
    for (int t = 0; t < OP_TYPES; t++) {
        float *values = op_host(&e, M * K * sizeof(float));
        for (int i = 0; i < M * K; i++) values[i] = op_draw(&e);
        values[3 * K + 64] = NAN;
        tensor x = op_from(&e, op_types[t], values, 2, M, K, 0, 0), wt = op_random(&e, op_types[t], 2, N, K, 0, 0);
        tensor out = op_empty(&e, CUDDLE_F32, 2, M, N, 0, 0);
        const weight w = op_weight(wt, false);
        OP_RUN(&e, e.b->ops->linear(&e.ex, out, x, &w, &(epilogue){ .act = ACT_GELU }, &err));
        const float *got = op_download(&e, out);
        for (int i = 0; i < M * N; i++)
            if (isnan(got[i]) != (i / N == 3)) ck_abort_msg("row %d", i / N);
    }
    op_close(&e);
}
END_TEST

START_TEST(refuses_by_name)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    tensor x = op_random(&e, CUDDLE_F32, 2, 2, 8, 0, 0), wt = op_random(&e, CUDDLE_F32, 2, 4, 8, 0, 0), out = op_empty(&e, CUDDLE_F32, 2, 2, 4, 0, 0);
    const weight good = op_weight(wt, false);
    static const wformat formats[] = { WF_I8, WF_I4, WF_FP8_E4M3, WF_MXFP4 };
    for (int i = 0; i < 4; i++) {
        weight w = good;
        w.format = formats[i];
        OP_REFUSED(&e, e.b->ops->linear(&e.ex, out, x, &w, NULL, &err), CUDDLE_E_UNSUPPORTED, "linear", cud_wformat_name(formats[i]));
    }
    weight experts = good;
    experts.experts = 8;
    OP_REFUSED(&e, e.b->ops->linear(&e.ex, out, x, &experts, NULL, &err), CUDDLE_E_UNSUPPORTED, "linear", "experts");
    const epilogue adapters = { .adapters = (const struct adapter_set *)&e };
    OP_REFUSED(&e, e.b->ops->linear(&e.ex, out, x, &good, &adapters, &err), CUDDLE_E_UNSUPPORTED, "linear", "adapters");
    const epilogue swiglu = { .act = ACT_CLAMPED_SWIGLU };
    OP_REFUSED(&e, e.b->ops->linear(&e.ex, out, x, &good, &swiglu, &err), CUDDLE_E_UNSUPPORTED, "linear", "clamped_swiglu");
    tensor odd = x;
    odd.type = CUDDLE_F64;
    OP_REFUSED(&e, e.b->ops->linear(&e.ex, out, odd, &good, NULL, &err), CUDDLE_E_UNSUPPORTED, "linear", "F64");
    odd = x;
    odd.stride[1] = 2;
    OP_REFUSED(&e, e.b->ops->linear(&e.ex, out, odd, &good, NULL, &err), CUDDLE_E_UNSUPPORTED, "linear", "stride");
    OP_REFUSED(&e, e.b->ops->linear(&e.ex, out, cud_columns(x, 0, 7), &good, NULL, &err), CUDDLE_E_INTERNAL, "linear", "x");
    OP_REFUSED(&e, e.b->ops->linear(&e.ex, cud_rows(out, 0, 1), x, &good, NULL, &err), CUDDLE_E_INTERNAL, "linear", "out");
    const epilogue bias = { .bias = op_random(&e, CUDDLE_F32, 1, 5, 0, 0, 0) };
    OP_REFUSED(&e, e.b->ops->linear(&e.ex, out, x, &good, &bias, &err), CUDDLE_E_INTERNAL, "linear", "bias");
    const epilogue residual = { .residual = x };
    OP_REFUSED(&e, e.b->ops->linear(&e.ex, out, x, &good, &residual, &err), CUDDLE_E_INTERNAL, "linear", "residual");
    weight pair = good;
    pair.segments = 2, pair.transposed = true;
    OP_REFUSED(&e, e.b->ops->linear(&e.ex, out, x, &pair, NULL, &err), CUDDLE_E_UNSUPPORTED, "linear", "segments");
    op_close(&e);
}
END_TEST

/* Recording needs no data, and the largest step's scratch is enough for every smaller one. */
START_TEST(recording_touches_nothing_and_bounds_smaller_steps)
{
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    for (int deterministic = 0; deterministic < 2; deterministic++) {
        e.ex.deterministic = deterministic;
        for (int t = 0; t < OP_TYPES * OP_TYPES; t++) {
            size_t before = 0;
            for (int64_t rows = 0; rows < 2100; rows += rows < 40 ? 1 : 97) {
                cuddle_error err = { 0 };
                const tensor x = cud_matrix(NULL, op_types[t / 3], rows, 768), out = cud_matrix(NULL, op_types[t / 3], rows, 2304);
                const weight w = op_weight(cud_matrix(NULL, op_types[t % 3], 2304, 768), false);
                op_record(&e);
                ck_ok(e.b->ops->linear(&e.ex, out, x, &w, &(epilogue){ .residual = out, .bias = cud_vector(NULL, CUDDLE_F32, 2304) }, &err));
                ck_assert_uint_ge(e.ex.ws.peak, before);
                before = e.ex.ws.peak;
            }
        }
    }
    op_close(&e);
}
END_TEST

#ifndef OP_ON_CUDA
/* Rows of another type than the weights' product wants are widened, some hundreds at a time: room for those, and for no more than there are. */
START_TEST(widening_takes_room_for_its_rows)
{
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    const weight w = op_weight(cud_matrix(NULL, CUDDLE_F32, 3, 100), false);
    static const struct { int64_t rows; size_t floats; } cases[] = { { 1, 100 }, { 7, 700 }, { 512, 51200 }, { 513, 51200 }, { 5000, 51200 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        OP_RECORDED(&e, e.b->ops->linear(&e.ex, cud_matrix(NULL, CUDDLE_F32, cases[i].rows, 3), cud_matrix(NULL, CUDDLE_F16, cases[i].rows, 100), &w, NULL, &err));
        ck_assert_uint_eq(e.ex.ws.peak, (cases[i].floats * sizeof(float) + CUD_ALIGN - 1) / CUD_ALIGN * CUD_ALIGN);
    }
    op_close(&e);
}
END_TEST
#endif

#ifndef OP_ON_CUDA
/* The CPU's kernels write the columns they were given and leave what is beside them. Whole numbers: exact. */
START_TEST(kernels_leave_what_is_beside_their_columns)
{
    enum { ROWS = 7, COLS = 300, K = 37, BESIDE = 600, STRIDE = COLS + BESIDE };
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    float *x = op_host(&e, ROWS * K * sizeof(float)), *out = op_host(&e, ROWS * STRIDE * sizeof(float));
    float *w = op_host(&e, (K + 1) * STRIDE * sizeof(float));
    for (int i = 0; i < ROWS * K; i++) x[i] = (float)(i * 5 % 7 - 3);
    for (int i = 0; i < (K + 1) * STRIDE; i++) w[i] = (float)(i * 3 % 11 - 5);
    for (int c = 0; c < ROWS * 5 * 2; c++) {
        const int rows = c / 10 + 1, cols = (int[]){ 1, 5, 70, 256, COLS }[c / 2 % 5], w_stride = c % 2 ? STRIDE : K;
        const linear_kernels *kernels = ((cpu_backend *)e.b)->linear;
        for (int i = 0; i < ROWS * STRIDE; i++) out[i] = 0.5f;
        (c % 2 ? kernels->transposed : kernels->panel)[WF_F32](&(linear_panel){
            .x = x, .w = w, .out = out, .x_stride = K, .w_stride = w_stride, .out_stride = STRIDE, .rows = rows, .cols = cols, .k = K });
        for (int i = 0; i < ROWS * STRIDE; i++) {
            const int r = i / STRIDE, n = i % STRIDE;
            float want = 0.5f;
            if (r < rows && n < cols) {
                want = 0;
                for (int k = 0; k < K; k++) want += x[r * K + k] * w[c % 2 ? k * w_stride + n : n * w_stride + k];
            }
            if (out[i] != want) ck_abort_msg("%d rows, %d columns%s: row %d, column %d", rows, cols, c % 2 ? ", transposed" : "", r, n);
        }
    }
    op_close(&e);
}
END_TEST
#endif

int main(void)
{
    TCase *tc;
    Suite *s = op_suite("linear", &tc);
    tcase_add_loop_test(tc, matches_hand_value, 0, OP_LEVELS);
#ifndef OP_ON_CUDA
    tcase_add_loop_test(tc, kernels_leave_what_is_beside_their_columns, 0, OP_LEVELS);
#endif
    tcase_add_loop_test(tc, matches_double_for_every_shape_and_type, 0, OP_LEVELS);
    tcase_add_loop_test(tc, applies_every_epilogue, 0, OP_LEVELS);
    tcase_add_loop_test(tc, joins_segments, 0, OP_LEVELS);
#ifndef OP_ON_CUDA
    tcase_add_loop_test(tc, is_deterministic, 0, OP_LEVELS);
#endif
    tcase_add_loop_test(tc, without_determinism_results_stay_exact_enough, 0, OP_LEVELS);
    tcase_add_loop_test(tc, keeps_special_values_in_their_row, 0, OP_LEVELS);
    tcase_add_loop_test(tc, refuses_by_name, 0, OP_LEVELS);
#ifndef OP_ON_CUDA
    tcase_add_loop_test(tc, widening_takes_room_for_its_rows, 0, OP_LEVELS);
#endif
    tcase_add_loop_test(tc, recording_touches_nothing_and_bounds_smaller_steps, 0, OP_LEVELS);
    return test_run(s);
}
