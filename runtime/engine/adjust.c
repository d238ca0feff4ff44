/* What changes a row of logits before a token is picked from it. A row costs a pass over the history for each penalty and for n-grams, and
 * for sequences and lists at most a look at each of their tokens. */
#include "engine/sampler.h"

#include "core/draw.h"

#include <math.h>

/* The first sequence from `at` on that the next token may complete. */
static size_t next_of(const sequence_set *set, const history *past, size_t at) { return cud_sequences_next(set, past->ids, past->count, at); }

/* Biases of one token are added up before they are added to its logit. */
static void add_biases(sampler *s, const sequence_set *set, const history *past, float *logits)
{
    for (size_t i = next_of(set, past, 0); i < set->count; i = next_of(set, past, i + 1))
        s->tally[cud_sequence_last(&set->item[i])] += set->item[i].bias;
    for (size_t i = next_of(set, past, 0); i < set->count; i = next_of(set, past, i + 1)) {
        const int32_t id = cud_sequence_last(&set->item[i]);
        logits[id] += s->tally[id];
        s->tally[id] = 0;
    }
}

static void forbid_sequences(const sequence_set *set, const history *past, float *logits)
{
    for (size_t i = next_of(set, past, 0); i < set->count; i = next_of(set, past, i + 1))
        logits[cud_sequence_last(&set->item[i])] = -INFINITY;
}

/* Each token that occurred is penalised once, however often it did. */
static void penalise(sampler *s, float *logits, float penalty, const history *past)
{
    for (int i = 0; i < past->count; i++) {
        const int32_t id = past->ids[i];
        if (s->tally[id] > 0) continue;
        s->tally[id] = 1;
        logits[id] = draw_penalised(logits[id], penalty);
    }
    for (int i = 0; i < past->count; i++) s->tally[past->ids[i]] = 0;
}

/* Of the produced tokens: `frequency` for each time one came, `presence` once. */
static void penalise_produced(sampler *s, float *logits, float frequency, float presence, const history *past)
{
    const int from = past->produced < past->count ? past->count - past->produced : 0;
    for (int i = from; i < past->count; i++) s->tally[past->ids[i]] += 1;
    for (int i = from; i < past->count; i++) {
        const int32_t id = past->ids[i];
        const float times = s->tally[id];
        if (times > 0) logits[id] = logits[id] - frequency * times - presence;
        s->tally[id] = 0;
    }
}

/* Forbids what would complete `size` tokens that have come before: what follows each place where the newest size - 1 tokens stand, found
 * in one pass (Knuth, Morris, Pratt). */
static void forbid_repeated(float *logits, int size, const history *past)
{
    const int others = size - 1;
    if (past->count < size) return;
    if (others == 0) {
        for (int i = 0; i < past->count; i++) logits[past->ids[i]] = -INFINITY;
        return;
    }
    const int32_t *newest = past->ids + past->count - others;
    int border[CUD_MAX_NGRAM]; /* how many tokens of newest[0..i] are both its beginning and its end */
    border[0] = 0;
    for (int i = 1, k = 0; i < others; i++) {
        while (k > 0 && newest[i] != newest[k]) k = border[k - 1];
        if (newest[i] == newest[k]) k++;
        border[i] = k;
    }
    for (int i = 0, k = 0; i < past->count - 1; i++) {
        while (k > 0 && past->ids[i] != newest[k]) k = border[k - 1];
        if (past->ids[i] == newest[k]) k++;
        if (k < others) continue;
        logits[past->ids[i + 1]] = -INFINITY;
        k = border[k - 1];
    }
}

static void suppress(float *logits, int vocabulary, const int32_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] >= 0 && ids[i] < vocabulary) logits[ids[i]] = -INFINITY;
}

static void allow(float *logits, int vocabulary, const uint32_t *allowed)
{
    for (int i = 0; i < vocabulary; i++)
        if (!(allowed[i / 32] >> i % 32 & 1)) logits[i] = -INFINITY;
}

static void force(float *logits, int vocabulary, const int32_t *ids, size_t count)
{
    for (int i = 0; i < vocabulary; i++) logits[i] = -INFINITY;
    for (size_t i = 0; i < count; i++) logits[ids[i]] = 0;
}

static void remove_invalid(float *logits, int vocabulary)
{
    for (int i = 0; i < vocabulary; i++) {
        if (isnan(logits[i])) logits[i] = 0;
        else if (isinf(logits[i])) logits[i] = logits[i] > 0 ? DRAW_MOST : -DRAW_MOST;
    }
}

/* The further beyond the start, the more of its own size is added to an end's logit. */
static void decay(float *logits, int vocabulary, const sampling *how, int beyond)
{
    const double grown = pow((double)how->decay_factor, beyond) - 1;
    const float share = grown < (double)DRAW_MOST ? (float)grown : DRAW_MOST;
    for (size_t i = 0; i < how->end_count; i++) {
        const int32_t id = how->ends[i];
        if (id >= 0 && id < vocabulary && isfinite(logits[id])) logits[id] += fabsf(logits[id]) * share;
    }
}

static bool decays(const sampling *how, const history *past)
{
    return how->decay_factor > 0 && how->decay_factor != 1.0f && past->produced > how->decay_start;
}

static bool forces_bos(const sampling *how, const history *past) { return how->forced_bos_count > 0 && past->count == 1; }
static bool forces_eos(const sampling *how, const history *past) { return how->forced_eos_count > 0 && past->last; }

unsigned cud_bans(const sampling *how, const history *past)
{
    /* Behind a forced first token the one that follows counts as the first. */
    const int first = how->forced_bos_count > 0 && past->count - past->produced <= 1;
    unsigned bans = how->begin_suppress_count > 0 && past->produced == first ? CUD_BAN_BEGIN : 0;
    if (how->end_count > 0 && (past->count < how->min_length || past->produced < how->min_tokens)) bans |= CUD_BAN_ENDS;
    return bans;
}

void cud_adjust_logits(sampler *s, const sampling *how, const history *past, float *logits)
{
    const unsigned bans = cud_bans(how, past);
    if (how->bias.count > 0) add_biases(s, &how->bias, past, logits);
    if (how->repetition_penalty != 1.0f) penalise(s, logits, how->repetition_penalty, past);
    if (how->frequency_penalty != 0.0f || how->presence_penalty != 0.0f)
        penalise_produced(s, logits, how->frequency_penalty, how->presence_penalty, past);
    if (how->no_repeat_ngram > 0) forbid_repeated(logits, how->no_repeat_ngram, past);
    if (how->bad_words.count > 0) forbid_sequences(&how->bad_words, past, logits);
    if (bans & CUD_BAN_ENDS) suppress(logits, s->vocabulary, how->ends, how->end_count);
    if (how->allowed) allow(logits, s->vocabulary, how->allowed);
    if (forces_bos(how, past)) force(logits, s->vocabulary, how->forced_bos, how->forced_bos_count);
    if (forces_eos(how, past)) force(logits, s->vocabulary, how->forced_eos, how->forced_eos_count);
    if (how->remove_invalid) remove_invalid(logits, s->vocabulary);
    if (decays(how, past)) decay(logits, s->vocabulary, how, past->produced - how->decay_start);
    suppress(logits, s->vocabulary, how->suppress, how->suppress_count);
    if (bans & CUD_BAN_BEGIN) suppress(logits, s->vocabulary, how->begin_suppress, how->begin_suppress_count);
}

host_part cud_sampling_needs_host(const sampling *how, const history *past)
{
    const bool adjusts = how->bias.count > 0 || how->bad_words.count > how->bad_words.singles || how->no_repeat_ngram > 0 ||
                         how->frequency_penalty != 0.0f || how->presence_penalty != 0.0f || how->remove_invalid;
    const bool cuts = (how->typical_p > 0 && how->typical_p < 1) || (how->epsilon_cutoff > 0 && how->epsilon_cutoff < 1) ||
                      (how->eta_cutoff > 0 && how->eta_cutoff < 1) || how->top_h > 0;
    if (!how->greedy && cuts) return HOST_PICKS;
    return adjusts || forces_bos(how, past) || forces_eos(how, past) || decays(how, past) ? HOST_ADJUSTS : HOST_NOTHING;
}
