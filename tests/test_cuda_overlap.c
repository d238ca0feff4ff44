/* Steps that begin while the model loads, on the emulated device: a read is held back, and what the engine does meanwhile is looked at. */
#include "cuda/module.h"
#include "emulation.h"
#include "engine/engine.h"
#include "load_fixture.h"
#include "parity.h"

#include <cuda_runtime_api.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static cuddle_error err;

/* Where chunks of llama/base begin in its file: those of layers 0 and 1, and the last one, the final norm's. */
static const long holds[] = { 33992, 98120, 162248 };
enum { HOLDS = sizeof holds / sizeof *holds, LAST = HOLDS - 1, MOST_MS = 60000 };

typedef struct rig {
    expectation e;
    const char *path;
    cuddle_engine *engine;
    emu_live before;
    int descriptors;
} rig;

static void open_rig(rig *r)
{
    backend *b;
    err = (cuddle_error){ CUDDLE_OK, "" };
    reset_faults();
    faults.resident = RESIDENT_NOTHING; /* every read is a pread() that can be held */
    faults.no_direct = true;
    r->path = test_path("parity/llama/base");
    expectation_read(&r->e, r->path);
    ck_ok(cud_cuda_module(CUD_CUDA_ABI, sizeof(op_table))->open(&b, 0, &err));
    cuddle_engine_options options;
    cuddle_engine_options_init(&options, sizeof options);
    ck_ok(cud_engine_new(&r->engine, b, CUDDLE_DEVICE_CUDA, &options, &err));
    emu_live_get(&r->before);
    r->descriptors = open_descriptors();
}

static void close_rig(rig *r)
{
    emu_live now;
    emu_live_get(&now);
    ck_assert_uint_eq(now.device_bytes, r->before.device_bytes);
    ck_assert_uint_eq(now.pinned_bytes, r->before.pinned_bytes);
    ck_assert_uint_eq(now.registered_bytes, r->before.registered_bytes);
    ck_assert_int_eq(now.streams, r->before.streams);
    ck_assert_int_eq(now.events, r->before.events);
    ck_assert_int_eq(open_descriptors(), r->descriptors);
    cuddle_engine_free(r->engine);
    expectation_free(&r->e);
    reset_faults();
}

static cuddle_status try_load(cuddle_model **out, const rig *r, cuddle_progress_fn progress, void *user)
{
    cuddle_model_options o;
    cuddle_model_options_init(&o, sizeof o);
    o.dtype = "float32";
    o.max_batch = 16;
    o.max_sequences = 2;
    o.progress = progress;
    o.progress_user = user;
    return cuddle_model_load(out, r->engine, r->path, &o, &err);
}

static cuddle_model *load(const rig *r)
{
    cuddle_model *h;
    ck_ok(try_load(&h, r, NULL, NULL));
    return h;
}

static cuddle_request *submit(cuddle_model *h, const rig *r, cuddle_event_fn on_event, void *user)
{
    cuddle_request *request;
    cuddle_generation_options how;
    cuddle_generation_options_init(&how, sizeof how);
    how.temperature = 0;
    how.max_tokens = 6;
    how.ignore_eos = 1;
    const cuddle_segment prompt = { .kind = CUDDLE_SEGMENT_TOKENS, .tokens = r->e.prompt, .count = (size_t)r->e.prompt_count };
    ck_ok(cuddle_request_submit(&request, h, &prompt, 1, &how, on_event, user, &err));
    return request;
}

/* It ends by itself, with transformers' tokens. */
static void check_request(cuddle_request *request, const rig *r)
{
    ck_ok(cuddle_request_wait(request, MOST_MS, &err));
    cuddle_result result = { .struct_size = sizeof result };
    ck_ok(cuddle_request_result(request, &result, &err));
    ck_assert_uint_eq(result.count, 6);
    for (size_t i = 0; i < result.count; i++) ck_assert_int_eq(result.ids[i], r->e.greedy[i]);
    cuddle_request_free(request);
}

static void wait_held(void)
{
    for (int i = 0; !test_read_is_held(); i++, usleep(1000)) ck_assert_int_lt(i, MOST_MS);
}

static int running(const rig *r)
{
    cuddle_engine_stats s = { .struct_size = sizeof s };
    ck_ok(cuddle_engine_get_stats(r->engine, &s, &err));
    return s.running;
}

/* At least one request is in a step that waits, others may be in the queue. */
static void wait_running(const rig *r)
{
    for (int i = 0; running(r) == 0; i++, usleep(1000)) ck_assert_int_lt(i, MOST_MS);
}

static bool stepping(cuddle_model *h)
{
    pthread_mutex_lock(&h->engine->lock);
    const bool result = h->stepping;
    pthread_mutex_unlock(&h->engine->lock);
    return result;
}

/* _i: which read is held. */
START_TEST(a_step_goes_as_far_as_layers_have_arrived)
{
    rig r;
    open_rig(&r);
    test_hold_read(holds[_i]);
    cuddle_model *h = load(&r);
    cuddle_request *request = submit(h, &r, NULL, NULL);
    wait_held();
    wait_running(&r);
    test_expect_failure(cuddle_request_wait(request, 50, &err), CUDDLE_E_BUSY, &err);
    ck_assert(stepping(h)); /* what it would read too early, the emulation knows to be unwritten */
    ck_assert(test_read_is_held());
    ck_assert_int_eq(cuddle_model_get_state(h), CUDDLE_MODEL_LOADING);
    cuddle_load_report report = { .struct_size = sizeof report };
    test_expect_failure(cuddle_model_load_report(h, &report, &err), CUDDLE_E_BUSY, &err);
    test_release_read();
    err = (cuddle_error){ 0 };
    check_request(request, &r);
    ck_ok(cuddle_model_wait(h, MOST_MS, &err));
    ck_ok(cuddle_model_load_report(h, &report, &err));
    ck_assert_int_eq(report.mode, CUDDLE_LOAD_RING);
    ck_assert_str_eq(report.fallbacks, "direct=1");
    ck_assert_uint_gt(report.bytes, 150000);
    ck_assert_uint_ge(report.plain_bytes, report.bytes - 16384); /* all but the table of positions */
    check_request(submit(h, &r, NULL, NULL), &r); /* and without a fence */
    cuddle_model_free(h);
    close_rig(&r);
}
END_TEST

static atomic_bool first_token;

static void note_token(cuddle_request *request, const cuddle_event *event, void *user)
{
    (void)request, (void)user;
    if (event->token_count) atomic_store(&first_token, true);
}

/* The load does not end before there is a token. */
static void wait_for_token(const cuddle_progress *p, void *user)
{
    (void)user;
    for (int i = 0; p->bytes_done == p->bytes_total && !atomic_load(&first_token) && i < MOST_MS; i++) usleep(1000);
}

START_TEST(tokens_come_before_the_load_has_ended)
{
    rig r;
    cuddle_model *h;
    open_rig(&r);
    atomic_store(&first_token, false);
    ck_ok(try_load(&h, &r, wait_for_token, NULL));
    check_request(submit(h, &r, note_token, NULL), &r);
    ck_ok(cuddle_model_wait(h, MOST_MS, &err));
    cuddle_model_free(h);
    close_rig(&r);
}
END_TEST

START_TEST(a_model_beside_another_waits_until_it_is_loaded)
{
    rig r;
    open_rig(&r);
    cuddle_model *first = load(&r);
    ck_ok(cuddle_model_wait(first, MOST_MS, &err));
    test_hold_read(holds[LAST]);
    cuddle_model *second = load(&r);
    cuddle_request *request = submit(second, &r, NULL, NULL);
    wait_held();
    check_request(submit(first, &r, NULL, NULL), &r); /* nobody stands in its way */
    ck_assert_int_eq(running(&r), 0);
    test_release_read();
    check_request(request, &r);
    cuddle_model_free(second);
    cuddle_model_free(first);
    close_rig(&r);
}
END_TEST

/* Afterwards the engine is as good as new. */
static void check_next_load(const rig *r)
{
    cuddle_model *h = load(r);
    check_request(submit(h, r, NULL, NULL), r);
    cuddle_model_free(h);
}

/* The file is cut while a step waits for its last piece. */
START_TEST(a_late_failure_ends_the_step_with_the_loads_sentence)
{
    rig r;
    char copy[256], file[600], command[2048];
    const char *const original = test_path("parity/llama/base");
    cuddle_error of_model = { 0 };
    open_rig(&r);
    snprintf(copy, sizeof copy, "%s/copy", test_temp_dir());
    snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s' '%s'", copy, original, copy);
    ck_assert_int_eq(system(command), 0);
    snprintf(file, sizeof file, "%s/model.safetensors", copy);
    r.path = copy;
    test_hold_read(holds[LAST]);
    cuddle_model *h = load(&r);
    cuddle_request *request[3];
    for (int i = 0; i < 3; i++) request[i] = submit(h, &r, NULL, NULL); /* the third stays in the queue: max_sequences */
    wait_held();
    wait_running(&r);
    ck_assert_int_eq(truncate(file, 100000), 0);
    test_release_read();
    test_expect_failure(cuddle_model_wait(h, MOST_MS, &of_model), CUDDLE_E_IO, &of_model);
    ck_assert_msg(strstr(of_model.text, "model.safetensors: tensor \"model.norm.weight\""), "%s", of_model.text);
    ck_assert_msg(strstr(of_model.text, "became shorter"), "%s", of_model.text);
    for (int i = 0; i < 3; i++) {
        test_expect_failure(cuddle_request_wait(request[i], MOST_MS, &err), CUDDLE_E_IO, &err);
        ck_assert_str_eq(err.text, of_model.text);
        cuddle_request_free(request[i]);
    }
    cuddle_load_report report = { .struct_size = sizeof report };
    ck_ok(cuddle_model_load_report(h, &report, &err));
    ck_assert(report.bytes > 0 && report.bytes < 200000);
    cuddle_model_free(h);
    r.path = original;
    check_next_load(&r);
    close_rig(&r);
}
END_TEST

START_TEST(a_request_can_be_cancelled_while_its_step_waits)
{
    rig r;
    open_rig(&r);
    test_hold_read(holds[_i]);
    cuddle_model *h = load(&r);
    cuddle_request *stays = submit(h, &r, NULL, NULL), *goes = submit(h, &r, NULL, NULL), *freed;
    wait_held();
    wait_running(&r);
    cuddle_request_cancel(goes);
    test_expect_failure(cuddle_request_wait(goes, MOST_MS, &err), CUDDLE_E_CANCELLED, &err);
    freed = submit(h, &r, NULL, NULL);
    wait_running(&r);
    cuddle_request_free(freed);
    cuddle_request_free(goes);
    ck_assert(test_read_is_held());
    test_release_read();
    err = (cuddle_error){ 0 };
    check_request(stays, &r);
    cuddle_model_free(h);
    close_rig(&r);
}
END_TEST

typedef enum ending { END_CANCEL, END_FREE_MODEL, END_FREE_REQUEST, ENDINGS } ending;

static void *release_later(void *user)
{
    (void)user;
    usleep(200000);
    test_release_read();
    return NULL;
}

/* _i: which read is held, and how it ends. */
START_TEST(a_load_can_be_ended_while_a_step_waits)
{
    rig r;
    pthread_t later;
    open_rig(&r);
    test_hold_read(holds[_i % HOLDS]);
    cuddle_model *h = load(&r);
    cuddle_request *request = submit(h, &r, NULL, NULL);
    wait_held();
    wait_running(&r);
    if (_i / HOLDS == END_CANCEL) {
        cuddle_model_cancel(h);
        test_expect_failure(cuddle_request_wait(request, MOST_MS, &err), CUDDLE_E_CANCELLED, &err);
        ck_assert_ptr_nonnull(strstr(err.text, "the load was cancelled"));
        ck_assert(test_read_is_held()); /* the step did not have to wait for the reader */
        test_release_read();
        test_expect_failure(cuddle_model_wait(h, MOST_MS, &err), CUDDLE_E_CANCELLED, &err);
    } else if (_i / HOLDS == END_FREE_MODEL) {
        ck_assert_int_eq(pthread_create(&later, NULL, release_later, NULL), 0);
        cuddle_model_free(h);
        h = NULL;
        pthread_join(later, NULL);
        test_expect_failure(cuddle_request_wait(request, 0, &err), CUDDLE_E_CANCELLED, &err);
    } else {
        cuddle_request_free(request);
        request = NULL;
        ck_assert(test_read_is_held());
        test_release_read();
        ck_ok(cuddle_model_wait(h, MOST_MS, &err));
    }
    cuddle_request_free(request);
    cuddle_model_free(h);
    check_next_load(&r);
    close_rig(&r);
}
END_TEST

/* Calls that a load or a step makes; each fails once, at every place up to some number. _i: which. */
static const struct { const char *name; cudaError_t error; int most; } calls[] = {
    { "cudaMalloc", cudaErrorMemoryAllocation, 6 },
    { "cudaMemcpyAsync", cudaErrorLaunchTimeout, 12 },
    { "cudaEventRecord", cudaErrorLaunchTimeout, 6 },
    { "cudaEventSynchronize", cudaErrorLaunchTimeout, 4 },
    { "cudaStreamCreateWithFlags", cudaErrorMemoryAllocation, 3 },
    { "cudaHostRegister", cudaErrorNotSupported, 3 },
};
enum { CALLS = sizeof calls / sizeof *calls };

START_TEST(a_failed_call_while_a_request_waits_is_a_clear_error)
{
    rig r;
    int failures = 0;
    open_rig(&r);
    for (int n = 1; n <= calls[_i].most; n++) {
        cuddle_model *h;
        cuddle_request *request = NULL;
        cuddle_error of_model = { 0 };
        test_hold_read(holds[0]); /* so that the request is there in time */
        emu_fail_call(calls[_i].name, n, (int)calls[_i].error, false);
        cuddle_status status = try_load(&h, &r, NULL, NULL);
        cuddle_generation_options how;
        cuddle_generation_options_init(&how, sizeof how);
        how.temperature = 0;
        how.max_tokens = 6;
        how.ignore_eos = 1;
        const cuddle_segment prompt = { .kind = CUDDLE_SEGMENT_TOKENS, .tokens = r.e.prompt, .count = (size_t)r.e.prompt_count };
        if (!status) status = cuddle_request_submit(&request, h, &prompt, 1, &how, NULL, NULL, &err);
        usleep(2000);
        test_release_read();
        const cuddle_status model_status = h ? cuddle_model_wait(h, MOST_MS, &of_model) : status;
        if (!status) status = cuddle_request_wait(request, MOST_MS, &err);
        emu_fail_call(calls[_i].name, 0, 0, false);
        if (status) {
            failures++;
            ck_assert_msg(status == CUDDLE_E_DEVICE || status == CUDDLE_E_NOMEM, "%s %d: %s", calls[_i].name, n, err.text);
            ck_assert_msg(strstr(err.text, "CUDA"), "%s %d: %s", calls[_i].name, n, err.text);
            if (model_status && h) ck_assert_str_eq(err.text, of_model.text);
            cuddle_request_free(request);
        } else {
            ck_ok(model_status);
            err = (cuddle_error){ 0 };
            check_request(request, &r);
        }
        cuddle_model_free(h);
        emu_clear_errors();
        err = (cuddle_error){ 0 };
    }
    ck_assert(failures > 0 || strcmp(calls[_i].name, "cudaHostRegister") == 0);
    check_next_load(&r);
    close_rig(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cuda_overlap");
    TCase *tc = tcase_create("overlap");
    suite_add_tcase(s, tc);
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, a_step_goes_as_far_as_layers_have_arrived, 0, HOLDS);
    tcase_add_test(tc, tokens_come_before_the_load_has_ended);
    tcase_add_test(tc, a_model_beside_another_waits_until_it_is_loaded);
    tcase_add_test(tc, a_late_failure_ends_the_step_with_the_loads_sentence);
    tcase_add_loop_test(tc, a_request_can_be_cancelled_while_its_step_waits, 0, HOLDS);
    tcase_add_loop_test(tc, a_load_can_be_ended_while_a_step_waits, 0, ENDINGS * HOLDS);
    tcase_add_loop_test(tc, a_failed_call_while_a_request_waits_is_a_clear_error, 0, CALLS);
    return test_run(s);
}
