/* Names of enumerations, for messages. */
#include "core/ops.h"

const char *cud_wformat_name(wformat format)
{
    switch (format) {
    case WF_NONE: return "none";
    case WF_F32: return "F32";
    case WF_F16: return "F16";
    case WF_BF16: return "BF16";
    case WF_I8: return "I8";
    case WF_I4: return "I4";
    case WF_FP8_E4M3: return "F8_E4M3";
    case WF_MXFP4: return "MXFP4";
    }
    return "?";
}

const char *cud_activation_name(activation act)
{
    static const char *const names[ACT_COUNT] = { "none", "gelu", "gelu_tanh", "quick_gelu", "silu", "relu", "relu2", "tanh", "clamped_swiglu" };
    return (unsigned)act < ACT_COUNT ? names[act] : "?";
}
