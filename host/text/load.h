/* Between the files that load a tokenizer. */
#ifndef CUD_TEXT_LOAD_H
#define CUD_TEXT_LOAD_H

#include "text/internal.h"
#include "text/types.h"
#include "text/workshop.h"

/* Adds a token under the id the reference would give it. id: what the file says, or -1. replace: a token of this content that is
 * there already takes these flags. The content is copied. */
cuddle_status cud_load_added_token(cuddle_tokenizer *t, cud_added_token token, int64_t id, bool replace, const char *file,
                                   cuddle_error *err);
/* Content and flags of {"content": ..., "special": ...}; the content is borrowed. */
cuddle_status cud_load_added_flags(cud_added_token *token, const json_view *json, unsigned flags, cuddle_error *err);
/* Applies tokenizer_config.json, special_tokens_map.json and added_tokens.json; the value of a view is NULL where there is no file.
 */
cuddle_status cud_load_config(cuddle_tokenizer *t, const json_view *config, const json_view *map, const json_view *added,
                              cuddle_error *err);
/* transformers' clean_up_tokenization, on the decoded text. */
cuddle_status cud_cleanup_add(cud_components *decoders, cuddle_error *err);

#endif
