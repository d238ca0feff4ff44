/* BertProcessing and RobertaProcessing: a token before the text and one behind it. */
#include "text/tokenizer.h"
#include "text/types.h"

#include <stdlib.h>

typedef struct ends_config {
    int32_t cls, sep;
    bool trim_offsets, add_prefix_space;
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
    ends_config c = { 0 };
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

static cuddle_status ends_apply(cud_processing *p, const void *config, cuddle_error *err)
{
    const ends_config *c = config;
    cud_tokens *t = &p->tokens;
    if (c->trim_offsets) cud_trim_offsets(p, c->add_prefix_space);
    if (!p->add_special) return CUDDLE_OK;
    cuddle_status status = cud_tokens_add(t, (cud_token){ 0 }, err);
    if (!status) status = cud_tokens_add(t, (cud_token){ .id = c->sep, .special = true }, err);
    if (status) return status;
    for (size_t i = t->count - 2; i > 0; i--) {
        t->token[i] = t->token[i - 1];
        t->token[i].special = false; /* what an earlier processor added is text to this one, as in the reference */
    }
    t->token[0] = (cud_token){ .id = c->cls, .special = true };
    return CUDDLE_OK;
}

const cud_processor_type cud_processor_bert = { { "BertProcessing", bert_parse, NULL }, ends_apply };
const cud_processor_type cud_processor_roberta = { { "RobertaProcessing", roberta_parse, NULL }, ends_apply };
