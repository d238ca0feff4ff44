/* What the loader asks of a device. The CUDA one is in load_copy.c; tests bring their own, which copy on the host and fail on demand. */
#ifndef CUD_CUDA_LOAD_COPY_H
#define CUD_CUDA_LOAD_COPY_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Everything but explain returns 0 or a code of the device's own, and leaves no error behind in the device's runtime. Any thread may
 * call after it has called `use`; a stream or event is used by one thread at a time. */
typedef struct copy_ops {
    int (*use)(void *device);
    /* Page-locks memory of ours where it lies. `mapped_file`: a read-only mapping. */
    int (*pin)(void *device, void *memory, size_t bytes, bool mapped_file);
    int (*unpin)(void *device, void *memory);
    int (*alloc_pinned)(void *device, void **out, size_t bytes);
    int (*free_pinned)(void *device, void *memory);
    int (*stream_new)(void *device, void **out);
    int (*stream_wait)(void *device, void *stream); /* for everything in it */
    int (*stream_free)(void *device, void *stream);
    int (*event_new)(void *device, void **out);
    int (*event_record)(void *device, void *event, void *stream);
    int (*event_wait)(void *device, void *event);
    int (*event_passed)(void *device, void *event, bool *out);
    int (*event_free)(void *device, void *event);
    /* Host to device, in stream order; `from` stays as it is until an event behind it has passed. */
    int (*copy)(void *device, void *to, const void *from, size_t bytes, void *stream);
    int (*copy_rows)(void *device, void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t row_bytes, size_t rows, void *stream);
    const char *(*explain)(void *device, int code);
} copy_ops;

typedef struct copy_device {
    const copy_ops *ops;
    void *self;              /* first argument of every op */
    const char *name;        /* "CUDA device 0" */
    bool registers_files;    /* read-only mappings of files can be page-locked */
    bool shares_page_tables; /* with the host: then registering costs next to nothing */
    int numa_node;           /* where it is attached, or -1 */
} copy_device;

/* What a CUDA device needs behind copy_device.self. */
typedef struct cuda_copy_target {
    int device;
    bool registers_read_only;
    char name[32];
} cuda_copy_target;

/* Describes a CUDA device; *target must live as long as *out. What the driver does not answer is taken as not there. */
void cud_cuda_copy_device(copy_device *out, cuda_copy_target *target, int device);

#ifdef __cplusplus
}
#endif
#endif
