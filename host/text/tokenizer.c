/* Running a tokenizer: added tokens, normalizer, added tokens of normalized text, pre-tokenizer, model, post-processor. */
#include "text/encoding.h"
#include "text/internal.h"
#include "text/lexicon.h"
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

int32_t cud_tokenizer_named(const cuddle_tokenizer *t, cuddle_special which)
{
    return which >= 0 && which < CUDDLE_SPECIAL_COUNT ? t->named[which] : -1;
}

size_t cud_tokenizer_max_length(const cuddle_tokenizer *t) { return t->max_length; }

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
static cuddle_status encode_word(const cuddle_tokenizer *t, cud_desk *d, cud_tokens *tokens, const char *word, size_t length, cuddle_error *err)
{
    const cud_model_type *model = (const cud_model_type *)t->model.item[0].type;
    const size_t first = tokens->count;
    bool known;
    cuddle_status status = cud_words_find(d->words, &known, tokens, word, length, err);
    if (status || known) return status;
    status = model->encode(tokens, t->model.item[0].config, &t->model_vocab, word, length, err);
    const size_t count = tokens->count - first;
    if (!status) cud_words_keep(d->words, word, length, count ? tokens->token + first : NULL, count);
    return status;
}

static cuddle_status encode_piece(const cuddle_tokenizer *t, cud_desk *d, cud_tokens *tokens, const char *text, size_t length, cuddle_error *err)
{
    const cud_model_type *model = (const cud_model_type *)t->model.item[0].type;
    if (!model->cut) return encode_word(t, d, tokens, text, length, err);
    cuddle_status status = CUDDLE_OK;
    for (size_t at = 0, part; at < length && !status; at += part) {
        const size_t first = tokens->count;
        part = model->cut(t->model.item[0].config, text + at, length - at);
        status = encode_word(t, d, tokens, text + at, part, err);
        for (size_t i = first; at && i < tokens->count; i++) {
            cud_token *token = &tokens->token[i];
            token->begin += at, token->end += at;
            if (token->text_end) token->text_begin += at, token->text_end += at;
        }
    }
    return status;
}

static cuddle_status run_model(const cuddle_tokenizer *t, cud_desk *d, cud_tokens *tokens, int text, cuddle_error *err)
{
    enum { AHEAD = 6 }; /* words */
    const cud_pieces *p = &d->pieces;
    cuddle_status status = CUDDLE_OK;
    int32_t word = 0;
    for (size_t i = 0; i < p->count && !status; i++) {
        const cud_piece *piece = &p->piece[i];
        if (i + AHEAD < p->count) cud_words_expect(d->words, cud_piece_text(p, piece + AHEAD), piece[AHEAD].end - piece[AHEAD].begin);
        const size_t first = tokens->count, length = piece->end - piece->begin;
        if (!length) continue;
        if (piece->token >= 0) {
            const cud_token token = { .id = piece->token, .end = length, .text_end = length };
            status = cud_tokens_add(tokens, token, err);
        } else {
            status = encode_piece(t, d, tokens, cud_piece_text(p, piece), length, err);
        }
        for (size_t k = first; k < tokens->count; k++) {
            locate(&tokens->token[k], p, piece);
            tokens->token[k].word = word;
            tokens->token[k].source = tokens->token[k].sequence = (int8_t)text;
            tokens->token[k].type = text;
        }
        word++;
    }
    return status;
}

static cuddle_status check_text(const char *text, size_t length, const char *name, cuddle_error *err)
{
    if (length > CUD_TOKENIZER_MAX_TEXT)
        return cud_fail(err, CUDDLE_E_LIMIT, "a text of %zu bytes, expected at most %d", length, CUD_TOKENIZER_MAX_TEXT);
    const size_t valid = cud_utf8_valid(text, length);
    return valid < length ? cud_fail(err, CUDDLE_E_ARG, "%s is not UTF-8 at byte %zu", name, valid) : CUDDLE_OK;
}

/* All steps up to the tokens of one text. */
static cuddle_status run_text(const cuddle_tokenizer *t, cud_desk *d, cud_tokens *tokens, const cud_given *given, int text, cuddle_error *err)
{
    cud_pieces *p = &d->pieces;
    *tokens = d->tokens; /* an empty list with its room; run_input() gives it back */
    d->tokens = (cud_tokens){ 0 };
    cuddle_status status = cud_pieces_set(p, given->text, given->length, err);
    if (!status) status = cud_added_extract(&t->added, &t->added.raw, p, err);
    if (!status) status = run_steps(p, &t->normalizers, err);
    if (!status) status = cud_added_extract(&t->added, &t->added.normalized, p, err);
    if (!status) status = run_steps(p, &t->pre_tokenizers, err);
    if (!status) status = run_model(t, d, tokens, text, err);
    d->tokens.scratch = tokens->scratch;
    tokens->scratch = NULL;
    return status;
}

/* How many tokens the post-processors add. */
static size_t added_tokens(const cuddle_tokenizer *t, bool pair)
{
    size_t added = 0;
    for (int i = 0; i < t->processors.count; i++) {
        const cud_processor_type *type = (const cud_processor_type *)t->processors.item[i].type;
        if (type->added) added += type->added(t->processors.item[i].config, pair);
    }
    return added;
}

static cuddle_status truncate(const cuddle_tokenizer *t, cud_processing *run, const cud_cut *cut, cuddle_error *err)
{
    if (cut->strategy == CUDDLE_TRUNCATE_OFF) return CUDDLE_OK;
    const size_t single = added_tokens(t, false), added = run->add_special ? added_tokens(t, run->texts > 1) : 0;
    if (cut->most < added)
        return cud_fail(err, CUDDLE_E_ARG, "max_length is %zu, and the special tokens alone are %zu", cut->most, added);
    if (cut->most >= single && cut->stride > cut->most - single) /* the reference asks this before it knows of a pair */
        return cud_fail(err, CUDDLE_E_ARG, "stride is %zu, expected at most the %zu tokens that max_length leaves beside %zu special ones",
                        cut->stride, cut->most - single, single);
    return cud_runs_truncate(run->run, run->texts, cut->strategy, cut->most - added, cut->stride, cut->left, err);
}

static cuddle_status run_processors(const cuddle_tokenizer *t, cud_processing *run, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    for (int i = 0; i < t->processors.count && !status; i++)
        status = ((const cud_processor_type *)t->processors.item[i].type)->apply(run, t->processors.item[i].config, err);
    return status;
}

/* run->given and run->texts are set; each text has a desk. */
static cuddle_status run_input(cuddle_encoding **out, const cuddle_tokenizer *t, cud_desk *desk[2], cud_processing *run, const cud_settings *settings,
                               cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    run->run = calloc(2, sizeof *run->run);
    if (!run->run) return cud_nomem(err, 2 * sizeof *run->run, "a text to tokenize");
    run->count = run->texts;
    for (int i = 0; i < run->texts && !status; i++) status = run_text(t, desk[i], &run->run[i].tokens, &run->given[i], i, err);
    if (!status) status = truncate(t, run, &settings->cut, err);
    if (!status) status = run_processors(t, run, err);
    if (!status) status = cud_encoding_make(out, run, settings, err);
    size_t most = 0; /* the largest list is kept for the next call */
    int largest = -1;
    for (int i = 0; i < run->count; i++)
        if (run->run[i].tokens.room > most) most = run->run[i].tokens.room, largest = i;
    if (largest >= 0) {
        cud_tokens *from = &run->run[largest].tokens;
        desk[0]->tokens.token = from->token;
        desk[0]->tokens.room = from->room;
        *from = (cud_tokens){ 0 };
    }
    cud_runs_free(run->run, run->count);
    return status;
}

cuddle_status cud_tokenizer_encode_input(cuddle_encoding **out, const cuddle_tokenizer *t, const cuddle_tokenize_input *input,
                                         const cud_settings *settings, cuddle_error *err)
{
    *out = NULL;
    cud_desk *desk[2] = { NULL };
    const int texts = input->pair ? 2 : 1;
    cuddle_status status = check_text(input->text ? input->text : "", input->length, "the text", err);
    if (!status && texts > 1) status = check_text(input->pair, input->pair_length, "the second text", err);
    for (int i = 0; i < texts && !status; i++) status = cud_workshop_take(&desk[i], t->workshop, err);
    if (!status) {
        const cud_given given[2] = { { &desk[0]->pieces, input->text ? input->text : "", input->length },
                                     { texts > 1 ? &desk[1]->pieces : NULL, input->pair, input->pair_length } };
        cud_processing run = { .given = given, .texts = texts, .vocab = &t->model_vocab, .add_special = settings->add_special != CUDDLE_ADD_SPECIAL_OFF };
        status = run_input(out, t, desk, &run, settings, err);
    }
    for (int i = 0; i < texts; i++)
        if (desk[i]) cud_workshop_give(t->workshop, desk[i]);
    return status;
}

cuddle_status cud_tokenizer_encode(cuddle_encoding **out, const cuddle_tokenizer *t, const char *text, size_t length,
                                   unsigned flags, cuddle_error *err)
{
    const cuddle_tokenize_input input = { .text = text, .length = length };
    const cud_settings settings = { .add_special =
                                        flags & CUDDLE_TOKENIZE_NO_SPECIAL ? CUDDLE_ADD_SPECIAL_OFF : CUDDLE_ADD_SPECIAL_ON };
    return cud_tokenizer_encode_input(out, t, &input, &settings, err);
}

void cud_tokenizer_free(cuddle_tokenizer *t)
{
    if (!t) return;
    cud_workshop_free(t->workshop);
    cud_lexicon_slot_free(t->lexicon);
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
