#include "op_support.h"

START_TEST(matches_hand_value) /* row 1 of the table times 2, plus row 3 of the positions: position 1, offset 2; then row 1 of the types too, or row 0 */
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    tensor table = op_from(&e, CUDDLE_F32, (float[]){ 1, 2, 3, 4 }, 2, 2, 2, 0, 0);
    const weight w = op_weight(table, false);
    embed_args a = { .out = op_empty(&e, CUDDLE_F32, 2, 1, 2, 0, 0), .ids = op_ints(&e, (int32_t[]){ 1 }, 1), .table = &w, .scale = 2,
                     .position_table = op_from(&e, CUDDLE_F32, (float[]){ 0, 0, 0, 0, 0, 0, 10, 20 }, 2, 4, 2, 0, 0),
                     .positions = op_ints(&e, (int32_t[]){ 1 }, 1), .position_offset = 2 };
    OP_RUN(&e, e.b->ops->embed(&e.ex, &a, &err));
    ck_assert_float_eq(op_download(&e, a.out)[0], 16);
    ck_assert_float_eq(op_download(&e, a.out)[1], 28);
    a.type_table = op_from(&e, CUDDLE_F32, (float[]){ 3, 5, 100, 200 }, 2, 2, 2, 0, 0);
    OP_RUN(&e, e.b->ops->embed(&e.ex, &a, &err));
    ck_assert_float_eq(op_download(&e, a.out)[0], 19);
    ck_assert_float_eq(op_download(&e, a.out)[1], 33);
    a.types = op_ints(&e, (int32_t[]){ 1 }, 1);
    OP_RUN(&e, e.b->ops->embed(&e.ex, &a, &err));
    ck_assert_float_eq(op_download(&e, a.out)[0], 116);
    ck_assert_float_eq(op_download(&e, a.out)[1], 228);
    op_close(&e);
}
END_TEST

START_TEST(matches_double_for_every_shape_and_type)
{
    op_env e;
    if (!op_open(&e, _i, 3)) return;
    static const int64_t tokens[] = { 0, 1, 7, 200 }, hidden[] = { 1, 17, 512, 700 };
    enum { VOCABULARY = 23, POSITIONS = 40, KINDS = 3 };
    for (int i = 0; i < 4; i++) {
        for (int t = 0; t < OP_TYPES * OP_TYPES; t++) {
            tensor table = op_random(&e, op_types[t / 3], 2, VOCABULARY, hidden[i], 0, 0);
            weight w = op_weight(table, false);
            if (t % 2) { /* in two segments, which do not follow one another */
                const float *values = op_download(&e, table);
                w.segments = 2;
                w.segment[1] = (weight_segment){ .data = op_from(&e, table.type, values + 9 * hidden[i], 2, VOCABULARY - 9, hidden[i], 0, 0).data,
                                                 .n = VOCABULARY - 9 };
                w.segment[0] = (weight_segment){ .data = op_from(&e, table.type, values, 2, 9, hidden[i], 0, 0).data, .n = 9 };
            }
            embed_args a = { .out = op_empty(&e, op_types[t % 3], 2, tokens[i], hidden[i], 0, 3), .table = &w, .scale = t % 2 ? 1 : 1.5f };
            int32_t ids[200], positions[200], kinds[200];
            for (int j = 0; j < tokens[i]; j++) ids[j] = (j * 5 + t) % VOCABULARY, positions[j] = j * 3 % (POSITIONS - 2), kinds[j] = j * 7 % KINDS;
            a.ids = op_ints(&e, ids, (int)tokens[i]);
            if (t % 3) {
                a.position_table = op_random(&e, op_types[(t + 1) % 3], 2, POSITIONS, hidden[i], 0, 1);
                a.positions = op_ints(&e, positions, (int)tokens[i]);
                a.position_offset = 2;
            }
            if (t % 4) a.type_table = op_random(&e, op_types[(t + 2) % 3], 2, KINDS, hidden[i], 0, 2);
            if (t % 4 > 1) a.types = op_ints(&e, kinds, (int)tokens[i]);
            OP_RUN(&e, e.b->ops->embed(&e.ex, &a, &err));
            const float *rows = op_download(&e, table), *got = op_download(&e, a.out),
                        *places = t % 3 ? op_download(&e, a.position_table) : NULL, *of_type = t % 4 ? op_download(&e, a.type_table) : NULL;
            for (int64_t r = 0; r < tokens[i]; r++)
                for (int64_t c = 0; c < hidden[i]; c++) {
                    double want = (double)rows[ids[r] * hidden[i] + c] * (double)a.scale;
                    if (places) want += (double)places[(positions[r] + 2) * a.position_table.stride[0] + c];
                    if (of_type) want += (double)of_type[(a.types ? kinds[r] : 0) * a.type_table.stride[0] + c];
                    op_near(a.out.type, (double)got[r * a.out.stride[0] + c], want, 2e-7, "embed", r, c);
                }
            op_padding_intact(&e, a.out);
            op_reset(&e);
        }
    }
    op_close(&e);
}
END_TEST

START_TEST(refuses_by_name)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    const weight good = { .format = WF_F32, .n = 5, .k = 4, .segments = 1, .segment = { { .n = 5 } } };
    embed_args a = { .out = cud_matrix(NULL, CUDDLE_F32, 3, 4), .table = &good, .scale = 1 };
    OP_RECORDED(&e, e.b->ops->embed(&e.ex, &a, &err));
    weight w = good;
    w.format = WF_I4;
    a.table = &w;
    OP_REFUSED(&e, e.b->ops->embed(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "embed on " OP_NAME, "I4");
    w = good, w.transposed = true;
    OP_REFUSED(&e, e.b->ops->embed(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "embed on " OP_NAME, "transposed");
    w = good, w.k = 3;
    OP_REFUSED(&e, e.b->ops->embed(&e.ex, &a, &err), CUDDLE_E_INTERNAL, "embed on " OP_NAME, "out");
    w = good, a.position_table = cud_matrix(NULL, CUDDLE_F32, 9, 5);
    OP_REFUSED(&e, e.b->ops->embed(&e.ex, &a, &err), CUDDLE_E_INTERNAL, "embed on " OP_NAME, "position table");
    a.position_table = cud_matrix(NULL, CUDDLE_F32, 9, 4), a.type_table = cud_matrix(NULL, CUDDLE_F32, 2, 3);
    OP_REFUSED(&e, e.b->ops->embed(&e.ex, &a, &err), CUDDLE_E_INTERNAL, "embed on " OP_NAME, "type table");
    op_close(&e);
}
END_TEST

int main(void)
{
    TCase *tc;
    Suite *s = op_suite("embed", &tc);
    tcase_add_loop_test(tc, matches_hand_value, 0, OP_LEVELS);
    tcase_add_loop_test(tc, matches_double_for_every_shape_and_type, 0, OP_LEVELS);
    tcase_add_loop_test(tc, refuses_by_name, 0, OP_LEVELS);
    return test_run(s);
}
