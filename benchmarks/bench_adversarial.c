/* Does encoding take linear time whatever the text? For each tokenizer and each kind of text: the CPU time of --bytes and of twice as
 * many, as MB/s and as their ratio, which is about 2 where time is linear. The worst ratio of each tokenizer comes last.
 *
 *   bench_adversarial [--bytes N] [--repeat N] [--only KIND] TOKENIZER...
 *
 * TOKENIZER is a tokenizer.json or a folder that has one. The default is 1 MB, the least time of 3. Where a ratio is far from 2, ask
 * again with more bytes: memory that the processor's caches or the C library's free lists still hold at 1 MB shows as a step, which does not
 * come again; BPE merges one long word through a heap, so that its time is n log n. */
#include "cuddle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct { const char *name, *unit; } kinds[] = {
    { "one letter", "a" }, { "spaces", " " }, { "newlines", "\n" }, { "digits", "7" }, { "carriage returns", "\r\n" },
    { "letters and spaces", "a " }, { "dots", "." }, { "apostrophes", "'s" }, { "less-than signs", "<" }, { "combining marks", "\xcc\x81" },
    { "letters with marks", "e\xcc\x81\xcc\xa3" }, { "marks out of order", "\xcc\x81\xcc\xa3" }, { "U+FFFD", "\xef\xbf\xbd" }, { "NUL", "\0" },
    { "Hangul", "\xed\x95\x9c" }, { "Hangul jamo", "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab" }, { "ideographs", "\xe6\x97\xa5" },
    { "a ligature of 18", "\xef\xb7\xba" }, { "joined emoji", "\xf0\x9f\x91\xa9\xe2\x80\x8d" }, { "U+2581", "\xe2\x96\x81" },
    { "a long word", "thequickbrownfoxjumpsoverthelazydog" }, { "two letters", "ab" }, { "beginnings of specials", "<|endoftext" },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double least_time(const cuddle_tokenizer *tokenizer, const char *text, size_t bytes, int repeat)
{
    double least = 1e300;
    for (int i = 0; i < repeat; i++) {
        cuddle_encoding *e;
        cuddle_error err;
        const double began = cpu_seconds();
        if (cuddle_tokenize(&e, tokenizer, text, bytes, CUDDLE_TOKENIZE_NO_SPECIAL, &err)) {
            fprintf(stderr, "%s\n", err.text);
            exit(1);
        }
        const double seconds = cpu_seconds() - began;
        cuddle_encoding_free(e);
        if (seconds < least) least = seconds;
    }
    return least;
}

static void measure(const char *path, char *text, size_t bytes, int repeat, const char *only)
{
    cuddle_tokenizer *tokenizer;
    cuddle_error err;
    if (cuddle_tokenizer_load(&tokenizer, path, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    double worst = 0;
    int worst_kind = 0;
    printf("%s\n", path);
    for (int k = 0; k < KINDS; k++) {
        if (only && strcmp(only, kinds[k].name) != 0) continue;
        const size_t unit = strlen(kinds[k].unit) ? strlen(kinds[k].unit) : 1, whole = bytes - bytes % unit;
        for (size_t i = 0; i < 2 * whole; i++) text[i] = kinds[k].unit[i % unit];
        const double once = least_time(tokenizer, text, whole, repeat), twice = least_time(tokenizer, text, 2 * whole, repeat);
        printf("  %-24s%8.1f ms %8.1f MB/s %8.1f ms %8.1f MB/s   x %.2f\n", kinds[k].name, 1e3 * once, 1e-6 * (double)whole / once, 1e3 * twice,
               2e-6 * (double)whole / twice, twice / once);
        fflush(stdout);
        if (twice / once > worst) worst = twice / once, worst_kind = k;
    }
    printf("  worst ratio %.2f: %s\n", worst, kinds[worst_kind].name);
    cuddle_tokenizer_free(tokenizer);
}

int main(int argc, char **argv)
{
    size_t bytes = 1000000;
    int repeat = 3, first = 1;
    const char *only = NULL;
    for (; first + 1 < argc && strncmp(argv[first], "--", 2) == 0; first += 2) {
        if (strcmp(argv[first], "--bytes") == 0) bytes = (size_t)strtoul(argv[first + 1], NULL, 10);
        else if (strcmp(argv[first], "--repeat") == 0) repeat = atoi(argv[first + 1]);
        else if (strcmp(argv[first], "--only") == 0) only = argv[first + 1];
        else break;
    }
    if (first >= argc || bytes < 100 || bytes > 1u << 29 || repeat < 1 || strncmp(argv[first], "--", 2) == 0) {
        fprintf(stderr, "usage: bench_adversarial [--bytes N] [--repeat N] [--only KIND] TOKENIZER...\n");
        return 2;
    }
    char *text = malloc(2 * bytes);
    if (!text) return 1;
    printf("cuddle %s: %zu bytes, then %zu, least CPU time of %d\n", cuddle_version(), bytes, 2 * bytes, repeat);
    for (int i = first; i < argc; i++) measure(argv[i], text, bytes, repeat, only);
    free(text);
    return 0;
}
