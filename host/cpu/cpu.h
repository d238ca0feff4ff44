/* The CPU backend: what api/backends.c and the tests use of it. */
#ifndef CUD_CPU_CPU_H
#define CUD_CPU_CPU_H

#include "core/ops.h"

/* Threads this process may run at once: the smaller of its affinity mask and its cgroup's CPU quota, at least 1. */
int cud_cpu_threads_available(void);
/* Bytes of memory: of the machine or the cgroup's limit, whichever is smaller; what is free of it now. */
void cud_cpu_memory(uint64_t *total, uint64_t *available);
/* The best instruction set this machine has and this build knows: "avx512-bf16", "avx512", "avx2" or "portable". Static storage. */
const char *cud_cpu_isa(void);
/* "2.6.3", or NULL if built without oneDNN. Static storage. */
const char *cud_cpu_onednn_version(void);
/* The processor's name, cut to fit. */
void cud_cpu_model_name(char *out, size_t size);
/* Best of `passes` read-only passes over `bytes` bytes with `threads` threads, in 1e9 bytes per second. */
cuddle_status cud_cpu_probe_bandwidth(double *gb_per_s, size_t bytes, int passes, int threads, cuddle_error *err);

typedef struct cud_cpu_options {
    int threads;      /* the calling thread included; 0: cud_cpu_threads_available() */
    const char *isa;  /* NULL: the best there is; a name above forces a lesser one (tests) */
    bool onednn;      /* use it where it is built in and the exec is not deterministic or it keeps the contract */
} cud_cpu_options;

/* Release with (*out)->ops->destroy(*out). One exec at a time runs on it. */
cuddle_status cud_cpu_backend_new(backend **out, const cud_cpu_options *options, cuddle_error *err);

#endif
