/* What op tests share: a backend with an exec on it, tensors in its memory, and a plain pseudo-random source. Nothing here looks into
 * the backend's pointers, so that the same tests can run on another backend: op_open() is the one place that names one. */
#ifndef CUD_TESTS_OP_SUPPORT_H
#define CUD_TESTS_OP_SUPPORT_H

#include "cpu/cpu.h"
#include "support.h"
#ifdef OP_ON_CUDA /* the same tests on a CUDA device, real or emulated */
#include "backend.h"
#include "gemm.h"
#include "module.h"
#if __has_include("emulation.h")
#include "emulation.h"
#define OP_EMULATED 1
#endif
#endif
#ifndef OP_EMULATED
#define OP_EMULATED 0
#endif

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OP_MAX_OWNED = 512 };

typedef struct op_env {
    backend *b;
    exec ex;
    void *device[OP_MAX_OWNED], *host[OP_MAX_OWNED];
    int devices, hosts;
    void *workspace;
    uint64_t seed;
} op_env;

/* The levels a backend has; a test loops over them with `_i` and returns early where op_open() says there is no such. And how many counts
 * of host threads are worth a try. */
#ifdef OP_ON_CUDA
#define OP_NAME "cuda"
static const char *const op_levels[] = { "cuda" };
enum { OP_LEVELS = 1, OP_THREADS = 1 };
#else
#define OP_NAME "cpu"
static const char *const op_levels[] = { "portable", "avx2", "avx512", "avx512-bf16" };
enum { OP_LEVELS = 4, OP_THREADS = 3 };
#endif
static const dtype op_types[] = { CUDDLE_F32, CUDDLE_BF16, CUDDLE_F16 };
enum { OP_TYPES = 3 };

static inline bool op_open(op_env *e, int level, int threads)
{
    cuddle_error err = { 0 };
    *e = (op_env){ .seed = 1 };
#ifdef OP_ON_CUDA
    (void)level, (void)threads;
    const cuda_module *module = cud_cuda_module(CUD_CUDA_ABI, sizeof(op_table));
    if (module->count(&err) == 0) {
        fprintf(stderr, "skipped: %s\n", err.text);
        exit(getenv("CUDDLE_REQUIRE_DEVICE") ? 1 : 77);
    }
    ck_ok(module->open(&e->b, 0, &err));
    cuda_backend *b = (cuda_backend *)e->b;
    if (!b->gemm) ck_ok(cud_cuda_gemm_open(&b->gemm, &err));
#else
    const cud_cpu_options options = { .threads = threads, .isa = op_levels[level], .onednn = true };
    if (cud_cpu_backend_new(&e->b, &options, &err) != CUDDLE_OK) {
        ck_assert_msg(err.status == CUDDLE_E_UNSUPPORTED, "%s", err.text); /* this machine has no such instructions */
        return false;
    }
#endif
    e->ex = (exec){ .ops = e->b->ops, .backend = e->b, .mode = EXEC_RUN, .ranks = 1, .deterministic = true };
    return true;
}

static inline void op_close(op_env *e)
{
    for (int i = 0; i < e->devices; i++) e->b->ops->release(e->b, e->device[i]);
    for (int i = 0; i < e->hosts; i++) free(e->host[i]);
    if (e->workspace) e->b->ops->release(e->b, e->workspace);
    e->b->ops->destroy(e->b);
#if OP_EMULATED
    emu_live live;
    emu_live_get(&live);
    ck_assert_msg(live.device_allocations == 0 && live.streams == 0 && live.events == 0 && live.blas_objects == 0 && live.pinned_bytes == 0,
                  "the backend left something on the device");
#endif
}

/* Forgets all tensors made so far: loops over many shapes call it. */
static inline void op_reset(op_env *e)
{
    for (int i = 0; i < e->devices; i++) e->b->ops->release(e->b, e->device[i]);
    for (int i = 0; i < e->hosts; i++) free(e->host[i]);
    e->devices = e->hosts = 0;
}

/* Runs `call` on a recording exec and then for real in exactly the workspace that was counted. */
#define OP_RUN(e, call)                                      \
    do {                                                     \
        cuddle_error err = { 0 };                            \
        op_record(e);                                        \
        ck_ok(call);                                         \
        const size_t planned_ = op_start(e);                 \
        ck_ok(call);                                         \
        ck_ok((e)->b->ops->finish(&(e)->ex, &err));          \
        ck_assert_uint_eq((e)->ex.ws.used, 0);               \
        ck_assert_uint_eq((e)->ex.ws.peak, planned_);        \
    } while (0)

/* The call is accepted while recording; its tensors have no data. */
#define OP_RECORDED(e, call)      \
    do {                          \
        cuddle_error err = { 0 }; \
        op_record(e);             \
        ck_ok(call);              \
    } while (0)

static inline void op_record(op_env *e)
{
    e->ex.mode = EXEC_RECORD;
    e->ex.ws = (workspace){ 0 };
}

static inline size_t op_start(op_env *e)
{
    cuddle_error err = { 0 };
    const size_t planned = e->ex.ws.peak;
    ck_assert_uint_eq(e->ex.ws.used, 0);
    if (e->workspace) e->b->ops->release(e->b, e->workspace);
    ck_ok(e->b->ops->alloc(e->b, &e->workspace, planned, "a test's workspace", &err));
    e->ex.mode = EXEC_RUN;
    e->ex.ws = (workspace){ .base = e->workspace, .size = planned };
    return planned;
}

/* ---- memory ---- */

static inline void *op_upload(op_env *e, const void *data, size_t bytes)
{
    cuddle_error err = { 0 };
    ck_assert_int_lt(e->devices, OP_MAX_OWNED);
    void **to = &e->device[e->devices];
    ck_ok(e->b->ops->alloc(e->b, to, bytes, "a test's tensor", &err));
    e->devices++;
    ck_ok(e->b->ops->upload(&e->ex, *to, data, bytes, &err));
    return *to;
}

static inline void *op_host(op_env *e, size_t bytes)
{
    ck_assert_int_lt(e->hosts, OP_MAX_OWNED);
    void *p = malloc(bytes ? bytes : 1);
    ck_assert_ptr_nonnull(p);
    return e->host[e->hosts++] = p;
}

static inline int32_t *op_ints(op_env *e, const int32_t *values, int n) { return op_upload(e, values, (size_t)n * sizeof *values); }

static inline int64_t op_span(tensor t) { return t.size[0] * t.stride[0]; } /* elements, the last row's padding included */

/* A tensor whose rows are `pad` elements further apart than they need be; all bits set, so that what is not written is NaN. */
static inline tensor op_empty(op_env *e, dtype type, int rank, int64_t s0, int64_t s1, int64_t s2, int64_t pad)
{
    tensor t = { NULL, type, (int8_t)rank, { s0, rank > 1 ? s1 : 0, rank > 2 ? s2 : 0, 0, 0 }, { 1, 1, 1, 0, 0 } };
    if (rank == 2) t.stride[0] = s1 + pad;
    if (rank == 3) t.stride[0] = s1 * s2 + pad, t.stride[1] = s2;
    const size_t bytes = (size_t)op_span(t) * cud_dtype_size(type);
    void *ones = op_host(e, bytes);
    memset(ones, 0xff, bytes);
    t.data = op_upload(e, ones, bytes);
    return t;
}

/* Whole span of t as floats, padding included. */
static inline float *op_download(op_env *e, tensor t)
{
    cuddle_error err = { 0 };
    const size_t bytes = (size_t)op_span(t) * cud_dtype_size(t.type);
    void *raw = op_host(e, bytes);
    float *values = op_host(e, (size_t)op_span(t) * sizeof(float));
    ck_ok(e->b->ops->download(&e->ex, raw, t.data, bytes, &err));
    cud_to_float(values, raw, t.type, op_span(t));
    return values;
}

static inline void *op_raw(op_env *e, tensor t)
{
    cuddle_error err = { 0 };
    const size_t bytes = (size_t)op_span(t) * cud_dtype_size(t.type);
    void *raw = op_host(e, bytes);
    ck_ok(e->b->ops->download(&e->ex, raw, t.data, bytes, &err));
    return raw;
}

/* Uniform in [-1, 1). */
static inline float op_draw(op_env *e)
{
    e->seed = e->seed * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(e->seed >> 40) / (double)(1 << 23) - 1.0);
}

/* Values in row order, sizes without padding. */
static inline tensor op_from(op_env *e, dtype type, const float *values, int rank, int64_t s0, int64_t s1, int64_t s2, int64_t pad)
{
    tensor t = op_empty(e, type, rank, s0, s1, s2, pad);
    const int64_t cols = rank == 1 ? 1 : rank == 2 ? s1 : s1 * s2;
    char *raw = op_raw(e, t);
    for (int64_t r = 0; r < s0; r++) cud_from_float(raw + (size_t)(r * t.stride[0]) * cud_dtype_size(type), type, values + r * cols, cols);
    cuddle_error err = { 0 };
    ck_ok(e->b->ops->upload(&e->ex, t.data, raw, (size_t)op_span(t) * cud_dtype_size(type), &err));
    return t;
}

static inline tensor op_random(op_env *e, dtype type, int rank, int64_t s0, int64_t s1, int64_t s2, int64_t pad)
{
    const int64_t n = s0 * (rank > 1 ? s1 : 1) * (rank > 2 ? s2 : 1);
    float *values = op_host(e, (size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++) values[i] = op_draw(e);
    return op_from(e, type, values, rank, s0, s1, s2, pad);
}

/* A weight of one segment over a matrix made by the functions above, without padding. */
static inline weight op_weight(tensor t, bool transposed)
{
    weight w = { .format = cud_wformat_of(t.type), .n = t.size[transposed], .k = t.size[!transposed], .segments = 1,
                 .transposed = transposed };
    w.segment[0] = (weight_segment){ .data = t.data, .n = w.n };
    return w;
}

/* ---- comparing ---- */

/* Half a unit in the last place of a value of this size stored as `type`, with what is lost below the smallest normal. */
static inline double op_rounding(dtype type, double value)
{
    const double relative = type == CUDDLE_F32 ? 0x1p-24 : type == CUDDLE_BF16 ? 0x1p-8 : 0x1p-11;
    return fabs(value) * relative + (type == CUDDLE_F16 ? 0x1p-25 : 0);
}

/* |got - want| is within what storing costs plus `error`, which is what computing may cost. */
static inline void op_near(dtype type, double got, double want, double error, const char *what, int64_t row, int64_t col)
{
    const double limit = op_rounding(type, fabs(want) + error) + error;
    if (fabs(got - want) <= limit) return; /* an assertion that holds costs a system call: too much for each element */
    ck_abort_msg("%s: [%lld][%lld] is %.9g, expected %.9g +- %.3g", what, (long long)row, (long long)col, got, want, limit);
}

/* What lies between the rows was not written. */
static inline void op_padding_intact(op_env *e, tensor t)
{
    const int64_t cols = t.rank == 2 ? t.size[1] : t.size[1] * t.size[2];
    const float *v = op_download(e, t);
    for (int64_t r = 0; r < t.size[0]; r++)
        for (int64_t c = cols; c < t.stride[0]; c++)
            if (!isnan(v[r * t.stride[0] + c])) ck_abort_msg("padding of row %lld was written", (long long)r);
}

static inline void op_names(const cuddle_error *err, const char *word)
{
    ck_assert_msg(strstr(err->text, word) != NULL, "'%s' does not name '%s'", err->text, word);
}

/* The call is refused the same way while recording and while running, with a sentence that names both words. */
#define OP_REFUSED(e, call, want, word1, word2)                    \
    do {                                                           \
        for (int pass_ = 0; pass_ < 2; pass_++) {                  \
            cuddle_error err = { 0 };                              \
            (e)->ex.mode = pass_ ? EXEC_RUN : EXEC_RECORD;         \
            test_expect_failure((call), (want), &err);             \
            op_names(&err, word1);                                 \
            op_names(&err, word2);                                 \
            ck_assert_uint_eq((e)->ex.ws.used, 0);                 \
        }                                                          \
    } while (0)

static inline Suite *op_suite(const char *name, TCase **tc)
{
    Suite *s = suite_create(name);
    *tc = tcase_create(name);
    tcase_set_timeout(*tc, 600);
    suite_add_tcase(s, *tc);
    return s;
}

#endif
