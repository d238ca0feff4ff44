#include "jinja/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 16, BLOCK_LEAST = 16 << 10, BLOCK_MOST = 1 << 20 };

typedef struct arena_block {
    struct arena_block *next;
    size_t size;
} arena_block;

static size_t rounded(size_t size) { return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1); }

void cud_arena_init(arena *a, size_t most) { *a = (arena){ .most = most }; }

void cud_arena_free(arena *a)
{
    while (a->blocks) {
        arena_block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
    *a = (arena){ .most = a->most };
}

static bool add_block(arena *a, size_t size)
{
    size_t want = a->blocks ? 2 * a->blocks->size : BLOCK_LEAST;
    if (want > BLOCK_MOST) want = BLOCK_MOST;
    if (want < size) want = size;
    if (want > a->most - a->used) want = a->most - a->used;
    if (want < size) return false;
    arena_block *block = malloc(rounded(sizeof *block) + want);
    if (!block) {
        a->denied = true;
        return false;
    }
    *block = (arena_block){ a->blocks, want };
    a->blocks = block;
    a->used += want;
    a->at = (char *)block + rounded(sizeof *block);
    a->end = a->at + want;
    a->tail = NULL;
    return true;
}

void *cud_arena_alloc(arena *a, size_t size)
{
    if (size > a->most) return NULL;
    size = rounded(size ? size : 1);
    if ((size_t)(a->end - a->at) < size && !add_block(a, size)) return NULL;
    void *p = a->at;
    a->at += size;
    a->tail = NULL;
    return p;
}

void *cud_arena_grow(arena *a, void *old, size_t size, size_t wanted)
{
    if (wanted > a->most) return NULL;
    const size_t had = rounded(size ? size : 1), more = rounded(wanted ? wanted : 1) - had;
    if (old && (char *)old + had == a->at && (size_t)(a->end - a->at) >= more) {
        a->at += more;
        return old;
    }
    void *p = cud_arena_alloc(a, wanted);
    if (p && size) memcpy(p, old, size);
    return p;
}

char *cud_arena_extend(arena *a, const char *text, size_t length, size_t more)
{
    if (more > a->most || length > a->most - more) return NULL;
    if (length && text + length == a->tail) {
        const size_t spare = (size_t)(a->at - a->tail); /* of rounding */
        const size_t need = more > spare ? rounded(more - spare) : 0;
        if ((size_t)(a->end - a->at) >= need) {
            a->at += need;
            a->tail += more;
            return (char *)(uintptr_t)text;
        }
    }
    /* Twice what is needed, as far as that is cheap: the next piece then finds room. */
    const size_t room = length + more < BLOCK_MOST / 2 ? length + more : length + more + length / 2;
    char *p = cud_arena_alloc(a, room <= a->most ? room : length + more);
    if (!p && room > length + more && !a->denied) p = cud_arena_alloc(a, length + more);
    if (!p) return NULL;
    if (length) memcpy(p, text, length);
    if (room > length + more) a->at = p + rounded(length + more); /* the rest is free again, and next to it */
    a->tail = p + length + more;
    return p;
}
