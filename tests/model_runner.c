#include "model_runner.h"

#include "api/backends.h"

#include <string.h>

void runner_open(model_runner *r, const char *dir, dtype compute, bool map, int threads, bool deterministic)
{
    cuddle_error err = { CUDDLE_OK, "" };
    backend *b;
    cuddle_device_kind kind;
    ck_ok(cud_backend_open(&b, &kind, test_device(), threads, test_backend_dir(), NULL, &err));
    runner_open_on(r, b, dir, compute, map, deterministic);
}

static void open_model(model_runner *r, backend *b, const char *dir, model_options options)
{
    cuddle_error err = { CUDDLE_OK, "" };
    *r = (model_runner){ .b = b };
    options.max_sequences = RUNNER_SEQUENCES;
    options.max_texts = RUNNER_SEQUENCES;
    options.max_batch = RUNNER_BATCH;
    options.kv_tokens = 64 * 8;
    ck_ok(cud_model_open(&r->m, r->b, dir, &options, NULL, &err));
    ck_ok(cud_model_allocate(r->m, &err));
    ck_ok(cud_model_load(r->m, NULL, NULL, &err));
    ck_ok(b->ops->alloc_host(b, &r->block, r->m->step_bytes, "the step on the host", &err));
    memset(r->block, 0, r->m->step_bytes);
    cud_step_bind(&r->host, &r->m->caps, r->block);
    cud_step_bind(&r->device, &r->m->caps, r->m->step_block);
}

void runner_open_on(model_runner *r, backend *b, const char *dir, dtype compute, bool map, bool deterministic)
{
    const cuddle_load_mode load = map || !b->weights_in_place ? CUDDLE_LOAD_AUTO : CUDDLE_LOAD_READ;
    open_model(r, b, dir, (model_options){ .compute = compute, .kv = CUDDLE_DTYPE_COUNT, .load = load, .deterministic = deterministic });
}

void runner_open_cache(model_runner *r, const char *dir, dtype compute, dtype kv)
{
    cuddle_error err = { CUDDLE_OK, "" };
    backend *b;
    cuddle_device_kind kind;
    ck_ok(cud_backend_open(&b, &kind, test_device(), 2, test_backend_dir(), NULL, &err));
    open_model(r, b, dir, (model_options){ .compute = compute, .kv = kv, .deterministic = true });
}

void runner_close(model_runner *r)
{
    r->b->ops->release_host(r->b, r->block);
    cud_model_free(r->m);
    r->b->ops->destroy(r->b);
}

static void add_part(model_runner *r, const runner_part *part)
{
    step *s = &r->host;
    runner_sequence *q = part->sequence;
    const int sequence = s->sequences++;
    s->starts[sequence] = s->tokens;
    s->kv_lengths[sequence] = q->computed + part->rows;
    for (int i = 0; i < part->rows; i++) {
        const int position = q->computed + i;
        s->ids[s->tokens] = q->ids[position];
        s->positions[s->tokens] = position;
        for (int g = 0; g < s->groups; g++) s->slots[g][s->tokens] = q->pages[position / CUD_PAGE] * CUD_PAGE + position % CUD_PAGE;
        s->sampling[s->outputs] = (sample_row){ .greedy = 1, .temperature = 1, .top_p = 1, .repetition_penalty = 1, .seat = -1 };
        s->output_rows[s->outputs++] = s->tokens++;
    }
    const int used = (q->computed + part->rows + CUD_PAGE - 1) / CUD_PAGE;
    for (int g = 0; g < s->groups; g++) memcpy(s->block_table[g] + sequence * s->table_width[g], q->pages, (size_t)used * sizeof(int32_t));
    s->starts[sequence + 1] = s->tokens;
    if (part->rows > s->max_query) s->max_query = part->rows;
    q->computed += part->rows;
    if (q->computed > s->max_kv) s->max_kv = q->computed;
}

void runner_step(model_runner *r, runner_part *parts, int count, float *logits)
{
    cuddle_error err = { CUDDLE_OK, "" };
    step *s = &r->host;
    s->tokens = s->sequences = s->outputs = s->max_query = s->max_kv = 0;
    for (int i = 0; i < count; i++) add_part(r, &parts[i]);
    r->device.tokens = s->tokens;
    r->device.sequences = s->sequences;
    r->device.outputs = s->outputs;
    r->device.max_query = s->max_query;
    r->device.max_kv = s->max_kv;
    exec ex;
    tensor out;
    cud_model_exec(&ex, r->m, EXEC_RUN);
    ck_ok(ex.ops->upload(&ex, r->m->step_block, r->block, r->m->step_bytes, &err));
    ck_ok(cud_model_forward(&ex, r->m, &r->device, &out, &err));
    ck_ok(ex.ops->download(&ex, logits, out.data, (size_t)s->outputs * (size_t)out.size[1] * sizeof(float), &err));
    if (ex.ops->sample) ck_ok(cud_model_sample(&ex, r->m, &r->device, out, &err));
    ck_ok(ex.ops->finish(&ex, &err));
    r->peak = ex.ws.peak;
    ck_assert_uint_le(r->peak, r->m->workspace_bytes);
}
