#include "parity.h"

#include "format/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void *read_tensor(const checkpoint *c, const char *name, const cuddle_tensor_info **info)
{
    cuddle_error err = { CUDDLE_OK, "" };
    const int64_t index = cud_checkpoint_find(c, name);
    ck_assert_msg(index >= 0, "expected.safetensors has no %s", name);
    *info = cud_checkpoint_get(c, index);
    void *data = malloc((*info)->bytes);
    ck_ok(cud_checkpoint_read(c, index, data, 0, (size_t)(*info)->bytes, &err));
    return data;
}

static int32_t *read_ids(const checkpoint *c, const char *name, int *count)
{
    const cuddle_tensor_info *info;
    int64_t *wide = read_tensor(c, name, &info);
    ck_assert_int_eq(info->type, CUDDLE_I64);
    *count = (int)info->shape[0];
    int32_t *ids = malloc((size_t)*count * sizeof *ids);
    for (int i = 0; i < *count; i++) ids[i] = (int32_t)wide[i];
    free(wide);
    return ids;
}

void expectation_read(expectation *e, const char *dir)
{
    cuddle_error err = { CUDDLE_OK, "" };
    char path[1024], name[32];
    checkpoint *c;
    *e = (expectation){ 0 };
    snprintf(path, sizeof path, "%s/expected.safetensors", dir);
    ck_ok(cud_checkpoint_open(&c, path, &err));
    for (int i = 0; i < SEQUENCES; i++) {
        const cuddle_tensor_info *info;
        snprintf(name, sizeof name, "ids.%d", i);
        e->ids[i] = read_ids(c, name, &e->length[i]);
        snprintf(name, sizeof name, "logits.%d", i);
        e->logits[i] = read_tensor(c, name, &info);
        ck_assert_int_eq(info->shape[0], e->length[i]);
        e->vocabulary = (int)info->shape[1];
        for (int k = 0; k < e->length[i] * e->vocabulary; k++)
            if (fabs((double)e->logits[i][k]) > e->largest) e->largest = fabs((double)e->logits[i][k]);
    }
    const cuddle_tensor_info *info;
    float *error = read_tensor(c, "bfloat16.error", &info);
    e->bfloat16_error = (double)error[0];
    free(error);
    e->prompt = read_ids(c, "greedy.prompt", &e->prompt_count);
    e->greedy = read_ids(c, "greedy.ids", &e->greedy_count);
    cud_checkpoint_free(c);
}

void expectation_free(expectation *e)
{
    for (int i = 0; i < SEQUENCES; i++) {
        free(e->ids[i]);
        free(e->logits[i]);
    }
    free(e->prompt);
    free(e->greedy);
}

void expect_close(const expectation *e, int sequence, int row, const float *got, const char *how)
{
    for (int i = 0; i < e->vocabulary; i++) {
        const double want = (double)e->logits[sequence][row * e->vocabulary + i], off = fabs((double)got[i] - want) / e->largest;
        ck_assert_msg(off <= TOLERANCE, "%s: sequence %d row %d token %d: %g, expected %g", how, sequence, row, i, (double)got[i], want);
    }
}
