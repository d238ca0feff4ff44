#define NORM layernorm
#define NORM_MEAN 1
#include "op_norm.h"

START_TEST(matches_hand_value) /* mean 6, variance 4: -1 and 1; weights 1 2, biases 10 20 */
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    norm_args a = { .x = op_from(&e, CUDDLE_F32, (float[]){ 4, 8 }, 2, 1, 2, 0, 0), .out = op_empty(&e, CUDDLE_F32, 2, 1, 2, 0, 0),
                    .weight = op_from(&e, CUDDLE_F32, (float[]){ 1, 2 }, 1, 2, 0, 0, 0),
                    .bias = op_from(&e, CUDDLE_F32, (float[]){ 10, 20 }, 1, 2, 0, 0, 0) };
    OP_RUN(&e, e.b->ops->layernorm(&e.ex, &a, &err));
    ck_assert_float_eq_tol(op_download(&e, a.out)[0], 9, 1e-5f);
    ck_assert_float_eq_tol(op_download(&e, a.out)[1], 22, 1e-5f);
    op_close(&e);
}
END_TEST

/* mean(x^2) - mean(x)^2 would lose every digit of a variance of 1/3 beside a mean of 3000. */
START_TEST(a_large_mean_does_not_cancel)
{
    enum { COLS = 777 };
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    float values[COLS];
    for (int c = 0; c < COLS; c++) values[c] = 3000 + op_draw(&e);
    norm_args a = { .x = op_from(&e, CUDDLE_F32, values, 2, 1, COLS, 0, 0), .out = op_empty(&e, CUDDLE_F32, 2, 1, COLS, 0, 0), .eps = 1e-6f };
    OP_RUN(&e, e.b->ops->layernorm(&e.ex, &a, &err));
    const float *got = op_download(&e, a.out);
    double mean = 0, squares = 0;
    for (int c = 0; c < COLS; c++) mean += (double)values[c] / COLS;
    for (int c = 0; c < COLS; c++) squares += ((double)values[c] - mean) * ((double)values[c] - mean);
    for (int c = 0; c < COLS; c++) /* the mean itself errs by some roundings of 3000 */
        op_near(CUDDLE_F32, (double)got[c], ((double)values[c] - mean) / sqrt(squares / COLS + 1e-6), 3e-3, "layernorm", 0, c);
    op_close(&e);
}
END_TEST

int main(void) { return norm_main("layernorm", matches_hand_value, a_large_mean_does_not_cancel); }
