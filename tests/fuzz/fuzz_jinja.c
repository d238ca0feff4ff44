/* A Jinja template of any bytes; behind a NUL a JSON object of further variables. What compiles is rendered twice under small
 * limits: the results are the same, UTF-8 and within the limit, or the same failure. */
#include "core/status.h"
#include "text/unicode.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

static const char messages[] = "[{\"role\": \"system\", \"content\": \"Be brief.\"}, {\"role\": \"user\", \"content\": [{\"type\": "
                               "\"text\", \"text\": \"H\\u00e9llo \\ud83e\\udd17\"}]},"
                               "{\"role\": \"assistant\", \"content\": \" x </think> y\\n\", \"reasoning\": \"r\", \"tool_calls\": "
                               "[{\"id\": \"1\", \"type\": \"function\", \"function\":"
                               "{\"name\": \"f\", \"arguments\": {\"a\": 1, \"b\": [true, null, 2.5]}}}]}, {\"role\": \"tool\", "
                               "\"content\": \"42\", \"tool_call_id\": \"1\"}]";
static const char tools[] = "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"d\", \"parameters\": "
                            "{\"type\": \"object\", \"properties\":"
                            "{\"a\": {\"type\": \"integer\"}}, \"required\": [\"a\"]}}}]";

/* Asking for ranges changes nothing else, but for the steps that they take. */
static void check_ranges(const cuddle_chat_template *t, const cuddle_chat_options *options, const char *text, size_t bytes)
{
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_rendered_chat *chat;
    const cuddle_status status = cuddle_chat_template_render_ranges(&chat, t, NULL, 0, options, &err);
    require(status == err.status && (status == CUDDLE_OK) == (chat != NULL));
    require(!options->continue_final_message || status == CUDDLE_E_ARG);
    if (!chat) return;
    require(text && chat->length == bytes && memcmp(chat->text, text, bytes + 1) == 0);
    for (size_t i = 0; i < chat->assistant_count; i++) {
        const cuddle_text_range r = chat->assistant[i];
        require(r.begin <= r.end && r.end <= bytes && cud_utf8_valid(text, r.begin) == r.begin &&
                cud_utf8_valid(text, r.end) == r.end);
    }
    cuddle_rendered_chat_free(chat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *template = (const char *)data, *end = size ? memchr(data, 0, size) : NULL;
    const size_t length = end ? (size_t)(end - template) : size;
    char *variables = end ? strndup(end + 1, size - length - 1) : NULL;
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_chat_template *t = NULL;
    cuddle_chat_options options;
    cuddle_chat_options_init(&options, sizeof options);
    options.messages_json = messages;
    options.tools_json = tools;
    options.variables_json = variables;
    options.now = 1720105569;
    options.max_steps = 20000;
    options.max_memory = 2 << 20;
    options.max_output = 1 << 16;
    cuddle_status status = cuddle_chat_template_parse(&t, template, length, &err);
    require(status == err.status && (status == CUDDLE_OK) == (t != NULL));
    for (int last = 0; t && last < 2; last++) {
        char *text = NULL, *again = NULL;
        size_t bytes = 0, more = 0;
        cuddle_error second = { CUDDLE_OK, "" };
        options.continue_final_message = last;
        options.add_generation_prompt = !last;
        status = cuddle_chat_template_render(&text, &bytes, t, NULL, 0, &options, &err);
        require(status == err.status && (status == CUDDLE_OK) == (text != NULL));
        require(cuddle_chat_template_render(&again, &more, t, NULL, 0, &options, &second) == status && more == bytes);
        require(strcmp(err.text, second.text) == 0 && status != CUDDLE_E_INTERNAL && status != CUDDLE_E_NOMEM);
        if (text)
            require(bytes <= options.max_output && text[bytes] == 0 && memcmp(text, again, bytes) == 0 &&
                    cud_utf8_valid(text, bytes) == bytes);
        check_ranges(t, &options, text, bytes);
        cuddle_text_free(text);
        cuddle_text_free(again);
    }
    cuddle_chat_template_free(t);
    free(variables);
    return 0;
}
