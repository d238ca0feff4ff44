#include "text/runs.h"

#include "text/settings.h"

#include <stdlib.h>
#include <string.h>

cuddle_status cud_tokens_grow(cud_tokens *t, cuddle_error *err)
{
    const size_t room = t->room + t->room / 2 + 32; /* a copy may have room for one */
    cud_token *grown = room > SIZE_MAX / sizeof *grown ? NULL : realloc(t->token, room * sizeof *grown);
    if (!grown) return cud_nomem(err, room * sizeof *grown, "the tokens of a text");
    t->token = grown;
    t->room = room;
    return CUDDLE_OK;
}

static cuddle_status copy_tokens(cud_tokens *out, const cud_token *token, size_t count, cuddle_error *err)
{
    *out = (cud_tokens){ 0 };
    if (!count) return CUDDLE_OK;
    out->token = malloc(count * sizeof *token);
    if (!out->token) return cud_nomem(err, count * sizeof *token, "the tokens of a text");
    memcpy(out->token, token, count * sizeof *token);
    out->count = out->room = count;
    return CUDDLE_OK;
}

void cud_run_free(cud_run *p)
{
    for (size_t i = 0; i < p->windows; i++) free(p->window[i].token);
    free(p->window);
    free(p->tokens.token);
    *p = (cud_run){ 0 };
}

void cud_runs_free(cud_run *run, int count)
{
    for (int i = 0; i < count; i++) cud_run_free(&run[i]);
    free(run);
}

/* Room for `count` empty windows in a part that has none. */
static cuddle_status make_windows(cud_run *p, size_t count, cuddle_error *err)
{
    if (!count) return CUDDLE_OK;
    p->window = calloc(count, sizeof *p->window);
    if (!p->window) return cud_nomem(err, count * sizeof *p->window, "the windows of a text");
    p->windows = count;
    return CUDDLE_OK;
}

cuddle_status cud_run_copy(cud_run *out, const cud_run *from, cuddle_error *err)
{
    *out = (cud_run){ 0 };
    cuddle_status status = copy_tokens(&out->tokens, from->tokens.token, from->tokens.count, err);
    if (!status) status = make_windows(out, from->windows, err);
    for (size_t i = 0; i < from->windows && !status; i++)
        status = copy_tokens(&out->window[i], from->window[i].token, from->window[i].count, err);
    return status;
}

static cuddle_status keep_windows(cud_run *p, size_t most, size_t stride, bool left, cuddle_error *err)
{
    const size_t count = p->tokens.count;
    if (most && stride >= most)
        return cud_fail(err, CUDDLE_E_ARG, "stride is %zu where only %zu tokens of a text are kept, expected fewer", stride, most);
    const size_t step = most - stride, windows = most ? (count - most - 1) / step + 1 : 1;
    if (windows > CUD_MAX_WINDOWS || windows > CUD_MAX_WINDOW_TOKENS / (most ? most : 1))
        return cud_fail(err, CUDDLE_E_LIMIT,
                        "%zu tokens in windows of %zu with stride %zu, expected at most %d windows and %d tokens", count, most,
                        stride, CUD_MAX_WINDOWS, CUD_MAX_WINDOW_TOKENS);
    cuddle_status status = make_windows(p, windows, err);
    for (size_t i = 0; i < windows && !status; i++) {
        size_t begin = 0, end = count; /* all of it, where nothing is kept */
        if (most && !left) {
            begin = (i + 1) * step;
            end = count - begin < most ? count : begin + most;
        } else if (most) {
            end = count - (i + 1) * step;
            begin = end < most ? 0 : end - most;
        }
        status = copy_tokens(&p->window[i], p->tokens.token + begin, end - begin, err);
    }
    return status;
}

static cuddle_status truncate(cud_run *p, size_t most, const cud_cut *cut, cuddle_error *err)
{
    const size_t count = p->tokens.count;
    if (count <= most) return CUDDLE_OK;
    const cuddle_status status = cut->drops ? CUDDLE_OK : keep_windows(p, most, cut->stride, cut->left, err);
    if (cut->left && most) memmove(p->tokens.token, p->tokens.token + count - most, most * sizeof *p->tokens.token);
    p->tokens.count = most;
    return status;
}

/* LongestFirst: the shorter text keeps all it has as long as that is at most half, and the longer one the rest. */
static void share(size_t *first, size_t *second, size_t most)
{
    const bool swap = *first > *second;
    size_t n1 = swap ? *second : *first, n2 = n1;
    if (n1 <= most && most - n1 > n1) n2 = most - n1;
    if (n1 + n2 > most) {
        n1 = most / 2;
        n2 = n1 + most % 2;
    }
    *first = swap ? n2 : n1;
    *second = swap ? n1 : n2;
}

cuddle_status cud_runs_truncate(cud_run *run, int texts, const cud_cut *cut, size_t most, cuddle_error *err)
{
    size_t keep[2] = { run[0].tokens.count, texts > 1 ? run[1].tokens.count : 0 };
    const size_t total = keep[0] + keep[1];
    if (most && total <= most) return CUDDLE_OK;
    if (!most) {
        keep[0] = keep[1] = 0;
    } else if (cut->strategy == CUDDLE_TRUNCATE_LONGEST_FIRST) {
        if (texts > 1)
            share(&keep[0], &keep[1], most);
        else
            keep[0] = most;
    } else {
        const int target = cut->strategy == CUDDLE_TRUNCATE_ONLY_SECOND;
        if (target >= texts) return cud_fail(err, CUDDLE_E_ARG, "truncation is ONLY_SECOND, but there is no second text");
        if (keep[target] <= total - most)
            return cud_fail(err, CUDDLE_E_ARG, "truncation of only the %s text: it has %zu tokens, and %zu in all must go",
                            target ? "second" : "first", keep[target], total - most);
        keep[target] -= total - most;
    }
    cuddle_status status = truncate(&run[0], keep[0], cut, err);
    if (!status && texts > 1) status = truncate(&run[1], keep[1], cut, err);
    return status;
}
