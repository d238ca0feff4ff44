/* The CUDA backend's life, memory and transfers, and its op table. */
#include "backend.h"
#include "gemm.h"
#include "load.h"
#include "module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cuddle_status cud_cuda_check(cudaError_t status, const char *what, cuddle_error *err)
{
    if (status == cudaSuccess) return CUDDLE_OK;
    (void)cudaGetLastError();
    return cud_fail(err, CUDDLE_E_DEVICE, "%s on CUDA: %s", what, cudaGetErrorString(status));
}

/* ---------------------------------------------------------------------------------------------------------- memory */

static cuddle_status out_of_memory(size_t bytes, const char *what, cuddle_error *err)
{
    size_t free_bytes = 0, total = 0;
    (void)cudaGetLastError();
    if (cudaMemGetInfo(&free_bytes, &total) != cudaSuccess) (void)cudaGetLastError();
    return cud_fail(err, CUDDLE_E_NOMEM, "out of memory on the CUDA device: %zu bytes for %s, %zu of %zu are free", bytes, what, free_bytes, total);
}

static cuddle_status cuda_alloc(backend *b, void **out, size_t bytes, const char *what, cuddle_error *err)
{
    *out = NULL;
    const cuddle_status status = cud_cuda_check(cudaSetDevice(((cuda_backend *)b)->device), "choosing the device", err);
    if (status) return status;
    const cudaError_t result = cudaMalloc(out, bytes ? bytes : 1);
    if (result == cudaErrorMemoryAllocation) return out_of_memory(bytes, what, err);
    return cud_cuda_check(result, "allocating memory", err);
}

static void cuda_release(backend *b, void *ptr)
{
    (void)cudaSetDevice(((cuda_backend *)b)->device);
    (void)cudaFree(ptr); /* an error here was reported where it happened */
    (void)cudaGetLastError();
}

static cuddle_status cuda_alloc_host(backend *b, void **out, size_t bytes, const char *what, cuddle_error *err)
{
    *out = NULL;
    const cuddle_status status = cud_cuda_check(cudaSetDevice(((cuda_backend *)b)->device), "choosing the device", err);
    if (status) return status;
    const cudaError_t result = cudaHostAlloc(out, bytes ? bytes : 1, cudaHostAllocDefault);
    if (result == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError();
        return cud_fail(err, CUDDLE_E_NOMEM, "out of page-locked memory: %zu bytes for %s", bytes, what);
    }
    return cud_cuda_check(result, "allocating page-locked memory", err);
}

static void cuda_release_host(backend *b, void *ptr)
{
    (void)cudaSetDevice(((cuda_backend *)b)->device);
    (void)cudaFreeHost(ptr);
    (void)cudaGetLastError();
}

static cuddle_status cuda_upload(exec *ex, void *device, const void *host, size_t bytes, cuddle_error *err)
{
    if (ex->mode == EXEC_RECORD || bytes == 0) return CUDDLE_OK;
    cuda_backend *b = cud_cuda_of(ex);
    const cuddle_status status = cud_cuda_check(cudaSetDevice(b->device), "choosing the device", err);
    return status ? status : cud_cuda_check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, b->stream), "copying to the device", err);
}

static cuddle_status cuda_finish(exec *ex, cuddle_error *err)
{
    return ex->mode == EXEC_RECORD ? CUDDLE_OK : cud_cuda_check(cudaStreamSynchronize(cud_cuda_of(ex)->stream), "running", err);
}

static cuddle_status cuda_download(exec *ex, void *host, const void *device, size_t bytes, cuddle_error *err)
{
    if (ex->mode == EXEC_RECORD || bytes == 0) return CUDDLE_OK;
    const cuddle_status status = cud_cuda_check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, cud_cuda_of(ex)->stream),
                                                "copying from the device", err);
    return status ? status : cuda_finish(ex, err);
}

static cuddle_status cuda_memory(backend *b, uint64_t *free_bytes, uint64_t *total, cuddle_error *err)
{
    size_t free_now = 0, all = 0;
    cuddle_status status = cud_cuda_check(cudaSetDevice(((cuda_backend *)b)->device), "choosing the device", err);
    if (!status) status = cud_cuda_check(cudaMemGetInfo(&free_now, &all), "asking for memory", err);
    *free_bytes = free_now;
    *total = all;
    return status;
}

/* ---------------------------------------------------------------------------------------------------------- loading */

struct cuda_gemm *cud_cuda_gemm_of(const exec *ex) { return __atomic_load_n(&cud_cuda_of(ex)->gemm, __ATOMIC_ACQUIRE); }

typedef struct gemm_opening {
    cuda_backend *b;
    cuddle_error failure;
} gemm_opening;

static void *open_gemm(void *argument)
{
    gemm_opening *o = argument;
    struct cuda_gemm *gemm = NULL;
    if (cud_cuda_check(cudaSetDevice(o->b->device), "choosing the device", &o->failure) || cud_cuda_gemm_open(&gemm, &o->failure)) return NULL;
    __atomic_store_n(&o->b->gemm, gemm, __ATOMIC_RELEASE);
    return NULL;
}

/* Loads, and the first time opens cuBLASLt meanwhile: half a gigabyte of library takes a while. Without it our own kernels do all the work,
 * which the report says. */
static cuddle_status cuda_load(backend *base, void *arena, const load_plan *plan, load_progress_fn progress, void *user, cuddle_error *err)
{
    cuda_backend *b = (cuda_backend *)base;
    pthread_t thread;
    gemm_opening opening = { .b = b };
    pthread_mutex_lock(&b->lock);
    const bool first = !b->gemm_tried;
    b->gemm_tried = true;
    pthread_mutex_unlock(&b->lock);
    const bool beside = first && pthread_create(&thread, NULL, open_gemm, &opening) == 0;
    if (first && !beside) open_gemm(&opening);
    const cuddle_status status = cud_cuda_load(base, arena, plan, progress, user, err);
    if (beside) pthread_join(thread, NULL);
    if (opening.failure.status && plan->report)
        snprintf(plan->report->notice, sizeof plan->report->notice, "without cuBLASLt: %s", opening.failure.text);
    return status;
}

/* ------------------------------------------------------------------------------------------------------------- life */

static void cuda_destroy(backend *base)
{
    if (!base) return;
    cuda_backend *b = (cuda_backend *)base;
    (void)cudaSetDevice(b->device);
    if (b->gemm) cud_cuda_gemm_free(b->gemm);
    if (b->stream) (void)cudaStreamDestroy(b->stream);
    (void)cudaGetLastError();
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static cuddle_status fence_new(backend *b, load_fence **out, const load_plan *plan, cuddle_error *err)
{
    (void)b;
    return cud_cuda_fence_new(out, plan, err);
}

static void fence_free(backend *b, load_fence *fence)
{
    (void)b;
    cud_cuda_fence_free(fence);
}

static cuddle_status fence_wait(backend *b, load_fence *fence, int layer, bool (*stop)(void *user), void *user, cuddle_error *err)
{
    (void)b; /* bytes have arrived when their copies have ended, so no stream needs to wait for another */
    return cud_cuda_fence_wait(fence, layer, stop, user, err);
}

static const op_table cuda_ops = {
    .name = "cuda",
    .alloc = cuda_alloc,
    .release = cuda_release,
    .alloc_host = cuda_alloc_host,
    .release_host = cuda_release_host,
    .upload = cuda_upload,
    .download = cuda_download,
    .memory = cuda_memory,
    .load = cuda_load,
    .fence_new = fence_new,
    .fence_free = fence_free,
    .fence_wait = fence_wait,
    .embed = cud_cuda_embed,
    .rmsnorm = cud_cuda_rmsnorm,
    .layernorm = cud_cuda_layernorm,
    .linear = cud_cuda_linear,
    .rope = cud_cuda_rope,
    .attend = cud_cuda_attend,
    .copy_pages = cud_cuda_copy_pages,
    .gate = cud_cuda_gate,
    .gather = cud_cuda_gather,
    .log_softmax = cud_cuda_log_softmax,
    .pooling = cud_cuda_pooling,
    .sample = cud_cuda_sample,
    .advance = cud_cuda_advance,
    .capture_begin = cud_cuda_capture_begin,
    .capture_end = cud_cuda_capture_end,
    .replay = cud_cuda_replay,
    .graph_free = cud_cuda_graph_free,
    .finish = cuda_finish,
    .destroy = cuda_destroy,
};

static int device_count(cuddle_error *err)
{
    int count = 0;
    const cudaError_t result = cudaGetDeviceCount(&count);
    if (result == cudaSuccess && count > 0) return count;
    (void)cudaGetLastError();
    cud_fail(err, CUDDLE_E_DEVICE, "no CUDA device: %s", result == cudaSuccess ? "the driver sees none" : cudaGetErrorString(result));
    return 0;
}

static cuddle_status describe(int device, cuda_device *out, cuddle_error *err)
{
    *out = (cuda_device){ 0 };
    struct cudaDeviceProp *p = malloc(sizeof *p); /* a kilobyte */
    if (!p) return cud_nomem(err, sizeof *p, "a device's properties");
    cuddle_status status = cud_cuda_check(cudaGetDeviceProperties(p, device), "asking for a device", err);
    if (!status) {
        memcpy(out->name, p->name, strnlen(p->name, sizeof out->name - 1)); /* *out is zero */
        out->capability = p->major * 10 + p->minor;
        size_t free_bytes = 0, total = 0;
        status = cud_cuda_check(cudaSetDevice(device), "choosing the device", err);
        if (!status) status = cud_cuda_check(cudaMemGetInfo(&free_bytes, &total), "asking for memory", err);
        out->memory_total = total;
        out->memory_free = free_bytes;
    }
    free(p);
    return status;
}

static cuddle_status open_device(backend **out, int device, cuddle_error *err)
{
    *out = NULL;
    const int count = device_count(err);
    if (count == 0) return CUDDLE_E_DEVICE;
    if (device < 0 || device >= count)
        return cud_fail(err, CUDDLE_E_DEVICE, "there is no CUDA device %d, the last is %d", device, count - 1);
    cuda_device about;
    cuddle_status status = describe(device, &about, err);
    if (status) return status;
    if (about.capability < 80)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "CUDA device %d (%s) has compute capability %d.%d, expected 8.0 or newer", device, about.name,
                        about.capability / 10, about.capability % 10);
    cuda_backend *b = calloc(1, sizeof *b);
    if (!b) return cud_nomem(err, sizeof *b, "the CUDA backend");
    pthread_mutex_init(&b->lock, NULL);
    b->base.ops = &cuda_ops;
    b->base.threads = 1;
    b->base.load_modes = LOAD_MODES;
    b->device = device;
    b->capability = about.capability;
    memcpy(b->base.device_name, about.name, sizeof b->base.device_name);
    snprintf(b->base.isa, sizeof b->base.isa, "sm_%d", about.capability);
    status = cud_cuda_check(cudaSetDevice(device), "choosing the device", err);
    if (!status) status = cud_cuda_check(cudaDeviceGetAttribute(&b->multiprocessors, cudaDevAttrMultiProcessorCount, device), "asking for a device", err);
    if (!status) status = cud_cuda_check(cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking), "making a stream", err);
    if (status) {
        cuda_destroy(&b->base);
        return status;
    }
    *out = &b->base;
    return CUDDLE_OK;
}

const cuda_module *cud_cuda_module(int abi, size_t ops_size)
{
    static const cuda_module module = { device_count, describe, open_device };
    return abi == CUD_CUDA_ABI && ops_size == sizeof(op_table) ? &module : NULL;
}
