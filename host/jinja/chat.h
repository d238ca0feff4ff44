/* Chat templates: the templates of a checkpoint, and what transformers does around them. */
#ifndef CUD_JINJA_CHAT_H
#define CUD_JINJA_CHAT_H

#include "jinja/ast.h"

typedef struct chat_entry {
    char *name;
    jtemplate *template;
} chat_entry;

typedef struct chat_token {
    char *name, *content;
} chat_token; /* bos_token, "<s>" */

struct cuddle_chat_template {
    chat_entry *entry;
    int count;
    chat_token *token;
    int tokens;
};

cuddle_status cud_chat_load(cuddle_chat_template **out, const char *path, cuddle_error *err);
cuddle_status cud_chat_parse(cuddle_chat_template **out, const char *text, size_t length, cuddle_error *err);
void cud_chat_free(cuddle_chat_template *t);
/* Fills *out, without its ranges unless they are asked for. Options are complete: see cud_options_copy(). */
cuddle_status cud_chat_render(cuddle_rendered_chat *out, bool ranges, const cuddle_chat_template *t, const cuddle_message *messages,
                              size_t count, const cuddle_chat_options *options, cuddle_error *err);

/* Runs a template with these variables; *text is malloc'ed and terminated. What `run` holds stays valid until cud_j_end(). */
void cud_j_begin(jrun *run, const jtemplate *t, const jlimits *limits, int64_t now, cuddle_error *err);
bool cud_j_render(jrun *run, const jdict *variables, char **text, size_t *length);
void cud_j_end(jrun *run);

#endif
