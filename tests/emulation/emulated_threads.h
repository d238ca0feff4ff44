/* What CUDA threads do together: barriers, shuffles, votes, reductions, atomics. */
#ifndef EMULATED_THREADS_H
#define EMULATED_THREADS_H

namespace emu {

/* A collective is one primitive: every lane of the mask posts an input and a place for its result and the last to arrive runs the
 * function over all of them. Lanes that meet must agree on the function, the mask and the line. */
struct Lane {
    const void *in;
    void *out;
};
typedef void (*Collective)(Lane *lanes, unsigned mask);

void warp_collective(unsigned mask, Collective function, const void *in, void *out, Site site);
void warp_barrier(unsigned mask, Site site);
unsigned block_barrier(bool vote, Site site); /* returns how many voted true */
void memory_fence();

/* ---- shuffles ---- */

enum class Shuffle { INDEX, XOR, DOWN, UP };

template <typename T> struct ShuffleInput {
    T value;
    int operand; /* a lane, a distance or bits */
    int width;
    Shuffle mode;
};

/* The lane that `lane` reads, as the PTX ISA has it for shfl.sync: itself where the source is outside its segment. */
EMU_ARITHMETIC inline int shuffle_source(int lane, int operand, int width, Shuffle mode)
{
    const int segment = lane & ~(width - 1);
    int from = 0;
    switch (mode) {
    case Shuffle::INDEX: return segment | (operand & (width - 1));
    case Shuffle::XOR: from = lane ^ operand; break;
    case Shuffle::DOWN: from = lane + operand; break;
    case Shuffle::UP: from = lane - operand; break;
    }
    return from < segment || from >= segment + width ? lane : from;
}

template <typename T> EMU_ARITHMETIC void shuffle_lanes(Lane *lanes, unsigned mask)
{
    for (int lane = 0; lane < 32; lane++) {
        if (!(mask >> lane & 1)) continue;
        const ShuffleInput<T> *in = static_cast<const ShuffleInput<T> *>(lanes[lane].in);
        if (in->width < 1 || in->width > 32 || (in->width & (in->width - 1))) fail("shuffle: width %d is no power of two up to 32", in->width);
        const int from = shuffle_source(lane, in->operand, in->width, in->mode);
        if (!(mask >> from & 1)) fail("shuffle: lane %d reads lane %d, which is not in the mask %08x", lane, from, mask);
        *static_cast<T *>(lanes[lane].out) = static_cast<const ShuffleInput<T> *>(lanes[from].in)->value;
    }
}

template <typename T> EMU_UNCHECKED inline T shuffle(unsigned mask, T value, int operand, int width, Shuffle mode, Site site)
{
    const ShuffleInput<T> in{ value, operand, width, mode };
    T out;
    warp_collective(mask, shuffle_lanes<T>, &in, &out, site);
    return out;
}

/* ---- votes and reductions ---- */

enum class Vote { BALLOT, ANY, ALL };

template <Vote VOTE> EMU_ARITHMETIC void vote_lanes(Lane *lanes, unsigned mask)
{
    unsigned ballot = 0;
    for (int lane = 0; lane < 32; lane++)
        if ((mask >> lane & 1) && *static_cast<const int *>(lanes[lane].in)) ballot |= 1u << lane;
    const unsigned result = VOTE == Vote::BALLOT ? ballot : VOTE == Vote::ANY ? ballot != 0 : ballot == mask;
    for (int lane = 0; lane < 32; lane++)
        if (mask >> lane & 1) *static_cast<unsigned *>(lanes[lane].out) = result;
}

template <Vote VOTE> EMU_UNCHECKED inline unsigned vote(unsigned mask, int predicate, Site site)
{
    unsigned out;
    warp_collective(mask, vote_lanes<VOTE>, &predicate, &out, site);
    return out;
}

struct Add { template <typename T> static T join(T a, T b) { return a + b; } };
struct Min { template <typename T> static T join(T a, T b) { return b < a ? b : a; } };
struct Max { template <typename T> static T join(T a, T b) { return a < b ? b : a; } };
struct And { template <typename T> static T join(T a, T b) { return a & b; } };
struct Or { template <typename T> static T join(T a, T b) { return a | b; } };
struct Xor { template <typename T> static T join(T a, T b) { return a ^ b; } };

template <typename T, typename OP> EMU_ARITHMETIC void reduce_lanes(Lane *lanes, unsigned mask)
{
    T result{};
    bool first = true;
    for (int lane = 0; lane < 32; lane++) {
        if (!(mask >> lane & 1)) continue;
        const T value = *static_cast<const T *>(lanes[lane].in);
        result = first ? value : OP::join(result, value);
        first = false;
    }
    for (int lane = 0; lane < 32; lane++)
        if (mask >> lane & 1) *static_cast<T *>(lanes[lane].out) = result;
}

template <typename T, typename OP> EMU_UNCHECKED inline T reduce(unsigned mask, T value, Site site)
{
    T out;
    warp_collective(mask, reduce_lanes<T, OP>, &value, &out, site);
    return out;
}

/* ---- atomics: one thread runs at a time, so a plain read and write will do; the race checker is told that they are atomic ---- */

void note_atomic(const void *address, size_t size, Site site);

template <typename T, typename F> EMU_UNCHECKED inline T atomically(T *address, Site site, F change)
{
    note_atomic(address, sizeof(T), site);
    const T old = *address;
    *address = change(old);
    return old;
}

} // namespace emu

EMU_UNCHECKED inline void __syncthreads(EMU_SITE) { emu::block_barrier(false, EMU_AT("__syncthreads")); }
EMU_UNCHECKED inline int __syncthreads_count(int p, EMU_SITE) { return int(emu::block_barrier(p != 0, EMU_AT("__syncthreads_count"))); }
EMU_UNCHECKED inline int __syncthreads_or(int p, EMU_SITE) { return emu::block_barrier(p != 0, EMU_AT("__syncthreads_or")) != 0; }
EMU_UNCHECKED inline int __syncthreads_and(int p, EMU_SITE) { return emu::block_barrier(p == 0, EMU_AT("__syncthreads_and")) == 0; }
EMU_UNCHECKED inline void __syncwarp(unsigned mask = 0xffffffffu, EMU_SITE) { emu::warp_barrier(mask, EMU_AT("__syncwarp")); }
EMU_UNCHECKED inline void __threadfence() { emu::memory_fence(); }

template <typename T> EMU_UNCHECKED inline T __shfl_sync(unsigned mask, T v, int operand, int width = 32, EMU_SITE)
{
    return emu::shuffle(mask, v, operand, width, emu::Shuffle::INDEX, EMU_AT("__shfl_sync"));
}
template <typename T> EMU_UNCHECKED inline T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32, EMU_SITE)
{
    return emu::shuffle(mask, v, bits, width, emu::Shuffle::XOR, EMU_AT("__shfl_xor_sync"));
}
template <typename T> EMU_UNCHECKED inline T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32, EMU_SITE)
{
    return emu::shuffle(mask, v, int(delta), width, emu::Shuffle::DOWN, EMU_AT("__shfl_down_sync"));
}
template <typename T> EMU_UNCHECKED inline T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32, EMU_SITE)
{
    return emu::shuffle(mask, v, int(delta), width, emu::Shuffle::UP, EMU_AT("__shfl_up_sync"));
}

EMU_UNCHECKED inline unsigned __ballot_sync(unsigned mask, int p, EMU_SITE) { return emu::vote<emu::Vote::BALLOT>(mask, p, EMU_AT("__ballot_sync")); }
EMU_UNCHECKED inline int __any_sync(unsigned mask, int p, EMU_SITE) { return int(emu::vote<emu::Vote::ANY>(mask, p, EMU_AT("__any_sync"))); }
EMU_UNCHECKED inline int __all_sync(unsigned mask, int p, EMU_SITE) { return int(emu::vote<emu::Vote::ALL>(mask, p, EMU_AT("__all_sync"))); }

#define EMU_REDUCE(name, T, OP) \
    EMU_UNCHECKED inline T name(unsigned mask, T v, EMU_SITE) { return emu::reduce<T, emu::OP>(mask, v, EMU_AT(#name)); }
EMU_REDUCE(__reduce_add_sync, int, Add)
EMU_REDUCE(__reduce_min_sync, int, Min)
EMU_REDUCE(__reduce_max_sync, int, Max)
EMU_REDUCE(__reduce_add_sync, unsigned, Add)
EMU_REDUCE(__reduce_min_sync, unsigned, Min)
EMU_REDUCE(__reduce_max_sync, unsigned, Max)
EMU_REDUCE(__reduce_and_sync, unsigned, And)
EMU_REDUCE(__reduce_or_sync, unsigned, Or)
EMU_REDUCE(__reduce_xor_sync, unsigned, Xor)
#undef EMU_REDUCE

#define EMU_ATOMIC(name, T, expression)                                                              \
    EMU_UNCHECKED inline T name(T *address, T value, EMU_SITE)                                       \
    {                                                                                                \
        return emu::atomically(address, EMU_AT(#name), [value](T old) EMU_UNCHECKED { return static_cast<T>(expression); }); \
    }
#define EMU_ATOMIC_INTEGERS(name, expression)   \
    EMU_ATOMIC(name, int, expression)           \
    EMU_ATOMIC(name, unsigned, expression)      \
    EMU_ATOMIC(name, unsigned long long, expression)
EMU_ATOMIC_INTEGERS(atomicAdd, old + value)
EMU_ATOMIC_INTEGERS(atomicMin, value < old ? value : old)
EMU_ATOMIC_INTEGERS(atomicMax, old < value ? value : old)
EMU_ATOMIC_INTEGERS(atomicAnd, old & value)
EMU_ATOMIC_INTEGERS(atomicOr, old | value)
EMU_ATOMIC_INTEGERS(atomicXor, old ^ value)
EMU_ATOMIC_INTEGERS(atomicExch, (static_cast<void>(old), value))
EMU_ATOMIC(atomicAdd, float, old + value)
EMU_ATOMIC(atomicExch, float, (static_cast<void>(old), value))
EMU_ATOMIC(atomicInc, unsigned, old >= value ? 0u : old + 1u)
#undef EMU_ATOMIC_INTEGERS
#undef EMU_ATOMIC

template <typename T> EMU_UNCHECKED inline T atomicCAS(T *address, T compare, T value, EMU_SITE)
{
    return emu::atomically(address, EMU_AT("atomicCAS"), [compare, value](T old) EMU_UNCHECKED { return old == compare ? value : old; });
}

#endif
