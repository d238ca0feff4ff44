#include "op_support.h"

START_TEST(matches_hand_value) /* log(1/4), log(3/4) */
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    tensor x = op_from(&e, CUDDLE_F32, (float[]){ 100, 100 + logf(3) }, 2, 1, 2, 0, 0);
    OP_RUN(&e, e.b->ops->log_softmax(&e.ex, x, &err));
    ck_assert_float_eq_tol(op_download(&e, x)[0], -1.3862944f, 1e-5f);
    ck_assert_float_eq_tol(op_download(&e, x)[1], -0.28768207f, 1e-5f);
    op_close(&e);
}
END_TEST

START_TEST(matches_double_for_every_shape)
{
    op_env e;
    if (!op_open(&e, _i, 3)) return;
    static const int64_t rows[] = { 0, 1, 3, 7, 2, 2 }, cols[] = { 5, 1, 31, 300, 513, 5003 };
    for (int i = 0; i < 6; i++) {
        for (int spread = 1; spread < 100; spread *= 9) {
            const int64_t n = rows[i] * cols[i];
            float *values = op_host(&e, (size_t)n * sizeof *values);
            for (int64_t k = 0; k < n; k++) values[k] = (float)spread * op_draw(&e) - 20;
            if (n > 2) values[n / 2] = -INFINITY;
            tensor x = op_from(&e, CUDDLE_F32, values, 2, rows[i], cols[i], 0, 3);
            OP_RUN(&e, e.b->ops->log_softmax(&e.ex, x, &err));
            const float *got = op_download(&e, x);
            for (int64_t r = 0; r < rows[i]; r++) {
                double sum = 0;
                for (int64_t c = 0; c < cols[i]; c++) sum += exp((double)values[r * cols[i] + c]);
                for (int64_t c = 0; c < cols[i]; c++) {
                    const float v = values[r * cols[i] + c], g = got[r * x.stride[0] + c];
                    if (isinf(v) && isinf(g) && g < 0) continue;
                    op_near(CUDDLE_F32, (double)g, (double)v - log(sum), 2e-6 + 1e-7 * spread, "log_softmax", r, c);
                }
            }
            op_padding_intact(&e, x);
            op_reset(&e);
        }
    }
    op_close(&e);
}
END_TEST

START_TEST(nan_stays_in_its_row)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    tensor x = op_from(&e, CUDDLE_F32, (float[]){ 1, NAN, 2, 0, 0, 0 }, 2, 2, 3, 0, 0);
    OP_RUN(&e, e.b->ops->log_softmax(&e.ex, x, &err));
    const float *got = op_download(&e, x);
    for (int i = 0; i < 3; i++) {
        ck_assert(isnan(got[i]));
        ck_assert_float_eq_tol(got[3 + i], -1.0986123f, 1e-6f);
    }
    op_close(&e);
}
END_TEST

START_TEST(a_row_is_the_same_alone)
{
    op_env e;
    if (!op_open(&e, _i, 3)) return;
    tensor x = op_random(&e, CUDDLE_F32, 2, 9, 777, 0, 0);
    const float *before = op_download(&e, x);
    tensor one = op_from(&e, CUDDLE_F32, before + 6 * 777, 2, 1, 777, 0, 0);
    OP_RUN(&e, e.b->ops->log_softmax(&e.ex, x, &err));
    OP_RUN(&e, e.b->ops->log_softmax(&e.ex, one, &err));
    ck_assert_mem_eq(op_download(&e, one), op_download(&e, x) + 6 * 777, 777 * sizeof(float));
    op_close(&e);
}
END_TEST

START_TEST(refuses_by_name)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    OP_RECORDED(&e, e.b->ops->log_softmax(&e.ex, cud_matrix(NULL, CUDDLE_F32, 3, 4), &err));
    OP_REFUSED(&e, e.b->ops->log_softmax(&e.ex, cud_matrix(NULL, CUDDLE_BF16, 3, 4), &err), CUDDLE_E_UNSUPPORTED, "log_softmax on " OP_NAME, "BF16");
    OP_REFUSED(&e, e.b->ops->log_softmax(&e.ex, cud_vector(NULL, CUDDLE_F32, 3), &err), CUDDLE_E_INTERNAL, "log_softmax on " OP_NAME, "rank");
    op_close(&e);
}
END_TEST

int main(void)
{
    TCase *tc;
    Suite *s = op_suite("log_softmax", &tc);
    tcase_add_loop_test(tc, matches_hand_value, 0, OP_LEVELS);
    tcase_add_loop_test(tc, matches_double_for_every_shape, 0, OP_LEVELS);
    tcase_add_loop_test(tc, nan_stays_in_its_row, 0, OP_LEVELS);
    tcase_add_loop_test(tc, a_row_is_the_same_alone, 0, OP_LEVELS);
    tcase_add_loop_test(tc, refuses_by_name, 0, OP_LEVELS);
    return test_run(s);
}
