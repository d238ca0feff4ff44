/* Eight threads do at random what cuddle.h allows: submit, wait, read text, cancel, free; and load and free models and engines under the
 * requests of the others. TSan says whether anything is raced for. Whatever ended by itself has transformers' tokens. */
#include "letters.h"
#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, ROUNDS = 120, ENGINES = 2, MODELS = 3, MOST_HELD = 4 };

static letters model;

/* A place for a handle: using it is shared, putting another one there is exclusive. What was taken out is freed while others may still wait
 * for the requests they have from it. */
typedef struct place {
    pthread_rwlock_t lock;
    cuddle_engine *engine; /* of engines */
    cuddle_model *h;       /* of models */
} place;

static place engines[ENGINES], models[MODELS];

typedef struct worker { /* Check is of one thread: others tell what went wrong in `failed` */
    pthread_t thread;
    uint64_t random;
    cuddle_error failed;
    struct held { cuddle_request *r; int from, tokens; size_t read; } held[MOST_HELD];
    int ended, cancelled;
} worker;

static unsigned any(worker *w, unsigned below)
{
    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(w->random >> 33) % below;
}

static void wrong(worker *w, const char *what, const cuddle_error *err) { cud_fail(&w->failed, CUDDLE_E_INTERNAL, "%s: %s", what, err->text); }

/* ---------------------------------------------------------------------------------------------- engines and models */

static cuddle_engine *new_engine(worker *w)
{
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_engine *engine = NULL;
    cuddle_engine_options o;
    cuddle_engine_options_init(&o, sizeof o);
    o.device = test_device();
    o.backend_dir = test_backend_dir();
    o.cpu_threads = 2;
    if (cuddle_engine_new(&engine, &o, &err)) wrong(w, "engine", &err);
    return engine;
}

/* Puts a model of one of the engines there; not waited for. */
static void change_model(worker *w)
{
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_model *fresh = NULL;
    place *from = &engines[any(w, ENGINES)], *to = &models[any(w, MODELS)];
    cuddle_model_options o;
    cuddle_model_options_init(&o, sizeof o);
    o.dtype = "float32";
    o.load = any(w, 2) ? CUDDLE_LOAD_MAP : CUDDLE_LOAD_READ;
    o.max_context = 48;
    o.max_sequences = 3;
    o.max_batch = 8;
    pthread_rwlock_rdlock(&from->lock);
    if (cuddle_model_load(&fresh, from->engine, model.dir, &o, &err)) wrong(w, "load", &err);
    pthread_rwlock_unlock(&from->lock);
    if (fresh && any(w, 8) == 0) cuddle_model_cancel(fresh);
    pthread_rwlock_wrlock(&to->lock);
    cuddle_model *old = to->h;
    to->h = fresh;
    pthread_rwlock_unlock(&to->lock);
    cuddle_model_free(old);
}

static void change_engine(worker *w)
{
    place *p = &engines[any(w, ENGINES)];
    cuddle_engine *fresh = new_engine(w);
    pthread_rwlock_wrlock(&p->lock);
    cuddle_engine *old = p->engine;
    p->engine = fresh;
    pthread_rwlock_unlock(&p->lock);
    cuddle_engine_free(old); /* its models and requests end; their handles live on */
}

/* -------------------------------------------------------------------------------------------------------- requests */

/* An end is by itself, or the failure of whom it hung from. */
static bool may_fail_with(cuddle_status status) { return status == CUDDLE_E_CANCELLED; }

static void submit(worker *w, struct held *slot)
{
    cuddle_error err = { CUDDLE_OK, "" };
    place *p = &models[any(w, MODELS)];
    slot->from = model.prompt_count + (int)any(w, (unsigned)(model.count - model.prompt_count - 1));
    slot->tokens = 1 + (int)any(w, (unsigned)(model.count - slot->from));
    slot->read = 0;
    cuddle_generation_options o;
    cuddle_generation_options_init(&o, sizeof o);
    o.temperature = 0;
    o.ignore_eos = 1;
    o.max_tokens = slot->tokens;
    o.n = 1 + (int)any(w, 3); /* all the same */
    char *text = letters_text(&model, 0, slot->from);
    const cuddle_segment as_text = { .kind = CUDDLE_SEGMENT_TEXT, .text = text, .count = strlen(text) };
    const cuddle_segment as_ids = { .kind = CUDDLE_SEGMENT_TOKENS, .tokens = model.ids, .count = (size_t)slot->from };
    pthread_rwlock_rdlock(&p->lock);
    cuddle_status status = CUDDLE_OK;
    if (p->h) status = cuddle_request_submit(&slot->r, p->h, any(w, 2) ? &as_text : &as_ids, 1, &o, NULL, NULL, &err);
    pthread_rwlock_unlock(&p->lock);
    if (status && !may_fail_with(status)) wrong(w, "submit", &err);
    free(text);
}

static void read_text(worker *w, struct held *slot)
{
    size_t length;
    const char *piece = cuddle_request_next_text(slot->r, &length);
    char *want = letters_text(&model, slot->from, slot->from + slot->tokens);
    if (slot->read + length > strlen(want) || memcmp(piece, want + slot->read, length) != 0) cud_fail(&w->failed, CUDDLE_E_INTERNAL, "text %s", piece);
    slot->read += length;
    free(want);
}

static void wait_and_check(worker *w, struct held *slot)
{
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_result result = { .struct_size = sizeof result };
    const cuddle_status status = cuddle_request_wait(slot->r, -1, &err);
    if (status && !may_fail_with(status)) wrong(w, "wait", &err);
    for (int i = 0; i < cuddle_request_choices(slot->r); i++) {
        if (cuddle_request_result_of(slot->r, i, &result, &err)) wrong(w, "result", &err);
        else if (result.count > (size_t)slot->tokens || (!status && result.count != (size_t)slot->tokens) ||
                 memcmp(result.ids, model.ids + slot->from, result.count * sizeof *result.ids) != 0)
            cud_fail(&w->failed, CUDDLE_E_INTERNAL, "choice %d: %zu tokens of %d after %d are wrong", i, result.count, slot->tokens, slot->from);
    }
    read_text(w, slot);
    if (status) w->cancelled++;
    else w->ended++;
}

static void drop(worker *w, struct held *slot)
{
    (void)w;
    cuddle_request_free(slot->r);
    slot->r = NULL;
}

static void *work(void *user)
{
    worker *w = user;
    for (int i = 0; i < ROUNDS; i++) {
        struct held *slot = &w->held[any(w, MOST_HELD)];
        if (!slot->r) {
            submit(w, slot);
            continue;
        }
        switch (any(w, 48)) {
        case 0: change_engine(w); break;
        case 1: case 2: change_model(w); break;
        case 3: cuddle_request_cancel(slot->r); break;
        case 4: drop(w, slot); break; /* as it is */
        case 5: case 6: case 10: case 11: read_text(w, slot); break;
        case 7: case 12: case 13: (void)cuddle_request_wait_text(slot->r, (int)any(w, 3), NULL); break;
        case 8: (void)cuddle_request_finish(slot->r); break;
        case 9: {
            place *p = &engines[any(w, ENGINES)];
            cuddle_engine_stats stats = { .struct_size = sizeof stats };
            pthread_rwlock_rdlock(&p->lock);
            cuddle_engine_get_stats(p->engine, &stats, NULL);
            pthread_rwlock_unlock(&p->lock);
            break;
        }
        default:
            wait_and_check(w, slot);
            drop(w, slot);
        }
    }
    for (int i = 0; i < MOST_HELD; i++) {
        if (w->held[i].r && any(w, 2)) wait_and_check(w, &w->held[i]);
        drop(w, &w->held[i]);
    }
    return NULL;
}

static int ended_in_all, cancelled_in_all;

/* _i: seed. */
START_TEST(eight_threads_do_what_they_like)
{
    static worker w[THREADS];
    memset(w, 0, sizeof w);
    for (int i = 0; i < THREADS; i++) w[i].random = (uint64_t)(_i * THREADS + i + 1) * 0x9e3779b97f4a7c15u;
    for (int i = 0; i < ENGINES; i++) engines[i].engine = new_engine(&w[0]);
    for (int i = 0; i < 2 * MODELS; i++) change_model(&w[0]);
    for (int i = 0; i < THREADS; i++) ck_assert_int_eq(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    int ended = 0, cancelled = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(w[i].thread, NULL);
        ended += w[i].ended;
        cancelled += w[i].cancelled;
    }
    for (int i = 0; i < ENGINES; i++) {
        cuddle_error err;
        cuddle_engine_stats stats = { .struct_size = sizeof stats };
        ck_assert_int_eq(cuddle_engine_get_stats(engines[i].engine, &stats, &err), CUDDLE_OK);
        ck_assert_uint_eq(stats.kv_pages_used, 0); /* all requests are gone */
        ck_assert_int_eq(stats.queued + stats.running, 0);
    }
    for (int i = 0; i < ENGINES; i++) cuddle_engine_free(engines[i].engine);
    for (int i = 0; i < MODELS; i++) {
        cuddle_model_free(models[i].h);
        models[i].h = NULL;
    }
    for (int i = 0; i < THREADS; i++) ck_assert_msg(!w[i].failed.status, "thread %d: %s", i, w[i].failed.text);
    ended_in_all += ended;
    cancelled_in_all += cancelled;
}
END_TEST

START_TEST(both_ends_were_seen)
{
    ck_assert_msg(ended_in_all > 50 && cancelled_in_all > 20, "%d requests ended by themselves, %d were cancelled", ended_in_all, cancelled_in_all);
}
END_TEST

static void make_model(void)
{
    letters_make(&model);
    for (int i = 0; i < ENGINES; i++) pthread_rwlock_init(&engines[i].lock, NULL);
    for (int i = 0; i < MODELS; i++) pthread_rwlock_init(&models[i].lock, NULL);
}

static void free_model(void)
{
    letters_free(&model);
    for (int i = 0; i < ENGINES; i++) pthread_rwlock_destroy(&engines[i].lock);
    for (int i = 0; i < MODELS; i++) pthread_rwlock_destroy(&models[i].lock);
}

int main(void)
{
    Suite *suite = suite_create("engine_chaos");
    TCase *tc = tcase_create("engine_chaos");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, make_model, free_model);
    tcase_add_loop_test(tc, eight_threads_do_what_they_like, 0, 4);
    tcase_add_test(tc, both_ends_were_seen);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
