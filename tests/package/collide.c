/* A program that has names of its own which libcuddle.a has inside too, with other types. Linked with it, each keeps to its own.
 * Usage: collide MODEL: prints a greedy continuation. */
#include <cuddle.h>

#include <stdio.h>
#include <string.h>

#ifndef CUDDLE_STATIC
#error "the flags of the static library do not define CUDDLE_STATIC"
#endif

double cud_fail(void);
double cud_pool_run(void);
double cud_now(void);
double cud_nomem(void);
extern int cud_cpu_rows_portable[4];

static int called;
double cud_fail(void) { return called = 1, 0.5; }
double cud_pool_run(void) { return called = 1, 0.5; }
double cud_now(void) { return called = 1, 0.5; }
double cud_nomem(void) { return called = 1, 0.5; }
int cud_cpu_rows_portable[4]; /* a table of functions there: zeros would be called */

static void on_event(cuddle_request *request, const cuddle_event *event, void *user)
{
    (void)request, (void)user;
    fwrite(event->text, 1, event->length, stdout);
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_engine *engine = NULL;
    cuddle_model *model = NULL;
    cuddle_request *request = NULL;
    cuddle_generation_options options;
    cuddle_generation_options_init(&options, sizeof options);
    options.max_tokens = 64;
    options.temperature = 0;
    const cuddle_segment prompt = { .kind = CUDDLE_SEGMENT_TEXT, .text = "In the beginning", .count = strlen("In the beginning") };
    if (cuddle_model_load(&model, NULL, "x", NULL, &err) != CUDDLE_E_ARG) return 3; /* the library's own cud_fail() */
    err = (cuddle_error){ CUDDLE_OK, "" };
    if (!cuddle_engine_new(&engine, NULL, &err) && !cuddle_model_load(&model, engine, argv[1], NULL, &err) &&
        !cuddle_request_submit(&request, model, &prompt, 1, &options, on_event, NULL, &err))
        cuddle_request_wait(request, -1, &err);
    if (err.status) fprintf(stderr, "%s\n", err.text);
    cuddle_request_free(request);
    cuddle_model_free(model);
    cuddle_engine_free(engine);
    return err.status || called ? 1 : 0;
}
