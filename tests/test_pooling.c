#include "op_support.h"

enum { POOLING_KINDS = POOLING_WEIGHTED_MEAN + 1 };

START_TEST(matches_hand_value) /* rows (1, 8), (3, 2), (5, -4) */
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    static const float want[POOLING_KINDS][2] = { { 3, 2 }, { 1, 8 }, { 5, -4 }, { 5, 8 }, { 22.0f / 6, 0 } };
    for (int kind = 0; kind < POOLING_KINDS; kind++) {
        const pooling_args a = { .out = op_empty(&e, CUDDLE_F32, 2, 1, 2, 0, 0), .x = op_from(&e, CUDDLE_F32, (float[]){ 1, 8, 3, 2, 5, -4 }, 2, 3, 2, 0, 0),
                                 .starts = op_ints(&e, (int32_t[]){ 0, 3 }, 2), .kind = (pooling_kind)kind };
        OP_RUN(&e, e.b->ops->pooling(&e.ex, &a, &err));
        for (int c = 0; c < 2; c++) ck_assert_float_eq_tol(op_download(&e, a.out)[c], want[kind][c], 1e-6f);
    }
    op_close(&e);
}
END_TEST

static double pooled(const float *x, int64_t stride, int64_t begin, int64_t end, int64_t col, int kind)
{
    if (begin == end) return 0;
    if (kind == POOLING_FIRST) return (double)x[begin * stride + col];
    if (kind == POOLING_LAST) return (double)x[(end - 1) * stride + col];
    double sum = 0, weights = 0, most = -INFINITY;
    for (int64_t r = begin; r < end; r++) {
        const double v = (double)x[r * stride + col], w = kind == POOLING_MEAN ? 1 : (double)(r - begin + 1);
        sum += w * v;
        weights += w;
        most = fmax(most, v);
    }
    return kind == POOLING_MAX ? most : sum / weights;
}

START_TEST(matches_double_for_every_kind_and_type)
{
    op_env e;
    if (!op_open(&e, _i, 3)) return;
    static const int32_t starts[] = { 0, 1, 1, 9, 26, 126 }; /* 1 row, none, 8, 17, 100 */
    static const int64_t cols[] = { 1, 33, 530 };
    enum { SEQUENCES = 5, ROWS = 126 };
    for (int i = 0; i < 3; i++) {
        for (int t = 0; t < OP_TYPES * OP_TYPES; t++) {
            if (i == 2 && t % 4) continue;
            for (int kind = 0; kind < POOLING_KINDS; kind++) {
                const pooling_args a = { .out = op_empty(&e, op_types[t % 3], 2, SEQUENCES, cols[i], 0, 3),
                                         .x = op_random(&e, op_types[t / 3], 2, ROWS, cols[i], 0, 1), .starts = op_ints(&e, starts, SEQUENCES + 1),
                                         .kind = (pooling_kind)kind };
                OP_RUN(&e, e.b->ops->pooling(&e.ex, &a, &err));
                const float *x = op_download(&e, a.x), *got = op_download(&e, a.out);
                for (int s = 0; s < SEQUENCES; s++)
                    for (int64_t c = 0; c < cols[i]; c++)
                        op_near(a.out.type, (double)got[s * a.out.stride[0] + c], pooled(x, a.x.stride[0], starts[s], starts[s + 1], c, kind),
                                kind == POOLING_MEAN || kind == POOLING_WEIGHTED_MEAN ? 2e-6 : 0, "pooling", s, c);
                op_padding_intact(&e, a.out);
                op_reset(&e);
            }
        }
    }
    op_close(&e);
}
END_TEST

START_TEST(a_sequence_is_the_same_alone)
{
    op_env e;
    if (!op_open(&e, _i, 3)) return;
    tensor x = op_random(&e, CUDDLE_F32, 2, 60, 70, 0, 0);
    for (int kind = 0; kind < POOLING_KINDS; kind++) {
        pooling_args all = { .out = op_empty(&e, CUDDLE_F32, 2, 3, 70, 0, 0), .x = x, .starts = op_ints(&e, (int32_t[]){ 0, 11, 48, 60 }, 4), .kind = (pooling_kind)kind };
        pooling_args one = { .out = op_empty(&e, CUDDLE_F32, 2, 1, 70, 0, 0), .x = cud_rows(x, 11, 37), .starts = op_ints(&e, (int32_t[]){ 0, 37 }, 2), .kind = (pooling_kind)kind };
        OP_RUN(&e, e.b->ops->pooling(&e.ex, &all, &err));
        OP_RUN(&e, e.b->ops->pooling(&e.ex, &one, &err));
        ck_assert_mem_eq(op_download(&e, one.out), op_download(&e, all.out) + 70, 70 * sizeof(float));
    }
    op_close(&e);
}
END_TEST

START_TEST(nan_stays)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    static const int has[POOLING_KINDS] = { 1, 0, 0, 1, 1 };
    for (int kind = 0; kind < POOLING_KINDS; kind++) {
        const pooling_args a = { .out = op_empty(&e, CUDDLE_F32, 2, 1, 1, 0, 0), .x = op_from(&e, CUDDLE_F32, (float[]){ 1, NAN, 5 }, 2, 3, 1, 0, 0),
                                 .starts = op_ints(&e, (int32_t[]){ 0, 3 }, 2), .kind = (pooling_kind)kind };
        OP_RUN(&e, e.b->ops->pooling(&e.ex, &a, &err));
        ck_assert_int_eq(isnan(op_download(&e, a.out)[0]) != 0, has[kind]);
    }
    op_close(&e);
}
END_TEST

START_TEST(refuses_by_name)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    pooling_args a = { .out = cud_matrix(NULL, CUDDLE_F32, 2, 5), .x = cud_matrix(NULL, CUDDLE_BF16, 9, 5) };
    OP_RECORDED(&e, e.b->ops->pooling(&e.ex, &a, &err));
    a.out = cud_matrix(NULL, CUDDLE_F32, 2, 4);
    OP_REFUSED(&e, e.b->ops->pooling(&e.ex, &a, &err), CUDDLE_E_INTERNAL, "pooling on " OP_NAME, "out");
    a.out = cud_matrix(NULL, CUDDLE_I32, 2, 5);
    OP_REFUSED(&e, e.b->ops->pooling(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "pooling on " OP_NAME, "I32");
    a.out = cud_matrix(NULL, CUDDLE_F32, 2, 5);
    const int kind = POOLING_KINDS;
    memcpy(&a.kind, &kind, sizeof kind);
    OP_REFUSED(&e, e.b->ops->pooling(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "pooling on " OP_NAME, "kind 5");
    op_close(&e);
}
END_TEST

int main(void)
{
    TCase *tc;
    Suite *s = op_suite("pooling", &tc);
    tcase_add_loop_test(tc, matches_hand_value, 0, OP_LEVELS);
    tcase_add_loop_test(tc, matches_double_for_every_kind_and_type, 0, OP_LEVELS);
    tcase_add_loop_test(tc, a_sequence_is_the_same_alone, 0, OP_LEVELS);
    tcase_add_loop_test(tc, nan_stays, 0, OP_LEVELS);
    tcase_add_loop_test(tc, refuses_by_name, 0, OP_LEVELS);
    return test_run(s);
}
