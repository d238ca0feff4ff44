/* Which rows the next step has. Decoding sequences come first, one row each, then prompts in chunks until the step is full. Pages for a
 * request's longest possible output are taken when it is admitted, so a running request never has to stop for want of memory. */
#include "engine/engine.h"

#include <string.h>

static int remaining(const cuddle_request *r) { return r->count - r->computed; }
static bool decoding(const cuddle_request *r) { return r->computed >= r->prompt_count; }

/* How many of the remaining rows come before the first one whose logits are wanted. */
static int silent_rows(const cuddle_request *r)
{
    if (decoding(r)) return 0;
    if (!r->g.prompt_logprobs) return remaining(r) - 1;
    const int from = r->g.prompt_from < r->prompt_count ? r->g.prompt_from : r->prompt_count;
    return from - 1 > r->computed ? from - 1 - r->computed : 0;
}

void cud_scheduler_admit(cuddle_model *h)
{
    while (h->queue_head && h->running_count < h->m->caps.sequences && h->queue_head->page_count <= h->free_count) {
        cuddle_request *r = h->queue_head;
        h->queue_head = r->queue_next;
        if (!h->queue_head) h->queue_tail = NULL;
        h->queue_count--;
        r->queue_next = NULL;
        for (int i = 0; i < r->page_count; i++) r->pages[i] = h->free_pages[--h->free_count];
        for (r->seat = 0; h->seats[r->seat];) r->seat++;
        h->seats[r->seat] = true;
        r->marked = -1;
        r->running = true;
        r->started = cud_now();
        h->running[h->running_count++] = r;
    }
}

/* While it loads, a step blocks who runs it until the weights are there: fit for a thread of the engine's own that no other model needs. */
bool cud_scheduler_open(const cuddle_model *h)
{
    if (h->state == CUDDLE_MODEL_READY) return true;
    const cuddle_engine *e = h->engine;
    return h->state == CUDDLE_MODEL_LOADING && h->open_early && e->has_thread && e->models == h && !h->list_next;
}

bool cud_scheduler_has_work(const cuddle_model *h)
{
    if (h->closing || h->stepping) return false;
    if (h->state == CUDDLE_MODEL_LOADING && !cud_scheduler_open(h)) return false;
    if (h->running_count > 0) return true;
    return h->queue_head != NULL; /* the next one fits: pages were checked when it was submitted */
}

/* Adds `rows` rows of r to the step. */
static void add_sequence(cuddle_model *h, const cuddle_request *r, int rows, int outputs)
{
    step *s = &h->host;
    const int sequence = s->sequences++;
    s->starts[sequence] = s->tokens;
    s->kv_lengths[sequence] = r->computed + rows;
    s->adapters[sequence] = 0;
    for (int i = 0; i < rows; i++) {
        const int position = r->computed + i, row = s->tokens + i;
        s->ids[row] = r->ids[position];
        s->positions[row] = position;
        for (int g = 0; g < s->groups; g++) s->slots[g][row] = r->pages[position / CUD_PAGE] * CUD_PAGE + position % CUD_PAGE;
    }
    for (int g = 0; g < s->groups; g++) {
        int32_t *table = s->block_table[g] + (size_t)sequence * (size_t)s->table_width[g];
        memcpy(table, r->pages, (size_t)r->page_count * sizeof *table); /* those of later steps too */
    }
    for (int i = 0; i < outputs; i++) s->output_rows[s->outputs++] = s->tokens + rows - outputs + i;
    s->tokens += rows;
    s->starts[sequence + 1] = s->tokens;
    if (rows > s->max_query) s->max_query = rows;
    if (r->computed + rows > s->max_kv) s->max_kv = r->computed + rows;
}

int cud_scheduler_fill(cuddle_model *h)
{
    step *s = &h->host;
    const step_caps *caps = &h->m->caps;
    bool left_out = false;
    if (h->first >= h->running_count) h->first = 0;
    s->tokens = s->sequences = s->outputs = s->max_query = s->max_kv = 0;
    for (int pass = 0; pass < 2; pass++) { /* decoding, then prompts */
        for (int k = 0; k < h->running_count; k++) {
            cuddle_request *r = h->running[(h->first + k) % h->running_count];
            if (pass == 0) r->step_rows = 0;
            if (decoding(r) != (pass == 0)) continue;
            int room = caps->tokens - s->tokens;
            /* Every row of a prompt that predicts a token whose log-probability is wanted is an output row. */
            const int silent = silent_rows(r);
            if (caps->outputs - s->outputs < room - silent) room = silent + caps->outputs - s->outputs;
            const int rows = room <= 0 || s->outputs == caps->outputs ? 0 : remaining(r) < room ? remaining(r) : room;
            const bool last = rows == remaining(r);
            if (!last) left_out = true;
            if (rows == 0) continue;
            r->step_rows = rows;
            r->step_outputs = rows > silent ? rows - silent : 0;
            r->step_first_output = s->outputs;
            r->step_samples = last;
            add_sequence(h, r, rows, r->step_outputs);
        }
    }
    /* Another begins where not all found room; else the order stays, so that the device's block may. */
    if (left_out) h->first = (h->first + 1) % h->running_count;
    return s->tokens;
}
