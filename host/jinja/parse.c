/* Statements, and the template as a whole. */
#include "jinja/operators.h"
#include "jinja/parser.h"
#include "text/unicode.h"

#include <stdlib.h>

enum { TEMPLATE_MOST = 4 << 20, MEMORY_MOST = 128 << 20 };

/* ------------------------------------------------------------------------------------------------------------ tokens */

bool cud_j_advance(jparser *p)
{
    if (p->has_next) {
        p->token = p->next;
        p->has_next = false;
    } else if (!cud_j_lex(&p->lexer, &p->token)) {
        return false;
    }
    p->run.at = p->token.at;
    return true;
}

bool cud_j_look(jparser *p)
{
    if (p->has_next) return true;
    p->has_next = cud_j_lex(&p->lexer, &p->next);
    p->run.at = p->token.at;
    return p->has_next;
}

bool cud_j_is_name(const jparser *p, const char *name) { return p->token.kind == T_NAME && j_is_text(p->token.value, name); }

bool cud_j_unexpected(jparser *p, const char *expected)
{
    p->run.at = p->token.at;
    if (p->token.kind != T_NAME)
        return cud_j_fail(&p->run, "unexpected %s, expected %s", cud_j_token_name(p->token.kind), expected);
    const size_t n = p->token.value.n;
    return cud_j_fail(&p->run, "unexpected '%.*s', expected %s", (int)(n < 60 ? n : 60), p->token.value.s, expected);
}

bool cud_j_expect(jparser *p, jtoken_kind kind)
{
    return p->token.kind == kind ? cud_j_advance(p) : cud_j_unexpected(p, cud_j_token_name(kind));
}

bool cud_j_expect_name(jparser *p, const char *name)
{
    return cud_j_is_name(p, name) ? cud_j_advance(p) : cud_j_unexpected(p, name);
}

bool cud_j_skip_name(jparser *p, const char *name, bool *found)
{
    *found = cud_j_is_name(p, name);
    return !*found || cud_j_advance(p);
}

/* ------------------------------------------------------------------------------------------------------------- nodes */

const jname *cud_j_name(jparser *p, const char *s, size_t n)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < n; i++) hash = (hash ^ (unsigned char)s[i]) * 16777619u;
    jname **bucket = &p->bucket[hash % J_BUCKETS];
    for (jname *name = *bucket; name; name = name->next)
        if (name->n == n && memcmp(name->s, s, n) == 0) return name;
    jname *name = cud_j_alloc(&p->run, sizeof *name);
    if (!name) return NULL;
    *name = (jname){ s, n, cud_j_find_global(s, n), *bucket, p->template->names };
    *bucket = p->template->names = name;
    const jvalue text = j_string(s, n);
    if (j_is_text(text, "loop")) p->template->loop = name;
    if (j_is_text(text, "caller")) p->template->caller = name;
    if (j_is_text(text, "kwargs")) p->template->kwargs = name;
    if (j_is_text(text, "varargs")) p->template->varargs = name;
    return name;
}

jnode *cud_j_node(jparser *p, jnode_kind kind, uint32_t at)
{
    jnode *node = cud_j_alloc(&p->run, sizeof *node);
    if (!node) return NULL;
    memset(node, 0, sizeof *node);
    node->kind = (uint8_t)kind;
    node->at = at;
    return node;
}

bool cud_j_add_node(jparser *p, jnodes *list, jnode *node)
{
    if (!node) return false;
    if (list->count == list->room) {
        const size_t room = list->room ? 2 * list->room : 4;
        jnode **grown = cud_j_alloc(&p->run, room * sizeof *grown);
        if (!grown) return false;
        if (list->count) memcpy(grown, list->item, list->count * sizeof *grown);
        list->item = grown;
        list->room = room;
    }
    list->item[list->count++] = node;
    return true;
}

bool cud_j_deeper(jparser *p)
{
    if (++p->depth <= J_NESTING_MOST) return true;
    return cud_j_fail_with(&p->run, CUDDLE_E_LIMIT, "the template is nested deeper than %d", (int)J_NESTING_MOST);
}

/* -------------------------------------------------------------------------------------------------------- statements */

static bool parse_body(jparser *p, jblock *out, const char *const *ends);

static jblock *blocks(jparser *p, jnode *node, size_t count)
{
    node->block = cud_j_alloc(&p->run, count * sizeof *node->block);
    if (node->block) memset(node->block, 0, count * sizeof *node->block);
    return node->block;
}

/* The body of a statement up to one of the ends, whose name becomes the current token. */
static bool parse_block(jparser *p, jblock *out, const char *const *ends)
{
    if (p->token.kind == T_COLON && !cud_j_advance(p)) return false; /* as in Python */
    if (!cud_j_expect(p, T_BLOCK_END) || !cud_j_deeper(p) || !parse_body(p, out, ends)) return false;
    p->depth--;
    return true;
}

/* The same with one end, which is taken. A frame of its own: conditions around it do not count inside. */
static bool parse_frame(jparser *p, jblock *out, const char *end)
{
    const bool soft = p->soft;
    p->soft = false;
    const char *const ends[] = { end, NULL };
    if (!parse_block(p, out, ends)) return false;
    p->soft = soft;
    return cud_j_advance(p);
}

static jnode *parse_if(jparser *p, jnode *node)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL }, *const last[] = { "endif", NULL };
    jnodes tests = { 0 };
    jblock *body = NULL;
    size_t room = 0, count = 0;
    const bool soft = p->soft;
    bool more = true, otherwise = false;
    p->soft = true;
    while (more || otherwise) {
        if (!cud_j_advance(p)) return NULL;
        if (!otherwise && !cud_j_add_node(p, &tests, cud_j_parse_tuple(p, false, NULL, false))) return NULL;
        if (count + 1 >= room) { /* one more stays free for an else that is not there */
            jblock *grown = cud_j_alloc(&p->run, (2 * count + 4) * sizeof *grown);
            if (!grown) return NULL;
            if (count) memcpy(grown, body, count * sizeof *grown);
            body = grown;
            room = 2 * count + 4;
        }
        if (!parse_block(p, &body[count++], otherwise ? last : ends)) return NULL;
        more = cud_j_is_name(p, "elif");
        otherwise = cud_j_is_name(p, "else");
    }
    p->soft = soft;
    if (count == tests.count) body[count] = (jblock){ 0 };
    node->item = tests.item;
    node->count = (uint32_t)tests.count;
    node->block = body;
    return cud_j_advance(p) ? node : NULL;
}

static jnode *parse_for(jparser *p, jnode *node)
{
    static const char *const ends[] = { "endfor", "else", NULL };
    const bool soft = p->soft;
    bool filtered = false;
    if (!blocks(p, node, 2)) return NULL;
    p->inside_for++;
    if (!cud_j_advance(p) || !(node->a = cud_j_parse_target(p, "in", false)) || !cud_j_expect_name(p, "in")) return NULL;
    if (!(node->b = cud_j_parse_tuple(p, false, "recursive", false)) || !cud_j_skip_name(p, "if", &filtered)) return NULL;
    p->soft = false;
    if (filtered && !(node->c = cud_j_parse_expression(p, true))) return NULL;
    if (!cud_j_skip_name(p, "recursive", &node->recursive)) return NULL;
    p->loops++;
    if (!parse_block(p, &node->block[0], ends)) return NULL;
    p->loops--;
    const bool otherwise = cud_j_is_name(p, "else");
    if (!cud_j_advance(p) || (otherwise && !parse_frame(p, &node->block[1], "endfor"))) return NULL;
    p->inside_for--;
    p->soft = soft;
    return node;
}

static jnode *parse_set(jparser *p, jnode *node)
{
    if (!cud_j_advance(p) || !(node->a = cud_j_parse_target(p, NULL, true))) return NULL;
    if (p->token.kind == T_ASSIGN) return cud_j_advance(p) && (node->b = cud_j_parse_tuple(p, true, NULL, false)) ? node : NULL;
    node->kind = N_SET_BLOCK;
    if (!blocks(p, node, 1)) return NULL;
    if (p->token.kind == T_PIPE && !(node->b = cud_j_parse_filters(p, NULL, false))) return NULL;
    return parse_frame(p, &node->block[0], "endset") ? node : NULL;
}

/* (a, b=1) */
static bool parse_signature(jparser *p, jmacro_code *code)
{
    size_t room = 0;
    if (!cud_j_expect(p, T_LPAREN)) return false;
    while (p->token.kind != T_RPAREN) {
        if (code->count && !cud_j_expect(p, T_COMMA)) return false;
        if (p->token.kind != T_NAME) return cud_j_unexpected(p, "a parameter's name");
        if (code->count == room) {
            const size_t more = 2 * room + 4;
            const jname **param = cud_j_alloc(&p->run, more * sizeof *param);
            jnode **fallback = cud_j_alloc(&p->run, more * sizeof *fallback);
            if (!param || !fallback) return false;
            if (room) memcpy(param, code->param, room * sizeof *param), memcpy(fallback, code->fallback, room * sizeof *fallback);
            code->param = param, code->fallback = fallback;
            room = more;
        }
        const jname *name = cud_j_name(p, p->token.value.s, p->token.value.n);
        if (!name) return false;
        for (size_t i = 0; i < code->count; i++)
            if (code->param[i] == name) return cud_j_unexpected(p, "another parameter's name");
        code->param[code->count] = name;
        code->fallback[code->count] = NULL;
        code->takes_caller |= j_is_text(p->token.value, "caller");
        if (!cud_j_advance(p)) return false;
        if (p->token.kind == T_ASSIGN) {
            if (!cud_j_advance(p) || !(code->fallback[code->count] = cud_j_parse_expression(p, true))) return false;
        } else if (code->count && code->fallback[code->count - 1]) {
            return cud_j_fail(&p->run, "a parameter without a default follows one that has a default");
        }
        if (j_is_text(j_string(name->s, name->n), "caller") && !code->fallback[code->count])
            return cud_j_fail(&p->run, "the parameter 'caller' needs a default");
        code->count++;
    }
    return cud_j_advance(p);
}

/* What is inside a macro is a function of its own: loops around it cannot be left from there. */
static bool parse_macro_body(jparser *p, jmacro_code *code, const char *end)
{
    struct jopen_macro open = { code, p->macro };
    const int loops = p->loops;
    p->macro = &open;
    p->loops = 0;
    const bool done = parse_frame(p, &code->body, end);
    p->macro = open.outer;
    p->loops = loops;
    return done;
}

static jmacro_code *macro_code(jparser *p)
{
    jmacro_code *code = cud_j_alloc(&p->run, sizeof *code);
    if (code) memset(code, 0, sizeof *code);
    return code;
}

static jnode *parse_macro(jparser *p, jnode *node)
{
    if (!(node->macro = macro_code(p)) || !cud_j_advance(p)) return NULL;
    if (p->token.kind != T_NAME) return cud_j_unexpected(p, "the macro's name"), NULL;
    if (!(node->macro->name = cud_j_name(p, p->token.value.s, p->token.value.n)) || !cud_j_advance(p)) return NULL;
    return parse_signature(p, node->macro) && parse_macro_body(p, node->macro, "endmacro") ? node : NULL;
}

static jnode *parse_call_block(jparser *p, jnode *node)
{
    if (!(node->macro = macro_code(p)) || !cud_j_advance(p)) return NULL;
    if (p->token.kind == T_LPAREN && !parse_signature(p, node->macro)) return NULL;
    const jtoken begin = p->token;
    if (!(node->a = cud_j_parse_expression(p, true))) return NULL;
    if (node->a->kind != N_CALL) {
        p->run.at = begin.at;
        cud_j_fail(&p->run, "a call block needs the call of a macro");
        return NULL;
    }
    return parse_macro_body(p, node->macro, "endcall") ? node : NULL;
}

static jnode *parse_filter_block(jparser *p, jnode *node)
{
    if (!blocks(p, node, 1) || !cud_j_advance(p) || !(node->a = cud_j_parse_filters(p, NULL, true))) return NULL;
    return parse_frame(p, &node->block[0], "endfilter") ? node : NULL;
}

static jnode *parse_with(jparser *p, jnode *node)
{
    jnodes pairs = { 0 };
    if (!blocks(p, node, 1) || !cud_j_advance(p)) return NULL;
    while (p->token.kind != T_BLOCK_END) {
        if (pairs.count && !cud_j_expect(p, T_COMMA)) return NULL;
        if (!cud_j_deeper(p) || !cud_j_add_node(p, &pairs, cud_j_parse_target(p, NULL, false))) return NULL;
        p->depth--;
        if (!cud_j_expect(p, T_ASSIGN) || !cud_j_add_node(p, &pairs, cud_j_parse_expression(p, true))) return NULL;
    }
    node->item = pairs.item;
    node->count = (uint32_t)pairs.count;
    return parse_frame(p, &node->block[0], "endwith") ? node : NULL;
}

static jnode *parse_generation(jparser *p, jnode *node)
{
    const int loops = p->loops;
    if (!blocks(p, node, 1) || !cud_j_advance(p)) return NULL;
    p->loops = 0;
    if (!parse_frame(p, &node->block[0], "endgeneration")) return NULL;
    p->loops = loops;
    return node;
}

static jnode *parse_jump(jparser *p, jnode *node)
{
    if (!p->loops) return cud_j_fail(&p->run, "'%s' outside of a loop", node->kind == N_BREAK ? "break" : "continue"), NULL;
    return cud_j_advance(p) ? node : NULL;
}

static jnode *parse_print(jparser *p, jnode *node)
{
    if (!cud_j_advance(p)) return NULL;
    jnodes parts = { 0 };
    while (p->token.kind != T_BLOCK_END) {
        if (parts.count && !cud_j_expect(p, T_COMMA)) return NULL;
        jnode *print = cud_j_node(p, N_PRINT, p->token.at);
        if (!print || !(print->a = cud_j_parse_expression(p, true)) || !cud_j_add_node(p, &parts, print)) return NULL;
    }
    if (!blocks(p, node, 1)) return NULL;
    node->block[0] = (jblock){ parts.item, parts.count };
    return node;
}

static const struct {
    const char *name;
    jnode_kind kind;
    jnode *(*parse)(jparser *p, jnode *node);
} statements[] = {
    { "if", N_IF, parse_if },
    { "for", N_FOR, parse_for },
    { "set", N_SET, parse_set },
    { "macro", N_MACRO, parse_macro },
    { "call", N_CALL_BLOCK, parse_call_block },
    { "filter", N_FILTER_BLOCK, parse_filter_block },
    { "with", N_WITH, parse_with },
    { "generation", N_GENERATION, parse_generation },
    { "break", N_BREAK, parse_jump },
    { "continue", N_CONTINUE, parse_jump },
    { "print", N_SCOPE, parse_print },
};
static const char *const refused[] = { "block", "extends", "include", "import", "from", "autoescape" };

static jnode *parse_statement(jparser *p)
{
    if (p->token.kind != T_NAME) return cud_j_unexpected(p, "the name of a statement"), NULL;
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!cud_j_is_name(p, statements[i].name)) continue;
        jnode *node = cud_j_node(p, statements[i].kind, p->token.at);
        return node ? statements[i].parse(p, node) : NULL;
    }
    const int n = (int)(p->token.value.n < 60 ? p->token.value.n : 60);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (cud_j_is_name(p, refused[i]))
            return cud_j_fail_with(&p->run, CUDDLE_E_UNSUPPORTED, "the statement '%s' is not supported in chat templates",
                                   refused[i]),
                   NULL;
    cud_j_fail(&p->run, "there is no statement '%.*s'", n, p->token.value.s);
    return NULL;
}

static bool all_known(jparser *p) { return !p->unknown || cud_j_fail_unknown(&p->run, p->unknown); }

static bool is_end(const jparser *p, const char *const *ends)
{
    for (; ends && *ends; ends++)
        if (cud_j_is_name(p, *ends)) return true;
    return false;
}

/* Up to {% and one of the ends, or the end of the template where there are none to wait for. */
static bool parse_body(jparser *p, jblock *out, const char *const *ends)
{
    jnodes list = { 0 };
    jnode *node;
    for (;;) {
        switch (p->token.kind) {
        case T_DATA:
            node = cud_j_node(p, N_DATA, p->token.at);
            if (!node || !cud_j_add_node(p, &list, node)) return false;
            node->value = p->token.value;
            if (!cud_j_advance(p)) return false;
            break;
        case T_PRINT_BEGIN:
            node = cud_j_advance(p) ? cud_j_node(p, N_PRINT, p->token.at) : NULL;
            if (!node || !(node->a = cud_j_parse_tuple(p, true, NULL, false))) return false;
            if (!cud_j_add_node(p, &list, node) || !cud_j_expect(p, T_PRINT_END) || !all_known(p)) return false;
            break;
        case T_BLOCK_BEGIN:
            if (!cud_j_advance(p)) return false;
            if (is_end(p, ends)) {
                *out = (jblock){ list.item, list.count };
                return true;
            }
            if (!cud_j_add_node(p, &list, parse_statement(p)) || !cud_j_expect(p, T_BLOCK_END) || !all_known(p)) return false;
            break;
        default:
            if (p->token.kind != T_END || !ends) {
                *out = (jblock){ list.item, list.count };
                return p->token.kind == T_END || cud_j_unexpected(p, "text");
            }
            const char *last = *ends;
            while (*ends) last = *ends++;
            return cud_j_unexpected(p, last);
        }
    }
}

/* --------------------------------------------------------------------------------------------------------- templates */

/* The text with "\n" for every newline, and without one at its end. */
static bool take_source(jparser *p, const char *text, size_t size)
{
    char *source = cud_j_alloc(&p->run, size + 1);
    size_t n = 0;
    if (!source) return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\r' && i + 1 < size && text[i + 1] == '\n') continue;
        source[n++] = text[i] == '\r' ? '\n' : text[i];
    }
    if (n && source[n - 1] == '\n') n--;
    source[n] = 0;
    p->template->source = source;
    p->template->length = n;
    return true;
}

cuddle_status cud_j_parse(jtemplate **out, const char *text, size_t size, const char *label, cuddle_error *err)
{
    *out = NULL;
    if (size > TEMPLATE_MOST)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: a template of %zu bytes, at most %d are taken", label, size, (int)TEMPLATE_MOST);
    const size_t valid = cud_utf8_valid(text, size);
    if (valid < size) return cud_fail(err, CUDDLE_E_FORMAT, "%s: byte %zu is not UTF-8", label, valid);
    jtemplate *t = calloc(1, sizeof *t);
    jname **bucket = calloc(J_BUCKETS, sizeof *bucket);
    if (!t || !bucket) {
        free(t);
        free(bucket);
        return cud_nomem(err, sizeof *t + J_BUCKETS * sizeof *bucket, "a chat template");
    }
    jparser p = { .template = t, .bucket = bucket };
    p.run.template = t;
    p.run.err = err;
    p.run.limits.depth = J_NESTING_MOST;
    p.run.steps = p.run.limits.steps = UINT64_MAX;
    t->label = label;
    t->source = "";
    cud_arena_init(&p.run.memory, MEMORY_MOST);
    char *copy = cud_j_alloc(&p.run, strlen(label) + 1);
    if (copy && take_source(&p, text, size)) {
        t->label = memcpy(copy, label, strlen(label) + 1);
        p.lexer = (jlexer){ .run = &p.run, .text = t->source, .size = t->length };
        if (cud_j_advance(&p)) parse_body(&p, &t->body, NULL);
    }
    t->memory = p.run.memory;
    free(bucket);
    if (p.run.status)
        cud_j_template_free(t);
    else
        *out = t;
    return p.run.status;
}

void cud_j_template_free(jtemplate *t)
{
    if (!t) return;
    cud_arena_free(&t->memory);
    free(t);
}
