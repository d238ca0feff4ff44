/* Rotary position tables: transformers/modeling_rope_utils.py. */
#ifndef CUD_MODELS_ROPE_H
#define CUD_MODELS_ROPE_H

#include "models/spec.h"

/* Elements of a head that turn: the even part of head_dim * partial. */
int cud_rope_dim(const rope_spec *rope, int64_t head_dim);
/* Inverse frequencies, [rotary_dim / 2]; *attention_factor multiplies cosines and sines. */
void cud_rope_frequencies(float *inv_freq, double *attention_factor, const rope_spec *rope, int rotary_dim);
/* [positions, rotary_dim]: rotary_dim / 2 cosines, then as many sines. inv_freq is scratch of rotary_dim / 2. */
void cud_rope_fill(float *table, float *inv_freq, const rope_spec *rope, int rotary_dim, int64_t positions);

#endif
