#include "device.h"

#include "bug_kernels.h"

template <int BUG> __global__ void __launch_bounds__(128) bug_kernel_of(float *out, float *in, unsigned *counter, int n)
{
    const int i = int(threadIdx.x);
    DEV_SHARED(float, s, [128]);
    if constexpr (BUG == BUG_DIVERGENT_BARRIER) {
        if (i < 100) __syncthreads();
        out[i] = in[i];
    }
    if constexpr (BUG == BUG_EXIT_BEFORE_BARRIER) {
        if (i >= n) return;
        s[i] = in[i];
        __syncthreads();
        out[i] = s[i];
    }
    if constexpr (BUG == BUG_TWO_BARRIERS) {
        if (i < 64) {
            __syncthreads();
        } else {
            __syncthreads();
        }
        out[i] = in[i];
    }
    if constexpr (BUG == BUG_MISSING_BARRIER) {
        s[i] = in[i];
        out[i] = s[(i + 1) % 128];
    }
    if constexpr (BUG == BUG_DEVICE_OFF_BY_ONE) {
        if (i <= n) out[i] = in[i];
    }
    if constexpr (BUG == BUG_SHARED_OUT_OF_BOUNDS) {
        s[i + (i == 127)] = in[i];
        __syncthreads();
        out[i] = s[i];
    }
    if constexpr (BUG == BUG_DYNAMIC_OUT_OF_BOUNDS) {
        DEV_DYN_SHARED(float, d); /* 127 floats */
        d[i] = in[i];
        out[i] = d[i];
    }
    if constexpr (BUG == BUG_SHUFFLE_MISSING_LANES) {
        if (i < 16) out[i] = __shfl_xor_sync(DEV_ALL_LANES, in[i], 1);
    }
    if constexpr (BUG == BUG_SHUFFLE_MASKS_DIFFER) {
        out[i] = __shfl_xor_sync(i % 32 < 16 ? 0xffffffffu : 0xffff0000u, in[i], 1);
    }
    if constexpr (BUG == BUG_UNINITIALISED_SHARED) {
        if (i < 64) s[i] = in[i];
        __syncthreads();
        out[i] = s[i];
    }
    if constexpr (BUG == BUG_UNINITIALISED_DEVICE) {
        out[i] = out[i] + in[i];
    }
    if constexpr (BUG == BUG_READ_BEFORE_COPY_WAIT) {
        dev_copy_async<4>(&s[i], in + i);
        dev_copy_async_commit();
        out[i] = s[i];
        dev_copy_async_wait<0>();
    }
    if constexpr (BUG == BUG_COPY_OVERWRITES) { /* no barrier before the buffer is used again */
        for (int pass = 0; pass < 2; pass++) {
            dev_copy_async<4>(&s[i], in + i);
            dev_copy_async_commit();
            dev_copy_async_wait<0>();
            __syncthreads();
            out[i] = s[127 - i];
        }
    }
    if constexpr (BUG == BUG_COPY_LEFT_IN_FLIGHT) {
        dev_copy_async<4>(&s[i], in + i);
        dev_copy_async_commit();
        out[i] = 0;
    }
    if constexpr (BUG == BUG_MISALIGNED_STRUCT) {
        if (i < 32) reinterpret_cast<float2 *>(out)[i] = reinterpret_cast<const float2 *>(in + 1)[i];
    }
    if constexpr (BUG == BUG_MISALIGNED_LOAD) {
        out[i] = __uint_as_float(dev_load<uint4>(in + 1).x);
    }
    if constexpr (BUG == BUG_WRITE_RACE) {
        out[i / 2] = in[i];
    }
    if constexpr (BUG == BUG_WRITE_RACE_OF_BLOCKS) {
        out[i] = in[i] + float(blockIdx.x);
    }
    if constexpr (BUG == BUG_READ_WRITE_RACE) { /* within a warp, in device memory */
        out[i] = in[i ^ 1];
        in[i] = 1.0f;
    }
    if constexpr (BUG == BUG_SHUFFLE_AS_BARRIER) {
        s[i] = in[i];
        const float other = __shfl_xor_sync(DEV_ALL_LANES, in[i], 1);
        out[i] = s[i ^ 1] + other;
    }
    if constexpr (BUG == BUG_HALF_SYNCWARP) { /* each half waits for itself, and reads the other */
        s[i] = in[i];
        __syncwarp(i % 32 < 16 ? 0x0000ffffu : 0xffff0000u);
        out[i] = s[i ^ 16];
    }
    if constexpr (BUG == BUG_NO_THREADFENCE) {
        if (i == 0) {
            out[blockIdx.x] = in[blockIdx.x];
            if (atomicAdd(counter, 1u) == gridDim.x - 1) out[2] = out[0] + out[1];
        }
    }
    if constexpr (BUG == BUG_ATOMIC_AND_PLAIN) {
        if (i < 127) atomicAdd(counter, 1u);
        else *counter = 5;
    }
    if constexpr (BUG == BUG_LDMATRIX_FROM_DEVICE) {
        uint32_t r[1];
        dev_ldmatrix(r, in + i % 8 * 4);
        out[i] = __uint_as_float(r[0]);
    }
    if constexpr (BUG == BUG_LDMATRIX_MISALIGNED) {
        uint32_t r[1];
        s[i] = in[i];
        __syncthreads();
        dev_ldmatrix(r, &s[i % 8 * 4 + 1]);
        out[i] = __uint_as_float(r[0]);
    }
    if constexpr (BUG == BUG_HOST_POINTER) {
        out[i] = **reinterpret_cast<float **>(in);
    }
}

template <int BUG> static cudaError_t launch(float *out, float *in, unsigned *counter, int n, cudaStream_t stream)
{
    const bool two_blocks = BUG == BUG_WRITE_RACE_OF_BLOCKS || BUG == BUG_NO_THREADFENCE;
    const size_t shared = BUG == BUG_DYNAMIC_OUT_OF_BOUNDS ? 127 * sizeof(float) : 0;
    return dev_launch(bug_kernel_of<BUG>, dim3(two_blocks ? 2 : 1), dim3(128), shared, stream, out, in, counter, n);
}

template <int BUG = 0> static cudaError_t find(int which, float *out, float *in, unsigned *counter, int n, cudaStream_t stream)
{
    if constexpr (BUG == BUG_KERNELS) {
        return cudaErrorInvalidValue;
    } else {
        return which == BUG ? launch<BUG>(out, in, counter, n, stream) : find<BUG + 1>(which, out, in, counter, n, stream);
    }
}

cudaError_t run_bug(bug_kernel which, float *out, float *in, unsigned *counter, int n, cudaStream_t stream)
{
    return find(which, out, in, counter, n, stream);
}
