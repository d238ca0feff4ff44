/* sentence-transformers layouts: read as that package reads them, and embeddings as its modules make them; tests/bad/sentence is refused. */
#include "task_support.h"
#include "tasks/embedding.h"

#include <dirent.h>

static cuddle_error err;
static task_file cases;
static json_t *settings;

static void clear(void) { err = (cuddle_error){ CUDDLE_OK, "" }; }

static void load(cud_sentence_layout *l, const json_t *c)
{
    char path[300];
    snprintf(path, sizeof path, "tasks/layouts/%s", task_text(c, "layout"));
    clear();
    ck_ok(cud_sentence_layout_load(l, test_path(path), 8, false, &err));
}

START_TEST(layouts_say_what_the_package_says)
{
    static const char *const similarities[] = { "cosine", "dot", "euclidean", "manhattan" };
    const json_t *c = json_array_get(settings, (size_t)_i), *text;
    const char *name, *found;
    cud_sentence_layout l;
    load(&l, c);
    json_object_foreach (json_object_get(c, "prompts"), name, text) {
        ck_ok(cud_sentence_prompt(&found, &l, name, &err));
        ck_assert_str_eq(found, json_string_value(text));
    }
    const char *prompt = task_text(c, "default_prompt");
    ck_assert(prompt ? l.default_prompt && strcmp(prompt, l.default_prompt) == 0 : !l.default_prompt);
    ck_assert_str_eq(similarities[l.similarity], task_text(c, "similarity"));
    ck_assert_int_eq(l.truncate, (int64_t)task_count(c, "truncate"));
    ck_assert_int_eq(l.max_length, (int64_t)task_count(c, "max_length"));
    ck_assert_int_eq(l.lower_case, json_is_true(json_object_get(c, "lower_case")));
    if (task_count(c, "width")) ck_assert_int_eq(cud_sentence_width(&l), (int64_t)task_count(c, "width"));
    test_expect_failure(cud_sentence_prompt(&found, &l, "nothing", &err), CUDDLE_E_ARG, &err);
    cud_sentence_layout_free(&l);
}
END_TEST

START_TEST(embeddings_are_those_of_the_package)
{
    const json_t *c = json_array_get(cases.cases, (size_t)_i), *want = json_object_get(c, "expected");
    cud_sentence_layout l;
    float out[64];
    size_t count;
    int64_t width;
    load(&l, c);
    float *hidden = task_floats(&cases, json_object_get(c, "hidden"), &count);
    const cud_embedding_options o = { .prompt_tokens = task_count(c, "prompt_tokens"), .dimensions = (int64_t)task_count(c, "dimensions"),
                                      .normalize = json_is_true(json_object_get(c, "normalize")) };
    ck_ok(cud_embedding_width(&width, &l, &o, &err));
    ck_assert_uint_eq((size_t)width, json_array_size(want));
    ck_ok(cud_embed(out, &l, hidden, count / 8, &o, &err));
    for (size_t i = 0; i < (size_t)width; i++) {
        const double v = json_number_value(json_array_get(want, i));
        ck_assert_msg(fabs((double)out[i] - v) <= 2e-6 * fmax(1, fabs(v)), "%s: component %zu is %.9g, expected %.9g", task_text(c, "layout"), i,
                      (double)out[i], v);
    }
    hidden[count - 1] = NAN; /* a token that the class token's pooling does not see */
    const cuddle_status status = cud_embed(out, &l, hidden, count / 8, &o, &err);
    if (l.module[1].mode[0] != CUD_POOL_CLS) test_expect_failure(status, CUDDLE_E_FORMAT, &err);
    free(hidden);
    cud_sentence_layout_free(&l);
}
END_TEST

START_TEST(a_plain_checkpoint_is_pooled)
{
    cud_sentence_layout l;
    const float hidden[] = { 1, 2, 3, 5 };
    float out[2];
    const cud_embedding_options o = { 0 };
    for (int causal = 0; causal < 2; causal++) {
        clear();
        ck_ok(cud_sentence_layout_load(&l, test_temp_dir(), 2, causal, &err));
        ck_ok(cud_embed(out, &l, hidden, 2, &o, &err));
        ck_assert(causal ? out[0] == 3 && out[1] == 5 : out[0] == 2 && out[1] == 3.5f);
        cud_sentence_layout_free(&l);
    }
}
END_TEST

START_TEST(a_prompt_may_be_all_there_is)
{
    static const struct { cud_pooling_mode mode; float first; } modes[] = { { CUD_POOL_CLS, 1 }, { CUD_POOL_MEAN, 0 }, { CUD_POOL_MEAN_SQRT, 0 },
                                                                            { CUD_POOL_WEIGHTED_MEAN, 0 }, { CUD_POOL_LAST, 0 } };
    const float hidden[] = { 1, 2, 3, 5 };
    float out[2];
    cud_module m = { .kind = CUD_MODULE_POOLING, .in = 2, .out = 2, .modes = 1 };
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) { /* what 6.2 gives for a mask of zeros */
        m.mode[0] = modes[i].mode;
        cud_pool(out, &m, hidden, 2, 7);
        ck_assert_float_eq(out[0], modes[i].first);
    }
    cud_sentence_layout l = { .modules = 2 };
    l.module[1] = m;
    l.module[1].mode[0] = CUD_POOL_MAX;
    const cud_embedding_options o = { .prompt_tokens = 2 };
    clear();
    test_expect_failure(cud_embed(out, &l, hidden, 2, &o, &err), CUDDLE_E_FORMAT, &err);
    ck_assert_str_eq(err.text, "embedding: component 0 is infinite, expected a finite number: the checkpoint's weights lead there");
}
END_TEST

START_TEST(wide_rows_are_pooled_like_narrow_ones)
{
    enum { WIDTH = 150, TOKENS = 3 };
    float hidden[TOKENS * WIDTH], out[CUD_POOLING_MODES * WIDTH], one[TOKENS], want[CUD_POOLING_MODES];
    cud_module wide = { .in = WIDTH, .modes = CUD_POOLING_MODES }, narrow = { .in = 1, .modes = CUD_POOLING_MODES };
    for (int i = 0; i < CUD_POOLING_MODES; i++) wide.mode[i] = narrow.mode[i] = (cud_pooling_mode)i;
    for (int i = 0; i < TOKENS * WIDTH; i++) hidden[i] = (float)(i * 37 % 101) - 50;
    for (size_t prompt = 0; prompt < TOKENS; prompt++) {
        cud_pool(out, &wide, hidden, TOKENS, prompt);
        for (int c = 0; c < WIDTH; c++) {
            for (int t = 0; t < TOKENS; t++) one[t] = hidden[t * WIDTH + c];
            cud_pool(want, &narrow, one, TOKENS, prompt);
            for (int i = 0; i < CUD_POOLING_MODES; i++) ck_assert_float_eq(out[i * WIDTH + c], want[i]);
        }
    }
}
END_TEST

START_TEST(sizes_that_do_not_fit_are_refused)
{
    cud_sentence_layout l;
    float out[8] = { 0 };
    const float hidden[8] = { 0 };
    cud_embedding_options o = { .dimensions = 9 };
    clear();
    ck_ok(cud_sentence_layout_load(&l, test_path("tasks/layouts/cls"), 8, false, &err));
    test_expect_failure(cud_embed(out, &l, hidden, 1, &o, &err), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "dimensions is 9, but the checkpoint's embeddings have 8 components");
    o.dimensions = -1;
    clear();
    test_expect_failure(cud_embed(out, &l, hidden, 1, &o, &err), CUDDLE_E_ARG, &err);
    o.dimensions = 8;
    clear();
    test_expect_failure(cud_embed(out, &l, hidden, 0, &o, &err), CUDDLE_E_ARG, &err);
    clear();
    ck_ok(cud_embed(out, &l, hidden, 1, &o, &err)); /* a vector without length stays one */
    for (int i = 0; i < 8; i++) ck_assert_float_eq(out[i], 0);
    cud_sentence_layout_free(&l);
    test_expect_failure(cud_sentence_layout_load(&l, test_path("tasks/layouts/cls"), 9, false, &err), CUDDLE_E_FORMAT, &err);
    ck_assert_str_eq(err.text, "1_Pooling/config.json: the module takes 8 components, but what comes before it gives 9");
    ck_assert_int_eq(l.modules, 0);
    clear();
    test_expect_failure(cud_sentence_layout_load(&l, test_path("tasks/layouts/cls"), 0, false, &err), CUDDLE_E_ARG, &err);
}
END_TEST

START_TEST(any_folder_below_will_do)
{
    char longest[256] = "";
    memset(longest, 'a', 255);
    const char *const paths[] = { "", ".a", "a.", "...", "a..b/..c", "a//b", longest };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char text[600];
        json_t *root;
        cud_sentence_layout l = { 0 };
        snprintf(text, sizeof text,
                 "[{\"type\": \"sentence_transformers.a.b.Transformer\", \"path\": \"%s\"}, "
                 "{\"type\": \"sentence_transformers.Pooling\", \"path\": \"1\"}]",
                 paths[i]);
        clear();
        ck_ok(cud_json_parse_list(&root, text, strlen(text), "modules.json", &err));
        const json_view list = cud_json_view(root, "modules.json");
        ck_ok(cud_layout_read_modules(&l, &list, &err));
        ck_assert_str_eq(l.module[0].path, paths[i]);
        cud_sentence_layout_free(&l);
        json_decref(root);
    }
}
END_TEST

/* ---- tests/bad/sentence ---- */

START_TEST(bad_layouts_have_their_sentences)
{
    DIR *dir = opendir(test_path("bad/sentence"));
    ck_assert_ptr_nonnull(dir);
    int count = 0, wrong = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        char path[600], file[700], got[400];
        snprintf(path, sizeof path, "%s/%s", test_path("bad/sentence"), entry->d_name);
        snprintf(file, sizeof file, "%s/error", path);
        char *want = test_read_file(file, NULL);
        want[strcspn(want, "\n")] = 0;
        cud_sentence_layout l;
        clear();
        const cuddle_status status = cud_sentence_layout_load(&l, path, 8, false, &err);
        const char *text = err.text;
        if (strncmp(text, path, strlen(path)) == 0) text += strlen(path) + 1; /* where the checkpoint lies is no matter of the case */
        snprintf(got, sizeof got, "%s: %s", cuddle_status_name(status), text);
        if (strcmp(got, want) != 0) printf("%s\n  got      %s\n  expected %s\n", entry->d_name, got, want), wrong++;
        free(want);
        cud_sentence_layout_free(&l);
        count++;
    }
    closedir(dir);
    ck_assert_int_ge(count, 40);
    ck_assert_int_eq(wrong, 0);
}
END_TEST

/* ---- memory and reads ---- */

static cuddle_status run(const json_t *c, cuddle_error *e)
{
    const char *const names[] = { "tasks/layouts/residual", "tasks/layouts/last" };
    const cud_embedding_options o = { 0 };
    const float hidden[8] = { 0 };
    float out[16];
    cuddle_status status = CUDDLE_OK;
    (void)c;
    for (int i = 0; i < 2 && !status; i++) {
        cud_sentence_layout l;
        status = cud_sentence_layout_load(&l, test_path(names[i]), 8, false, e);
        if (!status) status = cud_embed(out, &l, hidden, 1, &o, e);
        cud_sentence_layout_free(&l);
    }
    return status;
}

START_TEST(memory_may_be_short) { task_without_memory(run, NULL); }
END_TEST

START_TEST(reads_may_fail)
{
    clear();
    test_fail_read(0, TEST_READ_OK);
    ck_ok(run(NULL, &err));
    const long reads = test_fail_read(0, TEST_READ_OK);
    ck_assert_int_gt(reads, 4);
    for (long n = 1; n <= reads; n++) {
        clear();
        test_fail_read(n, TEST_READ_EIO);
        const cuddle_status status = run(NULL, &err);
        test_fail_read(0, TEST_READ_OK);
        test_expect_failure(status, CUDDLE_E_IO, &err);
    }
}
END_TEST

int main(void)
{
    cases = task_open("tasks/embeddings.json", 50);
    settings = json_object_get(cases.root, "settings");
    Suite *suite = suite_create("tasks_sentence");
    TCase *tc = tcase_create("tasks_sentence");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, layouts_say_what_the_package_says, 0, (int)json_array_size(settings));
    tcase_add_loop_test(tc, embeddings_are_those_of_the_package, 0, (int)json_array_size(cases.cases));
    tcase_add_test(tc, a_plain_checkpoint_is_pooled);
    tcase_add_test(tc, a_prompt_may_be_all_there_is);
    tcase_add_test(tc, wide_rows_are_pooled_like_narrow_ones);
    tcase_add_test(tc, sizes_that_do_not_fit_are_refused);
    tcase_add_test(tc, any_folder_below_will_do);
    tcase_add_test(tc, bad_layouts_have_their_sentences);
    tcase_add_test(tc, memory_may_be_short);
    tcase_add_test(tc, reads_may_fail);
    suite_add_tcase(suite, tc);
    const int result = test_run(suite);
    json_decref(cases.root);
    return result;
}
