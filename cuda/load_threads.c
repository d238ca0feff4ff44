/* The threads of a load. The thread that asked for the load only waits and reports; nothing but it calls the progress function. */
#include "load.h"


static const double LOOK = 0.1; /* seconds: a cancel is asked for at least this often, also while nothing arrives */

typedef struct member {
    loader *l;
    loader_fn fn;
    void *argument;
    int index;
    pthread_t thread;
} member;

static void *run_member(void *argument)
{
    const member *m = argument;
    loader *l = m->l;
    if (l->binds) (void)pthread_setaffinity_np(pthread_self(), sizeof l->cpus, &l->cpus); /* before its memory is touched */
    if (cud_cuda_loader_check(l, l->device->ops->use(l->device->self), "being used", NULL)) m->fn(l, m->index, m->argument);
    pthread_mutex_lock(&l->lock);
    l->active--;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

bool cud_cuda_loader_show(loader *l)
{
    pthread_mutex_lock(&l->lock);
    const uint64_t done = l->done;
    const bool stop = l->stop;
    l->shown = done;
    pthread_mutex_unlock(&l->lock);
    if (stop) return false;
    if (!l->progress || l->progress(done, l->plan->copy_bytes, l->user)) return true;
    cuddle_error cancelled = { CUDDLE_OK, "" };
    cud_fail(&cancelled, CUDDLE_E_CANCELLED, "the load was cancelled");
    cud_cuda_loader_fail(l, &cancelled);
    return false;
}

static void watch(loader *l)
{
    for (bool ended = false; !ended;) {
        const double until = cud_now() + LOOK;
        bool waited = false;
        pthread_mutex_lock(&l->lock);
        while (l->active && l->done == l->shown && !waited) waited = !cud_condition_wait(&l->changed, &l->lock, until);
        ended = l->active == 0;
        const bool news = l->done != l->shown || waited;
        while (l->stop && l->active) pthread_cond_wait(&l->changed, &l->lock);
        pthread_mutex_unlock(&l->lock);
        if (news) (void)cud_cuda_loader_show(l);
    }
}

bool cud_cuda_loader_run(loader *l, int threads, loader_fn fn, void *argument)
{
    member members[LOAD_READERS_MOST];
    int started = 0;
    if (threads > LOAD_READERS_MOST) threads = LOAD_READERS_MOST;
    while (started < threads && !cud_cuda_loader_stopped(l)) {
        member *m = &members[started];
        *m = (member){ .l = l, .fn = fn, .argument = argument, .index = started };
        pthread_mutex_lock(&l->lock);
        l->active++;
        pthread_mutex_unlock(&l->lock);
        if (pthread_create(&m->thread, NULL, run_member, m) != 0) {
            pthread_mutex_lock(&l->lock);
            l->active--;
            pthread_mutex_unlock(&l->lock);
            break;
        }
        started++;
    }
    if (started == 0 && !cud_cuda_loader_stopped(l)) {
        cuddle_error failure = { CUDDLE_OK, "" };
        cud_fail(&failure, CUDDLE_E_NOMEM, "not one thread for reading weights could be started");
        cud_cuda_loader_fail(l, &failure);
    } else if (started < threads && !cud_cuda_loader_stopped(l)) {
        atomic_fetch_add(&l->tally.fallback[LOAD_FALLBACK_THREADS], 1u);
    }
    watch(l);
    for (int i = 0; i < started; i++) pthread_join(members[i].thread, NULL);
    return !cud_cuda_loader_stopped(l);
}

/* ------------------------------------------------------------------------------------------------- from the threads */

void cud_cuda_loader_fail(loader *l, const cuddle_error *failure)
{
    pthread_mutex_lock(&l->lock);
    if (!l->stop) l->failure = *failure;
    l->stop = true;
    const cuddle_error first = l->failure;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    if (l->plan->fence) cud_cuda_fence_end(l->plan->fence, &first); /* at once: a reader may be in the middle of a slow read */
}

bool cud_cuda_loader_stopped(loader *l)
{
    pthread_mutex_lock(&l->lock);
    const bool stop = l->stop;
    pthread_mutex_unlock(&l->lock);
    return stop;
}

bool cud_cuda_loader_take(loader *l, size_t *next, size_t end, size_t *out)
{
    pthread_mutex_lock(&l->lock);
    const bool there = !l->stop && *next < end;
    if (there) *out = (*next)++;
    pthread_mutex_unlock(&l->lock);
    return there;
}

void cud_cuda_loader_arrived(loader *l, load_chunk *chunk)
{
    chunk->arrived = true; /* looked at when the threads have ended */
    if (l->plan->fence) cud_cuda_fence_arrived(l->plan->fence, chunk->layer, chunk->payload);
    pthread_mutex_lock(&l->lock);
    l->done += chunk->payload;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

bool cud_cuda_loader_check(loader *l, int code, const char *what, const load_chunk *chunk)
{
    if (code == 0) return true;
    cuddle_error failure = { CUDDLE_OK, "" };
    const char *why = l->device->ops->explain(l->device->self, code);
    if (chunk)
        cud_fail(&failure, CUDDLE_E_DEVICE, "%s: tensor \"%s\": %s on %s: %s", l->chunks.file[chunk->file]->name,
                 l->chunks.order[chunk->first_piece]->name, what, l->device->name, why);
    else cud_fail(&failure, CUDDLE_E_DEVICE, "loading weights: %s on %s: %s", what, l->device->name, why);
    cud_cuda_loader_fail(l, &failure);
    return false;
}

bool cud_cuda_loader_copy(loader *l, const load_chunk *c, const char *memory, void *stream)
{
    const copy_ops *ops = l->device->ops;
    int code = 0;
    for (uint32_t i = 0; i < c->cuts && code == 0; i++) {
        const load_cut *cut = &l->chunks.cut[c->first_cut + i];
        char *to = l->arena + cut->to;
        if (cut->rows == 1) code = ops->copy(l->device->self, to, memory + cut->at, cut->row_bytes, stream);
        else code = ops->copy_rows(l->device->self, to, (size_t)cut->to_pitch, memory + cut->at, cut->from_pitch, cut->row_bytes, cut->rows, stream);
    }
    return cud_cuda_loader_check(l, code, "copying", c);
}
