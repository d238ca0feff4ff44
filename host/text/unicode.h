/* The few properties of characters that tokenizers ask for (how they are written is core/utf8.h). The sets are those of the reference
 * implementation (unicode_tables.h), not those of C's locale; decompositions and case come from utf8proc. */
#ifndef CUD_TEXT_UNICODE_H
#define CUD_TEXT_UNICODE_H

#include "core/utf8.h"
#include "text/unicode_tables.h"

#include <stdbool.h>

bool cud_is_white(int32_t c);      /* White_Space */
bool cud_is_word(int32_t c);       /* \w: Alphabetic, marks, Nd, Pc, Join_Control */
bool cud_is_numeric(int32_t c);    /* N* */
bool cud_is_punct(int32_t c);      /* ASCII punctuation, or P* */
bool cud_is_mark(int32_t c);       /* M* */
bool cud_is_nonspacing(int32_t c); /* Mn */
bool cud_is_control(int32_t c);    /* what BertNormalizer drops: C* without tab and line ends, U+0000, U+FFFD */
/* The class of the range that holds c, or 0. */
int cud_class(const cud_class_range *range, size_t count, int32_t c);
int cud_combining_class(int32_t c);

/* Full lower case of one character without context: 1 or 2 characters (U+0130 is the only one that grows). */
size_t cud_lower(int32_t out[2], int32_t c);

/* Decomposition of one character, canonical or compatibility, all levels; returns the count (at most CUD_DECOMPOSE_MAX). */
enum { CUD_DECOMPOSE_MAX = 32 };
size_t cud_decompose(int32_t out[CUD_DECOMPOSE_MAX], int32_t c, bool compatibility);
/* The primary composite of the pair, or 0. */
int32_t cud_compose(int32_t first, int32_t second);

#endif
