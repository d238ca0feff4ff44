#include "engine/pages.h"

#include <stdlib.h>
#include <string.h>

static const page_list EMPTY = { -1, -1 };

static void append(page_pool *p, page_list *list, int32_t index)
{
    page *x = &p->pages[index];
    x->next = -1;
    x->previous = list->last;
    if (list->last >= 0) p->pages[list->last].next = index;
    else list->first = index;
    list->last = index;
}

static void unlink_page(page_pool *p, page_list *list, int32_t index)
{
    const page *x = &p->pages[index];
    if (x->previous >= 0) p->pages[x->previous].next = x->next;
    else list->first = x->next;
    if (x->next >= 0) p->pages[x->next].previous = x->previous;
    else list->last = x->previous;
}

cuddle_status cud_pages_init(page_pool *p, int64_t count, cuddle_error *err)
{
    *p = (page_pool){ .count = count, .free = EMPTY, .idle = EMPTY };
    uint64_t buckets = 16;
    while (buckets < (uint64_t)count) buckets *= 2;
    p->pages = calloc((size_t)count + 1, sizeof *p->pages); /* encoders have none */
    p->buckets = malloc(buckets * sizeof *p->buckets);
    if (!p->pages || !p->buckets) {
        cud_pages_free(p);
        return cud_nomem(err, (size_t)count * sizeof *p->pages + buckets * sizeof *p->buckets, "the list of pages");
    }
    p->bucket_mask = buckets - 1;
    memset(p->buckets, 0xff, buckets * sizeof *p->buckets);
    for (int64_t i = 0; i < count; i++) append(p, &p->free, (int32_t)i); /* low numbers are handed out first */
    p->free_count = count;
    return CUDDLE_OK;
}

void cud_pages_free(page_pool *p)
{
    free(p->pages);
    free(p->buckets);
    *p = (page_pool){ 0 };
}

/* ------------------------------------------------------------------------------------------------ finding prefixes */

/* A hash only says where to look. */
static int32_t *bucket_of(const page_pool *p, uint64_t before, prefix_scope scope, const int32_t *ids)
{
    uint64_t h = (before + 0x9e3779b97f4a7c15u) ^ scope.salt ^ scope.owner << 16 ^ (uint64_t)(uint32_t)scope.adapter << 32;
    for (int i = 0; i < CUD_PAGE; i++) {
        h = (h ^ (uint32_t)ids[i]) * 0xbf58476d1ce4e5b9u;
        h ^= h >> 29;
    }
    return &p->buckets[h & p->bucket_mask];
}

static bool same_scope(prefix_scope a, prefix_scope b) { return a.salt == b.salt && a.owner == b.owner && a.adapter == b.adapter; }

static int32_t find(const page_pool *p, uint64_t before, prefix_scope scope, const int32_t *ids)
{
    int32_t i = *bucket_of(p, before, scope, ids);
    for (; i >= 0; i = p->pages[i].same_bucket) {
        const page *x = &p->pages[i];
        if (x->before == before && same_scope(x->scope, scope) && memcmp(x->ids, ids, sizeof x->ids) == 0) break;
    }
    return i;
}

static void forget(page_pool *p, int32_t index)
{
    page *x = &p->pages[index];
    int32_t *link = bucket_of(p, x->before, x->scope, x->ids);
    while (*link != index) link = &p->pages[*link].same_bucket;
    *link = x->same_bucket;
    x->name = 0;
}

uint64_t cud_pages_publish(page_pool *p, int32_t index, uint64_t before, prefix_scope scope, const int32_t *ids)
{
    const int32_t other = find(p, before, scope, ids);
    if (other >= 0) return p->pages[other].name;
    page *x = &p->pages[index];
    x->name = ++p->names;
    x->before = before;
    x->scope = scope;
    memcpy(x->ids, ids, sizeof x->ids);
    int32_t *bucket = bucket_of(p, before, scope, ids);
    x->same_bucket = *bucket;
    *bucket = index;
    return x->name;
}

int cud_pages_match(page_pool *p, int32_t *pages, int most, prefix_scope scope, const int32_t *ids, int count, uint64_t *name)
{
    int n = 0;
    *name = 0;
    for (; n < most && (n + 1) * CUD_PAGE <= count; n++) {
        const int32_t i = find(p, *name, scope, ids + n * CUD_PAGE);
        if (i < 0) break;
        page *x = &p->pages[i];
        if (x->holders++ == 0) {
            unlink_page(p, &p->idle, i);
            p->idle_count--;
        }
        *name = x->name;
        pages[n] = i;
    }
    return n;
}

/* ------------------------------------------------------------------------------------------------- taking and giving */

int32_t cud_pages_take(page_pool *p)
{
    int32_t i = p->free.first;
    if (i >= 0) {
        unlink_page(p, &p->free, i);
        p->free_count--;
    } else {
        i = p->idle.first;
        if (i < 0) return -1;
        unlink_page(p, &p->idle, i);
        p->idle_count--;
        forget(p, i);
        p->evicted++;
    }
    p->pages[i].holders = 1;
    return i;
}

void cud_pages_drop(page_pool *p, int32_t index)
{
    page *x = &p->pages[index];
    if (--x->holders > 0) return;
    if (x->name) {
        append(p, &p->idle, index);
        p->idle_count++;
    } else {
        append(p, &p->free, index);
        p->free_count++;
    }
}

void cud_pages_forget(page_pool *p)
{
    while (p->idle.first >= 0) {
        const int32_t i = p->idle.first;
        unlink_page(p, &p->idle, i);
        p->idle_count--;
        forget(p, i);
        append(p, &p->free, i);
        p->free_count++;
    }
}
