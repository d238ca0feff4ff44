/* A hash table from names to small numbers. Names are borrowed. The hash is keyed with random bits per table, so that a hostile file
 * cannot choose names that collide; nothing that anyone can see depends on the key. */
#ifndef CUD_FORMAT_NAME_TABLE_H
#define CUD_FORMAT_NAME_TABLE_H

#include "core/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct name_item {
    const char *name; /* NULL: free */
    uint32_t length, owner, value, hash;
} name_item;

typedef struct name_table { /* all zero is an empty table */
    name_item *item;
    size_t capacity, count; /* capacity is 0 or a power of two */
    uint64_t key[2];
} name_table;

/* Adds a name, or returns the item that already has it in *found. The same name under another `owner` is another name: one table
 * serves for the keys of many objects. Lengths from 2^32 on are CUDDLE_E_LIMIT. */
cuddle_status cud_names_add(name_table *t, const char *name, size_t length, uint32_t owner, uint32_t value, name_item **found,
                            cuddle_error *err);
/* NULL if there is none; valid until the next add. */
name_item *cud_names_find(const name_table *t, const char *name, size_t length, uint32_t owner);
void cud_names_free(name_table *t);

#endif
