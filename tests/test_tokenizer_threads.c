/* One tokenizer and many threads: what each encodes is what the reference implementation says (tests/tokenizers), with the words that others
 * have met before. */
#include "support.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, CALLS = 400 };

typedef struct shared {
    cuddle_tokenizer *tokenizer;
    json_t *cases;
} shared;

typedef struct worker {
    const shared *all;
    unsigned seed;
    int wrong;
} worker;

static void *encode_at_random(void *arg)
{
    worker *w = arg;
    for (int i = 0; i < CALLS; i++) {
        w->seed = w->seed * 1664525u + 1013904223u;
        const json_t *one = json_array_get(w->all->cases, (w->seed >> 8) % json_array_size(w->all->cases));
        const json_t *text = json_object_get(one, "text"), *ids = json_object_get(one, "ids");
        cuddle_error e;
        cuddle_encoding *encoding;
        if (cuddle_tokenize(&encoding, w->all->tokenizer, json_string_value(text), json_string_length(text), 0, &e) != CUDDLE_OK) {
            w->wrong++;
            continue;
        }
        bool same = encoding->count == json_array_size(ids);
        for (size_t k = 0; same && k < encoding->count; k++) same = encoding->ids[k] == json_integer_value(json_array_get(ids, k));
        w->wrong += !same;
        cuddle_encoding_free(encoding);
    }
    return NULL;
}

static const char *const names[] = { "gpt2", "llama3", "llama-spm", "qwen" };

START_TEST(threads_share_a_tokenizer)
{
    char path[64];
    cuddle_error err;
    shared all = { 0 };
    worker workers[THREADS];
    pthread_t thread[THREADS];
    snprintf(path, sizeof path, "tokenizers/%s", names[_i]);
    ck_ok(cuddle_tokenizer_load(&all.tokenizer, test_path(path), &err));
    snprintf(path, sizeof path, "tokenizers/%s/vectors.json", names[_i]);
    size_t size;
    char *text = test_read_file(test_path(path), &size);
    json_t *root = json_loadb(text, size, JSON_ALLOW_NUL, NULL);
    free(text);
    all.cases = json_object_get(root, "cases");
    ck_assert_uint_gt(json_array_size(all.cases), 10);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){ &all, (unsigned)i + 1, 0 };
        ck_assert_int_eq(pthread_create(&thread[i], NULL, encode_at_random, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < THREADS; i++) ck_assert_int_eq(workers[i].wrong, 0);
    cuddle_tokenizer_free(all.tokenizer);
    json_decref(root);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer_threads");
    TCase *t = tcase_create("threads");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, threads_share_a_tokenizer, 0, sizeof names / sizeof *names);
    suite_add_tcase(suite, t);
    return test_run(suite);
}
