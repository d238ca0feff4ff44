#include "cgroup.h"
#include "small_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_MOST = 4096 };

/* Is `name` one of the names in "a,b,c"? */
static bool in_list(const char *list, const char *name)
{
    const size_t length = strlen(name);
    for (; list; list = strchr(list, ',')) {
        if (*list == ',') list++;
        if (strncmp(list, name, length) == 0 && (list[length] == 0 || list[length] == ',')) return true;
    }
    return false;
}

/* This process's group in a controller's hierarchy, as /proc/self/cgroup has it: "4:cpu,cpuacct:/a/b", or "0::/a/b" in version 2, which is
 * asked for with the controller "". */
static bool find_group(const char *root, const char *controller, char *out, size_t size)
{
    char text[8192], path[PATH_MOST];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (!cud_small_file(path, text, sizeof text)) return false;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;
        if (!group) continue;
        *names++ = 0;
        *group++ = 0;
        if (*controller ? in_list(names, controller) : *names == 0) return (size_t)snprintf(out, size, "%s", group) < size;
    }
    return false;
}

typedef struct hierarchy { char mount[PATH_MOST], top[PATH_MOST]; } hierarchy; /* where it can be seen, and which group is seen there */

/* A line of /proc/self/mountinfo: "30 23 0:26 TOP MOUNT rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct". */
static bool parse_mount(const char *line, const char *controller, hierarchy *out)
{
    char type[16], options[512];
    const char *dash = strstr(line, " - ");
    if (!dash || sscanf(dash, " - %15s %*s %511s", type, options) != 2) return false;
    if (strcmp(type, *controller ? "cgroup" : "cgroup2") != 0 || (*controller && !in_list(options, controller))) return false;
    return sscanf(line, "%*s %*s %*s %4095s %4095s", out->top, out->mount) == 2;
}

static void find_mount(const char *root, const char *controller, hierarchy *out)
{
    char line[8192];
    snprintf(out->top, sizeof out->top, "/");
    snprintf(out->mount, sizeof out->mount, "/sys/fs/cgroup%s%s", *controller ? "/" : "", controller); /* where it usually is */
    snprintf(line, sizeof line, "%s/proc/self/mountinfo", root);
    FILE *file = fopen(line, "re");
    if (!file) return;
    hierarchy found;
    for (bool begins = true; fgets(line, sizeof line, file); begins = strchr(line, '\n') != NULL) /* a longer line is none of ours */
        if (begins && parse_mount(line, controller, &found)) {
            *out = found;
            break;
        }
    fclose(file);
}

/* Calls visit for the directory of this process's group in one hierarchy and for those above it: every one of them limits. */
static void for_groups(const char *root, const char *controller, void (*visit)(const char *directory, void *arg), void *arg)
{
    char group[PATH_MOST], path[3 * PATH_MOST];
    hierarchy h;
    if (!find_group(root, controller, group, sizeof group)) return;
    find_mount(root, controller, &h);
    /* In a container without a namespace of its own, the group's path begins with what the container does not see. */
    const size_t top = strcmp(h.top, "/") == 0 ? 0 : strlen(h.top);
    const bool below = strncmp(group, h.top, top) == 0 && (group[top] == 0 || group[top] == '/');
    char *rest = below ? group + top : group + strlen(group);
    for (;;) {
        snprintf(path, sizeof path, "%s%s%s", root, h.mount, rest);
        visit(path, arg);
        char *end = strrchr(rest, '/');
        if (!end) return;
        *end = 0;
    }
}

static bool read_in(const char *directory, const char *name, char *out, size_t size)
{
    char path[3 * PATH_MOST + 64];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return cud_small_file(path, out, size);
}

/* ------------------------------------------------------------------------------------------------------------- CPUs */

static void note_quota(double *cpus, long long quota, long long period)
{
    if (quota > 0 && period > 0 && (double)quota / (double)period < *cpus) *cpus = (double)quota / (double)period;
}

static void note_quota_v2(const char *directory, void *arg)
{
    char text[128];
    long long quota, period;
    if (!read_in(directory, "cpu.max", text, sizeof text)) return; /* "max 100000" or "150000 100000" */
    if (sscanf(text, "%lld %lld", &quota, &period) == 2) note_quota(arg, quota, period);
}

static void note_quota_v1(const char *directory, void *arg)
{
    char quota[64], period[64];
    if (!read_in(directory, "cpu.cfs_quota_us", quota, sizeof quota) || !read_in(directory, "cpu.cfs_period_us", period, sizeof period)) return;
    note_quota(arg, strtoll(quota, NULL, 10), strtoll(period, NULL, 10)); /* -1: no quota */
}

double cud_cgroup_cpus(const char *root)
{
    double cpus = 1e9;
    for_groups(root, "", note_quota_v2, &cpus);
    for_groups(root, "cpu", note_quota_v1, &cpus);
    return cpus;
}

/* ----------------------------------------------------------------------------------------------------------- memory */

typedef struct bounds { uint64_t *total, *available; } bounds;

static void note_memory(const char *directory, const char *limit_name, const char *used_name, const char *cache_key, const bounds *b)
{
    char text[16384];
    uint64_t used = 0, cache = 0;
    if (!read_in(directory, limit_name, text, sizeof text) || text[0] < '0' || text[0] > '9') return; /* "max" */
    const uint64_t limit = strtoull(text, NULL, 10);
    if (limit == 0) return;
    if (read_in(directory, used_name, text, sizeof text)) used = strtoull(text, NULL, 10);
    if (read_in(directory, "memory.stat", text, sizeof text)) (void)cud_small_file_number(text, cache_key, &cache);
    used -= cache < used ? cache : used;
    const uint64_t left = used < limit ? limit - used : 0;
    if (limit < *b->total) *b->total = limit;
    if (left < *b->available) *b->available = left;
}

static void note_memory_v2(const char *directory, void *arg)
{
    note_memory(directory, "memory.max", "memory.current", "inactive_file ", arg);
}

static void note_memory_v1(const char *directory, void *arg)
{
    note_memory(directory, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ", arg);
}

void cud_cgroup_memory(const char *root, uint64_t *total, uint64_t *available)
{
    bounds b = { total, available };
    for_groups(root, "", note_memory_v2, &b);
    for_groups(root, "memory", note_memory_v1, &b);
}
