/* A device for the loader that is the host's own memory: copies happen later, by a thread per stream or when somebody waits, and any call
 * can be made to fail. It complains about what a real device would not forgive: a pinned range that goes while a copy reads it, a copy
 * beyond the arena, and anything that is not given back. */
#ifndef CUD_TESTS_LOAD_DEVICE_H
#define CUD_TESTS_LOAD_DEVICE_H

#include "load_copy.h"

#include <pthread.h>
#include <stdint.h>

typedef enum host_call {
    HOST_USE, HOST_PIN, HOST_PIN_FILE, HOST_UNPIN, HOST_ALLOC, HOST_FREE, HOST_STREAM, HOST_STREAM_WAIT, HOST_STREAM_FREE, HOST_EVENT, HOST_RECORD,
    HOST_EVENT_WAIT, HOST_PASSED, HOST_EVENT_FREE, HOST_COPY, HOST_CALLS
} host_call;

enum { HOST_PINS = 256, HOST_FAILED = 7 };

typedef struct host_pin {
    char *at;
    size_t bytes;
    int reading; /* copies in flight */
} host_pin;

typedef struct host_device {
    copy_device base;
    bool threaded; /* each stream has a thread; else work is done when it is waited for */
    int delay_us;  /* of a threaded copy, at most */
    char *arena;
    size_t arena_bytes;

    /* faults */
    long fail_at;               /* the n-th call of any kind */
    unsigned fail_kinds;        /* these kinds, always: 1 << host_call */
    size_t pin_most;            /* larger ranges cannot be pinned; 0: any */
    long pin_files;             /* so many windows of files can, then no more; -1: any */

    pthread_mutex_t lock; /* guards what follows */
    long calls, kind_calls[HOST_CALLS], pageable;
    host_pin pin[HOST_PINS];
    int pins, streams, events, allocations;
    size_t pinned, pinned_peak; /* bytes */
    char complaint[160]; /* the first */
} host_device;

void host_device_open(host_device *d, bool threaded);
/* Empty, or what was done wrong, leaks included. */
const char *host_device_close(host_device *d);

#endif
