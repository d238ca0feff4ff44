/* A rendering: its limits, where it is, and how it fails. */
#ifndef CUD_JINJA_RUN_H
#define CUD_JINJA_RUN_H

#include "core/status.h"
#include "jinja/arena.h"
#include "jinja/value.h"

typedef struct jlimits {
    uint64_t steps;        /* of the evaluator; long texts count too */
    int depth;             /* of nested evaluation */
    size_t memory, output; /* bytes */
} jlimits;

typedef struct jspan { /* what a {% generation %} block wrote */
    size_t begin, characters;
} jspan;

struct jrun {
    const struct jtemplate *template;
    arena memory;
    uint64_t steps; /* left */
    int depth;
    jlimits limits;
    uint32_t at; /* offset in the template of what is being evaluated */
    char *output;
    size_t length, room;
    uint32_t captures; /* that are open: what they hold is not of the template's text yet */
    size_t settled;    /* length of the output when the outermost of them was opened */
    bool tracks;       /* spans are wanted */
    jspan *span;       /* in the order in which the blocks end */
    size_t spans, span_room;
    int64_t now; /* for strftime_now: seconds since 1970, local time */
    jscope *globals;
    cuddle_status status; /* of the first failure */
    cuddle_error *err;
};

/* Each returns false, so that `return cud_j_fail(...)` ends what cannot go on. The sentence begins with the place in the template.
 */
bool cud_j_fail(jrun *j, const char *format, ...) CUD_PRINTF(2, 3); /* the template is wrong: CUDDLE_E_FORMAT */
bool cud_j_fail_with(jrun *j, cuddle_status status, const char *format, ...) CUD_PRINTF(3, 4);
/* The template used a value that is undefined. */
bool cud_j_fail_undefined(jrun *j, jvalue value);

/* Counts work: 1 for a node, more for what touches many bytes. */
bool cud_j_step(jrun *j, uint64_t count);
static inline bool cud_j_bytes(jrun *j, size_t bytes) { return cud_j_step(j, bytes / 32); }
bool cud_j_enter(jrun *j); /* one level deeper; undone by depth-- */

void *cud_j_alloc(jrun *j, size_t size);
/* Text of `size` bytes to be filled; it can grow by cud_j_append(). */
char *cud_j_room(jrun *j, size_t size);
bool cud_j_append(jrun *j, jvalue *text, const char *s, size_t n);
static inline bool cud_j_append_text(jrun *j, jvalue *text, const char *s) { return cud_j_append(j, text, s, strlen(s)); }
bool cud_j_write(jrun *j, const char *s, size_t n); /* to the output */

#endif
