/* The sampler against transformers' logits processors (tests/parity/sampling/expected.json) and the generator's published vector. */
#include "core/draw.h"
#include "engine/sampler.h"
#include "format/json.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    const history past = { .ids = previous, .count = previous_count, .produced = 1 };
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

/* The same file's other vectors: all bits set, and digits of pi. The counter's upper half is zero here, so what can be compared with them
 * is the generator written out once more, with all four words. */
static uint32_t philox(const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c[4] = { counter[0], counter[1], counter[2], counter[3] }, k[2] = { key[0], key[1] };
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
        const uint32_t next[4] = { (uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k[1], (uint32_t)a };
        memcpy(c, next, sizeof c);
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
    return c[0];
}

START_TEST(the_generator_is_philox)
{
    ck_assert_uint_eq(philox((uint32_t[]){ ~0u, ~0u, ~0u, ~0u }, (uint32_t[]){ ~0u, ~0u }), 0x408f276du);
    ck_assert_uint_eq(philox((uint32_t[]){ 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 }, (uint32_t[]){ 0xa4093822, 0x299f31d0 }), 0xd16cfe09u);
    for (uint64_t i = 0; i < 1000; i++) {
        const uint64_t seed = i * 0x9e3779b97f4a7c15u, counter = i * i * 0xd1342543de82ef95u;
        ck_assert_uint_eq(draw_bits(seed, counter), philox((uint32_t[]){ (uint32_t)counter, (uint32_t)(counter >> 32), 0, 0 },
                                                           (uint32_t[]){ (uint32_t)seed, (uint32_t)(seed >> 32) }) >> 8);
    }
}
END_TEST

/* A weight against exp() in double: within 2^-28 of it and, where it has no bits left, one unit. */
static void check_weight(uint32_t distance, uint64_t weight)
{
    const double want = exp(-(double)distance * 0x1p-27) * 0x1p40;
    if (fabs((double)weight - want) > want * 0x1p-28 + 1) ck_abort_msg("weight of %u is %.17g, expected %.17g", distance, (double)weight, want);
}

START_TEST(weights_are_exponentials)
{
    ck_assert_uint_eq(draw_weight(0), (uint64_t)1 << 40);
    ck_assert_uint_eq(draw_weight(DRAW_FAR), 0);
    /* All over the range; and around the multiples of ln 2, where another power of two begins, every distance. */
    uint64_t previous = UINT64_MAX;
    for (uint64_t d = 0; d < DRAW_FAR; d += 997) {
        const uint64_t w = draw_weight((uint32_t)d);
        check_weight((uint32_t)d, w);
        if (w > previous) ck_abort_msg("weight of %llu rises", (unsigned long long)d);
        previous = w;
    }
    for (int n = 0; n <= 46; n++) {
        const uint64_t around = (uint64_t)(n * log(2) * 0x1p27), from = around > 5000 ? around - 5000 : 0;
        previous = UINT64_MAX;
        for (uint64_t d = from; d < from + 10000 && d <= DRAW_FAR; d++) {
            const uint64_t w = draw_weight((uint32_t)d);
            check_weight((uint32_t)d, d == DRAW_FAR ? 0 : w);
            if (w > previous || (w == previous && n < 8)) ck_abort_msg("weight of %llu does not fall", (unsigned long long)d);
            previous = w;
        }
    }
}
END_TEST

START_TEST(distances_of_logits)
{
    ck_assert_uint_eq(draw_distance(5, 5), 0);
    ck_assert_uint_eq(draw_distance(4, 5), 1u << 27);
    ck_assert_uint_eq(draw_distance(-26.9375f, 5), 0xff800000u);
    ck_assert_uint_eq(draw_distance(-27, 5), DRAW_FAR);
    ck_assert_uint_eq(draw_distance(-INFINITY, 5), DRAW_FAR);
    ck_assert_uint_eq(draw_distance(-DRAW_MOST, DRAW_MOST), DRAW_FAR);
    /* Over many floats: further down is never nearer. */
    uint32_t previous = 0;
    for (float logit = 3; logit > -40; logit -= 1e-4f) {
        const uint32_t d = draw_distance(logit, 3);
        const double want = (3 - (double)logit) * 0x1p27;
        ck_assert(d >= previous && (want >= 0x1p32 ? d == DRAW_FAR : fabs((double)d - want) <= 1 + want * 0x1p-24));
        previous = d;
    }
}
END_TEST

START_TEST(scaled_logits_stay_finite)
{
    ck_assert_float_eq(draw_scaled(3, 2), 1.5f);
    ck_assert_float_eq(draw_scaled(1, 1e-40f), DRAW_MOST);
    ck_assert_float_eq(draw_scaled(INFINITY, 1), DRAW_MOST);
    ck_assert_float_eq(draw_scaled(-1, 1e-40f), -DRAW_MOST);
    ck_assert(draw_scaled(-INFINITY, 2) == -INFINITY);
    ck_assert(isnan(draw_scaled(NAN, 2)));
}
END_TEST

START_TEST(borders_are_exact)
{
    /* A quarter of 8 goes; all of it never does. */
    ck_assert_uint_eq(draw_drop(0.75f, 8), 2);
    ck_assert_uint_eq(draw_drop(0, 8), 7);
    ck_assert_uint_eq(draw_drop(0, (uint64_t)1 << 60), ((uint64_t)1 << 60) - 1);
    ck_assert_uint_eq(draw_least(0.5f), (uint64_t)1 << 39);
    ck_assert_uint_eq(draw_least(1), (uint64_t)1 << 40);
    ck_assert_uint_eq(draw_least(1e-30f), 1);
    /* floor(bits total / 2^24): against one division where that fits 64 bits, at the ends where it does not. */
    for (uint64_t i = 0; i < 1000; i++) {
        const uint32_t bits = (uint32_t)(i * 16777 % (1 << 24));
        const uint64_t total = (i * 0x9e3779b97f4a7c15u >> 24) + 1;
        ck_assert_uint_eq(draw_target(bits, total), bits * total >> 24);
    }
    ck_assert_uint_eq(draw_target((1 << 24) - 1, (uint64_t)1 << 60), ((uint64_t)1 << 60) - ((uint64_t)1 << 36));
    ck_assert_uint_eq(draw_target(0, (uint64_t)1 << 60), 0);
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
        ck_ok(cud_sample(&token, &s, &how, &(history){ .produced = i }, logits, &err));
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
    struct { float logits[4]; int32_t want; } cases[] = {
        { { 1, 3, 3, 2 }, 1 }, { { 5, 3, 3, 2 }, 0 }, { { 1, 1, 3, 4 }, 3 }, { { -INFINITY, -INFINITY, -9, -INFINITY }, 2 }, { { -8, -INFINITY, -9, -8 }, 0 },
    };
    int32_t token;
    const sampling how = { .greedy = true, .temperature = 1, .top_p = 1, .repetition_penalty = 1 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_ok(cud_sample(&token, &s, &how, &(history){ .produced = 0 }, cases[i].logits, &err));
        ck_assert_int_eq(token, cases[i].want);
    }
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
    ck_ok(cud_sample(&token, &s, &how, &(history){ .produced = 0 }, logits, &err));
    ck_assert_int_eq(token, 2);
    float again[] = { 1, 3, 2 };
    const int32_t produced[] = { 2 };
    ck_ok(cud_sample(&token, &s, &how, &(history){ .ids = produced, .count = 1, .produced = 1 }, again, &err));
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
    test_expect_failure(cud_sample(&token, &s, &how, &(history){ .produced = 0 }, nan, &err), CUDDLE_E_FORMAT, &err);
    cud_error_clear(&err);
    test_expect_failure(cud_sample(&token, &s, &how, &(history){ .produced = 0 }, none, &err), CUDDLE_E_FORMAT, &err);
    cud_sampler_free(&s);
}
END_TEST

/* Wherever it is in a vocabulary that is looked at in strides and a rest, and whether the choice is drawn or not. */
START_TEST(a_logit_that_is_no_number_is_named)
{
    enum { TOKENS = 40 };
    cuddle_error err;
    sampler s;
    ck_ok(cud_sampler_init(&s, TOKENS, &err));
    for (int at = 0; at < TOKENS; at++) {
        for (int greedy = 0; greedy < 2; greedy++) {
            const sampling how = { .greedy = greedy, .temperature = 1, .top_p = 1, .repetition_penalty = 1 };
            float logits[TOKENS] = { 0 };
            char want[80];
            int32_t token;
            logits[at] = NAN;
            snprintf(want, sizeof want, "the model gave a logit that is not a number for token %d", at);
            cud_error_clear(&err);
            test_expect_failure(cud_sample(&token, &s, &how, &(history){ .produced = 0 }, logits, &err), CUDDLE_E_FORMAT, &err);
            ck_assert_str_eq(err.text, want);
        }
    }
    cud_sampler_free(&s);
}
END_TEST

/* What a grammar allows is a bit for each token: the likeliest of those is chosen, and no other is drawn. */
START_TEST(only_what_a_grammar_allows_is_chosen)
{
    enum { TOKENS = 70 };
    cuddle_error err = { CUDDLE_OK, "" };
    sampler s;
    ck_ok(cud_sampler_init(&s, TOKENS, &err));
    uint32_t allowed[3] = { 1u << 5, 1u << 1, 1u << 2 }; /* 5, 33, 66 */
    for (int with = 0; with < 2; with++) {
        float logits[2][TOKENS];
        for (int i = 0; i < TOKENS; i++) logits[0][i] = logits[1][i] = i == 33 ? 3 : i % 7 == 0 ? 4 : 1; /* 63 is the last of the largest */
        s.allowed = with ? allowed : NULL;
        const sampling greedy = { .greedy = true, .temperature = 1, .top_p = 1, .repetition_penalty = 1 };
        const sampling drawn = { .temperature = 1, .top_p = 1, .repetition_penalty = 1 };
        int32_t token;
        int count;
        ck_ok(cud_sample(&token, &s, &greedy, &(history){ .produced = 0 }, logits[0], &err));
        ck_assert_int_eq(token, with ? 33 : 0);
        ck_ok(cud_sample_candidates(&count, &s, &drawn, &(history){ .produced = 0 }, logits[1], &err));
        ck_assert_int_eq(count, with ? 3 : TOKENS);
        const int32_t want[] = { 5, 33, 66 };
        for (int i = 0; i < 3 && with; i++) ck_assert_int_eq(s.candidates[i].id, want[i]);
    }
    cud_sampler_free(&s);
}
END_TEST

/* Of equals the lower ids stay, though looking for the fourth largest has moved them about. */
START_TEST(equals_go_by_id_behind_top_k)
{
    cuddle_error err = { CUDDLE_OK, "" };
    sampler s;
    int count;
    ck_ok(cud_sampler_init(&s, 9, &err));
    const sampling how = { .temperature = 1, .top_k = 4, .top_p = 0.375f, .repetition_penalty = 1 };
    float logits[] = { 5, 5, 1, 5, 5, 5, 5, 5, 5 };
    ck_ok(cud_sample_candidates(&count, &s, &how, &(history){ .produced = 0 }, logits, &err));
    const int32_t want[] = { 0, 1, 3 };
    ck_assert_int_eq(count, 3);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(s.candidates[i].id, want[i]);
    cud_sampler_free(&s);
}
END_TEST

/* Half of the mass goes: of four equal logits exactly two, those of the higher ids. */
START_TEST(what_adds_up_to_the_border_goes)
{
    cuddle_error err = { CUDDLE_OK, "" };
    sampler s;
    int count;
    ck_ok(cud_sampler_init(&s, 5, &err));
    const sampling how = { .temperature = 1, .top_p = 0.5f, .repetition_penalty = 1 };
    float logits[] = { 7, 7, -INFINITY, 7, 7 };
    ck_ok(cud_sample_candidates(&count, &s, &how, &(history){ .produced = 0 }, logits, &err));
    ck_assert_int_eq(count, 2);
    ck_assert_int_eq(s.candidates[0].id, 0);
    ck_assert_int_eq(s.candidates[1].id, 1);
    ck_assert_float_eq(s.candidates[1].probability, 0.5f);
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
    ck_ok(cud_sample_candidates(&count, &s, &how, &(history){ .produced = 1 }, copy, &err));
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

START_TEST(the_largest_logits_come_in_order)
{
    static const float logits[] = { 1, 5, -2, 5, 0.5f, 7, -INFINITY, 3, 6.5f, -1 };
    static const int32_t order[] = { 5, 8, 1, 3, 7, 0, 4, 9, 2, 6 }; /* of equals the first */
    for (int n = 1; n <= 10; n++) {
        int32_t ids[11];
        float values[11];
        ids[n] = 77, values[n] = 77;
        cud_top_logits(ids, values, n, logits, 10);
        for (int i = 0; i < n; i++) {
            ck_assert_int_eq(ids[i], order[i]);
            ck_assert(memcmp(&values[i], &logits[order[i]], sizeof(float)) == 0);
        }
        ck_assert(ids[n] == 77 && fabsf(values[n] - 77) <= 0);
    }
    static const float twice[] = { -3, 2, -INFINITY, 2, 1 };
    for (int32_t i = 0; i < 5; i++) ck_assert(cud_is_likeliest(twice, 5, i) == (i == 1));
    for (int32_t i = 0; i < 10; i++) ck_assert(cud_is_likeliest(logits, 10, i) == (i == 5));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sampler");
    TCase *tc = tcase_create("sampler");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, the_largest_logits_come_in_order);
    tcase_add_test(tc, probabilities_equal_transformers);
    tcase_add_test(tc, the_generator_gives_the_published_vector);
    tcase_add_test(tc, the_generator_is_philox);
    tcase_add_test(tc, weights_are_exponentials);
    tcase_add_test(tc, distances_of_logits);
    tcase_add_test(tc, scaled_logits_stay_finite);
    tcase_add_test(tc, borders_are_exact);
    tcase_add_test(tc, draws_follow_the_probabilities);
    tcase_add_test(tc, greedy_takes_the_first_of_equal_logits);
    tcase_add_test(tc, first_tokens_can_be_suppressed);
    tcase_add_test(tc, logits_that_are_no_numbers_are_refused);
    tcase_add_test(tc, a_logit_that_is_no_number_is_named);
    tcase_add_test(tc, only_what_a_grammar_allows_is_chosen);
    tcase_add_test(tc, equals_go_by_id_behind_top_k);
    tcase_add_test(tc, what_adds_up_to_the_border_goes);
    tcase_add_test(tc, top_p_over_a_large_vocabulary_equals_a_full_sort);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
