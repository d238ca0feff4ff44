/* Files are cut at multiples of the slot size, so that a chunk rounded out to whole sectors still fits. Within one such window of a file
 * and one layer, pieces that lie close together are read at once. */
#include "load_chunks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { GAP_MOST = 64 << 10 }; /* bytes read in vain rather than reading twice */

typedef struct sorted_piece {
    const load_piece *piece;
    uint32_t file;
    size_t index; /* in the load plan: the order of equals */
} sorted_piece;

typedef struct maker {
    chunk_plan *out;
    size_t slot_bytes;
    bool open; /* the last chunk takes more */
    /* the piece at hand */
    const load_piece *piece;
    uint32_t file;
    size_t index; /* in out->order */
    cuddle_error *err;
} maker;

static bool grow(void **array, size_t count, size_t *capacity, size_t width)
{
    if (count < *capacity) return true;
    const size_t wanted = *capacity ? *capacity * 2 : 64;
    void *bigger = wanted > SIZE_MAX / width ? NULL : realloc(*array, wanted * width);
    if (!bigger) return false;
    *array = bigger;
    *capacity = wanted;
    return true;
}

/* --------------------------------------------------------------------------------------------------------- checking */

/* Bytes from the first to the last of `rows` rows; false if there is no such number. */
static bool span_of(uint64_t *out, uint64_t rows, uint64_t row_bytes, uint64_t pitch)
{
    uint64_t span;
    return !__builtin_mul_overflow(rows - 1, pitch, &span) && !__builtin_add_overflow(span, row_bytes, out);
}

static cuddle_status check_piece(const load_plan *plan, const load_piece *p, cuddle_error *err)
{
    uint64_t span, bytes;
    if (!span_of(&span, p->rows, p->row_bytes, p->src_pitch) || p->offset > p->from->size || span > p->from->size - p->offset)
        return cud_fail(err, CUDDLE_E_IO, "%s: tensor \"%s\" has %" PRIu64 " rows of %" PRIu64 " bytes at offset %" PRIu64 ", but the file has %" PRIu64
                        " bytes", p->from->name, p->name, p->rows, p->row_bytes, p->offset, p->from->size);
    if (!span_of(&span, p->rows, p->row_bytes, p->dst_pitch) || p->dst > plan->arena_bytes || span > plan->arena_bytes - p->dst ||
        (p->rows > 1 && p->dst_pitch < p->row_bytes) || __builtin_mul_overflow(p->rows, p->row_bytes, &bytes))
        return cud_fail(err, CUDDLE_E_INTERNAL, "tensor \"%s\" does not fit its place in memory", p->name);
    return CUDDLE_OK;
}

/* ---------------------------------------------------------------------------------------------------------- cutting */

static load_chunk *last_chunk(maker *m) { return &m->out->chunk[m->out->chunks - 1]; }

static cuddle_status begin_chunk(maker *m, uint64_t offset)
{
    chunk_plan *out = m->out;
    void *array = out->chunk;
    if (!grow(&array, out->chunks, &out->chunk_capacity, sizeof *out->chunk))
        return cud_nomem(m->err, (out->chunks + 1) * sizeof *out->chunk, "the parts of a load");
    out->chunk = array;
    out->chunk[out->chunks++] = (load_chunk){ .file = m->file, .layer = m->piece->layer, .offset = offset, .first_cut = out->cuts, .first_piece = m->index };
    return CUDDLE_OK;
}

static cuddle_status add_cut(maker *m, const load_cut *cut)
{
    chunk_plan *out = m->out;
    load_chunk *c = last_chunk(m);
    void *array = out->cut;
    c->payload += (uint64_t)cut->rows * cut->row_bytes;
    c->pieces = (uint32_t)(m->index - c->first_piece + 1);
    load_cut *last = c->cuts ? &out->cut[out->cuts - 1] : NULL;
    if (last && last->rows == 1 && cut->rows == 1 && last->at + last->row_bytes == cut->at && last->to + last->row_bytes == cut->to) {
        last->row_bytes += cut->row_bytes;
        last->from_pitch = last->row_bytes;
        last->to_pitch = last->row_bytes;
        return CUDDLE_OK;
    }
    if (!grow(&array, out->cuts, &out->cut_capacity, sizeof *out->cut))
        return cud_nomem(m->err, (out->cuts + 1) * sizeof *out->cut, "the parts of a load");
    out->cut = array;
    out->cut[out->cuts++] = *cut;
    c->cuts++;
    return CUDDLE_OK;
}

/* May the last chunk go on with what begins at `offset`? */
static bool joins(maker *m, uint64_t offset)
{
    if (!m->open || m->out->chunks == 0) return false;
    const load_chunk *c = last_chunk(m);
    return c->file == m->file && c->layer == m->piece->layer && c->offset / m->slot_bytes == offset / m->slot_bytes && offset >= c->offset &&
           offset <= c->offset + c->bytes + GAP_MOST;
}

/* Bytes that are neighbours on both sides. */
static cuddle_status add_run(maker *m, uint64_t offset, uint64_t bytes, uint64_t to)
{
    cuddle_status status = CUDDLE_OK;
    while (bytes && !status) {
        const uint64_t room = m->slot_bytes - offset % m->slot_bytes, part = bytes < room ? bytes : room;
        if (!joins(m, offset)) status = begin_chunk(m, offset);
        if (status) break;
        m->open = true;
        load_chunk *c = last_chunk(m);
        const uint32_t at = (uint32_t)(offset - c->offset), n = (uint32_t)part;
        if (at + n > c->bytes) c->bytes = at + n;
        status = add_cut(m, &(load_cut){ at, 1, n, n, to, n });
        offset += part, to += part, bytes -= part;
    }
    return status;
}

/* Rows of one chunk, from_pitch apart in the slot. */
static cuddle_status cut_rows(maker *m, uint64_t rows, uint64_t from_pitch, uint64_t to)
{
    const load_piece *p = m->piece;
    const uint32_t n = (uint32_t)p->row_bytes;
    if (p->dst_pitch <= INT32_MAX) /* more is no pitch for CUDA */
        return add_cut(m, &(load_cut){ 0, (uint32_t)rows, n, (uint32_t)from_pitch, to, p->dst_pitch });
    cuddle_status status = CUDDLE_OK;
    for (uint64_t i = 0; i < rows && !status; i++)
        status = add_cut(m, &(load_cut){ (uint32_t)(i * from_pitch), 1, n, n, to + i * p->dst_pitch, n });
    return status;
}

/* Rows some way apart, each far smaller than a slot: read with what lies between them if that is not much, else one by one. */
static cuddle_status add_rows(maker *m, uint64_t room)
{
    const load_piece *p = m->piece;
    const bool spanned = p->src_pitch >= p->row_bytes && (p->src_pitch <= 4 * p->row_bytes || p->src_pitch <= LOAD_SECTOR);
    const uint64_t fit = spanned ? (room - p->row_bytes) / p->src_pitch + 1 : room / p->row_bytes;
    cuddle_status status = CUDDLE_OK;
    m->open = false;
    for (uint64_t row = 0; row < p->rows && !status; row += fit) {
        const uint64_t rows = p->rows - row < fit ? p->rows - row : fit;
        status = begin_chunk(m, p->offset + row * p->src_pitch);
        if (status) break;
        load_chunk *c = last_chunk(m);
        if (spanned) {
            c->bytes = (uint32_t)((rows - 1) * p->src_pitch + p->row_bytes);
        } else {
            c->bytes = (uint32_t)(rows * p->row_bytes);
            c->rows = (uint32_t)rows;
            c->row_bytes = (uint32_t)p->row_bytes;
            c->pitch = p->src_pitch;
        }
        status = cut_rows(m, rows, spanned ? p->src_pitch : p->row_bytes, p->dst + row * p->dst_pitch);
    }
    return status;
}

static cuddle_status add_piece(maker *m)
{
    const load_piece *p = m->piece;
    const uint64_t room = m->slot_bytes - 2 * LOAD_SECTOR; /* with the rest of both outer sectors */
    if (p->rows == 1 || (p->src_pitch == p->row_bytes && p->dst_pitch == p->row_bytes)) return add_run(m, p->offset, p->rows * p->row_bytes, p->dst);
    if (p->row_bytes <= room) return add_rows(m, room);
    cuddle_status status = CUDDLE_OK;
    for (uint64_t row = 0; row < p->rows && !status; row++)
        status = add_run(m, p->offset + row * p->src_pitch, p->row_bytes, p->dst + row * p->dst_pitch);
    return status;
}

/* ---------------------------------------------------------------------------------------------------------- sorting */

static int compare(const void *a, const void *b)
{
    const sorted_piece *x = a, *y = b;
    if (x->piece->layer != y->piece->layer) return x->piece->layer < y->piece->layer ? -1 : 1;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    if (x->piece->offset != y->piece->offset) return x->piece->offset < y->piece->offset ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static cuddle_status number_file(chunk_plan *out, source *from, uint32_t *number, cuddle_error *err)
{
    void *array = out->file;
    if (*number < out->files && out->file[*number] == from) return CUDDLE_OK; /* as the piece before it */
    for (*number = 0; *number < out->files; ++*number)
        if (out->file[*number] == from) return CUDDLE_OK;
    if (!grow(&array, out->files, &out->file_capacity, sizeof *out->file)) return cud_nomem(err, (out->files + 1) * sizeof *out->file, "the files of a load");
    out->file = array;
    out->file[out->files++] = from;
    return CUDDLE_OK;
}

cuddle_status cud_cuda_chunks_make(chunk_plan *out, const load_plan *plan, size_t slot_bytes, cuddle_error *err)
{
    *out = (chunk_plan){ 0 };
    cuddle_status status = CUDDLE_OK;
    uint32_t file = 0;
    size_t count = 0;
    sorted_piece *sorted = malloc((plan->pieces + 1) * sizeof *sorted);
    out->order = malloc((plan->pieces + 1) * sizeof *out->order);
    if (!sorted || !out->order) status = cud_nomem(err, (plan->pieces + 1) * sizeof *sorted, "the parts of a load");
    for (size_t i = 0; i < plan->pieces && !status; i++) {
        const load_piece *p = &plan->piece[i];
        if (p->rows == 0 || p->row_bytes == 0) continue;
        status = check_piece(plan, p, err);
        if (!status) status = number_file(out, p->from, &file, err);
        if (!status) sorted[count++] = (sorted_piece){ p, file, i };
    }
    if (!status && count) qsort(sorted, count, sizeof *sorted, compare);
    maker m = { .out = out, .slot_bytes = slot_bytes, .err = err };
    for (size_t i = 0; i < count && !status; i++) {
        out->order[i] = m.piece = sorted[i].piece;
        out->pieces = i + 1;
        m.file = sorted[i].file;
        m.index = i;
        status = add_piece(&m);
    }
    free(sorted);
    return status;
}

void cud_cuda_chunks_free(chunk_plan *plan)
{
    free(plan->chunk);
    free(plan->cut);
    free(plan->order);
    free(plan->file);
    *plan = (chunk_plan){ 0 };
}

const char *cud_cuda_chunk_tensor(const chunk_plan *plan, const load_chunk *chunk, uint64_t offset)
{
    const load_piece *best = plan->order[chunk->first_piece];
    for (uint32_t i = 0; i < chunk->pieces; i++) {
        const load_piece *p = plan->order[chunk->first_piece + i];
        if (p->offset > offset) break;
        best = p; /* the last that begins before it: they do not overlap, or are the same bytes */
    }
    return best->name;
}
