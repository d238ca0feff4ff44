/* The loader over CUDA's runtime, emulated: the copies, streams and registrations that it really asks for. test_cuda_load.c has the rest. */
#if __has_include("emulation.h") && __has_include("load_copy.h") /* else this is built without the emulation */
#include "emulation.h"
#include "load.h"
#include "load_fixture.h"
#include "module.h"

#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;

typedef struct rig {
    fixture f;
    copy_device device;
    cuda_copy_target target;
    char *arena; /* on the device */
    loader_settings settings;
    emu_live before;
    int descriptors;
    long mapped;
} rig;

static void cuda_ok(cudaError_t code) { ck_assert_msg(code == cudaSuccess, "%s", cudaGetErrorString(code)); }

static void open_rig(rig *r)
{
    fixture_make_arena(&r->f);
    r->settings = (loader_settings){ .readers = 3, .slot_bytes = 32 << 10, .window_bytes = 64 << 10, .trial_part = 1 };
    cuda_ok(cudaSetDevice(0));
    cuda_ok(cudaMalloc((void **)&r->arena, r->f.plan.arena_bytes + 1));
    cud_cuda_copy_device(&r->device, &r->target, 0);
    emu_live_get(&r->before);
    r->descriptors = open_descriptors();
    r->mapped = faults.mapped;
}

static void open_large_rig(rig *r)
{
    fixture_open_large(&r->f);
    free(r->f.arena);
    free(r->f.expected);
    open_rig(r);
}

static void close_rig(rig *r)
{
    cuda_ok(cudaFree(r->arena));
    fixture_close(&r->f);
    reset_faults();
}

static cuddle_status load_rig(rig *r, int mode, watcher *w)
{
    err = (cuddle_error){ 0 };
    r->f.plan.mode = (cuddle_load_mode)mode;
    cuda_ok(cudaMemset(r->arena, 0xcd, r->f.plan.arena_bytes));
    cuda_ok(cudaDeviceSynchronize());
    if (w) w->loading = pthread_self();
    return cud_cuda_load_with(&r->device, &r->settings, r->arena, &r->f.plan, w ? watch : NULL, w, &err);
}

static void check_arena(rig *r, const char *name)
{
    cuda_ok(cudaMemcpy(r->f.arena, r->arena, r->f.plan.arena_bytes, cudaMemcpyDeviceToHost));
    fixture_check(&r->f, name);
}

static void check_nothing_left(const rig *r)
{
    emu_live now;
    emu_live_get(&now);
    ck_assert_uint_eq(now.pinned_bytes, r->before.pinned_bytes);
    ck_assert_uint_eq(now.registered_bytes, r->before.registered_bytes);
    ck_assert_uint_eq(now.device_bytes, r->before.device_bytes);
    ck_assert_int_eq(now.streams, r->before.streams);
    ck_assert_int_eq(now.events, r->before.events);
    ck_assert_int_eq(faults.mapped, r->mapped);
    ck_assert_int_eq(open_descriptors(), r->descriptors);
    ck_assert_int_eq(cudaPeekAtLastError(), cudaSuccess); /* a failure that was got over is nobody's any more */
}

static const struct { int mode; resident_fault resident; } modes[] = {
    { CUDDLE_LOAD_RING, RESIDENT_AS_IS }, { CUDDLE_LOAD_RING, RESIDENT_HALF },
    { CUDDLE_LOAD_REGISTER, RESIDENT_AS_IS }, { CUDDLE_LOAD_AUTO, RESIDENT_AS_IS },
};
enum { MODES = sizeof modes / sizeof *modes };

START_TEST(random_plans_arrive_whole)
{
    rig r;
    emu_counters before, after;
    fixture_open(&r.f, (uint64_t)_i + 1000, 200000);
    fixture_add_random(&r.f, 1 + (int)any(20));
    open_rig(&r);
    faults.resident = modes[_i % MODES].resident;
    emu_counters_get(&before);
    const cuddle_status status = load_rig(&r, modes[_i % MODES].mode, NULL);
    emu_counters_get(&after);
    ck_assert_msg(status == CUDDLE_OK, "%s", err.text);
    ck_assert_uint_eq(after.pageable_copies, before.pageable_copies);
    ck_assert_uint_le(after.default_stream_calls, before.default_stream_calls + 1); /* this test's own */
    check_arena(&r, "random");
    check_nothing_left(&r);
    close_rig(&r);
}
END_TEST

START_TEST(the_backend_loads_in_every_mode)
{
    static const int all[] = { CUDDLE_LOAD_AUTO, CUDDLE_LOAD_RING, CUDDLE_LOAD_REGISTER };
    const cuda_module *module = cud_cuda_module(CUD_CUDA_ABI, sizeof(op_table));
    backend *b;
    fixture f;
    void *arena;
    ck_assert_ptr_nonnull(module);
    err = (cuddle_error){ 0 };
    ck_ok(module->open(&b, 0, &err));
    fixture_open_large(&f);
    ck_ok(b->ops->alloc(b, &arena, f.plan.arena_bytes, "weights", &err));
    cuda_ok(cudaMemset(arena, 0xcd, f.plan.arena_bytes));
    f.plan.mode = (cuddle_load_mode)all[_i];
    watcher w = { .loading = pthread_self() };
    ck_ok(b->ops->load(b, arena, &f.plan, watch, &w, &err));
    ck_assert_uint_eq(w.done, f.plan.copy_bytes);
    ck_assert_int_eq(f.report.mode, all[_i] == CUDDLE_LOAD_REGISTER ? CUDDLE_LOAD_REGISTER : CUDDLE_LOAD_RING);
    cuda_ok(cudaMemcpy(f.arena, arena, f.plan.arena_bytes, cudaMemcpyDeviceToHost));
    fixture_check(&f, "backend");
    f.plan.mode = CUDDLE_LOAD_MAP;
    test_expect_failure(b->ops->load(b, arena, &f.plan, watch, &w, &err), CUDDLE_E_ARG, &err);
    b->ops->release(b, arena);
    b->ops->destroy(b);
    fixture_close(&f);
}
END_TEST

/* Not those that give something back: an injected failure would keep them from doing so. */
static const char *const calls[] = {
    "cudaSetDevice",    "cudaHostRegister",    "cudaHostAlloc",  "cudaStreamCreateWithFlags", "cudaStreamSynchronize", "cudaEventCreateWithFlags",
    "cudaEventRecord", "cudaEventSynchronize", "cudaEventQuery", "cudaMemcpyAsync",           "cudaMemcpy2DAsync",
};
enum { CALLS = sizeof calls / sizeof *calls };

/* _i: which call in which mode. */
START_TEST(a_failed_call_is_an_error_or_a_fallback_and_leaks_nothing)
{
    const char *name = calls[_i % CALLS];
    const int mode = modes[_i / CALLS].mode;
    rig r;
    open_large_rig(&r);
    for (int n = 1;; n += n < 6 ? 1 : n) {
        emu_fail_call(name, n, cudaErrorLaunchTimeout, false);
        const cuddle_status status = load_rig(&r, mode, NULL);
        const long counted = emu_fail_call(name, 0, 0, false);
        if (status) {
            test_expect_failure(status, CUDDLE_E_DEVICE, &err);
            ck_assert_ptr_nonnull(strstr(err.text, "CUDA device 0"));
            ck_assert_int_ge(counted, n);
        } else check_arena(&r, name);
        check_nothing_left(&r);
        if (counted < n) break;
        ck_assert(status || strcmp(name, "cudaHostRegister") == 0 || strcmp(name, "cudaEventQuery") == 0); /* the others have no substitute */
    }
    close_rig(&r);
}
END_TEST

START_TEST(a_refused_registration_leaves_the_ring)
{
    rig r;
    open_large_rig(&r);
    emu_set_register_read_only(false);
    cud_cuda_copy_device(&r.device, &r.target, 0);
    ck_assert(!r.device.registers_files);
    ck_ok(load_rig(&r, CUDDLE_LOAD_REGISTER, NULL));
    check_arena(&r, "refused");
    ck_assert_uint_gt(r.f.report.fallback[LOAD_FALLBACK_REGISTER], 0);
    ck_assert_int_eq(r.f.report.mode, CUDDLE_LOAD_RING);
    ck_ok(load_rig(&r, CUDDLE_LOAD_AUTO, NULL));
    ck_assert_uint_eq(r.f.report.fallback[LOAD_FALLBACK_REGISTER], 0);
    emu_set_register_read_only(true);
    emu_fail_call("cudaHostRegister", 1, cudaErrorNotSupported, false);
    ck_ok(load_rig(&r, CUDDLE_LOAD_RING, NULL));
    emu_fail_call("cudaHostRegister", 0, 0, false);
    ck_assert_uint_eq(r.f.report.fallback[LOAD_FALLBACK_PIN], 1);
    ck_assert_uint_gt(r.f.report.pinned_bytes, 0);
    check_arena(&r, "in segments");
    check_nothing_left(&r);
    close_rig(&r);
}
END_TEST

START_TEST(a_device_that_fails_for_good_ends_the_load)
{
    rig r;
    open_large_rig(&r);
    emu_fail_call("cudaMemcpyAsync", 5, cudaErrorLaunchFailure, true);
    test_expect_failure(load_rig(&r, modes[_i].mode, NULL), CUDDLE_E_DEVICE, &err);
    emu_fail_call("cudaMemcpyAsync", 0, 0, false);
    emu_clear_errors();
    (void)cudaGetLastError();
    check_nothing_left(&r);
    ck_ok(load_rig(&r, modes[_i].mode, NULL)); /* and the next one is not hurt */
    check_arena(&r, "afterwards");
    close_rig(&r);
}
END_TEST

START_TEST(a_load_can_be_cancelled_and_a_shrunk_file_is_named)
{
    rig r;
    open_large_rig(&r);
    for (int stop = 1;; stop += stop < 6 ? 1 : 4) {
        watcher w = { .stop_after = stop };
        const cuddle_status status = load_rig(&r, modes[_i].mode, &w);
        check_nothing_left(&r);
        if (w.calls < stop) break;
        test_expect_failure(status, CUDDLE_E_CANCELLED, &err);
    }
    watcher w = { .truncate = fixture_file(0), .truncate_at = 1 };
    test_expect_failure(load_rig(&r, modes[_i].mode, &w), CUDDLE_E_IO, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "weights-0: tensor"));
    check_nothing_left(&r);
    close_rig(&r);
}
END_TEST

START_TEST(the_ceiling_is_measured_when_asked_for)
{
    rig r;
    open_large_rig(&r);
    r.f.report.measure_ceiling = true;
    ck_ok(load_rig(&r, CUDDLE_LOAD_RING, NULL));
    ck_assert(r.f.report.ceiling_gb_per_s > 0 && r.f.report.ceiling_share > 0);
    check_nothing_left(&r);
    close_rig(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cuda_load_emulated");
    TCase *tc = tcase_create("cuda_load_emulated");
    suite_add_tcase(s, tc);
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, random_plans_arrive_whole, 0, 10 * MODES);
    tcase_add_loop_test(tc, the_backend_loads_in_every_mode, 0, 3);
    tcase_add_loop_test(tc, a_failed_call_is_an_error_or_a_fallback_and_leaks_nothing, 0, CALLS * MODES);
    tcase_add_test(tc, a_refused_registration_leaves_the_ring);
    tcase_add_loop_test(tc, a_device_that_fails_for_good_ends_the_load, 0, MODES);
    tcase_add_loop_test(tc, a_load_can_be_cancelled_and_a_shrunk_file_is_named, 0, MODES);
    tcase_add_test(tc, the_ceiling_is_measured_when_asked_for);
    return test_run(s);
}
#else
int main(void) { return 77; }
#endif
