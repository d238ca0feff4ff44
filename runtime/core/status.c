#include "core/status.h"

#include "core/utf8.h"

#include <stdio.h>
#include <string.h>

/* Length of the well-formed, printable character at s, which ends in a NUL, or 0. */
static size_t printable(const char *s)
{
    if (s[0] >= 0x20 && s[0] < 0x7f) return 1;
    size_t length = cud_utf8_size(s, 4);
    if (length < 2) return 0;
    const int32_t c = cud_utf8_decode(s, &length);
    const int control = c < 0xa0 || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    return control ? 0 : length;
}

cuddle_status cud_vfail(cuddle_error *err, cuddle_status status, const char *format, va_list args)
{
    if (!err || err->status != CUDDLE_OK) return status;
    char raw[1024];
    vsnprintf(raw, sizeof raw, format, args);
    size_t used = 0;
    const size_t room = sizeof err->text - 1;
    const char *s = raw;
    while (*s) {
        const size_t length = printable(s);
        const size_t take = length ? length : 1;
        if (used + take > room) {
            while (used > room - 3) /* back to a character border that leaves room for the dots */
                do used--;
                while (((unsigned char)err->text[used] & 0xc0) == 0x80);
            memcpy(err->text + used, "...", 3);
            used += 3;
            break;
        }
        if (length) memcpy(err->text + used, s, length);
        else err->text[used] = '?';
        used += take;
        s += take;
    }
    err->text[used] = 0;
    err->status = status;
    return status;
}

cuddle_status cud_fail(cuddle_error *err, cuddle_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cud_vfail(err, status, format, args);
    va_end(args);
    return status;
}

cuddle_status cud_nomem(cuddle_error *err, size_t bytes, const char *what)
{
    return cud_fail(err, CUDDLE_E_NOMEM, "out of memory: %zu bytes for %s", bytes, what);
}

void cud_error_clear(cuddle_error *err)
{
    if (!err) return;
    err->status = CUDDLE_OK;
    err->text[0] = 0;
}

const char *cuddle_status_name(cuddle_status status)
{
    switch (status) {
    case CUDDLE_OK: return "CUDDLE_OK";
    case CUDDLE_E_ARG: return "CUDDLE_E_ARG";
    case CUDDLE_E_NOMEM: return "CUDDLE_E_NOMEM";
    case CUDDLE_E_IO: return "CUDDLE_E_IO";
    case CUDDLE_E_FORMAT: return "CUDDLE_E_FORMAT";
    case CUDDLE_E_UNSUPPORTED: return "CUDDLE_E_UNSUPPORTED";
    case CUDDLE_E_LIMIT: return "CUDDLE_E_LIMIT";
    case CUDDLE_E_CANCELLED: return "CUDDLE_E_CANCELLED";
    case CUDDLE_E_DEVICE: return "CUDDLE_E_DEVICE";
    case CUDDLE_E_BUSY: return "CUDDLE_E_BUSY";
    case CUDDLE_E_INTERNAL: return "CUDDLE_E_INTERNAL";
    }
    return "CUDDLE_E_?";
}
