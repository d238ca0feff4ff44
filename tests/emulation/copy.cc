/* Copies and fills. The rules of cudaMemcpyAsync that are easy to break: a copy to or from pinned memory happens some time later, one
 * from pageable memory is staged, one to pageable memory waits. */
#include "call.h"

#include <vector>

namespace emu {

/* `rows` runs of `bytes`; a plain copy is one row. */
struct Shape {
    size_t bytes, rows, to_pitch, from_pitch;

    size_t to_span() const { return rows ? (rows - 1) * to_pitch + bytes : 0; }
    size_t from_span() const { return rows ? (rows - 1) * from_pitch + bytes : 0; }
};

static void move(void *to, const void *from, const Shape &s)
{
    for (size_t r = 0; r < s.rows; r++) raw_copy(static_cast<char *>(to) + r * s.to_pitch, static_cast<const char *>(from) + r * s.from_pitch, s.bytes);
}

static void mark_written(void *to, const Shape &s)
{
    for (size_t r = 0; r < s.rows; r++) race_written(static_cast<char *>(to) + r * s.to_pitch, s.bytes);
}

static void require_written(const void *from, const Shape &s)
{
    for (size_t r = 0; r < s.rows; r++) race_require_written("a copy to the host", static_cast<const char *>(from) + r * s.from_pitch, s.bytes);
}

static void check_direction(const void *to, const void *from, cudaMemcpyKind kind)
{
    const bool to_device = in_device_space(to), from_device = in_device_space(from);
    const bool right = kind == cudaMemcpyHostToDevice   ? to_device && !from_device
                       : kind == cudaMemcpyDeviceToHost ? !to_device && from_device
                       : kind == cudaMemcpyDeviceToDevice ? to_device && from_device
                       : kind == cudaMemcpyHostToHost     ? !to_device && !from_device
                                                          : true;
    if (!right) fail("a copy's kind %d does not fit its pointers %p <- %p", int(kind), to, from);
}

static Operation device_to_device(void *to, const void *from, const Shape &s, int device)
{
    return operation("copy", [=] {
        require_device_range("copy to device", to, s.to_span(), device);
        require_device_range("copy from device", from, s.from_span(), device);
        open_device(device);
        move(to, from, s);
        mark_written(to, s); /* whatever the source was: copying garbage is no error */
    });
}

static Operation pinned_to_device(void *to, const void *from, const Shape &s, int device)
{
    return Operation{ "copy",
                      [=]() -> Work {
                          const std::shared_ptr<HostAccess> access = begin_host_access(from, s.from_span(), false);
                          return [=] {
                              end_host_access(access);
                              require_device_range("copy to device", to, s.to_span(), device);
                              open_device(device);
                              move(to, from, s);
                              mark_written(to, s);
                          };
                      },
                      false };
}

static Operation device_to_pinned(void *to, const void *from, const Shape &s, int device)
{
    return Operation{ "copy",
                      [=]() -> Work {
                          const std::shared_ptr<HostAccess> access = begin_host_access(to, s.to_span(), true);
                          return [=] {
                              end_host_access(access);
                              require_device_range("copy from device", from, s.from_span(), device);
                              open_device(device);
                              require_written(from, s);
                              move(to, from, s);
                          };
                      },
                      false };
}

/* Pageable memory to the device: what the call sees is what arrives. */
static Operation staged_to_device(void *to, const void *from, const Shape &s, int device)
{
    const std::shared_ptr<HostAccess> access = begin_host_access(from, s.from_span(), false);
    const std::shared_ptr<std::vector<char>> stage = std::make_shared<std::vector<char>>(s.bytes * s.rows);
    move(stage->data(), from, Shape{ s.bytes, s.rows, s.bytes, s.from_pitch });
    end_host_access(access);
    return operation("copy", [=] {
        require_device_range("copy to device", to, s.to_span(), device);
        open_device(device);
        move(to, stage->data(), Shape{ s.bytes, s.rows, s.to_pitch, s.bytes });
        mark_written(to, s);
    });
}

static cudaError_t copy(void *to, const void *from, const Shape &s, cudaMemcpyKind kind, cudaStream_t stream, bool async)
{
    int device = 0;
    const cudaError_t wrong = stream_device(stream, &device);
    if (wrong != cudaSuccess) return wrong;
    if (s.bytes == 0 || s.rows == 0) return cudaSuccess;
    if (s.bytes > s.to_pitch || s.bytes > s.from_pitch) return cudaErrorInvalidPitchValue;
    check_direction(to, from, kind);
    const bool to_device = in_device_space(to), from_device = in_device_space(from);
    if (!to_device && !from_device) return cudaErrorNotSupported; /* nothing of ours copies from host to host */
    if (to_device) require_device_range("copy to device", to, s.to_span(), device);
    if (from_device) require_device_range("copy from device", from, s.from_span(), device);
    counters().copies++;
    if (to_device && from_device) return enqueue(stream, device_to_device(to, from, s, device));
    const bool pinned = to_device ? is_pinned(from, s.from_span()) : is_pinned(to, s.to_span());
    if (!to_device && pinned && is_read_only(to)) fail("a copy to host memory at %p that is registered as read-only", to);
    if (pinned) return enqueue(stream, to_device ? pinned_to_device(to, from, s, device) : device_to_pinned(to, from, s, device));
    if (stream_is_capturing(stream)) return cudaErrorStreamCaptureUnsupported;
    if (async) counters().pageable_copies++;
    if (to_device) return enqueue(stream, staged_to_device(to, from, s, device));
    const cudaError_t error = enqueue(stream, device_to_pinned(to, from, s, device));
    drain_stream(stream);
    return error;
}

static cudaError_t fill(void *to, int value, size_t bytes, cudaStream_t stream)
{
    int device = 0;
    const cudaError_t wrong = stream_device(stream, &device);
    if (wrong != cudaSuccess || bytes == 0) return wrong;
    require_device_range("memset", to, bytes, device);
    return enqueue(stream, operation("memset", [=] {
                       require_device_range("memset", to, bytes, device);
                       open_device(device);
                       raw_fill(to, value, bytes);
                       race_written(to, bytes);
                   }));
}

} // namespace emu

using namespace emu;

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    return call.done(copy(to, from, Shape{ bytes, 1, bytes, bytes }, kind, stream, true));
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    if (capture_forbids(true)) return call.fail(cudaErrorStreamCaptureImplicit);
    const cudaError_t error = copy(to, from, Shape{ bytes, 1, bytes, bytes }, kind, nullptr, false);
    drain_device(current_device());
    return call.done(error);
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t bytes, size_t rows, cudaMemcpyKind kind,
                              cudaStream_t stream)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    return call.done(copy(to, from, Shape{ bytes, rows, to_pitch, from_pitch }, kind, stream, true));
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    return call.done(fill(to, value, bytes, stream));
}

cudaError_t cudaMemset(void *to, int value, size_t bytes)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    return call.done(fill(to, value, bytes, nullptr));
}
