/* What config.json means, in our terms. A spec is one or more stacks; a stack is a row of layers, each described on its own.
 *
 * Every field here is one that a forward reads or that a family's rows set; a config key that has no place here is not supported. */
#ifndef CUD_MODELS_SPEC_H
#define CUD_MODELS_SPEC_H

#include "core/kv.h"
#include "core/ops.h"

enum { CUD_MAX_STACKS = 4, CUD_MAX_ROPES = 2, CUD_MAX_EOS = 16, CUD_MAX_LAYERS = 1024, CUD_MAX_POOL_STAGES = 4, CUD_MAX_LABELS = 1 << 16 };

typedef enum attention_kind {
    ATTN_FULL = 0, /* every earlier position (causal) or every position (encoders) */
    ATTN_SLIDING,  /* the last `window` positions */
    ATTN_LATENT,   /* MLA: keys and values are rebuilt from one latent row per position */
    ATTN_NONE      /* a layer without self-attention */
} attention_kind;

typedef enum ffn_kind { FFN_PLAIN = 0, /* down(act(up x)) */ FFN_GATED, /* down(act(gate x) * up x) */ FFN_EXPERTS } ffn_kind;
typedef enum norm_kind { NORM_LAYER = 0, NORM_RMS } norm_kind;

typedef enum router_kind {
    ROUTER_TOP_SOFTMAX = 0, /* softmax over the chosen logits (Mixtral, gpt-oss) */
    ROUTER_SOFTMAX_TOP,     /* top of the softmax over all (Qwen2-MoE), renormalised if router_norm */
    ROUTER_SIGMOID_GROUPS   /* DeepSeek-V3: sigmoid, bias for choosing only, groups */
} router_kind;

typedef enum position_kind {
    POSITION_NONE = 0,
    POSITION_ROPE,
    POSITION_LEARNED,   /* a table added to the embeddings */
    POSITION_SINUSOIDS, /* the same, computed */
    POSITION_ALIBI,
    POSITION_BUCKETS /* T5: a bias per head and bucket of relative position */
} position_kind;

typedef enum rope_kind { ROPE_DEFAULT = 0, ROPE_LINEAR, ROPE_LLAMA3, ROPE_YARN, ROPE_DYNAMIC, ROPE_LONGROPE } rope_kind;

/* transformers/modeling_rope_utils.py; the formulas stand in rope.c. */
typedef struct rope_spec {
    rope_kind kind;
    double theta, factor;
    double partial; /* share of head_dim that turns */
    double low_freq_factor, high_freq_factor;
    int64_t original_max;
    double beta_fast, beta_slow, attention_factor, mscale, mscale_all_dim; /* yarn; 0: not given */
    bool truncate;
    bool interleaved;
    bool axial; /* images: row and column turn half of the pairs each, and each counts its frequencies from the first */
    int sections[CUD_MAX_AXES];
} rope_spec;

typedef enum place_kind { PLACE_DOWN = 0, PLACE_MID, PLACE_UP } place_kind;

typedef struct layer_spec {
    /* attention */
    attention_kind attention;
    mask_kind mask;
    int64_t heads, kv_heads, head_dim, v_dim;
    int64_t window;     /* of ATTN_SLIDING; 0: the layer is ATTN_FULL after all (Mixtral: sliding_window null) */
    int rope;           /* index into the stack's ropes; -1: positions do not turn this layer's heads */
    double score_scale; /* 0: 1 / sqrt(head_dim) */
    double score_cap;
    bool qkv_bias, o_bias, qk_norm, sinks;
    bool cross; /* attends to the output of the stack before it, after self-attention */
    int64_t q_latent, kv_latent, rope_dim; /* ATTN_LATENT; q_latent 0: q is projected directly */
    /* feed-forward */
    ffn_kind ffn;
    activation act;
    int64_t ffn_dim;
    double ffn_ratio; /* > 0: ffn_dim is the layer's width times this */
    bool ffn_bias;
    router_kind router;
    int64_t experts, experts_used, expert_dim, shared_dim, router_groups, router_groups_used;
    double router_scale;
    bool router_norm, router_bias, shared_gate;
    /* where norms stand and how the branches join */
    bool norm_before, norm_after; /* of each branch: pre-norm, sandwich; post-norm models norm the sum: norm_sum */
    bool norm_sum;
    bool norm_bias, qkv_forms; /* for rows to ask: norms have a bias; q, k and v may be one tensor or three */
    bool bare;           /* with norm_before: attention reads x as it is after all (ModernBERT's first layer) */
    bool parallel; /* x + attention(norm x) + ffn(norm x) */
    double branch_scale; /* of both branches before they are added; 0: 1 */
    /* what rows ask in `when` and `unless`; follows from the above once layers are expanded */
    bool gated, routed; /* ffn is FFN_GATED, FFN_EXPERTS */
    bool q_direct;      /* ATTN_LATENT with q_latent 0 */
    int twin, group; /* > 0: it has the weights of layer twin - 1; what {G} is in names (ALBERT) */
    /* denoisers: where in the network the layer stands */
    place_kind place;
    int stage, block, depth;      /* down_blocks.{stage}.attentions.{block}.transformer_blocks.{depth} */
    int64_t width;                /* 0: the stack's hidden */
    bool block_first, block_last; /* the block's norm and projections stand before its first and after its last layer */
} layer_spec;

typedef enum stack_kind { STACK_DECODER = 0, STACK_ENCODER, STACK_DENOISER } stack_kind;
typedef enum input_kind { INPUT_TOKENS = 0, INPUT_EMBEDS, INPUT_PATCHES, INPUT_FRAMES, INPUT_LATENTS } input_kind;

enum { /* heads of a stack */
    HEAD_LM = 1 << 0,
    HEAD_SEQUENCE = 1 << 1,
    HEAD_TOKENS = 1 << 2,
    HEAD_SPANS = 1 << 3,
    HEAD_MASKED_LM = 1 << 4,
    HEAD_POOLER = 1 << 5,
    HEAD_PROJECTION = 1 << 6,
    HEAD_CHOICE = 1 << 7 /* one number for each answer that there is to choose from */
};

typedef struct stack {
    stack_kind kind;
    input_kind input;
    int64_t layers;
    layer_spec proto;  /* what config.json says once; expanded to ... */
    layer_spec *layer; /* [layers] */
    int64_t hidden, vocabulary;
    norm_kind norm;
    double eps;
    bool unit_offset;            /* norms multiply with 1 + w */
    bool embed_norm, final_norm; /* a norm after the embedding, after the last layer */
    double embed_scale;          /* 0: 1; rounded to the type of the activations, as Gemma has it */
    position_kind position;
    int64_t positions;       /* longest sequence the checkpoint was made for */
    int64_t position_offset; /* of learned tables: OPT, BART 2 */
    bool after_pad;          /* position_offset is the id of the padding token, and positions begin behind it; sets it one higher (RoBERTa) */
    int64_t types;           /* kinds of tokens, each with a vector that is added to the embedding */
    int64_t embed_dim;       /* width of the embeddings; 0: hidden */
    bool embed_project;      /* embeddings are projected to hidden; set where embed_dim is another width */
    int64_t groups;          /* of layers that share weights; 0: none do */
    int64_t buckets, bucket_distance;
    rope_spec rope[CUD_MAX_ROPES];
    /* inputs that are not tokens: a patch or frame embedding is a convolution */
    int64_t channels, kernel, conv_stride, image_size; /* INPUT_FRAMES: conv_stride is the second convolution's, the first has 1 */
    int64_t frames;                                    /* of video in one patch */
    int64_t merge;                                     /* merge x merge patches become one row of the output */
    activation merge_act;
    /* denoisers: resolutions, each with its own width and depth */
    int64_t stage_width[CUD_MAX_POOL_STAGES], stage_layers[CUD_MAX_POOL_STAGES]; /* the first width 0 ends them */
    int64_t stage_depth[CUD_MAX_POOL_STAGES], stage_heads[CUD_MAX_POOL_STAGES];  /* transformer layers in one block, their heads */
    bool stage_attention[2][CUD_MAX_POOL_STAGES]; /* blocks that have any: on the way down, and up (in that order) */
    int64_t norm_groups;
    double group_eps;
    int64_t context_dim; /* width of what cross attention reads; 0: hidden of the stack before */
    unsigned heads;
    bool tied;         /* the LM head is the embedding table */
    bool shared_embed; /* which is that of stack 0 (T5) */
    int64_t projection_dim; /* rows of projection_out */
    bool projection;        /* HEAD_PROJECTION, for rows to ask */
    double logit_scale, logit_cap;
    int64_t labels; /* rows of the head that is not over the vocabulary */
    activation head_act, pooler_act; /* of the head's first linear layer, of the pooler */
    bool pooled;    /* the head reads what the pooler makes of the first token */
    bool head_mean; /* a head over sequences reads the mean of the rows, not the first */
    bool masked_lm, sequence, tokens, spans, choice, pooler_spare; /* for rows to ask: heads; the pooler may be missing */
    bool norm_bias, head_in_bias, bare_decoder, bare_head; /* and which biases there are; set: there is no head */
    /* flags that rows expand into layers */
    bool scale_scores, scale_by_layer; /* GPT-2: scores / sqrt(head_dim), and / (layer + 1) */
    double query_scalar; /* Gemma 2: of scale_scores, instead of head_dim; 0: none */
    bool scale_embed;    /* Gemma: embeddings * sqrt(hidden); sets embed_scale */
    bool no_window;      /* Qwen2: no layer slides, whatever its window is */
    int64_t full_layers; /* Qwen2: where no list of kinds is given, the first so many layers are ATTN_FULL */
    bool scale_by_rope; /* DeepSeek: scores also times m^2, m = 0.1 mscale_all_dim ln(factor) + 1 of a yarn rope */
    bool scale_logits;  /* T5: logits / sqrt(hidden); sets logit_scale */
    int64_t dense_layers; /* of a stack with experts: the first so many have FFN_GATED instead */
    bool bare_first;      /* ModernBERT: the first layer is bare */
    bool local_rope;      /* layers of ATTN_SLIDING turn by the second rope */
    bool window_halves;   /* the window counts both sides; halved */
    int64_t every;        /* of how many layers one is ATTN_FULL */
} stack;

typedef enum problem_kind { PROBLEM_UNSAID = 0, PROBLEM_REGRESSION, PROBLEM_SINGLE_LABEL, PROBLEM_MULTI_LABEL } problem_kind;

struct family;
struct quant_row;

typedef struct spec {
    const struct family *family;
    char architecture[64];
    dtype type; /* the checkpoint's, from config.json */
    int stacks;
    stack stack[CUD_MAX_STACKS];
    int32_t bos, pad, decoder_start; /* -1: none */
    int32_t eos[CUD_MAX_EOS];
    int eos_count;
    int64_t image_token, video_token; /* ids whose rows come from another stack; meant only where a family has a row for them */
    char **label; /* [labels]: what a classifier's outputs mean */
    int64_t labels;
    problem_kind problem;
    const struct quant_row *quant;    /* quantization_config; NULL: none */
    int group_n, group_k;             /* its blocks; 0: what the format implies */
} spec;

void cud_spec_free(spec *s); /* the layers and labels, not itself */

#endif
