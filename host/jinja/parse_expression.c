/* Expressions, by Jinja's grammar. */
#include "jinja/operators.h"
#include "jinja/parser.h"

static jnode *parse_or(jparser *p);
static jnode *parse_unary(jparser *p, bool filters);
static jnode *parse_primary(jparser *p, bool namespaces);
static jnode *parse_postfix(jparser *p, jnode *node);

/* ------------------------------------------------------------------------------------------------- binary operators */

static jnode *pair(jparser *p, jnode_kind kind, jnode *a, jnode *b)
{
    jnode *node = a && b ? cud_j_node(p, kind, a->at) : NULL;
    if (node) node->a = a, node->b = b;
    return node;
}

/* Levels from or to pow, each a row: what stands between two operands of the level below. */
typedef struct level {
    jtoken_kind token[4];
    const char *name;
    jnode_kind kind[4];
    int count;
} level;
static const level levels[] = {
    { .name = "or", .kind = { N_OR }, .count = 1 },
    { .name = "and", .kind = { N_AND }, .count = 1 },
    { .count = 0 }, /* not */
    { .count = 0 }, /* comparisons */
    { .token = { T_ADD, T_SUB }, .kind = { N_ADD, N_SUB }, .count = 2 },
    { .count = 0 }, /* ~ */
    { .token = { T_MUL, T_DIV, T_FLOORDIV, T_MOD }, .kind = { N_MUL, N_DIV, N_FLOORDIV, N_MOD }, .count = 4 },
    { .token = { T_POW }, .kind = { N_POW }, .count = 1 },
};
enum { LEVEL_OR = 0, LEVEL_NOT = 2, LEVEL_COMPARE = 3, LEVEL_SUM = 4, LEVEL_CONCAT = 5, LEVEL_UNARY = 8 };

static jnode *parse_level(jparser *p, int at);

static jnode *parse_not(jparser *p)
{
    if (!cud_j_is_name(p, "not")) return parse_level(p, LEVEL_COMPARE);
    const uint32_t at = p->token.at;
    if (!cud_j_advance(p) || !cud_j_deeper(p)) return NULL;
    jnode *inner = parse_not(p), *node = inner ? cud_j_node(p, N_NOT, at) : NULL;
    p->depth--;
    if (node) node->a = inner;
    return node;
}

/* The comparison the current token begins, or -1. */
static int comparison(jparser *p)
{
    switch (p->token.kind) {
    case T_EQ: return J_EQ;
    case T_NE: return J_NE;
    case T_LT: return J_LT;
    case T_LE: return J_LE;
    case T_GT: return J_GT;
    case T_GE: return J_GE;
    default: break;
    }
    if (cud_j_is_name(p, "in")) return J_IN;
    if (!cud_j_is_name(p, "not") || !cud_j_look(p) || p->next.kind != T_NAME || !j_is_text(p->next.value, "in")) return -1;
    return J_NOT_IN;
}

static jnode *parse_compare(jparser *p)
{
    jnode *first = parse_level(p, LEVEL_SUM);
    jnodes rest = { 0 };
    uint8_t *op = NULL;
    size_t room = 0;
    for (int how; first && (how = comparison(p)) >= 0;) {
        if (how == J_NOT_IN && !cud_j_advance(p)) return NULL;
        if (!cud_j_advance(p) || !cud_j_add_node(p, &rest, parse_level(p, LEVEL_SUM))) return NULL;
        if (rest.count > room) {
            uint8_t *grown = cud_j_alloc(&p->run, 2 * rest.count);
            if (!grown) return NULL;
            if (op) memcpy(grown, op, rest.count - 1);
            op = grown;
            room = 2 * rest.count;
        }
        op[rest.count - 1] = (uint8_t)how;
    }
    if (!first || !rest.count) return p->run.status ? NULL : first;
    jnode *node = cud_j_node(p, N_COMPARE, first->at);
    if (!node) return NULL;
    node->a = first;
    node->item = rest.item;
    node->count = (uint32_t)rest.count;
    node->op = op;
    return node;
}

static jnode *parse_concat(jparser *p)
{
    jnode *first = parse_level(p, LEVEL_CONCAT + 1);
    if (!first || p->token.kind != T_TILDE) return first;
    jnodes parts = { 0 };
    if (!cud_j_add_node(p, &parts, first)) return NULL;
    while (p->token.kind == T_TILDE)
        if (!cud_j_advance(p) || !cud_j_add_node(p, &parts, parse_level(p, LEVEL_CONCAT + 1))) return NULL;
    jnode *node = cud_j_node(p, N_CONCAT, first->at);
    if (!node) return NULL;
    node->item = parts.item;
    node->count = (uint32_t)parts.count;
    return node;
}

static jnode *parse_level(jparser *p, int at)
{
    if (at == LEVEL_UNARY) return parse_unary(p, true);
    if (at == LEVEL_NOT) return parse_not(p);
    if (at == LEVEL_COMPARE) return parse_compare(p);
    if (at == LEVEL_CONCAT) return parse_concat(p);
    const level *l = &levels[at];
    jnode *left = parse_level(p, at + 1);
    while (left) {
        int found = -1;
        for (int i = 0; i < l->count; i++)
            if (l->name ? cud_j_is_name(p, l->name) : p->token.kind == l->token[i]) found = i;
        if (found < 0) return left;
        const uint32_t place = p->token.at;
        if (!cud_j_advance(p)) return NULL;
        left = pair(p, l->kind[found], left, parse_level(p, at + 1));
        if (left && !l->name) left->at = place; /* failures of sums point at the sign */
    }
    return NULL;
}

static jnode *parse_or(jparser *p) { return parse_level(p, LEVEL_OR); }

jnode *cud_j_parse_expression(jparser *p, bool conditional)
{
    if (!cud_j_deeper(p)) return NULL;
    const bool soft = p->soft;
    const jnode *const unknown = p->unknown;
    p->unknown = NULL;
    jnode *node = parse_or(p);
    if (conditional && cud_j_is_name(p, "if")) p->unknown = NULL; /* this far it may never be reached */
    if (unknown) p->unknown = unknown;
    while (node && conditional && cud_j_is_name(p, "if")) {
        const uint32_t at = p->token.at;
        p->soft = true;
        jnode *test = cud_j_advance(p) ? parse_or(p) : NULL, *otherwise = NULL;
        bool has_else = false;
        if (!test || !cud_j_skip_name(p, "else", &has_else)) return NULL;
        if (has_else && !(otherwise = cud_j_parse_expression(p, true))) return NULL;
        jnode *whole = cud_j_node(p, N_IF_ELSE, at);
        if (!whole) return NULL;
        whole->a = node, whole->b = test, whole->c = otherwise;
        node = whole;
    }
    p->soft = soft;
    p->depth--;
    return node;
}

/* ------------------------------------------------------------------------------------------------------------- calls */

static jargs *parse_args(jparser *p)
{
    jargs *args = cud_j_alloc(&p->run, sizeof *args);
    const uint32_t at = p->token.at;
    if (!args || !cud_j_expect(p, T_LPAREN)) return NULL;
    *args = (jargs){ 0 };
    jnodes plain = { 0 }, named = { 0 };
    struct {
        const jname **item;
        size_t room;
    } names = { 0 };
    bool first = true;
    while (p->token.kind != T_RPAREN) {
        if (!first) {
            if (!cud_j_expect(p, T_COMMA)) return NULL;
            if (p->token.kind == T_RPAREN) break;
        }
        first = false;
        const bool star = p->token.kind == T_MUL, stars = p->token.kind == T_POW;
        bool wrong = args->more_keywords != NULL;
        if (p->token.kind == T_NAME && !cud_j_look(p)) return NULL;
        if (star || stars) {
            wrong |= star && args->more;
            jnode *more = cud_j_advance(p) ? cud_j_parse_expression(p, true) : NULL;
            if (!more) return NULL;
            *(star ? &args->more : &args->more_keywords) = more;
        } else if (p->token.kind == T_NAME && p->next.kind == T_ASSIGN) {
            const jname *name = cud_j_name(p, p->token.value.s, p->token.value.n);
            if (!name || !cud_j_advance(p) || !cud_j_advance(p)) return NULL;
            if (named.count == names.room) {
                const size_t room = names.room ? 2 * names.room : 4;
                const jname **grown = cud_j_alloc(&p->run, room * sizeof *grown);
                if (!grown) return NULL;
                if (names.room) memcpy(grown, names.item, names.room * sizeof *grown);
                names.item = grown, names.room = room;
            }
            for (size_t i = 0; i < named.count; i++)
                if (names.item[i] == name)
                    return cud_j_fail(&p->run, "the argument '%.*s' is given twice", (int)(name->n < 60 ? name->n : 60), name->s),
                           NULL;
            names.item[named.count] = name;
            if (!cud_j_add_node(p, &named, cud_j_parse_expression(p, true))) return NULL;
        } else {
            wrong |= args->more || named.count;
            if (!cud_j_add_node(p, &plain, cud_j_parse_expression(p, true))) return NULL;
        }
        if (wrong) {
            p->run.at = at;
            cud_j_fail(&p->run, "the arguments of this call are out of order: plain ones come first, then named ones, * and **");
            return NULL;
        }
    }
    if (!cud_j_expect(p, T_RPAREN)) return NULL;
    args->arg = plain.item, args->count = plain.count;
    args->keywords = named.count;
    args->keyword = cud_j_alloc(&p->run, named.count * sizeof *args->keyword);
    if (!args->keyword) return NULL;
    for (size_t i = 0; i < named.count; i++) args->keyword[i].name = names.item[i], args->keyword[i].value = named.item[i];
    return args;
}

static jargs *no_args(jparser *p)
{
    jargs *args = cud_j_alloc(&p->run, sizeof *args);
    if (args) *args = (jargs){ 0 };
    return args;
}

/* The name of a filter or test: in Jinja it may have dots. */
static const jname *parse_called(jparser *p)
{
    if (p->token.kind != T_NAME) return cud_j_unexpected(p, "a name"), NULL;
    const jvalue first = p->token.value;
    if (!cud_j_advance(p)) return NULL;
    if (p->token.kind == T_DOT)
        return cud_j_fail_with(&p->run, CUDDLE_E_UNSUPPORTED, "names of filters and tests have no dots here"), NULL;
    return cud_j_name(p, first.s, first.n);
}

/* Jinja refuses unknown filters and tests while it compiles, but not inside conditions, where they fail when they are reached. */
static void check_known(jparser *p, const jnode *node)
{
    if (!node->builtin && !p->soft && !p->unknown) p->unknown = node;
}

jnode *cud_j_parse_filters(jparser *p, jnode *node, bool begun)
{
    while (begun || p->token.kind == T_PIPE) {
        if (!begun && !cud_j_advance(p)) return NULL;
        begun = false;
        jnode *filter = cud_j_node(p, N_FILTER, p->token.at);
        if (!filter || !(filter->spelled = parse_called(p))) return NULL;
        filter->builtin = cud_j_find_filter(filter->spelled->s, filter->spelled->n);
        check_known(p, filter);
        filter->a = node;
        filter->args = p->token.kind == T_LPAREN ? parse_args(p) : no_args(p);
        if (!filter->args) return NULL;
        node = filter;
    }
    return node;
}

static bool begins_argument(const jparser *p)
{
    switch (p->token.kind) {
    case T_NAME: return !cud_j_is_name(p, "else") && !cud_j_is_name(p, "or") && !cud_j_is_name(p, "and");
    case T_STRING:
    case T_INT:
    case T_FLOAT:
    case T_LBRACKET:
    case T_LBRACE: return true;
    default: return false;
    }
}

static jnode *parse_test(jparser *p, jnode *node)
{
    bool negated = false;
    jnode *test = cud_j_advance(p) && cud_j_skip_name(p, "not", &negated) ? cud_j_node(p, N_TEST, p->token.at) : NULL;
    if (!test || !(test->spelled = parse_called(p))) return NULL;
    test->builtin = cud_j_find_test(test->spelled->s, test->spelled->n);
    check_known(p, test);
    test->a = node;
    if (p->token.kind == T_LPAREN) {
        if (!(test->args = parse_args(p))) return NULL;
    } else {
        if (!(test->args = no_args(p))) return NULL;
        if (begins_argument(p)) {
            if (cud_j_is_name(p, "is")) return cud_j_unexpected(p, "no second test"), NULL;
            jnodes one = { 0 };
            jnode *arg = parse_primary(p, false);
            if (!arg || !cud_j_add_node(p, &one, parse_postfix(p, arg))) return NULL;
            test->args->arg = one.item, test->args->count = 1;
        }
    }
    if (!negated) return test;
    jnode *not = cud_j_node(p, N_NOT, test->at);
    if (not ) not ->a = test;
    return not ;
}

/* ------------------------------------------------------------------------------------------ what follows an operand */

static jnode *parse_bound(jparser *p, bool *colon)
{
    *colon = p->token.kind == T_COLON;
    return *colon ? NULL : cud_j_parse_expression(p, true);
}

static bool at_bound_end(const jparser *p) { return p->token.kind == T_RBRACKET || p->token.kind == T_COMMA; }

static jnode *parse_subscribed(jparser *p)
{
    const uint32_t at = p->token.at;
    bool colon;
    jnode *start = parse_bound(p, &colon);
    if (p->run.status || (!colon && p->token.kind != T_COLON)) return start;
    jnode *slice = cud_j_advance(p) ? cud_j_node(p, N_SLICE, at) : NULL;
    if (!slice || !(slice->item = cud_j_alloc(&p->run, 3 * sizeof *slice->item))) return NULL;
    slice->count = 3;
    slice->item[0] = start, slice->item[1] = slice->item[2] = NULL;
    if (p->token.kind != T_COLON && !at_bound_end(p) && !(slice->item[1] = cud_j_parse_expression(p, true))) return NULL;
    if (p->token.kind != T_COLON) return slice;
    if (!cud_j_advance(p)) return NULL;
    return at_bound_end(p) || (slice->item[2] = cud_j_parse_expression(p, true)) ? slice : NULL;
}

static jnode *parse_subscript(jparser *p, jnode *of)
{
    const uint32_t at = p->token.at;
    if (p->token.kind == T_DOT) {
        if (!cud_j_advance(p)) return NULL;
        if (p->token.kind != T_NAME && p->token.kind != T_INT) return cud_j_unexpected(p, "a name or an integer"), NULL;
        jnode *node = cud_j_node(p, p->token.kind == T_NAME ? N_ATTR : N_ITEM, p->token.at);
        if (!node) return NULL;
        node->a = of;
        if (p->token.kind == T_NAME) {
            if (!(node->name = cud_j_name(p, p->token.value.s, p->token.value.n))) return NULL;
        } else {
            if (!(node->b = cud_j_node(p, N_CONST, p->token.at))) return NULL;
            node->b->value = p->token.value;
        }
        return cud_j_advance(p) ? node : NULL;
    }
    jnodes keys = { 0 };
    if (!cud_j_expect(p, T_LBRACKET)) return NULL;
    while (p->token.kind != T_RBRACKET) {
        if (keys.count && !cud_j_expect(p, T_COMMA)) return NULL;
        if (!cud_j_add_node(p, &keys, parse_subscribed(p))) return NULL;
    }
    jnode *node = cud_j_advance(p) ? cud_j_node(p, N_ITEM, at) : NULL;
    if (!node) return NULL;
    node->a = of;
    node->b = keys.count == 1 ? keys.item[0] : cud_j_node(p, N_TUPLE, at);
    if (node->b && keys.count != 1) {
        for (size_t i = 0; i < keys.count; i++)
            if (keys.item[i]->kind == N_SLICE) return cud_j_unexpected(p, "one slice alone"), NULL;
        node->b->item = keys.item, node->b->count = (uint32_t)keys.count;
    }
    return node->b ? node : NULL;
}

static jnode *parse_call(jparser *p, jnode *callee)
{
    jnode *call = cud_j_node(p, N_CALL, callee->at);
    if (!call || !(call->args = parse_args(p))) return NULL;
    call->a = callee;
    return call;
}

static jnode *parse_postfix(jparser *p, jnode *node)
{
    while (node) {
        if (p->token.kind == T_DOT || p->token.kind == T_LBRACKET)
            node = parse_subscript(p, node);
        else if (p->token.kind == T_LPAREN)
            node = parse_call(p, node);
        else
            break;
    }
    return node;
}

static jnode *parse_unary(jparser *p, bool filters)
{
    const uint32_t at = p->token.at;
    jnode *node;
    if (p->token.kind == T_SUB || p->token.kind == T_ADD) {
        node = cud_j_node(p, p->token.kind == T_SUB ? N_NEGATIVE : N_POSITIVE, at);
        if (!node || !cud_j_advance(p) || !cud_j_deeper(p) || !(node->a = parse_unary(p, false))) return NULL;
        p->depth--;
    } else {
        node = parse_primary(p, false);
    }
    node = parse_postfix(p, node);
    while (node && filters) {
        if (p->token.kind == T_PIPE)
            node = cud_j_parse_filters(p, node, false);
        else if (cud_j_is_name(p, "is"))
            node = parse_test(p, node);
        else if (p->token.kind == T_LPAREN)
            node = parse_call(p, node);
        else
            break;
    }
    return p->run.status ? NULL : node;
}

/* ---------------------------------------------------------------------------------------------------------- operands */

static jnode *constant(jparser *p, jvalue value)
{
    jnode *node = cud_j_node(p, N_CONST, p->token.at);
    if (!node) return NULL;
    node->value = value;
    return cud_j_advance(p) ? node : NULL;
}

static jnode *parse_name(jparser *p, bool namespaces)
{
    const jvalue text = p->token.value;
    if (j_is_text(text, "true") || j_is_text(text, "True")) return constant(p, j_bool(true));
    if (j_is_text(text, "false") || j_is_text(text, "False")) return constant(p, j_bool(false));
    if (j_is_text(text, "none") || j_is_text(text, "None")) return constant(p, j_none());
    jnode *node = cud_j_node(p, N_NAME, p->token.at);
    if (!node || !(node->name = cud_j_name(p, text.s, text.n)) || !cud_j_advance(p)) return NULL;
    for (struct jopen_macro *m = p->macro; m; m = m->outer) {
        m->code->uses_caller |= j_is_text(text, "caller");
        m->code->uses_kwargs |= j_is_text(text, "kwargs");
        m->code->uses_varargs |= j_is_text(text, "varargs");
    }
    if (!namespaces || p->token.kind != T_DOT) return node;
    if (!cud_j_advance(p)) return NULL;
    if (p->token.kind != T_NAME) return cud_j_unexpected(p, "a name"), NULL;
    node->kind = N_NAMESPACE_ATTR;
    node->spelled = cud_j_name(p, p->token.value.s, p->token.value.n);
    return node->spelled && cud_j_advance(p) ? node : NULL;
}

static jnode *parse_string(jparser *p)
{
    jnode *node = constant(p, p->token.value);
    while (node && p->token.kind == T_STRING) { /* adjacent ones are one */
        jvalue text = node->value;
        if (!cud_j_append(&p->run, &text, p->token.value.s, p->token.value.n)) return NULL;
        node->value = text;
        if (!cud_j_advance(p)) return NULL;
    }
    return node;
}

static jnode *parse_list(jparser *p)
{
    jnode *node = cud_j_node(p, N_LIST, p->token.at);
    jnodes items = { 0 };
    if (!node || !cud_j_advance(p)) return NULL;
    while (p->token.kind != T_RBRACKET) {
        if (items.count && !cud_j_expect(p, T_COMMA)) return NULL;
        if (p->token.kind == T_RBRACKET) break;
        if (!cud_j_add_node(p, &items, cud_j_parse_expression(p, true))) return NULL;
    }
    node->item = items.item, node->count = (uint32_t)items.count;
    return cud_j_advance(p) ? node : NULL;
}

static jnode *parse_dict(jparser *p)
{
    jnode *node = cud_j_node(p, N_DICT, p->token.at);
    jnodes items = { 0 };
    if (!node || !cud_j_advance(p)) return NULL;
    while (p->token.kind != T_RBRACE) {
        if (items.count && !cud_j_expect(p, T_COMMA)) return NULL;
        if (p->token.kind == T_RBRACE) break;
        if (!cud_j_add_node(p, &items, cud_j_parse_expression(p, true)) || !cud_j_expect(p, T_COLON) ||
            !cud_j_add_node(p, &items, cud_j_parse_expression(p, true)))
            return NULL;
    }
    node->item = items.item, node->count = (uint32_t)items.count;
    return cud_j_advance(p) ? node : NULL;
}

static jnode *parse_primary(jparser *p, bool namespaces)
{
    jnode *node;
    switch (p->token.kind) {
    case T_NAME: return parse_name(p, namespaces);
    case T_STRING: return parse_string(p);
    case T_INT:
    case T_FLOAT: return constant(p, p->token.value);
    case T_LBRACKET: return parse_list(p);
    case T_LBRACE: return parse_dict(p);
    case T_LPAREN:
        node = cud_j_advance(p) ? cud_j_parse_tuple(p, true, NULL, true) : NULL;
        return node && cud_j_expect(p, T_RPAREN) ? node : NULL;
    default: cud_j_unexpected(p, "an expression"); return NULL;
    }
}

static bool ends_tuple(const jparser *p, const char *end)
{
    return p->token.kind == T_PRINT_END || p->token.kind == T_BLOCK_END || p->token.kind == T_RPAREN ||
           (end && cud_j_is_name(p, end));
}

static jnode *finish_tuple(jparser *p, jnodes *items, bool is_tuple, bool may_be_empty, uint32_t at)
{
    if (!is_tuple && items->count) return items->item[0];
    if (!is_tuple && !may_be_empty) return cud_j_unexpected(p, "an expression"), NULL;
    jnode *node = cud_j_node(p, N_TUPLE, at);
    if (node) node->item = items->item, node->count = (uint32_t)items->count;
    return node;
}

jnode *cud_j_parse_tuple(jparser *p, bool conditional, const char *end, bool parentheses)
{
    const uint32_t at = p->token.at;
    jnodes items = { 0 };
    bool is_tuple = false;
    for (;;) {
        if (items.count && !cud_j_expect(p, T_COMMA)) return NULL;
        if (ends_tuple(p, end)) break;
        if (!cud_j_add_node(p, &items, cud_j_parse_expression(p, conditional))) return NULL;
        if (p->token.kind != T_COMMA) break;
        is_tuple = true;
    }
    return finish_tuple(p, &items, is_tuple, parentheses, at);
}

/* ----------------------------------------------------------------------------------------------------------- targets */

static bool check_target(jparser *p, const jnode *node)
{
    p->run.at = node->at;
    if (node->kind == N_NAMESPACE_ATTR) return true;
    if (node->kind == N_NAME)
        return !p->inside_for || !j_is_text(j_string(node->name->s, node->name->n), "loop") ||
               cud_j_fail(&p->run, "'loop' cannot be set in a loop");
    if (node->kind != N_TUPLE) return cud_j_fail(&p->run, "only names can be set, and lists of names");
    for (uint32_t i = 0; i < node->count; i++)
        if (!check_target(p, node->item[i])) return false;
    return true;
}

jnode *cud_j_parse_target(jparser *p, const char *end, bool namespaces)
{
    const uint32_t at = p->token.at;
    jnodes items = { 0 };
    bool is_tuple = false;
    for (;;) {
        if (items.count && !cud_j_expect(p, T_COMMA)) return NULL;
        if (ends_tuple(p, end)) break;
        if (!cud_j_deeper(p) || !cud_j_add_node(p, &items, parse_primary(p, namespaces))) return NULL;
        p->depth--;
        if (p->token.kind != T_COMMA) break;
        is_tuple = true;
    }
    jnode *node = finish_tuple(p, &items, is_tuple, false, at);
    return node && check_target(p, node) ? node : NULL;
}
