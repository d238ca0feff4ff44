/* Element types: their names, widths and conversions to and from float. */
#ifndef CUD_CORE_DTYPE_H
#define CUD_CORE_DTYPE_H

#include "cuddle.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef cuddle_dtype dtype;

/* Name as safetensors writes it ("F32", "BF16", "F8_E4M3"); "?" for a value outside the enum. */
const char *cud_dtype_name(dtype type);
/* The other way; false if no dtype has exactly this name. */
bool cud_dtype_parse(const char *name, size_t length, dtype *out);
/* Bits of one element: 4, 6, 8, 16, 32 or 64; 0 for a value outside the enum. */
int cud_dtype_bits(dtype type);
/* F32, F16 or BF16: the types activations can have. */
static inline bool cud_dtype_is_compute(dtype type) { return type == CUDDLE_F32 || type == CUDDLE_F16 || type == CUDDLE_BF16; }
/* Bytes of one element of a type whose elements are whole bytes. */
static inline size_t cud_dtype_size(dtype type) { return (size_t)cud_dtype_bits(type) / 8; }

static inline float cud_bf16_to_f32(uint16_t bits)
{
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* Round to nearest even; a NaN stays a (quiet) NaN. */
static inline uint16_t cud_f32_to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((bits >> 16) | 0x40u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float cud_f16_to_f32(uint16_t bits);
uint16_t cud_f32_to_f16(float value); /* round to nearest even; overflow becomes infinity */

/* Converts n elements between float and a compute type; the scalar reference that vector code is tested against. */
void cud_to_float(float *out, const void *in, dtype type, int64_t n);
void cud_from_float(void *out, dtype type, const float *in, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
