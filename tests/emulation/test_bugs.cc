/* Every kind of mistake that the emulation is there to find, made on purpose: each in a process of its own, which must end with the
 * message of the table, or without one where the table says that this build cannot see it. */
#include "bug_kernels.h"
#include "runtime_kernels.h"
#include "self_test.h"

#include <cublasLt.h>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 128 };

/* ---- kernels ---- */

static void check_finite(const std::vector<float> &values)
{
    for (float v : values) {
        if (std::isfinite(v)) continue;
        std::fprintf(stderr, "wrong result: not a number\n");
        std::exit(3);
    }
}

template <bug_kernel WHICH> static void kernel()
{
    const int n = WHICH == BUG_DEVICE_OFF_BY_ONE || WHICH == BUG_EXIT_BEFORE_BARRIER ? 100 : N;
    const cudaStream_t stream = new_stream();
    float *in = upload(random_floats(size_t(n))), *out = device_array<float>(size_t(n));
    unsigned *counter = upload(std::vector<unsigned>{ 0 });
    if (WHICH != BUG_UNINITIALISED_DEVICE) CHECK_OK(cudaMemset(out, 0, size_t(n) * 4));
    if (WHICH == BUG_HOST_POINTER) {
        float *host = new float(1.5f);
        CHECK_OK(cudaMemcpy(in, &host, sizeof host, cudaMemcpyHostToDevice));
    }
    CHECK_OK(run_bug(WHICH, out, in, counter, n, stream));
    CHECK_OK(cudaStreamSynchronize(stream));
    check_finite(download(out, size_t(n)));
}

/* ---- the host's side ---- */

struct Host {
    float *x = device_array<float>(N), *y = device_array<float>(N);
    float *in = nullptr, *out = nullptr;
    cudaStream_t a = new_stream(), b = new_stream();
    cudaEvent_t event = nullptr, joined = nullptr;

    Host()
    {
        CHECK_OK(cudaMallocHost(reinterpret_cast<void **>(&in), N * 4));
        CHECK_OK(cudaMallocHost(reinterpret_cast<void **>(&out), N * 4));
        CHECK_OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
        CHECK_OK(cudaEventCreateWithFlags(&joined, cudaEventDisableTiming));
        for (int i = 0; i < N; i++) in[i] = float(i);
    }
    void queue(bool wait)
    {
        CHECK_OK(cudaMemcpyAsync(x, in, N * 4, cudaMemcpyHostToDevice, a));
        CHECK_OK(cudaEventRecord(event, a));
        CHECK_OK(cudaMemsetAsync(y, 0, N * 4, b));
        if (wait) CHECK_OK(cudaStreamWaitEvent(b, event, 0));
        CHECK_OK(run_axpy(y, x, 2, N, b));
        CHECK_OK(cudaMemcpyAsync(out, y, N * 4, cudaMemcpyDeviceToHost, b));
    }
    void check() const
    {
        for (int i = 0; i < N; i++) {
            if (out[i] == 2 * in[i]) continue;
            std::fprintf(stderr, "wrong result: [%d] is %g\n", i, double(out[i]));
            std::exit(3);
        }
    }
};

static void read_before_synchronising()
{
    Host h;
    h.queue(true);
    h.check();
}

static void source_changed_in_flight()
{
    Host h;
    h.queue(true);
    h.in[3] = 77;
    CHECK_OK(cudaStreamSynchronize(h.b));
}

static void missing_wait_between_streams()
{
    Host h;
    h.queue(false);
    CHECK_OK(cudaStreamSynchronize(h.b));
    h.check();
}

static void missing_edge_in_a_graph()
{
    Host h;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    CHECK_OK(cudaStreamBeginCapture(h.a, cudaStreamCaptureModeThreadLocal));
    CHECK_OK(cudaEventRecord(h.event, h.a));
    CHECK_OK(cudaStreamWaitEvent(h.b, h.event, 0));
    CHECK_OK(cudaMemcpyAsync(h.x, h.in, N * 4, cudaMemcpyHostToDevice, h.a));
    CHECK_OK(cudaMemsetAsync(h.y, 0, N * 4, h.b));
    CHECK_OK(run_axpy(h.y, h.x, 2, N, h.b)); /* nothing says that x has arrived */
    CHECK_OK(cudaEventRecord(h.joined, h.b));
    CHECK_OK(cudaStreamWaitEvent(h.a, h.joined, 0));
    CHECK_OK(cudaMemcpyAsync(h.out, h.y, N * 4, cudaMemcpyDeviceToHost, h.a));
    CHECK_OK(cudaStreamEndCapture(h.a, &graph));
    CHECK_OK(cudaGraphInstantiate(&executable, graph, 0));
    CHECK_OK(cudaGraphLaunch(executable, h.a));
    CHECK_OK(cudaStreamSynchronize(h.a));
    h.check();
}

static void host_reads_device_pointer()
{
    Host h;
    std::printf("%g\n", double(*const_cast<volatile float *>(h.x)));
}

static void kernel_uses_freed_memory()
{
    Host h;
    CHECK_OK(cudaMemset(h.x, 0, N * 4));
    CHECK_OK(cudaMemset(h.y, 0, N * 4));
    CHECK_OK(cudaFree(h.x));
    CHECK_OK(run_axpy(h.y, h.x, 1, N, h.a));
    CHECK_OK(cudaStreamSynchronize(h.a));
}

static void copy_uses_freed_memory()
{
    Host h;
    CHECK_OK(cudaFree(h.x));
    CHECK_OK(cudaMemcpyAsync(h.x, h.in, N * 4, cudaMemcpyHostToDevice, h.a));
}

static void copy_passes_the_end()
{
    Host h;
    CHECK_OK(cudaMemsetAsync(h.x, 0, N * 4 + 1, h.a));
}

static void copy_passes_the_end_of_pinned_memory()
{
    Host h;
    void *small = nullptr;
    CHECK_OK(cudaMallocHost(&small, 100));
    CHECK_OK(cudaMemset(h.x, 0, N * 4));
    CHECK_OK(cudaMemcpyAsync(small, h.x, 400, cudaMemcpyDeviceToHost, h.a));
}

static void copy_in_the_wrong_direction()
{
    Host h;
    CHECK_OK(cudaMemcpyAsync(h.x, h.in, N * 4, cudaMemcpyDeviceToHost, h.a));
}

static void copy_of_uninitialised_memory()
{
    Host h;
    CHECK_OK(cudaMemcpyAsync(h.out, h.x, N * 4, cudaMemcpyDeviceToHost, h.a));
    CHECK_OK(cudaStreamSynchronize(h.a));
}

static void copy_to_read_only_memory()
{
    Host h;
    void *map = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_OK(cudaHostRegister(map, 4096, cudaHostRegisterReadOnly));
    CHECK_OK(cudaMemcpyAsync(map, h.x, 4, cudaMemcpyDeviceToHost, h.a));
}

static void unregister_in_flight()
{
    Host h;
    void *map = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_OK(cudaHostRegister(map, 4096, cudaHostRegisterReadOnly));
    CHECK_OK(cudaMemcpyAsync(h.x, map, N * 4, cudaMemcpyHostToDevice, h.a));
    CHECK_OK(cudaHostUnregister(map));
}

static void free_twice()
{
    Host h;
    CHECK_OK(cudaFree(h.x));
    CHECK_OK(cudaFree(h.x));
}

static void use_a_destroyed_stream()
{
    Host h;
    CHECK_OK(cudaStreamDestroy(h.a));
    CHECK_OK(cudaMemsetAsync(h.x, 0, 4, h.a));
}

static void use_a_destroyed_event()
{
    Host h;
    CHECK_OK(cudaEventDestroy(h.event));
    CHECK_OK(cudaEventRecord(h.event, h.a));
}

static void call_from_a_host_function()
{
    Host h;
    CHECK_OK(cudaLaunchHostFunc(h.a, [](void *) { (void)cudaDeviceSynchronize(); }, nullptr));
    CHECK_OK(cudaStreamSynchronize(h.a));
}

/* A square product with the descriptors' usual values; the caller breaks one thing. */
static void multiply(const float *a, const float *b, float *d, size_t dim, cudaStream_t stream)
{
    cublasLtHandle_t handle = nullptr;
    cublasLtMatmulDesc_t desc = nullptr;
    cublasLtMatrixLayout_t layout = nullptr;
    cublasLtMatmulPreference_t preference = nullptr;
    cublasLtMatmulHeuristicResult_t result;
    int found = 0;
    const float one = 1, zero = 0;
    CHECK_STATUS(cublasLtCreate(&handle), CUBLAS_STATUS_SUCCESS);
    CHECK_STATUS(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), CUBLAS_STATUS_SUCCESS);
    CHECK_STATUS(cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, dim, dim, int64_t(dim)), CUBLAS_STATUS_SUCCESS);
    CHECK_STATUS(cublasLtMatmulPreferenceCreate(&preference), CUBLAS_STATUS_SUCCESS);
    CHECK_STATUS(cublasLtMatmulAlgoGetHeuristic(handle, desc, layout, layout, layout, layout, preference, 1, &result, &found), CUBLAS_STATUS_SUCCESS);
    CHECK_STATUS(cublasLtMatmul(handle, desc, &one, a, layout, b, layout, &zero, d, layout, d, layout, &result.algo, nullptr, 0, stream),
                 CUBLAS_STATUS_SUCCESS);
    CHECK_OK(cudaStreamSynchronize(stream));
}

static void matmul_passes_the_end()
{
    Host h;
    CHECK_OK(cudaMemset(h.x, 0, N * 4));
    multiply(h.x, h.x, h.y, 12, h.a); /* 144 of 128 */
}

static void matmul_is_misaligned()
{
    Host h;
    CHECK_OK(cudaMemset(h.x, 0, N * 4));
    multiply(h.x + 4, h.x, h.y, 8, h.a);
}

static void matmul_of_uninitialised_memory()
{
    Host h;
    multiply(h.x, h.x, h.y, 8, h.a);
    check_finite(download(h.y, 64));
}

/* ---- the table ---- */

struct Bug {
    const char *name;
    void (*commit)();
    /* What must be printed: with ASan and UBSan, with the race checker, with neither. NULL: not seen by this build. "*": only with ASan in the build. */
    const char *asan, *race, *bare;
};

#define NAN_RESULT "wrong result"
#ifdef __clang__
#define MISALIGNED_STRUCT nullptr /* copied as bytes, which UBSan does not look at */
#else
#define MISALIGNED_STRUCT "misaligned address"
#endif
static const Bug bugs[] = {
    { "divergent barrier", kernel<BUG_DIVERGENT_BARRIER>, "a thread exits while 100 threads wait", "a thread exits while 100 threads wait", "a thread exits while 100 threads wait" },
    { "exit before a barrier", kernel<BUG_EXIT_BEFORE_BARRIER>, "threads wait for it in __syncthreads", "threads wait for it in __syncthreads", "threads wait for it in __syncthreads" },
    { "two different barriers", kernel<BUG_TWO_BARRIERS>, "wait at another barrier", "wait at another barrier", "wait at another barrier" },
    { "missing barrier", kernel<BUG_MISSING_BARRIER>, NAN_RESULT, "reads uninitialised shared memory", NAN_RESULT },
    { "device memory off by one", kernel<BUG_DEVICE_OFF_BY_ONE>, "use-after-poison", "pass the end of an allocation of 400 bytes", nullptr },
    { "shared memory out of bounds", kernel<BUG_SHARED_OUT_OF_BOUNDS>, "index 128 out of bounds", "outside the block's shared arrays", NAN_RESULT },
    { "dynamic shared memory out of bounds", kernel<BUG_DYNAMIC_OUT_OF_BOUNDS>, "use-after-poison", "outside the block's shared arrays", nullptr },
    { "shuffle with missing lanes", kernel<BUG_SHUFFLE_MISSING_LANES>, "lanes 0000ffff wait", "lanes 0000ffff wait", "lanes 0000ffff wait" },
    { "shuffle with different masks", kernel<BUG_SHUFFLE_MASKS_DIFFER>, "wait in __shfl_xor_sync mask ffffffff", "wait in __shfl_xor_sync mask ffffffff", "wait in __shfl_xor_sync mask ffffffff" },
    { "uninitialised shared memory", kernel<BUG_UNINITIALISED_SHARED>, NAN_RESULT, "reads uninitialised shared memory", NAN_RESULT },
    { "uninitialised device memory", kernel<BUG_UNINITIALISED_DEVICE>, NAN_RESULT, "reads uninitialised device memory", NAN_RESULT },
    { "read before the wait for cp.async", kernel<BUG_READ_BEFORE_COPY_WAIT>, NAN_RESULT, "while a cp.async into it is in flight", NAN_RESULT },
    { "cp.async into a buffer still read", kernel<BUG_COPY_OVERWRITES>, nullptr, "RACE: ", nullptr },
    { "cp.async left in flight", kernel<BUG_COPY_LEFT_IN_FLIGHT>, "exits while its cp.async", "exits while its cp.async", "exits while its cp.async" },
    { "misaligned struct", kernel<BUG_MISALIGNED_STRUCT>, MISALIGNED_STRUCT, "misaligned address", nullptr },
    { "misaligned dev_load", kernel<BUG_MISALIGNED_LOAD>, "misaligned address", "misaligned address", "misaligned address" },
    { "write race in a block", kernel<BUG_WRITE_RACE>, nullptr, "RACE: write of device memory", nullptr },
    { "write race between blocks", kernel<BUG_WRITE_RACE_OF_BLOCKS>, nullptr, "of another block", nullptr },
    { "read and write race", kernel<BUG_READ_WRITE_RACE>, nullptr, "RACE: ", nullptr },
    { "shuffle used as a barrier", kernel<BUG_SHUFFLE_AS_BARRIER>, nullptr, "RACE: ", nullptr },
    { "__syncwarp of the wrong lanes", kernel<BUG_HALF_SYNCWARP>, NAN_RESULT, "reads uninitialised shared memory", NAN_RESULT },
    { "no __threadfence", kernel<BUG_NO_THREADFENCE>, nullptr, "RACE: read of device memory", nullptr },
    { "atomic and plain access", kernel<BUG_ATOMIC_AND_PLAIN>, nullptr, "RACE: ", nullptr },
    { "ldmatrix from device memory", kernel<BUG_LDMATRIX_FROM_DEVICE>, "is not in shared memory", "is not in shared memory", "is not in shared memory" },
    { "misaligned ldmatrix", kernel<BUG_LDMATRIX_MISALIGNED>, "misaligned address", "misaligned address", "misaligned address" },
    { "kernel reads host memory", kernel<BUG_HOST_POINTER>, nullptr, "neither device, shared, local nor pinned", nullptr },

    { "read before synchronising", read_before_synchronising, "use-after-poison", "*use-after-poison", NAN_RESULT },
    { "source changed in flight", source_changed_in_flight, "was changed while a copy", "was changed while a copy", "was changed while a copy" },
    { "missing wait between streams", missing_wait_between_streams, NAN_RESULT, "reads uninitialised device memory", NAN_RESULT },
    { "missing edge in a graph", missing_edge_in_a_graph, NAN_RESULT, "reads uninitialised device memory", NAN_RESULT },
    { "host reads a device pointer", host_reads_device_pointer, "SEGV", "*SEGV", "" },
    { "kernel uses freed memory", kernel_uses_freed_memory, "use-after-poison", "device memory that was freed", nullptr },
    { "copy uses freed memory", copy_uses_freed_memory, "device memory that was freed", "device memory that was freed", "device memory that was freed" },
    { "copy passes the end", copy_passes_the_end, "pass the end of an allocation", "pass the end of an allocation", "pass the end of an allocation" },
    { "copy passes the end of pinned memory", copy_passes_the_end_of_pinned_memory, "pass the end of host memory", "pass the end of host memory", "pass the end of host memory" },
    { "copy in the wrong direction", copy_in_the_wrong_direction, "does not fit its pointers", "does not fit its pointers", "does not fit its pointers" },
    { "copy of uninitialised memory", copy_of_uninitialised_memory, nullptr, "a copy to the host reads uninitialised", nullptr },
    { "copy to read-only memory", copy_to_read_only_memory, "registered as read-only", "registered as read-only", "registered as read-only" },
    { "unregistered in flight", unregister_in_flight, "is still in flight", "is still in flight", "is still in flight" },
    { "freed twice", free_twice, "is no live device allocation", "is no live device allocation", "is no live device allocation" },
    { "a destroyed stream", use_a_destroyed_stream, "is no stream", "is no stream", "is no stream" },
    { "a destroyed event", use_a_destroyed_event, "is no event", "is no event", "is no event" },
    { "CUDA called in a host function", call_from_a_host_function, "a host function called the CUDA API", "a host function called the CUDA API", "a host function called the CUDA API" },
    { "matmul passes the end", matmul_passes_the_end, "cublasLtMatmul: A", "cublasLtMatmul: A", "cublasLtMatmul: A" },
    { "misaligned matmul", matmul_is_misaligned, "is not aligned to 256 bytes", "is not aligned to 256 bytes", "is not aligned to 256 bytes" },
    { "matmul of uninitialised memory", matmul_of_uninitialised_memory, NAN_RESULT, "cublasLtMatmul reads uninitialised", NAN_RESULT },
};
constexpr size_t BUGS = sizeof bugs / sizeof *bugs;

#if defined(__has_feature) /* clang */
#define HAVE_ASAN __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#else
#define HAVE_ASAN 0
#endif
static const bool built_with_asan = HAVE_ASAN;

static const char *expectation(const Bug &bug)
{
    const char *text = emu_checks_races() ? bug.race : built_with_asan ? bug.asan : bug.bare;
    if (text && *text == '*') return built_with_asan ? text + 1 : bug.bare;
    return text;
}

static bool check_in_child(const char *program, size_t which)
{
    const std::string command = "'" + std::string(program) + "' " + std::to_string(which) + " 2>&1";
    FILE *child = popen(command.c_str(), "r");
    CHECK(child);
    std::string output;
    char buffer[4096];
    for (size_t n = 0; (n = fread(buffer, 1, sizeof buffer, child)) > 0;) output.append(buffer, n);
    const bool failed = pclose(child) != 0;
    const char *want = expectation(bugs[which]);
    const bool right = want ? failed && output.find(want) != std::string::npos : !failed;
    std::printf("%-40s %s\n", bugs[which].name, right ? want ? "caught" : "not seen by this build" : "WRONG");
    if (!right) std::printf("  expected: %s\n%s\n", want ? want : "nothing", output.c_str());
    std::fflush(stdout);
    return right;
}

int main(int argc, char **argv)
{
    /* Which order finds a bug is part of the table; streams are lazy because that is the mode that finds most. */
    emu_set_schedule(EMU_FORWARD, EMU_LAZY, 1);
    if (argc > 1) {
        bugs[std::strtoul(argv[1], nullptr, 10) % BUGS].commit();
        _exit(0); /* what the bug left behind is not the point */
    }
    char program[512] = "";
    CHECK(readlink("/proc/self/exe", program, sizeof program - 1) > 0);
    int wrong = 0;
    for (size_t i = 0; i < BUGS; i++) wrong += !check_in_child(program, i);
    std::printf("%zu bugs, %d wrong\n", BUGS, wrong);
    return wrong != 0;
}
