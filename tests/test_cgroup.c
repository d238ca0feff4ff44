/* Control groups: a /proc and a /sys/fs/cgroup of the test's own, as kernels and container engines lay them out. */
#include "cpu/cgroup.h"
#include "cpu/cpu.h"
#include "support.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MIB ((uint64_t)1 << 20)
enum { HOST_MIB = 1000, FREE_MIB = 900 }; /* of the machine around the groups */

#define V2_MOUNT "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNTS \
    "31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n" \
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:12 - cgroup cgroup rw,cpu,cpuacct\n" \
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
#define V1_GROUPS(path) "12:memory:" path "\n4:cpuset:/\n3:cpu,cpuacct:" path "\n1:name=systemd:" path "\n"
#define V2 "sys/fs/cgroup"
#define V1_CPU "sys/fs/cgroup/cpu,cpuacct"
#define V1_MEMORY "sys/fs/cgroup/memory"
#define UNLIMITED_V1 "9223372036854771712\n" /* what the kernel shows */

static const struct layout {
    const char *name, *groups, *mounts;
    struct { const char *path, *text; } files[12];
    double cpus; /* 0: no quota */
    uint64_t total, available; /* MiB */
} layouts[] = {
    { "no groups", NULL, NULL, { { 0 } }, 0, HOST_MIB, FREE_MIB },
    { "v2, nothing limited", "0::/user.slice\n", V2_MOUNT,
      { { V2 "/user.slice/cpu.max", "max 100000\n" }, { V2 "/user.slice/memory.max", "max\n" }, { V2 "/user.slice/memory.current", "1048576\n" } },
      0, HOST_MIB, FREE_MIB },
    { "v2, in a namespace", "0::/\n", V2_MOUNT,
      { { V2 "/cpu.max", "150000 100000\n" }, { V2 "/memory.max", "536870912\n" }, { V2 "/memory.current", "209715200\n" },
        { V2 "/memory.stat", "anon 1000\nfile 5000\ninactive_anon 7\ninactive_file 104857600\nslab 1\n" } },
      1.5, 512, 412 }, /* 512 - (200 - 100) */
    { "v2, a quota that a parent halves", "0::/a/b/c\n", V2_MOUNT,
      { { V2 "/a/b/c/cpu.max", "400000 100000\n" }, { V2 "/a/b/cpu.max", "200000 100000\n" }, { V2 "/a/cpu.max", "max 100000\n" } },
      2, HOST_MIB, FREE_MIB },
    { "v2, the lower limit is a grandparent's, the fuller group a parent", "0::/a/b/c\n", V2_MOUNT,
      { { V2 "/a/b/c/memory.max", "838860800\n" }, { V2 "/a/b/c/memory.current", "1048576\n" },
        { V2 "/a/b/memory.max", "629145600\n" }, { V2 "/a/b/memory.current", "524288000\n" },
        { V2 "/a/memory.max", "524288000\n" }, { V2 "/a/memory.current", "314572800\n" } },
      0, 500, 100 }, /* b: 600 - 500; a: 500 - 300 */
    { "v2, more is used than the limit allows", "0::/a\n", V2_MOUNT,
      { { V2 "/a/memory.max", "104857600\n" }, { V2 "/a/memory.current", "209715200\n" } }, 0, 100, 0 },
    { "v2, the group's path is the host's and not visible", "0::/kubepods/pod1/abc\n", V2_MOUNT,
      { { V2 "/cpu.max", "50000 100000\n" }, { V2 "/memory.max", "268435456\n" } }, 0.5, 256, 256 },
    { "v2, mounted elsewhere", "0::/a\n", "30 23 0:26 / /cg rw - cgroup2 none rw\n",
      { { "cg/a/cpu.max", "300000 100000\n" }, { V2 "/a/cpu.max", "100000 100000\n" } }, 3, HOST_MIB, FREE_MIB },
    { "v2, /proc without mountinfo", "0::/a\n", NULL, { { V2 "/a/cpu.max", "300000 100000\n" } }, 3, HOST_MIB, FREE_MIB },
    { "v1", V1_GROUPS("/a"), V1_MOUNTS,
      { { V1_CPU "/a/cpu.cfs_quota_us", "250000\n" }, { V1_CPU "/a/cpu.cfs_period_us", "100000\n" }, { V1_CPU "/cpu.cfs_quota_us", "-1\n" },
        { V1_CPU "/cpu.cfs_period_us", "100000\n" }, { V1_MEMORY "/a/memory.limit_in_bytes", "314572800\n" },
        { V1_MEMORY "/a/memory.usage_in_bytes", "209715200\n" },
        { V1_MEMORY "/a/memory.stat", "cache 3\ninactive_file 1\ntotal_inactive_file 52428800\n" },
        { V1_MEMORY "/memory.limit_in_bytes", UNLIMITED_V1 } },
      2.5, 300, 150 }, /* 300 - (200 - 50) */
    { "v1, the parent limits", V1_GROUPS("/a/b"), V1_MOUNTS,
      { { V1_CPU "/a/b/cpu.cfs_quota_us", "-1\n" }, { V1_CPU "/a/b/cpu.cfs_period_us", "100000\n" }, { V1_CPU "/a/cpu.cfs_quota_us", "50000\n" },
        { V1_CPU "/a/cpu.cfs_period_us", "50000\n" }, { V1_MEMORY "/a/b/memory.limit_in_bytes", UNLIMITED_V1 },
        { V1_MEMORY "/a/b/memory.usage_in_bytes", "1048576\n" }, { V1_MEMORY "/a/memory.limit_in_bytes", "419430400\n" },
        { V1_MEMORY "/a/memory.usage_in_bytes", "104857600\n" } },
      1, 400, 300 },
    { "v1, a container that sees its own group as the top, and a group inside", V1_GROUPS("/docker/f00/in"),
      "32 31 0:29 /docker/f00 /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
      "35 31 0:32 /docker/f00 /sys/fs/cgroup/memory ro master:9 - cgroup cgroup rw,memory\n",
      { { V1_CPU "/in/cpu.cfs_quota_us", "100000\n" }, { V1_CPU "/in/cpu.cfs_period_us", "100000\n" }, { V1_CPU "/cpu.cfs_quota_us", "200000\n" },
        { V1_CPU "/cpu.cfs_period_us", "100000\n" }, { V1_MEMORY "/in/memory.limit_in_bytes", "209715200\n" },
        { V1_MEMORY "/in/memory.usage_in_bytes", "0\n" }, { V1_MEMORY "/memory.limit_in_bytes", "314572800\n" } },
      1, 200, 200 },
    { "v1, a group beside the one that is mounted", V1_GROUPS("/docker/f00x"),
      "32 31 0:29 /docker/f00 /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n",
      { { V1_CPU "/cpu.cfs_quota_us", "200000\n" }, { V1_CPU "/cpu.cfs_period_us", "100000\n" }, { V1_CPU "/x/cpu.cfs_quota_us", "100000\n" },
        { V1_CPU "/x/cpu.cfs_period_us", "100000\n" } },
      2, HOST_MIB, FREE_MIB },
    { "hybrid: v2 without controllers, v1 with them", V1_GROUPS("/a") "0::/a\n", V1_MOUNTS "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
      { { V1_CPU "/a/cpu.cfs_quota_us", "100000\n" }, { V1_CPU "/a/cpu.cfs_period_us", "100000\n" }, { V2 "/unified/a/cgroup.procs", "1\n" } },
      1, HOST_MIB, FREE_MIB },
    { "v2, what makes no sense", "nonsense\n0:\n:::\n0::/a\n", "30\n - cgroup2\n" V2_MOUNT,
      { { V2 "/a/cpu.max", "0 100000\n" }, { V2 "/cpu.max", "100000 0\n" }, { V2 "/a/memory.max", "-5\n" }, { V2 "/memory.max", "0\n" } },
      0, HOST_MIB, FREE_MIB },
};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

static void put(const char *root, const char *path, const char *text)
{
    char full[512];
    ck_assert_int_lt(snprintf(full, sizeof full, "%s/%s", root, path), (int)sizeof full);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = 0;
        (void)mkdir(full, 0700);
        *slash = '/';
    }
    test_write_file(full, text, strlen(text));
}

static const char *fresh_root(void)
{
    static char root[256];
    static int count;
    ck_assert_int_lt(snprintf(root, sizeof root, "%s/%d", test_temp_dir(), count++), (int)sizeof root);
    ck_assert_int_eq(mkdir(root, 0700), 0);
    return root;
}

START_TEST(the_tightest_group_counts)
{
    const struct layout *l = &layouts[_i];
    const char *root = fresh_root();
    if (l->groups) put(root, "proc/self/cgroup", l->groups);
    if (l->mounts) put(root, "proc/self/mountinfo", l->mounts);
    for (int i = 0; i < 12 && l->files[i].path; i++) put(root, l->files[i].path, l->files[i].text);
    uint64_t total = HOST_MIB * MIB, available = FREE_MIB * MIB;
    const double cpus = cud_cgroup_cpus(root);
    cud_cgroup_memory(root, &total, &available);
    if (l->cpus > 0) ck_assert_msg(cpus > l->cpus - 1e-9 && cpus < l->cpus + 1e-9, "%s: %g CPUs, expected %g", l->name, cpus, l->cpus);
    else ck_assert_msg(cpus > 1e6, "%s: %g CPUs, expected no quota", l->name, cpus);
    ck_assert_msg(total == l->total * MIB, "%s: %llu bytes, expected %llu MiB", l->name, (unsigned long long)total, (unsigned long long)l->total);
    ck_assert_msg(available == l->available * MIB, "%s: %llu bytes free, expected %llu MiB", l->name, (unsigned long long)available,
                  (unsigned long long)l->available);
}
END_TEST

START_TEST(a_very_long_group_is_left_alone)
{
    char groups[6000] = "0::";
    const char *root = fresh_root();
    for (size_t n = strlen(groups); n + 3 < sizeof groups; n += 2) memcpy(groups + n, "/a", 3);
    put(root, "proc/self/cgroup", groups);
    put(root, V2 "/cpu.max", "100000 100000\n");
    ck_assert(cud_cgroup_cpus(root) > 1e6);
}
END_TEST

START_TEST(affinity_counts)
{
    cpu_set_t before, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof before, &before), 0);
    size_t first = 0;
    while (!CPU_ISSET(first, &before)) first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    const int threads = cud_cpu_threads_available();
    ck_assert_int_eq(sched_setaffinity(0, sizeof before, &before), 0);
    ck_assert_int_eq(threads, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cgroup");
    TCase *tc = tcase_create("cgroup");
    suite_add_tcase(s, tc);
    tcase_add_loop_test(tc, the_tightest_group_counts, 0, LAYOUTS);
    tcase_add_test(tc, a_very_long_group_is_left_alone);
    tcase_add_test(tc, affinity_counts);
    return test_run(s);
}
