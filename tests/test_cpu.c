/* The CPU backend around its ops: the machine, memory, loading. */
#include "cpu/backend.h"
#include "cpu/cpu.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static backend *open_backend(int threads)
{
    cuddle_error err = { 0 };
    backend *b;
    ck_ok(cud_cpu_backend_new(&b, &(cud_cpu_options){ .threads = threads }, &err));
    return b;
}

START_TEST(describes_the_machine)
{
    static const char *const levels[] = { "portable", "avx2", "avx512", "avx512-bf16" };
    uint64_t total, available;
    const int threads = cud_cpu_threads_available();
    ck_assert_int_ge(threads, 1);
    ck_assert_int_le(threads, (int)sysconf(_SC_NPROCESSORS_CONF));
    cud_cpu_memory(&total, &available);
    ck_assert_uint_gt(total, 1 << 20);
    ck_assert_uint_gt(available, 0);
    ck_assert_uint_le(available, total);
    bool known = false;
    for (int i = 0; i < 4; i++) known |= strcmp(cud_cpu_isa(), levels[i]) == 0;
    ck_assert(known);
    backend *b = open_backend(0);
    ck_assert_int_eq(b->threads, threads);
    ck_assert_str_eq(b->isa, cud_cpu_isa());
    ck_assert_str_eq(b->ops->name, "cpu");
    ck_assert_uint_gt(strlen(b->device_name), 0);
    ck_assert(b->weights_in_place);
    b->ops->destroy(b);
}
END_TEST

#if defined(__x86_64__)
START_TEST(kernels_are_those_of_the_instruction_set)
{
    static const struct {
        const char *isa;
        const row_kernels *rows;
        const linear_kernels *linear;
        attend_fn attend;
        linear_fn panel_bf16;
    } levels[] = {
        { "portable", &cud_cpu_rows_portable, &cud_cpu_linear_portable, cud_cpu_attend_portable, NULL },
        { "avx2", &cud_cpu_rows_avx2, &cud_cpu_linear_avx2, cud_cpu_attend_avx2, NULL },
        { "avx512", &cud_cpu_rows_avx512, &cud_cpu_linear_avx512, cud_cpu_attend_avx512, NULL },
        { "avx512-bf16", &cud_cpu_rows_avx512, &cud_cpu_linear_avx512, cud_cpu_attend_avx512, cud_cpu_linear_avx512bf16 },
    };
    for (int i = 0; i < 4; i++) {
        cuddle_error err = { 0 };
        backend *base;
        const cuddle_status status = cud_cpu_backend_new(&base, &(cud_cpu_options){ .threads = 1, .isa = levels[i].isa }, &err);
        if (status == CUDDLE_E_UNSUPPORTED && i > 0) return; /* this machine ends here */
        ck_assert_msg(status == CUDDLE_OK, "%s", err.text);
        const cpu_backend *b = (cpu_backend *)base;
        ck_assert_str_eq(base->isa, levels[i].isa);
        ck_assert_ptr_eq(b->rows, levels[i].rows);
        ck_assert_ptr_eq(b->linear, levels[i].linear);
        ck_assert(b->attend == levels[i].attend && b->panel_bf16 == levels[i].panel_bf16);
        base->ops->destroy(base);
    }
}
END_TEST
#endif

START_TEST(refuses_what_it_is_not)
{
    cuddle_error err = { 0 };
    backend *b;
    test_expect_failure(cud_cpu_backend_new(&b, &(cud_cpu_options){ .isa = "sse9" }, &err), CUDDLE_E_ARG, &err);
    ck_assert_ptr_null(b);
    ck_assert_ptr_nonnull(strstr(err.text, "sse9"));
    err = (cuddle_error){ 0 };
    test_expect_failure(cud_cpu_backend_new(&b, &(cud_cpu_options){ .threads = -1 }, &err), CUDDLE_E_ARG, &err);
    err = (cuddle_error){ 0 };
    test_expect_failure(cud_cpu_backend_new(&b, &(cud_cpu_options){ .threads = 1 << 20 }, &err), CUDDLE_E_ARG, &err);
}
END_TEST

START_TEST(survives_failing_allocations)
{
    for (int n = 1;; n++) {
        cuddle_error err = { 0 };
        backend *b = NULL;
        test_fail_allocation(n, false);
        const cuddle_status status = cud_cpu_backend_new(&b, &(cud_cpu_options){ .threads = 2 }, &err);
        test_fail_allocation(0, false);
        if (status == CUDDLE_OK) {
            b->ops->destroy(b);
            ck_assert_int_gt(n, 1);
            break;
        }
        test_expect_failure(status, CUDDLE_E_NOMEM, &err);
        ck_assert_ptr_null(b);
        ck_assert_int_lt(n, 100);
    }
}
END_TEST

START_TEST(probes_bandwidth)
{
    cuddle_error err = { 0 };
    double rate;
    ck_ok(cud_cpu_probe_bandwidth(&rate, 8 << 20, 3, 2, &err));
    ck_assert(rate > 0.01 && rate < 1e5);
    test_expect_failure(cud_cpu_probe_bandwidth(&rate, 0, 1, 1, &err), CUDDLE_E_ARG, &err);
    err = (cuddle_error){ 0 };
    for (int n = 1; n <= 3; n++) {
        err = (cuddle_error){ 0 };
        test_fail_allocation(n, false);
        const cuddle_status status = cud_cpu_probe_bandwidth(&rate, 1 << 20, 1, 2, &err);
        test_fail_allocation(0, false);
        test_expect_failure(status, CUDDLE_E_NOMEM, &err);
    }
}
END_TEST

START_TEST(memory_is_aligned_and_copied)
{
    cuddle_error err = { 0 };
    backend *b = open_backend(1);
    exec ex = { .ops = b->ops, .backend = b, .mode = EXEC_RUN };
    static const size_t sizes[] = { 0, 1, 1000, 9 << 20 };
    for (int i = 0; i < 4; i++) {
        void *p;
        ck_ok(b->ops->alloc(b, &p, sizes[i], "a test", &err));
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq((uintptr_t)p % CUD_ALIGN, 0);
        if (sizes[i]) memset(p, 1, sizes[i]);
        b->ops->release(b, p);
    }
    b->ops->release(b, NULL);
    void *p;
    test_expect_failure(b->ops->alloc(b, &p, SIZE_MAX, "the whole world", &err), CUDDLE_E_NOMEM, &err);
    err = (cuddle_error){ 0 };
    test_fail_allocation(1, false);
    const cuddle_status status = b->ops->alloc(b, &p, 1000, "the whole world", &err);
    test_fail_allocation(0, false);
    test_expect_failure(status, CUDDLE_E_NOMEM, &err);
    ck_assert_ptr_null(p);
    ck_assert_ptr_nonnull(strstr(err.text, "the whole world"));
    err = (cuddle_error){ 0 };
    char text[] = "hello", back[6] = "";
    ck_ok(b->ops->alloc(b, &p, 6, "a test", &err));
    ck_ok(b->ops->upload(&ex, p, text, 6, &err));
    ck_ok(b->ops->download(&ex, back, p, 6, &err));
    ck_assert_str_eq(back, text);
    b->ops->release(b, p);
    b->ops->destroy(b);
}
END_TEST

/* ---- loading ---- */

typedef struct seen { uint64_t done, total, biggest; int calls, stop_after; } seen;

static bool watch(uint64_t done, uint64_t total, void *user)
{
    seen *s = user;
    ck_assert_uint_ge(done, s->done);
    ck_assert_uint_le(done, total);
    if (done - s->done > s->biggest) s->biggest = done - s->done;
    s->done = done;
    s->total = total;
    return ++s->calls != s->stop_after;
}

enum { FILE_BYTES = 11 << 20 };

static source *make_file(const char *name)
{
    cuddle_error err = { 0 };
    char path[512];
    unsigned char *data = malloc(FILE_BYTES);
    source *s;
    for (size_t i = 0; i < FILE_BYTES; i++) data[i] = (unsigned char)(i * 2654435761u >> 13);
    snprintf(path, sizeof path, "%s/%s", test_temp_dir(), name);
    test_write_file(path, data, FILE_BYTES);
    free(data);
    ck_ok(cud_source_open_file(&s, path, &err));
    return s;
}

static void add(load_plan *plan, source *from, uint64_t offset, uint64_t rows, uint64_t row_bytes, uint64_t src_pitch, uint64_t dst_pitch)
{
    cuddle_error err = { 0 };
    load_piece p = { .from = from, .offset = offset, .rows = rows, .row_bytes = row_bytes, .src_pitch = src_pitch, .dst_pitch = dst_pitch,
                     .layer = -1, .name = "test" };
    ck_ok(cud_load_reserve(plan, rows ? (rows - 1) * dst_pitch + row_bytes : 0, &p.dst, &err));
    ck_ok(cud_load_add_piece(plan, &p, &err));
}

static void check_pieces(const load_plan *plan, const unsigned char *arena)
{
    for (size_t i = 0; i < plan->pieces; i++) {
        const load_piece *p = &plan->piece[i];
        for (uint64_t r = 0; r < p->rows; r++)
            for (uint64_t c = 0; c < p->row_bytes; c++) {
                const size_t at = (size_t)(p->offset + r * p->src_pitch + c);
                if (arena[p->dst + r * p->dst_pitch + c] != (unsigned char)(at * 2654435761u >> 13))
                    ck_abort_msg("piece %zu, row %d, byte %d", i, (int)r, (int)c);
            }
    }
}

START_TEST(loads_pieces_of_all_kinds)
{
    cuddle_error err = { 0 };
    backend *b = open_backend(2);
    source *s = make_file("all");
    load_plan plan = { 0 };
    add(&plan, s, 0, 1, FILE_BYTES, 0, 0);                    /* longer than one look at progress */
    add(&plan, s, 17, 1, 1, 0, 0);
    add(&plan, s, 100, 1000, 64, 64, 64);                     /* rows next to each other */
    add(&plan, s, 3, 5000, 96, 288, 96);                      /* a third of the columns: read with their gaps */
    add(&plan, s, 5, 40000, 2, 200, 6);                       /* gaps on both sides, several spans */
    add(&plan, s, 0, 3, 4096, 1 << 20, 8192);                 /* far apart */
    add(&plan, s, 64, 2, 5 << 20, 5 << 20, (5 << 20) + 256);  /* long rows */
    add(&plan, s, 7, 3, 1 << 20, 4 << 20, 1 << 20);           /* rows of which no two fit into one read */
    add(&plan, s, FILE_BYTES - 10, 1, 10, 0, 0);
    add(&plan, s, 0, 0, 10, 10, 10);
    add(&plan, s, 0, 4, 0, 10, 10);
    void *arena;
    ck_ok(b->ops->alloc(b, &arena, plan.arena_bytes, "a test", &err));
    seen watched = { 0 };
    ck_ok(b->ops->load(b, arena, &plan, watch, &watched, &err));
    ck_assert_uint_eq(watched.done, plan.copy_bytes);
    ck_assert_uint_eq(watched.total, plan.copy_bytes);
    ck_assert_uint_le(watched.biggest, 4 << 20);
    check_pieces(&plan, arena);
    memset(arena, 0, plan.arena_bytes);
    load_report report;
    plan.report = &report;
    ck_ok(b->ops->load(b, arena, &plan, NULL, NULL, &err));
    check_pieces(&plan, arena);
    ck_assert_uint_eq(report.bytes, plan.copy_bytes);
    ck_assert(report.seconds > 0 && report.gb_per_s > 0);
    load_plan nothing = { 0 };
    ck_ok(b->ops->load(b, NULL, &nothing, watch, &(seen){ 0 }, &err));
    b->ops->release(b, arena);
    cud_load_plan_free(&plan);
    cud_source_close(s);
    b->ops->destroy(b);
}
END_TEST

START_TEST(load_can_be_cancelled_and_fails_with_a_sentence)
{
    cuddle_error err = { 0 };
    backend *b = open_backend(2);
    source *s = make_file("fails");
    load_plan plan = { 0 };
    add(&plan, s, 0, 1, FILE_BYTES, 0, 0);
    add(&plan, s, 3, 5000, 96, 288, 96);
    void *arena;
    ck_ok(b->ops->alloc(b, &arena, plan.arena_bytes, "a test", &err));
    for (int stop = 1; stop < 5; stop++) {
        seen watched = { .stop_after = stop };
        err = (cuddle_error){ 0 };
        test_expect_failure(b->ops->load(b, arena, &plan, watch, &watched, &err), CUDDLE_E_CANCELLED, &err);
        ck_assert_int_eq(watched.calls, stop);
    }
    for (int n = 1; n <= 4; n++) { /* a read fails */
        err = (cuddle_error){ 0 };
        test_fail_read(n, TEST_READ_EIO);
        test_expect_failure(b->ops->load(b, arena, &plan, NULL, NULL, &err), CUDDLE_E_IO, &err);
        test_fail_read(0, TEST_READ_OK);
        err = (cuddle_error){ 0 };
        test_fail_read(n, TEST_READ_SHORT);
        ck_ok(b->ops->load(b, arena, &plan, NULL, NULL, &err));
        test_fail_read(0, TEST_READ_OK);
        check_pieces(&plan, arena);
    }
    test_fail_allocation(1, true); /* no room to stage short rows */
    err = (cuddle_error){ 0 };
    const cuddle_status status = b->ops->load(b, arena, &plan, NULL, NULL, &err);
    test_fail_allocation(0, false);
    test_expect_failure(status, CUDDLE_E_NOMEM, &err);

    FILE *f = fopen(s->name, "r+"); /* somebody writes to it */
    ck_assert_ptr_nonnull(f);
    usleep(20000);
    ck_assert_int_eq(fputc('x', f), 'x');
    fclose(f);
    err = (cuddle_error){ 0 };
    test_expect_failure(b->ops->load(b, arena, &plan, NULL, NULL, &err), CUDDLE_E_IO, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "changed while it was being loaded"));
    b->ops->release(b, arena);
    cud_load_plan_free(&plan);
    cud_source_close(s);
    b->ops->destroy(b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cpu");
    TCase *tc = tcase_create("cpu");
    suite_add_tcase(s, tc);
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, describes_the_machine);
#if defined(__x86_64__)
    tcase_add_test(tc, kernels_are_those_of_the_instruction_set);
#endif
    tcase_add_test(tc, refuses_what_it_is_not);
    tcase_add_test(tc, survives_failing_allocations);
    tcase_add_test(tc, probes_bandwidth);
    tcase_add_test(tc, memory_is_aligned_and_copied);
    tcase_add_test(tc, loads_pieces_of_all_kinds);
    tcase_add_test(tc, load_can_be_cancelled_and_fails_with_a_sentence);
    return test_run(s);
}
