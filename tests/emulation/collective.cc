/* Where threads meet: warp collectives and block barriers. Stricter than the hardware on purpose: everybody must come to the same
 * line, and a barrier is for all threads of the block. */
#include "scheduler.h"

namespace emu {

static bool same_text(const char *a, const char *b) { return a == b || std::strcmp(a, b) == 0; }
static bool same_site(Site a, Site b) { return a.line == b.line && same_text(a.file, b.file) && same_text(a.op, b.op); }

static Meeting *find_meeting(Warp &warp, unsigned mask)
{
    for (Meeting &meeting : warp.meetings)
        if (meeting.mask & mask) return &meeting;
    return nullptr;
}

static Meeting *join_meeting(Warp &warp, unsigned lane, unsigned mask, Collective function, Site site)
{
    if (!(mask >> lane & 1)) fail("%s at %s:%d: lane %u is not in its own mask %08x", site.op, site.file, site.line, lane, mask);
    Meeting *meeting = find_meeting(warp, mask);
    if (!meeting) {
        const unsigned gone = mask & warp.exited;
        if (gone) fail("%s at %s:%d: of the mask %08x, lanes %08x do not exist or have exited", site.op, site.file, site.line, mask, gone);
        warp.meetings.push_back(Meeting{ mask, 0, function, site });
        meeting = &warp.meetings.back();
    } else if (meeting->mask != mask || meeting->function != function || !same_site(meeting->site, site)) {
        fail("lane %u comes to %s mask %08x at %s:%d, while lanes %08x wait in %s mask %08x at %s:%d", lane, site.op, mask, site.file, site.line,
             meeting->arrived, meeting->site.op, meeting->mask, meeting->site.file, meeting->site.line);
    }
    meeting->arrived |= 1u << lane;
    return meeting;
}

/* Runs the function over all lanes, in the name of none of them. */
static void complete(Warp &warp, Meeting *meeting, Thread *const *lanes_of_warp)
{
    const Meeting done = *meeting;
    *meeting = warp.meetings.back();
    warp.meetings.pop_back();
    Thread *self = block.running;
    const bool in_body = self->in_body;
    self->in_body = false;
    if (done.function) {
        Lane lanes[32] = {};
        for (unsigned m = done.mask; m; m &= m - 1) lanes[__builtin_ctz(m)] = lanes_of_warp[__builtin_ctz(m)]->post;
        done.function(lanes, done.mask);
    } else {
        race_warp_barrier(self->linear / 32, done.mask);
    }
    for (unsigned m = done.mask; m; m &= m - 1)
        if (lanes_of_warp[__builtin_ctz(m)] != self) make_ready(lanes_of_warp[__builtin_ctz(m)]);
    if (options().order == EMU_RANDOM_ORDER) { /* the last to come need not be the first to go */
        make_ready(self);
        yield_to_next();
    }
    self->in_body = in_body;
}

void warp_collective(unsigned mask, Collective function, const void *in, void *out, Site site)
{
    if (!in_kernel()) fail("%s outside a kernel", site.op);
    counters().collectives++;
    Thread *self = block.running;
    const unsigned w = self->linear / 32;
    Warp &warp = block.warps[w];
    self->mask = mask;
    self->post = Lane{ in, out };
    Meeting *meeting = join_meeting(warp, self->linear % 32, mask, function, site);
    if (meeting->arrived == mask) complete(warp, meeting, &block.threads[w * 32]);
    else wait_in(State::IN_COLLECTIVE, site);
}

void warp_barrier(unsigned mask, Site site) { warp_collective(mask, nullptr, nullptr, nullptr, site); }

unsigned block_barrier(bool vote, Site site)
{
    if (!in_kernel()) fail("%s outside a kernel", site.op);
    counters().barriers++;
    Barrier &barrier = block.barrier;
    if (block.alive < block.size)
        fail("%s at %s:%d: %u of the block's %u threads have exited and will never come", site.op, site.file, site.line, block.size - block.alive, block.size);
    if (barrier.waiting > 0 && !same_site(barrier.site, site))
        fail("%s at %s:%d, while %u threads wait at another barrier: %s at %s:%d", site.op, site.file, site.line, barrier.waiting, barrier.site.op,
             barrier.site.file, barrier.site.line);
    barrier.site = site;
    barrier.waiting++;
    barrier.votes += vote;
    if (barrier.waiting < block.size) {
        wait_in(State::AT_BARRIER, site);
        return barrier.result;
    }
    barrier.result = barrier.votes;
    barrier.waiting = 0;
    barrier.votes = 0;
    race_block_barrier();
    Thread *self = block.running;
    for (unsigned i = 0; i < block.size; i++)
        if (block.threads[i] != self) make_ready(block.threads[i]);
    const bool in_body = self->in_body;
    self->in_body = false;
    make_ready(self); /* in turn with the others */
    yield_to_next();
    self->in_body = in_body;
    return barrier.result;
}

void check_nobody_waits_for(const Thread *gone)
{
    const Barrier &barrier = block.barrier;
    if (barrier.waiting > 0)
        fail("a thread exits while %u threads wait for it in %s at %s:%d", barrier.waiting, barrier.site.op, barrier.site.file, barrier.site.line);
    const unsigned lane = gone->linear % 32;
    for (const Meeting &meeting : block.warps[gone->linear / 32].meetings)
        if (meeting.mask >> lane & 1)
            fail("lane %u exits; lanes %08x wait for it in %s mask %08x at %s:%d", lane, meeting.arrived, meeting.site.op, meeting.mask, meeting.site.file,
                 meeting.site.line);
}

void memory_fence()
{
    if (in_kernel()) race_fence(block.running->linear);
}

void note_atomic(const void *address, size_t size, Site site)
{
    if (!in_kernel()) fail("%s outside a kernel", site.op);
    check_aligned(address, size, site);
    Thread *self = block.running;
    const bool in_body = self->in_body;
    self->in_body = false;
    race_atomic(address, size, self->linear);
    self->in_body = in_body;
}

} // namespace emu
