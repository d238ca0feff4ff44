/* Running a tokenizer: added tokens, normalizer, added tokens of normalized text, pre-tokenizer, model, post-processor. */
#include "text/internal.h"
#include "text/workshop.h"

#include <stdlib.h>
#include <string.h>

int cud_tokenizer_size(const cuddle_tokenizer *t) { return t->size; }

const char *cud_tokenizer_token(const cuddle_tokenizer *t, int32_t id)
{
    const char *text = cud_vocab_token(&t->added_vocab, id, NULL);
    return text ? text : cud_vocab_token(&t->model_vocab, id, NULL);
}

int32_t cud_tokenizer_id(const cuddle_tokenizer *t, const char *token)
{
    const size_t length = strlen(token);
    const int32_t id = cud_vocab_find(&t->added_vocab, token, length);
    return id >= 0 ? id : cud_vocab_find(&t->model_vocab, token, length);
}

bool cud_tokenizer_is_special(const cuddle_tokenizer *t, int32_t id) { return id >= 0 && id < t->size && t->special[id]; }

/* ---- encoding ---- */

static cuddle_status run_steps(cud_pieces *p, const cud_components *steps, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    for (int i = 0; i < steps->count && !status; i++)
        status = ((const cud_step_type *)steps->item[i].type)->apply(p, steps->item[i].config, err);
    return status;
}

/* Word offsets of the model's tokens to offsets in the given text. */
static void locate(cud_token *token, const cud_pieces *p, const cud_piece *piece)
{
    const size_t length = piece->end - piece->begin;
    if (token->text_end) token->text_begin += piece->begin, token->text_end += piece->begin;
    if (token->end > length) return; /* an affix fell back to bytes: such offsets mean nothing, in the reference too */
    if (token->begin == token->end) {
        token->begin += piece->origin;
        token->end += piece->origin;
        return;
    }
    const cud_span *align = p->text.align + piece->begin;
    const size_t begin = align[token->begin].begin;
    token->end = align[token->end - 1].end;
    token->begin = begin;
}

/* One word by the model, or by what it became before. */
static cuddle_status encode_word(const cuddle_tokenizer *t, cud_desk *d, const char *word, size_t length, cuddle_error *err)
{
    const cud_model_type *model = (const cud_model_type *)t->model.item[0].type;
    const size_t first = d->tokens.count;
    bool known;
    cuddle_status status = cud_words_find(d->words, &known, &d->tokens, word, length, err);
    if (status || known) return status;
    status = model->encode(&d->tokens, t->model.item[0].config, &t->model_vocab, word, length, err);
    const size_t count = d->tokens.count - first;
    if (!status) cud_words_keep(d->words, word, length, count ? d->tokens.token + first : NULL, count);
    return status;
}

static cuddle_status encode_piece(const cuddle_tokenizer *t, cud_desk *d, const char *text, size_t length, cuddle_error *err)
{
    const cud_model_type *model = (const cud_model_type *)t->model.item[0].type;
    if (!model->cut) return encode_word(t, d, text, length, err);
    cuddle_status status = CUDDLE_OK;
    for (size_t at = 0, part; at < length && !status; at += part) {
        const size_t first = d->tokens.count;
        part = model->cut(t->model.item[0].config, text + at, length - at);
        status = encode_word(t, d, text + at, part, err);
        for (size_t i = first; at && i < d->tokens.count; i++) {
            cud_token *token = &d->tokens.token[i];
            token->begin += at, token->end += at;
            if (token->text_end) token->text_begin += at, token->text_end += at;
        }
    }
    return status;
}

static cuddle_status run_model(const cuddle_tokenizer *t, cud_desk *d, cuddle_error *err)
{
    enum { AHEAD = 6 }; /* words */
    const cud_pieces *p = &d->pieces;
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i < p->count && !status; i++) {
        const cud_piece *piece = &p->piece[i];
        if (i + AHEAD < p->count) cud_words_expect(d->words, cud_piece_text(p, piece + AHEAD), piece[AHEAD].end - piece[AHEAD].begin);
        const size_t first = d->tokens.count, length = piece->end - piece->begin;
        if (piece->token >= 0) {
            const cud_token token = { .id = piece->token, .end = length, .text_end = length };
            status = cud_tokens_add(&d->tokens, token, err);
        } else {
            status = encode_piece(t, d, cud_piece_text(p, piece), length, err);
        }
        for (size_t k = first; k < d->tokens.count; k++) locate(&d->tokens.token[k], p, piece);
    }
    return status;
}

static cuddle_status run_processors(const cuddle_tokenizer *t, cud_processing *run, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    for (int i = 0; i < t->processors.count && !status; i++)
        status = ((const cud_processor_type *)t->processors.item[i].type)->apply(run, t->processors.item[i].config, err);
    return status;
}

static size_t at_most(size_t offset, size_t length) { return offset < length ? offset : length; }

static cuddle_status make_encoding(cuddle_encoding **out, const cud_tokens *tokens, size_t length, cuddle_error *err)
{
    const size_t each = 2 * sizeof(size_t) + sizeof(int32_t) + 1;
    if (tokens->count > (SIZE_MAX - sizeof(cuddle_encoding)) / each) return cud_nomem(err, SIZE_MAX, "an encoding");
    cuddle_encoding *e = malloc(sizeof *e + tokens->count * each); /* one block: the arrays follow in order of alignment */
    if (!e) return cud_nomem(err, sizeof *e + tokens->count * each, "an encoding");
    e->count = tokens->count;
    e->begin = (size_t *)(void *)(e + 1);
    e->end = e->begin + e->count;
    e->ids = (int32_t *)(void *)(e->end + e->count);
    e->special = (uint8_t *)(void *)(e->ids + e->count);
    for (size_t i = 0; i < e->count; i++) {
        e->ids[i] = tokens->token[i].id;
        e->begin[i] = at_most(tokens->token[i].begin, length); /* even where they mean nothing they lie in the text */
        e->end[i] = at_most(tokens->token[i].end, length);
        e->special[i] = tokens->token[i].special;
    }
    *out = e;
    return CUDDLE_OK;
}

cuddle_status cud_tokenizer_encode(cuddle_encoding **out, const cuddle_tokenizer *t, const char *text, size_t length,
                                   unsigned flags, cuddle_error *err)
{
    *out = NULL;
    if (length > CUD_TOKENIZER_MAX_TEXT)
        return cud_fail(err, CUDDLE_E_LIMIT, "a text of %zu bytes, expected at most %d", length, CUD_TOKENIZER_MAX_TEXT);
    const size_t valid = cud_utf8_valid(text, length);
    if (valid < length) return cud_fail(err, CUDDLE_E_ARG, "the text is not UTF-8 at byte %zu", valid);

    cud_desk *d = NULL;
    cuddle_status status = cud_workshop_take(&d, t->workshop, err);
    if (status) return status;
    if (!status) status = cud_pieces_set(&d->pieces, text, length, err);
    if (!status) status = cud_added_extract(&t->added, &t->added.raw, &d->pieces, err);
    if (!status) status = run_steps(&d->pieces, &t->normalizers, err);
    if (!status) status = cud_added_extract(&t->added, &t->added.normalized, &d->pieces, err);
    if (!status) status = run_steps(&d->pieces, &t->pre_tokenizers, err);
    if (!status) status = run_model(t, d, err);
    cud_processing run = { .tokens = d->tokens, .pieces = &d->pieces, .vocab = &t->model_vocab, .text = text, .length = length,
                           .add_special = !(flags & CUDDLE_TOKENIZE_NO_SPECIAL) };
    if (!status) status = run_processors(t, &run, err);
    if (!status) status = make_encoding(out, &run.tokens, length, err);
    d->tokens = run.tokens;
    cud_workshop_give(t->workshop, d);
    return status;
}

void cud_encoding_free(cuddle_encoding *e) { free(e); }

void cud_tokenizer_free(cuddle_tokenizer *t)
{
    if (!t) return;
    cud_workshop_free(t->workshop);
    cud_components_free(&t->normalizers);
    cud_components_free(&t->pre_tokenizers);
    cud_components_free(&t->model);
    cud_components_free(&t->processors);
    cud_components_free(&t->decoders);
    cud_added_free(&t->added);
    cud_vocab_free(&t->added_vocab);
    cud_vocab_free(&t->model_vocab);
    free(t->special);
    free(t);
}
