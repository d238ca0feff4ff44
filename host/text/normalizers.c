/* Prepend, Lowercase, Strip, StripAccents. */
#include "text/types.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

/* ---- Prepend: a string before a text that is not empty ---- */
typedef struct prepend_config {
    size_t length;
    char text[];
} prepend_config;

static cuddle_status prepend_parse(void **config, const cud_part *in, cuddle_error *err)
{
    const char *text = NULL;
    size_t length = 0;
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "prepend", NULL }, err);
    if (!status) status = cud_part_string(&text, &length, in, "prepend", CUD_JSON_REQUIRED, err);
    if (status) return status;
    prepend_config *c = malloc(sizeof *c + length);
    if (!c) return cud_nomem(err, sizeof *c + length, in->label);
    c->length = length;
    memcpy(c->text, text, length);
    *config = c;
    return CUDDLE_OK;
}

static cuddle_status prepend_piece(cud_writer *w, const void *config)
{
    const prepend_config *c = config;
    cud_prepend(w, c->text, c->length);
    return CUDDLE_OK;
}

static cuddle_status prepend_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    const prepend_config *c = config;
    return c->length ? cud_pieces_rewrite(p, prepend_piece, c, err) : CUDDLE_OK;
}

const cud_step_type cud_normalizer_prepend = { { "Prepend", prepend_parse, NULL }, prepend_apply };

/* ---- Lowercase ---- */
static cuddle_status lowercase_piece(cud_writer *w, const void *config)
{
    (void)config;
    while (w->at < w->length && !w->status) {
        int32_t lower[2];
        size_t size, run = 0;
        while (w->at + run < w->length && (unsigned char)w->from[w->at + run] < 0x80) run++;
        if (run) {
            char *out = cud_kept(w, run);
            for (size_t i = 0; out && i < run; i++)
                if (out[i] >= 'A' && out[i] <= 'Z') out[i] = (char)(out[i] + 32);
            continue;
        }
        const size_t count = cud_lower(lower, cud_utf8_decode(w->from + w->at, &size));
        cud_put(w, lower[0]);
        if (count > 1) cud_insert_char(w, lower[1]);
    }
    return CUDDLE_OK;
}

static cuddle_status lowercase_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    return cud_pieces_rewrite(p, lowercase_piece, config, err);
}

const cud_step_type cud_normalizer_lowercase = { { "Lowercase", NULL, NULL }, lowercase_apply };

/* ---- Strip: white space at the ends ---- */
typedef struct strip_config {
    bool left, right;
} strip_config;

static cuddle_status strip_parse(void **config, const cud_part *in, cuddle_error *err)
{
    strip_config c = { 0 };
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "strip_left", "strip_right", NULL }, err);
    if (!status) status = cud_part_bool(&c.left, in, "strip_left", CUD_JSON_REQUIRED, err);
    if (!status) status = cud_part_bool(&c.right, in, "strip_right", CUD_JSON_REQUIRED, err);
    if (status) return status;
    strip_config *copy = malloc(sizeof *copy);
    if (!copy) return cud_nomem(err, sizeof *copy, in->label);
    *copy = c;
    *config = copy;
    return CUDDLE_OK;
}

static cuddle_status strip_piece(cud_writer *w, const void *config)
{
    const strip_config *c = config;
    size_t begin = 0, end = w->length, size;
    while (c->left && begin < end && cud_is_white(cud_utf8_decode(w->from + begin, &size))) begin += size;
    while (c->right && end > begin && cud_is_white(cud_utf8_decode_before(w->from + begin, w->from + end, &size))) end -= size;
    cud_skip(w, begin);
    cud_keep(w, end - begin);
    return CUDDLE_OK;
}

static cuddle_status strip_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    return cud_pieces_rewrite(p, strip_piece, config, err);
}

const cud_step_type cud_normalizer_strip = { { "Strip", strip_parse, NULL }, strip_apply };

/* ---- StripAccents: combining marks go; decomposing is another normalizer's work ---- */
static cuddle_status strip_accents_piece(cud_writer *w, const void *config)
{
    (void)config;
    while (w->at < w->length && !w->status) {
        const char *s = w->from + w->at;
        const size_t rest = w->length - w->at;
        size_t kept = 0, size = 1;
        for (; kept < rest; kept += size, size = 1)
            if ((unsigned char)s[kept] >= 0x80 && cud_is_mark(cud_utf8_decode(s + kept, &size))) break;
        cud_keep(w, kept);
        if (kept < rest) cud_skip(w, size);
    }
    return CUDDLE_OK;
}

static cuddle_status strip_accents_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    return cud_pieces_rewrite(p, strip_accents_piece, config, err);
}

const cud_step_type cud_normalizer_strip_accents = { { "StripAccents", NULL, NULL }, strip_accents_apply };
