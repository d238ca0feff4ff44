/* The Jinja engine against Jinja2: tests/chat/features.json, one construct a case, with what Jinja2 gives as transformers
 * configures it. null is where Jinja2 raises: then we must fail too, with a place. */
#include "support.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;
static json_t *root, *cases;
static char *variables;
static int64_t now;

static cuddle_status render(char **text, const char *template, size_t length)
{
    static const cuddle_message message = { .role = "user", .content = "hello" };
    cuddle_chat_template *t = NULL;
    cuddle_chat_options options;
    cuddle_chat_options_init(&options, sizeof options);
    options.variables_json = variables;
    options.now = now;
    cuddle_status status = cuddle_chat_template_parse(&t, template, length, &err);
    *text = NULL;
    if (!status) status = cuddle_chat_template_render(text, NULL, t, &message, 1, &options, &err);
    cuddle_chat_template_free(t);
    return status;
}

START_TEST(gives_what_jinja2_gives)
{
    const json_t *one = json_array_get(cases, (size_t)_i), *template = json_object_get(one, "template"),
                 *output = json_object_get(one, "output");
    char *text;
    const cuddle_status status = render(&text, json_string_value(template), json_string_length(template));
    if (json_is_null(output)) {
        ck_assert_msg(status != CUDDLE_OK, "%s\n  gives    %s\n  expected a failure: %s", json_string_value(template), text,
                      json_string_value(json_object_get(one, "why")));
        if (status)
            ck_assert_msg(strstr(err.text, "chat template: line ") != NULL, "%s: no place in: %s", json_string_value(template),
                          err.text);
    } else if (status) {
        ck_abort_msg("%s\n  failed   %s\n  expected %s", json_string_value(template), err.text, json_string_value(output));
    } else {
        ck_assert_msg(strcmp(text, json_string_value(output)) == 0, "%s\n  gives    %s\n  expected %s", json_string_value(template),
                      text, json_string_value(output));
    }
    cuddle_text_free(text);
}
END_TEST

int main(void)
{
    root = json_load_file(test_path("chat/features.json"), 0, NULL);
    cases = json_object_get(root, "cases");
    now = json_integer_value(json_object_get(root, "now"));
    variables = json_dumps(json_object_get(root, "variables"), 0);
    if (!cases || !variables) return EXIT_FAILURE;
    Suite *suite = suite_create("jinja");
    TCase *tc = tcase_create("features");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, gives_what_jinja2_gives, 0, (int)json_array_size(cases));
    suite_add_tcase(suite, tc);
    const int result = test_run(suite);
    free(variables);
    json_decref(root);
    return result;
}
