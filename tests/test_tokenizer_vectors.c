/* tests/tokenizers/<name>: everything that the reference implementation said about these texts, offsets included, and every
 * decoding also as a stream. scripts/make_tokenizer_fixtures.py wrote them. */
#include "support.h"

#include <dirent.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;
static struct dirent **folder;
static int folders;

static size_t int_array(json_t *array, int32_t *out, size_t room)
{
    const size_t count = json_array_size(array);
    ck_assert(count <= room);
    for (size_t i = 0; i < count; i++) out[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return count;
}

static void same_ints(const char *where, const char *what, json_t *want, size_t count, long (*get)(const void *, size_t),
                      const void *from)
{
    const size_t expected = json_array_size(want);
    for (size_t i = 0; i < count && i < expected; i++)
        ck_assert_msg(get(from, i) == (long)json_integer_value(json_array_get(want, i)), "%s: %s[%zu] is %ld, expected %lld", where,
                      what, i, get(from, i), (long long)json_integer_value(json_array_get(want, i)));
    ck_assert_msg(count == expected, "%s: %zu %s, expected %zu", where, count, what, expected);
}

static long id_at(const void *e, size_t i) { return ((const cuddle_encoding *)e)->ids[i]; }
static long special_at(const void *e, size_t i) { return ((const cuddle_encoding *)e)->special[i]; }
static long offset_at(const void *e, size_t i)
{
    const cuddle_encoding *encoding = e;
    return (long)(i % 2 ? encoding->end[i / 2] : encoding->begin[i / 2]);
}

static void check_stream(const char *where, const cuddle_tokenizer *t, const int32_t *ids, size_t count, unsigned flags,
                         const char *text, size_t length)
{
    cuddle_detokenizer *d = NULL;
    size_t at = 0, size = 0;
    const char *piece = NULL;
    ck_ok(cuddle_detokenizer_new(&d, t, flags, &err));
    for (size_t i = 0; i <= count; i++) {
        if (i < count)
            ck_ok(cuddle_detokenizer_push(d, ids[i], &piece, &size, &err));
        else
            ck_ok(cuddle_detokenizer_finish(d, &piece, &size, &err));
        ck_assert_msg(at + size <= length && memcmp(text + at, piece, size) == 0, "%s: the stream differs at byte %zu", where, at);
        ck_assert_msg(!size || ((unsigned char)piece[0] & 0xc0) != 0x80, "%s: a piece begins inside a character", where);
        at += size;
    }
    ck_assert_msg(at == length, "%s: the stream gave %zu bytes of %zu", where, at, length);
    cuddle_detokenizer_free(d);
}

static void check_text(const char *where, const cuddle_tokenizer *t, const int32_t *ids, size_t count, unsigned flags, json_t *want)
{
    char *text = NULL;
    size_t length = 0;
    ck_ok(cuddle_detokenize(&text, &length, t, ids, count, flags, &err));
    if (json_is_string(want)) /* null: the reference fails here */
        ck_assert_msg(length == json_string_length(want) && memcmp(text, json_string_value(want), length) == 0,
                      "%s: decoded to \"%s\", expected \"%s\"", where, text, json_string_value(want));
    check_stream(where, t, ids, count, flags, text, length);
    cuddle_text_free(text);
}

static void check_encoding(const char *where, const cuddle_tokenizer *t, json_t *text, unsigned flags, json_t *ids, json_t *offsets,
                           json_t *special)
{
    cuddle_encoding *e = NULL;
    ck_ok(cuddle_tokenize(&e, t, json_string_value(text), json_string_length(text), flags, &err));
    same_ints(where, "ids", ids, e->count, id_at, e);
    same_ints(where, "offsets", offsets, 2 * e->count, offset_at, e);
    if (special) same_ints(where, "special", special, e->count, special_at, e);
    cuddle_encoding_free(e);
}

/* A text or two as one padded encoding. */
static void check_padded(const char *name, const cuddle_tokenizer *t, json_t *want, const cuddle_tokenize_input *in, bool left)
{
    cuddle_tokenize_options o;
    cuddle_encoding *e = NULL;
    cuddle_tokenize_options_init(&o, sizeof o);
    o.padding = CUDDLE_PAD_FIXED, o.pad_length = 99, o.pad_id = 0;
    ck_ok(cuddle_tokenize_with(&e, t, in, &o, &err));
    const size_t count = json_array_size(json_object_get(want, "ids")), first = left ? 99 - count : 0;
    for (size_t i = 0; i < count; i++) {
        ck_assert_msg(e->ids[first + i] == json_integer_value(json_array_get(json_object_get(want, "ids"), i)), "%s: id %zu of %zu", name, i, count);
        ck_assert_msg(e->type_ids[first + i] == json_integer_value(json_array_get(json_object_get(want, "types"), i)), "%s: type %zu of %zu", name, i, count);
    }
    for (size_t i = 0; i < 99; i++)
        ck_assert_msg(e->attention[i] == (i >= first && i < first + count), "%s: padding on the wrong side", name);
    cuddle_encoding_free(e);
}

/* Folders without a tokenizer.json: what transformers says about the tokenizer it makes of them. */
static void check_named(const char *name, const cuddle_tokenizer *t, json_t *root)
{
    static const char *const keys[CUDDLE_SPECIAL_COUNT] = { "bos", "eos", "unk", "sep", "pad", "cls", "mask" };
    const cuddle_tokenize_input one = { .text = "Hello", .length = 5 }, two = { "Hello", 5, "world", 5 };
    json_t *named = json_object_get(root, "named"), *single = json_object_get(root, "single");
    const bool left = json_is_true(json_object_get(root, "left"));
    if (!named) return;
    for (int i = 0; i < CUDDLE_SPECIAL_COUNT; i++) {
        const int want = (int)json_integer_value(json_object_get(named, keys[i])), found = cuddle_tokenizer_special(t, (cuddle_special)i);
        ck_assert_msg(found == want, "%s: %s is %d, expected %d", name, keys[i], found, want);
    }
    ck_assert_msg(cuddle_tokenizer_size(t) == json_integer_value(json_object_get(root, "size")), "%s: %d tokens", name, cuddle_tokenizer_size(t));
    if (single) check_padded(name, t, single, &one, left);
    check_padded(name, t, json_object_get(root, "pair"), &two, left);
}

/* Files of a model that this version has none of make a tokenizer.json that is refused by name; where it has one, they are compared. */
static bool is_refused_model(const char *name, cuddle_status status)
{
    static const struct {
        const char *name, *sentence;
    } models[] = { { "files-bert", "model type \"WordPiece\" is not supported" }, { "files-t5", "model type \"Unigram\" is not supported" },
                   { "files-xlm-roberta", "model type \"Unigram\" is not supported" } };
    for (size_t i = 0; status == CUDDLE_E_UNSUPPORTED && i < sizeof models / sizeof *models; i++)
        if (strncmp(name, models[i].name, strlen(models[i].name)) == 0 && strstr(err.text, models[i].sentence)) return true;
    return false;
}

START_TEST(agrees_with_the_reference)
{
    const char *name = folder[_i]->d_name;
    char where[320], relative[300];
    snprintf(relative, sizeof relative, "tokenizers/%s", name);
    cuddle_tokenizer *t = NULL;
    const cuddle_status loaded = cuddle_tokenizer_load(&t, test_path(relative), &err);
    if (is_refused_model(name, loaded)) return;
    ck_ok(loaded);
    snprintf(relative, sizeof relative, "tokenizers/%s/vectors.json", name);
    json_error_t json_error;
    json_t *root = json_load_file(test_path(relative), JSON_ALLOW_NUL, &json_error), *item;
    ck_assert_msg(root != NULL, "%s: %s", relative, json_error.text);
    static int32_t ids[8192];
    size_t index, cases = 0;
    json_array_foreach(json_object_get(root, "cases"), index, item)
    {
        json_t *text = json_object_get(item, "text"), *bare = json_object_get(item, "ids_no_special"),
               *offsets = json_object_get(item, "offsets");
        snprintf(where, sizeof where, "%s case %zu", name, index);
        check_encoding(where, t, text, 0, json_object_get(item, "ids"), offsets, json_object_get(item, "special"));
        check_encoding(where, t, text, CUDDLE_TOKENIZE_NO_SPECIAL, bare ? bare : json_object_get(item, "ids"),
                       bare ? json_object_get(item, "offsets_no_special") : offsets, NULL);
        const size_t count = int_array(json_object_get(item, "ids"), ids, sizeof ids / sizeof *ids);
        check_text(where, t, ids, count, 0, json_object_get(item, "decoded"));
        check_text(where, t, ids, count, CUDDLE_DETOKENIZE_SKIP_SPECIAL, json_object_get(item, "decoded_skip"));
        cases++;
    }
    json_array_foreach(json_object_get(root, "decodings"), index, item)
    {
        snprintf(where, sizeof where, "%s decoding %zu", name, index);
        const size_t count = int_array(json_object_get(item, "ids"), ids, sizeof ids / sizeof *ids);
        check_text(where, t, ids, count, 0, json_object_get(item, "text"));
    }
    ck_assert(cases > 0);
    check_named(name, t, root);
    json_decref(root);
    cuddle_tokenizer_free(t);
}
END_TEST

static const char *const vocabularies[] = { "class-deberta",  "class-pegasus",   "class-nllb",           "class-mbart",  "class-xlnet",
                                            "class-spm-users", "class-spm-unigram", "class-tiktoken-llama", "class-qwen", "class-whisper",
                                            "class-splinter" };

/* Every early allocation and then, as there are thousands, one of a hundred. */
START_TEST(a_failed_allocation_is_out_of_memory)
{
    char relative[300];
    cuddle_status status = CUDDLE_E_NOMEM;
    snprintf(relative, sizeof relative, "tokenizers/%s", vocabularies[_i]);
    for (long n = 1; status; n += 1 + n / 100) {
        cuddle_tokenizer *t = NULL;
        test_fail_allocation(n, false);
        status = cuddle_tokenizer_load(&t, test_path(relative), &err);
        test_fail_allocation(0, false);
        ck_assert_msg(status == CUDDLE_OK || (status == CUDDLE_E_NOMEM && !t), "%s: allocation %ld: %s", relative, n, err.text);
        cuddle_tokenizer_free(t);
        ck_assert(n < 1000000);
    }
}
END_TEST

static int skip_dots(const struct dirent *entry) { return entry->d_name[0] != '.'; }

int main(void)
{
    folders = scandir(test_path("tokenizers"), &folder, skip_dots, alphasort);
    if (folders <= 0) return EXIT_FAILURE;
    Suite *suite = suite_create("tokenizer vectors");
    TCase *tc = tcase_create("folders");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, agrees_with_the_reference, 0, folders);
    tcase_add_loop_test(tc, a_failed_allocation_is_out_of_memory, 0, sizeof vocabularies / sizeof *vocabularies);
    suite_add_tcase(suite, tc);
    const int result = test_run(suite);
    for (int i = 0; i < folders; i++) free(folder[i]);
    free(folder);
    return result;
}
