#include "cuddle.h"
#include "format/checkpoint.h"
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
    ck_assert_int_eq(accepted, 6); /* those called ok- */
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

/* As transformers has it: what shards hold is there, also where weight_map forgets it. */
START_TEST(a_tensor_that_is_not_mapped_is_there_and_known)
{
    checkpoint *c;
    cud_error_clear(&err);
    ck_ok(cud_checkpoint_open(&c, test_path("bad/index/ok-stored-but-not-mapped/input"), &err)); /* a and b in s1, c in s2; b is not mapped */
    ck_assert_int_eq(cud_checkpoint_count(c), 3);
    for (int i = 0; i < 3; i++) {
        const int64_t index = cud_checkpoint_find(c, (const char *[]){ "a", "b", "c" }[i]);
        char value = 0;
        ck_assert_int_eq(index, i);
        ck_ok(cud_checkpoint_read(c, index, &value, 0, 1, &err));
        ck_assert_int_eq(value, i + 1);
        ck_assert_int_eq(cud_checkpoint_get(c, index)->shard, i / 2);
        ck_assert_int_eq(cud_checkpoint_unmapped(c, index), i == 1);
    }
    ck_assert(!cud_checkpoint_unmapped(c, -1) && !cud_checkpoint_unmapped(c, 3));
    cud_checkpoint_free(c);
    ck_ok(cud_checkpoint_open(&c, test_path("bad/index/ok-single-file-wins/input"), &err));
    ck_assert(!cud_checkpoint_unmapped(c, 0)); /* without an index nothing is */
    cud_checkpoint_free(c);
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

static void refuses(const char *path, cuddle_status status, const char *sentence)
{
    cuddle_safetensors *st;
    char expected[800];
    test_expect_failure(cuddle_safetensors_open(&st, path, &err), status, &err);
    ck_assert_ptr_null(st);
    snprintf(expected, sizeof expected, "%s: %s", path, sentence);
    ck_assert_str_eq(err.text, expected);
}

START_TEST(files_of_other_formats_are_refused_by_name)
{
    static const struct { const char *name, *sentence; } files[] = {
        { "pytorch_model.bin", "only pytorch_model.bin, which is executable pickle data and not read; convert it with transformers: "
                               "AutoModelForCausalLM.from_pretrained(dir).save_pretrained(dir)" },
        { "x.pt", "only x.pt, which is executable pickle data and not read; use a repository of the model that has safetensors" },
        { "x.pth", "only x.pth, which is executable pickle data and not read; use a repository of the model that has safetensors" },
        { "x.ckpt", "only x.ckpt, which is executable pickle data and not read; use a repository of the model that has safetensors" },
        { "x.gguf", "only x.gguf, and GGUF is not supported; use the model's original repository, which has safetensors" },
        { "x.onnx", "only x.onnx, and ONNX is not supported; use the model's original repository, which has safetensors" },
        { "x.h5", "only x.h5, weights for TensorFlow; convert them with transformers 4: AutoModelForCausalLM.from_pretrained(dir, "
                  "from_tf=True).save_pretrained(dir)" },
        { "x.msgpack", "only x.msgpack, weights for Flax; convert them with transformers 4: AutoModelForCausalLM.from_pretrained(dir, "
                       "from_flax=True).save_pretrained(dir)" },
    };
    char *const back = getcwd(NULL, 0); /* relative paths, so that they are short */
    ck_assert_int_eq(chdir(directory("others")), 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        test_write_file(files[i].name, "x", 1);
        refuses(files[i].name, CUDDLE_E_UNSUPPORTED, files[i].sentence);
        ck_assert_int_eq(unlink(files[i].name), 0);
        refuses(files[i].name, CUDDLE_E_IO, "No such file or directory");
    }
    refuses("absent.index.json", CUDDLE_E_IO, "No such file or directory");
    ck_assert_int_eq(chdir(back), 0);
    free(back);
}
END_TEST

START_TEST(the_remedy_fits_however_long_the_path_is)
{
    static const struct { const char *file, *end; } cases[] = {
        { "pytorch_model-00001-of-00002-and-a-name-that-does-not-end.bin", "from_pretrained(dir).save_pretrained(dir)" },
        { "a-rather-long-name-of-a-file-for-TensorFlow-models.h5", "from_pretrained(dir, from_tf=True).save_pretrained(dir)" },
        { "a-rather-long-name-of-a-file-for-models-in-Flax.msgpack", "from_pretrained(dir, from_flax=True).save_pretrained(dir)" },
    };
    char path[600];
    snprintf(path, sizeof path, "%s/a_folder_whose_name_is_rather_long_and_then_some", test_temp_dir());
    ck_assert_int_eq(mkdir(path, 0700), 0);
    for (int i = 0; i < 3; i++) {
        strcat(path, "/another_folder_inside_whose_name_is_rather_long_as_well_");
        ck_assert_int_eq(mkdir(path, 0700), 0);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char file[800];
        cuddle_safetensors *st;
        put(path, cases[i].file, "x", 1);
        test_expect_failure(cuddle_safetensors_open(&st, path, &err), CUDDLE_E_UNSUPPORTED, &err);
        const size_t length = strlen(err.text), end = strlen(cases[i].end);
        ck_assert_msg(length > end && strcmp(err.text + length - end, cases[i].end) == 0, "%s", err.text);
        snprintf(file, sizeof file, "%s/%s", path, cases[i].file);
        ck_assert_int_eq(unlink(file), 0);
    }
}
END_TEST

/* What stands where a file belongs is named, not overlooked. */
START_TEST(names_that_are_not_files_are_said_to_be_there)
{
    static const struct { const char *name; int kind; const char *sentence; } cases[] = {
        { "model.safetensors", 'f', "is a FIFO, expected a regular file" },
        { "model.safetensors", 'd', "is a directory, expected a regular file" },
        { "model.safetensors", 'n', "No such file or directory" },
        { "model.safetensors", 'l', "Too many levels of symbolic links" },
        { "model.safetensors.index.json", 'f', "is a FIFO, expected a regular file" },
        { "model.safetensors.index.json", 'l', "Too many levels of symbolic links" },
        { "s1.safetensors", 'f', "is a FIFO, expected a regular file" },
        { "s1.safetensors", 'd', "is a directory, expected a regular file" },
        { "s1.safetensors", 'n', "No such file or directory" },
        { "s1.safetensors", 'l', "Too many levels of symbolic links" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dir[512], path[800], name[32], expected[900];
        cuddle_safetensors *st;
        snprintf(name, sizeof name, "special%zu", i);
        strcpy(dir, directory(name));
        snprintf(path, sizeof path, "%s/%s", dir, cases[i].name);
        if (cases[i].name[0] == 's') put(dir, "model.safetensors.index.json", "{\"weight_map\":{\"a\":\"s1.safetensors\"}}", 37);
        if (cases[i].kind == 'f') ck_assert_int_eq(mkfifo(path, 0600), 0);
        if (cases[i].kind == 'd') ck_assert_int_eq(mkdir(path, 0700), 0);
        if (cases[i].kind == 'n') ck_assert_int_eq(symlink("nowhere", path), 0);
        if (cases[i].kind == 'l') ck_assert_int_eq(symlink(cases[i].name, path), 0);
        test_expect_failure(cuddle_safetensors_open(&st, dir, &err), CUDDLE_E_IO, &err);
        snprintf(expected, sizeof expected, "%s: %s", path, cases[i].sentence);
        ck_assert_str_eq(err.text, expected);
    }
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
    tcase_add_test(tc, a_tensor_that_is_not_mapped_is_there_and_known);
    tcase_add_test(tc, metadata_of_all_shards);
    tcase_add_test(tc, files_of_other_formats_are_refused_by_name);
    tcase_add_test(tc, the_remedy_fits_however_long_the_path_is);
    tcase_add_test(tc, names_that_are_not_files_are_said_to_be_there);
    tcase_add_test(tc, survives_every_failing_allocation_and_read);
    tcase_add_test(tc, bounds_size_and_number_of_shards);
    tcase_add_test(tc, reads_an_index_of_100_000_entries);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
