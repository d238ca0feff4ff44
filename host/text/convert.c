#include "text/convert.h"

#include "format/path.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- files ---- */

static cuddle_status read_whole(cud_bytes *out, const char *folder, const char *name, cuddle_error *err)
{
    char *path = NULL;
    source *s = NULL;
    cuddle_status status = cud_path_join(&path, folder, name, err);
    if (!status) status = cud_source_open_file(&s, path, err);
    if (!status && s->size > CUD_CONVERT_MAX_FILE)
        status = cud_fail(err, CUDDLE_E_LIMIT, "%s: %llu bytes, expected at most %d", name, (unsigned long long)s->size,
                          CUD_CONVERT_MAX_FILE);
    if (!status) {
        out->used = (size_t)s->size;
        out->data = malloc(out->used + 1);
        status = out->data ? cud_source_read(s, out->data, 0, out->used, err) : cud_nomem(err, out->used + 1, name);
    }
    if (s) cud_source_close(s);
    free(path);
    return status;
}

bool cud_convert_line(const cud_bytes *file, size_t *at, const char **line, size_t *length)
{
    if (*at >= file->used) return false;
    const char *begin = file->data + *at, *end = memchr(begin, '\n', file->used - *at);
    *line = begin;
    *length = end ? (size_t)(end - begin) : file->used - *at;
    *at += *length + (end != NULL);
    if (end && *length && begin[*length - 1] == '\r') --*length;
    return true;
}

cuddle_status cud_convert_files(cud_conversion *c, const cud_recipe *class, const cud_bytes files[2], const json_view *config,
                                cuddle_error *err)
{
    *c = (cud_conversion){ .class = class, .steps = class, .config = *config, .single = class->single, .pair = class->pair };
    if ((class->flags & CUD_CLASS_OWN_ENDS) &&
        (json_object_get(config->value, "add_bos_token") || json_object_get(config->value, "add_eos_token")))
        c->single = c->pair = NULL;
    cuddle_status status = cud_convert_flag(&c->add_bos, c, "add_bos_token", class->flags & CUD_CLASS_ADDS_BOS, err);
    if (!status) status = cud_convert_flag(&c->add_eos, c, "add_eos_token", false, err);
    if (status) return status;
    /* transformers takes a file that is no SentencePiece model for one of tiktoken */
    const bool tiktoken =
        class->convert != cud_convert_kimi && cud_path_has_suffix(class->files[0], ".model") && cud_convert_is_tiktoken(&files[0]);
    return tiktoken ? cud_convert_tiktoken(c, files, err) : class->convert(c, files, err);
}

cuddle_status cud_convert(cud_conversion *c, const cud_recipe *class, const char *folder, const json_view *config,
                          cuddle_error *err)
{
    cud_bytes files[2] = { { 0 } };
    cuddle_status status = CUDDLE_OK;
    *c = (cud_conversion){ 0 };
    for (int i = 0; i < 2 && class->files[i] && !status; i++) status = read_whole(&files[i], folder, class->files[i], err);
    if (!status) status = cud_convert_files(c, class, files, config, err);
    free(files[0].data);
    free(files[1].data);
    return status;
}

cuddle_status cud_convert_add_extra(cud_conversion *c, const char *text, size_t length, bool special, cuddle_error *err)
{
    if ((c->extras & (c->extras - 1)) == 0) { /* none, or a power of two: full */
        const size_t room = c->extras ? 2 * c->extras : 1;
        cud_convert_extra *grown = realloc(c->extra, room * sizeof *grown);
        if (!grown) return cud_nomem(err, room * sizeof *grown, "special tokens");
        c->extra = grown;
    }
    char *copy = strndup(text, length);
    if (!copy) return cud_nomem(err, length + 1, "special tokens");
    c->extra[c->extras++] = (cud_convert_extra){ copy, special };
    return CUDDLE_OK;
}

void cud_conversion_free(cud_conversion *c)
{
    free(c->json.data);
    for (size_t i = 0; i < c->extras; i++) free(c->extra[i].text);
    for (int i = 0; i < CUDDLE_SPECIAL_COUNT; i++) free(c->named[i]);
    free(c->extra);
    *c = (cud_conversion){ 0 };
}

/* ---- the post-processor ---- */

static cuddle_status put_piece(cud_bytes *out, char what, char type, cuddle_error *err)
{
    char text[96];
    if (what == 'A' || what == 'B')
        snprintf(text, sizeof text, "{\"Sequence\":{\"id\":\"%c\",\"type_id\":%c}}", what, type);
    else
        snprintf(text, sizeof text, "{\"SpecialToken\":{\"id\":\"%c\",\"type_id\":%c}}", what, type);
    return cud_json_put(out, text, err);
}

static cuddle_status put_template(cud_bytes *out, const char *template, cuddle_error *err)
{
    cuddle_status status = cud_json_put(out, "[", err);
    for (const char *p = template; *p && !status; p += p[2] ? 3 : 2) {
        if (p > template) status = cud_json_put(out, ",", err);
        if (!status) status = put_piece(out, p[0], p[1], err);
    }
    return status ? status : cud_json_put(out, "]", err);
}

static cuddle_status put_token(cud_bytes *out, bool *first, char letter, int32_t id, cuddle_error *err)
{
    char text[96];
    snprintf(text, sizeof text, "%s\"%c\":{\"id\":\"%c\",\"ids\":[%d],\"tokens\":[\"%c\"]}", *first ? "" : ",", letter, letter,
             (int)id, letter);
    *first = false;
    return cud_json_put(out, text, err);
}

cuddle_status cud_convert_processor(cud_bytes *out, const cud_conversion *c, const int32_t *named, const int32_t *others,
                                    cuddle_error *err)
{
    static const struct {
        char letter;
        cuddle_special which;
        const char *name;
    } letters[] = { { 'b', CUDDLE_SPECIAL_BOS, "bos_token" },
                    { 'e', CUDDLE_SPECIAL_EOS, "eos_token" },
                    { 's', CUDDLE_SPECIAL_SEP, "sep_token" },
                    { 'c', CUDDLE_SPECIAL_CLS, "cls_token" } };
    const bool bos = c->add_bos && named[CUDDLE_SPECIAL_BOS] >= 0, eos = c->add_eos && named[CUDDLE_SPECIAL_EOS] >= 0;
    char one[32], two[64];
    const char *single = c->single, *pair = c->pair;
    if (!single) { /* what transformers makes of add_bos_token and add_eos_token */
        snprintf(one, sizeof one, "%sA0%s", bos ? "b0 " : "", eos ? " e0" : "");
        snprintf(two, sizeof two, "%s %sB1%s", one, bos ? "b1 " : "", eos ? " e1" : "");
        single = one;
        pair = two;
    }
    bool any = false, first = true;
    cuddle_status status = cud_json_put(out, "{\"post_processor\":{\"type\":\"Sequence\",\"processors\":[", err);
    if (!status) status = cud_convert_put_list(out, &any, c, c->class->processor, err);
    if (!status)
        status = cud_json_put(
            out, any ? ",{\"type\":\"TemplateProcessing\",\"single\":" : "{\"type\":\"TemplateProcessing\",\"single\":", err);
    if (!status) status = put_template(out, single, err);
    if (!status) status = cud_json_put(out, ",\"pair\":", err);
    if (!status) status = put_template(out, pair, err);
    if (!status) status = cud_json_put(out, ",\"special_tokens\":{", err);
    for (size_t i = 0; i < sizeof letters / sizeof *letters && !status; i++) {
        if (!strchr(pair, letters[i].letter)) continue;
        const int32_t id = named[letters[i].which];
        if (id < 0)
            return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer_config.json: \"%s\" is null, expected the token that a %s adds",
                            letters[i].name, c->class->name);
        status = put_token(out, &first, letters[i].letter, id, err);
    }
    for (size_t i = 0; i < c->others && !status; i++) {
        if (others[i] < 0)
            return cud_fail(err, CUDDLE_E_FORMAT, "%s: there is no \"%.60s\", which a %s adds", c->class->files[0],
                            c->other[i].text ? c->other[i].text : "", c->class->name);
        status = put_token(out, &first, (char)('1' + i), others[i], err);
    }
    return status ? status : cud_json_put(out, "}}]}}", err);
}

/* ---- writing ---- */

cuddle_status cud_json_put(cud_bytes *out, const char *literal, cuddle_error *err)
{
    return cud_bytes_add(out, literal, strlen(literal), err);
}

cuddle_status cud_json_put_string(cud_bytes *out, const char *s, size_t length, cuddle_error *err)
{
    cuddle_status status = cud_json_put(out, "\"", err);
    size_t from = 0;
    for (size_t i = 0; i < length && !status; i++) {
        const unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        char text[8];
        snprintf(text, sizeof text, "\\u%04x", c);
        status = cud_bytes_add(out, s + from, i - from, err);
        if (!status) status = cud_json_put(out, text, err);
        from = i + 1;
    }
    if (!status) status = cud_bytes_add(out, s + from, length - from, err);
    return status ? status : cud_json_put(out, "\"", err);
}

cuddle_status cud_json_put_vocab(cud_bytes *out, const cud_vocab *vocab, cuddle_error *err)
{
    char text[24];
    cuddle_status status = cud_json_put(out, "{", err);
    for (uint32_t i = 0; i < vocab->count && !status; i++) {
        const cud_vocab_entry *e = &vocab->entry[i];
        if (i) status = cud_json_put(out, ",", err);
        if (!status) status = cud_json_put_string(out, vocab->pool + e->offset, e->length, err);
        snprintf(text, sizeof text, ":%d", (int)e->id);
        if (!status) status = cud_json_put(out, text, err);
    }
    return status ? status : cud_json_put(out, "}", err);
}

cuddle_status cud_json_put_merge(cud_bytes *out, bool first, const char *s, size_t cut, size_t length, cuddle_error *err)
{
    cuddle_status status = cud_json_put(out, first ? "[" : ",[", err);
    if (!status) status = cud_json_put_string(out, s, cut, err);
    if (!status) status = cud_json_put(out, ",", err);
    if (!status) status = cud_json_put_string(out, s + cut, length - cut, err);
    return status ? status : cud_json_put(out, "]", err);
}

cuddle_status cud_json_put_number(cud_bytes *out, double number, cuddle_error *err)
{
    char text[32];
    snprintf(text, sizeof text, "%.17g", number);
    return cud_json_put(out, text, err);
}

/* ---- tokenizer_config.json ---- */

cuddle_status cud_convert_flag(bool *out, const cud_conversion *c, const char *key, bool otherwise, cuddle_error *err)
{
    *out = otherwise;
    return cud_json_bool(out, &c->config, key, CUD_JSON_NULLABLE, err);
}

const char *cud_convert_default(const cud_conversion *c, cuddle_special which)
{
    return c->class->named[which] ? c->class->named[which] : c->named[which];
}

const char *cud_convert_named(const cud_conversion *c, cuddle_special which)
{
    static const char *const keys[CUDDLE_SPECIAL_COUNT] = { "bos_token", "eos_token", "unk_token", "sep_token",
                                                            "pad_token", "cls_token", "mask_token" };
    const json_t *value = json_object_get(c->config.value, keys[which]);
    if (!value) return cud_convert_default(c, which);
    return json_string_value(json_is_object(value) ? json_object_get(value, "content") : value);
}
