/* The tokens are walked as a trie: a beginning that the grammar does not allow takes all its tokens away at once. Where any string may go
 * on, the plain tokens are known beforehand, and the walk is for the others. */
#include "grammar/mask.h"

#include <stdlib.h>
#include <string.h>

/* Walks nodes [at, end). Subtrees whose tokens have at most `known` characters are in the mask already. */
static cuddle_status walk(automaton *a, const cud_lexicon *x, uint32_t at, uint32_t end, uint32_t known, uint32_t *state, uint32_t *bits,
                          cuddle_error *err)
{
    while (at < end) {
        const cud_lexicon_node *n = &x->node[at];
        if (n->most <= known) {
            at = n->skip;
            continue;
        }
        if (!n->twin) {
            uint32_t to = cud_automaton_peek(a, state[n->depth - 1], n->byte);
            if (to == CUD_STATE_UNKNOWN) {
                const cuddle_status status = cud_automaton_step(&to, a, state[n->depth - 1], n->byte, err);
                if (status) return status;
            }
            if (to == CUD_STATE_DEAD) {
                at = n->skip;
                continue;
            }
            state[n->depth] = to;
        }
        if (n->token != CUD_LEXICON_NONE) bits[n->token / 32] |= 1u << n->token % 32;
        at++;
    }
    return CUDDLE_OK;
}

static cuddle_status keep(gstate *s, automaton *a, const uint32_t *bits, uint32_t words, cuddle_error *err)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < words; i++) count += (uint32_t)__builtin_popcount(bits[i]);
    const bool list = count <= words;
    const size_t size = sizeof(gmask) + (list ? count : words) * sizeof(uint32_t);
    gmask *m = malloc(size);
    if (!m) return cud_nomem(err, size, "a mask of tokens");
    a->memory += size;
    m->count = list ? count : 0;
    m->words = list ? 0 : words;
    if (!list) memcpy(m->data, bits, words * sizeof *bits);
    uint32_t used = 0;
    for (uint32_t i = 0; list && i < words; i++)
        for (uint32_t rest = bits[i]; rest; rest &= rest - 1) m->data[used++] = i * 32 + (uint32_t)__builtin_ctz(rest);
    s->mask = m;
    return CUDDLE_OK;
}

cuddle_status cud_mask_of(const gmask **out, automaton *a, const cud_lexicon *x, uint32_t state, uint32_t *scratch, uint32_t *bits,
                          cuddle_error *err)
{
    *out = a->state[state].mask;
    if (*out) return CUDDLE_OK;
    const size_t words = (size_t)x->words;
    const uint32_t plain = cud_automaton_plain(a, state);
    const bool all = plain >= (uint32_t)x->plain_longest;
    const uint32_t known = plain < CUD_LEXICON_PLAIN ? plain : CUD_LEXICON_PLAIN;
    if (words) memcpy(bits, x->plain + (all ? (size_t)CUD_LEXICON_PLAIN + 1 : known) * words, words * sizeof *bits);
    scratch[0] = state;
    cuddle_status status = walk(a, x, 0, x->plain_from, 0, scratch, bits, err);
    if (!status && !all) status = walk(a, x, x->plain_from, x->count, known, scratch, bits, err);
    if (!status) status = keep(&a->state[state], a, bits, (uint32_t)words, err);
    *out = a->state[state].mask;
    return status;
}

void cud_mask_write(uint32_t *bits, size_t words, const gmask *mask)
{
    const size_t have = mask->words < words ? mask->words : words;
    if (have) memcpy(bits, mask->data, have * sizeof *bits);
    if (words > have) memset(bits + have, 0, (words - have) * sizeof *bits);
    for (uint32_t i = 0; i < mask->count; i++)
        if (mask->data[i] / 32 < words) bits[mask->data[i] / 32] |= 1u << mask->data[i] % 32;
}
