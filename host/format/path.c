#include "format/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *cud_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

cuddle_status cud_path_join(char **out, const char *directory, const char *name, cuddle_error *err)
{
    const size_t length = strlen(directory), rest = strlen(name);
    const size_t slash = length > 0 && directory[length - 1] != '/';
    char *path = malloc(length + slash + rest + 1);
    *out = path;
    if (!path) return cud_nomem(err, length + slash + rest + 1, "a path");
    memcpy(path, directory, length);
    if (slash) path[length] = '/';
    memcpy(path + length + slash, name, rest + 1);
    return CUDDLE_OK;
}

bool cud_path_is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

cuddle_status cud_path_find(bool *found, const char *path, cuddle_error *err)
{
    struct stat st;
    *found = lstat(path, &st) == 0;
    if (!*found && errno != ENOENT && errno != ENOTDIR) return cud_fail(err, CUDDLE_E_IO, "%s: %s", path, cud_path_reason(errno));
    return CUDDLE_OK;
}

bool cud_path_is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool cud_path_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

bool cud_path_has_suffix(const char *path, const char *suffix)
{
    const size_t length = strlen(path), wanted = strlen(suffix);
    return length >= wanted && memcmp(path + length - wanted, suffix, wanted) == 0;
}

const char *cud_path_reason(int error)
{
    const char *text = strerrordesc_np(error);
    return text ? text : "unknown error";
}
