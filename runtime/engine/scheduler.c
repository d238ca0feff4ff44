#include "engine/scheduler.h"

#include <stdlib.h>

enum {
    PAGES_AHEAD = 8,
    MOST_PASSED_OVER = 4
};

static int remaining(const task *t) { return t->count - t->computed; }
/* One row that continues what is computed. */
static bool decoding(const task *t) { return t->computed > 0 && remaining(t) == 1; }
/* All of it is computed, and it waits for others. */
static bool idle(const task *t) { return remaining(t) == 0; }
static int pages_for(int positions) { return (positions + CUD_PAGE - 1) / CUD_PAGE; }
/* Does a go before b? */
static bool before(const task *a, const task *b) { return a->priority != b->priority ? a->priority > b->priority : a->arrival < b->arrival; }

cuddle_status cud_scheduler_init(scheduler *s, const scheduler_caps *caps, cuddle_error *err)
{
    *s = (scheduler){ .caps = *caps };
    const cuddle_status status = cud_pages_init(&s->pool, caps->pages, err);
    if (status) return status;
    s->running = calloc((size_t)caps->sequences, sizeof *s->running);
    s->planned = calloc((size_t)caps->sequences, sizeof *s->planned);
    s->seats = calloc((size_t)caps->sequences, sizeof *s->seats);
    if (s->running && s->planned && s->seats) return CUDDLE_OK;
    cud_scheduler_free(s);
    return cud_nomem(err, (size_t)caps->sequences * (2 * sizeof *s->running + sizeof *s->seats), "the scheduler");
}

void cud_scheduler_free(scheduler *s)
{
    cud_pages_free(&s->pool);
    free(s->running);
    free(s->planned);
    free(s->seats);
    *s = (scheduler){ 0 };
}

cuddle_status cud_task_init(task *t, const scheduler_caps *caps, int positions, cuddle_error *err)
{
    t->copy_from = -1;
    if (t->kind->whole && positions > caps->tokens)
        return cud_fail(err, CUDDLE_E_LIMIT, "%d tokens have to be computed in one step, and a step has at most %d", positions, caps->tokens);
    if (!t->kind->paged) return CUDDLE_OK;
    if (pages_for(positions) > caps->pages)
        return cud_fail(err, CUDDLE_E_LIMIT, "%d positions need %d pages of the cache, which has %lld", positions, pages_for(positions),
                        (long long)caps->pages);
    t->most_pages = pages_for(positions);
    t->pages = malloc((size_t)t->most_pages * sizeof *t->pages);
    return t->pages ? CUDDLE_OK : cud_nomem(err, (size_t)t->most_pages * sizeof *t->pages, "a request's pages");
}

void cud_task_free(task *t)
{
    free(t->pages);
    t->pages = NULL;
}

/* --------------------------------------------------------------------------------------------------------- waiting */

static void wait_in_line(scheduler *s, task *t)
{
    task *after = s->last_waiting;
    while (after && before(t, after)) after = after->previous;
    t->previous = after;
    t->next = after ? after->next : s->first_waiting;
    *(t->next ? &t->next->previous : &s->last_waiting) = t;
    *(after ? &after->next : &s->first_waiting) = t;
    t->waiting = true;
    s->waiting_count++;
}

static void stop_waiting(scheduler *s, task *t)
{
    *(t->next ? &t->next->previous : &s->last_waiting) = t->previous;
    *(t->previous ? &t->previous->next : &s->first_waiting) = t->next;
    t->next = t->previous = NULL;
    t->waiting = false;
    s->waiting_count--;
}

cuddle_status cud_scheduler_submit(scheduler *s, task *const *tasks, int count, cuddle_error *err)
{
    if (count > s->caps.queue - s->waiting_count)
        return cud_fail(err, CUDDLE_E_BUSY, "%d requests are waiting, at most %d may", s->waiting_count, s->caps.queue);
    s->arrivals++;
    for (int i = 0; i < count; i++) {
        tasks[i]->arrival = s->arrivals;
        wait_in_line(s, tasks[i]);
    }
    return CUDDLE_OK;
}

/* ------------------------------------------------------------------------------------------------- coming and going */

static void drop_source(scheduler *s, task *t)
{
    if (t->copy_from >= 0) cud_pages_drop(&s->pool, t->copy_from);
    t->copy_from = -1;
}

/* Gives the pages back, the last first: of what stays findable, beginnings are kept longest. */
static void drop_pages(scheduler *s, task *t)
{
    drop_source(s, t);
    while (t->page_count > 0) cud_pages_drop(&s->pool, t->pages[--t->page_count]);
    t->published = 0;
    t->prefix = 0;
}

static void stop_running(scheduler *s, task *t)
{
    drop_pages(s, t);
    s->seats[t->seat] = false;
    s->running_count--;
    for (int i = t->at; i < s->running_count; i++) { /* the order stays: rows of a step keep their places */
        s->running[i] = s->running[i + 1];
        s->running[i]->at = i;
    }
    if (s->turn > t->at) s->turn--;
    t->running = false;
    t->step_rows = t->step_outputs = 0;
}

void cud_scheduler_remove(scheduler *s, task *t)
{
    if (t->waiting) stop_waiting(s, t);
    if (t->running) stop_running(s, t);
}

static void preempt(scheduler *s, task *t)
{
    stop_running(s, t);
    t->computed = 0;
    t->preemptions++;
    s->preempted++;
    wait_in_line(s, t);
}

/* Whoever would give way first. */
static task *last_in_rank(const scheduler *s)
{
    task *last = NULL;
    for (int i = 0; i < s->running_count; i++)
        if (!last || before(last, s->running[i])) last = s->running[i];
    return last;
}

/* Takes pages until the task has `wanted`; false if there are too few. */
static bool take_pages(scheduler *s, task *t, int wanted)
{
    while (t->page_count < wanted) {
        const int32_t index = cud_pages_take(&s->pool);
        if (index < 0) return false;
        t->pages[t->page_count++] = index;
    }
    return true;
}

/* How many pages to take where `wanted` are needed: more while there are plenty, so that a device need not be told of each. */
static int with_some_ahead(const scheduler *s, const task *t, int wanted)
{
    const int ahead = wanted + PAGES_AHEAD < t->most_pages ? wanted + PAGES_AHEAD : t->most_pages;
    return cud_pages_available(&s->pool) - (ahead - t->page_count) >= s->caps.pages / 2 ? ahead : wanted;
}

/* Takes back what was taken ahead; false if there was nothing. */
static bool reclaim(scheduler *s)
{
    bool any = false;
    for (int i = 0; i < s->running_count; i++) {
        task *t = s->running[i];
        for (const int needed = pages_for(t->count); t->page_count > needed; any = true) cud_pages_drop(&s->pool, t->pages[--t->page_count]);
    }
    return any;
}

/* How many positions of what it needs before its outputs a task could have from the one it is a fork of. */
static int in_common(const task *t)
{
    const task *other = t->fork_of;
    if (!other || !other->running || other->copy_from >= 0) return 0; /* what is yet to be copied is not there */
    const int most = other->computed < t->outputs_from ? other->computed : t->outputs_from;
    int n = 0;
    while (n < most && t->ids[n] == other->ids[n]) n++;
    return n;
}

/* Holds what others have computed of its beginning. The page that a part is to be copied from is held until then: its holders may leave, and what
 * they write into it meanwhile lies behind that part. */
static void take_over(scheduler *s, task *t)
{
    if (!t->shares) return;
    t->page_count = cud_pages_match(&s->pool, t->pages, t->outputs_from / CUD_PAGE, t->scope, t->ids, t->count, &t->prefix);
    t->published = t->page_count;
    t->computed = t->page_count * CUD_PAGE;
    const int common = in_common(t);
    if (common <= t->computed || common / CUD_PAGE != t->page_count) return;
    t->copy_from = t->fork_of->pages[t->page_count];
    cud_pages_hold(&s->pool, t->copy_from);
    t->computed = common;
}

/* Pages for everything known and the position after it. One more for each that goes on stays free, so that it need not give way at once. */
static bool find_pages(scheduler *s, task *t)
{
    if (!t->kind->paged) return true;
    const int next = pages_for(t->count + 1), wanted = next < t->most_pages ? next : t->most_pages;
    take_over(s, t);
    int going_on = 0;
    for (int i = 0; i < s->running_count; i++) going_on += !idle(s->running[i]);
    if (cud_pages_available(&s->pool) - (wanted - t->page_count) < going_on) {
        drop_pages(s, t);
        t->computed = 0;
        return false;
    }
    return take_pages(s, t, with_some_ahead(s, t, wanted));
}

/* Does it wait for another to compute what both begin with? */
static bool held(const task *t)
{
    const task *other = t->after;
    return other && (other->waiting || other->running) && other->computed < t->count;
}

static task *next_to_admit(const scheduler *s)
{
    task *t = s->first_waiting;
    while (t && held(t)) t = t->next;
    return t;
}

static void admit(scheduler *s)
{
    for (task *t; (t = next_to_admit(s));) {
        if (s->running_count < s->caps.sequences && (find_pages(s, t) || (reclaim(s) && find_pages(s, t)))) {
            stop_waiting(s, t);
            for (t->seat = 0; s->seats[t->seat];) t->seat++;
            s->seats[t->seat] = true;
            t->at = s->running_count;
            s->running[s->running_count++] = t;
            t->running = true;
            t->passed_over = 0;
            s->prefix_hits += (uint64_t)t->computed;
            s->prefix_asked += (uint64_t)t->count;
            continue;
        }
        task *last = last_in_rank(s);
        /* Whoever only waits gives way to those that were before it: else two could wait for each other. */
        if (!last || !(t->priority > last->priority || (idle(last) && before(t, last)))) return;
        preempt(s, last);
    }
}

/* Sees that every running task has pages for what is known of it. */
static void grow(scheduler *s)
{
    for (int i = 0; i < s->running_count;) {
        task *t = s->running[i];
        const int wanted = pages_for(t->count);
        if (!t->kind->paged || wanted <= t->page_count) {
            i++;
            continue;
        }
        if (take_pages(s, t, with_some_ahead(s, t, wanted)) || (reclaim(s) && take_pages(s, t, wanted))) {
            i++;
            continue;
        }
        task *last = last_in_rank(s);
        if (last->at < i) i--;
        preempt(s, last);
    }
}

/* ------------------------------------------------------------------------------------------------------------ rows */

/* Gives a task as many rows as there is room for. */
static void give_rows(scheduler *s, task *t)
{
    int rows = s->caps.tokens - s->rows;
    if (rows > remaining(t)) rows = remaining(t);
    /* Up to outputs_from no row has an output, from there on each has one. */
    const int without = t->outputs_from > t->computed ? t->outputs_from - t->computed : 0;
    const int with = s->caps.outputs - s->outputs;
    if (rows > without + with) rows = without + with;
    if (rows <= 0 || (t->kind->whole && rows < remaining(t))) return;
    t->step_rows = rows;
    t->step_outputs = rows > without ? rows - without : 0;
    t->step_first_output = s->outputs;
    s->rows += rows;
    s->outputs += t->step_outputs;
    s->planned[s->planned_count++] = t;
}

/* Who is served when: those that were passed over too often, whoever decodes, everyone else. */
static int rank(const task *t) { return t->passed_over >= MOST_PASSED_OVER ? 0 : decoding(t) ? 1 : 2; }

int cud_scheduler_plan(scheduler *s)
{
    grow(s);
    admit(s);
    if (s->turn >= s->running_count) s->turn = 0;
    s->rows = s->outputs = s->planned_count = 0;
    for (int i = 0; i < s->running_count; i++) s->running[i]->step_rows = s->running[i]->step_outputs = 0;
    for (int pass = 0; pass < 3; pass++)
        for (int k = 0; k < s->running_count; k++) {
            task *t = s->running[(s->turn + k) % s->running_count];
            if (rank(t) == pass) give_rows(s, t);
        }
    bool left_out = false;
    for (int i = 0; i < s->running_count; i++) {
        task *t = s->running[i];
        t->passed_over = t->step_rows || idle(t) ? 0 : t->passed_over + 1;
        left_out = left_out || t->step_rows < remaining(t);
    }
    /* Another begins where not all found room; else the order stays, so that the device's block may. */
    if (left_out) s->turn = (s->turn + 1) % s->running_count;
    return s->rows;
}

void cud_scheduler_rewind(scheduler *s, task *t)
{
    drop_pages(s, t);
    t->computed = 0;
    if (!t->running) return;
    take_over(s, t);
}

void cud_scheduler_done(scheduler *s, task *t)
{
    drop_source(s, t);
    t->computed += t->step_rows;
    if (t->outputs_from < t->computed) t->outputs_from = t->computed;
    t->step_rows = t->step_outputs = 0;
    if (!t->kind->paged || !t->shares) return;
    for (; (t->published + 1) * CUD_PAGE <= t->computed; t->published++)
        t->prefix = cud_pages_publish(&s->pool, t->pages[t->published], t->prefix, t->scope, t->ids + t->published * CUD_PAGE);
}
