/* cuddle render: messages through a checkpoint's chat template. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/input.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/variables.h"
#include "cli/verbs.h"
#include "cuddle.h"

typedef struct render_options {
    const char *tools, *documents, *template;
    option_strings set;
    int no_generation_prompt, continues, tokens;
    int64_t now;
} render_options;
static const option_row render_rows[] = {
    { "tools", OPTION_STRING, offsetof(render_options, tools), 0, 0, "FILE", "a JSON list of tools, as functions in JSON schema" },
    { "documents", OPTION_STRING, offsetof(render_options, documents), 0, 0, "FILE",
      "a JSON list of documents, for templates that know them" },
    { "set", OPTION_STRINGS, offsetof(render_options, set), 0, 0, "NAME=VALUE",
      "a further variable, as enable_thinking=false; VALUE is JSON, or else text" },
    { "template", OPTION_STRING, offsetof(render_options, template), 0, 0, "NAME",
      "which of the checkpoint's templates; else \"tool_use\" where there are tools and one of that name, else \"default\"" },
    { "no-generation-prompt", OPTION_FLAG, offsetof(render_options, no_generation_prompt), 0, 0, "",
      "do not end with what begins the assistant's answer" },
    { "continue", OPTION_FLAG, offsetof(render_options, continues), 0, 0, "",
      "end within the last message, for the model to go on with it" },
    { "tokens", OPTION_FLAG, offsetof(render_options, tokens), 0, 0, "",
      "print token ids; no special tokens are added to those the template writes" },
    { "now", OPTION_INT64, offsetof(render_options, now), 0, 253402300799.0, "SECONDS",
      "the time that templates see, in seconds since 1970; 0: the clock" },
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

static int print_tokens(const char *model, const char *text, size_t length)
{
    cuddle_error err;
    cuddle_tokenizer *tokenizer = NULL;
    cuddle_encoding *e = NULL;
    int code = 0;
    if (cuddle_tokenizer_load(&tokenizer, model, &err) != CUDDLE_OK ||
        cuddle_tokenize(&e, tokenizer, text, length, CUDDLE_TOKENIZE_NO_SPECIAL, &err) != CUDDLE_OK)
        code = say_error(&err);
    for (size_t i = 0; !code && i < e->count; i++) out_printf("%s%d", i ? " " : "", (int)e->ids[i]);
    if (!code) out_printf("\n");
    cuddle_encoding_free(e);
    cuddle_tokenizer_free(tokenizer);
    return code;
}

static int render(const char *model, const render_options *own, cuddle_chat_options *options)
{
    cuddle_error err;
    cuddle_chat_template *t = NULL;
    char *text = NULL;
    size_t length = 0;
    int code = 0;
    if (cuddle_chat_template_load(&t, model, &err) != CUDDLE_OK ||
        cuddle_chat_template_render(&text, &length, t, NULL, 0, options, &err) != CUDDLE_OK)
        code = say_error(&err);
    else if (own->tokens)
        code = print_tokens(model, text, length);
    else
        out_text(text, length);
    if (!code && !own->tokens && out_is_terminal()) out_printf("\n");
    cuddle_text_free(text);
    cuddle_chat_template_free(t);
    return code;
}

int verb_render(int argc, char **argv)
{
    render_options own = { 0 };
    const option_group groups[] = { { "options", render_rows, &own }, { 0 } };
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
    char *set = NULL;
    cuddle_chat_options_init(&options, sizeof options);
    options.add_generation_prompt = !own.no_generation_prompt && !own.continues;
    options.continue_final_message = own.continues;
    options.now = own.now;
    const time_t now = own.now ? (time_t)own.now : time(NULL);
    struct tm local;
    if (!own.now && localtime_r(&now, &local)) options.utc_offset = (int)local.tm_gmtoff;
    code = variables_json(&set, &c, &own.set, NULL);
    options.variables_json = set;
    options.template_name = own.template;
    if (!code) code = read_option(&tools, &c, own.tools, "tools", &options.tools_json);
    if (!code) code = read_option(&documents, &c, own.documents, "documents", &options.documents_json);
    if (!code) code = input_read_file(&messages, &c, positional[1], "MESSAGES");
    options.messages_json = messages.text;
    if (!code && strlen(messages.text) != messages.length) {
        say("MESSAGES hold a NUL byte");
        code = EXIT_FAILED;
    }
    if (!code) code = render(positional[0], &own, &options);
    input_free(&messages);
    input_free(&tools);
    input_free(&documents);
    free(set);
    return out_end(code);
}
