/* Streams: queues whose work is done when something waits for it (lazy, the default: what nobody waits for has not happened), at
 * once (eager), or at random. */
#include "stream.h"

#include <pthread.h>
#include <sched.h>

extern "C" __attribute__((weak)) void __tsan_acquire(void *address);
extern "C" __attribute__((weak)) void __tsan_release(void *address);

namespace emu {

void order_before(const void *object)
{
    if (__tsan_release) __tsan_release(const_cast<void *>(object));
}
void order_after(const void *object)
{
    if (__tsan_acquire) __tsan_acquire(const_cast<void *>(object));
}

static std::set<Stream *> &streams()
{
    static std::set<Stream *> &all = *new std::set<Stream *>;
    return all;
}

/* Never freed: another thread may be in the middle of it, waiting for a host function with the lock open. */
static std::vector<Stream *> &destroyed_streams()
{
    static std::vector<Stream *> &all = *new std::vector<Stream *>;
    return all;
}

static Stream *default_stream(int device)
{
    static Stream *all = new Stream[MAX_DEVICES];
    all[device].device = device;
    all[device].is_default = true;
    return &all[device];
}

Stream *stream_of(cudaStream_t handle)
{
    if (!handle || handle == cudaStreamLegacy || handle == cudaStreamPerThread) return default_stream(current_device());
    Stream *stream = reinterpret_cast<Stream *>(handle);
    if (!streams().count(stream)) fail("%p is no stream, or one that was destroyed", static_cast<void *>(handle));
    return stream;
}

/* ---- doing the work ---- */

static void run_host_function(Stream *stream, const Item &item)
{
    stream->busy = true;
    unlock_for_host_function();
    item.run();
    lock_after_host_function();
    stream->busy = false;
}

bool step(Stream *stream)
{
    if (stream->busy) { /* by another thread */
        unlock_for_host_function();
        sched_yield();
        lock_after_host_function();
        return true;
    }
    if (stream->queue.empty()) return false;
    const Item next = stream->queue.front();
    if (next.wait && next.wait->done < next.version) {
        wait_for(next.wait, next.version);
        return true;
    }
    stream->queue.pop_front();
    if (next.host_function) run_host_function(stream, next);
    else if (next.run && sticky_error(stream->device) == cudaSuccess) next.run();
    if (next.record && next.record->done < next.version) {
        next.record->done = next.version;
        timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        next.record->time = double(now.tv_sec) * 1e3 + double(now.tv_nsec) * 1e-6;
    }
    return true;
}

void drain(Stream *stream)
{
    while (step(stream)) {
    }
    order_after(stream);
}

void drain_stream(cudaStream_t handle) { drain(stream_of(handle)); }

void wait_for(const std::shared_ptr<EventState> &event, uint64_t version)
{
    while (event->done < version)
        if (!step(event->on)) fail("a wait for an event can never end");
}

void drain_device(int device)
{
    drain(default_stream(device));
    const std::set<Stream *> all = streams();
    for (Stream *stream : all)
        if (stream->device == device && streams().count(stream)) drain(stream);
}

void random_progress()
{
    if (options().streams != EMU_RANDOM_STREAMS) return;
    const std::vector<Stream *> all(streams().begin(), streams().end());
    if (all.empty()) return;
    for (uint32_t n = random_below(4); n > 0; n--) step(all[random_below(uint32_t(all.size()))]);
}

void add_item(Stream *stream, Item item)
{
    order_before(stream);
    if (stream->is_default) { /* waits for everything and everything waits for it */
        counters().default_stream_calls++;
        drain_device(stream->device);
    }
    stream->queue.push_back(std::move(item));
    if (stream->is_default || options().streams == EMU_EAGER) drain(stream);
    random_progress();
}

int add_node(Stream *stream, Operation op)
{
    Node node{ std::move(op), std::move(stream->joins) };
    stream->joins.clear();
    if (stream->last >= 0) node.after.push_back(stream->last);
    stream->capture->nodes.push_back(std::move(node));
    stream->last = int(stream->capture->nodes.size()) - 1;
    return stream->last;
}

cudaError_t enqueue(cudaStream_t handle, Operation op)
{
    Stream *stream = stream_of(handle);
    if (stream->device != current_device()) return cudaErrorInvalidResourceHandle;
    if (stream->is_default && capture_forbids(false)) return cudaErrorStreamCaptureImplicit;
    if (stream->capture) {
        if (stream->capture->invalid) return cudaErrorStreamCaptureInvalidated;
        add_node(stream, std::move(op));
        return cudaSuccess;
    }
    Item item;
    item.host_function = op.host_function;
    item.run = op.begin();
    add_item(stream, std::move(item));
    return sticky_error(stream->device);
}

cudaError_t stream_device(cudaStream_t handle, int *device)
{
    *device = stream_of(handle)->device;
    return *device == current_device() ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

bool stream_is_capturing(cudaStream_t handle) { return stream_of(handle)->capture != nullptr; }

bool capture_forbids(bool waits)
{
    bool forbidden = false;
    for (Stream *stream : streams()) {
        if (!stream->capture || stream->capture->origin != stream) continue;
        Capture &capture = *stream->capture;
        const bool ours = capture.thread == pthread_self();
        const bool minds = capture.mode == cudaStreamCaptureModeGlobal || (capture.mode == cudaStreamCaptureModeThreadLocal && ours);
        if (!minds && !(waits && stream->device == current_device())) continue;
        capture.invalid = true;
        forbidden = true;
    }
    return forbidden;
}

} // namespace emu

using namespace emu;

static cudaError_t create(Call &call, cudaStream_t *out, unsigned flags, int priority)
{
    if (call.refused()) return call.error();
    if (flags & ~unsigned(cudaStreamNonBlocking)) return call.fail(cudaErrorInvalidValue);
    Stream *stream = new Stream;
    stream->device = current_device();
    stream->flags = flags;
    stream->priority = priority;
    streams().insert(stream);
    *out = reinterpret_cast<cudaStream_t>(stream);
    return call.done();
}

cudaError_t cudaStreamCreate(cudaStream_t *out)
{
    Call call(__func__);
    return create(call, out, 0, 0);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags)
{
    Call call(__func__);
    return create(call, out, flags, 0);
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t *out, unsigned flags, int priority)
{
    Call call(__func__);
    return create(call, out, flags, priority);
}

cudaError_t cudaStreamDestroy(cudaStream_t handle)
{
    Call call(__func__);
    if (call.injected()) return call.error();
    Stream *stream = stream_of(handle);
    if (stream->capture) return call.fail(cudaErrorStreamCaptureUnsupported);
    drain(stream);
    streams().erase(stream);
    destroyed_streams().push_back(stream);
    return call.done();
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    Stream *stream = stream_of(handle);
    if (stream->capture) {
        stream->capture->invalid = true;
        return call.fail(cudaErrorStreamCaptureUnsupported);
    }
    if (stream->is_default) drain_device(stream->device);
    drain(stream);
    return call.done(sticky_error(stream->device));
}

cudaError_t cudaStreamQuery(cudaStream_t handle)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    Stream *stream = stream_of(handle);
    if (stream->capture) {
        stream->capture->invalid = true;
        return call.fail(cudaErrorStreamCaptureUnsupported);
    }
    if (stream->queue.empty() && !stream->busy) {
        order_after(stream);
        return call.done(sticky_error(stream->device));
    }
    step(stream); /* whoever polls gets on */
    return cudaErrorNotReady;
}

cudaError_t cudaStreamGetFlags(cudaStream_t handle, unsigned *flags)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    *flags = stream_of(handle)->flags;
    return call.done();
}

cudaError_t cudaStreamGetPriority(cudaStream_t handle, int *priority)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    *priority = stream_of(handle)->priority;
    return call.done();
}

cudaError_t cudaDeviceSynchronize(void)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    if (capture_forbids(true)) return call.fail(cudaErrorStreamCaptureUnsupported);
    drain_device(current_device());
    return call.done();
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *user)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    Operation op = operation("host function", [function, user] { function(user); });
    op.host_function = true;
    return call.done(enqueue(stream, std::move(op)));
}

void streams_live(emu_live *out) { out->streams = int(streams().size()); }
