/* The parts of a tokenizer.json. Each has a "type", and a type is one struct: its name, how its fields are read and what it does.
 * To add one, write a file with such a struct and add it to its table in component.c. Nothing else names a type.
 *
 * "Sequence" is no type: its members are put into one flat list, so that running a tokenizer needs no recursion. */
#ifndef CUD_TEXT_COMPONENT_H
#define CUD_TEXT_COMPONENT_H

#include "format/json.h"
#include "text/aligned.h"
#include "text/document.h"
#include "text/runs.h"
#include "text/unicode.h"
#include "text/vocab.h"

enum { CUD_MAX_COMPONENTS = 64, CUD_MAX_NESTING = 8 }; /* of one kind; Sequences in Sequences */

/* One component's JSON while it is read. */
typedef struct cud_part {
    json_view json;
    const char *type;
    char label[64];         /* `normalizer "Replace"`, for messages */
    cud_vocab *vocab;       /* models fill it; for the others it is complete */
    cud_document *document; /* for models: their large values */
} cud_part;

typedef struct cud_component_type {
    const char *name;
    /* Reads the fields into a config of its own, which free releases. NULL: there are no fields (apart from "type"). */
    cuddle_status (*parse)(void **config, const cud_part *in, cuddle_error *err);
    void (*free)(void *config); /* NULL: plain free() */
} cud_component_type;

/* ---- normalizers and pre-tokenizers: steps on pieces ---- */
typedef struct cud_step_type {
    cud_component_type base;
    cuddle_status (*apply)(cud_pieces *p, const void *config, cuddle_error *err);
} cud_step_type;

/* ---- models: one word to ids ---- */
typedef struct cud_model_type {
    cud_component_type base; /* parse also fills in->vocab */
    cuddle_status (*encode)(cud_tokens *out, const void *config, const cud_vocab *vocab, const char *word, size_t length,
                            cuddle_error *err);
    void (*scratch_free)(void *scratch); /* NULL is fine */
    /* Length of a first part of the word that becomes the same tokens by itself as it does with the rest; `length` if there is none. NULL: words
     * are never cut. */
    size_t (*cut)(const void *config, const char *word, size_t length);
    bool (*marks)(const void *config); /* do tokens inside a word begin with a prefix ("##")? NULL: they do not */
} cud_model_type;

/* A byte-level pre-tokenizer that comes last, before a model that knows all of its alphabet, need not write it: the model takes the bytes
 * as they are. True if it was arranged so. */
bool cud_bpe_take_bytes(void *config, const cud_vocab *vocab); /* of a model "BPE" */
void cud_byte_level_leave_bytes(void *config); /* of a pre-tokenizer "ByteLevel" */

/* ---- post-processors ---- */
typedef struct cud_processor_type {
    cud_component_type base;
    cuddle_status (*apply)(cud_processing *p, const void *config, cuddle_error *err);
    size_t (*added)(const void *config, bool pair); /* how many tokens it adds; NULL: none */
} cud_processor_type;

/* ---- decoders: streams of tokens ----
 * A token arrives in one or more parts; the first has CUD_TOKEN_BEGIN, the last CUD_TOKEN_END. A decoder passes on what is certain
 * and holds what may still change, so that decoding at once and decoding as a stream are one and the same. */
enum { CUD_TOKEN_BEGIN = 1, CUD_TOKEN_END = 2, CUD_TOKEN_WHOLE = 3 };

typedef struct cud_bytes {
    char *data;
    size_t used, room;
} cud_bytes;
cuddle_status cud_bytes_reserve(cud_bytes *b, size_t more, cuddle_error *err); /* afterwards data is not NULL */
cuddle_status cud_bytes_add(cud_bytes *b, const char *s, size_t size, cuddle_error *err);

typedef struct cud_stream {
    const struct cud_decoder_type *type;
    const void *config;
    struct cud_stream *next; /* NULL: the end of the chain, which writes to out */
    cud_bytes *out;
    cud_bytes held;
    size_t tokens;  /* begun so far */
    size_t matched; /* bytes of a pattern, or of a character, that may be complete soon */
    size_t count;   /* what else the decoder counts */
    int phase;      /* where in a token or run it is */
    cud_utf8_state utf8;
    char tail[8]; /* the bytes of an unfinished character or short token */
    struct cud_regex_scratch *regex;
} cud_stream;
cuddle_status cud_stream_emit(cud_stream *s, const char *text, size_t size, unsigned edges, cuddle_error *err);

/* One token by itself, on its way to the bytes that it adds to a text wherever it stands. */
typedef struct cud_alone {
    cud_bytes bytes;
    bool is_bytes;     /* they need not be UTF-8: no decoder that follows changes them */
    bool first_spaces; /* set: a text that begins with this token may lose spaces of it */
} cud_alone;

typedef struct cud_decoder_type {
    cud_component_type base;
    cuddle_status (*feed)(cud_stream *s, const char *text, size_t size, unsigned edges, cuddle_error *err);
    cuddle_status (*finish)(cud_stream *s, cuddle_error *err); /* no more tokens come; NULL: nothing is held */
    /* What feed does to a token that is not the first. *possible becomes false if that depends on other tokens; NULL: it always does. */
    cuddle_status (*alone)(cud_alone *token, const void *config, bool *possible, cuddle_error *err);
} cud_decoder_type;

/* ---- lists of components ---- */
typedef struct cud_component {
    const cud_component_type *type; /* the first member of a cud_..._type */
    void *config;
} cud_component;

typedef struct cud_components {
    cud_component item[CUD_MAX_COMPONENTS];
    int count;
} cud_components;

typedef struct cud_kind {
    const char *name; /* "normalizer", also the key in tokenizer.json */
    const char *list; /* key of a Sequence's members; NULL: this kind has no Sequence */
    const cud_component_type *const *types;
    size_t count;
} cud_kind;
extern const cud_kind cud_normalizers, cud_pre_tokenizers, cud_models, cud_processors, cud_decoders;

/* Reads member `kind->name` of the root, absent or null being no component. Appends to *out, which the caller frees either way. */
cuddle_status cud_components_parse(cud_components *out, const cud_kind *kind, cud_document *document, cud_vocab *vocab,
                                   cuddle_error *err);
cuddle_status cud_components_add(cud_components *out, const cud_component_type *type, void *config,
                                 cuddle_error *err); /* takes config */
void cud_components_free(cud_components *c);

int32_t cud_byte_to_char(unsigned byte); /* the alphabet of ByteLevel */

/* ---- for parse functions ---- */
/* Refuses every field but "type" and the ones named; the list ends with NULL. */
cuddle_status cud_part_fields(const cud_part *in, const char *const *names, cuddle_error *err);
cuddle_status cud_part_bool(bool *out, const cud_part *in, const char *key, unsigned flags, cuddle_error *err);
/* A string that is one character. */
cuddle_status cud_part_char(int32_t *out, const cud_part *in, const char *key, unsigned flags, cuddle_error *err);
/* A string's bytes, borrowed from the JSON. */
cuddle_status cud_part_string(const char **out, size_t *length, const cud_part *in, const char *key, unsigned flags,
                              cuddle_error *err);
/* A model's "vocab" that is {"token": id, ...}, into in->vocab. */
cuddle_status cud_part_vocab(const cud_part *in, cuddle_error *err);

#endif
