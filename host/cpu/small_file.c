#include "small_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool cud_small_file(const char *path, char *out, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t used = 0;
    while (used < size - 1) {
        const ssize_t got = read(fd, out + used, size - 1 - used);
        if (got <= 0) break;
        used += (size_t)got;
    }
    close(fd);
    out[used] = 0;
    return used > 0;
}

bool cud_small_file_number(const char *text, const char *key, uint64_t *out)
{
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, key, strlen(key)) == 0) return sscanf(line + strlen(key), "%llu", (unsigned long long *)out) == 1;
    }
    return false;
}
