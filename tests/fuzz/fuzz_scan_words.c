/* The hand-written scanners against PCRE2: the first byte chooses the pattern, the rest is the text. */
#include "text/unicode.h"
#include "word_patterns.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static cud_regex *regex[WORD_PATTERNS];
    static cud_regex_scratch *scratch;
    cuddle_error err = { CUDDLE_OK, "" };
    if (size < 2 || size > 4096) return 0;
    const int which = data[0] % WORD_PATTERNS;
    const char *text = (const char *)data + 1;
    if (cud_utf8_valid(text, size - 1) < size - 1) return 0;
    for (size_t at = 0, length; at < size - 1; at += length) /* the two libraries may know different versions of Unicode */
        if (cud_utf8_decode(text + at, &length) >= 0x30000) return 0;
    if (!regex[which] && word_pattern_compile(&regex[which], which, &err)) abort();
    const cuddle_status status = word_compare(which, regex[which], &scratch, text, size - 1, &err);
    if (status && status != CUDDLE_E_LIMIT) abort();
    return 0;
}
