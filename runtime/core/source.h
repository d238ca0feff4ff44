/* A source of bytes: a file, a piece of memory, an HTTP range, a browser's blob. Checkpoint readers see nothing else. */
#ifndef CUD_CORE_SOURCE_H
#define CUD_CORE_SOURCE_H

#include "core/status.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct source source;

/* Thread-safety: read_at and map may be called from several threads at once. */
typedef struct source_ops {
    /* Reads exactly `bytes` at `offset`. Short reads and EINTR are retried inside; end of data or an I/O error is
     * CUDDLE_E_IO with a sentence that names the source, the range and what went wrong. */
    cuddle_status (*read_at)(source *s, void *out, uint64_t offset, size_t bytes, cuddle_error *err);
    /* The whole source, read-only, valid until close; NULL without a sentence when it cannot be mapped. (optional) */
    const void *(*map)(source *s);
    void (*close)(source *s);
} source_ops;

struct source {
    const source_ops *ops;
    uint64_t size; /* bytes, fixed when the source was opened */
    int fd;        /* a descriptor for readers that want O_DIRECT or registration, or -1 */
    char *name;    /* for messages: the file's path as the user gave it */
};

/* Opens a regular file for reading (O_CLOEXEC). A directory, FIFO or device is CUDDLE_E_IO by name. */
cuddle_status cud_source_open_file(source **out, const char *path, cuddle_error *err);
/* Borrows `data`, which must outlive the source. */
cuddle_status cud_source_open_memory(source **out, const void *data, size_t size, const char *name, cuddle_error *err);
static inline cuddle_status cud_source_read(source *s, void *out, uint64_t offset, size_t bytes, cuddle_error *err)
{
    return s->ops->read_at(s, out, offset, bytes, err);
}
static inline const void *cud_source_map(source *s) { return s->ops->map ? s->ops->map(s) : NULL; }
/* True if the file behind the source still has the size and modification time it was opened with, and its name does not lead to another
 * file by now; that it leads nowhere is fine. */
bool cud_source_unchanged(source *s);
void cud_source_close(source *s); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
