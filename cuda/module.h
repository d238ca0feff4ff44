/* libcuddle-cuda.so has one exported symbol. The library opens it on demand; tests call it directly. */
#ifndef CUD_CUDA_MODULE_H
#define CUD_CUDA_MODULE_H

#include "core/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CUD_CUDA_ABI = 1 };

typedef struct cuda_device {
    char name[128];
    int capability; /* 90 for 9.0 */
    uint64_t memory_total, memory_free; /* bytes */
} cuda_device;

typedef struct cuda_module {
    /* Devices there are; 0 without a driver or a device, and then err (if not NULL) says why. */
    int (*count)(cuddle_error *err);
    cuddle_status (*describe)(int device, cuda_device *out, cuddle_error *err);
    /* Opens a device. Release with (*out)->ops->destroy(*out). */
    cuddle_status (*open)(backend **out, int device, cuddle_error *err);
} cuda_module;

/* The table, or NULL if the caller was built with another abi or another op table: then the two files are not of one version. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const cuda_module *cud_cuda_module(int abi, size_t ops_size);

#ifdef __cplusplus
}
#endif
#endif
