/* What tests share: paths into tests/, failing allocations and reads, small comparisons. */
#ifndef CUD_TESTS_SUPPORT_H
#define CUD_TESTS_SUPPORT_H

#include "core/status.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

/* Path of `relative` below tests/ (or the folder CUDDLE_TEST_DATA, where it is set), in one of a few rotating static buffers. */
const char *test_path(const char *relative);

/* A fresh directory under $TMPDIR or /tmp, removed with everything in it when the program ends. */
const char *test_temp_dir(void);
void test_write_file(const char *path, const void *data, size_t size);
/* Whole file, NUL-terminated, to be freed; fails the test if it cannot be read. */
char *test_read_file(const char *path, size_t *size);

/* What engines and runners of a test run on: the CPU, or what CUDDLE_TEST_DEVICE and CUDDLE_TEST_BACKEND_DIR say (an emulated GPU). */
const char *test_device(void);
const char *test_backend_dir(void);
/* On the CPU? Where not, a test of what only the CPU does returns at once. */
bool test_on_cpu(void);

/* The n-th allocation from now on (1 = the next) in this thread fails, and all after it if `all_after`; 0 switches off.
 * Returns how many were counted since the last call. */
long test_fail_allocation(long n, bool all_after);
/* The same, counted over all threads. */
long test_fail_allocation_anywhere(long n, bool all_after);
/* From now on, bytes that this thread allocates and frees are counted; what was there before counts as nothing. */
void test_count_memory(void);
typedef struct test_memory { long long now, peak; } test_memory;
/* Ends the count. While a block is moved by realloc() both its places count. */
test_memory test_counted_memory(void);
/* The n-th pread() from now on (process-wide) misbehaves. */
typedef enum test_read_fault { TEST_READ_OK, TEST_READ_SHORT, TEST_READ_EINTR, TEST_READ_EIO, TEST_READ_EOF, TEST_READ_EAGAIN } test_read_fault;
long test_fail_read(long n, test_read_fault fault);
/* The n-th pwrite() or fsync() from now on (process-wide) misbehaves; an fsync() cannot be short. Returns how many were counted. */
typedef enum test_write_fault { TEST_WRITE_OK, TEST_WRITE_SHORT, TEST_WRITE_EINTR, TEST_WRITE_ENOSPC } test_write_fault;
long test_fail_write(long n, test_write_fault fault);
/* A pread() at exactly this offset (process-wide) waits until it is released, or a minute. Returns at once. */
void test_hold_read(long offset);
void test_release_read(void);
bool test_read_is_held(void); /* is one waiting? */

/* err holds a sentence and the status is `status`; the sentence is printed when it is not. */
void test_expect_failure(cuddle_status got, cuddle_status want, const cuddle_error *err);
#define ck_ok(call) \
    do { \
        const cuddle_status ck_status_ = (call); \
        ck_assert_msg(ck_status_ == CUDDLE_OK, "%s: %s: %s", #call, cuddle_status_name(ck_status_), err.text); \
    } while (0)

/* Runs the suite in this process (no fork: sanitizers and CUDA contexts do not survive one) and returns main's exit code. */
int test_run(Suite *suite);

#endif
