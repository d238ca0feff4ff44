#include "core/step.h"

/* Walks the block's parts in order. With a block it sets the pointers, without one it only counts. Returns elements, or SIZE_MAX. */
static size_t layout(step *s, const step_caps *caps, int32_t *block)
{
    size_t at = 0;
    struct { int32_t **target; size_t rows, cols; } parts[10 + 2 * CUD_MAX_KV_GROUPS];
    int n = 0;
    const size_t tokens = (size_t)caps->tokens, sequences = (size_t)caps->sequences;
#define PART(field, r, c) parts[n].target = (field), parts[n].rows = (size_t)(r), parts[n].cols = (size_t)(c), n++
    PART(&s->ids, 1, tokens);
    PART(&s->positions, caps->axes, tokens);
    PART(&s->starts, 1, sequences + 1);
    PART(&s->kv_lengths, 1, sequences);
    PART(&s->adapters, 1, sequences);
    PART(&s->output_rows, 1, caps->outputs);
    PART(&s->types, caps->types, tokens);
    for (int g = 0; g < caps->groups; g++) {
        PART(&s->slots[g], 1, tokens);
        PART(&s->block_table[g], sequences, caps->table_width[g]);
    }
    int32_t *sampling, *page_copies;
    PART(&sampling, caps->outputs, sizeof(sample_row) / sizeof(int32_t));
    PART(&s->picked, 1, caps->outputs);
    PART(&page_copies, sequences, sizeof(page_copy) / sizeof(int32_t));
#undef PART
    for (int i = 0; i < n; i++) {
        size_t count;
        *parts[i].target = block ? block + at : NULL;
        if (__builtin_mul_overflow(parts[i].rows, parts[i].cols, &count) || count > SIZE_MAX / sizeof(int32_t) - 64 - at) return SIZE_MAX;
        at = (at + count + 15) / 16 * 16; /* parts begin at 64 bytes */
    }
    s->sampling = (sample_row *)(void *)sampling;
    s->page_copies = (page_copy *)(void *)page_copies;
    if (!caps->types) s->types = NULL;
    return at;
}

size_t cud_step_bytes(const step_caps *caps)
{
    step s;
    const size_t elements = layout(&s, caps, NULL);
    return elements > SIZE_MAX / sizeof(int32_t) ? 0 : elements * sizeof(int32_t);
}

void cud_step_bind(step *s, const step_caps *caps, void *block)
{
    layout(s, caps, block);
    s->axes = caps->axes;
    s->groups = caps->groups;
    s->position_stride = caps->tokens;
    for (int g = 0; g < caps->groups; g++) s->table_width[g] = caps->table_width[g];
}
