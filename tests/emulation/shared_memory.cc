/* The window of shared memory: [dynamic part][redzone][array][redzone][array]...; NaN and out of bounds again for every block. */
#include "internal.h"

#include <sys/mman.h>

namespace emu {

constexpr size_t WINDOW = size_t(512) << 10;   /* the largest block's memory and its redzones */
constexpr size_t STATIC_LIMIT = size_t(48) << 10;

static char *window;
static size_t used, dynamic_bytes, static_bytes;

bool in_shared_window(const void *p)
{
    const char *at = static_cast<const char *>(p);
    return window && at >= window && at < window + WINDOW;
}

void begin_block_shared(size_t bytes)
{
    if (!window) {
        void *p = mmap(nullptr, WINDOW, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) fail("no memory for the window of shared memory");
        window = static_cast<char *>(p);
        used = WINDOW;
    }
    raw_fill(window, 0xff, used);
    race_remove(window, used);
    poison(window, WINDOW);
    unpoison(window, bytes);
    race_add(window, bytes, false);
    dynamic_bytes = bytes;
    static_bytes = 0;
    used = bytes;
}

void *dynamic_shared()
{
    if (!in_kernel()) fail("dynamic shared memory outside a kernel");
    return window;
}

void *shared_array(SharedArray *array, size_t size, size_t align)
{
    if (!in_kernel()) fail("shared memory outside a kernel");
    if (array->block == block_serial()) return array->address;
    static_bytes += size;
    if (static_bytes > STATIC_LIMIT) fail("%zu bytes in shared arrays; the limit is %zu, use dynamic shared memory", static_bytes, STATIC_LIMIT);
    if (static_bytes + dynamic_bytes > shared_memory_limit())
        fail("%zu bytes of shared memory in a block; this device has %zu", static_bytes + dynamic_bytes, shared_memory_limit());
    const size_t at = (used + REDZONE + align - 1) / align * align;
    if (at + size + REDZONE > WINDOW) fail("the window of shared memory is too small for so many arrays");
    used = at + size;
    unpoison(window + at, size);
    race_add(window + at, size, false);
    array->block = block_serial();
    array->address = window + at;
    return array->address;
}

void check_shared(const void *p, size_t n, Site site)
{
    if (!in_shared_window(p) || !in_shared_window(static_cast<const char *>(p) + n - 1))
        fail("%s at %s:%d: %p is not in shared memory", site.op, site.file, site.line, p);
}

void check_aligned(const void *p, size_t n, Site site)
{
    if (reinterpret_cast<uintptr_t>(p) % n) fail("%s at %s:%d: misaligned address %p for an access of %zu bytes", site.op, site.file, site.line, p, n);
}

} // namespace emu
