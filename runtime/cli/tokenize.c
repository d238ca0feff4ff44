/* cuddle tokenize: text to token ids, and back with --decode or as cuddle detokenize. */
#include <stdlib.h>
#include <string.h>

#include "cli/input.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "cuddle.h"

typedef struct tokenize_options {
    int json, tokens, count, no_special, decode, lines, offsets, max_length;
    option_strings file, pair;
} tokenize_options;
#define FIELD(name) offsetof(tokenize_options, name)
static const option_row tokenize_rows[] = {
    { "json", OPTION_FLAG, FIELD(json), 0, 0, "", "print one JSON object with ids, tokens, offsets, which are [begin, end] in the text, and more" },
    { "tokens", OPTION_FLAG, FIELD(tokens), 0, 0, "", "print a line for each token: id, begin, end and the token as the vocabulary spells it" },
    { "count", OPTION_FLAG, FIELD(count), 0, 0, "", "print only how many tokens there are" },
    { "offsets", OPTION_CHOICE, FIELD(offsets), 0, 0, "bytes|chars", "what begin and end count: bytes (default), or characters" },
    { "file", OPTION_STRINGS, FIELD(file), 0, 0, "PATH", "take the text from this file, to the last byte, instead of TEXT" },
    { "lines", OPTION_FLAG, FIELD(lines), 0, 0, "", "every line of the text is a text of its own, and so is its result" },
    { "pair", OPTION_STRINGS, FIELD(pair), 0, 0, "TEXT", "a second text: both become one encoding, as for a question and its context" },
    { "max-length", OPTION_INT, FIELD(max_length), 1, INT32_MAX, "TOKENS", "cut the longest text first until there are so many tokens; with --json: what was cut off is \"overflow\"" },
    { "no-special", OPTION_FLAG, FIELD(no_special), 0, 0, "", "add no special tokens; with --decode: leave special tokens out of the text" },
    { "decode", OPTION_FLAG, FIELD(decode), 0, 0, "", "TEXT is token ids, separated by white space or commas; print the text they stand for and no newline after it" },
    { 0 },
};
static const option_row detokenize_rows[] = {
    { "json", OPTION_FLAG, FIELD(json), 0, 0, "", "print one JSON object with ids and text" },
    { "file", OPTION_STRINGS, FIELD(file), 0, 0, "PATH", "take the ids from this file instead of IDS" },
    { "no-special", OPTION_FLAG, FIELD(no_special), 0, 0, "", "leave special tokens out of the text" },
    { 0 },
};

static void print_json(const cuddle_tokenizer *tokenizer, const cuddle_encoding *e)
{
    json_t *object = json_object(), *tokens = json_array(), *offsets = json_array(), *special = json_array(), *texts = json_array(),
           *overflow = json_array();
    for (size_t i = 0; i < e->count; i++) {
        json_t *pair = json_array();
        js_add(pair, js_bytes(e->begin[i]));
        js_add(pair, js_bytes(e->end[i]));
        js_add(offsets, pair);
        js_add(tokens, js_name(cuddle_tokenizer_token(tokenizer, e->ids[i])));
        js_add(special, json_boolean(e->special[i]));
        js_add(texts, json_integer(e->sequence_ids[i]));
    }
    for (size_t i = 0; i < e->overflow_count; i++) js_add(overflow, js_ids(e->overflow[i]->ids, e->overflow[i]->count));
    js_put(object, "ids", js_ids(e->ids, e->count));
    js_put(object, "tokens", tokens);
    js_put(object, "offsets", offsets);
    js_put(object, "special", special);
    js_put(object, "type_ids", js_ids(e->type_ids, e->count));
    js_put(object, "word_ids", js_ids(e->word_ids, e->count));
    js_put(object, "sequence_ids", texts);
    js_put(object, "overflow", overflow);
    out_json(object);
}

static void print_encoding(const cuddle_tokenizer *tokenizer, const cuddle_encoding *e, const tokenize_options *own)
{
    if (own->json) {
        print_json(tokenizer, e);
    } else if (own->count) {
        out_printf("%zu\n", e->count);
    } else if (own->tokens) {
        for (size_t i = 0; i < e->count; i++) {
            const char *token = cuddle_tokenizer_token(tokenizer, e->ids[i]);
            out_printf("%d\t%zu\t%zu\t", (int)e->ids[i], e->begin[i], e->end[i]);
            if (token) out_text(token, strlen(token));
            out_printf("\n");
        }
    } else {
        for (size_t i = 0; i < e->count; i++) out_printf("%s%d", i ? " " : "", (int)e->ids[i]);
        out_printf("\n");
    }
}

/* The texts: one, or the lines. What is not ended by a newline is a line too. */
static cuddle_tokenize_input *split(const input *in, const tokenize_options *own, size_t *count)
{
    size_t lines = 0;
    for (size_t i = 0; i < in->length; i++) lines += in->text[i] == '\n';
    if (in->length && in->text[in->length - 1] != '\n') lines++;
    *count = own->lines ? lines : 1;
    cuddle_tokenize_input *texts = calloc(*count + 1, sizeof *texts);
    if (!texts) return NULL;
    const char *at = in->text, *const end = in->text + in->length;
    for (size_t i = 0; i < *count; i++) {
        const char *newline = own->lines ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        texts[i].text = at;
        texts[i].length = (size_t)((newline ? newline : end) - at);
        if (own->pair.count) {
            texts[i].pair = own->pair.item[0];
            texts[i].pair_length = strlen(own->pair.item[0]);
        }
        at = newline ? newline + 1 : end;
    }
    return texts;
}

static int encode(const cuddle_tokenizer *tokenizer, const input *in, const tokenize_options *own)
{
    cuddle_error err;
    size_t count;
    cuddle_tokenize_options o;
    cuddle_tokenize_options_init(&o, sizeof o);
    if (own->no_special) o.add_special = CUDDLE_ADD_SPECIAL_OFF;
    if (own->offsets) o.offsets = CUDDLE_OFFSETS_CHARACTERS;
    if (own->lines) o.threads = 0;
    if (own->max_length) {
        o.truncation = CUDDLE_TRUNCATE_LONGEST_FIRST;
        o.max_length = (size_t)own->max_length;
    }
    cuddle_tokenize_input *texts = split(in, own, &count);
    cuddle_encoding **e = calloc(count + 1, sizeof *e);
    int code = 0;
    if (!texts || !e) {
        say("out of memory: %zu bytes for %zu texts", count * (sizeof *texts + sizeof *e), count);
        code = EXIT_FAILED;
    } else if (own->lines ? cuddle_tokenize_batch(e, tokenizer, texts, count, &o, &err) : cuddle_tokenize_with(e, tokenizer, texts, &o, &err)) {
        code = say_error(&err);
    }
    for (size_t i = 0; i < count && e; i++) {
        if (e[i] && !code) print_encoding(tokenizer, e[i], own);
        cuddle_encoding_free(e[i]);
    }
    free(e);
    free(texts);
    return code;
}

static int decode(const cuddle_tokenizer *tokenizer, const input *in, const tokenize_options *own)
{
    cuddle_error err;
    int32_t *ids;
    size_t count, length = 0;
    char *text = NULL;
    int code = input_ids(&ids, &count, in);
    const unsigned flags = own->no_special ? CUDDLE_DETOKENIZE_SKIP_SPECIAL : 0;
    if (!code && cuddle_detokenize(&text, &length, tokenizer, ids, count, flags, &err) != CUDDLE_OK) code = say_error(&err);
    if (!code && own->json) {
        json_t *object = json_object();
        js_put(object, "ids", js_ids(ids, count));
        js_put(object, "text", js_text(text, length));
        out_json(object);
    } else if (!code) {
        out_text(text, length);
        if (out_is_terminal()) out_printf("\n");
    }
    cuddle_text_free(text);
    free(ids);
    return code;
}

/* What of the options does not go together. */
static int check(const command *c, const tokenize_options *own, const char *text)
{
    if (own->file.count > 1) return usage_error(c, "--file may be given once");
    if (own->pair.count > 1) return usage_error(c, "--pair may be given once");
    if (own->file.count && text) return usage_error(c, "there is a text and a --file, expected one of them");
    if (own->json + own->tokens + own->count > 1) return usage_error(c, "--json, --tokens and --count exclude one another");
    if (own->decode && (own->tokens || own->count || own->lines || own->pair.count || own->max_length))
        return usage_error(c, "--decode goes with --json, --file and --no-special only");
    return 0;
}

static int run(const command *c, const tokenize_options *own, const char *const positional[], const char *what)
{
    input in = { 0 };
    cuddle_tokenizer *tokenizer = NULL;
    int code = check(c, own, positional[1]);
    if (!code) code = own->file.count ? input_file(&in, own->file.item[0], what) : input_read(&in, c, positional[1], what);
    if (!code) {
        cuddle_error err;
        if (cuddle_tokenizer_load(&tokenizer, positional[0], &err) != CUDDLE_OK) code = say_error(&err);
        else code = own->decode ? decode(tokenizer, &in, own) : encode(tokenizer, &in, own);
    }
    cuddle_tokenizer_free(tokenizer);
    input_free(&in);
    return out_end(code);
}

int verb_tokenize(int argc, char **argv)
{
    tokenize_options own = { 0 };
    const option_group groups[] = { { "options", tokenize_rows, &own }, { 0 } };
    const command c = { "tokenize", "MODEL [TEXT]", "Prints the token ids of a text.",
                        "MODEL is a directory with tokenizer files, weights or not, or a tokenizer.json. TEXT comes from standard input, taken "
                        "to the last byte, if it is '-' or absent.", 1, 2, groups };
    const char *positional[POSITIONAL_MOST];
    int code;
    if (!options_parse(&c, argc, argv, positional, &code)) return code;
    return run(&c, &own, positional, "TEXT");
}

int verb_detokenize(int argc, char **argv)
{
    tokenize_options own = { .decode = 1 };
    const option_group groups[] = { { "options", detokenize_rows, &own }, { 0 } };
    const command c = { "detokenize", "MODEL [IDS]", "Prints the text that token ids stand for, and no newline after it.",
                        "MODEL is a directory with tokenizer files, weights or not, or a tokenizer.json. IDS are separated by white space or "
                        "commas and come from standard input if they are '-' or absent.", 1, 2, groups };
    const char *positional[POSITIONAL_MOST];
    int code;
    if (!options_parse(&c, argc, argv, positional, &code)) return code;
    return run(&c, &own, positional, "IDS");
}
