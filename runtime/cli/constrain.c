#include "cli/constrain.h"

#include <string.h>

#include "cli/input.h"
#include "cli/output.h"

const option_row constrain_rows[] = {
    { "json-object", OPTION_FLAG, offsetof(constrain_options, json_object), 0, 0, "", "the text is a JSON object" },
    { "json-schema", OPTION_STRING, offsetof(constrain_options, json_schema), 0, 0, "FILE", "the text is JSON by this JSON Schema" },
    { "regex", OPTION_STRING, offsetof(constrain_options, regex), 0, 0, "REGEX", "this regular expression matches the text" },
    { "choice", OPTION_STRINGS, offsetof(constrain_options, choice), 0, 0, "STRING", "the text is one of these" },
    { "grammar", OPTION_STRING, offsetof(constrain_options, grammar), 0, 0, "FILE", "the text is one of this GBNF grammar" },
    { 0 },
};

const char *constrain_given(const constrain_options *own)
{
    return own->json_object ? "json-object" : own->json_schema ? "json-schema" : own->regex ? "regex" : own->choice.count ? "choice"
           : own->grammar ? "grammar" : NULL;
}

int constrain_check(const command *c, const constrain_options *own)
{
    if (own->json_object + (own->json_schema != NULL) + (own->regex != NULL) + (own->choice.count > 0) + (own->grammar != NULL) > 1)
        return usage_error(c, "only one of --json-object, --json-schema, --regex, --choice and --grammar can be given");
    return 0;
}

int constrain_compile(cuddle_grammar **out, const constrain_options *own, cuddle_model *model)
{
    cuddle_grammar_options o;
    cuddle_error err;
    input source = { 0 };
    int code = 0;
    *out = NULL;
    cuddle_grammar_options_init(&o, sizeof o);
    if (own->json_schema) {
        o.kind = CUDDLE_GRAMMAR_JSON_SCHEMA;
        code = input_file(&source, own->json_schema, "the schema");
    } else if (own->grammar) {
        o.kind = CUDDLE_GRAMMAR_GBNF;
        code = input_file(&source, own->grammar, "the grammar");
    } else if (own->regex) {
        o.kind = CUDDLE_GRAMMAR_REGEX;
        source = (input){ .text = own->regex, .length = strlen(own->regex) };
    } else if (own->choice.count) {
        o.kind = CUDDLE_GRAMMAR_CHOICE;
        o.choices = own->choice.item;
        o.choice_count = own->choice.count;
    } else if (!own->json_object) {
        return 0;
    }
    o.source = source.text;
    o.length = source.length;
    if (!code && cuddle_model_grammar(out, model, &o, &err) != CUDDLE_OK) code = say_error(&err);
    input_free(&source);
    return code;
}
