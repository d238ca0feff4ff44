/* The hand-written scanners: words that were worked out by hand, then PCRE2's verdict on every code point and on random texts. */
#include "support.h"
#include "text/unicode.h"
#include "word_patterns.h"

#include <stdlib.h>

static cuddle_error err;

enum { GPT2 = 0, LLAMA3 = 2, QWEN2 = 3, O200K = 4 };

static const struct { int pattern; const char *text, *words; } cases[] = { /* words: with a bar between them */
    { GPT2, "Hello world", "Hello| world" },
    { GPT2, "it's we'll I'M 'sun", "it|'s| we|'ll| I|'|M| '|sun" },
    { GPT2, "a  b\n\n c", "a| | b|\n\n| c" },
    { GPT2, "x  ", "x|  " },
    { GPT2, "12 34a", "12| 34|a" },
    { GPT2, "\t\tx", "\t|\t|x" },
    { GPT2, "\xe4\xb8\xad\xe6\x96\x87!?", "\xe4\xb8\xad\xe6\x96\x87|!?" },
    { LLAMA3, "1234567", "123|456|7" },
    { LLAMA3, "IT'S it'\xc5\xbf x", "IT|'S| it|'\xc5\xbf| x" }, /* U+017F folds to s */
    { LLAMA3, "a \n \n  b", "a| \n \n| | b" },
    { LLAMA3, "f(x);\r\n\r\ny", "f|(x|);\r\n\r\n|y" },
    { LLAMA3, "\tx\t 1", "\tx|\t| |1" },
    { QWEN2, "12a", "1|2|a" },
    { O200K, "HelloWORLDfoo", "Hello|WORLDfoo" },
    { O200K, "ABC", "ABC" },
    { O200K, "don't DON'T x'", "don't| DON'T| x|'" },
    { O200K, "a/b//\n/c", "a|/b|//\n/|c" },
    { O200K, "A\xe1\xbe\x88" "b\xe4\xb8\xad" "CDe", "A\xe1\xbe\x88" "b\xe4\xb8\xad|CDe" }, /* U+1F88 is a title case letter, U+4E2D neither */
    { O200K, "AB\xe4\xb8\xad" "CD", "AB\xe4\xb8\xad|CD" }, /* capitals give back all but the last that can be small */
};
enum { CASES = sizeof cases / sizeof *cases };

START_TEST(finds_the_words_of_hand_worked_texts)
{
    const cud_scan_fn scan = cud_scan_of_pattern(word_patterns[cases[_i].pattern], strlen(word_patterns[cases[_i].pattern]));
    const char *text = cases[_i].text;
    char found[256] = "";
    ck_assert(scan);
    uint32_t end[64] = { 0 };
    const size_t count = scan(end, 64, text, strlen(text), 0);
    ck_assert(count > 0 && end[count - 1] == strlen(text));
    for (size_t i = 0, at = 0; i < count; at = end[i++]) {
        uint32_t again[2] = { 0, 7 };
        ck_assert(end[i] > at && end[i] <= strlen(text));
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%.*s", at ? "|" : "", (int)(end[i] - at), text + at);
        ck_assert_uint_eq(scan(again, 1, text, strlen(text), at), 1); /* one by one they are the same */
        ck_assert(again[0] == end[i] && again[1] == 7);
    }
    ck_assert_str_eq(found, cases[_i].words);
    ck_assert_uint_eq(scan(end, 64, text, strlen(text), strlen(text)), 0);
}
END_TEST

START_TEST(knows_no_other_pattern)
{
    ck_assert(!cud_scan_of_pattern("", 0));
    ck_assert(!cud_scan_of_pattern(word_patterns[0], strlen(word_patterns[0]) - 1));
    ck_assert(!cud_scan_of_pattern("\\s+", 3));
}
END_TEST

static cuddle_status stop(void *user, size_t begin, size_t end)
{
    (void)begin, (void)end;
    *(bool *)user = true;
    return CUDDLE_OK;
}

static bool matches(const cud_regex *r, cud_regex_scratch **scratch, const char *text, size_t length)
{
    bool found = false;
    ck_ok(cud_regex_each(r, scratch, text, length, stop, &found, &err));
    return found;
}

/* utf8proc and PCRE2 may be of different versions of Unicode: characters that PCRE2 does not know yet are not compared. */
START_TEST(agrees_with_pcre2_on_every_character)
{
    cud_regex *regex, *unassigned;
    cud_regex_scratch *scratch = NULL;
    int skipped = 0;
    ck_ok(word_pattern_compile(&regex, _i, &err));
    ck_ok(cud_regex_compile(&unassigned, "\\p{Cn}", 6, "test", &err));
    for (int32_t c = 1; c < 0x110000; c += c < 0x3000 || _i == O200K ? 1 : 3) {
        if (c >= 0xd800 && c < 0xe000) continue;
        char text[32] = "a ";
        size_t length = 2;
        length += cud_utf8_encode(text + length, c);
        memcpy(text + length, "A1", 2);
        length += 2;
        length += cud_utf8_encode(text + length, c);
        length += cud_utf8_encode(text + length, c);
        memcpy(text + length, " x", 2);
        length += 2;
        if (word_compare(_i, regex, &scratch, text, length, &err) == CUDDLE_OK) continue;
        ck_assert_msg(matches(unassigned, &scratch, text, length), "pattern %d, U+%04X", _i, (unsigned)c);
        skipped++;
    }
    ck_assert_int_lt(skipped, 20000);
    cud_regex_scratch_free(scratch);
    cud_regex_free(unassigned);
    cud_regex_free(regex);
}
END_TEST

/* Letters are looked at eight at a time: every byte of ASCII, and a character of two bytes, at each place among them. */
START_TEST(agrees_with_pcre2_on_what_ends_letters)
{
    enum { LONG = 20 };
    cud_regex *regex;
    cud_regex_scratch *scratch = NULL;
    ck_ok(word_pattern_compile(&regex, _i, &err));
    for (int32_t c = 0; c <= 0x80 + 0x40; c++)
        for (size_t place = 0; place < LONG; place++) {
            char text[LONG + 1];
            for (size_t i = 0; i < sizeof text; i++) text[i] = "azAZmM"[(i + (size_t)c) % 6];
            const size_t size = cud_utf8_encode(text + place, c);
            ck_assert_msg(word_compare(_i, regex, &scratch, text, LONG - 1 + size, &err) == CUDDLE_OK, "pattern %d, U+%04X at %zu", _i, (unsigned)c, place);
        }
    cud_regex_scratch_free(scratch);
    cud_regex_free(regex);
}
END_TEST

START_TEST(agrees_with_pcre2_on_random_texts)
{
    static const int32_t letters[] = { 'a', 'b', 'S', 's', 't', 'r', 'e', 'v', 'm', 'l', 'd', 'L', 'E', ' ', ' ', ' ', '\n', '\r', '\t', '\'', '\'', '1', '2', '/',
                                       '.', '-', '_', 0x17f, 0x85, 0xa0, 0xad, 0xdf, 0x130, 0x1c5, 0x2b0, 0x300, 0x301, 0x3b1, 0x391, 0x5d0, 0x661, 0x903,
                                       0xe33, 0x1f88, 0x200b, 0x200d, 0x2028, 0x2029, 0x2160, 0x2460, 0x3000, 0x3042, 0x4e2d, 0xac00, 0xfe0f, 0x1d400, 0x1f600,
                                       0x1f3fb, 0x20000, 0xfdd0, 0x10ffff };
    enum { LETTERS = sizeof letters / sizeof *letters };
    cud_regex *regex;
    cud_regex_scratch *scratch = NULL;
    uint64_t state = 0x9e3779b97f4a7c15u + (uint64_t)_i;
    ck_ok(word_pattern_compile(&regex, _i, &err));
    for (int i = 0; i < 40000; i++) {
        char text[128];
        size_t length = 0;
        state = state * 6364136223846793005u + 1442695040888963407u;
        const int count = 1 + (int)(state >> 33) % 24, kinds = 2 + (int)(state >> 48) % (LETTERS - 1);
        for (int k = 0; k < count; k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            length += cud_utf8_encode(text + length, letters[((state >> 33) + (uint64_t)i) % (uint64_t)kinds]);
        }
        ck_assert_msg(word_compare(_i, regex, &scratch, text, length, &err) == CUDDLE_OK, "pattern %d, text %d \"%.*s\"", _i, i, (int)length, text);
    }
    cud_regex_scratch_free(scratch);
    cud_regex_free(regex);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scan_words");
    TCase *t = tcase_create("scanners");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, finds_the_words_of_hand_worked_texts, 0, CASES);
    tcase_add_test(t, knows_no_other_pattern);
    tcase_add_loop_test(t, agrees_with_pcre2_on_every_character, 0, WORD_PATTERNS);
    tcase_add_loop_test(t, agrees_with_pcre2_on_what_ends_letters, 0, WORD_PATTERNS);
    tcase_add_loop_test(t, agrees_with_pcre2_on_random_texts, 0, WORD_PATTERNS);
    suite_add_tcase(suite, t);
    return test_run(suite);
}
