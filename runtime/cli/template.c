#include "cli/template.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/output.h"

const option_row template_rows[] = {
    { "template", OPTION_STRING, offsetof(template_options, template), 0, 0, "NAME|FILE",
      "which of the checkpoint's chat templates (default: \"tool_use\" where there are tools and one of that name, else \"default\"), or a "
      "file whose name ends with .jinja" },
    { "set", OPTION_STRINGS, offsetof(template_options, set), 0, 0, "NAME=VALUE",
      "a further variable for the template, as enable_thinking=false; VALUE is JSON, or else text" },
    { "now", OPTION_INT64, offsetof(template_options, now), 0, 253402300799.0, "SECONDS",
      "the time that templates see, in seconds since 1970; 0: the clock" },
    { 0 },
};

int template_is_file(const template_options *own)
{
    static const char suffix[] = ".jinja";
    const size_t length = own->template ? strlen(own->template) : 0, end = sizeof suffix - 1;
    return length > end && strcmp(own->template + length - end, suffix) == 0;
}

int template_load(cuddle_chat_template **out, cuddle_chat_options *options, const template_options *own, const char *model)
{
    cuddle_error err;
    const int file = template_is_file(own);
    const time_t now = time(NULL);
    struct tm local;
    if (!own->now && localtime_r(&now, &local)) options->utc_offset = (int)local.tm_gmtoff;
    options->now = own->now;
    if (!file) options->template_name = own->template;
    const cuddle_status status = cuddle_chat_template_load(out, file ? own->template : model, &err);
    if (status == CUDDLE_E_UNSUPPORTED && !file) say("%s: give one with --template FILE.jinja, or continue a text with cuddle run", err.text);
    else if (status) say_error(&err);
    return status ? EXIT_FAILED : 0;
}

static void put_special(json_t *object, const cuddle_tokenizer *tokenizer)
{
    static const char *const names[CUDDLE_SPECIAL_COUNT] = {
        [CUDDLE_SPECIAL_BOS] = "bos_token", [CUDDLE_SPECIAL_EOS] = "eos_token", [CUDDLE_SPECIAL_UNK] = "unk_token",
        [CUDDLE_SPECIAL_SEP] = "sep_token", [CUDDLE_SPECIAL_PAD] = "pad_token", [CUDDLE_SPECIAL_CLS] = "cls_token",
        [CUDDLE_SPECIAL_MASK] = "mask_token"
    };
    for (int i = 0; i < CUDDLE_SPECIAL_COUNT; i++) {
        const int32_t id = cuddle_tokenizer_special(tokenizer, (cuddle_special)i);
        if (id >= 0) js_put(object, names[i], js_name(cuddle_tokenizer_token(tokenizer, id)));
    }
}

int template_variables(char **out, const command *c, const template_options *own, const cuddle_tokenizer *tokenizer)
{
    const option_strings *set = &own->set;
    json_t *object = json_object();
    if (tokenizer) put_special(object, tokenizer);
    for (size_t i = 0; i < set->count; i++) {
        const char *equals = strchr(set->item[i], '=');
        char shown[128];
        if (!equals || equals == set->item[i]) {
            json_decref(object);
            return usage_error(c, "--set expects NAME=VALUE, but '%s' was given", clean_line(shown, sizeof shown, set->item[i]));
        }
        char *name = strndup(set->item[i], (size_t)(equals - set->item[i]));
        json_t *value = json_loads(equals + 1, JSON_DECODE_ANY, NULL);
        js_put(object, name ? name : "", value ? value : js_text(equals + 1, strlen(equals + 1)));
        free(name);
    }
    *out = json_dumps(object, 0);
    json_decref(object);
    if (*out) return 0;
    say("out of memory");
    return EXIT_FAILED;
}
