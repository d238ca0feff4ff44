#include "cli/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"

const option_row settings_rows[] = {
    { "device", OPTION_WORD, offsetof(settings, device), 0, 0, "auto|cpu|cuda[:N]", "where the model runs (default: auto)" },
    { "dtype", OPTION_WORD, offsetof(settings, dtype), 0, 0, "auto|float32|bfloat16|float16",
      "type of activations (default: auto, what the checkpoint says)" },
    { "kv-dtype", OPTION_WORD, offsetof(settings, kv_dtype), 0, 0, "auto|float32|bfloat16|float16",
      "type of the KV cache (default: auto, the type of activations)" },
    { "threads", OPTION_INT, offsetof(settings, threads), 0, 1024, "N", "threads that compute on the CPU (default: 0, all that this process may use)" },
    { "deterministic", OPTION_CHOICE, offsetof(settings, deterministic), 0, 0, "auto|off|on",
      "on: the same bits alone and in any batch (default: auto, on for the CPU)" },
    { "load", OPTION_CHOICE, offsetof(settings, load), 0, 0, "auto|map|read|ring|register",
      "on the CPU map (use the weights where they lie in the mapped files; a file that someone truncates meanwhile ends the program) or "
      "read (into memory); on CUDA ring (through a small page-locked buffer) or register (copy from the page-locked page cache) "
      "(default: auto)" },
    { "max-context", OPTION_INT, offsetof(settings, max_context), 0, INT32_MAX, "N",
      "positions of one sequence (default: 0, what the checkpoint says, at most 8192)" },
    { "max-batch", OPTION_INT, offsetof(settings, max_batch), 0, INT32_MAX, "N", "tokens of one step (default: 0, the library's choice)" },
    { "max-sequences", OPTION_INT, offsetof(settings, max_sequences), 0, INT32_MAX, "N",
      "sequences that run at once (default: 0, which is 1 for chat, the choices or beams for run, --batch for bench and the library's choice for plan)" },
    { "kv-tokens", OPTION_INT64, offsetof(settings, kv_tokens), 0, 1e15, "N",
      "positions in the KV cache, all sequences together (default: 0, max-context times max-sequences, bounded by memory)" },
    { "log", OPTION_CHOICE, offsetof(settings, log), 0, 0, "error|warn|info|debug", "lines of the library's log on stderr (default: warn)" },
    { 0 },
};

/* ---------------------------------------------------------------------------------------------------------- interrupts */

static volatile sig_atomic_t caught;
static int wake[2] = { -1, -1 }; /* a pipe that can be read once a signal came: one that comes just before a wait would not end it */

static void note_signal(int number)
{
    const int before = errno;
    caught = number;
    while (write(wake[1], "", 1) < 0 && errno == EINTR) {}
    errno = before;
}

void interrupt_catch(void)
{
    if (wake[0] < 0 && pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0) wake[0] = wake[1] = -1;
    static const int numbers[] = { SIGINT, SIGTERM };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        /* The second one is not caught. Writes go on: interrupt_read() is what a signal ends. */
        struct sigaction old, action = { .sa_handler = note_signal, .sa_flags = (int)(SA_RESETHAND | SA_RESTART) };
        sigemptyset(&action.sa_mask);
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaction(numbers[i], &action, NULL);
    }
}

static void drain(void)
{
    char byte;
    while (read(wake[0], &byte, 1) > 0) {}
}

void interrupt_forget(void)
{
    caught = 0;
    drain();
    interrupt_catch();
}

int interrupt_code(void) { return caught ? 128 + (int)caught : 0; }

ssize_t interrupt_read(int descriptor, void *data, size_t room)
{
    struct pollfd either[] = { { .fd = descriptor, .events = POLLIN }, { .fd = wake[0], .events = POLLIN } };
    while (!caught) {
        if (poll(either, 2, -1) < 0 && errno != EINTR) return -1;
        if (either[1].revents && !caught) drain(); /* of a signal that was forgotten before its handler had ended on another thread */
        if (!either[0].revents || caught) continue;
        const ssize_t got = read(descriptor, data, room);
        if (got >= 0 || errno != EINTR) return got;
    }
    errno = EINTR;
    return -1;
}

/* ------------------------------------------------------------------------------------------------------------- loading */

static void print_log(cuddle_log_level level, const char *line, void *user)
{
    static const char *const names[] = { "error", "warning", "info", "debug" };
    (void)user;
    say("%s: %s", (unsigned)level < sizeof names / sizeof *names ? names[level] : "log", line);
}

static void note_progress(const cuddle_progress *progress, void *user)
{
    session *s = user;
    atomic_store(&s->bytes_total, progress->bytes_total);
    atomic_store(&s->bytes_done, progress->bytes_done);
}

static void draw_progress(session *s, double seconds)
{
    const unsigned long long done = atomic_load(&s->bytes_done), total = atomic_load(&s->bytes_total);
    if (!total) return;
    enum { WIDTH = 30 };
    static const char full[] = "##############################", empty[] = "..............................";
    const int filled = done >= total ? WIDTH : (int)((double)done / (double)total * WIDTH);
    char size[32];
    fprintf(stderr, "\rloading [%.*s%.*s] %3.0f %% of %s, %.2f GB/s\x1b[K", filled, full, WIDTH - filled, empty,
            100.0 * (double)done / (double)total, human_bytes(size, sizeof size, total), seconds > 0 ? 1e-9 * (double)done / seconds : 0);
}

static int wait_loaded(session *s, double began, cuddle_error *err)
{
    const int bar = isatty(STDERR_FILENO);
    cuddle_status status;
    int cancelled = 0, drawn = 0;
    while ((status = cuddle_model_wait(s->model, WAIT_MS, err)) == CUDDLE_E_BUSY) {
        if (interrupt_code() && !cancelled) {
            cuddle_model_cancel(s->model);
            cancelled = 1;
        }
        if (bar) {
            draw_progress(s, seconds_now() - began);
            drawn = 1;
        }
    }
    if (drawn) fprintf(stderr, "\r\x1b[K");
    if (interrupt_code()) return interrupt_code();
    return status == CUDDLE_OK ? 0 : say_error(err);
}

int session_open_engine(session *s, const settings *set)
{
    cuddle_engine_options options;
    cuddle_engine_options_init(&options, sizeof options);
    options.device = set->device;
    options.cpu_threads = set->threads;
    options.deterministic = (cuddle_toggle)set->deterministic;
    options.log = print_log;
    options.log_level = (cuddle_log_level)set->log;
    cuddle_error err;
    return cuddle_engine_new(&s->engine, &options, &err) == CUDDLE_OK ? 0 : say_error(&err);
}

void settings_to_model_options(const settings *set, cuddle_model_options *options)
{
    cuddle_model_options_init(options, sizeof *options);
    options->dtype = set->dtype;
    options->kv_dtype = set->kv_dtype;
    options->load = (cuddle_load_mode)set->load;
    options->max_context = set->max_context;
    options->max_sequences = set->max_sequences;
    options->max_batch = set->max_batch;
    options->kv_tokens = set->kv_tokens;
    options->measure_ceiling = set->measure_ceiling;
}

int session_open(session *s, const settings *set, const char *path)
{
    if (!s->engine) {
        const int code = session_open_engine(s, set);
        if (code) return code;
    }
    cuddle_model_options options;
    settings_to_model_options(set, &options);
    options.progress = note_progress;
    options.progress_user = s;
    cuddle_error err;
    const double began = seconds_now();
    if (cuddle_model_load(&s->model, s->engine, path, &options, &err) != CUDDLE_OK) return say_error(&err);
    const int code = wait_loaded(s, began, &err);
    s->load_seconds = seconds_now() - began;
    return code;
}

void session_close(session *s)
{
    cuddle_model_free(s->model);
    cuddle_engine_free(s->engine);
    s->model = NULL;
    s->engine = NULL;
}
