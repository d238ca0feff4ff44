/* Grapheme clusters: the rules of Unicode annex 29 by example, '|' between clusters. */
#include "support.h"
#include "text/graphemes.h"

#include <stdio.h>
#include <string.h>

#define ACUTE "\xcc\x81"
#define ZWJ "\xe2\x80\x8d"
#define WOMAN "\xf0\x9f\x91\xa9"
#define LAPTOP "\xf0\x9f\x92\xbb"
#define TONE "\xf0\x9f\x8f\xbd"
#define REGION_A "\xf0\x9f\x87\xa6"
#define KA "\xe0\xa4\x95"
#define VIRAMA "\xe0\xa5\x8d"
#define SIGN_I "\xe0\xa4\xbf"
#define JAMO_L "\xe1\x84\x80"
#define JAMO_V "\xe1\x85\xa1"
#define JAMO_T "\xe1\x86\xa8"
#define SYLLABLE_LV "\xea\xb0\x80"  /* U+AC00 */
#define SYLLABLE_LVT "\xea\xb0\x81" /* U+AC01 */
#define NUMBER_SIGN "\xd8\x80"      /* U+0600, Prepend */

static const char *const cases[] = {
    "a|b",
    "\r\n|\n|\r|a",
    "\r|" ACUTE,
    "a|\x01|" ACUTE,
    "a" ACUTE ACUTE "|b",
    ACUTE "|a",
    NUMBER_SIGN "1|2",
    NUMBER_SIGN "|\n",
    JAMO_L JAMO_L JAMO_V JAMO_V JAMO_T JAMO_T "|" JAMO_L,
    SYLLABLE_LV JAMO_V JAMO_T "|" SYLLABLE_LVT JAMO_T "|" JAMO_V,
    JAMO_L SYLLABLE_LVT "|a",
    SYLLABLE_LVT "|" JAMO_V,
    JAMO_V "|" SYLLABLE_LV,
    REGION_A REGION_A "|" REGION_A REGION_A "|" REGION_A "|a",
    WOMAN TONE ZWJ LAPTOP "|" LAPTOP,
    WOMAN ZWJ "|a",
    "a" ZWJ "|" LAPTOP,
    WOMAN ZWJ ZWJ "|" LAPTOP,
    KA VIRAMA KA SIGN_I "|" KA,
    KA VIRAMA ZWJ KA "|a",
    KA ACUTE "|" KA,
    KA VIRAMA "|a",
    KA "\xe2\x80\x8c" VIRAMA "|" KA, /* ZWNJ ends a conjunct */
};

START_TEST(clusters_end_where_the_rules_say)
{
    char text[128], found[256] = "";
    size_t length = 0;
    for (const char *s = cases[_i]; *s; s++)
        if (*s != '|') text[length++] = *s;
    for (size_t at = 0, size; at < length; at += size) {
        size = cud_grapheme_length(text + at, length - at);
        ck_assert(size > 0 && size <= length - at);
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%.*s", at ? "|" : "", (int)size, text + at);
    }
    ck_assert_msg(strcmp(found, cases[_i]) == 0, "\"%s\", expected \"%s\"", found, cases[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("graphemes");
    TCase *tc = tcase_create("clusters");
    tcase_add_loop_test(tc, clusters_end_where_the_rules_say, 0, sizeof cases / sizeof *cases);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
