/* cuddle_tokenize_with() and cuddle_tokenize_batch(). tests/tokenizers/<name>/encodings.json is what the reference implementation
 * made of pairs, truncation and padding; scripts/make_tokenizer_fixtures.py wrote it. */
#include "support.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static cuddle_error err;
static struct dirent **folder;
static int folders;

enum { MOST_TEXTS = 8 };

/* ---- against the reference ---- */

static void same(const char *where, const char *what, json_t *want, size_t count, const int64_t *found)
{
    const size_t expected = json_array_size(want);
    for (size_t i = 0; i < count && i < expected; i++)
        ck_assert_msg(found[i] == json_integer_value(json_array_get(want, i)), "%s: %s[%zu] is %lld, expected %lld", where, what, i,
                      (long long)found[i], (long long)json_integer_value(json_array_get(want, i)));
    ck_assert_msg(count == expected, "%s: %zu %s, expected %zu", where, count, what, expected);
}

static int64_t characters(const char *text, size_t bytes)
{
    int64_t count = 0;
    for (size_t i = 0; i < bytes; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

static void check_encoding(const char *where, const cuddle_encoding *e, json_t *want, const cuddle_tokenize_input *in,
                           bool in_bytes)
{
    static int64_t found[4096];
#define SAME(key, field)                                          \
    for (size_t i = 0; i < e->count; i++) found[i] = e->field[i]; \
    same(where, key, json_object_get(want, key), e->count, found)
    ck_assert(2 * e->count < sizeof found / sizeof *found);
    SAME("ids", ids);
    SAME("types", type_ids);
    SAME("words", word_ids);
    SAME("special", special);
    SAME("attention", attention);
    if (json_object_get(want, "sequences")) {
        SAME("sequences", sequence_ids);
    }
    for (size_t i = 0; i < e->count; i++) {
        const char *text =
            e->sequence_ids[i] == 1 ? in->pair : in->text; /* a template that repeats a text gives its offsets but not its number */
        const bool counts = in_bytes && (e->sequence_ids[i] >= 0 || e->special[i]);
        if (in_bytes && !counts) {
            found[2 * i] = json_integer_value(json_array_get(json_object_get(want, "characters"), 2 * i));
            found[2 * i + 1] = json_integer_value(json_array_get(json_object_get(want, "characters"), 2 * i + 1));
            continue;
        }
        found[2 * i] = counts ? characters(text, e->begin[i]) : (int64_t)e->begin[i];
        found[2 * i + 1] = counts ? characters(text, e->end[i]) : (int64_t)e->end[i];
    }
    same(where, "offsets", json_object_get(want, "characters"), 2 * e->count, found);
}

static size_t size_of(json_t *object, const char *key) { return (size_t)json_integer_value(json_object_get(object, key)); }
static bool is(json_t *object, const char *key, const char *value)
{
    return strcmp(json_string_value(json_object_get(object, key)), value) == 0;
}

static void read_settings(cuddle_tokenize_options *o, json_t *item)
{
    cuddle_tokenize_options_init(o, sizeof *o);
    json_t *cut = json_object_get(item, "truncation"), *pad = json_object_get(item, "padding");
    if (!json_is_true(json_object_get(item, "add_special"))) o->add_special = CUDDLE_ADD_SPECIAL_OFF;
    if (cut) {
        o->truncation = is(cut, "strategy", "longest_first") ? CUDDLE_TRUNCATE_LONGEST_FIRST
                        : is(cut, "strategy", "only_first")  ? CUDDLE_TRUNCATE_ONLY_FIRST
                                                             : CUDDLE_TRUNCATE_ONLY_SECOND;
        o->max_length = size_of(cut, "max_length");
        o->stride = size_of(cut, "stride");
        o->truncation_side = is(cut, "direction", "left") ? CUDDLE_SIDE_LEFT : CUDDLE_SIDE_RIGHT;
    }
    if (pad) {
        o->padding = size_of(pad, "length") ? CUDDLE_PAD_FIXED : CUDDLE_PAD_LONGEST;
        o->pad_length = size_of(pad, "length");
        o->pad_to_multiple_of = size_of(pad, "pad_to_multiple_of");
        o->pad_id = (int32_t)size_of(pad, "pad_id");
        o->pad_type_id = (int32_t)size_of(pad, "pad_type_id");
        o->padding_side = is(pad, "direction", "left") ? CUDDLE_SIDE_LEFT : CUDDLE_SIDE_RIGHT;
    }
}

static size_t read_texts(cuddle_tokenize_input *in, json_t *texts)
{
    const size_t count = json_array_size(texts);
    ck_assert(count && count <= MOST_TEXTS);
    for (size_t i = 0; i < count; i++) {
        json_t *first = json_array_get(json_array_get(texts, i), 0), *second = json_array_get(json_array_get(texts, i), 1);
        in[i] = (cuddle_tokenize_input){ json_string_value(first), json_string_length(first), json_string_value(second),
                                         second ? json_string_length(second) : 0 };
    }
    return count;
}

static void check_case(const char *where, const cuddle_tokenizer *t, json_t *item, bool in_bytes)
{
    cuddle_tokenize_input in[MOST_TEXTS];
    cuddle_encoding *e[MOST_TEXTS];
    cuddle_tokenize_options o;
    char part[400];
    json_t *results = json_object_get(item, "results");
    const size_t count = read_texts(in, json_object_get(item, "texts"));
    read_settings(&o, item);
    o.offsets = in_bytes ? CUDDLE_OFFSETS_BYTES : CUDDLE_OFFSETS_CHARACTERS;
    o.threads = in_bytes ? 2 : 1;
    const cuddle_status status = cuddle_tokenize_batch(e, t, in, count, &o, &err);
    if (json_is_null(results)) {
        ck_assert_msg(status == CUDDLE_E_ARG, "%s: %s where the reference fails", where, cuddle_status_name(status));
        return;
    }
    ck_assert_msg(!status, "%s: %s", where, err.text);
    for (size_t i = 0; i < count; i++) {
        json_t *want = json_array_get(results, i), *overflow = json_object_get(want, "overflow");
        snprintf(part, sizeof part, "%s text %zu", where, i);
        check_encoding(part, e[i], want, &in[i], in_bytes);
        ck_assert_msg(e[i]->overflow_count == json_array_size(overflow), "%s: %zu windows, expected %zu", part,
                      e[i]->overflow_count, json_array_size(overflow));
        for (size_t k = 0; k < e[i]->overflow_count; k++) {
            snprintf(part, sizeof part, "%s text %zu window %zu", where, i, k);
            check_encoding(part, e[i]->overflow[k], json_array_get(overflow, k), &in[i], in_bytes);
        }
        cuddle_encoding_free(e[i]);
    }
}

START_TEST(agrees_with_the_reference)
{
    char relative[320], where[300];
    size_t index;
    json_t *item;
    cuddle_tokenizer *t = NULL;
    snprintf(relative, sizeof relative, "tokenizers/%s/encodings.json", folder[_i]->d_name);
    json_t *root = json_load_file(test_path(relative), JSON_ALLOW_NUL, NULL);
    if (!root) return; /* not every folder has one */
    snprintf(relative, sizeof relative, "tokenizers/%s", folder[_i]->d_name);
    ck_ok(cuddle_tokenizer_load(&t, test_path(relative), &err));
    json_array_foreach(json_object_get(root, "cases"), index, item)
    {
        snprintf(where, sizeof where, "%s case %zu", folder[_i]->d_name, index);
        check_case(where, t, item, false);
        check_case(where, t, item, true);
    }
    ck_assert(index > 50);
    json_decref(root);
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(has_what_the_reference_said)
{
    int found = 0;
    for (int i = 0; i < folders; i++) {
        char relative[320];
        snprintf(relative, sizeof relative, "tokenizers/%s/encodings.json", folder[i]->d_name);
        FILE *f = fopen(test_path(relative), "rb");
        if (!f) continue;
        fclose(f);
        found++;
    }
    ck_assert_int_ge(found, 8);
}
END_TEST

/* ---- by hand ---- */

#define MODEL                                                                                                         \
    "\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"c\": 2, \"<s>\": 3, \"</s>\": 4, \"<p>\": 5}, " \
    "\"merges\": []}, \"added_tokens\": [" TOKEN(3, "<s>") ", " TOKEN(4, "</s>") ", " TOKEN(5, "<p>") "]"
#define TOKEN(id, content)                      \
    "{\"id\": " #id ", \"content\": \"" content \
    "\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true}"
#define SPECIAL(content) "{\"SpecialToken\": {\"id\": \"" content "\", \"type_id\": 0}}"
#define SEQUENCE(id, type) "{\"Sequence\": {\"id\": \"" id "\", \"type_id\": " #type "}}"
#define TEMPLATE                                                                                                                   \
    "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [" SPECIAL("<s>") ", " SEQUENCE("A", 0) ", " SPECIAL(      \
        "</s>") "], \"pair\": [" SPECIAL("<s>") ", " SEQUENCE("A",                                                                 \
                                                              0) ", " SPECIAL("</s>") ", " SEQUENCE("B",                           \
                                                                                                    1) ", " SPECIAL("</s>") "], "  \
                                                                                                                            "\"sp" \
                                                                                                                            "ecia" \
                                                                                                                            "l_"   \
                                                                                                                            "toke" \
                                                                                                                            "ns\"" \
                                                                                                                            ": "   \
                                                                                                                            "{\"<" \
                                                                                                                            "s>"   \
                                                                                                                            "\": " \
                                                                                                                            "{\"i" \
                                                                                                                            "d\":" \
                                                                                                                            " \"<" \
                                                                                                                            "s>"   \
                                                                                                                            "\", " \
                                                                                                                            "\"id" \
                                                                                                                            "s\":" \
                                                                                                                            " [3]" \
                                                                                                                            ", "   \
                                                                                                                            "\"to" \
                                                                                                                            "kens" \
                                                                                                                            "\": " \
                                                                                                                            "[\"<" \
                                                                                                                            "s>"   \
                                                                                                                            "\"]}" \
                                                                                                                            ", "   \
                                                                                                                            "\"</" \
                                                                                                                            "s>"   \
                                                                                                                            "\": " \
                                                                                                                            "{\"i" \
                                                                                                                            "d\":" \
                                                                                                                            " \"<" \
                                                                                                                            "/s>"  \
                                                                                                                            "\", " \
                                                                                                                            "\"id" \
                                                                                                                            "s\":" \
                                                                                                                            " [4]" \
                                                                                                                            ", "   \
                                                                                                                            "\"to" \
                                                                                                                            "kens" \
                                                                                                                            "\": " \
                                                                                                                            "[\"<" \
                                                                                                                            "/s>"  \
                                                                                                                            "\"]}" \
                                                                                                                            "}}"

/* A tokenizer from the texts of its files; NULL: no such file. */
static cuddle_tokenizer *load(const char *json, const char *config, const char *map, const char *added)
{
    static const char *const names[] = { "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                                         "added_tokens.json" };
    const char *const texts[] = { json, config, map, added };
    char path[600];
    cuddle_tokenizer *t = NULL;
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", test_temp_dir(), names[i]);
        remove(path);
        if (texts[i]) test_write_file(path, texts[i], strlen(texts[i]));
    }
    ck_ok(cuddle_tokenizer_load(&t, test_temp_dir(), &err));
    return t;
}

static cuddle_tokenize_input text_of(const char *text, const char *pair)
{
    return (cuddle_tokenize_input){ text, text ? strlen(text) : 0, pair, pair ? strlen(pair) : 0 };
}

static void gives(const cuddle_tokenizer *t, const cuddle_tokenize_options *o, const char *text, const char *pair,
                  const int32_t *ids, size_t count)
{
    const cuddle_tokenize_input in = text_of(text, pair);
    cuddle_encoding *e = NULL;
    ck_ok(cuddle_tokenize_with(&e, t, &in, o, &err));
    ck_assert_msg(e->count == count, "\"%s\": %zu tokens, expected %zu", text, e->count, count);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(e->ids[i] == ids[i], "\"%s\": id %zu is %d, expected %d", text, i, e->ids[i], ids[i]);
    cuddle_encoding_free(e);
}
#define GIVES(t, o, text, pair, ...) \
    gives(t, o, text, pair, (const int32_t[]){ __VA_ARGS__ }, sizeof((const int32_t[]){ __VA_ARGS__ }) / sizeof(int32_t))

START_TEST(adds_a_special_token_once_if_asked)
{
    cuddle_tokenizer *t =
        load("{" MODEL ", " TEMPLATE "}", "{\"add_bos_token\": true, \"add_eos_token\": true, \"bos_token\": \"<s>\"}", NULL, NULL);
    cuddle_tokenize_options o;
    cuddle_tokenize_options_init(&o, sizeof o);
    GIVES(t, &o, "ab", NULL, 3, 0, 1, 4); /* add_bos_token does not add to what the post-processor adds */
    GIVES(t, NULL, "ab", NULL, 3, 0, 1, 4);
    GIVES(t, &o, "<s>ab</s>", NULL, 3, 3, 0, 1, 4, 4); /* as the reference does it */
    o.add_special = CUDDLE_ADD_SPECIAL_ONCE;
    GIVES(t, &o, "<s>ab</s>", NULL, 3, 0, 1, 4);
    GIVES(t, &o, "ab</s>", NULL, 3, 0, 1, 4);
    GIVES(t, &o, "ab", NULL, 3, 0, 1, 4);
    GIVES(t, &o, "a<s>b", NULL, 3, 0, 3, 1, 4); /* only at the ends */
    GIVES(t, &o, "<s><s>a", NULL, 3, 3, 0, 4);  /* the text's own are left alone */
    GIVES(t, &o, "<s>a</s>", "b</s>", 3, 0, 4, 1, 4);
    GIVES(t, &o, "<s>", NULL, 3, 4);
    GIVES(t, &o, "</s>", "<s>", 3, 4, 3, 4); /* between two texts: not beside a text's own */
    o.add_special = CUDDLE_ADD_SPECIAL_OFF;
    GIVES(t, &o, "<s>ab", NULL, 3, 0, 1);
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(obeys_the_file_only_if_asked)
{
    cuddle_tokenizer *t =
        load("{\"truncation\": {\"max_length\": 4, \"strategy\": \"LongestFirst\", \"stride\": 1, \"direction\": \"Left\"}, "
             "\"padding\": {\"strategy\": {\"Fixed\": 5}, \"direction\": \"Left\", \"pad_to_multiple_of\": 3, "
             "\"pad_id\": 5, \"pad_type_id\": 2, \"pad_token\": \"<p>\"}, " MODEL ", " TEMPLATE "}",
             NULL, NULL, NULL);
    cuddle_tokenize_options o;
    cuddle_tokenize_options_init(&o, sizeof o);
    ck_assert_int_eq(cuddle_tokenizer_special(t, CUDDLE_SPECIAL_PAD), 5);
    GIVES(t, &o, "abcab", NULL, 3, 0, 1, 2, 0, 1, 4);
    o.truncation = CUDDLE_TRUNCATE_AS_FILE;
    GIVES(t, &o, "abcab", NULL, 3, 0, 1, 4);
    cuddle_encoding *e;
    ck_ok(cuddle_tokenize_with(&e, t, &(cuddle_tokenize_input){ .text = "abcab", .length = 5 }, &o, &err));
    ck_assert_uint_eq(e->truncated, 3); /* of the text; the windows of the overflow share some */
    ck_assert_uint_gt(e->overflow_count, 1);
    cuddle_encoding_free(e);
    o.padding = CUDDLE_PAD_AS_FILE;
    GIVES(t, &o, "abcab", NULL, 5, 5, 3, 0, 1, 4);
    o.padding = CUDDLE_PAD_FIXED; /* the side is the file's as long as the config names none */
    o.pad_length = 5;
    GIVES(t, &o, "abcab", NULL, 5, 3, 0, 1, 4);
    cuddle_tokenizer_free(t);
    t = load("{" MODEL "}", NULL, NULL, NULL);
    o.truncation = CUDDLE_TRUNCATE_AS_FILE, o.padding = CUDDLE_PAD_AS_FILE;
    GIVES(t, &o, "abcab", NULL, 0, 1, 2, 0, 1); /* it has none */
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(reads_lengths_sides_and_names)
{
    cuddle_tokenizer *t =
        load("{" MODEL "}",
             "{\"model_max_length\": 3, \"padding_side\": \"left\", \"truncation_side\": \"left\", \"pad_token\": \"<p>\", "
             "\"bos_token\": {\"content\": \"<s>\"}, \"eos_token\": null, \"image_token\": \"<image>\", \"cls_token\": \"b\"}",
             NULL, NULL);
    cuddle_tokenize_options o;
    cuddle_tokenize_options_init(&o, sizeof o);
    ck_assert_uint_eq(cuddle_tokenizer_max_length(t), 3);
    ck_assert_int_eq(cuddle_tokenizer_special(t, CUDDLE_SPECIAL_BOS), 3);
    ck_assert_int_eq(cuddle_tokenizer_special(t, CUDDLE_SPECIAL_EOS), -1);
    ck_assert_int_eq(cuddle_tokenizer_special(t, CUDDLE_SPECIAL_PAD), 5);
    ck_assert_int_eq(cuddle_tokenizer_special(t, CUDDLE_SPECIAL_CLS), 1);
    ck_assert_int_eq(cuddle_tokenizer_special(t, CUDDLE_SPECIAL_COUNT), -1);
    ck_assert_int_eq(cuddle_tokenizer_special(NULL, CUDDLE_SPECIAL_BOS), -1);
    ck_assert_uint_eq(cuddle_tokenizer_max_length(NULL), 0);
    ck_assert_int_eq(cuddle_tokenizer_id(t, "<image>"), 6); /* a model's own name adds its token */
    o.truncation = CUDDLE_TRUNCATE_LONGEST_FIRST;
    o.padding = CUDDLE_PAD_FIXED;
    GIVES(t, &o, "abcab", NULL, 2, 0, 1);
    GIVES(t, &o, "a", NULL, 5, 5, 0);
    o.padding_side = o.truncation_side = CUDDLE_SIDE_RIGHT;
    GIVES(t, &o, "abcab", NULL, 0, 1, 2);
    GIVES(t, &o, "a", NULL, 0, 5, 5);
    cuddle_tokenizer_free(t);
    t = load("{" MODEL "}", "{\"model_max_length\": 1000000000000000019884624838656}", NULL, NULL);
    ck_assert_uint_eq(cuddle_tokenizer_max_length(t), 0);
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(reads_the_files_of_older_checkpoints)
{
    const char *map = "{\"eos_token\": {\"content\": \"</e>\", \"lstrip\": true}, \"pad_token\": \"<p>\", "
                      "\"additional_special_tokens\": [\"<q>\"]}";
    const char *added = "{\"<q>\": 8, \"plain\": 7, \"</e>\": 6}";
    cuddle_tokenizer *t = load("{" MODEL "}", "{\"eos_token\": \"<s>\", \"bos_token\": \"<s>\"}", map, added);
    ck_assert_int_eq(cuddle_tokenizer_special(t, CUDDLE_SPECIAL_EOS), 6); /* the map comes before the config */
    ck_assert_int_eq(cuddle_tokenizer_special(t, CUDDLE_SPECIAL_BOS), 3);
    ck_assert_int_eq(cuddle_tokenizer_special(t, CUDDLE_SPECIAL_PAD), 5);
    ck_assert_int_eq(cuddle_tokenizer_size(t), 9);
    GIVES(t, NULL, "aplain<q></e>", NULL, 0, 7, 8, 6);
    char *text = NULL;
    const int32_t ids[] = { 0, 7, 8, 6 };
    ck_ok(cuddle_detokenize(&text, NULL, t, ids, 4, CUDDLE_DETOKENIZE_SKIP_SPECIAL, &err));
    ck_assert_str_eq(text, "a plain"); /* it alone is no special token; without a decoder tokens are joined by spaces */
    cuddle_text_free(text);
    cuddle_tokenizer_free(t);
    t = load("{" MODEL "}", "{\"eos_token\": \"<s>\", \"added_tokens_decoder\": {}}", map, added); /* which does without both */
    ck_assert_int_eq(cuddle_tokenizer_special(t, CUDDLE_SPECIAL_EOS), 3);
    ck_assert_int_eq(cuddle_tokenizer_size(t), 6);
    cuddle_tokenizer_free(t);
}
END_TEST

static const struct {
    const char *sentence;
    cuddle_tokenize_options o;
    const char *text, *pair;
} wrong[] = {
    { "cuddle_tokenize_options: add_special is 3, expected 0 to 2", { .add_special = 3 }, "a", NULL },
    { "cuddle_tokenize_options: truncation is 5, expected 0 to 4", { .truncation = 5 }, "a", NULL },
    { "cuddle_tokenize_options: truncation_side is 3, expected 0 to 2", { .truncation_side = 3 }, "a", NULL },
    { "cuddle_tokenize_options: padding is 4, expected 0 to 3", { .padding = 4 }, "a", NULL },
    { "cuddle_tokenize_options: padding_side is 9, expected 0 to 2", { .padding_side = 9 }, "a", NULL },
    { "cuddle_tokenize_options: offsets is 2, expected 0 to 1", { .offsets = 2 }, "a", NULL },
    { "cuddle_tokenize_options: pad_id is -2, expected -1 to 16777215", { .pad_id = -2 }, "a", NULL },
    { "cuddle_tokenize_options: pad_type_id is -1, expected at least 0", { .pad_type_id = -1 }, "a", NULL },
    { "cuddle_tokenize_options: threads is -1, expected 0 to 4096", { .threads = -1 }, "a", NULL },
    { "cuddle_tokenize_options: stride is 2147483648, expected at most 2147483647", { .stride = 2147483648 }, "a", NULL },
    { "cuddle_tokenize_options: max_length is 0, and the checkpoint's tokenizer_config.json has no model_max_length",
      { .truncation = CUDDLE_TRUNCATE_LONGEST_FIRST },
      "a",
      NULL },
    { "cuddle_tokenize_options: pad_length is 0, and the checkpoint's tokenizer_config.json has no model_max_length",
      { .padding = CUDDLE_PAD_FIXED },
      "a",
      NULL },
    { "cuddle_tokenize_options: padding is asked for, but the tokenizer has no pad token and pad_id is -1",
      { .padding = CUDDLE_PAD_LONGEST, .pad_id = -1 },
      "a",
      NULL },
    { "max_length is 1, and the special tokens alone are 2", { .add_special = 1, .truncation = 1, .max_length = 1 }, "a", NULL },
    { "max_length is 2, and the special tokens alone are 3", { .add_special = 1, .truncation = 1, .max_length = 2 }, "a", "b" },
    { "stride is 3, expected at most the 2 tokens that max_length leaves beside 2 special ones",
      { .add_special = 1, .truncation = 1, .max_length = 4, .stride = 3 },
      "a",
      NULL },
    { "stride is 2 where only 2 tokens of a text are kept, expected fewer",
      { .add_special = 1, .truncation = 1, .max_length = 4, .stride = 2 },
      "abc",
      NULL },
    { "stride is 2 where only 1 tokens of a text are kept, expected fewer",
      { .truncation = 2, .max_length = 4, .stride = 2 },
      "abc",
      "abc" },
    { "truncation is ONLY_SECOND, but there is no second text", { .truncation = 3, .max_length = 1 }, "abc", NULL },
    { "truncation of only the first text: it has 1 tokens, and 2 in all must go",
      { .truncation = 2, .max_length = 2 },
      "a",
      "abc" },
    { "truncation of only the second text: it has 2 tokens, and 2 in all must go",
      { .truncation = 3, .max_length = 3 },
      "abc",
      "ab" },
    { "the second text is not UTF-8 at byte 1", { .threads = 0 }, "a", "b\xff" },
    { "the texts up to text 0 have 4 bytes, expected at most max_text = 3", { .max_text = 3 }, "ab", "ab" },
    { "the text has 4 tokens or more, expected at most 2", { .max_tokens = 2 }, "aaaa", NULL },
    { "the second text has 5 tokens or more, expected at most 2", { .max_tokens = 2, .max_text = 7 }, "ab", "abcab" },
    { "text 0 is NULL and has a length of 7", { .threads = 0 }, NULL, NULL },
};

START_TEST(refuses_wrong_options)
{
    cuddle_tokenizer *t = load("{" MODEL ", " TEMPLATE "}", NULL, NULL, NULL);
    cuddle_tokenize_options o = wrong[_i].o;
    o.struct_size = sizeof o;
    cuddle_tokenize_input in = text_of(wrong[_i].text, wrong[_i].pair);
    if (!in.text) in.length = 7;
    cuddle_encoding *e = (cuddle_encoding *)1, *batch[2] = { e, e };
    const cuddle_status status = cuddle_tokenize_with(&e, t, &in, &o, &err);
    ck_assert_str_eq(err.text, wrong[_i].sentence);
    ck_assert(status == CUDDLE_E_ARG || ((o.max_text || o.max_tokens) && status == CUDDLE_E_LIMIT));
    ck_assert_ptr_null(e);
    const cuddle_tokenize_input two[] = { in, in };
    ck_assert_int_eq(cuddle_tokenize_batch(batch, t, two, 2, &o, &err), status);
    ck_assert(!batch[0] && !batch[1]);
    cuddle_tokenizer_free(t);
}
END_TEST

/* Lengths that a signed or an unsigned int does not hold. The text is memory that is not there until it is touched. */
START_TEST(refuses_texts_of_gigabytes_before_reading_them)
{
    static const size_t lengths[] = { ((size_t)1 << 30) + 1, (size_t)1 << 31, ((size_t)1 << 32) + 1 };
    cuddle_tokenizer *t = load("{" MODEL ", " TEMPLATE "}", NULL, NULL, NULL);
    const size_t most = ((size_t)1 << 32) + 1;
    char *text = mmap(NULL, most, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_ne(text, MAP_FAILED);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char sentence[200];
        cuddle_encoding *e = NULL;
        test_count_memory();
        test_expect_failure(cuddle_tokenize(&e, t, text, lengths[i], 0, &err), CUDDLE_E_LIMIT, &err);
        ck_assert_int_lt(test_counted_memory().peak, 4096);
        snprintf(sentence, sizeof sentence, "a text of %zu bytes, expected at most 1073741824", lengths[i]);
        ck_assert_str_eq(err.text, sentence);
        const cuddle_tokenize_input pair = { "a", 1, text, lengths[i] };
        test_expect_failure(cuddle_tokenize_with(&e, t, &pair, NULL, &err), CUDDLE_E_LIMIT, &err);
        ck_assert_str_eq(err.text, sentence);
        cuddle_tokenize_options o;
        cuddle_tokenize_options_init(&o, sizeof o);
        o.max_text = lengths[i];
        test_expect_failure(cuddle_tokenize_with(&e, t, &pair, &o, &err), CUDDLE_E_LIMIT, &err);
        snprintf(sentence, sizeof sentence, "the texts up to text 0 have %zu bytes, expected at most max_text = %zu", lengths[i] + 1, lengths[i]);
        ck_assert_str_eq(err.text, sentence);
    }
    const cuddle_tokenize_input endless[] = { { text, SIZE_MAX - 50, text, 60 }, { text, 1, NULL, 0 } }; /* sums do not wrap */
    cuddle_encoding *e[2];
    cuddle_tokenize_options o;
    cuddle_tokenize_options_init(&o, sizeof o);
    o.max_text = 100;
    test_expect_failure(cuddle_tokenize_batch(e, t, endless, 2, &o, &err), CUDDLE_E_LIMIT, &err);
    char sentence[200];
    snprintf(sentence, sizeof sentence, "the texts up to text 0 have %zu bytes, expected at most max_text = 100", SIZE_MAX);
    ck_assert_str_eq(err.text, sentence);
    munmap(text, most);
    cuddle_tokenizer_free(t);
}
END_TEST

/* What cuddle.h says of memory: of texts whose every byte is a token, the worst there is without a normalizer. */
START_TEST(memory_is_bounded_by_the_text)
{
    enum { BYTES = 1 << 18 };
    static const char *const units[] = { "ab", "a ", "a", "\xcc\x81" };
    char *text = malloc(BYTES);
    for (size_t i = 0; i < 2 * sizeof units / sizeof *units; i++) {
        cuddle_tokenizer *t = NULL;
        cuddle_encoding *e = NULL;
        const char *unit = units[i / 2];
        ck_ok(cuddle_tokenizer_load(&t, test_path(i % 2 ? "tokenizers/gpt2" : "tokenizers/llama-spm"), &err));
        for (size_t k = 0; k < BYTES; k++) text[k] = unit[k % strlen(unit)];
        test_count_memory();
        ck_ok(cuddle_tokenize(&e, t, text, BYTES, 0, &err));
        const long long each = test_counted_memory().peak / BYTES;
        ck_assert_msg(each >= 10 && each <= 250, "%lld bytes of memory for a byte of %s", each, unit);
        cuddle_encoding_free(e);
        cuddle_tokenizer_free(t);
    }
    free(text);
}
END_TEST

START_TEST(a_bound_on_tokens_ends_the_work)
{
    static const char words[] = "a b c d e f g h i j";
    cuddle_tokenizer *t = NULL;
    cuddle_encoding *e = NULL;
    cuddle_tokenize_options o;
    ck_ok(cuddle_tokenizer_load(&t, test_path("tokenizers/gpt2"), &err));
    cuddle_tokenize_options_init(&o, sizeof o);
    o.add_special = CUDDLE_ADD_SPECIAL_OFF;
    const cuddle_tokenize_input in = text_of(words, NULL);
    ck_ok(cuddle_tokenize_with(&e, t, &in, &o, &err));
    const size_t count = e->count;
    cuddle_encoding_free(e);
    o.max_tokens = count;
    ck_ok(cuddle_tokenize_with(&e, t, &in, &o, &err)); /* exactly as many */
    cuddle_encoding_free(e);
    o.max_tokens = 3; /* it stops at the word that goes beyond, long before the end */
    test_expect_failure(cuddle_tokenize_with(&e, t, &in, &o, &err), CUDDLE_E_LIMIT, &err);
    size_t found = 0;
    ck_assert_int_eq(sscanf(err.text, "the text has %zu tokens or more, expected at most 3", &found), 1);
    ck_assert(found > 3 && found < count);
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(refuses_wrong_calls)
{
    cuddle_tokenizer *t = load("{" MODEL "}", NULL, NULL, NULL);
    const cuddle_tokenize_input in = text_of("ab", NULL);
    cuddle_encoding *e = NULL;
    cuddle_tokenize_options o = { .struct_size = 0 };
    test_expect_failure(cuddle_tokenize_with(NULL, t, &in, NULL, &err), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "cuddle_tokenize_with: out is NULL");
    test_expect_failure(cuddle_tokenize_with(&e, NULL, &in, NULL, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_tokenize_with(&e, t, NULL, NULL, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_tokenize_with(&e, t, &in, &o, &err), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "cuddle_tokenize_options: struct_size is 0; fill the struct with its _init function first");
    test_expect_failure(cuddle_tokenize_batch(NULL, t, &in, 1, NULL, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_tokenize_batch(&e, NULL, &in, 1, NULL, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_tokenize_batch(&e, t, NULL, 1, NULL, &err), CUDDLE_E_ARG, &err);
    ck_ok(cuddle_tokenize_batch(NULL, t, NULL, 0, NULL, &err));  /* nothing to do */
    o.struct_size = sizeof(size_t) + sizeof(cuddle_add_special); /* of an older header: the rest keeps its defaults */
    ck_ok(cuddle_tokenize_with(&e, t, &in, &o, &err));
    cuddle_encoding_free(e);
    cuddle_tokenize_options_init(NULL, sizeof(cuddle_tokenize_options));
    cuddle_tokenizer_free(t);
}
END_TEST

START_TEST(bounds_the_windows)
{
    enum { LENGTH = 200000 };
    cuddle_tokenizer *t = load("{" MODEL "}", NULL, NULL, NULL);
    char *text = malloc(LENGTH);
    ck_assert_ptr_nonnull(text);
    memset(text, 'a', LENGTH);
    cuddle_encoding *e = NULL;
    cuddle_tokenize_options o;
    cuddle_tokenize_options_init(&o, sizeof o);
    o.truncation = CUDDLE_TRUNCATE_LONGEST_FIRST;
    cuddle_tokenize_input in = { text, LENGTH, NULL, 0 };
    o.max_length = 1000, o.stride = 999;
    test_expect_failure(cuddle_tokenize_with(&e, t, &in, &o, &err), CUDDLE_E_LIMIT, &err);
    ck_assert_str_eq(err.text,
                     "200000 tokens in windows of 1000 with stride 999, expected at most 1048576 windows and 16777216 tokens");
    in = (cuddle_tokenize_input){ text, 4000, text, 4000 };
    o.max_length = 2, o.stride = 0;
    test_expect_failure(cuddle_tokenize_with(&e, t, &in, &o, &err), CUDDLE_E_LIMIT, &err);
    ck_assert_str_eq(err.text, "the texts give more than 1048576 windows");
    in = (cuddle_tokenize_input){ text, 4000, NULL, 0 };
    o.padding = CUDDLE_PAD_FIXED, o.pad_id = 0, o.pad_length = 10000;
    test_expect_failure(cuddle_tokenize_with(&e, t, &in, &o, &err), CUDDLE_E_LIMIT, &err);
    ck_assert_str_eq(err.text, "1999 windows padded to 10000 tokens, expected at most 16777216 tokens in all");
    ck_assert_ptr_null(e);
    free(text);
    cuddle_tokenizer_free(t);
}
END_TEST

/* ---- faults and threads ---- */

static cuddle_status everything(void)
{
    static const cuddle_tokenize_input in[] = { { "Hello <s> it's 123 na\xc3\xafve", 24, "caf\xc3\xa9", 5 },
                                                { "jumps over the dog", 18, "x y z", 5 } };
    cuddle_tokenizer *t = NULL;
    cuddle_encoding *e[2] = { NULL, NULL };
    cuddle_tokenize_options o;
    cuddle_tokenize_options_init(&o, sizeof o);
    o.truncation = CUDDLE_TRUNCATE_LONGEST_FIRST, o.max_length = 9, o.stride = 1;
    o.padding = CUDDLE_PAD_FIXED, o.pad_id = 0, o.pad_length = 12;
    o.offsets = CUDDLE_OFFSETS_CHARACTERS;
    cuddle_status status = cuddle_tokenizer_load(&t, test_path("tokenizers/llama3"), &err);
    if (!status) status = cuddle_tokenize_batch(e, t, in, 2, &o, &err);
    if (!status != (e[0] && e[1] && e[0]->count == 12 && e[0]->overflow_count > 0))
        status = CUDDLE_E_INTERNAL; /* Check allocates too */
    cuddle_encoding_free(e[0]);
    cuddle_encoding_free(e[1]);
    cuddle_tokenizer_free(t);
    return status;
}

START_TEST(survives_every_failed_allocation)
{
    cuddle_status status = CUDDLE_E_NOMEM;
    long n = 0;
    for (; status == CUDDLE_E_NOMEM; n++) {
        test_fail_allocation(n + 1, n % 2);
        status = everything();
        test_fail_allocation(0, false);
        ck_assert_msg(status == CUDDLE_OK || (status == CUDDLE_E_NOMEM && err.text[0]), "allocation %ld: %s: %s", n + 1,
                      cuddle_status_name(status), err.text);
    }
    ck_assert_int_eq(status, CUDDLE_OK);
    ck_assert_msg(n > 30, "only %ld allocations were failed", n);
}
END_TEST

int main(void)
{
    struct dirent **all = NULL;
    folders = scandir(test_path("tokenizers"), &all, NULL, alphasort);
    if (folders <= 0) return EXIT_FAILURE;
    folder = all;
    Suite *suite = suite_create("tokenize_with");
    TCase *tc = tcase_create("tokenize_with");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, agrees_with_the_reference, 0, folders);
    tcase_add_test(tc, has_what_the_reference_said);
    tcase_add_test(tc, adds_a_special_token_once_if_asked);
    tcase_add_test(tc, obeys_the_file_only_if_asked);
    tcase_add_test(tc, reads_lengths_sides_and_names);
    tcase_add_test(tc, reads_the_files_of_older_checkpoints);
    tcase_add_loop_test(tc, refuses_wrong_options, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(tc, refuses_texts_of_gigabytes_before_reading_them);
    tcase_add_test(tc, a_bound_on_tokens_ends_the_work);
    tcase_add_test(tc, memory_is_bounded_by_the_text);
    tcase_add_test(tc, refuses_wrong_calls);
    tcase_add_test(tc, bounds_the_windows);
    tcase_add_test(tc, survives_every_failed_allocation);
    suite_add_tcase(suite, tc);
    const int result = test_run(suite);
    for (int i = 0; i < folders; i++) free(folder[i]);
    free(folder);
    return result;
}
