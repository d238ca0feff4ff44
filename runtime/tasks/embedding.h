/* From hidden states to an embedding, by the modules of a sentence-transformers layout; and features as they are. float32 throughout, sums in
 * double in the order of tokens and components, so that a text gives the same bits alone or beside others. */
#ifndef CUD_TASKS_EMBEDDING_H
#define CUD_TASKS_EMBEDDING_H

#include "tasks/sentence_layout.h"
#include "tasks/writer.h"

typedef struct cud_embedding_options {
    size_t prompt_tokens; /* of the text's tokens, the first so many are the prompt's: those before it (CLS) and its own */
    int64_t dimensions;   /* components to keep (matryoshka); 0: as the checkpoint says. CUDDLE_E_ARG if there are fewer */
    bool normalize;       /* to length 1 at the end, whatever the layout's modules do */
} cud_embedding_options;

/* Components that cud_embed() gives with these options. */
cuddle_status cud_embedding_width(int64_t *out, const cud_sentence_layout *l, const cud_embedding_options *options, cuddle_error *err);
/* hidden[tokens][width of the layout's transformer], packed, without padding; out[cud_embedding_width()]. NaN or infinity anywhere in the result is
 * CUDDLE_E_FORMAT. Where the prompt is left out and was all of the text, means are 0 and a maximum is that error, as the reference has -inf. */
cuddle_status cud_embed(float *out, const cud_sentence_layout *l, const float *hidden, size_t tokens, const cud_embedding_options *options,
                        cuddle_error *err);

/* One module each, as sentence-transformers' Pooling, Dense and Normalize compute them. */
void cud_pool(float *out, const cud_module *m, const float *hidden, size_t tokens, size_t prompt_tokens); /* out[m->out], tokens >= 1 */
void cud_dense(float *out, const cud_module *m, const float *in);                                        /* out must not be in */
void cud_normalize(float *x, int64_t width);

/* feature-extraction: [[[...], ...]], the pipeline's result for a text: hidden[tokens][width] */
void cud_features_write(cud_writer *w, const float *hidden, size_t tokens, size_t width);

#endif
