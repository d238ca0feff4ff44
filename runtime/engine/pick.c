/* Picking tokens on the device: what each output row of a step needs for it, and the tokens that come back. Only what a row asks for
 * that the device does not do, log-probabilities and what cud_sampling_needs_host() names, brings the logits of a step to the host. */
#include "engine/engine.h"

#include <string.h>

bool cud_pick_on_device(const cuddle_model *h, const produced *p, int count)
{
    if (!h->m->backend->ops->sample) return false;
    for (int i = 0; i < count; i++) {
        const cuddle_request *r = p[i].request;
        if (r->whole->beam) return false;
        const history past = cud_request_past(r);
        if (r->task.step_outputs > 0 && cud_sampling_needs_host(&r->g.how, &past)) return false;
        if (r->task.step_outputs > 0 && (r->g.logprobs >= 0 || r->task.step_outputs > 1 || !cud_request_samples(r))) return false;
    }
    return h->host.outputs > 0;
}

/* Does picking depend on which token it is, beyond its logit? */
static bool needs_marks(const sampling *how)
{
    return how->repetition_penalty != 1.0f || how->suppress_count > 0 || how->begin_suppress_count > 0 || how->min_tokens > 0 ||
           how->min_length > 0 || how->bad_words.count > 0 || how->allowed;
}

static void set_mark(uint32_t *marks, int32_t id, int vocabulary)
{
    if (id >= 0 && id < vocabulary) marks[id / 32] |= 1u << id % 32;
}

/* Brings a seat's marks up to date. They stay so as long as each token is picked on the device. */
static cuddle_status update_marks(cuddle_model *h, exec *ex, const produced *p, cuddle_error *err)
{
    const model *m = h->m;
    cuddle_request *r = p->request;
    const sampling *how = &r->g.how;
    const int vocabulary = h->sampler.vocabulary;
    const history past = cud_request_past(r);
    const unsigned bans = cud_bans(how, &past);
    if (r->marked == r->task.count && r->marked_bans == bans && !r->matcher) return CUDDLE_OK;
    const size_t words = (size_t)m->mark_words, bytes = words * sizeof(uint32_t);
    uint32_t *seen = h->marks + 2 * words * (size_t)r->task.seat, *banned = seen + words;
    memset(seen, 0, 2 * bytes);
    for (int i = 0; i < r->task.count; i++) set_mark(seen, r->ids[i], vocabulary);
    for (int i = 0; i < (vocabulary + 31) / 32 && how->allowed; i++) banned[i] = ~how->allowed[i];
    for (size_t i = 0; i < how->suppress_count; i++) set_mark(banned, how->suppress[i], vocabulary);
    for (size_t i = 0; i < how->bad_words.count; i++) set_mark(banned, cud_sequence_last(&how->bad_words.item[i]), vocabulary); /* singles */
    for (size_t i = 0; i < how->begin_suppress_count && (bans & CUD_BAN_BEGIN); i++) set_mark(banned, how->begin_suppress[i], vocabulary);
    for (size_t i = 0; i < how->end_count && (bans & CUD_BAN_ENDS); i++) set_mark(banned, how->ends[i], vocabulary);
    for (size_t i = 0; p->allowed && i < words; i++) banned[i] |= p->unmasked ? UINT32_MAX : ~p->allowed[i];
    cuddle_status status = ex->ops->upload(ex, cud_model_seen(m, r->task.seat), seen, bytes, err);
    if (!status) status = ex->ops->upload(ex, cud_model_banned(m, r->task.seat), banned, bytes, err);
    if (!status) r->marked = r->task.count, r->marked_bans = bans;
    return status;
}

cuddle_status cud_pick_prepare(cuddle_model *h, exec *ex, const produced *p, int count, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    for (int i = 0; i < count && !status; i++) {
        cuddle_request *r = p[i].request;
        if (r->task.step_outputs == 0) continue;
        const sampling *how = &r->g.how;
        const bool marks = needs_marks(how) || r->matcher;
        h->host.sampling[r->task.step_first_output] = (sample_row){
            .greedy = how->greedy, .temperature = how->temperature, .top_p = how->top_p, .min_p = how->min_p,
            .repetition_penalty = how->repetition_penalty, .top_k = how->top_k, .seed = { (uint32_t)how->seed, (uint32_t)(how->seed >> 32) },
            .counter = (uint32_t)(r->task.count - r->prompt_count), .seat = marks ? r->task.seat : -1,
        };
        if (marks && !r->matcher) status = update_marks(h, ex, &p[i], err);
    }
    return status;
}

cuddle_status cud_pick_masks(cuddle_model *h, exec *ex, const produced *p, int count, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    for (int i = 0; i < count && !status; i++)
        if (p[i].allowed) status = update_marks(h, ex, &p[i], err);
    return status;
}

cuddle_status cud_pick_take(int32_t *token, cuddle_model *h, cuddle_request *r, cuddle_error *err)
{
    const int32_t picked = h->picked[r->task.step_first_output];
    if (picked == SAMPLE_NONE)
        return cud_fail(err, CUDDLE_E_FORMAT, "no token is left to choose from: all %d logits are minus infinity", h->sampler.vocabulary);
    if (picked < 0) return cud_fail(err, CUDDLE_E_FORMAT, "the model gave a logit that is not a number for token %d", (int)~picked);
    *token = picked;
    if (r->marked == r->task.count) r->marked++; /* the device has marked it */
    return CUDDLE_OK;
}
