/* Replacing a string in a stream: what may be the beginning of the pattern is held until it is or is not. */
#ifndef CUD_TEXT_SUBSTITUTE_H
#define CUD_TEXT_SUBSTITUTE_H

#include "text/component.h"

typedef struct cud_substitution {
    const char *pattern;
    const uint32_t *fallback; /* [pattern_length] Knuth-Morris-Pratt: length of the longest border of pattern[0..i] */
    size_t pattern_length;
    const char *content;
    size_t content_length;
} cud_substitution;

/* Feeds one part of a token; the state is s->matched. Edges are passed on. */
cuddle_status cud_substitute(cud_stream *s, const cud_substitution *what, const char *text, size_t size, unsigned edges,
                             cuddle_error *err);
/* In a token by itself, unless it is bytes. content is no longer than the pattern. */
void cud_replace_alone(cud_alone *token, const char *pattern, size_t pattern_length, const char *content, size_t content_length);
void cud_substitution_borders(uint32_t *fallback, const char *pattern, size_t length);

#endif
