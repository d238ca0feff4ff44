/* Loading: tokenizer.json, and tokenizer_config.json where it changes what transformers' tokenizer does. */
#include "text/load.h"
#include "text/convert.h"
#include "text/lexicon.h"

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
    if (old) token.special |= old->special; /* the reference forgets no special token */
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
    static const char *const known[] = { "version",       "truncation",     "padding", "added_tokens", "normalizer",
                                         "pre_tokenizer", "post_processor", "decoder", "model" };
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

/* The sections on length. They are obeyed only where the caller asks for that; the pad token is one as in transformers. */
static cuddle_status load_lengths(cuddle_tokenizer *t, const json_view *root, cuddle_error *err)
{
    const char *pad_token = NULL;
    cuddle_status status = cud_settings_parse_cut(&t->file_cut, root, err);
    if (!status) status = cud_settings_parse_pad(&t->file_pad, &pad_token, root, err);
    if (status) return status;
    if (pad_token) t->named[CUDDLE_SPECIAL_PAD] = cud_tokenizer_id(t, pad_token);
    if (t->file_cut.strategy) t->truncation_side = t->file_cut.left ? CUDDLE_SIDE_LEFT : CUDDLE_SIDE_RIGHT;
    if (t->file_pad.kind) t->padding_side = t->file_pad.left ? CUDDLE_SIDE_LEFT : CUDDLE_SIDE_RIGHT;
    return CUDDLE_OK;
}

static cuddle_status finish(cuddle_tokenizer *t, cuddle_error *err)
{
    t->size = t->model_vocab.ids > t->added_vocab.ids ? t->model_vocab.ids : t->added_vocab.ids;
    t->special = calloc((size_t)t->size + 1, 1);
    if (!t->special) return cud_nomem(err, (size_t)t->size + 1, "special tokens");
    const cud_components *steps = &t->pre_tokenizers;
    if (steps->count && steps->item[steps->count - 1].type == &cud_pre_tokenizer_byte_level.base &&
        t->model.item[0].type == &cud_model_bpe.base && cud_bpe_take_bytes(t->model.item[0].config, &t->model_vocab))
        cud_byte_level_leave_bytes(steps->item[steps->count - 1].config);
    cuddle_status status = cud_workshop_new(&t->workshop, (const cud_model_type *)t->model.item[0].type, err);
    if (!status) status = cud_lexicon_slot_new(&t->lexicon, err);
    if (status) return status;
    for (uint32_t i = 0; i < t->added.count; i++) t->special[t->added.token[i].id] = t->added.token[i].special;
    return cud_added_ready(&t->added, &t->normalizers, err);
}

static cuddle_status check_size(const char *file, uint64_t size, int most, cuddle_error *err)
{
    if (size <= (uint64_t)most) return CUDDLE_OK;
    return cud_fail(err, CUDDLE_E_LIMIT, "%s: %llu bytes, expected at most %d", file, (unsigned long long)size, most);
}

static const char *const file_names[CUD_FILE_COUNT] = { [CUD_FILE_TOKENIZER] = "tokenizer.json",
                                                        [CUD_FILE_CONFIG] = "tokenizer_config.json",
                                                        [CUD_FILE_SPECIAL_MAP] = "special_tokens_map.json",
                                                        [CUD_FILE_ADDED] = "added_tokens.json" };

static int most_bytes(int file) { return file == CUD_FILE_TOKENIZER ? CUD_TOKENIZER_MAX_FILE : CUD_TOKENIZER_MAX_REST; }

static cuddle_status parse_tokenizer(cuddle_tokenizer *t, cud_document *document, cuddle_error *err)
{
    const json_view view = cud_json_view(document->root, "tokenizer.json");
    cuddle_status status = check_root(&view, err);
    if (!status) status = cud_components_parse(&t->model, &cud_models, document, &t->model_vocab, err);
    if (!status && !t->model.count) status = cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: \"model\" is missing");
    if (!status) status = cud_components_parse(&t->normalizers, &cud_normalizers, document, &t->model_vocab, err);
    if (!status) status = cud_components_parse(&t->pre_tokenizers, &cud_pre_tokenizers, document, &t->model_vocab, err);
    if (!status) status = cud_components_parse(&t->processors, &cud_processors, document, &t->model_vocab, err);
    if (!status) status = cud_components_parse(&t->decoders, &cud_decoders, document, &t->model_vocab, err);
    if (!status) status = load_added_tokens(t, &view, err);
    if (!status) status = load_lengths(t, &view, err);
    if (!status && !cud_json_has(&view, "decoder")) status = cud_components_add(&t->decoders, &cud_decoder_join.base, NULL, err);
    return status;
}

static const char *const named_keys[CUDDLE_SPECIAL_COUNT] = { "bos_token", "eos_token", "unk_token", "sep_token",
                                                              "pad_token", "cls_token", "mask_token" };

/* A mask token that is a string takes the white space before it, where the class has it so. */
static bool object_of_mask(json_t *file, const cud_recipe *class)
{
    json_t *mask = json_object_get(file, "mask_token");
    if (!(class->flags & CUD_CLASS_MASK_STRIPS) || !json_is_string(mask)) return true;
    json_t *object =
        json_pack("{s:O,s:b,s:b}", "content", mask, "lstrip", 1, "normalized", (class->flags & CUD_CLASS_MASK_NORMALIZED) != 0);
    return object && json_object_set_new(file, "mask_token", object) == 0;
}

/* Behind a model that begins a text with a space, added tokens are looked for in the text as it was given. */
static bool look_in_given_text(json_t *config, const cud_conversion *c)
{
    const char *key;
    json_t *value;
    bool failed = false;
    if (!(c->model & CUD_MODEL_DUMMY)) return true;
    json_object_foreach(json_object_get(config, "added_tokens_decoder"), key, value)
    {
        if (json_is_object(value)) failed |= json_object_set_new(value, "normalized", json_false()) != 0;
    }
    return !failed;
}

/* What the class says where tokenizer_config.json does not. */
static cuddle_status add_defaults(json_t **config, json_t *map, const cud_conversion *c, cuddle_error *err)
{
    const cud_recipe *class = c->class;
    bool failed = false;
    if (!*config) *config = json_object();
    for (int i = 0; i < CUDDLE_SPECIAL_COUNT && *config; i++)
        if (cud_convert_default(c, (cuddle_special)i) && !json_object_get(*config, named_keys[i]))
            failed |= json_object_set_new(*config, named_keys[i], json_string(cud_convert_default(c, (cuddle_special)i))) != 0;
    for (const char *const *own = class->own; own && *own && *config; own += 2)
        if (!json_object_get(*config, own[0])) failed |= json_object_set_new(*config, own[0], json_string(own[1])) != 0;
    failed |= !look_in_given_text(*config, c) || !object_of_mask(*config, class) || !object_of_mask(map, class);
    return *config && !failed ? CUDDLE_OK : cud_nomem(err, 64, "tokenizer_config.json");
}

/* The tokens of added_tokens_decoder, as keys. */
static cuddle_status list_decoder(json_t **out, const json_view *config, cuddle_error *err)
{
    const char *key;
    json_t *value, *list = json_object();
    bool failed = !list;
    json_object_foreach(json_object_get(config->value, "added_tokens_decoder"), key, value)
    {
        const char *content = json_string_value(json_object_get(value, "content"));
        if (content && list) failed |= json_object_set_new(list, content, json_true()) != 0;
    }
    *out = list;
    return failed ? cud_nomem(err, 64, "added tokens") : CUDDLE_OK;
}

/* What the vocabulary file says, unless a list says otherwise. The flags of a piece count more than those of a named token, but
 * less than those in a file of added tokens. */
static cuddle_status add_extras(cuddle_tokenizer *t, const cud_conversion *c, const json_view *config, const json_view *map,
                                const json_view *added, cuddle_error *err)
{
    const bool old = !cud_json_has(config, "added_tokens_decoder");
    const json_view *const files[] = { config, old ? map : config };
    json_t *listed = NULL;
    for (size_t i = 0; i < 2; i++)
        if (json_object_get(files[i]->value, "additional_special_tokens") ||
            json_object_get(files[i]->value, "extra_special_tokens"))
            return CUDDLE_OK;
    cuddle_status status = list_decoder(&listed, config, err);
    for (size_t i = 0; i < c->extras && !status; i++) {
        const char *text = c->extra[i].text;
        cud_added_token token = { .content = c->extra[i].text, .length = strlen(text), .special = c->extra[i].special };
        if (json_object_get(listed, text) || (old && json_object_get(added->value, text))) continue;
        const int32_t id = cud_tokenizer_id(t, text);
        for (int k = 0; k < CUDDLE_SPECIAL_COUNT && id >= 0; k++) token.special |= t->named[k] == id;
        status = cud_load_added_token(t, token, -1, true, c->class->files[0], err);
    }
    json_decref(listed);
    return status;
}

static cuddle_status add_processor(cuddle_tokenizer *t, const cud_conversion *c, cuddle_error *err)
{
    cud_bytes text = { 0 };
    cud_document document = { 0 };
    int32_t others[CUD_CONVERT_MAX_OTHERS];
    for (size_t i = 0; i < c->others; i++) { /* an unknown token is what stands for those */
        others[i] = c->other[i].text ? cud_tokenizer_id(t, c->other[i].text) : c->other[i].id;
        if (others[i] < 0) others[i] = t->named[CUDDLE_SPECIAL_UNK];
    }
    cuddle_status status = cud_convert_processor(&text, c, t->named, others, err);
    if (!status) status = cud_json_parse(&document.root, text.data, text.used, "tokenizer.json", err);
    if (!status) status = cud_components_parse(&t->processors, &cud_processors, &document, &t->model_vocab, err);
    json_decref(document.root);
    free(text.data);
    return status;
}

/* What the class means although nobody says it: the side that is padded, and names of tokens that are there. */
static void apply_class(cuddle_tokenizer *t, const cud_conversion *c, const json_view *config, const json_view *map)
{
    const char *name = json_string_value(json_object_get(config->value, "tokenizer_class"));
    const cud_recipe *class = c ? c->class : name ? cud_recipe_named(name) : NULL;
    if (!class) return;
    if ((class->flags & CUD_CLASS_LEFT) && !t->padding_side) t->padding_side = CUDDLE_SIDE_LEFT;
    for (int i = 0; i < CUDDLE_SPECIAL_COUNT; i++)
        if (class->named[i] && !json_object_get(config->value, named_keys[i]) && !json_object_get(map->value, named_keys[i]))
            t->named[i] = cud_tokenizer_id(t, class->named[i]);
}

/* conversion: where files[CUD_FILE_TOKENIZER] comes from, or NULL. */
static cuddle_status parse_files(cuddle_tokenizer **out, const cud_file_text files[CUD_FILE_COUNT],
                                 const cud_conversion *conversion, cuddle_error *err)
{
    *out = NULL;
    cuddle_status status = CUDDLE_OK;
    for (int i = 0; i < CUD_FILE_COUNT && !status; i++) status = check_size(file_names[i], files[i].size, most_bytes(i), err);
    if (status) return status;
    cud_document document = { 0 };
    json_t *root[CUD_FILE_COUNT] = { NULL };
    cuddle_tokenizer *t = calloc(1, sizeof *t);
    if (!t) return cud_nomem(err, sizeof *t, "a tokenizer");
    cud_vocab_init(&t->model_vocab);
    cud_vocab_init(&t->added_vocab);
    for (int i = 0; i < CUDDLE_SPECIAL_COUNT; i++) t->named[i] = -1;
    status = cud_document_parse(&document, files[CUD_FILE_TOKENIZER].text, files[CUD_FILE_TOKENIZER].size, err);
    json_view view[CUD_FILE_COUNT];
    for (int i = CUD_FILE_CONFIG; i < CUD_FILE_COUNT; i++) {
        if (!status && files[i].text) status = cud_json_parse(&root[i], files[i].text, files[i].size, file_names[i], err);
    }
    if (!status && conversion) status = add_defaults(&root[CUD_FILE_CONFIG], root[CUD_FILE_SPECIAL_MAP], conversion, err);
    for (int i = CUD_FILE_CONFIG; i < CUD_FILE_COUNT; i++) view[i] = cud_json_view(root[i], file_names[i]);
    if (!status) status = parse_tokenizer(t, &document, err);
    if (!status) status = cud_load_config(t, &view[CUD_FILE_CONFIG], &view[CUD_FILE_SPECIAL_MAP], &view[CUD_FILE_ADDED], err);
    if (!status) apply_class(t, conversion, &view[CUD_FILE_CONFIG], &view[CUD_FILE_SPECIAL_MAP]);
    if (!status && conversion)
        status = add_extras(t, conversion, &view[CUD_FILE_CONFIG], &view[CUD_FILE_SPECIAL_MAP], &view[CUD_FILE_ADDED], err);
    if (!status && conversion) status = add_processor(t, conversion, err);
    if (!status) status = finish(t, err);
    cud_document_free(&document);
    for (int i = 0; i < CUD_FILE_COUNT; i++) json_decref(root[i]);
    if (status)
        cud_tokenizer_free(t);
    else
        *out = t;
    return status;
}

cuddle_status cud_tokenizer_parse_files(cuddle_tokenizer **out, const cud_file_text files[CUD_FILE_COUNT], cuddle_error *err)
{
    return parse_files(out, files, NULL, err);
}

cuddle_status cud_tokenizer_parse(cuddle_tokenizer **out, const char *json, size_t size, const char *config, size_t config_size,
                                  cuddle_error *err)
{
    const cud_file_text files[CUD_FILE_COUNT] = {
        [CUD_FILE_TOKENIZER] = { json, size }, [CUD_FILE_CONFIG] = { config, config ? config_size : 0 }
    };
    return cud_tokenizer_parse_files(out, files, err);
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

/* The folder's JSON file, or NULL where it has none. */
static cuddle_status load_json(json_t **out, const char *folder, const char *name, cuddle_error *err)
{
    char *path = NULL;
    *out = NULL;
    bool found = false;
    cuddle_status status = cud_path_join(&path, folder, name, err);
    if (!status) status = cud_path_find(&found, path, err);
    if (found) status = cud_json_load(out, path, CUD_TOKENIZER_MAX_REST, err);
    free(path);
    return status;
}

cuddle_status cud_tokenizer_find(bool *found, const char *dir, cuddle_error *err)
{
    char *path = NULL;
    json_t *config = NULL, *model = NULL;
    *found = false;
    cuddle_status status = cud_path_join(&path, dir, "tokenizer.json", err);
    if (!status) status = cud_path_find(found, path, err);
    free(path);
    if (status || *found) return status;
    status = load_json(&config, dir, "tokenizer_config.json", err);
    if (!status) status = load_json(&model, dir, "config.json", err);
    if (!status) {
        const json_view config_view = cud_json_view(config, "tokenizer_config.json"),
                        model_view = cud_json_view(model, "config.json");
        *found = cud_convert_class(dir, &config_view, &model_view, NULL) != NULL;
    }
    json_decref(config);
    json_decref(model);
    return status;
}

/* A folder without a tokenizer.json. */
static cuddle_status load_converted(cuddle_tokenizer **out, cud_file_text files[CUD_FILE_COUNT], const char *folder,
                                    cuddle_error *err)
{
    json_t *config = NULL, *model = NULL;
    cud_conversion c = { 0 };
    cuddle_status status = load_json(&config, folder, "tokenizer_config.json", err);
    if (!status) status = load_json(&model, folder, "config.json", err);
    const json_view config_view = cud_json_view(config, "tokenizer_config.json"), model_view = cud_json_view(model, "config.json");
    if (!status) {
        cuddle_error why = { CUDDLE_OK, "" };
        const cud_recipe *class = cud_convert_class(folder, &config_view, &model_view, &why);
        status = class ? cud_convert(&c, class, folder, &config_view, err) : cud_fail(err, why.status, "%s", why.text);
    }
    if (!status) {
        cuddle_error inner = { CUDDLE_OK, "" };
        files[CUD_FILE_TOKENIZER] = (cud_file_text){ c.json.data, c.json.used };
        status = parse_files(out, files, &c, &inner);
        if (status) status = cud_fail(err, status, "%s, read as a tokenizer.json: %s", c.class->files[0], inner.text);
    }
    cud_conversion_free(&c);
    json_decref(config);
    json_decref(model);
    return status;
}

cuddle_status cud_tokenizer_load(cuddle_tokenizer **out, const char *path, cuddle_error *err)
{
    *out = NULL;
    char *text[CUD_FILE_COUNT] = { NULL };
    cud_file_text files[CUD_FILE_COUNT] = { { NULL, 0 } };
    const bool is_folder = cud_path_is_directory(path);
    bool whole = !is_folder; /* there is a tokenizer.json */
    char *folder = strndup(path, is_folder ? strlen(path) : (size_t)(cud_path_name(path) - path));
    cuddle_status status = folder ? CUDDLE_OK : cud_nomem(err, strlen(path) + 1, "a path");
    for (int i = 0; i < CUD_FILE_COUNT && !status; i++) {
        const bool given = i == CUD_FILE_TOKENIZER && !is_folder;
        char *file = NULL;
        bool found = given;
        status = cud_path_join(&file, given ? "" : folder, given ? path : file_names[i], err);
        if (!status && !given) status = cud_path_find(&found, file, err);
        if (!status && found) {
            status = read_file(&text[i], &files[i].size, file, most_bytes(i), err);
            whole |= i == CUD_FILE_TOKENIZER;
        }
        files[i].text = text[i];
        free(file);
    }
    if (!status) status = whole ? parse_files(out, files, NULL, err) : load_converted(out, files, folder, err);
    for (int i = 0; i < CUD_FILE_COUNT; i++) free(text[i]);
    free(folder);
    return status;
}
