/* Memory that dies at once: a compiled template lives in one arena, a rendering in another. What may be taken is bounded. */
#ifndef CUD_JINJA_ARENA_H
#define CUD_JINJA_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef struct arena {
    struct arena_block *blocks;
    char *at, *end;    /* free rest of the newest block */
    char *tail;        /* end of the newest text, which may grow where it lies; NULL: of none */
    size_t used, most; /* bytes */
    bool denied;       /* the system refused; false after a failure: the bound was met */
} arena;

void cud_arena_init(arena *a, size_t most);
void cud_arena_free(arena *a);
/* Memory for any type, not cleared; NULL if there is none. Zero bytes are allowed. */
void *cud_arena_alloc(arena *a, size_t size);
/* A larger copy of the `size` bytes at `old`, in place where they are the newest. */
void *cud_arena_grow(arena *a, void *old, size_t size, size_t wanted);
/* Text for appending to: the returned text is `length` bytes of `text` followed by room for `more`. Where `text` is the newest one
 * it is not copied, so that a string built piece by piece costs what it is long. Views of older parts stay as they are. */
char *cud_arena_extend(arena *a, const char *text, size_t length, size_t more);

#endif
