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

bool cud_tokenizer_marks_inner(const cuddle_tokenizer *t)
{
    const cud_model_type *model = (const cud_model_type *)t->model.item[0].type;
    return model->marks && model->marks(t->model.item[0].config);
}

/* ---- encoding ---- */

static cuddle_status run_steps(cud_pieces *p, const cud_components *steps, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    for (int i = 0; i < steps->count && !status; i++)
        status = ((const cud_step_type *)steps->item[i].type)->apply(p, steps->item[i].config, err);
    return status;
}

/* Where tokens are: which word of which text, and where its offsets begin. */
typedef struct place {
    const cud_pieces *p;
    const cud_piece *piece;
    size_t at; /* the word begins at this offset in the piece */
    int32_t word;
    int text;
} place;

/* The token with the word's offsets as one with offsets in the given text. */
static inline cud_token locate(const place *in, cud_token token)
{
    const cud_piece *piece = in->piece;
    token.begin += in->at, token.end += in->at;
    if (token.text_end) token.text_begin += in->at + piece->begin, token.text_end += in->at + piece->begin;
    token.word = in->word;
    token.source = token.sequence = (int8_t)in->text;
    token.type = in->text;
    if (token.end > (size_t)piece->end - piece->begin) return token; /* an affix fell back to bytes: such offsets mean nothing, in the reference too */
    if (token.begin == token.end) {
        token.begin += piece->origin;
        token.end += piece->origin;
        return token;
    }
    token.end = cud_span_of(&in->p->text, piece->begin + token.end - 1).end;
    token.begin = cud_span_of(&in->p->text, piece->begin + token.begin).begin;
    return token;
}

/* Words on their way to the model: pieces, or the parts of them that it lets one cut. */
typedef struct next_word {
    size_t piece, at; /* the word begins at this offset in the piece */
    size_t length;
    cud_word word;
} next_word;

typedef struct word_queue {
    const cuddle_tokenizer *t;
    const cud_pieces *p;
    size_t piece, at; /* up to which words were taken */
} word_queue;

_Static_assert((int)CUD_SLACK >= (int)CUD_WORD_MAX, "bytes behind a word can be read");

static bool take_word(next_word *out, word_queue *q, const cud_words *words)
{
    const cud_model_type *model = (const cud_model_type *)q->t->model.item[0].type;
    while (q->piece < q->p->count && q->p->piece[q->piece].begin + q->at == q->p->piece[q->piece].end) q->piece++, q->at = 0;
    if (q->piece == q->p->count) return false;
    const cud_piece *piece = &q->p->piece[q->piece];
    const char *text = cud_piece_text(q->p, piece) + q->at;
    size_t length = piece->end - piece->begin - q->at;
    if (piece->token < 0) {
        if (model->cut) length = model->cut(q->t->model.item[0].config, text, length);
        cud_words_expect(words, &out->word, text, length);
    }
    out->piece = q->piece;
    out->at = q->at;
    out->length = length;
    q->at += length;
    return true;
}

static cuddle_status put_known(cud_tokens *tokens, const cud_known *known, const place *in, cuddle_error *err)
{
    const cuddle_status status = cud_tokens_reserve(tokens, CUD_WORD_TOKENS, err);
    if (status) return status;
    cud_token *to = tokens->token + tokens->count;
    for (int i = 0; i < known->count; i++) to[i] = locate(in, (cud_token){ .id = known->id[i], .begin = known->begin[i], .end = known->end[i] });
    tokens->count += known->count;
    return CUDDLE_OK;
}

/* By the model, which the word then need not be shown again. */
static cuddle_status put_new(const cuddle_tokenizer *t, cud_words *words, cud_tokens *tokens, const next_word *next, const place *in, cuddle_error *err)
{
    const cud_model_type *model = (const cud_model_type *)t->model.item[0].type;
    const size_t first = tokens->count;
    const char *text = cud_piece_text(in->p, in->piece) + next->at;
    const cuddle_status status = model->encode(tokens, t->model.item[0].config, &t->model_vocab, text, next->length, err);
    const size_t count = tokens->count - first;
    if (status) return status;
    cud_words_keep(words, &next->word, count ? tokens->token + first : NULL, count);
    for (size_t i = first; i < tokens->count; i++) tokens->token[i] = locate(in, tokens->token[i]);
    return CUDDLE_OK;
}

static cuddle_status run_model(const cuddle_tokenizer *t, cud_desk *d, cud_tokens *tokens, int text, size_t most, cuddle_error *err)
{
    enum { AHEAD = 16 }; /* words are fetched while others are looked up */
    next_word next[AHEAD];
    word_queue q = { .t = t, .p = &d->pieces };
    cuddle_status status = CUDDLE_OK;
    int32_t word = -1;
    size_t count = AHEAD;
    while (count == AHEAD && !status) {
        for (count = 0; count < AHEAD && take_word(&next[count], &q, d->words);) count++;
        for (size_t i = 0; i < count && !status; i++) {
            const cud_piece *piece = &d->pieces.piece[next[i].piece];
            word += next[i].at == 0;
            const place in = { &d->pieces, piece, next[i].at, word, text };
            const cud_token added = { .id = piece->token, .end = next[i].length, .text_end = next[i].length };
            const cud_known *known = piece->token < 0 ? cud_words_find(d->words, &next[i].word) : NULL;
            if (known) status = put_known(tokens, known, &in, err);
            else if (piece->token < 0) status = put_new(t, d->words, tokens, &next[i], &in, err);
            else status = cud_tokens_add(tokens, locate(&in, added), err);
            if (!status && most && tokens->count > most)
                status = cud_fail(err, CUDDLE_E_LIMIT, "%s has %zu tokens or more, expected at most %zu", text ? "the second text" : "the text",
                                  tokens->count, most);
        }
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
static cuddle_status run_text(const cuddle_tokenizer *t, cud_desk *d, cud_tokens *tokens, const cud_given *given, int text, size_t most,
                              cuddle_error *err)
{
    cud_pieces *p = &d->pieces;
    *tokens = d->tokens; /* an empty list with its room; run_input() gives it back */
    d->tokens = (cud_tokens){ 0 };
    cuddle_status status = cud_pieces_set(p, given->text, given->length, err);
    if (!status) status = cud_added_extract(&t->added, &t->added.raw, p, err);
    if (!status) status = run_steps(p, &t->normalizers, err);
    if (!status) status = cud_added_extract(&t->added, &t->added.normalized, p, err);
    if (!status) status = run_steps(p, &t->pre_tokenizers, err);
    if (!status) status = run_model(t, d, tokens, text, most, err);
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
    for (int i = 0; i < run->texts; i++) run->truncated += run->run[i].tokens.count;
    const cuddle_status status = cud_runs_truncate(run->run, run->texts, cut, cut->most - added, err);
    for (int i = 0; i < run->texts; i++) run->truncated -= run->run[i].tokens.count;
    return status;
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
    for (int i = 0; i < run->texts && !status; i++) status = run_text(t, desk[i], &run->run[i].tokens, &run->given[i], i, settings->most_tokens, err);
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

cuddle_status cud_tokenizer_encode_part(cuddle_encoding **out, const cuddle_tokenizer *t, const char *text, size_t length, bool begins,
                                        bool ends, size_t most, cuddle_error *err)
{
    const cuddle_tokenize_input input = { .text = text, .length = length };
    const cud_settings settings = { .add_special = CUDDLE_ADD_SPECIAL_ONCE, .goes_on = !begins, .goes_on_after = !ends, .most_tokens = most };
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
