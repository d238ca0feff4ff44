/* Replace: every match of a pattern becomes a string (which cannot refer to groups, as in the reference). Normalizer and decoder.
 */
#include "text/pattern.h"
#include "text/substitute.h"
#include "text/types.h"

#include <stdlib.h>
#include <string.h>

typedef struct replace_config {
    cud_pattern pattern;
    char *content;
    size_t length;
    uint32_t *borders; /* of a string pattern, for the decoder */
} replace_config;

static void replace_free(void *config)
{
    replace_config *c = config;
    if (!c) return;
    cud_pattern_free(&c->pattern);
    free(c->content);
    free(c->borders);
    free(c);
}

static cuddle_status replace_parse(void **config, const cud_part *in, cuddle_error *err)
{
    const char *content = NULL;
    replace_config *c = calloc(1, sizeof *c);
    if (!c) return cud_nomem(err, sizeof *c, in->label);
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "pattern", "content", NULL }, err);
    if (!status) status = cud_pattern_parse(&c->pattern, in, err);
    if (!status) status = cud_part_string(&content, &c->length, in, "content", CUD_JSON_REQUIRED, err);
    if (!status && !(c->content = strdup(content))) status = cud_nomem(err, c->length + 1, in->label);
    if (status)
        replace_free(c);
    else
        *config = c;
    return status;
}

/* ---- normalizer ---- */

typedef struct replace_run {
    const replace_config *c;
    cud_regex_scratch **scratch;
    cud_writer *w;
    cuddle_error *err;
} replace_run;

static cuddle_status replace_match(void *user, size_t begin, size_t end)
{
    const replace_run *r = user;
    cud_keep(r->w, begin - r->w->at);
    cud_skip(r->w, end - begin);
    cud_insert(r->w, r->c->content, r->c->length);
    return r->w->status;
}

static cuddle_status replace_piece(cud_writer *w, const void *config)
{
    replace_run r = *(const replace_run *)config;
    if (r.c->pattern.string && r.c->pattern.length == 1 && r.c->length <= 4) {
        cud_replace_byte(w, r.c->pattern.string[0], r.c->content, r.c->length);
        return w->status;
    }
    r.w = w;
    const cuddle_status status = cud_pattern_each(&r.c->pattern, r.scratch, w->from, w->length, replace_match, &r, r.err);
    cud_keep(w, w->length - w->at);
    return status;
}

static cuddle_status replace_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    const replace_run r = { config, &p->regex, NULL, err };
    return cud_pieces_rewrite(p, replace_piece, &r, err);
}

const cud_step_type cud_normalizer_replace = { { "Replace", replace_parse, replace_free }, replace_apply };

/* ---- decoder: within each token ---- */

static cuddle_status decoder_parse(void **config, const cud_part *in, cuddle_error *err)
{
    const cuddle_status status = replace_parse(config, in, err);
    replace_config *c = *config;
    if (status || !c->pattern.string) return status;
    c->borders = malloc(c->pattern.length * sizeof *c->borders);
    if (!c->borders) {
        replace_free(c);
        return cud_nomem(err, 0, in->label);
    }
    cud_substitution_borders(c->borders, c->pattern.string, c->pattern.length);
    return CUDDLE_OK;
}

typedef struct decode_run {
    cud_stream *s;
    const replace_config *c;
    const char *text;
    size_t at;
    cuddle_error *err;
} decode_run;

static cuddle_status decode_match(void *user, size_t begin, size_t end)
{
    decode_run *r = user;
    cuddle_status status = cud_stream_emit(r->s, r->text + r->at, begin - r->at, 0, r->err);
    if (!status) status = cud_stream_emit(r->s, r->c->content, r->c->length, 0, r->err);
    r->at = end;
    return status;
}

static cuddle_status decode_token(cud_stream *s, const char *text, size_t size, cuddle_error *err)
{
    decode_run r = { s, s->config, text, 0, err };
    cuddle_status status = cud_stream_emit(s, "", 0, CUD_TOKEN_BEGIN, err);
    if (!status) status = cud_pattern_each(&r.c->pattern, &s->regex, text, size, decode_match, &r, err);
    return status ? status : cud_stream_emit(s, text + r.at, size - r.at, CUD_TOKEN_END, err);
}

static cuddle_status decoder_feed(cud_stream *s, const char *text, size_t size, unsigned edges, cuddle_error *err)
{
    const replace_config *c = s->config;
    if (c->pattern.string) {
        const cud_substitution what = { c->pattern.string, c->borders, c->pattern.length, c->content, c->length };
        return cud_substitute(s, &what, text, size, edges, err);
    }
    /* What a regex matches can depend on all of a token, so a token that comes in parts is held until it is whole. */
    if ((edges & CUD_TOKEN_WHOLE) == CUD_TOKEN_WHOLE) return decode_token(s, text, size, err);
    if (edges & CUD_TOKEN_BEGIN) s->held.used = 0;
    const cuddle_status status = cud_bytes_add(&s->held, text, size, err);
    return status || !(edges & CUD_TOKEN_END) ? status : decode_token(s, s->held.data, s->held.used, err);
}

/* One character for something shorter: no match goes over the border of two tokens, whatever was fused before. */
static cuddle_status decoder_alone(cud_alone *token, const void *config, bool *possible, cuddle_error *err)
{
    (void)err;
    const replace_config *c = config;
    if (!c->pattern.string || cud_utf8_size(c->pattern.string, c->pattern.length) != c->pattern.length || c->length > c->pattern.length)
        *possible = false;
    else
        cud_replace_alone(token, c->pattern.string, c->pattern.length, c->content, c->length);
    return CUDDLE_OK;
}

const cud_decoder_type cud_decoder_replace = { { "Replace", decoder_parse, replace_free }, decoder_feed, NULL, decoder_alone };
