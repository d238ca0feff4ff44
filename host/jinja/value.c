/* Lists, dicts and iteration. */
#include "jinja/value.h"

#include "jinja/interp.h"
#include "jinja/operators.h"
#include "text/unicode.h"

const char *cud_j_kind_name(jvalue v)
{
    switch ((jkind)v.kind) {
    case J_MISSING:
    case J_UNDEFINED: return "undefined value";
    case J_NONE: return "none";
    case J_BOOL: return "bool";
    case J_INT: return "int";
    case J_FLOAT: return "float";
    case J_STRING: return "string";
    case J_LIST: return "list";
    case J_TUPLE: return "tuple";
    case J_DICT: return "dict";
    case J_VIEW: return "dict view";
    case J_ITERATOR: return "generator";
    case J_RANGE: return "range";
    case J_NAMESPACE: return "namespace";
    case J_FUNCTION:
    case J_METHOD: return "function";
    case J_MACRO: return "macro";
    case J_LOOP: return "loop";
    case J_CYCLER: return "cycler";
    case J_JOINER: return "joiner";
    }
    return "?";
}

/* ------------------------------------------------------------------------------------------------------------- lists */

jlist *cud_j_list(jrun *j, size_t room)
{
    jlist *list = cud_j_alloc(j, sizeof *list);
    if (!list) return NULL;
    *list = (jlist){ .room = room };
    if (room > SIZE_MAX / sizeof(jvalue)) room = SIZE_MAX / sizeof(jvalue);
    if (room && !(list->item = cud_j_alloc(j, room * sizeof *list->item))) return NULL;
    return list;
}

bool cud_j_push(jrun *j, jlist *list, jvalue value)
{
    if (list->count == list->room) {
        const size_t room = list->room ? 2 * list->room : 4;
        if (!cud_j_step(j, list->room)) return false;
        jvalue *grown = cud_arena_grow(&j->memory, list->item, list->room * sizeof *grown, room * sizeof *grown);
        if (!grown) return cud_j_alloc(j, SIZE_MAX) != NULL; /* says why */
        list->item = grown;
        list->room = room;
    }
    list->item[list->count++] = value;
    return true;
}

bool cud_j_iterator(jrun *j, jvalue *out, jlist *list)
{
    jiterator *iterator = cud_j_alloc(j, sizeof *iterator);
    if (!iterator) return false;
    *iterator = (jiterator){ list, 0 };
    *out = (jvalue){ .kind = J_ITERATOR, .iterator = iterator };
    return true;
}

/* ------------------------------------------------------------------------------------------------------------- dicts */

enum { FEW = 8 };

jdict *cud_j_dict(jrun *j)
{
    jdict *dict = cud_j_alloc(j, sizeof *dict);
    if (dict) *dict = (jdict){ 0 };
    return dict;
}

/* Index of the entry, or -1; -2 after a failure. Every probe is a step, so that keys made to collide cost their author. */
static int64_t find_entry(jrun *j, const jdict *dict, jvalue key, uint64_t hash)
{
    bool same;
    if (!dict->index) {
        for (size_t i = 0; i < dict->count; i++) {
            if (dict->entry[i].hash != hash) continue;
            if (!cud_j_equal(j, dict->entry[i].key, key, &same)) return -2;
            if (same) return (int64_t)i;
        }
        return -1;
    }
    for (size_t slot = hash & (dict->slots - 1);; slot = (slot + 1) & (dict->slots - 1)) {
        if (!dict->index[slot]) return -1;
        if (!cud_j_step(j, 1)) return -2;
        const uint32_t i = dict->index[slot] - 1;
        if (dict->entry[i].hash != hash) continue;
        if (!cud_j_equal(j, dict->entry[i].key, key, &same)) return -2;
        if (same) return i;
    }
}

static bool build_index(jrun *j, jdict *dict)
{
    size_t slots = 32;
    while (slots < 3 * dict->room) slots *= 2;
    dict->index = cud_j_alloc(j, slots * sizeof *dict->index);
    if (!dict->index) return false;
    dict->slots = slots;
    memset(dict->index, 0, slots * sizeof *dict->index);
    for (size_t i = 0; i < dict->count; i++) {
        size_t slot = dict->entry[i].hash & (slots - 1);
        while (dict->index[slot]) {
            if (!cud_j_step(j, 1)) return false;
            slot = (slot + 1) & (slots - 1);
        }
        dict->index[slot] = (uint32_t)i + 1;
    }
    return true;
}

bool cud_j_put(jrun *j, jdict *dict, jvalue key, jvalue value)
{
    uint64_t hash;
    if (!cud_j_hash(j, key, &hash)) return false;
    const int64_t found = find_entry(j, dict, key, hash);
    if (found == -2) return false;
    if (found >= 0) {
        dict->entry[found].value = value;
        return true;
    }
    if (dict->count == dict->room) {
        const size_t room = dict->room ? 2 * dict->room : 4;
        if (room > UINT32_MAX / 2) return cud_j_alloc(j, SIZE_MAX) != NULL;
        jentry *grown = cud_arena_grow(&j->memory, dict->entry, dict->room * sizeof *grown, room * sizeof *grown);
        if (!grown) return cud_j_alloc(j, SIZE_MAX) != NULL;
        dict->entry = grown;
        dict->room = room;
        if (room > FEW && !build_index(j, dict)) return false;
    }
    dict->entry[dict->count++] = (jentry){ key, value, hash };
    if (!dict->index) return true;
    size_t slot = hash & (dict->slots - 1);
    while (dict->index[slot]) slot = (slot + 1) & (dict->slots - 1);
    dict->index[slot] = (uint32_t)dict->count;
    return true;
}

int cud_j_get(jrun *j, const jdict *dict, jvalue key, jvalue *out)
{
    uint64_t hash;
    if (!cud_j_hash(j, key, &hash)) return -1;
    const int64_t found = find_entry(j, dict, key, hash);
    if (found >= 0) *out = dict->entry[found].value;
    return found == -2 ? -1 : found >= 0;
}

bool cud_j_put_text(jrun *j, jdict *dict, const char *key, jvalue value) { return cud_j_put(j, dict, j_text(key), value); }

bool cud_j_get_text(jrun *j, const jdict *dict, const char *key, jvalue *out) { return cud_j_get(j, dict, j_text(key), out) == 1; }

/* --------------------------------------------------------------------------------------------------------- iteration */

bool cud_j_is_iterable(jvalue v)
{
    switch ((jkind)v.kind) {
    case J_UNDEFINED:
    case J_STRING:
    case J_LIST:
    case J_TUPLE:
    case J_DICT:
    case J_VIEW:
    case J_ITERATOR:
    case J_RANGE:
    case J_LOOP: return true;
    default: return false;
    }
}

bool cud_j_iter(jrun *j, jiter *it, jvalue value)
{
    *it = (jiter){ value, 0 };
    return cud_j_is_iterable(value) || cud_j_fail(j, "a %s cannot be iterated over", cud_j_kind_name(value));
}

jvalue cud_j_range_at(const jrange *range, int64_t index) { return j_int(range->start + index * range->step); }

static bool view_at(jrun *j, jvalue *out, jvalue view, size_t i)
{
    const jentry *entry = &view.dict->entry[i];
    if (view.aux != J_ITEMS) {
        *out = view.aux == J_KEYS ? entry->key : entry->value;
        return true;
    }
    jlist *pair = cud_j_list(j, 2);
    if (!pair) return false;
    pair->item[0] = entry->key, pair->item[1] = entry->value, pair->count = 2;
    *out = j_tuple(pair);
    return true;
}

bool cud_j_next(jrun *j, jiter *it, jvalue *out)
{
    if (!cud_j_step(j, 1)) return false;
    const jvalue v = it->of;
    switch ((jkind)v.kind) {
    case J_STRING: {
        if (it->at >= v.n) return false;
        const size_t length = cud_utf8_length((unsigned char)v.s[it->at]);
        *out = j_string(v.s + it->at, length);
        it->at += length;
        return true;
    }
    case J_LIST:
    case J_TUPLE:
        if (it->at >= v.list->count) return false;
        *out = v.list->item[it->at++];
        return true;
    case J_DICT:
        if (it->at >= v.dict->count) return false;
        *out = v.dict->entry[it->at++].key;
        return true;
    case J_VIEW: return it->at < v.dict->count && view_at(j, out, v, it->at++);
    case J_ITERATOR:
        if (v.iterator->at >= v.iterator->list->count) return false;
        *out = v.iterator->list->item[v.iterator->at++];
        return true;
    case J_RANGE:
        if ((int64_t)it->at >= v.range->count) return false;
        *out = cud_j_range_at(v.range, (int64_t)it->at++);
        return true;
    case J_LOOP: return cud_j_loop_next(j, v.loop, out);
    default: return false;
    }
}

jlist *cud_j_collect(jrun *j, jvalue value)
{
    jiter it;
    jvalue item;
    size_t count = 0;
    cud_j_length(value, &count);
    jlist *list = cud_j_iter(j, &it, value) ? cud_j_list(j, count) : NULL;
    while (list && cud_j_next(j, &it, &item))
        if (!cud_j_push(j, list, item)) return NULL;
    return j->status ? NULL : list;
}

bool cud_j_length(jvalue v, size_t *out)
{
    switch ((jkind)v.kind) {
    case J_UNDEFINED: *out = 0; return true;
    case J_STRING: *out = cud_j_count(v.s, v.n); return true;
    case J_LIST:
    case J_TUPLE: *out = v.list->count; return true;
    case J_DICT:
    case J_VIEW: *out = v.dict->count; return true;
    case J_RANGE: *out = (size_t)v.range->count; return true;
    case J_LOOP: *out = v.loop->count; return true;
    default: return false;
    }
}
