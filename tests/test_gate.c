#include "op_support.h"

static const struct { int64_t rows, cols, pad; } shapes[] = { { 0, 4, 0 }, { 1, 1, 0 }, { 3, 7, 2 }, { 2, 512, 0 }, { 2, 519, 1 }, { 65, 300, 3 } };
enum { SHAPES = sizeof shapes / sizeof *shapes };

static double gated(double g, double u, activation act)
{
    switch (act) {
    case ACT_GELU: return 0.5 * g * erfc(-g / sqrt(2)) * u;
    case ACT_GELU_TANH: return 0.5 * g * (1 + tanh(sqrt(2 / acos(-1)) * (g + 0.044715 * g * g * g))) * u;
    case ACT_QUICK_GELU: return g / (1 + exp(-1.702 * g)) * u;
    case ACT_SILU: return g / (1 + exp(-g)) * u;
    case ACT_RELU: return (g > 0 ? g : 0) * u;
    case ACT_RELU2: return (g > 0 ? g * g : 0) * u;
    case ACT_TANH: return tanh(g) * u;
    case ACT_CLAMPED_SWIGLU: {
        const double bounded = g < 7 ? g : 7;
        return ((u > 7 ? 7 : u < -7 ? -7 : u) + 1) * bounded / (1 + exp(-1.702 * bounded));
    }
    default: return g * u;
    }
}

START_TEST(matches_hand_value) /* silu(1) = 0.7310586 */
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    tensor g = op_from(&e, CUDDLE_F32, (float[]){ 1, -1, 0 }, 2, 1, 3, 0, 0), u = op_from(&e, CUDDLE_F32, (float[]){ 2, 4, 8 }, 2, 1, 3, 0, 0);
    tensor out = op_empty(&e, CUDDLE_F32, 2, 1, 3, 0, 0);
    OP_RUN(&e, e.b->ops->gate(&e.ex, out, g, u, ACT_SILU, &err));
    const float *got = op_download(&e, out);
    ck_assert_float_eq_tol(got[0], 1.4621172f, 1e-6f);
    ck_assert_float_eq_tol(got[1], -1.0757656f, 1e-6f);
    ck_assert_float_eq(got[2], 0);
    op_close(&e);
}
END_TEST

START_TEST(matches_double_for_every_activation_shape_and_type)
{
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    for (int act = 0; act < ACT_COUNT; act++) {
        for (int s = 0; s < SHAPES; s++) {
            for (int t = 0; t < OP_TYPES; t++) {
                const int64_t rows = shapes[s].rows, cols = shapes[s].cols;
                float *values = op_host(&e, sizeof(float) * (size_t)(rows * cols));
                for (int64_t i = 0; i < rows * cols; i++) values[i] = 10 * op_draw(&e); /* past the clamp at 7 */
                tensor g = op_from(&e, op_types[t], values, 2, rows, cols, 0, shapes[s].pad);
                tensor u = op_random(&e, op_types[(t + s) % 3], 2, rows, cols, 0, 1);
                const float *gs = op_download(&e, g), *us = op_download(&e, u);
                tensor out = act % 2 ? g : op_empty(&e, op_types[(t + act) % 3], 2, rows, cols, 0, 5);
                cuddle_error err = { 0 };
                op_record(&e);
                ck_ok(e.b->ops->gate(&e.ex, out, g, u, (activation)act, &err));
                op_start(&e);
                ck_ok(e.b->ops->gate(&e.ex, out, g, u, (activation)act, &err));
                const float *got = op_download(&e, out);
                for (int64_t r = 0; r < rows; r++)
                    for (int64_t c = 0; c < cols; c++) {
                        const double up = (double)us[r * u.stride[0] + c];
                        const double want = gated((double)gs[r * g.stride[0] + c], up, (activation)act);
                        op_near(out.type, (double)got[r * out.stride[0] + c], want, 1e-6 * fabs(want) + 3e-7 * (fabs(up) + 1),
                                cud_activation_name((activation)act), r, c);
                    }
                op_padding_intact(&e, out);
                op_reset(&e);
            }
        }
    }
    op_close(&e);
}
END_TEST

/* Each activation alone over its range: ops/vec_math's claims. `tolerance` is absolute per |x|, or relative for those without tails. */
START_TEST(activations_are_accurate)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    enum { N = 40001 };
    float *values = op_host(&e, sizeof(float) * N), *ones = op_host(&e, sizeof(float) * N);
    for (int i = 0; i < N; i++) values[i] = (float)(i - N / 2) * 1e-3f + 1e-7f, ones[i] = 1;
    tensor g = op_from(&e, CUDDLE_F32, values, 2, 1, N, 0, 0), u = op_from(&e, CUDDLE_F32, ones, 2, 1, N, 0, 0);
    for (int act = 0; act < ACT_CLAMPED_SWIGLU; act++) {
        tensor out = op_empty(&e, CUDDLE_F32, 2, 1, N, 0, 0);
        OP_RUN(&e, e.b->ops->gate(&e.ex, out, g, u, (activation)act, &err));
        const float *got = op_download(&e, out);
        for (int i = 0; i < N; i++) {
            const double want = gated((double)values[i], 1, (activation)act);
            /* one rounding of an argument x of exp() is worth |x| units in the last place; tanh and erf cancel by up to 1 */
            const double error = (fabs((double)values[i]) * 2 + 6) * 0x1p-24 * fabs(want) + (act >= ACT_GELU && act <= ACT_GELU_TANH ? 2e-7 * fabs(values[i]) : 1e-37);
            if (!(fabs((double)got[i] - want) <= error))
                ck_abort_msg("%s(%.9g) is %.9g, expected %.9g +- %.2g", cud_activation_name((activation)act), (double)values[i], (double)got[i], want,
                             error);
        }
    }
    op_close(&e);
}
END_TEST

START_TEST(special_values_pass)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    const float values[] = { INFINITY, -INFINITY, NAN, 1e38f, -1e38f, 1e-40f, -0.0f };
    tensor g = op_from(&e, CUDDLE_F32, values, 2, 1, 7, 0, 0), u = op_from(&e, CUDDLE_F32, (float[]){ 1, 1, 1, 1, 1, 1, 1 }, 2, 1, 7, 0, 0);
    for (int act = 0; act < ACT_CLAMPED_SWIGLU; act++) {
        tensor out = op_empty(&e, CUDDLE_F32, 2, 1, 7, 0, 0);
        OP_RUN(&e, e.b->ops->gate(&e.ex, out, g, u, (activation)act, &err));
        const float *got = op_download(&e, out);
        ck_assert_msg(isnan(got[2]), "%s loses a NaN", cud_activation_name((activation)act));
        ck_assert_msg(act == ACT_TANH ? got[0] == 1 : isinf(got[0]), "%s(inf) is %g", cud_activation_name((activation)act), (double)got[0]);
        ck_assert_msg(!isnan(got[3]) && !isnan(got[4]) && fabsf(got[5]) <= 1e-39f && got[6] == 0, "%s", cud_activation_name((activation)act));
    }
    op_close(&e);
}
END_TEST

START_TEST(refuses_by_name)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    tensor t = cud_matrix(NULL, CUDDLE_F32, 2, 3), wrong = t;
    wrong.type = CUDDLE_U8;
    OP_REFUSED(&e, e.b->ops->gate(&e.ex, t, wrong, t, ACT_SILU, &err), CUDDLE_E_UNSUPPORTED, "gate on " OP_NAME, "U8");
    OP_REFUSED(&e, e.b->ops->gate(&e.ex, t, t, cud_columns(t, 0, 2), ACT_SILU, &err), CUDDLE_E_INTERNAL, "gate on " OP_NAME, "up");
    OP_REFUSED(&e, e.b->ops->gate(&e.ex, t, t, t, ACT_COUNT, &err), CUDDLE_E_UNSUPPORTED, "gate on " OP_NAME, "activation");
    op_close(&e);
}
END_TEST

int main(void)
{
    TCase *tc;
    Suite *s = op_suite("gate", &tc);
    tcase_add_loop_test(tc, matches_hand_value, 0, OP_LEVELS);
    tcase_add_loop_test(tc, matches_double_for_every_activation_shape_and_type, 0, OP_LEVELS);
    tcase_add_loop_test(tc, activations_are_accurate, 0, OP_LEVELS);
    tcase_add_loop_test(tc, special_values_pass, 0, OP_LEVELS);
    tcase_add_loop_test(tc, refuses_by_name, 0, OP_LEVELS);
    return test_run(s);
}
