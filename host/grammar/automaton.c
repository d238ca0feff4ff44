#include "grammar/automaton.h"

#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

static cuddle_status reserve(automaton *a, void *array, size_t *room, size_t count, size_t more, size_t size, cuddle_error *err)
{
    if (more <= *room - count) return CUDDLE_OK;
    const size_t wanted = count + count / 2 + more + 64, added = (wanted - *room) * size;
    if (added > a->max_memory || a->memory > a->max_memory - added)
        return cud_fail(err, CUDDLE_E_LIMIT, "following the grammar takes more than %zu bytes", a->max_memory);
    void *old;
    memcpy(&old, array, sizeof old);
    void *grown = realloc(old, wanted * size);
    if (!grown) return cud_nomem(err, wanted * size, "following a grammar");
    memcpy(array, &grown, sizeof grown);
    *room = wanted;
    a->memory += added;
    return CUDDLE_OK;
}

static uint64_t hash(uint32_t a, uint32_t b, uint32_t c)
{
    uint64_t h = ((uint64_t)a << 32 | b) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 29 ^ c) * 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static uint64_t state_hash(const automaton *a, uint32_t s)
{
    uint64_t h = a->state[s].accepts;
    for (uint32_t i = 0; i < a->state[s].count; i++) {
        const gplace *p = &a->place[a->state[s].first + i];
        h = hash((uint32_t)h ^ p->node, p->part, p->frame) + h * 31;
    }
    return h;
}

/* Twice as many chains, all empty. */
static cuddle_status more_slots(automaton *a, uint32_t **slot, size_t *slots, cuddle_error *err)
{
    const size_t wanted = *slots ? *slots * 2 : 256;
    uint32_t *fresh = calloc(wanted, sizeof *fresh);
    if (!fresh) return cud_nomem(err, wanted * sizeof *fresh, "following a grammar");
    a->memory += (wanted - *slots) * sizeof *fresh;
    free(*slot);
    *slot = fresh;
    *slots = wanted;
    return CUDDLE_OK;
}

static cuddle_status index_frames(automaton *a, cuddle_error *err)
{
    if (a->frame_count < a->frame_slots) return CUDDLE_OK;
    const cuddle_status status = more_slots(a, &a->frame_slot, &a->frame_slots, err);
    for (uint32_t i = 0; i < a->frame_count && !status; i++) {
        gframe *f = &a->frame[i];
        uint32_t *slot = &a->frame_slot[hash(f->node, f->count, f->below) & (a->frame_slots - 1)];
        f->same_hash = *slot;
        *slot = i + 1;
    }
    return status;
}

static cuddle_status index_states(automaton *a, cuddle_error *err)
{
    if (a->state_count < a->state_slots) return CUDDLE_OK;
    const cuddle_status status = more_slots(a, &a->state_slot, &a->state_slots, err);
    for (uint32_t i = 0; i < a->state_count && !status; i++) {
        uint32_t *slot = &a->state_slot[state_hash(a, i) & (a->state_slots - 1)];
        a->state[i].same_hash = *slot;
        *slot = i + 1;
    }
    return status;
}

static cuddle_status intern_frame(uint32_t *out, automaton *a, uint32_t node, uint32_t count, uint32_t below, cuddle_error *err)
{
    const uint64_t h = hash(node, count, below);
    for (uint32_t i = a->frame_slot[h & (a->frame_slots - 1)]; i; i = a->frame[i - 1].same_hash) {
        const gframe *f = &a->frame[i - 1];
        if (f->node == node && f->count == count && f->below == below) return *out = i - 1, CUDDLE_OK;
    }
    cuddle_status status = reserve(a, &a->frame, &a->frame_room, a->frame_count, 1, sizeof *a->frame, err);
    if (!status) status = index_frames(a, err);
    if (status) return status;
    uint32_t *slot = &a->frame_slot[h & (a->frame_slots - 1)];
    a->frame[a->frame_count] = (gframe){ node, count, below, a->frame[below].depth + 1, *slot };
    *out = (uint32_t)a->frame_count++;
    *slot = *out + 1;
    return CUDDLE_OK;
}

/* ---- making a state ---- */

static void begin_state(automaton *a)
{
    a->made_count = a->todo_count = a->visited_count = 0;
    a->accepts = false;
    if (a->seen_slots) memset(a->seen, 0, a->seen_slots * sizeof *a->seen);
}

/* True in *fresh the first time; places that are made and those that are passed through alike. */
static cuddle_status visit(bool *fresh, automaton *a, gplace p, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    *fresh = false;
    if (2 * a->visited_count >= a->seen_slots) {
        status = more_slots(a, &a->seen, &a->seen_slots, err);
        for (size_t i = 0; i < a->visited_count && !status; i++) {
            const gplace *v = &a->visited[i];
            size_t at = hash(v->node, v->part, v->frame) & (a->seen_slots - 1);
            while (a->seen[at]) at = (at + 1) & (a->seen_slots - 1);
            a->seen[at] = (uint32_t)i + 1;
        }
    }
    if (!status) status = reserve(a, &a->visited, &a->visited_room, a->visited_count, 1, sizeof *a->visited, err);
    if (status) return status;
    size_t at = hash(p.node, p.part, p.frame) & (a->seen_slots - 1);
    for (; a->seen[at]; at = (at + 1) & (a->seen_slots - 1)) {
        const gplace *v = &a->visited[a->seen[at] - 1];
        if (v->node == p.node && v->part == p.part && v->frame == p.frame) return CUDDLE_OK;
    }
    a->visited[a->visited_count++] = p;
    a->seen[at] = (uint32_t)a->visited_count;
    *fresh = true;
    if (a->steps-- > 0) return CUDDLE_OK;
    a->steps = 0;
    return cud_fail(err, CUDDLE_E_LIMIT, "following the grammar takes more steps for a token than are allowed");
}

static cuddle_status make_place(automaton *a, gplace p, cuddle_error *err)
{
    if (a->made_count == CUD_G_MOST_PLACES)
        return cud_fail(err, CUDDLE_E_LIMIT, "the text can be read by the grammar in more than %d ways at once", (int)CUD_G_MOST_PLACES);
    const cuddle_status status = reserve(a, &a->made, &a->made_room, a->made_count, 1, sizeof *a->made, err);
    if (!status) a->made[a->made_count++] = p;
    return status;
}

/* Goes to a node, unless no end could be reached from there within the depth. */
static cuddle_status go(automaton *a, uint32_t node, uint32_t frame, cuddle_error *err)
{
    if (a->frame[frame].depth + a->program->node[node].need > (uint32_t)a->program->max_depth) return CUDDLE_OK;
    const cuddle_status status = reserve(a, &a->todo, &a->todo_room, a->todo_count, 1, sizeof *a->todo, err);
    if (!status) a->todo[a->todo_count++] = (gplace){ node, 0, frame };
    return status;
}

/* Goes to what a frame encloses; the depth is checked before there is a frame. */
static cuddle_status enter(automaton *a, uint32_t to, uint32_t node, uint32_t count, uint32_t below, cuddle_error *err)
{
    uint32_t frame = 0;
    if (a->frame[below].depth + 1 + a->program->node[to].need > (uint32_t)a->program->max_depth) return CUDDLE_OK;
    const cuddle_status status = intern_frame(&frame, a, node, count, below, err);
    return status ? status : go(a, to, frame, err);
}

/* Once more, or on: a loop of which `count` rounds are done. Without a bound, rounds are counted up to the least number. */
static cuddle_status loop(automaton *a, uint32_t node, uint32_t count, uint32_t below, cuddle_error *err)
{
    const gnode *n = &a->program->node[node];
    cuddle_status status = CUDDLE_OK;
    if (n->max == CUD_G_UNBOUNDED && count > n->min) count = n->min;
    if (count >= n->min) status = go(a, n->next, below, err);
    if (!status && (n->max == CUD_G_UNBOUNDED || count < n->max)) status = enter(a, n->a, node, count, below, err);
    return status;
}

static cuddle_status expand(automaton *a, gplace at, cuddle_error *err)
{
    const gprogram *p = a->program;
    const gnode *n = &p->node[at.node];
    const gframe f = a->frame[at.frame];
    cuddle_status status = CUDDLE_OK;
    switch ((gop)n->op) {
    case OP_TEXT:
    case OP_SET: return make_place(a, at, err);
    case OP_BRANCH:
        for (uint32_t i = 0; i < n->b && !status; i++) status = go(a, p->target[n->a + i], at.frame, err);
        return status;
    case OP_CALL: /* a call that comes last needs no frame: its end is the caller's */
        return n->next ? enter(a, p->entry[n->a], at.node, 0, at.frame, err) : go(a, p->entry[n->a], at.frame, err);
    case OP_LOOP: return loop(a, at.node, 0, at.frame, err);
    case OP_END:
        if (at.frame == 0) a->accepts = true;
        else if (p->node[f.node].op == OP_CALL) status = go(a, p->node[f.node].next, f.below, err);
        else status = loop(a, f.node, f.count + 1, f.below, err);
        return status;
    }
    return CUDDLE_OK;
}

static cuddle_status expand_all(automaton *a, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    while (a->todo_count > 0 && !status) {
        const gplace at = a->todo[--a->todo_count];
        bool fresh = false;
        status = visit(&fresh, a, at, err);
        if (!status && fresh) status = expand(a, at, err);
    }
    return status;
}

static int by_place(const void *x, const void *y)
{
    const gplace *a = x, *b = y;
    if (a->node != b->node) return a->node < b->node ? -1 : 1;
    if (a->frame != b->frame) return a->frame < b->frame ? -1 : 1;
    return a->part < b->part ? -1 : a->part > b->part;
}

static cuddle_status add_state(uint32_t *out, automaton *a, cuddle_error *err)
{
    const size_t classes = (size_t)a->program->classes;
    cuddle_status status = reserve(a, &a->place, &a->place_room, a->place_count, a->made_count, sizeof *a->place, err);
    const size_t before = a->state_room;
    if (!status) status = reserve(a, &a->state, &a->state_room, a->state_count, 1, sizeof *a->state, err);
    if (!status && a->state_room > before) {
        size_t room = before * classes;
        status = reserve(a, &a->next, &room, before * classes, (a->state_room - before) * classes, sizeof *a->next, err);
        if (status) a->state_room = before;
    }
    if (status) return status;
    if (a->made_count) memcpy(a->place + a->place_count, a->made, a->made_count * sizeof *a->made);
    a->state[a->state_count] = (gstate){ .first = (uint32_t)a->place_count, .count = (uint32_t)a->made_count, .accepts = a->accepts };
    for (size_t i = 0; i < classes; i++) a->next[a->state_count * classes + i] = CUD_STATE_UNKNOWN;
    *out = (uint32_t)a->state_count;
    status = index_states(a, err);
    if (status) return status;
    const uint64_t h = state_hash(a, *out);
    a->state_count++;
    a->place_count += a->made_count;
    uint32_t *slot = &a->state_slot[h & (a->state_slots - 1)];
    a->state[*out].same_hash = *slot;
    *slot = *out + 1;
    return CUDDLE_OK;
}

static cuddle_status end_state(uint32_t *out, automaton *a, cuddle_error *err)
{
    if (a->made_count > 1) qsort(a->made, a->made_count, sizeof *a->made, by_place);
    uint64_t h = a->accepts;
    for (size_t i = 0; i < a->made_count; i++) h = hash((uint32_t)h ^ a->made[i].node, a->made[i].part, a->made[i].frame) + h * 31;
    for (uint32_t i = a->state_slot[h & (a->state_slots - 1)]; i; i = a->state[i - 1].same_hash) {
        const gstate *s = &a->state[i - 1];
        if (s->count == a->made_count && s->accepts == a->accepts &&
            (s->count == 0 || memcmp(a->place + s->first, a->made, s->count * sizeof *a->made) == 0))
            return *out = i - 1, CUDDLE_OK;
    }
    return add_state(out, a, err);
}

/* ---- steps ---- */

cuddle_status cud_automaton_step(uint32_t *out, automaton *a, uint32_t state, uint8_t byte, cuddle_error *err)
{
    const gprogram *p = a->program;
    *out = cud_automaton_peek(a, state, byte);
    if (*out != CUD_STATE_UNKNOWN) return CUDDLE_OK;
    begin_state(a);
    cuddle_status status = CUDDLE_OK;
    const gstate from = a->state[state];
    for (uint32_t i = 0; i < from.count && !status; i++) {
        gplace at = a->place[from.first + i];
        const gnode *n = &p->node[at.node];
        if (n->op == OP_TEXT) {
            if ((uint8_t)p->text[n->a + at.part] != byte) continue;
            at.part++;
            if (at.part == n->b) at.part = 0;
        } else {
            const int to = cud_gprogram_set_step(p, n->a, at.part, byte);
            if (to < 0) continue;
            at.part = to == CUD_G_SET_DONE ? 0 : (uint32_t)to;
        }
        bool fresh = false;
        if (at.part == 0) status = go(a, n->next, at.frame, err);
        else status = visit(&fresh, a, at, err);
        if (!status && fresh) status = make_place(a, at, err);
    }
    if (!status) status = expand_all(a, err);
    if (!status) status = end_state(out, a, err);
    if (!status) a->next[(size_t)state * (size_t)p->classes + p->byte_class[byte]] = *out;
    return status;
}

static cuddle_status start(automaton *a, cuddle_error *err)
{
    uint32_t made = 0;
    a->frame[0] = (gframe){ 0 }; /* what is below everything */
    a->frame_count = 1;
    cuddle_status status = index_frames(a, err);
    begin_state(a);
    if (!status) status = add_state(&made, a, err); /* DEAD: no places, and it is no end */
    begin_state(a);
    if (!status) status = go(a, a->program->entry[0], 0, err);
    if (!status) status = expand_all(a, err);
    if (!status && a->made_count > 1) qsort(a->made, a->made_count, sizeof *a->made, by_place);
    if (!status) status = add_state(&made, a, err);
    for (int i = 0; i < a->program->classes && !status; i++) a->next[i] = CUD_STATE_DEAD;
    return status;
}

cuddle_status cud_automaton_init(automaton *a, const gprogram *p, size_t max_memory, uint64_t max_steps, cuddle_error *err)
{
    *a = (automaton){ .program = p, .max_memory = max_memory, .steps = max_steps };
    cuddle_status status = reserve(a, &a->frame, &a->frame_room, 0, 64, sizeof *a->frame, err);
    if (!status) status = more_slots(a, &a->frame_slot, &a->frame_slots, err);
    if (!status) status = more_slots(a, &a->state_slot, &a->state_slots, err);
    if (!status) status = start(a, err);
    if (status) cud_automaton_free(a);
    return status;
}

static void free_masks(automaton *a)
{
    for (size_t i = 0; i < a->state_count; i++) free(a->state[i].mask);
}

void cud_automaton_free(automaton *a)
{
    free_masks(a);
    free(a->frame);
    free(a->place);
    free(a->state);
    free(a->next);
    free(a->frame_slot);
    free(a->state_slot);
    free(a->made);
    free(a->todo);
    free(a->seen);
    free(a->visited);
    *a = (automaton){ 0 };
}

uint32_t cud_automaton_plain(const automaton *a, uint32_t state)
{
    const gstate *s = &a->state[state];
    uint32_t most = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const gplace *at = &a->place[s->first + i];
        if (!a->program->node[at->node].plain || at->part != 0) continue;
        const gframe *f = &a->frame[at->frame];
        const gnode *n = &a->program->node[f->node];
        const uint32_t left = n->max == CUD_G_UNBOUNDED ? CUD_G_UNBOUNDED : n->max - f->count;
        if (left > most) most = left;
    }
    return most;
}

/* ---- leaving what is not in use ---- */

/* A frame of `from` as a frame of `to`, from below upwards; `renamed` remembers. */
static cuddle_status move_frame(uint32_t *out, automaton *to, const automaton *from, uint32_t frame, uint32_t *renamed, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    while (!renamed[frame] && !status) {
        uint32_t f = frame;
        while (from->frame[f].below && !renamed[from->frame[f].below]) f = from->frame[f].below;
        const uint32_t below = from->frame[f].below ? renamed[from->frame[f].below] - 1 : 0;
        uint32_t made = 0;
        if (f) status = intern_frame(&made, to, from->frame[f].node, from->frame[f].count, below, err);
        renamed[f] = made + 1;
    }
    if (!status) *out = renamed[frame] - 1;
    return status;
}

cuddle_status cud_automaton_collect(automaton *a, uint32_t *const *in_use, size_t count, cuddle_error *err)
{
    automaton fresh;
    cuddle_status status = cud_automaton_init(&fresh, a->program, a->max_memory, a->steps, err);
    if (status) return status;
    uint32_t *renamed = calloc(a->frame_count, sizeof *renamed), *state = malloc((count + 1) * sizeof *state);
    if (!renamed || !state) status = cud_nomem(err, a->frame_count * sizeof *renamed, "following a grammar");
    for (size_t i = 0; i < count && !status; i++) {
        const gstate s = a->state[*in_use[i]];
        state[i] = *in_use[i];
        if (*in_use[i] <= CUD_STATE_START) continue;
        begin_state(&fresh);
        fresh.accepts = s.accepts;
        for (uint32_t k = 0; k < s.count && !status; k++) {
            gplace at = a->place[s.first + k];
            status = move_frame(&at.frame, &fresh, a, at.frame, renamed, err);
            if (!status) status = make_place(&fresh, at, err);
        }
        if (!status) status = end_state(&state[i], &fresh, err);
    }
    if (status) {
        cud_automaton_free(&fresh);
    } else {
        for (size_t i = 0; i < count; i++) *in_use[i] = state[i];
        cud_automaton_free(a);
        *a = fresh;
    }
    free(renamed);
    free(state);
    return status;
}
