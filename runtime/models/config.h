/* Reads config.json into a spec by the rows of its family. */
#ifndef CUD_MODELS_CONFIG_H
#define CUD_MODELS_CONFIG_H

#include "core/log.h"
#include "format/json.h"
#include "models/family.h"

/* Reads dir/config.json. A key that the family's rows do not know is refused by name if it is known to change the maths of some
 * model and says something, and logged otherwise: transformers ignores it too. Release with cud_spec_free(). */
cuddle_status cud_config_load(spec *out, const char *dir, const logger *log, cuddle_error *err);
/* The same from an open document. */
cuddle_status cud_config_read(spec *out, const json_view *root, const logger *log, cuddle_error *err);

/* rope_theta, rope_scaling, partial_rotary_factor (transformers v4) or rope_parameters (v5), at the root of config.json. A partial
 * rotation is refused unless the family allows it. */
cuddle_status cud_config_rope(rope_spec *out, const json_view *root, double default_theta, int64_t positions, bool partial, cuddle_error *err);

/* The rope of a kind of layers: in[key] is an object, or a number that is its theta; NULL: the default. */
cuddle_status cud_config_named_rope(rope_spec *out, const json_view *in, const char *key, double default_theta, int64_t positions, cuddle_error *err);

/* labels.c: id2label, num_labels and problem_type, if a stack has a head that they are for. */
cuddle_status cud_labels_read(spec *s, const json_view *root, cuddle_error *err);

/* The activation of transformers' name ("gelu_new"); false if there is none. */
bool cud_activation_parse(const char *name, activation *out);

#endif
