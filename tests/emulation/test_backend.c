/* The whole CUDA backend on the emulated device: a checkpoint is loaded, prefilled and decoded, and gives transformers' logits. */
#include "cuda/module.h"
#include "engine/engine.h"
#include "model_runner.h"
#include "parity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const cases[] = { "gpt2/base", "gpt2/unprefixed", "llama/base", "llama/llama3-rope", "llama/sharded-bf16" };
enum { CASES = sizeof cases / sizeof *cases };

static cuddle_error err;

static backend *open_device(void)
{
    backend *b;
    err = (cuddle_error){ CUDDLE_OK, "" };
    const cuda_module *module = cud_cuda_module(CUD_CUDA_ABI, sizeof(op_table));
    ck_assert_ptr_nonnull(module);
    ck_assert_int_gt(module->count(&err), 0);
    ck_ok(module->open(&b, 0, &err));
    return b;
}

START_TEST(another_version_of_the_library_is_refused)
{
    ck_assert_ptr_null(cud_cuda_module(CUD_CUDA_ABI + 1, sizeof(op_table)));
    ck_assert_ptr_null(cud_cuda_module(CUD_CUDA_ABI, sizeof(op_table) + 8));
}
END_TEST

START_TEST(devices_that_are_not_there_are_refused)
{
    backend *b;
    err = (cuddle_error){ CUDDLE_OK, "" };
    test_expect_failure(cud_cuda_module(CUD_CUDA_ABI, sizeof(op_table))->open(&b, 99, &err), CUDDLE_E_DEVICE, &err);
    ck_assert_ptr_null(b);
}
END_TEST

START_TEST(logits_equal_transformers)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", test_path("parity"), cases[_i]);
    expectation e;
    expectation_read(&e, path);
    model_runner r;
    runner_open_on(&r, open_device(), path, CUDDLE_F32, false, true);
    float *logits = malloc((size_t)RUNNER_BATCH * (size_t)e.vocabulary * sizeof *logits);
    for (int i = 0; i < SEQUENCES; i++) { /* a chunk, then the rest, each with a decoded row beside it */
        runner_sequence s = { .ids = e.ids[i], .pages = { 3, 17, 9, 24 } };
        const int first = e.length[i] > 4 ? 4 : e.length[i];
        runner_step(&r, &(runner_part){ &s, first }, 1, logits);
        for (int row = 0; row < first; row++) expect_close(&e, i, row, logits + row * e.vocabulary, cases[_i]);
        while (s.computed < e.length[i]) {
            const int at = s.computed, rows = at == 4 ? 1 : e.length[i] - at;
            runner_step(&r, &(runner_part){ &s, rows }, 1, logits);
            for (int row = 0; row < rows; row++) expect_close(&e, i, at + row, logits + row * e.vocabulary, cases[_i]);
        }
    }
    free(logits);
    runner_close(&r);
    expectation_free(&e);
}
END_TEST

/* The engine over the emulated device: two requests in shared steps, greedy tokens as transformers'. */
START_TEST(greedy_tokens_equal_transformers)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", test_path("parity"), cases[_i]);
    expectation e;
    expectation_read(&e, path);
    cuddle_engine *engine;
    cuddle_engine_options options;
    cuddle_engine_options_init(&options);
    options.deterministic = CUDDLE_ON;
    ck_ok(cud_engine_new(&engine, open_device(), CUDDLE_DEVICE_CUDA, &options, &err));
    cuddle_model *h;
    cuddle_model_options load;
    cuddle_model_options_init(&load);
    load.dtype = "float32";
    load.max_batch = 16;
    load.max_sequences = 2;
    ck_ok(cuddle_model_load(&h, engine, path, &load, &err));
    cuddle_generation_options how;
    cuddle_generation_options_init(&how);
    how.temperature = 0;
    how.max_tokens = e.greedy_count / 2;
    how.ignore_eos = 1;
    cuddle_request *r[2];
    for (int i = 0; i < 2; i++)
        ck_ok(cuddle_request_submit(&r[i], h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = e.prompt, .count = (size_t)e.prompt_count }, 1, &how,
                                    NULL, NULL, &err));
    for (int i = 0; i < 2; i++) {
        ck_ok(cuddle_request_wait(r[i], -1, &err));
        cuddle_result result = { .struct_size = sizeof result };
        ck_ok(cuddle_request_result(r[i], &result, &err));
        for (size_t k = 0; k < result.count; k++) ck_assert_int_eq(result.ids[k], e.greedy[k]);
        cuddle_request_free(r[i]);
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
    expectation_free(&e);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuda backend");
    TCase *tc = tcase_create("backend");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, another_version_of_the_library_is_refused);
    tcase_add_test(tc, devices_that_are_not_there_are_refused);
    tcase_add_loop_test(tc, logits_equal_transformers, 0, CASES);
    tcase_add_loop_test(tc, greedy_tokens_equal_transformers, 0, 2);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
