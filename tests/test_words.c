/* Words that a tokenizer remembers: found as they were kept or not at all, whatever else came in between. */
#include "support.h"
#include "text/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;

static size_t found_count(const cud_words *w, const char *word, size_t length, cud_token *token)
{
    cud_tokens out = { 0 };
    bool found;
    ck_ok(cud_words_find(w, &found, &out, word, length, &err));
    const size_t count = found ? out.count : SIZE_MAX;
    if (count > 0 && count <= 8) memcpy(token, out.token, count * sizeof *token);
    free(out.token);
    return count;
}

START_TEST(gives_back_what_was_kept_for_every_length)
{
    char text[64];
    cud_words *w;
    for (int i = 0; i < 64; i++) text[i] = (char)('a' + i % 23);
    ck_ok(cud_words_new(&w, &err));
    for (size_t length = 1; length <= CUD_WORD_MAX; length++) {
        const cud_token token[2] = { { .id = (int32_t)length, .begin = 0, .end = length / 2 }, { .id = -7, .begin = length / 2, .end = length } };
        char *word = malloc(length); /* exactly: reading further would be seen */
        memcpy(word, text, length);
        cud_words_keep(w, word, length, token, 2);
        free(word);
    }
    for (size_t length = 1; length <= CUD_WORD_MAX; length++) {
        cud_token token[8];
        char *word = malloc(length);
        memcpy(word, text, length);
        cud_words_expect(w, word, length);
        ck_assert_uint_eq(found_count(w, word, length, token), 2);
        ck_assert_int_eq(token[0].id, (int)length);
        ck_assert_uint_eq(token[0].end, length / 2);
        ck_assert_int_eq(token[1].id, -7);
        ck_assert_uint_eq(token[1].begin, length / 2);
        ck_assert_uint_eq(token[1].end, length);
        for (size_t i = 0; i < length; i++) { /* one letter is another word */
            word[i] ^= 1;
            ck_assert_uint_eq(found_count(w, word, length, token), SIZE_MAX);
            word[i] ^= 1;
        }
        free(word);
    }
    cud_words_free(w);
}
END_TEST

START_TEST(a_zero_byte_is_part_of_a_word)
{
    cud_words *w;
    cud_token token[8];
    ck_ok(cud_words_new(&w, &err));
    cud_words_keep(w, "a\0", 2, &(cud_token){ .id = 1, .end = 2 }, 1);
    ck_assert_uint_eq(found_count(w, "a", 1, token), SIZE_MAX);
    ck_assert_uint_eq(found_count(w, "a\0\0", 3, token), SIZE_MAX);
    ck_assert_uint_eq(found_count(w, "a\0", 2, token), 1);
    cud_words_free(w);
}
END_TEST

START_TEST(remembers_words_that_become_nothing_and_not_those_that_do_not_fit)
{
    cud_words *w;
    cud_token token[8] = { { .id = 1, .end = 1 } };
    ck_ok(cud_words_new(&w, &err));
    cud_words_keep(w, "x", 1, token, 0);
    ck_assert_uint_eq(found_count(w, "x", 1, token), 0);
    cud_words_keep(w, "seven", 5, token, 7);
    ck_assert_uint_eq(found_count(w, "seven", 5, token), SIZE_MAX);
    cud_words_keep(w, "far", 3, &(cud_token){ .id = 1, .begin = 300, .end = 301 }, 1);
    ck_assert_uint_eq(found_count(w, "far", 3, token), SIZE_MAX);
    cud_words_keep(w, "1234567890123456789012345", 25, token, 1);
    ck_assert_uint_eq(found_count(w, "1234567890123456789012345", 25, token), SIZE_MAX);
    ck_assert_uint_eq(found_count(w, "", 0, token), SIZE_MAX);
    cud_words_free(w);
}
END_TEST

START_TEST(forgets_but_never_mixes_up)
{
    enum { WORDS = 100000 };
    cud_words *w;
    cud_token token[8];
    int found = 0;
    ck_ok(cud_words_new(&w, &err));
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < WORDS; i++) {
            char word[CUD_WORD_MAX + 1];
            const size_t length = (size_t)snprintf(word, sizeof word, i % 3 ? "%d" : "word number %d", i);
            const size_t count = found_count(w, word, length, token);
            if (count != SIZE_MAX) {
                ck_assert_uint_eq(count, 1);
                ck_assert_int_eq(token[0].id, i);
                found++;
            }
            cud_words_keep(w, word, length, &(cud_token){ .id = i, .end = length }, 1);
        }
    ck_assert_int_lt(found, WORDS); /* they do not all fit */
    cud_words_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("words");
    TCase *t = tcase_create("words");
    tcase_add_test(t, gives_back_what_was_kept_for_every_length);
    tcase_add_test(t, a_zero_byte_is_part_of_a_word);
    tcase_add_test(t, remembers_words_that_become_nothing_and_not_those_that_do_not_fit);
    tcase_add_test(t, forgets_but_never_mixes_up);
    suite_add_tcase(suite, t);
    return test_run(suite);
}
