/* The chat template part of cuddle.h: checks of arguments, the rest is host/jinja. */
#include "jinja/chat.h"
#include "core/options.h"

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

cuddle_status cuddle_chat_template_render(char **text, size_t *length, const cuddle_chat_template *t,
                                          const cuddle_message *messages, size_t count, const cuddle_chat_options *options,
                                          cuddle_error *err)
{
    cuddle_chat_options own;
    size_t unused;
    cud_error_clear(err);
    if (!length) length = &unused;
    *length = 0;
    if (!text) return missing(err, "cuddle_chat_template_render", "text");
    *text = NULL;
    if (!t) return missing(err, "cuddle_chat_template_render", "t");
    if (!messages && count) return missing(err, "cuddle_chat_template_render", "messages");
    cuddle_chat_options_init(&own, sizeof own);
    if (options) {
        const cuddle_status status = cud_options_copy(&own, sizeof own, options, "cuddle_chat_options", err);
        if (status) return status;
    }
    return cud_chat_render(text, length, t, messages, count, &own, err);
}
