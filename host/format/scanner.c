#include "format/scanner.h"

#include "core/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { EXPECT_VALUE, EXPECT_FIRST_ELEMENT, EXPECT_FIRST_KEY, EXPECT_NEXT, EXPECT_NOTHING, EXPECT_NO_MORE /* after an error */ };

void cud_scan_init(scanner *in, char *text, size_t size, const char *file, uint64_t base, cuddle_error *err)
{
    *in = (scanner){ .data = text, .size = size, .base = base, .file = file, .err = err, .expect = EXPECT_VALUE };
}

static scan_token fail(scanner *in, size_t at, const char *expected)
{
    char found[16] = "the end";
    if (at < in->size) {
        const unsigned char c = (unsigned char)in->data[at];
        snprintf(found, sizeof found, c >= 0x20 && c < 0x7f ? "'%c'" : "byte 0x%02x", c);
    }
    cud_fail(in->err, CUDDLE_E_FORMAT, "%s: byte %" PRIu64 ": found %s, expected %s", in->file, in->base + at, found, expected);
    in->expect = EXPECT_NO_MORE;
    return in->token = SCAN_ERROR;
}

static scan_token refuse(scanner *in, size_t at, const char *what)
{
    cud_fail(in->err, CUDDLE_E_FORMAT, "%s: byte %" PRIu64 ": %s", in->file, in->base + at, what);
    in->expect = EXPECT_NO_MORE;
    return in->token = SCAN_ERROR;
}

static void skip_space(scanner *in)
{
    while (in->at < in->size) {
        const char c = in->data[in->at];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r') break;
        in->at++;
    }
}

/* The four digits at `at`, or -1. */
static int32_t hex4(const scanner *in, size_t at)
{
    if (at > in->size || in->size - at < 4) return -1;
    int32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        const char c = in->data[at + i];
        int digit;
        if (c >= '0' && c <= '9') digit = c - '0';
        else if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
        else if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
        else return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Decodes the escape whose backslash is at `at` to out, which is not beyond it. Returns the bytes read, or 0; *written is how many it
 * became. */
static size_t unescape(scanner *in, size_t at, char *out, size_t *written)
{
    if (in->size - at < 2) {
        fail(in, in->size, "the rest of an escape");
        return 0;
    }
    *written = 1;
    switch (in->data[at + 1]) {
    case '"': *out = '"'; return 2;
    case '\\': *out = '\\'; return 2;
    case '/': *out = '/'; return 2;
    case 'b': *out = '\b'; return 2;
    case 'f': *out = '\f'; return 2;
    case 'n': *out = '\n'; return 2;
    case 'r': *out = '\r'; return 2;
    case 't': *out = '\t'; return 2;
    case 'u': break;
    default: fail(in, at + 1, "one of \"\\/bfnrtu after a backslash"); return 0;
    }
    int32_t c = hex4(in, at + 2);
    size_t read = 6;
    if (c < 0) {
        refuse(in, at, "\\u is not followed by four hexadecimal digits");
        return 0;
    }
    if (c >= 0xd800 && c <= 0xdbff) {
        const bool another = in->size - at >= 12 && in->data[at + 6] == '\\' && in->data[at + 7] == 'u';
        const int32_t low = another ? hex4(in, at + 8) : -1;
        if (low >= 0xdc00 && low <= 0xdfff) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            read = 12;
        }
    }
    if (c >= 0xd800 && c <= 0xdfff) {
        refuse(in, at, "an escaped surrogate has no partner");
        return 0;
    }
    *written = cud_utf8_encode(out, c);
    return read;
}

/* Printable ASCII that stands for itself in a string. */
static bool is_plain(char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

/* How many plain characters are at `at`. Eight at a time while the top bit of no byte is set in any of these sums; what one byte carries
 * into the next can only raise suspicion, and then they are looked at one by one. */
static size_t plain_run(const scanner *in, size_t at)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    const size_t begin = at;
    while (in->size - at >= 8) {
        uint64_t word;
        memcpy(&word, in->data + at, 8);
        const uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
        const uint64_t suspect = word | (word + ones) | (word - ones * 0x20) | (quote - ones) | (backslash - ones);
        if (suspect & tops) break;
        at += 8;
    }
    while (at < in->size && is_plain(in->data[at])) at++;
    return at - begin;
}

/* The string whose quote is at in->at. */
static scan_token scan_string(scanner *in, scan_token token)
{
    char *const text = in->data + in->at + 1, *write = text;
    size_t at = in->at + 1;
    for (;;) {
        const size_t run = at;
        size_t taken = plain_run(in, at);
        at += taken;
        if (taken == 0) {
            if (at == in->size) return fail(in, at, "the end of a string");
            const unsigned char c = (unsigned char)in->data[at];
            if (c == '"') break;
            if (c == '\\') {
                size_t written = 0;
                const size_t read = unescape(in, at, write, &written);
                if (!read) return SCAN_ERROR;
                at += read;
                write += written;
                continue;
            }
            if (c < 0x20) return fail(in, at, "control characters in strings to be escaped");
            taken = cud_utf8_size(in->data + at, in->size - at);
            if (!taken) return fail(in, at, "valid UTF-8");
            at += taken;
        }
        if (write != in->data + run) memmove(write, in->data + run, taken);
        write += taken;
    }
    *write = 0; /* at the latest in the place of the closing quote */
    in->text = text;
    in->length = (size_t)(write - text);
    in->at = at + 1;
    return in->token = token;
}

static size_t digits(const scanner *in, size_t at)
{
    size_t n = 0;
    while (at + n < in->size && in->data[at + n] >= '0' && in->data[at + n] <= '9') n++;
    return n;
}

/* Is this well-formed number 10^308 or more, whatever its sign? */
static bool is_huge(const char *text, size_t length)
{
    const int64_t most = (int64_t)1 << 40; /* of an exponent: more digits than any text has */
    int64_t place = 0, exponent = 0; /* of the first digit that is not 0, as a power of ten */
    bool found = false, after_point = false, down = false;
    size_t i = text[0] == '-';
    for (; i < length && text[i] != 'e' && text[i] != 'E'; i++) {
        if (text[i] == '.') after_point = true;
        else if (found) place += !after_point; /* digits of the whole part that follow it */
        else if (text[i] != '0') {
            found = true;
            place -= after_point;
        } else place -= after_point;
    }
    if (++i < length && (text[i] == '+' || text[i] == '-')) down = text[i++] == '-';
    for (; i < length; i++)
        if (exponent < most) exponent = exponent * 10 + (text[i] - '0');
    return found && place + (down ? -exponent : exponent) >= 308;
}

static scan_token scan_number(scanner *in)
{
    size_t at = in->at;
    if (in->data[at] == '-') at++;
    const size_t whole = digits(in, at);
    if (!whole) return fail(in, at, "a digit");
    if (whole > 1 && in->data[at] == '0') return refuse(in, at, "a number begins with a superfluous 0");
    at += whole;
    bool plain = whole <= 308;
    if (at < in->size && in->data[at] == '.') {
        const size_t fraction = digits(in, at + 1);
        if (!fraction) return fail(in, at + 1, "a digit");
        at += 1 + fraction;
    }
    if (at < in->size && (in->data[at] == 'e' || in->data[at] == 'E')) {
        at++;
        if (at < in->size && (in->data[at] == '+' || in->data[at] == '-')) at++;
        const size_t exponent = digits(in, at);
        if (!exponent) return fail(in, at, "a digit");
        at += exponent;
        plain = false;
    }
    if (!plain && is_huge(in->data + in->at, at - in->at)) return refuse(in, in->at, "a number is 10^308 or more");
    in->text = in->data + in->at;
    in->length = at - in->at;
    in->at = at;
    return in->token = SCAN_NUMBER;
}

static scan_token scan_word(scanner *in, const char *word, scan_token token)
{
    const size_t length = strlen(word);
    if (in->size - in->at < length || memcmp(in->data + in->at, word, length) != 0) return fail(in, in->at, "a JSON value");
    in->at += length;
    return in->token = token;
}

static scan_token open_container(scanner *in, bool object)
{
    if (in->depth == CUD_SCAN_DEPTH) return refuse(in, in->at, "objects and arrays are nested more than 127 deep");
    uint64_t *const word = &in->is_object[in->depth / 64];
    const uint64_t bit = (uint64_t)1 << (in->depth % 64);
    *word = object ? *word | bit : *word & ~bit;
    in->depth++;
    in->at++;
    in->expect = object ? EXPECT_FIRST_KEY : EXPECT_FIRST_ELEMENT;
    return in->token = object ? SCAN_OBJECT : SCAN_ARRAY;
}

static scan_token close_container(scanner *in, scan_token token)
{
    in->depth--;
    in->at++;
    in->expect = in->depth ? EXPECT_NEXT : EXPECT_NOTHING;
    return in->token = token;
}

static scan_token scan_value(scanner *in)
{
    const char c = in->at < in->size ? in->data[in->at] : 0;
    if (c == '{' || c == '[') return open_container(in, c == '{');
    in->expect = in->depth ? EXPECT_NEXT : EXPECT_NOTHING;
    switch (c) {
    case '"': return scan_string(in, SCAN_STRING);
    case 't': return scan_word(in, "true", SCAN_TRUE);
    case 'f': return scan_word(in, "false", SCAN_FALSE);
    case 'n': return scan_word(in, "null", SCAN_NULL);
    case '-': return scan_number(in);
    default: return c >= '0' && c <= '9' ? scan_number(in) : fail(in, in->at, "a JSON value");
    }
}

static scan_token scan_key(scanner *in)
{
    if (in->at == in->size || in->data[in->at] != '"') return fail(in, in->at, "a key in quotes");
    if (scan_string(in, SCAN_KEY) == SCAN_ERROR) return SCAN_ERROR;
    skip_space(in);
    if (in->at == in->size || in->data[in->at] != ':') return fail(in, in->at, "':'");
    in->at++;
    in->expect = EXPECT_VALUE;
    return SCAN_KEY;
}

scan_token cud_scan_next(scanner *in)
{
    if (in->expect == EXPECT_NO_MORE || in->token == SCAN_END) return in->token;
    skip_space(in);
    const char c = in->at < in->size ? in->data[in->at] : 0;
    in->begin = in->at;
    switch (in->expect) {
    case EXPECT_FIRST_KEY: return c == '}' ? close_container(in, SCAN_OBJECT_END) : scan_key(in);
    case EXPECT_FIRST_ELEMENT: return c == ']' ? close_container(in, SCAN_ARRAY_END) : scan_value(in);
    case EXPECT_VALUE: return scan_value(in);
    case EXPECT_NOTHING: return in->at == in->size ? (in->token = SCAN_END) : fail(in, in->at, "nothing after the root value");
    default: break; /* EXPECT_NEXT */
    }
    const bool object = in->is_object[(in->depth - 1) / 64] >> ((in->depth - 1) % 64) & 1;
    if (c == (object ? '}' : ']')) return close_container(in, object ? SCAN_OBJECT_END : SCAN_ARRAY_END);
    if (c != ',') return fail(in, in->at, object ? "',' or '}'" : "',' or ']'");
    in->at++;
    skip_space(in);
    in->begin = in->at;
    return object ? scan_key(in) : scan_value(in);
}

cuddle_status cud_scan_fail(const scanner *in, const char *format, ...)
{
    char what[200];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return cud_fail(in->err, CUDDLE_E_FORMAT, "%s: byte %" PRIu64 ": %s", in->file, in->base + in->begin, what);
}

bool cud_scan_skip(scanner *in)
{
    if (in->token != SCAN_OBJECT && in->token != SCAN_ARRAY) return in->token != SCAN_ERROR;
    const int outside = in->depth - 1;
    while (in->depth > outside)
        if (cud_scan_next(in) == SCAN_ERROR) return false;
    return true;
}

bool cud_scan_u64(const scanner *in, uint64_t *out)
{
    if (in->token != SCAN_NUMBER) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < in->length; i++) {
        const char c = in->text[i];
        if (c < '0' || c > '9') return false;
        const uint64_t digit = (uint64_t)(c - '0');
        if (value > (UINT64_MAX - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

const char *cud_scan_show(const scanner *in, char out[64])
{
    const bool cut = in->length > 48;
    size_t n = cut ? 48 : in->length;
    switch (in->token) {
    case SCAN_STRING:
    case SCAN_KEY:
        while (cut && n > 0 && ((unsigned char)in->text[n] & 0xc0) == 0x80) n--; /* back to a character's border */
        snprintf(out, 64, "\"%.*s%s\"", (int)n, in->text, cut ? "..." : "");
        break;
    case SCAN_NUMBER: snprintf(out, 64, "%.*s%s", (int)n, in->text, cut ? "..." : ""); break;
    case SCAN_OBJECT: snprintf(out, 64, "an object"); break;
    case SCAN_ARRAY: snprintf(out, 64, "an array"); break;
    case SCAN_TRUE: snprintf(out, 64, "true"); break;
    case SCAN_FALSE: snprintf(out, 64, "false"); break;
    case SCAN_NULL: snprintf(out, 64, "null"); break;
    default: snprintf(out, 64, "the end"); break;
    }
    return out;
}
