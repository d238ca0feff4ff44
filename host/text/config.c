/* tokenizer_config.json, as transformers 5 applies it to a tokenizer.json: added_tokens_decoder may change flags and add tokens,
 * named special tokens are added if they are not yet, clean_up_tokenization_spaces changes decoding (but not for BPE). Where there
 * is no added_tokens_decoder, the files of older checkpoints say it: special_tokens_map.json, before the config, and
 * added_tokens.json. Chat templates are another file's business. add_bos_token and add_eos_token are not read: the post-processor
 * as it was saved is the one place that adds tokens, so nothing is added twice. */
#include "text/load.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct decoder_entry {
    int32_t id;
    const char *key;
} decoder_entry;

static int by_id(const void *a, const void *b)
{
    const int32_t x = ((const decoder_entry *)a)->id, y = ((const decoder_entry *)b)->id;
    return x < y ? -1 : x > y;
}

static int32_t parse_id(const char *key)
{
    int32_t id = 0;
    if (!*key) return -1;
    for (const char *s = key; *s; s++) {
        if (*s < '0' || *s > '9' || id > CUD_TOKENIZER_MAX_ID / 10) return -1;
        id = id * 10 + (*s - '0');
    }
    return id <= CUD_TOKENIZER_MAX_ID ? id : -1;
}

static cuddle_status load_added_tokens_decoder(cuddle_tokenizer *t, const json_view *config, cuddle_error *err)
{
    json_view object;
    cuddle_status status = cud_json_object(&object, config, "added_tokens_decoder", CUD_JSON_NULLABLE, err);
    const size_t count = object.value ? json_object_size(object.value) : 0;
    if (status || !count) return status;
    decoder_entry *entry = calloc(count, sizeof *entry);
    if (!entry) return cud_nomem(err, count * sizeof *entry, "added tokens");
    const char *key;
    json_t *value;
    size_t used = 0;
    json_object_foreach(object.value, key, value)
    {
        entry[used] = (decoder_entry){ parse_id(key), key };
        if (entry[used++].id < 0 && !status)
            status = cud_fail(err, CUDDLE_E_FORMAT,
                              "tokenizer_config.json: \"added_tokens_decoder\" has a key \"%.40s\", expected an id", key);
    }
    qsort(entry, used, sizeof *entry, by_id);
    for (size_t i = 0; i < used && !status; i++) {
        json_view json;
        cud_added_token token = { 0 };
        status = cud_json_object(&json, &object, entry[i].key, CUD_JSON_REQUIRED, err);
        if (!status) status = cud_load_added_flags(&token, &json, CUD_JSON_OPTIONAL, err);
        if (!status) status = cud_load_added_token(t, token, entry[i].id, true, "tokenizer_config.json", err);
    }
    free(entry);
    return status;
}

static const char *const names[CUDDLE_SPECIAL_COUNT] = {
    [CUDDLE_SPECIAL_BOS] = "bos_token",  [CUDDLE_SPECIAL_EOS] = "eos_token", [CUDDLE_SPECIAL_UNK] = "unk_token",
    [CUDDLE_SPECIAL_SEP] = "sep_token",  [CUDDLE_SPECIAL_PAD] = "pad_token", [CUDDLE_SPECIAL_CLS] = "cls_token",
    [CUDDLE_SPECIAL_MASK] = "mask_token"
};

static bool is_token(const json_t *value, const char *content)
{
    if (json_is_object(value)) value = json_object_get(value, "content");
    return json_is_string(value) && strcmp(json_string_value(value), content) == 0;
}

/* Does this file name the token as a special one? */
static bool is_named(const json_view *in, const char *content)
{
    static const char *const lists[] = { "extra_special_tokens", "additional_special_tokens" };
    bool named = false;
    for (int i = 0; i < CUDDLE_SPECIAL_COUNT; i++) named |= is_token(json_object_get(in->value, names[i]), content);
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        size_t i;
        json_t *value;
        json_array_foreach(json_object_get(in->value, lists[k]), i, value) named |= is_token(value, content);
    }
    return named;
}

/* {"content": id}: tokens that nothing names as special are ordinary ones. */
static cuddle_status load_added_tokens_json(cuddle_tokenizer *t, const json_view *added, const json_view *config,
                                            const json_view *map, cuddle_error *err)
{
    const size_t count = json_object_size(added->value);
    decoder_entry *entry = calloc(count + 1, sizeof *entry);
    if (!entry) return cud_nomem(err, (count + 1) * sizeof *entry, "added tokens");
    cuddle_status status = CUDDLE_OK;
    const char *key;
    json_t *value;
    size_t used = 0;
    json_object_foreach(added->value, key, value)
    {
        int64_t id = 0;
        if (!status) status = cud_json_int(&id, added, key, CUD_JSON_REQUIRED, 0, CUD_TOKENIZER_MAX_ID, err);
        entry[used++] = (decoder_entry){ (int32_t)id, key };
    }
    qsort(entry, used, sizeof *entry, by_id);
    for (size_t i = 0; i < used && !status; i++) {
        const size_t length = strlen(entry[i].key);
        if (cud_added_find(&t->added, entry[i].key, length)) continue; /* tokenizer.json knows better */
        const bool special = is_named(config, entry[i].key) || is_named(map, entry[i].key);
        const cud_added_token token = {
            .content = (char *)(uintptr_t)entry[i].key, .length = length, .normalized = !special, .special = special
        };
        status = cud_load_added_token(t, token, entry[i].id, false, "added_tokens.json", err);
    }
    free(entry);
    return status;
}

/* A token, a string or an object; null is none. *id is set to its id. */
static cuddle_status load_named(cuddle_tokenizer *t, const json_view *in, const char *key, int32_t *id, cuddle_error *err)
{
    json_t *value = key ? json_object_get(in->value, key) : in->value;
    cud_added_token token = { .special = true };
    cuddle_status status = CUDDLE_OK;
    if (!value || json_is_null(value)) return CUDDLE_OK;
    if (json_is_string(value)) {
        token.content = (char *)(uintptr_t)json_string_value(value);
        token.length = json_string_length(value);
    } else if (!json_is_object(value)) {
        return cud_json_wrong(in, key, err, CUDDLE_E_FORMAT, "a token: a string or an object");
    } else {
        json_view json;
        status = cud_json_object(&json, in, key, CUD_JSON_REQUIRED, err);
        if (!status) status = cud_load_added_flags(&token, &json, CUD_JSON_OPTIONAL, err);
        token.special = true;
    }
    if (!status && !cud_added_find(&t->added, token.content, token.length))
        status = cud_load_added_token(t, token, -1, false, in->file, err);
    if (!status && id) *id = cud_tokenizer_id(t, token.content);
    return status;
}

/* A list of tokens, or an object whose members are tokens. */
static cuddle_status load_extra(cuddle_tokenizer *t, const json_view *config, const char *key, cuddle_error *err)
{
    json_t *value = json_object_get(config->value, key);
    json_view in;
    size_t count = 0;
    cuddle_status status;
    if (json_is_object(value)) {
        const char *name;
        json_t *member;
        status = cud_json_object(&in, config, key, CUD_JSON_REQUIRED, err);
        json_object_foreach(value, name, member)
        {
            if (!status) status = load_named(t, &in, name, NULL, err);
        }
        return status;
    }
    status = cud_json_array(&in, &count, config, key, CUD_JSON_NULLABLE, err);
    for (size_t i = 0; i < count && !status; i++) {
        const json_view element = cud_json_element(&in, i);
        status = load_named(t, &element, NULL, NULL, err);
    }
    return status;
}

/* "image_token": "<image>" and the like: names of a model's own. */
static cuddle_status load_own_names(cuddle_tokenizer *t, const json_view *in, cuddle_error *err)
{
    static const char suffix[] = "_token";
    const char *key;
    json_t *value;
    cuddle_status status = CUDDLE_OK;
    json_object_foreach(in->value, key, value)
    {
        const size_t length = strlen(key);
        bool own = json_is_string(value) && length > strlen(suffix) && strcmp(key + length - strlen(suffix), suffix) == 0;
        for (int i = 0; i < CUDDLE_SPECIAL_COUNT && own; i++) own = strcmp(key, names[i]) != 0;
        if (own && !status) status = load_named(t, in, key, NULL, err);
    }
    return status;
}

static cuddle_status load_side(cuddle_side *out, const json_view *config, const char *key, cuddle_error *err)
{
    const char *side = NULL;
    const cuddle_status status = cud_json_string(&side, config, key, CUD_JSON_NULLABLE, err);
    if (status || !side) return status;
    if (strcmp(side, "left") != 0 && strcmp(side, "right") != 0)
        return cud_json_wrong(config, key, err, CUDDLE_E_FORMAT, "\"left\" or \"right\"");
    *out = *side == 'l' ? CUDDLE_SIDE_LEFT : CUDDLE_SIDE_RIGHT;
    return CUDDLE_OK;
}

static cuddle_status load_lengths(cuddle_tokenizer *t, const json_view *config, cuddle_error *err)
{
    double length = 0;
    cuddle_status status = cud_json_number(&length, config, "model_max_length", CUD_JSON_NULLABLE, 0, INFINITY, err);
    if (!status) status = load_side(&t->truncation_side, config, "truncation_side", err);
    if (!status) status = load_side(&t->padding_side, config, "padding_side", err);
    if (!status && length <= INT32_MAX) t->max_length = (size_t)length; /* 10^30 is how transformers writes "none" */
    return status;
}

static cuddle_status load_clean_up(cuddle_tokenizer *t, const json_view *config, cuddle_error *err)
{
    bool clean = false, clean_bpe = false;
    cuddle_status status = cud_json_bool(&clean, config, "clean_up_tokenization_spaces", CUD_JSON_NULLABLE, err);
    if (!status)
        status = cud_json_bool(&clean_bpe, config, "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output",
                               CUD_JSON_NULLABLE, err);
    if (status || !clean) return status;
    return strcmp(t->model.item[0].type->name, "BPE") != 0 || clean_bpe ? cud_cleanup_add(&t->decoders, err) : CUDDLE_OK;
}

cuddle_status cud_load_config(cuddle_tokenizer *t, const json_view *config, const json_view *map, const json_view *added,
                              cuddle_error *err)
{
    const bool old = !cud_json_has(config, "added_tokens_decoder");
    cuddle_status status = load_added_tokens_decoder(t, config, err);
    const json_view *const from_map = old && map->value ? map : config;
    if (!status && old && added->value) status = load_added_tokens_json(t, added, config, from_map, err);
    for (int i = 0; i < CUDDLE_SPECIAL_COUNT && !status; i++)
        status = load_named(t, json_object_get(from_map->value, names[i]) ? from_map : config, names[i], &t->named[i], err);
    if (!status) status = load_own_names(t, config, err);
    if (!status && from_map != config) status = load_own_names(t, from_map, err);
    if (!status) status = load_extra(t, config, "additional_special_tokens", err);
    if (!status) status = load_extra(t, config, "extra_special_tokens", err);
    if (!status && from_map != config) status = load_extra(t, from_map, "additional_special_tokens", err);
    if (!status && from_map != config) status = load_extra(t, from_map, "extra_special_tokens", err);
    if (!status) status = load_lengths(t, config, err);
    return status ? status : load_clean_up(t, config, err);
}
