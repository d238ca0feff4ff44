#include "system_faults.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>

static struct { long count, fails_at; int error; } calls[CALL_KINDS];

long test_fail_call(system_call kind, long n, int error)
{
    calls[kind].error = error;
    __atomic_store_n(&calls[kind].fails_at, n, __ATOMIC_SEQ_CST);
    return __atomic_exchange_n(&calls[kind].count, 0, __ATOMIC_SEQ_CST);
}

static bool fails(system_call kind)
{
    if (__atomic_add_fetch(&calls[kind].count, 1, __ATOMIC_SEQ_CST) != __atomic_load_n(&calls[kind].fails_at, __ATOMIC_SEQ_CST)) return false;
    errno = calls[kind].error;
    return true;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return fails(CALL_OPEN) ? -1 : __real_open(path, flags, mode);
}

int __real_stat(const char *path, struct stat *out);
int __wrap_stat(const char *path, struct stat *out);
int __wrap_stat(const char *path, struct stat *out) { return fails(CALL_STAT) ? -1 : __real_stat(path, out); }

int __real_lstat(const char *path, struct stat *out);
int __wrap_lstat(const char *path, struct stat *out);
int __wrap_lstat(const char *path, struct stat *out) { return fails(CALL_STAT) ? -1 : __real_lstat(path, out); }

int __real_fstat(int fd, struct stat *out);
int __wrap_fstat(int fd, struct stat *out);
int __wrap_fstat(int fd, struct stat *out) { return fails(CALL_FSTAT) ? -1 : __real_fstat(fd, out); }

void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    return fails(CALL_MMAP) ? MAP_FAILED : __real_mmap(at, bytes, protection, flags, fd, offset);
}

int __real_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    return fails(CALL_THREAD) ? calls[CALL_THREAD].error : __real_pthread_create(out, attributes, run, argument);
}
