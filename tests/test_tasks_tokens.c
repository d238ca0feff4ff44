/* Token classification and fill-mask against tests/tasks: what transformers' pipelines return for the same logits and tokenizers. */
#include "task_support.h"
#include "tasks/fill_mask.h"
#include "tasks/token_classification.h"

static cuddle_error err;
static task_file token_cases, mask_cases;

static void clear(void) { err = (cuddle_error){ CUDDLE_OK, "" }; }

/* ---- token-classification ---- */

typedef struct token_case { /* of the file, ready to be run */
    cuddle_tokenizer *tokenizer;
    cuddle_encoding *encoding;
    cud_token_window window[64];
    size_t windows;
    const char *text, **labels, **ignore;
    cud_token_options o;
} token_case;

static token_case token_open(const json_t *c)
{
    token_case t = { .tokenizer = task_tokenizer(c), .text = task_text(c, "text") };
    const json_t *logits = json_object_get(c, "logits");
    size_t count;
    cuddle_tokenize_options o;
    cuddle_tokenize_options_init(&o, sizeof o);
    if (task_count(c, "length")) {
        o.truncation = CUDDLE_TRUNCATE_LONGEST_FIRST;
        o.stride = task_count(c, "stride");
    }
    const cuddle_tokenize_input input = { .text = t.text, .length = strlen(t.text) };
    ck_ok(cuddle_tokenize_with(&t.encoding, t.tokenizer, &input, &o, &err));
    t.o.label_count = task_count(c, "columns");
    t.labels = task_texts(json_object_get(c, "labels"), &count);
    t.o.labels = t.labels;
    t.ignore = task_texts(json_object_get(c, "ignore"), &t.o.ignore_count);
    t.o.ignore = t.ignore;
    ck_ok(cud_aggregation_parse(&t.o.aggregation, task_text(c, "aggregation"), &err));
    t.windows = json_array_size(logits);
    ck_assert_uint_eq(t.windows, 1 + t.encoding->overflow_count);
    ck_assert_uint_le(t.windows, 64);
    for (size_t i = 0; i < t.windows; i++) {
        t.window[i].encoding = i ? t.encoding->overflow[i - 1] : t.encoding;
        t.window[i].logits = task_floats(&token_cases, json_array_get(logits, i), &count);
        ck_assert_uint_eq(count, t.window[i].encoding->count * t.o.label_count);
    }
    return t;
}

static void token_close(token_case *t)
{
    for (size_t i = 0; i < t->windows; i++) free((float *)(uintptr_t)t->window[i].logits);
    cuddle_encoding_free(t->encoding);
    cuddle_tokenizer_free(t->tokenizer);
    free(t->labels);
    free(t->ignore);
}

static cuddle_status token_run(cud_entities *out, const token_case *t)
{
    return cud_token_classify(out, t->tokenizer, t->text, strlen(t->text), t->window, t->windows, &t->o, &err);
}

START_TEST(tokens_are_classified_as_the_pipeline_does)
{
    const json_t *c = json_array_get(token_cases.cases, (size_t)_i);
    clear();
    token_case t = token_open(c);
    cud_entities e;
    cud_writer w = { .err = &err };
    ck_ok(token_run(&e, &t));
    for (size_t i = 0; i < e.count; i++) ck_assert_uint_le(e.item[i].begin, e.item[i].end);
    cud_entities_write(&w, &e, &t.o);
    cud_entities_free(&e);
    task_expect(&w, c);
    token_close(&t);
}
END_TEST

static const json_t *token_case_with_windows(void)
{
    for (size_t i = 0; i < json_array_size(token_cases.cases); i++) {
        const json_t *c = json_array_get(token_cases.cases, i);
        if (json_array_size(json_object_get(c, "logits")) > 2) return c;
    }
    ck_abort_msg("no case has windows");
    return NULL;
}

START_TEST(entities_are_not_made_of_broken_input)
{
    token_case t = token_open(token_case_with_windows());
    cud_entities e;
    clear();
    t.o.aggregation = CUD_AGGREGATE_NONE;
    test_expect_failure(token_run(&e, &t), CUDDLE_E_ARG, &err);
    ck_assert_ptr_null(e.item);
    t.o.aggregation = CUD_AGGREGATE_FIRST;
    float *last = (float *)(uintptr_t)t.window[t.windows - 1].logits;
    last[3] = NAN;
    clear();
    test_expect_failure(token_run(&e, &t), CUDDLE_E_FORMAT, &err); /* entities of the windows before are given back */
    ck_assert_ptr_null(e.item);
    last[3] = 0;
    const size_t columns = t.o.label_count;
    t.o.label_count = 0;
    clear();
    test_expect_failure(token_run(&e, &t), CUDDLE_E_ARG, &err);
    t.o.label_count = SIZE_MAX / 8;
    clear();
    test_expect_failure(token_run(&e, &t), CUDDLE_E_LIMIT, &err);
    t.o.label_count = columns;
    const int32_t id = t.encoding->ids[1];
    t.encoding->ids[1] = 1000000;
    clear();
    test_expect_failure(token_run(&e, &t), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "token-classification: the tokenizer has no token 1000000");
    t.encoding->ids[1] = -1;
    clear();
    test_expect_failure(token_run(&e, &t), CUDDLE_E_ARG, &err);
    t.encoding->ids[1] = id;
    t.encoding->begin[1] = 3, t.encoding->end[1] = SIZE_MAX; /* nonsense, but in the text */
    t.encoding->begin[2] = SIZE_MAX, t.encoding->end[2] = 0;
    clear();
    ck_ok(token_run(&e, &t));
    for (size_t i = 0; i < e.count; i++) ck_assert(e.item[i].begin <= e.item[i].end && e.item[i].end <= strlen(t.text));
    cud_entities_free(&e);
    ck_assert_int_eq(cud_token_classify(&e, t.tokenizer, "a\xff", 2, t.window, 1, &t.o, &err), CUDDLE_E_ARG);
    clear();
    cud_aggregation a;
    test_expect_failure(cud_aggregation_parse(&a, "mean", &err), CUDDLE_E_ARG, &err);
    clear();
    ck_ok(cud_token_classify(&e, t.tokenizer, "", 0, NULL, 0, &t.o, &err));
    ck_assert_uint_eq(e.count, 0);
    cud_entities_free(&e);
    token_close(&t);
}
END_TEST

/* ---- fill-mask ---- */

static cuddle_encoding *encode(const cuddle_tokenizer *t, const char *text)
{
    cuddle_encoding *e = NULL;
    ck_ok(cuddle_tokenize(&e, t, text, strlen(text), 0, &err));
    return e;
}

/* Of the case: for each mask, the row of its tokenizer, turned. To be freed. */
static float *mask_logits(const json_t *c, size_t *count)
{
    const json_t *rows = json_object_get(mask_cases.root, "rows"), *turns = json_object_get(c, "turns");
    size_t i = 0, width;
    while (strcmp(task_text(json_array_get(rows, i), "tokenizer"), task_text(c, "tokenizer")) != 0) i++;
    float *row = task_floats(&mask_cases, json_object_get(json_array_get(rows, i), "logits"), &width);
    *count = json_array_size(turns) * width;
    float *out = malloc((*count + 1) * sizeof *out);
    ck_assert_ptr_nonnull(out);
    for (i = 0; i < *count; i++) out[i] = row[((size_t)json_integer_value(json_array_get(turns, i / width)) + i) % width];
    free(row);
    return out;
}

START_TEST(masks_are_filled_as_the_pipeline_does)
{
    const json_t *c = json_array_get(mask_cases.cases, (size_t)_i), *found = json_object_get(c, "found");
    clear();
    cuddle_tokenizer *t = task_tokenizer(c);
    cuddle_encoding *e = encode(t, task_text(c, "text"));
    size_t words, count;
    const char **word = task_texts(json_object_get(c, "targets"), &words);
    cud_fill_mask_options o = { .top_k = task_count(c, "top_k") };
    int32_t *targets = NULL;
    cud_target_found became[16];
    if (word) {
        ck_ok(cud_fill_mask_targets(&targets, &o.target_count, became, t, word, words, &err));
        ck_assert_uint_eq(o.target_count, json_array_size(found));
        for (size_t i = 0; i < o.target_count; i++) ck_assert_int_eq(targets[i], json_integer_value(json_array_get(found, i)));
        for (size_t i = 0; i < words; i++)
            ck_assert_int_eq(became[i] == CUD_TARGET_KNOWN, cuddle_tokenizer_id(t, word[i]) >= 0);
        o.targets = targets;
    }
    float *logits = mask_logits(c, &count);
    cud_fills f;
    cud_writer w = { .err = &err };
    ck_ok(cud_fill_mask(&f, t, e->ids, e->count, logits, (size_t)cuddle_tokenizer_size(t), &o, &err));
    ck_assert_uint_eq(count, f.masks * (size_t)cuddle_tokenizer_size(t));
    cud_fills_write(&w, &f);
    cud_fills_free(&f);
    task_expect(&w, c);
    free(logits);
    free(targets);
    free(word);
    cuddle_encoding_free(e);
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(masks_are_not_filled_from_broken_input)
{
    const json_t *c = json_array_get(mask_cases.cases, 0);
    cuddle_tokenizer *t = task_tokenizer(c);
    const size_t vocabulary = (size_t)cuddle_tokenizer_size(t);
    float *logits = calloc(vocabulary, sizeof *logits);
    cuddle_encoding *none = encode(t, "the token"), *one = encode(t, "the [MASK]");
    cud_fills f;
    cud_fill_mask_options o = { .top_k = SIZE_MAX };
    clear();
    test_expect_failure(cud_fill_mask(&f, t, none->ids, none->count, logits, vocabulary, &o, &err), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "fill-mask: there is no mask token ([MASK]) in the text");
    clear();
    ck_ok(cud_fill_mask(&f, t, one->ids, one->count, logits, vocabulary, &o, &err)); /* more than there are: all, in order where none is better */
    ck_assert_uint_eq(f.each, vocabulary);
    for (size_t i = 0; i < f.each; i++) ck_assert_int_eq(f.item[i].token, (int32_t)i);
    cud_fills_free(&f);
    logits[5] = NAN;
    test_expect_failure(cud_fill_mask(&f, t, one->ids, one->count, logits, vocabulary, &o, &err), CUDDLE_E_FORMAT, &err);
    logits[5] = 0;
    o.top_k = 0;
    clear();
    test_expect_failure(cud_fill_mask(&f, t, one->ids, one->count, logits, vocabulary, &o, &err), CUDDLE_E_ARG, &err);
    o = (cud_fill_mask_options){ .top_k = 2, .targets = (const int32_t[]){ 3, (int32_t)vocabulary }, .target_count = 2 };
    clear();
    test_expect_failure(cud_fill_mask(&f, t, one->ids, one->count, logits, vocabulary, &o, &err), CUDDLE_E_ARG, &err);
    o.targets = (const int32_t[]){ 3, 3 };
    clear();
    test_expect_failure(cud_fill_mask(&f, t, one->ids, one->count, logits, vocabulary, &o, &err), CUDDLE_E_ARG, &err);
    o.target_count = 0;
    clear();
    test_expect_failure(cud_fill_mask(&f, t, one->ids, one->count, logits, vocabulary, &o, &err), CUDDLE_E_ARG, &err);
    clear();
    test_expect_failure(cud_fill_mask(&f, t, one->ids, one->count, logits, 0, &o, &err), CUDDLE_E_ARG, &err);
    int32_t *targets;
    size_t count;
    cud_target_found found[2];
    const char *const nothing[] = { "", " " };
    clear();
    test_expect_failure(cud_fill_mask_targets(&targets, &count, found, t, nothing, 2, &err), CUDDLE_E_ARG, &err);
    ck_assert_int_eq(found[1], CUD_TARGET_IGNORED);
    clear();
    test_expect_failure(cud_fill_mask_targets(&targets, &count, NULL, t, NULL, 0, &err), CUDDLE_E_ARG, &err);
    cuddle_encoding_free(none);
    cuddle_encoding_free(one);
    cuddle_tokenizer_free(t);
    free(logits);
}
END_TEST

START_TEST(a_tokenizer_without_a_mask_says_so)
{
    cuddle_tokenizer *t = NULL;
    size_t at[1], masks;
    clear();
    ck_ok(cuddle_tokenizer_load(&t, test_path("tokenizers/bert/tokenizer.json"), &err)); /* without a tokenizer_config.json */
    test_expect_failure(cud_fill_mask_find(at, &masks, t, (const int32_t[]){ 4 }, 1, &err), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "fill-mask: the checkpoint's tokenizer names no mask_token");
    cuddle_tokenizer_free(t);
}
END_TEST

/* ---- tokens as strings ---- */

START_TEST(tokens_need_not_be_in_the_vocabulary) /* what tokenizers' decoders make of any strings; a space is in no byte-level alphabet */
{
    static const struct { const char *folder; const char *token[3]; const char *text; } cases[] = {
        { "bert", { "zzz", "##q", "日" }, "zzzq 日" },
        { "gpt2", { "\xc4\xa0" "a", "\xc3\x83\xc2\xa9", " b" }, " a\xc3\xa9 b" },
        { "metaspace-always", { "\xe2\x96\x81" "a", "b", "\xe2\x96\x81zz" }, "ab zz" },
        { "prefix", { "a", "##b", "zz" }, "a ##b zz" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cuddle_tokenizer *t = NULL;
        char path[200], *text;
        size_t length;
        cud_span_text token[3];
        snprintf(path, sizeof path, "tokenizers/%s/tokenizer.json", cases[i].folder);
        clear();
        ck_ok(cuddle_tokenizer_load(&t, test_path(path), &err));
        for (int k = 0; k < 3; k++) token[k] = (cud_span_text){ cases[i].token[k], strlen(cases[i].token[k]) };
        ck_ok(cud_tokenizer_join(&text, &length, t, token, 3, &err));
        ck_assert_str_eq(text, cases[i].text);
        ck_assert_uint_eq(length, strlen(text));
        ck_assert_int_eq(cud_tokenizer_marks_inner(t), i == 0 || i == 3);
        free(text);
        cuddle_tokenizer_free(t);
    }
}
END_TEST

START_TEST(joining_does_not_clean_up) /* as convert_tokens_to_string() and decode() of transformers */
{
    static const char json[] = "{\"decoder\": {\"type\": \"WordPiece\", \"prefix\": \"##\", \"cleanup\": false}, "
                               "\"model\": {\"type\": \"WordPiece\", \"unk_token\": \"a\", \"continuing_subword_prefix\": \"##\", "
                               "\"max_input_chars_per_word\": 9, \"vocab\": {\"a\": 0, \".\": 1}}}";
    static const char config[] = "{\"clean_up_tokenization_spaces\": true}";
    const cud_span_text token[] = { { "a", 1 }, { ".", 1 } };
    cuddle_tokenizer *t = NULL;
    char *text;
    clear();
    ck_ok(cud_tokenizer_parse(&t, json, sizeof json - 1, config, sizeof config - 1, &err));
    ck_ok(cud_tokenizer_join(&text, NULL, t, token, 2, &err));
    ck_assert_str_eq(text, "a .");
    free(text);
    ck_ok(cud_tokenizer_decode(&text, NULL, t, (const int32_t[]){ 0, 1 }, 2, 0, &err));
    ck_assert_str_eq(text, "a.");
    free(text);
    cuddle_tokenizer_free(t);
}
END_TEST

/* ---- memory ---- */

static token_case shared_tokens;
static cuddle_status run_tokens(const json_t *c, cuddle_error *e)
{
    cud_entities out;
    (void)c;
    const cuddle_status status =
        cud_token_classify(&out, shared_tokens.tokenizer, shared_tokens.text, strlen(shared_tokens.text), shared_tokens.window, shared_tokens.windows,
                           &shared_tokens.o, e);
    cud_entities_free(&out);
    return status;
}

static cuddle_tokenizer *shared_tokenizer;
static cuddle_encoding *shared_encoding;
static float *shared_logits;
static cuddle_status run_mask(const json_t *c, cuddle_error *e)
{
    cud_fills f;
    (void)c;
    const cud_fill_mask_options o = { .top_k = 2 };
    const size_t vocabulary = (size_t)cuddle_tokenizer_size(shared_tokenizer);
    const cuddle_status status =
        cud_fill_mask(&f, shared_tokenizer, shared_encoding->ids, shared_encoding->count, shared_logits, vocabulary, &o, e);
    cud_fills_free(&f);
    return status;
}

START_TEST(memory_may_be_short)
{
    shared_tokens = token_open(token_case_with_windows());
    shared_tokens.o.aggregation = CUD_AGGREGATE_FIRST;
    shared_tokens.o.ignore_count = 0;
    shared_tokens.o.ignore = (const char *const[]){ "" }; /* nothing is left out */
    task_without_memory(run_tokens, NULL);
    token_close(&shared_tokens);
    shared_tokenizer = task_tokenizer(json_array_get(mask_cases.cases, 0));
    shared_encoding = encode(shared_tokenizer, "the [MASK] [MASK]");
    shared_logits = calloc(2 * (size_t)cuddle_tokenizer_size(shared_tokenizer), sizeof *shared_logits);
    task_without_memory(run_mask, NULL);
    cuddle_encoding_free(shared_encoding);
    cuddle_tokenizer_free(shared_tokenizer);
    free(shared_logits);
}
END_TEST

int main(void)
{
    token_cases = task_open("tasks/token_classification.json", 60);
    mask_cases = task_open("tasks/fill_mask.json", 30);
    Suite *suite = suite_create("tasks_tokens");
    TCase *tc = tcase_create("tasks_tokens");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, tokens_are_classified_as_the_pipeline_does, 0, (int)json_array_size(token_cases.cases));
    tcase_add_test(tc, entities_are_not_made_of_broken_input);
    tcase_add_loop_test(tc, masks_are_filled_as_the_pipeline_does, 0, (int)json_array_size(mask_cases.cases));
    tcase_add_test(tc, masks_are_not_filled_from_broken_input);
    tcase_add_test(tc, a_tokenizer_without_a_mask_says_so);
    tcase_add_test(tc, tokens_need_not_be_in_the_vocabulary);
    tcase_add_test(tc, joining_does_not_clean_up);
    tcase_add_test(tc, memory_may_be_short);
    suite_add_tcase(suite, tc);
    const int result = test_run(suite);
    json_decref(token_cases.root);
    json_decref(mask_cases.root);
    return result;
}
