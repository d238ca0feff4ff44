#include "text/component.h"

#include "text/regex.h"
#include "text/types.h"
#include "text/unicode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the tables: a new type is a row here ---- */
static const cud_component_type *const normalizer_types[] = {
    &cud_normalizer_bert.base,          &cud_normalizer_byte_level.base, &cud_normalizer_lowercase.base, &cud_normalizer_nfc.base,
    &cud_normalizer_nfd.base,           &cud_normalizer_nfkc.base,       &cud_normalizer_nfkd.base,      &cud_normalizer_nmt.base,
    &cud_normalizer_precompiled.base,   &cud_normalizer_prepend.base,    &cud_normalizer_replace.base,   &cud_normalizer_strip.base,
    &cud_normalizer_strip_accents.base,
};
static const cud_component_type *const pre_tokenizer_types[] = {
    &cud_pre_tokenizer_bert.base,        &cud_pre_tokenizer_byte_level.base,       &cud_pre_tokenizer_delimiter.base,
    &cud_pre_tokenizer_digits.base,      &cud_pre_tokenizer_fixed_length.base,     &cud_pre_tokenizer_metaspace.base,
    &cud_pre_tokenizer_punctuation.base, &cud_pre_tokenizer_scripts.base,          &cud_pre_tokenizer_split.base,
    &cud_pre_tokenizer_whitespace.base,  &cud_pre_tokenizer_whitespace_split.base,
};
static const cud_component_type *const model_types[] = {
    &cud_model_bpe.base,
    &cud_model_unigram.base,
    &cud_model_wordlevel.base,
    &cud_model_wordpiece.base,
};
static const cud_component_type *const processor_types[] = {
    &cud_processor_bert.base,
    &cud_processor_byte_level.base,
    &cud_processor_roberta.base,
    &cud_processor_template.base,
};
static const cud_component_type *const decoder_types[] = {
    &cud_decoder_bpe.base,     &cud_decoder_byte_fallback.base, &cud_decoder_byte_level.base,
    &cud_decoder_ctc.base,     &cud_decoder_fuse.base,          &cud_decoder_metaspace.base,
    &cud_decoder_replace.base, &cud_decoder_strip.base,         &cud_decoder_wordpiece.base,
};

#define TYPES(table) .types = table, .count = sizeof table / sizeof *table
const cud_kind cud_normalizers = { .name = "normalizer", .list = "normalizers", TYPES(normalizer_types) };
const cud_kind cud_pre_tokenizers = { .name = "pre_tokenizer", .list = "pretokenizers", TYPES(pre_tokenizer_types) };
const cud_kind cud_models = { .name = "model", TYPES(model_types) };
const cud_kind cud_processors = { .name = "post_processor", .list = "processors", TYPES(processor_types) };
const cud_kind cud_decoders = { .name = "decoder", .list = "decoders", TYPES(decoder_types) };

/* ---- lists ---- */

static void free_config(const cud_component_type *type, void *config)
{
    if (type->free)
        type->free(config);
    else
        free(config);
}

cuddle_status cud_components_add(cud_components *out, const cud_component_type *type, void *config, cuddle_error *err)
{
    if (out->count == CUD_MAX_COMPONENTS) {
        free_config(type, config);
        return cud_fail(err, CUDDLE_E_LIMIT, "tokenizer.json: more than %d components of one kind", CUD_MAX_COMPONENTS);
    }
    out->item[out->count++] = (cud_component){ type, config };
    return CUDDLE_OK;
}

void cud_components_free(cud_components *c)
{
    while (c->count > 0) {
        c->count--;
        free_config(c->item[c->count].type, c->item[c->count].config);
    }
}

static cuddle_status parse_one(cud_components *out, const cud_kind *kind, const json_view *json, const cud_part *outer, int depth,
                               cuddle_error *err);

static cuddle_status parse_sequence(cud_components *out, const cud_kind *kind, const cud_part *in, int depth, cuddle_error *err)
{
    if (depth == CUD_MAX_NESTING)
        return cud_fail(err, CUDDLE_E_LIMIT, "tokenizer.json: %s: Sequences nested more than %d deep", kind->name, CUD_MAX_NESTING);
    const char *const fields[] = { kind->list, NULL };
    json_view list;
    size_t count = 0;
    cuddle_status status = cud_part_fields(in, fields, err);
    if (!status) status = cud_json_array(&list, &count, &in->json, kind->list, CUD_JSON_REQUIRED, err);
    for (size_t i = 0; !status && i < count; i++) {
        const json_view item = cud_json_element(&list, i);
        status = parse_one(out, kind, &item, in, depth + 1, err);
    }
    return status;
}

/* Very old files give models no type. */
static const char *guess_type(const cud_kind *kind, const json_view *json)
{
    if (kind != &cud_models) return NULL;
    if (cud_json_has(json, "merges")) return "BPE";
    if (json_is_array(json_object_get(json->value, "vocab"))) return "Unigram";
    if (cud_json_has(json, "continuing_subword_prefix") && cud_json_has(json, "max_input_chars_per_word")) return "WordPiece";
    return cud_json_has(json, "unk_token") && cud_json_has(json, "vocab") ? "WordLevel" : NULL;
}

static cuddle_status parse_one(cud_components *out, const cud_kind *kind, const json_view *json, const cud_part *outer, int depth,
                               cuddle_error *err)
{
    cud_part in = { .vocab = outer->vocab, .document = outer->document };
    cuddle_status status = cud_json_object(&in.json, json, NULL, CUD_JSON_REQUIRED, err);
    if (status) return status;
    in.type = guess_type(kind, &in.json);
    status = cud_json_string(&in.type, &in.json, "type", in.type ? CUD_JSON_OPTIONAL : CUD_JSON_REQUIRED, err);
    if (status) return status;
    snprintf(in.label, sizeof in.label, "%s \"%.40s\"", kind->name, in.type);
    if (kind->list && strcmp(in.type, "Sequence") == 0) return parse_sequence(out, kind, &in, depth, err);
    for (size_t i = 0; i < kind->count; i++) {
        const cud_component_type *type = kind->types[i];
        if (strcmp(type->name, in.type) != 0) continue;
        void *config = NULL;
        status = type->parse ? type->parse(&config, &in, err) : cud_part_fields(&in, (const char *const[]){ NULL }, err);
        return status ? status : cud_components_add(out, type, config, err);
    }
    return cud_fail(err, CUDDLE_E_UNSUPPORTED, "tokenizer.json: %s type \"%.100s\" is not supported", kind->name, in.type);
}

cuddle_status cud_components_parse(cud_components *out, const cud_kind *kind, cud_document *document, cud_vocab *vocab,
                                   cuddle_error *err)
{
    const json_view root = cud_json_view(document->root, "tokenizer.json");
    const cud_part outer = { .vocab = vocab, .document = document };
    json_view json;
    const cuddle_status status = cud_json_object(&json, &root, kind->name, CUD_JSON_NULLABLE, err);
    return status || !json.value ? status : parse_one(out, kind, &json, &outer, 0, err);
}

/* ---- fields ---- */

cuddle_status cud_part_fields(const cud_part *in, const char *const *names, cuddle_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(in->json.value, key, value)
    {
        bool known = strcmp(key, "type") == 0;
        for (size_t i = 0; !known && names[i]; i++) known = strcmp(key, names[i]) == 0;
        if (!known)
            return cud_fail(err, CUDDLE_E_UNSUPPORTED, "tokenizer.json: %s has a field \"%.60s\", which is not supported",
                            in->label, key);
    }
    return CUDDLE_OK;
}

cuddle_status cud_part_bool(bool *out, const cud_part *in, const char *key, unsigned flags, cuddle_error *err)
{
    return cud_json_bool(out, &in->json, key, flags, err);
}

cuddle_status cud_part_string(const char **out, size_t *length, const cud_part *in, const char *key, unsigned flags,
                              cuddle_error *err)
{
    const cuddle_status status = cud_json_string(out, &in->json, key, flags, err);
    if (!status) *length = *out ? strlen(*out) : 0;
    return status;
}

cuddle_status cud_part_char(int32_t *out, const cud_part *in, const char *key, unsigned flags, cuddle_error *err)
{
    const char *s = NULL;
    const cuddle_status status = cud_json_string(&s, &in->json, key, flags, err);
    if (status || !s) return status;
    size_t length;
    const int32_t c = cud_utf8_decode(s, &length); /* jansson lets only well-formed UTF-8 in */
    if (!*s || s[length]) return cud_json_wrong(&in->json, key, err, CUDDLE_E_FORMAT, "one character");
    *out = c;
    return CUDDLE_OK;
}

/* ---- what the pipeline and the components share ---- */

cuddle_status cud_bytes_reserve(cud_bytes *b, size_t more, cuddle_error *err)
{
    if (b->data && more <= b->room - b->used) return CUDDLE_OK;
    const size_t room = b->room + b->room / 2 + more + 32;
    char *data = room < more ? NULL : realloc(b->data, room);
    if (!data) return cud_nomem(err, room, "decoded text");
    b->data = data;
    b->room = room;
    return CUDDLE_OK;
}

cuddle_status cud_bytes_add(cud_bytes *b, const char *s, size_t size, cuddle_error *err)
{
    const cuddle_status status = cud_bytes_reserve(b, size, err);
    if (status) return status;
    if (size) memcpy(b->data + b->used, s, size);
    b->used += size;
    return CUDDLE_OK;
}

cuddle_status cud_stream_emit(cud_stream *s, const char *text, size_t size, unsigned edges, cuddle_error *err)
{
    if (!s->next) return cud_bytes_add(s->out, text, size, err);
    if (edges & CUD_TOKEN_BEGIN) s->next->tokens++;
    return s->next->type->feed(s->next, text, size, edges, err);
}
