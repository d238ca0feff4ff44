#include "tasks/embedding.h"

#include "tasks/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- pooling ---- */

/* One mode over the rows from `first` on; those before it are the prompt's, which keep their places in the weights. */
static void pool_mode(float *out, cud_pooling_mode mode, const float *hidden, size_t tokens, size_t first, int64_t width)
{
    const size_t n = (size_t)width;
    const double rows = (double)(tokens - first);
    double divisor = 0;
    switch (mode) {
    case CUD_POOL_CLS: memcpy(out, hidden + (first < tokens ? first : 0) * n, n * sizeof *out); return;
    case CUD_POOL_LAST:
        if (first < tokens) memcpy(out, hidden + (tokens - 1) * n, n * sizeof *out);
        else memset(out, 0, n * sizeof *out);
        return;
    case CUD_POOL_MAX:
        for (size_t c = 0; c < n; c++) {
            out[c] = -INFINITY;
            for (size_t t = first; t < tokens; t++)
                if (!(hidden[t * n + c] <= out[c])) out[c] = hidden[t * n + c]; /* a NaN is taken, and then stays */
        }
        return;
    case CUD_POOL_MEAN: divisor = fmax(rows, 1e-9); break;
    case CUD_POOL_MEAN_SQRT: divisor = sqrt(fmax(rows, 1e-9)); break;
    case CUD_POOL_WEIGHTED_MEAN: divisor = fmax(rows * (double)(first + 1 + tokens) / 2, 1e-9); break; /* of the places first + 1 to tokens */
    }
    enum { CHUNK = 64 };
    for (size_t c = 0; c < n; c += CHUNK) {
        double sum[CHUNK] = { 0 };
        const size_t count = n - c < CHUNK ? n - c : CHUNK;
        for (size_t t = first; t < tokens; t++) {
            const double weight = mode == CUD_POOL_WEIGHTED_MEAN ? (double)(t + 1) : 1;
            for (size_t i = 0; i < count; i++) sum[i] += weight * (double)hidden[t * n + c + i];
        }
        for (size_t i = 0; i < count; i++) out[c + i] = (float)(sum[i] / divisor);
    }
}

void cud_pool(float *out, const cud_module *m, const float *hidden, size_t tokens, size_t prompt_tokens)
{
    const size_t first = m->include_prompt ? 0 : prompt_tokens < tokens ? prompt_tokens : tokens;
    for (int i = 0; i < m->modes; i++) pool_mode(out + i * m->in, m->mode[i], hidden, tokens, first, m->in);
}

/* ---- what comes behind it ---- */

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static double activate(cud_dense_activation activation, double x)
{
    switch (activation) {
    case CUD_DENSE_IDENTITY: return x;
    case CUD_DENSE_TANH: return tanh(x);
    case CUD_DENSE_RELU: return x < 0 ? 0 : x;
    case CUD_DENSE_GELU: return x * 0.5 * (1 + erf(x * 0.70710678118654752440));
    case CUD_DENSE_SILU: return x / (1 + exp(-x));
    case CUD_DENSE_SIGMOID: return 1 / (1 + exp(-x));
    }
    return x;
}

void cud_dense(float *out, const cud_module *m, const float *in)
{
    for (int64_t r = 0; r < m->out; r++) {
        double y = activate(m->activation, dot(m->weight + r * m->in, in, m->in) + (m->bias ? (double)m->bias[r] : 0));
        if (m->use_residual) y += m->residual ? dot(m->residual + r * m->in, in, m->in) : (double)in[r];
        out[r] = (float)y;
    }
}

void cud_normalize(float *x, int64_t width)
{
    const double length = fmax(sqrt(dot(x, x, width)), 1e-12);
    for (int64_t i = 0; i < width; i++) x[i] = (float)((double)x[i] / length);
}

/* ---- the whole ---- */

cuddle_status cud_embedding_width(int64_t *out, const cud_sentence_layout *l, const cud_embedding_options *o, cuddle_error *err)
{
    const int64_t width = cud_sentence_width(l);
    *out = l->truncate && l->truncate < width ? l->truncate : width;
    if (o->dimensions < 0 || o->dimensions > width)
        return cud_fail(err, CUDDLE_E_ARG, "dimensions is %lld, but the checkpoint's embeddings have %lld components", (long long)o->dimensions,
                        (long long)width);
    if (o->dimensions) *out = o->dimensions;
    return CUDDLE_OK;
}

cuddle_status cud_embed(float *out, const cud_sentence_layout *l, const float *hidden, size_t tokens, const cud_embedding_options *o,
                        cuddle_error *err)
{
    int64_t width, most = 1;
    cuddle_status status = cud_embedding_width(&width, l, o, err);
    if (!status && (tokens == 0 || l->modules < 2)) status = cud_fail(err, CUDDLE_E_ARG, "an embedding of %zu tokens", tokens);
    if (status) return status;
    for (int i = 1; i < l->modules; i++) most = l->module[i].out > most ? l->module[i].out : most;
    float *x = malloc(2 * (size_t)most * sizeof *x), *y = x ? x + most : NULL;
    if (!x) return cud_nomem(err, 2 * (size_t)most * sizeof *x, "an embedding");
    float *from = x, *to = y;
    cud_pool(from, &l->module[1], hidden, tokens, o->prompt_tokens);
    for (int i = 2; i < l->modules; i++) {
        const cud_module *m = &l->module[i];
        if (m->kind == CUD_MODULE_NORMALIZE) {
            cud_normalize(from, m->in);
        } else {
            cud_dense(to, m, from);
            float *const swap = from;
            from = to;
            to = swap;
        }
    }
    /* Before it is cut: what is cut off tells of broken weights, too. */
    status = cud_scores_finite(from, (size_t)cud_sentence_width(l), "embedding", "component", err);
    if (!status && o->normalize) cud_normalize(from, width);
    if (!status) memcpy(out, from, (size_t)width * sizeof *out);
    free(x);
    return status;
}

void cud_features_write(cud_writer *w, const float *hidden, size_t tokens, size_t width)
{
    cud_write_open(w, '[');
    cud_write_open(w, '[');
    for (size_t t = 0; t < tokens && !w->failed; t++) cud_write_floats(w, hidden + t * width, width);
    cud_write_close(w, ']');
    cud_write_close(w, ']');
}
