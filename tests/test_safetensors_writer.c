/* The writer against files that the reference wrote (tests/written, scripts/make_written_safetensors.py), byte for byte. */
#include "cuddle.h"
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static cuddle_error err;

typedef cuddle_safetensors_writer writer;

static const char *target(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", test_temp_dir(), name);
    return path;
}

static writer *writer_of(const char *path)
{
    writer *w;
    ck_ok(cuddle_safetensors_writer_new(&w, path, &err));
    return w;
}

static int entries(const char *folder)
{
    DIR *dir = opendir(folder);
    int count = 0;
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry; (entry = readdir(dir));) count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

static const char *folder(const char *name)
{
    const char *path = target(name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    return path;
}

static void holds(const char *path, const void *expected, size_t size)
{
    size_t got_size;
    char *got = test_read_file(path, &got_size);
    ck_assert_msg(got_size == size && memcmp(got, expected, size) == 0, "%s: %zu bytes, expected %zu: %.200s", path, got_size, size,
                  got_size > 8 ? got + 8 : "");
    free(got);
}

/* ---- against the reference ---- */

/* Declares and writes what `from` holds: tensors in another order, data in pieces, the last tensor first. */
static void copy(writer *w, cuddle_safetensors *from, int64_t step, size_t piece)
{
    const int64_t count = cuddle_safetensors_count(from);
    cuddle_tensor_info info;
    const char *key, *value;
    for (int64_t i = 0; i < count; i++) { /* step has no divisor in common with count: each once */
        ck_ok(cuddle_safetensors_get(from, i * step % count, &info, &err));
        ck_ok(cuddle_safetensors_writer_declare(w, info.name, info.type, info.shape, info.rank, &err));
    }
    for (int i = 0; i < cuddle_safetensors_metadata_count(from); i++) {
        ck_ok(cuddle_safetensors_metadata(from, i, &key, &value, &err));
        ck_ok(cuddle_safetensors_writer_metadata(w, key, value, &err));
    }
    for (int64_t i = count - 1; i >= 0; i--) {
        ck_ok(cuddle_safetensors_get(from, i, &info, &err));
        for (uint64_t at = 0; at < info.bytes; at += piece) {
            char data[64];
            const size_t part = info.bytes - at < piece ? (size_t)(info.bytes - at) : piece;
            ck_ok(cuddle_safetensors_read(from, i, data, at, part, &err));
            ck_ok(cuddle_safetensors_writer_write(w, info.name, data, part, &err));
        }
    }
    ck_ok(cuddle_safetensors_writer_finish(w, &err));
}

static int is_safetensors(const struct dirent *entry) { return strstr(entry->d_name, ".safetensors") != NULL; }

START_TEST(writes_the_bytes_of_the_reference)
{
    struct dirent **entry;
    const int count = scandir(test_path("written"), &entry, is_safetensors, alphasort);
    ck_assert_int_gt(count, 14);
    for (int i = 0; i < count; i++) {
        char name[400];
        size_t size;
        snprintf(name, sizeof name, "written/%s", entry[i]->d_name);
        char *expected = test_read_file(test_path(name), &size);
        for (int way = 0; way < 3; way++) {
            static const int64_t steps[] = { 1, 37, 41 }; /* 37 and 41 divide no count of tensors there */
            static const size_t pieces[] = { 64, 1, 7 };
            cuddle_safetensors *from;
            writer *w = writer_of(target("copy.safetensors"));
            ck_ok(cuddle_safetensors_open(&from, test_path(name), &err));
            copy(w, from, steps[way], pieces[way]);
            cuddle_safetensors_free(from);
            cuddle_safetensors_writer_free(w);
            holds(target("copy.safetensors"), expected, size);
        }
        free(expected);
        free(entry[i]);
    }
    free(entry);
}
END_TEST

/* Not copied from a file, so that it does not depend on our reader. The 6-bit types cannot be named in the reference's package; their
 * place is that of its enum. */
START_TEST(writes_a_header_by_hand)
{
    static const char expected[] = "\x78\x01\0\0\0\0\0\0{\"__metadata__\":{\"k\\u0001\\\"\":\"v\\\\\"},"
                                   "\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                                   "\"y\":{\"dtype\":\"U8\",\"shape\":[0,5],\"data_offsets\":[4,4]},"
                                   "\"f\":{\"dtype\":\"F6_E3M2\",\"shape\":[2,4],\"data_offsets\":[4,10]},"
                                   "\"e\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[10,13]},"
                                   "\"d\":{\"dtype\":\"F4\",\"shape\":[2,3],\"data_offsets\":[13,16]},"
                                   "\"a\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[16,17]}}   "
                                   "1234uvwxyzefg456b";
    const char *path = target("hand.safetensors");
    writer *w = writer_of(path);
    ck_ok(cuddle_safetensors_writer_declare(w, "a", CUDDLE_BOOL, (const int64_t[]){ 1 }, 1, &err));
    ck_ok(cuddle_safetensors_writer_declare(w, "b", CUDDLE_F32, NULL, 0, &err));
    ck_ok(cuddle_safetensors_writer_declare(w, "d", CUDDLE_F4, (const int64_t[]){ 2, 3 }, 2, &err));
    ck_ok(cuddle_safetensors_writer_metadata(w, "k\1\"", "v\\", &err));
    ck_ok(cuddle_safetensors_writer_declare(w, "e", CUDDLE_F6_E2M3, (const int64_t[]){ 4 }, 1, &err));
    ck_ok(cuddle_safetensors_writer_declare(w, "f", CUDDLE_F6_E3M2, (const int64_t[]){ 2, 4 }, 2, &err));
    ck_ok(cuddle_safetensors_writer_declare(w, "y", CUDDLE_U8, (const int64_t[]){ 0, 5 }, 2, &err));
    ck_ok(cuddle_safetensors_writer_write(w, "y", NULL, 0, &err));
    ck_ok(cuddle_safetensors_writer_write(w, "d", "456", 3, &err));
    ck_ok(cuddle_safetensors_writer_write(w, "b", "12", 2, &err));
    ck_ok(cuddle_safetensors_writer_write(w, "a", "b", 1, &err));
    ck_ok(cuddle_safetensors_writer_write(w, "b", "34", 2, &err));
    ck_ok(cuddle_safetensors_writer_write(w, "e", "efg", 3, &err));
    ck_ok(cuddle_safetensors_writer_write(w, "f", "uvwxyz", 6, &err));
    ck_ok(cuddle_safetensors_writer_finish(w, &err));
    cuddle_safetensors_writer_free(w);
    holds(path, expected, sizeof expected - 1);
    cuddle_safetensors *st;
    ck_ok(cuddle_safetensors_open(&st, path, &err));
    cuddle_safetensors_free(st);
}
END_TEST

START_TEST(several_pairs_of_metadata_keep_their_order)
{
    const char *path = target("pairs.safetensors");
    writer *w = writer_of(path);
    const char *const keys[] = { "z", "", "a" };
    for (int i = 0; i < 3; i++) ck_ok(cuddle_safetensors_writer_metadata(w, keys[i], "v", &err));
    ck_ok(cuddle_safetensors_writer_finish(w, &err));
    cuddle_safetensors_writer_free(w);
    holds(path, "\x30\0\0\0\0\0\0\0{\"__metadata__\":{\"z\":\"v\",\"\":\"v\",\"a\":\"v\"}}       ", 56);
}
END_TEST

/* ---- whole or not at all ---- */

static void one_tensor(writer *w, const char *data)
{
    const int64_t shape[] = { (int64_t)strlen(data) };
    ck_ok(cuddle_safetensors_writer_declare(w, "a", CUDDLE_U8, shape, 1, &err));
    ck_ok(cuddle_safetensors_writer_write(w, "a", data, strlen(data), &err));
}

START_TEST(the_file_appears_when_it_is_whole)
{
    char path[600];
    const char *dir = folder("atomic");
    snprintf(path, sizeof path, "%s/a.safetensors", dir);
    writer *w = writer_of(path);
    one_tensor(w, "first");
    ck_assert_int_ne(access(path, F_OK), 0);
    cuddle_safetensors_writer_free(w); /* given up: nothing is left */
    ck_assert_int_eq(entries(dir), 0);

    w = writer_of(path);
    one_tensor(w, "first");
    ck_ok(cuddle_safetensors_writer_finish(w, &err));
    cuddle_safetensors_writer_free(w);
    ck_assert_int_eq(entries(dir), 1);

    cuddle_safetensors *old, *new; /* an open reader keeps what it opened, while another file takes the name */
    char data[6] = "";
    ck_ok(cuddle_safetensors_open(&old, path, &err));
    w = writer_of(path);
    one_tensor(w, "again");
    ck_ok(cuddle_safetensors_open(&new, path, &err));
    ck_ok(cuddle_safetensors_read(new, 0, data, 0, 5, &err));
    ck_assert_str_eq(data, "first");
    cuddle_safetensors_free(new);
    ck_ok(cuddle_safetensors_writer_finish(w, &err));
    cuddle_safetensors_writer_free(w);
    ck_assert_int_eq(entries(dir), 1);
    ck_ok(cuddle_safetensors_read(old, 0, data, 0, 5, &err));
    ck_assert_str_eq(data, "first");
    cuddle_safetensors_free(old);
    ck_ok(cuddle_safetensors_open(&new, path, &err));
    ck_ok(cuddle_safetensors_read(new, 0, data, 0, 5, &err));
    ck_assert_str_eq(data, "again");
    cuddle_safetensors_free(new);
}
END_TEST

START_TEST(others_may_read_it_as_the_umask_says)
{
    struct stat st;
    const mode_t before = umask(0022);
    writer *w = writer_of(target("mode.safetensors"));
    ck_ok(cuddle_safetensors_writer_finish(w, &err));
    cuddle_safetensors_writer_free(w);
    umask(before);
    ck_assert_int_eq(stat(target("mode.safetensors"), &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0644);
}
END_TEST

static void refuses_path(const char *path, const char *sentence)
{
    writer *w = (writer *)1;
    char expected[700];
    test_expect_failure(cuddle_safetensors_writer_new(&w, path, &err), CUDDLE_E_IO, &err);
    ck_assert_ptr_null(w);
    snprintf(expected, sizeof expected, "%s%s", path, sentence);
    ck_assert_str_eq(err.text, expected);
}

START_TEST(refuses_what_it_must_not_replace)
{
    char path[600];
    refuses_path(folder("dir"), ": is a directory, expected a file to replace or none");
    refuses_path("/dev/null", ": is not a regular file, expected a file to replace or none");
    ck_assert_int_eq(mkfifo(target("fifo"), 0600), 0);
    refuses_path(target("fifo"), ": is not a regular file, expected a file to replace or none");
    refuses_path(target("absent/a.safetensors"), ": cannot be written: No such file or directory");
    refuses_path(target("absent/"), ": names no file");
    refuses_path("", "the empty path: names no file");
    snprintf(path, sizeof path, "%s/a.safetensors", folder("taken"));
    writer *w = writer_of(path);
    one_tensor(w, "x");
    ck_assert_int_eq(mkdir(path, 0700), 0); /* while it was being written */
    test_expect_failure(cuddle_safetensors_writer_finish(w, &err), CUDDLE_E_IO, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "cannot be replaced: Is a directory"));
    ck_assert_int_eq(rmdir(path), 0);
    ck_ok(cuddle_safetensors_writer_finish(w, &err)); /* again, now that it can */
    cuddle_safetensors_writer_free(w);
    ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(names_may_be_as_long_as_names_can_be)
{
    char name[256] = "";
    memset(name, 'x', 255);
    writer *w = writer_of(target(name));
    ck_ok(cuddle_safetensors_writer_finish(w, &err));
    cuddle_safetensors_writer_free(w);
    ck_assert_int_eq(access(target(name), F_OK), 0);
}
END_TEST

/* ---- wrong calls ---- */

static void says(cuddle_status got, cuddle_status want, const char *sentence)
{
    test_expect_failure(got, want, &err);
    ck_assert_str_eq(err.text, sentence);
}

START_TEST(refuses_what_readers_refuse)
{
    static const int64_t shape[] = { 3, -1, INT64_MAX, 4, 1, 1, 1, 1, 1 };
    writer *w = writer_of(target("a.safetensors"));
    says(cuddle_safetensors_writer_declare(w, "\xc3(", CUDDLE_U8, shape, 1, &err), CUDDLE_E_ARG,
         "a.safetensors: the tensor name \"?(\" is not UTF-8");
    says(cuddle_safetensors_writer_declare(w, "\xe2\x82", CUDDLE_U8, shape, 1, &err), CUDDLE_E_ARG,
         "a.safetensors: the tensor name \"??\" is not UTF-8");
    says(cuddle_safetensors_writer_declare(w, "__metadata__", CUDDLE_U8, shape, 1, &err), CUDDLE_E_ARG,
         "a.safetensors: a tensor cannot be called __metadata__");
    says(cuddle_safetensors_writer_declare(w, "a", CUDDLE_DTYPE_COUNT, shape, 1, &err), CUDDLE_E_ARG,
         "a.safetensors: tensor \"a\": 22 is no dtype");
    says(cuddle_safetensors_writer_declare(w, "a", CUDDLE_U8, shape, 9, &err), CUDDLE_E_ARG,
         "a.safetensors: tensor \"a\": rank 9, expected 0 to 8");
    says(cuddle_safetensors_writer_declare(w, "a", CUDDLE_U8, shape, -1, &err), CUDDLE_E_ARG,
         "a.safetensors: tensor \"a\": rank -1, expected 0 to 8");
    says(cuddle_safetensors_writer_declare(w, "a", CUDDLE_U8, shape, 2, &err), CUDDLE_E_ARG,
         "a.safetensors: tensor \"a\": shape[1] is -1, expected 0 or more");
    says(cuddle_safetensors_writer_declare(w, "a", CUDDLE_U8, shape + 2, 1, &err), CUDDLE_E_ARG,
         "a.safetensors: tensor \"a\": its size in U8 is over 2^64 bits");
    says(cuddle_safetensors_writer_declare(w, "a", CUDDLE_U8, shape + 2, 2, &err), CUDDLE_E_ARG,
         "a.safetensors: tensor \"a\": its size in U8 is over 2^64 bits");
    says(cuddle_safetensors_writer_declare(w, "a", CUDDLE_F4, shape, 1, &err), CUDDLE_E_ARG,
         "a.safetensors: tensor \"a\": its size in F4 is 12 bits, expected whole bytes");
    ck_ok(cuddle_safetensors_writer_declare(w, "a", CUDDLE_U8, shape, 1, &err)); /* what was refused left nothing behind */
    says(cuddle_safetensors_writer_declare(w, "a", CUDDLE_U8, shape, 1, &err), CUDDLE_E_ARG, "a.safetensors: tensor \"a\" is there twice");
    says(cuddle_safetensors_writer_metadata(w, "\xff", "v", &err), CUDDLE_E_ARG, "a.safetensors: the __metadata__ key \"?\" is not UTF-8");
    says(cuddle_safetensors_writer_metadata(w, "k", "\xed\xa0\x80", &err), CUDDLE_E_ARG,
         "a.safetensors: the __metadata__ value of \"k\" is not UTF-8");
    ck_ok(cuddle_safetensors_writer_metadata(w, "k", "v", &err));
    says(cuddle_safetensors_writer_metadata(w, "k", "w", &err), CUDDLE_E_ARG, "a.safetensors: __metadata__ has the key \"k\" twice");
    says(cuddle_safetensors_writer_write(w, "b", "x", 1, &err), CUDDLE_E_ARG, "a.safetensors: tensor \"b\" was not declared");
    says(cuddle_safetensors_writer_write(w, "a", "wxyz", 4, &err), CUDDLE_E_ARG, "a.safetensors: tensor \"a\": 4 bytes more after 0 of 3");
    ck_ok(cuddle_safetensors_writer_write(w, "a", "xy", 2, &err));
    says(cuddle_safetensors_writer_write(w, "a", "yz", 2, &err), CUDDLE_E_ARG, "a.safetensors: tensor \"a\": 2 bytes more after 2 of 3");
    says(cuddle_safetensors_writer_declare(w, "c", CUDDLE_U8, shape, 1, &err), CUDDLE_E_ARG,
         "a.safetensors: a tensor was declared, but data was written already: what the file holds must be known by then");
    says(cuddle_safetensors_writer_finish(w, &err), CUDDLE_E_ARG,
         "a.safetensors: tensor \"a\" is incomplete: 2 of 3 bytes were written");
    ck_assert_int_ne(access(target("a.safetensors"), F_OK), 0);
    ck_ok(cuddle_safetensors_writer_write(w, "a", "z", 1, &err));
    ck_ok(cuddle_safetensors_writer_finish(w, &err));
    says(cuddle_safetensors_writer_finish(w, &err), CUDDLE_E_ARG, "a.safetensors: the file is finished already");
    says(cuddle_safetensors_writer_write(w, "a", "", 0, &err), CUDDLE_E_ARG, "a.safetensors: data was written, but the file is finished");
    says(cuddle_safetensors_writer_metadata(w, "l", "v", &err), CUDDLE_E_ARG,
         "a.safetensors: a pair of __metadata__ was added, but the file is finished");
    cuddle_safetensors_writer_free(w);
}
END_TEST

START_TEST(refuses_nulls)
{
    writer *w = (writer *)1;
    says(cuddle_safetensors_writer_new(NULL, "x", &err), CUDDLE_E_ARG, "cuddle_safetensors_writer_new: out is NULL");
    says(cuddle_safetensors_writer_new(&w, NULL, &err), CUDDLE_E_ARG, "cuddle_safetensors_writer_new: path is NULL");
    ck_assert_ptr_null(w);
    w = writer_of(target("nulls.safetensors"));
    says(cuddle_safetensors_writer_declare(NULL, "a", CUDDLE_U8, NULL, 0, &err), CUDDLE_E_ARG,
         "cuddle_safetensors_writer_declare: writer is NULL");
    says(cuddle_safetensors_writer_declare(w, NULL, CUDDLE_U8, NULL, 0, &err), CUDDLE_E_ARG,
         "cuddle_safetensors_writer_declare: name is NULL");
    says(cuddle_safetensors_writer_declare(w, "a", CUDDLE_U8, NULL, 1, &err), CUDDLE_E_ARG,
         "cuddle_safetensors_writer_declare: shape is NULL");
    says(cuddle_safetensors_writer_metadata(w, NULL, "v", &err), CUDDLE_E_ARG, "cuddle_safetensors_writer_metadata: key is NULL");
    says(cuddle_safetensors_writer_metadata(w, "k", NULL, &err), CUDDLE_E_ARG, "cuddle_safetensors_writer_metadata: value is NULL");
    says(cuddle_safetensors_writer_write(w, NULL, "", 0, &err), CUDDLE_E_ARG, "cuddle_safetensors_writer_write: name is NULL");
    says(cuddle_safetensors_writer_write(w, "a", NULL, 1, &err), CUDDLE_E_ARG, "cuddle_safetensors_writer_write: data is NULL");
    says(cuddle_safetensors_writer_finish(NULL, &err), CUDDLE_E_ARG, "cuddle_safetensors_writer_finish: writer is NULL");
    ck_assert_int_eq(cuddle_safetensors_writer_finish(NULL, NULL), CUDDLE_E_ARG);
    cuddle_safetensors_writer_free(NULL);
    cuddle_safetensors_writer_free(w);
}
END_TEST

START_TEST(refuses_more_than_a_file_can_hold)
{
    const int64_t shape[] = { (int64_t)1 << 60 };
    writer *w = writer_of(target("huge.safetensors"));
    for (int i = 0; i < 9; i++) {
        const char name[] = { (char)('a' + i), 0 };
        ck_ok(cuddle_safetensors_writer_declare(w, name, CUDDLE_U8, shape, 1, &err));
    }
    says(cuddle_safetensors_writer_write(w, "a", "x", 1, &err), CUDDLE_E_LIMIT,
         "huge.safetensors: its tensors have more bytes than a file can hold");
    cuddle_safetensors_writer_free(w);

    char *long_name = malloc(30000001); /* four of them make more than a header may have */
    memset(long_name, 'x', 30000000);
    long_name[30000000] = 0;
    w = writer_of(target("long.safetensors"));
    for (int i = 0; i < 4; i++) {
        long_name[0] = (char)('a' + i);
        ck_ok(cuddle_safetensors_writer_metadata(w, long_name, "", &err));
    }
    says(cuddle_safetensors_writer_finish(w, &err), CUDDLE_E_LIMIT, "long.safetensors: its header has more than 100000000 bytes");
    cuddle_safetensors_writer_free(w);
    free(long_name);
}
END_TEST

/* ---- faults ---- */

static cuddle_status write_all(const char *path)
{
    writer *w;
    const int64_t shape[] = { 4 };
    cuddle_status status = cuddle_safetensors_writer_new(&w, path, &err);
    if (!status) status = cuddle_safetensors_writer_declare(w, "b", CUDDLE_U8, shape, 1, &err);
    if (!status) status = cuddle_safetensors_writer_metadata(w, "k", "v", &err);
    if (!status) status = cuddle_safetensors_writer_declare(w, "a", CUDDLE_F32, NULL, 0, &err);
    if (!status) status = cuddle_safetensors_writer_write(w, "b", "wxyz", 4, &err);
    if (!status) status = cuddle_safetensors_writer_write(w, "a", "1234", 4, &err);
    if (!status) status = cuddle_safetensors_writer_finish(w, &err);
    cuddle_safetensors_writer_free(w);
    return status;
}

static void expect_all(const char *path)
{
    cuddle_safetensors *st;
    char data[9] = "";
    ck_ok(cuddle_safetensors_open(&st, path, &err));
    ck_ok(cuddle_safetensors_read(st, 0, data, 0, 4, &err));
    ck_ok(cuddle_safetensors_read(st, 1, data + 4, 0, 4, &err));
    ck_assert_str_eq(data, "1234wxyz");
    cuddle_safetensors_free(st);
}

START_TEST(survives_every_failing_allocation)
{
    char path[600];
    const char *dir = folder("allocations");
    snprintf(path, sizeof path, "%s/a.safetensors", dir);
    for (long n = 1;; n++) {
        test_fail_allocation(n, false);
        const cuddle_status status = write_all(path);
        test_fail_allocation(0, false);
        if (!status) {
            ck_assert_int_gt(n, 10);
            break;
        }
        test_expect_failure(status, CUDDLE_E_NOMEM, &err);
        ck_assert_int_eq(entries(dir), 0);
        if (n > 1000) ck_abort_msg("does not end");
    }
    expect_all(path);
}
END_TEST

START_TEST(survives_every_failing_write)
{
    char path[600];
    const char *dir = folder("writes");
    snprintf(path, sizeof path, "%s/a.safetensors", dir);
    test_fail_write(0, TEST_WRITE_OK);
    ck_ok(write_all(path));
    ck_assert_int_eq(test_fail_write(0, TEST_WRITE_OK), 5); /* the header, two tensors, the file's and the folder's fsync */
    for (long n = 1; n <= 4; n++) {
        for (int fault = TEST_WRITE_SHORT; fault <= TEST_WRITE_EINTR; fault++) {
            test_fail_write(n, (test_write_fault)fault);
            ck_ok(write_all(path));
            expect_all(path);
        }
        ck_assert_int_eq(unlink(path), 0);
        test_fail_write(n, TEST_WRITE_ENOSPC);
        test_expect_failure(write_all(path), CUDDLE_E_IO, &err);
        ck_assert_ptr_nonnull(strstr(err.text, "No space left on device"));
        ck_assert_int_eq(entries(dir), 0);
    }
    test_fail_write(5, TEST_WRITE_ENOSPC); /* the folder's is best effort */
    ck_ok(write_all(path));
    test_fail_write(0, TEST_WRITE_OK);
    expect_all(path);
}
END_TEST

START_TEST(a_full_disk_may_be_tried_again)
{
    writer *w = writer_of(target("again.safetensors"));
    const int64_t shape[] = { 4 };
    ck_ok(cuddle_safetensors_writer_declare(w, "a", CUDDLE_U8, shape, 1, &err));
    for (long n = 1; n <= 2; n++) { /* the header, then the data */
        test_fail_write(n, TEST_WRITE_ENOSPC);
        test_expect_failure(cuddle_safetensors_writer_write(w, "a", "wxyz", 4, &err), CUDDLE_E_IO, &err);
    }
    test_fail_write(0, TEST_WRITE_OK);
    ck_ok(cuddle_safetensors_writer_write(w, "a", "wxyz", 4, &err));
    ck_ok(cuddle_safetensors_writer_finish(w, &err));
    cuddle_safetensors_writer_free(w);
    holds(target("again.safetensors"), "\x38\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}   wxyz", 68);
}
END_TEST

START_TEST(writes_45_000_tensors)
{
    writer *w = writer_of(target("many.safetensors"));
    const int64_t shape[] = { 1 };
    char name[64];
    for (int i = 0; i < 45000; i++) {
        snprintf(name, sizeof name, "model.layers.%d.weight", i * 7919 % 45000);
        ck_ok(cuddle_safetensors_writer_declare(w, name, i % 2 ? CUDDLE_U8 : CUDDLE_I8, shape, 1, &err));
    }
    for (int i = 0; i < 45000; i++) {
        snprintf(name, sizeof name, "model.layers.%d.weight", i);
        ck_ok(cuddle_safetensors_writer_write(w, name, &(const char){ (char)i }, 1, &err));
    }
    ck_ok(cuddle_safetensors_writer_finish(w, &err));
    cuddle_safetensors_writer_free(w);
    cuddle_safetensors *st;
    ck_ok(cuddle_safetensors_open(&st, target("many.safetensors"), &err));
    ck_assert_int_eq(cuddle_safetensors_count(st), 45000);
    for (int i = 0; i < 45000; i++) {
        char got;
        snprintf(name, sizeof name, "model.layers.%d.weight", i);
        ck_ok(cuddle_safetensors_read(st, cuddle_safetensors_find(st, name), &got, 0, 1, &err));
        ck_assert_int_eq(got, (char)i);
    }
    cuddle_safetensors_free(st);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors_writer");
    TCase *tc = tcase_create("safetensors_writer");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, writes_the_bytes_of_the_reference);
    tcase_add_test(tc, writes_a_header_by_hand);
    tcase_add_test(tc, several_pairs_of_metadata_keep_their_order);
    tcase_add_test(tc, the_file_appears_when_it_is_whole);
    tcase_add_test(tc, others_may_read_it_as_the_umask_says);
    tcase_add_test(tc, refuses_what_it_must_not_replace);
    tcase_add_test(tc, names_may_be_as_long_as_names_can_be);
    tcase_add_test(tc, refuses_what_readers_refuse);
    tcase_add_test(tc, refuses_nulls);
    tcase_add_test(tc, refuses_more_than_a_file_can_hold);
    tcase_add_test(tc, survives_every_failing_allocation);
    tcase_add_test(tc, survives_every_failing_write);
    tcase_add_test(tc, a_full_disk_may_be_tried_again);
    tcase_add_test(tc, writes_45_000_tensors);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
