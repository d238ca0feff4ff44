/* The chat template part of cuddle.h: checks of arguments, the rest is host/jinja. */
#include "jinja/chat.h"
#include "core/options.h"

#include <stdlib.h>

static cuddle_status missing(cuddle_error *err, const char *function, const char *what)
{
    return cud_fail(err, CUDDLE_E_ARG, "%s: %s is NULL", function, what);
}

cuddle_status cuddle_chat_template_load(cuddle_chat_template **out, const char *path, cuddle_error *err)
{
    cud_error_clear(err);
    if (!out) return missing(err, "cuddle_chat_template_load", "out");
    *out = NULL;
    if (!path) return missing(err, "cuddle_chat_template_load", "path");
    return cud_chat_load(out, path, err);
}

cuddle_status cuddle_chat_template_parse(cuddle_chat_template **out, const char *text, size_t length, cuddle_error *err)
{
    cud_error_clear(err);
    if (!out) return missing(err, "cuddle_chat_template_parse", "out");
    *out = NULL;
    if (!text && length) return missing(err, "cuddle_chat_template_parse", "text");
    return cud_chat_parse(out, text ? text : "", length, err);
}

void cuddle_chat_template_free(cuddle_chat_template *t) { cud_chat_free(t); }

const char *cuddle_chat_template_name(const cuddle_chat_template *t, int index)
{
    return t && index >= 0 && index < t->count ? t->entry[index].name : NULL;
}

void cuddle_chat_options_init(cuddle_chat_options *options, size_t size)
{
    const cuddle_chat_options defaults = { .add_generation_prompt = 1 };
    cud_options_init(options, size, &defaults, sizeof defaults);
}

static cuddle_status render(cuddle_rendered_chat *out, bool ranges, const char *function, const cuddle_chat_template *t,
                            const cuddle_message *messages, size_t count, const cuddle_chat_options *options, cuddle_error *err)
{
    cuddle_chat_options own;
    if (!t) return missing(err, function, "t");
    if (!messages && count) return missing(err, function, "messages");
    cuddle_chat_options_init(&own, sizeof own);
    if (options) {
        const cuddle_status status = cud_options_copy(&own, sizeof own, options, "cuddle_chat_options", err);
        if (status) return status;
    }
    return cud_chat_render(out, ranges, t, messages, count, &own, err);
}

cuddle_status cuddle_chat_template_render(char **text, size_t *length, const cuddle_chat_template *t,
                                          const cuddle_message *messages, size_t count, const cuddle_chat_options *options,
                                          cuddle_error *err)
{
    cuddle_rendered_chat chat = { 0 };
    cud_error_clear(err);
    if (length) *length = 0;
    if (!text) return missing(err, "cuddle_chat_template_render", "text");
    const cuddle_status status = render(&chat, false, "cuddle_chat_template_render", t, messages, count, options, err);
    *text = chat.text;
    if (length) *length = chat.length;
    return status;
}

cuddle_status cuddle_chat_template_render_ranges(cuddle_rendered_chat **out, const cuddle_chat_template *t,
                                                 const cuddle_message *messages, size_t count, const cuddle_chat_options *options,
                                                 cuddle_error *err)
{
    cud_error_clear(err);
    if (!out) return missing(err, "cuddle_chat_template_render_ranges", "out");
    *out = NULL;
    cuddle_rendered_chat *chat = calloc(1, sizeof *chat);
    if (!chat) return cud_nomem(err, sizeof *chat, "a rendered chat");
    const cuddle_status status = render(chat, true, "cuddle_chat_template_render_ranges", t, messages, count, options, err);
    if (status) {
        cuddle_rendered_chat_free(chat);
        return status;
    }
    *out = chat;
    return CUDDLE_OK;
}

void cuddle_rendered_chat_free(cuddle_rendered_chat *chat)
{
    if (!chat) return;
    free(chat->text);
    free(chat->assistant);
    free(chat);
}

/* One pass: neither the ranges nor the tokens ever begin before the last one. */
void cuddle_rendered_chat_mask(uint8_t *mask, const cuddle_rendered_chat *chat, const cuddle_encoding *e)
{
    size_t at = 0;
    for (size_t i = 0; i < e->count; i++) {
        while (at < chat->assistant_count && e->begin[i] >= chat->assistant[at].end) at++;
        mask[i] = at < chat->assistant_count && e->end[i] > chat->assistant[at].begin;
    }
}
