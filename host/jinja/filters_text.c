/* Filters that give text. */
#include "jinja/builtins.h"
#include "text/unicode.h"

#define FILTER(name) static bool name(jrun *j, jvalue *out, jvalue self, const jvalue *arg, const jcall *call)
#define UNUSED (void)arg, (void)call

FILTER(filter_upper)
{
    UNUSED;
    return cud_j_soft_str(j, &self, self) && cud_j_change_case(j, out, self, J_UPPER);
}

FILTER(filter_lower)
{
    UNUSED;
    return cud_j_soft_str(j, &self, self) && cud_j_change_case(j, out, self, J_LOWER);
}

FILTER(filter_capitalize)
{
    UNUSED;
    return cud_j_soft_str(j, &self, self) && cud_j_change_case(j, out, self, J_CAPITALIZE);
}

/* Jinja's own: a word begins behind blanks, a hyphen or an opening bracket. */
FILTER(filter_title)
{
    UNUSED;
    jvalue result = j_string("", 0), part;
    if (!cud_j_soft_str(j, &self, self)) return false;
    size_t length;
    for (size_t at = 0; at < self.n;) {
        size_t end = at;
        int32_t c = 0;
        bool between = false, first = true;
        for (; end < self.n; end += length, first = false) { /* a run of separators or of other characters */
            c = cud_utf8_decode(self.s + end, &length);
            const bool separates = cud_j_is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
            if (first)
                between = separates;
            else if (separates != between)
                break;
        }
        if (!cud_j_change_case(j, &part, j_string(self.s + at, cud_utf8_length((unsigned char)self.s[at])), J_UPPER)) return false;
        if (!cud_j_append(j, &result, part.s, part.n)) return false;
        at += cud_utf8_length((unsigned char)self.s[at]);
        if (!cud_j_change_case(j, &part, j_string(self.s + at, end - at), J_LOWER) || !cud_j_append(j, &result, part.s, part.n))
            return false;
        at = end;
    }
    *out = result;
    return true;
}

FILTER(filter_trim)
{
    (void)call;
    jvalue chars = j_string("", 0);
    const bool given = arg[0].kind != J_MISSING && arg[0].kind != J_NONE;
    if (!cud_j_soft_str(j, &self, self) || (given && !cud_j_text_arg(j, &chars, arg[0], "the characters to trim"))) return false;
    if (!cud_j_step(j, (self.n / 32 + 1) * (chars.n / 8 + 1))) return false;
    *out = cud_j_strip(self, given ? &chars : NULL, true, true);
    return true;
}

FILTER(filter_string)
{
    UNUSED;
    return cud_j_soft_str(j, out, self);
}

FILTER(filter_safe)
{
    UNUSED;
    if (!cud_j_str(j, out, self)) return false;
    out->safe = 1;
    return true;
}

FILTER(filter_escape)
{
    UNUSED;
    return cud_j_escape(j, out, self);
}

FILTER(filter_forceescape)
{
    UNUSED;
    return cud_j_str(j, &self, self) && cud_j_escape(j, out, self);
}

FILTER(filter_replace)
{
    (void)call;
    int64_t most = -1;
    jvalue old, new;
    if (!cud_j_soft_str(j, &self, self) || !cud_j_soft_str(j, &old, arg[0]) || !cud_j_soft_str(j, &new, arg[1])) return false;
    if (arg[2].kind != J_NONE && !cud_j_int_arg(j, &most, arg[2], "the number of replacements")) return false;
    return cud_j_replace(j, out, self, old, new, most);
}

FILTER(filter_indent)
{
    (void)call;
    jvalue by, result = j_string("", 0);
    int64_t width = 4;
    const bool first = j_flag_arg(arg[1], false), blank = j_flag_arg(arg[2], false);
    if (self.kind == J_UNDEFINED) return cud_j_fail_undefined(j, self);
    if (self.kind != J_STRING) return cud_j_fail(j, "'indent' needs a string, not a %s", cud_j_kind_name(self));
    if (arg[0].kind == J_STRING)
        by = arg[0];
    else if (!cud_j_int_arg(j, &width, arg[0], "the width") || !cud_j_arithmetic(j, N_MUL, j_string(" ", 1), j_int(width), &by))
        return false;
    if (first && !cud_j_append(j, &result, by.s, by.n)) return false;
    /* Jinja adds a newline before it splits, so the last line counts also when it is empty. */
    for (size_t at = 0, next, line = 0;; at = next, line++) {
        const size_t end = cud_j_line_end(self, at, &next);
        if (line && !cud_j_append_text(j, &result, "\n")) return false;
        if (line && (end > at || blank) && !cud_j_append(j, &result, by.s, by.n)) return false;
        if (!cud_j_append(j, &result, self.s + at, end - at)) return false;
        if (end == self.n) break;
    }
    *out = result;
    return true;
}

FILTER(filter_center)
{
    (void)call;
    int64_t width = 80;
    if (!cud_j_soft_str(j, &self, self) || !cud_j_int_arg(j, &width, arg[0], "the width")) return false;
    const int64_t length = (int64_t)cud_j_count(self.s, self.n), fill = width - length;
    *out = self;
    if (fill <= 0) return true;
    const int64_t left = fill / 2 + (fill & width & 1);
    jvalue before, after;
    if (!cud_j_arithmetic(j, N_MUL, j_string(" ", 1), j_int(left), &before) ||
        !cud_j_arithmetic(j, N_MUL, j_string(" ", 1), j_int(fill - left), &after))
        return false;
    jvalue result = j_string("", 0);
    if (!cud_j_append(j, &result, before.s, before.n) || !cud_j_append(j, &result, self.s, self.n) ||
        !cud_j_append(j, &result, after.s, after.n))
        return false;
    result.safe = self.safe;
    *out = result;
    return true;
}

FILTER(filter_truncate)
{
    (void)call;
    int64_t length = 255, leeway = 5;
    jvalue end = j_text("..."), result;
    if (!cud_j_int_arg(j, &length, arg[0], "the length") || !cud_j_text_arg(j, &end, arg[2], "the end")) return false;
    if (arg[3].kind != J_NONE && !cud_j_int_arg(j, &leeway, arg[3], "the leeway")) return false;
    size_t units = 0; /* Jinja takes anything with a length as long as it is short enough */
    if (!cud_j_length(self, &units)) return cud_j_fail(j, "'truncate' needs a string, not a %s", cud_j_kind_name(self));
    const int64_t count = (int64_t)units, ending = (int64_t)cud_j_count(end.s, end.n);
    if (length < ending)
        return cud_j_fail(j, "'truncate' needs a length of at least %lld, not %lld", (long long)ending, (long long)length);
    if (leeway < 0) return cud_j_fail(j, "'truncate' needs a leeway of at least 0, not %lld", (long long)leeway);
    *out = self;
    if (count - leeway <= length) return true;
    if (self.kind != J_STRING) return cud_j_fail(j, "'truncate' needs a string, not a %s", cud_j_kind_name(self));
    result = j_string(self.s, cud_j_offset(self.s, self.n, (size_t)(length - ending)));
    if (!j_flag_arg(arg[1], false)) /* not within a word */
        for (size_t i = result.n; i > 0; i--)
            if (result.s[i - 1] == ' ') {
                result.n = i - 1;
                break;
            }
    jvalue text = j_string("", 0);
    if (!cud_j_append(j, &text, result.s, result.n) || !cud_j_append(j, &text, end.s, end.n)) return false;
    *out = text;
    return true;
}

FILTER(filter_wordcount)
{
    UNUSED;
    if (!cud_j_soft_str(j, &self, self) || !cud_j_bytes(j, 8 * self.n)) return false;
    size_t length;
    int64_t count = 0;
    bool inside = false;
    for (size_t at = 0; at < self.n; at += length) {
        const int32_t c = cud_utf8_decode(self.s + at, &length);
        const bool word = cud_j_is_alpha(c) || cud_j_is_numeric(c) || c == '_';
        count += word && !inside;
        inside = word;
    }
    *out = j_int(count);
    return true;
}

static bool append_quoted(jrun *j, jvalue *text, jvalue v, bool query)
{
    if (!cud_j_str(j, &v, v)) return false;
    for (size_t i = 0; i < v.n; i++) {
        static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~";
        static const char digit[] = "0123456789ABCDEF";
        const unsigned char c = (unsigned char)v.s[i];
        const char escaped[] = { '%', digit[c >> 4], digit[c & 15] };
        const bool as_it_is = (c && strchr(plain, c)) || (c == '/' && !query);
        if (query && c == ' ' ? !cud_j_append_text(j, text, "+")
            : as_it_is        ? !cud_j_append(j, text, v.s + i, 1)
                              : !cud_j_append(j, text, escaped, 3))
            return false;
    }
    return true;
}

FILTER(filter_urlencode)
{
    UNUSED;
    jvalue result = j_string("", 0), item;
    if (self.kind == J_STRING || !cud_j_is_iterable(self)) {
        if (!append_quoted(j, &result, self, false)) return false;
        *out = result;
        return true;
    }
    if (self.kind == J_DICT) self = (jvalue){ .kind = J_VIEW, .aux = J_ITEMS, .dict = self.dict };
    jiter it;
    if (!cud_j_iter(j, &it, self)) return false;
    while (cud_j_next(j, &it, &item)) {
        jlist *pair = cud_j_collect(j, item);
        if (!pair) return false;
        if (pair->count != 2) return cud_j_fail(j, "'urlencode' needs pairs");
        if (result.n && !cud_j_append_text(j, &result, "&")) return false;
        if (!append_quoted(j, &result, pair->item[0], true) || !cud_j_append_text(j, &result, "=") ||
            !append_quoted(j, &result, pair->item[1], true))
            return false;
    }
    *out = result;
    return !j->status;
}

FILTER(filter_format)
{
    (void)arg;
    jvalue args;
    if (call->count && call->keywords) return cud_j_fail(j, "'format' takes plain arguments or named ones, not both");
    if (call->keywords) {
        jdict *dict = cud_j_dict(j);
        for (size_t i = 0; dict && i < call->keywords; i++)
            if (!cud_j_put(j, dict, j_string(call->keyword[i].name, call->keyword[i].length), call->keyword[i].value)) return false;
        args = j_dict(dict);
    } else {
        jlist *list = cud_j_list(j, call->count);
        if (list && call->count) memcpy(list->item, call->arg, (list->count = call->count) * sizeof *list->item);
        args = j_tuple(list);
    }
    return args.list && cud_j_soft_str(j, &self, self) && cud_j_printf(j, out, self, args);
}

FILTER(filter_tojson)
{
    (void)call;
    jdump how = {
        .ascii = j_flag_arg(arg[0], false), .sort = j_flag_arg(arg[3], false), .item = j_text(", "), .key = j_text(": ")
    };
    if (arg[1].kind != J_MISSING && arg[1].kind != J_NONE) {
        jvalue by = arg[1];
        int64_t width = 0;
        if (by.kind != J_STRING &&
            (!cud_j_int_arg(j, &width, by, "the indent") || !cud_j_arithmetic(j, N_MUL, j_string(" ", 1), j_int(width), &by)))
            return false;
        how.indent = by.s, how.indent_length = by.n;
        how.item = j_text(",");
    }
    if (arg[2].kind != J_MISSING && arg[2].kind != J_NONE) {
        jlist *pair = cud_j_collect(j, arg[2]);
        if (!pair) return false;
        if (pair->count != 2) return cud_j_fail(j, "'tojson' needs two separators");
        if (!cud_j_text_arg(j, &how.item, pair->item[0], "a separator") ||
            !cud_j_text_arg(j, &how.key, pair->item[1], "a separator"))
            return false;
    }
    jvalue text = j_string("", 0);
    if (!cud_j_dump(j, &text, self, &how)) return false;
    *out = text;
    return true;
}

static const jbuiltin rows[] = {
    { "upper", "", filter_upper },
    { "lower", "", filter_lower },
    { "capitalize", "", filter_capitalize },
    { "title", "", filter_title },
    { "trim", "chars", filter_trim },
    { "string", "", filter_string },
    { "safe", "", filter_safe },
    { "escape", "", filter_escape },
    { "e", "", filter_escape },
    { "forceescape", "", filter_forceescape },
    { "replace", "old! new! count", filter_replace },
    { "indent", "width first blank", filter_indent },
    { "center", "width", filter_center },
    { "truncate", "length killwords end leeway", filter_truncate },
    { "wordcount", "", filter_wordcount },
    { "urlencode", "", filter_urlencode },
    { "format", NULL, filter_format },
    { "tojson", "ensure_ascii indent separators sort_keys", filter_tojson },
};
const jtable cud_j_text_filters = { rows, sizeof rows / sizeof *rows };
