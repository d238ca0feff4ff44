/* attend, many queries: FlashAttention-2 on mma.sync m16n8k16.
 *
 * One block per KV head and tile of 16 * TILES rows per warp (attend.cuh says what a row is); the last tiles of a sequence come first. q stays
 * in shared memory; K and V come tile by tile into a ring of two, copied while the tile before is computed, with one barrier per tile. A
 * warp has the scores and the weighted sums of its rows in registers; scores become the A operand of the second product
 * without leaving them. The sum of the weights is a column of ones beside V. Two tiles of rows per warp share each fragment of K and V, because
 * at 16 rows shared memory would bound it. With j.fold the sums of a chunk are folded into totals in shared memory,
 * private to the thread, every ATTEND_CHUNK keys.
 *
 * Bound by the tensor cores; exponentials come second. */
#ifndef CUD_CUDA_ATTEND_PREFILL_CUH
#define CUD_CUDA_ATTEND_PREFILL_CUH

#include "attend.cuh"

namespace {

/* Tiles of 16 rows per warp: what the registers hold. */
template <int DIM> constexpr int prefill_tiles = DIM > 128 ? 1 : 2;

/* float4 of one thread's totals: DIM / 8 and a quad of statistics per tile. An odd number, so that the banks are used evenly. */
template <int DIM> constexpr int prefill_totals = prefill_tiles<DIM> * (DIM / 8 + 1) | 1;

/* Bytes of shared memory. */
template <int DIM> size_t prefill_shared(int warps, bool fold)
{
    const size_t rows = size_t(warps) * 16 * prefill_tiles<DIM>;
    return (rows + 4 * attend_keys<DIM>) * attend_stride<DIM> * 2 + (fold ? size_t(warps) * DEV_WARP * prefill_totals<DIM> * sizeof(float4) : 0);
}

template <typename T, int DIM> struct prefill_warp {
    static constexpr int TILES = prefill_tiles<DIM>, KEYS = attend_keys<DIM>, STRIDE = attend_stride<DIM>;

    float o[TILES][DIM / 8][4]; /* weighted sums */
    float sum[TILES][2]; /* of the weights */
    float most[TILES][2];

    DEV_FN void clear()
    {
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            most[t][0] = most[t][1] = -INFINITY;
            sum[t][0] = sum[t][1] = 0.0f;
#pragma unroll
            for (int n = 0; n < DIM / 8; n++)
#pragma unroll
                for (int e = 0; e < 4; e++) o[t][n][e] = 0.0f;
        }
    }

    /* s = q k^T for this warp's rows and the tile's keys. */
    DEV_FN void multiply_keys(float (&s)[TILES][KEYS / 8][4], const T *q, const T *k) const
    {
        const int lane = dev_lane();
#pragma unroll
        for (int t = 0; t < TILES; t++)
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
                for (int e = 0; e < 4; e++) s[t][n][e] = 0.0f;
#pragma unroll 2 /* in full, the loads that it lets begin early cost registers that are not there at 128 elements */
        for (int d = 0; d < DIM; d += 16) {
            uint32_t a[TILES][4];
#pragma unroll
            for (int t = 0; t < TILES; t++) dev_ldmatrix(a[t], q + (t * 16 + lane % 16) * STRIDE + d + lane / 16 * 8);
#pragma unroll
            for (int n = 0; n < KEYS / 8; n += 2) {
                uint32_t b[4];
                dev_ldmatrix(b, k + (n * 8 + lane % 8 + lane / 16 * 8) * STRIDE + d + lane / 8 % 2 * 8);
#pragma unroll
                for (int t = 0; t < TILES; t++) {
                    dev_mma<T>(s[t][n], a[t], b[0], b[1]);
                    dev_mma<T>(s[t][n + 1], a[t], b[2], b[3]);
                }
            }
        }
    }

    /* Scores become weights, as the A operand of the second product; the sums so far are brought to the new maximum. */
    DEV_FN void soften(uint32_t (&p)[KEYS / 8][2], const float (&s)[KEYS / 8][4], int t)
    {
        float here[2], keep[2];
        attend_row_max(s, here);
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const float now = fmaxf(most[t][half], here[half]), base = attend_base(now);
            keep[half] = dev_exp_fast(most[t][half] - base);
            most[t][half] = now;
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++)
                p[n][half] = dev_pack2<T>(dev_exp_fast(s[n][2 * half] - base), dev_exp_fast(s[n][2 * half + 1] - base));
        }
        if (__any_sync(DEV_ALL_LANES, keep[0] != 1.0f || keep[1] != 1.0f)) {
#pragma unroll
            for (int half = 0; half < 2; half++) sum[t][half] *= keep[half];
#pragma unroll
            for (int n = 0; n < DIM / 8; n++)
#pragma unroll
                for (int e = 0; e < 4; e++) o[t][n][e] *= keep[e / 2];
        }
    }

    /* o += p v */
    DEV_FN void add_values(const uint32_t (&p)[TILES][KEYS / 8][2], const T *v)
    {
        const int lane = dev_lane();
        const uint32_t ones = dev_pack2<T>(1.0f, 1.0f);
        float sums[TILES][4]; /* all columns alike */
#pragma unroll
        for (int t = 0; t < TILES; t++)
#pragma unroll
            for (int e = 0; e < 4; e++) sums[t][e] = sum[t][e / 2];
#pragma unroll
        for (int n = 0; n < KEYS / 8; n += 2) {
            uint32_t a[TILES][4];
#pragma unroll
            for (int t = 0; t < TILES; t++) {
#pragma unroll
                for (int i = 0; i < 4; i++) a[t][i] = p[t][n + i / 2][i % 2];
                dev_mma<T>(sums[t], a[t], ones, ones);
            }
#pragma unroll
            for (int d = 0; d < DIM / 8; d += 2) {
                uint32_t b[4];
                dev_ldmatrix_trans(b, v + (n * 8 + lane % 16) * STRIDE + d * 8 + lane / 16 * 8);
#pragma unroll
                for (int t = 0; t < TILES; t++) {
                    dev_mma<T>(o[t][d], a[t], b[0], b[1]);
                    dev_mma<T>(o[t][d + 1], a[t], b[2], b[3]);
                }
            }
        }
#pragma unroll
        for (int t = 0; t < TILES; t++) sum[t][0] = sums[t][0], sum[t][1] = sums[t][2];
    }

    /* The totals of chunks: per tile as o, then maxima and sums. */
    DEV_FN static void clear_totals(float4 *totals)
    {
        for (int i = 0; i < prefill_totals<DIM>; i++) dev_store<float4>(totals + i, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
#pragma unroll
        for (int t = 0; t < TILES; t++) dev_store<float4>(stat_of(totals, t), make_float4(-INFINITY, -INFINITY, 0.0f, 0.0f));
    }
    DEV_FN static float4 *stat_of(float4 *totals, int t) { return totals + t * (DIM / 8 + 1) + DIM / 8; }

    /* Folds the sums into the totals and begins anew. */
    DEV_FN void fold(float4 *totals)
    {
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            const float4 stat = dev_load<float4>(stat_of(totals, t));
            attend_stat total[2] = { { stat.x, stat.z }, { stat.y, stat.w } };
            float keep[2] = { 1.0f, 1.0f }, add[2] = { 0.0f, 0.0f };
            bool any[2];
#pragma unroll
            for (int half = 0; half < 2; half++) any[half] = attend_fold<true>(total[half], { most[t][half], sum[t][half] }, keep[half], add[half]);
            dev_store<float4>(stat_of(totals, t), make_float4(total[0].most, total[1].most, total[0].sum, total[1].sum));
#pragma unroll
            for (int n = 0; n < DIM / 8; n++) {
                float4 *to = totals + t * (DIM / 8 + 1) + n;
                float4 sums = dev_load<float4>(to);
                if (any[0]) sums.x = attend_folded(sums.x, keep[0], o[t][n][0], add[0]), sums.y = attend_folded(sums.y, keep[0], o[t][n][1], add[0]);
                if (any[1]) sums.z = attend_folded(sums.z, keep[1], o[t][n][2], add[1]), sums.w = attend_folded(sums.w, keep[1], o[t][n][3], add[1]);
                dev_store<float4>(to, sums);
            }
        }
        clear();
    }

    /* The totals become the sums again. */
    DEV_FN void take(const float4 *totals)
    {
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            const float4 *from = totals + t * (DIM / 8 + 1), stat = dev_load<float4>(from + DIM / 8);
            most[t][0] = stat.x, most[t][1] = stat.y;
            sum[t][0] = stat.z, sum[t][1] = stat.w;
#pragma unroll
            for (int n = 0; n < DIM / 8; n++) {
                const float4 sums = dev_load<float4>(from + n);
                o[t][n][0] = sums.x, o[t][n][1] = sums.y, o[t][n][2] = sums.z, o[t][n][3] = sums.w;
            }
        }
    }
};

/* What a block works on. Where registers are short it lies in shared memory, and is read again when it is needed. */
struct prefill_place {
    attend_rows rows;
    attend_span seen;
};

template <typename T, int DIM> __global__ void __launch_bounds__(ATTEND_THREADS, 2) prefill_kernel(const attend_job j)
{
    typedef prefill_warp<T, DIM> warp_state;
    constexpr int TILES = warp_state::TILES, KEYS = warp_state::KEYS, STRIDE = warp_state::STRIDE, ROWS = 16 * TILES;
    DEV_DYN_SHARED(T, shared);
    const int rows = int(blockDim.x) / DEV_WARP * ROWS, lane = dev_lane();
    T *ring = shared + rows * STRIDE; /* K and V of one tile, then of the other */
    float4 *totals = reinterpret_cast<float4 *>(ring + 4 * KEYS * STRIDE) + int(threadIdx.x) * prefill_totals<DIM>;

    int sequence, first;
    if (!attend_find(j, int(blockIdx.x), rows, &sequence, &first)) return; /* the whole block */
    prefill_place own, *place = &own;
    if constexpr (TILES > 1) {
        DEV_SHARED(prefill_place, of_block, [1]);
        place = of_block;
    }
    if (TILES == 1 || threadIdx.x == 0) {
        place->rows = attend_rows_of(j, sequence, int(blockIdx.y));
        place->seen = attend_sees_rows(j, place->rows, first, rows);
    }
    if constexpr (TILES > 1) __syncthreads();
    const attend_rows &r = place->rows;
    const attend_span &seen = place->seen;
    const int begin = seen.low / KEYS * KEYS;
    const auto load = [&](int key) {
        T *to = ring + (key - begin) / KEYS % 2 * (2 * KEYS * STRIDE);
        attend_load_keys<T, DIM>(to, j.k, r, key, seen);
        attend_load_keys<T, DIM>(to + KEYS * STRIDE, j.v, r, key, seen);
    };
    attend_load_queries<T, DIM>(shared, j, r, first, rows);
    load(begin);
    dev_copy_async_commit();

    /* What some row of this warp sees, and what every row sees. Rows past the last are like the last, and not stored. */
    const int mine = first + dev_warp() * ROWS, last = r.count - 1;
    const attend_span of_first = attend_sees(j, attend_position(r, min(mine, last)), r.keys),
                      of_last = attend_sees(j, attend_position(r, min(mine + ROWS - 1, last)), r.keys);
    warp_state w;
    w.clear();
    if (j.fold) warp_state::clear_totals(totals);

    for (int key = begin; key < seen.high; key += KEYS) {
        dev_copy_async_wait<0>();
        __syncthreads(); /* the tile is there, and the one before has been read by all */
        if (key + KEYS < seen.high) load(key + KEYS);
        dev_copy_async_commit();
        if (mine <= last && key < of_last.high && key + KEYS > of_first.low) {
            const T *k = ring + (key - begin) / KEYS % 2 * (2 * KEYS * STRIDE);
            const bool inside = key >= of_last.low && key + KEYS <= of_first.high;
            float s[TILES][KEYS / 8][4];
            uint32_t p[TILES][KEYS / 8][2];
            w.multiply_keys(s, shared + dev_warp() * ROWS * STRIDE, k);
#pragma unroll
            for (int t = 0; t < TILES; t++) {
                attend_finish(j, r, s[t], mine + t * 16, key + lane % 4 * 2, inside);
                w.soften(p[t], s[t], t);
            }
            w.add_values(p, k + KEYS * STRIDE);
        }
        if (j.fold && ((key + KEYS) % ATTEND_CHUNK == 0 || key + KEYS >= seen.high)) w.fold(totals);
    }
    dev_copy_async_wait<0>();

    if (j.fold) w.take(totals);
#pragma unroll
    for (int t = 0; t < TILES; t++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = mine + t * 16 + half * 8 + lane / 4;
            if (row > last) continue;
            const attend_span span = attend_sees(j, attend_position(r, row), r.keys);
            const bool any = span.low < span.high;
            const float factor = attend_factor<true>(j, { w.most[t][half], w.sum[t][half] }, attend_head(r, row));
            const int64_t at = attend_out_at(j, r, row);
#pragma unroll
            for (int n = 0; n < DIM / 8; n++)
                attend_store_pair<T>(j, at, n * 8 + lane % 4 * 2, any ? w.o[t][n][2 * half] * factor : 0.0f,
                                     any ? w.o[t][n][2 * half + 1] * factor : 0.0f);
        }
}

template <typename T, int DIM> cudaError_t launch_prefill(const attend_job &j, int64_t rows, int multiprocessors, size_t shared_limit, cudaStream_t stream)
{
    constexpr int ROWS = 16 * prefill_tiles<DIM>;
    int warps = ATTEND_THREADS / DEV_WARP;
    int64_t blocks = rows / (warps * ROWS) + j.sequences;
    while (warps > 1 && (prefill_shared<DIM>(warps, j.fold) > shared_limit || blocks * j.kv_heads < multiprocessors)) {
        warps /= 2;
        blocks = rows / (warps * ROWS) + j.sequences;
    }
    return dev_launch(prefill_kernel<T, DIM>, dim3(unsigned(blocks), unsigned(j.kv_heads)), dim3(unsigned(warps * DEV_WARP)),
                      prefill_shared<DIM>(warps, j.fold), stream, j);
}

} // namespace

#endif
