/* The loader's device as CUDA has it, and the op that begins a load. */
#include "load_copy.h"

#include "backend.h"
#include "load.h"

#include <ctype.h>
#include <stdio.h>

/* A failed call's error also waits in the runtime, for an innocent later call to be blamed with. */
static int code_of(cudaError_t result)
{
    if (result != cudaSuccess) (void)cudaGetLastError();
    return (int)result;
}

static int use(void *self) { return code_of(cudaSetDevice(((const cuda_copy_target *)self)->device)); }

static int pin(void *self, void *memory, size_t bytes, bool mapped_file)
{
    const cuda_copy_target *t = self;
    return code_of(cudaHostRegister(memory, bytes, mapped_file && t->registers_read_only ? cudaHostRegisterReadOnly : cudaHostRegisterPortable));
}

static int unpin(void *self, void *memory)
{
    (void)self;
    return code_of(cudaHostUnregister(memory));
}

static int alloc_pinned(void *self, void **out, size_t bytes)
{
    (void)self;
    return code_of(cudaHostAlloc(out, bytes, cudaHostAllocPortable)); /* not write-combined: reads fill it, and it is slower on some machines */
}

static int free_pinned(void *self, void *memory)
{
    (void)self;
    return code_of(cudaFreeHost(memory));
}

static int stream_new(void *self, void **out)
{
    (void)self;
    cudaStream_t stream = NULL;
    const int code = code_of(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    *out = stream;
    return code;
}

static int stream_wait(void *self, void *stream)
{
    (void)self;
    return code_of(cudaStreamSynchronize(stream));
}

static int stream_free(void *self, void *stream)
{
    (void)self;
    return code_of(cudaStreamDestroy(stream));
}

static int event_new(void *self, void **out)
{
    (void)self;
    cudaEvent_t event = NULL;
    const int code = code_of(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync)); /* waiting must not take a core */
    *out = event;
    return code;
}

static int event_record(void *self, void *event, void *stream)
{
    (void)self;
    return code_of(cudaEventRecord(event, stream));
}

static int event_wait(void *self, void *event)
{
    (void)self;
    return code_of(cudaEventSynchronize(event));
}

static int event_passed(void *self, void *event, bool *out)
{
    (void)self;
    const cudaError_t result = cudaEventQuery(event);
    *out = result == cudaSuccess;
    const int code = code_of(result);
    return result == cudaErrorNotReady ? 0 : code;
}

static int event_free(void *self, void *event)
{
    (void)self;
    return code_of(cudaEventDestroy(event));
}

static int copy(void *self, void *to, const void *from, size_t bytes, void *stream)
{
    (void)self;
    return code_of(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream));
}

static int copy_rows(void *self, void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t row_bytes, size_t rows, void *stream)
{
    (void)self;
    return code_of(cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, row_bytes, rows, cudaMemcpyHostToDevice, stream));
}

static const char *explain(void *self, int code)
{
    (void)self;
    return cudaGetErrorString((cudaError_t)code);
}

static const copy_ops cuda_copies = {
    .use = use,
    .pin = pin,
    .unpin = unpin,
    .alloc_pinned = alloc_pinned,
    .free_pinned = free_pinned,
    .stream_new = stream_new,
    .stream_wait = stream_wait,
    .stream_free = stream_free,
    .event_new = event_new,
    .event_record = event_record,
    .event_wait = event_wait,
    .event_passed = event_passed,
    .event_free = event_free,
    .copy = copy,
    .copy_rows = copy_rows,
    .explain = explain,
};

/* 1 or 0; 0 also if the driver does not know the question. */
static bool has(int device, enum cudaDeviceAttr attribute)
{
    int value = 0;
    return code_of(cudaDeviceGetAttribute(&value, attribute, device)) == 0 && value != 0;
}

/* The NUMA node that the GPU's PCI slot belongs to, or -1. */
static int numa_node_of(int device)
{
    char id[32] = "", path[96];
    int node = -1;
    if (code_of(cudaDeviceGetPCIBusId(id, (int)sizeof id, device))) return -1;
    for (char *c = id; *c; c++) *c = (char)tolower((unsigned char)*c);
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/numa_node", id);
    FILE *f = fopen(path, "re");
    if (!f) return -1;
    if (fscanf(f, "%d", &node) != 1) node = -1;
    fclose(f);
    return node;
}

void cud_cuda_copy_device(copy_device *out, cuda_copy_target *target, int device)
{
    *target = (cuda_copy_target){ .device = device, .registers_read_only = has(device, cudaDevAttrHostRegisterReadOnlySupported) };
    snprintf(target->name, sizeof target->name, "CUDA device %d", device);
    const bool shares = has(device, cudaDevAttrPageableMemoryAccessUsesHostPageTables);
    *out = (copy_device){ .ops = &cuda_copies, .self = target, .name = target->name, .registers_files = target->registers_read_only || shares,
                          .shares_page_tables = shares, .numa_node = numa_node_of(device) };
}

cuddle_status cud_cuda_load(backend *b, void *arena, const load_plan *plan, load_progress_fn progress, void *user, cuddle_error *err)
{
    copy_device device;
    cuda_copy_target target;
    cud_cuda_copy_device(&device, &target, ((const cuda_backend *)b)->device);
    return cud_cuda_load_with(&device, &cud_cuda_loader_defaults, arena, plan, progress, user, err);
}
