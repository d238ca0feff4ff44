/* cp.async: carried out as late as it may be, when the thread waits for it. Until then the destination is NaN, and for the race
 * checker a place that is being written since the copy was issued. */
#include "internal.h"

#include <deque>
#include <vector>

namespace emu {

struct AsyncCopy {
    char *to;
    const char *from;
    size_t size, valid;
    Site site;
};
struct AsyncQueue {
    std::vector<AsyncCopy> open; /* not yet committed */
    std::deque<std::vector<AsyncCopy>> groups;
};

static std::vector<AsyncQueue> &queues()
{
    static std::vector<AsyncQueue> &all = *new std::vector<AsyncQueue>;
    return all;
}

void begin_block_copies(unsigned threads)
{
    if (queues().size() < threads) queues().resize(threads);
}

bool copies_in_flight(unsigned thread)
{
    AsyncQueue &queue = queues()[thread];
    bool any = !queue.open.empty();
    for (const std::vector<AsyncCopy> &group : queue.groups) any = any || !group.empty();
    queue.groups.clear(); /* empty groups may stay behind */
    return any;
}

void copy_async(void *shared, const void *global, int size, int valid, Site site)
{
    if (!in_kernel()) fail("%s outside a kernel", site.op);
    if (valid < 0 || valid > size) fail("%s at %s:%d: %d of %d bytes are to be valid", site.op, site.file, site.line, valid, size);
    check_aligned(shared, size_t(size), site);
    check_shared(shared, size_t(size), site);
    if (valid > 0) check_aligned(global, size_t(size), site);
    const unsigned thread = running_thread();
    const AsyncCopy copy{ static_cast<char *>(shared), static_cast<const char *>(global), size_t(size), size_t(valid), site };
    check_access(copy.to, copy.size, true, thread, site);
    if (valid > 0) check_access(copy.from, copy.valid, false, thread, site);
    raw_fill(copy.to, 0xff, copy.size);
    race_copy_begins(copy.to, copy.size);
    queues()[thread].open.push_back(copy);
}

void copy_async_commit()
{
    AsyncQueue &queue = queues()[running_thread()];
    queue.groups.push_back(std::move(queue.open));
    queue.open.clear();
}

static void carry_out(const AsyncCopy &copy, unsigned thread)
{
    race_copy_ends(copy.to, copy.size);
    check_access(copy.to, copy.size, true, thread, copy.site);
    if (copy.valid > 0) {
        check_access(copy.from, copy.valid, false, thread, copy.site);
        raw_copy(copy.to, copy.from, copy.valid);
    }
    raw_fill(copy.to + copy.valid, 0, copy.size - copy.valid);
}

void copy_async_wait(int groups_left)
{
    const unsigned thread = running_thread();
    AsyncQueue &queue = queues()[thread];
    while (queue.groups.size() > size_t(groups_left)) {
        for (const AsyncCopy &copy : queue.groups.front()) carry_out(copy, thread);
        queue.groups.pop_front();
    }
}

} // namespace emu
