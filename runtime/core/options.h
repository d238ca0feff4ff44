/* Option structs begin with struct_size and only ever grow at the end. */
#ifndef CUD_CORE_OPTIONS_H
#define CUD_CORE_OPTIONS_H

#include "core/status.h"

#include <string.h>

/* Fills a caller's option struct of `given` bytes with defaults, of which this library knows `size` bytes. */
static inline void cud_options_init(void *out, size_t given, const void *defaults, size_t size)
{
    if (!out || given < sizeof given) return;
    memset(out, 0, given);
    memcpy(out, defaults, given < size ? given : size);
    memcpy(out, &given, sizeof given);
}

/* Copies a caller's option struct over `out`, which holds this library's defaults. A caller built against an older header has a
 * smaller struct: the rest keeps its default. A newer one is taken if what we do not know is zero. */
static inline cuddle_status cud_options_copy(void *out, size_t size, const void *options, const char *name, cuddle_error *err)
{
    size_t given;
    memcpy(&given, options, sizeof given);
    if (given < sizeof(size_t) || given > 4096)
        return cud_fail(err, CUDDLE_E_ARG, "%s: struct_size is %zu; fill the struct with its _init function first", name, given);
    for (size_t i = size; i < given; i++)
        if (((const char *)options)[i])
            return cud_fail(err, CUDDLE_E_ARG, "%s: a field that this version of the library does not know is set", name);
    memcpy(out, options, given < size ? given : size);
    memcpy(out, &size, sizeof size);
    return CUDDLE_OK;
}

/* The same outwards: fills as much of the caller's result struct as it has. */
static inline cuddle_status cud_result_copy(void *out, const void *result, size_t size, const char *name, cuddle_error *err)
{
    size_t given;
    memcpy(&given, out, sizeof given);
    if (given < sizeof(size_t) || given > 4096)
        return cud_fail(err, CUDDLE_E_ARG, "%s: struct_size is %zu; set it to the size of the struct first", name, given);
    memcpy((char *)out + sizeof given, (const char *)result + sizeof given, (given < size ? given : size) - sizeof given);
    return CUDDLE_OK;
}

#endif
