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

int main(void) { return norm_main("layernorm", matches_hand_value); }
