/* Words that a tokenizer remembers: found as they were kept or not at all, whatever else came in between. */
#include "support.h"
#include "text/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;

/* The word at the end of what can be read, before bytes that must not count: they are others each time. */
static cud_word look(const cud_words *w, const char *text, size_t length)
{
    static unsigned char behind;
    cud_word word;
    char *copy = malloc(length + CUD_WORD_MAX);
    memcpy(copy, text, length);
    memset(copy + length, behind++, CUD_WORD_MAX);
    cud_words_expect(w, &word, copy, length);
    free(copy);
    return word;
}

static size_t found_count(cud_words *w, const char *text, size_t length, cud_token *token)
{
    const cud_word word = look(w, text, length);
    const cud_known *known = cud_words_find(w, &word);
    if (!known) return SIZE_MAX;
    for (size_t i = 0; i < known->count; i++) token[i] = (cud_token){ .id = known->id[i], .begin = known->begin[i], .end = known->end[i] };
    return known->count;
}

static void keep(cud_words *w, const char *text, size_t length, const cud_token *token, size_t count)
{
    const cud_word word = look(w, text, length);
    cud_words_keep(w, &word, token, count);
}

START_TEST(gives_back_what_was_kept_for_every_length)
{
    char text[64];
    cud_words *w;
    for (int i = 0; i < 64; i++) text[i] = (char)('a' + i % 23);
    ck_ok(cud_words_new(&w, &err));
    for (size_t length = 1; length <= CUD_WORD_MAX; length++) {
        const cud_token token[2] = { { .id = (int32_t)length, .begin = 0, .end = length / 2 }, { .id = -7, .begin = length / 2, .end = length } };
        keep(w, text, length, token, 2);
    }
    for (size_t length = 1; length <= CUD_WORD_MAX; length++) {
        cud_token token[8];
        ck_assert_uint_eq(found_count(w, text, length, token), 2);
        ck_assert_int_eq(token[0].id, (int)length);
        ck_assert_uint_eq(token[0].end, length / 2);
        ck_assert_int_eq(token[1].id, -7);
        ck_assert_uint_eq(token[1].begin, length / 2);
        ck_assert_uint_eq(token[1].end, length);
        for (size_t i = 0; i < length; i++) { /* one letter is another word */
            text[i] ^= 1;
            ck_assert_uint_eq(found_count(w, text, length, token), SIZE_MAX);
            text[i] ^= 1;
        }
    }
    cud_words_free(w);
}
END_TEST

START_TEST(a_zero_byte_is_part_of_a_word)
{
    cud_words *w;
    cud_token token[8];
    ck_ok(cud_words_new(&w, &err));
    keep(w, "a\0", 2, &(cud_token){ .id = 1, .end = 2 }, 1);
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
    keep(w, "x", 1, token, 0);
    ck_assert_uint_eq(found_count(w, "x", 1, token), 0);
    keep(w, "seven", 5, token, 7);
    ck_assert_uint_eq(found_count(w, "seven", 5, token), SIZE_MAX);
    keep(w, "far", 3, &(cud_token){ .id = 1, .begin = 300, .end = 301 }, 1);
    ck_assert_uint_eq(found_count(w, "far", 3, token), SIZE_MAX);
    keep(w, "1234567890123456789012345", 25, token, 1);
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
            keep(w, word, length, &(cud_token){ .id = i, .end = length }, 1);
        }
    ck_assert_int_lt(found, WORDS); /* they do not all fit */
    cud_words_free(w);
}
END_TEST

/* Far fewer words than there is room for, however they fall: almost all of them stay, and a word that comes again and again always does. */
START_TEST(keeps_what_fits_and_what_is_asked_for)
{
    enum { WORDS = 8000, NEW = 50000 };
    cud_words *w;
    cud_token token[8];
    int found = 0, often = 0;
    char text[CUD_WORD_MAX];
    ck_ok(cud_words_new(&w, &err));
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < WORDS; i++) {
            const size_t length = (size_t)snprintf(text, sizeof text, "w%d", i);
            if (found_count(w, text, length, token) == SIZE_MAX) keep(w, text, length, &(cud_token){ .id = i, .end = length }, 1);
            else found++;
        }
    ck_assert_int_gt(found, WORDS * 95 / 100);
    for (int i = 0; i < NEW; i++) {
        const size_t length = (size_t)snprintf(text, sizeof text, "n%d", i);
        keep(w, text, length, &(cud_token){ .id = i, .end = length }, 1);
        if (found_count(w, "the", 3, token) == SIZE_MAX) keep(w, "the", 3, &(cud_token){ .id = 7, .end = 3 }, 1);
        else often++;
    }
    ck_assert_int_gt(often, NEW - NEW / 1000);
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
    tcase_add_test(t, keeps_what_fits_and_what_is_asked_for);
    suite_add_tcase(suite, t);
    return test_run(suite);
}
