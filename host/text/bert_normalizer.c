/* BertNormalizer: cleaning, space around ideographs, accents, case, in this order. Nmt: the cleaning of SentencePiece's NMT rules.
 */
#include "text/types.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { STOP = 0x80 }; /* no ASCII character */

typedef struct bert_config {
    bool clean, ideographs, accents, lower;
    unsigned char ascii[256]; /* what becomes of a byte that is a character; STOP: nothing, or it is none */
} bert_config;

static void fill_ascii(bert_config *c)
{
    memset(c->ascii, STOP, sizeof c->ascii);
    for (int32_t i = 0; i < 0x80; i++) {
        int32_t lower[2] = { i };
        if (c->clean && cud_is_control(i)) continue;
        if (c->lower) cud_lower(lower, i);
        c->ascii[i] = (unsigned char)(c->clean && cud_is_white(i) ? ' ' : lower[0]);
    }
}

static cuddle_status bert_parse(void **config, const cud_part *in, cuddle_error *err)
{
    static const char *const fields[] = { "clean_text", "handle_chinese_chars", "strip_accents", "lowercase", NULL };
    bert_config c = { 0 };
    cuddle_status status = cud_part_fields(in, fields, err);
    if (!status) status = cud_part_bool(&c.clean, in, "clean_text", CUD_JSON_REQUIRED, err);
    if (!status) status = cud_part_bool(&c.ideographs, in, "handle_chinese_chars", CUD_JSON_REQUIRED, err);
    if (!status) status = cud_part_bool(&c.lower, in, "lowercase", CUD_JSON_REQUIRED, err);
    c.accents = c.lower; /* null */
    if (!status) status = cud_part_bool(&c.accents, in, "strip_accents", CUD_JSON_NULLABLE, err);
    if (status) return status;
    bert_config *copy = malloc(sizeof *copy);
    if (!copy) return cud_nomem(err, sizeof *copy, in->label);
    fill_ascii(&c);
    *copy = c;
    *config = copy;
    return CUDDLE_OK;
}

/* Characters that `drops` go, those that `blanks` become a space. */
static void clean(cud_writer *w, bool (*drops)(int32_t c), bool (*blanks)(int32_t c))
{
    enum { KEEP, BLANK, DROP };
    unsigned char ascii[128];
    for (int32_t c = 0; c < 128; c++) ascii[c] = drops(c) ? DROP : blanks(c) ? BLANK : KEEP;
    while (w->at < w->length && !w->status) {
        const unsigned char *s = (const unsigned char *)w->from + w->at;
        size_t size, run = 0;
        while (w->at + run < w->length && s[run] < 128 && ascii[s[run]] != DROP) run++;
        if (run) {
            char *out = cud_kept(w, run);
            for (size_t i = 0; out && i < run; i++)
                if (ascii[s[i]] == BLANK) out[i] = ' ';
            continue;
        }
        const int32_t c = cud_utf8_decode(w->from + w->at, &size);
        if (drops(c))
            cud_skip(w, size);
        else if (blanks(c))
            cud_put(w, ' ');
        else
            cud_keep(w, size);
    }
}

/* Bytes from here on whose characters all are `plain`. */
static size_t plain_run(const cud_writer *w, bool (*plain)(int32_t c))
{
    size_t run = 0, size;
    while (w->at + run < w->length) {
        const char *s = w->from + w->at + run;
        if ((unsigned char)*s < 0x80) size = 1; /* whatever is asked here of ASCII, it is */
        else if (!plain(cud_utf8_decode(s, &size))) break;
        run += size;
    }
    return run;
}

static cuddle_status clean_piece(cud_writer *w, const void *config)
{
    (void)config;
    clean(w, cud_is_control, cud_is_white);
    return CUDDLE_OK;
}

/* The reference's ranges, and its slip: 0x2b820 to 0x2b91f are not among them. */
static bool is_ideograph(int32_t c)
{
    return (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x4e00 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
           (c >= 0x2f800 && c <= 0x2fa1f);
}

static bool is_no_ideograph(int32_t c) { return !is_ideograph(c); }

static cuddle_status ideographs_piece(cud_writer *w, const void *config)
{
    (void)config;
    while (w->at < w->length && !w->status) {
        size_t size;
        cud_keep(w, plain_run(w, is_no_ideograph));
        if (w->at == w->length) break;
        const int32_t c = cud_utf8_decode(w->from + w->at, &size);
        cud_put(w, ' ');
        cud_insert_char(w, c);
        cud_insert_char(w, ' ');
    }
    return CUDDLE_OK;
}

static bool is_no_accent(int32_t c) { return !cud_is_nonspacing(c); }

static cuddle_status accents_piece(cud_writer *w, const void *config)
{
    (void)config;
    while (w->at < w->length && !w->status) {
        cud_keep(w, plain_run(w, is_no_accent));
        if (w->at < w->length) cud_skip(w, cud_utf8_length((unsigned char)w->from[w->at]));
    }
    return CUDDLE_OK;
}

/* One character through all steps. Whatever it becomes has its range. */
static void put_character(cud_writer *w, const bert_config *c)
{
    size_t size, used = 0;
    int32_t parts[CUD_DECOMPOSE_MAX], out[2 * CUD_DECOMPOSE_MAX + 2];
    const int32_t from = cud_utf8_decode(w->from + w->at, &size);
    const bool alone = c->ideographs && is_ideograph(from);
    if (c->clean && cud_is_control(from)) {
        cud_skip(w, size);
        return;
    }
    parts[0] = c->clean && cud_is_white(from) ? ' ' : from;
    const size_t count = c->accents ? cud_decompose(parts, parts[0], false) : 1;
    if (alone) out[used++] = ' ';
    for (size_t i = 0; i < count; i++) {
        if (c->accents && cud_is_nonspacing(parts[i])) continue;
        out[used] = parts[i];
        used += c->lower ? cud_lower(out + used, parts[i]) : 1;
    }
    if (alone) out[used++] = ' ';
    if (!used) cud_skip(w, size);
    for (size_t i = 0; i < used; i++) cud_change(w, out[i], i ? 1 : 0);
}

static cuddle_status bert_piece(cud_writer *w, const void *config)
{
    const bert_config *c = config;
    while (w->at < w->length && !w->status) {
        const unsigned char *s = (const unsigned char *)w->from + w->at;
        const size_t rest = w->length - w->at;
        size_t run = 0;
        while (run < rest && c->ascii[s[run]] != STOP) run++;
        if (run) {
            char *out = cud_kept(w, run);
            for (size_t i = 0; out && i < run; i++) out[i] = (char)c->ascii[s[i]];
        } else {
            put_character(w, c);
        }
    }
    return CUDDLE_OK;
}

/* Is there a mark that has a place in the order of marks and is kept? Decomposition may exchange it with those that go, and the ranges with it. */
static bool keeps_marks(const char *text, size_t length)
{
    unsigned char highest = 0;
    for (size_t i = 0; i < length; i++) highest = (unsigned char)text[i] > highest ? (unsigned char)text[i] : highest;
    if (highest < 0xcc) return false;
    for (size_t at = 0, size = 1; at < length; at += size, size = 1) {
        int32_t parts[CUD_DECOMPOSE_MAX];
        if ((unsigned char)text[at] < 0xcc) continue; /* below U+0300, or inside of a character that is */
        const int32_t c = cud_utf8_decode(text + at, &size);
        for (size_t i = is_ideograph(c) ? 0 : cud_decompose(parts, c, false); i > 0; i--)
            if (cud_combining_class(parts[i - 1]) && !cud_is_nonspacing(parts[i - 1])) return true;
    }
    return false;
}

static cuddle_status bert_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    const bert_config *c = config;
    if (!c->accents || !keeps_marks(p->text.bytes, p->text.length)) return cud_pieces_rewrite(p, bert_piece, c, err);
    cuddle_status status = CUDDLE_OK;
    if (c->clean) status = cud_pieces_rewrite(p, clean_piece, NULL, err);
    if (!status && c->ideographs) status = cud_pieces_rewrite(p, ideographs_piece, NULL, err);
    if (!status) status = cud_normalizer_nfd.apply(p, NULL, err);
    if (!status) status = cud_pieces_rewrite(p, accents_piece, NULL, err);
    return status || !c->lower ? status : cud_normalizer_lowercase.apply(p, NULL, err);
}

const cud_step_type cud_normalizer_bert = { { "BertNormalizer", bert_parse, NULL }, bert_apply };

/* ---- Nmt ---- */

static bool nmt_drops(int32_t c)
{
    return (c >= 0x1 && c <= 0x8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f;
}

static bool nmt_blanks(int32_t c)
{
    return c == '\t' || c == '\n' || c == 0xc || c == '\r' || c == 0x1680 || (c >= 0x200b && c <= 0x200f) || c == 0x2028 ||
           c == 0x2029 || c == 0x2581 || c == 0xfeff || c == 0xfffd;
}

static cuddle_status nmt_piece(cud_writer *w, const void *config)
{
    (void)config;
    clean(w, nmt_drops, nmt_blanks);
    return CUDDLE_OK;
}

static cuddle_status nmt_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    return cud_pieces_rewrite(p, nmt_piece, config, err);
}

const cud_step_type cud_normalizer_nmt = { { "Nmt", NULL, NULL }, nmt_apply };
