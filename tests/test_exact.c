/* With `deterministic` a request's tokens and log-probabilities are the same to the bit, whoever runs beside it: alone, or among 50 neighbours that
 * cut its prompt into chunks, share its beginning, and take its pages away. Without, they differ at least once: so this test can fail. */
#include "engine_support.h"

#include <stdlib.h>
#include <string.h>

enum { NEIGHBOURS = 50, PROMPT = 40, NEW = 10, TOP = 3 };

static cuddle_error err;
static uint64_t state;

static void setup(void)
{
    err = (cuddle_error){ CUDDLE_OK, "" };
    state = 1;
}

static unsigned any(unsigned below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % below;
}

static const char *const checkpoints[] = { "parity/llama/llama3-rope", "parity/gemma2/base" };

static int rounds(void)
{
    const char *n = getenv("CUDDLE_TEST_ROUNDS");
    return n ? atoi(n) : 200;
}

static void open_model(cuddle_engine **engine, cuddle_model **h, const char *dir, cuddle_toggle deterministic, bool alone)
{
    cuddle_engine_options o = test_engine_options(1);
    o.deterministic = deterministic;
    *engine = test_engine(&o);
    cuddle_model_options m = test_model_options();
    m.max_context = 64;
    m.max_batch = alone ? 64 : deterministic == CUDDLE_ON ? 24 : 512; /* the prompt in one step, or in several */
    m.max_sequences = alone ? 1 : deterministic == CUDDLE_ON ? 8 : 32;
    m.kv_tokens = alone || deterministic != CUDDLE_ON ? 0 : 12 * 16; /* not enough for all who may run */
    m.prefix_cache = alone ? CUDDLE_OFF : CUDDLE_ON;
    *h = test_model(*engine, dir, &m);
}

typedef struct outcome {
    int32_t ids[NEW];
    float logprobs[NEW];
    cuddle_logprob top[NEW * TOP];
} outcome;

static outcome outcome_of(cuddle_request *r)
{
    const cuddle_result result = test_finished(r);
    outcome x = { { 0 }, { 0 }, { { 0, 0 } } };
    ck_assert_uint_eq(result.count, NEW);
    memcpy(x.ids, result.ids, sizeof x.ids);
    memcpy(x.logprobs, result.logprobs, sizeof x.logprobs);
    memcpy(x.top, result.top_logprobs, sizeof x.top);
    return x;
}

/* What is tested: a sampled request with log-probabilities, or a greedy one without, whose tokens a device picks itself. */
static cuddle_generation_options tested(bool sampled)
{
    cuddle_generation_options o = test_greedy(NEW);
    o.temperature = sampled ? 1.5f : 0;
    o.seed = 11;
    o.repetition_penalty = 1.2f;
    o.logprobs = TOP;
    return o;
}

/* Somebody else: another prompt or the same beginning, of any length, greedy or not, with or without log-probabilities, sometimes first in line. */
static cuddle_request *neighbour(cuddle_model *h, const int32_t *prompt, int vocabulary)
{
    int32_t ids[PROMPT];
    const int count = 1 + (int)any(PROMPT - 10), same = any(3) == 0 ? (int)any(PROMPT) : 0;
    for (int i = 0; i < count; i++) ids[i] = i < same ? prompt[i] : (int32_t)any((unsigned)vocabulary);
    cuddle_generation_options o = test_greedy(1 + (int)any(33)); /* two pages more than it begins with, or none */
    o.temperature = any(2) ? 0 : 1.0f;
    o.seed = any(1000);
    o.logprobs = any(4) == 0 ? 1 : -1;
    o.prompt_logprobs = any(8) == 0;
    o.priority = any(10) == 0;
    return test_submit_ids(h, ids, (size_t)count, &o);
}

/* How many rounds among neighbours differ from what the request gives alone. */
static int differences(const char *dir, cuddle_toggle deterministic, int times)
{
    cuddle_engine *engine;
    cuddle_model *h;
    open_model(&engine, &h, dir, deterministic, true);
    const int vocabulary = cuddle_model_vocabulary(h);
    int32_t prompt[PROMPT];
    for (int i = 0; i < PROMPT; i++) prompt[i] = (int32_t)any((unsigned)vocabulary);
    outcome alone[2];
    for (int sampled = 0; sampled < 2; sampled++) {
        const cuddle_generation_options o = tested(sampled);
        cuddle_request *r = test_submit_ids(h, prompt, PROMPT, &o);
        alone[sampled] = outcome_of(r);
        cuddle_request_free(r);
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);

    open_model(&engine, &h, dir, deterministic, false);
    int different = 0;
    for (int round = 0; round < times; round++) {
        cuddle_request *others[NEIGHBOURS], *r = NULL;
        const cuddle_generation_options o = tested(round % 2);
        const int at = (int)any(NEIGHBOURS);
        for (int i = 0; i < NEIGHBOURS; i++) {
            if (i == at) r = test_submit_ids(h, prompt, PROMPT, &o);
            others[i] = neighbour(h, prompt, vocabulary);
        }
        for (int i = 0; i < NEIGHBOURS; i++)
            if (any(10) == 0) cuddle_request_cancel(others[i]);
        const outcome got = outcome_of(r);
        const outcome *want = &alone[round % 2];
        different += memcmp(got.ids, want->ids, sizeof got.ids) != 0 || memcmp(got.logprobs, want->logprobs, sizeof got.logprobs) != 0 ||
                     memcmp(got.top, want->top, sizeof got.top) != 0;
        cuddle_request_free(r);
        for (int i = 0; i < NEIGHBOURS; i++) cuddle_request_free(others[i]);
    }
    cuddle_engine_stats stats = { .struct_size = sizeof stats };
    ck_ok(cuddle_engine_get_stats(engine, &stats, &err));
    ck_assert_uint_gt(stats.prefix_hits, 0);
    ck_assert_uint_gt(stats.mixed_steps, 0);
    if (deterministic == CUDDLE_ON && times >= 20) ck_assert_uint_gt(stats.preempted, 0);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
    return different;
}

START_TEST(neighbours_change_nothing)
{
    ck_assert_int_eq(differences(checkpoints[_i], CUDDLE_ON, rounds()), 0);
}
END_TEST

START_TEST(without_deterministic_they_do)
{
    if (test_on_cpu() && !strstr(cuddle_features(), "onednn=on")) return; /* our own kernels add in one order anyway */
    ck_assert_int_gt(differences(checkpoints[0], CUDDLE_OFF, rounds() < 10 ? rounds() : 10), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exact");
    TCase *t = tcase_create("exact");
    tcase_set_timeout(t, 900);
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_loop_test(t, neighbours_change_nothing, 0, (int)(sizeof checkpoints / sizeof *checkpoints));
    tcase_add_test(t, without_deterministic_they_do);
    suite_add_tcase(suite, t);
    return test_run(suite);
}
