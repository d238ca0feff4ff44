/* A soak: 32 threads send requests of every kind to two models of one engine, wait for them, read, cancel and free them at any moment, while
 * models are loaded anew and engines are drained or freed under them, for as long as it is asked to.
 *   soak_engine [SECONDS [SEED]]    default: 2 seconds, seed 1; it goes on for up to five minutes until everything was seen that it is about
 * What a request gives was found out when nothing else ran; what is greedy and plain has transformers' tokens. Whoever ends by itself has to give
 * the same to the bit, whoever is cut off a beginning of it. An engine that was drained, or whose models are gone, has nothing left, and its counts
 * add up to ours. The cache and the queue are small, so that requests give way and are refused. A sanitizer says whether anything is raced for. */
#include "engine_support.h"
#include "letters.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 32, HELD = 2, SUBJECTS = 2, MOST_CHOICES = 3, MOST_TOKENS = 32, MOST_IDS = 48, TOP = 2 };
enum { HANGS_MS = 120000, LONGEST = 24 * 3600, GRACE = 300 };

static atomic_bool stopping;
static atomic_int failures;
static double began;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
    char text[600];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (atomic_fetch_add(&failures, 1) < 20) fprintf(stderr, "soak_engine: after %.1f s: %s\n", now() - began, text);
    atomic_store(&stopping, true);
}

/* Nothing can be freed any more. */
static void hangs(const char *what)
{
    fprintf(stderr, "soak_engine: after %.1f s: %s did not end in %d s\n", now() - began, what, HANGS_MS / 1000);
    _exit(1);
}

static unsigned any(uint64_t *random, unsigned below)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*random >> 33) % below;
}

/* What happened, over all engines. */
static struct { atomic_ullong submitted, by_callbacks, finished, cancelled, failed, late, dropped, refused, turned_away; } seen;
static struct { uint64_t preempted, asked, hits, evicted; int loads, engines, drained; } past; /* the main thread's: of engines that are gone */

/* ------------------------------------------------------------------------------------------------- what is asked for */

typedef struct subject { /* a checkpoint, and what transformers continues its prompt with */
    char dir[512];
    int32_t ids[LETTERS_MOST];
    int count;
} subject;

enum { LETTER = 2 }; /* bytes */
static letters first;
static char *whole_text;
static subject subjects[SUBJECTS]; /* one with a tokenizer, one without */

typedef struct recipe {
    const char *name;
    int subject, from, tokens; /* its prompt: the first so many of the subject's ids */
    bool known;                /* its tokens are transformers' */
    float temperature, top_p, min_p, repetition, frequency;
    int top_k, ngram, n, best_of, beams;
    int logprobs; /* so many and the token's own; 0: none */
    bool prompt_logprobs, grammar, nothing_left;
    int stop_from; /* a stop string of two letters: the subject's there */
} recipe;

static const recipe recipes[] = {
    { "greedy", 0, 9, 24, .known = true }, /* the first of each subject is what callbacks submit */
    { "greedy", 1, 9, 24, .known = true },
    { "greedy, two pages", 0, 20, 13, .known = true, .logprobs = TOP },
    { "greedy, short", 1, 17, 3, .known = true, .logprobs = TOP, .prompt_logprobs = true },
    { "a prompt alone", 0, 33, 0, .prompt_logprobs = true },
    { "drawn", 0, 9, 30, .temperature = 1 },
    { "drawn from few", 1, 15, 20, .temperature = 0.8f, .top_k = 20, .top_p = 0.9f, .min_p = 0.02f },
    { "drawn without repetition", 0, 12, 20, .temperature = 1.1f, .repetition = 1.3f, .frequency = 0.5f, .ngram = 2, .logprobs = TOP },
    { "three choices", 0, 9, 25, .temperature = 1, .n = 3 },
    { "three choices with their log-probabilities", 1, 18, 12, .temperature = 1, .n = 3, .logprobs = TOP, .prompt_logprobs = true },
    { "best of four", 0, 10, 12, .temperature = 1, .n = 2, .best_of = 4 },
    { "beams", 0, 9, 16, .n = 2, .beams = 3 },
    { "beams", 1, 14, 10, .n = 1, .beams = 2 },
    { "a stop string", 0, 9, 24, .stop_from = 16 },
    { "a grammar", 0, 9, 20, .temperature = 1.3f, .grammar = true },
    { "nothing left", 1, 9, 8, .nothing_left = true },
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

/* What a recipe gives when nothing else runs. */
static struct truth {
    cuddle_status status; /* FAILED ones: with what */
    struct answer {
        cuddle_finish finish;
        size_t count, text_length;
        int32_t ids[MOST_TOKENS];
        char text[2 * MOST_TOKENS + 1];
        float logprobs[MOST_TOKENS];
        cuddle_logprob top[MOST_TOKENS * TOP];
    } choice[MOST_CHOICES];
    float prompt_logprobs[MOST_IDS];
} truths[RECIPES];

static const struct truth *truth_of(const recipe *how) { return &truths[how - recipes]; }
static int choices_of(const recipe *how) { return how->n ? how->n : 1; }
/* Which of its choices are given is known in the end. */
static bool streams(const recipe *how) { return how->beams == 0 && how->best_of == 0; }

/* ------------------------------------------------------------------------------------------------ engines and models */

typedef struct world { /* an engine, and what we have sent to it */
    cuddle_engine *engine;
    struct home *home[SUBJECTS];
    atomic_ullong accepted, refused;
    struct world *older;
} world;

typedef struct home { /* a loaded model; this stays for requests that know it, when the model is gone */
    world *of;
    cuddle_model *h;
    cuddle_grammar *grammar;
    atomic_bool closed; /* its requests may be cancelled from now on */
    struct home *older;
} home;

static pthread_rwlock_t lock; /* of `here` and its homes: whoever uses a model for longer than the lock has a request of it */
static world *here;
static world *worlds;
static home *homes;

static void *zeroed(size_t size)
{
    void *p = calloc(1, size);
    if (!p) abort();
    return p;
}

static cuddle_model_options small_model(uint64_t *random)
{
    cuddle_model_options o = test_model_options();
    o.max_context = 40;
    o.max_batch = 16;
    o.max_sequences = 6;
    o.kv_tokens = 12 * 16; /* 12 pages, of which most requests need three */
    o.max_queue = 16;
    o.prefix_cache = !random || any(random, 3) == 0 ? CUDDLE_OFF : CUDDLE_ON;
    if (test_on_cpu() && random) o.load = any(random, 2) ? CUDDLE_LOAD_MAP : CUDDLE_LOAD_READ;
    return o;
}

/* A model that may still be loading. */
static home *load(world *w, int which, const cuddle_model_options *o)
{
    cuddle_error err;
    home *at = zeroed(sizeof *at);
    at->older = homes;
    homes = at;
    at->of = w;
    if (cuddle_model_load(&at->h, w->engine, subjects[which].dir, o, &err)) {
        wrong("load: %s", err.text);
        return at;
    }
    past.loads++;
    if (which != 0) return at;
    static const char source[] = "[\\x{105}-\\x{125}]{3,9}(\\x{101}|\\x{102}\\x{103})*";
    cuddle_grammar_options g;
    cuddle_grammar_options_init(&g, sizeof g);
    g.kind = CUDDLE_GRAMMAR_REGEX;
    g.source = source;
    g.length = sizeof source - 1;
    if (cuddle_grammar_compile(&at->grammar, cuddle_model_tokenizer(at->h), &g, &err)) wrong("grammar: %s", err.text);
    return at;
}

static void close_home(home *at)
{
    atomic_store(&at->closed, true);
    cuddle_model_free(at->h);
    at->h = NULL;
    cuddle_grammar_free(at->grammar); /* requests may still use it */
    at->grammar = NULL;
}

static world *new_world(uint64_t *random)
{
    cuddle_error err;
    world *w = zeroed(sizeof *w);
    w->older = worlds;
    worlds = w;
    cuddle_engine_options o = test_engine_options(1);
    o.deterministic = CUDDLE_ON;
    if (cuddle_engine_new(&w->engine, &o, &err)) {
        fprintf(stderr, "soak_engine: %s\n", err.text);
        exit(1);
    }
    past.engines++;
    const cuddle_model_options m = small_model(random);
    for (int i = 0; i < SUBJECTS; i++) w->home[i] = load(w, i, &m);
    return w;
}

static cuddle_engine_stats stats_of(cuddle_engine *engine)
{
    cuddle_error err;
    cuddle_engine_stats s = { .struct_size = sizeof s };
    if (cuddle_engine_get_stats(engine, &s, &err)) wrong("statistics: %s", err.text);
    return s;
}

static uint64_t ended(const cuddle_engine_stats *s)
{
    return s->ended_eos + s->ended_stop + s->ended_length + s->ended_cancelled + s->ended_failed + s->ended_deadline;
}

/* Of an engine all of whose requests have ended and to which nobody sends any more. */
static void check_quiet(const world *w)
{
    const cuddle_engine_stats s = stats_of(w->engine);
    const unsigned long long accepted = atomic_load(&w->accepted), refused = atomic_load(&w->refused);
    if (s.submitted != accepted || s.refused != refused)
        wrong("%llu requests were submitted and %llu refused, we count %llu and %llu", (unsigned long long)s.submitted, (unsigned long long)s.refused,
              accepted, refused);
    if (ended(&s) != s.submitted || s.request_seconds.count != s.submitted)
        wrong("%llu requests were submitted, %llu ended, %llu were timed", (unsigned long long)s.submitted, (unsigned long long)ended(&s),
              (unsigned long long)s.request_seconds.count);
    if (s.queued || s.running || s.kv_pages_used)
        wrong("%d wait, %d run and %llu pages are used when all has ended", s.queued, s.running, (unsigned long long)s.kv_pages_used);
}

static void remember(const world *w)
{
    const cuddle_engine_stats s = stats_of(w->engine);
    past.preempted += s.preempted;
    past.asked += s.prefix_asked;
    past.hits += s.prefix_hits;
    past.evicted += s.prefix_evicted;
}

/* --------------------------------------------------------------------------------------------------------- requests */

typedef struct sent { /* a request on its way */
    cuddle_request *r;
    const recipe *how;
    home *at;
    int timeout_ms;
    atomic_bool cancelled; /* by one of us */
    size_t read[MOST_CHOICES]; /* bytes of the text */
} sent;

typedef struct job {
    pthread_mutex_t lock; /* others may use sent.r while they have it; its owner changes it under it */
    sent sent;
    /* the callback's, until sent.r is freed */
    uint64_t random;
    bool with_events;
    int events, cancel_at, submit_at; /* at these events; 0: not */
    struct heard { size_t tokens, text; int ends; } heard[MOST_CHOICES];
    sent child;
} job;

typedef struct worker {
    pthread_t thread;
    uint64_t random;
    job jobs[HELD];
} worker;

static worker workers[THREADS];

/* All but the stop string. */
static cuddle_generation_options options_of(const recipe *how, const home *at)
{
    static const int32_t banned = 3;
    cuddle_generation_options o;
    cuddle_generation_options_init(&o, sizeof o);
    o.max_tokens = how->tokens;
    o.ignore_eos = how->known;
    o.temperature = how->temperature;
    o.seed = (uint64_t)(how - recipes);
    if (how->top_k) o.top_k = how->top_k;
    if (how->top_p > 0) o.top_p = how->top_p;
    if (how->min_p > 0) o.min_p = how->min_p;
    if (how->repetition > 0) o.repetition_penalty = how->repetition;
    if (how->ngram) o.no_repeat_ngram_size = how->ngram;
    o.frequency_penalty = how->frequency;
    o.n = how->n;
    o.best_of = how->best_of;
    o.num_beams = how->beams;
    o.logprobs = how->logprobs ? how->logprobs : -1;
    o.prompt_logprobs = how->prompt_logprobs;
    o.grammar = how->grammar ? at->grammar : NULL;
    if (how->nothing_left) {
        o.allowed = o.suppress = &banned;
        o.allowed_count = o.suppress_count = 1;
    }
    return o;
}

/* As text, as ids, or as ids in two parts. */
static cuddle_status submit(sent *s, const recipe *how, home *at, cuddle_generation_options *o, unsigned form, cuddle_event_fn fn, void *user,
                            cuddle_error *err)
{
    const subject *of = &subjects[how->subject];
    char stop[2 * LETTER + 1] = "";
    memcpy(stop, whole_text + LETTER * how->stop_from, 2 * LETTER);
    const char *const stops[] = { stop };
    o->stop = stops;
    o->stop_count = how->stop_from ? 1 : 0;
    const size_t part = form == 1 ? (size_t)how->from / 3 : 0;
    const cuddle_segment as_ids[] = { { .kind = CUDDLE_SEGMENT_TOKENS, .tokens = of->ids, .count = part },
                                      { .kind = CUDDLE_SEGMENT_TOKENS, .tokens = of->ids + part, .count = (size_t)how->from - part } };
    const cuddle_segment as_text = { .kind = CUDDLE_SEGMENT_TEXT, .text = whole_text, .count = LETTER * (size_t)how->from };
    const bool text = form == 2 && how->subject == 0;
    s->how = how;
    s->at = at;
    s->timeout_ms = o->timeout_ms;
    atomic_store(&s->cancelled, false);
    memset(s->read, 0, sizeof s->read);
    cuddle_request *r;
    const cuddle_status status = cuddle_request_submit(&r, at->h, text ? &as_text : as_ids, text ? 1 : 2, o, fn, user, err);
    s->r = NULL;
    if (!status) s->r = r;
    if (!status) atomic_fetch_add(&seen.submitted, 1), atomic_fetch_add(&at->of->accepted, 1);
    else if (status == CUDDLE_E_BUSY) atomic_fetch_add(&seen.refused, 1), atomic_fetch_add(&at->of->refused, 1);
    else if (status == CUDDLE_E_CANCELLED) atomic_fetch_add(&seen.turned_away, 1); /* its engine is drained or freed, or its load was cancelled */
    else wrong("submit of %s: %s", how->name, err->text);
    return status;
}

/* Is what was given so far a beginning of the truth, and if `whole` all of it? */
static void check_answer(const sent *s, int choice, const cuddle_result *got, bool whole)
{
    const struct answer *want = &truth_of(s->how)->choice[choice];
    const char *name = s->how->name;
    const bool text = got->text != NULL;
    if (got->count > want->count || memcmp(got->ids, want->ids, got->count * sizeof *got->ids) != 0)
        wrong("%s, choice %d: %zu tokens are not those of a request alone", name, choice, got->count);
    else if (s->how->logprobs && (memcmp(got->logprobs, want->logprobs, got->count * sizeof *got->logprobs) != 0 ||
                                  memcmp(got->top_logprobs, want->top, got->count * TOP * sizeof *got->top_logprobs) != 0))
        wrong("%s, choice %d: other log-probabilities than alone", name, choice);
    if (text && (got->text_length > want->text_length || memcmp(got->text, want->text, got->text_length) != 0))
        wrong("%s, choice %d: the text is %s, expected %s", name, choice, got->text, want->text);
    if (!whole) return;
    if (got->finish != want->finish || got->count != want->count || (text && got->text_length != want->text_length))
        wrong("%s, choice %d: %zu tokens and %s, expected %zu and %s", name, choice, got->count, cuddle_finish_name(got->finish), want->count,
              cuddle_finish_name(want->finish));
    if (s->how->prompt_logprobs && memcmp(got->prompt_logprobs, truth_of(s->how)->prompt_logprobs, (size_t)s->how->from * sizeof(float)) != 0)
        wrong("%s: other log-probabilities of the prompt than alone", name);
}

static void read_text(sent *s)
{
    for (int i = 0; i < choices_of(s->how) && streams(s->how); i++) {
        const struct answer *want = &truth_of(s->how)->choice[i];
        size_t length;
        const char *piece = cuddle_request_next_text_of(s->r, i, &length);
        if (length > want->text_length - s->read[i] || memcmp(piece, want->text + s->read[i], length) != 0)
            wrong("%s, choice %d: the text goes on with %s after %zu bytes", s->how->name, i, piece, s->read[i]);
        else s->read[i] += length;
    }
}

/* Waits for the end, which has to be one that there was reason for. True: by itself, with all that it gives alone. */
static bool finish(sent *s)
{
    cuddle_error err;
    const struct truth *truth = truth_of(s->how);
    const cuddle_status status = cuddle_request_wait(s->r, HANGS_MS, &err);
    if (status == CUDDLE_E_BUSY) hangs(s->how->name);
    bool whole = false, failed = false;
    if (status == CUDDLE_OK) whole = true, atomic_fetch_add(&seen.finished, 1);
    else if (status == CUDDLE_E_LIMIT) atomic_fetch_add(&seen.late, 1);
    else if (status == CUDDLE_E_CANCELLED) atomic_fetch_add(&seen.cancelled, 1);
    else failed = true, atomic_fetch_add(&seen.failed, 1);
    if (failed ? status != truth->status : whole && truth->status) wrong("%s: %s, alone %s", s->how->name, cuddle_status_name(status), cuddle_status_name(truth->status));
    if (status == CUDDLE_E_LIMIT && !s->timeout_ms) wrong("%s: %s, but has none", s->how->name, err.text);
    if (status == CUDDLE_E_CANCELLED && !atomic_load(&s->cancelled) && !atomic_load(&s->at->closed)) wrong("%s: cancelled by nobody", s->how->name);
    if (cuddle_request_finish(s->r) == CUDDLE_FINISH_NONE) wrong("%s has ended, but not finished", s->how->name);
    for (int i = 0; i < choices_of(s->how); i++) {
        cuddle_result result = { .struct_size = sizeof result };
        if (cuddle_request_result_of(s->r, i, &result, &err)) wrong("%s: %s", s->how->name, err.text);
        else if (whole || streams(s->how)) check_answer(s, i, &result, whole);
    }
    read_text(s);
    for (int i = 0; i < choices_of(s->how) && whole && streams(s->how); i++)
        if (s->read[i] != truth->choice[i].text_length) wrong("%s, choice %d: %zu bytes of text were read", s->how->name, i, s->read[i]);
    return whole;
}

/* In the engine's thread: what it hears must be the truth's; now and then it cancels its own request, or submits one and perhaps cancels that. */
static void on_event(cuddle_request *r, const cuddle_event *e, void *user)
{
    job *j = user;
    const sent *s = &j->sent;
    const struct answer *want = &truth_of(s->how)->choice[e->choice];
    struct heard *heard = &j->heard[e->choice];
    if (heard->ends) wrong("%s: an event after the last", s->how->name);
    if (heard->tokens + e->token_count > want->count || memcmp(e->tokens, want->ids + heard->tokens, e->token_count * sizeof *e->tokens) != 0)
        wrong("%s: an event brings other tokens", s->how->name);
    if (heard->text + e->length > want->text_length || memcmp(e->text, want->text + heard->text, e->length) != 0)
        wrong("%s: an event brings other text", s->how->name);
    heard->tokens += e->token_count;
    heard->text += e->length;
    heard->ends += e->finish != CUDDLE_FINISH_NONE;
    j->events++;
    if (j->events == j->cancel_at) {
        atomic_store(&j->sent.cancelled, true);
        cuddle_request_cancel(r);
    }
    if (j->child.r && any(&j->random, 8) == 0) {
        atomic_store(&j->child.cancelled, true);
        cuddle_request_cancel(j->child.r);
    }
    if (j->events != j->submit_at || e->finish) return; /* not within the last: when that runs an engine may count as drained */
    cuddle_error err;
    const recipe *how = &recipes[s->how->subject];
    cuddle_generation_options o = options_of(how, s->at);
    if (submit(&j->child, how, s->at, &o, 0, NULL, NULL, &err) == CUDDLE_OK) atomic_fetch_add(&seen.by_callbacks, 1);
}

static void send(worker *w, job *j)
{
    cuddle_error err;
    const recipe *how = &recipes[any(&w->random, RECIPES)];
    j->random = w->random;
    j->with_events = streams(how) && any(&w->random, 2);
    j->events = 0;
    j->cancel_at = any(&w->random, 8) ? 0 : 1 + (int)any(&w->random, 12);
    j->submit_at = any(&w->random, 4) ? 0 : 1 + (int)any(&w->random, 6);
    memset(j->heard, 0, sizeof j->heard);
    pthread_rwlock_rdlock(&lock);
    home *at = here->home[how->subject];
    cuddle_generation_options o = options_of(how, at);
    o.priority = (int)any(&w->random, 5) - 2;
    o.timeout_ms = any(&w->random, 8) ? 0 : 1 + (int)any(&w->random, 30);
    o.cache_salt = any(&w->random, 3);
    pthread_mutex_lock(&j->lock);
    const cuddle_status status = submit(&j->sent, how, at, &o, any(&w->random, 3), j->with_events ? on_event : NULL, j, &err);
    pthread_mutex_unlock(&j->lock);
    pthread_rwlock_unlock(&lock);
    if (status) usleep(any(&w->random, 5000));
}

static void cancel(sent *s)
{
    atomic_store(&s->cancelled, true);
    cuddle_request_cancel(s->r);
}

/* Of a request that ended by itself. */
static void check_heard(const job *j)
{
    const recipe *how = j->sent.how;
    for (int i = 0; i < choices_of(how); i++) {
        const struct heard *got = &j->heard[i];
        const struct answer *want = &truth_of(how)->choice[i];
        if (got->ends != 1 || got->tokens != want->count || got->text != want->text_length)
            wrong("%s, choice %d: %zu tokens, %zu bytes and %d ends were heard", how->name, i, got->tokens, got->text, got->ends);
    }
}

/* Frees it, and then what its callbacks have submitted. */
static void drop(worker *w, job *j, bool is_over, bool whole)
{
    pthread_mutex_lock(&j->lock);
    cuddle_request *r = j->sent.r;
    j->sent.r = NULL;
    pthread_mutex_unlock(&j->lock);
    cuddle_request_free(r);
    if (!is_over) atomic_fetch_add(&seen.dropped, 1);
    if (whole && j->with_events) check_heard(j);
    sent *child = &j->child;
    if (!child->r) return;
    if (any(&w->random, 8)) finish(child);
    else atomic_fetch_add(&seen.dropped, 1);
    cuddle_request_free(child->r);
    child->r = NULL;
}

/* With a request of anyone's. */
static void meddle(worker *w)
{
    job *j = &workers[any(&w->random, THREADS)].jobs[any(&w->random, HELD)];
    cuddle_error err;
    cuddle_result result = { .struct_size = sizeof result };
    pthread_mutex_lock(&j->lock);
    if (j->sent.r && any(&w->random, 2)) {
        cancel(&j->sent);
    } else if (j->sent.r) {
        const bool over = cuddle_request_finish(j->sent.r) != CUDDLE_FINISH_NONE;
        const cuddle_status status = cuddle_request_result(j->sent.r, &result, &err);
        if (status && (over || status != CUDDLE_E_BUSY)) wrong("%s, asked by another: %s", j->sent.how->name, err.text);
    }
    pthread_mutex_unlock(&j->lock);
}

static void *work(void *user)
{
    worker *w = user;
    while (!atomic_load(&stopping)) {
        job *j = &w->jobs[any(&w->random, HELD)];
        cuddle_request *r = j->sent.r;
        if (!r) {
            send(w, j);
            continue;
        }
        switch (any(&w->random, 32)) {
        case 0: cancel(&j->sent); break;
        case 1: meddle(w); break;
        case 2: drop(w, j, false, false); break; /* as it is */
        case 3: case 4: read_text(&j->sent); break;
        case 5: case 6: case 7: (void)cuddle_request_wait_text(r, (int)any(&w->random, 3), NULL); break;
        case 8: case 9: case 10: (void)cuddle_request_wait(r, (int)any(&w->random, 3), NULL); break;
        default: drop(w, j, true, finish(&j->sent));
        }
    }
    for (int i = 0; i < HELD; i++) {
        job *j = &w->jobs[i];
        if (!j->sent.r) continue;
        if (any(&w->random, 2)) drop(w, j, true, finish(&j->sent));
        else drop(w, j, false, false);
    }
    return NULL;
}

/* -------------------------------------------------------------------------------------------------- what goes on beside */

/* What a model tells of itself, at any time. */
static void ask_model(cuddle_model *h)
{
    cuddle_error err;
    cuddle_plan planned = { .struct_size = sizeof planned }, used = { .struct_size = sizeof used };
    cuddle_load_report report = { .struct_size = sizeof report };
    const cuddle_model_state before = cuddle_model_get_state(h);
    const cuddle_status waited = cuddle_model_wait(h, 0, &err), asked = cuddle_model_memory(h, &planned, &used, &err);
    if (before == CUDDLE_MODEL_READY && (waited || asked)) wrong("a model that is ready: %s", err.text);
    if (!asked && (used.weights != planned.weights || used.workspace > planned.workspace)) wrong("a model uses other memory than was planned");
    if (before != CUDDLE_MODEL_LOADING && cuddle_model_load_report(h, &report, &err)) wrong("the report of a load: %s", err.text);
}

/* Reads the statistics all the time: what counts never goes back, and at no moment has more ended than was submitted. */
static void *watch(void *unused)
{
    (void)unused;
    const world *of = NULL;
    uint64_t before[8] = { 0 };
    while (!atomic_load(&stopping)) {
        pthread_rwlock_rdlock(&lock);
        const cuddle_engine_stats s = stats_of(here->engine);
        if (of != here) memset(before, 0, sizeof before);
        of = here;
        for (int i = 0; i < SUBJECTS; i++) ask_model(here->home[i]->h);
        pthread_rwlock_unlock(&lock);
        const uint64_t counts[8] = { s.submitted, s.refused, ended(&s), s.steps, s.generated_tokens, s.preempted, s.prefix_hits, s.prefix_evicted };
        for (int i = 0; i < 8; i++)
            if (counts[i] < before[i]) wrong("count %d of the statistics went back from %llu to %llu", i, (unsigned long long)before[i], (unsigned long long)counts[i]);
        memcpy(before, counts, sizeof before);
        if (ended(&s) > s.submitted || s.request_seconds.count != ended(&s) || s.step_seconds.count != s.steps || s.prefix_hits > s.prefix_asked ||
            s.kv_pages_used + s.kv_pages_cached > s.kv_pages_total)
            wrong("the statistics contradict themselves: %llu submitted, %llu ended, %llu of %llu pages used", (unsigned long long)s.submitted,
                  (unsigned long long)ended(&s), (unsigned long long)s.kv_pages_used, (unsigned long long)s.kv_pages_total);
        usleep(500);
    }
    return NULL;
}

/* However fast this machine and the build are. */
static void let_some_finish(uint64_t *random)
{
    const unsigned long long enough = atomic_load(&seen.finished) + any(random, any(random, 8) ? 200 : 2000);
    for (const double until = now() + 3; atomic_load(&seen.finished) < enough && now() < until && !atomic_load(&stopping);) usleep(5000);
}

/* Another model in the place of one, which goes with what runs on it. */
static void change_model(uint64_t *random)
{
    const int which = (int)any(random, SUBJECTS);
    const cuddle_model_options o = small_model(random);
    home *fresh = load(here, which, &o), *old = here->home[which];
    if (!fresh->h) return;
    const bool given_up = any(random, 6) == 0;
    atomic_store(&fresh->closed, given_up);
    pthread_rwlock_wrlock(&lock);
    here->home[which] = fresh;
    pthread_rwlock_unlock(&lock);
    if (given_up) cuddle_model_cancel(fresh->h);
    close_home(old);
}

/* Another engine in the place of the old, which is drained first, or freed with what runs on it: its models before it or after it. */
static void change_engine(uint64_t *random, bool drained)
{
    cuddle_error err;
    world *old = here, *fresh = new_world(random);
    const bool engine_first = any(random, 2);
    if (drained) {
        const cuddle_status status = cuddle_engine_drain(old->engine, (int)any(random, 20), &err);
        if (status && status != CUDDLE_E_BUSY) wrong("drain: %s", err.text);
        if (cuddle_engine_drain(old->engine, HANGS_MS, &err)) hangs("an engine that is drained");
        past.drained++;
    }
    pthread_rwlock_wrlock(&lock);
    here = fresh;
    pthread_rwlock_unlock(&lock);
    if (drained) check_quiet(old);
    if (engine_first) {
        remember(old);
        for (int i = 0; i < SUBJECTS; i++) atomic_store(&old->home[i]->closed, true);
        cuddle_engine_free(old->engine);
    }
    for (int i = 0; i < SUBJECTS; i++) close_home(old->home[i]);
    if (engine_first) return;
    check_quiet(old);
    remember(old);
    cuddle_engine_free(old->engine);
}

/* ---------------------------------------------------------------------------------------------------------------- alone */

static void find_truth(int index, home *at)
{
    const recipe *how = &recipes[index];
    const subject *of = &subjects[how->subject];
    struct truth *truth = &truths[index];
    cuddle_error err;
    sent s = { .r = NULL };
    cuddle_generation_options o = options_of(how, at);
    if (submit(&s, how, at, &o, 0, NULL, NULL, &err)) return;
    truth->status = cuddle_request_wait(s.r, HANGS_MS, &err);
    if ((truth->status == CUDDLE_E_FORMAT) != how->nothing_left) wrong("%s, alone: %s", how->name, err.text);
    for (int i = 0; i < choices_of(how); i++) {
        struct answer *to = &truth->choice[i];
        cuddle_result got = { .struct_size = sizeof got };
        if (cuddle_request_result_of(s.r, i, &got, &err)) wrong("%s, alone: %s", how->name, err.text);
        if (got.count > MOST_TOKENS || got.text_length >= sizeof to->text || got.prompt_count > MOST_IDS) abort();
        to->finish = got.finish;
        to->count = got.count;
        to->text_length = got.text ? got.text_length : 0;
        memcpy(to->ids, got.ids, got.count * sizeof *got.ids);
        if (got.text) memcpy(to->text, got.text, got.text_length);
        if (how->logprobs) memcpy(to->logprobs, got.logprobs, got.count * sizeof *got.logprobs);
        if (how->logprobs) memcpy(to->top, got.top_logprobs, got.count * TOP * sizeof *got.top_logprobs);
        if (how->prompt_logprobs) memcpy(truth->prompt_logprobs, got.prompt_logprobs, got.prompt_count * sizeof *got.prompt_logprobs);
        if (how->known && ((int)got.count != how->tokens || memcmp(got.ids, of->ids + how->from, got.count * sizeof *got.ids) != 0))
            wrong("%s, alone: not transformers' tokens", how->name);
    }
    cuddle_request_free(s.r);
}

static void prepare(void)
{
    expectation second;
    letters_make(&first);
    whole_text = letters_text(&first, 0, first.count);
    snprintf(subjects[0].dir, sizeof subjects[0].dir, "%s", first.dir);
    memcpy(subjects[0].ids, first.ids, sizeof first.ids);
    subjects[0].count = first.count;
    subject *s = &subjects[1];
    snprintf(s->dir, sizeof s->dir, "%s", test_path("parity/gpt2/base"));
    expectation_read(&second, s->dir);
    s->count = second.prompt_count + second.greedy_count;
    if (s->count > LETTERS_MOST) abort();
    memcpy(s->ids, second.prompt, (size_t)second.prompt_count * sizeof *s->ids);
    memcpy(s->ids + second.prompt_count, second.greedy, (size_t)second.greedy_count * sizeof *s->ids);
    expectation_free(&second);

    world *alone = new_world(NULL);
    for (int i = 0; i < RECIPES; i++) find_truth(i, alone->home[recipes[i].subject]);
    for (int i = 0; i < SUBJECTS; i++) close_home(alone->home[i]);
    check_quiet(alone);
    cuddle_engine_free(alone->engine);
    memset(&seen, 0, sizeof seen);
    memset(&past, 0, sizeof past);
}

/* Has everything been seen that this is about? */
static bool all_seen(void)
{
    const cuddle_engine_stats s = stats_of(here->engine);
    const bool requests = seen.by_callbacks && seen.finished && seen.cancelled && seen.failed && seen.late && seen.dropped && seen.refused && seen.turned_away;
    return requests && past.preempted + s.preempted && past.hits + s.prefix_hits && past.evicted + s.prefix_evicted && past.engines > 2 && past.drained &&
           past.loads > SUBJECTS * past.engines;
}

static long seconds, seed;

START_TEST(all_kinds_of_requests_for_a_while)
{
    uint64_t random = (uint64_t)seed * 0x9e3779b97f4a7c15u;
    pthread_rwlockattr_t waiting;
    pthread_rwlockattr_init(&waiting);
    pthread_rwlockattr_setkind_np(&waiting, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP); /* there are always readers */
    pthread_rwlock_init(&lock, &waiting);
    began = now();
    prepare();
    here = new_world(&random);
    began = now();
    pthread_t watcher;
    for (int i = 0; i < THREADS; i++) {
        worker *w = &workers[i];
        w->random = random + (uint64_t)(i + 1) * 0xbf58476d1ce4e5b9u;
        for (int k = 0; k < HELD; k++) pthread_mutex_init(&w->jobs[k].lock, NULL);
    }
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i])) abort();
    if (pthread_create(&watcher, NULL, watch, NULL)) abort();
    const double end = began + (double)seconds;
    for (int turn = 0; !atomic_load(&stopping) && (now() < end || (!all_seen() && now() < end + GRACE)); turn++) {
        let_some_finish(&random);
        if (turn % 4) change_model(&random);
        else change_engine(&random, turn % 8 == 0);
    }
    const bool complete = all_seen();
    if (!complete && !atomic_load(&stopping)) wrong("not everything was seen in time");
    atomic_store(&stopping, true);
    for (int i = 0; i < THREADS; i++) pthread_join(workers[i].thread, NULL);
    pthread_join(watcher, NULL);
    const double lasted = now() - began;
    if (cuddle_engine_drain(here->engine, 0, NULL)) wrong("requests are left when all were freed");
    check_quiet(here);
    remember(here);
    for (int i = 0; i < SUBJECTS; i++) close_home(here->home[i]);
    cuddle_engine_free(here->engine);
    if (seen.submitted != seen.finished + seen.cancelled + seen.failed + seen.late + seen.dropped) wrong("the ends do not add up to the requests");
    printf("%s after %.1f s, seed %ld: %llu requests, %llu of them by callbacks = %llu finished + %llu cancelled + %llu failed + %llu late + %llu freed on the way; "
           "%llu refused, %llu turned away; %llu times one gave way, %llu of %llu positions taken over, %llu pages evicted; %d engines, %d of them drained, "
           "%d models\n",
           atomic_load(&failures) ? "FAILED" : "passed", lasted, seed, (unsigned long long)seen.submitted, (unsigned long long)seen.by_callbacks,
           (unsigned long long)seen.finished, (unsigned long long)seen.cancelled, (unsigned long long)seen.failed, (unsigned long long)seen.late,
           (unsigned long long)seen.dropped, (unsigned long long)seen.refused, (unsigned long long)seen.turned_away, (unsigned long long)past.preempted,
           (unsigned long long)past.hits, (unsigned long long)past.asked, (unsigned long long)past.evicted, past.engines, past.drained, past.loads);
    for (home *h = homes, *older; h; h = older) older = h->older, free(h);
    for (world *w = worlds, *older; w; w = older) older = w->older, free(w);
    for (int i = 0; i < THREADS * HELD; i++) pthread_mutex_destroy(&workers[i / HELD].jobs[i % HELD].lock);
    pthread_rwlock_destroy(&lock);
    pthread_rwlockattr_destroy(&waiting);
    letters_free(&first);
    free(whole_text);
    const int failed = atomic_load(&failures);
    ck_assert_int_eq(failed, 0);
}
END_TEST

static long argument(int argc, char **argv, int at, long otherwise, long most)
{
    char *rest;
    if (at >= argc) return otherwise;
    const long value = strtol(argv[at], &rest, 10);
    if (*rest || value < 1 || value > most) {
        fprintf(stderr, "usage: soak_engine [SECONDS [SEED]], from 1 to %d seconds\n", LONGEST);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    seconds = argument(argc, argv, 1, 2, LONGEST);
    seed = argument(argc, argv, 2, 1, INT32_MAX);
    Suite *suite = suite_create("soak_engine");
    TCase *tc = tcase_create("soak_engine");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, all_kinds_of_requests_for_a_while);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
