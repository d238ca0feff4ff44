#include "grammar/syntax.h"

#include <stdlib.h>
#include <string.h>

bool cud_gfail(gsyntax *g, cuddle_status status, const char *format, ...)
{
    if (g->status) return false;
    va_list args;
    va_start(args, format);
    g->status = cud_vfail(g->err, status, format, args);
    va_end(args);
    return false;
}

bool cud_gstep(gsyntax *g, uint64_t count)
{
    if (g->status) return false;
    if (g->steps < count) return cud_gfail(g, CUDDLE_E_LIMIT, "%s takes more steps to compile than are allowed", g->what);
    g->steps -= count;
    return true;
}

bool cud_groom(gsyntax *g, void *array, size_t *room, size_t count, size_t more, size_t size)
{
    if (g->status) return false;
    if (more <= *room - count) return true;
    const size_t wanted = count + more + count / 2 + 16;
    const size_t added = (wanted - *room) * size;
    if (more > g->max_memory || added > g->max_memory - g->memory)
        return cud_gfail(g, CUDDLE_E_LIMIT, "%s needs more than %zu bytes to compile", g->what, g->max_memory);
    void *old;
    memcpy(&old, array, sizeof old);
    void *grown = realloc(old, wanted * size);
    if (!grown) return cud_gfail(g, CUDDLE_E_NOMEM, "out of memory: %zu bytes for %s", wanted * size, g->what);
    memcpy(array, &grown, sizeof grown);
    *room = wanted;
    g->memory += added;
    return true;
}

static gexpr add_node(gsyntax *g, gnode_syntax node)
{
    if (node.depth > CUD_G_NESTING) cud_gfail(g, CUDDLE_E_LIMIT, "%s is nested more than %d deep", g->what, CUD_G_NESTING);
    if (!cud_groom(g, &g->node, &g->node_room, g->node_count, 1, sizeof *g->node)) return CUD_G_EMPTY;
    g->node[g->node_count] = node;
    return (gexpr)g->node_count++;
}

bool cud_gsyntax_init(gsyntax *g, const char *what, size_t max_memory, uint64_t max_steps, cuddle_error *err)
{
    *g = (gsyntax){ .what = what, .max_memory = max_memory, .steps = max_steps, .err = err };
    add_node(g, (gnode_syntax){ .kind = G_SEQUENCE });
    add_node(g, (gnode_syntax){ .kind = G_CHOICE });
    cud_grule_new(g, "root", 4);
    return !g->status;
}

void cud_gset_free(gset *s)
{
    free(s->range);
    *s = (gset){ 0 };
}

void cud_gsyntax_free(gsyntax *g)
{
    for (size_t i = 0; i < g->set_count; i++) cud_gset_free(&g->set[i]);
    for (size_t i = 0; i < g->rule_count; i++) free(g->rule[i].name);
    free(g->node);
    free(g->child);
    free(g->text);
    free(g->set);
    free(g->rule);
    *g = (gsyntax){ 0 };
}

/* ---- expressions ---- */

gexpr cud_gtext(gsyntax *g, const char *text, size_t length)
{
    if (!length || !cud_groom(g, &g->text, &g->text_room, g->text_count, length, 1)) return CUD_G_EMPTY;
    memcpy(g->text + g->text_count, text, length);
    const gexpr e = add_node(g, (gnode_syntax){ .kind = G_TEXT, .a = (uint32_t)g->text_count, .b = (uint32_t)length });
    g->text_count += length;
    return e;
}

gexpr cud_gstring(gsyntax *g, const char *text) { return cud_gtext(g, text, strlen(text)); }

static bool same_set(const gset *a, const gset *b)
{
    return a->count == b->count && (a->count == 0 || memcmp(a->range, b->range, a->count * sizeof *a->range) == 0);
}

gexpr cud_gset(gsyntax *g, const gset *s)
{
    if (s->count == 0) return CUD_G_NEVER;
    size_t at = 0;
    const size_t recent = g->set_count > 32 ? g->set_count - 32 : 0; /* the same ones come again and again */
    for (at = recent; at < g->set_count && !same_set(&g->set[at], s);) at++;
    if (at == g->set_count) {
        if (!cud_groom(g, &g->set, &g->set_room, g->set_count, 1, sizeof *g->set)) return CUD_G_EMPTY;
        gset copy = { 0 };
        size_t room = 0;
        if (!cud_groom(g, &copy.range, &room, 0, s->count, sizeof *copy.range)) return CUD_G_EMPTY;
        memcpy(copy.range, s->range, s->count * sizeof *s->range);
        copy.count = s->count;
        copy.room = (uint32_t)room;
        g->set[g->set_count++] = copy;
    }
    return add_node(g, (gnode_syntax){ .kind = G_SET, .a = (uint32_t)at });
}

static gexpr add_group(gsyntax *g, gkind kind, const gexpr *item, size_t count)
{
    if (count == 1) return item[0];
    if (!cud_groom(g, &g->child, &g->child_room, g->child_count, count, sizeof *g->child)) return CUD_G_EMPTY;
    uint16_t depth = 0;
    for (size_t i = 0; i < count; i++) {
        g->child[g->child_count + i] = item[i];
        if (g->node[item[i]].depth >= depth) depth = (uint16_t)(g->node[item[i]].depth + 1);
    }
    const gexpr e = add_node(g, (gnode_syntax){ .kind = (uint8_t)kind, .depth = depth, .a = (uint32_t)g->child_count, .b = (uint32_t)count });
    g->child_count += count;
    return e;
}

gexpr cud_gsequence(gsyntax *g, const gexpr *item, size_t count) { return count ? add_group(g, G_SEQUENCE, item, count) : CUD_G_EMPTY; }
gexpr cud_gchoice(gsyntax *g, const gexpr *item, size_t count) { return count ? add_group(g, G_CHOICE, item, count) : CUD_G_NEVER; }

gexpr cud_grepeat(gsyntax *g, gexpr e, uint32_t min, uint32_t max)
{
    if (g->status || max == 0) return CUD_G_EMPTY;
    if (min == 1 && max == 1) return e;
    if (min == 0 && max == 1) return cud_geither(g, e, CUD_G_EMPTY);
    return add_node(g, (gnode_syntax){ .kind = G_REPEAT, .depth = (uint16_t)(g->node[e].depth + 1), .a = e, .min = min, .max = max });
}

gexpr cud_grule_expr(gsyntax *g, uint32_t rule) { return add_node(g, (gnode_syntax){ .kind = G_RULE, .a = rule }); }

uint32_t cud_grule_new(gsyntax *g, const char *name, size_t length)
{
    if (!cud_groom(g, &g->rule, &g->rule_room, g->rule_count, 1, sizeof *g->rule)) return 0;
    char *copy = strndup(name, length < 200 ? length : 200);
    if (!copy) {
        cud_gfail(g, CUDDLE_E_NOMEM, "out of memory: %zu bytes for %s", length, g->what);
        return 0;
    }
    g->rule[g->rule_count] = (grule){ .name = copy };
    return (uint32_t)g->rule_count++;
}

void cud_grule_define(gsyntax *g, uint32_t rule, gexpr body)
{
    if (g->status) return;
    g->rule[rule].body = body;
    g->rule[rule].defined = true;
}

void cud_glist_add(gsyntax *g, glist *list, gexpr e)
{
    if (cud_groom(g, &list->item, &list->room, list->count, 1, sizeof *list->item)) list->item[list->count++] = e;
}

static void end_list(gsyntax *g, glist *list)
{
    g->memory -= list->room * sizeof *list->item;
    free(list->item);
    *list = (glist){ 0 };
}

gexpr cud_glist_sequence(gsyntax *g, glist *list)
{
    const gexpr e = g->status ? CUD_G_EMPTY : cud_gsequence(g, list->item, list->count);
    end_list(g, list);
    return e;
}

gexpr cud_glist_choice(gsyntax *g, glist *list)
{
    const gexpr e = g->status ? CUD_G_EMPTY : cud_gchoice(g, list->item, list->count);
    end_list(g, list);
    return e;
}

/* ---- sets ---- */

enum { SURROGATE_FIRST = 0xd800, SURROGATE_LAST = 0xdfff, SCALAR_LAST = 0x10ffff };

void cud_gset_add(gsyntax *g, gset *s, uint32_t first, uint32_t last)
{
    size_t room = s->room;
    if (first > last || !cud_groom(g, &s->range, &room, s->count, 1, sizeof *s->range)) return;
    s->room = (uint32_t)room;
    s->range[s->count++] = (grange){ first, last };
}

void cud_gset_add_set(gsyntax *g, gset *s, const gset *other)
{
    for (uint32_t i = 0; i < other->count; i++) cud_gset_add(g, s, other->range[i].first, other->range[i].last);
}

static int by_first(const void *a, const void *b)
{
    const grange *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

void cud_gset_tidy(gset *s)
{
    if (s->count == 0) return;
    qsort(s->range, s->count, sizeof *s->range, by_first);
    uint32_t kept = 0;
    for (uint32_t i = 1; i < s->count; i++) {
        if (s->range[i].first <= s->range[kept].last + 1) {
            if (s->range[i].last > s->range[kept].last) s->range[kept].last = s->range[i].last;
        } else {
            s->range[++kept] = s->range[i];
        }
    }
    s->count = kept + 1;
}

void cud_gset_invert(gsyntax *g, gset *s)
{
    cud_gset_add(g, s, SURROGATE_FIRST, SURROGATE_LAST);
    cud_gset_tidy(s);
    if (g->status) return;
    gset out = { 0 };
    uint32_t next = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->range[i].first > next) cud_gset_add(g, &out, next, s->range[i].first - 1);
        next = s->range[i].last + 1;
    }
    if (next <= SCALAR_LAST) cud_gset_add(g, &out, next, SCALAR_LAST);
    cud_gset_free(s);
    *s = out;
}

bool cud_gset_has(const gset *s, uint32_t c)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (c >= s->range[i].first && c <= s->range[i].last) return true;
    return false;
}

void cud_gset_cut(gset *s, uint32_t first, uint32_t last)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const grange r = { s->range[i].first > first ? s->range[i].first : first, s->range[i].last < last ? s->range[i].last : last };
        if (r.first <= r.last) s->range[kept++] = r;
    }
    s->count = kept;
}

static bool covers(const gset *s, uint32_t first, uint32_t last)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (first >= s->range[i].first && last <= s->range[i].last) return true;
    return false;
}

bool cud_gset_is_plain(const gset *s)
{
    return covers(s, 0x20, '"' - 1) && covers(s, '"' + 1, '\\' - 1) && covers(s, '\\' + 1, SURROGATE_FIRST - 1) &&
           covers(s, SURROGATE_LAST + 1, SCALAR_LAST);
}
