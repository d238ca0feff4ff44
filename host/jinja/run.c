#include "jinja/run.h"

#include "jinja/ast.h"

#include <stdio.h>
#include <stdlib.h>

void cud_j_place(const jtemplate *t, uint32_t at, int *line, int *column)
{
    *line = *column = 1;
    for (uint32_t i = 0; i < at && i < t->length; i++) {
        if (t->source[i] == '\n')
            ++*line, *column = 1;
        else
            *column += ((unsigned char)t->source[i] & 0xc0) != 0x80;
    }
}

static bool vfail(jrun *j, cuddle_status status, const char *format, va_list args)
{
    if (j->status) return false;
    j->status = status;
    char text[512];
    int line, column;
    vsnprintf(text, sizeof text, format, args);
    cud_j_place(j->template, j->at, &line, &column);
    cud_fail(j->err, status, "%s: line %d, column %d: %s", j->template->label, line, column, text);
    return false;
}

bool cud_j_fail(jrun *j, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfail(j, CUDDLE_E_FORMAT, format, args);
    va_end(args);
    return false;
}

bool cud_j_fail_with(jrun *j, cuddle_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfail(j, status, format, args);
    va_end(args);
    return false;
}

bool cud_j_fail_undefined(jrun *j, jvalue v)
{
    const int n = (int)(v.n < 100 ? v.n : 100);
    const jvalue owner = { .kind = v.of };
    switch ((jundefined)v.aux) {
    case J_BY_NAME: return cud_j_fail(j, "'%.*s' is undefined", n, v.s);
    case J_BY_ATTRIBUTE: return cud_j_fail(j, "a %s has no attribute or key '%.*s'", cud_j_kind_name(owner), n, v.s);
    case J_BY_INDEX: return cud_j_fail(j, "a %s has no element %lld", cud_j_kind_name(owner), (long long)(int64_t)v.n);
    case J_BY_UNSAFE:
        return cud_j_fail(j, "the attribute '%.*s' of a %s is out of reach for templates", n, v.s, cud_j_kind_name(owner));
    case J_BY_PARAMETER: return cud_j_fail(j, "the parameter '%.*s' was not given", n, v.s);
    case J_BY_EMPTY: return cud_j_fail(j, "an empty sequence has no such element");
    case J_BY_ELSE: return cud_j_fail(j, "an inline if whose condition is false has no else");
    case J_BY_KEY: return cud_j_fail(j, "a %s has no such key", cud_j_kind_name(owner));
    }
    return cud_j_fail(j, "a value is undefined");
}

bool cud_j_step(jrun *j, uint64_t count)
{
    if (count < j->steps) {
        j->steps -= count;
        return true;
    }
    return cud_j_fail_with(j, CUDDLE_E_LIMIT, "the template takes more than %llu steps", (unsigned long long)j->limits.steps);
}

bool cud_j_enter(jrun *j)
{
    if (++j->depth <= j->limits.depth) return true;
    j->depth--;
    return cud_j_fail_with(j, CUDDLE_E_LIMIT, "the template is nested deeper than %d", j->limits.depth);
}

static void *no_memory(jrun *j, size_t size)
{
    if (!j->memory.denied)
        cud_j_fail_with(j, CUDDLE_E_LIMIT, "the template needs more than %zu bytes of memory", j->memory.most);
    else if (!j->status)
        j->status = cud_nomem(j->err, size, "a chat template");
    return NULL;
}

void *cud_j_alloc(jrun *j, size_t size)
{
    void *p = cud_arena_alloc(&j->memory, size);
    return p ? p : no_memory(j, size);
}

char *cud_j_room(jrun *j, size_t size)
{
    char *p = cud_arena_extend(&j->memory, "", 0, size);
    if (!p) return no_memory(j, size);
    return cud_j_bytes(j, size) ? p : NULL;
}

bool cud_j_append(jrun *j, jvalue *text, const char *s, size_t n)
{
    if (n == 0) return true;
    if (!cud_j_bytes(j, n)) return false;
    const size_t copied = text->n && text->s + text->n == j->memory.tail ? 0 : text->n;
    if (!cud_j_bytes(j, copied)) return false;
    char *grown = cud_arena_extend(&j->memory, text->s, text->n, n);
    if (!grown) return no_memory(j, n) != NULL;
    memcpy(grown + text->n, s, n);
    text->s = grown;
    text->n += n;
    return true;
}

bool cud_j_write(jrun *j, const char *s, size_t n)
{
    if (!cud_j_bytes(j, n)) return false;
    if (n > j->limits.output - j->length)
        return cud_j_fail_with(j, CUDDLE_E_LIMIT, "the text is longer than %zu bytes", j->limits.output);
    if (j->room - j->length <= n) { /* a byte more, for the NUL */
        const size_t room = j->room + j->room / 2 + n + 1024;
        char *grown = realloc(j->output, room);
        if (!grown) {
            if (!j->status) j->status = cud_nomem(j->err, room, "a chat template's text");
            return false;
        }
        j->output = grown;
        j->room = room;
    }
    if (n) memcpy(j->output + j->length, s, n);
    j->length += n;
    return true;
}
