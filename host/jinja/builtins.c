#include "jinja/builtins.h"

#include "text/unicode.h"

const jbuiltin *cud_j_find_row(jtable table, const char *name, size_t length)
{
    for (size_t i = 0; i < table.count; i++)
        if (strlen(table.row[i].name) == length && memcmp(table.row[i].name, name, length) == 0) return &table.row[i];
    return NULL;
}

const jbuiltin *cud_j_find_filter(const char *name, size_t length)
{
    const jtable tables[] = { cud_j_text_filters, cud_j_number_filters, cud_j_sequence_filters };
    const jbuiltin *found = NULL;
    for (size_t i = 0; i < sizeof tables / sizeof *tables && !found; i++) found = cud_j_find_row(tables[i], name, length);
    return found;
}

const jbuiltin *cud_j_find_test(const char *name, size_t length) { return cud_j_find_row(cud_j_tests, name, length); }

static bool wrong_arg(jrun *j, jvalue arg, const char *what, const char *expected)
{
    if (arg.kind == J_UNDEFINED) return cud_j_fail_undefined(j, arg);
    return cud_j_fail(j, "%s must be %s, not a %s", what, expected, cud_j_kind_name(arg));
}

bool cud_j_int_arg(jrun *j, int64_t *out, jvalue arg, const char *what)
{
    if (arg.kind == J_MISSING) return true;
    if (!j_is_whole(arg)) return wrong_arg(j, arg, what, "an integer");
    *out = j_whole(arg);
    return true;
}

bool cud_j_text_arg(jrun *j, jvalue *out, jvalue arg, const char *what)
{
    if (arg.kind == J_MISSING) return true;
    if (arg.kind != J_STRING) return wrong_arg(j, arg, what, "a string");
    *out = arg;
    return true;
}

bool cud_j_soft_str(jrun *j, jvalue *out, jvalue value)
{
    if (value.kind != J_STRING) return cud_j_str(j, out, value);
    *out = value;
    return true;
}

size_t cud_j_line_end(jvalue text, size_t at, size_t *next)
{
    size_t length;
    for (; at < text.n; at += length) {
        const int32_t c = cud_utf8_decode(text.s + at, &length);
        if ((c < 0x0a || c > 0x0d) && (c < 0x1c || c > 0x1e) && c != 0x85 && c != 0x2028 && c != 0x2029) continue;
        *next = at + length + (c == '\r' && at + 1 < text.n && text.s[at + 1] == '\n');
        return at;
    }
    *next = text.n;
    return text.n;
}

bool cud_j_join(jrun *j, jvalue *out, jvalue between, const jlist *parts)
{
    jvalue text = j_string("", 0);
    for (size_t i = 0; i < parts->count; i++)
        if ((i && !cud_j_append(j, &text, between.s, between.n)) || !cud_j_step(j, 1) ||
            !cud_j_append_str(j, &text, parts->item[i]))
            return false;
    *out = text;
    return true;
}

/* Merge sort of indices. */
static bool merge(jrun *j, const jlist *key, uint32_t *order, uint32_t *spare, size_t count, bool reverse)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width) {
            size_t a = low, b = low + width < count ? low + width : count, out = low;
            const size_t middle = b, high = low + 2 * width < count ? low + 2 * width : count;
            while (a < middle && b < high) {
                int way = 0;
                const jvalue left = key->item[order[a]], right = key->item[order[b]];
                if (!cud_j_order(j, reverse ? left : right, reverse ? right : left, &way)) return false; /* is right before left? */
                spare[out++] = way < 0 ? order[b++] : order[a++];
            }
            while (a < middle) spare[out++] = order[a++];
            while (b < high) spare[out++] = order[b++];
        }
        if (!cud_j_step(j, count)) return false;
        memcpy(order, spare, count * sizeof *order);
    }
    return true;
}

bool cud_j_sort(jrun *j, jlist *list, jlist *key, bool reverse)
{
    const size_t count = list->count;
    if (count < 2) return true;
    uint32_t *order = cud_j_alloc(j, count * sizeof *order), *spare = cud_j_alloc(j, count * sizeof *spare);
    jvalue *moved = cud_j_alloc(j, count * sizeof *moved);
    if (!order || !spare || !moved) return false;
    for (size_t i = 0; i < count; i++) order[i] = (uint32_t)i;
    if (!merge(j, key, order, spare, count, reverse)) return false;
    for (size_t i = 0; i < count; i++) moved[i] = list->item[order[i]];
    list->item = moved;
    if (key == list) return true;
    jvalue *keys = cud_j_alloc(j, count * sizeof *keys);
    if (!keys) return false;
    for (size_t i = 0; i < count; i++) keys[i] = key->item[order[i]];
    key->item = keys;
    return true;
}

bool cud_j_path(jrun *j, jvalue *out, jvalue of, jvalue path)
{
    if (path.kind != J_STRING) return cud_j_subscript(j, out, of, path);
    for (size_t at = 0; at <= path.n;) {
        size_t end = at;
        bool number = true;
        for (; end < path.n && path.s[end] != '.'; end++) number = number && path.s[end] >= '0' && path.s[end] <= '9';
        jvalue key = j_string(path.s + at, end - at);
        if (number && end > at && end - at < 18) {
            int64_t index = 0;
            for (size_t i = at; i < end; i++) index = index * 10 + (path.s[i] - '0');
            key = j_int(index);
        }
        if (!cud_j_subscript(j, &of, of, key)) return false;
        at = end + 1;
    }
    *out = of;
    return true;
}

bool cud_j_run_test(jrun *j, bool *out, jvalue value, jvalue name, const jvalue *arg, size_t count)
{
    const jcall call = { .arg = arg, .count = count };
    jvalue result;
    const jbuiltin *test = name.kind == J_STRING ? cud_j_find_test(name.s, name.n) : NULL;
    if (!test)
        return cud_j_fail_with(j, CUDDLE_E_UNSUPPORTED, "there is no test '%.*s'",
                               name.kind == J_STRING ? (int)(name.n < 60 ? name.n : 60) : 1, name.kind == J_STRING ? name.s : "?");
    if (!cud_j_call_builtin(j, &result, test, value, &call)) return false;
    *out = cud_j_truth(result);
    return true;
}
