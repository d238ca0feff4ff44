/* cuddle bench: how fast a model loads, reads a prompt and decodes here, beside the memory bandwidth that bounds decoding. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "cuddle.h"

enum { REPEAT_MOST = 100, PROBE_BYTES = 1 << 30, PROBE_PASSES = 20 };
enum { PROMPT_DEFAULT = 512, GENERATE_DEFAULT = 128 };

typedef struct bench_options {
    int prompt_tokens, generate, batch, repeat, only_load, cold, no_probe, json;
    float bandwidth; /* GB/s; 0: not given */
} bench_options;
static const option_row bench_rows[] = {
    { "prompt-tokens", OPTION_INT, offsetof(bench_options, prompt_tokens), 1, INT32_MAX, "N",
      "tokens of each prompt (default: 512, or what the context leaves)" },
    { "generate", OPTION_INT, offsetof(bench_options, generate), 2, INT32_MAX, "N",
      "tokens generated for each sequence (default: 128, or a quarter of the context)" },
    { "batch", OPTION_INT, offsetof(bench_options, batch), 1, 4096, "N", "sequences at once (default: 1)" },
    { "repeat", OPTION_INT, offsetof(bench_options, repeat), 1, REPEAT_MOST, "N", "measured runs after one that is not (default: 3)" },
    { "only-load", OPTION_FLAG, offsetof(bench_options, only_load), 0, 0, "", "measure loading alone, --repeat times" },
    { "cold", OPTION_FLAG, offsetof(bench_options, cold), 0, 0, "", "drop the model's files from the page cache before each load, as far as the system does" },
    { "bandwidth", OPTION_FLOAT, offsetof(bench_options, bandwidth), 0.001, 1e6, "GB/S",
      "of the device's memory, measured elsewhere, to compare with instead of measuring it" },
    { "no-probe", OPTION_FLAG, offsetof(bench_options, no_probe), 0, 0, "",
      "do not measure the memory's read bandwidth, which takes 1 GiB, nor the link to the device" },
    { "json", OPTION_FLAG, offsetof(bench_options, json), 0, 0, "", "print one JSON object" },
    { 0 },
};

typedef struct measure { double prefill, decode; } measure; /* seconds */

/* What the events of one run add up to; written by the engine's thread, read after every request ended. */
typedef struct tally {
    int batch, started;
    double all_started, ended; /* when the last sequence had its first token; when the last event came */
} tally;
typedef struct sequence { tally *all; int started; } sequence;

static void on_event(cuddle_request *request, const cuddle_event *event, void *user)
{
    sequence *q = user;
    (void)request;
    q->all->ended = seconds_now();
    if (q->started || !event->token_count) return;
    q->started = 1;
    if (++q->all->started == q->all->batch) q->all->all_started = q->all->ended;
}

/* Prompts differ between sequences and runs, so that nothing of one is found in a cache by another. */
static void fill_prompt(int32_t *ids, int count, int vocabulary, uint64_t *state)
{
    for (int i = 0; i < count; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        ids[i] = (int32_t)((*state >> 33) % (uint64_t)vocabulary);
    }
}

static int wait_all(cuddle_request **requests, int count, cuddle_error *err)
{
    for (int i = 0; i < count; i++) {
        cuddle_status status;
        while ((status = cuddle_request_wait(requests[i], WAIT_MS, err)) == CUDDLE_E_BUSY)
            if (interrupt_code()) return interrupt_code();
        if (status != CUDDLE_OK) return say_error(err);
    }
    return 0;
}

/* One run: all sequences are submitted at once. Returns an exit code. */
static int run_once(session *s, const bench_options *own, int generate, uint64_t *state, measure *out)
{
    cuddle_error err;
    int code = 0, submitted = 0;
    tally all = { .batch = own->batch };
    int32_t *ids = malloc((size_t)own->prompt_tokens * sizeof *ids);
    cuddle_request **requests = calloc((size_t)own->batch, sizeof *requests);
    sequence *sequences = calloc((size_t)own->batch, sizeof *sequences);
    cuddle_generation_options options;
    cuddle_generation_options_init(&options, sizeof options);
    options.max_tokens = generate;
    options.temperature = 0;
    options.repetition_penalty = 1;
    options.ignore_eos = 1;
    if (!ids || !requests || !sequences) {
        say("out of memory for %d prompts of %d tokens", own->batch, own->prompt_tokens);
        code = EXIT_FAILED;
    }
    const double began = seconds_now();
    for (; !code && submitted < own->batch; submitted++) {
        fill_prompt(ids, own->prompt_tokens, cuddle_model_vocabulary(s->model), state);
        sequences[submitted].all = &all;
        const cuddle_segment segment = { .kind = CUDDLE_SEGMENT_TOKENS, .tokens = ids, .count = (size_t)own->prompt_tokens };
        if (cuddle_request_submit(&requests[submitted], s->model, &segment, 1, &options, on_event, &sequences[submitted], &err) != CUDDLE_OK)
            code = say_error(&err);
    }
    if (!code) code = wait_all(requests, own->batch, &err);
    for (int i = 0; requests && i < own->batch; i++) cuddle_request_free(requests[i]); /* joins: no more events after this */
    *out = (measure){ all.all_started - began, all.ended - all.all_started };
    free(sequences);
    free(requests);
    free(ids);
    return code;
}

/* ------------------------------------------------------------------------------------------------------------ results */

typedef struct report {
    const char *path;
    const bench_options *own;
    measure runs[REPEAT_MOST];
    double prefill, decode;     /* tokens/s */
    double decode_gb, kv_gb;    /* GB/s of weights; of keys and values on top of them */
    double read_gb;             /* 0 if it is not known */
    cuddle_plan plan;
    cuddle_load_report load; /* of the load after which the rest was measured */
    struct { double seconds; cuddle_load_report report; } loads[REPEAT_MOST]; /* --only-load */
} report;

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static double prefill_rate(const report *r, int run) { return (double)r->own->batch * r->own->prompt_tokens / r->runs[run].prefill; }
/* Steps a second. The sequence that started last takes part in every step from its first token to the end of the run. */
static double step_rate(const report *r, int run) { return (r->own->generate - 1) / r->runs[run].decode; }

static void summarize(report *r, const session *s)
{
    double prefill[REPEAT_MOST], steps[REPEAT_MOST];
    for (int i = 0; i < r->own->repeat; i++) prefill[i] = prefill_rate(r, i), steps[i] = step_rate(r, i);
    r->prefill = median(prefill, r->own->repeat);
    const double middle = median(steps, r->own->repeat);
    r->decode = middle * r->own->batch;
    r->decode_gb = 1e-9 * middle * (double)cuddle_model_weight_bytes(s->model);
    /* Positions of a sequence halfway through, as if no layer had a window. */
    const double positions = (double)r->own->batch * (r->own->prompt_tokens + r->own->generate / 2);
    if (r->plan.kv_tokens > 0) r->kv_gb = 1e-9 * middle * positions * (double)r->plan.kv / (double)r->plan.kv_tokens;
}

static void print_load(const cuddle_load_report *l, double seconds)
{
    char size[32];
    out_printf("load        %.3f s; by %s: %s at %.2f GB/s with %d reader%s", seconds, cuddle_load_mode_name(l->mode),
               human_bytes(size, sizeof size, l->bytes), l->gb_per_s, l->readers, l->readers == 1 ? "" : "s");
    if (l->bytes_in_place) out_printf(", %s in place", human_bytes(size, sizeof size, l->bytes_in_place));
    if (l->ceiling_gb_per_s > 0) out_printf(", %.0f %% of the %.2f GB/s that the link reaches", 100 * l->ceiling_share, l->ceiling_gb_per_s);
    out_printf("\n");
    if (l->fallbacks[0]) out_printf("            fallbacks: %s\n", l->fallbacks);
}

static json_t *load_json(const cuddle_load_report *l)
{
    json_t *o = json_object();
    js_put(o, "mode", js_name(cuddle_load_mode_name(l->mode)));
    js_put(o, "readers", json_integer(l->readers));
    js_put(o, "bytes", js_bytes(l->bytes));
    js_put(o, "bytes_in_place", js_bytes(l->bytes_in_place));
    js_put(o, "seconds", js_number(l->seconds));
    js_put(o, "gb_per_second", js_number(l->gb_per_s));
    js_put(o, "pin_seconds", js_number(l->pin_seconds));
    js_put(o, "ceiling_gb_per_second", l->ceiling_gb_per_s > 0 ? js_number(l->ceiling_gb_per_s) : json_null());
    js_put(o, "share_of_ceiling", l->ceiling_gb_per_s > 0 ? js_number(l->ceiling_share) : json_null());
    js_put(o, "page_cache_bytes", js_bytes(l->page_cache_bytes));
    js_put(o, "direct_bytes", js_bytes(l->direct_bytes));
    js_put(o, "plain_bytes", js_bytes(l->plain_bytes));
    js_put(o, "registered_bytes", js_bytes(l->registered_bytes));
    js_put(o, "pinned_bytes", js_bytes(l->pinned_bytes));
    js_put(o, "fallbacks", js_name(l->fallbacks));
    return o;
}

static void print_text(const report *r, const session *s)
{
    char size[32];
    out_printf("model       %s, %d layers, %s, %d tokens in the vocabulary\n", cuddle_model_architecture(s->model),
               cuddle_model_layers(s->model), cuddle_dtype_name(r->plan.compute), cuddle_model_vocabulary(s->model));
    char name[160];
    out_printf("device      %s, %d threads, deterministic %s\n",
               clean_line(name, sizeof name, cuddle_engine_device_name(s->engine)), cuddle_engine_cpu_threads(s->engine),
               cuddle_engine_deterministic(s->engine) ? "on" : "off");
    out_printf("workload    %d x (%d prompt + %d generated tokens), median of %d\n", r->own->batch, r->own->prompt_tokens, r->own->generate,
               r->own->repeat);
    print_load(&r->load, s->load_seconds);
    out_printf("prefill     %.1f tokens/s\n", r->prefill);
    out_printf("decode      %.1f tokens/s, %.2f GB/s of weights (%s a step)\n", r->decode, r->decode_gb,
               human_bytes(size, sizeof size, cuddle_model_weight_bytes(s->model)));
    if (r->read_gb > 0 && r->own->bandwidth > 0)
        out_printf("memory      %.2f GB/s as given; decoding reaches %.0f %% of it, with keys and values %.0f %%\n", r->read_gb,
                   100 * r->decode_gb / r->read_gb, 100 * (r->decode_gb + r->kv_gb) / r->read_gb);
    else if (r->read_gb > 0)
        out_printf("memory      %.2f GB/s read by %d threads; decoding reaches %.0f %% of it\n", r->read_gb,
                   cuddle_engine_cpu_threads(s->engine), 100 * r->decode_gb / r->read_gb);
}

static void print_json(const report *r, const session *s)
{
    json_t *o = json_object(), *runs = json_array();
    js_put(o, "path", js_name(r->path));
    js_put(o, "architecture", js_name(cuddle_model_architecture(s->model)));
    js_put(o, "compute", js_name(cuddle_dtype_name(r->plan.compute)));
    js_put(o, "kv_dtype", js_name(cuddle_dtype_name(r->plan.kv_dtype)));
    js_put(o, "device", js_name(cuddle_engine_device_name(s->engine)));
    js_put(o, "threads", json_integer(cuddle_engine_cpu_threads(s->engine)));
    js_put(o, "deterministic", json_boolean(cuddle_engine_deterministic(s->engine)));
    js_put(o, "batch", json_integer(r->own->batch));
    js_put(o, "prompt_tokens", json_integer(r->own->prompt_tokens));
    js_put(o, "generate", json_integer(r->own->generate));
    js_put(o, "load_seconds", js_number(s->load_seconds));
    js_put(o, "load", load_json(&r->load));
    js_put(o, "prefill_tokens_per_second", js_number(r->prefill));
    js_put(o, "decode_tokens_per_second", js_number(r->decode));
    js_put(o, "weight_bytes", js_bytes(cuddle_model_weight_bytes(s->model)));
    js_put(o, "decode_gb_per_second", js_number(r->decode_gb));
    js_put(o, "kv_gb_per_second", js_number(r->kv_gb));
    js_put(o, "read_gb_per_second", r->read_gb > 0 ? js_number(r->read_gb) : json_null());
    js_put(o, "share_of_read_bandwidth", r->read_gb > 0 ? js_number(r->decode_gb / r->read_gb) : json_null());
    js_put(o, "share_with_kv", r->read_gb > 0 ? js_number((r->decode_gb + r->kv_gb) / r->read_gb) : json_null());
    for (int i = 0; i < r->own->repeat; i++) {
        json_t *run = json_object();
        js_put(run, "prefill_seconds", js_number(r->runs[i].prefill));
        js_put(run, "decode_seconds", js_number(r->runs[i].decode));
        js_add(runs, run);
    }
    js_put(o, "runs", runs);
    out_json(o);
}

/* --------------------------------------------------------------------------------------------------------------- bench */

/* Fills in the workload that was not asked for, from the context that the model offers. Returns an exit code. */
static int fit_workload(const session *s, bench_options *own, report *r)
{
    cuddle_error err;
    if (cuddle_model_memory(s->model, &r->plan, NULL, &err) != CUDDLE_OK) return say_error(&err);
    if (cuddle_model_load_report(s->model, &r->load, &err) != CUDDLE_OK) return say_error(&err);
    const int context = r->plan.max_context;
    if (!own->generate) own->generate = context / 4 < GENERATE_DEFAULT ? context / 4 : GENERATE_DEFAULT;
    if (own->generate < 2) own->generate = 2;
    const int left = context - own->generate;
    if (!own->prompt_tokens) own->prompt_tokens = left < PROMPT_DEFAULT ? left : PROMPT_DEFAULT;
    if (own->prompt_tokens < 1) own->prompt_tokens = 1;
    return 0;
}

static int measure_all(session *s, bench_options *own, report *r)
{
    uint64_t state = 1;
    measure warm;
    int code = fit_workload(s, own, r);
    if (!code) code = run_once(s, own, 2, &state, &warm); /* touches the weights and every buffer */
    for (int i = 0; !code && i < own->repeat; i++) code = run_once(s, own, own->generate, &state, &r->runs[i]);
    if (code) return code;
    summarize(r, s);
    cuddle_error err;
    r->read_gb = (double)own->bandwidth;
    if (!own->no_probe && r->read_gb <= 0 && cuddle_engine_device(s->engine) == CUDDLE_DEVICE_CPU &&
        cuddle_probe_bandwidth(&r->read_gb, PROBE_BYTES, PROBE_PASSES, cuddle_engine_cpu_threads(s->engine), &err) != CUDDLE_OK) {
        r->read_gb = 0;
        say_error(&err); /* the rest stands without it */
    }
    return interrupt_code();
}

/* -------------------------------------------------------------------------------------------------------- loading alone */

/* Drops the checkpoint's files from the page cache. What cannot be dropped (mapped by somebody, or not written yet) stays, and the load's
 * report says so. Returns an exit code. */
static int drop_cached(const char *path)
{
    cuddle_error err;
    cuddle_safetensors *st;
    if (cuddle_safetensors_open(&st, path, &err) != CUDDLE_OK) return say_error(&err);
    int code = 0;
    for (int i = 0; !code && i < cuddle_safetensors_shards(st); i++) {
        const char *file = cuddle_safetensors_shard(st, i);
        const int fd = open(file, O_RDONLY | O_CLOEXEC);
        int failure = fd < 0 ? errno : 0;
        if (!failure && fdatasync(fd) != 0 && errno != EINVAL && errno != EROFS) failure = errno;
        if (!failure) failure = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        if (fd >= 0) close(fd);
        if (!failure) continue;
        char shown[256];
        say("%s cannot be dropped from the page cache: %s", clean_line(shown, sizeof shown, file), strerror(failure));
        code = EXIT_FAILED;
    }
    cuddle_safetensors_free(st);
    return code;
}

static int measure_loads(session *s, const settings *set, report *r)
{
    cuddle_error err;
    int code = 0;
    for (int i = 0; !code && i < r->own->repeat; i++) {
        cuddle_model_free(s->model);
        s->model = NULL;
        if (r->own->cold) code = drop_cached(r->path);
        if (!code) code = session_open(s, set, r->path);
        r->loads[i].seconds = s->load_seconds;
        r->loads[i].report.struct_size = sizeof r->loads[i].report;
        if (!code && cuddle_model_load_report(s->model, &r->loads[i].report, &err) != CUDDLE_OK) code = say_error(&err);
    }
    return code;
}

static void print_loads(const report *r, const session *s)
{
    double rates[REPEAT_MOST], shares[REPEAT_MOST];
    for (int i = 0; i < r->own->repeat; i++) rates[i] = r->loads[i].report.gb_per_s, shares[i] = r->loads[i].report.ceiling_share;
    const double rate = median(rates, r->own->repeat), share = median(shares, r->own->repeat);
    if (!r->own->json) {
        for (int i = 0; i < r->own->repeat; i++) print_load(&r->loads[i].report, r->loads[i].seconds);
        return;
    }
    json_t *o = json_object(), *loads = json_array();
    js_put(o, "path", js_name(r->path));
    js_put(o, "device", js_name(cuddle_engine_device_name(s->engine)));
    js_put(o, "cold", json_boolean(r->own->cold));
    js_put(o, "gb_per_second", js_number(rate));
    js_put(o, "share_of_ceiling", share > 0 ? js_number(share) : json_null());
    for (int i = 0; i < r->own->repeat; i++) {
        json_t *load = load_json(&r->loads[i].report);
        js_put(load, "load_seconds", js_number(r->loads[i].seconds));
        js_add(loads, load);
    }
    js_put(o, "loads", loads);
    out_json(o);
}

int verb_bench(int argc, char **argv)
{
    bench_options own = { .batch = 1, .repeat = 3 };
    settings set = SETTINGS_DEFAULT;
    const option_group groups[] = { { "options", bench_rows, &own }, { "engine and model", settings_rows, &set }, { 0 } };
    const command c = { "bench", "MODEL", "Measures loading, prefill and decoding of a model.",
                        "Prompts are random token ids, decoding is greedy and goes on past end-of-sequence tokens. Prefill is timed until every "
                        "sequence has its first token, decoding from there to the end. Decoding reads the weights once a step: that rate is "
                        "set beside the bandwidth at which the same threads read 1 GiB of memory. A model that fits the processor's caches can "
                        "exceed it.", 1, 1, groups };
    const char *positional[POSITIONAL_MOST];
    int code;
    if (!options_parse(&c, argc, argv, positional, &code)) return code;
    if (set.max_sequences == 0) set.max_sequences = own.batch;
    set.measure_ceiling = !own.no_probe;

    session s = { 0 };
    report r = { .path = positional[0], .own = &own, .plan = { .struct_size = sizeof r.plan }, .load = { .struct_size = sizeof r.load } };
    if (own.only_load) {
        code = measure_loads(&s, &set, &r);
        if (!code) print_loads(&r, &s);
        session_close(&s);
        return out_end(code);
    }
    code = own.cold ? drop_cached(positional[0]) : 0;
    if (!code) code = session_open(&s, &set, positional[0]);
    if (!code) code = measure_all(&s, &own, &r);
    if (!code && own.json) print_json(&r, &s);
    else if (!code) print_text(&r, &s);
    session_close(&s);
    return out_end(code);
}
