/* text-classification: a row of logits to labels with scores, as transformers/pipelines/text_classification.py makes them. */
#ifndef CUD_TASKS_TEXT_CLASSIFICATION_H
#define CUD_TASKS_TEXT_CLASSIFICATION_H

#include "core/status.h"
#include "tasks/writer.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum cud_problem { CUD_PROBLEM_NONE, CUD_PROBLEM_REGRESSION, CUD_PROBLEM_SINGLE_LABEL, CUD_PROBLEM_MULTI_LABEL } cud_problem;
typedef enum cud_function { CUD_FUNCTION_DEFAULT, CUD_FUNCTION_SIGMOID, CUD_FUNCTION_SOFTMAX, CUD_FUNCTION_NONE } cud_function;

/* config.json's "problem_type", NULL for null. CUDDLE_E_UNSUPPORTED for one that transformers does not know. */
cuddle_status cud_problem_parse(cud_problem *out, const char *name, cuddle_error *err);
/* "sigmoid", "softmax", "none" in any case, or NULL: the default. CUDDLE_E_ARG otherwise. */
cuddle_status cud_function_parse(cud_function *out, const char *name, cuddle_error *err);

/* id2label of `i`, or "LABEL_i", written to buffer, where there is none. */
enum { CUD_LABEL_BUFFER = 32 };
const char *cud_label(const char *const *labels, size_t count, size_t i, char buffer[CUD_LABEL_BUFFER]);

typedef struct cud_classification_options {
    const char *const *labels; /* [label_count]; NULL, or an entry that is NULL: "LABEL_i" */
    size_t label_count;
    cud_problem problem;
    cud_function function; /* DEFAULT: none for a regression, sigmoid for several labels at once or a single one, else softmax */
    size_t top_k;          /* of the labels, best first; 0: all; more than there are: all */
} cud_classification_options;

typedef struct cud_label_score {
    size_t id;
    float score;
} cud_label_score;

/* logits[count], one per label. Writes min(top_k, count) results, at most `room`, to out, the lower id first where scores are equal. */
cuddle_status cud_classify(cud_label_score *out, size_t room, size_t *out_count, const float *logits, size_t count,
                           const cud_classification_options *options, cuddle_error *err);
/* [{"label": ..., "score": ...}, ...]; `bare`: the first object alone, as the pipeline gives it for each text of a list if top_k is not asked for. */
void cud_classification_write(cud_writer *w, const cud_label_score *result, size_t count, const cud_classification_options *options, bool bare);

#endif
