#include "tasks/sentence_layout.h"

#include "core/dtype.h"
#include "format/checkpoint.h"
#include "format/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- small helpers ---- */

static cuddle_status copy(char **out, const char *text, cuddle_error *err)
{
    *out = strdup(text);
    return *out ? CUDDLE_OK : cud_nomem(err, strlen(text) + 1, "a sentence-transformers layout");
}

/* What stands behind the last dot. */
static const char *last_part(const char *dotted)
{
    const char *dot = strrchr(dotted, '.');
    return dot ? dot + 1 : dotted;
}

static int find_name(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

/* A member that may be absent, null, or this string. */
static cuddle_status must_be(const json_view *config, const char *key, const char *only, cuddle_error *err)
{
    const char *found = only;
    const cuddle_status status = cud_json_string(&found, config, key, CUD_JSON_NULLABLE, err);
    if (status || strcmp(found, only) == 0) return status;
    return cud_json_wrong(config, key, err, CUDDLE_E_UNSUPPORTED, "\"%s\"", only);
}

bool cud_similarity_parse(cud_similarity *out, const char *name)
{
    static const char *const names[] = { "cosine", "dot", "euclidean", "manhattan" };
    const int found = find_name(names, 4, name);
    if (found >= 0) *out = (cud_similarity)found;
    return found >= 0;
}

/* ---- modules.json ---- */

static cuddle_status read_kind(cud_module_kind *kind, bool *nothing, const json_view *item, cuddle_error *err)
{
    static const char *const names[] = { "Transformer", "Pooling", "Dense", "Normalize" };
    const char *type = NULL;
    const cuddle_status status = cud_json_string(&type, item, "type", CUD_JSON_REQUIRED, err);
    if (status) return status;
    /* The folders in between have changed over the years; what does not begin so is code of the checkpoint's own. */
    const bool ours = strncmp(type, "sentence_transformers.", 22) == 0;
    const int found = ours ? find_name(names, 4, last_part(type)) : -1;
    *nothing = ours && strcmp(last_part(type), "Dropout") == 0; /* only training knows it */
    if (found >= 0) *kind = (cud_module_kind)found;
    if (found >= 0 || *nothing) return CUDDLE_OK;
    return cud_json_wrong(item, "type", err, CUDDLE_E_UNSUPPORTED, "sentence_transformers' Transformer, Pooling, Dense or Normalize");
}

/* A folder below the checkpoint. */
static cuddle_status read_path(char **out, const json_view *item, cuddle_error *err)
{
    const char *path = NULL;
    cuddle_status status = cud_json_string(&path, item, "path", CUD_JSON_REQUIRED, err);
    if (status) return status;
    bool outside = path[0] == '/' || strlen(path) > 255;
    for (const char *c = path; *c; c += *c == '/') { /* part by part */
        const size_t length = strcspn(c, "/");
        outside = outside || (length == 2 && c[0] == '.' && c[1] == '.');
        c += length;
    }
    if (outside) return cud_json_wrong(item, "path", err, CUDDLE_E_FORMAT, "a folder below the checkpoint's");
    return copy(out, path, err);
}

cuddle_status cud_layout_read_modules(cud_sentence_layout *l, const json_view *list, cuddle_error *err)
{
    json_view all;
    size_t count = 0;
    cuddle_status status = cud_json_array(&all, &count, list, NULL, CUD_JSON_REQUIRED, err);
    if (!status && count > CUD_LAYOUT_MODULES)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: lists %zu modules, at most %d are read", list->file, count, CUD_LAYOUT_MODULES);
    for (size_t i = 0; i < count && !status; i++) {
        json_view element = cud_json_element(&all, i), item;
        cud_module *m = &l->module[l->modules];
        bool nothing = false;
        status = cud_json_object(&item, &element, NULL, CUD_JSON_REQUIRED, err);
        if (!status) status = read_kind(&m->kind, &nothing, &item, err);
        if (status || nothing) continue;
        const bool fits = l->modules == 0 ? m->kind == CUD_MODULE_TRANSFORMER
                                          : (l->modules == 1) == (m->kind == CUD_MODULE_POOLING) && m->kind != CUD_MODULE_TRANSFORMER;
        if (!fits) return cud_json_wrong(&item, "type", err, CUDDLE_E_UNSUPPORTED, "a Transformer, then a Pooling, then Dense and Normalize only");
        status = read_path(&m->path, &item, err);
        if (!status) l->modules++;
    }
    if (!status && l->modules < 2)
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s: lists %d modules, expected a Transformer and a Pooling at least", list->file, l->modules);
    return status;
}

/* ---- N_Pooling/config.json ---- */

static const char *const mode_names[CUD_POOLING_MODES] = { "cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken" };
static const char *const mode_flags[CUD_POOLING_MODES] = { "pooling_mode_cls_token", "pooling_mode_max_tokens", "pooling_mode_mean_tokens",
                                                           "pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens",
                                                           "pooling_mode_lasttoken" };

static cuddle_status add_mode(cud_module *m, const json_view *in, const char *key, cuddle_error *err)
{
    const char *name = NULL;
    const cuddle_status status = cud_json_string(&name, in, key, CUD_JSON_REQUIRED, err);
    if (status) return status;
    const int found = find_name(mode_names, CUD_POOLING_MODES, name);
    if (found < 0)
        return cud_json_wrong(in, key, err, CUDDLE_E_UNSUPPORTED, "cls, max, mean, mean_sqrt_len_tokens, weightedmean or lasttoken");
    if (m->modes == CUD_POOLING_MODES)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: \"pooling_mode\" lists more than %d modes", in->file, CUD_POOLING_MODES);
    m->mode[m->modes++] = (cud_pooling_mode)found;
    return CUDDLE_OK;
}

static cuddle_status read_modes(cud_module *m, const json_view *config, cuddle_error *err)
{
    const json_t *mode = json_object_get(config->value, "pooling_mode");
    json_view list;
    size_t count = 0;
    m->modes = 0;
    if (mode && json_is_string(mode)) return add_mode(m, config, "pooling_mode", err);
    cuddle_status status = CUDDLE_OK;
    if (mode) {
        status = cud_json_array(&list, &count, config, "pooling_mode", CUD_JSON_REQUIRED, err);
        for (size_t i = 0; i < count && !status; i++) {
            const json_view element = cud_json_element(&list, i);
            status = add_mode(m, &element, NULL, err);
        }
        if (!status && count == 0) status = cud_json_wrong(config, "pooling_mode", err, CUDDLE_E_FORMAT, "a mode or a list of some");
        return status;
    }
    for (int i = 0; i < CUD_POOLING_MODES && !status; i++) {
        bool on = false;
        status = cud_json_bool(&on, config, mode_flags[i], CUD_JSON_NULLABLE, err);
        if (on) m->mode[m->modes++] = (cud_pooling_mode)i;
    }
    if (m->modes == 0) m->mode[m->modes++] = CUD_POOL_MEAN;
    return status;
}

cuddle_status cud_layout_read_pooling(cud_module *m, const json_view *config, cuddle_error *err)
{
    static const char *const known[] = { "embedding_dimension", "word_embedding_dimension", "pooling_mode", "include_prompt" };
    const char *key;
    json_t *value;
    json_object_foreach (config->value, key, value)
        if (find_name(known, 4, key) < 0 && find_name(mode_flags, CUD_POOLING_MODES, key) < 0)
            return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s: \"%.80s\" of a pooling module is not supported", config->file, key);
    const char *width = json_object_get(config->value, known[0]) || !json_object_get(config->value, known[1]) ? known[0] : known[1];
    m->include_prompt = true;
    cuddle_status status = cud_json_int(&m->in, config, width, CUD_JSON_REQUIRED, 1, CUD_LAYOUT_WIDTH, err);
    if (!status) status = cud_json_bool(&m->include_prompt, config, "include_prompt", CUD_JSON_OPTIONAL, err);
    if (!status) status = read_modes(m, config, err);
    m->out = m->in * m->modes;
    return status;
}

/* ---- N_Dense ---- */

cuddle_status cud_layout_read_dense(cud_module *m, const json_view *config, cuddle_error *err)
{
    static const char *const names[] = { "Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid" };
    const char *activation = "torch.nn.modules.activation.Tanh";
    m->has_bias = true;
    cuddle_status status = cud_json_int(&m->in, config, "in_features", CUD_JSON_REQUIRED, 1, CUD_LAYOUT_WIDTH, err);
    if (!status) status = cud_json_int(&m->out, config, "out_features", CUD_JSON_REQUIRED, 1, CUD_LAYOUT_WIDTH, err);
    if (!status) status = cud_json_bool(&m->has_bias, config, "bias", CUD_JSON_OPTIONAL, err);
    if (!status) status = cud_json_bool(&m->use_residual, config, "use_residual", CUD_JSON_OPTIONAL, err);
    if (!status) status = cud_json_string(&activation, config, "activation_function", CUD_JSON_OPTIONAL, err);
    if (!status) status = must_be(config, "module_input_name", "sentence_embedding", err);
    if (!status) status = must_be(config, "module_output_name", "sentence_embedding", err);
    if (status) return status;
    const int found = strncmp(activation, "torch.nn.", 9) == 0 ? find_name(names, 6, last_part(activation)) : -1;
    if (found < 0)
        return cud_json_wrong(config, "activation_function", err, CUDDLE_E_UNSUPPORTED, "torch.nn's Identity, Tanh, ReLU, GELU, SiLU or Sigmoid");
    m->activation = (cud_dense_activation)found;
    return CUDDLE_OK;
}

/* Tensor `name` of shape [rows][cols], or [cols] where rows is 0, as floats. */
static cuddle_status load_tensor(float **out, const checkpoint *c, const char *path, const char *name, int64_t rows, int64_t cols, cuddle_error *err)
{
    const int64_t index = cud_checkpoint_find(c, name);
    const cuddle_tensor_info *t = cud_checkpoint_get(c, index);
    if (!t) return cud_fail(err, CUDDLE_E_FORMAT, "%s: there is no tensor \"%s\"", path, name);
    const bool fits = rows ? t->rank == 2 && t->shape[0] == rows && t->shape[1] == cols : t->rank == 1 && t->shape[0] == cols;
    if (!fits && rows)
        return cud_fail(err, CUDDLE_E_FORMAT, "%s: the shape of \"%s\" is not [%lld, %lld]", path, name, (long long)rows, (long long)cols);
    if (!fits) return cud_fail(err, CUDDLE_E_FORMAT, "%s: the shape of \"%s\" is not [%lld]", path, name, (long long)cols);
    if (!cud_dtype_is_compute(t->type))
        return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s: \"%s\" is %s, expected F32, F16 or BF16", path, name, cud_dtype_name(t->type));
    const int64_t count = (rows ? rows : 1) * cols; /* both are at most CUD_LAYOUT_WIDTH */
    void *stored = malloc((size_t)t->bytes);
    *out = malloc((size_t)count * sizeof **out);
    cuddle_status status = stored && *out ? CUDDLE_OK : cud_nomem(err, (size_t)count * sizeof **out, name);
    if (!status) status = cud_checkpoint_read(c, index, stored, 0, (size_t)t->bytes, err);
    if (!status) cud_to_float(*out, stored, t->type, count);
    free(stored);
    return status;
}

cuddle_status cud_layout_load_dense(cud_module *m, const char *path, cuddle_error *err)
{
    checkpoint *c = NULL;
    cuddle_status status = cud_checkpoint_open(&c, path, err);
    if (status) return status;
    const bool residual = m->use_residual && m->in != m->out;
    status = load_tensor(&m->weight, c, path, "linear.weight", m->out, m->in, err);
    if (!status && m->has_bias) status = load_tensor(&m->bias, c, path, "linear.bias", 0, m->out, err);
    if (!status && residual) status = load_tensor(&m->residual, c, path, "residual.weight", m->out, m->in, err);
    if (!status && cud_checkpoint_count(c) != 1 + m->has_bias + residual)
        status = cud_fail(err, CUDDLE_E_FORMAT, "%s: has %lld tensors, expected those of its config.json, which are %d", path,
                          (long long)cud_checkpoint_count(c), 1 + m->has_bias + residual);
    cud_checkpoint_free(c);
    return status;
}

/* ---- sentence_bert_config.json ---- */

cuddle_status cud_layout_read_transformer(cud_sentence_layout *l, const json_view *config, cuddle_error *err)
{
    /* Settings that change what a text becomes, or how the model is built, if they say something. */
    static const char *const changing[] = { "processing_kwargs", "model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args",
                                            "config_kwargs", "query_length", "document_length", "query_expansion", "tokenizer_name_or_path" };
    cuddle_status status = cud_json_int(&l->max_length, config, "max_seq_length", CUD_JSON_NULLABLE, 1, INT32_MAX, err);
    if (!status) status = cud_json_bool(&l->lower_case, config, "do_lower_case", CUD_JSON_NULLABLE, err);
    if (!status) status = must_be(config, "transformer_task", "feature-extraction", err);
    if (!status) status = must_be(config, "module_output_name", "token_embeddings", err);
    for (size_t i = 0; i < sizeof changing / sizeof *changing && !status; i++) {
        const json_t *value = json_object_get(config->value, changing[i]);
        if (value && !json_is_null(value) && !(json_is_object(value) && json_object_size(value) == 0))
            status = cud_json_wrong(config, changing[i], err, CUDDLE_E_UNSUPPORTED, "nothing: it is not supported");
    }
    return status;
}

/* ---- config_sentence_transformers.json ---- */

static cuddle_status read_prompts(cud_sentence_layout *l, const json_view *config, cuddle_error *err)
{
    json_view prompts;
    const char *name;
    json_t *value;
    cuddle_status status = cud_json_object(&prompts, config, "prompts", CUD_JSON_NULLABLE, err);
    if (status || !prompts.value) return status;
    const size_t count = json_object_size(prompts.value);
    if (count > CUD_LAYOUT_PROMPTS)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s: has %zu prompts, at most %d are read", config->file, count, CUD_LAYOUT_PROMPTS);
    l->prompt = calloc(count + 1, sizeof *l->prompt);
    if (!l->prompt) return cud_nomem(err, (count + 1) * sizeof *l->prompt, "prompts");
    json_object_foreach (prompts.value, name, value) {
        const char *text = "";
        cud_prompt *p = &l->prompt[l->prompts++];
        status = cud_json_string(&text, &prompts, name, CUD_JSON_NULLABLE, err);
        if (!status) status = copy(&p->name, name, err);
        if (!status) status = copy(&p->text, text, err);
        if (status) break;
    }
    return status;
}

cuddle_status cud_layout_read_settings(cud_sentence_layout *l, const json_view *config, cuddle_error *err)
{
    const char *name = NULL, *similarity = "cosine";
    cuddle_status status = must_be(config, "model_type", "SentenceTransformer", err);
    if (!status) status = read_prompts(l, config, err);
    if (!status) status = cud_json_string(&name, config, "default_prompt_name", CUD_JSON_NULLABLE, err);
    if (!status && name && cud_sentence_prompt(&l->default_prompt, l, name, NULL) != CUDDLE_OK)
        status = cud_json_wrong(config, "default_prompt_name", err, CUDDLE_E_FORMAT, "the name of one of its prompts");
    if (!status) status = cud_json_string(&similarity, config, "similarity_fn_name", CUD_JSON_NULLABLE, err);
    if (!status && !cud_similarity_parse(&l->similarity, similarity))
        status = cud_json_wrong(config, "similarity_fn_name", err, CUDDLE_E_UNSUPPORTED, "cosine, dot, euclidean or manhattan");
    if (!status) status = cud_json_int(&l->truncate, config, "truncate_dim", CUD_JSON_NULLABLE, 1, CUD_LAYOUT_WIDTH, err);
    return status;
}

/* ---- the whole ---- */

/* Opens `dir`/`folder`/`name` if it is there; *root is NULL otherwise. */
static cuddle_status open_file(json_t **root, const char *dir, const char *folder, const char *name, bool required, bool list, cuddle_error *err)
{
    char *place = NULL, *path = NULL;
    bool found = true;
    *root = NULL;
    cuddle_status status = cud_path_join(&place, dir, folder, err);
    if (!status) status = cud_path_join(&path, place, name, err);
    if (!status && !required) status = cud_path_find(&found, path, err);
    if (!status && found) status = list ? cud_json_load_list(root, path, CUD_JSON_MAX, err) : cud_json_load(root, path, CUD_JSON_MAX, err);
    free(place);
    free(path);
    return status;
}

static cuddle_status load_dense(cud_module *m, const char *dir, cuddle_error *err)
{
    char *path = NULL;
    cuddle_status status = cud_path_join(&path, dir, m->path, err);
    if (!status) status = cud_layout_load_dense(m, path, err);
    free(path);
    return status;
}

static cuddle_status load_module(cud_module *m, const char *dir, cuddle_error *err)
{
    json_t *root = NULL;
    char file[300];
    snprintf(file, sizeof file, "%s%sconfig.json", m->path, m->path[0] ? "/" : "");
    cuddle_status status = open_file(&root, dir, m->path, "config.json", m->kind != CUD_MODULE_NORMALIZE, false, err);
    if (status || !root) return status;
    json_view config = cud_json_view(root, file);
    config.file = file; /* with its folder: there are several of this name */
    if (m->kind == CUD_MODULE_POOLING) status = cud_layout_read_pooling(m, &config, err);
    if (m->kind == CUD_MODULE_DENSE) status = cud_layout_read_dense(m, &config, err);
    if (m->kind == CUD_MODULE_NORMALIZE) {
        status = must_be(&config, "module_input_name", "sentence_embedding", err);
        if (!status) status = must_be(&config, "module_output_name", "sentence_embedding", err);
    }
    json_decref(root);
    return status;
}

static cuddle_status load_settings(cud_sentence_layout *l, const char *dir, cuddle_error *err)
{
    static const char *const files[] = { "sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json",
                                         "sentence_camembert_config.json", "sentence_albert_config.json", "sentence_xlm-roberta_config.json",
                                         "sentence_xlnet_config.json" };
    json_t *root = NULL;
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; i < sizeof files / sizeof *files && !status && !root; i++) {
        status = open_file(&root, dir, l->module[0].path, files[i], false, false, err);
        if (status || !root) continue;
        const json_view config = cud_json_view(root, files[i]);
        status = cud_layout_read_transformer(l, &config, err);
    }
    json_decref(root);
    if (!status) status = open_file(&root, dir, "", "config_sentence_transformers.json", false, false, err);
    if (status || !root) return status;
    const json_view config = cud_json_view(root, "config_sentence_transformers.json");
    status = cud_layout_read_settings(l, &config, err);
    json_decref(root);
    return status;
}

/* What each module gives is what the next one takes. */
static cuddle_status load_modules(cud_sentence_layout *l, const char *dir, int64_t hidden, cuddle_error *err)
{
    l->module[0].in = l->module[0].out = hidden;
    for (int i = 1; i < l->modules; i++) {
        cud_module *m = &l->module[i];
        const int64_t width = l->module[i - 1].out;
        const cuddle_status status = load_module(m, dir, err);
        if (status) return status;
        if (m->kind == CUD_MODULE_NORMALIZE) m->in = m->out = width;
        if (m->in != width)
            return cud_fail(err, CUDDLE_E_FORMAT, "%s/config.json: the module takes %lld components, but what comes before it gives %lld", m->path,
                            (long long)m->in, (long long)width);
        const cuddle_status loaded = m->kind == CUD_MODULE_DENSE ? load_dense(m, dir, err) : CUDDLE_OK;
        if (loaded) return loaded;
    }
    return CUDDLE_OK;
}

static cuddle_status plain(cud_sentence_layout *l, int64_t hidden, bool causal, cuddle_error *err)
{
    l->modules = 2;
    l->module[0] = (cud_module){ .kind = CUD_MODULE_TRANSFORMER, .in = hidden, .out = hidden };
    l->module[1] = (cud_module){ .kind = CUD_MODULE_POOLING, .in = hidden, .out = hidden, .modes = 1, .include_prompt = true };
    l->module[1].mode[0] = causal ? CUD_POOL_LAST : CUD_POOL_MEAN;
    const cuddle_status status = copy(&l->module[0].path, "", err);
    return status ? status : copy(&l->module[1].path, "", err);
}

cuddle_status cud_sentence_layout_load(cud_sentence_layout *out, const char *dir, int64_t hidden, bool causal, cuddle_error *err)
{
    json_t *root = NULL;
    *out = (cud_sentence_layout){ 0 };
    if (hidden < 1 || hidden > CUD_LAYOUT_WIDTH) return cud_fail(err, CUDDLE_E_ARG, "hidden states of %lld components", (long long)hidden);
    cuddle_status status = open_file(&root, dir, "", "modules.json", false, true, err);
    if (!status && !root) status = plain(out, hidden, causal, err);
    if (!status && root) {
        const json_view list = cud_json_view(root, "modules.json");
        status = cud_layout_read_modules(out, &list, err);
        if (!status) status = load_modules(out, dir, hidden, err);
        if (!status) status = load_settings(out, dir, err);
    }
    json_decref(root);
    if (status) cud_sentence_layout_free(out);
    return status;
}

void cud_sentence_layout_free(cud_sentence_layout *l)
{
    for (int i = 0; i < CUD_LAYOUT_MODULES; i++) {
        free(l->module[i].path);
        free(l->module[i].weight);
        free(l->module[i].bias);
        free(l->module[i].residual);
    }
    for (size_t i = 0; i < l->prompts; i++) {
        free(l->prompt[i].name);
        free(l->prompt[i].text);
    }
    free(l->prompt);
    *l = (cud_sentence_layout){ 0 };
}

cuddle_status cud_sentence_prompt(const char **out, const cud_sentence_layout *l, const char *name, cuddle_error *err)
{
    for (size_t i = 0; i < l->prompts; i++)
        if (strcmp(l->prompt[i].name, name) == 0) return *out = l->prompt[i].text, CUDDLE_OK;
    if (strcmp(name, "query") == 0 || strcmp(name, "document") == 0) return *out = "", CUDDLE_OK;
    return cud_fail(err, CUDDLE_E_ARG, "the checkpoint has no prompt \"%.80s\"", name);
}

int64_t cud_sentence_width(const cud_sentence_layout *l) { return l->modules ? l->module[l->modules - 1].out : 0; }
