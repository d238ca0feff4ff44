#include "text/trie.h"

#include <stdlib.h>
#include <string.h>

/* Nodes are laid out from the root down, each with all its children at once: the tokens below one node are a range of the sorted
 * list. Children go where there is room among the newest units, after a few tries into a block of their own: a vocabulary made to
 * be hard to pack costs memory, not time. */
enum { BLOCK = 256, OPEN = 2 * BLOCK, TRIES = 64 };

typedef struct key {
    const unsigned char *text;
    uint32_t length;
    int32_t id;
} key;

typedef struct job {
    int32_t node;
    uint32_t begin, end, depth; /* keys [begin, end) agree in their first `depth` bytes, which lead to node */
} job;

typedef struct builder {
    cud_trie *t;
    key *keys;
    job *job;
    size_t jobs, jobs_room;
    uint32_t room, low; /* units; of the newest ones none below `low` is free */
    cuddle_error *err;
} builder;

static int compare(const void *x, const void *y)
{
    const key *a = x, *b = y;
    const int order = memcmp(a->text, b->text, a->length < b->length ? a->length : b->length);
    return order ? order : a->length < b->length ? -1 : a->length > b->length;
}

static cuddle_status add_block(builder *b)
{
    cud_trie *t = b->t;
    if (t->count > INT32_MAX - BLOCK) return cud_fail(b->err, CUDDLE_E_LIMIT, "tokenizer.json: the vocabulary is too large");
    if (t->count + BLOCK > b->room) {
        const uint32_t room = t->count + t->count / 2 + BLOCK;
        cud_trie_unit *grown = realloc(t->unit, room * sizeof *grown);
        if (!grown) return cud_nomem(b->err, room * sizeof *grown, "the vocabulary");
        t->unit = grown;
        b->room = room;
    }
    for (uint32_t i = 0; i < BLOCK; i++) t->unit[t->count + i] = (cud_trie_unit){ 0, -1, -1 };
    t->count += BLOCK;
    const uint32_t newest = t->count > OPEN ? t->count - OPEN : 0;
    if (b->low < newest) b->low = newest;
    return CUDDLE_OK;
}

/* A base whose units are free for all these labels. */
static cuddle_status find_base(uint32_t *out, builder *b, const unsigned char *labels, int count)
{
    const cud_trie_unit *unit = b->t->unit;
    int tries = 0;
    while (b->low < b->t->count && unit[b->low].parent >= 0) b->low++;
    for (uint32_t at = b->low; at < b->t->count && tries < TRIES; at++) {
        if (unit[at].parent >= 0) continue;
        const uint32_t base = at ^ labels[0];
        int fits = 1;
        while (fits < count && unit[base ^ labels[fits]].parent < 0) fits++;
        *out = base;
        if (fits == count) return CUDDLE_OK;
        tries++;
    }
    *out = b->t->count;
    return add_block(b);
}

static cuddle_status push(builder *b, job j)
{
    if (b->jobs == b->jobs_room) {
        const size_t room = b->jobs_room ? 2 * b->jobs_room : 64;
        job *grown = realloc(b->job, room * sizeof *grown);
        if (!grown) return cud_nomem(b->err, room * sizeof *grown, "the vocabulary");
        b->job = grown;
        b->jobs_room = room;
    }
    b->job[b->jobs++] = j;
    return CUDDLE_OK;
}

static cuddle_status lay_out(builder *b, job j)
{
    unsigned char labels[256];
    uint32_t first[257], base;
    int count = 0;
    if (j.begin < j.end && b->keys[j.begin].length == j.depth)
        b->t->unit[j.node].id = b->keys[j.begin++].id; /* sorted: it is first */
    for (uint32_t i = j.begin; i < j.end; i++) {
        const unsigned char byte = b->keys[i].text[j.depth];
        if (count && labels[count - 1] == byte) continue;
        labels[count] = byte;
        first[count++] = i;
    }
    first[count] = j.end;
    if (!count) return CUDDLE_OK;
    cuddle_status status = find_base(&base, b, labels, count);
    if (status) return status;
    b->t->unit[j.node].base = base;
    for (int i = 0; i < count; i++) b->t->unit[base ^ labels[i]].parent = j.node;
    for (int i = count - 1; i >= 0 && !status; i--)
        status = push(b, (job){ (int32_t)(base ^ labels[i]), first[i], first[i + 1], j.depth + 1 });
    return status;
}

cuddle_status cud_trie_build(cud_trie *out, const cud_vocab *vocab, cuddle_error *err)
{
    *out = (cud_trie){ 0 };
    builder b = { .t = out, .err = err };
    b.keys = calloc((size_t)vocab->count + 1, sizeof *b.keys);
    if (!b.keys) return cud_nomem(err, vocab->count * sizeof *b.keys, "the vocabulary");
    cuddle_status status = add_block(&b);
    for (uint32_t i = 0; i < vocab->count && !status; i++) {
        const cud_vocab_entry *e = &vocab->entry[i];
        b.keys[i] = (key){ (const unsigned char *)vocab->pool + e->offset, e->length, e->id };
        if (e->length > CUD_TRIE_LONGEST)
            status = cud_fail(err, CUDDLE_E_LIMIT, "tokenizer.json: token \"%.60s...\" has %u bytes, expected at most %d",
                              vocab->pool + e->offset, e->length, CUD_TRIE_LONGEST);
    }
    if (!status) {
        qsort(b.keys, vocab->count, sizeof *b.keys, compare);
        out->unit[0].parent = INT32_MAX; /* in use, and no node's child */
        status = push(&b, (job){ 0, 0, vocab->count, 0 });
    }
    while (b.jobs > 0 && !status) status = lay_out(&b, b.job[--b.jobs]);
    if (status) cud_trie_free(out);
    free(b.keys);
    free(b.job);
    return status;
}

void cud_trie_free(cud_trie *t)
{
    free(t->unit);
    *t = (cud_trie){ 0 };
}
