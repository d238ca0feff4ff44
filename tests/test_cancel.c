/* Cancelling and freeing at every stage: at each step of a load, after each step of the engine, within each callback. Whatever goes, what
 * stays gives transformers' tokens with the bits it had undisturbed, and pages and memory come back. */
#include "engine_support.h"
#include "letters.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REQUESTS = 4, MOST_TOKENS = 9 };
/* Two run at once, eight rows a step: prompts come in chunks beside tokens of the other, and two wait. */
static const struct { int longer, tokens; } plan_of[REQUESTS] = { { 0, 8 }, { 9, 6 }, { 3, MOST_TOKENS }, { 15, 5 } };

static cuddle_error err;
static letters model;
static float undisturbed[REQUESTS][MOST_TOKENS]; /* log-probabilities */

static void setup(void) { err = (cuddle_error){ CUDDLE_OK, "" }; }

static cuddle_engine *new_engine(int threads, uint64_t budget)
{
    cuddle_engine_options o = test_engine_options(threads);
    o.cpu_threads = 1;
    o.memory_budget = budget;
    return test_engine(&o);
}

static cuddle_model_options model_options(void)
{
    cuddle_model_options o;
    cuddle_model_options_init(&o, sizeof o);
    o.dtype = "float32";
    o.max_context = 48;
    o.max_sequences = 2;
    o.max_batch = 8;
    return o;
}

static cuddle_model *load(cuddle_engine *engine)
{
    cuddle_model *h;
    const cuddle_model_options o = model_options();
    ck_ok(cuddle_model_load(&h, engine, model.dir, &o, &err));
    ck_ok(cuddle_model_wait(h, -1, &err));
    return h;
}

/* ------------------------------------------------------------------------------------------------------- requests */

struct scene;
typedef struct part { /* one request of a scene */
    struct scene *scene;
    cuddle_request *r; /* NULL: freed */
    int from, tokens;  /* of model.ids: where its output begins, how much of it is asked for */
    int ends;
    cuddle_finish finish;
} part;

typedef struct scene {
    part part[REQUESTS];
    int events, act_at; /* within this event ... */
    int victim;         /* ... this one is cancelled */
} scene;

static void on_event(cuddle_request *r, const cuddle_event *e, void *user)
{
    part *p = user;
    scene *s = p->scene;
    (void)r;
    ck_assert_int_eq(p->ends, 0); /* nothing comes after the end */
    if (e->finish) p->ends++, p->finish = e->finish;
    if (++s->events == s->act_at) cuddle_request_cancel(s->part[s->victim].r);
}

/* Nothing is taken over from a scene before, so that each has the same steps. */
static void begin(scene *s, cuddle_model *h)
{
    static uint64_t scenes;
    scenes++;
    for (int i = 0; i < REQUESTS; i++) {
        part *p = &s->part[i];
        *p = (part){ .scene = s, .from = model.prompt_count + plan_of[i].longer, .tokens = plan_of[i].tokens };
        cuddle_generation_options o;
        cuddle_generation_options_init(&o, sizeof o);
        o.temperature = 0;
        o.ignore_eos = 1;
        o.max_tokens = p->tokens;
        o.logprobs = 0;
        o.cache_salt = scenes;
        const cuddle_segment prompt = { .kind = CUDDLE_SEGMENT_TOKENS, .tokens = model.ids, .count = (size_t)p->from };
        ck_ok(cuddle_request_submit(&p->r, h, &prompt, 1, &o, on_event, p, &err));
    }
}

static void end(scene *s)
{
    for (int i = 0; i < REQUESTS; i++) cuddle_request_free(s->part[i].r);
}

/* A request that went its way to the end, or was cut off somewhere on it. */
static void check_part(const part *p, bool may_be_cut)
{
    const int i = (int)(p - p->scene->part);
    const cuddle_status status = cuddle_request_wait(p->r, 0, &err);
    cuddle_result result = { .struct_size = sizeof result };
    if (status && may_be_cut) test_expect_failure(status, CUDDLE_E_CANCELLED, &err);
    else ck_ok(status);
    ck_ok(cuddle_request_result(p->r, &result, &err));
    ck_assert_int_eq(result.finish, status ? CUDDLE_FINISH_CANCELLED : CUDDLE_FINISH_LENGTH);
    ck_assert_uint_le(result.count, (size_t)p->tokens);
    if (!status) ck_assert_uint_eq(result.count, (size_t)p->tokens);
    ck_assert(memcmp(result.ids, model.ids + p->from, result.count * sizeof *result.ids) == 0);
    ck_assert(memcmp(result.logprobs, undisturbed[i], result.count * sizeof(float)) == 0); /* the same bits */
    char *text = letters_text(&model, p->from, p->from + (int)result.count);
    ck_assert_str_eq(result.text, text);
    free(text);
}

static void nothing_is_held(cuddle_engine *engine)
{
    cuddle_engine_stats stats = { .struct_size = sizeof stats };
    ck_ok(cuddle_engine_get_stats(engine, &stats, &err));
    ck_assert_uint_eq(stats.kv_pages_used, 0);
    ck_assert_int_eq(stats.queued + stats.running, 0);
}

static int steps_in_all, events_in_all; /* of an undisturbed scene */

static void make_model(void)
{
    letters_make(&model);
    cuddle_engine *engine = new_engine(0, 0);
    cuddle_model *h = load(engine);
    scene s = { .events = 0 };
    begin(&s, h);
    while (test_step(engine)) steps_in_all++;
    events_in_all = s.events;
    for (int i = 0; i < REQUESTS; i++) {
        cuddle_result result = { .struct_size = sizeof result };
        ck_ok(cuddle_request_result(s.part[i].r, &result, &err));
        ck_assert_uint_eq(result.count, (size_t)plan_of[i].tokens);
        memcpy(undisturbed[i], result.logprobs, result.count * sizeof(float));
        check_part(&s.part[i], false); /* transformers' tokens */
        ck_assert_int_eq(s.part[i].ends, 1);
    }
    end(&s);
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}

static void free_model(void) { letters_free(&model); }

/* _i: the victim. Before the first step, after it, after the second, ...: cancelled, and freed. */
START_TEST(a_request_may_go_after_any_step)
{
    ck_assert_int_gt(steps_in_all, 15);
    cuddle_engine *engine = new_engine(0, 0);
    cuddle_model *h = load(engine);
    for (int k = 0; k <= steps_in_all; k++) {
        for (int freed = 0; freed < 2; freed++) {
            scene s = { .events = 0 };
            part *victim = &s.part[_i];
            begin(&s, h);
            for (int i = 0; i < k; i++) ck_assert(test_step(engine));
            if (freed) {
                cuddle_request_free(victim->r);
                victim->r = NULL;
            } else {
                cuddle_request_cancel(victim->r);
            }
            test_run_steps(engine);
            for (int i = 0; i < REQUESTS; i++) {
                if (s.part[i].r) check_part(&s.part[i], i == _i);
                if (s.part[i].r) ck_assert_int_eq(s.part[i].ends, 1);
            }
            nothing_is_held(engine);
            end(&s);
        }
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* _i: the victim. The callback may be its own or another's, of the same step or of one that it has no part in. */
START_TEST(a_request_may_be_cancelled_within_any_callback)
{
    ck_assert_int_gt(events_in_all, 25);
    cuddle_engine *engine = new_engine(0, 0);
    cuddle_model *h = load(engine);
    for (int k = 1; k <= events_in_all; k++) {
        scene s = { .act_at = k, .victim = _i };
        begin(&s, h);
        test_run_steps(engine);
        for (int i = 0; i < REQUESTS; i++) {
            check_part(&s.part[i], i == _i);
            ck_assert_int_eq(s.part[i].ends, 1);
        }
        nothing_is_held(engine);
        end(&s);
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
}
END_TEST

/* Two models of one engine whose budget holds just them; one goes after each step, or all do. */
START_TEST(a_model_or_the_engine_may_go_after_any_step)
{
    cuddle_plan plan = { .struct_size = sizeof plan };
    cuddle_engine *engine = new_engine(0, 0);
    const cuddle_model_options o = model_options();
    ck_ok(cuddle_model_plan(&plan, engine, model.dir, &o, &err));
    cuddle_engine_free(engine);
    for (int k = 0; k <= 2 * steps_in_all; k += 1 + k / 8) {
        for (int all = 0; all < 2; all++) {
            engine = new_engine(0, 2 * plan.total);
            cuddle_model *goes = load(engine), *stays = load(engine), *third;
            test_expect_failure(cuddle_model_load(&third, engine, model.dir, &o, &err), CUDDLE_E_NOMEM, &err);
            scene gone = { .events = 0 }, kept = { .events = 0 };
            begin(&gone, goes);
            begin(&kept, stays);
            for (int i = 0; i < k; i++) ck_assert(test_step(engine));
            if (all) cuddle_engine_free(engine);
            else cuddle_model_free(goes);
            for (int i = 0; i < REQUESTS; i++) check_part(&gone.part[i], true);
            if (!all) {
                test_run_steps(engine);
                nothing_is_held(engine);
                third = load(engine); /* its memory has come back */
                cuddle_model_free(third);
            }
            for (int i = 0; i < REQUESTS; i++) check_part(&kept.part[i], all);
            end(&gone);
            end(&kept);
            if (all) cuddle_model_free(goes);
            cuddle_model_free(stays);
            if (!all) cuddle_engine_free(engine);
        }
    }
}
END_TEST

/* -------------------------------------------------------------------------------------------------------- loading */

typedef struct gate { /* the loading thread stops at a call of its progress function */
    int stop_at, calls;
    bool reached, open;
} gate;

static void pass(const cuddle_progress *progress, void *user)
{
    gate *g = user;
    (void)progress;
    if (++g->calls != g->stop_at) return;
    __atomic_store_n(&g->reached, true, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&g->open, __ATOMIC_SEQ_CST)) usleep(50);
}

/* _i: load mode; what is done: cancel, free the model, free the engine. */
START_TEST(a_load_may_be_ended_at_any_point)
{
    const cuddle_load_mode mode = _i & 1 ? CUDDLE_LOAD_READ : CUDDLE_LOAD_MAP;
    const int action = _i >> 1;
    int stops = 0;
    for (int k = 1;; k++) {
        cuddle_engine *engine = new_engine(1, 0);
        cuddle_model *h;
        cuddle_request *r = NULL;
        gate g = { .stop_at = k };
        cuddle_model_options o = model_options();
        o.load = mode;
        o.progress = pass;
        o.progress_user = &g;
        ck_ok(cuddle_model_load(&h, engine, model.dir, &o, &err));
        const cuddle_segment prompt = { .kind = CUDDLE_SEGMENT_TOKENS, .tokens = model.ids, .count = (size_t)model.prompt_count };
        ck_ok(cuddle_request_submit(&r, h, &prompt, 1, NULL, NULL, NULL, &err));
        while (!__atomic_load_n(&g.reached, __ATOMIC_SEQ_CST) && cuddle_model_get_state(h) == CUDDLE_MODEL_LOADING) usleep(50);
        const bool stopped = __atomic_load_n(&g.reached, __ATOMIC_SEQ_CST);
        if (stopped && action == 0) cuddle_model_cancel(h);
        __atomic_store_n(&g.open, true, __ATOMIC_SEQ_CST);
        if (stopped && action == 0) {
            /* Where that was the last call the load is done. */
            const cuddle_status status = cuddle_model_wait(h, -1, &err);
            if (status) test_expect_failure(status, CUDDLE_E_CANCELLED, &err);
            const cuddle_status request = cuddle_request_wait(r, -1, &err);
            if (status) test_expect_failure(request, CUDDLE_E_CANCELLED, &err);
            else ck_ok(request);
        }
        if (stopped && action == 1) {
            cuddle_model_free(h);
            h = NULL;
            const cuddle_status request = cuddle_request_wait(r, -1, &err);
            if (request) test_expect_failure(request, CUDDLE_E_CANCELLED, &err);
        }
        if (stopped && action == 2) {
            cuddle_engine_free(engine);
            engine = NULL;
            const cuddle_status request = cuddle_request_wait(r, -1, &err);
            if (request) test_expect_failure(request, CUDDLE_E_CANCELLED, &err);
        }
        cuddle_request_free(r);
        cuddle_model_free(h);
        if (engine) nothing_is_held(engine);
        cuddle_engine_free(engine);
        if (!stopped) break;
        stops++;
    }
    ck_assert_int_gt(stops, _i & 1 ? 10 : 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cancel");
    TCase *tc = tcase_create("cancel");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, make_model, free_model);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, a_request_may_go_after_any_step, 0, REQUESTS);
    tcase_add_loop_test(tc, a_request_may_be_cancelled_within_any_callback, 0, REQUESTS);
    tcase_add_test(tc, a_model_or_the_engine_may_go_after_any_step);
    tcase_add_loop_test(tc, a_load_may_be_ended_at_any_point, 0, 6);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
