/* Host memory that the device may reach: pinned by us, or registered where it lies; and what the host may not do while a copy of it
 * is in flight. */
#include "call.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <map>
#include <sys/uio.h>
#include <unistd.h>

namespace emu {

struct HostRange {
    size_t size;
    bool ours;      /* from cudaMallocHost */
    bool read_only; /* registered as such */
};

static std::map<const char *, HostRange> &ranges()
{
    static std::map<const char *, HostRange> &all = *new std::map<const char *, HostRange>;
    return all;
}

static const std::pair<const char *const, HostRange> *range_with(const void *p)
{
    std::map<const char *, HostRange>::const_iterator next = ranges().upper_bound(static_cast<const char *>(p));
    if (next == ranges().begin()) return nullptr;
    --next;
    return static_cast<const char *>(p) < next->first + next->second.size ? &*next : nullptr;
}

bool is_pinned(const void *p, size_t n)
{
    const std::pair<const char *const, HostRange> *range = range_with(p);
    if (!range) return false;
    if (static_cast<const char *>(p) + n > range->first + range->second.size)
        fail("%zu bytes at %p pass the end of host memory that is pinned or registered: %zu bytes at %p", n, p, range->second.size,
             static_cast<const void *>(range->first));
    return true;
}

bool is_read_only(const void *p)
{
    const std::pair<const char *const, HostRange> *range = range_with(p);
    return range && range->second.read_only;
}

/* ---- copies in flight ---- */

static std::list<HostAccess *> &in_flight()
{
    static std::list<HostAccess *> &all = *new std::list<HostAccess *>;
    return all;
}

static bool overlap(const char *a, size_t n, const char *b, size_t m) { return a < b + m && b < a + n; }

static bool being_written(const char *p, size_t n)
{
    for (const HostAccess *access : in_flight())
        if (access->write && overlap(access->at, access->size, p, n)) return true;
    return false;
}

EMU_NO_ASAN static uint64_t hash(const char *p, size_t n)
{
    uint64_t h = 1469598103934665603u;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        raw_copy(&word, p + i, 8);
        h = (h ^ word) * 1099511628211u;
        h ^= h >> 29;
    }
    for (; i < n; i++) h = (h ^ static_cast<unsigned char>(p[i])) * 1099511628211u;
    return h;
}

/* The copy is over, done or not. */
static void leave(HostAccess *access)
{
    in_flight().remove(access);
    if (!access->write) return;
    unpoison(access->at, access->size);
    for (const HostAccess *other : in_flight())
        if (other->write && overlap(other->at, other->size, access->at, access->size)) poison(other->at, other->size);
}

/* The last reference goes: a copy that a failed device never made has not left yet. */
static void drop(HostAccess *access)
{
    if (std::find(in_flight().begin(), in_flight().end(), access) != in_flight().end()) leave(access);
    delete access;
}

std::shared_ptr<HostAccess> begin_host_access(const void *p, size_t n, bool write)
{
    const char *at = static_cast<const char *>(p);
    if (!being_written(at, n)) { /* else it is poisoned by ourselves */
        const void *bad = first_poisoned(p, n);
        if (bad) fail("a copy of %zu bytes %s host memory at %p would touch %p, which is not part of it", n, write ? "to" : "from", p, bad);
    }
    const std::shared_ptr<HostAccess> access(new HostAccess{ at, n, write, false, 0 }, drop);
    /* What a copy in flight still writes may change; what is mapped read-only changes behind the process's back if at all. */
    if (!write && !is_read_only(p) && !being_written(at, n)) {
        access->hashed = true;
        access->hash = hash(at, n);
    }
    in_flight().push_back(access.get());
    if (write) poison(p, n);
    return access;
}

void end_host_access(const std::shared_ptr<HostAccess> &access)
{
    leave(access.get());
    if (access->hashed && hash(access->at, access->size) != access->hash)
        fail("host memory at %p (%zu bytes) was changed while a copy from it was in flight", static_cast<const void *>(access->at), access->size);
}

static void require_idle(const char *who, const char *at, size_t size)
{
    for (const HostAccess *access : in_flight())
        if (overlap(access->at, access->size, at, size)) fail("%s: a copy of %p is still in flight", who, static_cast<const void *>(at));
}

/* ---- pinning ---- */

static cudaError_t pin(void **out, size_t size)
{
    *out = nullptr;
    if (size == 0) return cudaSuccess;
    const size_t whole = (size + 4095) / 4096 * 4096;
    void *p = aligned_alloc(4096, whole);
    if (!p) return cudaErrorMemoryAllocation;
    raw_fill(p, 0xa5, whole);
    poison(static_cast<char *>(p) + size, whole - size);
    ranges()[static_cast<char *>(p)] = HostRange{ size, true, false };
    counters().pinned_allocations++;
    *out = p;
    return cudaSuccess;
}

static void unpin(void *p)
{
    const std::map<const char *, HostRange>::iterator found = ranges().find(static_cast<char *>(p));
    if (found == ranges().end() || !found->second.ours) fail("cudaFreeHost: %p did not come from cudaMallocHost", p);
    for (int d = 0; d < options().devices; d++) drain_device(d);
    unpoison(p, (found->second.size + 4095) / 4096 * 4096);
    ranges().erase(found);
    free(p);
}

/* Permissions of the mapping with all of the range, as /proc/self/maps writes them ("r--s"); false if there is a hole in it. */
static bool mapping_of(const void *p, size_t n, bool *writable)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps) return false;
    uintptr_t at = reinterpret_cast<uintptr_t>(p);
    const uintptr_t end = at + n;
    char line[512], mode[8];
    unsigned long first = 0, last = 0;
    *writable = true;
    while (at < end && fgets(line, sizeof line, maps)) {
        if (std::sscanf(line, "%lx-%lx %7s", &first, &last, mode) != 3 || last <= at) continue;
        if (first > at || mode[0] != 'r') break;
        if (mode[1] != 'w') *writable = false;
        at = last;
    }
    fclose(maps);
    return at >= end;
}

static cudaError_t register_range(void *p, size_t n, unsigned flags)
{
    const bool read_only = flags & cudaHostRegisterReadOnly;
    bool writable = false;
    if (!p || n == 0 || (flags & ~unsigned(cudaHostRegisterPortable | cudaHostRegisterMapped | cudaHostRegisterReadOnly))) return cudaErrorInvalidValue;
    if (read_only && !options().register_read_only) return cudaErrorNotSupported;
    for (const std::pair<const char *const, HostRange> &range : ranges())
        if (overlap(range.first, range.second.size, static_cast<char *>(p), n)) return cudaErrorHostMemoryAlreadyRegistered;
    if (!mapping_of(p, n, &writable) || (!writable && !read_only)) return cudaErrorInvalidValue;
    ranges()[static_cast<char *>(p)] = HostRange{ n, false, read_only };
    return cudaSuccess;
}

static cudaError_t unregister_range(void *p)
{
    const std::map<const char *, HostRange>::iterator found = ranges().find(static_cast<char *>(p));
    if (found == ranges().end() || found->second.ours) return cudaErrorHostMemoryNotRegistered;
    require_idle("cudaHostUnregister", found->first, found->second.size);
    ranges().erase(found);
    return cudaSuccess;
}

} // namespace emu

using namespace emu;

static cudaError_t pin_call(Call &call, void **out, size_t size)
{
    if (call.refused()) return call.error();
    if (capture_forbids(false)) return call.fail(cudaErrorStreamCaptureUnsupported);
    return call.done(pin(out, size));
}

cudaError_t cudaMallocHost(void **out, size_t size)
{
    Call call(__func__);
    return pin_call(call, out, size);
}

cudaError_t cudaHostAlloc(void **out, size_t size, unsigned)
{
    Call call(__func__);
    return pin_call(call, out, size);
}

cudaError_t cudaFreeHost(void *p)
{
    Call call(__func__);
    if (call.injected()) return call.error();
    if (p) unpin(p);
    return call.done();
}

cudaError_t cudaHostRegister(void *p, size_t n, unsigned flags)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    if (capture_forbids(false)) return call.fail(cudaErrorStreamCaptureUnsupported);
    return call.done(register_range(p, n, flags));
}

cudaError_t cudaHostUnregister(void *p)
{
    Call call(__func__);
    if (call.injected()) return call.error();
    return call.done(unregister_range(p));
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *out, const void *p)
{
    Call call(__func__);
    if (call.refused()) return call.error();
    std::memset(out, 0, sizeof *out);
    out->device = device_of(p, 1);
    out->type = out->device >= 0 ? cudaMemoryTypeDevice : is_pinned(p, 1) ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered;
    if (out->type == cudaMemoryTypeDevice) out->devicePointer = const_cast<void *>(p);
    else out->hostPointer = const_cast<void *>(p);
    return call.done();
}

void host_memory_live(emu_live *out)
{
    for (const std::pair<const char *const, HostRange> &range : ranges())
        *(range.second.ours ? &out->pinned_bytes : &out->registered_bytes) += range.second.size;
}
