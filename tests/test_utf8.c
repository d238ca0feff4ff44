/* core/utf8.c against a table written down from the Unicode standard (table 3-7), and everything that judges bytes by it. */
#include "core/utf8.h"
#include "format/scanner.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

/* First and last value of each byte; lead and continuation bits are taken off to decode. */
static const struct row {
    size_t length;
    unsigned char first[4], last[4];
} table[] = {
    { 1, { 0x00 }, { 0x7f } },
    { 2, { 0xc2, 0x80 }, { 0xdf, 0xbf } },
    { 3, { 0xe0, 0xa0, 0x80 }, { 0xe0, 0xbf, 0xbf } },
    { 3, { 0xe1, 0x80, 0x80 }, { 0xec, 0xbf, 0xbf } },
    { 3, { 0xed, 0x80, 0x80 }, { 0xed, 0x9f, 0xbf } },
    { 3, { 0xee, 0x80, 0x80 }, { 0xef, 0xbf, 0xbf } },
    { 4, { 0xf0, 0x90, 0x80, 0x80 }, { 0xf0, 0xbf, 0xbf, 0xbf } },
    { 4, { 0xf1, 0x80, 0x80, 0x80 }, { 0xf3, 0xbf, 0xbf, 0xbf } },
    { 4, { 0xf4, 0x80, 0x80, 0x80 }, { 0xf4, 0x8f, 0xbf, 0xbf } },
};

/* Length of the character at s by the table, or 0. */
static size_t by_table(const unsigned char *s, size_t rest)
{
    for (size_t r = 0; r < sizeof table / sizeof *table; r++) {
        size_t fits = 0;
        while (fits < table[r].length && fits < rest && s[fits] >= table[r].first[fits] && s[fits] <= table[r].last[fits]) fits++;
        if (fits == table[r].length) return fits;
    }
    return 0;
}

static int32_t value_of(const unsigned char *s, size_t length)
{
    static const int32_t lead[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    int32_t c = s[0] & lead[length];
    for (size_t i = 1; i < length; i++) c = c * 64 + (s[i] - 0x80);
    return c;
}

/* The bytes right at, before and behind every border of the table. */
static const unsigned char edges[] = { 0x00, 0x01, 0x1f, 0x20, 0x7e, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0,
                                       0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff };
enum { EDGES = sizeof edges };

static const char *checked(const unsigned char *s, size_t size)
{
    const char *text = (const char *)s;
    const size_t want = by_table(s, size);
    if (cud_utf8_size(text, size) != want) return "size";
    size_t valid = 0, length;
    while (valid < size && (length = by_table(s + valid, size - valid))) valid += length;
    if (cud_utf8_valid(text, size) != valid) return "valid";
    if (want && (cud_utf8_decode(text, &length) != value_of(s, want) || length != want)) return "decode";
    if (want && (cud_utf8_decode_before(text, text + want, &length) != value_of(s, want) || length != want)) return "decode_before";
    return NULL;
}

START_TEST(agrees_with_the_table_at_every_border)
{
    unsigned char s[4] = { 0 };
    const char *wrong = NULL; /* one check at the end: millions of them would take half a minute */
    for (int a = 0; a < 256 && !wrong; a++)
        for (int b = 0; b < 256 && !wrong; b++) {
            s[0] = (unsigned char)a, s[1] = (unsigned char)b;
            wrong = checked(s, 2);
        }
    for (size_t i = 0; i < (size_t)EDGES * EDGES * EDGES * EDGES && !wrong; i++) {
        size_t rest = i;
        for (int k = 0; k < 4; k++, rest /= EDGES) s[k] = edges[rest % EDGES];
        for (size_t size = 0; size <= 4 && !wrong; size++) wrong = checked(s, size);
    }
    ck_assert_msg(!wrong, "%s of %02x %02x %02x %02x", wrong, s[0], s[1], s[2], s[3]);
}
END_TEST

/* What the library says of hostile names, and what it takes for JSON: the same bytes, through those who use it. */
START_TEST(sentences_and_json_hold_well_formed_characters_only)
{
    for (size_t i = 0; i < (size_t)EDGES * EDGES * EDGES; i++) {
        unsigned char s[4] = { edges[i % EDGES], edges[i / EDGES % EDGES], edges[i / EDGES / EDGES % EDGES], 0 };
        const size_t size = strlen((char *)s);
        size_t valid = 0, length;
        bool plain = true; /* nothing that JSON wants escaped */
        while (valid < size && (length = by_table(s + valid, size - valid))) {
            plain = plain && s[valid] >= 0x20;
            valid += length;
        }
        cuddle_error err = { CUDDLE_OK, "" };
        cud_fail(&err, CUDDLE_E_FORMAT, "%s", (char *)s);
        const size_t said = strlen(err.text);
        bool whole = true;
        for (size_t at = 0; at < said && whole; at += length) whole = (length = by_table((unsigned char *)err.text + at, said - at)) != 0;
        ck_assert_msg(whole, "%02x %02x %02x: the sentence is no UTF-8", s[0], s[1], s[2]);
        if (valid < size) ck_assert_ptr_nonnull(strchr(err.text, '?'));
        char json[8];
        snprintf(json, sizeof json, "\"%s\"", (char *)s);
        scanner in;
        cud_scan_init(&in, json, strlen(json), "x", 0, NULL);
        ck_assert_msg((cud_scan_next(&in) == SCAN_STRING) == (valid == size && plain), "%02x %02x %02x in JSON", s[0], s[1], s[2]);
    }
}
END_TEST

START_TEST(encodes_and_decodes_every_character)
{
    int32_t wrong = -1; /* one check at the end: a million of them would take half a minute */
    for (int32_t c = 0; c <= 0x10ffff && wrong < 0; c++) {
        if (c >= 0xd800 && c <= 0xdfff) continue;
        char text[4];
        size_t forth = 0, back = 0;
        const size_t size = cud_utf8_encode(text, c);
        const bool same = cud_utf8_valid(text, size) == size && cud_utf8_decode(text, &forth) == c && forth == size &&
                          cud_utf8_decode_before(text, text + size, &back) == c && back == size;
        if (!same) wrong = c;
    }
    ck_assert_msg(wrong < 0, "U+%04X", (unsigned)wrong);
}
END_TEST

/* A stream: a byte that cannot follow is not taken, and is then judged as the first of a character. */
START_TEST(a_stream_tells_not_yet_from_never)
{
    static const struct {
        const char *text;
        const char *steps; /* + taken and whole, . taken and not yet whole, ! refused */
    } cases[] = {
        { "a\xc3\xa9", "+.+" },
        { "\xf0\x9f\xa4\x97", "...+" },
        { "\xf0\x9f\xc3\xa9", "..!!" }, /* the refused 0xc3 was not taken as a first byte either */
        { "\xe0\x80z", ".!+" },
        { "\x80\xff", "!!" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cud_utf8_state state = { 0 };
        for (size_t k = 0; k < strlen(cases[i].text); k++) {
            const bool taken = cud_utf8_step(&state, (unsigned char)cases[i].text[k]);
            const char got = !taken ? '!' : state.left ? '.' : '+';
            ck_assert_msg(got == cases[i].steps[k], "case %zu, byte %zu: %c", i, k, got);
            if (!taken) ck_assert_uint_eq(state.left, 0);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("utf8");
    TCase *tc = tcase_create("utf8");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, agrees_with_the_table_at_every_border);
    tcase_add_test(tc, sentences_and_json_hold_well_formed_characters_only);
    tcase_add_test(tc, encodes_and_decodes_every_character);
    tcase_add_test(tc, a_stream_tells_not_yet_from_never);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
