/* Log lines go to the engine's callback, and nowhere without one. */
#ifndef CUD_CORE_LOG_H
#define CUD_CORE_LOG_H

#include "core/status.h"

typedef struct logger {
    cuddle_log_fn fn; /* NULL: silent */
    void *user;
    cuddle_log_level level;
} logger;

/* One line of at most 251 bytes, cleaned as cud_fail() cleans its sentences. `log` may be NULL. */
void cud_log(const logger *log, cuddle_log_level level, const char *format, ...) CUD_PRINTF(3, 4);

#endif
