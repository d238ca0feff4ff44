/* tokenizer_config.json, as transformers 5 applies it to a tokenizer.json: added_tokens_decoder may change flags and add tokens,
 * named special tokens are added if they are not yet, clean_up_tokenization_spaces changes decoding (but not for BPE). Chat
 * templates are another file's business, and add_bos_token and add_eos_token are in the post-processor as it was saved. */
#include "text/load.h"

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

/* A named special token, a string or an object; null is none. */
static cuddle_status load_named(cuddle_tokenizer *t, const json_view *in, const char *key, cuddle_error *err)
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
    if (status || cud_added_find(&t->added, token.content, token.length)) return status;
    return cud_load_added_token(t, token, -1, false, "tokenizer_config.json", err);
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
            if (!status) status = load_named(t, &in, name, err);
        }
        return status;
    }
    status = cud_json_array(&in, &count, config, key, CUD_JSON_NULLABLE, err);
    for (size_t i = 0; i < count && !status; i++) {
        const json_view element = cud_json_element(&in, i);
        status = load_named(t, &element, NULL, err);
    }
    return status;
}

cuddle_status cud_load_config(cuddle_tokenizer *t, const json_view *config, cuddle_error *err)
{
    static const char *const names[] = {
        "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"
    };
    bool clean = false, clean_bpe = false;
    cuddle_status status = load_added_tokens_decoder(t, config, err);
    for (size_t i = 0; i < sizeof names / sizeof *names && !status; i++) status = load_named(t, config, names[i], err);
    if (!status) status = load_extra(t, config, "additional_special_tokens", err);
    if (!status) status = load_extra(t, config, "extra_special_tokens", err);
    if (!status) status = cud_json_bool(&clean, config, "clean_up_tokenization_spaces", CUD_JSON_NULLABLE, err);
    if (!status)
        status = cud_json_bool(&clean_bpe, config, "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output",
                               CUD_JSON_NULLABLE, err);
    if (status || !clean) return status;
    return strcmp(t->model.item[0].type->name, "BPE") != 0 || clean_bpe ? cud_cleanup_add(&t->decoders, err) : CUDDLE_OK;
}
