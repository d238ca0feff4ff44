/* attend: checks, the choice of kernels, grids and scratch. attend.cuh has the map of the files and the order of every sum.
 *
 * The host knows bounds only, so the choice goes by sequence on the device: sequences of up to `few` queries have their context split over blocks,
 * longer ones are cut into tiles of rows. A call that may have both launches both, and blocks with nothing to do end at once. Grids come from the
 * number of rows of q and from max_query and max_kv: what a graph was captured with may be larger than what it is replayed with. */
#include "attend_decode.cuh"
#include "attend_plain.cuh"
#include "attend_prefill.cuh"
#include "backend.h"

#include "core/op_checks.h"

namespace {

enum { MAX_DIM = 256, MAX_KEYS = 1 << 30, MAX_GRID = 65535, MAX_DISTANCE = 4096 };

/* From this context on a lone query beside long ones is worth two launches more. */
enum { MIXED_CONTEXT = 1024 };

/* Workspace for partial sums. One sequence gets what it needs; more of them, what fits: then launch after launch. */
constexpr size_t PARTS_BYTES = size_t(32) << 20;

struct attend_plan {
    attend_job job;
    attend_parts parts;
    int64_t rows;           /* tokens * group: bound of the rows of all sequences, per KV head */
    bool tensor;            /* 16-bit types on tensor cores */
    bool tiles, split;      /* which kinds of launches */
    size_t part_count;      /* partial sums of one sequence */
    size_t bytes;           /* of scratch */
    int sequences_at_once;
};

cuddle_status check(exec *ex, const attend_args *a, cuddle_error *err)
{
    const cuddle_status status = cud_check_attend(ex, a, err);
    if (status != CUDDLE_OK) return status;
    const int64_t k_dim = a->q.size[2], v_dim = a->out.size[2], kv_heads = a->kv.heads ? a->kv.heads : a->k.size[1];
    if (cud_present(a->bias) && (a->bias.size[1] > attend_bias::BOUNDS || a->bias_max_distance > MAX_DISTANCE))
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "attend on cuda: a position bias of %lld buckets up to distance %d, expected up to %d and %d",
                        (long long)a->bias.size[1], a->bias_max_distance, int(attend_bias::BOUNDS), int(MAX_DISTANCE));
    if (k_dim < 1 || k_dim > MAX_DIM || v_dim < 1 || v_dim > MAX_DIM)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "attend on cuda: heads of %lld and %lld elements, expected 1 to %d", (long long)k_dim, (long long)v_dim,
                        int(MAX_DIM));
    if (kv_heads > MAX_GRID || a->max_kv > MAX_KEYS || a->q.size[1] > MAX_KEYS || a->q.size[0] > MAX_KEYS / a->q.size[1])
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "attend on cuda: %lld tokens of %lld heads (%lld of keys), %d keys: more than %d KV heads or 2^30 of the rest",
                        (long long)a->q.size[0], (long long)a->q.size[1], (long long)kv_heads, a->max_kv, int(MAX_GRID));
    return CUDDLE_OK;
}

attend_memory paged(const void *data, const kv_view &kv, int dim)
{
    attend_memory m = { data, kv.type, dim, 0, 0, dim };
    m.head = int64_t(CUD_PAGE) * dim;
    m.page = m.head * kv.heads;
    return m;
}

attend_memory packed(const tensor &t) { return { t.data, t.type, int(t.size[2]), 0, t.stride[1], t.stride[0] }; }

bool wide(const attend_memory &m) { return typed_wide(m.data, dtype(m.type), m.row, m.head); }

/* The borders are found here, with the host's logf: what transformers rounds down, a distance at a border, must not depend on the device. */
attend_bias bias_of(const attend_args *a)
{
    attend_bias b = {};
    if (!cud_present(a->bias)) return b;
    const int buckets = int(a->bias.size[1]), side = a->mask == MASK_FULL ? buckets / 2 : buckets;
    b.data = static_cast<const float *>(a->bias.data);
    b.head = a->bias.stride[0];
    b.exact = side / 2;
    b.after = a->mask == MASK_FULL ? side : 0;
    const float range = logf(float(a->bias_max_distance) / float(b.exact)), shared = float(side - b.exact);
    for (int distance = b.exact; distance <= a->bias_max_distance; distance++) {
        const int bucket = b.exact + int(logf(float(distance) / float(b.exact)) / range * shared);
        while (b.exact + b.count < bucket && b.exact + b.count < side - 1) b.bounds[b.count++] = distance;
    }
    return b;
}

attend_job job_of(const exec *ex, const attend_args *a)
{
    attend_job j = {};
    const bool is_paged = a->kv.heads != 0;
    j.q = a->q.data;
    j.out = a->out.data;
    j.k = is_paged ? paged(a->kv.k, a->kv, a->kv.k_dim) : packed(a->k);
    j.v = is_paged ? paged(a->kv.v, a->kv, a->kv.v_dim) : packed(a->v);
    j.sinks = cud_present(a->sinks) ? a->sinks.data : nullptr;
    j.alibi = cud_present(a->alibi) ? static_cast<const float *>(a->alibi.data) : nullptr;
    j.starts = a->starts;
    j.key_starts = a->key_starts ? a->key_starts : a->starts;
    j.kv_lengths = a->kv_lengths;
    j.block_table = is_paged ? a->kv.block_table : nullptr;
    j.q_row = a->q.stride[0];
    j.q_head = a->q.stride[1];
    j.out_row = a->out.stride[0];
    j.out_head = a->out.stride[1];
    j.q_type = a->q.type;
    j.out_type = a->out.type;
    j.sinks_type = a->sinks.type;
    j.table_width = a->kv.table_width;
    j.sequences = a->sequences;
    j.kv_heads = is_paged ? a->kv.heads : int(a->k.size[1]);
    j.group = int(a->q.size[1]) / j.kv_heads;
    j.window = a->window < MAX_KEYS ? a->window : int(MAX_KEYS);
    j.causal = a->mask == MASK_CAUSAL;
    j.fold = ex->deterministic;
    j.wide_q = typed_wide(a->q);
    j.wide_kv = wide(j.k) && wide(j.v);
    j.wide_out = typed_wide(a->out);
    j.scale = a->scale;
    j.soft_cap = a->soft_cap;
    j.inverse_cap = a->soft_cap > 0.0f ? 1.0f / a->soft_cap : 0.0f;
    j.bias = bias_of(a);
    return j;
}

/* The amount of scratch grows with every bound, so that what was planned for the largest step is enough for any. */
attend_plan plan_of(const exec *ex, const attend_args *a)
{
    attend_plan p = {};
    attend_job &j = p.job;
    j = job_of(ex, a);
    p.rows = a->q.size[0] * j.group;
    p.tensor = j.q_type != CUDDLE_F32 && j.k.type == j.q_type && j.out_type == j.q_type && j.k.dim == j.v.dim && j.k.dim % 8 == 0 && j.wide_kv && !cud_present(a->bias);

    const int few = j.group < DECODE_ROWS ? DECODE_ROWS / j.group : 1, longest = a->max_query > 0 ? a->max_query : 1;
    p.tiles = longest > few;
    p.split = !p.tiles || (a->sequences > 1 && a->max_kv > MIXED_CONTEXT);
    j.few = p.split ? few : 0;
    p.parts.rows = (longest < few ? longest : few) * j.group;
    p.parts.chunks = a->max_kv > ATTEND_CHUNK ? (a->max_kv + ATTEND_CHUNK - 1) / ATTEND_CHUNK : 1;

    p.sequences_at_once = a->sequences;
    if (p.parts.chunks > 1 && a->sequences > 0) {
        p.part_count = size_t(j.kv_heads) * size_t(p.parts.chunks) * size_t(p.parts.rows);
        const size_t one = p.part_count * (size_t(j.v.dim) + 2) * sizeof(float);
        const size_t all = one > PARTS_BYTES / size_t(a->sequences) ? PARTS_BYTES : one * size_t(a->sequences);
        p.bytes = one > all ? one : all;
        p.sequences_at_once = int(p.bytes / one);
    }
    if (p.sequences_at_once > MAX_GRID) p.sequences_at_once = MAX_GRID;
    return p;
}

template <typename T, int DIM> struct on_tensor_cores {
    static cudaError_t tiles(const attend_plan &p, const cuda_backend *b)
    {
        int limit = 48 * 1024;
        const cudaError_t asked = cudaDeviceGetAttribute(&limit, cudaDevAttrMaxSharedMemoryPerBlockOptin, b->device);
        return asked != cudaSuccess ? asked : launch_prefill<T, DIM>(p.job, p.rows, b->multiprocessors, size_t(limit), b->stream);
    }
    static cudaError_t split(const attend_plan &p, int sequences, const cuda_backend *b)
    {
        const cudaError_t launched = launch_decode<T, DIM>(p.job, p.parts, sequences, b->stream);
        return launched != cudaSuccess || p.parts.chunks == 1 ? launched : launch_combine<true>(p.job, p.parts, sequences, b->stream);
    }
};

template <int DIM> struct in_float {
    static cudaError_t tiles(const attend_plan &p, const cuda_backend *b) { return launch_plain<DIM>(p.job, nullptr, p.rows, 0, b->stream); }
    static cudaError_t split(const attend_plan &p, int sequences, const cuda_backend *b)
    {
        const cudaError_t launched = launch_plain<DIM>(p.job, &p.parts, p.rows, sequences, b->stream);
        return launched != cudaSuccess || p.parts.chunks == 1 ? launched : launch_combine<false>(p.job, p.parts, sequences, b->stream);
    }
};

template <typename KERNELS> cudaError_t launch(attend_plan &p, const cuda_backend *b)
{
    if (p.tiles) {
        const cudaError_t launched = KERNELS::tiles(p, b);
        if (launched != cudaSuccess || !p.split) return launched;
    }
    for (int left = p.job.sequences; left > 0; left -= p.sequences_at_once) {
        p.parts.sequence = p.job.sequences - left;
        const cudaError_t launched = KERNELS::split(p, left < p.sequences_at_once ? left : p.sequences_at_once, b);
        if (launched != cudaSuccess) return launched;
    }
    return cudaSuccess;
}

/* Head sizes in between are padded with zeros in shared memory. */
template <typename T> cudaError_t launch_for_dim(attend_plan &p, const cuda_backend *b)
{
    const int dim = p.job.k.dim;
    if (dim <= 32) return launch<on_tensor_cores<T, 32>>(p, b);
    if (dim <= 64) return launch<on_tensor_cores<T, 64>>(p, b);
    if (dim <= 96) return launch<on_tensor_cores<T, 96>>(p, b);
    if (dim <= 128) return launch<on_tensor_cores<T, 128>>(p, b);
    return launch<on_tensor_cores<T, 256>>(p, b);
}
template <> cudaError_t launch_for_dim<float>(attend_plan &p, const cuda_backend *b)
{
    const int dim = max(p.job.k.dim, p.job.v.dim);
    if (dim <= 64) return launch<in_float<64>>(p, b);
    if (dim <= 128) return launch<in_float<128>>(p, b);
    return launch<in_float<256>>(p, b);
}

} // namespace

extern "C" cuddle_status cud_cuda_attend(exec *ex, const attend_args *args, cuddle_error *err)
{
    cuddle_status status = check(ex, args, err);
    if (status != CUDDLE_OK) return status;
    attend_plan p = plan_of(ex, args);
    const size_t mark = cud_ws_mark(ex);
    void *scratch = nullptr;
    status = cud_ws_take(ex, &scratch, p.bytes, err);
    if (status == CUDDLE_OK && ex->mode != EXEC_RECORD && p.rows > 0 && args->sequences > 0) {
        p.parts.stat = static_cast<float2 *>(scratch);
        p.parts.sums = reinterpret_cast<float *>(p.parts.stat + p.part_count * size_t(p.sequences_at_once));
        const cuda_backend *b = cud_cuda_of(ex);
        cudaError_t launched;
        if (!p.tensor) launched = launch_for_dim<float>(p, b);
        else if (p.job.q_type == CUDDLE_BF16) launched = launch_for_dim<bf16>(p, b);
        else launched = launch_for_dim<f16>(p, b);
        status = cud_cuda_check(launched, "attend", err);
    }
    cud_ws_release(ex, mark);
    return status;
}
