#include "tasks/token_classification.h"

#include "tasks/characters.h"
#include "tasks/scores.h"
#include "tasks/text_classification.h"
#include "text/tokenizer.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

cuddle_status cud_aggregation_parse(cud_aggregation *out, const char *name, cuddle_error *err)
{
    static const char *const names[] = { "none", "simple", "first", "average", "max" };
    *out = CUD_AGGREGATE_NONE;
    if (!name) return CUDDLE_OK;
    for (int i = 0; i < 5; i++) {
        const char *lower = names[i], *c = name;
        while (*lower && (*c == *lower || *c == *lower - 'a' + 'A')) c++, lower++;
        if (*lower || *c) continue;
        *out = (cud_aggregation)i;
        return CUDDLE_OK;
    }
    return cud_fail(err, CUDDLE_E_ARG, "aggregation_strategy is \"%.60s\", expected none, simple, first, average or max", name);
}

/* ---- what one call works on ---- */

typedef struct name { /* a label and what it is made of */
    const char *whole, *tag;
    bool begins; /* "B-" */
    char buffer[CUD_LABEL_BUFFER];
} name;

typedef struct unit { /* a token, or a word of several */
    size_t label, index, begin, end;
    float score;
    cud_span_text word;
    char *owned;  /* the word, if it is ours */
    bool inside;  /* of a word */
} unit;

typedef struct job {
    const cuddle_tokenizer *tokenizer;
    const char *text;
    size_t length;
    cud_characters characters;
    const cud_token_options *o;
    name *names;    /* [label_count] */
    float *scores;  /* [tokens of the window that has most][label_count] */
    float *average; /* [label_count] */
    unit *units;    /* [tokens] */
    cud_span_text *words; /* [tokens] */
    cud_entities *out;
    size_t room;
} job;

static const char *group_of(const char *label)
{
    const char *dash = strchr(label, '-');
    return dash ? dash + 1 : label;
}

static bool ignored(const cud_token_options *o, const char *label)
{
    if (!o->ignore) return strcmp(label, "O") == 0;
    for (size_t i = 0; i < o->ignore_count; i++)
        if (strcmp(label, o->ignore[i]) == 0) return true;
    return false;
}

static void look_at_labels(job *j)
{
    for (size_t i = 0; i < j->o->label_count; i++) {
        name *n = &j->names[i];
        n->whole = cud_label(j->o->labels, j->o->label_count, i, n->buffer);
        n->begins = strncmp(n->whole, "B-", 2) == 0;
        n->tag = n->begins || strncmp(n->whole, "I-", 2) == 0 ? n->whole + 2 : n->whole;
    }
}

/* ---- tokens ---- */

static size_t border(const job *j, size_t at) /* offsets of affixes that fell back to bytes mean nothing, but must not cut a character */
{
    while (at < j->length && at > 0 && ((unsigned char)j->text[at] & 0xc0) == 0x80) at--;
    return at < j->length ? at : j->length;
}

/* Does the token go on with a word? WordPiece says so by a prefix, which makes it longer than its text; elsewhere it does if there is no
 * space before it or at its beginning. */
static bool goes_on(const job *j, const unit *u)
{
    if (cud_tokenizer_marks_inner(j->tokenizer))
        return cud_characters_count(u->word.text, u->word.length) != cud_characters_count(j->text + u->begin, u->end - u->begin);
    return u->begin > 0 && j->text[u->begin - 1] != ' ' && !(u->begin < j->length && j->text[u->begin] == ' ');
}

/* Fills units with the tokens of the window that are not special. */
static cuddle_status read_tokens(size_t *count, job *j, const cud_token_window *window, cuddle_error *err)
{
    const cuddle_encoding *e = window->encoding;
    const size_t columns = j->o->label_count;
    const int32_t unk = cud_tokenizer_named(j->tokenizer, CUDDLE_SPECIAL_UNK);
    *count = 0;
    cuddle_status status = cud_scores_finite(window->logits, e->count * columns, "token-classification", "logit", err);
    for (size_t i = 0; i < e->count && !status; i++) {
        if (e->special[i]) continue;
        const char *token = e->ids[i] >= 0 ? cud_tokenizer_token(j->tokenizer, e->ids[i]) : NULL;
        if (!token) return cud_fail(err, CUDDLE_E_ARG, "token-classification: the tokenizer has no token %d", (int)e->ids[i]);
        float *score = j->scores + i * columns;
        cud_softmax(score, window->logits + i * columns, columns);
        unit *u = &j->units[(*count)++];
        *u = (unit){ .label = cud_argmax(score, columns), .index = i, .word = { token, strlen(token) } };
        u->score = score[u->label];
        u->begin = border(j, e->begin[i]);
        u->end = border(j, e->end[i]);
        if (u->end < u->begin) u->end = u->begin;
        u->inside = e->ids[i] != unk && goes_on(j, u);
        if (e->ids[i] == unk) u->word = (cud_span_text){ j->text + u->begin, u->end - u->begin };
    }
    return status;
}

/* The text of some units; *out is owned. */
static cuddle_status join(char **out, size_t *length, job *j, const unit *u, size_t count, cuddle_error *err)
{
    for (size_t i = 0; i < count; i++) j->words[i] = u[i].word;
    return cud_tokenizer_join(out, length, j->tokenizer, j->words, count, err);
}

/* ---- words ---- */

/* Tokens first[0..count) are a word: its label and score go to *out. */
static void judge_word(unit *out, const job *j, const unit *first, size_t count)
{
    const size_t columns = j->o->label_count;
    size_t best = 0;
    if (j->o->aggregation == CUD_AGGREGATE_AVERAGE) {
        for (size_t c = 0; c < columns; c++) {
            double sum = 0;
            for (size_t i = 0; i < count; i++) sum += (double)j->scores[first[i].index * columns + c];
            j->average[c] = (float)(sum / (double)count);
        }
        out->label = cud_argmax(j->average, columns);
        out->score = j->average[out->label];
        return;
    }
    for (size_t i = 1; i < count && j->o->aggregation == CUD_AGGREGATE_MAX; i++)
        if (first[i].score > first[best].score) best = i;
    out->label = first[best].label;
    out->score = first[best].score;
}

/* Words take the place of their tokens. */
static cuddle_status make_words(size_t *count, job *j, cuddle_error *err)
{
    size_t words = 0;
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0, next; i < *count && !status; i = next) {
        for (next = i + 1; next < *count && j->units[next].inside;) next++;
        unit word = { .begin = j->units[i].begin, .end = j->units[next - 1].end };
        judge_word(&word, j, j->units + i, next - i);
        status = join(&word.owned, &word.word.length, j, j->units + i, next - i, err);
        if (status) break;
        word.word.text = word.owned;
        j->units[words++] = word; /* never before a token that is still to be read */
    }
    *count = words;
    return status;
}

/* ---- entities ---- */

/* Takes `word` over. */
static cuddle_status add(job *j, cud_entity e, cuddle_error *err)
{
    if (j->out->count == j->room) {
        const size_t room = j->room ? 2 * j->room : 16;
        cud_entity *item = realloc(j->out->item, room * sizeof *item);
        if (!item) {
            free(e.word);
            return cud_nomem(err, room * sizeof *item, "entities");
        }
        j->out->item = item;
        j->room = room;
    }
    e.first = cud_characters_at(&j->characters, e.begin);
    e.last = cud_characters_at(&j->characters, e.end);
    j->out->item[j->out->count++] = e;
    return CUDDLE_OK;
}

static cuddle_status add_token(job *j, const unit *u, cuddle_error *err)
{
    if (ignored(j->o, j->names[u->label].whole)) return CUDDLE_OK;
    cud_entity e = { .label = u->label, .score = u->score, .index = u->index, .word_length = u->word.length, .begin = u->begin, .end = u->end };
    e.word = malloc(u->word.length + 1);
    if (!e.word) return cud_nomem(err, u->word.length + 1, "a word");
    memcpy(e.word, u->word.text, u->word.length);
    e.word[u->word.length] = 0;
    return add(j, e, err);
}

static cuddle_status add_group(job *j, const unit *u, size_t count, cuddle_error *err)
{
    if (ignored(j->o, group_of(j->names[u->label].whole))) return CUDDLE_OK;
    cud_entity e = { .label = u->label, .begin = u->begin, .end = u[count - 1].end };
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)u[i].score;
    e.score = (float)(sum / (double)count);
    const cuddle_status status = join(&e.word, &e.word_length, j, u, count, err);
    return status ? status : add(j, e, err);
}

static cuddle_status add_groups(job *j, size_t count, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0, next; i < count && !status; i = next) {
        const char *tag = j->names[j->units[i].label].tag;
        for (next = i + 1; next < count; next++) {
            const name *n = &j->names[j->units[next].label];
            if (n->begins || strcmp(n->tag, tag) != 0) break;
        }
        status = add_group(j, j->units + i, next - i, err);
    }
    return status;
}

static cuddle_status run_window(job *j, const cud_token_window *window, cuddle_error *err)
{
    size_t count;
    cuddle_status status = read_tokens(&count, j, window, err);
    if (!status && j->o->aggregation > CUD_AGGREGATE_SIMPLE) status = make_words(&count, j, err);
    if (!status && j->o->aggregation != CUD_AGGREGATE_NONE) status = add_groups(j, count, err);
    for (size_t i = 0; i < count && !status && j->o->aggregation == CUD_AGGREGATE_NONE; i++) status = add_token(j, &j->units[i], err);
    for (size_t i = 0; i < count; i++) free(j->units[i].owned);
    return status;
}

/* ---- windows that overlap ---- */

typedef struct ranked {
    cud_entity entity;
    size_t at;
} ranked;

static int by_start(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->entity.begin != y->entity.begin) return x->entity.begin < y->entity.begin ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* The pipeline compares the first entity with itself, too; where it is empty the two do not overlap, and it is there twice. */
static cuddle_status repeat_empty(cud_entities *e, cuddle_error *err)
{
    size_t first = 0;
    for (size_t i = 1; i < e->count; i++)
        if (e->item[i].begin < e->item[first].begin) first = i;
    const cud_entity *const empty = &e->item[first];
    if (empty->begin < empty->end) return CUDDLE_OK;
    cud_entity again = *empty;
    again.word = malloc(again.word_length + 1);
    if (!again.word) return cud_nomem(err, again.word_length + 1, "a word");
    memcpy(again.word, empty->word, again.word_length + 1);
    cud_entity *item = realloc(e->item, (e->count + 1) * sizeof *item);
    if (!item) {
        free(again.word);
        return cud_nomem(err, (e->count + 1) * sizeof *item, "entities");
    }
    e->item = item;
    memmove(item + first + 1, item + first, (e->count - first) * sizeof *item);
    item[first] = again;
    e->count++;
    return CUDDLE_OK;
}

static cuddle_status merge_overlaps(cud_entities *e, cuddle_error *err)
{
    if (e->count == 0) return CUDDLE_OK;
    const cuddle_status status = repeat_empty(e, err);
    if (status) return status;
    ranked *all = malloc(e->count * sizeof *all);
    if (!all) return cud_nomem(err, e->count * sizeof *all, "entities");
    const size_t count = e->count;
    for (size_t i = 0; i < count; i++) all[i] = (ranked){ e->item[i], i };
    qsort(all, count, sizeof *all, by_start);
    cud_entity kept = all[0].entity;
    e->count = 0;
    for (size_t i = 1; i < count; i++) {
        cud_entity next = all[i].entity;
        if (next.begin < kept.end) { /* they overlap: the longer stays */
            const size_t length = next.last - next.first, most = kept.last - kept.first;
            const bool better = length > most || (length == most && next.score > kept.score);
            free(better ? kept.word : next.word);
            if (better) kept = next;
        } else {
            e->item[e->count++] = kept;
            kept = next;
        }
    }
    e->item[e->count++] = kept;
    free(all);
    return CUDDLE_OK;
}

static cuddle_status allocate(job *j, size_t tokens, cuddle_error *err)
{
    const size_t columns = j->o->label_count;
    if (columns > SIZE_MAX / sizeof(name) || tokens > SIZE_MAX / sizeof(unit) || (tokens && columns > SIZE_MAX / sizeof(float) / tokens))
        return cud_fail(err, CUDDLE_E_LIMIT, "token-classification: %zu tokens with %zu labels", tokens, columns);
    j->names = malloc(columns * sizeof *j->names);
    j->average = malloc(columns * sizeof *j->average);
    j->scores = malloc(tokens * columns * sizeof *j->scores + 1);
    j->units = malloc(tokens * sizeof *j->units + 1);
    j->words = malloc(tokens * sizeof *j->words + 1);
    if (j->names && j->average && j->scores && j->units && j->words) return CUDDLE_OK;
    return cud_nomem(err, tokens * columns * sizeof *j->scores, "token-classification");
}

cuddle_status cud_token_classify(cud_entities *out, const cuddle_tokenizer *tokenizer, const char *text, size_t length,
                                 const cud_token_window *window, size_t windows, const cud_token_options *options, cuddle_error *err)
{
    job j = { .tokenizer = tokenizer, .text = text, .length = length, .o = options, .out = out };
    size_t most = 0;
    *out = (cud_entities){ 0 };
    if (options->label_count == 0) return cud_fail(err, CUDDLE_E_ARG, "token-classification: no labels");
    if (windows > 1 && options->aggregation == CUD_AGGREGATE_NONE)
        return cud_fail(err, CUDDLE_E_ARG, "token-classification: a text in %zu windows needs an aggregation_strategy that is not none", windows);
    for (size_t i = 0; i < windows; i++) most = window[i].encoding->count > most ? window[i].encoding->count : most;
    cuddle_status status = cud_characters_init(&j.characters, text, length, "token-classification", err);
    if (!status) status = allocate(&j, most, err);
    if (!status) look_at_labels(&j);
    for (size_t i = 0; i < windows && !status; i++) status = run_window(&j, &window[i], err);
    if (!status && windows > 1) status = merge_overlaps(out, err);
    if (status) cud_entities_free(out);
    free(j.names);
    free(j.average);
    free(j.scores);
    free(j.units);
    free(j.words);
    cud_characters_free(&j.characters);
    return status;
}

void cud_entities_free(cud_entities *e)
{
    for (size_t i = 0; i < e->count; i++) free(e->item[i].word);
    free(e->item);
    *e = (cud_entities){ 0 };
}

void cud_entities_write(cud_writer *w, const cud_entities *e, const cud_token_options *o)
{
    const bool grouped = o->aggregation != CUD_AGGREGATE_NONE;
    char buffer[CUD_LABEL_BUFFER];
    cud_write_open(w, '[');
    for (size_t i = 0; i < e->count; i++) {
        const cud_entity *item = &e->item[i];
        const char *label = cud_label(o->labels, o->label_count, item->label, buffer);
        if (grouped) label = group_of(label);
        cud_write_open(w, '{');
        cud_write_key(w, grouped ? "entity_group" : "entity");
        cud_write_text(w, label, strlen(label));
        cud_write_key(w, "score");
        cud_write_float(w, item->score);
        if (!grouped) cud_write_key(w, "index"), cud_write_count(w, item->index);
        cud_write_key(w, "word");
        cud_write_text(w, item->word, item->word_length);
        cud_write_key(w, "start");
        cud_write_count(w, item->first);
        cud_write_key(w, "end");
        cud_write_count(w, item->last);
        cud_write_close(w, '}');
    }
    cud_write_close(w, ']');
}
