/* Kernel launches: refused on the spot where a real device would, carried out when the stream gets there. */
#include "call.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <unistd.h>

namespace emu {

constexpr int DEFAULT_DYNAMIC_LIMIT = 48 * 1024;

struct KernelFacts {
    int dynamic_limit = DEFAULT_DYNAMIC_LIMIT;
    uint64_t launches = 0;
};

static std::map<const void *, KernelFacts> &kernels()
{
    static std::map<const void *, KernelFacts> &all = *new std::map<const void *, KernelFacts>;
    return all;
}

/* CUDDLE_EMU_LAUNCH_LOG: which kernels ran, for the script that lists those without a test. */
extern "C" __attribute__((visibility("hidden"))) char __ehdr_start; /* from the linker: where this program or library begins */
static void write_launch_log()
{
    char program[512] = "";
    Dl_info self;
    if (dladdr(&__ehdr_start, &self) && std::strchr(self.dli_fname, '/')) std::snprintf(program, sizeof program, "%s", self.dli_fname);
    else if (readlink("/proc/self/exe", program, sizeof program - 1) <= 0) return;
    FILE *log = std::fopen(std::getenv("CUDDLE_EMU_LAUNCH_LOG"), "ae");
    if (!log) return;
    for (const std::pair<const void *const, KernelFacts> &kernel : kernels()) {
        const long offset = static_cast<const char *>(kernel.first) - &__ehdr_start;
        if (kernel.second.launches) std::fprintf(log, "%s %#lx %llu\n", program, static_cast<unsigned long>(offset), static_cast<unsigned long long>(kernel.second.launches));
    }
    std::fclose(log);
}

static void count_launch(const void *kernel)
{
    static const bool logging = std::getenv("CUDDLE_EMU_LAUNCH_LOG") && std::atexit(write_launch_log) == 0;
    static_cast<void>(logging);
    counters().launches++;
    kernels()[kernel].launches++;
}

static cudaError_t validate(const Launch &l)
{
    const uint64_t threads = uint64_t(l.block.x) * l.block.y * l.block.z;
    if (threads == 0 || threads > 1024 || l.block.z > 64) return cudaErrorInvalidConfiguration;
    if (!l.grid.x || !l.grid.y || !l.grid.z || l.grid.x > 2147483647u || l.grid.y > 65535 || l.grid.z > 65535) return cudaErrorInvalidConfiguration;
    if (l.shared > size_t(kernels()[l.kernel].dynamic_limit)) return cudaErrorInvalidValue;
    if (l.parameter_bytes > 4096) return cudaErrorInvalidValue;
    if (l.attributes) fail("launch attributes are not imitated");
    return cudaSuccess;
}

static void run(const Launch &l, int device)
{
    const cudaError_t fault = injected_kernel_fault();
    if (fault != cudaSuccess) {
        set_sticky_error(device, fault);
        return;
    }
    open_device(device);
    count_launch(l.kernel);
    run_blocks(l, device);
}

cudaError_t launch(const Launch &l, cudaStream_t stream)
{
    Call call("cudaLaunchKernelEx");
    const std::shared_ptr<void> parameters(l.parameters, l.free_parameters); /* as long as anybody may launch it */
    if (call.refused()) return call.error();
    const cudaError_t invalid = validate(l);
    if (invalid != cudaSuccess) return call.fail(invalid);
    int device = 0;
    const cudaError_t wrong = stream_device(stream, &device);
    if (wrong != cudaSuccess) return call.fail(wrong);
    return call.done(enqueue(stream, operation("kernel", [l, parameters, device] { run(l, device); })));
}

} // namespace emu

using namespace emu;

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute, int value)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return call.done();
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return call.fail(cudaErrorInvalidValue);
    if (value < 0 || size_t(value) > shared_memory_limit()) return call.fail(cudaErrorInvalidValue);
    kernels()[kernel].dynamic_limit = value;
    return call.done();
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *out, const void *kernel)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    std::memset(out, 0, sizeof *out);
    out->maxThreadsPerBlock = 1024;
    out->maxDynamicSharedSizeBytes = kernels()[kernel].dynamic_limit;
    out->numRegs = 64;
    out->binaryVersion = options().major * 10 + options().minor;
    return call.done();
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *, int threads, size_t shared)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    if (threads <= 0) return call.fail(cudaErrorInvalidValue);
    const size_t by_shared = shared ? shared_memory_limit() / shared : 32;
    *blocks = int(std::min<size_t>(std::min<size_t>(by_shared, size_t(2048 / threads)), 32));
    return call.done();
}
