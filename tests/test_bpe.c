#include "support.h"
#include "text/bpe.h"

#include <stdlib.h>
#include <string.h>

static cuddle_error err;

static void symbols(cud_bpe_scratch *s, const int32_t *ids, size_t count)
{
    s->count = 0;
    for (size_t i = 0; i < count; i++) ck_ok(cud_bpe_symbol(s, ids[i], 1, &err));
}

static void merge(cud_merges *m, int32_t left, int32_t right, uint32_t rank, int32_t id)
{
    ck_ok(cud_merges_add(m, (cud_merge){ left, right, rank, id }, &err));
}

static void expect(const cud_bpe_scratch *s, const int32_t *ids, const uint32_t *lengths, size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (!s->symbol[i].length) continue;
        ck_assert(at < count);
        ck_assert_int_eq(s->symbol[i].id, ids[at]);
        if (lengths) ck_assert_uint_eq(s->symbol[i].length, lengths[at]);
        at++;
    }
    ck_assert_uint_eq(at, count);
}

START_TEST(merges_the_lowest_rank_first) /* b c (0) before a b (1): a, bc, not ab, c */
{
    enum { A, B, C, AB, BC };
    cud_merges m = { 0 };
    cud_bpe_scratch *s = calloc(1, sizeof *s);
    merge(&m, A, B, 1, AB);
    merge(&m, B, C, 0, BC);
    symbols(s, (const int32_t[]){ A, B, C }, 3);
    ck_ok(cud_bpe_merge(s, &m, &err));
    expect(s, (const int32_t[]){ A, BC }, (const uint32_t[]){ 1, 2 }, 2);
    symbols(s, (const int32_t[]){ A, B, A, B, C, A }, 6);
    ck_ok(cud_bpe_merge(s, &m, &err));
    expect(s, (const int32_t[]){ AB, A, BC, A }, NULL, 4);
    cud_bpe_scratch_free(s);
    free(m.slot);
}
END_TEST

START_TEST(merges_the_leftmost_of_equals) /* aaaaa: aa aa a, then aaaa a */
{
    enum { A, AA, AAAA };
    cud_merges m = { 0 };
    cud_bpe_scratch *s = calloc(1, sizeof *s);
    merge(&m, A, A, 0, AA);
    symbols(s, (const int32_t[]){ A, A, A, A, A }, 5);
    ck_ok(cud_bpe_merge(s, &m, &err));
    expect(s, (const int32_t[]){ AA, AA, A }, (const uint32_t[]){ 2, 2, 1 }, 3);
    merge(&m, AA, AA, 1, AAAA);
    symbols(s, (const int32_t[]){ A, A, A, A, A }, 5);
    ck_ok(cud_bpe_merge(s, &m, &err));
    expect(s, (const int32_t[]){ AAAA, A }, (const uint32_t[]){ 4, 1 }, 2);
    cud_bpe_scratch_free(s);
    free(m.slot);
}
END_TEST

START_TEST(a_later_rule_for_the_same_pair_wins)
{
    cud_merges m = { 0 };
    merge(&m, 1, 2, 0, 3);
    merge(&m, 1, 2, 5, 4);
    ck_assert_uint_eq(m.count, 1);
    ck_assert_int_eq(cud_merges_find(&m, 1, 2)->id, 4);
    ck_assert_ptr_null(cud_merges_find(&m, 2, 1));
    free(m.slot);
}
END_TEST

static uint32_t state = 1;
static uint32_t random_below(uint32_t n)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

/* The definition: look for the lowest rank, the leftmost of it, merge, start over. */
static size_t naive(int32_t *ids, size_t count, const cud_merges *m)
{
    for (;;) {
        const cud_merge *best = NULL;
        size_t at = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            const cud_merge *found = cud_merges_find(m, ids[i], ids[i + 1]);
            if (found && (!best || found->rank < best->rank)) best = found, at = i;
        }
        if (!best) return count;
        ids[at] = best->id;
        memmove(ids + at + 1, ids + at + 2, (count - at - 2) * sizeof *ids);
        count--;
    }
}

START_TEST(agrees_with_the_definition_on_random_rules)
{
    /* Ids are strings over {a, b} up to 4 long, numbered by their bits with a leading one, so rules are consistent. */
    cud_merges m = { 0 };
    cud_bpe_scratch *s = calloc(1, sizeof *s);
    uint32_t rank = 0;
    for (int i = 0; i < 20; i++) {
        const int left_bits = 1 + (int)random_below(2), right_bits = 1 + (int)random_below(2);
        const int32_t left = 1 << left_bits | (int32_t)random_below(1u << left_bits),
                      right_low = (int32_t)random_below(1u << right_bits);
        merge(&m, left, 1 << right_bits | right_low, rank++, left << right_bits | right_low);
    }
    for (int round = 0; round < 200; round++) {
        int32_t ids[64];
        const size_t count = 1 + random_below(64);
        for (size_t i = 0; i < count; i++) ids[i] = 2 + (int32_t)random_below(2);
        symbols(s, ids, count);
        ck_ok(cud_bpe_merge(s, &m, &err));
        expect(s, ids, NULL, naive(ids, count, &m));
    }
    cud_bpe_scratch_free(s);
    free(m.slot);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bpe");
    TCase *tc = tcase_create("merging");
    tcase_add_test(tc, merges_the_lowest_rank_first);
    tcase_add_test(tc, merges_the_leftmost_of_equals);
    tcase_add_test(tc, a_later_rule_for_the_same_pair_wins);
    tcase_add_loop_test(tc, agrees_with_the_definition_on_random_rules, 0, 20);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
