#include "models/model.h"

#include "format/foreign.h"
#include "format/path.h"
#include "models/config.h"
#include "models/encoder.h"
#include "models/rope.h"
#include "models/tensors.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_CONTEXT = 8192 };

/* ------------------------------------------------------------------------------------------------------- planning */

static cuddle_status choose_context(model *m, const model_options *o, cuddle_error *err)
{
    const stack *t = &m->spec.stack[0];
    if (o->max_context > t->positions)
        return cud_fail(err, CUDDLE_E_ARG, "max_context is %d, but config.json says the model has %lld positions", o->max_context,
                        (long long)t->positions);
    const int64_t natural = t->positions < DEFAULT_CONTEXT ? t->positions : DEFAULT_CONTEXT;
    m->max_context = o->max_context > 0 ? o->max_context : (int)natural;
    return CUDDLE_OK;
}

static cuddle_status choose_compute(model *m, const model_options *o, cuddle_error *err)
{
    m->compute = o->compute != CUDDLE_DTYPE_COUNT ? o->compute : m->spec.type;
    if (m->compute == CUDDLE_DTYPE_COUNT) m->compute = cud_wformat_dtype(m->weights[0].embed.format);
    if (!cud_dtype_is_compute(m->compute))
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "activations of type %s are not supported, expected F32, F16 or BF16", cud_dtype_name(m->compute));
    return CUDDLE_OK;
}

/* Layers of one geometry share a group and so a block table. */
static cuddle_status group_layers(model *m, const model_options *o, cuddle_error *err)
{
    const stack *t = &m->spec.stack[0];
    m->place = calloc((size_t)t->layers, sizeof *m->place);
    if (!m->place) return cud_nomem(err, (size_t)t->layers * sizeof *m->place, "the KV layout");
    for (int i = 0; i < t->layers; i++) {
        const layer_spec *l = &t->layer[i];
        if (l->head_dim > INT32_MAX || l->kv_heads > INT32_MAX) return cud_fail(err, CUDDLE_E_LIMIT, "config.json: a head is too large");
        int g = 0;
        while (g < m->groups && !(m->group[g].heads == l->kv_heads && m->group[g].k_dim == l->head_dim && m->group[g].v_dim == l->v_dim)) g++;
        if (g == CUD_MAX_KV_GROUPS)
            return cud_fail(err, CUDDLE_E_UNSUPPORTED, "config.json: more than %d different shapes of key-value heads are not supported", CUD_MAX_KV_GROUPS);
        if (g == m->groups)
            m->group[m->groups++] = (kv_group){ .kind = KV_PAGED, .heads = (int)l->kv_heads, .k_dim = (int)l->head_dim, .v_dim = (int)l->v_dim,
                                                .type = o->kv != CUDDLE_DTYPE_COUNT ? o->kv : m->compute };
        m->place[i] = (kv_place){ g, m->group[g].layers++ };
    }
    return CUDDLE_OK;
}

static cuddle_status size_kv(model *m, const model_options *o, cuddle_error *err)
{
    uint64_t page_bytes = 0; /* of one page in every layer */
    for (int g = 0; g < m->groups; g++) page_bytes += (uint64_t)m->group[g].layers * cud_kv_page_bytes(&m->group[g]);
    const int64_t sequence_pages = (m->max_context + CUD_PAGE - 1) / CUD_PAGE;
    if (o->kv_tokens > 0) {
        m->pages = (o->kv_tokens + CUD_PAGE - 1) / CUD_PAGE;
    } else {
        m->pages = sequence_pages * o->max_sequences;
        uint64_t free_bytes, total;
        const cuddle_status status = m->backend->ops->memory(m->backend, &free_bytes, &total, err);
        if (status) return status;
        const uint64_t left = free_bytes > m->load.arena_bytes ? free_bytes - m->load.arena_bytes : 0;
        const int64_t fit = (int64_t)(left / 2 / page_bytes);
        if (m->pages > fit) m->pages = fit > sequence_pages ? fit : sequence_pages;
    }
    if (m->pages < 1 || m->pages > INT32_MAX / CUD_PAGE || (uint64_t)m->pages > ((uint64_t)1 << 50) / page_bytes)
        return cud_fail(err, CUDDLE_E_LIMIT, "a KV cache of %lld pages of %llu bytes is out of range", (long long)m->pages,
                        (unsigned long long)page_bytes);
    for (int g = 0; g < m->groups; g++) {
        m->kv_start[g] = (size_t)m->kv_bytes;
        m->kv_bytes += (uint64_t)m->pages * (uint64_t)m->group[g].layers * cud_kv_page_bytes(&m->group[g]);
        m->kv_bytes = (m->kv_bytes + CUD_ALIGN - 1) / CUD_ALIGN * CUD_ALIGN;
        m->caps.table_width[g] = (int)sequence_pages;
    }
    m->caps.tokens = o->max_batch;
    m->caps.sequences = o->max_sequences;
    /* A row each for the sequences that sample, and some for prompts whose log-probabilities are wanted. */
    const int spare = o->max_batch < 32 ? o->max_batch : 32;
    m->caps.outputs = o->max_sequences > spare ? o->max_sequences : spare;
    m->caps.axes = 1;
    m->caps.groups = m->groups;
    m->step_bytes = cud_step_bytes(&m->caps);
    if (m->backend->ops->sample) {
        m->mark_words = (m->spec.stack[0].vocabulary + 31) / 32;
        m->mark_bytes = 2 * (size_t)o->max_sequences * (size_t)m->mark_words * sizeof(uint32_t);
    }
    return m->step_bytes ? CUDDLE_OK : cud_fail(err, CUDDLE_E_LIMIT, "a step of %d tokens is out of range", o->max_batch);
}

/* Makes the cosine and sine tables and puts them into the load plan like any other vector. */
static cuddle_status plan_rope(model *m, int index, cuddle_error *err)
{
    const stack *t = &m->spec.stack[0];
    const int rotary = cud_rope_dim(&t->rope[index], t->proto.head_dim);
    if (rotary == 0) return CUDDLE_OK;
    const size_t bytes = (size_t)m->max_context * (size_t)rotary * sizeof(float);
    m->rope_host[index] = malloc(bytes + (size_t)rotary * sizeof(float));
    if (!m->rope_host[index]) return cud_nomem(err, bytes, "rotary position tables");
    cud_rope_fill(m->rope_host[index], m->rope_host[index] + bytes / sizeof(float), &t->rope[index], rotary, m->max_context);
    cuddle_status status = cud_source_open_memory(&m->rope_source[index], m->rope_host[index], bytes, "rotary position table", err);
    rope_table *table = &m->weights[0].rope[index];
    table->cos_sin = cud_matrix(NULL, CUDDLE_F32, m->max_context, rotary);
    table->rotary_dim = rotary;
    table->interleaved = t->rope[index].interleaved;
    memcpy(table->sections, t->rope[index].sections, sizeof table->sections);
    uint64_t at = 0;
    if (!status) status = cud_load_reserve(&m->load, bytes, &at, err);
    const load_piece piece = { .from = m->rope_source[index], .rows = 1, .row_bytes = bytes, .src_pitch = bytes, .dst = at, .dst_pitch = bytes,
                               .layer = -1, .name = "rotary position table" };
    if (!status) status = cud_load_add_piece(&m->load, &piece, err);
    const load_binding binding = { &table->cos_sin.data, NULL, at };
    if (!status) status = cud_load_add_binding(&m->load, &binding, err);
    return status;
}

static cuddle_status plan_ropes(model *m, cuddle_error *err)
{
    const stack *t = &m->spec.stack[0];
    cuddle_status status = t->position == POSITION_ROPE ? plan_rope(m, 0, err) : CUDDLE_OK;
    return status || !t->local_rope ? status : plan_rope(m, 1, err);
}

/* Runs the forward of the largest step on a recording exec: it adds up the workspace, and every op says whether it can do its part. */
static cuddle_status record(model *m, cuddle_error *err)
{
    exec ex;
    step s = { .tokens = m->caps.tokens, .sequences = m->caps.sequences, .outputs = m->caps.outputs, .copies = m->caps.sequences,
               .max_query = m->caps.tokens < m->max_context ? m->caps.tokens : m->max_context, .max_kv = m->max_context };
    tensor logits;
    cud_model_exec(&ex, m, EXEC_RECORD);
    cud_step_bind(&s, &m->caps, NULL);
    if (cud_model_is_encoder(m)) {
        const cuddle_status recorded = cud_encoder_record(&ex, m, &s, err);
        m->workspace_bytes = ex.ws.peak;
        return recorded;
    }
    cuddle_status status = cud_model_forward(&ex, m, &s, &logits, err);
    if (!status) status = cud_model_copy_pages(&ex, m, &s, err);
    if (!status && ex.ops->sample) status = cud_model_sample(&ex, m, &s, logits, err);
    s.tokens = s.outputs = s.sequences; /* as in the steps that it is for */
    if (!status && ex.ops->advance) status = ex.ops->advance(&ex, &s, err);
    m->workspace_bytes = ex.ws.peak;
    return status;
}

static void count_parameters(model *m)
{
    const stack_weights *w = &m->weights[0];
    for (int64_t i = 0; i < cud_checkpoint_count(m->files); i++) {
        const cuddle_tensor_info *t = cud_checkpoint_get(m->files, i);
        uint64_t n = 1;
        for (int d = 0; d < t->rank; d++) n *= (uint64_t)t->shape[d];
        m->parameters += n;
        m->decode_bytes += t->bytes;
    }
    /* Of the embedding table a token reads one row, unless it is the LM head too; of a position table likewise. */
    const uint64_t table = (uint64_t)w->embed.n * (uint64_t)w->embed.k * cud_dtype_size(cud_wformat_dtype(w->embed.format));
    if (cud_model_is_encoder(m)) return; /* it decodes nothing */
    if (!m->tied) m->decode_bytes -= table;
    if (cud_present(w->positions))
        m->decode_bytes -= (uint64_t)(w->positions.size[0] * w->positions.size[1]) * cud_dtype_size(w->positions.type);
}

/* Where weights of another format lie there is often no config.json: then their remedy says more than that it is missing. */
static cuddle_status check_format(const char *dir, cuddle_error *err)
{
    char *config = NULL;
    cuddle_error why = { CUDDLE_OK, "" };
    cuddle_status status = cud_path_join(&config, dir, "config.json", err);
    if (!status && !cud_path_exists(config)) {
        if (cud_path_is_directory(dir)) (void)cud_foreign_directory(dir, &why);
        else (void)cud_foreign_file(dir, &why);
        if (why.status == CUDDLE_E_UNSUPPORTED) status = cud_fail(err, why.status, "%s", why.text);
    }
    free(config);
    return status;
}

static cuddle_status open_spec(model *m, const char *dir, const logger *log, cuddle_error *err)
{
    cuddle_status status = check_format(dir, err);
    if (!status) status = cud_config_load(&m->spec, dir, log, err);
    if (!status) status = cud_checkpoint_open(&m->files, dir, err);
    for (int i = 0; i < m->spec.stacks && !status; i++) {
        const size_t layers = (size_t)m->spec.stack[i].layers;
        m->weights[i].layer = calloc(layers, sizeof *m->weights[i].layer);
        if (!m->weights[i].layer) status = cud_nomem(err, layers * sizeof *m->weights[i].layer, "layers");
    }
    return status;
}

cuddle_status cud_model_open(model **out, backend *b, const char *dir, const model_options *o, const logger *log, cuddle_error *err)
{
    *out = NULL;
    model *m = calloc(1, sizeof *m);
    if (!m) return cud_nomem(err, sizeof *m, "a model");
    m->backend = b;
    m->deterministic = o->deterministic;
    m->load.mode = o->load;
    cuddle_status status = open_spec(m, dir, log, err);
    if (!status) status = cud_tensors_plan(&m->load, m->weights, &m->spec, m->files, b->weights_in_place && o->load != CUDDLE_LOAD_READ, err);
    const unsigned over_vocabulary = HEAD_LM | HEAD_MASKED_LM;
    /* A head that is stored is used, as transformers does. */
    m->tied = !status && (m->spec.stack[0].heads & over_vocabulary) && !cud_has_weight(&m->weights[0].head.w);
    if (m->tied) m->weights[0].head.w = m->weights[0].embed;     /* its pointers follow when they are bound */
    if (!status) status = choose_context(m, o, err);
    if (!status) status = choose_compute(m, o, err);
    if (!status && cud_model_is_encoder(m)) {
        status = cud_encoder_size(m, o, err);
    } else {
        if (!status) status = group_layers(m, o, err);
        if (!status) status = size_kv(m, o, err);
    }
    if (!status) status = plan_ropes(m, err);
    if (!status) status = record(m, err);
    if (status) {
        cud_model_free(m);
        return status;
    }
    count_parameters(m);
    *out = m;
    return CUDDLE_OK;
}

/* --------------------------------------------------------------------------------------------- memory and loading */

cuddle_status cud_model_allocate(model *m, cuddle_error *err)
{
    const op_table *ops = m->backend->ops;
    cuddle_status status = ops->alloc(m->backend, &m->arena, (size_t)m->load.arena_bytes, "weights", err);
    if (!status) status = ops->alloc(m->backend, &m->kv, (size_t)m->kv_bytes, "the KV cache", err);
    if (!status) status = ops->alloc(m->backend, &m->workspace, m->workspace_bytes, "the workspace", err);
    if (!status) status = ops->alloc(m->backend, &m->step_block, m->step_bytes, "the step", err);
    if (!status && m->mark_bytes) status = ops->alloc(m->backend, &m->marks, m->mark_bytes, "marks of tokens", err);
    if (!status) status = cud_load_bind(&m->load, m->arena, err);
    if (!status && m->tied) m->weights[0].head.w = m->weights[0].embed;
    if (!status && ops->fence_new) status = ops->fence_new(m->backend, &m->load.fence, &m->load, err);
    return status;
}

cuddle_status cud_model_load(model *m, load_progress_fn progress, void *user, cuddle_error *err)
{
    const cuddle_status status = m->backend->ops->load(m->backend, m->arena, &m->load, progress, user, err);
    if (!status) atomic_store(&m->arrived, true);
    for (int i = 0; i < CUD_MAX_ROPES; i++) {
        cud_source_close(m->rope_source[i]);
        free(m->rope_host[i]);
        m->rope_source[i] = NULL;
        m->rope_host[i] = NULL;
    }
    return status;
}

void cud_model_release(model *m)
{
    if (m->load.fence) m->backend->ops->fence_free(m->backend, m->load.fence);
    m->load.fence = NULL;
    void **const memory[] = { &m->arena, &m->kv, &m->workspace, &m->step_block, &m->marks };
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) {
        if (*memory[i]) m->backend->ops->release(m->backend, *memory[i]);
        *memory[i] = NULL;
    }
    for (int i = 0; i < CUD_MAX_ROPES; i++) {
        cud_source_close(m->rope_source[i]);
        free(m->rope_host[i]);
        m->rope_source[i] = NULL;
        m->rope_host[i] = NULL;
    }
    cud_load_plan_free(&m->load);
    cud_checkpoint_free(m->files);
    m->files = NULL;
}

void cud_model_free(model *m)
{
    if (!m) return;
    cud_model_release(m);
    for (int i = 0; i < CUD_MAX_STACKS; i++) free(m->weights[i].layer);
    free(m->place);
    cud_spec_free(&m->spec);
    free(m);
}

/* -------------------------------------------------------------------------------------------------------- running */

static bool interrupted(void *user)
{
    const model *m = user;
    return atomic_load(&m->interrupt);
}

static cuddle_status wait_for_layer(exec *ex, int layer, cuddle_error *err)
{
    const model *m = ex->layer_user;
    return ex->ops->fence_wait(ex->backend, m->load.fence, layer, interrupted, ex->layer_user, err);
}

void cud_model_exec(exec *ex, const model *m, exec_mode mode)
{
    *ex = (exec){ .ops = m->backend->ops, .backend = m->backend, .mode = mode, .ranks = 1, .deterministic = m->deterministic };
    if (mode != EXEC_RECORD) {
        ex->ws.base = m->workspace;
        ex->ws.size = m->workspace_bytes;
        if (m->load.fence && !atomic_load(&m->arrived)) {
            ex->layer_begin = wait_for_layer;
            ex->layer_user = (void *)(uintptr_t)m; /* only read */
        }
    }
}

static kv_view view_of(const model *m, kv_place at, const step *s)
{
    const kv_group *g = &m->group[at.group];
    kv_view view = { .type = g->type, .heads = g->heads, .k_dim = g->k_dim, .v_dim = g->v_dim, .pages = m->pages,
                     .block_table = s->block_table[at.group], .table_width = s->table_width[at.group], .slots = s->slots[at.group] };
    if (m->kv) {
        const size_t layer_bytes = (size_t)m->pages * cud_kv_page_bytes(g);
        const size_t k_bytes = (size_t)m->pages * CUD_PAGE * (size_t)g->heads * (size_t)g->k_dim * cud_dtype_size(g->type);
        char *base = (char *)m->kv + m->kv_start[at.group] + (size_t)at.index * layer_bytes;
        view.k = base;
        view.v = base + k_bytes;
    }
    return view;
}

kv_view cud_model_kv(const model *m, int layer, const step *s) { return view_of(m, m->place[layer], s); }

cuddle_status cud_model_copy_pages(exec *ex, const model *m, const step *s, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    for (int g = 0; g < m->groups && !status; g++) {
        const copy_pages_args args = { .kv = view_of(m, (kv_place){ g, 0 }, s), .layers = m->group[g].layers,
                                       .layer_bytes = (size_t)m->pages * cud_kv_page_bytes(&m->group[g]), .copies = s->page_copies,
                                       .count = s->copies };
        status = ex->ops->copy_pages(ex, &args, err);
    }
    return status;
}

cuddle_status cud_model_forward(exec *ex, const model *m, const step *s, tensor *logits, cuddle_error *err)
{
    cud_ws_release(ex, 0);
    return cud_decoder_forward(ex, m, 0, s, logits, err);
}

uint32_t *cud_model_seen(const model *m, int seat) { return m->marks ? (uint32_t *)m->marks + (size_t)seat * (size_t)m->mark_words : NULL; }
uint32_t *cud_model_banned(const model *m, int seat) { return m->marks ? cud_model_seen(m, m->caps.sequences + seat) : NULL; }

cuddle_status cud_model_sample(exec *ex, const model *m, const step *s, tensor logits, cuddle_error *err)
{
    const sample_args args = { .logits = logits, .rows = s->sampling, .seen = cud_model_seen(m, 0), .banned = cud_model_banned(m, 0),
                               .mark_words = m->mark_words, .picked = s->picked };
    return ex->ops->sample(ex, &args, err);
}
