/* What people give us that cannot work: files that are none, files that change, settings out of their range. Each is one sentence, through
 * the public header alone. */
#include "cuddle.h"
#include "support.h"

#include <limits.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static cuddle_error err;
static cuddle_engine *engine;

static void start(void)
{
    cuddle_engine_options o;
    cuddle_engine_options_init(&o, sizeof o);
    o.device = "cpu";
    o.cpu_threads = 1;
    ck_ok(cuddle_engine_new(&engine, &o, &err));
}

static void stop(void) { cuddle_engine_free(engine); }

static void run(const char *format, const char *a, const char *b)
{
    char command[2048];
    snprintf(command, sizeof command, format, a, b);
    ck_assert_int_eq(system(command), 0);
}

/* A fresh copy of a small Llama, with the tokenizer of a small GPT-2; the current folder is above it, so that sentences are known. */
static void copy_checkpoint(void)
{
    ck_assert_int_eq(chdir(test_temp_dir()), 0);
    run("rm -rf m && cp -r '%s' m && chmod -R u+w m && cp '%s' m/", test_path("parity/llama/base"), test_path("models/kjv-gpt2/tokenizer.json"));
    test_write_file("m/tokenizer_config.json", "{}", 2);
}

static cuddle_status load(cuddle_model **h, cuddle_load_mode mode, cuddle_progress_fn progress, void *user)
{
    cuddle_model_options o;
    cuddle_model_options_init(&o, sizeof o);
    o.load = mode;
    o.max_context = 32;
    o.progress = progress;
    o.progress_user = user;
    return cuddle_model_load(h, engine, "m", &o, &err);
}

static void says(cuddle_status got, cuddle_status want, const char *sentence)
{
    test_expect_failure(got, want, &err);
    ck_assert_str_eq(err.text, sentence);
}

/* ------------------------------------------------------------------------------------------------- files that are none */

static const char *const files[] = { "config.json", "model.safetensors", "generation_config.json", "tokenizer.json", "tokenizer_config.json" };

static const struct { const char *make, *sentence; } specials[] = {
    { "mkdir m/%s", "is a directory, expected a regular file" },
    { "mkfifo m/%s", "is a FIFO, expected a regular file" }, /* and nothing waits for a writer */
    { "ln -s %s m/%s", "Too many levels of symbolic links" },
    { "ln -s nowhere m/%s", "No such file or directory" },
    { "ln -s /dev/zero m/%s", "is a device, expected a regular file" },
};

START_TEST(what_is_no_file_is_named)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (size_t k = 0; k < sizeof specials / sizeof *specials; k++) {
            char path[100], expected[300];
            cuddle_model *h;
            copy_checkpoint();
            snprintf(path, sizeof path, "m/%s", files[i]);
            ck_assert_int_eq(unlink(path), 0);
            run(specials[k].make, files[i], files[i]);
            snprintf(expected, sizeof expected, "%s: %s", path, specials[k].sentence);
            says(load(&h, CUDDLE_LOAD_AUTO, NULL, NULL), CUDDLE_E_IO, expected);
            ck_assert_ptr_null(h);
        }
}
END_TEST

START_TEST(files_without_content_are_malformed)
{
    static const char *const sentences[][3] = { /* of no byte, of one that begins something, of one that does not */
        { "config.json: the file is empty, expected an object", "config.json: byte 1: found the end, expected a key in quotes",
          "config.json: is 7, expected an object" },
        { "model.safetensors: the file has 0 bytes, expected at least 8 for the length of the header",
          "model.safetensors: the file has 1 bytes, expected at least 8 for the length of the header",
          "model.safetensors: the file has 1 bytes, expected at least 8 for the length of the header" },
        { "generation_config.json: the file is empty, expected an object",
          "generation_config.json: byte 1: found the end, expected a key in quotes", "generation_config.json: is 7, expected an object" },
        { "tokenizer.json: byte 0: found the end, expected a JSON value", "tokenizer.json: byte 1: found the end, expected a key in quotes",
          "tokenizer.json: the root is not an object" },
        { "tokenizer_config.json: the file is empty, expected an object", "tokenizer_config.json: byte 1: found the end, expected a key in quotes",
          "tokenizer_config.json: is 7, expected an object" },
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (size_t k = 0; k < 3; k++) {
            char path[100];
            cuddle_model *h;
            copy_checkpoint();
            snprintf(path, sizeof path, "m/%s", files[i]);
            test_write_file(path, k == 1 ? "{" : "7", k > 0);
            says(load(&h, CUDDLE_LOAD_AUTO, NULL, NULL), CUDDLE_E_FORMAT, sentences[i][k]);
            ck_assert_ptr_null(h);
        }
}
END_TEST

START_TEST(what_is_no_checkpoint_is_named)
{
    static const struct { const char *make, *sentence; } cases[] = {
        { "true", "m/config.json: No such file or directory" },
        { "mkdir m", "m/config.json: No such file or directory" },
        { "echo x >m", "m/config.json: Not a directory" },
        { "mkfifo m", "m/config.json: Not a directory" },
        { "ln -s m m", "m/config.json: Too many levels of symbolic links" },
    };
    cuddle_model *h;
    ck_assert_int_eq(chdir(test_temp_dir()), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run("rm -rf m && %s%s", cases[i].make, "");
        says(load(&h, CUDDLE_LOAD_AUTO, NULL, NULL), CUDDLE_E_IO, cases[i].sentence);
    }
}
END_TEST

/* Root reads everything: then another user asks. */
static bool become_nobody(void)
{
    if (geteuid() != 0) return true;
    ck_assert_int_eq(chmod(test_temp_dir(), 0755), 0);
    if (chdir(test_temp_dir()) || seteuid(65534)) return false;
    if (access("m", F_OK) == 0) return true; /* the folders above let others in */
    ck_assert_int_eq(seteuid(0), 0);
    return false;
}

static void become_root_again(void)
{
    if (getuid() == 0) ck_assert_int_eq(seteuid(0), 0);
}

START_TEST(files_that_may_not_be_read_are_named)
{
    for (size_t i = 0; i <= sizeof files / sizeof *files; i++) {
        char path[100], expected[300];
        cuddle_model *h;
        copy_checkpoint();
        const bool whole = i == sizeof files / sizeof *files;
        snprintf(path, sizeof path, "m/%s", whole ? "config.json" : files[i]);
        ck_assert_int_eq(chmod("m", whole ? 0 : 0755), 0);
        if (!whole) ck_assert_int_eq(chmod(path, 0), 0);
        if (!become_nobody()) return;
        snprintf(expected, sizeof expected, "%s: Permission denied", path);
        const cuddle_status status = load(&h, CUDDLE_LOAD_AUTO, NULL, NULL);
        become_root_again();
        ck_assert_int_eq(chmod("m", 0755), 0);
        says(status, CUDDLE_E_IO, expected);
    }
}
END_TEST

/* ------------------------------------------------------------------------------------------------- files that change */

static const struct { const char *name, *command; bool kills_a_map; const char *sentence; } changes[] = {
    { "grows", "echo >>m/model.safetensors", false, "m/model.safetensors: changed while it was being loaded" },
    { "modified", "printf x | dd of=m/model.safetensors bs=1 seek=20000 conv=notrunc 2>/dev/null", false,
      "m/model.safetensors: changed while it was being loaded" },
    { "touched", "touch m/model.safetensors", false, "m/model.safetensors: changed while it was being loaded" },
    { "replaced", "cp -p m/model.safetensors m/new && mv m/new m/model.safetensors", false, "m/model.safetensors: changed while it was being loaded" },
    { "truncated", "truncate -s 20000 m/model.safetensors", true, "the file became shorter" },
    { "emptied", ": >m/model.safetensors", true, "the file became shorter" },
};

typedef struct changing { const char *command; bool done; } changing;

static void change_on_progress(const cuddle_progress *p, void *user)
{
    changing *c = user;
    (void)p;
    if (c->done) return;
    c->done = true;
    usleep(20000); /* so that the time of modification differs on file systems that count coarsely */
    run("%s%s", c->command, "");
}

START_TEST(a_file_that_changes_during_the_load_is_an_error)
{
    for (int mode = CUDDLE_LOAD_MAP; mode <= CUDDLE_LOAD_READ; mode++) {
        if (changes[_i].kills_a_map && mode == CUDDLE_LOAD_MAP) continue; /* SIGBUS: cuddle.h says so */
        cuddle_model *h;
        changing c = { changes[_i].command, false };
        copy_checkpoint();
        ck_ok(load(&h, (cuddle_load_mode)mode, change_on_progress, &c));
        test_expect_failure(cuddle_model_wait(h, -1, &err), CUDDLE_E_IO, &err);
        ck_assert_msg(strstr(err.text, changes[_i].sentence) && strncmp(err.text, "m/model.safetensors: ", 21) == 0, "%s: %s", changes[_i].name, err.text);
        cuddle_model_free(h);
    }
}
END_TEST

START_TEST(a_file_that_is_only_removed_is_loaded_all_the_same)
{
    for (int mode = CUDDLE_LOAD_MAP; mode <= CUDDLE_LOAD_READ; mode++) {
        cuddle_model *h;
        changing c = { "rm m/model.safetensors", false };
        copy_checkpoint();
        ck_ok(load(&h, (cuddle_load_mode)mode, change_on_progress, &c));
        ck_ok(cuddle_model_wait(h, -1, &err));
        ck_assert(c.done);
        cuddle_model_free(h);
    }
}
END_TEST

/* -------------------------------------------------------------------------------------------------- disks that cannot */

static cuddle_status write_one(const char *path)
{
    static const char data[65536];
    const int64_t shape[1] = { sizeof data };
    cuddle_safetensors_writer *w;
    cuddle_status status = cuddle_safetensors_writer_new(&w, path, &err);
    if (!status) status = cuddle_safetensors_writer_declare(w, "a", CUDDLE_U8, shape, 1, &err);
    if (!status) status = cuddle_safetensors_writer_write(w, "a", data, sizeof data, &err);
    if (!status) status = cuddle_safetensors_writer_finish(w, &err);
    cuddle_error kept = err;
    cuddle_safetensors_writer_free(w);
    err = kept;
    return status;
}

START_TEST(a_writer_names_what_the_disk_refuses)
{
    copy_checkpoint();
    test_fail_write(2, TEST_WRITE_ENOSPC); /* the header fits, the data does not */
    says(write_one("out.safetensors"), CUDDLE_E_IO, "out.safetensors: wanted to write 65536 bytes at offset 72, wrote 0: No space left on device");
    test_fail_write(3, TEST_WRITE_ENOSPC); /* nor what was kept back until fsync() */
    says(write_one("out.safetensors"), CUDDLE_E_IO, "out.safetensors: cannot be written: No space left on device");
    test_fail_write(0, TEST_WRITE_OK);

    struct rlimit kept; /* the system's own refusal, after a part */
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &kept), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 4096, kept.rlim_max }), 0);
    const cuddle_status status = write_one("out.safetensors");
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &kept), 0);
    signal(SIGXFSZ, handler);
    says(status, CUDDLE_E_IO, "out.safetensors: wanted to write 65536 bytes at offset 72, wrote 4024: File too large");

    run("mkdir closed && chmod 0555 closed && touch full && chmod 0444 full%s%s", "", "");
    if (become_nobody()) {
        const cuddle_status closed = write_one("closed/out.safetensors");
        become_root_again();
        says(closed, CUDDLE_E_IO, "closed/out.safetensors: cannot be written: Permission denied");
    }
    says(write_one("absent/out.safetensors"), CUDDLE_E_IO, "absent/out.safetensors: cannot be written: No such file or directory");
    says(write_one("full/out.safetensors"), CUDDLE_E_IO, "full/out.safetensors: cannot be written: Not a directory");
    ck_assert_int_ne(access("out.safetensors", F_OK), 0); /* and nothing is left behind */
    run("test -z \"$(find . -name '.cuddle-*')\"%s%s", "", "");
}
END_TEST

/* In a process with mounts of its own: one sentence about a file system that is full, and one about the same that is read-only. */
static int write_to_small_disk(int to)
{
    if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS)) return 77;
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("none", "disk", "tmpfs", 0, "size=16k")) return 77;
    if (write_one("disk/out.safetensors") != CUDDLE_E_IO || dprintf(to, "%s\n", err.text) < 0 || access("disk/out.safetensors", F_OK) == 0) return 1;
    if (system("test -z \"$(ls -A disk)\"") || mount("none", "disk", "tmpfs", MS_REMOUNT | MS_RDONLY, "size=16k")) return 2;
    return write_one("disk/out.safetensors") != CUDDLE_E_IO || dprintf(to, "%s\n", err.text) < 0;
}

START_TEST(a_writer_names_a_full_and_a_read_only_disk)
{
    int fd[2], state = 0;
    char got[600] = "";
    copy_checkpoint();
    run("mkdir -p disk%s%s", "", "");
    ck_assert_int_eq(pipe(fd), 0);
    const pid_t child = fork();
    if (child == 0) _exit(write_to_small_disk(fd[1]));
    close(fd[1]);
    size_t length = 0;
    for (ssize_t n; (n = read(fd[0], got + length, sizeof got - 1 - length)) > 0;) length += (size_t)n;
    close(fd[0]);
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert(WIFEXITED(state));
    if (WEXITSTATUS(state) == 77) return; /* not allowed here */
    ck_assert_int_eq(WEXITSTATUS(state), 0);
    ck_assert_str_eq(got, "disk/out.safetensors: wanted to write 65536 bytes at offset 72, wrote 16312: No space left on device\n"
                          "disk/out.safetensors: cannot be written: Read-only file system\n");
}
END_TEST

/* --------------------------------------------------------------------------------------------------- settings */

START_TEST(settings_of_an_engine_have_ranges)
{
    static const struct { int threads, cpu_threads; cuddle_toggle deterministic; const char *sentence; } cases[] = {
        { 1, -1, CUDDLE_AUTO, "cpu_threads is -1, expected 0 to 1024" },
        { 1, INT_MIN, CUDDLE_AUTO, "cpu_threads is -2147483648, expected 0 to 1024" },
        { 1, 1025, CUDDLE_AUTO, "cpu_threads is 1025, expected 0 to 1024" },
        { 1, INT_MAX, CUDDLE_AUTO, "cpu_threads is 2147483647, expected 0 to 1024" },
        { -1, 1, CUDDLE_AUTO, "threads is -1, expected 0 or 1" },
        { 2, 1, CUDDLE_AUTO, "threads is 2, expected 0 or 1" },
        { 1, 1, (cuddle_toggle)3, "deterministic is 3, expected AUTO, OFF or ON" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cuddle_engine *e;
        cuddle_engine_options o;
        cuddle_engine_options_init(&o, sizeof o);
        o.device = "cpu";
        o.threads = cases[i].threads;
        o.cpu_threads = cases[i].cpu_threads;
        o.deterministic = cases[i].deterministic;
        says(cuddle_engine_new(&e, &o, &err), CUDDLE_E_ARG, cases[i].sentence);
        ck_assert_ptr_null(e);
    }
    double rate;
    static const char *const probe = "cuddle_probe_bandwidth: 65536 bytes, 1 passes and 1025 threads, expected at least 65536 bytes, at least 1 pass and "
                                     "0 to 1024 threads";
    says(cuddle_probe_bandwidth(&rate, 65536, 1, 1025, &err), CUDDLE_E_ARG, probe);
    test_expect_failure(cuddle_probe_bandwidth(&rate, 65536, 1, -1, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_probe_bandwidth(&rate, 65536, 0, 1, &err), CUDDLE_E_ARG, &err);
    test_expect_failure(cuddle_probe_bandwidth(&rate, 65535, 1, 1, &err), CUDDLE_E_ARG, &err);
}
END_TEST

/* As many threads as are allowed run, or it is said how many the system gave. */
START_TEST(the_largest_number_of_threads_works_or_is_an_error)
{
    cuddle_engine *e;
    cuddle_engine_options o;
    cuddle_engine_options_init(&o, sizeof o);
    o.device = "cpu";
    o.cpu_threads = 1024;
    const cuddle_status status = cuddle_engine_new(&e, &o, &err);
    if (status) test_expect_failure(status, CUDDLE_E_LIMIT, &err);
    else ck_assert_int_eq(cuddle_engine_cpu_threads(e), 1024);
    cuddle_engine_free(e);
}
END_TEST

START_TEST(settings_of_a_model_have_ranges)
{
    cuddle_model_options o;
    const struct { int *field; int64_t *wide; int64_t value; const char *sentence; } cases[] = {
        { &o.max_context, NULL, -1, "max_context is -1, expected 0 (default) to 1073741824" },
        { &o.max_context, NULL, INT_MIN, "max_context is -2147483648, expected 0 (default) to 1073741824" },
        { &o.max_context, NULL, 65, "max_context is 65, but config.json says the model has 64 positions" },
        { &o.max_context, NULL, 1 << 30, "max_context is 1073741824, but config.json says the model has 64 positions" },
        { &o.max_context, NULL, INT_MAX, "max_context is 2147483647, expected 0 (default) to 1073741824" },
        { &o.max_sequences, NULL, -1, "max_sequences is -1, expected 0 (default) to 65536" },
        { &o.max_sequences, NULL, 65537, "max_sequences is 65537, expected 0 (default) to 65536" },
        { &o.max_batch, NULL, -1, "max_batch is -1, expected 0 (default) to 1048576" },
        { &o.max_batch, NULL, INT_MAX, "max_batch is 2147483647, expected 0 (default) to 1048576" },
        { NULL, &o.kv_tokens, -1, "kv_tokens is -1, expected 0 (default) to 2147483647" },
        { NULL, &o.kv_tokens, INT64_MIN, "kv_tokens is -9223372036854775808, expected 0 (default) to 2147483647" },
        { NULL, &o.kv_tokens, INT64_MAX, "kv_tokens is 9223372036854775807, expected 0 (default) to 2147483647" },
    };
    copy_checkpoint();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cuddle_model *h;
        cuddle_plan plan = { .struct_size = sizeof plan };
        cuddle_model_options_init(&o, sizeof o);
        if (cases[i].field) *cases[i].field = (int)cases[i].value;
        else *cases[i].wide = cases[i].value;
        says(cuddle_model_load(&h, engine, "m", &o, &err), CUDDLE_E_ARG, cases[i].sentence);
        ck_assert_ptr_null(h);
        says(cuddle_model_plan(&plan, engine, "m", &o, &err), CUDDLE_E_ARG, cases[i].sentence);
    }
    cuddle_model *h;
    cuddle_model_options_init(&o, sizeof o);
    o.dtype = "int3";
    says(cuddle_model_load(&h, engine, "m", &o, &err), CUDDLE_E_ARG, "dtype is \"int3\", expected auto, float32, bfloat16 or float16");
    cuddle_model_options_init(&o, sizeof o);
    o.max_context = 64; /* all it has */
    ck_ok(cuddle_model_load(&h, engine, "m", &o, &err));
    cuddle_model_free(h);
}
END_TEST

/* Biases, bad words and allowed tokens, for a vocabulary of 83. */
static void lists_of_tokens_are_checked(cuddle_model *h)
{
    static int32_t ids[65537] = { 1, 2, 83, -1 };
    const cuddle_segment prompt = { .kind = CUDDLE_SEGMENT_TOKENS, .tokens = ids, .count = 2 };
    const struct { cuddle_sequence_bias sequence[2]; cuddle_status status; const char *sentence; } cases[] = {
        { { { ids, 1, 0 }, { ids, 0, 0 } }, CUDDLE_E_ARG, "sequence 1 has no tokens" },
        { { { ids, 3, 0 }, { ids, 1, 0 } }, CUDDLE_E_ARG, "sequence 0 has the token 83, the model's vocabulary ends at 82" },
        { { { ids, 1, 0 }, { ids + 3, 1, 0 } }, CUDDLE_E_ARG, "sequence 1 has the token -1, the model's vocabulary ends at 82" },
        { { { NULL, 1, 0 }, { ids, 1, 0 } }, CUDDLE_E_ARG, "the tokens of sequence 0 are NULL" },
        { { { ids + 4, 65533, 0 }, { ids, 2, 0 } }, CUDDLE_OK, NULL },
        { { { ids + 4, 65533, 0 }, { ids + 4, 4, 0 } }, CUDDLE_E_LIMIT, "more than 65536 tokens in all" },
        { { { ids, SIZE_MAX, 0 }, { ids, 1, 0 } }, CUDDLE_E_LIMIT, "more than 65536 tokens in all" },
        { { { ids, 1, NAN }, { ids, 1, 0 } }, CUDDLE_E_ARG, "the bias of sequence 0 is nan, expected -1e+09 to 1e+09 or minus infinity" },
        { { { ids, 1, 0 }, { ids, 1, INFINITY } }, CUDDLE_E_ARG, "the bias of sequence 1 is inf, expected -1e+09 to 1e+09 or minus infinity" },
        { { { ids, 1, -2e9f }, { ids, 1, 0 } }, CUDDLE_E_ARG, "the bias of sequence 0 is -2e+09, expected -1e+09 to 1e+09 or minus infinity" },
        { { { ids, 1, -INFINITY }, { ids, 1, 1e9f } }, CUDDLE_OK, NULL },
    };
    cuddle_generation_options o;
    cuddle_request *r;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        const bool biases = i % 2 == 0;
        char expected[200];
        cuddle_generation_options_init(&o, sizeof o);
        o.max_tokens = 1;
        if (biases) o.sequence_bias = cases[i / 2].sequence, o.sequence_bias_count = 2;
        else o.bad_words = cases[i / 2].sequence, o.bad_word_count = 2;
        const cuddle_status status = cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err);
        const bool wrong_bias = cases[i / 2].sentence && strstr(cases[i / 2].sentence, "the bias"); /* which bad words do not have */
        if (!cases[i / 2].sentence || (wrong_bias && !biases)) {
            ck_ok(status);
            cuddle_request_free(r);
            continue;
        }
        snprintf(expected, sizeof expected, "%s: %s", biases ? "sequence_bias" : "bad_words", cases[i / 2].sentence);
        says(status, cases[i / 2].status, expected);
    }
    cuddle_generation_options_init(&o, sizeof o);
    o.sequence_bias_count = 1;
    says(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, "sequence_bias is NULL, but its count is 1");
    cuddle_generation_options_init(&o, sizeof o);
    o.allowed_count = 3;
    says(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, "allowed is NULL, but allowed_count is 3");
    o.allowed = ids;
    says(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, "allowed: token 2 is 83, the model's vocabulary ends at 82");
    o.allowed = ids + 1;
    o.allowed_count = 1;
    o.suppress = ids + 1;
    o.suppress_count = 1;
    o.max_tokens = 4;
    ck_ok(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err)); /* nothing may come: found out when it is the turn */
    says(cuddle_request_wait(r, -1, &err), CUDDLE_E_FORMAT, "no token is left to choose from: all 83 logits are minus infinity");
    cuddle_request_free(r);
}

START_TEST(settings_of_a_request_have_ranges)
{
    static const int32_t ids[] = { 1, 2, 3 };
    static const char *const stops[] = { "", NULL };
    cuddle_generation_options o;
    const struct { float *field; const char *name; const char *range; float above; } reals[] = {
        { &o.temperature, "temperature", "0 to 10000", 10001 }, { &o.top_p, "top_p", "0 to 1", 1.5f }, { &o.min_p, "min_p", "0 to 1", 1.5f },
        { &o.repetition_penalty, "repetition_penalty", "0.0001 to 10000", 10001 }, { &o.typical_p, "typical_p", "1e-06 to 1", 1.5f },
        { &o.epsilon_cutoff, "epsilon_cutoff", "0 to 1", 1.5f }, { &o.eta_cutoff, "eta_cutoff", "0 to 1", 1.5f }, { &o.top_h, "top_h", "0 to 1", 1.5f },
        { &o.length_decay_factor, "length_decay_factor", "0.0001 to 10000", 10001 },
    };
    const struct { int *field; int value; const char *sentence; } whole[] = {
        { &o.max_tokens, -2, "max_tokens is -2, expected 0 to 2147483647" },
        { &o.max_tokens, INT_MIN, "max_tokens is -2147483648, expected 0 to 2147483647" },
        { &o.min_tokens, -2, "min_tokens is -2, expected 0 to 2147483647" },
        { &o.no_repeat_ngram_size, -2, "no_repeat_ngram_size is -2, expected 0 to 1024" },
        { &o.no_repeat_ngram_size, 1025, "no_repeat_ngram_size is 1025, expected 0 to 1024" },
        { &o.forced_bos, -2, "forced_bos is -2, expected 0 to 82" },
        { &o.forced_eos, 83, "forced_eos is 83, expected 0 to 82" },
        { &o.prompt_top_logprobs, -1, "prompt_top_logprobs is -1, expected 0 to 20" },
        { &o.prompt_top_logprobs, 21, "prompt_top_logprobs is 21, expected 0 to 20" },
        { &o.prompt_logprobs_from, -1, "prompt_logprobs_from is -1, expected 0 to 2147483647" },
        { &o.top_k, -2, "top_k is -2, expected 0 to 2147483647" },
        { &o.top_k, INT_MIN, "top_k is -2147483648, expected 0 to 2147483647" },
        { &o.logprobs, -2, "logprobs is -2, expected -1 to 20" },
        { &o.logprobs, 21, "logprobs is 21, expected -1 to 20" },
    };
    const cuddle_segment prompt = { .kind = CUDDLE_SEGMENT_TOKENS, .tokens = ids, .count = 3 };
    cuddle_model *h;
    cuddle_request *r;
    copy_checkpoint();
    ck_ok(load(&h, CUDDLE_LOAD_AUTO, NULL, NULL));
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        const struct { float value; const char *shown; } bad[] = { { NAN, "nan" }, { -0.5f, "-0.5" }, { -2, "-2" }, { INFINITY, "inf" },
                                                                   { -INFINITY, "-inf" }, { reals[i].above, reals[i].above < 2 ? "1.5" : "10001" } };
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
            char expected[200];
            cuddle_generation_options_init(&o, sizeof o);
            *reals[i].field = bad[k].value;
            snprintf(expected, sizeof expected, "%s is %s, expected a number from %s", reals[i].name, bad[k].shown, reals[i].range);
            says(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, expected);
            ck_assert_ptr_null(r);
        }
    }
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        cuddle_generation_options_init(&o, sizeof o);
        *whole[i].field = whole[i].value;
        says(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, whole[i].sentence);
    }
    const struct { float *field; const char *name; } penalties[] = { { &o.frequency_penalty, "frequency_penalty" },
                                                                     { &o.presence_penalty, "presence_penalty" } };
    for (size_t i = 0; i < 2; i++) {
        const struct { float value; const char *shown; } bad[] = { { NAN, "nan" }, { 101, "101" }, { -101, "-101" }, { INFINITY, "inf" } };
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
            char expected[200];
            cuddle_generation_options_init(&o, sizeof o);
            *penalties[i].field = bad[k].value;
            snprintf(expected, sizeof expected, "%s is %s, expected a number from -100 to 100", penalties[i].name, bad[k].shown);
            says(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, expected);
        }
    }
    cuddle_generation_options_init(&o, sizeof o);
    o.length_decay_factor = 1.5f;
    o.length_decay_start = -1;
    says(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, "length_decay_start is -1, expected 0 to 2147483647");
    cuddle_generation_options_init(&o, sizeof o);
    o.min_tokens = 9;
    o.max_tokens = 8;
    says(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, "min_tokens is 9, but max_tokens is 8");
    cuddle_generation_options_init(&o, sizeof o);
    o.stop_count = 1;
    says(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, "stop is NULL, but stop_count is 1");
    o.stop = stops;
    says(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, "stop string 0 is empty");
    o.stop++;
    says(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, "stop string 0 is empty");
    o.stop_count = 10000;
    says(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_LIMIT, "10000 stop strings are given, at most 64 are taken");
    cuddle_generation_options_init(&o, sizeof o);
    o.suppress_count = SIZE_MAX;
    says(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG,
         "the suppressed tokens are NULL, but their count is 18446744073709551615");
    o.suppress = ids;
    says(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_LIMIT,
         "18446744073709551615 suppressed tokens are given, at most 4096 are taken");
    cuddle_generation_options_init(&o, sizeof o);
    o.stop_token_count = 2;
    says(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err), CUDDLE_E_ARG, "the stop tokens are NULL, but their count is 2");
    says(cuddle_request_submit(&r, h, NULL, 0, NULL, NULL, NULL, &err), CUDDLE_E_ARG, "the prompt has no tokens");
    says(cuddle_request_submit(&r, h, NULL, 1, NULL, NULL, NULL, &err), CUDDLE_E_ARG, "cuddle_request_submit: segments is NULL");
    says(cuddle_request_submit(&r, h, &(cuddle_segment){ .kind = (cuddle_segment_kind)7 }, 1, NULL, NULL, NULL, &err), CUDDLE_E_ARG,
         "segment 0: kind is 7, expected TEXT or TOKENS");
    says(cuddle_request_submit(&r, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .count = SIZE_MAX }, 1, NULL, NULL, NULL, &err), CUDDLE_E_ARG,
         "segment 0: tokens is NULL");
    says(cuddle_request_submit(&r, h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = ids, .count = SIZE_MAX }, 1, NULL, NULL, NULL, &err),
         CUDDLE_E_LIMIT, "the prompt has 18446744073709551615 tokens or more, the context is 32");
    lists_of_tokens_are_checked(h);
    cuddle_generation_options_init(&o, sizeof o); /* ids beyond the vocabulary can be neither produced nor suppressed */
    o.max_tokens = 2;
    o.suppress = o.stop_tokens = (const int32_t[]){ -1, INT32_MIN, INT32_MAX };
    o.suppress_count = o.stop_token_count = 3;
    ck_ok(cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err));
    ck_ok(cuddle_request_wait(r, -1, &err));
    cuddle_request_free(r);
    cuddle_model_free(h);
}
END_TEST

/* A struct of an older header is shorter, one of a newer header longer. */
START_TEST(options_are_filled_as_far_as_the_caller_has_them)
{
    enum { OLDER = offsetof(cuddle_generation_options, top_k), NEWER = sizeof(cuddle_generation_options) + 40 };
    union { cuddle_generation_options options; unsigned char byte[NEWER + 8]; } u;
    memset(&u, 0x5a, sizeof u);
    cuddle_generation_options_init(&u.options, OLDER);
    ck_assert_uint_eq(u.options.struct_size, OLDER);
    ck_assert_int_eq(u.options.max_tokens, CUDDLE_UNSET_INT);
    for (size_t i = OLDER; i < sizeof u; i++) ck_assert_uint_eq(u.byte[i], 0x5a);
    memset(&u, 0x5a, sizeof u);
    cuddle_generation_options_init(&u.options, NEWER);
    ck_assert_uint_eq(u.options.struct_size, NEWER);
    ck_assert_int_eq(u.options.logprobs, -1);
    for (size_t i = sizeof(cuddle_generation_options); i < NEWER; i++) ck_assert_uint_eq(u.byte[i], 0);
    for (size_t i = NEWER; i < sizeof u; i++) ck_assert_uint_eq(u.byte[i], 0x5a);
    memset(&u, 0x5a, sizeof u);
    cuddle_generation_options_init(&u.options, sizeof(size_t) - 1); /* not even its size */
    ck_assert_uint_eq(u.byte[0], 0x5a);
    cuddle_engine_options_init(NULL, sizeof(cuddle_engine_options));
    cuddle_model_options older;
    cuddle_model_options_init(&older, offsetof(cuddle_model_options, measure_ceiling));
    ck_assert_str_eq(older.dtype, "auto");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bad_input");
    TCase *tc = tcase_create("bad_input");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, start, stop);
    tcase_add_test(tc, what_is_no_file_is_named);
    tcase_add_test(tc, files_without_content_are_malformed);
    tcase_add_test(tc, what_is_no_checkpoint_is_named);
    tcase_add_test(tc, files_that_may_not_be_read_are_named);
    tcase_add_loop_test(tc, a_file_that_changes_during_the_load_is_an_error, 0, (int)(sizeof changes / sizeof *changes));
    tcase_add_test(tc, a_file_that_is_only_removed_is_loaded_all_the_same);
    tcase_add_test(tc, a_writer_names_what_the_disk_refuses);
    tcase_add_test(tc, a_writer_names_a_full_and_a_read_only_disk);
    tcase_add_test(tc, options_are_filled_as_far_as_the_caller_has_them);
    tcase_add_test(tc, settings_of_an_engine_have_ranges);
    tcase_add_test(tc, the_largest_number_of_threads_works_or_is_an_error);
    tcase_add_test(tc, settings_of_a_model_have_ranges);
    tcase_add_test(tc, settings_of_a_request_have_ranges);
    suite_add_tcase(suite, tc);
    const int failed = test_run(suite);
    (void)!chdir("/"); /* out of the folder that goes away */
    return failed;
}
