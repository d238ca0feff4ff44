/* ByteFallback, Fuse, Strip, and Join, which is what decoding without a decoder does. */
#include "text/types.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* ---- ByteFallback: a run of tokens <0xXX> is the text of these bytes if they are UTF-8, else one U+FFFD for each ----
 * A run that may still be UTF-8 is held to its end, because one bad byte changes all of it; a byte of memory for each token. */

enum { UNDECIDED = 0, PLAIN = 1 }; /* phase: may this token still become <0xXX>? */
enum { BYTE_TOKEN = 6 };

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int byte_token(const char *s)
{
    if (memcmp(s, "<0x", 3) != 0 || s[5] != '>') return -1;
    if (s[3] == '+') return hex(s[4]); /* the reference parses these two as a number, and a number may have a sign */
    return hex(s[3]) < 0 || hex(s[4]) < 0 ? -1 : hex(s[3]) * 16 + hex(s[4]);
}

static cuddle_status bad_bytes(cud_stream *s, size_t count, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    while (count-- > 0 && !status) status = cud_stream_emit(s, replacement, 3, CUD_TOKEN_WHOLE, err);
    return status;
}

/* count: 1 when the run can no longer be UTF-8; held: the run until then. */
static cuddle_status add_byte(cud_stream *s, int byte, cuddle_error *err)
{
    if (s->count) return bad_bytes(s, 1, err);
    const char c = (char)byte;
    const cuddle_status status = cud_bytes_add(&s->held, &c, 1, err);
    if (status || cud_utf8_step(&s->utf8, (unsigned char)byte)) return status;
    s->count = 1;
    const size_t bytes = s->held.used;
    s->held.used = 0;
    return bad_bytes(s, bytes, err);
}

static cuddle_status end_run(cud_stream *s, cuddle_error *err)
{
    const size_t bytes = s->held.used;
    const bool whole = !s->utf8.left;
    s->held.used = 0;
    s->count = 0;
    s->utf8 = (cud_utf8_state){ 0 };
    if (!bytes) return CUDDLE_OK;
    return whole ? cud_stream_emit(s, s->held.data, bytes, CUD_TOKEN_WHOLE, err) : bad_bytes(s, bytes, err);
}

static cuddle_status byte_fallback_feed(cud_stream *s, const char *text, size_t size, unsigned edges, cuddle_error *err)
{
    if (edges & CUD_TOKEN_BEGIN) s->phase = UNDECIDED, s->matched = 0;
    if (s->phase == PLAIN) return cud_stream_emit(s, text, size, edges & CUD_TOKEN_END, err);
    const size_t room = BYTE_TOKEN - s->matched;
    if (size <= room) {
        memcpy(s->tail + s->matched, text, size);
        s->matched += size;
        if (!(edges & CUD_TOKEN_END)) return CUDDLE_OK;
        const int byte = s->matched == BYTE_TOKEN ? byte_token(s->tail) : -1;
        if (byte >= 0) return add_byte(s, byte, err);
        size = 0;
    }
    s->phase = PLAIN;
    cuddle_status status = end_run(s, err);
    if (!status) status = cud_stream_emit(s, s->tail, s->matched, CUD_TOKEN_BEGIN, err);
    return status ? status : cud_stream_emit(s, text, size, edges & CUD_TOKEN_END, err);
}

static cuddle_status byte_fallback_alone(cud_alone *token, const void *config, bool *possible, cuddle_error *err)
{
    (void)config, (void)possible, (void)err;
    const int byte = token->bytes.used == BYTE_TOKEN && !token->is_bytes ? byte_token(token->bytes.data) : -1;
    if (byte < 0) return CUDDLE_OK;
    token->bytes.data[0] = (char)byte;
    token->bytes.used = 1;
    token->is_bytes = true;
    return CUDDLE_OK;
}

const cud_decoder_type cud_decoder_byte_fallback = { { "ByteFallback", NULL, NULL }, byte_fallback_feed, end_run, byte_fallback_alone };

/* ---- Fuse: all tokens become one ---- */

static cuddle_status fuse_feed(cud_stream *s, const char *text, size_t size, unsigned edges, cuddle_error *err)
{
    return cud_stream_emit(s, text, size, s->tokens == 1 ? edges & CUD_TOKEN_BEGIN : 0, err);
}

static cuddle_status fuse_finish(cud_stream *s, cuddle_error *err)
{
    return cud_stream_emit(s, "", 0, s->tokens ? CUD_TOKEN_END : CUD_TOKEN_WHOLE, err);
}

static cuddle_status fuse_alone(cud_alone *token, const void *config, bool *possible, cuddle_error *err)
{
    (void)token, (void)config, (void)possible, (void)err;
    return CUDDLE_OK;
}

const cud_decoder_type cud_decoder_fuse = { { "Fuse", NULL, NULL }, fuse_feed, fuse_finish, fuse_alone };

/* ---- Strip: up to `start` copies of a character at the beginning of each token and up to `stop` at its end ---- */

typedef struct strip_config {
    char content[4];
    size_t length;
    int64_t start, stop;
} strip_config;

static cuddle_status strip_parse(void **config, const cud_part *in, cuddle_error *err)
{
    int32_t content = 0;
    strip_config *c = calloc(1, sizeof *c);
    if (!c) return cud_nomem(err, sizeof *c, in->label);
    cuddle_status status = cud_part_fields(in, (const char *const[]){ "content", "start", "stop", NULL }, err);
    if (!status) status = cud_part_char(&content, in, "content", CUD_JSON_REQUIRED, err);
    if (!status) status = cud_json_int(&c->start, &in->json, "start", CUD_JSON_REQUIRED, 0, INT32_MAX, err);
    if (!status) status = cud_json_int(&c->stop, &in->json, "stop", CUD_JSON_REQUIRED, 0, INT32_MAX, err);
    if (status) {
        free(c);
        return status;
    }
    c->length = cud_utf8_encode(c->content, content);
    *config = c;
    return CUDDLE_OK;
}

enum { AT_START = 0, INSIDE = 1 }; /* phase */

/* count: at the start, copies cut; inside, copies held because the token may end behind them. matched: bytes of the next copy. */
static cuddle_status strip_byte(cud_stream *s, const strip_config *c, char byte, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    if (s->phase == AT_START && (int64_t)s->count == c->start) s->phase = INSIDE, s->count = 0;
    if (byte == c->content[s->matched]) {
        if (++s->matched < c->length) return CUDDLE_OK;
        s->matched = 0;
        s->count++;
        if (s->phase == AT_START || (int64_t)s->count <= c->stop) return CUDDLE_OK;
        s->count--;
        return cud_stream_emit(s, c->content, c->length, 0, err);
    }
    const size_t held = s->phase == INSIDE ? s->count : 0;
    s->phase = INSIDE;
    s->count = 0;
    for (size_t i = 0; i < held && !status; i++) status = cud_stream_emit(s, c->content, c->length, 0, err);
    if (!status && s->matched) status = cud_stream_emit(s, c->content, s->matched, 0, err);
    s->matched = 0;
    return status ? status : cud_stream_emit(s, &byte, 1, 0, err); /* no copy begins here: UTF-8 begins none inside a character */
}

static cuddle_status strip_feed(cud_stream *s, const char *text, size_t size, unsigned edges, cuddle_error *err)
{
    const strip_config *c = s->config;
    cuddle_status status = CUDDLE_OK;
    if (edges & CUD_TOKEN_BEGIN) {
        s->phase = AT_START, s->count = s->matched = 0;
        status = cud_stream_emit(s, "", 0, CUD_TOKEN_BEGIN, err);
    }
    for (size_t i = 0; i < size && !status;) {
        if (s->phase == INSIDE && !s->matched && !s->count) { /* what cannot be cut goes out in one piece */
            const char *next = c->stop ? memchr(text + i, c->content[0], size - i) : NULL;
            const size_t plain = next ? (size_t)(next - text) - i : size - i;
            if (plain) status = cud_stream_emit(s, text + i, plain, 0, err);
            i += plain;
            if (i == size) break;
        }
        if (!status) status = strip_byte(s, c, text[i++], err);
    }
    if (!status && edges & CUD_TOKEN_END) {
        if (s->matched) status = cud_stream_emit(s, c->content, s->matched, 0, err);
        s->matched = s->count = 0;
        if (!status) status = cud_stream_emit(s, "", 0, CUD_TOKEN_END, err);
    }
    return status;
}

/* Behind Fuse there is one token, and what is cut at its beginning is no concern of the others. */
static cuddle_status strip_alone(cud_alone *token, const void *config, bool *possible, cuddle_error *err)
{
    (void)err;
    const strip_config *c = config;
    if (c->stop > 0 || c->length != 1 || c->content[0] != ' ') *possible = false;
    if (c->start > 0) token->first_spaces = true;
    return CUDDLE_OK;
}

const cud_decoder_type cud_decoder_strip = { { "Strip", strip_parse, NULL }, strip_feed, NULL, strip_alone };

/* ---- Join: no decoder means tokens with spaces between them ---- */

static cuddle_status join_feed(cud_stream *s, const char *text, size_t size, unsigned edges, cuddle_error *err)
{
    cuddle_status status = CUDDLE_OK;
    if (edges & CUD_TOKEN_BEGIN && s->tokens > 1) status = cud_stream_emit(s, " ", 1, CUD_TOKEN_WHOLE, err);
    return status ? status : cud_stream_emit(s, text, size, edges, err);
}

const cud_decoder_type cud_decoder_join = { { "Join", NULL, NULL }, join_feed, NULL, NULL };
