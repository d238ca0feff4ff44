/* linear: out = cap(act(x W^T + bias) * scale) + residual
 *
 * What computes it, of five ways (linear.cuh has the two reduction orders):
 *
 *                                      | deterministic                      | otherwise
 *   x and W both BF16 or both F16,     | order "mma":   1 to 64 rows skinny | 1 to 4 rows few, up to 16, 32 or 64 (the smaller the
 *   W [n, k], aligned, k % 8 == 0      |                more rows blocks    | weight the more) skinny, then cuBLASLt, else blocks
 *   all else: F32, mixed types,        | order "lanes": 1 to 16 rows few    | 1 to 16 rows few, then, if the types are the same,
 *   W [k, n], odd sizes or addresses   |                more rows tiled     | cuBLASLt, else tiled
 *
 * So with `deterministic` the order of a sum depends on the weight (its type, its alignment, transposed or not), x's type and k, and on
 * nothing else: not on the number of rows, their places, or x's alignment. Mixed types are multiplied as floats, F32 never as TF32.
 *
 * cuBLASLt gets the epilogue where its maths is ours: bias, scale, residual (both of out's type), and the tanh GELU for 16-bit results.
 * Anything else is done by a kernel of ours on a float result, in out itself or in the workspace, so that out is rounded once.
 * Where cuBLASLt is not there or has no algorithm, our kernels take over, segment by segment. */
#include "backend.h"
#include "gemm.h"
#include "linear.cuh"

#include "core/op_checks.h"

namespace {

enum { THREADS = 256, FEW = 4, FEW_TILED = 16, SKINNY = 64 };

constexpr int64_t MEGA = int64_t(1) << 20;

/* ------------------------------------------------------------------------------------------------------ our kernels */

bool aligned16(const void *p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

/* W's rows, transposed or not, begin at multiples of 16 bytes. */
bool wide_weight(const linear_args &a, dtype type, bool transposed)
{
    bool wide = (transposed ? a.n : a.k) * int64_t(cud_dtype_size(type)) % 16 == 0;
    for (int s = 0; s < a.segments; s++) wide = wide && aligned16(a.w[s]);
    return wide;
}

cudaError_t run_own(const exec *ex, const linear_args &a, dtype type, bool transposed)
{
    const cuda_backend *b = cud_cuda_of(ex);
    const bool wide = wide_weight(a, type, transposed);
    if (a.x_type == type && type != CUDDLE_F32 && !transposed && wide && (ex->deterministic || a.rows > FEW))
        return a.rows <= SKINNY ? linear_skinny(a, type, b->multiprocessors, b->stream) : linear_blocks(a, type, b->stream);
    return a.rows <= FEW_TILED ? linear_few(a, type, transposed, wide, b->stream) : linear_tiled(a, type, transposed, wide, b->stream);
}

bool wide_output(const linear_output &o)
{
    return typed_wide(o.out, dtype(o.out_type), o.out_stride) && (!o.bias || aligned16(o.bias)) &&
           (!o.residual || typed_wide(o.residual, dtype(o.residual_type), o.residual_stride));
}

linear_output output_of(tensor out, const epilogue *ep)
{
    linear_output o = {};
    o.out = out.data, o.out_type = out.type, o.out_stride = out.stride[0];
    if (cud_present(ep->bias)) o.bias = ep->bias.data, o.bias_type = ep->bias.type;
    if (cud_present(ep->residual)) o.residual = ep->residual.data, o.residual_type = ep->residual.type, o.residual_stride = ep->residual.stride[0];
    o.act = ep->act;
    o.scale = ep->scale != 0.0f ? ep->scale : 1.0f;
    o.soft_cap = ep->soft_cap;
    o.wide = wide_output(o);
    return o;
}

const void *bytes_on(const void *p, int type, int64_t elements)
{
    return p ? static_cast<const char *>(p) + elements * int64_t(cud_dtype_size(dtype(type))) : nullptr;
}

/* From a row and a column on. */
linear_output output_from(linear_output o, int64_t row, int64_t col)
{
    o.out = const_cast<void *>(bytes_on(o.out, o.out_type, row * o.out_stride + col));
    o.bias = bytes_on(o.bias, o.bias_type, col);
    o.residual = bytes_on(o.residual, o.residual_type, row * o.residual_stride + col);
    o.wide = wide_output(o);
    return o;
}

/* Segments that follow one another in memory become one, empty ones none. */
linear_args args_of(tensor out, tensor x, const weight *w, const epilogue *ep)
{
    linear_args a = {};
    const dtype type = cud_wformat_dtype(w->format);
    a.x = x.data, a.x_type = x.type, a.x_stride = x.stride[0], a.x_wide = typed_wide(x);
    a.rows = int(x.size[0]), a.n = int(w->n), a.k = int(w->k);
    int64_t first = 0;
    for (int s = 0; s < w->segments; s++) {
        const void *data = w->segment[s].data, *last = a.segments ? a.w[a.segments - 1] : nullptr;
        if (w->segment[s].n == 0) continue;
        if (!last || data != bytes_on(last, type, (first - a.first[a.segments - 1]) * w->k)) a.w[a.segments] = data, a.first[a.segments++] = int(first);
        first += w->segment[s].n;
    }
    a.to = output_of(out, ep);
    return a;
}

/* ------------------------------------------------------------------------------------------------------- cuBLASLt */

/* One thread per 8 columns of float sums; out may be where they are. Memory bound. */
__global__ void __launch_bounds__(THREADS, 4) finish_kernel(linear_output to, const float *sums, int64_t stride, bool wide, int rows, int n)
{
    const int eights = (n + 7) / 8;
    const int64_t i = int64_t(blockIdx.x) * THREADS + threadIdx.x, row = i / eights;
    if (row >= rows) return;
    const int col = int(i % eights) * 8;
    float v[8];
    load_elements(v, sums + row * stride + col, n - col, wide);
    linear_store8(to, row, col, v, n - col);
}

cudaError_t finish(const exec *ex, const linear_output &to, const float *sums, int64_t stride, int64_t rows, int n)
{
    const int64_t threads = rows * ((n + 7) / 8);
    return dev_launch(finish_kernel, dim3(unsigned((threads + THREADS - 1) / THREADS)), dim3(THREADS), 0, cud_cuda_of(ex)->stream, to, sums, stride,
                      typed_wide(sums, CUDDLE_F32, stride), int(rows), n);
}

/* Whether a step of this many rows is worth cuBLASLt. Says nothing about pointers: they are not there while recording. */
bool wants_library(const exec *ex, tensor x, const weight *w)
{
    const int64_t size = w->n * w->k;
    const bool skinny = x.type != CUDDLE_F32 && !w->transposed;
    const int64_t own = !skinny ? FEW_TILED : size >= 60 * MEGA ? 16 : size >= 16 * MEGA ? 32 : SKINNY;
    return !ex->deterministic && x.type == cud_wformat_dtype(w->format) && x.size[0] > own && size > 0;
}

/* Whether cuBLASLt can finish the result. */
bool fuses(tensor out, dtype type, const epilogue *ep)
{
    const bool scaled = ep->scale != 0.0f && ep->scale != 1.0f, bias = cud_present(ep->bias), residual = cud_present(ep->residual);
    if (out.type != type && out.type != CUDDLE_F32) return false;
    if ((bias && ep->bias.type != out.type) || (residual && ep->residual.type != out.type) || ep->soft_cap > 0.0f) return false;
    if (ep->act == ACT_GELU_TANH) return out.type != CUDDLE_F32 && !scaled && !residual;
    return ep->act == ACT_NONE && !(scaled && bias);
}

/* Rows of float sums that are made at once where cuBLASLt cannot finish the result: 32 MiB, but no fewer than 128. */
int64_t chunk_rows(int64_t rows, int64_t n)
{
    int64_t most = 32 * MEGA / (n * int64_t(sizeof(float))) / 128 * 128;
    if (most < 128) most = 128;
    return rows < most ? rows : most;
}

/* All columns of some rows of `a`: each segment by cuBLASLt, or if it cannot by us. fused: to the end; else bare sums into a.to. */
cuddle_status run_segments(exec *ex, const linear_args &a, dtype type, bool transposed, bool fused, void *workspace, size_t bytes, cuddle_error *err)
{
    const cuda_backend *b = cud_cuda_of(ex);
    for (int s = 0; s < a.segments; s++) {
        linear_args part = a;
        part.segments = 1;
        part.w[0] = a.w[s];
        part.first[0] = 0;
        part.n = (s + 1 < a.segments ? a.first[s + 1] : a.n) - a.first[s];
        part.to = output_from(a.to, 0, a.first[s]);
        gemm_args g = {};
        g.type = type, g.out_type = dtype(part.to.out_type);
        g.rows = part.rows, g.n = part.n, g.k = part.k;
        g.x = part.x, g.x_stride = part.x_stride;
        g.w = part.w[0], g.w_stride = transposed ? a.n : a.k, g.w_transposed = transposed;
        g.out = part.to.out, g.out_stride = part.to.out_stride;
        g.alpha = 1.0f;
        g.workspace = workspace, g.workspace_bytes = bytes;
        if (fused) {
            g.alpha = part.to.scale;
            g.gelu_tanh = part.to.act == ACT_GELU_TANH;
            g.bias = part.to.bias;
            g.residual = part.to.residual, g.residual_stride = part.to.residual_stride;
        }
        /* cuBLASLt wants rows that do not overlap, and says nothing about a bias that is not aligned. */
        bool done = false;
        cuddle_status status = CUDDLE_OK;
        if (g.x_stride >= g.k && g.out_stride >= g.n && (!g.residual || g.residual_stride >= g.n) && (!g.bias || aligned16(g.bias)))
            status = cud_cuda_gemm_run(cud_cuda_gemm_of(ex), b->stream, &g, &done, err);
        if (!status && !done) status = cud_cuda_check(run_own(ex, part, type, transposed), "linear", err);
        if (status) return status;
    }
    return CUDDLE_OK;
}

cuddle_status run_library(exec *ex, tensor out, tensor x, const weight *w, const epilogue *ep, cuddle_error *err)
{
    const cuda_backend *b = cud_cuda_of(ex);
    const size_t mark = cud_ws_mark(ex), bytes = size_t(b->capability >= 90 ? 32 : 4) * MEGA;
    const dtype type = cud_wformat_dtype(w->format);
    const bool fused = fuses(out, type, ep), in_place = out.type == CUDDLE_F32 && !cud_present(ep->residual);
    const int64_t chunk = fused || in_place ? x.size[0] : chunk_rows(x.size[0], w->n);
    const epilogue bare = {};
    void *workspace = nullptr;
    tensor sums = out;
    cuddle_status status = cud_ws_take(ex, &workspace, bytes, err);
    if (!status && !fused && !in_place) status = cud_ws_matrix(ex, &sums, CUDDLE_F32, chunk, w->n, err);
    if (!status && ex->mode != EXEC_RECORD && !cud_cuda_gemm_of(ex)) {
        status = cud_cuda_check(run_own(ex, args_of(out, x, w, ep), type, w->transposed), "linear", err);
    } else if (!status && ex->mode != EXEC_RECORD) {
        const linear_args all = args_of(out, x, w, ep);
        for (int64_t row = 0; !status && row < x.size[0]; row += chunk) {
            linear_args a = all;
            a.x = bytes_on(x.data, x.type, row * x.stride[0]);
            a.rows = int(x.size[0] - row < chunk ? x.size[0] - row : chunk);
            a.to = fused ? output_from(all.to, row, 0) : output_of(sums, &bare);
            status = run_segments(ex, a, type, w->transposed, fused, workspace, bytes, err);
            if (!status && !fused)
                status = cud_cuda_check(finish(ex, output_from(all.to, row, 0), static_cast<const float *>(sums.data), sums.stride[0], a.rows, a.n),
                                        "linear", err);
        }
    }
    cud_ws_release(ex, mark);
    return status;
}

} // namespace

extern "C" cuddle_status cud_cuda_linear(exec *ex, tensor out, tensor x, const weight *w, const epilogue *ep, cuddle_error *err)
{
    const epilogue nothing = {};
    if (!ep) ep = &nothing;
    const cuddle_status status = cud_check_linear(ex, out, x, w, ep, err);
    if (status != CUDDLE_OK) return status;
    const int64_t most = int64_t(1) << 28, rows = x.size[0];
    if (rows > most || w->n > most || w->k > most || (rows / 32 + 1) * (w->n / 8 + 1) > INT32_MAX)
        return cud_fail(err, CUDDLE_E_LIMIT, "linear on cuda: %lld rows by a weight of %lld x %lld", (long long)rows, (long long)w->n, (long long)w->k);
    if (rows == 0 || w->n == 0) return CUDDLE_OK;
    if (wants_library(ex, x, w)) return run_library(ex, out, x, w, ep, err);
    if (ex->mode == EXEC_RECORD) return CUDDLE_OK;
    return cud_cuda_check(run_own(ex, args_of(out, x, w, ep), cud_wformat_dtype(w->format), w->transposed), "linear", err);
}
