/* Requests that are held to a grammar. Before each token the grammar's mask is made; stop tokens are in it where the text may end. */
#include "engine/engine.h"

cuddle_status cud_constrain_begin(cuddle_request *r, const cuddle_model *h, bool after_text, cuddle_error *err)
{
    if (!r->g.grammar) return CUDDLE_OK;
    const cuddle_status status = cud_grammar_check(r->g.grammar, h->tokenizer, err);
    return status ? status : cud_matcher_new(&r->matcher, r->g.grammar, after_text, err);
}

cuddle_status cud_constrain_mask(cuddle_model *h, cuddle_request *r, cuddle_error *err)
{
    const int32_t vocabulary = h->sampler.vocabulary;
    const cuddle_status status = cud_matcher_mask(h->allowed, (size_t)(vocabulary + 31) / 32, r->matcher, err);
    if (status) return status;
    const bool accepts = cud_matcher_accepts(r->matcher);
    for (size_t i = 0; i < r->g.stop_token_count; i++) {
        const int32_t id = r->g.stop_tokens[i];
        if (id < 0 || id >= vocabulary) continue;
        if (accepts) h->allowed[id / 32] |= 1u << id % 32;
        else h->allowed[id / 32] &= ~(1u << id % 32);
    }
    return CUDDLE_OK;
}

cuddle_status cud_constrain_take(bool *over, cuddle_request *r, int32_t token, cuddle_error *err)
{
    const cuddle_status status = cud_matcher_token(r->matcher, token, err);
    *over = !status && cud_matcher_is_over(r->matcher);
    return status;
}
