#include "support.h"
#include "text/tokenizer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static cuddle_error err;

#define BPE                                                                                                            \
    "\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2, \"<unk>\": 3}, \"merges\": [\"a b\"], " \
    "\"unk_token\": \"<unk>\"}"
#define TOKEN(id, content, special)             \
    "{\"id\": " #id ", \"content\": \"" content \
    "\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": " #special "}"

static cuddle_tokenizer *parsed(const char *json, const char *config)
{
    cuddle_tokenizer *t = NULL;
    ck_ok(cud_tokenizer_parse(&t, json, strlen(json), config, config ? strlen(config) : 0, &err));
    return t;
}

static void encodes(const cuddle_tokenizer *t, const char *text, const int32_t *ids, size_t count)
{
    cuddle_encoding *e = NULL;
    ck_ok(cuddle_tokenize(&e, t, text, strlen(text), 0, &err));
    ck_assert_msg(e->count == count, "\"%s\": %zu tokens, expected %zu", text, e->count, count);
    for (size_t i = 0; i < count; i++) ck_assert_msg(e->ids[i] == ids[i], "\"%s\": id %zu is %d", text, i, e->ids[i]);
    cuddle_encoding_free(e);
}
#define ENCODES(t, text, ...) \
    encodes(t, text, (const int32_t[]){ __VA_ARGS__ }, sizeof((const int32_t[]){ __VA_ARGS__ }) / sizeof(int32_t))

static void decodes(const cuddle_tokenizer *t, const int32_t *ids, size_t count, unsigned flags, const char *want)
{
    char *text = NULL;
    size_t length = 0;
    ck_ok(cuddle_detokenize(&text, &length, t, ids, count, flags, &err));
    ck_assert_str_eq(text, want);
    ck_assert_uint_eq(length, strlen(want));
    cuddle_text_free(text);
}

START_TEST(gives_hand_values)
{
    cuddle_tokenizer *t =
        parsed("{" BPE ", \"decoder\": {\"type\": \"Fuse\"}, \"added_tokens\": [" TOKEN(4, "<s>", true) "]}", NULL);
    ck_assert_int_eq(cuddle_tokenizer_size(t), 5);
    ck_assert_str_eq(cuddle_tokenizer_token(t, 2), "ab");
    ck_assert_str_eq(cuddle_tokenizer_token(t, 4), "<s>");
    ck_assert_ptr_null(cuddle_tokenizer_token(t, 5));
    ck_assert_ptr_null(cuddle_tokenizer_token(t, -1));
    ck_assert_int_eq(cuddle_tokenizer_id(t, "b"), 1);
    ck_assert_int_eq(cuddle_tokenizer_id(t, "<s>"), 4);
    ck_assert_int_eq(cuddle_tokenizer_id(t, "nothing"), -1);
    ck_assert(cud_tokenizer_is_special(t, 4) && !cud_tokenizer_is_special(t, 0) && !cud_tokenizer_is_special(t, -1) &&
              !cud_tokenizer_is_special(t, 99));

    cuddle_encoding *e = NULL; /* b ab <s> e-acute a */
    ck_ok(cuddle_tokenize(&e, t,
                          "bab<s>\xc3\xa9"
                          "a",
                          9, 0, &err));
    const int32_t ids[] = { 1, 2, 4, 3, 0 };
    const size_t begin[] = { 0, 1, 3, 6, 8 }, end[] = { 1, 3, 6, 8, 9 };
    ck_assert_uint_eq(e->count, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(e->ids[i], ids[i]);
        ck_assert_uint_eq(e->begin[i], begin[i]);
        ck_assert_uint_eq(e->end[i], end[i]);
        ck_assert_uint_eq(e->special[i], 0); /* typed, not added */
    }
    cuddle_encoding_free(e);
    decodes(t, ids, 5, 0, "bab<s><unk>a");
    decodes(t, ids, 5, CUDDLE_DETOKENIZE_SKIP_SPECIAL, "bab<unk>a");
    decodes(t, (const int32_t[]){ 0, 77, 1 }, 3, 0, "ab"); /* an id without a token gives nothing */
    decodes(t, NULL, 0, 0, "");
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(refuses_wrong_calls)
{
    cuddle_tokenizer *t = parsed("{" BPE "}", NULL), *none = (cuddle_tokenizer *)1;
    cuddle_encoding *e = NULL;
    cuddle_detokenizer *d = NULL;
    char *text = NULL;
    const char *piece = NULL;
    size_t length = 0;
    const int32_t negative = -5;
    test_expect_failure(cuddle_tokenizer_load(NULL, "x", &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_tokenizer_load(&none, NULL, &err), CUDDLE_E_ARG, &err);
    ck_assert_ptr_null(none);
    test_expect_failure(cuddle_tokenize(NULL, t, "", 0, 0, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_tokenize(&e, NULL, "", 0, 0, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_tokenize(&e, t, NULL, 1, 0, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_tokenize(&e, t, "", 0, 2, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_tokenize(&e, t, "ab\xff", 3, 0, &err), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "the text is not UTF-8 at byte 2");
    ck_assert_ptr_null(e);
    test_expect_failure(cuddle_detokenize(NULL, NULL, t, NULL, 0, 0, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_detokenize(&text, NULL, NULL, NULL, 0, 0, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_detokenize(&text, NULL, t, NULL, 1, 0, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_detokenize(&text, NULL, t, NULL, 0, 8, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_detokenize(&text, &length, t, &negative, 1, 0, &err), CUDDLE_E_ARG, &err);
    ck_assert_ptr_null(text);
    test_expect_failure(cuddle_detokenizer_new(NULL, t, 0, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_detokenizer_new(&d, NULL, 0, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_detokenizer_new(&d, t, 4, &err), CUDDLE_E_ARG, &err);
    ck_ok(cuddle_detokenizer_new(&d, t, 0, &err));
    test_expect_failure(cuddle_detokenizer_push(NULL, 0, &piece, &length, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_detokenizer_push(d, 0, NULL, &length, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_detokenizer_push(d, 0, &piece, NULL, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_detokenizer_push(d, -1, &piece, &length, &err), CUDDLE_E_ARG, &err);
    ck_ok(cuddle_detokenizer_push(d, 0, &piece, &length, &err)); /* a refused call changes nothing */
    ck_ok(cuddle_detokenizer_finish(d, &piece, &length, &err));
    test_expect_failure(cuddle_detokenizer_push(d, 0, &piece, &length, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_detokenizer_finish(d, &piece, &length, &err), CUDDLE_E_ARG, &err);
    cuddle_detokenizer_free(d);
    cuddle_detokenizer_free(NULL);
    cuddle_encoding_free(NULL);
    cuddle_text_free(NULL);
    cuddle_tokenizer_free(NULL);
    ck_assert_int_eq(cuddle_tokenizer_size(NULL), 0);
    ck_assert_ptr_null(cuddle_tokenizer_token(NULL, 0));
    ck_assert_int_eq(cuddle_tokenizer_id(t, NULL), -1);
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(finds_its_files)
{
    char path[512], file[600];
    cuddle_tokenizer *t = NULL;
    snprintf(path, sizeof path, "%s/checkpoint", test_temp_dir());
    ck_assert(mkdir(path, 0700) == 0);
    bool found = true;
    ck_ok(cud_tokenizer_find(&found, path, &err));
    ck_assert(!found);
    test_expect_failure(cuddle_tokenizer_load(&t, path, &err), CUDDLE_E_IO, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "tokenizer.json"));
    test_expect_failure(cuddle_tokenizer_load(&t, "/nowhere/at/all", &err), CUDDLE_E_IO, &err);
    snprintf(file, sizeof file, "%s/tokenizer.json", path);
    test_write_file(file, "{" BPE "}", strlen("{" BPE "}"));
    ck_ok(cud_tokenizer_find(&found, path, &err));
    ck_assert(found);
    ck_ok(cuddle_tokenizer_load(&t, path, &err));
    ck_assert_int_eq(cuddle_tokenizer_size(t), 4);
    cuddle_tokenizer_free(t);
    char config[600]; /* beside the file, whichever way it is named */
    snprintf(config, sizeof config, "%s/tokenizer_config.json", path);
    test_write_file(config, "{\"pad_token\": \"[PAD]\"}", strlen("{\"pad_token\": \"[PAD]\"}"));
    ck_ok(cuddle_tokenizer_load(&t, path, &err));
    ck_assert_int_eq(cuddle_tokenizer_id(t, "[PAD]"), 4);
    cuddle_tokenizer_free(t);
    ck_ok(cuddle_tokenizer_load(&t, file, &err));
    ck_assert_int_eq(cuddle_tokenizer_id(t, "[PAD]"), 4);
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(applies_tokenizer_config)
{
    const char *json =
        "{" BPE ", \"decoder\": {\"type\": \"Fuse\"}, \"added_tokens\": [" TOKEN(4, "<s>", true) ", " TOKEN(5, "[x]", false) "]}";
    cuddle_tokenizer *t = parsed(
        json, "{\"added_tokens_decoder\": {\"6\": {\"content\": \"<e>\", \"special\": true}, \"5\": {\"content\": \"[x]\", "
              "\"special\": true}},"
              "\"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"<e>\", \"__type\": \"AddedToken\"}, \"pad_token\": null,"
              "\"unk_token\": \"<unk>\", \"additional_special_tokens\": [\"ab\", \"<q>\"], \"add_bos_token\": true,"
              "\"model_max_length\": 1000000000000000019884624838656, \"chat_template\": \"{{ x }}\"}");
    ck_assert_int_eq(cuddle_tokenizer_size(t), 8);
    ck_assert(cud_tokenizer_is_special(t, 5)); /* flags changed */
    ck_assert(cud_tokenizer_is_special(t, 6)); /* added */
    ck_assert(cud_tokenizer_is_special(t, 3)); /* a word of the vocabulary that became an added token */
    ck_assert(cud_tokenizer_is_special(t, 2));
    ck_assert_int_eq(cuddle_tokenizer_id(t, "<q>"), 7);
    ENCODES(t, "a<e><unk>[x]<q>", 0, 6, 3, 5, 7); /* and nothing is added twice, or at all: there is no post-processor */
    decodes(t, (const int32_t[]){ 0, 5, 1, 7 }, 4, CUDDLE_DETOKENIZE_SKIP_SPECIAL, "ab");
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(cleans_up_as_transformers_does) /* not for BPE, unless the checkpoint insists */
{
    const char *json = "{\"decoder\": {\"type\": \"Fuse\"}, \"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \" .\": 1, \" \": "
                       "2, \"'s\": 3, \" ' \": 4, \" n\": 5,"
                       "\"'t\": 6, \"?\": 7}, \"merges\": []}}";
    const int32_t ids[] = { 0, 1, 2, 3, 4, 0, 5, 6, 2, 2, 7, 2 };
    cuddle_tokenizer *t = parsed(json, "{\"clean_up_tokenization_spaces\": true}");
    decodes(t, ids, 12, 0, "a . 's ' a n't  ? ");
    cuddle_tokenizer_free(t);
    t = parsed(json, "{\"clean_up_tokenization_spaces\": true, "
                     "\"clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output\": true}");
    decodes(t, ids, 12, 0, "a.'s'an't ? ");
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(ignores_truncation_and_padding)
{
    cuddle_tokenizer *t = parsed("{\"version\": \"1.0\", \"truncation\": {\"max_length\": 1, \"strategy\": \"LongestFirst\", "
                                 "\"stride\": 0, \"direction\": \"Right\"},"
                                 "\"padding\": {\"strategy\": {\"Fixed\": 9}, \"direction\": \"Left\", \"pad_to_multiple_of\": null, "
                                 "\"pad_id\": 3, \"pad_type_id\": 0, \"pad_token\": \"<unk>\"}, " BPE "}",
                                 NULL);
    ENCODES(t, "abab", 2, 2);
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(reports_an_unknown_token_that_is_not_in_the_vocabulary)
{
    cuddle_tokenizer *t =
        parsed("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [], \"unk_token\": \"?\"}}", NULL);
    cuddle_encoding *e = NULL;
    ENCODES(t, "aa", 0, 0);
    test_expect_failure(cuddle_tokenize(&e, t, "ab", 2, 0, &err), CUDDLE_E_FORMAT, &err);
    ck_assert_ptr_null(e);
    cuddle_tokenizer_free(t);
    t = parsed("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": []}}", NULL); /* none named: dropped */
    ENCODES(t, "abca", 0, 0);
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(refuses_a_file_that_is_too_large)
{
    const size_t size = CUD_TOKENIZER_MAX_FILE + (size_t)1;
    char *json = calloc(size, 1);
    cuddle_tokenizer *t = NULL;
    ck_assert_ptr_nonnull(json);
    cud_error_clear(&err);
    test_expect_failure(cud_tokenizer_parse(&t, json, size, NULL, 0, &err), CUDDLE_E_LIMIT, &err);
    ck_assert_str_eq(err.text, "tokenizer.json: 67108865 bytes, expected at most 67108864");
    cud_error_clear(&err); /* the small part of it, and the other file, have a bound of their own */
    memset(json, ' ', size);
    memcpy(json, "{" BPE "}", strlen("{" BPE "}"));
    test_expect_failure(cud_tokenizer_parse(&t, json, CUD_TOKENIZER_MAX_REST + 1000, NULL, 0, &err), CUDDLE_E_LIMIT, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "beside the vocabulary and the merges"));
    cud_error_clear(&err);
    test_expect_failure(cud_tokenizer_parse(&t, "{" BPE "}", strlen("{" BPE "}"), json, CUD_TOKENIZER_MAX_REST + 1, &err),
                        CUDDLE_E_LIMIT, &err);
    ck_assert_str_eq(err.text, "tokenizer_config.json: 8388609 bytes, expected at most 8388608");
    free(json);
}
END_TEST

/* ---- faults ---- */

static const char *const rich[] = { "llama3",     "llama-spm",     "added-tokens", "accents",   "suffix",        "decoder-regex", "decoder-strip-ends",
                                    "bert",       "unigram-bytes", "wordlevel",    "files-opt", "files-roberta", "files-llama",   "files-tiktoken" };

/* Load, encode, decode and stream; the first failure ends it. */
static cuddle_status everything(const char *folder)
{
    static const char text[] = "Hello <s> caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac <mask> o\xcc\x81\xcc\xa3  it's 123\n";
    char relative[64], *decoded = NULL;
    cuddle_tokenizer *t = NULL;
    cuddle_encoding *e = NULL;
    cuddle_detokenizer *d = NULL;
    const char *piece;
    size_t length;
    snprintf(relative, sizeof relative, "tokenizers/%s", folder);
    cuddle_status status = cuddle_tokenizer_load(&t, test_path(relative), &err);
    if (!status) status = cuddle_tokenize(&e, t, text, sizeof text - 1, 0, &err);
    if (!status) status = cuddle_detokenize(&decoded, &length, t, e->ids, e->count, 0, &err);
    if (!status) status = cuddle_detokenizer_new(&d, t, 0, &err);
    for (size_t i = 0; !status && i < e->count; i++) status = cuddle_detokenizer_push(d, e->ids[i], &piece, &length, &err);
    if (!status) status = cuddle_detokenizer_finish(d, &piece, &length, &err);
    cuddle_detokenizer_free(d);
    cuddle_text_free(decoded);
    cuddle_encoding_free(e);
    cuddle_tokenizer_free(t);
    return status;
}

START_TEST(survives_every_failed_allocation)
{
    cuddle_status status = CUDDLE_E_NOMEM;
    long n = 0;
    for (; status == CUDDLE_E_NOMEM; n++) {
        test_fail_allocation(n + 1, n % 2);
        status = everything(rich[_i]);
        test_fail_allocation(0, false);
        ck_assert_msg(status == CUDDLE_OK || (status == CUDDLE_E_NOMEM && err.text[0]), "allocation %ld: %s: %s", n + 1,
                      cuddle_status_name(status), err.text);
    }
    ck_assert_int_eq(status, CUDDLE_OK);
    ck_assert_msg(n > 25, "only %ld allocations were failed", n);
}
END_TEST

START_TEST(survives_every_failed_read)
{
    for (long n = 1; n <= 2; n++) {
        test_fail_read(n, TEST_READ_EIO);
        test_expect_failure(everything("llama-spm"), CUDDLE_E_IO, &err); /* two files: tokenizer.json, tokenizer_config.json */
        test_fail_read(n, TEST_READ_EOF);
        test_expect_failure(everything("llama-spm"), CUDDLE_E_IO, &err);
        test_fail_read(n, TEST_READ_EINTR);
        ck_ok(everything("llama-spm"));
        test_fail_read(n, TEST_READ_SHORT);
        ck_ok(everything("llama-spm"));
    }
    test_fail_read(0, TEST_READ_OK);
}
END_TEST

/* ---- many threads, one tokenizer ---- */

enum { THREADS = 4, ROUNDS = 50 };

static void *work(void *tokenizer)
{
    static const char text[] = "The quick brown fox doesn't jump: 3.14, caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac.";
    for (int i = 0; i < ROUNDS; i++) {
        cuddle_encoding *e = NULL;
        char *back = NULL;
        if (cuddle_tokenize(&e, tokenizer, text, sizeof text - 1, 0, NULL)) return NULL;
        const cuddle_status status =
            cuddle_detokenize(&back, NULL, tokenizer, e->ids, e->count, CUDDLE_DETOKENIZE_SKIP_SPECIAL, NULL);
        const int same = !status && strcmp(back, text) == 0;
        cuddle_text_free(back);
        cuddle_encoding_free(e);
        if (!same) return NULL;
    }
    return tokenizer;
}

START_TEST(serves_many_threads)
{
    pthread_t thread[THREADS];
    cuddle_tokenizer *t = NULL;
    ck_ok(cuddle_tokenizer_load(&t, test_path("tokenizers/llama3"), &err));
    for (int i = 0; i < THREADS; i++) ck_assert(pthread_create(&thread[i], NULL, work, t) == 0);
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        pthread_join(thread[i], &result);
        ck_assert_ptr_eq(result, t);
    }
    cuddle_tokenizer_free(t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer");
    TCase *tc = tcase_create("tokenizer");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, gives_hand_values);
    tcase_add_test(tc, refuses_wrong_calls);
    tcase_add_test(tc, finds_its_files);
    tcase_add_test(tc, applies_tokenizer_config);
    tcase_add_test(tc, cleans_up_as_transformers_does);
    tcase_add_test(tc, ignores_truncation_and_padding);
    tcase_add_test(tc, reports_an_unknown_token_that_is_not_in_the_vocabulary);
    tcase_add_test(tc, refuses_a_file_that_is_too_large);
    tcase_add_loop_test(tc, survives_every_failed_allocation, 0, sizeof rich / sizeof *rich);
    tcase_add_test(tc, survives_every_failed_read);
    tcase_add_test(tc, serves_many_threads);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
