#include "core/log.h"

void cud_log(const logger *log, cuddle_log_level level, const char *format, ...)
{
    if (!log || !log->fn || level > log->level) return;
    cuddle_error line = { CUDDLE_OK, "" };
    va_list args;
    va_start(args, format);
    cud_vfail(&line, CUDDLE_E_INTERNAL, format, args); /* for its cleaning; the status is not used */
    va_end(args);
    log->fn(level, line.text, log->user);
}
