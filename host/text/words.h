/* What becomes of a word, remembered: texts repeat few words many times, and a model's work on one is the same each time. A table of fixed size
 * in which a new word takes the place of whatever stands in its way, so that no text makes it large or slow. One thread at a time. */
#ifndef CUD_TEXT_WORDS_H
#define CUD_TEXT_WORDS_H

#include "text/component.h"

typedef struct cud_words cud_words;

enum { CUD_WORD_MAX = 24, CUD_WORD_TOKENS = 6 }; /* of a word that is remembered: bytes, and tokens it became */

typedef struct cud_word { /* one that is looked for */
    uint64_t part[CUD_WORD_MAX / 8]; /* its bytes, filled up with zeros */
    uint32_t length, set;            /* length 0: it is not remembered */
} cud_word;

typedef struct cud_known { /* what became of one */
    int32_t id[CUD_WORD_TOKENS];
    uint8_t begin[CUD_WORD_TOKENS], end[CUD_WORD_TOKENS]; /* in the word */
    uint8_t count, length; /* tokens; bytes of the word, 0 for none */
} cud_known;

cuddle_status cud_words_new(cud_words **out, cuddle_error *err);
void cud_words_free(cud_words *w); /* NULL is fine */

/* Says that the word will be looked for soon, so that it is in the processor's cache by then. From its beginning on CUD_WORD_MAX bytes can be
 * read, however long it is: what lies behind it is not used. */
void cud_words_expect(const cud_words *w, cud_word *out, const char *text, size_t length);
/* NULL: the word is not known. Valid until the next call. */
const cud_known *cud_words_find(cud_words *w, const cud_word *word);
/* Remembers that the word became these tokens, whose offsets are in the word. */
void cud_words_keep(cud_words *w, const cud_word *word, const cud_token *token, size_t count);

#endif
