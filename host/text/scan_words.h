/* The regular expressions that most byte-level tokenizers share, as code: what PCRE2 finds for them, many times faster. */
#ifndef CUD_TEXT_SCAN_WORDS_H
#define CUD_TEXT_SCAN_WORDS_H

#include <stddef.h>
#include <stdint.h>

/* Ends of the matches from `at` on, `room` of them at most, up to the end of the text; returns their number. Every character is part of a match,
 * so matches follow one another without gaps. */
typedef size_t (*cud_scan_fn)(uint32_t *end, size_t room, const char *text, size_t length, size_t at);

/* The function for a pattern, letter by letter as tokenizer.json has it; NULL: there is none. */
cud_scan_fn cud_scan_of_pattern(const char *pattern, size_t length);

#endif
