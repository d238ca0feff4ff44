/* Encoding: requests that are computed in one step, as a whole, and leave nothing behind. */
#include "core/options.h"
#include "engine/engine.h"
#include "models/encoder.h"
#include "text/settings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void cuddle_encode_options_init(cuddle_encode_options *options, size_t size)
{
    const cuddle_encode_options defaults = { .only_token = CUDDLE_UNSET_INT };
    cud_options_init(options, size, &defaults, sizeof defaults);
}

void cud_encode_job_free(encode_job *e)
{
    if (!e) return;
    free(e->types);
    free(e->positions);
    free(e->wanted);
    free(e->values);
    free(e);
}

/* -------------------------------------------------------------------------------------------------- what is asked for */

typedef struct input { /* on its way from the caller to the request */
    int32_t *ids, *types; /* [count]; types may be NULL */
    size_t count, truncated;
} input;

static cuddle_status check_options(const cuddle_encode_options *o, const cuddle_model *h, cuddle_error *err)
{
    const model *m = h->m;
    const int64_t hidden = m->spec.stack[0].hidden;
    if (!cud_model_is_encoder(m))
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "a %s generates text, encoding is for encoders", m->spec.architecture);
    if (o->output < CUDDLE_ENCODE_POOLED || o->output > CUDDLE_ENCODE_LOGITS)
        return cud_fail(err, CUDDLE_E_ARG, "output is %d, expected POOLED, HIDDEN or LOGITS", (int)o->output);
    if (o->pooling < CUDDLE_POOLING_MEAN || o->pooling > CUDDLE_POOLING_POOLER)
        return cud_fail(err, CUDDLE_E_ARG, "pooling is %d, expected 0 to %d", (int)o->pooling, CUDDLE_POOLING_POOLER);
    if (o->output == CUDDLE_ENCODE_LOGITS && !cud_encoder_has_head(m))
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "the checkpoint is a %s without a head, so it has no logits", m->spec.architecture);
    if (o->output == CUDDLE_ENCODE_POOLED && o->pooling == CUDDLE_POOLING_POOLER && !cud_encoder_has_pooler(m))
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "the checkpoint is a %s without a pooler", m->spec.architecture);
    if (o->head && !(o->head & cud_encoder_heads(m)))
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "the checkpoint is a %s: it has no head for %s, but for %s", m->spec.architecture,
                        cud_head_name((cuddle_head)o->head), cud_head_name((cuddle_head)(cud_encoder_heads(m) & ~(unsigned)CUDDLE_HEAD_POOLER)));
    if (o->dimensions < 0 || o->dimensions > hidden)
        return cud_fail(err, CUDDLE_E_ARG, "dimensions is %d, expected 0 (all) to %lld", o->dimensions, (long long)hidden);
    if (o->truncation < CUDDLE_TRUNCATE_OFF || o->truncation > CUDDLE_TRUNCATE_ONLY_SECOND)
        return cud_fail(err, CUDDLE_E_ARG, "truncation is %d, expected OFF, LONGEST_FIRST, ONLY_FIRST or ONLY_SECOND", (int)o->truncation);
    if (o->max_length > (size_t)h->max_context)
        return cud_fail(err, CUDDLE_E_ARG, "max_length is %zu, the model has %d positions", o->max_length, h->max_context);
    return CUDDLE_OK;
}

static cuddle_status copy_ids(int32_t **out, const int32_t *ids, size_t count, cuddle_error *err)
{
    *out = malloc((count + 1) * sizeof **out);
    if (!*out) return cud_nomem(err, count * sizeof **out, "a request's tokens");
    if (count) memcpy(*out, ids, count * sizeof **out);
    return CUDDLE_OK;
}

/* The ids and types of a text or a pair; what is too long is cut if the options say so. */
static cuddle_status tokenize(input *in, const cuddle_model *h, const cuddle_tokenize_input *text, const cuddle_encode_options *o, cuddle_error *err)
{
    const size_t most = o->max_length ? o->max_length : (size_t)h->max_context;
    const bool cut = o->truncation != CUDDLE_TRUNCATE_OFF;
    cuddle_tokenize_options how;
    cuddle_tokenize_options_init(&how, sizeof how);
    how.add_special = o->no_special ? CUDDLE_ADD_SPECIAL_OFF : CUDDLE_ADD_SPECIAL_ON;
    if (cut) how.truncation = o->truncation, how.max_length = most;
    else how.max_tokens = most;
    cud_settings settings;
    cuddle_encoding *e = NULL;
    cuddle_status status = cud_settings_resolve(&settings, h->tokenizer, &how, err);
    settings.cut.drops = true;
    if (!status) status = cud_tokenizer_encode_input(&e, h->tokenizer, text, &settings, err);
    if (status) return status;
    in->truncated = e->truncated;
    in->count = e->count;
    status = copy_ids(&in->ids, e->ids, e->count, err);
    if (!status && h->m->spec.stack[0].types > 1) /* else the model has no use for those of the tokenizer: transformers leaves them away too */
        status = copy_ids(&in->types, e->type_ids, e->count, err);
    cud_encoding_free(e);
    return status;
}

static cuddle_status read_input(input *in, const cuddle_model *h, const cuddle_segment *s, size_t count, const cuddle_encode_options *o, cuddle_error *err)
{
    if (count == 1 && s[0].kind == CUDDLE_SEGMENT_TOKENS) {
        if (s[0].count && !s[0].tokens) return cud_fail(err, CUDDLE_E_ARG, "segment 0: tokens is NULL");
        if (s[0].count > (size_t)h->max_context)
            return cud_fail(err, CUDDLE_E_LIMIT, "the input has %zu tokens, the model has %d positions", s[0].count, h->max_context);
        if (o->type_ids && o->type_count != s[0].count)
            return cud_fail(err, CUDDLE_E_ARG, "type_count is %zu, but there are %zu tokens", o->type_count, s[0].count);
        in->count = s[0].count;
        const cuddle_status status = copy_ids(&in->ids, s[0].tokens, in->count, err);
        return status || !o->type_ids ? status : copy_ids(&in->types, o->type_ids, in->count, err);
    }
    if (count < 1 || count > 2 || s[0].kind != CUDDLE_SEGMENT_TEXT || s[count - 1].kind != CUDDLE_SEGMENT_TEXT)
        return cud_fail(err, CUDDLE_E_ARG, "the input has %zu segments, expected one of tokens, one of text, or a pair of texts", count);
    if (o->type_ids) return cud_fail(err, CUDDLE_E_ARG, "type_ids is for tokens: those of a text follow from it");
    for (size_t i = 0; i < count; i++)
        if (s[i].count && !s[i].text) return cud_fail(err, CUDDLE_E_ARG, "segment %zu: text is NULL", i);
    if (!h->tokenizer) return cud_fail(err, CUDDLE_E_ARG, "the input is text, but the checkpoint has no tokenizer that can be read");
    const cuddle_tokenize_input text = { .text = s[0].text ? s[0].text : "", .length = s[0].count,
                                         .pair = count < 2 ? NULL : s[1].text ? s[1].text : "", .pair_length = count < 2 ? 0 : s[1].count };
    return tokenize(in, h, &text, o, err);
}

static cuddle_status check_input(const input *in, const cuddle_model *h, const cuddle_encode_options *o, cuddle_error *err)
{
    const stack *t = &h->m->spec.stack[0];
    const size_t most = o->max_length ? o->max_length : (size_t)h->max_context;
    if (in->count == 0) return cud_fail(err, CUDDLE_E_ARG, "the input has no tokens");
    if (in->count > most) return cud_fail(err, CUDDLE_E_LIMIT, "the input has %zu tokens, at most %zu fit", in->count, most);
    for (size_t i = 0; i < in->count; i++)
        if (in->ids[i] < 0 || in->ids[i] >= t->vocabulary)
            return cud_fail(err, CUDDLE_E_ARG, "token %zu of the input is %d, the model's vocabulary ends at %lld", i, (int)in->ids[i],
                            (long long)t->vocabulary - 1);
    for (size_t i = 0; in->types && i < in->count; i++)
        if (in->types[i] < 0 || in->types[i] >= (t->types > 1 ? t->types : 1))
            return cud_fail(err, CUDDLE_E_ARG, "token %zu of the input has type %d, the model's types end at %lld", i, (int)in->types[i],
                            (long long)(t->types > 1 ? t->types : 1) - 1);
    return CUDDLE_OK;
}

/* ----------------------------------------------------------------------------------------------------------- request */

/* Which tokens have rows in the result. */
static cuddle_status choose_rows(encode_job *e, const cuddle_request *r, const cuddle_model *h, const cuddle_encode_options *o, cuddle_error *err)
{
    e->rows = 1;
    if (o->output == CUDDLE_ENCODE_POOLED || (o->output == CUDDLE_ENCODE_LOGITS && !cud_encoder_by_token(h->m))) return CUDDLE_OK;
    e->wanted = malloc((size_t)r->prompt_count * sizeof *e->wanted);
    if (!e->wanted) return cud_nomem(err, (size_t)r->prompt_count * sizeof *e->wanted, "a request's rows");
    e->rows = 0;
    for (int i = 0; i < r->prompt_count; i++)
        if (o->output == CUDDLE_ENCODE_HIDDEN || o->only_token == CUDDLE_UNSET_INT || r->ids[i] == o->only_token) e->wanted[e->rows++] = i;
    return e->rows ? CUDDLE_OK : cud_fail(err, CUDDLE_E_ARG, "token %d, whose rows are asked for, is not in the input", (int)o->only_token);
}

/* Padding within an input is counted by no position, and all of it has the one before the first (RoBERTa). */
static cuddle_status number_tokens(encode_job *e, const cuddle_request *r, const stack *t, cuddle_error *err)
{
    if (!t->after_pad) return CUDDLE_OK;
    e->positions = malloc((size_t)r->prompt_count * sizeof *e->positions);
    if (!e->positions) return cud_nomem(err, (size_t)r->prompt_count * sizeof *e->positions, "a request's positions");
    for (int i = 0, at = 0; i < r->prompt_count; i++) e->positions[i] = r->ids[i] == t->position_offset - 1 ? -1 : at++;
    return CUDDLE_OK;
}

static cuddle_status fill_in(cuddle_request *r, const cuddle_model *h, input *in, const cuddle_encode_options *o, cuddle_error *err)
{
    const model *m = h->m;
    encode_job *e = calloc(1, sizeof *e);
    if (!e) return cud_nomem(err, sizeof *e, "a request");
    r->encoding = e;
    r->ids = in->ids;
    e->types = in->types;
    in->ids = in->types = NULL;
    r->prompt_count = (int)in->count;
    e->output = o->output;
    e->pooling = o->pooling;
    e->normalize = o->normalize != 0;
    e->truncated = in->truncated;
    const int64_t hidden = m->spec.stack[0].hidden;
    const bool cut = o->output == CUDDLE_ENCODE_POOLED && o->dimensions > 0;
    e->columns = (size_t)(o->output == CUDDLE_ENCODE_LOGITS ? m->weights[0].head.w.n : cut ? o->dimensions : hidden);
    cuddle_status status = choose_rows(e, r, h, o, err);
    if (!status) status = number_tokens(e, r, &m->spec.stack[0], err);
    if (status) return status;
    e->values = malloc(e->rows * e->columns * sizeof *e->values);
    if (!e->values) return cud_nomem(err, e->rows * e->columns * sizeof *e->values, "a request's results");
    r->task = (task){ .kind = &cud_encoding_kind, .ids = r->ids, .count = r->prompt_count, .outputs_from = r->prompt_count, .priority = o->priority };
    return cud_task_init(&r->task, &h->scheduler.caps, r->prompt_count, err);
}

cuddle_status cud_request_encode(cuddle_request **out, cuddle_model *h, const cuddle_segment *segments, size_t count, const cuddle_encode_options *options,
                                 cuddle_event_fn on_event, void *user, cuddle_error *err)
{
    *out = NULL;
    cuddle_encode_options o;
    cuddle_encode_options_init(&o, sizeof o);
    input in = { 0 };
    cuddle_request *r = NULL;
    cuddle_status status = options ? cud_options_copy(&o, sizeof o, options, "cuddle_encode_options", err) : CUDDLE_OK;
    if (!status && o.timeout_ms < 0) status = cud_fail(err, CUDDLE_E_ARG, "timeout_ms is %d, expected 0 (none) or more", o.timeout_ms);
    if (!status) status = check_options(&o, h, err);
    if (!status) status = read_input(&in, h, segments, count, &o, err);
    if (!status) status = check_input(&in, h, &o, err);
    if (!status) status = cud_request_new(&r, on_event, user, o.timeout_ms, err);
    if (!status) status = fill_in(r, h, &in, &o, err);
    free(in.ids);
    free(in.types);
    return cud_request_start(out, r, h, status, err);
}

/* -------------------------------------------------------------------------------------------------------------- step */

static void fill_encoding(const task *t, void *into)
{
    step *s = into;
    cuddle_request *r = cud_request_of(t);
    encode_job *e = r->encoding;
    const int sequence = s->sequences++, rows = t->step_rows;
    s->starts[sequence] = s->tokens;
    s->kv_lengths[sequence] = rows;
    s->adapters[sequence] = 0;
    memcpy(s->ids + s->tokens, t->ids, (size_t)rows * sizeof *s->ids);
    for (int i = 0; i < rows; i++) s->positions[s->tokens + i] = e->positions ? e->positions[i] : i;
    for (int i = 0; s->types && i < rows; i++) s->types[s->tokens + i] = e->types ? e->types[i] : 0;
    e->first_output = s->outputs;
    if (e->output == CUDDLE_ENCODE_LOGITS)
        for (size_t i = 0; e->wanted && i < e->rows; i++) s->output_rows[s->outputs++] = s->tokens + e->wanted[i];
    s->tokens += rows;
    s->starts[sequence + 1] = s->tokens;
    if (rows > s->max_query) s->max_query = rows;
    if (rows > s->max_kv) s->max_kv = rows;
}

const task_kind cud_encoding_kind = { .name = "encoding", .whole = true, .fill = fill_encoding };

typedef struct taking { /* a step's results */
    cuddle_model *h;
    exec *ex;
    produced *p;
    int count;
    tensor x;
    cuddle_error *err;
} taking;

/* Does any request of the step want this? */
static bool wanted(const taking *k, cuddle_encode_output output, int pooling)
{
    for (int i = 0; i < k->count; i++) {
        const encode_job *e = k->p[i].request->encoding;
        if (e->output == output && (pooling < 0 || (int)e->pooling == pooling)) return true;
    }
    return false;
}

static cuddle_status fetch(const taking *k, tensor from)
{
    return k->ex->ops->download(k->ex, k->h->logits, from.data, (size_t)(from.size[0] * from.size[1]) * cud_dtype_size(from.type), k->err);
}

/* Of length 1, unless it is 0, as sentence-transformers does it. */
static void normalize(float *v, size_t n)
{
    double squares = 0;
    for (size_t i = 0; i < n; i++) squares += (double)v[i] * (double)v[i];
    const double length = sqrt(squares) > 1e-12 ? sqrt(squares) : 1e-12;
    for (size_t i = 0; i < n; i++) v[i] = (float)((double)v[i] / length);
}

static pooling_kind kind_of(cuddle_pooling pooling)
{
    switch (pooling) {
    case CUDDLE_POOLING_FIRST: return POOLING_FIRST;
    case CUDDLE_POOLING_LAST: return POOLING_LAST;
    case CUDDLE_POOLING_MAX: return POOLING_MAX;
    case CUDDLE_POOLING_WEIGHTED_MEAN: return POOLING_WEIGHTED_MEAN;
    case CUDDLE_POOLING_MEAN: case CUDDLE_POOLING_POOLER: break;
    }
    return POOLING_MEAN;
}

static cuddle_status take_pooled(const taking *k, cuddle_pooling pooling)
{
    cuddle_model *h = k->h;
    const size_t mark = cud_ws_mark(k->ex), hidden = (size_t)h->m->spec.stack[0].hidden;
    tensor v;
    cuddle_status status = pooling == CUDDLE_POOLING_POOLER ? cud_encoder_pooler(k->ex, h->m, &h->device, k->x, &v, k->err)
                                                            : cud_encoder_pool(k->ex, h->m, &h->device, k->x, kind_of(pooling), &v, k->err);
    if (!status) status = fetch(k, v);
    cud_ws_release(k->ex, mark);
    for (int i = 0; i < k->count && !status; i++) {
        encode_job *e = k->p[i].request->encoding;
        if (e->output == CUDDLE_ENCODE_POOLED && e->pooling == pooling) memcpy(e->values, h->logits + (size_t)i * hidden, e->columns * sizeof *e->values);
    }
    return status;
}

static cuddle_status take_hidden(const taking *k)
{
    const size_t hidden = (size_t)k->x.size[1], size = cud_dtype_size(k->x.type);
    const cuddle_status status = fetch(k, k->x);
    for (int i = 0; i < k->count && !status; i++) {
        encode_job *e = k->p[i].request->encoding;
        const size_t first = (size_t)k->h->host.starts[i] * hidden;
        if (e->output == CUDDLE_ENCODE_HIDDEN) cud_to_float(e->values, (const char *)k->h->logits + first * size, k->x.type, (int64_t)(e->rows * hidden));
    }
    return status;
}

/* Rows [first, first + count) of the step's output rows lie in h->logits: what of them belongs to a request goes there. */
static void hand_out(const taking *k, int first, int count)
{
    for (int i = 0; i < k->count; i++) {
        encode_job *e = k->p[i].request->encoding;
        const int from = e->first_output > first ? e->first_output : first, end = e->first_output + (int)e->rows,
                  to = end < first + count ? end : first + count;
        if (e->output != CUDDLE_ENCODE_LOGITS || from >= to) continue;
        memcpy(e->values + (size_t)(from - e->first_output) * e->columns, k->h->logits + (size_t)(from - first) * e->columns,
               (size_t)(to - from) * e->columns * sizeof *e->values);
    }
}

static cuddle_status take_logits(const taking *k)
{
    cuddle_model *h = k->h;
    const size_t mark = cud_ws_mark(k->ex);
    const bool by_token = cud_encoder_by_token(h->m);
    const int all = by_token ? h->device.outputs : h->device.sequences, most = by_token ? h->m->head_rows : all;
    cuddle_status status = CUDDLE_OK;
    for (int first = 0, count; first < all && !status; first += count) {
        count = all - first < most ? all - first : most;
        tensor v;
        status = cud_encoder_logits(k->ex, h->m, &h->device, k->x, first, count, &v, k->err);
        if (!status) status = fetch(k, v);
        cud_ws_release(k->ex, mark);
        if (!status && by_token) hand_out(k, first, count);
        for (int i = 0; i < k->count && !status && !by_token; i++) {
            encode_job *e = k->p[i].request->encoding;
            if (e->output == CUDDLE_ENCODE_LOGITS) memcpy(e->values, h->logits + (size_t)i * e->columns, e->columns * sizeof *e->values);
        }
    }
    return status;
}

/* The request's result is there: nothing that is no number leaves as one. */
static void finish(produced *p)
{
    encode_job *e = p->request->encoding;
    p->finish = CUDDLE_FINISH_DONE;
    for (size_t i = 0; i < e->rows * e->columns; i++)
        if (!isfinite(e->values[i])) {
            p->finish = CUDDLE_FINISH_FAILED;
            cud_fail(&p->failure, CUDDLE_E_FORMAT, "the model gave a value that is not a finite number: element %zu of row %zu", i % e->columns,
                     i / e->columns);
            return;
        }
    if (e->output == CUDDLE_ENCODE_POOLED && e->normalize) normalize(e->values, e->columns);
}

cuddle_status cud_encode_step(cuddle_model *h, exec *ex, produced *p, int count, cuddle_error *err)
{
    taking k = { .h = h, .ex = ex, .p = p, .count = count, .err = err };
    step *s = &h->device;
    s->tokens = h->host.tokens;
    s->sequences = h->host.sequences;
    s->outputs = h->host.outputs;
    s->max_query = h->host.max_query;
    s->max_kv = h->host.max_kv;
    h->block_uploads++;
    cuddle_status status = ex->ops->upload(ex, h->m->step_block, h->host_block, h->m->step_bytes, err);
    if (!status) status = cud_encoder_forward(ex, h->m, s, &k.x, err);
    for (int pooling = CUDDLE_POOLING_MEAN; pooling <= CUDDLE_POOLING_POOLER && !status; pooling++)
        if (wanted(&k, CUDDLE_ENCODE_POOLED, pooling)) status = take_pooled(&k, (cuddle_pooling)pooling);
    if (!status && wanted(&k, CUDDLE_ENCODE_HIDDEN, -1)) status = take_hidden(&k);
    if (!status && wanted(&k, CUDDLE_ENCODE_LOGITS, -1)) status = take_logits(&k);
    for (int i = 0; i < count && !status; i++) finish(&p[i]);
    return status;
}
