/* Chat templates: whole ones against transformers' apply_chat_template() (tests/chat/expected.json), loading, options, limits, and
 * what hostile templates are told. */
#include "support.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static cuddle_error err;
static json_t *expected, *cases, *chats;
static const cuddle_message hello = { .role = "user", .content = "Hello" };

static cuddle_chat_template *parse(const char *text)
{
    cuddle_chat_template *t = NULL;
    ck_ok(cuddle_chat_template_parse(&t, text, strlen(text), &err));
    return t;
}

static cuddle_status render_with(char **out, const char *template, const cuddle_chat_options *options)
{
    cuddle_chat_template *t = parse(template);
    const cuddle_status status = cuddle_chat_template_render(out, NULL, t, &hello, 1, options, &err);
    cuddle_chat_template_free(t);
    return status;
}

static void renders(const char *template, const cuddle_chat_options *options, const char *want)
{
    char *text = NULL;
    ck_ok(render_with(&text, template, options));
    ck_assert_str_eq(text, want);
    cuddle_text_free(text);
}

/* ------------------------------------------------------------------------------------------- against transformers */

static json_t *chat_named(const char *name)
{
    size_t i;
    json_t *chat;
    json_array_foreach(chats, i, chat) if (strcmp(json_string_value(json_object_get(chat, "name")), name) == 0) return chat;
    return NULL;
}

static char *member(json_t *chat, const char *key)
{
    json_t *value = json_object_get(chat, key);
    return value ? json_dumps(value, 0) : NULL;
}

/* The special tokens of the tokenizer that scripts/make_chat_fixtures.py makes, below the chat's own variables. */
static char *variables_of(json_t *chat)
{
    json_t *all =
        json_pack("{s:s, s:s, s:s, s:s}", "bos_token", "<s>", "eos_token", "</s>", "unk_token", "<unk>", "pad_token", "<pad>");
    if (json_object_get(chat, "variables")) json_object_update(all, json_object_get(chat, "variables"));
    char *text = json_dumps(all, 0);
    json_decref(all);
    return text;
}

START_TEST(writes_what_transformers_writes)
{
    json_t *one = json_array_get(cases, (size_t)_i), *output = json_object_get(one, "output");
    const char *name = json_string_value(json_object_get(one, "template")),
               *chat_name = json_string_value(json_object_get(one, "chat"));
    json_t *chat = chat_named(chat_name);
    char path[300], *text = NULL;
    snprintf(path, sizeof path, "chat/templates/%s", name);
    cuddle_chat_template *t = NULL;
    cuddle_chat_options options;
    cuddle_chat_options_init(&options, sizeof options);
    char *messages = member(chat, "messages"), *tools = member(chat, "tools"), *documents = member(chat, "documents"),
         *variables = variables_of(chat);
    json_t *prompt = json_object_get(chat, "add_generation_prompt");
    options.messages_json = messages;
    options.tools_json = tools;
    options.documents_json = documents;
    options.variables_json = variables;
    options.add_generation_prompt = !prompt || json_is_true(prompt);
    options.continue_final_message = json_is_true(json_object_get(chat, "continue_final_message"));
    options.now = json_integer_value(json_object_get(expected, "now"));
    ck_ok(cuddle_chat_template_load(&t, test_path(path), &err));
    size_t length = 0;
    const cuddle_status status = cuddle_chat_template_render(&text, &length, t, NULL, 0, &options, &err);
    if (json_is_null(output)) {
        ck_assert_msg(status != CUDDLE_OK, "%s, %s: gives %s\n  expected a failure: %s", name, chat_name, text,
                      json_string_value(json_object_get(one, "why")));
    } else {
        ck_assert_msg(status == CUDDLE_OK, "%s, %s: failed: %s\n  expected %s", name, chat_name, err.text,
                      json_string_value(output));
        ck_assert_msg(strcmp(text, json_string_value(output)) == 0, "%s, %s:\n  gives    %s\n  expected %s", name, chat_name, text,
                      json_string_value(output));
        ck_assert_uint_eq(length, json_string_length(output));
    }
    cuddle_text_free(text);
    cuddle_chat_template_free(t);
    free(messages);
    free(tools);
    free(documents);
    free(variables);
}
END_TEST

static void same_mask(json_t *one, const char *prefix, const cuddle_rendered_chat *chat, const cuddle_encoding *e)
{
    char key[20];
    const char *name = json_string_value(json_object_get(one, "name"));
    snprintf(key, sizeof key, "%sids", prefix);
    json_t *ids = json_object_get(one, key);
    snprintf(key, sizeof key, "%smask", prefix);
    json_t *want = json_object_get(one, key);
    uint8_t mask[200];
    ck_assert_uint_eq(e->count, json_array_size(ids));
    ck_assert_uint_eq(e->count, json_array_size(want));
    ck_assert_uint_lt(e->count, sizeof mask);
    memset(mask, 7, sizeof mask);
    cuddle_rendered_chat_mask(mask, chat, e);
    for (size_t i = 0; i < e->count; i++) {
        ck_assert_int_eq(e->ids[i], json_integer_value(json_array_get(ids, i)));
        ck_assert_msg(mask[i] == json_integer_value(json_array_get(want, i)), "%s, %s: token %zu of '%s' has %d", name, key, i,
                      chat->text, mask[i]);
    }
    ck_assert_uint_eq(mask[e->count], 7);
}

static void same_ranges(json_t *one, const cuddle_rendered_chat *chat)
{
    json_t *found = json_array();
    for (size_t i = 0; i < chat->assistant_count; i++)
        json_array_append_new(found, json_pack("[i, i]", (int)chat->assistant[i].begin, (int)chat->assistant[i].end));
    char *gives = json_dumps(found, JSON_COMPACT), *want = json_dumps(json_object_get(one, "ranges"), JSON_COMPACT);
    ck_assert_msg(strcmp(gives, want) == 0, "%s: %s\n  gives    %s\n  expected %s", json_string_value(json_object_get(one, "name")),
                  chat->text, gives, want);
    free(gives);
    free(want);
    json_decref(found);
}

/* tests/chat/generation.json: what a template has in {% generation %} blocks, and which tokens that makes, whole and truncated. */
START_TEST(tells_what_the_assistant_said_as_transformers_does)
{
    json_t *root = json_load_file(test_path("chat/generation.json"), 0, NULL), *one;
    char path[600], *saved = json_dumps(json_object_get(root, "tokenizer"), 0);
    size_t i;
    snprintf(path, sizeof path, "%s/tokenizer.json", test_temp_dir());
    test_write_file(path, saved, strlen(saved));
    cuddle_tokenizer *tokenizer;
    ck_ok(cuddle_tokenizer_load(&tokenizer, test_temp_dir(), &err));
    ck_assert_uint_ge(json_array_size(json_object_get(root, "cases")), 80);
    json_array_foreach(json_object_get(root, "cases"), i, one)
    {
        char *messages = member(one, "messages"), *text = NULL;
        cuddle_chat_template *t = parse(json_string_value(json_object_get(one, "template")));
        cuddle_chat_options options;
        cuddle_rendered_chat *chat;
        cuddle_encoding *e;
        cuddle_chat_options_init(&options, sizeof options);
        options.messages_json = messages;
        ck_ok(cuddle_chat_template_render_ranges(&chat, t, NULL, 0, &options, &err));
        ck_assert_str_eq(chat->text, json_string_value(json_object_get(one, "output")));
        ck_assert_uint_eq(chat->length, strlen(chat->text));
        ck_ok(cuddle_chat_template_render(&text, NULL, t, NULL, 0, &options, &err));
        ck_assert_str_eq(chat->text, text);
        same_ranges(one, chat);
        cuddle_tokenize_options cut;
        cuddle_tokenize_options_init(&cut, sizeof cut);
        cut.add_special = CUDDLE_ADD_SPECIAL_OFF;
        cut.truncation = CUDDLE_TRUNCATE_LONGEST_FIRST;
        cut.truncation_side = CUDDLE_SIDE_LEFT;
        for (int shorter = 0; shorter < 2; shorter++) {
            cut.max_length = shorter ? 7 : 1000;
            const cuddle_tokenize_input input = { .text = text, .length = chat->length };
            ck_ok(cuddle_tokenize_with(&e, tokenizer, &input, &cut, &err));
            same_mask(one, shorter ? "cut_" : "", chat, e);
            cuddle_encoding_free(e);
        }
        cuddle_text_free(text);
        cuddle_rendered_chat_free(chat);
        cuddle_chat_template_free(t);
        free(messages);
    }
    cuddle_tokenizer_free(tokenizer);
    free(saved);
    json_decref(root);
}
END_TEST

static const struct {
    const char *template;
    bool continues;
    cuddle_status status;
    const char *sentence;
} no_ranges[] = {
    { "{% generation %}{{ messages[0].content }}{% endgeneration %}", true, CUDDLE_E_ARG,
      "continue_final_message is set and the ranges of what the assistant said are asked for: the last of them would have no end" },
    { "a\n{% generation %}b{{ nope.x }}{% endgeneration %}", false, CUDDLE_E_FORMAT,
      "chat template: line 2, column 26: 'nope' is undefined" },
    { "a\n {% generation %}{{ raise_exception('no') }}{% endgeneration %}", false, CUDDLE_E_FORMAT,
      "chat template: line 2, column 21: the template refuses: no" },
};

START_TEST(ranges_that_cannot_be_told_are_refused)
{
    cuddle_chat_options options;
    cuddle_chat_options_init(&options, sizeof options);
    options.add_generation_prompt = !no_ranges[_i].continues;
    options.continue_final_message = no_ranges[_i].continues;
    cuddle_chat_template *t = parse(no_ranges[_i].template);
    cuddle_rendered_chat *chat = (cuddle_rendered_chat *)1;
    test_expect_failure(cuddle_chat_template_render_ranges(&chat, t, &hello, 1, &options, &err), no_ranges[_i].status, &err);
    ck_assert_str_eq(err.text, no_ranges[_i].sentence);
    ck_assert_ptr_null(chat);
    cuddle_chat_template_free(t);
}
END_TEST

/* The fewest steps with which a rendering succeeds. */
static uint64_t steps_of(const cuddle_chat_template *t, bool ranges)
{
    cuddle_chat_options options;
    cuddle_chat_options_init(&options, sizeof options);
    uint64_t few = 0, enough = 1 << 20;
    while (few + 1 < enough) {
        char *text = NULL;
        cuddle_rendered_chat *chat = NULL;
        options.max_steps = few + (enough - few) / 2;
        const cuddle_status status = ranges ? cuddle_chat_template_render_ranges(&chat, t, &hello, 1, &options, &err)
                                            : cuddle_chat_template_render(&text, NULL, t, &hello, 1, &options, &err);
        ck_assert(status == CUDDLE_OK || status == CUDDLE_E_LIMIT);
        *(status ? &few : &enough) = options.max_steps;
        cuddle_text_free(text);
        cuddle_rendered_chat_free(chat);
    }
    return enough;
}

START_TEST(ranges_take_steps) /* for 32 bytes of a block one to count their characters, and one to find its end */
{
    cuddle_chat_template *t =
        parse("{% set s = 'a' * 3200 %}{% for i in range(50) %}{% generation %}{{ s }}{% endgeneration %}{% endfor %}");
    ck_assert_uint_eq(steps_of(t, true), steps_of(t, false) + 2 * 50 * 100);
    cuddle_chat_template_free(t);
}
END_TEST

/* -------------------------------------------------------------------------------------------------------- messages */

START_TEST(structs_are_what_the_json_would_be)
{
    static const cuddle_tool_call calls[] = { { "f", "{\"a\": [1, 2.5, null]}", "id1" }, { "g", NULL, NULL } };
    static const cuddle_message messages[] = {
        { .role = "system", .content = "S" },
        { .role = "user", .content_json = "[{\"type\": \"text\", \"text\": \"hi\"}]" },
        { .role = "assistant", .reasoning = "hm", .tool_calls = calls, .tool_call_count = 2 },
        { .role = "tool", .content = "42", .tool_call_id = "id1", .name = "f" },
    };
    static const char json[] =
        "[{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"hi\"}]},"
        "{\"role\": \"assistant\", \"reasoning_content\": \"hm\", \"tool_calls\": [{\"id\": \"id1\", \"type\": \"function\", "
        "\"function\": {\"name\": \"f\","
        "\"arguments\": {\"a\": [1, 2.5, null]}}}, {\"type\": \"function\", \"function\": {\"name\": \"g\", \"arguments\": {}}}]},"
        "{\"role\": \"tool\", \"content\": \"42\", \"tool_call_id\": \"id1\", \"name\": \"f\"}]";
    cuddle_chat_template *t = parse("{{ messages }}");
    cuddle_chat_options options;
    cuddle_chat_options_init(&options, sizeof options);
    char *a = NULL, *b = NULL;
    ck_ok(cuddle_chat_template_render(&a, NULL, t, messages, 4, NULL, &err));
    options.messages_json = json;
    ck_ok(cuddle_chat_template_render(&b, NULL, t, NULL, 0, &options, &err));
    ck_assert_str_eq(a, b);
    ck_assert_ptr_nonnull(strstr(a, "'thinking': 'hm'")); /* under gpt-oss's name too */
    ck_assert_ptr_nonnull(strstr(a, "'arguments': {'a': [1, 2.5, None]}"));
    cuddle_text_free(a);
    cuddle_text_free(b);
    cuddle_chat_template_free(t);
}
END_TEST

START_TEST(time_is_what_the_caller_says)
{
    cuddle_chat_options options;
    cuddle_chat_options_init(&options, sizeof options);
    options.now = 1720105569; /* date -u -d @1720105569: Thu Jul  4 15:06:09 UTC 2024 */
    renders("{{ strftime_now('%Y-%m-%d %H:%M') }}", &options, "2024-07-04 15:06");
    options.utc_offset = 9 * 3600;
    renders("{{ strftime_now('%Y-%m-%d %H:%M') }}", &options, "2024-07-05 00:06");
    options.now = -1, options.utc_offset = 0;
    renders("{{ strftime_now('%F %T %A') }}", &options, "1969-12-31 23:59:59 Wednesday");
    options.now = 951782400; /* a leap day */
    renders("{{ strftime_now('%F %j') }}", &options, "2000-02-29 060");
}
END_TEST

static const struct {
    const char *messages, *variables, *tools, *sentence;
    int continues;
} wrong[] = {
    { "[]", NULL, NULL, "messages: there is none, at least one is needed", 0 },
    { "{}", NULL, NULL, "messages: is a dict, expected a list", 0 },
    { "[1]", NULL, NULL, "messages: element 0 is a int, expected an object", 0 },
    { "[{\"role\": \"user\"},\n{\"role\": }]", NULL, NULL, "messages: line 2: expected a JSON value", 0 },
    { "[{\"role\": \"user\"}] x", NULL, NULL, "messages: line 1: something follows the JSON value", 0 },
    { "[\"\xff\"]", NULL, NULL, "messages: line 1: is not UTF-8", 0 },
    { "[\"\\ud800\"]", NULL, NULL, "messages: line 1: \\u with half of a surrogate pair", 0 },
    { "[9223372036854775808]", NULL, NULL, "messages: line 1: an integer that 64 bits cannot hold", 0 },
    { "[01]", NULL, NULL, "messages: line 1: a malformed number", 0 },
    { "[\"a", NULL, NULL, "messages: line 1: a string without an end", 0 },
    { "[", NULL, NULL, "messages: line 1: the JSON ends where a value is expected", 0 },
    { "[{}]", "[]", NULL, "variables: is a list, expected an object", 0 },
    { "[{}]", "{\"tools\": 1}", NULL, "variables: 'tools' has an option of its own", 0 },
    { "[{}]", NULL, "{}", "tools: is a dict, expected a list", 0 },
    { "[{}]", NULL, "[\"f\"]", "tools: element 0 is a string, expected an object", 0 },
    { "[{\"role\": \"user\"}]", NULL, NULL, "continue_final_message: the last message has no content", 1 },
    { "[{\"content\": []}]", NULL, NULL, "continue_final_message: the last message has no text", 1 },
    { "[{\"content\": \"x\", \"hide\": true}]", NULL, NULL,
      "continue_final_message: the last message does not appear as it is in what the template writes", 1 },
};

START_TEST(arguments_that_are_wrong_are_named)
{
    cuddle_chat_template *t = parse("{{ '' if messages[-1].hide else messages[-1].content }}");
    cuddle_chat_options options;
    cuddle_chat_options_init(&options, sizeof options);
    char *text = (char *)1;
    options.messages_json = wrong[_i].messages;
    options.variables_json = wrong[_i].variables;
    options.tools_json = wrong[_i].tools;
    options.continue_final_message = wrong[_i].continues;
    options.add_generation_prompt = !wrong[_i].continues;
    test_expect_failure(cuddle_chat_template_render(&text, NULL, t, NULL, 0, &options, &err), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, wrong[_i].sentence);
    ck_assert_ptr_null(text);
    cuddle_chat_template_free(t);
}
END_TEST

START_TEST(calls_that_are_wrong_are_refused)
{
    cuddle_chat_template *t = NULL, *good = parse("x");
    cuddle_chat_options options;
    static const cuddle_tool_call no_name = { .arguments = "{}" }, bad_json = { "f", "{", NULL };
    const cuddle_message m[] = { { .tool_calls = &no_name, .tool_call_count = 1 },
                                 { .tool_calls = &bad_json, .tool_call_count = 1 },
                                 { .content = "a", .content_json = "[]" },
                                 { .tool_call_count = 1 } };
    char *text = NULL;
    cuddle_chat_options_init(&options, sizeof options);
    test_expect_failure(cuddle_chat_template_parse(NULL, "", 0, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_chat_template_parse(&t, NULL, 1, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_chat_template_load(&t, NULL, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_chat_template_load(&t, "/nonexistent/x.jinja", &err), CUDDLE_E_IO, &err);
    test_expect_failure(cuddle_chat_template_render(NULL, NULL, good, &hello, 1, NULL, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_chat_template_render(&text, NULL, NULL, &hello, 1, NULL, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_chat_template_render(&text, NULL, good, NULL, 1, NULL, &err), CUDDLE_E_ARG, &err);
    cuddle_rendered_chat *chat = NULL;
    test_expect_failure(cuddle_chat_template_render_ranges(NULL, good, &hello, 1, NULL, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_chat_template_render_ranges(&chat, NULL, &hello, 1, NULL, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_chat_template_render_ranges(&chat, good, NULL, 1, NULL, &err), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "cuddle_chat_template_render_ranges: messages is NULL");
    cuddle_rendered_chat_free(NULL);
    for (size_t i = 0; i < 4; i++)
        test_expect_failure(cuddle_chat_template_render(&text, NULL, good, &m[i], 1, NULL, &err), CUDDLE_E_ARG, &err);
    options.continue_final_message = 1;
    test_expect_failure(cuddle_chat_template_render(&text, NULL, good, &hello, 1, &options, &err), CUDDLE_E_ARG, &err);
    cuddle_chat_options_init(&options, sizeof options);
    options.messages_json = "[{}]";
    test_expect_failure(cuddle_chat_template_render(&text, NULL, good, &hello, 1, &options, &err), CUDDLE_E_ARG, &err);
    options.messages_json = NULL;
    options.template_name = "rag";
    test_expect_failure(cuddle_chat_template_render(&text, NULL, good, &hello, 1, &options, &err), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "there is no chat template 'rag'; there are: default");
    options.template_name = NULL;
    options.now = INT64_MAX;
    test_expect_failure(cuddle_chat_template_render(&text, NULL, good, &hello, 1, &options, &err), CUDDLE_E_ARG, &err);
    options.struct_size = 0;
    test_expect_failure(cuddle_chat_template_render(&text, NULL, good, &hello, 1, &options, &err), CUDDLE_E_ARG, &err);
    cuddle_chat_template_free(good);
    cuddle_chat_template_free(NULL);
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- loading */

static char *file_in(const char *folder, const char *name)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *folder, const char *name, const char *text)
{
    test_write_file(file_in(folder, name), text, strlen(text));
}

static const char *fresh(const char *name)
{
    static char path[500];
    snprintf(path, sizeof path, "%s/%s", test_temp_dir(), name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    return path;
}

static void loads(const char *folder, const char *name, const char *tools, const char *want)
{
    cuddle_chat_template *t = NULL;
    cuddle_chat_options options;
    cuddle_chat_options_init(&options, sizeof options);
    char *text = NULL;
    options.template_name = name;
    options.tools_json = tools;
    ck_ok(cuddle_chat_template_load(&t, folder, &err));
    ck_ok(cuddle_chat_template_render(&text, NULL, t, &hello, 1, &options, &err));
    ck_assert_str_eq(text, want);
    cuddle_text_free(text);
    cuddle_chat_template_free(t);
}

START_TEST(templates_are_found_where_checkpoints_have_them)
{
    const char *dir = fresh("places");
    put(dir, "chat_template.json", "{\"chat_template\": \"processor\"}");
    loads(dir, NULL, NULL, "processor");
    put(dir, "tokenizer_config.json",
        "{\"chat_template\": \"config {{ bos_token }}|{{ eos_token }}|{{ pad_token }}\", \"bos_token\": \"<s>\","
        "\"eos_token\": {\"content\": \"</s>\", \"special\": true}, \"pad_token\": null}");
    loads(dir, NULL, NULL, "config <s>|</s>|");
    put(dir, "special_tokens_map.json", "{\"bos_token\": \"<S>\", \"pad_token\": {\"content\": \"<p>\"}}");
    loads(dir, NULL, NULL, "config <S>|</s>|<p>"); /* the configuration does not list added tokens */
    put(dir, "tokenizer_config.json",
        "{\"chat_template\": [{\"name\": \"default\", \"template\": \"d{{ bos_token }}{{ image_token }}\"}, {\"name\": "
        "\"tool_use\", \"template\": \"t\"},"
        "{\"name\": \"rag\", \"template\": \"r\"}], \"bos_token\": \"<s>\", \"added_tokens_decoder\": {}, "
        "\"extra_special_tokens\": {\"image_token\": \"<i>\"}}");
    loads(dir, NULL, NULL, "d<s><i>");
    loads(dir, NULL, "[]", "t");
    loads(dir, "default", "[]", "d<s><i>");
    loads(dir, "rag", NULL, "r");
    put(dir, "chat_template.jinja", "file {{ bos_token }}\n");
    loads(dir, NULL, "[]", "file <s>"); /* files win over the configuration, all of it */
    ck_assert_int_eq(mkdir(file_in(dir, "additional_chat_templates"), 0700), 0);
    put(dir, "additional_chat_templates/tool_use.jinja", "more");
    loads(dir, NULL, "[]", "more");
    loads(dir, NULL, NULL, "file <s>");
    loads(file_in(dir, "additional_chat_templates/tool_use.jinja"), NULL, NULL, "more");
    cuddle_chat_template *t = NULL;
    ck_ok(cuddle_chat_template_load(&t, dir, &err));
    ck_assert_str_eq(cuddle_chat_template_name(t, 0), "default");
    ck_assert_str_eq(cuddle_chat_template_name(t, 1), "tool_use");
    ck_assert_ptr_null(cuddle_chat_template_name(t, 2));
    ck_assert_ptr_null(cuddle_chat_template_name(t, -1));
    cuddle_chat_template_free(t);
}
END_TEST

static void refuses(const char *dir, cuddle_status status, const char *sentence)
{
    cuddle_chat_template *t = (cuddle_chat_template *)1;
    test_expect_failure(cuddle_chat_template_load(&t, dir, &err), status, &err);
    ck_assert_ptr_null(t);
    ck_assert_str_eq(err.text, sentence);
}

START_TEST(checkpoints_with_broken_templates_are_refused)
{
    const char *dir = fresh("broken");
    cuddle_chat_template *t = NULL;
    test_expect_failure(cuddle_chat_template_load(&t, dir, &err), CUDDLE_E_UNSUPPORTED, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "has no chat template"));
    put(dir, "tokenizer_config.json", "{\"chat_template\": 5}");
    refuses(dir, CUDDLE_E_FORMAT, "tokenizer_config.json: \"chat_template\" is 5, expected a template or a list of named ones");
    put(dir, "tokenizer_config.json", "{\"chat_template\": [{\"name\": \"a\"}]}");
    refuses(dir, CUDDLE_E_FORMAT, "tokenizer_config.json: \"chat_template[0].template\" is missing, expected a string");
    put(dir, "tokenizer_config.json",
        "{\"chat_template\": [{\"name\": \"a\", \"template\": \"\"}, {\"name\": \"a\", \"template\": \"\"}]}");
    refuses(dir, CUDDLE_E_FORMAT, "tokenizer_config.json: chat_template 'a': two templates are named 'a'");
    put(dir, "tokenizer_config.json", "{\"chat_template\": [{\"name\": \"a\", \"template\": \"{{\"}]}");
    refuses(
        dir, CUDDLE_E_FORMAT,
        "tokenizer_config.json: chat_template 'a': line 1, column 3: unexpected the end of the template, expected an expression");
    put(dir, "chat_template.jinja", "ok\n{% if x %}");
    refuses(dir, CUDDLE_E_FORMAT, "chat_template.jinja: line 2, column 11: unexpected the end of the template, expected endif");
    put(dir, "chat_template.jinja", "a\xff");
    refuses(dir, CUDDLE_E_FORMAT, "chat_template.jinja: byte 1 is not UTF-8");
}
END_TEST

/* ------------------------------------------------------------------------------------------------------- sentences */

static const struct {
    const char *template;
    cuddle_status status;
    const char *sentence;
} places[] = {
    { "a\n{{ x.y }}", CUDDLE_E_FORMAT, "line 2, column 6: 'x' is undefined" }, /* where it is asked for y */
    { "{{ messages[0].nope.deep }}", CUDDLE_E_FORMAT, "line 1, column 21: a dict has no attribute or key 'nope'" },
    { "{{ [1][5].x }}", CUDDLE_E_FORMAT, "line 1, column 11: a list has no element 5" },
    { "é{{ 1 + 'a' }}", CUDDLE_E_FORMAT, "line 1, column 7: '+' does not work on a int and a string" },
    { "{{ 1 // 0 }}", CUDDLE_E_FORMAT, "line 1, column 6: division by zero" },
    { "{{ 'a'|nope }}", CUDDLE_E_UNSUPPORTED, "line 1, column 8: there is no filter 'nope'" },
    { "{{ 1 is nope }}", CUDDLE_E_UNSUPPORTED, "line 1, column 9: there is no test 'nope'" },
    { "{{ raise_exception('No ' ~ 'way') }}", CUDDLE_E_FORMAT, "line 1, column 4: the template refuses: No way" },
    { "{{ [].append(1) }}", CUDDLE_E_FORMAT, "line 1, column 7: the attribute 'append' of a list is out of reach for templates" },
    { "{{ 9223372036854775807 + 1 }}", CUDDLE_E_LIMIT,
      "line 1, column 24: the result of '+' is an integer that 64 bits cannot hold" },
    { "{{ 2 ** 64 }}", CUDDLE_E_LIMIT, "line 1, column 6: the result of '**' is an integer that 64 bits cannot hold" },
    { "{{ 99999999999999999999 }}", CUDDLE_E_LIMIT, "line 1, column 4: an integer that 64 bits cannot hold" },
    { "{% include 'x' %}", CUDDLE_E_UNSUPPORTED, "line 1, column 4: the statement 'include' is not supported in chat templates" },
    { "{% foo %}", CUDDLE_E_FORMAT, "line 1, column 4: there is no statement 'foo'" },
    { "{% if x %}\n\n{% endfor %}", CUDDLE_E_FORMAT, "line 3, column 4: there is no statement 'endfor'" },
    { "{{ (1 + }}", CUDDLE_E_FORMAT, "line 1, column 9: unexpected '}', expected ')'" },
    { "{{ a b }}", CUDDLE_E_FORMAT, "line 1, column 6: unexpected 'b', expected '}}'" },
    { "{# x", CUDDLE_E_FORMAT, "line 1, column 1: the comment that begins here has no end" },
    { "{{ 'x }}", CUDDLE_E_FORMAT, "line 1, column 4: the string that begins here has no end" },
    { "{{ a $ b }}", CUDDLE_E_FORMAT, "line 1, column 6: unexpected character '$'" },
    { "{% for x in 5 %}{% endfor %}", CUDDLE_E_FORMAT, "line 1, column 13: a int cannot be iterated over" },
    { "{% for a, b in [[1]] %}{% endfor %}", CUDDLE_E_FORMAT, "line 1, column 8: 1 value cannot be unpacked into 2 names" },
    { "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", CUDDLE_E_FORMAT,
      "line 1, column 34: the macro 'm' takes at most 1 argument, 2 are given" },
    { "{{ 'a'.center() }}", CUDDLE_E_FORMAT, "line 1, column 8: 'center' needs its argument 'width'" },
    { "{{ 'a'|upper(1) }}", CUDDLE_E_FORMAT, "line 1, column 8: 'upper' takes at most 0 arguments, 1 are given" },
    { "{{ range(10 ** 12) }}", CUDDLE_E_LIMIT, "line 1, column 4: 'range' of 1000000000000 integers, at most 100000" },
    { "{{ nope|tojson }}", CUDDLE_E_FORMAT, "line 1, column 9: tojson: an undefined value is not JSON serializable" },
};

START_TEST(failures_name_their_place)
{
    cuddle_chat_template *t = NULL;
    char *text = NULL, want[300];
    cuddle_status status = cuddle_chat_template_parse(&t, places[_i].template, strlen(places[_i].template), &err);
    if (!status) status = cuddle_chat_template_render(&text, NULL, t, &hello, 1, NULL, &err);
    snprintf(want, sizeof want, "chat template: %s", places[_i].sentence);
    ck_assert_str_eq(err.text, want);
    ck_assert_int_eq(status, places[_i].status);
    ck_assert_ptr_null(text);
    cuddle_chat_template_free(t);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------- limits */

static const struct {
    const char *template, *part;
} hostile[] = {
    { "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "steps" },
    { "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested deeper than" },
    { "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}", "nested deeper than" },
    { "{% macro m() %}{{ m()|upper }}{{ m() }}{% endmacro %}{{ m() }}", "nested deeper than" },
    { "{% for x in [[1]] recursive %}{{ loop([x]) }}{% endfor %}", "nested deeper than" },
    { "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "" },
    { "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "" },
    { "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}", "" },
    { "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
      "nested deeper than" },
    { "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l|tojson }}",
      "nested deeper than" },
    { "{% set ns = namespace(l=[], m=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% set ns.m = [ns.m] %}{% endfor %}{{ "
      "ns.l == ns.m }}",
      "nested deeper than" },
    { "{% set ns = namespace(l=[], m=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% set ns.m = [ns.m] %}{% endfor %}{{ "
      "ns.l < ns.m }}",
      "nested deeper than" },
    { "{% set ns = namespace(l=()) %}{% for i in range(9999) %}{% set ns.l = (ns.l,) %}{% endfor %}{{ {ns.l: 1} }}",
      "nested deeper than" },
    { "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}", "nested deeper than" },
    { "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}", "" },
    { "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l == ns.l[:] }}",
      "steps" },
    { "{{ 'x' * 10 ** 12 }}", "memory" },
    { "{{ 'x' * 9223372036854775807 }}", "" },
    { "{{ [1] * 10 ** 15 }}", "" },
    { "{{ 'x'|center(10 ** 12) }}", "memory" },
    { "{{ 'x'.ljust(10 ** 12) }}", "memory" },
    { "{{ 'x'.zfill(10 ** 12) }}", "memory" },
    { "{{ '\\t'.expandtabs(10 ** 12) }}", "memory" },
    { "{{ '%1000000000d' % 1 }}", "width" },
    { "{{ '%*d' % (10 ** 12, 1) }}", "width" },
    { "{{ '{:1000000000}'.format(1) }}", "width" },
    { "{{ '{:.1000f}'.format(1.0) }}", "precision" },
    { "{{ 'a\nb'|indent(10 ** 12) }}", "memory" },
    { "{{ [[1]]|tojson(indent=10 ** 12) }}", "memory" },
    { "{{ range(100000)|batch(1, 1)|list|length }}{{ [1]|batch(10 ** 12, 'x')|list }}", "" },
    { "{{ [1]|slice(10 ** 12)|list }}", "" },
    { "{% for i in range(100000) %}{{ 'x' * 10000 }}{% endfor %}", "" },
    { "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{{ s.rfind('b' ~ s[:500000]) }}{% endfor %}", "steps" },
    { "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{{ s.strip('b' * 100000) }}{% endfor %}", "" },
    { "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{% if 'b' in s %}{% endif %}{% endfor %}", "steps" },
    { "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{% if s.upper() %}{% endif %}{% endfor %}", "" },
    { "{% set s = ('a,' * 1000000).split(',') %}{% for i in range(1000) %}{% set t = s|sort %}{% endfor %}", "" },
    { "{% set a = range(100000)|list %}{% for i in a %}{% if -1 in a %}{% endif %}{% endfor %}", "steps" },
    { "{% for a in range(100000) %}{% for b in range(100000) if false %}{% endfor %}{% endfor %}", "" },
    { "{{ ('a' * 1000000).replace('', 'b' * 1000000) }}", "" },
    { "{{ ('a' * 100000).replace('a', 'b' * 100000) }}", "" },
    { "{{ 'ab'.join(['c' * 1000000] * 1000000) }}", "" },
    { "{% filter upper %}{% for i in range(100000) %}{{ 'x' * 100000 }}{% endfor %}{% endfilter %}", "" },
    { "{% macro m(x) %}{{ caller() }}{% endmacro %}{% macro r() %}{% call m(1) %}{{ r() }}{% endcall %}{% endmacro %}{{ r() }}",
      "nested deeper than" },
    { "{% set ns = namespace(f='{0}') %}{% for i in range(64) %}{% set ns.f = ns.f.format(ns.f ~ ns.f) %}{% endfor %}", "" },
    { "{{ ('%s' * 100000) % (('x' * 100000,) * 100000) }}", "" },
};

/* Whatever a template tries, it ends soon and takes no more than it may. */
START_TEST(hostile_templates_meet_a_limit)
{
    char *text = (char *)1;
    cuddle_chat_options options;
    cuddle_chat_options_init(&options, sizeof options);
    options.max_steps = 3000000;
    options.max_memory = 64 << 20;
    options.max_output = 16 << 20;
    test_expect_failure(render_with(&text, hostile[_i].template, &options), CUDDLE_E_LIMIT, &err);
    ck_assert_msg(strstr(err.text, hostile[_i].part) != NULL, "%s: %s", hostile[_i].template, err.text);
    ck_assert_ptr_null(text);
}
END_TEST

static char *repeated(const char *begin, const char *part, int times, const char *end)
{
    char *text = malloc(strlen(begin) + strlen(part) * (size_t)times + strlen(end) + 1);
    ck_assert_ptr_nonnull(text);
    strcpy(text, begin);
    char *at = text + strlen(text);
    for (int i = 0; i < times; i++) at = stpcpy(at, part);
    strcpy(at, end);
    return text;
}

static const struct {
    const char *begin, *part, *end;
} deep[] = {
    { "{{ ", "(", "1" },
    { "{{ ", "[", "1" },
    { "{{ ", "{1:", "1" },
    { "{{ ", "-", "1 }}" },
    { "{{ ", "not ", "1 }}" },
    { "", "{% if 1 %}", "" },
    { "{{ 1", "+1", " }}" },
    { "{{ 1", "|abs", " }}" },
    { "{{ a", ".b", " }}" },
    { "{{ a", "[0]", " }}" },
    { "{{ ", "f(", "1" },
    { "{{ 1", " if 1 else 1", " }}" },
    { "{% set ", "(", "a" },
    { "{{ 1", " and 1", " }}" },
    { "", "{% for x in y %}", "" },
    { "", "{% macro m() %}", "" },
    { "{{ ", "1 if ", "1 }}" },
    { "{{ 1 is eq ", "[", "1" },
    { "", "{% filter upper %}", "" },
    { "{{ 'x'", "()", " }}" },
};

/* A parser and an evaluator that call themselves must stop before the stack ends. */
START_TEST(deep_templates_meet_a_limit)
{
    char *text = repeated(deep[_i].begin, deep[_i].part, 20000, deep[_i].end), *out = NULL;
    cuddle_chat_template *t = NULL;
    cuddle_status status = cuddle_chat_template_parse(&t, text, strlen(text), &err);
    if (!status) status = cuddle_chat_template_render(&out, NULL, t, &hello, 1, NULL, &err);
    test_expect_failure(status, CUDDLE_E_LIMIT, &err);
    cuddle_chat_template_free(t);
    free(text);
}
END_TEST

START_TEST(what_is_long_but_flat_is_fine)
{
    cuddle_chat_options options;
    cuddle_chat_options_init(&options, sizeof options);
    char *text = repeated("{% if x %}", "{% elif y %}", 5000, "{% else %}ok{% endif %}");
    renders(text, NULL, "ok");
    free(text);
    text = repeated("{{ 'a'", " ~ 'b'", 20000, " }}");
    cuddle_text_free(NULL);
    char *out = NULL;
    ck_ok(render_with(&out, text, NULL));
    ck_assert_uint_eq(strlen(out), 20001);
    cuddle_text_free(out);
    free(text);
    /* A text built piece by piece costs what it is long, not its square. */
    options.max_memory = 8 << 20;
    ck_ok(render_with(&out,
                      "{% set ns = namespace(s='') %}{% for i in range(50000) %}{% set ns.s = ns.s ~ 'twenty characters in' %}{% "
                      "endfor %}{{ ns.s|length }}",
                      &options));
    ck_assert_str_eq(out, "1000000");
    cuddle_text_free(out);
}
END_TEST

START_TEST(limits_are_exact_about_output)
{
    cuddle_chat_options options;
    cuddle_chat_options_init(&options, sizeof options);
    options.max_output = 10;
    renders("0123456789", &options, "0123456789");
    char *text = NULL;
    test_expect_failure(render_with(&text, "01234567890", &options), CUDDLE_E_LIMIT, &err);
    ck_assert_str_eq(err.text, "chat template: line 1, column 1: the text is longer than 10 bytes");
}
END_TEST

/* ------------------------------------------------------------------------------------------------ memory and threads */

START_TEST(every_failing_allocation_is_an_error)
{
    static const char template[] =
        "{% macro m(a, b=2) %}{{ a|tojson(indent=1) }}{{ caller() }}{% endmacro %}{% for x in messages|sort(attribute='role') %}"
        "{% call m({'k': [x, 1.5, ('a',)]}) %}{% set y %}{{ x.content|upper ~ '%s' % 5 }}{% endset %}{{ y.split('L')|join(',') "
        "}}{% endcall %}{% generation %}{{ x.role }}{% endgeneration %}{% endfor %}";
    char big[40000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    const cuddle_message messages[] = { hello, { .role = "assistant", .content = big } };
    for (int all = 0; all < 2; all++) {
        bool done = false;
        for (long n = 1; !done && n < 200; n++) {
            cuddle_chat_template *t = NULL;
            char *text = NULL;
            cuddle_rendered_chat *chat = NULL;
            test_fail_allocation(n, all);
            cuddle_status status = cuddle_chat_template_parse(&t, template, sizeof template - 1, &err);
            if (!status) status = cuddle_chat_template_render(&text, NULL, t, messages, 2, NULL, &err);
            if (!status) status = cuddle_chat_template_render_ranges(&chat, t, messages, 2, NULL, &err);
            test_fail_allocation(0, false);
            done = status == CUDDLE_OK;
            if (!done) test_expect_failure(status, CUDDLE_E_NOMEM, &err);
            ck_assert(!done || text);
            ck_assert_int_eq(done, chat != NULL);
            cuddle_rendered_chat_free(chat);
            cuddle_text_free(text);
            cuddle_chat_template_free(t);
        }
        ck_assert(done);
    }
}
END_TEST

static void *render_often(void *shared)
{
    for (int i = 0; i < 50; i++) {
        char *text = NULL;
        if (cuddle_chat_template_render(&text, NULL, shared, &hello, 1, NULL, NULL) || strcmp(text, "HELLO1HELLO2") != 0)
            return shared;
        cuddle_text_free(text);
    }
    return NULL;
}

START_TEST(threads_share_a_template)
{
    cuddle_chat_template *t =
        parse("{% set c = cycler(1, 2) %}{% for i in range(2) %}{{ messages[0].content|upper }}{{ c.next() }}{% endfor %}");
    pthread_t thread[4];
    for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&thread[i], NULL, render_often, t), 0);
    for (int i = 0; i < 4; i++) {
        void *failed = NULL;
        pthread_join(thread[i], &failed);
        ck_assert_ptr_null(failed);
    }
    cuddle_chat_template_free(t);
}
END_TEST

#define COUNT(rows) (int)(sizeof rows / sizeof *rows)

int main(void)
{
    expected = json_load_file(test_path("chat/expected.json"), 0, NULL);
    chats = json_load_file(test_path("chat/conversations.json"), 0, NULL);
    cases = json_object_get(expected, "cases");
    if (!cases || !chats) return EXIT_FAILURE;
    Suite *suite = suite_create("chat templates");
    TCase *tc = tcase_create("transformers");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, writes_what_transformers_writes, 0, (int)json_array_size(cases));
    tcase_add_test(tc, tells_what_the_assistant_said_as_transformers_does);
    suite_add_tcase(suite, tc);
    tc = tcase_create("arguments");
    tcase_add_loop_test(tc, ranges_that_cannot_be_told_are_refused, 0, COUNT(no_ranges));
    tcase_add_test(tc, structs_are_what_the_json_would_be);
    tcase_add_test(tc, time_is_what_the_caller_says);
    tcase_add_loop_test(tc, arguments_that_are_wrong_are_named, 0, COUNT(wrong));
    tcase_add_test(tc, calls_that_are_wrong_are_refused);
    suite_add_tcase(suite, tc);
    tc = tcase_create("loading");
    tcase_add_test(tc, templates_are_found_where_checkpoints_have_them);
    tcase_add_test(tc, checkpoints_with_broken_templates_are_refused);
    suite_add_tcase(suite, tc);
    tc = tcase_create("sentences");
    tcase_add_loop_test(tc, failures_name_their_place, 0, COUNT(places));
    suite_add_tcase(suite, tc);
    tc = tcase_create("limits");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, hostile_templates_meet_a_limit, 0, COUNT(hostile));
    tcase_add_loop_test(tc, deep_templates_meet_a_limit, 0, COUNT(deep));
    tcase_add_test(tc, what_is_long_but_flat_is_fine);
    tcase_add_test(tc, limits_are_exact_about_output);
    tcase_add_test(tc, ranges_take_steps);
    suite_add_tcase(suite, tc);
    tc = tcase_create("memory");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, every_failing_allocation_is_an_error);
    suite_add_tcase(suite, tc);
    tc = tcase_create("threads");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, threads_share_a_template);
    suite_add_tcase(suite, tc);
    const int result = test_run(suite);
    json_decref(expected);
    json_decref(chats);
    return result;
}
