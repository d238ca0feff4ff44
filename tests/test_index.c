#include "cuddle.h"
#include "format/shard_index.h"
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static cuddle_error err;

/* ---- tests/bad/index: one directory per rule; opened by relative path, so that sentences do not depend on where tests/ is ---- */

static int skip_dots(const struct dirent *entry) { return entry->d_name[0] != '.'; }

START_TEST(every_directory_has_its_verdict_and_sentence)
{
    struct dirent **entry;
    char *const back = getcwd(NULL, 0);
    const int count = scandir(test_path("bad/index"), &entry, skip_dots, alphasort);
    ck_assert_int_gt(count, 30);
    int accepted = 0, wrong = 0;
    for (int i = 0; i < count; i++) {
        char name[700], got[400] = "";
        cuddle_safetensors *st;
        snprintf(name, sizeof name, "bad/index/%s", entry[i]->d_name);
        ck_assert_int_eq(chdir(test_path(name)), 0);
        char *expected = test_read_file("error", NULL);
        const cuddle_status status = cuddle_safetensors_open(&st, "input", &err);
        if (status) snprintf(got, sizeof got, "%s: %s\n", cuddle_status_name(status), err.text);
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
    ck_assert_int_eq(chdir(back), 0);
    free(back);
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_eq(accepted, 6);
}
END_TEST

static cuddle_safetensors *opened(const char *path)
{
    cuddle_safetensors *st;
    ck_ok(cuddle_safetensors_open(&st, path, &err));
    return st;
}

START_TEST(shards_come_in_name_order)
{
    static const char *const paths[] = { "bad/index/ok-two-shards/input", "bad/index/ok-two-shards/input/",
                                         "bad/index/ok-two-shards/input/model.safetensors.index.json" };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        cuddle_safetensors *st = opened(test_path(paths[i]));
        cuddle_tensor_info info;
        char value = 0;
        ck_assert_int_eq(cuddle_safetensors_shards(st), 2);
        ck_assert_ptr_nonnull(strstr(cuddle_safetensors_shard(st, 0), "/s1.safetensors"));
        ck_assert_ptr_nonnull(strstr(cuddle_safetensors_shard(st, 1), "/s2.safetensors"));
        ck_assert_int_eq(cuddle_safetensors_count(st), 2);
        ck_assert_int_eq(cuddle_safetensors_find(st, "a"), 0);
        ck_assert_int_eq(cuddle_safetensors_find(st, "b"), 1);
        ck_ok(cuddle_safetensors_get(st, 1, &info, &err));
        ck_assert_int_eq(info.shard, 1);
        ck_ok(cuddle_safetensors_read(st, 1, &value, 0, 1, &err));
        ck_assert_int_eq(value, 2);
        cuddle_safetensors_free(st);
    }
}
END_TEST

START_TEST(a_tensor_comes_from_the_shard_it_is_mapped_to)
{
    cuddle_safetensors *st = opened(test_path("bad/index/ok-stored-but-not-mapped/input")); /* both shards store a and b */
    char value = 0;
    ck_assert_int_eq(cuddle_safetensors_count(st), 2);
    ck_ok(cuddle_safetensors_read(st, cuddle_safetensors_find(st, "a"), &value, 0, 1, &err));
    ck_assert_int_eq(value, 1);
    ck_ok(cuddle_safetensors_read(st, cuddle_safetensors_find(st, "b"), &value, 0, 1, &err));
    ck_assert_int_eq(value, 4);
    cuddle_safetensors_free(st);
}
END_TEST

static const char *directory(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", test_temp_dir(), name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    return path;
}

static void put(const char *dir, const char *name, const void *data, size_t size)
{
    char path[800];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    test_write_file(path, data, size);
}

START_TEST(metadata_of_all_shards)
{
    const char *dir = directory("metadata");
    const char *map = "{\"weight_map\":{\"x\":\"b\",\"y\":\"a\"}}";
    put(dir, "model.safetensors.index.json", map, strlen(map));
    put(dir, "a",
        "\x57\0\0\0\0\0\0\0{\"__metadata__\":{\"k\":\"1\",\"l\":\"2\"},\"y\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]"
        "}}     ",
        8 + 0x57);
    put(dir, "b",
        "\x50\0\0\0\0\0\0\0{\"__metadata__\":{\"k\":\"3\"},\"x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}      ",
        8 + 0x50);
    cuddle_safetensors *st = opened(dir);
    static const char *const expected[3][2] = { { "k", "1" }, { "l", "2" }, { "k", "3" } };
    ck_assert_int_eq(cuddle_safetensors_metadata_count(st), 3);
    for (int i = 0; i < 3; i++) {
        const char *key, *value;
        ck_ok(cuddle_safetensors_metadata(st, i, &key, &value, &err));
        ck_assert_str_eq(key, expected[i][0]);
        ck_assert_str_eq(value, expected[i][1]);
    }
    cuddle_safetensors_free(st);
}
END_TEST

START_TEST(files_of_other_formats_are_refused_by_name)
{
    char path[800];
    cuddle_safetensors *st;
    const char *dir = directory("others");
    put(dir, "pytorch_model.bin", "PK", 2);
    put(dir, "model.gguf", "GGUF", 4);
    snprintf(path, sizeof path, "%s/pytorch_model.bin", dir);
    test_expect_failure(cuddle_safetensors_open(&st, path, &err), CUDDLE_E_UNSUPPORTED, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "safe_serialization=True"));
    snprintf(path, sizeof path, "%s/model.gguf", dir);
    test_expect_failure(cuddle_safetensors_open(&st, path, &err), CUDDLE_E_UNSUPPORTED, &err);
    snprintf(path, sizeof path, "%s/absent.index.json", dir);
    test_expect_failure(cuddle_safetensors_open(&st, path, &err), CUDDLE_E_IO, &err);
}
END_TEST

START_TEST(the_remedy_fits_however_long_the_path_is)
{
    char path[600];
    snprintf(path, sizeof path, "%s/a_folder_whose_name_is_rather_long_and_then_some", test_temp_dir());
    ck_assert_int_eq(mkdir(path, 0700), 0);
    for (int i = 0; i < 3; i++) {
        strcat(path, "/another_folder_inside_whose_name_is_rather_long");
        ck_assert_int_eq(mkdir(path, 0700), 0);
    }
    put(path, "pytorch_model-00001-of-00002.bin", "PK", 2);
    cuddle_safetensors *st;
    test_expect_failure(cuddle_safetensors_open(&st, path, &err), CUDDLE_E_UNSUPPORTED, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "model.save_pretrained(dir, safe_serialization=True)"));
}
END_TEST

START_TEST(survives_every_failing_allocation_and_read)
{
    for (long n = 1;; n++) {
        cuddle_safetensors *st;
        test_fail_allocation(n, false);
        const cuddle_status status = cuddle_safetensors_open(&st, test_path("bad/index/ok-stored-but-not-mapped/input"), &err);
        test_fail_allocation(0, false);
        if (!status) {
            ck_assert_int_gt(n, 20);
            cuddle_safetensors_free(st);
            break;
        }
        ck_assert_ptr_null(st);
        test_expect_failure(status, CUDDLE_E_NOMEM, &err);
    }
    for (long n = 1; n <= 5; n++) { /* the index, and two for each shard */
        cuddle_safetensors *st;
        test_fail_read(n, TEST_READ_EIO);
        test_expect_failure(cuddle_safetensors_open(&st, test_path("bad/index/ok-stored-but-not-mapped/input"), &err), CUDDLE_E_IO,
                            &err);
        test_fail_read(n, TEST_READ_SHORT);
        cuddle_safetensors_free(opened(test_path("bad/index/ok-stored-but-not-mapped/input")));
    }
    test_fail_read(0, TEST_READ_OK);
    for (const char *const *path = (const char *const[]){ "bad/index/only-pickle/input", "bad/index/shard-name-nul/input", NULL };
         *path; path++)
        for (long n = 1;; n++) {
            cuddle_safetensors *st;
            test_fail_allocation(n, true);
            const cuddle_status status = cuddle_safetensors_open(&st, test_path(*path), &err);
            test_fail_allocation(0, false);
            ck_assert_ptr_null(st);
            if (status != CUDDLE_E_NOMEM) break;
        }
}
END_TEST

START_TEST(bounds_size_and_number_of_shards)
{
    shard_index x;
    source *s;
    char *text = malloc(1 << 20), *at = text;
    at += sprintf(at, "{\"weight_map\":{");
    for (int i = 0; i <= CUD_SHARD_MAX; i++) at += sprintf(at, "%s\"%d\":\"f%d\"", i ? "," : "", i, i);
    sprintf(at, "}}");
    cud_error_clear(&err);
    ck_ok(cud_source_open_memory(&s, text, strlen(text), "dir/index.json", &err));
    test_expect_failure(cud_shard_index_read(&x, s, &err), CUDDLE_E_LIMIT, &err);
    ck_assert_str_eq(err.text, "index.json: more than 4096 shards");
    s->size = CUD_SHARD_INDEX_MAX + 1; /* refused before it is read */
    cud_error_clear(&err);
    test_expect_failure(cud_shard_index_read(&x, s, &err), CUDDLE_E_LIMIT, &err);
    cud_source_close(s);
    free(text);
}
END_TEST

START_TEST(reads_an_index_of_100_000_entries)
{
    enum { COUNT = 100000 };
    shard_index x;
    source *s;
    char *text = malloc(COUNT * 100), *at = text;
    at += sprintf(at, "{\"weight_map\":{");
    for (int i = 0; i < COUNT; i++)
        at += sprintf(at, "%s\"model.layers.%d.weight\":\"model-%05d-of-00163.safetensors\"", i ? "," : "", i, i % 163);
    sprintf(at, "}}");
    cud_error_clear(&err);
    ck_ok(cud_source_open_memory(&s, text, strlen(text), "index.json", &err));
    ck_ok(cud_shard_index_read(&x, s, &err));
    ck_assert_uint_eq(x.count, COUNT);
    ck_assert_int_eq(x.shards, 163);
    for (int i = 1; i < x.shards; i++) ck_assert_int_lt(strcmp(x.shard[i - 1], x.shard[i]), 0);
    for (int i = 0; i < COUNT; i++) {
        char name[64];
        const int length = snprintf(name, sizeof name, "model.layers.%d.weight", i);
        const name_item *item = cud_names_find(&x.names, name, (size_t)length, 0);
        ck_assert_ptr_nonnull(item);
        ck_assert_int_eq(x.entry[item->value].shard, i % 163);
    }
    cud_shard_index_free(&x);
    cud_source_close(s);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("index");
    TCase *tc = tcase_create("index");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, every_directory_has_its_verdict_and_sentence);
    tcase_add_test(tc, shards_come_in_name_order);
    tcase_add_test(tc, a_tensor_comes_from_the_shard_it_is_mapped_to);
    tcase_add_test(tc, metadata_of_all_shards);
    tcase_add_test(tc, files_of_other_formats_are_refused_by_name);
    tcase_add_test(tc, the_remedy_fits_however_long_the_path_is);
    tcase_add_test(tc, survives_every_failing_allocation_and_read);
    tcase_add_test(tc, bounds_size_and_number_of_shards);
    tcase_add_test(tc, reads_an_index_of_100_000_entries);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
