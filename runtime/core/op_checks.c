#include "core/op_checks.h"

#include "core/draw.h"

cuddle_status cud_check_tensor(const exec *ex, const char *op, const char *what, tensor t, int rank, int64_t size0, int64_t size1,
                               int64_t size2, cuddle_error *err)
{
    const char *on = ex->ops->name;
    const int64_t want[3] = { size0, size1, size2 };
    if (t.rank != rank) return cud_fail(err, CUDDLE_E_INTERNAL, "%s on %s: %s has rank %d, expected %d", op, on, what, t.rank, rank);
    if (!cud_dtype_is_compute(t.type))
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s on %s: %s has dtype %s", op, on, what, cud_dtype_name(t.type));
    for (int i = 0; i < rank; i++) {
        if (t.size[i] < 0 || (want[i] >= 0 && t.size[i] != want[i]))
            return cud_fail(err, CUDDLE_E_INTERNAL, "%s on %s: dimension %d of %s is %lld, expected %lld", op, on, i, what,
                            (long long)t.size[i], (long long)want[i]);
    }
    if (t.stride[rank - 1] != 1 && t.size[rank - 1] > 1)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s on %s: the last dimension of %s has stride %lld", op, on, what,
                        (long long)t.stride[rank - 1]);
    return CUDDLE_OK;
}

cuddle_status cud_check_vector(const exec *ex, const char *op, const char *what, tensor t, int64_t n, cuddle_error *err)
{
    if (!cud_present(t)) return CUDDLE_OK;
    return cud_check_tensor(ex, op, what, t, 1, n, -1, -1, err);
}

cuddle_status cud_check_weight(const exec *ex, const char *op, const weight *w, cuddle_error *err)
{
    const char *on = ex->ops->name;
    if (cud_wformat_dtype(w->format) == CUDDLE_DTYPE_COUNT)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s on %s: weight format %s", op, on, cud_wformat_name(w->format));
    if (w->experts > 0) return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s on %s: a weight of %d experts", op, on, w->experts);
    if (w->segments < 1 || w->segments > CUD_MAX_SEGMENTS)
        return cud_fail(err, CUDDLE_E_INTERNAL, "%s on %s: a weight of %d segments", op, on, w->segments);
    if (w->transposed && w->segments != 1)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s on %s: a transposed weight of %d segments", op, on, w->segments);
    int64_t n = 0;
    for (int i = 0; i < w->segments; i++) {
        if (w->segment[i].n < 0 || w->segment[i].perm || w->segment[i].scale || w->segment[i].zero)
            return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s on %s: a %s weight with scales, zeros or a permutation", op, on,
                            cud_wformat_name(w->format));
        n += w->segment[i].n;
    }
    if (n != w->n || w->k < 0)
        return cud_fail(err, CUDDLE_E_INTERNAL, "%s on %s: the weight's segments have %lld rows, expected %lld", op, on, (long long)n,
                        (long long)w->n);
    return CUDDLE_OK;
}

cuddle_status cud_check_linear(const exec *ex, tensor out, tensor x, const weight *w, const epilogue *ep, cuddle_error *err)
{
    cuddle_status status = cud_check_weight(ex, "linear", w, err);
    if (status == CUDDLE_OK) status = cud_check_tensor(ex, "linear", "x", x, 2, -1, w->k, -1, err);
    if (status == CUDDLE_OK) status = cud_check_tensor(ex, "linear", "out", out, 2, x.size[0], w->n, -1, err);
    if (status == CUDDLE_OK) status = cud_check_vector(ex, "linear", "bias", ep->bias, w->n, err);
    if (status == CUDDLE_OK && cud_present(ep->residual))
        status = cud_check_tensor(ex, "linear", "residual", ep->residual, 2, x.size[0], w->n, -1, err);
    if (status == CUDDLE_OK && ((unsigned)ep->act >= ACT_COUNT || ep->act == ACT_CLAMPED_SWIGLU))
        status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "linear on %s: activation %s", ex->ops->name, cud_activation_name(ep->act));
    if (status == CUDDLE_OK && ep->adapters)
        status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "linear on %s: low-rank adapters", ex->ops->name);
    return status;
}

cuddle_status cud_check_embed(const exec *ex, const embed_args *args, cuddle_error *err)
{
    cuddle_status status = cud_check_weight(ex, "embed", args->table, err);
    if (status == CUDDLE_OK && args->table->transposed)
        status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "embed on %s: a transposed table", ex->ops->name);
    if (status == CUDDLE_OK) status = cud_check_tensor(ex, "embed", "out", args->out, 2, -1, args->table->k, -1, err);
    if (status == CUDDLE_OK && cud_present(args->position_table))
        status = cud_check_tensor(ex, "embed", "the position table", args->position_table, 2, -1, args->table->k, -1, err);
    if (status == CUDDLE_OK && cud_present(args->type_table))
        status = cud_check_tensor(ex, "embed", "the type table", args->type_table, 2, -1, args->table->k, -1, err);
    return status;
}

cuddle_status cud_check_gate(const exec *ex, tensor out, tensor gate, tensor up, activation act, cuddle_error *err)
{
    cuddle_status status = cud_check_tensor(ex, "gate", "out", out, 2, -1, -1, -1, err);
    if (status == CUDDLE_OK) status = cud_check_tensor(ex, "gate", "gate", gate, 2, out.size[0], out.size[1], -1, err);
    if (status == CUDDLE_OK) status = cud_check_tensor(ex, "gate", "up", up, 2, out.size[0], out.size[1], -1, err);
    if (status == CUDDLE_OK && (unsigned)act >= ACT_COUNT)
        status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "gate on %s: activation %s", ex->ops->name, cud_activation_name(act));
    return status;
}

cuddle_status cud_check_gather(const exec *ex, tensor out, tensor x, cuddle_error *err)
{
    const cuddle_status status = cud_check_tensor(ex, "gather", "x", x, 2, -1, -1, -1, err);
    return status == CUDDLE_OK ? cud_check_tensor(ex, "gather", "out", out, 2, -1, x.size[1], -1, err) : status;
}

cuddle_status cud_check_log_softmax(const exec *ex, tensor x, cuddle_error *err)
{
    const cuddle_status status = cud_check_tensor(ex, "log_softmax", "x", x, 2, -1, -1, -1, err);
    if (status != CUDDLE_OK || x.type == CUDDLE_F32) return status;
    return cud_fail(err, CUDDLE_E_UNSUPPORTED, "log_softmax on %s: x has dtype %s", ex->ops->name, cud_dtype_name(x.type));
}

cuddle_status cud_check_pooling(const exec *ex, const pooling_args *args, cuddle_error *err)
{
    cuddle_status status = cud_check_tensor(ex, "pooling", "x", args->x, 2, -1, -1, -1, err);
    if (status == CUDDLE_OK) status = cud_check_tensor(ex, "pooling", "out", args->out, 2, -1, args->x.size[1], -1, err);
    int kind; /* C++ may not load an enumerator that there is not */
    memcpy(&kind, &args->kind, sizeof kind);
    if (status == CUDDLE_OK && (kind < POOLING_MEAN || kind > POOLING_WEIGHTED_MEAN))
        status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "pooling on %s: kind %d", ex->ops->name, kind);
    return status;
}

cuddle_status cud_check_sample(const exec *ex, const sample_args *args, cuddle_error *err)
{
    const tensor t = args->logits;
    const cuddle_status status = cud_check_tensor(ex, "sample", "logits", t, 2, -1, -1, -1, err);
    if (status != CUDDLE_OK) return status;
    if (t.type != CUDDLE_F32) return cud_fail(err, CUDDLE_E_UNSUPPORTED, "sample on %s: logits of %s", ex->ops->name, cud_dtype_name(t.type));
    if (t.size[1] < 1 || t.size[1] > DRAW_MAX_TOKENS)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "sample on %s: a vocabulary of %lld, expected 1 to %d", ex->ops->name, (long long)t.size[1],
                        DRAW_MAX_TOKENS);
    if (args->seen && args->mark_words < (t.size[1] + 31) / 32)
        return cud_fail(err, CUDDLE_E_INTERNAL, "sample on %s: %lld mark words for a vocabulary of %lld", ex->ops->name,
                        (long long)args->mark_words, (long long)t.size[1]);
    return CUDDLE_OK;
}

cuddle_status cud_check_advance(const exec *ex, const step *s, cuddle_error *err)
{
    if (s->tokens < 0 || s->tokens != s->sequences || s->tokens != s->outputs)
        return cud_fail(err, CUDDLE_E_INTERNAL, "advance on %s: a step of %d tokens, %d sequences and %d outputs, expected the same number",
                        ex->ops->name, s->tokens, s->sequences, s->outputs);
    if (s->axes < 1 || s->axes > CUD_MAX_AXES || s->groups < 0 || s->groups > CUD_MAX_KV_GROUPS)
        return cud_fail(err, CUDDLE_E_INTERNAL, "advance on %s: %d position axes and %d KV groups", ex->ops->name, s->axes, s->groups);
    return CUDDLE_OK;
}

static cuddle_status check_rope_table(const exec *ex, const rope_args *a, cuddle_error *err)
{
    const char *on = ex->ops->name;
    const rope_table *t = a->table;
    const int64_t dim = cud_present(a->q) ? a->q.size[2] : a->k.size[2];
    const cuddle_status status = cud_check_tensor(ex, "rope", "the table", t->cos_sin, 2, -1, t->rotary_dim, -1, err);
    if (status != CUDDLE_OK) return status;
    if (t->cos_sin.type != CUDDLE_F32)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "rope on %s: a table of %s", on, cud_dtype_name(t->cos_sin.type));
    if (t->rotary_dim < 2 || t->rotary_dim % 2 || t->rotary_dim > dim)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "rope on %s: %d rotary dimensions of %lld", on, t->rotary_dim, (long long)dim);
    int pairs = 0;
    for (int i = 0; i < CUD_MAX_AXES; i++) pairs += t->sections[i];
    if (pairs != 0 && pairs != t->rotary_dim / 2)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "rope on %s: sections of %d pairs, expected %d", on, pairs, t->rotary_dim / 2);
    return CUDDLE_OK;
}

cuddle_status cud_check_rope(const exec *ex, const rope_args *args, cuddle_error *err)
{
    const tensor q = args->q, k = args->k, v = args->v;
    const kv_view *kv = &args->kv;
    cuddle_status status = CUDDLE_OK;
    if (cud_present(q)) status = cud_check_tensor(ex, "rope", "q", q, 3, -1, -1, -1, err);
    if (status == CUDDLE_OK && cud_present(k))
        status = cud_check_tensor(ex, "rope", "k", k, 3, cud_present(q) ? q.size[0] : -1, -1, cud_present(q) ? q.size[2] : -1, err);
    if (status == CUDDLE_OK && kv->heads != 0) {
        status = cud_check_tensor(ex, "rope", "k", k, 3, -1, kv->heads, kv->k_dim, err);
        if (status == CUDDLE_OK) status = cud_check_tensor(ex, "rope", "v", v, 3, k.size[0], kv->heads, kv->v_dim, err);
        if (status == CUDDLE_OK && !cud_dtype_is_compute(kv->type))
            status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "rope on %s: a cache of %s", ex->ops->name, cud_dtype_name(kv->type));
    }
    if (status == CUDDLE_OK && (q.size[2] > CUD_MAX_HEAD || k.size[2] > CUD_MAX_HEAD || v.size[2] > CUD_MAX_HEAD))
        status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "rope on %s: heads of more than %d elements", ex->ops->name, CUD_MAX_HEAD);
    if (status == CUDDLE_OK && args->table && cud_present(args->table->cos_sin)) status = check_rope_table(ex, args, err);
    return status;
}

static cuddle_status check_attend_table(const exec *ex, const char *what, tensor t, int rank, int64_t heads, cuddle_error *err)
{
    if (!cud_present(t)) return CUDDLE_OK;
    const cuddle_status status = cud_check_tensor(ex, "attend", what, t, rank, heads, -1, -1, err);
    if (status == CUDDLE_OK && t.type != CUDDLE_F32)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "attend on %s: %s of %s", ex->ops->name, what, cud_dtype_name(t.type));
    return status;
}

cuddle_status cud_check_attend(const exec *ex, const attend_args *a, cuddle_error *err)
{
    const char *on = ex->ops->name;
    const int64_t tokens = a->q.size[0], heads = a->q.size[1], dim = a->q.size[2];
    int64_t kv_heads, v_dim;
    cuddle_status status = cud_check_tensor(ex, "attend", "q", a->q, 3, -1, -1, -1, err);
    if (status != CUDDLE_OK) return status;
    if (a->kv.heads != 0) {
        kv_heads = a->kv.heads, v_dim = a->kv.v_dim;
        if (!cud_dtype_is_compute(a->kv.type))
            return cud_fail(err, CUDDLE_E_UNSUPPORTED, "attend on %s: a cache of %s", on, cud_dtype_name(a->kv.type));
        if (a->kv.k_dim != dim)
            return cud_fail(err, CUDDLE_E_INTERNAL, "attend on %s: q has heads of %lld, the cache of %d", on, (long long)dim, a->kv.k_dim);
    } else {
        status = cud_check_tensor(ex, "attend", "k", a->k, 3, -1, -1, dim, err);
        if (status == CUDDLE_OK) status = cud_check_tensor(ex, "attend", "v", a->v, 3, a->k.size[0], a->k.size[1], -1, err);
        if (status != CUDDLE_OK) return status;
        kv_heads = a->k.size[1], v_dim = a->v.size[2];
    }
    status = cud_check_tensor(ex, "attend", "out", a->out, 3, tokens, heads, v_dim, err);
    if (status == CUDDLE_OK && (kv_heads < 1 || heads % kv_heads != 0 || a->sequences < 0))
        status = cud_fail(err, CUDDLE_E_INTERNAL, "attend on %s: %lld heads on %lld KV heads, %d sequences", on, (long long)heads,
                          (long long)kv_heads, a->sequences);
    if (status == CUDDLE_OK && a->mask != MASK_CAUSAL && a->mask != MASK_FULL)
        status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "attend on %s: mask kind %d", on, (int)a->mask);
    if (status == CUDDLE_OK) status = cud_check_vector(ex, "attend", "sinks", a->sinks, heads, err);
    if (status == CUDDLE_OK) status = check_attend_table(ex, "ALiBi slopes", a->alibi, 1, heads, err);
    if (status == CUDDLE_OK) status = check_attend_table(ex, "the position bias", a->bias, 2, heads, err);
    if (status == CUDDLE_OK && cud_present(a->bias)) {
        const int64_t side = a->mask == MASK_FULL ? a->bias.size[1] / 2 : a->bias.size[1];
        if (side < 2 || a->bias.size[1] > 1 << 20 || a->bias_max_distance <= side / 2)
            status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "attend on %s: a position bias of %lld buckets up to distance %d", on,
                              (long long)a->bias.size[1], a->bias_max_distance);
    }
    return status;
}

cuddle_status cud_check_copy_pages(const exec *ex, const copy_pages_args *args, cuddle_error *err)
{
    const char *on = ex->ops->name;
    const kv_view *kv = &args->kv;
    if (!cud_dtype_is_compute(kv->type))
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "copy_pages on %s: a cache of %s", on, cud_dtype_name(kv->type));
    if (kv->k_dim > CUD_MAX_HEAD || kv->v_dim > CUD_MAX_HEAD)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "copy_pages on %s: heads of more than %d elements", on, CUD_MAX_HEAD);
    if (kv->heads < 1 || kv->k_dim < 0 || kv->v_dim < 0 || args->layers < 0 || args->count < 0)
        return cud_fail(err, CUDDLE_E_INTERNAL, "copy_pages on %s: %d copies in %d layers of %d heads", on, args->count, args->layers, kv->heads);
    return CUDDLE_OK;
}

cuddle_status cud_check_norm(const exec *ex, const char *op, const norm_args *args, cuddle_error *err)
{
    const tensor x = args->x;
    const int rank = x.rank == 3 ? 3 : 2;
    cuddle_status status = cud_check_tensor(ex, op, "x", x, rank, -1, -1, -1, err);
    if (status == CUDDLE_OK) status = cud_check_tensor(ex, op, "out", args->out, rank, x.size[0], x.size[1], x.size[2], err);
    if (status == CUDDLE_OK) status = cud_check_vector(ex, op, "weight", args->weight, x.size[rank - 1], err);
    if (status == CUDDLE_OK) status = cud_check_vector(ex, op, "bias", args->bias, x.size[rank - 1], err);
    if (status == CUDDLE_OK && cud_present(args->residual))
        status = cud_check_tensor(ex, op, "residual", args->residual, rank, x.size[0], x.size[1], x.size[2], err);
    return status;
}
