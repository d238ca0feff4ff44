/* Added tokens: strings that are cut out of the text before (or, "normalized", after) normalization and become one id each. */
#ifndef CUD_TEXT_ADDED_H
#define CUD_TEXT_ADDED_H

#include "text/component.h"

enum { CUD_ADDED_MAX_LENGTH = 4096, CUD_ADDED_MAX_COUNT = 1 << 18 };

typedef struct cud_added_token {
    char *content;
    size_t length;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
    char *decoded; /* what decoding starts from when it is not the content: the normalized content */
    size_t decoded_length;
} cud_added_token;

typedef struct cud_added_pattern { /* what is looked for: the content, normalized if the token is */
    char *text;
    uint32_t length, token; /* index */
} cud_added_pattern;

typedef struct cud_added_set { /* sorted by text */
    cud_added_pattern *pattern;
    uint32_t count;
    uint32_t first[257]; /* patterns that begin with byte b: first[b] up to first[b + 1] */
    int only; /* the byte with which all of them begin, or -1 */
} cud_added_set;

typedef struct cud_added {
    cud_added_token *token;
    uint32_t count, room;
    cud_vocab index; /* content to index */
    cud_added_set raw, normalized;
} cud_added;

/* Adds a token; its content is copied. A token with this content replaces its flags (the id stays). */
cuddle_status cud_added_put(cud_added *a, cud_added_token token, cuddle_error *err);
const cud_added_token *cud_added_find(const cud_added *a, const char *content, size_t length);
/* Builds the search sets when all tokens are there. */
cuddle_status cud_added_ready(cud_added *a, const cud_components *normalizers, cuddle_error *err);
/* Cuts the set's tokens out of the pieces. */
cuddle_status cud_added_extract(const cud_added *a, const cud_added_set *set, cud_pieces *p, cuddle_error *err);
void cud_added_free(cud_added *a);

#endif
