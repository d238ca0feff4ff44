/* The forward of a decoder stack over a packed, mixed step. Written once: on a recording exec it plans, on a running one it computes.
 *
 *   x = embed(ids) + positions
 *   for each layer:  x += attention(norm(x)),  x += ffn(norm(x))
 *   logits = head(norm(x[output rows]))
 *
 * Where branches are normed a second time (norm_after) it is x += norm(attention(norm(x))); where they are parallel both read the x that the
 * layer began with.                                                                                                                */
#include "models/model.h"

/* out = norm(x), and more where `residual` is present. */
static cuddle_status norm(exec *ex, const stack *t, tensor out, tensor x, const norm_weights *w, tensor residual, cuddle_error *err)
{
    const norm_args args = { .out = out, .x = x, .weight = w->weight, .bias = w->bias, .eps = (float)t->eps, .unit_offset = t->unit_offset,
                             .residual = residual };
    return t->norm == NORM_RMS ? ex->ops->rmsnorm(ex, &args, err) : ex->ops->layernorm(ex, &args, err);
}

/* x += p(in), which is normed before it is added if the layer has it so; then it stays in `room`. */
static cuddle_status join(exec *ex, const stack *t, const layer_spec *l, tensor x, tensor in, const projection *p, const norm_weights *after, tensor room,
                          cuddle_error *err)
{
    if (!l->norm_after) return ex->ops->linear(ex, x, in, &p->w, &(epilogue){ .bias = p->bias, .residual = x }, err);
    const cuddle_status status = ex->ops->linear(ex, room, in, &p->w, &(epilogue){ .bias = p->bias }, err);
    return status ? status : norm(ex, t, x, room, after, x, err);
}

/* x += o(attention(norm(x))); x is [tokens, hidden]. */
static cuddle_status attention(exec *ex, const model *m, int stack_index, int layer, const step *s, tensor x, cuddle_error *err)
{
    const stack *t = &m->spec.stack[stack_index];
    const layer_spec *l = &t->layer[layer];
    const stack_weights *top = &m->weights[stack_index];
    const layer_weights *w = &top->layer[layer];
    const int64_t q_dim = l->heads * l->head_dim, k_dim = l->kv_heads * l->head_dim, v_dim = l->kv_heads * l->v_dim;
    const size_t mark = cud_ws_mark(ex);
    const tensor none = { 0 };
    tensor h, qkv, mixed;
    cuddle_status status = cud_ws_matrix(ex, &h, m->compute, s->tokens, t->hidden, err);
    if (!status) status = cud_ws_matrix(ex, &qkv, m->compute, s->tokens, q_dim + k_dim + v_dim, err);
    if (!status) status = cud_ws_matrix(ex, &mixed, m->compute, s->tokens, l->heads * l->v_dim, err);
    if (!status) status = norm(ex, t, h, x, &w->attn_norm, none, err);
    if (!status) status = ex->ops->linear(ex, qkv, h, &w->qkv.w, &(epilogue){ .bias = w->qkv.bias }, err);
    if (status) return status;

    const tensor q = cud_split_heads(cud_columns(qkv, 0, q_dim), l->heads, l->head_dim);
    const tensor k = cud_split_heads(cud_columns(qkv, q_dim, k_dim), l->kv_heads, l->head_dim);
    if (l->qk_norm) status = norm(ex, t, q, q, &w->q_norm, none, err);
    if (l->qk_norm && !status) status = norm(ex, t, k, k, &w->k_norm, none, err);
    const rope_args rope = {
        .q = q,
        .k = k,
        .v = cud_split_heads(cud_columns(qkv, q_dim + k_dim, v_dim), l->kv_heads, l->v_dim),
        .table = l->rope >= 0 ? &top->rope[l->rope] : NULL,
        .positions = s->positions, .position_stride = s->position_stride,
        .kv = cud_model_kv(m, layer, s),
    };
    if (!status) status = ex->ops->rope(ex, &rope, err);
    const attend_args args = {
        .q = q, .out = cud_split_heads(mixed, l->heads, l->v_dim), .kv = rope.kv,
        .starts = s->starts, .kv_lengths = s->kv_lengths,
        .sequences = s->sequences, .max_query = s->max_query, .max_kv = s->max_kv,
        .mask = l->mask, .window = l->attention == ATTN_SLIDING ? (int)l->window : 0,
        .scale = (float)l->score_scale, .soft_cap = (float)l->score_cap, .sinks = w->sinks,
    };
    if (!status) status = ex->ops->attend(ex, &args, err);
    if (!status) status = join(ex, t, l, x, mixed, &w->o, &w->attn_post_norm, h, err);
    cud_ws_release(ex, mark);
    return status;
}

/* x += down(act(up h)), or gated; h is norm(x) and is overwritten. */
static cuddle_status feed_forward(exec *ex, const model *m, int stack_index, int layer, const step *s, tensor x, tensor h, cuddle_error *err)
{
    const stack *t = &m->spec.stack[stack_index];
    const layer_spec *l = &t->layer[layer];
    const layer_weights *w = &m->weights[stack_index].layer[layer];
    const bool gated = l->ffn == FFN_GATED;
    const size_t mark = cud_ws_mark(ex);
    tensor up;
    cuddle_status status = cud_ws_matrix(ex, &up, m->compute, s->tokens, gated ? 2 * l->ffn_dim : l->ffn_dim, err);
    if (!status) status = ex->ops->linear(ex, up, h, &w->up.w, &(epilogue){ .bias = w->up.bias, .act = gated ? ACT_NONE : l->act }, err);
    tensor inner = up;
    if (gated) {
        inner = cud_columns(up, 0, l->ffn_dim);
        if (!status) status = ex->ops->gate(ex, inner, inner, cud_columns(up, l->ffn_dim, l->ffn_dim), l->act, err);
    }
    if (!status) status = join(ex, t, l, x, inner, &w->down, &w->ffn_post_norm, h, err);
    cud_ws_release(ex, mark);
    return status;
}

static cuddle_status run_layer(exec *ex, const model *m, int stack_index, int layer, const step *s, tensor x, cuddle_error *err)
{
    const stack *t = &m->spec.stack[stack_index];
    const bool parallel = t->layer[layer].parallel;
    const norm_weights *ffn_norm = &m->weights[stack_index].layer[layer].ffn_norm;
    const tensor none = { 0 };
    const size_t mark = cud_ws_mark(ex);
    tensor h;
    cuddle_status status = CUDDLE_OK;
    if (parallel) { /* of x as it is now: attention adds to it */
        status = cud_ws_matrix(ex, &h, m->compute, s->tokens, t->hidden, err);
        if (!status) status = norm(ex, t, h, x, ffn_norm, none, err);
    }
    if (!status) status = attention(ex, m, stack_index, layer, s, x, err);
    if (!parallel) {
        if (!status) status = cud_ws_matrix(ex, &h, m->compute, s->tokens, t->hidden, err);
        if (!status) status = norm(ex, t, h, x, ffn_norm, none, err);
    }
    if (!status) status = feed_forward(ex, m, stack_index, layer, s, x, h, err);
    cud_ws_release(ex, mark);
    return status;
}

/* The factor of the embeddings in the type of the activations: transformers multiplies with it so. */
static float embed_scale(const stack *t, dtype compute)
{
    float scale = t->embed_scale > 0 ? (float)t->embed_scale : 1.0f;
    uint32_t rounded = 0;
    cud_from_float(&rounded, compute, &scale, 1);
    cud_to_float(&scale, &rounded, compute, 1);
    return scale;
}

cuddle_status cud_decoder_forward(exec *ex, const model *m, int stack_index, const step *s, tensor *logits, cuddle_error *err)
{
    const stack *t = &m->spec.stack[stack_index];
    const stack_weights *w = &m->weights[stack_index];
    tensor x = { 0 }, last;
    cuddle_status status = cud_ws_matrix(ex, logits, CUDDLE_F32, s->outputs, t->vocabulary, err);
    if (!status) status = cud_ws_matrix(ex, &x, m->compute, s->tokens, t->hidden, err);
    const embed_args embed = {
        .out = x, .ids = s->ids, .table = &w->embed, .scale = embed_scale(t, m->compute),
        .position_table = w->positions, .positions = s->positions, .position_offset = (int)t->position_offset,
    };
    if (!status && ex->layer_begin) status = ex->layer_begin(ex, -1, err);
    if (!status) status = ex->ops->embed(ex, &embed, err);
    for (int i = 0; i < t->layers && !status; i++) {
        if (ex->layer_begin) status = ex->layer_begin(ex, i, err);
        if (!status) status = run_layer(ex, m, stack_index, i, s, x, err);
        if (!status && ex->layer_end) status = ex->layer_end(ex, i, err);
    }
    if (!status && ex->layer_begin) status = ex->layer_begin(ex, (int)t->layers, err);
    if (!status) status = cud_ws_matrix(ex, &last, m->compute, s->outputs, t->hidden, err);
    if (!status) status = ex->ops->gather(ex, last, x, s->output_rows, err);
    if (!status) status = norm(ex, t, last, last, &w->final_norm, (tensor){ 0 }, err);
    const epilogue out = { .scale = (float)t->logit_scale, .soft_cap = (float)t->logit_cap };
    if (!status) status = ex->ops->linear(ex, *logits, last, &w->head.w, &out, err);
    return status;
}
