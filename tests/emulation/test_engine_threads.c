/* Several threads with engines on emulated devices: what the C of cuda/ shares between backends, and between a loading thread and one that
 * runs steps. TSan says whether anything is raced for; the greedy tokens, transformers' own, whether anything was mixed up. */
#include "cuda/module.h"
#include "emulation.h"
#include "engine/engine.h"
#include "parity.h"
#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEVICES = 2, THREADS = 3, TOKENS = 4, ROUNDS = 2 };

static expectation expected;
static char path[1024];

/* Check is of one thread: others tell what went wrong in `failed`. */
typedef struct worker {
    pthread_t thread;
    int device;
    cuddle_engine *engine; /* NULL: it makes its own */
    cuddle_error failed;
} worker;

static cuddle_status open_engine(cuddle_engine **out, int device, cuddle_error *err)
{
    backend *b;
    *out = NULL;
    const cuddle_status status = cud_cuda_module(CUD_CUDA_ABI, sizeof(op_table))->open(&b, device, err);
    if (status) return status;
    cuddle_engine_options options;
    cuddle_engine_options_init(&options, sizeof options);
    return cud_engine_new(out, b, CUDDLE_DEVICE_CUDA, &options, err);
}

static cuddle_status load(cuddle_model **out, cuddle_engine *engine, cuddle_error *err)
{
    cuddle_model_options options;
    cuddle_model_options_init(&options, sizeof options);
    options.dtype = "float32";
    options.max_batch = 16;
    options.max_sequences = 2;
    return cuddle_model_load(out, engine, path, &options, err);
}

static cuddle_status generate(cuddle_model *h, cuddle_error *err)
{
    cuddle_generation_options how;
    cuddle_generation_options_init(&how, sizeof how);
    how.temperature = 0;
    how.max_tokens = TOKENS;
    how.ignore_eos = 1;
    cuddle_request *r;
    const cuddle_segment prompt = { .kind = CUDDLE_SEGMENT_TOKENS, .tokens = expected.prompt, .count = (size_t)expected.prompt_count };
    cuddle_status status = cuddle_request_submit(&r, h, &prompt, 1, &how, NULL, NULL, err);
    if (status) return status;
    cuddle_result result = { .struct_size = sizeof result };
    status = cuddle_request_wait(r, -1, err);
    if (!status) status = cuddle_request_result(r, &result, err);
    if (!status && result.count != TOKENS) status = cud_fail(err, CUDDLE_E_INTERNAL, "%zu tokens", result.count);
    for (size_t i = 0; !status && i < TOKENS; i++)
        if (result.ids[i] != expected.greedy[i]) status = cud_fail(err, CUDDLE_E_INTERNAL, "token %zu is %d", i, (int)result.ids[i]);
    cuddle_request_free(r);
    return status;
}

/* Loads a model and runs a request, over and over, each with a new engine unless there is one. */
static void *work(void *user)
{
    worker *w = user;
    cuddle_status status = CUDDLE_OK;
    for (int i = 0; i < ROUNDS && !status; i++) {
        cuddle_engine *own = NULL;
        cuddle_model *h = NULL;
        if (!w->engine) status = open_engine(&own, w->device, &w->failed);
        if (!status) status = load(&h, w->engine ? w->engine : own, &w->failed);
        if (!status) status = generate(h, &w->failed);
        if (h) cuddle_model_free(h);
        if (own) cuddle_engine_free(own);
    }
    return status ? w : NULL;
}

static void run(worker *w)
{
    for (int i = 0; i < THREADS; i++) ck_assert_int_eq(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(w[i].thread, &failed);
        ck_assert_msg(!failed, "thread %d: %s", i, w[i].failed.text);
    }
}

static void nothing_is_left(void)
{
    emu_live live;
    emu_live_get(&live);
    ck_assert_int_eq(live.streams + live.events + live.device_allocations + live.blas_objects, 0);
    ck_assert_uint_eq(live.pinned_bytes + live.registered_bytes, 0);
}

START_TEST(engines_share_one_device)
{
    worker w[THREADS] = { 0 };
    run(w);
    nothing_is_left();
}
END_TEST

START_TEST(engines_on_two_devices)
{
    worker w[THREADS] = { 0 };
    for (int i = 0; i < THREADS; i++) w[i].device = i % DEVICES;
    run(w);
    nothing_is_left();
}
END_TEST

/* One engine: models come and go while it runs the requests of others. */
START_TEST(threads_share_one_engine)
{
    cuddle_error err = { 0 };
    worker w[THREADS] = { 0 };
    cuddle_engine *engine;
    ck_ok(open_engine(&engine, 1, &err));
    for (int i = 0; i < THREADS; i++) w[i].engine = engine;
    run(w);
    cuddle_engine_free(engine);
    nothing_is_left();
}
END_TEST

static void read_expectation(void)
{
    snprintf(path, sizeof path, "%s/gpt2/base", test_path("parity"));
    expectation_read(&expected, path);
}

static void free_expectation(void) { expectation_free(&expected); }

int main(void)
{
    emu_set_devices(DEVICES);
    emu_set_compute_capability(8, 0); /* cuBLASLt's workspace is smaller there */
    Suite *suite = suite_create("threads");
    TCase *tc = tcase_create("threads");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, read_expectation, free_expectation);
    tcase_add_test(tc, engines_share_one_device);
    tcase_add_test(tc, engines_on_two_devices);
    tcase_add_test(tc, threads_share_one_engine);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
