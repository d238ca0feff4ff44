#include "core/source.h"

#include "format/path.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct file_source {
    source base;
    struct timespec modified;
    pthread_mutex_t lock; /* guards map */
    void *map;            /* NULL until somebody asks */
} file_source;

static cuddle_status file_read_at(source *s, void *out, uint64_t offset, size_t bytes, cuddle_error *err)
{
    if (offset > s->size || bytes > s->size - offset) /* also keeps what follows inside off_t */
        return cud_fail(err, CUDDLE_E_IO, "%s: wanted %zu bytes at offset %" PRIu64 ", but the file has %" PRIu64, s->name, bytes,
                        offset, s->size);
    size_t got = 0;
    while (got < bytes) {
        const size_t rest = bytes - got, most = (size_t)1 << 30; /* Linux reads at most 2 GiB - 4 KiB in one call */
        const ssize_t n = pread(s->fd, (char *)out + got, rest < most ? rest : most, (off_t)(offset + got));
        if (n < 0) {
            if (errno == EINTR) continue;
            return cud_fail(err, CUDDLE_E_IO, "%s: wanted %zu bytes at offset %" PRIu64 ", got %zu: %s", s->name, bytes, offset, got,
                            cud_path_reason(errno));
        }
        if (n == 0)
            return cud_fail(err, CUDDLE_E_IO, "%s: wanted %zu bytes at offset %" PRIu64 ", got %zu: the file became shorter",
                            s->name, bytes, offset, got);
        got += (size_t)n;
    }
    return CUDDLE_OK;
}

static const void *file_map(source *s)
{
    file_source *f = (file_source *)s;
    if (s->size == 0 || s->size > SIZE_MAX) return NULL;
    pthread_mutex_lock(&f->lock);
    if (!f->map) {
        void *map = mmap(NULL, (size_t)s->size, PROT_READ, MAP_SHARED, s->fd, 0);
        if (map != MAP_FAILED) {
            /* Weights are read over and over, all of them: start reading ahead, and let the kernel use huge pages where the file
             * system has them. Not SEQUENTIAL, which marks pages as the first to be dropped. Hints may fail. */
            (void)madvise(map, (size_t)s->size, MADV_WILLNEED);
            (void)madvise(map, (size_t)s->size, MADV_HUGEPAGE);
            f->map = map;
        }
    }
    const void *map = f->map;
    pthread_mutex_unlock(&f->lock);
    return map;
}

static void file_close(source *s)
{
    file_source *f = (file_source *)s;
    if (f->map) munmap(f->map, (size_t)s->size);
    if (s->fd >= 0) close(s->fd);
    pthread_mutex_destroy(&f->lock);
    free(s->name);
    free(f);
}

static const source_ops file_ops = { .read_at = file_read_at, .map = file_map, .close = file_close };

static const char *kind_of(mode_t mode)
{
    if (S_ISDIR(mode)) return "a directory";
    if (S_ISFIFO(mode)) return "a FIFO";
    if (S_ISSOCK(mode)) return "a socket";
    return "a device";
}

cuddle_status cud_source_open_file(source **out, const char *path, cuddle_error *err)
{
    *out = NULL;
    /* Non-blocking, so that a FIFO is refused rather than waited on; regular files do not care. */
    int fd;
    do fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return cud_fail(err, CUDDLE_E_IO, "%s: %s", path, cud_path_reason(errno));

    struct stat st;
    cuddle_status status = CUDDLE_OK;
    if (fstat(fd, &st) < 0) status = cud_fail(err, CUDDLE_E_IO, "%s: %s", path, cud_path_reason(errno));
    else if (!S_ISREG(st.st_mode))
        status = cud_fail(err, CUDDLE_E_IO, "%s: is %s, expected a regular file", path, kind_of(st.st_mode));
    if (status) {
        close(fd);
        return status;
    }
    file_source *f = calloc(1, sizeof *f);
    char *name = strdup(path);
    if (!f || !name || pthread_mutex_init(&f->lock, NULL)) {
        close(fd);
        free(f);
        free(name);
        return cud_nomem(err, sizeof *f + strlen(path), "an open file");
    }
    f->base = (source){ .ops = &file_ops, .size = (uint64_t)st.st_size, .fd = fd, .name = name };
    f->modified = st.st_mtim;
    *out = &f->base;
    return CUDDLE_OK;
}

bool cud_source_unchanged(source *s)
{
    if (s->ops != &file_ops) return true;
    const file_source *f = (const file_source *)s;
    struct stat st, named;
    if (fstat(s->fd, &st) < 0 || (uint64_t)st.st_size != s->size || st.st_mtim.tv_sec != f->modified.tv_sec ||
        st.st_mtim.tv_nsec != f->modified.tv_nsec)
        return false;
    /* The descriptor holds the file that was opened. If its name leads to another one by now, what was read with it from other files may
     * not belong together. A name that is gone says nothing of the kind. */
    return stat(s->name, &named) < 0 || (named.st_ino == st.st_ino && named.st_dev == st.st_dev);
}

void cud_source_close(source *s)
{
    if (s) s->ops->close(s);
}
