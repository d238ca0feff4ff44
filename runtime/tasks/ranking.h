/* How alike embeddings are, which texts come first, and which of several choices is the likeliest. */
#ifndef CUD_TASKS_RANKING_H
#define CUD_TASKS_RANKING_H

#include "format/json.h"
#include "tasks/sentence_layout.h"
#include "tasks/text_classification.h"
#include "tasks/writer.h"

/* a[width] and b[width]: larger is more alike. Cosine; dot product; minus the Euclidean or Manhattan distance, as sentence_transformers'
 * util/similarity.py has them. A vector of length 0 has cosine 0. */
float cud_similarity_of(cud_similarity kind, const float *a, const float *b, size_t width);
/* out[rows_a][rows_b]; CUDDLE_E_FORMAT where a result is not finite. */
cuddle_status cud_similarities(float *out, cud_similarity kind, const float *a, size_t rows_a, const float *b, size_t rows_b, size_t width,
                               cuddle_error *err);

/* How a cross-encoder's logits become scores: what config.json's sentence_transformers.activation_fn says, or sbert_ce_default_activation_function,
 * else sigmoid for one label and nothing for several. Activations other than torch.nn's Sigmoid and Identity are CUDDLE_E_UNSUPPORTED. */
cuddle_status cud_cross_encoder_function(cud_function *out, const json_view *config, size_t labels, cuddle_error *err);

typedef struct cud_rank {
    size_t index; /* of the text */
    float score;
} cud_rank;
/* score[count] to the best of them, best first, the earlier text first where scores are equal; top_k 0: all. Returns how many were written to
 * out[count] in *out_count. */
cuddle_status cud_rank_scores(cud_rank *out, size_t *out_count, const float *score, size_t count, size_t top_k, cuddle_error *err);
/* [{"corpus_id": ..., "score": ..., "text": ...}, ...], as sentence_transformers' CrossEncoder.rank(); texts NULL: without "text". */
void cud_ranks_write(cud_writer *w, const cud_rank *rank, size_t count, const char *const *texts);

/* multiple-choice: a logit per choice to out[count], their softmax; *best is the first of the highest. */
cuddle_status cud_choose(float *out, size_t *best, const float *logits, size_t count, cuddle_error *err);
/* {"choice": ..., "scores": [...]}; transformers has no pipeline for it */
void cud_choice_write(cud_writer *w, const float *score, size_t count, size_t best);

#endif
