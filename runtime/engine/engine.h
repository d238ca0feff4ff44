/* How requests run. One engine is one backend and one thread that runs steps; models and requests hang below it.
 *
 * Locking: one mutex per engine guards every field of the engine, its models and its requests, except those marked [step], which belong
 * to whoever runs the step (model->stepping is set meanwhile and lifetimes wait for it), and those that never change after creation.
 * Freeing the engine takes its device memory and its thread; the structs live until the last handle is freed. */
#ifndef CUD_ENGINE_ENGINE_H
#define CUD_ENGINE_ENGINE_H

#include "core/clock.h"
#include "core/log.h"
#include "engine/beam.h"
#include "engine/encode.h"
#include "engine/generation.h"
#include "engine/scheduler.h"
#include "engine/stats.h"
#include "grammar/cache.h"
#include "models/model.h"
#include "text/tokenizer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

enum { CUD_MAX_REPLAYS = 48 };

typedef struct replay_entry { /* a shape of decode step that was seen */
    int sequences, max_kv;
    bool apart; /* tokens are picked behind it, when masks have been made */
    uint64_t used; /* when, by the model's clock; 0: the entry is free */
    struct graph *graph; /* NULL until it is seen again */
    bool plain;          /* it could not be captured */
    tensor logits;       /* where the graph leaves them */
    size_t workspace;    /* that is in use behind it */
} replay_entry;

typedef struct replay_ahead { /* a sequence whose next row is in the device's block */
    const cuddle_request *request;
    int count; /* of its ids by then */
    int pages, preemptions; /* its pages that the block knows of */
    int row;
} replay_ahead;

struct cuddle_engine {
    backend *backend; /* NULL once the engine was freed */
    bool deterministic, has_thread, stopping, draining;
    int cpu_threads;
    uint64_t memory_budget, memory_planned; /* bytes; 0: no budget */
    logger log;
    char device_name[128];
    cuddle_device_kind device;

    cuddle_error lost; /* its device failed for good: nothing runs any more, all requests end with this */

    pthread_mutex_t lock;
    pthread_cond_t work;  /* something to do, for the engine's thread */
    pthread_cond_t quiet; /* the last request has ended */
    pthread_t thread;
    cuddle_model *models; /* list */
    cuddle_model *next;   /* whose turn it is */
    int handles;          /* the user's and each model's */
    int unfinished;       /* requests that have not ended */

    cuddle_engine_stats stats; /* what the models in the list count themselves, and what is now, is not in it */
};

struct cuddle_model {
    cuddle_engine *engine;
    cuddle_model *list_next;
    int handles; /* the user's and each request's */
    bool closing;  /* being freed: no further steps */
    bool counted;  /* what its scheduler counted is in the engine's statistics */
    bool detached; /* freed, or its engine was: no memory, no requests */
    bool admitted; /* in the engine's list and budget */

    model *m; /* once detached, what the checkpoint says alone */
    cuddle_tokenizer *tokenizer; /* NULL: ids only */
    grammar_cache grammars; /* has a lock of its own, which may be taken while the engine's is held, not the other way */
    generation_config config;
    cuddle_plan plan;
    int max_context;
    int64_t pages;

    /* loading */
    pthread_t loader;
    bool has_loader;
    atomic_bool cancel_load;
    cuddle_model_state state;
    bool open_early; /* memory is there, and steps wait for each layer to arrive: they may run while it loads */
    cuddle_error failure; /* of the load */
    load_report load_report; /* the loader's until the state is no longer LOADING */
    pthread_cond_t changed; /* the state changed, or stepping ended */
    cuddle_progress_fn progress;
    void *progress_user;

    /* running */
    scheduler scheduler;
    bool prefix_cache;
    bool stepping;
    size_t workspace_peak; /* of all steps */
    double due_at; /* the first time that a request may have to end before its own end: 0 after a cancel; INFINITY: none has to */

    /* [step] */
    step host, device;
    void *host_block;
    float *logits; /* [caps.outputs, vocabulary]; of an encoder m->result_bytes */
    sampler sampler;
    uint32_t *allowed; /* [caps.sequences, vocabulary / 32, rounded up]: by the grammars of a step's requests */
    struct produced *produced; /* [caps.sequences] */
    size_t step_workspace; /* of the last step */
    double model_seconds; /* of the last step, in the model alone */
    double pick_seconds;  /* in picking its tokens; a device that runs ahead only begins meanwhile */

    /* [step] on backends that pick tokens themselves */
    int32_t *picked;   /* [caps.outputs] */
    uint32_t *marks;   /* [caps.sequences, 2, mark_words]: what was sent to a seat */
    replay_entry replays[CUD_MAX_REPLAYS];
    replay_ahead *ahead; /* [caps.sequences] */
    int ahead_count;
    uint64_t replay_clock, replayed, block_uploads;
};

typedef struct text_buffer {
    char *data; /* NUL-terminated when not NULL */
    size_t length, capacity;
} text_buffer;

struct cuddle_request {
    cuddle_model *model;
    task task; /* its counts are the step's while in_step */

    /* A request of several choices is as many of these, each with a task of its own. The first is the whole: it has what is common to them. */
    cuddle_request *whole;   /* itself if it is the first */
    cuddle_request **choice; /* [g.best_of], the whole's; in the order of the results once it has ended */
    int index;               /* among the choices */
    int open;                /* the whole's: choices that have not ended */
    beam_search *beam;       /* the whole's, if its choices are beams */

    int handles; /* the whole's: the user's, and the scheduler's for each choice */
    pthread_cond_t changed;
    cuddle_event_fn on_event;
    void *user;
    bool cancelled;
    bool in_step; /* part of the step that is running, callbacks included */
    cuddle_finish finish;
    cuddle_error failure;

    generation g; /* max_tokens filled in */
    encode_job *encoding; /* of one that is not a generation; NULL: it is */
    int prompt_count;
    int32_t *ids; /* [prompt_count + max_tokens]; those of the task, which counts them */
    int marked;   /* [step] ids that the device's marks of its seat are up to date with; -1: none */
    unsigned marked_bans; /* [step] and what was banned then, cud_bans() */
    int marked_after; /* [step] preemptions before it got that seat */
    int cached; /* positions of its prompt that were taken over from others */

    /* [step] output */
    cud_matcher *matcher; /* of its grammar; NULL: it has none */
    cuddle_detokenizer *detokenizer;
    text_buffer made;       /* all text, held-back stop prefixes included */
    size_t released;        /* bytes of `made` that no stop string can take back */
    float *logprobs, *prompt_logprobs;
    double logprob_sum; /* of the tokens produced */
    double beam_score;
    uint8_t *prompt_is_greedy;
    cuddle_logprob *top_logprobs, *prompt_top_logprobs;

    /* what readers see */
    text_buffer text; /* released so far */
    size_t fetched;   /* bytes given out by next_text */
    char *piece;      /* the last of them, owned */
    double submitted, started, first_token, last_token, ended; /* seconds of a monotonic clock; 0: not yet */
    double deadline;                                           /* likewise; 0: none */
};

/* The request a task is part of. */
static inline cuddle_request *cud_request_of(const task *t) { return (cuddle_request *)(void *)((char *)(uintptr_t)t - offsetof(cuddle_request, task)); }
/* Will the step that is planned give it a new token? */
static inline bool cud_request_samples(const cuddle_request *r) { return r->task.step_rows > 0 && r->task.computed + r->task.step_rows == r->task.count; }

/* ---- engine.c ---- */
bool cud_engine_open(const cuddle_model *h); /* may steps of it run? The lock is held. */
/* Takes no further requests and waits until there are none; CUDDLE_E_BUSY when the time has passed (< 0: never). */
cuddle_status cud_engine_drain(cuddle_engine *e, int timeout_ms, cuddle_error *err);
/* Takes the backend. `deterministic` is ON or OFF. */
cuddle_status cud_engine_new(cuddle_engine **out, backend *b, cuddle_device_kind kind, const cuddle_engine_options *options, cuddle_error *err);
void cud_engine_free(cuddle_engine *e);
cuddle_status cud_engine_step(cuddle_engine *e, bool *worked, cuddle_error *err);
void cud_engine_release(cuddle_engine *e); /* one handle; the lock is not held */

/* ---- loading.c ---- */
cuddle_status cud_engine_load(cuddle_model **out, cuddle_engine *e, const char *path, const cuddle_model_options *options, cuddle_error *err);
cuddle_status cud_engine_plan(cuddle_plan *out, cuddle_engine *e, const char *path, const cuddle_model_options *options, cuddle_error *err);
void cud_engine_load_report(cuddle_load_report *out, const cuddle_model *h); /* the model is not loading */
void cud_engine_used(cuddle_plan *used, const cuddle_model *h); /* the lock is held, the model is ready */
/* Ends the model's load and requests and frees its memory; the handle stays. The lock is not held. */
void cud_engine_detach(cuddle_model *h);
void cud_engine_release_model(cuddle_model *h);

/* ---- request.c ---- */
cuddle_status cud_request_submit(cuddle_request **out, cuddle_model *h, const cuddle_segment *segments, size_t count,
                                 const cuddle_generation_options *options, cuddle_event_fn on_event, void *user, cuddle_error *err);
/* A request of one choice that is not a generation. After a failure *out may be there: for cud_request_start(). */
cuddle_status cud_request_new(cuddle_request **out, cuddle_event_fn on_event, void *user, int timeout_ms, cuddle_error *err);
/* Queues it unless `status` is a failure, which it returns; a request that is not queued goes. */
cuddle_status cud_request_start(cuddle_request **out, cuddle_request *r, cuddle_model *h, cuddle_status status, cuddle_error *err);
void cud_request_free(cuddle_request *r);
void cud_request_release(cuddle_request *r); /* one handle; the lock is held */
/* Marks the end of a choice and wakes who waits; the lock is held. The first end counts. */
void cud_request_end(cuddle_request *r, cuddle_finish finish, const cuddle_error *why);
/* Marks it to be ended before the next step; the lock is held. */
void cud_request_mark_cancelled(cuddle_request *r);

/* ---- beams.c: the lock is held ---- */

/* A beam's part of the step is over; its other beams may end or move with it. */
void cud_beams_publish(cuddle_request *r, cuddle_finish finish, const cuddle_error *failure);

/* ---- encode.c ---- */

extern const task_kind cud_encoding_kind; /* fills a `step` */
cuddle_status cud_request_encode(cuddle_request **out, cuddle_model *h, const cuddle_segment *segments, size_t count, const cuddle_encode_options *options,
                                 cuddle_event_fn on_event, void *user, cuddle_error *err);
struct produced;
/* Runs h->host and gives each request its result, which ends it. [step], no lock. */
cuddle_status cud_encode_step(cuddle_model *h, exec *ex, struct produced *p, int count, cuddle_error *err);

/* ---- fill.c: rows of a step ---- */

extern const task_kind cud_generation_kind; /* fills a `step` */
/* The step of all rows that were planned; the lock is held. */
void cud_fill(cuddle_model *h);

/* ---- pick.c: tokens picked by the device; [step], no lock ---- */

struct produced;
typedef enum pick_plan {
    PICK_NONE, /* the host picks every token of the step */
    PICK_SOME, /* the host needs the logits of some */
    PICK_ALL   /* all that is wanted of the step are the tokens that the device picks */
} pick_plan;
/* Notes for each request of the step whether the device picks its token, and whether the host needs its logits. */
pick_plan cud_pick_plan(const cuddle_model *h, struct produced *p, int count);
/* Fills the sampling rows of h->host and sends the marks that are not up to date, but for what grammars allow. */
cuddle_status cud_pick_prepare(cuddle_model *h, exec *ex, const struct produced *p, int count, cuddle_error *err);
/* Sends that, once cud_constrain_masks() has been called. */
cuddle_status cud_pick_masks(cuddle_model *h, exec *ex, const struct produced *p, int count, cuddle_error *err);
/* Adjusts what has been fetched into h->logits and has to be, and sends it back. */
cuddle_status cud_pick_adjust(cuddle_model *h, exec *ex, const struct produced *p, int count, float *logits, cuddle_error *err);
/* The token for a request from h->picked. */
cuddle_status cud_pick_take(int32_t *token, cuddle_model *h, cuddle_request *r, cuddle_error *err);

/* ---- constrain.c: what a request's grammar allows; [step], no lock ---- */

/* When it is submitted: after its prompt's text, which `detokenizer` has seen. */
cuddle_status cud_constrain_begin(cuddle_request *r, const cuddle_model *h, bool after_text, cuddle_error *err);
bool cud_constrain_any(const struct produced *p, int count); /* has any of them a grammar? */
/* What may come next in the requests that get a token. It depends on earlier tokens alone, so it is called when the device has its work. No
 * request changes; one whose mask cannot be made will fail. */
void cud_constrain_masks(cuddle_model *h, struct produced *p, int count);
/* Takes in a token that is not a stop token; *over if nothing may follow it. */
cuddle_status cud_constrain_take(bool *over, cuddle_request *r, int32_t token, cuddle_error *err);

/* ---- replay.c: decode steps as graphs; [step], no lock ---- */

/* Is h->host a step that can be replayed? The device must be able to pick its tokens. */
bool cud_replay_fits(const cuddle_model *h, const exec *ex);
/* Runs h->host, padded, up to the picked tokens in the device's block. */
cuddle_status cud_replay_run(cuddle_model *h, exec *ex, struct produced *p, int count, cuddle_error *err);
void cud_replay_free(cuddle_model *h, backend *b);

/* ---- output.c: from logits to what a request has produced; [step], no lock ---- */

typedef struct produced { /* by one request in one step */
    cuddle_request *request;
    size_t text_from;  /* released before the step */
    int tokens_from;   /* count before the step */
    const uint32_t *allowed; /* tokens that may come by its grammar; NULL: all */
    bool unmasked;     /* these could not be found: `failure` says why */
    bool picked;       /* its token, by the device */
    bool logits;       /* of its outputs, on the host */
    bool adjusts;      /* them there, before its token is picked by the device */
    cuddle_finish finish;
    cuddle_error failure;
} produced;

/* Takes in the logits of p->request's rows, or the token that the device picked: log-probabilities of its prompt, and a new token if it
 * was its turn. */
void cud_output_take(produced *p, cuddle_model *h);
history cud_request_past(const cuddle_request *r); /* what the next token follows */
/* Does this token end the output? */
bool cud_output_ends(const cuddle_request *r, int32_t token);
/* The text of all that was produced, for readers. */
cuddle_status cud_output_whole_text(cuddle_request *r, cuddle_error *err);
cuddle_status cud_text_append(text_buffer *b, const char *text, size_t length, cuddle_error *err);

#endif
