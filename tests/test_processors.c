/* Rows of logits under transformers' logits processors, each alone and in random company: tests/generation/processors.json, made by
 * scripts/make_generation_fixtures.py. And what no such row shows: sets of sequences, what a device has to leave to the host, bad logits. */
#include "engine/generation.h"
#include "generation_case.h"

#include <math.h>
#include <string.h>

enum { MANY = 1000 }; /* what a vocabulary of the file is below */

static cuddle_error err;
static json_t *file;

static void setup(void)
{
    err = (cuddle_error){ CUDDLE_OK, "" };
    ck_ok(cud_json_load(&file, test_path("generation/processors.json"), CUD_JSON_MAX, &err));
}

static void teardown(void) { json_decref(file); }

/* ------------------------------------------------------------------------------------------------- transformers' rows */

typedef struct row_case {
    const json_t *json;
    int vocabulary;
    float logits[MANY];
    int32_t *ids, *ends, *suppress, *begin, *forced_bos, *forced_eos;
    uint32_t allowed[(MANY + 31) / 32];
    sampling how;
    history past;
    double p[MANY];
} row_case;

static void read_sequences(sequence_set *set, const json_t *list, bool biased, const int32_t *ends, size_t end_count, int vocabulary)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        size_t count;
        int32_t *ids = case_ids(biased ? json_array_get(item, 0) : item, &count);
        bool is_end = false; /* which is no bad word by itself */
        for (size_t k = 0; k < end_count && !biased; k++) is_end = is_end || (count == 1 && ids[0] == ends[k]);
        const float bias = biased ? (float)json_number_value(json_array_get(item, 1)) : 0;
        if (!is_end) ck_ok(cud_sequences_add(set, ids, count, bias, vocabulary, "a set", &err));
        free(ids);
    }
    cud_sequences_seal(set);
}

static void read_case(row_case *c, size_t index)
{
    memset(c, 0, sizeof *c);
    c->json = json_array_get(json_object_get(file, "cases"), index);
    const json_t *p = json_object_get(c->json, "parameters"), *row = json_array_get(json_object_get(file, "rows"), (size_t)case_number(c->json, "row", 0));
    c->vocabulary = (int)json_array_size(row);
    ck_assert_int_lt(c->vocabulary, MANY);
    for (int i = 0; i < c->vocabulary; i++) c->logits[i] = (float)json_number_value(json_array_get(row, (size_t)i));

    size_t prompt, produced;
    c->ids = case_ids(json_object_get(c->json, "prompt"), &prompt);
    int32_t *more = case_ids(json_object_get(c->json, "produced"), &produced);
    c->ids = realloc(c->ids, (prompt + produced + 1) * sizeof *c->ids);
    memcpy(c->ids + prompt, more, produced * sizeof *more);
    free(more);
    c->past = (history){ c->ids, (int)(prompt + produced), (int)produced, (int)produced + 1 == (int)case_number(c->json, "max_new_tokens", 0) };

    sampling *h = &c->how;
    *h = (sampling){ .temperature = (float)case_number(p, "temperature", 1), .top_k = (int)case_number(p, "top_k", 0), .top_p = (float)case_number(p, "top_p", 1),
                     .min_p = (float)case_number(p, "min_p", 0), .repetition_penalty = (float)case_number(p, "repetition_penalty", 1),
                     .typical_p = (float)case_number(p, "typical_p", 1), .epsilon_cutoff = (float)case_number(p, "epsilon_cutoff", 0),
                     .eta_cutoff = (float)case_number(p, "eta_cutoff", 0), .top_h = (float)case_number(p, "top_h", 0),
                     .frequency_penalty = (float)case_number(p, "frequency_penalty", 0), .presence_penalty = (float)case_number(p, "presence_penalty", 0),
                     .no_repeat_ngram = (int)case_number(p, "no_repeat_ngram_size", 0), .min_length = (int)case_number(p, "min_length", 0),
                     .min_tokens = (int)case_number(p, "min_new_tokens", 0) };
    h->ends = c->ends = case_ids(json_object_get(c->json, "eos"), &h->end_count);
    h->suppress = c->suppress = case_ids(json_object_get(p, "suppress_tokens"), &h->suppress_count);
    h->begin_suppress = c->begin = case_ids(json_object_get(p, "begin_suppress_tokens"), &h->begin_suppress_count);
    h->forced_bos = c->forced_bos = case_ids(json_object_get(p, "forced_bos_token_id"), &h->forced_bos_count);
    h->forced_eos = c->forced_eos = case_ids(json_object_get(p, "forced_eos_token_id"), &h->forced_eos_count);
    read_sequences(&h->bias, json_object_get(p, "sequence_bias"), true, NULL, 0, c->vocabulary);
    read_sequences(&h->bad_words, json_object_get(p, "bad_words_ids"), false, h->ends, h->end_count, c->vocabulary);
    const json_t *decay = json_object_get(p, "exponential_decay_length_penalty"), *allowed = json_object_get(p, "allowed");
    h->decay_start = (int)json_integer_value(json_array_get(decay, 0));
    h->decay_factor = decay ? (float)json_number_value(json_array_get(decay, 1)) : 1;
    for (size_t i = 0; i < json_array_size(allowed); i++) {
        const int id = (int)json_integer_value(json_array_get(allowed, i));
        c->allowed[id / 32] |= (uint32_t)1 << id % 32;
    }
    if (allowed) h->allowed = c->allowed;
    const json_t *kept = json_object_get(c->json, "ids"), *of = json_object_get(c->json, "probabilities");
    for (size_t i = 0; i < json_array_size(kept); i++) c->p[json_integer_value(json_array_get(kept, i))] = json_number_value(json_array_get(of, i));
}

static void free_case(row_case *c)
{
    int32_t *const lists[] = { c->ids, c->ends, c->suppress, c->begin, c->forced_bos, c->forced_eos };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) free(lists[i]);
    cud_sequences_free(&c->how.bias);
    cud_sequences_free(&c->how.bad_words);
}

/* Which case it is, for messages. */
static const char *named(const row_case *c, size_t index)
{
    static char out[1024];
    char *parameters = json_dumps(json_object_get(c->json, "parameters"), JSON_COMPACT);
    snprintf(out, sizeof out, "case %zu, %s", index, parameters);
    free(parameters);
    return out;
}

/* The same tokens are left, each with its probability. What transformers leaves of less than `faint` cannot be told from nothing. */
START_TEST(probabilities_equal_transformers)
{
    const size_t cases = json_array_size(json_object_get(file, "cases"));
    const double faint = case_number(file, "faint", 0);
    ck_assert_uint_ge(cases, 260);
    for (size_t index = 0; index < cases; index++) {
        row_case c;
        sampler s;
        int count = 0, at = 0;
        read_case(&c, index);
        ck_ok(cud_sampler_init(&s, c.vocabulary, &err));
        ck_ok(cud_sample_candidates(&count, &s, &c.how, &c.past, c.logits, &err));
        for (int id = 0; id < c.vocabulary; id++) {
            const double got = at < count && s.candidates[at].id == id ? (double)s.candidates[at++].probability : 0;
            if ((got < 2 * faint) != (c.p[id] < faint)) ck_abort_msg("%s: token %d has %g, expected %g", named(&c, index), id, got, c.p[id]);
            if (fabs(got - c.p[id]) > 1e-6 * c.p[id] + 1e-10) ck_abort_msg("%s: token %d has %.9g, expected %.9g", named(&c, index), id, got, c.p[id]);
        }
        ck_assert_msg(at == count, "%s: candidates are not in id order", named(&c, index));
        for (int id = 0; id < c.vocabulary; id++) ck_assert_msg(s.tally[id] == 0.0f, "%s: a tally stays", named(&c, index));
        cud_sampler_free(&s);
        free_case(&c);
    }
}
END_TEST

START_TEST(greedy_choices_equal_transformers)
{
    const size_t cases = json_array_size(json_object_get(file, "cases"));
    for (size_t index = 0; index < cases; index++) {
        row_case c;
        sampler s;
        int32_t token;
        read_case(&c, index);
        c.how.greedy = true;
        ck_ok(cud_sampler_init(&s, c.vocabulary, &err));
        ck_ok(cud_sample(&token, &s, &c.how, &c.past, c.logits, &err));
        if (token != (int)case_number(c.json, "greedy", -1)) ck_abort_msg("%s: token %d, expected %g", named(&c, index), (int)token, case_number(c.json, "greedy", -1));
        cud_sampler_free(&s);
        free_case(&c);
    }
}
END_TEST

/* 20,000 draws from every sixteenth case with something to draw from, against transformers' probabilities: the chi-square statistic of the
 * tokens that are expected five times or more, the others together, stays below the point that one sample in 10,000 passes (its cube
 * root is nearly normal: Wilson and Hilferty). Seeds are fixed, so it does or it does not. */
START_TEST(draws_follow_transformers_probabilities)
{
    enum { DRAWS = 20000 };
    const size_t cases = json_array_size(json_object_get(file, "cases"));
    int tried = 0;
    for (size_t index = 0, candidates = 0; index < cases; index++) {
        row_case c;
        read_case(&c, index);
        if (json_array_size(json_object_get(c.json, "ids")) >= 3 && candidates++ % 16 == 0) {
            float copy[MANY];
            int hits[MANY] = { 0 }, cells = 0, rest_hits = 0;
            sampler s;
            ck_ok(cud_sampler_init(&s, c.vocabulary, &err));
            for (int i = 0; i < DRAWS; i++) {
                int32_t token;
                memcpy(copy, c.logits, sizeof copy);
                c.how.seed = (uint64_t)i * 7919 + index;
                ck_ok(cud_sample(&token, &s, &c.how, &c.past, copy, &err));
                hits[token]++;
            }
            double chi = 0, rest = 0;
            for (int id = 0; id < c.vocabulary; id++) {
                const double expected = DRAWS * c.p[id];
                if (expected < 5) {
                    rest += expected, rest_hits += hits[id];
                    continue;
                }
                chi += (hits[id] - expected) * (hits[id] - expected) / expected;
                cells++;
            }
            if (rest >= 5) chi += (rest_hits - rest) * (rest_hits - rest) / rest, cells++;
            else ck_assert_int_lt(rest_hits, 30);
            ck_assert_int_ge(cells, 2);
            const double k = cells - 1, root = 1 - 2 / (9 * k) + 3.719 * sqrt(2 / (9 * k)), most = k * root * root * root;
            if (chi > most) ck_abort_msg("%s: chi-square %g of %d cells, at most %g", named(&c, index), chi, cells, most);
            cud_sampler_free(&s);
            tried++;
        }
        free_case(&c);
    }
    ck_assert_int_ge(tried, 12);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ by hand */

static sampling plain(void) { return (sampling){ .temperature = 1, .top_p = 1, .repetition_penalty = 1 }; }

/* Nine equal logits among which nothing distinguishes but what is asked for; the probabilities that are left. */
static void nine(double out[9], sampling *how, const int32_t *ids, int total, int fresh)
{
    float logits[9] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    sampler s;
    int count;
    ck_ok(cud_sampler_init(&s, 9, &err));
    ck_ok(cud_sample_candidates(&count, &s, how, &(history){ .ids = ids, .count = total, .produced = fresh }, logits, &err));
    memset(out, 0, 9 * sizeof *out);
    for (int i = 0; i < count; i++) out[s.candidates[i].id] = (double)s.candidates[i].probability;
    cud_sampler_free(&s);
}

/* Every size over histories that end as they have gone before, against the definition: a token goes if it would end a sequence of `size` that is
 * there already. */
START_TEST(no_ngram_comes_twice)
{
    uint32_t state = 1;
    for (int round = 0; round < 3000; round++) {
        int32_t ids[40];
        state = state * 1664525 + 1013904223;
        const int count = (int)(state >> 24) % 40, kinds = 1 + (int)(state >> 12) % 3, size = 1 + (int)(state >> 5) % 7;
        for (int i = 0; i < count; i++) {
            state = state * 1664525 + 1013904223;
            ids[i] = (int32_t)(state >> 20) % kinds;
        }
        sampling how = plain();
        how.no_repeat_ngram = size;
        double p[9];
        nine(p, &how, ids, count, 0);
        for (int32_t token = 0; token < 9; token++) {
            bool there = false;
            for (int from = 0; from + size <= count && !there; from++) {
                there = ids[from + size - 1] == token;
                for (int k = 0; k < size - 1 && there; k++) there = ids[from + k] == ids[count - size + 1 + k];
            }
            ck_assert_msg((p[token] > 0) != there, "round %d: token %d", round, (int)token);
        }
    }
}
END_TEST

START_TEST(the_longest_ngram_is_found)
{
    static int32_t ids[2 * CUD_MAX_NGRAM];
    for (int i = 0; i < 2 * CUD_MAX_NGRAM; i++) ids[i] = i == CUD_MAX_NGRAM - 1 ? 5 : i == CUD_MAX_NGRAM - 2 ? 3 : 2;
    memcpy(ids + CUD_MAX_NGRAM, ids, (CUD_MAX_NGRAM - 1) * sizeof *ids); /* ... 2 3 5 2 2 ... 2 3 */
    sampling how = plain();
    double p[9];
    how.no_repeat_ngram = CUD_MAX_NGRAM;
    nine(p, &how, ids, 2 * CUD_MAX_NGRAM - 1, 0);
    for (int i = 0; i < 9; i++) ck_assert_msg((p[i] > 0) == (i != 5), "token %d", i);
    ids[0] = 4;
    nine(p, &how, ids, 2 * CUD_MAX_NGRAM - 1, 0);
    ck_assert(p[5] > 0);
}
END_TEST

/* The prompt's tokens cost nothing, each further time costs once more. */
START_TEST(produced_tokens_alone_are_penalised)
{
    static const int32_t ids[] = { 0, 0, 1, 1, 2, 1 };
    sampling how = plain();
    double p[9];
    how.frequency_penalty = 0.5f;
    how.presence_penalty = 0.25f;
    nine(p, &how, ids, 6, 4);
    ck_assert_double_eq_tol(p[0] / p[8], 1, 1e-6);
    ck_assert_double_eq_tol(p[1] / p[8], exp(-1.75), 1e-6); /* three times */
    ck_assert_double_eq_tol(p[2] / p[8], exp(-0.75), 1e-6);
    nine(p, &how, ids, 6, 0);
    ck_assert_double_eq_tol(p[1] / p[8], 1, 1e-6);
    nine(p, &how, ids, 6, 6); /* no prompt at all */
    ck_assert_double_eq_tol(p[0] / p[8], exp(-1.25), 1e-6);
}
END_TEST

/* Of two biases of one sequence the last counts; where several sequences end in one token they add up; a sequence longer than the
 * history does not apply. */
START_TEST(sequences_apply_where_they_end)
{
    static const int32_t ids[] = { 4, 1, 2 };
    static const struct { int32_t ids[4]; size_t count; float bias; } given[] = {
        { { 7 }, 1, 9 }, { { 2, 6 }, 2, 0.5f }, { { 1, 2, 6 }, 3, 0.25f }, { { 7 }, 1, 1 }, { { 3, 6 }, 2, 5 }, { { 6 }, 1, 2 },
        { { 4, 1, 2, 7 }, 4, 1 }, { { 1, 8 }, 2, 5 }, { { 2, 8 }, 2, -INFINITY }, { { 2, 3 }, 2, 0 },
    };
    sampling how = plain();
    double p[9];
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        ck_ok(cud_sequences_add(&how.bias, given[i].ids, given[i].count, given[i].bias, 9, "x", &err));
    cud_sequences_seal(&how.bias);
    ck_assert_uint_eq(how.bias.count, 9);
    ck_assert_uint_eq(how.bias.singles, 2);
    nine(p, &how, ids, 3, 0);
    ck_assert_double_eq_tol(p[7] / p[0], exp(2), 1e-5);
    ck_assert_double_eq_tol(p[6] / p[0], exp(2.75), 1e-5);
    ck_assert_double_eq_tol(p[3] / p[0], 1, 1e-6);
    ck_assert(p[8] == 0.0);
    nine(p, &how, ids + 1, 2, 0);
    ck_assert_double_eq_tol(p[7] / p[0], exp(1), 1e-5);
    nine(p, &how, ids, 0, 0);
    ck_assert_double_eq_tol(p[6] / p[0], exp(2), 1e-5);
    nine(p, &how, ids, 2, 0); /* 4 1 */
    ck_assert_double_eq_tol(p[8] / p[0], exp(5), 1e-3);
    cud_sequences_free(&how.bias);
}
END_TEST

/* Floats add up in transformers' order: single tokens, then lengths as they first came up. 100,000,000 takes a 1 in unless it is gone before. */
START_TEST(biases_add_up_in_the_order_of_lengths)
{
    static const int32_t ids[] = { 4, 3, 1, 2 };
    static const struct { int32_t ids[4]; size_t count; float bias; } given[] = {
        { { 3, 1, 2, 6 }, 4, 1e8f }, { { 2, 6 }, 2, -1e8f }, { { 1, 2, 6 }, 3, 1 }, { { 0, 0, 0, 0 }, 4, 3 }, { { 6 }, 1, 0.5f },
        { { 2, 7 }, 2, -1e8f }, { { 1, 2, 7 }, 3, 1 }, { { 3, 1, 2, 7 }, 4, 1e8f }, { { 7 }, 1, 2 },
    };
    sampling how = plain();
    double p[9];
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        ck_ok(cud_sequences_add(&how.bias, given[i].ids, given[i].count, given[i].bias, 9, "x", &err));
    cud_sequences_seal(&how.bias);
    nine(p, &how, ids, 4, 0);
    ck_assert_double_eq_tol(p[6] / p[0], exp((double)(0.5f + 1e8f - 1e8f + 1)), 1e-5);
    ck_assert_double_eq_tol(p[7] / p[0], exp((double)(2 + 1e8f - 1e8f + 1)), 1e-5); /* in the order in which lengths came up, not these sequences */
    cud_sequences_free(&how.bias);
}
END_TEST

START_TEST(sequences_that_make_no_sense_are_refused)
{
    static const int32_t ids[CUD_MAX_SEQUENCE_TOKENS + 1] = { 9, -1, 8 };
    sequence_set set = { 0 };
    const struct { const int32_t *ids; size_t count; cuddle_status status; } cases[] = {
        { ids, 0, CUDDLE_E_ARG }, { ids, 1, CUDDLE_E_ARG }, { ids + 1, 1, CUDDLE_E_ARG }, { ids + 1, 2, CUDDLE_E_ARG }, { ids + 2, 1, CUDDLE_OK },
        { ids + 3, CUD_MAX_SEQUENCE_TOKENS, CUDDLE_E_LIMIT }, { ids + 3, SIZE_MAX, CUDDLE_E_LIMIT }, { ids + 2, CUD_MAX_SEQUENCE_TOKENS - 1, CUDDLE_OK },
        { ids + 2, 1, CUDDLE_E_LIMIT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err = (cuddle_error){ CUDDLE_OK, "" };
        const cuddle_status status = cud_sequences_add(&set, cases[i].ids, cases[i].count, 0, 9, "x", &err);
        ck_assert_msg(status == cases[i].status, "case %zu: %s", i, err.text);
    }
    ck_assert_uint_eq(set.count, 2);
    cud_sequences_free(&set);
}
END_TEST

/* Against looking at every sequence. */
START_TEST(searching_sequences_finds_all_of_them)
{
    uint32_t state = 5;
    for (int round = 0; round < 300; round++) {
        sequence_set set = { 0 };
        int32_t all[60][4], ids[6];
        size_t length[60];
        for (int i = 0; i < 60; i++) {
            state = state * 1664525 + 1013904223;
            length[i] = 1 + (state >> 20) % 4;
            for (size_t k = 0; k < length[i]; k++) all[i][k] = (int32_t)((state >> (4 * k + 3)) % 3);
            ck_ok(cud_sequences_add(&set, all[i], length[i], (float)i, 3, "x", &err));
        }
        const int count = round % 7 < 6 ? round % 7 : 5;
        for (int i = 0; i < count; i++) ids[i] = (int32_t)((state >> (2 * i)) % 3);
        cud_sequences_seal(&set);
        double want = 0, got = 0;
        for (int i = 0; i < 60; i++) {
            bool ends = (int)length[i] - 1 <= count, later = false;
            for (size_t k = 0; k + 1 < length[i] && ends; k++) ends = ids[count - (int)length[i] + 1 + (int)k] == all[i][k];
            for (int j = i + 1; j < 60; j++) later = later || (length[j] == length[i] && memcmp(all[j], all[i], length[i] * sizeof *all[i]) == 0);
            if (ends && !later) want += (i + 1) * (1 + 10 * all[i][length[i] - 1]);
        }
        for (size_t i = cud_sequences_next(&set, ids, count, 0); i < set.count; i = cud_sequences_next(&set, ids, count, i + 1))
            got += ((double)set.item[i].bias + 1) * (1 + 10 * cud_sequence_last(&set.item[i]));
        ck_assert_msg(got == want, "round %d: %g, expected %g", round, got, want);
        cud_sequences_free(&set);
    }
}
END_TEST

/* A forced token comes although it is a bad word, repeats an n-gram, ends too early and is not among the allowed; where a first token is the
 * last one, too, the end wins; and what is suppressed is not even forced. */
START_TEST(forced_tokens_win_over_what_stands_before_them)
{
    static const int32_t ids[] = { 3 }, first[] = { 3 }, ends[] = { 5, 6 };
    static const uint32_t allowed[] = { 1 << 8 };
    const history begin = { .ids = ids, .count = 1 }, only = { .ids = ids, .count = 1, .last = true };
    sampling how = plain();
    ck_ok(cud_sequences_add(&how.bad_words, first, 1, 0, 9, "x", &err));
    cud_sequences_seal(&how.bad_words);
    how.no_repeat_ngram = 1;
    how.allowed = allowed;
    how.ends = first, how.end_count = 1, how.min_tokens = 9;
    how.forced_bos = first, how.forced_bos_count = 1;
    how.forced_eos = ends, how.forced_eos_count = 2;
    sampler s;
    int count;
    ck_ok(cud_sampler_init(&s, 9, &err));
    float a[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 }, b[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 }, c[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    ck_ok(cud_sample_candidates(&count, &s, &how, &begin, a, &err));
    ck_assert(count == 1 && s.candidates[0].id == 3);
    ck_ok(cud_sample_candidates(&count, &s, &how, &only, b, &err));
    ck_assert(count == 2 && s.candidates[0].id == 5 && s.candidates[1].id == 6);
    ck_assert_float_eq(s.candidates[0].probability, 0.5f);
    how.suppress = ends, how.suppress_count = 2;
    test_expect_failure(cud_sample_candidates(&count, &s, &how, &only, c, &err), CUDDLE_E_FORMAT, &err);
    cud_sampler_free(&s);
    cud_sequences_free(&how.bad_words);
}
END_TEST

/* top-h looks at 100 tokens, of equal ones at those of the lowest ids; a little more than half of the entropy of equal tokens is half of them. */
START_TEST(top_h_looks_at_a_hundred_tokens)
{
    enum { N = 130 };
    sampling how = plain();
    sampler s;
    int count;
    ck_ok(cud_sampler_init(&s, N, &err));
    for (int half = 0; half < 2; half++) {
        float logits[N];
        for (int i = 0; i < N; i++) logits[i] = 3;
        how.top_h = half ? 0.505f : 1;
        ck_ok(cud_sample_candidates(&count, &s, &how, &(history){ .produced = 0 }, logits, &err));
        ck_assert_int_eq(count, half ? 50 : 100);
        for (int i = 0; i < count; i++) ck_assert_int_eq(s.candidates[i].id, i);
    }
    cud_sampler_free(&s);
}
END_TEST

/* InfNanRemoveLogitsProcessor: no number becomes 0, an infinity the farthest number; what is suppressed behind it stays so. */
/* An epsilon that no probability reaches leaves the likeliest, all of equal ones. */
START_TEST(a_cut_off_leaves_the_likeliest)
{
    static const float rows[][4] = { { 0, 1, 1, 0.5f }, { 0.5f, 0, 0.75f, 0 } };
    static const struct { int count; int32_t ids[2]; } want[] = { { 2, { 1, 2 } }, { 1, { 2 } } };
    sampling how = plain();
    sampler s;
    how.epsilon_cutoff = 0.9f;
    ck_ok(cud_sampler_init(&s, 4, &err));
    for (int i = 0; i < 2; i++) {
        float logits[4];
        int count;
        memcpy(logits, rows[i], sizeof logits);
        ck_ok(cud_sample_candidates(&count, &s, &how, &(history){ .produced = 0 }, logits, &err));
        ck_assert_int_eq(count, want[i].count);
        for (int k = 0; k < count; k++) ck_assert_int_eq(s.candidates[k].id, want[i].ids[k]);
    }
    cud_sampler_free(&s);
}
END_TEST

START_TEST(invalid_values_can_be_removed)
{
    sampling how = plain();
    sampler s;
    int count;
    const int32_t last[] = { 4 };
    how.remove_invalid = true;
    how.suppress = last;
    how.suppress_count = 1;
    ck_ok(cud_sampler_init(&s, 5, &err));
    float logits[] = { NAN, 1, -INFINITY, 0, INFINITY };
    ck_ok(cud_sample_candidates(&count, &s, &how, &(history){ .produced = 0 }, logits, &err));
    ck_assert_int_eq(count, 4);
    ck_assert_float_eq_tol(s.candidates[0].probability, s.candidates[2].id == 2 ? s.candidates[3].probability : -1, 1e-7f);
    ck_assert_float_eq(s.candidates[2].probability, 0);
    float infinite[] = { NAN, 1, -INFINITY, INFINITY, 0 };
    int32_t token;
    how.greedy = true;
    ck_ok(cud_sample(&token, &s, &how, &(history){ .produced = 0 }, infinite, &err));
    ck_assert_int_eq(token, 3);
    cud_sampler_free(&s);
}
END_TEST

/* Each setting that a device does not know, alone; and none of the others. */
START_TEST(a_device_is_not_asked_for_what_it_cannot_do)
{
    static const int32_t ids[] = { 1, 2, 3 }, one[] = { 2 };
    static const uint32_t all[] = { 0x1ff };
    const history past = { .ids = ids, .count = 3, .produced = 2 }, last = { .ids = ids, .count = 3, .produced = 2, .last = true },
                  first = { .ids = ids, .count = 1, .produced = 0 };
    sampling known = plain(), how;
    known.top_k = 5, known.top_p = 0.5f, known.min_p = 0.1f, known.temperature = 2, known.repetition_penalty = 2;
    known.suppress = known.begin_suppress = known.ends = one;
    known.suppress_count = known.begin_suppress_count = known.end_count = 1;
    known.min_length = known.min_tokens = 9, known.allowed = all;
    known.typical_p = 1, known.epsilon_cutoff = 1, known.eta_cutoff = 1, known.decay_factor = 1;
    ck_ok(cud_sequences_add(&known.bad_words, one, 1, 0, 9, "x", &err));
    cud_sequences_seal(&known.bad_words);
    ck_assert(!cud_sampling_needs_host(&known, &past) && !cud_sampling_needs_host(&known, &last) && !cud_sampling_needs_host(&known, &first));
    how = plain();
    ck_assert(!cud_sampling_needs_host(&how, &past) && !cud_sampling_needs_host(&how, &last) && !cud_sampling_needs_host(&how, &first));
#define NEEDS(setting, after) \
    do { \
        how = known; \
        setting; \
        ck_assert_msg(cud_sampling_needs_host(&how, after), "%s", #setting); \
    } while (0)
    NEEDS(how.typical_p = 0.5f, &past);
    NEEDS(how.epsilon_cutoff = 0.5f, &past);
    NEEDS(how.eta_cutoff = 0.5f, &past);
    NEEDS(how.top_h = 1, &past);
    how.greedy = true, how.typical_p = 0.5f; /* which does not matter then */
    ck_assert(!cud_sampling_needs_host(&how, &past));
    NEEDS(how.frequency_penalty = -0.1f, &past);
    NEEDS(how.presence_penalty = 0.1f, &past);
    NEEDS(how.no_repeat_ngram = 1, &past);
    NEEDS(how.remove_invalid = true, &past);
    NEEDS(how.forced_bos_count = 1, &first);
    ck_assert(!cud_sampling_needs_host(&how, &past) && !cud_sampling_needs_host(&how, &last));
    NEEDS(how.forced_eos_count = 1, &last);
    ck_assert(!cud_sampling_needs_host(&how, &past) && !cud_sampling_needs_host(&how, &first));
    NEEDS((how.decay_start = 1, how.decay_factor = 0.5f), &past);
    how.decay_start = 2;
    ck_assert(!cud_sampling_needs_host(&how, &past));
    NEEDS(how.bias = known.bad_words, &past);
    sequence_set two = { 0 };
    ck_ok(cud_sequences_add(&two, ids, 2, 0, 9, "x", &err));
    cud_sequences_seal(&two);
    NEEDS(how.bad_words = two, &past);
    cud_sequences_free(&two);
    cud_sequences_free(&known.bad_words);
}
END_TEST

/* Before the first token, and behind a forced one before the second; ends until both counts are reached. */
START_TEST(bans_come_and_go)
{
    static const int32_t ids[] = { 1, 2, 3, 4 };
    sampling how = plain();
    how.begin_suppress_count = how.end_count = 1;
    const struct { int count, produced, min_length, min_tokens; bool forced; unsigned want; } cases[] = {
        { 3, 0, 0, 0, false, CUD_BAN_BEGIN }, { 3, 1, 0, 0, false, 0 }, { 1, 0, 0, 0, false, CUD_BAN_BEGIN }, { 1, 0, 0, 0, true, 0 },
        { 2, 1, 0, 0, true, CUD_BAN_BEGIN }, { 3, 2, 0, 0, true, 0 }, { 2, 0, 0, 0, true, CUD_BAN_BEGIN }, { 3, 1, 0, 0, true, 0 },
        { 4, 2, 4, 0, false, 0 }, { 4, 2, 5, 0, false, CUD_BAN_ENDS }, { 4, 2, 0, 2, false, 0 }, { 4, 2, 0, 3, false, CUD_BAN_ENDS },
        { 4, 0, 5, 0, false, CUD_BAN_BEGIN | CUD_BAN_ENDS },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        how.min_length = cases[i].min_length;
        how.min_tokens = cases[i].min_tokens;
        how.forced_bos_count = cases[i].forced;
        const unsigned bans = cud_bans(&how, &(history){ .ids = ids, .count = cases[i].count, .produced = cases[i].produced });
        ck_assert_msg(bans == cases[i].want, "case %zu: %u", i, bans);
    }
}
END_TEST

static void keep_line(cuddle_log_level level, const char *line, void *user)
{
    char *lines = user;
    ck_assert_int_eq(level, CUDDLE_LOG_WARN);
    strcat(strcat(lines, line), "\n");
}

static void read_settings(generation_config *config, const char *text, const logger *log)
{
    spec s = { .stacks = 1 };
    s.stack[0].vocabulary = 50;
    json_t *root;
    ck_ok(cud_json_parse(&root, text, strlen(text), "generation_config.json", &err));
    const json_view view = cud_json_view(root, "generation_config.json");
    ck_ok(cud_generation_config_read(config, &view, &s, log, &err));
    json_decref(root);
}

/* What is not known is named in a warning, unless it says nothing. */
START_TEST(settings_without_effect_are_logged)
{
    char lines[1000] = "";
    const logger log = { keep_line, lines, CUDDLE_LOG_WARN };
    generation_config config;
    read_settings(&config, "{\"temprature\": 0.5, \"use_cache\": true, \"num_beams\": 1, \"stop_strings\": [], \"mood\": null, \"pace\": 3}", &log);
    ck_assert_str_eq(lines, "generation_config.json: \"temprature\" is not a known setting and has no effect\n"
                            "generation_config.json: \"pace\" is not a known setting and has no effect\n");
    cud_generation_config_free(&config);
}
END_TEST

/* A checkpoint without the file: transformers' defaults, and the ends that config.json names. */
START_TEST(a_checkpoint_may_have_no_settings)
{
    spec s = { .stacks = 1, .eos = { 7, 9 }, .eos_count = 2 };
    s.stack[0].vocabulary = 50;
    generation_config config;
    memset(&config, 0xff, sizeof config);
    ck_ok(cud_generation_config_load(&config, test_temp_dir(), &s, NULL, &err));
    ck_assert(!config.do_sample && config.temperature == 1 && config.top_k == 50 && config.top_p == 1 && config.typical_p == 1);
    ck_assert(config.repetition_penalty == 1 && config.decay_factor == 1 && config.min_p == 0 && config.top_h == 0);
    ck_assert_int_eq(config.eos_count, 2);
    ck_assert(config.eos[0] == 7 && config.eos[1] == 9);
    ck_assert(config.suppress_count == 0 && config.max_new_tokens == 0 && config.forced_bos_count == 0);
    cud_generation_config_free(&config);
}
END_TEST

/* How many are made and given, and the log-probabilities that the best are found by. */
START_TEST(choices_and_beams_are_counted)
{
    static const struct { int n, best_of, beams, logprobs; struct { int n, best_of, beams, logprobs; } want; } cases[] = {
        { 0, 0, 0, -1, { 1, 1, 1, -1 } }, { 1, 1, 1, -1, { 1, 1, 1, -1 } }, { 3, 0, 0, -1, { 3, 3, 1, -1 } }, { 2, 5, 0, -1, { 2, 5, 1, 0 } },
        { 2, 5, 0, 4, { 2, 5, 1, 4 } },   { 2, 2, 0, -1, { 2, 2, 1, -1 } }, { 0, 0, 2, -1, { 1, 2, 2, -1 } }, { 2, 0, 2, -1, { 2, 2, 2, -1 } },
        { 2, 0, 5, -1, { 2, 5, 5, -1 } },
    };
    static const struct { int n, best_of, beams, max_tokens; cuddle_status status; const char *text; } refused[] = {
        { 3, 2, 0, 4, CUDDLE_E_ARG, "best_of is 2, expected n, which is 3, or more" },
        { 0, 2, 2, 4, CUDDLE_E_UNSUPPORTED, "num_beams is 2, which does not go with best_of" },
        { 4, 0, 3, 4, CUDDLE_E_ARG, "n is 4, expected at most num_beams, which is 3" },
        { 0, 0, 3, 0, CUDDLE_E_ARG, "num_beams is 3, but max_tokens is 0" },
    };
    generation_config config;
    generation g;
    cuddle_generation_options o;
    cuddle_generation_options_init(&o, sizeof o);
    read_settings(&config, "{}", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        o.n = cases[i].n, o.best_of = cases[i].best_of, o.num_beams = cases[i].beams, o.logprobs = cases[i].logprobs;
        ck_ok(cud_generation_resolve(&g, &o, &config, 50, &err));
        ck_assert_msg(g.n == cases[i].want.n && g.best_of == cases[i].want.best_of && g.beams == cases[i].want.beams && g.logprobs == cases[i].want.logprobs,
                      "case %zu: n %d, best of %d, %d beams, %d log-probabilities", i, g.n, g.best_of, g.beams, g.logprobs);
        cud_generation_free(&g);
    }
    o.logprobs = -1;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        o.n = refused[i].n, o.best_of = refused[i].best_of, o.num_beams = refused[i].beams, o.max_tokens = refused[i].max_tokens;
        cud_error_clear(&err);
        test_expect_failure(cud_generation_resolve(&g, &o, &config, 50, &err), refused[i].status, &err);
        ck_assert_str_eq(err.text, refused[i].text);
        cud_generation_free(&g);
    }
    cud_generation_config_free(&config);
}
END_TEST

/* A checkpoint's settings, a request's options and the scratch, each with everything that can be in them. */
START_TEST(what_is_taken_is_given_back)
{
    static const char text[] = "{\"suppress_tokens\": [1], \"begin_suppress_tokens\": [2], \"bad_words_ids\": [[3], [4, 5]], \"sequence_bias\": [[[6], 1.5]]}";
    static const int32_t ids[] = { 1, 2, 3 };
    static const char *const stops[] = { "a", "bc" };
    const cuddle_sequence_bias lists[] = { { ids, 1, 1 }, { ids, 3, 1 } };
    cuddle_generation_options o;
    cuddle_generation_options_init(&o, sizeof o);
    o.stop = stops, o.stop_count = 2;
    o.suppress = o.begin_suppress = o.stop_tokens = o.allowed = ids;
    o.suppress_count = o.begin_suppress_count = o.stop_token_count = o.allowed_count = 3;
    o.bad_words = o.sequence_bias = lists;
    o.bad_word_count = o.sequence_bias_count = 2;
    spec s = { .stacks = 1 };
    s.stack[0].vocabulary = 50;
    json_t *root;
    ck_ok(cud_json_parse(&root, text, sizeof text - 1, "generation_config.json", &err));
    const json_view view = cud_json_view(root, "generation_config.json");
    generation_config config;
    generation g;
    sampler scratch;
    test_count_memory();
    ck_ok(cud_sampler_init(&scratch, 50, &err));
    ck_ok(cud_generation_config_read(&config, &view, &s, NULL, &err));
    ck_ok(cud_generation_resolve(&g, &o, &config, 50, &err));
    ck_assert(g.stop_count == 2 && g.how.suppress_count == 4 && g.how.begin_suppress_count == 4 && g.how.bias.count == 3 && g.how.bad_words.count == 4);
    cud_generation_free(&g);
    cud_generation_config_free(&config);
    cud_sampler_free(&scratch);
    ck_assert_int_eq((int)test_counted_memory().now, 0);
    json_decref(root);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("processors");
    TCase *tc = tcase_create("processors");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, probabilities_equal_transformers);
    tcase_add_test(tc, greedy_choices_equal_transformers);
    tcase_add_test(tc, draws_follow_transformers_probabilities);
    tcase_add_test(tc, no_ngram_comes_twice);
    tcase_add_test(tc, the_longest_ngram_is_found);
    tcase_add_test(tc, produced_tokens_alone_are_penalised);
    tcase_add_test(tc, sequences_apply_where_they_end);
    tcase_add_test(tc, biases_add_up_in_the_order_of_lengths);
    tcase_add_test(tc, sequences_that_make_no_sense_are_refused);
    tcase_add_test(tc, top_h_looks_at_a_hundred_tokens);
    tcase_add_test(tc, searching_sequences_finds_all_of_them);
    tcase_add_test(tc, forced_tokens_win_over_what_stands_before_them);
    tcase_add_test(tc, a_cut_off_leaves_the_likeliest);
    tcase_add_test(tc, invalid_values_can_be_removed);
    tcase_add_test(tc, a_device_is_not_asked_for_what_it_cannot_do);
    tcase_add_test(tc, bans_come_and_go);
    tcase_add_test(tc, settings_without_effect_are_logged);
    tcase_add_test(tc, a_checkpoint_may_have_no_settings);
    tcase_add_test(tc, choices_and_beams_are_counted);
    tcase_add_test(tc, what_is_taken_is_given_back);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
