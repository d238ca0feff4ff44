/* Numbers as text, the way Python writes and reads them, whatever the program's locale. */
#ifndef CUD_JINJA_NUMBER_H
#define CUD_JINJA_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { J_REAL_MOST = 400 };
/* repr(float): the shortest digits that read back as the same. Returns the length. */
size_t cud_j_repr_real(char out[J_REAL_MOST], double value);
/* "%.<digits><kind>" with kind one of e, f, g. */
size_t cud_j_print_real(char out[J_REAL_MOST], double value, char kind, int digits, bool alternate);
/* Digits, '.', exponent as in Python's grammar, checked before. */
double cud_j_parse_real(const char *text, size_t length);
/* float(str) and int(str, base) of Python: blanks around, sign, underscores. False if it is none; for an integer too large, *large.
 */
bool cud_j_read_real(const char *text, size_t length, double *out);
bool cud_j_read_int(const char *text, size_t length, int base, int64_t *out, bool *large);
/* round(value, digits): half to even on the exact value. */
double cud_j_round(double value, int digits);

#endif
