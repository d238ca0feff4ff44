#include "text/settings.h"

#include "text/internal.h"

#include <string.h>

/* ---- tokenizer.json ---- */

static cuddle_status parse_direction(bool *left, const json_view *in, unsigned flags, cuddle_error *err)
{
    const char *direction = "Right";
    const cuddle_status status = cud_json_string(&direction, in, "direction", flags, err);
    if (status) return status;
    *left = strcmp(direction, "Left") == 0;
    if (*left || strcmp(direction, "Right") == 0) return CUDDLE_OK;
    return cud_json_wrong(in, "direction", err, CUDDLE_E_FORMAT, "\"Left\" or \"Right\"");
}

cuddle_status cud_settings_parse_cut(cud_cut *out, const json_view *root, cuddle_error *err)
{
    static const char *const fields[] = { "direction", "max_length", "strategy", "stride", NULL };
    static const char *const names[] = { [CUDDLE_TRUNCATE_LONGEST_FIRST] = "LongestFirst",
                                         [CUDDLE_TRUNCATE_ONLY_FIRST] = "OnlyFirst",
                                         [CUDDLE_TRUNCATE_ONLY_SECOND] = "OnlySecond" };
    cud_part part = { .label = "truncation" };
    const char *strategy = NULL;
    int64_t most = 0, stride = 0;
    *out = (cud_cut){ 0 };
    cuddle_status status = cud_json_object(&part.json, root, "truncation", CUD_JSON_NULLABLE, err);
    if (status || !part.json.value) return status;
    status = cud_part_fields(&part, fields, err);
    if (!status) status = parse_direction(&out->left, &part.json, CUD_JSON_OPTIONAL, err);
    if (!status) status = cud_json_int(&most, &part.json, "max_length", CUD_JSON_REQUIRED, 0, INT32_MAX, err);
    if (!status) status = cud_json_int(&stride, &part.json, "stride", CUD_JSON_REQUIRED, 0, INT32_MAX, err);
    if (!status) status = cud_json_string(&strategy, &part.json, "strategy", CUD_JSON_REQUIRED, err);
    if (status) return status;
    out->most = (size_t)most;
    out->stride = (size_t)stride;
    for (int i = CUDDLE_TRUNCATE_LONGEST_FIRST; i <= CUDDLE_TRUNCATE_ONLY_SECOND; i++)
        if (strcmp(strategy, names[i]) == 0) out->strategy = (cuddle_truncation)i;
    if (out->strategy) return CUDDLE_OK;
    return cud_json_wrong(&part.json, "strategy", err, CUDDLE_E_FORMAT, "\"LongestFirst\", \"OnlyFirst\" or \"OnlySecond\"");
}

cuddle_status cud_settings_parse_pad(cud_pad *out, const char **pad_token, const json_view *root, cuddle_error *err)
{
    static const char *const fields[] = {
        "strategy", "direction", "pad_to_multiple_of", "pad_id", "pad_type_id", "pad_token", NULL
    };
    cud_part part = { .label = "padding" };
    int64_t length = 0, multiple = 0, id = 0, type = 0;
    *out = (cud_pad){ 0 };
    *pad_token = NULL;
    cuddle_status status = cud_json_object(&part.json, root, "padding", CUD_JSON_NULLABLE, err);
    if (status || !part.json.value) return status;
    json_view fixed;
    const json_t *strategy = json_object_get(part.json.value, "strategy");
    status = cud_part_fields(&part, fields, err);
    if (!status && json_is_string(strategy) && strcmp(json_string_value(strategy), "BatchLongest") == 0) {
        out->kind = CUDDLE_PAD_LONGEST;
    } else if (!status && json_is_object(strategy)) {
        out->kind = CUDDLE_PAD_FIXED;
        status = cud_json_object(&fixed, &part.json, "strategy", CUD_JSON_REQUIRED, err);
        if (!status) status = cud_json_int(&length, &fixed, "Fixed", CUD_JSON_REQUIRED, 0, CUD_MAX_WINDOW_TOKENS, err);
    } else if (!status) {
        status = cud_json_wrong(&part.json, "strategy", err, CUDDLE_E_FORMAT, "\"BatchLongest\" or an object with \"Fixed\"");
    }
    if (!status) status = parse_direction(&out->left, &part.json, CUD_JSON_REQUIRED, err);
    if (!status)
        status = cud_json_int(&multiple, &part.json, "pad_to_multiple_of", CUD_JSON_NULLABLE, 0, CUD_MAX_WINDOW_TOKENS, err);
    if (!status) status = cud_json_int(&id, &part.json, "pad_id", CUD_JSON_REQUIRED, 0, CUD_TOKENIZER_MAX_ID, err);
    if (!status) status = cud_json_int(&type, &part.json, "pad_type_id", CUD_JSON_REQUIRED, 0, INT32_MAX, err);
    if (!status) status = cud_json_string(pad_token, &part.json, "pad_token", CUD_JSON_REQUIRED, err);
    if (status) return status;
    out->length = (size_t)length;
    out->multiple = (size_t)multiple;
    out->id = (int32_t)id;
    out->type = (int32_t)type;
    return CUDDLE_OK;
}

/* ---- the options ---- */

static cuddle_status check_choice(int value, int most, const char *name, cuddle_error *err)
{
    if (value >= 0 && value <= most) return CUDDLE_OK;
    return cud_fail(err, CUDDLE_E_ARG, "cuddle_tokenize_options: %s is %d, expected 0 to %d", name, value, most);
}

static cuddle_status check_size(size_t value, const char *name, cuddle_error *err)
{
    if (value <= INT32_MAX) return CUDDLE_OK;
    return cud_fail(err, CUDDLE_E_ARG, "cuddle_tokenize_options: %s is %zu, expected at most %d", name, value, INT32_MAX);
}

static bool is_left(cuddle_side asked, cuddle_side own) { return (asked ? asked : own) == CUDDLE_SIDE_LEFT; }

/* The length that a 0 stands for. */
static cuddle_status own_length(size_t *out, size_t asked, const cuddle_tokenizer *t, const char *name, cuddle_error *err)
{
    *out = asked ? asked : t->max_length;
    if (*out) return CUDDLE_OK;
    return cud_fail(err, CUDDLE_E_ARG,
                    "cuddle_tokenize_options: %s is 0, and the checkpoint's tokenizer_config.json has no model_max_length", name);
}

static cuddle_status resolve_cut(cud_cut *out, const cuddle_tokenizer *t, const cuddle_tokenize_options *o, cuddle_error *err)
{
    if (o->truncation == CUDDLE_TRUNCATE_AS_FILE) *out = t->file_cut;
    if (o->truncation == CUDDLE_TRUNCATE_OFF || o->truncation == CUDDLE_TRUNCATE_AS_FILE) return CUDDLE_OK;
    *out = (cud_cut){ .strategy = o->truncation, .stride = o->stride, .left = is_left(o->truncation_side, t->truncation_side) };
    return own_length(&out->most, o->max_length, t, "max_length", err);
}

static cuddle_status resolve_pad(cud_pad *out, const cuddle_tokenizer *t, const cuddle_tokenize_options *o, cuddle_error *err)
{
    if (o->padding == CUDDLE_PAD_AS_FILE) *out = t->file_pad;
    if (o->padding == CUDDLE_PAD_OFF || o->padding == CUDDLE_PAD_AS_FILE) return CUDDLE_OK;
    *out = (cud_pad){ .kind = o->padding,
                      .multiple = o->pad_to_multiple_of,
                      .left = is_left(o->padding_side, t->padding_side),
                      .id = o->pad_id >= 0 ? o->pad_id : t->named[CUDDLE_SPECIAL_PAD],
                      .type = o->pad_type_id };
    if (out->id < 0)
        return cud_fail(err, CUDDLE_E_ARG,
                        "cuddle_tokenize_options: padding is asked for, but the tokenizer has no pad token and pad_id is %d",
                        (int)o->pad_id);
    return o->padding == CUDDLE_PAD_FIXED ? own_length(&out->length, o->pad_length, t, "pad_length", err) : CUDDLE_OK;
}

cuddle_status cud_settings_resolve(cud_settings *out, const cuddle_tokenizer *t, const cuddle_tokenize_options *o,
                                   cuddle_error *err)
{
    *out = (cud_settings){ .add_special = o->add_special, .characters = o->offsets == CUDDLE_OFFSETS_CHARACTERS, .most_tokens = o->max_tokens };
    cuddle_status status = check_choice((int)o->add_special, CUDDLE_ADD_SPECIAL_ONCE, "add_special", err);
    if (!status) status = check_choice((int)o->truncation, CUDDLE_TRUNCATE_AS_FILE, "truncation", err);
    if (!status) status = check_choice((int)o->truncation_side, CUDDLE_SIDE_LEFT, "truncation_side", err);
    if (!status) status = check_choice((int)o->padding, CUDDLE_PAD_AS_FILE, "padding", err);
    if (!status) status = check_choice((int)o->padding_side, CUDDLE_SIDE_LEFT, "padding_side", err);
    if (!status) status = check_choice((int)o->offsets, CUDDLE_OFFSETS_CHARACTERS, "offsets", err);
    if (!status) status = check_size(o->max_length, "max_length", err);
    if (!status) status = check_size(o->stride, "stride", err);
    if (!status) status = check_size(o->pad_length, "pad_length", err);
    if (!status) status = check_size(o->pad_to_multiple_of, "pad_to_multiple_of", err);
    if (!status && (o->pad_id < -1 || o->pad_id > CUD_TOKENIZER_MAX_ID))
        status = cud_fail(err, CUDDLE_E_ARG, "cuddle_tokenize_options: pad_id is %d, expected -1 to %d", (int)o->pad_id,
                          CUD_TOKENIZER_MAX_ID);
    if (!status && o->pad_type_id < 0)
        status =
            cud_fail(err, CUDDLE_E_ARG, "cuddle_tokenize_options: pad_type_id is %d, expected at least 0", (int)o->pad_type_id);
    if (!status) status = resolve_cut(&out->cut, t, o, err);
    if (!status) status = resolve_pad(&out->pad, t, o, err);
    return status;
}
