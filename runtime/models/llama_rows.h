/* Tensors that families shaped like Llama share. Each macro is some rows of a family's tensor table, in the order that they have there. */
#ifndef CUD_MODELS_LLAMA_ROWS_H
#define CUD_MODELS_LLAMA_ROWS_H

#include "models/family.h"

#define LLAMA_LAYER "[model.]layers.{L}."

/* A vector or weight of every layer. `condition`: WHEN_LAYER(...), or 0 for always. */
#define LLAMA_VECTOR(name, slot, dim, condition) \
    { LLAMA_LAYER name, SLOT_VECTOR, SCOPE_LAYER, 0, SLOT_OF(slot), { dim }, .when = (condition) }
#define LLAMA_WEIGHT(name, slot, n, k) { LLAMA_LAYER name, SLOT_WEIGHT, SCOPE_LAYER, 0, SLOT_OF(slot), { n, k }, .from = FROM_WHOLE }

#define LLAMA_EMBED \
    { "[model.]embed_tokens.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(embed), { DIM_VOCABULARY, DIM_HIDDEN }, .from = FROM_WHOLE }

#define LLAMA_QKV                                                           \
    LLAMA_WEIGHT("self_attn.q_proj.weight", qkv.w, DIM_Q, DIM_HIDDEN),      \
        LLAMA_WEIGHT("self_attn.k_proj.weight", qkv.w, DIM_K, DIM_HIDDEN),  \
        LLAMA_WEIGHT("self_attn.v_proj.weight", qkv.w, DIM_V, DIM_HIDDEN)

#define LLAMA_QKV_BIAS(condition)                                           \
    LLAMA_VECTOR("self_attn.q_proj.bias", qkv.bias, DIM_Q, condition),      \
        LLAMA_VECTOR("self_attn.k_proj.bias", qkv.bias, DIM_K, condition),  \
        LLAMA_VECTOR("self_attn.v_proj.bias", qkv.bias, DIM_V, condition)

#define LLAMA_O LLAMA_WEIGHT("self_attn.o_proj.weight", o.w, DIM_HIDDEN, DIM_O)
#define LLAMA_O_BIAS(condition) LLAMA_VECTOR("self_attn.o_proj.bias", o.bias, DIM_HIDDEN, condition)

#define LLAMA_GATE_UP                                                       \
    LLAMA_WEIGHT("mlp.gate_proj.weight", up.w, DIM_FFN, DIM_HIDDEN),        \
        LLAMA_WEIGHT("mlp.up_proj.weight", up.w, DIM_FFN, DIM_HIDDEN)
#define LLAMA_DOWN LLAMA_WEIGHT("mlp.down_proj.weight", down.w, DIM_HIDDEN, DIM_FFN)

/* What comes after the layers, what older files hold beside it, and the end of the table. */
#define LLAMA_LAST                                                                                                                        \
    { "[model.]norm.weight", SLOT_VECTOR, SCOPE_STACK, 0, TOP_OF(final_norm.weight), { DIM_HIDDEN }, .from = FROM_WHOLE },                 \
        { "lm_head.weight", SLOT_WEIGHT, SCOPE_STACK, 0, TOP_OF(head.w), { DIM_VOCABULARY, DIM_HIDDEN }, .maybe = WHEN_STACK(tied) },      \
        { "[model.]layers.{L}.self_attn.rotary_emb.inv_freq", SLOT_IGNORED, SCOPE_LAYER, .stack = 0 },                                     \
        { "[model.]rotary_emb.inv_freq", SLOT_IGNORED, SCOPE_STACK, .stack = 0 }, { 0 }

#endif
