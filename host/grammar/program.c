#include "grammar/program.h"

#include "grammar/utf8_set.h"

#include <stdlib.h>
#include <string.h>

/* ---- nodes: written from the end, so that each knows what follows ---- */

static uint32_t add(gprogram *p, gsyntax *g, gnode node)
{
    if (!cud_groom(g, &p->node, &p->node_room, p->node_count, 1, sizeof *p->node)) return 0;
    p->node[p->node_count] = node;
    return (uint32_t)p->node_count++;
}

static uint32_t emit(gprogram *p, gsyntax *g, gexpr e, uint32_t next);

static uint32_t emit_choice(gprogram *p, gsyntax *g, const gnode_syntax *s, uint32_t next)
{
    if (!cud_groom(g, &p->target, &p->target_room, p->target_count, s->b, sizeof *p->target)) return 0;
    const size_t first = p->target_count;
    p->target_count += s->b;
    const uint32_t children = s->a, count = s->b;
    for (uint32_t i = 0; i < count && !g->status; i++) {
        const uint32_t to = emit(p, g, g->child[children + i], next); /* may move the targets */
        p->target[first + i] = to;
    }
    return add(p, g, (gnode){ .op = OP_BRANCH, .a = (uint32_t)first, .b = count });
}

/* Sets that a loop's part consists of, or may consist of. */
static void mark_plain(gprogram *p, const gsyntax *g, uint32_t body)
{
    const gnode *n = &p->node[body];
    const uint32_t count = n->op == OP_BRANCH ? n->b : 1; /* 0 for a set of nothing; there may be no target at all then */
    for (uint32_t i = 0; i < count; i++) {
        gnode *s = &p->node[n->op == OP_BRANCH ? p->target[n->a + i] : body];
        if (s->op == OP_SET && s->next == 0 && cud_gset_is_plain(&g->set[s->a])) s->plain = true;
    }
}

static uint32_t emit(gprogram *p, gsyntax *g, gexpr e, uint32_t next)
{
    const gnode_syntax s = g->node[e];
    if (!cud_gstep(g, 1)) return 0;
    switch ((gkind)s.kind) {
    case G_SEQUENCE:
        for (uint32_t i = s.b; i-- > 0 && !g->status;) next = emit(p, g, g->child[s.a + i], next);
        return next;
    case G_CHOICE: return emit_choice(p, g, &s, next);
    case G_TEXT: return add(p, g, (gnode){ .op = OP_TEXT, .next = next, .a = s.a, .b = s.b });
    case G_SET: return add(p, g, (gnode){ .op = OP_SET, .next = next, .a = s.a });
    case G_RULE: return add(p, g, (gnode){ .op = OP_CALL, .next = next, .a = s.a });
    case G_REPEAT: {
        const uint32_t body = emit(p, g, s.a, 0);
        if (g->status) return 0;
        mark_plain(p, g, body);
        return add(p, g, (gnode){ .op = OP_LOOP, .next = next, .a = body, .min = s.min, .max = s.max });
    }
    }
    return 0;
}

static void emit_rules(gprogram *p, gsyntax *g)
{
    p->rules = (uint32_t)g->rule_count;
    p->entry = calloc(g->rule_count, sizeof *p->entry);
    p->rule_end = calloc(g->rule_count, sizeof *p->rule_end);
    if (!p->entry || !p->rule_end) {
        cud_gfail(g, CUDDLE_E_NOMEM, "out of memory: %zu bytes for %s", g->rule_count * sizeof *p->entry, g->what);
        return;
    }
    g->memory += 2 * g->rule_count * sizeof *p->entry;
    add(p, g, (gnode){ .op = OP_END, .nullable = true });
    for (uint32_t i = 0; i < p->rules && !g->status; i++) {
        if (!g->rule[i].defined) cud_gfail(g, CUDDLE_E_FORMAT, "%s: rule \"%s\" is used but not defined", g->what, g->rule[i].name);
        p->entry[i] = emit(p, g, g->rule[i].body, 0);
        p->rule_end[i] = (uint32_t)p->node_count;
    }
}

/* ---- what is needed to come to an end ---- */

static uint16_t more(uint16_t need, int frames)
{
    return need == CUD_G_NO_END || need + frames >= CUD_G_NO_END ? CUD_G_NO_END : (uint16_t)(need + frames);
}

static uint16_t larger(uint16_t a, uint16_t b) { return a > b ? a : b; }

static void judge(const gprogram *p, gnode *n)
{
    const gnode *next = &p->node[n->next];
    switch ((gop)n->op) {
    case OP_END: break;
    case OP_TEXT:
    case OP_SET: n->need = next->need; break;
    case OP_BRANCH:
        for (uint32_t i = 0; i < n->b; i++) {
            const gnode *t = &p->node[p->target[n->a + i]];
            if (t->need < n->need) n->need = t->need;
            n->nullable |= t->nullable;
        }
        break;
    case OP_CALL: {
        const gnode *entry = &p->node[p->entry[n->a]];
        n->need = larger(more(entry->need, n->next != 0), next->need);
        n->nullable = entry->nullable && next->nullable;
        break;
    }
    case OP_LOOP: {
        const gnode *body = &p->node[n->a];
        n->need = n->min ? larger(more(body->need, 1), next->need) : next->need;
        n->nullable = (n->min == 0 || body->nullable) && next->nullable;
        break;
    }
    }
}

/* Rules are judged until nothing changes; a rule that changed has those that call it judged again. */
typedef struct callers { /* of rule r: caller[first[r] .. first[r + 1]) */
    uint32_t *first, *caller, *queue;
    bool *queued;
} callers;

static bool find_callers(callers *c, const gprogram *p, gsyntax *g)
{
    size_t calls = 0;
    for (size_t i = 0; i < p->node_count; i++) calls += p->node[i].op == OP_CALL;
    c->first = calloc((size_t)p->rules + 2, sizeof *c->first);
    c->caller = malloc((calls + 1) * sizeof *c->caller);
    c->queue = malloc(((size_t)p->rules + 1) * sizeof *c->queue);
    c->queued = calloc(p->rules, sizeof *c->queued);
    if (!c->first || !c->caller || !c->queue || !c->queued)
        return cud_gfail(g, CUDDLE_E_NOMEM, "out of memory: %zu bytes for %s", calls * sizeof *c->caller, g->what);
    for (size_t i = 0; i < p->node_count; i++)
        if (p->node[i].op == OP_CALL) c->first[p->node[i].a + 2]++;
    for (uint32_t r = 0; r < p->rules; r++) c->first[r + 2] += c->first[r + 1];
    for (uint32_t r = 0, i = 1; r < p->rules; r++)
        for (; i < p->rule_end[r]; i++)
            if (p->node[i].op == OP_CALL) c->caller[c->first[p->node[i].a + 1]++] = r;
    return true;
}

static void judge_rules(gprogram *p, gsyntax *g)
{
    callers c = { 0 };
    for (size_t i = 1; i < p->node_count; i++) p->node[i].need = CUD_G_NO_END;
    uint32_t head = 0, waiting = 0;
    if (find_callers(&c, p, g))
        for (uint32_t r = p->rules; r-- > 0; waiting++) c.queue[waiting] = r, c.queued[r] = true;
    while (waiting > 0 && !g->status) {
        const uint32_t r = c.queue[head];
        head = (head + 1) % p->rules;
        waiting--;
        c.queued[r] = false;
        const gnode before = p->node[p->entry[r]];
        const uint32_t begin = r ? p->rule_end[r - 1] : 1;
        cud_gstep(g, p->rule_end[r] - begin);
        for (uint32_t i = begin; i < p->rule_end[r]; i++) judge(p, &p->node[i]);
        const gnode *after = &p->node[p->entry[r]];
        if (before.need == after->need && before.nullable == after->nullable) continue;
        for (uint32_t i = c.first[r]; i < c.first[r + 1]; i++) {
            const uint32_t caller = c.caller[i];
            if (c.queued[caller]) continue;
            c.queue[(head + waiting++) % p->rules] = caller;
            c.queued[caller] = true;
        }
    }
    free(c.first);
    free(c.caller);
    free(c.queue);
    free(c.queued);
}

static void check_need(gprogram *p, gsyntax *g)
{
    const uint16_t need = p->node[p->entry[0]].need;
    if (need == CUD_G_NO_END) cud_gfail(g, CUDDLE_E_FORMAT, "%s matches no text at all", g->what);
    else if (need > p->max_depth) cud_gfail(g, CUDDLE_E_LIMIT, "%s needs a nesting of %d, at most %d is allowed", g->what, need, p->max_depth);
    for (size_t i = 0; i < p->node_count && !g->status; i++) {
        gnode *n = &p->node[i];
        if (n->op != OP_LOOP || !p->node[n->a].nullable) continue;
        n->min = 0; /* it can be passed without a byte */
        if (n->max != CUD_G_UNBOUNDED && n->max > CUD_G_LOOSE)
            cud_gfail(g, CUDDLE_E_UNSUPPORTED, "%s repeats a part that can be empty up to %u times, expected at most %d", g->what, n->max, (int)CUD_G_LOOSE);
    }
}

/* ---- no rule may come back to itself without a byte ---- */

/* The i-th node that may be next without a byte, or UINT32_MAX. */
static uint32_t without_byte(const gprogram *p, const gnode *n, uint32_t i)
{
    switch ((gop)n->op) {
    case OP_BRANCH: return i < n->b ? p->target[n->a + i] : UINT32_MAX;
    case OP_CALL: return i == 0 ? p->entry[n->a] : i == 1 && p->node[p->entry[n->a]].nullable ? n->next : UINT32_MAX;
    case OP_LOOP: return i == 0 ? n->a : i == 1 && (n->min == 0 || p->node[n->a].nullable) ? n->next : UINT32_MAX;
    default: return UINT32_MAX;
    }
}

static void check_recursion(const gprogram *p, gsyntax *g)
{
    enum { NEW, OPEN, DONE };
    typedef struct step { uint32_t node, next; } step;
    uint8_t *seen = calloc(p->node_count, 1);
    step *path = malloc(p->node_count * sizeof *path);
    if (!seen || !path) cud_gfail(g, CUDDLE_E_NOMEM, "out of memory: %zu bytes for %s", p->node_count * sizeof *path, g->what);
    for (uint32_t r = 0; r < p->rules && !g->status; r++) {
        size_t depth = 0;
        if (seen[p->entry[r]] != NEW) continue;
        seen[p->entry[r]] = OPEN;
        path[depth++] = (step){ p->entry[r], 0 };
        while (depth > 0 && !g->status) {
            step *top = &path[depth - 1];
            const gnode *n = &p->node[top->node];
            const uint32_t to = without_byte(p, n, top->next++);
            if (to == UINT32_MAX) {
                seen[top->node] = DONE;
                depth--;
            } else if (p->node[to].need == CUD_G_NO_END || seen[to] == DONE) {
                continue;
            } else if (seen[to] == OPEN) {
                cud_gfail(g, CUDDLE_E_FORMAT, "%s: \"%s\" begins with itself", g->what, n->op == OP_CALL ? g->rule[n->a].name : g->rule[r].name);
            } else {
                seen[to] = OPEN;
                path[depth++] = (step){ to, 0 };
            }
        }
    }
    free(seen);
    free(path);
}

/* ---- sets, and classes of bytes ---- */

static void emit_sets(gprogram *p, gsyntax *g)
{
    p->set = calloc(g->set_count + 1, sizeof *p->set);
    if (!p->set) cud_gfail(g, CUDDLE_E_NOMEM, "out of memory: %zu bytes for %s", g->set_count * sizeof *p->set, g->what);
    for (size_t i = 0; i < g->set_count && !g->status; i++) p->set[i] = cud_utf8_set_write(p, g, &g->set[i]);
}

static void classify_bytes(gprogram *p)
{
    bool border[257] = { false };
    for (size_t i = 0; i < p->edge_count; i++) border[p->edge[i].first] = border[p->edge[i].last + 1] = true;
    for (size_t i = 0; i < p->node_count; i++) {
        if (p->node[i].op != OP_TEXT) continue;
        for (uint32_t k = 0; k < p->node[i].b; k++) {
            const uint8_t byte = (uint8_t)p->text[p->node[i].a + k];
            border[byte] = border[byte + 1] = true;
        }
    }
    p->classes = 0;
    for (int b = 0; b < 256; b++) {
        if (b == 0 || border[b]) p->class_byte[p->classes++] = (uint8_t)b;
        p->byte_class[b] = (uint8_t)(p->classes - 1);
    }
}

int cud_gprogram_set_step(const gprogram *p, uint32_t set, uint32_t part, uint8_t byte)
{
    const gset_state *s = &p->state[p->set[set] + part];
    for (uint32_t i = s->first; i < s->first + s->count; i++)
        if (byte >= p->edge[i].first && byte <= p->edge[i].last) return p->edge[i].to;
    return -1;
}

bool cud_gprogram_make(gprogram *p, gsyntax *g, int max_depth)
{
    *p = (gprogram){ .max_depth = max_depth };
    if (!g->status) emit_rules(p, g);
    if (!g->status) judge_rules(p, g);
    if (!g->status) check_need(p, g);
    if (!g->status) check_recursion(p, g);
    if (!g->status) emit_sets(p, g);
    if (g->status) return cud_gprogram_free(p), false;
    p->text = g->text;
    g->text = NULL;
    classify_bytes(p);
    p->memory = p->node_room * sizeof *p->node + p->target_room * sizeof *p->target + p->edge_room * sizeof *p->edge +
                p->state_room * sizeof *p->state + g->text_room + g->set_count * sizeof *p->set + 2 * p->rules * sizeof *p->entry;
    return true;
}

void cud_gprogram_free(gprogram *p)
{
    free(p->node);
    free(p->target);
    free(p->text);
    free(p->edge);
    free(p->state);
    free(p->set);
    free(p->entry);
    free(p->rule_end);
    *p = (gprogram){ 0 };
}
