/* linear for many rows on tensor cores, in the order "mma" (linear.cuh): x and W bfloat16 or float16. For `deterministic`, where the bits
 * of linear_skinny.cu are wanted, and where cuBLASLt is not there or knows no way.
 *
 * A block makes 64 rows by 128 columns, a warp 32 by 32. Stages of 64 terms come through shared memory, three of them in flight; as the sums of
 * an element are made one after another (all runs of 128 terms with the same number modulo 8, then the next), two accumulators
 * per element suffice. Bound by shared memory, which gives 8 fragments per 16 mma. */
#include "linear.cuh"

namespace {

enum { THREADS = 256, ROWS = 64, COLS = 128, TERMS = 64, STAGES = 3, STAGE_ROWS = COLS + ROWS, CHUNKS = TERMS / 8, PITCH = COLS + 4 };

/* Where 8 terms of a row of a stage lie: neighbouring rows use the two halves of a line the other way round, so that the fragments of 2
 * rows of 4 lanes touch every bank once. */
DEV_FN int chunk_at(int row, int chunk) { return row * CHUNKS + (chunk ^ (row & 1) << 2); }

/* The order of the stages: for each sum its runs one after another, each in two halves. The run after this one: */
DEV_FN int next_run(int run, int runs) { return run + MMA_SUMS < runs ? run + MMA_SUMS : run % MMA_SUMS + 1; }

/* Half a run on its way to shared memory, 6 chunks per thread. start: where the rows of W and of x begin; there are cols and rows of them. */
template <typename T> DEV_FN void load_stage(const linear_args &a, uint4 *stage, const T *const *start, int cols, int rows, int run, int half)
{
    const int chunk = int(threadIdx.x) % CHUNKS, k = run * MMA_RUN + half * TERMS + chunk * 8;
#pragma unroll
    for (int i = 0; i < STAGE_ROWS / 32; i++) {
        const int row = int(threadIdx.x) / CHUNKS + 32 * i;
        uint4 *to = &stage[chunk_at(row, chunk)];
        const T *p = start[row];
        const bool there = k < a.k && (i < COLS / 32 ? row < cols : row - COLS < rows);
        if (i < COLS / 32 || a.x_wide) {
            dev_copy_async<16>(to, p + (there ? k : 0), there ? 16 : 0);
        } else {
            uint32_t words[4] = { 0, 0, 0, 0 };
#pragma unroll
            for (int j = 0; j < 8; j++)
                if (there) words[j / 2] |= uint32_t(dev_load<uint16_t>(p + k + j)) << (j % 2 * 16);
            *to = make_uint4(words[0], words[1], words[2], words[3]);
        }
    }
}

template <typename T> __global__ void __launch_bounds__(THREADS, 2) blocks_kernel(linear_args a)
{
    DEV_DYN_SHARED(uint4, stages);
    const int row_tiles = (a.rows + ROWS - 1) / ROWS, row0 = int(blockIdx.x) % row_tiles * ROWS, col0 = int(blockIdx.x) / row_tiles * COLS;
    const int lane = dev_lane(), g = lane / 4, t = lane % 4, my_col = dev_warp() / 2 * 32, my_row = dev_warp() % 2 * 32;
    DEV_SHARED(const T *, start, [STAGE_ROWS]);
    const int cols = a.n - col0, rows = a.rows - row0;
    if (int(threadIdx.x) < COLS) {
        start[threadIdx.x] = linear_weight_row<T>(a, int(threadIdx.x) < cols ? col0 + int(threadIdx.x) : col0);
    } else if (int(threadIdx.x) < STAGE_ROWS) {
        const int row = int(threadIdx.x) - COLS;
        start[threadIdx.x] = static_cast<const T *>(a.x) + (row < rows ? row0 + row : row0) * a.x_stride;
    }
    __syncthreads();
    const int runs = (a.k + MMA_RUN - 1) / MMA_RUN, count = runs * 2;
    int ahead = 0, now = 0; /* the runs of the stages to load and to use next */
#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < count) load_stage<T>(a, stages + s * STAGE_ROWS * CHUNKS, start, cols, rows, ahead, s % 2);
        if (s % 2) ahead = next_run(ahead, runs);
        dev_copy_async_commit();
    }
    float sum[2][4][4], total[2][4][4];
#pragma unroll
    for (int i = 0; i < 32; i++) sum[i / 16][i / 4 % 4][i % 4] = total[i / 16][i / 4 % 4][i % 4] = 0.0f;

    for (int s = 0; s < count; s++) {
        dev_copy_async_wait<STAGES - 2>();
        __syncthreads(); /* stage s is there, and stage s - 1 has been used by all */
        if (s + STAGES - 1 < count) load_stage<T>(a, stages + (s + STAGES - 1) % STAGES * STAGE_ROWS * CHUNKS, start, cols, rows, ahead, (s + STAGES - 1) % 2);
        if ((s + STAGES - 1) % 2) ahead = next_run(ahead, runs);
        dev_copy_async_commit();
        const uint4 *stage = stages + s % STAGES * STAGE_ROWS * CHUNKS;
#pragma unroll
        for (int step = 0; step < TERMS / MMA_TERMS; step++) {
            uint4 w[2][2], x[4];
#pragma unroll
            for (int i = 0; i < 4; i++) w[i / 2][i % 2] = dev_load<uint4>(&stage[chunk_at(my_col + i * 8 + g, step * 4 + t)]);
#pragma unroll
            for (int i = 0; i < 4; i++) x[i] = dev_load<uint4>(&stage[chunk_at(COLS + my_row + i * 8 + g, step * 4 + t)]);
#pragma unroll
            for (int i = 0; i < 8; i++) mma_terms<T>(sum[i / 4][i % 4], w[i / 4][0], w[i / 4][1], x[i % 4]);
        }
        if (s % 2 && now + MMA_SUMS >= runs) { /* that was the last run of its sum */
            const bool first = now % MMA_SUMS == 0;
#pragma unroll
            for (int i = 0; i < 32; i++) {
                float &of = sum[i / 16][i / 4 % 4][i % 4], &all = total[i / 16][i / 4 % 4][i % 4];
                all = first ? of + 0.0f : all + (of + 0.0f);
                of = 0.0f;
            }
        }
        if (s % 2) now = next_run(now, runs);
    }
    /* Through shared memory, so that rows are written side by side. */
    float *tile = reinterpret_cast<float *>(stages);
    dev_copy_async_wait<0>();
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 32; i++)
        tile[(my_row + i / 4 % 4 * 8 + 2 * t + i % 2) * PITCH + my_col + i / 16 * 16 + g + i % 4 / 2 * 8] = total[i / 16][i / 4 % 4][i % 4];
    __syncthreads();
#pragma unroll 1
    for (int i = int(threadIdx.x); i < ROWS * COLS / 8; i += THREADS) {
        const int r = i / (COLS / 8), c = i % (COLS / 8) * 8;
        float v[8];
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = tile[r * PITCH + c + j];
        if (r < rows && c < cols) linear_store8(a.to, row0 + r, col0 + c, v, cols - c);
    }
}

template <typename T> cudaError_t launch(const linear_args &a, cudaStream_t stream)
{
    const unsigned blocks = unsigned((a.rows + ROWS - 1) / ROWS) * unsigned((a.n + COLS - 1) / COLS);
    constexpr size_t shared = STAGES * STAGE_ROWS * CHUNKS * sizeof(uint4);
    static_assert(shared >= ROWS * PITCH * sizeof(float), "the result takes the stages' place");
    return dev_launch(blocks_kernel<T>, dim3(blocks), dim3(THREADS), shared, stream, a);
}

} // namespace

cudaError_t linear_blocks(const linear_args &a, dtype type, cudaStream_t stream)
{
    return type == CUDDLE_BF16 ? launch<bf16>(a, stream) : launch<f16>(a, stream);
}
