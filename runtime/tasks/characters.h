/* Offsets into a text, from bytes to characters (code points), as Python counts them. */
#ifndef CUD_TASKS_CHARACTERS_H
#define CUD_TASKS_CHARACTERS_H

#include "core/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct cud_characters {
    const char *text; /* borrowed */
    size_t length;
    uint32_t *before; /* [length / 64 + 1] characters that begin in the first 64 i bytes */
} cud_characters;

/* CUDDLE_E_ARG if the text is not UTF-8, CUDDLE_E_LIMIT from 2^32 bytes on; `task` is for messages. Failure: nothing to be freed. */
cuddle_status cud_characters_init(cud_characters *out, const char *text, size_t length, const char *task, cuddle_error *err);
/* Characters that begin before this byte, at most `length`. */
size_t cud_characters_at(const cud_characters *c, size_t byte);
void cud_characters_free(cud_characters *c);
/* Characters of a text. */
size_t cud_characters_count(const char *text, size_t length);

#endif
