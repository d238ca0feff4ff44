#include "core/source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct memory_source {
    source base;
    const void *data; /* borrowed */
} memory_source;

static cuddle_status memory_read_at(source *s, void *out, uint64_t offset, size_t bytes, cuddle_error *err)
{
    if (offset > s->size || bytes > s->size - offset)
        return cud_fail(err, CUDDLE_E_IO, "%s: wanted %zu bytes at offset %" PRIu64 ", but it has %" PRIu64, s->name, bytes, offset,
                        s->size);
    if (bytes) memcpy(out, (const char *)((const memory_source *)s)->data + offset, bytes);
    return CUDDLE_OK;
}

static const void *memory_map(source *s) { return ((const memory_source *)s)->data; }

static void memory_close(source *s)
{
    free(s->name);
    free(s);
}

static const source_ops memory_ops = { .read_at = memory_read_at, .map = memory_map, .close = memory_close };

cuddle_status cud_source_open_memory(source **out, const void *data, size_t size, const char *name, cuddle_error *err)
{
    *out = NULL;
    memory_source *m = calloc(1, sizeof *m);
    char *copy = strdup(name);
    if (!m || !copy) {
        free(m);
        free(copy);
        return cud_nomem(err, sizeof *m + strlen(name), "a source in memory");
    }
    m->base = (source){ .ops = &memory_ops, .size = size, .fd = -1, .name = copy };
    m->data = data;
    *out = &m->base;
    return CUDDLE_OK;
}
