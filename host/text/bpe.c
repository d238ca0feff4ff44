/* The BPE model: a word's characters become symbols, then pairs of symbols are merged by rank. */
#include "text/bpe.h"
#include "text/tokenizer.h"
#include "text/types.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { NONE = -1, DIRECT = 0x800, MAX_AFFIX = 256, MAX_ALPHABET_TOKEN = 1024 };

typedef struct bpe_config {
    cud_merges merges;
    int32_t direct[DIRECT]; /* id of the character below U+0800, or NONE */
    int32_t byte[256];      /* id of <0xXX>, or NONE */
    char *prefix, *suffix;  /* of symbols that do not begin a word, and of the one that ends it; NULL when empty */
    char *unk_token;
    int32_t unk;
    bool fuse_unk, byte_fallback, ignore_merges;
    bool takes_bytes;   /* words are bytes of text, and each stands for its character of the byte-level alphabet */
    int32_t alphabet[256]; /* id of the byte's character, or NONE */
    bool cuts;         /* words may be cut where nothing is merged across: */
    uint8_t edge[128]; /* before and behind these characters, which are in no rule; before U+2581, which no token has behind another character */
} bpe_config;

static void bpe_free(void *config)
{
    bpe_config *c = config;
    if (!c) return;
    free(c->merges.slot);
    free(c->prefix);
    free(c->suffix);
    free(c->unk_token);
    free(c);
}

/* ---- reading ---- */

typedef struct pair {
    const char *part[2];
    size_t length[2];
} pair;

/* "a b" or ["a", "b"]; false if the value is neither. */
static bool read_pair(pair *out, scanner *scan)
{
    if (scan->token == SCAN_ARRAY) {
        for (int i = 0; i < 2; i++) {
            if (cud_scan_next(scan) != SCAN_STRING) return false;
            out->part[i] = scan->text;
            out->length[i] = scan->length;
        }
        return cud_scan_next(scan) == SCAN_ARRAY_END;
    }
    if (scan->token != SCAN_STRING) return false;
    const char *s = scan->text, *space = memchr(s, ' ', scan->length);
    if (!space) return false;
    out->part[0] = s;
    out->length[0] = (size_t)(space - s);
    out->part[1] = space + 1;
    out->length[1] = scan->length - out->length[0] - 1;
    return !memchr(out->part[1], ' ', out->length[1]);
}

static cuddle_status missing_token(size_t index, const char *token, size_t length, cuddle_error *err)
{
    return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: merge %zu: \"%.*s\" is not in the vocabulary", index,
                    (int)(length < 60 ? length : 60), token);
}

static cuddle_status add_merge(bpe_config *c, const cud_vocab *vocab, const pair *p, uint32_t rank, size_t index, cud_bytes *both,
                               cuddle_error *err)
{
    const size_t prefix = c->prefix ? strlen(c->prefix) : 0;
    if (p->length[1] < prefix)
        return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: merge %zu: the second token has no prefix", index);
    both->used = 0;
    cuddle_status status = cud_bytes_add(both, p->part[0], p->length[0], err);
    if (!status) status = cud_bytes_add(both, p->part[1] + prefix, p->length[1] - prefix, err);
    if (status) return status;
    const cud_merge merge = { cud_vocab_find(vocab, p->part[0], p->length[0]), cud_vocab_find(vocab, p->part[1], p->length[1]),
                              rank, cud_vocab_find(vocab, both->data, both->used) };
    for (int i = 0; i < 2; i++)
        if ((i ? merge.right : merge.left) < 0) return missing_token(index, p->part[i], p->length[i], err);
    return merge.id < 0 ? missing_token(index, both->data, both->used, err) : cud_merges_add(&c->merges, merge, err);
}

/* ["a b", ...] or [["a", "b"], ...], by rank */
static cuddle_status parse_merges(bpe_config *c, const cud_part *in, cuddle_error *err)
{
    scanner scan;
    uint32_t rank = 0;
    cud_bytes both = { 0 };
    cuddle_status status = cud_document_scan(&scan, in->document, CUD_LARGE_MERGES, err);
    if (status) return status;
    if (scan.token != SCAN_ARRAY)
        return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: %s: \"merges\" is not an array", in->label);
    for (size_t index = 0; !status && cud_scan_next(&scan) != SCAN_ARRAY_END; index++) {
        pair p;
        if (scan.token == SCAN_STRING && strncmp(scan.text, "#version", 8) == 0) continue;
        if (scan.token == SCAN_ERROR || !read_pair(&p, &scan)) {
            status = scan.token == SCAN_ERROR
                         ? CUDDLE_E_FORMAT
                         : cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: merge %zu is not two tokens", index);
            break;
        }
        status = add_merge(c, in->vocab, &p, rank++, index, &both, err);
    }
    free(both.data);
    return status;
}

/* An empty affix is none; an empty unknown token is one. */
static cuddle_status parse_text(char **out, const cud_part *in, const char *key, bool empty, cuddle_error *err)
{
    const char *s = NULL;
    const cuddle_status status = cud_json_string(&s, &in->json, key, CUD_JSON_NULLABLE, err);
    if (status || !s || (!*s && !empty)) return status;
    if (strlen(s) > MAX_AFFIX) return cud_json_wrong(&in->json, key, err, CUDDLE_E_LIMIT, "at most %d bytes", MAX_AFFIX);
    *out = strdup(s);
    return *out ? CUDDLE_OK : cud_nomem(err, strlen(s) + 1, in->label);
}

static void look_up_characters(bpe_config *c, const cud_vocab *vocab)
{
    char text[8];
    for (int32_t i = 0; i < DIRECT; i++) c->direct[i] = cud_vocab_find(vocab, text, cud_utf8_encode(text, i));
    cud_vocab_bytes(c->byte, vocab);
    for (int i = 0; i < 256; i++) c->alphabet[i] = cud_vocab_find(vocab, text, cud_utf8_encode(text, cud_byte_to_char((unsigned)i)));
}

bool cud_bpe_take_bytes(void *config, const cud_vocab *vocab)
{
    bpe_config *c = config;
    if (c->prefix || c->suffix) return false;
    for (uint32_t i = 0; i < vocab->count; i++)
        if (vocab->entry[i].length > MAX_ALPHABET_TOKEN) return false;
    for (int i = 0; i < 256; i++)
        if (c->alphabet[i] < 0) return false;
    return c->takes_bytes = true;
}

static const char space_mark[] = "\xe2\x96\x81"; /* U+2581, which stands for a space in SentencePiece's vocabularies */
enum { SPACE_MARK = 3 };

/* The first place where a word may be cut; `length` if there is none. */
static size_t find_cut(const bpe_config *c, const char *word, size_t length)
{
    bool behind_mark = true; /* the beginning is no such place */
    for (size_t at = 0; at < length;) {
        const unsigned char byte = (unsigned char)word[at];
        if (byte < 0x80 && c->edge[byte]) return at ? at : 1;
        const bool mark = byte == (unsigned char)*space_mark && length - at >= SPACE_MARK && memcmp(word + at, space_mark, SPACE_MARK) == 0;
        if (mark && !behind_mark) return at;
        behind_mark = mark;
        at += mark ? SPACE_MARK : 1;
    }
    return length;
}

static size_t bpe_cut(const void *config, const char *word, size_t length)
{
    const bpe_config *c = config;
    return c->cuts ? find_cut(c, word, length) : length;
}

/* Characters without a token must not be dropped: the offsets of what follows them in a word are then those of the shorter word. */
static bool can_cut(const bpe_config *c, const cud_vocab *vocab, bool all_bytes) /* c->edge is still empty */
{
    if (c->unk < 0 && !all_bytes) return false;
    if (c->prefix || c->suffix || c->ignore_merges || cud_vocab_find(vocab, space_mark, SPACE_MARK) < 0) return false;
    for (uint32_t i = 0; i < vocab->count; i++) {
        const cud_vocab_entry *e = &vocab->entry[i];
        if (find_cut(c, vocab->pool + e->offset, e->length) < e->length) return false;
    }
    return true;
}

static cuddle_status find_cuts(bpe_config *c, const cud_vocab *vocab, cuddle_error *err)
{
    bool all_bytes = c->byte_fallback;
    for (int i = 0; i < 256; i++) all_bytes &= c->byte[i] >= 0;
    c->cuts = can_cut(c, vocab, all_bytes);
    if (!c->cuts) return CUDDLE_OK;
    bool *merged = calloc((size_t)vocab->ids, sizeof *merged); /* [ids] part of a rule */
    if (!merged) return cud_nomem(err, (size_t)vocab->ids * sizeof *merged, "merges");
    for (size_t i = 0; i < c->merges.slots; i++)
        if (c->merges.slot[i].rank != UINT32_MAX) merged[c->merges.slot[i].left] = merged[c->merges.slot[i].right] = true;
    for (int i = 0; i < 128; i++) {
        const int32_t id = c->direct[i] < 0 && all_bytes ? c->byte[i] : c->direct[i]; /* NONE: it may be one unknown token with its neighbours */
        c->edge[i] = id >= 0 && !merged[id];
    }
    free(merged);
    return CUDDLE_OK;
}

static cuddle_status bpe_parse(void **config, const cud_part *in, cuddle_error *err)
{
    static const char *const fields[] = {
        "vocab",    "merges",        "dropout",       "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
        "fuse_unk", "byte_fallback", "ignore_merges", NULL
    };
    double dropout = 0;
    bpe_config *c = calloc(1, sizeof *c);
    if (!c) return cud_nomem(err, sizeof *c, in->label);
    cuddle_status status = cud_part_fields(in, fields, err);
    if (!status) status = cud_json_number(&dropout, &in->json, "dropout", CUD_JSON_NULLABLE, 0, 1, err);
    if (!status && dropout > 0) status = cud_json_wrong(&in->json, "dropout", err, CUDDLE_E_UNSUPPORTED, "null or 0");
    if (!status) status = parse_text(&c->unk_token, in, "unk_token", true, err);
    if (!status) status = parse_text(&c->prefix, in, "continuing_subword_prefix", false, err);
    if (!status) status = parse_text(&c->suffix, in, "end_of_word_suffix", false, err);
    if (!status) status = cud_part_bool(&c->fuse_unk, in, "fuse_unk", CUD_JSON_OPTIONAL, err);
    if (!status) status = cud_part_bool(&c->byte_fallback, in, "byte_fallback", CUD_JSON_OPTIONAL, err);
    if (!status) status = cud_part_bool(&c->ignore_merges, in, "ignore_merges", CUD_JSON_OPTIONAL, err);
    if (!status) status = cud_part_vocab(in, err);
    if (!status) status = parse_merges(c, in, err);
    if (!status) {
        c->unk = c->unk_token ? cud_vocab_find(in->vocab, c->unk_token, strlen(c->unk_token)) : NONE;
        look_up_characters(c, in->vocab);
        status = find_cuts(c, in->vocab, err);
    }
    if (status) bpe_free(c);
    else *config = c;
    return status;
}

/* ---- encoding ---- */

/* A character with the affixes its place asks for. */
typedef struct affixed {
    char text[2 * MAX_AFFIX + 8];
    size_t length;
} affixed;

static void affix(affixed *a, const bpe_config *c, const char *s, size_t size, bool first, bool last)
{
    a->length = 0;
    const char *const prefix = first ? NULL : c->prefix, *const suffix = last ? c->suffix : NULL;
    if (prefix) memcpy(a->text, prefix, a->length = strlen(prefix));
    memcpy(a->text + a->length, s, size);
    a->length += size;
    if (!suffix) return;
    memcpy(a->text + a->length, suffix, strlen(suffix));
    a->length += strlen(suffix);
}

static bool has_bytes(const bpe_config *c, const char *s, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (c->byte[(unsigned char)s[i]] < 0) return false;
    return true;
}

static cuddle_status symbols(cud_bpe_scratch *s, const bpe_config *c, const cud_vocab *vocab, const char *word, size_t length,
                             cuddle_error *err)
{
    size_t unknown = 0; /* bytes of unknown characters not yet added; the reference adds them late, behind fallback bytes too */
    affixed a;
    size_t size;
    cuddle_status status = CUDDLE_OK;
    s->count = 0;
    for (size_t at = 0; at < length && !status; at += size) {
        const int32_t character = cud_utf8_decode(word + at, &size);
        const char *text = word + at;
        size_t text_length = size;
        int32_t id;
        if (c->prefix || c->suffix) {
            affix(&a, c, word + at, size, at == 0, at + size == length);
            text = a.text;
            text_length = a.length;
            id = cud_vocab_find(vocab, text, text_length);
        } else {
            id = character < DIRECT ? c->direct[character] : cud_vocab_find(vocab, text, text_length);
        }
        if (id >= 0) {
            if (unknown) status = cud_bpe_symbol(s, c->unk, unknown, err);
            unknown = 0;
            if (!status) status = cud_bpe_symbol(s, id, size, err);
        } else if (c->byte_fallback && has_bytes(c, text, text_length)) {
            for (size_t i = 0; i < text_length && !status; i++) status = cud_bpe_symbol(s, c->byte[(unsigned char)text[i]], 1, err);
        } else if (c->unk_token) {
            if (c->unk < 0)
                return cud_fail(err, CUDDLE_E_FORMAT,
                                "tokenizer.json: unk_token \"%.60s\" is not in the vocabulary, and the text needs it",
                                c->unk_token);
            if (unknown && !c->fuse_unk) status = cud_bpe_symbol(s, c->unk, unknown, err), unknown = 0;
            unknown += size;
        } /* without an unknown token the character is dropped, as in the reference */
    }
    return unknown && !status ? cud_bpe_symbol(s, c->unk, unknown, err) : status;
}

static cuddle_status byte_symbols(cud_bpe_scratch *s, const bpe_config *c, const char *word, size_t length, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    s->count = 0;
    for (size_t i = 0; i < length && !status; i++) status = cud_bpe_symbol(s, c->alphabet[(unsigned char)word[i]], 1, err);
    return status;
}

/* The whole word as one token, or NONE. */
static int32_t whole_word(const bpe_config *c, const cud_vocab *vocab, const char *word, size_t length)
{
    if (!c->takes_bytes) return cud_vocab_find(vocab, word, length);
    char text[2 * MAX_ALPHABET_TOKEN];
    size_t used = 0;
    if (length > MAX_ALPHABET_TOKEN) return NONE; /* longer than any token */
    for (size_t i = 0; i < length; i++) used += cud_utf8_encode(text + used, cud_byte_to_char((unsigned char)word[i]));
    return cud_vocab_find(vocab, text, used);
}

static cuddle_status bpe_encode(cud_tokens *out, const void *config, const cud_vocab *vocab, const char *word, size_t length,
                                cuddle_error *err)
{
    const bpe_config *c = config;
    if (c->ignore_merges) {
        const int32_t id = whole_word(c, vocab, word, length);
        if (id >= 0) return cud_tokens_add(out, (cud_token){ .id = id, .begin = 0, .end = length }, err);
    }
    if (!out->scratch) out->scratch = calloc(1, sizeof(cud_bpe_scratch));
    cud_bpe_scratch *s = out->scratch;
    if (!s) return cud_nomem(err, sizeof *s, "merging a word");
    cuddle_status status = c->takes_bytes ? byte_symbols(s, c, word, length, err) : symbols(s, c, vocab, word, length, err);
    if (!status) status = cud_bpe_merge(s, &c->merges, err);
    size_t at = 0;
    for (size_t i = 0; i < s->count && !status; i++) {
        if (!s->symbol[i].length) continue;
        status = cud_tokens_add(out, (cud_token){ .id = s->symbol[i].id, .begin = at, .end = at + s->symbol[i].length }, err);
        at += s->symbol[i].length;
    }
    return status;
}

static bool bpe_marks(const void *config) { return ((const bpe_config *)config)->prefix != NULL; }

const cud_model_type cud_model_bpe = { { "BPE", bpe_parse, bpe_free }, bpe_encode, cud_bpe_scratch_free, bpe_cut, bpe_marks };
