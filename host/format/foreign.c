#include "format/foreign.h"

#include "format/path.h"

#include <dirent.h>
#include <string.h>

#define PICKLE "which is executable pickle data and not read; "

/* What is looked for, the likeliest first. `prefix` counts in directories only: beside weights lie training_args.bin and the like. */
static const struct kind {
    const char *prefix, *suffix;
    const char *remedy;
} kinds[] = {
    { "pytorch_model", ".bin", PICKLE "convert it with transformers: AutoModelForCausalLM.from_pretrained(dir).save_pretrained(dir)" },
    { "", ".gguf", "and GGUF is not supported; use the model's original repository, which has safetensors" },
    { "", ".h5", "weights for TensorFlow; convert them with transformers 4: "
                 "AutoModelForCausalLM.from_pretrained(dir, from_tf=True).save_pretrained(dir)" },
    { "", ".msgpack", "weights for Flax; convert them with transformers 4: "
                      "AutoModelForCausalLM.from_pretrained(dir, from_flax=True).save_pretrained(dir)" },
    { "", ".onnx", "and ONNX is not supported; use the model's original repository, which has safetensors" },
    { "", ".pt", PICKLE "use a repository of the model that has safetensors" },
    { "", ".pth", PICKLE "use a repository of the model that has safetensors" },
    { "", ".ckpt", PICKLE "use a repository of the model that has safetensors" },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* The end of a path that is too long for a sentence. */
static const char *short_path(const char *path)
{
    const size_t length = strlen(path), most = 60;
    if (length <= most) return path;
    const char *slash = strchr(path + length - most, '/');
    return slash ? slash + 1 : path + length - most;
}

static cuddle_status refuse(const char *path, const char *file, const struct kind *kind, cuddle_error *err)
{
    return cud_fail(err, CUDDLE_E_UNSUPPORTED, "%s: only %.40s, %s", short_path(path), file, kind->remedy);
}

cuddle_status cud_foreign_file(const char *path, cuddle_error *err)
{
    for (int i = 0; i < KINDS; i++)
        if (cud_path_has_suffix(path, kinds[i].suffix)) return refuse(path, cud_path_name(path), &kinds[i], err);
    return CUDDLE_OK;
}

/* Keeps the first of the names in name order. */
static void keep_first(char found[256], const char *name)
{
    const size_t length = strlen(name);
    if (length < 256 && (!found[0] || strcmp(name, found) < 0)) memcpy(found, name, length + 1);
}

cuddle_status cud_foreign_directory(const char *path, cuddle_error *err)
{
    char ours[256] = "", others[KINDS][256] = { "" };
    DIR *dir = opendir(path);
    if (!dir) return cud_fail(err, CUDDLE_E_IO, "%s: the directory cannot be read", path);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (cud_path_has_suffix(entry->d_name, ".safetensors")) keep_first(ours, entry->d_name);
        for (int i = 0; i < KINDS; i++)
            if (cud_path_has_suffix(entry->d_name, kinds[i].suffix) && strncmp(entry->d_name, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
                keep_first(others[i], entry->d_name);
    }
    closedir(dir);
    if (ours[0])
        return cud_fail(err, CUDDLE_E_IO,
                        "%s: no model.safetensors and no model.safetensors.index.json; there is \"%.80s\", which can be named itself",
                        short_path(path), ours);
    for (int i = 0; i < KINDS; i++)
        if (others[i][0]) return refuse(path, others[i], &kinds[i], err);
    return cud_fail(err, CUDDLE_E_IO, "%s: no model.safetensors and no model.safetensors.index.json in this directory", short_path(path));
}
