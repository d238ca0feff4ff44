/* Threads, memory and instruction sets of this machine, as far as this process may use them. */
#include "machine.h"
#include "cgroup.h"
#include "pool.h"
#include "small_file.h"

#include "core/clock.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* ---------------------------------------------------------------------------------------------- threads and memory */

int cud_cpu_threads_available(void)
{
    cpu_set_t set[16]; /* one holds 1024 processors, and a kernel that knows more refuses to fill it */
    long count = sched_getaffinity(0, sizeof set, set) == 0 ? CPU_COUNT_S(sizeof set, set) : sysconf(_SC_NPROCESSORS_ONLN);
    const double cpus = cud_cgroup_cpus("");
    if ((double)count > cpus) count = (long)cpus;
    return count < 1 ? 1 : count > CPU_MAX_THREADS ? CPU_MAX_THREADS : (int)count;
}

void cud_cpu_memory(uint64_t *total, uint64_t *available)
{
    char text[4096];
    uint64_t kib;
    *total = *available = UINT64_MAX;
    if (cud_small_file("/proc/meminfo", text, sizeof text)) {
        if (cud_small_file_number(text, "MemTotal:", &kib)) *total = kib * 1024;
        if (cud_small_file_number(text, "MemAvailable:", &kib)) *available = kib * 1024;
    }
    cud_cgroup_memory("", total, available);
    if (*total == UINT64_MAX) { /* no /proc */
        const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
        *total = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
    }
    if (*available > *total) *available = *total;
}

void cud_cpu_model_name(char *out, size_t size)
{
    char text[4096];
    snprintf(out, size, "CPU");
    if (!cud_small_file("/proc/cpuinfo", text, sizeof text)) return;
    char *name = strstr(text, "model name");
    char *colon = name ? strchr(name, ':') : NULL;
    if (!colon) return;
    colon += 1 + strspn(colon + 1, " \t");
    snprintf(out, size, "%.*s", (int)strcspn(colon, "\n"), colon);
}

/* ------------------------------------------------------------------------------------------------ instruction sets */

static const char *const isa_names[ISA_COUNT] = { "portable", "avx2", "avx512", "avx512-bf16" };

const char *cud_cpu_isa_name(cpu_isa isa) { return isa_names[isa]; }

cpu_isa cud_cpu_parse_isa(const char *name)
{
    int isa = 0;
    while (isa < ISA_COUNT && strcmp(name, isa_names[isa]) != 0) isa++;
    return (cpu_isa)isa;
}

#if defined(__x86_64__)
/* Half-precision conversions; the system's support for their registers comes with AVX2's. clang 14 does not know the name "f16c". */
static bool has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

cpu_isa cud_cpu_best_isa(void)
{
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c()) return ISA_PORTABLE;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl") ||
        !__builtin_cpu_supports("avx512dq"))
        return ISA_AVX2;
    return __builtin_cpu_supports("avx512bf16") ? ISA_AVX512_BF16 : ISA_AVX512;
#else
    return ISA_PORTABLE;
#endif
}

const char *cud_cpu_isa(void) { return isa_names[cud_cpu_best_isa()]; }

/* ------------------------------------------------------------------------------------------------------- bandwidth */

typedef struct probe { const char *data; size_t bytes; bool ahead; int parts; uint64_t sum[CPU_MAX_THREADS]; } probe;

uint64_t cud_cpu_read_memory(const void *data, size_t bytes, bool ahead)
{
    enum { AHEAD = 4096 }; /* one small page: where the machine's prefetcher would begin anew */
    const uint64_t *words = data;
    uint64_t sum[8] = { 0 };
    for (size_t i = 0; i + 8 <= bytes / sizeof *words; i += 8) {
        if (ahead) __builtin_prefetch((const void *)((uintptr_t)(words + i) + AHEAD), 0, 2);
        for (int j = 0; j < 8; j++) sum[j] += words[i + (size_t)j];
    }
    for (int j = 1; j < 8; j++) sum[0] += sum[j];
    return sum[0];
}

static void read_part(void *arg, int part, int thread)
{
    probe *p = arg;
    (void)thread;
    const size_t bytes = p->bytes / (size_t)p->parts / 64 * 64;
    p->sum[part] = cud_cpu_read_memory(p->data + bytes * (size_t)part, bytes, p->ahead); /* kept, or nothing would be read */
}

cuddle_status cud_cpu_probe_bandwidth(double *gb_per_s, size_t bytes, int passes, int threads, cuddle_error *err)
{
    *gb_per_s = 0;
    if (threads == 0) threads = cud_cpu_threads_available();
    if (threads < 1 || threads > CPU_MAX_THREADS || passes < 1 || bytes < (size_t)64 * (size_t)threads || bytes > SIZE_MAX / 2)
        return cud_fail(err, CUDDLE_E_ARG, "a probe of %zu bytes, %d passes and %d threads", bytes, passes, threads);
    void *data = NULL;
    if (posix_memalign(&data, (size_t)2 << 20, bytes) != 0) return cud_nomem(err, bytes, "the bandwidth probe");
    (void)madvise(data, bytes, MADV_HUGEPAGE);
    probe *p = calloc(1, sizeof *p);
    pool *workers = NULL;
    cuddle_status status = p ? CUDDLE_OK : cud_nomem(err, sizeof *p, "the bandwidth probe");
    if (status == CUDDLE_OK) status = cud_pool_new(&workers, threads, err);
    if (status == CUDDLE_OK) {
        memset(data, 1, bytes); /* pages that exist */
        p->data = data;
        p->bytes = bytes;
        p->parts = threads;
        for (int i = 0; i < passes; i++) {
            p->ahead = i % 2 != 0; /* which is faster depends on the machine */
            const double start = cud_now();
            cud_pool_run(workers, read_part, p, threads);
            const double rate = (double)(bytes / (size_t)threads / 64 * 64 * (size_t)threads) / (cud_now() - start) / 1e9;
            if (rate > *gb_per_s) *gb_per_s = rate;
        }
    }
    cud_pool_free(workers);
    free(p);
    free(data);
    return status;
}
