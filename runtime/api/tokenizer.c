/* The tokenizer part of cuddle.h: checks of arguments, the rest is host/text. */
#include "core/options.h"
#include "text/encoding.h"
#include "text/tokenizer.h"

#include <stdlib.h>

static cuddle_status missing(cuddle_error *err, const char *function, const char *what)
{
    return cud_fail(err, CUDDLE_E_ARG, "%s: %s is NULL", function, what);
}

cuddle_status cuddle_tokenizer_load(cuddle_tokenizer **out, const char *path, cuddle_error *err)
{
    cud_error_clear(err);
    if (!out) return missing(err, "cuddle_tokenizer_load", "out");
    *out = NULL;
    if (!path) return missing(err, "cuddle_tokenizer_load", "path");
    return cud_tokenizer_load(out, path, err);
}

void cuddle_tokenizer_free(cuddle_tokenizer *tokenizer) { cud_tokenizer_free(tokenizer); }

int cuddle_tokenizer_size(const cuddle_tokenizer *tokenizer) { return tokenizer ? cud_tokenizer_size(tokenizer) : 0; }

const char *cuddle_tokenizer_token(const cuddle_tokenizer *tokenizer, int32_t id)
{
    return tokenizer ? cud_tokenizer_token(tokenizer, id) : NULL;
}

int32_t cuddle_tokenizer_id(const cuddle_tokenizer *tokenizer, const char *token)
{
    return tokenizer && token ? cud_tokenizer_id(tokenizer, token) : -1;
}

int32_t cuddle_tokenizer_special(const cuddle_tokenizer *tokenizer, cuddle_special which)
{
    return tokenizer ? cud_tokenizer_named(tokenizer, which) : -1;
}

size_t cuddle_tokenizer_max_length(const cuddle_tokenizer *tokenizer) { return tokenizer ? cud_tokenizer_max_length(tokenizer) : 0; }

cuddle_status cuddle_tokenize(cuddle_encoding **out, const cuddle_tokenizer *tokenizer, const char *text, size_t length,
                              unsigned flags, cuddle_error *err)
{
    cud_error_clear(err);
    if (!out) return missing(err, "cuddle_tokenize", "out");
    *out = NULL;
    if (!tokenizer) return missing(err, "cuddle_tokenize", "tokenizer");
    if (!text && length) return missing(err, "cuddle_tokenize", "text");
    if (flags & ~(unsigned)CUDDLE_TOKENIZE_NO_SPECIAL) return cud_fail(err, CUDDLE_E_ARG, "cuddle_tokenize: flags 0x%x", flags);
    return cud_tokenizer_encode(out, tokenizer, text ? text : "", length, flags, err);
}

void cuddle_tokenize_options_init(cuddle_tokenize_options *options, size_t size)
{
    const cuddle_tokenize_options defaults = { .add_special = CUDDLE_ADD_SPECIAL_ON, .pad_id = -1, .threads = 1 };
    cud_options_init(options, size, &defaults, sizeof defaults);
}

static size_t add_bytes(size_t a, size_t b) { return b > SIZE_MAX - a ? SIZE_MAX : a + b; }

static cuddle_status read_options(cud_settings *out, int *threads, const cuddle_tokenizer *tokenizer, const cuddle_tokenize_input *inputs,
                                  size_t count, const cuddle_tokenize_options *options, cuddle_error *err)
{
    cuddle_tokenize_options o;
    cuddle_tokenize_options_init(&o, sizeof o);
    if (options) {
        const cuddle_status status = cud_options_copy(&o, sizeof o, options, "cuddle_tokenize_options", err);
        if (status) return status;
    }
    if (o.threads < 0 || o.threads > 4096)
        return cud_fail(err, CUDDLE_E_ARG, "cuddle_tokenize_options: threads is %d, expected 0 to 4096", o.threads);
    const size_t most = o.max_text ? o.max_text : SIZE_MAX;
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (!inputs[i].text && inputs[i].length)
            return cud_fail(err, CUDDLE_E_ARG, "text %zu is NULL and has a length of %zu", i, inputs[i].length);
        bytes = add_bytes(bytes, inputs[i].length);
        bytes = add_bytes(bytes, inputs[i].pair ? inputs[i].pair_length : 0);
        if (bytes > most)
            return cud_fail(err, CUDDLE_E_LIMIT, "the texts up to text %zu have %zu bytes, expected at most max_text = %zu", i, bytes, o.max_text);
    }
    if (threads) *threads = o.threads;
    return cud_settings_resolve(out, tokenizer, &o, err);
}

cuddle_status cuddle_tokenize_with(cuddle_encoding **out, const cuddle_tokenizer *tokenizer, const cuddle_tokenize_input *input,
                                   const cuddle_tokenize_options *options, cuddle_error *err)
{
    cud_settings settings;
    cud_error_clear(err);
    if (!out) return missing(err, "cuddle_tokenize_with", "out");
    *out = NULL;
    if (!tokenizer) return missing(err, "cuddle_tokenize_with", "tokenizer");
    if (!input) return missing(err, "cuddle_tokenize_with", "input");
    cuddle_status status = read_options(&settings, NULL, tokenizer, input, 1, options, err);
    if (!status) status = cud_tokenizer_encode_input(out, tokenizer, input, &settings, err);
    if (!status) status = cud_encodings_pad(out, 1, &settings.pad, err);
    if (status) {
        cud_encoding_free(*out);
        *out = NULL;
    }
    return status;
}

cuddle_status cuddle_tokenize_batch(cuddle_encoding **out, const cuddle_tokenizer *tokenizer, const cuddle_tokenize_input *inputs, size_t count,
                                    const cuddle_tokenize_options *options, cuddle_error *err)
{
    cud_settings settings;
    int threads = 1;
    cud_error_clear(err);
    if (!out && count) return missing(err, "cuddle_tokenize_batch", "out");
    for (size_t i = 0; i < count; i++) out[i] = NULL;
    if (!tokenizer) return missing(err, "cuddle_tokenize_batch", "tokenizer");
    if (!inputs && count) return missing(err, "cuddle_tokenize_batch", "inputs");
    cuddle_status status = read_options(&settings, &threads, tokenizer, inputs, count, options, err);
    if (!status && !threads) {
        cuddle_device_info cpu = { .struct_size = sizeof cpu };
        status = cuddle_device_get(0, &cpu, err);
        threads = cpu.threads;
    }
    if (!status) status = cud_tokenizer_encode_batch(out, tokenizer, inputs, count, &settings, threads, err);
    if (!status) status = cud_encodings_pad(out, count, &settings.pad, err);
    for (size_t i = 0; i < count && status; i++) {
        cud_encoding_free(out[i]);
        out[i] = NULL;
    }
    return status;
}

void cuddle_encoding_free(cuddle_encoding *encoding) { cud_encoding_free(encoding); }

cuddle_status cuddle_detokenize(char **text, size_t *length, const cuddle_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                unsigned flags, cuddle_error *err)
{
    cud_error_clear(err);
    if (length) *length = 0;
    if (!text) return missing(err, "cuddle_detokenize", "text");
    *text = NULL;
    if (!tokenizer) return missing(err, "cuddle_detokenize", "tokenizer");
    if (!ids && count) return missing(err, "cuddle_detokenize", "ids");
    if (flags & ~(unsigned)CUDDLE_DETOKENIZE_SKIP_SPECIAL)
        return cud_fail(err, CUDDLE_E_ARG, "cuddle_detokenize: flags 0x%x", flags);
    return cud_tokenizer_decode(text, length, tokenizer, ids, count, flags, err);
}

void cuddle_text_free(char *text) { free(text); }

cuddle_status cuddle_detokenizer_new(cuddle_detokenizer **out, const cuddle_tokenizer *tokenizer, unsigned flags, cuddle_error *err)
{
    cud_error_clear(err);
    if (!out) return missing(err, "cuddle_detokenizer_new", "out");
    *out = NULL;
    if (!tokenizer) return missing(err, "cuddle_detokenizer_new", "tokenizer");
    if (flags & ~(unsigned)CUDDLE_DETOKENIZE_SKIP_SPECIAL)
        return cud_fail(err, CUDDLE_E_ARG, "cuddle_detokenizer_new: flags 0x%x", flags);
    return cud_detokenizer_new(out, tokenizer, flags, err);
}

/* What push and finish have in common: the outputs are defined whatever happens. */
static cuddle_status piece_outputs(cuddle_detokenizer *d, const char **piece, size_t *length, const char *function,
                                   cuddle_error *err)
{
    cud_error_clear(err);
    if (piece) *piece = "";
    if (length) *length = 0;
    if (!d) return missing(err, function, "d");
    if (!piece) return missing(err, function, "piece");
    return length ? CUDDLE_OK : missing(err, function, "length");
}

cuddle_status cuddle_detokenizer_push(cuddle_detokenizer *d, int32_t id, const char **piece, size_t *length, cuddle_error *err)
{
    const cuddle_status status = piece_outputs(d, piece, length, "cuddle_detokenizer_push", err);
    return status ? status : cud_detokenizer_push(d, id, piece, length, err);
}

cuddle_status cuddle_detokenizer_finish(cuddle_detokenizer *d, const char **piece, size_t *length, cuddle_error *err)
{
    const cuddle_status status = piece_outputs(d, piece, length, "cuddle_detokenizer_finish", err);
    return status ? status : cud_detokenizer_finish(d, piece, length, err);
}

void cuddle_detokenizer_free(cuddle_detokenizer *d) { cud_detokenizer_free(d); }
