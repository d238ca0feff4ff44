/* Device memory: a span of address space per device that cannot be reached unless a kernel or a copy runs. Fresh memory is NaN in
 * every float type; addresses are never used again, so that a stale pointer is always caught. */
#include "call.h"

#include <map>
#include <sys/mman.h>

namespace emu {

char *device_space;

struct DeviceMemory {
    std::map<const char *, size_t> live, freed;
    size_t top = 0;  /* of the span: what has ever been given out */
    size_t used = 0; /* of the capacity */
    bool open = false;
};

static DeviceMemory &memory_of(int device)
{
    static DeviceMemory *all = new DeviceMemory[MAX_DEVICES];
    return all[device];
}

static char *span_of(int device) { return device_space + size_t(device) * DEVICE_SPAN; }
static size_t pages(size_t n) { return (n + 4095) / 4096 * 4096; }
static size_t rounded(size_t n) { return (n + 255) / 256 * 256; }

static const std::pair<const char *const, size_t> *range_with(const std::map<const char *, size_t> &ranges, const void *p)
{
    std::map<const char *, size_t>::const_iterator next = ranges.upper_bound(static_cast<const char *>(p));
    if (next == ranges.begin()) return nullptr;
    --next;
    return static_cast<const char *>(p) < next->first + next->second ? &*next : nullptr;
}

int device_of(const void *p, size_t n)
{
    if (!in_device_space(p)) return -1;
    const int device = int(size_t(static_cast<const char *>(p) - device_space) / DEVICE_SPAN);
    const std::pair<const char *const, size_t> *range = range_with(memory_of(device).live, p);
    return range && static_cast<const char *>(p) + n <= range->first + range->second ? device : -1;
}

/* The live allocation that p is in, or not far behind. */
static const std::pair<const char *const, size_t> *allocation_before(const DeviceMemory &m, const void *p)
{
    std::map<const char *, size_t>::const_iterator next = m.live.upper_bound(static_cast<const char *>(p));
    if (next == m.live.begin()) return nullptr;
    --next;
    return static_cast<const char *>(p) < next->first + rounded(next->second) + REDZONE ? &*next : nullptr;
}

void require_device_range(const char *who, const void *p, size_t n, int device)
{
    if (n == 0) return;
    const int found = device_of(p, n);
    if (found == device) return;
    if (found >= 0) fail("%s: %p is on device %d, not on device %d", who, p, found, device);
    for (int d = 0; d < MAX_DEVICES; d++) {
        const std::pair<const char *const, size_t> *near = allocation_before(memory_of(d), p);
        if (near) fail("%s: %zu bytes at %p pass the end of an allocation of %zu bytes at %p", who, n, p, near->second, static_cast<const void *>(near->first));
        if (range_with(memory_of(d).freed, p)) fail("%s: %zu bytes at %p, in device memory that was freed", who, n, p);
    }
    fail("%s: %zu bytes at %p are outside every live device allocation", who, n, p);
}

void open_device(int device)
{
    DeviceMemory &m = memory_of(device);
    if (m.open || m.top == 0) return;
    if (mprotect(span_of(device), pages(m.top), PROT_READ | PROT_WRITE)) fail("mprotect failed");
    m.open = true;
}

void shut_devices()
{
    for (int d = 0; d < MAX_DEVICES; d++) {
        DeviceMemory &m = memory_of(d);
        if (!m.open) continue;
        if (mprotect(span_of(d), pages(m.top), PROT_NONE)) fail("mprotect failed");
        m.open = false;
    }
}

static cudaError_t reserve_space()
{
    if (device_space) return cudaSuccess;
    void *p = mmap(nullptr, MAX_DEVICES * DEVICE_SPAN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return cudaErrorMemoryAllocation;
    device_space = static_cast<char *>(p);
    return cudaSuccess;
}

static cudaError_t allocate(void **out, size_t size, int device)
{
    *out = nullptr;
    if (size == 0) return cudaSuccess;
    DeviceMemory &m = memory_of(device);
    if (reserve_space() != cudaSuccess || size > options().device_bytes || rounded(size) > options().device_bytes - m.used)
        return cudaErrorMemoryAllocation;
    const size_t start = m.top + REDZONE;
    if (start + rounded(size) + REDZONE > DEVICE_SPAN) fail("a device's address space is used up; addresses are never used twice");
    m.top = start + rounded(size);
    m.open = false; /* its new pages are not open yet */
    open_device(device);
    char *p = span_of(device) + start;
    raw_fill(p, 0xff, size);
    poison(p - REDZONE, rounded(size) + 2 * REDZONE);
    unpoison(p, size);
    race_add(p, size, false);
    m.live[p] = size;
    m.used += rounded(size);
    counters().device_allocations++;
    *out = p;
    return cudaSuccess;
}

static void give_pages_back(char *p, size_t size)
{
    char *first = reinterpret_cast<char *>(pages(reinterpret_cast<uintptr_t>(p)));
    char *last = reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(p) + size) / 4096 * 4096);
    if (first < last) madvise(first, size_t(last - first), MADV_DONTNEED);
}

static void release(void *p)
{
    const char *at = static_cast<const char *>(p);
    for (int d = 0; d < MAX_DEVICES; d++) {
        DeviceMemory &m = memory_of(d);
        const std::map<const char *, size_t>::iterator found = m.live.find(at);
        if (found == m.live.end()) continue;
        drain_device(d); /* cudaFree waits for the device */
        poison(p, found->second);
        race_remove(p, found->second);
        give_pages_back(static_cast<char *>(p), found->second);
        m.used -= rounded(found->second);
        m.freed[at] = found->second;
        m.live.erase(found);
        return;
    }
    fail("cudaFree: %p is no live device allocation", p);
}

} // namespace emu

using namespace emu;

cudaError_t cudaMalloc(void **out, size_t size)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    if (capture_forbids(false)) return call.fail(cudaErrorStreamCaptureUnsupported);
    return call.done(allocate(out, size, current_device()));
}

cudaError_t cudaFree(void *p)
{
    Call call(__func__);
    if (call.injected()) return call.error();
    if (!p) return call.done();
    if (capture_forbids(false)) return call.fail(cudaErrorStreamCaptureUnsupported);
    release(p);
    return call.done();
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *total)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    *total = options().device_bytes;
    *free = *total - memory_of(current_device()).used;
    return call.done();
}

void emu_skip_addresses(size_t bytes)
{
    const Locked locked;
    memory_of(current_device()).top += rounded(bytes);
}

void device_memory_live(emu_live *out)
{
    for (int d = 0; d < MAX_DEVICES; d++) {
        for (const std::pair<const char *const, size_t> &range : memory_of(d).live) out->device_bytes += range.second;
        out->device_allocations += int(memory_of(d).live.size());
    }
}
