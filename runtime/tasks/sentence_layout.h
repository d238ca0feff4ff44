/* What a sentence-transformers checkpoint says beside its model: modules.json and the configs of the modules it lists, sentence_bert_config.json,
 * config_sentence_transformers.json. Read as sentence-transformers 6.2 reads them, old and new keys; what it would run and we do not is refused
 * by name. Immutable once loaded. */
#ifndef CUD_TASKS_SENTENCE_LAYOUT_H
#define CUD_TASKS_SENTENCE_LAYOUT_H

#include "format/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CUD_LAYOUT_MODULES = 16, CUD_LAYOUT_PROMPTS = 1024, CUD_POOLING_MODES = 6, CUD_LAYOUT_WIDTH = 1 << 20 };

typedef enum cud_module_kind { CUD_MODULE_TRANSFORMER, CUD_MODULE_POOLING, CUD_MODULE_DENSE, CUD_MODULE_NORMALIZE } cud_module_kind;
typedef enum cud_pooling_mode {
    CUD_POOL_CLS, CUD_POOL_MAX, CUD_POOL_MEAN, CUD_POOL_MEAN_SQRT, CUD_POOL_WEIGHTED_MEAN, CUD_POOL_LAST
} cud_pooling_mode;
typedef enum cud_dense_activation {
    CUD_DENSE_IDENTITY, CUD_DENSE_TANH, CUD_DENSE_RELU, CUD_DENSE_GELU, CUD_DENSE_SILU, CUD_DENSE_SIGMOID
} cud_dense_activation;
typedef enum cud_similarity { CUD_SIMILARITY_COSINE, CUD_SIMILARITY_DOT, CUD_SIMILARITY_EUCLIDEAN, CUD_SIMILARITY_MANHATTAN } cud_similarity;

typedef struct cud_module {
    cud_module_kind kind;
    char *path;      /* its folder below the checkpoint; "": the checkpoint itself */
    int64_t in, out; /* width of what comes and goes; of a transformer both are that of its hidden states */
    /* pooling: the vectors of these modes one behind the other */
    int modes;
    cud_pooling_mode mode[CUD_POOLING_MODES];
    bool include_prompt; /* false: the prompt's tokens are left out */
    /* dense: activation(weight x + bias), and x or residual x added to it */
    cud_dense_activation activation;
    bool has_bias, use_residual;
    float *weight;   /* [out][in] */
    float *bias;     /* [out], or NULL */
    float *residual; /* [out][in], or NULL: x itself, if use_residual */
} cud_module;

typedef struct cud_prompt { char *name, *text; } cud_prompt;

typedef struct cud_sentence_layout {
    cud_module module[CUD_LAYOUT_MODULES]; /* a transformer, a pooling, then the rest */
    int modules;
    int64_t max_length; /* tokens of an input; 0: as the tokenizer and the model say */
    bool lower_case;    /* texts are lowercased first */
    cud_prompt *prompt; /* [prompts] */
    size_t prompts;
    const char *default_prompt; /* text put before every input unless another is asked for; NULL: none */
    cud_similarity similarity;
    int64_t truncate; /* components that are kept of an embedding; 0: all */
} cud_sentence_layout;

/* Reads the layout of the checkpoint in `dir`, whose model gives hidden states of `hidden` components. Without a modules.json, it is what
 * sentence-transformers makes of a plain checkpoint: mean pooling, or the last token for a decoder (`causal`). Release with
 * cud_sentence_layout_free(). Failure: *out is all zero. */
cuddle_status cud_sentence_layout_load(cud_sentence_layout *out, const char *dir, int64_t hidden, bool causal, cuddle_error *err);
void cud_sentence_layout_free(cud_sentence_layout *l); /* all zero is fine */

/* The prompt of this name; "query" and "document" are there, and empty, even where the checkpoint has none. CUDDLE_E_ARG if there is none. */
cuddle_status cud_sentence_prompt(const char **out, const cud_sentence_layout *l, const char *name, cuddle_error *err);
/* Components of an embedding, before it is cut. */
int64_t cud_sentence_width(const cud_sentence_layout *l);
/* "cosine", "dot", "euclidean", "manhattan"; false if it is none of them. */
bool cud_similarity_parse(cud_similarity *out, const char *name);

/* ---- one file each, from an open document ---- */

/* modules.json: kinds and paths. */
cuddle_status cud_layout_read_modules(cud_sentence_layout *l, const json_view *list, cuddle_error *err);
/* N_Pooling/config.json */
cuddle_status cud_layout_read_pooling(cud_module *m, const json_view *config, cuddle_error *err);
/* N_Dense/config.json */
cuddle_status cud_layout_read_dense(cud_module *m, const json_view *config, cuddle_error *err);
/* sentence_bert_config.json */
cuddle_status cud_layout_read_transformer(cud_sentence_layout *l, const json_view *config, cuddle_error *err);
/* config_sentence_transformers.json */
cuddle_status cud_layout_read_settings(cud_sentence_layout *l, const json_view *config, cuddle_error *err);
/* N_Dense/model.safetensors, for a config that has been read; `path` is the folder. */
cuddle_status cud_layout_load_dense(cud_module *m, const char *path, cuddle_error *err);

#endif
