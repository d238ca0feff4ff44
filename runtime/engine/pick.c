/* Picking tokens on the device: what each output row of a step needs for it, and the tokens that come back. Only what a row asks for
 * that the device does not do, log-probabilities and what cud_sampling_needs_host() names, brings its logits to the host. Where logits
 * are only changed there they go back, so that the device picks from them. */
#include "engine/engine.h"

#include <string.h>

/* The host's part in picking a request's token. */
static host_part host_part_of(const cuddle_request *r)
{
    const history past = cud_request_past(r);
    if (r->whole->beam || r->task.step_outputs > 1 || !cud_request_samples(r)) return HOST_PICKS;
    const host_part part = cud_sampling_needs_host(&r->g.how, &past);
    return part == HOST_ADJUSTS && (r->matcher || r->g.logprobs >= 0) ? HOST_PICKS : part; /* log-probabilities are of the untouched logits */
}

pick_plan cud_pick_plan(const cuddle_model *h, produced *p, int count)
{
    int picked = 0, logits = 0;
    for (int i = 0; i < count; i++) {
        const cuddle_request *r = p[i].request;
        if (r->task.step_outputs == 0) continue;
        const host_part part = h->m->backend->ops->sample ? host_part_of(r) : HOST_PICKS;
        p[i].picked = part != HOST_PICKS;
        p[i].adjusts = part == HOST_ADJUSTS;
        p[i].logits = part != HOST_NOTHING || r->g.logprobs >= 0;
        picked += p[i].picked;
        logits += p[i].logits;
    }
    return picked == 0 ? PICK_NONE : logits == 0 ? PICK_ALL : PICK_SOME;
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
    cuddle_request *r = p->request;
    const model *m = h->m;
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
        sample_row *rows = h->host.sampling + r->task.step_first_output;
        for (int k = 0; k < r->task.step_outputs && !p[i].picked; k++)
            rows[k] = (sample_row){ .greedy = 1, .temperature = 1, .top_p = 1, .repetition_penalty = 1, .seat = -1 };
        if (!p[i].picked) continue;
        if (p[i].adjusts) r->marked = -1; /* its token will not be marked */
        const sampling *how = &r->g.how;
        const bool marks = (needs_marks(how) && !p[i].adjusts) || r->matcher;
        *rows = (sample_row){
            .greedy = how->greedy, .temperature = how->temperature, .top_p = how->top_p, .min_p = how->min_p,
            .repetition_penalty = p[i].adjusts ? 1 : how->repetition_penalty, .top_k = how->top_k, .seed = { (uint32_t)how->seed, (uint32_t)(how->seed >> 32) },
            .counter = (uint32_t)(r->task.count - r->prompt_count), .seat = marks ? r->task.seat : -1,
        };
        if (marks && !r->matcher) status = update_marks(h, ex, &p[i], err);
    }
    return status;
}

cuddle_status cud_pick_adjust(cuddle_model *h, exec *ex, const produced *p, int count, float *logits, cuddle_error *err)
{
    const size_t vocabulary = (size_t)h->sampler.vocabulary;
    cuddle_status status = CUDDLE_OK;
    for (int i = 0; i < count && !status; i++) {
        if (!p[i].adjusts) continue;
        const cuddle_request *r = p[i].request;
        const history past = cud_request_past(r);
        const size_t at = (size_t)r->task.step_first_output * vocabulary;
        cud_adjust_logits(&h->sampler, &r->g.how, &past, h->logits + at);
        status = ex->ops->upload(ex, logits + at, h->logits + at, vocabulary * sizeof *logits, err);
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
