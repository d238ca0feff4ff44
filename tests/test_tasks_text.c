/* Text and zero-shot classification, choices, features and the JSON of all results, against tests/tasks: what transformers' pipelines return. */
#include "task_support.h"
#include "tasks/embedding.h"
#include "tasks/ranking.h"
#include "tasks/scores.h"
#include "tasks/text_classification.h"
#include "tasks/zero_shot.h"

#include <locale.h>
#include <stdio.h>

static cuddle_error err;
static task_file text_cases, zero_cases, choice_cases, feature_cases, similarity_cases;

static void clear(void) { err = (cuddle_error){ CUDDLE_OK, "" }; }

/* ---- text-classification ---- */

START_TEST(texts_are_classified_as_the_pipeline_does)
{
    const json_t *c = json_array_get(text_cases.cases, (size_t)_i);
    size_t count, labels, n;
    float *logits = task_floats(&text_cases, json_object_get(c, "logits"), &count);
    const char **label = task_texts(json_object_get(c, "labels"), &labels);
    cud_classification_options o = { .labels = label, .label_count = labels, .top_k = task_count(c, "top_k") };
    cud_label_score result[64];
    cud_writer w = { .err = &err };
    ck_ok(cud_problem_parse(&o.problem, task_text(c, "problem"), &err));
    ck_ok(cud_function_parse(&o.function, task_text(c, "function"), &err));
    ck_ok(cud_classify(result, 64, &n, logits, count, &o, &err));
    cud_classification_write(&w, result, n, &o, json_is_true(json_object_get(c, "bare")));
    task_expect(&w, c);
    free(logits);
    free(label);
}
END_TEST

START_TEST(broken_logits_are_no_result)
{
    clear();
    float logits[3] = { 1, NAN, 2 };
    cud_label_score result[3];
    cud_classification_options o = { .top_k = 3 };
    size_t n = 7;
    test_expect_failure(cud_classify(result, 3, &n, logits, 3, &o, &err), CUDDLE_E_FORMAT, &err);
    ck_assert_str_eq(err.text, "text-classification: logit 1 is not a number, expected a finite number: the checkpoint's weights lead there");
    ck_assert_uint_eq(n, 0);
    logits[1] = -INFINITY;
    clear();
    test_expect_failure(cud_classify(result, 3, &n, logits, 3, &o, &err), CUDDLE_E_FORMAT, &err);
    clear();
    test_expect_failure(cud_classify(result, 3, &n, logits, 0, &o, &err), CUDDLE_E_ARG, &err);
    o.label_count = 2;
    logits[1] = 0;
    clear();
    test_expect_failure(cud_classify(result, 3, &n, logits, 3, &o, &err), CUDDLE_E_FORMAT, &err);
    ck_assert_str_eq(err.text, "text-classification: the model gives 3 logits, but config.json names 2 labels");
    o = (cud_classification_options){ .top_k = SIZE_MAX };
    clear();
    ck_ok(cud_classify(result, 2, &n, logits, 3, &o, &err)); /* no more than there is room for */
    ck_assert_uint_eq(n, 2);
    ck_assert_uint_eq(result[0].id, 2);
}
END_TEST

START_TEST(unknown_names_are_refused)
{
    cud_problem problem;
    cud_function function;
    clear();
    test_expect_failure(cud_problem_parse(&problem, "Regression", &err), CUDDLE_E_UNSUPPORTED, &err);
    clear();
    test_expect_failure(cud_function_parse(&function, "softmaxx", &err), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "function_to_apply is \"softmaxx\", expected sigmoid, softmax or none");
    clear();
    test_expect_failure(cud_function_parse(&function, "", &err), CUDDLE_E_ARG, &err);
    clear();
    ck_ok(cud_function_parse(&function, "SoftMax", &err));
    ck_assert_int_eq(function, CUD_FUNCTION_SOFTMAX);
}
END_TEST

/* ---- the best of many ---- */

START_TEST(the_best_are_those_of_a_stable_sort)
{
    uint32_t state = 1;
    for (size_t total = 1; total < 60; total++) {
        float score[60];
        size_t best[60];
        for (size_t i = 0; i < total; i++) score[i] = (float)((state = state * 1664525u + 1013904223u) >> 29); /* of 8 values */
        const size_t count = 1 + total * 2 / 3;
        cud_best(best, count, score, total);
        bool taken[60] = { false };
        for (size_t k = 0; k < count; k++) {
            size_t want = total;
            for (size_t i = 0; i < total; i++)
                if (!taken[i] && (want == total || score[i] > score[want])) want = i;
            ck_assert_uint_eq(best[k], want);
            taken[want] = true;
        }
    }
}
END_TEST

/* ---- zero-shot-classification ---- */

START_TEST(hypotheses_are_judged_as_the_pipeline_does)
{
    const json_t *c = json_array_get(zero_cases.cases, (size_t)_i), *given = json_object_get(c, "given"), *id;
    cud_label_id label2id[8];
    size_t ids = 0, count, hypotheses;
    const char *name;
    json_object_foreach ((json_t *)json_object_get(c, "label2id"), name, id) label2id[ids++] = (cud_label_id){ name, json_integer_value(id) };
    const char **label = task_texts(json_object_get(c, "labels"), &count), **want = task_texts(json_object_get(c, "hypotheses"), &hypotheses);
    if (json_is_string(given)) {
        cud_texts split;
        ck_ok(cud_zero_shot_labels(&split, json_string_value(given), json_string_length(given), &err));
        ck_assert_uint_eq(split.count, count);
        for (size_t i = 0; i < count; i++) ck_assert_str_eq(split.text[i], label[i]);
        cud_texts_free(&split);
    }
    cud_texts made;
    ck_ok(cud_zero_shot_hypotheses(&made, task_text(c, "template"), label, count, &err));
    ck_assert_uint_eq(made.count, hypotheses);
    for (size_t i = 0; i < hypotheses; i++) ck_assert_str_eq(made.text[i], want[i]);
    cud_texts_free(&made);

    float *logits = task_floats(&zero_cases, json_object_get(c, "logits"), NULL);
    cud_zero_shot_score *result = malloc(count * sizeof *result);
    const json_t *text = json_object_get(c, "text");
    cud_writer w = { .err = &err };
    ck_ok(cud_zero_shot(result, logits, count, ids, cud_zero_shot_entailment(label2id, ids), json_is_true(json_object_get(c, "multi_label")), &err));
    cud_zero_shot_write(&w, json_string_value(text), json_string_length(text), label, result, count);
    task_expect(&w, c);
    free(result);
    free(logits);
    free(label);
    free(want);
}
END_TEST

static const struct { const char *text; cuddle_status status; const char *sentence; } templates[] = {
    { "no place", CUDDLE_E_ARG, "hypothesis_template \"no place\": there is no {} where the label should go" },
    { "{} and {}", CUDDLE_E_ARG, "hypothesis_template \"{} and {}\": there is one label, so {} can stand only once" },
    { "{0} {}", CUDDLE_E_ARG, NULL },
    { "{} {0}", CUDDLE_E_ARG, NULL },
    { "{", CUDDLE_E_ARG, "hypothesis_template \"{\": a { without its }" },
    { "a } b {}", CUDDLE_E_ARG, "hypothesis_template \"a } b {}\": a } without its {" },
    { "{:>10}", CUDDLE_E_UNSUPPORTED, "hypothesis_template \"{:>10}\": the field \"{:>10}\" is not supported, expected {} or {0}" },
    { "{1}", CUDDLE_E_UNSUPPORTED, NULL },
    { "{x.__class__}", CUDDLE_E_UNSUPPORTED, NULL },
    { "", CUDDLE_E_ARG, NULL },
};

START_TEST(templates_that_are_none_are_refused)
{
    cud_texts made;
    const char *const labels[] = { "art" };
    clear();
    test_expect_failure(cud_zero_shot_hypotheses(&made, templates[_i].text, labels, 1, &err), templates[_i].status, &err);
    if (templates[_i].sentence) ck_assert_str_eq(err.text, templates[_i].sentence);
    ck_assert_ptr_null(made.text);
}
END_TEST

START_TEST(zero_shot_refuses_what_is_no_input)
{
    const char *const brace[] = { "{}" };
    cud_texts made;
    cud_zero_shot_score out[2];
    const float logits[4] = { 0, NAN, 0, 0 };
    clear();
    test_expect_failure(cud_zero_shot_hypotheses(&made, "{}", NULL, 0, &err), CUDDLE_E_ARG, &err);
    clear();
    test_expect_failure(cud_zero_shot_hypotheses(&made, "{}", brace, 1, &err), CUDDLE_E_ARG, &err); /* as the pipeline: it cannot tell */
    clear();
    test_expect_failure(cud_zero_shot_hypotheses(&made, "{}", brace, CUD_ZERO_SHOT_MOST + 1, &err), CUDDLE_E_LIMIT, &err);
    clear();
    test_expect_failure(cud_zero_shot_labels(&made, "a,\xff", 3, &err), CUDDLE_E_ARG, &err);
    char commas[CUD_ZERO_SHOT_MOST + 1];
    memset(commas, ',', sizeof commas);
    clear();
    test_expect_failure(cud_zero_shot_labels(&made, commas, sizeof commas, &err), CUDDLE_E_LIMIT, &err);
    clear();
    ck_ok(cud_zero_shot_labels(&made, " , ,", 4, &err));
    ck_assert_uint_eq(made.count, 0);
    cud_texts_free(&made);
    test_expect_failure(cud_zero_shot(out, logits, 2, 2, 0, false, &err), CUDDLE_E_FORMAT, &err);
    clear();
    test_expect_failure(cud_zero_shot(out, logits, 2, 2, 2, false, &err), CUDDLE_E_FORMAT, &err);
    ck_assert_str_eq(err.text, "config.json: \"label2id\" gives the entailment number 2, but the model has 2 labels");
    clear();
    test_expect_failure(cud_zero_shot(out, logits, 0, 2, 0, false, &err), CUDDLE_E_ARG, &err);
    clear();
    test_expect_failure(cud_zero_shot(out, logits, SIZE_MAX / 8, 4, 0, false, &err), CUDDLE_E_LIMIT, &err);
}
END_TEST

/* ---- choices, features, similarities, rankings ---- */

START_TEST(choices_are_weighed_by_softmax)
{
    const json_t *c = json_array_get(choice_cases.cases, (size_t)_i);
    size_t count, best;
    float *logits = task_floats(&choice_cases, json_object_get(c, "logits"), &count), score[16];
    cud_writer w = { .err = &err };
    clear();
    ck_ok(cud_choose(score, &best, logits, count, &err));
    cud_choice_write(&w, score, count, best);
    task_expect(&w, c);
    logits[0] = INFINITY;
    test_expect_failure(cud_choose(score, &best, logits, count, &err), CUDDLE_E_FORMAT, &err);
    clear();
    test_expect_failure(cud_choose(score, &best, logits, 0, &err), CUDDLE_E_ARG, &err);
    free(logits);
}
END_TEST

START_TEST(features_are_nested_lists)
{
    const json_t *c = json_array_get(feature_cases.cases, (size_t)_i);
    size_t count;
    float *hidden = task_floats(&feature_cases, json_object_get(c, "hidden"), &count);
    cud_writer w = { .err = &err };
    cud_features_write(&w, hidden, count / 3, 3);
    task_expect(&w, c);
    free(hidden);
}
END_TEST

START_TEST(similarities_are_those_of_sentence_transformers)
{
    const json_t *c = json_array_get(similarity_cases.cases, (size_t)_i), *a = json_object_get(c, "a"), *b = json_object_get(c, "b");
    const size_t width = json_array_size(json_array_get(a, 0));
    float *x = task_floats(&similarity_cases, a, NULL), *y = task_floats(&similarity_cases, b, NULL), out[12];
    cud_similarity kind;
    ck_assert(cud_similarity_parse(&kind, task_text(c, "function")));
    ck_assert(!cud_similarity_parse(&kind, "cosin"));
    ck_ok(cud_similarities(out, kind, x, 3, y, 4, width, &err));
    for (size_t i = 0; i < 12; i++) {
        const double want = json_number_value(json_array_get(json_array_get(json_object_get(c, "expected"), i / 4), i % 4));
        ck_assert_msg(fabs((double)out[i] - want) <= 1e-5 * fmax(1, fabs(want)), "%zu: %.9g, expected %.9g", i, (double)out[i], want);
    }
    x[width - 1] = NAN;
    clear();
    test_expect_failure(cud_similarities(out, kind, x, 3, y, 4, width, &err), CUDDLE_E_FORMAT, &err);
    free(x);
    free(y);
}
END_TEST

START_TEST(ranks_come_best_first)
{
    const float score[] = { 0.25f, 1, -1, 1 };
    const char *const texts[] = { "a", "b \"q\"", "c", "d" };
    cud_rank rank[4];
    size_t n;
    char *text;
    cud_writer w = { .err = &err };
    clear();
    ck_ok(cud_rank_scores(rank, &n, score, 4, 3, &err));
    cud_ranks_write(&w, rank, n, texts);
    ck_ok(cud_write_end(&text, NULL, &w));
    ck_assert_str_eq(text, "[{\"corpus_id\": 1, \"score\": 1.0, \"text\": \"b \\\"q\\\"\"}, {\"corpus_id\": 3, \"score\": 1.0, \"text\": \"d\"}, "
                           "{\"corpus_id\": 0, \"score\": 0.25, \"text\": \"a\"}]");
    free(text);
    ck_ok(cud_rank_scores(rank, &n, score, 4, 0, &err));
    ck_assert_uint_eq(n, 4);
    ck_ok(cud_rank_scores(rank, &n, score, 0, 5, &err));
    ck_assert_uint_eq(n, 0);
    test_expect_failure(cud_rank_scores(rank, &n, (const float[]){ 0, NAN }, 2, 0, &err), CUDDLE_E_FORMAT, &err);
}
END_TEST

static const struct { const char *config; size_t labels; int function; const char *sentence; } encoders[] = { /* function -1: refused */
    { "{}", 1, CUD_FUNCTION_SIGMOID, NULL },
    { "{}", 3, CUD_FUNCTION_NONE, NULL },
    { "{\"sentence_transformers\": {\"activation_fn\": \"torch.nn.modules.linear.Identity\"}}", 1, CUD_FUNCTION_NONE, NULL },
    { "{\"sentence_transformers\": {\"version\": \"4\"}, \"sbert_ce_default_activation_function\": \"torch.nn.modules.activation.Sigmoid\"}", 2,
      CUD_FUNCTION_SIGMOID, NULL },
    { "{\"sbert_ce_default_activation_function\": null}", 1, CUD_FUNCTION_SIGMOID, NULL },
    { "{\"sbert_ce_default_activation_function\": \"torch.nn.modules.activation.Tanh\"}", 1, -1,
      "config.json: \"sbert_ce_default_activation_function\" is \"torch.nn.modules.activation.Tanh\", expected torch.nn's Sigmoid or Identity" },
    { "{\"sentence_transformers\": {\"activation_fn\": \"mine.Sigmoid\"}}", 1, -1,
      "config.json: \"sentence_transformers.activation_fn\" is \"mine.Sigmoid\", expected torch.nn's Sigmoid or Identity" },
};

START_TEST(cross_encoders_say_how_they_score)
{
    json_t *root;
    cud_function function;
    clear();
    ck_ok(cud_json_parse(&root, encoders[_i].config, strlen(encoders[_i].config), "config.json", &err));
    const json_view view = cud_json_view(root, "config.json");
    const cuddle_status status = cud_cross_encoder_function(&function, &view, encoders[_i].labels, &err);
    if (encoders[_i].function < 0) {
        test_expect_failure(status, CUDDLE_E_UNSUPPORTED, &err);
        ck_assert_str_eq(err.text, encoders[_i].sentence);
    } else {
        ck_ok(status);
        ck_assert_int_eq(function, (cud_function)encoders[_i].function);
    }
    json_decref(root);
}
END_TEST

/* ---- JSON ---- */

static const struct { float value; const char *text; } floats[] = {
    { 0.1f, "0.1" }, { 1, "1.0" }, { -0.0f, "-0.0" }, { 1e-30f, "1e-30" }, { 16777216, "16777216.0" }, { 0.333333343f, "0.33333334" },
    { 3.4028235e38f, "3.4028235e+38" }, { 1e-45f, "1.4013e-45" }, { 123456.789f, "123456.79" },
};

START_TEST(floats_are_written_so_that_they_read_back)
{
    static const char *const locales[] = { "C", "de_DE.UTF-8", "ps_AF.UTF-8" }; /* a decimal comma, and one of two bytes, where they are installed */
    for (size_t l = 0; l < 3; l++) {
        if (!setlocale(LC_NUMERIC, locales[l])) continue;
        for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
            cud_writer w = { .err = &err };
            char *text;
            cud_write_float(&w, floats[i].value);
            ck_ok(cud_write_end(&text, NULL, &w));
            ck_assert_str_eq(text, floats[i].text);
            free(text);
        }
    }
    setlocale(LC_NUMERIC, "C");
}
END_TEST

START_TEST(texts_are_escaped_as_python_does) /* json.dumps("\x00\x1f\x7f\"\\\b\f\n\r\t/é日🚀") */
{
    cud_writer w = { .err = &err };
    char *text;
    const char given[] = "\x00\x1f\x7f\"\\\b\f\n\r\t/\xc3\xa9\xe6\x97\xa5\xf0\x9f\x9a\x80";
    cud_write_text(&w, given, sizeof given - 1);
    ck_ok(cud_write_end(&text, NULL, &w));
    ck_assert_str_eq(text, "\"\\u0000\\u001f\\u007f\\\"\\\\\\b\\f\\n\\r\\t/\\u00e9\\u65e5\\ud83d\\ude80\"");
    free(text);
}
END_TEST

START_TEST(what_json_cannot_say_is_an_error)
{
    cud_writer w = { .err = &err };
    char *text;
    clear();
    cud_write_floats(&w, (const float[]){ 1, NAN }, 2);
    cud_write_count(&w, 3);
    test_expect_failure(cud_write_end(&text, NULL, &w), CUDDLE_E_ARG, &err);
    ck_assert_ptr_null(text);
    w = (cud_writer){ .err = &err };
    clear();
    cud_write_float(&w, -INFINITY);
    test_expect_failure(cud_write_end(&text, NULL, &w), CUDDLE_E_ARG, &err);
    w = (cud_writer){ .err = &err };
    clear();
    cud_write_text(&w, "ab\xc3", 3);
    test_expect_failure(cud_write_end(&text, NULL, &w), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "a text is not UTF-8 from byte 2 on");
}
END_TEST

/* ---- memory ---- */

static cuddle_status run_text(const json_t *c, cuddle_error *e)
{
    size_t n;
    float logits[4] = { 1, 2, 3, 4 };
    cud_label_score result[4];
    cud_classification_options o = { .top_k = 4 };
    (void)c;
    cuddle_status status = cud_classify(result, 4, &n, logits, 4, &o, e);
    if (status) return status;
    cud_writer w = { .err = e };
    char *text;
    for (int i = 0; i < 20; i++) cud_classification_write(&w, result, n, &o, false); /* longer than the first block */
    status = cud_write_end(&text, NULL, &w);
    free(text);
    return status;
}

static cuddle_status run_zero(const json_t *c, cuddle_error *e)
{
    cud_texts labels, made = { 0 };
    cud_zero_shot_score out[2];
    (void)c;
    cuddle_status status = cud_zero_shot_labels(&labels, "a, b", 4, e);
    if (!status) status = cud_zero_shot_hypotheses(&made, "x {}", (const char *const *)labels.text, labels.count, e);
    if (!status) status = cud_zero_shot(out, (const float[]){ 1, 2, 3, 4 }, 2, 2, 0, false, e);
    cud_texts_free(&labels);
    cud_texts_free(&made);
    return status;
}

static cuddle_status run_rank(const json_t *c, cuddle_error *e)
{
    cud_rank rank[2];
    size_t n;
    (void)c;
    return cud_rank_scores(rank, &n, (const float[]){ 1, 2 }, 2, 0, e);
}

START_TEST(memory_may_be_short)
{
    task_without_memory(run_text, NULL);
    task_without_memory(run_zero, NULL);
    task_without_memory(run_rank, NULL);
}
END_TEST

int main(void)
{
    text_cases = task_open("tasks/text_classification.json", 30);
    zero_cases = task_open("tasks/zero_shot.json", 30);
    choice_cases = task_open("tasks/choices.json", 5);
    feature_cases = task_open("tasks/features.json", 5);
    similarity_cases = task_open("tasks/similarities.json", 10);
    Suite *suite = suite_create("tasks_text");
    TCase *tc = tcase_create("tasks_text");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, texts_are_classified_as_the_pipeline_does, 0, (int)json_array_size(text_cases.cases));
    tcase_add_test(tc, broken_logits_are_no_result);
    tcase_add_test(tc, unknown_names_are_refused);
    tcase_add_test(tc, the_best_are_those_of_a_stable_sort);
    tcase_add_loop_test(tc, hypotheses_are_judged_as_the_pipeline_does, 0, (int)json_array_size(zero_cases.cases));
    tcase_add_loop_test(tc, templates_that_are_none_are_refused, 0, sizeof templates / sizeof *templates);
    tcase_add_test(tc, zero_shot_refuses_what_is_no_input);
    tcase_add_loop_test(tc, choices_are_weighed_by_softmax, 0, (int)json_array_size(choice_cases.cases));
    tcase_add_loop_test(tc, features_are_nested_lists, 0, (int)json_array_size(feature_cases.cases));
    tcase_add_loop_test(tc, similarities_are_those_of_sentence_transformers, 0, (int)json_array_size(similarity_cases.cases));
    tcase_add_test(tc, ranks_come_best_first);
    tcase_add_loop_test(tc, cross_encoders_say_how_they_score, 0, sizeof encoders / sizeof *encoders);
    tcase_add_test(tc, floats_are_written_so_that_they_read_back);
    tcase_add_test(tc, texts_are_escaped_as_python_does);
    tcase_add_test(tc, what_json_cannot_say_is_an_error);
    tcase_add_test(tc, memory_may_be_short);
    suite_add_tcase(suite, tc);
    const int result = test_run(suite);
    json_decref(text_cases.root);
    json_decref(zero_cases.root);
    json_decref(choice_cases.root);
    json_decref(feature_cases.root);
    json_decref(similarity_cases.root);
    return result;
}
