/* Pre-tokenizers by hand, and the translation of regular expressions from Oniguruma's syntax to PCRE2's. */
#include "support.h"
#include "text/component.h"
#include "text/regex.h"
#include "word_patterns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;

static void split(cud_pieces *p, const char *json, const char *text)
{
    char document[1024];
    cud_document d;
    cud_components steps = { 0 };
    snprintf(document, sizeof document, "{\"pre_tokenizer\": %s}", json);
    ck_ok(cud_document_parse(&d, document, strlen(document), &err));
    ck_ok(cud_components_parse(&steps, &cud_pre_tokenizers, &d, NULL, &err));
    ck_ok(cud_pieces_set(p, text, strlen(text), &err));
    for (int i = 0; i < steps.count; i++) ck_ok(((const cud_step_type *)steps.item[i].type)->apply(p, steps.item[i].config, &err));
    cud_components_free(&steps);
    cud_document_free(&d);
}

/* The pieces of `text`, joined with '|'. */
static void splits(const char *json, const char *text, const char *want)
{
    char found[1024] = "";
    cud_pieces p = { 0 };
    split(&p, json, text);
    for (size_t i = 0; i < p.count; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%.*s", i ? "|" : "",
                 (int)(p.piece[i].end - p.piece[i].begin), cud_piece_text(&p, &p.piece[i]));
    ck_assert_msg(strcmp(found, want) == 0, "%s of \"%s\" is %s, expected %s", json, text, found, want);
    cud_pieces_free(&p);
}

START_TEST(splits_in_five_ways)
{
    static const struct {
        const char *behavior, *plain, *inverted;
    } ways[] = {
        { "Removed", "a|b|c", "-|-|-" },
        { "Isolated", "a|-|b|-|-|c", "a|-|b|-|-|c" },
        { "MergedWithPrevious", "a-|b-|-|c", "a|-b|-|-c" },
        { "MergedWithNext", "a|-b|-|-c", "a-|b-|-|c" },
        { "Contiguous", "a|-|b|--|c", "a|-|b|--|c" },
    };
    char json[200];
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        snprintf(json, sizeof json,
                 "{\"type\": \"Split\", \"pattern\": {\"String\": \"-\"}, \"behavior\": \"%s\", \"invert\": false}",
                 ways[i].behavior);
        splits(json, "a-b--c", ways[i].plain);
        snprintf(json, sizeof json,
                 "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"-\"}, \"behavior\": \"%s\", \"invert\": true}",
                 ways[i].behavior);
        splits(json, "a-b--c", ways[i].inverted);
        splits(json, "", "");
    }
}
END_TEST

/* The same pattern in a group has no scanner, and its matches come one by one. More words than are scanned at a time. */
START_TEST(splits_by_scanners_as_by_pcre2)
{
    static const char *const behaviors[] = { "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous" };
    char pattern[512], text[1200] = "", json[2][700];
    size_t n = 0;
    for (const char *s = word_patterns[3]; *s; s++) {
        if (*s == '\\') pattern[n++] = '\\';
        pattern[n++] = *s;
    }
    pattern[n] = 0;
    for (int i = 0; i < 100; i++) snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d", i % 7 ? " w\xc3\xb6rd" : "\n ", i);
    for (int invert = 0; invert < 2; invert++) {
        cud_pieces p[2] = { 0 };
        for (int k = 0; k < 2; k++) {
            snprintf(json[k], sizeof json[k], "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"%s%s%s\"}, \"behavior\": \"%s\", \"invert\": %s}",
                     k ? "(?:" : "", pattern, k ? ")" : "", behaviors[_i], invert ? "true" : "false");
            split(&p[k], json[k], text);
        }
        ck_assert_uint_eq(p[0].count, p[1].count);
        for (size_t i = 0; i < p[0].count; i++) ck_assert_mem_eq(&p[0].piece[i], &p[1].piece[i], sizeof *p[0].piece);
        if (_i == 1) ck_assert_uint_gt(p[0].count, 200);
        for (int k = 0; k < 2; k++) cud_pieces_free(&p[k]);
    }
}
END_TEST

START_TEST(splits_by_kinds_of_characters)
{
    splits("{\"type\": \"Digits\", \"individual_digits\": true}", "a12b3", "a|1|2|b|3");
    splits("{\"type\": \"Digits\", \"individual_digits\": false}", "a12b3", "a|12|b|3");
    splits("{\"type\": \"Punctuation\"}", "a,b!?", "a|,|b|!|?");
    splits("{\"type\": \"Punctuation\", \"behavior\": \"Contiguous\"}", "a,b!?", "a|,|b|!?");
    splits("{\"type\": \"Whitespace\"}", "it's  a_b, ok", "it|'|s|a_b|,|ok");
    splits("{\"type\": \"WhitespaceSplit\"}", "it's  a_b, ok", "it's|a_b,|ok");
    splits("{\"type\": \"CharDelimiterSplit\", \"delimiter\": \"_\"}", "a_b__c", "a|b|c");
    splits("{\"type\": \"Metaspace\", \"replacement\": \"_\", \"prepend_scheme\": \"always\"}", "a b  c", "_a|_b|_|_c");
    splits("{\"type\": \"Metaspace\", \"replacement\": \"_\", \"prepend_scheme\": \"always\"}", " a", "_a");
    splits("{\"type\": \"Metaspace\", \"replacement\": \"_\", \"prepend_scheme\": \"never\", \"split\": false}", "a b", "a_b");
    splits("{\"type\": \"Metaspace\", \"replacement\": \"_\", \"add_prefix_space\": false, \"str_rep\": \"_\"}", "a b", "a|_b");
    splits("{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"WhitespaceSplit\"}, {\"type\": \"Metaspace\", "
           "\"replacement\": \"_\", \"prepend_scheme\": \"first\"}]}",
           "a b", "_a|b");
}
END_TEST

START_TEST(maps_bytes_to_the_alphabet)
{
#define BYTE_LEVEL(prefix, regex) \
    "{\"type\": \"ByteLevel\", \"add_prefix_space\": " #prefix ", \"trim_offsets\": true, \"use_regex\": " #regex "}"
    splits(BYTE_LEVEL(false, true), "Hello my  dog's\n",
           "Hello|\xc4\xa0my|\xc4\xa0|\xc4\xa0"
           "dog|'s|\xc4\x8a");
    splits(BYTE_LEVEL(true, false), "a b",
           "\xc4\xa0"
           "a\xc4\xa0"
           "b");
    splits(BYTE_LEVEL(true, false), " a",
           "\xc4\xa0"
           "a");
    splits(BYTE_LEVEL(false, false), "\x7f\xc2\xad",
           "\xc4\xa1\xc3\x82\xc5\x83"); /* 7f, c2, ad: U+0121, itself, the last of the 68 */
}
END_TEST

static void translates(const char *pattern, const char *want)
{
    char *out = NULL;
    size_t length = 0;
    ck_ok(cud_regex_translate(&out, &length, pattern, strlen(pattern), "test", &err));
    ck_assert_str_eq(out, want);
    ck_assert_uint_eq(length, strlen(want));
    free(out);
}

START_TEST(translates_what_the_engines_read_differently)
{
    translates("a|b*c+?d{2,3}(?:e)[f-h]", "a|b*c+?d{2,3}(?:e)[f-h]");
    translates("\\s\\S[\\s\\S]", "\\p{White_Space}\\P{White_Space}[\\p{White_Space}\\P{White_Space}]");
    translates("\\p{L}\\p{^Lu}\\P{N}\\p{letter}", "\\p{L}\\P{Lu}\\P{N}\\p{L}");
    translates("\\p{Han}\\P{Latin}", "\\p{sc:Han}\\P{sc:Latin}");
    translates("[a[b[c]]d]", "[abcd]");
    translates("[a-]|[-a]|[\\d-z]", "[a\\-]|[\\-a]|[\\p{Nd}\\-z]");
    translates("[]a]", "[\\]a]");
    translates("a{,3}b{2,}c{4}", "a{0,3}b{2,}c{4}");
    translates("xa{1,3}+y(?:b|c){2}+", "x(?:a{1,3})+y(?:(?:b|c){2})+");
    translates("{a{b}", "\\{a\\{b}");
    translates("\\r\\n\\t\\v\\u4e00\\x{1F600}\\x41", "\\x0d\\x0a\\x09\\x0b\\x{4e00}\\x{1f600}\\x{41}");
    translates("\\/\\-\\]", "\\/\\-\\]");
    translates("(?i)a", "(?i)a");
    translates("\xe4\xb8\xad?[\xe4\xb8\x80-\xe9\xbf\xbf]", "\xe4\xb8\xad?[\xe4\xb8\x80-\xe9\xbf\xbf]");
    translates("(a)\\1", "(a)\\1");
}
END_TEST

static cuddle_status count_match(void *user, size_t begin, size_t end)
{
    (void)begin, (void)end;
    ++*(size_t *)user;
    return CUDDLE_OK;
}

static size_t matches(const char *pattern, const char *text, size_t length)
{
    cud_regex *r = NULL;
    cud_regex_scratch *scratch = NULL;
    size_t count = 0;
    ck_ok(cud_regex_compile(&r, pattern, strlen(pattern), "test", &err));
    ck_ok(cud_regex_each(r, &scratch, text, length, count_match, &count, &err));
    cud_regex_scratch_free(scratch);
    cud_regex_free(r);
    return count;
}

START_TEST(matches_as_oniguruma_does)
{
    ck_assert_uint_eq(matches("\\w", "a\xc2\xbd_", 4), 3);            /* 1/2 is a word character outside of a set */
    ck_assert_uint_eq(matches("[\\w]", "a\xc2\xbd_", 4), 2);          /* and none in one */
    ck_assert_uint_eq(matches("\\s", " \xe1\xa0\x8e\xc2\x85", 6), 2); /* U+180E is no white space */
    ck_assert_uint_eq(matches("^a", "a\na", 3), 2);                   /* lines, not the text */
    ck_assert_uint_eq(matches("a$", "a\na\n", 4), 2);
    ck_assert_uint_eq(matches(".", "a\r\n", 3), 2);
    ck_assert_uint_eq(matches("\\p{Han}", "\xe4\xb8\xad\xe3\x80\x82", 6), 1); /* U+3002 only shares the script */
    ck_assert_uint_eq(matches("", "ab", 2), 3);
    ck_assert_uint_eq(matches("", "", 0), 0);
    ck_assert_uint_eq(matches("x*", "axb", 3), 3); /* no empty match right behind "x" */
}
END_TEST

START_TEST(gives_up_by_name_and_not_silently)
{
    cud_regex *r = NULL;
    cud_regex_scratch *scratch = NULL;
    size_t count = 0;
    char text[64];
    memset(text, 'a', sizeof text);
    ck_ok(cud_regex_compile(&r, "(a|aa)+[bc]", 11, "test", &err)); /* exponential */
    test_expect_failure(cud_regex_each(r, &scratch, text, sizeof text, count_match, &count, &err), CUDDLE_E_LIMIT, &err);
    cud_error_clear(&err);
    cud_regex_scratch_free(scratch);
    cud_regex_free(r);
}
END_TEST

START_TEST(takes_long_runs_in_linear_time)
{
    enum { SIZE = 1 << 20 };
    static const char pattern[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
                                  "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    char *text = malloc(SIZE);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', SIZE);
    ck_assert_uint_eq(matches(pattern, text, SIZE), 1);
    memset(text, ' ', SIZE);
    ck_assert_uint_eq(matches(pattern, text, SIZE), 1);
    memset(text, '-', SIZE);
    ck_assert_uint_eq(matches(pattern, text, SIZE), 1);
    memset(text, '7', SIZE);
    ck_assert_uint_eq(matches(pattern, text, SIZE), (SIZE + 2) / 3);
    free(text);
}
END_TEST

START_TEST(splits_as_bert_does)
{
    const char *bert = "{\"type\": \"BertPreTokenizer\"}";
    splits(bert, "Hey friend!     How are you?!?", "Hey|friend|!|How|are|you|?|!|?");
    splits(bert,
           " a\xc2\xa0"
           "b\xe3\x80\x82\xc2\xbf$+",
           "a|b|\xe3\x80\x82|\xc2\xbf|$|+"); /* ASCII symbols count, U+3002 and U+00BF are punctuation */
    splits(bert, "\xe2\xb9\x92", "\xe2\xb9\x92");
    splits(bert, "  ", "");
}
END_TEST

typedef struct chain {
    cud_document document;
    cud_components steps;
    cud_pieces pieces;
} chain;

static void chain_run(chain *c, const char *json, const char *text, size_t length)
{
    char document[1024];
    *c = (chain){ 0 };
    snprintf(document, sizeof document, "{\"pre_tokenizer\": %s}", json);
    ck_ok(cud_document_parse(&c->document, document, strlen(document), &err));
    ck_ok(cud_components_parse(&c->steps, &cud_pre_tokenizers, &c->document, NULL, &err));
    ck_ok(cud_pieces_set(&c->pieces, text, length, &err));
    for (int i = 0; i < c->steps.count; i++)
        ck_ok(((const cud_step_type *)c->steps.item[i].type)->apply(&c->pieces, c->steps.item[i].config, &err));
}

static void chain_free(chain *c)
{
    cud_pieces_free(&c->pieces);
    cud_components_free(&c->steps);
    cud_document_free(&c->document);
}

/* Both give the same pieces of the text, which is what the reference defines the first one by. */
static void splits_alike(const char *json, const char *other, const char *text, size_t length)
{
    chain a, b;
    chain_run(&a, json, text, length);
    chain_run(&b, other, text, length);
    ck_assert_uint_eq(a.pieces.count, b.pieces.count);
    for (size_t i = 0; i < a.pieces.count; i++) {
        const cud_piece *x = &a.pieces.piece[i], *y = &b.pieces.piece[i];
        const size_t size = x->end - x->begin;
        bool same = size == (size_t)(y->end - y->begin) && x->origin == y->origin &&
                    memcmp(cud_piece_text(&a.pieces, x), cud_piece_text(&b.pieces, y), size) == 0;
        for (size_t k = 0; same && k < size; k++) {
            const cud_span at = cud_span_of(&a.pieces.text, x->begin + k), want = cud_span_of(&b.pieces.text, y->begin + k);
            same = at.begin == want.begin && at.end == want.end;
        }
        if (!same) ck_abort_msg("%s: piece %zu of \"%.*s\"", json, i, (int)length, text);
    }
    chain_free(&a);
    chain_free(&b);
}

#define METASPACE(split) \
    "{\"type\": \"Metaspace\", \"replacement\": \"\xe2\x96\x81\", \"prepend_scheme\": \"always\", \"split\": " #split "}"

START_TEST(splits_at_the_replacement)
{
    splits(METASPACE(true), "a b  c", "\xe2\x96\x81" "a|\xe2\x96\x81" "b|\xe2\x96\x81|\xe2\x96\x81" "c");
    splits(METASPACE(true), " a", "\xe2\x96\x81" "a");
    splits(METASPACE(true), "\xe2\x96\x81" "a\xe2\x96\x81", "\xe2\x96\x81" "a|\xe2\x96\x81"); /* the character itself is one as well */
    splits(METASPACE(true), "\xe2\x96\x88\xe2\x80\x99s", "\xe2\x96\x81\xe2\x96\x88\xe2\x80\x99s"); /* what begins like it is not */
    splits(METASPACE(true), "", "");
}
END_TEST

START_TEST(splits_long_texts_as_the_plain_ways_do)
{
    enum { LENGTH = 3000, TEXTS = 60 };
    static const char *const parts[] = { "a", "bc", " ", "  ", "\n", ",", "-", "\xc3\xa9", "\xc2\xa0", "\xe3\x80\x82",
                                         "\xe2\x96\x81", "\xe2\x96\x88", "\xe4\xb8\x80", "\xf0\x9f\x98\x80", "word",
                                         "a longer run of words, " };
    char text[LENGTH + 32];
    uint32_t random = 1;
    for (int i = 0; i < TEXTS; i++) {
        const uint32_t kinds = (uint32_t)(1 + i % (int)(sizeof parts / sizeof *parts));
        size_t length = 0;
        while (length < (size_t)(i < TEXTS / 2 ? 40 : LENGTH)) { /* of the first i kinds: long words, then white space and the rest */
            random = random * 1664525 + 1013904223;
            const char *part = parts[(random >> 16) % kinds];
            memcpy(text + length, part, strlen(part));
            length += strlen(part);
        }
        splits_alike("{\"type\": \"WhitespaceSplit\"}",
                     "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"\\\\s\"}, \"behavior\": \"Removed\", \"invert\": false}", text, length);
        splits_alike("{\"type\": \"BertPreTokenizer\"}",
                     "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"WhitespaceSplit\"}, "
                     "{\"type\": \"Punctuation\", \"behavior\": \"Isolated\"}]}",
                     text, length);
        splits_alike(METASPACE(true),
                     "{\"type\": \"Sequence\", \"pretokenizers\": [" METASPACE(false) ", {\"type\": \"Split\", "
                     "\"pattern\": {\"String\": \"\xe2\x96\x81\"}, \"behavior\": \"MergedWithNext\", \"invert\": false}]}",
                     text, length);
    }
}
END_TEST

START_TEST(splits_by_scripts)
{
    const char *scripts = "{\"type\": \"UnicodeScripts\"}";
    splits(scripts, "Apples are \xe3\x82\x8a\xe3\x82\x93\xe3\x81\x94 \xe6\x9e\x97\xe6\xaa\x8e",
           "Apples are |\xe3\x82\x8a\xe3\x82\x93\xe3\x81\x94 \xe6\x9e\x97\xe6\xaa\x8e");
    splits(scripts, "\xe3\x81\x93\xe3\x82\xb0\xe3\x83\xbc\xe7\x94\x9f\xe3\x80\x82Yes",
           "\xe3\x81\x93\xe3\x82\xb0\xe3\x83\xbc\xe7\x94\x9f|\xe3\x80\x82|Yes");
    splits(scripts, "  a 1", "a |1"); /* the spaces before the first script go */
    splits(scripts, " ", "");
}
END_TEST

START_TEST(splits_at_fixed_lengths)
{
    splits("{\"type\": \"FixedLength\"}", "Hello world", "Hello| worl|d");
    splits("{\"type\": \"FixedLength\", \"length\": 3}", "Hello \xf0\x9f\x91\x8b world", "Hel|lo |\xf0\x9f\x91\x8b w|orl|d");
    splits("{\"type\": \"FixedLength\", \"length\": 9223372036854775807}", "abc", "abc");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pretokenizer");
    TCase *tc = tcase_create("pre-tokenizers");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, splits_in_five_ways);
    tcase_add_loop_test(tc, splits_by_scanners_as_by_pcre2, 0, 5);
    tcase_add_test(tc, splits_by_kinds_of_characters);
    tcase_add_test(tc, maps_bytes_to_the_alphabet);
    tcase_add_test(tc, splits_as_bert_does);
    tcase_add_test(tc, splits_at_the_replacement);
    tcase_add_test(tc, splits_long_texts_as_the_plain_ways_do);
    tcase_add_test(tc, splits_by_scripts);
    tcase_add_test(tc, splits_at_fixed_lengths);
    suite_add_tcase(suite, tc);
    tc = tcase_create("regular expressions");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, translates_what_the_engines_read_differently);
    tcase_add_test(tc, matches_as_oniguruma_does);
    tcase_add_test(tc, gives_up_by_name_and_not_silently);
    tcase_add_test(tc, takes_long_runs_in_linear_time);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
