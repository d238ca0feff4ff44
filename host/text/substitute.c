#include "text/substitute.h"

#include <string.h>

void cud_substitution_borders(uint32_t *fallback, const char *pattern, size_t length)
{
    uint32_t border = 0;
    for (size_t i = 0; i < length; i++) {
        if (i == 0) {
            fallback[0] = 0;
            continue;
        }
        while (border && pattern[i] != pattern[border]) border = fallback[border - 1];
        if (pattern[i] == pattern[border]) border++;
        fallback[i] = border;
    }
}

cuddle_status cud_substitute(cud_stream *s, const cud_substitution *what, const char *text, size_t size, unsigned edges,
                             cuddle_error *err)
{
    cuddle_status status = edges & CUD_TOKEN_BEGIN ? cud_stream_emit(s, "", 0, CUD_TOKEN_BEGIN, err) : CUDDLE_OK;
    size_t plain = 0; /* text[plain..i) holds no match and goes out in one piece */
    for (size_t i = 0; i < size && !status; i++) {
        if (!s->matched && text[i] != what->pattern[0]) continue;
        if (!s->matched && i > plain) status = cud_stream_emit(s, text + plain, i - plain, 0, err);
        while (!status && s->matched && text[i] != what->pattern[s->matched]) {
            const size_t border = what->fallback[s->matched - 1]; /* still a beginning of the pattern; what is before it is not */
            status = cud_stream_emit(s, what->pattern, s->matched - border, 0, err);
            s->matched = border;
        }
        plain = i;
        if (text[i] != what->pattern[s->matched]) continue;
        plain = i + 1;
        if (++s->matched < what->pattern_length) continue;
        s->matched = 0;
        if (!status) status = cud_stream_emit(s, what->content, what->content_length, 0, err);
    }
    if (!status && size > plain) status = cud_stream_emit(s, text + plain, size - plain, 0, err);
    if (!status && edges & CUD_TOKEN_END) {
        if (s->matched) status = cud_stream_emit(s, what->pattern, s->matched, 0, err);
        s->matched = 0;
        if (!status) status = cud_stream_emit(s, "", 0, CUD_TOKEN_END, err);
    }
    return status;
}

void cud_replace_alone(cud_alone *token, const char *pattern, size_t pattern_length, const char *content, size_t content_length)
{
    if (token->is_bytes) return;
    char *s = token->bytes.data;
    size_t used = 0;
    for (size_t at = 0; at < token->bytes.used;) {
        if (token->bytes.used - at >= pattern_length && memcmp(s + at, pattern, pattern_length) == 0) {
            if (content_length) memcpy(s + used, content, content_length);
            used += content_length;
            at += pattern_length;
        } else {
            s[used++] = s[at++];
        }
    }
    token->bytes.used = used;
}
