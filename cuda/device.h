/* Everything in a kernel that is not plain C++, and nothing else.
 *
 * A .cu file includes this header and no other CUDA header. Under nvcc it is the real thing: builtins and the PTX below. Compiled by
 * the host's compiler it is tests/emulation/, where every lane is a fiber and each of these operations is checked: alignment, bounds,
 * who takes part, from which line. Plain builtins that both sides know: threadIdx .. gridDim, __syncthreads*(), __syncwarp(),
 * __shfl*_sync(), __ballot_sync(), __any_sync(), __all_sync(), __reduce_*_sync() (integers), atomic*(), __threadfence(), __ldg(), min(),
 * max(), __float_as_uint() and its kin, __popc(), __ffs(), __clz(), __umulhi(). What is missing there is added there first, with a test.
 *
 * cuda/README.md has the conventions, one page. */
#ifndef CUD_CUDA_DEVICE_H
#define CUD_CUDA_DEVICE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#else
#include <emulated_cuda.h>
#endif

typedef __nv_bfloat16 bf16;
typedef __half f16;

#define DEV_FN __device__ __forceinline__

enum { DEV_WARP = 32 };
constexpr unsigned DEV_ALL_LANES = 0xffffffffu;

/* ---------------------------------------------------------------------------------------------------- shared memory
 * DEV_SHARED(float, tile, [64][72]);  an array of the block, 16-byte aligned; not initialised
 * DEV_DYN_SHARED(bf16, ring);         what the launch asked for in `shared` bytes; once per kernel; 1024-byte aligned */
#ifdef __CUDACC__
#define DEV_SHARED(T, name, dims) __shared__ __align__(alignof(T) < 16 ? 16 : alignof(T)) T name dims
#define DEV_DYN_SHARED(T, name)                                         \
    extern __shared__ __align__(1024) unsigned char dev_dyn_shared_[];  \
    T *name = reinterpret_cast<T *>(dev_dyn_shared_)
#endif

/* ------------------------------------------------------------------------------------------------------------- PTX
 * dev_load<V>(p), dev_store<V>(p, v)        V = uint4, uint2, uint32_t, uint16_t ...: one access of sizeof(V) bytes, which p is aligned to
 * dev_load_stream<V>(p)                     the same for weights: global, read-only for the whole kernel, read once; not kept in L1
 * dev_store_stream<V>(p, v)                 for what this kernel does not read again
 * dev_prefetch_l2(p)                        a hint; any address will do
 * dev_copy_async<N>(s, g, valid)            N = 16, 8 or 4 bytes from global to shared memory, both aligned to N; the last N - valid are
 *                                           zeroed and not read; with valid = 0 any g will do
 * dev_copy_async_commit(), dev_copy_async_wait<M>()
 *                                           per thread: waits until at most the last M committed groups are in flight. Other threads
 *                                           see the bytes after a barrier that follows the wait
 * dev_ldmatrix(r, p), dev_ldmatrix_trans(r, p)
 *                                           r[1], r[2] or r[4]: 8x8 matrices of 16-bit elements; lane 8i + j gives the address of row j of
 *                                           matrix i (16-byte aligned, shared; with r[1] and r[2] the other lanes' must be valid too). Lane l gets
 *                                           elements (l/4, 2(l%4)) and the next, of each; transposed: (2(l%4), l/4) and the one below
 * dev_mma<T>(d, a, b0, b1)                  d += A B, A [16, 16], B [16, 8], T = bf16 or f16, sums in float. With g = lane / 4, t = lane % 4:
 *                                           a[0..3] = A[g][2t..], A[g+8][2t..], A[g][2t+8..], A[g+8][2t+8..]   (pairs along k)
 *                                           b0, b1  = B[2t..][g], B[2t+8..][g]                                 (pairs along k)
 *                                           d[0..3] = D[g][2t], D[g][2t+1], D[g+8][2t], D[g+8][2t+1]
 * All lanes of the warp take part in ldmatrix and mma. */
#ifdef __CUDACC__
template <typename V> DEV_FN V dev_load(const void *p) { return *static_cast<const V *>(p); }
template <typename V> DEV_FN void dev_store(void *p, V v) { *static_cast<V *>(p) = v; }
template <typename V> DEV_FN void dev_store_stream(void *p, V v) { __stcs(static_cast<V *>(p), v); }

template <typename V> DEV_FN V dev_load_stream(const void *p);
template <> DEV_FN uint4 dev_load_stream<uint4>(const void *p)
{
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.L2::256B.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(__cvta_generic_to_global(p)));
    return v;
}
template <> DEV_FN uint2 dev_load_stream<uint2>(const void *p)
{
    uint2 v;
    asm volatile("ld.global.nc.L1::no_allocate.L2::256B.v2.u32 {%0, %1}, [%2];"
                 : "=r"(v.x), "=r"(v.y)
                 : "l"(__cvta_generic_to_global(p)));
    return v;
}
template <> DEV_FN uint32_t dev_load_stream<uint32_t>(const void *p)
{
    uint32_t v;
    asm volatile("ld.global.nc.L1::no_allocate.L2::256B.u32 %0, [%1];" : "=r"(v) : "l"(__cvta_generic_to_global(p)));
    return v;
}
template <> DEV_FN uint16_t dev_load_stream<uint16_t>(const void *p)
{
    uint16_t v;
    asm volatile("ld.global.nc.L1::no_allocate.L2::256B.u16 %0, [%1];" : "=h"(v) : "l"(__cvta_generic_to_global(p)));
    return v;
}

DEV_FN void dev_prefetch_l2(const void *p) { asm volatile("prefetch.global.L2 [%0];" ::"l"(__cvta_generic_to_global(p))); }

DEV_FN uint32_t dev_shared_address(const void *p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

template <int N> DEV_FN void dev_copy_async(void *shared, const void *global, int valid = N)
{
    static_assert(N == 16 || N == 8 || N == 4, "cp.async copies 16, 8 or 4 bytes");
    if constexpr (N == 16) { /* .cg goes past L1 and exists for 16 bytes only */
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(dev_shared_address(shared)),
                     "l"(__cvta_generic_to_global(global)), "r"(valid)
                     : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(dev_shared_address(shared)),
                     "l"(__cvta_generic_to_global(global)), "n"(N), "r"(valid)
                     : "memory");
    }
}
DEV_FN void dev_copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int M> DEV_FN void dev_copy_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(M) : "memory"); }

DEV_FN void dev_ldmatrix(uint32_t (&r)[1], const void *p)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(dev_shared_address(p)) : "memory");
}
DEV_FN void dev_ldmatrix(uint32_t (&r)[2], const void *p)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(dev_shared_address(p))
                 : "memory");
}
DEV_FN void dev_ldmatrix(uint32_t (&r)[4], const void *p)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(dev_shared_address(p))
                 : "memory");
}
DEV_FN void dev_ldmatrix_trans(uint32_t (&r)[1], const void *p)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(dev_shared_address(p)) : "memory");
}
DEV_FN void dev_ldmatrix_trans(uint32_t (&r)[2], const void *p)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(dev_shared_address(p))
                 : "memory");
}
DEV_FN void dev_ldmatrix_trans(uint32_t (&r)[4], const void *p)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(dev_shared_address(p))
                 : "memory");
}

template <typename T> DEV_FN void dev_mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
template <> DEV_FN void dev_mma<bf16>(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <> DEV_FN void dev_mma<f16>(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#endif

/* ------------------------------------------------------------------------------------------------------- elementary
 * The first group is right to 1 or 2 units in the last place (CUDA C++ guide, "Mathematical Functions"); use it wherever float32
 * activations pass. dev_exp_fast: ex2.approx, error 2 + |1.2 x| units, results below 2^-126 become 0: for scores of 16-bit types. */
DEV_FN float dev_exp(float x) { return expf(x); }
DEV_FN float dev_log(float x) { return logf(x); }
DEV_FN float dev_rsqrt(float x) { return rsqrtf(x); }
DEV_FN float dev_tanh(float x) { return tanhf(x); }
DEV_FN float dev_erf(float x) { return erff(x); }
DEV_FN float dev_exp_fast(float x) { return __expf(x); }

/* ------------------------------------------------------------------------------------------------------ conversions
 * 16-bit types are stored and converted, never computed with: to float, compute, round once (to nearest even). */
DEV_FN float dev_float(float v) { return v; }
DEV_FN float dev_float(bf16 v) { return __bfloat162float(v); }
DEV_FN float dev_float(f16 v) { return __half2float(v); }

template <typename T> DEV_FN T dev_from(float v);
template <> DEV_FN float dev_from<float>(float v) { return v; }
template <> DEV_FN bf16 dev_from<bf16>(float v) { return __float2bfloat16_rn(v); }
template <> DEV_FN f16 dev_from<f16>(float v) { return __float2half_rn(v); }

/* Two elements in a register as ldmatrix and mma want them: the first in the low half. */
template <typename T> DEV_FN uint32_t dev_pack2(float low, float high);
template <> DEV_FN uint32_t dev_pack2<bf16>(float low, float high)
{
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t *>(&pair);
}
template <> DEV_FN uint32_t dev_pack2<f16>(float low, float high)
{
    const __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<const uint32_t *>(&pair);
}
template <typename T> DEV_FN float2 dev_unpack2(uint32_t bits);
template <> DEV_FN float2 dev_unpack2<bf16>(uint32_t bits) { return make_float2(__uint_as_float(bits << 16), __uint_as_float(bits & 0xffff0000u)); }
template <> DEV_FN float2 dev_unpack2<f16>(uint32_t bits) { return __half22float2(*reinterpret_cast<const __half2 *>(&bits)); }

/* 16 bytes of T as floats and back: 4 float or 8 of a 16-bit type. */
template <typename T> constexpr int dev_per16 = 16 / int(sizeof(T));

template <typename T> DEV_FN void dev_unpack16(float (&out)[dev_per16<T>], uint4 v)
{
    const uint32_t words[4] = { v.x, v.y, v.z, v.w };
#pragma unroll
    for (int i = 0; i < 4; i++) {
        if constexpr (sizeof(T) == 4) {
            out[i] = __uint_as_float(words[i]);
        } else {
            const float2 pair = dev_unpack2<T>(words[i]);
            out[2 * i] = pair.x;
            out[2 * i + 1] = pair.y;
        }
    }
}
template <typename T> DEV_FN uint4 dev_pack16(const float (&in)[dev_per16<T>])
{
    if constexpr (sizeof(T) == 4) {
        return make_uint4(__float_as_uint(in[0]), __float_as_uint(in[1]), __float_as_uint(in[2]), __float_as_uint(in[3]));
    } else {
        return make_uint4(dev_pack2<T>(in[0], in[1]), dev_pack2<T>(in[2], in[3]), dev_pack2<T>(in[4], in[5]), dev_pack2<T>(in[6], in[7]));
    }
}

/* ------------------------------------------------------------------------------------------------------- reductions
 * The order of every sum is fixed by the number of lanes or threads alone. */
DEV_FN int dev_lane() { return int(threadIdx.x) % DEV_WARP; }
DEV_FN int dev_warp() { return int(threadIdx.x) / DEV_WARP; }

/* Over each aligned group of WIDTH lanes; every lane gets the result. The whole warp takes part. */
template <int WIDTH = DEV_WARP> DEV_FN float dev_warp_sum(float v)
{
#pragma unroll
    for (int bit = WIDTH / 2; bit > 0; bit /= 2) v += __shfl_xor_sync(DEV_ALL_LANES, v, bit);
    return v;
}
template <int WIDTH = DEV_WARP> DEV_FN float dev_warp_max(float v)
{
#pragma unroll
    for (int bit = WIDTH / 2; bit > 0; bit /= 2) v = fmaxf(v, __shfl_xor_sync(DEV_ALL_LANES, v, bit));
    return v;
}

/* Over a block of THREADS threads in x; every thread takes part and gets the result. Also a barrier. */
template <int THREADS> DEV_FN float dev_block_sum(float v)
{
    constexpr int WARPS = THREADS / DEV_WARP;
    static_assert(THREADS % DEV_WARP == 0, "blocks are whole warps");
    DEV_SHARED(float, partial, [WARPS]);
    v = dev_warp_sum(v);
    __syncthreads(); /* the last call's partial sums have been read */
    if (dev_lane() == 0) partial[dev_warp()] = v;
    __syncthreads();
    float sum = 0.0f;
#pragma unroll
    for (int w = 0; w < WARPS; w++) sum += partial[w];
    return sum;
}
template <int THREADS> DEV_FN float dev_block_max(float v)
{
    constexpr int WARPS = THREADS / DEV_WARP;
    static_assert(THREADS % DEV_WARP == 0, "blocks are whole warps");
    DEV_SHARED(float, partial, [WARPS]);
    v = dev_warp_max(v);
    __syncthreads();
    if (dev_lane() == 0) partial[dev_warp()] = v;
    __syncthreads();
    float most = partial[0];
#pragma unroll
    for (int w = 1; w < WARPS; w++) most = fmaxf(most, partial[w]);
    return most;
}

/* ----------------------------------------------------------------------------------------------------------- launch
 * dev_launch(kernel, grid, block, shared, stream, args...): the only way a kernel is launched. A launch that cannot be is reported here
 * and not by a later call. `shared` is the dynamic shared memory in bytes; more than 48 KiB is asked for first. A grid of zero blocks is
 * an error in CUDA: return before it. */
template <typename... Params, typename... Args>
static inline cudaError_t dev_launch(void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared, cudaStream_t stream, Args... args)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared;
    config.stream = stream;
    if (shared > 48 * 1024) {
        const cudaError_t refused = cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared));
        if (refused != cudaSuccess) return refused;
    }
    return cudaLaunchKernelEx(&config, kernel, Params(args)...);
}

#endif
