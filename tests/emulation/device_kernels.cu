#include "device.h"

#include "device_kernels.h"

__global__ void warp_kernel(int *out, const int *in)
{
    const int lane = dev_lane(), v = in[lane];
    int *o = out + lane;
    o[0 * 32] = __shfl_sync(DEV_ALL_LANES, v, lane * 7 + 3);
    o[1 * 32] = __shfl_sync(DEV_ALL_LANES, v, 5, 8);
    o[2 * 32] = __shfl_xor_sync(DEV_ALL_LANES, v, 5);
    o[3 * 32] = __shfl_xor_sync(DEV_ALL_LANES, v, 16, 16);
    o[4 * 32] = __shfl_down_sync(DEV_ALL_LANES, v, 3);
    o[5 * 32] = __shfl_down_sync(DEV_ALL_LANES, v, 3, 8);
    o[6 * 32] = __shfl_up_sync(DEV_ALL_LANES, v, 2);
    o[7 * 32] = __shfl_up_sync(DEV_ALL_LANES, v, 2, 8);
    o[8 * 32] = int(__ballot_sync(DEV_ALL_LANES, v % 3 == 0));
    o[9 * 32] = __any_sync(DEV_ALL_LANES, v == in[31]);
    o[10 * 32] = __all_sync(DEV_ALL_LANES, v == in[31]);
    o[11 * 32] = __reduce_add_sync(DEV_ALL_LANES, v);
    o[12 * 32] = __reduce_min_sync(DEV_ALL_LANES, v);
    o[13 * 32] = __reduce_max_sync(DEV_ALL_LANES, v);
    o[14 * 32] = int(__reduce_xor_sync(DEV_ALL_LANES, unsigned(v)));
    o[15 * 32] = int(dev_warp_sum<8>(float(v)));
    o[16 * 32] = int(dev_warp_max(float(v)));
    o[17 * 32] = -1;
    if (lane < 16) o[17 * 32] = __shfl_xor_sync(0x0000ffffu, v, 8); /* half a warp on its own */
    o[18 * 32] = __syncthreads_count(v % 2) + 100 * __syncthreads_or(v == in[0]) + 1000 * __syncthreads_and(v == in[0]);
}
cudaError_t run_warp_ops(int *out, const int *in, cudaStream_t stream) { return dev_launch(warp_kernel, dim3(1), dim3(32), 0, stream, out, in); }

/* ---- tensor cores ---- */

DEV_FN uint32_t pair_at(const uint16_t *p) { return p[0] | uint32_t(p[1]) << 16; }

template <typename T>
__global__ void mma_kernel(float *d, const uint16_t *a, const uint16_t *a_trans, const uint16_t *b_nk, const uint16_t *b_kn, int way)
{
    DEV_SHARED(uint16_t, ta, [16][24]);
    DEV_SHARED(uint16_t, tb, [16][24]);
    const int lane = dev_lane(), g = lane / 4, t = lane % 4 * 2;
    float acc[4] = { d[g * 8 + t], d[g * 8 + t + 1], d[(g + 8) * 8 + t], d[(g + 8) * 8 + t + 1] };
    uint32_t fa[4], fb[2];
    if (way == 0) {
        fa[0] = pair_at(a + g * 16 + t);
        fa[1] = pair_at(a + (g + 8) * 16 + t);
        fa[2] = pair_at(a + g * 16 + t + 8);
        fa[3] = pair_at(a + (g + 8) * 16 + t + 8);
        fb[0] = pair_at(b_nk + g * 16 + t);
        fb[1] = pair_at(b_nk + g * 16 + t + 8);
    } else {
        const uint16_t *from_a = way == 1 ? a : a_trans;
        for (int i = lane; i < 256; i += 32) ta[i / 16][i % 16] = from_a[i];
        if (way == 1)
            for (int i = lane; i < 128; i += 32) tb[i / 16][i % 16] = b_nk[i];
        else
            for (int i = lane; i < 128; i += 32) tb[i / 8][i % 8] = b_kn[i];
        __syncwarp();
        const int j = lane % 8, m = lane / 8; /* row j of matrix m */
        if (way == 1) {
            dev_ldmatrix(fa, &ta[m % 2 * 8 + j][m / 2 * 8]);
            dev_ldmatrix(fb, &tb[j][m % 2 * 8]);
        } else {
            dev_ldmatrix_trans(fa, &ta[m / 2 * 8 + j][m % 2 * 8]);
            dev_ldmatrix_trans(fb, &tb[m % 2 * 8 + j][0]);
        }
    }
    dev_mma<T>(acc, fa, fb[0], fb[1]);
    d[g * 8 + t] = acc[0];
    d[g * 8 + t + 1] = acc[1];
    d[(g + 8) * 8 + t] = acc[2];
    d[(g + 8) * 8 + t + 1] = acc[3];
}
cudaError_t run_mma(float *d, const void *a, const void *a_trans, const void *b_nk, const void *b_kn, int way, int type, cudaStream_t stream)
{
    void (*kernel)(float *, const uint16_t *, const uint16_t *, const uint16_t *, const uint16_t *, int) = type ? mma_kernel<f16> : mma_kernel<bf16>;
    return dev_launch(kernel, dim3(1), dim3(32), 0, stream, d, static_cast<const uint16_t *>(a), static_cast<const uint16_t *>(a_trans),
                      static_cast<const uint16_t *>(b_nk), static_cast<const uint16_t *>(b_kn), way);
}

template <int N> DEV_FN void keep(uint32_t *out, const uint32_t (&r)[N])
{
    for (int i = 0; i < N; i++) out[i * 32 + dev_lane()] = r[i];
}
__global__ void ldmatrix_kernel(uint32_t *out, const uint16_t *in)
{
    DEV_SHARED(uint16_t, tile, [32][8]); /* four matrices */
    for (int i = dev_lane(); i < 256; i += 32) tile[i / 8][i % 8] = in[i];
    __syncwarp();
    uint32_t r1[1], r2[2], r4[4];
    dev_ldmatrix(r1, &tile[dev_lane()][0]), keep(out + 0 * 128, r1);
    dev_ldmatrix(r2, &tile[dev_lane()][0]), keep(out + 1 * 128, r2);
    dev_ldmatrix(r4, &tile[dev_lane()][0]), keep(out + 2 * 128, r4);
    dev_ldmatrix_trans(r1, &tile[dev_lane()][0]), keep(out + 3 * 128, r1);
    dev_ldmatrix_trans(r2, &tile[dev_lane()][0]), keep(out + 4 * 128, r2);
    dev_ldmatrix_trans(r4, &tile[dev_lane()][0]), keep(out + 5 * 128, r4);
}
cudaError_t run_ldmatrix(uint32_t *out, const uint16_t *in, cudaStream_t stream) { return dev_launch(ldmatrix_kernel, dim3(1), dim3(32), 0, stream, out, in); }

/* ---- memory ---- */

template <int BYTES> __global__ void __launch_bounds__(128) copy_async_kernel(float *out, const float *in, int count)
{
    constexpr int FLOATS = BYTES / 4;
    DEV_SHARED(float, buffer, [2][128]);
    const int tiles = (count + 127) / 128, first = int(threadIdx.x) * FLOATS;
    const auto fetch = [&](int tile) {
        const int left = count - tile * 128 - first, valid = left <= 0 ? 0 : left < FLOATS ? left * 4 : BYTES;
        if (first < 128) dev_copy_async<BYTES>(&buffer[tile % 2][first], valid ? in + tile * 128 + first : nullptr, valid);
        dev_copy_async_commit();
    };
    float sum = 0.0f;
    fetch(0);
    for (int tile = 0; tile < tiles; tile++) {
        if (tile + 1 < tiles) fetch(tile + 1);
        else dev_copy_async_commit();
        dev_copy_async_wait<1>();
        __syncthreads();
        sum += buffer[tile % 2][127 - threadIdx.x];
        __syncthreads();
    }
    out[127 - threadIdx.x] = sum;
}
cudaError_t run_copy_async(float *out, const float *in, int count, int bytes, cudaStream_t stream)
{
    void (*kernel)(float *, const float *, int) = bytes == 16 ? copy_async_kernel<16> : bytes == 8 ? copy_async_kernel<8> : copy_async_kernel<4>;
    return dev_launch(kernel, dim3(1), dim3(128), 0, stream, out, in, count);
}

template <int THREADS> __global__ void __launch_bounds__(THREADS) block_reduce_kernel(float *out, const float *in)
{
    const float v = in[threadIdx.x];
    const float sum = dev_block_sum<THREADS>(v), most = dev_block_max<THREADS>(v), squares = dev_block_sum<THREADS>(v * v);
    if (threadIdx.x == THREADS - 1) {
        out[0] = sum;
        out[1] = most;
        out[2] = squares;
    }
}
cudaError_t run_block_reduce(float *out, const float *in, int threads, cudaStream_t stream)
{
    void (*kernel)(float *, const float *) = threads == 32 ? block_reduce_kernel<32> : threads == 96 ? block_reduce_kernel<96> : block_reduce_kernel<256>;
    return dev_launch(kernel, dim3(1), dim3(unsigned(threads)), 0, stream, out, in);
}

template <typename V> DEV_FN void move_vector(char *out, const char *in, bool stream)
{
    if (stream) dev_store_stream<V>(out, dev_load_stream<V>(in));
    else dev_store<V>(out, dev_load<V>(in));
}
__global__ void vectors_kernel(char *out, const char *in)
{
    char *to = out + threadIdx.x * 64;
    const char *from = in + threadIdx.x * 64;
    dev_prefetch_l2(from);
    for (int i = 0; i < 2; i++) {
        move_vector<uint4>(to + i * 16, from + i * 16, i);
        move_vector<uint2>(to + 32 + i * 8, from + 32 + i * 8, i);
        move_vector<uint32_t>(to + 48 + i * 4, from + 48 + i * 4, i);
    }
    for (int i = 0; i < 4; i++) dev_store<uint16_t>(to + 56 + i * 2, i % 2 ? dev_load_stream<uint16_t>(from + 56 + i * 2) : dev_load<uint16_t>(from + 56 + i * 2));
}
cudaError_t run_vectors(void *out, const void *in, int threads, cudaStream_t stream)
{
    return dev_launch(vectors_kernel, dim3(1), dim3(unsigned(threads)), 0, stream, static_cast<char *>(out), static_cast<const char *>(in));
}

template <typename T> __global__ void convert_kernel(T *out, const T *in)
{
    constexpr int N = dev_per16<T>;
    float v[N];
    dev_unpack16<T>(v, dev_load<uint4>(in));
    dev_store<uint4>(out, dev_pack16<T>(v));
    for (int i = N; i < 8; i++) out[i] = dev_from<T>(dev_float(in[i]));
}
cudaError_t run_convert(void *out, const void *in, int type, cudaStream_t stream)
{
    if (type == 0) return dev_launch(convert_kernel<bf16>, dim3(1), dim3(1), 0, stream, static_cast<bf16 *>(out), static_cast<const bf16 *>(in));
    if (type == 1) return dev_launch(convert_kernel<f16>, dim3(1), dim3(1), 0, stream, static_cast<f16 *>(out), static_cast<const f16 *>(in));
    return dev_launch(convert_kernel<float>, dim3(1), dim3(1), 0, stream, static_cast<float *>(out), static_cast<const float *>(in));
}

/* ---- between blocks and lanes ---- */

__global__ void __launch_bounds__(64) last_block_kernel(float *out, float *partial, unsigned *counter, const float *in, int count)
{
    DEV_SHARED(bool, last, [1]);
    float sum = 0.0f;
    for (int i = int(blockIdx.x * 64 + threadIdx.x); i < count; i += int(gridDim.x) * 64) sum += in[i];
    sum = dev_block_sum<64>(sum);
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = sum;
        __threadfence();
        last[0] = atomicAdd(counter, 1u) == gridDim.x - 1;
        __threadfence();
    }
    __syncthreads();
    if (!last[0]) return;
    float all = 0.0f;
    for (unsigned b = threadIdx.x; b < gridDim.x; b += 64) all += partial[b];
    all = dev_block_sum<64>(all);
    if (threadIdx.x == 0) {
        *out = all;
        *counter = 0;
    }
}
cudaError_t run_last_block(float *out, float *partial, unsigned *counter, const float *in, int count, cudaStream_t stream)
{
    return dev_launch(last_block_kernel, dim3(7), dim3(64), 0, stream, out, partial, counter, in, count);
}

__global__ void atomics_kernel(unsigned *out)
{
    atomicAdd(&out[0], threadIdx.x);
    atomicMax(&out[1], threadIdx.x);
    atomicMin(&out[2], threadIdx.x + 5);
    atomicOr(&out[3], 1u << threadIdx.x % 32);
    if (atomicCAS(&out[4], 0u, threadIdx.x + 1) == 0) atomicExch(&out[4], 77u);
    atomicInc(&out[5], 9u);
}
cudaError_t run_atomics(unsigned *out, cudaStream_t stream) { return dev_launch(atomics_kernel, dim3(2), dim3(64), 0, stream, out); }

__global__ void syncwarp_kernel(float *out, const float *in)
{
    DEV_SHARED(float, s, [64]);
    for (int pass = 0; pass < 3; pass++) {
        s[threadIdx.x] = in[threadIdx.x];
        __syncwarp();
        out[threadIdx.x] = s[threadIdx.x ^ 1];
        __syncwarp();
    }
}
cudaError_t run_syncwarp(float *out, const float *in, cudaStream_t stream) { return dev_launch(syncwarp_kernel, dim3(1), dim3(64), 0, stream, out, in); }

__global__ void dynamic_kernel(float *out, const float *in, int count)
{
    DEV_DYN_SHARED(float, s);
    for (int i = int(threadIdx.x); i < count; i += int(blockDim.x)) s[i] = in[i];
    __syncthreads();
    for (int i = int(threadIdx.x); i < count; i += int(blockDim.x)) out[i] = s[count - 1 - i];
}
cudaError_t run_dynamic(float *out, const float *in, int count, size_t bytes, cudaStream_t stream)
{
    return dev_launch(dynamic_kernel, dim3(1), dim3(128), bytes, stream, out, in, count);
}

__global__ void math_kernel(float *out, const float *x)
{
    out[0] = dev_exp(*x);
    out[1] = dev_log(*x);
    out[2] = dev_rsqrt(*x);
    out[3] = dev_tanh(*x);
    out[4] = dev_erf(*x);
    out[5] = dev_exp_fast(*x);
    out[6] = __ldg(x);
}
cudaError_t run_math(float *out, const float *x, cudaStream_t stream) { return dev_launch(math_kernel, dim3(1), dim3(1), 0, stream, out, x); }

/* Lane i rounds in[2i] and in[2i + 1]. */
__global__ void round_kernel(uint32_t *out, const float *in)
{
    const float low = in[2 * dev_lane()], high = in[2 * dev_lane() + 1];
    uint32_t *o = out + dev_lane();
    o[0 * 32] = __bfloat16_as_ushort(dev_from<bf16>(low));
    o[1 * 32] = __half_as_ushort(dev_from<f16>(low));
    o[2 * 32] = dev_pack2<bf16>(low, high);
    o[3 * 32] = dev_pack2<f16>(low, high);
    o[4 * 32] = __float_as_uint(dev_unpack2<bf16>(o[2 * 32]).y);
    o[5 * 32] = __float_as_uint(dev_unpack2<f16>(o[3 * 32]).y);
}
cudaError_t run_round(uint32_t *out, const float *in, cudaStream_t stream) { return dev_launch(round_kernel, dim3(1), dim3(32), 0, stream, out, in); }
