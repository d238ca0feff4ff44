/* linear for up to 64 rows on tensor cores, in the order "mma" (linear.cuh): x and W bfloat16 or float16.
 *
 * W is the A operand, 16 of its rows per block (or 32), rows of x the 8 columns of the B operand, up to 8 times. Both are read straight from
 * memory in the layout the mma wants, 16 bytes per lane; x comes from L1 and L2. The 8 warps of a block share k out in runs of 128 terms, 4 loads
 * of 2 rows of W in flight per lane, and add their sums through shared memory at the end.
 *
 * Bound by memory as long as reading x, which every block does, is less than reading W: up to 16 rows; with 32 rows of W per block up
 * to 32. More rows than 64 run as more blocks, neighbours in the grid, and read W from L2. */
#include "linear.cuh"

namespace {

enum { WARPS = MMA_SUMS, THREADS = WARPS * DEV_WARP, PITCH = 20 }; /* of 16 sums: no two lanes of a store in one bank */

/* 8 elements of a row of x as they lie in memory. */
template <typename T, bool WIDE> DEV_FN uint4 load_x(const T *p, bool inside)
{
    if (!inside) return make_uint4(0, 0, 0, 0);
    if constexpr (WIDE) {
        return dev_load<uint4>(p);
    } else {
        uint32_t words[4];
#pragma unroll
        for (int i = 0; i < 4; i++) words[i] = dev_load<uint16_t>(p + 2 * i) | uint32_t(dev_load<uint16_t>(p + 2 * i + 1)) << 16;
        return make_uint4(words[0], words[1], words[2], words[3]);
    }
}

/* TILES of 16 rows of W by EIGHTS of 8 rows of x. */
template <typename T, int TILES, int EIGHTS, bool WIDE> __global__ void __launch_bounds__(THREADS, 2) skinny_kernel(linear_args a)
{
    constexpr int ROWS = EIGHTS * 8, COLS = TILES * 16, DEPTH = 4 / TILES; /* steps of 32 terms in flight */
    DEV_SHARED(float, partial, [WARPS][ROWS][PITCH]);
    const int groups = (a.rows + ROWS - 1) / ROWS, lane = dev_lane(), g = lane / 4, t = lane % 4;
    const int row0 = int(blockIdx.x) % groups * ROWS, col0 = int(blockIdx.x) / groups * COLS;
    const T *w[TILES][2];
#pragma unroll
    for (int i = 0; i < TILES * 2; i++) {
        const int col = col0 + i * 8 + g;
        w[i / 2][i % 2] = linear_weight_row<T>(a, col < a.n ? col : a.n - 1) + 8 * t;
    }
    const T *x = static_cast<const T *>(a.x) + 8 * t;
    float sum[TILES][EIGHTS][4];
#pragma unroll
    for (int i = 0; i < TILES * EIGHTS * 4; i++) sum[i / (EIGHTS * 4)][i / 4 % EIGHTS][i % 4] = 0.0f;

    for (int run = dev_warp() * MMA_RUN; run < a.k; run += WARPS * MMA_RUN) {
#pragma unroll
        for (int part = 0; part < TILES; part++) {
            uint4 packed[DEPTH][TILES][2];
#pragma unroll
            for (int d = 0; d < DEPTH; d++) {
                const int k = run + (part * DEPTH + d) * MMA_TERMS;
#pragma unroll
                for (int i = 0; i < TILES * 2; i++)
                    packed[d][i / 2][i % 2] = k + 8 * t < a.k ? dev_load_stream<uint4>(w[i / 2][i % 2] + k) : make_uint4(0, 0, 0, 0);
            }
#pragma unroll
            for (int d = 0; d < DEPTH; d++) {
                const int k = run + (part * DEPTH + d) * MMA_TERMS;
#pragma unroll
                for (int e = 0; e < EIGHTS; e++) {
                    const int row = row0 + e * 8 + g;
                    const uint4 b = load_x<T, WIDE>(x + (row < a.rows ? row : a.rows - 1) * a.x_stride + k, k + 8 * t < a.k);
#pragma unroll
                    for (int i = 0; i < TILES; i++) mma_terms<T>(sum[i][e], packed[d][i][0], packed[d][i][1], b);
                }
            }
        }
    }
    const int runs = (a.k + MMA_RUN - 1) / MMA_RUN, used = runs < WARPS ? runs : WARPS;
#pragma unroll
    for (int i = 0; i < TILES; i++) {
        if (i > 0) __syncthreads();
#pragma unroll
        for (int e = 0; e < EIGHTS; e++)
#pragma unroll
            for (int j = 0; j < 4; j++) partial[dev_warp()][e * 8 + 2 * t + j % 2][g + j / 2 * 8] = sum[i][e][j] + 0.0f;
        __syncthreads();
        for (int j = int(threadIdx.x); j < ROWS * 16; j += THREADS) {
            const int r = j / 16, c = col0 + i * 16 + j % 16;
            float all = used > 0 ? partial[0][r][j % 16] : 0.0f;
            for (int s = 1; s < used; s++) all += partial[s][r][j % 16];
            if (row0 + r < a.rows && c < a.n) linear_store(a.to, row0 + r, c, all);
        }
    }
}

template <typename T, int TILES, int EIGHTS, bool WIDE> cudaError_t launch(const linear_args &a, cudaStream_t stream)
{
    const unsigned blocks = unsigned((a.rows + EIGHTS * 8 - 1) / (EIGHTS * 8)) * unsigned((a.n + TILES * 16 - 1) / (TILES * 16));
    return dev_launch(skinny_kernel<T, TILES, EIGHTS, WIDE>, dim3(blocks), dim3(THREADS), 0, stream, a);
}

template <typename T> cudaError_t choose(const linear_args &a, int multiprocessors, cudaStream_t stream)
{
    if (!a.x_wide) return launch<T, 1, 8, false>(a, stream);
    if (a.rows <= 8) return launch<T, 1, 1, true>(a, stream);
    if (a.rows <= 16) return launch<T, 1, 2, true>(a, stream);
    const bool many = a.n >= 32 * 2 * multiprocessors; /* two blocks for each even with 32 rows of W in one */
    if (a.rows <= 32) return many ? launch<T, 2, 4, true>(a, stream) : launch<T, 1, 4, true>(a, stream);
    return many ? launch<T, 2, 8, true>(a, stream) : launch<T, 1, 8, true>(a, stream);
}

} // namespace

cudaError_t linear_skinny(const linear_args &a, dtype type, int multiprocessors, cudaStream_t stream)
{
    return type == CUDDLE_BF16 ? choose<bf16>(a, multiprocessors, stream) : choose<f16>(a, multiprocessors, stream);
}
