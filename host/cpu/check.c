/* Checks that every op makes, and how rows are shared out. */
#include "backend.h"

cuddle_status cud_cpu_check(const char *op, const char *what, tensor t, int rank, int64_t size0, int64_t size1, int64_t size2,
                            cuddle_error *err)
{
    const int64_t want[3] = { size0, size1, size2 };
    if (t.rank != rank) return cud_fail(err, CUDDLE_E_INTERNAL, "%s on cpu: %s has rank %d, expected %d", op, what, t.rank, rank);
    if (!cud_dtype_is_compute(t.type))
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s on cpu: %s has dtype %s", op, what, cud_dtype_name(t.type));
    for (int i = 0; i < rank; i++) {
        if (t.size[i] < 0 || (want[i] >= 0 && t.size[i] != want[i]))
            return cud_fail(err, CUDDLE_E_INTERNAL, "%s on cpu: dimension %d of %s is %lld, expected %lld", op, i, what,
                            (long long)t.size[i], (long long)want[i]);
    }
    if (t.stride[rank - 1] != 1 && t.size[rank - 1] > 1)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s on cpu: the last dimension of %s has stride %lld", op, what,
                        (long long)t.stride[rank - 1]);
    return CUDDLE_OK;
}

cuddle_status cud_cpu_check_vector(const char *op, const char *what, tensor t, int64_t n, cuddle_error *err)
{
    if (!cud_present(t)) return CUDDLE_OK;
    return cud_cpu_check(op, what, t, 1, n, -1, -1, err);
}

cuddle_status cud_cpu_check_weight(const char *op, const weight *w, cuddle_error *err)
{
    if (cud_wformat_dtype(w->format) == CUDDLE_DTYPE_COUNT)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s on cpu: weight format %s", op, cud_wformat_name(w->format));
    if (w->experts > 0) return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s on cpu: a weight of %d experts", op, w->experts);
    if (w->segments < 1 || w->segments > CUD_MAX_SEGMENTS)
        return cud_fail(err, CUDDLE_E_INTERNAL, "%s on cpu: a weight of %d segments", op, w->segments);
    if (w->transposed && w->segments != 1)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s on cpu: a transposed weight of %d segments", op, w->segments);
    int64_t n = 0;
    for (int i = 0; i < w->segments; i++) {
        if (w->segment[i].n < 0 || w->segment[i].perm || w->segment[i].scale || w->segment[i].zero)
            return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s on cpu: a %s weight with scales, zeros or a permutation", op,
                            cud_wformat_name(w->format));
        n += w->segment[i].n;
    }
    if (n != w->n || w->k < 0)
        return cud_fail(err, CUDDLE_E_INTERNAL, "%s on cpu: the weight's segments have %lld rows, expected %lld", op, (long long)n,
                        (long long)w->n);
    return CUDDLE_OK;
}

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
