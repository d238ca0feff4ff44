/* The forward of an encoder stack over a step of whole sequences, packed one after another, and of what stands on it.
 *
 *   x = norm(embed(ids) + positions + types), projected where the embeddings have a width of their own
 *   for each layer:  x = norm(x + attention(x)),  x = norm(x + ffn(x))        (norm_sum: BERT and its relatives)
 *               or:  x = x + attention(norm(x)),  x = x + ffn(norm(x))        (norm_before: ModernBERT)
 *
 * A head reads one row of each sequence or all rows: logits = head(norm(act(head_in(row)))), of which a checkpoint may have only the last part. */
#include "models/encoder.h"

typedef struct run {
    exec *ex;
    const model *m;
    const stack *t;
    const stack_weights *top;
    const step *s;
    cuddle_error *err;
} run;

static run begin(exec *ex, const model *m, const step *s, cuddle_error *err)
{
    return (run){ .ex = ex, .m = m, .t = &m->spec.stack[0], .top = &m->weights[0], .s = s, .err = err };
}

static cuddle_status norm(const run *r, tensor out, tensor x, const norm_weights *w)
{
    const norm_args args = { .out = out, .x = x, .weight = w->weight, .bias = w->bias, .eps = (float)r->t->eps };
    return r->t->norm == NORM_RMS ? r->ex->ops->rmsnorm(r->ex, &args, r->err) : r->ex->ops->layernorm(r->ex, &args, r->err);
}

static cuddle_status linear(const run *r, tensor out, tensor x, const projection *p, activation act)
{
    return r->ex->ops->linear(r->ex, out, x, &p->w, &(epilogue){ .bias = p->bias, .act = act }, r->err);
}

/* x = x + p(in), and the norm of that. */
static cuddle_status join(const run *r, const layer_spec *l, tensor x, tensor in, const projection *p, const norm_weights *after)
{
    const cuddle_status status = r->ex->ops->linear(r->ex, x, in, &p->w, &(epilogue){ .bias = p->bias, .residual = x }, r->err);
    return status || !l->norm_sum ? status : norm(r, x, x, after);
}

static cuddle_status attention(const run *r, const layer_spec *l, const layer_weights *w, tensor x)
{
    exec *ex = r->ex;
    const step *s = r->s;
    const int64_t q_dim = l->heads * l->head_dim, k_dim = l->kv_heads * l->head_dim, v_dim = l->kv_heads * l->v_dim;
    const size_t mark = cud_ws_mark(ex);
    tensor h = x, qkv, mixed;
    cuddle_status status = cud_ws_matrix(ex, &qkv, r->m->compute, s->tokens, q_dim + k_dim + v_dim, r->err);
    if (!status) status = cud_ws_matrix(ex, &mixed, r->m->compute, s->tokens, l->heads * l->v_dim, r->err);
    if (!status && l->norm_before && !l->bare) {
        status = cud_ws_matrix(ex, &h, r->m->compute, s->tokens, r->t->hidden, r->err);
        if (!status) status = norm(r, h, x, &w->attn_norm);
    }
    if (!status) status = linear(r, qkv, h, &w->qkv, ACT_NONE);
    if (status) return status;

    const tensor q = cud_split_heads(cud_columns(qkv, 0, q_dim), l->heads, l->head_dim);
    const tensor k = cud_split_heads(cud_columns(qkv, q_dim, k_dim), l->kv_heads, l->head_dim);
    const tensor v = cud_split_heads(cud_columns(qkv, q_dim + k_dim, v_dim), l->kv_heads, l->v_dim);
    const rope_args rope = { .q = q, .k = k, .v = v, .table = l->rope >= 0 ? &r->top->rope[l->rope] : NULL, .positions = s->positions,
                             .position_stride = s->position_stride };
    if (rope.table) status = ex->ops->rope(ex, &rope, r->err);
    const attend_args args = {
        .q = q, .k = k, .v = v, .out = cud_split_heads(mixed, l->heads, l->v_dim), .starts = s->starts, .key_starts = s->starts,
        .kv_lengths = s->kv_lengths, .sequences = s->sequences, .max_query = s->max_query, .max_kv = s->max_kv, .mask = l->mask,
        .window = l->attention == ATTN_SLIDING ? (int)l->window : 0, .scale = (float)l->score_scale,
        .bias = r->top->buckets, .bias_max_distance = (int)r->t->bucket_distance,
    };
    if (!status) status = ex->ops->attend(ex, &args, r->err);
    if (!status) status = join(r, l, x, mixed, &w->o, &w->attn_post_norm);
    cud_ws_release(ex, mark);
    return status;
}

static cuddle_status feed_forward(const run *r, const layer_spec *l, const layer_weights *w, tensor x)
{
    exec *ex = r->ex;
    const bool gated = l->ffn == FFN_GATED;
    const size_t mark = cud_ws_mark(ex);
    tensor h = x, up;
    cuddle_status status = cud_ws_matrix(ex, &up, r->m->compute, r->s->tokens, gated ? 2 * l->ffn_dim : l->ffn_dim, r->err);
    if (!status && l->norm_before) {
        status = cud_ws_matrix(ex, &h, r->m->compute, r->s->tokens, r->t->hidden, r->err);
        if (!status) status = norm(r, h, x, &w->ffn_norm);
    }
    if (!status) status = linear(r, up, h, &w->up, gated ? ACT_NONE : l->act);
    tensor inner = up;
    if (gated) {
        inner = cud_columns(up, 0, l->ffn_dim);
        if (!status) status = ex->ops->gate(ex, inner, inner, cud_columns(up, l->ffn_dim, l->ffn_dim), l->act, r->err);
    }
    if (!status) status = join(r, l, x, inner, &w->down, &w->ffn_post_norm);
    cud_ws_release(ex, mark);
    return status;
}

/* Into x, [tokens, hidden]. */
static cuddle_status embed(const run *r, tensor x)
{
    const stack *t = r->t;
    const step *s = r->s;
    const size_t mark = cud_ws_mark(r->ex);
    tensor e = x;
    cuddle_status status = t->embed_project ? cud_ws_matrix(r->ex, &e, r->m->compute, s->tokens, t->embed_dim, r->err) : CUDDLE_OK;
    const embed_args args = {
        .out = e, .ids = s->ids, .table = &r->top->embed, .scale = 1, .position_table = r->top->positions, .positions = s->positions,
        .position_offset = (int)t->position_offset, .type_table = r->top->types, .types = s->types,
    };
    if (!status) status = r->ex->ops->embed(r->ex, &args, r->err);
    if (!status && t->embed_norm) status = norm(r, e, e, &r->top->embed_norm);
    if (!status && t->embed_project) status = linear(r, x, e, &r->top->embed_in, ACT_NONE);
    cud_ws_release(r->ex, mark);
    return status;
}

cuddle_status cud_encoder_forward(exec *ex, const model *m, const step *s, tensor *x, cuddle_error *err)
{
    const run r = begin(ex, m, s, err);
    cud_ws_release(ex, 0);
    cuddle_status status = cud_ws_matrix(ex, x, m->compute, s->tokens, r.t->hidden, err);
    if (!status && ex->layer_begin) status = ex->layer_begin(ex, -1, err);
    if (!status) status = embed(&r, *x);
    for (int i = 0; i < r.t->layers && !status; i++) {
        const layer_spec *l = &r.t->layer[i];
        const layer_weights *w = &r.top->layer[l->twin ? l->twin - 1 : i];
        if (ex->layer_begin) status = ex->layer_begin(ex, i, err);
        if (!status) status = attention(&r, l, w, *x);
        if (!status) status = feed_forward(&r, l, w, *x);
        if (!status && ex->layer_end) status = ex->layer_end(ex, i, err);
    }
    if (!status && ex->layer_begin) status = ex->layer_begin(ex, (int)r.t->layers, err);
    if (!status && r.t->final_norm) status = norm(&r, *x, *x, &r.top->final_norm);
    return status;
}

/* ---------------------------------------------------------------------------------------------------- what stands on it */

static cuddle_status pool(const run *r, tensor x, pooling_kind kind, dtype type, tensor *out)
{
    const cuddle_status status = cud_ws_matrix(r->ex, out, type, r->s->sequences, r->t->hidden, r->err);
    const pooling_args args = { .out = *out, .x = x, .starts = r->s->starts, .kind = kind };
    return status ? status : r->ex->ops->pooling(r->ex, &args, r->err);
}

cuddle_status cud_encoder_pool(exec *ex, const model *m, const step *s, tensor x, pooling_kind kind, tensor *out, cuddle_error *err)
{
    const run r = begin(ex, m, s, err);
    return pool(&r, x, kind, CUDDLE_F32, out);
}

static cuddle_status pooler(const run *r, tensor x, dtype type, tensor *out)
{
    tensor first;
    cuddle_status status = cud_ws_matrix(r->ex, out, type, r->s->sequences, r->t->hidden, r->err);
    if (!status) status = pool(r, x, POOLING_FIRST, r->m->compute, &first);
    return status ? status : linear(r, *out, first, &r->top->pooler, r->t->pooler_act);
}

cuddle_status cud_encoder_pooler(exec *ex, const model *m, const step *s, tensor x, tensor *out, cuddle_error *err)
{
    const run r = begin(ex, m, s, err);
    return pooler(&r, x, CUDDLE_F32, out);
}

bool cud_encoder_has_head(const model *m) { return cud_has_weight(&m->weights[0].head.w); }
bool cud_encoder_has_pooler(const model *m) { return cud_has_weight(&m->weights[0].pooler.w); }
bool cud_encoder_by_token(const model *m) { return m->spec.stack[0].heads & (HEAD_TOKENS | HEAD_SPANS | HEAD_MASKED_LM); }

unsigned cud_encoder_heads(const model *m)
{
    const unsigned heads = m->spec.stack[0].heads;
    unsigned out = 0;
    if (heads & HEAD_LM) out |= CUDDLE_HEAD_GENERATION;
    if (heads & HEAD_SEQUENCE) out |= CUDDLE_HEAD_SEQUENCE;
    if (heads & HEAD_TOKENS) out |= CUDDLE_HEAD_TOKENS;
    if (heads & HEAD_SPANS) out |= CUDDLE_HEAD_SPANS;
    if (heads & HEAD_MASKED_LM) out |= CUDDLE_HEAD_MASKED_LM;
    if (heads & HEAD_CHOICE) out |= CUDDLE_HEAD_CHOICE;
    if (cud_encoder_has_pooler(m)) out |= CUDDLE_HEAD_POOLER;
    return out;
}

const char *cud_head_name(cuddle_head head)
{
    switch (head) {
    case CUDDLE_HEAD_GENERATION: return "text generation";
    case CUDDLE_HEAD_SEQUENCE: return "text classification";
    case CUDDLE_HEAD_TOKENS: return "token classification";
    case CUDDLE_HEAD_SPANS: return "question answering";
    case CUDDLE_HEAD_MASKED_LM: return "masked tokens";
    case CUDDLE_HEAD_CHOICE: return "multiple choice";
    case CUDDLE_HEAD_POOLER: return "pooling";
    }
    return (int)head == 0 ? "nothing" : "?";
}

cuddle_status cud_encoder_logits(exec *ex, const model *m, const step *s, tensor x, int first, int count, tensor *logits, cuddle_error *err)
{
    const run r = begin(ex, m, s, err);
    const stack_weights *w = r.top;
    const int64_t rows = cud_encoder_by_token(m) ? count : s->sequences;
    tensor h, inner;
    cuddle_status status = cud_ws_matrix(ex, logits, CUDDLE_F32, rows, w->head.w.n, err);
    if (status) return status;
    if (cud_encoder_by_token(m)) {
        status = cud_ws_matrix(ex, &h, m->compute, rows, r.t->hidden, err);
        if (!status) status = ex->ops->gather(ex, h, x, s->output_rows ? s->output_rows + first : NULL, err);
    } else if (r.t->pooled) {
        status = pooler(&r, x, m->compute, &h);
    } else {
        status = pool(&r, x, r.t->head_mean ? POOLING_MEAN : POOLING_FIRST, m->compute, &h);
    }
    if (!status && cud_has_weight(&w->head_in.w)) {
        status = cud_ws_matrix(ex, &inner, m->compute, rows, w->head_in.w.n, err);
        if (!status) status = linear(&r, inner, h, &w->head_in, r.t->head_act);
        h = inner;
    }
    if (!status && cud_present(w->head_norm.weight)) status = norm(&r, h, h, &w->head_norm);
    return status ? status : linear(&r, *logits, h, &w->head, ACT_NONE);
}

cuddle_status cud_encoder_record(exec *ex, const model *m, const step *s, cuddle_error *err)
{
    tensor x, out;
    cuddle_status status = cud_encoder_forward(ex, m, s, &x, err);
    const size_t mark = cud_ws_mark(ex);
    for (int kind = POOLING_MEAN; kind <= POOLING_WEIGHTED_MEAN && !status; kind++) {
        status = cud_encoder_pool(ex, m, s, x, (pooling_kind)kind, &out, err);
        cud_ws_release(ex, mark);
    }
    if (!status && cud_encoder_has_pooler(m)) status = cud_encoder_pooler(ex, m, s, x, &out, err);
    cud_ws_release(ex, mark);
    if (!status && cud_encoder_has_head(m)) status = cud_encoder_logits(ex, m, s, x, 0, m->head_rows, &out, err);
    return status;
}

/* ------------------------------------------------------------------------------------------------------------- sizes */

cuddle_status cud_encoder_size(model *m, const model_options *o, cuddle_error *err)
{
    enum { LOGITS_BYTES = 8 << 20, LEAST_ROWS = 32 };
    const stack *t = &m->spec.stack[0];
    const int64_t columns = m->weights[0].head.w.n;
    for (int i = 0; i < t->layers; i++) { /* where a family has several forms of it */
        const layer_spec *l = &t->layer[i];
        const int64_t n = l->heads * l->head_dim + l->kv_heads * (l->head_dim + l->v_dim);
        if (!l->twin && m->weights[0].layer[i].qkv.w.n != n)
            return cud_fail(err, CUDDLE_E_FORMAT, "the tensors of layer %d give %lld rows of queries, keys and values, expected %lld", i,
                            (long long)m->weights[0].layer[i].qkv.w.n, (long long)n);
    }
    m->caps.tokens = o->max_batch > m->max_context ? o->max_batch : m->max_context; /* a sequence goes into one step */
    m->caps.sequences = o->max_texts < m->caps.tokens ? o->max_texts : m->caps.tokens;
    m->caps.outputs = m->caps.tokens;
    m->caps.axes = 1;
    m->caps.types = t->types > 1;
    m->step_bytes = cud_step_bytes(&m->caps);
    if (!m->step_bytes) return cud_fail(err, CUDDLE_E_LIMIT, "a step of %d tokens is out of range", m->caps.tokens);
    m->head_rows = m->caps.tokens;
    if (columns > 0 && m->head_rows > LOGITS_BYTES / 4 / columns) m->head_rows = (int)(LOGITS_BYTES / 4 / columns);
    if (m->head_rows < LEAST_ROWS) m->head_rows = LEAST_ROWS < m->caps.tokens ? LEAST_ROWS : m->caps.tokens;
    const size_t states = (size_t)m->caps.tokens * (size_t)t->hidden * cud_dtype_size(m->compute);
    const size_t pooled = (size_t)m->caps.sequences * (size_t)t->hidden * sizeof(float);
    const size_t logits = (size_t)(cud_encoder_by_token(m) ? m->head_rows : m->caps.sequences) * (size_t)columns * sizeof(float);
    m->result_bytes = states > pooled ? states : pooled;
    if (logits > m->result_bytes) m->result_bytes = logits;
    return CUDDLE_OK;
}
