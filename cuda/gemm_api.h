/* The functions of cuBLASLt that gemm.c calls, as a table: the library is opened when it is needed, and tests put their own in its place. */
#ifndef CUD_CUDA_GEMM_API_H
#define CUD_CUDA_GEMM_API_H

#include <cublasLt.h>

#define CUBLASLT_FUNCTIONS(F)             \
    F(cublasLtCreate)                     \
    F(cublasLtDestroy)                    \
    F(cublasLtGetStatusString)            \
    F(cublasLtMatmul)                     \
    F(cublasLtMatmulAlgoGetHeuristic)     \
    F(cublasLtMatmulDescCreate)           \
    F(cublasLtMatmulDescDestroy)          \
    F(cublasLtMatmulDescSetAttribute)     \
    F(cublasLtMatrixLayoutCreate)         \
    F(cublasLtMatrixLayoutDestroy)        \
    F(cublasLtMatrixLayoutSetAttribute)   \
    F(cublasLtMatmulPreferenceCreate)     \
    F(cublasLtMatmulPreferenceDestroy)    \
    F(cublasLtMatmulPreferenceSetAttribute)

typedef struct cublaslt_api {
#define CUBLASLT_FIELD(name) __typeof__(name) *name;
    CUBLASLT_FUNCTIONS(CUBLASLT_FIELD)
#undef CUBLASLT_FIELD
} cublaslt_api;

#endif
