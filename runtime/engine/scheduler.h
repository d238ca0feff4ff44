/* Which requests run, and which rows the next step has.
 *
 * The scheduler knows tasks: sequences of positions, of which the first so many are computed. Their tokens, what a step is made of and what comes
 * out of it are their kind's business, so that the rules here can be tried by a hundred thousand tasks without a model.
 *
 * Tasks wait in the order of their priority, then of their arrival. A task is admitted when there is a place for it and pages for all that is known of
 * it and one position more; what other tasks with the same beginning have computed is taken over: whole pages are shared, and a part of a page is
 * copied from the task that it is a fork of, before the first step in which the new one has rows. Decoding tasks come first in a step, one row
 * each, then the others in turn, in chunks, until the step is full. A task that needs a page when there is none left makes the one with
 * the lowest priority that came last go back to waiting, itself perhaps; that one computes again what it had computed. So the first of the
 * highest priority always goes on. The caller guards it with a lock of its own. */
#ifndef CUD_ENGINE_SCHEDULER_H
#define CUD_ENGINE_SCHEDULER_H

#include "engine/pages.h"

typedef struct task task;

typedef struct task_kind {
    const char *name;
    bool whole; /* its rows cannot be spread over steps: each looks at those after it */
    bool paged; /* what it computes stays in pages until it ends */
    /* Adds rows [t->computed, t->computed + t->step_rows) to a step, the last t->step_outputs of them with an output; in the order of
     * scheduler.planned. */
    void (*fill)(const task *t, void *step);
} task_kind;

struct task {
    const task_kind *kind;
    const int32_t *ids; /* [count] */
    int count;          /* positions that are known; the task's, between steps */
    int computed;       /* of them, in the cache */
    int outputs_from;   /* the first position whose row has an output; count - 1 as a rule */
    int priority;       /* higher goes first */
    prefix_scope scope;
    bool shares; /* its prefix may be taken from others of its scope, and theirs from it */
    const task *after; /* NULL, or the task with the same beginning that has to compute it first; it lives as long as this one */
    const task *fork_of; /* NULL, or the task of the same scope that it may copy a part of a page from; it lives as long as this one */

    /* the scheduler's */
    uint64_t arrival;
    task *next, *previous; /* among the waiting */
    bool waiting, running;
    int at; /* in running[] */
    int seat; /* a number below the most that can run, its own while it runs */
    int32_t *pages; /* [room for most positions] */
    int page_count, most_pages;
    int published;   /* pages whose prefix is known to the pool */
    uint64_t prefix; /* name of that prefix */
    int32_t copy_from; /* -1, or a page it holds until the positions before `computed` in the page of that position are copied from it */
    int preemptions;
    int passed_over; /* steps that it had no rows in */

    /* its part in the step that was planned last */
    int step_rows, step_outputs, step_first_output;
};

typedef struct scheduler_caps {
    int tokens, sequences, outputs; /* of a step */
    int queue;                      /* most tasks that wait */
    int64_t pages;
} scheduler_caps;

typedef struct scheduler {
    scheduler_caps caps;
    page_pool pool;
    task *first_waiting, *last_waiting;
    int waiting_count;
    task **running; /* [caps.sequences] */
    int running_count;
    int turn; /* index into running that the next step begins with, so that none starves */
    bool *seats;
    uint64_t arrivals;

    /* the step that was planned last */
    task **planned; /* [caps.sequences]: who has rows in it, in this order */
    int planned_count, rows, outputs;

    uint64_t preempted;             /* times that a task had to give way */
    uint64_t prefix_asked, prefix_hits; /* positions of admitted tasks, and those of them that were taken over */
} scheduler;

cuddle_status cud_scheduler_init(scheduler *s, const scheduler_caps *caps, cuddle_error *err);
/* No task may be left. */
void cud_scheduler_free(scheduler *s);

/* Allocates what the scheduler keeps of a task that will have at most `positions` positions. CUDDLE_E_LIMIT if it could never run. The task is
 * otherwise filled in by the caller. */
cuddle_status cud_task_init(task *t, const scheduler_caps *caps, int positions, cuddle_error *err);
void cud_task_free(task *t);

/* Lets tasks that belong together wait for their turn, all or none of them; CUDDLE_E_BUSY if too many would. */
cuddle_status cud_scheduler_submit(scheduler *s, task *const *tasks, int count, cuddle_error *err);
/* The task leaves, wherever it is; its pages go back. */
void cud_scheduler_remove(scheduler *s, task *t);
/* Is there anything to do? */
static inline bool cud_scheduler_has_work(const scheduler *s) { return s->running_count > 0 || s->waiting_count > 0; }
/* Decides about the next step: who is admitted, who gives way, and the rows of each running task. Returns the number of rows. */
int cud_scheduler_plan(scheduler *s);
/* What has to be copied before the task's rows are computed; its copy_from is not -1. */
static inline page_copy cud_task_copy(const task *t) { return (page_copy){ t->copy_from, t->pages[t->computed / CUD_PAGE], t->computed % CUD_PAGE }; }
/* What the task has computed is no longer its own: it goes on from what is known of its new ids. */
void cud_scheduler_rewind(scheduler *s, task *t);
/* The step that was planned has run: the task's rows are computed, and what had to be copied for them was. */
void cud_scheduler_done(scheduler *s, task *t);

#endif
