/* WordPiece, WordLevel, Unigram and what is new in BPE by hand, and on texts made to take long. */
#include "support.h"
#include "text/internal.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;

static cuddle_tokenizer *with_model(const char *model)
{
    char json[1500];
    cuddle_tokenizer *t = NULL;
    snprintf(json, sizeof json, "{\"model\": %s}", model);
    ck_ok(cud_tokenizer_parse(&t, json, strlen(json), NULL, 0, &err));
    return t;
}

/* "id:begin-end" of each token. */
static void encodes(const cuddle_tokenizer *t, const char *text, const char *want)
{
    char found[400] = "";
    cuddle_encoding *e = NULL;
    ck_ok(cuddle_tokenize(&e, t, text, strlen(text), 0, &err));
    for (size_t i = 0; i < e->count; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%d:%zu-%zu", i ? " " : "", (int)e->ids[i], e->begin[i],
                 e->end[i]);
    ck_assert_msg(strcmp(found, want) == 0, "\"%s\" is %s, expected %s", text, found, want);
    cuddle_encoding_free(e);
}

static void fails(const cuddle_tokenizer *t, const char *text, const char *sentence)
{
    cuddle_encoding *e = (cuddle_encoding *)1;
    err = (cuddle_error){ CUDDLE_OK, "" };
    test_expect_failure(cuddle_tokenize(&e, t, text, strlen(text), 0, &err), CUDDLE_E_FORMAT, &err);
    ck_assert_ptr_null(e);
    ck_assert_str_eq(err.text, sentence);
}

#define WORDPIECE(vocab, prefix, most)                                                             \
    "{\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\", \"continuing_subword_prefix\": \"" prefix \
    "\", \"max_input_chars_per_word\": " #most ", \"vocab\": {" vocab "}}"

START_TEST(wordpiece_takes_the_longest_token_first)
{
    cuddle_tokenizer *t =
        with_model(WORDPIECE("\"##na\": 0, \"ba\": 1, \"[UNK]\": 2, \"b\": 3, \"##n\": 4, \"##\": 5, \"\": 6", "##", 6));
    encodes(t, "banana", "1:0-2 0:2-4 0:4-6");
    encodes(t, "ban", "1:0-2 4:2-3");
    encodes(t, "nanana", "2:0-6");  /* "##na" begins no word */
    encodes(t, "banax", "2:0-5");   /* what it found is not kept */
    encodes(t, "bananan", "2:0-7"); /* seven characters */
    encodes(t, "##na", "0:0-4");    /* the token itself */
    encodes(t, "ba\xc3\xa9", "2:0-4");
    cuddle_tokenizer_free(t);
    t = with_model(WORDPIECE("\"\xc3\xa9\": 0, \"##\xc3\xa9\": 1, \"[UNK]\": 2", "##", 3));
    encodes(t, "\xc3\xa9\xc3\xa9\xc3\xa9", "0:0-2 1:2-4 1:4-6"); /* three characters, six bytes */
    encodes(t, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", "2:0-8");
    cuddle_tokenizer_free(t);
    t = with_model(WORDPIECE("\"a\": 0, \"ab\": 1, \"[UNK]\": 2", "", 100)); /* without a prefix all tokens go everywhere */
    encodes(t, "aaba", "0:0-1 1:1-3 0:3-4");
    cuddle_tokenizer_free(t);
    t = with_model(WORDPIECE("\"a\": 0", "##", 100));
    encodes(t, "a", "0:0-1");
    fails(t, "aa", "tokenizer.json: unk_token \"[UNK]\" is not in the vocabulary, and the text needs it");
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(wordlevel_knows_words_or_not)
{
    cuddle_tokenizer *t = with_model("{\"type\": \"WordLevel\", \"unk_token\": \"u\", \"vocab\": {\"a b\": 3, \"u\": 1}}");
    encodes(t, "a b", "3:0-3");
    encodes(t, "a", "1:0-1");
    cuddle_tokenizer_free(t);
    t = with_model("{\"unk_token\": \"u\", \"vocab\": {\"a\": 0}}"); /* no type: an old file */
    encodes(t, "a", "0:0-1");
    fails(t, "b", "tokenizer.json: unk_token \"u\" is not in the vocabulary, and the text needs it");
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(bpe_may_have_an_empty_unknown_token)
{
    cuddle_tokenizer *t = with_model("{\"type\": \"BPE\", \"unk_token\": \"\", \"vocab\": {\"a\": 0, \"\": 1}, \"merges\": []}");
    encodes(t, "ab", "0:0-1 1:1-2");
    cuddle_tokenizer_free(t);
    t = with_model("{\"type\": \"BPE\", \"unk_token\": \"\", \"vocab\": {\"a\": 0}, \"merges\": []}");
    fails(t, "ab", "tokenizer.json: unk_token \"\" is not in the vocabulary, and the text needs it");
    cuddle_tokenizer_free(t);
}
END_TEST

/* A BPE model in which "1" and "," are in no rule, with all bytes or an unknown token; if `whole`, with a token that forbids to cut words and that
 * no rule makes. */
static cuddle_tokenizer *with_edges(bool bytes, bool whole)
{
    char json[8000];
    int n = snprintf(json, sizeof json, "{\"model\": {\"type\": \"BPE\", %s, \"vocab\": {\"<u>\": 0, \"a\": 1, \"b\": 2, \"1\": 3, \",\": 4, "
                     "\"\xe2\x96\x81\": 5, \"ab\": 6, \"\xe2\x96\x81" "a\": 7, \"\xe2\x96\x81\xe2\x96\x81\": 8, \"ba\": 9",
                     bytes ? "\"byte_fallback\": true" : "\"unk_token\": \"<u>\", \"fuse_unk\": true");
    for (int i = 0; i < 256 && bytes; i++) n += snprintf(json + n, sizeof json - (size_t)n, ", \"<0x%02X>\": %d", (unsigned)i, 100 + i);
    n += snprintf(json + n, sizeof json - (size_t)n, "%s%s}, \"merges\": [\"a b\", \"\xe2\x96\x81 a\", \"\xe2\x96\x81 \xe2\x96\x81\", \"b a\"%s]}}",
                  bytes ? ", \"<0x09><0x09>\": 10" : "", whole ? ", \"b\xe2\x96\x81\": 11" : "", bytes ? ", \"<0x09> <0x09>\"" : "");
    ck_assert_int_lt(n, (int)sizeof json);
    cuddle_tokenizer *t = NULL;
    ck_ok(cud_tokenizer_parse(&t, json, (size_t)n, NULL, 0, &err));
    return t;
}

static size_t first_cut(const cuddle_tokenizer *t, const char *word)
{
    return ((const cud_model_type *)t->model.item[0].type)->cut(t->model.item[0].config, word, strlen(word));
}

START_TEST(bpe_words_are_cut_where_nothing_is_merged)
{
    cuddle_tokenizer *bytes = with_edges(true, false), *unknown = with_edges(false, false), *whole = with_edges(true, true);
    ck_assert_uint_eq(first_cut(bytes, "ab1"), 2); /* before and behind "1" */
    ck_assert_uint_eq(first_cut(bytes, "1b"), 1);
    ck_assert_uint_eq(first_cut(bytes, "1"), 1);
    ck_assert_uint_eq(first_cut(bytes, "ab\nb"), 2);
    ck_assert_uint_eq(first_cut(bytes, "a\tb"), 3); /* a rule has it */
    ck_assert_uint_eq(first_cut(bytes, "ab\xe2\x96\x81"), 2);
    ck_assert_uint_eq(first_cut(bytes, "\xe2\x96\x81\xe2\x96\x81" "ab"), 8);
    ck_assert_uint_eq(first_cut(unknown, "ab,"), 2);
    ck_assert_uint_eq(first_cut(unknown, "ax\nb"), 4); /* the two are one unknown token */
    ck_assert_uint_eq(first_cut(whole, "a1\xe2\x96\x81" "b"), 6);
    encodes(unknown, "ax\n1x,", "1:0-1 0:1-3 3:3-4 0:4-5 4:5-6");
    encodes(bytes, "ab\n1\t\tab", "6:0-2 110:2-3 3:3-4 10:4-6 6:6-8");
    cuddle_tokenizer_free(bytes);
    cuddle_tokenizer_free(unknown);
    cuddle_tokenizer_free(whole);
}
END_TEST

START_TEST(bpe_cut_words_become_what_whole_ones_do)
{
    static const char *const letters[] = { "\xe2\x96\x81", "a", "b", "1", ",", "x", "\xc3\xa9", "\n", "\t" };
    cuddle_tokenizer *cut = with_edges(_i, false), *whole = with_edges(_i, true);
    uint64_t state = 1 + (uint64_t)_i;
    for (int i = 0; i < 4000; i++) {
        char text[128] = "";
        state = state * 6364136223846793005u + 1442695040888963407u;
        for (uint64_t k = (state >> 33) % 30; k > 0; k--) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            strcat(text, letters[(state >> 33) % (sizeof letters / sizeof *letters)]);
        }
        cuddle_encoding *a = NULL, *b = NULL;
        ck_ok(cuddle_tokenize(&a, cut, text, strlen(text), 0, &err));
        ck_ok(cuddle_tokenize(&b, whole, text, strlen(text), 0, &err));
        ck_assert_uint_eq(a->count, b->count);
        for (size_t k = 0; k < a->count; k++)
            ck_assert_msg(a->ids[k] == b->ids[k] && a->begin[k] == b->begin[k] && a->end[k] == b->end[k] && a->word_ids[k] == b->word_ids[k],
                          "token %zu of \"%s\"", k, text);
        cuddle_encoding_free(a);
        cuddle_encoding_free(b);
    }
    cuddle_tokenizer_free(cut);
    cuddle_tokenizer_free(whole);
}
END_TEST

START_TEST(unigram_takes_the_best_sum) /* the documentation's example */
{
    cuddle_tokenizer *t = with_model(
        "{\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"<unk>\", 0.0], [\"a\", 0.0], [\"b\", 0.0], [\"c\", 0.0], [\"d\", "
        "0.0], [\"cd\", 1.0], [\"ab\", 2.0], [\"abc\", 5.0], [\"abcd\", 10.0]]}");
    encodes(t, "abcd", "8:0-4");
    encodes(t, "abcdacdxx", "8:0-4 1:4-5 5:5-7 0:7-9"); /* unknown characters in a row are one token */
    encodes(t,
            "x\xc3\xa9"
            "ax",
            "0:0-3 1:3-4 0:4-5");
    encodes(t, "x<unk>x", "0:0-7");
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(unigram_scores_the_unknown) /* each unknown character is ten less than the lowest score */
{
    cuddle_tokenizer *t = with_model("{\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"?\", 0], [\"xy\", -25], [\"a\", -5]]}");
    encodes(t, "xy", "1:0-2"); /* -25 against 2 * -35 */
    encodes(t, "xyx", "1:0-2 0:2-3");
    cuddle_tokenizer_free(t);
    t = with_model("{\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"?\", 3], [\"xy\", 3]]}");
    encodes(t, "xy", "1:0-2"); /* 3 against 2 * -7 */
    encodes(t, "xyx", "1:0-2 0:2-3");
    cuddle_tokenizer_free(t);
    t = with_model("{\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"?\", 30], [\"xy\", 30]]}");
    encodes(t, "xy", "1:0-2"); /* 2 * 20 are more, but their text is a token */
    encodes(t, "xyx", "0:0-3");
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(
    unigram_reads_long_numbers) /* of more digits than fit into 64 bits: equal scores, so the token that begins first stays */
{
    cuddle_tokenizer *t =
        with_model("{\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"?\", 0], [\"ab\", -1e23], [\"a\", "
                   "-100000000000000000000000], [\"b\", 0], [\"cd\", -2.5E-1], [\"c\", -0.2500000000000000000000000001], "
                   "[\"d\", 0]]}");
    encodes(t, "abcd", "1:0-2 4:2-4");
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(unigram_counts_every_entry) /* "a" twice: the next free id is 3 */
{
    const char *json =
        "{\"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"?\", 0], [\"a\", -1], [\"a\", -2]]}, \"added_tokens\": "
        "[{\"id\": 3, \"content\": \"<s>\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": "
        "false, \"special\": true}]}";
    cuddle_tokenizer *t = NULL;
    ck_ok(cud_tokenizer_parse(&t, json, strlen(json), NULL, 0, &err));
    encodes(t, "a<s>", "2:0-1 3:1-4");
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(unigram_keeps_the_first_of_equals)
{
    cuddle_tokenizer *t =
        with_model("{\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"?\", -9], [\"a\", 1], [\"b\", 1], [\"ab\", 2], "
                   "[\"ba\", 2]]}");
    encodes(t, "ab", "3:0-2");        /* 2 = 1 + 1 */
    encodes(t, "aba", "1:0-1 4:1-3"); /* 1 + 2 = 2 + 1, and ba begins before the last a does */
    cuddle_tokenizer_free(t);
    /* the score is read as the reference reads it: 15547711740112769 / 10^15 is -15.547711740112767, not the nearest double */
    t = with_model("{\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"?\", -100], [\"ab\", -15.547711740112769], [\"a\", "
                   "-15.547711740112767], [\"b\", 0]]}");
    encodes(t, "ab", "1:0-2");
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(unigram_falls_back_to_bytes)
{
#define BYTES(more)                                                                                                           \
    "{\"type\": \"Unigram\", \"unk_id\": 0, \"byte_fallback\": true, \"vocab\": [[\"?\", -9], [\"a\", -1], [\"<0xC3>\", 0], " \
    "[\"<0xA9>\", 0]" more "]}"
    cuddle_tokenizer *t = with_model(BYTES(""));
    encodes(t,
            "a\xc3\xa9"
            "a",
            "1:0-1 2:1-3 3:1-3 1:3-4"); /* both stand for the whole character */
    encodes(t, "\xc3\xa9\xc3\xa9", "2:0-4 3:0-4 2:0-4 3:0-4");
    encodes(t, "\xc3\xa9x", "0:0-3"); /* one byte is no token: none of it is */
    cuddle_tokenizer_free(t);
    t = with_model(BYTES(", [\"a\", -2], [\"b\", -3]")); /* twice the same: the last one counts, both are decoded */
    encodes(t, "ab", "4:0-1 5:1-2");
    ck_assert_str_eq(cuddle_tokenizer_token(t, 1), "a");
    ck_assert_str_eq(cuddle_tokenizer_token(t, 4), "a");
    ck_assert_int_eq(cuddle_tokenizer_id(t, "a"), 4);
    ck_assert_int_eq(cuddle_tokenizer_size(t), 6);
    cuddle_tokenizer_free(t);
    t = with_model("{\"vocab\": [[\"a\", -1], [\"ab\", 3e0]]}"); /* no type, no unknown token */
    encodes(t, "aa", "0:0-1 0:1-2");
    fails(t, "ax", "tokenizer.json: the text needs an unknown token, and \"unk_id\" names none");
    encodes(t, "", "");
    cuddle_tokenizer_free(t);
}
END_TEST

/* A million letters in one word. What is not linear here takes hours. */
static void runs_long(const char *model, char letter, size_t count)
{
    enum { LENGTH = 1000000 };
    cuddle_tokenizer *t = with_model(model);
    cuddle_encoding *e = NULL;
    char *text = malloc(LENGTH);
    ck_assert_ptr_nonnull(text);
    memset(text, letter, LENGTH);
    ck_ok(cuddle_tokenize(&e, t, text, LENGTH, 0, &err));
    ck_assert_uint_eq(e->count, count);
    ck_assert_uint_eq(e->end[e->count - 1], LENGTH);
    cuddle_encoding_free(e);
    cuddle_tokenizer_free(t);
    free(text);
}

START_TEST(stays_linear)
{
    runs_long(WORDPIECE("\"a\": 0, \"##a\": 1, \"##aaaaaaaaab\": 2, \"[UNK]\": 3", "##", 10000000), 'a', 1000000);
    runs_long(WORDPIECE("\"a\": 0, \"##a\": 1, \"##aaaaaaaaab\": 2, \"[UNK]\": 3", "##", 100), 'a', 1);
    runs_long("{\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"?\", -9], [\"a\", -1], [\"aaaa\", -1], [\"aaaaaaaab\", 0]]}",
              'a', 250000);
    runs_long("{\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"?\", -9], [\"a\", -1]]}", 'x', 1);
    runs_long("{\"type\": \"Unigram\", \"unk_id\": 0, \"byte_fallback\": true, \"vocab\": [[\"?\", -9], [\"<0x78>\", -1]]}", 'x',
              1000000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("word models");
    TCase *tc = tcase_create("models");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, wordpiece_takes_the_longest_token_first);
    tcase_add_test(tc, wordlevel_knows_words_or_not);
    tcase_add_test(tc, bpe_may_have_an_empty_unknown_token);
    tcase_add_test(tc, bpe_words_are_cut_where_nothing_is_merged);
    tcase_add_loop_test(tc, bpe_cut_words_become_what_whole_ones_do, 0, 2);
    tcase_add_test(tc, unigram_takes_the_best_sum);
    tcase_add_test(tc, unigram_scores_the_unknown);
    tcase_add_test(tc, unigram_reads_long_numbers);
    tcase_add_test(tc, unigram_counts_every_entry);
    tcase_add_test(tc, unigram_keeps_the_first_of_equals);
    tcase_add_test(tc, unigram_falls_back_to_bytes);
    tcase_add_test(tc, stays_linear);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
