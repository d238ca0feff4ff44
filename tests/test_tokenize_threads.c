/* cuddle_tokenize_batch() on several threads: the results lie in order and a failure is the one of the lowest text, always. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;

enum { TEXTS = 300, ROOM = 64 };
static char text[TEXTS][ROOM];
static cuddle_tokenize_input input[TEXTS];

static void make_texts(void)
{
    static const char *const words[] = { "The quick ", "brown fox ", "na\xc3\xafve ", "3.14 ", "\xe6\x97\xa5\xe6\x9c\xac ",
                                         "doesn't " };
    for (int i = 0; i < TEXTS; i++) {
        text[i][0] = 0;
        for (int k = 0; k <= i % 5; k++) strcat(text[i], words[(i + k * k) % 6]);
        input[i] = (cuddle_tokenize_input){ .text = text[i], .length = strlen(text[i]) };
    }
}

START_TEST(gives_the_same_in_order_on_any_number_of_threads)
{
    static cuddle_encoding *e[TEXTS];
    static const int threads[] = { 1, 2, 5, 0 };
    cuddle_tokenizer *t = NULL;
    cuddle_tokenize_options o;
    cuddle_tokenize_options_init(&o, sizeof o);
    make_texts();
    ck_ok(cuddle_tokenizer_load(&t, test_path("tokenizers/llama3"), &err));
    o.threads = threads[_i];
    ck_ok(cuddle_tokenize_batch(e, t, input, TEXTS, &o, &err));
    for (int i = 0; i < TEXTS; i++) {
        cuddle_encoding *alone = NULL;
        ck_ok(cuddle_tokenize(&alone, t, text[i], strlen(text[i]), 0, &err));
        ck_assert_uint_eq(e[i]->count, alone->count);
        ck_assert_mem_eq(e[i]->ids, alone->ids, alone->count * sizeof *alone->ids);
        cuddle_encoding_free(alone);
        cuddle_encoding_free(e[i]);
    }
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(reports_the_lowest_failure)
{
    static cuddle_encoding *e[TEXTS];
    static const int bad[] = { 290, 41, 42, 120, 299 };
    static char slow[1 << 20];
    cuddle_tokenizer *t = NULL;
    cuddle_tokenize_options o;
    cuddle_tokenize_options_init(&o, sizeof o);
    make_texts();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) text[bad[i]][0] = '\xff';
    memset(slow, 'a', sizeof slow); /* text 40 fails long after 41 does */
    slow[sizeof slow - 1] = '\xff';
    input[40] = (cuddle_tokenize_input){ .text = slow, .length = sizeof slow };
    ck_ok(cuddle_tokenizer_load(&t, test_path("tokenizers/llama3"), &err));
    o.threads = 4;
    for (int round = 0; round < 20; round++) {
        test_expect_failure(cuddle_tokenize_batch(e, t, input, TEXTS, &o, &err), CUDDLE_E_ARG, &err);
        ck_assert_str_eq(err.text, "text 40: the text is not UTF-8 at byte 1048575");
        for (int i = 0; i < TEXTS; i++) ck_assert_ptr_null(e[i]);
    }
    cuddle_tokenizer_free(t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenize threads");
    TCase *tc = tcase_create("batch");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, gives_the_same_in_order_on_any_number_of_threads, 0, 4);
    tcase_add_test(tc, reports_the_lowest_failure);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
