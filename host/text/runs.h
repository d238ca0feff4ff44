/* What lies between the model and the result: tokens of one text or two, cut to a length, in the hands of the post-processors.
 *
 * A run has tokens and the windows that truncation cut off it. Post-processors rewrite a list of runs: it begins with one run per
 * text, and a template puts others around them. The encodings are put together from the list at the end, one for the runs' tokens
 * and one for every way to take windows instead, in the order of the reference implementation. */
#ifndef CUD_TEXT_RUNS_H
#define CUD_TEXT_RUNS_H

#include "text/aligned.h"
#include "text/vocab.h"

enum { CUD_NO_SEQUENCE = -1, CUD_NO_WORD = -1 };
enum { CUD_MAX_WINDOWS = 1 << 20, CUD_MAX_WINDOW_TOKENS = 1 << 24 }; /* of one encoding, and in them all together */

typedef struct cud_token {
    int32_t id;
    bool special;                /* added by the post-processor */
    bool behind;                 /* of a special one: there is a text before it */
    int8_t source;               /* the text it was found in */
    int8_t sequence;             /* what the encoding says about that: CUD_NO_SEQUENCE for tokens of no text */
    int32_t type, word;          /* type id; index of the piece of its text */
    size_t begin, end;           /* from the model: in the word; afterwards: in the given text */
    /* The text that the token stands for where that is not the vocabulary's (added tokens, unknown words); both 0: it is. As begin
     * and end, first in the word, then in the pieces' buffer. */
    size_t text_end, text_begin;
} cud_token;

typedef struct cud_tokens {
    cud_token *token;
    size_t count, room;
    void *scratch; /* of the model, kept from word to word of one call */
} cud_tokens;
cuddle_status cud_tokens_grow(cud_tokens *t, cuddle_error *err); /* by half and some */
static inline cuddle_status cud_tokens_reserve(cud_tokens *t, size_t few, cuddle_error *err) /* at most 32 */
{
    return t->room - t->count >= few ? CUDDLE_OK : cud_tokens_grow(t, err);
}
static inline cuddle_status cud_tokens_add(cud_tokens *t, cud_token token, cuddle_error *err)
{
    const cuddle_status status = cud_tokens_reserve(t, 1, err);
    if (!status) t->token[t->count++] = token;
    return status;
}

typedef struct cud_run {
    cud_tokens tokens;
    cud_tokens *window; /* in the order they are reported in */
    size_t windows;
} cud_run;
void cud_run_free(cud_run *r);
cuddle_status cud_run_copy(cud_run *out, const cud_run *from, cuddle_error *err); /* *out is freed by the caller either way */

/* The reference's truncate_encodings for one text or two, of which `most` tokens may stay together. What is cut off a text becomes windows of as
 * many tokens as stay, each sharing the cut's stride with the one before it, and one window where none stays, unless the cut drops it. */
struct cud_cut;
cuddle_status cud_runs_truncate(cud_run *run, int texts, const struct cud_cut *cut, size_t most, cuddle_error *err);

typedef struct cud_given { /* a text of the call */
    const cud_pieces *pieces;
    const char *text;
    size_t length;
} cud_given;

typedef struct cud_processing {
    cud_run *run;
    int count;
    const cud_given *given; /* [texts] */
    int texts;
    const cud_vocab *vocab;
    bool add_special;
    size_t truncated; /* tokens that were cut off the texts */
} cud_processing;
/* ByteLevel's and RobertaProcessing's trim_offsets: white space at a token's ends is no part of its offsets. */
void cud_trim_offsets(cud_processing *p, bool add_prefix_space);
void cud_runs_free(cud_run *run, int count); /* the list too */
/* A token that a post-processor adds. */
static inline cud_token cud_special_token(int32_t id, int32_t type, bool behind)
{
    return (cud_token){ .id = id, .special = true, .behind = behind, .sequence = CUD_NO_SEQUENCE, .type = type, .word = CUD_NO_WORD };
}

#endif
