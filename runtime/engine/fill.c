/* What a step is made of: the rows that the scheduler has given to each running sequence. */
#include "engine/engine.h"

#include <string.h>

static void fill_generation(const task *t, void *into)
{
    step *s = into;
    const int sequence = s->sequences++, rows = t->step_rows;
    s->starts[sequence] = s->tokens;
    s->kv_lengths[sequence] = t->computed + rows;
    s->adapters[sequence] = t->scope.adapter;
    if (t->copy_from >= 0) s->page_copies[s->copies++] = cud_task_copy(t);
    for (int i = 0; i < rows; i++) {
        const int position = t->computed + i, row = s->tokens + i;
        s->ids[row] = t->ids[position];
        s->positions[row] = position;
        for (int g = 0; g < s->groups; g++) s->slots[g][row] = t->pages[position / CUD_PAGE] * CUD_PAGE + position % CUD_PAGE;
    }
    for (int g = 0; g < s->groups; g++) {
        int32_t *table = s->block_table[g] + (size_t)sequence * (size_t)s->table_width[g];
        memcpy(table, t->pages, (size_t)t->page_count * sizeof *table); /* those of later steps too */
    }
    for (int i = 0; i < t->step_outputs; i++) s->output_rows[s->outputs++] = s->tokens + rows - t->step_outputs + i;
    s->tokens += rows;
    s->starts[sequence + 1] = s->tokens;
    if (rows > s->max_query) s->max_query = rows;
    if (t->computed + rows > s->max_kv) s->max_kv = t->computed + rows;
}

const task_kind cud_generation_kind = { .name = "generation", .paged = true, .fill = fill_generation };

void cud_fill(cuddle_model *h)
{
    step *s = &h->host;
    s->tokens = s->sequences = s->outputs = s->copies = s->max_query = s->max_kv = 0;
    for (int i = 0; i < h->scheduler.planned_count; i++) h->scheduler.planned[i]->kind->fill(h->scheduler.planned[i], s);
}
