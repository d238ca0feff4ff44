/* cuBLASLt is column-major. Row-major out [rows, n] = x [rows, k] W^T is column-major D (n x rows) = A B, where A is W's memory seen as k x n and
 * transposed (or as n x k for a W that is [k, n]) and B is x's memory seen as k x rows: only the operands change places. The
 * bias is per row of D, which is a column of out.
 *
 * An algorithm is chosen once per shape, for the smallest power of two of rows that holds it (so that the choice does not depend on
 * which request came first), and kept with its descriptors; the table has room for some hundred shapes, of which the least
 * recently used make way. */
#include "gemm.h"
#include "gemm_api.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum { SETS = 32, WAYS = 8, LEAST_ROWS = 16, MOST_ALIGNMENT = 16 };

/* Whatever an algorithm may depend on; compared as bytes. */
typedef struct gemm_key {
    int64_t rows, n, k, x_stride, w_stride, out_stride, residual_stride; /* rows: a power of two */
    int32_t type, out_type;
    uint32_t transposed, bias, residual, gelu;
    uint32_t align_x, align_w, align_out, align_residual;
} gemm_key;

typedef struct gemm_plan {
    gemm_key key;
    uint64_t used; /* when; 0: an empty place */
    bool found;    /* cuBLASLt has an algorithm */
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t w, x, residual, out; /* A, B, C, D */
    cublasLtMatmulAlgo_t algo;
} gemm_plan;

struct cuda_gemm {
    const cublaslt_api *api;
    cublaslt_api opened; /* what api points to if this opened the library itself */
    void *library;
    cublasLtHandle_t handle;
    cublasLtMatmulPreference_t preference;
    uint64_t clock;
    gemm_plan plans[SETS][WAYS];
};

static cuddle_status check(const struct cuda_gemm *g, cublasStatus_t status, const char *what, cuddle_error *err)
{
    if (status == CUBLAS_STATUS_SUCCESS) return CUDDLE_OK;
    return cud_fail(err, status == CUBLAS_STATUS_ALLOC_FAILED ? CUDDLE_E_NOMEM : CUDDLE_E_DEVICE, "linear on CUDA: cuBLASLt, %s: %s", what,
                    g->api->cublasLtGetStatusString(status));
}

/* ------------------------------------------------------------------------------------------------------------- life */

static void clear(struct cuda_gemm *g, gemm_plan *p)
{
    const cublaslt_api *api = g->api;
    if (p->desc) api->cublasLtMatmulDescDestroy(p->desc);
    if (p->w) api->cublasLtMatrixLayoutDestroy(p->w);
    if (p->x) api->cublasLtMatrixLayoutDestroy(p->x);
    if (p->residual) api->cublasLtMatrixLayoutDestroy(p->residual);
    if (p->out) api->cublasLtMatrixLayoutDestroy(p->out);
    memset(p, 0, sizeof *p);
}

void cud_cuda_gemm_free(struct cuda_gemm *g)
{
    if (!g) return;
    for (int i = 0; g->api && i < SETS * WAYS; i++) clear(g, &g->plans[i / WAYS][i % WAYS]);
    if (g->preference) g->api->cublasLtMatmulPreferenceDestroy(g->preference);
    if (g->handle) g->api->cublasLtDestroy(g->handle);
    if (g->library) dlclose(g->library);
    free(g);
}

static cuddle_status start(struct cuda_gemm *g, cuddle_error *err)
{
    cuddle_status status = check(g, g->api->cublasLtCreate(&g->handle), "creating a handle", err);
    if (!status) status = check(g, g->api->cublasLtMatmulPreferenceCreate(&g->preference), "creating a preference", err);
    return status;
}

cuddle_status cud_cuda_gemm_new(struct cuda_gemm **out, const cublaslt_api *api, cuddle_error *err)
{
    *out = NULL;
    struct cuda_gemm *g = calloc(1, sizeof *g);
    if (!g) return cud_nomem(err, sizeof *g, "cuBLASLt's algorithms");
    g->api = api;
    const cuddle_status status = start(g, err);
    if (status) cud_cuda_gemm_free(g);
    else *out = g;
    return status;
}

#define QUOTE(x) #x
#define LIBRARY(major) "libcublasLt.so." QUOTE(major)

cuddle_status cud_cuda_gemm_open(struct cuda_gemm **out, cuddle_error *err)
{
    *out = NULL;
    struct cuda_gemm *g = calloc(1, sizeof *g);
    if (!g) return cud_nomem(err, sizeof *g, "cuBLASLt's algorithms");
    cuddle_status status = CUDDLE_OK;
    g->library = dlopen(LIBRARY(CUBLAS_VER_MAJOR), RTLD_NOW | RTLD_LOCAL);
    if (!g->library) status = cud_fail(err, CUDDLE_E_DEVICE, "cuBLASLt: %s could not be opened", LIBRARY(CUBLAS_VER_MAJOR));
#define FIND(name)                                                                                                                      \
    if (!status) {                                                                                                                      \
        void *address = dlsym(g->library, #name);                                                                                       \
        memcpy(&g->opened.name, &address, sizeof address); /* ISO C has no cast from an object's address to a function's */             \
        if (!address) status = cud_fail(err, CUDDLE_E_DEVICE, "cuBLASLt: %s has no %s", LIBRARY(CUBLAS_VER_MAJOR), #name);               \
    }
    CUBLASLT_FUNCTIONS(FIND)
#undef FIND
    if (!status) {
        g->api = &g->opened;
        status = start(g, err);
    }
    if (status) cud_cuda_gemm_free(g);
    else *out = g;
    return status;
}

/* ------------------------------------------------------------------------------------------------------------ plans */

static uint32_t alignment(const void *p)
{
    const uintptr_t at = (uintptr_t)p;
    return at % MOST_ALIGNMENT == 0 ? MOST_ALIGNMENT : (uint32_t)(at & (~at + 1));
}

static gemm_key key_of(const gemm_args *a)
{
    gemm_key key = { 0 };
    for (key.rows = LEAST_ROWS; key.rows < a->rows;) key.rows *= 2;
    key.n = a->n, key.k = a->k;
    key.x_stride = a->x_stride, key.w_stride = a->w_stride, key.out_stride = a->out_stride;
    key.type = (int32_t)a->type, key.out_type = (int32_t)a->out_type;
    key.transposed = a->w_transposed, key.bias = a->bias != NULL, key.gelu = a->gelu_tanh;
    key.align_x = alignment(a->x), key.align_w = alignment(a->w), key.align_out = alignment(a->out);
    if (a->residual) {
        key.residual = 1;
        key.residual_stride = a->residual_stride;
        key.align_residual = alignment(a->residual);
    }
    return key;
}

/* The place of this key: where it is, or the one to be overwritten. */
static gemm_plan *find(struct cuda_gemm *g, const gemm_key *key)
{
    uint64_t hash = 14695981039346656037u;
    const unsigned char *bytes = (const unsigned char *)key;
    for (size_t i = 0; i < sizeof *key; i++) hash = (hash ^ bytes[i]) * 1099511628211u;
    gemm_plan *set = g->plans[(hash >> 32) % SETS], *oldest = set;
    for (int i = 0; i < WAYS; i++) {
        if (set[i].used && memcmp(&set[i].key, key, sizeof *key) == 0) return &set[i];
        if (set[i].used < oldest->used) oldest = &set[i];
    }
    return oldest;
}

static cudaDataType_t cuda_type(int32_t type)
{
    return type == CUDDLE_F32 ? CUDA_R_32F : type == CUDDLE_BF16 ? CUDA_R_16BF : CUDA_R_16F;
}

static cublasStatus_t make_layout(const cublaslt_api *api, cublasLtMatrixLayout_t *out, int32_t type, int64_t rows, int64_t cols, int64_t stride)
{
    return api->cublasLtMatrixLayoutCreate(out, cuda_type(type), (uint64_t)rows, (uint64_t)cols, stride);
}

#define SET(function, object, attribute, type, value)                                    \
    do {                                                                                 \
        const type set_ = (value);                                                       \
        if (!status) status = api->function((object), (attribute), &set_, sizeof set_);  \
    } while (0)

/* Asks for an algorithm for `rows` rows. None is no failure: found stays false. */
static cublasStatus_t choose(struct cuda_gemm *g, gemm_plan *p, int64_t rows, size_t workspace_bytes)
{
    const cublaslt_api *api = g->api;
    cublasLtMatmulPreference_t pref = g->preference;
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    p->found = false;
    const gemm_key *k = &p->key;
    SET(cublasLtMatrixLayoutSetAttribute, p->x, CUBLASLT_MATRIX_LAYOUT_COLS, uint64_t, (uint64_t)rows);
    SET(cublasLtMatrixLayoutSetAttribute, p->residual, CUBLASLT_MATRIX_LAYOUT_COLS, uint64_t, (uint64_t)rows);
    SET(cublasLtMatrixLayoutSetAttribute, p->out, CUBLASLT_MATRIX_LAYOUT_COLS, uint64_t, (uint64_t)rows);
    SET(cublasLtMatmulPreferenceSetAttribute, pref, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t, workspace_bytes);
    SET(cublasLtMatmulPreferenceSetAttribute, pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, uint32_t, k->align_w);
    SET(cublasLtMatmulPreferenceSetAttribute, pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, uint32_t, k->align_x);
    SET(cublasLtMatmulPreferenceSetAttribute, pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, uint32_t, k->residual ? k->align_residual : k->align_out);
    SET(cublasLtMatmulPreferenceSetAttribute, pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, uint32_t, k->align_out);
    if (status) return status;
    cublasLtMatmulHeuristicResult_t result;
    int count = 0;
    memset(&result, 0, sizeof result);
    status = api->cublasLtMatmulAlgoGetHeuristic(g->handle, p->desc, p->w, p->x, p->residual, p->out, pref, 1, &result, &count);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED) return CUBLAS_STATUS_SUCCESS;
    if (status) return status;
    p->found = count > 0 && result.state == CUBLAS_STATUS_SUCCESS && result.workspaceSize <= workspace_bytes;
    p->algo = result.algo;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t make(struct cuda_gemm *g, gemm_plan *p, const gemm_key *key, size_t workspace_bytes)
{
    const cublaslt_api *api = g->api;
    clear(g, p);
    p->key = *key;
    cublasStatus_t status = api->cublasLtMatmulDescCreate(&p->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (!status) status = key->transposed ? make_layout(api, &p->w, key->type, key->n, key->k, key->w_stride)
                                          : make_layout(api, &p->w, key->type, key->k, key->n, key->w_stride);
    if (!status) status = make_layout(api, &p->x, key->type, key->k, key->rows, key->x_stride);
    if (!status) status = make_layout(api, &p->residual, key->out_type, key->n, key->rows, key->residual ? key->residual_stride : key->out_stride);
    if (!status) status = make_layout(api, &p->out, key->out_type, key->n, key->rows, key->out_stride);
    SET(cublasLtMatmulDescSetAttribute, p->desc, CUBLASLT_MATMUL_DESC_TRANSA, cublasOperation_t, key->transposed ? CUBLAS_OP_N : CUBLAS_OP_T);
    SET(cublasLtMatmulDescSetAttribute, p->desc, CUBLASLT_MATMUL_DESC_TRANSB, cublasOperation_t, CUBLAS_OP_N);
    if (key->bias || key->gelu)
        SET(cublasLtMatmulDescSetAttribute, p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, cublasLtEpilogue_t,
            key->gelu ? key->bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU : CUBLASLT_EPILOGUE_BIAS);
    if (key->bias)
        SET(cublasLtMatmulDescSetAttribute, p->desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, cudaDataType_t, cuda_type(key->out_type));
    return status ? status : choose(g, p, key->rows, workspace_bytes);
}

/* -------------------------------------------------------------------------------------------------------------- run */

static cublasStatus_t launch(struct cuda_gemm *g, gemm_plan *p, cudaStream_t stream, const gemm_args *a)
{
    const cublaslt_api *api = g->api;
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    SET(cublasLtMatrixLayoutSetAttribute, p->x, CUBLASLT_MATRIX_LAYOUT_COLS, uint64_t, (uint64_t)a->rows);
    SET(cublasLtMatrixLayoutSetAttribute, p->residual, CUBLASLT_MATRIX_LAYOUT_COLS, uint64_t, (uint64_t)a->rows);
    SET(cublasLtMatrixLayoutSetAttribute, p->out, CUBLASLT_MATRIX_LAYOUT_COLS, uint64_t, (uint64_t)a->rows);
    if (a->bias) SET(cublasLtMatmulDescSetAttribute, p->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, void *, (void *)(uintptr_t)a->bias);
    if (status) return status;
    const float beta = a->residual ? 1.0f : 0.0f;
    return api->cublasLtMatmul(g->handle, p->desc, &a->alpha, a->w, p->w, a->x, p->x, &beta, a->residual ? a->residual : a->out, p->residual, a->out,
                               p->out, &p->algo, a->workspace, a->workspace_bytes, stream);
}

cuddle_status cud_cuda_gemm_run(struct cuda_gemm *g, cudaStream_t stream, const gemm_args *a, bool *done, cuddle_error *err)
{
    *done = false;
    const gemm_key key = key_of(a);
    gemm_plan *p = find(g, &key);
    cuddle_status status = CUDDLE_OK;
    if (!p->used || memcmp(&p->key, &key, sizeof key) != 0) status = check(g, make(g, p, &key, a->workspace_bytes), "choosing an algorithm", err);
    if (status) {
        clear(g, p);
        return status;
    }
    p->used = ++g->clock;
    if (!p->found) return CUDDLE_OK;
    cublasStatus_t result = launch(g, p, stream, a);
    if (result == CUBLAS_STATUS_NOT_SUPPORTED) { /* what suits the power of two does not suit this number */
        status = check(g, choose(g, p, a->rows, a->workspace_bytes), "choosing an algorithm", err);
        if (status || !p->found) return status;
        result = launch(g, p, stream, a);
        if (result == CUBLAS_STATUS_NOT_SUPPORTED) {
            p->found = false;
            return CUDDLE_OK;
        }
    }
    *done = result == CUBLAS_STATUS_SUCCESS;
    return check(g, result, "multiplying", err);
}
