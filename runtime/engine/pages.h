/* The pages of a model's KV cache: who holds which, and which of them hold a prefix that another sequence may share.
 *
 * A page is free, held (by one sequence or several that have the same beginning), or idle: nobody holds it, but what it holds is known and may
 * be found again until the page is needed, the one that was let go longest ago first. Prefixes are compared token by token, so that no
 * collision of hashes can give a sequence the keys and values of another text. The caller guards it with a lock of its own. */
#ifndef CUD_ENGINE_PAGES_H
#define CUD_ENGINE_PAGES_H

#include "core/kv.h"
#include "core/status.h"

#include <stdbool.h>
#include <stdint.h>

/* What else must be the same for two beginnings to be the same; the model and the type of its cache are, as a pool belongs to one. */
typedef struct prefix_scope {
    uint64_t salt;  /* the caller's: requests with different salts share nothing */
    uint64_t owner; /* 0, or whose tasks alone may share it */
    int32_t adapter;
} prefix_scope;

typedef struct page {
    int32_t holders;
    int32_t next, previous;   /* in the list of free or idle pages; -1: the end */
    int32_t same_bucket;      /* the next page in its bucket */
    uint64_t name;            /* of the prefix that ends with this page, never used twice; 0: what it holds is not known */
    uint64_t before;          /* the name of the prefix that it continues; 0: it begins one */
    prefix_scope scope;
    int32_t ids[CUD_PAGE];
} page;

typedef struct page_list { int32_t first, last; } page_list;

typedef struct page_pool {
    page *pages; /* [count] */
    int64_t count, free_count, idle_count;
    page_list free, idle;
    int32_t *buckets; /* [bucket_mask + 1] */
    uint64_t bucket_mask, names;
    uint64_t evicted; /* idle pages that were needed for something else */
} page_pool;

cuddle_status cud_pages_init(page_pool *p, int64_t count, cuddle_error *err);
void cud_pages_free(page_pool *p);

/* How many can be taken. */
static inline int64_t cud_pages_available(const page_pool *p) { return p->free_count + p->idle_count; }

/* A page for one holder, or -1. */
int32_t cud_pages_take(page_pool *p);
/* One holder more. */
static inline void cud_pages_hold(page_pool *p, int32_t index) { p->pages[index].holders++; }
/* One holder less. What the page holds stays findable if it was published. */
void cud_pages_drop(page_pool *p, int32_t index);

/* Makes what a held page holds findable: it follows the prefix named `before` (0: none) with CUD_PAGE ids. Returns the name of the longer
 * prefix: that of another page, if one holds the same already. */
uint64_t cud_pages_publish(page_pool *p, int32_t index, uint64_t before, prefix_scope scope, const int32_t *ids);
/* Finds the longest known prefix of whole pages in ids[0..count), at most `most` pages, and holds each of them. Returns how many; *name is the
 * prefix's, 0 for none. */
int cud_pages_match(page_pool *p, int32_t *pages, int most, prefix_scope scope, const int32_t *ids, int count, uint64_t *name);
/* Forgets what idle pages hold. */
void cud_pages_forget(page_pool *p);

#endif
