#include "text/words.h"

#include <stdlib.h>
#include <string.h>

enum { SETS = 1 << 13, WAYS = 4, LINE = 64 };

typedef struct entry { /* a cache line */
    uint64_t part[CUD_WORD_MAX / 8];
    cud_known known;
} entry;
_Static_assert(sizeof(entry) == LINE, "an entry is a cache line");

struct cud_words {
    entry *entry; /* [SETS][WAYS]: the one that came last is first, and those that are found move towards it */
    uint64_t seed; /* so that a text cannot be made to collide */
    void *memory;
};

cuddle_status cud_words_new(cud_words **out, cuddle_error *err)
{
    const size_t size = (size_t)SETS * WAYS * sizeof(entry);
    cud_words *w = calloc(1, sizeof *w);
    *out = NULL;
    if (w) w->memory = calloc(1, size + LINE); /* pages of zeros that cost nothing until they are used */
    if (!w || !w->memory) {
        free(w);
        return cud_nomem(err, size, "the words of a tokenizer");
    }
    w->entry = (entry *)(void *)((char *)w->memory + (LINE - (uintptr_t)w->memory % LINE));
    w->seed = cud_hash_seed();
    *out = w;
    return CUDDLE_OK;
}

void cud_words_free(cud_words *w)
{
    if (!w) return;
    free(w->memory);
    free(w);
}

static uint64_t load(const void *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

void cud_words_expect(const cud_words *w, cud_word *out, const char *text, size_t length)
{
#define X8 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
    static const uint8_t mask[2 * CUD_WORD_MAX] = { X8, X8, X8 };
#undef X8
    out->length = 0;
    if (length == 0 || length > CUD_WORD_MAX) return;
    out->length = (uint32_t)length;
    uint64_t h = w->seed ^ length;
    for (int i = 0; i < CUD_WORD_MAX / 8; i++) { /* no branches: lengths cannot be predicted */
        out->part[i] = load(text + 8 * i) & load(mask + CUD_WORD_MAX - length + 8 * i);
        h = cud_hash_mix(h, out->part[i]);
    }
    out->set = (uint32_t)(h & (SETS - 1));
    __builtin_prefetch(w->entry + (size_t)out->set * WAYS);
}

static bool holds(const entry *e, const cud_word *word)
{
    uint64_t differing = e->known.length ^ word->length;
    for (int i = 0; i < CUD_WORD_MAX / 8; i++) differing |= e->part[i] ^ word->part[i];
    return !differing;
}

const cud_known *cud_words_find(cud_words *w, const cud_word *word)
{
    if (!word->length) return NULL;
    entry *e = w->entry + (size_t)word->set * WAYS;
    if (holds(e, word)) return &e->known;
    for (int way = 1; way < WAYS; way++) {
        if (!holds(&e[way], word)) continue;
        const entry it = e[way];
        e[way] = e[way - 1];
        e[way - 1] = it;
        return &e[way - 1].known;
    }
    return NULL;
}

void cud_words_keep(cud_words *w, const cud_word *word, const cud_token *token, size_t count)
{
    if (!word->length || count > CUD_WORD_TOKENS) return;
    for (size_t i = 0; i < count; i++) /* beyond the word: bytes of an affix; unknown words */
        if (token[i].begin > word->length || token[i].end > UINT8_MAX || token[i].text_end) return;
    entry *e = w->entry + (size_t)word->set * WAYS;
    memmove(e + 1, e, (WAYS - 1) * sizeof *e);
    memcpy(e->part, word->part, sizeof e->part);
    for (size_t i = 0; i < count; i++) {
        e->known.id[i] = token[i].id;
        e->known.begin[i] = (uint8_t)token[i].begin;
        e->known.end[i] = (uint8_t)token[i].end;
    }
    e->known.length = (uint8_t)word->length;
    e->known.count = (uint8_t)count;
}
