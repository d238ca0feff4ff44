/* Checkpoints without a tokenizer.json: their vocabulary files are written as one, in memory, and loaded as any other is, so that
 * there is no second path. What kind of tokenizer the files make is what transformers makes of them: the class that
 * tokenizer_config.json names, or the one that belongs to config.json's model type. */
#ifndef CUD_TEXT_CONVERT_H
#define CUD_TEXT_CONVERT_H

#include "format/json.h"
#include "text/component.h"

enum { CUD_CONVERT_MAX_FILE = 64 << 20 }; /* bytes of a vocabulary file */

typedef struct cud_recipe cud_recipe;

typedef struct cud_conversion {
    const cud_recipe *class;
    json_view config; /* tokenizer_config.json; the value is NULL where there is none */
    cud_bytes json;   /* the tokenizer.json, without a post-processor: that one needs the ids of the named tokens */
    const char *single,
        *pair; /* templates: bos, eos, sep, cls and the texts A, B, each with its type id: "c0 A0 s0"; NULL: bos and eos */
    bool add_bos, add_eos;
    bool trim_offsets, add_prefix_space; /* trim: a ByteLevel processor comes first */
    char **extra;                        /* special tokens of the vocabulary file itself */
    size_t extras;
} cud_conversion;

struct cud_recipe { /* a class of transformers */
    const char *name;
    const char *named[CUDDLE_SPECIAL_COUNT]; /* its bos_token and so on, where no file says otherwise */
    const char *files[2];                    /* what it reads; the second may be NULL */
    cuddle_status (*convert)(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
    bool left; /* its padding_side */
};

/* The class of this name or of this model type; NULL if it is not one of ours. */
const cud_recipe *cud_recipe_named(const char *name);
/* The class whose files are in the folder, or NULL; `why` (may be NULL) gets the reason. config and model are the folder's
 * tokenizer_config.json and config.json, their values NULL where there are none. */
const cud_recipe *cud_convert_class(const char *folder, const json_view *config, const json_view *model, cuddle_error *why);
/* Reads the class's files and writes c->json. The conversion is freed by the caller, after a failure too. */
cuddle_status cud_convert(cud_conversion *c, const cud_recipe *class, const char *folder, const json_view *config,
                          cuddle_error *err);
/* The same from the files' bytes. */
cuddle_status cud_convert_files(cud_conversion *c, const cud_recipe *class, const cud_bytes files[2], const json_view *config,
                                cuddle_error *err);
void cud_conversion_free(cud_conversion *c);
/* The member "post_processor", for the ids that the named tokens got (-1: no such token), as the text of a JSON object. */
cuddle_status cud_convert_processor(cud_bytes *out, const cud_conversion *c, const int32_t *named, cuddle_error *err);

/* ---- for the files that convert ---- */
cuddle_status cud_convert_byte_bpe(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_qwen2(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_clip(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_roberta(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_bert(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_llama(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_gemma(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_t5(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_xlm_roberta(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_tiktoken(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);

cuddle_status cud_json_put(cud_bytes *out, const char *literal, cuddle_error *err);
cuddle_status cud_json_put_string(cud_bytes *out, const char *s, size_t length, cuddle_error *err); /* UTF-8; with quotes */
cuddle_status cud_json_put_vocab(cud_bytes *out, const cud_vocab *vocab, cuddle_error *err);        /* {"token": id, ...} */
/* ["a", "b"]: the two parts of s, after a comma unless it is the first. */
cuddle_status cud_json_put_merge(cud_bytes *out, bool first, const char *s, size_t cut, size_t length, cuddle_error *err);
cuddle_status cud_json_put_number(cud_bytes *out, double number, cuddle_error *err); /* a finite one */
/* A field of tokenizer_config.json: the default where it is absent or null. */
cuddle_status cud_convert_flag(bool *out, const cud_conversion *c, const char *key, bool otherwise, cuddle_error *err);
/* The class's named token, or what tokenizer_config.json calls it; NULL if that is null. Borrowed. */
const char *cud_convert_named(const cud_conversion *c, cuddle_special which);
/* The next line of a text, without its end ("\n" or "\r\n"); false at the end. */
bool cud_convert_line(const cud_bytes *file, size_t *at, const char **line, size_t *length);

#endif
