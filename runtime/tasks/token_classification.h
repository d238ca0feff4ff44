/* token-classification (named entities and the like): a row of logits per token to entities with offsets, as
 * transformers/pipelines/token_classification.py makes them. Texts that are split into words beforehand (is_split_into_words) are not taken. */
#ifndef CUD_TASKS_TOKEN_CLASSIFICATION_H
#define CUD_TASKS_TOKEN_CLASSIFICATION_H

#include "core/status.h"
#include "tasks/writer.h"

#include <stddef.h>

typedef enum cud_aggregation {
    CUD_AGGREGATE_NONE,    /* an entity per token */
    CUD_AGGREGATE_SIMPLE,  /* neighbours of the same tag are one, unless the second begins with "B-" */
    CUD_AGGREGATE_FIRST,   /* that, of words: with the scores of their first token, */
    CUD_AGGREGATE_AVERAGE, /* the mean of their tokens' scores, */
    CUD_AGGREGATE_MAX      /* or the token with the highest one */
} cud_aggregation;
/* "none", "simple", "first", "average", "max" in any case; NULL: none. CUDDLE_E_ARG otherwise. */
cuddle_status cud_aggregation_parse(cud_aggregation *out, const char *name, cuddle_error *err);

typedef struct cud_token_options {
    const char *const *labels; /* [label_count]; NULL, or an entry that is NULL: "LABEL_i" */
    size_t label_count;        /* columns of the logits */
    cud_aggregation aggregation;
    const char *const *ignore; /* [ignore_count] labels, or groups where there are such, that are left out; NULL: "O" */
    size_t ignore_count;
} cud_token_options;

typedef struct cud_token_window { /* a text, or one of the windows that truncation with a stride cut it into */
    const cuddle_encoding *encoding; /* offsets in bytes of the whole text; padding counts as special */
    const float *logits;             /* [encoding->count][label_count] */
} cud_token_window;

typedef struct cud_entity {
    size_t label; /* of the first token or word; a group's name is what follows its first '-' */
    float score;
    size_t index;      /* of the token in its window, special ones counted; of no meaning for a group */
    char *word;        /* the token's string, or the text that the decoder makes of a group's; NUL-terminated */
    size_t word_length;
    size_t begin, end;   /* bytes of the text */
    size_t first, last;  /* the same in characters: "start" and "end" of the pipeline */
} cud_entity;
typedef struct cud_entities {
    cud_entity *item;
    size_t count;
} cud_entities;

/* Entities of text[0..length) in the order of its tokens. Of entities of several windows that overlap, the longest stays, or the one with the higher
 * score; more than one window without aggregation is CUDDLE_E_ARG, as the pipeline has it. Release with cud_entities_free(). */
cuddle_status cud_token_classify(cud_entities *out, const cuddle_tokenizer *tokenizer, const char *text, size_t length,
                                 const cud_token_window *window, size_t windows, const cud_token_options *options, cuddle_error *err);
void cud_entities_free(cud_entities *e);
/* [{"entity": ..., "score": ..., "index": ..., "word": ..., "start": ..., "end": ...}, ...]; with aggregation "entity_group" and no "index". */
void cud_entities_write(cud_writer *w, const cud_entities *e, const cud_token_options *options);

#endif
