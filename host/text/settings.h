/* How long an encoding may and must be: what the caller's options, tokenizer.json's "truncation" and "padding" and
 * tokenizer_config.json say together. */
#ifndef CUD_TEXT_SETTINGS_H
#define CUD_TEXT_SETTINGS_H

#include "format/json.h"

typedef struct cud_cut {
    cuddle_truncation strategy; /* never AS_FILE */
    size_t most, stride;
    bool left;
    bool drops; /* what is cut off is counted, and not kept in windows */
} cud_cut;

typedef struct cud_pad {
    cuddle_padding kind; /* never AS_FILE */
    size_t length, multiple;
    bool left;
    int32_t id, type;
} cud_pad;

typedef struct cud_settings {
    cuddle_add_special add_special;
    cud_cut cut;
    cud_pad pad;
    bool characters;
    size_t most_tokens; /* of a text; 0: no bound */
    bool goes_on, goes_on_after; /* something comes before the text, or after it: no special tokens of the post-processor there */
} cud_settings;

/* tokenizer.json's two sections, absent or null being none. `*pad_token` is borrowed, NULL if there is no padding. */
cuddle_status cud_settings_parse_cut(cud_cut *out, const json_view *root, cuddle_error *err);
cuddle_status cud_settings_parse_pad(cud_pad *out, const char **pad_token, const json_view *root, cuddle_error *err);
/* Checks the options and puts the tokenizer's own values where they leave the choice to it. */
cuddle_status cud_settings_resolve(cud_settings *out, const cuddle_tokenizer *t, const cuddle_tokenize_options *options,
                                   cuddle_error *err);

#endif
