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
    uint32_t four, mask; /* the replacement as the first bytes of a word of four, and which of them are it */
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
    memcpy(&c->four, c->replacement, sizeof c->four);
    memset(&c->mask, 0xff, c->length);
    c->prepend = (scheme)found;
    c->split = split;
    *config = c;
    return CUDDLE_OK;
}

/* ---- pre-tokenizer ---- */

/* Reads four bytes, which may lie behind the text: they are in its slack. */
static bool at_replacement(const metaspace_config *c, const char *text)
{
    uint32_t four;
    memcpy(&four, text, sizeof four);
    return (four & c->mask) == c->four;
}

static cuddle_status write_piece(cud_writer *w, const void *config)
{
    const metaspace_config *c = config;
    const bool there = w->from[0] == ' ' || at_replacement(c, w->from);
    if (!there && (c->prepend == ALWAYS || (c->prepend == FIRST && w->origin == 0))) cud_replace_char(w, c->replacement, c->length, 0);
    cud_replace_byte(w, ' ', c->replacement, c->length);
    return CUDDLE_OK;
}

/* A piece begins at every replacement. Where that is nobody can guess, so the search does not branch on it. */
static cuddle_status split_piece(cud_pieces *p, size_t *count, const metaspace_config *c, const cud_piece *piece, cuddle_error *err)
{
    enum { MANY = 256 };
    const char *text = p->text.bytes;
    size_t begin = piece->begin, found[MANY];
    cuddle_status status = CUDDLE_OK;
    for (size_t at = begin + 1; at < piece->end && !status;) {
        size_t many = 0;
        for (; at < piece->end && many < MANY; at++) {
            found[many] = at;
            many += at_replacement(c, text + at);
        }
        for (size_t i = 0; i < many && !status; i++) {
            status = cud_pieces_add(p, count, begin, found[i], cud_span_of(&p->text, begin).begin, -1, err);
            begin = found[i];
        }
    }
    return status ? status : cud_pieces_add(p, count, begin, piece->end, cud_span_of(&p->text, begin).begin, -1, err);
}

static cuddle_status split_pieces(cud_pieces *p, const metaspace_config *c, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    size_t count = 0;
    for (size_t i = 0; i < p->count && !status; i++) {
        const cud_piece piece = p->piece[i];
        if (piece.token >= 0)
            status = cud_pieces_add(p, &count, piece.begin, piece.end, piece.origin, piece.token, err);
        else if (piece.begin < piece.end)
            status = split_piece(p, &count, c, &piece, err);
    }
    if (!status) cud_pieces_commit(p, count);
    return status;
}

static cuddle_status metaspace_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    const metaspace_config *c = config;
    const cuddle_status status = cud_pieces_rewrite(p, write_piece, c, err);
    return status || !c->split ? status : split_pieces(p, c, err);
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
