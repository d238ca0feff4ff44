/* rmsnorm and layernorm on the emulated device against a double, op by op without the rest of the backend: the worked example of a
 * kernel test. */
#include "backend.h"
#include "emulation.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct device {
    cuda_backend backend;
    op_table ops;
    exec ex;
} device;

static void open_device(device *d)
{
    memset(d, 0, sizeof *d);
    d->ops.name = "cuda";
    d->backend.base.ops = &d->ops;
    d->ex = (exec){ .ops = &d->ops, .backend = &d->backend.base, .mode = EXEC_RUN, .ranks = 1 };
    ck_assert_int_eq(cudaStreamCreateWithFlags(&d->backend.stream, cudaStreamNonBlocking), cudaSuccess);
}

static void close_device(device *d)
{
    emu_live live;
    ck_assert_int_eq(cudaStreamDestroy(d->backend.stream), cudaSuccess);
    emu_live_get(&live);
    ck_assert_uint_eq(live.device_bytes, 0);
}

/* [rows, cols] of random values on the device, rows `pad` elements further apart than they need be; *kept is a copy as floats. */
static tensor random_matrix(dtype type, int64_t rows, int64_t cols, int64_t pad, float **kept)
{
    const int64_t stride = cols + pad;
    const size_t bytes = (size_t)(rows * stride) * cud_dtype_size(type);
    void *raw = malloc(bytes);
    *kept = malloc((size_t)(rows * stride) * sizeof **kept);
    for (int64_t i = 0; i < rows * stride; i++) (*kept)[i] = (float)rand() / (float)RAND_MAX * 2.0f - 1.0f;
    cud_from_float(raw, type, *kept, rows * stride);
    cud_to_float(*kept, raw, type, rows * stride);
    tensor t = cud_matrix(NULL, type, rows, cols);
    t.stride[0] = stride;
    ck_assert_int_eq(cudaMalloc(&t.data, bytes), cudaSuccess);
    ck_assert_int_eq(cudaMemcpy(t.data, raw, bytes, cudaMemcpyHostToDevice), cudaSuccess);
    free(raw);
    return t;
}

static float *to_host(tensor t)
{
    const size_t count = (size_t)(t.size[0] * t.stride[0]);
    void *raw = malloc(count * cud_dtype_size(t.type));
    float *values = malloc(count * sizeof *values);
    ck_assert_int_eq(cudaMemcpy(raw, t.data, count * cud_dtype_size(t.type), cudaMemcpyDeviceToHost), cudaSuccess);
    cud_to_float(values, raw, t.type, (int64_t)count);
    free(raw);
    return values;
}

/* What storing as `type` may cost. */
static double rounding(dtype type, double value)
{
    return fabs(value) * (type == CUDDLE_F32 ? 0x1p-20 : type == CUDDLE_BF16 ? 0x1p-8 : 0x1p-11) + 2e-6;
}

static void check_norm(dtype type, int64_t rows, int64_t cols, int64_t pad, bool layer)
{
    device d;
    cuddle_error err = { 0 };
    float *x, *w, *b, *unused;
    open_device(&d);
    norm_args a = { .x = random_matrix(type, rows, cols, pad, &x), .out = random_matrix(type, rows, cols, pad, &unused), .eps = 1e-5f, .unit_offset = layer };
    tensor weights = random_matrix(CUDDLE_F32, 1, cols, 0, &w), biases = random_matrix(type, 1, cols, 0, &b);
    a.weight = cud_vector(weights.data, CUDDLE_F32, cols);
    a.bias = cud_vector(biases.data, type, cols);
    const cuddle_status status = layer ? cud_cuda_layernorm(&d.ex, &a, &err) : cud_cuda_rmsnorm(&d.ex, &a, &err);
    ck_assert_msg(status == CUDDLE_OK, "%s", err.text);
    ck_assert_int_eq(cudaStreamSynchronize(d.backend.stream), cudaSuccess);
    float *got = to_host(a.out);
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * (cols + pad);
        double mean = 0, squares = 0;
        for (int64_t c = 0; c < cols && layer; c++) mean += (double)row[c] / (double)cols;
        for (int64_t c = 0; c < cols; c++) squares += ((double)row[c] - mean) * ((double)row[c] - mean);
        for (int64_t c = 0; c < cols; c++) {
            const double scale = 1 / sqrt(squares / (double)cols + (double)a.eps);
            const double want = ((double)row[c] - mean) * scale * ((double)w[c] + (layer ? 1 : 0)) + (double)b[c];
            const double gap = fabs((double)got[r * (cols + pad) + c] - want);
            ck_assert_msg(gap <= rounding(type, want) + 3e-6 * scale, "%s [%d][%d]: %g, expected %g", layer ? "layernorm" : "rmsnorm", (int)r, (int)c,
                          (double)got[r * (cols + pad) + c], want);
        }
    }
    free(x), free(w), free(b), free(unused), free(got);
    cudaFree(a.x.data), cudaFree(a.out.data), cudaFree(weights.data), cudaFree(biases.data);
    close_device(&d);
}

static const struct { int rows, cols, pad; } shapes[] = { { 1, 1, 0 }, { 3, 5, 3 }, { 2, 8, 0 }, { 2, 512, 0 }, { 3, 513, 7 }, { 2, 2048, 8 }, { 1, 4100, 0 } };
enum { SHAPES = sizeof shapes / sizeof *shapes };
static const dtype types[] = { CUDDLE_F32, CUDDLE_BF16, CUDDLE_F16 };

START_TEST(match_a_double_for_every_shape_and_type)
{
    for (int i = 0; i < 3; i++) {
        check_norm(types[i], shapes[_i].rows, shapes[_i].cols, shapes[_i].pad, false);
        check_norm(types[i], shapes[_i].rows, shapes[_i].cols, shapes[_i].pad, true);
    }
}
END_TEST

START_TEST(zero_rows_are_no_launch)
{
    device d;
    cuddle_error err = { 0 };
    emu_counters before, after;
    open_device(&d);
    const norm_args a = { .x = cud_matrix(NULL, CUDDLE_F32, 0, 8), .out = cud_matrix(NULL, CUDDLE_F32, 0, 8) };
    emu_counters_get(&before);
    ck_assert_int_eq(cud_cuda_rmsnorm(&d.ex, &a, &err), CUDDLE_OK);
    ck_assert_int_eq(cud_cuda_layernorm(&d.ex, &a, &err), CUDDLE_OK);
    emu_counters_get(&after);
    ck_assert_uint_eq(before.launches, after.launches);
    close_device(&d);
}
END_TEST

START_TEST(refuse_by_name)
{
    device d;
    cuddle_error err = { 0 };
    open_device(&d);
    norm_args a = { .x = cud_matrix(NULL, CUDDLE_I8, 2, 8), .out = cud_matrix(NULL, CUDDLE_F32, 2, 8) };
    ck_assert_int_eq(cud_cuda_rmsnorm(&d.ex, &a, &err), CUDDLE_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "rmsnorm on cuda"));
    close_device(&d);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("norms");
    TCase *tc = tcase_create("norms");
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, match_a_double_for_every_shape_and_type, 0, SHAPES);
    tcase_add_test(tc, zero_rows_are_no_launch);
    tcase_add_test(tc, refuse_by_name);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
