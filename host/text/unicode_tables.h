/* What the reference implementation takes each character for, as ranges in ascending order. Its crates have tables of several
 * Unicode versions (punctuation as in Unicode 8, \w as in 16), so neither utf8proc's nor any other one version would give the same
 * tokens. */
#ifndef CUD_TEXT_UNICODE_TABLES_H
#define CUD_TEXT_UNICODE_TABLES_H

#include <stddef.h>
#include <stdint.h>

typedef struct cud_range {
    int32_t begin, end; /* both included */
} cud_range;

typedef struct cud_class_range {
    int32_t begin, end, class;
} cud_class_range;

extern const cud_range cud_punct_ranges[], cud_numeric_ranges[], cud_word_ranges[], cud_mark_ranges[], cud_nonspacing_ranges[],
    cud_control_ranges[], cud_unnormalized_ranges[];
extern const size_t cud_punct_ranges_count, cud_numeric_ranges_count, cud_word_ranges_count, cud_mark_ranges_count,
    cud_nonspacing_ranges_count, cud_control_ranges_count, cud_unnormalized_ranges_count;

/* Capitals that older libraries do not know, by the distance to the small letter. */
extern const cud_class_range cud_capital_ranges[];
extern const size_t cud_capital_ranges_count;

/* Scripts by number, in the order in which they were found; characters without a range go with every script. */
extern const cud_class_range cud_script_ranges[];
extern const size_t cud_script_ranges_count;

/* What graphemes.c asks for; CR, LF, ZWJ, Hangul and regional indicators are known by their codes. */
enum {
    CUD_GRAPHEME_OTHER,
    CUD_GRAPHEME_CONTROL,
    CUD_GRAPHEME_EXTEND,
    CUD_GRAPHEME_SPACING,
    CUD_GRAPHEME_PREPEND,
    CUD_GRAPHEME_PICTOGRAPH,
    CUD_GRAPHEME_CONJUNCT_CONSONANT, /* of Indic scripts; these three are Other and Extend as well */
    CUD_GRAPHEME_CONJUNCT_LINKER,
    CUD_GRAPHEME_CONJUNCT_EXTEND
};
extern const cud_class_range cud_grapheme_ranges[];
extern const size_t cud_grapheme_ranges_count;

#endif
