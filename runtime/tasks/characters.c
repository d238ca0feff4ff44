#include "tasks/characters.h"

#include "core/utf8.h"

#include <stdlib.h>

enum { STRIDE = 64 };

static size_t begins(char c) { return ((unsigned char)c & 0xc0) != 0x80; }

cuddle_status cud_characters_init(cud_characters *out, const char *text, size_t length, const char *task, cuddle_error *err)
{
    *out = (cud_characters){ .text = text, .length = length };
    if (length >= UINT32_MAX) return cud_fail(err, CUDDLE_E_LIMIT, "%s: a text of %zu bytes", task, length);
    const size_t valid = cud_utf8_valid(text, length);
    if (valid < length) return cud_fail(err, CUDDLE_E_ARG, "%s: the text is not UTF-8 from byte %zu on", task, valid);
    const size_t bytes = (length / STRIDE + 1) * sizeof *out->before;
    out->before = malloc(bytes);
    if (!out->before) return cud_nomem(err, bytes, "character offsets");
    uint32_t count = 0;
    for (size_t i = 0; i <= length; i++) {
        if (i % STRIDE == 0) out->before[i / STRIDE] = count;
        if (i < length) count += (uint32_t)begins(text[i]);
    }
    return CUDDLE_OK;
}

size_t cud_characters_at(const cud_characters *c, size_t byte)
{
    size_t count = c->before[byte / STRIDE];
    for (size_t i = byte - byte % STRIDE; i < byte; i++) count += begins(c->text[i]);
    return count;
}

void cud_characters_free(cud_characters *c)
{
    free(c->before);
    c->before = NULL;
}

size_t cud_characters_count(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += begins(text[i]);
    return count;
}
