/* Precompiled: SentencePiece's normalization rules, compiled into a Darts double array from strings to replacements.
 *
 * A unit of the array is a node, 32 bits: its label in bits 0 to 7 (bit 31 is 0 as well), bit 8 says that a value hangs below, and
 * from bit 10 on stands where its children are (bit 9: in steps of 256): the child of node p for byte c is unit p ^ offset ^ c, the
 * value unit p ^ offset. A value is an offset into the pool of replacements, which end in NUL. */
#include "text/graphemes.h"
#include "text/types.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { STOP = 0x80 };

typedef struct charsmap {
    uint32_t *unit;
    size_t units;
    char *pool; /* ends in a NUL of ours */
    size_t pool_size;
    unsigned char ascii[256]; /* what becomes of a byte that is a cluster; STOP: more or less than one such, or it may be a part of one */
    unsigned char bytes[];    /* the file's */
} charsmap;

static void charsmap_free(void *config)
{
    charsmap *c = config;
    if (!c) return;
    free(c->unit);
    free(c);
}

/* ---- reading ---- */

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Base64 with padding and nothing else; false if it is not that. Writes at most length / 4 * 3 bytes. */
static bool decode_base64(unsigned char *out, size_t *out_length, const char *s, size_t length)
{
    size_t used = 0;
    if (length % 4) return false;
    for (size_t i = 0; i < length; i += 4) {
        const int padding = i + 4 < length ? 0 : (s[i + 3] == '=') + (s[i + 3] == '=' && s[i + 2] == '=');
        uint32_t bits = 0;
        for (size_t k = 0; k < 4; k++) {
            const int six = k >= (size_t)(4 - padding) ? 0 : sextet(s[i + k]);
            if (six < 0) return false;
            bits = bits << 6 | (uint32_t)six;
        }
        if (padding && bits & (padding == 1 ? 0xff : 0xffff)) return false;
        for (int k = 0; k < 3 - padding; k++) out[used++] = (unsigned char)(bits >> (16 - 8 * k));
    }
    *out_length = used;
    return true;
}

static uint32_t little(const unsigned char *s) { return s[0] | (uint32_t)s[1] << 8 | (uint32_t)s[2] << 16 | (uint32_t)s[3] << 24; }

static cuddle_status read_map(charsmap *c, size_t size, const cud_part *in, cuddle_error *err)
{
    const uint32_t trie = size < 4 ? 0 : little(c->bytes) / 4 * 4;
    if (size < 4 || trie > size - 4)
        return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: %s: %zu bytes, too few for a trie of %u", in->label, size, trie);
    c->units = trie / 4;
    c->unit = calloc(c->units + 1, sizeof *c->unit);
    if (!c->unit) return cud_nomem(err, trie, in->label);
    for (size_t i = 0; i < c->units; i++) c->unit[i] = little(c->bytes + 4 + 4 * i);
    c->pool = (char *)c->bytes + 4 + trie;
    c->pool_size = size - 4 - trie;
    c->pool[c->pool_size] = 0;
    if (cud_utf8_valid(c->pool, c->pool_size) < c->pool_size)
        return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: %s: the replacements are not UTF-8", in->label);
    return CUDDLE_OK;
}

static size_t child(uint32_t unit, size_t node) { return node ^ (size_t)(unit >> 10) << (unit & 1u << 9 ? 8 : 0); }

/* What the text becomes: the replacement of its shortest beginning that has one (as in the reference), or NULL. *bad: the map
 * points out of itself. */
static const char *find(const charsmap *c, const char *text, size_t length, bool *bad)
{
    *bad = true;
    if (!c->units) return NULL;
    size_t node = child(c->unit[0], 0);
    for (size_t i = 0; i < length && text[i]; i++) {
        node ^= (unsigned char)text[i];
        if (node >= c->units) return NULL;
        const uint32_t unit = c->unit[node];
        if ((unit & (1u << 31 | 0xff)) != (unsigned char)text[i]) break;
        node = child(unit, node);
        if (!(unit & 1u << 8)) continue;
        const size_t at = node < c->units ? c->unit[node] & ~(1u << 31) : SIZE_MAX;
        if (at > c->pool_size || ((unsigned char)c->pool[at] & 0xc0) == 0x80) return NULL;
        *bad = false;
        return c->pool + at;
    }
    *bad = false;
    return NULL;
}

/* A character of ASCII is a cluster unless something that is not ASCII follows, but for CR, which takes LF along. */
static void fill_ascii(charsmap *c)
{
    memset(c->ascii, STOP, sizeof c->ascii);
    for (int i = 0; i < 0x80; i++) {
        const char character = (char)i;
        bool bad;
        const char *text = find(c, &character, 1, &bad);
        if (bad || i == '\r' || (text && (!text[0] || text[1]))) continue;
        c->ascii[i] = text ? (unsigned char)text[0] : (unsigned char)i; /* a longer character has a second byte */
    }
}

static cuddle_status precompiled_parse(void **config, const cud_part *in, cuddle_error *err)
{
    const char *text = NULL;
    size_t length = 0, size = 0;
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "precompiled_charsmap", NULL }, err);
    if (!status) status = cud_part_string(&text, &length, in, "precompiled_charsmap", CUD_JSON_REQUIRED, err);
    if (status) return status;
    charsmap *c = calloc(1, sizeof *c + length / 4 * 3 + 1);
    if (!c) return cud_nomem(err, length, in->label);
    if (!decode_base64(c->bytes, &size, text, length))
        status = cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: %s: \"precompiled_charsmap\" is not base64", in->label);
    if (!status) status = read_map(c, size, in, err);
    if (status) {
        charsmap_free(c);
        return status;
    }
    fill_ascii(c);
    *config = c;
    return CUDDLE_OK;
}

/* ---- normalizing ---- */

/* One change of the reference waits: a replacement with fewer characters than it replaces takes the rest along with its last one,
 * and one with none takes it along with whatever comes before it. */
typedef struct changes {
    cud_writer *w;
    int32_t c;
    int change;
    bool waiting;
} changes;

static void flush(changes *to)
{
    if (to->waiting) cud_change(to->w, to->c, to->change);
    to->waiting = false;
}

static void change(changes *to, int32_t c, int by)
{
    flush(to);
    *to = (changes){ to->w, c, by, true };
}

static int count(const char *text, size_t length)
{
    int characters = 0;
    for (size_t i = 0; i < length; i++) characters += ((unsigned char)text[i] & 0xc0) != 0x80;
    return characters;
}

static void replace(changes *to, size_t from, const char *old, const char *text)
{
    const int before = count(old, from), after = count(text, strlen(text));
    size_t size;
    for (int i = 0; i < after; i++, text += size) change(to, cud_utf8_decode(text, &size), i >= before);
    if (after < before && to->waiting) to->change -= before - after;
}

static cuddle_status bad_map(cuddle_error *err)
{
    return cud_fail(err, CUDDLE_E_FORMAT, "tokenizer.json: normalizer \"Precompiled\": the map points out of itself");
}

/* Bytes at the beginning that are a cluster each and become one byte each. */
static size_t ascii_run(const charsmap *c, const char *text, size_t length)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t run = 0;
    while (run < length && c->ascii[s[run]] != STOP) run++;
    return run > 0 && run < length && s[run] >= 0x80 ? run - 1 : run;
}

static void put_ascii(changes *to, const charsmap *c, size_t at, size_t run)
{
    cud_writer *w = to->w;
    const unsigned char *s = (const unsigned char *)w->from + at;
    size_t done = 0;
    flush(to);
    if (w->at == at && run > 1) { /* not where the reference has lost count */
        char *out = cud_kept(w, run - 1);
        for (; out && done < run - 1; done++) out[done] = (char)c->ascii[s[done]];
    }
    for (; done < run; done++) change(to, c->ascii[s[done]], 0);
}

static cuddle_status precompiled_piece(cud_writer *w, const void *config)
{
    enum { SHORT = 6 }; /* clusters of fewer bytes are looked up as a whole first */
    const charsmap *c = config;
    changes to = { .w = w };
    bool bad = false;
    for (size_t at = 0, cluster; at < w->length && !w->status; at += cluster) {
        const char *s = w->from + at;
        cluster = ascii_run(c, s, w->length - at);
        if (cluster) {
            put_ascii(&to, c, at, cluster);
            continue;
        }
        cluster = cud_grapheme_length(s, w->length - at);
        const char *text = cluster < SHORT ? find(c, s, cluster, &bad) : NULL;
        if (text) replace(&to, cluster, s, text);
        for (size_t i = 0, size; !text && i < cluster && !bad; i += size) {
            const int32_t character = cud_utf8_decode(s + i, &size);
            const char *single = find(c, s + i, size, &bad);
            if (single)
                replace(&to, size, s + i, single);
            else
                change(&to, character, 0);
        }
        if (bad) return bad_map(w->err);
    }
    flush(&to);
    return CUDDLE_OK;
}

static cuddle_status precompiled_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    return cud_pieces_rewrite(p, precompiled_piece, config, err);
}

const cud_step_type cud_normalizer_precompiled = { { "Precompiled", precompiled_parse, charsmap_free }, precompiled_apply };
