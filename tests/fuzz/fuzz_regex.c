/* A regular expression of tokenizer.json, any UTF-8; behind a NUL a text to search, else a fixed one. What is translated is compiled or refused
 * in one sentence; matches are of whole characters and follow one another. */
#include "text/regex.h"
#include "text/scan_words.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

typedef struct walk { const char *text; size_t length, end, matches; } walk;

static bool between_characters(const walk *w, size_t at) { return at == w->length || ((unsigned char)w->text[at] & 0xc0) != 0x80; }

static cuddle_status match(void *user, size_t begin, size_t end)
{
    walk *w = user;
    require(begin <= end && end <= w->length && begin >= w->end && between_characters(w, begin) && between_characters(w, end));
    require(!w->matches || end > w->end); /* of empty matches, none right behind another match */
    w->end = end;
    return ++w->matches > 2 * w->length + 2 ? CUDDLE_E_INTERNAL : CUDDLE_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 24 }; /* bytes of text: nested repeats take a time that doubles with each */
    static const char fixed[] = "aB 1_\n\xc3\x9f\xe6\x97\xa5 e\xcc\x81s";
    const char *nul = size ? memchr(data, 0, size) : NULL;
    const size_t length = nul ? (size_t)(nul - (const char *)data) : size;
    const char *text = nul ? nul + 1 : fixed;
    const size_t text_length = nul ? size - length - 1 : sizeof fixed - 1;
    if (text_length > MOST || cud_utf8_valid(text, text_length) < text_length || cud_utf8_valid((const char *)data, length) < length) return 0;
    if (cud_scan_of_pattern((const char *)data, length)) return 0; /* fuzz_scan_words.c */
    char *pattern = strndup((const char *)data, length);
    require(pattern != NULL);
    cuddle_error err = { CUDDLE_OK, "" };
    cud_regex *r = NULL;
    cud_regex_scratch *scratch = NULL;
    cuddle_status status = cud_regex_compile(&r, pattern, length, "fuzz", &err);
    require(status == err.status && (status == CUDDLE_OK) == (r != NULL));
    if (r) {
        walk w = { text, text_length, 0, 0 };
        status = cud_regex_each(r, &scratch, text, text_length, match, &w, &err);
        require(status == CUDDLE_OK || status == CUDDLE_E_LIMIT);
    } else {
        require(strncmp(err.text, "tokenizer.json: fuzz: ", 22) == 0);
    }
    cud_regex_scratch_free(scratch);
    cud_regex_free(r);
    free(pattern);
    return 0;
}
