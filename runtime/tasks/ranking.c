#include "tasks/ranking.h"

#include "tasks/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

float cud_similarity_of(cud_similarity kind, const float *a, const float *b, size_t width)
{
    double dot = 0, a_square = 0, b_square = 0, square = 0, distance = 0;
    for (size_t i = 0; i < width; i++) {
        const double x = (double)a[i], y = (double)b[i];
        dot += x * y;
        a_square += x * x;
        b_square += y * y;
        square += (x - y) * (x - y);
        distance += fabs(x - y);
    }
    switch (kind) {
    case CUD_SIMILARITY_COSINE: return (float)(dot / (fmax(sqrt(a_square), 1e-12) * fmax(sqrt(b_square), 1e-12)));
    case CUD_SIMILARITY_DOT: return (float)dot;
    case CUD_SIMILARITY_EUCLIDEAN: return (float)-sqrt(square);
    case CUD_SIMILARITY_MANHATTAN: return (float)-distance;
    }
    return 0;
}

cuddle_status cud_similarities(float *out, cud_similarity kind, const float *a, size_t rows_a, const float *b, size_t rows_b, size_t width,
                               cuddle_error *err)
{
    for (size_t i = 0; i < rows_a; i++)
        for (size_t k = 0; k < rows_b; k++) out[i * rows_b + k] = cud_similarity_of(kind, a + i * width, b + k * width, width);
    return cud_scores_finite(out, rows_a * rows_b, "sentence-similarity", "similarity", err);
}

cuddle_status cud_cross_encoder_function(cud_function *out, const json_view *config, size_t labels, cuddle_error *err)
{
    static const char legacy[] = "sbert_ce_default_activation_function";
    const char *name = NULL;
    json_view own;
    cuddle_status status = cud_json_object(&own, config, "sentence_transformers", CUD_JSON_NULLABLE, err);
    if (!status && own.value) status = cud_json_string(&name, &own, "activation_fn", CUD_JSON_NULLABLE, err);
    const bool found = name != NULL;
    if (!status && !found) status = cud_json_string(&name, config, legacy, CUD_JSON_NULLABLE, err);
    if (status) return status;
    *out = labels == 1 ? CUD_FUNCTION_SIGMOID : CUD_FUNCTION_NONE;
    if (!name) return CUDDLE_OK;
    const char *last = strrchr(name, '.');
    const bool torch = strncmp(name, "torch.nn.", 9) == 0;
    if (torch && strcmp(last, ".Sigmoid") == 0) *out = CUD_FUNCTION_SIGMOID;
    else if (torch && strcmp(last, ".Identity") == 0) *out = CUD_FUNCTION_NONE;
    else return cud_json_wrong(found ? &own : config, found ? "activation_fn" : legacy, err, CUDDLE_E_UNSUPPORTED, "torch.nn's Sigmoid or Identity");
    return CUDDLE_OK;
}

cuddle_status cud_rank_scores(cud_rank *out, size_t *out_count, const float *score, size_t count, size_t top_k, cuddle_error *err)
{
    *out_count = 0;
    cuddle_status status = cud_scores_finite(score, count, "text-ranking", "score", err);
    if (status || count == 0) return status;
    const size_t most = top_k && top_k < count ? top_k : count;
    size_t *order = malloc(most * sizeof *order);
    if (!order) return cud_nomem(err, most * sizeof *order, "text-ranking");
    cud_best(order, most, score, count);
    for (size_t i = 0; i < most; i++) out[i] = (cud_rank){ order[i], score[order[i]] };
    *out_count = most;
    free(order);
    return CUDDLE_OK;
}

void cud_ranks_write(cud_writer *w, const cud_rank *rank, size_t count, const char *const *texts)
{
    cud_write_open(w, '[');
    for (size_t i = 0; i < count; i++) {
        cud_write_open(w, '{');
        cud_write_key(w, "corpus_id");
        cud_write_count(w, rank[i].index);
        cud_write_key(w, "score");
        cud_write_float(w, rank[i].score);
        if (texts) cud_write_key(w, "text"), cud_write_text(w, texts[rank[i].index], strlen(texts[rank[i].index]));
        cud_write_close(w, '}');
    }
    cud_write_close(w, ']');
}

cuddle_status cud_choose(float *out, size_t *best, const float *logits, size_t count, cuddle_error *err)
{
    if (count == 0) return cud_fail(err, CUDDLE_E_ARG, "multiple-choice: no choices");
    const cuddle_status status = cud_scores_finite(logits, count, "multiple-choice", "logit", err);
    if (status) return status;
    *best = cud_argmax(logits, count);
    cud_softmax(out, logits, count);
    return CUDDLE_OK;
}

void cud_choice_write(cud_writer *w, const float *score, size_t count, size_t best)
{
    cud_write_open(w, '{');
    cud_write_key(w, "choice");
    cud_write_count(w, best);
    cud_write_key(w, "scores");
    cud_write_floats(w, score, count);
    cud_write_close(w, '}');
}
