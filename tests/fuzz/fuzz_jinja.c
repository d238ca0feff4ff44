/* A Jinja template of any bytes; behind a NUL a JSON object of further variables, behind another the limits and the time. What compiles is
 * rendered under small limits, twice: the results are the same, UTF-8 and within the limit, or the same failure. */
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

/* Two bytes each of memory, steps and output, 0 being the usual, then four of time. A limit can be hit wherever something is made or done. */
static void choose_limits(cuddle_chat_options *options, const uint8_t *byte, size_t size)
{
    uint32_t value[5] = { 0 };
    for (size_t i = 0; i < size && i < 10; i++) value[i / 2] |= (uint32_t)byte[i] << 8 * (i % 2);
    options->max_memory = value[0] ? value[0] * 16 : 2 << 20;
    options->max_steps = value[1] ? value[1] : 20000;
    options->max_output = value[2] ? value[2] : 1 << 16;
    options->now = size > 6 ? (int64_t)(int32_t)(value[3] | value[4] << 16) * 64 : 1720105569; /* thousands of years around now */
}

/* Asking for ranges changes nothing of what can be rendered, but for the steps and the memory that they take. */
static void check_ranges(const cuddle_chat_template *t, const cuddle_chat_options *options, const char *text, size_t bytes)
{
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_rendered_chat *chat;
    cuddle_chat_options roomy = *options;
    roomy.max_steps = 1 << 24;
    roomy.max_memory = 64 << 20;
    const cuddle_status status = cuddle_chat_template_render_ranges(&chat, t, NULL, 0, &roomy, &err);
    require(status == (options->continue_final_message ? CUDDLE_E_ARG : CUDDLE_OK) && (status == CUDDLE_OK) == (chat != NULL));
    if (!chat) return;
    require(chat->length == bytes && memcmp(chat->text, text, bytes + 1) == 0);
    for (size_t i = 0; i < chat->assistant_count; i++) {
        const cuddle_text_range r = chat->assistant[i];
        require(r.begin <= r.end && r.end <= bytes && cud_utf8_valid(text, r.begin) == r.begin && cud_utf8_valid(text, r.end) == r.end);
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
    options.variables_json = variables && *variables ? variables : NULL;
    const size_t more = variables ? length + 1 + strlen(variables) + 1 : size;
    choose_limits(&options, data + more, more < size ? size - more : 0);
    cuddle_status status = cuddle_chat_template_parse(&t, template, length, &err);
    require(status == err.status && (status == CUDDLE_OK) == (t != NULL));
    for (int last = 0; t && last < 2; last++) {
        char *text = NULL, *again = NULL;
        size_t bytes = 0, bytes_again = 0;
        cuddle_error second = { CUDDLE_OK, "" };
        options.continue_final_message = last;
        options.add_generation_prompt = !last;
        status = cuddle_chat_template_render(&text, &bytes, t, NULL, 0, &options, &err);
        require(status == err.status && (status == CUDDLE_OK) == (text != NULL));
        require(status != CUDDLE_E_INTERNAL && status != CUDDLE_E_NOMEM);
        if (text) require(bytes <= options.max_output && text[bytes] == 0 && cud_utf8_valid(text, bytes) == bytes);
        if (!last) {
            require(cuddle_chat_template_render(&again, &bytes_again, t, NULL, 0, &options, &second) == status && bytes_again == bytes);
            require(strcmp(err.text, second.text) == 0 && (!text || memcmp(text, again, bytes) == 0));
        }
        if (text && !last) check_ranges(t, &options, text, bytes);
        cuddle_text_free(text);
        cuddle_text_free(again);
    }
    cuddle_chat_template_free(t);
    free(variables);
    return 0;
}
