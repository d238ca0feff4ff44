/* One value a round, and how it is printed: the median, the least and the most. */
#ifndef CUD_BENCHMARKS_SERIES_H
#define CUD_BENCHMARKS_SERIES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS_MOST = 99 };

typedef struct series { double value[ROUNDS_MOST]; } series;

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void line(const char *what, const series *s, int rounds, double factor, const char *unit)
{
    double sorted[ROUNDS_MOST];
    memcpy(sorted, s->value, sizeof sorted);
    qsort(sorted, (size_t)rounds, sizeof *sorted, ascending);
    printf("| %s | %.4g %s | %.4g to %.4g |\n", what, factor * sorted[rounds / 2], unit, factor * sorted[0], factor * sorted[rounds - 1]);
}

#endif
