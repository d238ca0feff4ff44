/* Ids to text. The decoders are a chain of streams (component.h): decoding at once pushes all ids and finishes, so a stream's
 * pieces add up to the same text by construction. Pieces end between characters; the rest of one waits for its next byte. */
#include "text/internal.h"
#include "text/regex.h"
#include "text/types.h"

#include <stdlib.h>
#include <string.h>

struct cuddle_detokenizer {
    const cuddle_tokenizer *tokenizer;
    unsigned flags;
    bool finished;
    cuddle_status failed; /* a push that failed leaves the chain undefined */
    cud_bytes out;
    size_t given; /* of out: handed out before, dropped by the next call */
    int stages;
    cud_stream head; /* feeds the first stage */
    cud_stream stage[];
};

/* The first `stages` of its decoders. */
static cuddle_status open_chain(cuddle_detokenizer **out, const cuddle_tokenizer *t, int stages, unsigned flags, cuddle_error *err)
{
    *out = NULL;
    const size_t size = sizeof(cuddle_detokenizer) + (size_t)stages * sizeof(cud_stream);
    cuddle_detokenizer *d = calloc(1, size);
    if (!d) return cud_nomem(err, size, "a detokenizer");
    d->tokenizer = t;
    d->flags = flags;
    d->stages = stages;
    for (int i = 0; i <= d->stages; i++) {
        cud_stream *s = i ? &d->stage[i - 1] : &d->head;
        s->next = i < d->stages ? &d->stage[i] : NULL;
        s->out = &d->out;
        if (!i) continue;
        s->type = (const cud_decoder_type *)t->decoders.item[i - 1].type;
        s->config = t->decoders.item[i - 1].config;
    }
    *out = d;
    return CUDDLE_OK;
}

cuddle_status cud_detokenizer_new(cuddle_detokenizer **out, const cuddle_tokenizer *t, unsigned flags, cuddle_error *err)
{
    return open_chain(out, t, t->decoders.count, flags, err);
}

void cud_detokenizer_free(cuddle_detokenizer *d)
{
    if (!d) return;
    for (int i = 0; i < d->stages; i++) {
        free(d->stage[i].held.data);
        cud_regex_scratch_free(d->stage[i].regex);
    }
    free(d->out.data);
    free(d);
}

/* The string that decoding starts from. Added tokens come first; those that are matched in normalized text are decoded from their
 * normalized content, as the reference does since 0.23. */
static const char *spelling(const cuddle_tokenizer *t, int32_t id, size_t *length)
{
    const char *text = cud_vocab_token(&t->added_vocab, id, length);
    if (!text) return cud_vocab_token(&t->model_vocab, id, length);
    const cud_added_token *token = cud_added_find(&t->added, text, *length);
    if (!token || !token->decoded) return text;
    *length = token->decoded_length;
    return token->decoded;
}

static cuddle_status push(cuddle_detokenizer *d, int32_t id, cuddle_error *err)
{
    size_t length = 0;
    if (id < 0) return cud_fail(err, CUDDLE_E_ARG, "token id %d", id);
    const char *text = spelling(d->tokenizer, id, &length);
    if (!text || (d->flags & CUDDLE_DETOKENIZE_SKIP_SPECIAL && cud_tokenizer_is_special(d->tokenizer, id))) return CUDDLE_OK;
    d->failed = cud_stream_emit(&d->head, text, length, CUD_TOKEN_WHOLE, err);
    return d->failed;
}

static cuddle_status finish(cuddle_detokenizer *d, cuddle_error *err)
{
    for (int i = 0; i < d->stages && !d->failed; i++)
        if (d->stage[i].type->finish) d->failed = d->stage[i].type->finish(&d->stage[i], err);
    d->finished = true;
    return d->failed;
}

static cuddle_status usable(cuddle_detokenizer *d, cuddle_error *err)
{
    if (d->failed) return cud_fail(err, d->failed, "this detokenizer failed before");
    if (d->finished) return cud_fail(err, CUDDLE_E_ARG, "this detokenizer was finished before");
    if (d->given && d->out.used > d->given) memmove(d->out.data, d->out.data + d->given, d->out.used - d->given);
    d->out.used -= d->given;
    d->given = 0;
    return CUDDLE_OK;
}

/* Stages pass on bytes, so the end of out may be half a character. */
static size_t whole_characters(const cud_bytes *out)
{
    size_t at = out->used;
    for (int back = 1; back <= 3 && at > 0; back++) {
        const unsigned char c = (unsigned char)out->data[--at];
        if ((c & 0xc0) == 0x80) continue;
        return cud_utf8_length(c) > (size_t)back ? at : out->used;
    }
    return out->used;
}

cuddle_status cud_detokenizer_push(cuddle_detokenizer *d, int32_t id, const char **piece, size_t *length, cuddle_error *err)
{
    cuddle_status status = usable(d, err);
    if (!status) status = push(d, id, err);
    if (status) return status;
    d->given = *length = whole_characters(&d->out);
    *piece = *length ? d->out.data : "";
    return CUDDLE_OK;
}

cuddle_status cud_detokenizer_finish(cuddle_detokenizer *d, const char **piece, size_t *length, cuddle_error *err)
{
    cuddle_status status = usable(d, err);
    if (!status) status = finish(d, err);
    if (status) return status;
    d->given = *length = d->out.used;
    *piece = *length ? d->out.data : "";
    return CUDDLE_OK;
}

/* Finishes it and takes its text over. */
static cuddle_status take_text(char **text, size_t *length, cuddle_detokenizer *d, cuddle_error *err)
{
    cuddle_status status = finish(d, err);
    if (!status) status = cud_bytes_add(&d->out, "", 1, err); /* the NUL */
    if (status) return status;
    *text = d->out.data;
    if (length) *length = d->out.used - 1;
    d->out.data = NULL;
    return CUDDLE_OK;
}

cuddle_status cud_tokenizer_decode(char **text, size_t *length, const cuddle_tokenizer *t, const int32_t *ids, size_t count,
                                   unsigned flags, cuddle_error *err)
{
    cuddle_detokenizer *d = NULL;
    *text = NULL;
    cuddle_status status = cud_detokenizer_new(&d, t, flags, err);
    for (size_t i = 0; i < count && !status; i++) status = push(d, ids[i], err);
    if (!status) status = take_text(text, length, d, err);
    cud_detokenizer_free(d);
    return status;
}

/* Decoders of tokenizer.json; what cleans up comes behind them, with one that makes a single token of the text before it (cleanup.c). */
static int own_decoders(const cud_components *decoders)
{
    for (int i = 1; i < decoders->count; i++)
        if (decoders->item[i].type == &cud_decoder_cleanup.base) return i - 1;
    return decoders->count;
}

cuddle_status cud_tokenizer_join(char **text, size_t *length, const cuddle_tokenizer *t, const cud_span_text *token, size_t count,
                                 cuddle_error *err)
{
    cuddle_detokenizer *d = NULL;
    *text = NULL;
    cuddle_status status = open_chain(&d, t, own_decoders(&t->decoders), 0, err);
    for (size_t i = 0; i < count && !status; i++) status = cud_stream_emit(&d->head, token[i].text, token[i].length, CUD_TOKEN_WHOLE, err);
    if (!status) status = take_text(text, length, d, err);
    cud_detokenizer_free(d);
    return status;
}
