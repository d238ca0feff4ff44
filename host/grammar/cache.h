/* Compiled grammars, kept for who asks for the same again: a server gets the text of its schema with every request. What was asked for last
 * is kept as far as the bounds go; a grammar that is given up lives on with those who hold it. Any thread. */
#ifndef CUD_GRAMMAR_CACHE_H
#define CUD_GRAMMAR_CACHE_H

#include "grammar/grammar.h"

#include <pthread.h>

typedef struct kept_grammar kept_grammar;

typedef struct grammar_cache {
    size_t most, most_bytes; /* grammars; bytes of their programs, states and sources, looked at in each call */
    uint64_t seed;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t compiled;
    kept_grammar *first; /* list; the one that was asked for last */
} grammar_cache;

void cud_grammar_cache_init(grammar_cache *c, size_t most, size_t most_bytes);
void cud_grammar_cache_free(grammar_cache *c); /* nobody is in a call */
/* cud_grammar_compile(), unless the same is there or is being compiled. *seconds: what compiling took, also in vain; below 0: it was not done.
 * Who waits for another's compiling gets its failure too. Failures are not kept. */
cuddle_status cud_grammar_cache_get(cuddle_grammar **out, double *seconds, grammar_cache *c, const cuddle_tokenizer *t,
                                    const cuddle_grammar_options *o, cuddle_error *err);
void cud_grammar_cache_size(size_t *count, size_t *bytes, grammar_cache *c);

#endif
