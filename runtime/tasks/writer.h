/* JSON text as Python's json.dumps() writes it: ", " and ": " between things, characters beyond ASCII as \uXXXX. Numbers are the shortest that
 * read back as the same float.
 *
 *     cud_writer w = { .err = err };
 *     cud_write_open(&w, '[');
 *     cud_write_float(&w, 0.5f);
 *     cud_write_close(&w, ']');
 *     return cud_write_end(&text, &length, &w);      (the first failure; *text is released with free()) */
#ifndef CUD_TASKS_WRITER_H
#define CUD_TASKS_WRITER_H

#include "core/status.h"

#include <stddef.h>

typedef struct cud_writer {
    cuddle_error *err;
    cuddle_status failed; /* from then on nothing is written */
    char *text;
    size_t length, room;
} cud_writer;

void cud_write_open(cud_writer *w, char bracket); /* '[' or '{' */
void cud_write_close(cud_writer *w, char bracket);
void cud_write_key(cud_writer *w, const char *name);
void cud_write_text(cud_writer *w, const char *text, size_t length); /* UTF-8; what is not fails the writer with CUDDLE_E_ARG */
void cud_write_count(cud_writer *w, size_t value);
void cud_write_float(cud_writer *w, float value);                    /* NaN and infinities, which JSON has no words for: CUDDLE_E_ARG */
void cud_write_floats(cud_writer *w, const float *value, size_t count); /* a list */
/* *text is NUL-terminated; length may be NULL. Failure: *text is NULL and nothing is left allocated. */
cuddle_status cud_write_end(char **text, size_t *length, cud_writer *w);

#endif
