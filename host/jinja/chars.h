/* Characters as Python's str sees them. */
#ifndef CUD_JINJA_CHARS_H
#define CUD_JINJA_CHARS_H

#include "jinja/run.h"

bool cud_j_is_space(int32_t c); /* str.isspace() */
bool cud_j_is_printable(int32_t c);
bool cud_j_is_upper(int32_t c); /* and is_lower, is_title: what counts as cased */
bool cud_j_is_lower(int32_t c);
bool cud_j_is_title(int32_t c);
bool cud_j_is_alpha(int32_t c);
bool cud_j_is_decimal(int32_t c);
bool cud_j_is_digit(int32_t c);
bool cud_j_is_numeric(int32_t c);

size_t cud_j_count(const char *s, size_t n);            /* characters */
size_t cud_j_offset(const char *s, size_t n, size_t i); /* of character i, n if there are fewer */

typedef enum jcase { J_UPPER, J_LOWER, J_TITLE, J_CAPITALIZE, J_SWAP } jcase;
/* str.upper() and so on. */
bool cud_j_change_case(jrun *j, jvalue *out, jvalue text, jcase how);

/* Resolves the escapes of a string literal. */
bool cud_j_unescape(jrun *j, jvalue *text);

#endif
