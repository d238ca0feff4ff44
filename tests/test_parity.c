/* Every checkpoint of tests/parity/ against transformers' float32 logits, alone, in chunks and in mixed steps. */
#include "format/checkpoint.h"
#include "format/json.h"
#include "model_runner.h"
#include "parity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const cases[] = {
    "gpt2/base", "gpt2/inverse-layer-scale", "gpt2/unprefixed", "llama/base", "llama/llama3-rope", "llama/sharded-bf16", "llama/linear-rope", "llama/yarn",
    "llama/yarn-mscale", "mistral/window", "mistral/no-window", "qwen2/base", "qwen2/window", "qwen3/base", "qwen3/window", "gpt_neox/parallel",
    "gpt_neox/sequential", "phi3/window", "phi3/no-window", "gemma2/base", "gemma2/no-caps",
    /* the tensors of another case, config.json spelled differently: no device knows */
    "llama/llama3-rope-v4", "qwen2/window-v4", "gemma2/base-v4",
};
enum { CASES = sizeof cases / sizeof *cases, TWINS = 3 };

static runner_sequence sequence_of(const expectation *e, int i)
{
    /* Pages in no order, and not shared with the neighbours. */
    runner_sequence s = { .ids = e->ids[i] };
    for (int p = 0; p < 8; p++) s.pages[p] = (p * 5 + i * 11 + 3) % 32;
    for (int p = 0; p < 4; p++) s.pages[p] = 4 * ((i * 3 + 2) % 8) + (p * 3 + 1) % 4;
    return s;
}

START_TEST(logits_equal_transformers)
{
    const char *dir = test_path("parity");
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, cases[_i]);
    expectation e;
    expectation_read(&e, path);
    for (int variant = 0; variant < 3; variant++) { /* map, read, and not deterministic with two threads */
        model_runner r;
        runner_open(&r, path, CUDDLE_F32, variant == 0, variant == 2 ? 2 : 1, variant != 2);
        float *logits = malloc((size_t)RUNNER_BATCH * (size_t)e.vocabulary * sizeof *logits);
        for (int i = 0; i < SEQUENCES; i++) {
            runner_sequence s = sequence_of(&e, i);
            runner_step(&r, &(runner_part){ &s, e.length[i] }, 1, logits);
            for (int row = 0; row < e.length[i]; row++) expect_close(&e, i, row, logits + row * e.vocabulary, cases[_i]);
        }
        free(logits);
        runner_close(&r);
    }
    expectation_free(&e);
}
END_TEST

/* Rounding to bfloat16 takes us no further from float32 than 1.5 times as far as it takes transformers. */
START_TEST(bfloat16_is_as_near_as_transformers)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", test_path("parity"), cases[_i]);
    expectation e;
    expectation_read(&e, path);
    model_runner r;
    runner_open(&r, path, CUDDLE_BF16, true, 2, true);
    float *logits = malloc((size_t)RUNNER_BATCH * (size_t)e.vocabulary * sizeof *logits);
    double squares = 0;
    int64_t count = 0;
    for (int i = 0; i < SEQUENCES; i++) {
        runner_sequence s = sequence_of(&e, i);
        runner_step(&r, &(runner_part){ &s, e.length[i] }, 1, logits);
        for (int k = 0; k < e.length[i] * e.vocabulary; k++) {
            const double off = (double)logits[k] - (double)e.logits[i][k];
            squares += off * off;
            count++;
        }
    }
    const double error = sqrt(squares / (double)count);
    ck_assert_msg(error <= 1.5 * e.bfloat16_error, "%s: %g, transformers %g", cases[_i], error, e.bfloat16_error);
    ck_assert_msg(error > 0.1 * e.bfloat16_error, "%s: %g, transformers %g: was it bfloat16 at all?", cases[_i], error, e.bfloat16_error);
    if (getenv("CUDDLE_TEST_PRINT")) fprintf(stderr, "%s: %.3f of transformers' error\n", cases[_i], error / e.bfloat16_error);
    free(logits);
    runner_close(&r);
    expectation_free(&e);
}
END_TEST

static double difference(const float *a, const float *b, int count) /* root mean square */
{
    double squares = 0;
    for (int i = 0; i < count; i++) squares += pow((double)a[i] - (double)b[i], 2);
    return sqrt(squares / count);
}

/* Activations of float32 and a cache of another type: keys and values are rounded once, when they are stored, and nothing else is. transformers' cache
 * was made to do so; a number that lies between two others may be rounded the other way here, so the logits are as near to those as a tenth
 * of what rounding changes. The sequence comes whole, and then in a chunk and one by one. */
START_TEST(a_cache_of_another_type_rounds_what_it_stores)
{
    static const char *const names[] = { "gpt2/base", "llama/base", "qwen3/base", "gemma2/no-caps" };
    const bool half = _i % 2;
    cuddle_error err = { CUDDLE_OK, "" };
    char path[1024], key[64];
    checkpoint *c;
    ck_ok(cud_checkpoint_open(&c, test_path("parity/cache/expected.safetensors"), &err));
    snprintf(key, sizeof key, "%s.%s", names[_i / 2], half ? "float16" : "bfloat16");
    const int64_t at = cud_checkpoint_find(c, key);
    ck_assert_msg(at >= 0, "there is no %s", key);
    float *want = malloc((size_t)cud_checkpoint_get(c, at)->bytes);
    ck_ok(cud_checkpoint_read(c, at, want, 0, (size_t)cud_checkpoint_get(c, at)->bytes, &err));
    snprintf(path, sizeof path, "%s/%s", test_path("parity"), names[_i / 2]);
    expectation e;
    expectation_read(&e, path);
    const int longest = SEQUENCES - 1, count = e.length[longest] * e.vocabulary;
    ck_assert_uint_eq(cud_checkpoint_get(c, at)->bytes, (uint64_t)count * sizeof *want);
    const double rounding = difference(want, e.logits[longest], count);
    float *logits = malloc((size_t)RUNNER_BATCH * (size_t)e.vocabulary * sizeof *logits);
    for (int in_pieces = 0; in_pieces < 2; in_pieces++) {
        model_runner r;
        runner_open_cache(&r, path, CUDDLE_F32, half ? CUDDLE_F16 : CUDDLE_BF16);
        runner_sequence s = sequence_of(&e, longest);
        while (s.computed < e.length[longest]) {
            const int from = s.computed, rows = !in_pieces ? e.length[longest] : from ? 1 : 20;
            runner_step(&r, &(runner_part){ &s, rows }, 1, logits + from * e.vocabulary);
        }
        const double off = difference(logits, want, count);
        ck_assert_msg(off < 0.1 * rounding, "%s: off by %g, where rounding changes %g", key, off, rounding);
        if (getenv("CUDDLE_TEST_PRINT")) fprintf(stderr, "%s: %.5f of what rounding changes\n", key, off / rounding);
        runner_close(&r);
    }
    free(want);
    free(logits);
    expectation_free(&e);
    cud_checkpoint_free(c);
}
END_TEST

/* One step holds a decoding and a prefilling sequence: each row has the same bits as when its sequence ran alone, in one piece. */
START_TEST(mixed_steps_equal_each_sequence_alone)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", test_path("parity"), cases[_i]);
    expectation e;
    expectation_read(&e, path);
    for (int bf16 = 0; bf16 < 2; bf16++) {
        model_runner r;
        runner_open(&r, path, bf16 ? CUDDLE_BF16 : CUDDLE_F32, true, 2, true);
        const size_t row_bytes = (size_t)e.vocabulary * sizeof(float);
        float *alone[SEQUENCES], *logits = malloc(RUNNER_BATCH * row_bytes);
        for (int i = 0; i < SEQUENCES; i++) {
            runner_sequence s = sequence_of(&e, i);
            alone[i] = malloc((size_t)e.length[i] * row_bytes);
            runner_step(&r, &(runner_part){ &s, e.length[i] }, 1, alone[i]);
        }
        ck_assert_int_ge(e.length[1], 4);
        ck_assert_int_ge(e.length[2], 20);
        runner_sequence a = sequence_of(&e, 1), b = sequence_of(&e, 2);
        runner_part first[] = { { &a, 3 } };
        runner_step(&r, first, 1, logits);
        ck_assert_msg(memcmp(logits, alone[1], 3 * row_bytes) == 0, "%s: a first chunk differs", cases[_i]);
        for (int chunk = 0; a.computed < e.length[1]; chunk++) {
            const int rows = chunk == 0 ? 1 : 7, at = b.computed, decoded = a.computed;
            runner_part parts[] = { { &b, rows }, { &a, 1 } };
            runner_step(&r, parts, 2, logits);
            ck_assert_msg(memcmp(logits, alone[2] + at * e.vocabulary, (size_t)rows * row_bytes) == 0, "%s: the prefilling sequence differs", cases[_i]);
            ck_assert_msg(memcmp(logits + rows * e.vocabulary, alone[1] + decoded * e.vocabulary, row_bytes) == 0,
                          "%s: the decoding sequence differs", cases[_i]);
        }
        for (int i = 0; i < SEQUENCES; i++) free(alone[i]);
        free(logits);
        runner_close(&r);
    }
    expectation_free(&e);
}
END_TEST

static float embed_scale;

static cuddle_status note_embed_scale(exec *ex, const embed_args *args, cuddle_error *err)
{
    (void)ex, (void)err;
    embed_scale = args->scale;
    return CUDDLE_OK;
}

/* Gemma's factor is rounded before it multiplies: sqrt(40) = 6.324555... */
START_TEST(embeddings_are_scaled_in_the_type_of_the_activations)
{
    static const struct {
        dtype type;
        float scale;
    } want[] = { { CUDDLE_F32, 6.3245553f }, { CUDDLE_BF16, 6.3125f }, { CUDDLE_F16, 6.32421875f } };
    for (int i = 0; i < 3; i++) {
        cuddle_error err = { CUDDLE_OK, "" };
        model_runner r;
        runner_open(&r, test_path("parity/gemma2/no-caps"), want[i].type, true, 1, true);
        exec ex;
        tensor logits;
        cud_model_exec(&ex, r.m, EXEC_RECORD);
        op_table ops = *ex.ops;
        ops.embed = note_embed_scale;
        ex.ops = &ops;
        step s = r.host;
        s.tokens = s.sequences = s.outputs = s.max_query = s.max_kv = 1;
        ck_ok(cud_model_forward(&ex, r.m, &s, &logits, &err));
        ck_assert_msg(memcmp(&embed_scale, &want[i].scale, sizeof embed_scale) == 0, "%.9g, expected %.9g", (double)embed_scale, (double)want[i].scale);
        runner_close(&r);
    }
}
END_TEST

START_TEST(greedy_tokens_equal_transformers)
{
    cuddle_error err = { CUDDLE_OK, "" };
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", test_path("parity"), cases[_i]);
    expectation e;
    expectation_read(&e, path);
    cuddle_engine *engine;
    cuddle_model *model_;
    cuddle_engine_options options;
    cuddle_engine_options_init(&options, sizeof options);
    options.device = test_device();
    options.backend_dir = test_backend_dir();
    ck_ok(cuddle_engine_new(&engine, &options, &err));
    cuddle_model_options load;
    cuddle_model_options_init(&load, sizeof load);
    load.dtype = "float32";
    ck_ok(cuddle_model_load(&model_, engine, path, &load, &err));
    cuddle_generation_options how;
    cuddle_generation_options_init(&how, sizeof how);
    how.temperature = 0;
    how.max_tokens = e.greedy_count;
    how.ignore_eos = 1;
    cuddle_request *request;
    ck_ok(cuddle_request_submit(&request, model_, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = e.prompt, .count = (size_t)e.prompt_count },
                                1, &how, NULL, NULL, &err));
    ck_ok(cuddle_request_wait(request, -1, &err));
    cuddle_result result = { .struct_size = sizeof result };
    ck_ok(cuddle_request_result(request, &result, &err));
    ck_assert_int_eq((int)result.count, e.greedy_count);
    for (int i = 0; i < e.greedy_count; i++) ck_assert_msg(result.ids[i] == e.greedy[i], "%s: token %d", cases[_i], i);
    ck_assert_int_eq(result.finish, CUDDLE_FINISH_LENGTH);
    cuddle_request_free(request);
    cuddle_model_free(model_);
    cuddle_engine_free(engine);
    expectation_free(&e);
}
END_TEST

/* From text to tokens to greedy tokens to text, on the demo checkpoint, as transformers did it. */
START_TEST(the_demo_checkpoint_continues_as_transformers_does)
{
    cuddle_error err = { CUDDLE_OK, "" };
    json_t *root;
    ck_ok(cud_json_load(&root, test_path("models/kjv-gpt2/expected.json"), CUD_JSON_MAX, &err));
    cuddle_engine *engine;
    cuddle_model *h;
    cuddle_engine_options options;
    cuddle_engine_options_init(&options, sizeof options);
    options.device = test_device();
    options.backend_dir = test_backend_dir();
    ck_ok(cuddle_engine_new(&engine, &options, &err));
    cuddle_model_options load;
    cuddle_model_options_init(&load, sizeof load);
    load.dtype = "float32";
    ck_ok(cuddle_model_load(&h, engine, test_path("models/kjv-gpt2"), &load, &err));
    const json_t *list = json_object_get(root, "cases");
    ck_assert_uint_ge(json_array_size(list), 3);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i), *prompt_ids = json_object_get(c, "input_ids"), *ids = json_object_get(c, "generated_ids");
        const char *prompt = json_string_value(json_object_get(c, "prompt")), *text = json_string_value(json_object_get(c, "text"));
        cuddle_generation_options how;
        cuddle_generation_options_init(&how, sizeof how);
        how.temperature = 0;
        how.max_tokens = (int)json_array_size(ids);
        how.ignore_eos = 1;
        cuddle_request *request;
        ck_ok(cuddle_request_submit(&request, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TEXT, .text = prompt, .count = strlen(prompt) }, 1, &how, NULL,
                                    NULL, &err));
        ck_ok(cuddle_request_wait(request, -1, &err));
        cuddle_result result = { .struct_size = sizeof result };
        ck_ok(cuddle_request_result(request, &result, &err));
        ck_assert_uint_eq(result.prompt_count, json_array_size(prompt_ids));
        for (size_t k = 0; k < result.prompt_count; k++) ck_assert_int_eq(result.prompt_ids[k], (int)json_integer_value(json_array_get(prompt_ids, k)));
        ck_assert_uint_eq(result.count, json_array_size(ids));
        for (size_t k = 0; k < result.count; k++) ck_assert_int_eq(result.ids[k], (int)json_integer_value(json_array_get(ids, k)));
        ck_assert_uint_ge(strlen(text), result.text_length);
        ck_assert_str_eq(text + strlen(text) - result.text_length, result.text);
        cuddle_request_free(request);
    }
    json_decref(root);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* The recorded plan is exact: the largest steps, one long prompt and many decoding sequences, use all of the workspace and not a byte more. */
START_TEST(the_largest_steps_use_the_planned_workspace)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", test_path("parity"), cases[_i]);
    model_runner r;
    runner_open(&r, path, CUDDLE_F32, true, 2, true);
    const int vocabulary = (int)r.m->spec.stack[0].vocabulary, longest = r.m->max_context < RUNNER_BATCH ? r.m->max_context : RUNNER_BATCH;
    float *logits = malloc((size_t)RUNNER_BATCH * (size_t)vocabulary * sizeof *logits);
    int32_t ids[RUNNER_BATCH];
    for (int i = 0; i < RUNNER_BATCH; i++) ids[i] = i % vocabulary;
    runner_sequence s = { .ids = ids, .pages = { 4, 2, 7, 1 } }, many[RUNNER_BATCH];
    runner_part parts[RUNNER_BATCH] = { { &s, longest } };
    int count = 1;
    for (; longest + count - 1 < RUNNER_BATCH; count++) { /* fill the step up */
        many[count] = (runner_sequence){ .ids = ids, .pages = { 8 + count % 24 } };
        parts[count] = (runner_part){ &many[count], 1 };
    }
    runner_step(&r, parts, count, logits);
    ck_assert_int_eq(r.host.outputs, r.m->caps.outputs);
    size_t peak = r.peak;
    for (int i = 0; i < RUNNER_SEQUENCES; i++) {
        many[i] = (runner_sequence){ .ids = ids, .pages = { i % 32 } };
        parts[i] = (runner_part){ &many[i], 1 };
    }
    runner_step(&r, parts, RUNNER_SEQUENCES, logits);
    if (r.peak > peak) peak = r.peak;
    ck_assert_uint_eq(peak, r.m->workspace_bytes);
    free(logits);
    runner_close(&r);
}
END_TEST

int main(void)
{
    const int count = test_on_cpu() ? CASES : CASES - TWINS;
    Suite *suite = suite_create("parity");
    TCase *logits = tcase_create("logits"), *mixed = tcase_create("mixed"), *greedy = tcase_create("greedy"), *demo = tcase_create("demo"),
          *memory = tcase_create("memory");
    TCase *const all[] = { logits, mixed, greedy, demo, memory };
    tcase_add_loop_test(logits, logits_equal_transformers, 0, count);
    tcase_add_loop_test(logits, bfloat16_is_as_near_as_transformers, 0, count);
    tcase_add_loop_test(logits, a_cache_of_another_type_rounds_what_it_stores, 0, 8);
    tcase_add_loop_test(mixed, mixed_steps_equal_each_sequence_alone, 0, count);
    tcase_add_loop_test(greedy, greedy_tokens_equal_transformers, 0, count);
    tcase_add_test(demo, the_demo_checkpoint_continues_as_transformers_does);
    tcase_add_test(memory, embeddings_are_scaled_in_the_type_of_the_activations);
    tcase_add_loop_test(memory, the_largest_steps_use_the_planned_workspace, 0, count);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        tcase_set_timeout(all[i], 0);
        suite_add_tcase(suite, all[i]);
    }
    return test_run(suite);
}
