/* sample: picks a token from each row of logits, exactly as runtime/engine/sampler.c does. */
#include "backend.h"

#include "core/draw.h"
#include "core/op_checks.h"

#include <stdatomic.h>

typedef struct job {
    const sample_args *args;
    sample_fn pick;
    const sample_scratch *scratch; /* one for each part */
    atomic_llong next; /* row: some take ten times as long as others */
} job;

static void penalise(float *logits, int64_t vocabulary, const uint32_t *seen, float penalty)
{
    for (int64_t at = 0; at < vocabulary; at += 32)
        for (uint32_t bits = seen[at / 32]; bits; bits &= bits - 1) {
            const int64_t id = at + __builtin_ctz(bits);
            if (id < vocabulary) logits[id] = draw_penalised(logits[id], penalty);
        }
}

static void ban(float *logits, int64_t vocabulary, const uint32_t *banned)
{
    for (int64_t at = 0; at < vocabulary; at += 32) {
        const uint32_t bits = banned[at / 32];
        const int64_t count = cud_min64(32, vocabulary - at);
        for (int64_t i = 0; bits && i < count; i++) logits[at + i] = bits >> i & 1 ? -INFINITY : logits[at + i];
    }
}

static void sample_rows(void *arg, int part, int thread)
{
    job *j = arg;
    const sample_args *a = j->args;
    const int64_t vocabulary = a->logits.size[1];
    (void)thread;
    for (int64_t r; (r = atomic_fetch_add(&j->next, 1)) < a->logits.size[0];) {
        const sample_row *row = &a->rows[r];
        float *logits = cud_at(a->logits, r * a->logits.stride[0]);
        const int64_t marks = row->seat * a->mark_words;
        if (row->seat >= 0 && row->repetition_penalty != 1.0f) penalise(logits, vocabulary, a->seen + marks, row->repetition_penalty);
        if (row->seat >= 0) ban(logits, vocabulary, a->banned + marks);
        const int32_t token = j->pick(&j->scratch[part], logits, vocabulary, row);
        a->picked[r] = token;
        if (token >= 0 && row->seat >= 0) a->seen[marks + token / 32] |= (uint32_t)1 << token % 32;
    }
}

/* A part of the workspace for `count` elements of so many bytes. */
static void *cut(char **at, int64_t count, size_t bytes)
{
    void *p = *at;
    *at += (size_t)count * bytes;
    return p;
}

cuddle_status cud_cpu_sample(exec *ex, const sample_args *args, cuddle_error *err)
{
    enum { LITTLE = 8 * 1024 }; /* tokens: as in for_rows.c */
    cuddle_status status = cud_check_sample(ex, args, err);
    if (status != CUDDLE_OK) return status;
    const cpu_backend *b = cud_cpu(ex);
    const int64_t rows = args->logits.size[0], blocks = (args->logits.size[1] + SAMPLE_BLOCK - 1) / SAMPLE_BLOCK;
    const int64_t parts = cud_min64(cud_min64(rows, cud_max64(1, rows * args->logits.size[1] / LITTLE)), b->base.threads);
    const sample_scratch *s = NULL;
    const size_t block_bytes = SAMPLE_BLOCK * (sizeof *s->weight + sizeof *s->distance) + sizeof *s->most + sizeof *s->drawn;
    const size_t mark = cud_ws_mark(ex);
    void *memory, *scratch;
    status = cud_ws_take(ex, &memory, (size_t)parts * (size_t)blocks * block_bytes, err);
    if (status == CUDDLE_OK) status = cud_ws_take(ex, &scratch, (size_t)parts * sizeof(sample_scratch), err);
    if (status == CUDDLE_OK && ex->mode != EXEC_RECORD && rows > 0) {
        char *at = memory;
        sample_scratch *own = scratch;
        for (int64_t p = 0; p < parts; p++) { /* the widest elements first, so that all are aligned */
            own[p].weight = cut(&at, blocks * SAMPLE_BLOCK, sizeof *s->weight);
            own[p].distance = cut(&at, blocks * SAMPLE_BLOCK, sizeof *s->distance);
            own[p].most = cut(&at, blocks, sizeof *s->most);
            own[p].drawn = cut(&at, blocks, sizeof *s->drawn);
        }
        job j = { .args = args, .pick = b->sample, .scratch = own };
        cud_pool_run(b->pool, sample_rows, &j, (int)parts);
    }
    cud_ws_release(ex, mark);
    return status;
}
