/* What transformers computed for a checkpoint of tests/parity/: tests/parity/README.md. */
#ifndef CUD_TESTS_PARITY_H
#define CUD_TESTS_PARITY_H

#include "support.h"

#include <stdint.h>

enum { SEQUENCES = 3 };
#define TOLERANCE 1e-4 /* of the largest logit */

typedef struct expectation {
    int length[SEQUENCES], vocabulary;
    int32_t *ids[SEQUENCES];
    float *logits[SEQUENCES];
    int32_t *prompt, *greedy;
    int prompt_count, greedy_count;
    double largest;
    double bfloat16_error; /* root mean square of transformers' own bfloat16 minus its float32 */
} expectation;

void expectation_read(expectation *e, const char *dir);
void expectation_free(expectation *e);
/* One row of logits. */
void expect_close(const expectation *e, int sequence, int row, const float *got, const char *how);

#endif
