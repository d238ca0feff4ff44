/* Methods of dicts, lists and Jinja's own objects, and what the sandbox keeps away. */
#include "jinja/builtins.h"

#define METHOD(name) static bool name(jrun *j, jvalue *out, jvalue self, const jvalue *arg, const jcall *call)
#define UNUSED (void)arg, (void)call

METHOD(dict_get)
{
    (void)call;
    *out = arg[1].kind == J_MISSING ? j_none() : arg[1];
    return cud_j_get(j, self.dict, arg[0], out) >= 0;
}

static bool view(jvalue *out, jvalue self, jview what)
{
    *out = (jvalue){ .kind = J_VIEW, .aux = (uint8_t)what, .dict = self.dict };
    return true;
}

METHOD(dict_keys)
{
    (void)j, UNUSED;
    return view(out, self, J_KEYS);
}

METHOD(dict_values)
{
    (void)j, UNUSED;
    return view(out, self, J_VALUES);
}

METHOD(dict_items)
{
    (void)j, UNUSED;
    return view(out, self, J_ITEMS);
}

METHOD(copy) /* nothing changes, so a copy is the same */
{
    (void)j, UNUSED;
    *out = self;
    return true;
}

METHOD(dict_missing)
{
    (void)out, (void)self, UNUSED;
    return cud_j_fail_with(j, CUDDLE_E_UNSUPPORTED, "this method of dicts is not supported");
}

METHOD(list_index)
{
    (void)call;
    int64_t first = 0, start = 0, stop = INT64_MAX;
    if (!cud_j_int_arg(j, &start, arg[1], "the start") || !cud_j_int_arg(j, &stop, arg[2], "the end")) return false;
    const size_t taken = cud_j_slice_range((int64_t)self.list->count, j_int(start), j_int(stop), 1, &first);
    for (size_t i = (size_t)first; i < (size_t)first + taken; i++) {
        bool same;
        if (!cud_j_equal(j, self.list->item[i], arg[0], &same)) return false;
        if (!same) continue;
        *out = j_int((int64_t)i);
        return true;
    }
    return cud_j_fail(j, "the %s does not hold what is looked for", cud_j_kind_name(self));
}

METHOD(list_count)
{
    (void)call;
    int64_t count = 0;
    for (size_t i = 0; i < self.list->count; i++) {
        bool same;
        if (!cud_j_equal(j, self.list->item[i], arg[0], &same)) return false;
        count += same;
    }
    *out = j_int(count);
    return true;
}

METHOD(cycler_next)
{
    UNUSED;
    jcycler *cycler = self.cycler;
    (void)j;
    *out = cycler->items->item[cycler->at];
    cycler->at = (cycler->at + 1) % cycler->items->count;
    return true;
}

METHOD(cycler_reset)
{
    (void)j, UNUSED;
    self.cycler->at = 0;
    *out = j_none();
    return true;
}

METHOD(loop_cycle)
{
    (void)arg;
    if (call->keywords || !call->count) return cud_j_fail(j, "'loop.cycle' needs something to cycle through");
    *out = call->arg[self.loop->at % call->count];
    return true;
}

METHOD(loop_changed)
{
    (void)arg;
    bool same = false;
    jlist *list = cud_j_list(j, call->count);
    if (!list) return false;
    if (call->count) memcpy(list->item, call->arg, (list->count = call->count) * sizeof *list->item);
    if (self.loop->changed.kind != J_MISSING && !cud_j_equal(j, self.loop->changed, j_tuple(list), &same)) return false;
    self.loop->changed = j_tuple(list);
    *out = j_bool(!same);
    return true;
}

static const jbuiltin dict_rows[] = {
    { "get", "key! default", dict_get }, { "keys", "", dict_keys }, { "values", "", dict_values },
    { "items", "", dict_items },         { "copy", "", copy },      { "fromkeys", NULL, dict_missing },
};
static const jbuiltin list_rows[] = { { "index", "value! start stop", list_index },
                                      { "count", "value!", list_count },
                                      { "copy", "", copy } };
static const jbuiltin cycler_rows[] = { { "next", "", cycler_next }, { "reset", "", cycler_reset } };
static const jbuiltin loop_rows[] = { { "cycle", NULL, loop_cycle }, { "changed", NULL, loop_changed } };

static const char *const dict_unsafe[] = { "clear", "pop", "popitem", "setdefault", "update", NULL };
static const char *const list_unsafe[] = { "append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove", NULL };

static bool among(const char *const *names, const char *name, size_t length)
{
    for (; *names; names++)
        if (strlen(*names) == length && memcmp(*names, name, length) == 0) return true;
    return false;
}

const jbuiltin *cud_j_find_method(jkind kind, const char *name, size_t length, bool *unsafe)
{
    const jbuiltin *found = NULL;
    *unsafe = false;
    switch (kind) {
    case J_STRING: return cud_j_find_row(cud_j_string_methods, name, length);
    case J_DICT: *unsafe = among(dict_unsafe, name, length); return cud_j_find_row(J_TABLE(dict_rows), name, length);
    case J_LIST: *unsafe = among(list_unsafe, name, length); return cud_j_find_row(J_TABLE(list_rows), name, length);
    case J_TUPLE:
        found = cud_j_find_row(J_TABLE(list_rows), name, length);
        return found && found->call != copy ? found : NULL; /* tuples have no copy() */
    case J_CYCLER: return cud_j_find_row(J_TABLE(cycler_rows), name, length);
    case J_LOOP: return cud_j_find_row(J_TABLE(loop_rows), name, length);
    default: return NULL;
    }
}

bool cud_j_loop_attribute(jrun *j, jvalue *out, jloop *loop, const char *name, size_t length)
{
    const jvalue asked = j_string(name, length);
    const int64_t at = (int64_t)loop->at, count = (int64_t)loop->count;
    (void)j;
    if (j_is_text(asked, "index"))
        *out = j_int(at + 1);
    else if (j_is_text(asked, "index0"))
        *out = j_int(at);
    else if (j_is_text(asked, "revindex"))
        *out = j_int(count - at);
    else if (j_is_text(asked, "revindex0"))
        *out = j_int(count - at - 1);
    else if (j_is_text(asked, "first"))
        *out = j_bool(at == 0);
    else if (j_is_text(asked, "last"))
        *out = j_bool(at + 1 >= count);
    else if (j_is_text(asked, "length"))
        *out = j_int(count);
    else if (j_is_text(asked, "depth"))
        *out = j_int(loop->depth + 1);
    else if (j_is_text(asked, "depth0"))
        *out = j_int(loop->depth);
    else if (j_is_text(asked, "previtem"))
        *out = at > 0 ? loop->item[at - 1] : j_undefined(J_BY_EMPTY, "", 0);
    else if (j_is_text(asked, "nextitem"))
        *out = at + 1 < count ? loop->item[at + 1] : j_undefined(J_BY_EMPTY, "", 0);
    else
        return false;
    return true;
}
