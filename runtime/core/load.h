/* The load plan: what to copy from which source to where. Models write it, backends carry it out and never see a checkpoint. */
#ifndef CUD_CORE_LOAD_H
#define CUD_CORE_LOAD_H

#include "core/source.h"

#ifdef __cplusplus
extern "C" {
#endif

/* rows runs of row_bytes: from source offset on, src_pitch apart, to arena offset dst on, dst_pitch apart. A whole tensor is one row. */
typedef struct load_piece {
    source *from;
    uint64_t offset;
    uint64_t rows, row_bytes, src_pitch;
    uint64_t dst, dst_pitch;
    int layer;        /* -1: needed before the first layer */
    const char *name; /* of the tensor; borrowed from the checkpoint */
} load_piece;

/* A pointer to set once memory exists: into a mapped source where in_place is set, else into the arena. */
typedef struct load_binding {
    void **target;
    source *in_place;
    uint64_t at;
} load_binding;

typedef struct load_plan {
    load_piece *piece;
    size_t pieces, piece_capacity;
    load_binding *binding;
    size_t bindings, binding_capacity;
    uint64_t arena_bytes;    /* CUD_ALIGN-aligned ranges, one per tensor */
    uint64_t in_place_bytes; /* of tensors used where they are mapped */
    uint64_t copy_bytes;     /* of all pieces */
} load_plan;

/* Called between pieces of at most a few MiB; returning false stops the load with CUDDLE_E_CANCELLED. */
typedef bool (*load_progress_fn)(uint64_t bytes_done, uint64_t bytes_total, void *user);

/* Both copy their argument into the plan. */
cuddle_status cud_load_add_piece(load_plan *plan, const load_piece *piece, cuddle_error *err);
cuddle_status cud_load_add_binding(load_plan *plan, const load_binding *binding, cuddle_error *err);
/* Reserves `bytes` of the arena; *at is CUD_ALIGN-aligned. CUDDLE_E_LIMIT when the sum does not fit. */
cuddle_status cud_load_reserve(load_plan *plan, uint64_t bytes, uint64_t *at, cuddle_error *err);
/* Sets every target. `arena` may be NULL if arena_bytes is 0. CUDDLE_E_IO if a source cannot be mapped. */
cuddle_status cud_load_bind(const load_plan *plan, void *arena, cuddle_error *err);
void cud_load_plan_free(load_plan *plan); /* its arrays, not itself */

#ifdef __cplusplus
}
#endif
#endif
