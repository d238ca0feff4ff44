/* A vector of floats in the instruction set the including file is compiled for: vf holds VL lanes. Loads of n < VL elements fill the
 * rest with zeros and read nothing beyond; v_fma rounds once where the machine can, twice in the portable version.
 *
 * Only files named *_portable.c, *_avx2.c and *_avx512*.c include this: nothing else may hold such instructions. */
#ifndef CUD_CPU_VEC_H
#define CUD_CPU_VEC_H

#include "core/weight.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define VEC_INLINE static inline __attribute__((always_inline, unused))

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#include <immintrin.h>

enum { VL = 16 };
typedef __m512 vf;
typedef __mmask16 vm;

VEC_INLINE __mmask16 v_first(int64_t n) { return (__mmask16)((1u << n) - 1u); }
VEC_INLINE vf v_set1(float x) { return _mm512_set1_ps(x); }
VEC_INLINE vf v_load(const float *p) { return _mm512_loadu_ps(p); }
VEC_INLINE vf v_loadn(const float *p, int64_t n) { return _mm512_maskz_loadu_ps(v_first(n), p); }
VEC_INLINE void v_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
VEC_INLINE void v_storen(float *p, vf a, int64_t n) { _mm512_mask_storeu_ps(p, v_first(n), a); }
VEC_INLINE vf v_widen_bf16(__m256i h) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16)); }
VEC_INLINE vf v_load_bf16(const uint16_t *p) { return v_widen_bf16(_mm256_loadu_si256((const __m256i *)p)); }
VEC_INLINE vf v_loadn_bf16(const uint16_t *p, int64_t n) { return v_widen_bf16(_mm256_maskz_loadu_epi16(v_first(n), p)); }
VEC_INLINE vf v_load_f16(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
VEC_INLINE vf v_loadn_f16(const uint16_t *p, int64_t n) { return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(v_first(n), p)); }
VEC_INLINE __m256i v_narrow_bf16(vf a)
{
    const __m512i bits = _mm512_castps_si512(a), high = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    const __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_mask_or_epi32(rounded, nan, high, _mm512_set1_epi32(0x40)));
}
VEC_INLINE void v_store_bf16(uint16_t *p, vf a) { _mm256_storeu_si256((__m256i *)p, v_narrow_bf16(a)); }
VEC_INLINE void v_storen_bf16(uint16_t *p, vf a, int64_t n) { _mm256_mask_storeu_epi16(p, v_first(n), v_narrow_bf16(a)); }
VEC_INLINE void v_store_f16(uint16_t *p, vf a) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT)); }
VEC_INLINE void v_storen_f16(uint16_t *p, vf a, int64_t n)
{
    _mm256_mask_storeu_epi16(p, v_first(n), _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
VEC_INLINE vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
VEC_INLINE vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
VEC_INLINE vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
VEC_INLINE vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
VEC_INLINE vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
VEC_INLINE vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); } /* b if either is NaN; so is v_min */
VEC_INLINE vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
VEC_INLINE vf v_abs(vf a) { return _mm512_abs_ps(a); }
VEC_INLINE vf v_copysign(vf magnitude, vf sign)
{
    return _mm512_or_ps(_mm512_abs_ps(magnitude), _mm512_and_ps(sign, _mm512_set1_ps(-0.0f)));
}
VEC_INLINE vm v_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
VEC_INLINE vf v_select(vm m, vf yes, vf no) { return _mm512_mask_blend_ps(m, no, yes); }
VEC_INLINE vf v_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
VEC_INLINE vf v_scale2(vf a, vf n) { return _mm512_scalef_ps(a, n); } /* a * 2^n for whole n */
/* Sums of four vectors: (i) + (i + 8), then + 4, + 2, + 1, as v_sum adds them. */
VEC_INLINE __m128 v_sum4(vf a, vf b, vf c, vf d)
{
    const __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee)); /* a0..7, b0..7 */
    const __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
    const __m512 abcd = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd)); /* 4 of each */
    const __m512 two = _mm512_add_ps(abcd, _mm512_permute_ps(abcd, 0x4e));
    const __m512 one = _mm512_add_ps(two, _mm512_permute_ps(two, 0xb1));
    return _mm512_castps512_ps128(_mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12), one));
}
VEC_INLINE void v_store_sum4(float *out, vf a, vf b, vf c, vf d) { _mm_storeu_ps(out, v_sum4(a, b, c, d)); }
VEC_INLINE float v_sum(vf a)
{
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
/* Whole parts of a >= 0; UINT32_MAX from 2^32 on. */
VEC_INLINE void v_store_whole(uint32_t *p, vf a) { _mm512_storeu_si512(p, _mm512_cvttps_epu32(a)); }

enum { WL = 8 }; /* 64-bit words in a vw */
typedef __m512i vw;
VEC_INLINE vw w_set1(uint64_t x) { return _mm512_set1_epi64((long long)x); }
VEC_INLINE vw w_load_u32(const uint32_t *p) { return _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)p)); }
VEC_INLINE void w_store(uint64_t *p, vw a) { _mm512_storeu_si512(p, a); }
VEC_INLINE vw w_add(vw a, vw b) { return _mm512_add_epi64(a, b); }
VEC_INLINE vw w_sub(vw a, vw b) { return _mm512_sub_epi64(a, b); }
VEC_INLINE vw w_times(vw a, vw b) { return _mm512_mul_epu32(a, b); } /* of the lower halves */
VEC_INLINE vw w_left(vw a, int n) { return _mm512_slli_epi64(a, (unsigned)n); }
VEC_INLINE vw w_right(vw a, int n) { return _mm512_srli_epi64(a, (unsigned)n); }
VEC_INLINE vw w_right_each(vw a, vw n) { return _mm512_srlv_epi64(a, n); }

#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include <immintrin.h>

enum { VL = 8 };
typedef __m256 vf;
typedef __m256 vm;

VEC_INLINE __m256i v_first(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
VEC_INLINE __m128i v_halves(const uint16_t *p, int64_t n)
{
    uint16_t part[8] = { 0 };
    memcpy(part, p, (size_t)n * sizeof *p);
    return _mm_loadu_si128((const __m128i *)part);
}
VEC_INLINE vf v_set1(float x) { return _mm256_set1_ps(x); }
VEC_INLINE vf v_load(const float *p) { return _mm256_loadu_ps(p); }
VEC_INLINE vf v_loadn(const float *p, int64_t n) { return _mm256_maskload_ps(p, v_first(n)); }
VEC_INLINE void v_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
VEC_INLINE void v_storen(float *p, vf a, int64_t n) { _mm256_maskstore_ps(p, v_first(n), a); }
VEC_INLINE vf v_widen_bf16(__m128i h) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16)); }
VEC_INLINE vf v_load_bf16(const uint16_t *p) { return v_widen_bf16(_mm_loadu_si128((const __m128i *)p)); }
VEC_INLINE vf v_loadn_bf16(const uint16_t *p, int64_t n) { return v_widen_bf16(v_halves(p, n)); }
VEC_INLINE vf v_load_f16(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
VEC_INLINE vf v_loadn_f16(const uint16_t *p, int64_t n) { return _mm256_cvtph_ps(v_halves(p, n)); }
VEC_INLINE __m128i v_narrow_bf16(vf a)
{
    const __m256i bits = _mm256_castps_si256(a), high = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    const __m256i wide = _mm256_blendv_epi8(rounded, quiet, nan);
    return _mm_packus_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
}
VEC_INLINE void v_put_halves(uint16_t *p, __m128i a, int64_t n)
{
    uint16_t part[8];
    _mm_storeu_si128((__m128i *)part, a);
    memcpy(p, part, (size_t)n * sizeof *p);
}
VEC_INLINE void v_store_bf16(uint16_t *p, vf a) { _mm_storeu_si128((__m128i *)p, v_narrow_bf16(a)); }
VEC_INLINE void v_storen_bf16(uint16_t *p, vf a, int64_t n) { v_put_halves(p, v_narrow_bf16(a), n); }
VEC_INLINE void v_store_f16(uint16_t *p, vf a) { _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT)); }
VEC_INLINE void v_storen_f16(uint16_t *p, vf a, int64_t n) { v_put_halves(p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT), n); }
VEC_INLINE vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
VEC_INLINE vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
VEC_INLINE vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
VEC_INLINE vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
VEC_INLINE vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
VEC_INLINE vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
VEC_INLINE vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
VEC_INLINE vf v_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
VEC_INLINE vf v_copysign(vf magnitude, vf sign) { return _mm256_or_ps(v_abs(magnitude), _mm256_and_ps(sign, _mm256_set1_ps(-0.0f))); }
VEC_INLINE vm v_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
VEC_INLINE vf v_select(vm m, vf yes, vf no) { return _mm256_blendv_ps(no, yes, m); }
VEC_INLINE vf v_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
VEC_INLINE vf v_power2(__m256i n) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23)); }
VEC_INLINE vf v_scale2(vf a, vf n) /* in two steps: results may be subnormal or infinite */
{
    const __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    return v_mul(v_mul(a, v_power2(half)), v_power2(_mm256_sub_epi32(whole, half)));
}
VEC_INLINE float v_sum(vf a)
{
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
VEC_INLINE void v_store_sum4(float *out, vf a, vf b, vf c, vf d) /* lane pairs as in v_sum */
{
    const __m256 ac = _mm256_add_ps(_mm256_permute2f128_ps(a, c, 0x20), _mm256_permute2f128_ps(a, c, 0x31));
    const __m256 bd = _mm256_add_ps(_mm256_permute2f128_ps(b, d, 0x20), _mm256_permute2f128_ps(b, d, 0x31));
    const __m256 two = _mm256_add_ps(_mm256_shuffle_ps(ac, bd, 0x44), _mm256_shuffle_ps(ac, bd, 0xee)); /* aabb, ccdd */
    const __m256 one = _mm256_add_ps(two, _mm256_permute_ps(two, 0xb1));
    _mm_storeu_ps(out, _mm_shuffle_ps(_mm256_castps256_ps128(one), _mm256_extractf128_ps(one, 1), 0x88));
}
VEC_INLINE void v_store_whole(uint32_t *p, vf a)
{
    const vf half = v_set1(0x1p31f), high = _mm256_cmp_ps(a, half, _CMP_GE_OQ), beyond = _mm256_cmp_ps(a, v_set1(0x1p32f), _CMP_GE_OQ);
    const __m256i low = _mm256_cvttps_epi32(v_sub(a, _mm256_and_ps(high, half)));
    const __m256i whole = _mm256_xor_si256(low, _mm256_slli_epi32(_mm256_castps_si256(high), 31));
    _mm256_storeu_si256((__m256i *)(void *)p, _mm256_or_si256(whole, _mm256_castps_si256(beyond)));
}

enum { WL = 4 };
typedef __m256i vw;
VEC_INLINE vw w_set1(uint64_t x) { return _mm256_set1_epi64x((long long)x); }
VEC_INLINE vw w_load_u32(const uint32_t *p) { return _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(const void *)p)); }
VEC_INLINE void w_store(uint64_t *p, vw a) { _mm256_storeu_si256((__m256i *)(void *)p, a); }
VEC_INLINE vw w_add(vw a, vw b) { return _mm256_add_epi64(a, b); }
VEC_INLINE vw w_sub(vw a, vw b) { return _mm256_sub_epi64(a, b); }
VEC_INLINE vw w_times(vw a, vw b) { return _mm256_mul_epu32(a, b); }
VEC_INLINE vw w_left(vw a, int n) { return _mm256_slli_epi64(a, n); }
VEC_INLINE vw w_right(vw a, int n) { return _mm256_srli_epi64(a, n); }
VEC_INLINE vw w_right_each(vw a, vw n) { return _mm256_srlv_epi64(a, n); }

#else /* four lanes of GCC's vectors: SSE2, NEON or plain code */

enum { VL = 4 };
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vm __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));

VEC_INLINE vf v_set1(float x) { return (vf){ x, x, x, x }; }
VEC_INLINE vf v_loadn(const float *p, int64_t n)
{
    vf a = { 0 };
    memcpy(&a, p, (size_t)n * sizeof *p);
    return a;
}
VEC_INLINE vf v_load(const float *p)
{
    vf a;
    memcpy(&a, p, sizeof a);
    return a;
}
VEC_INLINE void v_store(float *p, vf a) { memcpy(p, &a, sizeof a); }
VEC_INLINE void v_storen(float *p, vf a, int64_t n) { memcpy(p, &a, (size_t)n * sizeof *p); }
VEC_INLINE vf v_load_bf16(const uint16_t *p) { return (vf)((vu){ p[0], p[1], p[2], p[3] } << 16); }
VEC_INLINE vf v_load_f16(const uint16_t *p)
{
    return (vf){ cud_f16_to_f32(p[0]), cud_f16_to_f32(p[1]), cud_f16_to_f32(p[2]), cud_f16_to_f32(p[3]) };
}
VEC_INLINE vf v_loadn_bf16(const uint16_t *p, int64_t n)
{
    uint16_t part[VL] = { 0 };
    memcpy(part, p, (size_t)n * sizeof *p);
    return v_load_bf16(part);
}
VEC_INLINE vf v_loadn_f16(const uint16_t *p, int64_t n)
{
    uint16_t part[VL] = { 0 };
    memcpy(part, p, (size_t)n * sizeof *p);
    return v_load_f16(part);
}
VEC_INLINE void v_storen_bf16(uint16_t *p, vf a, int64_t n)
{
    for (int64_t i = 0; i < n; i++) p[i] = cud_f32_to_bf16(a[i]);
}
VEC_INLINE void v_storen_f16(uint16_t *p, vf a, int64_t n)
{
    for (int64_t i = 0; i < n; i++) p[i] = cud_f32_to_f16(a[i]);
}
VEC_INLINE void v_store_bf16(uint16_t *p, vf a) { v_storen_bf16(p, a, VL); }
VEC_INLINE void v_store_f16(uint16_t *p, vf a) { v_storen_f16(p, a, VL); }
VEC_INLINE vf v_add(vf a, vf b) { return a + b; }
VEC_INLINE vf v_sub(vf a, vf b) { return a - b; }
VEC_INLINE vf v_mul(vf a, vf b) { return a * b; }
VEC_INLINE vf v_div(vf a, vf b) { return a / b; }
VEC_INLINE vf v_fma(vf a, vf b, vf c) { return a * b + c; }
VEC_INLINE vm v_lt(vf a, vf b) { return a < b; }
VEC_INLINE vf v_select(vm m, vf yes, vf no) { return (vf)(((vm)yes & m) | ((vm)no & ~m)); }
VEC_INLINE vf v_max(vf a, vf b) { return v_select(a > b, a, b); }
VEC_INLINE vf v_min(vf a, vf b) { return v_select(a < b, a, b); }
VEC_INLINE vf v_abs(vf a) { return (vf)((vm)a & 0x7fffffff); }
VEC_INLINE vf v_copysign(vf magnitude, vf sign) { return (vf)(((vm)magnitude & 0x7fffffff) | ((vm)sign & (vm)v_set1(-0.0f))); }
/* Adding 1.5 * 2^23 leaves the whole number in the low bits. |a| < 2^22. */
VEC_INLINE vf v_round(vf a) { return (a + 0x1.8p23f) - 0x1.8p23f; }
VEC_INLINE vf v_power2(vu n) { return (vf)((n + 127) << 23); }
VEC_INLINE vf v_scale2(vf a, vf n)
{
    const vm whole = (vm)((vu)(n + 0x1.8p23f) - (vu)v_set1(0x1.8p23f)), half = whole >> 1;
    return a * v_power2((vu)half) * v_power2((vu)whole - (vu)half);
}
VEC_INLINE float v_sum(vf a) { return (a[0] + a[2]) + (a[1] + a[3]); }
VEC_INLINE void v_store_sum4(float *out, vf a, vf b, vf c, vf d) { out[0] = v_sum(a), out[1] = v_sum(b), out[2] = v_sum(c), out[3] = v_sum(d); }
VEC_INLINE void v_store_whole(uint32_t *p, vf a)
{
    for (int i = 0; i < VL; i++) p[i] = a[i] < 0x1p32f ? (uint32_t)a[i] : UINT32_MAX;
}

enum { WL = 1 };
typedef uint64_t vw;
VEC_INLINE vw w_set1(uint64_t x) { return x; }
VEC_INLINE vw w_load_u32(const uint32_t *p) { return *p; }
VEC_INLINE void w_store(uint64_t *p, vw a) { *p = a; }
VEC_INLINE vw w_add(vw a, vw b) { return a + b; }
VEC_INLINE vw w_sub(vw a, vw b) { return a - b; }
VEC_INLINE vw w_times(vw a, vw b) { return (uint64_t)(uint32_t)a * (uint32_t)b; }
VEC_INLINE vw w_left(vw a, int n) { return a << n; }
VEC_INLINE vw w_right(vw a, int n) { return a >> n; }
VEC_INLINE vw w_right_each(vw a, vw n) { return a >> n; }
#endif

VEC_INLINE vf v_zero(void) { return v_set1(0.0f); }

/* VL or n < VL elements of a float format from element `at` on. */
VEC_INLINE vf v_load_as(wformat format, const void *p, int64_t at)
{
    switch (format) {
    case WF_BF16: return v_load_bf16((const uint16_t *)p + at);
    case WF_F16: return v_load_f16((const uint16_t *)p + at);
    default: return v_load((const float *)p + at);
    }
}

VEC_INLINE vf v_loadn_as(wformat format, const void *p, int64_t at, int64_t n)
{
    switch (format) {
    case WF_BF16: return v_loadn_bf16((const uint16_t *)p + at, n);
    case WF_F16: return v_loadn_f16((const uint16_t *)p + at, n);
    default: return v_loadn((const float *)p + at, n);
    }
}

VEC_INLINE float v_largest(vf a)
{
    float lane[VL];
    v_store(lane, a);
    float most = lane[0];
    for (int i = 1; i < VL; i++) most = lane[i] > most ? lane[i] : most;
    return most;
}

#endif
