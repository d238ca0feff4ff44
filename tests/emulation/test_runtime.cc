/* The runtime API as it should be used, and the errors it answers with. How it is misused is in test_bugs.cc. */
#include "runtime_kernels.h"
#include "self_test.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

enum { N = 1000 };

static float *pinned(size_t count)
{
    void *p = nullptr;
    CHECK_OK(cudaMallocHost(&p, count * sizeof(float)));
    return static_cast<float *>(p);
}

static cudaEvent_t new_event()
{
    cudaEvent_t event = nullptr;
    CHECK_OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    return event;
}

/* x and y on the device, in and out pinned, two streams, two events. */
struct Setup {
    float *x = device_array<float>(N), *y = device_array<float>(N);
    float *in = pinned(N), *out = pinned(N);
    cudaStream_t a = new_stream(), b = new_stream();
    cudaEvent_t loaded = new_event(), joined = new_event();

    Setup()
    {
        for (int i = 0; i < N; i++) in[i] = float(i);
    }
    ~Setup()
    {
        CHECK_OK(cudaFree(x));
        CHECK_OK(cudaFree(y));
        CHECK_OK(cudaFreeHost(in));
        CHECK_OK(cudaFreeHost(out));
        CHECK_OK(cudaEventDestroy(loaded));
        CHECK_OK(cudaEventDestroy(joined));
        CHECK_OK(cudaStreamDestroy(a));
        CHECK_OK(cudaStreamDestroy(b));
        check_all_returned();
    }
    void check_doubled() const
    {
        for (int i = 0; i < N; i++) CHECK(out[i] == 2 * in[i]);
    }
};

/* The upload runs on a, the rest on b. */
static void queue_two_streams(const Setup &s)
{
    CHECK_OK(cudaMemcpyAsync(s.x, s.in, N * 4, cudaMemcpyHostToDevice, s.a));
    CHECK_OK(cudaEventRecord(s.loaded, s.a));
    CHECK_OK(cudaMemsetAsync(s.y, 0, N * 4, s.b));
    CHECK_OK(cudaStreamWaitEvent(s.b, s.loaded, 0));
    CHECK_OK(run_axpy(s.y, s.x, 2, N, s.b));
    CHECK_OK(cudaMemcpyAsync(s.out, s.y, N * 4, cudaMemcpyDeviceToHost, s.b));
}

static void events_order_streams()
{
    const Setup s;
    for (int pass = 0; pass < 3; pass++) {
        queue_two_streams(s);
        CHECK_OK(cudaStreamSynchronize(s.b));
        s.check_doubled();
        s.in[pass] += 5;
    }
    CHECK_OK(cudaEventRecord(s.joined, s.b));
    CHECK_OK(cudaEventSynchronize(s.joined));
    CHECK_OK(cudaEventQuery(s.joined));
    CHECK_OK(cudaStreamQuery(s.a));
}

static void polling_gets_on()
{
    const Setup s;
    queue_two_streams(s);
    CHECK_OK(cudaEventRecord(s.joined, s.b));
    int polls = 0;
    while (cudaEventQuery(s.joined) == cudaErrorNotReady) CHECK(++polls < 100);
    CHECK_OK(cudaEventSynchronize(s.joined));
    s.check_doubled();
    CHECK_STATUS(cudaGetLastError(), cudaSuccess); /* not ready is no failure */
}

static cudaGraphExec_t capture(const Setup &s)
{
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    CHECK_OK(cudaStreamBeginCapture(s.a, cudaStreamCaptureModeThreadLocal));
    CHECK_OK(cudaMemcpyAsync(s.x, s.in, N * 4, cudaMemcpyHostToDevice, s.a));
    CHECK_OK(cudaEventRecord(s.loaded, s.a));
    CHECK_OK(cudaStreamWaitEvent(s.b, s.loaded, 0));
    CHECK_OK(cudaMemsetAsync(s.y, 0, N * 4, s.b));
    CHECK_OK(cudaEventRecord(s.joined, s.b));
    CHECK_OK(cudaStreamWaitEvent(s.a, s.joined, 0));
    CHECK_OK(run_axpy(s.y, s.x, 2, N, s.a));
    CHECK_OK(cudaMemcpyAsync(s.out, s.y, N * 4, cudaMemcpyDeviceToHost, s.a));
    CHECK_OK(cudaStreamEndCapture(s.a, &graph));
    CHECK_OK(cudaGraphInstantiate(&executable, graph, 0));
    CHECK_OK(cudaGraphDestroy(graph));
    return executable;
}

static void graphs_replay()
{
    const Setup s;
    const cudaGraphExec_t executable = capture(s);
    for (int pass = 0; pass < 5; pass++) {
        s.in[0] = float(pass);
        CHECK_OK(cudaGraphLaunch(executable, pass % 2 ? s.a : s.b));
        CHECK_OK(cudaStreamSynchronize(pass % 2 ? s.a : s.b));
        s.check_doubled();
    }
    CHECK_OK(cudaGraphLaunch(executable, s.a));
    CHECK_OK(cudaGraphLaunch(executable, s.b)); /* waits for the first */
    CHECK_OK(cudaStreamSynchronize(s.b));
    s.check_doubled();
    CHECK_OK(cudaDeviceSynchronize());
    CHECK_OK(cudaGraphExecDestroy(executable));
}

static void captures_refuse()
{
    const Setup s;
    cudaGraph_t graph = nullptr;
    void *p = nullptr;
    std::vector<float> pageable(N);

    CHECK_OK(cudaStreamBeginCapture(s.a, cudaStreamCaptureModeGlobal)); /* a stream that never comes back */
    CHECK_OK(cudaEventRecord(s.loaded, s.a));
    CHECK_OK(cudaStreamWaitEvent(s.b, s.loaded, 0));
    CHECK_OK(cudaMemsetAsync(s.y, 0, N * 4, s.b));
    CHECK_STATUS(cudaStreamEndCapture(s.a, &graph), cudaErrorStreamCaptureUnjoined);
    CHECK(graph == nullptr);

    CHECK_OK(cudaStreamBeginCapture(s.a, cudaStreamCaptureModeGlobal));
    CHECK_STATUS(cudaMalloc(&p, 4), cudaErrorStreamCaptureUnsupported);
    CHECK_STATUS(cudaStreamEndCapture(s.a, &graph), cudaErrorStreamCaptureInvalidated);

    CHECK_OK(cudaStreamBeginCapture(s.a, cudaStreamCaptureModeGlobal));
    CHECK_STATUS(cudaStreamSynchronize(s.a), cudaErrorStreamCaptureUnsupported);
    CHECK_STATUS(run_axpy(s.y, s.x, 1, N, s.a), cudaErrorStreamCaptureInvalidated);
    CHECK_STATUS(cudaStreamEndCapture(s.a, &graph), cudaErrorStreamCaptureInvalidated);

    CHECK_OK(cudaStreamBeginCapture(s.a, cudaStreamCaptureModeRelaxed));
    CHECK_OK(cudaMalloc(&p, 4));
    CHECK_STATUS(cudaMemcpyAsync(s.x, pageable.data(), N * 4, cudaMemcpyHostToDevice, s.a), cudaErrorStreamCaptureUnsupported);
    CHECK_OK(cudaEventRecord(s.loaded, s.a));
    CHECK_STATUS(cudaEventSynchronize(s.loaded), cudaErrorCapturedEvent);
    CHECK_OK(cudaStreamEndCapture(s.a, &graph));
    CHECK_OK(cudaGraphDestroy(graph));
    CHECK_OK(cudaFree(p));

    CHECK_OK(cudaEventRecord(s.joined, s.b)); /* outside of the capture */
    CHECK_OK(cudaStreamBeginCapture(s.a, cudaStreamCaptureModeGlobal));
    CHECK_STATUS(cudaStreamWaitEvent(s.a, s.joined, 0), cudaErrorStreamCaptureIsolation);
    CHECK_STATUS(cudaStreamEndCapture(s.a, &graph), cudaErrorStreamCaptureInvalidated);
    CHECK_STATUS(cudaStreamEndCapture(s.b, &graph), cudaErrorIllegalState);
    (void)cudaGetLastError();
}

static void memory_runs_out()
{
    size_t free_before = 0, free_now = 0, total = 0;
    void *p = nullptr, *q = nullptr;
    CHECK_OK(cudaMemGetInfo(&free_before, &total));
    CHECK_STATUS(cudaMalloc(&p, total + 1), cudaErrorMemoryAllocation);
    CHECK(p == nullptr);
    CHECK_STATUS(cudaGetLastError(), cudaErrorMemoryAllocation);
    CHECK_STATUS(cudaGetLastError(), cudaSuccess);
    CHECK_OK(cudaMalloc(&p, total - 1024));
    CHECK_STATUS(cudaMalloc(&q, 4096), cudaErrorMemoryAllocation);
    CHECK_OK(cudaMemGetInfo(&free_now, &total));
    CHECK(free_now < 4096);
    CHECK_OK(cudaFree(p));
    CHECK_OK(cudaMemGetInfo(&free_now, &total));
    CHECK(free_now == free_before);
    (void)cudaGetLastError();
}

static void launches_are_validated()
{
    const cudaStream_t s = new_stream();
    CHECK_OK(run_shape(dim3(2, 3, 4), dim3(8, 4, 2), 0, s));
    CHECK_STATUS(run_shape(dim3(0), dim3(32), 0, s), cudaErrorInvalidConfiguration);
    CHECK_STATUS(run_shape(dim3(1), dim3(1025), 0, s), cudaErrorInvalidConfiguration);
    CHECK_STATUS(run_shape(dim3(1), dim3(1, 1, 65), 0, s), cudaErrorInvalidConfiguration);
    CHECK_STATUS(run_shape(dim3(1, 65536), dim3(32), 0, s), cudaErrorInvalidConfiguration);
    CHECK_STATUS(run_shape(dim3(1), dim3(32), 228 * 1024, s), cudaErrorInvalidValue);
    CHECK_OK(run_shape(dim3(1), dim3(32), 227 * 1024, s));
    CHECK_OK(cudaStreamSynchronize(s));
    CHECK_OK(cudaStreamDestroy(s));
    (void)cudaGetLastError();
}

static void faults_are_injected()
{
    void *p = nullptr;
    emu_fail_call("cudaMalloc", 2, cudaErrorMemoryAllocation, false);
    CHECK_OK(cudaMalloc(&p, 16));
    CHECK_OK(cudaFree(p));
    CHECK_STATUS(cudaMalloc(&p, 16), cudaErrorMemoryAllocation);
    CHECK_OK(cudaMalloc(&p, 16));
    CHECK(emu_fail_call("cudaMalloc", 0, 0, false) == 3);
    const cudaStream_t s = new_stream();
    emu_fail_call("cudaMemsetAsync", 1, cudaErrorIllegalAddress, true); /* sticky: from now on everything fails */
    CHECK_STATUS(cudaMemsetAsync(p, 0, 16, s), cudaErrorIllegalAddress);
    CHECK_STATUS(cudaStreamSynchronize(s), cudaErrorIllegalAddress);
    CHECK_STATUS(cudaGetLastError(), cudaErrorIllegalAddress);
    CHECK_STATUS(cudaGetLastError(), cudaErrorIllegalAddress);
    CHECK_STATUS(cudaFree(p), cudaErrorIllegalAddress); /* but gives the memory back */
    CHECK_STATUS(cudaStreamDestroy(s), cudaErrorIllegalAddress);
    emu_clear_errors();
    check_all_returned();
}

static void a_kernel_fault_is_reported_later()
{
    const Setup s;
    emu_fail_kernel(2, cudaErrorLaunchFailure);
    CHECK_OK(run_fill(s.x, 1, N, s.a));
    CHECK_OK(cudaStreamSynchronize(s.a));
    const cudaError_t at_launch = run_fill(s.x, 2, N, s.a);
    CHECK(at_launch == cudaSuccess || at_launch == cudaErrorLaunchFailure); /* eager streams are that fast */
    CHECK_STATUS(cudaStreamSynchronize(s.a), cudaErrorLaunchFailure);
    CHECK_STATUS(cudaMemsetAsync(s.x, 0, 4, s.a), cudaErrorLaunchFailure);
    emu_clear_errors();
}

static void host_memory_is_registered()
{
    const size_t page = size_t(sysconf(_SC_PAGESIZE)), size = 4 * page;
    void *writable = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *read_only = mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *d = device_array<char>(size);
    const cudaStream_t s = new_stream();
    emu_counters before, after;
    CHECK_OK(cudaHostRegister(writable, size, cudaHostRegisterDefault));
    CHECK_STATUS(cudaHostRegister(static_cast<char *>(writable) + page, page, 0), cudaErrorHostMemoryAlreadyRegistered);
    CHECK_STATUS(cudaHostRegister(read_only, size, cudaHostRegisterDefault), cudaErrorInvalidValue);
    CHECK_OK(cudaHostRegister(read_only, size, cudaHostRegisterReadOnly));
    emu_counters_get(&before);
    CHECK_OK(cudaMemcpyAsync(d, read_only, size, cudaMemcpyHostToDevice, s));
    CHECK_OK(cudaStreamSynchronize(s));
    emu_counters_get(&after);
    CHECK(after.pageable_copies == before.pageable_copies);
    CHECK_OK(cudaHostUnregister(read_only));
    CHECK_OK(cudaHostUnregister(writable));
    CHECK_STATUS(cudaHostUnregister(writable), cudaErrorHostMemoryNotRegistered);
    emu_set_register_read_only(false);
    CHECK_STATUS(cudaHostRegister(read_only, size, cudaHostRegisterReadOnly), cudaErrorNotSupported);
    emu_set_register_read_only(true);
    CHECK_OK(cudaStreamDestroy(s));
    CHECK_OK(cudaFree(d));
    munmap(writable, size);
    munmap(read_only, size);
    (void)cudaGetLastError();
    check_all_returned();
}

static void pageable_copies_wait()
{
    const Setup s;
    std::vector<float> in(N, 3.0f), out(N);
    emu_counters before, after;
    emu_counters_get(&before);
    CHECK_OK(cudaMemcpyAsync(s.x, in.data(), N * 4, cudaMemcpyHostToDevice, s.a));
    in.assign(N, 9.0f); /* has been staged */
    CHECK_OK(cudaMemcpyAsync(out.data(), s.x, N * 4, cudaMemcpyDeviceToHost, s.a));
    for (float v : out) CHECK(v == 3.0f);
    emu_counters_get(&after);
    CHECK(after.pageable_copies == before.pageable_copies + 2);
}

static void pitched_copies()
{
    const Setup s;
    CHECK_OK(cudaMemsetAsync(s.x, 0, N * 4, s.a));
    CHECK_OK(cudaMemcpy2DAsync(s.x, 40, s.in, 20, 12, 5, cudaMemcpyHostToDevice, s.a)); /* 3 of 5 floats into rows of 10 */
    CHECK_OK(cudaMemcpyAsync(s.out, s.x, N * 4, cudaMemcpyDeviceToHost, s.a));
    CHECK_OK(cudaStreamSynchronize(s.a));
    for (int r = 0; r < 5; r++)
        for (int c = 0; c < 10; c++) CHECK(s.out[r * 10 + c] == (c < 3 ? s.in[r * 5 + c] : 0.0f));
}

static void two_devices_are_apart()
{
    emu_set_devices(2);
    const cudaStream_t on_first = new_stream();
    CHECK_OK(cudaSetDevice(1));
    float *second = device_array<float>(4);
    CHECK_STATUS(run_fill(second, 1, 4, on_first), cudaErrorInvalidResourceHandle);
    const cudaStream_t on_second = new_stream();
    CHECK_OK(run_fill(second, 1, 4, on_second));
    CHECK_OK(cudaStreamSynchronize(on_second));
    CHECK(download(second, 4)[3] == 1.0f);
    emu_fail_kernel(1, cudaErrorIllegalAddress);
    (void)run_fill(second, 1, 4, on_second);
    CHECK_STATUS(cudaStreamSynchronize(on_second), cudaErrorIllegalAddress);
    CHECK_OK(cudaSetDevice(0)); /* the other device goes on */
    CHECK_OK(cudaStreamSynchronize(on_first));
    CHECK_OK(cudaStreamDestroy(on_first));
    CHECK_STATUS(cudaSetDevice(1), cudaErrorIllegalAddress);
    emu_clear_errors();
    CHECK_OK(cudaFree(second));
    CHECK_OK(cudaStreamDestroy(on_second));
    CHECK_OK(cudaSetDevice(0));
    CHECK_STATUS(cudaSetDevice(2), cudaErrorInvalidDevice);
    (void)cudaGetLastError();
    emu_set_devices(1);
    check_all_returned();
}

static void without_a_device()
{
    int count = -1;
    emu_set_devices(0);
    CHECK_STATUS(cudaGetDeviceCount(&count), cudaErrorNoDevice);
    CHECK(count == 0);
    (void)cudaGetLastError();
    emu_set_devices(1);
}

struct Ticket {
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    int calls = 0;
};

static void count_a_call(void *user)
{
    Ticket *ticket = static_cast<Ticket *>(user);
    pthread_mutex_lock(&ticket->lock);
    ticket->calls++;
    pthread_mutex_unlock(&ticket->lock);
}

/* What one engine does: its own stream and memory, the device shared. */
static void *work(void *user)
{
    float *x = device_array<float>(N);
    float *host = pinned(N);
    const cudaStream_t s = new_stream();
    const cudaEvent_t done = new_event();
    for (int pass = 0; pass < 20; pass++) {
        for (int i = 0; i < N; i++) host[i] = float(pass);
        CHECK_OK(cudaMemcpyAsync(x, host, N * 4, cudaMemcpyHostToDevice, s));
        CHECK_OK(run_axpy(x, x, 1, N, s));
        CHECK_OK(cudaLaunchHostFunc(s, count_a_call, user));
        CHECK_OK(cudaMemcpyAsync(host, x, N * 4, cudaMemcpyDeviceToHost, s));
        CHECK_OK(cudaEventRecord(done, s));
        CHECK_OK(cudaEventSynchronize(done));
        for (int i = 0; i < N; i++) CHECK(host[i] == 2 * float(pass));
    }
    CHECK_OK(cudaEventDestroy(done));
    CHECK_OK(cudaStreamDestroy(s));
    CHECK_OK(cudaFreeHost(host));
    CHECK_OK(cudaFree(x));
    return nullptr;
}

static void threads_share_a_device()
{
    Ticket ticket;
    pthread_t threads[3];
    for (pthread_t &thread : threads) CHECK(pthread_create(&thread, nullptr, work, &ticket) == 0);
    for (const pthread_t &thread : threads) CHECK(pthread_join(thread, nullptr) == 0);
    CHECK(ticket.calls == 60);
    check_all_returned();
}

int main()
{
    events_order_streams();
    polling_gets_on();
    graphs_replay();
    captures_refuse();
    memory_runs_out();
    launches_are_validated();
    faults_are_injected();
    a_kernel_fault_is_reported_later();
    host_memory_is_registered();
    pageable_copies_wait();
    pitched_copies();
    two_devices_are_apart();
    without_a_device();
    threads_share_a_device();
    return 0;
}
