/* Decides how a load plan is carried out: through the ring, from registered windows of the files, or whichever turns out faster. */
#include "load.h"

#include <stdlib.h>

const loader_settings cud_cuda_loader_defaults = { .readers = 0, .slot_bytes = 4 << 20, .window_bytes = 64 << 20, .trial_part = 16 };
enum { READERS = 8, CORES_LEFT = 2 /* to the program and the tokenizer */ };

static int readers_for(const loader *l)
{
    const int spare = cud_cuda_cores() - CORES_LEFT;
    const int wanted = l->settings->readers > 0 ? l->settings->readers : spare < 1 ? 1 : spare < READERS ? spare : READERS;
    return wanted < LOAD_READERS_MOST ? wanted : LOAD_READERS_MOST;
}

static bool fail_nomem(loader *l, size_t bytes)
{
    cuddle_error failure = { CUDDLE_OK, "" };
    cud_nomem(&failure, bytes, "the parts of a load");
    cud_cuda_loader_fail(l, &failure);
    return false;
}

/* ------------------------------------------------------------------------------------------------------ the two ways */

/* What a load is carried out with. */
typedef struct work {
    load_ring ring;
    size_t *todo; /* [chunks]: numbers of chunks for the ring */
    load_window *windows;
    size_t window_count;
} work;

/* Loads through the ring what has not arrived and lies before chunk `end`; with `skip_windows`, what is in no window. */
static bool ring_rest(loader *l, work *w, bool skip_windows)
{
    size_t count = 0, next = 0;
    for (size_t i = 0; i < l->chunks.chunks; i++) {
        while (next < w->window_count && w->windows[next].first + w->windows[next].count <= i) next++;
        const bool in_window = next < w->window_count && w->windows[next].first <= i;
        if (!l->chunks.chunk[i].arrived && !(skip_windows && in_window)) w->todo[count++] = i;
    }
    return cud_cuda_ring_load(l, &w->ring, w->todo, count);
}

/* Registered windows; whatever is refused goes through the ring. */
static bool load_registered(loader *l, work *w)
{
    bool refused = false;
    for (size_t i = 0; i < l->chunks.files; i++)
        if (l->file[i].network) atomic_fetch_add(&l->tally.fallback[LOAD_FALLBACK_NETWORK], 1u);
    if (!ring_rest(l, w, true)) return false; /* tables in memory and the like: first, because layers wait for them */
    return cud_cuda_windows_load(l, w->windows, w->window_count, &refused) && ring_rest(l, w, false);
}

static uint64_t payload(const load_window *w, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += w[i].payload;
    return bytes;
}

/* Tries some windows either way, and keeps the faster for the rest. The time to page-lock the ring does not count: it is spent by then. */
static bool load_faster(loader *l, work *w)
{
    const size_t each = (size_t)l->readers;
    bool refused = false;
    if (!cud_cuda_ring_open(l, &w->ring, l->readers) || !ring_rest(l, w, true)) return false;
    const double began = cud_now();
    if (!cud_cuda_windows_load(l, w->windows, each, &refused)) return false;
    if (refused) return ring_rest(l, w, false);
    const double registered = cud_now() - began;
    size_t count = 0;
    for (size_t i = each; i < 2 * each; i++)
        for (size_t j = 0; j < w->windows[i].count; j++) w->todo[count++] = w->windows[i].first + j;
    const double then = cud_now();
    if (!cud_cuda_ring_load(l, &w->ring, w->todo, count)) return false;
    const double ringed = cud_now() - then;
    const bool registering_wins = (double)payload(w->windows, each) * ringed > (double)payload(w->windows + each, each) * registered;
    if (registering_wins && !cud_cuda_windows_load(l, w->windows + 2 * each, w->window_count - 2 * each, &refused)) return false;
    return ring_rest(l, w, false);
}

static bool worth_a_trial(const loader *l, const work *w)
{
    const size_t each = (size_t)l->readers;
    return l->device->registers_files && w->window_count > 2 * each &&
           payload(w->windows, 2 * each) <= 2 * (l->plan->copy_bytes / l->settings->trial_part);
}

static bool load_by_mode(loader *l, work *w)
{
    const int mode = (int)l->plan->mode;
    if (mode == CUDDLE_LOAD_RING) return ring_rest(l, w, false);
    if (!cud_cuda_windows_make(l, &w->windows, &w->window_count)) return false;
    if (mode == CUDDLE_LOAD_REGISTER || l->device->shares_page_tables) return load_registered(l, w);
    return worth_a_trial(l, w) ? load_faster(l, w) : ring_rest(l, w, false);
}

/* --------------------------------------------------------------------------------------------------------- the load */

static void measure_ceiling(loader *l, work *w)
{
    load_report *report = l->plan->report;
    if (cud_cuda_ring_open(l, &w->ring, l->readers)) report->ceiling_gb_per_s = cud_cuda_ring_ceiling(l, &w->ring);
}

static void fill_report(loader *l, load_report *report, double seconds)
{
    report->bytes = l->done;
    report->seconds = seconds;
    report->gb_per_s = seconds > 0 ? 1e-9 * (double)l->done / seconds : 0;
    report->ceiling_share = report->ceiling_gb_per_s > 0 ? report->gb_per_s / report->ceiling_gb_per_s : 0;
    report->readers = l->readers;
    report->resident_bytes = atomic_load(&l->tally.resident);
    report->direct_bytes = atomic_load(&l->tally.direct);
    report->plain_bytes = atomic_load(&l->tally.plain);
    report->registered_bytes = atomic_load(&l->tally.registered);
    report->mode = report->registered_bytes > l->done / 2 ? CUDDLE_LOAD_REGISTER : CUDDLE_LOAD_RING;
    for (int i = 0; i < LOAD_FALLBACK_COUNT; i++) report->fallback[i] = atomic_load(&l->tally.fallback[i]);
}

static void check_unchanged(loader *l)
{
    cuddle_error failure = { CUDDLE_OK, "" };
    for (size_t i = 0; i < l->chunks.files && !failure.status; i++)
        if (!cud_source_unchanged(l->chunks.file[i])) cud_fail(&failure, CUDDLE_E_IO, "%s: changed while it was being loaded", l->chunks.file[i]->name);
    if (failure.status) cud_cuda_loader_fail(l, &failure);
}

static void carry_out(loader *l)
{
    load_report *report = l->plan->report;
    work w = { .todo = NULL };
    double began = cud_now();
    if (cud_cuda_loader_check(l, l->device->ops->use(l->device->self), "being used", NULL) && cud_cuda_loader_show(l)) {
        cuddle_error failure = { CUDDLE_OK, "" };
        if (cud_cuda_chunks_make(&l->chunks, l->plan, l->settings->slot_bytes, &failure)) cud_cuda_loader_fail(l, &failure);
    }
    l->file = calloc(l->chunks.files + 1, sizeof *l->file);
    w.todo = malloc((l->chunks.chunks + 1) * sizeof *w.todo);
    if (!l->file || !w.todo) fail_nomem(l, (l->chunks.chunks + 1) * sizeof *w.todo);
    else cud_cuda_files_open(l->file, &l->chunks, &l->tally);
    if (report && report->measure_ceiling && l->chunks.chunks && !cud_cuda_loader_stopped(l)) {
        measure_ceiling(l, &w);
        began = cud_now();
    }
    if (!cud_cuda_loader_stopped(l) && l->chunks.chunks && load_by_mode(l, &w)) check_unchanged(l);
    if (report) fill_report(l, report, cud_now() - began);
    cud_cuda_ring_close(l, &w.ring);
    if (l->file) cud_cuda_files_close(l->file, l->chunks.files);
    free(l->file);
    free(w.todo);
    free(w.windows);
    cud_cuda_chunks_free(&l->chunks);
}

cuddle_status cud_cuda_load_with(const copy_device *device, const loader_settings *settings, void *arena, const load_plan *plan,
                                 load_progress_fn progress, void *user, cuddle_error *err)
{
    if (plan->report) *plan->report = (load_report){ .measure_ceiling = plan->report->measure_ceiling };
    loader l = { .device = device, .settings = settings, .plan = plan, .arena = arena, .progress = progress, .user = user };
    pthread_mutex_init(&l.lock, NULL); /* these cannot fail on Linux */
    cud_condition_init(&l.changed);
    l.readers = readers_for(&l);
    l.binds = cud_cuda_cores_near(&l.cpus, device->numa_node);
    const cuddle_status refused = cud_load_check_mode((int)plan->mode, LOAD_MODES, "cuda", &l.failure);
    if (!refused) carry_out(&l);
    if (plan->fence) cud_cuda_fence_end(plan->fence, &l.failure);
    pthread_cond_destroy(&l.changed);
    pthread_mutex_destroy(&l.lock);
    return l.failure.status ? cud_fail(err, l.failure.status, "%s", l.failure.text) : CUDDLE_OK;
}
