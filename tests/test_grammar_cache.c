/* Grammars that a model keeps: what is compiled again and what is not, by count and by bytes, while it is in use, and when memory runs out.
 * Threads that ask at once are in test_grammar_threads.c. */
#include "engine_support.h"

#include <string.h>

static cuddle_error err;
static cuddle_engine *engine;

static void setup(void)
{
    err = (cuddle_error){ CUDDLE_OK, "" };
    const cuddle_engine_options o = test_engine_options(0);
    engine = test_engine(&o);
}

static void teardown(void) { cuddle_engine_free(engine); }

static cuddle_model *load(int most, size_t most_bytes)
{
    cuddle_model_options o = test_model_options();
    o.max_context = 128;
    o.max_sequences = 2;
    o.max_grammars = most;
    o.max_grammar_bytes = most_bytes;
    return test_model(engine, "models/kjv-gpt2", &o);
}

static cuddle_grammar_options regex(const char *source)
{
    cuddle_grammar_options o;
    cuddle_grammar_options_init(&o, sizeof o);
    o.kind = CUDDLE_GRAMMAR_REGEX;
    o.source = source;
    o.length = strlen(source);
    return o;
}

static cuddle_grammar *ask(cuddle_model *h, const cuddle_grammar_options *o)
{
    cuddle_grammar *g = NULL;
    ck_ok(cuddle_model_grammar(&g, h, o, &err));
    return g;
}

static cuddle_engine_stats stats(void)
{
    cuddle_engine_stats s = { .struct_size = sizeof s };
    ck_ok(cuddle_engine_get_stats(engine, &s, &err));
    return s;
}

static bool matches(cuddle_grammar *g, const char *text)
{
    int whole;
    ck_ok(cuddle_grammar_match(NULL, &whole, g, text, strlen(text), &err));
    return whole;
}

/* Asks, holds nothing, and says whether it was compiled for that. */
static bool is_compiled(cuddle_model *h, const char *source)
{
    const uint64_t before = stats().grammar_seconds.count;
    const cuddle_grammar_options o = regex(source);
    cuddle_grammar *g = ask(h, &o);
    ck_assert(matches(g, source)); /* sources here match themselves */
    cuddle_grammar_free(g);
    const uint64_t more = stats().grammar_seconds.count - before;
    ck_assert_uint_le(more, 1);
    return more == 1;
}

START_TEST(the_same_is_compiled_once)
{
    cuddle_model *h = load(0, 0);
    char source[] = "[a-c]+";
    cuddle_grammar_options o = regex(source);
    cuddle_grammar *first = ask(h, &o);
    memset(source, 'x', 3); /* what was given is copied */
    cuddle_grammar_options again = regex("[a-c]+");
    cuddle_grammar *second = ask(h, &again);
    ck_assert_ptr_eq(first, second);
    const cuddle_engine_stats s = stats();
    ck_assert_uint_eq(s.grammar_asked, 2);
    ck_assert_uint_eq(s.grammar_hits, 1);
    ck_assert_uint_eq(s.grammar_seconds.count, 1);
    ck_assert_double_gt(s.grammar_seconds.sum, 0);
    ck_assert_int_eq(s.grammars_kept, 1);
    cuddle_grammar_info info = { .struct_size = sizeof info };
    ck_ok(cuddle_grammar_get_info(first, &info, &err));
    ck_assert_uint_ge(s.grammar_bytes, info.program_bytes + info.state_bytes);
    ck_assert(matches(first, "abc"));
    cuddle_grammar_free(first);
    ck_assert(matches(second, "cab") && !matches(second, "cax"));
    cuddle_grammar_free(second);
    cuddle_model_free(h);
    ck_assert_int_eq(stats().grammars_kept, 0);
    ck_assert_uint_eq(stats().grammar_hits, 1);
}
END_TEST

START_TEST(what_differs_is_another) /* in its kind, its bounds, or where one choice ends and the next begins */
{
    static const char *const ab_c[] = { "ab", "c" }, *const a_bc[] = { "a", "bc" }, *const abc[] = { "abc" };
    cuddle_grammar_options o[8];
    for (int i = 0; i < 8; i++) o[i] = regex("(a|b)");
    o[1].kind = CUDDLE_GRAMMAR_GBNF;
    o[1].source = "root ::= (\"a\" | \"b\")";
    o[1].length = strlen(o[1].source);
    o[2].max_depth = 7;
    o[3].max_memory = 1 << 20;
    o[4].max_steps = 100000;
    o[5].max_source = 10;
    for (int i = 6; i < 8; i++) {
        cuddle_grammar_options_init(&o[i], sizeof o[i]);
        o[i].kind = CUDDLE_GRAMMAR_CHOICE;
        o[i].choices = i == 6 ? ab_c : a_bc;
        o[i].choice_count = 2;
    }
    cuddle_model *h = load(0, 0);
    cuddle_grammar *g[8];
    for (int i = 0; i < 8; i++) {
        g[i] = ask(h, &o[i]);
        for (int k = 0; k < i; k++) ck_assert_ptr_ne(g[i], g[k]);
    }
    for (int i = 0; i < 6; i++) ck_assert(matches(g[i], "a") && !matches(g[i], "ab"));
    ck_assert(matches(g[6], "ab") && !matches(g[6], "bc") && matches(g[7], "bc") && !matches(g[7], "ab"));
    for (int i = 0; i < 8; i++) {
        cuddle_grammar *same = ask(h, &o[i]);
        ck_assert_ptr_eq(same, g[i]);
        cuddle_grammar_free(same);
        cuddle_grammar_free(g[i]);
    }
    o[7].choices = abc;
    o[7].choice_count = 1;
    g[7] = ask(h, &o[7]);
    ck_assert(matches(g[7], "abc") && !matches(g[7], "bc"));
    cuddle_grammar_free(g[7]);
    for (int i = 0; i < 2; i++) { /* no source */
        cuddle_grammar *json = ask(h, NULL);
        ck_assert(matches(json, "{\"a\":1}"));
        cuddle_grammar_free(json);
    }
    ck_assert_uint_eq(stats().grammar_hits, 9);
    ck_assert_int_eq(stats().grammars_kept, 10);
    cuddle_model_free(h);
}
END_TEST

START_TEST(what_was_asked_for_last_is_kept)
{
    cuddle_model *h = load(2, 0);
    static const struct { const char *source; bool compiled; } asked[] = {
        { "a", true }, { "b", true }, { "a", false }, { "c", true }, /* b goes */ { "a", false }, { "b", true }, /* c goes */
        { "a", false }, { "c", true }, { "b", true }, { "c", false },
    };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        ck_assert_msg(is_compiled(h, asked[i].source) == asked[i].compiled, "number %zu, %s", i, asked[i].source);
    ck_assert_int_eq(stats().grammars_kept, 2);
    cuddle_model_free(h);
}
END_TEST

START_TEST(a_request_goes_on_with_what_was_given_up)
{
    cuddle_model *h = load(1, 0);
    const cuddle_grammar_options o = regex("(ab){20}!");
    cuddle_generation_options how = test_greedy(60);
    how.grammar = ask(h, &o);
    cuddle_request *r = test_submit_text(h, "And God", &how);
    cuddle_grammar_free(how.grammar);
    for (int i = 0; i < 3; i++) ck_assert(test_step(engine));
    ck_assert(is_compiled(h, "other"));
    ck_assert_int_eq(stats().grammars_kept, 1);
    test_run_steps(engine);
    ck_assert_str_eq(test_finished(r).text, "abababababababababababababababababababab!");
    cuddle_request_free(r);
    cuddle_model_free(h);
}
END_TEST

/* States that texts reached count: a grammar that has grown makes place for those asked for later. */
START_TEST(bytes_are_bounded)
{
    enum { BOUND = 3 << 20 };
    cuddle_model *h = load(0, BOUND);
    const cuddle_grammar_options o = regex("[ab]*a[ab]{13}"); /* a text's last 14 signs are its state */
    cuddle_grammar *g = ask(h, &o);
    ck_assert(is_compiled(h, "small") && !is_compiled(h, "small"));
    cuddle_grammar_info info = { .struct_size = sizeof info };
    char text[4096];
    uint32_t random = 1;
    for (int round = 0; round < 1000 && info.program_bytes + info.state_bytes <= BOUND; round++) {
        int begins;
        for (size_t i = 0; i < sizeof text; i++) {
            random = random * 1664525u + 1013904223u;
            text[i] = random >> 31 ? 'a' : 'b';
        }
        ck_ok(cuddle_grammar_match(&begins, NULL, g, text, sizeof text, &err));
        ck_ok(cuddle_grammar_get_info(g, &info, &err));
    }
    ck_assert_uint_gt(info.program_bytes + info.state_bytes, BOUND);
    ck_assert_uint_gt(stats().grammar_bytes, BOUND); /* until the next call */
    ck_assert(!is_compiled(h, "small"));
    ck_assert_int_eq(stats().grammars_kept, 1);
    ck_assert_uint_lt(stats().grammar_bytes, BOUND);
    cuddle_grammar *fresh = ask(h, &o);
    ck_assert_ptr_ne(fresh, g);
    cuddle_grammar_free(fresh);
    cuddle_grammar_free(g);
    cuddle_model_free(h);

    h = load(0, 100); /* nothing fits: it is given all the same */
    ck_assert(is_compiled(h, "small") && is_compiled(h, "small"));
    ck_assert_int_eq(stats().grammars_kept, 0);
    cuddle_model_free(h);
}
END_TEST

START_TEST(failures_are_not_kept)
{
    cuddle_model *h = load(0, 0);
    cuddle_grammar *g = NULL;
    const char *bad[] = { "a", NULL };
    cuddle_grammar_options o[6];
    for (int i = 0; i < 6; i++) o[i] = regex("a(?=b)");
    o[1].source = NULL;
    o[2].max_source = 3;
    o[3].kind = CUDDLE_GRAMMAR_CHOICE;
    o[3].choices = bad;
    o[3].choice_count = 2;
    o[4].kind = (cuddle_grammar_kind)77;
    o[5].max_depth = -1;
    static const cuddle_status wanted[] = { CUDDLE_E_UNSUPPORTED, CUDDLE_E_ARG, CUDDLE_E_LIMIT, CUDDLE_E_ARG, CUDDLE_E_ARG, CUDDLE_E_ARG };
    for (int i = 0; i < 12; i++) {
        cuddle_error direct = { 0 };
        const cuddle_status status = cuddle_model_grammar(&g, h, &o[i / 2], &err);
        ck_assert_int_eq(cuddle_grammar_compile(&g, cuddle_model_tokenizer(h), &o[i / 2], &direct), wanted[i / 2]);
        test_expect_failure(status, wanted[i / 2], &err);
        ck_assert_str_eq(err.text, direct.text);
        ck_assert_ptr_null(g);
    }
    const cuddle_engine_stats s = stats();
    ck_assert_uint_eq(s.grammar_asked, 12);
    ck_assert_uint_eq(s.grammar_seconds.count, 12);
    ck_assert_uint_eq(s.grammar_hits, 0);
    ck_assert_int_eq(s.grammars_kept, 0);
    test_expect_failure(cuddle_model_grammar(NULL, h, &o[0], &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_model_grammar(&g, NULL, &o[0], &err), CUDDLE_E_ARG, &err);
    ck_assert_int_eq(cuddle_model_grammar(&g, h, &o[0], NULL), CUDDLE_E_UNSUPPORTED);
    cuddle_model_free(h);

    cuddle_model_options negative = test_model_options();
    negative.max_grammars = -1;
    test_expect_failure(cuddle_model_load(&h, engine, test_path("models/kjv-gpt2"), &negative, &err), CUDDLE_E_ARG, &err);
    const cuddle_model_options defaults = test_model_options();
    h = test_model(engine, "parity/llama/llama3-rope", &defaults);
    test_expect_failure(cuddle_model_grammar(&g, h, NULL, &err), CUDDLE_E_ARG, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "tokenizer"));
    cuddle_model_free(h);
}
END_TEST

START_TEST(memory_that_runs_out_fails_one_call) /* and what is kept stays as it was */
{
    cuddle_model *h = load(2, 0);
    ck_assert(is_compiled(h, "kept"));
    const cuddle_grammar_options o = regex("(new|ones){2,9}");
    cuddle_grammar *g = NULL;
    cuddle_status status = CUDDLE_E_NOMEM;
    long n = 0;
    while (status) {
        n++;
        test_fail_allocation(n, n % 2);
        status = cuddle_model_grammar(&g, h, &o, &err);
        test_fail_allocation(0, false);
        if (status) {
            test_expect_failure(status, CUDDLE_E_NOMEM, &err);
            ck_assert_ptr_null(g);
            ck_assert_int_eq(stats().grammars_kept, 1);
        }
    }
    ck_assert_int_gt(n, 10);
    ck_assert(matches(g, "newones"));
    cuddle_grammar_free(g);
    ck_assert(!is_compiled(h, "kept"));
    test_fail_allocation(1, true); /* one that is there needs memory for its key only */
    status = cuddle_model_grammar(&g, h, &o, &err);
    test_fail_allocation(0, false);
    test_expect_failure(status, CUDDLE_E_NOMEM, &err);
    test_fail_allocation(2, true);
    status = cuddle_model_grammar(&g, h, &o, &err);
    test_fail_allocation(0, false);
    ck_ok(status);
    cuddle_grammar_free(g);
    cuddle_model_free(h);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("grammar_cache");
    TCase *tc = tcase_create("grammar_cache");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, the_same_is_compiled_once);
    tcase_add_test(tc, what_differs_is_another);
    tcase_add_test(tc, what_was_asked_for_last_is_kept);
    tcase_add_test(tc, a_request_goes_on_with_what_was_given_up);
    tcase_add_test(tc, bytes_are_bounded);
    tcase_add_test(tc, failures_are_not_kept);
    tcase_add_test(tc, memory_that_runs_out_fails_one_call);
    suite_add_tcase(s, tc);
    return test_run(s);
}
