#include "text/workshop.h"

#include <pthread.h>
#include <stdlib.h>

enum { DESKS = 16, LARGE = 1 << 20 }; /* kept at most; bytes of a text whose buffers are not kept */

struct cud_workshop {
    pthread_mutex_t lock;
    cud_desk *desks;
    int count;
    const cud_model_type *model;
};

cuddle_status cud_workshop_new(cud_workshop **out, const cud_model_type *model, cuddle_error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out) return cud_nomem(err, sizeof **out, "a tokenizer");
    pthread_mutex_init(&(*out)->lock, NULL);
    (*out)->model = model;
    return CUDDLE_OK;
}

static void clear(const cud_workshop *w, cud_desk *d)
{
    if (w->model->scratch_free) w->model->scratch_free(d->tokens.scratch);
    free(d->tokens.token);
    d->tokens = (cud_tokens){ 0 };
    cud_pieces_free(&d->pieces);
}

static void discard(const cud_workshop *w, cud_desk *d)
{
    clear(w, d);
    cud_words_free(d->words);
    free(d);
}

void cud_workshop_free(cud_workshop *w)
{
    if (!w) return;
    while (w->desks) {
        cud_desk *d = w->desks;
        w->desks = d->next;
        discard(w, d);
    }
    pthread_mutex_destroy(&w->lock);
    free(w);
}

cuddle_status cud_workshop_take(cud_desk **out, cud_workshop *w, cuddle_error *err)
{
    pthread_mutex_lock(&w->lock);
    cud_desk *d = w->desks;
    if (d) w->desks = d->next, w->count--;
    pthread_mutex_unlock(&w->lock);
    *out = d;
    if (d) {
        d->tokens.count = 0;
        return CUDDLE_OK;
    }
    d = calloc(1, sizeof *d);
    if (!d) return cud_nomem(err, sizeof *d, "a text to tokenize");
    const cuddle_status status = cud_words_new(&d->words, err);
    if (status) free(d);
    else *out = d;
    return status;
}

void cud_workshop_give(cud_workshop *w, cud_desk *d)
{
    if (d->pieces.text.room > LARGE || d->pieces.spare.room > LARGE || d->tokens.room > LARGE) clear(w, d);
    pthread_mutex_lock(&w->lock);
    const bool keep = w->count < DESKS;
    if (keep) {
        d->next = w->desks;
        w->desks = d;
        w->count++;
    }
    pthread_mutex_unlock(&w->lock);
    if (!keep) discard(w, d);
}
