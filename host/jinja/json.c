#include "jinja/json.h"

#include "jinja/number.h"
#include "text/unicode.h"

#include <math.h>

enum { DEPTH_MOST = 200 };

typedef struct reader {
    jrun *run;
    const char *text, *what;
    size_t size, at;
    int depth;
} reader;

static bool wrong(reader *r, const char *sentence)
{
    int line = 1;
    for (size_t i = 0; i < r->at && i < r->size; i++) line += r->text[i] == '\n';
    if (!r->run->status) r->run->status = cud_fail(r->run->err, CUDDLE_E_ARG, "%s: line %d: %s", r->what, line, sentence);
    return false;
}

static char skip_blanks(reader *r)
{
    while (r->at < r->size && (r->text[r->at] == ' ' || r->text[r->at] == '\n' || r->text[r->at] == '\t' || r->text[r->at] == '\r'))
        r->at++;
    return r->at < r->size ? r->text[r->at] : 0;
}

static bool take_word(reader *r, const char *word)
{
    const size_t length = strlen(word);
    if (r->size - r->at < length || memcmp(r->text + r->at, word, length) != 0) return false;
    r->at += length;
    return true;
}

static int hex4(const reader *r, size_t at)
{
    int value = 0;
    if (r->size - at < 4) return -1;
    for (size_t i = at; i < at + 4; i++) {
        const char c = r->text[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Behind "\u": writes a character, taking the second half of a pair too. */
static size_t read_escape(reader *r, char *out)
{
    int32_t c = hex4(r, r->at);
    if (c < 0) return wrong(r, "\\u without four hexadecimal digits"), 0;
    r->at += 4;
    if (c >= 0xd800 && c <= 0xdbff && r->size - r->at >= 6 && r->text[r->at] == '\\' && r->text[r->at + 1] == 'u') {
        const int low = hex4(r, r->at + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
            r->at += 6;
            return cud_utf8_encode(out, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
        }
    }
    if (c >= 0xd800 && c <= 0xdfff) return wrong(r, "\\u with half of a surrogate pair"), 0;
    return cud_utf8_encode(out, c);
}

static bool read_string(reader *r, jvalue *out)
{
    const size_t begin = ++r->at;
    size_t end = begin;
    bool escapes = false;
    for (; end < r->size && r->text[end] != '"'; end++) {
        if ((unsigned char)r->text[end] < 0x20) return r->at = end, wrong(r, "a control character in a string");
        if (r->text[end] == '\\') escapes = true, end++;
    }
    if (end >= r->size) return wrong(r, "a string without an end");
    *out = j_string(r->text + begin, end - begin);
    if (escapes) {
        char *text = cud_j_room(r->run, end - begin);
        size_t n = 0;
        if (!text) return false;
        while (r->at < end) {
            if (r->text[r->at] != '\\') {
                text[n++] = r->text[r->at++];
                continue;
            }
            static const char plain[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
            const char c = r->text[r->at + 1], *found = NULL;
            r->at += 2;
            for (const char *p = plain; *p; p += 2)
                if (*p == c) found = p + 1;
            if (found)
                text[n++] = *found;
            else if (c != 'u')
                return wrong(r, "an unknown escape in a string");
            else
                n += read_escape(r, text + n);
            if (r->run->status) return false;
        }
        *out = j_string(text, n);
    }
    r->at = end + 1;
    return true;
}

static bool read_number(reader *r, jvalue *out)
{
    const size_t begin = r->at;
    size_t at = begin + (r->text[begin] == '-'), digits = at;
    bool real = false;
    while (at < r->size && r->text[at] >= '0' && r->text[at] <= '9') at++;
    if (at == digits || (r->text[digits] == '0' && at > digits + 1)) return wrong(r, "a malformed number");
    if (at < r->size && r->text[at] == '.') {
        real = true;
        for (digits = ++at; at < r->size && r->text[at] >= '0' && r->text[at] <= '9';) at++;
        if (at == digits) return wrong(r, "a malformed number");
    }
    if (at < r->size && (r->text[at] == 'e' || r->text[at] == 'E')) {
        real = true;
        at++;
        if (at < r->size && (r->text[at] == '+' || r->text[at] == '-')) at++;
        for (digits = at; at < r->size && r->text[at] >= '0' && r->text[at] <= '9';) at++;
        if (at == digits) return wrong(r, "a malformed number");
    }
    r->at = at;
    if (real) {
        if (at - begin > 400) return wrong(r, "a number of more than 400 characters");
        *out = j_float(cud_j_parse_real(r->text + begin, at - begin));
        return true;
    }
    int64_t value;
    bool large;
    if (!cud_j_read_int(r->text + begin, at - begin, 10, &value, &large) || large)
        return wrong(r, "an integer that 64 bits cannot hold");
    *out = j_int(value);
    return true;
}

static bool read_value(reader *r, jvalue *out);

static bool read_array(reader *r, jvalue *out)
{
    jlist *list = cud_j_list(r->run, 4);
    *out = j_list(list);
    r->at++;
    if (!list) return false;
    if (skip_blanks(r) == ']') return r->at++, true;
    for (;;) {
        jvalue item;
        if (!read_value(r, &item) || !cud_j_push(r->run, list, item)) return false;
        const char c = skip_blanks(r);
        if (c != ',' && c != ']') return wrong(r, "expected ',' or ']'");
        r->at++;
        if (c == ']') return true;
    }
}

static bool read_object(reader *r, jvalue *out)
{
    jdict *dict = cud_j_dict(r->run);
    *out = j_dict(dict);
    r->at++;
    if (!dict) return false;
    if (skip_blanks(r) == '}') return r->at++, true;
    for (;;) {
        jvalue key, value;
        if (skip_blanks(r) != '"') return wrong(r, "expected a key: a string");
        if (!read_string(r, &key)) return false;
        if (skip_blanks(r) != ':') return wrong(r, "expected ':'");
        r->at++;
        if (!read_value(r, &value) || !cud_j_put(r->run, dict, key, value)) return false; /* of keys given twice the last counts */
        const char c = skip_blanks(r);
        if (c != ',' && c != '}') return wrong(r, "expected ',' or '}'");
        r->at++;
        if (c == '}') return true;
    }
}

static bool read_value(reader *r, jvalue *out)
{
    const char c = skip_blanks(r);
    if (!cud_j_step(r->run, 1)) return false;
    if (c == '"') return read_string(r, out);
    if (c == '-' && take_word(r, "-Infinity")) return *out = j_float(-(double)INFINITY), true;
    if (c == '-' || (c >= '0' && c <= '9')) return read_number(r, out);
    if (c == '{' || c == '[') {
        if (++r->depth > DEPTH_MOST) return wrong(r, "nested deeper than 200");
        if (c == '{' ? !read_object(r, out) : !read_array(r, out)) return false;
        r->depth--;
        return true;
    }
    if (take_word(r, "true"))
        *out = j_bool(true);
    else if (take_word(r, "false"))
        *out = j_bool(false);
    else if (take_word(r, "null"))
        *out = j_none();
    else if (take_word(r, "NaN"))
        *out = j_float((double)NAN);
    else if (take_word(r, "Infinity"))
        *out = j_float((double)INFINITY);
    else
        return wrong(r, r->at == r->size ? "the JSON ends where a value is expected" : "expected a JSON value");
    return true;
}

bool cud_j_json(jrun *j, jvalue *out, const char *text, size_t size, const char *what)
{
    reader r = { .run = j, .text = text, .size = size, .what = what };
    r.at = cud_utf8_valid(text, size);
    if (r.at < size) return wrong(&r, "is not UTF-8");
    r.at = 0;
    if (!cud_j_bytes(j, size) || !read_value(&r, out)) return false;
    return skip_blanks(&r) == 0 && r.at == size ? true : wrong(&r, "something follows the JSON value");
}
