#include "core/source.h"
#include "support.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static cuddle_error err;

static const char *temp_path(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", test_temp_dir(), name);
    return path;
}

static source *open_temp(const char *name, const void *data, size_t size)
{
    source *s;
    test_write_file(temp_path(name), data, size);
    cud_error_clear(&err);
    ck_ok(cud_source_open_file(&s, temp_path(name), &err));
    return s;
}

START_TEST(reads_any_range_of_a_file)
{
    source *s = open_temp("ten", "0123456789", 10);
    char out[10];
    ck_assert_uint_eq(s->size, 10);
    ck_assert_int_ge(s->fd, 0);
    ck_assert_int_eq(fcntl(s->fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    for (uint64_t begin = 0; begin <= 10; begin++)
        for (size_t n = 0; n <= 10 - begin; n++) {
            ck_ok(cud_source_read(s, out, begin, n, &err));
            ck_assert_mem_eq(out, "0123456789" + begin, n);
        }
    cud_source_close(s);
}
END_TEST

START_TEST(refuses_ranges_that_leave_the_file)
{
    static const struct {
        uint64_t offset;
        size_t bytes;
    } ranges[] = { { 0, 11 }, { 10, 1 }, { 11, 0 }, { UINT64_MAX, 1 }, { 1, SIZE_MAX }, { 5, SIZE_MAX - 4 } };
    source *file = open_temp("ten", "0123456789", 10), *memory;
    char out[16];
    ck_ok(cud_source_open_memory(&memory, "0123456789", 10, "memory", &err));
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        cud_error_clear(&err);
        test_expect_failure(cud_source_read(file, out, ranges[i].offset, ranges[i].bytes, &err), CUDDLE_E_IO, &err);
        cud_error_clear(&err);
        test_expect_failure(cud_source_read(memory, out, ranges[i].offset, ranges[i].bytes, &err), CUDDLE_E_IO, &err);
    }
    cud_error_clear(&err);
    cud_source_read(memory, out, 9, 2, &err);
    ck_assert_str_eq(err.text, "memory: wanted 2 bytes at offset 9, but it has 10");
    cud_source_close(file);
    cud_source_close(memory);
}
END_TEST

START_TEST(goes_on_after_short_and_interrupted_reads)
{
    source *s = open_temp("ten", "0123456789", 10);
    for (int n = 1; n <= 3; n++)
        for (int fault = TEST_READ_SHORT; fault <= TEST_READ_EINTR; fault++) {
            char out[10] = { 0 };
            test_fail_read(n, (test_read_fault)fault);
            ck_ok(cud_source_read(s, out, 0, 10, &err));
            ck_assert_mem_eq(out, "0123456789", 10);
        }
    test_fail_read(0, TEST_READ_OK);
    cud_source_close(s);
}
END_TEST

START_TEST(names_offset_wanted_and_got_when_a_read_fails)
{
    source *s = open_temp("ten", "0123456789", 10);
    char out[10], expected[700];
    cud_error_clear(&err);
    test_fail_read(1, TEST_READ_EIO);
    test_expect_failure(cud_source_read(s, out, 2, 8, &err), CUDDLE_E_IO, &err);
    snprintf(expected, sizeof expected, "%s: wanted 8 bytes at offset 2, got 0: Input/output error", temp_path("ten"));
    ck_assert_str_eq(err.text, expected);

    cud_error_clear(&err);
    test_fail_read(1, TEST_READ_EOF);
    test_expect_failure(cud_source_read(s, out, 2, 8, &err), CUDDLE_E_IO, &err);
    test_fail_read(0, TEST_READ_OK);

    cud_error_clear(&err); /* really */
    ck_assert_int_eq(truncate(temp_path("ten"), 5), 0);
    test_expect_failure(cud_source_read(s, out, 2, 8, &err), CUDDLE_E_IO, &err);
    snprintf(expected, sizeof expected, "%s: wanted 8 bytes at offset 2, got 3: the file became shorter", temp_path("ten"));
    ck_assert_str_eq(err.text, expected);
    cud_source_close(s);
}
END_TEST

static void refuses(const char *path, const char *sentence)
{
    source *s = (source *)1;
    char expected[700];
    cud_error_clear(&err);
    test_expect_failure(cud_source_open_file(&s, path, &err), CUDDLE_E_IO, &err);
    ck_assert_ptr_null(s);
    snprintf(expected, sizeof expected, "%s: %s", path, sentence);
    ck_assert_str_eq(err.text, expected);
}

START_TEST(opens_regular_files_only)
{
    refuses(test_temp_dir(), "is a directory, expected a regular file");
    refuses("/dev/null", "is a device, expected a regular file");
    refuses(temp_path("absent"), "No such file or directory");
    refuses("", "No such file or directory");
    ck_assert_int_eq(mkfifo(temp_path("fifo"), 0600), 0);
    refuses(temp_path("fifo"), "is a FIFO, expected a regular file"); /* and does not wait for a writer */
    ck_assert_int_eq(symlink("nowhere", temp_path("dangling")), 0);
    refuses(temp_path("dangling"), "No such file or directory");
}
END_TEST

START_TEST(follows_symbolic_links)
{
    cud_source_close(open_temp("ten", "0123456789", 10));
    ck_assert_int_eq(symlink("ten", temp_path("link")), 0);
    source *s;
    ck_ok(cud_source_open_file(&s, temp_path("link"), &err));
    ck_assert_uint_eq(s->size, 10);
    cud_source_close(s);
}
END_TEST

START_TEST(an_empty_file_has_no_bytes_and_no_map)
{
    source *s = open_temp("empty", "", 0);
    ck_assert_uint_eq(s->size, 0);
    ck_ok(cud_source_read(s, NULL, 0, 0, &err));
    ck_assert_ptr_null(cud_source_map(s));
    cud_source_close(s);
    ck_ok(cud_source_open_memory(&s, NULL, 0, "nothing", &err));
    ck_ok(cud_source_read(s, NULL, 0, 0, &err));
    ck_assert_ptr_null(cud_source_map(s));
    cud_source_close(s);
    cud_source_close(NULL);
}
END_TEST

static void *map_it(void *s) { return (void *)(uintptr_t)cud_source_map(s); }

START_TEST(threads_share_one_map)
{
    source *s = open_temp("ten", "0123456789", 10);
    pthread_t thread[8];
    void *map[8];
    for (int i = 0; i < 8; i++) ck_assert_int_eq(pthread_create(&thread[i], NULL, map_it, s), 0);
    for (int i = 0; i < 8; i++) ck_assert_int_eq(pthread_join(thread[i], &map[i]), 0);
    for (int i = 0; i < 8; i++) {
        ck_assert_ptr_nonnull(map[i]);
        ck_assert_ptr_eq(map[i], map[0]);
    }
    ck_assert_mem_eq(map[0], "0123456789", 10);
    cud_source_close(s);
}
END_TEST

START_TEST(reads_beyond_4_gib)
{
    const off_t far = ((off_t)5 << 30) + 3;
    cud_source_close(open_temp("sparse", "", 0));
    const int fd = open(temp_path("sparse"), O_WRONLY);
    ck_assert_int_eq(pwrite(fd, "far", 3, far), 3);
    close(fd);
    source *s;
    char out[4] = { 0 };
    ck_ok(cud_source_open_file(&s, temp_path("sparse"), &err));
    ck_assert_uint_eq(s->size, (uint64_t)far + 3);
    ck_ok(cud_source_read(s, out, (uint64_t)far - 1, 4, &err));
    ck_assert_mem_eq(out, "\0far", 4);
    const char *map = cud_source_map(s);
    ck_assert_ptr_nonnull(map);
    ck_assert_mem_eq(map + far, "far", 3);
    cud_source_close(s);
    unlink(temp_path("sparse"));
}
END_TEST

START_TEST(sees_that_a_file_changed)
{
    const struct timespec other_time[2] = { { 1, 0 }, { 1, 1 } };
    source *s = open_temp("ten", "0123456789", 10);
    ck_assert(cud_source_unchanged(s));
    ck_assert_int_eq(utimensat(AT_FDCWD, temp_path("ten"), other_time, 0), 0);
    ck_assert(!cud_source_unchanged(s));
    cud_source_close(s);

    s = open_temp("ten", "0123456789", 10);
    struct stat st;
    ck_assert_int_eq(fstat(s->fd, &st), 0);
    ck_assert_int_eq(truncate(temp_path("ten"), 11), 0);
    const struct timespec same_time[2] = { st.st_atim, st.st_mtim };
    ck_assert_int_eq(utimensat(AT_FDCWD, temp_path("ten"), same_time, 0), 0);
    ck_assert(!cud_source_unchanged(s));
    cud_source_close(s);

    char out[10], to[512];
    s = open_temp("ten", "0123456789", 10); /* gone: the descriptor still has it */
    ck_assert_int_eq(unlink(temp_path("ten")), 0);
    ck_assert(cud_source_unchanged(s));
    ck_ok(cud_source_read(s, out, 0, 10, &err));
    cud_source_close(s);

    s = open_temp("ten", "0123456789", 10); /* replaced, by a file like it */
    cud_source_close(open_temp("other", "0123456789", 10));
    strcpy(to, temp_path("ten"));
    ck_assert(cud_source_unchanged(s));
    ck_assert_int_eq(rename(temp_path("other"), to), 0);
    ck_assert(!cud_source_unchanged(s));
    cud_source_close(s);

    cud_source_close(open_temp("blob", "0123456789", 10)); /* a link that leads elsewhere by now, as an updated snapshot of the Hub's cache */
    ck_assert_int_eq(symlink("blob", temp_path("snapshot")), 0);
    ck_ok(cud_source_open_file(&s, temp_path("snapshot"), &err));
    ck_assert(cud_source_unchanged(s));
    ck_assert_int_eq(unlink(temp_path("snapshot")), 0);
    ck_assert_int_eq(symlink("ten", temp_path("snapshot")), 0);
    ck_assert(!cud_source_unchanged(s));
    cud_source_close(s);
    ck_ok(cud_source_open_memory(&s, "x", 1, "x", &err));
    ck_assert(cud_source_unchanged(s));
    ck_assert_str_eq(cud_source_map(s), "x");
    cud_source_close(s);
}
END_TEST

START_TEST(survives_every_failing_allocation)
{
    cud_source_close(open_temp("ten", "0123456789", 10));
    for (int kind = 0; kind < 2; kind++)
        for (long n = 1;; n++) {
            source *s = NULL;
            cud_error_clear(&err);
            test_fail_allocation(n, false);
            const cuddle_status status = kind ? cud_source_open_memory(&s, "x", 1, "x", &err)
                                              : cud_source_open_file(&s, temp_path("ten"), &err);
            test_fail_allocation(0, false);
            cud_source_close(s);
            if (!status) {
                ck_assert_int_gt(n, 1);
                break;
            }
            ck_assert_ptr_null(s);
            test_expect_failure(status, CUDDLE_E_NOMEM, &err);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("source");
    TCase *tc = tcase_create("source");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, reads_any_range_of_a_file);
    tcase_add_test(tc, refuses_ranges_that_leave_the_file);
    tcase_add_test(tc, goes_on_after_short_and_interrupted_reads);
    tcase_add_test(tc, names_offset_wanted_and_got_when_a_read_fails);
    tcase_add_test(tc, opens_regular_files_only);
    tcase_add_test(tc, follows_symbolic_links);
    tcase_add_test(tc, an_empty_file_has_no_bytes_and_no_map);
    tcase_add_test(tc, threads_share_one_map);
    tcase_add_test(tc, reads_beyond_4_gib);
    tcase_add_test(tc, sees_that_a_file_changed);
    tcase_add_test(tc, survives_every_failing_allocation);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
