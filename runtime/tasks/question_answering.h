/* question-answering: start and end logits of each window to answers with offsets, as transformers/pipelines/question_answering.py made them
 * (4.57.6; transformers 5 has dropped the pipeline). */
#ifndef CUD_TASKS_QUESTION_ANSWERING_H
#define CUD_TASKS_QUESTION_ANSWERING_H

#include "core/status.h"
#include "tasks/writer.h"

#include <stdbool.h>
#include <stddef.h>

enum { CUD_ANSWERS_MOST = 1000 }; /* top_k at most */

typedef struct cud_question_lengths { /* in tokens */
    size_t max_length; /* of a window, question and special tokens included: "max_seq_len" */
    size_t stride;     /* that neighbouring windows share: "doc_stride" */
} cud_question_lengths;
/* The pipeline's defaults: max_length 0 becomes model_max_length, at most 384; stride SIZE_MAX becomes half of max_length, at most 128. A stride
 * that is longer than a window is CUDDLE_E_ARG. The pair is question, context, cut on the second side (CUDDLE_TRUNCATE_ONLY_SECOND), or, where a
 * tokenizer pads on the left, context, question, cut on the first. */
cuddle_status cud_question_lengths_resolve(cud_question_lengths *lengths, const cuddle_tokenizer *tokenizer, cuddle_error *err);

typedef struct cud_question_window {
    const cuddle_encoding *encoding; /* of the pair; offsets in bytes */
    const float *start, *end;        /* logits [encoding->count] */
} cud_question_window;

typedef struct cud_question_options {
    size_t top_k;                 /* at least 1, at most CUD_ANSWERS_MOST */
    size_t max_answer_tokens;     /* at least 1; the pipeline's default is 15: "max_answer_len" */
    bool handle_impossible_answer; /* no answer is one, too: an empty one, with the lowest score that any window gives it */
    bool align_to_words;          /* answers go from the beginning of a word to the end of one (the pipeline's default) */
    bool context_first;           /* of the pair. The pipeline then forbids no token (its p_mask is all 0); here answers are of the context */
} cud_question_options;

typedef struct cud_answer {
    float score;
    size_t begin, end;  /* bytes of the context */
    size_t first, last; /* the same in characters: "start" and "end" of the pipeline */
} cud_answer;
typedef struct cud_answers {
    cud_answer *item;
    size_t count;
} cud_answers;

/* At most top_k answers, best first. Answers of the same text but for its case are one, with the sum of their scores, where the first of them
 * stands. Equal scores: in the order of windows, then of the first token, then of the last (numpy promises no order). Where the pipeline is asked for
 * more answers than there are, it may fill up with spans that end before they begin, with score 0; here the list is shorter. A context without any
 * token gives one empty answer with score 0. An empty question or context is CUDDLE_E_ARG. Release with cud_answers_free(). */
cuddle_status cud_question_answer(cud_answers *out, const cuddle_tokenizer *tokenizer, const char *question, size_t question_length,
                                  const char *context, size_t context_length, const cud_question_window *window, size_t windows,
                                  const cud_question_options *options, cuddle_error *err);
void cud_answers_free(cud_answers *a);
/* {"score": ..., "start": ..., "end": ..., "answer": ...}, or a list of such unless there is exactly one. */
void cud_answers_write(cud_writer *w, const cud_answers *a, const char *context);

#endif
