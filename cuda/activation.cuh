/* The activations of core/ops.h on one float, for gate and for linear's epilogues. A NaN stays a NaN. */
#ifndef CUD_CUDA_ACTIVATION_CUH
#define CUD_CUDA_ACTIVATION_CUH

#include "device.h"

#include "core/ops.h"

DEV_FN float activate(float x, int act)
{
    switch (act) {
    case ACT_GELU: return 0.5f * x * (1.0f + dev_erf(x * 0.70710678f));
    case ACT_GELU_TANH: return 0.5f * x * (1.0f + dev_tanh(0.79788456f * (x + 0.044715f * x * x * x)));
    case ACT_QUICK_GELU: return x / (1.0f + dev_exp(-1.702f * x));
    case ACT_SILU: return x / (1.0f + dev_exp(-x));
    case ACT_RELU: return x < 0.0f ? 0.0f : x;
    case ACT_RELU2: return x < 0.0f ? 0.0f : x * x;
    case ACT_TANH: return dev_tanh(x);
    default: return x;
    }
}

/* What gate computes: gpt-oss' form uses both sides. */
DEV_FN float activate_gated(float gate, float up, int act)
{
    if (act != ACT_CLAMPED_SWIGLU) return activate(gate, act) * up;
    const float g = gate > 7.0f ? 7.0f : gate, u = up > 7.0f ? 7.0f : up < -7.0f ? -7.0f : up;
    return (u + 1.0f) * (g / (1.0f + dev_exp(-1.702f * g)));
}

#endif
