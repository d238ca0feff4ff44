/* What a program asks about the machine, and the names of errors. */
#include "call.h"

#include <cstdio>

namespace emu {

constexpr int MULTIPROCESSORS = 4; /* few, so that persistent kernels go round more than once */

static int attribute(cudaDeviceAttr what)
{
    switch (what) {
    case cudaDevAttrMaxThreadsPerBlock: return 1024;
    case cudaDevAttrMaxThreadsPerMultiProcessor: return 2048;
    case cudaDevAttrWarpSize: return 32;
    case cudaDevAttrMultiProcessorCount: return MULTIPROCESSORS;
    case cudaDevAttrMaxSharedMemoryPerBlock: return 48 * 1024;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: return int(shared_memory_limit());
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: return int(shared_memory_limit()) + 1024;
    case cudaDevAttrMaxRegistersPerBlock: return 65536;
    case cudaDevAttrL2CacheSize: return 4 << 20;
    case cudaDevAttrComputeCapabilityMajor: return options().major;
    case cudaDevAttrComputeCapabilityMinor: return options().minor;
    case cudaDevAttrUnifiedAddressing: return 1;
    case cudaDevAttrHostRegisterSupported: return 1;
    case cudaDevAttrHostRegisterReadOnlySupported: return options().register_read_only;
    case cudaDevAttrCanUseHostPointerForRegisteredMem: return 1;
    case cudaDevAttrAsyncEngineCount: return 2;
    case cudaDevAttrConcurrentKernels: return 1;
    default: return 0; /* pageableMemoryAccess, managedMemory, integrated ... */
    }
}

static void fill_properties(cudaDeviceProp *out, int device)
{
    std::memset(out, 0, sizeof *out);
    std::snprintf(out->name, sizeof out->name, "Emulated sm_%d%d", options().major, options().minor);
    out->uuid.bytes[0] = char(device);
    out->totalGlobalMem = options().device_bytes;
    out->sharedMemPerBlock = 48 * 1024;
    out->sharedMemPerBlockOptin = shared_memory_limit();
    out->sharedMemPerMultiprocessor = shared_memory_limit() + 1024;
    out->regsPerBlock = 65536;
    out->warpSize = 32;
    out->maxThreadsPerBlock = 1024;
    out->maxThreadsPerMultiProcessor = 2048;
    out->multiProcessorCount = MULTIPROCESSORS;
    out->major = options().major;
    out->minor = options().minor;
    out->l2CacheSize = 4 << 20;
    out->unifiedAddressing = 1;
    out->hostRegisterSupported = 1;
    out->hostRegisterReadOnlySupported = options().register_read_only;
    out->asyncEngineCount = 2;
    out->concurrentKernels = 1;
    out->pciBusID = device + 1;
}

struct ErrorText {
    cudaError_t error;
    const char *name, *text;
};
#define EMU_ERROR(error, text) { error, #error, text }
static const ErrorText error_texts[] = {
    EMU_ERROR(cudaSuccess, "no error"),
    EMU_ERROR(cudaErrorInvalidValue, "invalid argument"),
    EMU_ERROR(cudaErrorMemoryAllocation, "out of memory"),
    EMU_ERROR(cudaErrorInitializationError, "initialization error"),
    EMU_ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    EMU_ERROR(cudaErrorInvalidPitchValue, "invalid pitch argument"),
    EMU_ERROR(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    EMU_ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    EMU_ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    EMU_ERROR(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device"),
    EMU_ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    EMU_ERROR(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
    EMU_ERROR(cudaErrorNotReady, "device not ready"),
    EMU_ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    EMU_ERROR(cudaErrorLaunchTimeout, "the launch timed out and was terminated"),
    EMU_ERROR(cudaErrorHostMemoryAlreadyRegistered, "part or all of the requested memory range is already mapped"),
    EMU_ERROR(cudaErrorHostMemoryNotRegistered, "pointer does not correspond to a registered memory region"),
    EMU_ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    EMU_ERROR(cudaErrorECCUncorrectable, "uncorrectable ECC error encountered"),
    EMU_ERROR(cudaErrorNotSupported, "operation not supported"),
    EMU_ERROR(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    EMU_ERROR(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    EMU_ERROR(cudaErrorStreamCaptureMerge, "operation would result in a merge of separate capture sequences"),
    EMU_ERROR(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began"),
    EMU_ERROR(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    EMU_ERROR(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream"),
    EMU_ERROR(cudaErrorStreamCaptureImplicit, "operation would make the legacy stream depend on a capturing blocking stream"),
    EMU_ERROR(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream"),
    EMU_ERROR(cudaErrorStreamCaptureWrongThread, "attempt to terminate a thread-local capture sequence from another thread"),
    EMU_ERROR(cudaErrorUnknown, "unknown error"),
};
#undef EMU_ERROR

static const ErrorText *find_error(cudaError_t error)
{
    for (const ErrorText &text : error_texts)
        if (text.error == error) return &text;
    return nullptr;
}

} // namespace emu

using namespace emu;

cudaError_t cudaGetDeviceCount(int *count)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    *count = options().devices;
    return options().devices > 0 ? call.done() : call.fail(cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int device)
{
    Call call(__func__);
    if (call.injected()) return call.error();
    if (options().devices == 0) return call.fail(cudaErrorNoDevice);
    if (device < 0 || device >= options().devices || device >= MAX_DEVICES) return call.fail(cudaErrorInvalidDevice);
    set_current_device(device);
    return sticky_error(device) != cudaSuccess ? call.fail(sticky_error(device)) : cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    *device = current_device();
    return call.done();
}

cudaError_t cudaInitDevice(int device, unsigned, unsigned)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    return device < options().devices ? call.done() : call.fail(cudaErrorInvalidDevice);
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr what, int device)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    if (device < 0 || device >= options().devices) return call.fail(cudaErrorInvalidDevice);
    *value = attribute(what);
    return call.done();
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *out, int device)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    if (device < 0 || device >= options().devices) return call.fail(cudaErrorInvalidDevice);
    fill_properties(out, device);
    return call.done();
}

cudaError_t cudaDeviceGetPCIBusId(char *out, int size, int device)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    std::snprintf(out, size_t(size), "0000:%02x:00.0", device + 1);
    return call.done();
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    *least = 0;
    *greatest = -5;
    return call.done();
}

cudaError_t cudaDriverGetVersion(int *version)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    *version = CUDART_VERSION;
    return call.done();
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    *version = CUDART_VERSION;
    return call.done();
}

cudaError_t cudaGetLastError(void) { return take_last_error(true); }
cudaError_t cudaPeekAtLastError(void) { return take_last_error(false); }

const char *cudaGetErrorName(cudaError_t error)
{
    const ErrorText *found = find_error(error);
    return found ? found->name : "cudaErrorOther";
}

const char *cudaGetErrorString(cudaError_t error)
{
    const ErrorText *found = find_error(error);
    return found ? found->text : "an error the emulation has no text for";
}

void emu_live_get(emu_live *out)
{
    std::memset(out, 0, sizeof *out);
    const Locked locked;
    device_memory_live(out);
    host_memory_live(out);
    streams_live(out);
    events_live(out);
    graphs_live(out);
    blas_live(out);
}
