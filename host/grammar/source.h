/* What the readers of regular expressions and of GBNF share: a place in a text of UTF-8. */
#ifndef CUD_GRAMMAR_SOURCE_H
#define CUD_GRAMMAR_SOURCE_H

#include "core/utf8.h"
#include "grammar/syntax.h"

enum { CUD_G_GROUPS = 100, CUD_G_TIMES = 1000000 }; /* groups in groups; most repetitions that can be written */

typedef struct gsource {
    gsyntax *g;
    const char *begin, *at, *end;
    const char *name;
    int groups; /* that are open */
} gsource;

/* Fails with the place of `at`; false. */
bool cud_gsource_fail(gsource *s, cuddle_status status, const char *at, const char *format, ...) CUD_PRINTF(4, 5);
static inline bool cud_gsource_is(const gsource *s, char c) { return s->at < s->end && *s->at == c; }
static inline bool cud_gsource_take(gsource *s, char c) { return cud_gsource_is(s, c) && s->at++; }
uint32_t cud_gsource_char(gsource *s); /* the character at s->at, which is not the end */
/* `digits` hexadecimal digits, a scalar value. */
uint32_t cud_gsource_hex(gsource *s, int digits);
/* What follows '{', up to and with '}'. False, and nothing is taken, if it is not {m}, {m,} or {m,n}. */
bool cud_gsource_times(gsource *s, uint32_t *min, uint32_t *max);

#endif
