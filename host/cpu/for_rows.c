/* How rows are shared out between threads. */
#include "backend.h"

typedef struct rows_job {
    rows_fn fn;
    void *arg;
    int64_t rows;
    int parts;
} rows_job;

static void run_range(void *arg, int part, int thread)
{
    const rows_job *job = arg;
    (void)thread;
    job->fn(job->arg, job->rows * part / job->parts, job->rows * (part + 1) / job->parts);
}

void cud_cpu_for_rows(exec *ex, int64_t rows, int64_t cost, rows_fn fn, void *arg)
{
    enum { LITTLE = 16 * 1024 }; /* elements: a few microseconds, what waking a thread costs */
    cpu_backend *b = cud_cpu(ex);
    if (rows == 0) return;
    const int64_t enough = cud_max64(1, rows * cost / LITTLE);
    rows_job job = { fn, arg, rows, (int)cud_min64(cud_min64(rows, enough), b->base.threads * 4) };
    cud_pool_run(b->pool, run_range, &job, job.parts);
}
