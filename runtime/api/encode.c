/* cuddle.h: encoding, and what an encoder's checkpoint can do. */
#include "core/options.h"
#include "engine/engine.h"
#include "models/encoder.h"

unsigned cuddle_model_heads(const cuddle_model *h) { return cud_encoder_heads(h->m); }
const char *cuddle_head_name(cuddle_head head) { return cud_head_name(head); }
int cuddle_model_hidden(const cuddle_model *h) { return (int)h->m->spec.stack[0].hidden; }
int cuddle_model_labels(const cuddle_model *h) { return (int)h->m->spec.labels; }
const char *cuddle_model_label(const cuddle_model *h, int label) { return label >= 0 && label < h->m->spec.labels ? h->m->spec.label[label] : NULL; }

cuddle_problem cuddle_model_problem(const cuddle_model *h)
{
    switch (h->m->spec.problem) {
    case PROBLEM_REGRESSION: return CUDDLE_PROBLEM_REGRESSION;
    case PROBLEM_SINGLE_LABEL: return CUDDLE_PROBLEM_SINGLE_LABEL;
    case PROBLEM_MULTI_LABEL: return CUDDLE_PROBLEM_MULTI_LABEL;
    case PROBLEM_UNSAID: break;
    }
    return CUDDLE_PROBLEM_UNSAID;
}

cuddle_status cuddle_request_encode(cuddle_request **out, cuddle_model *h, const cuddle_segment *segments, size_t count, const cuddle_encode_options *options,
                                    cuddle_event_fn on_event, void *user, cuddle_error *err)
{
    cud_error_clear(err);
    if (!out) return cud_fail(err, CUDDLE_E_ARG, "cuddle_request_encode: out is NULL");
    *out = NULL;
    if (!h) return cud_fail(err, CUDDLE_E_ARG, "cuddle_request_encode: model is NULL");
    if (count && !segments) return cud_fail(err, CUDDLE_E_ARG, "cuddle_request_encode: segments is NULL");
    return cud_request_encode(out, h, segments, count, options, on_event, user, err);
}

cuddle_status cuddle_request_encoding(cuddle_request *r, cuddle_encoding_result *out, cuddle_error *err)
{
    cud_error_clear(err);
    if (!r || !out) return cud_fail(err, CUDDLE_E_ARG, "cuddle_request_encoding: %s is NULL", r ? "out" : "request");
    const encode_job *e = r->encoding;
    if (!e) return cud_fail(err, CUDDLE_E_ARG, "cuddle_request_encoding: the request is not an encoding, see cuddle_request_result()");
    const cuddle_status status = cuddle_request_wait(r, 0, err);
    if (status) return status;
    const cuddle_encoding_result result = { /* from here on nobody changes it */
        .output = e->output, .values = e->values, .rows = e->rows, .columns = e->columns, .tokens = e->wanted, .ids = r->ids, .type_ids = e->types,
        .count = (size_t)r->prompt_count, .truncated = e->truncated, .queue_seconds = r->started - r->submitted, .seconds = r->ended - r->started,
    };
    return cud_result_copy(out, &result, sizeof result, "cuddle_encoding_result", err);
}
