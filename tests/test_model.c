/* What a model plans, and where its layers keep what they remember: hand values. */
#include "cpu/cpu.h"
#include "models/model.h"
#include "support.h"

START_TEST(layers_have_their_places_in_the_cache)
{
    static char cache[16384];
    static int32_t table_a[1], table_b[1], slots_a[1], slots_b[1];
    kv_place place[] = { { 0, 0 }, { 1, 0 }, { 0, 1 } };
    model m = { .pages = 5, .place = place, .groups = 2, .kv_start = { 0, 8192 } };
    m.group[0] = (kv_group){ .layers = 2, .heads = 2, .k_dim = 8, .v_dim = 4, .type = CUDDLE_BF16 };
    m.group[1] = (kv_group){ .layers = 1, .heads = 3, .k_dim = 6, .v_dim = 10, .type = CUDDLE_F32 };
    const step s = { .block_table = { table_a, table_b }, .table_width = { 7, 9 }, .slots = { slots_a, slots_b } };

    kv_view v = cud_model_kv(&m, 2, &s);
    ck_assert_ptr_null(v.k); /* planning: no memory yet */
    ck_assert_ptr_null(v.v);

    m.kv = cache;
    v = cud_model_kv(&m, 2, &s);
    ck_assert_int_eq(v.type, CUDDLE_BF16);
    ck_assert_int_eq(v.heads, 2);
    ck_assert_int_eq(v.k_dim, 8);
    ck_assert_int_eq(v.v_dim, 4);
    ck_assert_int_eq(v.pages, 5);
    ck_assert_int_eq(v.table_width, 7);
    ck_assert_ptr_eq(v.block_table, table_a);
    ck_assert_ptr_eq(v.slots, slots_a);
    /* a page: 16 positions of 2 heads of 8 + 4 values of 2 bytes are 768 bytes; a layer has 5 */
    ck_assert_ptr_eq(v.k, cache + 5 * 768);
    ck_assert_ptr_eq(v.v, cache + 5 * 768 + 5 * 16 * 2 * 8 * 2);
    v = cud_model_kv(&m, 0, &s);
    ck_assert_ptr_eq(v.k, cache);

    v = cud_model_kv(&m, 1, &s);
    ck_assert_int_eq(v.type, CUDDLE_F32);
    ck_assert_int_eq(v.table_width, 9);
    ck_assert_ptr_eq(v.block_table, table_b);
    ck_assert_ptr_eq(v.slots, slots_b);
    ck_assert_ptr_eq(v.k, cache + 8192);
    ck_assert_ptr_eq(v.v, cache + 8192 + 5 * 16 * 3 * 6 * 4);
}
END_TEST

/* Seats: first all sequences' seen tokens, then all their banned ones. */
START_TEST(seats_have_their_marks)
{
    static uint32_t marks[64];
    model m = { .mark_words = 3, .caps = { .sequences = 4 } };
    ck_assert_ptr_null(cud_model_seen(&m, 1));
    ck_assert_ptr_null(cud_model_banned(&m, 1));
    m.marks = marks;
    ck_assert_ptr_eq(cud_model_seen(&m, 0), marks);
    ck_assert_ptr_eq(cud_model_seen(&m, 2), marks + 6);
    ck_assert_ptr_eq(cud_model_banned(&m, 0), marks + 12);
    ck_assert_ptr_eq(cud_model_banned(&m, 3), marks + 21);
}
END_TEST

static uint64_t free_memory;

static cuddle_status some_memory(backend *b, uint64_t *free_bytes, uint64_t *total, cuddle_error *err)
{
    (void)b, (void)err;
    *free_bytes = free_memory;
    *total = (uint64_t)1 << 40;
    return CUDDLE_OK;
}

/* Opens a checkpoint of tests/parity/ in float32 on a machine with `memory` bytes free. */
static model *open_with(const char *name, model_options o, uint64_t memory)
{
    cuddle_error err = { CUDDLE_OK, "" };
    backend *b;
    model *m;
    ck_ok(cud_cpu_backend_new(&b, &(cud_cpu_options){ .threads = 1 }, &err));
    static op_table ops;
    ops = *b->ops;
    ops.memory = some_memory;
    b->ops = &ops;
    free_memory = memory;
    o.compute = CUDDLE_F32;
    o.kv = CUDDLE_DTYPE_COUNT;
    const cuddle_status status = cud_model_open(&m, b, test_path(name), &o, NULL, &err);
    ck_assert_msg(status == CUDDLE_OK, "%s", err.text);
    return m;
}

static void close_model(model *m)
{
    backend *b = m->backend;
    cud_model_free(m);
    b->ops->destroy(b);
}

/* llama/base: 2 layers with 2 KV heads of 8, so that 16 positions are 2 * 16 * 2 * (8 + 8) * 4 = 4096 bytes; 64 positions are 4 pages. */
START_TEST(the_cache_takes_half_of_what_is_free)
{
    enum { PAGE = 4096, PLENTY = 1 << 30 };
    const model_options eight = { .max_sequences = 8, .max_batch = 8, .load = CUDDLE_LOAD_READ };
    model *m = open_with("parity/llama/base", eight, PLENTY);
    const uint64_t weights = m->load.arena_bytes - 64 * 8 * sizeof(float); /* and a rotary table */
    ck_assert_uint_ge(weights, 40080 * 4);
    ck_assert_int_eq(m->groups, 1);
    ck_assert_int_eq(m->group[0].layers, 2);
    ck_assert_int_eq(m->pages, 8 * 4); /* every sequence to its end */
    ck_assert_uint_eq(m->kv_bytes, 32 * PAGE);
    ck_assert_int_eq(m->caps.table_width[0], 4);
    close_model(m);
    static const struct {
        int64_t beside; /* the weights */
        int pages;
    } cases[] = { { 2 * PAGE * 10, 10 }, { 2 * PAGE * 11 - 1, 10 }, { 2 * PAGE * 31, 31 }, { 2 * PAGE * 40, 32 },
                  { 2 * PAGE * 3, 4 }, { 0, 4 }, { -1, 4 } }; /* one sequence must fit in any case */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        m = open_with("parity/llama/base", eight, (uint64_t)((int64_t)weights + cases[i].beside));
        ck_assert_int_eq(m->pages, cases[i].pages);
        close_model(m);
    }
    for (int tokens = 32; tokens <= 34; tokens++) { /* said, and so not measured */
        model_options o = eight;
        o.kv_tokens = tokens;
        m = open_with("parity/llama/base", o, 0);
        ck_assert_int_eq(m->pages, tokens == 32 ? 2 : 3);
        close_model(m);
    }
}
END_TEST

START_TEST(a_step_has_room_for_what_it_may_hold)
{
    static const struct { int sequences, batch, context, outputs, positions, width; } cases[] = {
        { 1, 8, 0, 8, 64, 4 }, { 1, 100, 0, 32, 64, 4 }, { 40, 100, 0, 40, 64, 4 }, { 2, 8, 33, 8, 33, 3 }, { 2, 8, 32, 8, 32, 2 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const model_options o = { .max_sequences = cases[i].sequences, .max_batch = cases[i].batch, .max_context = cases[i].context };
        model *m = open_with("parity/llama/base", o, 1 << 30);
        ck_assert_int_eq(m->caps.sequences, cases[i].sequences);
        ck_assert_int_eq(m->caps.tokens, cases[i].batch);
        ck_assert_int_eq(m->caps.outputs, cases[i].outputs);
        ck_assert_int_eq(m->caps.table_width[0], cases[i].width);
        ck_assert_int_eq(m->caps.groups, 1);
        ck_assert_int_eq(m->caps.axes, 1);
        ck_assert_int_eq(m->max_context, cases[i].positions);
        close_model(m);
    }
}
END_TEST

/* Elements of the parts of a step's block, each rounded up to 16: ids 20, positions 2 * 20, starts 3 + 1, lengths 3, adapters 3, outputs 5; for each
 * of two groups slots 20 and a table of 3 rows; rows to sample 5 * 10, picked 5, page copies 3 * 3. */
START_TEST(a_steps_block_has_its_parts_one_after_the_other)
{
    const step_caps caps = { .tokens = 20, .sequences = 3, .outputs = 5, .axes = 2, .groups = 2, .table_width = { 4, 11 } };
    static const size_t sizes[] = { 32, 48, 16, 16, 16, 16, 32, 16, 32, 48, 64, 16, 16 };
    static int32_t block[512];
    step s;
    cud_step_bind(&s, &caps, block);
    const void *const parts[] = { s.ids, s.positions, s.starts, s.kv_lengths, s.adapters, s.output_rows, s.slots[0], s.block_table[0],
                                  s.slots[1], s.block_table[1], s.sampling, s.picked, s.page_copies };
    const int32_t *at = block;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; at += sizes[i++]) ck_assert_msg(parts[i] == at, "part %zu", i);
    ck_assert_uint_eq(cud_step_bytes(&caps), (size_t)(at - block) * sizeof *block);
    ck_assert_int_eq(s.axes, 2);
    ck_assert_int_eq(s.groups, 2);
    ck_assert_int_eq(s.position_stride, 20);
    ck_assert_int_eq(s.table_width[0], 4);
    ck_assert_int_eq(s.table_width[1], 11);
    cud_step_bind(&s, &caps, NULL);
    ck_assert_ptr_null(s.picked);
}
END_TEST

START_TEST(a_step_that_no_memory_holds_is_refused)
{
    step_caps caps = { .tokens = 1, .sequences = INT32_MAX, .outputs = 1, .axes = 1, .groups = 1, .table_width = { 1 << 29 } };
    ck_assert_uint_gt(cud_step_bytes(&caps), (size_t)INT32_MAX << 31); /* nearly 2^60 elements of 4 bytes */
    caps.table_width[0] = INT32_MAX; /* 2^62 elements */
    ck_assert_uint_eq(cud_step_bytes(&caps), 0);
    caps = (step_caps){ .tokens = 1, .sequences = INT32_MAX, .outputs = 1, .axes = 1, .groups = 4, .table_width = { 1 << 30, 1 << 30, 1 << 30, 1 << 30 } };
    ck_assert_uint_eq(cud_step_bytes(&caps), 0); /* in all */
}
END_TEST

/* Of tables of which a token reads one row, all but the head's is left out of what a token reads. */
START_TEST(parameters_are_counted)
{
    const model_options o = { .max_sequences = 1, .max_batch = 8 };
    model *m = open_with("parity/llama/base", o, 1 << 30);
    const uint64_t llama_layer = 2 * 48 * 48 + 2 * 16 * 48 + 3 * 68 * 48 + 2 * 48, table = 83 * 48;
    ck_assert_uint_eq(m->parameters, 2 * table + 2 * llama_layer + 48);
    ck_assert_uint_eq(m->decode_bytes, 4 * (table + 2 * llama_layer + 48));
    close_model(m);
    m = open_with("parity/gpt2/base", o, 1 << 30);
    const uint64_t gpt2_layer = 4 * 24 + (24 + 1) * 72 + (24 + 1) * 24 + (24 + 1) * 96 + (96 + 1) * 24, embed = 89 * 24, positions = 40 * 24;
    ck_assert_uint_eq(m->parameters, embed + positions + 2 * gpt2_layer + 2 * 24);
    ck_assert_uint_eq(m->decode_bytes, 4 * (embed + 2 * gpt2_layer + 2 * 24));
    close_model(m);
}
END_TEST

/* Before anything is loaded: a backend knows no such cache. */
START_TEST(a_type_that_a_cache_cannot_have_is_refused)
{
    cuddle_error err = { CUDDLE_OK, "" };
    backend *b;
    model *m;
    ck_ok(cud_cpu_backend_new(&b, &(cud_cpu_options){ .threads = 1 }, &err));
    const model_options o = { .compute = CUDDLE_F32, .kv = CUDDLE_F8_E4M3, .max_sequences = 1, .max_batch = 8 };
    test_expect_failure(cud_model_open(&m, b, test_path("parity/llama/base"), &o, NULL, &err), CUDDLE_E_UNSUPPORTED, &err);
    ck_assert_str_eq(err.text, "rope on cpu: a cache of F8_E4M3");
    ck_assert_ptr_null(m);
    b->ops->destroy(b);
}
END_TEST

START_TEST(steps_run_as_the_model_was_asked_to)
{
    for (int deterministic = 0; deterministic < 2; deterministic++) {
        model *m = open_with("parity/llama/base", (model_options){ .max_sequences = 1, .max_batch = 8, .deterministic = deterministic }, 1 << 30);
        exec ex;
        cud_model_exec(&ex, m, EXEC_RUN);
        ck_assert_int_eq(ex.deterministic, deterministic);
        ck_assert_ptr_eq(ex.backend, m->backend);
        close_model(m);
    }
}
END_TEST

START_TEST(a_model_leaves_no_memory)
{
    static const char *const names[] = { "parity/llama/base", "parity/gpt2/base" };
    for (int i = 0; i < 2 * 2; i++) {
        cuddle_error err = { CUDDLE_OK, "" };
        test_count_memory();
        model *m = open_with(names[i % 2], (model_options){ .max_sequences = 2, .max_batch = 8, .load = CUDDLE_LOAD_READ }, 1 << 30);
        if (i < 2) {
            ck_ok(cud_model_allocate(m, &err));
            ck_ok(cud_model_load(m, NULL, NULL, &err));
        }
        close_model(m);
        const test_memory left = test_counted_memory();
        ck_assert_int_eq(left.now, 0);
        ck_assert_int_gt(left.peak, (long long)sizeof(model));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model");
    TCase *tc = tcase_create("model");
    tcase_add_test(tc, the_cache_takes_half_of_what_is_free);
    tcase_add_test(tc, a_step_has_room_for_what_it_may_hold);
    tcase_add_test(tc, a_steps_block_has_its_parts_one_after_the_other);
    tcase_add_test(tc, a_step_that_no_memory_holds_is_refused);
    tcase_add_test(tc, parameters_are_counted);
    tcase_add_test(tc, a_type_that_a_cache_cannot_have_is_refused);
    tcase_add_test(tc, steps_run_as_the_model_was_asked_to);
    tcase_add_test(tc, a_model_leaves_no_memory);
    tcase_add_test(tc, layers_have_their_places_in_the_cache);
    tcase_add_test(tc, seats_have_their_marks);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
