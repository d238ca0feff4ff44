/* Running a tokenizer: added tokens, normalizer, added tokens of normalized text, pre-tokenizer, model, post-processor. */
#include "text/encoding.h"
#include "text/internal.h"

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

static cuddle_status run_model(const cuddle_tokenizer *t, cud_tokens *tokens, const cud_pieces *p, int text, cuddle_error *err)
{
    const cud_model_type *model = (const cud_model_type *)t->model.item[0].type;
    cuddle_status status = CUDDLE_OK;
    int32_t word = 0;
    for (size_t i = 0; i < p->count && !status; i++) {
        const cud_piece *piece = &p->piece[i];
        const size_t first = tokens->count, length = piece->end - piece->begin;
        if (!length) continue;
        if (piece->token >= 0) {
            const cud_token token = { .id = piece->token, .end = length, .text_begin = piece->begin, .text_end = piece->end };
            status = cud_tokens_add(tokens, token, err);
        } else {
            status = model->encode(tokens, t->model.item[0].config, &t->model_vocab, cud_piece_text(p, piece), length, err);
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
static cuddle_status run_text(const cuddle_tokenizer *t, cud_pieces *p, cud_tokens *tokens, const cud_given *given, int text,
                              cuddle_error *err)
{
    cuddle_status status = cud_pieces_set(p, given->text, given->length, err);
    if (!status) status = cud_added_extract(&t->added, &t->added.raw, p, err);
    if (!status) status = run_steps(p, &t->normalizers, err);
    if (!status) status = cud_added_extract(&t->added, &t->added.normalized, p, err);
    if (!status) status = run_steps(p, &t->pre_tokenizers, err);
    return status ? status : run_model(t, tokens, p, text, err);
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
        return cud_fail(err, CUDDLE_E_ARG,
                        "stride is %zu, expected at most the %zu tokens that max_length leaves beside %zu special ones",
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

cuddle_status cud_tokenizer_encode_input(cuddle_encoding **out, const cuddle_tokenizer *t, const cuddle_tokenize_input *input,
                                         const cud_settings *settings, cuddle_error *err)
{
    *out = NULL;
    cud_pieces pieces[2] = { 0 };
    const cud_given given[2] = { { &pieces[0], input->text ? input->text : "", input->length },
                                 { &pieces[1], input->pair, input->pair_length } };
    cud_processing run = { .given = given,
                           .texts = input->pair ? 2 : 1,
                           .vocab = &t->model_vocab,
                           .add_special = settings->add_special != CUDDLE_ADD_SPECIAL_OFF };
    cuddle_status status = check_text(given[0].text, given[0].length, "the text", err);
    if (!status && run.texts > 1) status = check_text(given[1].text, given[1].length, "the second text", err);
    if (status) return status;
    run.run = calloc(2, sizeof *run.run);
    if (!run.run) return cud_nomem(err, 2 * sizeof *run.run, "a text to tokenize");
    run.count = run.texts;
    void *scratch = NULL; /* of the model: one for both texts */
    for (int i = 0; i < run.texts && !status; i++) {
        cud_tokens *tokens = &run.run[i].tokens;
        tokens->scratch = scratch;
        status = run_text(t, &pieces[i], tokens, &given[i], i, err);
        scratch = tokens->scratch;
        tokens->scratch = NULL;
    }
    if (!status) status = truncate(t, &run, &settings->cut, err);
    if (!status) status = run_processors(t, &run, err);
    if (!status) status = cud_encoding_make(out, &run, settings, err);

    const cud_model_type *model = (const cud_model_type *)t->model.item[0].type;
    if (model->scratch_free) model->scratch_free(scratch);
    cud_runs_free(run.run, run.count);
    cud_pieces_free(&pieces[0]);
    cud_pieces_free(&pieces[1]);
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
