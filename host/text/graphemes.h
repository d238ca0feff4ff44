/* Extended grapheme clusters (Unicode annex 29), as the crate has them that the reference implementation cuts text with. */
#ifndef CUD_TEXT_GRAPHEMES_H
#define CUD_TEXT_GRAPHEMES_H

#include <stddef.h>

/* Bytes of the first cluster of text[0..length), which must be UTF-8 and not empty. The text begins at a cluster's border. */
size_t cud_grapheme_length(const char *text, size_t length);

#endif
