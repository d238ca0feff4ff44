/* The scheduler over a model that is only imagined: a cache whose every position holds a number that stands for everything before it, so that a page
 * that is shared wrongly, lost, owned twice, or not copied in time shows at once; and a hundred thousand tasks that come, grow, fork, give way and
 * leave. */
#include "engine/scheduler.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

static cuddle_error err;

static void setup(void) { err = (cuddle_error){ CUDDLE_OK, "" }; }

/* Check notes each assertion in a file: too slow for millions. */
#define MUST(condition) \
    do { \
        if (!(condition)) ck_abort_msg("line %d: %s", __LINE__, #condition); \
    } while (0)

/* What a step of the imagined model is made of. */
static void note_rows(const task *t, void *step)
{
    int *rows = step;
    *rows += t->step_rows;
}

static const task_kind generation = { .name = "generation", .paged = true, .fill = note_rows };
static const task_kind encoding = { .name = "encoding", .whole = true, .fill = note_rows };

enum { MOST = 160 }; /* positions of a task */

typedef struct job {
    task task;
    int32_t ids[MOST];
    uint64_t state[MOST]; /* what the cache has to hold at each position */
    int prompt, total;    /* positions: of the prompt, in the end */
    uint64_t leaves_at;   /* the step it is cancelled at; 0: never */
    int made;             /* outputs seen */
    bool used;
} job;

typedef struct world {
    scheduler s;
    uint64_t *cache; /* [pages * CUD_PAGE] */
    uint64_t random, steps;
    uint64_t copies, orphans; /* parts of pages that were copied; of them, from pages that nobody else held any more */
    job *jobs; /* [job_count] that may come after others, or be forks of them */
    int job_count;
    bool mishaps; /* steps may fail */
    int failed;   /* jobs of such steps */
} world;

static unsigned any(world *w, unsigned below)
{
    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(w->random >> 33) % below;
}

static uint64_t mix(uint64_t state, uint64_t id)
{
    state = (state ^ id) * 0xff51afd7ed558ccdu;
    return state ^ state >> 32;
}

static void world_new(world *w, scheduler_caps caps)
{
    *w = (world){ .random = 1 };
    ck_ok(cud_scheduler_init(&w->s, &caps, &err));
    w->cache = calloc((size_t)caps.pages * CUD_PAGE, sizeof *w->cache);
    MUST(w->cache);
}

static void world_free(world *w)
{
    cud_scheduler_free(&w->s);
    free(w->cache);
}

/* ids[0..prompt) are set. */
static cuddle_status job_submit(world *w, job *j, const task_kind *kind, int prompt, int total, int priority, uint64_t salt)
{
    j->prompt = prompt;
    j->total = total;
    j->made = 0;
    j->task = (task){ .kind = kind, .ids = j->ids, .count = prompt, .outputs_from = prompt - 1, .priority = priority, .scope = { .salt = salt },
                      .shares = true };
    j->used = true;
    cuddle_status status = cud_task_init(&j->task, &w->s.caps, total, &err);
    if (!status) status = cud_scheduler_submit(&w->s, &(task *){ &j->task }, 1, &err);
    if (status) cud_task_free(&j->task);
    j->used = !status;
    return status;
}

static uint64_t *place_of(const world *w, const task *t, int position)
{
    return &w->cache[t->pages[position / CUD_PAGE] * CUD_PAGE + position % CUD_PAGE];
}

static job *job_of(task *t) { return (job *)(void *)t; } /* its first member */

/* Before the step's rows. */
static void run_copies(world *w)
{
    for (int i = 0; i < w->s.planned_count; i++) {
        const task *t = w->s.planned[i];
        if (t->copy_from < 0) continue;
        const page_copy c = cud_task_copy(t);
        const page *from = &w->s.pool.pages[c.from], *to = &w->s.pool.pages[c.to];
        MUST(c.positions > 0 && c.positions < CUD_PAGE);
        MUST(from->holders > 0 && to->holders == 1 && to->name == 0);
        for (int k = 0; k < w->s.planned_count; k++) MUST(w->s.planned[k]->copy_from != c.to); /* whatever their order */
        memcpy(&w->cache[c.to * CUD_PAGE], &w->cache[c.from * CUD_PAGE], (size_t)c.positions * sizeof *w->cache);
        w->copies++;
        w->orphans += from->holders == 1;
    }
}

/* A step that ended on the way: what it was to write may hold anything. */
static void spoil(world *w)
{
    for (int i = 0; i < w->s.planned_count; i++) {
        const task *t = w->s.planned[i];
        if (!t->kind->paged) continue;
        const int from = t->computed - (t->copy_from < 0 ? 0 : cud_task_copy(t).positions);
        for (int k = from; k < t->computed + t->step_rows; k++) *place_of(w, t, k) = any(w, 1000);
    }
}

static void job_leave(world *w, job *j)
{
    for (int i = 0; i < w->job_count; i++) {
        task *t = &w->jobs[i].task;
        if (t->after == &j->task) t->after = NULL;
        if (t->fork_of == &j->task) t->fork_of = NULL;
    }
    cud_scheduler_remove(&w->s, &j->task);
    cud_task_free(&j->task);
    j->used = false;
}

/* Runs a task's rows: reads everything before them, writes them, and gives the next token after the last. True: it is done. */
static bool run_rows(world *w, job *j)
{
    task *t = &j->task;
    const int end = t->computed + t->step_rows;
    const bool samples = end == t->count;
    MUST(end <= t->count);
    for (int i = 0; i < end; i++) {
        j->state[i] = mix(i ? j->state[i - 1] : 7 + t->scope.salt, (uint64_t)t->ids[i]);
        if (!t->kind->paged) continue;
        if (i >= t->computed) *place_of(w, t, i) = j->state[i];
        else MUST(*place_of(w, t, i) == j->state[i]);
    }
    const int outputs = t->step_outputs;
    j->made += outputs;
    MUST(outputs >= samples);
    if (samples && t->count < j->total) j->ids[t->count++] = (int32_t)(j->state[end - 1] % 5);
    else if (samples) t->count++;
    cud_scheduler_done(&w->s, t);
    return t->count > j->total;
}

/* Who holds what: every page is free, idle or held, in one list, by as many as say so. */
static void check_pages(const world *w)
{
    const page_pool *p = &w->s.pool;
    int *held = calloc((size_t)p->count, sizeof *held);
    MUST(held);
    for (int i = 0; i < w->s.running_count; i++) {
        for (int k = 0; k < w->s.running[i]->page_count; k++) held[w->s.running[i]->pages[k]]++;
        if (w->s.running[i]->copy_from >= 0) held[w->s.running[i]->copy_from]++;
    }
    int64_t free_pages = 0, idle = 0;
    for (int32_t i = p->free.first; i >= 0; i = p->pages[i].next, free_pages++) {
        MUST(p->pages[i].holders == 0);
        MUST(p->pages[i].name == 0);
        held[i] += 1 << 20;
    }
    for (int32_t i = p->idle.first; i >= 0; i = p->pages[i].next, idle++) {
        MUST(p->pages[i].holders == 0);
        MUST(p->pages[i].name != 0);
        held[i] += 1 << 20;
    }
    MUST(free_pages == p->free_count);
    MUST(idle == p->idle_count);
    for (int64_t i = 0; i < p->count; i++) MUST(held[i] == (p->pages[i].holders ? p->pages[i].holders : 1 << 20));
    free(held);
}

static void check_step(const world *w, int rows)
{
    const scheduler *s = &w->s;
    int sum = 0, outputs = 0, waiting = 0;
    MUST(rows == s->rows);
    MUST(s->rows <= s->caps.tokens);
    MUST(s->outputs <= s->caps.outputs);
    MUST(s->running_count <= s->caps.sequences);
    const task *first = s->first_waiting;
    while (first && first->after) first = first->next; /* those need not be ready */
    bool seats[64] = { false };
    for (int i = 0; i < s->running_count; i++) {
        const task *t = s->running[i];
        sum += t->step_rows;
        MUST(t->running && !t->waiting && t->at == i && !seats[t->seat]);
        seats[t->seat] = true;
        MUST(t->passed_over <= s->caps.sequences + 5);
        if (first) MUST(t->priority >= first->priority);
        if (t->kind->whole) MUST(t->step_rows == 0 || t->step_rows == t->count);
    }
    for (int i = 0; i < s->planned_count; i++) {
        MUST(s->planned[i]->step_first_output == outputs);
        MUST(s->planned[i]->step_rows > 0);
        outputs += s->planned[i]->step_outputs;
    }
    MUST(sum == s->rows);
    MUST(outputs == s->outputs);
    for (const task *t = s->first_waiting; t; t = t->next, waiting++) {
        MUST(t->waiting && !t->running && t->page_count == 0 && t->computed == 0 && t->copy_from == -1);
        if (t->next) MUST(t->priority > t->next->priority || (t->priority == t->next->priority && t->arrival < t->next->arrival));
    }
    MUST(waiting == s->waiting_count);
    MUST(sum > 0 || !cud_scheduler_has_work(s)); /* whoever waits, someone goes on */
}

/* One step; returns how many tasks were done by it. */
static int run_step(world *w)
{
    const int rows = cud_scheduler_plan(&w->s);
    int filled = 0, done = 0;
    check_step(w, rows);
    w->steps++;
    const int planned = w->s.planned_count;
    task *tasks[64];
    memcpy(tasks, w->s.planned, (size_t)planned * sizeof(task *));
    for (int i = 0; i < planned; i++) tasks[i]->kind->fill(tasks[i], &filled);
    MUST(filled == rows);
    const unsigned chance = w->mishaps ? any(w, 500) : 500;
    const bool fails = chance == 0, again = chance > 0 && chance <= 10; /* it is begun again, as one that waits for weights may be */
    if (fails || again) spoil(w);
    for (int i = 0; i < planned && fails; i++) {
        job_leave(w, job_of(tasks[i]));
        w->failed++;
    }
    if (fails || again) return 0;
    run_copies(w);
    for (int i = 0; i < planned; i++) {
        job *j = job_of(tasks[i]);
        if (!run_rows(w, j)) continue;
        MUST(j->made == j->total - j->prompt + 1);
        job_leave(w, j);
        done++;
    }
    return done;
}

/* ----------------------------------------------------------------------------------------------------------- chance */

static job *any_running(world *w)
{
    job *j = w->s.running_count ? job_of(w->s.running[any(w, (unsigned)w->s.running_count)]) : NULL;
    return j && j->task.kind->paged ? j : NULL;
}

/* A beginning of what another has, and more; it may be about to have it. Returns the length of the prompt. */
static int begin_like(world *w, job *j, const job *other)
{
    const int same = 1 + (int)any(w, (unsigned)(other->task.count < 100 ? other->task.count : 100)), own = 1 + (int)any(w, 20);
    memcpy(j->ids, other->ids, (size_t)same * sizeof *j->ids);
    for (int i = 0; i < own; i++) j->ids[same + i] = (int32_t)any(w, 50);
    return same + own;
}

/* As a beam does: a task goes on from what another has computed. */
static void move_one(world *w)
{
    job *j = any_running(w), *other = any_running(w);
    if (!j || !other || j == other || other->task.computed == 0 || other->task.scope.salt != j->task.scope.salt) return;
    const int same = any(w, 3) ? other->task.computed : 1 + (int)any(w, (unsigned)other->task.computed);
    if (same + 1 > j->total) return;
    memcpy(j->ids, other->ids, (size_t)same * sizeof *j->ids);
    j->ids[same] = (int32_t)any(w, 50);
    j->task.count = j->prompt = same + 1;
    j->task.outputs_from = same;
    j->task.after = NULL;
    j->task.fork_of = &other->task;
    j->made = 0;
    cud_scheduler_rewind(&w->s, &j->task);
}

/* Prompts that begin like others, in two scopes, with priorities, in a cache that is too small for all who may run; and steps that fail. */
START_TEST(a_hundred_thousand_tasks)
{
    enum { TASKS = 100000, HELD = 48 };
    static job jobs[HELD];
    world w;
    world_new(&w, (scheduler_caps){ .tokens = 64, .sequences = 12, .outputs = 16, .queue = 40, .pages = 30 });
    w.jobs = jobs;
    w.job_count = HELD;
    w.mishaps = true;
    int submitted = 0, done = 0, cancelled = 0, refused = 0;
    while (submitted < TASKS || cud_scheduler_has_work(&w.s)) {
        const bool full = w.s.waiting_count == w.s.caps.queue && any(&w, 20) > 0;
        for (unsigned n = full ? 0 : any(&w, 4); n > 0 && submitted < TASKS; n--) {
            job *j = NULL;
            for (int i = 0; i < HELD && !j; i++)
                if (!jobs[i].used) j = &jobs[i];
            if (!j) break;
            const job *other = any(&w, 2) ? any_running(&w) : NULL;
            int prompt = 1 + (int)any(&w, 70);
            const int document = (int)any(&w, 6), own = (int)any(&w, 70);
            for (int i = 0; i < prompt; i++) j->ids[i] = i < own ? document * 1000 + i : (int32_t)any(&w, 50);
            if (other) prompt = begin_like(&w, j, other);
            j->leaves_at = any(&w, 20) == 0 ? w.steps + any(&w, 60) : 0;
            const bool encodes = !other && any(&w, 10) == 0;
            const int total = encodes ? prompt : prompt + (int)any(&w, 40);
            const cuddle_status status = prompt > 64 && encodes ? CUDDLE_E_LIMIT
                : job_submit(&w, j, encodes ? &encoding : &generation, prompt, total, other ? other->task.priority : any(&w, 8) == 0,
                             other ? other->task.scope.salt : any(&w, 2));
            if (other) j->task.fork_of = &other->task;
            if (other && any(&w, 2)) j->task.after = &other->task;
            submitted++;
            if (status == CUDDLE_E_BUSY || status == CUDDLE_E_LIMIT) refused++;
            else MUST(status == CUDDLE_OK);
        }
        for (int i = 0; i < HELD; i++) {
            if (!jobs[i].used || !jobs[i].leaves_at || jobs[i].leaves_at > w.steps) continue;
            job_leave(&w, &jobs[i]);
            cancelled++;
        }
        done += run_step(&w);
        if (any(&w, 3) == 0) move_one(&w);
        if (w.steps % 16 == 0) check_pages(&w);
    }
    check_pages(&w);
    ck_assert_int_eq(done + cancelled + refused + w.failed, TASKS);
    ck_assert_int_eq(cud_pages_available(&w.s.pool), 30);
    /* All of it has happened. */
    ck_assert_uint_gt(w.s.preempted, 1000);
    ck_assert_uint_gt(w.s.prefix_hits, 100000);
    ck_assert_uint_gt(w.s.pool.evicted, 1000);
    ck_assert_uint_gt(w.copies, 10000);
    ck_assert_uint_gt(w.orphans, 20);
    ck_assert_int_gt(w.failed, 1000);
    ck_assert_int_gt(cancelled, 1000);
    ck_assert_int_gt(done, TASKS / 2);
    world_free(&w);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ rules */

static void count_up(job *j, int from, int count)
{
    for (int i = 0; i < count; i++) j->ids[i] = from + i;
}

START_TEST(the_same_priority_goes_by_arrival_and_a_higher_one_first)
{
    static job jobs[4];
    world w;
    world_new(&w, (scheduler_caps){ .tokens = 8, .sequences = 1, .outputs = 8, .queue = 10, .pages = 8 });
    const int priority[4] = { 0, 0, 5, 5 };
    int order[4], ended = 0;
    for (int i = 0; i < 4; i++) {
        count_up(&jobs[i], i * 10, 4);
        ck_ok(job_submit(&w, &jobs[i], &generation, 4, 4, priority[i], 0));
    }
    while (cud_scheduler_has_work(&w.s)) {
        bool before[4];
        for (int i = 0; i < 4; i++) before[i] = jobs[i].used;
        run_step(&w);
        for (int i = 0; i < 4; i++)
            if (before[i] && !jobs[i].used) order[ended++] = i;
    }
    ck_assert_int_eq(order[0] * 1000 + order[1] * 100 + order[2] * 10 + order[3], 2301);
    world_free(&w);
}
END_TEST

START_TEST(a_higher_priority_makes_room_for_itself)
{
    static job low, high;
    world w;
    world_new(&w, (scheduler_caps){ .tokens = 64, .sequences = 1, .outputs = 8, .queue = 10, .pages = 8 });
    count_up(&low, 0, 40);
    count_up(&high, 100, 8);
    ck_ok(job_submit(&w, &low, &generation, 40, 60, 0, 0));
    for (int i = 0; i < 5; i++) ck_assert_int_eq(run_step(&w), 0);
    ck_ok(job_submit(&w, &high, &generation, 8, 9, 1, 0));
    ck_assert_int_eq(run_step(&w), 0);
    ck_assert(high.task.running && low.task.waiting);
    ck_assert_int_eq(run_step(&w), 1);
    ck_assert(!high.used);
    /* It goes on where it was: 44 positions are known, 43 were computed, 2 whole pages of them are still there. */
    run_step(&w);
    ck_assert_int_eq(low.task.preemptions, 1);
    ck_assert_uint_eq(w.s.prefix_hits, 32);
    while (cud_scheduler_has_work(&w.s)) run_step(&w);
    ck_assert_int_eq(low.made, 21); /* none twice */
    world_free(&w);
}
END_TEST

START_TEST(a_prefix_is_shared_by_whole_pages_within_its_scope)
{
    static job first, second, other, longer;
    world w;
    world_new(&w, (scheduler_caps){ .tokens = 64, .sequences = 4, .outputs = 8, .queue = 10, .pages = 32 });
    count_up(&first, 0, 50);
    count_up(&second, 0, 50);
    count_up(&other, 0, 50);
    count_up(&longer, 0, 90);
    ck_ok(job_submit(&w, &first, &generation, 50, 50, 0, 1));
    ck_assert_int_eq(run_step(&w), 1);
    second.ids[20] = 7; /* differs within the second page */
    ck_ok(job_submit(&w, &second, &generation, 50, 50, 0, 1));
    run_step(&w);
    ck_assert_uint_eq(w.s.prefix_hits, 16);
    ck_ok(job_submit(&w, &other, &generation, 50, 50, 0, 2));
    run_step(&w);
    ck_assert_uint_eq(w.s.prefix_hits, 16);
    ck_ok(job_submit(&w, &longer, &generation, 90, 90, 0, 1));
    run_step(&w);
    ck_assert_uint_eq(w.s.prefix_hits, 16 + 48);
    while (cud_scheduler_has_work(&w.s)) run_step(&w);
    /* All of a prompt but its last token can be taken over: the logits after it are wanted. */
    ck_ok(job_submit(&w, &longer, &generation, 80, 80, 0, 1));
    run_step(&w);
    ck_assert_uint_eq(w.s.prefix_hits, 16 + 48 + 64);
    cud_pages_forget(&w.s.pool);
    ck_ok(job_submit(&w, &longer, &generation, 80, 80, 0, 1));
    run_step(&w);
    ck_assert_uint_eq(w.s.prefix_hits, 16 + 48 + 64);
    while (cud_scheduler_has_work(&w.s)) run_step(&w);
    check_pages(&w);
    world_free(&w);
}
END_TEST

/* Pages for what is known and one position more, and one for each that goes on: in three pages two tasks of 15 positions run, of 16 only one. */
START_TEST(a_task_is_admitted_with_a_position_to_spare)
{
    for (int known = 15; known <= 16; known++) {
        static job jobs[2];
        world w;
        world_new(&w, (scheduler_caps){ .tokens = 64, .sequences = 4, .outputs = 8, .queue = 10, .pages = 3 });
        for (int i = 0; i < 2; i++) {
            count_up(&jobs[i], 100 * i, 40);
            ck_ok(job_submit(&w, &jobs[i], &generation, known, 40, 0, 0));
        }
        run_step(&w);
        ck_assert(jobs[0].task.running);
        ck_assert(jobs[1].task.running == (known == 15));
        while (cud_scheduler_has_work(&w.s)) run_step(&w);
        world_free(&w);
    }
}
END_TEST

/* A task that comes after another waits until that one has computed what both begin with, and does not hold up those behind it; if the other leaves,
 * it computes for itself. */
START_TEST(who_comes_after_another_waits_for_its_prompt)
{
    for (int leaves = 0; leaves < 2; leaves++) {
        static job first, second, other;
        world w;
        world_new(&w, (scheduler_caps){ .tokens = 24, .sequences = 4, .outputs = 8, .queue = 10, .pages = 32 });
        count_up(&first, 0, 100);
        count_up(&second, 0, 100);
        count_up(&other, 500, 10);
        ck_ok(job_submit(&w, &first, &generation, 100, 103, 0, 0));
        ck_ok(job_submit(&w, &second, &generation, 100, 103, 0, 0));
        second.task.after = &first.task;
        ck_ok(job_submit(&w, &other, &generation, 10, 10, 0, 0));
        for (int steps = 0; first.task.computed < 100; steps++) {
            run_step(&w);
            ck_assert(second.task.waiting && first.task.running);
            if (steps == 1) ck_assert(!other.used);
            if (leaves && steps == 1) break;
        }
        if (leaves) job_leave(&w, &first);
        const uint64_t before = w.s.prefix_hits;
        run_step(&w);
        ck_assert(second.task.running);
        ck_assert_uint_eq(w.s.prefix_hits - before, leaves ? 32 : 96);
        while (cud_scheduler_has_work(&w.s)) run_step(&w);
        check_pages(&w);
        world_free(&w);
    }
}
END_TEST

/* Of 20 positions 16 are a whole page, 3 are copied, and the last is computed for its output. Steps have one row, so that the fork waits for its own
 * while the other goes on, leaves or gives way: what is copied is what was there. */
START_TEST(a_fork_copies_a_part_of_a_page)
{
    enum { GOES_ON, LEAVES, GIVES_WAY, LEFT_BEFORE, CASES };
    for (int what = 0; what < CASES; what++) {
        static job first, second, urgent;
        world w;
        world_new(&w, (scheduler_caps){ .tokens = 1, .sequences = 2, .outputs = 8, .queue = 10, .pages = 8 });
        count_up(&first, 0, 20);
        count_up(&second, 0, 20);
        count_up(&urgent, 100, 1);
        ck_ok(job_submit(&w, &first, &generation, 20, 40, 0, 0));
        ck_ok(job_submit(&w, &second, &generation, 20, 23, what == GIVES_WAY, 0));
        second.task.after = second.task.fork_of = &first.task;
        for (int i = 0; i < 20; i++) run_step(&w);
        ck_assert(second.task.waiting);
        if (what == LEFT_BEFORE) job_leave(&w, &first);
        run_step(&w);
        ck_assert(second.task.running);
        ck_assert_uint_eq(w.s.prefix_hits, what == LEFT_BEFORE ? 16 : 19);
        ck_assert_int_eq(second.task.step_rows, 0);
        if (what == LEAVES) job_leave(&w, &first);
        if (what == GIVES_WAY) ck_ok(job_submit(&w, &urgent, &generation, 1, 1, 1, 0));
        check_pages(&w);
        while (cud_scheduler_has_work(&w.s)) {
            run_step(&w);
            check_pages(&w);
        }
        ck_assert_int_eq(second.made, 4);
        ck_assert_int_eq(first.task.preemptions, what == GIVES_WAY);
        ck_assert_uint_eq(w.copies, what != LEFT_BEFORE);
        ck_assert_uint_eq(w.orphans, what == LEAVES || what == GIVES_WAY);
        ck_assert_int_eq(cud_pages_available(&w.s.pool), 8);
        world_free(&w);
    }
}
END_TEST

/* What a fork is to copy has not been copied for the other yet, and then it copies nothing; and never what differs. */
START_TEST(a_fork_copies_what_is_there_and_the_same)
{
    static job first, second, third;
    world w;
    world_new(&w, (scheduler_caps){ .tokens = 32, .sequences = 3, .outputs = 8, .queue = 10, .pages = 32 });
    count_up(&first, 0, 25);
    ck_ok(job_submit(&w, &first, &generation, 25, 60, 0, 0));
    run_step(&w);
    count_up(&second, 0, 25);
    count_up(&third, 0, 25);
    second.ids[20] = 99;
    ck_ok(job_submit(&w, &second, &generation, 25, 60, 0, 0));
    ck_ok(job_submit(&w, &third, &generation, 25, 60, 0, 0));
    second.task.fork_of = &first.task;
    third.task.fork_of = &second.task;
    run_step(&w);
    ck_assert_uint_eq(w.s.prefix_hits, 20 + 16);
    ck_assert_uint_eq(w.copies, 1);
    for (job *j = &second; j; j = j == &second ? &third : NULL) { /* as beams go on from another: one row each */
        memcpy(j->ids, first.ids, sizeof j->ids);
        j->task.count = first.task.computed + 1;
        j->task.outputs_from = first.task.computed;
        j->ids[first.task.computed] = j == &second ? 70 : 71;
        j->task.fork_of = &first.task;
        cud_scheduler_rewind(&w.s, &j->task);
        check_pages(&w);
    }
    run_step(&w);
    ck_assert_uint_eq(w.copies, 3);
    ck_assert_int_eq(first.task.computed, 27);
    ck_assert_int_eq(second.task.computed, 27);
    ck_assert_int_eq(third.task.computed, 27);
    job_leave(&w, &first);
    job_leave(&w, &second);
    job_leave(&w, &third);
    check_pages(&w);
    ck_assert_int_eq(cud_pages_available(&w.s.pool), 32);
    world_free(&w);
}
END_TEST

/* What was let go longest ago is given up first, and of one sequence its end before its beginning. */
START_TEST(the_oldest_prefix_is_evicted_first)
{
    static job old, recent, big;
    world w;
    world_new(&w, (scheduler_caps){ .tokens = 64, .sequences = 4, .outputs = 8, .queue = 10, .pages = 8 });
    count_up(&old, 0, 48);
    count_up(&recent, 100, 48);
    count_up(&big, 200, 60);
    ck_ok(job_submit(&w, &old, &generation, 48, 48, 0, 0));
    run_step(&w);
    ck_ok(job_submit(&w, &recent, &generation, 48, 48, 0, 0));
    run_step(&w);
    ck_assert_int_eq(w.s.pool.idle_count, 6);
    ck_ok(job_submit(&w, &big, &generation, 60, 60, 0, 0)); /* needs 4: 2 free and 2 of the oldest */
    run_step(&w);
    ck_assert_uint_eq(w.s.pool.evicted, 2);
    ck_ok(job_submit(&w, &old, &generation, 48, 48, 0, 0));
    run_step(&w);
    ck_assert_uint_eq(w.s.prefix_hits, 16);
    world_free(&w);
}
END_TEST

/* 16 streams and a prompt that alone fills many steps: each stream has a row in every step. */
START_TEST(streams_go_on_beside_a_long_prompt)
{
    static job streams[16], prompt;
    world w;
    world_new(&w, (scheduler_caps){ .tokens = 24, .sequences = 20, .outputs = 20, .queue = 20, .pages = 200 });
    for (int i = 0; i < 16; i++) {
        count_up(&streams[i], i, 1);
        ck_ok(job_submit(&w, &streams[i], &generation, 1, 100, 0, 0));
    }
    run_step(&w);
    count_up(&prompt, 0, 120);
    ck_ok(job_submit(&w, &prompt, &generation, 120, 121, 0, 0));
    for (int i = 0; i < 15; i++) {
        run_step(&w);
        for (int k = 0; k < 16; k++) ck_assert_int_eq(streams[k].made, 2 + i);
        ck_assert_int_eq(prompt.task.computed, 8 * (i + 1));
    }
    for (int i = 0; i < 16; i++) job_leave(&w, &streams[i]);
    while (cud_scheduler_has_work(&w.s)) run_step(&w);
    world_free(&w);
}
END_TEST

/* What has to be computed at once gets its step, though streams leave too little room in every one. */
START_TEST(a_whole_text_is_not_starved_by_streams)
{
    static job streams[8], text;
    world w;
    world_new(&w, (scheduler_caps){ .tokens = 16, .sequences = 10, .outputs = 10, .queue = 20, .pages = 200 });
    for (int i = 0; i < 8; i++) {
        count_up(&streams[i], i, 1);
        ck_ok(job_submit(&w, &streams[i], &generation, 1, 100, 0, 0));
    }
    run_step(&w);
    count_up(&text, 0, 16);
    ck_ok(job_submit(&w, &text, &encoding, 16, 16, 0, 0));
    int steps = 0;
    while (text.used) {
        run_step(&w);
        steps++;
    }
    ck_assert_int_le(steps, 6);
    ck_assert_int_ge(streams[0].made, steps - 1);
    for (int i = 0; i < 8; i++) job_leave(&w, &streams[i]);
    world_free(&w);
}
END_TEST

START_TEST(what_can_never_run_and_a_full_queue_are_refused)
{
    static job jobs[3];
    world w;
    world_new(&w, (scheduler_caps){ .tokens = 16, .sequences = 1, .outputs = 4, .queue = 2, .pages = 4 });
    count_up(&jobs[0], 0, 20);
    ck_assert_int_eq(job_submit(&w, &jobs[0], &generation, 20, 65, 0, 0), CUDDLE_E_LIMIT);
    ck_assert_str_eq(err.text, "65 positions need 5 pages of the cache, which has 4");
    setup();
    ck_assert_int_eq(job_submit(&w, &jobs[0], &encoding, 17, 17, 0, 0), CUDDLE_E_LIMIT);
    ck_assert_str_eq(err.text, "17 tokens have to be computed in one step, and a step has at most 16");
    for (int i = 0; i < 2; i++) ck_ok(job_submit(&w, &jobs[i], &generation, 20, 64, 0, 0));
    setup();
    ck_assert_int_eq(job_submit(&w, &jobs[2], &generation, 20, 64, 0, 0), CUDDLE_E_BUSY);
    ck_assert_str_eq(err.text, "2 requests are waiting, at most 2 may");
    while (cud_scheduler_has_work(&w.s)) run_step(&w);
    world_free(&w);
}
END_TEST

/* Two that would fill the cache each: the second gives way when the first needs its page, and both end. */
START_TEST(the_younger_gives_way_and_loses_nothing)
{
    static job jobs[2];
    world w;
    world_new(&w, (scheduler_caps){ .tokens = 64, .sequences = 2, .outputs = 4, .queue = 2, .pages = 5 });
    for (int i = 0; i < 2; i++) {
        count_up(&jobs[i], 100 * i, 20);
        ck_ok(job_submit(&w, &jobs[i], &generation, 20, 80, 0, 0));
    }
    int done = 0;
    while (cud_scheduler_has_work(&w.s)) {
        const int now = run_step(&w);
        if (done == 0 && now == 1) ck_assert(!jobs[0].used && jobs[1].used);
        done += now;
        check_pages(&w);
    }
    ck_assert_int_eq(done, 2);
    ck_assert_int_eq(jobs[0].task.preemptions, 0);
    ck_assert_int_ge(jobs[1].task.preemptions, 1);
    world_free(&w);
}
END_TEST

/* Of four pages one runs in two; another with the same first page needs one more, and one stays free for the first. */
START_TEST(what_is_taken_over_needs_no_further_page)
{
    static job first, second;
    world w;
    world_new(&w, (scheduler_caps){ .tokens = 64, .sequences = 2, .outputs = 4, .queue = 2, .pages = 4 });
    count_up(&first, 0, 17);
    count_up(&second, 0, 17);
    ck_ok(job_submit(&w, &first, &generation, 17, 30, 0, 0));
    run_step(&w);
    ck_assert_int_eq(first.task.page_count, 2);
    ck_ok(job_submit(&w, &second, &generation, 17, 30, 0, 0));
    run_step(&w);
    ck_assert(second.task.running);
    ck_assert_uint_eq(w.s.prefix_hits, 16);
    check_pages(&w);
    while (cud_scheduler_has_work(&w.s)) run_step(&w);
    ck_assert_int_eq(first.task.preemptions + second.task.preemptions, 0);
    world_free(&w);
}
END_TEST

/* Four pages, of which one that counts for more takes the last: whoever runs longest, and is the first in line, goes back to waiting by itself. */
START_TEST(the_first_of_those_that_run_may_give_way)
{
    static job low, high;
    world w;
    world_new(&w, (scheduler_caps){ .tokens = 64, .sequences = 2, .outputs = 4, .queue = 2, .pages = 4 });
    count_up(&low, 0, 5);
    count_up(&high, 100, 30);
    ck_ok(job_submit(&w, &low, &generation, 5, 40, 0, 0)); /* its second page is due at 17 positions */
    run_step(&w);
    ck_ok(job_submit(&w, &high, &generation, 30, 48, 1, 0)); /* its third at 33 */
    run_step(&w);
    ck_assert(low.task.running && low.task.at == 0 && high.task.running && high.task.at == 1);
    while (low.task.running) {
        ck_assert(high.used);
        run_step(&w);
        check_pages(&w);
    }
    ck_assert(high.task.running && high.task.at == 0);
    ck_assert_int_eq(low.task.count, 17);
    while (cud_scheduler_has_work(&w.s)) run_step(&w);
    ck_assert_int_eq(high.task.preemptions, 0);
    ck_assert_int_eq(low.task.preemptions, 1);
    ck_assert_int_eq(low.made, 36); /* each once */
    world_free(&w);
}
END_TEST

START_TEST(a_scheduler_leaves_no_memory)
{
    static const int32_t ids[CUD_PAGE] = { 1 };
    scheduler s;
    task t = { .kind = &generation, .ids = ids, .count = CUD_PAGE, .outputs_from = CUD_PAGE - 1, .shares = true };
    test_count_memory();
    ck_ok(cud_scheduler_init(&s, &(scheduler_caps){ .tokens = 64, .sequences = 2, .outputs = 4, .queue = 2, .pages = 4 }, &err));
    ck_ok(cud_task_init(&t, &s.caps, 40, &err));
    ck_ok(cud_scheduler_submit(&s, &(task *){ &t }, 1, &err));
    ck_assert_int_eq(cud_scheduler_plan(&s), CUD_PAGE);
    cud_scheduler_done(&s, &t);
    cud_scheduler_remove(&s, &t);
    cud_task_free(&t);
    cud_scheduler_free(&s);
    const test_memory left = test_counted_memory();
    ck_assert_int_eq(left.now, 0);
    ck_assert_int_gt(left.peak, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scheduler");
    TCase *t = tcase_create("scheduler");
    tcase_set_timeout(t, 600);
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, a_hundred_thousand_tasks);
    tcase_add_test(t, the_same_priority_goes_by_arrival_and_a_higher_one_first);
    tcase_add_test(t, a_higher_priority_makes_room_for_itself);
    tcase_add_test(t, a_prefix_is_shared_by_whole_pages_within_its_scope);
    tcase_add_test(t, a_task_is_admitted_with_a_position_to_spare);
    tcase_add_test(t, what_is_taken_over_needs_no_further_page);
    tcase_add_test(t, the_first_of_those_that_run_may_give_way);
    tcase_add_test(t, a_scheduler_leaves_no_memory);
    tcase_add_test(t, who_comes_after_another_waits_for_its_prompt);
    tcase_add_test(t, a_fork_copies_a_part_of_a_page);
    tcase_add_test(t, a_fork_copies_what_is_there_and_the_same);
    tcase_add_test(t, the_oldest_prefix_is_evicted_first);
    tcase_add_test(t, streams_go_on_beside_a_long_prompt);
    tcase_add_test(t, a_whole_text_is_not_starved_by_streams);
    tcase_add_test(t, what_can_never_run_and_a_full_queue_are_refused);
    tcase_add_test(t, the_younger_gives_way_and_loses_nothing);
    suite_add_tcase(suite, t);
    return test_run(suite);
}
