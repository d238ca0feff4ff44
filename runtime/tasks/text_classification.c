#include "tasks/text_classification.h"

#include "tasks/scores.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cuddle_status cud_problem_parse(cud_problem *out, const char *name, cuddle_error *err)
{
    static const char *const names[] = { "regression", "single_label_classification", "multi_label_classification" };
    *out = CUD_PROBLEM_NONE;
    if (!name) return CUDDLE_OK;
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) *out = (cud_problem)(i + 1);
    if (*out) return CUDDLE_OK;
    return cud_fail(err, CUDDLE_E_UNSUPPORTED,
                    "config.json: \"problem_type\" is \"%.60s\", expected regression, single_label_classification or multi_label_classification",
                    name);
}

/* In any case, whatever the locale. */
static bool is_named(const char *name, const char *lower)
{
    while (*lower && (*name == *lower || *name == *lower - 'a' + 'A')) name++, lower++;
    return !*lower && !*name;
}

cuddle_status cud_function_parse(cud_function *out, const char *name, cuddle_error *err)
{
    static const char *const names[] = { "sigmoid", "softmax", "none" };
    *out = CUD_FUNCTION_DEFAULT;
    if (!name) return CUDDLE_OK;
    for (int i = 0; i < 3; i++)
        if (is_named(name, names[i])) *out = (cud_function)(i + 1);
    if (*out) return CUDDLE_OK;
    return cud_fail(err, CUDDLE_E_ARG, "function_to_apply is \"%.60s\", expected sigmoid, softmax or none", name);
}

const char *cud_label(const char *const *labels, size_t count, size_t i, char buffer[CUD_LABEL_BUFFER])
{
    if (labels && i < count && labels[i]) return labels[i];
    snprintf(buffer, CUD_LABEL_BUFFER, "LABEL_%zu", i);
    return buffer;
}

static cud_function choose(const cud_classification_options *o, size_t count)
{
    if (o->function != CUD_FUNCTION_DEFAULT) return o->function;
    if (o->problem == CUD_PROBLEM_REGRESSION) return CUD_FUNCTION_NONE;
    return o->problem == CUD_PROBLEM_MULTI_LABEL || count == 1 ? CUD_FUNCTION_SIGMOID : CUD_FUNCTION_SOFTMAX;
}

cuddle_status cud_classify(cud_label_score *out, size_t room, size_t *out_count, const float *logits, size_t count,
                           const cud_classification_options *o, cuddle_error *err)
{
    *out_count = 0;
    if (count == 0) return cud_fail(err, CUDDLE_E_ARG, "text-classification: no logits");
    if (o->label_count && o->label_count != count)
        return cud_fail(err, CUDDLE_E_FORMAT, "text-classification: the model gives %zu logits, but config.json names %zu labels", count,
                        o->label_count);
    cuddle_status status = cud_scores_finite(logits, count, "text-classification", "logit", err);
    if (status) return status;
    size_t most = o->top_k && o->top_k < count ? o->top_k : count;
    if (most > room) most = room;
    const size_t bytes = count * (sizeof(float) + sizeof(size_t));
    size_t *order = malloc(bytes);
    if (!order) return cud_nomem(err, bytes, "text-classification");
    float *score = (float *)(void *)(order + count);
    switch (choose(o, count)) {
    case CUD_FUNCTION_SIGMOID: cud_sigmoid(score, logits, count); break;
    case CUD_FUNCTION_SOFTMAX: cud_softmax(score, logits, count); break;
    case CUD_FUNCTION_NONE:
    case CUD_FUNCTION_DEFAULT: memcpy(score, logits, count * sizeof *score); break;
    }
    cud_best(order, most, score, count);
    for (size_t i = 0; i < most; i++) out[i] = (cud_label_score){ order[i], score[order[i]] };
    *out_count = most;
    free(order);
    return CUDDLE_OK;
}

void cud_classification_write(cud_writer *w, const cud_label_score *result, size_t count, const cud_classification_options *o, bool bare)
{
    char buffer[CUD_LABEL_BUFFER];
    if (!bare) cud_write_open(w, '[');
    for (size_t i = 0; i < (bare && count ? 1 : count); i++) {
        const char *label = cud_label(o->labels, o->label_count, result[i].id, buffer);
        cud_write_open(w, '{');
        cud_write_key(w, "label");
        cud_write_text(w, label, strlen(label));
        cud_write_key(w, "score");
        cud_write_float(w, result[i].score);
        cud_write_close(w, '}');
    }
    if (!bare) cud_write_close(w, ']');
}
