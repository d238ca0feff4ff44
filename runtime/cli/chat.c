/* cuddle chat: a conversation, turn by turn. The whole conversation is rendered again at each turn, as the template says; what of it the model has
 * computed before it need not compute again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/generation.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/template.h"
#include "cli/verbs.h"
#include "cuddle.h"

typedef struct chat_options {
    const char *system;
} chat_options;
static const option_row chat_rows[] = {
    { "system", OPTION_STRING, offsetof(chat_options, system), 0, 0, "TEXT", "a system message before the first turn" },
    { 0 },
};

/* ------------------------------------------------------------------------------------------------------ the conversation */

typedef struct talk {
    cuddle_message *message; /* [0] is the system's, if there is one; contents are owned */
    size_t count, room;
} talk;

static int out_of_memory(size_t bytes)
{
    say("out of memory: %zu bytes for the conversation", bytes);
    return EXIT_FAILED;
}

static void talk_drop(talk *t, size_t from)
{
    while (t->count > from) free((void *)(uintptr_t)t->message[--t->count].content);
}

static int has_system(const talk *t) { return t->count && strcmp(t->message[0].role, "system") == 0; }

static void talk_reset(talk *t) { talk_drop(t, (size_t)has_system(t)); }

static int talk_insert(talk *t, size_t at, const char *role, const char *text, size_t length)
{
    if (t->count == t->room) {
        const size_t room = 2 * t->room + 16;
        cuddle_message *grown = realloc(t->message, room * sizeof *grown);
        if (!grown) return out_of_memory(room * sizeof *grown);
        t->message = grown;
        t->room = room;
    }
    char *copy = strndup(text, length);
    if (!copy) return out_of_memory(length + 1);
    memmove(t->message + at + 1, t->message + at, (t->count - at) * sizeof *t->message);
    t->message[at] = (cuddle_message){ .role = role, .content = copy };
    t->count++;
    return 0;
}

static int talk_say(talk *t, const char *role, const char *text, size_t length) { return talk_insert(t, t->count, role, text, length); }

/* An empty text takes the system's message away. */
static int talk_set_system(talk *t, const char *text, size_t length)
{
    if (has_system(t)) {
        free((void *)(uintptr_t)t->message[0].content);
        memmove(t->message, t->message + 1, --t->count * sizeof *t->message);
    }
    return length ? talk_insert(t, 0, "system", text, length) : 0;
}

/* ---------------------------------------------------------------------------------------------------------------- a turn */

typedef struct chat {
    session session;
    cuddle_chat_template *template;
    cuddle_chat_options options;
    cuddle_generation_options how;
    talk talk;
    lines in;
    char *block; /* the last text of several lines */
    int terminal; /* on both sides: prompts are shown, and what goes wrong in a turn does not end the chat */
    uint64_t turns;
} chat;

static int submit(chat *c, cuddle_request **request, cuddle_error *err)
{
    char *text = NULL;
    size_t length = 0;
    cuddle_status status =
        cuddle_chat_template_render(&text, &length, c->template, c->talk.message, c->talk.count, &c->options, err);
    cuddle_generation_options o = c->how;
    o.no_special = 1; /* the template has written them */
    o.seed += c->turns; /* so that a repeated question is not bound to the same draws */
    const int32_t eos = cuddle_tokenizer_special(cuddle_model_tokenizer(c->session.model), CUDDLE_SPECIAL_EOS);
    if (eos >= 0 && !o.ignore_eos) { /* often the end of a turn, where generation_config.json names only that of a document */
        o.stop_tokens = &eos;
        o.stop_token_count = 1;
    }
    const cuddle_segment segment = { .kind = CUDDLE_SEGMENT_TEXT, .text = text, .count = length };
    if (!status) status = cuddle_request_submit(request, c->session.model, &segment, 1, &o, NULL, NULL, err);
    cuddle_text_free(text);
    if (status == CUDDLE_E_LIMIT) say("%s: /reset begins anew; what was said so far is kept", err->text);
    else if (status) say_error(err);
    return status ? EXIT_FAILED : 0;
}

/* The answer, streamed, becomes the assistant's message, also where it was cut short. A turn that fails leaves the conversation as it was. */
static int answer(chat *c, const char *text, size_t length)
{
    cuddle_error err;
    cuddle_request *request = NULL;
    cuddle_result result = { .struct_size = sizeof result };
    const size_t before = c->talk.count;
    if (strlen(text) != length) {
        say("the message holds a NUL byte");
        return EXIT_FAILED;
    }
    int code = talk_say(&c->talk, "user", text, length);
    if (!code) code = submit(c, &request, &err);
    if (!code) {
        generation_stream(request, 1);
        out_printf("\n");
        out_flush();
        const cuddle_status status = cuddle_request_wait(request, -1, &err); /* it ended: this asks how */
        if (status != CUDDLE_OK && status != CUDDLE_E_CANCELLED) code = say_error(&err);
        else if (cuddle_request_result(request, &result, &err) != CUDDLE_OK) code = say_error(&err);
        else code = talk_say(&c->talk, "assistant", result.text, result.text_length);
        if (!code && result.finish == CUDDLE_FINISH_LENGTH) say("the answer was cut off after %zu tokens", result.count);
    }
    cuddle_request_free(request);
    c->turns++;
    if (code) talk_drop(&c->talk, before);
    return code;
}

/* -------------------------------------------------------------------------------------------------------------- input */

static void show(const chat *c, const char *text)
{
    if (!c->terminal) return;
    fputs(text, stderr);
    fflush(stderr);
}

/* A text that begins with """ goes on until a line ends with """. *text is the rest of a line and then, if need be, the block. */
static int read_block(chat *c, char **text, size_t *length)
{
    static const char mark[] = "\"\"\"";
    const size_t marks = sizeof mark - 1;
    size_t used = 0;
    if (strncmp(*text, mark, marks) != 0) return 0;
    char *line = *text + marks;
    size_t n = *length - marks;
    for (;;) {
        const int ends = n >= marks && memcmp(line + n - marks, mark, marks) == 0;
        if (ends) n -= marks;
        char *grown = realloc(c->block, used + n + 2);
        if (!grown) return out_of_memory(used + n + 2);
        c->block = grown;
        memcpy(grown + used, line, n);
        used += n;
        grown[used] = 0;
        if (ends) break;
        if (used) grown[used++] = '\n'; /* not for what would be an empty first line */
        show(c, "... ");
        const int code = lines_next(&c->in, &line, &n);
        if (code) return code;
        if (!line) {
            say("the input ends within a text that began with %s", mark);
            return EXIT_FAILED;
        }
    }
    *text = c->block;
    *length = used;
    return 0;
}

static const char help_text[] = "/system TEXT  sets the system message; without TEXT there is none\n"
                                "/reset        forgets the conversation, but not the system message\n"
                                "/exit         leaves, and so does the end of the input\n"
                                "/help         prints this\n"
                                "//TEXT        says /TEXT\n"
                                "\"\"\"TEXT       a text of several lines, to a line that ends with \"\"\"\n"
                                "Ctrl-C        stops an answer; where none is being made, leaves\n";

/* Is this the command, perhaps with something after a space? */
static int is_command(const char *line, const char *name)
{
    const size_t length = strlen(name);
    return strncmp(line, name, length) == 0 && (!line[length] || line[length] == ' ');
}

static int command_line(chat *c, char *line, size_t length, int *leave)
{
    static const char system[] = "/system";
    char shown[64];
    if (is_command(line, system)) {
        char *text = line + strlen(system);
        text += strspn(text, " ");
        length -= (size_t)(text - line);
        const int code = read_block(c, &text, &length);
        return code ? code : talk_set_system(&c->talk, text, length);
    }
    if (strcmp(line, "/reset") == 0) talk_reset(&c->talk);
    else if (strcmp(line, "/exit") == 0) *leave = 1;
    else if (strcmp(line, "/help") == 0) fputs(help_text, stderr);
    else {
        say("unknown command '%s': expected /system, /reset, /exit or /help; //TEXT says /TEXT", clean_line(shown, sizeof shown, line));
        return EXIT_FAILED;
    }
    return 0;
}

static int one_turn(chat *c, int *leave)
{
    char *line;
    size_t length;
    show(c, "> ");
    int code = lines_next(&c->in, &line, &length);
    if (code || !line) {
        *leave = 1;
        show(c, "\n");
        return code;
    }
    if (line[0] == '/' && line[1] != '/') return command_line(c, line, length, leave);
    if (line[0] == '/') line++, length--;
    code = read_block(c, &line, &length);
    return code || !length ? code : answer(c, line, length);
}

static int converse(chat *c)
{
    int code = 0, leave = 0;
    while (!code && !leave && out_flush()) {
        code = one_turn(c, &leave);
        if (!c->terminal) {
            if (interrupt_code()) code = interrupt_code();
            continue;
        }
        if (interrupt_code() && (leave || interrupt_code() != INTERRUPT_CODE)) return interrupt_code();
        if (interrupt_code()) interrupt_forget(); /* it stopped an answer */
        code = 0;
    }
    return code;
}

/* --------------------------------------------------------------------------------------------------------------- verb */

static int check_tokenizer(const chat *c, const char *model)
{
    if (cuddle_model_tokenizer(c->session.model)) return 0;
    say("%s has no tokenizer that can be read, and without one there is no chat: cuddle run --tokens takes token ids", model);
    return EXIT_FAILED;
}

int verb_chat(int argc, char **argv)
{
    chat_options own = { 0 };
    template_options template = { 0 };
    generation_settings how = GENERATION_DEFAULT;
    settings set = SETTINGS_DEFAULT;
    const option_group groups[] = { { "options", chat_rows, &own }, { "chat template", template_rows, &template },
                                    { "how tokens are chosen", generation_rows, &how }, { "engine and model", settings_rows, &set }, { 0 } };
    const command c = { "chat", "MODEL", "Talks with a model: each line is a message, each answer is streamed to standard output.",
                        "MODEL is a directory with a chat template, or --template brings one. Lines that begin with / are commands: /help lists "
                        "them; //TEXT says /TEXT. A text that begins with \"\"\" has several lines and goes on until a line ends with \"\"\". "
                        "Empty lines are skipped.\n"
                        "On a terminal Ctrl-C stops an answer, which stays as far as it came, and leaves where none is being made. Through a "
                        "pipe the first failure ends the chat.", 1, 1, groups };
    const char *positional[POSITIONAL_MOST];
    int code;
    if (!options_parse(&c, argc, argv, positional, &code)) return code;
    if (set.max_sequences == 0) set.max_sequences = 1;

    token_lists lists = { 0 };
    chat it = { .terminal = isatty(STDIN_FILENO) && out_is_terminal() };
    char *variables = NULL;
    cuddle_chat_options_init(&it.options, sizeof it.options);
    code = generation_options_fill(&it.how, &lists, &c, &how);
    if (!code) code = template_load(&it.template, &it.options, &template, positional[0]);
    if (!code) code = generation_seed(&how.seed);
    it.how.seed = how.seed.value;
    if (!code) code = session_open(&it.session, &set, positional[0]);
    if (!code) code = check_tokenizer(&it, positional[0]);
    if (!code) code = template_variables(&variables, &c, &template, template_is_file(&template) ? cuddle_model_tokenizer(it.session.model) : NULL);
    it.options.variables_json = variables;
    if (!code && own.system) code = talk_set_system(&it.talk, own.system, strlen(own.system));
    if (!code && how.temperature != 0) say("seed %llu", (unsigned long long)how.seed.value);
    if (!code && it.terminal) say("%s; /help lists the commands", cuddle_model_architecture(it.session.model));
    if (!code) code = converse(&it);
    talk_drop(&it.talk, 0);
    free(it.talk.message);
    free(it.block);
    free(variables);
    lines_free(&it.in);
    generation_lists_free(&lists);
    cuddle_chat_template_free(it.template);
    session_close(&it.session);
    return out_end(code);
}
