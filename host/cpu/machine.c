/* Threads, memory and instruction sets of this machine, as far as this process may use them. */
#include "machine.h"
#include "pool.h"

#include "core/clock.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* ---------------------------------------------------------------------------------------------------- small files */

/* The beginning of a small file of the kernel's as a string; false if it cannot be read. */
static bool read_text(const char *path, char *out, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t used = 0;
    while (used < size - 1) {
        const ssize_t got = read(fd, out + used, size - 1 - used);
        if (got <= 0) break;
        used += (size_t)got;
    }
    close(fd);
    out[used] = 0;
    return used > 0;
}

/* The number after `key` in a text of "key value" lines. */
static bool find_number(const char *text, const char *key, uint64_t *out)
{
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, key, strlen(key)) == 0) return sscanf(line + strlen(key), "%llu", (unsigned long long *)out) == 1;
    }
    return false;
}

/* -------------------------------------------------------------------------------------------------------- cgroups */

/* Calls visit for the directory of this process's group in one controller and for all above it: every one of them limits. */
static void for_groups(const char *controller, const char *mount, void (*visit)(const char *directory, void *arg), void *arg)
{
    char text[8192], path[4096 + 64];
    if (!read_text("/proc/self/cgroup", text, sizeof text)) return;
    char *rest = NULL, *names, *group;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (!(names = strchr(line, ':')) || !(group = strchr(names + 1, ':'))) continue;
        *names++ = 0;
        *group++ = 0;
        bool mine = *names == 0 && *controller == 0; /* version 2: "0::/path" */
        for (char *name = names; *controller && name; name = strchr(name, ',')) {
            if (*name == ',') name++;
            const size_t length = strcspn(name, ",");
            if (length == strlen(controller) && strncmp(name, controller, length) == 0) mine = true;
        }
        if (!mine || strlen(group) > 4000) continue;
        for (char *end = group + strlen(group);; end = strrchr(group, '/')) {
            if (!end) break;
            *end = 0;
            snprintf(path, sizeof path, "%s%s", mount, group);
            visit(path, arg);
            if (*group == 0) break;
        }
        return;
    }
}

static bool read_group_file(const char *directory, const char *name, char *out, size_t size)
{
    char path[4096 + 128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return read_text(path, out, size);
}

static void note_quota_v2(const char *directory, void *arg)
{
    char text[128];
    long long quota, period;
    double *cpus = arg;
    if (!read_group_file(directory, "cpu.max", text, sizeof text)) return; /* "max 100000" or "150000 100000" */
    if (sscanf(text, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0 && (double)quota / (double)period < *cpus)
        *cpus = (double)quota / (double)period;
}

static void note_quota_v1(const char *directory, void *arg)
{
    char quota_text[64], period_text[64];
    double *cpus = arg;
    if (!read_group_file(directory, "cpu.cfs_quota_us", quota_text, sizeof quota_text) ||
        !read_group_file(directory, "cpu.cfs_period_us", period_text, sizeof period_text))
        return;
    const double quota = (double)strtoll(quota_text, NULL, 10), period = (double)strtoll(period_text, NULL, 10);
    if (quota > 0 && period > 0 && quota / period < *cpus) *cpus = quota / period;
}

typedef struct memory_bounds { uint64_t total, available; } memory_bounds;

/* A group of `limit` bytes of which `used` are taken, `cache` of these by pages that can be dropped. */
static void note_limit(memory_bounds *m, uint64_t limit, uint64_t used, uint64_t cache)
{
    if (limit < m->total) m->total = limit;
    used -= cache < used ? cache : used;
    const uint64_t left = used < limit ? limit - used : 0;
    if (left < m->available) m->available = left;
}

static void note_memory(const char *directory, const char *limit_name, const char *used_name, const char *cache_key, memory_bounds *m)
{
    char text[16384];
    uint64_t used = 0, cache = 0;
    if (!read_group_file(directory, limit_name, text, sizeof text) || text[0] < '0' || text[0] > '9') return; /* "max" */
    const uint64_t limit = strtoull(text, NULL, 10);
    if (limit == 0) return;
    if (read_group_file(directory, used_name, text, sizeof text)) used = strtoull(text, NULL, 10);
    if (read_group_file(directory, "memory.stat", text, sizeof text)) (void)find_number(text, cache_key, &cache);
    note_limit(m, limit, used, cache);
}

static void note_memory_v2(const char *directory, void *arg)
{
    note_memory(directory, "memory.max", "memory.current", "inactive_file ", arg);
}

static void note_memory_v1(const char *directory, void *arg)
{
    note_memory(directory, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ", arg);
}

/* ---------------------------------------------------------------------------------------------- threads and memory */

int cud_cpu_threads_available(void)
{
    cpu_set_t set;
    long count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    double cpus = 1e9;
    for_groups("", "/sys/fs/cgroup", note_quota_v2, &cpus);
    for_groups("cpu", "/sys/fs/cgroup/cpu", note_quota_v1, &cpus);
    if ((double)count > cpus) count = (long)cpus;
    return count < 1 ? 1 : count > CPU_MAX_THREADS ? CPU_MAX_THREADS : (int)count;
}

void cud_cpu_memory(uint64_t *total, uint64_t *available)
{
    char text[4096];
    memory_bounds m = { UINT64_MAX, UINT64_MAX };
    uint64_t kib;
    if (read_text("/proc/meminfo", text, sizeof text)) {
        if (find_number(text, "MemTotal:", &kib)) m.total = kib * 1024;
        if (find_number(text, "MemAvailable:", &kib)) m.available = kib * 1024;
    }
    for_groups("", "/sys/fs/cgroup", note_memory_v2, &m);
    for_groups("memory", "/sys/fs/cgroup/memory", note_memory_v1, &m);
    if (m.total == UINT64_MAX) { /* no /proc */
        const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
        m.total = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
    }
    if (m.available > m.total) m.available = m.total;
    *total = m.total;
    *available = m.available;
}

void cud_cpu_model_name(char *out, size_t size)
{
    char text[4096];
    snprintf(out, size, "CPU");
    if (!read_text("/proc/cpuinfo", text, sizeof text)) return;
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

typedef struct probe { const uint64_t *data; size_t count; int parts; uint64_t sum[CPU_MAX_THREADS]; } probe;

static void read_part(void *arg, int part, int thread)
{
    probe *p = arg;
    (void)thread;
    const uint64_t *data = p->data + p->count / (size_t)p->parts * (size_t)part;
    const size_t count = p->count / (size_t)p->parts;
    uint64_t sum[8] = { 0 };
    for (size_t i = 0; i + 8 <= count; i += 8)
        for (int j = 0; j < 8; j++) sum[j] += data[i + (size_t)j];
    for (int j = 1; j < 8; j++) sum[0] += sum[j];
    p->sum[part] = sum[0]; /* or nothing would be read */
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
        p->count = bytes / sizeof(uint64_t);
        p->parts = threads;
        for (int i = 0; i < passes; i++) {
            const double start = cud_now();
            cud_pool_run(workers, read_part, p, threads);
            const double rate = (double)(p->count / (size_t)threads * (size_t)threads * sizeof(uint64_t)) / (cud_now() - start) / 1e9;
            if (rate > *gb_per_s) *gb_per_s = rate;
        }
    }
    cud_pool_free(workers);
    free(p);
    free(data);
    return status;
}
