/* Failure reporting: one status and one sentence, written where most is known and passed up unchanged. */
#ifndef CUD_CORE_STATUS_H
#define CUD_CORE_STATUS_H

#include "cuddle.h"

#include <stdarg.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CUD_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define CUD_PRINTF(fmt, args)
#endif

/* Writes the sentence into *err unless an earlier one is there (the first message wins) and returns `status`.
 * err may be NULL. Bytes that are not printable ASCII or well-formed UTF-8 (names come from hostile files) are written as '?';
 * a sentence too long for the buffer is cut at a character border and ends in "...". */
cuddle_status cud_fail(cuddle_error *err, cuddle_status status, const char *format, ...) CUD_PRINTF(3, 4);
cuddle_status cud_vfail(cuddle_error *err, cuddle_status status, const char *format, va_list args) CUD_PRINTF(3, 0);

/* CUDDLE_E_NOMEM: "out of memory: <bytes> bytes for <what>". */
cuddle_status cud_nomem(cuddle_error *err, size_t bytes, const char *what);

/* Public entry points call this first, so that a reused cuddle_error starts empty. */
void cud_error_clear(cuddle_error *err);

#ifdef __cplusplus
}
#endif
#endif
