/* The patterns that have a scanner, as tokenizer.json files spell them, and the same as PCRE2 runs them: for the test and the fuzz target. */
#ifndef TEST_WORD_PATTERNS_H
#define TEST_WORD_PATTERNS_H

#include "text/regex.h"
#include "text/scan_words.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char *const word_patterns[] = {
    /* GPT-2, and ByteLevel's own */
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    /* Llama 3 */
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    /* Qwen 2 */
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    /* o200k */
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
};
enum { WORD_PATTERNS = sizeof word_patterns / sizeof *word_patterns };

/* The pattern in a group, which is no pattern that has a scanner. */
static inline cuddle_status word_pattern_compile(cud_regex **out, int which, cuddle_error *err)
{
    char grouped[1024];
    const int length = snprintf(grouped, sizeof grouped, "(?:%s)", word_patterns[which]);
    return cud_regex_compile(out, grouped, (size_t)length, "test", err);
}

typedef struct word_walk { cud_scan_fn scan; const char *text; size_t length, at; } word_walk;

/* A cud_match_fn: CUDDLE_E_FORMAT where the scanner finds another word. */
static inline cuddle_status word_same(void *user, size_t begin, size_t end)
{
    word_walk *w = user;
    uint32_t found;
    if (begin != w->at || w->scan(&found, 1, w->text, w->length, w->at) != 1 || found != end) return CUDDLE_E_FORMAT;
    w->at = end;
    return CUDDLE_OK;
}

/* Does the scanner find what PCRE2 finds? text must be UTF-8. CUDDLE_E_LIMIT: PCRE2 gave up. */
static inline cuddle_status word_compare(int which, const cud_regex *regex, cud_regex_scratch **scratch, const char *text, size_t length, cuddle_error *err)
{
    word_walk w = { cud_scan_of_pattern(word_patterns[which], strlen(word_patterns[which])), text, length, 0 };
    const cuddle_status status = cud_regex_each(regex, scratch, text, length, word_same, &w, err);
    return status ? status : w.at == length ? CUDDLE_OK : CUDDLE_E_FORMAT;
}

#endif
