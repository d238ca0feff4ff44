#include "support.h"
#include "text/unicode.h"

START_TEST(knows_white_space_words_numbers_and_punctuation)
{
    static const int32_t white[] = { 9,      10,     11,     12,     13,     32,     0x85,   0xa0,
                                     0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000 };
    static const int32_t not_white[] = { 8, 14, 31, 'a', 0x180e, 0x200b, 0xfeff };
    static const int32_t word[] = { 'a', 'Z', '0', '_', 0xe9, 0x4e2d, 0x301, 0x200d, 0x2163, 0x24b6, 0x203f };
    static const int32_t not_word[] = { ' ', '-', '.', 0x2019, 0xbd, 0x1f917, 0xd7 };
    for (size_t i = 0; i < sizeof white / sizeof *white; i++) ck_assert_msg(cud_is_white(white[i]), "U+%04X", (unsigned)white[i]);
    for (size_t i = 0; i < sizeof not_white / sizeof *not_white; i++)
        ck_assert_msg(!cud_is_white(not_white[i]), "U+%04X", (unsigned)not_white[i]);
    for (size_t i = 0; i < sizeof word / sizeof *word; i++) ck_assert_msg(cud_is_word(word[i]), "U+%04X", (unsigned)word[i]);
    for (size_t i = 0; i < sizeof not_word / sizeof *not_word; i++)
        ck_assert_msg(!cud_is_word(not_word[i]), "U+%04X", (unsigned)not_word[i]);
    ck_assert(cud_is_numeric('7') && cud_is_numeric(0xbd) && cud_is_numeric(0x2167) && !cud_is_numeric('a'));
    ck_assert(cud_is_punct('$') && cud_is_punct('~') && cud_is_punct(0x3002) && !cud_is_punct(0x20ac) && !cud_is_punct('a'));
    ck_assert(cud_is_mark(0x301) && cud_is_mark(0x903) && !cud_is_mark('a'));
}
END_TEST

START_TEST(is_as_old_as_the_reference) /* whose tables differ in age */
{
    int32_t out[CUD_DECOMPOSE_MAX], lower[2];
    ck_assert(cud_decompose(out, 0x32ff, true) == 1 && out[0] == 0x32ff); /* Unicode 12.1: "Reiwa", two characters since */
    ck_assert(cud_decompose(out, 0x32fe, true) == 1 && out[0] == 0x30f2);
    ck_assert_int_eq(cud_combining_class(0x1abf), 0); /* Unicode 13: 220 since */
    ck_assert_int_eq(cud_combining_class(0x1abd), 220);
    ck_assert_int_eq(cud_compose(0x11935, 0x11930), 0);             /* Unicode 13: U+11938 since */
    ck_assert(cud_lower(lower, 0x1c89) == 1 && lower[0] == 0x1c8a); /* Unicode 16 */
    ck_assert(!cud_is_punct(0x2e4f) && cud_is_punct(0x2e42));       /* Unicode 12 and 7 */
    ck_assert(!cud_is_nonspacing(0x898) && cud_is_nonspacing(0x300));
    ck_assert(cud_is_numeric(0x116d0)); /* Unicode 16 */
    ck_assert(cud_is_control(0xad) && !cud_is_control('\n') && !cud_is_control(0x890) && cud_is_control(0xfffd));
}
END_TEST

START_TEST(lowers_composes_and_decomposes)
{
    int32_t out[CUD_DECOMPOSE_MAX];
    ck_assert(cud_lower(out, 'Q') == 1 && out[0] == 'q');
    ck_assert(cud_lower(out, 0x3a3) == 1 && out[0] == 0x3c3); /* no final sigma: characters have no context */
    ck_assert(cud_lower(out, 0x130) == 2 && out[0] == 'i' && out[1] == 0x307);
    ck_assert(cud_decompose(out, 0xe9, false) == 2 && out[0] == 'e' && out[1] == 0x301);
    ck_assert(cud_decompose(out, 0x1d15e, false) == 2 && out[0] == 0x1d157);
    ck_assert(cud_decompose(out, 0xfb01, false) == 1 && out[0] == 0xfb01);
    ck_assert(cud_decompose(out, 0xfb01, true) == 2 && out[0] == 'f' && out[1] == 'i');
    ck_assert(cud_decompose(out, 0xfdfa, true) == 18);
    ck_assert(cud_decompose(out, 0xac01, false) == 3 && out[2] == 0x11a8);
    ck_assert_int_eq(cud_compose('e', 0x301), 0xe9);
    ck_assert_int_eq(cud_compose(0xac00, 0x11a8), 0xac01);
    ck_assert_int_eq(cud_compose(0x915, 0x93c), 0); /* excluded from composition */
    ck_assert_int_eq(cud_compose('a', 'b'), 0);
    ck_assert_int_eq(cud_compose('<', 0x338), 0x226e);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("unicode");
    TCase *tc = tcase_create("unicode");
    tcase_add_test(tc, knows_white_space_words_numbers_and_punctuation);
    tcase_add_test(tc, is_as_old_as_the_reference);
    tcase_add_test(tc, lowers_composes_and_decomposes);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
