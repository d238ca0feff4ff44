/* Running a program: states, each a set of places (program.h) that the bytes so far can have led to, made when they are first reached and
 * kept. Frames and states are interned, so that equal ones are one, and a state's successors are looked up by class of byte: a text that
 * goes where others went costs one table access for each byte.
 *
 * What is kept is bounded: cud_automaton_collect() leaves only what is in use. Not thread-safe: the grammar's lock guards it. */
#ifndef CUD_GRAMMAR_AUTOMATON_H
#define CUD_GRAMMAR_AUTOMATON_H

#include "grammar/program.h"

enum { CUD_STATE_DEAD = 0, CUD_STATE_START = 1 }; /* no text begins so; nothing was read */
#define CUD_STATE_UNKNOWN UINT32_MAX
enum { CUD_G_MOST_PLACES = 8192 };                /* of a state */

typedef struct gframe { uint32_t node, count, below, depth, same_hash; } gframe;
typedef struct gplace { uint32_t node, part, frame; } gplace;

typedef struct gmask { /* tokens that may come: a list where they are few */
    uint32_t count, words; /* of ids; of bits. One of them is 0 */
    uint32_t data[];
} gmask;

typedef struct gstate {
    uint32_t first, count; /* its places */
    uint32_t same_hash;
    bool accepts; /* the text may end here */
    gmask *mask;  /* NULL: not made yet */
} gstate;

typedef struct automaton {
    const gprogram *program;
    gframe *frame;
    gplace *place;
    gstate *state;
    uint32_t *next; /* [states, classes] */
    uint32_t *frame_slot, *state_slot; /* heads of chains of equal hash: index + 1, or 0 */
    size_t frame_count, frame_room, place_count, place_room, state_count, state_room, frame_slots, state_slots;
    size_t memory, max_memory; /* bytes */
    uint64_t steps;            /* left of this call */

    /* of the state that is being made */
    gplace *made, *todo;
    size_t made_count, made_room, todo_count, todo_room;
    uint32_t *seen; /* hash of places: index into made or visited + 1 */
    gplace *visited;
    size_t seen_slots, visited_count, visited_room;
    bool accepts;
} automaton;

cuddle_status cud_automaton_init(automaton *a, const gprogram *p, size_t max_memory, uint64_t max_steps, cuddle_error *err);
void cud_automaton_free(automaton *a);
/* The state behind `byte`; CUDDLE_E_LIMIT where a text can be read in too many ways at once, or the steps or the memory are used up. */
cuddle_status cud_automaton_step(uint32_t *out, automaton *a, uint32_t state, uint8_t byte, cuddle_error *err);

/* Keeps only the start and these states, which get new numbers, and no masks. */
cuddle_status cud_automaton_collect(automaton *a, uint32_t *const *in_use, size_t count, cuddle_error *err);

static inline uint32_t cud_automaton_peek(const automaton *a, uint32_t state, uint8_t byte) /* CUD_STATE_UNKNOWN: step */
{
    return a->next[(size_t)state * (size_t)a->program->classes + a->program->byte_class[byte]];
}

/* How many plain characters may come from here, at least, whatever else may: 0 to CUD_G_UNBOUNDED. */
uint32_t cud_automaton_plain(const automaton *a, uint32_t state);

#endif
