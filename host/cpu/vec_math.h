/* exp, tanh, erf and the activations on vectors. Polynomials: minimax fits (Remez on Chebyshev nodes) over the ranges that stand
 * beside them. Errors against double, measured by tests/test_gate.c: exp 2 ulp, the others 4 ulp or 2e-7 of their range. */
#ifndef CUD_CPU_VEC_MATH_H
#define CUD_CPU_VEC_MATH_H

#include "core/ops.h"
#include "vec.h"

/* exp(n ln 2 + r) = 2^n exp(r), |r| <= ln 2 / 2. Overflows to infinity, goes down through the subnormals, NaN stays NaN. */
VEC_INLINE vf v_exp(vf x)
{
    x = v_min(v_set1(100.0f), v_max(v_set1(-120.0f), x)); /* in this order NaN passes */
    const vf n = v_round(v_mul(x, v_set1(1.44269504f)));
    vf r = v_fma(n, v_set1(-0.693359375f), x); /* ln 2 in two parts, the first with few bits */
    r = v_fma(n, v_set1(2.12194440e-4f), r);
    vf p = v_set1(0.00139263919f);
    p = v_fma(p, r, v_set1(0.008363345811f));
    p = v_fma(p, r, v_set1(0.04166655336f));
    p = v_fma(p, r, v_set1(0.1666657599f));
    p = v_fma(p, r, v_set1(0.5f));
    p = v_add(v_fma(v_mul(r, r), p, r), v_set1(1.0f));
    return v_scale2(p, n);
}

VEC_INLINE vf v_tanh(vf x)
{
    const vf s = v_mul(x, x), one = v_set1(1.0f), two = v_set1(2.0f);
    vf p = v_set1(-0.005923726206f); /* |x| <= 0.65 */
    p = v_fma(p, s, v_set1(0.02087346058f));
    p = v_fma(p, s, v_set1(-0.05382375887f));
    p = v_fma(p, s, v_set1(0.1333258371f));
    p = v_fma(p, s, v_set1(-0.3333332702f));
    const vf small = v_fma(v_mul(x, s), p, x), a = v_abs(x);
    const vf large = v_sub(one, v_div(two, v_add(v_exp(v_mul(a, two)), one)));
    return v_select(v_lt(a, v_set1(0.625f)), small, v_copysign(large, x));
}

VEC_INLINE vf v_sigmoid(vf x)
{
    const vf one = v_set1(1.0f);
    return v_div(one, v_add(one, v_exp(v_sub(v_zero(), x))));
}

/* 1 - erf(t) for t >= 0: below 1 by a polynomial for erf, above by exp(-t^2) q P(q), q = 1 / (1 + t), so that it keeps its relative
 * accuracy where 1 + erf(x) would cancel. */
VEC_INLINE vf v_erfc(vf t)
{
    const vf one = v_set1(1.0f), s = v_mul(t, t);
    vf e = v_set1(7.875875063e-5f);
    e = v_fma(e, s, v_set1(-0.0008016864287f));
    e = v_fma(e, s, v_set1(0.005189087423f));
    e = v_fma(e, s, v_set1(-0.02685421201f));
    e = v_fma(e, s, v_set1(0.1128359472f));
    e = v_fma(e, s, v_set1(-0.3761262667f));
    e = v_fma(e, s, v_set1(1.128379166f));
    const vf q = v_div(one, v_add(one, t));
    vf p = v_set1(-1.076545241f);
    p = v_fma(p, q, v_set1(2.386601014f));
    p = v_fma(p, q, v_set1(-1.660900232f));
    p = v_fma(p, q, v_set1(-0.0828537531f));
    p = v_fma(p, q, v_set1(0.2582421519f));
    p = v_fma(p, q, v_set1(0.5657205213f));
    p = v_fma(p, q, v_set1(0.5641489549f));
    const vf large = v_mul(v_exp(v_sub(v_zero(), s)), v_mul(q, p));
    return v_select(v_lt(t, one), v_sub(one, v_mul(t, e)), large);
}

VEC_INLINE vf v_gelu(vf x)
{
    const vf tail = v_erfc(v_mul(v_abs(x), v_set1(0.70710678f))), half = v_mul(x, v_set1(0.5f));
    return v_mul(half, v_select(v_lt(x, v_zero()), tail, v_sub(v_set1(2.0f), tail)));
}

VEC_INLINE vf v_gelu_tanh(vf x)
{
    const vf cube = v_mul(v_mul(x, x), v_mul(x, v_set1(0.044715f)));
    const vf inner = v_mul(v_set1(0.79788456f), v_add(x, cube));
    return v_mul(v_mul(v_set1(0.5f), x), v_add(v_set1(1.0f), v_tanh(inner)));
}

VEC_INLINE vf v_activate(vf x, activation act)
{
    const vf zero = v_zero();
    switch (act) {
    case ACT_GELU: return v_gelu(x);
    case ACT_GELU_TANH: return v_gelu_tanh(x);
    case ACT_QUICK_GELU: return v_mul(x, v_sigmoid(v_mul(x, v_set1(1.702f))));
    case ACT_SILU: return v_mul(x, v_sigmoid(x));
    case ACT_RELU: return v_max(zero, x);
    case ACT_RELU2: return v_mul(v_max(zero, x), v_max(zero, x));
    case ACT_TANH: return v_tanh(x);
    default: return x;
    }
}

/* gpt-oss, transformers' GptOssExperts: gate is bounded above, up on both sides. */
VEC_INLINE vf v_clamped_swiglu(vf gate, vf up)
{
    const vf limit = v_set1(7.0f), g = v_min(limit, gate);
    const vf u = v_max(v_set1(-7.0f), v_min(limit, up));
    return v_mul(v_add(u, v_set1(1.0f)), v_mul(g, v_sigmoid(v_mul(g, v_set1(1.702f)))));
}

#endif
