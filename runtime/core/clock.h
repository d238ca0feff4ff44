/* A monotonic clock, and conditions that wait by it. */
#ifndef CUD_CORE_CLOCK_H
#define CUD_CORE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

double cud_now(void); /* seconds */
void cud_condition_init(pthread_cond_t *c);
/* Waits until `at` (seconds of cud_now(); 0: for ever); false when the time has passed. */
bool cud_condition_wait(pthread_cond_t *c, pthread_mutex_t *lock, double at);

#ifdef __cplusplus
}
#endif
#endif
