/* A set of characters as a little automaton over the bytes of UTF-8. */
#ifndef CUD_GRAMMAR_UTF8_SET_H
#define CUD_GRAMMAR_UTF8_SET_H

#include "grammar/program.h"

/* Adds it to the program; returns its first state. The set is tidy, without surrogates. */
uint32_t cud_utf8_set_write(gprogram *p, gsyntax *g, const gset *s);

#endif
