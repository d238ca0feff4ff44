/* Methods of strings, as Python has them. */
#include "jinja/builtins.h"
#include "text/unicode.h"

#define METHOD(name) static bool name(jrun *j, jvalue *out, jvalue self, const jvalue *arg, const jcall *call)
#define UNUSED (void)arg, (void)call

/* A part of self: safe where self is. */
static jvalue part(jvalue self, size_t begin, size_t end)
{
    jvalue text = j_string(self.s + begin, end - begin);
    text.safe = self.safe;
    return text;
}

static bool strip(jrun *j, jvalue *out, jvalue self, jvalue chars, bool left, bool right)
{
    if (chars.kind == J_NONE) chars.kind = J_MISSING;
    jvalue set = j_string("", 0);
    if (!cud_j_text_arg(j, &set, chars, "the characters to strip") || !cud_j_step(j, (self.n / 32 + 1) * (set.n / 8 + 1)))
        return false;
    *out = cud_j_strip(self, chars.kind == J_MISSING ? NULL : &set, left, right);
    return true;
}

METHOD(string_strip)
{
    (void)call;
    return strip(j, out, self, arg[0], true, true);
}

METHOD(string_lstrip)
{
    (void)call;
    return strip(j, out, self, arg[0], true, false);
}

METHOD(string_rstrip)
{
    (void)call;
    return strip(j, out, self, arg[0], false, true);
}

METHOD(string_upper)
{
    UNUSED;
    return cud_j_change_case(j, out, self, J_UPPER);
}

METHOD(string_lower)
{
    UNUSED;
    return cud_j_change_case(j, out, self, J_LOWER);
}

METHOD(string_title)
{
    UNUSED;
    return cud_j_change_case(j, out, self, J_TITLE);
}

METHOD(string_capitalize)
{
    UNUSED;
    return cud_j_change_case(j, out, self, J_CAPITALIZE);
}

METHOD(string_swapcase)
{
    UNUSED;
    return cud_j_change_case(j, out, self, J_SWAP);
}

/* ------------------------------------------------------------------------------------------------------------ splits */

static bool split_blanks(jrun *j, jvalue self, int64_t most, jlist *list)
{
    size_t at = 0, length;
    for (;;) {
        while (at < self.n && cud_j_is_space(cud_utf8_decode(self.s + at, &length))) at += length;
        if (at == self.n) return true;
        size_t end = at;
        if (most == 0) return cud_j_push(j, list, part(self, at, self.n));
        while (end < self.n && !cud_j_is_space(cud_utf8_decode(self.s + end, &length))) end += length;
        if (!cud_j_push(j, list, part(self, at, end))) return false;
        at = end;
        most -= most > 0;
    }
}

static bool split_at(jrun *j, jvalue self, jvalue between, int64_t most, jlist *list)
{
    size_t at = 0;
    for (; most != 0; most -= most > 0) {
        const size_t found = cud_j_find(self.s + at, self.n - at, between.s, between.n);
        if (found == (size_t)-1) break;
        if (!cud_j_step(j, 1) || !cud_j_push(j, list, part(self, at, at + found))) return false;
        at += found + between.n;
    }
    return cud_j_push(j, list, part(self, at, self.n));
}

/* From the right; the parts come out in reverse. */
static bool rsplit_blanks(jrun *j, jvalue self, int64_t most, jlist *list)
{
    size_t end = self.n, length;
    for (;;) {
        while (end && cud_j_is_space(cud_utf8_decode_before(self.s, self.s + end, &length))) end -= length;
        if (!end) return true;
        size_t at = end;
        if (most == 0) return cud_j_push(j, list, part(self, 0, end));
        while (at && !cud_j_is_space(cud_utf8_decode_before(self.s, self.s + at, &length))) at -= length;
        if (!cud_j_push(j, list, part(self, at, end))) return false;
        end = at;
        most -= most > 0;
    }
}

/* The search below compares anew at every place. */
static bool last_costs(jrun *j, size_t n, jvalue what) { return cud_j_step(j, n / 32 * (what.n / 32 + 1)); }

static size_t find_last(const char *s, size_t n, jvalue what)
{
    if (what.n > n) return (size_t)-1;
    for (size_t at = n - what.n;; at--) {
        if (memcmp(s + at, what.s, what.n) == 0) return at;
        if (!at) return (size_t)-1;
    }
}

static bool rsplit_at(jrun *j, jvalue self, jvalue between, int64_t most, jlist *list)
{
    size_t end = self.n;
    for (; most != 0; most -= most > 0) {
        if (!last_costs(j, end, between)) return false;
        const size_t found = find_last(self.s, end, between);
        if (found == (size_t)-1) break;
        if (!cud_j_step(j, 1) || !cud_j_push(j, list, part(self, found + between.n, end))) return false;
        end = found;
    }
    return cud_j_push(j, list, part(self, 0, end));
}

static bool split(jrun *j, jvalue *out, jvalue self, const jvalue *arg, bool right)
{
    int64_t most = -1;
    jvalue between = j_string("", 0);
    const bool given = arg[0].kind != J_MISSING && arg[0].kind != J_NONE;
    jlist *list = cud_j_list(j, 4);
    if (!list || !cud_j_bytes(j, self.n) || !cud_j_int_arg(j, &most, arg[1], "the number of splits")) return false;
    if (given && !cud_j_text_arg(j, &between, arg[0], "the separator")) return false;
    if (given && !between.n) return cud_j_fail(j, "an empty separator");
    if (right) {
        if (given ? !rsplit_at(j, self, between, most, list) : !rsplit_blanks(j, self, most, list)) return false;
        for (size_t i = 0; i < list->count / 2; i++) {
            const jvalue swapped = list->item[i];
            list->item[i] = list->item[list->count - 1 - i];
            list->item[list->count - 1 - i] = swapped;
        }
    } else if (given ? !split_at(j, self, between, most, list) : !split_blanks(j, self, most, list)) {
        return false;
    }
    *out = j_list(list);
    return true;
}

METHOD(string_split)
{
    (void)call;
    return split(j, out, self, arg, false);
}

METHOD(string_rsplit)
{
    (void)call;
    return split(j, out, self, arg, true);
}

METHOD(string_splitlines)
{
    (void)call;
    jlist *list = cud_j_list(j, 4);
    if (!list || !cud_j_bytes(j, 4 * self.n)) return false;
    for (size_t at = 0, next; at < self.n; at = next) {
        const size_t end = cud_j_line_end(self, at, &next);
        if (!cud_j_push(j, list, part(self, at, j_flag_arg(arg[0], false) ? next : end))) return false;
    }
    *out = j_list(list);
    return true;
}

static bool partition(jrun *j, jvalue *out, jvalue self, jvalue between, bool right)
{
    jlist *list = cud_j_list(j, 3);
    if (!list || !cud_j_bytes(j, self.n) || !cud_j_text_arg(j, &between, between, "the separator")) return false;
    if (!between.n) return cud_j_fail(j, "an empty separator");
    if (right && !last_costs(j, self.n, between)) return false;
    const size_t found = right ? find_last(self.s, self.n, between) : cud_j_find(self.s, self.n, between.s, between.n);
    const size_t at = found != (size_t)-1 ? found : right ? 0 : self.n, after = found != (size_t)-1 ? at + between.n : at;
    list->item[0] = part(self, 0, at), list->item[1] = part(self, at, after), list->item[2] = part(self, after, self.n);
    list->count = 3;
    *out = j_tuple(list);
    return true;
}

METHOD(string_partition)
{
    (void)call;
    return partition(j, out, self, arg[0], false);
}

METHOD(string_rpartition)
{
    (void)call;
    return partition(j, out, self, arg[0], true);
}

METHOD(string_join)
{
    (void)call;
    jlist *list = cud_j_collect(j, arg[0]);
    for (size_t i = 0; list && i < list->count; i++)
        if (list->item[i].kind != J_STRING) {
            if (list->item[i].kind == J_UNDEFINED) return cud_j_fail_undefined(j, list->item[i]);
            return cud_j_fail(j, "'join' needs strings, element %zu is a %s", i, cud_j_kind_name(list->item[i]));
        }
    return list && cud_j_join(j, out, self, list);
}

/* ---------------------------------------------------------------------------------------------------------- searches */

/* self[start:end] of an operation that takes them. *from: the bytes before it. False also where start lies behind the end. */
static bool window(jrun *j, jvalue *out, size_t *from, jvalue self, jvalue start, jvalue stop, bool *beyond)
{
    if (start.kind == J_MISSING) start = j_none();
    if (stop.kind == J_MISSING) stop = j_none();
    int64_t first = 0, ignored = 0;
    *beyond = false;
    *from = 0;
    *out = self;
    if (!cud_j_bytes(j, self.n)) return false;
    if (start.kind == J_NONE && stop.kind == J_NONE) return true;
    if ((start.kind != J_NONE && !cud_j_int_arg(j, &ignored, start, "the start")) ||
        (stop.kind != J_NONE && !cud_j_int_arg(j, &ignored, stop, "the end")))
        return false;
    const int64_t count = (int64_t)cud_j_count(self.s, self.n);
    const size_t taken = cud_j_slice_range(count, start, stop, 1, &first);
    *beyond = start.kind != J_NONE && j_whole(start) > count;
    *from = cud_j_offset(self.s, self.n, (size_t)first);
    *out = part(self, *from, *from + cud_j_offset(self.s + *from, self.n - *from, taken));
    return true;
}

/* -1: not there. */
static bool search(jrun *j, int64_t *out, jvalue self, const jvalue *arg, bool last)
{
    jvalue what = j_string("", 0), in;
    size_t from;
    bool beyond;
    if (!cud_j_text_arg(j, &what, arg[0], "what to find") || !window(j, &in, &from, self, arg[1], arg[2], &beyond)) return false;
    if (last && !last_costs(j, in.n, what)) return false;
    const size_t found = beyond ? (size_t)-1 : last ? find_last(in.s, in.n, what) : cud_j_find(in.s, in.n, what.s, what.n);
    *out = found == (size_t)-1 ? -1 : (int64_t)cud_j_count(self.s, from + found);
    return true;
}

static bool find_or_fail(jrun *j, jvalue *out, jvalue self, const jvalue *arg, bool last, bool fails)
{
    int64_t at;
    if (!search(j, &at, self, arg, last)) return false;
    if (at < 0 && fails) return cud_j_fail(j, "the string does not hold what is looked for");
    *out = j_int(at);
    return true;
}

METHOD(string_find)
{
    (void)call;
    return find_or_fail(j, out, self, arg, false, false);
}

METHOD(string_rfind)
{
    (void)call;
    return find_or_fail(j, out, self, arg, true, false);
}

METHOD(string_index)
{
    (void)call;
    return find_or_fail(j, out, self, arg, false, true);
}

METHOD(string_rindex)
{
    (void)call;
    return find_or_fail(j, out, self, arg, true, true);
}

METHOD(string_count)
{
    (void)call;
    jvalue what = j_string("", 0), in;
    size_t from;
    bool beyond;
    int64_t count = 0;
    if (!cud_j_text_arg(j, &what, arg[0], "what to count") || !window(j, &in, &from, self, arg[1], arg[2], &beyond)) return false;
    if (!what.n) {
        *out = j_int(beyond ? 0 : (int64_t)cud_j_count(in.s, in.n) + 1);
        return true;
    }
    for (size_t at = 0, found; (found = cud_j_find(in.s + at, in.n - at, what.s, what.n)) != (size_t)-1; at += found + what.n)
        count++;
    *out = j_int(count);
    return true;
}

static bool at_edge(jrun *j, bool *out, jvalue in, jvalue what, bool end)
{
    if (what.kind == J_UNDEFINED) return cud_j_fail_undefined(j, what);
    if (what.kind != J_STRING)
        return cud_j_fail(j, "'%s' needs a string or a tuple of strings, not a %s", end ? "endswith" : "startswith",
                          cud_j_kind_name(what));
    *out = what.n <= in.n && memcmp(in.s + (end ? in.n - what.n : 0), what.s, what.n) == 0;
    return true;
}

static bool edge(jrun *j, jvalue *out, jvalue self, const jvalue *arg, bool end)
{
    jvalue in;
    size_t from;
    bool beyond, holds = false;
    if (!window(j, &in, &from, self, arg[1], arg[2], &beyond)) return false;
    if (arg[0].kind != J_TUPLE && !at_edge(j, &holds, in, arg[0], end)) return false;
    for (size_t i = 0; arg[0].kind == J_TUPLE && i < arg[0].list->count && !holds; i++)
        if (!at_edge(j, &holds, in, arg[0].list->item[i], end)) return false;
    *out = j_bool(holds && !beyond);
    return true;
}

METHOD(string_startswith)
{
    (void)call;
    return edge(j, out, self, arg, false);
}

METHOD(string_endswith)
{
    (void)call;
    return edge(j, out, self, arg, true);
}

METHOD(string_replace)
{
    (void)call;
    int64_t most = -1;
    jvalue old = j_string("", 0), new = old;
    if (!cud_j_text_arg(j, &old, arg[0], "what to replace") || !cud_j_text_arg(j, &new, arg[1], "the replacement") ||
        !cud_j_int_arg(j, &most, arg[2], "the number of replacements"))
        return false;
    if (self.safe && !cud_j_escape(j, &new, new)) return false;
    return cud_j_replace(j, out, self, old, new, most);
}

METHOD(string_removeprefix)
{
    (void)call;
    jvalue what = j_string("", 0);
    bool holds = false;
    if (!cud_j_text_arg(j, &what, arg[0], "the prefix") || !at_edge(j, &holds, self, what, false)) return false;
    *out = part(self, holds ? what.n : 0, self.n);
    return true;
}

METHOD(string_removesuffix)
{
    (void)call;
    jvalue what = j_string("", 0);
    bool holds = false;
    if (!cud_j_text_arg(j, &what, arg[0], "the suffix") || !at_edge(j, &holds, self, what, true)) return false;
    *out = part(self, 0, self.n - (holds ? what.n : 0));
    return true;
}

/* ----------------------------------------------------------------------------------------------------------- widths */

static bool pad(jrun *j, jvalue *out, jvalue self, const jvalue *arg, int where)
{
    int64_t width = 0;
    jvalue fill = j_text(" "), before, after, result = j_string("", 0);
    if (!cud_j_int_arg(j, &width, arg[0], "the width") || !cud_j_text_arg(j, &fill, arg[1], "the filling character")) return false;
    if (cud_j_count(fill.s, fill.n) != 1) return cud_j_fail(j, "the filling must be one character");
    const int64_t missing = width - (int64_t)cud_j_count(self.s, self.n);
    *out = self;
    if (missing <= 0) return true;
    const int64_t left = where < 0 ? 0 : where > 0 ? missing : missing / 2 + (missing & width & 1);
    if (!cud_j_arithmetic(j, N_MUL, fill, j_int(left), &before) || !cud_j_arithmetic(j, N_MUL, fill, j_int(missing - left), &after))
        return false;
    if (!cud_j_append(j, &result, before.s, before.n) || !cud_j_append(j, &result, self.s, self.n) ||
        !cud_j_append(j, &result, after.s, after.n))
        return false;
    result.safe = self.safe;
    *out = result;
    return true;
}

METHOD(string_ljust)
{
    (void)call;
    return pad(j, out, self, arg, -1);
}

METHOD(string_rjust)
{
    (void)call;
    return pad(j, out, self, arg, 1);
}

METHOD(string_center)
{
    (void)call;
    return pad(j, out, self, arg, 0);
}

METHOD(string_zfill)
{
    (void)call;
    int64_t width = 0;
    jvalue zeros, result = j_string("", 0);
    if (!cud_j_int_arg(j, &width, arg[0], "the width")) return false;
    const int64_t missing = width - (int64_t)cud_j_count(self.s, self.n);
    *out = self;
    if (missing <= 0) return true;
    const size_t sign = self.n && (*self.s == '-' || *self.s == '+');
    if (!cud_j_arithmetic(j, N_MUL, j_text("0"), j_int(missing), &zeros)) return false;
    if (!cud_j_append(j, &result, self.s, sign) || !cud_j_append(j, &result, zeros.s, zeros.n) ||
        !cud_j_append(j, &result, self.s + sign, self.n - sign))
        return false;
    *out = result;
    return true;
}

METHOD(string_expandtabs)
{
    (void)call;
    int64_t size = 8, column = 0;
    jvalue result = j_string("", 0);
    if (!cud_j_int_arg(j, &size, arg[0], "the width of a tab")) return false;
    size_t length;
    for (size_t at = 0; at < self.n; at += length) {
        length = cud_utf8_length((unsigned char)self.s[at]);
        if (self.s[at] != '\t') {
            column = self.s[at] == '\n' || self.s[at] == '\r' ? 0 : column + 1;
            if (!cud_j_append(j, &result, self.s + at, length)) return false;
        } else if (size > 0) {
            jvalue blanks;
            const int64_t count = size - column % size;
            if (!cud_j_arithmetic(j, N_MUL, j_text(" "), j_int(count), &blanks) || !cud_j_append(j, &result, blanks.s, blanks.n))
                return false;
            column += count;
        }
    }
    *out = result;
    return true;
}

METHOD(string_format)
{
    (void)arg;
    return cud_j_format(j, out, self, call);
}

/* -------------------------------------------------------------------------------------------------------- properties */

static bool all_are(jrun *j, jvalue *out, jvalue self, bool (*is)(int32_t c), bool empty)
{
    bool holds = self.n > 0 || empty;
    size_t length;
    if (!cud_j_bytes(j, 4 * self.n)) return false;
    for (size_t at = 0; at < self.n && holds; at += length) holds = is(cud_utf8_decode(self.s + at, &length));
    *out = j_bool(holds);
    return true;
}

static bool is_alnum(int32_t c) { return cud_j_is_alpha(c) || cud_j_is_decimal(c) || cud_j_is_digit(c) || cud_j_is_numeric(c); }
static bool is_ascii(int32_t c) { return c < 0x80; }

METHOD(string_isalpha)
{
    UNUSED;
    return all_are(j, out, self, cud_j_is_alpha, false);
}

METHOD(string_isalnum)
{
    UNUSED;
    return all_are(j, out, self, is_alnum, false);
}

METHOD(string_isdecimal)
{
    UNUSED;
    return all_are(j, out, self, cud_j_is_decimal, false);
}

METHOD(string_isdigit)
{
    UNUSED;
    return all_are(j, out, self, cud_j_is_digit, false);
}

METHOD(string_isnumeric)
{
    UNUSED;
    return all_are(j, out, self, cud_j_is_numeric, false);
}

METHOD(string_isspace)
{
    UNUSED;
    return all_are(j, out, self, cud_j_is_space, false);
}

METHOD(string_isprintable)
{
    UNUSED;
    return all_are(j, out, self, cud_j_is_printable, true);
}

METHOD(string_isascii)
{
    UNUSED;
    return all_are(j, out, self, is_ascii, true);
}

static bool run_case_test(jrun *j, jvalue *out, jvalue self, const char *name)
{
    bool holds = false;
    if (!cud_j_run_test(j, &holds, self, j_text(name), NULL, 0)) return false;
    *out = j_bool(holds);
    return true;
}

METHOD(string_isupper)
{
    UNUSED;
    return run_case_test(j, out, self, "upper");
}

METHOD(string_islower)
{
    UNUSED;
    return run_case_test(j, out, self, "lower");
}

METHOD(string_istitle)
{
    UNUSED;
    bool some = false, holds = true, before = false;
    size_t length;
    if (!cud_j_bytes(j, 4 * self.n)) return false;
    for (size_t at = 0; at < self.n && holds; at += length) {
        const int32_t c = cud_utf8_decode(self.s + at, &length);
        const bool upper = cud_j_is_upper(c) || cud_j_is_title(c), lower = cud_j_is_lower(c);
        if (upper) holds = !before;
        if (lower) holds = before;
        before = upper || lower;
        some |= before;
    }
    *out = j_bool(some && holds);
    return true;
}

METHOD(string_missing)
{
    (void)out, (void)self, UNUSED;
    return cud_j_fail_with(j, CUDDLE_E_UNSUPPORTED, "this method of strings is not supported");
}

static const jbuiltin rows[] = {
    { "strip", "chars", string_strip },
    { "lstrip", "chars", string_lstrip },
    { "rstrip", "chars", string_rstrip },
    { "upper", "", string_upper },
    { "lower", "", string_lower },
    { "title", "", string_title },
    { "capitalize", "", string_capitalize },
    { "swapcase", "", string_swapcase },
    { "casefold", NULL, string_missing },
    { "split", "sep maxsplit", string_split },
    { "rsplit", "sep maxsplit", string_rsplit },
    { "splitlines", "keepends", string_splitlines },
    { "partition", "sep!", string_partition },
    { "rpartition", "sep!", string_rpartition },
    { "join", "iterable!", string_join },
    { "find", "sub! start end", string_find },
    { "rfind", "sub! start end", string_rfind },
    { "index", "sub! start end", string_index },
    { "rindex", "sub! start end", string_rindex },
    { "count", "sub! start end", string_count },
    { "startswith", "prefix! start end", string_startswith },
    { "endswith", "suffix! start end", string_endswith },
    { "replace", "old! new! count", string_replace },
    { "removeprefix", "prefix!", string_removeprefix },
    { "removesuffix", "suffix!", string_removesuffix },
    { "ljust", "width! fillchar", string_ljust },
    { "rjust", "width! fillchar", string_rjust },
    { "center", "width! fillchar", string_center },
    { "zfill", "width!", string_zfill },
    { "expandtabs", "tabsize", string_expandtabs },
    { "format", NULL, string_format },
    { "isalpha", "", string_isalpha },
    { "isalnum", "", string_isalnum },
    { "isdecimal", "", string_isdecimal },
    { "isdigit", "", string_isdigit },
    { "isnumeric", "", string_isnumeric },
    { "isspace", "", string_isspace },
    { "isprintable", "", string_isprintable },
    { "isascii", "", string_isascii },
    { "isupper", "", string_isupper },
    { "islower", "", string_islower },
    { "istitle", "", string_istitle },
    { "isidentifier", NULL, string_missing },
    { "encode", NULL, string_missing },
    { "translate", NULL, string_missing },
    { "maketrans", NULL, string_missing },
    { "format_map", NULL, string_missing },
};
const jtable cud_j_string_methods = { rows, sizeof rows / sizeof *rows };
