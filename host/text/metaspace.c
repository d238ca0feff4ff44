/* Metaspace: spaces become a visible character (U+2581), and back. */
#include "text/substitute.h"
#include "text/types.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

typedef enum scheme { ALWAYS, FIRST, NEVER } scheme;

typedef struct metaspace_config {
    char replacement[4];
    size_t length;
    scheme prepend;
    bool split;
} metaspace_config;

static cuddle_status metaspace_parse(void **config, const cud_part *in, cuddle_error *err)
{
    static const char *const fields[] = { "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep", NULL };
    static const char *const schemes[] = { [ALWAYS] = "always", [FIRST] = "first", [NEVER] = "never" };
    int32_t replacement = 0;
    bool prefix = true, split = true;
    const char *name = NULL;
    cuddle_status status = cud_part_fields(in, fields, err);
    if (!status) status = cud_part_char(&replacement, in, "replacement", CUD_JSON_REQUIRED, err);
    if (!status) status = cud_part_bool(&prefix, in, "add_prefix_space", CUD_JSON_NULLABLE, err);
    if (!status) status = cud_json_string(&name, &in->json, "prepend_scheme", CUD_JSON_OPTIONAL, err);
    if (!status) status = cud_part_bool(&split, in, "split", CUD_JSON_NULLABLE, err);
    if (status) return status;
    int found = name ? -1 : prefix ? ALWAYS : NEVER;
    for (int i = ALWAYS; name && i <= NEVER; i++)
        if (strcmp(name, schemes[i]) == 0) found = i;
    if (found < 0)
        return cud_json_wrong(&in->json, "prepend_scheme", err, CUDDLE_E_UNSUPPORTED, "\"always\", \"first\" or \"never\"");
    if (!prefix && found != NEVER)
        return cud_json_wrong(&in->json, "prepend_scheme", err, CUDDLE_E_FORMAT, "\"never\", as add_prefix_space is false");
    metaspace_config *c = calloc(1, sizeof *c);
    if (!c) return cud_nomem(err, sizeof *c, in->label);
    c->length = cud_utf8_encode(c->replacement, replacement);
    c->prepend = (scheme)found;
    c->split = split;
    *config = c;
    return CUDDLE_OK;
}

/* ---- pre-tokenizer ---- */

static cuddle_status replace_piece(cud_writer *w, const void *config)
{
    const metaspace_config *c = config;
    while (w->at < w->length && !w->status) {
        const char *space = memchr(w->from + w->at, ' ', w->length - w->at);
        cud_keep(w, space ? (size_t)(space - w->from) - w->at : w->length);
        if (space) cud_replace_char(w, c->replacement, c->length, 1);
    }
    return CUDDLE_OK;
}

static cuddle_status prepend_piece(cud_writer *w, const void *config)
{
    const metaspace_config *c = config;
    const bool there = w->length >= c->length && memcmp(w->from, c->replacement, c->length) == 0;
    if (there || (c->prepend == FIRST && w->origin != 0))
        cud_keep(w, w->length);
    else
        cud_prepend(w, c->replacement, c->length);
    return CUDDLE_OK;
}

static cuddle_status find_replacement(cud_splitter *s, const char *text, size_t length, const void *config)
{
    const metaspace_config *c = config;
    cuddle_status status = CUDDLE_OK;
    for (size_t at = 0; !status && at < length;) {
        const char *found = memmem(text + at, length - at, c->replacement, c->length);
        if (!found) break;
        const size_t begin = (size_t)(found - text);
        at = begin + c->length;
        status = cud_split_match(s, begin, at);
    }
    return status;
}

static cuddle_status metaspace_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    const metaspace_config *c = config;
    cuddle_status status = cud_pieces_rewrite(p, replace_piece, c, err);
    if (!status && c->prepend != NEVER) status = cud_pieces_rewrite(p, prepend_piece, c, err);
    if (!status && c->split) status = cud_pieces_split(p, find_replacement, c, CUD_SPLIT_MERGED_WITH_NEXT, false, err);
    return status;
}

const cud_step_type cud_pre_tokenizer_metaspace = { { "Metaspace", metaspace_parse, NULL }, metaspace_apply };

/* ---- decoder: in the first token the character goes, in the others it is a space ---- */

static cuddle_status decoder_feed(cud_stream *s, const char *text, size_t size, unsigned edges, cuddle_error *err)
{
    static const uint32_t no_borders[4]; /* one character's bytes do not overlap with themselves */
    const metaspace_config *c = s->config;
    const bool drop = s->tokens == 1 && c->prepend != NEVER;
    const cud_substitution what = { c->replacement, no_borders, c->length, " ", drop ? 0 : 1 };
    return cud_substitute(s, &what, text, size, edges, err);
}

static cuddle_status decoder_alone(cud_alone *token, const void *config, bool *possible, cuddle_error *err)
{
    (void)possible, (void)err;
    const metaspace_config *c = config;
    cud_replace_alone(token, c->replacement, c->length, " ", 1);
    if (c->prepend != NEVER) token->first_spaces = true;
    return CUDDLE_OK;
}

const cud_decoder_type cud_decoder_metaspace = { { "Metaspace", metaspace_parse, NULL }, decoder_feed, NULL, decoder_alone };
