/* bench_model: a whole model on the CPU beside the ceilings of the machine it runs on, all measured in one interleaved run.
 *
 *   bench_model CHECKPOINT [CUDDLE [ROUNDS]]     CUDDLE: the program, to time from its start to its first token; ROUNDS: 5 unless given
 *
 * Each round measures every line once, so that what else the machine does meets all of them alike; shares are taken within a round, against
 * ceilings measured right before and after. Printed are medians with the least and the most. The ceilings: memory is read by two probes, of
 * memory of our own in huge pages and of the mapped checkpoint as decoding meets it, and the larger counts; matrix products are those of the
 * model's own layers, one after another with nothing between them, by the faster of the ways there are. A rate is that of the median pass or
 * step. */
#include "cpu/backend.h"
#include "cpu/machine.h"
#include "engine/engine.h"
#include "series.h"

#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROMPT = 512, GENERATE = 33, VARIANTS = 4 };

typedef struct variant { /* one way to hold and run the model */
    const char *name;
    cuddle_load_mode load;
    cuddle_toggle deterministic;
    cuddle_engine *engine;
    cuddle_model *model;
    double load_seconds;
    series decode, prefill;             /* GB/s of weights; GFLOP/s */
    series decode_share, prefill_share; /* of the ceilings of the same round */
} variant;

static variant variants[VARIANTS] = {
    { .name = "map, deterministic on", .load = CUDDLE_LOAD_MAP, .deterministic = CUDDLE_ON },
    { .name = "map, deterministic off", .load = CUDDLE_LOAD_MAP, .deterministic = CUDDLE_OFF },
    { .name = "read, deterministic on", .load = CUDDLE_LOAD_READ, .deterministic = CUDDLE_ON },
    { .name = "read, deterministic off", .load = CUDDLE_LOAD_READ, .deterministic = CUDDLE_OFF },
};

static struct {
    const char *path, *program;
    int rounds;
    series own_memory, mapped, gemm[2], first_token;
} bench;

static void die(const char *what, const cuddle_error *err)
{
    fprintf(stderr, "bench_model: %s: %s\n", what, err->text);
    exit(1);
}

/* ---- the ceilings ---- */

typedef struct reading { const char *data; size_t bytes; bool ahead; int parts; uint64_t sum; } reading;

static void read_part(void *arg, int part, int thread)
{
    reading *r = arg;
    (void)thread;
    const size_t bytes = r->bytes / (size_t)r->parts / 64 * 64;
    const uint64_t sum = cud_cpu_read_memory(r->data + bytes * (size_t)part, bytes, r->ahead);
    __atomic_fetch_add(&r->sum, sum, __ATOMIC_RELAXED); /* or nothing would be read */
}

/* Both probes read as many bytes as a decode step does, or what there is of them. */
static struct { pool *workers; void *own, *mapped; size_t own_bytes, mapped_bytes; } probes;

static void open_probes(void)
{
    enum { OWN = 1 << 30 };
    cuddle_error err = { 0 };
    cuddle_safetensors *st;
    if (cuddle_safetensors_open(&st, bench.path, &err) != CUDDLE_OK) die(bench.path, &err);
    const int fd = open(cuddle_safetensors_shard(st, 0), O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) die(bench.path, &(cuddle_error){ .text = "a shard cannot be opened" });
    probes.mapped_bytes = (size_t)info.st_size;
    probes.mapped = mmap(NULL, probes.mapped_bytes, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    cuddle_safetensors_free(st);
    if (probes.mapped == MAP_FAILED) die(bench.path, &(cuddle_error){ .text = "a shard cannot be mapped" });
    probes.own_bytes = OWN;
    if (posix_memalign(&probes.own, (size_t)2 << 20, OWN) != 0) die("memory", &(cuddle_error){ .text = "1 GiB" });
    (void)madvise(probes.own, OWN, MADV_HUGEPAGE);
    memset(probes.own, 1, OWN);
    if (cud_pool_new(&probes.workers, cud_cpu_threads_available(), &err) != CUDDLE_OK) die("threads", &err);
}

/* GB/s of the median of three passes. */
static double probe(const void *data, size_t bytes, bool ahead)
{
    double rates[3];
    reading r = { data, bytes, ahead, 8 * cud_pool_threads(probes.workers), 0 };
    for (int pass = 0; pass < 3; pass++) {
        const double start = cud_now();
        cud_pool_run(probes.workers, read_part, &r, r.parts);
        rates[pass] = (double)bytes / (cud_now() - start) / 1e9;
    }
    qsort(rates, 3, sizeof *rates, ascending);
    return rates[1];
}

/* GFLOP/s of all matrix products of the model's layers with PROMPT rows. */
static double run_products(variant *v)
{
    cuddle_error err = { 0 };
    const model *m = v->model->m;
    const stack *t = &m->spec.stack[0];
    exec ex;
    cud_model_exec(&ex, m, EXEC_RECORD);
    ex.layer_begin = ex.layer_end = NULL;
    double flops = 0, seconds = 0;
    int64_t widest = 0;
    for (int i = 0; i < t->layers; i++) {
        const layer_weights *l = &m->weights[0].layer[i];
        const weight *all[] = { &l->qkv.w, &l->o.w, &l->up.w, &l->down.w };
        for (size_t j = 0; j < 4; j++) widest = cud_max64(widest, cud_max64(all[j]->n, all[j]->k));
    }
    const size_t bytes = (size_t)(PROMPT * widest) * cud_dtype_size(m->compute), scratch_bytes = (size_t)64 << 20;
    void *in, *out, *scratch;
    if (m->backend->ops->alloc(m->backend, &in, bytes, "x", &err) || m->backend->ops->alloc(m->backend, &out, bytes, "out", &err) ||
        m->backend->ops->alloc(m->backend, &scratch, scratch_bytes, "scratch", &err))
        die("memory", &err);
    float row[4096];
    for (int i = 0; i < 4096; i++) row[i] = (float)(i * 7919 % 4096) / 2048.0f - 1.0f;
    for (int64_t i = 0; i < PROMPT * widest; i += 4096)
        cud_from_float((char *)in + (size_t)i * cud_dtype_size(m->compute), m->compute, row, cud_min64(4096, PROMPT * widest - i));
    ex.mode = EXEC_RUN;
    ex.ws = (workspace){ .base = scratch, .size = scratch_bytes };
    for (int i = 0; i < t->layers; i++) {
        const layer_weights *l = &m->weights[0].layer[i];
        const weight *all[] = { &l->qkv.w, &l->o.w, &l->up.w, &l->down.w };
        for (size_t j = 0; j < 4; j++) {
            const tensor x = cud_matrix(in, m->compute, PROMPT, all[j]->k), y = cud_matrix(out, m->compute, PROMPT, all[j]->n);
            const double start = cud_now();
            if (ex.ops->linear(&ex, y, x, all[j], NULL, &err) != CUDDLE_OK || ex.ops->finish(&ex, &err) != CUDDLE_OK) die("linear", &err);
            seconds += cud_now() - start;
            flops += 2.0 * PROMPT * (double)all[j]->n * (double)all[j]->k;
        }
    }
    m->backend->ops->release(m->backend, in);
    m->backend->ops->release(m->backend, out);
    m->backend->ops->release(m->backend, scratch);
    return flops / seconds / 1e9;
}

/* ---- the model ---- */

static void open_variant(variant *v)
{
    cuddle_error err;
    cuddle_engine_options engine;
    cuddle_engine_options_init(&engine, sizeof engine);
    engine.device = "cpu";
    engine.deterministic = v->deterministic;
    cuddle_model_options options;
    cuddle_model_options_init(&options, sizeof options);
    options.prefix_cache = CUDDLE_OFF; /* every prompt is computed */
    options.load = v->load;
    options.max_context = 2 * PROMPT;
    options.max_sequences = 1;
    options.max_batch = PROMPT;
    const double start = cud_now();
    if (cuddle_engine_new(&v->engine, &engine, &err) || cuddle_model_load(&v->model, v->engine, bench.path, &options, &err) ||
        cuddle_model_wait(v->model, -1, &err))
        die(v->name, &err);
    v->load_seconds = cud_now() - start;
}

typedef struct arrivals { double at[GENERATE]; int count; } arrivals;

static void on_event(cuddle_request *request, const cuddle_event *event, void *user)
{
    arrivals *a = user;
    (void)request;
    for (size_t i = 0; i < event->token_count && a->count < GENERATE; i++) a->at[a->count++] = cud_now();
}

/* One prompt of PROMPT tokens and GENERATE more; 2 only if `warm`. */
static void generate(variant *v, int round, bool warm)
{
    cuddle_error err;
    int32_t ids[PROMPT];
    uint64_t state = (uint64_t)round + 1;
    for (int i = 0; i < PROMPT; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        ids[i] = (int32_t)((state >> 33) % (uint64_t)cuddle_model_vocabulary(v->model));
    }
    cuddle_generation_options options;
    cuddle_generation_options_init(&options, sizeof options);
    options.max_tokens = warm ? 2 : GENERATE;
    options.temperature = 0;
    options.ignore_eos = 1;
    const cuddle_segment prompt = { .kind = CUDDLE_SEGMENT_TOKENS, .tokens = ids, .count = PROMPT };
    cuddle_request *request;
    cuddle_result result = { .struct_size = sizeof result };
    arrivals when = { 0 };
    if (cuddle_request_submit(&request, v->model, &prompt, 1, &options, on_event, &when, &err) || cuddle_request_wait(request, -1, &err) ||
        cuddle_request_result(request, &result, &err))
        die(v->name, &err);
    cuddle_request_free(request); /* joins the last event */
    if (warm) return;
    double steps[GENERATE];
    for (int i = 1; i < GENERATE; i++) steps[i - 1] = when.at[i] - when.at[i - 1];
    qsort(steps, GENERATE - 1, sizeof *steps, ascending);
    const model *m = v->model->m;
    double layers = 0;
    for (int i = 0; i < m->spec.stack[0].layers; i++) {
        const layer_weights *l = &m->weights[0].layer[i];
        layers += (double)l->qkv.w.n * (double)l->qkv.w.k + (double)l->o.w.n * (double)l->o.w.k + (double)l->up.w.n * (double)l->up.w.k +
                  (double)l->down.w.n * (double)l->down.w.k;
    }
    v->decode.value[round] = (double)cuddle_model_weight_bytes(v->model) / steps[(GENERATE - 1) / 2] / 1e9;
    v->prefill.value[round] = 2.0 * PROMPT * layers / result.prefill_seconds / 1e9; /* attention, norms, the head: time, not work */
}

/* Seconds from starting the program to the first byte of its output, for a prompt of five tokens. */
static double exec_to_first_token(void)
{
    char *arguments[] = { (char *)(uintptr_t)bench.program, "run", (char *)(uintptr_t)bench.path, "11 12 13 14 15", "--tokens", "--max-tokens", "2",
                          "--device", "cpu", NULL };
    extern char **environ;
    int ends[2];
    posix_spawn_file_actions_t actions;
    pid_t child;
    if (pipe(ends) != 0 || posix_spawn_file_actions_init(&actions) != 0) die("pipe", &(cuddle_error){ .text = "failed" });
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    const double start = cud_now();
    const int failed = posix_spawn(&child, bench.program, &actions, NULL, arguments, environ);
    close(ends[1]);
    char byte;
    const bool came = !failed && read(ends[0], &byte, 1) == 1;
    const double seconds = cud_now() - start;
    while (came && read(ends[0], &byte, 1) == 1) continue;
    close(ends[0]);
    int status = 1;
    if (!failed) waitpid(child, &status, 0);
    posix_spawn_file_actions_destroy(&actions);
    if (!came || status != 0) die(bench.program, &(cuddle_error){ .text = "gave no token" });
    return seconds;
}

static void run_round(int round)
{
    double own = probe(probes.own, probes.own_bytes, false), mapped = probe(probes.mapped, probes.mapped_bytes, true);
    double products[2];
    for (int i = 0; i < 2; i++) products[i] = run_products(&variants[2 + i]);
    bench.own_memory.value[round] = own;
    bench.mapped.value[round] = mapped;
    for (int i = 0; i < 2; i++) bench.gemm[i].value[round] = products[i];
    for (int i = 0; i < VARIANTS; i++) {
        variant *v = &variants[(i + round) % VARIANTS];
        generate(v, round, false);
        const double own_after = probe(probes.own, probes.own_bytes, false), mapped_after = probe(probes.mapped, probes.mapped_bytes, true);
        double products_after[2];
        for (int j = 0; j < 2; j++) products_after[j] = run_products(&variants[2 + j]);
        v->decode_share.value[round] = v->decode.value[round] / fmax((own + own_after) / 2, (mapped + mapped_after) / 2);
        v->prefill_share.value[round] = v->prefill.value[round] / fmax((products[0] + products_after[0]) / 2, (products[1] + products_after[1]) / 2);
        own = own_after, mapped = mapped_after;
        memcpy(products, products_after, sizeof products);
    }
    if (bench.program) bench.first_token.value[round] = exec_to_first_token();
}

static void print_all(void)
{
    struct utsname system = { 0 };
    uname(&system);
    const model *m = variants[0].model->m;
    printf("%s, %s, %d threads; %s %s; cuddle %s (%s)\n", m->backend->device_name, m->backend->isa, m->backend->threads, system.sysname,
           system.release, cuddle_version(), cuddle_features());
    printf("%s, %d layers, %.3f GB of weights a token; prompt %d, %d more; %d rounds\n\n", cuddle_model_architecture(variants[0].model),
           cuddle_model_layers(variants[0].model), (double)cuddle_model_weight_bytes(variants[0].model) / 1e9, PROMPT, GENERATE, bench.rounds);
    printf("| what | median | least to most |\n|---|---|---|\n");
    line("reading 1 GiB of huge pages", &bench.own_memory, bench.rounds, 1, "GB/s");
    line("reading the mapped checkpoint, prefetching a page ahead", &bench.mapped, bench.rounds, 1, "GB/s");
    line("the layers' matrix products alone, own kernels", &bench.gemm[0], bench.rounds, 1, "GFLOP/s");
    line("the layers' matrix products alone, with oneDNN where it is used", &bench.gemm[1], bench.rounds, 1, "GFLOP/s");
    for (int i = 0; i < VARIANTS; i++) {
        const variant *v = &variants[i];
        char what[96];
        snprintf(what, sizeof what, "decode, %s", v->name);
        line(what, &v->decode, bench.rounds, 1, "GB/s of weights");
        snprintf(what, sizeof what, "decode, %s: share of the larger probe", v->name);
        line(what, &v->decode_share, bench.rounds, 100, "%");
        snprintf(what, sizeof what, "prefill %d, %s", PROMPT, v->name);
        line(what, &v->prefill, bench.rounds, 1, "GFLOP/s");
        snprintf(what, sizeof what, "prefill %d, %s: share of the faster products", PROMPT, v->name);
        line(what, &v->prefill_share, bench.rounds, 100, "%");
    }
    if (bench.program) line("from exec to the first token of a prompt of 5, warm", &bench.first_token, bench.rounds, 1, "s");
    for (int i = 0; i < VARIANTS; i++) printf("%sload by %s: %.3f s", i ? "; " : "\n", variants[i].name, variants[i].load_seconds);
    printf("\n");
}

int main(int argc, char **argv)
{
    bench.path = argc > 1 ? argv[1] : NULL;
    bench.program = argc > 2 ? argv[2] : NULL;
    bench.rounds = argc > 3 ? atoi(argv[3]) : 5;
    if (!bench.path || bench.rounds < 1 || bench.rounds > ROUNDS_MOST) {
        fprintf(stderr, "usage: bench_model CHECKPOINT [CUDDLE [ROUNDS]]\n");
        return 2;
    }
    open_probes();
    for (int i = 0; i < VARIANTS; i++) open_variant(&variants[i]);
    for (int i = 0; i < VARIANTS; i++) generate(&variants[i], 0, true);
    for (int i = 0; i < bench.rounds; i++) run_round(i);
    print_all();
    for (int i = 0; i < VARIANTS; i++) cuddle_engine_free(variants[i].engine), cuddle_model_free(variants[i].model);
    cud_pool_free(probes.workers);
    munmap(probes.mapped, probes.mapped_bytes);
    free(probes.own);
    return 0;
}
