/* cuddle inspect: the tensors of a checkpoint, from its headers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "cuddle.h"

typedef struct inspect_options { int json; } inspect_options;
static const option_row inspect_rows[] = {
    { "json", OPTION_FLAG, offsetof(inspect_options, json), 0, 0, "", "print one JSON object" },
    { 0 },
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static uint64_t elements(const cuddle_tensor_info *t)
{
    uint64_t count = 1;
    for (int i = 0; i < t->rank; i++) count *= (uint64_t)t->shape[i];
    return count;
}

static const char *shape_text(char *out, size_t size, const cuddle_tensor_info *t)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < t->rank && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%lld", i ? ", " : "", (long long)t->shape[i]);
    if (used < size) snprintf(out + used, size - used, "]");
    return out;
}

/* One pass over the tensors; 0 ends it early. */
typedef int (*visit_fn)(const cuddle_safetensors *st, const cuddle_tensor_info *t, void *user);

static int visit(const cuddle_safetensors *st, visit_fn fn, void *user, cuddle_error *err)
{
    const int64_t count = cuddle_safetensors_count(st);
    for (int64_t i = 0; i < count; i++) {
        cuddle_tensor_info t;
        if (cuddle_safetensors_get(st, i, &t, err) != CUDDLE_OK) return say_error(err);
        if (!fn(st, &t, user)) break;
    }
    return 0;
}

typedef struct totals {
    int name, shape, dtype, bytes; /* widths of the columns */
    uint64_t elements, total;
} totals;

static void widen(int *width, size_t length)
{
    if ((int)length > *width) *width = (int)length;
}

static int measure(const cuddle_safetensors *st, const cuddle_tensor_info *t, void *user)
{
    totals *all = user;
    char text[256];
    (void)st;
    widen(&all->name, strlen(t->name) < 1024 ? strlen(t->name) : 1024);
    widen(&all->dtype, strlen(cuddle_dtype_name(t->type)));
    widen(&all->shape, strlen(shape_text(text, sizeof text, t)));
    widen(&all->bytes, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)t->bytes));
    all->elements += elements(t);
    all->total += t->bytes;
    return 1;
}

static int print_row(const cuddle_safetensors *st, const cuddle_tensor_info *t, void *user)
{
    const totals *all = user;
    char name[1100], shape[256], file[512];
    const char *path = cuddle_safetensors_shard(st, t->shard);
    out_printf("%-*s  %-*s  %-*s  %*llu  %s\n", all->name, clean_line(name, sizeof name, t->name), all->dtype, cuddle_dtype_name(t->type),
               all->shape, shape_text(shape, sizeof shape, t), all->bytes, (unsigned long long)t->bytes,
               clean_line(file, sizeof file, path ? base_name(path) : "?"));
    return out_flush();
}

static int print_table(const cuddle_safetensors *st, cuddle_error *err)
{
    totals all = { .name = 4, .dtype = 5, .shape = 5, .bytes = 5 };
    int code = visit(st, measure, &all, err);
    if (code) return code;
    out_printf("%-*s  %-*s  %-*s  %*s  %s\n", all.name, "name", all.dtype, "dtype", all.shape, "shape", all.bytes, "bytes", "shard");
    code = visit(st, print_row, &all, err);
    if (code) return code;
    char size[32], key[256], value[768];
    const int shards = cuddle_safetensors_shards(st);
    out_printf("\n%lld tensors, %llu parameters, %llu bytes (%s) in %d %s\n", (long long)cuddle_safetensors_count(st),
               (unsigned long long)all.elements, (unsigned long long)all.total, human_bytes(size, sizeof size, all.total), shards,
               shards == 1 ? "file" : "files");
    for (int i = 0; i < cuddle_safetensors_metadata_count(st); i++) {
        const char *k, *v;
        if (cuddle_safetensors_metadata(st, i, &k, &v, err) != CUDDLE_OK) return say_error(err);
        out_printf("metadata  %s: %s\n", clean_line(key, sizeof key, k), clean_line(value, sizeof value, v));
    }
    return 0;
}

static int add_tensor(const cuddle_safetensors *st, const cuddle_tensor_info *t, void *user)
{
    json_t *shape = json_array(), *row = json_object();
    (void)st;
    js_put(row, "name", js_name(t->name));
    js_put(row, "dtype", js_name(cuddle_dtype_name(t->type)));
    for (int i = 0; i < t->rank; i++) js_add(shape, json_integer(t->shape[i]));
    js_put(row, "shape", shape);
    js_put(row, "bytes", js_bytes(t->bytes));
    js_put(row, "shard", json_integer(t->shard));
    js_put(row, "offset", js_bytes(t->offset));
    js_add(user, row);
    return 1;
}

static int print_json(const char *path, const cuddle_safetensors *st, cuddle_error *err)
{
    totals all = { 0 };
    json_t *object = json_object(), *tensors = json_array(), *metadata = json_array(), *shards = json_array();
    int code = visit(st, measure, &all, err);
    if (!code) code = visit(st, add_tensor, tensors, err);
    for (int i = 0; i < cuddle_safetensors_shards(st); i++) js_add(shards, js_name(cuddle_safetensors_shard(st, i)));
    for (int i = 0; !code && i < cuddle_safetensors_metadata_count(st); i++) {
        const char *key, *value;
        json_t *entry = json_object();
        if (cuddle_safetensors_metadata(st, i, &key, &value, err) != CUDDLE_OK) code = say_error(err);
        else js_put(entry, "key", js_name(key)), js_put(entry, "value", js_name(value));
        js_add(metadata, entry);
    }
    js_put(object, "path", js_name(path));
    js_put(object, "shards", shards);
    js_put(object, "tensor_count", json_integer(cuddle_safetensors_count(st)));
    js_put(object, "parameters", js_bytes(all.elements));
    js_put(object, "bytes", js_bytes(all.total));
    js_put(object, "metadata", metadata);
    js_put(object, "tensors", tensors);
    if (code) json_decref(object);
    else out_json(object);
    return code;
}

int verb_inspect(int argc, char **argv)
{
    inspect_options own = { 0 };
    const option_group groups[] = { { "options", inspect_rows, &own }, { 0 } };
    const command c = { "inspect", "PATH", "Lists the tensors of a checkpoint and checks its headers.",
                        "PATH is a directory, a .safetensors file or a .safetensors.index.json. Tensor data is not read.", 1, 1, groups };
    const char *positional[POSITIONAL_MOST];
    int code;
    if (!options_parse(&c, argc, argv, positional, &code)) return code;

    cuddle_error err;
    cuddle_safetensors *st = NULL;
    if (cuddle_safetensors_open(&st, positional[0], &err) != CUDDLE_OK) return say_error(&err);
    code = own.json ? print_json(positional[0], st, &err) : print_table(st, &err);
    cuddle_safetensors_free(st);
    return out_end(code);
}
