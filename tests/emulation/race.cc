/* The race checker. Kernels are compiled with -fsanitize=thread but not linked with its library: every access to memory calls the
 * functions at the end of this file instead. Per byte of device and shared memory we keep its state (out of bounds, fresh, written, a
 * cp.async in flight) and who wrote and read it last, and when.
 *
 * Time is counted in epochs: a new one begins at every launch, block and block barrier. As blocks run one after another, an epoch
 * tells launch and block too:
 *     before this launch     ordered by the stream
 *     before this block      another block of this launch: a conflict, unless released to us (threadfence, atomic, threadfence)
 *     before this epoch      ordered by a barrier
 *     in this epoch          the same thread, or lanes of a warp with a __syncwarp() between; else a conflict
 * A shuffle orders nothing, as on the hardware. */
#include "fiber.h"
#include "internal.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <sys/mman.h>
#include <vector>

#ifdef EMU_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace emu {

extern "C" __attribute__((visibility("hidden"))) char __ehdr_start, _end; /* from the linker */

enum ByteState : uint8_t { OUTSIDE = 0, FRESH = 1, WRITTEN = 2, IN_FLIGHT = 3 };

constexpr uint16_t THREAD = 0x03ff;        /* bits of a cell's thread fields */
constexpr uint16_t ATOMIC = 0x8000;        /* of `writer` */
constexpr uint16_t OTHER_WARPS = 0x8000;   /* of `reader`: threads of other warps read it in this epoch too */
constexpr uint16_t OTHER_LANES = 0x4000;   /* other lanes of its warp read it at this point too */
constexpr uint16_t OTHER_BLOCKS = 0x2000;  /* another block of this launch read it */

struct Cell {
    uint32_t write_epoch, read_epoch; /* 0: never */
    uint16_t writer, reader;
    uint16_t write_sync, read_sync; /* how many __syncwarp() the thread's warp had had */
};
static_assert(sizeof(Cell) == 16, "16 bytes of shadow per byte");

static uint32_t epoch = 1, launch_start = 1, block_start = 1;
static const void *code; /* where the kernel makes this access, for messages: an address or */
static Site site_of_access;

/* ---- shadow memory ---- */

struct Shadow {
    const char *first = nullptr;
    size_t size = 0;
    ByteState *state = nullptr;
    Cell *cells = nullptr;
};
static Shadow device_shadow, shared_shadow;

template <typename T> static T *reserve(size_t count)
{
    void *p = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) fail("no address space for the race checker's books");
    return static_cast<T *>(p);
}

static void open_shadow(Shadow *shadow, const void *first, size_t size)
{
    shadow->first = static_cast<const char *>(first);
    shadow->size = size;
    shadow->state = reserve<ByteState>(size);
    shadow->cells = reserve<Cell>(size);
}

/* The window's first block begins with race_remove() of all of it. */
static const Shadow *shadow_of(const void *p)
{
    if (in_device_space(p)) {
        if (!device_shadow.first) open_shadow(&device_shadow, device_space, MAX_DEVICES * DEVICE_SPAN);
        return &device_shadow;
    }
    return in_shared_window(p) ? &shared_shadow : nullptr;
}

static size_t index_in(const Shadow *shadow, const void *p) { return size_t(static_cast<const char *>(p) - shadow->first); }

static void set_state(const void *p, size_t n, ByteState state)
{
    const Shadow *shadow = shadow_of(p);
    if (shadow && n) std::memset(shadow->state + index_in(shadow, p), state, n);
}

void race_add(const void *p, size_t n, bool initialised) { set_state(p, n, initialised ? WRITTEN : FRESH); }

void race_remove(const void *p, size_t n)
{
    if (in_shared_window(p) && !shared_shadow.first) open_shadow(&shared_shadow, p, n);
    set_state(p, n, OUTSIDE);
}

void race_copy_begins(const void *shared, size_t n) { set_state(shared, n, IN_FLIGHT); }
void race_copy_ends(const void *shared, size_t n) { set_state(shared, n, FRESH); }

/* By the device, but by no kernel: ordered with all of them. */
void race_written(const void *p, size_t n) { set_state(p, n, WRITTEN); }

void race_require_written(const char *who, const void *p, size_t n)
{
    const Shadow *shadow = shadow_of(p);
    if (!shadow) return;
    const ByteState *state = shadow->state + index_in(shadow, p);
    for (size_t i = 0; i < n; i++)
        if (state[i] != WRITTEN) fail("%s reads uninitialised device memory at %p (byte %zu of %zu)", who, p, i, n);
}

/* ---- what orders accesses ---- */

/* seen[t][l] = s: what lane l of t's warp did before the warp's s-th __syncwarp() is ordered before what thread t does now. */
static uint16_t seen[1024][32];
static uint16_t syncs[32]; /* how many __syncwarp() each warp has had */

/* Release and acquire over an atomic: until `epoch` everything that the barriers of a block had ordered, and what its thread did. */
struct Release {
    uint32_t block_start, until;
    uint16_t thread;
};
struct Acquire {
    Release release;
    uint32_t epoch; /* for the acquiring thread at once, for the others of its block after the next barrier */
    uint16_t thread;
};
static uint32_t fence_epoch[1024]; /* of each thread's last __threadfence() in this block; 0: none */
static std::map<const void *, std::vector<Release>> &releases = *new std::map<const void *, std::vector<Release>>;
static std::vector<Release> *pending = new std::vector<Release>[1024]; /* read by an atomic, waiting for the fence after it */
static std::vector<Acquire> &acquires = *new std::vector<Acquire>;

void race_begin_launch(int)
{
    launch_start = ++epoch;
    releases.clear();
}

void race_begin_block(unsigned threads)
{
    block_start = ++epoch;
    std::memset(seen, 0, threads * sizeof seen[0]);
    std::memset(syncs, 0, sizeof syncs);
    std::memset(fence_epoch, 0, threads * sizeof fence_epoch[0]);
    for (unsigned t = 0; t < threads; t++) pending[t].clear();
    acquires.clear();
}

void race_block_barrier() { epoch++; }

void race_warp_barrier(unsigned warp, unsigned mask)
{
    uint16_t (*mine)[32] = seen + warp * 32;
    uint16_t joined[32] = {};
    syncs[warp]++;
    for (unsigned m = mask; m; m &= m - 1)
        for (int l = 0; l < 32; l++) joined[l] = std::max(joined[l], mine[__builtin_ctz(m)][l]);
    for (unsigned m = mask; m; m &= m - 1) joined[__builtin_ctz(m)] = syncs[warp];
    for (unsigned m = mask; m; m &= m - 1) std::memcpy(mine[__builtin_ctz(m)], joined, sizeof joined);
}

void race_fence(unsigned thread)
{
    fence_epoch[thread] = epoch;
    for (const Release &release : pending[thread]) acquires.push_back(Acquire{ release, epoch, uint16_t(thread) });
    pending[thread].clear();
}

static bool released_to(unsigned thread, uint32_t when, uint16_t who)
{
    for (const Acquire &acquire : acquires) {
        const Release &r = acquire.release;
        const bool covered = when >= r.block_start && (when < r.until || (when == r.until && who == r.thread));
        if (covered && (epoch > acquire.epoch || acquire.thread == thread)) return true;
    }
    return false;
}

/* Is what thread `who` did in epoch `when`, after `sync` __syncwarp(), ordered before what `thread` does now? */
static bool is_ordered(uint32_t when, uint16_t who, uint16_t sync, unsigned thread, bool shared)
{
    if (when < launch_start || (shared && when < block_start)) return true;
    if (when < block_start) return released_to(thread, when, who);
    if (when < epoch || who == thread) return true;
    if (who / 32u != thread / 32u) return false;
    return int16_t(seen[thread][who % 32] - sync) > 0;
}

/* ---- messages ---- */

static std::string code_place()
{
    char text[512] = "";
    if (site_of_access.file) {
        std::snprintf(text, sizeof text, " at %s:%d", site_of_access.file, site_of_access.line);
        return text;
    }
    if (!code) return "";
#ifdef EMU_ASAN
    __sanitizer_symbolize_pc(const_cast<void *>(code), " at %S", text, sizeof text);
#else
    std::snprintf(text, sizeof text, " at code offset %#zx (addr2line -e PROGRAM)", size_t(static_cast<const char *>(code) - &__ehdr_start - 1));
#endif
    return text;
}

[[noreturn]] static void report(const char *now, const char *before, const void *p, unsigned thread, uint16_t who, uint32_t when)
{
    fail("RACE: %s of %s memory at %p by thread %u, %s by thread %u%s with nothing between that orders them%s", now,
         in_shared_window(p) ? "shared" : "device", p, thread, before, unsigned(who), when < block_start ? " of another block" : "", code_place().c_str());
}

[[noreturn]] static void report_state(const void *p, size_t n, bool write, const ByteState *state)
{
    size_t bad = 0;
    while (bad < n && (state[bad] == WRITTEN || (write && state[bad] == FRESH))) bad++;
    const char *verb = write ? "writes" : "reads";
    const bool shared = in_shared_window(p);
    if (state[bad] == IN_FLIGHT) fail("the kernel %s shared memory at %p while a cp.async into it is in flight%s", verb, p, code_place().c_str());
    if (state[bad] == FRESH)
        fail("the kernel reads uninitialised %s memory at %p (byte %zu of %zu)%s", shared ? "shared" : "device", p, bad, n, code_place().c_str());
    if (shared) fail("the kernel %s %zu bytes at %p, outside the block's shared arrays%s", verb, n, p, code_place().c_str());
    const std::string who = "the kernel" + code_place();
    require_device_range(who.c_str(), p, n, running_device());
    fail("%s: the books of %p are wrong", who.c_str(), p);
}

/* ---- accesses ---- */

static bool all_written(const ByteState *state, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (state[i] != WRITTEN) return false;
    return true;
}

static bool all_writable(const ByteState *state, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (state[i] != WRITTEN && state[i] != FRESH) return false;
    return true;
}

static void note_read(Cell *cell, unsigned thread)
{
    const uint16_t sync = syncs[thread / 32];
    const uint16_t before = cell->reader & THREAD;
    uint16_t flags = 0;
    if (cell->read_epoch >= launch_start && cell->read_epoch < block_start) flags = OTHER_BLOCKS;
    else if (cell->read_epoch >= launch_start) flags = cell->reader & OTHER_BLOCKS;
    if (cell->read_epoch == epoch) {
        flags |= cell->reader & OTHER_WARPS;
        if (before / 32u != thread / 32u) flags |= OTHER_WARPS;
        else if (cell->read_sync == sync) flags |= (cell->reader & OTHER_LANES) | (before != thread ? OTHER_LANES : 0);
    }
    cell->reader = uint16_t(thread) | flags;
    cell->read_sync = sync;
    cell->read_epoch = epoch;
}

/* Did somebody read this without being ordered before a write by `thread` now? */
static bool read_by_others(const Cell *cell, unsigned thread, bool shared)
{
    if (cell->read_epoch < launch_start || (shared && cell->read_epoch < block_start)) return false;
    const uint16_t who = cell->reader & THREAD;
    if (!is_ordered(cell->read_epoch, who, cell->read_sync, thread, shared)) return true;
    if (cell->read_epoch < epoch) return false;
    if (cell->reader & OTHER_WARPS) return true;
    if (!(cell->reader & OTHER_LANES)) return false;
    /* Several lanes at one point: another than us is among them, so a __syncwarp() since must have ordered it. */
    return cell->read_sync == syncs[thread / 32];
}

static void check_cell(Cell *cell, const void *p, bool write, bool atomic, unsigned thread, bool shared)
{
    const uint16_t writer = cell->writer & THREAD;
    const bool both_atomic = atomic && (cell->writer & ATOMIC);
    if (cell->write_epoch && !both_atomic && !is_ordered(cell->write_epoch, writer, cell->write_sync, thread, shared))
        report(atomic ? "atomic" : write ? "write" : "read", "written", p, thread, writer, cell->write_epoch);
    if (!write) {
        note_read(cell, thread);
        return;
    }
    if (cell->read_epoch && read_by_others(cell, thread, shared)) report(atomic ? "atomic" : "write", "read", p, thread, cell->reader & THREAD, cell->read_epoch);
    if (!shared && (cell->reader & OTHER_BLOCKS) && cell->read_epoch >= block_start && acquires.empty())
        report(atomic ? "atomic" : "write", "read", p, thread, cell->reader & THREAD, block_start - 1);
    cell->write_epoch = epoch;
    cell->writer = uint16_t(thread) | (atomic ? ATOMIC : 0);
    cell->write_sync = syncs[thread / 32];
}

static bool same_cell(const Cell &a, const Cell &b) { return std::memcmp(&a, &b, sizeof a) == 0; }

static void access(const void *p, size_t n, bool write, bool atomic, unsigned thread)
{
    const Shadow *shadow = shadow_of(p);
    if (!shadow) return;
    const bool shared = shadow == &shared_shadow;
    ByteState *state = shadow->state + index_in(shadow, p);
    Cell *cells = shadow->cells + index_in(shadow, p);
    if (!(write ? all_writable(state, n) : all_written(state, n))) report_state(p, n, write, state);
    if (!shared && device_shadow.first + size_t(running_device()) * DEVICE_SPAN > p) require_device_range("the kernel", p, n, running_device());
    if (!shared && device_shadow.first + size_t(running_device() + 1) * DEVICE_SPAN <= p) require_device_range("the kernel", p, n, running_device());
    Cell before = cells[0];
    check_cell(&cells[0], p, write, atomic, thread, shared);
    for (size_t i = 1; i < n; i++) {
        if (same_cell(cells[i], before)) { /* the same history, the same answer */
            cells[i] = cells[0];
            continue;
        }
        check_cell(&cells[i], static_cast<const char *>(p) + i, write, atomic, thread, shared);
    }
    if (write) std::memset(state, WRITTEN, n);
}

void race_access(const void *p, size_t n, bool write, unsigned thread, Site site)
{
    site_of_access = site;
    access(p, n, write, false, thread);
    site_of_access = Site{};
}

void race_atomic(const void *p, size_t n, unsigned thread)
{
    const Shadow *shadow = shadow_of(p);
    if (shadow && !all_written(shadow->state + index_in(shadow, p), n)) report_state(p, n, false, shadow->state + index_in(shadow, p));
    access(p, n, true, true, thread);
    std::vector<Release> &word = releases[p];
    pending[thread] = word;
    if (fence_epoch[thread]) word.push_back(Release{ block_start, fence_epoch[thread], uint16_t(thread) });
}

/* ---- what the compiler calls ---- */

static bool in_program(const void *p) { return p >= &__ehdr_start && p < &_end; }

/* Local, device, shared or pinned memory, or a constant of the program. */
static void check_place(const void *p, size_t n, bool write, int thread)
{
    if (in_fiber_stack(p, unsigned(thread))) return;
    if (in_device_space(p) || in_shared_window(p)) {
        access(p, n, write, false, unsigned(thread));
    } else if (in_any_fiber_stack(p)) {
        fail("the kernel %s another thread's local variable%s", write ? "writes" : "reads", code_place().c_str());
    } else if (in_program(p)) {
        if (write) fail("the kernel writes a variable of the host at %p%s", p, code_place().c_str());
    } else if (!is_pinned(p, n)) {
        fail("the kernel %s %p, which is neither device, shared, local nor pinned memory%s", write ? "writes" : "reads", p, code_place().c_str());
    }
}

static void kernel_access(const void *p, size_t n, bool write, const void *where)
{
    const int thread = checked_thread();
    if (thread < 0) return;
    code = where;
    check_place(p, n, write, thread);
    code = nullptr;
}

void race_kernel_access(const void *p, size_t n, bool write, Site site)
{
    const int thread = checked_thread();
    if (thread < 0) return;
    site_of_access = site;
    check_place(p, n, write, thread);
    site_of_access = Site{};
}

static void aligned_access(const void *p, size_t n, bool write, const void *where)
{
    if (reinterpret_cast<uintptr_t>(p) % n && checked_thread() >= 0) {
        code = where;
        fail("the kernel %s %zu bytes at the misaligned address %p%s", write ? "writes" : "reads", n, p, code_place().c_str());
    }
    kernel_access(p, n, write, where);
}

} // namespace emu

bool emu_checks_races(void) { return true; }

#define EMU_CALLBACKS(n)                                                                                                    \
    void __tsan_read##n(void *p) { emu::aligned_access(p, n, false, __builtin_return_address(0)); }                        \
    void __tsan_write##n(void *p) { emu::aligned_access(p, n, true, __builtin_return_address(0)); }                        \
    void __tsan_unaligned_read##n(void *p) { emu::kernel_access(p, n, false, __builtin_return_address(0)); }               \
    void __tsan_unaligned_write##n(void *p) { emu::kernel_access(p, n, true, __builtin_return_address(0)); }               \
    void __tsan_volatile_read##n(void *p) { emu::aligned_access(p, n, false, __builtin_return_address(0)); }               \
    void __tsan_volatile_write##n(void *p) { emu::aligned_access(p, n, true, __builtin_return_address(0)); }               \
    void __tsan_unaligned_volatile_read##n(void *p) { emu::kernel_access(p, n, false, __builtin_return_address(0)); }      \
    void __tsan_unaligned_volatile_write##n(void *p) { emu::kernel_access(p, n, true, __builtin_return_address(0)); }

/* As the compiler declares them for itself. */
extern "C" {
void __tsan_init(void) {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit(void *) {}
void __tsan_vptr_update(void *, void *) {}
void __tsan_vptr_read(void *) {}
void __tsan_read_range(void *p, long n) { emu::kernel_access(p, size_t(n), false, __builtin_return_address(0)); }
void __tsan_write_range(void *p, long n) { emu::kernel_access(p, size_t(n), true, __builtin_return_address(0)); }
EMU_CALLBACKS(1)
EMU_CALLBACKS(2)
EMU_CALLBACKS(4)
EMU_CALLBACKS(8)
EMU_CALLBACKS(16)
}
