/* What a tokenizer is made of; for the files that load and run it. */
#ifndef CUD_TEXT_INTERNAL_H
#define CUD_TEXT_INTERNAL_H

#include "text/added.h"
#include "text/component.h"
#include "text/settings.h"
#include "text/tokenizer.h"

struct cuddle_tokenizer {
    cud_vocab model_vocab; /* what the model knows */
    cud_added added;
    cud_vocab added_vocab; /* content to id, looked up before the model's */
    uint8_t *special;      /* [size] 1 for ids of added tokens that are marked special */
    int size;
    struct cud_workshop *workshop; /* of calls that have ended, for those that come */
    struct cud_lexicon_slot *lexicon; /* what grammars know of it, once there is one */
    cud_cut file_cut; /* tokenizer.json's "truncation" and "padding" */
    cud_pad file_pad;
    int32_t named[CUDDLE_SPECIAL_COUNT]; /* bos_token and so on: ids, or -1 */
    size_t max_length;                   /* model_max_length; 0: none */
    cuddle_side truncation_side, padding_side;
    cud_components normalizers, pre_tokenizers, model, processors, decoders; /* model: one */
};

#endif
