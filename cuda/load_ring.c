/* The ring: each reader has two slots and a stream. While one slot is being copied to the device the other is filled, and a slot is filled
 * again only when the event behind its copies has passed. */
#include "load.h"

#include <sys/mman.h>
#include <time.h>

enum { SEGMENT_BYTES = 16 << 20, CEILING_BYTES = 256 << 20, CEILING_ROUNDS = 4 };

/* ---------------------------------------------------------------------------------------------------------- memory */

static void touch(loader *l, int reader, void *argument)
{
    const load_ring *ring = argument;
    const size_t share = LOAD_SLOTS * l->settings->slot_bytes;
    volatile char *memory = ring->memory + (size_t)reader * share;
    for (size_t i = 0; i < share; i += LOAD_SECTOR) memory[i] = 0;
}

static void unpin(loader *l, load_ring *ring)
{
    for (size_t at = 0; at < ring->segment_end; at += ring->segment) (void)l->device->ops->unpin(l->device->self, ring->memory + at);
    ring->segment_end = 0;
    ring->pinned = false;
}

static bool pin(loader *l, load_ring *ring, size_t segment)
{
    ring->segment = segment;
    for (size_t at = 0; at < ring->bytes; at += segment) {
        const size_t rest = ring->bytes - at;
        if (l->device->ops->pin(l->device->self, ring->memory + at, rest < segment ? rest : segment, false) != 0) {
            unpin(l, ring);
            return false;
        }
        ring->segment_end = at + segment;
    }
    ring->pinned = true;
    return true;
}

static void fall_back(loader *l, load_fallback what) { atomic_fetch_add(&l->tally.fallback[what], 1u); }

/* Page-locks the ring, or does without. */
static void pin_somehow(loader *l, load_ring *ring)
{
    const size_t slot = l->settings->slot_bytes;
    const size_t several = ring->bytes > SEGMENT_BYTES && slot < SEGMENT_BYTES ? SEGMENT_BYTES / slot * slot : slot;
    if (pin(l, ring, ring->bytes)) return;
    fall_back(l, LOAD_FALLBACK_PIN);
    if (pin(l, ring, several)) return;
    fall_back(l, LOAD_FALLBACK_PIN_SEGMENTS);
    void *memory = NULL;
    if (l->device->ops->alloc_pinned(l->device->self, &memory, ring->bytes) == 0) {
        munmap(ring->memory, ring->bytes);
        ring->memory = memory;
        ring->is_mapped = false;
        ring->segment = ring->bytes;
        ring->pinned = true;
        return;
    }
    fall_back(l, LOAD_FALLBACK_PIN_ALLOC); /* asynchronous copies from pageable memory are staged by the driver */
}

bool cud_cuda_ring_open(loader *l, load_ring *ring, int readers)
{
    if (ring->readers >= readers) return !cud_cuda_loader_stopped(l);
    cud_cuda_ring_close(l, ring);
    const double began = cud_now();
    const size_t bytes = (size_t)readers * LOAD_SLOTS * l->settings->slot_bytes;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        cuddle_error failure = { CUDDLE_OK, "" };
        cud_nomem(&failure, bytes, "reading weights");
        cud_cuda_loader_fail(l, &failure);
        return false;
    }
    (void)madvise(memory, bytes, MADV_DONTFORK); /* a fork would give the child the pages that the device knows */
    *ring = (load_ring){ .readers = readers, .memory = memory, .bytes = bytes, .is_mapped = true };
    if (!cud_cuda_loader_run(l, readers, touch, ring)) return false; /* by its owners: on their NUMA node, in parallel */
    pin_somehow(l, ring);
    if (l->plan->report) {
        l->plan->report->pin_seconds += cud_now() - began;
        l->plan->report->pinned_bytes = ring->pinned ? bytes : 0;
    }
    return cud_cuda_loader_show(l);
}

void cud_cuda_ring_close(loader *l, load_ring *ring)
{
    if (!ring->memory) return;
    if (!ring->is_mapped) (void)l->device->ops->free_pinned(l->device->self, ring->memory);
    else {
        unpin(l, ring);
        munmap(ring->memory, ring->bytes);
    }
    *ring = (load_ring){ 0 };
}

/* --------------------------------------------------------------------------------------------------------- reading */

typedef struct ring_slot {
    char *memory;
    void *event;
    load_chunk *chunk; /* whose copies are in flight; NULL: none */
} ring_slot;

typedef struct reader {
    void *stream;
    ring_slot slot[LOAD_SLOTS];
} reader;

typedef struct ring_job {
    const load_ring *ring;
    const size_t *chunks;
    size_t count, next;
} ring_job;

static bool open_reader(loader *l, reader *r, char *memory)
{
    const copy_ops *ops = l->device->ops;
    if (!cud_cuda_loader_check(l, ops->stream_new(l->device->self, &r->stream), "making a stream", NULL)) return false;
    for (int i = 0; i < LOAD_SLOTS; i++) {
        r->slot[i].memory = memory + (size_t)i * l->settings->slot_bytes;
        if (!cud_cuda_loader_check(l, ops->event_new(l->device->self, &r->slot[i].event), "making an event", NULL)) return false;
    }
    return true;
}

static void arrived(loader *l, ring_slot *slot)
{
    load_chunk *chunk = slot->chunk;
    slot->chunk = NULL;
    if (chunk) cud_cuda_loader_arrived(l, chunk);
}

/* Waits for every copy, also those that no event stands behind, before anybody may free the slots. */
static void close_reader(loader *l, reader *r, int turn)
{
    const copy_ops *ops = l->device->ops;
    if (r->stream && cud_cuda_loader_check(l, ops->stream_wait(l->device->self, r->stream), "waiting for copies", NULL))
        for (int i = 0; i < LOAD_SLOTS; i++) arrived(l, &r->slot[(turn + i) % LOAD_SLOTS]);
    for (int i = 0; i < LOAD_SLOTS; i++)
        if (r->slot[i].event) (void)ops->event_free(l->device->self, r->slot[i].event);
    if (r->stream) (void)ops->stream_free(l->device->self, r->stream);
}

/* Waits until the slot may be filled, and says that its chunk has arrived. */
static bool settle(loader *l, ring_slot *slot)
{
    if (!slot->chunk) return true;
    if (!cud_cuda_loader_check(l, l->device->ops->event_wait(l->device->self, slot->event), "copying", slot->chunk)) return false;
    arrived(l, slot);
    return true;
}

static bool fill(loader *l, reader *r, ring_slot *slot, ring_slot *other, load_chunk *chunk)
{
    const char *data = NULL;
    cuddle_error failure = { CUDDLE_OK, "" };
    load_file *file = &l->file[chunk->file];
    const size_t got = cud_cuda_chunk_read_resident(chunk, file, slot->memory, &l->tally);
    /* Before a read that may take long: somebody may be waiting for what the other slot brought. Its copy is short beside such a read. */
    if (got < chunk->bytes && file->waits && !settle(l, other)) return false;
    if (cud_cuda_chunk_read_rest(&data, &l->chunks, chunk, file, got, slot->memory, &l->tally, &failure)) {
        cud_cuda_loader_fail(l, &failure);
        return false;
    }
    if (!cud_cuda_loader_copy(l, chunk, data, r->stream)) return false;
    if (!cud_cuda_loader_check(l, l->device->ops->event_record(l->device->self, slot->event, r->stream), "recording an event", chunk)) return false;
    slot->chunk = chunk;
    return true;
}

static void read_chunks(loader *l, int index, void *argument)
{
    ring_job *job = argument;
    reader r = { 0 };
    int turn = 0;
    bool going = open_reader(l, &r, job->ring->memory + (size_t)index * LOAD_SLOTS * l->settings->slot_bytes);
    for (size_t item; going; turn = (turn + 1) % LOAD_SLOTS) {
        ring_slot *slot = &r.slot[turn], *other = &r.slot[(turn + 1) % LOAD_SLOTS];
        if (!settle(l, slot) || !cud_cuda_loader_take(l, &job->next, job->count, &item)) break;
        going = fill(l, &r, slot, other, &l->chunks.chunk[job->chunks[item]]);
        bool passed = false; /* its copy ran while this slot was filled: say so now rather than a slot later */
        if (going && other->chunk && l->device->ops->event_passed(l->device->self, other->event, &passed) == 0 && passed) arrived(l, other);
    }
    close_reader(l, &r, turn);
}

bool cud_cuda_ring_load(loader *l, load_ring *ring, const size_t *chunks, size_t count)
{
    if (count == 0) return !cud_cuda_loader_stopped(l);
    const int readers = count < (size_t)l->readers ? (int)count : l->readers;
    if (!cud_cuda_ring_open(l, ring, readers)) return false;
    ring_job job = { .ring = ring, .chunks = chunks, .count = count };
    return cud_cuda_loader_run(l, readers, read_chunks, &job);
}

/* --------------------------------------------------------------------------------------------------------- ceiling */

double cud_cuda_ring_ceiling(loader *l, const load_ring *ring)
{
    const copy_ops *ops = l->device->ops;
    const size_t most = ring->bytes < l->plan->arena_bytes ? ring->bytes : (size_t)l->plan->arena_bytes;
    const size_t part = most < ring->segment ? most : ring->segment; /* no copy reaches over the end of a registration */
    double best = 0;
    void *stream = NULL;
    if (!ring->pinned || part == 0 || ops->stream_new(l->device->self, &stream) != 0) return 0;
    for (int round = 0; round < CEILING_ROUNDS; round++) {
        const double began = cud_now();
        size_t copied = 0;
        int code = 0;
        for (size_t at = 0; copied < CEILING_BYTES && copied < 64 * most && code == 0; copied += part) {
            code = ops->copy(l->device->self, l->arena + at, ring->memory + at, part, stream);
            at = at + 2 * part <= most ? at + part : 0;
        }
        const int waited = ops->stream_wait(l->device->self, stream);
        if (code || waited) break; /* the load itself will meet it and say so */
        const double rate = 1e-9 * (double)copied / (cud_now() - began);
        if (rate > best) best = rate;
    }
    (void)ops->stream_free(l->device->self, stream);
    return best;
}
