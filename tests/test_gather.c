#include "op_support.h"

START_TEST(copies_rows_bit_for_bit) /* rows 2, 0, 2 of a matrix, with padding on both sides */
{
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    static const int64_t cols[] = { 1, 3, 600 };
    for (int c = 0; c < 3; c++) {
        for (int t = 0; t < OP_TYPES; t++) {
            tensor x = op_random(&e, op_types[t], 2, 3, cols[c], 0, 4), out = op_empty(&e, op_types[t], 2, 3, cols[c], 0, 1);
            const int32_t rows[] = { 2, 0, 2 };
            OP_RUN(&e, e.b->ops->gather(&e.ex, out, x, op_ints(&e, rows, 3), &err));
            const char *from = op_raw(&e, x), *to = op_raw(&e, out);
            const size_t width = cud_dtype_size(op_types[t]);
            for (int i = 0; i < 3; i++)
                ck_assert_mem_eq(to + (size_t)(i * out.stride[0]) * width, from + (size_t)(rows[i] * x.stride[0]) * width, (size_t)cols[c] * width);
            op_padding_intact(&e, out);
        }
    }
    op_close(&e);
}
END_TEST

START_TEST(converts_between_types)
{
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    for (int t = 0; t < OP_TYPES * OP_TYPES; t++) {
        tensor x = op_random(&e, op_types[t / 3], 2, 50, 700, 0, 0), out = op_empty(&e, op_types[t % 3], 2, 20, 700, 0, 0);
        int32_t rows[20];
        for (int i = 0; i < 20; i++) rows[i] = i * 7 % 50;
        OP_RUN(&e, e.b->ops->gather(&e.ex, out, x, op_ints(&e, rows, 20), &err));
        const float *from = op_download(&e, x), *got = op_download(&e, out);
        for (int i = 0; i < 20 * 700; i++) op_near(out.type, (double)got[i], (double)from[rows[i / 700] * 700 + i % 700], 0, "gather", i / 700, i % 700);
    }
    op_close(&e);
}
END_TEST

/* The vector conversions against the scalar reference of core, bit for bit: every half, and floats of all sizes. */
START_TEST(conversions_match_core)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    enum { ALL = 1 << 16 };
    for (int t = 1; t < OP_TYPES; t++) {
        uint16_t *halves = op_host(&e, ALL * sizeof *halves);
        for (int i = 0; i < ALL; i++) halves[i] = (uint16_t)i;
        tensor h = { op_upload(&e, halves, ALL * sizeof *halves), op_types[t], 2, { 1, ALL, 0, 0, 0 }, { ALL, 1, 0, 0, 0 } };
        tensor f = op_empty(&e, CUDDLE_F32, 2, 1, ALL, 0, 0), back = op_empty(&e, op_types[t], 2, 1, ALL, 0, 0);
        const int32_t *zero = op_ints(&e, (int32_t[]){ 0 }, 1);
        OP_RUN(&e, e.b->ops->gather(&e.ex, f, h, zero, &err));
        const uint32_t *bits = op_raw(&e, f);
        for (int i = 0; i < ALL; i++) {
            const float want = t == 1 ? cud_bf16_to_f32((uint16_t)i) : cud_f16_to_f32((uint16_t)i);
            uint32_t w;
            memcpy(&w, &want, sizeof w);
            if (bits[i] != w && !(isnan(want) && (bits[i] & 0x7fffffffu) > 0x7f800000u)) ck_abort_msg("%s %04x", cud_dtype_name(op_types[t]), (unsigned)i);
        }
        uint32_t *floats = op_host(&e, ALL * sizeof *floats);
        for (int i = 0; i < ALL; i++) { /* halves, their midpoints and what lies beside those */
            static const uint32_t low[] = { 0, 1, 0x0fff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001 };
            floats[i] = (uint32_t)i << 16 ^ low[i % 8] ^ (op_draw(&e) > 0 ? 0x2000u : 0);
        }
        f.data = op_upload(&e, floats, ALL * sizeof *floats);
        OP_RUN(&e, e.b->ops->gather(&e.ex, back, f, zero, &err));
        const uint16_t *got = op_raw(&e, back);
        for (int i = 0; i < ALL; i++) {
            float v;
            memcpy(&v, &floats[i], sizeof v);
            const uint16_t want = t == 1 ? cud_f32_to_bf16(v) : cud_f32_to_f16(v);
            const bool right = isnan(v) ? isnan(t == 1 ? cud_bf16_to_f32(got[i]) : cud_f16_to_f32(got[i])) : got[i] == want;
            if (!right) ck_abort_msg("%.9g became %04x, expected %04x", (double)v, (unsigned)got[i], (unsigned)want);
        }
    }
    op_close(&e);
}
END_TEST

START_TEST(refuses_by_name)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    tensor t = cud_matrix(NULL, CUDDLE_F32, 2, 3), wrong = t;
    wrong.type = CUDDLE_I64;
    OP_REFUSED(&e, e.b->ops->gather(&e.ex, t, wrong, NULL, &err), CUDDLE_E_UNSUPPORTED, "gather on " OP_NAME, "I64");
    OP_REFUSED(&e, e.b->ops->gather(&e.ex, t, cud_columns(t, 0, 2), NULL, &err), CUDDLE_E_INTERNAL, "gather on " OP_NAME, "out");
    OP_RECORDED(&e, e.b->ops->gather(&e.ex, t, t, NULL, &err));
    ck_assert_uint_eq(e.ex.ws.peak, 0);
    op_close(&e);
}
END_TEST

int main(void)
{
    TCase *tc;
    Suite *s = op_suite("gather", &tc);
    tcase_add_loop_test(tc, copies_rows_bit_for_bit, 0, OP_LEVELS);
    tcase_add_loop_test(tc, converts_between_types, 0, OP_LEVELS);
    tcase_add_loop_test(tc, conversions_match_core, 0, OP_LEVELS);
    tcase_add_loop_test(tc, refuses_by_name, 0, OP_LEVELS);
    return test_run(s);
}
