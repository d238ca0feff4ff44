/* Many requests on one model through cuddle.h: who goes first, who gives way, what is taken over from others, what is refused, and the counts. */
#include "engine/engine.h"
#include "engine_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 16 };

static cuddle_error err;

static void setup(void) { err = (cuddle_error){ CUDDLE_OK, "" }; }

static cuddle_engine *new_engine(int threads)
{
    cuddle_engine_options o = test_engine_options(threads);
    o.deterministic = CUDDLE_ON;
    return test_engine(&o);
}

static cuddle_model *load(cuddle_engine *engine, int sequences, int64_t kv_tokens, int max_queue, cuddle_toggle prefix_cache)
{
    cuddle_model_options o = test_model_options();
    o.max_context = 128;
    o.max_batch = 64;
    o.max_sequences = sequences;
    o.kv_tokens = kv_tokens;
    o.max_queue = max_queue;
    o.prefix_cache = prefix_cache;
    return test_model(engine, "models/kjv-gpt2", &o);
}

/* A prompt of `count` tokens that begins with number `first`. */
static cuddle_segment prompt_of(int first, int count)
{
    static int32_t ids[16][128];
    static int turn;
    int32_t *p = ids[turn++ % 16];
    for (int i = 0; i < count; i++) p[i] = (first * 31 + i * 7) % 200 + 20;
    return (cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = p, .count = (size_t)count };
}

static cuddle_request *submit(cuddle_model *h, int first, int count, const cuddle_generation_options *o)
{
    return test_submit_ids(h, prompt_of(first, count).tokens, (size_t)count, o);
}

static cuddle_engine_stats stats_of(cuddle_engine *engine)
{
    cuddle_engine_stats s = { .struct_size = sizeof s };
    ck_ok(cuddle_engine_get_stats(engine, &s, &err));
    return s;
}

START_TEST(a_prefix_is_computed_once)
{
    cuddle_engine *engine = new_engine(0);
    for (int cache = CUDDLE_OFF; cache <= CUDDLE_ON; cache++) {
        cuddle_model *h = load(engine, 4, 0, 0, (cuddle_toggle)cache);
        cuddle_generation_options o = test_greedy(4);
        int32_t ids[4];
        const int cached[] = { 0, 48, 0, 48 }; /* salts 0, 0, 1, 1: 51 tokens are 3 pages and 3 tokens */
        for (int i = 0; i < 4; i++) {
            const uint64_t before = stats_of(engine).prefix_hits;
            o.cache_salt = (uint64_t)(i / 2);
            cuddle_request *r = submit(h, 1, 51, &o);
            test_run_steps(engine);
            const cuddle_result result = test_result(r);
            ck_assert_int_eq(result.cached_tokens, cache == CUDDLE_ON ? cached[i] : 0);
            ck_assert_uint_eq(stats_of(engine).prefix_hits - before, (uint64_t)result.cached_tokens);
            if (i == 0) memcpy(ids, result.ids, sizeof ids);
            ck_assert_mem_eq(result.ids, ids, sizeof ids);
            cuddle_request_free(r);
        }
        cuddle_model_free(h);
    }
    cuddle_engine_free(engine);
}
END_TEST

/* What launches of kernels go by: rows in all, the longest query, the longest context. */
START_TEST(a_step_knows_its_sizes)
{
    cuddle_engine *engine = new_engine(0);
    cuddle_model *h = load(engine, 4, 0, 0, CUDDLE_OFF);
    const cuddle_generation_options o = test_greedy(4);
    static const int lengths[] = { 5, 30, 12 };
    cuddle_request *r[3];
    for (int i = 0; i < 3; i++) r[i] = submit(h, i, lengths[i], &o);
    test_step(engine);
    ck_assert_int_eq(h->host.sequences, 3);
    ck_assert_int_eq(h->host.tokens, 5 + 30 + 12);
    ck_assert_int_eq(h->host.max_query, 30);
    ck_assert_int_eq(h->host.max_kv, 30);
    test_step(engine); /* a token of each */
    ck_assert_int_eq(h->host.max_query, 1);
    ck_assert_int_ge(h->host.max_kv, 31); /* a GPU rounds it up */
    if (test_on_cpu()) ck_assert_int_eq(h->host.max_kv, 31);
    for (int i = 0; i < 3; i++) cuddle_request_free(r[i]);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* Log-probabilities of a prompt come from its rows: those are computed, whatever the cache has. */
START_TEST(a_prompt_whose_logprobs_are_wanted_is_computed)
{
    cuddle_engine *engine = new_engine(0);
    cuddle_model *h = load(engine, 4, 0, 0, CUDDLE_ON);
    cuddle_generation_options o = test_greedy(1);
    o.prompt_logprobs = 1;
    float first[50];
    for (int i = 0; i < 2; i++) {
        cuddle_request *r = submit(h, 1, 50, &o);
        test_run_steps(engine);
        const cuddle_result result = test_result(r);
        ck_assert_int_eq(result.cached_tokens, 0);
        if (i == 0) memcpy(first, result.prompt_logprobs, sizeof first);
        ck_assert_mem_eq(result.prompt_logprobs, first, sizeof first);
        for (int k = 1; k < 50; k++) ck_assert(result.prompt_logprobs[k] < 0);
        cuddle_request_free(r);
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

static cuddle_status fail_download(exec *ex, void *host, const void *device, size_t bytes, cuddle_error *e)
{
    (void)ex, (void)host, (void)device, (void)bytes;
    return cud_fail(e, CUDDLE_E_INTERNAL, "the test wants it so");
}

/* What a step that failed has left in its pages is nobody's prefix, and the engine goes on. */
START_TEST(a_failed_step_leaves_nothing_to_take_over)
{
    if (!test_on_cpu()) return; /* there the operations are the module's */
    cuddle_engine *engine = new_engine(0);
    cuddle_model *h = load(engine, 4, 0, 0, CUDDLE_ON);
    const cuddle_generation_options o = test_greedy(4);
    const op_table *ops = h->m->backend->ops;
    op_table failing = *ops;
    failing.download = fail_download;
    h->m->backend->ops = &failing;
    cuddle_request *r = submit(h, 1, 51, &o);
    test_run_steps(engine);
    test_expect_failure(cuddle_request_wait(r, 0, &err), CUDDLE_E_INTERNAL, &err);
    ck_assert_str_eq(err.text, "the test wants it so");
    cuddle_request_free(r);
    h->m->backend->ops = ops;
    ck_assert_uint_eq(stats_of(engine).kv_pages_cached, 0);
    ck_assert_uint_eq(stats_of(engine).ended_failed, 1);
    r = submit(h, 1, 51, &o);
    test_run_steps(engine);
    ck_ok(cuddle_request_wait(r, 0, &err));
    ck_assert_int_eq(test_result(r).cached_tokens, 0);
    cuddle_request_free(r);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* Three requests of 4 pages each in a cache of 8: two begin, as both are short as yet, and the younger gives way. All have the tokens that they have
 * alone. */
START_TEST(a_cache_that_is_too_small_costs_time_only)
{
    cuddle_engine *engine = new_engine(0);
    cuddle_generation_options o = test_greedy(50);
    o.logprobs = 0;
    int32_t alone[3][50];
    float logprobs[3][50];
    for (int round = 0; round < 2; round++) {
        cuddle_model *h = load(engine, round ? 3 : 1, round ? 8 * PAGE : 0, 0, CUDDLE_OFF);
        cuddle_request *r[3];
        for (int i = 0; i < 3; i++) r[i] = submit(h, i, 14, &o);
        test_run_steps(engine);
        int gave_way = 0;
        for (int i = 0; i < 3; i++) {
            ck_ok(cuddle_request_wait(r[i], 0, &err));
            const cuddle_result result = test_result(r[i]);
            ck_assert_uint_eq(result.count, 50);
            if (!round) {
                memcpy(alone[i], result.ids, sizeof alone[i]);
                memcpy(logprobs[i], result.logprobs, sizeof logprobs[i]);
            }
            ck_assert_mem_eq(result.ids, alone[i], sizeof alone[i]);
            ck_assert_mem_eq(result.logprobs, logprobs[i], sizeof logprobs[i]);
            gave_way += result.preemptions;
            cuddle_request_free(r[i]);
        }
        ck_assert(round ? gave_way > 0 : gave_way == 0);
        ck_assert_uint_eq(stats_of(engine).preempted, (uint64_t)gave_way);
        ck_assert_uint_eq(stats_of(engine).kv_pages_used, 0);
        cuddle_model_free(h);
        ck_assert_uint_eq(stats_of(engine).preempted, (uint64_t)gave_way); /* not lost with the model */
    }
    cuddle_engine_free(engine);
}
END_TEST

START_TEST(a_higher_priority_goes_first_even_before_what_runs)
{
    cuddle_engine *engine = new_engine(0);
    cuddle_model *h = load(engine, 1, 0, 0, CUDDLE_AUTO);
    cuddle_generation_options o = test_greedy(6);
    cuddle_request *low = submit(h, 1, 20, &o), *later = submit(h, 2, 20, &o);
    test_step(engine);
    test_step(engine);
    o.priority = 3;
    cuddle_request *high = submit(h, 3, 20, &o);
    while (!cuddle_request_finish(high)) ck_assert(test_step(engine));
    ck_assert_int_eq(cuddle_request_finish(low), CUDDLE_FINISH_NONE);
    while (!cuddle_request_finish(low)) ck_assert(test_step(engine));
    ck_assert_int_eq(cuddle_request_finish(later), CUDDLE_FINISH_NONE);
    test_run_steps(engine);
    ck_assert_int_eq(test_result(low).preemptions, 1);
    ck_assert_int_eq(test_result(high).preemptions + test_result(later).preemptions, 0);
    cuddle_request_free(low);
    cuddle_request_free(later);
    cuddle_request_free(high);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

static void count_end(cuddle_request *r, const cuddle_event *e, void *user)
{
    (void)r;
    if (e->finish == CUDDLE_FINISH_DEADLINE) ++*(int *)user;
}

/* One that runs and one that waits behind it. */
START_TEST(a_timeout_ends_a_request_wherever_it_is)
{
    cuddle_engine *engine = new_engine(0);
    cuddle_model *h = load(engine, 1, 0, 0, CUDDLE_AUTO);
    cuddle_generation_options o = test_greedy(60);
    o.timeout_ms = 600000;
    int ends = 0;
    cuddle_request *r[2];
    for (int i = 0; i < 2; i++) {
        const cuddle_segment prompt = prompt_of(i, 20);
        ck_ok(cuddle_request_submit(&r[i], h, &prompt, 1, &o, count_end, &ends, &err));
    }
    test_step(engine);
    test_step(engine);
    ck_assert(h->due_at >= r[0]->deadline && h->due_at <= r[0]->deadline); /* the first of them */
    for (int i = 0; i < 2; i++) r[i]->deadline -= 600; /* as if that time had passed; nobody steps meanwhile */
    h->due_at -= 600;
    test_run_steps(engine);
    ck_assert_int_eq(ends, 2);
    test_expect_failure(cuddle_request_wait(r[0], 0, &err), CUDDLE_E_LIMIT, &err);
    ck_assert_str_eq(err.text, "the request's timeout of 600000 ms passed after 2 tokens");
    test_expect_failure(cuddle_request_wait(r[1], 0, &err), CUDDLE_E_LIMIT, &err);
    const cuddle_result result = test_result(r[0]);
    ck_assert_int_eq(result.finish, CUDDLE_FINISH_DEADLINE);
    ck_assert_uint_eq(result.count, 2); /* what there is stays */
    ck_assert_uint_gt(result.text_length, 0);
    ck_assert_uint_eq(stats_of(engine).ended_deadline, 2);
    for (int i = 0; i < 2; i++) cuddle_request_free(r[i]);
    o.timeout_ms = -1;
    const cuddle_segment prompt = prompt_of(0, 3);
    test_expect_failure(cuddle_request_submit(&r[0], h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "timeout_ms"));
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* More than a step ends at once, waiting and running ones. */
START_TEST(many_may_be_cancelled_at_once)
{
    enum { MANY = 150 };
    cuddle_engine *engine = new_engine(0);
    cuddle_model *h = load(engine, 2, 0, 0, CUDDLE_AUTO);
    const cuddle_generation_options o = test_greedy(20);
    cuddle_request *r[MANY + 1];
    for (int i = 0; i <= MANY; i++) r[i] = submit(h, i, 5, &o);
    test_step(engine);
    for (int i = 0; i < MANY; i++) cuddle_request_cancel(r[i]);
    test_run_steps(engine);
    for (int i = 0; i <= MANY; i++) {
        ck_assert_int_eq(cuddle_request_finish(r[i]), i < MANY ? CUDDLE_FINISH_CANCELLED : CUDDLE_FINISH_LENGTH);
        cuddle_request_free(r[i]);
    }
    ck_assert_uint_eq(stats_of(engine).ended_cancelled, MANY);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* With a thread and nothing else to do: it has to wake by itself. */
static void hold_load(const cuddle_progress *p, void *user)
{
    (void)p;
    while (!__atomic_load_n((int *)user, __ATOMIC_SEQ_CST)) usleep(1000);
}

START_TEST(a_timeout_passes_while_the_model_loads)
{
    cuddle_engine *engine = new_engine(1);
    cuddle_model *h;
    cuddle_model_options m;
    cuddle_model_options_init(&m, sizeof m);
    int go_on = 0;
    m.load = test_on_cpu() ? CUDDLE_LOAD_READ : CUDDLE_LOAD_AUTO;
    m.max_context = 64;
    m.progress = hold_load;
    m.progress_user = &go_on;
    ck_ok(cuddle_model_load(&h, engine, test_path("models/kjv-gpt2"), &m, &err));
    cuddle_generation_options o = test_greedy(4);
    o.timeout_ms = 30;
    cuddle_request *r = submit(h, 1, 5, &o);
    const cuddle_status status = cuddle_request_wait(r, 20000, &err);
    __atomic_store_n(&go_on, 1, __ATOMIC_SEQ_CST);
    if (test_on_cpu()) test_expect_failure(status, CUDDLE_E_LIMIT, &err);
    cuddle_request_free(r);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

START_TEST(a_full_queue_refuses)
{
    cuddle_engine *engine = new_engine(0);
    cuddle_model *h = load(engine, 1, 0, 2, CUDDLE_AUTO);
    const cuddle_generation_options o = test_greedy(2);
    cuddle_request *r[3], *refused = (cuddle_request *)(void *)&err;
    for (int i = 0; i < 2; i++) r[i] = submit(h, i, 5, &o);
    const cuddle_segment prompt = prompt_of(5, 5);
    test_expect_failure(cuddle_request_submit(&refused, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_BUSY, &err);
    ck_assert_str_eq(err.text, "2 requests are waiting, at most 2 may");
    ck_assert_ptr_null(refused);
    test_step(engine); /* one runs now */
    r[2] = submit(h, 2, 5, &o);
    test_run_steps(engine);
    for (int i = 0; i < 3; i++) {
        ck_ok(cuddle_request_wait(r[i], 0, &err));
        cuddle_request_free(r[i]);
    }
    ck_assert_uint_eq(stats_of(engine).refused, 1);
    ck_assert_uint_eq(stats_of(engine).submitted, 3);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

START_TEST(a_drained_engine_finishes_what_it_has)
{
    cuddle_engine *engine = new_engine(0);
    cuddle_model *h = load(engine, 2, 0, 0, CUDDLE_AUTO);
    const cuddle_generation_options o = test_greedy(3);
    cuddle_request *r[3], *late;
    for (int i = 0; i < 3; i++) r[i] = submit(h, i, 5, &o);
    test_expect_failure(cuddle_engine_drain(engine, 5, &err), CUDDLE_E_BUSY, &err);
    ck_assert_str_eq(err.text, "3 requests are still running after 5 ms");
    const cuddle_segment prompt = prompt_of(5, 5);
    test_expect_failure(cuddle_request_submit(&late, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_CANCELLED, &err);
    test_run_steps(engine);
    ck_ok(cuddle_engine_drain(engine, 0, &err));
    for (int i = 0; i < 3; i++) {
        ck_ok(cuddle_request_wait(r[i], 0, &err));
        ck_assert_uint_eq(test_result(r[i]).count, 3);
        cuddle_request_free(r[i]);
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);

    engine = new_engine(1);
    h = load(engine, 2, 0, 0, CUDDLE_AUTO);
    for (int i = 0; i < 3; i++) r[i] = submit(h, i, 5, &o);
    ck_ok(cuddle_engine_drain(engine, -1, &err));
    for (int i = 0; i < 3; i++) {
        ck_ok(cuddle_request_wait(r[i], 0, &err));
        cuddle_request_free(r[i]);
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

static uint64_t counted(const cuddle_histogram *h)
{
    uint64_t n = 0;
    for (int i = 0; i < CUDDLE_HISTOGRAM_BUCKETS; i++) n += h->buckets[i];
    ck_assert_uint_eq(n, h->count);
    return n;
}

START_TEST(counts_add_up)
{
    cuddle_engine *engine = new_engine(0);
    cuddle_model *h = load(engine, 2, 0, 0, CUDDLE_AUTO);
    const cuddle_generation_options o = test_greedy(7);
    cuddle_request *r[4];
    for (int i = 0; i < 4; i++) r[i] = submit(h, i, 10, &o);
    ck_assert_int_eq(stats_of(engine).queued, 4);
    test_step(engine);
    ck_assert_int_eq(stats_of(engine).queued, 2);
    ck_assert_int_eq(stats_of(engine).running, 2);
    ck_assert_uint_ge(stats_of(engine).kv_pages_used, 2);
    cuddle_request_cancel(r[3]);
    test_run_steps(engine);
    const cuddle_engine_stats s = stats_of(engine);
    ck_assert_uint_eq(s.submitted, 4);
    ck_assert_uint_eq(s.ended_length, 3);
    ck_assert_uint_eq(s.ended_cancelled, 1);
    ck_assert_uint_eq(s.generated_tokens, 3 * 7);
    ck_assert_uint_eq(s.prompt_tokens, 3 * 10);
    ck_assert_uint_eq(s.prefix_asked, 3 * 10);
    ck_assert_uint_eq(s.kv_pages_used, 0);
    ck_assert_uint_eq(s.kv_pages_cached, 3); /* of each, the one page that was full: 16 of 16 computed positions */
    ck_assert_uint_eq(counted(&s.queue_seconds), 3);
    ck_assert_uint_eq(counted(&s.first_token_seconds), 3);
    ck_assert_uint_eq(counted(&s.interval_seconds), 3 * 6);
    ck_assert_uint_eq(counted(&s.request_seconds), 4);
    ck_assert_uint_eq(counted(&s.step_seconds), s.steps);
    ck_assert(s.model_seconds > 0 && s.model_seconds < s.step_seconds.sum);
    ck_assert(cuddle_histogram_bound(0) > 0.99e-5 && cuddle_histogram_bound(0) < 1.01e-5);
    for (int i = 1; i < CUDDLE_HISTOGRAM_BUCKETS; i++) ck_assert(cuddle_histogram_bound(i) > cuddle_histogram_bound(i - 1));
    ck_assert(cuddle_histogram_bound(CUDDLE_HISTOGRAM_BUCKETS - 1) > 1e300);
    for (int i = 0; i < 4; i++) cuddle_request_free(r[i]);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------- choices */

static cuddle_generation_options sampled(int tokens, uint64_t seed)
{
    cuddle_generation_options o = test_greedy(tokens);
    o.temperature = 1.1f;
    o.seed = seed;
    o.logprobs = 0;
    return o;
}

typedef struct heard { int tokens[4], ends[4]; char text[4][256]; } heard;

static void listen(cuddle_request *r, const cuddle_event *e, void *user)
{
    (void)r;
    heard *x = user;
    ck_assert(e->choice >= 0 && e->choice < 4);
    x->tokens[e->choice] += (int)e->token_count;
    x->ends[e->choice] += e->finish == CUDDLE_FINISH_LENGTH;
    strncat(x->text[e->choice], e->text, e->length);
}

/* Choice i is what a request with the seed + i gives, and computes nothing of the prompt again but its last row, which gives the first token. One of
 * them finds no place until the first has ended. */
START_TEST(choices_are_requests_of_their_own_seeds)
{
    enum { N = 4, NEW = 12 };
    cuddle_engine *engine = new_engine(0);
    cuddle_model *h = load(engine, 3, 0, 0, _i ? CUDDLE_OFF : CUDDLE_AUTO); /* they share what they have computed in any case */
    cuddle_generation_options o = sampled(NEW, 70);
    o.n = N;
    heard x = { .tokens = { 0 } };
    cuddle_request *r;
    const cuddle_segment prompt = prompt_of(3, 37);
    ck_ok(cuddle_request_submit(&r, h, &prompt, 1, &o, listen, &x, &err));
    ck_assert_int_eq(cuddle_request_choices(r), N);
    ck_assert_int_eq(stats_of(engine).queued, N);
    test_run_steps(engine);
    ck_ok(cuddle_request_wait(r, 0, &err));
    ck_assert_uint_eq(stats_of(engine).rows, 37 + (N - 1) + N * (NEW - 1));
    ck_assert_uint_eq(stats_of(engine).submitted, 1);
    ck_assert_uint_eq(stats_of(engine).ended_length, 1);
    for (int i = 0; i < N; i++) {
        cuddle_generation_options alone = sampled(NEW, 70 + (uint64_t)i);
        alone.cache_salt = 1;
        cuddle_request *one = submit(h, 3, 37, &alone);
        test_run_steps(engine);
        const cuddle_result want = test_result(one);
        cuddle_result got = { .struct_size = sizeof got };
        ck_ok(cuddle_request_result_of(r, i, &got, &err));
        ck_assert_uint_eq(got.count, NEW);
        ck_assert_mem_eq(got.ids, want.ids, NEW * sizeof *got.ids);
        ck_assert_mem_eq(got.logprobs, want.logprobs, NEW * sizeof *got.logprobs);
        ck_assert_str_eq(got.text, want.text);
        ck_assert_int_eq(got.cached_tokens, i ? 36 : 0);
        ck_assert_int_eq(x.tokens[i], NEW);
        ck_assert_int_eq(x.ends[i], 1);
        ck_assert_str_eq(x.text[i], want.text);
        ck_assert_str_eq(cuddle_request_next_text_of(r, i, NULL), want.text);
        cuddle_request_free(one);
    }
    ck_assert_str_eq(cuddle_request_next_text_of(r, N, NULL), "");
    o.n = 2; /* another request with the same prompt takes it over only where the cache is on */
    cuddle_request *next = submit(h, 3, 37, &o);
    test_run_steps(engine);
    cuddle_result second = { .struct_size = sizeof second };
    ck_ok(cuddle_request_result_of(next, 1, &second, &err));
    ck_assert_int_eq(test_result(next).cached_tokens, _i ? 0 : 32);
    ck_assert_int_eq(second.cached_tokens, 36);
    cuddle_request_free(next);
    cuddle_result none = { .struct_size = sizeof none };
    test_expect_failure(cuddle_request_result_of(r, N, &none, &err), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "choice is 4, the request has 4");
    cuddle_request_free(r);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

static int by_mean_descending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

START_TEST(the_best_of_several_are_given)
{
    enum { MADE = 5, N = 2, NEW = 8 };
    cuddle_engine *engine = new_engine(0);
    cuddle_model *h = load(engine, 8, 0, 0, CUDDLE_AUTO);
    double mean[MADE];
    for (int i = 0; i < MADE; i++) {
        const cuddle_generation_options alone = sampled(NEW, 5 + (uint64_t)i);
        cuddle_request *one = submit(h, 3, 20, &alone);
        test_run_steps(engine);
        const cuddle_result result = test_result(one);
        mean[i] = 0;
        for (int k = 0; k < NEW; k++) mean[i] += (double)result.logprobs[k] / NEW;
        ck_assert(mean[i] - result.mean_logprob < 1e-6 && mean[i] - result.mean_logprob > -1e-6);
        cuddle_request_free(one);
    }
    qsort(mean, MADE, sizeof *mean, by_mean_descending);
    cuddle_generation_options o = sampled(NEW, 5);
    o.n = N;
    o.best_of = MADE;
    o.logprobs = -1;
    cuddle_request *r = submit(h, 3, 20, &o);
    test_step(engine);
    size_t length;
    ck_assert_str_eq(cuddle_request_next_text_of(r, 0, &length), ""); /* nobody knows yet */
    test_run_steps(engine);
    ck_assert_int_eq(cuddle_request_choices(r), N);
    for (int i = 0; i < N; i++) {
        cuddle_result got = { .struct_size = sizeof got };
        ck_ok(cuddle_request_result_of(r, i, &got, &err));
        ck_assert(mean[i] - got.mean_logprob < 1e-6 && mean[i] - got.mean_logprob > -1e-6);
        ck_assert_ptr_null(got.logprobs); /* not asked for */
        ck_assert_str_eq(cuddle_request_next_text_of(r, i, &length), got.text);
    }
    cuddle_request_free(r);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

START_TEST(choices_that_cannot_be_are_refused)
{
    cuddle_engine *engine = new_engine(0);
    cuddle_model *h = load(engine, 2, 0, 3, CUDDLE_AUTO);
    const struct { int n, best_of; cuddle_event_fn fn; cuddle_status status; const char *part; } cases[] = {
        { -1, 0, NULL, CUDDLE_E_ARG, "n is -1, expected 0 to 128" },
        { 129, 0, NULL, CUDDLE_E_ARG, "n is 129, expected 0 to 128" },
        { 3, 2, NULL, CUDDLE_E_ARG, "best_of is 2, expected n, which is 3, or more" },
        { 1, 2, count_end, CUDDLE_E_ARG, "on_event must be NULL" },
        { 4, 0, NULL, CUDDLE_E_BUSY, "0 requests are waiting, at most 3 may" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cuddle_generation_options o = test_greedy(2);
        o.n = cases[i].n;
        o.best_of = cases[i].best_of;
        cuddle_request *r;
        const cuddle_segment prompt = prompt_of(0, 3);
        test_expect_failure(cuddle_request_submit(&r, h, &prompt, 1, &o, cases[i].fn, NULL, &err), cases[i].status, &err);
        ck_assert_msg(strstr(err.text, cases[i].part) != NULL, "%s", err.text);
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* Cancelled and freed before, between and after the steps of its choices, all of which end. */
START_TEST(choices_end_together)
{
    cuddle_engine *engine = new_engine(0);
    cuddle_model *h = load(engine, 2, 0, 0, CUDDLE_AUTO);
    for (int steps = 0; steps < 12; steps++)
        for (int freed = 0; freed < 2; freed++) {
            cuddle_generation_options o = sampled(4, 1);
            o.n = 3;
            heard x = { .tokens = { 0 } };
            cuddle_request *r;
            const cuddle_segment prompt = prompt_of(steps, 20);
            ck_ok(cuddle_request_submit(&r, h, &prompt, 1, &o, listen, &x, &err));
            for (int i = 0; i < steps; i++) test_step(engine);
            if (!freed) {
                const bool ended = cuddle_request_finish(r) != CUDDLE_FINISH_NONE;
                cuddle_request_cancel(r);
                test_run_steps(engine);
                const cuddle_status status = cuddle_request_wait(r, 0, &err);
                ck_assert_int_eq(status, ended ? CUDDLE_OK : CUDDLE_E_CANCELLED);
                setup();
            }
            cuddle_request_free(r);
            ck_assert_int_eq(stats_of(engine).queued + stats_of(engine).running, 0);
            ck_assert_uint_eq(stats_of(engine).kv_pages_used, 0);
        }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine_queue");
    TCase *t = tcase_create("engine_queue");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, a_prefix_is_computed_once);
    tcase_add_test(t, a_step_knows_its_sizes);
    tcase_add_test(t, a_prompt_whose_logprobs_are_wanted_is_computed);
    tcase_add_test(t, a_failed_step_leaves_nothing_to_take_over);
    tcase_add_test(t, a_cache_that_is_too_small_costs_time_only);
    tcase_add_test(t, a_higher_priority_goes_first_even_before_what_runs);
    tcase_add_test(t, a_timeout_ends_a_request_wherever_it_is);
    tcase_add_test(t, many_may_be_cancelled_at_once);
    tcase_add_test(t, a_timeout_passes_while_the_model_loads);
    tcase_add_test(t, a_full_queue_refuses);
    tcase_add_test(t, a_drained_engine_finishes_what_it_has);
    tcase_add_test(t, counts_add_up);
    tcase_add_loop_test(t, choices_are_requests_of_their_own_seeds, 0, 2);
    tcase_add_test(t, the_best_of_several_are_given);
    tcase_add_test(t, choices_that_cannot_be_are_refused);
    tcase_add_test(t, choices_end_together);
    suite_add_tcase(suite, t);
    return test_run(suite);
}
