/* cublasLt's handles, descriptors, layouts and preferences: made, filled in, given back. */
#include "blas.h"

#include <set>

namespace emu {

static std::set<BlasObject *> &objects()
{
    static std::set<BlasObject *> &all = *new std::set<BlasObject *>;
    return all;
}

static BlasObject *checked(void *handle, BlasKind kind, const char *what)
{
    BlasObject *object = static_cast<BlasObject *>(handle);
    if (!objects().count(object) || object->kind != kind) fail("cublasLt: %p is no %s, or one that was destroyed", handle, what);
    return object;
}

BlasHandle *blas_handle_of(cublasLtHandle_t h) { return static_cast<BlasHandle *>(checked(h, BlasKind::HANDLE, "handle")); }
MatmulDesc *desc_of(cublasLtMatmulDesc_t d) { return static_cast<MatmulDesc *>(checked(d, BlasKind::DESC, "matmul descriptor")); }
Layout *layout_of(cublasLtMatrixLayout_t l) { return static_cast<Layout *>(checked(l, BlasKind::LAYOUT, "matrix layout")); }
Preference *preference_of(cublasLtMatmulPreference_t p) { return static_cast<Preference *>(checked(p, BlasKind::PREFERENCE, "preference")); }

cublasStatus_t blas_status(cudaError_t error)
{
    if (error == cudaSuccess) return CUBLAS_STATUS_SUCCESS;
    if (int(error) <= int(CUBLAS_STATUS_LICENSE_ERROR)) return static_cast<cublasStatus_t>(error);
    return CUBLAS_STATUS_EXECUTION_FAILED;
}

template <typename OBJECT, typename HANDLE> static OBJECT *add(HANDLE *out)
{
    OBJECT *object = new OBJECT;
    objects().insert(object);
    *out = reinterpret_cast<HANDLE>(static_cast<BlasObject *>(object));
    return object;
}

template <typename OBJECT> static cublasStatus_t remove(OBJECT *object)
{
    objects().erase(object);
    delete object;
    return CUBLAS_STATUS_SUCCESS;
}

/* One attribute: copied in if the size is right. */
template <typename T> static cublasStatus_t take(T *field, const void *value, size_t size)
{
    if (!value || size != sizeof *field) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(field, value, size);
    return CUBLAS_STATUS_SUCCESS;
}

template <typename T> static cublasStatus_t give(const T &field, void *value, size_t size, size_t *written)
{
    if (written) *written = sizeof field;
    if (!value || size < sizeof field) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(value, &field, sizeof field);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t set_desc(MatmulDesc *d, cublasLtMatmulDescAttributes_t attribute, const void *value, size_t size)
{
    switch (attribute) {
    case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE: return take(&d->compute, value, size);
    case CUBLASLT_MATMUL_DESC_SCALE_TYPE: return take(&d->scale, value, size);
    case CUBLASLT_MATMUL_DESC_POINTER_MODE: return take(&d->pointers, value, size);
    case CUBLASLT_MATMUL_DESC_TRANSA: return take(&d->transa, value, size);
    case CUBLASLT_MATMUL_DESC_TRANSB: return take(&d->transb, value, size);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return take(&d->epilogue, value, size);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return take(&d->bias, value, size);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return take(&d->bias_type, value, size);
    case CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET: return CUBLAS_STATUS_SUCCESS;
    default: return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

static cublasStatus_t set_layout(Layout *l, cublasLtMatrixLayoutAttribute_t attribute, const void *value, size_t size)
{
    cublasLtOrder_t order = CUBLASLT_ORDER_COL;
    switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_ROWS: return take(&l->rows, value, size);
    case CUBLASLT_MATRIX_LAYOUT_COLS: return take(&l->cols, value, size);
    case CUBLASLT_MATRIX_LAYOUT_LD: return take(&l->ld, value, size);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return take(&l->batch, value, size);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return take(&l->batch_stride, value, size);
    case CUBLASLT_MATRIX_LAYOUT_ORDER:
        if (take(&order, value, size) != CUBLAS_STATUS_SUCCESS) return CUBLAS_STATUS_INVALID_VALUE;
        return order == CUBLASLT_ORDER_COL ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
    default: return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

static cublasStatus_t set_preference(Preference *p, cublasLtMatmulPreferenceAttributes_t attribute, const void *value, size_t size)
{
    switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return take(&p->workspace, value, size);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return take(&p->align_a, value, size);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return take(&p->align_b, value, size);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: return take(&p->align_c, value, size);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return take(&p->align_d, value, size);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return CUBLAS_STATUS_SUCCESS;
    default: return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

} // namespace emu

using namespace emu;

cublasStatus_t cublasLtCreate(cublasLtHandle_t *out)
{
    Call call(__func__);
    if (call.refused()) return blas_status(call.error());
    add<BlasHandle>(out)->device = current_device();
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    Call call(__func__);
    if (call.injected()) return blas_status(call.error());
    return remove(blas_handle_of(handle));
}
size_t cublasLtGetVersion(void) { return CUBLAS_VERSION; }
size_t cublasLtGetCudartVersion(void) { return CUDART_VERSION; }
const char *cublasLtGetStatusName(cublasStatus_t status) { return status == CUBLAS_STATUS_SUCCESS ? "CUBLAS_STATUS_SUCCESS" : "CUBLAS_STATUS_OTHER"; }
const char *cublasLtGetStatusString(cublasStatus_t status) { return status == CUBLAS_STATUS_SUCCESS ? "success" : "an emulated failure"; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute, cudaDataType_t scale)
{
    Call call(__func__);
    if (call.refused()) return blas_status(call.error());
    MatmulDesc *desc = add<MatmulDesc>(out);
    desc->compute = compute;
    desc->scale = scale;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc)
{
    Call call(__func__);
    if (call.injected()) return blas_status(call.error());
    return remove(desc_of(desc));
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute, const void *value, size_t size)
{
    Call call(__func__);
    if (call.refused()) return blas_status(call.error());
    return set_desc(desc_of(desc), attribute, value, size);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType type, uint64_t rows, uint64_t cols, int64_t ld)
{
    Call call(__func__);
    if (call.refused()) return blas_status(call.error());
    Layout *layout = add<Layout>(out);
    layout->type = type;
    layout->rows = rows;
    layout->cols = cols;
    layout->ld = ld;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    Call call(__func__);
    if (call.injected()) return blas_status(call.error());
    return remove(layout_of(layout));
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute, const void *value, size_t size)
{
    Call call(__func__);
    if (call.refused()) return blas_status(call.error());
    return set_layout(layout_of(layout), attribute, value, size);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out)
{
    Call call(__func__);
    if (call.refused()) return blas_status(call.error());
    add<Preference>(out);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    Call call(__func__);
    if (call.injected()) return blas_status(call.error());
    return remove(preference_of(preference));
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t size)
{
    Call call(__func__);
    if (call.refused()) return blas_status(call.error());
    return set_preference(preference_of(preference), attribute, value, size);
}
cublasStatus_t cublasLtMatmulPreferenceGetAttribute(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, void *value,
                                                    size_t size, size_t *written)
{
    Call call(__func__);
    if (call.refused()) return blas_status(call.error());
    if (attribute != CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) return CUBLAS_STATUS_NOT_SUPPORTED;
    return give(preference_of(preference)->workspace, value, size, written);
}

void blas_live(emu_live *out) { out->blas_objects = int(objects().size()); }
