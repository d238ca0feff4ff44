/* A tokenizer.json in two parts: "vocab" and "merges" of the model, which can be millions of tokens and are read by the pull
 * scanner, and everything else, which is small and becomes a jansson document in which the two are empty. */
#ifndef CUD_TEXT_DOCUMENT_H
#define CUD_TEXT_DOCUMENT_H

#include "format/json.h"
#include "format/scanner.h"

typedef enum cud_large { CUD_LARGE_VOCAB, CUD_LARGE_MERGES, CUD_LARGE_COUNT } cud_large;

typedef struct cud_document {
    char *text;                                          /* the file; values are decoded where they lie, so each can be read once */
    size_t begin[CUD_LARGE_COUNT], end[CUD_LARGE_COUNT]; /* both 0: not there */
    json_t *root;
} cud_document;

/* Copies the text. The document is freed by the caller, after a failure too. */
cuddle_status cud_document_parse(cud_document *out, const char *text, size_t size, cuddle_error *err);
void cud_document_free(cud_document *d);
/* Starts reading a large value; in->token is its first token, or SCAN_ERROR. Absent is CUDDLE_E_FORMAT. */
cuddle_status cud_document_scan(scanner *in, cud_document *d, cud_large which, cuddle_error *err);

#endif
