/* linear for up to 32 rows on tensor cores, in the order "mma" (linear.cuh): x and W bfloat16 or float16.
 *
 * W is the A operand, 16 of its rows per block (or 32), rows of x the 8 columns of the B operand, up to 4 times. Both are read straight from
 * memory in the layout the mma wants, 16 bytes per lane; x comes from L1 and L2. The 8 warps of a block share k out in runs of 128 terms, 4 loads
 * of 2 rows of W in flight per lane, and add their sums through shared memory at the end.
 *
 * Bound by memory as long as reading x, which every block does, is less than reading W: up to 16 rows; with 32 rows of W per block up
 * to 32. More rows than 32 run as more blocks, neighbours in the grid, and read W from L2. */
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
    constexpr int ROWS = EIGHTS * 8, COLS = TILES * 16, DEPTH = EIGHTS == 4 ? 2 : 4; /* steps of 32 terms in flight */
    DEV_SHARED(float, partial, [WARPS][ROWS][PITCH]);
    const int groups = (a.rows + ROWS - 1) / ROWS, lane = dev_lane(), g = lane / 4, t = lane % 4;
    const int row0 = int(blockIdx.x) % groups * ROWS, col0 = int(blockIdx.x) / groups * COLS;
    const T *w[TILES][2];
#pragma unroll
    for (int i = 0; i < TILES * 2; i++) {
        const int col = col0 + i * 8 + g;
        w[i / 2][i % 2] = linear_weight_row<T>(a, col < a.n ? col : a.n - 1) + dev_warp() * MMA_RUN + 8 * t;
    }
    const T *x = static_cast<const T *>(a.x) + int64_t(row0 + g) * a.x_stride + dev_warp() * MMA_RUN + 8 * t;
    const int rows = a.rows - row0 - g; /* of mine: those with 8 e < rows */
    float sum[TILES][EIGHTS][4];
#pragma unroll
    for (int i = 0; i < TILES * EIGHTS * 4; i++) sum[i / (EIGHTS * 4)][i / 4 % EIGHTS][i % 4] = 0.0f;

#pragma unroll 1
    for (int left = a.k - dev_warp() * MMA_RUN; left > 0; left -= WARPS * MMA_RUN) {
        const int mine = left - 8 * t;
#pragma unroll 1 /* or ptxas loads more of x at once than there are registers for */
        for (int part = 0; part < 4; part += DEPTH) {
            uint4 packed[DEPTH][TILES][2];
#pragma unroll
            for (int d = 0; d < DEPTH; d++) {
                const int k = (part + d) * MMA_TERMS;
#pragma unroll
                for (int i = 0; i < TILES * 2; i++)
                    packed[d][i / 2][i % 2] = k < mine ? dev_load_stream<uint4>(w[i / 2][i % 2] + k) : make_uint4(0, 0, 0, 0);
            }
#pragma unroll
            for (int d = 0; d < DEPTH; d++) {
                const int k = (part + d) * MMA_TERMS;
#pragma unroll
                for (int e = 0; e < EIGHTS; e++) {
                    const uint4 b = load_x<T, WIDE>(x + e * 8 * a.x_stride + k, k < mine && e * 8 < rows);
#pragma unroll
                    for (int i = 0; i < TILES; i++) mma_terms<T>(sum[i][e], packed[d][i][0], packed[d][i][1], b);
                }
            }
        }
#pragma unroll
        for (int i = 0; i < TILES * 2; i++) w[i / 2][i % 2] += WARPS * MMA_RUN;
        x += WARPS * MMA_RUN;
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
#pragma unroll 1
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
    if (!a.x_wide) return launch<T, 1, 2, false>(a, stream);
    if (a.rows <= 8) return launch<T, 1, 1, true>(a, stream);
    if (a.rows <= 16) return launch<T, 1, 2, true>(a, stream);
    const bool wide_blocks = a.n >= 32 * 2 * multiprocessors; /* then there are still two for each */
    return wide_blocks ? launch<T, 2, 4, true>(a, stream) : launch<T, 1, 4, true>(a, stream);
}

} // namespace

cudaError_t linear_skinny(const linear_args &a, dtype type, int multiprocessors, cudaStream_t stream)
{
    return type == CUDDLE_BF16 ? choose<bf16>(a, multiprocessors, stream) : choose<f16>(a, multiprocessors, stream);
}
