/* cuddle: runs Hugging Face checkpoints on NVIDIA GPUs and on the CPU, from plain C.
 *
 * Order of this file: conventions, status and errors, the library, safetensors, tokenizer, chat templates, grammars,
 * engine, model, requests, encoding.
 *
 * Conventions
 *   - Types are opaque. A result handed out through the first parameter `out` belongs to the caller, who releases it with the
 *     function named beside it; on failure *out is NULL and nothing is left allocated. A result returned plainly is borrowed from
 *     the object it was asked of and lives as long as that object, unless its comment says otherwise.
 *   - Every function that can fail returns a cuddle_status and takes a `cuddle_error *err` last, which may be NULL. On failure it
 *     holds one sentence that names the file, the field, what was found and what was expected; on success its status is CUDDLE_OK.
 *   - Option structs begin with struct_size and are filled by their _init function, which is told the size of the caller's struct; set
 *     fields after it. Fields are only ever appended, so a program built against an older header keeps working. Passing NULL for
 *     options means the defaults.
 *   - Functions may be called from any thread at any time unless their comment says otherwise. An object must not be used after
 *     it was freed. NULL may be passed to every _free function.
 *   - The library never prints, exits, aborts or reads the environment, and keeps no global state.
 *   - Strings are UTF-8. Paths are the platform's bytes. Lengths are in bytes unless a comment says otherwise. */
#ifndef CUDDLE_H
#define CUDDLE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(CUDDLE_STATIC)
#define CUDDLE_API
#elif defined(__GNUC__)
#define CUDDLE_API __attribute__((visibility("default")))
#else
#define CUDDLE_API
#endif

#define CUDDLE_VERSION_MAJOR 0
#define CUDDLE_VERSION_MINOR 1
#define CUDDLE_VERSION_PATCH 0

/* ------------------------------------------------------------------------------------------------ status and errors */

typedef enum cuddle_status {
    CUDDLE_OK = 0,
    CUDDLE_E_ARG = -1,         /* a call was wrong: a NULL where none may be, a value out of its range */
    CUDDLE_E_NOMEM = -2,       /* host or device memory did not suffice; the sentence says how much was wanted */
    CUDDLE_E_IO = -3,          /* a file could not be opened or read */
    CUDDLE_E_FORMAT = -4,      /* a file is malformed */
    CUDDLE_E_UNSUPPORTED = -5, /* well-formed, but asks for something this library does not do; the sentence names it */
    CUDDLE_E_LIMIT = -6,       /* a bound of this library or of the caller's options was exceeded */
    CUDDLE_E_CANCELLED = -7,   /* the caller cancelled it */
    CUDDLE_E_DEVICE = -8,      /* the device failed or is not there */
    CUDDLE_E_BUSY = -9,        /* not now: the queue is full, or the timeout passed before it was done */
    CUDDLE_E_INTERNAL = -10    /* a defect of this library: please report it */
} cuddle_status;

typedef struct cuddle_error { /* caller-owned, usually on the stack */
    cuddle_status status;
    char text[252]; /* one sentence, NUL-terminated, never needs freeing */
} cuddle_error;

/* "CUDDLE_E_FORMAT" and so on; "CUDDLE_E_?" for a value outside the enum. Static storage. */
CUDDLE_API const char *cuddle_status_name(cuddle_status status);

/* ------------------------------------------------------------------------------------------------------- the library */

CUDDLE_API const char *cuddle_version(void); /* "0.1.0", of the library that is linked; static storage */
CUDDLE_API int cuddle_abi(void);             /* grows when a program must be rebuilt; CUDDLE_ABI is what this header was */
#define CUDDLE_ABI 1

/* What was built in and what this machine offers, as "name=value" items separated by spaces ("onednn=on hub=off cuda=on
 * isa=avx512-bf16"), for reports; cuda=on: the CUDA module lies beside the library. Static storage. */
CUDDLE_API const char *cuddle_features(void);

typedef enum cuddle_device_kind { CUDDLE_DEVICE_CPU = 0, CUDDLE_DEVICE_CUDA = 1 } cuddle_device_kind;

typedef struct cuddle_device_info {
    size_t struct_size; /* set by the caller: sizeof(cuddle_device_info) */
    cuddle_device_kind kind;
    int index;             /* ordinal within its kind */
    int threads;           /* CPU: threads this process may use (affinity and cgroup quota respected); else 0 */
    uint64_t memory_total; /* bytes; CPU: respects the cgroup limit */
    uint64_t memory_free;
    char name[128];
    char isa[64]; /* CPU: "avx512-bf16", "avx512", "avx2", "portable"; CUDA: "sm_90" */
} cuddle_device_info;

/* Number of devices. The CPU is always device 0; CUDA devices follow if the CUDA module and a driver are there. */
CUDDLE_API int cuddle_device_count(void);
CUDDLE_API cuddle_status cuddle_device_get(int device, cuddle_device_info *out, cuddle_error *err);

/* Read bandwidth of host memory as this process sees it: `threads` threads (0: all it may use) read one block of `bytes` bytes
 * `passes` times, every second time with prefetches; *gb_per_s is the best pass in 1e9 bytes per second. Allocates `bytes`, at least 65536; at
 * most 1024 threads. */
CUDDLE_API cuddle_status cuddle_probe_bandwidth(double *gb_per_s, size_t bytes, int passes, int threads, cuddle_error *err);

typedef enum cuddle_log_level { CUDDLE_LOG_ERROR = 0, CUDDLE_LOG_WARN = 1, CUDDLE_LOG_INFO = 2, CUDDLE_LOG_DEBUG = 3 } cuddle_log_level;
/* One line without a newline. May be called from any of the library's threads; must not call back into the library. */
typedef void (*cuddle_log_fn)(cuddle_log_level level, const char *line, void *user);

/* ------------------------------------------------------------------------------------------------------- safetensors */

typedef enum cuddle_dtype {
    CUDDLE_BOOL, CUDDLE_U8, CUDDLE_I8, CUDDLE_F8_E5M2, CUDDLE_F8_E4M3, CUDDLE_F8_E8M0, CUDDLE_F8_E4M3FNUZ, CUDDLE_F8_E5M2FNUZ,
    CUDDLE_I16, CUDDLE_U16, CUDDLE_F16, CUDDLE_BF16,
    CUDDLE_I32, CUDDLE_U32, CUDDLE_F32,
    CUDDLE_I64, CUDDLE_U64, CUDDLE_F64, CUDDLE_C64,
    CUDDLE_F6_E2M3, CUDDLE_F6_E3M2, CUDDLE_F4,
    CUDDLE_DTYPE_COUNT
} cuddle_dtype;

CUDDLE_API const char *cuddle_dtype_name(cuddle_dtype type); /* as in the file: "BF16"; "?" outside the enum */
CUDDLE_API int cuddle_dtype_bits(cuddle_dtype type);         /* of one element; 0 outside the enum */

#define CUDDLE_MAX_RANK 8

typedef struct cuddle_tensor_info {
    const char *name; /* borrowed, NUL-terminated; may hold any UTF-8 but no U+0000 */
    cuddle_dtype type;
    int rank; /* 0 to CUDDLE_MAX_RANK; 0 is a scalar */
    int64_t shape[CUDDLE_MAX_RANK];
    uint64_t bytes;
    int shard;       /* index of the file that holds it, see cuddle_safetensors_shard() */
    uint64_t offset; /* of its first byte in that file */
} cuddle_tensor_info;

typedef struct cuddle_safetensors cuddle_safetensors; /* an open checkpoint: one file, or all shards of an index */

/* Opens a .safetensors file, a *.safetensors.index.json, or a directory that holds model.safetensors or
 * model.safetensors.index.json, and validates every header; tensor data is not touched. An index has to agree with its shards: each
 * tensor where it says, none in two shards; what shards hold beyond it is there too. Release with cuddle_safetensors_free(). */
CUDDLE_API cuddle_status cuddle_safetensors_open(cuddle_safetensors **out, const char *path, cuddle_error *err);
CUDDLE_API void cuddle_safetensors_free(cuddle_safetensors *st);
CUDDLE_API int64_t cuddle_safetensors_count(const cuddle_safetensors *st);
/* Tensor `index` in file order (shards in name order, then by offset). */
CUDDLE_API cuddle_status cuddle_safetensors_get(const cuddle_safetensors *st, int64_t index, cuddle_tensor_info *out, cuddle_error *err);
/* Index of the tensor of this name, or -1. */
CUDDLE_API int64_t cuddle_safetensors_find(const cuddle_safetensors *st, const char *name);
/* Reads `bytes` bytes of tensor `index`, from byte `offset` of its data on, into out. */
CUDDLE_API cuddle_status cuddle_safetensors_read(cuddle_safetensors *st, int64_t index, void *out, uint64_t offset, size_t bytes,
                                                 cuddle_error *err);
/* Reads rows [first, first + count) of tensor `index`, a row being a slice of its first dimension, into out[0..bytes). `bytes` must be
 * exactly theirs: count * (info.bytes / info.shape[0]). A scalar has no rows (CUDDLE_E_ARG); rows that are not whole bytes, as those of
 * [2, 3] in F4, are CUDDLE_E_UNSUPPORTED. */
CUDDLE_API cuddle_status cuddle_safetensors_read_rows(cuddle_safetensors *st, int64_t index, void *out, size_t bytes, int64_t first,
                                                      int64_t count, cuddle_error *err);
CUDDLE_API int cuddle_safetensors_shards(const cuddle_safetensors *st);
CUDDLE_API const char *cuddle_safetensors_shard(const cuddle_safetensors *st, int shard); /* path; NULL if out of range */
/* __metadata__ entries of all shards, in file order. */
CUDDLE_API int cuddle_safetensors_metadata_count(const cuddle_safetensors *st);
CUDDLE_API cuddle_status cuddle_safetensors_metadata(const cuddle_safetensors *st, int index, const char **key, const char **value,
                                                     cuddle_error *err);

/* Writes one safetensors file: first declare everything it will hold, then hand over the data, tensor by tensor in any order, then finish.
 * The bytes are those the reference implementation writes for the same tensors, whatever the order of the calls; several metadata pairs
 * stay in the order they were added in. The file appears under its name in _finish, whole and on the disk; until then it is a temporary
 * file beside it, which _free removes. A file of that name is replaced. One thread at a time. */
typedef struct cuddle_safetensors_writer cuddle_safetensors_writer;
/* Release with cuddle_safetensors_writer_free(), also after _finish. */
CUDDLE_API cuddle_status cuddle_safetensors_writer_new(cuddle_safetensors_writer **out, const char *path, cuddle_error *err);
CUDDLE_API cuddle_status cuddle_safetensors_writer_metadata(cuddle_safetensors_writer *writer, const char *key, const char *value,
                                                            cuddle_error *err);
/* shape[0..rank), may be NULL for a scalar. Names and shapes are copied. */
CUDDLE_API cuddle_status cuddle_safetensors_writer_declare(cuddle_safetensors_writer *writer, const char *name, cuddle_dtype type,
                                                           const int64_t *shape, int rank, cuddle_error *err);
/* The next `bytes` bytes of the tensor; as many calls as it takes. The first call ends the declarations. After CUDDLE_E_IO (a full disk)
 * the same call may be made again. */
CUDDLE_API cuddle_status cuddle_safetensors_writer_write(cuddle_safetensors_writer *writer, const char *name, const void *data, size_t bytes,
                                                         cuddle_error *err);
/* CUDDLE_E_ARG, and nothing happens, while a tensor's data is incomplete. */
CUDDLE_API cuddle_status cuddle_safetensors_writer_finish(cuddle_safetensors_writer *writer, cuddle_error *err);
CUDDLE_API void cuddle_safetensors_writer_free(cuddle_safetensors_writer *writer);

/* --------------------------------------------------------------------------------------------------------- tokenizer */

typedef struct cuddle_tokenizer cuddle_tokenizer; /* immutable: share it between threads */

/* Loads the tokenizer of a checkpoint directory, or a tokenizer.json file and what lies beside it: tokenizer_config.json and, for older
 * checkpoints, special_tokens_map.json and added_tokens.json. A directory without a tokenizer.json is read as the class that its
 * tokenizer_config.json or config.json names reads it: vocab.json and merges.txt, vocab.txt, a SentencePiece model or a tiktoken file.
 * Release with cuddle_tokenizer_free(). */
CUDDLE_API cuddle_status cuddle_tokenizer_load(cuddle_tokenizer **out, const char *path, cuddle_error *err);
CUDDLE_API void cuddle_tokenizer_free(cuddle_tokenizer *tokenizer);
CUDDLE_API int cuddle_tokenizer_size(const cuddle_tokenizer *tokenizer); /* largest id + 1, added tokens included */
/* The token's string as the vocabulary spells it, or NULL for an id without a token. */
CUDDLE_API const char *cuddle_tokenizer_token(const cuddle_tokenizer *tokenizer, int32_t id);
CUDDLE_API int32_t cuddle_tokenizer_id(const cuddle_tokenizer *tokenizer, const char *token); /* -1 if there is none */

/* The tokens that the checkpoint's files name: tokenizer_config.json, or special_tokens_map.json beside an older one. */
typedef enum cuddle_special {
    CUDDLE_SPECIAL_BOS, CUDDLE_SPECIAL_EOS, CUDDLE_SPECIAL_UNK, CUDDLE_SPECIAL_SEP, CUDDLE_SPECIAL_PAD, CUDDLE_SPECIAL_CLS,
    CUDDLE_SPECIAL_MASK,
    CUDDLE_SPECIAL_COUNT
} cuddle_special;
CUDDLE_API int32_t cuddle_tokenizer_special(const cuddle_tokenizer *tokenizer, cuddle_special which); /* id; -1 if none is named */
/* model_max_length: how many tokens the checkpoint's authors meant an input to have; 0 if they do not say. */
CUDDLE_API size_t cuddle_tokenizer_max_length(const cuddle_tokenizer *tokenizer);

typedef struct cuddle_encoding { /* `count` entries each; owned, release with cuddle_encoding_free() */
    size_t count;
    int32_t *ids;
    size_t *begin, *end;   /* offsets into the text that was given, in bytes unless it was asked otherwise; both 0 for tokens a
                            * template added and for padding */
    uint8_t *special;      /* 1 for tokens the post-processor added and for padding */
    uint8_t *attention;    /* 0 for padding, else 1 */
    int32_t *type_ids;     /* "token_type_ids" */
    int32_t *word_ids;     /* index of the word within its text, as the pre-tokenizer cut it; -1 for tokens of no text */
    int8_t *sequence_ids;  /* 0 or 1: of the first or the second text; -1 for tokens of no text */
    struct cuddle_encoding **overflow; /* what truncation cut off, in windows of the same length; they have no overflow */
    size_t overflow_count;
    size_t truncated; /* tokens that truncation cut off the texts */
} cuddle_encoding;

enum { CUDDLE_TOKENIZE_NO_SPECIAL = 1 }; /* flags: do not add the post-processor's special tokens */

/* Encodes text[0..length). Text that is not UTF-8 is CUDDLE_E_ARG. */
CUDDLE_API cuddle_status cuddle_tokenize(cuddle_encoding **out, const cuddle_tokenizer *tokenizer, const char *text, size_t length,
                                         unsigned flags, cuddle_error *err);
CUDDLE_API void cuddle_encoding_free(cuddle_encoding *encoding);

typedef struct cuddle_tokenize_input { /* a text, or a pair of texts that become one encoding */
    const char *text;
    size_t length;
    const char *pair; /* NULL: there is no second text */
    size_t pair_length;
} cuddle_tokenize_input;

typedef enum cuddle_add_special {
    CUDDLE_ADD_SPECIAL_OFF = 0,
    CUDDLE_ADD_SPECIAL_ON = 1,  /* as the post-processor says, whatever the text holds */
    CUDDLE_ADD_SPECIAL_ONCE = 2 /* only those that the text does not bring itself, as a rendered chat template may: nothing before a text
                                 * that begins with the first of them, nothing behind one that ends with the last, and of several (of
                                 * [gMASK] <sop> before a text that begins with <sop>) only what is missing */
} cuddle_add_special;

typedef enum cuddle_truncation { /* what is cut when there are more than max_length tokens */
    CUDDLE_TRUNCATE_OFF = 0,
    CUDDLE_TRUNCATE_LONGEST_FIRST = 1, /* the longer text of a pair until both are as long, then both */
    CUDDLE_TRUNCATE_ONLY_FIRST = 2,    /* CUDDLE_E_ARG if nothing of the text would be left */
    CUDDLE_TRUNCATE_ONLY_SECOND = 3,
    CUDDLE_TRUNCATE_AS_FILE = 4 /* as tokenizer.json's "truncation" says, which is ignored otherwise */
} cuddle_truncation;

typedef enum cuddle_padding {
    CUDDLE_PAD_OFF = 0,
    CUDDLE_PAD_LONGEST = 1, /* to the longest of the batch */
    CUDDLE_PAD_FIXED = 2,   /* to pad_length; what is longer stays */
    CUDDLE_PAD_AS_FILE = 3  /* as tokenizer.json's "padding" says, which is ignored otherwise */
} cuddle_padding;

typedef enum cuddle_side { CUDDLE_SIDE_AUTO = 0, CUDDLE_SIDE_RIGHT = 1, CUDDLE_SIDE_LEFT = 2 } cuddle_side; /* AUTO: as the checkpoint says */
typedef enum cuddle_offsets { CUDDLE_OFFSETS_BYTES = 0, CUDDLE_OFFSETS_CHARACTERS = 1 } cuddle_offsets;     /* characters: code points */

typedef struct cuddle_tokenize_options {
    size_t struct_size;
    cuddle_add_special add_special; /* default ON */
    cuddle_truncation truncation;   /* default OFF */
    size_t max_length;              /* tokens, special ones included; 0 (default): cuddle_tokenizer_max_length() */
    size_t stride;                  /* tokens that neighbouring windows of the overflow share; default 0 */
    cuddle_side truncation_side;    /* what is cut; default AUTO */
    cuddle_padding padding;         /* default OFF */
    size_t pad_length;              /* for PAD_FIXED; 0 (default): cuddle_tokenizer_max_length() */
    size_t pad_to_multiple_of;      /* rounds the padded length up; 0 (default): not */
    cuddle_side padding_side;       /* where padding goes; default AUTO */
    int32_t pad_id;                 /* -1 (default): cuddle_tokenizer_special(CUDDLE_SPECIAL_PAD), which must be there */
    int32_t pad_type_id;            /* default 0 */
    cuddle_offsets offsets;         /* default BYTES */
    size_t max_text;                /* most bytes of text in one call, CUDDLE_E_LIMIT above; 0 (default): 1 GiB for each text */
    int threads;                    /* of a batch; 1 (default): the calling one; 0: all this process may use */
    size_t max_tokens;              /* of each text, special ones and truncation aside: more is CUDDLE_E_LIMIT, at the word that goes beyond;
                                     * 0 (default): no bound. A call takes some 100 to 250 bytes of memory for a byte of text, and up to 600 where
                                     * a normalizer makes the text longer; max_text bounds it */
} cuddle_tokenize_options;
CUDDLE_API void cuddle_tokenize_options_init(cuddle_tokenize_options *options, size_t size);

/* cuddle_tokenize() with options, for a text or a pair. */
CUDDLE_API cuddle_status cuddle_tokenize_with(cuddle_encoding **out, const cuddle_tokenizer *tokenizer, const cuddle_tokenize_input *input,
                                              const cuddle_tokenize_options *options, cuddle_error *err);
/* The same for `count` inputs: out[i] is the encoding of inputs[i], whatever the number of threads, and each is released with
 * cuddle_encoding_free(). On failure all of out[0..count) are NULL, and the sentence is that of the lowest input that failed. */
CUDDLE_API cuddle_status cuddle_tokenize_batch(cuddle_encoding **out, const cuddle_tokenizer *tokenizer, const cuddle_tokenize_input *inputs,
                                               size_t count, const cuddle_tokenize_options *options, cuddle_error *err);

enum { CUDDLE_DETOKENIZE_SKIP_SPECIAL = 1 }; /* flags: leave special tokens out of the text */

/* Decodes ids; *text is NUL-terminated and released with cuddle_text_free(); *length may be NULL. Bytes that do not form UTF-8
 * become U+FFFD as in the reference implementation. */
CUDDLE_API cuddle_status cuddle_detokenize(char **text, size_t *length, const cuddle_tokenizer *tokenizer, const int32_t *ids,
                                           size_t count, unsigned flags, cuddle_error *err);
CUDDLE_API void cuddle_text_free(char *text);

/* Streaming detokenisation: each push gives the text that became certain, so that half a character is never handed out and the
 * pieces add up to what cuddle_detokenize() gives for all ids at once. One thread at a time. Release with cuddle_detokenizer_free(). */
typedef struct cuddle_detokenizer cuddle_detokenizer;
CUDDLE_API cuddle_status cuddle_detokenizer_new(cuddle_detokenizer **out, const cuddle_tokenizer *tokenizer, unsigned flags,
                                                cuddle_error *err);
/* *piece is borrowed until the next call on this object and may be empty. */
CUDDLE_API cuddle_status cuddle_detokenizer_push(cuddle_detokenizer *d, int32_t id, const char **piece, size_t *length, cuddle_error *err);
/* The rest, when no more ids come. */
CUDDLE_API cuddle_status cuddle_detokenizer_finish(cuddle_detokenizer *d, const char **piece, size_t *length, cuddle_error *err);
CUDDLE_API void cuddle_detokenizer_free(cuddle_detokenizer *d);

/* --------------------------------------------------------------------------------------------------- chat templates */

/* The chat templates of a checkpoint: Jinja programs that turn messages into the text a model was trained on. They run in a sandbox:
 * what they compute is bounded, and there is nothing in their reach but what they are given. Immutable: share it between threads. */
typedef struct cuddle_chat_template cuddle_chat_template;

/* Loads the templates of a checkpoint directory: chat_template.jinja and additional_chat_templates/NAME.jinja, else chat_template in
 * tokenizer_config.json (a text, or a list of named ones), else in chat_template.json; and the special tokens they may speak of
 * (bos_token, ...) from tokenizer_config.json and special_tokens_map.json. Or one file, NAME.jinja, with the special tokens of its
 * folder. A checkpoint without templates is CUDDLE_E_UNSUPPORTED. A template that does not compile fails with its line and column.
 * Release with cuddle_chat_template_free(). */
CUDDLE_API cuddle_status cuddle_chat_template_load(cuddle_chat_template **out, const char *path, cuddle_error *err);
/* A template from memory, without special tokens; `variables` of the options can bring them. */
CUDDLE_API cuddle_status cuddle_chat_template_parse(cuddle_chat_template **out, const char *text, size_t length, cuddle_error *err);
CUDDLE_API void cuddle_chat_template_free(cuddle_chat_template *t);
/* Names of the templates, "default" being the one of a checkpoint that has a single one; NULL out of range. */
CUDDLE_API const char *cuddle_chat_template_name(const cuddle_chat_template *t, int index);

typedef struct cuddle_tool_call {
    const char *name;
    const char *arguments; /* JSON, usually an object; NULL: {} */
    const char *id;        /* NULL: none */
} cuddle_tool_call;

/* One message. Strings are NUL-terminated; NULL: the message does not have that. */
typedef struct cuddle_message {
    const char *role;         /* "system", "user", "assistant", "tool", ... */
    const char *content;      /* text */
    const char *content_json; /* instead of it: a JSON list of parts, [{"type": "text", "text": "..."}, {"type": "image"}] */
    const char *reasoning;    /* what an assistant thought; templates see it as reasoning_content and as thinking */
    const cuddle_tool_call *tool_calls; /* of an assistant */
    size_t tool_call_count;
    const char *tool_call_id; /* role "tool": the call that this is the result of */
    const char *name;         /* role "tool": the tool's name; else the speaker's */
} cuddle_message;

typedef struct cuddle_chat_options {
    size_t struct_size;
    const char *template_name;  /* NULL (default): "tool_use" if there are tools and there is one, else "default" */
    const char *messages_json;  /* instead of messages: a JSON list of objects as OpenAI's API and transformers have them */
    const char *tools_json;     /* a JSON list of tools, {"type": "function", "function": {...}}; NULL (default): no tools */
    const char *documents_json; /* a JSON list of objects, for templates that know documents */
    const char *variables_json; /* a JSON object: further variables, such as {"enable_thinking": false}; they win over special tokens */
    int add_generation_prompt;  /* 1 (default): end with what begins an assistant's message */
    int continue_final_message; /* 1: end within the last message, for the model to go on with it; add_generation_prompt must be 0 then */
    int64_t now;                /* for strftime_now(): seconds since 1970; 0 (default): the clock */
    int utc_offset;             /* seconds that local time is ahead of UTC; 0 (default): templates see UTC */
    /* Bounds on what a template may do; 0 (default): 50 million steps, 256 MiB, 64 MiB. Reaching one is CUDDLE_E_LIMIT. */
    uint64_t max_steps;
    size_t max_memory, max_output;
} cuddle_chat_options;
CUDDLE_API void cuddle_chat_options_init(cuddle_chat_options *options, size_t size);

/* Renders messages[0..count) as transformers' apply_chat_template() does, byte for byte. options may be NULL. *text is NUL-terminated
 * and released with cuddle_text_free(); *length may be NULL. The template writes the special tokens, so the text is tokenized with
 * CUDDLE_TOKENIZE_NO_SPECIAL (or no_special of a request). What a template does wrong, or refuses (raise_exception), is CUDDLE_E_FORMAT
 * with its line and column; arguments that are wrong are CUDDLE_E_ARG. Needs up to 2 MiB of stack. */
CUDDLE_API cuddle_status cuddle_chat_template_render(char **text, size_t *length, const cuddle_chat_template *t,
                                                     const cuddle_message *messages, size_t count, const cuddle_chat_options *options,
                                                     cuddle_error *err);

typedef struct cuddle_text_range { /* of a text, in bytes: begin is the first, end is behind the last */
    size_t begin, end;
} cuddle_text_range;

typedef struct cuddle_rendered_chat { /* owned, release with cuddle_rendered_chat_free() */
    char *text; /* NUL-terminated */
    size_t length;
    cuddle_text_range *assistant; /* what the assistant said; NULL if there is nothing */
    size_t assistant_count;
} cuddle_rendered_chat;

/* Renders as above, and tells what of the text the assistant said, for training on nothing else: what the template has between
 * {% generation %} and {% endgeneration %}. A template without such blocks gives no ranges. They are where transformers'
 * return_assistant_tokens_mask has them: in the order in which the blocks end, empty ones too, none beginning before the last one. Its
 * oddity is kept: within a macro, {% set %}, {% filter %}, a recursive loop or another generation block they are counted from where the
 * outermost of these begins, which is their place only if that writes nothing before them. What would reach beyond the text ends with it.
 * With continue_final_message it is CUDDLE_E_ARG. */
CUDDLE_API cuddle_status cuddle_chat_template_render_ranges(cuddle_rendered_chat **out, const cuddle_chat_template *t,
                                                            const cuddle_message *messages, size_t count, const cuddle_chat_options *options,
                                                            cuddle_error *err);
CUDDLE_API void cuddle_rendered_chat_free(cuddle_rendered_chat *chat); /* NULL is fine */
/* mask[0..e->count) becomes 1 for tokens that the assistant said, 0 for others: transformers' assistant_masks. e: the chat's text without
 * special tokens, truncated or not, with offsets in bytes. A token counts if any of its bytes is in a range. */
CUDDLE_API void cuddle_rendered_chat_mask(uint8_t *mask, const cuddle_rendered_chat *chat, const cuddle_encoding *e);

/* ---------------------------------------------------------------------------------------------------------- grammars */

/* What output can be held to: at each step only tokens are drawn with which the text can still become one of the grammar's, and an
 * end-of-sequence token only where it is one. Compiled once, for the tokens of one tokenizer; share it between threads and requests. */
typedef struct cuddle_grammar cuddle_grammar;

/* JSON is written in one way, so that a hot temperature cannot ramble between its signs: no white space but at most one space behind each
 * comma and colon; characters as they are and escaped only where they must be (\" \\ \b \f \n \r \t, \u00XX for other controls, no U+0000);
 * numbers of at most 18 digits before the point, 16 behind it and an exponent of two digits. */
typedef enum cuddle_grammar_kind {
    CUDDLE_GRAMMAR_JSON = 0, /* any JSON object; there is no source */
    /* A JSON Schema (2020-12): type, enum, const, properties, required, additionalProperties, propertyNames, maxProperties, items, prefixItems, minItems,
     * maxItems, minLength, maxLength, pattern, format (date-time, date, time, uuid, email, ipv4), minimum, maximum and the exclusive ones,
     * anyOf, oneOf where its branches cannot both match, allOf, $ref within the document, $defs, nullable. Members come in the order of
     * "properties"; without additionalProperties there are no others. Annotations are ignored, and every other keyword is
     * CUDDLE_E_UNSUPPORTED, with its place. What comes out is valid; not all that is valid can come out. */
    CUDDLE_GRAMMAR_JSON_SCHEMA = 1,
    /* A regular expression that the whole text matches: characters, . (no line end), [classes], \d \w \s (ASCII) and their opposites,
     * \n \t \r \f \v \xHH \x{H...} \uHHHH, groups, |, * + ? {m} {m,} {m,n}; ^ and $ at its ends. */
    CUDDLE_GRAMMAR_REGEX = 2,
    CUDDLE_GRAMMAR_CHOICE = 3, /* one of `choices` */
    CUDDLE_GRAMMAR_GBNF = 4    /* rules as llama.cpp writes them, from "root" on; no left recursion */
} cuddle_grammar_kind;

#define CUDDLE_GRAMMAR_DEEPEST 4096

typedef struct cuddle_grammar_options {
    size_t struct_size;
    cuddle_grammar_kind kind;
    const char *source; /* UTF-8; of JSON_SCHEMA, REGEX and GBNF */
    size_t length;
    const char *const *choices; /* of CHOICE: NUL-terminated */
    size_t choice_count;
    /* Bounds, CUDDLE_E_LIMIT beyond; 0: the default. */
    size_t max_source;  /* bytes; default 1 MiB */
    size_t max_memory;  /* bytes of the compiled grammar, and again of what is kept of the states that texts reached; default 64 MiB */
    uint64_t max_steps; /* of compiling, and of one token; default 20 million, about a second */
    int max_depth;      /* nested rules and repetitions; texts that go deeper are not made; default 512, at most CUDDLE_GRAMMAR_DEEPEST */
} cuddle_grammar_options;
CUDDLE_API void cuddle_grammar_options_init(cuddle_grammar_options *options, size_t size);

/* Tokenizers whose tokens become text that depends on their neighbours (WordPiece, CTC) are CUDDLE_E_UNSUPPORTED. A source that is
 * wrong is CUDDLE_E_FORMAT, with its place. The first grammar of a tokenizer takes longer: its tokens are sorted then. Release with
 * cuddle_grammar_free(); the tokenizer may be freed before. */
CUDDLE_API cuddle_status cuddle_grammar_compile(cuddle_grammar **out, const cuddle_tokenizer *tokenizer, const cuddle_grammar_options *options,
                                                cuddle_error *err);
CUDDLE_API void cuddle_grammar_free(cuddle_grammar *grammar); /* requests that use it may go on */

/* *begins: 1 if a text of the grammar begins with text[0..length); *whole: 1 if it is one. Either may be NULL. */
CUDDLE_API cuddle_status cuddle_grammar_match(int *begins, int *whole, cuddle_grammar *grammar, const char *text, size_t length,
                                              cuddle_error *err);

typedef struct cuddle_grammar_info {
    size_t struct_size;       /* set by the caller */
    double compile_seconds;   /* all of it */
    double tokenizer_seconds; /* of that: sorting the tokenizer's tokens, or waiting for who does */
    uint64_t program_bytes, state_bytes; /* compiled; of the states so far and their masks */
    uint64_t tokenizer_bytes; /* shared by all grammars of the tokenizer */
    int rules;
    int64_t nodes, states;
    uint64_t masks_made, masks_found; /* tokens for which a mask was computed, or was there */
} cuddle_grammar_info;
CUDDLE_API cuddle_status cuddle_grammar_get_info(cuddle_grammar *grammar, cuddle_grammar_info *out, cuddle_error *err);

/* ------------------------------------------------------------------------------------------------------------ engine */

typedef struct cuddle_engine cuddle_engine; /* a device, its memory and the thread that runs it */

typedef enum cuddle_toggle { CUDDLE_AUTO = 0, CUDDLE_OFF = 1, CUDDLE_ON = 2 } cuddle_toggle;

typedef struct cuddle_engine_options {
    size_t struct_size;
    const char *device;          /* "auto" (default), "cpu", "cuda", "cuda:N" */
    int threads;                 /* 1 (default): a thread of the engine's own runs the steps; 0: only cuddle_engine_step() does */
    int cpu_threads;             /* threads that compute on the CPU, the calling one included, at most 1024; 0 (default): all this process may use */
    cuddle_toggle deterministic; /* ON: a request's output has the same bits alone and in any batch; AUTO: on for the CPU */
    uint64_t memory_budget;      /* bytes of device memory for all of the engine's models; 0 (default): no budget of ours */
    const char *backend_dir;     /* folder of libcuddle-cuda.so; NULL (default): beside libcuddle */
    cuddle_log_fn log;           /* NULL (default): no log */
    void *log_user;
    cuddle_log_level log_level; /* lines up to this level; default CUDDLE_LOG_WARN */
} cuddle_engine_options;

/* size: sizeof *options, here and below. */
CUDDLE_API void cuddle_engine_options_init(cuddle_engine_options *options, size_t size);

/* Release with cuddle_engine_free(), which cancels and joins every load and request and frees the engine's memory; models and
 * requests of the engine may be freed before or after it, but not used after it. */
CUDDLE_API cuddle_status cuddle_engine_new(cuddle_engine **out, const cuddle_engine_options *options, cuddle_error *err);
CUDDLE_API void cuddle_engine_free(cuddle_engine *engine);
/* Runs at most one step when the engine has no thread of its own; *worked is 1 if there was something to do. Loads progress in
 * their own thread. One caller at a time. CUDDLE_E_ARG if the engine has a thread. */
CUDDLE_API cuddle_status cuddle_engine_step(cuddle_engine *engine, int *worked, cuddle_error *err);
CUDDLE_API cuddle_device_kind cuddle_engine_device(const cuddle_engine *engine);
CUDDLE_API const char *cuddle_engine_device_name(const cuddle_engine *engine);
CUDDLE_API int cuddle_engine_deterministic(const cuddle_engine *engine); /* 1 or 0: what AUTO became */
CUDDLE_API int cuddle_engine_cpu_threads(const cuddle_engine *engine);

/* Bucket i counts values of at most cuddle_histogram_bound(i) that are above that of i - 1. */
#define CUDDLE_HISTOGRAM_BUCKETS 25
typedef struct cuddle_histogram {
    uint64_t count;
    double sum;
    uint64_t buckets[CUDDLE_HISTOGRAM_BUCKETS];
} cuddle_histogram;
CUDDLE_API double cuddle_histogram_bound(int bucket); /* 1, 2 and 5 times powers of ten from 1e-5 to 500; infinity for the last one */

typedef struct cuddle_engine_stats { /* since the engine began, but for what says "now" */
    size_t struct_size; /* set by the caller */
    uint64_t steps;
    uint64_t prompt_tokens;    /* of requests that had their first token */
    uint64_t generated_tokens; /* sampled */
    uint64_t mixed_steps;      /* that held both a prefilling and a decoding sequence */
    int queued, running;       /* choices of requests, now */
    uint64_t kv_pages_total, kv_pages_used; /* now, of 16 positions each; used: by running requests */
    uint64_t kv_pages_cached;  /* now; of the unused ones, those whose prefix may be found again */
    uint64_t submitted, refused; /* requests; refused: the queue was full */
    uint64_t ended_eos, ended_stop, ended_length, ended_cancelled, ended_failed, ended_deadline; /* requests */
    uint64_t preempted;        /* times that a choice of a request had to give way to another's */
    uint64_t prefix_asked, prefix_hits; /* positions at each admission, and those of them that were taken over from others */
    uint64_t prefix_evicted;   /* pages whose prefix was given up for another use of the page */
    cuddle_histogram queue_seconds;     /* from submission to the first step */
    cuddle_histogram first_token_seconds; /* from submission to the first token */
    cuddle_histogram interval_seconds;  /* between two tokens of a request */
    cuddle_histogram request_seconds;   /* from submission to the end */
    cuddle_histogram step_seconds;
    double model_seconds; /* of step_seconds.sum, in the model, which on CUDA picks tokens too; the rest is choosing requests, rows and tokens */
    uint64_t rows;        /* of all steps: positions that were computed, some of them again */
    uint64_t grammar_asked, grammar_hits; /* calls of cuddle_model_grammar(), and those of them that got what was there or was being compiled */
    cuddle_histogram grammar_seconds; /* compiling for the others, also in vain */
    int grammars_kept;      /* now */
    uint64_t grammar_bytes; /* now, of the kept ones */
    uint64_t encoded_tokens; /* of encodings that are there */
    uint64_t ended_done;     /* requests */
} cuddle_engine_stats;
CUDDLE_API cuddle_status cuddle_engine_get_stats(cuddle_engine *engine, cuddle_engine_stats *out, cuddle_error *err);

/* Takes no further requests (they are CUDDLE_E_CANCELLED) and waits until the last one has ended; timeout_ms < 0: for ever. CUDDLE_E_BUSY when
 * the time has passed: cuddle_engine_free() cancels what is left. On an engine without a thread someone else must be stepping it. */
CUDDLE_API cuddle_status cuddle_engine_drain(cuddle_engine *engine, int timeout_ms, cuddle_error *err);

/* ------------------------------------------------------------------------------------------------------------- model */

typedef struct cuddle_model cuddle_model; /* weights, tokenizer and KV cache: share it between threads */

/* In every mode a file that grew, was written to or was replaced by another when the load ends is CUDDLE_E_IO. */
typedef enum cuddle_load_mode {
    CUDDLE_LOAD_AUTO = 0,
    CUDDLE_LOAD_MAP = 1, /* CPU: weights are used where they lie in the mapped files. Starts at once and shares memory between
                          * processes, but a file that someone truncates while it is mapped ends the process with SIGBUS. */
    CUDDLE_LOAD_READ = 2,    /* CPU: weights are read into memory of ours; a file that is truncated is an error */
    CUDDLE_LOAD_RING = 3,    /* CUDA: threads read files into a small ring of page-locked memory, from which they are copied */
    CUDDLE_LOAD_REGISTER = 4 /* CUDA: files are mapped, page-locked where they lie in the page cache, and copied from there; what
                              * cannot be goes through the ring. As with MAP, a file must not be truncated meanwhile. */
} cuddle_load_mode;
CUDDLE_API const char *cuddle_load_mode_name(cuddle_load_mode mode); /* "auto", "map", ...; "?" outside the enum. Static storage. */

typedef struct cuddle_progress {
    uint64_t bytes_done, bytes_total;
} cuddle_progress;
/* Called from the loading thread; must not call back into the library. */
typedef void (*cuddle_progress_fn)(const cuddle_progress *progress, void *user);

typedef struct cuddle_model_options {
    size_t struct_size;
    const char *dtype; /* what activations are: "auto" (default: as the checkpoint says), "float32", "bfloat16", "float16" */
    cuddle_load_mode load; /* AUTO (default): MAP on the CPU; on CUDA whichever of RING and REGISTER is faster here. A mode of another
                            * device is CUDDLE_E_ARG. */
    int max_context;   /* positions of one sequence; 0 (default): what the checkpoint says, at most 8192 */
    int max_sequences; /* that run at once; 0 (default): 8, on CUDA 32; of an encoder 128, on CUDA 512 */
    int max_batch;     /* tokens of one step; 0 (default): 512, on CUDA 2048; of an encoder at least max_context, as a text is not cut up */
    int64_t kv_tokens; /* positions in the KV cache, all sequences together; 0 (default): max_context * max_sequences, bounded by memory */
    cuddle_progress_fn progress;
    void *progress_user;
    int measure_ceiling; /* 1: before the load, measure what page-locked copies to the device reach at most, for cuddle_load_report; CUDA only */
    int max_queue;               /* requests that wait; more are CUDDLE_E_BUSY; 0 (default): 65536 */
    cuddle_toggle prefix_cache;  /* AUTO (default) and ON: a request takes over what others with the same beginning have computed, 16 positions
                                  * at a time. Such keys and values are those the request would have computed itself: with `deterministic` to
                                  * the bit. OFF: nothing is shared but among the choices and beams of one request, which share all positions. */
    const char *kv_dtype; /* what the KV cache holds: "auto" (default: the type of the activations), "float32", "bfloat16", "float16". Keys and values
                           * are rounded to it when they are stored. On CUDA attention is slower where it is another type. */
    int max_grammars;            /* that cuddle_model_grammar() keeps; 0 (default): 64 */
    size_t max_grammar_bytes;    /* of these, states that texts reached included, as each call finds them; 0 (default): 256 MiB */
} cuddle_model_options;

CUDDLE_API void cuddle_model_options_init(cuddle_model_options *options, size_t size);

/* Starts loading the checkpoint in directory `path`: reads every header, checks that the model is supported and fits, and returns;
 * weights arrive behind it. Requests may be submitted at once and wait; on CUDA those of an engine's only model begin while later
 * layers still load, if the engine has a thread. A failure after the return fails the model and its requests with the load's
 * sentence. Release with cuddle_model_free(), which cancels and joins the model's requests. */
CUDDLE_API cuddle_status cuddle_model_load(cuddle_model **out, cuddle_engine *engine, const char *path, const cuddle_model_options *options,
                                           cuddle_error *err);
CUDDLE_API void cuddle_model_free(cuddle_model *model);

typedef enum cuddle_model_state { CUDDLE_MODEL_LOADING = 0, CUDDLE_MODEL_READY = 1, CUDDLE_MODEL_FAILED = 2 } cuddle_model_state;
CUDDLE_API cuddle_model_state cuddle_model_get_state(const cuddle_model *model);
/* Waits until loading ended; timeout_ms < 0: for ever. CUDDLE_OK when ready, CUDDLE_E_BUSY when the timeout passed, the load's
 * failure otherwise. */
CUDDLE_API cuddle_status cuddle_model_wait(cuddle_model *model, int timeout_ms, cuddle_error *err);
/* Asks a running load to stop: it ends as failed with CUDDLE_E_CANCELLED. No effect on a model that is ready. */
CUDDLE_API void cuddle_model_cancel(cuddle_model *model);

/* How the weights came in. */
typedef struct cuddle_load_report {
    size_t struct_size; /* set by the caller */
    cuddle_load_mode mode; /* what most bytes came in by; never AUTO */
    int readers;           /* threads that read */
    uint64_t bytes;          /* copied into memory of ours or the device's */
    uint64_t bytes_in_place; /* MAP: used where they lie in the mapped files, not read yet */
    double seconds, gb_per_s; /* of `bytes`; 1e9 bytes a second */
    double pin_seconds;       /* of `seconds`: until the ring was page-locked */
    double ceiling_gb_per_s;  /* of page-locked copies to the device; 0 if it was not measured */
    double ceiling_share;     /* gb_per_s / ceiling_gb_per_s; 0 if it was not measured */
    /* What was read, gaps between tensors included: */
    uint64_t page_cache_bytes; /* from files that were in memory already */
    uint64_t direct_bytes;     /* past the page cache */
    uint64_t plain_bytes;      /* without knowing which */
    uint64_t registered_bytes; /* copied from where a file is mapped */
    uint64_t pinned_bytes;     /* size of the ring, if it is page-locked */
    /* Ways that had to be left for lesser ones, as "name=times" items separated by spaces; empty if there were none. network: a file
     * on a network file system is not registered; register: a window of a file could not be; pin, pin-segments, pin-alloc: the ring
     * could not be page-locked at once, in parts, as memory of the driver's; resident: a file does not tell what is in memory; direct: it
     * cannot be read past the page cache; threads: fewer readers than wanted. */
    char fallbacks[128];
} cuddle_load_report;
/* CUDDLE_E_BUSY while the model is loading. After a failure: as far as it came. */
CUDDLE_API cuddle_status cuddle_model_load_report(const cuddle_model *model, cuddle_load_report *out, cuddle_error *err);

typedef struct cuddle_plan { /* bytes; every figure is what will be allocated, not an estimate */
    size_t struct_size;        /* set by the caller */
    uint64_t weights;          /* in memory of ours */
    uint64_t weights_in_place; /* used where they lie in the mapped files */
    uint64_t kv;
    uint64_t workspace; /* activations and scratch of the largest step */
    uint64_t step;      /* token ids, positions, block tables; on CUDA marks of tokens too */
    uint64_t total;     /* weights + kv + workspace + step */
    uint64_t parameters; /* elements in all tensors */
    uint64_t file_bytes;
    int64_t kv_tokens;
    int max_context, max_sequences, max_batch;
    cuddle_dtype compute;  /* of activations */
    cuddle_dtype kv_dtype; /* of the KV cache */
} cuddle_plan;

/* What cuddle_model_load() with these arguments would allocate, from headers alone; fails where the load would refuse. */
CUDDLE_API cuddle_status cuddle_model_plan(cuddle_plan *out, cuddle_engine *engine, const char *path, const cuddle_model_options *options,
                                           cuddle_error *err);
/* The plan of a loaded model, and what it uses: `used` counts what was allocated, arena by arena, and is filled once the model is
 * ready. Either pointer may be NULL. */
CUDDLE_API cuddle_status cuddle_model_memory(const cuddle_model *model, cuddle_plan *planned, cuddle_plan *used, cuddle_error *err);

CUDDLE_API const char *cuddle_model_family(const cuddle_model *model);       /* "llama" */
CUDDLE_API const char *cuddle_model_architecture(const cuddle_model *model); /* "LlamaForCausalLM" */
CUDDLE_API int cuddle_model_vocabulary(const cuddle_model *model);
CUDDLE_API int cuddle_model_layers(const cuddle_model *model);
CUDDLE_API uint64_t cuddle_model_weight_bytes(const cuddle_model *model); /* read by one decoded token */
/* NULL if the checkpoint has no tokenizer files: such a model takes and gives token ids. */
CUDDLE_API const cuddle_tokenizer *cuddle_model_tokenizer(const cuddle_model *model);
/* cuddle_grammar_compile() for the model's tokenizer, for servers that get the text of a schema with every request: who asks for the same kind,
 * source (or choices) and bounds again gets the same grammar again. The model keeps those asked for last, as far as its max_grammars and
 * max_grammar_bytes go; requests and others that hold one it gives up go on with it. Threads that ask for the same at once get one that is
 * compiled once, or the failure of that; failures are not kept. Release with cuddle_grammar_free(). CUDDLE_E_ARG without a tokenizer. */
CUDDLE_API cuddle_status cuddle_model_grammar(cuddle_grammar **out, cuddle_model *model, const cuddle_grammar_options *options, cuddle_error *err);

/* What a checkpoint can do, by the class that config.json names and the tensors that are there. */
typedef enum cuddle_head {
    CUDDLE_HEAD_GENERATION = 1 << 0, /* a decoder: cuddle_request_submit(); all others are for cuddle_request_encode() */
    CUDDLE_HEAD_SEQUENCE = 1 << 1,   /* a logit for each label, of the whole text (text classification, reranking) */
    CUDDLE_HEAD_TOKENS = 1 << 2,     /* a logit for each label, of each token (named entities) */
    CUDDLE_HEAD_SPANS = 1 << 3,      /* two logits of each token: an answer begins here, ends here */
    CUDDLE_HEAD_MASKED_LM = 1 << 4,  /* a logit for each token of the vocabulary, of each token */
    CUDDLE_HEAD_CHOICE = 1 << 5,     /* one logit: how good an answer is, to compare with those of other answers */
    CUDDLE_HEAD_POOLER = 1 << 6      /* a vector of the whole text, made from the first token's: CUDDLE_POOLING_POOLER */
} cuddle_head;
CUDDLE_API unsigned cuddle_model_heads(const cuddle_model *model);
/* "text generation", "text classification", "token classification", "question answering", "masked tokens", "multiple choice",
 * "pooling"; "nothing" for 0. Static storage. */
CUDDLE_API const char *cuddle_head_name(cuddle_head head);
CUDDLE_API int cuddle_model_hidden(const cuddle_model *model); /* width of its hidden states */
/* Names of what CUDDLE_HEAD_SEQUENCE and CUDDLE_HEAD_TOKENS give logits of, by config.json's id2label; LABEL_0, LABEL_1 where there is none. */
CUDDLE_API int cuddle_model_labels(const cuddle_model *model); /* how many; 0 without such a head */
CUDDLE_API const char *cuddle_model_label(const cuddle_model *model, int label); /* NULL out of range */
typedef enum cuddle_problem { /* config.json's problem_type */
    CUDDLE_PROBLEM_UNSAID = 0, CUDDLE_PROBLEM_REGRESSION = 1, CUDDLE_PROBLEM_SINGLE_LABEL = 2, CUDDLE_PROBLEM_MULTI_LABEL = 3
} cuddle_problem;
CUDDLE_API cuddle_problem cuddle_model_problem(const cuddle_model *model);

/* ---------------------------------------------------------------------------------------------------------- requests */

typedef enum cuddle_segment_kind { CUDDLE_SEGMENT_TEXT = 0, CUDDLE_SEGMENT_TOKENS = 1 } cuddle_segment_kind;

/* A prompt is a list of segments, one after the other; empty ones do not count. Token ids are taken as they are. Text is tokenized, and the
 * special tokens of the post-processor are added as by CUDDLE_ADD_SPECIAL_ONCE, unless the options say no_special: those before a text only
 * where it begins the prompt, those behind it only where it ends the prompt, so that none lands between two segments.
 *
 * What decides is the post-processor, as tokenizer.json has it. add_bos_token and add_eos_token of tokenizer_config.json say nothing beside
 * one, as in transformers 5; where there is no tokenizer.json, the post-processor is made from them. So that a prompt has the ids of
 * transformers' apply_chat_template(), submit what cuddle_chat_template_render() wrote with no_special; without it a template that writes no
 * beginning token gets the post-processor's, and one that does gets no second. */
typedef struct cuddle_segment {
    cuddle_segment_kind kind;
    const char *text; /* TEXT */
    const int32_t *tokens; /* TOKENS */
    size_t count;          /* bytes of text, or number of tokens */
} cuddle_segment;

#define CUDDLE_UNSET_INT (-1)
#define CUDDLE_UNSET_FLOAT (-1.0f)

/* Tokens of which the last is meant wherever the others have just come. */
typedef struct cuddle_sequence_bias {
    const int32_t *tokens;
    size_t count;
    float bias; /* is added to its logit; -INFINITY: it does not come */
} cuddle_sequence_bias;

typedef enum cuddle_early_stopping { /* of a beam search that has num_beams finished sequences: transformers' early_stopping */
    CUDDLE_BEAMS_STOP_HEURISTIC = 0, /* false: ends when the best beam, were it finished now, would be no better */
    CUDDLE_BEAMS_STOP_EARLY = 1,     /* true: ends */
    CUDDLE_BEAMS_NEVER_STOP = 2      /* "never": ends when no beam can become better, at max_tokens with a positive length_penalty */
} cuddle_early_stopping;

/* Sampling follows transformers' definitions, in its order: sequence bias, repetition penalty, (frequency and presence penalty), no repeated
 * n-grams, bad words, no end before min_tokens, (allowed tokens), forced tokens, length decay, suppressed tokens; then, unless it is
 * greedy, temperature, top-h, top-k, top-p, min-p, typical-p, epsilon cut-off, eta cut-off. What is in brackets transformers does not have.
 * A field left unset takes generation_config.json's value, else transformers' default. Ids outside the vocabulary, numbers out of range
 * and NaN are CUDDLE_E_ARG. Where nothing is left to choose from, the request fails. */
typedef struct cuddle_generation_options {
    size_t struct_size;
    int max_tokens;           /* new tokens; unset: generation_config's max_new_tokens, else what its max_length leaves, else the context's rest.
                               * 0: none, the request ends as LENGTH once the prompt is computed, for log-probabilities of the prompt */
    float temperature;        /* 0: greedy */
    int top_k;                /* 0: off */
    float top_p;              /* 1: off */
    float min_p;              /* 0: off */
    float repetition_penalty; /* 1: off */
    uint64_t seed;            /* the same seed gives the same draws, alone or batched; 0 is a seed like any other */
    const char *const *stop;  /* strings that end the output and are not part of it; at most 64, of 1 to 4096 bytes */
    size_t stop_count;
    const int32_t *stop_tokens; /* in addition to the checkpoint's end-of-sequence tokens */
    size_t stop_token_count;
    int ignore_eos;              /* 1: the checkpoint's end-of-sequence tokens do not end the output */
    int no_special;              /* 1: do not add special tokens to the prompt's text */
    int logprobs;                /* -1 (default): none; n >= 0: each output token's log-probability and the n likeliest, at most 20 */
    int prompt_logprobs;         /* 1: log-probabilities of the prompt's tokens too, and whether they are what a greedy choice would be */
    const int32_t *suppress;     /* tokens never to produce, in addition to generation_config's */
    size_t suppress_count;
    int n;               /* choices to give, each with a seed one higher than that before it; 0 (default): 1; at most 128 */
    int best_of;         /* choices to make, of which the n with the highest mean log-probability are given, the best first; 0 (default): n. More
                          * than n cannot be streamed. */
    int priority;        /* 0 (default); requests of a higher one go first, and running ones of a lower one may have to give way */
    int timeout_ms;      /* 0 (default): none; else the request ends with CUDDLE_FINISH_DEADLINE when so much time has passed since its submission */
    uint64_t cache_salt; /* only requests with the same one share prefixes; 0 (default) is one like any other. Set it to a secret of a tenant so that
                          * others cannot learn from the time to the first token what its prompts begin with. */
    int min_tokens;              /* end-of-sequence and stop tokens do not come before so many; stop strings may. Unset: min_new_tokens */
    float typical_p;             /* 1: off; at least 1e-6 */
    float epsilon_cutoff, eta_cutoff; /* 0: off */
    float top_h;                 /* 0: off */
    /* As OpenAI's API and vLLM define them, on produced tokens alone: a token that came n times loses n * frequency_penalty +
     * presence_penalty. -100 to 100; 0 (default): off. */
    float frequency_penalty, presence_penalty;
    int no_repeat_ngram_size;    /* so many tokens do not come in the same order twice, prompt included; 0: off; at most 1024 */
    /* In addition to generation_config's, and of equal sequences the one that counts. At most 65536 tokens in each list, all sequences together.
     * Biases from -1e9 to 1e9. A step's work for a list is at most a look at each of its tokens, usually a binary search. */
    const cuddle_sequence_bias *sequence_bias; /* a logit bias is a sequence of one token */
    size_t sequence_bias_count;
    const cuddle_sequence_bias *bad_words; /* sequences that do not come; their bias has no meaning. An end-of-sequence token alone is ignored. */
    size_t bad_word_count;
    const int32_t *begin_suppress; /* tokens that do not come first, in addition to generation_config's */
    size_t begin_suppress_count;
    const int32_t *allowed;      /* the only tokens that may come, end-of-sequence tokens among them if they may */
    size_t allowed_count;        /* 0 (default): all may */
    int32_t forced_bos;          /* the first token, behind a prompt of a single one; unset: forced_bos_token_id */
    int32_t forced_eos;          /* the last token, where the output reaches max_tokens; unset: forced_eos_token_id */
    int length_decay_start;      /* beyond so many tokens the logit of what ends the output grows by (factor^tokens - 1) of its size; */
    float length_decay_factor;   /* 1: off; unset: exponential_decay_length_penalty */
    int prompt_top_logprobs;     /* with prompt_logprobs: the n likeliest at each place too, at most 20; default 0 */
    int prompt_logprobs_from;    /* with prompt_logprobs: only of the tokens from this place of the prompt on. Logits are computed for these
                                  * alone, and never for more than a step's worth at once; default 0 */
    /* What the output is held to; NULL: nothing. Compiled for the model's tokenizer. Stop tokens are drawn only where the text may end; where
     * nothing may follow the request ends by itself, as with an end-of-sequence token. What max_tokens or a stop string cuts off is a beginning only. */
    cuddle_grammar *grammar;
    /* Beam search as transformers has it, without drawing: the n best of num_beams sequences. 0 (default) and 1: none; at most 64, and no more than
     * run at once. Goes with temperature 0 only, and not with on_event, best_of, logprobs, stop and grammar. */
    int num_beams;
    float length_penalty; /* a sequence's score is the sum of its log-probabilities / its length to this power; default 1 */
    cuddle_early_stopping early_stopping;
} cuddle_generation_options;
CUDDLE_API void cuddle_generation_options_init(cuddle_generation_options *options, size_t size);

typedef enum cuddle_finish {
    CUDDLE_FINISH_NONE = 0, /* still going */
    CUDDLE_FINISH_EOS,      /* an end-of-sequence or stop token, or nothing may follow by the grammar */
    CUDDLE_FINISH_STOP,     /* a stop string */
    CUDDLE_FINISH_LENGTH,   /* max_tokens or the context */
    CUDDLE_FINISH_CANCELLED,
    CUDDLE_FINISH_FAILED,
    CUDDLE_FINISH_DEADLINE, /* timeout_ms passed; what was produced until then is there */
    CUDDLE_FINISH_DONE      /* an encoding is there */
} cuddle_finish;
CUDDLE_API const char *cuddle_finish_name(cuddle_finish finish); /* "eos", "stop", "length", "cancelled", "failed", "deadline", "done", "none" */

typedef struct cuddle_request cuddle_request; /* one submitted input: poll it, wait for it, cancel it from any thread */

typedef struct cuddle_logprob {
    int32_t token;
    float logprob; /* natural logarithm of the model's distribution, before any of the sampling options */
} cuddle_logprob;

typedef struct cuddle_event { /* what is new; pointers are valid during the callback */
    const char *text; /* whole characters; stop strings never appear in it */
    size_t length;
    const int32_t *tokens;
    size_t token_count;
    cuddle_finish finish; /* NONE until the last event of the choice */
    int choice;           /* 0 unless there are several */
} cuddle_event;
/* Called from the engine's thread (or from within cuddle_engine_step()), in order, once per token and once at the end of each choice; may cancel
 * requests and submit new ones, must not free or wait. */
typedef void (*cuddle_event_fn)(cuddle_request *request, const cuddle_event *event, void *user);

/* Copies everything it needs out of its arguments. A request that can never fit is CUDDLE_E_LIMIT with the numbers, one for which the queue has
 * no room CUDDLE_E_BUSY, one to an engine that is being drained or freed CUDDLE_E_CANCELLED.
 * on_event may be NULL. Release with cuddle_request_free(), which cancels and joins it. */
CUDDLE_API cuddle_status cuddle_request_submit(cuddle_request **out, cuddle_model *model, const cuddle_segment *segments, size_t count,
                                               const cuddle_generation_options *options, cuddle_event_fn on_event, void *user,
                                               cuddle_error *err);
CUDDLE_API void cuddle_request_cancel(cuddle_request *request);
CUDDLE_API void cuddle_request_free(cuddle_request *request);
/* Waits until the request ended; timeout_ms < 0: for ever. CUDDLE_OK when it ended by itself, CUDDLE_E_CANCELLED after a cancel, its
 * failure after one, CUDDLE_E_LIMIT after its own deadline, CUDDLE_E_BUSY when the timeout passed. The last on_event may still be running then; cuddle_request_free() joins it.
 * On an engine without a thread someone else must be stepping it. */
CUDDLE_API cuddle_status cuddle_request_wait(cuddle_request *request, int timeout_ms, cuddle_error *err);
/* NONE while it, or any of its choices, is going on; then the first choice's. */
CUDDLE_API cuddle_finish cuddle_request_finish(cuddle_request *request);
/* Text produced since the last call, in whole characters; NUL-terminated, never NULL, borrowed until the next call on this request.
 * length may be NULL. For one reader at a time. A reading loop asks cuddle_request_finish() first, then fetches, then stops if it had
 * finished: then nothing is missed. */
CUDDLE_API const char *cuddle_request_next_text(cuddle_request *request, size_t *length);
/* Likewise of one of several choices, 0 to n - 1; "" for one that there is not. */
CUDDLE_API const char *cuddle_request_next_text_of(cuddle_request *request, int choice, size_t *length);
/* Waits until there is new text or the end; as cuddle_request_wait(), but CUDDLE_OK as soon as there is something to fetch. */
CUDDLE_API cuddle_status cuddle_request_wait_text(cuddle_request *request, int timeout_ms, cuddle_error *err);

/* The results below are complete once the request ended, and are borrowed from it; before that they are CUDDLE_E_BUSY. */
typedef struct cuddle_result {
    size_t struct_size; /* set by the caller */
    cuddle_finish finish;
    const int32_t *prompt_ids;
    size_t prompt_count;
    const int32_t *ids; /* produced, an ending eos included */
    size_t count;
    const char *text; /* what ids add to the prompt's text, without special tokens and stop strings; NULL without a tokenizer */
    size_t text_length;
    const float *logprobs;               /* [count], NULL unless asked for */
    const cuddle_logprob *top_logprobs;  /* [count][top_count] */
    int top_count;
    const float *prompt_logprobs; /* [prompt_count], 0 for the first (it has none) and before prompt_logprobs_from; NULL unless asked for */
    double queue_seconds, prefill_seconds, decode_seconds; /* submit to first step, to first token (or the end), from there to the end */
    const cuddle_logprob *prompt_top_logprobs; /* [prompt_count][prompt_top_count]; token -1 where there is none; NULL unless asked for */
    int prompt_top_count;
    const uint8_t *prompt_is_greedy; /* [prompt_count]: 1 where the token is the likeliest of its place, of equal ones the first; NULL without
                                      * prompt_logprobs */
    int cached_tokens; /* of the prompt, taken over from requests before it */
    int preemptions;   /* times that it had to give way and began anew; its results do not show it */
    double mean_logprob; /* of the tokens produced, by the model's distribution; 0 unless log-probabilities were asked for or needed for best_of */
    double beam_score;   /* with num_beams: what sequences are compared by */
} cuddle_result;
CUDDLE_API cuddle_status cuddle_request_result(cuddle_request *request, cuddle_result *out, cuddle_error *err);
/* Likewise of one of several choices, 0 to n - 1. */
CUDDLE_API cuddle_status cuddle_request_result_of(cuddle_request *request, int choice, cuddle_result *out, cuddle_error *err);
CUDDLE_API int cuddle_request_choices(const cuddle_request *request); /* n */

/* ---------------------------------------------------------------------------------------------------------- encoding */

typedef enum cuddle_encode_output {
    CUDDLE_ENCODE_POOLED = 0, /* one vector */
    CUDDLE_ENCODE_HIDDEN = 1, /* the last hidden states: a vector of each token */
    CUDDLE_ENCODE_LOGITS = 2  /* what the checkpoint's head says of the text, or of each token */
} cuddle_encode_output;

typedef enum cuddle_pooling { /* how the vectors of all tokens, special ones included, become one */
    CUDDLE_POOLING_MEAN = 0,
    CUDDLE_POOLING_FIRST = 1, /* "cls" */
    CUDDLE_POOLING_LAST = 2,
    CUDDLE_POOLING_MAX = 3,
    CUDDLE_POOLING_WEIGHTED_MEAN = 4, /* the n-th token counts n times */
    CUDDLE_POOLING_POOLER = 5         /* by the checkpoint's own pooler */
} cuddle_pooling;

typedef struct cuddle_encode_options {
    size_t struct_size;
    cuddle_encode_output output; /* default POOLED */
    cuddle_pooling pooling;      /* of POOLED; default MEAN */
    int normalize;               /* of POOLED: 1: to length 1 */
    int dimensions;              /* of POOLED: the first so many, before it is normalised; 0 (default): all */
    unsigned head;               /* of LOGITS: the cuddle_head that the caller means; another checkpoint's is refused. 0 (default): whichever it is */
    cuddle_truncation truncation; /* of texts that are too long; OFF (default): they are CUDDLE_E_LIMIT. Token ids are never cut. */
    size_t max_length;           /* tokens, special ones included; 0 (default): as many as the model has positions */
    int no_special;              /* 1: do not add special tokens to texts */
    int32_t only_token;          /* of LOGITS of each token: of this token's alone, the mask for instance; unset (default): of all */
    const int32_t *type_ids;     /* of an input of token ids; NULL (default): 0 */
    size_t type_count;
    int priority;                /* as in cuddle_generation_options */
    int timeout_ms;
} cuddle_encode_options;
CUDDLE_API void cuddle_encode_options_init(cuddle_encode_options *options, size_t size);

/* As cuddle_request_submit(), for encoders. The input is one segment of text, two of them, which become a pair, or one of token ids, which are
 * taken as they are. Many requests at once are what fills a step; each has the same result alone and among others, to the bit with
 * `deterministic`. The only event is the end. A result that is not all finite numbers is a failure of its request alone. */
CUDDLE_API cuddle_status cuddle_request_encode(cuddle_request **out, cuddle_model *model, const cuddle_segment *segments, size_t count,
                                               const cuddle_encode_options *options, cuddle_event_fn on_event, void *user, cuddle_error *err);

typedef struct cuddle_encoding_result {
    size_t struct_size; /* set by the caller */
    cuddle_encode_output output;
    const float *values; /* [rows, columns] */
    size_t rows, columns;
    const int32_t *tokens; /* [rows]: which token of the input a row is of; NULL: the one row is of all */
    const int32_t *ids; /* [count]: the input */
    const int32_t *type_ids; /* [count]; NULL: all 0 */
    size_t count;
    size_t truncated; /* tokens that were cut off */
    double queue_seconds, seconds; /* submit to the step, from there to the end */
} cuddle_encoding_result;
/* CUDDLE_E_BUSY until the request has ended, then its failure if it failed. Borrowed from the request. */
CUDDLE_API cuddle_status cuddle_request_encoding(cuddle_request *request, cuddle_encoding_result *out, cuddle_error *err);

#ifdef __cplusplus
}
#endif
#endif
