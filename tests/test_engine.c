/* The engine through cuddle.h: several requests in one step, streaming, stopping, cancelling, and every order of freeing. */
#include "engine_support.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROMPTS = 4, TOKENS = 24 };
static const char *const prompts[PROMPTS] = { "In the beginning", "And God said", "Moses", "And it came to pass, that the king" };

static cuddle_error err;

static void setup(void) { err = (cuddle_error){ CUDDLE_OK, "" }; }

static cuddle_engine *new_engine(int threads)
{
    const cuddle_engine_options o = test_engine_options(threads);
    return test_engine(&o);
}

static cuddle_model *load(cuddle_engine *engine, const char *dir)
{
    cuddle_model *h;
    cuddle_model_options o;
    cuddle_model_options_init(&o, sizeof o);
    o.dtype = "float32";
    o.max_context = 40;
    o.max_batch = 16; /* small, so that prompts come in chunks */
    ck_ok(cuddle_model_load(&h, engine, dir, &o, &err));
    return h;
}

static cuddle_model *load_demo(cuddle_engine *engine)
{
    cuddle_model_options o = test_model_options();
    o.max_context = 128;
    o.max_batch = 16;
    o.max_sequences = 4;
    return test_model(engine, "models/kjv-gpt2", &o);
}

static cuddle_request *submit(cuddle_model *h, const char *prompt, const cuddle_generation_options *o, cuddle_event_fn fn, void *user)
{
    cuddle_request *r;
    ck_ok(cuddle_request_submit(&r, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TEXT, .text = prompt, .count = strlen(prompt) }, 1, o, fn, user, &err));
    return r;
}

/* ------------------------------------------------------------------------------------------------------- generating */

static void copy_checkpoint(char dir[512], const char *from)
{
    snprintf(dir, 512, "%s/copy", test_temp_dir());
    char command[2048];
    snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s' '%s'", dir, from, dir);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(requests_share_steps_and_do_not_change_each_other)
{
    cuddle_engine *engine = new_engine(1);
    cuddle_model *h = load_demo(engine);
    int32_t alone[PROMPTS][TOKENS];
    float logprob[PROMPTS][TOKENS];
    for (int seeded = 0; seeded < 2; seeded++) {
        cuddle_request *r[PROMPTS];
        for (int together = 0; together < 2; together++) {
            for (int i = 0; i < PROMPTS; i++) {
                cuddle_generation_options o = test_greedy(TOKENS);
                o.logprobs = 0;
                if (seeded) o.temperature = 0.9f, o.seed = (uint64_t)(100 + i);
                r[i] = submit(h, prompts[i], &o, NULL, NULL);
                if (!together) ck_ok(cuddle_request_wait(r[i], -1, &err));
            }
            for (int i = 0; i < PROMPTS; i++) {
                ck_ok(cuddle_request_wait(r[i], -1, &err));
                const cuddle_result result = test_result(r[i]);
                ck_assert_uint_eq(result.count, TOKENS);
                for (int k = 0; k < TOKENS; k++) {
                    if (!together) alone[i][k] = result.ids[k], logprob[i][k] = result.logprobs[k];
                    ck_assert_int_eq(result.ids[k], alone[i][k]);
                    ck_assert(memcmp(&result.logprobs[k], &logprob[i][k], sizeof(float)) == 0); /* the same bits */
                }
                cuddle_request_free(r[i]);
            }
        }
    }
    cuddle_engine_stats stats = { .struct_size = sizeof stats };
    ck_ok(cuddle_engine_get_stats(engine, &stats, &err));
    ck_assert_uint_gt(stats.mixed_steps, 0);
    ck_assert_uint_eq(stats.generated_tokens, 4 * PROMPTS * TOKENS);
    ck_assert_uint_eq(stats.kv_pages_used, 0);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

typedef struct heard { char text[4096]; size_t length; int32_t tokens[512]; size_t count; int events, ends; cuddle_finish finish; } heard;

static void on_event(cuddle_request *r, const cuddle_event *e, void *user)
{
    (void)r;
    heard *h = user;
    ck_assert_int_eq(h->ends, 0);
    memcpy(h->text + h->length, e->text, e->length);
    h->length += e->length;
    for (size_t i = 0; i < e->token_count; i++) h->tokens[h->count++] = e->tokens[i];
    h->events++;
    if (e->finish) h->ends++, h->finish = e->finish;
}

START_TEST(events_and_polled_text_add_up_to_the_result)
{
    cuddle_engine *engine = new_engine(1);
    cuddle_model *h = load_demo(engine);
    heard seen = { .ends = 0 };
    const cuddle_generation_options o = test_greedy(TOKENS);
    cuddle_request *r = submit(h, prompts[0], &o, on_event, &seen);
    char polled[4096];
    size_t used = 0;
    do {
        size_t length;
        ck_ok(cuddle_request_wait_text(r, -1, &err));
        const char *text = cuddle_request_next_text(r, &length);
        memcpy(polled + used, text, length);
        used += length;
    } while (!cuddle_request_finish(r));
    size_t length;
    const char *text = cuddle_request_next_text(r, &length);
    memcpy(polled + used, text, length);
    used += length;
    const cuddle_result result = test_result(r);
    ck_assert_uint_eq(used, result.text_length);
    ck_assert(memcmp(polled, result.text, used) == 0);
    ck_assert_uint_gt(used, 0);
    cuddle_model_free(h); /* waits for the last callback */
    ck_assert_int_eq(seen.ends, 1);
    ck_assert_uint_eq(seen.length, result.text_length);
    ck_assert(memcmp(seen.text, result.text, seen.length) == 0);
    ck_assert_uint_eq(seen.count, result.count);
    ck_assert(memcmp(seen.tokens, result.ids, seen.count * sizeof(int32_t)) == 0);
    cuddle_request_free(r);
    cuddle_engine_free(engine);
}
END_TEST

/* The stop string is cut from the middle of what greedy decoding writes, so that it begins and ends inside tokens. */
START_TEST(stop_strings_end_the_text_across_token_borders)
{
    cuddle_engine *engine = new_engine(1);
    cuddle_model *h = load_demo(engine);
    cuddle_generation_options o = test_greedy(TOKENS);
    cuddle_request *r = submit(h, prompts[0], &o, NULL, NULL);
    ck_ok(cuddle_request_wait(r, -1, &err));
    char full[1024];
    snprintf(full, sizeof full, "%s", test_result(r).text);
    cuddle_request_free(r);
    ck_assert_uint_gt(strlen(full), 30);
    for (size_t at = 1; at + 12 < strlen(full) && at < 20; at++) {
        char stop[8];
        snprintf(stop, sizeof stop, "%.7s", full + at);
        const size_t first = (size_t)(strstr(full, stop) - full);
        const char *stops[] = { "never", stop };
        o.stop = stops;
        o.stop_count = 2;
        heard seen = { .ends = 0 };
        r = submit(h, prompts[0], &o, on_event, &seen);
        ck_ok(cuddle_request_wait(r, -1, &err));
        const cuddle_result result = test_result(r);
        ck_assert_int_eq(result.finish, CUDDLE_FINISH_STOP);
        ck_assert_uint_eq(result.text_length, first);
        ck_assert(memcmp(result.text, full, first) == 0);
        ck_assert_uint_le(result.count, TOKENS);
        cuddle_request_free(r); /* joins the last callback */
        ck_assert_uint_eq(seen.length, first);
        ck_assert(memcmp(seen.text, full, first) == 0);
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* Twice the first byte of a character of two: the first becomes U+FFFD when the second comes, the second in the end, when nothing does. */
START_TEST(half_a_character_becomes_text_in_the_end)
{
    cuddle_engine *engine = new_engine(1);
    cuddle_model *h = load_demo(engine);
    const int32_t half = cuddle_tokenizer_id(cuddle_model_tokenizer(h), "\u00c3"); /* how byte-level vocabularies spell the byte C3 */
    ck_assert_int_ge(half, 0);
    cuddle_generation_options o = test_greedy(2);
    o.allowed = &half;
    o.allowed_count = 1;
    heard seen = { .ends = 0 };
    cuddle_request *r = submit(h, prompts[0], &o, on_event, &seen);
    ck_ok(cuddle_request_wait(r, -1, &err));
    const cuddle_result result = test_result(r);
    ck_assert_uint_eq(result.count, 2);
    ck_assert_str_eq(result.text, "\uFFFD\uFFFD");
    ck_assert_str_eq(cuddle_request_next_text(r, NULL), result.text);
    cuddle_request_free(r); /* joins the last callback */
    ck_assert_uint_eq(seen.length, 6);

    const int32_t halves[] = { half, cuddle_tokenizer_id(cuddle_model_tokenizer(h), "\u00c4") };
    ck_assert_int_ge(halves[1], 0);
    o = test_greedy(1); /* the text of beams is made in the end */
    o.allowed = halves;
    o.allowed_count = 2;
    o.num_beams = o.n = 2;
    r = submit(h, prompts[0], &o, NULL, NULL);
    ck_ok(cuddle_request_wait(r, -1, &err));
    for (int i = 0; i < 2; i++) {
        cuddle_result beam = { .struct_size = sizeof beam };
        ck_ok(cuddle_request_result_of(r, i, &beam, &err));
        ck_assert_uint_eq(beam.count, 1);
        ck_assert_str_eq(beam.text, "\uFFFD");
    }
    cuddle_request_free(r);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

START_TEST(stop_tokens_end_the_output)
{
    cuddle_engine *engine = new_engine(1);
    cuddle_model *h = load_demo(engine);
    cuddle_generation_options o = test_greedy(TOKENS);
    cuddle_request *r = submit(h, prompts[1], &o, NULL, NULL);
    ck_ok(cuddle_request_wait(r, -1, &err));
    int32_t ids[TOKENS];
    memcpy(ids, test_result(r).ids, sizeof ids);
    cuddle_request_free(r);
    int first = 0;
    while (ids[first] != ids[5]) first++;
    o.stop_tokens = &ids[5];
    o.stop_token_count = 1;
    r = submit(h, prompts[1], &o, NULL, NULL);
    ck_ok(cuddle_request_wait(r, -1, &err));
    const cuddle_result result = test_result(r);
    ck_assert_int_eq(result.finish, CUDDLE_FINISH_EOS);
    ck_assert_uint_eq(result.count, (size_t)first + 1);
    ck_assert(memcmp(result.ids, ids, result.count * sizeof *ids) == 0);
    cuddle_request_free(r);
    o.stop_token_count = 0;
    o.suppress = &ids[0];
    o.suppress_count = 1;
    r = submit(h, prompts[1], &o, NULL, NULL);
    ck_ok(cuddle_request_wait(r, -1, &err));
    for (int i = 0; i < TOKENS; i++) ck_assert_int_ne(test_result(r).ids[i], ids[0]);
    cuddle_request_free(r);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* Log-probabilities of a prompt equal those the same tokens had when they were produced: one is teacher-forced, in chunks of a few rows,
 * the other decoded. */
START_TEST(prompt_logprobs_equal_those_of_the_tokens_when_produced)
{
    cuddle_engine *engine = new_engine(1);
    cuddle_model *h = load_demo(engine);
    cuddle_generation_options o = test_greedy(TOKENS);
    o.logprobs = 3;
    cuddle_request *r = submit(h, prompts[3], &o, NULL, NULL);
    ck_ok(cuddle_request_wait(r, -1, &err));
    const cuddle_result made = test_result(r);
    int32_t ids[128];
    memcpy(ids, made.prompt_ids, made.prompt_count * sizeof *ids);
    memcpy(ids + made.prompt_count, made.ids, made.count * sizeof *ids);
    for (size_t i = 0; i < made.count; i++) {
        ck_assert_int_eq(made.top_logprobs[i * 3].token, made.ids[i]); /* greedy: the likeliest */
        ck_assert(memcmp(&made.top_logprobs[i * 3].logprob, &made.logprobs[i], sizeof(float)) == 0);
        ck_assert(made.top_logprobs[i * 3].logprob >= made.top_logprobs[i * 3 + 1].logprob);
        ck_assert(made.logprobs[i] < 0);
    }
    o.logprobs = 0; /* of the chosen token alone: the same number */
    cuddle_request *chosen = submit(h, prompts[3], &o, NULL, NULL);
    ck_ok(cuddle_request_wait(chosen, -1, &err));
    const cuddle_result same = test_result(chosen);
    ck_assert_uint_eq(same.count, made.count);
    ck_assert_mem_eq(same.logprobs, made.logprobs, made.count * sizeof *made.logprobs);
    cuddle_request_free(chosen);
    o = test_greedy(1);
    o.prompt_logprobs = 1;
    cuddle_request *scored;
    ck_ok(cuddle_request_submit(&scored, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = ids, .count = made.prompt_count + made.count }, 1,
                                &o, NULL, NULL, &err));
    ck_ok(cuddle_request_wait(scored, -1, &err));
    const cuddle_result got = test_result(scored);
    ck_assert(got.prompt_logprobs[0] == 0.0f);
    for (size_t i = 0; i < made.count; i++)
        ck_assert(memcmp(&got.prompt_logprobs[made.prompt_count + i], &made.logprobs[i], sizeof(float)) == 0);
    cuddle_request_free(r);
    cuddle_request_free(scored);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* Llama's decoder drops the first token's leading space; a continuation is not a first token. Every token here is a word with a space. */
/* Where the backend picks tokens, log-probabilities bring logits to the host, and together with what is adjusted there the host picks: ways to the
 * same tokens. */
START_TEST(tokens_are_the_same_with_log_probabilities)
{
    enum { KINDS = 7 };
    cuddle_engine *engine = new_engine(1);
    cuddle_model *h = load_demo(engine);
    const int32_t likely[] = { 260 };
    const cuddle_sequence_bias bias = { likely, 1, 4 };
    cuddle_generation_options o[KINDS];
    for (int k = 0; k < KINDS; k++) {
        o[k] = test_greedy(TOKENS);
        o[k].temperature = 1.5f;
        o[k].top_k = 0;
        o[k].seed = (uint64_t)k;
    }
    o[1].frequency_penalty = 0.7f;
    o[2].no_repeat_ngram_size = 2;
    o[2].repetition_penalty = 1.3f;
    o[3].sequence_bias = &bias;
    o[3].sequence_bias_count = 1;
    o[4].typical_p = 0.8f;
    o[5].repetition_penalty = 1.3f;
    o[5].top_p = 0.9f;
    o[6].temperature = 0;
    o[6].presence_penalty = 0.5f;
    cuddle_request *r[3][KINDS];
    for (int way = 0; way < 3; way++)
        for (int k = 0; k < KINDS; k++) {
            o[k].logprobs = way > 0 ? 2 : -1;
            if (way == 2 && k != 1) o[k].frequency_penalty = 1e-30f; /* it changes nothing, but has to be adjusted */
            r[way][k] = submit(h, "And the king said, ", &o[k], NULL, NULL);
        }
    for (int k = 0; k < KINDS; k++) {
        const cuddle_result without = test_finished(r[0][k]);
        ck_assert_uint_eq(without.count, TOKENS);
        for (int way = 1; way < 3; way++) {
            const cuddle_result with = test_finished(r[way][k]);
            ck_assert_msg(memcmp(without.ids, with.ids, TOKENS * sizeof *with.ids) == 0, "other tokens of kind %d", k);
            ck_assert(with.logprobs[TOKENS - 1] < 0 && with.logprobs[TOKENS - 1] > -100);
        }
    }
    for (int way = 0; way < 3; way++)
        for (int k = 0; k < KINDS; k++) cuddle_request_free(r[way][k]);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

START_TEST(a_continuation_keeps_its_leading_space)
{
    char dir[512], path[600], json[8192];
    copy_checkpoint(dir, test_path("parity/llama/base"));
    size_t used = (size_t)snprintf(json, sizeof json,
        "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[],\"normalizer\":null,\"pre_tokenizer\":null,\"post_processor\":null,"
        "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\u2581\"},\"content\":\" \"},{\"type\":\"Fuse\"},"
        "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{");
    for (int i = 0; i < 120; i++) used += (size_t)snprintf(json + used, sizeof json - used, "%s\"\u2581w%d\":%d", i ? "," : "", i, i);
    used += (size_t)snprintf(json + used, sizeof json - used, "}}}");
    snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    test_write_file(path, json, used);
    cuddle_engine *engine = new_engine(1);
    cuddle_model *h = load(engine, dir);
    const cuddle_generation_options o = test_greedy(3);
    const int32_t prompt[] = { 7, 8 };
    cuddle_request *r;
    ck_ok(cuddle_request_submit(&r, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = prompt, .count = 2 }, 1, &o, NULL, NULL, &err));
    ck_ok(cuddle_request_wait(r, -1, &err));
    const cuddle_result result = test_result(r);
    char want[64];
    snprintf(want, sizeof want, " w%d w%d w%d", (int)result.ids[0], (int)result.ids[1], (int)result.ids[2]);
    ck_assert_str_eq(result.text, want);
    cuddle_request_free(r);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

START_TEST(a_foreign_loop_can_run_the_engine)
{
    cuddle_engine *engine = new_engine(0), *threaded = new_engine(1);
    cuddle_model *h = load_demo(engine);
    const cuddle_generation_options o = test_greedy(8);
    int worked = 0, steps = 0;
    cuddle_request *a = submit(h, prompts[0], &o, NULL, NULL), *b = submit(h, prompts[1], &o, NULL, NULL);
    test_expect_failure(cuddle_request_wait(a, 1, &err), CUDDLE_E_BUSY, &err); /* nobody steps */
    do {
        ck_ok(cuddle_engine_step(engine, &worked, &err));
        steps += worked;
    } while (worked);
    ck_ok(cuddle_request_wait(a, 0, &err));
    ck_ok(cuddle_request_wait(b, 0, &err));
    ck_assert_int_le(steps, 10); /* both prompts in one or two steps, then eight tokens together */
    test_expect_failure(cuddle_engine_step(threaded, &worked, &err), CUDDLE_E_ARG, &err);
    cuddle_request_free(a);
    cuddle_request_free(b);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
    cuddle_engine_free(threaded);
}
END_TEST

static void note_step(cuddle_request *r, const cuddle_event *e, void *user)
{
    (void)r, (void)e;
    int *first = user; /* [0]: the step under way, [1]: that of the first event */
    if (first[1] == 0) first[1] = first[0];
}

static cuddle_request *submit_ids(cuddle_model *h, const int32_t *ids, size_t count, const cuddle_generation_options *o, cuddle_event_fn fn, void *user)
{
    cuddle_request *r;
    ck_ok(cuddle_request_submit(&r, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = ids, .count = count }, 1, o, fn, user, &err));
    return r;
}

/* 16 rows in a step, two prompts of 36: they take turns, 16 and 16, again, then 4 and 4. Whoever is left out of a step has not run in it. */
START_TEST(long_prompts_take_turns)
{
    enum { LENGTH = 36, NEW = 3 };
    cuddle_engine *engine = new_engine(0);
    cuddle_model *h = load_demo(engine);
    cuddle_generation_options o = test_greedy(NEW);
    int32_t ids[2][LENGTH], alone[2][NEW];
    for (int i = 0; i < 2 * LENGTH; i++) ids[i / LENGTH][i % LENGTH] = 20 + i * 7 % 100;
    for (int together = 0; together < 2; together++) {
        cuddle_request *r[2];
        int first[2][2] = { { 0, 0 }, { 0, 0 } };
        o.cache_salt = (uint64_t)together; /* nothing is taken over from the first round */
        for (int i = 0; i < 2; i++) {
            r[i] = submit_ids(h, ids[i], LENGTH, &o, note_step, first[i]);
            if (!together && i == 0) {
                for (int worked = 1; worked;) ck_ok(cuddle_engine_step(engine, &worked, &err));
            }
        }
        int worked = 1;
        for (int step = 1; worked; step++) {
            first[0][0] = first[1][0] = step;
            ck_ok(cuddle_engine_step(engine, &worked, &err));
        }
        for (int i = 0; i < 2; i++) {
            ck_ok(cuddle_request_wait(r[i], 0, &err));
            const cuddle_result result = test_result(r[i]);
            ck_assert_uint_eq(result.count, NEW);
            if (!together) memcpy(alone[i], result.ids, sizeof alone[i]);
            ck_assert_mem_eq(result.ids, alone[i], sizeof alone[i]);
            if (together) ck_assert_int_eq(first[i][1], 5);
            cuddle_request_free(r[i]);
        }
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* -------------------------------------------------------------------------------------------- refusals and lifetimes */

START_TEST(requests_that_cannot_run_are_refused_with_numbers)
{
    cuddle_engine *engine = new_engine(1);
    cuddle_model *h = load(engine, test_path("parity/llama/base"));
    ck_ok(cuddle_model_wait(h, -1, &err));
    int32_t ids[64] = { 0 };
    cuddle_request *r;
    cuddle_generation_options o = test_greedy(8);
    const cuddle_segment fits = { .kind = CUDDLE_SEGMENT_TOKENS, .tokens = ids, .count = 30 };
    cuddle_segment s = fits;
    s.count = 33;
    test_expect_failure(cuddle_request_submit(&r, h, &s, 1, &o, NULL, NULL, &err), CUDDLE_E_LIMIT, &err);
    ck_assert_ptr_null(r);
    ck_assert_ptr_nonnull(strstr(err.text, "33"));
    ck_assert_ptr_nonnull(strstr(err.text, "40"));
    s.count = 64;
    test_expect_failure(cuddle_request_submit(&r, h, &s, 1, NULL, NULL, NULL, &err), CUDDLE_E_LIMIT, &err);
    s.count = 0;
    test_expect_failure(cuddle_request_submit(&r, h, &s, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, &err);
    s = fits;
    ids[7] = cuddle_model_vocabulary(h);
    test_expect_failure(cuddle_request_submit(&r, h, &s, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, &err);
    ids[7] = -1;
    test_expect_failure(cuddle_request_submit(&r, h, &s, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, &err);
    ids[7] = 0;
    s = (cuddle_segment){ .kind = CUDDLE_SEGMENT_TEXT, .text = "a", .count = 1 };
    test_expect_failure(cuddle_request_submit(&r, h, &s, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, &err); /* no tokenizer */
    s = fits;
    const struct { float *field; float value; } bad[] = { { &o.temperature, -0.5f }, { &o.temperature, NAN }, { &o.top_p, 1.5f }, { &o.min_p, -0.1f },
                                                          { &o.repetition_penalty, 0 } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        *bad[i].field = bad[i].value;
        test_expect_failure(cuddle_request_submit(&r, h, &s, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, &err);
        o = test_greedy(8);
    }
    o.max_tokens = -2;
    test_expect_failure(cuddle_request_submit(&r, h, &s, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, &err);
    o = test_greedy(8);
    o.logprobs = 21;
    test_expect_failure(cuddle_request_submit(&r, h, &s, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, &err);
    o = test_greedy(8);
    o.struct_size = 0;
    test_expect_failure(cuddle_request_submit(&r, h, &s, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, &err);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

START_TEST(requests_can_be_cancelled_in_the_queue_and_while_running)
{
    cuddle_engine *engine = new_engine(1);
    cuddle_model *h = load_demo(engine);
    const cuddle_generation_options o = test_greedy(100);
    enum { MANY = 12 }; /* four run, the rest waits */
    heard seen[MANY];
    cuddle_request *r[MANY];
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < MANY; i++) r[i] = submit(h, prompts[i % PROMPTS], &o, on_event, &seen[i]);
    ck_ok(cuddle_request_wait_text(r[0], -1, &err));
    for (int i = 0; i < MANY; i += 2) cuddle_request_cancel(r[i]);
    for (int i = 0; i < MANY; i++) {
        const cuddle_status status = cuddle_request_wait(r[i], -1, &err);
        if (i % 2 == 0 && status == CUDDLE_OK) ck_assert_uint_eq(test_result(r[i]).count, 100); /* it was faster */
        else if (i % 2 == 0) test_expect_failure(status, CUDDLE_E_CANCELLED, &err);
        else ck_assert_int_eq(status, CUDDLE_OK);
    }
    for (int i = 0; i < MANY; i++) {
        cuddle_request_free(r[i]);
        ck_assert_int_eq(seen[i].ends, 1);
    }
    cuddle_engine_stats stats = { .struct_size = sizeof stats };
    ck_ok(cuddle_engine_get_stats(engine, &stats, &err));
    ck_assert_uint_eq(stats.kv_pages_used, 0);
    ck_assert_int_eq(stats.running + stats.queued, 0);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* _i: bit 0: wait for text first; bits 1-2: which of the three goes first. */
START_TEST(handles_can_be_freed_in_any_order)
{
    cuddle_engine *engine = new_engine(_i & 8 ? 0 : 1);
    cuddle_model *h = load_demo(engine);
    const cuddle_generation_options o = test_greedy(90);
    cuddle_request *a = submit(h, prompts[0], &o, NULL, NULL), *b = submit(h, prompts[1], &o, NULL, NULL);
    if (_i & 1 && !(_i & 8)) ck_ok(cuddle_request_wait_text(a, -1, &err));
    switch (_i >> 1 & 3) {
    case 0: cuddle_engine_free(engine); cuddle_model_free(h); cuddle_request_free(a); cuddle_request_free(b); break;
    case 1: cuddle_model_free(h); cuddle_request_free(b); cuddle_engine_free(engine); cuddle_request_free(a); break;
    case 2: cuddle_request_free(a); cuddle_engine_free(engine); cuddle_request_free(b); cuddle_model_free(h); break;
    default: cuddle_engine_free(engine); cuddle_request_free(a); cuddle_model_free(h); cuddle_request_free(b); break;
    }
}
END_TEST

START_TEST(a_freed_engine_ends_requests_as_cancelled)
{
    cuddle_engine *engine = new_engine(1);
    cuddle_model *h = load_demo(engine);
    const cuddle_generation_options o = test_greedy(100);
    cuddle_request *r = submit(h, prompts[0], &o, NULL, NULL);
    cuddle_engine_free(engine);
    test_expect_failure(cuddle_request_wait(r, -1, &err), CUDDLE_E_CANCELLED, &err);
    cuddle_model_free(h);
    cuddle_request_free(r);
}
END_TEST

static cuddle_model *submitting_to;
static cuddle_request *child;
static void submit_from_callback(cuddle_request *r, const cuddle_event *e, void *user)
{
    if (!e->finish || child) return;
    const cuddle_generation_options o = test_greedy(3);
    cuddle_request *next;
    if (cuddle_request_submit(&next, submitting_to, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TEXT, .text = "And", .count = 3 }, 1, &o, NULL, NULL, NULL) ==
        CUDDLE_OK)
        child = next;
    cuddle_request_cancel(r); /* has ended: no effect */
    *(int *)user = 1;
}

START_TEST(callbacks_may_submit_and_cancel)
{
    cuddle_engine *engine = new_engine(0);
    submitting_to = load_demo(engine);
    int called = 0, worked;
    child = NULL;
    const cuddle_generation_options o = test_greedy(3);
    cuddle_request *r = submit(submitting_to, prompts[0], &o, submit_from_callback, &called);
    do ck_ok(cuddle_engine_step(engine, &worked, &err));
    while (worked);
    ck_assert_int_eq(called, 1);
    ck_assert_ptr_nonnull(child);
    ck_ok(cuddle_request_wait(child, 0, &err));
    cuddle_request_free(r);
    cuddle_request_free(child);
    cuddle_model_free(submitting_to);
    cuddle_engine_free(engine);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------- loading */

static bool truncate_now(const cuddle_progress *p, const char *path)
{
    return p->bytes_done == 0 && truncate(path, 2000000) == 0;
}

static char truncated_path[600];
static void truncate_on_progress(const cuddle_progress *p, void *user)
{
    if (truncate_now(p, truncated_path)) *(int *)user = 1;
}

/* The load returns after validation; what happens to the file behind it fails the model and its requests with one sentence. */
START_TEST(a_late_failure_fails_the_model_and_its_requests)
{
    char dir[512];
    copy_checkpoint(dir, test_path("models/kjv-gpt2"));
    snprintf(truncated_path, sizeof truncated_path, "%s/model.safetensors", dir);
    cuddle_engine *engine = new_engine(1);
    cuddle_model *h;
    cuddle_model_options o;
    cuddle_model_options_init(&o, sizeof o);
    int truncated = 0;
    o.load = CUDDLE_LOAD_READ;
    o.max_context = 64;
    o.progress = truncate_on_progress;
    o.progress_user = &truncated;
    ck_ok(cuddle_model_load(&h, engine, dir, &o, &err));
    cuddle_request *r = NULL;
    const cuddle_generation_options how = test_greedy(4);
    const cuddle_status submitted = cuddle_request_submit(&r, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TEXT, .text = "And", .count = 3 }, 1, &how,
                                                          NULL, NULL, &err);
    ck_assert_int_eq(truncated || cuddle_model_get_state(h) == CUDDLE_MODEL_LOADING, 1);
    test_expect_failure(cuddle_model_wait(h, -1, &err), CUDDLE_E_IO, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "model.safetensors"));
    ck_assert_int_eq(cuddle_model_get_state(h), CUDDLE_MODEL_FAILED);
    if (submitted == CUDDLE_OK) test_expect_failure(cuddle_request_wait(r, -1, &err), CUDDLE_E_IO, &err);
    cuddle_request *late;
    test_expect_failure(cuddle_request_submit(&late, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TEXT, .text = "And", .count = 3 }, 1, &how, NULL, NULL,
                                              &err),
                        CUDDLE_E_IO, &err);
    cuddle_request_free(r);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

static void cancel_on_progress(const cuddle_progress *p, void *user)
{
    (void)p;
    while (!__atomic_load_n((cuddle_model **)user, __ATOMIC_SEQ_CST)) usleep(100);
    cuddle_model_cancel(*(cuddle_model **)user); /* only sets a flag */
}

START_TEST(a_load_can_be_cancelled)
{
    cuddle_engine *engine = new_engine(1);
    cuddle_model *h, *shared = NULL;
    cuddle_model_options o;
    cuddle_model_options_init(&o, sizeof o);
    o.load = CUDDLE_LOAD_READ;
    o.progress = cancel_on_progress;
    o.progress_user = &shared;
    ck_ok(cuddle_model_load(&h, engine, test_path("models/kjv-gpt2"), &o, &err));
    __atomic_store_n(&shared, h, __ATOMIC_SEQ_CST);
    test_expect_failure(cuddle_model_wait(h, -1, &err), CUDDLE_E_CANCELLED, &err);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

START_TEST(plan_and_use_agree)
{
    cuddle_engine *engine = new_engine(1);
    for (int mode = CUDDLE_LOAD_MAP; mode <= CUDDLE_LOAD_READ; mode++) {
        cuddle_model_options o;
        cuddle_model_options_init(&o, sizeof o);
        o.load = (cuddle_load_mode)mode;
        cuddle_plan plan = { .struct_size = sizeof plan }, planned = plan, used = plan;
        ck_ok(cuddle_model_plan(&plan, engine, test_path("models/kjv-gpt2"), &o, &err));
        cuddle_model *h;
        ck_ok(cuddle_model_load(&h, engine, test_path("models/kjv-gpt2"), &o, &err));
        ck_ok(cuddle_model_wait(h, -1, &err));
        const cuddle_generation_options how = test_greedy(4);
        cuddle_request *r = submit(h, prompts[3], &how, NULL, NULL);
        ck_ok(cuddle_request_wait(r, -1, &err));
        ck_ok(cuddle_model_memory(h, &planned, &used, &err));
        ck_assert(memcmp(&plan, &planned, offsetof(cuddle_plan, kv_dtype) + sizeof plan.kv_dtype) == 0); /* what follows is padding */
        ck_assert_uint_eq(used.weights, plan.weights);
        ck_assert_uint_eq(used.kv, plan.kv);
        ck_assert_uint_eq(used.step, plan.step);
        ck_assert_uint_le(used.workspace, plan.workspace);
        ck_assert_uint_gt(used.workspace, 0);
        if (mode == CUDDLE_LOAD_READ) ck_assert_uint_eq(plan.weights_in_place, 0);
        else ck_assert_uint_gt(plan.weights_in_place, plan.file_bytes / 2);
        cuddle_request_free(r);
        cuddle_model_free(h);
    }
    cuddle_engine_free(engine);
}
END_TEST

START_TEST(the_type_of_the_cache_can_be_chosen)
{
    static const struct { const char *dtype, *kv_dtype; cuddle_dtype compute, kv; int share; } cases[] = {
        { "float32", "auto", CUDDLE_F32, CUDDLE_F32, 1 },        { "float32", "bfloat16", CUDDLE_F32, CUDDLE_BF16, 2 },
        { "float32", "float16", CUDDLE_F32, CUDDLE_F16, 2 },     { "bfloat16", "auto", CUDDLE_BF16, CUDDLE_BF16, 2 },
        { "bfloat16", "float32", CUDDLE_BF16, CUDDLE_F32, 1 },
    };
    cuddle_engine *engine = new_engine(1);
    uint64_t whole = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cuddle_model_options o;
        cuddle_model_options_init(&o, sizeof o);
        o.dtype = cases[i].dtype;
        o.kv_dtype = cases[i].kv_dtype;
        o.kv_tokens = 1024;
        cuddle_model *h;
        cuddle_plan plan = { .struct_size = sizeof plan }, used = plan;
        ck_ok(cuddle_model_load(&h, engine, test_path("models/kjv-gpt2"), &o, &err));
        ck_ok(cuddle_model_wait(h, -1, &err));
        const cuddle_generation_options how = test_greedy(4);
        cuddle_request *r = submit(h, prompts[3], &how, NULL, NULL);
        ck_ok(cuddle_request_wait(r, -1, &err));
        ck_ok(cuddle_model_memory(h, &plan, &used, &err));
        if (i == 0) whole = plan.kv;
        ck_assert_int_eq(plan.compute, cases[i].compute);
        ck_assert_int_eq(plan.kv_dtype, cases[i].kv);
        ck_assert_uint_eq(plan.kv * (uint64_t)cases[i].share, whole);
        ck_assert_uint_eq(used.kv, plan.kv);
        cuddle_request_free(r);
        cuddle_model_free(h);
    }
    cuddle_model_options o;
    cuddle_model_options_init(&o, sizeof o);
    o.kv_dtype = "float8";
    cuddle_plan plan = { .struct_size = sizeof plan };
    test_expect_failure(cuddle_model_plan(&plan, engine, test_path("models/kjv-gpt2"), &o, &err), CUDDLE_E_ARG, &err);
    ck_assert_str_eq(err.text, "kv_dtype is \"float8\", expected auto, float32, bfloat16 or float16");
    cuddle_engine_free(engine);
}
END_TEST

/* Whoever still holds the handle may ask it, and is told that it takes nothing. */
START_TEST(a_model_outlives_its_engine_as_a_description)
{
    cuddle_engine *engine = test_engine(NULL);
    cuddle_model *h = test_model(engine, "parity/llama/base", NULL);
    cuddle_engine_free(engine);
    ck_assert_str_eq(cuddle_model_family(h), "llama");
    ck_assert_str_eq(cuddle_model_architecture(h), "LlamaForCausalLM");
    ck_assert_int_eq(cuddle_model_layers(h), 2);
    ck_assert_int_eq(cuddle_model_hidden(h), 48);
    ck_assert_uint_gt(cuddle_model_weight_bytes(h), 0);
    ck_assert_uint_eq(cuddle_model_heads(h), CUDDLE_HEAD_GENERATION);
    ck_assert_int_eq(cuddle_model_labels(h), 0);
    const int32_t ids[] = { 1, 2 };
    const cuddle_segment prompt = { .kind = CUDDLE_SEGMENT_TOKENS, .tokens = ids, .count = 2 };
    cuddle_request *r = NULL;
    test_expect_failure(cuddle_request_submit(&r, h, &prompt, 1, NULL, NULL, NULL, &err), CUDDLE_E_CANCELLED, &err);
    ck_assert_ptr_null(r);
    cuddle_model_free(h);
}
END_TEST

/* What a load says of itself, and that modes of other devices are refused before anything happens. */
START_TEST(a_load_is_reported_and_foreign_modes_are_refused)
{
    cuddle_engine *engine = new_engine(1);
    for (int mode = CUDDLE_LOAD_AUTO; mode <= CUDDLE_LOAD_REGISTER + 1; mode++) {
        cuddle_model *h;
        cuddle_model_options o;
        cuddle_model_options_init(&o, sizeof o);
        o.load = (cuddle_load_mode)mode;
        cuddle_plan plan = { .struct_size = sizeof plan };
        if (mode >= CUDDLE_LOAD_RING) {
            test_expect_failure(cuddle_model_load(&h, engine, test_path("models/kjv-gpt2"), &o, &err), CUDDLE_E_ARG, &err);
            ck_assert_ptr_nonnull(strstr(err.text, mode > CUDDLE_LOAD_REGISTER ? "is 5" : cuddle_load_mode_name(o.load)));
            test_expect_failure(cuddle_model_plan(&plan, engine, test_path("models/kjv-gpt2"), &o, &err), CUDDLE_E_ARG, &err);
            continue;
        }
        ck_ok(cuddle_model_load(&h, engine, test_path("models/kjv-gpt2"), &o, &err));
        ck_ok(cuddle_model_wait(h, -1, &err));
        cuddle_load_report r = { .struct_size = sizeof r };
        ck_ok(cuddle_model_memory(h, &plan, NULL, &err));
        ck_ok(cuddle_model_load_report(h, &r, &err));
        ck_assert_int_eq(r.mode, mode == CUDDLE_LOAD_READ ? CUDDLE_LOAD_READ : CUDDLE_LOAD_MAP);
        ck_assert_uint_eq(r.bytes_in_place, plan.weights_in_place);
        ck_assert_uint_eq(r.plain_bytes, r.bytes);
        if (mode == CUDDLE_LOAD_READ) ck_assert_uint_gt(r.bytes, plan.file_bytes / 2);
        ck_assert(r.seconds > 0 && r.readers == 1 && r.ceiling_gb_per_s <= 0 && r.ceiling_share <= 0);
        ck_assert_str_eq(r.fallbacks, "");
        r = (cuddle_load_report){ .struct_size = offsetof(cuddle_load_report, seconds), .seconds = -1 }; /* as an older program would ask */
        ck_ok(cuddle_model_load_report(h, &r, &err));
        ck_assert(r.readers == 1 && r.seconds < 0);
        cuddle_model_free(h);
    }
    cuddle_engine_free(engine);
    ck_assert_str_eq(cuddle_load_mode_name(CUDDLE_LOAD_REGISTER), "register");
    ck_assert_str_eq(cuddle_load_mode_name((cuddle_load_mode)5), "?");
}
END_TEST

START_TEST(a_budget_refuses_what_does_not_fit)
{
    cuddle_engine *engine;
    cuddle_engine_options e;
    cuddle_engine_options_init(&e, sizeof e);
    e.device = test_device();
    e.backend_dir = test_backend_dir();
    e.memory_budget = 1000000;
    ck_ok(cuddle_engine_new(&engine, &e, &err));
    cuddle_model *h;
    test_expect_failure(cuddle_model_load(&h, engine, test_path("models/kjv-gpt2"), NULL, &err), CUDDLE_E_NOMEM, &err);
    ck_assert_ptr_null(h);
    ck_assert_ptr_nonnull(strstr(err.text, "1000000"));
    cuddle_engine_free(engine);
}
END_TEST

START_TEST(devices_that_are_not_there_are_refused_by_name)
{
    cuddle_engine *engine;
    cuddle_engine_options o;
    cuddle_engine_options_init(&o, sizeof o);
    o.device = "tpu";
    test_expect_failure(cuddle_engine_new(&engine, &o, &err), CUDDLE_E_ARG, &err);
    o.device = "cuda:999";
    test_expect_failure(cuddle_engine_new(&engine, &o, &err), CUDDLE_E_DEVICE, &err);
    ck_assert_ptr_null(engine);
}
END_TEST

/* Fails the first, second, third ... allocation of a load and a request until both succeed; the sanitizers see what leaks. */
START_TEST(every_failed_allocation_is_an_error_and_leaks_nothing)
{
    for (long n = 1; n < 4000; n++) {
        cuddle_engine *engine = NULL;
        cuddle_model *h = NULL;
        cuddle_request *r = NULL;
        cuddle_engine_options e;
        cuddle_engine_options_init(&e, sizeof e);
        e.device = test_device();
    e.backend_dir = test_backend_dir();
        e.threads = 0;
        e.cpu_threads = 1;
        cuddle_model_options o;
        cuddle_model_options_init(&o, sizeof o);
        o.max_context = 32;
        o.max_sequences = 1;
        o.max_batch = 16;
        cuddle_generation_options how = test_greedy(2);
        const char *stops[] = { "zzz" };
        how.stop = stops;
        how.stop_count = 1;
        how.logprobs = 1;
        how.n = 2;
        how.prompt_logprobs = how.prompt_top_logprobs = 1;
        int32_t ids[] = { 1, 2, 3 };
        const cuddle_sequence_bias biases[] = { { ids, 1, 0.5f }, { ids, 2, 0.5f }, { ids, 3, 0.5f } };
        how.sequence_bias = how.bad_words = biases;
        how.sequence_bias_count = how.bad_word_count = 3;
        how.begin_suppress = how.allowed = ids;
        how.begin_suppress_count = 1;
        how.allowed_count = 3;
        err = (cuddle_error){ CUDDLE_OK, "" };
        test_fail_allocation(n, false);
        cuddle_status status = cuddle_engine_new(&engine, &e, &err);
        if (!status) status = cuddle_model_load(&h, engine, test_path("parity/gpt2/base"), &o, &err);
        if (!status) status = cuddle_request_submit(&r, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = ids, .count = 3 }, 1, &how, NULL, NULL, &err);
        int worked = 0;
        const long counted = test_fail_allocation(0, false);
        if (!status) status = cuddle_model_wait(h, -1, &err);
        if (!status)
            do ck_ok(cuddle_engine_step(engine, &worked, &err));
            while (worked);
        if (!status) status = cuddle_request_wait(r, 0, &err);
        cuddle_request_free(r);
        cuddle_model_free(h);
        cuddle_engine_free(engine);
        if (status) test_expect_failure(status, CUDDLE_E_NOMEM, &err);
        if (counted < n) {
            ck_assert_int_eq(status, CUDDLE_OK);
            ck_assert_int_gt((int)n, 20);
            return;
        }
    }
    ck_abort_msg("allocations never end");
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ threads */

typedef struct worker { cuddle_model *h; int number; } worker;

static void *hammer(void *argument)
{
    const worker *w = argument;
    for (int i = 0; i < 12; i++) {
        cuddle_error mine = { CUDDLE_OK, "" };
        cuddle_generation_options o = test_greedy(5 + (i + w->number) % 7);
        cuddle_request *r;
        const char *prompt = prompts[(i + w->number) % PROMPTS];
        if (cuddle_request_submit(&r, w->h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TEXT, .text = prompt, .count = strlen(prompt) }, 1, &o, NULL, NULL,
                                  &mine))
            return "submit";
        switch ((i * 5 + w->number) % 4) {
        case 0:
            if (cuddle_request_wait(r, -1, &mine)) return "wait";
            break;
        case 1:
            cuddle_request_cancel(r);
            if (cuddle_request_wait(r, -1, &mine) == CUDDLE_E_BUSY) return "cancel";
            break;
        case 2: cuddle_request_wait_text(r, 1, &mine); break;
        default: break; /* freed as it is */
        }
        size_t length;
        cuddle_request_next_text(r, &length);
        cuddle_request_free(r);
    }
    return NULL;
}

START_TEST(eight_threads_submit_cancel_and_free)
{
    enum { THREADS = 8 };
    cuddle_engine *engine = new_engine(1);
    cuddle_model *h = load_demo(engine);
    pthread_t threads[THREADS];
    worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){ h, i };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        ck_assert_msg(failed == NULL, "%s failed", (char *)failed);
    }
    cuddle_engine_stats stats = { .struct_size = sizeof stats };
    ck_ok(cuddle_engine_get_stats(engine, &stats, &err));
    ck_assert_uint_eq(stats.kv_pages_used, 0);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("engine");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, requests_share_steps_and_do_not_change_each_other);
    tcase_add_test(tc, events_and_polled_text_add_up_to_the_result);
    tcase_add_test(tc, stop_strings_end_the_text_across_token_borders);
    tcase_add_test(tc, half_a_character_becomes_text_in_the_end);
    tcase_add_test(tc, stop_tokens_end_the_output);
    tcase_add_test(tc, prompt_logprobs_equal_those_of_the_tokens_when_produced);
    tcase_add_test(tc, tokens_are_the_same_with_log_probabilities);
    tcase_add_test(tc, a_continuation_keeps_its_leading_space);
    tcase_add_test(tc, a_foreign_loop_can_run_the_engine);
    tcase_add_test(tc, long_prompts_take_turns);
    tcase_add_test(tc, requests_that_cannot_run_are_refused_with_numbers);
    tcase_add_test(tc, requests_can_be_cancelled_in_the_queue_and_while_running);
    tcase_add_loop_test(tc, handles_can_be_freed_in_any_order, 0, 16);
    tcase_add_test(tc, a_freed_engine_ends_requests_as_cancelled);
    tcase_add_test(tc, callbacks_may_submit_and_cancel);
    tcase_add_test(tc, a_late_failure_fails_the_model_and_its_requests);
    tcase_add_test(tc, a_load_can_be_cancelled);
    tcase_add_test(tc, plan_and_use_agree);
    tcase_add_test(tc, the_type_of_the_cache_can_be_chosen);
    tcase_add_test(tc, a_model_outlives_its_engine_as_a_description);
    tcase_add_test(tc, a_load_is_reported_and_foreign_modes_are_refused);
    tcase_add_test(tc, a_budget_refuses_what_does_not_fit);
    tcase_add_test(tc, devices_that_are_not_there_are_refused_by_name);
    tcase_add_test(tc, every_failed_allocation_is_an_error_and_leaks_nothing);
    tcase_add_test(tc, eight_threads_submit_cancel_and_free);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
