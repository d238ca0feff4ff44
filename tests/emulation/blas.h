/* The objects behind cublasLt's opaque handles. */
#ifndef EMULATION_BLAS_H
#define EMULATION_BLAS_H

#include "call.h"

#include <cublasLt.h>

namespace emu {

enum class BlasKind { HANDLE, DESC, LAYOUT, PREFERENCE };

struct BlasObject {
    BlasKind kind;
    explicit BlasObject(BlasKind k) : kind(k) {}
};

struct BlasHandle : BlasObject {
    int device = 0;
    BlasHandle() : BlasObject(BlasKind::HANDLE) {}
};

struct MatmulDesc : BlasObject {
    cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
    cudaDataType_t scale = CUDA_R_32F;
    cublasLtPointerMode_t pointers = CUBLASLT_POINTER_MODE_HOST;
    cublasOperation_t transa = CUBLAS_OP_N, transb = CUBLAS_OP_N;
    cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    const void *bias = nullptr;
    int32_t bias_type = -1; /* a cudaDataType_t; -1: that of D */
    MatmulDesc() : BlasObject(BlasKind::DESC) {}
};

/* Column-major: element (r, c) is at r + c * ld. */
struct Layout : BlasObject {
    cudaDataType type = CUDA_R_32F;
    uint64_t rows = 0, cols = 0;
    int64_t ld = 0;
    int32_t batch = 1;
    int64_t batch_stride = 0;
    Layout() : BlasObject(BlasKind::LAYOUT) {}
};

struct Preference : BlasObject {
    uint64_t workspace = 0;
    uint32_t align_a = 256, align_b = 256, align_c = 256, align_d = 256;
    Preference() : BlasObject(BlasKind::PREFERENCE) {}
};

BlasHandle *blas_handle_of(cublasLtHandle_t handle);
MatmulDesc *desc_of(cublasLtMatmulDesc_t desc);
Layout *layout_of(cublasLtMatrixLayout_t layout);
Preference *preference_of(cublasLtMatmulPreference_t preference);

/* What an injected error of a Call means to cuBLAS: small numbers are cuBLAS statuses, the rest are CUDA errors. */
cublasStatus_t blas_status(cudaError_t error);

} // namespace emu

#endif
