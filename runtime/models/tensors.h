/* Matches a checkpoint's tensors with the rows of its family and writes the load plan. */
#ifndef CUD_MODELS_TENSORS_H
#define CUD_MODELS_TENSORS_H

#include "format/checkpoint.h"
#include "models/family.h"

/* Fills `weights` (one per stack, layers allocated, pointers still NULL) and `plan`. With in_place, weights stay in the mapped files where
 * their alignment allows it. A tensor that is missing, left over, of another shape or of a type that is no float is an error by name;
 * nothing but headers is read. */
cuddle_status cud_tensors_plan(load_plan *plan, stack_weights *weights, const spec *s, const checkpoint *files, bool in_place,
                               cuddle_error *err);

/* The length a dim stands for; l may be NULL for rows of the stack. */
int64_t cud_dim(dim d, const stack *t, const layer_spec *l);

#endif
