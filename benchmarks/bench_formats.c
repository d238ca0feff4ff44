/* Times the readers of what comes before weights: safetensors headers, and the index of a sharded checkpoint, beside jansson on the same
 * text. Results are checked before they are timed. All of it is one thread: where "cpu" is less than the median, others had the processor.
 *
 *   bench_formats [runs]       medians of that many runs (default: 9, at least 5) */
#include "format/checkpoint.h"
#include "format/safetensors.h"
#include "format/scanner.h"
#include "format/shard_index.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_RUNS = 101, TENSORS = 45000, HOSTILE = 90000000 };

typedef struct text { char *data; size_t size; } text;

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const char *what, const cuddle_error *err)
{
    fprintf(stderr, "bench_formats: %s%s%s\n", what, err ? ": " : "", err ? err->text : "");
    exit(1);
}

static void *take(size_t size)
{
    void *p = malloc(size);
    if (!p) die("out of memory", NULL);
    return p;
}

/* ---------------------------------------------------------------------------------------------------------- the texts */

/* Names as in a mixture of experts with 45,000 tensors. */
static int put_name(char *at, int i)
{
    static const char *const parts[] = { "up_proj", "gate_proj", "down_proj" };
    return sprintf(at, "model.layers.%d.mlp.experts.%d.%s.weight", i / 768, i / 3 % 256, parts[i % 3]);
}

static text make_file(void)
{
    char *file = take(TENSORS * 200), *at = file + 8;
    uint64_t offset = 0;
    at += sprintf(at, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (int i = 0; i < TENSORS; i++) {
        at += sprintf(at, ",\"");
        at += put_name(at, i);
        at += sprintf(at, "\":{\"dtype\":\"BF16\",\"shape\":[2048,768],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", offset, offset + 3145728);
        offset += 3145728;
    }
    *at++ = '}';
    const uint64_t length = (uint64_t)(at - file) - 8;
    for (int i = 0; i < 8; i++) file[i] = (char)(length >> 8 * i & 0xff);
    return (text){ file, 8 + (size_t)length };
}

static text make_index(void)
{
    char *data = take(TENSORS * 200), *at = data;
    at += sprintf(at, "{\"metadata\":{\"total_size\":141557760000},\"weight_map\":{");
    for (int i = 0; i < TENSORS; i++) {
        at += sprintf(at, "%s\"", i ? "," : "");
        at += put_name(at, i);
        at += sprintf(at, "\":\"model-%05d-of-00163.safetensors\"", i / 277 + 1);
    }
    at += sprintf(at, "}}");
    return (text){ data, (size_t)(at - data) };
}

/* What costs most for its size: pairs of __metadata__ with keys as short as they can be. */
static text make_hostile(void)
{
    char *file = take(HOSTILE + 64), *at = file + 8;
    at += sprintf(at, "{\"__metadata__\":{");
    for (int i = 0; at - file < HOSTILE - 64; i++) at += sprintf(at, "%s\"%x\":\"\"", i ? "," : "", (unsigned)i);
    at += sprintf(at, "}}");
    const uint64_t length = (uint64_t)(at - file) - 8;
    for (int i = 0; i < 8; i++) file[i] = (char)(length >> 8 * i & 0xff);
    return (text){ file, 8 + (size_t)length };
}

/* ----------------------------------------------------------------------------------------------------- what is timed */

/* The data that the header speaks of is not there; nobody reads it. */
static void open_file(const text *t, uint64_t data, bool check)
{
    cuddle_error err = { CUDDLE_OK, "" };
    source *s;
    checkpoint *c;
    if (cud_source_open_memory(&s, t->data, t->size, "memory", &err)) die("memory", &err);
    s->size += data;
    if (cud_checkpoint_open_source(&c, s, &err)) die("a header", &err);
    for (int i = 0; check && i < TENSORS; i++) {
        char name[100];
        put_name(name, i);
        if (cud_checkpoint_find(c, name) != i || cud_checkpoint_get(c, i)->bytes != 3145728) die("a tensor is not where it belongs", NULL);
    }
    cud_checkpoint_free(c);
}

static void read_header(const text *t) { open_file(t, (uint64_t)TENSORS * 3145728, false); }
static void read_hostile(const text *t) { open_file(t, 0, false); }

static void scan(const text *t)
{
    cuddle_error err = { CUDDLE_OK, "" };
    char *copy = take(t->size); /* strings are decoded where they lie */
    scanner in;
    memcpy(copy, t->data + 8, t->size - 8);
    cud_scan_init(&in, copy, t->size - 8, "memory", 8, &err);
    while (cud_scan_next(&in) != SCAN_END)
        if (in.token == SCAN_ERROR) die("the scanner", &err);
    free(copy);
}

static void parse(const char *data, size_t size)
{
    json_error_t error;
    json_t *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, &error);
    if (!root) die(error.text, NULL);
    json_decref(root);
}

static void parse_header(const text *t) { parse(t->data + 8, t->size - 8); }
static void parse_index(const text *t) { parse(t->data, t->size); }

static void read_index(const text *t)
{
    cuddle_error err = { CUDDLE_OK, "" };
    source *s;
    shard_index x;
    if (cud_source_open_memory(&s, t->data, t->size, "memory", &err)) die("memory", &err);
    if (cud_shard_index_read(&x, s, &err)) die("an index", &err);
    if (x.count != TENSORS || x.shards != 163) die("an index has other entries than were written", NULL);
    cud_shard_index_free(&x);
    cud_source_close(s);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void measure(const char *what, void (*fn)(const text *), const text *t, int runs)
{
    double seconds[MAX_RUNS], cpu[MAX_RUNS];
    for (int i = 0; i < runs; i++) {
        const double begin = now(CLOCK_MONOTONIC), cpu_begin = now(CLOCK_PROCESS_CPUTIME_ID);
        fn(t);
        seconds[i] = now(CLOCK_MONOTONIC) - begin;
        cpu[i] = now(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin;
    }
    qsort(seconds, (size_t)runs, sizeof *seconds, compare);
    qsort(cpu, (size_t)runs, sizeof *cpu, compare);
    const double median = seconds[runs / 2];
    printf("%-44s %7.1f %10.2f %9.2f %9.2f %7.0f\n", what, (double)t->size / 1e6, median * 1e3, cpu[runs / 2] * 1e3, seconds[0] * 1e3,
           (double)t->size / median / 1e6);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int runs = argc > 1 ? atoi(argv[1]) : 9;
    if (runs < 5 || runs > MAX_RUNS) runs = runs < 5 ? 5 : MAX_RUNS;
    text file = make_file(), index = make_index(), hostile = make_hostile();
    open_file(&file, (uint64_t)TENSORS * 3145728, true);
    printf("%-44s %7s %10s %9s %9s %7s\n", "", "MB", "median ms", "cpu ms", "best ms", "MB/s");
    measure("safetensors header, 45,000 tensors", read_header, &file, runs);
    measure("  its tokens alone: scanner", scan, &file, runs);
    measure("  jansson", parse_header, &file, runs);
    measure("index, 45,000 tensors in 163 shards", read_index, &index, runs);
    measure("  jansson", parse_index, &index, runs);
    measure("hostile header, short pairs of metadata", read_hostile, &hostile, 5);
    free(file.data);
    free(index.data);
    free(hostile.data);
    return 0;
}
