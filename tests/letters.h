/* A small checkpoint of several shards with a tokenizer in which every token is one letter, and transformers' own greedy tokens for it: what
 * goes in and what must come out are known as text and as ids, from any place of the sequence on. */
#ifndef CUD_TESTS_LETTERS_H
#define CUD_TESTS_LETTERS_H

#include "parity.h"

enum { LETTERS_MOST = 64 };

typedef struct letters {
    char dir[512];
    expectation e;
    int32_t ids[LETTERS_MOST]; /* the prompt, then what greedy decoding adds */
    int count, prompt_count;   /* of ids; of the shortest prompt */
} letters;

void letters_make(letters *l); /* in the test's temporary directory */
void letters_free(letters *l);
/* The text of ids[from..to), to be freed. */
char *letters_text(const letters *l, int from, int to);

#endif
