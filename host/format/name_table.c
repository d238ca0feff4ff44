#include "format/name_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static uint64_t rotate(uint64_t x, int n) { return x << n | x >> (64 - n); }

static void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein), the owner being the first word. */
static uint32_t hash_name(const uint64_t key[2], const char *name, size_t length, uint32_t owner)
{
    uint64_t v[4] = { key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u,
                      key[1] ^ 0x7465646279746573u };
    uint64_t word = owner;
    size_t at = 0;
    for (;;) {
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
        if (length - at < 8) break;
        memcpy(&word, name + at, 8);
        at += 8;
    }
    word = (uint64_t)length << 56;
    for (size_t i = at; i < length; i++) word |= (uint64_t)(unsigned char)name[i] << 8 * (i - at);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) sip_round(v);
    const uint64_t hash = v[0] ^ v[1] ^ v[2] ^ v[3];
    return (uint32_t)(hash ^ hash >> 32);
}

/* The item with this name, or the free one where it belongs. At least one item must be free. */
static name_item *probe(const name_table *t, const char *name, size_t length, uint32_t owner, uint32_t hash)
{
    for (size_t i = hash;; i++) {
        name_item *item = &t->item[i & (t->capacity - 1)];
        if (!item->name) return item;
        if (item->hash == hash && item->owner == owner && item->length == length && memcmp(item->name, name, length) == 0) return item;
    }
}

static cuddle_status grow(name_table *t, cuddle_error *err)
{
    const size_t capacity = t->capacity ? t->capacity * 2 : 64;
    name_item *item = capacity <= SIZE_MAX / 2 / sizeof *item ? calloc(capacity, sizeof *item) : NULL;
    if (!item) return cud_nomem(err, capacity * sizeof *item, "a table of names");
    for (size_t i = 0; i < t->capacity; i++) {
        if (!t->item[i].name) continue;
        size_t at = t->item[i].hash & (capacity - 1);
        while (item[at].name) at = (at + 1) & (capacity - 1);
        item[at] = t->item[i];
    }
    free(t->item);
    t->item = item;
    t->capacity = capacity;
    return CUDDLE_OK;
}

cuddle_status cud_names_add(name_table *t, const char *name, size_t length, uint32_t owner, uint32_t value, name_item **found,
                            cuddle_error *err)
{
    *found = NULL;
    if (length > UINT32_MAX || t->count >= UINT32_MAX / 2)
        return cud_fail(err, CUDDLE_E_LIMIT, "a name of %zu bytes, the table holding %zu names, is over the limit of 2^32", length,
                        t->count);
    if (!t->capacity && getrandom(t->key, sizeof t->key, GRND_NONBLOCK) != (ssize_t)sizeof t->key) {
        t->key[0] = (uintptr_t)t; /* early in a boot: the address must do */
        t->key[1] = (uintptr_t)name;
    }
    if (t->count + 1 > t->capacity / 4 * 3) {
        const cuddle_status status = grow(t, err);
        if (status) return status;
    }
    const uint32_t hash = hash_name(t->key, name, length, owner);
    name_item *item = probe(t, name, length, owner, hash);
    if (item->name) {
        *found = item;
        return CUDDLE_OK;
    }
    *item = (name_item){ .name = name, .length = (uint32_t)length, .owner = owner, .value = value, .hash = hash };
    t->count++;
    return CUDDLE_OK;
}

name_item *cud_names_find(const name_table *t, const char *name, size_t length, uint32_t owner)
{
    if (!t->capacity) return NULL;
    name_item *item = probe(t, name, length, owner, hash_name(t->key, name, length, owner));
    return item->name ? item : NULL;
}

void cud_names_free(name_table *t)
{
    free(t->item);
    *t = (name_table){ 0 };
}
