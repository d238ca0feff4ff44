/* Statements. */
#include "jinja/interp.h"
#include "jinja/operators.h"

size_t cud_j_capture_begin(jrun *j)
{
    if (!j->captures++) j->settled = j->length;
    return j->length;
}

bool cud_j_capture(jrun *j, size_t from, jvalue *out)
{
    const size_t n = j->length - from;
    char *text = cud_j_room(j, n);
    if (!text) return false;
    if (n) memcpy(text, j->output + from, n);
    j->length = from;
    j->captures--;
    *out = j_string(text, n);
    return true;
}

/* ------------------------------------------------------------------------------------------------------- assignments */

static bool assign(jrun *j, jscope *scope, const jnode *target, jvalue value);

static bool unpack(jrun *j, jscope *scope, const jnode *target, jvalue value)
{
    jlist *list = cud_j_collect(j, value);
    if (!list) return false;
    if (list->count != target->count)
        return cud_j_fail(j, "%zu value%s cannot be unpacked into %u names", list->count, list->count == 1 ? "" : "s",
                          target->count);
    for (uint32_t i = 0; i < target->count; i++)
        if (!assign(j, scope, target->item[i], list->item[i])) return false;
    return true;
}

static jvalue variable(const jscope *scope, const jname *name)
{
    for (; scope; scope = scope->parent)
        for (uint32_t i = 0; i < scope->count; i++)
            if (scope->variable[i].name == name) return scope->variable[i].value;
    return j_undefined(J_BY_NAME, name->s, name->n);
}

static bool assign(jrun *j, jscope *scope, const jnode *target, jvalue value)
{
    j->at = target->at;
    if (target->kind == N_NAME) return cud_j_set(j, scope, target->name, value);
    if (target->kind == N_TUPLE) return unpack(j, scope, target, value);
    const jvalue space = variable(scope, target->name);
    if (space.kind != J_NAMESPACE)
        return cud_j_fail(j, "an attribute can only be set on a namespace, '%.60s' is none",
                          space.kind == J_UNDEFINED ? "undefined" : cud_j_kind_name(space));
    if (target->spelled->s[0] == '_') return cud_j_fail(j, "a namespace has no attributes that begin with '_'");
    return cud_j_put(j, space.dict, j_string(target->spelled->s, target->spelled->n), value);
}

static bool run_filters(jrun *j, jscope *scope, const jnode *filter, jvalue *value)
{
    jcall call;
    if (filter->a && !run_filters(j, scope, filter->a, value)) return false;
    if (!filter->builtin) return cud_j_fail_unknown(j, filter);
    if (!cud_j_enter(j) || !cud_j_arguments(j, scope, filter->args, &call)) return false;
    j->depth--;
    j->at = filter->at;
    return cud_j_call_builtin(j, value, filter->builtin, *value, &call);
}

/* Runs a block in a scope of its own. */
static bool run_inner(jrun *j, jscope *scope, const jblock *block, jflow *flow)
{
    jscope *inner = cud_j_alloc(j, sizeof *inner);
    if (!inner) return false;
    cud_j_scope(inner, scope);
    return cud_j_run(j, inner, block, flow);
}

/* A block that is captured and goes through filters; what a jump leaves unfinished is dropped. */
static bool run_captured(jrun *j, jscope *scope, const jnode *node, const jnode *filters, jvalue *value, jflow *flow)
{
    const size_t from = cud_j_capture_begin(j);
    if (!run_inner(j, scope, &node->block[0], flow)) return false;
    if (*flow != FLOW_ON) {
        j->length = from;
        j->captures--;
        return true;
    }
    return cud_j_capture(j, from, value) && (!filters || run_filters(j, scope, filters, value));
}

static bool run_set_block(jrun *j, jscope *scope, const jnode *node, jflow *flow)
{
    jvalue value;
    if (!run_captured(j, scope, node, node->b, &value, flow)) return false;
    return *flow != FLOW_ON || assign(j, scope, node->a, value);
}

static bool write_value(jrun *j, jvalue value)
{
    jvalue text;
    return cud_j_str(j, &text, value) && cud_j_write(j, text.s, text.n);
}

static bool run_filter_block(jrun *j, jscope *scope, const jnode *node, jflow *flow)
{
    jvalue value;
    if (!run_captured(j, scope, node, node->a, &value, flow)) return false;
    return *flow != FLOW_ON || write_value(j, value);
}

static bool run_with(jrun *j, jscope *scope, const jnode *node, jflow *flow)
{
    jscope *inner = cud_j_alloc(j, sizeof *inner);
    if (!inner) return false;
    cud_j_scope(inner, scope);
    for (uint32_t i = 0; i < node->count; i += 2) { /* values do not see each other */
        jvalue value;
        if (!cud_j_eval(j, scope, node->item[i + 1], &value) || !assign(j, inner, node->item[i], value)) return false;
    }
    return cud_j_run(j, inner, &node->block[0], flow);
}

/* ------------------------------------------------------------------------------------------------------------- loops */

bool cud_j_loop_next(jrun *j, jloop *loop, jvalue *out) /* iterating over `loop` itself takes items from the loop */
{
    (void)j;
    if (loop->at + 1 >= loop->count) return false;
    *out = loop->item[++loop->at];
    return true;
}

/* What the loop goes through: the filter is asked first, so that loop.length and loop.last know. */
static jlist *loop_items(jrun *j, jscope *scope, const jnode *node, jvalue value)
{
    jlist *list = cud_j_collect(j, value);
    if (!list || !node->c) return list;
    jlist *kept = cud_j_list(j, 0);
    jscope *inner = cud_j_alloc(j, sizeof *inner);
    if (!kept || !inner) return NULL;
    cud_j_scope(inner, scope);
    for (size_t i = 0; i < list->count; i++) {
        jvalue holds;
        if (!assign(j, inner, node->a, list->item[i]) || !cud_j_eval(j, inner, node->c, &holds)) return NULL;
        if (cud_j_truth(holds) && !cud_j_push(j, kept, list->item[i])) return NULL;
        if (!inner->kept) inner->count = 0;
    }
    return kept;
}

static bool run_loop(jrun *j, jscope *scope, const jnode *node, jvalue over, int depth, jflow *flow)
{
    jlist *items = loop_items(j, scope, node, over);
    jloop *loop = items ? cud_j_alloc(j, sizeof *loop) : NULL;
    const jname *name = j->template->loop;
    if (!loop) return false;
    *loop = (jloop){ .item = items->item, .count = items->count, .depth = depth, .node = node, .scope = scope };
    bool finished_one = false;
    jscope *inner = NULL;
    for (; loop->at < loop->count; loop->at++) {
        if (!cud_j_step(j, 1)) return false;
        if (!inner || inner->kept) {
            inner = cud_j_alloc(j, sizeof *inner);
            if (!inner) return false;
            cud_j_scope(inner, scope);
        }
        inner->count = 0;
        jflow inside = FLOW_ON;
        if (name && !cud_j_set(j, inner, name, (jvalue){ .kind = J_LOOP, .loop = loop })) return false;
        if (!assign(j, inner, node->a, loop->item[loop->at]) || !cud_j_run(j, inner, &node->block[0], &inside)) return false;
        if (inside == FLOW_BREAK) break;
        finished_one |= inside == FLOW_ON;
    }
    /* As in Jinja, the else runs also where every round was left early. */
    return finished_one || !node->block[1].count || run_inner(j, scope, &node->block[1], flow);
}

static bool run_for(jrun *j, jscope *scope, const jnode *node, jflow *flow)
{
    jvalue over;
    if (!cud_j_eval(j, scope, node->b, &over)) return false;
    j->at = node->b->at;
    if (!node->recursive) return run_loop(j, scope, node, over, 0, flow);
    cud_j_capture_begin(j); /* a function in Jinja; the text may stay where it is */
    if (!run_loop(j, scope, node, over, 0, flow)) return false;
    j->captures--;
    return true;
}

bool cud_j_call_loop(jrun *j, jvalue *out, const jloop *loop, const jcall *call)
{
    if (!loop->node->recursive) return cud_j_fail(j, "loop() needs a loop that is marked as recursive");
    if (call->count != 1 || call->keywords) return cud_j_fail(j, "loop() takes one argument: what to go through");
    const size_t from = cud_j_capture_begin(j);
    jflow flow = FLOW_ON;
    if (!cud_j_enter(j) || !run_loop(j, loop->scope, loop->node, call->arg[0], loop->depth + 1, &flow)) return false;
    j->depth--;
    return cud_j_capture(j, from, out);
}

/* ------------------------------------------------------------------------------------------------------------ macros */

static void keep_scopes(jscope *scope)
{
    for (; scope && !scope->kept; scope = scope->parent) scope->kept = true;
}

static jmacro *macro_value(jrun *j, jscope *scope, const jmacro_code *code)
{
    jmacro *macro = cud_j_alloc(j, sizeof *macro);
    if (!macro) return NULL;
    keep_scopes(scope);
    *macro = (jmacro){ code, scope };
    return macro;
}

static bool is_param(const jmacro_code *code, const jkeyword *keyword, size_t *index)
{
    for (*index = 0; *index < code->count; ++*index)
        if (code->param[*index]->n == keyword->length && memcmp(code->param[*index]->s, keyword->name, keyword->length) == 0)
            return true;
    return false;
}

static bool bind_extra(jrun *j, jscope *inner, const jmacro_code *code, const jcall *call, bool *used)
{
    const int n = code->name ? (int)(code->name->n < 60 ? code->name->n : 60) : 6;
    const char *name = code->name ? code->name->s : "caller";
    if (code->uses_caller && !code->takes_caller) {
        jvalue caller = j_undefined(J_BY_PARAMETER, "caller", 6);
        for (size_t k = 0; k < call->keywords; k++)
            if (call->keyword[k].length == 6 && memcmp(call->keyword[k].name, "caller", 6) == 0)
                caller = call->keyword[k].value, used[k] = true;
        if (!cud_j_set(j, inner, j->template->caller, caller)) return false;
    }
    jdict *rest = code->uses_kwargs ? cud_j_dict(j) : NULL;
    for (size_t k = 0; k < call->keywords; k++) {
        const jkeyword *keyword = &call->keyword[k];
        if (used[k]) continue;
        if (!rest)
            return !j->status && cud_j_fail(j, "the macro '%.*s' has no parameter '%.*s'", n, name,
                                            (int)(keyword->length < 60 ? keyword->length : 60), keyword->name);
        if (!cud_j_put(j, rest, j_string(keyword->name, keyword->length), keyword->value)) return false;
    }
    if (rest && !cud_j_set(j, inner, j->template->kwargs, j_dict(rest))) return false;
    if (!code->uses_varargs)
        return call->count <= code->count || cud_j_fail(j, "the macro '%.*s' takes at most %zu argument%s, %zu are given", n, name,
                                                        code->count, code->count == 1 ? "" : "s", call->count);
    jlist *more = cud_j_list(j, 0);
    for (size_t i = code->count; more && i < call->count; i++)
        if (!cud_j_push(j, more, call->arg[i])) return false;
    return more && cud_j_set(j, inner, j->template->varargs, j_tuple(more));
}

bool cud_j_call_macro(jrun *j, jvalue *out, const jmacro *macro, const jcall *call)
{
    const jmacro_code *code = macro->code;
    jscope *inner = cud_j_alloc(j, sizeof *inner);
    bool *used = cud_j_alloc(j, call->keywords);
    const uint32_t at = j->at;
    if (!inner || !used) return false;
    memset(used, 0, call->keywords);
    cud_j_scope(inner, macro->scope);
    /* Every parameter is there from the start, so that none is looked for outside. */
    for (size_t i = 0; i < code->count; i++) {
        jvalue value = j_undefined(J_BY_PARAMETER, code->param[i]->s, code->param[i]->n);
        if (!cud_j_set(j, inner, code->param[i], i < call->count ? call->arg[i] : value)) return false;
    }
    for (size_t k = 0, i; k < call->keywords; k++) {
        if (!is_param(code, &call->keyword[k], &i)) continue;
        if (i < call->count) continue; /* left over: bind_extra() says so */
        inner->variable[i].value = call->keyword[k].value;
        used[k] = true;
    }
    if (!bind_extra(j, inner, code, call, used)) return false;
    if (!cud_j_enter(j)) return false;
    for (size_t i = call->count; i < code->count; i++) {
        bool given = false;
        for (size_t k = 0, index; k < call->keywords; k++)
            given |= used[k] && is_param(code, &call->keyword[k], &index) && index == i;
        jvalue value;
        if (given || !code->fallback[i]) continue;
        if (!cud_j_eval(j, inner, code->fallback[i], &value) || !cud_j_set(j, inner, code->param[i], value)) return false;
    }
    const size_t from = cud_j_capture_begin(j);
    jflow flow = FLOW_ON;
    if (!cud_j_run(j, inner, &code->body, &flow)) return false;
    j->depth--;
    j->at = at;
    return cud_j_capture(j, from, out);
}

static bool run_call_block(jrun *j, jscope *scope, const jnode *node)
{
    jvalue callee, text;
    jcall call;
    const jnode *target = node->a;
    if (!cud_j_eval(j, scope, target->a, &callee) || !cud_j_arguments(j, scope, target->args, &call)) return false;
    jmacro *caller = macro_value(j, scope, node->macro);
    jkeyword *keyword = cud_j_alloc(j, (call.keywords + 1) * sizeof *keyword);
    if (!caller || !keyword) return false;
    if (call.keywords) memcpy(keyword, call.keyword, call.keywords * sizeof *keyword);
    keyword[call.keywords++] = (jkeyword){ "caller", 6, { .kind = J_MACRO, .macro = caller } };
    call.keyword = keyword;
    j->at = target->at;
    return cud_j_call(j, &text, callee, &call) && write_value(j, text);
}

/* -------------------------------------------------------------------------------------------------------- statements */

static bool run_if(jrun *j, jscope *scope, const jnode *node, jflow *flow)
{
    for (uint32_t i = 0; i < node->count; i++) {
        jvalue holds;
        if (!cud_j_eval(j, scope, node->item[i], &holds)) return false;
        if (cud_j_truth(holds)) return cud_j_run(j, scope, &node->block[i], flow);
    }
    return cud_j_run(j, scope, &node->block[node->count], flow);
}

static bool add_span(jrun *j, jspan span)
{
    if (j->spans == j->span_room) {
        const size_t room = j->span_room * 2 + 8;
        jspan *grown = cud_j_alloc(j, room * sizeof *grown);
        if (!grown) return false;
        if (j->spans) memcpy(grown, j->span, j->spans * sizeof *grown);
        j->span = grown;
        j->span_room = room;
    }
    j->span[j->spans++] = span;
    return true;
}

/* transformers makes a macro of the block and counts from what the template has given out by then: that is where the outermost open
 * capture began, of which the block itself may be one. */
static bool run_generation(jrun *j, jscope *scope, const jnode *node, jflow *flow)
{
    const size_t from = cud_j_capture_begin(j);
    if (!run_inner(j, scope, &node->block[0], flow)) return false;
    const size_t n = j->length - from, begin = j->settled;
    j->captures--;
    if (!j->tracks) return true;
    j->at = node->at;
    return cud_j_bytes(j, n) && add_span(j, (jspan){ begin, cud_j_count(j->output + from, n) });
}

static bool run_statement(jrun *j, jscope *scope, const jnode *node, jflow *flow)
{
    jvalue value;
    switch ((jnode_kind)node->kind) {
    case N_DATA: return cud_j_write(j, node->value.s, node->value.n);
    case N_PRINT:
        if (!cud_j_eval(j, scope, node->a, &value)) return false;
        j->at = node->at;
        return write_value(j, value);
    case N_IF: return run_if(j, scope, node, flow);
    case N_FOR: return run_for(j, scope, node, flow);
    case N_SET: return cud_j_eval(j, scope, node->b, &value) && assign(j, scope, node->a, value);
    case N_SET_BLOCK: return run_set_block(j, scope, node, flow);
    case N_MACRO: {
        jmacro *macro = macro_value(j, scope, node->macro);
        return macro && cud_j_set(j, scope, node->macro->name, (jvalue){ .kind = J_MACRO, .macro = macro });
    }
    case N_CALL_BLOCK: return run_call_block(j, scope, node);
    case N_FILTER_BLOCK: return run_filter_block(j, scope, node, flow);
    case N_WITH: return run_with(j, scope, node, flow);
    case N_GENERATION: return run_generation(j, scope, node, flow);
    case N_SCOPE: return run_inner(j, scope, &node->block[0], flow);
    case N_BREAK: *flow = FLOW_BREAK; return true;
    case N_CONTINUE: *flow = FLOW_CONTINUE; return true;
    default: return cud_j_fail_with(j, CUDDLE_E_INTERNAL, "a node of kind %d is no statement", node->kind);
    }
}

bool cud_j_run(jrun *j, jscope *scope, const jblock *block, jflow *flow)
{
    if (!cud_j_enter(j)) return false;
    for (size_t i = 0; i < block->count && *flow == FLOW_ON; i++) {
        j->at = block->item[i]->at;
        if (!cud_j_step(j, 1) || !run_statement(j, scope, block->item[i], flow)) return false;
    }
    j->depth--;
    return true;
}
