/* Where a model's parameters end up: pointers set by the load plan, in the order a forward meets them. */
#ifndef CUD_MODELS_WEIGHTS_H
#define CUD_MODELS_WEIGHTS_H

#include "core/ops.h"
#include "models/spec.h"

typedef struct norm_weights {
    tensor weight, bias; /* [n]; rank 0 where the model has none */
} norm_weights;

typedef struct projection { /* a weight and its bias */
    weight w;
    tensor bias; /* [n]; rank 0: none */
} projection;

typedef struct layer_weights {
    norm_weights attn_norm, attn_post_norm; /* before and after attention */
    projection qkv;                         /* [q | k | v, hidden] */
    norm_weights q_norm, k_norm;            /* per head */
    tensor sinks;                           /* [heads] */
    projection o;                           /* [hidden, heads * v_dim] */
    projection q_down, q_up, kv_down, kv_up; /* latent attention */
    norm_weights q_latent_norm, kv_latent_norm;
    norm_weights cross_norm;
    projection cross_q, cross_kv, cross_o;
    norm_weights ffn_norm, ffn_post_norm;
    projection up;   /* [ffn, hidden], or [gate | up, hidden] */
    projection down; /* [hidden, ffn] */
    projection router;
    tensor router_choice_bias;
    projection experts_up, experts_down; /* experts > 0 */
    projection shared_up, shared_down, shared_gate;
    norm_weights block_norm; /* denoisers: GroupNorm and projections around a block's layers */
    projection block_in, block_out;
} layer_weights;

typedef struct stack_weights {
    weight embed;         /* [vocabulary, hidden] */
    tensor positions;     /* [positions, hidden] */
    tensor types;         /* [types, hidden] */
    tensor buckets;       /* [heads, buckets] */
    projection patches, patches2; /* convolutions of non-token inputs */
    tensor class_token;
    norm_weights embed_norm;
    projection embed_in; /* [hidden, embed_dim] */
    norm_weights final_norm;
    projection pooler;    /* [hidden, hidden] */
    projection head_in;   /* encoders: what the head does first, */
    norm_weights head_norm;
    projection head, projection_out; /* the LM head, or what gives an encoder's labels; a projection into a shared space */
    projection merge;                /* of merged patches, before projection_out */
    rope_table rope[CUD_MAX_ROPES];
    layer_weights *layer; /* [layers] */
} stack_weights;

#endif
