/* Who adds special tokens: the post-processor, the text itself (as what a chat template wrote), or the prompt's token ids; never two of
 * them. tests/chat/specials.json has what transformers makes of it; scripts/make_chat_fixtures.py wrote it. */
#include "support.h"
#include "text/tokenizer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;

static void put(const char *dir, const char *name, json_t *value)
{
    char path[600], *text = json_dumps(value, 0);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    test_write_file(path, text, strlen(text));
    free(text);
}

static void same_ids(const char *where, const char *what, const int32_t *ids, size_t count, json_t *want)
{
    char found[400] = "", *expected = json_dumps(want, JSON_COMPACT);
    for (size_t i = 0, at = 0; i < count && at < sizeof found - 16; i++) at += (size_t)sprintf(found + at, "%s%d", i ? "," : "[", (int)ids[i]);
    strcat(found, count ? "]" : "[]");
    ck_assert_msg(strcmp(found, expected) == 0, "%s, %s: %s, expected %s", where, what, found, expected);
    free(expected);
}

/* ---------------------------------------------------------------------------------------- texts and chat templates */

static void check_text(const char *where, const cuddle_tokenizer *t, const char *text, cuddle_add_special add, json_t *want)
{
    static const char *const names[] = { "without", "as any text", "once" };
    cuddle_tokenize_options o;
    cuddle_encoding *e;
    cuddle_tokenize_options_init(&o, sizeof o);
    o.add_special = add;
    ck_ok(cuddle_tokenize_with(&e, t, &(cuddle_tokenize_input){ .text = text, .length = strlen(text) }, &o, &err));
    same_ids(where, names[add], e->ids, e->count, want);
    cuddle_encoding_free(e);
}

static void check_chat(const char *where, const cuddle_tokenizer *t, json_t *chat)
{
    const char *dir = test_temp_dir(), *template = json_string_value(json_object_get(chat, "template"));
    char path[600], *text = NULL, *messages = json_dumps(json_object_get(chat, "messages"), 0);
    cuddle_chat_template *compiled;
    cuddle_chat_options o;
    cuddle_chat_options_init(&o, sizeof o);
    o.messages_json = messages;
    o.add_generation_prompt = 0;
    snprintf(path, sizeof path, "%s/chat_template.jinja", dir);
    test_write_file(path, template, strlen(template));
    ck_ok(cuddle_chat_template_load(&compiled, dir, &err));
    ck_ok(cuddle_chat_template_render(&text, NULL, compiled, NULL, 0, &o, &err));
    ck_assert_str_eq(text, json_string_value(json_object_get(chat, "text")));
    check_text(where, t, text, CUDDLE_ADD_SPECIAL_OFF, json_object_get(chat, "ids"));
    check_text(where, t, text, CUDDLE_ADD_SPECIAL_ON, json_object_get(chat, "on"));
    check_text(where, t, text, CUDDLE_ADD_SPECIAL_ONCE, json_object_get(chat, "once"));
    cuddle_text_free(text);
    cuddle_chat_template_free(compiled);
    free(messages);
}

START_TEST(chats_have_the_special_tokens_that_transformers_gives_them)
{
    json_t *root = json_load_file(test_path("chat/specials.json"), 0, NULL), *one, *chat;
    size_t i, k, chats = 0;
    json_array_foreach(json_object_get(root, "cases"), i, one)
    {
        cuddle_tokenizer *t;
        put(test_temp_dir(), "tokenizer.json", json_object_get(one, "tokenizer"));
        put(test_temp_dir(), "tokenizer_config.json", json_object_get(one, "config"));
        ck_ok(cuddle_tokenizer_load(&t, test_temp_dir(), &err));
        json_array_foreach(json_object_get(one, "chats"), k, chat)
        {
            char where[200];
            snprintf(where, sizeof where, "post-processor %s, template %s", json_string_value(json_object_get(one, "name")),
                     json_string_value(json_object_get(chat, "name")));
            check_chat(where, t, chat);
            chats++;
        }
        cuddle_tokenizer_free(t);
    }
    ck_assert_uint_ge(chats, 200);
    json_decref(root);
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- prompts */

enum { END = 0, BEGIN = 1 }; /* <|endoftext|>, and a token that the text below has nothing of */

/* The demonstration model with a post-processor that puts BEGIN before a text and END behind it. */
static cuddle_model *load_model(cuddle_engine *engine)
{
    char dir[520], command[1400];
    snprintf(dir, sizeof dir, "%s/model", test_temp_dir());
    snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s' '%s'", dir, test_path("models/kjv-gpt2"), dir);
    ck_assert_int_eq(system(command), 0);
    json_t *tokenizer = json_load_file(test_path("models/kjv-gpt2/tokenizer.json"), 0, NULL);
    json_object_set_new(tokenizer, "post_processor",
                        json_pack("{s:s, s:[s, i], s:[s, i]}", "type", "BertProcessing", "sep", "<|endoftext|>", END, "cls", "!", BEGIN));
    put(dir, "tokenizer.json", tokenizer);
    json_decref(tokenizer);
    cuddle_model *h;
    cuddle_model_options o;
    cuddle_model_options_init(&o, sizeof o);
    o.max_context = 64;
    ck_ok(cuddle_model_load(&h, engine, dir, &o, &err));
    ck_ok(cuddle_model_wait(h, -1, &err));
    return h;
}

static const int32_t numbers[] = { 40, 41 };
#define TEXT(s) { .kind = CUDDLE_SEGMENT_TEXT, .text = s, .count = sizeof s - 1 }
#define IDS { .kind = CUDDLE_SEGMENT_TOKENS, .tokens = numbers, .count = 2 }
#define NO_IDS { .kind = CUDDLE_SEGMENT_TOKENS }
enum { A = 100, B = 101 }; /* in `want`: what "And" and " God" are, from the tokenizer */

static const struct {
    cuddle_segment segment[4];
    int count, no_special;
    int want[8], length;
} made_of[] = {
    { { TEXT("And") }, 1, 0, { BEGIN, A, END }, 3 },
    { { TEXT("And") }, 1, 1, { A }, 1 },
    { { TEXT("And"), TEXT(" God") }, 2, 0, { BEGIN, A, B, END }, 4 }, /* nothing between two texts */
    { { IDS }, 1, 0, { 40, 41 }, 2 },
    { { IDS, TEXT("And") }, 2, 0, { 40, 41, A, END }, 4 }, /* no beginning within */
    { { TEXT("And"), IDS }, 2, 0, { BEGIN, A, 40, 41 }, 4 }, /* no end within */
    { { TEXT("And"), IDS, TEXT(" God") }, 3, 0, { BEGIN, A, 40, 41, B, END }, 6 },
    { { IDS, TEXT("And"), IDS }, 3, 0, { 40, 41, A, 40, 41 }, 5 },
    { { NO_IDS, TEXT("And"), NO_IDS }, 3, 0, { BEGIN, A, END }, 3 }, /* what is empty is not there */
    { { TEXT(""), TEXT("And"), TEXT("") }, 3, 0, { BEGIN, A, END }, 3 },
    { { TEXT("And<|endoftext|>") }, 1, 0, { BEGIN, A, END }, 3 }, /* the text's own end */
    { { TEXT("And<|endoftext|>"), TEXT(" God<|endoftext|>") }, 2, 0, { BEGIN, A, END, B, END }, 5 },
    { { TEXT("") }, 1, 0, { BEGIN, END }, 2 },
    { { NO_IDS, TEXT("") }, 2, 0, { BEGIN, END }, 2 },
    { { TEXT(""), TEXT("") }, 2, 0, { BEGIN, END }, 2 },
    { { TEXT("And<|endoftext|>"), TEXT("") }, 2, 1, { A, END }, 2 },
};

static int32_t only_id(const cuddle_tokenizer *t, const char *text)
{
    cuddle_encoding *e;
    ck_ok(cuddle_tokenize(&e, t, text, strlen(text), CUDDLE_TOKENIZE_NO_SPECIAL, &err));
    ck_assert_uint_eq(e->count, 1);
    const int32_t id = e->ids[0];
    cuddle_encoding_free(e);
    return id;
}

START_TEST(a_prompt_begins_and_ends_once)
{
    cuddle_engine *engine;
    cuddle_engine_options eo;
    cuddle_generation_options o;
    cuddle_engine_options_init(&eo, sizeof eo);
    eo.device = test_device();
    eo.backend_dir = test_backend_dir();
    ck_ok(cuddle_engine_new(&engine, &eo, &err));
    cuddle_model *h = load_model(engine);
    const cuddle_tokenizer *t = cuddle_model_tokenizer(h);
    const int32_t and = only_id(t, "And"), god = only_id(t, " God");
    cuddle_generation_options_init(&o, sizeof o);
    o.max_tokens = 1;
    for (size_t i = 0; i < sizeof made_of / sizeof *made_of; i++) {
        char where[40];
        cuddle_request *r;
        cuddle_result result = { .struct_size = sizeof result };
        json_t *want = json_array();
        for (int k = 0; k < made_of[i].length; k++) {
            const int id = made_of[i].want[k];
            json_array_append_new(want, json_integer(id == A ? and : id == B ? god : id));
        }
        o.no_special = made_of[i].no_special;
        ck_ok(cuddle_request_submit(&r, h, made_of[i].segment, (size_t)made_of[i].count, &o, NULL, NULL, &err));
        ck_ok(cuddle_request_wait(r, -1, &err));
        ck_ok(cuddle_request_result(r, &result, &err));
        snprintf(where, sizeof where, "prompt %zu", i);
        same_ids(where, "ids", result.prompt_ids, result.prompt_count, want);
        json_decref(want);
        cuddle_request_free(r);
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* <s> <p> text <p> </s>, of which a text may bring parts. */
static const struct { const char *text; bool begins, ends; int want[8], length; } parts[] = {
    { "a", true, true, { 1, 3, 0, 3, 2 }, 5 },
    { "a", true, false, { 1, 3, 0 }, 3 },
    { "a", false, true, { 0, 3, 2 }, 3 },
    { "a", false, false, { 0 }, 1 },
    { "", true, true, { 1, 3, 3, 2 }, 4 },
    { "", true, false, { 1, 3 }, 2 }, /* the text's place, though it is empty */
    { "", false, true, { 3, 2 }, 2 },
    { "", false, false, { 0 }, 0 },
    { "<s>a", true, true, { 1, 0, 3, 2 }, 4 }, /* begins itself */
    { "a</s>", true, true, { 1, 3, 0, 2 }, 4 },
    { "<p>a<p>", true, true, { 1, 3, 0, 3, 2 }, 5 },
    { "<s><p>a<p></s>", true, true, { 1, 3, 0, 3, 2 }, 5 },
    { "</s>a<s>", true, true, { 1, 3, 2, 0, 1, 3, 2 }, 7 },
    { "<p><p>a", true, false, { 1, 3, 3, 0 }, 4 }, /* the text's own double stays */
};

#define TOKEN(id, content)                         \
    "{\"id\": " id ", \"content\": \"" content "\", " \
    "\"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true}"

START_TEST(a_text_and_the_tokens_around_it_are_laid_over_one_another)
{
    static const char json[] =
        "{\"model\": {\"type\": \"WordLevel\", \"vocab\": {\"a\": 0, \"<s>\": 1, \"</s>\": 2, \"<p>\": 3}, \"unk_token\": \"a\"},"
        "\"added_tokens\": [" TOKEN("1", "<s>") ", " TOKEN("2", "</s>") ", " TOKEN("3", "<p>") "],"
        "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"b\", \"type_id\": 0}},"
        "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"SpecialToken\": {\"id\": \"e\", \"type_id\": 0}}], \"pair\": [],"
        "\"special_tokens\": {\"b\": {\"id\": \"b\", \"ids\": [1, 3], \"tokens\": [\"<s>\", \"<p>\"]},"
        "\"e\": {\"id\": \"e\", \"ids\": [3, 2], \"tokens\": [\"<p>\", \"</s>\"]}}}}";
    cuddle_tokenizer *t;
    cuddle_encoding *e;
    ck_ok(cud_tokenizer_parse(&t, json, sizeof json - 1, NULL, 0, &err));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        json_t *want = json_array();
        for (int k = 0; k < parts[i].length; k++) json_array_append_new(want, json_integer(parts[i].want[k]));
        ck_ok(cud_tokenizer_encode_part(&e, t, parts[i].text, strlen(parts[i].text), parts[i].begins, parts[i].ends, 0, &err));
        char where[40];
        snprintf(where, sizeof where, "part %zu", i);
        same_ids(where, parts[i].text, e->ids, e->count, want);
        cuddle_encoding_free(e);
        json_decref(want);
    }
    cuddle_tokenizer_free(t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("specials");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, chats_have_the_special_tokens_that_transformers_gives_them);
    tcase_add_test(tc, a_text_and_the_tokens_around_it_are_laid_over_one_another);
    tcase_add_test(tc, a_prompt_begins_and_ends_once);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
