/* Beam search against transformers' (tests/generation/beams.json), many requests at once, so that beams wait for each other and give way. */
#include "engine_support.h"
#include "format/json.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_CASES = 40 };

static cuddle_error err;

static void setup(void) { err = (cuddle_error){ CUDDLE_OK, "" }; }

static cuddle_engine *new_engine(void)
{
    cuddle_engine_options o = test_engine_options(0);
    o.deterministic = CUDDLE_ON;
    return test_engine(&o);
}

/* Little room: the largest request fits, and not many at once. */
static cuddle_model *load(cuddle_engine *engine, const char *name, int sequences, cuddle_toggle prefix_cache)
{
    cuddle_model_options o = test_model_options();
    o.max_context = 64;
    o.max_batch = 32;
    o.max_sequences = sequences;
    o.kv_tokens = 6 * 64;
    o.prefix_cache = prefix_cache;
    return test_model(engine, name, &o);
}

static int32_t *ids_of(const json_t *list, size_t *count)
{
    *count = json_array_size(list);
    int32_t *ids = calloc(*count + 1, sizeof *ids);
    for (size_t i = 0; i < *count; i++) ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return ids;
}

static double number(const json_t *parameters, const char *name, double otherwise)
{
    const json_t *v = json_object_get(parameters, name);
    return v ? json_number_value(v) : otherwise;
}

static cuddle_generation_options beams_of(int beams, int tokens)
{
    cuddle_generation_options o = test_greedy(tokens);
    o.num_beams = beams;
    return o;
}

static cuddle_request *submit_case(cuddle_model *h, const json_t *c)
{
    const json_t *p = json_object_get(c, "parameters"), *early = json_object_get(p, "early_stopping");
    cuddle_generation_options o = beams_of((int)number(p, "num_beams", 0), (int)number(p, "max_new_tokens", 0));
    o.n = (int)number(p, "num_return_sequences", 0);
    o.length_penalty = (float)number(p, "length_penalty", 0);
    o.early_stopping = json_is_string(early) ? CUDDLE_BEAMS_NEVER_STOP : json_is_true(early) ? CUDDLE_BEAMS_STOP_EARLY : CUDDLE_BEAMS_STOP_HEURISTIC;
    o.repetition_penalty = (float)number(p, "repetition_penalty", 1);
    o.no_repeat_ngram_size = (int)number(p, "no_repeat_ngram_size", 0);
    o.min_tokens = (int)number(p, "min_new_tokens", 0);
    size_t count;
    int32_t *prompt = ids_of(json_object_get(c, "prompt"), &count), *ends = ids_of(json_object_get(c, "ends"), &o.stop_token_count);
    o.stop_tokens = ends;
    cuddle_request *r = test_submit_ids(h, prompt, count, &o);
    free(prompt);
    free(ends);
    return r;
}

static void check_case(cuddle_request *r, const json_t *c, size_t at)
{
    const json_t *sequences = json_object_get(c, "sequences"), *scores = json_object_get(c, "scores");
    ck_ok(cuddle_request_wait(r, 0, &err));
    ck_assert_int_eq(cuddle_request_choices(r), (int)json_array_size(sequences));
    for (size_t i = 0; i < json_array_size(sequences); i++) {
        cuddle_result got = { .struct_size = sizeof got };
        ck_ok(cuddle_request_result_of(r, (int)i, &got, &err));
        size_t count;
        int32_t *want = ids_of(json_array_get(sequences, i), &count);
        ck_assert_msg(got.count == count && memcmp(got.ids, want, count * sizeof *want) == 0, "case %zu, sequence %zu: %zu tokens, expected %zu", at, i,
                      got.count, count);
        const double score = json_number_value(json_array_get(scores, i));
        ck_assert_double_eq_tol(got.beam_score, score, 1e-4 * (1 + (score < 0 ? -score : score)));
        free(want);
    }
}

/* _i: with and without what beams take over from each other. */
START_TEST(sequences_and_scores_are_transformers)
{
    json_t *root;
    ck_ok(cud_json_load(&root, test_path("generation/beams.json"), CUD_JSON_MAX, &err));
    const json_t *cases = json_object_get(root, "cases");
    cuddle_engine *engine = new_engine();
    const size_t total = json_array_size(cases);
    ck_assert_uint_ge(total, 40);
    for (size_t first = 0; first < total;) {
        const char *dir = json_string_value(json_object_get(json_array_get(cases, first), "checkpoint"));
        cuddle_model *h = load(engine, dir, 7, _i ? CUDDLE_OFF : CUDDLE_ON);
        cuddle_request *r[MOST_CASES];
        size_t n = 0;
        while (first + n < total && strcmp(dir, json_string_value(json_object_get(json_array_get(cases, first + n), "checkpoint"))) == 0) {
            ck_assert_uint_lt(n, MOST_CASES);
            r[n] = submit_case(h, json_array_get(cases, first + n));
            n++;
        }
        test_run_steps(engine);
        for (size_t i = 0; i < n; i++) {
            check_case(r[i], json_array_get(cases, first + i), first + i);
            cuddle_request_free(r[i]);
        }
        cuddle_engine_stats stats = { .struct_size = sizeof stats };
        ck_ok(cuddle_engine_get_stats(engine, &stats, &err));
        ck_assert_uint_eq(stats.kv_pages_used, 0);
        cuddle_model_free(h);
        first += n;
    }
    cuddle_engine_free(engine);
    json_decref(root);
}
END_TEST

/* The text is that of the tokens. */
START_TEST(beams_have_text)
{
    cuddle_engine *engine = new_engine();
    cuddle_model *h = load(engine, "models/kjv-gpt2", 4, CUDDLE_ON);
    cuddle_generation_options o = beams_of(3, 12);
    o.n = 2;
    cuddle_request *r = test_submit_text(h, "And God", &o);
    test_run_steps(engine);
    for (int i = 0; i < 2; i++) {
        cuddle_result got = { .struct_size = sizeof got };
        char *text;
        size_t length;
        ck_ok(cuddle_request_result_of(r, i, &got, &err));
        ck_assert_int_eq(got.finish, CUDDLE_FINISH_LENGTH);
        ck_ok(cuddle_detokenize(&text, &length, cuddle_model_tokenizer(h), got.ids, got.count, CUDDLE_DETOKENIZE_SKIP_SPECIAL, &err));
        ck_assert_str_eq(got.text, text);
        ck_assert_str_eq(cuddle_request_next_text_of(r, i, NULL), text);
        cuddle_text_free(text);
    }
    cuddle_request_free(r);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

static uint64_t rows_of(cuddle_engine *engine)
{
    cuddle_engine_stats stats = { .struct_size = sizeof stats };
    ck_ok(cuddle_engine_get_stats(engine, &stats, &err));
    return stats.rows;
}

/* What a beam continues is never computed again: the prompt takes its rows, and then each beam takes one in every step. _i: with and without what
 * other requests have computed. */
START_TEST(a_step_computes_one_row_for_each_beam)
{
    enum { BEAMS = 4, NEW = 24, PROMPT = 13 };
    cuddle_engine *engine = new_engine();
    cuddle_model *h = load(engine, "models/kjv-gpt2", BEAMS, _i ? CUDDLE_OFF : CUDDLE_ON);
    int32_t prompt[PROMPT];
    for (int i = 0; i < PROMPT; i++) prompt[i] = 20 + i * 7;
    cuddle_generation_options o = beams_of(BEAMS, NEW);
    o.ignore_eos = 1;
    cuddle_request *r = test_submit_ids(h, prompt, PROMPT, &o);
    uint64_t before = rows_of(engine);
    for (int i = 0; i < NEW; i++) {
        ck_assert(test_step(engine));
        const uint64_t now = rows_of(engine);
        ck_assert_uint_eq(now - before, i ? BEAMS : PROMPT);
        before = now;
    }
    ck_assert_int_eq(cuddle_request_finish(r), CUDDLE_FINISH_LENGTH);
    cuddle_request_free(r);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

static void ignore(cuddle_request *r, const cuddle_event *e, void *user) { (void)r, (void)e, (void)user; }

START_TEST(what_does_not_go_with_beams_is_refused)
{
    cuddle_engine *engine = new_engine();
    cuddle_model *h = load(engine, "models/kjv-gpt2", 4, CUDDLE_ON);
    const char *stop = "x";
    for (int i = 0; i < 10; i++) {
        cuddle_generation_options o = beams_of(3, 12);
        static const char *const parts[] = { "temperature has to be 0", "does not go with best_of", "does not go with logprobs", "does not go with stop",
                                             "n is 4, expected at most num_beams, which is 3", "on_event must be NULL", "num_beams is 65, expected 0 to 64",
                                             "5 beams need 5 pages of the cache and 5 places, the model has 24 and 4",
                                             "length_penalty is nan", "early_stopping is 3, expected 0 to 2" };
        if (i == 0) o.temperature = 1;
        if (i == 1) o.best_of = 3;
        if (i == 2) o.logprobs = 0;
        if (i == 3) o.stop = &stop, o.stop_count = 1;
        if (i == 4) o.n = 4;
        if (i == 6) o.num_beams = 65;
        if (i == 7) o.num_beams = 5;
        if (i == 8) o.length_penalty = (float)strtod("nan", NULL);
        if (i == 9) o.early_stopping = (cuddle_early_stopping)3;
        cuddle_request *r;
        const int32_t prompt[] = { 5, 6 };
        const cuddle_status status = cuddle_request_submit(&r, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = prompt, .count = 2 }, 1, &o,
                                                           i == 5 ? ignore : NULL, NULL, &err);
        ck_assert_int_ne(status, CUDDLE_OK);
        ck_assert_msg(strstr(err.text, parts[i]) != NULL, "%d: %s", i, err.text);
        setup();
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* Cancelled and freed after each step: all beams end, and nothing is held. */
START_TEST(beams_end_together)
{
    cuddle_engine *engine = new_engine();
    cuddle_model *h = load(engine, "models/kjv-gpt2", 4, CUDDLE_ON);
    const int32_t prompt[] = { 5, 6, 9 };
    for (int steps = 0; steps < 14; steps++)
        for (int freed = 0; freed < 2; freed++) {
            const cuddle_generation_options o = beams_of(3, 8);
            cuddle_request *r = test_submit_ids(h, prompt, 3, &o);
            for (int i = 0; i < steps; i++) test_step(engine);
            if (!freed) {
                const bool ended = cuddle_request_finish(r) != CUDDLE_FINISH_NONE;
                cuddle_request_cancel(r);
                test_run_steps(engine);
                ck_assert_int_eq(cuddle_request_wait(r, 0, &err), ended ? CUDDLE_OK : CUDDLE_E_CANCELLED);
                setup();
            }
            cuddle_request_free(r);
            cuddle_engine_stats stats = { .struct_size = sizeof stats };
            ck_ok(cuddle_engine_get_stats(engine, &stats, &err));
            ck_assert_int_eq(stats.queued + stats.running, 0);
            ck_assert_uint_eq(stats.kv_pages_used, 0);
        }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

START_TEST(every_failed_allocation_is_an_error)
{
    cuddle_engine *engine = new_engine();
    cuddle_model *h = load(engine, "models/kjv-gpt2", 4, CUDDLE_ON);
    for (long n = 1;; n++) {
        ck_assert_int_lt((int)n, 2000);
        const cuddle_generation_options o = beams_of(3, 6);
        const int32_t prompt[] = { 5, 6, 9 };
        cuddle_request *r = NULL;
        int worked = 1;
        test_fail_allocation(n, false);
        cuddle_status status = cuddle_request_submit(&r, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = prompt, .count = 3 }, 1, &o, NULL, NULL,
                                                     &err);
        while (!status && worked && !(status = cuddle_engine_step(engine, &worked, &err))) {}
        const long counted = test_fail_allocation(0, false);
        if (!status) status = cuddle_request_wait(r, 0, &err);
        cuddle_request_free(r);
        if (counted < n) {
            ck_assert_int_eq(status, CUDDLE_OK);
            ck_assert_int_gt((int)n, 10);
            break;
        }
        if (status) test_expect_failure(status, CUDDLE_E_NOMEM, &err);
        setup();
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("beams");
    TCase *t = tcase_create("beams");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_loop_test(t, sequences_and_scores_are_transformers, 0, 2);
    tcase_add_test(t, beams_have_text);
    tcase_add_loop_test(t, a_step_computes_one_row_for_each_beam, 0, 2);
    tcase_add_test(t, what_does_not_go_with_beams_is_refused);
    tcase_add_test(t, beams_end_together);
    tcase_add_test(t, every_failed_allocation_is_an_error);
    suite_add_tcase(suite, t);
    return test_run(suite);
}
