/* What `sample` must pick is what cud_sample() picks on the host, which tests/test_sampler.c compares with transformers. */
#include "op_support.h"

#include "engine/sampler.h"

enum { MAX_ROWS = 40, MAX_VOCABULARY = 33000, MAX_WORDS = (MAX_VOCABULARY + 31) / 32 };

typedef enum kind { RANDOM, TIED, EQUAL, ZEROS, CLOSE, PEAK, MOSTLY_INF, EXTREME, NANS, ALL_BANNED, KINDS } kind;
static const char *const kind_names[] = { "random", "tied", "equal", "zeros", "close", "one peak", "mostly -inf", "extreme", "no numbers", "all banned" };

static uint32_t whole(op_env *e, uint32_t below)
{
    op_draw(e);
    return (uint32_t)((e->seed >> 33) % below);
}

static float logit_of(op_env *e, kind k, int i)
{
    static const float extreme[] = { 3e38f, -3e38f, 1e-40f, -1e-40f, 0.0f, -0.0f, INFINITY, 1e30f, 20, -15 };
    const float noise = 3 * (op_draw(e) + op_draw(e) + op_draw(e));
    switch (k) {
    case TIED: return (float)whole(e, 4) * 0.5f;
    case EQUAL: return 2;
    case ZEROS: return whole(e, 2) ? 0.0f : -0.0f;
    case CLOSE: return 10 + op_draw(e) * 1e-5f; /* some units in the last place */
    case PEAK: return i % 97 == 11 ? 30 : noise * 0.01f;
    case MOSTLY_INF: return whole(e, 10) ? -INFINITY : noise;
    case EXTREME: return extreme[whole(e, 10)];
    case NANS: return whole(e, 700) ? noise : NAN;
    default: return noise;
    }
}

typedef struct batch {
    int rows, vocabulary;
    float *logits; /* [rows, vocabulary] */
    sample_row row[MAX_ROWS];
    int64_t mark_words;
    uint32_t *seen, *banned; /* [rows, mark_words]; seats are rows, some of them */
} batch;

static void batch_new(op_env *e, batch *b, int rows, int vocabulary)
{
    ck_assert_int_le(rows, MAX_ROWS);
    b->rows = rows;
    b->vocabulary = vocabulary;
    b->mark_words = (vocabulary + 31) / 32 + 1;
    b->logits = op_host(e, (size_t)rows * (size_t)vocabulary * sizeof(float));
    const size_t bytes = (size_t)rows * (size_t)b->mark_words * sizeof(uint32_t);
    memset(b->seen = op_host(e, bytes), 0, bytes);
    memset(b->banned = op_host(e, bytes), 0, bytes);
}

static bool bit(const uint32_t *marks, int id) { return marks[id / 32] >> id % 32 & 1; }
static void set_bit(uint32_t *marks, int id) { marks[id / 32] |= (uint32_t)1 << id % 32; }

/* A row of logits with marks. */
static void fill_row(op_env *e, batch *b, int r, kind k)
{
    uint32_t *seen = b->seen + r * b->mark_words, *banned = b->banned + r * b->mark_words;
    for (int i = 0; i < b->vocabulary; i++) {
        b->logits[(int64_t)r * b->vocabulary + i] = logit_of(e, k, i);
        if (whole(e, 3) == 0) set_bit(seen, i);
        if (k == ALL_BANNED || whole(e, 9) == 0) set_bit(banned, i);
    }
}

static void random_options(op_env *e, batch *b, int r, kind k)
{
    const float top_p[] = { 1, 0.95f, 0.5f, 0.3f, 1e-6f, 0, 0.9999999f }, min_p[] = { 0, 0, 0.05f, 0.5f, 1 }, temperature[] = { 1, 1, 0.7f, 2.5f, 0.01f, 1e-38f };
    const int top_k[] = { 0, 0, 1, 3, 50, b->vocabulary / 2, b->vocabulary, b->vocabulary + 7 };
    const bool on = k == NANS || k == ALL_BANNED ? r % 3 > 0 : whole(e, 2) > 0;
    b->row[r] = (sample_row){ .greedy = k != EQUAL && whole(e, 6) == 0, .temperature = temperature[whole(e, 6)], .top_p = top_p[whole(e, 7)], .min_p = min_p[whole(e, 5)],
                              .repetition_penalty = whole(e, 2) ? 1 : 1.3f, .top_k = top_k[whole(e, 8)], .seed = { whole(e, 1000), whole(e, 3) },
                              .counter = whole(e, 100000), .seat = on ? b->rows - 1 - r : -1 };
    if (on) { /* seats in another order than rows */
        const size_t bytes = (size_t)b->mark_words * sizeof(uint32_t);
        uint32_t swap[MAX_WORDS + 1];
        for (int pass = 0; pass < 2 && b->row[r].seat > r; pass++) {
            uint32_t *marks = pass ? b->banned : b->seen, *x = marks + r * b->mark_words, *y = marks + b->row[r].seat * b->mark_words;
            memcpy(swap, x, bytes), memcpy(x, y, bytes), memcpy(y, swap, bytes);
        }
    }
}

/* What the host picks; the codes of its failures found by looking. */
static int32_t host_pick(const batch *b, int r)
{
    static float logits[MAX_VOCABULARY];
    static int32_t ids[MAX_VOCABULARY], suppress[MAX_VOCABULARY];
    cuddle_error err = { CUDDLE_OK, "" };
    const sample_row *row = &b->row[r];
    const float *from = b->logits + (int64_t)r * b->vocabulary;
    const uint32_t *seen = row->seat < 0 ? NULL : b->seen + row->seat * b->mark_words, *banned = row->seat < 0 ? NULL : b->banned + row->seat * b->mark_words;
    history past = { .ids = ids, .produced = (int)row->counter };
    sampling how = { .greedy = row->greedy != 0, .temperature = row->temperature, .top_k = row->top_k, .top_p = row->top_p, .min_p = row->min_p,
                     .repetition_penalty = row->repetition_penalty, .seed = (uint64_t)row->seed[1] << 32 | row->seed[0], .suppress = suppress };
    for (int i = 0; i < b->vocabulary; i++) {
        logits[i] = from[i];
        if (seen && bit(seen, i)) ids[past.count++] = i;
        if (banned && bit(banned, i)) suppress[how.suppress_count++] = i;
    }
    sampler s;
    int32_t token;
    ck_ok(cud_sampler_init(&s, b->vocabulary, &err));
    const cuddle_status status = cud_sample(&token, &s, &how, &past, logits, &err);
    cud_sampler_free(&s);
    if (!status) return token;
    for (int i = 0; i < b->vocabulary; i++)
        if (isnan(from[i]) && !(banned && bit(banned, i))) return ~i;
    return SAMPLE_NONE;
}

/* Runs a batch and compares every row. `picked` may be NULL. */
static void check_batch(op_env *e, const batch *b, int32_t *picked, const char *what)
{
    cuddle_error failure = { CUDDLE_OK, "" };
    const size_t mark_bytes = (size_t)b->rows * (size_t)b->mark_words * sizeof(uint32_t);
    int32_t got[MAX_ROWS];
    memset(got, 0x55, sizeof got);
    sample_args a = { .logits = op_from(e, CUDDLE_F32, b->logits, 2, b->rows, b->vocabulary, 0, 3), .mark_words = b->mark_words,
                      .rows = op_upload(e, b->row, (size_t)b->rows * sizeof *b->row), .seen = op_upload(e, b->seen, mark_bytes),
                      .banned = op_upload(e, b->banned, mark_bytes), .picked = op_upload(e, got, (size_t)b->rows * sizeof *got) };
    bool seats = false;
    for (int r = 0; r < b->rows; r++) seats = seats || b->row[r].seat >= 0;
    uint32_t *device_seen = a.seen;
    if (!seats) a.seen = NULL, a.banned = NULL;
    OP_RUN(e, e->b->ops->sample(&e->ex, &a, &err));
    cuddle_status status = e->b->ops->download(&e->ex, got, a.picked, (size_t)b->rows * sizeof *got, &failure);
    ck_assert_msg(!status, "%s", failure.text);
    uint32_t *seen = op_host(e, mark_bytes);
    status = e->b->ops->download(&e->ex, seen, device_seen, mark_bytes, &failure);
    ck_assert_msg(!status, "%s", failure.text);
    for (int r = 0; r < b->rows; r++) {
        const sample_row *o = &b->row[r];
        const int32_t want = host_pick(b, r);
        if (got[r] != want)
            ck_abort_msg("%s, vocabulary %d, row %d: %d was picked, expected %d (greedy %d, temperature %g, top_k %d, top_p %g, min_p %g, penalty %g, seat %d)", what,
                         b->vocabulary, r, got[r], want, o->greedy, (double)o->temperature, o->top_k, (double)o->top_p, (double)o->min_p,
                         (double)o->repetition_penalty, o->seat);
        if (want >= 0 && o->seat >= 0) set_bit(b->seen + o->seat * b->mark_words, want);
    }
    ck_assert_msg(memcmp(seen, b->seen, mark_bytes) == 0, "%s, vocabulary %d: other tokens are marked as seen", what, b->vocabulary);
    op_padding_intact(e, a.logits);
    if (picked) memcpy(picked, got, (size_t)b->rows * sizeof *got);
}

START_TEST(matches_hand_value) /* greedy: the first of two; seen, so that the penalty makes it the second; banned, so that it is the third */
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    batch b;
    batch_new(&e, &b, 3, 3);
    for (int r = 0; r < 3; r++) {
        memcpy(b.logits + r * 3, (float[]){ 3, 4, 4 }, 3 * sizeof(float));
        b.row[r] = (sample_row){ .greedy = 1, .repetition_penalty = 2, .seat = r - 1 };
    }
    b.seen[0] = 2;
    b.banned[b.mark_words] = 6;
    int32_t picked[3];
    check_batch(&e, &b, picked, "by hand");
    ck_assert_int_eq(picked[0], 1);
    ck_assert_int_eq(picked[1], 2);
    ck_assert_int_eq(picked[2], 0);
    op_close(&e);
}
END_TEST

START_TEST(matches_the_host_for_every_kind_of_logits)
{
    op_env e;
    if (!op_open(&e, _i, OP_THREADS)) return;
    static const int vocabularies[] = { 1, 2, 31, 257, 5000, 33000 }, rows[] = { 6, 12, 12, 10, 3, OP_THREADS /* each takes one */ };
    for (int v = 0; v < 6; v++) {
        for (kind k = 0; k < KINDS; k++) {
            batch b;
            batch_new(&e, &b, rows[v], vocabularies[v]);
            for (int r = 0; r < b.rows; r++) fill_row(&e, &b, r, k);
            for (int r = 0; r < b.rows; r++) random_options(&e, &b, r, k);
            check_batch(&e, &b, NULL, kind_names[k]);
            op_reset(&e);
        }
    }
    op_close(&e);
}
END_TEST

START_TEST(matches_the_host_for_every_combination_of_options)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    static const float top_p[] = { 1, 0.9f, 0.4f }, min_p[] = { 0, 0.1f }, temperature[] = { 1, 0.6f }, penalty[] = { 1, 1.2f };
    static const int top_k[] = { 0, 1, 20 };
    for (int i = 0; i < 3 * 3 * 2 * 2; i++) {
        batch b;
        batch_new(&e, &b, 4, 257);
        for (int r = 0; r < b.rows; r++) {
            fill_row(&e, &b, r, (i + r) % 3 ? RANDOM : TIED);
            b.row[r] = (sample_row){ .temperature = temperature[r / 2], .top_p = top_p[i % 3], .min_p = min_p[i / 9 % 2], .top_k = top_k[i / 3 % 3],
                                     .repetition_penalty = penalty[i / 18], .seed = { (uint32_t)i, 7 }, .counter = (uint32_t)r, .seat = r % 2 ? r : -1 };
        }
        check_batch(&e, &b, NULL, "a combination");
        op_reset(&e);
    }
    op_close(&e);
}
END_TEST

START_TEST(draws_depend_on_seed_and_counter)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    int32_t picked[MAX_ROWS];
    int different = 0;
    batch b;
    batch_new(&e, &b, MAX_ROWS, 300);
    fill_row(&e, &b, 0, RANDOM);
    for (int r = 0; r < b.rows; r++) {
        memcpy(b.logits + r * 300, b.logits, 300 * sizeof(float));
        b.row[r] = (sample_row){ .temperature = 3, .top_p = r % 2 ? 0.97f : 1, .repetition_penalty = 1, .seed = { r % 4 == 1 ? (uint32_t)r : 5, r % 4 == 2 ? (uint32_t)r : 0 },
                                 .counter = r % 4 == 3 ? (uint32_t)r : 0x7fffffff, .seat = -1 };
    }
    check_batch(&e, &b, picked, "seeds");
    for (int r = 4; r < b.rows; r++) different += r % 4 > 0 && picked[r] != picked[r - 4];
    ck_assert_int_gt(different, 20); /* of 27, and of 300 tokens */
    op_close(&e);
}
END_TEST

START_TEST(rows_are_independent)
{
    op_env e;
    if (!op_open(&e, _i, OP_THREADS)) return;
    int32_t alone, among[5];
    batch one, b;
    for (int place = 0; place < 5; place++) {
        batch_new(&e, &one, 1, 2100); /* two chunks, three tiles */
        e.seed = 77;
        fill_row(&e, &one, 0, RANDOM);
        one.row[0] = (sample_row){ .temperature = 1.1f, .top_p = 0.9f, .top_k = 100, .repetition_penalty = 1, .seed = { 3, 4 }, .counter = 9, .seat = -1 };
        check_batch(&e, &one, &alone, "alone");
        batch_new(&e, &b, 5, 2100);
        e.seed = 1000u + (unsigned)place;
        for (int r = 0; r < 5; r++) fill_row(&e, &b, r, r == place ? RANDOM : (kind)((r + place) % KINDS));
        for (int r = 0; r < 5; r++) random_options(&e, &b, r, RANDOM);
        memcpy(b.logits + place * 2100, one.logits, 2100 * sizeof(float));
        b.row[place] = one.row[0];
        check_batch(&e, &b, among, "among others");
        ck_assert_int_eq(among[place], alone);
        op_reset(&e);
    }
    op_close(&e);
}
END_TEST

START_TEST(refuses_by_name)
{
    op_env e;
    if (!op_open(&e, _i, 1)) return;
    uint32_t marks;
    sample_args a = { .logits = cud_matrix(NULL, CUDDLE_F32, 2, 100), .seen = &marks, .mark_words = 4 };
    OP_RECORDED(&e, e.b->ops->sample(&e.ex, &a, &err));
    ck_assert_uint_gt(e.ex.ws.peak, 0);
    a.mark_words = 3;
    OP_REFUSED(&e, e.b->ops->sample(&e.ex, &a, &err), CUDDLE_E_INTERNAL, "sample on " OP_NAME, "mark words");
    a.logits = cud_matrix(NULL, CUDDLE_BF16, 2, 100);
    OP_REFUSED(&e, e.b->ops->sample(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "sample on " OP_NAME, "BF16");
    a.logits = cud_matrix(NULL, CUDDLE_F32, 2, (1 << 20) + 1);
    OP_REFUSED(&e, e.b->ops->sample(&e.ex, &a, &err), CUDDLE_E_UNSUPPORTED, "sample on " OP_NAME, "1048577");
    a.logits = cud_vector(NULL, CUDDLE_F32, 2);
    OP_REFUSED(&e, e.b->ops->sample(&e.ex, &a, &err), CUDDLE_E_INTERNAL, "sample on " OP_NAME, "rank");
    op_close(&e);
}
END_TEST

int main(void)
{
    TCase *tc;
    Suite *s = op_suite("sample", &tc);
    tcase_add_loop_test(tc, matches_hand_value, 0, OP_LEVELS);
    tcase_add_loop_test(tc, matches_the_host_for_every_kind_of_logits, 0, OP_LEVELS);
    tcase_add_loop_test(tc, matches_the_host_for_every_combination_of_options, 0, OP_LEVELS);
    tcase_add_loop_test(tc, draws_depend_on_seed_and_counter, 0, OP_LEVELS);
    tcase_add_loop_test(tc, rows_are_independent, 0, OP_LEVELS);
    tcase_add_loop_test(tc, refuses_by_name, 0, OP_LEVELS);
    return test_run(s);
}
