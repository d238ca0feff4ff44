/* What linear's kernels share: their arguments, how x and W are read, and what becomes of a sum.
 *
 * Two reduction orders, each kept by two or more kernels bit for bit, so that which of them runs is a matter of speed alone:
 *
 * "lanes" (any types, CUDA cores; linear_few.cu, linear_tiled.cu). E = elements of W in 16 bytes. Term k belongs to sum (k / E) % 32, each
 *     of which adds its terms with fused multiply-adds, k ascending, and at last 0.0 (so that padding with zeros changes nothing, not even
 *     the sign of a zero). Then sum i += sum (i ^ s) for s = 4, 2, 1, 8, 16.
 * "mma" (both sides bfloat16 or both float16, tensor cores; linear_skinny.cu, linear_blocks.cu). Term k belongs to sum (k / 128) % 8, each
 *     of which goes through the mma of 32 terms after 32 terms (fragments: mma_terms() below), k ascending. Then the sums are added
 *     one after another, from 0 to the last that has terms.
 *
 * Neither depends on the number of rows, a row's place, n or where the cuts between segments are. */
#ifndef CUD_CUDA_LINEAR_CUH
#define CUD_CUDA_LINEAR_CUH

#include "activation.cuh"
#include "typed.cuh"

#include "core/weight.h"

#include <type_traits>

/* cap(act(sum + bias) * scale) + residual, stored as out's type. */
struct linear_output {
    void *out;
    const void *bias, *residual; /* NULL: none */
    int64_t out_stride, residual_stride;
    int out_type, bias_type, residual_type;
    int act;
    float scale, soft_cap; /* 1 and 0: none */
    bool wide;             /* what is there of out, bias and residual is 16-byte aligned, their rows too */
};

struct linear_args {
    const void *x;
    int64_t x_stride;
    int x_type;
    bool x_wide; /* rows of x are 16-byte aligned */
    int rows, n, k;
    int segments;
    const void *w[CUD_MAX_SEGMENTS];
    int first[CUD_MAX_SEGMENTS]; /* column of out where a segment begins */
    linear_output to;
};

/* The launchers, by kernel. W's rows (transposed: rows of n) may have any alignment where `w_wide` is false. All take any number of rows
 * >= 1 with n >= 1. */
cudaError_t linear_few(const linear_args &a, dtype w, bool transposed, bool w_wide, cudaStream_t stream);
cudaError_t linear_tiled(const linear_args &a, dtype w, bool transposed, bool w_wide, cudaStream_t stream);
/* x and W of one 16-bit type, W not transposed and wide: k a multiple of 8, segments 16-byte aligned. */
cudaError_t linear_skinny(const linear_args &a, dtype type, int multiprocessors, cudaStream_t stream);
cudaError_t linear_blocks(const linear_args &a, dtype type, cudaStream_t stream);

/* ---- reading ---- */

/* Row n of W, which is not transposed. */
template <typename W> DEV_FN const W *linear_weight_row(const linear_args &a, int n)
{
    const void *w = a.w[0];
    int first = 0;
#pragma unroll
    for (int s = 1; s < CUD_MAX_SEGMENTS; s++)
        if (s < a.segments && n >= a.first[s]) w = a.w[s], first = a.first[s];
    return static_cast<const W *>(w) + int64_t(n - first) * a.k;
}

/* 16 bytes of a weight that is read once; where it is not aligned or fewer than 16 bytes are left, one by one and then zeros. */
template <typename W, bool WIDE> DEV_FN uint4 linear_load_weight(const W *p, int left)
{
    if constexpr (WIDE) {
        return dev_load_stream<uint4>(p);
    } else {
        uint32_t words[4] = { 0, 0, 0, 0 };
#pragma unroll
        for (int i = 0; i < dev_per16<W>; i++) {
            if (i >= left) continue;
            if constexpr (sizeof(W) == 4) words[i] = dev_load<uint32_t>(p + i);
            else words[i / 2] |= uint32_t(dev_load<uint16_t>(p + i)) << (i % 2 * 16);
        }
        return make_uint4(words[0], words[1], words[2], words[3]);
    }
}

/* x's type is only known at run time, or x is not aligned. */
struct any_type {};

/* E elements of row `row` of x from k on, a multiple of E; zeros behind the row's end. With a type X: x is of it and whole runs of
 * E = 16 / sizeof(X) elements are there and aligned. */
template <typename X, int E> DEV_FN void linear_load_x(float (&v)[E], const linear_args &a, int64_t row, int k)
{
    const int64_t at = row * a.x_stride + k;
    if constexpr (std::is_same_v<X, any_type>) typed_load_some(v, a.x, a.x_type, at, a.k - k, a.x_wide);
    else dev_unpack16<X>(v, k < a.k ? dev_load<uint4>(static_cast<const X *>(a.x) + at) : make_uint4(0, 0, 0, 0));
}

/* ---- writing ---- */

/* Every kernel must round here alike: no product may be left that one compilation fuses with an addition and another does not. */
DEV_FN float linear_finish(const linear_output &o, float v, float bias, float residual)
{
    v = activate(v + bias, o.act);
    return o.soft_cap > 0.0f ? fmaf(o.soft_cap, dev_tanh(v * o.scale / o.soft_cap), residual) : fmaf(v, o.scale, residual);
}

DEV_FN void linear_store(const linear_output &o, int64_t row, int col, float v)
{
    const float bias = o.bias ? typed_load(o.bias, o.bias_type, col) : 0.0f;
    const float residual = o.residual ? typed_load(o.residual, o.residual_type, row * o.residual_stride + col) : 0.0f;
    typed_store(o.out, o.out_type, row * o.out_stride + col, linear_finish(o, v, bias, residual));
}

/* Elements [col, col + left) of a row, at most 8; col is a multiple of 8. */
DEV_FN void linear_store8(const linear_output &o, int64_t row, int col, float (&v)[8], int left)
{
    float bias[8], residual[8];
#pragma unroll
    for (int i = 0; i < 8; i++) bias[i] = residual[i] = 0.0f;
    if (o.bias) typed_load_some(bias, o.bias, o.bias_type, col, left, o.wide);
    if (o.residual) typed_load_some(residual, o.residual, o.residual_type, row * o.residual_stride + col, left, o.wide);
#pragma unroll
    for (int i = 0; i < 8; i++) v[i] = linear_finish(o, v[i], bias[i], residual[i]);
    typed_store_some(o.out, o.out_type, row * o.out_stride + col, v, left, o.wide);
}

/* ---- the "mma" order ----
 * 32 terms of 16 rows of W by 8 rows of x. Lane (g, t) = (lane / 4, lane % 4) holds k = 8 t .. 8 t + 7 of the rows g and g + 8 of W and of the
 * row g of x, 16 bytes each as they lie in memory; which of the tensor core's 2 x 16 slots a term goes to does not matter as
 * long as both sides agree. */
template <typename T> DEV_FN void mma_terms(float (&d)[4], uint4 low, uint4 high, uint4 x)
{
    const uint32_t first[4] = { low.x, high.x, low.y, high.y }, second[4] = { low.z, high.z, low.w, high.w };
    dev_mma<T>(d, first, x.x, x.y);
    dev_mma<T>(d, second, x.z, x.w);
}

enum { MMA_TERMS = 32, MMA_RUN = 128, MMA_SUMS = 8 };

#endif
