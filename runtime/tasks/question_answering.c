#include "tasks/question_answering.h"

#include "format/name_table.h"
#include "tasks/characters.h"
#include "tasks/scores.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

cuddle_status cud_question_lengths_resolve(cud_question_lengths *lengths, const cuddle_tokenizer *tokenizer, cuddle_error *err)
{
    const size_t most = cud_tokenizer_max_length(tokenizer);
    if (lengths->max_length == 0) lengths->max_length = most && most < 384 ? most : 384;
    if (lengths->stride == SIZE_MAX) lengths->stride = lengths->max_length / 2 < 128 ? lengths->max_length / 2 : 128;
    if (lengths->stride <= lengths->max_length) return CUDDLE_OK;
    return cud_fail(err, CUDDLE_E_ARG, "doc_stride is %zu, expected at most max_seq_len, which is %zu", lengths->stride, lengths->max_length);
}

/* ---- what one call works on ---- */

typedef struct span { /* of tokens */
    float score;
    size_t first, last;
} span;

typedef struct answer { /* with its score as the pipeline adds it up */
    double score;
    size_t begin, end, at;
    char *key; /* its text in lower case */
} answer;

typedef struct job {
    const cuddle_tokenizer *tokenizer;
    const char *context;
    size_t length;
    const cud_question_options *o;
    float *start, *end; /* probabilities [tokens of the window that has most] */
    bool *allowed;      /* [tokens] */
    span *heap;         /* [wanted] the worst on top */
    size_t wanted;      /* of a window: some may become the same answer when they are aligned */
    answer *answers;
    size_t count, room;
    name_table known; /* key to index in answers */
    double null_score;
} job;

/* ---- spans of one window ---- */

static bool better(const span *a, const span *b)
{
    if (a->score != b->score) return a->score > b->score;
    return a->first != b->first ? a->first < b->first : a->last < b->last;
}

static void sink(span *heap, size_t count, size_t at)
{
    const span item = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && better(&heap[child], &heap[child + 1])) child++;
        if (!better(&item, &heap[child])) break;
        heap[at] = heap[child];
    }
    heap[at] = item;
}

static void rise(span *heap, size_t at)
{
    const span item = heap[at];
    for (size_t parent; at > 0 && better(&heap[parent = (at - 1) / 2], &item); at = parent) heap[at] = heap[parent];
    heap[at] = item;
}

/* The best spans, best first; they begin and end where it is allowed, but not at the first token, which stands for "no answer". */
static size_t find_spans(job *j, size_t tokens)
{
    size_t count = 0;
    for (size_t first = 1; first < tokens; first++) {
        if (!j->allowed[first]) continue;
        const size_t beyond = j->o->max_answer_tokens < tokens - first ? first + j->o->max_answer_tokens : tokens;
        for (size_t last = first; last < beyond; last++) {
            if (!j->allowed[last]) continue;
            const span s = { j->start[first] * j->end[last], first, last };
            if (count < j->wanted) {
                j->heap[count] = s;
                rise(j->heap, count++);
            } else if (better(&s, &j->heap[0])) {
                j->heap[0] = s;
                sink(j->heap, count, 0);
            }
        }
    }
    for (size_t left = count; left > 1; left--) {
        const span worst = j->heap[0];
        j->heap[0] = j->heap[left - 1];
        sink(j->heap, left - 1, 0);
        j->heap[left - 1] = worst;
    }
    return count;
}

/* Probabilities of the allowed tokens: those of the context, and those that are the class token, which some models take for "no answer". */
static void read_window(job *j, const cud_question_window *w)
{
    const cuddle_encoding *e = w->encoding;
    const int8_t context = j->o->context_first ? 0 : 1;
    const int32_t cls = cud_tokenizer_named(j->tokenizer, CUDDLE_SPECIAL_CLS);
    for (size_t i = 0; i < e->count; i++) {
        j->allowed[i] = e->attention[i] && (e->sequence_ids[i] == context || (cls >= 0 && e->ids[i] == cls));
        j->start[i] = j->allowed[i] ? w->start[i] : -10000.0f;
        j->end[i] = j->allowed[i] ? w->end[i] : -10000.0f;
    }
    cud_softmax(j->start, j->start, e->count);
    cud_softmax(j->end, j->end, e->count);
    if (e->count && (double)(j->start[0] * j->end[0]) < j->null_score) j->null_score = (double)(j->start[0] * j->end[0]);
}

/* ---- from spans to answers ---- */

/* Bytes of the context that the span means. */
static void locate(const job *j, const cuddle_encoding *e, const span *s, size_t *begin, size_t *end)
{
    const int8_t context = j->o->context_first ? 0 : 1;
    size_t first = s->first, last = s->last;
    const int32_t first_word = e->word_ids[first], last_word = e->word_ids[last];
    if (j->o->align_to_words && e->sequence_ids[first] == context && e->sequence_ids[last] == context && first_word >= 0 && last_word >= 0) {
        while (first > 0 && e->sequence_ids[first - 1] == context && e->word_ids[first - 1] == first_word) first--;
        while (last + 1 < e->count && e->sequence_ids[last + 1] == context && e->word_ids[last + 1] == last_word) last++;
    }
    *begin = e->begin[first] < j->length ? e->begin[first] : j->length;
    *end = e->end[last] < j->length ? e->end[last] : j->length;
    while (*begin > 0 && *begin < j->length && ((unsigned char)j->context[*begin] & 0xc0) == 0x80) (*begin)--;
    while (*end < j->length && ((unsigned char)j->context[*end] & 0xc0) == 0x80) (*end)++;
}

/* What Python's lower() makes of the text, but that a sigma is the same wherever it stands: Python's depends on what is around it, and two answers
 * that differ in nothing but case have the same there. */
static cuddle_status lower(char **out, size_t *length, const char *text, size_t count, cuddle_error *err)
{
    char *key = malloc(count * 2 + 1); /* of the characters that change, U+0130 grows, from 2 bytes to 3; no other by more than half */
    if (!key) return cud_nomem(err, count * 2 + 1, "an answer");
    size_t n = 0;
    for (size_t at = 0, size; at < count; at += size) {
        int32_t low[2];
        const size_t characters = cud_lower(low, cud_utf8_decode(text + at, &size));
        for (size_t i = 0; i < characters; i++) n += cud_utf8_encode(key + n, low[i] == 0x3c2 ? 0x3c3 : low[i]);
    }
    *out = key;
    *length = n;
    return CUDDLE_OK;
}

/* Takes `key` over. */
static cuddle_status add(job *j, answer a, cuddle_error *err)
{
    if (j->count == j->room) {
        const size_t room = j->room ? 2 * j->room : 32;
        answer *answers = realloc(j->answers, room * sizeof *answers);
        if (!answers) {
            free(a.key);
            return cud_nomem(err, room * sizeof *answers, "answers");
        }
        j->answers = answers;
        j->room = room;
    }
    a.at = j->count;
    j->answers[j->count++] = a;
    return CUDDLE_OK;
}

static cuddle_status add_span(job *j, const cuddle_encoding *e, const span *s, cuddle_error *err)
{
    answer a = { .score = (double)s->score };
    size_t length = 0;
    name_item *item = NULL;
    locate(j, e, s, &a.begin, &a.end);
    cuddle_status status = lower(&a.key, &length, j->context + a.begin, a.end > a.begin ? a.end - a.begin : 0, err);
    if (status) return status;
    status = cud_names_add(&j->known, a.key, length, 0, (uint32_t)j->count, &item, err);
    if (!status && !item) return add(j, a, err); /* the table borrows the key: it is as old as the answer */
    if (!status) j->answers[item->value].score += a.score;
    free(a.key);
    return status;
}

static int by_score(const void *a, const void *b)
{
    const answer *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static cuddle_status hand_out(cud_answers *out, job *j, cuddle_error *err)
{
    cud_characters characters;
    if (j->count) qsort(j->answers, j->count, sizeof *j->answers, by_score);
    const size_t count = j->count < j->o->top_k ? j->count : j->o->top_k;
    out->item = malloc(count * sizeof *out->item + 1);
    if (!out->item) return cud_nomem(err, count * sizeof *out->item, "answers");
    const cuddle_status status = cud_characters_init(&characters, j->context, j->length, "question-answering", err);
    if (status) return status;
    for (size_t i = 0; i < count; i++) {
        const answer *a = &j->answers[i];
        out->item[i] = (cud_answer){ .score = (float)a->score, .begin = a->begin, .end = a->end };
        out->item[i].first = cud_characters_at(&characters, a->begin);
        out->item[i].last = cud_characters_at(&characters, a->end);
    }
    out->count = count;
    cud_characters_free(&characters);
    return CUDDLE_OK;
}

/* ---- the whole ---- */

static cuddle_status run_window(job *j, const cud_question_window *w, cuddle_error *err)
{
    cuddle_status status = cud_scores_finite(w->start, w->encoding->count, "question-answering", "start logit", err);
    if (!status) status = cud_scores_finite(w->end, w->encoding->count, "question-answering", "end logit", err);
    if (status) return status;
    read_window(j, w);
    const size_t spans = find_spans(j, w->encoding->count);
    for (size_t i = 0; i < spans && !status; i++) status = add_span(j, w->encoding, &j->heap[i], err);
    return status;
}

static cuddle_status check(const char *question, size_t question_length, const job *j, cuddle_error *err)
{
    const size_t valid = cud_utf8_valid(j->context, j->length);
    if (question_length == 0 || j->length == 0)
        return cud_fail(err, CUDDLE_E_ARG, "question-answering: the %s is empty", question_length ? "context" : "question");
    if (valid < j->length || cud_utf8_valid(question, question_length) < question_length)
        return cud_fail(err, CUDDLE_E_ARG, "question-answering: the %s is not UTF-8", valid < j->length ? "context" : "question");
    if (j->o->top_k < 1 || j->o->max_answer_tokens < 1)
        return cud_fail(err, CUDDLE_E_ARG, "question-answering: %s is 0, expected at least 1", j->o->top_k ? "max_answer_len" : "top_k");
    if (j->o->top_k > CUD_ANSWERS_MOST)
        return cud_fail(err, CUDDLE_E_LIMIT, "question-answering: top_k is %zu, at most %d", j->o->top_k, CUD_ANSWERS_MOST);
    return CUDDLE_OK;
}

cuddle_status cud_question_answer(cud_answers *out, const cuddle_tokenizer *tokenizer, const char *question, size_t question_length,
                                  const char *context, size_t context_length, const cud_question_window *window, size_t windows,
                                  const cud_question_options *options, cuddle_error *err)
{
    job j = { .tokenizer = tokenizer, .context = context, .length = context_length, .o = options, .null_score = 1 };
    size_t most = 1;
    *out = (cud_answers){ 0 };
    cuddle_status status = check(question, question_length, &j, err);
    if (!status && windows == 0) status = cud_fail(err, CUDDLE_E_ARG, "question-answering: no windows of the context");
    if (status) return status;
    for (size_t i = 0; i < windows; i++) most = window[i].encoding->count > most ? window[i].encoding->count : most;
    j.wanted = options->align_to_words ? 2 * options->top_k + 10 : options->top_k;
    j.start = malloc(most * sizeof *j.start);
    j.end = malloc(most * sizeof *j.end);
    j.allowed = malloc(most * sizeof *j.allowed);
    j.heap = malloc(j.wanted * sizeof *j.heap);
    if (!j.start || !j.end || !j.allowed || !j.heap) status = cud_nomem(err, most * 2 * sizeof *j.start, "question-answering");
    for (size_t i = 0; i < windows && !status; i++) status = run_window(&j, &window[i], err);
    if (!status && options->handle_impossible_answer) status = add(&j, (answer){ .score = j.null_score }, err);
    if (!status && j.count == 0) status = add(&j, (answer){ .score = 0 }, err);
    if (!status) status = hand_out(out, &j, err);
    if (status) cud_answers_free(out);
    for (size_t i = 0; i < j.count; i++) free(j.answers[i].key);
    free(j.answers);
    free(j.start);
    free(j.end);
    free(j.allowed);
    free(j.heap);
    cud_names_free(&j.known);
    return status;
}

void cud_answers_free(cud_answers *a)
{
    free(a->item);
    *a = (cud_answers){ 0 };
}

void cud_answers_write(cud_writer *w, const cud_answers *a, const char *context)
{
    if (a->count != 1) cud_write_open(w, '[');
    for (size_t i = 0; i < a->count; i++) {
        const cud_answer *item = &a->item[i];
        cud_write_open(w, '{');
        cud_write_key(w, "score");
        cud_write_float(w, item->score);
        cud_write_key(w, "start");
        cud_write_count(w, item->first);
        cud_write_key(w, "end");
        cud_write_count(w, item->last);
        cud_write_key(w, "answer");
        cud_write_text(w, context + item->begin, item->end > item->begin ? item->end - item->begin : 0);
        cud_write_close(w, '}');
    }
    if (a->count != 1) cud_write_close(w, ']');
}
