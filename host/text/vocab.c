#include "text/vocab.h"

#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

uint64_t cud_hash_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed) seed = (uint64_t)(uintptr_t)&seed;
    return seed;
}

uint64_t cud_hash_bytes(uint64_t seed, const char *s, size_t length)
{
    uint64_t h = seed ^ length;
    for (; length >= 8; s += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, s, 8);
        h = cud_hash_mix(h, word);
    }
    uint64_t word = 0;
    if (length) memcpy(&word, s, length);
    return cud_hash_mix(h, word ^ seed << 1);
}

void cud_vocab_init(cud_vocab *v)
{
    *v = (cud_vocab){ 0 };
    v->seed = cud_hash_seed();
}

void cud_vocab_free(cud_vocab *v)
{
    free(v->pool);
    free(v->entry);
    free(v->slot);
    free(v->by_id);
    *v = (cud_vocab){ 0 };
}

/* The slot that holds the token, or the empty one where it belongs. There is always an empty one. */
static uint32_t *find_slot(const cud_vocab *v, const char *token, size_t length)
{
    const uint32_t mask = v->slots - 1;
    for (uint32_t i = (uint32_t)cud_hash_bytes(v->seed, token, length) & mask;; i = (i + 1) & mask) {
        uint32_t *slot = &v->slot[i];
        if (!*slot) return slot;
        const cud_vocab_entry *e = &v->entry[*slot - 1];
        if (e->length == length && memcmp(v->pool + e->offset, token, length) == 0) return slot;
    }
}

static cuddle_status grow_slots(cud_vocab *v, cuddle_error *err)
{
    const uint32_t slots = v->slots ? v->slots * 2 : 256;
    uint32_t *slot = calloc(slots, sizeof *slot);
    if (!slot) return cud_nomem(err, slots * sizeof *slot, "the vocabulary");
    free(v->slot);
    v->slot = slot;
    v->slots = slots;
    for (uint32_t i = 0; i < v->count; i++) *find_slot(v, v->pool + v->entry[i].offset, v->entry[i].length) = i + 1;
    return CUDDLE_OK;
}

/* Entries that by_id has room for when `ids` are in use: a power of two. */
static uint32_t id_room(int32_t ids)
{
    uint32_t room = 0;
    for (uint32_t power = 256; ids > 0 && room < (uint32_t)ids; power *= 2) room = power;
    return room;
}

static cuddle_status reserve(cud_vocab *v, size_t length, int32_t id, cuddle_error *err)
{
    if (length >= CUD_TOKENIZER_MAX_FILE || v->pool_used + length >= (size_t)2 * CUD_TOKENIZER_MAX_FILE)
        return cud_fail(err, CUDDLE_E_LIMIT, "tokenizer.json: the vocabulary is larger than %d bytes", 2 * CUD_TOKENIZER_MAX_FILE);
    if (v->pool_used + length + 1 > v->pool_room) {
        const size_t room = v->pool_room + v->pool_room / 2 + length + 4096;
        char *pool = realloc(v->pool, room);
        if (!pool) return cud_nomem(err, room, "the vocabulary");
        v->pool = pool;
        v->pool_room = room;
    }
    if (v->count == v->room) {
        const uint32_t room = v->room ? v->room * 2 : 256; /* a token is a byte of pool at least: far from overflow */
        cud_vocab_entry *entry = realloc(v->entry, room * sizeof *entry);
        if (!entry) return cud_nomem(err, room * sizeof *entry, "the vocabulary");
        v->entry = entry;
        v->room = room;
    }
    if (id >= v->ids) {
        const uint32_t room = id_room(id + 1);
        if (room > id_room(v->ids)) {
            uint32_t *by_id = calloc(room, sizeof *by_id);
            if (!by_id) return cud_nomem(err, room * sizeof *by_id, "the vocabulary's ids");
            if (v->ids) memcpy(by_id, v->by_id, (size_t)v->ids * sizeof *by_id);
            free(v->by_id);
            v->by_id = by_id;
        }
        v->ids = id + 1;
    }
    return (v->count + 1) * 2 > v->slots ? grow_slots(v, err) : CUDDLE_OK;
}

cuddle_status cud_vocab_add(cud_vocab *v, const char *token, size_t length, int32_t id, cuddle_error *err)
{
    if (id < 0 || id > CUD_TOKENIZER_MAX_ID)
        return cud_fail(err, CUDDLE_E_LIMIT, "tokenizer.json: token id %d, expected at most %d", id, CUD_TOKENIZER_MAX_ID);
    const cuddle_status status = reserve(v, length, id, err);
    if (status) return status;
    uint32_t *slot = find_slot(v, token, length);
    if (!*slot) {
        v->entry[v->count] = (cud_vocab_entry){ (uint32_t)v->pool_used, (uint32_t)length, id };
        if (length) memcpy(v->pool + v->pool_used, token, length);
        v->pool[v->pool_used + length] = 0;
        v->pool_used += length + 1;
        *slot = ++v->count;
    } else if (v->by_id[v->entry[*slot - 1].id] == *slot) {
        v->by_id[v->entry[*slot - 1].id] = 0;
    }
    v->entry[*slot - 1].id = id;
    v->by_id[id] = *slot;
    return CUDDLE_OK;
}

void cud_vocab_alias(cud_vocab *v, int32_t id, int32_t of)
{
    v->by_id[id] = v->by_id[of];
    v->aliases++;
}

int32_t cud_vocab_find(const cud_vocab *v, const char *token, size_t length)
{
    if (!v->slots) return -1;
    const uint32_t slot = *find_slot(v, token, length);
    return slot ? v->entry[slot - 1].id : -1;
}

const char *cud_vocab_token(const cud_vocab *v, int32_t id, size_t *length)
{
    if (id < 0 || id >= v->ids || !v->by_id[id]) return NULL;
    const cud_vocab_entry *e = &v->entry[v->by_id[id] - 1];
    if (length) *length = e->length;
    return v->pool + e->offset;
}

void cud_vocab_bytes(int32_t id[256], const cud_vocab *v)
{
    char text[8];
    for (unsigned i = 0; i < 256; i++) {
        snprintf(text, sizeof text, "<0x%02X>", i & 0xff);
        id[i] = cud_vocab_find(v, text, 6);
    }
}
