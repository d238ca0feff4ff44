#define NORM rmsnorm
#define NORM_MEAN 0
#include "op_norm.h"

START_TEST(matches_hand_value) /* mean(3*3, 4*4) = 12.5 */
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    norm_args a = { .x = op_from(&e, CUDDLE_F32, (float[]){ 3, 4 }, 2, 1, 2, 0, 0), .out = op_empty(&e, CUDDLE_F32, 2, 1, 2, 0, 0),
                    .weight = op_from(&e, CUDDLE_F32, (float[]){ 1, 2 }, 1, 2, 0, 0, 0) };
    OP_RUN(&e, e.b->ops->rmsnorm(&e.ex, &a, &err));
    ck_assert_float_eq_tol(op_download(&e, a.out)[0], 0.8485281f, 1e-6f);
    ck_assert_float_eq_tol(op_download(&e, a.out)[1], 2.2627417f, 2e-6f);
    a.unit_offset = true; /* weights 2 and 3 */
    OP_RUN(&e, e.b->ops->rmsnorm(&e.ex, &a, &err));
    ck_assert_float_eq_tol(op_download(&e, a.out)[0], 1.6970563f, 1e-6f);
    ck_assert_float_eq_tol(op_download(&e, a.out)[1], 3.3941125f, 2e-6f);
    op_close(&e);
}
END_TEST

int main(void) { return norm_main("rmsnorm", matches_hand_value, NULL); }
