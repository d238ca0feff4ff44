/* What the threads of the block that picks from a row do together: running sums, radix select, finding a token by its place in a sum. */
#ifndef CUD_CUDA_SAMPLE_CUH
#define CUD_CUDA_SAMPLE_CUH

#include "device.h"

#include "core/draw.h"

enum { ROW_THREADS = 1024, ROW_WARPS = ROW_THREADS / DEV_WARP, ROW_BINS = 2 * ROW_THREADS, ROW_TILE = ROW_THREADS };
static_assert(DRAW_MAX_TOKENS / ROW_TILE <= ROW_THREADS, "a thread per tile");

typedef unsigned long long u64; /* what atomics take */

struct row_scratch { /* in shared memory, one per block */
    uint32_t low[ROW_BINS], high[ROW_BINS]; /* halves of a sum: 64-bit atomics would spin */
    u64 tiles[ROW_THREADS];
    u64 warps[ROW_WARPS];
    u64 before, at;
    int found;
};

/* Sum of v over this thread and all before it; *total is that of the whole block. */
DEV_FN u64 row_scan(row_scratch *s, u64 v, u64 *total)
{
#pragma unroll
    for (int back = 1; back < DEV_WARP; back *= 2) {
        const u64 other = __shfl_up_sync(DEV_ALL_LANES, v, unsigned(back));
        if (dev_lane() >= back) v += other;
    }
    __syncthreads(); /* the last call's sums have been read */
    if (dev_lane() == DEV_WARP - 1) s->warps[dev_warp()] = v;
    __syncthreads();
    u64 sum = 0, before = 0;
#pragma unroll 4
    for (int w = 0; w < ROW_WARPS; w++) {
        if (w == dev_warp()) before = sum;
        sum += s->warps[w];
    }
    *total = sum;
    return before + v;
}

/* The carry of the lower half goes to the upper one whichever addition brings it about. */
DEV_FN void row_add(row_scratch *s, unsigned bin, u64 v)
{
    const uint32_t low = uint32_t(v), old = atomicAdd(&s->low[bin], low);
    const uint32_t high = uint32_t(v >> 32) + (old + low < old);
    if (high) atomicAdd(&s->high[bin], high);
}

struct row_selected {
    uint32_t code;
    u64 before, at; /* sums over smaller codes and over this one */
    u64 target;
};

/* Items have a code and a value. Selects the smallest code at which the values of all items up to it add up to more than the target, which
 * is less than what all of them add up to. items.code(i, &code): is there an item; items.value(code), items.target(sum of all values). */
template <typename ITEMS> DEV_FN row_selected row_select(row_scratch *s, int n, const ITEMS &items)
{
    row_selected found = {};
#pragma unroll 1
    for (int pass = 0; pass < 3; pass++) { /* bits 31..21, 20..10, 10..0: bit 10 is known by then */
        const int shift = pass == 0 ? 21 : pass == 1 ? 10 : 0;
        const uint32_t known = pass == 0 ? 0 : pass == 1 ? ~0u << 21 : ~0u << 10;
        const int bin = 2 * int(threadIdx.x);
        s->low[bin] = s->low[bin + 1] = s->high[bin] = s->high[bin + 1] = 0;
        __syncthreads();
        for (int i = int(threadIdx.x); i < n; i += ROW_THREADS) {
            uint32_t code;
            if (items.code(i, &code) && (code & known) == found.code) row_add(s, code >> shift & (ROW_BINS - 1), items.value(code));
        }
        __syncthreads();
        const u64 first = u64(s->high[bin]) << 32 | s->low[bin], second = u64(s->high[bin + 1]) << 32 | s->low[bin + 1];
        u64 total;
        const u64 through = found.before + row_scan(s, first + second, &total), ahead = through - first - second;
        if (pass == 0) found.target = items.target(total);
        if (ahead <= found.target && found.target < through) { /* of one thread alone */
            const bool in_second = ahead + first <= found.target;
            s->found = bin + in_second;
            s->before = in_second ? ahead + first : ahead;
            s->at = in_second ? second : first;
        }
        __syncthreads();
        found.code |= uint32_t(s->found) << shift;
        found.before = s->before;
        found.at = s->at;
    }
    return found;
}

/* The first token at which values of it and all before it add up to more than the target, which is less than what all of them add up to.
 * tokens.value(i), tokens.target(sum of all values). */
template <typename TOKENS> DEV_FN int row_find(row_scratch *s, int n, const TOKENS &tokens)
{
    const int tiles = (n + ROW_TILE - 1) / ROW_TILE;
    for (int t = dev_warp(); t < tiles; t += ROW_WARPS) {
        const int end = min((t + 1) * int(ROW_TILE), n);
        u64 sum = 0;
        for (int i = t * ROW_TILE + dev_lane(); i < end; i += DEV_WARP) sum += tokens.value(i);
#pragma unroll
        for (int bit = DEV_WARP / 2; bit > 0; bit /= 2) sum += __shfl_xor_sync(DEV_ALL_LANES, sum, bit);
        if (dev_lane() == 0) s->tiles[t] = sum;
    }
    __syncthreads();
    u64 v = int(threadIdx.x) < tiles ? s->tiles[threadIdx.x] : 0, total, ignored;
    u64 through = row_scan(s, v, &total);
    const u64 target = tokens.target(total);
    if (through - v <= target && target < through) s->found = int(threadIdx.x), s->before = through - v;
    __syncthreads();
    const int i = s->found * ROW_TILE + int(threadIdx.x);
    const u64 before = s->before;
    v = i < n ? tokens.value(i) : 0;
    through = before + row_scan(s, v, &ignored);
    if (through - v <= target && target < through) s->found = i;
    __syncthreads();
    return s->found;
}

#endif
