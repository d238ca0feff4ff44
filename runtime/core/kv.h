/* Where keys and values of past positions lie. */
#ifndef CUD_CORE_KV_H
#define CUD_CORE_KV_H

#include "core/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kv_kind {
    KV_PAGED,        /* pages of `page` positions, found through a block table */
    KV_PAGED_LATENT, /* one latent row per position shared by the heads (MLA): v is a prefix of k */
    KV_CROSS_FIXED,  /* an encoder's output: written once per sequence */
    KV_WINDOW,       /* only the last `window` positions are kept: a ring of pages */
    KV_STATE         /* a recurrent state of fixed size per sequence */
} kv_kind;

/* Layers that share a geometry, and so one block table. A model has one to a few groups. */
typedef struct kv_group {
    kv_kind kind;
    int layers;
    int heads, k_dim, v_dim; /* per position and layer; heads are KV heads */
    int window;              /* KV_WINDOW */
    dtype type;
} kv_group;

enum { CUD_MAX_KV_GROUPS = 4, CUD_PAGE = 16 };

/* One layer's keys and values. K of head h at position p: page = block_table[sequence][p / CUD_PAGE], then
 * k[(((int64_t)page * heads + h) * CUD_PAGE + p % CUD_PAGE) * k_dim]; V likewise with v_dim;
 * in a KV_PAGED_LATENT group V is the first v_dim elements of each K row instead. */
typedef struct kv_view {
    void *k, *v;
    dtype type;
    int heads, k_dim, v_dim;
    int64_t pages;              /* bound for every entry of the block table */
    const int32_t *block_table; /* [sequences, table_width], in device memory */
    int table_width;
    const int32_t *slots; /* [tokens]: page * CUD_PAGE + offset where each token of this step is written; -1: nowhere */
} kv_view;

/* The keys and values of the first `positions` positions of one page become those of another. */
typedef struct page_copy { int32_t from, to, positions; } page_copy;

/* Bytes of one page of one layer, K and V together. */
static inline size_t cud_kv_page_bytes(const kv_group *g)
{
    const size_t v_dim = g->kind == KV_PAGED_LATENT ? 0 : (size_t)g->v_dim;
    return (size_t)CUD_PAGE * (size_t)g->heads * ((size_t)g->k_dim + v_dim) * cud_dtype_size(g->type);
}

#ifdef __cplusplus
}
#endif
#endif
