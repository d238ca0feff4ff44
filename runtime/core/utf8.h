/* UTF-8, in one place and strict: well-formed is what Unicode's table 3-7 says. */
#ifndef CUD_CORE_UTF8_H
#define CUD_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A step of incremental validation, so that a stream can tell "not yet whole" from "never". Everything else here that judges bytes
 * is made of it. */
typedef struct cud_utf8_state { /* all zero between characters */
    uint8_t left;      /* continuation bytes still expected; 0 between characters */
    uint8_t low, high; /* bounds of the next one */
} cud_utf8_state;
/* False if `byte` cannot follow; the state is then that between characters and the byte is not taken. */
bool cud_utf8_step(cud_utf8_state *s, unsigned char byte);

/* Bytes of the well-formed character at text, of which `rest` bytes are left; 0 if there is none. Never looks beyond the first byte that
 * does not fit, so text that ends in a NUL may have any `rest`. */
size_t cud_utf8_size(const char *text, size_t rest);
/* Offset of the first byte that is not part of a well-formed character, or `size` if all of them are. */
size_t cud_utf8_valid(const char *text, size_t size);

/* The character at text, which must be well-formed; *length is 1 to 4. */
int32_t cud_utf8_decode(const char *text, size_t *length);
/* The character that ends right before `end`; text < end, well-formed. */
int32_t cud_utf8_decode_before(const char *text, const char *end, size_t *length);
/* Writes 1 to 4 bytes and returns their number. c must be a scalar value. */
size_t cud_utf8_encode(char out[4], int32_t c);
/* Bytes of the character whose first byte this is (1 for a byte that starts none). */
static inline size_t cud_utf8_length(unsigned char first)
{
    return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 1;
}

#ifdef __cplusplus
}
#endif
#endif
