#include "cli/variables.h"

#include <stdlib.h>
#include <string.h>

#include "cli/output.h"

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

int variables_json(char **out, const command *c, const option_strings *set, const cuddle_tokenizer *tokenizer)
{
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
