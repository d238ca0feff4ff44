/* The vocabulary of a model, as most of them write it: {"token": id, ...}. */
#include "text/component.h"
#include "text/tokenizer.h"

cuddle_status cud_part_vocab(const cud_part *in, cuddle_error *err)
{
    scanner scan;
    cuddle_status status = cud_document_scan(&scan, in->document, CUD_LARGE_VOCAB, err);
    if (status) return status;
    if (scan.token != SCAN_OBJECT)
        return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: %s: \"vocab\" is not an object", in->label);
    while (cud_scan_next(&scan) == SCAN_KEY) {
        const char *token = scan.text;
        const size_t length = scan.length;
        uint64_t id = UINT64_MAX;
        cud_scan_next(&scan);
        if (!cud_scan_u64(&scan, &id) || id > CUD_TOKENIZER_MAX_ID) {
            char found[64];
            return cud_fail(err, CUDDLE_E_FORMAT,
                            "tokenizer.json: the id of token \"%.60s\" is %s, expected an integer from 0 to %d", token,
                            cud_scan_show(&scan, found), CUD_TOKENIZER_MAX_ID);
        }
        const char *other = cud_vocab_token(in->vocab, (int32_t)id, NULL);
        if (other)
            return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: tokens \"%.60s\" and \"%.60s\" have the same id %d", other,
                            token, (int)id);
        if (cud_vocab_find(in->vocab, token, length) >= 0)
            return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: token \"%.60s\" is in the vocabulary twice", token);
        status = cud_vocab_add(in->vocab, token, length, (int32_t)id, err);
        if (status) return status;
    }
    return scan.token == SCAN_ERROR ? CUDDLE_E_FORMAT : CUDDLE_OK;
}
