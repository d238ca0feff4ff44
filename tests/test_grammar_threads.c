/* One grammar, many threads: each follows texts of its own while what is kept is thrown away again and again. */
#include "grammar/grammar.h"
#include "support.h"
#include "text/lexicon.h"
#include "text/tokenizer.h"

#include <pthread.h>
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

int main(void)
{
    Suite *s = suite_create("grammar_threads");
    TCase *tc = tcase_create("grammar_threads");
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, threads_share_a_grammar);
    suite_add_tcase(s, tc);
    return test_run(s);
}
