/* Generating and scoring through cuddle.h against transformers (tests/generation/, made by scripts/make_generation_fixtures.py), and what
 * options of a request promise. */
#include "engine_support.h"
#include "generation_case.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static cuddle_error err;

static void setup(void) { err = (cuddle_error){ CUDDLE_OK, "" }; }

static cuddle_engine *new_engine(void)
{
    const cuddle_engine_options o = test_engine_options(1);
    return test_engine(&o);
}

/* Steps of a few rows, so that prompts come in chunks. */
static cuddle_model *load(cuddle_engine *engine, const char *name, int batch)
{
    cuddle_model_options o = test_model_options();
    o.max_context = 40;
    o.max_batch = batch;
    o.max_sequences = 3;
    return test_model(engine, name, &o);
}

static cuddle_generation_options greedy(int tokens)
{
    cuddle_generation_options o = test_greedy(tokens);
    o.ignore_eos = 0;
    return o;
}

static json_t *read_file(const char *name)
{
    json_t *root;
    ck_ok(cud_json_load(&root, test_path(name), CUD_JSON_MAX, &err));
    return root;
}

/* ------------------------------------------------------------------------------------------------------------- greedy */

/* Lists of tokens as the options have them. */
static cuddle_sequence_bias *sequences(const json_t *list, bool biased, size_t *count)
{
    *count = json_array_size(list);
    cuddle_sequence_bias *out = calloc(*count + 1, sizeof *out);
    for (size_t i = 0; i < *count; i++) {
        const json_t *item = json_array_get(list, i);
        out[i].tokens = case_ids(biased ? json_array_get(item, 0) : item, &out[i].count);
        out[i].bias = biased ? (float)json_number_value(json_array_get(item, 1)) : NAN; /* which bad words do not have */
    }
    return out;
}

static void free_sequences(const cuddle_sequence_bias *list, size_t count)
{
    for (size_t i = 0; i < count; i++) free((void *)(uintptr_t)list[i].tokens);
    free((void *)(uintptr_t)list);
}

/* The parameters as options; min_length is the file's alone, where it means min_tokens and the prompt. */
static cuddle_generation_options options_of(const json_t *c, size_t prompt_count)
{
    const json_t *p = json_object_get(c, "parameters"), *decay = json_object_get(p, "exponential_decay_length_penalty");
    cuddle_generation_options o = greedy((int)case_number(c, "max_new_tokens", 0));
    const int least = (int)case_number(p, "min_length", 0) - (int)prompt_count, fresh = (int)case_number(p, "min_new_tokens", 0);
    o.min_tokens = least > fresh ? least : fresh;
    o.repetition_penalty = (float)case_number(p, "repetition_penalty", 1);
    o.frequency_penalty = (float)case_number(p, "frequency_penalty", 0);
    o.presence_penalty = (float)case_number(p, "presence_penalty", 0);
    o.no_repeat_ngram_size = (int)case_number(p, "no_repeat_ngram_size", 0);
    o.forced_bos = (int32_t)case_number(p, "forced_bos_token_id", CUDDLE_UNSET_INT);
    const json_t *last = json_object_get(p, "forced_eos_token_id");
    if (last) o.forced_eos = (int32_t)json_integer_value(json_is_array(last) ? json_array_get(last, 0) : last);
    o.length_decay_start = (int)json_integer_value(json_array_get(decay, 0));
    if (decay) o.length_decay_factor = (float)json_number_value(json_array_get(decay, 1));
    o.sequence_bias = sequences(json_object_get(p, "sequence_bias"), true, &o.sequence_bias_count);
    o.bad_words = sequences(json_object_get(p, "bad_words_ids"), false, &o.bad_word_count);
    o.allowed = case_ids(json_object_get(p, "allowed"), &o.allowed_count);
    o.suppress = case_ids(json_object_get(p, "suppress_tokens"), &o.suppress_count);
    o.begin_suppress = case_ids(json_object_get(p, "begin_suppress_tokens"), &o.begin_suppress_count);
    return o;
}

static void free_options(const cuddle_generation_options *o)
{
    free_sequences(o->sequence_bias, o->sequence_bias_count);
    free_sequences(o->bad_words, o->bad_word_count);
    free((void *)(uintptr_t)o->allowed);
    free((void *)(uintptr_t)o->suppress);
    free((void *)(uintptr_t)o->begin_suppress);
}

static const char *checkpoint_of(const json_t *cases, size_t at) { return json_string_value(json_object_get(json_array_get(cases, at), "checkpoint")); }

/* One checkpoint's cases, [*at, ...), all at once; true if there are more. */
static bool run_checkpoint(cuddle_engine *engine, const json_t *cases, size_t *at)
{
    enum { MOST = 16 };
    const char *name = checkpoint_of(cases, *at);
    cuddle_model *h = load(engine, name, 16);
    cuddle_request *r[MOST];
    const json_t *c[MOST];
    int count = 0;
    for (; *at < json_array_size(cases) && count < MOST; (*at)++, count++) {
        c[count] = json_array_get(cases, *at);
        if (strcmp(checkpoint_of(cases, *at), name) != 0) break;
        size_t prompt_count;
        int32_t *prompt = case_ids(json_object_get(c[count], "prompt"), &prompt_count);
        const cuddle_generation_options o = options_of(c[count], prompt_count);
        r[count] = test_submit_ids(h, prompt, prompt_count, &o);
        free_options(&o); /* it has its copy */
        free(prompt);
    }
    for (int i = 0; i < count; i++) {
        const cuddle_result got = test_finished(r[i]);
        size_t wanted;
        int32_t *want = case_ids(json_object_get(c[i], "ids"), &wanted);
        char *parameters = json_dumps(json_object_get(c[i], "parameters"), JSON_COMPACT);
        for (size_t k = 0; k < got.count && k < wanted; k++)
            if (got.ids[k] != want[k]) ck_abort_msg("%s: token %zu is %d, expected %d: %.800s", name, k, (int)got.ids[k], (int)want[k], parameters);
        ck_assert_msg(got.count == wanted, "%s: %zu tokens, expected %zu: %.800s", name, got.count, wanted, parameters);
        free(parameters);
        free(want);
        cuddle_request_free(r[i]);
    }
    cuddle_model_free(h);
    return *at < json_array_size(cases);
}

START_TEST(greedy_tokens_equal_transformers)
{
    cuddle_engine *engine = new_engine();
    json_t *root = read_file("generation/greedy.json");
    const json_t *cases = json_object_get(root, "cases");
    ck_assert_uint_ge(json_array_size(cases), 36);
    size_t at = 0;
    while (run_checkpoint(engine, cases, &at)) { }
    json_decref(root);
    cuddle_engine_free(engine);
}
END_TEST

/* The smallest of them, for a device that is imitated. */
START_TEST(greedy_tokens_of_one_checkpoint_equal_transformers)
{
    cuddle_engine *engine = new_engine();
    json_t *root = read_file("generation/greedy.json");
    const json_t *cases = json_object_get(root, "cases");
    size_t at = 0;
    while (strcmp(checkpoint_of(cases, at), "parity/gpt2/base") != 0) at++;
    run_checkpoint(engine, cases, &at);
    json_decref(root);
    cuddle_engine_free(engine);
}
END_TEST

/* --------------------------------------------------------------------------------------------------- log-probabilities */

enum { TOP = 5 };

static void check_place(const cuddle_result *got, size_t at, const json_t *place, const char *what)
{
    const double want = case_number(place, "logprob", NAN);
    ck_assert_msg(fabs((double)got->prompt_logprobs[at] - want) < 2e-4, "%s: place %zu: %g, expected %g", what, at, (double)got->prompt_logprobs[at], want);
    ck_assert_msg(got->prompt_is_greedy[at] == json_is_true(json_object_get(place, "greedy")), "%s: place %zu: greedy is %d", what, at, got->prompt_is_greedy[at]);
    for (size_t k = 0; k < TOP; k++) {
        const cuddle_logprob *l = &got->prompt_top_logprobs[at * TOP + k];
        ck_assert_int_eq(l->token, (int)json_integer_value(json_array_get(json_object_get(place, "top"), k)));
        ck_assert(fabs((double)l->logprob - json_number_value(json_array_get(json_object_get(place, "top_logprobs"), k))) < 2e-4);
    }
}

/* A text's tokens at once and in chunks, all and from a place on, with a token produced behind them and without. */
START_TEST(log_probabilities_of_prompts_equal_transformers)
{
    cuddle_engine *engine = new_engine();
    json_t *root = read_file("generation/scores.json");
    const json_t *cases = json_object_get(root, "cases");
    ck_assert_int_eq((int)case_number(root, "top", 0), TOP);
    ck_assert_uint_ge(json_array_size(cases), 5);
    for (int batch = 64; batch > 0; batch = batch == 64 ? 3 : 0) {
        cuddle_model *h = load(engine, "models/kjv-gpt2", batch);
        for (size_t i = 0; i < json_array_size(cases); i++) {
            const json_t *c = json_array_get(cases, i), *places = json_object_get(c, "places");
            const char *what = json_string_value(json_object_get(c, "context"));
            size_t count;
            int32_t *ids = case_ids(json_object_get(c, "ids"), &count);
            const size_t own = (size_t)case_number(c, "from", 0);
            for (size_t from = 0; from <= count; from++) {
                if ((batch > 3 || i > 0) && from != own && from != count - i % 2) continue; /* all places of the first text are enough */
                cuddle_generation_options o = greedy((int)(from % 2));
                o.prompt_logprobs = 1;
                o.prompt_top_logprobs = TOP;
                o.prompt_logprobs_from = (int)from;
                cuddle_request *r = test_submit_ids(h, ids, count, &o);
                const cuddle_result got = test_finished(r);
                ck_assert_int_eq(got.finish, CUDDLE_FINISH_LENGTH);
                ck_assert_uint_eq(got.count, from % 2);
                ck_assert_int_eq(got.prompt_top_count, TOP);
                double sum = 0;
                for (size_t at = 0; at < count; at++) {
                    sum += (double)got.prompt_logprobs[at];
                    if (at >= from && at > 0) {
                        check_place(&got, at, json_array_get(places, at - 1), what);
                        continue;
                    }
                    ck_assert(got.prompt_logprobs[at] == 0.0f && got.prompt_is_greedy[at] == 0);
                    for (size_t k = 0; k < TOP; k++) ck_assert_int_eq(got.prompt_top_logprobs[at * TOP + k].token, -1);
                }
                if (from == own) ck_assert(fabs(sum - case_number(c, "logprob", NAN)) < 1e-3);
                cuddle_request_free(r);
            }
            free(ids);
        }
        cuddle_model_free(h);
    }
    json_decref(root);
    cuddle_engine_free(engine);
}
END_TEST

static int events;
static cuddle_finish last_event;

static void count_event(cuddle_request *request, const cuddle_event *event, void *user)
{
    (void)request, (void)user;
    ck_assert(event->token_count == 0 && event->length == 0);
    events++;
    last_event = event->finish;
}

/* A request that produces nothing ends once, has an empty text, and may fill the context to the last position. */
START_TEST(nothing_may_be_asked_for)
{
    cuddle_engine *engine = new_engine();
    cuddle_model *h = load(engine, "models/kjv-gpt2", 16);
    int32_t ids[41];
    for (int i = 0; i < 41; i++) ids[i] = 300 + i;
    for (size_t count = 1; count <= 40; count += 13) {
        cuddle_generation_options o = greedy(0);
        o.logprobs = 2;
        cuddle_request *r;
        events = 0;
        ck_ok(cuddle_request_submit(&r, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = ids, .count = count }, 1, &o, count_event, NULL, &err));
        const cuddle_result got = test_finished(r);
        ck_assert_int_eq(got.finish, CUDDLE_FINISH_LENGTH);
        ck_assert_uint_eq(got.count, 0);
        ck_assert_uint_eq(got.prompt_count, count);
        ck_assert_str_eq(got.text, "");
        ck_assert_ptr_null(got.prompt_logprobs);
        ck_assert_ptr_null(got.prompt_top_logprobs);
        ck_assert_ptr_null(got.prompt_is_greedy);
        ck_assert(got.prefill_seconds > 0 && got.decode_seconds <= 0);
        size_t length;
        ck_assert_str_eq(cuddle_request_next_text(r, &length), "");
        cuddle_request_free(r); /* joins the last event */
        ck_assert_int_eq(events, 1);
        ck_assert_int_eq(last_event, CUDDLE_FINISH_LENGTH);
    }
    cuddle_generation_options o = greedy(0);
    cuddle_request *r;
    test_expect_failure(cuddle_request_submit(&r, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = ids, .count = 41 }, 1, &o, NULL, NULL, &err),
                        CUDDLE_E_LIMIT, &err);
    o.max_tokens = 1;
    test_expect_failure(cuddle_request_submit(&r, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = ids, .count = 40 }, 1, &o, NULL, NULL, &err),
                        CUDDLE_E_LIMIT, &err);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ settings */

static void write_settings(const char *dir, const char *text)
{
    char path[600];
    snprintf(path, sizeof path, "%s/generation_config.json", dir);
    test_write_file(path, text, strlen(text));
}

/* What a checkpoint's generation_config.json says holds as if it were asked for, and what is asked for holds instead of it. */
START_TEST(settings_of_a_checkpoint_hold)
{
    static const char *const settings[] = {
        "{\"eos_token_id\": 5, \"no_repeat_ngram_size\": 2, \"min_new_tokens\": 7, \"bad_words_ids\": [[11], [3, 4], [5]], \"sequence_bias\": [[[20], 3.5], [[7, 9], -2.0]]}",
        "{\"eos_token_id\": [5, 6], \"min_length\": 12, \"forced_eos_token_id\": 6, \"forced_bos_token_id\": 17, \"exponential_decay_length_penalty\": [3, 1.5], "
        "\"begin_suppress_tokens\": [1, 2, 3]}",
        "{\"eos_token_id\": 5, \"do_sample\": true, \"top_k\": 0, \"typical_p\": 0.4, \"epsilon_cutoff\": 0.002, \"eta_cutoff\": 0.01, \"top_h\": 0.8}",
    };
    static const int32_t prompt[] = { 30 }, bad[] = { 11, 3, 4, 5 }, biased[] = { 20, 7, 9 }, begin[] = { 1, 2, 3 };
    const cuddle_sequence_bias bad_words[] = { { bad, 1, 0 }, { bad + 1, 2, 0 }, { bad + 3, 1, 0 } }, biases[] = { { biased, 1, 3.5f }, { biased + 1, 2, -2.0f } };
    char dir[512], command[4096];
    snprintf(dir, sizeof dir, "%s/settings", test_temp_dir());
    cuddle_engine *engine = new_engine();
    for (int kind = 0; kind < 3; kind++) {
        int32_t wanted[24];
        size_t count = 0;
        snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s' '%s' && chmod -R u+w '%s'", dir, test_path("parity/gpt2/base"), dir, dir);
        ck_assert_int_eq(system(command), 0);
        for (int said = 0; said < 2; said++) { /* asked for, then said by the checkpoint */
            write_settings(dir, said ? settings[kind] : kind == 1 ? "{\"eos_token_id\": [5, 6]}" : "{\"eos_token_id\": 5}");
            cuddle_model_options mo;
            cuddle_model *h;
            cuddle_model_options_init(&mo, sizeof mo);
            mo.dtype = "float32";
            ck_ok(cuddle_model_load(&h, engine, dir, &mo, &err));
            cuddle_generation_options o;
            cuddle_generation_options_init(&o, sizeof o);
            o.max_tokens = 24;
            o.seed = 4;
            if (!said && kind == 0) {
                o.no_repeat_ngram_size = 2, o.min_tokens = 7;
                o.bad_words = bad_words, o.bad_word_count = 3;
                o.sequence_bias = biases, o.sequence_bias_count = 2;
            } else if (!said && kind == 1) {
                o.min_tokens = 11, o.forced_eos = 6, o.forced_bos = 17, o.length_decay_start = 3, o.length_decay_factor = 1.5f;
                o.begin_suppress = begin, o.begin_suppress_count = 3;
            } else if (!said) {
                o.temperature = 1, o.top_k = 0, o.typical_p = 0.4f, o.epsilon_cutoff = 0.002f, o.eta_cutoff = 0.01f, o.top_h = 0.8f;
            }
            cuddle_request *r = test_submit_ids(h, prompt, 1, &o);
            const cuddle_result got = test_finished(r);
            if (!said) memcpy(wanted, got.ids, (count = got.count) * sizeof *wanted);
            ck_assert_uint_eq(got.count, count);
            for (size_t k = 0; k < count; k++) ck_assert_msg(got.ids[k] == wanted[k], "kind %d, token %zu: %d, expected %d", kind, k, (int)got.ids[k], (int)wanted[k]);
            cuddle_request_free(r);
            if (said) { /* switched off again: something else comes */
                o.no_repeat_ngram_size = o.min_tokens = 0;
                o.typical_p = o.length_decay_factor = 1;
                o.epsilon_cutoff = o.eta_cutoff = o.top_h = 0;
                o.forced_bos = 18;
                r = test_submit_ids(h, prompt, 1, &o);
                const cuddle_result other = test_finished(r);
                bool same = other.count == count;
                for (size_t k = 0; k < count && same; k++) same = other.ids[k] == wanted[k];
                ck_assert_msg(!same, "kind %d", kind);
                cuddle_request_free(r);
            }
            cuddle_model_free(h);
        }
    }
    cuddle_engine_free(engine);
}
END_TEST

/* 10,000 bad words and as many biases that all hang on one token: each step looks at them and goes on. */
START_TEST(ten_thousand_bad_words_are_taken)
{
    enum { WORDS = 10000 };
    static int32_t ids[WORDS][3];
    static cuddle_sequence_bias words[WORDS];
    cuddle_engine *engine = new_engine();
    cuddle_model *h = load(engine, "models/kjv-gpt2", 16);
    const int32_t prompt[] = { 269, 259, 1826 }; /* 1826 is what they hang on */
    for (int i = 0; i < WORDS; i++) {
        ids[i][0] = 1 + i / 2000, ids[i][1] = 1826, ids[i][2] = i % 2000;
        words[i] = (cuddle_sequence_bias){ ids[i], 3, 1 };
    }
    for (int i = 0; i < 2000; i++) ids[i][0] = 259;
    cuddle_generation_options o = greedy(3);
    o.bad_words = o.sequence_bias = words;
    o.bad_word_count = o.sequence_bias_count = WORDS;
    cuddle_request *r = test_submit_ids(h, prompt, 3, &o);
    const cuddle_result got = test_finished(r);
    ck_assert_uint_ge(got.count, 1);
    ck_assert_int_ge(got.ids[0], 2000); /* below that all are forbidden behind 259 1826 */
    cuddle_request_free(r);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("generation");
    TCase *tc = tcase_create("generation"), *device = tcase_create("device");
    tcase_set_timeout(tc, 0);
    tcase_set_timeout(device, 0);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_checked_fixture(device, setup, NULL);
    tcase_add_test(device, greedy_tokens_of_one_checkpoint_equal_transformers);
    tcase_add_test(tc, greedy_tokens_equal_transformers);
    tcase_add_test(tc, log_probabilities_of_prompts_equal_transformers);
    tcase_add_test(tc, nothing_may_be_asked_for);
    tcase_add_test(tc, settings_of_a_checkpoint_hold);
    tcase_add_test(tc, ten_thousand_bad_words_are_taken);
    suite_add_tcase(suite, device);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
