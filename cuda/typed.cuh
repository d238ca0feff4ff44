/* Elements whose type is known at run time: one branch per access, the same way for every thread. For what memory or latency bounds
 * anyway (row ops, epilogues), so that those kernels exist once instead of once per combination of types. */
#ifndef CUD_CUDA_TYPED_CUH
#define CUD_CUDA_TYPED_CUH

#include "device.h"

#include "core/tensor.h"

DEV_FN float typed_load(const void *p, int type, int64_t i)
{
    switch (type) {
    case CUDDLE_F32: return static_cast<const float *>(p)[i];
    case CUDDLE_BF16: return dev_float(static_cast<const bf16 *>(p)[i]);
    default: return dev_float(static_cast<const f16 *>(p)[i]);
    }
}

DEV_FN void typed_store(void *p, int type, int64_t i, float v)
{
    switch (type) {
    case CUDDLE_F32: static_cast<float *>(p)[i] = v; return;
    case CUDDLE_BF16: static_cast<bf16 *>(p)[i] = dev_from<bf16>(v); return;
    default: static_cast<f16 *>(p)[i] = dev_from<f16>(v); return;
    }
}

/* N (4 or 8) elements from p + i on as floats. `wide`: p, and so every row, is 16-byte aligned and i a multiple of N; else, and where
 * fewer than N are `left`, one by one. What is not left is zero. */
template <typename T, int N> DEV_FN void load_elements(float (&v)[N], const T *p, int left, bool wide)
{
    static_assert(N == 4 || N == 8, "16 bytes of some type");
    if (wide && left >= N) {
        if constexpr (N * sizeof(T) == 8) {
            const uint2 bits = dev_load<uint2>(p);
            const float2 low = dev_unpack2<T>(bits.x), high = dev_unpack2<T>(bits.y);
            v[0] = low.x, v[1] = low.y, v[2] = high.x, v[3] = high.y;
        } else {
#pragma unroll
            for (int i = 0; i < N; i += dev_per16<T>) {
                float part[dev_per16<T>];
                dev_unpack16<T>(part, dev_load<uint4>(p + i));
#pragma unroll
                for (int j = 0; j < dev_per16<T>; j++) v[i + j] = part[j];
            }
        }
    } else {
#pragma unroll
        for (int i = 0; i < N; i++) v[i] = i < left ? dev_float(p[i]) : 0.0f;
    }
}
template <int N> DEV_FN void typed_load_some(float (&v)[N], const void *p, int type, int64_t i, int left, bool wide)
{
    switch (type) {
    case CUDDLE_F32: return load_elements(v, static_cast<const float *>(p) + i, left, wide);
    case CUDDLE_BF16: return load_elements(v, static_cast<const bf16 *>(p) + i, left, wide);
    default: return load_elements(v, static_cast<const f16 *>(p) + i, left, wide);
    }
}

template <typename T, int N> DEV_FN void store_elements(T *p, const float (&v)[N], int left, bool wide)
{
    static_assert(N == 4 || N == 8, "16 bytes of some type");
    if (wide && left >= N) {
        if constexpr (N * sizeof(T) == 8) {
            dev_store<uint2>(p, make_uint2(dev_pack2<T>(v[0], v[1]), dev_pack2<T>(v[2], v[3])));
        } else {
#pragma unroll
            for (int i = 0; i < N; i += dev_per16<T>) {
                float part[dev_per16<T>];
#pragma unroll
                for (int j = 0; j < dev_per16<T>; j++) part[j] = v[i + j];
                dev_store<uint4>(p + i, dev_pack16<T>(part));
            }
        }
    } else {
#pragma unroll
        for (int i = 0; i < N; i++)
            if (i < left) p[i] = dev_from<T>(v[i]);
    }
}
template <int N> DEV_FN void typed_store_some(void *p, int type, int64_t i, const float (&v)[N], int left, bool wide)
{
    switch (type) {
    case CUDDLE_F32: return store_elements(static_cast<float *>(p) + i, v, left, wide);
    case CUDDLE_BF16: return store_elements(static_cast<bf16 *>(p) + i, v, left, wide);
    default: return store_elements(static_cast<f16 *>(p) + i, v, left, wide);
    }
}

/* 8 elements from one place to another; bits stay as they are where the types are the same (a conversion would touch NaNs). */
template <typename BITS> DEV_FN void copy_elements(BITS *to, const BITS *from, int left, bool wide)
{
    constexpr int PER16 = 16 / int(sizeof(BITS));
    if (wide && left >= 8) {
#pragma unroll
        for (int i = 0; i < 8; i += PER16) dev_store<uint4>(to + i, dev_load<uint4>(from + i));
    } else {
#pragma unroll
        for (int i = 0; i < 8; i++)
            if (i < left) to[i] = from[i];
    }
}
DEV_FN void typed_copy8(void *to, int to_type, int64_t to_at, const void *from, int from_type, int64_t from_at, int left, bool wide)
{
    if (to_type != from_type) {
        float v[8];
        typed_load_some(v, from, from_type, from_at, left, wide);
        typed_store_some(to, to_type, to_at, v, left, wide);
    } else if (to_type == CUDDLE_F32) {
        copy_elements(static_cast<uint32_t *>(to) + to_at, static_cast<const uint32_t *>(from) + from_at, left, wide);
    } else {
        copy_elements(static_cast<uint16_t *>(to) + to_at, static_cast<const uint16_t *>(from) + from_at, left, wide);
    }
}

/* On the host: every row (and head) of t begins at a multiple of 16 bytes. */
static inline bool typed_wide(const void *data, dtype type, int64_t stride0, int64_t stride1 = 0)
{
    const int64_t size = int64_t(cud_dtype_size(type));
    return reinterpret_cast<uintptr_t>(data) % 16 == 0 && stride0 * size % 16 == 0 && stride1 * size % 16 == 0;
}
static inline bool typed_wide(const tensor &t) { return typed_wide(t.data, t.type, t.rank > 1 ? t.stride[0] : 0, t.rank > 2 ? t.stride[1] : 0); }

#endif
