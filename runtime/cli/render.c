/* cuddle render: messages through a checkpoint's chat template. */
#include <stdlib.h>
#include <string.h>

#include "cli/input.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/template.h"
#include "cli/verbs.h"
#include "cuddle.h"

typedef struct render_options {
    const char *tools, *documents;
    int no_generation_prompt, continues, tokens, ranges;
} render_options;
static const option_row render_rows[] = {
    { "tools", OPTION_STRING, offsetof(render_options, tools), 0, 0, "FILE", "a JSON list of tools, as functions in JSON schema" },
    { "documents", OPTION_STRING, offsetof(render_options, documents), 0, 0, "FILE",
      "a JSON list of documents, for templates that know them" },
    { "no-generation-prompt", OPTION_FLAG, offsetof(render_options, no_generation_prompt), 0, 0, "",
      "do not end with what begins the assistant's answer" },
    { "continue", OPTION_FLAG, offsetof(render_options, continues), 0, 0, "",
      "end within the last message, for the model to go on with it" },
    { "tokens", OPTION_FLAG, offsetof(render_options, tokens), 0, 0, "",
      "print token ids; no special tokens are added to those the template writes" },
    { "generation-ranges", OPTION_FLAG, offsetof(render_options, ranges), 0, 0, "",
      "print JSON: the text, and what of it the assistant said (the template's generation blocks) as [begin, end) in bytes; with "
      "--tokens also the ids, and a mask that has 1 for those the assistant said" },
    { 0 },
};

/* The text of the file that an option names, if it was given. */
static int read_option(input *in, const command *c, const char *path, const char *name, const char **out)
{
    if (!path) return 0;
    const int code = input_read_file(in, c, path, name);
    if (code) return code;
    if (strlen(in->text) != in->length) {
        say("%s: holds a NUL byte", path);
        return EXIT_FAILED;
    }
    *out = in->text;
    return 0;
}

static int tokenize(cuddle_encoding **out, const cuddle_tokenizer *tokenizer, const char *text, size_t length)
{
    cuddle_error err;
    return cuddle_tokenize(out, tokenizer, text, length, CUDDLE_TOKENIZE_NO_SPECIAL, &err) ? say_error(&err) : 0;
}

static int print_tokens(const cuddle_tokenizer *tokenizer, const char *text, size_t length)
{
    cuddle_encoding *e = NULL;
    const int code = tokenize(&e, tokenizer, text, length);
    for (size_t i = 0; !code && i < e->count; i++) out_printf("%s%d", i ? " " : "", (int)e->ids[i]);
    if (!code) out_printf("\n");
    cuddle_encoding_free(e);
    return code;
}

static int put_tokens(json_t *object, const cuddle_tokenizer *tokenizer, const cuddle_rendered_chat *chat)
{
    cuddle_encoding *e = NULL;
    const int code = tokenize(&e, tokenizer, chat->text, chat->length);
    if (code) return code;
    uint8_t *bits = malloc(e->count + 1);
    json_t *mask = json_array();
    if (!bits) {
        say("out of memory: %zu bytes for a mask", e->count + 1);
        cuddle_encoding_free(e);
        json_decref(mask);
        return EXIT_FAILED;
    }
    cuddle_rendered_chat_mask(bits, chat, e);
    for (size_t i = 0; i < e->count; i++) js_add(mask, json_integer(bits[i]));
    js_put(object, "tokens", js_ids(e->ids, e->count));
    js_put(object, "assistant_mask", mask);
    free(bits);
    cuddle_encoding_free(e);
    return 0;
}

/* `tokenizer`: NULL if no tokens are wanted. */
static int print_ranges(const cuddle_chat_template *t, const cuddle_chat_options *options, const cuddle_tokenizer *tokenizer)
{
    cuddle_error err;
    cuddle_rendered_chat *chat;
    if (cuddle_chat_template_render_ranges(&chat, t, NULL, 0, options, &err) != CUDDLE_OK) return say_error(&err);
    json_t *object = json_object(), *ranges = json_array();
    for (size_t i = 0; i < chat->assistant_count; i++) {
        json_t *range = json_array();
        js_add(range, js_bytes(chat->assistant[i].begin));
        js_add(range, js_bytes(chat->assistant[i].end));
        js_add(ranges, range);
    }
    js_put(object, "text", js_text(chat->text, chat->length));
    js_put(object, "generation_ranges", ranges);
    const int code = tokenizer ? put_tokens(object, tokenizer, chat) : 0;
    if (code)
        json_decref(object);
    else
        out_json(object);
    cuddle_rendered_chat_free(chat);
    return code;
}

static int print_text(const cuddle_chat_template *t, const cuddle_chat_options *options, const cuddle_tokenizer *tokenizer)
{
    cuddle_error err;
    char *text = NULL;
    size_t length = 0;
    int code = 0;
    if (cuddle_chat_template_render(&text, &length, t, NULL, 0, options, &err) != CUDDLE_OK) return say_error(&err);
    if (tokenizer) {
        code = print_tokens(tokenizer, text, length);
    } else {
        out_text(text, length);
        if (out_is_terminal()) out_printf("\n");
    }
    cuddle_text_free(text);
    return code;
}

static int render(const command *c, const char *model, const render_options *own, const template_options *template, cuddle_chat_options *options)
{
    cuddle_error err;
    cuddle_chat_template *t = NULL;
    cuddle_tokenizer *tokenizer = NULL;
    char *variables = NULL;
    const int file = template_is_file(template);
    int code = template_load(&t, options, template, model);
    if (!code && (own->tokens || file) && cuddle_tokenizer_load(&tokenizer, model, &err) != CUDDLE_OK) code = say_error(&err);
    if (!code) code = template_variables(&variables, c, template, file ? tokenizer : NULL);
    options->variables_json = variables;
    if (!code) code = (own->ranges ? print_ranges : print_text)(t, options, own->tokens ? tokenizer : NULL);
    free(variables);
    cuddle_tokenizer_free(tokenizer);
    cuddle_chat_template_free(t);
    return code;
}

int verb_render(int argc, char **argv)
{
    render_options own = { 0 };
    template_options template = { 0 };
    const option_group groups[] = { { "options", render_rows, &own }, { "chat template", template_rows, &template }, { 0 } };
    const command c = { "render",
                        "MODEL [MESSAGES]",
                        "Prints the text that a chat becomes, exactly as a model will see it.",
                        "MODEL is a directory with a chat template, weights or not, or a .jinja file. MESSAGES is a file with a "
                        "JSON list of messages, "
                        "[{\"role\": \"user\", \"content\": \"...\"}, ...]; standard input if it is '-' or absent.",
                        1,
                        2,
                        groups };
    const char *positional[POSITIONAL_MOST];
    int code;
    if (!options_parse(&c, argc, argv, positional, &code)) return code;

    input messages = { 0 }, tools = { 0 }, documents = { 0 };
    cuddle_chat_options options;
    cuddle_chat_options_init(&options, sizeof options);
    options.add_generation_prompt = !own.no_generation_prompt && !own.continues;
    options.continue_final_message = own.continues;
    code = read_option(&tools, &c, own.tools, "tools", &options.tools_json);
    if (!code) code = read_option(&documents, &c, own.documents, "documents", &options.documents_json);
    if (!code) code = input_read_file(&messages, &c, positional[1], "MESSAGES");
    options.messages_json = messages.text;
    if (!code && strlen(messages.text) != messages.length) {
        say("MESSAGES hold a NUL byte");
        code = EXIT_FAILED;
    }
    if (!code) code = render(&c, positional[0], &own, &template, &options);
    input_free(&messages);
    input_free(&tools);
    input_free(&documents);
    return out_end(code);
}
