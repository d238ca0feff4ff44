/* Expressions. */
#include "jinja/interp.h"
#include "jinja/operators.h"

#include <math.h>

/* ------------------------------------------------------------------------------------------------------------ scopes */

void cud_j_scope(jscope *scope, jscope *parent) { *scope = (jscope){ .parent = parent }; }

bool cud_j_set(jrun *j, jscope *scope, const jname *name, jvalue value)
{
    for (uint32_t i = 0; i < scope->count; i++)
        if (scope->variable[i].name == name) {
            scope->variable[i].value = value;
            return true;
        }
    if (scope->count == scope->room) {
        const uint32_t room = scope->room ? 2 * scope->room : 4;
        jvariable *grown = cud_j_alloc(j, room * sizeof *grown);
        if (!grown) return false;
        if (scope->count) memcpy(grown, scope->variable, scope->count * sizeof *grown);
        scope->variable = grown;
        scope->room = room;
    }
    scope->variable[scope->count++] = (jvariable){ name, value };
    return true;
}

static jvalue lookup(const jscope *scope, const jname *name)
{
    for (; scope; scope = scope->parent)
        for (uint32_t i = 0; i < scope->count; i++)
            if (scope->variable[i].name == name) return scope->variable[i].value;
    if (name->global) return (jvalue){ .kind = J_FUNCTION, .function = name->global };
    return j_undefined(J_BY_NAME, name->s, name->n);
}

/* ------------------------------------------------------------------------------------------------------------- calls */

static bool more_arguments(jrun *j, jscope *scope, const jnode *node, jlist *list)
{
    jvalue value, item;
    jiter it;
    if (!node) return true;
    if (!cud_j_eval(j, scope, node, &value)) return false;
    j->at = node->at;
    if (!cud_j_iter(j, &it, value)) return false;
    while (cud_j_next(j, &it, &item))
        if (!cud_j_push(j, list, item)) return false;
    return !j->status;
}

bool cud_j_arguments(jrun *j, jscope *scope, const jargs *args, jcall *out)
{
    jlist *list = cud_j_list(j, args->count);
    if (!list) return false;
    *out = (jcall){ 0 };
    for (size_t i = 0; i < args->count; i++)
        if (!cud_j_eval(j, scope, args->arg[i], &list->item[list->count++])) return false;
    if (!more_arguments(j, scope, args->more, list)) return false;
    jvalue named = { .kind = J_NONE };
    jkeyword *keyword = NULL;
    if (args->keywords || args->more_keywords) {
        keyword = cud_j_alloc(j, args->keywords * sizeof *keyword);
        if (!keyword) return false;
        for (size_t i = 0; i < args->keywords; i++) {
            keyword[i].name = args->keyword[i].name->s, keyword[i].length = args->keyword[i].name->n;
            if (!cud_j_eval(j, scope, args->keyword[i].value, &keyword[i].value)) return false;
        }
    }
    out->keywords = args->keywords;
    if (args->more_keywords) {
        if (!cud_j_eval(j, scope, args->more_keywords, &named)) return false;
        j->at = args->more_keywords->at;
        if (named.kind != J_DICT) return cud_j_fail(j, "'**' needs a dict, not a %s", cud_j_kind_name(named));
        jkeyword *all = cud_j_alloc(j, (args->keywords + named.dict->count) * sizeof *all);
        if (!all) return false;
        if (args->keywords) memcpy(all, keyword, args->keywords * sizeof *all);
        for (size_t i = 0; i < named.dict->count; i++) {
            const jentry *entry = &named.dict->entry[i];
            if (entry->key.kind != J_STRING) return cud_j_fail(j, "'**' needs a dict whose keys are strings");
            for (size_t k = 0; k < args->keywords; k++)
                if (all[k].length == entry->key.n && memcmp(all[k].name, entry->key.s, entry->key.n) == 0)
                    return cud_j_fail(j, "the argument '%.*s' is given twice", (int)(all[k].length < 60 ? all[k].length : 60),
                                      all[k].name);
            all[out->keywords++] = (jkeyword){ entry->key.s, entry->key.n, entry->value };
        }
        keyword = all;
    }
    out->arg = list->item, out->count = list->count;
    out->keyword = keyword;
    return true;
}

static bool fail_argument(jrun *j, const jbuiltin *b, const char *how, const char *name, size_t length)
{
    return cud_j_fail(j, "'%s' %s '%.*s'", b->name, how, (int)(length < 60 ? length : 60), name);
}

bool cud_j_call_builtin(jrun *j, jvalue *out, const jbuiltin *b, jvalue self, const jcall *call)
{
    jvalue arg[J_PARAMS_MOST];
    memset(arg, 0, sizeof arg); /* J_MISSING */
    if (!b->params) return b->call(j, out, self, arg, call);
    size_t count = 0;
    const char *name[J_PARAMS_MOST];
    size_t length[J_PARAMS_MOST];
    for (const char *s = b->params; *s; s += *s == ' ') {
        name[count] = s;
        length[count] = strcspn(s, " !");
        s += strcspn(s, " ");
        count++;
    }
    if (call->count > count)
        return cud_j_fail(j, "'%s' takes at most %zu argument%s, %zu are given", b->name, count, count == 1 ? "" : "s",
                          call->count);
    for (size_t i = 0; i < call->count; i++) arg[i] = call->arg[i];
    for (size_t k = 0; k < call->keywords; k++) {
        size_t i = 0;
        while (i < count && !(length[i] == call->keyword[k].length && memcmp(name[i], call->keyword[k].name, length[i]) == 0)) i++;
        if (i == count) return fail_argument(j, b, "has no argument", call->keyword[k].name, call->keyword[k].length);
        if (arg[i].kind != J_MISSING) return fail_argument(j, b, "is given twice its argument", name[i], length[i]);
        arg[i] = call->keyword[k].value;
    }
    for (size_t i = 0; i < count; i++)
        if (arg[i].kind == J_MISSING && name[i][length[i]] == '!')
            return fail_argument(j, b, "needs its argument", name[i], length[i]);
    return b->call(j, out, self, arg, call);
}

bool cud_j_call(jrun *j, jvalue *out, jvalue callee, const jcall *call)
{
    if (!cud_j_step(j, 1)) return false;
    switch ((jkind)callee.kind) {
    case J_FUNCTION: return cud_j_call_builtin(j, out, callee.function, callee, call);
    case J_METHOD: return cud_j_call_builtin(j, out, callee.method->function, callee.method->self, call);
    case J_MACRO: return cud_j_call_macro(j, out, callee.macro, call);
    case J_LOOP: return cud_j_call_loop(j, out, callee.loop, call);
    case J_JOINER: {
        const bool first = callee.cycler->at++ == 0;
        *out = first ? j_string("", 0) : callee.cycler->items->item[0];
        return true;
    }
    case J_UNDEFINED: return cud_j_fail_undefined(j, callee);
    default: return cud_j_fail(j, "a %s cannot be called", cud_j_kind_name(callee));
    }
}

bool cud_j_fail_unknown(jrun *j, const jnode *node)
{
    const jname *name = node->spelled;
    j->at = node->at;
    return cud_j_fail_with(j, CUDDLE_E_UNSUPPORTED, "there is no %s '%.*s'", node->kind == N_FILTER ? "filter" : "test",
                           (int)(name->n < 60 ? name->n : 60), name->s);
}

/* ------------------------------------------------------------------------------------------------------- expressions */

static bool eval_items(jrun *j, jscope *scope, const jnode *node, jvalue *out)
{
    jlist *list = cud_j_list(j, node->count);
    if (!list) return false;
    for (uint32_t i = 0; i < node->count; i++)
        if (!cud_j_eval(j, scope, node->item[i], &list->item[list->count++])) return false;
    *out = node->kind == N_LIST ? j_list(list) : j_tuple(list);
    return true;
}

static bool eval_dict(jrun *j, jscope *scope, const jnode *node, jvalue *out)
{
    jdict *dict = cud_j_dict(j);
    if (!dict) return false;
    for (uint32_t i = 0; i < node->count; i += 2) {
        jvalue key, value;
        if (!cud_j_eval(j, scope, node->item[i], &key) || !cud_j_eval(j, scope, node->item[i + 1], &value)) return false;
        j->at = node->item[i]->at;
        if (!cud_j_put(j, dict, key, value)) return false;
    }
    *out = j_dict(dict);
    return true;
}

static bool eval_item(jrun *j, jscope *scope, const jnode *node, jvalue *out)
{
    jvalue of, key;
    if (!cud_j_eval(j, scope, node->a, &of)) return false;
    if (node->b->kind == N_SLICE) {
        jvalue bound[3];
        for (int i = 0; i < 3; i++) {
            bound[i] = j_none();
            if (node->b->item[i] && !cud_j_eval(j, scope, node->b->item[i], &bound[i])) return false;
        }
        j->at = node->at;
        return cud_j_slice(j, out, of, bound[0], bound[1], bound[2]);
    }
    if (!cud_j_eval(j, scope, node->b, &key)) return false;
    j->at = node->at;
    return cud_j_subscript(j, out, of, key);
}

static bool eval_call(jrun *j, jscope *scope, const jnode *node, jvalue *out)
{
    jvalue callee;
    jcall call;
    if (!cud_j_eval(j, scope, node->a, &callee) || !cud_j_arguments(j, scope, node->args, &call)) return false;
    j->at = node->a->at;
    return cud_j_call(j, out, callee, &call);
}

static bool eval_builtin(jrun *j, jscope *scope, const jnode *node, jvalue *out)
{
    jvalue self;
    jcall call;
    if (!cud_j_eval(j, scope, node->a, &self)) return false;
    if (!node->builtin) return cud_j_fail_unknown(j, node);
    if (!cud_j_arguments(j, scope, node->args, &call)) return false;
    j->at = node->at;
    return cud_j_call_builtin(j, out, node->builtin, self, &call);
}

static bool eval_sign(jrun *j, jscope *scope, const jnode *node, jvalue *out)
{
    jvalue v;
    if (!cud_j_eval(j, scope, node->a, &v)) return false;
    j->at = node->at;
    const bool negative = node->kind == N_NEGATIVE;
    if (v.kind == J_FLOAT)
        *out = j_float(negative ? -v.f : v.f);
    else if (!j_is_whole(v))
        return v.kind == J_UNDEFINED ? cud_j_fail_undefined(j, v) : cud_j_fail(j, "a %s has no sign", cud_j_kind_name(v));
    else if (negative)
        return cud_j_arithmetic(j, N_SUB, j_int(0), v, out);
    else
        *out = j_int(j_whole(v));
    return true;
}

static bool eval_concat(jrun *j, jscope *scope, const jnode *node, jvalue *out)
{
    jvalue text = j_string("", 0), part;
    for (uint32_t i = 0; i < node->count; i++) {
        if (!cud_j_eval(j, scope, node->item[i], &part)) return false;
        j->at = node->item[i]->at;
        if (i == 0 && part.kind == J_STRING)
            text = j_string(part.s, part.n);
        else if (!cud_j_append_str(j, &text, part))
            return false;
    }
    *out = text;
    return true;
}

static bool eval_compare(jrun *j, jscope *scope, const jnode *node, jvalue *out)
{
    jvalue left, right;
    bool holds = true;
    if (!cud_j_eval(j, scope, node->a, &left)) return false;
    for (uint32_t i = 0; i < node->count && holds; i++) { /* a < b < c is a < b and b < c */
        if (!cud_j_eval(j, scope, node->item[i], &right)) return false;
        j->at = node->at;
        if (!cud_j_compare(j, (jcompare)node->op[i], left, right, &holds)) return false;
        left = right;
    }
    *out = j_bool(holds);
    return true;
}

static bool evaluate(jrun *j, jscope *scope, const jnode *node, jvalue *out)
{
    jvalue a, b;
    switch ((jnode_kind)node->kind) {
    case N_CONST: *out = node->value; return true;
    case N_NAME: *out = lookup(scope, node->name); return true;
    case N_LIST:
    case N_TUPLE: return eval_items(j, scope, node, out);
    case N_DICT: return eval_dict(j, scope, node, out);
    case N_ATTR:
        if (!cud_j_eval(j, scope, node->a, &a)) return false;
        j->at = node->at;
        return cud_j_attribute(j, out, a, node->name->s, node->name->n);
    case N_ITEM: return eval_item(j, scope, node, out);
    case N_CALL: return eval_call(j, scope, node, out);
    case N_FILTER:
    case N_TEST: return eval_builtin(j, scope, node, out);
    case N_NOT:
        if (!cud_j_eval(j, scope, node->a, &a)) return false;
        *out = j_bool(!cud_j_truth(a));
        return true;
    case N_NEGATIVE:
    case N_POSITIVE: return eval_sign(j, scope, node, out);
    case N_AND:
    case N_OR:
        if (!cud_j_eval(j, scope, node->a, out)) return false;
        return cud_j_truth(*out) == (node->kind == N_OR) || cud_j_eval(j, scope, node->b, out);
    case N_ADD:
    case N_SUB:
    case N_MUL:
    case N_DIV:
    case N_FLOORDIV:
    case N_MOD:
    case N_POW:
        if (!cud_j_eval(j, scope, node->a, &a) || !cud_j_eval(j, scope, node->b, &b)) return false;
        j->at = node->at;
        return cud_j_arithmetic(j, (jnode_kind)node->kind, a, b, out);
    case N_CONCAT: return eval_concat(j, scope, node, out);
    case N_COMPARE: return eval_compare(j, scope, node, out);
    case N_IF_ELSE:
        if (!cud_j_eval(j, scope, node->b, &a)) return false;
        if (cud_j_truth(a)) return cud_j_eval(j, scope, node->a, out);
        *out = j_undefined(J_BY_ELSE, "", 0);
        return !node->c || cud_j_eval(j, scope, node->c, out);
    default: return cud_j_fail_with(j, CUDDLE_E_INTERNAL, "a node of kind %d is no expression", node->kind);
    }
}

bool cud_j_eval(jrun *j, jscope *scope, const jnode *node, jvalue *out)
{
    j->at = node->at;
    if (!cud_j_step(j, 1) || !cud_j_enter(j)) return false;
    const bool done = evaluate(j, scope, node, out);
    j->depth--;
    return done;
}
