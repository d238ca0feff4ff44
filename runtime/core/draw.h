/* The arithmetic of picking a token, the same to the bit on every backend: integers, and single operations of IEEE 754, which round one
 * way only. Compiles as C11 and as CUDA C++.
 *
 * Probabilities are weights in fixed point: the likeliest token has 2^40, any other exp(logit - largest logit) of that. 2^20 weights add
 * up to 2^60 at most, so that their sum is exact in any order and a probability is weight / sum. */
#ifndef CUD_CORE_DRAW_H
#define CUD_CORE_DRAW_H

#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__
#define DRAW_FN static __host__ __device__ __forceinline__
#else
#define DRAW_FN static inline
#endif

/* The device's compiler may fuse a product and a sum; these it leaves alone. The host is compiled with -ffp-contract=off. */
#ifdef __CUDA_ARCH__
#define DRAW_ADD(a, b) __fadd_rn(a, b)
#define DRAW_SUB(a, b) __fsub_rn(a, b)
#define DRAW_MUL(a, b) __fmul_rn(a, b)
#define DRAW_DIV(a, b) __fdiv_rn(a, b)
#define DRAW_SUB_DOUBLE(a, b) __dsub_rn(a, b)
#define DRAW_MUL_DOUBLE(a, b) __dmul_rn(a, b)
#else
#define DRAW_ADD(a, b) ((a) + (b))
#define DRAW_SUB(a, b) ((a) - (b))
#define DRAW_MUL(a, b) ((a) * (b))
#define DRAW_DIV(a, b) ((a) / (b))
#define DRAW_SUB_DOUBLE(a, b) ((a) - (b))
#define DRAW_MUL_DOUBLE(a, b) ((a) * (b))
#endif

#define DRAW_MOST 3.402823466e+38f /* the largest finite float */
#define DRAW_FAR UINT32_MAX        /* a distance of 32 or more: weight 0 */
#define DRAW_ONE ((uint64_t)1 << 40)
#define DRAW_MAX_TOKENS (1 << 20)

#define DRAW_LOG2_E 3098164009u /* log2(e) 2^31 */
/* (ln 2)^k / k! 2^32 for k = 10, and for k = 9 .. 1, each as STEP's argument: for those who compute many weights at once. */
#define DRAW_TERM_10 30u
#define DRAW_TERMS(STEP) \
    STEP(437u) STEP(5676u) STEP(65510u) STEP(661577u) STEP(5726720u) STEP(41309550u) STEP(238388332u) STEP(1031764991u) STEP(2977044472u)

/* Repetition penalty. */
DRAW_FN float draw_penalised(float logit, float penalty) { return logit < 0.0f ? DRAW_MUL(logit, penalty) : DRAW_DIV(logit, penalty); }

/* logit / temperature, finite unless the logit is minus infinity (or no number): what can be picked stays apart from what cannot. */
DRAW_FN float draw_scaled(float logit, float temperature)
{
    const float scaled = DRAW_DIV(logit, temperature);
    if (!(logit > -INFINITY)) return logit;
    return scaled > DRAW_MOST ? DRAW_MOST : scaled < -DRAW_MOST ? -DRAW_MOST : scaled;
}

/* How far a logit is below the largest, in units of 2^-27, cut off: exact for a difference that is a multiple of one. Tokens of one
 * distance are equally likely. */
DRAW_FN uint32_t draw_distance(float logit, float largest)
{
    const float below = DRAW_SUB(largest, logit);
    return below < 32.0f ? (uint32_t)DRAW_MUL(below, 134217728.0f) : DRAW_FAR;
}

/* floor(f * c / 2^32) */
DRAW_FN uint32_t draw_times(uint32_t f, uint32_t c) { return (uint32_t)((uint64_t)f * c >> 32); }

/* 2^40 exp(-distance / 2^27), by 2^-n 2^-f with 0 <= f < 1 and a Taylor polynomial in f: relative error below 2^-28 as long as the weight
 * has that many bits. Never rises with the distance: a unit of it moves the polynomial by 15 of its own units or more, which is more than
 * what its steps cut off. */
DRAW_FN uint64_t draw_weight(uint32_t distance)
{
    if (distance == DRAW_FAR) return 0;
    const uint64_t exponent = (uint64_t)distance * DRAW_LOG2_E; /* 58 bits are behind the point */
    const uint32_t f = (uint32_t)(exponent >> 26);
    uint32_t p = DRAW_TERM_10;
#define DRAW_STEP(c) p = c - draw_times(f, p);
    DRAW_TERMS(DRAW_STEP)
#undef DRAW_STEP
    const uint64_t power = ((uint64_t)1 << 32) - draw_times(f, p); /* 2^(32 - f) */
    return power << 8 >> (exponent >> 58);
}

/* top-p: from the least likely token on (of equally likely ones the higher id first) tokens go while their weights add up to at most this,
 * which is less than `total`, so that one stays. */
DRAW_FN uint64_t draw_drop(float top_p, uint64_t total)
{
    const double drop = DRAW_MUL_DOUBLE(DRAW_SUB_DOUBLE(1.0, (double)top_p), (double)total);
    return drop < (double)(total - 1) ? (uint64_t)drop : total - 1;
}

/* min-p: the smallest weight that stays, at least min_p times the likeliest one's. */
DRAW_FN uint64_t draw_least(float min_p)
{
    const double least = DRAW_MUL_DOUBLE((double)min_p, 1099511627776.0); /* exact */
    if (!(least < 1099511627776.0)) return DRAW_ONE;
    const uint64_t floored = (uint64_t)least;
    return floored + ((double)floored < least);
}

/* 24 random bits: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), seed as key, counter as counter. */
DRAW_FN uint32_t draw_bits(uint64_t seed, uint64_t counter)
{
    uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32), c2 = 0, c3 = 0, k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c0 >> 8;
}

/* floor(bits / 2^24 * total) for total <= 2^60: the token drawn is the first, in id order, at which the weights add up to more. */
DRAW_FN uint64_t draw_target(uint32_t bits, uint64_t total)
{
    const uint64_t high = total >> 24, low = total & 0xffffff;
    return bits * high + (bits * low >> 24);
}

#endif
