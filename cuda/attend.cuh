/* attend: what its kernels share. The files:
 *
 *   attend.cu           checks, which kernel, grids and scratch
 *   attend_prefill.cuh  many queries of 16-bit types: tensor cores
 *   attend_decode.cuh   few queries of 16-bit types, the context split over blocks; the kernel that puts the parts together
 *   attend_plain.cuh    float32, exact; and every mixture of types and every head size that the two above do not take
 *
 * Rows. The query heads of one KV head are rows of one matrix, so that they share what is read of K and V: row i of (sequence, KV head)
 * is query i / group, head kv_head * group + i % group. Positions ascend with i, so the keys seen by rows [a, b) are those from the first
 * that row a sees to the last that row b - 1 sees.
 *
 * One reduction order, in which nothing depends on the chunk, the batch or the kernel a row is computed by:
 *   - keys go by tiles that begin at multiples of the tile's length, with a running maximum, sum and weighted sum per row (online softmax);
 *     tensor cores get weights rounded to the type of V, and the sum is that of the rounded ones;
 *   - tiles go by chunks that begin at multiples of ATTEND_CHUNK positions; each chunk has sums of its own, and these are folded
 *     together in order (attend_fold). Prefill leaves the chunks out unless the exec is deterministic: one running sum is faster.
 *   A tile or chunk in which a row sees nothing changes nothing: it multiplies with 1 and adds 0, or is passed by.
 * Where a product is added to something, the fma is written: left to the compiler, it could be fused in one kernel and not in another.
 *
 * Keys a row does not see have weight zero. The plain kernel passes them by; the others multiply with the zero, so that an infinity or NaN in V
 * reaches the rows of its own tile that do not see it (never positions that no row of the block sees: those are read as zeros). */
#ifndef CUD_CUDA_ATTEND_CUH
#define CUD_CUDA_ATTEND_CUH

#include "typed.cuh"

#include "core/kv.h"

namespace {

constexpr int ATTEND_CHUNK = 256, ATTEND_THREADS = 128;

/* Keys per tile of the tensor-core kernels. */
template <int DIM> constexpr int attend_keys = DIM > 128 ? 32 : 64;

/* A row of DIM 16-bit elements in shared memory. The 16 bytes more make ldmatrix free of bank conflicts: an odd number of 16-byte units. */
template <int DIM> constexpr int attend_stride = DIM + 8;

struct attend_memory {
    const void *data;
    int type, dim;
    int64_t page, head, row; /* strides; page: of a page of CUD_PAGE rows, when there is a block table */
};

/* T5's bias by relative position: distances have a bucket each up to `exact`, then share them; `bounds` has where each shared one begins. */
struct attend_bias {
    enum { BOUNDS = 64 };
    const float *data; /* [heads, buckets]; NULL: none */
    int64_t head;      /* stride */
    int exact, count;
    int after; /* buckets of earlier keys; > 0: those of later keys follow. 0: later keys count as distance 0 */
    int bounds[BOUNDS];
};

struct attend_job {
    const void *q;
    void *out;
    attend_memory k, v;
    const void *sinks;  /* NULL: none */
    const float *alibi; /* NULL: none */
    const int32_t *starts, *key_starts, *kv_lengths;
    const int32_t *block_table; /* NULL: k and v are packed */
    int64_t q_row, q_head, out_row, out_head;
    int q_type, out_type, sinks_type;
    int table_width, sequences, kv_heads, group;
    int few;    /* sequences of up to so many queries are the split kernel's, longer ones the other's */
    int window; /* 0: none */
    bool causal, fold;
    bool wide_q, wide_kv, wide_out; /* rows begin at multiples of 16 bytes */
    float scale, soft_cap, inverse_cap;
    attend_bias bias; /* the plain kernel only */
};

/* Partial sums of chunks, in workspace: weighted sums, and a maximum and a sum for each. */
struct attend_parts {
    float *sums;  /* [sequence][kv_head][chunk][row][dim] */
    float2 *stat; /* [sequence][kv_head][chunk][row] */
    int sequence; /* the first one in this launch */
    int chunks, rows;
};

/* --------------------------------------------------------------------------------------------------- rows and keys */

/* The queries of one sequence that share a KV head, and its keys. */
struct attend_rows {
    int start, length, keys, count; /* first row of q, queries, keys, length * group */
    int kv_head, group;
    int key_start;
    const int32_t *table;
};

DEV_FN attend_rows attend_rows_of(const attend_job &j, int sequence, int kv_head)
{
    attend_rows r;
    r.start = __ldg(j.starts + sequence);
    r.length = __ldg(j.starts + sequence + 1) - r.start;
    r.kv_head = kv_head;
    r.group = j.group;
    r.count = r.length * r.group;
    if (j.block_table) {
        r.keys = __ldg(j.kv_lengths + sequence);
        r.key_start = 0;
        r.table = j.block_table + int64_t(sequence) * j.table_width;
    } else {
        r.key_start = __ldg(j.key_starts + sequence);
        r.keys = __ldg(j.key_starts + sequence + 1) - r.key_start;
        r.table = nullptr;
    }
    return r;
}

DEV_FN int attend_head(const attend_rows &r, int row) { return r.kv_head * r.group + row % r.group; }
DEV_FN int attend_position(const attend_rows &r, int row) { return r.keys - r.length + row / r.group; }

struct attend_span {
    int low, high; /* [low, high); empty if low >= high */
};

DEV_FN attend_span attend_sees(const attend_job &j, int position, int keys)
{
    attend_span s = { 0, keys };
    if (j.causal) {
        s.high = max(0, min(keys, position + 1));
        if (j.window > 0) s.low = max(0, position - j.window + 1);
    } else if (j.window > 0) {
        s.low = max(0, position - j.window);
        s.high = max(0, min(keys, position + j.window + 1));
    }
    return s;
}

/* What rows [first, first + rows) see together. */
DEV_FN attend_span attend_sees_rows(const attend_job &j, const attend_rows &r, int first, int rows)
{
    const int last = min(first + rows, r.count) - 1;
    return { attend_sees(j, attend_position(r, first), r.keys).low, attend_sees(j, attend_position(r, last), r.keys).high };
}

/* Element at which K (or V) of this KV head begins at a position. */
DEV_FN int64_t attend_key_at(const attend_memory &m, const attend_rows &r, int position)
{
    if (!r.table) return (int64_t(r.key_start) + position) * m.row + r.kv_head * m.head;
    const unsigned page = unsigned(position) / CUD_PAGE, offset = unsigned(position) % CUD_PAGE;
    return __ldg(r.table + page) * m.page + r.kv_head * m.head + int(offset) * m.row;
}

/* Which rows block `index` of the kernels without split works on: sequences are cut into tiles of `tile` rows, and the last come first, because
 * with a causal mask they have the most keys. False: there are fewer tiles than blocks. Every warp finds out for itself. */
DEV_FN bool attend_find(const attend_job &j, int index, int tile, int *sequence, int *first)
{
    const auto tiles_of = [&](int s) {
        if (s >= j.sequences) return 0;
        const int length = __ldg(j.starts + s + 1) - __ldg(j.starts + s);
        return length > j.few ? (length * j.group + tile - 1) / tile : 0;
    };
    int all = 0;
    for (int s = 0; s < j.sequences; s += DEV_WARP) all += __reduce_add_sync(DEV_ALL_LANES, tiles_of(s + dev_lane()));
    if (index >= all) return false;
    int left = all - 1 - index, s = 0;
    for (;; s += DEV_WARP) { /* 32 sequences at a time */
        const int tiles = tiles_of(s + dev_lane()), here = __reduce_add_sync(DEV_ALL_LANES, tiles);
        if (left >= here) {
            left -= here;
            continue;
        }
        int upto = tiles; /* of the lanes up to this one */
#pragma unroll
        for (int step = 1; step < DEV_WARP; step *= 2) {
            const int before = __shfl_up_sync(DEV_ALL_LANES, upto, unsigned(step));
            if (dev_lane() >= step) upto += before;
        }
        const int lane = __ffs(int(__ballot_sync(DEV_ALL_LANES, upto > left))) - 1;
        *sequence = s + lane;
        *first = (left - __shfl_sync(DEV_ALL_LANES, upto - tiles, lane)) * tile;
        return true;
    }
}

/* --------------------------------------------------------------------------------------------------------- softmax */

template <bool FAST> DEV_FN float attend_exp(float x) { return FAST ? dev_exp_fast(x) : dev_exp(x); }

/* a * b, rounded: never fused with what is added later. */
DEV_FN float attend_product(float a, float b) { return fmaf(a, b, 0.0f); }

/* A maximum as what is subtracted: minus infinity, where nothing has been seen, would give infinity - infinity. */
DEV_FN float attend_base(float most) { return most == -INFINITY ? 0.0f : most; }

/* FAST: tanh to 2^-22 of 1, without branches. */
template <bool FAST> DEV_FN float attend_capped(const attend_job &j, float score)
{
    const float x = attend_product(score, j.inverse_cap);
    return attend_product(j.soft_cap, FAST ? fmaf(-2.0f, __fdividef(1.0f, 1.0f + dev_exp_fast(2.0f * x)), 1.0f) : dev_tanh(x));
}

/* The bias of a key at `distance` behind (negative) or before (positive) the query. */
DEV_FN float attend_bias_at(const attend_bias &b, int head, int distance)
{
    const int far = distance < 0 ? -distance : b.after > 0 ? distance : 0;
    int bucket = min(far, b.exact);
    for (int i = 0; i < b.count; i++) bucket += far >= b.bounds[i];
    return __ldg(b.data + head * b.head + bucket + (distance > 0 ? b.after : 0));
}

struct attend_stat {
    float most, sum;
};

/* Adds a chunk's sums to those of the chunks before: total = total * keep + part * add, for the weighted sums as for the sum.
 * False: the row sees nothing in this chunk, and nothing is to be done. */
template <bool FAST> DEV_FN bool attend_fold(attend_stat &total, attend_stat part, float &keep, float &add)
{
    if (part.most == -INFINITY && part.sum == 0.0f) return false;
    const float most = fmaxf(total.most, part.most), base = attend_base(most);
    keep = attend_exp<FAST>(total.most - base);
    add = attend_exp<FAST>(part.most - base);
    total.sum = fmaf(part.sum, add, attend_product(total.sum, keep));
    total.most = most;
    return true;
}
DEV_FN float attend_folded(float total, float keep, float part, float add) { return fmaf(part, add, attend_product(total, keep)); }

/* What a row's weighted sum is multiplied with in the end. */
template <bool FAST> DEV_FN float attend_factor(const attend_job &j, attend_stat total, int head)
{
    float factor = 1.0f;
    if (j.sinks) {
        const float sink = typed_load(j.sinks, j.sinks_type, head), most = fmaxf(sink, total.most);
        factor = attend_exp<FAST>(total.most - most);
        total.sum = fmaf(total.sum, factor, attend_exp<FAST>(sink - most));
    }
    return factor / total.sum;
}

/* Element at which a row's result begins. */
DEV_FN int64_t attend_out_at(const attend_job &j, const attend_rows &r, int row)
{
    return (int64_t(r.start) + row / r.group) * j.out_row + attend_head(r, row) * j.out_head;
}

/* Index of a row's partial sums of a chunk. */
DEV_FN int64_t attend_part_at(const attend_parts &p, int kv_heads, int sequence, int kv_head, int chunk, int row)
{
    return ((int64_t(sequence - p.sequence) * kv_heads + kv_head) * p.chunks + chunk) * p.rows + row;
}

/* ---------------------------------------------------------------------------------- fragments of the tensor cores */

/* Rows of q [first, first + rows) as [rows][DIM], zeros where there are none. Not waited for. */
template <typename T, int DIM> DEV_FN void attend_load_queries(T *shared, const attend_job &j, const attend_rows &r, int first, int rows)
{
    const T *q = static_cast<const T *>(j.q);
    for (int i = int(threadIdx.x); i < rows * (DIM / 8); i += int(blockDim.x)) {
        const int row = first + i / (DIM / 8), d = i % (DIM / 8) * 8;
        T *to = shared + i / (DIM / 8) * attend_stride<DIM> + d;
        const bool valid = row < r.count && d < j.k.dim;
        const T *from = valid ? q + (int64_t(r.start) + row / r.group) * j.q_row + attend_head(r, row) * j.q_head + d : q;
        if (j.wide_q || !valid) {
            dev_copy_async<16>(to, from, valid ? 16 : 0);
        } else {
#pragma unroll
            for (int e = 0; e < 8; e++) to[e] = from[e];
        }
    }
}

/* Keys (or values) [position, position + KEYS) as [KEYS][DIM], zeros outside of `seen`. Not waited for. */
template <typename T, int DIM> DEV_FN void attend_load_keys(T *shared, const attend_memory &m, const attend_rows &r, int position, attend_span seen)
{
    const T *data = static_cast<const T *>(m.data);
    for (int i = int(threadIdx.x); i < attend_keys<DIM> * (DIM / 8); i += int(blockDim.x)) {
        const int p = position + i / (DIM / 8), d = i % (DIM / 8) * 8;
        const bool valid = p >= seen.low && p < seen.high && d < m.dim;
        dev_copy_async<16>(shared + i / (DIM / 8) * attend_stride<DIM> + d, valid ? data + attend_key_at(m, r, p) + d : data, valid ? 16 : 0);
    }
}

/* Turns products q k of 16 rows with N * 8 keys into scores, in the layout of dev_mma's d. `key` is the position of s[0][0], `row` the first of
 * the 16 rows; those past the last are taken for the last. `inside`: every row sees all of these keys. What belongs to a row is found out
 * again for every tile that needs it: registers are scarcer. */
template <int N> DEV_FN void attend_finish(const attend_job &j, const attend_rows &r, float (&s)[N][4], int row, int key, bool inside)
{
#pragma unroll
    for (int n = 0; n < N; n++)
#pragma unroll
        for (int e = 0; e < 4; e++) s[n][e] = attend_product(s[n][e], j.scale);
    if (j.soft_cap > 0.0f) {
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int e = 0; e < 4; e++) s[n][e] = attend_capped<true>(j, s[n][e]);
    }
    if (inside && !j.alibi) return;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int mine = min(row + half * 8 + dev_lane() / 4, r.count - 1), position = attend_position(r, mine);
        if (j.alibi) {
            const float slope = __ldg(j.alibi + attend_head(r, mine));
#pragma unroll
            for (int n = 0; n < N; n++)
#pragma unroll
                for (int e = 2 * half; e < 2 * half + 2; e++) s[n][e] = fmaf(slope, float(key + n * 8 + e % 2 - position), s[n][e]);
        }
        const attend_span seen = attend_sees(j, position, r.keys);
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int e = 2 * half; e < 2 * half + 2; e++) {
                const int p = key + n * 8 + e % 2;
                if (p < seen.low || p >= seen.high) s[n][e] = -INFINITY;
            }
    }
}

/* Over the four lanes that hold one row. */
template <int N> DEV_FN void attend_row_max(const float (&s)[N][4], float (&most)[2])
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float m = s[0][2 * half];
#pragma unroll
        for (int n = 0; n < N; n++) m = fmaxf(m, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
        most[half] = dev_warp_max<4>(m);
    }
}

/* A pair of neighbouring results of a row; the second may be past the end of the head. */
template <typename T> DEV_FN void attend_store_pair(const attend_job &j, int64_t at, int d, float low, float high)
{
    T *out = static_cast<T *>(j.out) + at + d;
    if (d >= j.v.dim) return;
    if (j.wide_out) { /* heads are multiples of 8 elements */
        dev_store<uint32_t>(out, dev_pack2<T>(low, high));
    } else {
        out[0] = dev_from<T>(low);
        out[1] = dev_from<T>(high);
    }
}

} // namespace

#endif
