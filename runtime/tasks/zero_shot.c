#include "tasks/zero_shot.h"

#include "tasks/scores.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

void cud_texts_free(cud_texts *t)
{
    for (size_t i = 0; i < t->count; i++) free(t->text[i]);
    free(t->text);
    *t = (cud_texts){ 0 };
}

/* What Python's str.strip() takes off: white space, and four separators of ASCII that are none for Unicode. */
static bool is_space(int32_t c) { return cud_is_white(c) || (c >= 0x1c && c <= 0x1f); }

static void strip(const char **begin, const char **end)
{
    size_t size;
    while (*begin < *end && is_space(cud_utf8_decode(*begin, &size))) *begin += size;
    while (*begin < *end && is_space(cud_utf8_decode_before(*begin, *end, &size))) *end -= size;
}

cuddle_status cud_zero_shot_labels(cud_texts *out, const char *text, size_t length, cuddle_error *err)
{
    *out = (cud_texts){ 0 };
    const size_t valid = cud_utf8_valid(text, length);
    if (valid < length) return cud_fail(err, CUDDLE_E_ARG, "candidate_labels: not UTF-8 from byte %zu on", valid);
    size_t commas = 0;
    for (size_t i = 0; i < length; i++) commas += text[i] == ',';
    if (commas >= CUD_ZERO_SHOT_MOST)
        return cud_fail(err, CUDDLE_E_LIMIT, "candidate_labels: %zu labels, at most %d", commas + 1, CUD_ZERO_SHOT_MOST);
    out->text = calloc(commas + 1, sizeof *out->text);
    if (!out->text) return cud_nomem(err, (commas + 1) * sizeof *out->text, "candidate_labels");
    for (const char *at = text, *const all = text + length; at <= all;) {
        const char *comma = memchr(at, ',', (size_t)(all - at)), *begin = at, *end = comma ? comma : all;
        strip(&begin, &end);
        if (begin < end) {
            char *label = malloc((size_t)(end - begin) + 1);
            if (!label) {
                cud_texts_free(out);
                return cud_nomem(err, (size_t)(end - begin) + 1, "candidate_labels");
            }
            memcpy(label, begin, (size_t)(end - begin));
            label[end - begin] = 0;
            out->text[out->count++] = label;
        }
        if (!comma) break;
        at = comma + 1;
    }
    return CUDDLE_OK;
}

/* ---- hypotheses ---- */

static cuddle_status bad_template(const char *template_text, const char *why, cuddle_error *err)
{
    return cud_fail(err, CUDDLE_E_ARG, "hypothesis_template \"%.80s\": %s", template_text, why);
}

/* Writes what the template makes of the label to out, or counts it where out is NULL. */
static cuddle_status format(char *out, size_t *length, const char *template_text, const char *label, cuddle_error *err)
{
    const size_t label_length = strlen(label);
    size_t n = 0;
    bool automatic = false, numbered = false;
    for (const char *c = template_text; *c;) {
        const char *piece = c;
        size_t size = 1;
        if ((*c == '{' || *c == '}') && c[1] == *c) {
            c += 2;
        } else if (*c == '}') {
            return bad_template(template_text, "a } without its {", err);
        } else if (*c == '{') {
            const char *close = strchr(c, '}');
            if (!close) return bad_template(template_text, "a { without its }", err);
            const size_t inside = (size_t)(close - c) - 1;
            if (inside > 1 || (inside == 1 && c[1] != '0'))
                return cud_fail(err, CUDDLE_E_UNSUPPORTED, "hypothesis_template \"%.80s\": the field \"%.*s\" is not supported, expected {} or {0}",
                                template_text, (int)(inside > 60 ? 62 : inside + 2), c);
            if (inside ? automatic : automatic || numbered) return bad_template(template_text, "there is one label, so {} can stand only once", err);
            *(inside ? &numbered : &automatic) = true;
            piece = label;
            size = label_length;
            c = close + 1;
        } else {
            c++;
        }
        if (size > SIZE_MAX / 4 - n) return cud_fail(err, CUDDLE_E_LIMIT, "hypothesis_template: the hypothesis is too long");
        if (out) memcpy(out + n, piece, size);
        n += size;
    }
    if (out) out[n] = 0;
    *length = n;
    return CUDDLE_OK;
}

cuddle_status cud_zero_shot_hypotheses(cud_texts *out, const char *template_text, const char *const *labels, size_t count, cuddle_error *err)
{
    *out = (cud_texts){ 0 };
    if (count == 0) return cud_fail(err, CUDDLE_E_ARG, "zero-shot-classification: no candidate labels");
    if (count > CUD_ZERO_SHOT_MOST)
        return cud_fail(err, CUDDLE_E_LIMIT, "zero-shot-classification: %zu candidate labels, at most %d", count, CUD_ZERO_SHOT_MOST);
    out->text = calloc(count, sizeof *out->text);
    if (!out->text) return cud_nomem(err, count * sizeof *out->text, "hypotheses");
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i < count && !status; i++) {
        size_t length = 0;
        status = format(NULL, &length, template_text, labels[i], err);
        if (status) break;
        char *text = malloc(length + 1);
        if (!text) status = cud_nomem(err, length + 1, "hypotheses");
        else out->text[out->count++] = text, status = format(text, &length, template_text, labels[i], err);
    }
    if (!status && strcmp(out->text[0], template_text) == 0) status = bad_template(template_text, "there is no {} where the label should go", err);
    if (status) cud_texts_free(out);
    return status;
}

/* ---- scores ---- */

int64_t cud_zero_shot_entailment(const cud_label_id *label2id, size_t count)
{
    static const char lower[] = "entail", upper[] = "ENTAIL";
    for (size_t i = 0; i < count; i++) {
        size_t same = 0;
        while (lower[same] && (label2id[i].label[same] == lower[same] || label2id[i].label[same] == upper[same])) same++;
        if (!lower[same]) return label2id[i].id;
    }
    return -1;
}

cuddle_status cud_zero_shot(cud_zero_shot_score *out, const float *logits, size_t count, size_t columns, int64_t entailment, bool multi_label,
                            cuddle_error *err)
{
    if (count == 0 || columns == 0) return cud_fail(err, CUDDLE_E_ARG, "zero-shot-classification: no logits");
    if (columns > INT32_MAX || count > SIZE_MAX / columns / sizeof *logits)
        return cud_fail(err, CUDDLE_E_LIMIT, "zero-shot-classification: %zu times %zu logits", count, columns);
    if (entailment < -1 || entailment >= (int64_t)columns)
        return cud_fail(err, CUDDLE_E_FORMAT, "config.json: \"label2id\" gives the entailment number %lld, but the model has %zu labels",
                        (long long)entailment, columns);
    cuddle_status status = cud_scores_finite(logits, count * columns, "zero-shot-classification", "logit", err);
    if (status) return status;
    const size_t yes = entailment < 0 ? columns - 1 : (size_t)entailment, no = entailment == 0 ? columns - 1 : 0;
    const size_t bytes = count * (sizeof(float) + sizeof(size_t));
    size_t *order = malloc(bytes);
    if (!order) return cud_nomem(err, bytes, "zero-shot-classification");
    float *score = (float *)(void *)(order + count); /* the last label first, which ranks before it where they are equal */
    for (size_t i = 0; i < count; i++) {
        const float *row = logits + (count - 1 - i) * columns;
        float pair[2] = { row[no], row[yes] };
        cud_softmax(pair, pair, 2);
        score[i] = multi_label || count == 1 ? pair[1] : row[yes];
    }
    if (!multi_label && count > 1) cud_softmax(score, score, count);
    cud_best(order, count, score, count);
    for (size_t i = 0; i < count; i++) out[i] = (cud_zero_shot_score){ count - 1 - order[i], score[order[i]] };
    free(order);
    return CUDDLE_OK;
}

void cud_zero_shot_write(cud_writer *w, const char *text, size_t length, const char *const *labels, const cud_zero_shot_score *result, size_t count)
{
    cud_write_open(w, '{');
    cud_write_key(w, "sequence");
    cud_write_text(w, text, length);
    cud_write_key(w, "labels");
    cud_write_open(w, '[');
    for (size_t i = 0; i < count; i++) cud_write_text(w, labels[result[i].label], strlen(labels[result[i].label]));
    cud_write_close(w, ']');
    cud_write_key(w, "scores");
    cud_write_open(w, '[');
    for (size_t i = 0; i < count; i++) cud_write_float(w, result[i].score);
    cud_write_close(w, ']');
    cud_write_close(w, '}');
}
