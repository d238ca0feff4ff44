/* The bytes that each token adds to a text, as a trie: what a grammar is matched with to see which tokens may come next.
 *
 * A token has bytes of its own if the decoders change it by itself (component.h, alone): byte-level and SentencePiece tokenizers. Others,
 * whose tokens become text that depends on their neighbours, are refused by name. Added tokens, special ones above all, are no text: they
 * have none. Immutable and counted: grammars keep it when their tokenizer is gone. */
#ifndef CUD_TEXT_LEXICON_H
#define CUD_TEXT_LEXICON_H

#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CUD_LEXICON_LONGEST = 1024, /* bytes of a token; longer ones are never allowed */
    CUD_LEXICON_PLAIN = 40,     /* most characters that plain tokens are counted by */
    CUD_LEXICON_MIXED = 255,
};
#define CUD_LEXICON_NONE UINT32_MAX

/* Nodes in the order of a walk: a node, then all below it. */
typedef struct cud_lexicon_node {
    uint32_t skip;  /* index of the first node that is not below */
    uint32_t token; /* that ends here, or CUD_LEXICON_NONE */
    uint16_t depth; /* bytes down to here, this one included */
    uint8_t byte;
    uint8_t most; /* characters of the longest token at or below, if all there are plain; else CUD_LEXICON_MIXED */
    bool twin;    /* another token of the same bytes as the node before: no byte of its own */
} cud_lexicon_node;

/* Plain: whole characters of UTF-8 that stand for themselves in a JSON string. Most tokens are, and where any string may go on, all of
 * them may come: they are masked at once. */
typedef struct cud_lexicon {
    int size, words; /* ids; words of 32 bits for a mask of them */
    size_t *begin;   /* [size + 1] into bytes */
    char *bytes;
    cud_lexicon_node *node; /* of tokens that are not plain, then of plain ones */
    uint32_t count, plain_from;
    int longest;       /* bytes */
    int plain_longest; /* characters */
    uint32_t *plain;   /* [CUD_LEXICON_PLAIN + 2, words]: plain tokens of at most so many characters; the last: all of them */
    uint32_t *spaces;  /* [words] tokens that lose spaces where a text begins with them; NULL: there are none */
    uint64_t fingerprint; /* of ids and bytes */
    size_t memory;
} cud_lexicon;

/* The tokenizer's, built by the first call. Release with cud_lexicon_release(). */
cuddle_status cud_lexicon_of(const cud_lexicon **out, const cuddle_tokenizer *t, cuddle_error *err);
void cud_lexicon_release(const cud_lexicon *x); /* NULL is fine */

typedef struct cud_lexicon_slot cud_lexicon_slot; /* a tokenizer's place for it */
cuddle_status cud_lexicon_slot_new(cud_lexicon_slot **out, cuddle_error *err);
void cud_lexicon_slot_free(cud_lexicon_slot *s);

static inline const char *cud_lexicon_bytes(const cud_lexicon *x, int32_t id, size_t *length)
{
    *length = id >= 0 && id < x->size ? x->begin[id + 1] - x->begin[id] : 0;
    return *length ? x->bytes + x->begin[id] : "";
}

#endif
