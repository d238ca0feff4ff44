/* zero-shot-classification: every label becomes a hypothesis that a model of natural language inference judges, as
 * transformers/pipelines/zero_shot_classification.py has it. */
#ifndef CUD_TASKS_ZERO_SHOT_H
#define CUD_TASKS_ZERO_SHOT_H

#include "core/status.h"
#include "tasks/writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CUD_ZERO_SHOT_TEMPLATE "This example is {}."
enum { CUD_ZERO_SHOT_MOST = 10000 }; /* labels of one call; each costs a run of the model */

typedef struct cud_texts { /* owned strings, NUL-terminated; all zero is an empty list */
    char **text;
    size_t count;
} cud_texts;
void cud_texts_free(cud_texts *t);

/* "sports, politics , ,art": the labels between the commas without the white space around them; empty ones are left out. */
cuddle_status cud_zero_shot_labels(cud_texts *out, const char *text, size_t length, cuddle_error *err);

/* Hypotheses, one per label: what the template, a Python format string, makes of each. {} or {0} stand for the label, {{ and }} for braces; other
 * fields of Python's format() are CUDDLE_E_UNSUPPORTED. A template without a place for the label is CUDDLE_E_ARG, as are no labels at all.
 * Each goes to the model as a pair, the text first, which alone is cut if both are too long (CUDDLE_TRUNCATE_ONLY_FIRST). */
cuddle_status cud_zero_shot_hypotheses(cud_texts *out, const char *template_text, const char *const *labels, size_t count, cuddle_error *err);

typedef struct cud_label_id { /* one entry of config.json's label2id, in the order of the file */
    const char *label;
    int64_t id;
} cud_label_id;
/* The id of the first label that begins with "entail", in any case; -1, which means the last column, if there is none. */
int64_t cud_zero_shot_entailment(const cud_label_id *label2id, size_t count);

typedef struct cud_zero_shot_score {
    size_t label; /* index in the list that was given */
    float score;
} cud_zero_shot_score;

/* logits[count][columns], a row per label. multi_label, or a single label: each label's softmax of contradiction and entailment, where the
 * contradiction is column 0, or the last if that is the entailment; otherwise the softmax of all entailments. out[count] is sorted, best first, the
 * later label first where scores are equal (the pipeline reverses an ascending sort). */
cuddle_status cud_zero_shot(cud_zero_shot_score *out, const float *logits, size_t count, size_t columns, int64_t entailment, bool multi_label,
                            cuddle_error *err);
/* {"sequence": ..., "labels": [...], "scores": [...]} */
void cud_zero_shot_write(cud_writer *w, const char *text, size_t length, const char *const *labels, const cud_zero_shot_score *result, size_t count);

#endif
