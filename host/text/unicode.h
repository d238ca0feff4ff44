/* UTF-8 and the few properties of characters that tokenizers ask for. The sets are those of the reference implementation
 * (unicode_tables.h), not those of C's locale; decompositions and case come from utf8proc. */
#ifndef CUD_TEXT_UNICODE_H
#define CUD_TEXT_UNICODE_H

#include "text/unicode_tables.h"

#include <stdbool.h>

/* Offset of the first byte that is not part of well-formed UTF-8 (Unicode table 3-7), or `size` if all of it is. */
size_t cud_utf8_valid(const char *text, size_t size);
/* The character at text, which must be well-formed; *length is 1 to 4. */
int32_t cud_utf8_decode(const char *text, size_t *length);
/* The character that ends right before `end`; text < end, well-formed. */
int32_t cud_utf8_decode_before(const char *text, const char *end, size_t *length);
/* Writes 1 to 4 bytes and returns their number. c must be a scalar value. */
size_t cud_utf8_encode(char out[4], int32_t c);
/* Bytes of the character whose first byte this is (1 for a byte that starts none). */
static inline size_t cud_utf8_length(unsigned char first)
{
    return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 1;
}

/* A step of incremental validation, so that a stream can tell "not yet whole" from "never": */
typedef struct cud_utf8_state {
    uint8_t left;      /* continuation bytes still expected; 0 between characters */
    uint8_t low, high; /* bounds of the next one */
} cud_utf8_state;
/* False if `byte` cannot follow; the state is then that between characters and the byte is not taken. */
bool cud_utf8_step(cud_utf8_state *s, unsigned char byte);

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
