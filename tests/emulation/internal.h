/* What the files of the emulation share. Everything here is called with the lock of call.h held. */
#ifndef EMULATION_INTERNAL_H
#define EMULATION_INTERNAL_H

#include "emulated_cuda.h"
#include "emulation.h"

#include <functional>
#include <memory>
#include <string>

#if defined(__SANITIZE_ADDRESS__)
#define EMU_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMU_ASAN 1
#endif
#endif

#ifdef EMU_ASAN
#include <sanitizer/asan_interface.h>
#endif

#define EMU_NO_ASAN __attribute__((no_sanitize("address")))

namespace emu {

/* ---- options.cc ---- */

struct Options {
    emu_order order = EMU_FORWARD;
    emu_streams streams = EMU_LAZY;
    uint64_t seed = 1;
    size_t device_bytes = size_t(256) << 20;
    int devices = 1;
    int major = 9, minor = 0;
    bool register_read_only = true;
};
Options &options();
uint32_t random_below(uint32_t n);
size_t shared_memory_limit(); /* of a block, in bytes: what kernels may opt in to */
emu_counters &counters();

/* ---- memory that may not be touched, for ASan builds; nothing in others ---- */

inline void poison(const void *p, size_t n)
{
#ifdef EMU_ASAN
    __asan_poison_memory_region(p, n);
#else
    static_cast<void>(p);
    static_cast<void>(n);
#endif
}
inline void unpoison(const void *p, size_t n)
{
#ifdef EMU_ASAN
    __asan_unpoison_memory_region(p, n);
#else
    static_cast<void>(p);
    static_cast<void>(n);
#endif
}
/* The first byte of the range that may not be touched, or NULL. */
inline const void *first_poisoned(const void *p, size_t n)
{
#ifdef EMU_ASAN
    return n ? __asan_region_is_poisoned(const_cast<void *>(p), n) : nullptr;
#else
    static_cast<void>(p);
    static_cast<void>(n);
    return nullptr;
#endif
}

/* Like memcpy and memset, but seen by no sanitizer: what the device does is no access of the host thread that happens to do it. */
void raw_copy(void *to, const void *from, size_t n);
void raw_fill(void *to, int value, size_t n);

/* ---- device_memory.cc ---- */

enum { MAX_DEVICES = 4 };
constexpr size_t REDZONE = 256;
constexpr size_t DEVICE_SPAN = size_t(32) << 30; /* address space of a device; addresses are never used twice */

extern char *device_space; /* MAX_DEVICES spans, one after another; NULL before the first allocation */
inline bool in_device_space(const void *p)
{
    const char *address = static_cast<const char *>(p);
    return device_space && address >= device_space && address < device_space + MAX_DEVICES * DEVICE_SPAN;
}
/* The device whose live allocation holds all of the range, or -1. */
int device_of(const void *p, size_t n);
/* Ends the process unless the range is inside one live allocation of `device`. */
void require_device_range(const char *who, const void *p, size_t n, int device);
/* Device memory cannot be reached from outside this; it is shut when the API call returns. */
void open_device(int device);
void shut_devices();

/* ---- host_memory.cc ---- */

/* Pinned or registered, all of it. */
bool is_pinned(const void *p, size_t n);
/* Registered with cudaHostRegisterReadOnly. */
bool is_read_only(const void *p);

/* A copy that is under way and the host memory it reads or writes. */
struct HostAccess {
    const char *at;
    size_t size;
    bool write;
    bool hashed;
    uint64_t hash;
};
/* Rules for the host while a copy is in flight: what is written may not be looked at, what is read may not change. */
std::shared_ptr<HostAccess> begin_host_access(const void *p, size_t n, bool write);
void end_host_access(const std::shared_ptr<HostAccess> &access);

/* ---- shared_memory.cc ---- */

bool in_shared_window(const void *p);
void begin_block_shared(size_t dynamic_bytes);

/* ---- scheduler.cc ---- */

bool in_kernel();
/* Linear index of the thread whose memory accesses are the kernel's at this moment, or -1. */
int checked_thread();
uint64_t block_serial();           /* of the running block, over all launches; 0 before the first */
void run_blocks(const Launch &launch, int device);
int running_device();
std::string where_in_kernel(); /* " in block (..) thread (..)", or nothing outside a kernel */

/* A thread's copies in flight: one queue per thread of a block. */
void begin_block_copies(unsigned threads);
bool copies_in_flight(unsigned thread);
unsigned running_thread();
/* An access that the emulation makes in the name of a thread: bounds, initialisation and races, like one of the kernel's own. */
void check_access(const void *p, size_t n, bool write, unsigned thread, Site site);

/* ---- race.cc, or race_off.cc, which does nothing ---- */

void race_begin_launch(int device);
void race_begin_block(unsigned threads);
void race_block_barrier();
void race_warp_barrier(unsigned warp, unsigned mask);
void race_fence(unsigned thread);
/* Memory comes and goes; `initialised` is false for fresh memory. */
void race_add(const void *p, size_t n, bool initialised);
void race_remove(const void *p, size_t n);
/* Written by a copy, a fill or a library. */
void race_written(const void *p, size_t n);
/* Read by a copy or a library: ends the process if a byte was never written. */
void race_require_written(const char *who, const void *p, size_t n);
void race_copy_begins(const void *shared, size_t n); /* until it has ended, reading there is an error */
void race_copy_ends(const void *shared, size_t n);
void race_kernel_access(const void *p, size_t n, bool write, Site site); /* by the running thread, wherever p points */
void race_access(const void *p, size_t n, bool write, unsigned thread, Site site);
void race_atomic(const void *p, size_t n, unsigned thread);

/* ---- stream.cc ---- */

/* Work for a stream. begin() is called when it is handed over (for a graph: at each launch) and returns what to do when its turn comes. */
typedef std::function<void()> Work;
struct Operation {
    const char *what = "";
    std::function<Work()> begin;
    bool host_function = false;
};
inline Operation operation(const char *what, Work run)
{
    return Operation{ what, [run] { return run; }, false };
}

/* Hands work to a stream, or to the graph that it captures. */
cudaError_t enqueue(cudaStream_t stream, Operation op);
cudaError_t stream_device(cudaStream_t stream, int *device);
bool stream_is_capturing(cudaStream_t stream);
void drain_stream(cudaStream_t stream);
void drain_device(int device);
/* True if a capture that is under way does not allow what the calling thread asks for (cudaStreamCaptureMode); the capture is then void.
 * `waits`: the call waits for the device, which no mode allows while one of its streams captures. */
bool capture_forbids(bool waits);

} // namespace emu

void device_memory_live(emu_live *out);
void host_memory_live(emu_live *out);
void streams_live(emu_live *out);
void events_live(emu_live *out);
void graphs_live(emu_live *out);
void blas_live(emu_live *out);

#endif
