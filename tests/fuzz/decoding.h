/* What holds of decoding, whatever the tokenizer and the ids. */
#ifndef FUZZ_DECODING_H
#define FUZZ_DECODING_H

#include "text/tokenizer.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

/* Decodes at once and as a stream: both fail alike, or the pieces add up to the whole, each ending between characters. */
static inline void check_decoding(const cuddle_tokenizer *t, const int32_t *ids, size_t count, unsigned flags)
{
    cuddle_detokenizer *d = NULL;
    char *text = NULL;
    const char *piece = NULL;
    size_t length = 0, at = 0, part = 0;
    cuddle_error err = { CUDDLE_OK, "" };
    const cuddle_status whole = cud_tokenizer_decode(&text, &length, t, ids, count, flags, &err);
    if (whole != err.status || (whole == CUDDLE_OK) != (text != NULL)) abort();
    if (text && (cud_utf8_valid(text, length) != length || text[length])) abort();
    if (cud_detokenizer_new(&d, t, flags, NULL)) abort();
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i <= count && !status; i++) {
        status = i < count ? cud_detokenizer_push(d, ids[i], &piece, &part, NULL) : cud_detokenizer_finish(d, &piece, &part, NULL);
        if (status || whole) continue;
        if (part > length - at || memcmp(text + at, piece, part) || cud_utf8_valid(piece, part) != part) abort();
        at += part;
    }
    if (status != whole || (!status && at != length)) abort();
    cud_detokenizer_free(d);
    free(text);
}

#endif
