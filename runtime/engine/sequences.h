/* Sets of token sequences, for what is said of the last token of each where the others have just been produced: transformers'
 * sequence_bias and bad_words_ids (transformers/generation/logits_process.py).
 *
 * Finding those that may be completed now takes a binary search and looks only at sequences whose last but one token is the newest one:
 * never more comparisons than the set has tokens, CUD_MAX_SEQUENCE_TOKENS at most. */
#ifndef CUD_ENGINE_SEQUENCES_H
#define CUD_ENGINE_SEQUENCES_H

#include "core/status.h"

#include <stdint.h>

enum { CUD_MAX_SEQUENCE_TOKENS = 1 << 16 }; /* of one set, all sequences together */

typedef struct token_sequence {
    const int32_t *ids; /* in the set's; valid once the set is sealed */
    size_t at;          /* of its first token there */
    int length, order, group;
    float bias;
} token_sequence;

typedef struct sequence_set {
    int32_t *ids; /* all sequences, one after the other */
    token_sequence *item;
    size_t id_count, id_capacity, count, capacity;
    size_t singles; /* sealed: items [0, singles) have one token; the others come by their last but one */
} sequence_set;

/* Adds a sequence. `what` names the set for the sentence that refuses an empty sequence, an id outside [0, vocabulary) or too many. */
cuddle_status cud_sequences_add(sequence_set *set, const int32_t *ids, size_t count, float bias, int vocabulary, const char *what,
                                cuddle_error *err);
/* Orders the set for cud_sequences_next(); of equal sequences the last one's bias counts, as in the dictionary that transformers makes. */
void cud_sequences_seal(sequence_set *set);
/* The first item from `at` on whose other tokens ids[0..count) ends with; set->count if there is none. In such an order that biases of one
 * token come as transformers adds them: single tokens, then lengths as they first came up. */
size_t cud_sequences_next(const sequence_set *set, const int32_t *ids, int count, size_t at);
static inline int32_t cud_sequence_last(const token_sequence *s) { return s->ids[s->length - 1]; }
void cud_sequences_free(sequence_set *set);

#endif
