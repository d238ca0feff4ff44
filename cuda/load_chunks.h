/* A load plan as a list of chunks: a part of one file that fits into a slot, and where its bytes go. */
#ifndef CUD_CUDA_LOAD_CHUNKS_H
#define CUD_CUDA_LOAD_CHUNKS_H

#include "core/load.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LOAD_SECTOR = 4096 }; /* O_DIRECT's unit: of file offsets, sizes and addresses */

/* One copy: `rows` runs of row_bytes, from byte `at` of the chunk on, to byte `to` of the arena on. */
typedef struct load_cut {
    uint32_t at, rows, row_bytes, from_pitch;
    uint64_t to, to_pitch;
} load_cut;

typedef struct load_chunk {
    uint32_t file; /* chunk_plan.file */
    int layer;
    uint64_t offset; /* of its first byte in the file */
    uint32_t bytes;  /* in the slot */
    /* rows > 0: not one range of the file but rows of row_bytes, `pitch` apart, which lie next to each other in the slot. */
    uint32_t rows, row_bytes;
    uint64_t pitch;
    size_t first_cut, first_piece; /* in chunk_plan.cut and .order */
    uint32_t cuts, pieces;
    uint64_t payload; /* bytes that its cuts copy */
    bool arrived;
} load_chunk;

typedef struct chunk_plan {
    load_chunk *chunk; /* by layer, then file, then offset */
    size_t chunks, chunk_capacity;
    load_cut *cut;
    size_t cuts, cut_capacity;
    const load_piece **order; /* [pieces] likewise; borrowed from the load plan */
    size_t pieces;
    source **file; /* each once, in the order of the load plan; borrowed */
    size_t files, file_capacity;
} chunk_plan;

/* Chunks need at most slot_bytes (a multiple of LOAD_SECTOR, at least 4 of them) from the sector on in which they begin. CUDDLE_E_IO
 * for a piece beyond its source, CUDDLE_E_INTERNAL for one beyond the arena. Release with cud_cuda_chunks_free(), also after a failure. */
cuddle_status cud_cuda_chunks_make(chunk_plan *out, const load_plan *plan, size_t slot_bytes, cuddle_error *err);
void cud_cuda_chunks_free(chunk_plan *plan);
/* The tensor that byte `offset` of the chunk's file belongs to, for messages. */
const char *cud_cuda_chunk_tensor(const chunk_plan *plan, const load_chunk *chunk, uint64_t offset);

#ifdef __cplusplus
}
#endif
#endif
