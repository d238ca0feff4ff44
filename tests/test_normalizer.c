/* Normalizers by hand: the text they make and, for every byte of it, the range of the given text it stands for. Broader comparisons
 * with the reference are in test_tokenizer_vectors. */
#include "support.h"
#include "text/component.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;

/* The document's normalizer; the result is the one piece's text and "begin-end" of each character. */
static void document_normalizes(const char *document, const char *json, const char *text, const char *want, const char *ranges)
{
    char found[1024] = "";
    cud_document d;
    cud_components steps = { 0 };
    cud_pieces p = { 0 };
    ck_ok(cud_document_parse(&d, document, strlen(document), &err));
    ck_ok(cud_components_parse(&steps, &cud_normalizers, &d, NULL, &err));
    ck_ok(cud_pieces_set(&p, text, strlen(text), &err));
    for (int i = 0; i < steps.count; i++) ck_ok(((const cud_step_type *)steps.item[i].type)->apply(&p, steps.item[i].config, &err));
    ck_assert_uint_eq(p.count, 1);
    const size_t length = p.piece[0].end - p.piece[0].begin;
    const char *got = length ? cud_piece_text(&p, p.piece) : "";
    ck_assert_msg(length == strlen(want) && (!length || memcmp(got, want, length) == 0),
                  "%s of \"%s\" is \"%.*s\", expected \"%s\"", json, text, (int)length, got, want);
    ck_assert_uint_eq(cud_utf8_valid(got, length), length);
    for (size_t i = 0; i < length; i += cud_utf8_length((unsigned char)got[i])) {
        const cud_span span = cud_span_of(&p.text, p.piece[0].begin + i);
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%u-%u", i ? " " : "", span.begin, span.end);
    }
    ck_assert_msg(strcmp(found, ranges) == 0, "%s of \"%s\": %s, expected %s", json, text, found, ranges);
    cud_pieces_free(&p);
    cud_components_free(&steps);
    cud_document_free(&d);
}

static void normalizes(const char *json, const char *text, const char *want, const char *ranges)
{
    char document[1024];
    snprintf(document, sizeof document, "{\"normalizer\": %s}", json);
    document_normalizes(document, json, text, want, ranges);
}

START_TEST(prepends)
{
    normalizes("{\"type\": \"Prepend\", \"prepend\": \"__\"}", "hi", "__hi",
               "0-1 0-1 0-1 1-2"); /* what is new has the first character's range */
    normalizes("{\"type\": \"Prepend\", \"prepend\": \"_\"}", "", "", "");
    normalizes("{\"type\": \"Prepend\", \"prepend\": \"\"}", "hi", "hi", "0-1 1-2");
}
END_TEST

START_TEST(replaces)
{
    normalizes("{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"\xe2\x96\x81\"}", "a  b",
               "a\xe2\x96\x81\xe2\x96\x81"
               "b",
               "0-1 1-2 2-3 3-4");
    normalizes("{\"type\": \"Replace\", \"pattern\": {\"String\": \"ab\"}, \"content\": \"xyz\"}", "cabab", "cxyzxyz",
               "0-1 2-3 2-3 2-3 4-5 4-5 4-5");
    normalizes("{\"type\": \"Replace\", \"pattern\": {\"String\": \"aa\"}, \"content\": \"\"}", "aaa", "a", "2-3");
    normalizes("{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"\\\\s+\"}, \"content\": \" \"}", "a \t b", "a b", "0-1 3-4 4-5");
    normalizes("{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"x*\"}, \"content\": \"-\"}", "axb", "-a-b-",
               "0-0 0-1 1-2 2-3 2-3");
    normalizes("{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"(a)\"}, \"content\": \"$1\"}", "a", "$1",
               "0-1 0-1"); /* groups mean nothing */
}
END_TEST

START_TEST(replaces_one_byte_by_up_to_four)
{
    normalizes("{\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}, \"content\": \"\"}", "abaab\xc3\xa9" "a", "bb\xc3\xa9", "1-2 4-5 5-7");
    normalizes("{\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}, \"content\": \"wxyz\"}", "aba", "wxyzbwxyz",
               "0-1 0-1 0-1 0-1 1-2 2-3 2-3 2-3 2-3");
    normalizes("{\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}, \"content\": \"vwxyz\"}", "ba", "bvwxyz",
               "0-1 1-2 1-2 1-2 1-2 1-2");
    normalizes("{\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}, \"content\": \"-\"}", "\xf0\x9f\xa4\x97" "a\xe4\xb8\xad" "a",
               "\xf0\x9f\xa4\x97-\xe4\xb8\xad-", "0-4 4-5 5-8 8-9");
    normalizes("{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Prepend\", \"prepend\": \"_\"}, {\"type\": \"Replace\", \"pattern\": "
               "{\"String\": \" \"}, \"content\": \"_\"}]}",
               "twelve bytes\xc3\xa9 and more of them", "_twelve_bytes\xc3\xa9_and_more_of_them", /* copied eight and one at a time */
               "0-1 0-1 1-2 2-3 3-4 4-5 5-6 6-7 7-8 8-9 9-10 10-11 11-12 12-14 14-15 15-16 16-17 17-18 18-19 19-20 20-21 21-22 22-23 23-24 24-25 "
               "25-26 26-27 27-28 28-29 29-30 30-31");
}
END_TEST

START_TEST(lowers_and_strips)
{
    normalizes("{\"type\": \"Lowercase\"}", "A\xc4\xb0Z", "ai\xcc\x87z", "0-1 1-3 1-3 3-4"); /* U+0130 becomes two */
    normalizes("{\"type\": \"Strip\", \"strip_left\": true, \"strip_right\": true}",
               " \xe3\x80\x80"
               "a b\t",
               "a b", "4-5 5-6 6-7");
    normalizes("{\"type\": \"Strip\", \"strip_left\": true, \"strip_right\": false}", " a ", "a ", "1-2 2-3");
    normalizes("{\"type\": \"Strip\", \"strip_left\": true, \"strip_right\": true}", "  ", "", "");
    normalizes("{\"type\": \"StripAccents\"}", "e\xcc\x81\xcc\xa3x", "ex", "0-1 5-6");
}
END_TEST

START_TEST(composes_and_decomposes)
{
    normalizes("{\"type\": \"NFD\"}", "\xc3\xa9x", "e\xcc\x81x", "0-2 0-2 2-3");
    normalizes("{\"type\": \"NFC\"}", "e\xcc\x81x", "\xc3\xa9x", "0-1 3-4"); /* the composite has its first character's range */
    normalizes("{\"type\": \"NFC\"}", "o\xcc\x87\xcc\xa3", "\xe1\xbb\x8d\xcc\x87",
               "0-1 3-5"); /* reordered: o + dot below, then dot above */
    normalizes("{\"type\": \"NFC\"}", "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81", "0-3");
    normalizes("{\"type\": \"NFKC\"}", "\xef\xac\x81", "fi", "0-3 0-3");
    normalizes("{\"type\": \"NFKD\"}", "\xe2\x91\xa0", "1", "0-3");
    normalizes("{\"type\": \"NFC\"}", "plain ASCII", "plain ASCII", "0-1 1-2 2-3 3-4 4-5 5-6 6-7 7-8 8-9 9-10 10-11");
    normalizes("{\"type\": \"NFC\"}",
               "\xcc\x81"
               "a",
               "\xcc\x81"
               "a",
               "0-2 2-3"); /* a mark with nothing before it */
}
END_TEST

START_TEST(runs_in_sequence)
{
    normalizes("{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFD\"}, {\"type\": \"Sequence\", \"normalizers\": "
               "[{\"type\": \"StripAccents\"}]}, {\"type\": \"Lowercase\"}]}",
               "\xc3\x89"
               "A",
               "ea", "0-2 2-3");
    normalizes("{\"type\": \"StripAccents\"}", "abcde\xcc\x81\xcc\x82\xc3\xa9" "fgh\xcc\x83", "abcde\xc3\xa9" "fgh",
               "0-1 1-2 2-3 3-4 4-5 9-11 11-12 12-13 13-14");
    normalizes("{\"type\": \"Sequence\", \"normalizers\": []}", "A", "A", "0-1");
    normalizes("{\"type\": \"ByteLevel\"}", "a \xc3\xa9", "a\xc4\xa0\xc3\x83\xc2\xa9", "0-1 1-2 2-4 2-4");
    normalizes("null", "A", "A", "0-1");
}
END_TEST

#define BERT(clean, ideographs, accents, lower)                                                         \
    "{\"type\": \"BertNormalizer\", \"clean_text\": " #clean ", \"handle_chinese_chars\": " #ideographs \
    ", \"strip_accents\": " #accents ", \"lowercase\": " #lower "}"

START_TEST(normalizes_as_bert_does)
{
    normalizes(BERT(true, false, false, false),
               "a\tb\x01\xef\xbf\xbd\xc2\xa0\xe2\x80\x8b"
               "c",
               "a b c", "0-1 1-2 2-3 7-9 12-13");
    normalizes(BERT(false, true, false, false), "a\xe4\xb8\x80\xe3\x81\x82", "a \xe4\xb8\x80 \xe3\x81\x82", "0-1 1-4 1-4 1-4 4-7");
    normalizes(BERT(false, true, false, false), "\xf0\xab\xa0\xa0\xf0\xab\xa4\xa0", "\xf0\xab\xa0\xa0 \xf0\xab\xa4\xa0 ",
               "0-4 4-8 4-8 4-8"); /* U+2B820 is left out by mistake, U+2B920 is in */
    normalizes(BERT(false, false, true, false), "\xc3\x89\xe0\xa4\xbf", "E\xe0\xa4\xbf", "0-2 2-5"); /* a spacing mark stays */
    normalizes(BERT(false, false, null, true), "\xc3\x89", "e", "0-2");                              /* null: as lowercase says */
    normalizes(BERT(false, false, null, false), "\xc3\x89", "\xc3\x89", "0-2");
    normalizes(BERT(false, false, false, true), "\xc3\x89", "\xc3\xa9", "0-2");
    normalizes(BERT(true, true, true, true), "\x01", "", "");
    normalizes(BERT(false, true, true, true), "A\t\x01", "a\t\x01", "0-1 1-2 2-3"); /* not cleaned */
}
END_TEST

/* Marks that stay and have a combining class: decomposition puts them into order with those that go, and the ranges follow. From the reference. */
START_TEST(normalizes_marks_that_stay_as_bert_does)
{
    static const struct {
        const char *text, *want, *ranges;
    } cases[] = {
        { "a\xcc\xa3\xe1\xad\x84\xcc\x81" "b", "a\xe1\xad\x84" "b", "0-1 1-3 8-9" },
        { "\xc3\xa9\xe1\xad\x84", "e\xe1\xad\x84", "0-2 2-5" },
        { "a\xe1\xad\x84\xcc\xa3", "a\xe1\xad\x84", "0-1 1-4" },
        { "\xf0\x9d\x85\x9e\xcc\x81x", "\xf0\x9d\x85\x97\xf0\x9d\x85\xa5x", "0-4 0-4 6-7" },
        { "\xf0\x9d\x85\x9e\xcc\xa7x", "\xf0\x9d\x85\x97\xf0\x9d\x85\xa5x", "0-4 4-6 6-7" }, /* the mark that stays is part of a character */
        { "a\xe3\x80\xae\xcc\x81\xcc\xa3", "a\xe3\x80\xae", "0-1 4-6" },
        { "x\xe1\xad\x84\xe4\xb8\x80\xc3\x89\xe2\x80\x8b" "A\xcc\x81\xe1\xad\x84", "x\xe1\xad\x84 \xe4\xb8\x80 ea\xe1\xad\x84",
          "0-1 1-4 4-7 4-7 4-7 7-9 12-13 13-15" },
        { "a\xcc\x81\xe3\x80\xae\xe1\xad\x84" "b", "a\xe1\xad\x84\xe3\x80\xae" "b", "0-1 1-3 3-6 9-10" },
        { "\xcc\x81\xe1\xad\x84", "\xe1\xad\x84", "0-2" },
        { "q\xe3\x80\xae\xe2\x80\x8b\xcc\xa3\xe1\xad\x84\xc3\x89", "q\xe1\xad\x84\xe3\x80\xae" "e", "0-1 1-4 9-12 12-14" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        normalizes(BERT(true, true, null, true), cases[i].text, cases[i].want, cases[i].ranges);
}
END_TEST

typedef struct chain {
    cud_document document;
    cud_components steps;
    cud_pieces pieces;
} chain;

static void chain_load(chain *c, const char *json)
{
    char text[1024];
    *c = (chain){ 0 };
    snprintf(text, sizeof text, "{\"normalizer\": %s}", json);
    ck_ok(cud_document_parse(&c->document, text, strlen(text), &err));
    ck_ok(cud_components_parse(&c->steps, &cud_normalizers, &c->document, NULL, &err));
}

static void chain_run(chain *c, const char *text, size_t length)
{
    cuddle_status status = cud_pieces_set(&c->pieces, text, length, &err);
    for (int i = 0; i < c->steps.count && !status; i++)
        status = ((const cud_step_type *)c->steps.item[i].type)->apply(&c->pieces, c->steps.item[i].config, &err);
    ck_ok(status);
}

static void chain_free(chain *c)
{
    cud_pieces_free(&c->pieces);
    cud_components_free(&c->steps);
    cud_document_free(&c->document);
}

#define STEPS(list) "{\"type\": \"Sequence\", \"normalizers\": [" list "]}"
#define CLEAN BERT(true, false, false, false)
#define IDEOGRAPHS BERT(false, true, false, false)
#define ACCENTS BERT(false, false, true, false)

/* Every character, before and behind letters and a mark: BertNormalizer at once and its steps one after the other, each of which the reference has
 * as a normalizer. */
START_TEST(normalizes_every_character_as_its_steps_do)
{
    static const struct {
        const char *whole, *steps;
    } cases[] = {
        { BERT(true, true, null, true), STEPS(CLEAN ", " IDEOGRAPHS ", {\"type\": \"NFD\"}, " ACCENTS ", {\"type\": \"Lowercase\"}") },
        { BERT(true, true, false, true), STEPS(CLEAN ", " IDEOGRAPHS ", {\"type\": \"Lowercase\"}") },
        { BERT(false, true, true, false), STEPS(IDEOGRAPHS ", " ACCENTS) },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        chain whole, steps;
        chain_load(&whole, cases[i].whole);
        chain_load(&steps, cases[i].steps);
        for (int32_t c = 1; c < 0xe0200; c = c < 0x32000 || c >= 0xe0000 ? c + 64 : 0xe0000) { /* between those none is assigned */
            char text[64 * 16];
            size_t length = 0;
            for (int32_t k = c; k < c + 64; k++) {
                if (k >= 0xd800 && k < 0xe000) continue;
                text[length++] = k % 2 ? 'B' : ' ';
                length += cud_utf8_encode(text + length, k);
                if (k % 3 == 0) length += cud_utf8_encode(text + length, 0x301);
                if (k % 5 == 0) length += cud_utf8_encode(text + length, k);
            }
            chain_run(&whole, text, length);
            chain_run(&steps, text, length);
            const cud_piece *a = whole.pieces.piece, *b = steps.pieces.piece;
            bool same = a->end - a->begin == b->end - b->begin;
            for (size_t k = 0; same && k < a->end - a->begin; k++) {
                const cud_span at = cud_span_of(&whole.pieces.text, a->begin + k), want = cud_span_of(&steps.pieces.text, b->begin + k);
                same = cud_piece_text(&whole.pieces, a)[k] == cud_piece_text(&steps.pieces, b)[k] && at.begin == want.begin && at.end == want.end;
            }
            if (!same) ck_abort_msg("%s: U+%04X and the 63 behind it", cases[i].whole, (unsigned)c);
        }
        chain_free(&whole);
        chain_free(&steps);
    }
}
END_TEST

START_TEST(cleans_as_nmt_does)
{
    normalizes("{\"type\": \"Nmt\"}",
               "a\x01\t\xe2\x80\x8b\xe2\x96\x81\xc2\xa0\xef\xbf\xbd"
               "b\x7f",
               "a   \xc2\xa0 b", "0-1 2-3 3-6 6-9 9-11 11-14 14-15");
}
END_TEST

/* The rules of make_tokenizer_fixtures.py: q to QR, U+00AD to nothing, e + U+0301 to U+00E9, a + U+0301 to xyz, ... */
START_TEST(applies_precompiled_rules)
{
    static const struct {
        const char *text, *want, *ranges;
    } cases[] = {
        { "bqc", "bQRc", "0-1 1-2 1-2 2-3" },
        { "e\xcc\x81-", "\xc3\xa9-", "0-1 3-4" }, /* the mark goes with the letter it follows */
        { "a\xcc\x81-", "xyz-", "0-1 1-3 1-3 3-4" },
        { "b\xc2\xad"
          "c",
          "bc", "0-1 3-4" },
        { "\xc2\xad"
          "bc",
          "bc", "0-2 2-3" },                    /* with nothing before it there is nothing to go with: the reference loses count */
        { "q\xcc\x81-", "QR-", "0-1 1-3 3-4" }, /* a cluster under six bytes becomes what its shortest beginning does */
        { "e\xcc\x81\xcc\x82", "\xc3\xa9", "0-1" },
        { "q\xcc\x81\xcc\x81\xcc\x81", "QR\xcc\x81\xcc\x81\xcc\x81", "0-1 0-1 1-3 3-5 5-7" }, /* a longer one does not */
        { "q\xcc\x81\xe2\x83\x9d", "QR\xcc\x81\xe2\x83\x9d", "0-1 0-1 1-3 3-6" },             /* six bytes */
        { "\r\n", " ", "0-1" },
        /* runs of ASCII: what changes, what a mark is added to, what comes after the count is lost; from the reference */
        { "ab\ncd\tef", "ab cd ef", "0-1 1-2 2-3 3-4 4-5 5-6 6-7 7-8" },
        { "on\r\ntw\rth\n", "on tw\rth ", "0-1 1-2 2-3 4-5 5-6 6-7 7-8 8-9 9-10" },
        { "bc\xcc\x81" "de", "bc\xcc\x81" "de", "0-1 1-2 2-4 4-5 5-6" },
        { "bcq de", "bcQR de", "0-1 1-2 2-3 2-3 3-4 4-5 5-6" },
        { "\xc2\xad" "bcde fgh", "bcde fgh", "0-2 2-3 3-4 4-5 5-6 6-7 7-8 8-9" },
        { "\xc2\xad\xc3\xa9xyz uvw", "\xc3\xa9xyz uvw", "0-2 2-4 4-5 5-6 6-7 7-8 8-9 9-10" },
        { "ab\xc2\xad\xc2\xad" "cd", "abcd", "0-1 1-2 6-7 7-8" },
        { "", "", "" },
    };
    size_t size = 0;
    char *document = test_read_file(test_path("tokenizers/precompiled/tokenizer.json"), &size);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        document_normalizes(document, "Precompiled", cases[i].text, cases[i].want, cases[i].ranges);
    free(document);
}
END_TEST

START_TEST(orders_a_very_long_run_of_marks) /* linear, not quadratic: dots above and below in turns */
{
    enum { PAIRS = 100000 };
    char *text = malloc(1 + 4 * PAIRS + 1);
    ck_assert_ptr_nonnull(text);
    text[0] = 'x';
    for (int i = 0; i < PAIRS; i++) memcpy(text + 1 + 4 * i, "\xcc\x87\xcc\xa3", 4);
    cud_document d;
    cud_components steps = { 0 };
    cud_pieces p = { 0 };
    const char document[] = "{\"normalizer\": {\"type\": \"NFD\"}}";
    ck_ok(cud_document_parse(&d, document, sizeof document - 1, &err));
    ck_ok(cud_components_parse(&steps, &cud_normalizers, &d, NULL, &err));
    ck_ok(cud_pieces_set(&p, text, 1 + 4 * PAIRS, &err));
    ck_ok(((const cud_step_type *)steps.item[0].type)->apply(&p, steps.item[0].config, &err));
    int in_order = 0;
    for (int i = 0; i < 2 * PAIRS; i++)
        in_order += memcmp(cud_piece_text(&p, p.piece) + 1 + 2 * i, i < PAIRS ? "\xcc\xa3" : "\xcc\x87", 2) == 0;
    ck_assert_int_eq(in_order, 2 * PAIRS);
    cud_pieces_free(&p);
    cud_components_free(&steps);
    cud_document_free(&d);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("normalizer");
    TCase *tc = tcase_create("normalizers");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, prepends);
    tcase_add_test(tc, replaces);
    tcase_add_test(tc, replaces_one_byte_by_up_to_four);
    tcase_add_test(tc, lowers_and_strips);
    tcase_add_test(tc, composes_and_decomposes);
    tcase_add_test(tc, runs_in_sequence);
    tcase_add_test(tc, normalizes_as_bert_does);
    tcase_add_test(tc, normalizes_marks_that_stay_as_bert_does);
    tcase_add_test(tc, normalizes_every_character_as_its_steps_do);
    tcase_add_test(tc, cleans_as_nmt_does);
    tcase_add_test(tc, applies_precompiled_rules);
    tcase_add_test(tc, orders_a_very_long_run_of_marks);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
