/* "%s" % value and "{}".format(value). */
#include "jinja/builtins.h"
#include "jinja/number.h"
#include "jinja/operators.h"
#include "text/unicode.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { WIDTH_MOST = 1 << 20, PRECISION_MOST = 60 };

/* What both notations come down to. */
typedef struct spec {
    char align; /* '<', '>', '^', '=' or 0 */
    jvalue fill;
    char sign; /* '+', ' ' or 0 */
    bool alternate, safe;
    int64_t width, precision; /* -1: none */
    char group;               /* ',' or '_' */
    char type;
} spec;

static bool append_fill(jrun *j, jvalue *text, jvalue fill, int64_t count)
{
    jvalue filling;
    return count <= 0 || (cud_j_arithmetic(j, N_MUL, fill, j_int(count), &filling) && cud_j_append(j, text, filling.s, filling.n));
}

/* sign + body to the width. */
static bool append_padded(jrun *j, jvalue *text, const spec *s, const char *sign, jvalue body, char usual)
{
    const int64_t missing = s->width - (int64_t)strlen(sign) - (int64_t)cud_j_count(body.s, body.n);
    const char align = s->align ? s->align : usual;
    const int64_t before = align == '>'   ? missing
                           : align == '^' ? missing / 2
                                          : 0,
                  after = align == '<'   ? missing
                          : align == '^' ? missing - before
                                         : 0;
    if (s->width > WIDTH_MOST)
        return cud_j_fail_with(j, CUDDLE_E_LIMIT, "a width of %" PRId64 ", at most %d", s->width, (int)WIDTH_MOST);
    return append_fill(j, text, s->fill, before) && cud_j_append_text(j, text, sign) &&
           append_fill(j, text, s->fill, align == '=' ? missing : 0) && cud_j_append(j, text, body.s, body.n) &&
           append_fill(j, text, s->fill, after);
}

static bool append_string(jrun *j, jvalue *text, const spec *s, jvalue body)
{
    if (s->precision >= 0) body.n = cud_j_offset(body.s, body.n, (size_t)s->precision);
    return append_padded(j, text, s, "", body, '<');
}

/* Digits in groups of three (or four), from the right of the whole part. */
static bool group_digits(jrun *j, jvalue *body, char mark, int size)
{
    size_t whole = 0;
    jvalue grouped = j_string("", 0);
    while (whole < body->n &&
           ((body->s[whole] >= '0' && body->s[whole] <= '9') || (size == 4 && body->s[whole] >= 'a' && body->s[whole] <= 'f')))
        whole++;
    for (size_t i = 0; i < whole; i++) {
        if (i && (whole - i) % (size_t)size == 0 && !cud_j_append(j, &grouped, &mark, 1)) return false;
        if (!cud_j_append(j, &grouped, body->s + i, 1)) return false;
    }
    if (!cud_j_append(j, &grouped, body->s + whole, body->n - whole)) return false;
    *body = grouped;
    return true;
}

static const char *sign_text(const spec *s, bool negative)
{
    return negative ? "-" : s->sign == '+' ? "+" : s->sign == ' ' ? " " : "";
}

static bool append_integer(jrun *j, jvalue *text, const spec *s, int64_t value)
{
    char digits[80], sign[8];
    size_t n = 0;
    const unsigned base = s->type == 'x' || s->type == 'X' ? 16 : s->type == 'o' ? 8 : s->type == 'b' ? 2 : 10;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do digits[sizeof digits - ++n] = (s->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[rest % base];
    while ((rest /= base));
    jvalue body = j_string(digits + sizeof digits - n, n);
    if (s->precision > (int64_t)n && s->precision <= PRECISION_MOST) { /* only printf's has one */
        jvalue longer = j_string("", 0);
        if (!append_fill(j, &longer, j_text("0"), s->precision - (int64_t)n) || !cud_j_append(j, &longer, body.s, body.n))
            return false;
        body = longer;
    }
    if (s->group && !group_digits(j, &body, s->group, base == 10 ? 3 : 4)) return false;
    snprintf(sign, sizeof sign, "%s%s", sign_text(s, value < 0),
             s->alternate && base != 10 ? (base == 16  ? (s->type == 'X' ? "0X" : "0x")
                                           : base == 8 ? "0o"
                                                       : "0b")
                                        : "");
    return append_padded(j, text, s, sign, body, '>');
}

static bool append_real(jrun *j, jvalue *text, const spec *s, double value)
{
    char out[J_REAL_MOST];
    const bool percent = s->type == '%', upper = s->type == 'E' || s->type == 'F' || s->type == 'G';
    const char kind = percent || s->type == 'F' || s->type == 'f' ? 'f' : s->type == 'E' || s->type == 'e' ? 'e' : 'g';
    if (s->precision > PRECISION_MOST)
        return cud_j_fail_with(j, CUDDLE_E_LIMIT, "a precision of %" PRId64 ", at most %d", s->precision, (int)PRECISION_MOST);
    const bool negative = signbit(value) && !isnan(value);
    if (percent) value *= 100;
    size_t n;
    if (!s->type && s->precision < 0)
        n = cud_j_repr_real(out, fabs(value));
    else
        n = cud_j_print_real(out, fabs(value), kind, s->precision >= 0 ? (int)s->precision : 6, s->alternate);
    if (!s->type && s->precision >= 0 && isfinite(value) && !memchr(out, '.', n) && !memchr(out, 'e', n))
        memcpy(out + n, ".0", 2), n += 2;
    for (size_t i = 0; upper && i < n; i++)
        if (out[i] >= 'a' && out[i] <= 'z') out[i] = (char)(out[i] - 32);
    if (percent) out[n++] = '%';
    jvalue body = j_string("", 0);
    if (!cud_j_append(j, &body, out, n)) return false;
    if (s->group && !group_digits(j, &body, s->group, 3)) return false;
    return append_padded(j, text, s, sign_text(s, negative), body, '>');
}

/* ------------------------------------------------------------------------------------------------------------ printf */

typedef struct arguments {
    jvalue args;
    size_t at;
} arguments;

static bool next_argument(jrun *j, arguments *a, jvalue *out)
{
    if (a->args.kind != J_TUPLE) {
        *out = a->args;
        return a->at++ == 0 || cud_j_fail(j, "a format needs more values than it is given");
    }
    if (a->at == a->args.list->count) return cud_j_fail(j, "a format needs more values than the %zu it is given", a->at);
    *out = a->args.list->item[a->at++];
    return true;
}

static bool read_count(jrun *j, jvalue format, size_t *at, arguments *a, int64_t *out)
{
    if (*at < format.n && format.s[*at] == '*') {
        jvalue value;
        ++*at;
        if (!next_argument(j, a, &value)) return false;
        *out = 0;
        return cud_j_int_arg(j, out, value, "a width given by '*'");
    }
    for (; *at < format.n && format.s[*at] >= '0' && format.s[*at] <= '9'; ++*at) {
        *out = (*out < 0 ? 0 : *out) * 10 + (format.s[*at] - '0');
        if (*out > WIDTH_MOST) return cud_j_fail_with(j, CUDDLE_E_LIMIT, "a format's width is more than %d", (int)WIDTH_MOST);
    }
    return true;
}

static bool to_integer(jrun *j, jvalue value, char type, int64_t *out)
{
    const bool hexadecimal = type == 'x' || type == 'X' || type == 'o';
    if (value.kind == J_UNDEFINED) return cud_j_fail_undefined(j, value);
    if (value.kind == J_FLOAT && !hexadecimal && fabs(value.f) < 9e18)
        *out = (int64_t)value.f;
    else if (j_is_whole(value))
        *out = j_whole(value);
    else
        return cud_j_fail(j, "'%%%c' needs %s, not a %s", type, hexadecimal ? "an integer" : "a number", cud_j_kind_name(value));
    return true;
}

static bool append_conversion(jrun *j, jvalue *text, spec *s, jvalue value)
{
    jvalue body = j_string("", 0);
    int64_t whole = 0;
    switch (s->type) {
    case 's':
    case 'r':
    case 'a':
        if (s->type == 'a') return cud_j_fail_with(j, CUDDLE_E_UNSUPPORTED, "'%%a' is not supported");
        if (s->type == 's' ? (s->safe ? !cud_j_escape(j, &body, value) : !cud_j_append_str(j, &body, value))
                           : !cud_j_append_repr(j, &body, value))
            return false;
        s->fill = j_text(" ");
        if (s->align == '=') s->align = '>';
        if (s->precision >= 0) body.n = cud_j_offset(body.s, body.n, (size_t)s->precision);
        return append_padded(j, text, s, "", body, '>');
    case 'c':
        if (value.kind == J_STRING && cud_j_count(value.s, value.n) == 1) return append_padded(j, text, s, "", value, '>');
        return cud_j_fail(j, "'%%c' needs one character");
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o': return to_integer(j, value, s->type, &whole) && append_integer(j, text, s, whole);
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
        if (value.kind == J_UNDEFINED) return cud_j_fail_undefined(j, value);
        if (!j_is_number(value)) return cud_j_fail(j, "'%%%c' needs a number, not a %s", s->type, cud_j_kind_name(value));
        return append_real(j, text, s, j_real(value));
    default: return cud_j_fail(j, "a format has no '%%%c'", s->type >= ' ' && s->type < 127 ? s->type : '?');
    }
}

bool cud_j_printf(jrun *j, jvalue *out, jvalue format, jvalue args)
{
    arguments a = { args, 0 };
    jvalue text = j_string("", 0);
    size_t plain = 0;
    bool named_any = false;
    for (size_t at = 0; at < format.n; at++) {
        if (format.s[at] != '%') continue;
        if (!cud_j_append(j, &text, format.s + plain, at - plain)) return false;
        spec s = { .width = -1, .precision = -1, .fill = j_text(" "), .safe = format.safe };
        jvalue value = j_none();
        bool named = false;
        if (++at < format.n && format.s[at] == '(') {
            const size_t begin = ++at;
            for (int open = 1; at < format.n; at++) {
                open += format.s[at] == '(' ? 1 : format.s[at] == ')' ? -1 : 0;
                if (!open) break;
            }
            if (at == format.n) return cud_j_fail(j, "a format's name has no end");
            if (args.kind != J_DICT) return cud_j_fail(j, "a format with names needs a dict");
            const int found = cud_j_get(j, args.dict, j_string(format.s + begin, at - begin), &value);
            if (found < 0) return false;
            if (!found)
                return cud_j_fail(j, "a format needs the value '%.*s'", (int)(at - begin < 60 ? at - begin : 60), format.s + begin);
            named = named_any = true;
            at++;
        }
        for (; at < format.n && strchr("#0- +", format.s[at]) && format.s[at]; at++) {
            const char c = format.s[at];
            if (c == '#')
                s.alternate = true;
            else if (c == '-')
                s.align = '<';
            else if (c == '+' || (c == ' ' && !s.sign))
                s.sign = c;
            else if (c == '0' && !s.align)
                s.align = '=', s.fill = j_text("0");
        }
        if (s.align == '<') s.fill = j_text(" ");
        if (!read_count(j, format, &at, &a, &s.width)) return false;
        if (s.width < -1) s.align = '<', s.width = s.width < -WIDTH_MOST ? WIDTH_MOST : -s.width;
        if (at < format.n && format.s[at] == '.') {
            s.precision = 0;
            at++;
            if (!read_count(j, format, &at, &a, &s.precision)) return false;
        }
        while (at < format.n && strchr("hlL", format.s[at]) && format.s[at]) at++;
        if (at == format.n) return cud_j_fail(j, "a format ends in the middle");
        s.type = format.s[at];
        plain = at + 1;
        if (s.type == '%') {
            if (!cud_j_append_text(j, &text, "%")) return false;
            continue;
        }
        if (!named && !next_argument(j, &a, &value)) return false;
        if (!append_conversion(j, &text, &s, value)) return false;
    }
    if (!cud_j_append(j, &text, format.s + plain, format.n - plain)) return false;
    const bool unused = args.kind == J_TUPLE ? a.at < args.list->count
                                             : a.at == 0 && !named_any && args.kind != J_DICT && args.kind != J_LIST &&
                                                   args.kind != J_UNDEFINED && args.kind != J_RANGE;
    if (unused) return cud_j_fail(j, "a format has no place for all its values");
    text.safe = format.safe;
    *out = text;
    return true;
}

/* ------------------------------------------------------------------------------------------------------------ format */

static bool is_align(char c) { return c == '<' || c == '>' || c == '^' || c == '='; }

static bool read_spec(jrun *j, jvalue text, spec *s)
{
    *s = (spec){ .width = -1, .precision = -1, .fill = j_text(" ") };
    size_t at = 0;
    const size_t first = text.n ? cud_utf8_length((unsigned char)*text.s) : 0;
    arguments none = { { .kind = J_TUPLE }, 0 };
    if (text.n > first && is_align(text.s[first]))
        s->fill = j_string(text.s, first), s->align = text.s[first], at = first + 1;
    else if (text.n && is_align(*text.s))
        s->align = *text.s, at = 1;
    if (at < text.n && (text.s[at] == '+' || text.s[at] == '-' || text.s[at] == ' '))
        s->sign = text.s[at] == '-' ? 0 : text.s[at], at++;
    if (at < text.n && text.s[at] == '#') s->alternate = true, at++;
    if (at < text.n && text.s[at] == '0') {
        if (!s->align) s->align = '=', s->fill = j_text("0");
        at++;
    }
    if (at < text.n && text.s[at] == '*') return cud_j_fail(j, "a format has no '*'");
    if (!read_count(j, text, &at, &none, &s->width)) return false;
    if (at < text.n && (text.s[at] == ',' || text.s[at] == '_')) s->group = text.s[at++];
    if (at < text.n && text.s[at] == '.') {
        at++;
        if (at == text.n || text.s[at] < '0' || text.s[at] > '9') return cud_j_fail(j, "a format's precision is missing");
        if (!read_count(j, text, &at, &none, &s->precision)) return false;
    }
    if (at < text.n) s->type = text.s[at++];
    return at == text.n || cud_j_fail(j, "a format specification is not understood");
}

static bool append_formatted(jrun *j, jvalue *text, jvalue value, jvalue how)
{
    spec s;
    if (!how.n) return cud_j_append_str(j, text, value);
    if (!read_spec(j, how, &s)) return false;
    if (value.kind == J_STRING && (!s.type || s.type == 's') && s.align != '=') return append_string(j, text, &s, value);
    if (j_is_whole(value) && s.precision < 0 && (s.type ? strchr("dxXob", s.type) != NULL : value.kind == J_INT))
        return append_integer(j, text, &s, j_whole(value));
    if (j_is_number(value) && (s.type ? strchr("eEfFgG%", s.type) != NULL : value.kind == J_FLOAT))
        return append_real(j, text, &s, j_real(value));
    if (s.type == 'n' || s.type == 'c') return cud_j_fail_with(j, CUDDLE_E_UNSUPPORTED, "the format '%c' is not supported", s.type);
    return cud_j_fail(j, "the format '%.*s' does not fit a %s", (int)(how.n < 40 ? how.n : 40), how.s, cud_j_kind_name(value));
}

/* The value of "0.name[key]"; an empty name takes the next argument. */
static bool find_field(jrun *j, jvalue field, const jcall *call, int64_t *next, jvalue *out)
{
    size_t at = 0;
    bool number = true;
    int64_t index = 0;
    for (; at < field.n && field.s[at] != '.' && field.s[at] != '['; at++) {
        number = number && field.s[at] >= '0' && field.s[at] <= '9';
        if (number && index < WIDTH_MOST) index = index * 10 + (field.s[at] - '0');
    }
    if (at == 0) {
        if (*next < 0) return cud_j_fail(j, "a format has both numbered and unnumbered fields");
        index = (*next)++;
    } else if (number) {
        if (*next > 0) return cud_j_fail(j, "a format has both numbered and unnumbered fields");
        *next = -1;
    }
    if (number) {
        if (index >= (int64_t)call->count)
            return cud_j_fail(j, "a format needs the value %" PRId64 ", %zu are given", index, call->count);
        *out = call->arg[index];
    } else {
        size_t k = 0;
        while (k < call->keywords && !(call->keyword[k].length == at && memcmp(call->keyword[k].name, field.s, at) == 0)) k++;
        if (k == call->keywords) return cud_j_fail(j, "a format needs the value '%.*s'", (int)(at < 60 ? at : 60), field.s);
        *out = call->keyword[k].value;
    }
    while (at < field.n) {
        const bool item = field.s[at++] == '[';
        const size_t begin = at;
        while (at < field.n && (item ? field.s[at] != ']' : field.s[at] != '.' && field.s[at] != '[')) at++;
        const jvalue name = j_string(field.s + begin, at - begin);
        if (!name.n || (item && at == field.n)) return cud_j_fail(j, "a format's field is not understood");
        int64_t whole = 0;
        bool digits = item && name.n < 18;
        for (size_t i = 0; i < name.n && digits; i++) {
            digits = name.s[i] >= '0' && name.s[i] <= '9';
            whole = whole * 10 + (name.s[i] - '0');
        }
        if (!item ? !cud_j_attribute(j, out, *out, name.s, name.n) : !cud_j_subscript(j, out, *out, digits ? j_int(whole) : name))
            return false;
        at += item;
    }
    return true;
}

/* Appends the text with its fields filled in; fields may stand in a field's specification, but not deeper. */
static bool append_fields(jrun *j, jvalue *text, jvalue format, const jcall *call, int64_t *next, int level)
{
    size_t plain = 0;
    for (size_t at = 0; at < format.n; at++) {
        const char c = format.s[at];
        if (c != '{' && c != '}') continue;
        if (!cud_j_append(j, text, format.s + plain, at - plain)) return false;
        if (at + 1 < format.n && format.s[at + 1] == c) { /* doubled: itself */
            plain = ++at;
            continue;
        }
        if (c == '}') return cud_j_fail(j, "a format has a '}' alone");
        const size_t begin = ++at;
        size_t name_end = 0;
        int open = 1;
        for (bool bracket = false; at < format.n; at++) {
            const char d = format.s[at];
            if (!name_end && (d == '[' || d == ']')) bracket = d == '[';
            if (!name_end && !bracket && (d == ':' || d == '!')) name_end = at;
            open += d == '{' ? 1 : d == '}' ? -1 : 0;
            if (!open) break;
        }
        if (at == format.n) return cud_j_fail(j, "a format has a '{' without its '}'");
        if (!name_end) name_end = at;
        jvalue value, how = j_string("", 0), rest = j_string(format.s + name_end, at - name_end);
        char conversion = 0;
        if (!find_field(j, j_string(format.s + begin, name_end - begin), call, next, &value)) return false;
        if (rest.n && *rest.s == '!') {
            conversion = rest.n > 1 ? rest.s[1] : '?';
            rest.s += rest.n > 1 ? 2 : 1, rest.n -= rest.n > 1 ? 2 : 1;
            if ((conversion != 's' && conversion != 'r') || (rest.n && *rest.s != ':'))
                return cud_j_fail(j, "a format has !s and !r");
        }
        if (rest.n) rest.s++, rest.n--;
        if (rest.n && level == 2) return cud_j_fail(j, "a format is nested too deep");
        if (rest.n && !append_fields(j, &how, rest, call, next, level + 1)) return false;
        if (conversion == 's' && !cud_j_str(j, &value, value)) return false;
        if (conversion == 'r' && !cud_j_repr(j, &value, value)) return false;
        if (!append_formatted(j, text, value, how)) return false;
        plain = at + 1;
    }
    return cud_j_append(j, text, format.s + plain, format.n - plain);
}

bool cud_j_format(jrun *j, jvalue *out, jvalue format, const jcall *call)
{
    int64_t next = 0;
    jvalue text = j_string("", 0);
    if (!append_fields(j, &text, format, call, &next, 1)) return false;
    text.safe = format.safe;
    *out = text;
    return true;
}
