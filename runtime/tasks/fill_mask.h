/* fill-mask: logits at the mask tokens of a text to the tokens that fit there, as transformers/pipelines/fill_mask.py makes them. */
#ifndef CUD_TASKS_FILL_MASK_H
#define CUD_TASKS_FILL_MASK_H

#include "core/status.h"
#include "tasks/writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Positions of the mask token in ids[0..count), written to out[count]. CUDDLE_E_ARG if there is none, or if the tokenizer names no mask token. */
cuddle_status cud_fill_mask_find(size_t *out, size_t *masks, const cuddle_tokenizer *tokenizer, const int32_t *ids, size_t count, cuddle_error *err);

typedef enum cud_target_found {
    CUD_TARGET_KNOWN,    /* a token of the vocabulary */
    CUD_TARGET_REPLACED, /* it is none: the first token of what it is encoded to takes its place */
    CUD_TARGET_IGNORED   /* it is encoded to nothing */
} cud_target_found;
/* The tokens that the words stand for, to be released with free(): ascending, each once. found[count], which may be NULL, says what became of each
 * word, which the pipeline warns of. CUDDLE_E_ARG if no token is left. */
cuddle_status cud_fill_mask_targets(int32_t **out, size_t *out_count, cud_target_found *found, const cuddle_tokenizer *tokenizer,
                                    const char *const *words, size_t count, cuddle_error *err);

typedef struct cud_fill_mask_options {
    size_t top_k;           /* the pipeline's default is 5; more than there are: all */
    const int32_t *targets; /* [target_count] only these are looked at; their scores are those among all tokens. NULL: all */
    size_t target_count;
} cud_fill_mask_options;

typedef struct cud_fill {
    float score;
    int32_t token;
    char *token_text, *sequence; /* decoded; the text with this token in the place of the mask */
    size_t token_length, sequence_length;
} cud_fill;
typedef struct cud_fills {
    cud_fill *item; /* [masks][each], best first, the lower id first where scores are equal (torch promises no order) */
    size_t masks, each;
} cud_fills;

/* logits[masks][vocabulary], a row for each mask in the order of cud_fill_mask_find(). A sequence is decoded without special tokens if there is one
 * mask in the text, else with them; padding is left out. Memory and time are those of masks * top_k texts. Release with cud_fills_free(). */
cuddle_status cud_fill_mask(cud_fills *out, const cuddle_tokenizer *tokenizer, const int32_t *ids, size_t count, const float *logits,
                            size_t vocabulary, const cud_fill_mask_options *options, cuddle_error *err);
void cud_fills_free(cud_fills *f);
/* [{"score": ..., "token": ..., "token_str": ..., "sequence": ...}, ...]; of several masks, a list of such lists. */
void cud_fills_write(cud_writer *w, const cud_fills *f);

#endif
