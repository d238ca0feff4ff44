/* Between the files that evaluate: scopes, macros, loops. */
#ifndef CUD_JINJA_INTERP_H
#define CUD_JINJA_INTERP_H

#include "jinja/ast.h"
#include "jinja/chars.h"

typedef struct jvariable {
    const jname *name;
    jvalue value;
} jvariable;
struct jscope {
    jscope *parent;
    jvariable *variable;
    uint32_t count, room;
    bool kept; /* a macro refers to it */
};
void cud_j_scope(jscope *scope, jscope *parent);
bool cud_j_set(jrun *j, jscope *scope, const jname *name, jvalue value);

typedef struct jmacro {
    const jmacro_code *code;
    jscope *scope; /* it was defined in */
} jmacro;

typedef struct jloop {
    jvalue *item;
    size_t count, at;
    int depth;         /* from 0 */
    jvalue changed;    /* what loop.changed() was asked with last; J_MISSING before */
    const jnode *node; /* for recursion */
    jscope *scope;     /* the loop's surroundings */
} jloop;
bool cud_j_loop_next(jrun *j, jloop *loop, jvalue *out);

typedef enum jflow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } jflow;

bool cud_j_eval(jrun *j, jscope *scope, const jnode *node, jvalue *out);
bool cud_j_arguments(jrun *j, jscope *scope, const jargs *args, jcall *out);
bool cud_j_run(jrun *j, jscope *scope, const jblock *block, jflow *flow);
bool cud_j_call_macro(jrun *j, jvalue *out, const jmacro *macro, const jcall *call);
bool cud_j_call_loop(jrun *j, jvalue *out, const jloop *loop, const jcall *call);
/* Begins to capture what is written; returns where that is. */
size_t cud_j_capture_begin(jrun *j);
/* What was written since, taken out of the output. */
bool cud_j_capture(jrun *j, size_t from, jvalue *out);

#endif
