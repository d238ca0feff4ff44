/* rope: each head of q and k is turned by its position, and k and v go to the cache. Pair i of a head,
 * (a, b) = (x[i], x[i + rotary_dim / 2]) or (x[2i], x[2i + 1]), becomes (a cos - b sin, b cos + a sin).
 *
 * A head is cut into units of 8 elements: 4 pairs where it turns, 8 neighbours where it does not. One thread per unit, the units of a
 * token side by side: turning q, turning and moving k, moving v. Memory bound; for one token it is the launch that costs. */
#include "backend.h"
#include "typed.cuh"

#include "core/op_checks.h"

namespace {

enum { THREADS = 128, BLOCKS = 8, PAIRS = 4 };

/* [tokens, heads, dim]: where it lies and how it is cut. */
struct heads {
    void *p;
    int64_t stride0, stride1;
    int type, count, dim;
    int turning, units; /* units of a head that turn, and all that there is something to do for */
    bool wide;
};

/* Where moved heads go. */
struct cache {
    void *p;
    int dim;
    bool wide;
};

struct rope_kernel_args {
    heads q, k, v;
    cache ck, cv; /* NULL: k is turned in place */
    int cache_type, cache_heads;
    const int32_t *slots, *positions;
    const float *table;
    int64_t table_stride, position_stride;
    int rotary_dim;
    bool interleaved, one_axis;
    int sections[CUD_MAX_AXES];
    int64_t tokens;
    int units; /* of a token */
};

DEV_FN void angle(const rope_kernel_args &a, int64_t token, int pair, float *cosine, float *sine)
{
    int axis = 0;
    if (!a.one_axis) {
        int end = 0;
#pragma unroll
        for (int i = 0; i < CUD_MAX_AXES; i++) {
            if (pair >= end && pair < end + a.sections[i]) axis = i;
            end += a.sections[i];
        }
    }
    const float *row = a.table + a.positions[axis * a.position_stride + token] * a.table_stride;
    *cosine = row[pair];
    *sine = row[a.rotary_dim / 2 + pair];
}

/* Pairs [4 unit, 4 unit + 4) of the head at x, to `to`, which may be x. */
DEV_FN void turn(const rope_kernel_args &a, int64_t token, int unit, const void *x, int type, int64_t x_at, void *to, int to_type, int64_t to_at,
                 bool wide)
{
    const int half = a.rotary_dim / 2, first = unit * PAIRS, left = half - first < PAIRS ? half - first : PAIRS;
    float v[8]; /* a pair's halves at j and j + 4 */
    if (a.interleaved) {
        float near[8];
        typed_load_some(near, x, type, x_at + 2 * first, 2 * left, wide);
#pragma unroll
        for (int j = 0; j < PAIRS; j++) v[j] = near[2 * j], v[PAIRS + j] = near[2 * j + 1];
    } else {
        float low[PAIRS], high[PAIRS];
        typed_load_some(low, x, type, x_at + first, left, wide && half % PAIRS == 0);
        typed_load_some(high, x, type, x_at + half + first, left, wide && half % PAIRS == 0);
#pragma unroll
        for (int j = 0; j < PAIRS; j++) v[j] = low[j], v[PAIRS + j] = high[j];
    }
#pragma unroll
    for (int j = 0; j < PAIRS; j++) {
        if (j >= left) continue;
        float cosine, sine;
        angle(a, token, first + j, &cosine, &sine);
        const float x0 = v[j], x1 = v[PAIRS + j];
        v[j] = x0 * cosine - x1 * sine;
        v[PAIRS + j] = x1 * cosine + x0 * sine;
    }
    if (a.interleaved) {
        float near[8];
#pragma unroll
        for (int j = 0; j < PAIRS; j++) near[2 * j] = v[j], near[2 * j + 1] = v[PAIRS + j];
        typed_store_some(to, to_type, to_at + 2 * first, near, 2 * left, wide);
    } else {
        float low[PAIRS], high[PAIRS];
#pragma unroll
        for (int j = 0; j < PAIRS; j++) low[j] = v[j], high[j] = v[PAIRS + j];
        typed_store_some(to, to_type, to_at + first, low, left, wide && half % PAIRS == 0);
        typed_store_some(to, to_type, to_at + half + first, high, left, wide && half % PAIRS == 0);
    }
}

/* One unit of head h of a token: turned in place, or to the cache. */
DEV_FN void do_unit(const rope_kernel_args &a, const heads &x, const cache &c, int64_t token, int h, int unit)
{
    const int64_t from = token * x.stride0 + h * x.stride1;
    void *to = x.p;
    int64_t at = from;
    int to_type = x.type;
    bool wide = x.wide;
    if (c.p) {
        const int64_t slot = a.slots[token];
        if (slot < 0) return;
        const int64_t page = slot / CUD_PAGE;
        to = c.p;
        at = ((page * a.cache_heads + h) * CUD_PAGE + slot % CUD_PAGE) * c.dim;
        to_type = a.cache_type;
        wide = wide && c.wide;
    }
    if (unit < x.turning) {
        turn(a, token, unit, x.p, x.type, from, to, to_type, at, wide);
    } else {
        const int turned = x.turning ? a.rotary_dim : 0, first = turned + (unit - x.turning) * 8;
        typed_copy8(to, to_type, at + first, x.p, x.type, from + first, x.dim - first, wide && turned % 8 == 0);
    }
}

__global__ void __launch_bounds__(THREADS, BLOCKS) rope_kernel(rope_kernel_args a)
{
    const int64_t i = int64_t(blockIdx.x) * THREADS + threadIdx.x, token = i / a.units;
    if (token >= a.tokens) return;
    int unit = int(i % a.units);
    const cache in_place = {};
    if (unit < a.q.count * a.q.units) return do_unit(a, a.q, in_place, token, unit / a.q.units, unit % a.q.units);
    unit -= a.q.count * a.q.units;
    if (unit < a.k.count * a.k.units) return do_unit(a, a.k, a.ck, token, unit / a.k.units, unit % a.k.units);
    unit -= a.k.count * a.k.units;
    do_unit(a, a.v, a.cv, token, unit / a.v.units, unit % a.v.units);
}

heads cut(const tensor &t, int rotary_dim, bool moves)
{
    heads h = {};
    if (!cud_present(t)) return h;
    h.p = t.data;
    h.stride0 = t.stride[0], h.stride1 = t.stride[1];
    h.type = t.type, h.count = int(t.size[1]), h.dim = int(t.size[2]);
    h.turning = (rotary_dim / 2 + PAIRS - 1) / PAIRS;
    h.units = h.turning + (moves ? (h.dim - rotary_dim + 7) / 8 : 0);
    h.wide = typed_wide(t);
    return h;
}

} // namespace

extern "C" cuddle_status cud_cuda_rope(exec *ex, const rope_args *args, cuddle_error *err)
{
    const cuddle_status status = cud_check_rope(ex, args, err);
    if (status != CUDDLE_OK || ex->mode == EXEC_RECORD) return status;
    const kv_view *kv = &args->kv;
    const bool turns = args->table && cud_present(args->table->cos_sin), moves = kv->heads != 0;
    rope_kernel_args a = {};
    if (turns) {
        const rope_table *t = args->table;
        a.table = static_cast<const float *>(t->cos_sin.data);
        a.table_stride = t->cos_sin.stride[0];
        a.rotary_dim = t->rotary_dim;
        a.interleaved = t->interleaved;
        a.one_axis = true;
        for (int i = 0; i < CUD_MAX_AXES; i++) {
            a.sections[i] = t->sections[i];
            if (t->sections[i] != 0) a.one_axis = false;
        }
    }
    a.q = cut(args->q, a.rotary_dim, false);
    a.k = cut(args->k, a.rotary_dim, moves);
    if (moves) {
        a.v = cut(args->v, 0, true);
        a.ck.p = kv->k, a.ck.dim = kv->k_dim, a.ck.wide = typed_wide(kv->k, kv->type, kv->k_dim);
        a.cv.p = kv->v, a.cv.dim = kv->v_dim, a.cv.wide = typed_wide(kv->v, kv->type, kv->v_dim);
        a.cache_type = kv->type, a.cache_heads = kv->heads;
        a.slots = kv->slots;
    }
    a.positions = args->positions;
    a.position_stride = args->position_stride;
    a.tokens = cud_present(args->q) ? args->q.size[0] : cud_present(args->k) ? args->k.size[0] : 0;
    const int64_t units = int64_t(a.q.count) * a.q.units + int64_t(a.k.count) * a.k.units + int64_t(a.v.count) * a.v.units;
    if (a.tokens == 0 || units == 0) return CUDDLE_OK;
    a.units = int(units);
    const int64_t blocks = (a.tokens * units + THREADS - 1) / THREADS;
    return cud_cuda_check(dev_launch(rope_kernel, dim3(unsigned(blocks)), dim3(THREADS), 0, cud_cuda_of(ex)->stream, a), "rope", err);
}
