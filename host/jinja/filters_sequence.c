/* Filters on sequences. What Python makes lazily is made at once here; it can still be read only once. */
#include "jinja/builtins.h"
#include "text/unicode.h"

#define FILTER(name) static bool name(jrun *j, jvalue *out, jvalue self, const jvalue *arg, const jcall *call)
#define UNUSED (void)arg, (void)call

FILTER(filter_length)
{
    UNUSED;
    size_t length;
    if (!cud_j_bytes(j, self.kind == J_STRING ? self.n : 0)) return false;
    if (!cud_j_length(self, &length)) return cud_j_fail(j, "a %s has no length", cud_j_kind_name(self));
    *out = j_int((int64_t)length);
    return true;
}

FILTER(filter_first)
{
    UNUSED;
    jiter it;
    *out = j_undefined(J_BY_EMPTY, "", 0);
    return cud_j_iter(j, &it, self) && (cud_j_next(j, &it, out) || !j->status);
}

FILTER(filter_last)
{
    UNUSED;
    if (self.kind == J_ITERATOR || self.kind == J_LOOP) return cud_j_fail(j, "a %s has no last element", cud_j_kind_name(self));
    if (self.kind == J_STRING) {
        size_t length = 0;
        if (self.n) cud_utf8_decode_before(self.s, self.s + self.n, &length);
        *out = self.n ? j_string(self.s + self.n - length, length) : j_undefined(J_BY_EMPTY, "", 0);
        return true;
    }
    jlist *list = cud_j_collect(j, self);
    if (list) *out = list->count ? list->item[list->count - 1] : j_undefined(J_BY_EMPTY, "", 0);
    return list != NULL;
}

FILTER(filter_list)
{
    UNUSED;
    jlist *list = cud_j_collect(j, self);
    *out = j_list(list);
    return list != NULL;
}

FILTER(filter_reverse)
{
    UNUSED;
    if (self.kind == J_STRING) return cud_j_slice(j, out, self, j_none(), j_none(), j_int(-1));
    jlist *list = cud_j_collect(j, self);
    for (size_t i = 0; list && i < list->count / 2; i++) {
        const jvalue swapped = list->item[i];
        list->item[i] = list->item[list->count - 1 - i];
        list->item[list->count - 1 - i] = swapped;
    }
    return list && cud_j_iterator(j, out, list);
}

static bool is_given(jvalue arg) { return arg.kind != J_MISSING && arg.kind != J_NONE; }

/* By attribute if there is one, in lower case unless case counts. */
static bool sort_key(jrun *j, jvalue *out, jvalue item, jvalue attribute, bool sensitive)
{
    if (is_given(attribute) && !cud_j_path(j, &item, item, attribute)) return false;
    *out = item;
    return sensitive || item.kind != J_STRING || cud_j_change_case(j, out, item, J_LOWER);
}

static jlist *sort_keys(jrun *j, const jlist *list, jvalue attribute, bool sensitive)
{
    jlist *keys = cud_j_list(j, list->count);
    for (size_t i = 0; keys && i < list->count; i++)
        if (!sort_key(j, &keys->item[keys->count++], list->item[i], attribute, sensitive)) return NULL;
    return keys;
}

/* What an element is sorted by: a list of one key for each attribute, as Jinja has it, so that elements whose keys are equal need
 * no order. */
static bool sort_keys_of(jrun *j, jvalue *out, jvalue item, jvalue attributes, bool sensitive)
{
    jlist *parts = cud_j_list(j, 1);
    jvalue part;
    if (!parts) return false;
    *out = j_list(parts);
    if (attributes.kind != J_STRING) return sort_key(j, &part, item, attributes, sensitive) && cud_j_push(j, parts, part);
    for (size_t at = 0; at <= attributes.n;) {
        const char *comma = at < attributes.n ? memchr(attributes.s + at, ',', attributes.n - at) : NULL;
        const size_t end = comma ? (size_t)(comma - attributes.s) : attributes.n;
        if (!sort_key(j, &part, item, j_string(attributes.s + at, end - at), sensitive) || !cud_j_push(j, parts, part))
            return false;
        at = end + 1;
    }
    return true;
}

FILTER(filter_sort)
{
    (void)call;
    jlist *list = cud_j_collect(j, self), *keys = list ? cud_j_list(j, list->count) : NULL;
    if (!keys) return false;
    for (size_t i = 0; i < list->count; i++)
        if (!sort_keys_of(j, &keys->item[keys->count++], list->item[i], arg[2], j_flag_arg(arg[1], false))) return false;
    if (!cud_j_sort(j, list, keys, j_flag_arg(arg[0], false))) return false;
    *out = j_list(list);
    return true;
}

FILTER(filter_unique)
{
    (void)call;
    jlist *list = cud_j_collect(j, self), *kept = cud_j_list(j, 0);
    jdict *seen = cud_j_dict(j);
    if (!list || !kept || !seen) return false;
    for (size_t i = 0; i < list->count; i++) {
        jvalue key, known;
        if (!sort_key(j, &key, list->item[i], arg[1], j_flag_arg(arg[0], false))) return false;
        const int found = cud_j_get(j, seen, key, &known);
        if (found < 0) return false;
        if (!found && (!cud_j_put(j, seen, key, j_none()) || !cud_j_push(j, kept, list->item[i]))) return false;
    }
    return cud_j_iterator(j, out, kept);
}

static bool extreme(jrun *j, jvalue *out, jvalue self, const jvalue *arg, int sign)
{
    jlist *list = cud_j_collect(j, self), *keys = list ? sort_keys(j, list, arg[1], j_flag_arg(arg[0], false)) : NULL;
    if (!keys) return false;
    size_t best = 0;
    for (size_t i = 1; i < list->count; i++) {
        int order;
        if (!cud_j_order(j, keys->item[i], keys->item[best], &order)) return false;
        if (order * sign > 0) best = i;
    }
    *out = list->count ? list->item[best] : j_undefined(J_BY_EMPTY, "", 0);
    return true;
}

FILTER(filter_min)
{
    (void)call;
    return extreme(j, out, self, arg, -1);
}

FILTER(filter_max)
{
    (void)call;
    return extreme(j, out, self, arg, 1);
}

FILTER(filter_sum)
{
    (void)call;
    jiter it;
    jvalue total = arg[1].kind == J_MISSING ? j_int(0) : arg[1], item;
    if (total.kind == J_STRING) return cud_j_fail(j, "'sum' does not add strings");
    if (!cud_j_iter(j, &it, self)) return false;
    while (cud_j_next(j, &it, &item))
        if ((is_given(arg[0]) && !cud_j_path(j, &item, item, arg[0])) || !cud_j_arithmetic(j, N_ADD, total, item, &total))
            return false;
    *out = total;
    return !j->status;
}

FILTER(filter_join)
{
    (void)call;
    jvalue between = j_string("", 0);
    if (arg[0].kind != J_MISSING && !cud_j_str(j, &between, arg[0])) return false;
    jlist *list = cud_j_collect(j, self);
    for (size_t i = 0; list && is_given(arg[1]) && i < list->count; i++)
        if (!cud_j_path(j, &list->item[i], list->item[i], arg[1])) return false;
    return list && cud_j_join(j, out, between, list);
}

static bool items_of(jrun *j, jlist **out, jvalue dict, const char *filter)
{
    if (dict.kind != J_DICT) return cud_j_fail(j, "'%s' needs a dict, not a %s", filter, cud_j_kind_name(dict));
    *out = cud_j_collect(j, (jvalue){ .kind = J_VIEW, .aux = J_ITEMS, .dict = dict.dict });
    return *out != NULL;
}

FILTER(filter_items)
{
    UNUSED;
    jlist *list = self.kind == J_UNDEFINED ? cud_j_list(j, 0) : NULL;
    return (list || items_of(j, &list, self, "items")) && cud_j_iterator(j, out, list);
}

FILTER(filter_dictsort)
{
    (void)call;
    jvalue by = j_text("key");
    jlist *list = NULL, *keys;
    if (arg[1].kind != J_MISSING) by = arg[1];
    const bool value = j_is_text(by, "value");
    if (!value && !j_is_text(by, "key")) return cud_j_fail(j, "'dictsort' sorts by 'key' or 'value'");
    if (self.kind == J_UNDEFINED) return cud_j_fail_undefined(j, self);
    if (!items_of(j, &list, self, "dictsort") || !(keys = sort_keys(j, list, j_int(value), j_flag_arg(arg[0], false))))
        return false;
    if (!cud_j_sort(j, list, keys, j_flag_arg(arg[2], false))) return false;
    *out = j_list(list);
    return true;
}

FILTER(filter_batch)
{
    (void)call;
    int64_t size = 0;
    jlist *list = cud_j_collect(j, self), *rows = cud_j_list(j, 0), *row = NULL;
    if (!list || !rows || !cud_j_int_arg(j, &size, arg[0], "the size of a batch")) return false;
    for (size_t i = 0; i < list->count; i++) {
        if (!row || (int64_t)row->count == size) {
            row = cud_j_list(j, 0);
            if (!row || !cud_j_push(j, rows, j_list(row))) return false;
        }
        if (!cud_j_push(j, row, list->item[i])) return false;
    }
    while (row && is_given(arg[1]) && (int64_t)row->count < size)
        if (!cud_j_step(j, 1) || !cud_j_push(j, row, arg[1])) return false;
    return cud_j_iterator(j, out, rows);
}

FILTER(filter_slice)
{
    (void)call;
    int64_t slices = 0;
    jlist *list = cud_j_collect(j, self), *columns = cud_j_list(j, 0);
    if (!list || !columns || !cud_j_int_arg(j, &slices, arg[0], "the number of slices")) return false;
    if (slices == 0) return cud_j_fail(j, "'slice' into no slices");
    const int64_t each = (int64_t)list->count / slices, more = (int64_t)list->count % slices;
    size_t at = 0;
    for (int64_t s = 0; s < slices; s++) {
        jlist *column = cud_j_list(j, 0);
        if (!column || !cud_j_step(j, 1) || !cud_j_push(j, columns, j_list(column))) return false;
        for (int64_t i = 0; i < each + (s < more); i++)
            if (!cud_j_push(j, column, list->item[at++])) return false;
        if (is_given(arg[1]) && s >= more && !cud_j_push(j, column, arg[1])) return false;
    }
    return cud_j_iterator(j, out, columns);
}

FILTER(filter_groupby)
{
    (void)call;
    const bool sensitive = j_flag_arg(arg[2], false);
    jlist *list = cud_j_collect(j, self), *groups = cud_j_list(j, 0), *keys = cud_j_list(j, 0);
    if (!list || !groups || !keys) return false;
    for (size_t i = 0; i < list->count; i++) {
        jvalue key;
        if (!cud_j_path(j, &key, list->item[i], arg[0])) return false;
        if (key.kind == J_UNDEFINED && is_given(arg[1])) key = arg[1];
        if (!cud_j_push(j, keys, key) || !sort_key(j, &keys->item[i], key, j_none(), sensitive)) return false;
    }
    if (!cud_j_sort(j, list, keys, false)) return false;
    jlist *members = NULL;
    for (size_t i = 0; i < list->count; i++) {
        bool same = false;
        if (i && !cud_j_equal(j, keys->item[i - 1], keys->item[i], &same)) return false;
        if (!same) {
            jlist *group = cud_j_list(j, 2);
            members = cud_j_list(j, 0);
            jvalue name;
            if (!group || !members || !cud_j_path(j, &name, list->item[i], arg[0])) return false;
            if (name.kind == J_UNDEFINED && is_given(arg[1])) name = arg[1];
            group->item[0] = name, group->item[1] = j_list(members), group->count = 2;
            if (!cud_j_push(j, groups, j_tuple(group))) return false;
        }
        if (!cud_j_push(j, members, list->item[i])) return false;
    }
    *out = j_list(groups);
    return true;
}

FILTER(filter_attr)
{
    (void)call;
    jvalue name;
    if (!cud_j_str(j, &name, arg[0])) return false;
    /* Attributes alone, no items: methods, and what a namespace or loop has. */
    if (self.kind == J_NAMESPACE || self.kind == J_LOOP || self.kind == J_UNDEFINED)
        return cud_j_attribute(j, out, self, name.s, name.n);
    bool unsafe = false;
    if (cud_j_find_method((jkind)self.kind, name.s, name.n, &unsafe) || unsafe)
        return cud_j_attribute(j, out, self, name.s, name.n);
    *out = j_undefined(J_BY_ATTRIBUTE, name.s, name.n);
    out->of = self.kind;
    return true;
}

/* ------------------------------------------------------------------------------------------- filters that take others */

FILTER(filter_map)
{
    (void)arg;
    jlist *list = cud_j_collect(j, self), *results = NULL;
    if (!list || !(results = cud_j_list(j, list->count))) return false;
    jvalue attribute = { .kind = J_MISSING }, fallback = { .kind = J_NONE };
    const jbuiltin *filter = NULL;
    jcall rest = *call;
    if (call->count) {
        const jvalue name = call->arg[0];
        if (name.kind == J_STRING) filter = cud_j_find_filter(name.s, name.n);
        if (!filter)
            return cud_j_fail_with(j, CUDDLE_E_UNSUPPORTED, "there is no filter '%.*s'",
                                   name.kind == J_STRING ? (int)(name.n < 60 ? name.n : 60) : 1,
                                   name.kind == J_STRING ? name.s : "?");
        rest.arg++, rest.count--;
    } else {
        for (size_t k = 0; k < call->keywords; k++) {
            const jkeyword *keyword = &call->keyword[k];
            const jvalue name = j_string(keyword->name, keyword->length);
            if (j_is_text(name, "attribute"))
                attribute = keyword->value;
            else if (j_is_text(name, "default"))
                fallback = keyword->value;
            else
                return cud_j_fail(j, "'map' has no argument '%.*s'", (int)(name.n < 60 ? name.n : 60), name.s);
        }
        if (attribute.kind == J_MISSING) return cud_j_fail(j, "'map' needs a filter or an attribute");
    }
    for (size_t i = 0; i < list->count; i++) {
        jvalue *result = &results->item[results->count++];
        if (filter ? !cud_j_call_builtin(j, result, filter, list->item[i], &rest)
                   : !cud_j_path(j, result, list->item[i], attribute))
            return false;
        if (!filter && result->kind == J_UNDEFINED && fallback.kind != J_NONE) *result = fallback;
    }
    return cud_j_iterator(j, out, results);
}

static bool select_by(jrun *j, jvalue *out, jvalue self, const jcall *call, bool by_attribute, bool wanted, const char *filter)
{
    jlist *list = cud_j_collect(j, self), *kept = cud_j_list(j, 0);
    if (!list || !kept) return false;
    const size_t skip = by_attribute;
    if (call->count < skip) return cud_j_fail(j, "'%s' needs an attribute", filter);
    for (size_t i = 0; i < list->count; i++) {
        jvalue value = list->item[i];
        bool holds;
        if (by_attribute && !cud_j_path(j, &value, value, call->arg[0])) return false;
        if (call->count == skip)
            holds = cud_j_truth(value);
        else if (!cud_j_run_test(j, &holds, value, call->arg[skip], call->arg + skip + 1, call->count - skip - 1))
            return false;
        if (holds == wanted && !cud_j_push(j, kept, list->item[i])) return false;
    }
    return cud_j_iterator(j, out, kept);
}

FILTER(filter_select)
{
    (void)arg;
    return select_by(j, out, self, call, false, true, "select");
}

FILTER(filter_reject)
{
    (void)arg;
    return select_by(j, out, self, call, false, false, "reject");
}

FILTER(filter_selectattr)
{
    (void)arg;
    return select_by(j, out, self, call, true, true, "selectattr");
}

FILTER(filter_rejectattr)
{
    (void)arg;
    return select_by(j, out, self, call, true, false, "rejectattr");
}

static const jbuiltin rows[] = {
    { "length", "", filter_length },
    { "count", "", filter_length },
    { "first", "", filter_first },
    { "last", "", filter_last },
    { "list", "", filter_list },
    { "reverse", "", filter_reverse },
    { "sort", "reverse case_sensitive attribute", filter_sort },
    { "unique", "case_sensitive attribute", filter_unique },
    { "min", "case_sensitive attribute", filter_min },
    { "max", "case_sensitive attribute", filter_max },
    { "sum", "attribute start", filter_sum },
    { "join", "d attribute", filter_join },
    { "items", "", filter_items },
    { "dictsort", "case_sensitive by reverse", filter_dictsort },
    { "batch", "linecount! fill_with", filter_batch },
    { "slice", "slices! fill_with", filter_slice },
    { "groupby", "attribute! default case_sensitive", filter_groupby },
    { "attr", "name!", filter_attr },
    { "map", NULL, filter_map },
    { "select", NULL, filter_select },
    { "reject", NULL, filter_reject },
    { "selectattr", NULL, filter_selectattr },
    { "rejectattr", NULL, filter_rejectattr },
};
const jtable cud_j_sequence_filters = { rows, sizeof rows / sizeof *rows };
