/* A file that appears under its name whole or not at all: what is written goes to a temporary file beside it, which takes the name at
 * the end. A file that had the name before is there, untouched, until then; its permissions are not carried over. */
#ifndef CUD_FORMAT_TARGET_FILE_H
#define CUD_FORMAT_TARGET_FILE_H

#include "core/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct target_file {
    char *path, *temporary; /* temporary is NULL once the file has its name */
    int fd;                 /* -1: closed */
} target_file;

/* `path` must name a regular file or nothing: directories, devices and FIFOs are CUDDLE_E_IO by name. A symbolic link is replaced, not
 * followed. */
cuddle_status cud_target_open(target_file *out, const char *path, cuddle_error *err);
/* Short writes and EINTR are retried inside. After a failure the same bytes may be written again. */
cuddle_status cud_target_write(target_file *t, uint64_t offset, const void *data, size_t bytes, cuddle_error *err);
/* Brings the bytes to the disk and the file to its name. */
cuddle_status cud_target_commit(target_file *t, cuddle_error *err);
void cud_target_free(target_file *t); /* removes the temporary file unless it was committed; all zero with fd -1 is fine */

#endif
