/* tests/bad/tokenizer/<case>: a tokenizer.json (and tokenizer_config.json) that is malformed or asks for what we do not do, and the
 * status and sentence it is refused with. A sentence that ends in '*' is a beginning: the rest is a library's own words. */
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;
static struct dirent **folder;
static int folders;

START_TEST(is_refused_with_its_sentence)
{
    char relative[320], found[400];
    size_t size = 0;
    snprintf(relative, sizeof relative, "bad/tokenizer/%s/error", folder[_i]->d_name);
    char *want = test_read_file(test_path(relative), &size);
    if (size && want[size - 1] == '\n') want[--size] = 0;
    snprintf(relative, sizeof relative, "bad/tokenizer/%s", folder[_i]->d_name);
    cuddle_tokenizer *t = (cuddle_tokenizer *)1;
    const cuddle_status status = cuddle_tokenizer_load(&t, test_path(relative), &err);
    ck_assert_msg(status != CUDDLE_OK, "%s was loaded", relative);
    ck_assert_ptr_null(t);
    snprintf(found, sizeof found, "%s: %s", cuddle_status_name(status), err.text);
    const size_t compared = size && want[size - 1] == '*' ? size - 1 : sizeof found;
    ck_assert_msg(strncmp(found, want, compared) == 0, "%s:\n  found    %s\n  expected %s", folder[_i]->d_name, found, want);
    free(want);
}
END_TEST

static int skip_dots(const struct dirent *entry) { return entry->d_name[0] != '.'; }

int main(void)
{
    folders = scandir(test_path("bad/tokenizer"), &folder, skip_dots, alphasort);
    if (folders <= 0) return EXIT_FAILURE;
    Suite *suite = suite_create("bad tokenizers");
    TCase *tc = tcase_create("cases");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, is_refused_with_its_sentence, 0, folders);
    suite_add_tcase(suite, tc);
    const int result = test_run(suite);
    for (int i = 0; i < folders; i++) free(folder[i]);
    free(folder);
    return result;
}
