#include "load_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

/* ------------------------------------------------------------------------ the machine's obstacles: linked with --wrap */

load_faults faults;

void reset_faults(void)
{
    memset(&faults, 0, sizeof faults);
    test_fail_read(0, TEST_READ_OK);
    test_fail_allocation(0, false);
}

int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

ssize_t __real_preadv2(int fd, const struct iovec *v, int count, off_t offset, int flags);
ssize_t __wrap_preadv2(int fd, const struct iovec *v, int count, off_t offset, int flags);
ssize_t __wrap_preadv2(int fd, const struct iovec *v, int count, off_t offset, int flags)
{
    switch (faults.resident) {
    case RESIDENT_AS_IS: break;
    case RESIDENT_UNKNOWN: errno = EOPNOTSUPP; return -1;
    case RESIDENT_NOTHING: errno = EAGAIN; return -1;
    case RESIDENT_HALF:
        if (v->iov_len < 4096) {
            errno = EAGAIN;
            return -1;
        }
        return pread(fd, v->iov_base, v->iov_len / 3, offset);
    }
    return __real_preadv2(fd, v, count, offset, flags);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    if (flags & O_CREAT) {
        va_list args;
        va_start(args, flags);
        const mode_t mode = va_arg(args, mode_t);
        va_end(args);
        return __real_open(path, flags, mode);
    }
    if (flags & O_DIRECT && faults.no_direct) {
        errno = EINVAL;
        return -1;
    }
    /* A descriptor that refuses to be read: not opened for it, so EBADF; that must lead to plain reads as EINVAL does. */
    if (flags & O_DIRECT && faults.direct_refuses) return __real_open("/dev/null", O_WRONLY | O_CLOEXEC);
    const int fd = __real_open(path, flags);
    return fd < 0 && errno == EINVAL ? __real_open(path, flags & ~O_DIRECT) : fd; /* the tests' own files may be where it cannot be done */
}

int __real_fstatfs(int fd, struct statfs *out);
int __wrap_fstatfs(int fd, struct statfs *out);
int __wrap_fstatfs(int fd, struct statfs *out)
{
    const int result = __real_fstatfs(fd, out);
    out->f_type = faults.file_system ? (__fsword_t)faults.file_system : (__fsword_t)EXT4_SUPER_MAGIC;
    return result;
}

void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (__atomic_add_fetch(&faults.mmaps, 1, __ATOMIC_SEQ_CST) == faults.mmap_fails_at) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *map = __real_mmap(at, bytes, protection, flags, fd, offset);
    if (map != MAP_FAILED) __atomic_add_fetch(&faults.mapped, 1, __ATOMIC_SEQ_CST);
    return map;
}

int __real_munmap(void *at, size_t bytes);
int __wrap_munmap(void *at, size_t bytes);
int __wrap_munmap(void *at, size_t bytes)
{
    __atomic_sub_fetch(&faults.mapped, 1, __ATOMIC_SEQ_CST);
    return __real_munmap(at, bytes);
}

int __real_madvise(void *at, size_t bytes, int advice);
int __wrap_madvise(void *at, size_t bytes, int advice);
int __wrap_madvise(void *at, size_t bytes, int advice)
{
    if (advice == MADV_POPULATE_READ && faults.no_populate) {
        errno = EINVAL;
        return -1;
    }
    return __real_madvise(at, bytes, advice);
}

int __real_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*fn)(void *), void *argument);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*fn)(void *), void *argument);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*fn)(void *), void *argument)
{
    if (__atomic_add_fetch(&faults.threads, 1, __ATOMIC_SEQ_CST) == faults.thread_fails_at) return EAGAIN;
    return __real_pthread_create(out, attributes, fn, argument);
}

/* ------------------------------------------------------------------------------------------------ sources and plans */

static uint64_t random_state = 1;
uint64_t any(uint64_t below)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
    return below ? random_state % below : 0;
}

static const unsigned char *plain_bytes;
static cuddle_status read_of_plain(source *s, void *out, uint64_t offset, size_t bytes, cuddle_error *err)
{
    if (offset + bytes > s->size) return cud_fail(err, CUDDLE_E_IO, "%s: too far", s->name);
    memcpy(out, plain_bytes + offset, bytes);
    return CUDDLE_OK;
}
static void close_nothing(source *s) { (void)s; }
static const source_ops plain_ops = { .read_at = read_of_plain, .close = close_nothing };

const char *fixture_file(int i)
{
    static char path[2][512];
    snprintf(path[i], sizeof path[i], "%s/weights-%d", test_temp_dir(), i);
    return path[i];
}

void fixture_add(fixture *f, int from, uint64_t offset, uint64_t rows, uint64_t row_bytes, uint64_t src_pitch, uint64_t dst_pitch, int layer)
{
    static const char *const names[] = { "first.weight", "second.weight", "third.weight", "fourth.weight" };
    cuddle_error err = { 0 };
    load_piece p = { .from = f->from[from], .offset = offset, .rows = rows, .row_bytes = row_bytes, .src_pitch = src_pitch, .dst_pitch = dst_pitch,
                     .layer = layer, .name = names[f->plan.pieces % 4] };
    ck_ok(cud_load_reserve(&f->plan, rows ? (rows - 1) * dst_pitch + row_bytes : 0, &p.dst, &err));
    ck_ok(cud_load_add_piece(&f->plan, &p, &err));
}

void fixture_open(fixture *f, uint64_t seed, size_t scale)
{
    cuddle_error err = { 0 };
    *f = (fixture){ .report = { 0 } };
    random_state = seed * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < SOURCES; i++) {
        f->size[i] = scale / 2 + any(scale);
        f->bytes[i] = malloc(f->size[i]);
        for (size_t j = 0; j < f->size[i]; j++) f->bytes[i][j] = (unsigned char)(j * 2654435761u >> 13 ^ (unsigned)i * 77u);
    }
    for (int i = 0; i < 2; i++) {
        test_write_file(fixture_file(i), f->bytes[i], f->size[i]);
        ck_ok(cud_source_open_file(&f->from[i], fixture_file(i), &err));
    }
    ck_ok(cud_source_open_memory(&f->from[2], f->bytes[2], f->size[2], "a table", &err));
    plain_bytes = f->bytes[3];
    f->plain = (source){ .ops = &plain_ops, .size = f->size[3], .fd = -1, .name = (char *)(uintptr_t)"elsewhere" };
    f->from[3] = &f->plain;
    f->plan.report = &f->report;
}

/* Neighbours in file and arena, neighbours in the file alone, anything anywhere, rows of all kinds. */
void fixture_add_random(fixture *f, int pieces)
{
    for (int i = 0; i < pieces; i++) {
        const int from = any(8) < 6 ? (int)any(2) : 2 + (int)any(2), layer = (int)any(5) - 1;
        const size_t size = f->size[from];
        switch (any(6)) {
        case 0: { /* many small ones, one behind the other */
            uint64_t at = any(size / 2);
            for (int j = 0; j < 20 && at + 2000 < size; j++) {
                const uint64_t n = any(3) ? 256 * (1 + any(4)) : any(1500);
                fixture_add(f, from, at, 1, n, n, n, layer);
                at += n;
            }
            break;
        }
        case 1: { /* a long one */
            const uint64_t n = 1 + any(size / 2);
            fixture_add(f, from, any(size - n + 1), 1, n, 0, 0, layer);
            break;
        }
        case 2: { /* a slice of columns: gaps of any width */
            const uint64_t row = 1 + any(3000), pitch = row + (any(3) ? any(row) : any(20000)), most = (size - row) / pitch + 1, rows = 1 + any(most < 200 ? most : 200);
            fixture_add(f, from, any(size - ((rows - 1) * pitch + row) + 1), rows, row, pitch, row + any(2) * any(500), layer);
            break;
        }
        case 3: { /* dense in the file, apart in the arena */
            const uint64_t row = 1 + any(60000), most = size / row, rows = most ? 1 + any(most < 40 ? most : 40) : 0;
            fixture_add(f, from, rows ? any(size - rows * row + 1) : 0, rows, row, row, row + any(300), layer);
            break;
        }
        case 4: fixture_add(f, from, any(size), any(2), any(2), any(100), 100, layer); break; /* next to nothing */
        default: { /* the same row again and again, or rows that overlap */
            const uint64_t row = 1 + any(5000), rows = 1 + any(9), pitch = any(row);
            fixture_add(f, from, any(size - ((rows - 1) * pitch + row) + 1), rows, row, pitch, row, layer);
            break;
        }
        }
    }
}

void fixture_make_arena(fixture *f)
{
    f->arena = malloc(f->plan.arena_bytes + 1);
    f->expected = malloc(f->plan.arena_bytes + 1);
    memset(f->expected, 0xcd, f->plan.arena_bytes);
    memset(f->arena, 0xcd, f->plan.arena_bytes);
    for (size_t i = 0; i < f->plan.pieces; i++) {
        const load_piece *p = &f->plan.piece[i];
        int from = 0;
        while (f->from[from] != p->from) from++;
        for (uint64_t r = 0; r < p->rows; r++) memcpy(f->expected + p->dst + r * p->dst_pitch, f->bytes[from] + p->offset + r * p->src_pitch, p->row_bytes);
    }
}

void fixture_close(fixture *f)
{
    for (int i = 0; i < SOURCES; i++) {
        cud_source_close(f->from[i]);
        free(f->bytes[i]);
    }
    cud_load_plan_free(&f->plan);
    free(f->arena);
    free(f->expected);
}

/* A plan on which every way is surely taken. */
void fixture_open_large(fixture *f)
{
    fixture_open(f, 99, 1500000);
    for (int i = 0; i < 12; i++) fixture_add(f, i % 2, (uint64_t)i * 40000 + 5, 1, 150000, 0, 0, i / 3 - 1);
    fixture_add(f, 2, 3, 1, 60000, 0, 0, -1);
    fixture_add(f, 3, 0, 50, 100, 9000, 128, 1);
    fixture_add(f, 0, 7, 300, 128, 300, 128, 2);
    fixture_add(f, 1, 1000, 20, 700, 30000, 700, 0);
    fixture_add(f, 0, 0, 2, 30000, 100000, 30016, 3); /* rows too long to be read together, */
    fixture_add(f, 0, 99000, 1, 500, 0, 0, 3);        /* and what lies before the second of them */
    fixture_make_arena(f);
}

void fixture_check(const fixture *f, const char *name)
{
    uint64_t i = 0;
    if (memcmp(f->arena, f->expected, f->plan.arena_bytes) == 0) return;
    while (i < f->plan.arena_bytes && f->arena[i] == f->expected[i]) i++;
    ck_abort_msg("%s: byte %d of %d differs", name, (int)i, (int)f->plan.arena_bytes);
}

/* -------------------------------------------------------------------------------------------------------- progress */

bool watch(uint64_t done, uint64_t total, void *user)
{
    watcher *w = user;
    ck_assert(pthread_equal(w->loading, pthread_self()));
    ck_assert_uint_ge(done, w->done);
    ck_assert_uint_le(done, total);
    w->done = done;
    w->calls++;
    if (w->truncate && w->calls == w->truncate_at) ck_assert_int_eq(truncate(w->truncate, 5000), 0);
    if (w->calls == 1 && w->grow) ck_assert_int_eq(truncate(w->grow, (off_t)100 << 20), 0);
    if (w->calls == 1 && w->replace) { /* by a file that has the same size and times, and other bytes */
        char command[2048];
        snprintf(command, sizeof command, "truncate -r '%s' '%s.new' && touch -r '%s' '%s.new' && mv '%s.new' '%s'", w->replace, w->replace, w->replace,
                 w->replace, w->replace, w->replace);
        ck_assert_int_eq(system(command), 0);
    }
    if (w->touch && done == total) ck_assert_int_eq(truncate(w->touch, 1), 0);
    return w->calls != w->stop_after;
}
