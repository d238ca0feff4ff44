/* Carrying out a load plan: pieces are read into the arena by a few MiB at a time. */
#include "backend.h"

#include "core/clock.h"

#include <stdlib.h>

enum { STRIDE = 4 << 20 }; /* bytes between two looks at the progress function */

typedef struct loading {
    load_progress_fn progress;
    void *user;
    uint64_t done, total;
    char *staging; /* STRIDE bytes, for pieces of many short rows; made when first needed */
} loading;

static cuddle_status note_progress(loading *l, uint64_t bytes, cuddle_error *err)
{
    l->done += bytes;
    if (l->progress && !l->progress(l->done, l->total, l->user)) return cud_fail(err, CUDDLE_E_CANCELLED, "the load was cancelled");
    return CUDDLE_OK;
}

static cuddle_status read_run(loading *l, source *from, char *to, uint64_t offset, uint64_t bytes, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    while (bytes && status == CUDDLE_OK) {
        const size_t part = bytes < STRIDE ? (size_t)bytes : STRIDE;
        status = cud_source_read(from, to, offset, part, err);
        if (status == CUDDLE_OK) status = note_progress(l, part, err);
        to += part, offset += part, bytes -= part;
    }
    return status;
}

/* Short rows some way apart: what spans several of them is read at once, and the rows are picked out. */
static cuddle_status read_rows(loading *l, const load_piece *p, char *arena, cuddle_error *err)
{
    const uint64_t fit = (STRIDE - p->row_bytes) / p->src_pitch + 1;
    cuddle_status status = CUDDLE_OK;
    if (!l->staging && !(l->staging = malloc(STRIDE))) return cud_nomem(err, STRIDE, "reading weights");
    for (uint64_t row = 0; row < p->rows && status == CUDDLE_OK; row += fit) {
        const uint64_t rows = p->rows - row < fit ? p->rows - row : fit;
        const size_t span = (size_t)((rows - 1) * p->src_pitch + p->row_bytes);
        status = cud_source_read(p->from, l->staging, p->offset + row * p->src_pitch, span, err);
        if (status != CUDDLE_OK) break;
        for (uint64_t i = 0; i < rows; i++)
            memcpy(arena + p->dst + (row + i) * p->dst_pitch, l->staging + i * p->src_pitch, (size_t)p->row_bytes);
        status = note_progress(l, rows * p->row_bytes, err);
    }
    return status;
}

static cuddle_status read_piece(loading *l, const load_piece *p, char *arena, cuddle_error *err)
{
    if (p->rows == 0 || p->row_bytes == 0) return CUDDLE_OK;
    if (p->rows == 1 || (p->src_pitch == p->row_bytes && p->dst_pitch == p->row_bytes))
        return read_run(l, p->from, arena + p->dst, p->offset, p->rows * p->row_bytes, err);
    const bool gaps_are_cheap = p->src_pitch <= 4 * p->row_bytes || p->src_pitch <= 4096;
    if (p->src_pitch >= p->row_bytes && gaps_are_cheap && p->row_bytes <= STRIDE / 4) return read_rows(l, p, arena, err);
    cuddle_status status = CUDDLE_OK;
    for (uint64_t row = 0; row < p->rows && status == CUDDLE_OK; row++)
        status = read_run(l, p->from, arena + p->dst + row * p->dst_pitch, p->offset + row * p->src_pitch, p->row_bytes, err);
    return status;
}

static cuddle_status check_unchanged(source *s, cuddle_error *err)
{
    if (cud_source_unchanged(s)) return CUDDLE_OK;
    return cud_fail(err, CUDDLE_E_IO, "%s: changed while it was being loaded", s->name);
}

cuddle_status cud_cpu_load(backend *b, void *arena, const load_plan *plan, load_progress_fn progress, void *user, cuddle_error *err)
{
    loading l = { progress, user, 0, plan->copy_bytes, NULL };
    const double begin = cud_now();
    cuddle_status status = cud_load_check_mode((int)plan->mode, b->load_modes, b->ops->name, err);
    if (!status) status = note_progress(&l, 0, err);
    for (size_t i = 0; i < plan->pieces && status == CUDDLE_OK; i++) status = read_piece(&l, &plan->piece[i], arena, err);
    free(l.staging);
    if (plan->report) {
        const double seconds = cud_now() - begin;
        const cuddle_load_mode mode = plan->in_place_bytes > l.done ? CUDDLE_LOAD_MAP : CUDDLE_LOAD_READ;
        *plan->report = (load_report){ .mode = mode, .bytes = l.done, .seconds = seconds, .readers = 1, .plain_bytes = l.done,
                                       .gb_per_s = seconds > 0 ? (double)l.done / seconds / 1e9 : 0 };
    }
    const source *last = NULL; /* pieces of one source mostly follow one another */
    for (size_t i = 0; i < plan->pieces && status == CUDDLE_OK; i++) {
        if (plan->piece[i].from != last) status = check_unchanged(plan->piece[i].from, err);
        last = plan->piece[i].from;
    }
    for (size_t i = 0; i < plan->bindings && status == CUDDLE_OK; i++) {
        if (plan->binding[i].in_place && plan->binding[i].in_place != last) status = check_unchanged(plan->binding[i].in_place, err);
        if (plan->binding[i].in_place) last = plan->binding[i].in_place;
    }
    return status;
}
