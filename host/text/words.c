#include "text/words.h"

#include <stdlib.h>
#include <string.h>

enum { SETS = 1 << 13, WAYS = 4, TOKENS = 6, LINE = 64 };

typedef struct entry { /* a cache line */
    uint64_t part[CUD_WORD_MAX / 8];
    int32_t id[TOKENS];
    uint8_t begin[TOKENS], end[TOKENS];
    uint8_t length, count; /* length 0: empty */
    uint8_t unused[2];
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
    uint64_t differing = e->length ^ word->length;
    for (int i = 0; i < CUD_WORD_MAX / 8; i++) differing |= e->part[i] ^ word->part[i];
    return !differing;
}

cuddle_status cud_words_find(cud_words *w, bool *found, cud_tokens *out, const cud_word *word, cuddle_error *err)
{
    entry *e = w->entry + (size_t)word->set * WAYS;
    int way = 0;
    *found = false;
    if (!word->length) return CUDDLE_OK;
    while (!holds(&e[way], word))
        if (++way == WAYS) return CUDDLE_OK;
    *found = true;
    const cuddle_status status = cud_tokens_reserve(out, TOKENS, err);
    if (status) return status;
    cud_token *to = out->token + out->count;
    const entry it = e[way];
    for (int i = 0; i < it.count; i++) to[i] = (cud_token){ .id = it.id[i], .begin = it.begin[i], .end = it.end[i] };
    out->count += it.count;
    if (way) e[way] = e[way - 1], e[way - 1] = it;
    return CUDDLE_OK;
}

void cud_words_keep(cud_words *w, const cud_word *word, const cud_token *token, size_t count)
{
    if (!word->length || count > TOKENS) return;
    for (size_t i = 0; i < count; i++) /* beyond the word: bytes of an affix; unknown words */
        if (token[i].begin > word->length || token[i].end > UINT8_MAX || token[i].text_end) return;
    entry *e = w->entry + (size_t)word->set * WAYS;
    memmove(e + 1, e, (WAYS - 1) * sizeof *e);
    memcpy(e->part, word->part, sizeof e->part);
    for (size_t i = 0; i < count; i++) {
        e->id[i] = token[i].id;
        e->begin[i] = (uint8_t)token[i].begin;
        e->end[i] = (uint8_t)token[i].end;
    }
    e->length = (uint8_t)word->length;
    e->count = (uint8_t)count;
}
