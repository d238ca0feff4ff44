/* The WordPiece model: from left to right the longest token that fits, with a prefix on all but a word's first; a word that is not
 * covered that way is unknown as a whole. WordLevel: a word is a token or unknown. */
#include "text/trie.h"
#include "text/types.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_PREFIX = 256 };

typedef struct word_config {
    cud_trie trie;        /* WordPiece's */
    int32_t continuation; /* the node of the prefix, from where tokens inside a word are found; -1: there are none */
    int64_t max_characters;
    bool marks; /* WordPiece's prefix is not empty */
    int32_t unk;
    char unk_token[];
} word_config;

static void word_free(void *config)
{
    word_config *c = config;
    if (!c) return;
    cud_trie_free(&c->trie);
    free(c);
}

/* unk_token and the vocabulary, which both models have. */
static cuddle_status word_parse(word_config **out, const cud_part *in, cuddle_error *err)
{
    const char *unk = NULL;
    size_t length = 0;
    cuddle_status status = cud_part_string(&unk, &length, in, "unk_token", CUD_JSON_REQUIRED, err);
    if (!status) status = cud_part_vocab(in, err);
    if (status) return status;
    word_config *c = calloc(1, sizeof *c + length + 1);
    if (!c) return cud_nomem(err, sizeof *c + length + 1, in->label);
    memcpy(c->unk_token, unk, length + 1);
    c->unk = cud_vocab_find(in->vocab, unk, length);
    *out = c;
    return CUDDLE_OK;
}

static cuddle_status missing_unk(const word_config *c, cuddle_error *err)
{
    return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: unk_token \"%.60s\" is not in the vocabulary, and the text needs it",
                    c->unk_token);
}

/* ---- WordPiece ---- */

static cuddle_status wordpiece_parse(void **config, const cud_part *in, cuddle_error *err)
{
    static const char *const fields[] = { "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab", NULL };
    const char *prefix = NULL;
    size_t length = 0;
    int64_t most = 0;
    word_config *c = NULL;
    cuddle_status status = cud_part_fields(in, fields, err);
    if (!status) status = cud_part_string(&prefix, &length, in, "continuing_subword_prefix", CUD_JSON_REQUIRED, err);
    if (!status && length > MAX_PREFIX)
        status = cud_json_wrong(&in->json, "continuing_subword_prefix", err, CUDDLE_E_LIMIT, "at most %d bytes", MAX_PREFIX);
    if (!status) status = cud_json_int(&most, &in->json, "max_input_chars_per_word", CUD_JSON_REQUIRED, 0, INT64_MAX, err);
    if (!status) status = word_parse(&c, in, err);
    if (!status) status = cud_trie_build(&c->trie, in->vocab, err);
    if (status) {
        word_free(c);
        return status;
    }
    c->max_characters = most;
    c->marks = length > 0;
    for (size_t i = 0; i < length && c->continuation >= 0; i++)
        c->continuation = cud_trie_step(&c->trie, c->continuation, (unsigned char)prefix[i]);
    *config = c;
    return CUDDLE_OK;
}

static size_t count_characters(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* The end of the longest token at `begin`, or begin if there is none. Tokens and the text are UTF-8, so it is between characters.
 */
static size_t longest(const cud_trie *t, int32_t node, const char *word, size_t length, size_t begin, int32_t *id)
{
    size_t end = begin;
    for (size_t at = begin; at < length && (node = cud_trie_step(t, node, (unsigned char)word[at])) >= 0; at++) {
        if (t->unit[node].id < 0) continue;
        *id = t->unit[node].id;
        end = at + 1;
    }
    return end;
}

static cuddle_status wordpiece_encode(cud_tokens *out, const void *config, const cud_vocab *vocab, const char *word, size_t length,
                                      cuddle_error *err)
{
    (void)vocab;
    const word_config *c = config;
    const size_t first = out->count;
    cuddle_status status = CUDDLE_OK;
    bool known = length <= (uint64_t)c->max_characters || count_characters(word, length) <= (uint64_t)c->max_characters;
    for (size_t at = 0, end; known && at < length && !status; at = end) {
        int32_t id = -1;
        const int32_t node = at ? c->continuation : 0;
        end = node < 0 ? at : longest(&c->trie, node, word, length, at, &id);
        known = end > at;
        if (known) status = cud_tokens_add(out, (cud_token){ .id = id, .begin = at, .end = end }, err);
    }
    if (known || status) return status;
    out->count = first;
    return c->unk < 0 ? missing_unk(c, err) : cud_tokens_add(out, (cud_token){ .id = c->unk, .end = length }, err);
}

static bool wordpiece_marks(const void *config) { return ((const word_config *)config)->marks; }

const cud_model_type cud_model_wordpiece = { { "WordPiece", wordpiece_parse, word_free }, wordpiece_encode, NULL, NULL, wordpiece_marks };

/* ---- WordLevel ---- */

static cuddle_status wordlevel_parse(void **config, const cud_part *in, cuddle_error *err)
{
    word_config *c = NULL;
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "unk_token", "vocab", NULL }, err);
    if (!status) status = word_parse(&c, in, err);
    *config = c;
    return status;
}

static cuddle_status wordlevel_encode(cud_tokens *out, const void *config, const cud_vocab *vocab, const char *word, size_t length,
                                      cuddle_error *err)
{
    const word_config *c = config;
    const int32_t id = cud_vocab_find(vocab, word, length);
    if (id < 0 && c->unk < 0) return missing_unk(c, err);
    return cud_tokens_add(out, (cud_token){ .id = id < 0 ? c->unk : id, .end = length }, err);
}

const cud_model_type cud_model_wordlevel = { { "WordLevel", wordlevel_parse, word_free }, wordlevel_encode, NULL, NULL, NULL };
