/* Which way a chunk is read is decided chunk by chunk, so that a half-cached checkpoint needs no survey first: a read that may not wait
 * (RWF_NOWAIT) says how much is in memory; the rest comes past the page cache, rounded out to whole sectors; and whatever these two leave,
 * because a file system cannot do them or because they fail, is read plainly, which knows how to complain. */
#include "load_read.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

/* Not in every linux/magic.h. */
enum { LUSTRE_MAGIC = 0x0bd00bd0, GPFS_MAGIC = 0x47504653, BEEGFS_MAGIC = 0x19830326, VBOXSF_MAGIC = 0x786f4256, WEKAFS_MAGIC = 0x18031977 };

static const char *reason(int error)
{
    const char *text = strerrordesc_np(error);
    return text ? text : "unknown error";
}

static void fall_back(load_tally *tally, load_fallback what) { atomic_fetch_add(&tally->fallback[what], 1u); }

/* ---------------------------------------------------------------------------------------------------------- opening */

typedef enum file_place { PLACE_DISK, PLACE_MEMORY, PLACE_NETWORK } file_place;

static file_place place_of(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0) return PLACE_NETWORK; /* the careful choice */
    switch ((uint32_t)fs.f_type) {
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
    case HUGETLBFS_MAGIC: return PLACE_MEMORY;
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case AFS_FS_MAGIC:
    case AFS_SUPER_MAGIC:
    case CODA_SUPER_MAGIC:
    case CEPH_SUPER_MAGIC:
    case V9FS_MAGIC:
    case FUSE_SUPER_MAGIC:
    case OVERLAYFS_SUPER_MAGIC:
    case LUSTRE_MAGIC:
    case GPFS_MAGIC:
    case BEEGFS_MAGIC:
    case VBOXSF_MAGIC:
    case WEKAFS_MAGIC: return PLACE_NETWORK;
    default: return PLACE_DISK;
    }
}

/* The same file again, also when its path names another one by now. */
static int open_direct(int fd)
{
    char path[32];
    int again;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    do again = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
    while (again < 0 && errno == EINTR);
    return again;
}

void cud_cuda_files_open(load_file *out, const chunk_plan *plan, load_tally *tally)
{
    for (size_t i = 0; i < plan->files; i++) {
        load_file *f = &out[i];
        f->from = plan->file[i];
        f->direct = -1;
        f->waits = f->from->fd < 0 && !cud_source_map(f->from);
        if (f->from->fd < 0) continue;
        const file_place place = place_of(f->from->fd);
        f->waits = place != PLACE_MEMORY;
        f->network = place == PLACE_NETWORK;
        atomic_store(&f->asks_resident, place == PLACE_DISK);
        if (place != PLACE_DISK) continue;
        f->direct = open_direct(f->from->fd);
        atomic_store(&f->reads_direct, f->direct >= 0);
        if (f->direct < 0) fall_back(tally, LOAD_FALLBACK_DIRECT);
    }
}

void cud_cuda_files_close(load_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (files[i].from && files[i].direct >= 0) close(files[i].direct);
}

/* ---------------------------------------------------------------------------------------------------------- reading */

/* How much of the range is there without waiting. */
static size_t read_resident(load_file *f, char *to, uint64_t offset, size_t bytes, load_tally *tally)
{
    size_t got = 0;
    while (got < bytes && atomic_load_explicit(&f->asks_resident, memory_order_relaxed)) {
        const struct iovec rest = { to + got, bytes - got };
        const ssize_t n = preadv2(f->from->fd, &rest, 1, (off_t)(offset + got), RWF_NOWAIT);
        if (n > 0) got += (size_t)n;
        else if (n == 0 || errno == EAGAIN) break;
        else if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) {
            if (atomic_exchange(&f->asks_resident, false)) fall_back(tally, LOAD_FALLBACK_RESIDENT);
        } else if (errno != EINTR) break; /* the plain read will say what it is */
    }
    atomic_fetch_add(&tally->resident, got);
    return got;
}

/* Reads [offset + got, offset + bytes) in whole sectors; the slot has room for the ends of the outer ones. Returns the new `got`. */
static size_t read_direct(load_file *f, char *to, uint64_t offset, size_t bytes, size_t got, load_tally *tally)
{
    const size_t before = got;
    while (got < bytes && atomic_load_explicit(&f->reads_direct, memory_order_relaxed)) {
        const uint64_t at = (offset + got) / LOAD_SECTOR * LOAD_SECTOR, end = (offset + bytes + LOAD_SECTOR - 1) / LOAD_SECTOR * LOAD_SECTOR;
        char *sector = to + (ptrdiff_t)(at - offset); /* at may be below offset: unsigned wraps and comes back */
        const ssize_t n = pread(f->direct, sector, (size_t)(end - at), (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EINVAL && atomic_exchange(&f->reads_direct, false)) fall_back(tally, LOAD_FALLBACK_DIRECT);
        if (n <= 0 || at + (uint64_t)n <= offset + got) break;
        const uint64_t reached = at + (uint64_t)n - offset;
        got = reached < bytes ? (size_t)reached : bytes;
        if ((uint64_t)n % LOAD_SECTOR) break; /* the end of the file, or a short read that cannot be continued here */
    }
    atomic_fetch_add(&tally->direct, got - before);
    return got;
}

static cuddle_status read_plain(load_file *f, char *to, uint64_t offset, size_t bytes, const chunk_plan *plan, const load_chunk *c, cuddle_error *err)
{
    for (size_t got = 0; got < bytes;) {
        const ssize_t n = pread(f->from->fd, to + got, bytes - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return cud_fail(err, CUDDLE_E_IO, "%s: tensor \"%s\": wanted %zu bytes at offset %" PRIu64 ", got %zu: %s", f->from->name,
                            cud_cuda_chunk_tensor(plan, c, offset + got), bytes, offset, got, n < 0 ? reason(errno) : "the file became shorter");
        got += (size_t)n;
    }
    return CUDDLE_OK;
}

static cuddle_status read_source(source *from, char *to, uint64_t offset, size_t bytes, const chunk_plan *plan, const load_chunk *c, cuddle_error *err)
{
    cuddle_error inner = { CUDDLE_OK, "" };
    const cuddle_status status = cud_source_read(from, to, offset, bytes, &inner);
    return status ? cud_fail(err, status, "tensor \"%s\": %s", cud_cuda_chunk_tensor(plan, c, offset), inner.text) : CUDDLE_OK;
}

/* As far from a sector's begin as in the file, so that whole sectors can be read. */
static char *begin_of(const load_chunk *c, char *slot) { return slot + c->offset % LOAD_SECTOR; }

size_t cud_cuda_chunk_read_resident(const load_chunk *c, load_file *f, char *slot, load_tally *tally)
{
    return c->rows || f->from->fd < 0 ? 0 : read_resident(f, begin_of(c, slot), c->offset, c->bytes, tally);
}

cuddle_status cud_cuda_chunk_read_rest(const char **out, const chunk_plan *plan, const load_chunk *c, load_file *f, size_t got, char *slot,
                                       load_tally *tally, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    *out = c->rows ? slot : begin_of(c, slot);
    if (c->rows == 0 && f->from->fd >= 0) got = read_direct(f, begin_of(c, slot), c->offset, c->bytes, got, tally);
    if (got == c->bytes) return CUDDLE_OK;
    atomic_fetch_add(&tally->plain, c->bytes - got);
    for (uint32_t i = 0; i < c->rows && !status; i++) {
        char *to = slot + (size_t)i * c->row_bytes;
        const uint64_t offset = c->offset + i * c->pitch;
        if (f->from->fd < 0) status = read_source(f->from, to, offset, c->row_bytes, plan, c, err);
        else status = read_plain(f, to, offset, c->row_bytes, plan, c, err);
    }
    if (c->rows) return status;
    if (f->from->fd < 0) return read_source(f->from, begin_of(c, slot), c->offset, c->bytes, plan, c, err);
    return read_plain(f, begin_of(c, slot) + got, c->offset + got, c->bytes - got, plan, c, err);
}
