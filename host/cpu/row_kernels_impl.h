/* The row kernels in terms of vec.h; included once per instruction set with ROWS_TABLE naming the table. */
#include "row_kernels.h"
#include "vec_math.h"

#define FOR_VECTORS(i, n) for (int64_t i = 0; i < (n); i += VL)

static inline vf load_some(const float *p, int64_t n) { return n >= VL ? v_load(p) : v_loadn(p, n); }
static inline void store_some(float *p, vf a, int64_t n)
{
    if (n >= VL) v_store(p, a);
    else v_storen(p, a, n);
}

static void to_float(float *out, const void *in, dtype type, int64_t n)
{
    const uint16_t *half = in;
    int64_t i = 0;
    switch (type) {
    case CUDDLE_BF16:
        for (; i + VL <= n; i += VL) v_store(out + i, v_load_bf16(half + i));
        if (i < n) v_storen(out + i, v_loadn_bf16(half + i, n - i), n - i);
        return;
    case CUDDLE_F16:
        for (; i + VL <= n; i += VL) v_store(out + i, v_load_f16(half + i));
        if (i < n) v_storen(out + i, v_loadn_f16(half + i, n - i), n - i);
        return;
    default: memcpy(out, in, (size_t)n * sizeof *out); return;
    }
}

static void from_float(void *out, dtype type, const float *in, int64_t n)
{
    uint16_t *half = out;
    int64_t i = 0;
    switch (type) {
    case CUDDLE_BF16:
        for (; i + VL <= n; i += VL) v_store_bf16(half + i, v_load(in + i));
        if (i < n) v_storen_bf16(half + i, v_loadn(in + i, n - i), n - i);
        return;
    case CUDDLE_F16:
        for (; i + VL <= n; i += VL) v_store_f16(half + i, v_load(in + i));
        if (i < n) v_storen_f16(half + i, v_loadn(in + i, n - i), n - i);
        return;
    default: memcpy(out, in, (size_t)n * sizeof *in); return;
    }
}

static float sum(const float *x, int64_t n)
{
    vf total = v_zero();
    FOR_VECTORS(i, n) total = v_add(total, load_some(x + i, n - i));
    return v_sum(total);
}

static float sum_squares(const float *x, float mean, int64_t n)
{
    const vf m = v_set1(mean);
    vf total = v_zero();
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        const vf d = v_sub(v_load(x + i), m);
        total = v_fma(d, d, total);
    }
    if (i < n) {
        float last[VL] = { 0 }; /* lanes without an element count nothing */
        for (int64_t j = i; j < n; j++) last[j - i] = x[j] - mean;
        total = v_fma(v_load(last), v_load(last), total);
    }
    return v_sum(total);
}

static void normalise(float *out, const float *x, float mean, float scale, const float *w, float offset, const float *b, int64_t n)
{
    const vf m = v_set1(mean), s = v_set1(scale), o = v_set1(offset);
    FOR_VECTORS(i, n)
    {
        vf v = v_mul(v_sub(load_some(x + i, n - i), m), s);
        if (w) v = v_mul(v, v_add(load_some(w + i, n - i), o));
        if (b) v = v_add(v, load_some(b + i, n - i));
        store_some(out + i, v, n - i);
    }
}

static void activate(float *x, activation act, int64_t n)
{
    FOR_VECTORS(i, n) store_some(x + i, v_activate(load_some(x + i, n - i), act), n - i);
}

static void gate_rows(float *out, const float *gate, const float *up, activation act, int64_t n)
{
    FOR_VECTORS(i, n)
    {
        const vf g = load_some(gate + i, n - i), u = load_some(up + i, n - i);
        store_some(out + i, act == ACT_CLAMPED_SWIGLU ? v_clamped_swiglu(g, u) : v_mul(v_activate(g, act), u), n - i);
    }
}

static void soft_cap(float *x, float cap, int64_t n)
{
    const vf c = v_set1(cap);
    FOR_VECTORS(i, n) store_some(x + i, v_mul(c, v_tanh(v_div(load_some(x + i, n - i), c))), n - i);
}

static void scale_row(float *x, float factor, int64_t n)
{
    FOR_VECTORS(i, n) store_some(x + i, v_mul(load_some(x + i, n - i), v_set1(factor)), n - i);
}

static void add_row(float *x, const float *y, int64_t n)
{
    FOR_VECTORS(i, n) store_some(x + i, v_add(load_some(x + i, n - i), load_some(y + i, n - i)), n - i);
}

static float max_of(const float *x, int64_t n)
{
    vf most = v_load(x);
    for (int64_t i = VL; i < n; i += VL) most = v_max(most, v_load(x + i));
    return v_largest(most);
}

static float exp_sum(float *x, float max, int64_t n)
{
    const vf m = v_set1(max);
    vf total = v_zero();
    for (int64_t i = 0; i < n; i += VL) {
        const vf e = v_exp(v_sub(v_load(x + i), m));
        v_store(x + i, e);
        total = v_add(total, e);
    }
    return v_sum(total);
}

const row_kernels ROWS_TABLE = {
    .to_float = to_float,
    .from_float = from_float,
    .sum = sum,
    .sum_squares = sum_squares,
    .normalise = normalise,
    .activate = activate,
    .gate = gate_rows,
    .soft_cap = soft_cap,
    .scale = scale_row,
    .add = add_row,
    .max = max_of,
    .exp_sum = exp_sum,
};
