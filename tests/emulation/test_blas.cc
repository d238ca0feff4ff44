/* cublasLt as the product uses it: row-major matrices by operand order, against a double; refusals; and that a sum's order does depend
 * on how many rows there are. */
#include "self_test.h"

#include <cublasLt.h>

#define BLAS_OK(call) CHECK_STATUS(call, CUBLAS_STATUS_SUCCESS)

static cudaStream_t stream;
static cublasLtHandle_t handle;

template <typename T> static T convert(float v);
template <> float convert<float>(float v) { return v; }
template <> __nv_bfloat16 convert<__nv_bfloat16>(float v) { return __float2bfloat16_rn(v); }
template <> __half convert<__half>(float v) { return __float2half_rn(v); }
static float widen(float v) { return v; }
static float widen(__nv_bfloat16 v) { return __bfloat162float(v); }
static float widen(__half v) { return __half2float(v); }
template <typename T> constexpr cudaDataType type_of = sizeof(T) == 4 ? CUDA_R_32F : std::is_same<T, __half>::value ? CUDA_R_16F : CUDA_R_16BF;

/* y [rows, n] = epilogue(alpha x [rows, k] W[n, k]^T + beta y + bias) */
struct Product {
    int rows, n, k;
    cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    float alpha = 1, beta = 0;
    cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
    uint64_t workspace = 0;
    int algorithm = 0;
};

template <typename T> static std::vector<T> run(const Product &p, const std::vector<T> &x, const std::vector<T> &w, const std::vector<T> &y, const std::vector<T> &bias)
{
    cublasLtMatmulDesc_t desc = nullptr;
    cublasLtMatrixLayout_t lw = nullptr, lx = nullptr, ly = nullptr;
    cublasLtMatmulPreference_t preference = nullptr;
    cublasLtMatmulHeuristicResult_t results[4];
    int found = 0;
    const cublasOperation_t transpose = CUBLAS_OP_T;
    T *dx = upload(x), *dw = upload(w), *dy = upload(y), *db = upload(bias);
    const void *bias_pointer = db;
    void *workspace = p.workspace ? device_array<char>(p.workspace) : nullptr;
    BLAS_OK(cublasLtMatmulDescCreate(&desc, p.compute, CUDA_R_32F));
    BLAS_OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &transpose, sizeof transpose));
    BLAS_OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &p.epilogue, sizeof p.epilogue));
    BLAS_OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias_pointer, sizeof bias_pointer));
    BLAS_OK(cublasLtMatrixLayoutCreate(&lw, type_of<T>, uint64_t(p.k), uint64_t(p.n), p.k));
    BLAS_OK(cublasLtMatrixLayoutCreate(&lx, type_of<T>, uint64_t(p.k), uint64_t(p.rows), p.k));
    BLAS_OK(cublasLtMatrixLayoutCreate(&ly, type_of<T>, uint64_t(p.n), uint64_t(p.rows), p.n));
    BLAS_OK(cublasLtMatmulPreferenceCreate(&preference));
    BLAS_OK(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &p.workspace, sizeof p.workspace));
    BLAS_OK(cublasLtMatmulAlgoGetHeuristic(handle, desc, lw, lx, ly, ly, preference, 4, results, &found));
    CHECK(found > p.algorithm);
    BLAS_OK(cublasLtMatmul(handle, desc, &p.alpha, dw, lw, dx, lx, &p.beta, dy, ly, dy, ly, &results[p.algorithm].algo, workspace, p.workspace, stream));
    CHECK_OK(cudaStreamSynchronize(stream));
    const std::vector<T> got = download(dy, y.size());
    BLAS_OK(cublasLtMatmulPreferenceDestroy(preference));
    for (cublasLtMatrixLayout_t layout : { lw, lx, ly }) BLAS_OK(cublasLtMatrixLayoutDestroy(layout));
    BLAS_OK(cublasLtMatmulDescDestroy(desc));
    for (T *d : { dx, dw, dy, db }) CHECK_OK(cudaFree(d));
    CHECK_OK(cudaFree(workspace));
    return got;
}

template <typename T> static std::vector<T> random_values(size_t count)
{
    std::vector<T> values(count);
    for (T &v : values) v = convert<T>(draw());
    return values;
}

static double expected(const Product &p, double sum, double y, double bias)
{
    double v = double(p.alpha) * sum + double(p.beta) * y;
    const bool with_bias = p.epilogue == CUBLASLT_EPILOGUE_BIAS || p.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS || p.epilogue == CUBLASLT_EPILOGUE_GELU_BIAS;
    if (with_bias) v += bias;
    if (p.epilogue == CUBLASLT_EPILOGUE_RELU || p.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS) return v > 0 ? v : 0;
    if (p.epilogue == CUBLASLT_EPILOGUE_GELU || p.epilogue == CUBLASLT_EPILOGUE_GELU_BIAS)
        return 0.5 * v * (1 + std::tanh(std::sqrt(2 / 3.14159265358979) * (v + 0.044715 * v * v * v)));
    return v;
}

template <typename T> static void check_product(const Product &p, double tolerance)
{
    const std::vector<T> x = random_values<T>(size_t(p.rows * p.k)), w = random_values<T>(size_t(p.n * p.k)), y = random_values<T>(size_t(p.rows * p.n)),
                         bias = random_values<T>(size_t(p.n));
    const std::vector<T> got = run(p, x, w, y, bias);
    for (int r = 0; r < p.rows; r++) {
        for (int c = 0; c < p.n; c++) {
            double sum = 0;
            for (int i = 0; i < p.k; i++) sum += double(widen(x[size_t(r * p.k + i)])) * double(widen(w[size_t(c * p.k + i)]));
            const size_t at = size_t(r * p.n + c);
            const double want = expected(p, sum, double(widen(y[at])), double(widen(bias[size_t(c)])));
            CHECK(std::fabs(double(widen(got[at])) - want) <= tolerance * (1 + std::fabs(want)));
        }
    }
}

static void products_match_a_double()
{
    const cublasLtEpilogue_t epilogues[] = { CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_BIAS,      CUBLASLT_EPILOGUE_RELU,
                                             CUBLASLT_EPILOGUE_GELU,    CUBLASLT_EPILOGUE_RELU_BIAS, CUBLASLT_EPILOGUE_GELU_BIAS };
    for (int rows : { 1, 3, 9, 70 }) {
        for (cublasLtEpilogue_t epilogue : epilogues) {
            Product p{ rows, 33, 40 };
            p.epilogue = epilogue;
            p.alpha = rows == 3 ? 0.5f : 1.0f;
            p.beta = rows == 9 ? 1.0f : 0.0f;
            check_product<float>(p, 1e-5);
            check_product<__nv_bfloat16>(p, 1e-2);
            check_product<__half>(p, 1e-3);
        }
    }
    Product split{ 5, 16, 64 };
    split.workspace = 4 << 20;
    split.algorithm = 2;
    check_product<float>(split, 1e-5);
}

static void sums_depend_on_the_rows()
{
    const int k = 513, n = 8;
    const std::vector<float> x = random_values<float>(size_t(80 * k)), w = random_values<float>(size_t(n * k)), bias(n);
    std::vector<std::vector<float>> results;
    for (int rows : { 1, 2, 20, 80 }) {
        const std::vector<float> part(x.begin(), x.begin() + rows * k);
        const std::vector<float> got = run(Product{ rows, n, k }, part, w, std::vector<float>(size_t(rows * n)), bias);
        results.emplace_back(got.begin(), got.begin() + n); /* the first row, in ever more company */
    }
    for (size_t i = 1; i < results.size(); i++) CHECK(results[i] != results[0]);
}

static void tf32_is_coarse()
{
    Product p{ 4, 8, 256 };
    const std::vector<float> x = random_values<float>(4 * 256), w = random_values<float>(8 * 256), y(32), bias(8);
    const std::vector<float> exact = run(p, x, w, y, bias);
    p.compute = CUBLAS_COMPUTE_32F_FAST_TF32;
    const std::vector<float> coarse = run(p, x, w, y, bias);
    float worst = 0;
    for (size_t i = 0; i < 32; i++) worst = std::fmax(worst, std::fabs(exact[i] - coarse[i]));
    CHECK(worst > 1e-4f && worst < 0.1f);
}

static void refusals()
{
    cublasLtMatmulDesc_t desc = nullptr;
    cublasLtMatrixLayout_t good = nullptr, other = nullptr;
    cublasLtMatmulPreference_t preference = nullptr;
    cublasLtMatmulHeuristicResult_t result;
    int found = 0;
    BLAS_OK(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    BLAS_OK(cublasLtMatrixLayoutCreate(&good, CUDA_R_32F, 8, 8, 8));
    BLAS_OK(cublasLtMatrixLayoutCreate(&other, CUDA_R_32F, 9, 8, 9));
    BLAS_OK(cublasLtMatmulPreferenceCreate(&preference));
    BLAS_OK(cublasLtMatmulAlgoGetHeuristic(handle, desc, good, good, good, good, preference, 1, &result, &found));
    CHECK_STATUS(cublasLtMatmulAlgoGetHeuristic(handle, desc, good, other, good, good, preference, 1, &result, &found), CUBLAS_STATUS_INVALID_VALUE);
    const cublasOperation_t conjugate = CUBLAS_OP_C;
    CHECK_STATUS(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &conjugate, 1), CUBLAS_STATUS_INVALID_VALUE);
    const cublasLtEpilogue_t gradient = CUBLASLT_EPILOGUE_DGELU;
    BLAS_OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &gradient, sizeof gradient));
    CHECK_STATUS(cublasLtMatmulAlgoGetHeuristic(handle, desc, good, good, good, good, preference, 1, &result, &found), CUBLAS_STATUS_NOT_SUPPORTED);
    emu_fail_call("cublasLtMatmulDescCreate", 1, CUBLAS_STATUS_ALLOC_FAILED, false);
    cublasLtMatmulDesc_t failing = nullptr;
    CHECK_STATUS(cublasLtMatmulDescCreate(&failing, CUBLAS_COMPUTE_32F, CUDA_R_32F), CUBLAS_STATUS_ALLOC_FAILED);
    BLAS_OK(cublasLtMatmulPreferenceDestroy(preference));
    BLAS_OK(cublasLtMatrixLayoutDestroy(good));
    BLAS_OK(cublasLtMatrixLayoutDestroy(other));
    BLAS_OK(cublasLtMatmulDescDestroy(desc));
}

int main()
{
    stream = new_stream();
    BLAS_OK(cublasLtCreate(&handle));
    products_match_a_double();
    sums_depend_on_the_rows();
    tf32_is_coarse();
    refusals();
    BLAS_OK(cublasLtDestroy(handle));
    CHECK_OK(cudaStreamDestroy(stream));
    check_all_returned();
    return 0;
}
