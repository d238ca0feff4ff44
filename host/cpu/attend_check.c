/* What attend refuses. */
#include "attend.h"

static cuddle_status check_table(const char *what, tensor t, int rank, int64_t heads, cuddle_error *err)
{
    if (!cud_present(t)) return CUDDLE_OK;
    const cuddle_status status = cud_cpu_check("attend", what, t, rank, heads, -1, -1, err);
    if (status == CUDDLE_OK && t.type != CUDDLE_F32)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "attend on cpu: %s of %s", what, cud_dtype_name(t.type));
    return status;
}

cuddle_status cud_cpu_attend_check(const attend_args *a, cuddle_error *err)
{
    const int64_t tokens = a->q.size[0], heads = a->q.size[1], dim = a->q.size[2];
    int64_t kv_heads, v_dim;
    cuddle_status status = cud_cpu_check("attend", "q", a->q, 3, -1, -1, -1, err);
    if (status != CUDDLE_OK) return status;
    if (a->kv.heads != 0) {
        kv_heads = a->kv.heads, v_dim = a->kv.v_dim;
        if (!cud_dtype_is_compute(a->kv.type))
            return cud_fail(err, CUDDLE_E_UNSUPPORTED, "attend on cpu: a cache of %s", cud_dtype_name(a->kv.type));
        if (a->kv.k_dim != dim)
            return cud_fail(err, CUDDLE_E_INTERNAL, "attend on cpu: q has heads of %lld, the cache of %d", (long long)dim, a->kv.k_dim);
    } else {
        status = cud_cpu_check("attend", "k", a->k, 3, -1, -1, dim, err);
        if (status == CUDDLE_OK) status = cud_cpu_check("attend", "v", a->v, 3, a->k.size[0], a->k.size[1], -1, err);
        if (status != CUDDLE_OK) return status;
        kv_heads = a->k.size[1], v_dim = a->v.size[2];
    }
    status = cud_cpu_check("attend", "out", a->out, 3, tokens, heads, v_dim, err);
    if (status == CUDDLE_OK && (kv_heads < 1 || heads % kv_heads != 0 || a->sequences < 0))
        status = cud_fail(err, CUDDLE_E_INTERNAL, "attend on cpu: %lld heads on %lld KV heads, %d sequences", (long long)heads,
                          (long long)kv_heads, a->sequences);
    if (status == CUDDLE_OK && a->mask != MASK_CAUSAL && a->mask != MASK_FULL)
        status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "attend on cpu: mask kind %d", (int)a->mask);
    if (status == CUDDLE_OK) status = cud_cpu_check_vector("attend", "sinks", a->sinks, heads, err);
    if (status == CUDDLE_OK) status = check_table("ALiBi slopes", a->alibi, 1, heads, err);
    if (status == CUDDLE_OK) status = check_table("the position bias", a->bias, 2, heads, err);
    if (status == CUDDLE_OK && cud_present(a->bias)) {
        const int64_t side = a->mask == MASK_FULL ? a->bias.size[1] / 2 : a->bias.size[1];
        if (side < 2 || a->bias.size[1] > 1 << 20 || a->bias_max_distance <= side / 2)
            status = cud_fail(err, CUDDLE_E_UNSUPPORTED, "attend on cpu: a position bias of %lld buckets up to distance %d",
                              (long long)a->bias.size[1], a->bias_max_distance);
    }
    return status;
}
