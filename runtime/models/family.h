/* A family is data: which config keys mean what, which tensors there are. One row file per family, `grep` for its name finds it. */
#ifndef CUD_MODELS_FAMILY_H
#define CUD_MODELS_FAMILY_H

#include "models/spec.h"
#include "models/weights.h"

#include <stddef.h>

/* ---- config.json ---- */

typedef enum config_kind {
    CONFIG_END = 0,
    CONFIG_INT,        /* int64_t */
    CONFIG_NUMBER,     /* double */
    CONFIG_BOOL,       /* bool */
    CONFIG_NOT,        /* bool, stored negated */
    CONFIG_ACTIVATION, /* activation, by transformers' name */
    CONFIG_ROPE,       /* rope_spec: rope_theta (default: fallback), rope_scaling (v4), rope_parameters (v5); partial rotation up to max, 0: none;
                        * key "rope_parameters.full_attention|global_rope_theta": the object or number of one kind of
                        * layers. Without one: default, or the base's if that has another kind */
    CONFIG_LAYER_TYPES, /* attention kinds per layer, "full_attention" or "sliding_attention"; absent: every `fallback`-th is full, 0: as proto;
                         * LIKE: the first so many as the field `like` says; EVERY: of so many as it says, the first. Stands after the rows for
                         * layers and window */
    CONFIG_ONLY,       /* known, but only `fallback` is supported: anything else changes the maths and is refused by name; "key=word": a string */
    CONFIG_IGNORED,    /* known, and without effect on inference */
    CONFIG_PLUS,       /* int64_t: the value plus the field `like` */
    CONFIG_TIMES,      /* int64_t: the value times the field `like` */
    CONFIG_FFN,        /* layer_spec: T5's "relu" or "gated-gelu" (which means gelu_new): sets ffn and act; absent: plain, `fallback` is act */
    CONFIG_WORD,       /* bool, "key=this|that": true for this, false for that; a list of words fills one bool each */
    CONFIG_STAGES,     /* int64_t[CUD_MAX_POOL_STAGES]: a list, or one number for all of them */
    CONFIG_QUANT       /* quant, group_n and group_k of the spec: the method must be one of the family's */
} config_kind;

/* How an absent key (or null) is taken. CONFIG_OR_NONE: absent it has the fallback, but null says that there is none, which is 0.
 * CONFIG_EVERY: of LAYER_TYPES. */
typedef enum config_default { CONFIG_REQUIRED = 0, CONFIG_FALLBACK, CONFIG_LIKE, CONFIG_OR_NONE, CONFIG_EVERY } config_default;

typedef struct config_row {
    const char *key; /* "n_embd|hidden_size": the first that is there counts; "text_config.hidden_size" goes into objects, "list.0" into lists */
    config_kind kind;
    size_t to; /* offset into spec */
    config_default absent;
    double fallback;  /* FALLBACK: the value; LIKE: factor */
    size_t like;      /* LIKE: offset of the field whose value times `fallback` it takes; that field's row stands before */
    double min, max;  /* INT, NUMBER */
} config_row;

#define SPEC(field) offsetof(spec, field)
#define STACK(i, field) offsetof(spec, stack[i].field)
#define LAYER(i, field) offsetof(spec, stack[i].proto.field)

/* ---- tensors ---- */

/* A length in a tensor's shape, computed from the stack and the layer. */
typedef enum dim {
    DIM_NONE = 0,
    DIM_HIDDEN, /* of the stack; in a layer with a width of its own, that */
    DIM_VOCABULARY,
    DIM_POSITIONS, /* positions + position_offset */
    DIM_BUCKETS,
    DIM_Q,  /* heads * head_dim */
    DIM_K,  /* kv_heads * head_dim */
    DIM_V,  /* kv_heads * v_dim */
    DIM_QKV, /* the three together */
    DIM_O,  /* heads * v_dim */
    DIM_HEADS,
    DIM_HEAD, /* head_dim */
    DIM_FFN,
    DIM_FFN_PAIR, /* gate and up: 2 * ffn_dim */
    DIM_CONTEXT, /* context_dim, or hidden of the stack before */
    DIM_EXPERTS,
    DIM_EXPERT,      /* expert_dim */
    DIM_EXPERT_PAIR, /* 2 * expert_dim */
    DIM_SHARED,
    DIM_Q_LATENT,
    DIM_KV_LATENT,
    DIM_KV_LATENT_ROPE, /* kv_latent + rope_dim */
    DIM_KV_EXPANDED,    /* heads * (head_dim - rope_dim + v_dim) */
    DIM_CHANNELS,
    DIM_KERNEL,
    DIM_LABELS,
    DIM_ONE, /* at the end of a shape: may be missing in the file (a 1 x 1 convolution saved as a linear layer) */
    DIM_FRAMES,
    DIM_MERGED, /* merge * merge * hidden */
    DIM_PROJECTION,
    DIM_EMBED, /* embed_dim */
    DIM_TYPES
} dim;

typedef enum tensor_source {
    FROM_WHOLE = 0,
    FROM_TRANSPOSED,  /* the file holds [k, n] (Conv1D) */
    FROM_HEADS_QKV,   /* rows are [head][q, k, v][head_dim]: three segments at once */
    FROM_PAIRS,       /* the file holds [k, n] and its columns alternate gate, up (gpt-oss); of a vector, its elements do */
    FROM_UP_GATE,     /* rows are [up | gate]: two segments, the second first (GEGLU) */
    FROM_COLUMNS,     /* a table, F32: its columns become rows */
    FROM_NOTHING      /* no tensor, name "": a segment of zeros (Whisper has no bias for k) */
} tensor_source;

typedef enum slot_kind { SLOT_END = 0, SLOT_WEIGHT, SLOT_VECTOR, SLOT_IGNORED } slot_kind;

typedef enum row_scope { SCOPE_STACK = 0, SCOPE_LAYER } row_scope;

/* A tensor of the checkpoint. Name patterns: `{L}` layer number, `{G}` its group, `{E}` expert number, `[...]` an optional part tried with and without,
 * `|` between alternatives, `*` (ignored rows only) any run of characters; denoisers: `{P}` the layer's place, one of family.places, where
 * `{I}` is its stage and `{J}` its block, and `{K}` its depth in the block. Rows that fill one slot stand together, in segment order. An
 * ignored row counts only for what no other row has taken. With {E} the shape is that of one expert. */
typedef struct tensor_row {
    const char *name;
    slot_kind kind;
    row_scope scope;
    uint8_t stack;
    size_t slot;   /* offset into stack_weights or layer_weights */
    dim shape[5];  /* as the file has it, before `from`; a weight's k is the product of all but the first */
    tensor_source from;
    size_t when;   /* offset + 1 of a bool in the stack (SCOPE_STACK) or layer_spec: the tensor exists when it is true; 0: always */
    size_t unless; /* the same, when it is false */
    size_t maybe;  /* the same: the tensor may be left out when it is true */
} tensor_row;

#define SLOT_OF(field) offsetof(layer_weights, field)
#define TOP_OF(field) offsetof(stack_weights, field)
#define WHEN_LAYER(field) (offsetof(layer_spec, field) + 1)
#define WHEN_STACK(field) (offsetof(stack, field) + 1)

/* How a quantisation method stores a weight: tensors named with these suffixes where its row's name has `plain`. The row describes the weight
 * as if it were not quantised. A weight is quantised if its data tensor is there and has the format's type; which axis is packed, and that
 * nothing is transposed, the format knows (MXFP4: data [.., n, k / 32, 16], scale [.., n, k / 32]; fp8: scale [n / group_n, k / group_k], up). */
typedef struct quant_row {
    const char *method; /* quantization_config.quant_method */
    wformat format;
    const char *plain;                      /* ".weight", or "" */
    const char *data, *scale, *zero, *perm; /* NULL: has none */
} quant_row;

/* ---- the family ---- */

/* What an architecture has that base has not. */
typedef struct architecture_row {
    const char *name;
    int stacks;     /* only the first so many (T5EncoderModel); rows of the others are ignored */
    unsigned heads; /* of the last of them */
    activation act; /* of the head's first linear layer; ACT_NONE: that of the layers */
    bool pooled;    /* stack.pooled */
} architecture_row;

typedef struct family {
    const char *model_type;              /* config.json: model_type; diffusers: _class_name */
    const char *const *architectures;    /* NULL-terminated; the first is the default when config.json names none */
    const config_row *config;            /* until CONFIG_END */
    const tensor_row *tensors;           /* until SLOT_END */
    spec base;                           /* what no key says: norm kinds, biases, masks */
    const architecture_row *variants;    /* architectures that differ from base, until name NULL; NULL: none does */
    const quant_row *quant;              /* until method NULL; NULL: none is supported */
    const char *const *places;           /* [place_kind], for {P} */
} family;

extern const family *const cud_families[]; /* NULL-terminated */
extern const family cud_family_gpt2, cud_family_llama, cud_family_mistral, cud_family_qwen2, cud_family_qwen3, cud_family_gpt_neox, cud_family_phi3,
    cud_family_gemma2, cud_family_bert, cud_family_roberta, cud_family_xlm_roberta, cud_family_camembert, cud_family_distilbert,
    cud_family_electra, cud_family_albert, cud_family_mpnet, cud_family_modernbert, cud_family_nomic_bert;

#endif
