/* Which cores are near the device: its NUMA node's, as far as this process may use them. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>

int cud_cuda_cores(void)
{
    cpu_set_t mine;
    CPU_ZERO(&mine);
    return sched_getaffinity(0, sizeof mine, &mine) == 0 && CPU_COUNT(&mine) > 0 ? CPU_COUNT(&mine) : 1;
}

bool cud_cuda_cores_near(cpu_set_t *out, int numa_node)
{
    char path[64], list[4096];
    cpu_set_t mine;
    CPU_ZERO(out);
    CPU_ZERO(&mine);
    if (numa_node < 0 || sched_getaffinity(0, sizeof mine, &mine) != 0) return false;
    snprintf(path, sizeof path, "/sys/devices/system/node/node%d/cpulist", numa_node);
    FILE *f = fopen(path, "re");
    if (!f) return false;
    const char *at = fgets(list, sizeof list, f);
    fclose(f);
    while (at && *at >= '0' && *at <= '9') { /* "0-3,8,10-11" */
        char *end;
        const long first = strtol(at, &end, 10);
        const long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        for (long i = first; i <= last && i < CPU_SETSIZE; i++)
            if (CPU_ISSET((size_t)i, &mine)) CPU_SET((size_t)i, out);
        at = *end == ',' ? end + 1 : NULL;
    }
    return CPU_COUNT(out) > 0;
}
