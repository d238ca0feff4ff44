/* What tests of the loader share: sources and random plans with their right answer, a progress function that checks its caller, and the
 * machine's obstacles, for which a program is linked with --wrap=preadv2,open,fstatfs,mmap,munmap,madvise,pthread_create beside those of support.h. */
#ifndef CUD_TESTS_LOAD_FIXTURE_H
#define CUD_TESTS_LOAD_FIXTURE_H

#include "core/load.h"
#include "support.h"

#include <pthread.h>

typedef enum resident_fault { RESIDENT_AS_IS, RESIDENT_UNKNOWN, RESIDENT_NOTHING, RESIDENT_HALF } resident_fault;

typedef struct load_faults {
    resident_fault resident; /* what reads that may not wait answer */
    unsigned file_system;    /* that files seem to be on; 0: a disk's */
    bool no_direct;          /* O_DIRECT cannot be opened */
    bool direct_refuses;     /* it can, but not read */
    bool no_populate;        /* the kernel does not know MADV_POPULATE_READ */
    long mmap_fails_at, thread_fails_at;
    long mmaps, threads; /* counted */
    long mapped;         /* that are not unmapped yet */
} load_faults;
extern load_faults faults;
void reset_faults(void); /* those of support.h too */
int open_descriptors(void);

uint64_t any(uint64_t below); /* pseudo-random */

enum { SOURCES = 4 };

typedef struct fixture {
    unsigned char *bytes[SOURCES]; /* two files, memory, and a source that is neither */
    size_t size[SOURCES];
    source *from[SOURCES];
    source plain; /* from[3] */
    load_plan plan;
    load_report report;
    char *arena, *expected;
} fixture;

/* Sources of about `scale` bytes and an empty plan. */
void fixture_open(fixture *f, uint64_t seed, size_t scale);
/* A plan on which every way is surely taken, with its arena. */
void fixture_open_large(fixture *f);
void fixture_close(fixture *f);
const char *fixture_file(int i); /* path of file 0 or 1 */
void fixture_add(fixture *f, int from, uint64_t offset, uint64_t rows, uint64_t row_bytes, uint64_t src_pitch, uint64_t dst_pitch, int layer);
void fixture_add_random(fixture *f, int pieces);
/* Once the plan is complete: an arena, and what it is to be. */
void fixture_make_arena(fixture *f);
void fixture_check(const fixture *f, const char *name);

/* A progress function: called by one thread, never backwards. */
typedef struct watcher {
    pthread_t loading;
    uint64_t done;
    int calls, stop_after;
    const char *truncate; /* at call truncate_at */
    int truncate_at;
    const char *touch; /* at the last call */
    const char *grow, *replace; /* at the first */
} watcher;
bool watch(uint64_t done, uint64_t total, void *user);

#endif
