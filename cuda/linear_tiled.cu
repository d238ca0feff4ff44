/* linear for many rows in the order "lanes" (linear.cuh): any types, W [n, k] or [k, n], multiplied as floats and never rounded on the way.
 *
 * A block makes 32 rows by 64 columns. Each of its 8 warps makes all of them, an 8 x 8 piece per thread, over its own share of k: in pass p
 * the sums 8 p .. 8 p + 7 of every element, one per warp, which are then added through shared memory. Tiles of 64 terms are converted to float
 * on their way into shared memory. Bound by the multipliers: 128 fused multiply-adds per cycle and multiprocessor, of which loads that
 * wait take a share; two blocks per multiprocessor fill each other's gaps. */
#include "linear.cuh"

namespace {

enum { WARPS = 8, THREADS = WARPS * DEV_WARP, ROWS = 32, COLS = 64, TERMS = 64, PITCH = TERMS + 4 };

/* k of term i of the tile that begins at `begin`. */
template <int E> DEV_FN int term(int begin, int pass, int i) { return begin + i / (8 * E) * (32 * E) + pass * 8 * E + i % (8 * E); }

/* 16 bytes of W: a run of E terms of one column, or transposed one term of E columns; zeros beyond k and n. */
template <typename W, bool TRANSPOSED> DEV_FN uint4 load_run(const linear_args &a, bool wide, int col0, int begin, int pass, int run)
{
    constexpr int E = dev_per16<W>, RUNS = TERMS / E;
    const W *p;
    int left;
    if constexpr (TRANSPOSED) {
        const int c = col0 + run % (COLS / E) * E, k = term<E>(begin, pass, run / (COLS / E));
        p = static_cast<const W *>(a.w[0]) + int64_t(k) * a.n + c;
        left = k < a.k ? a.n - c : 0;
    } else {
        const int c = col0 + run / RUNS, k = term<E>(begin, pass, run % RUNS * E);
        p = linear_weight_row<W>(a, c < a.n ? c : col0) + k;
        left = a.k - k;
    }
    if (wide) return left > 0 ? dev_load<uint4>(p) : make_uint4(0, 0, 0, 0);
    return linear_load_weight<W, false>(p, left);
}

template <int E> DEV_FN void put(float *to, const float (&v)[E])
{
#pragma unroll
    for (int i = 0; i < E; i += 4)
        dev_store<uint4>(to + i, make_uint4(__float_as_uint(v[i]), __float_as_uint(v[i + 1]), __float_as_uint(v[i + 2]), __float_as_uint(v[i + 3])));
}

template <typename W, bool TRANSPOSED> __global__ void __launch_bounds__(THREADS, 2) tiled_kernel(linear_args a, bool w_wide)
{
    constexpr int E = dev_per16<W>, RUNS = TERMS / E;
    DEV_SHARED(float, tile, [ROWS + COLS][PITCH]);   /* x, then W; between passes the warps' sums of a slice */
    DEV_SHARED(float, total, [2][8][THREADS]);       /* of 8 elements per thread: sums 0 .. 15, sums 16 .. 31 */
    float(*ws)[PITCH] = tile + ROWS, *partial = &tile[0][0];
    static_assert(WARPS * 16 * DEV_WARP <= (ROWS + COLS) * PITCH, "a slice takes the place of a tile");
    const int row_tiles = (a.rows + ROWS - 1) / ROWS, warp = dev_warp(), lane = dev_lane(), thread = int(threadIdx.x);
    const int row0 = int(blockIdx.x) % row_tiles * ROWS, col0 = int(blockIdx.x) / row_tiles * COLS;
    const int my_row = lane / 8, my_col = lane % 8; /* rows my_row + 4 i, columns my_col + 8 i */

    for (int pass = 0; pass < 4; pass++) {
        float sum[8][8]; /* [column][row] */
#pragma unroll
        for (int i = 0; i < 64; i++) sum[i / 8][i % 8] = 0.0f;
        for (int begin = 0; begin < a.k; begin += TERMS * 4) {
            __syncthreads(); /* the last tile has been used */
            constexpr int LOADS = COLS * RUNS / THREADS;
            uint4 packed[LOADS];
#pragma unroll
            for (int i = 0; i < LOADS; i++)
                packed[i] = load_run<W, TRANSPOSED>(a, w_wide, col0, begin, pass, thread + i * THREADS);
#pragma unroll 1
            for (int run = thread; run < ROWS * RUNS; run += THREADS) {
                const int r = run / RUNS;
                float v[E];
                linear_load_x<any_type>(v, a, row0 + r < a.rows ? row0 + r : row0, term<E>(begin, pass, run % RUNS * E));
                put(&tile[r][run % RUNS * E], v);
            }
#pragma unroll
            for (int i = 0; i < LOADS; i++) {
                const int run = thread + i * THREADS;
                float v[E];
                dev_unpack16<W>(v, packed[i]);
                if constexpr (TRANSPOSED) {
#pragma unroll
                    for (int e = 0; e < E; e++) ws[run % (COLS / E) * E + e][run / (COLS / E)] = v[e];
                } else {
                    put(&ws[run / RUNS][run % RUNS * E], v);
                }
            }
            __syncthreads();
#pragma unroll 1
            for (int i = 0; i < TERMS / WARPS; i += 2) { /* two terms at a time: more would not fit the registers */
                const int t = i / E * 8 * E + warp * E + i % E;
                float2 x[8];
#pragma unroll
                for (int r = 0; r < 8; r++) x[r] = dev_load<float2>(&tile[my_row + 4 * r][t]);
#pragma unroll
                for (int c = 0; c < 8; c++) {
                    const float2 w = dev_load<float2>(&ws[my_col + 8 * c][t]);
#pragma unroll
                    for (int r = 0; r < 8; r++) sum[c][r] = fmaf(x[r].y, w.y, fmaf(x[r].x, w.x, sum[c][r]));
                }
            }
        }
        /* Two rows of every thread at a time, or partial would be 64 KiB. */
#pragma unroll
        for (int slice = 0; slice < 4; slice++) {
            __syncthreads();
#pragma unroll
            for (int i = 0; i < 16; i++) partial[(warp * 16 + i) * DEV_WARP + lane] = sum[i % 8][slice * 2 + i / 8] + 0.0f;
            __syncthreads();
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const float *p = partial + (half * 8 + warp) * DEV_WARP + lane;
                float s[WARPS];
#pragma unroll
                for (int w = 0; w < WARPS; w++) s[w] = p[w * 16 * DEV_WARP];
                const float all = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
                float *to = &total[pass / 2][slice * 2 + half][thread];
                *to = pass % 2 == 0 ? all : *to + all;
            }
        }
    }
    const int col = col0 + my_col + 8 * warp;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const int row = row0 + my_row + 4 * i;
        if (row < a.rows && col < a.n) linear_store(a.to, row, col, total[0][i][thread] + total[1][i][thread]);
    }
}

template <typename W> cudaError_t launch(const linear_args &a, bool transposed, bool w_wide, cudaStream_t stream)
{
    const unsigned blocks = unsigned((a.rows + ROWS - 1) / ROWS) * unsigned((a.n + COLS - 1) / COLS);
    return transposed ? dev_launch(tiled_kernel<W, true>, dim3(blocks), dim3(THREADS), 0, stream, a, w_wide)
                      : dev_launch(tiled_kernel<W, false>, dim3(blocks), dim3(THREADS), 0, stream, a, w_wide);
}

} // namespace

cudaError_t linear_tiled(const linear_args &a, dtype w, bool transposed, bool w_wide, cudaStream_t stream)
{
    switch (w) {
    case CUDDLE_F32: return launch<float>(a, transposed, w_wide, stream);
    case CUDDLE_BF16: return launch<bf16>(a, transposed, w_wide, stream);
    default: return launch<f16>(a, transposed, w_wide, stream);
    }
}
