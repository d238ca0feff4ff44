/* The sampler against transformers' logits processors (tests/parity/sampling/expected.json) and the generator's published vector. */
#include "engine/sampler.h"
#include "format/json.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>

static float number(const json_t *parameters, const char *key, float otherwise)
{
    const json_t *v = json_object_get(parameters, key);
    return v ? (float)json_number_value(v) : otherwise;
}

static float *floats(const json_t *list, int *count)
{
    *count = (int)json_array_size(list);
    float *out = calloc((size_t)*count + 1, sizeof *out);
    for (int i = 0; i < *count; i++) out[i] = (float)json_number_value(json_array_get(list, (size_t)i));
    return out;
}

static int32_t *ints(const json_t *list, int *count)
{
    *count = (int)json_array_size(list);
    int32_t *out = calloc((size_t)*count + 1, sizeof *out);
    for (int i = 0; i < *count; i++) out[i] = (int32_t)json_integer_value(json_array_get(list, (size_t)i));
    return out;
}

static bool listed(const json_t *list, int id)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_integer_value(json_array_get(list, i)) == id) return true;
    return false;
}

static void check_case(const json_t *c)
{
    cuddle_error err = { CUDDLE_OK, "" };
    const char *name = json_string_value(json_object_get(c, "name"));
    const json_t *p = json_object_get(c, "parameters"), *open = json_object_get(c, "free");
    int vocabulary, wanted, previous_count, suppress_count;
    float *logits = floats(json_object_get(c, "logits"), &vocabulary), *want = floats(json_object_get(c, "probabilities"), &wanted);
    int32_t *previous = ints(json_object_get(c, "previous"), &previous_count), *suppressed = ints(json_object_get(p, "suppress_tokens"), &suppress_count);
    ck_assert_int_eq(vocabulary, wanted);
    const sampling how = { .temperature = number(p, "temperature", 1), .top_k = (int)number(p, "top_k", 0), .top_p = number(p, "top_p", 1),
                           .min_p = number(p, "min_p", 0), .repetition_penalty = number(p, "repetition_penalty", 1), .suppress = suppressed,
                           .suppress_count = (size_t)suppress_count };
    const history past = { previous, previous_count, 1 };
    sampler s;
    ck_ok(cud_sampler_init(&s, vocabulary, &err));
    int count = 0;
    ck_ok(cud_sample_candidates(&count, &s, &how, &past, logits, &err));
    double got_free = 0, want_free = 0;
    int got_kept = 0, want_kept = 0, at = 0;
    for (int id = 0; id < vocabulary; id++) {
        const bool kept = at < count && s.candidates[at].id == id;
        const double got = kept ? (double)s.candidates[at++].probability : 0.0;
        if (listed(open, id)) { /* equal logits at a border: which of them stay is not defined */
            got_free += got;
            want_free += (double)want[id];
            got_kept += kept;
            want_kept += want[id] > 0;
            continue;
        }
        ck_assert_msg(kept == (want[id] > 0), "%s: token %d was %s", name, id, kept ? "kept" : "removed");
        ck_assert_msg(fabs(got - (double)want[id]) <= 2e-6 + 2e-5 * (double)want[id], "%s: token %d: %g, expected %g", name, id, got, (double)want[id]);
    }
    ck_assert_msg(at == count, "%s: candidates are not in id order", name);
    ck_assert_msg(got_kept == want_kept && fabs(got_free - want_free) <= 1e-5, "%s: the border keeps %d, expected %d", name, got_kept, want_kept);
    cud_sampler_free(&s);
    free(logits);
    free(want);
    free(previous);
    free(suppressed);
}

START_TEST(probabilities_equal_transformers)
{
    cuddle_error err = { CUDDLE_OK, "" };
    json_t *root;
    ck_ok(cud_json_load(&root, test_path("parity/sampling/expected.json"), CUD_JSON_MAX, &err));
    const json_t *cases = json_object_get(root, "cases");
    ck_assert_uint_ge(json_array_size(cases), 15);
    for (size_t i = 0; i < json_array_size(cases); i++) check_case(json_array_get(cases, i));
    json_decref(root);
}
END_TEST

/* Random123's known answer for philox4x32-10 with counter 0 and key 0: 6627e8d5 e169c58d bc57ac4c 9b00dbd8. */
START_TEST(the_generator_gives_the_published_vector)
{
    ck_assert_float_eq(cud_uniform(0, 0), (float)0x6627e8 * 0x1p-24f);
    ck_assert(cud_uniform(1, 0) != cud_uniform(0, 0));
    ck_assert(cud_uniform(0, 1) != cud_uniform(0, 0));
    ck_assert(cud_uniform((uint64_t)1 << 32, 0) != cud_uniform(0, 0));
}
END_TEST

/* 20,000 draws from probabilities 0.1, 0.2, 0.7: each share within five standard deviations. */
START_TEST(draws_follow_the_probabilities)
{
    cuddle_error err = { CUDDLE_OK, "" };
    enum { DRAWS = 20000 };
    const double p[] = { 0.1, 0.2, 0.7 };
    int hits[3] = { 0 };
    sampler s;
    ck_ok(cud_sampler_init(&s, 3, &err));
    for (int i = 0; i < DRAWS; i++) {
        float logits[] = { logf(0.1f), logf(0.2f), logf(0.7f) };
        int32_t token;
        const sampling how = { .temperature = 1, .top_p = 1, .repetition_penalty = 1, .seed = 42 };
        ck_ok(cud_sample(&token, &s, &how, &(history){ NULL, 0, i }, logits, &err));
        hits[token]++;
    }
    for (int i = 0; i < 3; i++) ck_assert(fabs(hits[i] - DRAWS * p[i]) < 5 * sqrt(DRAWS * p[i] * (1 - p[i])));
    cud_sampler_free(&s);
}
END_TEST

START_TEST(greedy_takes_the_first_of_equal_logits)
{
    cuddle_error err = { CUDDLE_OK, "" };
    sampler s;
    ck_ok(cud_sampler_init(&s, 4, &err));
    float logits[] = { 1, 3, 3, 2 };
    int32_t token;
    const sampling how = { .greedy = true, .temperature = 1, .top_p = 1, .repetition_penalty = 1 };
    ck_ok(cud_sample(&token, &s, &how, &(history){ NULL, 0, 0 }, logits, &err));
    ck_assert_int_eq(token, 1);
    cud_sampler_free(&s);
}
END_TEST

START_TEST(first_tokens_can_be_suppressed)
{
    cuddle_error err = { CUDDLE_OK, "" };
    sampler s;
    ck_ok(cud_sampler_init(&s, 3, &err));
    const int32_t first[] = { 1, 99 };
    const sampling how = { .greedy = true, .temperature = 1, .top_p = 1, .repetition_penalty = 1, .begin_suppress = first, .begin_suppress_count = 2 };
    int32_t token;
    float logits[] = { 1, 3, 2 };
    ck_ok(cud_sample(&token, &s, &how, &(history){ NULL, 0, 0 }, logits, &err));
    ck_assert_int_eq(token, 2);
    float again[] = { 1, 3, 2 };
    const int32_t produced[] = { 2 };
    ck_ok(cud_sample(&token, &s, &how, &(history){ produced, 1, 1 }, again, &err));
    ck_assert_int_eq(token, 1);
    cud_sampler_free(&s);
}
END_TEST

START_TEST(logits_that_are_no_numbers_are_refused)
{
    cuddle_error err = { CUDDLE_OK, "" };
    sampler s;
    ck_ok(cud_sampler_init(&s, 2, &err));
    const sampling how = { .greedy = true, .temperature = 1, .top_p = 1, .repetition_penalty = 1 };
    int32_t token;
    float nan[] = { 1, NAN }, none[] = { -INFINITY, -INFINITY };
    test_expect_failure(cud_sample(&token, &s, &how, &(history){ NULL, 0, 0 }, nan, &err), CUDDLE_E_FORMAT, &err);
    cud_error_clear(&err);
    test_expect_failure(cud_sample(&token, &s, &how, &(history){ NULL, 0, 0 }, none, &err), CUDDLE_E_FORMAT, &err);
    cud_sampler_free(&s);
}
END_TEST

/* top_p without top_k over a large vocabulary: the prefilter must not change what a full sort keeps. */
START_TEST(top_p_over_a_large_vocabulary_equals_a_full_sort)
{
    cuddle_error err = { CUDDLE_OK, "" };
    enum { N = 20000 };
    sampler s;
    ck_ok(cud_sampler_init(&s, N, &err));
    float *logits = malloc(N * sizeof *logits);
    double *p = malloc(N * sizeof *p);
    double sum = 0;
    for (int i = 0; i < N; i++) {
        logits[i] = 9 * cud_uniform(7, (uint64_t)i) + 1e-4f * (float)i; /* all different */
        sum += p[i] = exp((double)logits[i]);
    }
    /* Reference: token i stays if what is likelier than it adds up to less than top_p. */
    const double top_p = 0.8;
    int count = 0, wanted = 0;
    const double threshold_probes = 200;
    const sampling how = { .temperature = 1, .top_p = (float)top_p, .repetition_penalty = 1 };
    float *copy = malloc(N * sizeof *copy);
    for (int i = 0; i < N; i++) copy[i] = logits[i];
    ck_ok(cud_sample_candidates(&count, &s, &how, &(history){ NULL, 0, 1 }, copy, &err));
    for (int k = 0; k < threshold_probes; k++) {
        const int i = (int)(cud_uniform(9, (uint64_t)k) * N);
        double likelier = 0;
        for (int j = 0; j < N; j++)
            if (logits[j] > logits[i]) likelier += p[j] / sum;
        if (fabs(likelier - top_p) < 1e-5) continue; /* float sums decide */
        bool kept = false;
        for (int j = 0; j < count && !kept; j++) kept = s.candidates[j].id == i;
        ck_assert_msg(kept == (likelier < top_p), "token %d: mass before it %g", i, likelier);
        wanted++;
    }
    ck_assert_int_gt(wanted, 100);
    free(logits);
    free(copy);
    free(p);
    cud_sampler_free(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sampler");
    TCase *tc = tcase_create("sampler");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, probabilities_equal_transformers);
    tcase_add_test(tc, the_generator_gives_the_published_vector);
    tcase_add_test(tc, draws_follow_the_probabilities);
    tcase_add_test(tc, greedy_takes_the_first_of_equal_logits);
    tcase_add_test(tc, first_tokens_can_be_suppressed);
    tcase_add_test(tc, logits_that_are_no_numbers_are_refused);
    tcase_add_test(tc, top_p_over_a_large_vocabulary_equals_a_full_sort);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
