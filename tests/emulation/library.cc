/* dlopen and dlsym of the CUDA libraries, wrapped at link time (-Wl,--wrap): a program that opens libcublasLt on demand gets us. */
#include "call.h"

#include <cublasLt.h>
#include <dlfcn.h>

namespace emu {

struct Symbol {
    const char *name;
    void *address;
};
#define EMU_SYMBOL(name) { #name, reinterpret_cast<void *>(name) }
static const Symbol blas_symbols[] = {
    EMU_SYMBOL(cublasLtCreate),
    EMU_SYMBOL(cublasLtDestroy),
    EMU_SYMBOL(cublasLtGetVersion),
    EMU_SYMBOL(cublasLtGetCudartVersion),
    EMU_SYMBOL(cublasLtGetStatusName),
    EMU_SYMBOL(cublasLtGetStatusString),
    EMU_SYMBOL(cublasLtMatmul),
    EMU_SYMBOL(cublasLtMatmulAlgoGetHeuristic),
    EMU_SYMBOL(cublasLtMatmulDescCreate),
    EMU_SYMBOL(cublasLtMatmulDescDestroy),
    EMU_SYMBOL(cublasLtMatmulDescSetAttribute),
    EMU_SYMBOL(cublasLtMatrixLayoutCreate),
    EMU_SYMBOL(cublasLtMatrixLayoutDestroy),
    EMU_SYMBOL(cublasLtMatrixLayoutSetAttribute),
    EMU_SYMBOL(cublasLtMatmulPreferenceCreate),
    EMU_SYMBOL(cublasLtMatmulPreferenceDestroy),
    EMU_SYMBOL(cublasLtMatmulPreferenceSetAttribute),
    EMU_SYMBOL(cublasLtMatmulPreferenceGetAttribute),
};
#undef EMU_SYMBOL

static char blas_library; /* its address is our handle */

} // namespace emu

using namespace emu;

extern "C" {

void *__real_dlopen(const char *name, int flags);
void *__real_dlsym(void *library, const char *name);
int __real_dlclose(void *library);
void *__wrap_dlopen(const char *name, int flags);
void *__wrap_dlsym(void *library, const char *name);
int __wrap_dlclose(void *library);

void *__wrap_dlopen(const char *name, int flags)
{
    if (!name || !std::strstr(name, "libcublasLt.so")) return __real_dlopen(name, flags);
    Call call("dlopen");
    return call.injected() ? nullptr : &blas_library;
}

void *__wrap_dlsym(void *library, const char *name)
{
    if (library != &blas_library) return __real_dlsym(library, name);
    for (const Symbol &symbol : blas_symbols)
        if (std::strcmp(symbol.name, name) == 0) return symbol.address;
    return nullptr;
}

int __wrap_dlclose(void *library) { return library == &blas_library ? 0 : __real_dlclose(library); }

} // extern "C"
