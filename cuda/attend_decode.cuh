/* attend, few queries: the context is split over blocks, whose sums are put together by a second kernel.
 *
 * decode_kernel: one block per chunk of ATTEND_CHUNK keys, KV head, sequence and tile of 16 rows, the rows being the query heads that share the KV
 * head (and a few queries), so that K and V are read once for all of them. Four warps: for the scores each takes a quarter of a tile's keys, for
 * the weighted sums a quarter of the head's elements; weights go through shared memory. Order and rounding are the prefill kernel's.
 * K and V come through a ring of two tiles, 32 KiB in flight per block at 128 elements. Bound by memory.
 *
 * combine_kernel: one block per row folds the chunks in order. Left out where the context has one chunk. */
#ifndef CUD_CUDA_ATTEND_DECODE_CUH
#define CUD_CUDA_ATTEND_DECODE_CUH

#include "attend.cuh"

namespace {

enum { DECODE_ROWS = 16, DECODE_WARPS = ATTEND_THREADS / DEV_WARP };

template <int DIM> constexpr size_t decode_shared = ((DECODE_ROWS + 4 * attend_keys<DIM>) * attend_stride<DIM> + DECODE_ROWS * (attend_keys<DIM> + 8)) * 2;

template <typename T, int DIM> __global__ void __launch_bounds__(ATTEND_THREADS, 2) decode_kernel(const attend_job j, const attend_parts parts)
{
    constexpr int KEYS = attend_keys<DIM>, STRIDE = attend_stride<DIM>, P_STRIDE = KEYS + 8;
    constexpr int NS = KEYS / 8 / DECODE_WARPS, NO = DIM / 8 / DECODE_WARPS; /* tiles of 8 keys, of 8 elements, per warp */
    DEV_DYN_SHARED(T, q);
    DEV_SHARED(float, tile_most, [DECODE_WARPS][DECODE_ROWS]);
    T *p = q + DECODE_ROWS * STRIDE, *ring = p + DECODE_ROWS * P_STRIDE;
    const int sequence = parts.sequence + int(blockIdx.z), chunk = int(blockIdx.x) % parts.chunks, first = int(blockIdx.x) / parts.chunks * DECODE_ROWS;
    const int lane = dev_lane(), warp = dev_warp();

    const attend_rows r = attend_rows_of(j, sequence, int(blockIdx.y));
    if (r.length > j.few || first >= r.count) return; /* the whole block, here and below */
    const int last = min(first + DECODE_ROWS, r.count) - 1;
    const attend_span of_first = attend_sees(j, attend_position(r, first), r.keys), of_last = attend_sees(j, attend_position(r, last), r.keys);
    const attend_span seen = { max(of_first.low, chunk * ATTEND_CHUNK), min(of_last.high, (chunk + 1) * ATTEND_CHUNK) };
    if (seen.low >= seen.high && parts.chunks > 1) return;

    const int begin = seen.low / KEYS * KEYS;
    const auto load = [&](int key) {
        T *to = ring + (key - begin) / KEYS % 2 * (2 * KEYS * STRIDE);
        attend_load_keys<T, DIM>(to, j.k, r, key, seen);
        attend_load_keys<T, DIM>(to + KEYS * STRIDE, j.v, r, key, seen);
    };
    attend_load_queries<T, DIM>(q, j, r, first, DECODE_ROWS);
    load(begin);
    dev_copy_async_commit();

    float o[NO][4] = {}, sum[4] = {}, most[2] = { -INFINITY, -INFINITY };
    const uint32_t ones = dev_pack2<T>(1.0f, 1.0f);

    for (int key = begin; key < seen.high; key += KEYS) {
        dev_copy_async_wait<0>();
        __syncthreads(); /* the tile is there, and the one before, and its weights, have been read by all */
        if (key + KEYS < seen.high) load(key + KEYS);
        dev_copy_async_commit();
        const T *k = ring + (key - begin) / KEYS % 2 * (2 * KEYS * STRIDE), *v = k + KEYS * STRIDE;

        float s[NS][4] = {};
#pragma unroll
        for (int d = 0; d < DIM; d += 32) {
            uint32_t a[2][4];
            dev_ldmatrix(a[0], q + lane % 16 * STRIDE + d + lane / 16 * 8);
            dev_ldmatrix(a[1], q + lane % 16 * STRIDE + d + 16 + lane / 16 * 8);
#pragma unroll
            for (int n = 0; n < NS; n++) {
                uint32_t b[4];
                dev_ldmatrix(b, k + ((warp * NS + n) * 8 + lane % 8) * STRIDE + d + lane / 8 * 8);
                dev_mma<T>(s[n], a[0], b[0], b[1]);
                dev_mma<T>(s[n], a[1], b[2], b[3]);
            }
        }
        attend_finish(j, r, s, first, key + warp * NS * 8 + lane % 4 * 2, key >= of_last.low && key + KEYS <= of_first.high);

        float here[2], keep[2];
        attend_row_max(s, here);
        if (lane % 4 == 0) {
            tile_most[warp][lane / 4] = here[0];
            tile_most[warp][lane / 4 + 8] = here[1];
        }
        __syncthreads();
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = half * 8 + lane / 4;
            float now = most[half];
#pragma unroll
            for (int w = 0; w < DECODE_WARPS; w++) now = fmaxf(now, tile_most[w][row]);
            const float base = attend_base(now);
            keep[half] = dev_exp_fast(most[half] - base);
            most[half] = now;
#pragma unroll
            for (int n = 0; n < NS; n++)
                dev_store<uint32_t>(p + row * P_STRIDE + (warp * NS + n) * 8 + lane % 4 * 2,
                                    dev_pack2<T>(dev_exp_fast(s[n][2 * half] - base), dev_exp_fast(s[n][2 * half + 1] - base)));
        }
#pragma unroll
        for (int e = 0; e < 4; e++) {
            sum[e] *= keep[e / 2];
#pragma unroll
            for (int n = 0; n < NO; n++) o[n][e] *= keep[e / 2];
        }
        __syncthreads();

#pragma unroll
        for (int i = 0; i < KEYS; i += 32) {
            uint32_t a[2][4];
            dev_ldmatrix(a[0], p + lane % 16 * P_STRIDE + i + lane / 16 * 8);
            dev_ldmatrix(a[1], p + lane % 16 * P_STRIDE + i + 16 + lane / 16 * 8);
            dev_mma<T>(sum, a[0], ones, ones);
            dev_mma<T>(sum, a[1], ones, ones);
#pragma unroll
            for (int n = 0; n < NO; n++) {
                uint32_t b[4];
                dev_ldmatrix_trans(b, v + (i + lane) * STRIDE + (warp * NO + n) * 8);
                dev_mma<T>(o[n], a[0], b[0], b[1]);
                dev_mma<T>(o[n], a[1], b[2], b[3]);
            }
        }
    }
    dev_copy_async_wait<0>();

#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = first + half * 8 + lane / 4;
        if (row > last) continue;
        const attend_stat stat = { most[half], sum[2 * half] };
        if (parts.chunks > 1) {
            const int64_t at = attend_part_at(parts, j.kv_heads, sequence, r.kv_head, chunk, row);
            if (warp == 0 && lane % 4 == 0) dev_store<float2>(parts.stat + at, make_float2(stat.most, stat.sum));
#pragma unroll
            for (int n = 0; n < NO; n++) {
                const int d = (warp * NO + n) * 8 + lane % 4 * 2;
                if (d < j.v.dim) dev_store<float2>(parts.sums + at * j.v.dim + d, make_float2(o[n][2 * half], o[n][2 * half + 1]));
            }
            continue;
        }
        const attend_span span = attend_sees(j, attend_position(r, row), r.keys);
        attend_stat total = { -INFINITY, 0.0f };
        float keep = 0.0f, add = 0.0f;
        const bool any = attend_fold<true>(total, stat, keep, add) && span.low < span.high;
        const float factor = attend_factor<true>(j, total, attend_head(r, row)), nothing = span.low < span.high ? 0.0f * factor : 0.0f;
        const int64_t at = attend_out_at(j, r, row);
#pragma unroll
        for (int n = 0; n < NO; n++)
            attend_store_pair<T>(j, at, (warp * NO + n) * 8 + lane % 4 * 2,
                                 any ? attend_folded(0.0f, keep, o[n][2 * half], add) * factor : nothing,
                                 any ? attend_folded(0.0f, keep, o[n][2 * half + 1], add) * factor : nothing);
    }
}

template <bool FAST> __global__ void __launch_bounds__(ATTEND_THREADS) combine_kernel(const attend_job j, const attend_parts parts)
{
    const int row = int(blockIdx.x), sequence = parts.sequence + int(blockIdx.z);
    const attend_rows r = attend_rows_of(j, sequence, int(blockIdx.y));
    if (r.length > j.few || row >= r.count) return;
    const attend_span seen = attend_sees(j, attend_position(r, row), r.keys);
    const bool any = seen.low < seen.high;
    const int begin = seen.low / ATTEND_CHUNK, end = any ? (seen.high + ATTEND_CHUNK - 1) / ATTEND_CHUNK : 0;
    const int64_t to = attend_out_at(j, r, row);
    for (int d = int(threadIdx.x); d < j.v.dim; d += ATTEND_THREADS) {
        attend_stat total = { -INFINITY, 0.0f };
        float value = 0.0f;
#pragma unroll 4
        for (int chunk = begin; chunk < end; chunk++) {
            const int64_t at = attend_part_at(parts, j.kv_heads, sequence, r.kv_head, chunk, row);
            const float2 stat = dev_load<float2>(parts.stat + at);
            const float part = parts.sums[at * j.v.dim + d];
            float keep, add;
            if (attend_fold<FAST>(total, { stat.x, stat.y }, keep, add)) value = attend_folded(value, keep, part, add);
        }
        typed_store(j.out, j.out_type, to + d, any ? value * attend_factor<FAST>(j, total, attend_head(r, row)) : 0.0f);
    }
}

/* `sequences` from parts.sequence on. */
template <typename T, int DIM> cudaError_t launch_decode(const attend_job &j, const attend_parts &parts, int sequences, cudaStream_t stream)
{
    const int64_t tiles = (parts.rows + DECODE_ROWS - 1) / DECODE_ROWS;
    return dev_launch(decode_kernel<T, DIM>, dim3(unsigned(tiles * parts.chunks), unsigned(j.kv_heads), unsigned(sequences)), dim3(ATTEND_THREADS),
                      decode_shared<DIM>, stream, j, parts);
}

template <bool FAST> cudaError_t launch_combine(const attend_job &j, const attend_parts &parts, int sequences, cudaStream_t stream)
{
    return dev_launch(combine_kernel<FAST>, dim3(unsigned(parts.rows), unsigned(j.kv_heads), unsigned(sequences)), dim3(ATTEND_THREADS), 0, stream, j,
                      parts);
}

} // namespace

#endif
