/* What an engine counts. */
#ifndef CUD_ENGINE_STATS_H
#define CUD_ENGINE_STATS_H

#include "engine/scheduler.h"

void cud_stats_ended(cuddle_engine_stats *s, cuddle_finish finish, double seconds);
/* Adds what a model's scheduler has counted. */
void cud_stats_add_scheduler(cuddle_engine_stats *s, const scheduler *from);
double cud_histogram_bound(int bucket);
void cud_histogram_add(cuddle_histogram *h, double value);

#endif
