#include "api/backends.h"

#include "core/options.h"
#include "cpu/cpu.h"
#include "cuda/module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------------------------- the CUDA module */

/* Path of the module: in `directory`, or beside the file this code was linked into. False if it cannot be told. */
static bool module_path(char *out, size_t size, const char *directory)
{
    if (directory) return (size_t)snprintf(out, size, "%s/libcuddle-cuda.so", directory) < size;
    static const char here = 0; /* an address inside the library */
    Dl_info self;
    if (!dladdr(&here, &self) || !self.dli_fname) return false;
    const char *slash = strrchr(self.dli_fname, '/');
    const int length = slash ? (int)(slash - self.dli_fname) : 1;
    return (size_t)snprintf(out, size, "%.*s/libcuddle-cuda.so", length, slash ? self.dli_fname : ".") < size;
}

/* The module stays loaded: the CUDA runtime inside it must not be unloaded while its threads live. dlopen() counts, so it is found again. */
static const cuda_module *open_module(const char *directory, cuddle_error *err)
{
    char path[4096];
    if (!module_path(path, sizeof path, directory)) {
        cud_fail(err, CUDDLE_E_DEVICE, "the CUDA module: the library's own folder is not known; name it with backend_dir");
        return NULL;
    }
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        cud_fail(err, CUDDLE_E_DEVICE, "the CUDA module cannot be opened: %s", dlerror());
        return NULL;
    }
    const cuda_module *(*entry)(int, size_t);
    void *symbol = dlsym(handle, "cud_cuda_module");
    memcpy(&entry, &symbol, sizeof entry);
    const cuda_module *module = symbol ? entry(CUD_CUDA_ABI, sizeof(op_table)) : NULL;
    if (!module) {
        dlclose(handle);
        cud_fail(err, CUDDLE_E_DEVICE, "%s is not of this library's version (module abi %d)", path, CUD_CUDA_ABI);
    }
    return module;
}

/* "cuda" is device 0, "cuda:3" device 3. */
static bool parse_cuda(const char *device, int *index)
{
    *index = 0;
    if (strcmp(device, "cuda") == 0) return true;
    if (strncmp(device, "cuda:", 5) != 0 || !device[5] || strlen(device) > 9) return false;
    for (const char *p = device + 5; *p; p++) {
        if (*p < '0' || *p > '9') return false;
        *index = *index * 10 + (*p - '0');
    }
    return true;
}

cuddle_status cud_backend_open(backend **out, cuddle_device_kind *kind, const char *device, int cpu_threads, const char *backend_dir,
                               cuddle_error *why, cuddle_error *err)
{
    *out = NULL;
    *kind = CUDDLE_DEVICE_CPU;
    const bool automatic = !device || strcmp(device, "auto") == 0;
    int index = 0;
    if (!automatic && strcmp(device, "cpu") != 0 && !parse_cuda(device, &index))
        return cud_fail(err, CUDDLE_E_ARG, "device is \"%s\", expected auto, cpu, cuda or cuda:N", device);
    if (automatic || strcmp(device, "cpu") != 0) {
        const cuda_module *module = open_module(backend_dir, automatic ? why : err);
        if (module && (!automatic || module->count(why) > 0)) {
            *kind = CUDDLE_DEVICE_CUDA;
            return module->open(out, index, err);
        }
        if (!automatic) return CUDDLE_E_DEVICE; /* auto: without a GPU the CPU is what was asked for */
    }
    const cud_cpu_options options = { .threads = cpu_threads, .onednn = true };
    return cud_cpu_backend_new(out, &options, err);
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
#if CUD_HAVE_ONEDNN
#define BUILT "onednn=on hub=off "
#else
#define BUILT "onednn=off hub=off "
#endif
    static const struct { const char *isa, *features[2]; } rows[] = {
#define ROW(isa) { isa, { BUILT "cuda=off isa=" isa, BUILT "cuda=on isa=" isa } }
        ROW("avx512-bf16"), ROW("avx512"), ROW("avx2"), ROW("portable"),
#undef ROW
    };
    char path[4096];
    const bool cuda = module_path(path, sizeof path, NULL) && access(path, F_OK) == 0;
    size_t i = 0;
    while (i + 1 < sizeof rows / sizeof *rows && strcmp(rows[i].isa, cud_cpu_isa()) != 0) i++;
    return rows[i].features[cuda];
}

/* Device 0 is the CPU, the others are CUDA's 0, 1, ... */
int cuddle_device_count(void)
{
    const cuda_module *module = open_module(NULL, NULL);
    return 1 + (module ? module->count(NULL) : 0);
}

static cuddle_status describe_cuda(cuddle_device_info *info, int index, cuddle_error *err)
{
    cuda_device about;
    const cuda_module *module = open_module(NULL, err);
    const cuddle_status status = module ? module->describe(index, &about, err) : CUDDLE_E_DEVICE;
    if (status) return status;
    *info = (cuddle_device_info){ .kind = CUDDLE_DEVICE_CUDA, .index = index, .memory_total = about.memory_total, .memory_free = about.memory_free };
    snprintf(info->name, sizeof info->name, "%s", about.name);
    snprintf(info->isa, sizeof info->isa, "sm_%d", about.capability);
    return CUDDLE_OK;
}

cuddle_status cuddle_device_get(int device, cuddle_device_info *out, cuddle_error *err)
{
    cud_error_clear(err);
    if (!out) return cud_fail(err, CUDDLE_E_ARG, "cuddle_device_get: out is NULL");
    cuddle_device_info info = { .kind = CUDDLE_DEVICE_CPU, .threads = cud_cpu_threads_available() };
    if (device == 0) {
        cud_cpu_memory(&info.memory_total, &info.memory_free);
        cud_cpu_model_name(info.name, sizeof info.name);
        snprintf(info.isa, sizeof info.isa, "%s", cud_cpu_isa());
    } else {
        const int last = cuddle_device_count() - 1;
        if (device < 0 || device > last) return cud_fail(err, CUDDLE_E_ARG, "there is no device %d, the last is %d", device, last);
        const cuddle_status status = describe_cuda(&info, device - 1, err);
        if (status) return status;
    }
    return cud_result_copy(out, &info, sizeof info, "cuddle_device_info", err);
}

cuddle_status cuddle_probe_bandwidth(double *gb_per_s, size_t bytes, int passes, int threads, cuddle_error *err)
{
    cud_error_clear(err);
    if (!gb_per_s) return cud_fail(err, CUDDLE_E_ARG, "cuddle_probe_bandwidth: gb_per_s is NULL");
    *gb_per_s = 0;
    if (bytes < 65536 || passes < 1 || threads < 0 || threads > 1024)
        return cud_fail(err, CUDDLE_E_ARG,
                        "cuddle_probe_bandwidth: %zu bytes, %d passes and %d threads, expected at least 65536 bytes, at least 1 pass and 0 to "
                        "1024 threads", bytes, passes, threads);
    return cud_cpu_probe_bandwidth(gb_per_s, bytes, passes, threads, err);
}
