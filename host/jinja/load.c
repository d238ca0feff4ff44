/* Where a checkpoint keeps its chat templates, and the special tokens they speak of. */
#include "format/json.h"
#include "format/path.h"
#include "jinja/chat.h"
#include "text/tokenizer.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEMPLATES_MOST = 64, FILE_MOST = 4 << 20, TOKENS_MOST = 256 };

void cud_chat_free(cuddle_chat_template *t)
{
    if (!t) return;
    for (int i = 0; i < t->count; i++) {
        free(t->entry[i].name);
        cud_j_template_free(t->entry[i].template);
    }
    for (int i = 0; i < t->tokens; i++) {
        free(t->token[i].name);
        free(t->token[i].content);
    }
    free(t->entry);
    free(t->token);
    free(t);
}

static cuddle_status add_template(cuddle_chat_template *t, const char *name, const char *text, size_t size, const char *label,
                                  cuddle_error *err)
{
    for (int i = 0; i < t->count; i++)
        if (strcmp(t->entry[i].name, name) == 0)
            return cud_fail(err, CUDDLE_E_FORMAT, "%s: two templates are named '%.60s'", label, name);
    if (t->count == TEMPLATES_MOST) return cud_fail(err, CUDDLE_E_LIMIT, "%s: more than %d templates", label, (int)TEMPLATES_MOST);
    if (!t->entry && !(t->entry = calloc(TEMPLATES_MOST, sizeof *t->entry)))
        return cud_nomem(err, TEMPLATES_MOST * sizeof *t->entry, "chat templates");
    chat_entry *entry = &t->entry[t->count];
    entry->name = strdup(name);
    if (!entry->name) return cud_nomem(err, strlen(name) + 1, "a template's name");
    t->count++;
    return cud_j_parse(&entry->template, text, size, label, err);
}

/* ------------------------------------------------------------------------------------------------------------- files */

static cuddle_status add_file(cuddle_chat_template *t, const char *name, const char *path, cuddle_error *err)
{
    source *s = NULL;
    char *text = NULL;
    cuddle_status status = cud_source_open_file(&s, path, err);
    if (status) return status;
    if (s->size > FILE_MOST)
        status = cud_fail(err, CUDDLE_E_LIMIT, "%s: has %llu bytes, at most %d are read", cud_path_name(path),
                          (unsigned long long)s->size, (int)FILE_MOST);
    if (!status && !(text = malloc((size_t)s->size + 1))) status = cud_nomem(err, (size_t)s->size + 1, cud_path_name(path));
    if (!status) status = cud_source_read(s, text, 0, (size_t)s->size, err);
    if (!status) status = add_template(t, name, text, (size_t)s->size, cud_path_name(path), err);
    free(text);
    cud_source_close(s);
    return status;
}

static int is_template(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && cud_path_has_suffix(entry->d_name, ".jinja");
}

static cuddle_status add_folder(cuddle_chat_template *t, const char *folder, cuddle_error *err)
{
    struct dirent **entry = NULL;
    const int count = scandir(folder, &entry, is_template, alphasort);
    cuddle_status status = count >= 0 ? CUDDLE_OK : cud_fail(err, CUDDLE_E_IO, "%s: %s", folder, cud_path_reason(errno));
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        if (!status) status = cud_path_join(&path, folder, entry[i]->d_name, err);
        if (!status) {
            entry[i]->d_name[strlen(entry[i]->d_name) - strlen(".jinja")] = 0;
            status = add_file(t, entry[i]->d_name, path, err);
        }
        free(path);
        free(entry[i]);
    }
    free(entry);
    return status;
}

/* -------------------------------------------------------------------------------------------------------------- JSON */

/* "chat_template": a text, or a list of {"name": ..., "template": ...}. */
static cuddle_status add_member(cuddle_chat_template *t, const json_view *in, cuddle_error *err)
{
    json_t *value = json_object_get(in->value, "chat_template");
    char label[200];
    if (!value || json_is_null(value)) return CUDDLE_OK;
    if (json_is_string(value)) {
        snprintf(label, sizeof label, "%s: chat_template", in->file);
        return add_template(t, "default", json_string_value(value), json_string_length(value), label, err);
    }
    json_view list;
    size_t count;
    if (!json_is_array(value))
        return cud_json_wrong(in, "chat_template", err, CUDDLE_E_FORMAT, "a template or a list of named ones");
    cuddle_status status = cud_json_array(&list, &count, in, "chat_template", CUD_JSON_REQUIRED, err);
    for (size_t i = 0; i < count && !status; i++) {
        const json_view element = cud_json_element(&list, i);
        json_view object;
        const char *name = "", *text = "";
        status = cud_json_object(&object, &element, NULL, CUD_JSON_REQUIRED, err);
        if (!status) status = cud_json_string(&name, &object, "name", CUD_JSON_REQUIRED, err);
        if (!status) status = cud_json_string(&text, &object, "template", CUD_JSON_REQUIRED, err);
        snprintf(label, sizeof label, "%s: chat_template '%.60s'", in->file, name);
        if (!status) status = add_template(t, name, text, strlen(text), label, err);
    }
    return status;
}

/* A later file's token takes the place of an earlier one's. */
static cuddle_status add_token(cuddle_chat_template *t, const char *name, const char *content, cuddle_error *err)
{
    int i = 0;
    while (i < t->tokens && strcmp(t->token[i].name, name) != 0) i++;
    if (i == TOKENS_MOST) return cud_fail(err, CUDDLE_E_LIMIT, "more than %d named special tokens", (int)TOKENS_MOST);
    if (!t->token && !(t->token = calloc(TOKENS_MOST, sizeof *t->token)))
        return cud_nomem(err, TOKENS_MOST * sizeof *t->token, "special tokens");
    char *copy = strdup(content), *key = i == t->tokens ? strdup(name) : t->token[i].name;
    if (!copy || !key) {
        free(copy);
        if (i == t->tokens) free(key);
        return cud_nomem(err, strlen(content) + strlen(name) + 2, "a special token");
    }
    free(t->token[i].content);
    t->token[i] = (chat_token){ key, copy };
    t->tokens += i == t->tokens;
    return CUDDLE_OK;
}

/* A text, or an object with "content"; anything else says nothing here. */
static cuddle_status add_token_member(cuddle_chat_template *t, const char *name, const json_t *value, cuddle_error *err)
{
    if (json_is_object(value)) value = json_object_get(value, "content");
    return json_is_string(value) ? add_token(t, name, json_string_value(value), err) : CUDDLE_OK;
}

static cuddle_status add_tokens(cuddle_chat_template *t, json_t *root, cuddle_error *err)
{
    static const char *const names[] = {
        "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"
    };
    static const char *const more[] = { "extra_special_tokens", "model_specific_special_tokens" }; /* {"image_token": "<image>"} */
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && !status; i++)
        status = add_token_member(t, names[i], json_object_get(root, names[i]), err);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        json_t *object = json_object_get(root, more[i]), *value;
        const char *key;
        if (!json_is_object(object)) continue;
        json_object_foreach(object, key, value)
        {
            if (!status) status = add_token_member(t, key, value, err);
        }
    }
    return status;
}

/* The root of folder/name, or NULL if there is no such file. */
static cuddle_status read_json(json_t **out, const char *folder, const char *name, cuddle_error *err)
{
    char *path = NULL;
    *out = NULL;
    cuddle_status status = cud_path_join(&path, folder, name, err);
    if (!status && cud_path_is_file(path)) status = cud_json_load(out, path, CUD_TOKENIZER_MAX_REST, err);
    free(path);
    return status;
}

static cuddle_status add_from_json(cuddle_chat_template *t, const char *folder, const char *name, bool tokens, cuddle_error *err)
{
    json_t *root = NULL, *map = NULL;
    cuddle_status status = read_json(&root, folder, name, err);
    if (!status && root && !t->count) {
        const json_view view = cud_json_view(root, name);
        status = add_member(t, &view, err);
    }
    if (!status && root && tokens) status = add_tokens(t, root, err);
    /* As in transformers, the other file counts where the configuration does not list its added tokens. */
    if (!status && tokens && !json_object_get(root, "added_tokens_decoder")) {
        status = read_json(&map, folder, "special_tokens_map.json", err);
        if (!status && map) status = add_tokens(t, map, err);
    }
    json_decref(map);
    json_decref(root);
    return status;
}

/* ------------------------------------------------------------------------------------------------------------- whole */

static cuddle_status load_folder(cuddle_chat_template *t, const char *folder, cuddle_error *err)
{
    char *file = NULL, *more = NULL;
    cuddle_status status = cud_path_join(&file, folder, "chat_template.jinja", err);
    if (!status) status = cud_path_join(&more, folder, "additional_chat_templates", err);
    if (!status && cud_path_is_file(file)) status = add_file(t, "default", file, err);
    if (!status && cud_path_is_directory(more)) status = add_folder(t, more, err);
    if (!status) status = add_from_json(t, folder, "tokenizer_config.json", true, err);
    if (!status && !t->count) status = add_from_json(t, folder, "chat_template.json", false, err);
    if (!status && !t->count)
        status =
            cud_fail(err, CUDDLE_E_UNSUPPORTED,
                     "%s: has no chat template: neither chat_template.jinja nor chat_template in tokenizer_config.json", folder);
    free(file);
    free(more);
    return status;
}

static cuddle_status load_file(cuddle_chat_template *t, const char *path, cuddle_error *err)
{
    char *folder = strndup(path, (size_t)(cud_path_name(path) - path));
    if (!folder) return cud_nomem(err, strlen(path) + 1, "a path");
    cuddle_status status = add_file(t, "default", path, err);
    if (!status) status = add_from_json(t, folder, "tokenizer_config.json", true, err);
    free(folder);
    return status;
}

cuddle_status cud_chat_load(cuddle_chat_template **out, const char *path, cuddle_error *err)
{
    *out = NULL;
    cuddle_chat_template *t = calloc(1, sizeof *t);
    if (!t) return cud_nomem(err, sizeof *t, "a chat template");
    const cuddle_status status = cud_path_is_directory(path) ? load_folder(t, path, err) : load_file(t, path, err);
    if (status)
        cud_chat_free(t);
    else
        *out = t;
    return status;
}

cuddle_status cud_chat_parse(cuddle_chat_template **out, const char *text, size_t length, cuddle_error *err)
{
    *out = NULL;
    cuddle_chat_template *t = calloc(1, sizeof *t);
    if (!t) return cud_nomem(err, sizeof *t, "a chat template");
    const cuddle_status status = add_template(t, "default", text, length, "chat template", err);
    if (status)
        cud_chat_free(t);
    else
        *out = t;
    return status;
}
