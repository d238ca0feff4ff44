/* One word, `left`, is the whole protocol: a part is claimed by lowering it from n to n - 1, which makes it part number
 * parts - n. Whoever lowers it has seen the release that published the job, and the job cannot end before that part is done; so a
 * worker that wakes late finds nothing to claim and disturbs nobody, and the caller waits for parts, never for threads.
 *
 * Idle workers spin for some microseconds, because the ops of a decode step follow one another closely, then block. */
#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { SPINS = 2000 }; /* of about 20 to 40 ns each */

typedef struct worker {
    pool *pool;
    pthread_t thread;
    int index;
} worker;

struct pool {
    _Alignas(64) atomic_int left; /* parts not yet claimed */
    _Alignas(64) atomic_int done; /* parts finished */
    _Alignas(64) atomic_int sleepers;
    atomic_int caller_sleeps;
    atomic_bool stop;
    pool_fn fn; /* the job: written before `left` is, read after a claim */
    void *arg;
    int parts;
    int threads, started;
    pthread_mutex_t mutex;
    pthread_cond_t work, finished;
    worker worker[];
};

static void pause_a_little(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Does one part; false if none was left. */
static bool work_once(pool *p, int thread)
{
    int left = atomic_load_explicit(&p->left, memory_order_acquire);
    while (left > 0) {
        if (!atomic_compare_exchange_weak_explicit(&p->left, &left, left - 1, memory_order_acq_rel, memory_order_acquire)) continue;
        const int parts = p->parts;
        p->fn(p->arg, parts - left, thread);
        if (atomic_fetch_add(&p->done, 1) + 1 == parts && atomic_load(&p->caller_sleeps)) {
            pthread_mutex_lock(&p->mutex);
            pthread_cond_signal(&p->finished);
            pthread_mutex_unlock(&p->mutex);
        }
        return true;
    }
    return false;
}

static void wait_for_work(pool *p)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&p->left, memory_order_relaxed) > 0 || atomic_load_explicit(&p->stop, memory_order_relaxed)) return;
        pause_a_little();
    }
    pthread_mutex_lock(&p->mutex);
    atomic_fetch_add(&p->sleepers, 1);
    while (atomic_load(&p->left) == 0 && !atomic_load(&p->stop)) pthread_cond_wait(&p->work, &p->mutex);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->mutex);
}

static void *worker_main(void *arg)
{
    worker *w = arg;
    pool *p = w->pool;
    while (!atomic_load(&p->stop))
        if (!work_once(p, w->index)) wait_for_work(p);
    return NULL;
}

void cud_pool_run(pool *p, pool_fn fn, void *arg, int parts)
{
    if (parts <= 1 || p->threads == 1) {
        for (int i = 0; i < parts; i++) fn(arg, i, 0);
        return;
    }
    p->fn = fn;
    p->arg = arg;
    p->parts = parts;
    atomic_store(&p->done, 0);
    atomic_store(&p->left, parts);
    if (atomic_load(&p->sleepers) > 0) {
        pthread_mutex_lock(&p->mutex);
        pthread_cond_broadcast(&p->work);
        pthread_mutex_unlock(&p->mutex);
    }
    while (work_once(p, 0)) continue;
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&p->done, memory_order_acquire) == parts) return;
        pause_a_little();
    }
    pthread_mutex_lock(&p->mutex);
    atomic_store(&p->caller_sleeps, 1);
    while (atomic_load(&p->done) != parts) pthread_cond_wait(&p->finished, &p->mutex);
    atomic_store(&p->caller_sleeps, 0);
    pthread_mutex_unlock(&p->mutex);
}

void cud_pool_free(pool *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->mutex);
    atomic_store(&p->stop, true);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->mutex);
    for (int i = 0; i < p->started; i++) pthread_join(p->worker[i].thread, NULL);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->finished);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

int cud_pool_threads(const pool *p) { return p->threads; }

cuddle_status cud_pool_new(pool **out, int threads, cuddle_error *err)
{
    *out = NULL;
    const size_t bytes = sizeof(pool) + (size_t)threads * sizeof(worker);
    void *memory = NULL;
    if (posix_memalign(&memory, 64, bytes) != 0) return cud_nomem(err, bytes, "the thread pool");
    pool *p = memory;
    atomic_init(&p->left, 0);
    atomic_init(&p->done, 0);
    atomic_init(&p->sleepers, 0);
    atomic_init(&p->caller_sleeps, 0);
    atomic_init(&p->stop, false);
    p->fn = NULL, p->arg = NULL, p->parts = 0;
    p->threads = threads, p->started = 0;
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->finished, NULL);

    sigset_t all, before; /* a program's signal handlers are not run on our threads */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = 0;
    while (!failed && p->started < threads - 1) {
        worker *w = &p->worker[p->started];
        w->pool = p;
        w->index = p->started + 1;
        failed = pthread_create(&w->thread, NULL, worker_main, w);
        if (!failed) p->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        const int started = p->started;
        cud_pool_free(p);
        return cud_fail(err, CUDDLE_E_NOMEM, "the system started %d of %d worker threads", started, threads - 1);
    }
    *out = p;
    return CUDDLE_OK;
}
