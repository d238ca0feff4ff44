/* Many texts on several threads: each takes the next text, so the results lie in order and a failure leaves none below it undone.
 */
#include "text/internal.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct batch {
    const cuddle_tokenizer *t;
    const cuddle_tokenize_input *inputs;
    const cud_settings *settings;
    cuddle_encoding **out;
    size_t count;
    pthread_mutex_t lock;
    size_t next, failed; /* failed: the lowest index that did, or count */
    cuddle_error error;  /* of that one */
} batch;

/* Takes a text; false when there is none left or one before it failed. */
static bool take(batch *b, size_t *index)
{
    pthread_mutex_lock(&b->lock);
    const bool more = b->next < b->count && b->failed == b->count;
    if (more) *index = b->next++;
    pthread_mutex_unlock(&b->lock);
    return more;
}

static void report(batch *b, size_t index, const cuddle_error *error)
{
    pthread_mutex_lock(&b->lock);
    if (index < b->failed) {
        b->failed = index;
        b->error = *error;
    }
    pthread_mutex_unlock(&b->lock);
}

static void *work(void *pointer)
{
    batch *b = pointer;
    for (size_t i; take(b, &i);) {
        cuddle_error error = { CUDDLE_OK, "" };
        if (cud_tokenizer_encode_input(&b->out[i], b->t, &b->inputs[i], b->settings, &error)) report(b, i, &error);
    }
    return NULL;
}

cuddle_status cud_tokenizer_encode_batch(cuddle_encoding **out, const cuddle_tokenizer *t, const cuddle_tokenize_input *inputs,
                                         size_t count, const cud_settings *settings, int threads, cuddle_error *err)
{
    batch b = { .t = t, .inputs = inputs, .settings = settings, .out = out, .count = count, .failed = count };
    for (size_t i = 0; i < count; i++) out[i] = NULL;
    size_t helpers = threads > 1 ? (size_t)threads - 1 : 0, started = 0;
    if (helpers >= count) helpers = count ? count - 1 : 0;
    pthread_t *helper = helpers ? malloc(helpers * sizeof *helper) : NULL;
    if (helpers && !helper) return cud_nomem(err, helpers * sizeof *helper, "threads");
    pthread_mutex_init(&b.lock, NULL);
    while (started < helpers && pthread_create(&helper[started], NULL, work, &b) == 0) started++; /* fewer will do */
    work(&b);
    for (size_t i = 0; i < started; i++) pthread_join(helper[i], NULL);
    pthread_mutex_destroy(&b.lock);
    free(helper);
    if (b.failed == count) return CUDDLE_OK;
    for (size_t i = 0; i < count; i++) {
        cud_encoding_free(out[i]);
        out[i] = NULL;
    }
    return cud_fail(err, b.error.status, "text %zu: %s", b.failed, b.error.text);
}
