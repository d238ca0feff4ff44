/* linear on CUDA where it differs from the CPU's: which kernel or library runs, and that nobody can tell by the bits. tests/test_linear.c
 * has what any backend must do. Parts that need the emulation are left out where it is not there. */
#include "../op_support.h"

#if OP_EMULATED
#include <cublasLt.h>
#endif

static void run(op_env *e, tensor out, tensor x, const weight *w, const epilogue *ep) { OP_RUN(e, e->b->ops->linear(&e->ex, out, x, w, ep, &err)); }

static void same_bits(op_env *e, tensor got, tensor want, const char *what)
{
    const char *a = op_raw(e, got), *b = op_raw(e, want);
    const size_t size = cud_dtype_size(got.type);
    for (int64_t r = 0; r < got.size[0]; r++)
        for (int64_t c = 0; c < got.size[1]; c++)
            if (memcmp(a + (size_t)(r * got.stride[0] + c) * size, b + (size_t)(r * want.stride[0] + c) * size, size) != 0)
                ck_abort_msg("%s: [%d][%d] differs", what, (int)r, (int)c);
}

/* x W^T + bias, nothing else, against a double. */
static void check_product(op_env *e, tensor out, tensor x, tensor wt, bool transposed, tensor bias, const char *what)
{
    const float *xs = op_download(e, x), *ws = op_download(e, wt), *got = op_download(e, out), *bs = cud_present(bias) ? op_download(e, bias) : NULL;
    for (int64_t r = 0; r < out.size[0]; r++) {
        for (int64_t c = 0; c < out.size[1]; c++) {
            double sum = bs ? (double)bs[c] : 0, size = fabs(sum);
            for (int64_t i = 0; i < x.size[1]; i++) {
                const double t = (double)xs[r * x.stride[0] + i] * (double)ws[transposed ? i * wt.stride[0] + c : c * wt.stride[0] + i];
                sum += t, size += fabs(t);
            }
            op_near(out.type, (double)got[r * out.stride[0] + c], sum, size * 0x1p-24 * (4 + (double)x.size[1] / 4), what, r, c);
        }
    }
}

/* ---------------------------------------------------------------------------------------------------- deterministic */

/* Counts of rows around every change of kernel and tile, and where they stand. */
static const struct { int64_t first, count; } parts[] = { { 0, 1 }, { 128, 1 }, { 5, 2 }, { 64, 4 }, { 31, 5 }, { 3, 17 }, { 60, 33 }, { 64, 65 } };
enum { PARTS = sizeof parts / sizeof *parts, ALL_ROWS = 129 };

static const struct { dtype x, w; bool transposed; int64_t n, k; } kinds[] = {
    { CUDDLE_BF16, CUDDLE_BF16, false, 21, 1160 }, { CUDDLE_F16, CUDDLE_F16, false, 19, 200 },   { CUDDLE_BF16, CUDDLE_BF16, false, 9, 129 },
    { CUDDLE_F32, CUDDLE_F32, false, 11, 300 },    { CUDDLE_F32, CUDDLE_F32, false, 9, 61 },     { CUDDLE_F32, CUDDLE_BF16, false, 13, 264 },
    { CUDDLE_F32, CUDDLE_F16, false, 7, 37 },      { CUDDLE_BF16, CUDDLE_F32, false, 7, 140 },   { CUDDLE_F16, CUDDLE_BF16, false, 7, 96 },
    { CUDDLE_F32, CUDDLE_F32, true, 12, 300 },     { CUDDLE_F16, CUDDLE_F16, true, 24, 300 },    { CUDDLE_F32, CUDDLE_BF16, true, 11, 70 },
    { CUDDLE_F32, CUDDLE_F32, false, 5, 1100 },    { CUDDLE_BF16, CUDDLE_BF16, true, 16, 70 },   { CUDDLE_F16, CUDDLE_F16, false, 270, 72 },
    { CUDDLE_BF16, CUDDLE_BF16, false, 270, 8 },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

START_TEST(a_row_has_the_same_bits_wherever_it_is)
{
    op_env e;
    if (!op_open(&e, 0, 1)) return;
    const int64_t n = kinds[_i].n, k = kinds[_i].k;
    const bool transposed = kinds[_i].transposed;
    tensor x = op_random(&e, kinds[_i].x, 2, ALL_ROWS, k, 0, 0), wt = op_random(&e, kinds[_i].w, 2, transposed ? k : n, transposed ? n : k, 0, 0);
    const weight w = op_weight(wt, transposed);
    const epilogue ep = { .bias = op_random(&e, CUDDLE_F32, 1, n, 0, 0, 0) };
    tensor all = op_empty(&e, CUDDLE_F32, 2, ALL_ROWS, n, 0, 0);
    run(&e, all, x, &w, &ep);
    check_product(&e, all, x, wt, transposed, ep.bias, "all rows");
    for (int i = 0; i < PARTS; i++) {
        tensor out = op_empty(&e, CUDDLE_F32, 2, parts[i].count, n, 0, i % 2);
        run(&e, out, cud_rows(x, parts[i].first, parts[i].count), &w, &ep);
        char what[64];
        snprintf(what, sizeof what, "%d rows from %d on", (int)parts[i].count, (int)parts[i].first);
        same_bits(&e, out, cud_rows(all, parts[i].first, parts[i].count), what);
    }
    op_close(&e);
}
END_TEST

/* The columns of a wider matrix, one element to the right: no row of them is aligned. */
static tensor shifted(op_env *e, tensor x)
{
    const int64_t cols = x.size[1];
    const float *values = op_download(e, x);
    float *wide = op_host(e, (size_t)(x.size[0] * (cols + 3)) * sizeof(float));
    for (int64_t r = 0; r < x.size[0]; r++)
        for (int64_t c = 0; c < cols + 3; c++) wide[r * (cols + 3) + c] = c >= 1 && c <= cols ? values[r * x.stride[0] + c - 1] : NAN;
    return cud_columns(op_from(e, x.type, wide, 2, x.size[0], cols + 3, 0, 0), 1, cols);
}

START_TEST(alignment_of_x_changes_no_bit)
{
    static const int64_t rows[] = { 1, 7, 20, 70 };
    op_env e;
    if (!op_open(&e, 0, 1)) return;
    for (int t = 0; t < 9; t++) {
        for (int i = 0; i < 4; i++) {
            tensor x = op_random(&e, op_types[t / 3], 2, rows[i], 72, 0, 0), odd = shifted(&e, x), wt = op_random(&e, op_types[t % 3], 2, 10, 72, 0, 0);
            tensor out = op_empty(&e, CUDDLE_F32, 2, rows[i], 10, 0, 0), other = op_empty(&e, CUDDLE_F32, 2, rows[i], 10, 0, 0);
            const weight w = op_weight(wt, false);
            run(&e, out, x, &w, NULL);
            run(&e, other, odd, &w, NULL);
            same_bits(&e, other, out, "x not aligned");
            op_reset(&e);
        }
    }
    op_close(&e);
}
END_TEST

/* The order "lanes" is one order for both layouts of W, and cuts between segments leave no trace. */
START_TEST(layout_and_segments_change_no_bit)
{
    enum { N = 40, K = 136 };
    static const int64_t rows[] = { 3, 20, 70 };
    op_env e;
    if (!op_open(&e, 0, 1)) return;
    for (int t = 0; t < OP_TYPES; t++) {
        float *values = op_host(&e, N * K * sizeof(float)), *turned = op_host(&e, N * K * sizeof(float));
        for (int i = 0; i < N * K; i++) values[i] = op_draw(&e), turned[i % K * N + i / K] = values[i];
        tensor wt = op_from(&e, op_types[t], values, 2, N, K, 0, 0), wt_turned = op_from(&e, op_types[t], turned, 2, K, N, 0, 0);
        tensor copies[3]; /* rows 0 .. 6, 7 .. 23, 24 .. 39 elsewhere */
        static const int64_t first[] = { 0, 7, 24, N };
        weight cut = { .format = cud_wformat_of(op_types[t]), .n = N, .k = K, .segments = 4 }, joint = cut;
        for (int s = 0, to = 0; s < 4; s++, to++) { /* with an empty one between */
            if (s == 2) {
                cut.segment[to].n = joint.segment[to].n = 0;
                cut.segment[to].data = joint.segment[to].data = copies[0].data;
                continue;
            }
            const int i = s == 3 ? 2 : s;
            copies[i] = op_from(&e, op_types[t], values + first[i] * K, 2, first[i + 1] - first[i], K, 0, 0);
            cut.segment[to] = (weight_segment){ .data = copies[i].data, .n = first[i + 1] - first[i] };
            joint.segment[to] = (weight_segment){ .data = cud_at(wt, first[i] * K), .n = first[i + 1] - first[i] };
        }
        const weight whole = op_weight(wt, false), transposed = op_weight(wt_turned, true);
        for (int i = 0; i < 3; i++) {
            for (int xt = 0; xt < 2; xt++) {
                tensor x = op_random(&e, xt ? op_types[t] : CUDDLE_F32, 2, rows[i], K, 0, 0), out = op_empty(&e, CUDDLE_F32, 2, rows[i], N, 0, 0);
                tensor other = op_empty(&e, CUDDLE_F32, 2, rows[i], N, 0, 0);
                run(&e, out, x, &whole, NULL);
                run(&e, other, x, &cut, NULL);
                same_bits(&e, other, out, "segments apart");
                run(&e, other, x, &joint, NULL);
                same_bits(&e, other, out, "segments that follow one another");
                if (xt && op_types[t] != CUDDLE_F32) continue; /* tensor cores against none */
                run(&e, other, x, &transposed, NULL);
                same_bits(&e, other, out, "transposed");
            }
        }
        op_reset(&e);
    }
    op_close(&e);
}
END_TEST

START_TEST(a_weight_may_begin_anywhere)
{
    static const int64_t rows[] = { 2, 9, 40, 70 };
    op_env e;
    if (!op_open(&e, 0, 1)) return;
    for (int t = 0; t < OP_TYPES; t++) {
        for (int i = 0; i < 4; i++) {
            for (int deterministic = 0; deterministic < 2; deterministic++) {
                e.ex.deterministic = deterministic;
                tensor x = op_random(&e, op_types[t], 2, rows[i], 40, 0, 0), whole = op_random(&e, op_types[t], 1, 1 + 9 * 40, 0, 0, 0);
                tensor wt = cud_matrix(cud_at(whole, 1), op_types[t], 9, 40), out = op_empty(&e, CUDDLE_F32, 2, rows[i], 9, 0, 1);
                const weight w = op_weight(wt, false);
                run(&e, out, x, &w, NULL);
                check_product(&e, out, x, wt, false, (tensor){ 0 }, "a weight that is not aligned");
                op_padding_intact(&e, out);
                op_reset(&e);
            }
        }
    }
    op_close(&e);
}
END_TEST

START_TEST(refuses_what_no_launch_can_hold)
{
    op_env e;
    if (!op_open(&e, 0, 1)) return;
    const weight w = op_weight(cud_matrix(NULL, CUDDLE_BF16, 1 << 20, 8), false);
    const tensor x = cud_matrix(NULL, CUDDLE_BF16, 1 << 22, 8), out = cud_matrix(NULL, CUDDLE_BF16, 1 << 22, 1 << 20);
    OP_REFUSED(&e, e.b->ops->linear(&e.ex, out, x, &w, NULL, &err), CUDDLE_E_LIMIT, "linear on cuda", "4194304");
    op_close(&e);
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- cuBLASLt */

#if OP_EMULATED
static uint64_t matmuls(void)
{
    emu_counters c;
    emu_counters_get(&c);
    return c.matmuls;
}

/* The emulated library sums differently for another number of rows: without `deterministic` that shows, with it the library is not asked. */
START_TEST(the_library_is_not_used_where_it_would_show)
{
    enum { N = 16, K = 200, ROWS = 80 };
    op_env e;
    if (!op_open(&e, 0, 1)) return;
    tensor x = op_random(&e, CUDDLE_F32, 2, ROWS, K, 0, 0), wt = op_random(&e, CUDDLE_F32, 2, N, K, 0, 0);
    const weight w = op_weight(wt, false);
    tensor many = op_empty(&e, CUDDLE_F32, 2, ROWS, N, 0, 0), fewer = op_empty(&e, CUDDLE_F32, 2, 20, N, 0, 0);
    for (int deterministic = 0; deterministic < 2; deterministic++) {
        const uint64_t before = matmuls();
        e.ex.deterministic = deterministic;
        run(&e, many, x, &w, NULL);
        run(&e, fewer, cud_rows(x, 0, 20), &w, NULL);
        ck_assert_uint_eq(matmuls() - before, deterministic ? 0 : 2);
        const bool same = memcmp(op_raw(&e, many), op_raw(&e, fewer), 20 * N * sizeof(float)) == 0;
        ck_assert_int_eq(same, deterministic);
    }
    op_close(&e);
}
END_TEST

/* The same call with and without the library; both are within what each may err. `fused`: the library finishes it, so one launch. */
static void against_own(dtype type, dtype out_type, bool transposed, epilogue ep, int64_t rows, int64_t n, bool fused, const char *what)
{
    enum { K = 40 };
    cuddle_error err = { 0 };
    op_env e;
    if (!op_open(&e, 0, 1)) return;
    e.ex.deterministic = false;
    cuda_backend *b = (cuda_backend *)e.b;
    tensor x = op_random(&e, type, 2, rows, K, 0, 8), wt = op_random(&e, type, 2, transposed ? K : n, transposed ? n : K, 0, 0);
    weight w = op_weight(wt, transposed);
    if (cud_present(ep.bias)) ep.bias = op_random(&e, ep.bias.type, 1, n, 0, 0, 0);
    tensor first = op_random(&e, out_type, 2, rows, n, 0, 8), out[2];
    const bool in_place = cud_present(ep.residual) && ep.residual.type == out_type;
    if (cud_present(ep.residual)) ep.residual = op_random(&e, ep.residual.type, 2, rows, n, 0, 0);
    struct cuda_gemm *gemm = b->gemm;
    for (int i = 0; i < 2; i++) {
        out[i] = op_empty(&e, out_type, 2, rows, n, 0, 8);
        if (in_place) {
            ck_ok(e.b->ops->upload(&e.ex, out[i].data, op_raw(&e, first), (size_t)op_span(first) * cud_dtype_size(out_type), &err));
            ep.residual = out[i];
        }
        b->gemm = i ? NULL : gemm;
        emu_counters before, after;
        emu_counters_get(&before);
        cuddle_error message = { 0 };
        op_record(&e);
        ck_assert_msg(e.b->ops->linear(&e.ex, out[i], x, &w, &ep, &message) == CUDDLE_OK, "%s: %s", what, message.text);
        op_start(&e);
        ck_assert_msg(e.b->ops->linear(&e.ex, out[i], x, &w, &ep, &message) == CUDDLE_OK, "%s: %s", what, message.text);
        ck_ok(e.b->ops->finish(&e.ex, &err));
        emu_counters_get(&after);
        ck_assert_msg(i ? after.matmuls == before.matmuls : after.matmuls > before.matmuls, "%s: %d products by the library", what,
                      (int)(after.matmuls - before.matmuls));
        if (i == 0) ck_assert_msg((after.launches == before.launches) == fused, "%s: %d launches", what, (int)(after.launches - before.launches));
    }
    b->gemm = gemm;
    const float *a = op_download(&e, out[0]), *c = op_download(&e, out[1]);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++)
            op_near(out_type, (double)a[r * out[0].stride[0] + i], (double)c[r * out[0].stride[0] + i],
                    2e-5 + op_rounding(out_type, (double)c[r * out[0].stride[0] + i]), what, r, i);
    op_close(&e);
}

START_TEST(the_library_finishes_what_it_can_and_we_the_rest)
{
    const tensor f32 = cud_vector(NULL, CUDDLE_F32, 1), bf16 = cud_vector(NULL, CUDDLE_BF16, 1);
    const dtype F = CUDDLE_F32, B = CUDDLE_BF16;
    against_own(F, F, false, (epilogue){ 0 }, 17, 9, true, "plain F32");
    against_own(F, F, true, (epilogue){ .bias = f32 }, 30, 13, true, "bias F32, transposed");
    against_own(B, B, false, (epilogue){ .bias = bf16 }, 65, 16, true, "bias BF16");
    against_own(B, B, true, (epilogue){ .bias = bf16, .act = ACT_GELU_TANH }, 70, 24, true, "bias, tanh GELU, BF16, transposed");
    against_own(B, B, false, (epilogue){ .residual = bf16, .scale = 0.5f }, 66, 16, true, "scale, residual in place, BF16");
    against_own(B, B, false, (epilogue){ .residual = bf16, .bias = bf16 }, 66, 16, true, "bias, residual in place, BF16");
    against_own(B, F, false, (epilogue){ .bias = f32, .residual = f32 }, 66, 12, true, "BF16 to F32");
    against_own(B, F, false, (epilogue){ .soft_cap = 2.0f }, 66, 12, false, "soft cap in place");
    against_own(B, B, false, (epilogue){ .bias = bf16, .act = ACT_GELU }, 66, 16, false, "erf GELU");
    against_own(B, B, false, (epilogue){ .bias = f32, .act = ACT_SILU, .residual = bf16 }, 129, 9, false, "F32 bias, SiLU, residual in place");
    against_own(B, CUDDLE_F16, false, (epilogue){ .bias = bf16 }, 65, 16, false, "BF16 to F16");
    against_own(F, F, false, (epilogue){ .bias = f32, .act = ACT_GELU_TANH, .residual = f32 }, 20, 10, false, "F32 tanh GELU with residual");
}
END_TEST

/* More sums than fit the workspace at once: 128 rows and 1 row. */
START_TEST(results_that_we_finish_come_in_chunks)
{
    enum { N = 65536, K = 2, ROWS = 129 };
    op_env e;
    if (!op_open(&e, 0, 1)) return;
    e.ex.deterministic = false;
    tensor x = op_random(&e, CUDDLE_F32, 2, ROWS, K, 0, 0), wt = op_random(&e, CUDDLE_F32, 2, N, K, 0, 0), out = op_empty(&e, CUDDLE_F16, 2, ROWS, N, 0, 0);
    const weight w = op_weight(wt, false);
    const uint64_t before = matmuls();
    run(&e, out, x, &w, &(epilogue){ .scale = 0.25f });
    ck_assert_uint_eq(matmuls() - before, 2);
    const float *xs = op_download(&e, x), *ws = op_download(&e, wt), *got = op_download(&e, out);
    for (int r = 0; r < ROWS; r++)
        for (int c = r; c < N; c += 61)
            op_near(CUDDLE_F16, (double)got[r * N + c], 0.25 * ((double)xs[r * K] * (double)ws[c * K] + (double)xs[r * K + 1] * (double)ws[c * K + 1]), 1e-6,
                    "chunks", r, c);
    op_close(&e);
}
END_TEST

START_TEST(segments_go_one_by_one)
{
    enum { K = 32, ROWS = 70 };
    cuddle_error err = { 0 };
    op_env e;
    if (!op_open(&e, 0, 1)) return;
    e.ex.deterministic = false;
    tensor wt = op_random(&e, CUDDLE_BF16, 2, 41, K, 0, 0), x = op_random(&e, CUDDLE_BF16, 2, ROWS, K, 0, 0);
    const float *values = op_download(&e, wt);
    tensor second = op_from(&e, CUDDLE_BF16, values + 16 * K, 2, 25, K, 0, 0);
    weight w = { .format = WF_BF16, .n = 41, .k = K, .segments = 2 };
    w.segment[0] = (weight_segment){ .data = wt.data, .n = 16 };
    w.segment[1] = (weight_segment){ .data = second.data, .n = 25 };
    tensor bias = op_random(&e, CUDDLE_F32, 1, 41, 0, 0, 0);
    for (int way = 0; way < 3; way++) { /* by the library; the first or the second by us, where the library knows no way */
        tensor out = op_empty(&e, CUDDLE_F32, 2, ROWS, 41, 0, 3);
        cuda_backend *b = (cuda_backend *)e.b;
        cud_cuda_gemm_free(b->gemm);
        ck_ok(cud_cuda_gemm_open(&b->gemm, &err));
        if (way) emu_fail_call("cublasLtMatmulAlgoGetHeuristic", way, CUBLAS_STATUS_NOT_SUPPORTED, false);
        const uint64_t before = matmuls();
        run(&e, out, x, &w, &(epilogue){ .bias = bias });
        ck_assert_uint_eq(matmuls() - before, way ? 1 : 2);
        check_product(&e, out, x, wt, false, bias, "segments");
        op_padding_intact(&e, out);
    }
    op_close(&e);
}
END_TEST

START_TEST(failures_of_the_library_are_told_or_made_up_for)
{
    enum { N = 16, K = 32, ROWS = 66 };
    static const struct { const char *call; int nth, error; cuddle_status want; unsigned products; } cases[] = {
        { "cublasLtMatmulAlgoGetHeuristic", 1, CUBLAS_STATUS_NOT_SUPPORTED, CUDDLE_OK, 0 },
        { "cublasLtMatmulAlgoGetHeuristic", 1, CUBLAS_STATUS_INTERNAL_ERROR, CUDDLE_E_DEVICE, 0 },
        { "cublasLtMatmulDescCreate", 1, CUBLAS_STATUS_ALLOC_FAILED, CUDDLE_E_NOMEM, 0 },
        { "cublasLtMatrixLayoutCreate", 1, CUBLAS_STATUS_ALLOC_FAILED, CUDDLE_E_NOMEM, 0 },
        { "cublasLtMatrixLayoutCreate", 4, CUBLAS_STATUS_ALLOC_FAILED, CUDDLE_E_NOMEM, 0 },
        { "cublasLtMatmul", 1, CUBLAS_STATUS_EXECUTION_FAILED, CUDDLE_E_DEVICE, 0 },
        { "cublasLtMatmul", 1, CUBLAS_STATUS_NOT_SUPPORTED, CUDDLE_OK, 1 }, /* asked again for this number of rows */
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        cuddle_error err = { 0 };
        op_env e;
        if (!op_open(&e, 0, 1)) return;
        e.ex.deterministic = false;
        tensor x = op_random(&e, CUDDLE_F16, 2, ROWS, K, 0, 0), wt = op_random(&e, CUDDLE_F16, 2, N, K, 0, 0);
        tensor out = op_empty(&e, CUDDLE_F16, 2, ROWS, N, 0, 0);
        const weight w = op_weight(wt, false);
        cuddle_error message = { 0 };
        op_record(&e);
        ck_ok(e.b->ops->linear(&e.ex, out, x, &w, NULL, &err));
        op_start(&e);
        emu_fail_call(cases[i].call, cases[i].nth, cases[i].error, false);
        const uint64_t before = matmuls();
        const cuddle_status got = e.b->ops->linear(&e.ex, out, x, &w, NULL, &message);
        emu_fail_call(cases[i].call, 0, 0, false);
        ck_assert_msg(got == cases[i].want, "%s, case %d: %s: %s", cases[i].call, i, cuddle_status_name(got), message.text);
        if (got) op_names(&message, "cuBLASLt");
        ck_assert_uint_eq(e.ex.ws.used, 0);
        if (got) ck_ok(e.b->ops->linear(&e.ex, out, x, &w, NULL, &err)); /* and the next time it works */
        ck_ok(e.b->ops->finish(&e.ex, &err));
        ck_assert_uint_eq(matmuls() - before, got ? 1u : cases[i].products);
        check_product(&e, out, x, wt, false, (tensor){ 0 }, cases[i].call);
        op_close(&e);
    }
}
END_TEST

START_TEST(opening_the_library_fails_cleanly)
{
    static const struct { const char *call; int error; cuddle_status want; } cases[] = {
        { "dlopen", 1, CUDDLE_E_DEVICE },
        { "cublasLtCreate", CUBLAS_STATUS_NOT_INITIALIZED, CUDDLE_E_DEVICE },
        { "cublasLtMatmulPreferenceCreate", CUBLAS_STATUS_ALLOC_FAILED, CUDDLE_E_NOMEM },
    };
    op_env e;
    if (!op_open(&e, 0, 1)) return;
    for (int i = 0; i < 3; i++) {
        cuddle_error message = { 0 };
        struct cuda_gemm *g = (struct cuda_gemm *)&e;
        emu_fail_call(cases[i].call, 1, cases[i].error, false);
        test_expect_failure(cud_cuda_gemm_open(&g, &message), cases[i].want, &message);
        op_names(&message, "cuBLASLt");
        ck_assert_ptr_null(g);
    }
    cuddle_error message = { 0 };
    struct cuda_gemm *g;
    test_fail_allocation(1, false);
    test_expect_failure(cud_cuda_gemm_open(&g, &message), CUDDLE_E_NOMEM, &message);
    test_fail_allocation(0, false);
    op_close(&e);
    emu_live live;
    emu_live_get(&live);
    ck_assert_int_eq(live.blas_objects, 0);
}
END_TEST

START_TEST(an_algorithm_is_asked_for_once_per_shape_and_the_table_is_bounded)
{
    enum { SHAPES = 300, K = 8 };
    cuddle_error err = { 0 };
    op_env e;
    if (!op_open(&e, 0, 1)) return;
    e.ex.deterministic = false;
    tensor x = op_random(&e, CUDDLE_F32, 2, 64, K, 0, 0), wt = op_random(&e, CUDDLE_F32, 2, SHAPES, K, 0, 0), out = op_empty(&e, CUDDLE_F32, 2, 64, 8, 0, 0);
    weight w = op_weight(cud_rows(wt, 0, 8), false);
    emu_fail_call("cublasLtMatmulAlgoGetHeuristic", 0, 0, false);
    for (int rows = 33; rows <= 64; rows++) run(&e, cud_rows(out, 0, rows), cud_rows(x, 0, rows), &w, NULL); /* one power of two */
    ck_assert_int_eq((int)emu_fail_call("cublasLtMatmulAlgoGetHeuristic", 0, 0, false), 1);
    run(&e, cud_rows(out, 0, 32), cud_rows(x, 0, 32), &w, NULL);
    ck_assert_int_eq((int)emu_fail_call("cublasLtMatmulAlgoGetHeuristic", 0, 0, false), 1);
    tensor one = op_empty(&e, CUDDLE_F32, 2, 17, SHAPES, 0, 0);
    op_record(&e);
    ck_ok(e.b->ops->linear(&e.ex, cud_columns(one, 0, 8), cud_rows(x, 0, 17), &w, NULL, &err));
    op_start(&e);
    for (int n = 1; n <= SHAPES; n++) {
        w = op_weight(cud_rows(wt, 0, n), false);
        ck_ok(e.b->ops->linear(&e.ex, cud_columns(one, 0, n), cud_rows(x, 0, 17), &w, NULL, &err));
        ck_ok(e.b->ops->finish(&e.ex, &err));
    }
    emu_live live;
    emu_live_get(&live);
    ck_assert_int_le(live.blas_objects, 256 * 5 + 2);
    check_product(&e, one, cud_rows(x, 0, 17), wt, false, (tensor){ 0 }, "the last of many shapes");
    op_close(&e);
    emu_live_get(&live);
    ck_assert_int_eq(live.blas_objects, 0);
}
END_TEST
#endif

int main(void)
{
#if OP_EMULATED
    emu_set_compute_capability(8, 0); /* the library's workspace is smaller there, and filling it takes the emulation time */
#endif
    TCase *tc;
    Suite *s = op_suite("linear_cuda", &tc);
    tcase_add_loop_test(tc, a_row_has_the_same_bits_wherever_it_is, 0, KINDS);
    tcase_add_test(tc, alignment_of_x_changes_no_bit);
    tcase_add_test(tc, layout_and_segments_change_no_bit);
    tcase_add_test(tc, a_weight_may_begin_anywhere);
    tcase_add_test(tc, refuses_what_no_launch_can_hold);
#if OP_EMULATED
    tcase_add_test(tc, the_library_is_not_used_where_it_would_show);
    tcase_add_test(tc, the_library_finishes_what_it_can_and_we_the_rest);
    tcase_add_test(tc, results_that_we_finish_come_in_chunks);
    tcase_add_test(tc, segments_go_one_by_one);
    tcase_add_test(tc, failures_of_the_library_are_told_or_made_up_for);
    tcase_add_test(tc, opening_the_library_fails_cleanly);
    tcase_add_test(tc, an_algorithm_is_asked_for_once_per_shape_and_the_table_is_bounded);
#endif
    return test_run(s);
}
