/* advance, which the CPU backend does not have. */
#include "../op_support.h"

enum { BLOCK = 5 }; /* rows of the step */

/* Runs advance over the block behind `host` and downloads it to the same place. */
static void run_advance(op_env *e, const step_caps *caps, int sequences, void *block)
{
    cuddle_error failure = { CUDDLE_OK, "" };
    const size_t bytes = cud_step_bytes(caps);
    step s = { .tokens = sequences, .sequences = sequences, .outputs = sequences, .max_query = 1 };
    void *device = op_upload(e, block, bytes);
    cud_step_bind(&s, caps, device);
    OP_RUN(e, e->b->ops->advance(&e->ex, &s, &err));
    ck_assert_msg(!e->b->ops->download(&e->ex, block, device, bytes, &failure), "%s", failure.text);
}

START_TEST(advance_makes_the_next_step)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    const step_caps caps = { .tokens = 7, .sequences = 6, .outputs = 8, .axes = 3, .groups = 2, .table_width = { 3, 2 } };
    const size_t bytes = cud_step_bytes(&caps);
    int32_t *before = op_host(&e, bytes), *after = op_host(&e, bytes);
    for (size_t i = 0; i < bytes / sizeof *before; i++) before[i] = (int32_t)(1000 + i);
    step s = { 0 };
    cud_step_bind(&s, &caps, before);
    /* Row 2 is padding; row 1 begins a page, row 3 has no page left in the second group, row 4 got no number. */
    const int32_t lengths[BLOCK] = { 5, 16, 0, 32, 31 }, picked[BLOCK] = { 7, 0, 99, 8, -5 };
    const int32_t tables[2][BLOCK][3] = { { { 40, 41, 42 }, { 50, 51, 52 }, { 60, 61, 62 }, { 70, 71, 72 }, { 80, 81, 82 } },
                                          { { 9, 8 }, { 7, 6 }, { 5, 4 }, { 3, 2 }, { 1, 0 } } };
    for (int i = 0; i < BLOCK; i++) {
        s.kv_lengths[i] = lengths[i];
        s.picked[i] = picked[i];
        if (i == 2) s.slots[0][i] = s.slots[1][i] = -1;
        for (int g = 0; g < 2; g++) memcpy(s.block_table[g] + i * caps.table_width[g], tables[g][i], (size_t)caps.table_width[g] * sizeof(int32_t));
    }
    memcpy(after, before, bytes);
    run_advance(&e, &caps, BLOCK, before);

    step want = { 0 }; /* by hand; what is not named stays */
    cud_step_bind(&want, &caps, after);
    const int32_t ids[BLOCK] = { 7, 0, want.ids[2], 8, 0 }, kv[BLOCK] = { 6, 17, 0, 33, 32 };
    const int32_t slots[2][BLOCK] = { { 40 * 16 + 5, 51 * 16, -1, 72 * 16, 81 * 16 + 15 }, { 9 * 16 + 5, 6 * 16, -1, -1, 15 } };
    for (int i = 0; i < BLOCK; i++) {
        want.ids[i] = ids[i];
        want.kv_lengths[i] = kv[i];
        for (int g = 0; g < 2; g++) want.slots[g][i] = slots[g][i];
        if (i == 2) continue;
        want.sampling[i].counter++;
        for (int a = 0; a < 3; a++) want.positions[a * want.position_stride + i]++;
    }
    for (size_t i = 0; i < bytes / sizeof *before; i++)
        if (before[i] != after[i]) ck_abort_msg("word %d of the block is %d, expected %d", (int)i, before[i], after[i]);
    op_close(&e);
}
END_TEST

START_TEST(advance_works_for_other_shapes) /* one group, one axis, more rows than a block of threads; and no group at all */
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    for (int groups = 0; groups < 2; groups++) {
        enum { ROWS = 150 };
        const step_caps caps = { .tokens = ROWS, .sequences = ROWS, .outputs = ROWS, .axes = 1, .groups = groups, .table_width = { 4 } };
        const size_t bytes = cud_step_bytes(&caps);
        int32_t *block = op_host(&e, bytes);
        memset(block, 0, bytes);
        step s = { 0 };
        cud_step_bind(&s, &caps, block);
        for (int i = 0; i < ROWS; i++) {
            s.kv_lengths[i] = i % 64;
            s.picked[i] = 2 * i;
            for (int p = 0; groups && p < 4; p++) s.block_table[0][i * 4 + p] = i * 4 + p + 1;
        }
        run_advance(&e, &caps, ROWS, block);
        for (int i = 0; i < ROWS; i++) {
            const int length = i % 64, on = length > 0;
            ck_assert_int_eq(s.ids[i], on ? 2 * i : 0);
            ck_assert_int_eq(s.positions[i], on);
            ck_assert_int_eq(s.kv_lengths[i], length + on);
            ck_assert_uint_eq(s.sampling[i].counter, (unsigned)on);
            if (groups) ck_assert_int_eq(s.slots[0][i], on ? (i * 4 + length / 16 + 1) * 16 + length % 16 : 0);
        }
        op_reset(&e);
    }
    op_close(&e);
}
END_TEST

START_TEST(refuses_by_name)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    step s = { .tokens = 3, .sequences = 3, .outputs = 3, .axes = 1, .groups = 1 };
    OP_RECORDED(&e, e.b->ops->advance(&e.ex, &s, &err));
    s.tokens = 4;
    OP_REFUSED(&e, e.b->ops->advance(&e.ex, &s, &err), CUDDLE_E_INTERNAL, "advance on cuda", "4 tokens");
    s.tokens = 3, s.outputs = 2;
    OP_REFUSED(&e, e.b->ops->advance(&e.ex, &s, &err), CUDDLE_E_INTERNAL, "advance on cuda", "2 outputs");
    s.outputs = 3, s.axes = CUD_MAX_AXES + 1;
    OP_REFUSED(&e, e.b->ops->advance(&e.ex, &s, &err), CUDDLE_E_INTERNAL, "advance on cuda", "5 position axes");
    s.tokens = s.sequences = s.outputs = 0, s.axes = 1; /* no rows: nothing is launched */
    OP_RUN(&e, e.b->ops->advance(&e.ex, &s, &err));
    op_close(&e);
}
END_TEST

int main(void)
{
    TCase *tc;
    Suite *s = op_suite("advance", &tc);
    tcase_add_loop_test(tc, advance_makes_the_next_step, 0, OP_LEVELS);
    tcase_add_loop_test(tc, advance_works_for_other_shapes, 0, OP_LEVELS);
    tcase_add_loop_test(tc, refuses_by_name, 0, OP_LEVELS);
    return test_run(s);
}
