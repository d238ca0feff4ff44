/* JSON as this library writes it: the one spelling of cuddle_grammar_kind. */
#ifndef CUD_GRAMMAR_JSON_H
#define CUD_GRAMMAR_JSON_H

#include "grammar/syntax.h"

typedef struct gjson { /* rules that are made when they are first asked for; 0: not yet */
    gsyntax *g;
    uint32_t value, object, array, string, number, integer;
} gjson;

enum { CUD_G_DIGITS = 18, CUD_G_FRACTION = 16, CUD_G_EXPONENT = 2 }; /* most of a number's digits */

/* The characters of a set within a string, escaped where they must be; U+0000 is left out. A gset_fn. */
gexpr cud_gjson_chars(gsyntax *g, const gset *s);
gexpr cud_gjson_char(gsyntax *g);                 /* any of them */
gexpr cud_gjson_quoted(gsyntax *g, gexpr chars);  /* between quotes */
gexpr cud_gjson_comma(gsyntax *g);
gexpr cud_gjson_colon(gsyntax *g);
gexpr cud_gjson_list(gsyntax *g, const char *open, gexpr item, uint32_t min, uint32_t max, const char *close); /* with commas */

gexpr cud_gjson_value(gjson *j); /* anything */
gexpr cud_gjson_object(gjson *j);
gexpr cud_gjson_array(gjson *j);
gexpr cud_gjson_string(gjson *j);
gexpr cud_gjson_number(gjson *j);
gexpr cud_gjson_integer(gjson *j);
gexpr cud_gjson_digits(gsyntax *g, uint32_t min, uint32_t max);
gexpr cud_gjson_member(gsyntax *g, gexpr key, gexpr value);

/* A string with its quotes, as it is written; to be freed, NULL after a failure. */
char *cud_gjson_spell(gsyntax *g, const char *text, size_t length, size_t *spelled);

/* ---- number.c ---- */
#define CUD_G_LARGEST INT64_C(999999999999999999)
/* Whole numbers from `low` to `high`; bounds beyond CUD_G_LARGEST are as good as none. */
gexpr cud_gjson_range(gsyntax *g, int64_t low, int64_t high);
typedef struct gbound { bool given, open; int64_t value; } gbound; /* open: the value itself is not allowed */
/* Numbers between two bounds of which at least one is given, without exponent. With only one, they end 10^9 beyond it, or beyond 0. */
gexpr cud_gjson_between(gsyntax *g, gbound low, gbound high);

#endif
