/* Decoders that know words: WordPiece, BPEDecoder and CTC. */
#include "text/substitute.h"
#include "text/types.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_PATTERN = 4096 };

typedef struct word_config {
    char *pattern, *delimiter; /* WordPiece's prefix, BPE's suffix, CTC's pad token; CTC's delimiter */
    size_t pattern_length, delimiter_length;
    bool cleanup;
} word_config;

static void word_free(void *config)
{
    word_config *c = config;
    if (!c) return;
    free(c->pattern);
    free(c->delimiter);
    free(c);
}

static cuddle_status parse_string(char **out, size_t *length, const cud_part *in, const char *key, size_t least, cuddle_error *err)
{
    const char *s = NULL;
    const cuddle_status status = cud_part_string(&s, length, in, key, CUD_JSON_REQUIRED, err);
    if (status) return status;
    if (*length < least || *length > MAX_PATTERN)
        return cud_json_wrong(&in->json, key, err, CUDDLE_E_UNSUPPORTED, "%zu to %d bytes", least, MAX_PATTERN);
    *out = strdup(s);
    return *out ? CUDDLE_OK : cud_nomem(err, *length + 1, in->label);
}

static cuddle_status keep(void **config, word_config *c, cuddle_status status)
{
    if (status)
        word_free(c);
    else
        *config = c;
    return status;
}

/* ---- on one token ----
 * No replacement is longer than what it replaces, so they are made where the token lies. */

static size_t replace_all(char *s, size_t length, const char *from, size_t from_length, const char *to, size_t to_length)
{
    size_t at = 0, used = 0;
    for (const char *found; at < length && (found = memmem(s + at, length - at, from, from_length)); at += from_length) {
        const size_t plain = (size_t)(found - s) - at;
        memmove(s + used, s + at, plain);
        memcpy(s + used + plain, to, to_length);
        used += plain + to_length;
        at += plain;
    }
    memmove(s + used, s + at, length - at);
    return used + length - at;
}

/* Spaces before punctuation go, one rule after the other. */
static size_t clean_up(char *s, size_t length)
{
    static const char *const rules[][2] = { { " .", "." },   { " ?", "?" },     { " !", "!" },    { " ,", "," },
                                            { " ' ", "'" },  { " n't", "n't" }, { " 'm", "'m" },  { " do not", " don't" },
                                            { " 's", "'s" }, { " 've", "'ve" }, { " 're", "'re" } };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        length = replace_all(s, length, rules[i][0], strlen(rules[i][0]), rules[i][1], strlen(rules[i][1]));
    return length;
}

/* ---- WordPiece: a token with the prefix continues a word, others begin one ---- */

static cuddle_status wordpiece_parse(void **config, const cud_part *in, cuddle_error *err)
{
    word_config *c = calloc(1, sizeof *c);
    if (!c) return cud_nomem(err, sizeof *c, in->label);
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "prefix", "cleanup", NULL }, err);
    if (!status) status = parse_string(&c->pattern, &c->pattern_length, in, "prefix", 0, err);
    if (!status) status = cud_part_bool(&c->cleanup, in, "cleanup", CUD_JSON_REQUIRED, err);
    return keep(config, c, status);
}

static cuddle_status wordpiece_feed(cud_stream *s, const char *text, size_t size, unsigned edges, cuddle_error *err)
{
    const word_config *c = s->config;
    cuddle_status status = CUDDLE_OK;
    if (edges & CUD_TOKEN_BEGIN) {
        s->held.used = 0;
        status = cud_bytes_add(&s->held, " ", 1, err);
    }
    if (!status) status = cud_bytes_add(&s->held, text, size, err);
    if (status || !(edges & CUD_TOKEN_END)) return status;
    char *token = s->held.data;
    size_t length = s->held.used, skip = s->tokens == 1; /* of the space; the first token keeps its prefix */
    const size_t prefix = 1 + c->pattern_length;
    if (s->tokens > 1 && length >= prefix && memcmp(token + 1, c->pattern, c->pattern_length) == 0) skip = prefix;
    token += skip;
    length -= skip;
    if (c->cleanup) length = clean_up(token, length);
    return cud_stream_emit(s, token, length, CUD_TOKEN_WHOLE, err);
}

const cud_decoder_type cud_decoder_wordpiece = { { "WordPiece", wordpiece_parse, word_free }, wordpiece_feed, NULL, NULL };

/* ---- BPEDecoder: the suffix is a space, in the last token it is nothing ----
 * A token is held until the next one begins. */

static cuddle_status bpe_parse(void **config, const cud_part *in, cuddle_error *err)
{
    word_config *c = calloc(1, sizeof *c);
    if (!c) return cud_nomem(err, sizeof *c, in->label);
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "suffix", NULL }, err);
    if (!status) status = parse_string(&c->pattern, &c->pattern_length, in, "suffix", 1, err);
    return keep(config, c, status);
}

/* The held token, with `space` in place of the suffix. */
static cuddle_status end_held(cud_stream *s, const char *space, cuddle_error *err)
{
    const word_config *c = s->config;
    const size_t length = replace_all(s->held.data, s->held.used, c->pattern, c->pattern_length, space, strlen(space));
    s->held.used = 0;
    return cud_stream_emit(s, s->held.data, length, CUD_TOKEN_WHOLE, err);
}

static cuddle_status bpe_feed(cud_stream *s, const char *text, size_t size, unsigned edges, cuddle_error *err)
{
    const cuddle_status status = edges & CUD_TOKEN_BEGIN && s->tokens > 1 ? end_held(s, " ", err) : CUDDLE_OK;
    return status ? status : cud_bytes_add(&s->held, text, size, err);
}

static cuddle_status bpe_finish(cud_stream *s, cuddle_error *err) { return s->tokens ? end_held(s, "", err) : CUDDLE_OK; }

const cud_decoder_type cud_decoder_bpe = { { "BPEDecoder", bpe_parse, word_free }, bpe_feed, bpe_finish, NULL };

/* ---- CTC: equal tokens in a row are one; padding goes, delimiters become spaces ----
 * held: the token before (count bytes), then the current one. */

static cuddle_status ctc_parse(void **config, const cud_part *in, cuddle_error *err)
{
    word_config *c = calloc(1, sizeof *c);
    if (!c) return cud_nomem(err, sizeof *c, in->label);
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "pad_token", "word_delimiter_token", "cleanup", NULL }, err);
    if (!status) status = cud_part_bool(&c->cleanup, in, "cleanup", CUD_JSON_REQUIRED, err);
    if (!status) status = parse_string(&c->pattern, &c->pattern_length, in, "pad_token", 0, err);
    if (!status) status = parse_string(&c->delimiter, &c->delimiter_length, in, "word_delimiter_token", c->cleanup, err);
    return keep(config, c, status);
}

static cuddle_status ctc_token(cud_stream *s, cuddle_error *err)
{
    const word_config *c = s->config;
    char *before = s->held.data, *token = before + s->count;
    size_t length = s->held.used - s->count;
    const bool same = length == s->count && memcmp(before, token, length) == 0;
    s->held.used = s->count;
    if (same) return CUDDLE_OK;
    memmove(before, token, length); /* what the next token is compared with; the work is done on a copy behind it */
    s->count = s->held.used = length;
    const cuddle_status status = cud_bytes_reserve(&s->held, length, err);
    if (status) return status;
    token = s->held.data + length;
    memcpy(token, s->held.data, length);
    if (c->pattern_length) length = replace_all(token, length, c->pattern, c->pattern_length, "", 0);
    if (c->cleanup) {
        length = clean_up(token, length);
        length = replace_all(token, length, c->delimiter, c->delimiter_length, " ", 1);
    }
    return length ? cud_stream_emit(s, token, length, CUD_TOKEN_WHOLE, err) : CUDDLE_OK;
}

static cuddle_status ctc_feed(cud_stream *s, const char *text, size_t size, unsigned edges, cuddle_error *err)
{
    const cuddle_status status = cud_bytes_add(&s->held, text, size, err);
    return status || !(edges & CUD_TOKEN_END) ? status : ctc_token(s, err);
}

const cud_decoder_type cud_decoder_ctc = { { "CTC", ctc_parse, word_free }, ctc_feed, NULL, NULL };
