/* oneDNN's matmul on weights as they lie ('ba'): see onednn.h. Versions 2 and 3 differ in how descriptors are made; the shim is at the
 * top, everything else is common. */
#include "onednn.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { PLANS = 128 };

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *cud_cpu_onednn_version(void) { return TEXT(DNNL_VERSION_MAJOR) "." TEXT(DNNL_VERSION_MINOR) "." TEXT(DNNL_VERSION_PATCH); }

/* oneDNN brings an OpenMP runtime or another one; this is how many threads it may use when called from this thread. Weak: it need
 * not be OpenMP. */
__attribute__((weak)) void omp_set_num_threads(int threads);
__attribute__((weak)) int omp_get_max_threads(void);

typedef struct thread_state {
    dnnl_stream_t stream;
    void *scratch;
    size_t scratch_bytes;
} thread_state;

struct onednn_plan {
    dtype type;
    int64_t rows, n, k;
    uint64_t used; /* when it was last asked for */
    bool failed;
    dnnl_primitive_t primitive;
    dnnl_memory_t *memory; /* [threads][4]: src, weights, dst, scratchpad */
};

struct onednn {
    dnnl_engine_t engine;
    int threads;
    uint64_t clock;
    atomic_long failures;
    thread_state *thread;
    onednn_plan plan[PLANS];
};

/* ------------------------------------------------------------------------------------------------------- versions */

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t layout; /* an owned handle */
static bool layout_make(layout *l, dnnl_dims_t sizes, dnnl_data_type_t type, dnnl_dims_t strides)
{
    return dnnl_memory_desc_create_with_strides(l, 2, sizes, type, strides) == dnnl_success;
}
static void layout_free(layout *l) { dnnl_memory_desc_destroy(*l); }
static dnnl_status_t memory_make(dnnl_memory_t *m, const layout *l, dnnl_engine_t e) { return dnnl_memory_create(m, *l, e, DNNL_MEMORY_NONE); }
static dnnl_status_t describe(dnnl_primitive_desc_t *pd, const layout l[3], dnnl_primitive_attr_t attr, dnnl_engine_t e)
{
    return dnnl_matmul_primitive_desc_create(pd, e, l[0], l[1], NULL, l[2], attr);
}
#else
typedef dnnl_memory_desc_t layout; /* a struct */
static bool layout_make(layout *l, dnnl_dims_t sizes, dnnl_data_type_t type, dnnl_dims_t strides)
{
    return dnnl_memory_desc_init_by_strides(l, 2, sizes, type, strides) == dnnl_success;
}
static void layout_free(layout *l) { (void)l; }
static dnnl_status_t memory_make(dnnl_memory_t *m, const layout *l, dnnl_engine_t e) { return dnnl_memory_create(m, l, e, DNNL_MEMORY_NONE); }
static dnnl_status_t describe(dnnl_primitive_desc_t *pd, const layout l[3], dnnl_primitive_attr_t attr, dnnl_engine_t e)
{
    dnnl_matmul_desc_t d;
    const dnnl_status_t status = dnnl_matmul_desc_init(&d, &l[0], &l[1], NULL, &l[2]);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &d, attr, e, NULL) : status;
}
#endif

/* ---------------------------------------------------------------------------------------------------------- plans */

static int hold_openmp(void)
{
    const int before = omp_get_max_threads ? omp_get_max_threads() : 0;
    if (omp_set_num_threads) omp_set_num_threads(1);
    return before;
}

static void let_openmp(int before)
{
    if (omp_set_num_threads && before > 0) omp_set_num_threads(before);
}

static void plan_clear(onednn *o, onednn_plan *p)
{
    for (int i = 0; p->memory && i < 4 * o->threads; i++)
        if (p->memory[i]) dnnl_memory_destroy(p->memory[i]);
    free(p->memory);
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    *p = (onednn_plan){ 0 };
}

static bool make_memory(onednn *o, onednn_plan *p, const layout l[3], const_dnnl_primitive_desc_t pd)
{
    p->memory = calloc(4 * (size_t)o->threads, sizeof *p->memory);
    if (!p->memory) return false;
    const size_t scratch = dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0));
    for (int t = 0; t < o->threads; t++) {
        for (int i = 0; i < 3; i++)
            if (memory_make(&p->memory[4 * t + i], &l[i], o->engine) != dnnl_success) return false;
        if (dnnl_memory_create(&p->memory[4 * t + 3], dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0), o->engine,
                               DNNL_MEMORY_NONE) != dnnl_success)
            return false;
        thread_state *s = &o->thread[t];
        if (scratch > s->scratch_bytes) { /* one for all plans: a thread runs one at a time */
            void *bigger = NULL;
            if (posix_memalign(&bigger, 4096, scratch) != 0) return false;
            free(s->scratch);
            s->scratch = bigger;
            s->scratch_bytes = scratch;
        }
    }
    return true;
}

static bool plan_make(onednn *o, onednn_plan *p)
{
    const dnnl_data_type_t type = p->type == CUDDLE_BF16 ? dnnl_bf16 : dnnl_f32;
    layout l[3];
    int layouts = 0;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    bool ok = layout_make(&l[0], (dnnl_dims_t){ p->rows, p->k }, type, (dnnl_dims_t){ p->k, 1 });
    layouts += ok;
    ok = ok && layout_make(&l[1], (dnnl_dims_t){ p->k, p->n }, type, (dnnl_dims_t){ 1, p->k });
    layouts += ok;
    ok = ok && layout_make(&l[2], (dnnl_dims_t){ p->rows, p->n }, dnnl_f32, (dnnl_dims_t){ p->n, 1 });
    layouts += ok;
    ok = ok && dnnl_primitive_attr_create(&attr) == dnnl_success &&
         dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user) == dnnl_success &&
         describe(&pd, l, attr, o->engine) == dnnl_success && dnnl_primitive_create(&p->primitive, pd) == dnnl_success &&
         make_memory(o, p, l, pd);
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (attr) dnnl_primitive_attr_destroy(attr);
    for (int i = 0; i < layouts; i++) layout_free(&l[i]);
    return ok;
}

onednn_plan *cud_onednn_plan(onednn *o, dtype type, int64_t rows, int64_t n, int64_t k)
{
    onednn_plan *p = &o->plan[0]; /* the one not asked for the longest */
    for (int i = 0; i < PLANS; i++) {
        onednn_plan *q = &o->plan[i];
        if (q->used && q->type == type && q->rows == rows && q->n == n && q->k == k) {
            q->used = ++o->clock;
            if (q->failed) atomic_fetch_add(&o->failures, 1);
            return q->failed ? NULL : q;
        }
        if (q->used < p->used) p = q;
    }
    plan_clear(o, p);
    *p = (onednn_plan){ .type = type, .rows = rows, .n = n, .k = k, .used = ++o->clock };
    const int before = hold_openmp();
    p->failed = !plan_make(o, p);
    let_openmp(before);
    if (p->failed) atomic_fetch_add(&o->failures, 1);
    return p->failed ? NULL : p;
}

bool cud_onednn_run(onednn *o, onednn_plan *p, int thread, const void *x, const void *w, float *out)
{
    thread_state *s = &o->thread[thread];
    dnnl_memory_t *m = p->memory + 4 * thread;
    void *const pointers[4] = { (void *)(uintptr_t)x, (void *)(uintptr_t)w, out, s->scratch };
    const dnnl_exec_arg_t args[4] = { { DNNL_ARG_SRC, m[0] }, { DNNL_ARG_WEIGHTS, m[1] }, { DNNL_ARG_DST, m[2] }, { DNNL_ARG_SCRATCHPAD, m[3] } };
    const int before = hold_openmp();
    bool ok = true;
    for (int i = 0; i < 4; i++) ok = ok && dnnl_memory_set_data_handle(m[i], pointers[i]) == dnnl_success;
    ok = ok && dnnl_primitive_execute(p->primitive, s->stream, 4, args) == dnnl_success && dnnl_stream_wait(s->stream) == dnnl_success;
    let_openmp(before);
    if (!ok) atomic_fetch_add(&o->failures, 1);
    return ok;
}

long cud_onednn_failures(const onednn *o) { return atomic_load(&o->failures); }

/* ---------------------------------------------------------------------------------------------------------- state */

void cud_onednn_free(onednn *o)
{
    if (!o) return;
    for (int i = 0; i < PLANS; i++) plan_clear(o, &o->plan[i]);
    for (int t = 0; o->thread && t < o->threads; t++) {
        if (o->thread[t].stream) dnnl_stream_destroy(o->thread[t].stream);
        free(o->thread[t].scratch);
    }
    free(o->thread);
    if (o->engine) dnnl_engine_destroy(o->engine);
    free(o);
}

cuddle_status cud_onednn_new(onednn **out, int threads, cpu_isa isa, cuddle_error *err)
{
    *out = NULL;
    if (isa != cud_cpu_best_isa()) return CUDDLE_OK; /* it knows nothing of a lesser set that was asked for */
    onednn *o = calloc(1, sizeof *o);
    if (!o) return cud_nomem(err, sizeof *o, "oneDNN's state");
    o->threads = threads;
    o->thread = calloc((size_t)threads, sizeof *o->thread);
    bool ok = o->thread && dnnl_engine_create(&o->engine, dnnl_cpu, 0) == dnnl_success;
    for (int t = 0; ok && t < threads; t++) ok = dnnl_stream_create(&o->thread[t].stream, o->engine, dnnl_stream_default_flags) == dnnl_success;
    if (!ok) {
        cud_onednn_free(o);
        return cud_nomem(err, sizeof *o, "oneDNN's state");
    }
    *out = o;
    return CUDDLE_OK;
}
