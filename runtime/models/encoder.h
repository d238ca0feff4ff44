/* Encoders: the forward of a step, and what can be made of the rows it leaves. Results stay in the workspace behind the rows until it is
 * released to a mark; the rows until the next step. */
#ifndef CUD_MODELS_ENCODER_H
#define CUD_MODELS_ENCODER_H

#include "models/model.h"

/* *x: the hidden states of all rows, [tokens, hidden] of the model's compute type. */
cuddle_status cud_encoder_forward(exec *ex, const model *m, const step *s, tensor *x, cuddle_error *err);
/* One vector of each sequence, F32 [sequences, hidden]. */
cuddle_status cud_encoder_pool(exec *ex, const model *m, const step *s, tensor x, pooling_kind kind, tensor *out, cuddle_error *err);
/* The same by the checkpoint's own pooler, which it must have. */
cuddle_status cud_encoder_pooler(exec *ex, const model *m, const step *s, tensor x, tensor *out, cuddle_error *err);
bool cud_encoder_has_pooler(const model *m);

/* cuddle.h's bits of what the checkpoint can do, whatever it is. */
unsigned cud_encoder_heads(const model *m);
const char *cud_head_name(cuddle_head head);

bool cud_encoder_has_head(const model *m);
/* Does the head say something of every token, not of every sequence? */
bool cud_encoder_by_token(const model *m);
/* What the head says, F32 [rows, columns]: of `count` output rows of the step from `first` on, at most m->head_rows; of all sequences if it is
 * not by token. */
cuddle_status cud_encoder_logits(exec *ex, const model *m, const step *s, tensor x, int first, int count, tensor *logits, cuddle_error *err);

/* Plans what the model needs for the largest step: m->caps, and what follows from it. */
cuddle_status cud_encoder_size(model *m, const model_options *o, cuddle_error *err);
/* All of the above on a recording exec. */
cuddle_status cud_encoder_record(exec *ex, const model *m, const step *s, cuddle_error *err);

#endif
