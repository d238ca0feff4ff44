/* A set of strings with an id each, made once, walked byte by byte: a double array, one load and one comparison per byte.
 *
 * Node 0 is the root. The child of node n for byte b is unit[n].base ^ b if that unit's parent is n. */
#ifndef CUD_TEXT_TRIE_H
#define CUD_TEXT_TRIE_H

#include "text/vocab.h"

typedef struct cud_trie_unit {
    uint32_t base;
    int32_t parent; /* -1: not in use */
    int32_t id;     /* of the string that ends here, or -1 */
} cud_trie_unit;

typedef struct cud_trie {
    cud_trie_unit *unit;
    uint32_t count; /* every base ^ byte is below it */
} cud_trie;

/* All tokens of the vocabulary. `longest` bounds a token's bytes, and so the time per byte of text that a walk may cost. */
enum { CUD_TRIE_LONGEST = 4096 };
cuddle_status cud_trie_build(cud_trie *out, const cud_vocab *vocab, cuddle_error *err);
void cud_trie_free(cud_trie *t);

/* The child, or -1. */
static inline int32_t cud_trie_step(const cud_trie *t, int32_t node, unsigned char byte)
{
    const uint32_t child = t->unit[node].base ^ byte;
    return t->unit[child].parent == node ? (int32_t)child : -1;
}

#endif
