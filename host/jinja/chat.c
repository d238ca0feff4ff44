/* What transformers' apply_chat_template() does around a template. */
#include "jinja/chat.h"

#include "jinja/interp.h"
#include "jinja/json.h"
#include "jinja/operators.h"

#include <stdlib.h>
#include <time.h>

enum { DEPTH_MOST = 1500 }; /* nested calls in C: about 1 KiB of stack each */
#define STEPS_USUAL 50000000u
#define MEMORY_USUAL ((size_t)256 << 20)
#define OUTPUT_USUAL ((size_t)64 << 20)

static const char tag[] = "CONTINUE_FINAL_MESSAGE_TAG ";

/* A failure of the caller's arguments: no place in the template. */
static bool wrong(jrun *j, const char *format, ...) CUD_PRINTF(2, 3);
static bool wrong(jrun *j, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!j->status) j->status = cud_vfail(j->err, CUDDLE_E_ARG, format, args);
    va_end(args);
    return false;
}

/* ---------------------------------------------------------------------------------------------------------- messages */

static bool put_text(jrun *j, jdict *dict, const char *key, const char *text)
{
    return !text || cud_j_put_text(j, dict, key, j_text(text));
}

static bool put_calls(jrun *j, jdict *dict, const cuddle_message *m)
{
    if (!m->tool_call_count) return true;
    jlist *list = cud_j_list(j, m->tool_call_count);
    for (size_t i = 0; list && i < m->tool_call_count; i++) {
        const cuddle_tool_call *call = &m->tool_calls[i];
        jdict *outer = cud_j_dict(j), *function = cud_j_dict(j);
        jvalue arguments;
        if (!outer || !function) return false;
        if (!call->name) return wrong(j, "a tool call has no name");
        const char *json = call->arguments ? call->arguments : "{}";
        if (!cud_j_json(j, &arguments, json, strlen(json), "arguments of a tool call")) return false;
        if (!put_text(j, outer, "id", call->id) || !put_text(j, outer, "type", "function") ||
            !put_text(j, function, "name", call->name) || !cud_j_put_text(j, function, "arguments", arguments) ||
            !cud_j_put_text(j, outer, "function", j_dict(function)))
            return false;
        list->item[list->count++] = j_dict(outer);
    }
    return list && cud_j_put_text(j, dict, "tool_calls", j_list(list));
}

static bool message_value(jrun *j, jvalue *out, const cuddle_message *m)
{
    jdict *dict = cud_j_dict(j);
    jvalue parts;
    if (!dict) return false;
    if (m->tool_call_count && !m->tool_calls)
        return wrong(j, "a message has %zu tool calls, but tool_calls is NULL", m->tool_call_count);
    if (!put_text(j, dict, "role", m->role) || !put_text(j, dict, "content", m->content)) return false;
    if (m->content_json) {
        if (m->content) return wrong(j, "a message has both content and content_json");
        if (!cud_j_json(j, &parts, m->content_json, strlen(m->content_json), "content_json") ||
            !cud_j_put_text(j, dict, "content", parts))
            return false;
    }
    *out = j_dict(dict);
    return put_text(j, dict, "reasoning_content", m->reasoning) && put_calls(j, dict, m) &&
           put_text(j, dict, "tool_call_id", m->tool_call_id) && put_text(j, dict, "name", m->name);
}

/* Members that are null are dropped; reasoning is there under the name templates read, and under gpt-oss's. */
static bool normalize(jrun *j, jvalue *message, size_t index)
{
    static const char *const fields[] = { "reasoning_content", "thinking", "reasoning" };
    if (message->kind != J_DICT)
        return wrong(j, "messages: element %zu is a %s, expected an object", index, cud_j_kind_name(*message));
    jdict *from = message->dict, *dict = cud_j_dict(j);
    jvalue reasoning, other;
    bool has = false;
    for (size_t i = 0; i < 3 && !has; i++) has = cud_j_get_text(j, from, fields[i], &reasoning) && reasoning.kind != J_NONE;
    if (!dict) return false;
    if (has && !(cud_j_get_text(j, from, "thinking", &other) && other.kind != J_NONE) &&
        !cud_j_put_text(j, dict, "thinking", reasoning))
        return false;
    for (size_t i = 0; i < from->count; i++)
        if (from->entry[i].value.kind != J_NONE && !cud_j_put(j, dict, from->entry[i].key, from->entry[i].value)) return false;
    if (has && !cud_j_put_text(j, dict, "reasoning_content", reasoning)) return false;
    *message = j_dict(dict);
    return !j->status;
}

static jlist *message_list(jrun *j, const cuddle_message *messages, size_t count, const char *json)
{
    jvalue list;
    if (json) {
        if (count) return wrong(j, "messages are given twice: as structs and as JSON"), NULL;
        if (!cud_j_json(j, &list, json, strlen(json), "messages")) return NULL;
        if (list.kind != J_LIST) return wrong(j, "messages: is a %s, expected a list", cud_j_kind_name(list)), NULL;
    } else {
        list = j_list(cud_j_list(j, count));
        if (!list.list) return NULL;
        for (size_t i = 0; i < count; i++)
            if (!message_value(j, &list.list->item[list.list->count++], &messages[i])) return NULL;
    }
    if (!list.list->count) return wrong(j, "messages: there is none, at least one is needed"), NULL;
    for (size_t i = 0; i < list.list->count; i++)
        if (!normalize(j, &list.list->item[i], i)) return NULL;
    return list.list;
}

/* ------------------------------------------------------------------------------------------- continue_final_message */

/* Puts a mark behind the last message's text; *final is that text. */
static bool mark_end(jrun *j, jlist *messages, jvalue *final)
{
    jvalue message = messages->item[messages->count - 1], content;
    if (!cud_j_get_text(j, message.dict, "content", &content))
        return !j->status && wrong(j, "continue_final_message: the last message has no content");
    if (cud_j_find(j->template->source, j->template->length, "content", 7) == (size_t)-1)
        return wrong(j, "continue_final_message: the template does not use the content of messages");
    if (content.kind == J_STRING) {
        jvalue marked = content;
        *final = content;
        return cud_j_append_text(j, &marked, tag) && cud_j_put_text(j, message.dict, "content", marked);
    }
    for (size_t i = content.kind == J_LIST ? content.list->count : 0; i-- > 0;) {
        const jvalue part = content.list->item[i];
        if (part.kind != J_DICT || !cud_j_get_text(j, part.dict, "text", final) || final->kind != J_STRING) continue;
        jvalue marked = *final;
        return cud_j_append_text(j, &marked, tag) && cud_j_put_text(j, part.dict, "text", marked);
    }
    return !j->status && wrong(j, "continue_final_message: the last message has no text");
}

/* Cuts the text where the mark stands. */
static bool cut(jrun *j, jvalue final, char *text, size_t *length)
{
    const size_t bare = sizeof tag - 2; /* a template that trims takes the blank */
    const jvalue stripped = cud_j_strip(final, NULL, true, true);
    size_t at = (size_t)-1;
    for (size_t from = 0, found; (found = cud_j_find(text + from, *length - from, tag, bare)) != (size_t)-1; from = at + 1)
        at = from + found;
    if (at == (size_t)-1 || cud_j_find(text, *length, stripped.s, stripped.n) == (size_t)-1) {
        return wrong(j, "continue_final_message: the last message does not appear as it is in what the template writes");
    }
    *length = at;
    if (text[at + bare] != ' ') *length = cud_j_strip(j_string(text, at), NULL, false, true).n;
    text[*length] = 0;
    return true;
}

/* ------------------------------------------------------------------------------------------------------------ render */

static bool put_json(jrun *j, jdict *variables, const char *name, const char *json)
{
    jvalue value = j_none();
    if (json && !cud_j_json(j, &value, json, strlen(json), name)) return false;
    if (json && value.kind != J_LIST) return wrong(j, "%s: is a %s, expected a list", name, cud_j_kind_name(value));
    for (size_t i = 0; json && i < value.list->count; i++)
        if (value.list->item[i].kind != J_DICT)
            return wrong(j, "%s: element %zu is a %s, expected an object", name, i, cud_j_kind_name(value.list->item[i]));
    return cud_j_put_text(j, variables, name, value);
}

static bool put_variables(jrun *j, jdict *variables, const char *json)
{
    static const char *const reserved[] = { "messages", "tools", "documents", "add_generation_prompt" };
    jvalue value;
    if (!json) return true;
    if (!cud_j_json(j, &value, json, strlen(json), "variables")) return false;
    if (value.kind != J_DICT) return wrong(j, "variables: is a %s, expected an object", cud_j_kind_name(value));
    for (size_t i = 0; i < value.dict->count; i++) {
        const jvalue key = value.dict->entry[i].key;
        for (size_t k = 0; k < sizeof reserved / sizeof *reserved; k++)
            if (j_is_text(key, reserved[k])) return wrong(j, "variables: '%s' has an option of its own", reserved[k]);
        if (!cud_j_put(j, variables, key, value.dict->entry[i].value)) return false;
    }
    return true;
}

/* Spans in characters become bytes of the whole text, which need not be the block's own where it stood in a macro. */
static bool put_ranges(jrun *j, cuddle_rendered_chat *out)
{
    if (!j->spans) return true;
    out->assistant = malloc(j->spans * sizeof *out->assistant);
    if (!out->assistant) {
        if (!j->status) j->status = cud_nomem(j->err, j->spans * sizeof *out->assistant, "ranges of a chat");
        return false;
    }
    for (size_t i = 0; i < j->spans; i++) {
        const size_t begin = j->span[i].begin;
        const size_t n = cud_j_offset(out->text + begin, out->length - begin, j->span[i].characters);
        if (!cud_j_bytes(j, n)) return false;
        out->assistant[out->assistant_count++] = (cuddle_text_range){ begin, begin + n };
    }
    return true;
}

static bool render(jrun *j, cuddle_rendered_chat *out, const cuddle_chat_template *t, const cuddle_message *messages, size_t count,
                   const cuddle_chat_options *o)
{
    jdict *variables = cud_j_dict(j);
    jvalue final = j_string("", 0);
    if (!variables) return false;
    for (int i = 0; i < t->tokens; i++)
        if (!cud_j_put_text(j, variables, t->token[i].name, j_text(t->token[i].content))) return false;
    if (!put_variables(j, variables, o->variables_json)) return false;
    jlist *list = message_list(j, messages, count, o->messages_json);
    if (!list || (o->continue_final_message && !mark_end(j, list, &final))) return false;
    if (!cud_j_put_text(j, variables, "messages", j_list(list)) || !put_json(j, variables, "tools", o->tools_json) ||
        !put_json(j, variables, "documents", o->documents_json) ||
        !cud_j_put_text(j, variables, "add_generation_prompt", j_bool(o->add_generation_prompt != 0)))
        return false;
    if (!cud_j_render(j, variables, &out->text, &out->length)) return false;
    return o->continue_final_message ? cut(j, final, out->text, &out->length) : put_ranges(j, out);
}

static const jtemplate *find(const cuddle_chat_template *t, const char *name)
{
    for (int i = 0; i < t->count; i++)
        if (strcmp(t->entry[i].name, name) == 0) return t->entry[i].template;
    return NULL;
}

static cuddle_status choose(const jtemplate **out, const cuddle_chat_template *t, const cuddle_chat_options *o, cuddle_error *err)
{
    *out = NULL;
    if (!o->template_name && o->tools_json) *out = find(t, "tool_use");
    if (!*out) *out = find(t, o->template_name ? o->template_name : "default");
    if (*out) return CUDDLE_OK;
    char names[160] = "";
    size_t used = 0;
    for (int i = 0; i < t->count && used + strlen(t->entry[i].name) + 3 < sizeof names; i++) {
        memcpy(names + used, i ? ", " : "", i ? 2 : 0);
        used += i ? 2 : 0;
        memcpy(names + used, t->entry[i].name, strlen(t->entry[i].name) + 1);
        used += strlen(t->entry[i].name);
    }
    return cud_fail(err, CUDDLE_E_ARG, "there is no chat template '%.60s'; there are: %s",
                    o->template_name ? o->template_name : "default", names);
}

cuddle_status cud_chat_render(cuddle_rendered_chat *out, bool ranges, const cuddle_chat_template *t, const cuddle_message *messages,
                              size_t count, const cuddle_chat_options *o, cuddle_error *err)
{
    const jtemplate *template;
    const jlimits limits = {
        .steps = o->max_steps ? o->max_steps : STEPS_USUAL,
        .depth = DEPTH_MOST,
        .memory = o->max_memory ? o->max_memory : MEMORY_USUAL,
        .output = o->max_output ? o->max_output : OUTPUT_USUAL,
    };
    if (o->continue_final_message && o->add_generation_prompt)
        return cud_fail(err, CUDDLE_E_ARG,
                        "continue_final_message and add_generation_prompt are both set: the text ends either within the last "
                        "message or behind it");
    if (o->continue_final_message && ranges)
        return cud_fail(err, CUDDLE_E_ARG,
                        "continue_final_message is set and the ranges of what the assistant said are asked for: the last of them "
                        "would have no end");
    cuddle_status status = choose(&template, t, o, err);
    if (status) return status;
    const int64_t now = o->now ? o->now : (int64_t)time(NULL);
    if (now < -62135596800 || now > 253402300799 || o->utc_offset < -86400 || o->utc_offset > 86400)
        return cud_fail(err, CUDDLE_E_ARG, "now and utc_offset are not within the years 1 to 9999");
    jrun run;
    cud_j_begin(&run, template, &limits, now + o->utc_offset, err);
    run.tracks = ranges;
    if (!render(&run, out, t, messages, count, o)) {
        free(out->text);
        free(out->assistant);
        *out = (cuddle_rendered_chat){ 0 };
    }
    cud_j_end(&run);
    return run.status;
}
