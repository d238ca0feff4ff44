#include "engine/stats.h"

#include <math.h>

/* 1, 2 and 5 times a power of ten, from 10 microseconds to 500 seconds. */
static const double bounds[CUDDLE_HISTOGRAM_BUCKETS - 1] = {
    1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500,
};

double cud_histogram_bound(int bucket)
{
    if (bucket < 0) return 0;
    return bucket < CUDDLE_HISTOGRAM_BUCKETS - 1 ? bounds[bucket] : (double)INFINITY;
}

void cud_histogram_add(cuddle_histogram *h, double value)
{
    int i = 0;
    while (i < CUDDLE_HISTOGRAM_BUCKETS - 1 && value > bounds[i]) i++;
    h->buckets[i]++;
    h->count++;
    h->sum += value;
}

void cud_stats_ended(cuddle_engine_stats *s, cuddle_finish finish, double seconds)
{
    switch (finish) {
    case CUDDLE_FINISH_NONE: return;
    case CUDDLE_FINISH_EOS: s->ended_eos++; break;
    case CUDDLE_FINISH_STOP: s->ended_stop++; break;
    case CUDDLE_FINISH_LENGTH: s->ended_length++; break;
    case CUDDLE_FINISH_CANCELLED: s->ended_cancelled++; break;
    case CUDDLE_FINISH_FAILED: s->ended_failed++; break;
    case CUDDLE_FINISH_DEADLINE: s->ended_deadline++; break;
    case CUDDLE_FINISH_DONE: s->ended_done++; break;
    }
    cud_histogram_add(&s->request_seconds, seconds);
}

void cud_stats_add_scheduler(cuddle_engine_stats *s, const scheduler *from)
{
    s->preempted += from->preempted;
    s->prefix_asked += from->prefix_asked;
    s->prefix_hits += from->prefix_hits;
    s->prefix_evicted += from->pool.evicted;
}
