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
    int layer;        /* -1: needed before the first layer; the number of layers: after the last */
    const char *name; /* of the tensor; borrowed from the checkpoint */
} load_piece;

/* A pointer to set once memory exists: into a mapped source where in_place is set, else into the arena. */
typedef struct load_binding {
    void **target;
    source *in_place;
    uint64_t at;
} load_binding;

/* Ways that a loader had to leave for a lesser one; each is counted where it was left. */
typedef enum load_fallback {
    LOAD_FALLBACK_NETWORK,      /* a file on a network file system is not registered */
    LOAD_FALLBACK_REGISTER,     /* a window of a file could not be registered: the ring takes over */
    LOAD_FALLBACK_PIN,          /* the ring could not be page-locked in one piece: smaller ones */
    LOAD_FALLBACK_PIN_SEGMENTS, /* nor so: the device's own page-locked memory */
    LOAD_FALLBACK_PIN_ALLOC,    /* nor that: pageable memory */
    LOAD_FALLBACK_RESIDENT,     /* a file cannot be asked for what is in memory (RWF_NOWAIT): read plainly */
    LOAD_FALLBACK_DIRECT,       /* a file cannot be read past the page cache (O_DIRECT): read plainly */
    LOAD_FALLBACK_THREADS,      /* fewer reader threads than wanted */
    LOAD_FALLBACK_COUNT
} load_fallback;
static inline const char *cud_load_fallback_name(load_fallback f)
{
    static const char *const names[] = { "network", "register", "pin", "pin-segments", "pin-alloc", "resident", "direct", "threads" };
    return (unsigned)f < LOAD_FALLBACK_COUNT ? names[f] : "unknown";
}

/* CUDDLE_E_ARG, by name, unless `mode` is AUTO or in `modes` (1 << cuddle_load_mode), those of the backend called `name`. */
cuddle_status cud_load_check_mode(int mode, unsigned modes, const char *name, cuddle_error *err);
const char *cud_load_mode_name(int mode); /* "?" outside the enum */

/* What a load did; a failed one fills it as far as it came. */
typedef struct load_report {
    bool measure_ceiling; /* set by the caller: copy page-locked memory into the arena for a few milliseconds before the load */
    cuddle_load_mode mode; /* what carried most bytes */
    uint64_t bytes;        /* that arrived */
    double seconds, gb_per_s;
    double pin_seconds; /* of `seconds`: until the ring was page-locked */
    double ceiling_gb_per_s, ceiling_share; /* 0 unless measured */
    int readers;
    uint64_t resident_bytes, direct_bytes, plain_bytes; /* read from the page cache, past it, and without knowing */
    uint64_t registered_bytes;                          /* copied from where the file is mapped */
    uint64_t pinned_bytes;                              /* page-locked by the ring */
    unsigned fallback[LOAD_FALLBACK_COUNT];
    char notice[288]; /* what works less well than it could; empty: nothing */
} load_report;

struct load_fence; /* the backend's: which layers have arrived */

typedef struct load_plan {
    load_piece *piece;
    size_t pieces, piece_capacity;
    load_binding *binding;
    size_t bindings, binding_capacity;
    uint64_t arena_bytes;    /* CUD_ALIGN-aligned ranges, one per tensor */
    uint64_t in_place_bytes; /* of tensors used where they are mapped */
    uint64_t copy_bytes;     /* of all pieces */
    cuddle_load_mode mode;
    load_report *report;      /* NULL: not wanted */
    struct load_fence *fence; /* NULL: nothing runs before all have arrived */
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
