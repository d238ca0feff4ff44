/* What attend refuses on every backend. To be declared in core/op_checks.h and defined in core/op_checks.c, where host/cpu/attend_check.c goes too. */
#ifndef CUD_CUDA_ATTEND_CHECK_H
#define CUD_CUDA_ATTEND_CHECK_H

#include "core/op_checks.h"

#include <string.h>

static cuddle_status check_attend_table(const exec *ex, const char *what, tensor t, int rank, int64_t heads, cuddle_error *err)
{
    if (!cud_present(t)) return CUDDLE_OK;
    const cuddle_status status = cud_check_tensor(ex, "attend", what, t, rank, heads, -1, -1, err);
    if (status == CUDDLE_OK && t.type != CUDDLE_F32)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "attend on %s: %s of %s", ex->ops->name, what, cud_dtype_name(t.type));
    return status;
}

static cuddle_status cud_check_attend(const exec *ex, const attend_args *a, cuddle_error *err)
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
    int mask; /* C++ may not load an enumerator that there is not */
    memcpy(&mask, &a->mask, sizeof mask);
    if (status == CUDDLE_OK && mask != MASK_CAUSAL && mask != MASK_FULL)
        status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "attend on %s: mask kind %d", on, mask);
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

#endif
