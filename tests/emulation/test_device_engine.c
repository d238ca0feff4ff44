/* The engine over the emulated device: tokens picked there, decode steps replayed as graphs, and everything that can go wrong with a GPU. */
#include "cuda/module.h"
#include "emulation.h"
#include "engine/engine.h"
#include "parity.h"

#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;

static const cuda_module *module(void) { return cud_cuda_module(CUD_CUDA_ABI, sizeof(op_table)); }

static cuddle_status try_engine(cuddle_engine **out, cuddle_toggle deterministic)
{
    backend *b = NULL;
    *out = NULL;
    err = (cuddle_error){ CUDDLE_OK, "" };
    cuddle_status status = module()->open(&b, 0, &err);
    if (status) return status;
    cuddle_engine_options o;
    cuddle_engine_options_init(&o, sizeof o);
    o.deterministic = deterministic;
    status = cud_engine_new(out, b, CUDDLE_DEVICE_CUDA, &o, &err);
    if (status) b->ops->destroy(b);
    return status;
}

static cuddle_status try_model(cuddle_model **out, cuddle_engine *e, int sequences)
{
    cuddle_model_options o;
    cuddle_model_options_init(&o, sizeof o);
    o.dtype = "float32";
    o.max_batch = 24;
    o.max_sequences = sequences;
    o.max_context = 40;
    cuddle_status status = cuddle_model_load(out, e, test_path("parity/gpt2/base"), &o, &err);
    if (!status) status = cuddle_model_wait(*out, -1, &err);
    return status;
}

/* All that this process has asked of the device is given back. */
static void nothing_left(const char *when)
{
    emu_live live;
    emu_live_get(&live);
    ck_assert_msg(live.device_allocations == 0 && live.device_bytes == 0, "%s: %d device allocations are left", when, live.device_allocations);
    ck_assert_msg(live.pinned_bytes == 0 && live.registered_bytes == 0, "%s: page-locked memory is left", when);
    ck_assert_msg(live.streams == 0 && live.events == 0, "%s: %d streams and %d events are left", when, live.streams, live.events);
    ck_assert_msg(live.graphs == 0 && live.graph_execs == 0 && live.blas_objects == 0, "%s: %d graphs, %d instances, %d of cublasLt are left", when,
                  live.graphs, live.graph_execs, live.blas_objects);
}

/* ------------------------------------------------------------------------------------------------------------ picking */

enum { KINDS = 10, LONGEST = 15 };

static cuddle_generation_options options_of(int kind)
{
    static const int32_t banned[] = { 3, 5, 7, 40 }, allowed[] = { 2, 4, 9, 11, 21, 22, 23, 30, 31, 32, 33, 63, 64 }, ends[] = { 4, 11, 23, 31, 33 };
    static const cuddle_sequence_bias bad[] = { { allowed, 1, 0 }, { allowed + 3, 1, 0 }, { allowed + 7, 1, 0 } }, favoured[] = { { allowed, 2, 3 } };
    cuddle_generation_options o;
    cuddle_generation_options_init(&o, sizeof o);
    o.max_tokens = 6 + kind;
    o.ignore_eos = 1;
    o.seed = 1000 + (uint64_t)kind;
    o.temperature = kind == 0 ? 0.0f : kind == 2 ? 2.5f : 1.0f;
    o.top_k = kind == 3 ? 5 : 0;
    o.top_p = kind == 4 ? 0.6f : 1.0f;
    o.min_p = kind == 5 ? 0.3f : 0.0f;
    o.repetition_penalty = kind >= 5 || kind == 0 ? 1.7f : 1.0f;
    if (kind == 6) {
        o.suppress = banned;
        o.suppress_count = sizeof banned / sizeof *banned;
    }
    if (kind == 7) { /* ends that may come after the fourth token */
        o.allowed = allowed;
        o.allowed_count = sizeof allowed / sizeof *allowed;
        o.stop_tokens = ends;
        o.stop_token_count = sizeof ends / sizeof *ends;
        o.min_tokens = 4;
        o.temperature = 3;
    }
    if (kind == 8) { /* alone at the end, long enough for a graph */
        o.max_tokens = LONGEST;
        o.begin_suppress = banned;
        o.begin_suppress_count = sizeof banned / sizeof *banned;
        o.bad_words = bad;
        o.bad_word_count = sizeof bad / sizeof *bad;
    }
    if (kind == 9) { /* what the host has to pick */
        o.max_tokens = 3;
        o.typical_p = 0.7f;
        o.frequency_penalty = 0.5f;
        o.sequence_bias = favoured;
        o.sequence_bias_count = 1;
    }
    return o;
}

/* The same, and the host picks: what it has to adjust, which here is nothing, and log-probabilities go together only there. */
static cuddle_generation_options on_host(int kind)
{
    cuddle_generation_options o = options_of(kind);
    o.logprobs = 0;
    if (!(o.frequency_penalty > 0)) o.frequency_penalty = 1e-30f;
    return o;
}

static cuddle_request *submit(cuddle_model *h, const cuddle_generation_options *o, int salt)
{
    const int32_t prompt[] = { 1 + salt, 9, 2 * salt + 4, 30, 11 };
    cuddle_request *r;
    ck_ok(cuddle_request_submit(&r, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = prompt, .count = 3 + (size_t)(salt % 3) }, 1, o, NULL,
                                NULL, &err));
    return r;
}

static int tokens_of(int32_t *out, cuddle_request *r)
{
    ck_ok(cuddle_request_wait(r, -1, &err));
    cuddle_result result = { .struct_size = sizeof result };
    ck_ok(cuddle_request_result(r, &result, &err));
    ck_assert_uint_le(result.count, LONGEST);
    memcpy(out, result.ids, result.count * sizeof *out);
    return (int)result.count;
}

/* Whoever picks, the device or the host, alone or among others, in a graph or not: the tokens are the same. */
START_TEST(tokens_are_those_that_the_host_picks)
{
    cuddle_engine *e;
    cuddle_model *h;
    ck_ok(try_engine(&e, CUDDLE_ON));
    ck_ok(try_model(&h, e, KINDS));
    cuddle_request *together[KINDS];
    for (int i = 0; i < KINDS; i++) {
        const cuddle_generation_options o = options_of(i);
        together[i] = submit(h, &o, i);
    }
    int32_t got[KINDS][LONGEST], want[LONGEST];
    int counts[KINDS];
    for (int i = 0; i < KINDS; i++) { /* all of them, before the host picks for others */
        counts[i] = tokens_of(got[i], together[i]);
        cuddle_request_free(together[i]);
    }
    for (int i = 0; i < KINDS; i++) {
        const cuddle_generation_options o = on_host(i);
        cuddle_request *alone = submit(h, &o, i);
        ck_assert_int_eq(tokens_of(want, alone), counts[i]);
        cuddle_request_free(alone);
        for (int k = 0; k < counts[i]; k++) ck_assert_msg(got[i][k] == want[k], "kind %d, token %d: %d, the host picks %d", i, k, got[i][k], want[k]);
    }
    ck_assert_uint_gt(h->replayed, 0);
    cuddle_model_free(h);
    cuddle_engine_free(e);
    nothing_left("after the model");
}
END_TEST

/* Requests come and go while others run, some are cancelled: the block on the device is always that of this step. */
START_TEST(whatever_comes_and_goes)
{
    enum { REQUESTS = 18 };
    cuddle_engine *e;
    cuddle_model *h;
    backend *b = NULL;
    ck_ok(module()->open(&b, 0, &err));
    cuddle_engine_options options;
    cuddle_engine_options_init(&options, sizeof options);
    options.threads = 0; /* so that what happens when is the same each time */
    options.deterministic = CUDDLE_ON;
    ck_ok(cud_engine_new(&e, b, CUDDLE_DEVICE_CUDA, &options, &err));
    ck_ok(try_model(&h, e, 4));
    cuddle_request *r[REQUESTS];
    int32_t got[REQUESTS][LONGEST], want[LONGEST];
    int counts[REQUESTS], submitted = 0, worked = 1;
    uint32_t seed = 7;
    while (submitted < REQUESTS || worked) {
        seed = seed * 1664525u + 1013904223u;
        if (submitted < REQUESTS && (!worked || seed >> 30 == 0)) {
            const cuddle_generation_options o = options_of(submitted % KINDS);
            r[submitted] = submit(h, &o, submitted);
            submitted++;
        }
        if (submitted > 3 && (seed >> 24 & 31) == 0) cuddle_request_cancel(r[submitted - 2]);
        ck_ok(cuddle_engine_step(e, &worked, &err));
    }
    for (int i = 0; i < REQUESTS; i++) {
        cuddle_result result = { .struct_size = sizeof result };
        ck_ok(cuddle_request_result(r[i], &result, &err));
        counts[i] = (int)result.count;
        memcpy(got[i], result.ids, result.count * sizeof *got[i]);
        cuddle_request_free(r[i]);
    }
    for (int i = 0; i < REQUESTS; i++) {
        const cuddle_generation_options o = on_host(i % KINDS);
        cuddle_request *alone = submit(h, &o, i);
        do ck_ok(cuddle_engine_step(e, &worked, &err));
        while (worked);
        const int count = tokens_of(want, alone);
        ck_assert_int_ge(count, counts[i]);
        for (int k = 0; k < counts[i]; k++) ck_assert_msg(got[i][k] == want[k], "request %d, token %d: %d, the host picks %d", i, k, got[i][k], want[k]);
        cuddle_request_free(alone);
    }
    ck_assert_uint_gt(h->replayed, 20);
    cuddle_model_free(h);
    cuddle_engine_free(e);
    nothing_left("after the model");
}
END_TEST

/* What a fork copies on the device is what it would have computed: choices are what requests of their seeds give, and a beam's score is the sum of its
 * tokens' log-probabilities as a prompt. */
START_TEST(forks_go_on_from_what_was_computed)
{
    enum { FORKS = 3, NEW = 12 };
    cuddle_engine *e;
    cuddle_model *h;
    ck_ok(try_engine(&e, CUDDLE_ON));
    ck_ok(try_model(&h, e, FORKS));
    cuddle_generation_options o = options_of(1);
    o.max_tokens = NEW;
    o.n = FORKS;
    cuddle_request *choices = submit(h, &o, 2);
    ck_ok(cuddle_request_wait(choices, -1, &err));
    ck_assert_uint_gt(h->replayed, 0);
    for (int i = 0; i < FORKS; i++) {
        cuddle_result got = { .struct_size = sizeof got };
        ck_ok(cuddle_request_result_of(choices, i, &got, &err));
        cuddle_generation_options one = options_of(1);
        one.max_tokens = NEW;
        one.seed += (uint64_t)i;
        one.cache_salt = 1 + (uint64_t)i;
        cuddle_request *alone = submit(h, &one, 2);
        int32_t want[LONGEST];
        ck_assert_int_eq(tokens_of(want, alone), NEW);
        ck_assert_uint_eq(got.count, NEW);
        ck_assert_mem_eq(got.ids, want, sizeof *want * NEW);
        ck_assert_int_eq(got.cached_tokens, i ? 4 : 0); /* of 5 */
        cuddle_request_free(alone);
    }
    cuddle_request_free(choices);

    cuddle_generation_options beams = options_of(0);
    beams.max_tokens = NEW;
    beams.repetition_penalty = 1;
    beams.num_beams = beams.n = FORKS;
    beams.length_penalty = 0;
    cuddle_request *searched = submit(h, &beams, 2);
    ck_ok(cuddle_request_wait(searched, -1, &err));
    for (int i = 0; i < FORKS; i++) {
        cuddle_result got = { .struct_size = sizeof got }, read = got;
        ck_ok(cuddle_request_result_of(searched, i, &got, &err));
        ck_assert_uint_eq(got.count, NEW);
        int32_t all[5 + NEW] = { 3, 9, 8, 30, 11 };
        memcpy(all + 5, got.ids, sizeof *all * NEW);
        cuddle_generation_options scored = options_of(0);
        scored.max_tokens = 0;
        scored.prompt_logprobs = 1;
        scored.cache_salt = 9;
        cuddle_request *r;
        ck_ok(cuddle_request_submit(&r, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = all, .count = 5 + NEW }, 1, &scored, NULL, NULL, &err));
        ck_ok(cuddle_request_wait(r, -1, &err));
        ck_ok(cuddle_request_result(r, &read, &err));
        double sum = 0;
        for (int k = 5; k < 5 + NEW; k++) sum += (double)read.prompt_logprobs[k];
        ck_assert_double_eq_tol(got.beam_score, sum, 1e-4);
        cuddle_request_free(r);
    }
    cuddle_request_free(searched);
    cuddle_model_free(h);
    cuddle_engine_free(e);
    nothing_left("after the model");
}
END_TEST

/* As long as the same sequences go on, a step costs a launch and the tokens' way back. */
START_TEST(the_block_stays_on_the_device)
{
    cuddle_engine *e;
    cuddle_model *h;
    ck_ok(try_engine(&e, CUDDLE_OFF));
    ck_ok(try_model(&h, e, 2));
    cuddle_generation_options o = options_of(1);
    o.max_tokens = LONGEST;
    int32_t ids[LONGEST];
    emu_counters before, after;
    emu_counters_get(&before);
    cuddle_request *r = submit(h, &o, 1);
    ck_assert_int_eq(tokens_of(ids, r), LONGEST);
    emu_counters_get(&after);
    cuddle_request_free(r);
    /* The prompt, the first decoded token as ops, and the rest as one graph. */
    ck_assert_uint_eq(h->block_uploads, 2);
    ck_assert_uint_eq(h->replayed, LONGEST - 2);
    ck_assert_uint_eq(after.graph_launches - before.graph_launches, LONGEST - 2);
    ck_assert_uint_eq(after.pageable_copies, before.pageable_copies);
    ck_assert_uint_eq(after.default_stream_calls, 0);
    ck_assert_uint_eq(after.device_allocations, before.device_allocations);
    cuddle_model_free(h);
    cuddle_engine_free(e);
    nothing_left("after the model");
}
END_TEST

/* Graphs that were launched when each mask was made. The link gives us the engine's calls. */
static uint64_t graphs_at_mask[LONGEST];
static int masks_made;

cuddle_status __real_cud_matcher_mask(uint32_t *mask, size_t words, cud_matcher *m, cuddle_error *why);
cuddle_status __wrap_cud_matcher_mask(uint32_t *mask, size_t words, cud_matcher *m, cuddle_error *why);
cuddle_status __wrap_cud_matcher_mask(uint32_t *mask, size_t words, cud_matcher *m, cuddle_error *why)
{
    emu_counters now;
    emu_counters_get(&now);
    if (masks_made < LONGEST) graphs_at_mask[masks_made++] = now.graph_launches;
    return __real_cud_matcher_mask(mask, words, m, why);
}

/* What may come next is found while the device computes: a step's graph is launched before its mask is made. The tokens are those the host picks. */
START_TEST(masks_are_made_behind_the_launch)
{
    enum { TOKENS = 7 };
    cuddle_engine *e;
    cuddle_model *h;
    ck_ok(try_engine(&e, CUDDLE_ON));
    cuddle_model_options mo;
    cuddle_model_options_init(&mo, sizeof mo);
    mo.dtype = "float32";
    mo.max_batch = 8;
    mo.max_sequences = 2;
    mo.max_context = 32;
    ck_ok(cuddle_model_load(&h, e, test_path("models/kjv-gpt2"), &mo, &err));
    ck_ok(cuddle_model_wait(h, -1, &err));
    cuddle_grammar_options go;
    cuddle_grammar_options_init(&go, sizeof go);
    go.kind = CUDDLE_GRAMMAR_REGEX;
    go.source = "([0-9]{2},){20}";
    go.length = strlen(go.source);
    cuddle_generation_options o;
    cuddle_generation_options_init(&o, sizeof o);
    o.temperature = 0;
    o.max_tokens = TOKENS;
    ck_ok(cuddle_model_grammar(&o.grammar, h, &go, &err));
    emu_counters before;
    emu_counters_get(&before);
    int32_t got[LONGEST], want[LONGEST];
    masks_made = 0;
    cuddle_request *r = submit(h, &o, 1);
    ck_assert_int_eq(tokens_of(got, r), TOKENS);
    cuddle_result result = { .struct_size = sizeof result };
    ck_ok(cuddle_request_result(r, &result, &err));
    int begins;
    ck_ok(cuddle_grammar_match(&begins, NULL, o.grammar, result.text, result.text_length, &err));
    ck_assert(begins && result.text_length >= TOKENS);
    cuddle_request_free(r);
    ck_assert_int_eq(masks_made, TOKENS);
    for (int i = 0; i < TOKENS; i++) /* the prompt and the first token's step are no graphs */
        ck_assert_uint_eq(graphs_at_mask[i] - before.graph_launches, i < 2 ? 0 : (uint64_t)i - 1);
    o.logprobs = 0; /* the host picks */
    r = submit(h, &o, 1);
    ck_assert_int_eq(tokens_of(want, r), TOKENS);
    ck_assert_mem_eq(got, want, TOKENS * sizeof *got);
    cuddle_request_free(r);
    cuddle_grammar_free(o.grammar);
    cuddle_model_free(h);
    cuddle_engine_free(e);
    nothing_left("after the model");
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------- faults */

START_TEST(another_version_of_the_library_is_refused)
{
    ck_assert_ptr_null(cud_cuda_module(CUD_CUDA_ABI + 1, sizeof(op_table)));
    ck_assert_ptr_null(cud_cuda_module(CUD_CUDA_ABI, sizeof(op_table) + 8));
}
END_TEST

START_TEST(a_machine_without_a_device_says_so)
{
    cuddle_engine *e;
    emu_set_devices(0);
    test_expect_failure(try_engine(&e, CUDDLE_AUTO), CUDDLE_E_DEVICE, &err);
    emu_set_devices(1);
    backend *b;
    err = (cuddle_error){ CUDDLE_OK, "" };
    test_expect_failure(module()->open(&b, 99, &err), CUDDLE_E_DEVICE, &err);
    ck_assert_ptr_null(b);
    emu_set_compute_capability(7, 5);
    test_expect_failure(try_engine(&e, CUDDLE_AUTO), CUDDLE_E_UNSUPPORTED, &err);
    ck_assert_msg(strstr(err.text, "7.5") && strstr(err.text, "8.0"), "%s", err.text);
    emu_set_compute_capability(9, 0);
    nothing_left("after refusals");
}
END_TEST

/* Each allocation on the device in turn finds no memory: the sentence has the wanted, the free and the total, and all is given back. */
START_TEST(too_little_memory_names_the_numbers)
{
    int failures = 0;
    for (int n = 1; n < 40; n++) {
        cuddle_engine *e;
        cuddle_model *h = NULL;
        ck_ok(try_engine(&e, CUDDLE_AUTO));
        emu_fail_call("cudaMalloc", n, cudaErrorMemoryAllocation, false);
        const cuddle_status status = try_model(&h, e, 2);
        emu_fail_call("cudaMalloc", 0, 0, false);
        if (status) {
            test_expect_failure(status, CUDDLE_E_NOMEM, &err);
            unsigned long long wanted, free_bytes, total;
            const char *numbers = strchr(err.text, ':');
            ck_assert_msg(numbers && sscanf(numbers, ": %llu bytes for", &wanted) == 1 && wanted > 0, "%s", err.text);
            numbers = strrchr(err.text, ',');
            ck_assert_msg(numbers && sscanf(numbers, ", %llu of %llu are free", &free_bytes, &total) == 2 && free_bytes <= total, "%s", err.text);
            failures++;
        }
        cuddle_model_free(h);
        cuddle_engine_free(e);
        nothing_left("after a refused allocation");
        if (!status) break;
    }
    ck_assert_int_ge(failures, 5); /* weights, cache, workspace, step, marks */
}
END_TEST

/* A kernel that faults takes the device with it: every request ends with a sentence that says so, of this engine and of its neighbour. */
START_TEST(a_lost_device_ends_every_engine_on_it)
{
    cuddle_engine *e[2];
    cuddle_model *h[2];
    for (int i = 0; i < 2; i++) {
        ck_ok(try_engine(&e[i], CUDDLE_AUTO));
        ck_ok(try_model(&h[i], e[i], 2));
    }
    emu_fail_kernel(30, cudaErrorIllegalAddress);
    const cuddle_generation_options o = options_of(0);
    for (int i = 0; i < 2; i++) {
        cuddle_request *r = submit(h[i], &o, 2), *late;
        err = (cuddle_error){ CUDDLE_OK, "" };
        test_expect_failure(cuddle_request_wait(r, -1, &err), CUDDLE_E_DEVICE, &err);
        ck_assert_msg(strstr(err.text, "illegal memory access") && strstr(err.text, "cannot be used"), "%s", err.text);
        cuddle_request_free(r);
        err = (cuddle_error){ CUDDLE_OK, "" };
        const int32_t id = 1;
        test_expect_failure(cuddle_request_submit(&late, h[i], &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = &id, .count = 1 }, 1, &o, NULL,
                                                  NULL, &err), CUDDLE_E_DEVICE, &err);
    }
    for (int i = 0; i < 2; i++) {
        cuddle_model_free(h[i]);
        cuddle_engine_free(e[i]);
    }
    emu_clear_errors();
}
END_TEST

/* All that a run calls, but for what gives something back or ends a capture: without that, something stays. */
static const char *const calls[] = {
    "cudaGetDeviceCount", "cudaGetDeviceProperties", "cudaDeviceGetAttribute", "cudaSetDevice", "cudaMemGetInfo", "cudaStreamCreateWithFlags",
    "cudaEventCreateWithFlags", "cudaEventRecord", "cudaEventQuery", "cudaEventSynchronize", "cudaStreamSynchronize", "cudaStreamWaitEvent", "cudaMalloc",
    "cudaHostAlloc", "cudaHostRegister", "cudaMemcpyAsync", "cudaMemcpy2DAsync", "cudaFuncSetAttribute", "cudaLaunchKernelEx", "cudaStreamBeginCapture",
    "cudaGraphInstantiate", "cudaGraphLaunch", "dlopen", "dlsym", "cublasLtCreate", "cublasLtMatmulPreferenceCreate",
};
enum { CALLS = sizeof calls / sizeof *calls };

/* The first calls of each kind fail in turn. Either there was a way around it, and the tokens are right, or there is an error; nothing stays. */
START_TEST(every_failing_call_is_an_error_or_makes_no_difference)
{
    int32_t want[LONGEST], got[LONGEST];
    const cuddle_generation_options o = options_of(0);
    const int most = emu_checks_races() ? 1 : 9; /* that build is slow, and its own part is in the kernels */
    int failed = 0, survived = 0;
    for (int i = -1; i < CALLS; i++) {
        for (int n = 1; n <= most; n++) {
            cuddle_engine *e = NULL;
            cuddle_model *h = NULL;
            if (i >= 0) emu_fail_call(calls[i], n, i == CALLS - 1 ? 1 : cudaErrorNotSupported, false);
            cuddle_status status = try_engine(&e, CUDDLE_ON);
            if (!status) status = try_model(&h, e, 1);
            int count = 0;
            if (!status) {
                cuddle_request *r;
                const int32_t prompt[] = { 3, 9, 8 };
                status = cuddle_request_submit(&r, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = prompt, .count = 3 }, 1, &o, NULL, NULL, &err);
                if (!status) status = cuddle_request_wait(r, -1, &err);
                if (!status) count = tokens_of(got, r);
                cuddle_request_free(r);
            }
            cuddle_model_free(h);
            cuddle_engine_free(e);
            const long made = i >= 0 ? emu_fail_call(calls[i], 0, 0, false) : 0;
            char when[80];
            snprintf(when, sizeof when, "%s failed the %d. time", i >= 0 ? calls[i] : "nothing", n);
            nothing_left(when);
            if (i < 0) {
                ck_ok(status);
                memcpy(want, got, sizeof want);
                break;
            }
            if (made < n) break; /* it is not called so often */
            if (status) {
                failed++;
                ck_assert_msg(err.text[0] != 0, "%s, and there is no sentence", when);
            } else {
                survived++;
                ck_assert_msg(count == o.max_tokens && memcmp(got, want, (size_t)count * sizeof *got) == 0, "%s, and the tokens are others", when);
            }
        }
    }
    ck_assert_int_ge(failed, emu_checks_races() ? 10 : 40);
    ck_assert_int_ge(survived, emu_checks_races() ? 1 : 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine on a device");
    TCase *tc = tcase_create("engine");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, tokens_are_those_that_the_host_picks);
    tcase_add_test(tc, whatever_comes_and_goes);
    tcase_add_test(tc, forks_go_on_from_what_was_computed);
    tcase_add_test(tc, the_block_stays_on_the_device);
    tcase_add_test(tc, masks_are_made_behind_the_launch);
    tcase_add_test(tc, another_version_of_the_library_is_refused);
    tcase_add_test(tc, a_machine_without_a_device_says_so);
    tcase_add_test(tc, too_little_memory_names_the_numbers);
    tcase_add_test(tc, every_failing_call_is_an_error_or_makes_no_difference);
    tcase_add_test(tc, a_lost_device_ends_every_engine_on_it); /* last: it leaves the device as it is */
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
