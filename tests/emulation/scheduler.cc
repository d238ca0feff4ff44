/* Runs a launch: one block after another, the threads of a block as fibers, each until it has to wait for others. Which ready thread
 * goes on and which block comes next is decided by CUDDLE_EMU_ORDER. */
#include "scheduler.h"

#include "call.h"

#include <algorithm>
#include <cstdio>
#include <map>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emu {

Block &block = *new Block;

static Fiber *caller; /* the OS thread's own stack */
static const Launch *launch_now;
static int device_now;
static thread_local bool runs_kernels; /* this OS thread is the one that runs a launch; others go about their business */

bool in_kernel() { return runs_kernels && block.running != nullptr; }
uint64_t block_serial() { return block.serial; }
int running_device() { return device_now; }
unsigned running_thread() { return block.running->linear; }

int checked_thread()
{
    if (!runs_kernels) return -1;
    const Thread *thread = block.running;
    return thread && thread->in_body ? int(thread->linear) : -1;
}

void enter_kernel_body() { block.running->in_body = true; }
void leave_kernel_body() { block.running->in_body = false; }

std::string name_of(const Thread *thread)
{
    char text[64];
    std::snprintf(text, sizeof text, "thread (%u,%u,%u)", thread->index.x, thread->index.y, thread->index.z);
    return text;
}

std::string where_in_kernel()
{
    if (!in_kernel()) return "";
    char text[96];
    std::snprintf(text, sizeof text, "\n  in block (%u,%u,%u) ", blockIdx.x, blockIdx.y, blockIdx.z);
    return text + name_of(block.running);
}

/* ---- switching ---- */

static void go_to(Thread *to)
{
    Thread *from = block.running;
    if (from == to) return;
    counters().switches++;
    block.running = to;
    if (to) threadIdx = to->index;
    switch_fiber(from ? &from->fiber : caller, to ? &to->fiber : caller);
}

static void report_deadlock()
{
    std::map<std::string, int> waiting;
    for (unsigned i = 0; i < block.size; i++) {
        const Thread *t = block.threads[i];
        char text[256] = "exited";
        if (t->state == State::IN_COLLECTIVE)
            std::snprintf(text, sizeof text, "wait in %s mask %08x at %s:%d", t->site.op, t->mask, t->site.file, t->site.line);
        if (t->state == State::AT_BARRIER) std::snprintf(text, sizeof text, "wait in %s at %s:%d", t->site.op, t->site.file, t->site.line);
        waiting[text]++;
    }
    std::string all;
    for (const std::pair<const std::string, int> &group : waiting) all += "\n  " + std::to_string(group.second) + " threads " + group.first;
    fail("deadlock: no thread of the block can go on%s", all.c_str());
}

static unsigned pick_warp(unsigned after, unsigned warps)
{
    const emu_order order = options().order;
    const unsigned start = order == EMU_RANDOM_ORDER ? random_below(warps) : after;
    for (unsigned k = 0; k < warps; k++) {
        const unsigned w = order == EMU_REVERSE ? (start + warps - k) % warps : (start + k) % warps;
        if (block.warps[w].ready) return w;
    }
    return warps;
}

static unsigned pick_lane(unsigned ready)
{
    if (options().order == EMU_FORWARD) return unsigned(__builtin_ctz(ready));
    if (options().order == EMU_REVERSE) return 31u - unsigned(__builtin_clz(ready));
    for (uint32_t skip = random_below(uint32_t(__builtin_popcount(ready))); skip > 0; skip--) ready &= ready - 1;
    return unsigned(__builtin_ctz(ready));
}

void yield_to_next()
{
    const unsigned warps = (block.size + 31) / 32;
    const unsigned w = pick_warp(block.running ? block.running->linear / 32 : 0, warps);
    if (w < warps) {
        const unsigned lane = pick_lane(block.warps[w].ready);
        block.warps[w].ready &= ~(1u << lane);
        go_to(block.threads[w * 32 + lane]);
        return;
    }
    if (block.alive > 0) report_deadlock();
    go_to(nullptr);
}

void wait_in(State state, Site site)
{
    Thread *self = block.running;
    const bool in_body = self->in_body;
    self->in_body = false;
    self->state = state;
    self->site = site;
    yield_to_next();
    self->in_body = in_body;
}

void make_ready(Thread *thread)
{
    thread->state = State::READY;
    block.warps[thread->linear / 32].ready |= 1u << thread->linear % 32;
}

/* ---- the life of a thread ---- */

static void finish_thread(Thread *self)
{
    if (copies_in_flight(self->linear)) fail("a thread exits while its cp.async copies are in flight; dev_copy_async_wait<0>() comes first");
    self->state = State::EXITED;
    block.alive--;
    block.warps[self->linear / 32].exited |= 1u << self->linear % 32;
    check_nobody_waits_for(self);
}

/* Never returns: the fiber is used again for the same thread of the next block. */
EMU_NO_ASAN static void thread_main()
{
    arrive_in_fiber(&block.running->fiber);
    for (;;) {
        launch_now->run_thread(*launch_now);
        finish_thread(block.running);
        yield_to_next();
    }
}

static void add_threads(unsigned count)
{
    while (block.threads.size() < count) {
        Thread *thread = new Thread;
        prepare_fiber(&thread->fiber, unsigned(block.threads.size()), thread_main);
        block.threads.push_back(thread);
    }
}

/* ---- blocks ---- */

static void begin_block(uint64_t number, const Launch &l)
{
    blockIdx = { unsigned(number % l.grid.x), unsigned(number / l.grid.x % l.grid.y), unsigned(number / l.grid.x / l.grid.y) };
    block.serial++;
    block.alive = block.size;
    block.barrier = Barrier{};
    for (unsigned i = 0; i < block.size; i++) {
        Thread *t = block.threads[i];
        t->linear = i;
        t->index = { i % l.block.x, i / l.block.x % l.block.y, i / l.block.x / l.block.y };
        t->state = State::READY;
    }
    for (unsigned w = 0; w * 32 < block.size; w++) {
        const unsigned lanes = std::min(32u, block.size - w * 32);
        const unsigned present = lanes == 32 ? 0xffffffffu : (1u << lanes) - 1;
        block.warps[w].ready = present;
        block.warps[w].exited = ~present;
        block.warps[w].meetings.clear();
    }
    begin_block_shared(l.shared);
    begin_block_copies(block.size);
    race_begin_block(block.size);
    counters().blocks++;
    counters().threads += block.size;
}

void run_blocks(const Launch &l, int device)
{
    Fiber here;
    caller = &here;
    runs_kernels = true;
    launch_now = &l;
    device_now = device;
    gridDim = l.grid;
    blockDim = l.block;
    block.size = l.block.x * l.block.y * l.block.z;
    add_threads(block.size);
    race_begin_launch(device);
    const uint64_t blocks = uint64_t(l.grid.x) * l.grid.y * l.grid.z;
    const uint64_t shift = options().order == EMU_RANDOM_ORDER ? random_below(uint32_t(std::min<uint64_t>(blocks, 0xffffffffu))) : 0;
    for (uint64_t i = 0; i < blocks; i++) {
        const uint64_t number = options().order == EMU_REVERSE ? blocks - 1 - i : (i + shift) % blocks;
        begin_block(number, l);
        yield_to_next(); /* comes back when every thread has exited */
    }
    caller = nullptr;
    runs_kernels = false;
}

} // namespace emu
