/* A model: a checkpoint's spec, its weights in a backend's memory, its KV cache, and the forward that runs a step. */
#ifndef CUD_MODELS_MODEL_H
#define CUD_MODELS_MODEL_H

#include "core/log.h"
#include "format/checkpoint.h"
#include "models/family.h"

#include <stdatomic.h>

typedef struct model_options {
    dtype compute;     /* CUDDLE_DTYPE_COUNT: what the checkpoint says */
    dtype kv;          /* CUDDLE_DTYPE_COUNT: what activations are */
    cuddle_load_mode load; /* READ: weights do not stay in the mapped files even if the backend can use them there */
    bool deterministic;
    int max_context;   /* 0: what the checkpoint says, at most 8192 */
    int max_sequences; /* > 0 */
    int max_texts;     /* > 0: the same for an encoder, which keeps nothing of them */
    int max_batch;     /* > 0: tokens of a step */
    int64_t kv_tokens; /* 0: max_context * max_sequences, bounded by half of what is free on the device beside the weights */
} model_options;

/* One layer's place in the KV cache. */
typedef struct kv_place { int group, index; } kv_place;

typedef struct model {
    backend *backend;
    checkpoint *files;
    spec spec;
    stack_weights weights[CUD_MAX_STACKS];
    dtype compute;
    bool deterministic;
    bool tied; /* the LM head is the embedding table */
    int max_context;

    /* the plan: exact, from headers alone */
    load_plan load;
    kv_group group[CUD_MAX_KV_GROUPS];
    int groups;
    kv_place *place; /* [layers of the decoder] */
    int64_t pages;   /* of every group */
    step_caps caps;
    size_t workspace_bytes, step_bytes;
    int64_t mark_words; /* of 32 bits, one per token of the vocabulary; 0: the backend does not pick tokens */
    size_t mark_bytes;  /* two rows of them per sequence */
    int head_rows;      /* encoders: of logits that are computed at once */
    size_t result_bytes; /* encoders: the most that is brought to the host at once */
    uint64_t kv_bytes, parameters;
    uint64_t decode_bytes; /* of weights that one decoded token reads */

    /* memory, NULL until cud_model_allocate() */
    void *arena, *kv, *workspace, *step_block, *marks;
    size_t kv_start[CUD_MAX_KV_GROUPS]; /* bytes from kv to the group's first page */
    atomic_bool arrived;   /* all weights: nothing to wait for any more */
    atomic_bool interrupt; /* a step that waits for weights gives up with CUDDLE_E_BUSY */
    float *rope_host[CUD_MAX_ROPES];    /* the tables, until they are loaded */
    source *rope_source[CUD_MAX_ROPES];
} model;

/* Reads config.json and every tensor header in `dir`, and records the largest step: on success the plan is complete, the model is
 * supported, and nothing of the weights has been read. Release with cud_model_free(). */
cuddle_status cud_model_open(model **out, backend *b, const char *dir, const model_options *options, const logger *log, cuddle_error *err);
/* Allocates every arena of the plan and points the weights into it. If load.fence is set afterwards, steps may run while cud_model_load()
 * does: they wait for each layer. */
cuddle_status cud_model_allocate(model *m, cuddle_error *err);
/* Brings the weights in. May run on a thread of its own. */
cuddle_status cud_model_load(model *m, load_progress_fn progress, void *user, cuddle_error *err);
/* Gives back the backend's memory and closes the files; what the checkpoint says stays. */
void cud_model_release(model *m);
void cud_model_free(model *m); /* NULL is fine */

static inline bool cud_model_is_encoder(const model *m) { return m->spec.stack[0].kind == STACK_ENCODER; }

/* An exec that runs on the model's workspace. */
void cud_model_exec(exec *ex, const model *m, exec_mode mode);
/* Runs one step: *logits is [outputs, vocabulary] F32 in the workspace, valid until the next step. */
cuddle_status cud_model_forward(exec *ex, const model *m, const step *s, tensor *logits, cuddle_error *err);

/* Carries out the step's copies of pages, before the forward. */
cuddle_status cud_model_copy_pages(exec *ex, const model *m, const step *s, cuddle_error *err);

/* Picks a token per output row, on a backend that does. Seats are rows of m->marks: cud_model_marks(). */
cuddle_status cud_model_sample(exec *ex, const model *m, const step *s, tensor logits, cuddle_error *err);
/* The marks of a seat in the device's memory: tokens seen, then tokens banned, mark_words each. */
uint32_t *cud_model_seen(const model *m, int seat);
uint32_t *cud_model_banned(const model *m, int seat);

/* decoder.c: the forward of a decoder stack. */
cuddle_status cud_decoder_forward(exec *ex, const model *m, int stack_index, const step *s, tensor *logits, cuddle_error *err);
/* The KV cache of one layer. */
kv_view cud_model_kv(const model *m, int layer, const step *s);

#endif
