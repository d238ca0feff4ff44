/* Checkpoints without a tokenizer.json: their vocabulary files are written as one, in memory, and loaded as any other is, so that
 * there is no second path. What kind of tokenizer the files make is what transformers makes of them: the class that
 * tokenizer_config.json names, or the one that belongs to config.json's model type. */
#ifndef CUD_TEXT_CONVERT_H
#define CUD_TEXT_CONVERT_H

#include "format/json.h"
#include "text/component.h"

enum { CUD_CONVERT_MAX_FILE = 64 << 20 }; /* bytes of a vocabulary file */

enum { CUD_CONVERT_MAX_OTHERS = 4 };

typedef struct cud_recipe cud_recipe;

typedef struct cud_convert_extra { /* a special token, or an ordinary added one, of the vocabulary file itself */
    char *text;
    bool special;
} cud_convert_extra;

typedef struct cud_conversion {
    const cud_recipe *class;
    const cud_recipe *steps;   /* whose steps are written: the class's own, but for tiktoken's files */
    json_view config;          /* tokenizer_config.json; the value is NULL where there is none */
    cud_bytes json;            /* the tokenizer.json, without a post-processor: that one needs the ids of the named tokens */
    const char *single, *pair; /* the templates in use: at first those of the class */
    bool add_bos, add_eos;
    const char *charsmap; /* of a SentencePiece model; borrowed while it is converted */
    size_t charsmap_length;
    unsigned model;                    /* what else such a model says: CUD_MODEL_... */
    const char *users;                 /* a step that splits off its user-defined pieces; borrowed likewise */
    char *named[CUDDLE_SPECIAL_COUNT]; /* named tokens that it has where no file says otherwise and the class does not either */
    struct {                           /* what else a template adds: '1' is the first */
        const char *text;              /* borrowed; NULL: the id is a constant of the class */
        int32_t id;
    } other[CUD_CONVERT_MAX_OTHERS];
    size_t others;
    cud_convert_extra *extra;
    size_t extras;
} cud_conversion;

enum { CUD_MODEL_DUMMY = 1, CUD_MODEL_SQUEEZE = 2, CUD_MODEL_ESCAPE = 4, CUD_MODEL_BYTES = 8, CUD_MODEL_USERS = 16 };

typedef struct cud_convert_step { /* of a normalizer, a pre-tokenizer, a decoder or a post-processor */
    const char *json;             /* NULL ends a list */
    /* Where it is a step: flags of tokenizer_config.json, each with what it is where that does not say, "do_lower_case+
     * !keep_accents-", all of which must be so ('!': must not). A word without + or - is about the SentencePiece model: charsmap,
     * dummy (prefix), squeeze (spaces), escape (spaces), bytes (fallback), users (pieces). NULL: always. */
    const char *when;
} cud_convert_step;
extern const char cud_convert_users[];    /* as json: cud_conversion's users */
extern const char cud_convert_charsmap[]; /* as json: the normalizer of the SentencePiece model */

typedef struct cud_convert_piece { /* a token that a class puts before or behind the pieces of a SentencePiece model */
    const char *text;              /* NULL: the named token */
    cuddle_special named;
    float score;
} cud_convert_piece;

enum {                            /* what is particular about a class */
       CUD_CLASS_LEFT = 1,        /* its padding_side is left */
       CUD_CLASS_MASK_STRIPS = 2, /* its mask token takes the white space before it */
       CUD_CLASS_MASK_NORMALIZED = 4,
       CUD_CLASS_ADDS_BOS = 8,        /* add_bos_token is true where that is not said */
       CUD_CLASS_OWN_ENDS = 16,       /* add_bos_token and add_eos_token, if there, replace its template */
       CUD_CLASS_UNKNOWN = 32,        /* its BPE model has an unk_token */
       CUD_CLASS_SUFFIX = 64,         /* its BPE model has the end_of_word_suffix "</w>" */
       CUD_CLASS_BYTES = 128,         /* its BPE model has byte_fallback */
       CUD_CLASS_UNKNOWN_SCORE = 256, /* unk_id is looked up: the unk_token with a score of 0, else `unk` */
       CUD_CLASS_UNKNOWN_NAME = 512,  /* the same with any score */
};

struct cud_recipe { /* a class of transformers */
    const char *name;
    const char *named[CUDDLE_SPECIAL_COUNT]; /* its bos_token and so on, where no file says otherwise */
    const char *files[2];                    /* what it reads; the second may be NULL */
    const char *otherwise;                   /* the row to take where the first of them is not there, or NULL */
    cuddle_status (*convert)(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
    unsigned flags;
    /* What the post-processor adds: bos, eos, sep, cls, the texts A, B and c->other, each with its type id: "c0 A0 s0". NULL: bos
     * and eos, as add_bos_token and add_eos_token say. */
    const char *single, *pair;
    const cud_convert_step *normalizer, *pre_tokenizer, *decoder,
        *processor;                          /* lists, or NULL; the processor comes before the template */
    const cud_convert_piece *before, *after; /* lists that end with a score of -INFINITY, or NULL */
    int skip;                                /* how many of the model's pieces these replace */
    int unk;                                 /* unk_id; -1: the model's */
    const char *const *languages;            /* special tokens between the pieces and `after`; a list that ends with NULL */
    const char *const *own; /* names of special tokens of its own and what they are, in turn; a list that ends with NULL */
};

/* The class of this name; NULL if it is not one of ours. */
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
/* The member "post_processor", for the ids that the named tokens and c->other got (-1: no such token), as the text of a JSON
 * object. */
cuddle_status cud_convert_processor(cud_bytes *out, const cud_conversion *c, const int32_t *named, const int32_t *others,
                                    cuddle_error *err);

/* ---- for the files that convert ---- */
cuddle_status cud_convert_byte_bpe(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_whisper(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_herbert(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_bert(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_funnel(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_splinter(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_spm_bpe(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_nllb(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_unigram(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_mbart(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_spm(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_pegasus(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_t5(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_tiktoken(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_kimi(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
cuddle_status cud_convert_qwen(cud_conversion *c, const cud_bytes files[2], cuddle_error *err);
bool cud_convert_is_tiktoken(const cud_bytes *file); /* by its first line */

/* The class's normalizer, pre-tokenizer and decoder as members of the JSON object begun: with a comma before each. */
cuddle_status cud_convert_put_steps(cud_conversion *c, cuddle_error *err);
/* The steps that apply, with commas between them; *any is whether there is one. */
cuddle_status cud_convert_put_list(cud_bytes *out, bool *any, const cud_conversion *c, const cud_convert_step *list,
                                   cuddle_error *err);
cuddle_status cud_convert_add_extra(cud_conversion *c, const char *text, size_t length, bool special, cuddle_error *err);
cuddle_status cud_json_put(cud_bytes *out, const char *literal, cuddle_error *err);
cuddle_status cud_json_put_string(cud_bytes *out, const char *s, size_t length, cuddle_error *err); /* UTF-8; with quotes */
cuddle_status cud_json_put_vocab(cud_bytes *out, const cud_vocab *vocab, cuddle_error *err);        /* {"token": id, ...} */
/* ["a", "b"]: the two parts of s, after a comma unless it is the first. */
cuddle_status cud_json_put_merge(cud_bytes *out, bool first, const char *s, size_t cut, size_t length, cuddle_error *err);
cuddle_status cud_json_put_number(cud_bytes *out, double number, cuddle_error *err); /* a finite one */
/* A field of tokenizer_config.json: the default where it is absent or null. */
cuddle_status cud_convert_flag(bool *out, const cud_conversion *c, const char *key, bool otherwise, cuddle_error *err);
/* The class's named token, or what tokenizer_config.json calls it; NULL if that is null. Borrowed. */
const char *cud_convert_default(const cud_conversion *c, cuddle_special which); /* where tokenizer_config.json says nothing */
const char *cud_convert_named(const cud_conversion *c, cuddle_special which);
/* The next line of a text, without its end ("\n" or "\r\n"); false at the end. */
bool cud_convert_line(const cud_bytes *file, size_t *at, const char **line, size_t *length);

#endif
