/* How long masks of tokens take. For each schema of a folder: compiling it, then texts drawn from its masks, each token uniformly from those
 * allowed but with the odds for the ones that end a string raised, so that texts have the lengths of real ones.
 *
 *     bench_grammar TOKENIZER SCHEMAS [TEXTS]
 *
 * Prints a line per schema and the median and the 99th percentile over all tokens. A mask is timed as the engine asks for it: made, or
 * found where the text has been before; "made" counts the first. Times are of the thread's CPU, so that what else runs is not in them. */
#include "grammar/grammar.h"
#include "text/tokenizer.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_TOKENS = 400, MOST_SCHEMAS = 512 };

typedef struct times { double *at; size_t count, room; } times;

static double cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void add_time(times *t, double seconds)
{
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 4096;
        t->at = realloc(t->at, t->room * sizeof *t->at);
        if (!t->at) exit(1);
    }
    t->at[t->count++] = seconds;
}

static int by_value(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b; }
static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static double percentile(times *t, double p)
{
    if (!t->count) return 0;
    qsort(t->at, t->count, sizeof *t->at, by_value);
    return t->at[(size_t)((double)(t->count - 1) * p)];
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A token of the mask, or -1. Every second time the first of those with the fewest bits: signs and single letters, which move texts on. */
static int32_t draw(const uint32_t *mask, size_t words, uint64_t *random)
{
    size_t count = 0;
    for (size_t i = 0; i < words; i++) count += (size_t)__builtin_popcount(mask[i]);
    if (!count) return -1;
    size_t left = next_random(random) % 2 ? next_random(random) % count : next_random(random) % (count < 64 ? count : 64);
    for (size_t i = 0; i < words; i++)
        for (uint32_t rest = mask[i]; rest; rest &= rest - 1)
            if (left-- == 0) return (int32_t)(i * 32) + __builtin_ctz(rest);
    return -1;
}

static void generate(cuddle_grammar *g, size_t words, uint32_t *mask, times *all, uint64_t *random)
{
    cud_matcher *m = NULL;
    cuddle_error err = { 0 };
    if (cud_matcher_new(&m, g, true, &err)) exit(1);
    for (int i = 0; i < MOST_TOKENS; i++) {
        const double began = cpu_now();
        if (cud_matcher_mask(mask, words, m, &err)) {
            fprintf(stderr, "%s\n", err.text);
            exit(1);
        }
        add_time(all, cpu_now() - began);
        const int32_t token = draw(mask, words, random);
        if (token < 0 || (cud_matcher_accepts(m) && next_random(random) % 4 == 0)) break;
        if (cud_matcher_token(m, token, &err)) exit(1);
        if (cud_matcher_is_over(m)) break;
    }
    cud_matcher_free(m);
}

static char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    char *text = malloc(1 << 20);
    *size = text ? fread(text, 1, 1 << 20, f) : 0;
    fclose(f);
    return text;
}

/* The first grammar of a tokenizer sorts its tokens. */
static void warm(const cuddle_tokenizer *t)
{
    cuddle_grammar *g = NULL;
    cuddle_error err = { 0 };
    const double began = cpu_now();
    if (cuddle_grammar_compile(&g, t, NULL, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    printf("%-28s %10.2f\n", "(sorting the tokens)", 1e3 * (cpu_now() - began));
    cuddle_grammar_free(g);
}

int main(int argc, char **argv)
{
    cuddle_tokenizer *t = NULL;
    cuddle_error err = { 0 };
    char *name[MOST_SCHEMAS];
    size_t names = 0;
    if (argc < 3) return fprintf(stderr, "usage: bench_grammar TOKENIZER SCHEMAS [TEXTS]\n"), 2;
    const int texts = argc > 3 ? atoi(argv[3]) : 10;
    if (cud_tokenizer_load(&t, argv[1], &err)) return fprintf(stderr, "%s\n", err.text), 1;
    DIR *dir = opendir(argv[2]);
    if (!dir) return fprintf(stderr, "%s: no such folder\n", argv[2]), 1;
    for (struct dirent *e; (e = readdir(dir)) && names < MOST_SCHEMAS;)
        if (strstr(e->d_name, ".json") && !(name[names++] = strdup(e->d_name))) return 1;
    closedir(dir);
    qsort(name, names, sizeof *name, by_name);
    const size_t words = ((size_t)cud_tokenizer_size(t) + 31) / 32;
    uint32_t *mask = malloc((words + 1) * sizeof *mask);
    times all = { 0 }, compile = { 0 };
    uint64_t random = 0x9e3779b97f4a7c15u;
    printf("%-28s %10s %9s %8s %9s %9s %9s %9s\n", "schema", "compile ms", "program", "tokens", "median us", "99% us", "made", "states kB");
    for (size_t i = 0; i < names; i++) {
        char path[1024];
        size_t size = 0;
        snprintf(path, sizeof path, "%s/%s", argv[2], name[i]);
        char *text = read_file(path, &size);
        cuddle_grammar *g = NULL;
        cuddle_grammar_options o;
        cuddle_grammar_options_init(&o, sizeof o);
        o.kind = CUDDLE_GRAMMAR_JSON_SCHEMA;
        o.source = text;
        o.length = size;
        if (i == 0) warm(t);
        const double began = cpu_now();
        if (!mask || cuddle_grammar_compile(&g, t, &o, &err)) return fprintf(stderr, "%s: %s\n", path, err.text), 1;
        const double seconds = cpu_now() - began;
        times own = { 0 };
        for (int k = 0; k < texts; k++) generate(g, words, mask, &own, &random);
        cuddle_grammar_info info = { .struct_size = sizeof info };
        cuddle_grammar_get_info(g, &info, NULL);
        add_time(&compile, seconds);
        for (size_t k = 0; k < own.count; k++) add_time(&all, own.at[k]);
        printf("%-28.28s %10.3f %9llu %8zu %9.1f %9.1f %9llu %9llu\n", name[i], 1e3 * seconds,
               (unsigned long long)info.program_bytes, own.count, 1e6 * percentile(&own, 0.5), 1e6 * percentile(&own, 0.99),
               (unsigned long long)info.masks_made, (unsigned long long)info.state_bytes / 1000);
        free(own.at);
        free(text);
        free(name[i]);
        cuddle_grammar_free(g);
    }
    printf("%d ids, %zu masks: median %.1f us, 99%% %.1f us, most %.1f us; compiling: median %.3f ms, most %.3f ms\n", cud_tokenizer_size(t), all.count,
           1e6 * percentile(&all, 0.5), 1e6 * percentile(&all, 0.99), 1e6 * percentile(&all, 1), 1e3 * percentile(&compile, 0.5), 1e3 * percentile(&compile, 1));
    free(all.at);
    free(compile.at);
    free(mask);
    cud_tokenizer_free(t);
    return 0;
}
