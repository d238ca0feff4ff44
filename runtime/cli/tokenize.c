/* cuddle tokenize: text to token ids, and back with --decode. */
#include <stdlib.h>
#include <string.h>

#include "cli/input.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "cuddle.h"

typedef struct tokenize_options { int json, no_special, decode; } tokenize_options;
static const option_row tokenize_rows[] = {
    { "json", OPTION_FLAG, offsetof(tokenize_options, json), 0, 0, "",
      "print one JSON object with ids, tokens and offsets, which are [begin, end] in bytes of the text" },
    { "no-special", OPTION_FLAG, offsetof(tokenize_options, no_special), 0, 0, "",
      "add no special tokens; with --decode: leave special tokens out of the text" },
    { "decode", OPTION_FLAG, offsetof(tokenize_options, decode), 0, 0, "",
      "TEXT is token ids, separated by white space or commas; print the text they stand for and no newline after it" },
    { 0 },
};

static int encode(const cuddle_tokenizer *tokenizer, const input *in, const tokenize_options *own)
{
    cuddle_error err;
    cuddle_encoding *e = NULL;
    const unsigned flags = own->no_special ? CUDDLE_TOKENIZE_NO_SPECIAL : 0;
    if (cuddle_tokenize(&e, tokenizer, in->text, in->length, flags, &err) != CUDDLE_OK) return say_error(&err);
    if (own->json) {
        json_t *object = json_object(), *tokens = json_array(), *offsets = json_array(), *special = json_array();
        for (size_t i = 0; i < e->count; i++) {
            json_t *pair = json_array();
            js_add(pair, js_bytes(e->begin[i]));
            js_add(pair, js_bytes(e->end[i]));
            js_add(offsets, pair);
            js_add(tokens, js_name(cuddle_tokenizer_token(tokenizer, e->ids[i])));
            js_add(special, json_boolean(e->special[i]));
        }
        js_put(object, "ids", js_ids(e->ids, e->count));
        js_put(object, "tokens", tokens);
        js_put(object, "offsets", offsets);
        js_put(object, "special", special);
        out_json(object);
    } else {
        for (size_t i = 0; i < e->count; i++) out_printf("%s%d", i ? " " : "", (int)e->ids[i]);
        out_printf("\n");
    }
    cuddle_encoding_free(e);
    return 0;
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

    input in;
    cuddle_tokenizer *tokenizer = NULL;
    code = input_read(&in, &c, positional[1], "TEXT");
    if (!code) {
        cuddle_error err;
        if (cuddle_tokenizer_load(&tokenizer, positional[0], &err) != CUDDLE_OK) code = say_error(&err);
        else code = own.decode ? decode(tokenizer, &in, &own) : encode(tokenizer, &in, &own);
    }
    cuddle_tokenizer_free(tokenizer);
    input_free(&in);
    return out_end(code);
}
