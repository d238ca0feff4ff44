/* Threads that compute: a caller and threads - 1 workers share out the parts of one job at a time. */
#ifndef CUD_CPU_POOL_H
#define CUD_CPU_POOL_H

#include "core/status.h"

typedef struct pool pool;

/* Does part `part` of a job; `thread` is 0 for the caller and below the pool's thread count. */
typedef void (*pool_fn)(void *arg, int part, int thread);

/* threads counts the caller. Release with cud_pool_free(). Workers block all signals. */
cuddle_status cud_pool_new(pool **out, int threads, cuddle_error *err);
void cud_pool_free(pool *p); /* joins the workers; NULL is fine */
int cud_pool_threads(const pool *p);

/* Calls fn for every part in [0, parts), in no order and by several threads at once, and returns when all are done. Allocates
 * nothing. One caller at a time, and never from inside a part. */
void cud_pool_run(pool *p, pool_fn fn, void *arg, int parts);

#endif
