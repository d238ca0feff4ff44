/* TemplateProcessing: special tokens before, between and behind the text. */
#include "text/tokenizer.h"
#include "text/types.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_PIECES = 256, SEQUENCE = -1 };

typedef struct template_config { /* of "single"; a pair of texts is never encoded here, its template is only checked */
    int32_t piece[MAX_PIECES];   /* an id, or SEQUENCE */
    int count;
} template_config;

static cuddle_status add(template_config *c, int32_t piece, cuddle_error *err)
{
    if (c->count == MAX_PIECES)
        return cud_fail(err, CUDDLE_E_LIMIT, "tokenizer.json: a template of more than %d tokens", MAX_PIECES);
    c->piece[c->count++] = piece;
    return CUDDLE_OK;
}

static cuddle_status add_special(template_config *c, const json_view *specials, const char *name, cuddle_error *err)
{
    json_view special, ids;
    size_t count = 0;
    cuddle_status status = cud_json_object(&special, specials, name, CUD_JSON_REQUIRED, err);
    if (!status) status = cud_json_array(&ids, &count, &special, "ids", CUD_JSON_REQUIRED, err);
    for (size_t i = 0; !status && i < count; i++) {
        const json_view element = cud_json_element(&ids, i);
        int64_t id = 0;
        status = cud_json_int(&id, &element, NULL, CUD_JSON_REQUIRED, 0, CUD_TOKENIZER_MAX_ID, err);
        if (!status) status = add(c, (int32_t)id, err);
    }
    return status;
}

static cuddle_status add_piece(template_config *c, const json_view *piece, const json_view *specials, bool pair, cuddle_error *err)
{
    json_view special, sequence;
    const char *id = NULL;
    int64_t type = 0;
    cuddle_status status = cud_json_object(&special, piece, "SpecialToken", CUD_JSON_OPTIONAL, err);
    if (!status) status = cud_json_object(&sequence, piece, "Sequence", CUD_JSON_OPTIONAL, err);
    if (status) return status;
    if (!special.value == !sequence.value || json_object_size(piece->value) != 1)
        return cud_json_wrong(piece, NULL, err, CUDDLE_E_FORMAT, "one member, \"SpecialToken\" or \"Sequence\"");
    const json_view *one = special.value ? &special : &sequence;
    status = cud_json_string(&id, one, "id", CUD_JSON_REQUIRED, err);
    if (!status) status = cud_json_int(&type, one, "type_id", CUD_JSON_REQUIRED, 0, UINT32_MAX, err);
    if (status) return status;
    if (special.value) return add_special(c, specials, id, err);
    if (strcmp(id, "A") != 0 && !(pair && strcmp(id, "B") == 0))
        return cud_json_wrong(&sequence, "id", err, CUDDLE_E_FORMAT, pair ? "\"A\" or \"B\"" : "\"A\"");
    return add(c, SEQUENCE, err);
}

static cuddle_status read_template(template_config *c, const cud_part *in, const char *key, unsigned flags,
                                   const json_view *specials, cuddle_error *err)
{
    json_view list;
    size_t count = 0;
    cuddle_status status = cud_json_array(&list, &count, &in->json, key, flags, err);
    for (size_t i = 0; !status && i < count; i++) {
        const json_view element = cud_json_element(&list, i);
        json_view piece;
        status = cud_json_object(&piece, &element, NULL, CUD_JSON_REQUIRED, err);
        if (!status) status = add_piece(c, &piece, specials, strcmp(key, "pair") == 0, err);
    }
    return status;
}

static cuddle_status template_parse(void **config, const cud_part *in, cuddle_error *err)
{
    json_view specials;
    template_config *c = calloc(1, sizeof *c);
    if (!c) return cud_nomem(err, sizeof *c, in->label);
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "single", "pair", "special_tokens", NULL }, err);
    if (!status) status = cud_json_object(&specials, &in->json, "special_tokens", CUD_JSON_REQUIRED, err);
    if (!status) status = read_template(c, in, "pair", CUD_JSON_OPTIONAL, &specials, err);
    c->count = 0;
    if (!status) status = read_template(c, in, "single", CUD_JSON_REQUIRED, &specials, err);
    if (status)
        free(c);
    else
        *config = c;
    return status;
}

static cuddle_status template_apply(cud_processing *p, const void *config, cuddle_error *err)
{
    const template_config *c = config;
    cud_tokens out = { .scratch = p->tokens.scratch };
    cuddle_status status = CUDDLE_OK;
    for (int i = 0; i < c->count && !status; i++) {
        if (c->piece[i] != SEQUENCE) {
            if (p->add_special) status = cud_tokens_add(&out, (cud_token){ .id = c->piece[i], .special = true }, err);
            continue;
        }
        for (size_t k = 0; k < p->tokens.count && !status; k++) status = cud_tokens_add(&out, p->tokens.token[k], err);
    }
    if (status) {
        free(out.token);
        return status;
    }
    free(p->tokens.token);
    p->tokens = out;
    return CUDDLE_OK;
}

const cud_processor_type cud_processor_template = { { "TemplateProcessing", template_parse, NULL }, template_apply };
