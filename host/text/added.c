#include "text/added.h"

#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

/* ---- the list ---- */

static cud_added_token *find(const cud_added *a, const char *content, size_t length)
{
    const int32_t index = cud_vocab_find(&a->index, content, length);
    return index < 0 ? NULL : &a->token[index];
}

const cud_added_token *cud_added_find(const cud_added *a, const char *content, size_t length) { return find(a, content, length); }

cuddle_status cud_added_put(cud_added *a, cud_added_token token, cuddle_error *err)
{
    cud_added_token *old = find(a, token.content, token.length);
    if (old) {
        token.content = old->content;
        token.id = old->id;
        *old = token;
        return CUDDLE_OK;
    }
    if (a->count == CUD_ADDED_MAX_COUNT)
        return cud_fail(err, CUDDLE_E_LIMIT, "tokenizer.json: more than %d added tokens", CUD_ADDED_MAX_COUNT);
    if (token.length > CUD_ADDED_MAX_LENGTH)
        return cud_fail(err, CUDDLE_E_LIMIT, "tokenizer.json: added token \"%.60s...\" has %zu bytes, expected at most %d",
                        token.content, token.length, CUD_ADDED_MAX_LENGTH);
    if (!a->index.seed) cud_vocab_init(&a->index);
    const cuddle_status status = cud_vocab_add(&a->index, token.content, token.length, (int32_t)a->count, err);
    if (status) return status;
    if (a->count == a->room) {
        const uint32_t room = a->room ? a->room * 2 : 16;
        cud_added_token *grown = realloc(a->token, room * sizeof *grown);
        if (!grown) return cud_nomem(err, room * sizeof *grown, "added tokens");
        a->token = grown;
        a->room = room;
    }
    char *content = malloc(token.length + 1);
    if (!content) return cud_nomem(err, token.length + 1, "added tokens");
    memcpy(content, token.content, token.length);
    content[token.length] = 0;
    token.content = content;
    a->token[a->count++] = token;
    return CUDDLE_OK;
}

static void free_set(cud_added_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) free(set->pattern[i].text);
    free(set->pattern);
    *set = (cud_added_set){ 0 };
}

void cud_added_free(cud_added *a)
{
    for (uint32_t i = 0; i < a->count; i++) {
        free(a->token[i].content);
        free(a->token[i].decoded);
    }
    free(a->token);
    free_set(&a->raw);
    free_set(&a->normalized);
    cud_vocab_free(&a->index);
    *a = (cud_added){ 0 };
}

/* ---- the search sets ---- */

static int compare(const void *x, const void *y)
{
    const cud_added_pattern *a = x, *b = y;
    const uint32_t shorter = a->length < b->length ? a->length : b->length;
    const int order = memcmp(a->text, b->text, shorter);
    if (order) return order;
    if (a->length != b->length) return a->length < b->length ? -1 : 1;
    return a->token < b->token ? -1 : a->token > b->token;
}

static cuddle_status add_pattern(cud_added_set *set, const char *text, size_t length, uint32_t token, cuddle_error *err)
{
    char *copy = malloc(length);
    if (!copy) return cud_nomem(err, length, "added tokens");
    memcpy(copy, text, length);
    set->pattern[set->count++] = (cud_added_pattern){ copy, (uint32_t)length, token };
    return CUDDLE_OK;
}

static cuddle_status normalize(cud_pieces *p, const cud_added_token *token, const cud_components *normalizers, cuddle_error *err)
{
    cuddle_status status = cud_pieces_set(p, token->content, token->length, err);
    for (int i = 0; !status && i < normalizers->count; i++)
        status = ((const cud_step_type *)normalizers->item[i].type)->apply(p, normalizers->item[i].config, err);
    if (!status && (p->count != 1 || p->piece[0].begin == p->piece[0].end))
        status =
            cud_fail(err, CUDDLE_E_UNSUPPORTED,
                     "tokenizer.json: added token \"%.60s\" is empty after normalization, which is not supported", token->content);
    return status;
}

static cuddle_status keep_normalized(cud_added_token *token, const char *text, size_t length, cuddle_error *err)
{
    if (length == token->length && memcmp(text, token->content, length) == 0) return CUDDLE_OK;
    token->decoded = malloc(length + 1);
    if (!token->decoded) return cud_nomem(err, length + 1, "added tokens");
    memcpy(token->decoded, text, length);
    token->decoded[length] = 0;
    token->decoded_length = length;
    return CUDDLE_OK;
}

static cuddle_status build_index(const cud_added *a, cud_added_set *set, cuddle_error *err)
{
    if (!set->count) return CUDDLE_OK;
    qsort(set->pattern, set->count, sizeof *set->pattern, compare);
    for (uint32_t i = 1; i < set->count; i++) {
        const cud_added_pattern *x = &set->pattern[i - 1], *y = &set->pattern[i];
        if (x->length == y->length && memcmp(x->text, y->text, x->length) == 0)
            return cud_fail(err, CUDDLE_E_UNSUPPORTED,
                            "tokenizer.json: added tokens \"%.60s\" and \"%.60s\" are equal after normalization",
                            a->token[x->token].content, a->token[y->token].content);
    }
    uint32_t at = 0;
    set->only = set->pattern[0].text[0] == set->pattern[set->count - 1].text[0] ? (unsigned char)set->pattern[0].text[0] : -1;
    for (unsigned byte = 0; byte < 257; byte++) {
        while (at < set->count && (unsigned char)set->pattern[at].text[0] < byte) at++;
        set->first[byte] = at;
    }
    return CUDDLE_OK;
}

cuddle_status cud_added_ready(cud_added *a, const cud_components *normalizers, cuddle_error *err)
{
    cud_pieces p = { 0 };
    cuddle_status status = CUDDLE_OK;
    if (!a->count) return CUDDLE_OK;
    a->raw.pattern = calloc(a->count, sizeof *a->raw.pattern);
    a->normalized.pattern = calloc(a->count, sizeof *a->normalized.pattern);
    if (!a->raw.pattern || !a->normalized.pattern) return cud_nomem(err, a->count * sizeof *a->raw.pattern, "added tokens");
    for (uint32_t i = 0; i < a->count && !status; i++) {
        cud_added_token *token = &a->token[i];
        if (!token->normalized) {
            status = add_pattern(&a->raw, token->content, token->length, i, err);
            continue;
        }
        status = normalize(&p, token, normalizers, err);
        if (status) break;
        const char *text = cud_piece_text(&p, p.piece);
        const size_t length = p.piece[0].end - p.piece[0].begin;
        status = add_pattern(&a->normalized, text, length, i, err);
        if (!status) status = keep_normalized(token, text, length, err);
    }
    cud_pieces_free(&p);
    if (!status) status = build_index(a, &a->raw, err);
    return status ? status : build_index(a, &a->normalized, err);
}

/* The longest pattern at the beginning of text, NULL if there is none. */
static const cud_added_pattern *longest(const cud_added_set *set, const char *text, size_t length)
{
    const unsigned char byte = (unsigned char)text[0];
    uint32_t low = set->first[byte], high = set->first[byte + 1]; /* patterns that agree with text[0..depth) */
    const cud_added_pattern *found = NULL;
    for (uint32_t depth = 1; low < high; depth++) {
        if (set->pattern[low].length == depth) { /* sorted: the one that ends here comes first */
            found = &set->pattern[low++];
        }
        if (depth >= length) break;
        const unsigned char next = (unsigned char)text[depth];
        uint32_t from = low, to = high; /* narrow to those whose next byte is the text's */
        while (from < to) {
            const uint32_t middle = from + (to - from) / 2;
            if ((unsigned char)set->pattern[middle].text[depth] < next)
                from = middle + 1;
            else
                to = middle;
        }
        low = from;
        to = high;
        while (from < to) {
            const uint32_t middle = from + (to - from) / 2;
            if ((unsigned char)set->pattern[middle].text[depth] <= next)
                from = middle + 1;
            else
                to = middle;
        }
        high = from;
    }
    return found;
}

/* ---- cutting ---- */

typedef struct cutter {
    cud_pieces *p;
    const char *text; /* the piece's */
    size_t length, base, count;
    cuddle_error *err;
} cutter;

static cuddle_status cut(cutter *c, size_t begin, size_t end, int32_t token)
{
    if (begin >= end) return CUDDLE_OK;
    const uint32_t origin = cud_span_of(&c->p->text, c->base + begin).begin;
    return cud_pieces_add(c->p, &c->count, c->base + begin, c->base + end, origin, token, c->err);
}

static bool inside_word(const cutter *c, size_t begin, size_t end)
{
    size_t size;
    return (begin > 0 && cud_is_word(cud_utf8_decode_before(c->text, c->text + begin, &size))) ||
           (end < c->length && cud_is_word(cud_utf8_decode(c->text + end, &size)));
}

static cuddle_status cut_piece(cutter *c, const cud_added *a, const cud_added_set *set)
{
    size_t done = 0, size; /* text before it is in pieces */
    cuddle_status status = CUDDLE_OK;
    for (size_t at = 0; at < c->length && !status;) {
        if (set->only >= 0) { /* most tokenizers: all begin with '<' */
            const char *next = memchr(c->text + at, set->only, c->length - at);
            if (!next) break;
            at = (size_t)(next - c->text);
        }
        const unsigned char byte = (unsigned char)c->text[at];
        const cud_added_pattern *found =
            set->first[byte] < set->first[byte + 1] ? longest(set, c->text + at, c->length - at) : NULL;
        if (!found) {
            at++;
            continue;
        }
        const cud_added_token *token = &a->token[found->token];
        size_t begin = at, end = at + found->length;
        at = end; /* also past a match that is rejected */
        if (token->single_word && inside_word(c, begin, end)) continue;
        if (token->lstrip && begin < done) begin = done; /* the one before took white space of this one's own */
        if (token->lstrip)
            while (begin > done && cud_is_white(cud_utf8_decode_before(c->text, c->text + begin, &size))) begin -= size;
        if (token->rstrip)
            while (end < c->length && cud_is_white(cud_utf8_decode(c->text + end, &size))) end += size;
        if (begin > done) status = cut(c, done, begin, -1);
        if (!status) status = cut(c, begin, end, token->id);
        done = end;
    }
    return status ? status : cut(c, done, c->length, -1);
}

cuddle_status cud_added_extract(const cud_added *a, const cud_added_set *set, cud_pieces *p, cuddle_error *err)
{
    cutter c = { .p = p, .err = err };
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i < p->count && !status; i++) {
        const cud_piece piece = p->piece[i];
        c.text = cud_piece_text(p, &piece);
        c.base = piece.begin;
        c.length = piece.end - piece.begin;
        if (piece.token >= 0)
            status = cud_pieces_add(p, &c.count, piece.begin, piece.end, piece.origin, piece.token, err);
        else if (set->count)
            status = cut_piece(&c, a, set);
        else
            status = cut(&c, 0, c.length, -1);
    }
    if (!status) cud_pieces_commit(p, c.count);
    return status;
}
