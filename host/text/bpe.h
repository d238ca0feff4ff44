/* The BPE model's merge rules, for the model and its tests. */
#ifndef CUD_TEXT_BPE_H
#define CUD_TEXT_BPE_H

#include "text/component.h"

typedef struct cud_merge {
    int32_t left, right;
    uint32_t rank; /* UINT32_MAX: an empty slot */
    int32_t id;    /* of what they become */
} cud_merge;

typedef struct cud_merges { /* open addressing, by pair */
    cud_merge *slot;
    size_t slots, count;
    uint64_t seed;
} cud_merges;

cuddle_status cud_merges_add(cud_merges *m, cud_merge merge, cuddle_error *err);    /* replaces a rule for the same pair */
const cud_merge *cud_merges_find(const cud_merges *m, int32_t left, int32_t right); /* NULL if there is none */

typedef struct cud_symbol {
    int32_t id;
    uint32_t length;        /* bytes of the word; 0: merged into the one before */
    int32_t previous, next; /* -1 at the ends */
} cud_symbol;

typedef struct cud_bpe_scratch {
    cud_symbol *symbol;
    size_t count, room;
    struct cud_candidate *heap;
    size_t heap_count, heap_room;
} cud_bpe_scratch;

cuddle_status cud_bpe_symbol(cud_bpe_scratch *s, int32_t id, size_t length, cuddle_error *err);
/* Applies the rules to the symbols: always the lowest rank, then the leftmost pair. O(n log n). */
cuddle_status cud_bpe_merge(cud_bpe_scratch *s, const cud_merges *m, cuddle_error *err);
void cud_bpe_scratch_free(void *scratch);

#endif
