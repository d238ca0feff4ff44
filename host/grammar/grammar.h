/* Grammars that output can be held to, and matchers that follow one text each. A compiled grammar is shared by threads and requests: its
 * program does not change, and the states that its texts have reached (automaton.h) are kept under a lock for those that come. */
#ifndef CUD_GRAMMAR_GRAMMAR_H
#define CUD_GRAMMAR_GRAMMAR_H

#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* cuddle_grammar and cuddle_grammar_options are the types of cuddle.h. */

/* Released with cud_grammar_release(). The options are complete: see cuddle_grammar_options_init(). */
cuddle_status cud_grammar_compile(cuddle_grammar **out, const cuddle_tokenizer *t, const cuddle_grammar_options *options, cuddle_error *err);
void cud_grammar_keep(cuddle_grammar *g);
void cud_grammar_release(cuddle_grammar *g); /* NULL is fine */
/* Bytes of its program and of the states so far; does not wait for who follows it. */
size_t cud_grammar_memory(const cuddle_grammar *g);
void cud_grammar_info(cuddle_grammar_info *out, cuddle_grammar *g);
/* Was it compiled for a tokenizer whose tokens have the same ids and bytes? */
cuddle_status cud_grammar_check(const cuddle_grammar *g, const cuddle_tokenizer *t, cuddle_error *err);

typedef struct cud_matcher cud_matcher; /* one thread at a time; keeps its grammar */
/* after_text: text comes before, so that the first token loses nothing (text/lexicon.h, spaces). */
cuddle_status cud_matcher_new(cud_matcher **out, cuddle_grammar *g, bool after_text, cuddle_error *err);
void cud_matcher_free(cud_matcher *m); /* NULL is fine */
/* Bit `id` of mask[0 .. words): may the token come next? Bits beyond the tokenizer's ids are 0. */
cuddle_status cud_matcher_mask(uint32_t *mask, size_t words, cud_matcher *m, cuddle_error *err);
/* CUDDLE_E_ARG for a token that the mask does not have, and then nothing changes. */
cuddle_status cud_matcher_token(cud_matcher *m, int32_t token, cuddle_error *err);
/* The same for bytes: *taken of them could follow. */
cuddle_status cud_matcher_bytes(size_t *taken, cud_matcher *m, const char *bytes, size_t length, cuddle_error *err);
bool cud_matcher_accepts(cud_matcher *m); /* may the text end here? */
bool cud_matcher_is_over(cud_matcher *m); /* may nothing follow? */

#endif
