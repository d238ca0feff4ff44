/* ByteLevel in all its roles: every byte of the text becomes one character of an alphabet of 256 printable ones (GPT-2). */
#include "text/regex.h"
#include "text/types.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

static const char gpt2_regex[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* Printable Latin-1 stands for itself; the other 68 bytes are U+0100 and up in order. */
static bool printable(unsigned byte) { return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae; }

int32_t cud_byte_to_char(unsigned byte)
{
    if (printable(byte)) return (int32_t)byte;
    if (byte <= 0x20) return (int32_t)(0x100 + byte);
    if (byte <= 0xa0) return (int32_t)(0x100 + 0x21 + byte - 0x7f);
    return 0x143; /* 0xad, the last one */
}

/* -1 for a character outside the alphabet. */
static int char_to_byte(int32_t c)
{
    if (c < 0x100) return c >= 0 && printable((unsigned)c) ? c : -1;
    if (c <= 0x120) return c - 0x100;
    if (c <= 0x142) return c - 0x100 - 0x21 + 0x7f;
    return c == 0x143 ? 0xad : -1;
}

typedef struct byte_level_config {
    bool add_prefix_space, trim_offsets, use_regex;
    bool leave_bytes; /* the model takes them as they are */
    cud_regex *regex;
} byte_level_config;

static void byte_level_free(void *config)
{
    byte_level_config *c = config;
    if (!c) return;
    cud_regex_free(c->regex);
    free(c);
}

/* The three roles share the fields and need different ones of them. */
static cuddle_status byte_level_parse(void **config, const cud_part *in, cuddle_error *err)
{
    byte_level_config *c = calloc(1, sizeof *c);
    if (!c) return cud_nomem(err, sizeof *c, in->label);
    c->use_regex = true;
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "add_prefix_space", "trim_offsets", "use_regex", NULL }, err);
    if (!status) status = cud_part_bool(&c->add_prefix_space, in, "add_prefix_space", CUD_JSON_REQUIRED, err);
    if (!status) status = cud_part_bool(&c->trim_offsets, in, "trim_offsets", CUD_JSON_REQUIRED, err);
    if (!status) status = cud_part_bool(&c->use_regex, in, "use_regex", CUD_JSON_OPTIONAL, err);
    if (status)
        byte_level_free(c);
    else
        *config = c;
    return status;
}

/* ---- pre-tokenizer and normalizer ---- */

static cuddle_status pre_tokenizer_parse(void **config, const cud_part *in, cuddle_error *err)
{
    const cuddle_status status = byte_level_parse(config, in, err);
    byte_level_config *c = *config;
    if (status || !c->use_regex) return status;
    const cuddle_status compiled = cud_regex_compile(&c->regex, gpt2_regex, sizeof gpt2_regex - 1, in->label, err);
    if (compiled) byte_level_free(c);
    return compiled;
}

static cuddle_status prefix_piece(cud_writer *w, const void *config)
{
    (void)config;
    if (w->from[0] == ' ')
        cud_keep(w, w->length);
    else
        cud_prepend(w, " ", 1);
    return CUDDLE_OK;
}

static cuddle_status alphabet_piece(cud_writer *w, const void *config)
{
    (void)config;
    while (w->at < w->length && !w->status) {
        char out[16];
        size_t used = 0, size = cud_utf8_length((unsigned char)w->from[w->at]);
        if (size == 1 && printable((unsigned char)w->from[w->at])) {
            cud_keep(w, 1);
            continue;
        }
        for (size_t i = 0; i < size; i++) used += cud_utf8_encode(out + used, cud_byte_to_char((unsigned char)w->from[w->at + i]));
        cud_replace_char(w, out, used, size);
    }
    return CUDDLE_OK;
}

static cuddle_status regex_find(cud_splitter *s, const char *text, size_t length, const void *config)
{
    return cud_split_regex(s, ((const byte_level_config *)config)->regex, text, length);
}

static cuddle_status pre_tokenizer_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    const byte_level_config *c = config;
    cuddle_status status = CUDDLE_OK;
    if (c->add_prefix_space) status = cud_pieces_rewrite(p, prefix_piece, NULL, err);
    if (!status && c->regex) status = cud_pieces_split(p, regex_find, c, CUD_SPLIT_ISOLATED, false, err);
    return status || c->leave_bytes ? status : cud_pieces_rewrite(p, alphabet_piece, NULL, err);
}

void cud_byte_level_leave_bytes(void *config) { ((byte_level_config *)config)->leave_bytes = true; }

static cuddle_status normalizer_apply(cud_pieces *p, const void *config, cuddle_error *err)
{
    (void)config;
    return cud_pieces_rewrite(p, alphabet_piece, NULL, err);
}

const cud_step_type cud_pre_tokenizer_byte_level = { { "ByteLevel", pre_tokenizer_parse, byte_level_free }, pre_tokenizer_apply };
const cud_step_type cud_normalizer_byte_level = { { "ByteLevel", NULL, NULL }, normalizer_apply };

/* ---- post-processor: white space at a token's ends is no part of its offsets ---- */

static bool is_space(int32_t c) { return c == 0x120 || cud_is_white(c); }

/* Moves `at` forward by at most `count` characters of the given text, not beyond `end`. */
static size_t forward(const cud_given *given, size_t at, size_t end, size_t count)
{
    for (; count > 0 && at < end && at < given->length; count--) at += cud_utf8_length((unsigned char)given->text[at]);
    return at < end ? at : end;
}

static size_t backward(const cud_given *given, size_t at, size_t begin, size_t count)
{
    for (; count > 0 && at > begin; count--) do
            at--;
        while (at > begin && ((unsigned char)given->text[at] & 0xc0) == 0x80);
    return at;
}

/* A token whose offsets mean nothing (characters before it were dropped) may have more white space than there is text up to its
 * end: it is left alone, as in the reference. */
static void trim(const cud_processing *p, cud_token *token, bool first, bool add_prefix_space)
{
    if (token->special) return; /* at (0, 0) */
    const cud_given *given = &p->given[token->source];
    size_t length = 0, size, leading = 0, trailing = 0;
    const char *s = cud_vocab_token(p->vocab, token->id, &length);
    if (token->text_end) {
        s = given->pieces->text.bytes + token->text_begin;
        length = token->text_end - token->text_begin;
    }
    if (!s || !length || ((signed char)s[0] > ' ' && (signed char)s[length - 1] > ' ')) return; /* no white space of ASCII is above it */
    for (size_t at = 0; at < length && is_space(cud_utf8_decode(s + at, &size)); at += size) leading++;
    for (size_t at = length; at > 0 && is_space(cud_utf8_decode_before(s, s + at, &size)); at -= size) trailing++;
    if (leading == 1 && add_prefix_space && (first || token->begin == 0)) leading = 0; /* it is the one that was added */
    if (leading) token->begin = forward(given, token->begin, token->end, leading);
    if (trailing && backward(given, token->end, 0, trailing - 1) > 0) token->end = backward(given, token->end, token->begin, trailing);
}

static void trim_all(const cud_processing *p, cud_tokens *tokens, bool add_prefix_space)
{
    for (size_t i = 0; i < tokens->count; i++) trim(p, &tokens->token[i], i == 0, add_prefix_space);
}

void cud_trim_offsets(cud_processing *p, bool add_prefix_space)
{
    for (int i = 0; i < p->count; i++) {
        trim_all(p, &p->run[i].tokens, add_prefix_space);
        for (size_t w = 0; w < p->run[i].windows; w++) trim_all(p, &p->run[i].window[w], add_prefix_space);
    }
}

static cuddle_status processor_apply(cud_processing *p, const void *config, cuddle_error *err)
{
    (void)err;
    const byte_level_config *c = config;
    if (c->trim_offsets) cud_trim_offsets(p, c->add_prefix_space);
    return CUDDLE_OK;
}

const cud_processor_type cud_processor_byte_level = { { "ByteLevel", byte_level_parse, byte_level_free }, processor_apply, NULL };

/* ---- decoder: all tokens become one text. Bytes that are no UTF-8 become U+FFFD, one per maximal part of a character. ----
 * A token with a character outside the alphabet (an added token) is taken as it is, so a token must be whole before it is read:
 * held is for those that come in parts. */

static cuddle_status lossy_byte(cud_stream *s, unsigned char byte, cuddle_error *err)
{
    if (!cud_utf8_step(&s->utf8, byte)) {
        const cuddle_status status = cud_stream_emit(s, "\xef\xbf\xbd", 3, 0, err);
        const bool retry = s->matched > 0; /* the byte ended a character too early and may begin one itself */
        s->matched = 0;
        return status || !retry ? status : lossy_byte(s, byte, err);
    }
    s->tail[s->matched++] = (char)byte;
    if (s->utf8.left) return CUDDLE_OK;
    const size_t length = s->matched;
    s->matched = 0;
    return cud_stream_emit(s, s->tail, length, 0, err);
}

static cuddle_status decode_token(cud_stream *s, const char *text, size_t length, cuddle_error *err)
{
    bool raw = false;
    size_t size;
    for (size_t at = 0; at < length && !raw; at += size) raw = char_to_byte(cud_utf8_decode(text + at, &size)) < 0;
    cuddle_status status = CUDDLE_OK;
    for (size_t at = 0; at < length && !status; at += size) {
        const int byte = raw ? (size = 1, (unsigned char)text[at]) : char_to_byte(cud_utf8_decode(text + at, &size));
        status = lossy_byte(s, (unsigned char)byte, err);
    }
    return status;
}

static cuddle_status decoder_feed(cud_stream *s, const char *text, size_t size, unsigned edges, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    if (s->tokens == 1 && edges & CUD_TOKEN_BEGIN) status = cud_stream_emit(s, "", 0, CUD_TOKEN_BEGIN, err);
    if (status) return status;
    if ((edges & CUD_TOKEN_WHOLE) == CUD_TOKEN_WHOLE) return decode_token(s, text, size, err);
    if (edges & CUD_TOKEN_BEGIN) s->held.used = 0;
    status = cud_bytes_add(&s->held, text, size, err);
    return status || !(edges & CUD_TOKEN_END) ? status : decode_token(s, s->held.data, s->held.used, err);
}

static cuddle_status decoder_finish(cud_stream *s, cuddle_error *err)
{
    cuddle_status status = s->tokens ? CUDDLE_OK : cud_stream_emit(s, "", 0, CUD_TOKEN_BEGIN, err);
    if (!status && s->matched) status = cud_stream_emit(s, "\xef\xbf\xbd", 3, 0, err);
    return status ? status : cud_stream_emit(s, "", 0, CUD_TOKEN_END, err);
}

static cuddle_status decoder_alone(cud_alone *token, const void *config, bool *possible, cuddle_error *err)
{
    (void)config, (void)possible, (void)err;
    size_t size, used = 0;
    for (size_t at = 0; at < token->bytes.used; at += size)
        if (char_to_byte(cud_utf8_decode(token->bytes.data + at, &size)) < 0) return CUDDLE_OK;
    for (size_t at = 0; at < token->bytes.used; at += size)
        token->bytes.data[used++] = (char)char_to_byte(cud_utf8_decode(token->bytes.data + at, &size));
    token->bytes.used = used;
    token->is_bytes = true;
    return CUDDLE_OK;
}

const cud_decoder_type cud_decoder_byte_level = { { "ByteLevel", byte_level_parse, byte_level_free },
                                                  decoder_feed,
                                                  decoder_finish,
                                                  decoder_alone };
