#include "format/target_file.h"

#include "format/path.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEMPORARY_NAME = 8 + 16 + 4 }; /* its length */

/* Tries names until one is free; they are not made from the target's, which may be as long as a name can be. Not mkstemp(): its files can be read by their owner alone, and what the umask is cannot be asked
 * without changing it for other threads. */
static int create_beside(const char *path, char **temporary)
{
    const size_t folder = (size_t)(cud_path_name(path) - path);
    char *name = malloc(folder + TEMPORARY_NAME + 1);
    if (!name) return -ENOMEM;
    memcpy(name, path, folder);
    for (int attempt = 0; attempt < 100; attempt++) {
        uint64_t number = (uintptr_t)name + (uint64_t)attempt * 0x9e3779b97f4a7c15u; /* early in a boot this must do */
        (void)!getrandom(&number, sizeof number, GRND_NONBLOCK);
        snprintf(name + folder, TEMPORARY_NAME + 1, ".cuddle-%016" PRIx64 ".tmp", number);
        const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
        if (fd >= 0) {
            *temporary = name;
            return fd;
        }
        if (errno != EEXIST && errno != EINTR) break;
    }
    const int error = errno;
    free(name);
    return -error;
}

cuddle_status cud_target_open(target_file *out, const char *path, cuddle_error *err)
{
    *out = (target_file){ .fd = -1 };
    struct stat st;
    if (!*cud_path_name(path)) return cud_fail(err, CUDDLE_E_IO, "%s: names no file", *path ? path : "the empty path");
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return cud_fail(err, CUDDLE_E_IO, "%s: is %s, expected a file to replace or none", path,
                        S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
    out->path = strdup(path);
    if (!out->path) return cud_nomem(err, strlen(path) + 1, "a path");
    out->fd = create_beside(path, &out->temporary);
    if (out->fd >= 0) return CUDDLE_OK;
    const int error = -out->fd;
    out->fd = -1;
    cud_target_free(out);
    if (error == ENOMEM) return cud_nomem(err, strlen(path) + TEMPORARY_NAME, "a path");
    return cud_fail(err, CUDDLE_E_IO, "%s: cannot be written: %s", path, cud_path_reason(error));
}

cuddle_status cud_target_write(target_file *t, uint64_t offset, const void *data, size_t bytes, cuddle_error *err)
{
    if (offset > INT64_MAX || bytes > INT64_MAX - offset)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: %zu bytes at offset %" PRIu64 " are beyond what a file can hold", t->path, bytes, offset);
    size_t put = 0;
    while (put < bytes) {
        const size_t rest = bytes - put, most = (size_t)1 << 30; /* Linux writes at most 2 GiB - 4 KiB in one call */
        const ssize_t n = pwrite(t->fd, (const char *)data + put, rest < most ? rest : most, (off_t)(offset + put));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) /* 0 does not happen for regular files, but would go on for ever */
            return cud_fail(err, CUDDLE_E_IO, "%s: wanted to write %zu bytes at offset %" PRIu64 ", wrote %zu: %s", t->path, bytes, offset,
                            put, cud_path_reason(n ? errno : EIO));
        put += (size_t)n;
    }
    return CUDDLE_OK;
}

/* So that the name, too, is on the disk. Best effort: not every file system can, and the file is whole already. */
static void sync_folder(const char *path)
{
    const size_t length = (size_t)(cud_path_name(path) - path);
    char *folder = malloc(length + 2);
    if (!folder) return;
    memcpy(folder, path, length);
    memcpy(folder + length, length ? "" : ".", length ? 1 : 2);
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

cuddle_status cud_target_commit(target_file *t, cuddle_error *err)
{
    int failed;
    if (t->fd >= 0) {
        do failed = fsync(t->fd);
        while (failed && errno == EINTR);
        if (failed) return cud_fail(err, CUDDLE_E_IO, "%s: cannot be written: %s", t->path, cud_path_reason(errno));
        failed = close(t->fd); /* where EINTR closes, too */
        t->fd = -1;
        if (failed && errno != EINTR) return cud_fail(err, CUDDLE_E_IO, "%s: cannot be written: %s", t->path, cud_path_reason(errno));
    }
    if (rename(t->temporary, t->path))
        return cud_fail(err, CUDDLE_E_IO, "%s: cannot be replaced: %s", t->path, cud_path_reason(errno));
    free(t->temporary);
    t->temporary = NULL;
    sync_folder(t->path);
    return CUDDLE_OK;
}

void cud_target_free(target_file *t)
{
    if (t->fd >= 0) close(t->fd);
    if (t->temporary) (void)unlink(t->temporary);
    free(t->temporary);
    free(t->path);
    *t = (target_file){ .fd = -1 };
}
