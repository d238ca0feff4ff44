/* The tokenizer of a checkpoint: tokenizer.json and what tokenizer_config.json changes in it. Immutable after load, so one object
 * serves every thread. The public functions of cuddle.h are thin covers of these. */
#ifndef CUD_TEXT_TOKENIZER_H
#define CUD_TEXT_TOKENIZER_H

#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* cuddle_tokenizer, cuddle_encoding and cuddle_detokenizer are the types of cuddle.h. */

enum { CUD_TOKENIZER_MAX_FILE = 64 << 20 }; /* bytes of a tokenizer.json */
enum { CUD_TOKENIZER_MAX_REST = 8 << 20 };  /* of it without vocabulary and merges, and of a tokenizer_config.json */
enum { CUD_TOKENIZER_MAX_TEXT = 1 << 30 };  /* bytes of one text */
enum { CUD_TOKENIZER_MAX_ID = (1 << 24) - 1 };

/* Does the directory hold a tokenizer.json? */
cuddle_status cud_tokenizer_find(bool *found, const char *dir, cuddle_error *err);

/* `path` is a checkpoint directory or a tokenizer.json file; tokenizer_config.json, special_tokens_map.json and added_tokens.json
 * beside it are read when they are there.
 * No tokenizer.json is CUDDLE_E_IO. */
cuddle_status cud_tokenizer_load(cuddle_tokenizer **out, const char *path, cuddle_error *err);
typedef enum cud_tokenizer_file {
    CUD_FILE_TOKENIZER,
    CUD_FILE_CONFIG,
    CUD_FILE_SPECIAL_MAP,
    CUD_FILE_ADDED,
    CUD_FILE_COUNT
} cud_tokenizer_file;
typedef struct cud_file_text { /* NULL: no such file */
    const char *text;
    size_t size;
} cud_file_text;
/* The same from memory. */
cuddle_status cud_tokenizer_parse_files(cuddle_tokenizer **out, const cud_file_text files[CUD_FILE_COUNT], cuddle_error *err);
/* With tokenizer.json and, unless it is NULL, tokenizer_config.json. */
cuddle_status cud_tokenizer_parse(cuddle_tokenizer **out, const char *json, size_t size, const char *config, size_t config_size,
                                  cuddle_error *err);
void cud_tokenizer_free(cuddle_tokenizer *t); /* NULL is fine */

int cud_tokenizer_size(const cuddle_tokenizer *t);                      /* largest id + 1, added tokens included */
const char *cud_tokenizer_token(const cuddle_tokenizer *t, int32_t id); /* NULL for an id without a token */
int32_t cud_tokenizer_id(const cuddle_tokenizer *t, const char *token); /* -1 if there is none */
bool cud_tokenizer_is_special(const cuddle_tokenizer *t, int32_t id);   /* an added token that is marked special */

/* flags: CUDDLE_TOKENIZE_*. Release the encoding with cud_encoding_free(). */
cuddle_status cud_tokenizer_encode(cuddle_encoding **out, const cuddle_tokenizer *t, const char *text, size_t length,
                                   unsigned flags, cuddle_error *err);
/* A text of a prompt: with CUDDLE_ADD_SPECIAL_ONCE, but nothing is added before it unless it `begins` the prompt, nor behind it unless it
 * `ends` it. More than `most` tokens of the text are CUDDLE_E_LIMIT; 0: no bound. */
cuddle_status cud_tokenizer_encode_part(cuddle_encoding **out, const cuddle_tokenizer *t, const char *text, size_t length, bool begins,
                                        bool ends, size_t most, cuddle_error *err);
void cud_encoding_free(cuddle_encoding *e);

struct cud_settings; /* settings.h: checked options */
/* Neither pads: cud_encodings_pad() does. The batch runs on `threads` threads, the calling one included; out[0..count) are set in
 * order, or all NULL after a failure, which is the one of the lowest index. */
cuddle_status cud_tokenizer_encode_input(cuddle_encoding **out, const cuddle_tokenizer *t, const cuddle_tokenize_input *input,
                                         const struct cud_settings *settings, cuddle_error *err);
cuddle_status cud_tokenizer_encode_batch(cuddle_encoding **out, const cuddle_tokenizer *t, const cuddle_tokenize_input *inputs,
                                         size_t count, const struct cud_settings *settings, int threads, cuddle_error *err);
int32_t cud_tokenizer_named(const cuddle_tokenizer *t, cuddle_special which); /* -1 if there is none */
size_t cud_tokenizer_max_length(const cuddle_tokenizer *t);                   /* model_max_length, or 0 */

/* flags: CUDDLE_DETOKENIZE_*. Ids that have no token give no text, as in the reference; negative ids are CUDDLE_E_ARG.
 * *text is NUL-terminated and released with free(). */
cuddle_status cud_tokenizer_decode(char **text, size_t *length, const cuddle_tokenizer *t, const int32_t *ids, size_t count,
                                   unsigned flags, cuddle_error *err);

/* A piece of text, for lists of them; UTF-8, not NUL-terminated. */
typedef struct cud_span_text {
    const char *text;
    size_t length;
} cud_span_text;
/* Tokens, given as strings that need not be in the vocabulary, as the text that the decoder makes of them: without what tokenizer_config.json
 * cleans up afterwards. transformers calls it convert_tokens_to_string(). *text as above. */
cuddle_status cud_tokenizer_join(char **text, size_t *length, const cuddle_tokenizer *t, const cud_span_text *token, size_t count,
                                 cuddle_error *err);
/* Do tokens inside a word begin with a prefix of their own (WordPiece's "##")? */
bool cud_tokenizer_marks_inner(const cuddle_tokenizer *t);

/* Streaming: the decoder chain is a chain of streams, and cud_tokenizer_decode() is one push after another, so that the pieces
 * add up to the same text by construction. The detokenizer must not outlive the tokenizer. */
cuddle_status cud_detokenizer_new(cuddle_detokenizer **out, const cuddle_tokenizer *t, unsigned flags, cuddle_error *err);
cuddle_status cud_detokenizer_push(cuddle_detokenizer *d, int32_t id, const char **piece, size_t *length, cuddle_error *err);
cuddle_status cud_detokenizer_finish(cuddle_detokenizer *d, const char **piece, size_t *length, cuddle_error *err);
void cud_detokenizer_free(cuddle_detokenizer *d); /* NULL is fine */

#endif
