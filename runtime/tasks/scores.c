#include "tasks/scores.h"

#include <math.h>
#include <stdbool.h>

cuddle_status cud_scores_finite(const float *x, size_t count, const char *task, const char *what, cuddle_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(x[i]))
            return cud_fail(err, CUDDLE_E_FORMAT, "%s: %s %zu is %s, expected a finite number: the checkpoint's weights lead there", task, what, i,
                            isnan(x[i]) ? "not a number" : "infinite");
    return CUDDLE_OK;
}

void cud_softmax(float *out, const float *x, size_t count)
{
    float most = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < count; i++) most = x[i] > most ? x[i] : most;
    for (size_t i = 0; i < count; i++) {
        out[i] = expf(x[i] - most);
        sum += (double)out[i];
    }
    for (size_t i = 0; i < count; i++) out[i] = (float)((double)out[i] / sum);
}

void cud_sigmoid(float *out, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) out[i] = 1.0f / (1.0f + expf(-x[i]));
}

size_t cud_argmax(const float *x, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static bool better(const float *score, size_t a, size_t b) { return score[a] > score[b] || (score[a] == score[b] && a < b); }

/* Of a heap whose top is the worst: the item at `at` sinks to its place. */
static void sink(size_t *heap, size_t count, size_t at, const float *score)
{
    const size_t item = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && better(score, heap[child], heap[child + 1])) child++;
        if (!better(score, item, heap[child])) break;
        heap[at] = heap[child];
    }
    heap[at] = item;
}

void cud_best(size_t *out, size_t count, const float *score, size_t total)
{
    if (count == 0) return;
    for (size_t i = 0; i < count; i++) out[i] = i;
    for (size_t i = count / 2; i-- > 0;) sink(out, count, i, score);
    for (size_t i = count; i < total; i++) {
        if (!better(score, i, out[0])) continue;
        out[0] = i;
        sink(out, count, 0, score);
    }
    for (size_t left = count; left > 1; left--) { /* the worst of those left goes behind them */
        const size_t worst = out[0];
        out[0] = out[left - 1];
        sink(out, left - 1, 0, score);
        out[left - 1] = worst;
    }
}
