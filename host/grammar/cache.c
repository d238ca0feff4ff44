#include "grammar/cache.h"

#include "core/clock.h"
#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>

struct kept_grammar {
    kept_grammar *next;
    int handles; /* the list's, that of who compiles it, and of who waits for that */
    bool ready;  /* compiled, or in vain */
    cuddle_grammar *grammar; /* NULL if in vain */
    cuddle_error failure;
    uint64_t hash;
    size_t length;
    char key[]; /* bounds, then the source, or each choice with its NUL */
};

enum { BOUNDS = 5 };

/* False where there is nothing to keep: compiling tells what is wrong. */
static bool key_length(size_t *length, const cuddle_grammar_options *o)
{
    *length = BOUNDS * sizeof(uint64_t);
    if (o->kind == CUDDLE_GRAMMAR_JSON) return true;
    if (o->kind == CUDDLE_GRAMMAR_JSON_SCHEMA || o->kind == CUDDLE_GRAMMAR_REGEX || o->kind == CUDDLE_GRAMMAR_GBNF) {
        *length += o->length;
        return o->source && o->length <= o->max_source;
    }
    if (o->kind != CUDDLE_GRAMMAR_CHOICE || !o->choices) return false;
    for (size_t i = 0; i < o->choice_count; i++) {
        if (!o->choices[i] || *length > o->max_memory) return false;
        *length += strlen(o->choices[i]) + 1;
    }
    return true;
}

static void write_key(char *key, const cuddle_grammar_options *o)
{
    const uint64_t bounds[BOUNDS] = { (uint64_t)o->kind, o->max_source, o->max_memory, o->max_steps, (uint64_t)o->max_depth };
    memcpy(key, bounds, sizeof bounds);
    key += sizeof bounds;
    if (o->kind != CUDDLE_GRAMMAR_CHOICE && o->kind != CUDDLE_GRAMMAR_JSON && o->length) memcpy(key, o->source, o->length);
    for (size_t i = 0; o->kind == CUDDLE_GRAMMAR_CHOICE && i < o->choice_count; i++) {
        const size_t size = strlen(o->choices[i]) + 1;
        memcpy(key, o->choices[i], size);
        key += size;
    }
}

static size_t size_of(const kept_grammar *k) { return sizeof *k + k->length + (k->ready && k->grammar ? cud_grammar_memory(k->grammar) : 0); }

/* The lock is held, here and below. */
static void drop(kept_grammar *k)
{
    if (--k->handles > 0) return;
    cud_grammar_release(k->grammar);
    free(k);
}

/* Takes the one of the same key out of the list; NULL if there is none. */
static kept_grammar *take(grammar_cache *c, const kept_grammar *same)
{
    for (kept_grammar **link = &c->first; *link; link = &(*link)->next) {
        kept_grammar *k = *link;
        if (k->hash != same->hash || k->length != same->length || memcmp(k->key, same->key, k->length) != 0) continue;
        *link = k->next;
        return k;
    }
    return NULL;
}

/* Gives up what failed, and what does not fit beside those asked for later. */
static void trim(grammar_cache *c)
{
    size_t count = 0, bytes = 0;
    for (kept_grammar **link = &c->first; *link;) {
        kept_grammar *k = *link;
        const size_t size = size_of(k);
        if (k->ready && (!k->grammar || count >= c->most || bytes + size > c->most_bytes)) {
            *link = k->next;
            drop(k);
            continue;
        }
        count++;
        bytes += size;
        link = &k->next;
    }
}

void cud_grammar_cache_init(grammar_cache *c, size_t most, size_t most_bytes)
{
    *c = (grammar_cache){ .most = most, .most_bytes = most_bytes, .seed = cud_hash_seed() };
    pthread_mutex_init(&c->lock, NULL);
    cud_condition_init(&c->compiled);
}

void cud_grammar_cache_free(grammar_cache *c)
{
    c->most = 0;
    trim(c);
    pthread_cond_destroy(&c->compiled);
    pthread_mutex_destroy(&c->lock);
}

static cuddle_status compile(cuddle_grammar **out, double *seconds, const cuddle_tokenizer *t, const cuddle_grammar_options *o, cuddle_error *err)
{
    const double began = cud_now();
    const cuddle_status status = cud_grammar_compile(out, t, o, err);
    *seconds = cud_now() - began;
    return status;
}

cuddle_status cud_grammar_cache_get(cuddle_grammar **out, double *seconds, grammar_cache *c, const cuddle_tokenizer *t,
                                    const cuddle_grammar_options *o, cuddle_error *err)
{
    size_t length;
    *out = NULL;
    *seconds = -1;
    if (!key_length(&length, o)) return compile(out, seconds, t, o, err);
    kept_grammar *own = calloc(1, sizeof *own + length);
    if (!own) return cud_nomem(err, sizeof *own + length, "the source of a grammar");
    own->length = length;
    write_key(own->key, o);
    own->hash = cud_hash_bytes(c->seed, own->key, length);

    pthread_mutex_lock(&c->lock);
    kept_grammar *k = take(c, own);
    const bool there = k != NULL;
    if (!there) {
        k = own;
        k->handles = 1;
    }
    k->handles++;
    k->next = c->first;
    c->first = k;
    if (!there) {
        pthread_mutex_unlock(&c->lock);
        (void)compile(&k->grammar, seconds, t, o, &k->failure); /* nobody looks at these before it is ready */
        pthread_mutex_lock(&c->lock);
        k->ready = true;
        pthread_cond_broadcast(&c->compiled);
    }
    while (!k->ready) cud_condition_wait(&c->compiled, &c->lock, 0);
    const cuddle_status status = k->grammar ? CUDDLE_OK : cud_fail(err, k->failure.status, "%s", k->failure.text);
    if (k->grammar) cud_grammar_keep(k->grammar);
    *out = k->grammar;
    trim(c);
    drop(k);
    pthread_mutex_unlock(&c->lock);
    if (there) free(own);
    return status;
}

void cud_grammar_cache_size(size_t *count, size_t *bytes, grammar_cache *c)
{
    *count = *bytes = 0;
    pthread_mutex_lock(&c->lock);
    for (const kept_grammar *k = c->first; k; k = k->next) {
        ++*count;
        *bytes += size_of(k);
    }
    pthread_mutex_unlock(&c->lock);
}
