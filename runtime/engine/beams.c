/* The beams of a request among the scheduler's tasks: moved when all of their rows have come in, and ended together. */
#include "engine/engine.h"

#include <string.h>

/* Ends every choice that has not ended; the lock is held. */
static void end_all(cuddle_request *whole, cuddle_finish finish, const cuddle_error *why)
{
    for (int i = 0; i < whole->g.best_of; i++) {
        cuddle_request *c = whole->choice[i];
        if (c->finish) continue;
        cud_scheduler_remove(&whole->model->scheduler, &c->task);
        cud_request_end(c, finish, why);
        whole->handles--; /* the scheduler's; the user's is left: nobody frees a request that is part of the step */
    }
}

/* The best hypotheses become the choices. */
static cuddle_status give_results(cuddle_request *whole, cuddle_error *err)
{
    beam_search *b = whole->beam;
    cuddle_status status = CUDDLE_OK;
    for (int i = 0; i < whole->g.best_of && !status; i++) {
        cuddle_request *c = whole->choice[i];
        const hypothesis *best = &b->finished[i];
        const int count = i < whole->g.n && i < b->finished_count ? best->count : 0;
        memcpy(c->ids + c->prompt_count, best->ids, (size_t)count * sizeof *c->ids);
        c->task.count = c->prompt_count + count;
        c->beam_score = count ? (double)best->score : 0;
        whole->model->engine->stats.generated_tokens += (uint64_t)count;
        status = cud_output_whole_text(c, err);
    }
    return status;
}

static void end_search(cuddle_request *whole)
{
    cuddle_error why = { CUDDLE_OK, "" };
    for (int i = 0; i < whole->g.best_of; i++) cud_scheduler_remove(&whole->model->scheduler, &whole->choice[i]->task); /* their ids change */
    if (give_results(whole, &why)) {
        end_all(whole, CUDDLE_FINISH_FAILED, &why);
        return;
    }
    for (int i = 0; i < whole->g.best_of; i++) {
        cuddle_request *c = whole->choice[i];
        const int count = c->task.count - c->prompt_count;
        cud_request_end(c, count && cud_output_ends(c, c->ids[c->task.count - 1]) ? CUDDLE_FINISH_EOS : CUDDLE_FINISH_LENGTH, NULL);
        whole->handles--;
    }
}

static void move(cuddle_request *whole, const int *parent, const int32_t *token, int length)
{
    beam_search *b = whole->beam;
    const size_t most = (size_t)whole->g.max_tokens;
    for (int i = 0; i < b->beams; i++)
        memcpy(b->ids + (size_t)i * most, whole->choice[i]->ids + whole->prompt_count, (size_t)length * sizeof *b->ids);
    for (int i = 0; i < b->beams; i++) {
        cuddle_request *c = whole->choice[i];
        int32_t *to = c->ids + c->prompt_count;
        if (parent[i] != i) memcpy(to, b->ids + (size_t)parent[i] * most, (size_t)length * sizeof *to);
        to[length] = token[i];
        c->task.count = c->prompt_count + length + 1;
        c->task.outputs_from = c->task.count - 1;
        c->task.after = NULL;
    }
    for (int i = 0; i < b->beams; i++) {
        if (parent[i] == i) continue;
        whole->choice[i]->task.fork_of = &whole->choice[parent[i]]->task; /* which stays what it was: cud_beam_choose() */
        cud_scheduler_rewind(&whole->model->scheduler, &whole->choice[i]->task);
    }
}

void cud_beams_publish(cuddle_request *r, cuddle_finish finish, const cuddle_error *failure)
{
    cuddle_request *whole = r->whole;
    beam_search *b = whole->beam;
    if (finish) {
        end_all(whole, finish, failure);
        return;
    }
    if (r->finish) return; /* another of them has failed in this step */
    cud_scheduler_done(&r->model->scheduler, &r->task);
    if (--b->in_step > 0 || b->missing > 0 || whole->open < whole->g.best_of) return; /* some were ended: so will be the others */
    int parent[CUD_MAX_BEAMS] = { 0 };
    int32_t token[CUD_MAX_BEAMS] = { 0 }, *made[CUD_MAX_BEAMS];
    const int length = whole->choice[b->slot[0]]->task.count - whole->prompt_count;
    for (int i = 0; i < b->beams; i++) made[i] = whole->choice[i]->ids + whole->prompt_count;
    if (whole->first_token <= 0) {
        whole->first_token = cud_now();
        whole->model->engine->stats.prompt_tokens += (uint64_t)whole->prompt_count;
        cud_histogram_add(&whole->model->engine->stats.first_token_seconds, whole->first_token - whole->submitted);
    }
    if (cud_beam_choose(b, &whole->g, made, length, parent, token)) move(whole, parent, token, length);
    else end_search(whole);
}
