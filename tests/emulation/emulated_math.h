/* The arithmetic builtins that kernels use. The C library's functions are as exact as CUDA's or better; approximations (__expf) are
 * not imitated, so tests compare with tolerances. */
#ifndef EMULATED_MATH_H
#define EMULATED_MATH_H

/* Macros where newer C libraries have a function of the same name. */
#define rsqrtf(x) emu_rsqrtf(x)
inline float emu_rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }

template <typename TO, typename FROM> EMU_ARITHMETIC inline TO emu_bits(FROM from)
{
    static_assert(sizeof(TO) == sizeof(FROM), "the same bits");
    TO to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}
inline unsigned __float_as_uint(float x) { return emu_bits<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return emu_bits<float>(x); }
inline int __float_as_int(float x) { return emu_bits<int>(x); }
inline float __int_as_float(int x) { return emu_bits<float>(x); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }

/* Both arguments of one type: the builtins' mixed overloads are easy to get wrong and are left out on purpose. */
template <typename T> inline T min(T a, T b) { return b < a ? b : a; }
template <typename T> inline T max(T a, T b) { return a < b ? b : a; }

template <typename T> inline T __ldg(const T *p) { return *p; }

#endif
