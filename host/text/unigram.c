/* The Unigram model: of all ways to write a word as tokens the one with the highest sum of scores (Viterbi). */
#include "text/tokenizer.h"
#include "text/trie.h"
#include "text/types.h"
#include "text/unicode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double unk_penalty = 10;

typedef struct unigram_config {
    cud_trie trie;
    double *score; /* [ids] */
    double unk_score;
    int32_t unk;       /* -1: none */
    int32_t byte[256]; /* id of <0xXX>, or -1 */
    bool byte_fallback;
} unigram_config;

static void unigram_free(void *config)
{
    unigram_config *c = config;
    if (!c) return;
    cud_trie_free(&c->trie);
    free(c->score);
    free(c);
}

/* ---- reading ---- */

/* The reference's JSON reader does not round to the nearest double: it takes the digits as an integer, as many as fit into 64 bits,
 * and multiplies or divides it once by a power of ten. Scores add up and are compared, so the last bit counts. */
static double read_number(const char *s, size_t length)
{
    const char *const end = s + length;
    const bool negative = s < end && *s == '-';
    uint64_t digits = 0;
    int64_t exponent = 0;
    bool full = false, fraction = false;
    for (s += negative; s < end && (*s == '.' || (*s >= '0' && *s <= '9')); s++) {
        if (*s == '.') {
            fraction = true;
            continue;
        }
        const unsigned digit = (unsigned)(*s - '0');
        full = full || digits > (UINT64_MAX - digit) / 10;
        if (!full) digits = digits * 10 + digit;
        exponent += full ? !fraction : -(int64_t)fraction;
    }
    if (s < end) { /* e or E */
        int64_t written = 0;
        const bool minus = *++s == '-';
        for (s += minus || *s == '+'; s < end; s++)
            if (written < 100000) written = written * 10 + (*s - '0');
        exponent += minus ? -written : written;
    }
    double value = (double)digits;
    while (value > 0 && exponent < -308) value /= 1e308, exponent += 308;
    if (value > 0 && exponent > 308) value = INFINITY;
    if (value > 0 && exponent) {
        char power[16];
        snprintf(power, sizeof power, "1e%d", abs((int)exponent));
        value = exponent < 0 ? value / strtod(power, NULL) : value * strtod(power, NULL);
    }
    return negative ? -value : value;
}

/* ["token", score] */
static cuddle_status read_entry(unigram_config *c, scanner *scan, const cud_part *in, int32_t id, size_t *room, cuddle_error *err)
{
    const bool array = scan->token == SCAN_ARRAY, string = array && cud_scan_next(scan) == SCAN_STRING;
    const char *token = scan->text;
    const size_t length = scan->length;
    const bool number = string && cud_scan_next(scan) == SCAN_NUMBER;
    const double score = number ? read_number(scan->text, scan->length) : 0;
    if (scan->token == SCAN_ERROR || (number && cud_scan_next(scan) == SCAN_ERROR)) return CUDDLE_E_FORMAT;
    if (!number || scan->token != SCAN_ARRAY_END || isinf(score))
        return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: entry %d of \"vocab\" is not a token and its score", (int)id);
    if ((size_t)id == *room) {
        const size_t more = *room ? 2 * *room : 256;
        double *grown = realloc(c->score, more * sizeof *grown);
        if (!grown) return cud_nomem(err, more * sizeof *grown, in->label);
        c->score = grown;
        *room = more;
    }
    c->score[id] = score;
    if (score < c->unk_score) c->unk_score = score;
    const int32_t before = cud_vocab_find(in->vocab, token, length);
    const cuddle_status status = cud_vocab_add(in->vocab, token, length, id, err);
    if (!status && before >= 0) cud_vocab_alias(in->vocab, before, id); /* the last one counts; the others can still be decoded */
    return status;
}

static cuddle_status parse_vocab(unigram_config *c, const cud_part *in, cuddle_error *err)
{
    scanner scan;
    size_t room = 0;
    int32_t count = 0;
    cuddle_status status = cud_document_scan(&scan, in->document, CUD_LARGE_VOCAB, err);
    if (status) return status;
    if (scan.token != SCAN_ARRAY) return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: %s: \"vocab\" is not an array", in->label);
    c->unk_score = INFINITY;
    while (!status && cud_scan_next(&scan) != SCAN_ARRAY_END) {
        if (scan.token == SCAN_ERROR) return CUDDLE_E_FORMAT;
        status = read_entry(c, &scan, in, count, &room, err);
        count++;
    }
    c->unk_score -= unk_penalty;
    if (!status && c->unk >= count)
        status = cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: %s: \"unk_id\" is %d, and there are %d tokens", in->label,
                          (int)c->unk, (int)count);
    return status;
}

static cuddle_status unigram_parse(void **config, const cud_part *in, cuddle_error *err)
{
    int64_t unk = -1;
    unigram_config *c = calloc(1, sizeof *c);
    if (!c) return cud_nomem(err, sizeof *c, in->label);
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "vocab", "unk_id", "byte_fallback", NULL }, err);
    if (!status) status = cud_json_int(&unk, &in->json, "unk_id", CUD_JSON_NULLABLE, 0, CUD_TOKENIZER_MAX_ID, err);
    if (!status) status = cud_part_bool(&c->byte_fallback, in, "byte_fallback", CUD_JSON_OPTIONAL, err);
    c->unk = (int32_t)unk;
    if (!status) status = parse_vocab(c, in, err);
    if (!status) status = cud_trie_build(&c->trie, in->vocab, err);
    if (status) {
        unigram_free(c);
        return status;
    }
    cud_vocab_bytes(c->byte, in->vocab);
    *config = c;
    return CUDDLE_OK;
}

/* ---- encoding ---- */

typedef struct step { /* the best way to write the word up to here */
    double score;
    uint32_t begin; /* of its last token; UINT32_MAX: none is known */
    int32_t id;
} step;

typedef struct path {
    step *step;
    size_t room;
} path;

static void path_free(void *scratch)
{
    path *p = scratch;
    if (!p) return;
    free(p->step);
    free(p);
}

static cuddle_status start(path **out, cud_tokens *tokens, size_t length, cuddle_error *err)
{
    if (!tokens->scratch) tokens->scratch = calloc(1, sizeof(path));
    path *p = tokens->scratch;
    if (!p) return cud_nomem(err, sizeof *p, "a word");
    if (length + 1 > p->room) {
        const size_t room = length + length / 2 + 64;
        step *grown = realloc(p->step, room * sizeof *grown); /* a text is at most 2^31 bytes */
        if (!grown) return cud_nomem(err, room * sizeof *grown, "a word");
        p->step = grown;
        p->room = room;
    }
    for (size_t i = 0; i <= length; i++) p->step[i].begin = UINT32_MAX;
    p->step[0].score = 0;
    *out = p;
    return CUDDLE_OK;
}

/* Of equals the first one stays: it begins further left, or is the shorter one. */
static bool offer(step *to, double score, size_t begin, int32_t id)
{
    if (to->begin != UINT32_MAX && !(score > to->score)) return false;
    *to = (step){ score, (uint32_t)begin, id };
    return true;
}

static cuddle_status find_path(const unigram_config *c, step *at, const char *word, size_t length, cuddle_error *err)
{
    const cud_trie *t = &c->trie;
    for (size_t begin = 0, size; begin < length; begin += size) {
        const double before = at[begin].score;
        bool single = false;
        int32_t node = 0;
        size = cud_utf8_length((unsigned char)word[begin]);
        for (size_t i = begin; i < length && (node = cud_trie_step(t, node, (unsigned char)word[i])) >= 0; i++) {
            const int32_t id = t->unit[node].id;
            if (id < 0) continue;
            offer(&at[i + 1], before + c->score[id], begin, id);
            single |= i + 1 - begin == size;
        }
        if (!single && offer(&at[begin + size], before + c->unk_score, begin, c->unk) && c->unk < 0)
            return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: the text needs an unknown token, and \"unk_id\" names none");
    }
    return CUDDLE_OK;
}

static bool has_bytes(const unigram_config *c, const char *s, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (c->byte[(unsigned char)s[i]] < 0) return false;
    return true;
}

/* Unknown characters in a row are one token: of this text if there is one, else its bytes if they are tokens, else unknown. */
static cuddle_status add_unknown(cud_tokens *out, const unigram_config *c, const cud_vocab *vocab, const char *word, size_t begin,
                                 size_t end, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    cud_token token = { .id = cud_vocab_find(vocab, word + begin, end - begin), .begin = begin, .end = end };
    if (token.id < 0 && c->byte_fallback && has_bytes(c, word + begin, end - begin)) {
        for (size_t i = begin; i < end && !status; i++) {
            token.id = c->byte[(unsigned char)word[i]];
            status = cud_tokens_add(out, token, err);
        }
        return status;
    }
    if (token.id < 0) token.id = c->unk, token.text_begin = begin, token.text_end = end;
    return cud_tokens_add(out, token, err);
}

/* Steps on the best path say where their token began; afterwards those where it began say where it ends. */
static void turn_round(step *at, size_t length)
{
    step last = at[length];
    for (size_t end = length; end > 0;) {
        const size_t begin = last.begin;
        const step before = at[begin];
        at[begin].begin = (uint32_t)end;
        at[begin].id = last.id;
        end = begin;
        last = before;
    }
}

static cuddle_status unigram_encode(cud_tokens *out, const void *config, const cud_vocab *vocab, const char *word, size_t length,
                                    cuddle_error *err)
{
    const unigram_config *c = config;
    path *p = NULL;
    cuddle_status status = start(&p, out, length, err);
    if (!status) status = find_path(c, p->step, word, length, err);
    if (!status) turn_round(p->step, length);
    for (size_t begin = 0, end; begin < length && !status; begin = end) {
        const step *at = p->step;
        const int32_t id = at[begin].id;
        end = at[begin].begin;
        if (id != c->unk) {
            status = cud_tokens_reserve(out, 1, err); /* made in place: a copy would wait for the stores it is read from */
            if (!status) out->token[out->count++] = (cud_token){ .id = id, .begin = begin, .end = end };
            continue;
        }
        while (end < length && at[end].id == c->unk) end = at[end].begin;
        status = add_unknown(out, c, vocab, word, begin, end, err);
    }
    return status;
}

const cud_model_type cud_model_unigram = { { "Unigram", unigram_parse, unigram_free }, unigram_encode, path_free, NULL, NULL };
