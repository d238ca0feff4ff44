#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *test_device(void)
{
    const char *name = getenv("CUDDLE_TEST_DEVICE");
    return name ? name : "cpu";
}

const char *test_backend_dir(void) { return getenv("CUDDLE_TEST_BACKEND_DIR"); }

bool test_on_cpu(void) { return strcmp(test_device(), "cpu") == 0; }

const char *test_path(const char *relative)
{
    static char buffers[8][1024];
    static int next;
    char *path = buffers[next++ % 8];
    const char *moved = getenv("CUDDLE_TEST_DATA"); /* for programs that run on another machine than they were built on */
    snprintf(path, sizeof buffers[0], "%s/%s", moved ? moved : CUD_TEST_DATA, relative);
    return path;
}

static char temp_dir[256];

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void remove_temp_dir(void) { nftw(temp_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

const char *test_temp_dir(void)
{
    if (!temp_dir[0]) {
        const char *base = getenv("TMPDIR");
        snprintf(temp_dir, sizeof temp_dir, "%s/cuddle-test-XXXXXX", base ? base : "/tmp");
        ck_assert_ptr_nonnull(mkdtemp(temp_dir));
        atexit(remove_temp_dir);
    }
    return temp_dir;
}

void test_write_file(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    ck_assert_msg(f != NULL, "cannot write %s", path);
    ck_assert(fwrite(data, 1, size, f) == size);
    ck_assert(fclose(f) == 0);
}

char *test_read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "cannot read %s", path);
    ck_assert(fseek(f, 0, SEEK_END) == 0);
    const long length = ftell(f);
    ck_assert(length >= 0);
    rewind(f);
    char *data = malloc((size_t)length + 1);
    ck_assert_ptr_nonnull(data);
    ck_assert(fread(data, 1, (size_t)length, f) == (size_t)length);
    data[length] = 0;
    fclose(f);
    if (size) *size = (size_t)length;
    return data;
}

/* ---- failing allocations: linked with --wrap ---- */
static _Thread_local long allocation_count, allocation_fails_at;
static _Thread_local bool allocation_fails_after;

long test_fail_allocation(long n, bool all_after)
{
    const long counted = allocation_count;
    allocation_count = 0;
    allocation_fails_at = n;
    allocation_fails_after = all_after;
    return counted;
}

static long anywhere_count, anywhere_fails_at;
static bool anywhere_after;

long test_fail_allocation_anywhere(long n, bool all_after)
{
    const long counted = __atomic_exchange_n(&anywhere_count, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&anywhere_after, all_after, __ATOMIC_SEQ_CST);
    __atomic_store_n(&anywhere_fails_at, n, __ATOMIC_SEQ_CST);
    return counted;
}

static bool allocation_fails(void)
{
    const long at = __atomic_load_n(&anywhere_fails_at, __ATOMIC_SEQ_CST), now = __atomic_add_fetch(&anywhere_count, 1, __ATOMIC_SEQ_CST);
    if (at && (now == at || (now > at && __atomic_load_n(&anywhere_after, __ATOMIC_SEQ_CST)))) return true;
    allocation_count++;
    if (!allocation_fails_at) return false;
    return allocation_count == allocation_fails_at || (allocation_fails_after && allocation_count > allocation_fails_at);
}

static _Thread_local test_memory memory;
static _Thread_local bool counting;

void test_count_memory(void)
{
    memory = (test_memory){ 0, 0 };
    counting = true;
}

test_memory test_counted_memory(void)
{
    counting = false;
    return memory;
}

static void *count(void *block)
{
    if (!counting || !block) return block;
    memory.now += (long long)malloc_usable_size(block);
    if (memory.now > memory.peak) memory.peak = memory.now;
    return block;
}

static void uncount(long long bytes)
{
    if (counting) memory.now -= bytes;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);
void *__wrap_malloc(size_t size) { return allocation_fails() ? NULL : count(__real_malloc(size)); }
void *__wrap_calloc(size_t n, size_t size) { return allocation_fails() ? NULL : count(__real_calloc(n, size)); }

void *__wrap_realloc(void *p, size_t size)
{
    if (allocation_fails()) return NULL;
    const long long before = counting && p ? (long long)malloc_usable_size(p) : 0;
    void *moved = count(__real_realloc(p, size)); /* while `before` still counts */
    if (moved) uncount(before);
    return moved;
}

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p)
{
    if (counting && p) uncount((long long)malloc_usable_size(p));
    __real_free(p);
}

char *__wrap_strdup(const char *s)
{
    const size_t size = strlen(s) + 1;
    char *copy = allocation_fails() ? NULL : count(__real_malloc(size));
    return copy ? memcpy(copy, s, size) : NULL;
}

char *__wrap_strndup(const char *s, size_t most);
char *__wrap_strndup(const char *s, size_t most)
{
    const size_t length = strnlen(s, most);
    char *copy = allocation_fails() ? NULL : __real_malloc(length + 1);
    if (!copy) return NULL;
    memcpy(copy, s, length);
    copy[length] = 0;
    return copy;
}

int __real_posix_memalign(void **out, size_t alignment, size_t size);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size)
{
    if (allocation_fails()) return ENOMEM;
    const int failed = __real_posix_memalign(out, alignment, size);
    if (!failed) count(*out);
    return failed;
}

/* ---- failing reads ---- */
static long read_count, read_fails_at;
static test_read_fault read_fault;

long test_fail_read(long n, test_read_fault fault)
{
    const long counted = __atomic_exchange_n(&read_count, 0, __ATOMIC_SEQ_CST);
    read_fault = fault;
    __atomic_store_n(&read_fails_at, n, __ATOMIC_SEQ_CST);
    return counted;
}

static long held_offset = -1; /* -1: none */
static bool someone_waits;

void test_hold_read(long offset) { __atomic_store_n(&held_offset, offset, __ATOMIC_SEQ_CST); }
void test_release_read(void) { __atomic_store_n(&held_offset, -1, __ATOMIC_SEQ_CST); }
bool test_read_is_held(void) { return __atomic_load_n(&someone_waits, __ATOMIC_SEQ_CST); }

static void hold(off_t offset)
{
    if (offset != __atomic_load_n(&held_offset, __ATOMIC_SEQ_CST)) return;
    __atomic_store_n(&someone_waits, true, __ATOMIC_SEQ_CST);
    for (int ms = 0; ms < 60000 && offset == __atomic_load_n(&held_offset, __ATOMIC_SEQ_CST); ms++) usleep(1000);
    __atomic_store_n(&someone_waits, false, __ATOMIC_SEQ_CST);
}

ssize_t __real_pread(int fd, void *out, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *out, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *out, size_t size, off_t offset)
{
    const long n = __atomic_add_fetch(&read_count, 1, __ATOMIC_SEQ_CST);
    hold(offset);
    if (n == __atomic_load_n(&read_fails_at, __ATOMIC_SEQ_CST)) {
        switch (read_fault) {
        case TEST_READ_OK: break;
        case TEST_READ_SHORT: return __real_pread(fd, out, size > 1 ? size / 2 : size, offset);
        case TEST_READ_EINTR: errno = EINTR; return -1;
        case TEST_READ_EIO: errno = EIO; return -1;
        case TEST_READ_EOF: return 0;
        case TEST_READ_EAGAIN: errno = EAGAIN; return -1;
        }
    }
    return __real_pread(fd, out, size, offset);
}

/* ---- failing writes ---- */
static long write_count, write_fails_at;
static test_write_fault write_fault;

long test_fail_write(long n, test_write_fault fault)
{
    const long counted = write_count;
    write_count = 0;
    write_fault = fault;
    write_fails_at = n;
    return counted;
}

static test_write_fault fault_now(void) { return ++write_count == write_fails_at ? write_fault : TEST_WRITE_OK; }

ssize_t __real_pwrite(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    switch (fault_now()) {
    case TEST_WRITE_OK: break;
    case TEST_WRITE_SHORT: return __real_pwrite(fd, data, size > 1 ? size / 2 : size, offset);
    case TEST_WRITE_EINTR: errno = EINTR; return -1;
    case TEST_WRITE_ENOSPC: errno = ENOSPC; return -1;
    }
    return __real_pwrite(fd, data, size, offset);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    switch (fault_now()) {
    case TEST_WRITE_OK:
    case TEST_WRITE_SHORT: break;
    case TEST_WRITE_EINTR: errno = EINTR; return -1;
    case TEST_WRITE_ENOSPC: errno = ENOSPC; return -1;
    }
    return __real_fsync(fd);
}

void test_expect_failure(cuddle_status got, cuddle_status want, const cuddle_error *err)
{
    ck_assert_msg(got == want, "status %s, expected %s: %s", cuddle_status_name(got), cuddle_status_name(want), err->text);
    ck_assert_int_eq(err->status, want);
    ck_assert_msg(err->text[0] != 0, "status %s without a sentence", cuddle_status_name(got));
}

int test_run(Suite *suite)
{
    json_set_alloc_funcs(malloc, free); /* ours, so that what jansson allocates fails in its turn too */
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
