/* linear for few rows, in the order "lanes" (linear.cuh): W is streamed once past 1 to 4 rows of x.
 *
 * W [n, k], few_kernel: a warp owns 1 or 2 rows of W, its lanes take 16 bytes each side by side along k, 8 loads per lane in flight. x comes
 *     from L1, which W passes by. No shared memory, no barrier.
 * W [k, n], few_transposed_kernel: a block owns the columns of 128 bytes; a thread takes 16 bytes of a row, for every 32nd run of E rows.
 *
 * Bound by memory: a launch should keep about 64 KiB per multiprocessor in flight, 512 threads of 128 bytes. __launch_bounds__ needs its second
 * argument: without it ptxas saves registers by loading later, and at most 4 loads are on their way; a kernel with fewer than
 * 4 * 8 + 12 registers has fallen into that trap. More rows than fit one pass run as more blocks, neighbours in the grid, so that W is
 * read from memory once and then from L2. */
#include "linear.cuh"

namespace {

enum { WARPS = 8, THREADS = WARPS * DEV_WARP };

/* Adds v over the lanes, STEP by STEP, until STEP < LAST. While more than one value is left, a lane keeps half of them: on return v[0 ..
 * COUNT / steps) of a lane hold the sums whose upper index bits are the lane's bits, the first step's bit being the highest. */
template <int COUNT, int STEP, int LAST> DEV_FN void add_lanes(float *v)
{
    if constexpr (STEP >= LAST) {
        if constexpr (COUNT > 1) {
            const bool upper = dev_lane() & STEP;
#pragma unroll
            for (int i = 0; i < COUNT / 2; i++) {
                const float keep = upper ? v[COUNT / 2 + i] : v[i], give = upper ? v[i] : v[COUNT / 2 + i];
                v[i] = keep + __shfl_xor_sync(DEV_ALL_LANES, give, STEP);
            }
            add_lanes<COUNT / 2, STEP / 2, LAST>(v);
        } else {
            v[0] += __shfl_xor_sync(DEV_ALL_LANES, v[0], STEP);
            add_lanes<1, STEP / 2, LAST>(v);
        }
    }
}

template <typename W, typename X, int ROWS, bool WIDE> __global__ void __launch_bounds__(THREADS, 2) few_kernel(linear_args a)
{
    constexpr int E = dev_per16<W>, COLS = ROWS == 1 ? 1 : 2, DEPTH = 8 / COLS, STEP = DEV_WARP * E, SUMS = COLS * ROWS;
    static_assert(SUMS <= 8, "three steps of lanes pick one of 8 sums");
    const int groups = (a.rows + ROWS - 1) / ROWS, lane = dev_lane();
    const int row = int(blockIdx.x) % groups * ROWS, col = (int(blockIdx.x) / groups * WARPS + dev_warp()) * COLS;
    if (col >= a.n) return; /* the whole warp: no barrier below */
    const W *w[COLS];
#pragma unroll
    for (int c = 0; c < COLS; c++) w[c] = linear_weight_row<W>(a, col + c < a.n ? col + c : col);
    float sum[SUMS];
#pragma unroll
    for (int i = 0; i < SUMS; i++) sum[i] = 0.0f;

    for (int base = 0; base < a.k; base += DEPTH * STEP) {
        uint4 packed[COLS][DEPTH];
#pragma unroll
        for (int d = 0; d < DEPTH; d++) {
            const int k = base + d * STEP + lane * E;
#pragma unroll
            for (int c = 0; c < COLS; c++)
                packed[c][d] = k < a.k ? linear_load_weight<W, WIDE>(w[c] + k, a.k - k) : make_uint4(0, 0, 0, 0);
        }
#pragma unroll
        for (int d = 0; d < DEPTH; d++) {
            const int k = base + d * STEP + lane * E;
            float wide[COLS][E];
#pragma unroll
            for (int c = 0; c < COLS; c++) dev_unpack16<W>(wide[c], packed[c][d]);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                float x[E]; /* zeros behind the end: no branch, so that all loads can be on their way */
                linear_load_x<X>(x, a, row + r < a.rows ? row + r : row, k);
#pragma unroll
                for (int c = 0; c < COLS; c++)
#pragma unroll
                    for (int e = 0; e < E; e++) sum[c * ROWS + r] = fmaf(x[e], wide[c][e], sum[c * ROWS + r]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < SUMS; i++) sum[i] += 0.0f;
    add_lanes<SUMS, 4, 1>(sum);
    sum[0] += __shfl_xor_sync(DEV_ALL_LANES, sum[0], 8);
    sum[0] += __shfl_xor_sync(DEV_ALL_LANES, sum[0], 16);
    const int mine = lane / (8 / SUMS), c = mine / ROWS, r = mine % ROWS;
    if (lane < 8 && lane % (8 / SUMS) == 0 && col + c < a.n && row + r < a.rows) linear_store(a.to, row + r, col + c, sum[0]);
}

/* Sum (k / E) % 32 = 2 (lane / 8) + warp % 2 + 8 (warp / 2): the steps 4 and 2 go over the lanes, 1, 8 and 16 over the warps. */
template <typename W, int ROWS, bool WIDE> __global__ void __launch_bounds__(THREADS, 2) few_transposed_kernel(linear_args a)
{
    constexpr int E = dev_per16<W>, BLOCK_COLS = 8 * E, KEPT = ROWS * E / 4;
    DEV_SHARED(float, partial, [WARPS][ROWS * BLOCK_COLS]);
    const int groups = (a.rows + ROWS - 1) / ROWS, lane = dev_lane(), warp = dev_warp();
    const int row = int(blockIdx.x) % groups * ROWS, block_col = int(blockIdx.x) / groups * BLOCK_COLS, col = block_col + lane % 8 * E;
    const int first = (lane / 8 * 2 + warp % 2 + warp / 2 * 8) * E;
    float sum[ROWS * E];
#pragma unroll
    for (int i = 0; i < ROWS * E; i++) sum[i] = 0.0f;

    if (col < a.n) {
        const W *w = static_cast<const W *>(a.w[0]) + col;
        for (int k = first; k < a.k; k += DEV_WARP * E) {
            uint4 packed[E];
#pragma unroll
            for (int e = 0; e < E; e++)
                packed[e] = k + e < a.k ? linear_load_weight<W, WIDE>(w + int64_t(k + e) * a.n, a.n - col) : make_uint4(0, 0, 0, 0);
            float x[ROWS][E];
#pragma unroll
            for (int r = 0; r < ROWS; r++) linear_load_x<any_type>(x[r], a, row + r < a.rows ? row + r : row, k);
#pragma unroll
            for (int e = 0; e < E; e++) {
                float wide[E];
                dev_unpack16<W>(wide, packed[e]);
#pragma unroll
                for (int r = 0; r < ROWS; r++)
#pragma unroll
                    for (int c = 0; c < E; c++) sum[r * E + c] = fmaf(x[r][e], wide[c], sum[r * E + c]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < ROWS * E; i++) sum[i] += 0.0f;
    add_lanes<ROWS * E, 16, 8>(sum);
    const int from = lane / 16 * 2 * KEPT + lane / 8 % 2 * KEPT;
#pragma unroll
    for (int i = 0; i < KEPT; i++) partial[warp][(from + i) / E * BLOCK_COLS + lane % 8 * E + (from + i) % E] = sum[i];
    __syncthreads();
    for (int i = int(threadIdx.x); i < ROWS * BLOCK_COLS; i += THREADS) {
        const int r = row + i / BLOCK_COLS, c = block_col + i % BLOCK_COLS;
        const float low = (partial[0][i] + partial[1][i]) + (partial[2][i] + partial[3][i]);
        const float high = (partial[4][i] + partial[5][i]) + (partial[6][i] + partial[7][i]);
        if (r < a.rows && c < a.n) linear_store(a.to, r, c, low + high);
    }
}

template <typename W, typename X, int ROWS, bool WIDE> cudaError_t launch(const linear_args &a, cudaStream_t stream)
{
    const int cols = WARPS * (ROWS == 1 ? 1 : 2);
    const unsigned blocks = unsigned((a.rows + ROWS - 1) / ROWS) * unsigned((a.n + cols - 1) / cols);
    return dev_launch(few_kernel<W, X, ROWS, WIDE>, dim3(blocks), dim3(THREADS), 0, stream, a);
}
template <typename W, int ROWS, bool WIDE> cudaError_t launch_transposed(const linear_args &a, cudaStream_t stream)
{
    const int cols = 8 * dev_per16<W>;
    const unsigned blocks = unsigned((a.rows + ROWS - 1) / ROWS) * unsigned((a.n + cols - 1) / cols);
    return dev_launch(few_transposed_kernel<W, ROWS, WIDE>, dim3(blocks), dim3(THREADS), 0, stream, a);
}

/* The combinations that exist: the common case in three widths, the rest in one or two. */
template <typename W> cudaError_t choose(const linear_args &a, dtype w, bool transposed, bool wide, cudaStream_t stream)
{
    const bool one = a.rows == 1;
    if (transposed) {
        if (!wide) return launch_transposed<W, 4, false>(a, stream);
        return one ? launch_transposed<W, 1, true>(a, stream) : launch_transposed<W, 4, true>(a, stream);
    }
    if (!wide) return launch<W, any_type, 4, false>(a, stream);
    if (a.x_type != int(w) || !a.x_wide) return one ? launch<W, any_type, 1, true>(a, stream) : launch<W, any_type, 4, true>(a, stream);
    return one ? launch<W, W, 1, true>(a, stream) : a.rows == 2 ? launch<W, W, 2, true>(a, stream) : launch<W, W, 4, true>(a, stream);
}

} // namespace

cudaError_t linear_few(const linear_args &a, dtype w, bool transposed, bool w_wide, cudaStream_t stream)
{
    switch (w) {
    case CUDDLE_F32: return choose<float>(a, w, transposed, w_wide, stream);
    case CUDDLE_BF16: return choose<bf16>(a, w, transposed, w_wide, stream);
    default: return choose<f16>(a, w, transposed, w_wide, stream);
    }
}
