#include "encoder_case.h"

#include "format/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void *read_index(cuddle_safetensors *st, int64_t index, cuddle_tensor_info *info)
{
    cuddle_error err = { CUDDLE_OK, "" };
    ck_ok(cuddle_safetensors_get(st, index, info, &err));
    void *data = malloc((size_t)info->bytes + 1);
    ck_ok(cuddle_safetensors_read(st, index, data, 0, (size_t)info->bytes, &err));
    return data;
}

static int32_t *read_ints(cuddle_safetensors *st, const char *name, size_t *count)
{
    const int64_t index = cuddle_safetensors_find(st, name);
    if (index < 0) return NULL;
    cuddle_tensor_info info;
    int64_t *wide = read_index(st, index, &info);
    ck_assert_int_eq(info.type, CUDDLE_I64);
    *count = (size_t)info.shape[0];
    int32_t *out = malloc(*count * sizeof *out);
    for (size_t i = 0; i < *count; i++) out[i] = (int32_t)wide[i];
    free(wide);
    return out;
}

void encoder_case_read(encoder_case *c, const char *name)
{
    cuddle_error err = { CUDDLE_OK, "" };
    char path[256];
    snprintf(path, sizeof path, "encoders/%s/expected.safetensors", name);
    *c = (encoder_case){ 0 };
    ck_ok(cuddle_safetensors_open(&c->expected, test_path(path), &err));
    for (int i = 0; i < ENCODER_INPUTS; i++) {
        char what[32];
        snprintf(what, sizeof what, "ids.%d", i);
        c->ids[i] = read_ints(c->expected, what, &c->count[i]);
        ck_assert_ptr_nonnull(c->ids[i]);
        snprintf(what, sizeof what, "types.%d", i);
        c->types[i] = read_ints(c->expected, what, &c->count[i]);
    }
}

void encoder_case_free(encoder_case *c)
{
    for (int i = 0; i < ENCODER_INPUTS; i++) {
        free(c->ids[i]);
        free(c->types[i]);
    }
    cuddle_safetensors_free(c->expected);
}

bool encoder_expected(encoder_output *out, const encoder_case *c, const char *kind, int i)
{
    char what[96];
    snprintf(what, sizeof what, "%s.%d", kind, i);
    const int64_t index = cuddle_safetensors_find(c->expected, what);
    if (index < 0) return false;
    cuddle_tensor_info info;
    out->values = read_index(c->expected, index, &info);
    ck_assert_int_eq(info.type, CUDDLE_F32);
    out->rows = info.rank == 2 ? (size_t)info.shape[0] : 1;
    out->columns = (size_t)info.shape[info.rank - 1];
    return true;
}

double encoder_largest(const encoder_case *c, const char *kind)
{
    double largest = 0;
    for (int i = 0; i < ENCODER_INPUTS; i++) {
        encoder_output o;
        ck_assert_msg(encoder_expected(&o, c, kind, i), "%s", kind);
        for (size_t k = 0; k < o.rows * o.columns; k++)
            if (fabs((double)o.values[k]) > largest) largest = fabs((double)o.values[k]);
        free(o.values);
    }
    return largest;
}

/* ---------------------------------------------------------------------------------------------------------- checkpoints */

static void write_config(const char *dir, const char *name, const char *architecture)
{
    cuddle_error err = { CUDDLE_OK, "" };
    char path[1024];
    snprintf(path, sizeof path, "encoders/%s/config.json", name);
    json_t *root;
    ck_ok(cud_json_load(&root, test_path(path), CUD_JSON_MAX, &err));
    if (architecture) json_object_set_new(root, "architectures", json_pack("[s]", architecture));
    snprintf(path, sizeof path, "%s/config.json", dir);
    ck_assert_int_eq(json_dump_file(root, path, 0), 0);
    json_decref(root);
}

/* Nomic BERT's names from before transformers had it: parts of a name and what they were. */
static const char *const nomic_once[][2] = {
    { "embeddings.LayerNorm", "emb_ln" }, { "layers.", "encoder.layers." }, { "self_attn.o_proj", "attn.out_proj" }, { "self_attn.q_proj", "attn.Wqkv" },
    { "post_attention_layernorm", "norm1" }, { "post_mlp_layernorm", "norm2" }, { "gate_proj", "fc12" }, { "up_proj", "fc11" }, { "down_proj", "fc2" },
};

static void rename_nomic(char *out, size_t size)
{
    for (size_t i = 0; i < sizeof nomic_once / sizeof *nomic_once; i++) {
        char *at = strstr(out, nomic_once[i][0]), rest[256];
        if (!at) continue;
        snprintf(rest, sizeof rest, "%s", at + strlen(nomic_once[i][0]));
        snprintf(at, size - (size_t)(at - out), "%s%s", nomic_once[i][1], rest);
    }
}

/* Of a tensor of queries: keys and values behind it, as one tensor. */
static void *fuse(void *q, cuddle_safetensors *st, cuddle_tensor_info *info)
{
    const size_t bytes = (size_t)info->bytes;
    char name[256];
    snprintf(name, sizeof name, "%s", info->name);
    char *fused = malloc(3 * bytes), *letter = strstr(name, "q_proj");
    memcpy(fused, q, bytes);
    free(q);
    for (int i = 1; i < 3; i++) {
        cuddle_tensor_info other;
        *letter = i == 1 ? 'k' : 'v';
        void *data = read_index(st, cuddle_safetensors_find(st, name), &other);
        memcpy(fused + (size_t)i * bytes, data, bytes);
        free(data);
    }
    info->shape[0] *= 3;
    info->bytes *= 3;
    return fused;
}

/* The name that a tensor has in the checkpoint; false: it is not part of it. */
static bool rename_tensor(char *out, size_t size, const char *name, const char *architecture, const char *prefix, bool old)
{
    const char *slash = strchr(name, '/');
    if (slash) {
        if (!architecture || strncmp(name, architecture, strlen(architecture)) != 0 || name[strlen(architecture)] != '/') return false;
        name = slash + 1;
        prefix = "";
    }
    const bool nomic = old && strcmp(prefix, "nomic_bert.") == 0;
    if (nomic && (strstr(name, "k_proj") || strstr(name, "v_proj"))) return false; /* fuse() */
    snprintf(out, size, "%s%s", nomic ? "bert." : prefix, name);
    if (nomic) rename_nomic(out, size);
    char *leaf = nomic ? NULL : strstr(out, "LayerNorm.");
    if (old && leaf) strcpy(leaf + 10, strcmp(leaf + 10, "weight") == 0 ? "gamma" : "beta");
    return true;
}

static void add_file(cuddle_safetensors_writer *w, const char *file, bool data, const char *architecture, const char *prefix, bool old)
{
    cuddle_error err = { CUDDLE_OK, "" };
    cuddle_safetensors *st;
    ck_ok(cuddle_safetensors_open(&st, test_path(file), &err));
    for (int64_t i = 0; i < cuddle_safetensors_count(st); i++) {
        cuddle_tensor_info info;
        char name[256];
        void *bytes = read_index(st, i, &info);
        if (old && strcmp(prefix, "nomic_bert.") == 0 && strstr(info.name, "q_proj")) bytes = fuse(bytes, st, &info);
        if (rename_tensor(name, sizeof name, info.name, architecture, prefix, old)) {
            if (data) ck_ok(cuddle_safetensors_writer_write(w, name, bytes, (size_t)info.bytes, &err));
            else ck_ok(cuddle_safetensors_writer_declare(w, name, info.type, info.shape, info.rank, &err));
        }
        free(bytes);
    }
    cuddle_safetensors_free(st);
}

void encoder_write(const char *dir, const char *name, const char *architecture, const char *prefix, bool old)
{
    cuddle_error err = { CUDDLE_OK, "" };
    char path[1024], file[2][256];
    write_config(dir, name, architecture);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    snprintf(file[0], sizeof file[0], "encoders/%s/model.safetensors", name);
    snprintf(file[1], sizeof file[1], "encoders/%s/heads.safetensors", name);
    cuddle_safetensors_writer *w;
    ck_ok(cuddle_safetensors_writer_new(&w, path, &err));
    for (int data = 0; data < 2; data++)
        for (int i = 0; i < 2; i++) add_file(w, file[i], data, architecture, prefix, old);
    ck_ok(cuddle_safetensors_writer_finish(w, &err));
    cuddle_safetensors_writer_free(w);
}
