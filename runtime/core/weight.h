/* A weight is what `linear` and `embed` multiply with: not a tensor, because how it is stored is the checkpoint's choice and how it
 * lies in memory the backend's. */
#ifndef CUD_CORE_WEIGHT_H
#define CUD_CORE_WEIGHT_H

#include "core/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum wformat {
    WF_NONE = 0, /* no such weight in this model */
    WF_F32,
    WF_F16,
    WF_BF16,
    WF_I8,       /* scale per row or per [group_n, group_k] block */
    WF_I4,       /* GPTQ, AWQ: scale, zero and optionally perm (act-order) per group_k columns */
    WF_FP8_E4M3, /* scale per tensor, per row, or per [group_n, group_k] block (DeepSeek-V3: 128 x 128) */
    WF_MXFP4     /* scale: one E8M0 per 32 columns */
} wformat;

enum { CUD_MAX_SEGMENTS = 4 };

/* A run of output rows stored together: q, k and v are three segments of one weight, so that a backend may multiply them at once
 * and the checkpoint's tensors can stay where they lie. */
typedef struct weight_segment {
    void *data, *scale, *zero, *perm; /* NULL where the format has none */
    int64_t n;                        /* rows of this segment */
} weight_segment;

/* y = x W^T: W is [n, k], all segments together; with experts > 0 there are `experts` such matrices one after another in each
 * segment. transposed: the file holds [k, n] (GPT-2's Conv1D, gpt-oss's experts); then there is one segment. */
typedef struct weight {
    wformat format;
    int64_t n, k;
    int experts;
    int segments;
    weight_segment segment[CUD_MAX_SEGMENTS];
    int group_n, group_k;
    bool transposed;
} weight;

static inline bool cud_has_weight(const weight *w) { return w->format != WF_NONE; }

static inline wformat cud_wformat_of(dtype type)
{
    switch (type) {
    case CUDDLE_F32: return WF_F32;
    case CUDDLE_F16: return WF_F16;
    case CUDDLE_BF16: return WF_BF16;
    default: return WF_NONE;
    }
}

/* The element type of an unquantised format; CUDDLE_DTYPE_COUNT for the others. */
static inline dtype cud_wformat_dtype(wformat format)
{
    switch (format) {
    case WF_F32: return CUDDLE_F32;
    case WF_F16: return CUDDLE_F16;
    case WF_BF16: return CUDDLE_BF16;
    default: return CUDDLE_DTYPE_COUNT;
    }
}

const char *cud_wformat_name(wformat format);

#ifdef __cplusplus
}
#endif
#endif
