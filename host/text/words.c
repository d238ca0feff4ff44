#include "text/words.h"

#include <stdlib.h>
#include <string.h>

enum { SETS = 1 << 14, WAYS = 2, TOKENS = 6, LINE = 64 };

typedef struct key { uint64_t part[CUD_WORD_MAX / 8]; } key;

typedef struct entry { /* a cache line */
    key word;
    int32_t id[TOKENS];
    uint8_t begin[TOKENS], end[TOKENS];
    uint8_t length, count; /* length 0: empty */
    uint8_t unused[2];
} entry;
_Static_assert(sizeof(entry) == LINE, "an entry is a cache line");

struct cud_words {
    entry *entry; /* [SETS][WAYS], the one that came last first */
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

static uint64_t load(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* The word, filled up with zeros. Reads nothing beyond it, and copies no variable number of bytes: parts that overlap hold the same there. */
static inline key make_key(const char *word, size_t length)
{
    key k = { { 0 } };
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (length >= 8) {
        const size_t last = (length - 1) / 8;
        const uint64_t end = load(word + length - 8) >> 8 * (8 * (last + 1) - length);
        k.part[0] = load(word);
        if (last > 1) k.part[1] = load(word + 8);
        k.part[last] = end;
    } else if (length >= 4) {
        uint32_t begin, end;
        memcpy(&begin, word, sizeof begin);
        memcpy(&end, word + length - 4, sizeof end);
        k.part[0] = begin | (uint64_t)end << 8 * (length - 4);
    } else {
        const unsigned char *s = (const unsigned char *)word;
        k.part[0] = s[0] | (uint64_t)s[length / 2] << 8 * (length / 2) | (uint64_t)s[length - 1] << 8 * (length - 1);
    }
#else
    memcpy(&k, word, length);
#endif
    return k;
}

static entry *set_of(const cud_words *w, const key *k, size_t length)
{
    uint64_t h = cud_hash_mix(w->seed ^ length, k->part[0]);
    if (length > 8) h = cud_hash_mix(cud_hash_mix(h, k->part[1]), k->part[2]);
    return w->entry + (h & (SETS - 1)) * WAYS;
}

void cud_words_expect(const cud_words *w, const char *word, size_t length)
{
    if (length == 0 || length > CUD_WORD_MAX) return;
    const key k = make_key(word, length);
    __builtin_prefetch(set_of(w, &k, length));
}

static bool holds(const entry *e, const key *k, size_t length)
{
    return e->length == length && !((e->word.part[0] ^ k->part[0]) | (e->word.part[1] ^ k->part[1]) | (e->word.part[2] ^ k->part[2]));
}

cuddle_status cud_words_find(const cud_words *w, bool *found, cud_tokens *out, const char *word, size_t length, cuddle_error *err)
{
    *found = false;
    if (length == 0 || length > CUD_WORD_MAX) return CUDDLE_OK;
    const key k = make_key(word, length);
    const entry *e = set_of(w, &k, length);
    if (!holds(e, &k, length) && !holds(++e, &k, length)) return CUDDLE_OK;
    *found = true;
    const cuddle_status status = cud_tokens_reserve(out, TOKENS, err);
    if (status) return status;
    cud_token *to = out->token + out->count;
    for (int i = 0; i < e->count; i++) to[i] = (cud_token){ .id = e->id[i], .begin = e->begin[i], .end = e->end[i] };
    out->count += e->count;
    return CUDDLE_OK;
}

void cud_words_keep(cud_words *w, const char *word, size_t length, const cud_token *token, size_t count)
{
    if (length == 0 || length > CUD_WORD_MAX || count > TOKENS) return;
    for (size_t i = 0; i < count; i++)
        if (token[i].begin > length || token[i].end > UINT8_MAX || token[i].text_end) return; /* beyond the word: bytes of an affix; unknown words */
    const key k = make_key(word, length);
    entry *e = set_of(w, &k, length);
    e[1] = e[0];
    e->word = k;
    for (size_t i = 0; i < count; i++) {
        e->id[i] = token[i].id;
        e->begin[i] = (uint8_t)token[i].begin;
        e->end[i] = (uint8_t)token[i].end;
    }
    e->length = (uint8_t)length;
    e->count = (uint8_t)count;
}
