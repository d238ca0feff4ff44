/* The computation is in float where transformers computes in float, so that long angles agree to the bit before cos and sin. */
#include "models/rope.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

int cud_rope_dim(const rope_spec *rope, int64_t head_dim)
{
    const int dim = (int)((double)head_dim * rope->partial);
    return dim / 2 * 2;
}

/* _compute_llama3_parameters: long wavelengths are stretched, short ones kept, a ramp between. */
static void scale_llama3(float *inv_freq, const rope_spec *r, int count)
{
    const double old = (double)r->original_max;
    const float low_wavelength = (float)(old / r->low_freq_factor), high_wavelength = (float)(old / r->high_freq_factor);
    for (int i = 0; i < count; i++) {
        const float wavelength = (float)(2.0 * pi) / inv_freq[i];
        if (wavelength > low_wavelength) {
            inv_freq[i] /= (float)r->factor;
        } else if (wavelength >= high_wavelength) {
            const float smooth = ((float)old / wavelength - (float)r->low_freq_factor) / (float)(r->high_freq_factor - r->low_freq_factor);
            inv_freq[i] = (1.0f - smooth) * inv_freq[i] / (float)r->factor + smooth * inv_freq[i];
        }
    }
}

static double yarn_mscale(double scale, double mscale) { return scale <= 1.0 ? 1.0 : 0.1 * mscale * log(scale) + 1.0; }

static double yarn_dim(double rotations, int dim, const rope_spec *r)
{
    return dim * log((double)r->original_max / (rotations * 2.0 * pi)) / (2.0 * log(r->theta));
}

/* _compute_yarn_parameters: https://arxiv.org/abs/2309.00071 */
static void scale_yarn(float *inv_freq, double *attention_factor, const rope_spec *r, int dim)
{
    double low = yarn_dim(r->beta_fast, dim, r), high = yarn_dim(r->beta_slow, dim, r);
    if (r->truncate) low = floor(low), high = ceil(high);
    if (low < 0) low = 0;
    if (high > dim - 1) high = dim - 1;
    if (low == high) high += 0.001;
    for (int i = 0; i < dim / 2; i++) {
        float ramp = ((float)i - (float)low) / (float)(high - low);
        ramp = ramp < 0.0f ? 0.0f : ramp > 1.0f ? 1.0f : ramp;
        const float keep = 1.0f - ramp;
        inv_freq[i] = inv_freq[i] / (float)r->factor * (1.0f - keep) + inv_freq[i] * keep;
    }
    if (r->attention_factor != 0) *attention_factor = r->attention_factor;
    else if (r->mscale != 0 && r->mscale_all_dim != 0)
        *attention_factor = yarn_mscale(r->factor, r->mscale) / yarn_mscale(r->factor, r->mscale_all_dim);
    else *attention_factor = yarn_mscale(r->factor, 1.0);
}

void cud_rope_frequencies(float *inv_freq, double *attention_factor, const rope_spec *r, int rotary_dim)
{
    *attention_factor = 1.0;
    for (int i = 0; i < rotary_dim / 2; i++) {
        const float exponent = (float)(2 * i) / (float)rotary_dim;
        inv_freq[i] = 1.0f / powf((float)r->theta, exponent);
    }
    switch (r->kind) {
    case ROPE_LINEAR:
        for (int i = 0; i < rotary_dim / 2; i++) inv_freq[i] /= (float)r->factor;
        break;
    case ROPE_LLAMA3: scale_llama3(inv_freq, r, rotary_dim / 2); break;
    case ROPE_YARN: scale_yarn(inv_freq, attention_factor, r, rotary_dim); break;
    case ROPE_DEFAULT: case ROPE_DYNAMIC: case ROPE_LONGROPE: break; /* the last two are refused when config.json is read */
    }
}

void cud_rope_fill(float *table, float *inv_freq, const rope_spec *r, int rotary_dim, int64_t positions)
{
    double attention_factor;
    cud_rope_frequencies(inv_freq, &attention_factor, r, rotary_dim);
    const int half = rotary_dim / 2;
    for (int64_t p = 0; p < positions; p++) {
        float *row = table + p * rotary_dim;
        for (int i = 0; i < half; i++) {
            const float angle = (float)p * inv_freq[i];
            row[i] = cosf(angle) * (float)attention_factor;
            row[half + i] = sinf(angle) * (float)attention_factor;
        }
    }
}
