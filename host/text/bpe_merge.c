/* Merging symbols by rank: a heap of candidate pairs, lowest rank first, then leftmost. Entries are never removed when a neighbour
 * changes; a popped one is checked against what stands there now. */
#include "text/bpe.h"

#include <stdlib.h>
#include <string.h>

typedef struct cud_candidate {
    uint32_t rank;
    int32_t at; /* the left symbol */
    int32_t id;
} cud_candidate;

/* ---- rules ---- */

static cud_merge *find_slot(const cud_merges *m, int32_t left, int32_t right)
{
    const size_t mask = m->slots - 1;
    for (size_t i = cud_hash_mix(m->seed, (uint64_t)(uint32_t)left << 32 | (uint32_t)right) & mask;; i = (i + 1) & mask) {
        cud_merge *slot = &m->slot[i];
        if (slot->rank == UINT32_MAX || (slot->left == left && slot->right == right)) return slot;
    }
}

static cuddle_status grow(cud_merges *m, cuddle_error *err)
{
    const cud_merges old = *m;
    const size_t slots = old.slots ? old.slots * 2 : 256;
    if (!old.slots) m->seed = cud_hash_seed();
    if (slots > SIZE_MAX / sizeof *m->slot) return cud_nomem(err, SIZE_MAX, "merges");
    m->slot = malloc(slots * sizeof *m->slot);
    if (!m->slot) {
        m->slot = old.slot;
        return cud_nomem(err, slots * sizeof *m->slot, "merges");
    }
    m->slots = slots;
    for (size_t i = 0; i < slots; i++) m->slot[i].rank = UINT32_MAX;
    for (size_t i = 0; i < old.slots; i++)
        if (old.slot[i].rank != UINT32_MAX) *find_slot(m, old.slot[i].left, old.slot[i].right) = old.slot[i];
    free(old.slot);
    return CUDDLE_OK;
}

cuddle_status cud_merges_add(cud_merges *m, cud_merge merge, cuddle_error *err)
{
    if ((m->count + 1) * 2 > m->slots) {
        const cuddle_status status = grow(m, err);
        if (status) return status;
    }
    cud_merge *slot = find_slot(m, merge.left, merge.right);
    m->count += slot->rank == UINT32_MAX;
    *slot = merge;
    return CUDDLE_OK;
}

const cud_merge *cud_merges_find(const cud_merges *m, int32_t left, int32_t right)
{
    if (!m->slots) return NULL;
    const cud_merge *slot = find_slot(m, left, right);
    return slot->rank == UINT32_MAX ? NULL : slot;
}

/* ---- heap ---- */

static bool before(const cud_candidate *a, const cud_candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static cuddle_status push(cud_bpe_scratch *s, cud_candidate c, cuddle_error *err)
{
    if (s->heap_count == s->heap_room) {
        const size_t room = s->heap_room ? s->heap_room * 2 : 64;
        cud_candidate *grown = room > SIZE_MAX / sizeof *grown ? NULL : realloc(s->heap, room * sizeof *grown);
        if (!grown) return cud_nomem(err, room * sizeof *grown, "merging a word");
        s->heap = grown;
        s->heap_room = room;
    }
    size_t i = s->heap_count++;
    for (; i > 0 && before(&c, &s->heap[(i - 1) / 2]); i = (i - 1) / 2) s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = c;
    return CUDDLE_OK;
}

static cud_candidate pop(cud_bpe_scratch *s)
{
    const cud_candidate top = s->heap[0], last = s->heap[--s->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->heap_count) break;
        if (child + 1 < s->heap_count && before(&s->heap[child + 1], &s->heap[child])) child++;
        if (!before(&s->heap[child], &last)) break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return top;
}

/* The pair of `at` and what follows it, if there is a rule for it. */
static cuddle_status consider(cud_bpe_scratch *s, const cud_merges *m, int32_t at, cuddle_error *err)
{
    const int32_t next = s->symbol[at].next;
    const cud_merge *merge = next < 0 ? NULL : cud_merges_find(m, s->symbol[at].id, s->symbol[next].id);
    return merge ? push(s, (cud_candidate){ merge->rank, at, merge->id }, err) : CUDDLE_OK;
}

/* ---- symbols ---- */

cuddle_status cud_bpe_symbol(cud_bpe_scratch *s, int32_t id, size_t length, cuddle_error *err)
{
    if (s->count == s->room) {
        const size_t room = s->room ? s->room * 2 : 64;
        if (room > INT32_MAX) return cud_fail(err, CUDDLE_E_LIMIT, "a word of more than %d characters", INT32_MAX);
        cud_symbol *grown = realloc(s->symbol, room * sizeof *grown);
        if (!grown) return cud_nomem(err, room * sizeof *grown, "merging a word");
        s->symbol = grown;
        s->room = room;
    }
    const int32_t at = (int32_t)s->count++;
    if (at > 0) s->symbol[at - 1].next = at;
    s->symbol[at] = (cud_symbol){ id, (uint32_t)length, at - 1, -1 };
    return CUDDLE_OK;
}

enum { FEW = 24 }; /* symbols: looking through all pairs beats keeping a heap of them */

/* The same for few symbols, in an array that closes up behind each merge. */
static void merge_few(cud_bpe_scratch *s, const cud_merges *m)
{
    const cud_merge *rule[FEW]; /* of symbol i and the next one */
    size_t count = s->count;
    for (size_t i = 0; i + 1 < count; i++) rule[i] = cud_merges_find(m, s->symbol[i].id, s->symbol[i + 1].id);
    for (;;) {
        size_t best = count;
        for (size_t i = 0; i + 1 < count; i++)
            if (rule[i] && (best == count || rule[i]->rank < rule[best]->rank)) best = i;
        if (best == count) break;
        s->symbol[best].id = rule[best]->id;
        s->symbol[best].length += s->symbol[best + 1].length;
        count--;
        for (size_t i = best + 1; i < count; i++) s->symbol[i] = s->symbol[i + 1];
        for (size_t i = best + 1; i + 1 < count; i++) rule[i] = rule[i + 1];
        if (best + 1 < count) rule[best] = cud_merges_find(m, s->symbol[best].id, s->symbol[best + 1].id);
        if (best > 0) rule[best - 1] = cud_merges_find(m, s->symbol[best - 1].id, s->symbol[best].id);
    }
    s->count = count;
}

cuddle_status cud_bpe_merge(cud_bpe_scratch *s, const cud_merges *m, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    if (s->count <= FEW) {
        merge_few(s, m);
        return CUDDLE_OK;
    }
    s->heap_count = 0;
    for (size_t i = 0; i + 1 < s->count && !status; i++) status = consider(s, m, (int32_t)i, err);
    while (s->heap_count > 0 && !status) {
        const cud_candidate c = pop(s);
        cud_symbol *left = &s->symbol[c.at];
        if (!left->length || left->next < 0) continue;
        cud_symbol *right = &s->symbol[left->next];
        const cud_merge *now = cud_merges_find(m, left->id, right->id);
        if (!now || now->id != c.id) continue; /* a neighbour was merged since */
        left->id = c.id;
        left->length += right->length;
        left->next = right->next;
        right->length = 0;
        if (left->next >= 0) s->symbol[left->next].previous = c.at;
        if (left->previous >= 0) status = consider(s, m, left->previous, err);
        if (!status) status = consider(s, m, c.at, err);
    }
    return status;
}

void cud_bpe_scratch_free(void *scratch)
{
    cud_bpe_scratch *s = scratch;
    if (!s) return;
    free(s->symbol);
    free(s->heap);
    free(s);
}
