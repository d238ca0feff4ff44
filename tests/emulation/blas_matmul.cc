/* cublasLtMatmul: D = epilogue(alpha op(A) op(B) + beta C), column-major, sums in float.
 *
 * The order of a sum depends on the algorithm and on the number of columns of D (rows of activations) on purpose, as it does in the
 * real library: whoever claims that a result does not depend on its neighbours must not have used this. */
#include "blas.h"

#include <cstdio>
#include <vector>

namespace emu {

/* What the heuristic writes into cublasLtMatmulAlgo_t: how to compute and what it may rely on. */
struct Algorithm {
    uint64_t magic;
    uint32_t id; /* also: into how many parts it splits a sum, less one */
    uint32_t compute, type_a, type_b, type_d;
    uint32_t align_a, align_b, align_c, align_d;
    uint64_t workspace;
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t), "fits into the caller's struct");

constexpr uint64_t MAGIC = 0x656d75626c617321u;
constexpr uint64_t SPLIT_WORKSPACE = uint64_t(1) << 20; /* what splitting a sum costs */
enum { ALGORITHMS = 3 };

struct Problem {
    MatmulDesc desc;
    Layout a, b, c, d;
    float alpha, beta;
    int64_t m, n, k;
};

static size_t width(cudaDataType type) { return type == CUDA_R_32F ? 4 : 2; }
static bool known_type(cudaDataType type) { return type == CUDA_R_32F || type == CUDA_R_16BF || type == CUDA_R_16F; }

/* ---- what is allowed ---- */

static cublasStatus_t make_problem(Problem *p, const MatmulDesc *desc, const Layout *a, const Layout *b, const Layout *c, const Layout *d)
{
    p->desc = *desc;
    p->a = *a;
    p->b = *b;
    p->c = *c;
    p->d = *d;
    const bool ta = desc->transa != CUBLAS_OP_N, tb = desc->transb != CUBLAS_OP_N;
    p->m = int64_t(d->rows);
    p->n = int64_t(d->cols);
    p->k = int64_t(ta ? a->rows : a->cols);
    const bool fits = int64_t(ta ? a->cols : a->rows) == p->m && int64_t(tb ? b->cols : b->rows) == p->k && int64_t(tb ? b->rows : b->cols) == p->n &&
                      c->rows == d->rows && c->cols == d->cols;
    if (!fits || p->m <= 0 || p->n <= 0 || p->k <= 0) return CUBLAS_STATUS_INVALID_VALUE;
    for (const Layout *l : { a, b, c, d })
        if (l->ld < int64_t(l->rows) || l->batch != d->batch) return CUBLAS_STATUS_INVALID_VALUE;
    if (!known_type(a->type) || a->type != b->type || c->type != d->type || (d->type != a->type && d->type != CUDA_R_32F)) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (desc->compute != CUBLAS_COMPUTE_32F && desc->compute != CUBLAS_COMPUTE_32F_FAST_TF32) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (desc->scale != CUDA_R_32F || desc->pointers != CUBLASLT_POINTER_MODE_HOST) return CUBLAS_STATUS_NOT_SUPPORTED;
    switch (desc->epilogue) {
    case CUBLASLT_EPILOGUE_DEFAULT:
    case CUBLASLT_EPILOGUE_RELU:
    case CUBLASLT_EPILOGUE_GELU: return CUBLAS_STATUS_SUCCESS;
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
    case CUBLASLT_EPILOGUE_GELU_BIAS: return CUBLAS_STATUS_SUCCESS;
    default: return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

static bool has_bias(const MatmulDesc &d)
{
    return d.epilogue == CUBLASLT_EPILOGUE_BIAS || d.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS || d.epilogue == CUBLASLT_EPILOGUE_GELU_BIAS;
}

static cudaDataType bias_type(const Problem &p) { return p.desc.bias_type < 0 ? p.d.type : static_cast<cudaDataType_t>(p.desc.bias_type); }

/* The matrix of every batch lies in one live allocation of the device. */
static void require_matrix(const char *name, const void *at, const Layout &l, int device)
{
    const size_t size = (size_t(l.cols - 1) * size_t(l.ld) + l.rows) * width(l.type);
    char who[32];
    std::snprintf(who, sizeof who, "cublasLtMatmul: %s", name);
    for (int i = 0; i < l.batch; i++)
        require_device_range(who, static_cast<const char *>(at) + int64_t(i) * l.batch_stride * int64_t(width(l.type)), size, device);
}

static void require_aligned(const char *name, const void *at, size_t alignment)
{
    if (reinterpret_cast<uintptr_t>(at) % alignment)
        fail("cublasLtMatmul: %s at %p is not aligned to %zu bytes, which the heuristic was told it would be", name, at, alignment);
}

/* ---- arithmetic ---- */

static float load(const char *at, cudaDataType type)
{
    float value = 0;
    uint16_t bits = 0;
    if (type == CUDA_R_32F) {
        raw_copy(&value, at, 4);
        return value;
    }
    raw_copy(&bits, at, 2);
    return type == CUDA_R_16BF ? half_to_float<__nv_bfloat16>(bits) : half_to_float<__half>(bits);
}

static void store(char *at, cudaDataType type, float value)
{
    const __nv_bfloat16 b = __float2bfloat16_rn(value);
    const __half h = __float2half_rn(value);
    raw_copy(at, type == CUDA_R_32F ? static_cast<const void *>(&value) : type == CUDA_R_16BF ? static_cast<const void *>(&b) : &h, width(type));
}

/* TF32 keeps 10 bits of a float's fraction. */
static float to_tf32(float x) { return emu_bits<float>((emu_bits<unsigned>(x) + 0x1000u) & 0xffffe000u); }

/* op(M) with k contiguous: out[i * k + p]. */
static std::vector<float> pack(const char *at, const Layout &l, bool k_is_rows, int64_t count, int64_t k, bool tf32)
{
    std::vector<float> out(size_t(count * k));
    for (int64_t i = 0; i < count; i++) {
        for (int64_t p = 0; p < k; p++) {
            const int64_t element = k_is_rows ? p + i * l.ld : i + p * l.ld;
            const float value = load(at + element * int64_t(width(l.type)), l.type);
            out[size_t(i * k + p)] = tf32 ? to_tf32(value) : value;
        }
    }
    for (int64_t c = 0; c < int64_t(l.cols); c++) race_require_written("cublasLtMatmul", at + c * l.ld * int64_t(width(l.type)), l.rows * width(l.type));
    return out;
}

EMU_NO_ASAN static float dot(const float *x, const float *y, int64_t k)
{
    float sum = 0;
    for (int64_t p = 0; p < k; p++) sum += x[p] * y[p];
    return sum;
}

EMU_NO_ASAN static float dot_backwards(const float *x, const float *y, int64_t k)
{
    float sum = 0;
    for (int64_t p = k - 1; p >= 0; p--) sum += x[p] * y[p];
    return sum;
}

/* In `parts` runs of k, each forwards or backwards. */
static float ordered_dot(const float *x, const float *y, int64_t k, uint32_t parts, bool backwards)
{
    float sum = 0;
    for (uint32_t part = 0; part < parts; part++) {
        const int64_t first = k * part / parts, last = k * (part + 1) / parts;
        sum += backwards ? dot_backwards(x + first, y + first, last - first) : dot(x + first, y + first, last - first);
    }
    return sum;
}

static uint32_t column_bucket(int64_t n) { return n <= 1 ? 0 : n <= 8 ? 1 : n <= 64 ? 2 : 3; }

static float apply_epilogue(cublasLtEpilogue_t epilogue, float v)
{
    switch (epilogue) {
    case CUBLASLT_EPILOGUE_RELU:
    case CUBLASLT_EPILOGUE_RELU_BIAS: return v > 0 ? v : 0;
    case CUBLASLT_EPILOGUE_GELU:
    case CUBLASLT_EPILOGUE_GELU_BIAS: return 0.5f * v * (1.0f + std::tanh(0.7978845608f * (v + 0.044715f * v * v * v)));
    default: return v;
    }
}

static void multiply(const Problem &p, uint32_t id, const char *a, const char *b, const char *c, char *d)
{
    const bool tf32 = p.desc.compute == CUBLAS_COMPUTE_32F_FAST_TF32 && p.a.type == CUDA_R_32F;
    const std::vector<float> left = pack(a, p.a, p.desc.transa != CUBLAS_OP_N, p.m, p.k, tf32);
    const std::vector<float> right = pack(b, p.b, p.desc.transb == CUBLAS_OP_N, p.n, p.k, tf32);
    const uint32_t bucket = column_bucket(p.n), parts = 1 + id + bucket;
    const char *bias = static_cast<const char *>(p.desc.bias);
    for (int64_t j = 0; j < p.n; j++) {
        for (int64_t i = 0; i < p.m; i++) {
            float v = p.alpha * ordered_dot(&left[size_t(i * p.k)], &right[size_t(j * p.k)], p.k, parts, bucket & 1);
            if (p.beta != 0) v += p.beta * load(c + (i + j * p.c.ld) * int64_t(width(p.c.type)), p.c.type);
            if (has_bias(p.desc)) v += load(bias + i * int64_t(width(bias_type(p))), bias_type(p));
            store(d + (i + j * p.d.ld) * int64_t(width(p.d.type)), p.d.type, apply_epilogue(p.desc.epilogue, v));
        }
        race_written(d + j * p.d.ld * int64_t(width(p.d.type)), size_t(p.m) * width(p.d.type));
    }
}

struct Operands {
    const char *a, *b, *c;
    char *d;
    void *workspace;
    size_t workspace_bytes;
};

static void run(const Problem &p, uint32_t id, const Operands &o, int device)
{
    require_matrix("A", o.a, p.a, device);
    require_matrix("B", o.b, p.b, device);
    require_matrix("D", o.d, p.d, device);
    if (p.beta != 0) require_matrix("C", o.c, p.c, device);
    if (has_bias(p.desc)) require_device_range("cublasLtMatmul: bias", p.desc.bias, size_t(p.m) * width(bias_type(p)), device);
    open_device(device);
    counters().matmuls++;
    if (o.workspace_bytes) {
        require_device_range("cublasLtMatmul: workspace", o.workspace, o.workspace_bytes, device);
        raw_fill(o.workspace, 0xff, o.workspace_bytes); /* whoever kept something there has lost it */
    }
    for (int i = 0; i < p.d.batch; i++) {
        const int64_t n = i;
        multiply(p, id, o.a + n * p.a.batch_stride * int64_t(width(p.a.type)), o.b + n * p.b.batch_stride * int64_t(width(p.b.type)),
                 o.c + n * p.c.batch_stride * int64_t(width(p.c.type)), o.d + n * p.d.batch_stride * int64_t(width(p.d.type)));
    }
}

} // namespace emu

using namespace emu;

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[], int *found)
{
    Call call(__func__);
    if (call.refused()) return blas_status(call.error());
    blas_handle_of(handle);
    *found = 0;
    Problem p;
    const cublasStatus_t status = make_problem(&p, desc_of(desc), layout_of(a), layout_of(b), layout_of(c), layout_of(d));
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    const Preference *pref = preference_of(preference);
    for (uint32_t id = 0; id < ALGORITHMS && *found < wanted; id++) {
        const Algorithm algorithm{ MAGIC, id, uint32_t(p.desc.compute), uint32_t(p.a.type), uint32_t(p.b.type), uint32_t(p.d.type),
                                   pref->align_a, pref->align_b, pref->align_c, pref->align_d, id * SPLIT_WORKSPACE };
        if (algorithm.workspace > pref->workspace) continue;
        cublasLtMatmulHeuristicResult_t *result = &results[(*found)++];
        std::memset(result, 0, sizeof *result);
        std::memcpy(&result->algo, &algorithm, sizeof algorithm);
        result->workspaceSize = algorithm.workspace;
        result->state = CUBLAS_STATUS_SUCCESS;
        result->wavesCount = 1.0f;
    }
    return *found > 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha, const void *a, cublasLtMatrixLayout_t layout_a,
                              const void *b, cublasLtMatrixLayout_t layout_b, const void *beta, const void *c, cublasLtMatrixLayout_t layout_c, void *d,
                              cublasLtMatrixLayout_t layout_d, const cublasLtMatmulAlgo_t *algo, void *workspace, size_t workspace_bytes,
                              cudaStream_t stream)
{
    Call call(__func__);
    if (call.refused()) return blas_status(call.error());
    int device = 0;
    if (stream_device(stream, &device) != cudaSuccess || blas_handle_of(handle)->device != device) return CUBLAS_STATUS_INVALID_VALUE;
    Problem p;
    const cublasStatus_t status = make_problem(&p, desc_of(desc), layout_of(layout_a), layout_of(layout_b), layout_of(layout_c), layout_of(layout_d));
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    p.alpha = *static_cast<const float *>(alpha);
    p.beta = *static_cast<const float *>(beta);
    if (has_bias(p.desc) && !p.desc.bias) return CUBLAS_STATUS_INVALID_VALUE;

    /* Without an algorithm the library looks at the pointers itself. */
    Algorithm algorithm{ MAGIC, 0, uint32_t(p.desc.compute), uint32_t(p.a.type), uint32_t(p.b.type), uint32_t(p.d.type),
                         uint32_t(width(p.a.type)), uint32_t(width(p.b.type)), uint32_t(width(p.c.type)), uint32_t(width(p.d.type)), 0 };
    if (algo) std::memcpy(&algorithm, algo, sizeof algorithm);
    if (algorithm.magic != MAGIC) return CUBLAS_STATUS_INVALID_VALUE;
    if (algorithm.compute != uint32_t(p.desc.compute) || algorithm.type_a != uint32_t(p.a.type) || algorithm.type_d != uint32_t(p.d.type))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (workspace_bytes < algorithm.workspace || (algorithm.workspace && !workspace)) return CUBLAS_STATUS_INVALID_VALUE;
    if (reinterpret_cast<uintptr_t>(workspace) % 16) return CUBLAS_STATUS_INVALID_VALUE;
    require_aligned("A", a, algorithm.align_a);
    require_aligned("B", b, algorithm.align_b);
    require_aligned("D", d, algorithm.align_d);
    if (p.beta != 0) require_aligned("C", c, algorithm.align_c);

    const Operands operands{ static_cast<const char *>(a), static_cast<const char *>(b), static_cast<const char *>(c), static_cast<char *>(d), workspace,
                             size_t(algorithm.workspace) };
    const uint32_t id = algorithm.id;
    const cudaError_t error = enqueue(stream, operation("cublasLtMatmul", [p, id, operands, device] { run(p, id, operands, device); }));
    return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
