/* Text on its way through a tokenizer: bytes that remember where in the given text they came from, cut into pieces.
 *
 * The whole text of one call lies in one buffer, and the pieces are ranges of it, so a step that splits touches only the pieces
 * and a step that rewrites fills a second buffer and swaps; nothing is allocated per piece. Every byte carries the range of the
 * given text it stands for. Inserted characters share the range of the character before them, as in the reference
 * implementation's NormalizedString. */
#ifndef CUD_TEXT_ALIGNED_H
#define CUD_TEXT_ALIGNED_H

#include "core/status.h"
#include "core/utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cud_span {
    uint32_t begin, end;
} cud_span;

enum { CUD_SLACK = 32 }; /* bytes behind the room of a text that can be read and written, so that it can be done several at a time */

typedef struct cud_aligned { /* bytes[i] stands for the given text's align[i] */
    char *bytes;
    cud_span *align; /* not filled in as long as the bytes are the given text itself: cud_span_of() knows */
    size_t length, room;
    bool given;
} cud_aligned;

/* What of the given text the byte stands for: a character of it, as a whole. */
static inline cud_span cud_span_of(const cud_aligned *a, size_t at)
{
    if (!a->given) return a->align[at];
    while (at > 0 && ((unsigned char)a->bytes[at] & 0xc0) == 0x80) at--;
    return (cud_span){ (uint32_t)at, (uint32_t)(at + cud_utf8_length((unsigned char)a->bytes[at])) };
}

typedef struct cud_piece {
    uint32_t begin, end; /* in the buffer */
    uint32_t origin;   /* where in the given text the piece begins: the range of characters inserted before all others */
    int32_t token;     /* id of the added token that this piece is, or -1: such pieces pass every step untouched */
} cud_piece;

typedef struct cud_pieces {
    cud_aligned text, spare;
    cud_piece *piece, *spare_piece;
    size_t count, room, spare_room;
    struct cud_regex_scratch *regex; /* made by the first regular expression that runs */
} cud_pieces;

/* Starts over with one piece that holds a copy of text[0..length). */
cuddle_status cud_pieces_set(cud_pieces *p, const char *text, size_t length, cuddle_error *err);
void cud_pieces_free(cud_pieces *p);

static inline const char *cud_piece_text(const cud_pieces *p, const cud_piece *piece) { return p->text.bytes + piece->begin; }

/* ---- rewriting ----
 * The callback reads piece text `from[0..length)` and puts what it becomes. It is not called for added tokens. */
typedef struct cud_writer {
    cud_aligned *to;
    const char *from;
    const cud_aligned *all; /* `from` is all->bytes + base */
    size_t base;
    size_t length, at; /* `at`: how much of `from` is used up */
    uint32_t origin;
    cuddle_error *err;
    cuddle_status status; /* of the first failure; later puts do nothing */
} cud_writer;
typedef cuddle_status (*cud_rewrite_fn)(cud_writer *w, const void *config);
cuddle_status cud_pieces_rewrite(cud_pieces *p, cud_rewrite_fn fn, const void *config, cuddle_error *err);

void cud_skip(cud_writer *w, size_t bytes); /* uses up bytes that become nothing */
void cud_keep(cud_writer *w, size_t bytes); /* uses up bytes that stay as they are */
/* The same, and says where they are now, for changes that leave each character its size; NULL after a failure. */
char *cud_kept(cud_writer *w, size_t bytes);
void cud_put(cud_writer *w, int32_t c);     /* c replaces the next character */
/* The reference's way of saying it: change 1 inserts c, 0 replaces the next character, -n replaces it and removes n more. */
void cud_change(cud_writer *w, int32_t c, int change);
void cud_insert(cud_writer *w, const char *s, size_t size); /* new text, with the range of what was used up last */
void cud_insert_char(cud_writer *w, int32_t c);
/* s, then the rest; all of s gets the range of the first character (which must exist), as the reference's prepend() does. */
void cud_prepend(cud_writer *w, const char *s, size_t size);
/* Bytes that replace `used` bytes of one character, each with that character's range. */
void cud_replace_char(cud_writer *w, const char *s, size_t size, size_t used);
/* Uses up the rest: every `byte` (of ASCII) becomes s[0..size), at most 4 bytes, with its range, and all others stay as they are. */
void cud_replace_byte(cud_writer *w, char byte, const char *s, size_t size);

/* ---- splitting ---- */
typedef enum cud_behavior {
    CUD_SPLIT_REMOVED,
    CUD_SPLIT_ISOLATED,
    CUD_SPLIT_MERGED_WITH_PREVIOUS,
    CUD_SPLIT_MERGED_WITH_NEXT,
    CUD_SPLIT_CONTIGUOUS
} cud_behavior;

/* Receives the matches of one piece from left to right; what lies between them is added by itself. */
typedef struct cud_splitter {
    cud_pieces *p;
    cud_piece piece; /* the one being split */
    cud_behavior behavior;
    bool invert;         /* what matches is text, what does not is the delimiter */
    bool previous_match; /* of the part added last */
    bool open;           /* `held` is waiting for what it may merge with */
    bool held_match;
    size_t held_begin, held_end;
    size_t done; /* offset in the piece up to which parts were added */
    cuddle_error *err;
} cud_splitter;
/* Finds all matches in text[0..length) and calls cud_split_match() for each. */
typedef cuddle_status (*cud_find_fn)(cud_splitter *s, const char *text, size_t length, const void *config);
cuddle_status cud_split_match(cud_splitter *s, size_t begin, size_t end);
/* Every match of a regular expression in text[0..length). */
struct cud_regex;
cuddle_status cud_split_regex(cud_splitter *s, const struct cud_regex *regex, const char *text, size_t length);
cuddle_status cud_pieces_split(cud_pieces *p, cud_find_fn fn, const void *config, cud_behavior behavior, bool invert,
                               cuddle_error *err);

/* For steps that make pieces their own way: append to the new list, then commit. */
cuddle_status cud_pieces_reserve(cud_pieces *p, size_t count, size_t few, cuddle_error *err); /* behind `count` new ones */
static inline cuddle_status cud_pieces_add(cud_pieces *p, size_t *count, size_t begin, size_t end, uint32_t origin, int32_t token, cuddle_error *err)
{
    const cuddle_status status = p->spare_room > *count ? CUDDLE_OK : cud_pieces_reserve(p, *count, 1, err);
    if (!status) p->spare_piece[(*count)++] = (cud_piece){ (uint32_t)begin, (uint32_t)end, origin, token };
    return status;
}
void cud_pieces_commit(cud_pieces *p, size_t count);

#endif
