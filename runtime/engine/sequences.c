#include "engine/sequences.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* `data` with room for `needed` elements, or NULL. */
static void *grown(void *data, size_t *capacity, size_t needed, size_t size)
{
    if (needed <= *capacity) return data;
    void *bigger = realloc(data, 2 * needed * size);
    if (bigger) *capacity = 2 * needed;
    return bigger;
}

cuddle_status cud_sequences_add(sequence_set *set, const int32_t *ids, size_t count, float bias, int vocabulary, const char *what,
                                cuddle_error *err)
{
    if (count == 0) return cud_fail(err, CUDDLE_E_ARG, "%s: sequence %zu has no tokens", what, set->count);
    if (count > CUD_MAX_SEQUENCE_TOKENS - set->id_count)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: more than %d tokens in all", what, CUD_MAX_SEQUENCE_TOKENS);
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= vocabulary)
            return cud_fail(err, CUDDLE_E_ARG, "%s: sequence %zu has the token %d, the model's vocabulary ends at %d", what, set->count, (int)ids[i],
                            vocabulary - 1);
    int32_t *more_ids = grown(set->ids, &set->id_capacity, set->id_count + count, sizeof *set->ids);
    if (more_ids) set->ids = more_ids;
    token_sequence *more_items = grown(set->item, &set->capacity, set->count + 1, sizeof *set->item);
    if (more_items) set->item = more_items;
    if (!more_ids || !more_items) return cud_nomem(err, 2 * (set->id_count + count) * sizeof *set->item, what);
    set->item[set->count] = (token_sequence){ .at = set->id_count, .length = (int)count, .order = (int)set->count, .bias = bias };
    set->count++;
    memcpy(set->ids + set->id_count, ids, count * sizeof *ids);
    set->id_count += count;
    return CUDDLE_OK;
}

static int ascending(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int compare_tokens(const token_sequence *x, const token_sequence *y)
{
    if (x->length != y->length) return ascending(x->length, y->length);
    for (int i = 0; i < x->length; i++)
        if (x->ids[i] != y->ids[i]) return ascending(x->ids[i], y->ids[i]);
    return 0;
}

static int by_tokens(const void *a, const void *b)
{
    const token_sequence *x = a, *y = b;
    const int order = compare_tokens(x, y);
    return order ? order : ascending(x->order, y->order);
}

/* The token before the last, -1 where there is none. */
static int32_t before_last(const token_sequence *s) { return s->length > 1 ? s->ids[s->length - 2] : -1; }

static int by_search(const void *a, const void *b)
{
    const token_sequence *x = a, *y = b;
    if (before_last(x) != before_last(y)) return ascending(before_last(x), before_last(y));
    return x->group != y->group ? ascending(x->group, y->group) : ascending(x->order, y->order);
}

void cud_sequences_seal(sequence_set *set)
{
    if (set->count == 0) return;
    for (size_t i = 0; i < set->count; i++) set->item[i].ids = set->ids + set->item[i].at;
    qsort(set->item, set->count, sizeof *set->item, by_tokens);
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (kept && compare_tokens(&set->item[kept - 1], &set->item[i]) == 0) set->item[kept - 1].bias = set->item[i].bias;
        else set->item[kept++] = set->item[i];
    }
    set->count = kept;
    for (size_t i = 0, end; i < kept; i = end) { /* those of one length lie together */
        int first = set->item[i].order;
        for (end = i; end < kept && set->item[end].length == set->item[i].length; end++)
            if (set->item[end].order < first) first = set->item[end].order;
        for (size_t k = i; k < end; k++) set->item[k].group = first;
    }
    qsort(set->item, kept, sizeof *set->item, by_search);
    set->singles = 0;
    while (set->singles < kept && set->item[set->singles].length == 1) set->singles++;
}

static bool ends_with(const int32_t *ids, int count, const token_sequence *s)
{
    const int others = s->length - 1;
    return others <= count && memcmp(ids + count - others, s->ids, (size_t)others * sizeof *ids) == 0;
}

size_t cud_sequences_next(const sequence_set *set, const int32_t *ids, int count, size_t at)
{
    if (at < set->singles) return at;
    if (count == 0) return set->count;
    const int32_t newest = ids[count - 1];
    if (at == set->singles) {
        size_t end = set->count;
        while (at < end) { /* the first whose last but one is not below it */
            const size_t middle = at + (end - at) / 2;
            if (before_last(&set->item[middle]) < newest) at = middle + 1;
            else end = middle;
        }
    }
    for (; at < set->count && before_last(&set->item[at]) == newest; at++)
        if (ends_with(ids, count, &set->item[at])) return at;
    return set->count;
}

void cud_sequences_free(sequence_set *set)
{
    free(set->ids);
    free(set->item);
    *set = (sequence_set){ 0 };
}
