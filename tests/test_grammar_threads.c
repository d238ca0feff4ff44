/* One grammar, many threads: each follows texts of its own while what is kept is thrown away again and again. One cache of grammars, many
 * threads: those that ask at once get one, and what is given up goes on. */
#include "grammar/cache.h"
#include "support.h"
#include "text/lexicon.h"
#include "text/tokenizer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, TEXTS = 8, STEPS = 40 };

static cuddle_error err;
static cuddle_tokenizer *kjv;
static cuddle_grammar *grammar;

typedef struct worker {
    pthread_t thread;
    uint64_t random;
    char text[TEXTS][4096];
    size_t length[TEXTS];
    bool failed;
} worker;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static bool make_text(worker *w, int n)
{
    uint32_t mask[128];
    const int32_t size = cud_tokenizer_size(kjv);
    const size_t words = ((size_t)size + 31) / 32;
    cud_matcher *m = NULL;
    const cud_lexicon *x = NULL;
    bool ok = words <= 128 && !cud_lexicon_of(&x, kjv, NULL) && !cud_matcher_new(&m, grammar, true, NULL);
    for (int step = 0; step < STEPS && ok; step++) {
        size_t allowed = 0, length;
        ok = !cud_matcher_mask(mask, words, m, NULL);
        for (int32_t id = 0; id < size; id++) allowed += mask[id / 32] >> id % 32 & 1;
        if (!ok || !allowed) break;
        size_t take = (size_t)(next_random(&w->random) >> 20) % allowed;
        int32_t id = 0;
        while (!(mask[id / 32] >> id % 32 & 1) || take--) id++;
        const char *bytes = cud_lexicon_bytes(x, id, &length);
        if (w->length[n] + length > sizeof w->text[n]) break;
        memcpy(w->text[n] + w->length[n], bytes, length);
        w->length[n] += length;
        ok = !cud_matcher_token(m, id, NULL);
    }
    cud_matcher_free(m);
    cud_lexicon_release(x);
    return ok;
}

static void *work(void *argument)
{
    worker *w = argument;
    for (int n = 0; n < TEXTS && !w->failed; n++) w->failed = !make_text(w, n);
    return NULL;
}

START_TEST(threads_share_a_grammar)
{
    static worker w[THREADS];
    cuddle_grammar_options o;
    cuddle_grammar *alone = NULL;
    ck_ok(cud_tokenizer_load(&kjv, test_path("models/kjv-gpt2"), &err));
    cuddle_grammar_options_init(&o, sizeof o);
    o.kind = CUDDLE_GRAMMAR_REGEX;
    o.source = "(\\w{0,40}[^\\w]{1,3}){200}";
    o.length = strlen(o.source);
    ck_ok(cuddle_grammar_compile(&alone, kjv, &o, &err));
    o.max_memory = 400000;
    ck_ok(cuddle_grammar_compile(&grammar, kjv, &o, &err));
    for (int i = 0; i < THREADS; i++) {
        w[i].random = 77 + (uint64_t)i;
        ck_assert_int_eq(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(w[i].thread, NULL);
        ck_assert(!w[i].failed);
    }
    size_t bytes = 0;
    for (int i = 0; i < THREADS; i++) {
        for (int n = 0; n < TEXTS; n++) {
            int begins;
            ck_ok(cuddle_grammar_match(&begins, NULL, alone, w[i].text[n], w[i].length[n], &err));
            ck_assert_msg(begins, "'%.*s'", (int)w[i].length[n], w[i].text[n]);
            bytes += w[i].length[n];
        }
    }
    ck_assert_uint_gt(bytes, 1000);
    cuddle_grammar_free(grammar);
    cuddle_grammar_free(alone);
    cud_tokenizer_free(kjv);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------- the cache */

enum { ROUNDS = 6, ASKED = 40, SOURCES = 5 };

typedef struct asker {
    pthread_t thread;
    grammar_cache *cache;
    pthread_barrier_t *start;
    uint64_t random;
    cuddle_grammar *got[ROUNDS];
    cuddle_status status[ROUNDS];
    char text[ROUNDS][252];
    int compiled[ROUNDS];
    bool failed;
} asker;

static cuddle_status ask(cuddle_grammar **out, double *seconds, grammar_cache *c, const char *source, cuddle_error *why)
{
    cuddle_grammar_options o;
    cuddle_grammar_options_init(&o, sizeof o);
    o.kind = CUDDLE_GRAMMAR_REGEX;
    o.source = source;
    o.length = strlen(source);
    return cud_grammar_cache_get(out, seconds, c, kjv, &o, why);
}

static void *ask_at_once(void *argument)
{
    asker *a = argument;
    for (int i = 0; i < ROUNDS; i++) {
        char source[8192]; /* takes milliseconds, so that the others have to wait */
        size_t length = 0;
        double seconds;
        cuddle_error why = { CUDDLE_OK, "" };
        for (int k = 0; k < 700; k++) length += (size_t)snprintf(source + length, sizeof source - length, "%c%05d|", 'a' + i, k * 7919 % 100003);
        snprintf(source + length, sizeof source - length, i % 3 == 2 ? "(?=a)" : "x");
        pthread_barrier_wait(a->start);
        a->status[i] = ask(&a->got[i], &seconds, a->cache, source, &why);
        a->compiled[i] = seconds >= 0;
        memcpy(a->text[i], why.text, sizeof why.text);
    }
    return NULL;
}

START_TEST(threads_that_ask_at_once_get_one)
{
    static asker a[THREADS];
    grammar_cache cache;
    pthread_barrier_t start;
    ck_ok(cud_tokenizer_load(&kjv, test_path("models/kjv-gpt2"), &err));
    cud_grammar_cache_init(&cache, 64, 256 << 20);
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        a[i].cache = &cache;
        a[i].start = &start;
        ck_assert_int_eq(pthread_create(&a[i].thread, NULL, ask_at_once, &a[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(a[i].thread, NULL);
    for (int k = 0; k < ROUNDS; k++) {
        int compiled = 0;
        for (int i = 0; i < THREADS; i++) {
            compiled += a[i].compiled[k];
            ck_assert_ptr_eq(a[i].got[k], a[0].got[k]);
            ck_assert_int_eq(a[i].status[k], k % 3 == 2 ? CUDDLE_E_UNSUPPORTED : CUDDLE_OK);
            ck_assert_str_eq(a[i].text[k], a[0].text[k]);
            cuddle_grammar_free(a[i].got[k]);
        }
        ck_assert_int_ge(compiled, 1);
        if (k % 3 != 2) ck_assert_int_eq(compiled, 1);
    }
    size_t count, bytes;
    cud_grammar_cache_size(&count, &bytes, &cache);
    ck_assert_uint_eq(count, ROUNDS - ROUNDS / 3);
    cud_grammar_cache_free(&cache);
    pthread_barrier_destroy(&start);
    cud_tokenizer_free(kjv);
}
END_TEST

static void *ask_around(void *argument)
{
    static const char *const sources[SOURCES] = { "a+", "(b){3}", "[cd]*", "e?f", "g|h" }, *const texts[SOURCES] = { "aaaa", "bbb", "cddc", "ef", "h" };
    asker *a = argument;
    for (int i = 0; i < ASKED && !a->failed; i++) {
        const size_t which = (size_t)(next_random(&a->random) >> 20) % SOURCES;
        cuddle_grammar *g = NULL;
        double seconds;
        int whole = 0;
        size_t count, bytes;
        a->failed = ask(&g, &seconds, a->cache, sources[which], NULL) != CUDDLE_OK ||
                    cuddle_grammar_match(NULL, &whole, g, texts[which], strlen(texts[which]), NULL) != CUDDLE_OK || !whole;
        cud_grammar_cache_size(&count, &bytes, a->cache);
        cuddle_grammar_free(g);
    }
    return NULL;
}

START_TEST(what_threads_use_is_given_up_by_others)
{
    static asker a[THREADS];
    grammar_cache cache;
    ck_ok(cud_tokenizer_load(&kjv, test_path("models/kjv-gpt2"), &err));
    cud_grammar_cache_init(&cache, 2, 256 << 20);
    for (int i = 0; i < THREADS; i++) {
        a[i].cache = &cache;
        a[i].random = 99 + (uint64_t)i;
        ck_assert_int_eq(pthread_create(&a[i].thread, NULL, ask_around, &a[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(a[i].thread, NULL);
        ck_assert(!a[i].failed);
    }
    size_t count, bytes;
    cud_grammar_cache_size(&count, &bytes, &cache);
    ck_assert_uint_eq(count, 2);
    cud_grammar_cache_free(&cache);
    cud_tokenizer_free(kjv);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("grammar_threads");
    TCase *tc = tcase_create("grammar_threads");
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, threads_share_a_grammar);
    tcase_add_test(tc, threads_that_ask_at_once_get_one);
    tcase_add_test(tc, what_threads_use_is_given_up_by_others);
    suite_add_tcase(s, tc);
    return test_run(s);
}
