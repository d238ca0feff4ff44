/* Requests that are held to a grammar. For each token the grammar's mask is made, while the device computes the step; stop tokens are in it where
 * the text may end. */
#include "engine/engine.h"

cuddle_status cud_constrain_begin(cuddle_request *r, const cuddle_model *h, bool after_text, cuddle_error *err)
{
    if (!r->g.grammar) return CUDDLE_OK;
    const cuddle_status status = cud_grammar_check(r->g.grammar, h->tokenizer, err);
    return status ? status : cud_matcher_new(&r->matcher, r->g.grammar, after_text, err);
}

bool cud_constrain_any(const produced *p, int count)
{
    for (int i = 0; i < count; i++)
        if (p[i].request->matcher) return true;
    return false;
}

static cuddle_status make_mask(uint32_t *allowed, const cuddle_request *r, int32_t vocabulary, cuddle_error *err)
{
    const cuddle_status status = cud_matcher_mask(allowed, (size_t)(vocabulary + 31) / 32, r->matcher, err);
    if (status) return status;
    const bool accepts = cud_matcher_accepts(r->matcher);
    for (size_t i = 0; i < r->g.stop_token_count; i++) {
        const int32_t id = r->g.stop_tokens[i];
        if (id < 0 || id >= vocabulary) continue;
        if (accepts) allowed[id / 32] |= 1u << id % 32;
        else allowed[id / 32] &= ~(1u << id % 32);
    }
    return CUDDLE_OK;
}

void cud_constrain_masks(cuddle_model *h, produced *p, int count)
{
    const int32_t vocabulary = h->sampler.vocabulary;
    for (int i = 0; i < count; i++) {
        const cuddle_request *r = p[i].request;
        if (!r->matcher || r->task.step_outputs == 0 || !cud_request_samples(r)) continue;
        uint32_t *allowed = h->allowed + (size_t)i * (size_t)((vocabulary + 31) / 32);
        p[i].allowed = allowed;
        p[i].unmasked = make_mask(allowed, r, vocabulary, &p[i].failure) != CUDDLE_OK;
    }
}

cuddle_status cud_constrain_take(bool *over, cuddle_request *r, int32_t token, cuddle_error *err)
{
    const cuddle_status status = cud_matcher_token(r->matcher, token, err);
    *over = !status && cud_matcher_is_over(r->matcher);
    return status;
}
