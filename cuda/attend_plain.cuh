/* attend in float32 arithmetic, for float32 and for whatever the tensor-core kernels do not take: mixed types, heads of any size up to 256, k and v
 * of different sizes, rows that are not aligned, T5's bias.
 *
 * One block per KV head and tile of 32 rows; with parts, also per chunk (the same kernel does few queries and many). q, and in turn
 * K and V of 32 keys, are converted to float in shared memory. A thread has 2 rows x 4 keys of the scores, and 2 rows x DIM / 8 elements of
 * the weighted sums: 3 loads from shared memory per 16 fma. Sums over the head and over the keys ascend, one fma per term. Exact:
 * expf, no TF32, and a key with weight zero is passed by.
 *
 * Bound by shared memory and, for few queries, by latency: copies are not overlapped with arithmetic. */
#ifndef CUD_CUDA_ATTEND_PLAIN_CUH
#define CUD_CUDA_ATTEND_PLAIN_CUH

#include "attend.cuh"

namespace {

enum { PLAIN_ROWS = 32, PLAIN_KEYS = 32 };

template <int DIM> constexpr size_t plain_shared = size_t(PLAIN_ROWS + PLAIN_KEYS) * (DIM + 4) * sizeof(float);

/* dim elements from data + at on as floats, and zeros up to a multiple of 4; 4 of them for each i. */
DEV_FN void plain_load(float *to, const void *data, int type, int64_t at, int d, int dim, bool valid, bool wide)
{
    float v[4] = { 0.0f, 0.0f, 0.0f, 0.0f };
    if (valid) typed_load_some(v, data, type, at + d, dim - d, wide);
    dev_store<float4>(to + d, make_float4(v[0], v[1], v[2], v[3]));
}

template <int DIM> DEV_FN void plain_load_keys(float *shared, const attend_memory &m, const attend_rows &r, int position, attend_span seen, bool wide)
{
    const int quads = (m.dim + 3) / 4;
    for (int i = int(threadIdx.x); i < PLAIN_KEYS * quads; i += ATTEND_THREADS) {
        const int p = position + i / quads;
        const bool valid = p >= seen.low && p < seen.high;
        plain_load(shared + i / quads * (DIM + 4), m.data, m.type, valid ? attend_key_at(m, r, p) : 0, i % quads * 4, m.dim, valid, wide);
    }
}

DEV_FN float plain_dot(float sum, float4 a, float4 b) { return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum)))); }

template <int DIM> __global__ void __launch_bounds__(ATTEND_THREADS, 2) plain_kernel(const attend_job j, const attend_parts parts)
{
    constexpr int STRIDE = DIM + 4, COLS = DIM / 32; /* float4 of the weighted sums per row and thread */
    DEV_DYN_SHARED(float, q);
    DEV_SHARED(float, weights, [PLAIN_ROWS][PLAIN_KEYS + 1]);
    float *kv = q + PLAIN_ROWS * STRIDE;
    const bool split = parts.chunks > 0;
    const int down = int(threadIdx.x) / 8, across = int(threadIdx.x) % 8; /* rows down and down + 16; keys across, across + 8 ... */

    int sequence, first, chunk = 0;
    if (split) {
        sequence = parts.sequence + int(blockIdx.z);
        first = int(blockIdx.x) / parts.chunks * PLAIN_ROWS;
        chunk = int(blockIdx.x) % parts.chunks;
    } else if (!attend_find(j, int(blockIdx.x), PLAIN_ROWS, &sequence, &first)) {
        return; /* the whole block, here and below */
    }
    const attend_rows r = attend_rows_of(j, sequence, int(blockIdx.y));
    if (split && (r.length > j.few || first >= r.count)) return;
    attend_span seen = attend_sees_rows(j, r, first, PLAIN_ROWS);
    if (split) {
        seen = { max(seen.low, chunk * ATTEND_CHUNK), min(seen.high, (chunk + 1) * ATTEND_CHUNK) };
        if (seen.low >= seen.high && parts.chunks > 1) return;
    }

    const int last = r.count - 1, q_quads = (j.k.dim + 3) / 4;
    for (int i = int(threadIdx.x); i < PLAIN_ROWS * q_quads; i += ATTEND_THREADS) {
        const int row = first + i / q_quads;
        const bool valid = row <= last;
        const int64_t at = valid ? (int64_t(r.start) + row / r.group) * j.q_row + attend_head(r, row) * j.q_head : 0;
        plain_load(q + i / q_quads * STRIDE, j.q, j.q_type, at, i % q_quads * 4, j.k.dim, valid, j.wide_q);
    }

    int position[2], head[2];
    float slope[2];
    attend_span mine[2];
    attend_stat stat[2], total[2];
    float4 o[2][COLS], totals[2][COLS];
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int row = min(first + down + i * 16, last);
        position[i] = attend_position(r, row);
        head[i] = attend_head(r, row);
        slope[i] = j.alibi ? __ldg(j.alibi + head[i]) : 0.0f;
        mine[i] = attend_sees(j, position[i], r.keys);
        stat[i] = total[i] = { -INFINITY, 0.0f };
#pragma unroll
        for (int c = 0; c < COLS; c++) o[i][c] = totals[i][c] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    }

    for (int key = seen.low / PLAIN_KEYS * PLAIN_KEYS; key < seen.high; key += PLAIN_KEYS) {
        plain_load_keys<DIM>(kv, j.k, r, key, seen, j.wide_kv);
        __syncthreads();
        float s[2][4] = {};
        for (int d = 0; d < q_quads * 4; d += 4) {
            const float4 a0 = dev_load<float4>(q + down * STRIDE + d), a1 = dev_load<float4>(q + (down + 16) * STRIDE + d);
#pragma unroll
            for (int n = 0; n < 4; n++) {
                const float4 b = dev_load<float4>(kv + (across + 8 * n) * STRIDE + d);
                s[0][n] = plain_dot(s[0][n], a0, b);
                s[1][n] = plain_dot(s[1][n], a1, b);
            }
        }
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float most = stat[i].most, sum = 0.0f;
#pragma unroll
            for (int n = 0; n < 4; n++) {
                const int p = key + across + 8 * n;
                float score = attend_product(s[i][n], j.scale);
                if (j.soft_cap > 0.0f) score = attend_capped<false>(j, score);
                if (j.alibi) score = fmaf(slope[i], float(p - position[i]), score);
                if (j.bias.data) score += attend_bias_at(j.bias, head[i], p - position[i]);
                s[i][n] = p >= mine[i].low && p < mine[i].high ? score : -INFINITY;
                most = fmaxf(most, s[i][n]);
            }
            most = dev_warp_max<8>(most);
            const float base = attend_base(most), keep = dev_exp(stat[i].most - base);
#pragma unroll
            for (int n = 0; n < 4; n++) {
                const float weight = dev_exp(s[i][n] - base);
                weights[down + i * 16][across + 8 * n] = weight;
                sum += weight;
            }
            stat[i] = { most, fmaf(stat[i].sum, keep, dev_warp_sum<8>(sum)) };
#pragma unroll
            for (int c = 0; c < COLS; c++) o[i][c] = make_float4(o[i][c].x * keep, o[i][c].y * keep, o[i][c].z * keep, o[i][c].w * keep);
        }
        __syncthreads(); /* the keys have been read */
        plain_load_keys<DIM>(kv, j.v, r, key, seen, j.wide_kv);
        __syncthreads();
        for (int n = 0; n < PLAIN_KEYS; n++) {
            const float w[2] = { weights[down][n], weights[down + 16][n] };
#pragma unroll
            for (int c = 0; c < COLS; c++) {
                if (c * 32 + across * 4 >= j.v.dim) break;
                const float4 v = dev_load<float4>(kv + n * STRIDE + across * 4 + c * 32);
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    if (w[i] == 0.0f) continue;
                    o[i][c] = make_float4(fmaf(w[i], v.x, o[i][c].x), fmaf(w[i], v.y, o[i][c].y), fmaf(w[i], v.z, o[i][c].z), fmaf(w[i], v.w, o[i][c].w));
                }
            }
        }
        __syncthreads(); /* the values have been read */
        if (parts.chunks > 1 || ((key + PLAIN_KEYS) % ATTEND_CHUNK != 0 && key + PLAIN_KEYS < seen.high)) continue;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float keep, add;
            const attend_stat part = stat[i];
            stat[i] = { -INFINITY, 0.0f };
            const bool any = attend_fold<false>(total[i], part, keep, add);
#pragma unroll
            for (int c = 0; c < COLS; c++) {
                if (any)
                    totals[i][c] = make_float4(attend_folded(totals[i][c].x, keep, o[i][c].x, add), attend_folded(totals[i][c].y, keep, o[i][c].y, add),
                                               attend_folded(totals[i][c].z, keep, o[i][c].z, add), attend_folded(totals[i][c].w, keep, o[i][c].w, add));
                o[i][c] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            }
        }
    }

#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int row = first + down + i * 16;
        if (row > last) continue;
        const bool any = mine[i].low < mine[i].high, whole = parts.chunks <= 1;
        const int64_t part_at = whole ? 0 : attend_part_at(parts, j.kv_heads, sequence, r.kv_head, chunk, row), out_at = attend_out_at(j, r, row);
        if (!whole && across == 0) dev_store<float2>(parts.stat + part_at, make_float2(stat[i].most, stat[i].sum));
        const float factor = whole && any ? attend_factor<false>(j, total[i], attend_head(r, row)) : 0.0f;
#pragma unroll
        for (int c = 0; c < COLS; c++) {
            const int d = c * 32 + across * 4;
            if (d >= j.v.dim) break;
            const float4 v = whole ? totals[i][c] : o[i][c];
            if (!whole) {
                const float part[4] = { v.x, v.y, v.z, v.w };
                store_elements(parts.sums + part_at * j.v.dim + d, part, j.v.dim - d, false);
            } else {
                const float result[4] = { any ? v.x * factor : 0.0f, any ? v.y * factor : 0.0f, any ? v.z * factor : 0.0f, any ? v.w * factor : 0.0f };
                typed_store_some(j.out, j.out_type, out_at + d, result, j.v.dim - d, j.wide_out);
            }
        }
    }
}

/* parts == NULL: every row walks its whole context. Else as launch_decode. */
template <int DIM> cudaError_t launch_plain(const attend_job &j, const attend_parts *parts, int64_t rows, int sequences, cudaStream_t stream)
{
    const attend_parts none = {};
    const int64_t blocks = parts ? int64_t(parts->rows + PLAIN_ROWS - 1) / PLAIN_ROWS * parts->chunks : rows / PLAIN_ROWS + j.sequences;
    return dev_launch(plain_kernel<DIM>, dim3(unsigned(blocks), unsigned(j.kv_heads), parts ? unsigned(sequences) : 1u), dim3(ATTEND_THREADS),
                      plain_shared<DIM>, stream, j, parts ? *parts : none);
}

} // namespace

#endif
