/* One count of missing bytes per layer. Bytes are counted once their copy's event has been seen to pass, so nothing is left to wait for on
 * the device: an event per layer would say the same again. */
#include "load_fence.h"

#include "core/clock.h"

#include <pthread.h>
#include <stdlib.h>

static const double LOOK = 0.02; /* seconds: a waiter is asked at least this often whether it still wants to wait */

struct load_fence {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool ended;
    cuddle_error failure;
    int layers;
    uint64_t left[]; /* [1 + layers]: of no layer, of layer 0, ... */
};

cuddle_status cud_cuda_fence_new(load_fence **out, const load_plan *plan, cuddle_error *err)
{
    *out = NULL;
    int layers = 0;
    for (size_t i = 0; i < plan->pieces; i++)
        if (plan->piece[i].layer >= layers) layers = plan->piece[i].layer + 1;
    load_fence *f = calloc(1, sizeof *f + ((size_t)layers + 1) * sizeof *f->left);
    if (!f) return cud_nomem(err, sizeof *f + ((size_t)layers + 1) * sizeof *f->left, "the layers of a load");
    f->layers = layers;
    for (size_t i = 0; i < plan->pieces; i++) {
        const load_piece *p = &plan->piece[i];
        f->left[p->layer < 0 ? 0 : p->layer + 1] += p->rows * p->row_bytes;
    }
    pthread_mutex_init(&f->lock, NULL); /* cannot fail on Linux */
    cud_condition_init(&f->changed);
    *out = f;
    return CUDDLE_OK;
}

void cud_cuda_fence_free(load_fence *f)
{
    if (!f) return;
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

static bool passed(const load_fence *f, int layer)
{
    return f->ended || (f->left[0] == 0 && (layer < 0 || layer >= f->layers || f->left[layer + 1] == 0));
}

cuddle_status cud_cuda_fence_wait(load_fence *f, int layer, bool (*stop)(void *user), void *user, cuddle_error *err)
{
    bool stopped = false;
    pthread_mutex_lock(&f->lock);
    while (!passed(f, layer) && !(stopped = stop && stop(user))) (void)cud_condition_wait(&f->changed, &f->lock, cud_now() + LOOK);
    const cuddle_error failure = f->failure;
    pthread_mutex_unlock(&f->lock);
    if (stopped) return cud_fail(err, CUDDLE_E_BUSY, "waiting for a layer was given up");
    return failure.status ? cud_fail(err, failure.status, "%s", failure.text) : CUDDLE_OK;
}

bool cud_cuda_fence_passed(load_fence *f, int layer)
{
    pthread_mutex_lock(&f->lock);
    const bool result = passed(f, layer);
    pthread_mutex_unlock(&f->lock);
    return result;
}

void cud_cuda_fence_arrived(load_fence *f, int layer, uint64_t bytes)
{
    pthread_mutex_lock(&f->lock);
    uint64_t *left = &f->left[layer < 0 ? 0 : layer + 1];
    *left -= bytes;
    if (*left == 0) pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

void cud_cuda_fence_end(load_fence *f, const cuddle_error *failure)
{
    pthread_mutex_lock(&f->lock);
    f->ended = true;
    if (failure->status && !f->failure.status) f->failure = *failure;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}
