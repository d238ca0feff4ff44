/* bench_engine: what many requests on one model get, in one interleaved run.
 *
 *   bench_engine CHECKPOINT [ROUNDS [share]]      ROUNDS: 5 unless given; `share`: the last three lines alone
 *
 * Each round measures every line once; printed are medians with the least and the most, and ratios taken within a round.
 *   - output tokens per second of 1 and of 16 requests at once, 128 tokens in and 128 out, with `deterministic` on and off
 *   - time to the first token of a prompt of 2,048 tokens, new and with nine tenths of it in the prefix cache
 *   - the share of a step that is not the model, with 64 requests that decode: admission, rows, and tokens, which are the likeliest, or
 *     sampled (temperature 0.8, top-p 0.95) from the 50 likeliest or from all */
#include "cuddle.h"
#include "series.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MANY = 16, IN = 128, OUT = 128, LONG = 2048, KNOWN = LONG / 10 * 9, BATCH = 64, BATCH_OUT = 8, SHARES = 3 };

typedef enum choice { GREEDY, SAMPLED_OF_50, SAMPLED } choice; /* of tokens */

static struct { int rounds; uint64_t random; } bench = { 5, 1 };

static void die(const char *what, const cuddle_error *err)
{
    fprintf(stderr, "bench_engine: %s: %s\n", what, err->text);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fill(int32_t *ids, int count, int vocabulary)
{
    for (int i = 0; i < count; i++) {
        bench.random = bench.random * 6364136223846793005u + 1442695040888963407u;
        ids[i] = (int32_t)((bench.random >> 33) % (uint64_t)vocabulary);
    }
}

static cuddle_model *load(cuddle_engine **engine, const char *path, cuddle_toggle deterministic, int sequences)
{
    cuddle_error err;
    cuddle_model *model;
    cuddle_engine_options e;
    cuddle_engine_options_init(&e, sizeof e);
    e.deterministic = deterministic;
    cuddle_model_options o;
    cuddle_model_options_init(&o, sizeof o);
    o.max_context = LONG + OUT;
    o.max_sequences = sequences;
    o.kv_tokens = sequences * (IN + OUT) + 4 * (LONG + OUT);
    if (cuddle_engine_new(engine, &e, &err) || cuddle_model_load(&model, *engine, path, &o, &err) || cuddle_model_wait(model, -1, &err)) die(path, &err);
    return model;
}

static cuddle_request *submit(cuddle_model *model, const int32_t *ids, int count, int out, choice how)
{
    cuddle_error err;
    cuddle_request *r;
    cuddle_generation_options o;
    cuddle_generation_options_init(&o, sizeof o);
    o.max_tokens = out;
    o.temperature = how == GREEDY ? 0 : 0.8f;
    o.top_p = how == GREEDY ? 1 : 0.95f;
    o.top_k = how == SAMPLED_OF_50 ? 50 : 0;
    o.ignore_eos = 1;
    const cuddle_segment prompt = { .kind = CUDDLE_SEGMENT_TOKENS, .tokens = ids, .count = (size_t)count };
    if (cuddle_request_submit(&r, model, &prompt, 1, &o, NULL, NULL, &err)) die("submit", &err);
    return r;
}

static void finish(cuddle_request *r, cuddle_result *result)
{
    cuddle_error err;
    if (cuddle_request_wait(r, -1, &err) || (result && cuddle_request_result(r, result, &err))) die("request", &err);
}

/* Output tokens per second, prompts included in the time. */
static double throughput(cuddle_model *model, int count, int in, int out, choice how)
{
    cuddle_request *r[BATCH];
    int32_t ids[IN];
    const double began = now();
    for (int i = 0; i < count; i++) {
        fill(ids, in, cuddle_model_vocabulary(model));
        r[i] = submit(model, ids, in, out, how);
    }
    for (int i = 0; i < count; i++) finish(r[i], NULL);
    const double seconds = now() - began;
    for (int i = 0; i < count; i++) cuddle_request_free(r[i]);
    return (double)count * out / seconds;
}

static double first_token(cuddle_model *model, const int32_t *ids, int *cached)
{
    cuddle_result result = { .struct_size = sizeof result };
    cuddle_request *r = submit(model, ids, LONG, 1, GREEDY);
    finish(r, &result);
    *cached = result.cached_tokens;
    const double seconds = result.prefill_seconds;
    cuddle_request_free(r);
    return seconds;
}

/* The share of steps that is not the model. */
static double overhead(cuddle_engine *engine, cuddle_model *model, choice how)
{
    cuddle_error err;
    cuddle_engine_stats before = { .struct_size = sizeof before }, after = before;
    if (cuddle_engine_get_stats(engine, &before, &err)) die("statistics", &err);
    throughput(model, BATCH, 1, BATCH_OUT, how); /* a prompt of one token: each step has a row of each request */
    if (cuddle_engine_get_stats(engine, &after, &err)) die("statistics", &err);
    return 1 - (after.model_seconds - before.model_seconds) / (after.step_seconds.sum - before.step_seconds.sum);
}

static void print_shares(const series *rest)
{
    static const char *const names[SHARES] = { "greedy", "sampled of the 50 likeliest", "sampled of all" };
    for (int i = 0; i < SHARES; i++) {
        char what[128];
        snprintf(what, sizeof what, "of a step that is not the model, %d requests, %s", BATCH, names[i]);
        line(what, &rest[i], bench.rounds, 100, "%");
    }
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 4 || (argc == 4 && strcmp(argv[3], "share") != 0))
        return fprintf(stderr, "usage: bench_engine CHECKPOINT [ROUNDS [share]]\n"), 2;
    const int models = argc == 4 ? 1 : 2;
    if (argc > 2) bench.rounds = atoi(argv[2]);
    if (bench.rounds < 1 || bench.rounds > ROUNDS_MOST) return fprintf(stderr, "bench_engine: ROUNDS is 1 to %d\n", ROUNDS_MOST), 2;
    static const char *const names[2] = { "deterministic on", "deterministic off" };
    static series one[2], many[2], gain[2], cold, warm, ratio, rest[SHARES];
    cuddle_engine *engine[2];
    cuddle_model *model[2];
    int cached = 0;
    for (int i = 0; i < models; i++) model[i] = load(&engine[i], argv[1], i ? CUDDLE_OFF : CUDDLE_ON, BATCH);
    printf("cuddle %s, %s, %s\n\n| what | median | range of %d |\n|---|---|---|\n", cuddle_version(), cuddle_engine_device_name(engine[0]), argv[1],
           bench.rounds);
    for (int i = 0; i < models; i++) throughput(model[i], 2, 16, 4, GREEDY);
    for (int round = 0; round < bench.rounds; round++) {
        for (int k = 0; k < SHARES; k++) rest[k].value[round] = overhead(engine[0], model[0], (choice)k);
        if (models == 1) continue;
        for (int i = 0; i < 2; i++) {
            one[i].value[round] = throughput(model[i], 1, IN, OUT, GREEDY);
            many[i].value[round] = throughput(model[i], MANY, IN, OUT, GREEDY);
            gain[i].value[round] = many[i].value[round] / one[i].value[round];
        }
        static int32_t ids[LONG];
        fill(ids, LONG, cuddle_model_vocabulary(model[0]));
        cold.value[round] = first_token(model[0], ids, &cached);
        fill(ids + KNOWN, LONG - KNOWN, cuddle_model_vocabulary(model[0]));
        warm.value[round] = first_token(model[0], ids, &cached);
        ratio.value[round] = warm.value[round] / cold.value[round];
    }
    for (int i = 0; i < 2 && models == 2; i++) {
        char what[128];
        snprintf(what, sizeof what, "1 request, %d in, %d out, %s", IN, OUT, names[i]);
        line(what, &one[i], bench.rounds, 1, "tokens/s");
        snprintf(what, sizeof what, "%d requests at once, %s", MANY, names[i]);
        line(what, &many[i], bench.rounds, 1, "tokens/s");
        snprintf(what, sizeof what, "%d requests over 1, %s", MANY, names[i]);
        line(what, &gain[i], bench.rounds, 1, "x");
    }
    if (models == 2) {
        char what[128];
        snprintf(what, sizeof what, "the same, %d of them in the prefix cache", cached);
        line("first token of 2,048 tokens, new", &cold, bench.rounds, 1, "s");
        line(what, &warm, bench.rounds, 1, "s");
        line("cached over new", &ratio, bench.rounds, 1, "x");
    }
    print_shares(rest);
    for (int i = 0; i < models; i++) {
        cuddle_model_free(model[i]);
        cuddle_engine_free(engine[i]);
    }
    return 0;
}
