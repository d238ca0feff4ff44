#include <cuddle.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) /* stream MODEL PROMPT */
{
    cuddle_error err;
    cuddle_engine *engine = NULL;
    cuddle_model *model = NULL;
    cuddle_request *request = NULL;
    cuddle_segment prompt = { .kind = CUDDLE_SEGMENT_TEXT, .text = argv[argc - 1], .count = strlen(argv[argc - 1]) };
    cuddle_status status = argc == 3 ? cuddle_engine_new(&engine, NULL, &err) : CUDDLE_E_ARG;

    if (status == CUDDLE_OK) status = cuddle_model_load(&model, engine, argv[1], NULL, &err);
    if (status == CUDDLE_OK) status = cuddle_request_submit(&request, model, &prompt, 1, NULL, NULL, NULL, &err);
    for (cuddle_finish finish = CUDDLE_FINISH_NONE; status == CUDDLE_OK && finish == CUDDLE_FINISH_NONE;) {
        status = cuddle_request_wait_text(request, -1, &err); /* for new text, or for the end */
        finish = cuddle_request_finish(request);
        size_t length;
        const char *text = cuddle_request_next_text(request, &length);
        fwrite(text, 1, length, stdout);
        fflush(stdout);
    }
    if (status != CUDDLE_OK) fprintf(stderr, "%s\n", argc == 3 ? err.text : "usage: stream MODEL PROMPT");
    cuddle_request_free(request);
    cuddle_model_free(model);
    cuddle_engine_free(engine);
    return status == CUDDLE_OK ? 0 : 1;
}
