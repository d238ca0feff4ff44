/* What a tokenizer is made of; for the files that load and run it. */
#ifndef CUD_TEXT_INTERNAL_H
#define CUD_TEXT_INTERNAL_H

#include "text/added.h"
#include "text/component.h"
#include "text/tokenizer.h"

struct cuddle_tokenizer {
    cud_vocab model_vocab; /* what the model knows */
    cud_added added;
    cud_vocab added_vocab; /* content to id, looked up before the model's */
    uint8_t *special;      /* [size] 1 for ids of added tokens that are marked special */
    int size;
    cud_components normalizers, pre_tokenizers, model, processors, decoders; /* model: one */
};

/* The token's string by the reference's order: added tokens first. NULL for an id without a token. */
const char *cud_tokenizer_text(const cuddle_tokenizer *t, int32_t id, size_t *length);

#endif
