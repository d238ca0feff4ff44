/* The loader against a plain memcpy: random plans in every mode and on every way round an obstacle, and then what goes wrong. The device
 * is one of ours, so this runs without CUDA and under ThreadSanitizer; test_cuda_load_emulated.c has the same over CUDA's runtime. */
#if __has_include("load_copy.h") /* beside the loader: else this is built without cuda/ in its path */
#include "load.h"
#include "load_device.h"
#include "load_fixture.h"

#include <stdlib.h>
#include <string.h>

#include <linux/magic.h>

/* ------------------------------------------------------------------------------------------------------------- runs */

typedef struct way {
    const char *name;
    int mode;
    resident_fault resident;
    bool no_direct, direct_refuses, no_populate, shares;
    unsigned file_system;
    unsigned fail_kinds;
    size_t pin_most;
    long pin_files; /* 0: any; n: n - 1 */
    int fallback;   /* 0: none expected; n: load_fallback n - 1 */
    uint64_t trial_part;
} way;

#define FALLS(x) (LOAD_FALLBACK_##x + 1)
static const way ways[] = {
    { .name = "ring", .mode = CUDDLE_LOAD_RING },
    { .name = "ring, nothing resident", .mode = CUDDLE_LOAD_RING, .resident = RESIDENT_NOTHING },
    { .name = "ring, half resident", .mode = CUDDLE_LOAD_RING, .resident = RESIDENT_HALF },
    { .name = "ring, residence unknown", .mode = CUDDLE_LOAD_RING, .resident = RESIDENT_UNKNOWN, .fallback = FALLS(RESIDENT) },
    { .name = "ring, no O_DIRECT", .mode = CUDDLE_LOAD_RING, .resident = RESIDENT_NOTHING, .no_direct = true, .fallback = FALLS(DIRECT) },
    { .name = "ring, O_DIRECT fails", .mode = CUDDLE_LOAD_RING, .resident = RESIDENT_HALF, .direct_refuses = true },
    { .name = "ring, neither", .mode = CUDDLE_LOAD_RING, .resident = RESIDENT_UNKNOWN, .no_direct = true, .fallback = FALLS(DIRECT) },
    { .name = "ring in segments", .mode = CUDDLE_LOAD_RING, .pin_most = 1, .fallback = FALLS(PIN) },
    { .name = "ring of the device's memory", .mode = CUDDLE_LOAD_RING, .fail_kinds = 1u << HOST_PIN, .fallback = FALLS(PIN_SEGMENTS) },
    { .name = "pageable ring", .mode = CUDDLE_LOAD_RING, .fail_kinds = 1u << HOST_PIN | 1u << HOST_ALLOC, .fallback = FALLS(PIN_ALLOC) },
    { .name = "register", .mode = CUDDLE_LOAD_REGISTER },
    { .name = "register, old kernel", .mode = CUDDLE_LOAD_REGISTER, .no_populate = true },
    { .name = "register refused", .mode = CUDDLE_LOAD_REGISTER, .fail_kinds = 1u << HOST_PIN_FILE, .fallback = FALLS(REGISTER) },
    { .name = "register refused later", .mode = CUDDLE_LOAD_REGISTER, .pin_files = 3, .fallback = FALLS(REGISTER) },
    { .name = "register refused, pageable ring", .mode = CUDDLE_LOAD_REGISTER,
      .fail_kinds = 1u << HOST_PIN_FILE | 1u << HOST_PIN | 1u << HOST_ALLOC, .fallback = FALLS(PIN_ALLOC) },
    { .name = "auto, small", .mode = CUDDLE_LOAD_AUTO, .trial_part = 1000 },
    { .name = "auto with a trial", .mode = CUDDLE_LOAD_AUTO, .trial_part = 1 },
    { .name = "auto, refused in the trial", .mode = CUDDLE_LOAD_AUTO, .trial_part = 1, .pin_files = 2, .fallback = FALLS(REGISTER) },
    { .name = "auto, shared page tables", .mode = CUDDLE_LOAD_AUTO, .shares = true },
    { .name = "ring, network", .mode = CUDDLE_LOAD_RING, .file_system = NFS_SUPER_MAGIC },
    { .name = "ring, files in memory", .mode = CUDDLE_LOAD_RING, .file_system = TMPFS_MAGIC },
    { .name = "register, network", .mode = CUDDLE_LOAD_REGISTER, .file_system = NFS_SUPER_MAGIC, .fallback = FALLS(NETWORK) },
};
enum { WAYS = sizeof ways / sizeof *ways };

static int descriptors; /* open before a load */

/* Sets the machine up as `w` wants it. */
static loader_settings prepare(const way *w, host_device *d, fixture *f, bool threaded, int readers)
{
    loader_settings s = { .readers = readers, .slot_bytes = 32 << 10, .window_bytes = 64 << 10, .trial_part = w->trial_part ? w->trial_part : 16 };
    faults.resident = w->resident;
    faults.file_system = w->file_system;
    faults.no_direct = w->no_direct;
    faults.direct_refuses = w->direct_refuses;
    faults.no_populate = w->no_populate;
    descriptors = open_descriptors();
    host_device_open(d, threaded);
    d->fail_kinds = w->fail_kinds;
    d->pin_most = w->pin_most ? s.slot_bytes : 0;
    d->pin_files = w->pin_files ? w->pin_files - 1 : -1;
    d->base.shares_page_tables = w->shares;
    d->arena = f->arena;
    d->arena_bytes = f->plan.arena_bytes;
    f->plan.mode = (cuddle_load_mode)w->mode;
    if (f->arena) memset(f->arena, 0xcd, f->plan.arena_bytes);
    return s;
}

static cuddle_status load_it(host_device *d, const loader_settings *s, fixture *f, watcher *w, cuddle_error *err)
{
    *err = (cuddle_error){ 0 };
    if (w) w->loading = pthread_self();
    return cud_cuda_load_with(&d->base, s, f->arena, &f->plan, w ? watch : NULL, w, err);
}

/* Everything was given back. */
static void finish(host_device *d, const char *name)
{
    const char *complaint = host_device_close(d);
    ck_assert_msg(faults.mapped == 0, "%s: %ld mappings are left", name, faults.mapped);
    ck_assert_msg(open_descriptors() == descriptors, "%s: descriptors are left open", name);
    ck_assert_msg(!complaint[0], "%s: %s", name, complaint);
}

/* _i: seed and way. */
START_TEST(random_plans_arrive_whole)
{
    const way *w = &ways[_i % WAYS];
    fixture f;
    fixture_open(&f, (uint64_t)_i + 1, 400000);
    fixture_add_random(&f, 1 + (int)any(40));
    fixture_make_arena(&f);
    for (int threaded = 0; threaded < 2; threaded++) {
        cuddle_error err;
        host_device d;
        const loader_settings s = prepare(w, &d, &f, threaded, 1 + (int)any(4));
        d.delay_us = any(2) ? 0 : 200;
        watcher seen = { 0 };
        ck_ok(load_it(&d, &s, &f, &seen, &err));
        fixture_check(&f, w->name);
        ck_assert_uint_eq(seen.done, f.plan.copy_bytes);
        ck_assert_uint_eq(f.report.bytes, f.plan.copy_bytes);
        if ((w->fail_kinds & 1u << HOST_ALLOC) == 0) ck_assert_int_eq(d.pageable, 0);
        finish(&d, w->name);
        reset_faults();
    }
    fixture_close(&f);
}
END_TEST

START_TEST(every_way_is_taken_and_counted)
{
    const way *w = &ways[_i];
    cuddle_error err;
    fixture f;
    host_device d;
    fixture_open_large(&f);
    const loader_settings s = prepare(w, &d, &f, true, 3);
    ck_ok(load_it(&d, &s, &f, NULL, &err));
    fixture_check(&f, w->name);
    const load_report *r = &f.report;
    ck_assert_uint_eq(r->bytes, f.plan.copy_bytes);
    ck_assert_int_eq(r->readers, 3);
    ck_assert(r->seconds > 0 && r->gb_per_s > 0);
    for (int i = 0; i < LOAD_FALLBACK_COUNT; i++) {
        const bool on_the_way = w->fallback > i + 1 && w->fallback <= FALLS(PIN_ALLOC) && i >= LOAD_FALLBACK_PIN;
        if (i + 1 == w->fallback) ck_assert_msg(r->fallback[i] > 0, "%s: %s is not counted", w->name, cud_load_fallback_name((load_fallback)i));
        else if (!on_the_way && !(w->resident == RESIDENT_UNKNOWN) && !(w->fail_kinds & 1u << HOST_PIN_FILE))
            ck_assert_msg(r->fallback[i] == 0, "%s: %s is counted", w->name, cud_load_fallback_name((load_fallback)i));
    }
    if (w->mode == CUDDLE_LOAD_RING) {
        ck_assert_int_eq(r->mode, CUDDLE_LOAD_RING);
        ck_assert_uint_eq(r->registered_bytes, 0);
        ck_assert_uint_ge(r->resident_bytes + r->direct_bytes + r->plain_bytes + 1, f.plan.copy_bytes / 2);
        if (w->resident == RESIDENT_NOTHING || w->file_system) ck_assert_uint_eq(r->resident_bytes, 0);
        if (w->resident == RESIDENT_HALF) ck_assert_uint_gt(r->resident_bytes, 0);
        if (w->no_direct || w->direct_refuses || w->file_system) ck_assert_uint_eq(r->direct_bytes, 0);
        else if (w->resident >= RESIDENT_NOTHING) ck_assert_uint_gt(r->direct_bytes, 0);
    }
    if ((w->mode == CUDDLE_LOAD_REGISTER && !w->fallback) || w->shares) {
        ck_assert_int_eq(r->mode, CUDDLE_LOAD_REGISTER);
        ck_assert_uint_gt(r->registered_bytes, f.plan.copy_bytes / 2);
    }
    if (w->mode == CUDDLE_LOAD_REGISTER && w->file_system) ck_assert(r->registered_bytes == 0 && r->mode == CUDDLE_LOAD_RING);
    if (w->mode == CUDDLE_LOAD_REGISTER && w->pin_files) ck_assert(r->registered_bytes > 0 && r->mode == CUDDLE_LOAD_RING);
    if (w->trial_part == 1) ck_assert_int_gt(d.kind_calls[HOST_PIN_FILE], 0);
    if (w->trial_part == 1000) ck_assert_int_eq(d.kind_calls[HOST_PIN_FILE], 0);
    ck_assert_uint_eq(r->pinned_bytes > 0, !(w->fail_kinds & 1u << HOST_ALLOC));
    finish(&d, w->name);
    fixture_close(&f);
    reset_faults();
}
END_TEST

START_TEST(a_large_ring_is_locked_in_segments_that_slots_do_not_cross)
{
    cuddle_error err;
    host_device d;
    fixture f;
    fixture_open_large(&f);
    loader_settings s = prepare(&ways[0], &d, &f, true, 3);
    s.slot_bytes = cud_cuda_loader_defaults.slot_bytes; /* 24 MiB in all */
    d.pin_most = 16 << 20;
    ck_ok(load_it(&d, &s, &f, NULL, &err));
    fixture_check(&f, "segments");
    ck_assert_int_eq(d.kind_calls[HOST_PIN], 3);
    ck_assert_int_eq(d.kind_calls[HOST_UNPIN], 2);
    ck_assert_uint_eq(f.report.pinned_bytes, 24 << 20);
    ck_assert_uint_eq(d.pinned_peak, 24 << 20);
    ck_assert_uint_eq(f.report.fallback[LOAD_FALLBACK_PIN_SEGMENTS], 0);
    finish(&d, "segments");
    fixture_close(&f);
    reset_faults();
}
END_TEST

START_TEST(small_and_empty_plans_load)
{
    cuddle_error err;
    host_device d;
    fixture f;
    fixture_open(&f, 3, 1000);
    for (int i = 0; i < 3; i++) {
        const way *w = &ways[i == 0 ? 0 : i == 1 ? 10 : 15];
        const loader_settings s = prepare(w, &d, &f, false, 2);
        watcher seen = { 0 };
        ck_ok(load_it(&d, &s, &f, &seen, &err));
        ck_assert_int_eq(seen.calls, 1);
        finish(&d, w->name);
    }
    fixture_add(&f, 0, 10, 1, 1, 0, 0, 0);
    fixture_make_arena(&f);
    f.report.measure_ceiling = true;
    const loader_settings s = prepare(&ways[0], &d, &f, false, 2);
    ck_ok(load_it(&d, &s, &f, NULL, &err));
    ck_assert_int_eq(f.arena[0], f.expected[0]); /* beside it lies what the ceiling was measured with */
    ck_assert(f.report.ceiling_gb_per_s > 0 && f.report.ceiling_share > 0);
    finish(&d, "one byte");
    fixture_close(&f);
    reset_faults();
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- failures */

/* The next of many: each of the first, then some. */
static long next_of(long n) { return n < 40 ? n + 1 : n + n / 5; }

static const int failing_ways[] = { 0, 2, 8, 10, 13, 16 };
enum { FAILING_WAYS = sizeof failing_ways / sizeof *failing_ways };

START_TEST(a_failed_device_call_is_an_error_or_a_fallback_and_leaks_nothing)
{
    const way *w = &ways[failing_ways[_i / 2]];
    fixture f;
    int errors = 0, fine = 0;
    fixture_open_large(&f);
    for (long n = 1;; n = next_of(n)) {
        cuddle_error err;
        host_device d;
        const loader_settings s = prepare(w, &d, &f, _i % 2, 2);
        d.fail_at = n;
        f.report.measure_ceiling = n % 16 == 0;
        const cuddle_status status = load_it(&d, &s, &f, NULL, &err);
        const bool enough = d.calls < n;
        if (status) {
            errors++;
            test_expect_failure(status, CUDDLE_E_DEVICE, &err);
            ck_assert_ptr_nonnull(strstr(err.text, "test device: an injected failure"));
        } else {
            fine++;
            fixture_check(&f, w->name);
        }
        finish(&d, w->name);
        reset_faults();
        if (enough) break;
    }
    ck_assert(errors > 0 && fine > 1);
    fixture_close(&f);
}
END_TEST

START_TEST(a_failed_allocation_is_out_of_memory_and_leaks_nothing)
{
    const way *w = &ways[failing_ways[_i]];
    fixture f;
    fixture_open_large(&f);
    for (long n = 1;; n = next_of(n)) {
        cuddle_error err;
        host_device d;
        const loader_settings s = prepare(w, &d, &f, false, 2);
        test_fail_allocation(n, n % 2);
        const cuddle_status status = load_it(&d, &s, &f, NULL, &err);
        const long counted = test_fail_allocation(0, false);
        finish(&d, w->name);
        reset_faults();
        if (status) test_expect_failure(status, CUDDLE_E_NOMEM, &err);
        else fixture_check(&f, w->name);
        if (counted < n) break;
    }
    fixture_close(&f);
}
END_TEST

START_TEST(a_failed_mapping_or_thread_is_survived_or_an_error)
{
    const way *w = &ways[failing_ways[_i / 2]];
    fixture f;
    int errors = 0;
    fixture_open_large(&f);
    for (long n = 1;; n = next_of(n)) {
        cuddle_error err;
        host_device d;
        const loader_settings s = prepare(w, &d, &f, false, 2);
        faults.mmap_fails_at = _i % 2 ? 0 : n;
        faults.thread_fails_at = _i % 2 ? n : 0;
        const cuddle_status status = load_it(&d, &s, &f, NULL, &err);
        const long counted = _i % 2 ? faults.threads : faults.mmaps;
        finish(&d, w->name);
        reset_faults();
        if (status) {
            errors++;
            test_expect_failure(status, CUDDLE_E_NOMEM, &err);
        } else {
            fixture_check(&f, w->name);
            if (_i % 2) ck_assert_int_eq(f.report.fallback[LOAD_FALLBACK_THREADS], counted >= n);
        }
        if (counted < n) break;
    }
    ck_assert_int_gt(errors, 0);
    fixture_close(&f);
}
END_TEST

/* Every read is one that counts: nothing is resident, no O_DIRECT. _i: which fault. */
START_TEST(misbehaving_reads_are_retried_or_named)
{
    const test_read_fault fault = (test_read_fault)(TEST_READ_SHORT + _i);
    const bool fatal = fault == TEST_READ_EIO || fault == TEST_READ_EOF || fault == TEST_READ_EAGAIN;
    fixture f;
    fixture_open_large(&f);
    for (long n = 1;; n = next_of(n)) {
        cuddle_error err;
        host_device d;
        const loader_settings s = prepare(&ways[6], &d, &f, n % 2, 3);
        test_fail_read(n, fault);
        const cuddle_status status = load_it(&d, &s, &f, NULL, &err);
        const long counted = test_fail_read(0, TEST_READ_OK);
        finish(&d, "reads");
        reset_faults();
        if (counted < n) {
            ck_ok(status);
            break;
        }
        if (fatal) {
            test_expect_failure(status, CUDDLE_E_IO, &err);
            ck_assert_msg(strstr(err.text, "/weights-") && strstr(err.text, ".weight\"") && strstr(err.text, "at offset"), "%s", err.text);
            ck_assert_msg(strstr(err.text, fault == TEST_READ_EIO ? "Input/output error" : fault == TEST_READ_EOF ? "became shorter" : "unavailable"), "%s",
                          err.text);
        } else {
            ck_assert_msg(status == CUDDLE_OK, "%s", err.text);
            fixture_check(&f, "reads");
        }
    }
    fixture_close(&f);
}
END_TEST

/* What a read past the page cache cannot do, a plain one does. */
START_TEST(misbehaving_direct_reads_fall_back_to_plain_ones)
{
    const test_read_fault fault = (test_read_fault)(TEST_READ_SHORT + _i);
    fixture f;
    fixture_open(&f, 5, 1500000);
    fixture_add(&f, 0, 11, 1, 700000, 0, 0, 0);
    fixture_make_arena(&f);
    for (long n = 1; n < 40; n++) {
        cuddle_error err;
        host_device d;
        const loader_settings s = prepare(&ways[1], &d, &f, false, 1);
        test_fail_read(n, fault);
        ck_ok(load_it(&d, &s, &f, NULL, &err));
        test_fail_read(0, TEST_READ_OK);
        fixture_check(&f, "direct");
        ck_assert_uint_gt(f.report.direct_bytes, 0);
        finish(&d, "direct");
        reset_faults();
    }
    fixture_close(&f);
}
END_TEST

START_TEST(a_load_can_be_cancelled_at_every_stage)
{
    const way *w = &ways[failing_ways[_i / 2]];
    fixture f;
    fixture_open_large(&f);
    for (int stop = 1;; stop++) {
        cuddle_error err;
        host_device d;
        const loader_settings s = prepare(w, &d, &f, _i % 2, 3);
        watcher seen = { .stop_after = stop };
        const cuddle_status status = load_it(&d, &s, &f, &seen, &err);
        finish(&d, w->name);
        reset_faults();
        if (seen.calls < stop) {
            ck_ok(status);
            fixture_check(&f, w->name);
            break;
        }
        test_expect_failure(status, CUDDLE_E_CANCELLED, &err);
        ck_assert_int_eq(seen.calls, stop); /* nothing is told to somebody who is gone */
    }
    fixture_close(&f);
}
END_TEST

START_TEST(a_file_that_shrinks_or_changes_is_named)
{
    const way *w = &ways[_i % WAYS];
    const int what = _i / WAYS; /* shrinks, changes, grows, is replaced */
    const bool shrinks = what == 0;
    if (shrinks && w->no_populate) return; /* a real device would find out while registering; this one dies of SIGBUS */
    cuddle_error err;
    host_device d;
    fixture f;
    fixture_open_large(&f);
    const loader_settings s = prepare(w, &d, &f, false, 2);
    watcher seen = { .truncate = shrinks ? fixture_file(0) : NULL, .truncate_at = 1, .touch = what == 1 ? fixture_file(1) : NULL,
                     .grow = what == 2 ? fixture_file(1) : NULL, .replace = what == 3 ? fixture_file(1) : NULL };
    test_expect_failure(load_it(&d, &s, &f, &seen, &err), CUDDLE_E_IO, &err);
    ck_assert_msg(strstr(err.text, shrinks ? "weights-0" : "weights-1: changed while it was being loaded"), "%s", err.text);
    if (shrinks) ck_assert_msg(strstr(err.text, "became shorter") && strstr(err.text, "tensor \""), "%s", err.text);
    finish(&d, w->name);
    fixture_close(&f);
    reset_faults();
}
END_TEST

START_TEST(a_file_that_shrinks_midway_fails_the_load)
{
    for (int at = 2; at < 12; at += 3) {
        cuddle_error err;
        host_device d;
        fixture f;
        fixture_open_large(&f);
        const loader_settings s = prepare(&ways[_i], &d, &f, true, 2);
        watcher seen = { .truncate = fixture_file(1), .truncate_at = at };
        const cuddle_status status = load_it(&d, &s, &f, &seen, &err);
        if (seen.calls < at) ck_ok(status); /* it was over before */
        else test_expect_failure(status, CUDDLE_E_IO, &err);
        finish(&d, ways[_i].name);
        fixture_close(&f);
        reset_faults();
    }
}
END_TEST

START_TEST(plans_beyond_their_source_or_arena_and_modes_of_others_are_refused)
{
    cuddle_error err;
    host_device d;
    fixture f;
    fixture_open(&f, 8, 1000);
    fixture_make_arena(&f);
    static const load_piece bad[] = {
        { .offset = 0, .rows = 1, .row_bytes = 100000 },
        { .offset = UINT64_MAX - 2, .rows = 1, .row_bytes = 2 },
        { .offset = 2, .rows = 3, .row_bytes = 1, .src_pitch = UINT64_MAX / 2 + 1, .dst_pitch = 1 },
        { .offset = 2, .rows = UINT64_MAX, .row_bytes = 1, .src_pitch = 1, .dst_pitch = 1 },
        { .offset = 0, .rows = 1, .row_bytes = 16, .dst = 1 << 20 },
        { .offset = 0, .rows = 2, .row_bytes = 16, .src_pitch = 16, .dst_pitch = UINT64_MAX },
        { .offset = 0, .rows = 2, .row_bytes = 16, .src_pitch = 16, .dst_pitch = 15 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        load_piece p = bad[i];
        p.from = f.from[0];
        p.name = "bad.weight";
        f.plan.pieces = 0;
        f.plan.arena_bytes = 4096;
        ck_ok(cud_load_add_piece(&f.plan, &p, &err));
        free(f.arena);
        f.arena = malloc(4096);
        const loader_settings s = prepare(&ways[0], &d, &f, false, 2);
        test_expect_failure(load_it(&d, &s, &f, NULL, &err), i < 4 ? CUDDLE_E_IO : CUDDLE_E_INTERNAL, &err);
        ck_assert_ptr_nonnull(strstr(err.text, "bad.weight"));
        finish(&d, "bad");
    }
    static const struct { int mode; const char *text; } modes[] = {
        { CUDDLE_LOAD_MAP, "load is \"map\", which cuda cannot do, expected auto, ring or register" },
        { CUDDLE_LOAD_READ, "\"read\"" }, { 5, "is 5" }, { -1, "is -1" },
    };
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        way w = ways[0];
        w.mode = modes[i].mode;
        const loader_settings s = prepare(&w, &d, &f, false, 2);
        test_expect_failure(load_it(&d, &s, &f, NULL, &err), CUDDLE_E_ARG, &err);
        ck_assert_ptr_nonnull(strstr(err.text, modes[i].text));
        finish(&d, "modes");
    }
    fixture_close(&f);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------------- layers */

typedef struct gated_source {
    source base;
    pthread_mutex_t lock;
    pthread_cond_t opened;
    uint64_t open_to; /* bytes from here on are not there yet */
    bool fails;
} gated_source;

static cuddle_status read_gated(source *s, void *out, uint64_t offset, size_t bytes, cuddle_error *err)
{
    gated_source *g = (gated_source *)s;
    pthread_mutex_lock(&g->lock);
    while (offset + bytes > g->open_to && !g->fails) pthread_cond_wait(&g->opened, &g->lock);
    const bool there = offset + bytes <= g->open_to;
    pthread_mutex_unlock(&g->lock);
    if (!there) return cud_fail(err, CUDDLE_E_IO, "%s: gone", s->name);
    for (size_t i = 0; i < bytes; i++) ((char *)out)[i] = (char)((offset + i) * 7);
    return CUDDLE_OK;
}
static void close_gated(source *s) { (void)s; }
static const source_ops gated_ops = { .read_at = read_gated, .close = close_gated };

enum { LAYERS = 6, LAYER_BYTES = 100000 };

static void open_gate(gated_source *g, uint64_t to, bool fails)
{
    pthread_mutex_lock(&g->lock);
    g->open_to = to;
    g->fails = fails;
    pthread_cond_broadcast(&g->opened);
    pthread_mutex_unlock(&g->lock);
}

typedef struct gated_load {
    host_device d;
    loader_settings s;
    load_plan plan;
    char *arena;
    cuddle_error err;
    cuddle_status status;
} gated_load;

static void *run_gated_load(void *argument)
{
    gated_load *g = argument;
    g->status = cud_cuda_load_with(&g->d.base, &g->s, g->arena, &g->plan, NULL, NULL, &g->err);
    return NULL;
}

static bool third_time(void *user) { return ++*(int *)user == 3; }

/* _i: bit 0: the source fails in the end; bit 1: threads copy. */
START_TEST(layers_can_be_used_as_they_arrive)
{
    cuddle_error err = { 0 };
    gated_source gate = { .base = { .ops = &gated_ops, .size = (LAYERS + 1) * LAYER_BYTES, .fd = -1, .name = (char *)(uintptr_t)"slow" } };
    pthread_mutex_init(&gate.lock, NULL);
    pthread_cond_init(&gate.opened, NULL);
    gated_load g = { .s = { .readers = 3, .slot_bytes = 32 << 10, .window_bytes = 64 << 10, .trial_part = 16 } };
    for (int layer = LAYERS - 1; layer >= -1; layer--) { /* the plan's order is not the load's */
        load_piece p = { .from = &gate.base, .offset = (uint64_t)(layer + 1) * LAYER_BYTES, .rows = 1, .row_bytes = LAYER_BYTES, .layer = layer, .name = "w" };
        ck_ok(cud_load_reserve(&g.plan, LAYER_BYTES, &p.dst, &err));
        ck_ok(cud_load_add_piece(&g.plan, &p, &err));
    }
    g.arena = calloc(1, g.plan.arena_bytes);
    descriptors = open_descriptors();
    host_device_open(&g.d, _i >> 1 & 1);
    g.d.arena = g.arena;
    g.d.arena_bytes = g.plan.arena_bytes;
    ck_ok(cud_cuda_fence_new(&g.plan.fence, &g.plan, &err));
    load_fence *fence = g.plan.fence;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_gated_load, &g), 0);
    ck_assert(!cud_cuda_fence_passed(fence, -1));
    int asked = 0;
    test_expect_failure(cud_cuda_fence_wait(fence, -1, third_time, &asked, &err), CUDDLE_E_BUSY, &err);
    err = (cuddle_error){ 0 };
    for (int layer = -1; layer < LAYERS - 1; layer++) {
        open_gate(&gate, (uint64_t)(layer + 2) * LAYER_BYTES, false);
        ck_ok(cud_cuda_fence_wait(fence, layer, NULL, NULL, &err));
        ck_assert(cud_cuda_fence_passed(fence, layer));
        ck_assert(!cud_cuda_fence_passed(fence, layer + 1));
        const load_piece *p = &g.plan.piece[LAYERS - 1 - layer];
        ck_assert_int_eq(p->layer, layer);
        size_t right = 0;
        while (right < LAYER_BYTES && g.arena[p->dst + right] == (char)((p->offset + right) * 7)) right++;
        ck_assert_uint_eq(right, LAYER_BYTES);
    }
    open_gate(&gate, (LAYERS + (_i & 1 ? 0 : 1)) * LAYER_BYTES, _i & 1);
    const cuddle_status last = cud_cuda_fence_wait(fence, LAYERS - 1, NULL, NULL, &err);
    if (_i & 1) test_expect_failure(last, CUDDLE_E_IO, &err);
    else ck_ok(last);
    ck_assert(cud_cuda_fence_passed(fence, LAYERS - 1));
    pthread_join(thread, NULL);
    ck_assert_int_eq(g.status, _i & 1 ? CUDDLE_E_IO : CUDDLE_OK);
    ck_assert(!(_i & 1) || strstr(g.err.text, "tensor \"w\": slow: gone"));
    finish(&g.d, "layers");
    cud_cuda_fence_free(fence);
    cud_load_plan_free(&g.plan);
    free(g.arena);
    pthread_cond_destroy(&gate.opened);
    pthread_mutex_destroy(&gate.lock);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cuda_load");
    TCase *plans = tcase_create("plans"), *faulty = tcase_create("faults"), *files = tcase_create("files"), *layers = tcase_create("layers");
    TCase *const all[] = { plans, faulty, files, layers };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        tcase_set_timeout(all[i], 600);
        suite_add_tcase(s, all[i]);
    }
    tcase_add_loop_test(plans, random_plans_arrive_whole, 0, 3 * WAYS);
    tcase_add_loop_test(plans, every_way_is_taken_and_counted, 0, WAYS);
    tcase_add_test(plans, a_large_ring_is_locked_in_segments_that_slots_do_not_cross);
    tcase_add_test(plans, small_and_empty_plans_load);
    tcase_add_test(plans, plans_beyond_their_source_or_arena_and_modes_of_others_are_refused);
    tcase_add_loop_test(faulty, a_failed_device_call_is_an_error_or_a_fallback_and_leaks_nothing, 0, 2 * FAILING_WAYS);
    tcase_add_loop_test(faulty, a_failed_allocation_is_out_of_memory_and_leaks_nothing, 0, FAILING_WAYS);
    tcase_add_loop_test(faulty, a_failed_mapping_or_thread_is_survived_or_an_error, 0, 2 * FAILING_WAYS);
    tcase_add_loop_test(faulty, a_load_can_be_cancelled_at_every_stage, 0, 2 * FAILING_WAYS);
    tcase_add_loop_test(files, misbehaving_reads_are_retried_or_named, 0, 5);
    tcase_add_loop_test(files, misbehaving_direct_reads_fall_back_to_plain_ones, 0, 5);
    tcase_add_loop_test(files, a_file_that_shrinks_or_changes_is_named, 0, 4 * WAYS);
    tcase_add_loop_test(files, a_file_that_shrinks_midway_fails_the_load, 0, 10);
    tcase_add_loop_test(layers, layers_can_be_used_as_they_arrive, 0, 4);
    return test_run(s);
}
#else
int main(void) { return 77; }
#endif
