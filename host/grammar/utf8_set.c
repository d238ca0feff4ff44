#include "grammar/utf8_set.h"

#include "core/utf8.h"

#include <string.h>

/* The characters of one first byte or of a range of them are a block: `bits` bits of them follow. A block that is wholly in the set becomes
 * edges to states that take any continuation; one that is partly in it gets a state of its own, down to the last byte. States are made
 * before their edges' targets, whose edges follow: so the edges of a state are collected first. */
typedef struct block_edges { gedge edge[64 + 4]; int count; } block_edges;

static uint32_t add_state(gprogram *p, gsyntax *g)
{
    if (!cud_groom(g, &p->state, &p->state_room, p->state_count, 1, sizeof *p->state)) return 0;
    p->state[p->state_count] = (gset_state){ 0 };
    return (uint32_t)p->state_count++;
}

static void put_edges(gprogram *p, gsyntax *g, uint32_t state, const gedge *edge, size_t count)
{
    if (!cud_groom(g, &p->edge, &p->edge_room, p->edge_count, count, sizeof *p->edge)) return;
    if (count) memcpy(p->edge + p->edge_count, edge, count * sizeof *edge);
    p->state[state] = (gset_state){ (uint32_t)p->edge_count, (uint32_t)count };
    p->edge_count += count;
}

typedef struct writer {
    gprogram *p;
    gsyntax *g;
    const gset *s;
    uint32_t first;     /* state of the set */
    uint32_t any[4];    /* states that take 1 to 3 bytes of continuation; 0: not made */
} writer;

/* Index within the set of a state that takes `bytes` of any continuation. */
static uint16_t any_continuation(writer *w, int bytes)
{
    if (bytes == 0) return CUD_G_SET_DONE;
    if (!w->any[bytes]) {
        const gedge edge = { 0x80, 0xbf, any_continuation(w, bytes - 1) };
        w->any[bytes] = add_state(w->p, w->g);
        put_edges(w->p, w->g, w->any[bytes], &edge, 1);
    }
    return (uint16_t)(w->any[bytes] - w->first);
}

enum { NONE, SOME, ALL };

static int share(const gset *s, uint32_t first, uint32_t last)
{
    uint32_t low = 0, high = s->count;
    while (low < high) { /* the first range that ends at or behind `first` */
        const uint32_t middle = low + (high - low) / 2;
        if (s->range[middle].last < first) low = middle + 1;
        else high = middle;
    }
    if (low == s->count || s->range[low].first > last) return NONE;
    return s->range[low].first <= first && s->range[low].last >= last ? ALL : SOME;
}

/* Adds a byte that leads to `to`, or makes the last edge longer. */
static void extend(block_edges *out, uint8_t byte, uint16_t to)
{
    gedge *last = out->count ? &out->edge[out->count - 1] : NULL;
    if (last && last->to == to && last->last + 1 == byte) last->last = byte;
    else out->edge[out->count++] = (gedge){ byte, byte, to };
}

/* The state behind bytes that leave characters [base, base + 64^bytes). */
static uint16_t partial(writer *w, uint32_t base, int bytes)
{
    block_edges edges = { .count = 0 };
    const uint32_t state = add_state(w->p, w->g), size = 1u << 6 * (bytes - 1);
    for (uint32_t i = 0; i < 64 && !w->g->status; i++) {
        const uint32_t first = base + i * size;
        const int have = share(w->s, first, first + size - 1);
        if (have != NONE) extend(&edges, (uint8_t)(0x80 + i), have == ALL ? any_continuation(w, bytes - 1) : partial(w, first, bytes - 1));
    }
    if (!w->g->status) put_edges(w->p, w->g, state, edges.edge, (size_t)edges.count);
    return (uint16_t)(state - w->first);
}

uint32_t cud_utf8_set_write(gprogram *p, gsyntax *g, const gset *s)
{
    writer w = { .p = p, .g = g, .s = s };
    gedge edge[256];
    size_t count = 0;
    w.first = add_state(p, g);
    static const struct { uint8_t first, last; int bytes; uint32_t base; } leads[] = {
        { 0x00, 0x7f, 0, 0 }, { 0xc2, 0xdf, 1, 0x80 }, { 0xe0, 0xef, 2, 0 }, { 0xf0, 0xf4, 3, 0 }
    };
    for (size_t k = 0; k < sizeof leads / sizeof *leads; k++) {
        const uint32_t size = 1u << 6 * leads[k].bytes;
        for (uint32_t byte = leads[k].first; byte <= leads[k].last && !g->status; byte++) {
            const uint32_t first = leads[k].base + (byte - leads[k].first) * size;
            /* Of E0 and F0 the lower part would be an overlong form: it is in another block. */
            const uint32_t least = leads[k].bytes == 2 ? 0x800 : leads[k].bytes == 3 ? 0x10000 : 0;
            const uint32_t last = first + size - 1;
            const int have = first < least ? (share(s, least, last) == NONE ? NONE : SOME) : share(s, first, last);
            if (have == NONE) continue;
            gset above = *s;
            writer inner = w;
            grange *kept = NULL;
            if (first < least) { /* only what is not overlong */
                size_t room = 0;
                if (!cud_groom(g, &kept, &room, 0, s->count, sizeof *kept)) break;
                memcpy(kept, s->range, s->count * sizeof *kept);
                above.range = kept;
                cud_gset_cut(&above, least, 0x10ffff);
                inner.s = &above;
            }
            const uint16_t to = have == ALL ? any_continuation(&inner, leads[k].bytes) : partial(&inner, first, leads[k].bytes);
            memcpy(w.any, inner.any, sizeof w.any);
            if (kept) {
                gset owned = { kept, 0, 0 };
                cud_gset_free(&owned);
            }
            if (count && edge[count - 1].to == to && edge[count - 1].last + 1u == byte) edge[count - 1].last = (uint8_t)byte;
            else edge[count++] = (gedge){ (uint8_t)byte, (uint8_t)byte, to };
        }
    }
    if (!g->status) put_edges(p, g, w.first, edge, count);
    if (!g->status && p->state_count - w.first >= CUD_G_SET_DONE) cud_gfail(g, CUDDLE_E_LIMIT, "%s has a set of characters that is too scattered", g->what);
    return w.first;
}
