/* The regular expressions of tokenizer.json. They are written for Oniguruma (Ruby syntax) and run by PCRE2: regex_syntax.c rewrites
 * what the two read differently and refuses by name what cannot be rewritten. */
#ifndef CUD_TEXT_REGEX_H
#define CUD_TEXT_REGEX_H

#include "core/status.h"
#include "text/scan_words.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct cud_regex cud_regex;                 /* compiled, immutable: shared between threads */
typedef struct cud_regex_scratch cud_regex_scratch; /* what one search at a time needs; made by the first one */

enum { CUD_REGEX_MAX = 1 << 16 }; /* bytes of a pattern */

/* `where` names the component in messages: `pre_tokenizer "Split"`. */
cuddle_status cud_regex_compile(cud_regex **out, const char *pattern, size_t length, const char *where, cuddle_error *err);
void cud_regex_free(cud_regex *r);
void cud_regex_scratch_free(cud_regex_scratch *s);
cud_scan_fn cud_regex_scan(const cud_regex *r); /* what finds the matches many times faster; NULL: nothing does */

typedef cuddle_status (*cud_match_fn)(void *user, size_t begin, size_t end);
/* Calls fn for every match from left to right. An empty match right behind another match is passed over. Hitting a limit of the
 * matcher is CUDDLE_E_LIMIT, never a missing match. */
cuddle_status cud_regex_each(const cud_regex *r, cud_regex_scratch **scratch, const char *text, size_t length, cud_match_fn fn,
                             void *user, cuddle_error *err);

/* Oniguruma's syntax to PCRE2's; *out is NUL-terminated and to be freed. */
cuddle_status cud_regex_translate(char **out, size_t *out_length, const char *pattern, size_t length, const char *where,
                                  cuddle_error *err);

#endif
