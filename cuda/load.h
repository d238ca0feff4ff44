/* The loader: carries out a load plan on a device. load.c decides, the other load_*.c do one thing each.
 *
 *   load_chunks   the plan as parts of files that fit into a slot
 *   load_read     one such part from disk into host memory
 *   load_ring     reader threads with two page-locked slots each: read, copy, read the next meanwhile
 *   load_register windows of a mapped file, page-locked where they lie and copied from there
 *   load_threads  the threads of either, progress, cancelling, the first failure
 *   load_fence    which layers have arrived
 *   load_copy     what is asked of a device */
#ifndef CUD_CUDA_LOAD_H
#define CUD_CUDA_LOAD_H

#include "core/clock.h"
#include "load_chunks.h"
#include "load_copy.h"
#include "load_fence.h"
#include "load_read.h"

#include <pthread.h>
#include <sched.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOAD_READERS_MOST = 64, LOAD_SLOTS = 2 /* of a reader */ };
enum { LOAD_MODES = 1 << CUDDLE_LOAD_RING | 1 << CUDDLE_LOAD_REGISTER }; /* backend.load_modes */

typedef struct loader_settings {
    int readers;         /* 0: eight, but no more than two less than the cores that this process may use */
    size_t slot_bytes;   /* a multiple of LOAD_SECTOR, at least four of them */
    size_t window_bytes; /* of a file, registered at once; a multiple of the page size */
    uint64_t trial_part; /* auto tries both ways if each try is at most one part in so many of the bytes */
} loader_settings;
extern const loader_settings cud_cuda_loader_defaults; /* 4 MiB slots, so 64 MiB with eight readers; windows of 64 MiB */

typedef struct loader {
    const copy_device *device;
    const loader_settings *settings;
    const load_plan *plan;
    char *arena;
    chunk_plan chunks;
    load_file *file; /* [chunks.files] */
    load_tally tally;
    int readers;
    bool binds; /* threads of ours to `cpus`, those near the device */
    cpu_set_t cpus;
    load_progress_fn progress; /* only called by the thread that loads */
    void *user;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    uint64_t done, shown; /* bytes that arrived; that `progress` was told of */
    int active;           /* threads at work */
    bool stop;
    cuddle_error failure; /* the first */
} loader;

/* Copies every piece of the plan to the arena, as op_table.load promises. */
cuddle_status cud_cuda_load_with(const copy_device *device, const loader_settings *settings, void *arena, const load_plan *plan,
                                 load_progress_fn progress, void *user, cuddle_error *err);

/* ---- load_threads.c ---- */

/* Runs `fn` in up to `threads` threads at once and tells the caller's progress function meanwhile. Returns when all have ended: false if
 * the load is to stop. */
typedef void (*loader_fn)(loader *l, int thread, void *argument);
bool cud_cuda_loader_run(loader *l, int threads, loader_fn fn, void *argument);
/* Tells the progress function how far things are; false if the load is to stop. */
bool cud_cuda_loader_show(loader *l);
/* Any thread: */
void cud_cuda_loader_fail(loader *l, const cuddle_error *failure);
bool cud_cuda_loader_stopped(loader *l);
/* The next number below `end`; false if there is none or the load is to stop. *next is guarded by the lock. */
bool cud_cuda_loader_take(loader *l, size_t *next, size_t end, size_t *out);
void cud_cuda_loader_arrived(loader *l, load_chunk *chunk);
/* False, and a failure that says what could not be done to the device, unless code is 0. `chunk` may be NULL. */
bool cud_cuda_loader_check(loader *l, int code, const char *what, const load_chunk *chunk);
/* Hands all copies of a chunk to a stream. `memory` is its first byte, rows as in the slot. */
bool cud_cuda_loader_copy(loader *l, const load_chunk *chunk, const char *memory, void *stream);

/* ---- load_place.c ---- */

int cud_cuda_cores(void); /* that this thread may use */
/* The cores of that node which this thread may use; false if that is not known, or none. */
bool cud_cuda_cores_near(cpu_set_t *out, int numa_node);

/* ---- load_ring.c ---- */

typedef struct load_ring {
    int readers;
    char *memory; /* LOAD_SLOTS slots per reader */
    size_t bytes;
    bool is_mapped;     /* by us; else it is the device's */
    size_t segment;     /* registered piece by piece, so many bytes each; 0: not registered */
    size_t segment_end; /* bytes that are */
    bool pinned;
} load_ring;

/* Memory for `readers` readers, page-locked as well as can be. The ring is zeroed memory. */
bool cud_cuda_ring_open(loader *l, load_ring *ring, int readers);
void cud_cuda_ring_close(loader *l, load_ring *ring);
/* Loads the chunks with these numbers. */
bool cud_cuda_ring_load(loader *l, load_ring *ring, const size_t *chunks, size_t count);
/* Best of a few copies of page-locked memory into the arena, before anything is there; 0 if that cannot be measured. GB/s. */
double cud_cuda_ring_ceiling(loader *l, const load_ring *ring);

/* ---- load_register.c ---- */

typedef struct load_window {
    size_t first, count; /* chunks */
    uint64_t offset;     /* in the file: a multiple of the page size */
    size_t bytes;
    uint64_t payload;
} load_window;

/* Those chunks that can be copied from a mapped file. *out is to be freed; CUDDLE_E_NOMEM goes to the loader's failure. */
bool cud_cuda_windows_make(loader *l, load_window **out, size_t *count);
/* Loads windows until one cannot be registered; false if the load is to stop. Chunks that have not arrived are the ring's. */
bool cud_cuda_windows_load(loader *l, const load_window *windows, size_t count, bool *refused);

#ifdef __cplusplus
}
#endif
#endif
