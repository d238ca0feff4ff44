/* TemplateProcessing: special tokens before, between and behind the text. */
#include "text/tokenizer.h"
#include "text/types.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_PIECES = 256 };

typedef struct template_piece {
    int32_t id, type;
    int sequence; /* 0 or 1: the tokens of this text; -1: the token `id` */
} template_piece;

typedef struct template
{
    template_piece piece[MAX_PIECES];
    int count;
}
template;

typedef struct template_config {
    template of_one, of_two; /* for one text, and for a pair */
} template_config;

static cuddle_status add(template *c, template_piece piece, cuddle_error *err)
{
    if (c->count == MAX_PIECES)
        return cud_fail(err, CUDDLE_E_LIMIT, "tokenizer.json: a template of more than %d tokens", MAX_PIECES);
    c->piece[c->count++] = piece;
    return CUDDLE_OK;
}

static cuddle_status add_special(template *c, const json_view *specials, const char *name, int32_t type, cuddle_error *err)
{
    json_view special, ids;
    size_t count = 0;
    cuddle_status status = cud_json_object(&special, specials, name, CUD_JSON_REQUIRED, err);
    if (!status) status = cud_json_array(&ids, &count, &special, "ids", CUD_JSON_REQUIRED, err);
    for (size_t i = 0; !status && i < count; i++) {
        const json_view element = cud_json_element(&ids, i);
        int64_t id = 0;
        status = cud_json_int(&id, &element, NULL, CUD_JSON_REQUIRED, 0, CUD_TOKENIZER_MAX_ID, err);
        if (!status) status = add(c, (template_piece){ (int32_t)id, type, CUD_NO_SEQUENCE }, err);
    }
    return status;
}

static cuddle_status add_piece(template *c, const json_view *piece, const json_view *specials, bool pair, cuddle_error *err)
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
    if (!status) status = cud_json_int(&type, one, "type_id", CUD_JSON_REQUIRED, 0, INT32_MAX, err);
    if (status) return status;
    if (special.value) return add_special(c, specials, id, (int32_t)type, err);
    if (strcmp(id, "A") != 0 && !(pair && strcmp(id, "B") == 0))
        return cud_json_wrong(&sequence, "id", err, CUDDLE_E_FORMAT, pair ? "\"A\" or \"B\"" : "\"A\"");
    return add(c, (template_piece){ -1, (int32_t)type, *id - 'A' }, err);
}

static cuddle_status read_template(template *c, const cud_part *in, const char *key, unsigned flags, const json_view *specials,
                                   cuddle_error *err)
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
    if (!status) status = read_template(&c->of_two, in, "pair", CUD_JSON_OPTIONAL, &specials, err);
    if (!status) status = read_template(&c->of_one, in, "single", CUD_JSON_REQUIRED, &specials, err);
    if (status)
        free(c);
    else
        *config = c;
    return status;
}

/* Is this the last time that the template names this text? Its tokens can then be taken, and are the ones of that sequence. */
static bool is_last(const template *c, int index)
{
    for (int i = index + 1; i < c->count; i++)
        if (c->piece[i].sequence == c->piece[index].sequence) return false;
    return true;
}

static cuddle_status put_text(cud_run *out, cud_run *text, const template_piece *piece, bool last, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    if (last) {
        *out = *text;
        *text = (cud_run){ 0 };
    } else {
        status = cud_run_copy(out, text, err);
    }
    if (status) return status;
    /* Windows keep the type ids they have, as in the reference. */
    for (size_t i = 0; i < out->tokens.count; i++) out->tokens.token[i].type = piece->type;
    if (last) return CUDDLE_OK;
    for (size_t i = 0; i < out->tokens.count; i++) out->tokens.token[i].sequence = CUD_NO_SEQUENCE;
    for (size_t w = 0; w < out->windows; w++)
        for (size_t i = 0; i < out->window[w].count; i++) out->window[w].token[i].sequence = CUD_NO_SEQUENCE;
    return CUDDLE_OK;
}

static cuddle_status template_apply(cud_processing *p, const void *config, cuddle_error *err)
{
    const template_config *both = config;
    const template *c = p->count == 2 ? &both->of_two : &both->of_one;
    if (p->count != 1 && p->count != 2)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "tokenizer.json: a second TemplateProcessing behind one that adds tokens");
    if (!c->count && p->count == 2)
        return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: the template for a pair of texts is empty or missing");
    cud_processing out = { .run = calloc((size_t)c->count + 1, sizeof *out.run) };
    if (!out.run) return cud_nomem(err, ((size_t)c->count + 1) * sizeof *out.run, "a template");
    cuddle_status status = CUDDLE_OK;
    bool behind = false;
    for (int i = 0; i < c->count && !status; i++) {
        const template_piece *piece = &c->piece[i];
        behind |= piece->sequence != CUD_NO_SEQUENCE;
        if (piece->sequence == CUD_NO_SEQUENCE && !p->add_special) continue;
        cud_run *run = &out.run[out.count++];
        if (piece->sequence == CUD_NO_SEQUENCE)
            status = cud_tokens_add(&run->tokens, cud_special_token(piece->id, piece->type, behind), err);
        else
            status = put_text(run, &p->run[piece->sequence], piece, is_last(c, i), err);
    }
    cud_run *const old = p->run; /* what the template did not use is dropped with the old list */
    const int old_count = p->count;
    p->run = out.run;
    p->count = out.count;
    cud_runs_free(old, old_count);
    return status;
}

static size_t template_added(const void *config, bool pair)
{
    const template_config *c = config;
    const template *t = pair ? &c->of_two : &c->of_one;
    size_t added = 0;
    for (int i = 0; i < t->count; i++) added += t->piece[i].sequence == CUD_NO_SEQUENCE;
    return added;
}

const cud_processor_type cud_processor_template = { { "TemplateProcessing", template_parse, NULL },
                                                    template_apply,
                                                    template_added };
