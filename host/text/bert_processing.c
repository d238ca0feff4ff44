/* BertProcessing and RobertaProcessing: a token before the text and one behind it. */
#include "text/tokenizer.h"
#include "text/types.h"

#include <stdlib.h>
#include <string.h>

typedef struct ends_config {
    int32_t cls, sep;
    bool roberta, trim_offsets, add_prefix_space;
} ends_config;

/* ["[CLS]", 101]; the reference does not compare the two either. */
static cuddle_status parse_token(int32_t *out, const cud_part *in, const char *key, cuddle_error *err)
{
    json_view pair;
    size_t count = 0;
    int64_t id = 0;
    const char *token = NULL;
    cuddle_status status = cud_json_array(&pair, &count, &in->json, key, CUD_JSON_REQUIRED, err);
    if (status) return status;
    if (count != 2) return cud_json_wrong(&in->json, key, err, CUDDLE_E_FORMAT, "a token and its id");
    const json_view first = cud_json_element(&pair, 0), second = cud_json_element(&pair, 1);
    status = cud_json_string(&token, &first, NULL, CUD_JSON_REQUIRED, err);
    if (!status) status = cud_json_int(&id, &second, NULL, CUD_JSON_REQUIRED, 0, CUD_TOKENIZER_MAX_ID, err);
    *out = (int32_t)id;
    return status;
}

static cuddle_status ends_parse(void **config, const cud_part *in, bool roberta, cuddle_error *err)
{
    static const char *const fields[] = { "sep", "cls", "trim_offsets", "add_prefix_space", NULL };
    static const char *const bert_fields[] = { "sep", "cls", NULL };
    ends_config c = { .roberta = roberta };
    cuddle_status status = cud_part_fields(in, roberta ? fields : bert_fields, err);
    if (!status) status = parse_token(&c.cls, in, "cls", err);
    if (!status) status = parse_token(&c.sep, in, "sep", err);
    if (!status && roberta) status = cud_part_bool(&c.trim_offsets, in, "trim_offsets", CUD_JSON_REQUIRED, err);
    if (!status && roberta) status = cud_part_bool(&c.add_prefix_space, in, "add_prefix_space", CUD_JSON_REQUIRED, err);
    if (status) return status;
    ends_config *copy = malloc(sizeof *copy);
    if (!copy) return cud_nomem(err, sizeof *copy, in->label);
    *copy = c;
    *config = copy;
    return CUDDLE_OK;
}

static cuddle_status bert_parse(void **config, const cud_part *in, cuddle_error *err) { return ends_parse(config, in, false, err); }
static cuddle_status roberta_parse(void **config, const cud_part *in, cuddle_error *err)
{
    return ends_parse(config, in, true, err);
}

/* The tokens between one of `before` (if it is not NULL) and `after`. What an earlier processor added is text to this one, as in the reference. */
static cuddle_status put_ends(cud_tokens *t, const cud_token *before, cud_token after, int sequence, cuddle_error *err)
{
    for (size_t i = 0; i < t->count; i++) {
        t->token[i].special = false;
        t->token[i].sequence = (int8_t)sequence;
    }
    cuddle_status status = before ? cud_tokens_add(t, after, err) : CUDDLE_OK; /* room */
    if (!status) status = cud_tokens_add(t, after, err);
    if (status || !before) return status;
    memmove(t->token + 1, t->token, (t->count - 2) * sizeof *t->token);
    t->token[0] = *before;
    return CUDDLE_OK;
}

/* BERT: cls A sep, and B sep of type 1. RoBERTa: cls A sep, and sep B sep, all of type 0. */
static cuddle_status ends_apply(cud_processing *p, const void *config, cuddle_error *err)
{
    const ends_config *c = config;
    cuddle_status status = CUDDLE_OK;
    if (c->trim_offsets) cud_trim_offsets(p, c->add_prefix_space);
    for (int i = 0; c->roberta && i < p->count; i++) {
        cud_run *r = &p->run[i];
        for (size_t k = 0; k < r->tokens.count; k++) r->tokens.token[k].type = 0;
        for (size_t w = 0; p->add_special && w < r->windows; w++)
            for (size_t k = 0; k < r->window[w].count; k++) r->window[w].token[k].type = 0;
    }
    for (int i = 0; p->add_special && i < p->count && !status; i++) {
        const cud_token before = cud_special_token(i ? c->sep : c->cls, 0, i > 0),
                        after = cud_special_token(c->sep, i && !c->roberta ? 1 : 0, true);
        const cud_token *first = i == 0 || c->roberta ? &before : NULL;
        status = put_ends(&p->run[i].tokens, first, after, i ? 1 : 0, err);
        for (size_t w = 0; w < p->run[i].windows && !status; w++) status = put_ends(&p->run[i].window[w], first, after, i ? 1 : 0, err);
    }
    return status;
}

static size_t ends_added(const void *config, bool pair)
{
    const ends_config *c = config;
    return !pair ? 2 : c->roberta ? 4 : 3;
}

const cud_processor_type cud_processor_bert = { { "BertProcessing", bert_parse, NULL }, ends_apply, ends_added };
const cud_processor_type cud_processor_roberta = { { "RobertaProcessing", roberta_parse, NULL }, ends_apply, ends_added };
