/* Registered windows: a stretch of the file is mapped, page-locked where it lies in the page cache, and copied from there; behind the
 * event it is let go. Each window is a mapping of its own, because two registrations may not share a page. What cannot be registered is
 * left to the ring, which also says what is wrong with a file better than a page fault does. */
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GAP_MOST = 1 << 20 }; /* bytes that are registered in vain rather than making a window more */

/* --------------------------------------------------------------------------------------------------------- planning */

static bool fits(const loader *l, const load_chunk *c)
{
    const load_file *f = &l->file[c->file];
    return f->from->fd >= 0 && !f->network && c->rows == 0;
}

bool cud_cuda_windows_make(loader *l, load_window **out, size_t *count)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const chunk_plan *plan = &l->chunks;
    *count = 0;
    *out = malloc((plan->chunks + 1) * sizeof **out);
    if (!*out) {
        cuddle_error failure = { CUDDLE_OK, "" };
        cud_nomem(&failure, (plan->chunks + 1) * sizeof **out, "the windows of a load");
        cud_cuda_loader_fail(l, &failure);
        return false;
    }
    for (size_t i = 0; i < plan->chunks; i++) {
        const load_chunk *c = &plan->chunk[i];
        if (!fits(l, c)) continue;
        const uint64_t begin = c->offset / page * page, end = (c->offset + c->bytes + page - 1) / page * page;
        load_window *w = *count ? &(*out)[*count - 1] : NULL;
        if (w && w->first + w->count == i && plan->chunk[w->first].file == c->file && begin >= w->offset && begin <= w->offset + w->bytes + GAP_MOST &&
            end - w->offset <= l->settings->window_bytes) {
            w->count++;
            w->payload += c->payload;
            if (end - w->offset > w->bytes) w->bytes = (size_t)(end - w->offset);
        } else {
            (*out)[(*count)++] = (load_window){ .first = i, .count = 1, .offset = begin, .bytes = (size_t)(end - begin), .payload = c->payload };
        }
    }
    return true;
}

/* ---------------------------------------------------------------------------------------------------------- copying */

typedef struct window_slot {
    const load_window *window; /* mapped, registered and being copied; NULL: none */
    char *map;
    void *event;
} window_slot;

typedef struct window_job {
    const load_window *windows;
    size_t count, next; /* guarded by the loader's lock */
    bool refused;
} window_job;

/* Maps and registers; false if that cannot be done, and then nothing is left. */
static bool open_window(loader *l, window_slot *slot, const load_window *w)
{
    const load_file *f = &l->file[l->chunks.chunk[w->first].file];
    void *map = mmap(NULL, w->bytes, PROT_READ, MAP_SHARED, f->from->fd, (off_t)w->offset);
    if (map == MAP_FAILED) return false;
    (void)madvise(map, w->bytes, MADV_DONTFORK);
    /* Brings the pages in and finds a file that became shorter without a signal. Kernels before 5.14 do not know it. */
    const bool populated = madvise(map, w->bytes, MADV_POPULATE_READ) == 0 || errno == EINVAL;
    if (!populated || l->device->ops->pin(l->device->self, map, w->bytes, true) != 0) {
        munmap(map, w->bytes);
        return false;
    }
    slot->window = w;
    slot->map = map;
    return true;
}

/* Lets go of a window whose copies are through; `whole` if they went well. */
static bool close_window(loader *l, window_slot *slot, bool whole)
{
    const load_window *w = slot->window;
    if (!w) return true;
    for (size_t i = 0; i < w->count && whole; i++) cud_cuda_loader_arrived(l, &l->chunks.chunk[w->first + i]);
    if (whole) atomic_fetch_add(&l->tally.registered, w->payload);
    const int code = l->device->ops->unpin(l->device->self, slot->map);
    munmap(slot->map, w->bytes);
    slot->window = NULL;
    slot->map = NULL;
    return cud_cuda_loader_check(l, code, "unregistering a window of the file", &l->chunks.chunk[w->first]);
}

static bool copy_window(loader *l, const window_slot *slot, void *stream)
{
    const load_window *w = slot->window;
    for (size_t i = 0; i < w->count; i++) {
        const load_chunk *c = &l->chunks.chunk[w->first + i];
        if (!cud_cuda_loader_copy(l, c, slot->map + (c->offset - w->offset), stream)) return false;
    }
    return cud_cuda_loader_check(l, l->device->ops->event_record(l->device->self, slot->event, stream), "recording an event", &l->chunks.chunk[w->first]);
}

/* No thread takes a window any more; the ring has the rest. */
static void refuse(loader *l, window_job *job)
{
    pthread_mutex_lock(&l->lock);
    job->refused = true;
    job->next = job->count;
    pthread_mutex_unlock(&l->lock);
    atomic_fetch_add(&l->tally.fallback[LOAD_FALLBACK_REGISTER], 1u);
}

static void copy_windows(loader *l, int index, void *argument)
{
    const copy_ops *ops = l->device->ops;
    window_job *job = argument;
    window_slot slots[LOAD_SLOTS] = { { 0 } };
    void *stream = NULL;
    (void)index;
    bool going = cud_cuda_loader_check(l, ops->stream_new(l->device->self, &stream), "making a stream", NULL);
    for (int i = 0; i < LOAD_SLOTS && going; i++)
        going = cud_cuda_loader_check(l, ops->event_new(l->device->self, &slots[i].event), "making an event", NULL);
    size_t item;
    for (int turn = 0; going; turn = (turn + 1) % LOAD_SLOTS) {
        window_slot *slot = &slots[turn];
        if (slot->window) {
            const load_chunk *first = &l->chunks.chunk[slot->window->first];
            if (!cud_cuda_loader_check(l, ops->event_wait(l->device->self, slot->event), "copying", first) || !close_window(l, slot, true)) break;
        }
        if (!cud_cuda_loader_take(l, &job->next, job->count, &item)) break;
        if (open_window(l, slot, &job->windows[item])) going = copy_window(l, slot, stream);
        else {
            refuse(l, job);
            break;
        }
    }
    /* A window whose copies were not all handed over is not whole, but then the load has failed. */
    const bool drained = stream && cud_cuda_loader_check(l, ops->stream_wait(l->device->self, stream), "waiting for copies", NULL);
    const bool whole = drained && going;
    if (stream) (void)ops->stream_free(l->device->self, stream); /* before what it reads from, should waiting have failed */
    for (int i = 0; i < LOAD_SLOTS; i++) {
        if (slots[i].event) (void)ops->event_free(l->device->self, slots[i].event);
        (void)close_window(l, &slots[i], whole);
    }
}

bool cud_cuda_windows_load(loader *l, const load_window *windows, size_t count, bool *refused)
{
    *refused = false;
    if (count == 0) return !cud_cuda_loader_stopped(l);
    window_job job = { .windows = windows, .count = count };
    const bool going = cud_cuda_loader_run(l, count < (size_t)l->readers ? (int)count : l->readers, copy_windows, &job);
    *refused = job.refused;
    return going;
}
