#include "tasks/fill_mask.h"

#include "tasks/scores.h"
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

cuddle_status cud_fill_mask_find(size_t *out, size_t *masks, const cuddle_tokenizer *tokenizer, const int32_t *ids, size_t count, cuddle_error *err)
{
    const int32_t mask = cud_tokenizer_named(tokenizer, CUDDLE_SPECIAL_MASK);
    *masks = 0;
    if (mask < 0) return cud_fail(err, CUDDLE_E_ARG, "fill-mask: the checkpoint's tokenizer names no mask_token");
    for (size_t i = 0; i < count; i++)
        if (ids[i] == mask) out[(*masks)++] = i;
    if (*masks) return CUDDLE_OK;
    return cud_fail(err, CUDDLE_E_ARG, "fill-mask: there is no mask token (%.40s) in the text", cud_tokenizer_token(tokenizer, mask));
}

/* ---- targets ---- */

static cuddle_status find_target(int32_t *id, cud_target_found *found, const cuddle_tokenizer *tokenizer, const char *word, cuddle_error *err)
{
    *found = CUD_TARGET_KNOWN;
    *id = cud_tokenizer_id(tokenizer, word);
    if (*id >= 0) return CUDDLE_OK;
    cuddle_encoding *e = NULL;
    const cuddle_status status = cud_tokenizer_encode(&e, tokenizer, word, strlen(word), CUDDLE_TOKENIZE_NO_SPECIAL, err);
    if (status) return status;
    *found = e->count ? CUD_TARGET_REPLACED : CUD_TARGET_IGNORED;
    if (e->count) *id = e->ids[0];
    cud_encoding_free(e);
    return CUDDLE_OK;
}

static int ascending(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

cuddle_status cud_fill_mask_targets(int32_t **out, size_t *out_count, cud_target_found *found, const cuddle_tokenizer *tokenizer,
                                    const char *const *words, size_t count, cuddle_error *err)
{
    *out = NULL;
    *out_count = 0;
    int32_t *ids = calloc(count + 1, sizeof *ids);
    if (!ids) return cud_nomem(err, count, "targets");
    cuddle_status status = CUDDLE_OK;
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < count && !status; i++) {
        cud_target_found what;
        status = find_target(&ids[n], &what, tokenizer, words[i], err);
        if (found) found[i] = what;
        n += what != CUD_TARGET_IGNORED;
    }
    if (!status && n == 0) status = cud_fail(err, CUDDLE_E_ARG, "fill-mask: none of the %zu targets is a token", count);
    if (status) {
        free(ids);
        return status;
    }
    qsort(ids, n, sizeof *ids, ascending);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || ids[i] != ids[kept - 1]) ids[kept++] = ids[i];
    *out = ids;
    *out_count = kept;
    return CUDDLE_OK;
}

/* ---- filling ---- */

typedef struct job {
    const cuddle_tokenizer *tokenizer;
    const int32_t *ids;
    size_t count;
    size_t *mask;    /* [count] */
    float *score;    /* [vocabulary] */
    size_t *best;    /* [each] */
    int32_t *filled; /* [count] */
    size_t choices;  /* tokens, or targets */
} job;

/* The sequence in which `token` stands at `place`. */
static cuddle_status decode(cud_fill *f, const job *j, size_t place, bool single, cuddle_error *err)
{
    const int32_t pad = cud_tokenizer_named(j->tokenizer, CUDDLE_SPECIAL_PAD);
    size_t n = 0;
    for (size_t i = 0; i < j->count; i++) {
        const int32_t id = i == place ? f->token : j->ids[i];
        if (pad < 0 || id != pad) j->filled[n++] = id;
    }
    const cuddle_status status =
        cud_tokenizer_decode(&f->sequence, &f->sequence_length, j->tokenizer, j->filled, n, single ? CUDDLE_DETOKENIZE_SKIP_SPECIAL : 0, err);
    return status ? status : cud_tokenizer_decode(&f->token_text, &f->token_length, j->tokenizer, &f->token, 1, 0, err);
}

static cuddle_status fill_one(cud_fills *out, job *j, size_t m, const float *logits, size_t vocabulary, const int32_t *targets, cuddle_error *err)
{
    cud_softmax(j->score, logits, vocabulary);
    if (targets) /* ascending, so none is overwritten before it is read */
        for (size_t i = 0; i < j->choices; i++) j->score[i] = j->score[targets[i]];
    cud_best(j->best, out->each, j->score, j->choices);
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i < out->each && !status; i++) {
        cud_fill *f = &out->item[m * out->each + i];
        f->score = j->score[j->best[i]];
        f->token = targets ? targets[j->best[i]] : (int32_t)j->best[i];
        status = decode(f, j, j->mask[m], out->masks == 1, err);
    }
    return status;
}

static cuddle_status check(const cud_fill_mask_options *o, size_t vocabulary, cuddle_error *err)
{
    if (vocabulary == 0 || vocabulary > INT32_MAX) return cud_fail(err, CUDDLE_E_ARG, "fill-mask: %zu logits for a mask", vocabulary);
    if (o->top_k == 0) return cud_fail(err, CUDDLE_E_ARG, "fill-mask: top_k is 0, expected at least 1");
    if (o->targets && o->target_count == 0) return cud_fail(err, CUDDLE_E_ARG, "fill-mask: no targets");
    for (size_t i = 0; i < o->target_count && o->targets; i++) {
        if (o->targets[i] < 0 || (size_t)o->targets[i] >= vocabulary)
            return cud_fail(err, CUDDLE_E_ARG, "fill-mask: the target %d is no token of the model, which has %zu", (int)o->targets[i], vocabulary);
        if (i && o->targets[i] <= o->targets[i - 1]) return cud_fail(err, CUDDLE_E_ARG, "fill-mask: targets are not ascending");
    }
    return CUDDLE_OK;
}

cuddle_status cud_fill_mask(cud_fills *out, const cuddle_tokenizer *tokenizer, const int32_t *ids, size_t count, const float *logits,
                            size_t vocabulary, const cud_fill_mask_options *options, cuddle_error *err)
{
    job j = { .tokenizer = tokenizer, .ids = ids, .count = count };
    *out = (cud_fills){ 0 };
    cuddle_status status = check(options, vocabulary, err);
    if (status) return status;
    j.choices = options->targets ? options->target_count : vocabulary;
    const size_t each = options->top_k < j.choices ? options->top_k : j.choices;
    j.mask = malloc(count * sizeof *j.mask + 1);
    j.filled = malloc(count * sizeof *j.filled + 1);
    j.score = malloc(vocabulary * sizeof *j.score);
    j.best = malloc(each * sizeof *j.best);
    if (!j.mask || !j.filled || !j.score || !j.best) status = cud_nomem(err, vocabulary * sizeof *j.score, "fill-mask");
    if (!status) status = cud_fill_mask_find(j.mask, &out->masks, tokenizer, ids, count, err);
    if (!status && out->masks > SIZE_MAX / vocabulary / sizeof *out->item)
        status = cud_fail(err, CUDDLE_E_LIMIT, "fill-mask: %zu masks with %zu logits", out->masks, vocabulary);
    if (!status) status = cud_scores_finite(logits, out->masks * vocabulary, "fill-mask", "logit", err);
    if (!status) {
        out->each = each;
        out->item = calloc(out->masks * each, sizeof *out->item);
        if (!out->item) status = cud_nomem(err, out->masks * each * sizeof *out->item, "fill-mask");
    }
    for (size_t m = 0; m < out->masks && !status; m++)
        status = fill_one(out, &j, m, logits + m * vocabulary, vocabulary, options->targets, err);
    free(j.mask);
    free(j.filled);
    free(j.score);
    free(j.best);
    if (status) cud_fills_free(out);
    return status;
}

void cud_fills_free(cud_fills *f)
{
    for (size_t i = 0; f->item && i < f->masks * f->each; i++) {
        free(f->item[i].token_text);
        free(f->item[i].sequence);
    }
    free(f->item);
    *f = (cud_fills){ 0 };
}

void cud_fills_write(cud_writer *w, const cud_fills *f)
{
    if (f->masks != 1) cud_write_open(w, '[');
    for (size_t m = 0; m < f->masks; m++) {
        cud_write_open(w, '[');
        for (size_t i = 0; i < f->each; i++) {
            const cud_fill *item = &f->item[m * f->each + i];
            cud_write_open(w, '{');
            cud_write_key(w, "score");
            cud_write_float(w, item->score);
            cud_write_key(w, "token");
            cud_write_count(w, (size_t)item->token);
            cud_write_key(w, "token_str");
            cud_write_text(w, item->token_text, item->token_length);
            cud_write_key(w, "sequence");
            cud_write_text(w, item->sequence, item->sequence_length);
            cud_write_close(w, '}');
        }
        cud_write_close(w, ']');
    }
    if (f->masks != 1) cud_write_close(w, ']');
}
