#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/regex.h"

#include "text/scan_words.h"
#include "text/unicode.h"

#include <pcre2.h>
#include <stdlib.h>

enum {
    MATCH_LIMIT = 10000000, /* steps of one match: well under a second */
    DEPTH_LIMIT = 1000000,
    HEAP_LIMIT = 256 * 1024, /* KiB */
    JIT_STACK_MIN = 32 * 1024,
    JIT_STACK_MAX = 8 * 1024 * 1024
};

struct cud_regex {
    pcre2_code *code;
    cud_scan_fn scan; /* does the same; then there is no code */
};

struct cud_regex_scratch {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

static void *take(size_t size, void *user) { return (void)user, malloc(size); }
static void give(void *p, void *user) { (void)user, free(p); }

cuddle_status cud_regex_compile(cud_regex **out, const char *pattern, size_t length, const char *where, cuddle_error *err)
{
    *out = NULL;
    const cud_scan_fn scan = cud_scan_of_pattern(pattern, length);
    if (scan) {
        *out = calloc(1, sizeof **out);
        if (!*out) return cud_nomem(err, sizeof **out, "a regular expression");
        (*out)->scan = scan;
        return CUDDLE_OK;
    }
    char *text = NULL;
    size_t text_length = 0;
    cuddle_status status = cud_regex_translate(&text, &text_length, pattern, length, where, err);
    if (status) return status;
    cud_regex *r = calloc(1, sizeof *r);
    pcre2_general_context *memory = pcre2_general_context_create(take, give, NULL);
    pcre2_compile_context *context = memory ? pcre2_compile_context_create(memory) : NULL;
    if (!r || !context) {
        status = cud_nomem(err, sizeof *r, "a regular expression");
        goto end;
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_bsr(context, PCRE2_BSR_UNICODE);
    int error = 0;
    PCRE2_SIZE at = 0;
    const uint32_t options =
        PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C; /* Ruby's ^ and $ are those of lines */
    r->code = pcre2_compile((PCRE2_SPTR)text, text_length, options, &error, &at, context);
    if (!r->code) {
        PCRE2_UCHAR reason[128] = "unknown";
        pcre2_get_error_message(error, reason, sizeof reason);
        status = error == PCRE2_ERROR_HEAP_FAILED
                     ? cud_nomem(err, text_length, "a regular expression")
                     : cud_fail(err, CUDDLE_E_UNSUPPORTED, "tokenizer.json: %s: regex \"%.80s\" is not supported: %s", where,
                                pattern, (const char *)reason);
        goto end;
    }
    pcre2_jit_compile(r->code,
                      PCRE2_JIT_COMPLETE); /* without it (no JIT on this machine) the interpreter runs, with the same results */
end:
    free(text);
    pcre2_compile_context_free(context);
    pcre2_general_context_free(memory);
    if (status)
        cud_regex_free(r);
    else
        *out = r;
    return status;
}

void cud_regex_free(cud_regex *r)
{
    if (!r) return;
    pcre2_code_free(r->code);
    free(r);
}

cud_scan_fn cud_regex_scan(const cud_regex *r) { return r->scan; }

void cud_regex_scratch_free(cud_regex_scratch *s)
{
    if (!s) return;
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->context);
    pcre2_jit_stack_free(s->stack);
    free(s);
}

static cud_regex_scratch *new_scratch(void)
{
    uint32_t jit = 0; /* compiled matching needs a stack of its own, or it would use 32 KiB of the thread's */
    pcre2_config(PCRE2_CONFIG_JIT, &jit);
    cud_regex_scratch *s = calloc(1, sizeof *s);
    pcre2_general_context *memory = pcre2_general_context_create(take, give, NULL);
    if (s && memory) {
        s->data = pcre2_match_data_create(1, memory);
        s->context = pcre2_match_context_create(memory);
        s->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, memory);
    }
    pcre2_general_context_free(memory); /* what was made with it keeps its own copy */
    if (!s || !s->data || !s->context || (jit && !s->stack)) {
        cud_regex_scratch_free(s);
        return NULL;
    }
    pcre2_set_match_limit(s->context, MATCH_LIMIT);
    pcre2_set_depth_limit(s->context, DEPTH_LIMIT);
    pcre2_set_heap_limit(s->context, HEAP_LIMIT);
    if (s->stack) pcre2_jit_stack_assign(s->context, NULL, s->stack);
    return s;
}

cuddle_status cud_regex_each(const cud_regex *r, cud_regex_scratch **scratch, const char *text, size_t length, cud_match_fn fn,
                             void *user, cuddle_error *err)
{
    uint32_t scanned;
    for (size_t at = 0; r->scan && at < length; at = scanned) {
        r->scan(&scanned, 1, text, length, at);
        const cuddle_status status = fn(user, at, scanned);
        if (status) return status;
    }
    if (r->scan) return CUDDLE_OK;
    if (!*scratch) *scratch = new_scratch();
    if (!*scratch) return cud_nomem(err, sizeof **scratch, "matching a regular expression");
    const cud_regex_scratch *s = *scratch;
    const PCRE2_SIZE *match = pcre2_get_ovector_pointer(s->data);
    size_t at = 0, last_end = SIZE_MAX;
    while (length && at <= length) { /* in an empty text nothing matches, not even the empty pattern */
        const int found = pcre2_match(r->code, (PCRE2_SPTR)text, length, at, PCRE2_NO_UTF_CHECK, s->data, s->context);
        if (found == PCRE2_ERROR_NOMATCH) return CUDDLE_OK;
        if (found == PCRE2_ERROR_NOMEMORY) return cud_nomem(err, length, "matching a regular expression");
        if (found < 0) {
            PCRE2_UCHAR reason[128] = "unknown";
            pcre2_get_error_message(found, reason, sizeof reason);
            return cud_fail(err, CUDDLE_E_LIMIT, "a regex of the tokenizer gave up at byte %zu of a piece of %zu: %s", at, length,
                            (const char *)reason);
        }
        size_t begin = match[0];
        const size_t end = match[1];
        if (begin < at || begin > end) begin = end; /* look-behind tricks (\K) are refused, so this does not happen */
        if (begin == end && end == last_end) {
            at = end < length ? end + cud_utf8_length((unsigned char)text[end]) : length + 1;
            continue;
        }
        const cuddle_status status = fn(user, begin, end);
        if (status) return status;
        at = last_end = end;
    }
    return CUDDLE_OK;
}
