#include <cuddle.h>
#include <stdio.h>
#include <string.h>

static void on_event(cuddle_request *request, const cuddle_event *event, void *user)
{
    (void)request, (void)user;
    fwrite(event->text, 1, event->length, stdout); /* whole characters, as they are made */
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc != 3) return fprintf(stderr, "usage: stream MODEL PROMPT\n"), 2;
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_engine *engine = NULL;
    cuddle_model *model = NULL;
    cuddle_request *request = NULL;
    const cuddle_segment prompt = { .kind = CUDDLE_SEGMENT_TEXT, .text = argv[2], .count = strlen(argv[2]) };
    if (!cuddle_engine_new(&engine, NULL, &err) && !cuddle_model_load(&model, engine, argv[1], NULL, &err) &&
        !cuddle_request_submit(&request, model, &prompt, 1, NULL, on_event, NULL, &err))
        cuddle_request_wait(request, -1, &err);
    if (err.status) fprintf(stderr, "%s\n", err.text);
    cuddle_request_free(request);
    cuddle_model_free(model);
    cuddle_engine_free(engine);
    return err.status != CUDDLE_OK;
}
