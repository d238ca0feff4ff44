/* attend: out = softmax(q k^T * scale + biases, masked) v
 *
 * One part of the pool's job is one KV head of one sequence and a tile of up to TILE query rows of the heads that share it. Keys come
 * by blocks of BLOCK positions that begin at multiples of BLOCK, with a running maximum and sum per row (online softmax); inside a
 * block by pages, each converted to float once for the whole tile. What a row adds up, and in which order, is decided by the block
 * borders and by the keys it sees: not by the tile, the chunk or the neighbours it shares them with. Keys a row does not see are never
 * multiplied into it, so that what lies there (an infinity, say) cannot leak.
 *
 * Decoding is bound by reading K and V, prefill by the multipliers. */
#include "backend.h"

#include "core/op_checks.h"

#include <math.h>

enum { TILE = 32, BLOCK = 4 * CUD_PAGE };

typedef struct job {
    const cpu_backend *b;
    const attend_args *a;
    const int32_t *key_starts;
    const int32_t *tiles; /* [sequences + 1]: tiles of the sequences before */
    int heads, kv_heads, group;
    int64_t k_dim, v_dim;
    char *scratch; /* per thread */
    size_t scratch_bytes;
} job;

/* One tile: row i is query `first + i` counted position by position, head by head. */
typedef struct tile {
    const job *j;
    float *q, *acc, *scores, *keys, *values; /* [TILE][k_dim], [TILE][v_dim], [TILE][BLOCK], [CUD_PAGE][k_dim], [CUD_PAGE][v_dim] */
    int sequence, kv_head, rows;
    int64_t kv_length;
    int64_t position[TILE], low[TILE], high[TILE]; /* it sees keys [low, high), both ascending with the row */
    int head[TILE];
    float most[TILE], sum[TILE];
} tile;

static int64_t count_keys(const job *j, int s)
{
    return j->a->kv.heads ? j->a->kv_lengths[s] : j->key_starts[s + 1] - j->key_starts[s];
}

static size_t scratch_floats(int64_t k_dim, int64_t v_dim)
{
    const size_t floats = (size_t)((TILE + CUD_PAGE) * (k_dim + v_dim) + TILE * BLOCK);
    return (floats + 63) / 64 * 64;
}

static void lay_out(tile *t, const job *j, int thread)
{
    t->j = j;
    t->q = (float *)(void *)(j->scratch + (size_t)thread * j->scratch_bytes);
    t->acc = t->q + TILE * j->k_dim;
    t->scores = t->acc + TILE * j->v_dim;
    t->keys = t->scores + TILE * BLOCK;
    t->values = t->keys + CUD_PAGE * j->k_dim;
}

static void see(tile *t, int i)
{
    const attend_args *a = t->j->a;
    const int64_t p = t->position[i], n = t->kv_length;
    t->low[i] = 0;
    t->high[i] = n;
    if (a->mask == MASK_CAUSAL) {
        t->high[i] = cud_max64(0, cud_min64(n, p + 1));
        if (a->window > 0) t->low[i] = cud_max64(0, p - a->window + 1);
    } else if (a->window > 0) {
        t->low[i] = cud_max64(0, p - a->window);
        t->high[i] = cud_max64(0, cud_min64(n, p + a->window + 1));
    }
}

static void load_queries(tile *t, int64_t first)
{
    const job *j = t->j;
    const attend_args *a = j->a;
    const int64_t start = a->starts[t->sequence], length = a->starts[t->sequence + 1] - start;
    t->rows = (int)cud_min64(TILE, length * j->group - first);
    for (int i = 0; i < t->rows; i++) {
        const int64_t query = (first + i) / j->group;
        t->head[i] = t->kv_head * j->group + (int)((first + i) % j->group);
        t->position[i] = t->kv_length - length + query;
        const int64_t at = (start + query) * a->q.stride[0] + t->head[i] * a->q.stride[1];
        j->b->rows->to_float(t->q + i * j->k_dim, cud_at(a->q, at), a->q.type, j->k_dim);
        t->most[i] = -INFINITY;
        t->sum[i] = 0.0f;
        see(t, i);
    }
    memset(t->acc, 0, (size_t)(t->rows * j->v_dim) * sizeof(float));
}

typedef struct page { const void *data; wformat format; int64_t stride; } page;

/* `count` keys (or values) from `position` on, a multiple of CUD_PAGE. Where they lie if they are floats or only a few rows will
 * read them, else converted once for all rows. */
static page fetch(const tile *t, bool keys, int64_t position, int64_t count, float *buffer)
{
    enum { FEW = 8 };
    const job *j = t->j;
    const attend_args *a = j->a;
    const int64_t dim = keys ? j->k_dim : j->v_dim;
    tensor x = keys ? a->k : a->v;
    if (a->kv.heads) {
        const int64_t at = a->kv.block_table[(int64_t)t->sequence * a->kv.table_width + position / CUD_PAGE];
        x = cud_matrix(keys ? a->kv.k : a->kv.v, a->kv.type, 0, dim);
        x.data = cud_at(x, (at * a->kv.heads + t->kv_head) * CUD_PAGE * dim);
    } else {
        x.data = cud_at(x, (j->key_starts[t->sequence] + position) * x.stride[0] + t->kv_head * x.stride[1]);
    }
    if (x.type == CUDDLE_F32 || t->rows <= FEW) return (page){ x.data, cud_wformat_of(x.type), x.stride[0] };
    if (x.stride[0] == dim) j->b->rows->to_float(buffer, x.data, x.type, count * dim);
    else
        for (int64_t i = 0; i < count; i++) j->b->rows->to_float(buffer + i * dim, cud_at(x, i * x.stride[0]), x.type, dim);
    return (page){ buffer, WF_F32, dim };
}

/* Asks for what fetch() will read: pages lie anywhere, so the machine does not see them coming. */
static void announce(const tile *t, bool keys, int64_t position)
{
    const job *j = t->j;
    const attend_args *a = j->a;
    if (a->kv.heads == 0 || position >= t->kv_length) return;
    const int64_t at = a->kv.block_table[(int64_t)t->sequence * a->kv.table_width + position / CUD_PAGE];
    const size_t bytes = (size_t)(CUD_PAGE * (keys ? j->k_dim : j->v_dim)) * cud_dtype_size(a->kv.type);
    const char *p = (const char *)(keys ? a->kv.k : a->kv.v) + (size_t)(at * a->kv.heads + t->kv_head) * bytes;
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i, 0, 2);
}

/* T5's bucket for a distance (key - query): near ones have their own, far ones share logarithmically. */
static int bucket_of(int64_t distance, int buckets, int max_distance, bool both_sides)
{
    int base = 0;
    if (both_sides) {
        buckets /= 2;
        if (distance > 0) base = buckets;
        else distance = -distance;
    } else {
        distance = distance < 0 ? -distance : 0;
    }
    const int exact = buckets / 2;
    if (distance < exact) return base + (int)distance;
    const float far = logf((float)distance / (float)exact) / logf((float)max_distance / (float)exact) * (float)(buckets - exact);
    const int64_t bucket = exact + (int64_t)far;
    return base + (int)cud_min64(bucket, buckets - 1);
}

/* Scores of row i with keys [from, to) of the block that begins at position `block`: scaled, capped, biased. */
static void finish_scores(const tile *t, int i, float *scores, int64_t block, int64_t from, int64_t to)
{
    const attend_args *a = t->j->a;
    const row_kernels *k = t->j->b->rows;
    k->scale(scores + from, a->scale, to - from);
    if (a->soft_cap > 0.0f) k->soft_cap(scores + from, a->soft_cap, to - from);
    if (cud_present(a->alibi)) {
        const float slope = ((const float *)a->alibi.data)[t->head[i]];
        for (int64_t p = from; p < to; p++) scores[p] += slope * (float)(block + p - t->position[i]);
    }
    if (cud_present(a->bias)) {
        const float *bias = (const float *)a->bias.data + t->head[i] * a->bias.stride[0];
        const int buckets = (int)a->bias.size[1];
        for (int64_t p = from; p < to; p++)
            scores[p] += bias[bucket_of(block + p - t->position[i], buckets, a->bias_max_distance, a->mask == MASK_FULL)];
    }
}

/* Turns row i's scores into weights and brings its running sums up to the block's maximum. */
static void softmax_block(tile *t, int i, int64_t block)
{
    const row_kernels *k = t->j->b->rows;
    float *scores = t->scores + i * BLOCK;
    const int64_t from = cud_max64(t->low[i] - block, 0), to = cud_min64(t->high[i] - block, BLOCK);
    if (from >= to) return;
    finish_scores(t, i, scores, block, from, to);
    for (int64_t p = 0; p < from; p++) scores[p] = -INFINITY;
    for (int64_t p = to; p < BLOCK; p++) scores[p] = -INFINITY;
    const float before = t->most[i], here = k->max(scores, BLOCK);
    if (here > before) {
        t->most[i] = here;
        if (t->sum[i] != 0.0f) {
            const float factor = expf(before - here);
            t->sum[i] *= factor;
            k->scale(t->acc + i * t->j->v_dim, factor, t->j->v_dim);
        }
    }
    t->sum[i] += k->exp_sum(scores, t->most[i] == -INFINITY ? 0.0f : t->most[i], BLOCK); /* NaNs go on into the sum */
}

static void add_values(const tile *t, int64_t block, int64_t position, int64_t count)
{
    const job *j = t->j;
    int first[TILE], last[TILE];
    for (int i = 0; i < t->rows; i++) {
        first[i] = (int)cud_max64(0, t->low[i] - position);
        last[i] = (int)cud_max64(first[i], cud_min64(count, t->high[i] - position));
    }
    const page values = fetch(t, false, position, count, t->values);
    const attend_sum sum = { .out = t->acc, .p = t->scores + (position - block), .v = values.data, .format = values.format,
                             .out_stride = j->v_dim, .p_stride = BLOCK, .v_stride = values.stride, .dim = j->v_dim, .first = first,
                             .last = last, .rows = t->rows };
    j->b->attend(&sum);
}

static void score(const tile *t, int64_t block, int64_t position, int64_t count)
{
    const job *j = t->j;
    int first = 0, last = t->rows; /* the rows that see something of this page */
    while (first < last && t->high[first] <= position) first++;
    while (last > first && t->low[last - 1] >= position + CUD_PAGE) last--;
    const page keys = fetch(t, true, position, count, t->keys);
    const linear_panel p = { .x = t->q + first * j->k_dim, .w = keys.data, .out = t->scores + first * BLOCK + (position - block),
                             .x_stride = j->k_dim, .w_stride = keys.stride, .out_stride = BLOCK, .rows = last - first, .cols = count,
                             .k = j->k_dim };
    j->b->linear->panel[keys.format](&p);
}

static void attend_block(tile *t, int64_t block, int64_t low, int64_t high)
{
    const int64_t begin = cud_max64(block, low / CUD_PAGE * CUD_PAGE), end = cud_min64(block + BLOCK, high);
    for (int64_t p = begin; p < end; p += CUD_PAGE) {
        announce(t, false, p);
        score(t, block, p, cud_min64(CUD_PAGE, high - p));
    }
    for (int i = 0; i < t->rows; i++) softmax_block(t, i, block);
    for (int64_t p = begin; p < end; p += CUD_PAGE) {
        announce(t, true, p + BLOCK);
        add_values(t, block, p, cud_min64(CUD_PAGE, high - p));
    }
}

static void store_rows(tile *t, int64_t first)
{
    const job *j = t->j;
    const attend_args *a = j->a;
    for (int i = 0; i < t->rows; i++) {
        float *acc = t->acc + i * j->v_dim, sum = t->sum[i], factor = 1.0f;
        if (cud_present(a->sinks) && t->low[i] < t->high[i]) {
            float sink;
            j->b->rows->to_float(&sink, cud_at(a->sinks, t->head[i]), a->sinks.type, 1);
            const float most = sink > t->most[i] ? sink : t->most[i];
            factor = expf(t->most[i] - most);
            sum = sum * factor + expf(sink - most);
        }
        if (t->low[i] < t->high[i]) j->b->rows->scale(acc, factor / sum, j->v_dim);
        const int64_t row = a->starts[t->sequence] + (first + i) / j->group;
        j->b->rows->from_float(cud_at(a->out, row * a->out.stride[0] + t->head[i] * a->out.stride[1]), a->out.type, acc, j->v_dim);
    }
}

/* Parts are numbered backwards: with a causal mask the last tiles have the most keys, and the long work should begin first. */
static void attend_part(void *arg, int part, int thread)
{
    const job *j = arg;
    const int all = j->tiles[j->a->sequences], index = all - 1 - part / j->kv_heads;
    int s = 0, end = j->a->sequences;
    while (s + 1 < end) { /* the last sequence whose first tile is not after `index` */
        const int middle = (s + end) / 2;
        if (j->tiles[middle] <= index) s = middle;
        else end = middle;
    }
    tile t;
    lay_out(&t, j, thread);
    t.sequence = s;
    t.kv_head = part % j->kv_heads;
    t.kv_length = count_keys(j, s);
    const int64_t first = (int64_t)(index - j->tiles[s]) * TILE;
    load_queries(&t, first);
    const int64_t low = t.low[0], high = t.high[t.rows - 1];
    for (int64_t block = low / BLOCK * BLOCK; block < high; block += BLOCK) attend_block(&t, block, low, high);
    store_rows(&t, first);
}

cuddle_status cud_cpu_attend(exec *ex, const attend_args *args, cuddle_error *err)
{
    cuddle_status status = cud_check_attend(ex, args, err);
    if (status != CUDDLE_OK) return status;
    const bool paged = args->kv.heads != 0;
    job j = { .b = cud_cpu(ex), .a = args, .heads = (int)args->q.size[1] };
    j.kv_heads = paged ? args->kv.heads : (int)args->k.size[1];
    j.group = j.heads / j.kv_heads;
    j.k_dim = args->q.size[2];
    j.v_dim = args->out.size[2];
    j.scratch_bytes = scratch_floats(j.k_dim, j.v_dim) * sizeof(float);
    j.key_starts = args->key_starts ? args->key_starts : args->starts;

    const size_t mark = cud_ws_mark(ex);
    void *tiles = NULL, *scratch = NULL;
    status = cud_ws_take(ex, &tiles, ((size_t)args->sequences + 1) * sizeof(int32_t), err);
    if (status == CUDDLE_OK) status = cud_ws_take(ex, &scratch, j.scratch_bytes * (size_t)j.b->base.threads, err);
    if (status == CUDDLE_OK && ex->mode != EXEC_RECORD && args->q.size[0] > 0) {
        int32_t *before = tiles;
        before[0] = 0;
        for (int s = 0; s < args->sequences; s++)
            before[s + 1] = before[s] + (int32_t)(((int64_t)(args->starts[s + 1] - args->starts[s]) * j.group + TILE - 1) / TILE);
        j.tiles = before;
        j.scratch = scratch;
        cud_pool_run(j.b->pool, attend_part, &j, before[args->sequences] * j.kv_heads);
    }
    cud_ws_release(ex, mark);
    return status;
}
