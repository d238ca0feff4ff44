/* Which products oneDNN does, and what happens when it fails: its calls are wrapped at link time, to be counted and to fail in their turn.
 * Numbers are whole and small, so that a sum is exact in any order. */
#include "cpu/backend.h"
#include "cpu/onednn.h"
#include "op_support.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdatomic.h>

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t const_layout;
#else
typedef const dnnl_memory_desc_t *const_layout;
#endif

__attribute__((weak)) int omp_get_max_threads(void);

/* Calls that can fail, the one that does, objects not yet destroyed, products run, and how many of those had more threads than the caller. */
static atomic_long steps, failing, live, executed, crowded;

static bool fails(void) { return atomic_fetch_add(&steps, 1) + 1 == atomic_load(&failing); }

static dnnl_status_t count(dnnl_status_t status, int more)
{
    if (status == dnnl_success) atomic_fetch_add(&live, more);
    return status;
}

#define WRAP(name, parameters, how, ...)      \
    dnnl_status_t __real_##name parameters;   \
    dnnl_status_t __wrap_##name parameters;   \
    dnnl_status_t __wrap_##name parameters { return how(__real_##name(__VA_ARGS__)); }
#define STEP(real) fails() ? dnnl_out_of_memory : real
#define MAKE(real) fails() ? dnnl_out_of_memory : count(real, 1)
#define DESTROY(real) count(real, -1)

WRAP(dnnl_engine_create, (dnnl_engine_t *out, dnnl_engine_kind_t kind, size_t index), MAKE, out, kind, index)
WRAP(dnnl_engine_destroy, (dnnl_engine_t engine), DESTROY, engine)
WRAP(dnnl_stream_create, (dnnl_stream_t *out, dnnl_engine_t engine, unsigned flags), MAKE, out, engine, flags)
WRAP(dnnl_stream_destroy, (dnnl_stream_t stream), DESTROY, stream)
WRAP(dnnl_stream_wait, (dnnl_stream_t stream), STEP, stream)
WRAP(dnnl_primitive_attr_create, (dnnl_primitive_attr_t *out), MAKE, out)
WRAP(dnnl_primitive_attr_destroy, (dnnl_primitive_attr_t attr), DESTROY, attr)
WRAP(dnnl_primitive_attr_set_scratchpad_mode, (dnnl_primitive_attr_t attr, dnnl_scratchpad_mode_t mode), STEP, attr, mode)
WRAP(dnnl_primitive_desc_destroy, (dnnl_primitive_desc_t desc), DESTROY, desc)
WRAP(dnnl_primitive_create, (dnnl_primitive_t *out, const_dnnl_primitive_desc_t desc), MAKE, out, desc)
WRAP(dnnl_primitive_destroy, (dnnl_primitive_t primitive), DESTROY, primitive)
WRAP(dnnl_memory_create, (dnnl_memory_t *out, const_layout desc, dnnl_engine_t engine, void *data), MAKE, out, desc, engine, data)
WRAP(dnnl_memory_destroy, (dnnl_memory_t memory), DESTROY, memory)
WRAP(dnnl_memory_set_data_handle, (dnnl_memory_t memory, void *data), STEP, memory, data)
#if DNNL_VERSION_MAJOR >= 3
WRAP(dnnl_matmul_primitive_desc_create,
     (dnnl_primitive_desc_t *out, dnnl_engine_t engine, const_layout x, const_layout w, const_layout bias, const_layout y,
      const_dnnl_primitive_attr_t attr),
     MAKE, out, engine, x, w, bias, y, attr)
WRAP(dnnl_memory_desc_create_with_strides,
     (dnnl_memory_desc_t *out, int axes, const dnnl_dims_t sizes, dnnl_data_type_t type, const dnnl_dims_t strides), MAKE, out, axes, sizes, type,
     strides)
WRAP(dnnl_memory_desc_destroy, (dnnl_memory_desc_t desc), DESTROY, desc)
#else
WRAP(dnnl_primitive_desc_create,
     (dnnl_primitive_desc_t *out, const_dnnl_op_desc_t op, const_dnnl_primitive_attr_t attr, dnnl_engine_t engine, const_dnnl_primitive_desc_t hint),
     MAKE, out, op, attr, engine, hint)
#endif

dnnl_status_t __real_dnnl_primitive_execute(const_dnnl_primitive_t, dnnl_stream_t, int, const dnnl_exec_arg_t *);
dnnl_status_t __wrap_dnnl_primitive_execute(const_dnnl_primitive_t, dnnl_stream_t, int, const dnnl_exec_arg_t *);
dnnl_status_t __wrap_dnnl_primitive_execute(const_dnnl_primitive_t primitive, dnnl_stream_t stream, int args, const dnnl_exec_arg_t *arg)
{
    atomic_fetch_add(&executed, 1);
    if (omp_get_max_threads && omp_get_max_threads() != 1) atomic_fetch_add(&crowded, 1);
    return STEP(__real_dnnl_primitive_execute(primitive, stream, args, arg));
}

static void start_counting(long failing_step)
{
    atomic_store(&steps, 0);
    atomic_store(&failing, failing_step);
    atomic_store(&executed, 0);
    atomic_store(&crowded, 0);
}

static float x_at(int64_t r, int64_t c) { return (float)((r * 5 + c * 3) % 7 - 3); }
static float w_at(int64_t r, int64_t c) { return (float)((r * 2 + c * 5) % 5 - 2); }

static float product(int64_t r, int64_t n, int64_t k)
{
    float sum = 0;
    for (int64_t c = 0; c < k; c++) sum += x_at(r, c) * w_at(n, c);
    return sum;
}

static void fill(float *to, float (*at)(int64_t, int64_t), int64_t rows, int64_t cols)
{
    for (int64_t i = 0; i < rows * cols; i++) to[i] = at(i / cols, i % cols);
}

/* ---------------------------------------------------------------------------------------------------------- plans */

enum { ROWS = 16, N = 24, K = 8, THREADS = 2 };

/* One plan made and run on thread 1, with one call of oneDNN or one allocation failing (0: none). True if one did. */
static bool try_plan(long failing_step, long failing_allocation)
{
    float x[ROWS * K], w[N * K], out[ROWS * N];
    fill(x, x_at, ROWS, K);
    fill(w, w_at, N, K);
    start_counting(failing_step);
    test_fail_allocation(failing_allocation, false);
    onednn *o;
    cuddle_error err = { 0 };
    const cuddle_status status = cud_onednn_new(&o, THREADS, cud_cpu_best_isa(), &err);
    if (status) {
        test_fail_allocation(0, false);
        test_expect_failure(status, CUDDLE_E_NOMEM, &err);
        ck_assert_ptr_null(o);
        ck_assert_int_eq(live, 0);
        return true;
    }
    onednn_plan *plan = cud_onednn_plan(o, CUDDLE_F32, ROWS, N, K);
    const bool allocation_failed = test_fail_allocation(0, false) >= failing_allocation && failing_allocation > 0;
    bool failed = allocation_failed || (failing_step > 0 && steps >= failing_step);
    ck_assert_int_eq(!plan, failed);
    ck_assert_int_eq(cud_onednn_failures(o), failed);
    if (plan) {
        const bool ran = cud_onednn_run(o, plan, 1, x, w, out);
        failed = failing_step > 0 && steps >= failing_step;
        ck_assert_int_eq(ran, !failed);
        ck_assert_int_eq(cud_onednn_failures(o), failed);
        for (int i = 0; ran && i < ROWS * N; i++) ck_assert_float_eq(out[i], product(i / N, i % N, K));
    } else { /* remembered: neither tried again nor passed over in silence */
        const long before = steps;
        ck_assert_ptr_null(cud_onednn_plan(o, CUDDLE_F32, ROWS, N, K));
        ck_assert_int_eq(steps, before);
        ck_assert_int_eq(cud_onednn_failures(o), 2);
    }
    cud_onednn_free(o);
    ck_assert_int_eq(live, 0);
    return failed;
}

START_TEST(every_failure_is_told_and_nothing_leaks)
{
    ck_assert(!try_plan(0, 0));
    long nth = 1, allocation = 1;
    while (try_plan(nth, 0)) nth++;
    ck_assert_int_gt(nth, 1 + THREADS + 4 + 4 * THREADS + 6); /* engine and streams; attributes, description, product; memories; a run */
    while (try_plan(0, allocation)) allocation++;
    ck_assert_int_gt(allocation, 3); /* the state, its threads, the memories; scratch where this machine's product wants some */
}
END_TEST

/* 128 plans are kept, those asked for last. */
START_TEST(the_last_plans_stay)
{
    enum { KEPT = 128 };
    onednn *o;
    cuddle_error err = { 0 };
    start_counting(0);
    ck_ok(cud_onednn_new(&o, 1, cud_cpu_best_isa(), &err));
    onednn_plan *plan[KEPT];
    for (int i = 0; i < KEPT; i++) {
        const long before = steps;
        plan[i] = cud_onednn_plan(o, CUDDLE_F32, 1 + i / 8, 1 + i / 4 % 2, 1 + i % 4);
        ck_assert_ptr_nonnull(plan[i]);
        ck_assert_int_gt(steps, before); /* rows, n and k: each makes another */
    }
    long before = steps;
    for (int i = KEPT - 1; i >= 0; i--) ck_assert_ptr_eq(cud_onednn_plan(o, CUDDLE_F32, 1 + i / 8, 1 + i / 4 % 2, 1 + i % 4), plan[i]);
    ck_assert_int_eq(steps, before);
    ck_assert_ptr_eq(cud_onednn_plan(o, CUDDLE_F32, 99, 2, 3), plan[KEPT - 1]); /* which had waited the longest */
    before = steps;
    for (int i = 0; i < KEPT - 1; i++) ck_assert_ptr_eq(cud_onednn_plan(o, CUDDLE_F32, 1 + i / 8, 1 + i / 4 % 2, 1 + i % 4), plan[i]);
    ck_assert_int_eq(steps, before);
    cud_onednn_free(o);
    ck_assert_int_eq(live, 0);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------- linear */

static void check_product(op_env *e, tensor out)
{
    const float *got = op_download(e, out);
    for (int64_t r = 0; r < out.size[0]; r++)
        for (int64_t c = 0; c < out.size[1]; c++)
            if (got[r * out.stride[0] + c] != product(r, c, K)) ck_abort_msg("row %lld, column %lld", (long long)r, (long long)c);
}

static weight joined(op_env *e, dtype type, const int64_t *n)
{
    weight w = { .format = type == CUDDLE_BF16 ? WF_BF16 : WF_F32, .k = K };
    for (int s = 0; s < 3 && n[s]; s++) w.n += n[s];
    float *values = op_host(e, (size_t)(w.n * K) * sizeof(float));
    fill(values, w_at, w.n, K);
    for (int64_t row = 0; row < w.n; row += n[w.segments++]) {
        const tensor part = op_from(e, type, values + row * K, 2, n[w.segments], K, 0, 0);
        w.segment[w.segments] = (weight_segment){ .data = part.data, .n = n[w.segments] };
    }
    return w;
}

static tensor rows_of_x(op_env *e, dtype type, int64_t rows)
{
    float *values = op_host(e, (size_t)(rows * K) * sizeof(float));
    fill(values, x_at, rows, K);
    return op_from(e, type, values, 2, rows, K, 0, 0);
}

/* Strips of 256 columns in each segment, for 512 rows at a time: all of them are oneDNN's where many rows are of the weights' type. */
START_TEST(does_every_strip_of_many_rows)
{
    static const struct { int64_t rows, n[3]; int strips; } cases[] = { { 127, { 300 }, 0 },      { 128, { 100 }, 1 },           { 128, { 256 }, 1 },
                                                                        { 150, { 300, 512 }, 4 }, { 200, { 30, 256, 700 }, 5 }, { 513, { 257, 8 }, 6 } };
    op_env e;
    if (!op_open(&e, _i, 2)) return;
    const cpu_isa isa = cud_cpu_parse_isa(op_levels[_i]);
    for (int c = 0; c < 6 * 2 * 2; c++) {
        const dtype type = c % 2 ? CUDDLE_BF16 : CUDDLE_F32;
        const bool able = isa == cud_cpu_best_isa() && (type == CUDDLE_F32 || isa == ISA_AVX512_BF16);
        const int i = c / 4;
        const weight w = joined(&e, type, cases[i].n);
        const tensor x = rows_of_x(&e, type, cases[i].rows), out = op_empty(&e, CUDDLE_F32, 2, cases[i].rows, w.n, 0, 1);
        e.ex.deterministic = c / 2 % 2;
        start_counting(0);
        OP_RUN(&e, e.b->ops->linear(&e.ex, out, x, &w, NULL, &err));
        ck_assert_int_eq(executed, able && !e.ex.deterministic ? cases[i].strips : 0);
        ck_assert_int_eq(crowded, 0);
        check_product(&e, out);
        op_padding_intact(&e, out);
        op_reset(&e);
    }
    const onednn *o = ((cpu_backend *)e.b)->onednn;
    if (o) ck_assert_int_eq(cud_onednn_failures(o), 0);
    op_close(&e);
    ck_assert_int_eq(live, 0);
}
END_TEST

/* Our own kernel does what oneDNN could not. */
START_TEST(a_failed_strip_is_made_good)
{
    static const int64_t n[3] = { 300 };
    bool failed = true;
    for (long nth = 1; failed; nth++) {
        op_env e;
        ck_assert(op_open(&e, (int)cud_cpu_best_isa(), 2));
        e.ex.deterministic = false;
        const weight w = joined(&e, CUDDLE_F32, n);
        const tensor x = rows_of_x(&e, CUDDLE_F32, 128), out = op_empty(&e, CUDDLE_F32, 2, 128, w.n, 0, 0);
        start_counting(nth);
        OP_RUN(&e, e.b->ops->linear(&e.ex, out, x, &w, NULL, &err));
        failed = steps >= nth;
        ck_assert_int_eq(cud_onednn_failures(((cpu_backend *)e.b)->onednn), failed);
        check_product(&e, out);
        start_counting(0);
        op_close(&e);
        ck_assert_int_eq(live, 0);
    }
}
END_TEST

int main(void)
{
    TCase *tc;
    Suite *s = op_suite("onednn", &tc);
    tcase_add_test(tc, every_failure_is_told_and_nothing_leaks);
    tcase_add_test(tc, the_last_plans_stay);
    tcase_add_loop_test(tc, does_every_strip_of_many_rows, 0, OP_LEVELS);
    tcase_add_test(tc, a_failed_strip_is_made_good);
    return test_run(s);
}
