/* From a template and variables to text. */
#include "jinja/chat.h"
#include "jinja/interp.h"

#include <stdlib.h>

void cud_j_begin(jrun *j, const jtemplate *t, const jlimits *limits, int64_t now, cuddle_error *err)
{
    *j = (jrun){ .template = t, .limits = *limits, .steps = limits->steps, .now = now, .err = err };
    cud_arena_init(&j->memory, limits->memory);
}

void cud_j_end(jrun *j)
{
    cud_arena_free(&j->memory);
    free(j->output);
    j->output = NULL;
}

bool cud_j_render(jrun *j, const jdict *variables, char **text, size_t *length)
{
    jscope scope, *globals = cud_j_alloc(j, sizeof *globals);
    jflow flow = FLOW_ON;
    if (!globals) return false;
    cud_j_scope(globals, NULL);
    for (const jname *name = j->template->names; name; name = name->older) {
        jvalue value;
        const int found = cud_j_get(j, variables, j_string(name->s, name->n), &value);
        if (found < 0 || (found && !cud_j_set(j, globals, name, value))) return false;
    }
    /* What the template sets goes into a scope of its own, as in Jinja; both outlive every macro, which lives no longer than this
     * call. */
    cud_j_scope(&scope, globals);
    if (!cud_j_run(j, &scope, &j->template->body, &flow) || !cud_j_write(j, "", 0)) return false;
    j->output[j->length] = 0;
    *text = j->output;
    *length = j->length;
    j->output = NULL;
    return true;
}
