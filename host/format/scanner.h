/* A pull scanner for JSON in memory, for inputs that are large or hostile: safetensors headers, shard indexes, tokenizer.json.
 * One pass, no recursion, no allocation. Strict: RFC 8259, valid UTF-8, no lone surrogates, no byte order mark, nothing after the root
 * value, at most CUD_SCAN_DEPTH open containers, no number of 10^308 or more. Strings are decoded where they lie: the text is
 * overwritten, and every string ends in a NUL that took its quote's place, so names can be borrowed for as long as the text lives
 * (length tells of a U+0000 inside).
 *
 *     scanner in;
 *     cud_scan_init(&in, text, size, "tokenizer.json", 0, err);
 *     while (cud_scan_next(&in) != SCAN_END)
 *         if (in.token == SCAN_ERROR) return CUDDLE_E_FORMAT;     (the sentence is in *err)
 *
 * A document is a sequence of tokens that is always well-formed: after OBJECT come pairs of KEY and a value, then OBJECT_END. */
#ifndef CUD_FORMAT_SCANNER_H
#define CUD_FORMAT_SCANNER_H

#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CUD_SCAN_DEPTH 127 /* nested containers; as serde_json, which the reference reader of safetensors is built on */

typedef enum scan_token {
    SCAN_ERROR, /* and from then on again and again */
    SCAN_OBJECT, SCAN_OBJECT_END,
    SCAN_ARRAY, SCAN_ARRAY_END,
    SCAN_KEY, SCAN_STRING, /* text and length: decoded, NUL-terminated */
    SCAN_NUMBER,           /* text and length: as it stands, not terminated */
    SCAN_TRUE, SCAN_FALSE, SCAN_NULL,
    SCAN_END
} scan_token;

typedef struct scanner {
    scan_token token; /* the current one */
    char *text;       /* of the current token, see scan_token; borrowed from the text given to init */
    size_t length;
    size_t begin; /* of the current token, from the start of the text */
    int depth;    /* containers that are open, the one of an OBJECT or ARRAY token included */
    /* private */
    char *data;
    size_t size, at;
    uint64_t base;
    const char *file;
    cuddle_error *err;
    int expect;
    uint64_t is_object[2]; /* one bit per open container */
} scanner;

/* Messages are "<file>: byte <base + position>: ...". file and err are borrowed. */
void cud_scan_init(scanner *in, char *text, size_t size, const char *file, uint64_t base, cuddle_error *err);
/* Moves to the next token and returns it. */
scan_token cud_scan_next(scanner *in);
/* With the first token of a value as the current one: moves to the value's last token. False on an error. */
bool cud_scan_skip(scanner *in);
/* The current NUMBER as an exact unsigned integer; false for any other token, sign, fraction or exponent, or from 2^64 on. */
bool cud_scan_u64(const scanner *in, uint64_t *out);
/* CUDDLE_E_FORMAT, "<file>: byte <where the current token begins>: ..."; for what a reader of tokens finds wrong with one. */
cuddle_status cud_scan_fail(const scanner *in, const char *format, ...) CUD_PRINTF(2, 3);
/* The current token for a message: `"text"`, `-1.5`, "an array"; cut to the buffer. */
const char *cud_scan_show(const scanner *in, char out[64]);

#endif
