/* tests/bad/config and tests/bad/generation_config: every case is refused with its exact sentence, or accepted if it says nothing. */
#include "engine/generation.h"
#include "models/config.h"
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef cuddle_status (*load_fn)(const char *dir, cuddle_error *err);

static cuddle_status load_config(const char *dir, cuddle_error *err)
{
    spec s;
    const cuddle_status status = cud_config_load(&s, dir, NULL, err);
    cud_spec_free(&s);
    return status;
}

static cuddle_status load_generation(const char *dir, cuddle_error *err)
{
    generation_config g;
    spec s = { .eos = { 2 }, .eos_count = 1, .stacks = 1 };
    s.stack[0].vocabulary = 300;
    const cuddle_status status = cud_generation_config_load(&g, dir, &s, NULL, err);
    cud_generation_config_free(&g);
    return status;
}

static int check_case(const char *folder, const char *name, load_fn load)
{
    char dir[1024], path[1100], got[600];
    snprintf(dir, sizeof dir, "%s/%s", test_path(folder), name);
    snprintf(path, sizeof path, "%s/error", dir);
    char *want = test_read_file(path, NULL);
    want[strcspn(want, "\n")] = 0;
    cuddle_error err = { CUDDLE_OK, "" };
    const cuddle_status status = load(dir, &err);
    if (status) snprintf(got, sizeof got, "%s: %s", cuddle_status_name(status), err.text);
    else got[0] = 0;
    const int wrong = strcmp(got, want) != 0;
    if (wrong) printf("%s/%s\n  got      %s\n  expected %s\n", folder, name, got, want);
    free(want);
    return wrong;
}

static void check_folder(const char *folder, load_fn load, int at_least)
{
    DIR *dir = opendir(test_path(folder));
    ck_assert_ptr_nonnull(dir);
    int cases = 0, wrong = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        cases++;
        wrong += check_case(folder, entry->d_name, load);
    }
    closedir(dir);
    ck_assert_int_ge(cases, at_least);
    ck_assert_int_eq(wrong, 0);
}

START_TEST(every_bad_config_has_its_sentence) { check_folder("bad/config", load_config, 400); }
END_TEST

START_TEST(every_bad_generation_config_has_its_sentence) { check_folder("bad/generation_config", load_generation, 100); }
END_TEST

START_TEST(a_file_over_the_limit_is_refused)
{
    const char *dir = test_temp_dir();
    char path[600];
    snprintf(path, sizeof path, "%s/config.json", dir);
    const size_t size = CUD_JSON_MAX + 1;
    char *spaces = malloc(size);
    ck_assert_ptr_nonnull(spaces);
    memset(spaces, ' ', size);
    test_write_file(path, spaces, size);
    free(spaces);
    cuddle_error err = { CUDDLE_OK, "" };
    test_expect_failure(load_config(dir, &err), CUDDLE_E_LIMIT, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "config.json"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bad_config");
    TCase *tc = tcase_create("bad_config");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, every_bad_config_has_its_sentence);
    tcase_add_test(tc, every_bad_generation_config_has_its_sentence);
    tcase_add_test(tc, a_file_over_the_limit_is_refused);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
