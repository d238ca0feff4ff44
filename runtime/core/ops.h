/* The op table: everything a model can ask of a backend. A slot's contract stands above it.
 *
 * Rules for all ops that compute:
 *   - On a recording exec an op checks its arguments exactly as it would before running, takes its scratch with cud_ws_take() (and
 *     releases it), and returns without touching a pointer. What it cannot do is CUDDLE_E_UNSUPPORTED, naming the op, the backend
 *     and what was asked. There is no other list of what is supported.
 *   - Activations are F32, BF16 or F16; sums and everything in between are float. A result is rounded once, when it is stored.
 *   - Vectors (norm weights, biases) and tables may have another compute type than the activations.
 *   - Zero rows: a no-op. Rows are independent. The last dimension has stride 1; other strides are the caller's.
 *   - `out` may not overlap an input unless the slot says so.
 *   - Ops run in call order on the exec's stream and may return before they are done; finish() waits.
 *   - With ex->deterministic an output element has one reduction order, whatever the number of rows, its position among them, the
 *     chunking of its sequence and its neighbours. */
#ifndef CUD_CORE_OPS_H
#define CUD_CORE_OPS_H

#include "core/exec.h"
#include "core/kv.h"
#include "core/load.h"
#include "core/step.h"
#include "core/weight.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Definitions: transformers/activations.py (ACT2FN). */
typedef enum activation {
    ACT_NONE = 0,
    ACT_GELU,       /* 0.5 x (1 + erf(x / sqrt 2)) */
    ACT_GELU_TANH,  /* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): gelu_new, gelu_fast, gelu_pytorch_tanh */
    ACT_QUICK_GELU, /* x sigmoid(1.702 x) */
    ACT_SILU,       /* x sigmoid(x) */
    ACT_RELU,
    ACT_RELU2, /* max(x, 0)^2 */
    ACT_TANH,
    ACT_CLAMPED_SWIGLU, /* gated only, gpt-oss: (clamp(up, -7, 7) + 1) * min(gate, 7) * sigmoid(1.702 min(gate, 7)) */
    ACT_COUNT
} activation;
const char *cud_activation_name(activation act);

struct adapter_set; /* low-rank adapters, chosen per sequence by step.adapters */

/* out = cap(act(x W^T + bias) * scale) + residual, where cap(v) = soft_cap * tanh(v / soft_cap) if soft_cap > 0. */
typedef struct epilogue {
    tensor bias; /* [n] */
    activation act;
    float scale;     /* 0 is read as 1, so that { 0 } is the identity */
    float soft_cap;  /* 0: none */
    tensor residual; /* [rows, n]; may be out itself */
    const struct adapter_set *adapters;
} epilogue;

typedef struct embed_args {
    tensor out;           /* [tokens, hidden] */
    const int32_t *ids;   /* [tokens] */
    const weight *table;  /* [vocabulary, hidden] */
    float scale;          /* 1: none */
    tensor position_table; /* [positions, hidden]; rank 0: none */
    const int32_t *positions;
    int position_offset; /* row = position + offset (OPT, BART: 2) */
    tensor type_table;   /* [types, hidden]; rank 0: none */
    const int32_t *types; /* [tokens]; NULL: the first for all of them */
} embed_args;

typedef struct norm_args {
    tensor out, x; /* [rows, cols], or [rows, heads, dim] normalised over dim; out may be x */
    tensor weight; /* [cols] or [dim]; rank 0: ones */
    tensor bias;   /* rank 0: zeros */
    float eps;
    bool unit_offset; /* multiply with 1 + weight (Gemma) */
    tensor residual;  /* as x: added to the result; may be out itself */
} norm_args;

/* Rotary positions: cos and sin for every position, made on the host when the model is loaded. */
typedef struct rope_table {
    tensor cos_sin;       /* F32 [positions, rotary_dim]: rotary_dim / 2 cosines, then as many sines; rank 0: no rotation */
    int rotary_dim;       /* the first rotary_dim elements of a head turn, the rest pass */
    bool interleaved;     /* pairs (2i, 2i+1) instead of (i, i + rotary_dim / 2) */
    int sections[CUD_MAX_AXES]; /* pairs per position axis (Qwen2-VL: 16, 24, 24); all zero: axis 0 for every pair */
} rope_table;

typedef struct rope_args {
    tensor q;                 /* [tokens, heads, dim], turned in place */
    tensor k, v;              /* [tokens, kv_heads, dim]; k is not changed, its turned rows and v go to the cache */
    const rope_table *table;  /* NULL: only the KV write */
    const int32_t *positions; /* [axes, position_stride] */
    int position_stride;
    kv_view kv; /* written at kv.slots; heads == 0: no cache, k is turned in place */
} rope_args;

typedef enum mask_kind {
    MASK_CAUSAL, /* a query at position p sees keys 0..p */
    MASK_FULL    /* every key of its sequence */
} mask_kind;

typedef struct attend_args {
    tensor q;   /* [tokens, heads, k_dim] */
    tensor out; /* [tokens, heads, v_dim] */
    kv_view kv; /* paged keys and values of this layer; heads == 0: k and v below are used */
    tensor k, v; /* packed [kv tokens, kv_heads, dim]; with key_starts: cross attention or an encoder without a cache */
    const int32_t *starts;     /* [sequences + 1] rows of q */
    const int32_t *key_starts; /* [sequences + 1] rows of k, v when kv.heads == 0 */
    const int32_t *kv_lengths; /* [sequences]; the last query of a sequence is at position kv_length - 1 */
    int sequences, max_query, max_kv;
    mask_kind mask;
    int window; /* > 0: only keys with distance < window (causal), or |distance| <= window (full) */
    float scale;
    float soft_cap;  /* scores become cap * tanh(score / cap); 0: none */
    tensor sinks;    /* [heads]: an extra logit in the softmax's denominator; rank 0: none */
    tensor alibi;    /* F32 [heads] slopes: slope * (key position - query position) is added; rank 0: none */
    tensor bias;     /* F32 [heads, buckets]: added by relative position (T5); rank 0: none */
    int bias_max_distance;
} attend_args;

typedef struct copy_pages_args {
    kv_view kv;              /* of the first layer; what says where sequences lie is not looked at */
    int layers;              /* that are alike */
    size_t layer_bytes;      /* from the keys of one to those of the next, and so for the values */
    const page_copy *copies; /* [count], in device memory */
    int count;
} copy_pages_args;

/* sentence-transformers/models/Pooling.py */
typedef enum pooling_kind {
    POOLING_MEAN,
    POOLING_FIRST,
    POOLING_LAST,
    POOLING_MAX,
    POOLING_WEIGHTED_MEAN /* weights 1, 2, 3 ... */
} pooling_kind;

typedef struct pooling_args {
    tensor out;            /* [sequences, cols] */
    tensor x;              /* [rows, cols] */
    const int32_t *starts; /* [sequences + 1] rows of x */
    pooling_kind kind;
} pooling_args;

enum { SAMPLE_NONE = INT32_MIN };

typedef struct sample_args {
    tensor logits;          /* F32 [rows, vocabulary]; changed */
    const sample_row *rows; /* [rows], in device memory */
    uint32_t *seen;         /* [seats, mark_words]: tokens that the repetition penalty is for, bit id % 32 of word id / 32 */
    const uint32_t *banned; /* the same: tokens that may not be picked */
    int64_t mark_words;
    int32_t *picked; /* [rows] */
} sample_args;

struct graph; /* the backend's: a captured step */

typedef struct op_table {
    const char *name; /* "cpu", "cuda" */

    /* ---- memory; only the backend may look inside the pointers ---- */

    /* *out is CUD_ALIGN-aligned and not initialised. Zero bytes give a pointer that may be released. */
    cuddle_status (*alloc)(struct backend *b, void **out, size_t bytes, const char *what, cuddle_error *err);
    void (*release)(struct backend *b, void *ptr);
    /* The same for memory of the host that upload and download are fastest from: page-locked where that matters. */
    cuddle_status (*alloc_host)(struct backend *b, void **out, size_t bytes, const char *what, cuddle_error *err);
    void (*release_host)(struct backend *b, void *ptr);
    /* Host to device and back, in stream order. The host's bytes of an upload must stay as they are until finish(); `download` has
     * finished when it returns. */
    cuddle_status (*upload)(exec *ex, void *device, const void *host, size_t bytes, cuddle_error *err);
    cuddle_status (*download)(exec *ex, void *host, const void *device, size_t bytes, cuddle_error *err);
    /* Bytes of the device's memory: free now, and in all. */
    cuddle_status (*memory)(struct backend *b, uint64_t *free_bytes, uint64_t *total, cuddle_error *err);
    /* Copies every piece into the arena. Returns when all of them have arrived or one failed; runs on the loading thread while steps of
     * other models run. */
    cuddle_status (*load)(struct backend *b, void *arena, const load_plan *plan, load_progress_fn progress, void *user, cuddle_error *err);

    /* Steps may run while a load goes on if the backend has these; else all three are NULL. A fence knows which layers have arrived of a
     * plan, which does not change from here on and whose `fence` it is to become. `load` ends it, come what may. */
    cuddle_status (*fence_new)(struct backend *b, struct load_fence **out, const load_plan *plan, cuddle_error *err);
    void (*fence_free)(struct backend *b, struct load_fence *fence);
    /* Returns when the pieces of this layer and of layer -1 are where ops called from here on see them; with the load's failure after one;
     * and with CUDDLE_E_BUSY soon after stop(user) has become true. */
    cuddle_status (*fence_wait)(struct backend *b, struct load_fence *fence, int layer, bool (*stop)(void *user), void *user, cuddle_error *err);

    /* ---- compute ---- */

    /* out[t] = table[ids[t]] * scale + position_table[positions[t] + position_offset] + type_table[types[t]]. An id, position or type outside its
     * table is the caller's error and must have been refused before. */
    cuddle_status (*embed)(exec *ex, const embed_args *args, cuddle_error *err);
    /* out[r][c] = x[r][c] / sqrt(mean(x[r]^2) + eps) * w[c] + residual[r][c]. Sums run in an order that depends on the number of columns alone. */
    cuddle_status (*rmsnorm)(exec *ex, const norm_args *args, cuddle_error *err);
    /* out[r][c] = (x[r][c] - mean) / sqrt(variance + eps) * w[c] + b[c] + residual[r][c], variance = mean((x - mean)^2). */
    cuddle_status (*layernorm)(exec *ex, const norm_args *args, cuddle_error *err);
    /* x [rows, k] with any row stride, out [rows, n]. Segments of w follow one another in the columns of out. ep may be NULL. */
    cuddle_status (*linear)(exec *ex, tensor out, tensor x, const weight *w, const epilogue *ep, cuddle_error *err);
    /* Turns q and k by position and writes k and v to the cache, except where the slot is -1. */
    cuddle_status (*rope)(exec *ex, const rope_args *args, cuddle_error *err);
    /* out = softmax(q k^T * scale + biases, masked) v, per sequence and head; query head h uses KV head h / (heads / kv_heads).
     * A query that may see no key at all gets zeros. Deterministic: keys are summed in blocks that begin at multiples of CUD_PAGE
     * positions, whatever the chunking. */
    cuddle_status (*attend)(exec *ex, const attend_args *args, cuddle_error *err);
    /* Carries the copies out in every layer, bit for bit. A page may be copied from many times, to once, and not both. Zero copies: a no-op. */
    cuddle_status (*copy_pages)(exec *ex, const copy_pages_args *args, cuddle_error *err);
    /* out[r][c] = act(gate[r][c]) * up[r][c]; out may be gate. ACT_NONE: plain product. */
    cuddle_status (*gate)(exec *ex, tensor out, tensor gate, tensor up, activation act, cuddle_error *err);
    /* out[i] = x[rows[i]], `out.size[0]` rows. */
    cuddle_status (*gather)(exec *ex, tensor out, tensor x, const int32_t *rows, cuddle_error *err);
    /* x[r][c] -= log(sum of exp(x[r])), in place, F32 [rows, cols]. Sums run in an order that depends on the number of columns alone. */
    cuddle_status (*log_softmax)(exec *ex, tensor x, cuddle_error *err);
    /* out[s] = one vector of the rows starts[s] .. starts[s + 1] of x; zeros if there are none. A NaN stays one. */
    cuddle_status (*pooling)(exec *ex, const pooling_args *args, cuddle_error *err);

    /* NULL: the caller picks tokens from the downloaded logits. picked[r] = the token that cud_sample() picks on the host from the same
     * logits, whatever else is running: what decides is integer sums and correctly rounded operations alone (core/draw.h). It becomes seen
     * in the row's seat. If a logit is not a number, the bitwise complement of the first such token; if no token is left, SAMPLE_NONE. */
    cuddle_status (*sample)(exec *ex, const sample_args *args, cuddle_error *err);
    /* NULL where there are no graphs. After a step of one row per sequence, with outputs and rows the same, the block becomes the next step's:
     * ids are those picked (0 for none), positions, kv_lengths and counters go on by one, slots come from the block tables, which must be
     * complete. Padding stays padding. */
    cuddle_status (*advance)(exec *ex, const step *s, cuddle_error *err);

    /* ---- graphs: a step captured once and replayed; NULL where the backend has none ---- */

    /* From here on ops go into a graph instead of running; ex->mode is EXEC_CAPTURE until capture_end(), which must follow, also after
     * an op failed. What ops get as scalars and pointers is fixed by it, what lies in device memory is not. No upload, download or finish. */
    cuddle_status (*capture_begin)(exec *ex, cuddle_error *err);
    /* *out is NULL after a failure, which may be that of an op during the capture: `failed` says so, and then nothing is reported. */
    cuddle_status (*capture_end)(exec *ex, struct graph **out, bool failed, cuddle_error *err);
    cuddle_status (*replay)(exec *ex, struct graph *g, cuddle_error *err);
    void (*graph_free)(struct backend *b, struct graph *g); /* which is not running; NULL is allowed */

    /* Waits for everything called before and reports the first failure. */
    cuddle_status (*finish)(exec *ex, cuddle_error *err);
    void (*destroy)(struct backend *b); /* the backend and all of its threads; nothing may be in use */
} op_table;

/* What every backend begins with; a backend's own struct has this as its first member. */
typedef struct backend {
    const op_table *ops;
    bool weights_in_place; /* the model may bind weights to mapped files */
    unsigned load_modes;   /* 1 << cuddle_load_mode of those that `load` knows beside AUTO */
    int threads;           /* that compute on the host */
    char device_name[128];
    char isa[64];
} backend;

#ifdef __cplusplus
}
#endif
#endif
