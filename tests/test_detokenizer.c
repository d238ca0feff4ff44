/* Streams of text: whole characters only, and in sum what decoding at once gives. */
#include "support.h"
#include "text/tokenizer.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;

static cuddle_tokenizer *with_decoder(const char *decoder)
{
    char json[1200];
    cuddle_tokenizer *t = NULL;
    snprintf(json, sizeof json,
             "{\"decoder\": %s, \"model\": {\"type\": \"BPE\", \"merges\": [], \"vocab\": {\"<0xE2>\": 0, \"<0x82>\": 1, "
             "\"<0xAC>\": 2, \"<0xFF>\": 3, "
             "\"\\u2581a\": 4, \"b\": 5, \"\\u2581\": 6, \"<0x61>\": 7, \"\\u00e2\": 8, \"\\u0124\": 9, \"\\u00ac\": 10, \" \": "
             "11, \"  \": 12, \"\\u2582\": 13}}}",
             decoder);
    ck_ok(cud_tokenizer_parse(&t, json, strlen(json), NULL, 0, &err));
    return t;
}

/* The pieces of the ids, one after each push and one after finish, joined with '|'. */
static void streams(const cuddle_tokenizer *t, const int32_t *ids, size_t count, const char *want)
{
    char found[512] = "";
    cuddle_detokenizer *d = NULL;
    const char *piece = NULL;
    size_t length = 0;
    ck_ok(cuddle_detokenizer_new(&d, t, 0, &err));
    for (size_t i = 0; i <= count; i++) {
        if (i < count)
            ck_ok(cuddle_detokenizer_push(d, ids[i], &piece, &length, &err));
        else
            ck_ok(cuddle_detokenizer_finish(d, &piece, &length, &err));
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%.*s", i ? "|" : "", (int)length, piece);
    }
    ck_assert_msg(strcmp(found, want) == 0, "the pieces are %s, expected %s", found, want);
    cuddle_detokenizer_free(d);
}
#define STREAMS(t, want, ...) \
    streams(t, (const int32_t[]){ __VA_ARGS__ }, sizeof((const int32_t[]){ __VA_ARGS__ }) / sizeof(int32_t), want)
#define FFFD "\xef\xbf\xbd"
#define EURO "\xe2\x82\xac"

START_TEST(holds_bytes_until_they_are_text) /* a run of byte tokens is text or not as a whole */
{
    cuddle_tokenizer *t = with_decoder("{\"type\": \"ByteFallback\"}");
    STREAMS(t, "|||" EURO "b|", 0, 1, 2, 5);
    STREAMS(t, "||" FFFD FFFD "b|", 0, 1, 5);
    STREAMS(t, "|||" FFFD FFFD FFFD FFFD "|" FFFD "|b|", 0, 1, 2, 3, 7, 5); /* one bad byte: from then on nothing is held */
    STREAMS(t, "|||" EURO, 0, 1, 2);
    STREAMS(t, "||||a" EURO "b|", 7, 0, 1, 2, 5);
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(joins_halves_of_characters)
{
    cuddle_tokenizer *t =
        with_decoder("{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": true}");
    STREAMS(t, "||" EURO "|", 8, 9, 10);         /* e2 82 ac */
    STREAMS(t, "|" FFFD "|" FFFD "b|", 8, 8, 5); /* cut off twice */
    STREAMS(t, "||" FFFD, 8, 9);                 /* never completed: one for the part of a character */
    STREAMS(t, FFFD "|", 10);                    /* a continuation that continues nothing */
    STREAMS(t,
            "\xe2\x96\x81"
            "a|",
            4); /* not of the alphabet: as it is */
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(strips_the_ends_of_the_whole_text)
{
    cuddle_tokenizer *t = with_decoder("{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": "
                                       "\"\\u2581\"}, \"content\": \" \"},"
                                       "{\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}, {\"type\": \"Strip\", \"content\": \" "
                                       "\", \"start\": 1, \"stop\": 0}]}");
    STREAMS(t, "a| a|b| |", 4, 4, 5, 6);
    STREAMS(t, "| |", 6, 6);
    cuddle_tokenizer_free(t);
    t = with_decoder("{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Fuse\"}, {\"type\": \"Strip\", \"content\": \" \", "
                     "\"start\": 0, \"stop\": 2}]}");
    STREAMS(t, "b||  b||  |", 5, 12, 5, 12, 12); /* up to two spaces wait for what follows */
    cuddle_tokenizer_free(t);
    t = with_decoder("{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Fuse\"}, {\"type\": \"Strip\", \"content\": "
                     "\"\\u2581\", \"start\": 1, \"stop\": 1}]}");
    STREAMS(t,
            "|\xe2\x96\x81"
            "a|\xe2\x96\x82||",
            6, 4, 13, 6); /* U+2582 begins like U+2581 */
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(replaces_across_tokens)
{
    cuddle_tokenizer *t = with_decoder("{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Fuse\"}, {\"type\": \"Replace\", "
                                       "\"pattern\": {\"String\": \"bbx\"}, \"content\": \"!\"},"
                                       "{\"type\": \"Replace\", \"pattern\": {\"String\": \"b \"}, \"content\": \"?\"}]}");
    STREAMS(t, "|||bb?|", 5, 5, 5, 11);
    STREAMS(t, "||bb", 5, 5);
    cuddle_tokenizer_free(t);
    t = with_decoder("{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Fuse\"}, {\"type\": \"Replace\", \"pattern\": "
                     "{\"Regex\": \"b+\"}, \"content\": \"!\"}]}");
    STREAMS(t, "||||! !", 5, 5, 11, 5); /* a regex over the whole text is certain only at its end */
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(drops_the_first_space_of_metaspace)
{
    cuddle_tokenizer *t = with_decoder("{\"type\": \"Metaspace\", \"replacement\": \"\\u2581\", \"prepend_scheme\": \"always\"}");
    STREAMS(t, "a| a|\xe2\x96\x82|", 4, 4, 13);
    cuddle_tokenizer_free(t);
    t = with_decoder("{\"type\": \"Metaspace\", \"replacement\": \"\\u2581\", \"prepend_scheme\": \"never\"}");
    STREAMS(t, " a| a|", 4, 4);
    cuddle_tokenizer_free(t);
    t = with_decoder("null");
    STREAMS(t, "b| b|  |", 5, 5, 11); /* no decoder: spaces between tokens */
    cuddle_tokenizer_free(t);
}
END_TEST

static cuddle_tokenizer *with_tokens(const char *decoder, const char *vocab)
{
    char json[600];
    cuddle_tokenizer *t = NULL;
    snprintf(json, sizeof json, "{\"decoder\": %s, \"model\": {\"type\": \"BPE\", \"merges\": [], \"vocab\": {%s}}}", decoder,
             vocab);
    ck_ok(cud_tokenizer_parse(&t, json, strlen(json), NULL, 0, &err));
    return t;
}

START_TEST(joins_words)
{
    const char *vocab = "\"##s\": 0, \"it\": 1, \"'\": 2, \".\": 3, \"##\": 4, \"n't\": 5, \"do not\": 6";
    cuddle_tokenizer *t = with_tokens("{\"type\": \"WordPiece\", \"prefix\": \"##\", \"cleanup\": true}", vocab);
    STREAMS(t, "##s| it|s| '|s|.||n't|", 0, 1, 0, 2, 0, 3, 4, 5); /* the first token keeps its prefix */
    STREAMS(t, "do not| don't|", 6, 6);                           /* only behind a space */
    cuddle_tokenizer_free(t);
    t = with_tokens("{\"type\": \"WordPiece\", \"prefix\": \"##\", \"cleanup\": false}", vocab);
    STREAMS(t, "it| .| do not|", 1, 3, 6);
    cuddle_tokenizer_free(t);
    t = with_tokens("{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Fuse\"}, {\"type\": \"WordPiece\", \"prefix\": \"##\", "
                    "\"cleanup\": true}]}",
                    vocab);
    STREAMS(t, "||it.", 1, 3); /* one token: nothing to join */
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(ends_words_at_suffixes)
{
    cuddle_tokenizer *t =
        with_tokens("{\"type\": \"BPEDecoder\", \"suffix\": \"</w>\"}", "\"a</w>\": 0, \"b\": 1, \"c</w>d</w>\": 2");
    STREAMS(t, "|a |b|a", 0, 1, 0); /* a suffix is nothing in the last token, which is known at the end alone */
    STREAMS(t, "|c d |cd", 2, 2);
    STREAMS(t, "|b", 1);
    streams(t, NULL, 0, "");
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(collapses_what_ctc_repeats) /* the documentation's example: hello world */
{
    const char *vocab = "\"<pad>\": 0, \"|\": 1, \"h\": 2, \"e\": 3, \"l\": 4, \"o\": 5, \"w\": 6, \"x .\": 7";
    cuddle_tokenizer *t =
        with_tokens("{\"type\": \"CTC\", \"pad_token\": \"<pad>\", \"word_delimiter_token\": \"|\", \"cleanup\": true}", vocab);
    STREAMS(t, "||h|e||l||l|o||", 0, 0, 2, 3, 3, 4, 0, 4, 5, 5);
    STREAMS(t, " ||w|x.|", 1, 1, 6, 7);
    cuddle_tokenizer_free(t);
    t = with_tokens("{\"type\": \"CTC\", \"pad_token\": \"\", \"word_delimiter_token\": \"|\", \"cleanup\": false}", vocab);
    STREAMS(t, "<pad>||||x .|", 0, 1, 1, 7); /* without cleanup the delimiter stays */
    cuddle_tokenizer_free(t);
    t = with_tokens(
        "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"CTC\", \"pad_token\": \"<pad>\", \"word_delimiter_token\": \"|\", "
        "\"cleanup\": false}, {\"type\": \"WordPiece\", \"prefix\": \"#\", \"cleanup\": false}]}",
        vocab);
    STREAMS(t, "h|| e|", 2, 0, 3); /* padding is no token for the next decoder */
    cuddle_tokenizer_free(t);
}
END_TEST

/* Ids without end: time and memory grow with the number of tokens, not with its square. */
static void runs_long(const char *decoder, int32_t id, const char *each)
{
    enum { COUNT = 300000 };
    cuddle_tokenizer *t = with_decoder(decoder);
    cuddle_detokenizer *d = NULL;
    const char *piece = NULL;
    size_t length = 0, total = 0;
    ck_ok(cuddle_detokenizer_new(&d, t, 0, &err));
    cuddle_status status = CUDDLE_OK;
    for (int i = 0; i <= COUNT && !status; i++) { /* no ck_ in here: it is what would take the time */
        status =
            i < COUNT ? cuddle_detokenizer_push(d, id, &piece, &length, &err) : cuddle_detokenizer_finish(d, &piece, &length, &err);
        total += length;
        if (length && memcmp(piece, each, strlen(each)) != 0) total++;
    }
    ck_ok(status);
    ck_assert_uint_eq(total, COUNT * strlen(each));
    cuddle_detokenizer_free(d);
    cuddle_tokenizer_free(t);
}

START_TEST(stays_linear)
{
    runs_long("{\"type\": \"ByteFallback\"}", 7, "a");  /* held to the end */
    runs_long("{\"type\": \"ByteFallback\"}", 0, FFFD); /* bad at the second byte */
    runs_long("{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true}", 8, FFFD); /* first bytes only */
    runs_long("{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Fuse\"}, {\"type\": \"Strip\", \"content\": \"a\", \"start\": "
              "3, \"stop\": 1000000}]}",
              5, "b");
    runs_long("{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Fuse\"}, {\"type\": \"Replace\", \"pattern\": {\"String\": "
              "\"bbbbbbbbbbbbbbbb\\u2581\"}, \"content\": \"\"}]}",
              5, "b");
}
END_TEST

/* ---- every decoder of tests/tokenizers, random ids ---- */

static struct dirent **folder;
static int folders;

START_TEST(adds_up_for_random_ids)
{
    enum { COUNT = 400 };
    char relative[300], *whole = NULL;
    int32_t ids[COUNT];
    uint32_t state = 12345;
    cuddle_tokenizer *t = NULL;
    snprintf(relative, sizeof relative, "tokenizers/%s", folder[_i]->d_name);
    const cuddle_status loaded = cuddle_tokenizer_load(&t, test_path(relative), &err);
    if (loaded == CUDDLE_E_UNSUPPORTED && strstr(err.text, "model type")) return; /* test_tokenizer_vectors says which may be */
    ck_ok(loaded);
    for (int round = 0; round < 20; round++) {
        const unsigned flags = round % 2 ? CUDDLE_DETOKENIZE_SKIP_SPECIAL : 0;
        cuddle_detokenizer *d = NULL;
        const char *piece = NULL;
        size_t length = 0, at = 0, size = 0;
        for (int i = 0; i < COUNT; i++) {
            state = state * 1664525u + 1013904223u;
            const uint32_t below =
                round % 3 ? (uint32_t)cuddle_tokenizer_size(t) + 3 : 260; /* low ids are byte tokens where there are any */
            ids[i] = (int32_t)((state >> 8) % below);
        }
        ck_ok(cuddle_detokenize(&whole, &length, t, ids, COUNT, flags, &err));
        ck_ok(cuddle_detokenizer_new(&d, t, flags, &err));
        bool same = true;
        for (int i = 0; i <= COUNT && same; i++) {
            same = !(i < COUNT ? cuddle_detokenizer_push(d, ids[i], &piece, &size, &err)
                               : cuddle_detokenizer_finish(d, &piece, &size, &err));
            same = same && at + size <= length && memcmp(whole + at, piece, size) == 0;
            at += size;
        }
        ck_assert_msg(same && at == length, "%s: the stream differs near byte %zu of %zu: %s", relative, at, length, err.text);
        cuddle_detokenizer_free(d);
        cuddle_text_free(whole);
    }
    cuddle_tokenizer_free(t);
}
END_TEST

static int skip_dots(const struct dirent *entry) { return entry->d_name[0] != '.'; }

int main(void)
{
    folders = scandir(test_path("tokenizers"), &folder, skip_dots, alphasort);
    if (folders <= 0) return EXIT_FAILURE;
    Suite *suite = suite_create("detokenizer");
    TCase *tc = tcase_create("streams");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, holds_bytes_until_they_are_text);
    tcase_add_test(tc, joins_halves_of_characters);
    tcase_add_test(tc, strips_the_ends_of_the_whole_text);
    tcase_add_test(tc, replaces_across_tokens);
    tcase_add_test(tc, drops_the_first_space_of_metaspace);
    tcase_add_test(tc, joins_words);
    tcase_add_test(tc, ends_words_at_suffixes);
    tcase_add_test(tc, collapses_what_ctc_repeats);
    tcase_add_test(tc, stays_linear);
    tcase_add_loop_test(tc, adds_up_for_random_ids, 0, folders);
    suite_add_tcase(suite, tc);
    const int result = test_run(suite);
    for (int i = 0; i < folders; i++) free(folder[i]);
    free(folder);
    return result;
}
