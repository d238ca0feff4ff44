/* What the control groups that this process is in allow it: the tightest bound of its own group and all groups above, versions 1 and 2.
 * `root` stands before every path, so that tests can have a /proc and a /sys of their own; it is "" otherwise. */
#ifndef CUD_CPU_CGROUP_H
#define CUD_CPU_CGROUP_H

#include <stdint.h>

/* CPUs' worth of time, e.g. 1.5; a large number where there is no quota. */
double cud_cgroup_cpus(const char *root);
/* Lowers *total to the limit and *available to what is left of it; pages of files that can be dropped count as left. */
void cud_cgroup_memory(const char *root, uint64_t *total, uint64_t *available);

#endif
