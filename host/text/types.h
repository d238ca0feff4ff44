/* Every component type there is, for the tables of component.c. */
#ifndef CUD_TEXT_TYPES_H
#define CUD_TEXT_TYPES_H

#include "text/component.h"

extern const cud_step_type cud_normalizer_bert, cud_normalizer_byte_level, cud_normalizer_lowercase, cud_normalizer_nfc,
    cud_normalizer_nfd, cud_normalizer_nfkc, cud_normalizer_nfkd, cud_normalizer_nmt, cud_normalizer_precompiled,
    cud_normalizer_prepend, cud_normalizer_replace, cud_normalizer_strip, cud_normalizer_strip_accents;
extern const cud_step_type cud_pre_tokenizer_bert, cud_pre_tokenizer_byte_level, cud_pre_tokenizer_delimiter,
    cud_pre_tokenizer_digits, cud_pre_tokenizer_fixed_length, cud_pre_tokenizer_metaspace, cud_pre_tokenizer_punctuation,
    cud_pre_tokenizer_scripts, cud_pre_tokenizer_split, cud_pre_tokenizer_whitespace, cud_pre_tokenizer_whitespace_split;
extern const cud_model_type cud_model_bpe, cud_model_unigram, cud_model_wordlevel, cud_model_wordpiece;
extern const cud_processor_type cud_processor_bert, cud_processor_byte_level, cud_processor_roberta, cud_processor_template;
extern const cud_decoder_type cud_decoder_bpe, cud_decoder_byte_fallback, cud_decoder_byte_level, cud_decoder_cleanup,
    cud_decoder_ctc, cud_decoder_fuse, cud_decoder_join, cud_decoder_metaspace, cud_decoder_replace, cud_decoder_strip,
    cud_decoder_wordpiece;

#endif
