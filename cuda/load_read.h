/* Reading a chunk: from the page cache if it is there, else past it, else plainly. */
#ifndef CUD_CUDA_LOAD_READ_H
#define CUD_CUDA_LOAD_READ_H

#include "load_chunks.h"

#include <stdatomic.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the threads of a load count together. */
typedef struct load_tally {
    atomic_ullong resident, direct, plain, registered;
    atomic_uint fallback[LOAD_FALLBACK_COUNT];
} load_tally;

typedef struct load_file {
    source *from;
    bool waits;   /* reading may take long */
    bool network; /* or another place where mapping and reading past the page cache are bad ideas */
    int direct;   /* a second descriptor with O_DIRECT, or -1 */
    atomic_bool asks_resident, reads_direct; /* until it turns out that it cannot */
} load_file;

/* out[plan->files] from zeroed memory. Needs no release if it was never called; never fails: without a second descriptor there is one way
 * of reading less. */
void cud_cuda_files_open(load_file *out, const chunk_plan *plan, load_tally *tally);
void cud_cuda_files_close(load_file *files, size_t count);

/* A chunk is read into a slot, which begins at a multiple of LOAD_SECTOR, in two steps: first what can be had without waiting, and how
 * many bytes that is. */
size_t cud_cuda_chunk_read_resident(const load_chunk *chunk, load_file *file, char *slot, load_tally *tally);
/* Then the rest behind `got` bytes; *out is the chunk's first byte in the slot. CUDDLE_E_IO names file, tensor and offset. */
cuddle_status cud_cuda_chunk_read_rest(const char **out, const chunk_plan *plan, const load_chunk *chunk, load_file *file, size_t got, char *slot,
                                       load_tally *tally, cuddle_error *err);

#ifdef __cplusplus
}
#endif
#endif
