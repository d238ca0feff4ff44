/* Pre-tokenizers that cut text and change nothing: Split, Digits, Punctuation, Whitespace, WhitespaceSplit, CharDelimiterSplit,
 * BertPreTokenizer, UnicodeScripts, FixedLength. */
#include "text/pattern.h"
#include "text/types.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

static cuddle_status parse_behavior(cud_behavior *out, const cud_part *in, unsigned flags, cuddle_error *err)
{
    static const struct {
        const char *name;
        cud_behavior behavior;
    } names[] = { { "Removed", CUD_SPLIT_REMOVED },
                  { "Isolated", CUD_SPLIT_ISOLATED },
                  { "Contiguous", CUD_SPLIT_CONTIGUOUS },
                  { "MergedWithPrevious", CUD_SPLIT_MERGED_WITH_PREVIOUS },
                  { "MergedWithNext", CUD_SPLIT_MERGED_WITH_NEXT } };
    const char *name = NULL;
    const cuddle_status status = cud_json_string(&name, &in->json, "behavior", flags, err);
    if (status || !name) return status;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i].name) == 0) {
            *out = names[i].behavior;
            return CUDDLE_OK;
        }
    return cud_json_wrong(&in->json, "behavior", err, CUDDLE_E_UNSUPPORTED,
                          "\"Removed\", \"Isolated\", \"MergedWithPrevious\", \"MergedWithNext\" or \"Contiguous\"");
}

/* ---- Split ---- */
typedef struct split_config {
    cud_pattern pattern;
    cud_behavior behavior;
    bool invert;
} split_config;

static void split_free(void *config)
{
    split_config *c = config;
    if (!c) return;
    cud_pattern_free(&c->pattern);
    free(c);
}

static cuddle_status split_parse(void **config, const cud_part *in, cuddle_error *err)
{
    split_config *c = calloc(1, sizeof *c);
    if (!c) return cud_nomem(err, sizeof *c, in->label);
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "pattern", "behavior", "invert", NULL }, err);
    if (!status) status = parse_behavior(&c->behavior, in, CUD_JSON_REQUIRED, err);
    if (!status) status = cud_part_bool(&c->invert, in, "invert", CUD_JSON_REQUIRED, err);
    if (!status) status = cud_pattern_parse(&c->pattern, in, err);
    if (status)
        split_free(c);
    else
        *config = c;
    return status;
}

static cuddle_status split_match(void *user, size_t begin, size_t end) { return cud_split_match(user, begin, end); }

static cuddle_status split_find(cud_splitter *s, const char *text, size_t length, const void *config)
{
    const split_config *c = config;
    if (c->pattern.regex) return cud_split_regex(s, c->pattern.regex, text, length);
    return cud_pattern_each(&c->pattern, &s->p->regex, text, length, split_match, s, s->err);
}

static cuddle_status split_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    const split_config *c = config;
    return cud_pieces_split(p, split_find, c, c->behavior, c->invert, err);
}

const cud_step_type cud_pre_tokenizer_split = { { "Split", split_parse, split_free }, split_apply };

/* ---- the ones whose delimiters are a kind of character ---- */
typedef struct class_config {
    bool (*is)(int32_t c);
    int32_t character; /* when there is no function */
    cud_behavior behavior;
} class_config;

static cuddle_status class_find(cud_splitter *s, const char *text, size_t length, const void *config)
{
    const class_config *c = config;
    cuddle_status status = CUDDLE_OK;
    for (size_t at = 0, size; !status && at < length; at += size) {
        const int32_t character = cud_utf8_decode(text + at, &size);
        if (c->is ? c->is(character) : character == c->character) status = cud_split_match(s, at, at + size);
    }
    return status;
}

static cuddle_status class_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    const class_config *c = config;
    return cud_pieces_split(p, class_find, c, c->behavior, false, err);
}

static cuddle_status keep_class(void **config, const class_config *c, const cud_part *in, cuddle_error *err)
{
    class_config *copy = malloc(sizeof *copy);
    if (!copy) return cud_nomem(err, sizeof *copy, in->label);
    *copy = *c;
    *config = copy;
    return CUDDLE_OK;
}

static cuddle_status digits_parse(void **config, const cud_part *in, cuddle_error *err)
{
    bool individual = false;
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "individual_digits", NULL }, err);
    if (!status) status = cud_part_bool(&individual, in, "individual_digits", CUD_JSON_REQUIRED, err);
    if (status) return status;
    return keep_class(config, &(class_config){ cud_is_numeric, 0, individual ? CUD_SPLIT_ISOLATED : CUD_SPLIT_CONTIGUOUS }, in,
                      err);
}

static cuddle_status punctuation_parse(void **config, const cud_part *in, cuddle_error *err)
{
    class_config c = { cud_is_punct, 0, CUD_SPLIT_ISOLATED };
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "behavior", NULL }, err);
    if (!status) status = parse_behavior(&c.behavior, in, CUD_JSON_OPTIONAL, err);
    return status ? status : keep_class(config, &c, in, err);
}

static cuddle_status delimiter_parse(void **config, const cud_part *in, cuddle_error *err)
{
    class_config c = { NULL, 0, CUD_SPLIT_REMOVED };
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "delimiter", NULL }, err);
    if (!status) status = cud_part_char(&c.character, in, "delimiter", CUD_JSON_REQUIRED, err);
    return status ? status : keep_class(config, &c, in, err);
}

/* ---- WhitespaceSplit: what stands between white space. BertPreTokenizer: and each punctuation character alone ---- */
typedef enum word_part { WORD, WHITE, ALONE, BEYOND } word_part; /* WORD is 0 */

typedef struct words_config {
    bool punctuation;
    unsigned char part[256]; /* of a byte that is a character, else BEYOND */
} words_config;

static word_part part_of(const words_config *c, int32_t character)
{
    return cud_is_white(character) ? WHITE : c->punctuation && cud_is_punct(character) ? ALONE : WORD;
}

static cuddle_status words_parse(void **config, const cud_part *in, bool punctuation, cuddle_error *err)
{
    const cuddle_status status = cud_part_fields(in, (const char *const[]){ NULL }, err);
    if (status) return status;
    words_config *c = malloc(sizeof *c);
    if (!c) return cud_nomem(err, sizeof *c, in->label);
    c->punctuation = punctuation;
    for (int32_t i = 0; i < 256; i++) c->part[i] = (unsigned char)(i < 0x80 ? part_of(c, i) : BEYOND);
    *config = c;
    return CUDDLE_OK;
}

static cuddle_status bert_parse(void **config, const cud_part *in, cuddle_error *err) { return words_parse(config, in, true, err); }
static cuddle_status whitespace_split_parse(void **config, const cud_part *in, cuddle_error *err)
{
    return words_parse(config, in, false, err);
}

static word_part part_at(const words_config *c, const char *text, size_t *size)
{
    const word_part part = (word_part)c->part[(unsigned char)*text];
    *size = 1;
    return part == BEYOND ? part_of(c, cud_utf8_decode(text, size)) : part;
}

enum { PARTS = 256 };

typedef struct word_parts { /* that follow one another: words, and every other character by itself */
    size_t begin[PARTS];
    unsigned char part[PARTS];
    size_t count;
    word_part last; /* of the character before */
} word_parts;

/* The next parts of text[at..end); returns the place up to which they were looked for. Where words end nobody can guess, so nothing here branches
 * on it. */
static size_t find_parts(word_parts *out, const words_config *c, const char *text, size_t at, size_t end)
{
    word_part last = out->last;
    size_t count = 0, size;
    for (; at < end && count < PARTS; at += size) {
        const word_part part = part_at(c, text + at, &size);
        out->begin[count] = at;
        out->part[count] = (unsigned char)part;
        count += (part | last) != WORD;
        last = part;
    }
    out->last = last;
    out->count = count;
    return at;
}

static cuddle_status add_part(cud_pieces *p, size_t *count, size_t begin, size_t end, unsigned part, cuddle_error *err)
{
    return part == WHITE ? CUDDLE_OK : cud_pieces_add(p, count, begin, end, cud_span_of(&p->text, begin).begin, -1, err);
}

static cuddle_status add_parts(cud_pieces *p, size_t *count, const words_config *c, const cud_piece *piece, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    word_parts found;
    found.last = WHITE;
    size_t begin = piece->begin; /* of the part that the next one ends */
    unsigned part = WHITE;
    for (size_t at = piece->begin; at < piece->end && !status;) {
        at = find_parts(&found, c, p->text.bytes, at, piece->end);
        for (size_t i = 0; i < found.count && !status; i++) {
            status = add_part(p, count, begin, found.begin[i], part, err);
            begin = found.begin[i];
            part = found.part[i];
        }
    }
    return status ? status : add_part(p, count, begin, piece->end, part, err);
}

static cuddle_status words_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    size_t count = 0;
    for (size_t i = 0; i < p->count && !status; i++) {
        const cud_piece piece = p->piece[i];
        status = piece.token < 0 ? add_parts(p, &count, config, &piece, err)
                                 : cud_pieces_add(p, &count, piece.begin, piece.end, piece.origin, piece.token, err);
    }
    if (!status) cud_pieces_commit(p, count);
    return status;
}

/* ---- Whitespace: runs of word characters, runs of what is neither word nor space; the rest goes ---- */
static int word_kind(int32_t c) { return cud_is_word(c) ? 1 : cud_is_white(c) ? 0 : 2; }

static cuddle_status whitespace_find(cud_splitter *s, const char *text, size_t length, const void *config)
{
    (void)config;
    cuddle_status status = CUDDLE_OK;
    size_t begin = 0, size;
    int run = 0;
    for (size_t at = 0; !status && at < length; at += size) {
        const int kind = word_kind(cud_utf8_decode(text + at, &size));
        if (kind == run) continue;
        if (run) status = cud_split_match(s, begin, at);
        run = kind;
        begin = at;
    }
    if (!status && run) status = cud_split_match(s, begin, length);
    return status;
}

static cuddle_status whitespace_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    return cud_pieces_split(p, whitespace_find, config, CUD_SPLIT_REMOVED, true, err);
}

/* ---- UnicodeScripts: a new piece where the script changes. Japanese is one script here, and a space is of every script; what is
 * of every script and stands before all others goes, as in the reference ---- */
static int script_of(int32_t c) { return cud_class(cud_script_ranges, cud_script_ranges_count, c); }

static cuddle_status scripts_find(cud_splitter *s, const char *text, size_t length, const void *config)
{
    (void)config;
    cuddle_status status = CUDDLE_OK;
    size_t begin = 0, size;
    int last = 0;
    for (size_t at = 0; !status && at < length; at += size) {
        const int script = script_of(cud_utf8_decode(text + at, &size));
        if (!script || script == last) continue;
        if (last) status = cud_split_match(s, begin, at);
        last = script;
        begin = at;
    }
    return status || !last ? status : cud_split_match(s, begin, length);
}

static cuddle_status scripts_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    return cud_pieces_split(p, scripts_find, config, CUD_SPLIT_REMOVED, true, err);
}

/* ---- FixedLength: so many characters at a time ---- */
static cuddle_status fixed_length_parse(void **config, const cud_part *in, cuddle_error *err)
{
    int64_t length = 5;
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "length", NULL }, err);
    if (!status) status = cud_json_int(&length, &in->json, "length", CUD_JSON_OPTIONAL, 1, INT64_MAX, err);
    if (status) return status;
    int64_t *copy = malloc(sizeof *copy);
    if (!copy) return cud_nomem(err, sizeof *copy, in->label);
    *copy = length;
    *config = copy;
    return CUDDLE_OK;
}

static cuddle_status fixed_length_find(cud_splitter *s, const char *text, size_t length, const void *config)
{
    const int64_t each = *(const int64_t *)config;
    cuddle_status status = CUDDLE_OK;
    for (size_t begin = 0, end; !status && begin < length; begin = end) {
        end = begin;
        for (int64_t i = 0; i < each && end < length; i++) end += cud_utf8_length((unsigned char)text[end]);
        status = cud_split_match(s, begin, end);
    }
    return status;
}

static cuddle_status fixed_length_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    return cud_pieces_split(p, fixed_length_find, config, CUD_SPLIT_ISOLATED, false, err);
}

const cud_step_type cud_pre_tokenizer_digits = { { "Digits", digits_parse, NULL }, class_apply };
const cud_step_type cud_pre_tokenizer_punctuation = { { "Punctuation", punctuation_parse, NULL }, class_apply };
const cud_step_type cud_pre_tokenizer_delimiter = { { "CharDelimiterSplit", delimiter_parse, NULL }, class_apply };
const cud_step_type cud_pre_tokenizer_whitespace_split = { { "WhitespaceSplit", whitespace_split_parse, NULL }, words_apply };
const cud_step_type cud_pre_tokenizer_whitespace = { { "Whitespace", NULL, NULL }, whitespace_apply };
const cud_step_type cud_pre_tokenizer_bert = { { "BertPreTokenizer", bert_parse, NULL }, words_apply };
const cud_step_type cud_pre_tokenizer_scripts = { { "UnicodeScripts", NULL, NULL }, scripts_apply };
const cud_step_type cud_pre_tokenizer_fixed_length = { { "FixedLength", fixed_length_parse, NULL }, fixed_length_apply };
