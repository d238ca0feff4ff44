/* Question answering against tests/tasks: what the pipeline of transformers 4.57 returns for the same logits and tokenizers. */
#include "task_support.h"
#include "tasks/question_answering.h"

static cuddle_error err;
static task_file cases;

static void clear(void) { err = (cuddle_error){ CUDDLE_OK, "" }; }

typedef struct question { /* a case, ready to be asked */
    cuddle_tokenizer *tokenizer;
    cuddle_encoding *encoding;
    const char *text, *context;
    cud_question_window window[64];
    float *logits[128];
    size_t windows;
    cud_question_options o;
} question;

static size_t key_of(const json_t *c, const char *key, size_t otherwise)
{
    const json_t *v = json_object_get(json_object_get(c, "keys"), key);
    return v ? (size_t)json_integer_value(v) : otherwise;
}

static bool flag_of(const json_t *c, const char *key, bool otherwise)
{
    const json_t *v = json_object_get(json_object_get(c, "keys"), key);
    return v ? json_is_true(v) : otherwise;
}

static question ask(const json_t *c)
{
    question q = { .tokenizer = task_tokenizer(c), .text = task_text(c, "question"), .context = task_text(c, "context") };
    const json_t *logits = json_object_get(c, "logits");
    cud_question_lengths lengths = { key_of(c, "max_seq_len", 0), key_of(c, "doc_stride", SIZE_MAX) };
    ck_ok(cud_question_lengths_resolve(&lengths, q.tokenizer, &err));
    cuddle_tokenize_options o;
    cuddle_tokenize_options_init(&o, sizeof o);
    o.truncation = CUDDLE_TRUNCATE_ONLY_SECOND;
    o.max_length = lengths.max_length;
    o.stride = lengths.stride;
    const cuddle_tokenize_input input = { .text = q.text, .length = strlen(q.text), .pair = q.context, .pair_length = strlen(q.context) };
    ck_ok(cuddle_tokenize_with(&q.encoding, q.tokenizer, &input, &o, &err));
    q.windows = json_array_size(logits);
    ck_assert_uint_eq(q.windows, 1 + q.encoding->overflow_count);
    ck_assert_uint_le(q.windows, 64);
    for (size_t i = 0; i < q.windows; i++) {
        const cuddle_encoding *e = i ? q.encoding->overflow[i - 1] : q.encoding;
        size_t count[2];
        for (size_t k = 0; k < 2; k++) q.logits[2 * i + k] = task_floats(&cases, json_array_get(json_array_get(logits, i), k), &count[k]);
        ck_assert(count[0] == e->count && count[1] == e->count);
        q.window[i] = (cud_question_window){ e, q.logits[2 * i], q.logits[2 * i + 1] };
    }
    q.o = (cud_question_options){ .top_k = key_of(c, "top_k", 1), .max_answer_tokens = key_of(c, "max_answer_len", 15),
                                  .handle_impossible_answer = flag_of(c, "handle_impossible_answer", false),
                                  .align_to_words = flag_of(c, "align_to_words", true) };
    return q;
}

static void forget(question *q)
{
    for (size_t i = 0; i < 2 * q->windows; i++) free(q->logits[i]);
    cuddle_encoding_free(q->encoding);
    cuddle_tokenizer_free(q->tokenizer);
}

static cuddle_status answer(cud_answers *a, const question *q)
{
    return cud_question_answer(a, q->tokenizer, q->text, strlen(q->text), q->context, strlen(q->context), q->window, q->windows, &q->o, &err);
}

START_TEST(questions_are_answered_as_the_pipeline_does)
{
    const json_t *c = json_array_get(cases.cases, (size_t)_i);
    clear();
    question q = ask(c);
    cud_answers a;
    cud_writer w = { .err = &err };
    ck_ok(answer(&a, &q));
    cud_answers_write(&w, &a, q.context);
    cud_answers_free(&a);
    task_expect(&w, c);
    forget(&q);
}
END_TEST

START_TEST(the_fixture_has_what_is_hard)
{
    size_t windows = 0, impossible = 0, several = 0, empty = 0;
    for (size_t i = 0; i < json_array_size(cases.cases); i++) {
        const json_t *c = json_array_get(cases.cases, i);
        windows += json_array_size(json_object_get(c, "logits")) > 2;
        impossible += flag_of(c, "handle_impossible_answer", false);
        several += task_text(c, "expected")[0] == '[';
        empty += strstr(task_text(c, "expected"), "\"answer\": \"\"") != NULL;
    }
    ck_assert(windows >= 5 && impossible >= 10 && several >= 10 && empty >= 3);
}
END_TEST

/* Every span of one window, worked out the long way; ties in the order of the first token, then of the last. */
START_TEST(the_best_spans_are_found)
{
    question q = ask(json_array_get(cases.cases, 0));
    const cuddle_encoding *e = q.encoding;
    cud_answers a;
    ck_assert_uint_eq(q.windows, 1);
    q.o = (cud_question_options){ .top_k = CUD_ANSWERS_MOST, .max_answer_tokens = 3 };
    for (size_t i = 0; i < e->count; i++) q.logits[0][i] = q.logits[1][i] = (float)(i % 2); /* many are equal */
    clear();
    ck_ok(answer(&a, &q));
    size_t spans = 0;
    for (size_t i = 1; i < e->count; i++)
        for (size_t k = i; k < e->count && k < i + 3; k++) spans += e->sequence_ids[i] == 1 && e->sequence_ids[k] == 1;
    double sum = 0, whole = 0;
    for (size_t i = 0; i < a.count; i++) {
        sum += (double)a.item[i].score;
        ck_assert(i == 0 || a.item[i].score <= a.item[i - 1].score);
        ck_assert_float_gt(a.item[i].score, 0); /* none begins or ends in the question */
        ck_assert(a.item[i].begin < a.item[i].end && a.item[i].end <= strlen(q.context));
    }
    ck_assert_uint_le(a.count, spans); /* equal answers are one */
    double total = exp(0); /* the class token, whose logit is 0 */
    for (size_t i = 1; i < e->count; i++)
        if (e->sequence_ids[i] == 1) total += exp((double)(i % 2));
    for (size_t i = 1; i < e->count; i++)
        for (size_t k = i; k < e->count && k < i + 3; k++)
            if (e->sequence_ids[i] == 1 && e->sequence_ids[k] == 1) whole += exp((double)(i % 2)) * exp((double)(k % 2)) / total / total;
    ck_assert_double_eq_tol(sum, whole, 1e-5);
    cud_answers_free(&a);
    forget(&q);
}
END_TEST

START_TEST(equal_answers_stay_in_order)
{
    static const char text[] = "it", context[] = "the there and THE token arg";
    static const char *const want[] = { "the", "there", "and", "token", "arg" }; /* the first of them twice: it has the sum of both */
    question q = ask(json_array_get(cases.cases, 0));
    const cuddle_tokenize_input input = { .text = text, .length = strlen(text), .pair = context, .pair_length = strlen(context) };
    cuddle_encoding *e = NULL;
    cud_answers a;
    clear();
    ck_ok(cuddle_tokenize_with(&e, q.tokenizer, &input, NULL, &err));
    float *same = calloc(e->count, sizeof *same);
    ck_assert_ptr_nonnull(same);
    const cud_question_window window = { e, same, same };
    const cud_question_options o = { .top_k = 9, .max_answer_tokens = 1 };
    ck_ok(cud_question_answer(&a, q.tokenizer, text, strlen(text), context, strlen(context), &window, 1, &o, &err));
    ck_assert_uint_eq(a.count, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(a.item[i].end - a.item[i].begin, strlen(want[i]));
        ck_assert(memcmp(context + a.item[i].begin, want[i], strlen(want[i])) == 0);
        ck_assert_float_eq_tol(a.item[i].score, (i ? 1 : 2) / 49.0f, 1e-6f); /* seven tokens are allowed, the class token being one */
    }
    cud_answers_free(&a);
    cuddle_encoding_free(e);
    free(same);
    forget(&q);
}
END_TEST

START_TEST(a_context_may_come_first) /* as for tokenizers that pad on the left */
{
    static const char text[] = "the \xd0\xb3\xd0\xb4\xd0\xb5", context[] = "in \xe6\x97\xa5\xe6\x9c\xac and there";
    question q = ask(json_array_get(cases.cases, 0));
    const cuddle_tokenize_input input = { .text = context, .length = strlen(context), .pair = text, .pair_length = strlen(text) };
    cuddle_encoding *e = NULL;
    cud_answers a;
    clear();
    ck_ok(cuddle_tokenize_with(&e, q.tokenizer, &input, NULL, &err));
    float *start = calloc(e->count, sizeof *start), *end = calloc(e->count, sizeof *end);
    ck_assert(start && end);
    for (size_t i = 0; i < e->count; i++)
        if (e->sequence_ids[i] == 1) start[i] = end[i] = 50; /* the question's tokens are the likeliest */
        else if (e->sequence_ids[i] == 0 && e->begin[i] == strlen("in ")) start[i] = 9;
        else if (e->sequence_ids[i] == 0 && e->begin[i] == strlen("in \xe6\x97\xa5\xe6\x9c\xac ")) end[i] = 9;
    const cud_question_window window = { e, start, end };
    const cud_question_options o = { .top_k = 1, .max_answer_tokens = 15, .align_to_words = true, .context_first = true };
    ck_ok(cud_question_answer(&a, q.tokenizer, text, strlen(text), context, strlen(context), &window, 1, &o, &err));
    ck_assert_uint_eq(a.count, 1);
    ck_assert(a.item[0].begin == 3 && a.item[0].end == 13 && a.item[0].first == 3 && a.item[0].last == 9);
    ck_assert_float_gt(a.item[0].score, 0.9f);
    cud_answers_free(&a);
    cuddle_encoding_free(e);
    free(start);
    free(end);
    forget(&q);
}
END_TEST

START_TEST(questions_that_are_none_are_refused)
{
    question q = ask(json_array_get(cases.cases, 0));
    cud_answers a;
    const char *const text = q.text, *const context = q.context;
    clear();
    q.text = "";
    test_expect_failure(answer(&a, &q), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "question-answering: the question is empty");
    q.text = text, q.context = "";
    clear();
    test_expect_failure(answer(&a, &q), CUDDLE_E_ARG, &err);
    q.context = "\xc3(";
    clear();
    test_expect_failure(answer(&a, &q), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "question-answering: the context is not UTF-8");
    q.context = context, q.text = "\xff";
    clear();
    test_expect_failure(answer(&a, &q), CUDDLE_E_ARG, &err);
    q.text = text;
    const cud_question_options o = q.o;
    q.o.top_k = 0;
    clear();
    test_expect_failure(answer(&a, &q), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "question-answering: top_k is 0, expected at least 1");
    q.o.top_k = SIZE_MAX;
    clear();
    test_expect_failure(answer(&a, &q), CUDDLE_E_LIMIT, &err);
    q.o = o;
    q.o.max_answer_tokens = 0;
    clear();
    test_expect_failure(answer(&a, &q), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "question-answering: max_answer_len is 0, expected at least 1");
    q.o.max_answer_tokens = SIZE_MAX;
    clear();
    ck_ok(answer(&a, &q));
    cud_answers_free(&a);
    for (int k = 0; k < 2; k++) {
        const float kept = q.logits[k][2];
        q.logits[k][2] = k ? INFINITY : NAN;
        clear();
        test_expect_failure(answer(&a, &q), CUDDLE_E_FORMAT, &err);
        q.logits[k][2] = kept;
    }
    for (size_t i = 0; i < q.encoding->count; i++) q.encoding->begin[i] = SIZE_MAX, q.encoding->end[i] = i & 1 ? SIZE_MAX : 0; /* nonsense */
    clear();
    ck_ok(answer(&a, &q));
    for (size_t i = 0; i < a.count; i++) ck_assert(a.item[i].begin <= strlen(q.context) && a.item[i].end <= strlen(q.context));
    cud_answers_free(&a);
    q.windows = 0;
    test_expect_failure(answer(&a, &q), CUDDLE_E_ARG, &err);
    q.windows = json_array_size(json_object_get(json_array_get(cases.cases, 0), "logits"));
    clear();
    cud_question_lengths lengths = { 10, 11 };
    clear();
    test_expect_failure(cud_question_lengths_resolve(&lengths, q.tokenizer, &err), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "doc_stride is 11, expected at most max_seq_len, which is 10");
    lengths = (cud_question_lengths){ 0, SIZE_MAX };
    ck_ok(cud_question_lengths_resolve(&lengths, q.tokenizer, &err));
    ck_assert(lengths.max_length == 384 && lengths.stride == 128);
    forget(&q);
}
END_TEST

static question shared;
static cuddle_status run(const json_t *c, cuddle_error *e)
{
    cud_answers a;
    (void)c;
    const cuddle_status status = cud_question_answer(&a, shared.tokenizer, shared.text, strlen(shared.text), shared.context, strlen(shared.context),
                                                     shared.window, shared.windows, &shared.o, e);
    cud_answers_free(&a);
    return status;
}

START_TEST(memory_may_be_short)
{
    shared = ask(json_array_get(cases.cases, 0));
    shared.o.top_k = 40;
    shared.o.handle_impossible_answer = true;
    task_without_memory(run, NULL);
    forget(&shared);
}
END_TEST

int main(void)
{
    cases = task_open("tasks/question_answering.json", 60);
    Suite *suite = suite_create("tasks_question");
    TCase *tc = tcase_create("tasks_question");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, questions_are_answered_as_the_pipeline_does, 0, (int)json_array_size(cases.cases));
    tcase_add_test(tc, the_fixture_has_what_is_hard);
    tcase_add_test(tc, the_best_spans_are_found);
    tcase_add_test(tc, equal_answers_stay_in_order);
    tcase_add_test(tc, a_context_may_come_first);
    tcase_add_test(tc, questions_that_are_none_are_refused);
    tcase_add_test(tc, memory_may_be_short);
    suite_add_tcase(suite, tc);
    const int result = test_run(suite);
    json_decref(cases.root);
    return result;
}
