#include "core/dtype.h"

static const struct { const char *name; int bits; } dtypes[CUDDLE_DTYPE_COUNT] = {
    [CUDDLE_BOOL] = { "BOOL", 8 },
    [CUDDLE_U8] = { "U8", 8 },
    [CUDDLE_I8] = { "I8", 8 },
    [CUDDLE_F8_E5M2] = { "F8_E5M2", 8 },
    [CUDDLE_F8_E4M3] = { "F8_E4M3", 8 },
    [CUDDLE_F8_E8M0] = { "F8_E8M0", 8 },
    [CUDDLE_F8_E4M3FNUZ] = { "F8_E4M3FNUZ", 8 },
    [CUDDLE_F8_E5M2FNUZ] = { "F8_E5M2FNUZ", 8 },
    [CUDDLE_I16] = { "I16", 16 },
    [CUDDLE_U16] = { "U16", 16 },
    [CUDDLE_F16] = { "F16", 16 },
    [CUDDLE_BF16] = { "BF16", 16 },
    [CUDDLE_I32] = { "I32", 32 },
    [CUDDLE_U32] = { "U32", 32 },
    [CUDDLE_F32] = { "F32", 32 },
    [CUDDLE_I64] = { "I64", 64 },
    [CUDDLE_U64] = { "U64", 64 },
    [CUDDLE_F64] = { "F64", 64 },
    [CUDDLE_C64] = { "C64", 64 },
    [CUDDLE_F6_E2M3] = { "F6_E2M3", 6 },
    [CUDDLE_F6_E3M2] = { "F6_E3M2", 6 },
    [CUDDLE_F4] = { "F4", 4 },
};

const char *cud_dtype_name(dtype type)
{
    return (unsigned)type < CUDDLE_DTYPE_COUNT ? dtypes[type].name : "?";
}

int cud_dtype_bits(dtype type)
{
    return (unsigned)type < CUDDLE_DTYPE_COUNT ? dtypes[type].bits : 0;
}

bool cud_dtype_parse(const char *name, size_t length, dtype *out)
{
    for (int i = 0; i < CUDDLE_DTYPE_COUNT; i++) {
        if (strlen(dtypes[i].name) == length && memcmp(dtypes[i].name, name, length) == 0) {
            *out = (dtype)i;
            return true;
        }
    }
    return false;
}

float cud_f16_to_f32(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t exponent = half >> 10 & 0x1fu, mantissa = half & 0x3ffu;
    uint32_t bits;
    if (exponent == 0x1f) {
        bits = sign | 0x7f800000u | mantissa << 13 | (mantissa ? 0x400000u : 0);
    } else if (exponent) {
        bits = sign | (exponent + 112) << 23 | mantissa << 13;
    } else { /* zero or subnormal: exact in float */
        const float value = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint16_t cud_f32_to_f16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000u;
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (bits >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* from 65520 on, half way to 2^16 */
    if (bits < 0x38800000u) { /* below 2^-14: the sum's low bits are the subnormal, rounded to nearest even by the addition */
        float magnitude;
        memcpy(&magnitude, &bits, sizeof magnitude);
        magnitude += 0.5f;
        uint32_t sum;
        memcpy(&sum, &magnitude, sizeof sum);
        return (uint16_t)(sign | (sum - 0x3f000000u));
    }
    bits += 0xfffu + (bits >> 13 & 1u);
    return (uint16_t)(sign | (bits - 0x38000000u) >> 13);
}

void cud_to_float(float *out, const void *in, dtype type, int64_t n)
{
    const uint16_t *half = in;
    switch (type) {
    case CUDDLE_F32: memcpy(out, in, (size_t)n * sizeof *out); break;
    case CUDDLE_BF16:
        for (int64_t i = 0; i < n; i++) out[i] = cud_bf16_to_f32(half[i]);
        break;
    case CUDDLE_F16:
        for (int64_t i = 0; i < n; i++) out[i] = cud_f16_to_f32(half[i]);
        break;
    default: break;
    }
}

void cud_from_float(void *out, dtype type, const float *in, int64_t n)
{
    uint16_t *half = out;
    switch (type) {
    case CUDDLE_F32: memcpy(out, in, (size_t)n * sizeof *in); break;
    case CUDDLE_BF16:
        for (int64_t i = 0; i < n; i++) half[i] = cud_f32_to_bf16(in[i]);
        break;
    case CUDDLE_F16:
        for (int64_t i = 0; i < n; i++) half[i] = cud_f32_to_f16(in[i]);
        break;
    default: break;
    }
}

const char *cuddle_dtype_name(cuddle_dtype type) { return cud_dtype_name(type); }
int cuddle_dtype_bits(cuddle_dtype type) { return cud_dtype_bits(type); }
