/* sample: picks a token from each row of logits, exactly as runtime/engine/sampler.c does: core/draw.h has the arithmetic they share.
 *
 * Two kernels. The first has a block for every CHUNK tokens of a row: penalty, banned tokens and temperature in place, and per chunk the
 * largest logit. The second has a block per row, which picks: the largest logit, or by passes over the row, which is in the L2 cache by
 * then. top-k and top-p are found by radix select, three passes each, over histograms in shared memory. Atomics add integers alone, so
 * the order in which they come does not matter. */
#include "backend.h"
#include "sample.cuh"

#include "core/op_checks.h"

namespace {

enum { CHUNK_THREADS = 256, CHUNK_BLOCKS = 4, CHUNK = 2048 };
static_assert(DRAW_MAX_TOKENS / CHUNK <= ROW_THREADS, "a thread per chunk");

struct chunk_result {
    uint32_t key; /* of the largest logit; 0 if count is */
    int32_t id;   /* the first that has it */
    int32_t nan;  /* the first that is no number; INT32_MAX: none */
    int32_t count; /* logits above minus infinity */
};

/* Keys are ordered as logits are; both zeros have one key. */
DEV_FN uint32_t logit_key(float v)
{
    const uint32_t bits = __float_as_uint(DRAW_ADD(v, 0.0f));
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

struct sample_job {
    float *logits;
    int64_t stride;
    const sample_row *rows;
    uint32_t *seen;
    const uint32_t *banned;
    int64_t mark_words;
    int32_t *picked;
    chunk_result *chunk; /* [rows, chunks] */
    int vocabulary, chunks;
};

DEV_FN bool marked(const uint32_t *marks, int id) { return marks[id / 32] >> id % 32 & 1; }

__global__ void __launch_bounds__(CHUNK_THREADS, CHUNK_BLOCKS) chunk_kernel(sample_job job)
{
    constexpr int WARPS = CHUNK_THREADS / DEV_WARP;
    DEV_SHARED(chunk_result, of_warp, [WARPS]);
    const int64_t r = blockIdx.x / unsigned(job.chunks);
    const int first = int(blockIdx.x % unsigned(job.chunks)) * CHUNK, end = min(first + int(CHUNK), job.vocabulary);
    const sample_row row = job.rows[r];
    float *logits = job.logits + r * job.stride;
    const uint32_t *seen = row.seat >= 0 && row.repetition_penalty != 1.0f ? job.seen + row.seat * job.mark_words : nullptr;
    const uint32_t *banned = row.seat >= 0 ? job.banned + row.seat * job.mark_words : nullptr;

    uint32_t best = 0;
    int id = INT32_MAX, nan = INT32_MAX, count = 0;
    for (int i = first + int(threadIdx.x); i < end; i += CHUNK_THREADS) {
        float v = logits[i];
        if (seen && marked(seen, i)) v = draw_penalised(v, row.repetition_penalty);
        if (banned && marked(banned, i)) v = -INFINITY;
        if (!row.greedy) logits[i] = v = draw_scaled(v, row.temperature);
        if (v != v) {
            nan = min(nan, i);
        } else if (v > -INFINITY) {
            const uint32_t key = logit_key(v);
            count++;
            if (key > best) best = key, id = i; /* ids rise: the first stays */
        }
    }
    const uint32_t warp_best = __reduce_max_sync(DEV_ALL_LANES, best);
    const int warp_id = __reduce_min_sync(DEV_ALL_LANES, best == warp_best ? id : INT32_MAX);
    const int warp_nan = __reduce_min_sync(DEV_ALL_LANES, nan), warp_count = __reduce_add_sync(DEV_ALL_LANES, count);
    if (dev_lane() == 0) of_warp[dev_warp()] = { warp_best, warp_id, warp_nan, warp_count };
    __syncthreads();
    if (threadIdx.x != 0) return;
    chunk_result all = of_warp[0];
    for (int w = 1; w < WARPS; w++) {
        const chunk_result c = of_warp[w];
        if (c.key > all.key || (c.key == all.key && c.id < all.id)) all.key = c.key, all.id = c.id;
        all.nan = min(all.nan, c.nan);
        all.count += c.count;
    }
    job.chunk[blockIdx.x] = all;
}

/* top-k: the k-th largest logit. */
struct by_logit {
    const float *logits;
    u64 k;

    DEV_FN bool code(int i, uint32_t *code) const
    {
        const float v = logits[i];
        *code = ~logit_key(v);
        return v > -INFINITY;
    }
    DEV_FN u64 value(uint32_t) const { return 1; }
    DEV_FN u64 target(u64) const { return k - 1; }
};

/* top-p: how far away those are of which some stay, while all that are further away go. */
struct by_weight {
    const float *logits;
    float largest, threshold, top_p;

    DEV_FN bool code(int i, uint32_t *code) const
    {
        const float v = logits[i];
        *code = ~draw_distance(v, largest); /* from the least likely on */
        return v >= threshold;
    }
    DEV_FN u64 value(uint32_t code) const { return draw_weight(~code); }
    DEV_FN u64 target(u64 total) const { return draw_drop(top_p, total); }
};

/* Of the equally likely at top-p's border: the one in place `index`. */
struct tied {
    const float *logits;
    float largest, threshold;
    uint32_t distance;
    u64 index;

    DEV_FN u64 value(int i) const { return logits[i] >= threshold && draw_distance(logits[i], largest) == distance; }
    DEV_FN u64 target(u64) const { return index; }
};

/* What is left to draw from. */
struct kept {
    const float *logits;
    float largest, threshold;
    uint32_t distance; /* those further away are gone, of those in this distance the ones after `last` */
    int last;
    u64 least; /* weight */
    uint32_t bits;

    DEV_FN u64 value(int i) const
    {
        if (!(logits[i] >= threshold)) return 0;
        const uint32_t away = draw_distance(logits[i], largest);
        if (away > distance || (away == distance && i > last)) return 0;
        const u64 w = draw_weight(away);
        return w >= least ? w : 0;
    }
    DEV_FN u64 target(u64 total) const { return draw_target(bits, total); }
};

DEV_FN int draw_token(row_scratch *s, const float *logits, int n, float largest, int count, const sample_row &row)
{
    kept k = { logits, largest, -DRAW_MOST, DRAW_FAR, INT32_MAX, 0, 0 };
    if (row.top_k > 0 && row.top_k < count) {
        const uint32_t key = ~row_select(s, n, by_logit{ logits, u64(row.top_k) }).code;
        k.threshold = __uint_as_float(key >> 31 ? key & 0x7fffffffu : ~key);
    }
    if (row.top_p < 1.0f) {
        const row_selected border = row_select(s, n, by_weight{ logits, largest, k.threshold, row.top_p });
        k.distance = ~border.code;
        const u64 weight = draw_weight(k.distance), tokens = border.at / weight, gone = (border.target - border.before) / weight;
        if (gone > 0) k.last = row_find(s, n, tied{ logits, largest, k.threshold, k.distance, tokens - gone - 1 });
    }
    if (row.min_p > 0.0f) k.least = draw_least(row.min_p);
    k.bits = draw_bits(uint64_t(row.seed[1]) << 32 | row.seed[0], row.counter);
    return row_find(s, n, k);
}

__global__ void __launch_bounds__(ROW_THREADS, 1) pick_kernel(sample_job job)
{
    DEV_SHARED(row_scratch, scratch, [1]);
    DEV_SHARED(chunk_result, best, [1]);
    const int64_t r = blockIdx.x;
    const sample_row row = job.rows[r];
    if (threadIdx.x == 0) best[0] = { 0, INT32_MAX, INT32_MAX, 0 };
    __syncthreads();
    const bool has_chunk = int(threadIdx.x) < job.chunks;
    chunk_result mine = {};
    if (has_chunk) {
        mine = job.chunk[r * job.chunks + threadIdx.x];
        atomicMax(&best->key, mine.key);
        atomicMin(&best->nan, mine.nan);
        atomicAdd(&best->count, mine.count);
    }
    __syncthreads();
    if (has_chunk && mine.key == best->key) atomicMin(&best->id, mine.id);
    __syncthreads();
    const chunk_result all = best[0];
    int token;
    if (all.nan != INT32_MAX) {
        token = ~all.nan;
    } else if (all.count == 0) {
        token = SAMPLE_NONE;
    } else if (row.greedy) {
        token = all.id;
    } else {
        const float *logits = job.logits + r * job.stride;
        token = draw_token(scratch, logits, job.vocabulary, logits[all.id], all.count, row);
    }
    if (threadIdx.x != 0) return;
    job.picked[r] = token;
    if (token >= 0 && row.seat >= 0) job.seen[row.seat * job.mark_words + token / 32] |= 1u << token % 32;
}

} // namespace

extern "C" cuddle_status cud_cuda_sample(exec *ex, const sample_args *args, cuddle_error *err)
{
    cuddle_status status = cud_check_sample(ex, args, err);
    if (status != CUDDLE_OK) return status;
    const int64_t rows = args->logits.size[0], vocabulary = args->logits.size[1], chunks = (vocabulary + CHUNK - 1) / CHUNK;
    const size_t mark = cud_ws_mark(ex);
    void *chunk;
    status = cud_ws_take(ex, &chunk, size_t(rows * chunks) * sizeof(chunk_result), err);
    if (status == CUDDLE_OK && ex->mode != EXEC_RECORD && rows > 0) {
        const sample_job job = { static_cast<float *>(args->logits.data), args->logits.stride[0], args->rows, args->seen, args->banned,
                                 args->mark_words, args->picked, static_cast<chunk_result *>(chunk), int(vocabulary), int(chunks) };
        cudaStream_t stream = cud_cuda_of(ex)->stream;
        cudaError_t launched = dev_launch(chunk_kernel, dim3(unsigned(rows * chunks)), dim3(CHUNK_THREADS), 0, stream, job);
        if (launched == cudaSuccess) launched = dev_launch(pick_kernel, dim3(unsigned(rows)), dim3(ROW_THREADS), 0, stream, job);
        status = cud_cuda_check(launched, "sample", err);
    }
    cud_ws_release(ex, mark);
    return status;
}
