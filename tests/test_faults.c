/* What the system refuses, through everything a program does with cuddle.h: the n-th allocation of any thread, the n-th read, open, stat,
 * map and thread. Each is a sentence, leaves nothing behind (LeakSanitizer looks on, descriptors are counted here), and the engine works
 * on; what is survived gives transformers' tokens all the same. */
#include "letters.h"
#include "support.h"
#include "system_faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cuddle_error err;
static letters model;
static char *prompt_text, *answer_text;

static void setup(void) { err = (cuddle_error){ CUDDLE_OK, "" }; }

static void make_model(void)
{
    letters_make(&model);
    prompt_text = letters_text(&model, 0, model.prompt_count);
    answer_text = letters_text(&model, model.prompt_count, model.count);
}

static void free_model(void)
{
    letters_free(&model);
    free(prompt_text);
    free(answer_text);
}

typedef struct way { /* of running it */
    cuddle_load_mode load;
    int threads;
    bool writes; /* a file too, which waits for the disk */
} way;

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void no_more_faults(void)
{
    test_fail_allocation_anywhere(0, false);
    test_fail_read(0, TEST_READ_OK);
    for (int kind = 0; kind < CALL_KINDS; kind++) test_fail_call((system_call)kind, 0, 0);
}

/* As ck_assert, for where faults are on: Check allocates what it says. */
static void must(bool condition, const char *what, int line)
{
    if (condition) return;
    no_more_faults();
    ck_abort_msg("line %d: %s; the last sentence was: %s", line, what, err.text);
}
#define MUST(condition) must(condition, #condition, __LINE__)

/* -------------------------------------------------------------------------------------------- what a program does */

static cuddle_status read_tensors(void)
{
    cuddle_safetensors *st = NULL;
    cuddle_tensor_info info;
    uint8_t bytes[64];
    cuddle_status status = cuddle_safetensors_open(&st, model.dir, &err);
    if (!status) status = cuddle_safetensors_get(st, cuddle_safetensors_count(st) - 1, &info, &err);
    if (!status) status = cuddle_safetensors_read(st, cuddle_safetensors_count(st) - 1, bytes, 0, sizeof bytes, &err);
    cuddle_safetensors_free(st);
    return status;
}

static cuddle_status use_tokenizer(void)
{
    cuddle_tokenizer *t = NULL;
    cuddle_encoding *e = NULL;
    cuddle_detokenizer *d = NULL;
    char *text = NULL;
    const char *piece;
    size_t length = 0, at = 0;
    cuddle_status status = cuddle_tokenizer_load(&t, model.dir, &err);
    if (!status) status = cuddle_tokenize(&e, t, prompt_text, strlen(prompt_text), 0, &err);
    if (!status) {
        MUST(e->count == (size_t)model.prompt_count);
        MUST(memcmp(e->ids, model.ids, e->count * sizeof *e->ids) == 0);
        status = cuddle_detokenize(&text, &length, t, e->ids, e->count, 0, &err);
    }
    if (!status) MUST(strcmp(text, prompt_text) == 0);
    if (!status) status = cuddle_detokenizer_new(&d, t, 0, &err);
    for (int i = 0; i < model.prompt_count && !status; i++) {
        status = cuddle_detokenizer_push(d, model.ids[i], &piece, &length, &err);
        if (!status) MUST(memcmp(piece, prompt_text + at, length) == 0);
        if (!status) at += length;
    }
    if (!status) status = cuddle_detokenizer_finish(d, &piece, &length, &err);
    if (!status) MUST(at + length == strlen(prompt_text));
    cuddle_detokenizer_free(d);
    cuddle_text_free(text);
    cuddle_encoding_free(e);
    cuddle_tokenizer_free(t);
    return status;
}

static cuddle_status write_tensors(void)
{
    char path[600];
    snprintf(path, sizeof path, "%s/written.safetensors", test_temp_dir());
    cuddle_safetensors_writer *w = NULL;
    cuddle_safetensors *st = NULL;
    const int64_t shape[] = { 4 };
    const float numbers[] = { 1, 2, 3, 4 };
    float back[4] = { 0 };
    cuddle_status status = cuddle_safetensors_writer_new(&w, path, &err);
    if (!status) status = cuddle_safetensors_writer_metadata(w, "format", "pt", &err);
    if (!status) status = cuddle_safetensors_writer_declare(w, "numbers", CUDDLE_F32, shape, 1, &err);
    if (!status) status = cuddle_safetensors_writer_write(w, "numbers", numbers, sizeof numbers, &err);
    if (!status) status = cuddle_safetensors_writer_finish(w, &err);
    cuddle_safetensors_writer_free(w);
    if (!status) status = cuddle_safetensors_open(&st, path, &err);
    if (!status) status = cuddle_safetensors_read(st, 0, back, 0, sizeof back, &err);
    if (!status) MUST(memcmp(numbers, back, sizeof back) == 0);
    cuddle_safetensors_free(st);
    remove(path);
    return status;
}

static cuddle_status load(cuddle_model **h, cuddle_engine *engine, const way *w)
{
    cuddle_model_options o;
    cuddle_model_options_init(&o, sizeof o);
    o.dtype = "float32";
    o.load = w->load;
    o.max_context = 48;
    o.max_sequences = 2;
    o.max_batch = 8; /* the prompt comes in two chunks */
    cuddle_plan plan = { .struct_size = sizeof plan };
    cuddle_status status = cuddle_model_plan(&plan, engine, model.dir, &o, &err);
    if (!status) status = cuddle_model_load(h, engine, model.dir, &o, &err);
    if (!status) status = cuddle_model_wait(*h, -1, &err);
    return status;
}

static cuddle_status generate(cuddle_engine *engine, cuddle_model *h, const way *w)
{
    cuddle_generation_options o;
    cuddle_generation_options_init(&o, sizeof o);
    const char *stops[] = { "zzz" };
    o.temperature = 0;
    o.stop = stops;
    o.stop_count = 1;
    o.logprobs = 1;
    o.prompt_logprobs = 1;
    cuddle_request *r = NULL;
    const cuddle_segment prompt = { .kind = CUDDLE_SEGMENT_TEXT, .text = prompt_text, .count = strlen(prompt_text) };
    cuddle_status status = cuddle_request_submit(&r, h, &prompt, 1, &o, NULL, NULL, &err);
    int worked = !w->threads;
    while (!status && worked) status = cuddle_engine_step(engine, &worked, &err);
    if (!status) status = cuddle_request_wait(r, -1, &err);
    if (!status) {
        char got[256] = "";
        size_t length = 0;
        for (int i = 0; i < 2 && !got[0]; i++) strcpy(got, cuddle_request_next_text(r, &length)); /* "" when memory is out, and nothing is lost */
        if (!got[0]) {
            no_more_faults();
            status = cud_fail(&err, CUDDLE_E_NOMEM, "no text");
            strcpy(got, cuddle_request_next_text(r, &length));
        }
        MUST(strcmp(got, answer_text) == 0);
        cuddle_result result = { .struct_size = sizeof result };
        cuddle_error why = { CUDDLE_OK, "" };
        MUST(cuddle_request_result(r, &result, &why) == CUDDLE_OK);
        MUST(result.count == (size_t)(model.count - model.prompt_count));
        MUST(memcmp(result.ids, model.ids + model.prompt_count, result.count * sizeof *result.ids) == 0);
        MUST(strcmp(result.text, answer_text) == 0);
    }
    cuddle_request_free(r);
    cuddle_engine_stats stats = { .struct_size = sizeof stats };
    cuddle_error ignored;
    MUST(cuddle_engine_get_stats(engine, &stats, &ignored) == CUDDLE_OK);
    MUST(stats.kv_pages_used == 0);
    MUST(stats.queued + stats.running == 0);
    return status;
}

/* The first failure ends it. */
static cuddle_status everything(const way *w)
{
    cuddle_engine *engine = NULL;
    cuddle_model *h = NULL;
    cuddle_engine_options o;
    cuddle_engine_options_init(&o, sizeof o);
    o.device = test_device();
    o.backend_dir = test_backend_dir();
    o.threads = w->threads;
    o.cpu_threads = 2;
    cuddle_status status = read_tensors();
    if (!status) status = use_tokenizer();
    if (!status && w->writes) status = write_tensors();
    if (!status) status = cuddle_engine_new(&engine, &o, &err);
    if (!status) status = load(&h, engine, w);
    if (!status) status = generate(engine, h, w);
    if (status && engine) { /* the same engine must do it now, and the same model if it came to be */
        const cuddle_error first = err;
        no_more_faults();
        if (h && cuddle_model_get_state(h) == CUDDLE_MODEL_FAILED) {
            cuddle_model_free(h);
            h = NULL;
        }
        if (!h) ck_ok(load(&h, engine, w));
        ck_ok(generate(engine, h, w));
        err = first;
    }
    cuddle_model_free(h);
    cuddle_engine_free(engine);
    return status;
}

/* ---------------------------------------------------------------------------------------------------------- memory */

/* _i: do all that follow fail too? Allocations of other threads are counted with those of this one, so the n-th is not the same in every
 * run; each has its turn all the same, up to neighbours in time. */
START_TEST(every_failed_allocation_is_out_of_memory)
{
    const way w = _i ? (way){ CUDDLE_LOAD_READ, 1, false } : (way){ CUDDLE_LOAD_MAP, 0, true };
    const int descriptors = open_descriptors();
    cuddle_status status = CUDDLE_E_NOMEM;
    long n = 0;
    for (long counted = 0; counted >= n;) {
        n++;
        test_fail_allocation_anywhere(n, _i);
        status = everything(&w);
        counted = test_fail_allocation_anywhere(0, false);
        if (status) {
            test_expect_failure(status, CUDDLE_E_NOMEM, &err);
            counted = n; /* it went on without faults */
        }
        ck_assert_int_eq(open_descriptors(), descriptors);
    }
    ck_ok(status);
    ck_assert_msg(n > 500, "only %ld allocations were failed", n);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------------- files */

static const cuddle_load_mode modes[] = { CUDDLE_LOAD_MAP, CUDDLE_LOAD_READ };

/* Does the sentence name a file that was being read or written? */
static bool names_a_file(const char *text)
{
    return strstr(text, ".safetensors") || strstr(text, ".json") || strstr(text, test_temp_dir());
}

/* _i: mode. */
START_TEST(every_misbehaving_read_is_retried_or_named)
{
    static const struct { test_read_fault fault; bool survived; } faults[] = {
        { TEST_READ_SHORT, true }, { TEST_READ_EINTR, true }, { TEST_READ_EIO, false }, { TEST_READ_EAGAIN, false }, { TEST_READ_EOF, false },
    };
    const way w = { modes[_i], 0, false };
    const int descriptors = open_descriptors();
    for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
        long n = 0;
        for (long counted = 0; counted >= n;) {
            n++;
            test_fail_read(n, faults[f].fault);
            const cuddle_status status = everything(&w);
            counted = test_fail_read(0, TEST_READ_OK);
            if (status) counted = n;
            if (faults[f].survived || counted < n) {
                ck_ok(status);
            } else {
                test_expect_failure(status, CUDDLE_E_IO, &err);
                ck_assert_msg(names_a_file(err.text), "read %ld: %s", n, err.text);
            }
            ck_assert_int_eq(open_descriptors(), descriptors);
        }
        ck_assert_msg(n > (_i ? 40 : 20), "only %ld reads misbehaved", n);
    }
}
END_TEST

/* Files that may be left out are not taken for absent when the disk fails: what was survived gave the right tokens, and their number is in
 * generation_config.json. Control groups of the machine are read where they can be. */
START_TEST(every_failed_call_is_survived_or_named)
{
    static const struct { system_call kind; int error; cuddle_load_mode load; long least; cuddle_status status; } faults[] = {
        { CALL_OPEN, EINTR, CUDDLE_LOAD_MAP, 20, CUDDLE_OK },       { CALL_OPEN, EMFILE, CUDDLE_LOAD_READ, 20, CUDDLE_E_IO },
        { CALL_OPEN, EACCES, CUDDLE_LOAD_MAP, 20, CUDDLE_E_IO },    { CALL_STAT, EIO, CUDDLE_LOAD_READ, 20, CUDDLE_E_IO },
        { CALL_STAT, EACCES, CUDDLE_LOAD_MAP, 20, CUDDLE_E_IO },    { CALL_FSTAT, EIO, CUDDLE_LOAD_READ, 20, CUDDLE_E_IO },
        { CALL_MMAP, ENOMEM, CUDDLE_LOAD_MAP, 4, CUDDLE_E_IO },     { CALL_THREAD, EAGAIN, CUDDLE_LOAD_READ, 3, CUDDLE_E_NOMEM },
    };
    const way w = { faults[_i].load, 1, faults[_i].kind == CALL_OPEN || faults[_i].kind == CALL_STAT };
    const int descriptors = open_descriptors();
    long n = 0, failed = 0;
    for (long counted = 0; counted >= n;) {
        n++;
        test_fail_call(faults[_i].kind, n, faults[_i].error);
        const cuddle_status status = everything(&w);
        counted = test_fail_call(faults[_i].kind, 0, 0);
        if (status) {
            counted = n;
            failed++;
            test_expect_failure(status, faults[_i].status, &err);
            ck_assert_msg(status == CUDDLE_E_NOMEM || names_a_file(err.text), "call %ld: %s", n, err.text);
        }
        ck_assert_int_eq(open_descriptors(), descriptors);
    }
    ck_assert_msg(n > faults[_i].least, "only %ld calls were failed", n);
    ck_assert_msg(failed > 0 || faults[_i].status == CUDDLE_OK, "all of %ld failures were survived", n);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("faults");
    TCase *tc = tcase_create("faults");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, make_model, free_model);
    tcase_add_checked_fixture(tc, setup, no_more_faults);
    tcase_add_loop_test(tc, every_failed_allocation_is_out_of_memory, 0, 2);
    tcase_add_loop_test(tc, every_misbehaving_read_is_retried_or_named, 0, 2);
    tcase_add_loop_test(tc, every_failed_call_is_survived_or_named, 0, 8);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
