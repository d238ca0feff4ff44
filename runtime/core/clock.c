#include "core/clock.h"

#include <errno.h>
#include <time.h>

double cud_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void cud_condition_init(pthread_cond_t *c)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(c, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

bool cud_condition_wait(pthread_cond_t *c, pthread_mutex_t *lock, double at)
{
    if (at <= 0) return pthread_cond_wait(c, lock) == 0;
    const struct timespec t = { (time_t)at, (long)((at - (double)(time_t)at) * 1e9) };
    return pthread_cond_timedwait(c, lock, &t) != ETIMEDOUT;
}
