#include "text/document.h"

#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

static const char *const keys[] = { [CUD_LARGE_VOCAB] = "vocab", [CUD_LARGE_MERGES] = "merges" };

static bool is_key(const scanner *in, const char *key)
{
    return in->token == SCAN_KEY && in->length == strlen(key) && memcmp(in->text, key, in->length) == 0;
}

/* Inside the model: notes where the large values lie. */
static cuddle_status find_in_model(cud_document *d, scanner *in, cuddle_error *err)
{
    while (cud_scan_next(in) == SCAN_KEY) {
        int which = 0;
        while (which < CUD_LARGE_COUNT && !is_key(in, keys[which])) which++;
        const scan_token value = cud_scan_next(in);
        const size_t begin = in->begin;
        if (!cud_scan_skip(in)) break;
        if (which == CUD_LARGE_COUNT || (value != SCAN_OBJECT && value != SCAN_ARRAY)) continue;
        if (d->end[which]) return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: the model has \"%s\" twice", keys[which]);
        d->begin[which] = begin;
        d->end[which] = in->begin + 1;
    }
    return in->token == SCAN_ERROR ? CUDDLE_E_FORMAT : CUDDLE_OK;
}

static cuddle_status find_large(cud_document *d, scanner *in, cuddle_error *err)
{
    bool model = false;
    if (cud_scan_next(in) == SCAN_ERROR) return CUDDLE_E_FORMAT;
    if (in->token != SCAN_OBJECT) return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: the root is not an object");
    while (cud_scan_next(in) == SCAN_KEY) {
        const bool here = is_key(in, "model");
        if (here && model) return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: \"model\" is there twice");
        model |= here;
        if (cud_scan_next(in) == SCAN_OBJECT && here) {
            const cuddle_status status = find_in_model(d, in, err);
            if (status) return status;
        } else if (!cud_scan_skip(in)) {
            return CUDDLE_E_FORMAT;
        }
    }
    return in->token == SCAN_ERROR || cud_scan_next(in) != SCAN_END ? CUDDLE_E_FORMAT : CUDDLE_OK;
}

/* The text with {} or [] in place of the large values. */
static cuddle_status parse_rest(cud_document *d, const char *text, size_t size, cuddle_error *err)
{
    const cud_large first = d->begin[CUD_LARGE_VOCAB] < d->begin[CUD_LARGE_MERGES] ? CUD_LARGE_VOCAB : CUD_LARGE_MERGES;
    const cud_large order[] = { first, first == CUD_LARGE_VOCAB ? CUD_LARGE_MERGES : CUD_LARGE_VOCAB };
    size_t rest_size = size, used = 0, at = 0;
    for (int i = 0; i < CUD_LARGE_COUNT; i++)
        if (d->end[i]) rest_size -= d->end[i] - d->begin[i] - 2;
    if (rest_size > CUD_TOKENIZER_MAX_REST) /* jansson takes about 20 times that in the worst case */
        return cud_fail(err, CUDDLE_E_LIMIT, "tokenizer.json: %zu bytes beside the vocabulary and the merges, expected at most %d",
                        rest_size, CUD_TOKENIZER_MAX_REST);
    char *rest = malloc(rest_size + 1);
    if (!rest) return cud_nomem(err, rest_size + 1, "tokenizer.json");
    for (int i = 0; i < CUD_LARGE_COUNT; i++) {
        const cud_large which = order[i];
        if (!d->end[which]) continue;
        memcpy(rest + used, text + at, d->begin[which] + 1 - at); /* with the opening bracket */
        used += d->begin[which] + 1 - at;
        at = d->end[which] - 1;
    }
    memcpy(rest + used, text + at, size - at);
    used += size - at;
    const cuddle_status status = cud_json_parse(&d->root, rest, used, "tokenizer.json", err);
    free(rest);
    return status;
}

cuddle_status cud_document_parse(cud_document *out, const char *text, size_t size, cuddle_error *err)
{
    *out = (cud_document){ 0 };
    char *copy = malloc(size + 1); /* finding the values decodes the strings that are passed over: this copy is lost by it */
    out->text = malloc(size + 1);
    cuddle_status status = CUDDLE_OK;
    if (!copy || !out->text) {
        status = cud_nomem(err, size + 1, "tokenizer.json");
    } else {
        scanner in;
        memcpy(copy, text, size);
        memcpy(out->text, text, size);
        cud_scan_init(&in, copy, size, "tokenizer.json", 0, err);
        status = find_large(out, &in, err);
        if (!status) status = parse_rest(out, text, size, err);
    }
    free(copy);
    return status;
}

void cud_document_free(cud_document *d)
{
    free(d->text);
    json_decref(d->root);
    *d = (cud_document){ 0 };
}

cuddle_status cud_document_scan(scanner *in, cud_document *d, cud_large which, cuddle_error *err)
{
    if (!d->end[which])
        return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: \"model.%s\" is missing or neither an object nor an array",
                        keys[which]);
    cud_scan_init(in, d->text + d->begin[which], d->end[which] - d->begin[which], "tokenizer.json", d->begin[which], err);
    cud_scan_next(in);
    return in->token == SCAN_ERROR ? CUDDLE_E_FORMAT : CUDDLE_OK;
}
