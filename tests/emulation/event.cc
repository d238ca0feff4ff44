/* Events: numbered marks in streams. Waiting for one does the work of its stream up to the mark, and no more. */
#include "stream.h"

namespace emu {

typedef std::shared_ptr<EventState> EventHandle; /* what a cudaEvent_t points to */

static std::set<EventHandle *> &events()
{
    static std::set<EventHandle *> &all = *new std::set<EventHandle *>;
    return all;
}

static EventHandle &event_of(cudaEvent_t handle)
{
    EventHandle *event = reinterpret_cast<EventHandle *>(handle);
    if (!events().count(event)) fail("%p is no event, or one that was destroyed", static_cast<void *>(handle));
    return *event;
}

static cudaError_t record(const EventHandle &event, Stream *stream)
{
    if (event->device != stream->device) return cudaErrorInvalidResourceHandle;
    if (stream->capture) {
        if (stream->capture->invalid) return cudaErrorStreamCaptureInvalidated;
        /* A mark after everything this stream has done or waited for so far. */
        if (!stream->joins.empty()) add_node(stream, operation("joined", [] {}));
        event->capture = stream->capture;
        event->node = stream->last;
        return cudaSuccess;
    }
    event->capture = nullptr;
    event->on = stream;
    order_before(event.get());
    Item item;
    item.record = event;
    item.version = ++event->recorded;
    add_item(stream, std::move(item));
    return cudaSuccess;
}

static cudaError_t make_wait(Stream *stream, const EventHandle &event)
{
    if (event->capture) {
        if (event->capture->invalid) return cudaErrorStreamCaptureInvalidated;
        if (stream->capture && stream->capture != event->capture) {
            stream->capture->invalid = event->capture->invalid = true;
            return cudaErrorStreamCaptureMerge;
        }
        if (!stream->capture) { /* the stream joins the capture */
            stream->capture = event->capture;
            stream->capture->streams.insert(stream);
            stream->last = -1;
            stream->joins.clear();
        }
        if (event->node >= 0) stream->joins.push_back(event->node);
        return cudaSuccess;
    }
    if (stream->capture) {
        stream->capture->invalid = true;
        return cudaErrorStreamCaptureIsolation;
    }
    if (event->done >= event->recorded) return cudaSuccess;
    Item item;
    item.wait = event;
    item.version = event->recorded;
    add_item(stream, std::move(item));
    return cudaSuccess;
}

} // namespace emu

using namespace emu;

static cudaError_t create(Call &call, cudaEvent_t *out, unsigned flags)
{
    if (call.refused()) return call.error();
    EventHandle *event = new EventHandle(std::make_shared<EventState>());
    (*event)->device = current_device();
    (*event)->timing = !(flags & cudaEventDisableTiming);
    events().insert(event);
    *out = reinterpret_cast<cudaEvent_t>(event);
    return call.done();
}

cudaError_t cudaEventCreate(cudaEvent_t *out)
{
    Call call(__func__);
    return create(call, out, 0);
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags)
{
    Call call(__func__);
    return create(call, out, flags);
}

cudaError_t cudaEventDestroy(cudaEvent_t handle)
{
    Call call(__func__);
    if (call.injected()) return call.error();
    EventHandle *event = &event_of(handle);
    events().erase(event);
    delete event; /* what waits for it keeps its state */
    return call.done();
}

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    return call.done(record(event_of(handle), stream_of(stream)));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t handle, unsigned)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    return call.done(make_wait(stream_of(stream), event_of(handle)));
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    const EventHandle event = event_of(handle);
    if (event->capture) return call.fail(cudaErrorCapturedEvent);
    wait_for(event, event->recorded);
    order_after(event.get());
    return call.done(sticky_error(event->device));
}

cudaError_t cudaEventQuery(cudaEvent_t handle)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    const EventHandle event = event_of(handle);
    if (event->capture) return call.fail(cudaErrorCapturedEvent);
    if (capture_forbids(false)) return call.fail(cudaErrorStreamCaptureUnsupported);
    if (event->done >= event->recorded) {
        order_after(event.get());
        return call.done(sticky_error(event->device));
    }
    step(event->on); /* whoever polls gets on */
    return cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t first, cudaEvent_t last)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    const EventHandle a = event_of(first), b = event_of(last);
    if (!a->timing || !b->timing || a->recorded == 0 || b->recorded == 0) return call.fail(cudaErrorInvalidResourceHandle);
    if (a->done < a->recorded || b->done < b->recorded) return call.fail(cudaErrorNotReady);
    *ms = float(b->time - a->time);
    return call.done();
}

void events_live(emu_live *out) { out->events = int(events().size()); }
