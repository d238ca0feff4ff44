/* str(), repr() and json.dumps() of values. */
#include "jinja/interp.h"
#include "jinja/number.h"
#include "jinja/operators.h"
#include "text/unicode.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static bool append_repr_text(jrun *j, jvalue *text, jvalue v)
{
    bool single = false, twice = false;
    for (size_t i = 0; i < v.n; i++) single |= v.s[i] == '\'', twice |= v.s[i] == '"';
    const char quote = single && !twice ? '"' : '\'';
    if (v.safe && !cud_j_append_text(j, text, "Markup(")) return false;
    if (!cud_j_append(j, text, &quote, 1)) return false;
    size_t length, plain = 0, at = 0;
    for (; at < v.n; at += length) {
        const int32_t c = cud_utf8_decode(v.s + at, &length);
        char escape[16] = "";
        if (c == '\\' || c == quote)
            snprintf(escape, sizeof escape, "\\%c", (char)c);
        else if (c == '\n' || c == '\r' || c == '\t')
            snprintf(escape, sizeof escape, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (!cud_j_is_printable(c))
            snprintf(escape, sizeof escape, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)c);
        if (!*escape) continue;
        if (!cud_j_append(j, text, v.s + plain, at - plain) || !cud_j_append_text(j, text, escape)) return false;
        plain = at + length;
    }
    return cud_j_append(j, text, v.s + plain, v.n - plain) && cud_j_append(j, text, &quote, 1) &&
           (!v.safe || cud_j_append_text(j, text, ")"));
}

static bool append_items(jrun *j, jvalue *text, const jlist *list, const char *open, const char *close)
{
    if (!cud_j_append_text(j, text, open)) return false;
    for (size_t i = 0; i < list->count; i++)
        if ((i && !cud_j_append_text(j, text, ", ")) || !cud_j_append_repr(j, text, list->item[i])) return false;
    return cud_j_append_text(j, text, close);
}

static bool append_entries(jrun *j, jvalue *text, const jdict *dict, bool keys, bool values, const char *between)
{
    const bool pairs = keys && values && *between == ',';
    for (size_t i = 0; i < dict->count; i++) {
        if (i && !cud_j_append_text(j, text, ", ")) return false;
        if (pairs && !cud_j_append_text(j, text, "(")) return false;
        if (keys && !cud_j_append_repr(j, text, dict->entry[i].key)) return false;
        if (keys && values && !cud_j_append_text(j, text, between)) return false;
        if (values && !cud_j_append_repr(j, text, dict->entry[i].value)) return false;
        if (pairs && !cud_j_append_text(j, text, ")")) return false;
    }
    return true;
}

static bool append_view(jrun *j, jvalue *text, jvalue v)
{
    static const char *const open[] = { "dict_keys([", "dict_values([", "dict_items([" };
    return cud_j_append_text(j, text, open[v.aux]) && append_entries(j, text, v.dict, v.aux != J_VALUES, v.aux != J_KEYS, ", ") &&
           cud_j_append_text(j, text, "])");
}

static bool append_range(jrun *j, jvalue *text, const jrange *range)
{
    char out[96];
    if (range->step == 1)
        snprintf(out, sizeof out, "range(%" PRId64 ", %" PRId64 ")", range->start, range->stop);
    else
        snprintf(out, sizeof out, "range(%" PRId64 ", %" PRId64 ", %" PRId64 ")", range->start, range->stop, range->step);
    return cud_j_append_text(j, text, out);
}

/* What Python prints with an address in memory has no text that could be the same twice. */
static bool no_text(jrun *j, jvalue v) { return cud_j_fail(j, "a %s has no text", cud_j_kind_name(v)); }

bool cud_j_append_repr(jrun *j, jvalue *text, jvalue v)
{
    char number[J_REAL_MOST];
    if (!cud_j_step(j, 1) || !cud_j_enter(j)) return false;
    bool done = false;
    switch ((jkind)v.kind) {
    case J_MISSING:
    case J_UNDEFINED: done = cud_j_append_text(j, text, "Undefined"); break;
    case J_NONE: done = cud_j_append_text(j, text, "None"); break;
    case J_BOOL: done = cud_j_append_text(j, text, v.b ? "True" : "False"); break;
    case J_INT: done = cud_j_append(j, text, number, (size_t)snprintf(number, sizeof number, "%" PRId64, v.i)); break;
    case J_FLOAT: done = cud_j_append(j, text, number, cud_j_repr_real(number, v.f)); break;
    case J_STRING: done = append_repr_text(j, text, v); break;
    case J_LIST: done = append_items(j, text, v.list, "[", "]"); break;
    case J_TUPLE: done = append_items(j, text, v.list, "(", v.list->count == 1 ? ",)" : ")"); break;
    case J_DICT:
        done =
            cud_j_append_text(j, text, "{") && append_entries(j, text, v.dict, true, true, ": ") && cud_j_append_text(j, text, "}");
        break;
    case J_VIEW: done = append_view(j, text, v); break;
    case J_RANGE: done = append_range(j, text, v.range); break;
    case J_NAMESPACE:
        done = cud_j_append_text(j, text, "<Namespace {") && append_entries(j, text, v.dict, true, true, ": ") &&
               cud_j_append_text(j, text, "}>");
        break;
    case J_MACRO:
        if (!v.macro->code->name)
            done = cud_j_append_text(j, text, "<Macro 'caller'>");
        else
            done = cud_j_append_text(j, text, "<Macro ") &&
                   append_repr_text(j, text, j_string(v.macro->code->name->s, v.macro->code->name->n)) &&
                   cud_j_append_text(j, text, ">");
        break;
    case J_LOOP:
        done = cud_j_append(j, text, number,
                            (size_t)snprintf(number, sizeof number, "<LoopContext %zu/%zu>", v.loop->at + 1, v.loop->count));
        break;
    case J_ITERATOR:
    case J_FUNCTION:
    case J_METHOD:
    case J_CYCLER:
    case J_JOINER: done = no_text(j, v); break;
    }
    j->depth--;
    return done;
}

bool cud_j_append_str(jrun *j, jvalue *text, jvalue v)
{
    if (v.kind == J_UNDEFINED) return true;
    return v.kind == J_STRING ? cud_j_append(j, text, v.s, v.n) : cud_j_append_repr(j, text, v);
}

bool cud_j_str(jrun *j, jvalue *out, jvalue v)
{
    jvalue text = j_string("", 0);
    if (v.kind == J_STRING)
        text = j_string(v.s, v.n);
    else if (!cud_j_append_str(j, &text, v))
        return false;
    *out = text;
    return true;
}

bool cud_j_repr(jrun *j, jvalue *out, jvalue v)
{
    jvalue text = j_string("", 0);
    if (!cud_j_append_repr(j, &text, v)) return false;
    *out = text;
    return true;
}

/* -------------------------------------------------------------------------------------------------------------- JSON */

static bool dump_text(jrun *j, jvalue *text, jvalue v, const jdump *how)
{
    if (!cud_j_append_text(j, text, "\"")) return false;
    size_t length, plain = 0, at = 0;
    for (; at < v.n; at += length) {
        length = 1;
        int32_t c = (unsigned char)v.s[at];
        if (c >= 0x80 && how->ascii) c = cud_utf8_decode(v.s + at, &length);
        char escape[16] = "";
        if (c == '"' || c == '\\')
            snprintf(escape, sizeof escape, "\\%c", (char)c);
        else if (c < 0x20) {
            static const char names[] = "btn\0fr";
            if (c >= 8 && c <= 13 && c != 11)
                snprintf(escape, sizeof escape, "\\%c", names[c - 8]);
            else
                snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
        } else if (how->ascii && c > 0xffff) {
            snprintf(escape, sizeof escape, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (c >> 10)), (unsigned)(0xdc00 | (c & 0x3ff)));
        } else if (how->ascii && c >= 0x7f + 1) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
        }
        if (!*escape) continue;
        if (!cud_j_append(j, text, v.s + plain, at - plain) || !cud_j_append_text(j, text, escape)) return false;
        plain = at + length;
    }
    return cud_j_append(j, text, v.s + plain, v.n - plain) && cud_j_append_text(j, text, "\"");
}

static bool dump_real(jrun *j, jvalue *text, double f)
{
    char out[J_REAL_MOST];
    if (isnan(f) || isinf(f)) return cud_j_append_text(j, text, isnan(f) ? "NaN" : f > 0 ? "Infinity" : "-Infinity");
    return cud_j_append(j, text, out, cud_j_repr_real(out, f));
}

static bool dump_key(jrun *j, jvalue *text, jvalue key, const jdump *how)
{
    jvalue name = j_string("", 0);
    switch ((jkind)key.kind) {
    case J_STRING: return dump_text(j, text, key, how);
    case J_NONE: name = j_text("null"); break;
    case J_BOOL: name = j_text(key.b ? "true" : "false"); break;
    case J_INT:
        if (!cud_j_append_repr(j, &name, key)) return false;
        break;
    case J_FLOAT:
        if (!dump_real(j, &name, key.f)) return false;
        break;
    default: return cud_j_fail(j, "tojson: keys must be strings, numbers, booleans or none, not a %s", cud_j_kind_name(key));
    }
    return dump_text(j, text, name, how);
}

static bool new_line(jrun *j, jvalue *text, const jdump *how, int level)
{
    if (!how->indent) return true;
    if (!cud_j_append_text(j, text, "\n")) return false;
    for (int i = 0; i < level; i++)
        if (!cud_j_append(j, text, how->indent, how->indent_length)) return false;
    return true;
}

static bool dump(jrun *j, jvalue *text, jvalue v, const jdump *how, int level);

static bool dump_list(jrun *j, jvalue *text, const jlist *list, const jdump *how, int level)
{
    if (!list->count) return cud_j_append_text(j, text, "[]");
    if (!cud_j_append_text(j, text, "[")) return false;
    for (size_t i = 0; i < list->count; i++) {
        if (i && !cud_j_append(j, text, how->item.s, how->item.n)) return false;
        if (!new_line(j, text, how, level + 1) || !dump(j, text, list->item[i], how, level + 1)) return false;
    }
    return new_line(j, text, how, level) && cud_j_append_text(j, text, "]");
}

/* The dict with its entries in the order of their keys. */
static bool sorted(jrun *j, const jdict **dict)
{
    jdict *copy = cud_j_dict(j);
    if (!copy) return false;
    copy->count = (*dict)->count;
    copy->entry = cud_j_alloc(j, copy->count * sizeof *copy->entry);
    if (!copy->entry) return false;
    for (size_t i = 0; i < copy->count; i++) { /* few keys, mostly in order already */
        size_t at = i;
        for (int order; at > 0; at--) {
            if (!cud_j_step(j, 1) || !cud_j_order(j, copy->entry[at - 1].key, (*dict)->entry[i].key, &order)) return false;
            if (order <= 0) break;
            copy->entry[at] = copy->entry[at - 1];
        }
        copy->entry[at] = (*dict)->entry[i];
    }
    *dict = copy;
    return true;
}

static bool dump_dict(jrun *j, jvalue *text, const jdict *dict, const jdump *how, int level)
{
    if (!dict->count) return cud_j_append_text(j, text, "{}");
    if (how->sort && !sorted(j, &dict)) return false;
    if (!cud_j_append_text(j, text, "{")) return false;
    for (size_t i = 0; i < dict->count; i++) {
        if (i && !cud_j_append(j, text, how->item.s, how->item.n)) return false;
        if (!new_line(j, text, how, level + 1) || !dump_key(j, text, dict->entry[i].key, how)) return false;
        if (!cud_j_append(j, text, how->key.s, how->key.n) || !dump(j, text, dict->entry[i].value, how, level + 1)) return false;
    }
    return new_line(j, text, how, level) && cud_j_append_text(j, text, "}");
}

static bool dump(jrun *j, jvalue *text, jvalue v, const jdump *how, int level)
{
    if (!cud_j_step(j, 1) || !cud_j_enter(j)) return false;
    bool done = false;
    switch ((jkind)v.kind) {
    case J_NONE: done = cud_j_append_text(j, text, "null"); break;
    case J_BOOL: done = cud_j_append_text(j, text, v.b ? "true" : "false"); break;
    case J_INT: done = cud_j_append_repr(j, text, v); break;
    case J_FLOAT: done = dump_real(j, text, v.f); break;
    case J_STRING: done = dump_text(j, text, v, how); break;
    case J_LIST:
    case J_TUPLE: done = dump_list(j, text, v.list, how, level); break;
    case J_DICT: done = dump_dict(j, text, v.dict, how, level); break;
    default:
        done = cud_j_fail(j, "tojson: a%s %s is not JSON serializable", v.kind == J_UNDEFINED ? "n" : "", cud_j_kind_name(v));
        break;
    }
    j->depth--;
    return done;
}

bool cud_j_dump(jrun *j, jvalue *text, jvalue v, const jdump *how) { return dump(j, text, v, how, 0); }
