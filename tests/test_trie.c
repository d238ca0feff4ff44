/* The trie of the models against a search through all tokens. */
#include "support.h"
#include "text/trie.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;
static uint32_t state;

static uint32_t below(uint32_t n)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

static void random_text(char *out, size_t length, uint32_t letters)
{
    for (size_t i = 0; i < length; i++) out[i] = (char)(letters == 256 ? below(256) : 'a' + below(letters));
}

/* Ids along the walk over text, against every token compared with its beginning. */
static void walks_alike(const cud_trie *t, const cud_vocab *v, const char *text, size_t length)
{
    int32_t node = 0;
    for (size_t depth = 1; depth <= length; depth++) {
        bool path = false;
        for (uint32_t i = 0; i < v->count && !path; i++)
            path = v->entry[i].length >= depth && memcmp(v->pool + v->entry[i].offset, text, depth) == 0;
        node = cud_trie_step(t, node, (unsigned char)text[depth - 1]);
        ck_assert_msg(path == (node >= 0), "depth %zu: a path %s", depth, path ? "is missing" : "too many");
        if (!path) return;
        ck_assert_int_eq(t->unit[node].id, cud_vocab_find(v, text, depth));
    }
}

static const struct {
    uint32_t letters, tokens, longest;
} kinds[] = { { 1, 40, 40 }, { 2, 300, 9 }, { 4, 1000, 6 }, { 26, 800, 5 }, { 256, 3000, 3 }, { 256, 300, 40 } };

START_TEST(finds_every_token_and_nothing_else)
{
    cud_vocab v;
    cud_trie t;
    char text[64];
    cud_vocab_init(&v);
    state = 1;
    for (uint32_t i = 0; i < kinds[_i].tokens; i++) {
        const size_t length = below(kinds[_i].longest + 1); /* the empty one too */
        random_text(text, length, kinds[_i].letters);
        if (cud_vocab_find(&v, text, length) < 0) ck_ok(cud_vocab_add(&v, text, length, (int32_t)i, &err));
    }
    ck_ok(cud_trie_build(&t, &v, &err));
    for (uint32_t i = 0; i < v.count; i++) walks_alike(&t, &v, v.pool + v.entry[i].offset, v.entry[i].length);
    for (int i = 0; i < 500; i++) {
        random_text(text, 10, kinds[_i].letters);
        walks_alike(&t, &v, text, 10);
    }
    cud_trie_free(&t);
    cud_vocab_free(&v);
}
END_TEST

START_TEST(is_empty_without_tokens)
{
    cud_vocab v;
    cud_trie t;
    cud_vocab_init(&v);
    ck_ok(cud_trie_build(&t, &v, &err));
    for (int byte = 0; byte < 256; byte++) ck_assert_int_eq(cud_trie_step(&t, 0, (unsigned char)byte), -1);
    cud_trie_free(&t);
    cud_vocab_free(&v);
}
END_TEST

START_TEST(packs_children) /* nodes of one and of many children in turns: at most about two units for each node */
{
    cud_vocab v;
    cud_trie t;
    char text[8];
    cud_vocab_init(&v);
    state = 2;
    for (int32_t i = 0; i < 30000; i++) {
        random_text(text, 6, 26);
        ck_ok(cud_vocab_add(&v, text, 1 + below(6), i, &err));
    }
    ck_ok(cud_trie_build(&t, &v, &err));
    uint32_t used = 0;
    for (uint32_t i = 0; i < t.count; i++) used += t.unit[i].parent >= 0;
    ck_assert_msg(t.count < 2 * used, "%u units for %u nodes", t.count, used);
    cud_trie_free(&t);
    cud_vocab_free(&v);
}
END_TEST

START_TEST(fails_cleanly_without_memory)
{
    cud_vocab v;
    cud_vocab_init(&v);
    ck_ok(cud_vocab_add(&v, "ab", 2, 0, &err));
    ck_ok(cud_vocab_add(&v, "ac", 2, 1, &err));
    cuddle_status status = CUDDLE_E_NOMEM;
    for (long n = 1; status != CUDDLE_OK; n++) {
        cud_trie t;
        err = (cuddle_error){ CUDDLE_OK, "" };
        test_fail_allocation(n, false);
        status = cud_trie_build(&t, &v, &err);
        test_fail_allocation(0, false);
        if (status) test_expect_failure(status, CUDDLE_E_NOMEM, &err);
        ck_assert(n < 20);
        cud_trie_free(&t);
    }
    cud_vocab_free(&v);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trie");
    TCase *tc = tcase_create("trie");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, finds_every_token_and_nothing_else, 0, sizeof kinds / sizeof *kinds);
    tcase_add_test(tc, is_empty_without_tokens);
    tcase_add_test(tc, packs_children);
    tcase_add_test(tc, fails_cleanly_without_memory);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
