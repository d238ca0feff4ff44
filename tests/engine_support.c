#include "engine_support.h"

static cuddle_error err;

cuddle_engine_options test_engine_options(int threads)
{
    cuddle_engine_options o;
    cuddle_engine_options_init(&o, sizeof o);
    o.device = test_device();
    o.backend_dir = test_backend_dir();
    o.threads = threads;
    o.cpu_threads = 2;
    return o;
}

cuddle_engine *test_engine(const cuddle_engine_options *o)
{
    cuddle_engine *engine;
    ck_ok(cuddle_engine_new(&engine, o, &err));
    return engine;
}

cuddle_model_options test_model_options(void)
{
    cuddle_model_options o;
    cuddle_model_options_init(&o, sizeof o);
    o.dtype = "float32";
    return o;
}

cuddle_model *test_model(cuddle_engine *engine, const char *name, const cuddle_model_options *o)
{
    cuddle_model *h;
    ck_ok(cuddle_model_load(&h, engine, test_path(name), o, &err));
    ck_ok(cuddle_model_wait(h, -1, &err));
    return h;
}

cuddle_generation_options test_greedy(int tokens)
{
    cuddle_generation_options o;
    cuddle_generation_options_init(&o, sizeof o);
    o.temperature = 0;
    o.max_tokens = tokens;
    o.ignore_eos = 1;
    return o;
}

static cuddle_request *submit(cuddle_model *h, const cuddle_segment *prompt, const cuddle_generation_options *o)
{
    cuddle_request *r;
    ck_ok(cuddle_request_submit(&r, h, prompt, 1, o, NULL, NULL, &err));
    return r;
}

cuddle_request *test_submit_ids(cuddle_model *h, const int32_t *ids, size_t count, const cuddle_generation_options *o)
{
    return submit(h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TOKENS, .tokens = ids, .count = count }, o);
}

cuddle_request *test_submit_text(cuddle_model *h, const char *text, const cuddle_generation_options *o)
{
    return submit(h, &(cuddle_segment){ .kind = CUDDLE_SEGMENT_TEXT, .text = text, .count = strlen(text) }, o);
}

cuddle_result test_result(cuddle_request *r)
{
    cuddle_result result = { .struct_size = sizeof result };
    ck_ok(cuddle_request_result(r, &result, &err));
    return result;
}

cuddle_result test_finished(cuddle_request *r)
{
    ck_ok(cuddle_request_wait(r, -1, &err));
    return test_result(r);
}

bool test_step(cuddle_engine *engine)
{
    int worked;
    ck_ok(cuddle_engine_step(engine, &worked, &err));
    return worked;
}

void test_run_steps(cuddle_engine *engine)
{
    int steps = 0;
    while (test_step(engine))
        if (++steps > 5000) ck_abort_msg("the steps never end");
}
