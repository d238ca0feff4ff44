/* Accesses that the emulation makes in a kernel's name (ldmatrix, cp.async): held to the same rules as the kernel's own. */
#include "fiber.h"
#include <cstdio>
#include "internal.h"

namespace emu {

void check_access(const void *p, size_t n, bool write, unsigned thread, Site site)
{
    if (!in_shared_window(p) && !is_pinned(p, n) && !in_any_fiber_stack(p)) {
        char who[256];
        std::snprintf(who, sizeof who, "%s at %s:%d", site.op, site.file, site.line);
        require_device_range(who, p, n, running_device());
    }
    const void *bad = first_poisoned(p, n);
    if (bad) fail("%s at %s:%d: %s of %zu bytes at %p is out of bounds at %p", site.op, site.file, site.line, write ? "write" : "read", n, p, bad);
    race_access(p, n, write, thread, site);
}

void check_lane_read(const void *p, size_t n, int lane, Site site)
{
    check_access(p, n, false, running_thread() / 32 * 32 + unsigned(lane), site);
}

void check_vector(const void *p, size_t n, bool write, Site site)
{
    check_aligned(p, n, site);
    race_kernel_access(p, n, write, site);
}

} // namespace emu
