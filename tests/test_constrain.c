/* Requests that are held to a grammar, through cuddle.h: texts that are whole whatever the temperature, ends, neighbours, failures. */
#include "engine_support.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;
static cuddle_engine *engine;
static cuddle_model *model;

static void setup(void)
{
    err = (cuddle_error){ CUDDLE_OK, "" };
    const cuddle_engine_options e = test_engine_options(1);
    engine = test_engine(&e);
    cuddle_model_options o = test_model_options();
    o.max_context = 512;
    o.max_sequences = 8;
    o.max_batch = 64;
    model = test_model(engine, "models/kjv-gpt2", &o);
}

static void teardown(void)
{
    cuddle_model_free(model);
    cuddle_engine_free(engine);
}

static cuddle_grammar *compile(cuddle_grammar_kind kind, const char *source)
{
    cuddle_grammar_options o;
    cuddle_grammar *g = NULL;
    cuddle_grammar_options_init(&o, sizeof o);
    o.kind = kind;
    o.source = source;
    o.length = source ? strlen(source) : 0;
    ck_ok(cuddle_grammar_compile(&g, cuddle_model_tokenizer(model), &o, &err));
    return g;
}

static cuddle_generation_options hot(cuddle_grammar *g, uint64_t seed, int tokens)
{
    cuddle_generation_options o;
    cuddle_generation_options_init(&o, sizeof o);
    o.temperature = 2.5f;
    o.top_k = 0;
    o.top_p = 1;
    o.seed = seed;
    o.max_tokens = tokens;
    o.grammar = g;
    return o;
}

static cuddle_request *submit(const cuddle_generation_options *o) { return test_submit_text(model, "And the king said, ", o); }

static bool whole(cuddle_grammar *g, const cuddle_result *result, bool *begins)
{
    int is_begin, is_whole;
    ck_ok(cuddle_grammar_match(&is_begin, &is_whole, g, result->text, result->text_length, &err));
    if (begins) *begins = is_begin;
    return is_whole;
}

START_TEST(texts_are_whole_however_hot) /* and without the grammar none of them is */
{
    static const char *const schemas[] = { "person", "optional-members", "matrix", "weather", "tree", "any-of", "string-long", "pattern-quotes", "numbers", "invoice" };
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        char path[256];
        snprintf(path, sizeof path, "schemas/%s.json", schemas[i]);
        char *schema = test_read_file(test_path(path), NULL);
        cuddle_grammar *g = compile(CUDDLE_GRAMMAR_JSON_SCHEMA, schema);
        cuddle_request *held[3], *free_one;
        for (int k = 0; k < 3; k++) {
            const cuddle_generation_options o = hot(g, (uint64_t)(10 * i) + (uint64_t)k, 400);
            held[k] = submit(&o);
        }
        cuddle_generation_options o = hot(NULL, i, 40);
        free_one = submit(&o);
        for (int k = 0; k < 3; k++) {
            const cuddle_result result = test_finished(held[k]);
            json_error_t error;
            json_t *value = json_loads(result.text, JSON_DECODE_ANY, &error);
            ck_assert_msg(result.finish == CUDDLE_FINISH_EOS, "%s: %d tokens, '%s'", schemas[i], (int)result.count, result.text);
            ck_assert_msg(whole(g, &result, NULL) && value, "%s: '%s' %s", schemas[i], result.text, error.text);
            json_decref(value);
            cuddle_request_free(held[k]);
        }
        const cuddle_result result = test_finished(free_one);
        ck_assert(!whole(g, &result, NULL));
        cuddle_request_free(free_one);
        cuddle_grammar_free(g);
        free(schema);
    }
}
END_TEST

START_TEST(ends_where_nothing_may_follow) /* without an end-of-sequence token; where something may, with one */
{
    cuddle_grammar *g = compile(CUDDLE_GRAMMAR_REGEX, "(yes|no)!");
    cuddle_generation_options o = hot(g, 1, 50);
    o.ignore_eos = 1;
    cuddle_request *r = submit(&o);
    cuddle_result result = test_finished(r);
    ck_assert_int_eq(result.finish, CUDDLE_FINISH_EOS);
    ck_assert(strcmp(result.text, "yes!") == 0 || strcmp(result.text, "no!") == 0);
    ck_assert_int_ne(result.ids[result.count - 1], 0); /* <|endoftext|> */
    cuddle_request_free(r);
    cuddle_grammar_free(g);

    g = compile(CUDDLE_GRAMMAR_REGEX, "[a-z]{0,3}");
    size_t ended = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        o = hot(g, seed, 50);
        o.stop_tokens = (const int32_t[]){ 0 }; /* the same token, made likely below by what it competes with */
        o.stop_token_count = 1;
        r = submit(&o);
        result = test_finished(r);
        ck_assert_int_eq(result.finish, CUDDLE_FINISH_EOS);
        ck_assert(result.text_length <= 3);
        ended += result.ids[result.count - 1] == 0;
        cuddle_request_free(r);
    }
    ck_assert_uint_lt(ended, 20);
    cuddle_grammar_free(g);
}
END_TEST

START_TEST(a_stop_token_comes_only_where_the_text_may_end)
{
    const int32_t comma = cuddle_tokenizer_id(cuddle_model_tokenizer(model), ",");
    ck_assert_int_ge(comma, 0);
    cuddle_grammar *g = compile(CUDDLE_GRAMMAR_REGEX, "a,b,c,d");
    cuddle_generation_options o = hot(g, 3, 50);
    o.stop_tokens = &comma;
    o.stop_token_count = 1;
    cuddle_request *r = submit(&o);
    cuddle_error why = { 0 };
    /* The only tokens that could go on are the stop token and those that hold it. */
    const cuddle_status status = cuddle_request_wait(r, -1, &why);
    cuddle_result result = { .struct_size = sizeof result };
    ck_ok(cuddle_request_result(r, &result, &err));
    if (status) ck_assert(status == CUDDLE_E_FORMAT && strstr(why.text, "no token is left"));
    else ck_assert_str_eq(result.text, "a,b,c,d");
    for (size_t i = 0; i + 1 < result.count; i++) ck_assert_int_ne(result.ids[i], comma);
    cuddle_request_free(r);
    cuddle_grammar_free(g);
}
END_TEST

START_TEST(what_is_cut_is_a_beginning)
{
    cuddle_grammar *g = compile(CUDDLE_GRAMMAR_JSON, NULL);
    bool begins;
    for (uint64_t seed = 0; seed < 10; seed++) {
        const cuddle_generation_options o = hot(g, seed, 7);
        cuddle_request *r = submit(&o);
        const cuddle_result result = test_finished(r);
        const bool is_whole = whole(g, &result, &begins);
        ck_assert_msg(begins && (result.finish == CUDDLE_FINISH_LENGTH || is_whole), "'%s'", result.text);
        cuddle_request_free(r);
    }
    cuddle_grammar_free(g);
}
END_TEST

START_TEST(neighbours_do_not_notice)
{
    cuddle_grammar *g = compile(CUDDLE_GRAMMAR_JSON, NULL);
    int32_t alone[2][30];
    size_t counts[2];
    for (int together = 0; together < 2; together++) {
        cuddle_generation_options o[2] = { hot(NULL, 5, 30), hot(g, 6, 30) };
        cuddle_request *r[2];
        for (int i = 0; i < 2; i++) {
            r[i] = submit(&o[i]);
            if (!together) test_finished(r[i]);
        }
        for (int i = 0; i < 2; i++) {
            const cuddle_result result = test_finished(r[i]);
            if (together) {
                ck_assert_uint_eq(result.count, counts[i]);
                ck_assert_mem_eq(result.ids, alone[i], result.count * sizeof *result.ids);
            } else {
                counts[i] = result.count;
                memcpy(alone[i], result.ids, result.count * sizeof *result.ids);
            }
            cuddle_request_free(r[i]);
        }
    }
    cuddle_grammar_free(g);
}
END_TEST

START_TEST(a_grammar_that_cannot_be_followed_fails_its_request_alone)
{
    cuddle_grammar_options go;
    cuddle_grammar *g = NULL;
    cuddle_grammar_options_init(&go, sizeof go);
    go.kind = CUDDLE_GRAMMAR_REGEX;
    go.source = "[a-z ]{0,10000}[a-z ]{0,10000}[a-z ]{0,10000}c";
    go.length = strlen(go.source);
    go.max_steps = 40000;
    ck_ok(cuddle_grammar_compile(&g, cuddle_model_tokenizer(model), &go, &err));
    const cuddle_generation_options bad = hot(g, 1, 400), good = hot(NULL, 2, 20);
    cuddle_request *failing = submit(&bad), *other = submit(&good);
    const cuddle_status status = cuddle_request_wait(failing, -1, &err);
    test_expect_failure(status, CUDDLE_E_LIMIT, &err);
    err = (cuddle_error){ 0 };
    ck_ok(cuddle_request_wait(other, -1, &err));
    cuddle_request_free(failing);
    cuddle_request_free(other);
    cuddle_grammar_free(g);
}
END_TEST

START_TEST(where_tokens_are_picked_masks_hold) /* one that is held, one whose mask cannot be made, one that is free, in the same steps */
{
    cuddle_grammar_options go;
    cuddle_grammar *g = compile(CUDDLE_GRAMMAR_REGEX, "(yes|no)!"), *broken = NULL;
    cuddle_grammar_options_init(&go, sizeof go);
    go.kind = CUDDLE_GRAMMAR_REGEX;
    go.source = "[a-z ]{0,10000}[a-z ]{0,10000}[a-z ]{0,10000}c";
    go.length = strlen(go.source);
    go.max_steps = 500;
    ck_ok(cuddle_grammar_compile(&broken, cuddle_model_tokenizer(model), &go, &err));
    const cuddle_generation_options o[3] = { hot(g, 4, 6), hot(broken, 5, 6), hot(NULL, 6, 3) };
    cuddle_request *r[3];
    for (int i = 0; i < 3; i++) r[i] = submit(&o[i]);
    const cuddle_result held = test_finished(r[0]);
    ck_assert_msg(strcmp(held.text, "yes!") == 0 || strcmp(held.text, "no!") == 0, "'%s'", held.text);
    test_expect_failure(cuddle_request_wait(r[1], -1, &err), CUDDLE_E_LIMIT, &err);
    err = (cuddle_error){ 0 };
    ck_assert_uint_eq(test_finished(r[2]).count, 3);
    for (int i = 0; i < 3; i++) cuddle_request_free(r[i]);
    cuddle_grammar_free(g);
    cuddle_grammar_free(broken);
}
END_TEST

START_TEST(takes_only_grammars_of_its_tokenizer)
{
    cuddle_tokenizer *t = NULL;
    cuddle_grammar *g = NULL;
    cuddle_request *r = NULL;
    ck_ok(cuddle_tokenizer_load(&t, test_path("tokenizers/gpt2"), &err));
    ck_ok(cuddle_grammar_compile(&g, t, NULL, &err));
    cuddle_tokenizer_free(t);
    const cuddle_generation_options o = hot(g, 1, 5);
    test_expect_failure(cuddle_request_submit(&r, model, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TEXT, .text = "a", .count = 1 }, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, &err);
    ck_assert_ptr_null(r);
    cuddle_grammar_free(g);

    ck_ok(cuddle_tokenizer_load(&t, test_path("models/kjv-gpt2"), &err)); /* another object, the same tokens */
    ck_ok(cuddle_grammar_compile(&g, t, NULL, &err));
    const cuddle_generation_options same = hot(g, 1, 5);
    r = submit(&same);
    cuddle_grammar_free(g);
    cuddle_tokenizer_free(t);
    test_finished(r);
    cuddle_request_free(r);
}
END_TEST

START_TEST(bad_options_are_arguments)
{
    cuddle_grammar *g = NULL;
    cuddle_grammar_options o;
    const cuddle_tokenizer *t = cuddle_model_tokenizer(model);
    int n;
    test_expect_failure(cuddle_grammar_compile(NULL, t, NULL, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_grammar_compile(&g, NULL, NULL, &err), CUDDLE_E_ARG, &err);
    cuddle_grammar_options_init(&o, sizeof o);
    o.kind = (cuddle_grammar_kind)5;
    test_expect_failure(cuddle_grammar_compile(&g, t, &o, &err), CUDDLE_E_ARG, &err);
    o.kind = CUDDLE_GRAMMAR_REGEX; /* without a source */
    test_expect_failure(cuddle_grammar_compile(&g, t, &o, &err), CUDDLE_E_ARG, &err);
    o.kind = CUDDLE_GRAMMAR_CHOICE;
    test_expect_failure(cuddle_grammar_compile(&g, t, &o, &err), CUDDLE_E_ARG, &err);
    o.kind = CUDDLE_GRAMMAR_JSON;
    o.max_depth = CUDDLE_GRAMMAR_DEEPEST + 1;
    test_expect_failure(cuddle_grammar_compile(&g, t, &o, &err), CUDDLE_E_ARG, &err);
    ck_assert_ptr_null(g);
    test_expect_failure(cuddle_grammar_match(&n, &n, NULL, "", 0, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_grammar_get_info(NULL, NULL, &err), CUDDLE_E_ARG, &err);
    cuddle_grammar_free(NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("constrain");
    TCase *texts = tcase_create("texts"), *tc = tcase_create("rest"), *brief = tcase_create("brief"); /* brief: what an imitated GPU has time for */
    tcase_add_unchecked_fixture(brief, setup, teardown);
    tcase_set_timeout(brief, 600);
    tcase_add_test(brief, where_tokens_are_picked_masks_hold);
    suite_add_tcase(s, brief);
    tcase_add_unchecked_fixture(texts, setup, teardown);
    tcase_set_timeout(texts, 600);
    tcase_add_test(texts, texts_are_whole_however_hot);
    suite_add_tcase(s, texts);
    tcase_add_unchecked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 600);
    tcase_add_test(tc, ends_where_nothing_may_follow);
    tcase_add_test(tc, a_stop_token_comes_only_where_the_text_may_end);
    tcase_add_test(tc, what_is_cut_is_a_beginning);
    tcase_add_test(tc, neighbours_do_not_notice);
    tcase_add_test(tc, a_grammar_that_cannot_be_followed_fails_its_request_alone);
    tcase_add_test(tc, takes_only_grammars_of_its_tokenizer);
    tcase_add_test(tc, bad_options_are_arguments);
    suite_add_tcase(s, tc);
    return test_run(s);
}
