/* What tests ask of the emulation: schedules, faults, limits, counters. C and C++.
 *
 * The environment sets the same things for a whole process:
 *   CUDDLE_EMU_ORDER=forward|reverse|random    which thread and which block goes first
 *   CUDDLE_EMU_STREAMS=lazy|eager|random       when a stream's work is done: as late as may be, at once, or any time between
 *   CUDDLE_EMU_SEED=n                          of both kinds of random; printed when something fails
 *   CUDDLE_EMU_MEMORY_MB=n                     of each device (256)
 *   CUDDLE_EMU_FAIL=name:nth[:error],...       like emu_fail_call()
 *   CUDDLE_EMU_LAUNCH_LOG=path                 appended at exit: executable, offset and count of every kernel launched
 * A broken rule ends the process with exit code 86 and a sentence on stderr that begins with "emulation:". */
#ifndef EMULATION_H
#define EMULATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { EMU_EXIT_CODE = 86 };

typedef enum emu_order { EMU_FORWARD, EMU_REVERSE, EMU_RANDOM_ORDER } emu_order;
typedef enum emu_streams { EMU_LAZY, EMU_EAGER, EMU_RANDOM_STREAMS } emu_streams;

/* Only while nothing is under way. */
void emu_set_schedule(emu_order order, emu_streams streams, uint64_t seed);

/* ---- the machine; set before the first CUDA call that depends on it ---- */
void emu_set_devices(int count); /* 0 to 4; 1 if never called */
void emu_set_device_memory(size_t bytes);
void emu_set_compute_capability(int major, int minor);
void emu_set_register_read_only(bool supported);
/* The current device's next allocation lies this much further behind the last (32 GiB in all), at no cost: for offsets of 2^31 elements. */
void emu_skip_addresses(size_t bytes);

/* ---- faults ---- */

/* The nth call from now on (1 = the next) of the function called `name` ("cudaMalloc", "cublasLtMatmul", "dlopen"; "*": of any) returns
 * `error` and does nothing. A sticky one is returned by every later call on that device too. nth = 0 takes it back. Returns how many calls
 * of that name were counted since the last emu_fail_call() for it. */
long emu_fail_call(const char *name, int nth, int error, bool sticky);
/* The nth kernel to run from now on does nothing and ends its device with the sticky `error`, which later calls report. */
void emu_fail_kernel(int nth, int error);
/* As if the process had started afresh on this device: the sticky error is gone. What lives on it stays. */
void emu_clear_errors(void);

/* ---- what happened ---- */

/* Is the race checker linked in? */
bool emu_checks_races(void);

typedef struct emu_counters {
    uint64_t launches, blocks, threads, switches, collectives, barriers;
    uint64_t copies, pageable_copies, default_stream_calls, graph_launches, matmuls;
    uint64_t device_allocations, pinned_allocations; /* calls that succeeded */
} emu_counters;
void emu_counters_get(emu_counters *out);

/* What has not been given back. */
typedef struct emu_live {
    size_t device_bytes, pinned_bytes, registered_bytes;
    int device_allocations, streams, events, graphs, graph_execs, blas_objects;
} emu_live;
void emu_live_get(emu_live *out);

#ifdef __cplusplus
}
#endif
#endif
