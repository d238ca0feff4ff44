#include "cuddle.h"
#include "format/checkpoint.h"
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static cuddle_error err;

/* A file: 8 bytes of length, header, data; to be freed. */
static char *make_file(const char *header, const void *data, size_t data_size, size_t *size)
{
    const size_t length = strlen(header);
    *size = 8 + length + data_size;
    char *file = malloc(*size);
    for (int i = 0; i < 8; i++) file[i] = (char)(length >> 8 * i & 0xff);
    memcpy(file + 8, header, length);
    if (data_size) memcpy(file + 8 + length, data, data_size);
    return file;
}

static const char *write_file(const char *header, const void *data, size_t data_size)
{
    static char path[512];
    size_t size;
    char *file = make_file(header, data, data_size, &size);
    snprintf(path, sizeof path, "%s/model.safetensors", test_temp_dir());
    test_write_file(path, file, size);
    free(file);
    return path;
}

static cuddle_safetensors *opened(const char *path)
{
    cuddle_safetensors *st;
    cud_error_clear(&err);
    ck_ok(cuddle_safetensors_open(&st, path, &err));
    return st;
}

/* ---- tests/bad/safetensors: one file per rule and boundary ---- */

static int skip_dots(const struct dirent *entry) { return entry->d_name[0] != '.'; }

START_TEST(every_rule_has_its_verdict_and_sentence)
{
    struct dirent **entry;
    const int count = scandir(test_path("bad/safetensors"), &entry, skip_dots, alphasort);
    ck_assert_int_gt(count, 200);
    int accepted = 0, wrong = 0;
    for (int i = 0; i < count; i++) {
        char name[700], got[400] = "";
        cuddle_safetensors *st;
        snprintf(name, sizeof name, "bad/safetensors/%s/error", entry[i]->d_name);
        char *expected = test_read_file(test_path(name), NULL);
        snprintf(name, sizeof name, "bad/safetensors/%s/input.safetensors", entry[i]->d_name);
        const cuddle_status status = cuddle_safetensors_open(&st, test_path(name), &err);
        if (status) snprintf(got, sizeof got, "%s: %s\n", cuddle_status_name(status), err.text);
        ck_assert_int_eq(status, err.status);
        ck_assert((st == NULL) == (status != CUDDLE_OK));
        if (strcmp(got, expected) != 0) {
            fprintf(stderr, "%s\n  expected %s\n  got      %s\n", entry[i]->d_name, expected, got);
            wrong++;
        }
        accepted += !status;
        cuddle_safetensors_free(st);
        free(expected);
        free(entry[i]);
    }
    free(entry);
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(accepted, 30);
}
END_TEST

/* ---- hand-made values ---- */

START_TEST(gives_what_the_file_says)
{
    static const unsigned char data[] = { 1, 2, 3, 0, 0, 0x80, 0x3f, 0x80, 0x3f };
    cuddle_safetensors *st = opened(write_file("{\"__metadata__\":{\"format\":\"pt\",\"n\":\"\\u00e4\"},"
                                               "\"w\":{\"dtype\":\"BF16\",\"shape\":[1,1],\"data_offsets\":[7,9]},"
                                               "\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[3,7]},"
                                               "\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}",
                                               data, sizeof data));
    cuddle_tensor_info info;
    ck_assert_int_eq(cuddle_safetensors_count(st), 3);
    ck_assert_int_eq(cuddle_safetensors_find(st, "a"), 0); /* by offset, not by place in the header */
    ck_assert_int_eq(cuddle_safetensors_find(st, "b"), 1);
    ck_assert_int_eq(cuddle_safetensors_find(st, "w"), 2);
    ck_assert_int_eq(cuddle_safetensors_find(st, ""), -1);
    ck_assert_int_eq(cuddle_safetensors_find(st, "__metadata__"), -1);
    ck_ok(cuddle_safetensors_get(st, 2, &info, &err));
    ck_assert_str_eq(info.name, "w");
    ck_assert_int_eq(info.type, CUDDLE_BF16);
    ck_assert_int_eq(info.rank, 2);
    ck_assert_int_eq(info.shape[0], 1);
    ck_assert_int_eq(info.shape[1], 1);
    ck_assert_uint_eq(info.bytes, 2);
    ck_assert_int_eq(info.shard, 0);
    ck_ok(cuddle_safetensors_get(st, 1, &info, &err));
    ck_assert_int_eq(info.type, CUDDLE_F32);
    ck_assert_int_eq(info.rank, 0);
    float one = 0; /* lies at an odd offset */
    ck_ok(cuddle_safetensors_read(st, 1, &one, 0, 4, &err));
    ck_assert_float_eq(one, 1.0f);
    char part[2];
    ck_ok(cuddle_safetensors_read(st, 0, part, 1, 2, &err));
    ck_assert_mem_eq(part, data + 1, 2);
    ck_ok(cuddle_safetensors_read(st, 0, NULL, 3, 0, &err));
    ck_assert_int_eq(cuddle_safetensors_shards(st), 1);
    ck_assert_ptr_nonnull(strstr(cuddle_safetensors_shard(st, 0), "/model.safetensors"));
    const char *key, *value;
    ck_assert_int_eq(cuddle_safetensors_metadata_count(st), 2);
    ck_ok(cuddle_safetensors_metadata(st, 0, &key, &value, &err));
    ck_assert_str_eq(key, "format");
    ck_assert_str_eq(value, "pt");
    ck_ok(cuddle_safetensors_metadata(st, 1, &key, &value, &err));
    ck_assert_str_eq(value, "\303\244");
    cuddle_safetensors_free(st);
}
END_TEST

static const struct { cuddle_dtype type; const char *name; int elements, bytes; } dtypes[] = {
    { CUDDLE_BOOL, "BOOL", 1, 1 }, { CUDDLE_U8, "U8", 1, 1 }, { CUDDLE_I8, "I8", 1, 1 }, { CUDDLE_F8_E5M2, "F8_E5M2", 1, 1 },
    { CUDDLE_F8_E4M3, "F8_E4M3", 1, 1 }, { CUDDLE_F8_E8M0, "F8_E8M0", 1, 1 }, { CUDDLE_F8_E4M3FNUZ, "F8_E4M3FNUZ", 1, 1 },
    { CUDDLE_F8_E5M2FNUZ, "F8_E5M2FNUZ", 1, 1 }, { CUDDLE_I16, "I16", 1, 2 }, { CUDDLE_U16, "U16", 1, 2 }, { CUDDLE_F16, "F16", 1, 2 },
    { CUDDLE_BF16, "BF16", 1, 2 }, { CUDDLE_I32, "I32", 1, 4 }, { CUDDLE_U32, "U32", 1, 4 }, { CUDDLE_F32, "F32", 1, 4 },
    { CUDDLE_I64, "I64", 1, 8 }, { CUDDLE_U64, "U64", 1, 8 }, { CUDDLE_F64, "F64", 1, 8 }, { CUDDLE_C64, "C64", 1, 8 },
    { CUDDLE_F6_E2M3, "F6_E2M3", 4, 3 }, { CUDDLE_F6_E3M2, "F6_E3M2", 4, 3 }, { CUDDLE_F4, "F4", 2, 1 },
};

START_TEST(knows_the_dtype)
{
    char header[200];
    snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"%s\",\"shape\":[%d],\"data_offsets\":[0,%d]}}", dtypes[_i].name,
             dtypes[_i].elements, dtypes[_i].bytes);
    cuddle_safetensors *st = opened(write_file(header, "\0\0\0\0\0\0\0", (size_t)dtypes[_i].bytes));
    cuddle_tensor_info info;
    ck_ok(cuddle_safetensors_get(st, 0, &info, &err));
    ck_assert_int_eq(info.type, dtypes[_i].type);
    ck_assert_uint_eq(info.bytes, (uint64_t)dtypes[_i].bytes);
    cuddle_safetensors_free(st);
}
END_TEST

/* ---- rows ---- */

START_TEST(reads_rows_of_the_first_dimension)
{
    cuddle_safetensors *st = opened(write_file("{\"a\":{\"dtype\":\"U16\",\"shape\":[3,2,1],\"data_offsets\":[0,12]},"
                                               "\"b\":{\"dtype\":\"F4\",\"shape\":[2,4],\"data_offsets\":[12,16]},"
                                               "\"c\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[16,20]}}",
                                               "0123456789ABCDEFGHIJ", 20));
    for (int64_t first = 0; first <= 3; first++)
        for (int64_t count = 0; count <= 3 - first; count++) {
            char out[13] = "............";
            char expected[13] = "............";
            memcpy(expected, &"0123456789AB"[4 * first], (size_t)count * 4);
            ck_ok(cuddle_safetensors_read_rows(st, 0, out, (size_t)count * 4, first, count, &err));
            ck_assert_str_eq(out, expected);
        }
    char out[4] = "";
    ck_ok(cuddle_safetensors_read_rows(st, 1, out, 2, 1, 1, &err)); /* four of four bits */
    ck_assert_str_eq(out, "EF");
    ck_ok(cuddle_safetensors_read_rows(st, 2, out, 2, 1, 2, &err));
    ck_assert_str_eq(out, "HI");
    ck_ok(cuddle_safetensors_read_rows(st, 2, NULL, 0, 4, 0, &err));
    cuddle_safetensors_free(st);
}
END_TEST

START_TEST(empty_rows_are_read_as_nothing)
{
    cuddle_safetensors *st = opened(write_file("{\"a\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[0,0]},"
                                               "\"b\":{\"dtype\":\"F64\",\"shape\":[9223372036854775807,0],\"data_offsets\":[0,0]},"
                                               "\"c\":{\"dtype\":\"F64\",\"shape\":[0,4611686018427387904,9],\"data_offsets\":[0,0]}}",
                                               NULL, 0));
    ck_ok(cuddle_safetensors_read_rows(st, 0, NULL, 0, 0, 0, &err));
    ck_ok(cuddle_safetensors_read_rows(st, 1, NULL, 0, 1, INT64_MAX - 1, &err));
    ck_ok(cuddle_safetensors_read_rows(st, 2, NULL, 0, 0, 0, &err)); /* the size of a row overflows, but there is none */
    test_expect_failure(cuddle_safetensors_read_rows(st, 1, NULL, 0, 2, INT64_MAX - 1, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_safetensors_read_rows(st, 0, NULL, 0, 0, 1, &err), CUDDLE_E_ARG, &err);
    cuddle_safetensors_free(st);
}
END_TEST

START_TEST(refuses_rows_that_are_not_there)
{
    cuddle_safetensors *st = opened(write_file("{\"a\":{\"dtype\":\"U16\",\"shape\":[3,2],\"data_offsets\":[0,12]},"
                                               "\"b\":{\"dtype\":\"F4\",\"shape\":[2,3],\"data_offsets\":[12,15]},"
                                               "\"c\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[15,18]},"
                                               "\"d\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[18,19]}}",
                                               "0123456789ABCDEFGHI", 19));
    static const struct { int64_t index, first, count; size_t bytes; cuddle_status status; const char *sentence; } cases[] = {
        { 0, -1, 1, 4, CUDDLE_E_ARG, "tensor \"a\": wanted 1 rows from row -1 on, it has 3" },
        { 0, 0, -1, 4, CUDDLE_E_ARG, "tensor \"a\": wanted -1 rows from row 0 on, it has 3" },
        { 0, 3, 1, 4, CUDDLE_E_ARG, "tensor \"a\": wanted 1 rows from row 3 on, it has 3" },
        { 0, 0, 4, 16, CUDDLE_E_ARG, "tensor \"a\": wanted 4 rows from row 0 on, it has 3" },
        { 0, 1, INT64_MAX, 16, CUDDLE_E_ARG, "tensor \"a\": wanted 9223372036854775807 rows from row 1 on, it has 3" },
        { 0, INT64_MIN, 1, 4, CUDDLE_E_ARG, "tensor \"a\": wanted 1 rows from row -9223372036854775808 on, it has 3" },
        { 0, 0, 2, 7, CUDDLE_E_ARG, "tensor \"a\": 2 rows are 8 bytes, but there are 7 for them" },
        { 0, 0, 2, 9, CUDDLE_E_ARG, "tensor \"a\": 2 rows are 8 bytes, but there are 9 for them" },
        { 1, 0, 1, 1, CUDDLE_E_UNSUPPORTED, "tensor \"b\": a row is 12 bits of F4, and rows that are not whole bytes are not supported" },
        { 1, 0, 2, 3, CUDDLE_E_UNSUPPORTED, "tensor \"b\": a row is 12 bits of F4, and rows that are not whole bytes are not supported" },
        { 2, 0, 4, 3, CUDDLE_E_UNSUPPORTED, "tensor \"c\": a row is 6 bits of F6_E2M3, and rows that are not whole bytes are not supported" },
        { 3, 0, 1, 1, CUDDLE_E_ARG, "tensor \"d\": a scalar has no rows" },
        { 4, 0, 1, 1, CUDDLE_E_ARG, "tensor 4 of 4" },
    };
    char out[32];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_expect_failure(cuddle_safetensors_read_rows(st, cases[i].index, out, cases[i].bytes, cases[i].first, cases[i].count, &err),
                            cases[i].status, &err);
        ck_assert_str_eq(err.text, cases[i].sentence);
    }
    test_expect_failure(cuddle_safetensors_read_rows(NULL, 0, out, 4, 0, 1, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_safetensors_read_rows(st, 0, NULL, 4, 0, 1, &err), CUDDLE_E_ARG, &err);
    cuddle_safetensors_free(st);
}
END_TEST

START_TEST(refuses_wrong_arguments)
{
    cuddle_safetensors *st = (cuddle_safetensors *)1;
    cuddle_tensor_info info;
    const char *text;
    char out[8];
    test_expect_failure(cuddle_safetensors_open(NULL, "x", &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_safetensors_open(&st, NULL, &err), CUDDLE_E_ARG, &err);
    ck_assert_ptr_null(st);
    ck_assert_int_eq(cuddle_safetensors_open(&st, "/nowhere", NULL), CUDDLE_E_IO);
    cuddle_safetensors_free(NULL);
    ck_assert_int_eq(cuddle_safetensors_count(NULL), 0);
    ck_assert_int_eq(cuddle_safetensors_find(NULL, "a"), -1);
    ck_assert_int_eq(cuddle_safetensors_shards(NULL), 0);
    ck_assert_ptr_null(cuddle_safetensors_shard(NULL, 0));
    ck_assert_int_eq(cuddle_safetensors_metadata_count(NULL), 0);
    st = opened(write_file("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", "xy", 2));
    test_expect_failure(cuddle_safetensors_get(NULL, 0, &info, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_safetensors_get(st, 0, NULL, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_safetensors_get(st, 1, &info, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_safetensors_get(st, -1, &info, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_safetensors_read(NULL, 0, out, 0, 1, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_safetensors_read(st, 0, NULL, 0, 1, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_safetensors_read(st, 7, out, 0, 1, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_safetensors_read(st, 0, out, 0, 3, &err), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "tensor \"a\": wanted 3 bytes from byte 0 on, it has 2");
    test_expect_failure(cuddle_safetensors_read(st, 0, out, 2, 1, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_safetensors_read(st, 0, out, UINT64_MAX, 1, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_safetensors_metadata(st, 0, &text, &text, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_safetensors_metadata(st, -1, &text, &text, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_safetensors_metadata(NULL, 0, &text, &text, &err), CUDDLE_E_ARG, &err);
    ck_assert_int_eq(cuddle_safetensors_find(st, NULL), -1);
    ck_assert_ptr_null(cuddle_safetensors_shard(st, 1));
    ck_assert_ptr_null(cuddle_safetensors_shard(st, -1));
    ck_ok(cuddle_safetensors_read(st, 0, out, 0, 2, &err)); /* and err is cleared */
    ck_assert_int_eq(err.status, CUDDLE_OK);
    cuddle_safetensors_free(st);
}
END_TEST

/* ---- faults ---- */

#define TWO "{\"__metadata__\":{\"k\":\"v\"},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4],\"x\":{}}," \
            "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}"

START_TEST(survives_every_failing_allocation)
{
    const char *path = write_file(TWO, "wxyz", 4);
    for (long n = 1;; n++) {
        cuddle_safetensors *st;
        test_fail_allocation(n, false);
        const cuddle_status status = cuddle_safetensors_open(&st, path, &err);
        test_fail_allocation(0, false);
        if (!status) {
            ck_assert_int_gt(n, 8);
            cuddle_safetensors_free(st);
            break;
        }
        ck_assert_ptr_null(st);
        test_expect_failure(status, CUDDLE_E_NOMEM, &err);
    }
}
END_TEST

START_TEST(opening_reads_twice_and_survives_every_fault)
{
    const char *path = write_file(TWO, "wxyz", 4);
    test_fail_read(0, TEST_READ_OK);
    cuddle_safetensors_free(opened(path));
    ck_assert_int_eq(test_fail_read(0, TEST_READ_OK), 2); /* the length and the header: no data */
    for (int n = 1; n <= 2; n++) {
        for (int fault = TEST_READ_SHORT; fault <= TEST_READ_EINTR; fault++) {
            test_fail_read(n, (test_read_fault)fault);
            cuddle_safetensors_free(opened(path));
        }
        for (int fault = TEST_READ_EIO; fault <= TEST_READ_EOF; fault++) {
            cuddle_safetensors *st;
            test_fail_read(n, (test_read_fault)fault);
            test_expect_failure(cuddle_safetensors_open(&st, path, &err), CUDDLE_E_IO, &err);
            ck_assert_ptr_null(st);
        }
    }
    test_fail_read(0, TEST_READ_OK);
}
END_TEST

START_TEST(a_failed_read_names_file_and_tensor)
{
    char out[2], expected[700];
    const char *path = write_file(TWO, "wxyz", 4);
    cuddle_safetensors *st = opened(path);
    const long long offset = 8 + (long long)sizeof TWO - 1 + 2;
    test_fail_read(1, TEST_READ_EIO);
    test_expect_failure(cuddle_safetensors_read(st, cuddle_safetensors_find(st, "b"), out, 0, 2, &err), CUDDLE_E_IO, &err);
    test_fail_read(0, TEST_READ_OK);
    snprintf(expected, sizeof expected, "tensor \"b\": %s: wanted 2 bytes at offset %lld, got 0: Input/output error", path, offset);
    ck_assert_str_eq(err.text, expected);
    ck_assert_int_eq(truncate(path, offset + 1), 0); /* someone truncates it while it is open */
    test_expect_failure(cuddle_safetensors_read(st, cuddle_safetensors_find(st, "b"), out, 0, 2, &err), CUDDLE_E_IO, &err);
    snprintf(expected, sizeof expected, "tensor \"b\": %s: wanted 2 bytes at offset %lld, got 1: the file became shorter", path,
             offset);
    ck_assert_str_eq(err.text, expected);
    cuddle_safetensors_free(st);
}
END_TEST

START_TEST(a_file_that_shrinks_before_it_is_read_is_an_error)
{
    const char *path = write_file(TWO, "wxyz", 4);
    source *s;
    checkpoint *c;
    cud_error_clear(&err);
    ck_ok(cud_source_open_file(&s, path, &err));
    ck_assert_int_eq(truncate(path, 20), 0);
    test_expect_failure(cud_checkpoint_open_source(&c, s, &err), CUDDLE_E_IO, &err);
    ck_assert_ptr_null(c);
}
END_TEST

START_TEST(refuses_what_is_not_a_file)
{
    char path[512];
    cuddle_safetensors *st;
    snprintf(path, sizeof path, "%s/pipe.safetensors", test_temp_dir());
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    test_expect_failure(cuddle_safetensors_open(&st, path, &err), CUDDLE_E_IO, &err);
    test_expect_failure(cuddle_safetensors_open(&st, "/dev/zero", &err), CUDDLE_E_IO, &err);
    test_expect_failure(cuddle_safetensors_open(&st, "", &err), CUDDLE_E_IO, &err);
    test_expect_failure(cuddle_safetensors_open(&st, test_path("bad/safetensors/r01-empty-file/input.safetensors"), &err),
                        CUDDLE_E_FORMAT, &err);
}
END_TEST

START_TEST(opens_a_symbolic_link) /* as the Hub's cache has them */
{
    char link[512];
    snprintf(link, sizeof link, "%s/link.safetensors", test_temp_dir());
    ck_assert_int_eq(symlink(write_file(TWO, "wxyz", 4), link), 0);
    cuddle_safetensors_free(opened(link));
}
END_TEST

/* ---- size ---- */

START_TEST(tensors_beyond_4_gib)
{
    const uint64_t big = (uint64_t)5 << 30;
    char header[300];
    snprintf(header, sizeof header,
             "{\"big\":{\"dtype\":\"U8\",\"shape\":[5,1073741824],\"data_offsets\":[0,%llu]},"
             "\"tail\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%llu,%llu]}}",
             (unsigned long long)big, (unsigned long long)big, (unsigned long long)big + 4);
    const char *path = write_file(header, NULL, 0);
    const off_t end = (off_t)(8 + strlen(header) + big);
    const float pi = 3.14159f;
    const int fd = open(path, O_WRONLY);
    ck_assert_int_eq(pwrite(fd, &pi, 4, end), 4);
    close(fd);
    test_fail_read(0, TEST_READ_OK);
    cuddle_safetensors *st = opened(path);
    ck_assert_int_eq(test_fail_read(0, TEST_READ_OK), 2);
    cuddle_tensor_info info;
    float value = 0;
    char zero[2] = { 1, 1 };
    ck_ok(cuddle_safetensors_get(st, 0, &info, &err));
    ck_assert_uint_eq(info.bytes, big);
    ck_ok(cuddle_safetensors_read(st, 0, zero, big - 2, 2, &err));
    ck_assert_mem_eq(zero, "\0\0", 2);
    ck_ok(cuddle_safetensors_read(st, 1, &value, 0, 4, &err));
    ck_assert_float_eq(value, pi);
    cuddle_safetensors_free(st);
    ck_assert_int_eq(truncate(path, end + 3), 0);
    test_expect_failure(cuddle_safetensors_open(&st, path, &err), CUDDLE_E_FORMAT, &err);
    unlink(path);
}
END_TEST

START_TEST(a_header_of_100_000_000_bytes_is_the_largest)
{
    enum { LARGEST = 100000000 };
    size_t size;
    char *header = malloc(LARGEST + 1);
    memset(header, ' ', LARGEST);
    memcpy(header, "{}", 2);
    header[LARGEST] = 0;
    char *file = make_file(header, NULL, 0, &size);
    source *s;
    checkpoint *c;
    cud_error_clear(&err);
    ck_ok(cud_source_open_memory(&s, file, size, "memory", &err));
    ck_ok(cud_checkpoint_open_source(&c, s, &err));
    cud_checkpoint_free(c);
    free(file);
    free(header);

    const char *path = write_file("{}", NULL, 0); /* one more: refused by its length, whatever it is */
    cuddle_safetensors *st;
    const int fd = open(path, O_WRONLY);
    ck_assert_int_eq(pwrite(fd, "\x01\xe1\xf5\x05\0\0\0\0", 8, 0), 8);
    ck_assert_int_eq(ftruncate(fd, (off_t)LARGEST * 2), 0);
    close(fd);
    test_expect_failure(cuddle_safetensors_open(&st, path, &err), CUDDLE_E_FORMAT, &err);
    ck_assert_str_eq(err.text, "model.safetensors: the header's length is 100000001, at most 100000000 are allowed");
    unlink(path);
}
END_TEST

START_TEST(finds_each_of_45_000_tensors)
{
    enum { COUNT = 45000 };
    char *header = malloc(COUNT * 160), *at = header;
    *at++ = '{';
    for (int i = 0; i < COUNT; i++) /* backwards, so that they have to be sorted */
        at += sprintf(
            at, "%s\"model.layers.%d.mlp.experts.%d.up_proj.weight\":{\"dtype\":\"U8\",\"shape\":[2,1],\"data_offsets\":[%d,%d]}",
            i ? "," : "", i / 256, i % 256, 2 * (COUNT - 1 - i), 2 * (COUNT - i));
    memcpy(at, "}", 2);
    size_t size;
    char *data = calloc(COUNT, 2), *file = make_file(header, data, COUNT * 2, &size), name[100];
    source *s;
    checkpoint *c;
    cud_error_clear(&err);
    ck_ok(cud_source_open_memory(&s, file, size, "memory", &err));
    ck_ok(cud_checkpoint_open_source(&c, s, &err));
    ck_assert_int_eq(cud_checkpoint_count(c), COUNT);
    ck_assert_ptr_eq(cud_checkpoint_source(c, 0), s);
    ck_assert_ptr_null(cud_checkpoint_source(c, 1));
    ck_assert_ptr_null(cud_checkpoint_source(c, -1));
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "model.layers.%d.mlp.experts.%d.up_proj.weight", i / 256, i % 256);
        ck_assert_int_eq(cud_checkpoint_find(c, name), COUNT - 1 - i);
        ck_assert_str_eq(cud_checkpoint_get(c, COUNT - 1 - i)->name, name);
    }
    ck_assert_int_eq(cud_checkpoint_find(c, "model.layers.0.mlp.experts.256.up_proj.weight"), -1);
    cud_checkpoint_free(c);
    free(header);
    free(data);
    free(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *tc = tcase_create("safetensors");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, every_rule_has_its_verdict_and_sentence);
    tcase_add_test(tc, gives_what_the_file_says);
    tcase_add_loop_test(tc, knows_the_dtype, 0, CUDDLE_DTYPE_COUNT);
    tcase_add_test(tc, reads_rows_of_the_first_dimension);
    tcase_add_test(tc, empty_rows_are_read_as_nothing);
    tcase_add_test(tc, refuses_rows_that_are_not_there);
    tcase_add_test(tc, refuses_wrong_arguments);
    tcase_add_test(tc, survives_every_failing_allocation);
    tcase_add_test(tc, opening_reads_twice_and_survives_every_fault);
    tcase_add_test(tc, a_failed_read_names_file_and_tensor);
    tcase_add_test(tc, a_file_that_shrinks_before_it_is_read_is_an_error);
    tcase_add_test(tc, refuses_what_is_not_a_file);
    tcase_add_test(tc, opens_a_symbolic_link);
    tcase_add_test(tc, tensors_beyond_4_gib);
    tcase_add_test(tc, a_header_of_100_000_000_bytes_is_the_largest);
    tcase_add_test(tc, finds_each_of_45_000_tensors);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
