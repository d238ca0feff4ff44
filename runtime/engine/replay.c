/* Decode steps as graphs. A step in which every sequence has one row and the device picks the tokens is padded to a batch of some few sizes,
 * run as it is the first time, captured the second time and replayed from then on. The graph ends with `advance`, which turns the block of
 * this step into that of the next: as long as the same sequences go on, nothing is sent to the device but the launch. Where a grammar has a say,
 * the graph ends with the logits, and tokens are picked behind it: meanwhile the host makes the masks. */
#include "engine/engine.h"

#include <string.h>

enum { FIRST_CONTEXT = 256 };

/* 1 to 8, then four sizes to a doubling: at most an eighth of the rows and one more are padding. */
static int batch_bucket(int sequences, int most)
{
    int grain = 1;
    while (sequences > 8 * grain) grain *= 2;
    const int bucket = (sequences + grain - 1) / grain * grain;
    return bucket < most ? bucket : most;
}

static int context_bucket(int length, int most)
{
    int bucket = FIRST_CONTEXT;
    while (bucket < length) bucket *= 2;
    return bucket < most ? bucket : most;
}

bool cud_replay_fits(const cuddle_model *h, const exec *ex)
{
    const step *s = &h->host;
    /* A step that waits for weights cannot be captured. */
    return ex->ops->capture_begin && !ex->layer_begin && s->tokens == s->sequences && s->outputs == s->sequences;
}

/* Fills the step up with rows that see nothing and leave nothing. */
static void pad(step *s, int bucket)
{
    for (int i = s->sequences; i < bucket; i++) {
        s->ids[i] = 0;
        for (int a = 0; a < s->axes; a++) s->positions[a * s->position_stride + i] = 0;
        s->starts[i + 1] = i + 1;
        s->kv_lengths[i] = 0;
        s->adapters[i] = 0;
        s->output_rows[i] = i;
        for (int g = 0; g < s->groups; g++) s->slots[g][i] = -1;
        s->sampling[i] = (sample_row){ .greedy = 1, .temperature = 1, .top_p = 1, .repetition_penalty = 1, .seat = -1 };
    }
    s->tokens = s->sequences = s->outputs = bucket;
}

/* What the device's block holds of a request, `more` tokens from now. */
static replay_ahead ahead_of(const cuddle_request *r, int more)
{
    const task *t = &r->task;
    return (replay_ahead){ r, t->count + more, t->page_count, t->preemptions, t->step_first_output };
}

/* Does the device's block hold this step already? */
static bool is_there(const cuddle_model *h, const produced *p, int count)
{
    if (h->ahead_count != count) return false;
    for (int i = 0; i < count; i++) {
        const replay_ahead now = ahead_of(p[i].request, 0), *sent = &h->ahead[i];
        if (sent->request != now.request || sent->count != now.count || sent->row != now.row || sent->pages != now.pages ||
            sent->preemptions != now.preemptions)
            return false;
    }
    return true;
}

static cuddle_status run_picking(cuddle_model *h, exec *ex, const replay_entry *e, cuddle_error *err)
{
    const cuddle_status status = cud_model_sample(ex, h->m, &h->device, e->logits, err);
    return status ? status : ex->ops->advance(ex, &h->device, err);
}

static cuddle_status run_ops(cuddle_model *h, exec *ex, replay_entry *e, cuddle_error *err)
{
    const cuddle_status status = cud_model_forward(ex, h->m, &h->device, &e->logits, err);
    e->workspace = cud_ws_mark(ex);
    return status || e->apart ? status : run_picking(h, ex, e, err);
}

/* The entry for a shape: the one there is, a free one, or the one that was not used for longest. */
static replay_entry *find(cuddle_model *h, int sequences, int max_kv, bool apart)
{
    replay_entry *oldest = &h->replays[0];
    for (int i = 0; i < CUD_MAX_REPLAYS; i++) {
        replay_entry *e = &h->replays[i];
        if (e->used && e->sequences == sequences && e->max_kv == max_kv && e->apart == apart) return e;
        if (e->used < oldest->used) oldest = e;
    }
    h->m->backend->ops->graph_free(h->m->backend, oldest->graph);
    *oldest = (replay_entry){ .sequences = sequences, .max_kv = max_kv, .apart = apart };
    return oldest;
}

/* A step that cannot be captured, for want of memory say, is run as it is. */
static void capture(cuddle_model *h, exec *ex, replay_entry *e)
{
    cuddle_error why = { CUDDLE_OK, "" };
    cuddle_status status = ex->ops->capture_begin(ex, &why);
    if (!status) {
        status = run_ops(h, ex, e, &why);
        const cuddle_status ended = ex->ops->capture_end(ex, &e->graph, status != CUDDLE_OK, &why);
        if (!status) status = ended;
    }
    e->plain = status != CUDDLE_OK;
    if (status) cud_log(&h->engine->log, CUDDLE_LOG_WARN, "steps of %d sequences run without a graph: %s", e->sequences, why.text);
}

cuddle_status cud_replay_run(cuddle_model *h, exec *ex, produced *p, int count, cuddle_error *err)
{
    model *m = h->m;
    const bool there = h->host.copies == 0 && is_there(h, p, count);
    h->ahead_count = 0;
    pad(&h->host, batch_bucket(h->host.sequences, m->caps.sequences));
    step *s = &h->device;
    s->tokens = s->sequences = s->outputs = h->host.sequences;
    s->copies = h->host.copies;
    s->max_query = 1;
    s->max_kv = context_bucket(h->host.max_kv, m->max_context);
    replay_entry *e = find(h, s->sequences, s->max_kv, cud_constrain_any(p, count));

    cuddle_status status = there ? CUDDLE_OK : ex->ops->upload(ex, m->step_block, h->host_block, m->step_bytes, err);
    if (!there) h->block_uploads++;
    if (!status) status = cud_model_copy_pages(ex, m, s, err); /* not part of the graph */
    if (!status && !e->graph && e->used && !e->plain) capture(h, ex, e);
    if (!status && e->graph) {
        status = ex->ops->replay(ex, e->graph, err);
        h->replayed++;
    } else if (!status) {
        status = run_ops(h, ex, e, err); /* the first time: whatever the device loads on first use is not loaded in a capture */
    }
    e->used = ++h->replay_clock;
    if (!status && e->apart) {
        cud_constrain_masks(h, p, count);
        cud_ws_release(ex, e->workspace); /* the logits are still in it */
        status = cud_pick_masks(h, ex, p, count, err);
        if (!status) status = run_picking(h, ex, e, err);
    }
    if (status) return status;
    for (int i = 0; i < count; i++) h->ahead[i] = ahead_of(p[i].request, 1);
    h->ahead_count = count;
    return CUDDLE_OK;
}

void cud_replay_free(cuddle_model *h, backend *b)
{
    for (int i = 0; i < CUD_MAX_REPLAYS; i++) {
        if (h->replays[i].graph) b->ops->graph_free(b, h->replays[i].graph);
        h->replays[i] = (replay_entry){ 0 };
    }
}
