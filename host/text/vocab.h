/* Token strings and their ids: one pool of bytes, one array of entries, two hash tables with open addressing. */
#ifndef CUD_TEXT_VOCAB_H
#define CUD_TEXT_VOCAB_H

#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cud_vocab_entry {
    uint32_t offset, length; /* in the pool; a NUL follows */
    int32_t id;
} cud_vocab_entry;

typedef struct cud_vocab {
    char *pool;
    size_t pool_used, pool_room;
    cud_vocab_entry *entry;
    uint32_t count, room;
    uint32_t *slot; /* entry + 1, or 0; slots is a power of two */
    uint32_t slots;
    uint32_t *by_id; /* [ids] entry + 1, or 0 */
    int32_t ids;     /* largest id + 1 */
    uint32_t aliases;
    uint64_t seed; /* differs between runs, so that a file cannot be built to collide */
} cud_vocab;

void cud_vocab_init(cud_vocab *v);
void cud_vocab_free(cud_vocab *v);
/* Adds a token, or gives the one of this string a new id. Sizes are capped by CUD_TOKENIZER_MAX_FILE and _MAX_ID. */
cuddle_status cud_vocab_add(cud_vocab *v, const char *token, size_t length, int32_t id, cuddle_error *err);
/* Gives an id that has no token the token of another one; cud_vocab_find() knows only that one. */
void cud_vocab_alias(cud_vocab *v, int32_t id, int32_t of);
int32_t cud_vocab_find(const cud_vocab *v, const char *token, size_t length); /* id, or -1 */
/* The string of an id, or NULL. If several tokens have one id, the one added last. *length may be NULL. */
const char *cud_vocab_token(const cud_vocab *v, int32_t id, size_t *length);
/* The ids of <0x00> to <0xFF>, -1 for those that are no tokens. */
void cud_vocab_bytes(int32_t id[256], const cud_vocab *v);

/* ---- hashing, shared with the merges ---- */
uint64_t cud_hash_seed(void);
uint64_t cud_hash_bytes(uint64_t seed, const char *s, size_t length);
static inline uint64_t cud_hash_mix(uint64_t a, uint64_t b)
{
    a = (a ^ b) * 0x9e3779b97f4a7c15u;
    a = (a ^ a >> 32) * 0xd6e8feb86659fd93u;
    return a ^ a >> 32;
}

#endif
