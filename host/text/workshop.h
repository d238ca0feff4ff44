/* What one call of a tokenizer works with: buffers that have grown, words that are known. A tokenizer keeps those of calls that have ended for the
 * next ones, so that short texts cost no allocation and words stay known between calls, whichever thread makes them. */
#ifndef CUD_TEXT_WORKSHOP_H
#define CUD_TEXT_WORKSHOP_H

#include "text/component.h"
#include "text/words.h"

typedef struct cud_desk { /* one call's */
    cud_pieces pieces;
    cud_tokens tokens;
    cud_words *words;
    struct cud_desk *next;
} cud_desk;

typedef struct cud_workshop cud_workshop; /* any thread */

cuddle_status cud_workshop_new(cud_workshop **out, const cud_model_type *model, cuddle_error *err);
void cud_workshop_free(cud_workshop *w); /* no desk is taken any more; NULL is fine */
/* A desk with nothing on it but what it has learned. */
cuddle_status cud_workshop_take(cud_desk **out, cud_workshop *w, cuddle_error *err);
void cud_workshop_give(cud_workshop *w, cud_desk *d);

#endif
