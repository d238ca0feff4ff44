/* A grammar as a program over bytes: nodes that lead to nodes, rules that call rules. Immutable.
 *
 * A place in it is (node, part, frame): which node comes next, how far into it (byte of a text, state of a set), and the innermost frame of
 * what was called, each frame being (node that called, repetitions so far, frame below). automaton.c runs it. */
#ifndef CUD_GRAMMAR_PROGRAM_H
#define CUD_GRAMMAR_PROGRAM_H

#include "grammar/syntax.h"

typedef enum gop {
    OP_END,    /* of a rule or a repeated part: what comes next is the frame's matter. Node 0, and no other */
    OP_TEXT,   /* bytes [a, a + b) of the text, then next */
    OP_SET,    /* one character of set a, then next */
    OP_BRANCH, /* one of the nodes target[a .. a + b) */
    OP_CALL,   /* rule a, then next */
    OP_LOOP    /* min to max times the nodes from a on, each time to the end, then next */
} gop;

enum { CUD_G_NO_END = UINT16_MAX }; /* need of a node from which no string comes to an end */
enum { CUD_G_LOOSE = 64 }; /* most repetitions of a part that can be empty */

typedef struct gnode {
    uint8_t op;
    bool plain;    /* a set of at least all plain characters (text/lexicon.h) that is what a loop repeats, or may repeat */
    bool nullable; /* its rule or part can come to an end from here without a byte */
    uint16_t need; /* frames that are needed at least to come to an end from here */
    uint32_t next, a, b, min, max;
} gnode;

typedef struct gedge { uint8_t first, last; uint16_t to; } gedge; /* `to`: a state of the set, or CUD_G_SET_DONE */
enum { CUD_G_SET_DONE = UINT16_MAX };
typedef struct gset_state { uint32_t first, count; } gset_state; /* into edge */

typedef struct gprogram {
    gnode *node;
    uint32_t *target;
    char *text;
    gedge *edge;
    gset_state *state;
    uint32_t *set;   /* first state of a set */
    uint32_t *entry; /* of a rule */
    uint32_t *rule_end; /* index behind its last node */
    size_t node_count, node_room, target_count, target_room, edge_count, edge_room, state_count, state_room;
    uint32_t rules;
    uint8_t byte_class[256]; /* bytes of one class lead to the same places everywhere */
    uint8_t class_byte[256]; /* one of the class */
    int classes;
    int max_depth;
    size_t memory;
} gprogram;

/* Takes the text of `g`, whose status becomes the failure: a grammar without any string, one that is left-recursive, one that is too
 * large. max_depth: frames at most. */
bool cud_gprogram_make(gprogram *out, gsyntax *g, int max_depth);
void cud_gprogram_free(gprogram *p);

/* The state of set `set` behind `byte` in state `part` (0: before the character), CUD_G_SET_DONE, or -1. */
int cud_gprogram_set_step(const gprogram *p, uint32_t set, uint32_t part, uint8_t byte);

#endif
