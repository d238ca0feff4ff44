/* From logits to scores, with numpy's and torch's results: float32, and the lower index first where scores are equal. */
#ifndef CUD_TASKS_SCORES_H
#define CUD_TASKS_SCORES_H

#include "core/status.h"

#include <stddef.h>
#include <stdint.h>

/* CUDDLE_E_FORMAT if any of the numbers is none: a checkpoint whose weights lead there gives no result. `what` is "logit", "embedding", ... */
cuddle_status cud_scores_finite(const float *x, size_t count, const char *task, const char *what, cuddle_error *err);

/* out[i] = exp(x[i] - max(x)) / sum. out may be x. No numbers: nothing. */
void cud_softmax(float *out, const float *x, size_t count);
void cud_sigmoid(float *out, const float *x, size_t count);
/* The first of the largest; count >= 1. */
size_t cud_argmax(const float *x, size_t count);

/* The `count` best of score[0..total), best first: their indexes in out[0..count), count <= total. O(total log count). */
void cud_best(size_t *out, size_t count, const float *score, size_t total);

#endif
