#include "jinja/lexer.h"

#include "jinja/chars.h"
#include "jinja/number.h"
#include "text/unicode.h"

#include <stdio.h>

static const struct {
    const char *text;
    jtoken_kind kind;
} operators[] = {
    /* longer ones first */
    { "//", T_FLOORDIV }, { "**", T_POW },      { "==", T_EQ },    { "!=", T_NE },    { ">=", T_GE },    { "<=", T_LE },
    { "+", T_ADD },       { "-", T_SUB },       { "/", T_DIV },    { "*", T_MUL },    { "%", T_MOD },    { "~", T_TILDE },
    { "[", T_LBRACKET },  { "]", T_RBRACKET },  { "(", T_LPAREN }, { ")", T_RPAREN }, { "{", T_LBRACE }, { "}", T_RBRACE },
    { ">", T_GT },        { "<", T_LT },        { "=", T_ASSIGN }, { ".", T_DOT },    { ":", T_COLON },  { "|", T_PIPE },
    { ",", T_COMMA },     { ";", T_SEMICOLON },
};
enum { OPERATORS = sizeof operators / sizeof *operators };

const char *cud_j_token_name(jtoken_kind kind)
{
    switch (kind) {
    case T_END: return "the end of the template";
    case T_DATA: return "text";
    case T_PRINT_BEGIN: return "'{{'";
    case T_PRINT_END: return "'}}'";
    case T_BLOCK_BEGIN: return "'{%'";
    case T_BLOCK_END: return "'%}'";
    case T_NAME: return "a name";
    case T_STRING: return "a string";
    case T_INT: return "an integer";
    case T_FLOAT: return "a number";
    default: break;
    }
    for (int i = 0; i < OPERATORS; i++)
        if (operators[i].kind == kind) return operators[i].text;
    return "?";
}

/* ---------------------------------------------------------------------------------------------------------- helpers */

static bool fail_at(jlexer *x, size_t at, const char *sentence)
{
    x->run->at = (uint32_t)at;
    return cud_j_fail(x->run, "%s", sentence);
}

static bool starts(const jlexer *x, size_t at, const char *word)
{
    const size_t length = strlen(word);
    return x->size - at >= length && memcmp(x->text + at, word, length) == 0;
}

static size_t skip_white(const jlexer *x, size_t at)
{
    size_t length;
    while (at < x->size && cud_j_is_space(cud_utf8_decode(x->text + at, &length))) at += length;
    return at;
}

/* Where a tag that begins with '-' ends the text before it, or, without a sign, one that stands alone at the beginning of its line.
 */
static size_t text_end(const jlexer *x, size_t begin, size_t end, char sign, bool prints)
{
    if (sign == '+' || (sign != '-' && prints)) return end;
    size_t at = end, length;
    if (sign == '-') {
        while (at > begin && cud_j_is_space(cud_utf8_decode_before(x->text + begin, x->text + at, &length))) at -= length;
        return at;
    }
    size_t line = end;
    while (line > begin && x->text[line - 1] != '\n') line--;
    if (line == begin && begin > 0 && x->text[begin - 1] != '\n') return end; /* something else precedes it in this line */
    return skip_white(x, line) >= end ? line : end;
}

/* Is there an end of a tag at `at`? Then *after is what follows it, blanks taken into account. */
static bool tag_end(const jlexer *x, size_t at, const char *mark, bool trims, size_t *after)
{
    const char sign = x->text[at];
    const size_t begin = at + ((sign == '-' || (sign == '+' && trims)) ? 1 : 0);
    if (!starts(x, begin, mark)) return false;
    at = begin + strlen(mark);
    if (sign == '-')
        at = skip_white(x, at);
    else if (trims && sign != '+' && at < x->size && x->text[at] == '\n')
        at++;
    *after = at;
    return true;
}

static jtoken piece(const jlexer *x, jtoken_kind kind, size_t begin, size_t end)
{
    return (jtoken){ kind, (uint32_t)begin, j_string(x->text + begin, end - begin) };
}

/* ------------------------------------------------------------------------------------------------------ outside tags */

static bool skip_comment(jlexer *x, size_t tag, size_t at)
{
    const size_t begin = at;
    for (; at < x->size; at++)
        if (tag_end(x, at, "#}", true, &x->at)) return true;
    x->at = x->size;
    if (begin == x->size) return true; /* Jinja has nothing against one that begins where the template ends */
    return fail_at(x, tag, "the comment that begins here has no end");
}

/* Behind `{%` and its sign: does `raw %}` follow? Then *after is where its text begins. */
static bool raw_begin(const jlexer *x, size_t at, size_t *after)
{
    at = skip_white(x, at);
    if (!starts(x, at, "raw")) return false;
    at = skip_white(x, at + 3);
    return at < x->size && x->text[at] != '+' && tag_end(x, at, "%}", false, after);
}

/* The text up to {% endraw %}, as data. */
static bool raw(jlexer *x, size_t tag, size_t begin, jtoken *out)
{
    for (size_t at = begin; at < x->size; at++) {
        if (!starts(x, at, "{%")) continue;
        const char sign = at + 2 < x->size && (x->text[at + 2] == '-' || x->text[at + 2] == '+') ? x->text[at + 2] : 0;
        const size_t word = skip_white(x, at + 2 + (sign != 0));
        if (!starts(x, word, "endraw")) continue;
        const size_t end = skip_white(x, word + 6);
        if (end >= x->size || !tag_end(x, end, "%}", true, &x->at)) continue;
        *out = piece(x, T_DATA, begin, text_end(x, begin, at, sign, false));
        return true;
    }
    x->at = x->size;
    *out = piece(x, T_DATA, begin, begin);
    return begin == x->size || fail_at(x, tag, "the raw block that begins here has no end");
}

/* Text up to the next tag, then that tag's beginning. */
static bool lex_text(jlexer *x, jtoken *out)
{
    for (;;) {
        const size_t begin = x->at;
        size_t tag = begin;
        while (tag < x->size && !(x->text[tag] == '{' && tag + 1 < x->size && strchr("%{#", x->text[tag + 1]) && x->text[tag + 1]))
            tag++;
        if (tag == x->size) {
            x->at = tag;
            *out = tag > begin ? piece(x, T_DATA, begin, tag) : piece(x, T_END, tag, tag);
            return true;
        }
        const char mark = x->text[tag + 1];
        size_t after = tag + 2, text;
        const char sign = after < x->size && (x->text[after] == '-' || x->text[after] == '+') ? x->text[after] : 0;
        after += sign != 0;
        const size_t end = text_end(x, begin, tag, sign, mark == '{');
        jtoken next = { .kind = T_DATA };
        if (mark == '#') {
            if (!skip_comment(x, tag, after)) return false;
        } else if (mark == '%' && raw_begin(x, after, &text)) {
            if (!raw(x, tag, text, &next)) return false;
        } else {
            next = piece(x, mark == '{' ? T_PRINT_BEGIN : T_BLOCK_BEGIN, tag, after);
            x->state = mark == '{' ? LEX_PRINT : LEX_BLOCK;
            x->at = after;
        }
        x->waiting = next;
        x->is_waiting = next.kind != T_DATA || next.value.n > 0;
        if (end > begin) {
            *out = piece(x, T_DATA, begin, end);
            return true;
        }
        if (x->is_waiting) {
            x->is_waiting = false;
            *out = next;
            return true;
        }
    }
}

/* ------------------------------------------------------------------------------------------------------- inside tags */

static bool is_digit(const jlexer *x, size_t at) { return at < x->size && x->text[at] >= '0' && x->text[at] <= '9'; }

/* Digits with single underscores between them; where they end. */
static size_t digits(const jlexer *x, size_t at)
{
    while (is_digit(x, at) || (at < x->size && x->text[at] == '_' && is_digit(x, at + 1))) at++;
    return at;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

static bool lex_number(jlexer *x, jtoken *out)
{
    const size_t begin = x->at;
    size_t end = digits(x, begin);
    bool real = false;
    if (begin == 0 || x->text[begin - 1] != '.') {
        if (end < x->size && x->text[end] == '.' && is_digit(x, end + 1)) end = digits(x, end + 1), real = true;
        if (end < x->size && (x->text[end] == 'e' || x->text[end] == 'E')) {
            const size_t sign = end + 1 < x->size && (x->text[end + 1] == '+' || x->text[end + 1] == '-');
            if (is_digit(x, end + 1 + sign)) end = digits(x, end + 1 + sign), real = true;
        }
    }
    *out = piece(x, real ? T_FLOAT : T_INT, begin, end);
    x->run->at = (uint32_t)begin;
    if (real) {
        char text[320];
        size_t n = 0;
        for (size_t i = begin; i < end; i++) {
            if (x->text[i] == '_') continue;
            if (n + 1 == sizeof text) return cud_j_fail_with(x->run, CUDDLE_E_LIMIT, "a number of more than %zu characters", n);
            text[n++] = x->text[i];
        }
        out->value = j_float(cud_j_parse_real(text, n));
    } else {
        int base = 10;
        size_t at = begin;
        if (x->text[begin] == '0') {
            const char letter = begin + 1 < x->size ? (char)(x->text[begin + 1] | 0x20) : 0;
            const int other = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
            const size_t first = begin + 2 + (begin + 2 < x->size && x->text[begin + 2] == '_');
            if (other && first < x->size && digit_of(x->text[first]) < other) {
                base = other;
                at = end = first;
                while (end < x->size && (digit_of(x->text[end]) < base ||
                                         (x->text[end] == '_' && end + 1 < x->size && digit_of(x->text[end + 1]) < base)))
                    end++;
            } else { /* zeros only: 0123 is two numbers, which is then an error */
                for (end = begin + 1; end < x->size && (x->text[end] == '0' ||
                                                        (x->text[end] == '_' && end + 1 < x->size && x->text[end + 1] == '0'));
                     end++) {
                }
            }
        }
        int64_t value = 0;
        for (; at < end; at++)
            if (x->text[at] != '_' &&
                (__builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, digit_of(x->text[at]), &value)))
                return cud_j_fail_with(x->run, CUDDLE_E_LIMIT, "an integer that 64 bits cannot hold");
        out->value = j_int(value);
    }
    x->at = end;
    return true;
}

static bool lex_string(jlexer *x, jtoken *out)
{
    const size_t begin = x->at;
    const char quote = x->text[begin];
    size_t end = begin + 1;
    bool escapes = false;
    while (end < x->size && x->text[end] != quote) {
        if (x->text[end] == '\\') escapes = true, end++;
        end++;
    }
    if (end >= x->size) return fail_at(x, begin, "the string that begins here has no end");
    *out = piece(x, T_STRING, begin, end + 1);
    out->value = j_string(x->text + begin + 1, end - begin - 1);
    x->at = end + 1;
    x->run->at = (uint32_t)begin;
    return !escapes || cud_j_unescape(x->run, &out->value);
}

static bool lex_operator(jlexer *x, jtoken *out)
{
    for (int i = 0; i < OPERATORS; i++) {
        if (!starts(x, x->at, operators[i].text)) continue;
        *out = piece(x, operators[i].kind, x->at, x->at + out->value.n);
        const char c = x->text[x->at];
        switch (operators[i].kind) {
        case T_LPAREN:
        case T_LBRACKET:
        case T_LBRACE:
            if (x->open == J_NESTING_MOST) {
                x->run->at = (uint32_t)x->at;
                return cud_j_fail_with(x->run, CUDDLE_E_LIMIT, "more than %d brackets are open", (int)J_NESTING_MOST);
            }
            x->closing[x->open++] = c == '(' ? ')' : c == '[' ? ']' : '}';
            break;
        case T_RPAREN:
        case T_RBRACKET:
        case T_RBRACE:
            if (!x->open || x->closing[x->open - 1] != c) {
                x->run->at = (uint32_t)x->at;
                if (!x->open) return cud_j_fail(x->run, "unexpected '%c'", c);
                return cud_j_fail(x->run, "unexpected '%c', expected '%c'", c, x->closing[x->open - 1]);
            }
            x->open--;
            break;
        default: break;
        }
        x->at += strlen(operators[i].text);
        return true;
    }
    size_t length;
    x->run->at = (uint32_t)x->at;
    cud_utf8_decode(x->text + x->at, &length);
    return cud_j_fail(x->run, "unexpected character '%.*s'", (int)length, x->text + x->at);
}

static bool lex_tag(jlexer *x, jtoken *out)
{
    const size_t begin = x->at = skip_white(x, x->at);
    const bool prints = x->state == LEX_PRINT;
    if (begin == x->size) {
        *out = piece(x, T_END, begin, begin);
        return true;
    }
    size_t after, length;
    if (!x->open && tag_end(x, begin, prints ? "}}" : "%}", !prints, &after)) {
        *out = piece(x, prints ? T_PRINT_END : T_BLOCK_END, begin, after);
        x->at = after;
        x->state = LEX_TEXT;
        return true;
    }
    if (is_digit(x, begin)) return lex_number(x, out);
    const char c = x->text[begin];
    if (c == '"' || c == '\'') return lex_string(x, out);
    if (cud_is_word(cud_utf8_decode(x->text + begin, &length))) {
        size_t end = begin;
        while (end < x->size && cud_is_word(cud_utf8_decode(x->text + end, &length))) end += length;
        *out = piece(x, T_NAME, begin, end);
        x->at = end;
        return true;
    }
    return lex_operator(x, out);
}

bool cud_j_lex(jlexer *x, jtoken *out)
{
    if (x->is_waiting) {
        x->is_waiting = false;
        *out = x->waiting;
        return true;
    }
    return x->state == LEX_TEXT ? lex_text(x, out) : lex_tag(x, out);
}
