#include "api/backends.h"

#include "core/options.h"
#include "cpu/cpu.h"

#include <stdio.h>
#include <string.h>

cuddle_status cud_backend_open(backend **out, cuddle_device_kind *kind, const char *device, int cpu_threads, const char *backend_dir,
                               cuddle_error *err)
{
    (void)backend_dir; /* where the CUDA module is looked for, once there is one */
    *out = NULL;
    *kind = CUDDLE_DEVICE_CPU;
    if (!device || strcmp(device, "auto") == 0 || strcmp(device, "cpu") == 0) {
        const cud_cpu_options options = { .threads = cpu_threads, .onednn = true };
        return cud_cpu_backend_new(out, &options, err);
    }
    if (strcmp(device, "cuda") == 0 || strncmp(device, "cuda:", 5) == 0)
        return cud_fail(err, CUDDLE_E_DEVICE, "device \"%s\": this build has no CUDA backend", device);
    return cud_fail(err, CUDDLE_E_ARG, "device is \"%s\", expected auto, cpu, cuda or cuda:N", device);
}

uint64_t cud_backend_free_memory(const backend *b)
{
    (void)b; /* the CPU's memory is the machine's */
    uint64_t total = 0, available = 0;
    cud_cpu_memory(&total, &available);
    return available;
}

/* ------------------------------------------------------------------------------------------------------ the library */

const char *cuddle_version(void)
{
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
    return TEXT(CUDDLE_VERSION_MAJOR) "." TEXT(CUDDLE_VERSION_MINOR) "." TEXT(CUDDLE_VERSION_PATCH);
}

int cuddle_abi(void) { return CUDDLE_ABI; }

const char *cuddle_features(void)
{
    /* Static storage without state: one string per outcome. */
    const char *isa = cud_cpu_isa();
#if CUD_HAVE_ONEDNN
#define ONEDNN "onednn=on "
#else
#define ONEDNN "onednn=off "
#endif
    if (strcmp(isa, "avx512-bf16") == 0) return ONEDNN "cuda=off hub=off isa=avx512-bf16";
    if (strcmp(isa, "avx512") == 0) return ONEDNN "cuda=off hub=off isa=avx512";
    if (strcmp(isa, "avx2") == 0) return ONEDNN "cuda=off hub=off isa=avx2";
    return ONEDNN "cuda=off hub=off isa=portable";
}

int cuddle_device_count(void) { return 1; }

cuddle_status cuddle_device_get(int device, cuddle_device_info *out, cuddle_error *err)
{
    cud_error_clear(err);
    if (!out) return cud_fail(err, CUDDLE_E_ARG, "cuddle_device_get: out is NULL");
    if (device != 0) return cud_fail(err, CUDDLE_E_ARG, "there is no device %d, the last is 0", device);
    cuddle_device_info info = { .kind = CUDDLE_DEVICE_CPU, .threads = cud_cpu_threads_available() };
    cud_cpu_memory(&info.memory_total, &info.memory_free);
    cud_cpu_model_name(info.name, sizeof info.name);
    snprintf(info.isa, sizeof info.isa, "%s", cud_cpu_isa());
    return cud_result_copy(out, &info, sizeof info, "cuddle_device_info", err);
}

cuddle_status cuddle_probe_bandwidth(double *gb_per_s, size_t bytes, int passes, int threads, cuddle_error *err)
{
    cud_error_clear(err);
    if (!gb_per_s) return cud_fail(err, CUDDLE_E_ARG, "cuddle_probe_bandwidth: gb_per_s is NULL");
    *gb_per_s = 0;
    if (bytes < 4096 || passes < 1 || threads < 0)
        return cud_fail(err, CUDDLE_E_ARG, "cuddle_probe_bandwidth: %zu bytes, %d passes and %d threads, expected at least 4096, 1 and 0", bytes,
                        passes, threads);
    return cud_cpu_probe_bandwidth(gb_per_s, bytes, passes, threads, err);
}
