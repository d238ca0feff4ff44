/* What tests of tasks share: the files of tests/tasks, and comparison of JSON texts. */
#ifndef CUD_TESTS_TASK_SUPPORT_H
#define CUD_TESTS_TASK_SUPPORT_H

#include "format/json.h"
#include "support.h"
#include "tasks/writer.h"
#include "text/tokenizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct task_file {
    json_t *root, *cases;
    double unit; /* logits are integers of 1 / unit */
} task_file;

/* For main(): ends the program where the file or `at_least` cases are not there. */
static inline task_file task_open(const char *name, size_t at_least)
{
    cuddle_error err = { CUDDLE_OK, "" };
    task_file f = { 0 };
    if (!cud_json_load(&f.root, test_path(name), CUD_JSON_MAX, &err)) {
        f.cases = json_object_get(f.root, "cases");
        f.unit = json_number_value(json_object_get(f.root, "unit"));
    }
    if (f.unit > 0 && json_array_size(f.cases) >= at_least) return f;
    fprintf(stderr, "%s: too few cases: %s\n", name, err.text);
    exit(EXIT_FAILURE);
}

static inline const char *task_text(const json_t *c, const char *key) { return json_string_value(json_object_get(c, key)); }
static inline size_t task_count(const json_t *c, const char *key) { return (size_t)json_integer_value(json_object_get(c, key)); }

/* A list of numbers, or of lists of them one behind the other; to be freed. */
static inline float *task_floats(const task_file *f, const json_t *list, size_t *count)
{
    const size_t rows = json_array_size(list);
    size_t n = 0, room = 0;
    for (size_t i = 0; i < rows; i++) room += json_is_array(json_array_get(list, i)) ? json_array_size(json_array_get(list, i)) : 1;
    float *out = malloc((room + 1) * sizeof *out);
    ck_assert_ptr_nonnull(out);
    for (size_t i = 0; i < rows; i++) {
        const json_t *row = json_array_get(list, i);
        for (size_t k = 0; k < (json_is_array(row) ? json_array_size(row) : 1); k++)
            out[n++] = (float)(json_number_value(json_is_array(row) ? json_array_get(row, k) : row) / f->unit);
    }
    if (count) *count = n;
    return out;
}

/* A list of strings, borrowed; NULL for null. To be freed. */
static inline const char **task_texts(const json_t *list, size_t *count)
{
    *count = json_array_size(list);
    if (!json_is_array(list)) return NULL;
    const char **out = malloc((*count + 1) * sizeof *out);
    ck_assert_ptr_nonnull(out);
    for (size_t i = 0; i < *count; i++) out[i] = json_string_value(json_array_get(list, i));
    return out;
}

/* Of a case, with the tokenizer_config.json that it has. */
static inline cuddle_tokenizer *task_tokenizer(const json_t *c)
{
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_tokenizer *t = NULL;
    char path[300];
    size_t size = 0;
    snprintf(path, sizeof path, "%s/tokenizer.json", task_text(c, "tokenizer"));
    char *json = test_read_file(test_path(path), &size);
    const char *config = task_text(c, "config");
    ck_ok(cud_tokenizer_parse(&t, json, size, config, strlen(config), &err));
    free(json);
    return t;
}

/* Is it the same text, but for numbers that are the same to 1e-5? */
static inline bool task_same(const char *got, const char *want)
{
    bool string = false;
    while (*got && *want) {
        const bool number = !string && (*want == '-' || (*want >= '0' && *want <= '9'));
        if (number) {
            char *got_end, *want_end;
            const double a = strtod(got, &got_end), b = strtod(want, &want_end);
            if (got_end == got || !(fabs(a - b) <= 1e-5 * fmax(1, fabs(b)))) return false;
            got = got_end, want = want_end;
            continue;
        }
        if (*got != *want) return false;
        if (string && *want == '\\') got++, want++;
        else if (*want == '"') string = !string;
        if (*got != *want) return false;
        got++, want++;
    }
    return *got == *want;
}

/* Ends the writer and compares what it has with the case's "expected". */
static inline void task_expect(cud_writer *w, const json_t *c)
{
    cuddle_error err = { CUDDLE_OK, "" };
    char *text = NULL;
    size_t length = 0;
    w->err = &err;
    ck_ok(cud_write_end(&text, &length, w));
    ck_assert_uint_eq(strlen(text), length);
    const char *want = task_text(c, "expected");
    char *whole = json_dumps(c, 0);
    ck_assert_msg(task_same(text, want), "got\n%s\nexpected\n%s\nof %.400s", text, want, whole);
    free(whole);
    free(text);
}

/* `run`, which calls what is tested and frees what that gives, with each allocation failing in its turn. */
static inline void task_without_memory(cuddle_status (*run)(const json_t *c, cuddle_error *err), const json_t *c)
{
    cuddle_error err = { CUDDLE_OK, "" };
    test_fail_allocation(0, false);
    const cuddle_status whole = run(c, &err);
    const long count = test_fail_allocation(0, false); /* before Check, which allocates, too */
    ck_assert_msg(whole == CUDDLE_OK, "%s", err.text);
    ck_assert_int_gt(count, 0);
    for (long n = 1; n <= count; n++) {
        err = (cuddle_error){ CUDDLE_OK, "" };
        test_fail_allocation(n, false);
        const cuddle_status status = run(c, &err);
        test_fail_allocation(0, false);
        test_expect_failure(status, CUDDLE_E_NOMEM, &err);
    }
}

#endif
