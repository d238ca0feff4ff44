/* Loading: tokenizer.json, and tokenizer_config.json where it changes what transformers' tokenizer does. */
#include "text/load.h"

#include "format/path.h"

#include <stdlib.h>
#include <string.h>

/* ---- added tokens ---- */

/* The id that the reference gives a token: its id in the vocabulary, or the next free one. Ids in files are not read there but
 * compared, with a warning; here a difference is refused. */
static int32_t assigned_id(const cuddle_tokenizer *t, const char *content, size_t length)
{
    const int32_t known = cud_vocab_find(&t->model_vocab, content, length);
    if (known >= 0) return known;
    const int32_t size = (int32_t)(t->model_vocab.count + t->model_vocab.aliases), last = t->added_vocab.ids - 1;
    return last >= size ? last + 1 : size;
}

cuddle_status cud_load_added_token(cuddle_tokenizer *t, cud_added_token token, int64_t id, bool replace, const char *file,
                                   cuddle_error *err)
{
    if (!token.length) return CUDDLE_OK; /* as in the reference */
    const cud_added_token *old = cud_added_find(&t->added, token.content, token.length);
    token.id = old ? old->id : assigned_id(t, token.content, token.length);
    if (id >= 0 && id != token.id)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED,
                        "%s: added token \"%.60s\" has id %lld where the reference implementation gives it %d", file, token.content,
                        (long long)id, (int)token.id);
    if (old && !replace &&
        (old->single_word != token.single_word || old->lstrip != token.lstrip || old->rstrip != token.rstrip ||
         old->normalized != token.normalized || old->special != token.special))
        return cud_fail(err, CUDDLE_E_FORMAT, "%s: added token \"%.60s\" is there twice and differs", file, token.content);
    cuddle_status status = cud_vocab_add(&t->added_vocab, token.content, token.length, token.id, err);
    return status ? status : cud_added_put(&t->added, token, err);
}

cuddle_status cud_load_added_flags(cud_added_token *token, const json_view *json, unsigned flags, cuddle_error *err)
{
    const char *content = NULL;
    cuddle_status status = cud_json_string(&content, json, "content", CUD_JSON_REQUIRED, err);
    if (!status) status = cud_json_bool(&token->special, json, "special", flags, err);
    token->normalized = !token->special;
    if (!status) status = cud_json_bool(&token->single_word, json, "single_word", flags, err);
    if (!status) status = cud_json_bool(&token->lstrip, json, "lstrip", flags, err);
    if (!status) status = cud_json_bool(&token->rstrip, json, "rstrip", flags, err);
    if (!status) status = cud_json_bool(&token->normalized, json, "normalized", flags, err);
    if (status) return status;
    token->content = (char *)(uintptr_t)content; /* copied when it is added */
    token->length = strlen(content);
    return CUDDLE_OK;
}

static cuddle_status load_added_tokens(cuddle_tokenizer *t, const json_view *root, cuddle_error *err)
{
    static const char *const fields[] = { "id", "content", "single_word", "lstrip", "rstrip", "normalized", "special", NULL };
    json_view list;
    size_t count = 0;
    cuddle_status status = cud_json_array(&list, &count, root, "added_tokens", CUD_JSON_NULLABLE, err);
    for (size_t i = 0; i < count && !status; i++) {
        const json_view element = cud_json_element(&list, i);
        cud_part part = { .label = "added token" };
        cud_added_token token = { 0 };
        int64_t id = -1;
        status = cud_json_object(&part.json, &element, NULL, CUD_JSON_REQUIRED, err);
        if (!status) status = cud_part_fields(&part, fields, err);
        if (!status) status = cud_json_int(&id, &part.json, "id", CUD_JSON_REQUIRED, 0, CUD_TOKENIZER_MAX_ID, err);
        if (!status) status = cud_load_added_flags(&token, &part.json, CUD_JSON_REQUIRED, err);
        if (!status) status = cud_load_added_token(t, token, id, false, "tokenizer.json", err);
    }
    return status;
}

/* ---- the whole ---- */

static cuddle_status check_root(const json_view *root, cuddle_error *err)
{
    static const char *const known[] = {
        "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model"
    }; /* transformers ignores truncation and padding unless it is asked */
    const char *version = "1.0", *key;
    json_t *value;
    cuddle_status status = cud_json_string(&version, root, "version", CUD_JSON_OPTIONAL, err);
    if (status) return status;
    if (strcmp(version, "1.0") != 0) return cud_json_wrong(root, "version", err, CUDDLE_E_UNSUPPORTED, "\"1.0\"");
    json_object_foreach(root->value, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) found |= strcmp(key, known[i]) == 0;
        if (!found) return cud_fail(err, CUDDLE_E_UNSUPPORTED, "tokenizer.json: field \"%.60s\" is not supported", key);
    }
    return CUDDLE_OK;
}

static cuddle_status finish(cuddle_tokenizer *t, cuddle_error *err)
{
    t->size = t->model_vocab.ids > t->added_vocab.ids ? t->model_vocab.ids : t->added_vocab.ids;
    t->special = calloc((size_t)t->size + 1, 1);
    if (!t->special) return cud_nomem(err, (size_t)t->size + 1, "special tokens");
    const cud_components *steps = &t->pre_tokenizers;
    if (steps->count && steps->item[steps->count - 1].type == &cud_pre_tokenizer_byte_level.base && t->model.item[0].type == &cud_model_bpe.base &&
        cud_bpe_take_bytes(t->model.item[0].config, &t->model_vocab))
        cud_byte_level_leave_bytes(steps->item[steps->count - 1].config);
    const cuddle_status status = cud_workshop_new(&t->workshop, (const cud_model_type *)t->model.item[0].type, err);
    if (status) return status;
    for (uint32_t i = 0; i < t->added.count; i++) t->special[t->added.token[i].id] = t->added.token[i].special;
    return cud_added_ready(&t->added, &t->normalizers, err);
}

static cuddle_status check_size(const char *file, uint64_t size, int most, cuddle_error *err)
{
    if (size <= (uint64_t)most) return CUDDLE_OK;
    return cud_fail(err, CUDDLE_E_LIMIT, "%s: %llu bytes, expected at most %d", file, (unsigned long long)size, most);
}

cuddle_status cud_tokenizer_parse(cuddle_tokenizer **out, const char *json, size_t size, const char *config, size_t config_size,
                                  cuddle_error *err)
{
    *out = NULL;
    cuddle_status status = check_size("tokenizer.json", size, CUD_TOKENIZER_MAX_FILE, err);
    if (!status) status = check_size("tokenizer_config.json", config_size, CUD_TOKENIZER_MAX_REST, err);
    if (status) return status;
    cud_document document = { 0 };
    json_t *config_root = NULL;
    cuddle_tokenizer *t = calloc(1, sizeof *t);
    if (!t) return cud_nomem(err, sizeof *t, "a tokenizer");
    cud_vocab_init(&t->model_vocab);
    cud_vocab_init(&t->added_vocab);
    status = cud_document_parse(&document, json, size, err);
    if (!status && config) status = cud_json_parse(&config_root, config, config_size, "tokenizer_config.json", err);
    if (status) goto end;
    const json_view view = cud_json_view(document.root, "tokenizer.json");
    status = check_root(&view, err);
    if (!status) status = cud_components_parse(&t->model, &cud_models, &document, &t->model_vocab, err);
    if (!status && !t->model.count) status = cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: \"model\" is missing");
    if (!status) status = cud_components_parse(&t->normalizers, &cud_normalizers, &document, &t->model_vocab, err);
    if (!status) status = cud_components_parse(&t->pre_tokenizers, &cud_pre_tokenizers, &document, &t->model_vocab, err);
    if (!status) status = cud_components_parse(&t->processors, &cud_processors, &document, &t->model_vocab, err);
    if (!status) status = cud_components_parse(&t->decoders, &cud_decoders, &document, &t->model_vocab, err);
    if (!status) status = load_added_tokens(t, &view, err);
    if (!status && !cud_json_has(&view, "decoder")) status = cud_components_add(&t->decoders, &cud_decoder_join.base, NULL, err);
    if (!status && config_root) {
        const json_view config_view = cud_json_view(config_root, "tokenizer_config.json");
        status = cud_load_config(t, &config_view, err);
    }
    if (!status) status = finish(t, err);
end:
    cud_document_free(&document);
    json_decref(config_root);
    if (status)
        cud_tokenizer_free(t);
    else
        *out = t;
    return status;
}

static cuddle_status read_file(char **out, size_t *size, const char *path, int most, cuddle_error *err)
{
    source *s = NULL;
    cuddle_status status = cud_source_open_file(&s, path, err);
    if (status) return status;
    status = check_size(cud_path_name(path), s->size, most, err);
    if (!status) {
        *size = (size_t)s->size;
        *out = malloc(*size + 1);
        status = *out ? cud_source_read(s, *out, 0, *size, err) : cud_nomem(err, *size + 1, cud_path_name(path));
    }
    cud_source_close(s);
    return status;
}

cuddle_status cud_tokenizer_find(bool *found, const char *dir, cuddle_error *err)
{
    char *path = NULL;
    *found = false;
    cuddle_status status = cud_path_join(&path, dir, "tokenizer.json", err);
    if (!status) status = cud_path_find(found, path, err);
    free(path);
    return status;
}

cuddle_status cud_tokenizer_load(cuddle_tokenizer **out, const char *path, cuddle_error *err)
{
    *out = NULL;
    char *file = NULL, *config = NULL, *text = NULL, *config_text = NULL;
    size_t size = 0, config_size = 0;
    bool has_config = false;
    const bool is_folder = cud_path_is_directory(path);
    char *folder = strndup(path, is_folder ? strlen(path) : (size_t)(cud_path_name(path) - path));
    cuddle_status status = folder ? CUDDLE_OK : cud_nomem(err, strlen(path) + 1, "a path");
    if (!status) status = cud_path_join(&file, is_folder ? folder : "", is_folder ? "tokenizer.json" : path, err);
    if (!status) status = cud_path_join(&config, folder, "tokenizer_config.json", err);
    if (!status) status = read_file(&text, &size, file, CUD_TOKENIZER_MAX_FILE, err);
    if (!status) status = cud_path_find(&has_config, config, err);
    if (has_config) status = read_file(&config_text, &config_size, config, CUD_TOKENIZER_MAX_REST, err);
    if (!status) status = cud_tokenizer_parse(out, text, size, config_text, config_size, err);
    free(file);
    free(folder);
    free(config);
    free(text);
    free(config_text);
    return status;
}
