#include "text/encoding.h"

#include "text/specials.h"
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

/* ---- bytes to characters ---- */

enum { STRIDE = 64 };

typedef struct char_index { /* before[i]: characters that begin in the first i * STRIDE bytes */
    uint32_t *before;
    const char *text;
} char_index;

static bool begins_character(char c) { return ((unsigned char)c & 0xc0) != 0x80; }

static cuddle_status index_characters(char_index *index, const cud_given *given, cuddle_error *err)
{
    const size_t size = (given->length / STRIDE + 1) * sizeof *index->before;
    uint32_t count = 0;
    index->text = given->text;
    index->before = malloc(size);
    if (!index->before) return cud_nomem(err, size, "character offsets");
    for (size_t i = 0; i < given->length; i++) {
        if (i % STRIDE == 0) index->before[i / STRIDE] = count;
        count += begins_character(given->text[i]);
    }
    if (given->length % STRIDE == 0) index->before[given->length / STRIDE] = count;
    return CUDDLE_OK;
}

static size_t character_at(const char_index *index, size_t byte)
{
    size_t count = index->before[byte / STRIDE];
    for (size_t i = byte - byte % STRIDE; i < byte; i++) count += begins_character(index->text[i]);
    return count;
}

/* ---- one encoding ---- */

static cuddle_status allocate(cuddle_encoding **out, size_t count, cuddle_error *err)
{
    const size_t each = 2 * sizeof(size_t) + 3 * sizeof(int32_t) + 3;
    *out = NULL;
    if (count > (SIZE_MAX - sizeof(cuddle_encoding)) / each) return cud_nomem(err, SIZE_MAX, "an encoding");
    cuddle_encoding *e = malloc(sizeof *e + count * each); /* one block: the arrays follow in order of alignment */
    if (!e) return cud_nomem(err, sizeof *e + count * each, "an encoding");
    *e = (cuddle_encoding){ .count = count };
    e->begin = (size_t *)(void *)(e + 1);
    e->end = e->begin + count;
    e->ids = (int32_t *)(void *)(e->end + count);
    e->type_ids = e->ids + count;
    e->word_ids = e->type_ids + count;
    e->special = (uint8_t *)(void *)(e->word_ids + count);
    e->attention = e->special + count;
    e->sequence_ids = (int8_t *)(void *)(e->attention + count);
    *out = e;
    return CUDDLE_OK;
}

static size_t at_most(size_t offset, size_t length) { return offset < length ? offset : length; }

/* Entries of e from `at` on; returns the place behind them. */
static size_t write_out(cuddle_encoding *e, size_t at, const cud_tokens *tokens, const cud_processing *p, const char_index *index)
{
    for (size_t i = 0; i < tokens->count; i++, at++) {
        const cud_token *token = &tokens->token[i];
        const size_t length = p->given[token->source].length;
        e->ids[at] = token->id;
        e->begin[at] = at_most(token->begin, length); /* even where they mean nothing they lie in the text */
        e->end[at] = at_most(token->end, length);
        if (index && !token->special) {
            e->begin[at] = character_at(&index[token->source], e->begin[at]);
            e->end[at] = character_at(&index[token->source], e->end[at]);
        }
        e->special[at] = token->special;
        e->attention[at] = 1;
        e->type_ids[at] = token->type;
        e->word_ids[at] = token->word;
        e->sequence_ids[at] = token->sequence;
    }
    return at;
}

/* choice[j] for the j-th run that has windows: 0 takes its tokens, k its window k - 1. NULL: tokens everywhere. */
static const cud_tokens *chosen(const cud_run *run, const uint32_t **choice)
{
    const uint32_t k = *choice && run->windows ? *(*choice)++ : 0;
    return k ? &run->window[k - 1] : &run->tokens;
}

static size_t count_chosen(const cud_processing *p, const uint32_t *choice)
{
    size_t count = 0;
    for (int i = 0; i < p->count; i++) count += chosen(&p->run[i], &choice)->count;
    return count;
}

/* The chosen tokens in one list, but for special ones that are not wanted. */
static cuddle_status gather(cud_tokens *all, const cud_processing *p, const uint32_t *choice, const cud_settings *settings, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    all->count = 0;
    for (int i = 0; i < p->count && !status; i++) {
        const cud_tokens *from = chosen(&p->run[i], &choice);
        for (size_t n = 0; n < from->count && !status; n++) status = cud_tokens_add(all, from->token[n], err);
    }
    if (!status) cud_specials_decide(all, settings);
    return status;
}

static cuddle_status make_one(cuddle_encoding **out, const cud_processing *p, const uint32_t *choice, const cud_settings *settings,
                              const char_index *index, cuddle_error *err)
{
    cud_tokens all = { 0 };
    const bool decides = cud_specials_undecided(settings);
    cuddle_status status = decides ? gather(&all, p, choice, settings, err) : CUDDLE_OK;
    if (!status) status = allocate(out, decides ? all.count : count_chosen(p, choice), err);
    if (!status && decides) write_out(*out, 0, &all, p, index);
    size_t at = 0;
    for (int i = 0; i < p->count && !decides && !status; i++) at = write_out(*out, at, chosen(&p->run[i], &choice), p, index);
    free(all.token);
    return status;
}

/* ---- windows ---- */

typedef struct choices {
    uint32_t *choice; /* [count][wide] */
    size_t count;
    int wide;
} choices;

/* One run more, with `windows` windows: what was there takes its tokens or each of its windows, and each window also comes with the
 * tokens of all runs before. That is the order in which the reference merges encodings. */
static cuddle_status combine(choices *c, int at, size_t windows, cuddle_error *err)
{
    if (windows > CUD_MAX_WINDOWS || c->count > CUD_MAX_WINDOWS || c->count * (windows + 1) + windows > CUD_MAX_WINDOWS)
        return cud_fail(err, CUDDLE_E_LIMIT, "the texts give more than %d windows", CUD_MAX_WINDOWS);
    const size_t count = c->count * (windows + 1) + windows, wide = (size_t)c->wide;
    uint32_t *made = calloc(count, wide * sizeof *made), *to = made;
    if (!made) return cud_nomem(err, count * wide * sizeof *made, "the windows of a text");
    for (size_t i = 0; i <= c->count; i++) {
        for (size_t k = i < c->count ? 0 : 1; k <= windows; k++, to += wide) {
            if (i < c->count) memcpy(to, c->choice + i * wide, wide * sizeof *to);
            to[at] = (uint32_t)k;
        }
    }
    free(c->choice);
    c->choice = made;
    c->count = count;
    return CUDDLE_OK;
}

static cuddle_status make_overflow(cuddle_encoding *e, const cud_processing *p, const cud_settings *settings, const char_index *index,
                                   cuddle_error *err)
{
    choices c = { 0 };
    cuddle_status status = CUDDLE_OK;
    for (int i = 0; i < p->count; i++) c.wide += p->run[i].windows > 0;
    for (int i = 0, at = 0; i < p->count && !status; i++)
        if (p->run[i].windows) status = combine(&c, at++, p->run[i].windows, err);
    if (!status && c.count) {
        e->overflow = calloc(c.count, sizeof *e->overflow);
        if (!e->overflow) status = cud_nomem(err, c.count * sizeof *e->overflow, "the windows of a text");
    }
    size_t total = 0;
    for (size_t i = 0; i < c.count && !status; i++) {
        const uint32_t *choice = c.choice + i * (size_t)c.wide;
        total += count_chosen(p, choice);
        if (total > CUD_MAX_WINDOW_TOKENS)
            status = cud_fail(err, CUDDLE_E_LIMIT, "the texts' windows have more than %d tokens in all", CUD_MAX_WINDOW_TOKENS);
        if (!status) status = make_one(&e->overflow[i], p, choice, settings, index, err);
        e->overflow_count += !status;
    }
    free(c.choice);
    return status;
}

cuddle_status cud_encoding_make(cuddle_encoding **out, const cud_processing *p, const cud_settings *settings, cuddle_error *err)
{
    char_index index[2] = { { 0 } };
    cuddle_status status = CUDDLE_OK;
    *out = NULL;
    for (int i = 0; i < p->texts && settings->characters && !status; i++) status = index_characters(&index[i], &p->given[i], err);
    const char_index *used = settings->characters ? index : NULL;
    if (!status) status = make_one(out, p, NULL, settings, used, err);
    if (!status) (*out)->truncated = p->truncated;
    if (!status) status = make_overflow(*out, p, settings, used, err);
    if (status) {
        cud_encoding_free(*out);
        *out = NULL;
    }
    free(index[0].before);
    free(index[1].before);
    return status;
}

void cud_encoding_free(cuddle_encoding *e)
{
    if (!e) return;
    for (size_t i = 0; i < e->overflow_count; i++) free(e->overflow[i]); /* they have none of their own */
    free(e->overflow);
    free(e);
}

/* ---- padding ---- */

static cuddle_status pad_one(cuddle_encoding **e, size_t length, const cud_pad *pad, cuddle_error *err)
{
    const cuddle_encoding *old = *e;
    if (old->count >= length) return CUDDLE_OK;
    cuddle_encoding *made;
    const cuddle_status status = allocate(&made, length, err);
    if (status) return status;
    const size_t at = pad->left ? length - old->count : 0, first = pad->left ? 0 : old->count, n = old->count;
    memcpy(made->begin + at, old->begin, n * sizeof *old->begin);
    memcpy(made->end + at, old->end, n * sizeof *old->end);
    memcpy(made->ids + at, old->ids, n * sizeof *old->ids);
    memcpy(made->type_ids + at, old->type_ids, n * sizeof *old->type_ids);
    memcpy(made->word_ids + at, old->word_ids, n * sizeof *old->word_ids);
    memcpy(made->special + at, old->special, n);
    memcpy(made->attention + at, old->attention, n);
    memcpy(made->sequence_ids + at, old->sequence_ids, n);
    for (size_t i = first; i < first + length - n; i++) {
        made->begin[i] = made->end[i] = 0;
        made->ids[i] = pad->id;
        made->type_ids[i] = pad->type;
        made->word_ids[i] = CUD_NO_WORD;
        made->special[i] = 1;
        made->attention[i] = 0;
        made->sequence_ids[i] = CUD_NO_SEQUENCE;
    }
    made->overflow = old->overflow;
    made->overflow_count = old->overflow_count;
    free(*e); /* not what it refers to */
    *e = made;
    return CUDDLE_OK;
}

cuddle_status cud_encodings_pad(cuddle_encoding **e, size_t count, const cud_pad *pad, cuddle_error *err)
{
    size_t length = pad->kind == CUDDLE_PAD_FIXED ? pad->length : 0;
    if (pad->kind == CUDDLE_PAD_OFF) return CUDDLE_OK;
    for (size_t i = 0; i < count && pad->kind == CUDDLE_PAD_LONGEST; i++)
        if (e[i]->count > length) length = e[i]->count;
    if (pad->multiple && length % pad->multiple) length += pad->multiple - length % pad->multiple;
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i < count && !status; i++) {
        if (e[i]->overflow_count && length > CUD_MAX_WINDOW_TOKENS / e[i]->overflow_count)
            return cud_fail(err, CUDDLE_E_LIMIT, "%zu windows padded to %zu tokens, expected at most %d tokens in all",
                            e[i]->overflow_count, length, CUD_MAX_WINDOW_TOKENS);
        status = pad_one(&e[i], length, pad, err);
        for (size_t k = 0; k < e[i]->overflow_count && !status; k++) status = pad_one(&e[i]->overflow[k], length, pad, err);
    }
    return status;
}
